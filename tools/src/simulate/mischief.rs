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

fn is_ack(answer: &Answer) -> bool {
    match answer {
        Answer::Execution(report) => {
            [ExecType::New, ExecType::Canceled].contains(&report.exec_type)
        }
        Answer::CancelReject(_)
        | Answer::MassCanceled { .. }
        | Answer::Listed { .. }
        | Answer::Position { .. } => false,
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
