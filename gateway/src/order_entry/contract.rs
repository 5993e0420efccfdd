//! Whether what the venue says of a contract's worth is what the config says.
//!
//! A part of the desk, fed by it with reports and by the reconciliation with what is held. Order-entry
//! thread. ContractMultiplier(231) must be the config's multiplier, and GrossTradeAmt(381) what the
//! traded size is worth at it, in the quote currency (of an inverse contract perhaps in the coin),
//! within a hundredth. A wrong multiplier sizes every hedge wrong: the maker is told, which halts the
//! instrument. Deliberately absent: what a venue does not say.

use super::desk::{Arrival, Desk};
use super::report::Report;
use crate::venue::symbols::Symbol;
use ballast_engine::event::{ClOrdId, InstrumentId, OrderEvent, OrderUpdate};
use ballast_engine::instrument::ContractValue;
use ballast_engine::units::{Decimal, Lots, Nanos, Ticks};

/// A hundredth: averages are rounded, and some venues round amounts to cents.
const TOLERANCE: i128 = 100;
const NANO_SCALE: u32 = 9;

impl Desk {
    /// What the maker must know of a report whose contract is worth something else than the config says.
    pub(super) fn contract_differs(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
    ) -> Option<OrderEvent> {
        if report.contract_multiplier.is_none() && report.gross_trade_amt.is_none() {
            return None;
        }
        let place = self.place_of(report, None)?;
        let symbol = self.symbols().at(place)?;
        if !is_multiplier_other(symbol, report) && !is_amount_other(symbol, report) {
            return None;
        }
        Some(self.contract_event(arrival, place))
    }

    /// The contract of the symbol at `place` is worth something else than the config says.
    pub(super) fn contract_event(&mut self, arrival: Arrival, place: usize) -> OrderEvent {
        let instrument = self.symbols().at(place).map_or(InstrumentId(0), Symbol::id);
        let arrival = Arrival { msg_seq_num: 0, ..arrival };
        let none = (ClOrdId::NONE, ClOrdId::NONE);
        self.event(arrival, Nanos(0), none, instrument, OrderUpdate::ContractDiffers)
    }
}

fn is_multiplier_other(symbol: &Symbol, report: &Report<'_>) -> bool {
    report.contract_multiplier.is_some_and(|text| is_other(symbol, text))
}

/// Is a ContractMultiplier(231) another than the config's?
pub(super) fn is_other(symbol: &Symbol, contract_multiplier: &[u8]) -> bool {
    let told = nanos(contract_multiplier);
    told.is_some_and(|told| Some(told) != nanos_of(symbol.multiplier()))
}

/// Amounts are of the whole order so far, or of the fill alone; a venue that says nothing of what traded,
/// or an amount of nothing, says nothing.
fn is_amount_other(symbol: &Symbol, report: &Report<'_>) -> bool {
    let Some(told) = report.gross_trade_amt.and_then(nanos).filter(|told| *told != 0) else {
        return false;
    };
    let worth = |size: Option<&[u8]>, price: Option<&[u8]>| {
        let (size, price) = (symbol.lots(size?).ok()?, symbol.ticks_floor(price?).ok()?);
        (size.0 != 0).then(|| worths(symbol, size, price))
    };
    let so_far = worth(report.cum_qty, report.avg_px);
    let last = worth(report.last_qty, report.last_px);
    let mut known = [so_far, last].into_iter().flatten().flatten().flatten().peekable();
    known.peek().is_some()
        && !known.any(|(worth, of_a_tick)| {
            let slack = (worth.saturating_abs() / TOLERANCE).max(of_a_tick.saturating_abs());
            told.saturating_abs().saturating_sub(worth.saturating_abs()).saturating_abs() <= slack
        })
}

/// What a size is worth at a price, and what of that one tick is; in 1e-9.
fn worths(symbol: &Symbol, size: Lots, price: Ticks) -> [Option<(i128, i128)>; 2] {
    let (lots, ticks) = (i128::from(size.0), i128::from(price.0));
    match symbol.contract() {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            let of_a_tick = lots.saturating_mul(i128::from(nano_per_tick_lot));
            [Some((of_a_tick.saturating_mul(ticks), of_a_tick)), None]
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            let quote = lots.saturating_mul(i128::from(nano_quote_per_lot));
            let price = ticks.saturating_mul(i128::from(nano_quote_per_tick));
            let coin = quote.saturating_mul(10i128.pow(NANO_SCALE)).checked_div(price);
            [Some((quote, 0)), coin.map(|coin| (coin, 1))]
        }
    }
}

/// A decimal text in 1e-9, cut off there; `None` where it is no number.
fn nanos(text: &[u8]) -> Option<i128> {
    nanos_of(std::str::from_utf8(text).ok()?.parse().ok()?)
}

fn nanos_of(decimal: Decimal) -> Option<i128> {
    let (mantissa, scale) = (i128::from(decimal.mantissa), u32::from(decimal.scale));
    match NANO_SCALE.checked_sub(scale) {
        Some(more) => mantissa.checked_mul(10i128.checked_pow(more)?),
        None => mantissa.checked_div(10i128.checked_pow(scale.checked_sub(NANO_SCALE)?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_entry::report::FIX_44;
    use crate::venue::symbols::Symbols;
    use ballast_engine::event::VenueId;
    use ballast_engine::instrument::{
        Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
    };
    use ballast_engine::units::FeeRate;

    fn symbol(kind: InstrumentKind, multiplier: &str) -> Symbol {
        let settlement = match kind {
            InstrumentKind::InversePerpetual => Currency(0),
            _ => Currency(1),
        };
        let spec = InstrumentSpec {
            symbol: "X".into(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind,
            tick: "0.1".parse().unwrap(),
            lot: "1".parse().unwrap(),
            multiplier: multiplier.parse().unwrap(),
            base: Currency(0),
            quote: Currency(1),
            settlement,
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        let instrument = Instrument::new(InstrumentId(0), spec).unwrap();
        Symbols::new(VenueId(0), &[instrument]).unwrap().at(0).unwrap().clone()
    }

    /// A fill of 2 at 60000, the last of 5 at 60100.05 on average.
    fn told<'a>(amount: Option<&'a str>, multiplier: Option<&'a str>) -> Report<'a> {
        Report {
            gross_trade_amt: amount.map(str::as_bytes),
            contract_multiplier: multiplier.map(str::as_bytes),
            cum_qty: Some(b"5"),
            avg_px: Some(b"60100.05"),
            last_qty: Some(b"2"),
            last_px: Some(b"60000"),
            ..Report::empty(FIX_44)
        }
    }

    fn differs(symbol: &Symbol, amount: Option<&str>, multiplier: Option<&str>) -> bool {
        let report = told(amount, multiplier);
        is_multiplier_other(symbol, &report) || is_amount_other(symbol, &report)
    }

    #[test]
    fn a_multiplier_that_the_venue_names_is_the_configs_however_it_is_written() {
        let thousandth = symbol(InstrumentKind::LinearPerpetual, "0.001");
        for (told, is_other) in
            [("0.001", false), ("0.00100", false), ("1", true), ("0.0011", true)]
        {
            assert_eq!(differs(&thousandth, None, Some(told)), is_other, "{told}");
        }
        assert!(!differs(&thousandth, None, Some("much")), "no number says nothing");
        assert!(!differs(&thousandth, None, None));
    }

    #[test]
    fn an_amount_is_of_all_that_traded_or_of_the_fill_within_a_hundredth() {
        let linear = symbol(InstrumentKind::LinearPerpetual, "0.001");
        for (told, is_other) in [
            ("300.50", false), // 5 × 60100.05 × 0.001
            ("120", false),    // 2 × 60000 × 0.001
            ("303.4", false),  // within a hundredth
            ("-120", false),   // a sale, signed
            ("303.6", true),
            ("300500.25", true), // one a contract
            ("0", false),
        ] {
            assert_eq!(differs(&linear, Some(told), None), is_other, "{told}");
        }
    }

    #[test]
    fn an_inverse_contracts_amount_is_in_dollars_or_in_the_coin() {
        let inverse = symbol(InstrumentKind::InversePerpetual, "100");
        for (told, is_other) in [
            ("500", false),
            ("200", false),
            ("0.00831946", false), // 500 / 60100
            ("0.00333333", false), // 200 / 60000
            ("50", true),          // 10 a contract
            ("0.00083195", true),
        ] {
            assert_eq!(differs(&inverse, Some(told), None), is_other, "{told}");
        }
    }

    #[test]
    fn amounts_and_sizes_at_the_integers_edge_are_no_panic() {
        let linear = symbol(InstrumentKind::LinearPerpetual, "0.001");
        let edge = "9223372036854775807".as_bytes();
        let all = Some(edge);
        let report =
            Report { cum_qty: all, last_qty: all, avg_px: all, last_px: all, ..told(None, None) };
        assert!(!is_amount_other(&linear, &report));
        let report = Report { gross_trade_amt: all, contract_multiplier: all, ..report };
        let _ = is_amount_other(&linear, &report);
        assert!(is_multiplier_other(&linear, &report));
    }
}
