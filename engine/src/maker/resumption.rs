//! Where an earlier run ended, and how a maker goes on from there.
//!
//! Fed by the start of a run, which replays the earlier journal, and by the header of a journal, so that
//! a replay begins where the run did; feeds [`Maker::new`] through its config. Once a run; it may
//! allocate. Deliberately absent: files, and what the venue says of it all (those are inputs).
//!
//! Orders that the earlier run left are **in doubt**: they hold their rungs and count in full until the
//! venue answers. Marks come along, so that what a position gained or lost in between is told.

use super::config::MakerConfig;
use super::control::{Act, Knob};
use super::{Maker, instrument_id};
use crate::event::{ClOrdId, ExecId, InstrumentId, OrderAction, OrderIntent, TimeInForce, VenueId};
use crate::instrument::Currency;
use crate::inventory::basis::Basis;
use crate::inventory::exit::ExitProgress;
use crate::inventory::holdings::PlaceTerms;
use crate::inventory::transfer::{Moved, Transfer, TransferStage};
use crate::maker::input::Control;
use crate::maker::intents::{Intents, Record};
use crate::orders::order::{Order, OrderState, Purpose};
use crate::pnl::attribution::ConversionRate;
use crate::pnl::fill_history::KeptFill;
use crate::pnl::valuation::HalfTicks;
use crate::risk::carried::CarriedRisk;
use crate::risk::limits::{ExposureLimits, ValueLimit};
use crate::risk::state::{Reason, State};
use crate::units::{Exposure, Lots, Nanos, Notional, Ticks};

/// What is held of an instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// + long.
    pub lots: Lots,
    /// The last mark, where there was one.
    pub mark: Option<HalfTicks>,
}

/// What is held of a currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purse {
    /// Which.
    pub currency: Currency,
    /// How much.
    pub cash: Notional,
    /// The last rate into the reporting currency, where there was one.
    pub rate: Option<ConversionRate>,
}

/// An instrument that only an operator may bring back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Halt {
    /// Which.
    pub instrument: InstrumentId,
    /// Why.
    pub reason: Reason,
}

/// A limit as an operator has set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct LimitSet {
    /// Which.
    pub knob: Knob,
    /// To what.
    pub value: i64,
}

/// How far a venue's messages have reached the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Delivered {
    /// Whose.
    pub venue: VenueId,
    /// When the session's numbers began at 1: with it a MsgSeqNum(34) names one message.
    pub numbers_since: Nanos,
    /// The last MsgSeqNum(34) that did.
    pub msg_seq_num: u64,
    /// The newest number of an execution that did, whichever session told it: what a drop copy tells has a
    /// higher one than all before. `None` where nobody knows, 0 where there was none.
    pub exec_id: Option<ExecId>,
}

impl Delivered {
    /// Nothing of a venue has.
    pub fn nothing(venue: VenueId) -> Delivered {
        Delivered { venue, numbers_since: Nanos(0), msg_seq_num: 0, exec_id: Some(ExecId(0)) }
    }
}

/// What the exits of an instrument knew of its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GuardedPosition {
    /// What of it is working capital and no bet.
    pub opening: Lots,
    /// What the rest cost, and since when it is held.
    pub basis: Basis,
    /// How far its exit had come.
    pub exit: ExitProgress,
}

/// Cash at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlacedCash {
    /// Where.
    pub venue: VenueId,
    /// Of what.
    pub currency: Currency,
    /// How much.
    pub cash: Notional,
}

/// What an earlier run had where, beside positions, and what was on its way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// One a place.
    pub cash: Vec<PlacedCash>,
    /// Open transfers.
    pub transfers: Vec<Transfer>,
}

/// An order that was replaced, and what it was called first: at some venues it keeps that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renamed {
    /// The ClOrdID(11) by which it goes.
    pub cl_ord_id: ClOrdId,
    /// The one under which it was sent first.
    pub first: ClOrdId,
}

/// Where an earlier run ended, in this run's numbering.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resumption {
    /// The run that ended; 0 where there was none.
    pub epoch: u32,
    /// One an instrument.
    pub held: Vec<Held>,
    /// One a currency.
    pub purses: Vec<Purse>,
    /// Orders that it left: all in doubt.
    pub orders: Vec<Order>,
    /// Where the controls stand.
    pub carried: CarriedRisk,
    /// What stays halted.
    pub halts: Vec<Halt>,
    /// Limits that it had other than by its config; those that are lower than this run's hold.
    pub limits: Vec<LimitSet>,
    /// Instruments whose position the venue or an operator must confirm before anything of their
    /// underlying is traded.
    pub unconfirmed: Vec<InstrumentId>,
    /// What of the venues' messages is in all this.
    pub delivered: Vec<Delivered>,
    /// One an instrument; where one is missing, what is beyond the config's opening is a bet.
    pub guarded: Vec<GuardedPosition>,
    /// What is where, and on its way.
    pub places: Places,
    /// The last fills, oldest first: one of them may be busted or corrected yet.
    pub fills: Vec<KeptFill>,
    /// Of the orders, those that do not go by their first name any more.
    pub renamed: Vec<Renamed>,
}

impl Resumption {
    /// Puts what the config says of the beginning in place of what the earlier run left; orders,
    /// controls and halts stay.
    pub fn open_as(&mut self, config: &MakerConfig) {
        let held = |lots| Held { lots, mark: None };
        self.held = config.settings.iter().map(|s| held(s.opening)).collect();
        let purse = |&(currency, cash)| Purse { currency, cash, rate: None };
        self.purses = config.opening_cash.iter().map(purse).collect();
        self.guarded.clear();
        let placed = |terms: &PlaceTerms| PlacedCash {
            venue: terms.venue,
            currency: terms.currency,
            cash: Notional(terms.opening.into()),
        };
        let cash = config.rebalance.places.iter().map(placed).collect();
        self.places = Places { cash, transfers: Vec::new() };
        // What the config opens with is not made of them, and its volume is that of the days before.
        self.fills.clear();
        self.carried.fees.clear();
    }

    /// Into the config of the run that goes on from here.
    pub fn begin(mut self, config: &mut MakerConfig) {
        // The position is the earlier run's; what of it is working capital the config goes on saying.
        for settings in config.settings.iter().skip(self.guarded.len()) {
            let opening = settings.opening;
            self.guarded.push(GuardedPosition { opening, ..GuardedPosition::default() });
        }
        for (settings, held) in config.settings.iter_mut().zip(&self.held) {
            settings.opening = held.lots;
        }
        config.opening_cash = self.purses.iter().map(|p| (p.currency, p.cash)).collect();
        config.carried = self.carried.clone();
        config.resumption = Some(self);
    }

    /// The name that an order was sent under first.
    pub fn first_name(&self, cl_ord_id: ClOrdId) -> ClOrdId {
        let renamed = self.renamed.iter().find(|renamed| renamed.cl_ord_id == cl_ord_id);
        renamed.map_or(cl_ord_id, |renamed| renamed.first)
    }

    /// A request of the earlier run that its journal does not hold and its message store does: it may
    /// have reached the venue.
    pub fn take_sent(&mut self, intent: &OrderIntent) {
        // At a venue that keeps an order's first name, that is what its messages say.
        let orig = intent.orig_cl_ord_id;
        let renamed = self.renamed.iter().find(|renamed| renamed.first == orig);
        let orig = renamed.map_or(orig, |renamed| renamed.cl_ord_id);
        let known = |order: &&mut Order| [order.cl_ord_id, order.replace_id].contains(&orig);
        match intent.action {
            // Where the replay differs from the run, it may have given an order of its own this number.
            OrderAction::New if self.orders.iter().any(|o| o.cl_ord_id == intent.cl_ord_id) => {}
            OrderAction::New => self.orders.push(order_of(intent)),
            OrderAction::Replace => {
                let Some(order) = self.orders.iter_mut().find(known) else { return };
                // What a mass quote does not say of its size is what it was.
                let size = if intent.size == Lots(0) { order.size } else { intent.size };
                let asked = (intent.price, size);
                // A store that does not say the request's own name has those that the journal has, too.
                if order.replacement.unwrap_or((order.price, order.size)) != asked {
                    // The one before it was answered, nobody here knows how: it may be what works.
                    if let Some((_, size)) = order.replacement {
                        (order.price, order.size) = (order.price_worst(), order.size.max(size));
                    }
                    order.replace_id = intent.cl_ord_id;
                    order.replacement = Some(asked);
                }
            }
            OrderAction::Cancel => {
                if let Some(order) = self.orders.iter_mut().find(known) {
                    order.cancel_id = intent.cl_ord_id;
                    order.cancel_of = intent.orig_cl_ord_id;
                }
            }
        }
    }

    /// An operator's order of the earlier run, in the order in which they came: what is set stays set.
    pub fn take_control(&mut self, control: &Control) {
        let Control::By { act: Act::Set { knob, value }, .. } = *control else { return };
        if knob.is_limit() {
            self.limits.retain(|limit| limit.knob != knob);
            self.limits.push(LimitSet { knob, value });
        }
    }
}

/// An order of which nothing is known but that it was sent.
fn order_of(intent: &OrderIntent) -> Order {
    let purpose = match intent.time_in_force {
        TimeInForce::PostOnly => Purpose::Quote { level: 0 },
        TimeInForce::ImmediateOrCancel => Purpose::Hedge,
    };
    let (of, terms) = ((intent.instrument, intent.side), (intent.price, intent.size));
    let sent = Order::sent(Nanos(0), intent.cl_ord_id, of, terms, purpose);
    Order { state: OrderState::InDoubt, ..sent }
}

impl Maker {
    /// How it stands, for the next run. A run that `crashed` goes on with its halts; one that ended in
    /// order was ended by a person, who starts the next one. An account in doubt stays in doubt.
    pub fn resumption(&self, epoch: u32, crashed: bool) -> Resumption {
        let held = |n| {
            let id = instrument_id(n);
            let lots = self.ledger.position(id).unwrap_or_default();
            Held { lots, mark: self.ledger.mark(id) }
        };
        let purse = |number| {
            let currency = Currency(number);
            let cash = self.ledger.cash(currency)?;
            Some(Purse { currency, cash, rate: self.ledger.rate(currency) })
        };
        let in_doubt = |(_, order): (_, Order)| Order {
            state: OrderState::InDoubt,
            // It is due to be asked about as soon as the session is up.
            requested_at: Nanos(0),
            ..order
        };
        let id_of = |line: &super::Line| line.instrument.id();
        let is_unconfirmed = |line: &&super::Line| crashed || line.is_unconfirmed;
        Resumption {
            epoch,
            held: (0..self.lines.len()).map(held).collect(),
            purses: (0..=u8::MAX).map_while(purse).collect(),
            orders: (0..self.orders.capacity())
                .filter_map(|n| self.orders.at(n))
                .map(in_doubt)
                .collect(),
            carried: self.carried(),
            halts: self.lines.iter().filter_map(|line| self.halt_left(line, crashed)).collect(),
            limits: Vec::new(),
            // An orderly end confirms nothing that nobody had confirmed.
            unconfirmed: self.lines.iter().filter(is_unconfirmed).map(id_of).collect(),
            delivered: Vec::new(),
            guarded: self.lines.iter().map(|line| line.guards.resumption(crashed)).collect(),
            places: self.places_left(),
            fills: self.fills.oldest_first().copied().collect(),
            renamed: (0..self.orders.capacity()).filter_map(|n| self.renamed_at(n)).collect(),
        }
    }

    /// What an instrument begins the next run with. One that was being flattened waits for an operator:
    /// it must not quote what was to be traded home, and nothing is sold on the word of somebody who has
    /// not seen the crash.
    fn halt_left(&self, line: &super::Line, crashed: bool) -> Option<Halt> {
        let instrument = line.instrument.id();
        if line.state == State::Halted {
            let is_end = matches!(line.reason, Reason::Shutdown | Reason::Killed);
            let stays = crashed || line.reason.doubts_account();
            return (stays && !is_end).then_some(Halt { instrument, reason: line.reason });
        }
        let pool = self.pool_of(instrument).and_then(|pool| self.pools.get(pool));
        let is_flattening = line.is_flattening || pool.is_some_and(|pool| pool.is_flattening);
        (crashed && is_flattening).then_some(Halt { instrument, reason: Reason::Operator })
    }

    fn renamed_at(&self, place: usize) -> Option<Renamed> {
        let (_, Order { cl_ord_id, .. }) = self.orders.at(place)?;
        let first = self.orders.first_name_at(place).filter(|first| *first != cl_ord_id)?;
        Some(Renamed { cl_ord_id, first })
    }

    fn places_left(&self) -> Places {
        let holdings = self.rebalancer.holdings.places().iter();
        let placed = holdings.map(|place| PlacedCash {
            venue: place.terms().venue,
            currency: place.terms().currency,
            cash: Notional(place.cash()),
        });
        let transfers = self.rebalancer.transit.iter().copied().collect();
        Places { cash: placed.collect(), transfers }
    }

    /// The last ClOrdID(11) that it gave.
    pub fn last_cl_ord_id(&self) -> ClOrdId {
        self.orders.last_id()
    }

    /// Goes on from where an earlier run ended: what the config's opening does not say.
    pub(super) fn resume_from(&mut self, resumption: &Resumption) {
        self.resume_places(&resumption.places);
        for (n, held) in resumption.held.iter().enumerate() {
            // A mark that does not fit is no mark: the first one of this run is the opening's.
            let marked = held.mark.map(|mark| self.ledger.on_mark(instrument_id(n), mark));
            debug_assert!(marked.is_none_or(|marked| marked.is_ok()), "it fitted before");
        }
        for purse in &resumption.purses {
            let rated = purse.rate.map(|rate| self.ledger.on_conversion(purse.currency, rate));
            debug_assert!(rated.is_none_or(|rated| rated.is_ok()), "it was a rate before");
        }
        for order in &resumption.orders {
            self.restore(order, resumption.first_name(order.cl_ord_id));
        }
        for fill in &resumption.fills {
            self.fills.remember(*fill);
        }
        for halt in &resumption.halts {
            if let Some(line) = self.line_mut(halt.instrument) {
                (line.state, line.reason) = (State::Halted, halt.reason);
            }
        }
        for limit in &resumption.limits {
            self.lower(limit.knob, limit.value);
        }
        for place in (0u8..).take(self.pools.len()) {
            self.lower_exposure(place, &resumption.limits);
        }
        let now = self.now;
        for (line, guarded) in self.lines.iter_mut().zip(&resumption.guarded) {
            line.go_on_guarding(now, guarded);
        }
        for &instrument in &resumption.unconfirmed {
            self.doubt_position(instrument);
        }
    }

    /// Before any mark: what is on its way is valued with the position that it goes to.
    fn resume_places(&mut self, places: &Places) {
        for placed in &places.cash {
            self.rebalancer.holdings.restore(placed.venue, placed.currency, placed.cash.0);
        }
        for transfer in &places.transfers {
            let is_taken = self.rebalancer.transit.restore(transfer);
            debug_assert!(is_taken, "there were no more before");
            if let (Moved::Coin { to, .. }, TransferStage::Sent) = (transfer.moved, transfer.stage)
            {
                let lots = self.lots_of(to, transfer.arrives);
                let known = self.ledger.on_underway(to, lots);
                debug_assert!(known.is_ok(), "it fitted before");
            } else if transfer.stage == TransferStage::Sent {
                let away = i128::from(transfer.arrives);
                let holdings = &mut self.rebalancer.holdings;
                holdings.cash_moved(None, transfer.currency, away.saturating_neg());
            }
        }
    }

    /// Once a run: which instruments it began with halted. Who is told of states is told of these.
    pub(super) fn tell_restored(&mut self, out: &mut Intents) {
        if !std::mem::take(&mut self.has_untold_halts) {
            return;
        }
        for line in self.lines.iter().filter(|line| line.state == State::Halted) {
            let (instrument, state, reason) = (line.instrument.id(), line.state, line.reason);
            self.counters.entered.count(reason);
            out.record(Record::State { at: self.now, instrument, state, reason });
        }
    }

    /// The order is in the table again, and in the place that would send another one.
    fn restore(&mut self, order: &Order, first: ClOrdId) {
        let order = &Order { purpose: self.rung_for(order), ..*order };
        let slot = self.orders.restore(order, first);
        debug_assert!(slot.is_some(), "the config's faults say where the table is too small");
        let pool = self.pool_of(order.instrument);
        match order.purpose {
            Purpose::Hedge | Purpose::Rebalance => {
                if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool))
                    && pool.hedge.is_none()
                {
                    pool.hedge = slot;
                }
            }
            Purpose::Quote { level } => {
                let Some(line) = self.line_mut(order.instrument) else { return };
                if line.is_free(order.side, level)
                    && let Some(rung) = line.rung_mut(order.side, usize::from(level))
                {
                    rung.order = slot;
                }
            }
        }
    }

    /// Of an order out of the message store nobody knows the level: a quote whose rung is taken gets the
    /// first one that is free, so that the ladder and self-trade prevention see it. Where none is, the
    /// timer takes it out.
    fn rung_for(&self, order: &Order) -> Purpose {
        let line = self.line(order.instrument);
        let is_free = |level: u8| line.is_some_and(|line| line.is_free(order.side, level));
        match order.purpose {
            Purpose::Quote { level } if !is_free(level) => Purpose::Quote {
                level: (0..=u8::MAX).find(|level| is_free(*level)).unwrap_or(level),
            },
            Purpose::Quote { .. } | Purpose::Hedge | Purpose::Rebalance => order.purpose,
        }
    }

    /// The position waits for a word of the venue or of an operator: until then nothing of its underlying
    /// is ordered.
    pub(super) fn doubt_position(&mut self, instrument: InstrumentId) {
        let Some(line) = self.line_mut(instrument).filter(|line| !line.is_unconfirmed) else {
            return;
        };
        line.is_unconfirmed = true;
        let pool = self.pool_of(instrument);
        if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool)) {
            pool.unconfirmed = pool.unconfirmed.saturating_add(1);
        }
    }

    /// The position was confirmed, by the venue or by an operator.
    pub(super) fn confirm(&mut self, instrument: InstrumentId) {
        let Some(line) = self.line_mut(instrument).filter(|line| line.is_unconfirmed) else {
            return;
        };
        line.is_unconfirmed = false;
        let pool = self.pool_of(instrument);
        if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool)) {
            pool.unconfirmed = pool.unconfirmed.saturating_sub(1);
        }
    }

    /// Sets an underlying's three limits together to the lower of the config's and those that were
    /// set: one by one, each would have to be in order with what the others have not become yet. Where
    /// they are in no order, or the hedging band is no longer inside, an operator must look.
    fn lower_exposure(&mut self, place: u8, set: &[LimitSet]) {
        let Some(pool) = self.pools.get_mut(usize::from(place)) else { return };
        let limits = pool.settings.limits;
        let least = |knob: Knob, now: Exposure| {
            let set = set.iter().find(|limit| limit.knob == knob);
            set.map_or(now, |limit| now.min(Exposure(limit.value)))
        };
        let soft = least(Knob::Soft(place), limits.soft());
        let stop = least(Knob::Stop(place), limits.stop());
        let hard = least(Knob::Hard(place), limits.hard());
        let lowered = ExposureLimits::new(soft, stop, hard).ok();
        pool.settings.limits = lowered.unwrap_or(limits);
        if lowered.is_some() && pool.is_band_within(soft) {
            return;
        }
        for line in &mut self.lines {
            if line.instrument.spec().underlying.0 == place && line.state != State::Halted {
                (line.state, line.reason) = (State::Halted, Reason::Operator);
            }
        }
    }

    /// Sets a limit where that makes it lower.
    fn lower(&mut self, knob: Knob, value: i64) {
        let is_lower = match knob {
            Knob::OrderSizeMax(id)
            | Knob::OrderValueMax(id)
            | Knob::PositionMax(id)
            | Knob::Collar(id) => self.line(id).is_some_and(|line| is_below(knob, value, line)),
            // Those of an underlying go together; what is no limit is not carried.
            Knob::Soft(_)
            | Knob::Stop(_)
            | Knob::Hard(_)
            | Knob::QuoteSize(_)
            | Knob::EdgeMin(_)
            | Knob::ToleranceAggressive(_)
            | Knob::TolerancePassive(_) => false,
        };
        if is_lower {
            self.set(knob, value);
        }
    }
}

/// Is `value` below the limit that an instrument has?
fn is_below(knob: Knob, value: i64, line: &super::Line) -> bool {
    let limits = &line.settings.limits;
    match knob {
        Knob::OrderSizeMax(_) => Lots(value) < limits.order_size_max,
        Knob::OrderValueMax(_) => {
            let new = ValueLimit::new(&line.instrument, Notional(i128::from(value)));
            match (new, limits.order_value_max) {
                (ValueLimit::TickLots(new), ValueLimit::TickLots(now)) => new < now,
                (ValueLimit::Lots(new), ValueLimit::Lots(now)) => new < now,
                (ValueLimit::TickLots(_), ValueLimit::Lots(_))
                | (ValueLimit::Lots(_), ValueLimit::TickLots(_)) => false,
            }
        }
        Knob::PositionMax(_) => Lots(value) < limits.position_max,
        Knob::Collar(_) => Ticks(value) < limits.collar.width,
        Knob::Soft(_)
        | Knob::Stop(_)
        | Knob::Hard(_)
        | Knob::QuoteSize(_)
        | Knob::EdgeMin(_)
        | Knob::ToleranceAggressive(_)
        | Knob::TolerancePassive(_) => false,
    }
}
