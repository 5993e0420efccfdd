//! The order-entry stage: intents in, FIX orders out, the venue's answers back.
//!
//! Fed by the maker's intent ring and by its own session to the venue; feeds the maker's order-event
//! ring. One thread, pinned where the config says so; nothing allocates after the first logon.
//!
//! **Nothing is silently dropped.** An intent that cannot go out (session down, or for orders and
//! replaces not reconciled yet; the venue's limit; no room in the index or the buffer) comes back as
//! `Unsent`, and so does an order that lay in the ring for a second. An order event never drops: while the event ring is full, the stage takes no intent and
//! reads no byte, and the venue's answers wait in the socket; the session's own timers wait with them. A
//! cancel of everything goes out all the same (`sweeping.rs`).
//! A taken position is the reader's to know.
//!
//! **Nothing else goes out** than what was intended: a witness at the socket (`witness.rs`) compares; on the
//! first difference the session ends, the maker halts, and only cancels go out of this process again.
//!
//! Ids: the maker's ClOrdIDs use the lower half of a run's counter, the stage's own cancels the upper
//! ([`OWN_IDS`]). When the maker goes away the stage cancels what is out, dialling for it where the session is
//! down, logs out and is done; what its index still holds then may work on.

use super::desk::{Desk, DeskCounts};
use super::drop_copy::DropCopy;
use super::ear::Ear;
use super::exec_ids::ExecIds;
use super::live_orders::{Form, LiveOrder};
use super::reconcile::Reconciler;
use super::requests::{RequestError, Requests};
use super::returned::RETURNED_MAX;
use super::throttle::Throttle;
use super::waiting::Waiting;
use super::witness::{Intended, Witnessed};
use crate::fix::decode::Decoder;
use crate::fix::template::TemplateError;
use crate::session::{ReconnectConfig, Session};
use crate::store::Store;
use crate::venue::dialect::Rules;
use crate::venue::line::{Dial, Line, LineTurn};
use crate::venue::symbols::Symbols;
use crate::venue::time_base::TimeBase;
use ballast_engine::event::{ClOrdId, OrderAction, OrderEvent, OrderIntent, SessionFault};
use ballast_engine::latency::{Mark, Probe};
use ballast_engine::ring::{Consumer, Producer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Nanos, Stamp};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asking_out::AskingOut;
use quoting::Quoting;
use sweeping::{CANCELS_MAX, Sweeping};

mod asking;
mod asking_out;
mod copies;
mod quoting;
mod reconciling;
mod renewing;
mod returning;
mod sweeping;

/// From here on a run's ClOrdID counter belongs to the stage's own cancels.
pub const OWN_IDS: u64 = 1 << (ClOrdId::COUNTER_BITS - 1);
/// Intents taken in one turn.
const INTENTS_MAX: usize = 64;
/// An order or a replace that the maker decided so long ago is not what it would decide now: this thread was
/// held up.
const INTENT_AGE_MAX_NS: u64 = 1_000_000_000;

/// What the stage is told once.
#[derive(Clone, Debug)]
pub struct OrderEntryConfig {
    /// The run's persisted epoch, the upper bits of every ClOrdID.
    pub epoch: u32,
    /// Most orders out at a time.
    pub orders_max: usize,
    /// Whose clock events carry.
    pub time_base: TimeBase,
    /// Account(1), where the venue wants it.
    pub account: Option<String>,
    /// Which host is dialled when.
    pub redial: ReconnectConfig,
    /// How long a stage that winds down waits for its cancels, and dials for them, in ns.
    pub wind_down_ns: u64,
}

/// What the stage did. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderEntryCounts {
    /// Intents taken from the ring.
    pub intents: u64,
    /// Order messages that went to the session, own cancels included.
    pub sent: u64,
    /// Cancels sent without the maker.
    pub own_cancels: u64,
    /// Cancels of orders in doubt that went out as questions.
    pub questions: u64,
    /// Intents that came back as `Unsent`.
    pub unsent: u64,
    /// Of those: because of the venue's limit.
    pub throttled: u64,
    /// Application messages of a type that order entry does not take.
    pub ignored: u64,
    /// Turns in which the event ring was full and nothing was read.
    pub stalled_turns: u64,
}

/// Makes the stage cancel everything, or send no new order, from any thread: the operator's hand.
#[derive(Clone, Debug, Default)]
pub struct CancelSwitch(Arc<Levers>);

#[derive(Debug, Default)]
struct Levers {
    cancel: AtomicBool,
    is_shut: AtomicBool,
}

impl CancelSwitch {
    /// Cancel all orders, now or as soon as the session is up.
    pub fn pull(&self) {
        self.0.cancel.store(true, Ordering::Release);
    }

    /// From now on no New and no Replace goes out; each comes back as `Unsent`. Cancels do. Nothing
    /// in this process opens it again.
    pub fn shut(&self) {
        self.0.is_shut.store(true, Ordering::Release);
    }

    /// Was it shut?
    pub fn is_shut(&self) -> bool {
        self.0.is_shut.load(Ordering::Acquire)
    }
}

/// The stage.
pub struct OrderEntry<D: Dial, S: Store> {
    pub(super) line: Line<Witnessed<D>, S>,
    pub(super) ear: Ear,
    drop_copy: Option<DropCopy<D, S>>,
    requests: Requests,
    intended: Intended,
    pub(super) throttle: Throttle,
    pub(super) waiting: Waiting,
    quoting: Quoting,
    intents: Consumer<OrderIntent>,
    probe: Option<Probe>,
    /// Intents that the session has taken and the socket has not.
    unwritten: Vec<Stamp>,
    pub(super) switch: CancelSwitch,
    epoch: u32,
    /// Whose positions are asked for: the config's account, else the sender's.
    account: Box<str>,
    own_ids: u64,
    /// The maker decides by this stage's clock, and not by a recording's.
    is_clocked: bool,
    /// The next stored message that an earlier run heard and did not take in.
    redelivery: Option<u64>,
    /// What an earlier run sent cannot be read.
    is_store_illegible: bool,
    has_told_numbers: bool,
    decoder: Decoder,
    wind_down_ns: u64,
    leaving_since: Option<Nanos>,
    sweeping: Sweeping,
    asking_out: AskingOut,
    has_failed_sync: bool,
}

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// A stage whose session is down; it dials in its first turn. `exec_ids` as a store kept them.
    ///
    /// # Errors
    /// A name or symbol cannot be written into a message.
    pub fn new(
        config: OrderEntryConfig,
        (dial, session): (D, Session<S>),
        (symbols, rules): (Symbols, Rules),
        exec_ids: ExecIds,
        (intents, events): (Consumer<OrderIntent>, Producer<OrderEvent>),
        probe: Option<Probe>,
    ) -> Result<OrderEntry<D, S>, TemplateError> {
        let account = config.account.as_deref();
        let requests = Requests::new(session.config(), &symbols, &rules, account)?;
        let decoder = Decoder::new(session.config().fields_max);
        let mut reconciler = Reconciler::new(&rules, symbols.count());
        let account = match account {
            Some(account) => {
                reconciler.name_account();
                account.into()
            }
            None => session.config().sender_comp_id.as_str().into(),
        };
        let (dial, intended) = Witnessed::new(dial, symbols.clone(), rules);
        let indexed_max = config.orders_max.saturating_add(RETURNED_MAX);
        let mut desk = Desk::new(symbols, indexed_max, exec_ids, config.time_base);
        desk.returned.is_of_runs_to(config.epoch);
        Ok(OrderEntry {
            line: Line::new(dial, session, config.redial),
            ear: Ear::new(desk, rules, events, reconciler),
            drop_copy: None,
            requests,
            intended,
            throttle: Throttle::new(rules.order_limits),
            waiting: Waiting::new(rules.order_limits.when_full),
            quoting: Quoting::default(),
            intents,
            probe,
            unwritten: Vec::with_capacity(INTENTS_MAX + CANCELS_MAX),
            switch: CancelSwitch::default(),
            epoch: config.epoch,
            account,
            own_ids: 0,
            is_clocked: config.time_base == TimeBase::Arrival,
            redelivery: None,
            is_store_illegible: false,
            has_told_numbers: false,
            decoder,
            wind_down_ns: config.wind_down_ns,
            leaving_since: None,
            sweeping: Sweeping::default(),
            asking_out: AskingOut::default(),
            has_failed_sync: false,
        })
    }

    /// What the stage did so far.
    pub fn counts(&self) -> OrderEntryCounts {
        self.ear.counts
    }

    /// What the venue said so far.
    pub fn desk_counts(&self) -> DeskCounts {
        self.ear.desk.counts()
    }

    /// The index of live orders and the ExecIDs.
    pub fn desk(&self) -> &Desk {
        &self.ear.desk
    }

    /// The session, to look at.
    pub fn session(&self) -> &Session<S> {
        self.line.session()
    }

    /// A handle that cancels everything from another thread.
    pub fn cancel_switch(&self) -> CancelSwitch {
        self.switch.clone()
    }

    /// Bytes wait for the counterparty to read: a cancel may be among them.
    pub fn is_writing(&self) -> bool {
        self.line.is_writing()
    }

    fn take_intents(&mut self, now: Nanos) -> bool {
        let mut is_busy = false;
        for _ in 0..INTENTS_MAX {
            // Room first: an intent that was taken must be answerable.
            if !self.ear.has_room() {
                break;
            }
            let Some(intent) = self.intents.pop() else { break };
            is_busy = true;
            self.ear.counts.intents += 1;
            if let Some(probe) = &mut self.probe {
                probe.mark(Mark::IntentIn, intent.stamp);
            }
            if !self.send(now, &intent) {
                self.ear.counts.unsent += 1;
            }
        }
        self.send_quotes(now);
        is_busy
    }

    /// Sends an intent, or tells the maker that it was not sent.
    fn send(&mut self, now: Nanos, intent: &OrderIntent) -> bool {
        let Some(intent) = &self.supersede(now, intent) else { return false };
        let is_cancel = intent.action == OrderAction::Cancel;
        let place = self.ear.desk.symbols().place_of(intent.instrument);
        let is_ready = match is_cancel {
            true => self.line.session().is_logged_on(),
            // The counterparty does not read: a quote that waits in a buffer is a wrong quote.
            false => {
                let is_stale = self.is_clocked && now.since(intent.at) > INTENT_AGE_MAX_NS;
                let is_held = self.line.is_writing() || self.switch.is_shut() || is_stale;
                self.may_trade() && !is_held
            }
        };
        let (Some(_), true) = (place, is_ready) else {
            let event = self.ear.desk.unsent(now, intent, false);
            self.ear.tell(event);
            return false;
        };
        if let Some(place) = place.filter(|place| self.is_quoted(*place, intent)) {
            return self.gather(now, place, intent);
        }
        let is_turn = is_cancel || self.waiting.is_empty();
        if !is_turn || !self.throttle.pass(now, is_cancel) {
            if !is_cancel && self.waiting.take(now, intent) {
                return true;
            }
            self.ear.counts.throttled += 1;
            let event = self.ear.desk.unsent(now, intent, false);
            self.ear.tell(event);
            return false;
        }
        self.send_now(now, intent)
    }

    /// Whether a New or a Replace may go out: before quoting, the venue's word is heard, and what is missing
    /// in a gap may be fills.
    pub(super) fn may_trade(&self) -> bool {
        self.line.session().is_synced() && self.ear.may_trade()
    }

    /// Sends an intent that the limit has let pass.
    pub(super) fn send_now(&mut self, now: Nanos, intent: &OrderIntent) -> bool {
        let place = self.ear.desk.symbols().place_of(intent.instrument).unwrap_or(usize::MAX);
        let form = self.form_of(intent);
        if self.ear.desk.admit(intent).is_err() {
            let event = self.ear.desk.unsent(now, intent, false);
            self.ear.tell(event);
            return false;
        }
        let is_sent = match form {
            Form::Itself | Form::KeptName => self.transmit(now, place, intent, form),
            Form::Question => self.ask_after(now, place, intent),
            Form::Renewal | Form::HalfRenewed | Form::Amendment => {
                self.renew(now, place, intent, form)
            }
        };
        if !is_sent {
            let event = self.ear.desk.unsent(now, intent, true);
            self.ear.tell(event);
        }
        is_sent
    }

    /// The intent with the name under which the venue knows the order. Where a replace goes out as a
    /// cancel, its ClOrdID never becomes an order's, and the maker may ask after it all the same. Where an
    /// amended order keeps its first name, that is its name.
    fn named_as_venue_does(&self, intent: &OrderIntent, form: Form) -> OrderIntent {
        let live = self.ear.desk.live();
        let order = live.find(intent.orig_cl_ord_id).and_then(|handle| live.get(handle));
        if self.ear.rules.report_tags.names_first {
            let is_instead = intent.action == OrderAction::Replace && form != Form::KeptName;
            let action = if is_instead { OrderAction::Cancel } else { intent.action };
            let orig_cl_ord_id = live.first_name_of(intent.orig_cl_ord_id);
            return OrderIntent { orig_cl_ord_id, action, ..*intent };
        }
        let is_name = |order: &&LiveOrder| {
            let request = order.request(intent.orig_cl_ord_id);
            request.is_some_and(|r| r.form != Form::Itself)
        };
        match order.filter(|order| !self.ear.rules.has_replace && !is_name(order)) {
            Some(order) => OrderIntent { orig_cl_ord_id: order.cl_ord_id, ..*intent },
            None => *intent,
        }
    }

    fn transmit(&mut self, now: Nanos, place: usize, intent: &OrderIntent, form: Form) -> bool {
        let named = &self.named_as_venue_does(intent, form);
        let requests = &mut self.requests;
        let sent = self
            .line
            .session_mut()
            .send_prepared(now, |envelope| requests.encode(place, named, &envelope));
        let sent: Result<u64, RequestError> = sent;
        let Ok(msg_seq_num) = sent else { return false };
        self.intended.expect(named);
        self.ear.desk.sent(intent, msg_seq_num);
        if form == Form::KeptName {
            self.ear.desk.live_mut().set_form(intent.cl_ord_id, form);
        }
        self.ear.counts.sent += 1;
        if let Some(probe) = &mut self.probe {
            probe.mark(Mark::Encoded, intent.stamp);
            if self.unwritten.len() < self.unwritten.capacity() {
                self.unwritten.push(intent.stamp);
            }
        }
        true
    }

    /// The next ClOrdID(11) of the stage's own.
    fn own_id(&mut self) -> ClOrdId {
        self.own_ids += 1;
        ClOrdId::new(self.epoch, OWN_IDS | self.own_ids)
    }

    fn move_line(&mut self, now: Nanos) -> bool {
        let stamp = self.probe.as_ref().map_or(Stamp(0), |probe| probe.counter().stamp());
        let Self { line, ear, probe, unwritten, .. } = self;
        let said = line.session().messages_out();
        let turn = line.turn(now, |event| {
            // The session hands out bytes before it looks at what came in.
            mark_written(probe, unwritten);
            ear.hear(now, stamp, event);
            let goes_on = ear.has_room() && !ear.has_logged_on;
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // Nothing of the stage's own goes out in there.
        let said = self.line.session().messages_out().wrapping_sub(said);
        self.throttle.count_unasked(now, said);
        let is_to_ask = self.ear.is_to_ask(now) && self.line.session().is_logged_on();
        if std::mem::take(&mut self.ear.has_logged_on) || is_to_ask {
            self.waiting.session_over();
            let numbers_since = self.line.session().store().created_at();
            self.ear.begin_reconciling(now, stamp, numbers_since);
            if self.leaving_since.is_some() {
                self.cancel_all();
            }
        }
        if !self.line.is_writing() {
            mark_written(&mut self.probe, &mut self.unwritten);
        }
        self.look_at_store();
        if self.intended.take_difference() {
            // Whatever made it is still there: nothing that takes risk goes out of this process again.
            self.switch.shut();
            self.ear.halted(now, SessionFault::OutboundDiffers);
        }
        match turn {
            LineTurn::Idle => false,
            LineTurn::Busy => true,
            LineTurn::Down(ended) => {
                self.waiting.session_over();
                self.ear.session_down(now);
                self.ear.judge_end(now, ended);
                true
            }
        }
    }
}

fn mark_written(probe: &mut Option<Probe>, unwritten: &mut Vec<Stamp>) {
    let Some(probe) = probe.as_mut().filter(|_| !unwritten.is_empty()) else { return };
    let now = probe.counter().stamp();
    for origin in unwritten.drain(..).filter(|origin| origin.0 != 0) {
        probe.record(Mark::Written, origin, now);
    }
}

impl<D: Dial, S: Store + Send> Stage for OrderEntry<D, S> {
    fn name(&self) -> &'static str {
        "order-entry"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        if self.switch.is_shut() {
            self.ask_all_out(now);
        }
        if self.intents.is_disconnected() || self.ear.events.is_disconnected() {
            return self.wind_down(now);
        }
        if !self.ear.settle() || !self.ear.has_room() {
            self.ear.counts.stalled_turns += 1;
            return self.sweep_unheard(now);
        }
        if self.redelivery.is_some() {
            return self.redeliver(now);
        }
        self.sweep_again(now);
        let is_busy = self.send_waiting(now) | self.take_intents(now) | self.sweep(now);
        // An intent's answer may have taken the last place.
        let is_busy = is_busy | (self.ear.has_room() && self.move_line(now));
        let is_busy = is_busy | (self.ear.reconciler.is_active() && self.reconcile(now));
        let is_busy = is_busy | self.hear_copies(now);
        let is_busy = is_busy | self.cancel_returned(now);
        let is_busy = is_busy | self.take_out_doomed(now);
        if is_busy { Turn::Busy } else { Turn::Idle }
    }
}

#[cfg(test)]
#[path = "stage/differs_tests.rs"]
mod differs_tests;
