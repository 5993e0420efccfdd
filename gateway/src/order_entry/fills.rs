//! Several executions in one report, the group NoFills(1362): each is booked at its own price.
//!
//! A part of the desk, fed by the stage with a report and its message; feeds it with an event a fill.
//! Order-entry thread; a list of fixed size on the stack. Where the group's sizes are not what CumQty(14)
//! grew by, the report is told as one fill of what it grew by, at the last price, and counted as
//! inexact: the position must be right whatever the group says. Deliberately absent: reports with one
//! fill in LastPx(31) and LastQty(32).

use super::desk::{Arrival, Desk};
use super::report::Report;
use crate::fix::message::Message;
use ballast_engine::event::{Liquidity, OrderEvent};
use ballast_engine::units::Lots;

/// Fills of one report that are told apart; a report with more is told as one.
pub const FILLS_MAX: usize = 32;

const FILL_EXEC_ID: u32 = 1363;
const FILL_PX: u32 = 1364;
const FILL_QTY: u32 = 1365;
const FILL_LIQUIDITY_IND: u32 = 1443;
const PARTIALLY_FILLED: &[u8] = b"1";

/// One entry of the group.
#[derive(Clone, Copy, Default)]
struct Fill<'a> {
    exec_id: &'a [u8],
    price: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    is_maker: bool,
}

/// The group as far as it fits; the second number counts all entries.
fn fills_of<'a>(message: &Message<'a>) -> ([Fill<'a>; FILLS_MAX], usize) {
    let mut fills = [Fill::default(); FILLS_MAX];
    let mut count = 0usize;
    for field in message.fields() {
        if field.tag == FILL_EXEC_ID {
            count = count.saturating_add(1);
        }
        let Some(fill) = count.checked_sub(1).and_then(|place| fills.get_mut(place)) else {
            continue;
        };
        match field.tag {
            FILL_EXEC_ID => fill.exec_id = field.value,
            FILL_PX => fill.price = Some(field.value),
            FILL_QTY => fill.size = Some(field.value),
            FILL_LIQUIDITY_IND => fill.is_maker = field.value == b"1",
            _ => {}
        }
    }
    (fills, count)
}

impl Desk {
    /// ExecutionReport(8) of a venue that groups fills: an event for each of them, or for the report as
    /// it is where it has no group of two or more.
    pub fn on_grouped_report(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        message: &Message<'_>,
        mut tell: impl FnMut(OrderEvent),
    ) {
        let (fills, count) = fills_of(message);
        let fills = fills.get(..count).filter(|fills| fills.len() > 1);
        let before = self.traded_before(report);
        let (Some(fills), Some((before, total, leaves))) = (fills, before) else {
            // A single fill may say its own size and id: the group is the report's.
            self.on_report(arrival, report).into_iter().for_each(tell);
            return;
        };
        if total == before {
            // Told before: nothing is booked twice.
            self.on_report(arrival, report).into_iter().for_each(tell);
            return;
        }
        let untold =
            total.0.checked_sub(before.0).and_then(|size| self.untold(report, fills, size));
        let Some(fills) = untold.filter(|fills| fills.iter().all(|fill| fill.price.is_some()))
        else {
            self.counts.inexact += 1;
            self.on_report(arrival, report).into_iter().for_each(tell);
            return;
        };
        let mut cum = before;
        for (place, fill) in fills.iter().enumerate() {
            let size = fill.size.and_then(|text| self.lots_of(report, text)).unwrap_or_default();
            cum = Lots(cum.0.saturating_add(size.0));
            let rest = total.0.saturating_sub(cum.0);
            let is_last = place + 1 == fills.len();
            let one = Report {
                exec_id: Some(fill.exec_id),
                last_px: fill.price,
                last_qty: fill.size,
                ord_status: if is_last { report.ord_status } else { Some(PARTIALLY_FILLED) },
                liquidity: if fill.is_maker { Liquidity::Maker } else { report.liquidity },
                running: Some((cum, Lots(leaves.0.saturating_add(rest)))),
                ..*report
            };
            // Only its last event says that the message is told whole: a run that dies in between has it
            // told again from the first fill that its journal lacks.
            let whole = |event| match is_last {
                true => event,
                false => OrderEvent { msg_seq_num: 0, ..event },
            };
            self.on_report(arrival, &one).map(whole).into_iter().for_each(&mut tell);
        }
    }

    /// The last of the fills that sum up to `size`: the ones before them a run before this one has told,
    /// where its journal ends within the message.
    fn untold<'f, 'a>(
        &self,
        report: &Report<'_>,
        fills: &'f [Fill<'a>],
        size: i64,
    ) -> Option<&'f [Fill<'a>]> {
        let mut sum = 0i64;
        let mut found = None;
        for place in (0..fills.len()).rev() {
            let lots = self.lots_of(report, fills.get(place)?.size?)?;
            sum = sum.checked_add(lots.0)?;
            if sum == size {
                found = Some(place);
            }
        }
        fills.get(found?..)
    }

    /// CumQty(14) as known before a report, as it says it, and LeavesQty(151); `None` where the order
    /// or one of them is not known.
    fn traded_before(&self, report: &Report<'_>) -> Option<(Lots, Lots, Lots)> {
        let order = self.live().get(self.order_of(report)?)?;
        let total = self.lots_of(report, report.cum_qty?)?;
        let leaves = self.lots_of(report, report.leaves_qty?)?;
        Some((order.cum_qty, total, leaves))
    }

    /// A size on the grid of the report's instrument.
    fn lots_of(&self, report: &Report<'_>, text: &[u8]) -> Option<Lots> {
        let order = self.order_of(report).and_then(|handle| self.live().get(handle));
        self.symbols.at(self.place_of(report, order)?)?.lots(text).ok()
    }
}
