//! Drop copy: a second session on which the venue repeats every report of the account, and what only it said.
//!
//! A part of the order-entry stage, fed by its own session; feeds the desk with executions that the order
//! session has not told in [`GRACE_NS`] (it is down, or the venue lost them), once each, by ExecID(17).
//! Order-entry thread; looks at its socket once in [`POLL_NS`]; the places for what is held are taken at
//! start. Deliberately absent: anything but executions. What an order is, the order session says: a copy may
//! be older than what was asked since. An execution of an order that nobody here knows is told as well: it
//! is the account's. What an earlier run heard and nobody told before it died is in this session's store, and
//! is told at the start, unless the copy's numbers began anew since.

use super::desk::{Arrival, Desk};
use super::exec_ids::CopyMark;
use super::report::{Report, ReportTags};
use super::status::{ExecType, Meaning};
use crate::fix::decode::Decoder;
use crate::fix::message::Message;
use crate::fix::msg_type;
use crate::session::{Event, ReconnectConfig, Session};
use crate::store::Store;
use crate::venue::line::{Dial, Line, LineTurn};
use ballast_engine::event::OrderEvent;
use ballast_engine::units::{Nanos, Side, Stamp};
use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

/// How much later than its copy the order session may tell an execution.
pub const GRACE_NS: u64 = 1_000_000_000;
/// How often the copies are looked at.
const POLL_NS: u64 = 1_000_000;
/// Copies that may wait. One more, and the oldest is told at once.
const HELD_MAX: usize = 1024;
/// Messages of an earlier run, before the first that was not dealt with, in which executions are looked for that
/// were told and that no journal has: more than it may lack.
const TAKEN_UP_MAX: u64 = 4096;
/// Bytes that a copy has room for without an allocation.
const FRAME_BYTES: usize = 512;

/// What came over a drop copy. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DropCopyCounts {
    /// Executions.
    pub executions: u64,
    /// Of those: told by the order session as well.
    pub confirmed: u64,
    /// Of those: told by nobody else, and booked from here.
    pub missed: u64,
    /// Connections that ended.
    pub drops: u64,
}

struct Held {
    due: Nanos,
    /// MsgSeqNum(34) of the copy, and since when its numbers counted.
    number: u64,
    since: Nanos,
    frame: Vec<u8>,
}

/// The session and what it said.
pub(super) struct DropCopy<D: Dial, S: Store> {
    line: Line<D, S>,
    tags: ReportTags,
    held: VecDeque<Held>,
    /// Buffers that wait for a frame.
    spare: Vec<Vec<u8>>,
    polled_at: Nanos,
    decoder: Decoder,
    counts: DropCopyCounts,
}

impl<D: Dial, S: Store> DropCopy<D, S> {
    pub fn new(dial: D, session: Session<S>, redial: ReconnectConfig, tags: ReportTags) -> Self {
        let decoder = Decoder::new(session.config().fields_max);
        DropCopy {
            line: Line::new(dial, session, redial),
            tags,
            held: VecDeque::with_capacity(HELD_MAX),
            spare: (0..HELD_MAX).map(|_| Vec::with_capacity(FRAME_BYTES)).collect(),
            polled_at: Nanos(0),
            decoder,
            counts: DropCopyCounts::default(),
        }
    }

    pub fn counts(&self) -> DropCopyCounts {
        DropCopyCounts { drops: self.line.drops(), ..self.counts }
    }

    pub fn is_logged_on(&self) -> bool {
        self.line.session().is_logged_on()
    }

    /// Hears what there is; says whether it did anything.
    pub fn turn(&mut self, now: Nanos, desk: &Desk) -> bool {
        if now.since(self.polled_at) < POLL_NS || self.spare.is_empty() {
            return false;
        }
        self.polled_at = now;
        let DropCopy { line, tags, held, spare, counts, .. } = self;
        let since = line.session().store().created_at();
        let turn = line.turn(now, |event| {
            let (Event::Message(message), Some(room)) = (event, spare.last_mut()) else {
                return ControlFlow::Continue(());
            };
            if is_execution(&message, *tags) {
                counts.executions += 1;
                let report = Report::read(&message, *tags);
                if desk.has_told(&report) {
                    counts.confirmed += 1;
                } else if desk.is_ours(&report) {
                    room.clear();
                    room.extend_from_slice(message.as_bytes());
                    let frame = spare.pop().unwrap_or_default();
                    let number = message.msg_seq_num().unwrap_or(0);
                    held.push_back(Held { due: now.plus(GRACE_NS), number, since, frame });
                }
            }
            // With no place left the next one waits in the socket.
            if spare.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        turn != LineTurn::Idle
    }

    /// Takes up what an earlier run heard here and nobody has dealt with, or told a maker whose journal lacks
    /// it; but for what the order session has heard: it tells that by itself, or has told it. In the opening
    /// it counts as told. At the start: it allocates.
    pub fn take_up(&mut self, heard: &impl Store, desk: &mut Desk, is_in_opening: bool) {
        let DropCopy { line, tags, held, counts, decoder, .. } = self;
        let store = line.session().store();
        let next = store.next_target();
        let dealt_with = match desk.exec_ids().copy_mark() {
            Some(mark) if mark.numbers_since == store.created_at() => mark.msg_seq_num,
            // Numbers began anew behind it.
            Some(_) => 0,
            // Nobody knows: rather none than one twice.
            None => next,
        };
        let mut untold = Vec::new();
        let since = store.created_at();
        let first = next.saturating_sub(TAKEN_UP_MAX).min(dealt_with.saturating_add(1));
        for number in first.max(1)..next {
            let Some(frame) = store.inbound(number) else { continue };
            let Ok(message) = decoder.decode(frame) else { continue };
            let report = Report::read(&message, *tags);
            let Some(execution) = execution_of(&message, &report) else { continue };
            if is_in_opening {
                desk.count_as_told(&report);
            } else if desk.is_untold(&report, number > dealt_with) {
                untold.push((execution, number, frame.to_vec()));
            }
        }
        if !untold.is_empty() {
            let known = executions_in(heard, decoder, *tags);
            untold.retain(|(execution, _, _)| !known.contains(execution));
        }
        for (_, number, frame) in untold {
            counts.executions += 1;
            held.push_back(Held { due: Nanos(0), number, since, frame });
        }
        self.mark(desk);
    }

    /// Everything before what waits is dealt with.
    fn mark(&self, desk: &mut Desk) {
        let store = self.line.session().store();
        let numbers_since = store.created_at();
        let held = self.held.iter().find(|held| held.since == numbers_since);
        let msg_seq_num = held.map_or(store.next_target(), |held| held.number).saturating_sub(1);
        desk.exec_ids.mark_copy(CopyMark { numbers_since, msg_seq_num });
    }

    /// The next execution that nobody else has told; asked again until there is none.
    pub fn next_missed(&mut self, now: Nanos, desk: &mut Desk) -> Option<OrderEvent> {
        let missed = self.tell_next(now, desk);
        self.mark(desk);
        missed
    }

    fn tell_next(&mut self, now: Nanos, desk: &mut Desk) -> Option<OrderEvent> {
        // Bounded: each turn takes one out.
        while let Some(held) = self.held.front() {
            // Of older numbers, the store has it no more.
            let is_kept = held.since == self.line.session().store().created_at();
            if now < held.due && is_kept && !self.spare.is_empty() {
                return None;
            }
            let held = self.held.pop_front()?;
            let told = self.tell(now, &held.frame, desk);
            self.spare.push(held.frame);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    fn tell(&mut self, now: Nanos, frame: &[u8], desk: &mut Desk) -> Option<OrderEvent> {
        let message = self.decoder.decode(frame).ok()?;
        let report = Report::read(&message, self.tags);
        if desk.has_told(&report) {
            self.counts.confirmed += 1;
            return None;
        }
        // Its number is not one of the order session's.
        let event = desk.on_report(Arrival { now, stamp: Stamp(0), msg_seq_num: 0 }, &report);
        self.counts.missed += u64::from(event.is_some());
        event
    }

    /// Logs out.
    pub fn leave(&mut self, now: Nanos) {
        self.line.leave(now);
        self.line.turn(now, |_| ControlFlow::Continue(()));
    }
}

/// What makes an execution one of its own: ExecID(17) and what is said of it, and, where a venue gives the
/// same ExecID(17) again, also Side(54), Symbol(55), OrderID(37) and CumQty(14).
type Execution = (Vec<u8>, u8, Option<usize>, [Vec<u8>; 3]);

fn execution_of(message: &Message<'_>, report: &Report<'_>) -> Option<Execution> {
    let meaning = meaning_of(report).filter(|_| message.msg_type() == msg_type::EXECUTION_REPORT);
    let of = [report.symbol, report.order_id, report.cum_qty];
    let of = of.map(|text| text.unwrap_or_default().to_vec());
    let side = report.side.map(Side::index);
    Some((report.exec_id?.to_vec(), meaning?.of_execution(), side, of))
}

/// All executions that a session has heard, as far as its store goes back.
fn executions_in(
    store: &impl Store,
    decoder: &mut Decoder,
    tags: ReportTags,
) -> BTreeSet<Execution> {
    let mut executions = BTreeSet::new();
    for number in (1..store.next_target()).rev() {
        let Some(frame) = store.inbound(number) else { continue };
        let Ok(message) = decoder.decode(frame) else { continue };
        executions.extend(execution_of(&message, &Report::read(&message, tags)));
    }
    executions
}

fn is_execution(message: &Message<'_>, tags: ReportTags) -> bool {
    message.msg_type() == msg_type::EXECUTION_REPORT
        && meaning_of(&Report::read(message, tags)).is_some()
}

/// What an execution means; `None` for a report that is none, and for one without ExecID(17), of which
/// nobody could say whether the order session has told it.
fn meaning_of(report: &Report<'_>) -> Option<Meaning> {
    let meaning = report.exec_type.and_then(ExecType::parse)?.meaning();
    let is_execution =
        matches!(meaning, Meaning::Filled | Meaning::TradeCorrected | Meaning::TradeCanceled);
    (is_execution && report.exec_id.is_some()).then_some(meaning)
}

impl Desk {
    /// What the account began with has this execution in it.
    fn count_as_told(&mut self, report: &Report<'_>) {
        if let (Some(meaning), Some(exec_id)) = (meaning_of(report), report.exec_id) {
            let side = report.side.unwrap_or(Side::Buy);
            self.exec_ids.is_first(exec_id, side, meaning);
        }
    }

    /// Is this execution, which an earlier run heard, still to be told? What is no news was dealt with,
    /// unless that was forgotten.
    fn is_untold(&self, report: &Report<'_>, is_news: bool) -> bool {
        let is_again = meaning_of(report).zip(report.exec_id).is_some_and(|(meaning, exec_id)| {
            let side = report.side.unwrap_or(Side::Buy);
            self.exec_ids.is_to_be_told_again(exec_id, side, meaning)
        });
        (is_news || is_again) && !self.has_told(report)
    }

    /// Is it of an instrument of ours?
    fn is_ours(&self, report: &Report<'_>) -> bool {
        let order = self.order_of(report).and_then(|handle| self.live().get(handle));
        self.place_of(report, order).is_some()
    }

    /// Was this execution told already?
    fn has_told(&self, report: &Report<'_>) -> bool {
        let (Some(meaning), Some(exec_id)) = (meaning_of(report), report.exec_id) else {
            return false;
        };
        let order = self.order_of(report).and_then(|handle| self.live().get(handle));
        let side = report.side.or(order.map(|order| order.side)).unwrap_or(Side::Buy);
        let is_news = meaning == Meaning::Filled && self.has_grown(report, order);
        !is_news && self.exec_ids().has_told(exec_id, side, meaning)
    }
}
