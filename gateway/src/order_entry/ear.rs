//! What the session's events become: order events for the maker, answers for the reconciliation.
//!
//! Fed by the stage with each event of its line; feeds the maker's ring. Order-entry thread; an order
//! event never drops. Deliberately absent: the line, and what goes out.

use super::desk::{Arrival, Desk};
use super::fills::FILLS_MAX;
use super::kept_name::TermsTold;
use super::reconcile::{Listed, Reconciler};
use super::report::Report;
use super::stage::OrderEntryCounts;
use crate::fix::message::Message;
use crate::fix::{msg_type, tag};
use crate::session::{CloseReason, Ended, Event};
use crate::venue::binance::AMEND_REJECT;
use crate::venue::dialect::Rules;
use ballast_engine::event::{ClOrdId, OrderEvent, OrderUpdate, SessionFault};
use ballast_engine::ring::Producer;
use ballast_engine::units::{Nanos, Stamp};
use std::collections::VecDeque;

/// Events that one message or one end of a connection can cause.
const PARKED_MAX: usize = 9 + FILLS_MAX;

/// A venue that writes what we refuse will write so again: it is not asked more often what it knows.
const ASK_AGAIN_NS: u64 = 5_000_000_000;

/// What the venue's events become, apart from the line that they come from.
pub(super) struct Ear {
    pub desk: Desk,
    pub rules: Rules,
    pub events: Producer<OrderEvent>,
    /// Events that found the ring full, oldest first; while there is one, nothing is read.
    pub parked: VecDeque<OrderEvent>,
    pub counts: OrderEntryCounts,
    pub is_up: bool,
    /// The maker knows that the venue has forgotten the session's numbers.
    pub has_told_forgotten: bool,
    pub reconciler: Reconciler,
    /// Something was lost within the session: when the venue is asked what it knows.
    ask_at: Option<Nanos>,
    /// When it was asked last.
    asked_at: Nanos,
    /// The session logged on in this turn; nothing else is heard before that was told.
    pub has_logged_on: bool,
    /// Cancel all: the next place of the index to look at.
    pub sweep: Option<usize>,
    /// The venue has refused a question after an order in this session.
    pub has_refused_question: bool,
}

impl Ear {
    pub fn new(
        desk: Desk,
        rules: Rules,
        events: Producer<OrderEvent>,
        reconciler: Reconciler,
    ) -> Ear {
        Ear {
            desk,
            rules,
            events,
            parked: VecDeque::with_capacity(PARKED_MAX),
            counts: OrderEntryCounts::default(),
            is_up: false,
            has_told_forgotten: false,
            reconciler,
            ask_at: None,
            asked_at: Nanos(0),
            has_logged_on: false,
            sweep: None,
            has_refused_question: false,
        }
    }

    /// Whether one more message can be heard: its event has a place, here or in the ring.
    pub fn has_room(&mut self) -> bool {
        self.parked.is_empty() && self.events.has_room(1)
    }

    pub fn tell(&mut self, event: OrderEvent) {
        tell(&mut self.events, &mut self.parked, event);
    }

    /// Tells what waits; whether nothing waits any more.
    pub fn settle(&mut self) -> bool {
        while let Some(event) = self.parked.front().copied() {
            if self.events.push(event).is_err() {
                return false;
            }
            self.parked.pop_front();
        }
        true
    }

    pub fn hear(&mut self, now: Nanos, stamp: Stamp, event: Event<'_>) {
        match event {
            Event::LoggedOn { is_reset } => {
                if is_reset {
                    self.desk.sequence_reset();
                }
                self.has_logged_on = true;
                self.has_told_forgotten = false;
            }
            // A Reject(3) is known by its type.
            Event::Message(message) | Event::Rejected(message) => {
                self.hear_message(now, stamp, &message);
            }
            Event::Refused(message) => self.hear_refused(now, message.msg_type()),
            // Questions that wait for the sequence to be whole come behind it.
            Event::PassedOver { .. } if self.reconciler.is_before_questions() => {}
            Event::PassedOver { .. } => self.doubt(now),
            // Answers were lost for good: every unanswered order is in doubt.
            Event::SequenceReset { .. } => {
                self.session_down(now);
                self.has_logged_on = true;
            }
            // The answers come late, but they come; and after a Logout comes the end.
            Event::GapDetected { .. } | Event::LogoutReceived(_) => {}
        }
    }

    /// We refused a message, and what it said is lost. Where it told of orders, every unanswered one is in
    /// doubt, and there may be fills that nobody here knows. Other answers are missed by whoever asked.
    fn hear_refused(&mut self, now: Nanos, msg_type: &[u8]) {
        let tells_of_orders = matches!(
            msg_type,
            msg_type::EXECUTION_REPORT
                | msg_type::ORDER_CANCEL_REJECT
                | AMEND_REJECT
                | msg_type::MASS_QUOTE_ACKNOWLEDGEMENT
                | msg_type::BUSINESS_MESSAGE_REJECT
                | msg_type::REJECT
        );
        if tells_of_orders {
            self.doubt(now);
        } else {
            self.counts.ignored += 1;
        }
    }

    /// There may be answers and fills that nobody here knows: nothing is traded until the venue was asked.
    fn doubt(&mut self, now: Nanos) {
        self.session_down(now);
        self.ask_at = Some(now.max(self.asked_at.plus(ASK_AGAIN_NS)));
    }

    /// Whether it is time to ask the venue again what it knows, within the session.
    pub fn is_to_ask(&self, now: Nanos) -> bool {
        self.ask_at.is_some_and(|at| at <= now)
    }

    pub fn hear_message(&mut self, now: Nanos, stamp: Stamp, message: &Message<'_>) {
        let (arrival, report) = self.read(now, stamp, message);
        let is_report = message.msg_type() == msg_type::EXECUTION_REPORT;
        let report = if is_report { self.desk.as_a_quote(&report) } else { report };
        let report = self.desk.as_the_maker_names(&report);
        let event = match message.msg_type() {
            msg_type::EXECUTION_REPORT => self.hear_report(arrival, &report, message),
            msg_type::ORDER_CANCEL_REJECT => self.desk.on_cancel_reject(arrival, &report),
            AMEND_REJECT if self.rules.has_cancel_and_new => {
                self.desk.refused.amendments = true;
                self.desk.on_cancel_reject(arrival, &report)
            }
            msg_type::MASS_QUOTE_ACKNOWLEDGEMENT if self.desk.quotes.is_used() => {
                self.hear_quotes_answered(arrival, message);
                None
            }
            msg_type::BUSINESS_MESSAGE_REJECT | msg_type::REJECT => {
                self.hear_rejected(arrival, &report)
            }
            msg_type::ORDER_MASS_CANCEL_REPORT => {
                self.reconciler.on_mass_cancel(message);
                None
            }
            msg_type::REQUEST_FOR_POSITIONS_ACK => {
                self.reconciler.on_positions_ack(message);
                None
            }
            msg_type::POSITION_REPORT => {
                let symbol = self.rules.report_tags.symbol;
                self.reconciler.on_positions(message, self.desk.symbols(), symbol);
                None
            }
            _ => {
                self.counts.ignored += 1;
                None
            }
        };
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// Reject(3) or BusinessMessageReject(j).
    fn hear_rejected(&mut self, arrival: Arrival, report: &Report<'_>) -> Option<OrderEvent> {
        if report.ref_seq_num.is_some_and(|n| self.desk.quotes.has_sent(n)) {
            let Ear { desk, events, parked, .. } = self;
            desk.on_quotes_rejected(arrival, report, |event| tell(events, parked, event));
            return None;
        }
        let is_order = report.ref_seq_num.is_some_and(|n| self.desk.has_sent(n));
        self.desk.refused.note(report.ref_msg_type);
        let refused = self.desk.on_question_refused(arrival, report);
        self.has_refused_question |= refused.is_some();
        if refused.is_some() {
            refused
        } else if !is_order && self.reconciler.on_refused(report.ref_seq_num) {
            self.desk.question_refused();
            None
        } else {
            self.desk.on_message_reject(arrival, report)
        }
    }

    fn hear_quotes_answered(&mut self, arrival: Arrival, message: &Message<'_>) {
        let has_cancelled_all = self.reconciler.has_asked_out();
        let Ear { desk, events, parked, .. } = self;
        desk.on_quotes_answered(arrival, message, has_cancelled_all, |event| {
            tell(events, parked, event);
        });
    }

    fn hear_report(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        message: &Message<'_>,
    ) -> Option<OrderEvent> {
        if !self.reconciler.is_active() {
            return match self.desk.question_of(report) {
                Some(asked) => self.hear_answer(arrival, report, &asked),
                None => self.book(arrival, report, message),
            };
        }
        match self.reconciler.on_listed(message) {
            Listed::Empty => return None,
            Listed::Order => {
                if let Some(stranger) = self.desk.stranger(arrival, report) {
                    self.reconciler.on_stranger(stranger);
                    return None;
                }
            }
            Listed::No if report.ord_status_req_id != ClOrdId::NONE => self.reconciler.on_status(),
            Listed::No if message.get(tag::MASS_STATUS_REQ_TYPE).is_some() => {
                self.reconciler.on_status();
            }
            Listed::No => {}
        }
        self.book(arrival, report, message)
    }

    /// A venue that tells statuses tells several fills in one report.
    fn book(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        message: &Message<'_>,
    ) -> Option<OrderEvent> {
        // Before what traded, which is booked all the same: nothing is sized by it in between.
        if let Some(event) = self.desk.contract_differs(arrival, report) {
            self.tell(event);
        }
        if !report.is_status_led {
            return self.desk.on_report(arrival, report);
        }
        match self.desk.terms_told(arrival, report) {
            TermsTold::Only(event) => return Some(event),
            TermsTold::AndMore(event) => self.tell(event),
            TermsTold::Nothing => {}
        }
        let report = &self.desk.as_the_maker_names(report);
        let Ear { desk, events, parked, .. } = self;
        desk.on_grouped_report(arrival, report, message, |event| tell(events, parked, event));
        None
    }

    fn read<'a>(&self, now: Nanos, stamp: Stamp, message: &Message<'a>) -> (Arrival, Report<'a>) {
        let msg_seq_num = message.msg_seq_num().unwrap_or(0);
        // A refusal of a cancel names what the cancel named.
        let tags = match message.msg_type() {
            msg_type::ORDER_CANCEL_REJECT => self.rules.refusal_tags,
            _ => self.rules.report_tags,
        };
        (Arrival { now, stamp, msg_seq_num }, Report::read(message, tags))
    }

    /// Logged on: the maker learns since when the numbers count, and the venue is asked what it knows.
    pub fn begin_reconciling(&mut self, now: Nanos, stamp: Stamp, numbers_since: Nanos) {
        (self.ask_at, self.asked_at) = (None, now);
        self.tell_numbers(now, stamp, (numbers_since, 0));
        self.reconciler.begin(now);
    }

    /// Since when the session's numbers count from 1, and which of them the account has taken in.
    pub fn tell_numbers(&mut self, now: Nanos, stamp: Stamp, (numbers_since, last): (Nanos, u64)) {
        let arrival = Arrival { now, stamp, msg_seq_num: last };
        self.desk.count_since(numbers_since);
        let event = self.desk.session_event(arrival, OrderUpdate::SessionReconciling);
        self.tell(OrderEvent { venue_at: numbers_since, ..event });
    }

    /// Whether new orders may go out: the session is up, and what the venue knows is reconciled.
    pub fn may_trade(&self) -> bool {
        self.is_up && !self.reconciler.is_active()
    }

    pub fn session_up(&mut self, now: Nanos) {
        self.is_up = true;
        self.has_refused_question = false;
        let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
        let event = self.desk.session_event(arrival, OrderUpdate::SessionUp);
        self.tell(event);
    }

    pub fn session_down(&mut self, now: Nanos) {
        // Also where a doubt took the session down before: a cancel that went out since is lost as well.
        if self.desk.session_over() {
            self.reconciler.expect_earlier_orders();
        }
        if self.is_up || self.reconciler.is_active() {
            self.is_up = false;
            self.reconciler.stop();
            let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
            let event = self.desk.session_event(arrival, OrderUpdate::SessionDown);
            self.tell(event);
        }
    }
}

impl Ear {
    /// A connection ended. Where the venue's numbers begin anew and nobody asked for it, what it still
    /// knows of our orders and fills is unknown, and no Logon will tell: an operator must look.
    pub fn judge_end(&mut self, now: Nanos, ended: Ended) {
        let is_forgotten = matches!(
            ended,
            Ended::Session(CloseReason::MsgSeqNumTooLow | CloseReason::ResetUnasked)
        );
        if is_forgotten && !std::mem::replace(&mut self.has_told_forgotten, true) {
            self.halted(now, SessionFault::SequenceForgotten);
        }
    }

    /// The session is given up for this reason.
    pub fn halted(&mut self, now: Nanos, fault: SessionFault) {
        let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
        let event = self.desk.session_event(arrival, OrderUpdate::SessionHalted { fault });
        self.tell(event);
    }
}

fn tell(events: &mut Producer<OrderEvent>, parked: &mut VecDeque<OrderEvent>, event: OrderEvent) {
    if !parked.is_empty() || events.push(event).is_err() {
        debug_assert!(parked.len() < PARKED_MAX, "nothing is read while events wait");
        parked.push_back(event);
    }
}
