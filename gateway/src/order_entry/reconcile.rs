//! After each logon, before anything is traded: what does the venue know of our orders and holdings?
//!
//! Fed by the stage with the session's state, the index and the venue's answers; tells the stage what to
//! ask next. Order-entry thread; cold, and yet nothing allocates. In this order, each step where the
//! venue has it: the sequence is whole → all mass quotes out (Z) → all orders out (q) → what became of
//! each that we know (AF naming it, `lists_one`) → what is left out one by one (F) → a list of what still
//! works (AF), of which what we do not know is cancelled, until a list has none of it or the maker is told
//! that some remain → each order that we know and it does not (H) → what we hold (AN), asked while nothing
//! of ours is on its way → up. A question that is refused or not answered in time is passed over: what it would have
//! settled stays in doubt, and the maker knows. So is an answer that says nothing: holdings of a symbol
//! that we do not know, a quantity that is none, "no positions" of an account that nobody named.
//! Deliberately absent: what follows from an answer; the maker decides.

use super::live_orders::{LiveOrder, LiveOrders};
use crate::fix::message::Message;
use crate::fix::{tag, value};
use crate::venue::dialect::{Reconciliation, Rules};
use ballast_engine::event::{ClOrdId, OrderIntent};
use ballast_engine::units::{Lots, Nanos};

mod holdings;

/// How long one step may take.
const PATIENCE_NS: u64 = 5_000_000_000;
/// Orders of one list that we do not know and that are cancelled; the next list has the rest.
const STRANGERS_MAX: usize = 256;
/// Lists that are asked for until one has no stranger, and the time that cancels are given in between.
const LISTS_MAX: u8 = 8;
const RELIST_NS: u64 = 250_000_000;

/// What the venue is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// OrderMassCancelRequest(q), of everything or of the symbol at this place.
    MassCancel(Option<usize>),
    /// QuoteCancel(Z) of all mass quotes.
    QuoteCancel,
    /// OrderMassStatusRequest(AF).
    MassStatus,
    /// OrderStatusRequest(H) of the live order at this place of the index.
    Status(usize),
    /// OrderMassStatusRequest(AF) of the live order at this place alone: what became of it.
    Fate(usize),
    /// RequestForPositions(AN).
    Positions,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// Cancel the orders of the index one by one.
    Sweep,
    /// Ask.
    Ask(Question),
    /// Cancel an order that only the venue knows.
    Cancel(OrderIntent),
    /// Tell the maker that orders remain which nobody here knows.
    TellUnknown,
    /// The venue's word on the holdings of the symbol at this place.
    Tell(usize, Lots),
    /// A contract of the symbol at this place is worth something else than the config says.
    TellContract(usize),
    /// The session may carry orders.
    Up,
}

/// How far a question is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Unasked,
    Awaited,
    Given,
    /// Refused, or too late.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Syncing,
    Unquoting,
    Cancelling,
    Inquiring,
    Sweeping,
    Listing,
    Relisting,
    Asking,
    Counting,
    Telling,
}

/// The reconciliation of one session.
pub(super) struct Reconciler {
    has: Reconciliation,
    /// The venue cancels our orders with the session: they need not be asked out one by one.
    cancels_on_disconnect: bool,
    /// q names a symbol.
    by_symbol: bool,
    /// One report has all that is held ([`Rules::positions_are_whole`]).
    is_whole: bool,
    /// AF tells of one order ([`Rules::lists_one`]).
    lists_one: bool,
    /// Mass quotes are asked out, too.
    has_quotes: bool,
    /// q found nothing to cancel.
    is_none_affected: bool,
    /// The account may have orders that this process never sent.
    has_earlier: bool,
    phase: Phase,
    /// The step in hand began.
    since: Nanos,
    answer: Answer,
    /// MsgSeqNum(34) of the first and the last question of the step in hand; 0 where there was none.
    asked: (u64, u64),
    /// The next place of the index, or of the symbols.
    place: usize,
    unanswered: usize,
    strangers: Vec<OrderIntent>,
    /// The list in hand had some.
    has_cancelled: bool,
    /// Lists before the one in hand that had some, or did not come after one that had.
    lists: u8,
    /// The config names the account that positions are asked of.
    has_account: bool,
    /// The venue's word, by place of the symbol; what it does not name is none.
    held: Box<[Lots]>,
    /// Of which of them ContractMultiplier(231) was another than the config's.
    differs: Box<[bool]>,
    reports: u64,
    /// How many reports the venue has said that there are.
    reports_total: Option<u64>,
    /// Every report so far was understood.
    is_legible: bool,
}

impl Reconciler {
    pub(super) fn new(rules: &Rules, symbols: usize) -> Reconciler {
        Reconciler {
            has: rules.reconciliation,
            cancels_on_disconnect: rules.cancels_on_disconnect,
            by_symbol: rules.mass_cancel_by_symbol,
            is_whole: rules.positions_are_whole,
            lists_one: rules.lists_one,
            has_quotes: false,
            is_none_affected: true,
            has_earlier: false,
            phase: Phase::Idle,
            since: Nanos(0),
            answer: Answer::Unasked,
            asked: (0, 0),
            place: 0,
            unanswered: 0,
            strangers: Vec::with_capacity(STRANGERS_MAX),
            has_cancelled: false,
            lists: 0,
            has_account: false,
            held: vec![Lots(0); symbols].into_boxed_slice(),
            differs: vec![false; symbols].into_boxed_slice(),
            reports: 0,
            reports_total: None,
            is_legible: true,
        }
    }

    /// The config names the account.
    pub(super) fn name_account(&mut self) {
        self.has_account = true;
    }

    /// Instruments are quoted by MassQuote(i).
    pub(super) fn expect_quotes(&mut self) {
        self.has_quotes = true;
    }

    /// Everything was asked out, and what became of it was asked.
    pub(super) fn has_asked_out(&self) -> bool {
        let is_before = matches!(
            self.phase,
            Phase::Idle | Phase::Syncing | Phase::Unquoting | Phase::Cancelling | Phase::Inquiring
        );
        !is_before
    }

    /// The venue may have orders that the index has not: another process's, or a quote that only it knows.
    pub(super) fn expect_earlier_orders(&mut self) {
        self.has_earlier = true;
    }

    /// The session is logged on.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.strangers.clear();
        self.has_cancelled = false;
        self.lists = 0;
        self.held.fill(Lots(0));
        self.differs.fill(false);
        self.reports = 0;
        self.reports_total = None;
        self.is_legible = true;
        self.is_none_affected = true;
        self.enter(now, Phase::Syncing);
    }

    /// The session is gone.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Is it under way?
    pub(super) fn is_active(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// It is, and has not asked anything yet.
    pub(super) fn is_before_questions(&self) -> bool {
        self.phase == Phase::Syncing
    }

    fn enter(&mut self, now: Nanos, phase: Phase) {
        self.phase = phase;
        self.since = now;
        self.answer = Answer::Unasked;
        self.asked = (0, 0);
        self.place = 0;
        self.unanswered = 0;
    }

    /// The question went out under this MsgSeqNum(34).
    pub(super) fn on_asked(&mut self, question: Question, msg_seq_num: u64) {
        let first = if self.asked.0 == 0 { msg_seq_num } else { self.asked.0 };
        self.asked = (first, msg_seq_num);
        match question {
            Question::Status(place) | Question::Fate(place) => {
                self.place = place.saturating_add(1);
                self.unanswered = self.unanswered.saturating_add(1);
            }
            Question::MassCancel(_)
            | Question::QuoteCancel
            | Question::MassStatus
            | Question::Positions => {
                self.answer = Answer::Awaited;
            }
        }
    }

    /// The stranger's cancel went out.
    pub(super) fn on_cancelled(&mut self) {
        self.strangers.pop();
    }

    /// What to do now; asked again after each step that is not [`Step::Wait`].
    pub(super) fn next(
        &mut self,
        now: Nanos,
        is_synced: bool,
        live: &LiveOrders,
        is_sweeping: bool,
    ) -> Step {
        let is_late = now.since(self.since) > PATIENCE_NS;
        if is_late && self.answer == Answer::Awaited {
            self.answer = Answer::None;
        }
        match self.phase {
            Phase::Idle => Step::Wait,
            Phase::Syncing if !is_synced => Step::Wait,
            Phase::Syncing => self.begin_cancelling(now, live),
            Phase::Unquoting => match self.answer {
                Answer::Unasked => Step::Ask(Question::QuoteCancel),
                Answer::Awaited => Step::Wait,
                Answer::Given | Answer::None => self.cancel_orders(now, live),
            },
            Phase::Cancelling => match self.answer {
                Answer::Unasked => Step::Ask(self.mass_cancel()),
                Answer::Awaited => Step::Wait,
                // Reports of the single orders may come behind the one for all.
                Answer::Given if live.live_count() > 0 && !is_late && !self.is_none_affected => {
                    Step::Wait
                }
                Answer::Given if live.live_count() == 0 => self.list(now),
                Answer::Given | Answer::None => self.inquire(now, live),
            },
            Phase::Inquiring => self.inquire_one(now, live, is_late),
            Phase::Sweeping if (is_sweeping || live.live_count() > 0) && !is_late => Step::Wait,
            Phase::Sweeping => self.list(now),
            Phase::Listing => match self.answer {
                Answer::Unasked => Step::Ask(Question::MassStatus),
                Answer::Awaited => Step::Wait,
                Answer::Given | Answer::None => self.cancel_one(now),
            },
            Phase::Relisting if now.since(self.since) < RELIST_NS => Step::Wait,
            Phase::Relisting => self.list(now),
            Phase::Asking => self.ask_one(now, live, is_late),
            Phase::Counting => match self.answer {
                Answer::Unasked => Step::Ask(Question::Positions),
                Answer::Awaited => Step::Wait,
                Answer::Given => {
                    self.enter(now, Phase::Telling);
                    self.tell_one()
                }
                Answer::None => self.up(),
            },
            Phase::Telling => self.tell_one(),
        }
    }

    fn begin_cancelling(&mut self, now: Nanos, live: &LiveOrders) -> Step {
        let may_be_there = live.live_count() > 0 || self.has_earlier;
        self.has_earlier = false;
        if !may_be_there {
            return self.inquire(now, live);
        }
        if self.has_quotes {
            self.enter(now, Phase::Unquoting);
            return Step::Ask(Question::QuoteCancel);
        }
        self.cancel_orders(now, live)
    }

    fn cancel_orders(&mut self, now: Nanos, live: &LiveOrders) -> Step {
        if !self.has.mass_cancel {
            return self.inquire(now, live);
        }
        self.enter(now, Phase::Cancelling);
        Step::Ask(self.mass_cancel())
    }

    fn inquire(&mut self, now: Nanos, live: &LiveOrders) -> Step {
        if !self.lists_one || live.live_count() == 0 {
            return self.sweep(now, live);
        }
        self.enter(now, Phase::Inquiring);
        Step::Wait
    }

    /// One after the other; a venue's limit may make it long, and each has its time to be answered.
    fn inquire_one(&mut self, now: Nanos, live: &LiveOrders, is_late: bool) -> Step {
        let can_ask =
            |place: &usize| live.live_at(*place).is_some_and(LiveOrder::can_be_asked_about);
        if let Some(place) = (self.place..live.capacity()).find(can_ask) {
            self.since = now;
            return Step::Ask(Question::Fate(place));
        }
        self.place = live.capacity();
        if self.unanswered > 0 && live.live_count() > 0 && !is_late {
            return Step::Wait;
        }
        self.sweep(now, live)
    }

    fn mass_cancel(&self) -> Question {
        Question::MassCancel(self.by_symbol.then_some(self.place))
    }

    fn sweep(&mut self, now: Nanos, live: &LiveOrders) -> Step {
        // What the venue cancels by itself is asked about where that lets us ask for positions.
        let is_trusted = self.cancels_on_disconnect && !self.has.positions;
        if live.live_count() == 0 || is_trusted {
            return self.list(now);
        }
        self.enter(now, Phase::Sweeping);
        Step::Sweep
    }

    fn list(&mut self, now: Nanos) -> Step {
        if !self.has.mass_status {
            return self.ask(now);
        }
        self.enter(now, Phase::Listing);
        Step::Ask(Question::MassStatus)
    }

    /// The next stranger; after the last of a list, what became of them. A cancel may be lost or refused,
    /// and a list may have been longer than what is kept of it.
    fn cancel_one(&mut self, now: Nanos) -> Step {
        if let Some(stranger) = self.strangers.last() {
            self.has_cancelled = true;
            return Step::Cancel(*stranger);
        }
        let (has_cancelled, is_told) =
            (std::mem::take(&mut self.has_cancelled), self.answer == Answer::Given);
        // A list that does not come says nothing of those that were cancelled before.
        if !has_cancelled && (is_told || self.lists == 0) {
            return self.ask(now);
        }
        self.lists = self.lists.saturating_add(1);
        if self.lists < LISTS_MAX {
            self.enter(now, Phase::Relisting);
            return Step::Wait;
        }
        self.enter(now, Phase::Asking);
        Step::TellUnknown
    }

    fn ask(&mut self, now: Nanos) -> Step {
        self.enter(now, Phase::Asking);
        // A turn later: what the list said is in the index then.
        Step::Wait
    }

    fn ask_one(&mut self, now: Nanos, live: &LiveOrders, is_late: bool) -> Step {
        if self.has.status {
            let next = (self.place..live.capacity()).find(|place| live.live_at(*place).is_some());
            if let Some(place) = next {
                return Step::Ask(Question::Status(place));
            }
            self.place = live.capacity();
            if self.unanswered > 0 && live.live_count() > 0 && !is_late {
                return Step::Wait;
            }
        }
        // With an order out or in doubt, what the venue holds and what we do may rightly differ.
        if self.has.positions && live.live_count() == 0 {
            self.enter(now, Phase::Counting);
            return Step::Ask(Question::Positions);
        }
        self.up()
    }

    fn tell_one(&mut self) -> Step {
        let Some(lots) = self.held.get(self.place).copied() else { return self.up() };
        if let Some(differs) = self.differs.get_mut(self.place)
            && std::mem::take(differs)
        {
            return Step::TellContract(self.place);
        }
        self.place = self.place.saturating_add(1);
        Step::Tell(self.place.saturating_sub(1), lots)
    }

    fn up(&mut self) -> Step {
        self.phase = Phase::Idle;
        Step::Up
    }

    /// A Reject(3) or BusinessMessageReject(j) of one of our messages: says whether it was a question.
    pub(super) fn on_refused(&mut self, ref_seq_num: Option<u64>) -> bool {
        let (first, last) = self.asked;
        let is_ours = ref_seq_num.is_some_and(|n| first != 0 && (first..=last).contains(&n));
        if is_ours && self.answer == Answer::Awaited {
            self.answer = Answer::None;
        } else if is_ours {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        is_ours
    }

    /// OrderMassCancelReport(r).
    pub(super) fn on_mass_cancel(&mut self, message: &Message<'_>) {
        if self.phase == Phase::Unquoting {
            self.answer = Answer::Given;
        } else if self.phase == Phase::Cancelling {
            let is_refused = message.get(tag::MASS_CANCEL_RESPONSE) == Some(b"0");
            let affected = message.get(tag::TOTAL_AFFECTED_ORDERS).and_then(value::parse_uint);
            self.is_none_affected &= affected == Some(0);
            let has_next = self.by_symbol && self.place.saturating_add(1) < self.held.len();
            self.answer = match (is_refused, has_next) {
                (true, _) => Answer::None,
                (false, true) => {
                    self.place = self.place.saturating_add(1);
                    Answer::Unasked
                }
                (false, false) => Answer::Given,
            };
        }
    }

    /// Is an ExecutionReport(8) a part of the list that was asked for, and does it stand for an order?
    pub(super) fn on_listed(&mut self, message: &Message<'_>) -> Listed {
        if self.phase != Phase::Listing || message.get(tag::MASS_STATUS_REQ_ID).is_none() {
            return Listed::No;
        }
        if message.get(tag::LAST_RPT_REQUESTED) == Some(b"Y") {
            self.answer = Answer::Given;
        }
        match message.get(tag::TOT_NUM_REPORTS) {
            Some(b"0") => Listed::Empty,
            Some(_) | None => Listed::Order,
        }
    }

    /// The list has an order that the index has not.
    pub(super) fn on_stranger(&mut self, stranger: OrderIntent) {
        if stranger.orig_cl_ord_id != ClOrdId::NONE && self.strangers.len() < STRANGERS_MAX {
            self.strangers.push(stranger);
        }
    }

    /// The answer to a question after one order.
    pub(super) fn on_status(&mut self) {
        if matches!(self.phase, Phase::Asking | Phase::Inquiring) {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
    }
}

/// What an ExecutionReport(8) is to the list that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Listed {
    /// No part of it.
    No,
    /// It says that there is nothing to list.
    Empty,
    /// An order.
    Order,
}
