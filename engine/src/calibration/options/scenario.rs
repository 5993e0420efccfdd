//! What a book of options and their underlying loses when price and volatility jump together: the
//! grid that venues margin option books by, and that we limit the stressed loss on.
//!
//! Fed by the surface's slices and the positions, off the hot path; feeds margin estimates and the
//! stress limit. Calibration thread. Deliberately absent: any venue's own grid; its shocks are
//! arguments, and its add-ons (expiry, concentration) are the venue's file.

use super::{Black76, Greeks, OptionsError, finite, positive};

/// A position in one European option, or the European twin of an American one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptionPosition {
    /// The option, at its marked forward and volatility.
    pub option: Black76,
    /// Units of the underlying; negative is short.
    pub units: f64,
    /// Its forward is a future's or a perpetual's, or stands off spot as theirs do: the basis moves it.
    pub has_basis: bool,
}

/// A book on one underlying.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Book {
    /// Options.
    pub options: Vec<OptionPosition>,
    /// Units of the underlying held in futures and perpetuals; negative is short.
    pub underlying_units: f64,
    /// Price of the underlying, which the units are marked at.
    pub underlying_price: f64,
}

/// One node of the grid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shock {
    /// Relative move of the underlying and of every forward: −0.15 is 15 % down. Above −1.
    pub price: f64,
    /// Relative move of every volatility: 0.3 turns 20 % into 26 %. Above −1.
    pub volatility: f64,
    /// Move of futures, perpetuals and forwards against spot, as a part of the moved price. Above −1.
    pub basis: f64,
    /// Part of the profit or loss that counts: venues take a third or so of extreme moves.
    pub weight: f64,
}

/// The worst node and what it costs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WorstCase {
    /// Profit (negative: loss) at the worst node, weighted.
    pub profit: f64,
    /// The node.
    pub shock: Shock,
}

/// The plain grid of every price move with every volatility move, all in full.
pub fn grid(prices: &[f64], volatilities: &[f64]) -> Vec<Shock> {
    prices
        .iter()
        .flat_map(|price| {
            let shock = |volatility: &f64| Shock::of(*price, *volatility);
            volatilities.iter().map(shock)
        })
        .collect()
}

impl Shock {
    /// Price and volatility moved, the basis where it is, all of it counted.
    pub fn of(price: f64, volatility: f64) -> Shock {
        Shock { price, volatility, basis: 0.0, weight: 1.0 }
    }
}

impl Book {
    /// Profit of an instantaneous shock, before its weight: every option repriced, not expanded.
    ///
    /// # Errors
    /// A shock of −1 or below, or a position that cannot be valued.
    pub fn profit(&self, shock: &Shock) -> Result<f64, OptionsError> {
        self.profit_from(self.value()?, shock)
    }

    /// What the options are worth.
    ///
    /// # Errors
    /// A position that cannot be valued.
    pub fn value(&self) -> Result<f64, OptionsError> {
        let mut value = 0.0;
        for position in &self.options {
            value += position.units * position.option.price()?;
        }
        Ok(value)
    }

    /// The same as [`Book::profit`] where `value` is [`Book::value`], known already.
    ///
    /// # Errors
    /// As [`Book::profit`].
    pub fn profit_from(&self, value: f64, shock: &Shock) -> Result<f64, OptionsError> {
        let price = positive("1 + price shock", 1.0 + shock.price)?;
        let volatility = positive("1 + volatility shock", 1.0 + shock.volatility)?;
        let derivative = price * positive("1 + basis shock", 1.0 + shock.basis)?;
        let linear = self.underlying_units * self.underlying_price * (derivative - 1.0);
        let mut shocked = 0.0;
        for position in &self.options {
            let factor = if position.has_basis { derivative } else { price };
            let option = Black76 {
                forward: position.option.forward * factor,
                volatility: position.option.volatility * volatility,
                ..position.option
            };
            shocked += position.units * option.price()?;
        }
        finite("profit", linear + shocked - value)
    }

    /// The node with the least weighted profit, the first of equals; `None` on an empty grid.
    ///
    /// # Errors
    /// As [`Book::profit`].
    pub fn worst(&self, shocks: &[Shock]) -> Result<Option<WorstCase>, OptionsError> {
        let mut worst: Option<WorstCase> = None;
        let value = self.value()?;
        for shock in shocks {
            let profit = finite("weight", shock.weight)? * self.profit_from(value, shock)?;
            if worst.is_none_or(|worst| profit < worst.profit) {
                worst = Some(WorstCase { profit, shock: *shock });
            }
        }
        Ok(worst)
    }

    /// Net delta in units of the underlying, futures and options together.
    ///
    /// # Errors
    /// A position that cannot be valued.
    pub fn net_delta(&self) -> Result<f64, OptionsError> {
        let mut delta = self.underlying_units;
        for position in &self.options {
            let Greeks { delta: each, .. } = position.option.greeks()?;
            delta += position.units * each;
        }
        Ok(delta)
    }
}

/// The haircut of a collateral with this annual volatility: what it may lose in `days` with the
/// given number of deviations, never below `floor`, never above all of it. 0.25 counts 100 as 75.
///
/// # Errors
/// A number that is not finite, a negative volatility, time or deviations, a floor outside 0 to 1.
pub fn haircut(
    volatility: f64,
    days: f64,
    deviations: f64,
    floor: f64,
) -> Result<f64, OptionsError> {
    for (name, value) in
        [("volatility", volatility), ("days", days), ("deviations", deviations), ("floor", floor)]
    {
        if finite(name, value)? < 0.0 {
            return Err(OptionsError::NotPositive { name, value });
        }
    }
    if floor > 1.0 {
        return Err(OptionsError::OutOfRange { name: "floor" });
    }
    // A lognormal fall of so many deviations: never all of it, whatever the volatility.
    let fall = -libm::expm1(-deviations * volatility * libm::sqrt(days / 365.0));
    Ok(fall.max(floor))
}

#[cfg(test)]
mod tests {
    use super::super::OptionType;
    use super::*;

    fn option(strike: f64, option_type: OptionType) -> Black76 {
        Black76 { forward: 60_000.0, strike, years: 0.1, volatility: 0.6, rate: 0.0, option_type }
    }

    fn short_straddle() -> Book {
        let short = |option_type| OptionPosition {
            option: option(60_000.0, option_type),
            units: -1.0,
            has_basis: true,
        };
        Book {
            options: vec![short(OptionType::Call), short(OptionType::Put)],
            underlying_units: 0.0,
            underlying_price: 60_000.0,
        }
    }

    #[test]
    fn a_short_straddle_fears_the_largest_move_and_the_highest_volatility() {
        let shocks = grid(&[-0.15, -0.05, 0.0, 0.05, 0.15], &[-0.25, 0.0, 0.25]);
        assert_eq!(shocks.len(), 15);
        let worst = short_straddle().worst(&shocks).unwrap().unwrap();
        assert_eq!(worst.shock.price.abs(), 0.15);
        assert_eq!(worst.shock.volatility, 0.25);
        assert!(worst.profit < -3_000.0, "{worst:?}");
        assert_eq!(short_straddle().worst(&[]).unwrap(), None);
    }

    #[test]
    fn call_put_parity_hedges_every_node() {
        // Long call, short put, short the forward: nothing is left to move.
        let book = Book {
            options: vec![
                OptionPosition {
                    option: option(55_000.0, OptionType::Call),
                    units: 2.0,
                    has_basis: true,
                },
                OptionPosition {
                    option: option(55_000.0, OptionType::Put),
                    units: -2.0,
                    has_basis: true,
                },
            ],
            underlying_units: -2.0,
            underlying_price: 60_000.0,
        };
        assert!(book.net_delta().unwrap().abs() < 1e-12);
        for shock in grid(&[-0.5, -0.1, 0.3], &[-0.5, 0.0, 1.0]) {
            assert!(book.profit(&shock).unwrap().abs() < 1e-8);
        }
    }

    #[test]
    fn a_hedged_book_has_no_basis_to_first_order() {
        let call = |has_basis| OptionPosition {
            option: option(62_000.0, OptionType::Call),
            units: 10.0,
            has_basis,
        };
        let hedged = |has_basis| {
            let options = vec![call(has_basis)];
            let mut book = Book { options, underlying_units: 0.0, underlying_price: 60_000.0 };
            book.underlying_units = -book.net_delta().unwrap();
            book
        };
        let moved = |has_basis, basis: f64| {
            hedged(has_basis).profit(&Shock { basis, ..Shock::of(0.0, 0.0) }).unwrap()
        };
        // What is left is gamma: the same both ways, and a hundredth for a tenth of the move.
        let (up, down, small) = (moved(true, 0.005), moved(true, -0.005), moved(true, 0.0005));
        assert!(up > 0.0 && (up / down - 1.0).abs() < 0.02, "{up} {down}");
        assert!((small * 100.0 / up - 1.0).abs() < 0.02, "{small} {up}");
        // On the spot itself there is no such forward, and the futures are a bet on their basis.
        assert!(moved(false, -0.005) > 1_000.0 && moved(false, 0.005) < -1_000.0);
    }

    #[test]
    fn an_extreme_move_counts_by_its_weight() {
        let full = Shock::of(0.45, 0.0);
        let third = Shock { weight: 1.0 / 3.0, ..full };
        let of = |shock| short_straddle().worst(&[shock]).unwrap().unwrap().profit;
        assert!((of(third) * 3.0 - of(full)).abs() < 1e-9);
    }

    #[test]
    fn a_shock_to_nothing_is_refused() {
        for (price, volatility) in [(-1.0, 0.0), (-1.5, 0.0), (0.0, -1.0), (f64::NAN, 0.0)] {
            let shock = Shock::of(price, volatility);
            assert!(short_straddle().profit(&shock).is_err());
        }
    }

    #[test]
    fn a_haircut_grows_with_volatility_between_its_floor_and_one() {
        assert_eq!(haircut(0.0, 1.0, 3.0, 0.02), Ok(0.02));
        // Three deviations of a day at 60 %: 1 − e^(−3·0.6/√365) = 8.99 %.
        let day = haircut(0.6, 1.0, 3.0, 0.02).unwrap();
        assert!((day - 0.0899).abs() < 1e-4, "{day}");
        let wild = haircut(50.0, 30.0, 5.0, 0.0).unwrap();
        assert!(wild > 0.99 && wild <= 1.0);
        assert!(haircut(-0.1, 1.0, 3.0, 0.0).is_err());
        assert!(haircut(0.1, 1.0, 3.0, 1.1).is_err());
        assert!(haircut(f64::NAN, 1.0, 3.0, 0.0).is_err());
    }
}
