//! What the venue says that we hold: RequestForPositionsAck(AO) and PositionReport(AP).
//!
//! A part of the reconciliation, fed by the ear with the answers to AN. Order-entry thread, cold.
//! Deliberately absent: when it is asked.

use super::{Answer, Phase, Reconciler};
use crate::fix::message::Message;
use crate::fix::{tag, value};
use crate::order_entry::contract::is_other;
use crate::venue::symbols::Symbols;
use ballast_engine::units::Lots;

impl Reconciler {
    /// RequestForPositionsAck(AO).
    pub(in crate::order_entry) fn on_positions_ack(&mut self, message: &Message<'_>) {
        if self.phase != Phase::Counting {
            return;
        }
        let total = message.get(tag::TOTAL_NUM_POS_REPORTS).and_then(value::parse_uint);
        // PosReqResult(728): 0 is valid, 2 is that there are none.
        match message.get(tag::POS_REQ_RESULT) {
            _ if is_rejected(message) => self.answer = Answer::None,
            Some(b"0") if total != Some(0) => self.expect_reports(total),
            Some(b"0" | b"2") => self.on_none_held(),
            Some(_) | None => self.answer = Answer::None,
        }
    }

    /// That an account holds nothing says something where we know whose it is: asked for the sender's,
    /// because none was named, a venue may have looked for one that does not exist.
    fn on_none_held(&mut self) {
        self.answer = if self.has_account { Answer::Given } else { Answer::None };
    }

    /// Without a total nobody knows which report is the last, and the step runs out of time.
    fn expect_reports(&mut self, total: Option<u64>) {
        self.reports_total = total.or(self.reports_total);
        if self.reports_total.is_some_and(|total| self.reports >= total) {
            self.answer = if self.is_legible { Answer::Given } else { Answer::None };
        }
    }

    /// PositionReport(AP): one instrument before its quantities, or each quantity with its own.
    pub(in crate::order_entry) fn on_positions(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
        symbol: u32,
    ) {
        // After a refusal nothing is counted.
        if self.phase != Phase::Counting || self.answer != Answer::Awaited {
            return;
        }
        match message.get(tag::POS_REQ_RESULT) {
            _ if is_rejected(message) => {
                self.answer = Answer::None;
                return;
            }
            Some(b"0") | None => {}
            Some(b"2") => return self.on_none_held(),
            Some(_) => {
                self.answer = Answer::None;
                return;
            }
        }
        let mut place = None;
        let mut total = None;
        let mut has_quantity = message.get(tag::NO_POSITIONS) == Some(b"0");
        // Of one entry: the symbol may come before or behind the quantity.
        let mut waiting = Entry::default();
        for field in message.fields() {
            match field.tag {
                tag if tag == symbol => place = symbols.find(field.value),
                tag::TOTAL_NUM_POS_REPORTS => total = value::parse_uint(field.value),
                tag::POS_TYPE => self.hold(&mut waiting, place, symbols),
                tag::LONG_QTY => waiting.long = Some(field.value),
                tag::SHORT_QTY => waiting.short = Some(field.value),
                tag::CONTRACT_MULTIPLIER => waiting.multiplier = Some(field.value),
                tag::QTY_TYPE => waiting.is_in_contracts = field.value == b"1",
                _ => {}
            }
            has_quantity |= matches!(field.tag, tag::LONG_QTY | tag::SHORT_QTY);
        }
        self.hold(&mut waiting, place, symbols);
        self.is_legible &= has_quantity;
        self.reports = self.reports.saturating_add(1);
        self.expect_reports(if self.is_whole { Some(self.reports) } else { total });
    }

    fn hold(&mut self, waiting: &mut Entry<'_>, place: Option<usize>, symbols: &Symbols) {
        let Entry { long, short, multiplier, is_in_contracts } = std::mem::take(waiting);
        let symbol = place.and_then(|place| symbols.at(place));
        let held = place.and_then(|place| self.held.get_mut(place));
        let differs = place.and_then(|place| self.differs.get_mut(place));
        if let (Some(symbol), Some(differs)) = (symbol, differs) {
            *differs |= is_in_contracts && multiplier.is_some_and(|text| is_other(symbol, text));
        }
        let (Some(symbol), Some(held)) = (symbol, held) else {
            // A holding that we cannot name may be one of those that we ask about.
            self.is_legible &= self.is_whole || [long, short].into_iter().flatten().all(is_nothing);
            return;
        };
        let lots = |text: Option<&[u8]>| match text {
            // A short holding is told in ShortQty(705); what a sign would mean nobody says.
            Some([b'-', ..]) => None,
            Some(text) => symbol.lots(text).or_else(|_| symbol.lots_floor(text)).ok(),
            None => Some(Lots(0)),
        };
        let sum = lots(long)
            .zip(lots(short))
            .and_then(|(long, short)| held.0.checked_add(long.0)?.checked_sub(short.0).map(Lots));
        self.is_legible &= sum.is_some();
        *held = sum.unwrap_or(*held);
    }
}

/// One quantity of a PositionReport(AP).
#[derive(Clone, Copy, Default)]
struct Entry<'a> {
    long: Option<&'a [u8]>,
    short: Option<&'a [u8]>,
    /// ContractMultiplier(231).
    multiplier: Option<&'a [u8]>,
    /// QtyType(854): in contracts, as our own sizes are where a venue says so.
    is_in_contracts: bool,
}

/// PosReqStatus(729) is Rejected, whatever else it says.
fn is_rejected(message: &Message<'_>) -> bool {
    message.get(tag::POS_REQ_STATUS) == Some(b"2")
}

/// Is it a decimal that is zero?
fn is_nothing(text: &[u8]) -> bool {
    text.contains(&b'0') && text.iter().all(|byte| matches!(byte, b'0' | b'.'))
}
