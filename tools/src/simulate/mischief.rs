//! What goes wrong at the venue itself: refusals, cancels nobody asked for, reports lost and doubled.
//!
//! Fed by the plan; asked by the venue's playback around everything that happens. One thread. A report
//! of a fill is never lost here: a venue that loses fills breaks every account, and no maker can know.

use super::faults::{Episode, Fault};
use crate::venue::exchange::Exchange;
use crate::venue::order::{Answer, ExecType, Participant, Report, Request};
use crate::venue::playback::Mischief;
use ballast_engine::event::InstrumentId;
use ballast_engine::units::Nanos;
use std::collections::VecDeque;

/// The venue's part of a plan.
pub struct VenueMischief {
    plan: VecDeque<Episode>,
    refuses_until: Nanos,
    doubles_until: Nanos,
    loses_until: Nanos,
    late_until: Nanos,
    /// Fills that are not told yet.
    late: Vec<Report>,
    instruments: u64,
}

impl VenueMischief {
    /// From the episodes that are the venue's.
    pub fn new(plan: Vec<Episode>, instruments: usize) -> VenueMischief {
        VenueMischief {
            plan: plan.into(),
            refuses_until: Nanos(0),
            doubles_until: Nanos(0),
            loses_until: Nanos(0),
            late_until: Nanos(0),
            late: Vec::new(),
            instruments: instruments as u64,
        }
    }
}

impl VenueMischief {
    /// Holds fills back while they are late; what was held comes behind all else.
    fn delay_fills(&mut self, at: Nanos, reports: &mut Vec<Report>, fresh: usize) {
        if at < self.late_until {
            self.late.extend(reports.extract_if(fresh.., |report| is_fill(report)));
        } else {
            reports.append(&mut self.late);
        }
    }
}

/// Whether a fault is for this file.
pub fn is_of_venue(fault: Fault) -> bool {
    [
        Fault::DuplicateReports,
        Fault::LostAcks,
        Fault::RejectStorm,
        Fault::UnsolicitedCancels,
        Fault::LateFills,
        Fault::Overfill,
        Fault::TradeBust,
        Fault::TradeCorrection,
    ]
    .contains(&fault)
}

fn is_fill(report: &Report) -> bool {
    match &report.answer {
        Answer::Execution(execution) => execution.exec_type == ExecType::Trade,
        Answer::CancelReject(_)
        | Answer::MassCanceled { .. }
        | Answer::Listed { .. }
        | Answer::Position { .. } => false,
    }
}

/// Whether a request's answer, which may be gone for good: whoever asked finds out by asking again.
fn is_ack(answer: &Answer) -> bool {
    match answer {
        Answer::Execution(report) => {
            [ExecType::New, ExecType::Canceled, ExecType::Replaced].contains(&report.exec_type)
        }
        Answer::CancelReject(_) => true,
        Answer::MassCanceled { .. } | Answer::Listed { .. } | Answer::Position { .. } => false,
    }
}

impl Mischief for VenueMischief {
    fn before(&mut self, at: Nanos, exchange: &mut Exchange, reports: &mut Vec<Report>) {
        while let Some(episode) = self.plan.front().copied().filter(|e| e.from <= at) {
            self.plan.pop_front();
            match episode.fault {
                Fault::RejectStorm => self.refuses_until = episode.until,
                Fault::DuplicateReports => self.doubles_until = episode.until,
                Fault::LostAcks => self.loses_until = episode.until,
                Fault::LateFills => self.late_until = episode.until,
                Fault::UnsolicitedCancels => {
                    let place = u16::try_from(episode.dice % self.instruments).unwrap_or(0);
                    let instrument = Some(InstrumentId(place));
                    exchange.submit(at, Participant(0), Request::CancelAll { instrument });
                }
                Fault::Overfill => exchange.overfill(Participant(0), episode.dice, reports),
                Fault::TradeBust => {
                    exchange.amend_trade(Participant(0), (episode.dice, false), reports);
                }
                Fault::TradeCorrection => {
                    exchange.amend_trade(Participant(0), (episode.dice, true), reports);
                }
                _ => {}
            }
        }
        exchange.set_closed(at < self.refuses_until);
    }

    fn after(&mut self, at: Nanos, reports: &mut Vec<Report>, fresh: usize) {
        self.delay_fills(at, reports, fresh);
        let is_lossy = at < self.loses_until;
        let copies = if at < self.doubles_until { 2 } else { 1 };
        if !is_lossy && copies == 1 {
            return;
        }
        let new: Vec<Report> = reports.drain(fresh..).collect();
        let kept = new.into_iter().filter(|report| !(is_lossy && is_ack(&report.answer)));
        for report in kept {
            reports.extend(std::iter::repeat_n(report, copies));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate;
    use crate::venue::exchange::VenueOptions;
    use crate::venue::order::{Lifetime, NewOrder};
    use ballast_engine::event::{ClOrdId, MarketEvent, MarketUpdate::Level};
    use ballast_engine::units::{Lots, Side, Stamp, Ticks};

    const BTC: InstrumentId = InstrumentId(0);

    fn exchange() -> Exchange {
        let config = simulate::config().unwrap().maker(1).unwrap();
        Exchange::new(&config.instruments, VenueOptions::default())
    }

    /// What an order, a replace that trades, and a replace of an order that is gone are answered with.
    fn answers() -> Vec<Report> {
        let mut exchange = exchange();
        let (at, venue_at, stamp) = (Nanos(0), Nanos(0), Stamp(0));
        let update = Level { side: Side::Sell, price: Ticks(110), size: Lots(10) };
        let event =
            MarketEvent { at, venue_at, stamp, update, instrument: BTC, last_in_message: true };
        exchange.on_market(&event, &mut Vec::new());
        let new = NewOrder {
            cl_ord_id: ClOrdId(1),
            instrument: BTC,
            side: Side::Buy,
            price: Ticks(100),
            size: Lots(2),
            lifetime: Lifetime::Resting,
        };
        let replace = |id| Request::Replace {
            cl_ord_id: ClOrdId(id),
            orig_cl_ord_id: ClOrdId(id - 1),
            price: Ticks(110),
            size: Lots(2),
        };
        let mut reports = Vec::new();
        for request in [Request::New(new), replace(2), replace(3)] {
            exchange.submit(exchange.now(), Participant(0), request);
            exchange.on_arrival(&mut reports);
        }
        reports
    }

    #[test]
    fn lost_answers_are_those_to_replaces_and_refusals_too_and_never_a_fill() {
        let (from, until) = (Nanos(0), Nanos(10));
        let episode = Episode { from, until, fault: Fault::LostAcks, dice: 0 };
        let mut mischief = VenueMischief::new(vec![episode], 1);
        let mut reports = answers();
        let fills = reports.iter().filter(|report| is_fill(report)).count();
        let is_refusal = |report: &Report| matches!(report.answer, Answer::CancelReject(_));
        let is_replaced = |report: &Report| match &report.answer {
            Answer::Execution(execution) => execution.exec_type == ExecType::Replaced,
            _ => false,
        };
        assert!(fills > 0 && reports.iter().any(is_refusal), "{reports:?}");
        assert!(reports.iter().any(is_replaced), "{reports:?}");
        mischief.before(from, &mut exchange(), &mut Vec::new());
        mischief.after(from, &mut reports, 0);
        assert_eq!(reports.len(), fills, "{reports:?}");
        assert!(reports.iter().all(is_fill));
    }
}
