//! The operator's hand on the maker: what may be ordered, and what it does.
//!
//! Fed by the operator's socket, the kill switch and the runner as [`Control`] inputs, journaled before
//! they act; feeds states, limits, the ledger and, where something is to be traded home, the gate like
//! every other intent. Maker thread; cold, but within a step: no allocation, no clock, no float.
//!
//! **Flatten** takes the quotes out and trades home with immediate orders, one at a time, within the
//! collar and every limit; then the instruments halt. Of an underlying (where it has a hedger) home is
//! its target, by the cheapest hedge; of an instrument it is no position. A kill ends it. An instrument
//! whose account is in doubt is neither resumed nor traded home before that is put right.
//! Absent: who may order what, and the second operator's word on a raised limit (the socket's side).

use super::homing::Homing;
use super::{Maker, instrument_id};
use crate::event::{InstrumentId, Liquidity, VenueId};
use crate::instrument::Currency;
use crate::inventory::hedge::Attempts;
use crate::inventory::transfer::TransferId;
use crate::maker::input::Control;
use crate::maker::intents::Intents;
use crate::pnl::ledger::{BookedFill, Holding, Ledger, LedgerError, Purpose as Booked};
use crate::risk::state::{Reason, State};
use crate::units::{FeeRate, Lots, Notional, Side, Ticks};

/// Bytes of a user's name that are journaled.
pub const NAME_BYTES: usize = 16;

/// Who gave an order: the system's word for it, and the name that goes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User {
    /// The peer's uid on the operator's socket.
    pub uid: u32,
    /// Login name, cut to its first bytes, zero-padded.
    pub name: UserName,
}

/// A login name, zero-padded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserName(pub [u8; NAME_BYTES]);

impl User {
    /// Where nobody is meant: no second operator was needed.
    pub const NOBODY: User = User { uid: u32::MAX, name: UserName([0; NAME_BYTES]) };

    /// A user by uid and name.
    pub fn new(uid: u32, name: &str) -> User {
        let mut bytes = [0; NAME_BYTES];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        User { uid, name: UserName(bytes) }
    }
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.0.split(|byte| *byte == 0).next().unwrap_or_default();
        write!(f, "{} (uid {})", String::from_utf8_lossy(name), self.uid)
    }
}

/// What an act is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything.
    All,
    /// One underlying, by its place in the config.
    Underlying(u8),
    /// One instrument.
    Instrument(InstrumentId),
}

/// Why everything was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KillCause {
    /// An operator's command.
    Operator,
    /// The kill file appeared.
    File,
    /// SIGUSR1.
    Signal,
    /// The maker's heartbeat stopped.
    Watchdog,
    /// An order session was lost, and the config says that this kills.
    SessionLost,
    /// The journal can no longer be written.
    Journal,
}

impl KillCause {
    /// Its name in records and files.
    pub const fn name(self) -> &'static str {
        match self {
            KillCause::Operator => "operator",
            KillCause::File => "file",
            KillCause::Signal => "signal",
            KillCause::Watchdog => "watchdog",
            KillCause::SessionLost => "session_lost",
            KillCause::Journal => "journal",
        }
    }
}

/// What can be set while the maker runs. Values are counts, in the unit that each names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Knob {
    /// Limit: largest size of one order, lots.
    OrderSizeMax(InstrumentId),
    /// Limit: largest value of one order, 1e-9 of the quote currency.
    OrderValueMax(InstrumentId),
    /// Limit: largest position either way, lots.
    PositionMax(InstrumentId),
    /// Limit: distance from the mid, ticks.
    Collar(InstrumentId),
    /// Limit on an underlying's net exposure, 1e-9.
    Soft(u8),
    /// Limit on an underlying's net exposure, 1e-9.
    Stop(u8),
    /// Limit on an underlying's net exposure, 1e-9.
    Hard(u8),
    /// Quoting: size of every level, lots.
    QuoteSize(InstrumentId),
    /// Quoting: least distance from fair value after fees, in ticks' binary fractions.
    EdgeMin(InstrumentId),
    /// Quoting: how much closer to the market than wanted a quote may stand, ticks.
    ToleranceAggressive(InstrumentId),
    /// Quoting: how much further from the market than wanted a quote may stand, ticks.
    TolerancePassive(InstrumentId),
}

impl Knob {
    /// Is it a limit: does raising it take two operators?
    pub const fn is_limit(self) -> bool {
        match self {
            Knob::OrderSizeMax(_)
            | Knob::OrderValueMax(_)
            | Knob::PositionMax(_)
            | Knob::Collar(_)
            | Knob::Soft(_)
            | Knob::Stop(_)
            | Knob::Hard(_) => true,
            Knob::QuoteSize(_)
            | Knob::EdgeMin(_)
            | Knob::ToleranceAggressive(_)
            | Knob::TolerancePassive(_) => false,
        }
    }

    /// Its key in the config and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Knob::OrderSizeMax(_) => "order_size_max",
            Knob::OrderValueMax(_) => "order_value_max",
            Knob::PositionMax(_) => "position_max",
            Knob::Collar(_) => "collar",
            Knob::Soft(_) => "soft",
            Knob::Stop(_) => "stop",
            Knob::Hard(_) => "hard",
            Knob::QuoteSize(_) => "size",
            Knob::EdgeMin(_) => "edge_min",
            Knob::ToleranceAggressive(_) => "tolerance_aggressive",
            Knob::TolerancePassive(_) => "tolerance_passive",
        }
    }
}

/// What an operator orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Stop quoting until resumed.
    Pause {
        /// What.
        scope: Scope,
    },
    /// Quote again, also after a halt; not after a kill, nor while what is held is in doubt.
    Resume {
        /// What.
        scope: Scope,
    },
    /// Take the quotes out, trade home, then pause.
    Flatten {
        /// What.
        scope: Scope,
    },
    /// Cancel everything and send no new order, ever again in this run.
    Kill {
        /// Why.
        cause: KillCause,
    },
    /// Change a limit or a quoting parameter.
    Set {
        /// Which.
        knob: Knob,
        /// To what, in the knob's unit.
        value: i64,
    },
    /// A trade of ours that was made elsewhere; the taker's fee is charged.
    Trade {
        /// What.
        instrument: InstrumentId,
        /// Our side.
        side: Side,
        /// At what.
        price: Ticks,
        /// How much.
        size: Lots,
    },
    /// Holdings that came (or, negative, went) without gain or loss: a deposit, a move.
    Transfer {
        /// Of what.
        holding: Holding,
        /// Lots, or 1e-9 of the currency.
        amount: i64,
    },
    /// Treasury has sent a transfer that was asked for.
    TransferSent {
        /// Which.
        id: TransferId,
        /// How much left, in 1e-9.
        leaves: i64,
    },
    /// A transfer has arrived.
    TransferArrived {
        /// Which.
        id: TransferId,
        /// How much came, in 1e-9.
        came: i64,
    },
    /// A transfer is not sent, or came back.
    TransferRefused {
        /// Which.
        id: TransferId,
        /// How much came back of one that was sent, in 1e-9.
        came: i64,
    },
    /// A funding payment that the venue made, in 1e-9 of the settlement currency; negative was paid.
    Funding {
        /// Of what.
        instrument: InstrumentId,
        /// How much was received.
        received: i64,
    },
    /// The venue's funding rate from now on; longs pay where it is positive.
    FundingRate {
        /// Of what.
        instrument: InstrumentId,
        /// Of the value, each instant.
        rate: FeeRate,
    },
    /// Holdings that turned out otherwise than booked: the difference is gain or loss.
    Adjust {
        /// Of what.
        holding: Holding,
        /// Lots, or 1e-9 of the currency.
        amount: i64,
    },
    /// An option's whole position expires.
    Expire {
        /// Which.
        instrument: InstrumentId,
        /// The underlying's settlement price, 1e-9.
        price: i64,
    },
    /// A part of an option's position is exercised, or assigned.
    Exercise {
        /// Which.
        instrument: InstrumentId,
        /// How much: + we exercise, − we are assigned.
        lots: Lots,
        /// The underlying's settlement price, 1e-9; 0 where the option delivers a future.
        price: i64,
    },
}

impl Maker {
    pub(super) fn on_control(&mut self, control: Control, out: &mut Intents) {
        match control {
            Control::Pause(instrument) => self.pause(Scope::Instrument(instrument), out),
            Control::Resume(instrument) => {
                self.resume(instrument, Scope::Instrument(instrument), out);
            }
            Control::Kill => self.stop(Reason::Killed, out),
            Control::Parameters(parameters) => self.on_parameters(&parameters, out),
            Control::Skew(row) => self.on_skew_row(&row, out),
            Control::Collateral(view) => self.on_collateral(view, out),
            Control::Firm(view) => self.on_firm(view, out),
            Control::MicroPrice(update) => self.on_micro_price(&update, out),
            Control::Greeks(greeks) => self.on_greeks(&greeks, out),
            Control::GreekSpan(span) => self.on_greek_span(&span),
            Control::HedgeRow(update) => self.on_hedge_row(&update),
            Control::HedgeMix(update) => self.on_mix(&update),
            Control::Shutdown => {
                self.is_shut_down = true;
                self.stop(Reason::Shutdown, out);
            }
            Control::By { act, .. } => self.on_act(act, out),
        }
    }

    fn on_act(&mut self, act: Act, out: &mut Intents) {
        match act {
            Act::Pause { scope } => self.pause(scope, out),
            Act::Resume { scope } => {
                for n in 0..self.lines.len() {
                    if self.covers(scope, instrument_id(n)) {
                        self.resume(instrument_id(n), scope, out);
                    }
                }
            }
            Act::Flatten { scope } => self.flatten(scope, out),
            Act::Kill { .. } => self.stop(Reason::Killed, out),
            Act::Set { knob, value } => {
                self.set(knob, value);
                self.requote_all(out);
            }
            Act::Trade { instrument, side, price, size } => {
                let fill = BookedFill {
                    instrument,
                    side,
                    price,
                    size,
                    liquidity: Liquidity::Taker,
                    purpose: Booked::External,
                    mid: None,
                };
                let booked = self.booked_at(instrument, |ledger| ledger.on_fill(&fill));
                if booked.is_ok() {
                    self.guard_trade(instrument, side, price, size);
                    self.put_right(instrument, out);
                }
                self.after_booking(booked, instrument, out);
            }
            Act::Transfer { holding, amount } => self.book_transfer(holding, amount, out),
            Act::TransferSent { id, leaves } => self.transfer_sent(id, leaves, out),
            Act::TransferArrived { id, came } => self.transfer_arrived(id, came, out),
            Act::TransferRefused { id, came } => self.transfer_refused(id, came, out),
            Act::Funding { instrument, received } => {
                let received = Notional(received.into());
                let book = |ledger: &mut Ledger| ledger.on_funding(instrument, received);
                let booked = self.booked_at(instrument, book);
                self.after_booking(booked, instrument, out);
            }
            Act::FundingRate { instrument, rate } => self.set_funding_rate(instrument, rate),
            Act::Adjust { holding, amount } => {
                let (venue, currency) = self.place_of(holding);
                let booked =
                    self.booked(venue, currency, |ledger| ledger.on_adjustment(holding, amount));
                if let (Holding::Position(instrument), Ok(())) = (holding, &booked) {
                    self.put_right(instrument, out);
                }
                self.after_holding(booked, holding, out);
            }
            Act::Expire { instrument, price } => self.expire(instrument, price, out),
            Act::Exercise { instrument, lots, price } => {
                self.exercise(instrument, lots, price, out);
            }
        }
    }

    /// Where a holding's cash is, and of what.
    fn place_of(&self, holding: Holding) -> (Option<VenueId>, Currency) {
        match holding {
            Holding::Position(id) => {
                let spec = self.line(id).map(|line| line.instrument.spec());
                spec.map(|spec| (spec.venue, spec.settlement)).map_or_else(
                    || (None, Currency::default()),
                    |(venue, currency)| (Some(venue), currency),
                )
            }
            Holding::Cash(currency) => (None, currency),
            Holding::CashAt { venue, currency } => (Some(venue), currency),
        }
    }

    /// Holdings came, or went: that is working capital and no bet.
    fn book_transfer(&mut self, holding: Holding, amount: i64, out: &mut Intents) {
        let (venue, currency) = self.place_of(holding);
        let booked = self.booked(venue, currency, |ledger| ledger.on_transfer(holding, amount));
        let of = holding.instrument().filter(|_| booked.is_ok());
        if let Some(line) = of.and_then(|id| self.line_mut(id)) {
            line.guard_transfer(Lots(amount));
        }
        if let Some(instrument) = of {
            self.put_right(instrument, out);
        }
        self.after_holding(booked, holding, out);
    }

    pub(super) fn covers(&self, scope: Scope, instrument: InstrumentId) -> bool {
        match scope {
            Scope::All => true,
            Scope::Underlying(place) => self.pool_of(instrument) == Some(usize::from(place)),
            Scope::Instrument(id) => id == instrument,
        }
    }

    pub(super) fn pause(&mut self, scope: Scope, out: &mut Intents) {
        self.end_flattening(scope);
        for n in 0..self.lines.len() {
            if self.covers(scope, instrument_id(n)) {
                self.halt(instrument_id(n), Reason::Operator, out);
            }
        }
    }

    /// One instrument of `scope`, which an operator has quoted again.
    fn resume(&mut self, instrument: InstrumentId, scope: Scope, out: &mut Intents) {
        if self.refuses(instrument) {
            return;
        }
        self.reset_controls(instrument);
        self.confirm(instrument);
        self.set_flattening(instrument, false);
        if let Some(line) = self.line_mut(instrument) {
            line.homing = Homing::default();
        }
        if let Some(place) = self.pool_of(instrument) {
            self.leave_way_home(place, scope, out);
            if let Some(pool) = self.pools.get_mut(place) {
                pool.hedge_failures = 0;
                pool.attempts = Attempts::default();
            }
        }
        self.enter(instrument, State::Paused, Reason::Normal, out);
        self.requote(instrument, out);
    }

    /// Everything is stopped, or what is held is in doubt: whatever an operator wants of it waits until
    /// it was put right.
    pub(super) fn refuses(&mut self, instrument: InstrumentId) -> bool {
        let is_doubted = self.line(instrument).is_some_and(|line| line.reason.doubts_account());
        let refuses = self.is_killed || is_doubted;
        self.counters.acts_refused = self.counters.acts_refused.saturating_add(refuses.into());
        refuses
    }

    /// One decision: no new order after it, everything cancelled or in doubt.
    fn stop(&mut self, reason: Reason, out: &mut Intents) {
        self.is_killed = true;
        self.end_flattening(Scope::All);
        for n in 0..self.lines.len() {
            self.halt(instrument_id(n), reason, out);
        }
        self.cancel_everything(out);
    }

    pub(super) fn requote_all(&mut self, out: &mut Intents) {
        if self.is_killed {
            return;
        }
        for n in 0..self.lines.len() {
            self.requote(instrument_id(n), out);
        }
    }

    fn after_holding(
        &mut self,
        booked: Result<(), LedgerError>,
        holding: Holding,
        out: &mut Intents,
    ) {
        match holding {
            Holding::Position(instrument) => self.after_booking(booked, instrument, out),
            Holding::Cash(currency) | Holding::CashAt { currency, .. } => {
                self.after_cash(booked, currency, out);
            }
        }
    }

    /// Cash has changed: where it is a coin, net delta has.
    fn after_cash(
        &mut self,
        booked: Result<(), LedgerError>,
        currency: Currency,
        out: &mut Intents,
    ) {
        if booked.is_err() {
            for n in 0..self.lines.len() {
                let line = self.lines.get(n);
                if line.is_some_and(|line| line.instrument.spec().settlement == currency) {
                    self.halt(instrument_id(n), Reason::Overflow, out);
                }
            }
            return;
        }
        for pool in 0..self.pools.len() {
            if self.pools.get(pool).is_some_and(|pool| pool.exposure.counts(currency)) {
                self.refresh_delta(pool);
            }
        }
        self.requote_all(out);
        for pool in 0..self.pools.len() {
            self.hedge(pool, out);
        }
    }

    /// The account has changed without an order of ours: exposure, quotes and hedges follow it.
    pub(super) fn after_booking(
        &mut self,
        booked: Result<(), LedgerError>,
        instrument: InstrumentId,
        out: &mut Intents,
    ) {
        if booked.is_err() {
            // Our books and the world differ, and the difference does not fit: nothing goes on.
            self.halt(instrument, Reason::Overflow, out);
            return;
        }
        self.note_position(instrument);
        let Some(pool) = self.pool_of(instrument) else { return };
        self.refresh_delta(pool);
        self.requote_all(out);
        self.hedge(pool, out);
    }

    /// A position is another one: what is kept of it follows, before anything is sent for it.
    pub(super) fn note_position(&mut self, instrument: InstrumentId) {
        self.refresh_gross(instrument);
        self.settle_guards(instrument);
        let position = self.ledger.position(instrument).unwrap_or(Lots(0));
        if let Some(line) = self.line_mut(instrument) {
            line.tally.on_position(position);
        }
    }
}
