//! What a fill costs: the instrument's maker or taker rate on the traded value.
//!
//! Fed by `exchange.rs` a fill; feeds Commission(12). Any thread. Deliberately absent: tiers, and
//! fees in a third currency.

use ballast_engine::event::Liquidity;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::units::{Lots, Notional, Ticks};

/// The fee of one fill in the instrument's settlement currency, rounded against the participant (a
/// cost up, a rebate down). `None` where a price of zero or an overflow leaves it without value.
pub fn fee(
    instrument: &Instrument,
    price: Ticks,
    size: Lots,
    liquidity: Liquidity,
) -> Option<Notional> {
    let rate = match liquidity {
        Liquidity::Maker => instrument.spec().maker_fee,
        Liquidity::Taker => instrument.spec().taker_fee,
    };
    let (rate, price, size) = (i128::from(rate.0), i128::from(price.0), i128::from(size.0));
    // value × rate, still to be divided.
    let (numerator, denominator) = match instrument.value() {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            let value = price.checked_mul(size)?.checked_mul(i128::from(nano_per_tick_lot))?;
            (value.checked_mul(rate)?, 1_000_000_000)
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            // Quote nanos over quote nanos a coin is coins; its nanos cancel the rate's 1e-9.
            let value = size.checked_mul(i128::from(nano_quote_per_lot))?;
            (value.checked_mul(rate)?, price.checked_mul(i128::from(nano_quote_per_tick))?)
        }
    };
    if denominator == 0 {
        return None;
    }
    let quotient = numerator.div_euclid(denominator);
    let is_exact = numerator.rem_euclid(denominator) == 0;
    // div_euclid rounds down for the positive denominators here: against us is up.
    Some(Notional(quotient + i128::from(!is_exact)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::exchange::tests::{inverse, spot};

    #[test]
    fn a_fee_is_the_rate_on_the_value_rounded_against_us() {
        // 0.5 BTC at 61,685.99, 10 bps: 30.842995 USDT.
        let listed = spot(1_000_000, -50_000);
        let taker = fee(&listed, Ticks(6_168_599), Lots(50_000), Liquidity::Taker);
        assert_eq!(taker, Some(Notional(-1_542_149_750)));
        let maker = fee(&listed, Ticks(6_168_599), Lots(50_000), Liquidity::Maker);
        assert_eq!(maker, Some(Notional(30_842_995_000)));
    }

    #[test]
    fn an_inverse_contract_pays_its_fee_in_coin() {
        // 7 contracts of 100 USD at 61,668.6, 5 bps: 0.35 USD / 61,668.6 = 0.00000567549…
        let listed = inverse(200_000, 500_000);
        let taker = fee(&listed, Ticks(616_686), Lots(7), Liquidity::Taker);
        assert_eq!(taker, Some(Notional(5_676)));
        assert_eq!(fee(&listed, Ticks(0), Lots(7), Liquidity::Taker), None);
    }
}
