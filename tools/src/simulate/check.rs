//! The invariants: what must hold after every step, whatever goes wrong.
//!
//! Fed by the loop with every journaled input and intent, every intent on its way out, and with maker
//! and exchange after each step; feeds the verdict. It keeps an account, a book and a memory of ids of
//! its own, so that it does not ask the code that it judges. One thread.

use crate::venue::exchange::Exchange;
use crate::venue::order::Participant;
use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderIntent,
    OrderUpdate, TimeInForce,
};
use ballast_engine::instrument::ContractValue;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::Act;
use ballast_engine::maker::input::Control;
use ballast_engine::market::spike::SpikeLimit;
use ballast_engine::risk::state::State;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use std::collections::{BTreeMap, BTreeSet};

/// An invariant that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What was seen.
    pub detail: String,
    /// When, in nanoseconds of virtual time since the Unix epoch.
    pub at: Nanos,
}

/// How long something may be wrong before an operator has been told.
const TOLD_WITHIN_NS: u64 = 5_000_000_000;

/// One instrument as the checker sees it.
struct Watched {
    opening: i64,
    stale_after_ns: u64,
    position_max: i64,
    per_lot: i128,
    fills: i64,
    book: [BTreeMap<Ticks, Lots>; 2],
    is_synced: bool,
    is_rebuilding: bool,
    heard_at: Nanos,
    is_quoted: bool,
    /// The last state that telemetry told, and since when it is not what is so.
    told: Option<State>,
    untold_since: Option<Nanos>,
    spike: Option<SpikeLimit>,
    /// The touch of the last whole message that was believed, and the one that jumped from it.
    believed: Option<[Ticks; 2]>,
    jumped: Option<([Ticks; 2], Nanos, u32)>,
}

impl Watched {
    fn hear(&mut self, now: Nanos, event: &MarketEvent) {
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                let book = &mut self.book[side.index()];
                if size.0 > 0 {
                    book.insert(price, size);
                } else {
                    book.remove(&price);
                }
            }
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset => {
                self.book.iter_mut().for_each(BTreeMap::clear);
                (self.is_synced, self.is_rebuilding) = (false, true);
            }
            MarketUpdate::Gap => (self.is_synced, self.is_rebuilding) = (false, false),
        }
        self.heard_at = now;
        if self.is_rebuilding && event.last_in_message {
            (self.is_synced, self.is_rebuilding) = (true, false);
        }
        if event.last_in_message {
            self.judge_touch(now);
        }
    }

    /// Where the touch jumped, what follows decides whether it is a market.
    fn judge_touch(&mut self, now: Nanos) {
        let [bids, asks] = &self.book;
        let best = (bids.last_key_value(), asks.first_key_value());
        let (Some(limit), true, (Some((&bid, _)), Some((&ask, _)))) =
            (self.spike, self.is_synced, best)
        else {
            return;
        };
        if bid >= ask {
            return;
        }
        let near =
            |[b, a]: [Ticks; 2]| (bid.0 - b.0).abs().max((ask.0 - a.0).abs()) <= limit.width.0;
        self.jumped = match self.jumped {
            _ if self.believed.is_none_or(near) => None,
            Some((touch, since, heard)) if near(touch) => Some(([bid, ask], since, heard + 1)),
            _ => Some(([bid, ask], now, 0)),
        };
        let is_over = |(_, since, heard): ([Ticks; 2], Nanos, u32)| {
            heard >= limit.messages || now.since(since) >= limit.after_ns
        };
        if self.jumped.is_none_or(is_over) {
            (self.believed, self.jumped) = (Some([bid, ask]), None);
        }
    }

    fn is_spiked(&self, now: Nanos) -> bool {
        let stood = self.jumped.map(|(_, since, _)| now.since(since));
        stood.zip(self.spike).is_some_and(|(stood, limit)| stood < limit.after_ns)
    }

    /// Why an order should not be sent on this book.
    fn distrust(&self, now: Nanos) -> Option<&'static str> {
        let [bids, asks] = &self.book;
        match (bids.last_key_value(), asks.first_key_value()) {
            _ if !self.is_synced => Some("gapped"),
            _ if now.since(self.heard_at) > self.stale_after_ns => Some("stale"),
            (Some((bid, _)), Some((ask, _))) if bid >= ask => Some("crossed"),
            (Some(_), Some(_)) => self.is_spiked(now).then_some("spiked"),
            (None, _) | (_, None) => Some("one-sided"),
        }
    }
}

/// A fill, or (without an ExecID) an operator's word on what is held.
struct Taken {
    number: u64,
    instrument: InstrumentId,
    exec_id: Option<ExecId>,
    lots: i64,
}

/// All that is watched.
pub struct Checker {
    instruments: Vec<Watched>,
    hard: i128,
    /// Lots of every report on trades, + bought; of a cancellation none.
    exec_ids: BTreeMap<(InstrumentId, ExecId), i64>,
    /// What the run in hand took into its account, by the input's number.
    taken: Vec<Taken>,
    ids: BTreeSet<ClOrdId>,
    killed_at: Option<Nanos>,
    now: Nanos,
    violation: Option<Violation>,
    steps: u64,
    quiet_checks: u64,
}

impl Checker {
    /// Watches what `config` describes: one underlying, linear instruments.
    pub fn new(config: &MakerConfig) -> Checker {
        let watched =
            config.instruments.iter().zip(&config.settings).map(|(i, settings)| Watched {
                opening: settings.opening.0,
                stale_after_ns: settings.stale_after_ns,
                position_max: settings.limits.position_max.0,
                per_lot: match i.value() {
                    ContractValue::Linear { nano_underlying_per_lot, .. } => {
                        i128::from(nano_underlying_per_lot)
                    }
                    ContractValue::Inverse { .. } | ContractValue::Option { .. } => 0,
                },
                fills: 0,
                book: Default::default(),
                is_synced: false,
                is_rebuilding: false,
                heard_at: Nanos(0),
                is_quoted: settings.quote.is_some(),
                told: Some(State::Paused),
                untold_since: None,
                spike: settings.spike,
                believed: None,
                jumped: None,
            });
        Checker {
            instruments: watched.collect(),
            hard: config.underlyings.first().map_or(0, |u| i128::from(u.limits.hard().0)),
            exec_ids: BTreeMap::new(),
            taken: Vec::new(),
            ids: BTreeSet::new(),
            killed_at: None,
            now: Nanos(0),
            violation: None,
            steps: 0,
            quiet_checks: 0,
        }
    }

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Steps that were checked, and moments of quiet in which the accounts were compared.
    pub fn counts(&self) -> (u64, u64) {
        (self.steps, self.quiet_checks)
    }

    /// Something is wrong; the first counts.
    pub fn fail(&mut self, invariant: &'static str, detail: String) {
        let at = self.now;
        self.violation.get_or_insert(Violation { invariant, detail, at });
    }

    /// An input or intent of the maker, in the order in which it journaled them.
    pub fn on_journal(&mut self, entry: &Entry) {
        match entry {
            Entry::Market { now, event, .. } => {
                self.now = *now;
                if let Some(watched) = self.instruments.get_mut(usize::from(event.instrument.0)) {
                    watched.hear(*now, event);
                }
            }
            Entry::Order { number, now, event } => {
                self.now = *now;
                self.on_order(*number, event);
            }
            Entry::Control { number, now, control } => {
                self.now = *now;
                self.on_control(*number, control);
            }
            Entry::Timer { now, .. } => self.now = *now,
            Entry::Intent { intent, .. } => self.on_decision(intent),
            _ => {}
        }
    }

    fn on_order(&mut self, number: u64, event: &OrderEvent) {
        let instrument = event.instrument;
        let before = |of: ExecId| self.exec_ids.get(&(instrument, of)).copied();
        let (exec_id, lots, was) = match event.update {
            OrderUpdate::Fill { exec_id, side, last_qty, .. } => {
                (exec_id, side.sign() * last_qty.0, Some(0))
            }
            OrderUpdate::TradeCanceled { exec_id, ref_exec_id, .. } => {
                (exec_id, 0, before(ref_exec_id))
            }
            OrderUpdate::TradeCorrected { exec_id, ref_exec_id, last_qty, .. } => {
                let was = before(ref_exec_id);
                (exec_id, was.unwrap_or_default().signum() * last_qty.0, was)
            }
            _ => return,
        };
        // Of a trade whose name went with a message store nobody here knows: an operator puts it right.
        let Some(was) = was else { return };
        if self.exec_ids.insert((instrument, exec_id), lots).is_none() {
            self.book(Taken { number, instrument, exec_id: Some(exec_id), lots: lots - was });
        }
    }

    fn on_control(&mut self, number: u64, control: &Control) {
        match control {
            Control::Kill | Control::Shutdown => _ = self.killed_at.get_or_insert(self.now),
            Control::By { act: Act::Adjust { holding, amount }, .. } => {
                if let Some(instrument) = holding.instrument() {
                    self.book(Taken { number, instrument, exec_id: None, lots: *amount });
                }
            }
            _ => {}
        }
    }

    fn book(&mut self, taken: Taken) {
        if let Some(watched) = self.instruments.get_mut(usize::from(taken.instrument.0)) {
            watched.fills += taken.lots;
        }
        self.taken.push(taken);
    }

    /// A run begins. Of the one before, so many inputs are known: what came after them is to be told
    /// again, and counts when it is.
    pub fn on_start(&mut self, now: Nanos, inputs: Option<u64>) {
        for taken in std::mem::take(&mut self.taken) {
            if inputs.is_none_or(|inputs| taken.number < inputs) {
                continue;
            }
            if let Some(exec_id) = taken.exec_id {
                self.exec_ids.remove(&(taken.instrument, exec_id));
            }
            if let Some(watched) = self.instruments.get_mut(usize::from(taken.instrument.0)) {
                watched.fills -= taken.lots;
            }
        }
        self.now = now;
        self.killed_at = None;
        for watched in &mut self.instruments {
            watched.book.iter_mut().for_each(BTreeMap::clear);
            (watched.is_synced, watched.is_rebuilding) = (false, false);
            (watched.heard_at, watched.untold_since) = (now, None);
            (watched.told, watched.believed, watched.jumped) = (Some(State::Paused), None, None);
        }
    }

    fn on_decision(&mut self, intent: &OrderIntent) {
        if intent.action == OrderAction::Cancel {
            return;
        }
        if self.is_killed() {
            let id = intent.cl_ord_id.0;
            self.fail("no_order_after_kill", format!("{:?} {id} decided", intent.action));
        }
        let Some(watched) = self.instruments.get(usize::from(intent.instrument.0)) else { return };
        if let Some(why) = watched.distrust(self.now) {
            let kind = match intent.time_in_force {
                TimeInForce::PostOnly => "quote",
                TimeInForce::ImmediateOrCancel => "hedge",
            };
            let id = intent.cl_ord_id.0;
            self.fail("no_quote_on_untrusted_data", format!("{kind} {id} on a {why} book"));
        }
    }

    /// What an operator has been told of an instrument's state.
    pub fn on_told(&mut self, instrument: InstrumentId, state: State) {
        if let Some(watched) = self.instruments.get_mut(usize::from(instrument.0)) {
            watched.told = Some(state);
        }
    }

    /// Several times a second: what is wrong for long enough has been told. `is_up`: the order session
    /// is, or the maker cannot know yet that it is not.
    pub fn on_grid(&mut self, now: Nanos, is_up: bool, maker: &Maker) {
        let mut untold = None;
        for (id, watched) in (0..).map(InstrumentId).zip(&mut self.instruments) {
            let Some(snapshot) = maker.snapshot(id).filter(|_| watched.is_quoted) else { continue };
            let why = if is_up { watched.distrust(now) } else { Some("unreachable") };
            let is_told = watched.told == Some(snapshot.state)
                && (why.is_none() || snapshot.state >= State::Paused);
            if is_told {
                watched.untold_since = None;
                continue;
            }
            let since = *watched.untold_since.get_or_insert(now);
            if now.since(since) > TOLD_WITHIN_NS {
                let (state, told) = (snapshot.state, watched.told);
                untold = Some(format!("{state:?}, told {told:?}, the market is {why:?}"));
            }
        }
        if let Some(detail) = untold {
            self.fail("told_within_five_seconds", detail);
        }
    }

    /// An intent on its way to order entry.
    pub fn on_intent(&mut self, intent: &OrderIntent) {
        if !self.ids.insert(intent.cl_ord_id) {
            let id = intent.cl_ord_id.0;
            self.fail("no_cl_ord_id_twice", format!("ClOrdID(11) {id} went out before"));
        }
        // What was decided before the kill may still stand in the ring, in front of its cancel.
        let is_later = self.killed_at.is_some_and(|at| intent.at > at);
        if is_later && intent.action != OrderAction::Cancel {
            let id = intent.cl_ord_id.0;
            self.fail("no_order_after_kill", format!("{:?} {id} sent", intent.action));
        }
    }

    /// Everything that must hold between two steps.
    pub fn on_step(&mut self, now: Nanos, maker: Option<&Maker>, exchange: &Exchange) {
        self.steps += 1;
        self.now = self.now.max(now);
        self.check_limits(exchange, maker);
        let Some(maker) = maker else { return };
        self.check_account(maker);
        if let Some((causes, total)) = maker.pnl() {
            let sum: i128 = causes.iter().map(|(_, amount)| amount.0).sum();
            if sum != total.0 {
                self.fail("pnl_causes_sum", format!("causes {sum}, total {}", total.0));
            }
        }
    }

    fn check_account(&mut self, maker: &Maker) {
        for (id, watched) in (0..).map(InstrumentId).zip(&self.instruments) {
            let ours = maker.ledger().position(id).unwrap_or_default().0;
            let expected = watched.opening + watched.fills;
            if ours != expected {
                let detail = format!("instrument {}: maker {ours}, fills {expected}", id.0);
                return self.fail("position_is_sum_of_fills", detail);
            }
        }
    }

    /// What the venue could do to us right now, by its own word.
    fn check_limits(&mut self, exchange: &Exchange, maker: Option<&Maker>) {
        let (mut delta, mut open) = (0i128, [0i128; 2]);
        let (mut ours, mut ours_open) = (0i128, [0i128; 2]);
        let mut fault = None;
        for (id, watched) in (0..).map(InstrumentId).zip(&self.instruments) {
            let position = watched.opening + exchange.position(Participant(0), id).0;
            let working = exchange.open(Participant(0), id);
            delta += i128::from(position) * watched.per_lot;
            for side in Side::BOTH {
                let lots = working[side.index()].0;
                open[side.index()] += i128::from(lots) * watched.per_lot;
                let worst = position + side.sign() * lots;
                if worst * side.sign() > watched.position_max {
                    fault = Some(("position_limit", format!("instrument {}: {worst}", id.0)));
                }
            }
            if let Some(market) = exchange.market(id) {
                let [bid, ask] = Side::BOTH.map(|side| market.resting(side).best());
                if let (Some(bid), Some(ask)) = (bid, ask)
                    && bid >= ask
                {
                    fault = Some(("no_self_match", format!("bid {} ask {}", bid.0, ask.0)));
                }
            }
            if let Some(snapshot) = maker.and_then(|maker| maker.snapshot(id)) {
                let held = snapshot.position.0;
                ours += i128::from(held) * watched.per_lot;
                for (sum, open) in ours_open.iter_mut().zip(snapshot.open) {
                    *sum += i128::from(open.0) * watched.per_lot;
                }
                let worst = (held + snapshot.open[0].0).max(snapshot.open[1].0 - held);
                if worst > watched.position_max {
                    fault = Some(("position_limit", format!("by the maker's word: {worst}")));
                }
            }
        }
        let worst = (delta + open[0]).max(open[1] - delta);
        if worst > self.hard {
            fault = Some(("exposure_limit", format!("{worst} of {}, in 1e-9", self.hard)));
        }
        let worst = (ours + ours_open[0]).max(ours_open[1] - ours);
        if worst > self.hard {
            let detail = format!("by the maker's word {worst} of {}, in 1e-9", self.hard);
            fault = Some(("exposure_limit", detail));
        }
        if let Some((invariant, detail)) = fault {
            self.fail(invariant, detail);
        }
    }

    /// Nothing is under way: the venue's account is ours, or an operator was told that it is not.
    pub fn on_quiet(&mut self, maker: &Maker, exchange: &Exchange) {
        let is_told = |id| maker.snapshot(id).is_some_and(|s| s.reason.doubts_account());
        if (0..).map(InstrumentId).take(self.instruments.len()).any(is_told) {
            return;
        }
        self.quiet_checks += 1;
        for (id, watched) in (0..).map(InstrumentId).zip(&self.instruments) {
            let ours = maker.ledger().position(id).unwrap_or_default().0;
            let theirs = watched.opening + exchange.position(Participant(0), id).0;
            if ours != theirs {
                let detail = format!("instrument {}: maker {ours}, venue {theirs}", id.0);
                return self.fail("position_is_the_venues", detail);
            }
        }
    }

    /// A kill or shutdown was consumed.
    pub fn is_killed(&self) -> bool {
        self.killed_at.is_some()
    }
}
