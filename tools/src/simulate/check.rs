//! The invariants: what must hold after every step, whatever goes wrong.
//!
//! Fed by the loop with every journaled input and intent, every intent on its way out, every message that
//! left on the order session, and with maker and exchange after each step; feeds the verdict. It keeps an
//! account, a book and a memory of ids of its own, so that it does not ask the code that it judges. One thread.

use super::exposed::{Exposed, worst_case};
use super::gross::GrossCheck;
use super::told::AlertCheck;
use super::watched::Watched;
use super::wire::Said;
use crate::operator::alerting::Telling;
use crate::operator::standing::Pnl;
use crate::recovery::Told;
use crate::venue::exchange::Exchange;
use crate::venue::order::Participant;
use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce,
};
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::Act;
use ballast_engine::maker::input::Control;
use ballast_engine::risk::state::State;
use ballast_engine::risk::throttle::MessageRate;
use ballast_engine::units::{Lots, Nanos, Side};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
pub(super) const TOLD_WITHIN_NS: u64 = 5_000_000_000;

/// How long orders may be seen to stand at the venue on a book that is not trusted, where nothing else is wrong:
/// the maker's timer, which alone notices that a book is stale, comes every 100 ms, and its cancel is 0.2 ms on
/// the way. The judge looks every 100 ms too: twice in a row it may see them, a third time not. While a fault
/// delays what is sent, and until that is noticed, nobody asks (`World::way_clear_from`).
const STANDING_MAX_NS: u64 = 100_000_000;

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
    /// Of what the maker decided, and of what went out on the order session.
    ids: BTreeSet<ClOrdId>,
    ids_said: BTreeSet<ClOrdId>,
    /// The venue's message rate, and when the run in hand decided what falls into its window.
    rate: MessageRate,
    sent: VecDeque<Nanos>,
    gross: GrossCheck,
    alerts: AlertCheck,
    killed_at: Option<Nanos>,
    /// The input that a kill was.
    kill_input: Option<u64>,
    now: Nanos,
    violation: Option<Violation>,
    steps: u64,
    quiet_checks: u64,
}

impl Checker {
    /// Watches what `config` describes: one underlying, linear instruments.
    pub fn new(config: &MakerConfig) -> Checker {
        let watched = config.instruments.iter().zip(&config.settings);
        Checker {
            instruments: watched.map(|(i, settings)| Watched::new(i, settings)).collect(),
            hard: config.underlyings.first().map_or(0, |u| i128::from(u.limits.hard().0)),
            exec_ids: BTreeMap::new(),
            taken: Vec::new(),
            ids: BTreeSet::new(),
            ids_said: BTreeSet::new(),
            rate: config.message_rates[0],
            sent: VecDeque::new(),
            gross: GrossCheck::new(config),
            alerts: AlertCheck::new(config),
            killed_at: None,
            kill_input: None,
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
            Control::Kill | Control::By { act: Act::Kill { .. }, .. } => {
                self.killed_at.get_or_insert(self.now);
                self.kill_input.get_or_insert(number);
            }
            Control::Shutdown => _ = self.killed_at.get_or_insert(self.now),
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

    /// A run begins. What of the one before is not known is to be told again, and counts when it is.
    pub fn on_start(&mut self, now: Nanos, before: Option<&Told>) {
        let inputs = before.map(|told| told.inputs);
        // Where its note is missing, the journal alone keeps the next run from trading.
        let was_written = |number| inputs.is_some_and(|inputs| number < inputs);
        let is_known = before.is_some_and(|told| told.was_killed);
        if self.kill_input.take().is_some_and(was_written) && !is_known {
            self.fail(
                "a_kill_is_kept",
                "the journal has the kill, and the start knows of none".into(),
            );
        }
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
        self.sent.clear();
        self.gross.on_start();
        self.alerts.on_start();
        for watched in &mut self.instruments {
            watched.book.iter_mut().for_each(BTreeMap::clear);
            (watched.is_synced, watched.is_rebuilding) = (false, false);
            (watched.heard_at, watched.untold_since) = (now, None);
            watched.standing_since = None;
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
        self.gross.on_decision(intent.instrument);
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

    /// An operator is told.
    pub fn on_alert(&mut self, telling: &Telling) {
        self.alerts.on_alert(telling);
    }

    /// The journal can no longer be written.
    pub fn on_journal_lost(&mut self, now: Nanos) {
        self.alerts.on_journal_lost(now);
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
        if let Some(detail) = self.alerts.on_grid(now, maker) {
            self.fail("alerted_within_five_seconds", detail);
        }
    }

    /// As often: where a book is not trusted and cancels arrive (`is_up`), nothing stands on it for long.
    pub fn on_standing(&mut self, now: Nanos, is_up: bool, exchange: &Exchange) {
        let mut fault = None;
        for (id, watched) in (0..).map(InstrumentId).zip(&mut self.instruments) {
            let open = exchange.open(Participant(0), id);
            let why = watched.distrust(now).filter(|_| is_up && open != [Lots(0); 2]);
            let Some(why) = why else {
                watched.standing_since = None;
                continue;
            };
            let since = *watched.standing_since.get_or_insert(now);
            if now.since(since) > STANDING_MAX_NS {
                fault = Some(format!("instrument {}: {open:?} on a {why} book", id.0));
            }
        }
        if let Some(detail) = fault {
            self.fail("nothing_stands_on_untrusted_data", detail);
        }
    }

    /// Limits that one intent can pass.
    fn check_intent(&mut self, intent: &OrderIntent) {
        let (id, size) = (intent.instrument, intent.size.0);
        let watched = self.instruments.get(usize::from(id.0));
        if let Some(max) = watched.map(|w| w.order_size_max).filter(|max| size > *max) {
            let detail = format!("instrument {}: {size} of {max} lots", id.0);
            self.fail("order_size_limit", detail);
        }
        while let Some(first) = self.sent.front()
            && intent.at.since(*first) >= self.rate.window_ns
        {
            self.sent.pop_front();
        }
        self.sent.push_back(intent.at);
        if self.sent.len() > self.rate.max as usize {
            let detail = format!("{} of {} in the window", self.sent.len(), self.rate.max);
            self.fail("message_rate_limit", detail);
        }
    }

    /// An intent on its way to order entry.
    pub fn on_intent(&mut self, intent: &OrderIntent) {
        self.check_intent(intent);
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

    /// A message of Ballast's as it left on the order session.
    pub fn on_said(&mut self, said: &Said) {
        let name = format!("{}(35) {}", said.msg_type, said.id.0);
        // Its session fills gaps: a quote that did not arrive then is wrong now.
        if said.is_again {
            return self.fail("nothing_is_resent", format!("{name} went out as a duplicate"));
        }
        // Of what the maker decided before an end in order, some may still stand in front of its cancel;
        // a kill has shut order entry before the maker hears of it.
        let is_decided = !said.is_order() || self.ids.contains(&said.id);
        if (said.is_order() && said.is_after_kill) || (!is_decided && self.is_killed()) {
            self.fail("no_order_after_kill", format!("{name} went out"));
        } else if !is_decided {
            self.fail("no_order_undecided", format!("{name} went out, and the maker never asked"));
        }
        if !self.ids_said.insert(said.id) {
            self.fail("no_cl_ord_id_twice", format!("{name} went out under a name that is taken"));
        }
    }

    /// Everything that must hold between two steps.
    pub fn on_step(
        &mut self,
        now: Nanos,
        maker: Option<&Maker>,
        pnl: Option<Pnl>,
        exchange: &Exchange,
    ) {
        self.steps += 1;
        self.now = self.now.max(now);
        self.check_limits(exchange, maker);
        let Some(maker) = maker else { return };
        if let Some(detail) = self.gross.on_step(self.now, &self.instruments, maker) {
            self.fail("gross_notional_limit", detail);
        }
        self.check_account(maker);
        if let Some((causes, total)) = pnl {
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

    /// What the venue could do to us right now, by its own word and by the maker's.
    fn check_limits(&mut self, exchange: &Exchange, maker: Option<&Maker>) {
        let mut by_venue = Exposed::default();
        let mut by_maker = Exposed::default();
        let (mut excused, mut fault) = ([0i128; 2], None);
        for (id, watched) in (0..).map(InstrumentId).zip(&mut self.instruments) {
            watched.upset.hear(exchange.upset(Participant(0), id).0);
            let held = watched.opening + exchange.position(Participant(0), id).0;
            let theirs = (held, watched.works(exchange, id));
            let snapshot = maker.and_then(|maker| maker.snapshot(id));
            let ours = snapshot.map(|s| (s.position.0, s.open.map(|lots| lots.0)));
            by_venue.add(theirs, watched.per_lot);
            if let Some(ours) = ours {
                by_maker.add(ours, watched.per_lot);
            }
            for side in Side::BOTH {
                let max = watched.position_max;
                let allowance = &mut watched.upset.excused[side.index()];
                let worst = worst_case(theirs, side).max(ours.map_or(0, |o| worst_case(o, side)));
                if worst > max + *allowance {
                    let by = format!("{side:?} {worst}, the venue {theirs:?}, the maker {ours:?}");
                    fault = Some(("position_limit", format!("instrument {}: {by}", id.0)));
                }
                excused[side.index()] += i128::from(*allowance) * watched.per_lot;
                let is_known = ours.is_some_and(|(position, _)| position == held);
                if is_known && worst <= max {
                    *allowance = 0;
                }
            }
        }
        if exchange.self_meetings() > 0 {
            fault = Some(("no_self_match", "an order reached one of our own".to_owned()));
        }
        for (by, exposed) in [("the venue's", by_venue), ("the maker's", by_maker)] {
            for side in Side::BOTH {
                let worst = exposed.worst(side);
                if worst > self.hard + excused[side.index()] {
                    let detail = format!("by {by} word {worst} of {}, in 1e-9", self.hard);
                    fault = Some(("exposure_limit", detail));
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate;
    use crate::venue::exchange::VenueOptions;
    use crate::venue::order::{Lifetime, NewOrder, Request};
    use ballast_engine::event::{MarketEvent, MarketUpdate::Level};
    use ballast_engine::units::{Stamp, Ticks};

    const BTC: InstrumentId = InstrumentId(0);

    fn send(exchange: &mut Exchange, id: u64, side: Side, price: i64, size: i64) {
        let new = NewOrder {
            cl_ord_id: ClOrdId(id),
            instrument: BTC,
            side,
            price: Ticks(price),
            size: Lots(size),
            lifetime: Lifetime::Resting,
        };
        exchange.submit(exchange.now(), Participant(0), Request::New(new));
        exchange.on_arrival(&mut Vec::new());
    }

    /// Short 2 of an opening 2, and the limit is 2: a bid for 2 is the most that may work.
    fn at_the_limit() -> (Checker, Exchange) {
        let file = simulate::config().unwrap();
        let config = file.maker(1).unwrap();
        let mut checker = Checker::new(&config);
        (checker.instruments[0].opening, checker.instruments[0].position_max) = (2, 2);
        checker.instruments[1].opening = 0;
        let mut exchange = Exchange::new(&config.instruments, VenueOptions::default());
        for (side, price) in [(Side::Buy, 100), (Side::Sell, 110)] {
            let update = Level { side, price: Ticks(price), size: Lots(10) };
            let (at, venue_at, stamp) = (Nanos(0), Nanos(0), Stamp(0));
            let event =
                MarketEvent { at, venue_at, stamp, update, instrument: BTC, last_in_message: true };
            exchange.on_market(&event, &mut Vec::new());
        }
        send(&mut exchange, 1, Side::Sell, 100, 2);
        send(&mut exchange, 2, Side::Buy, 90, 2);
        checker.on_step(Nanos(1), None, None, &exchange);
        assert_eq!(checker.violation(), None);
        assert_eq!(exchange.position(Participant(0), BTC), Lots(-2));
        (checker, exchange)
    }

    #[test]
    fn one_lot_over_the_limit_is_a_violation() {
        let (mut checker, mut exchange) = at_the_limit();
        send(&mut exchange, 3, Side::Buy, 90, 1);
        checker.on_step(Nanos(2), None, None, &exchange);
        assert_eq!(checker.violation().map(|v| v.invariant), Some("position_limit"));
    }

    #[test]
    fn what_the_venue_takes_back_is_excused_and_not_a_lot_more() {
        let (mut checker, mut exchange) = at_the_limit();
        exchange.amend_trade(Participant(0), (0, false), &mut Vec::new());
        assert_eq!(exchange.position(Participant(0), BTC), Lots(0));
        checker.on_step(Nanos(2), None, None, &exchange);
        assert_eq!(checker.violation(), None);
        send(&mut exchange, 3, Side::Buy, 90, 1);
        checker.on_step(Nanos(3), None, None, &exchange);
        assert_eq!(checker.violation().map(|v| v.invariant), Some("position_limit"));
    }
}
