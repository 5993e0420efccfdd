//! Coin-settled options and futures: quoted in dollars, margined and paid in the coin.
//!
//! Fed by the calibration thread and by `ballast greeks`; feeds the coin Greeks of the inventory.
//! Calibration thread. Convention of a venue such as Deribit: premium and PnL in the coin, no
//! discounting on the forward. Deliberately absent: the numeraire question — both views are given,
//! and DESIGN §4 says which one counts.

use super::black76::terms;
use super::{OptionType, OptionsError, finite, in_range, positive};
use crate::units::Decimal;

/// A coin-settled European option.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InverseOption {
    /// The forward of the option's expiry, in dollars a coin.
    pub forward: f64,
    /// The strike, in dollars a coin.
    pub strike: f64,
    /// Years to expiry.
    pub years: f64,
    /// Annual volatility.
    pub volatility: f64,
    /// Call or put.
    pub option_type: OptionType,
}

/// Value and sensitivities of a coin-settled option, in dollars and in the coin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InverseGreeks {
    /// Black-76 value without discounting, dollars.
    pub usd_price: f64,
    /// The same in the coin: what the venue quotes.
    pub coin_price: f64,
    /// Black-76 delta.
    pub bs_delta: f64,
    /// `bs_delta − coin_price`: coins to hedge once the premium is counted.
    pub premium_adjusted_delta: f64,
    /// Change of the coin value per dollar of the forward.
    pub dcoin_df: f64,
    /// Second derivative of the coin value.
    pub d2coin_df2: f64,
    /// Coins per 1.00 of volatility.
    pub vega_coin: f64,
    /// Coins per year that passes.
    pub theta_coin: f64,
    /// Dollars per 0.01 of volatility.
    pub vega_usd_per_1pct: f64,
    /// Dollars per day (1/365 year) that passes.
    pub theta_usd_per_day: f64,
    /// Black-76 gamma.
    pub gamma_usd: f64,
    /// Black-76 delta per 1.00 of volatility.
    pub vanna: f64,
    /// Coins per 1.00 of volatility, per 1.00 of volatility.
    pub volga_coin: f64,
    /// Coins per 1.00 of a rate: none, by the convention, that discounts nothing.
    pub rho_coin: f64,
}

impl InverseOption {
    /// Value and sensitivities.
    ///
    /// # Errors
    /// A parameter that is not a finite number above zero, or parameters that leave the range of
    /// numbers together.
    pub fn greeks(&self) -> Result<InverseGreeks, OptionsError> {
        let forward = positive("F", self.forward)?;
        let strike = positive("K", self.strike)?;
        let years = positive("T", self.years)?;
        let sigma = positive("sigma", self.volatility)?;
        let sqrt_years = libm::sqrt(years);
        let s = positive("sigma sqrt T", sigma * sqrt_years)?;
        let t = terms(forward, strike, s, self.option_type)?;
        let cp = self.option_type.sign();
        // Δ − v is cp·(K/F)·N(cp d2) exactly; subtracting would cancel for a put deep in the money.
        let adjusted = cp * strike / forward * t.exercise_probability;
        let dcoin_df = adjusted / forward;
        let gamma = t.density / s / forward;
        let vega = forward * t.density * sqrt_years;
        let theta = -forward * t.density * sigma / (2.0 * sqrt_years);
        let answer = InverseGreeks {
            usd_price: in_range("usd_price", t.undiscounted)?,
            coin_price: in_range("coin_price", t.undiscounted / forward)?,
            bs_delta: in_range("bs_delta", cp * t.share_probability)?,
            premium_adjusted_delta: in_range("premium_adjusted_delta", adjusted)?,
            dcoin_df: in_range("dcoin_dF", dcoin_df)?,
            d2coin_df2: in_range("d2coin_dF2", (gamma - 2.0 * dcoin_df) / forward)?,
            vega_coin: in_range("vega_coin", t.density * sqrt_years)?,
            theta_coin: in_range("theta_coin", -t.density * sigma / (2.0 * sqrt_years))?,
            vega_usd_per_1pct: in_range("vega_usd_per_1pct", vega / 100.0)?,
            theta_usd_per_day: in_range("theta_usd_per_day", theta / 365.0)?,
            gamma_usd: in_range("gamma_usd", gamma)?,
            vanna: in_range("vanna", -t.density * t.d2 / sigma)?,
            volga_coin: in_range("volga_coin", t.density * sqrt_years * t.d1 * t.d2 / sigma)?,
            rho_coin: 0.0,
        };
        Ok(answer)
    }
}

/// A coin-settled future or perpetual of a fixed dollar amount.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InverseFuture {
    /// Dollars of all contracts together; negative is short.
    pub usd_notional: f64,
    /// Average entry price.
    pub entry: f64,
    /// Mark price.
    pub mark: f64,
}

/// PnL and sensitivities of a coin-settled future, in the coin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InverseFutureGreeks {
    /// `N·(1/entry − 1/mark)`, coins.
    pub pnl_coin: f64,
    /// `N/mark`: coins of exposure.
    pub delta_coin: f64,
    /// Change of the PnL in coins per dollar of the mark.
    pub dcoin_df: f64,
    /// Second derivative of the PnL in coins.
    pub d2coin_df2: f64,
}

impl InverseFuture {
    /// PnL and sensitivities.
    ///
    /// # Errors
    /// A notional that is not finite, an entry or mark not above zero, or numbers out of range.
    pub fn greeks(&self) -> Result<InverseFutureGreeks, OptionsError> {
        let notional = finite("usd_notional", self.usd_notional)?;
        let entry = positive("entry", self.entry)?;
        let mark = positive("mark", self.mark)?;
        let delta = notional / mark;
        Ok(InverseFutureGreeks {
            // Not N/entry − N/mark: entry and mark are close, and their difference is exact.
            pnl_coin: in_range("pnl_coin", delta * ((mark - entry) / entry))?,
            delta_coin: in_range("delta_coin", delta)?,
            dcoin_df: in_range("dcoin_dF", delta / mark)?,
            d2coin_df2: in_range("d2coin_dF2", -2.0 * delta / mark / mark)?,
        })
    }
}

/// How many inverse contracts hedge an inventory of coins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HedgeContracts {
    /// `−coins·F/contract`.
    pub exact: f64,
    /// The same, rounded to whole contracts, halves away from zero; a whole number.
    pub rounded_half_away: f64,
}

impl HedgeContracts {
    /// The hedge of `coin_inventory` (+ long) at `forward` in contracts of `contract_usd` dollars.
    /// The product and the rounding are exact: a half is a half also where binary fractions would
    /// miss it.
    ///
    /// # Errors
    /// A forward or contract not above zero, or numbers out of range.
    pub fn of(
        coin_inventory: Decimal,
        forward: Decimal,
        contract_usd: Decimal,
    ) -> Result<HedgeContracts, OptionsError> {
        let (q, f, c) = (to_f64(coin_inventory), to_f64(forward), to_f64(contract_usd));
        positive("F", f)?;
        positive("contract_usd", c)?;
        let exact = in_range("contracts_exact", -q * f / c)?;
        let rounded_half_away = quotient_half_away(coin_inventory, forward, contract_usd)
            .ok_or(OptionsError::OutOfRange { name: "contracts_rounded_half_away" })?;
        // Less, not minus: no contract is 0, and not −0.
        Ok(HedgeContracts { exact, rounded_half_away: 0.0 - rounded_half_away as f64 })
    }

    /// The same of numbers that have more digits than a [`Decimal`]: a half is one to the last digit of
    /// a double.
    ///
    /// # Errors
    /// As [`HedgeContracts::of`].
    pub fn near(
        coin_inventory: f64,
        forward: f64,
        contract_usd: f64,
    ) -> Result<HedgeContracts, OptionsError> {
        let q = finite("coin_inventory", coin_inventory)?;
        let (f, c) = (positive("F", forward)?, positive("contract_usd", contract_usd)?);
        let exact = in_range("contracts_exact", -q * f / c)?;
        Ok(HedgeContracts { exact, rounded_half_away: libm::round(exact) + 0.0 })
    }
}

/// The nearest double of a decimal: both parts are exact below 2^53, so the quotient rounds once.
fn to_f64(number: Decimal) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}

/// `a·b/c` to the nearest whole number, halves away from zero; `None` where it does not fit.
fn quotient_half_away(a: Decimal, b: Decimal, c: Decimal) -> Option<i128> {
    let mut numerator = i128::from(a.mantissa).checked_mul(i128::from(b.mantissa))?;
    let mut denominator = i128::from(c.mantissa);
    let digits = i32::from(a.scale) + i32::from(b.scale) - i32::from(c.scale);
    let shift = 10i128.checked_pow(digits.unsigned_abs())?;
    if digits >= 0 {
        denominator = denominator.checked_mul(shift)?;
    } else {
        numerator = numerator.checked_mul(shift)?;
    }
    let whole = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    let is_half_or_more = rest.unsigned_abs() >= denominator.unsigned_abs().div_ceil(2);
    let away = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    if is_half_or_more { whole.checked_add(away) } else { Some(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hedge(q: &str, f: &str, c: &str) -> f64 {
        let hedge =
            HedgeContracts::of(q.parse().unwrap(), f.parse().unwrap(), c.parse().unwrap()).unwrap();
        hedge.rounded_half_away
    }

    #[test]
    fn a_hedge_rounds_exact_halves_away_from_zero() {
        assert_eq!(hedge("0.1", "61685", "100"), -62.0);
        assert_eq!(hedge("-0.1", "61685", "1000"), 6.0);
        assert_eq!(hedge("0.5", "1", "1"), -1.0);
        assert_eq!(hedge("-0.5", "1", "1"), 1.0);
        assert_eq!(hedge("0.499999999", "1", "1"), 0.0);
        // 0.35 × 61690 / 10 is 2159.15; 1.15 × 30 / 1 is 34.5, which binary fractions make 34.4999…
        assert_eq!(hedge("0.35", "61690", "10"), -2159.0);
        assert_eq!(hedge("1.15", "30", "1"), -35.0);
        assert!(hedge("0", "30", "1").to_bits() == 0 && hedge("0.4", "1", "1").to_bits() == 0);
        assert_eq!(hedge("1", "1", "0.3"), -3.0);
        assert_eq!(hedge("1", "5", "3"), -2.0);
    }

    #[test]
    fn a_contract_of_nothing_is_refused() {
        let one: Decimal = "1".parse().unwrap();
        let zero: Decimal = "0".parse().unwrap();
        assert!(HedgeContracts::of(one, one, zero).is_err());
        assert!(HedgeContracts::of(one, zero, one).is_err());
    }

    #[test]
    fn the_premium_adjusted_delta_is_delta_less_premium() {
        for (strike, option_type) in [
            (50_000.0, OptionType::Call),
            (50_000.0, OptionType::Put),
            (80_000.0, OptionType::Call),
            (80_000.0, OptionType::Put),
        ] {
            let greeks = InverseOption {
                forward: 61_686.0,
                strike,
                years: 0.25,
                volatility: 0.6,
                option_type,
            }
            .greeks()
            .unwrap();
            let by_difference = greeks.bs_delta - greeks.coin_price;
            assert!((greeks.premium_adjusted_delta - by_difference).abs() < 1e-14);
        }
    }

    #[test]
    fn one_coin_short_one_coin_of_inverse_future_is_flat_in_dollars() {
        // 1 BTC at 60,000 against −60,000 USD of the inverse perpetual: price ± 30 %.
        for mark in [42_000.0, 60_000.0, 78_000.0] {
            let future = InverseFuture { usd_notional: -60_000.0, entry: 60_000.0, mark };
            let pnl = future.greeks().unwrap().pnl_coin;
            assert!(((1.0 + pnl) * mark - 60_000.0).abs() < 1e-9);
        }
    }
}
