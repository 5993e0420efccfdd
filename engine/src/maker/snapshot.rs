//! How the maker stands: what reports, progress lines and operators read. Never an input.

use super::counters::Counters;
use super::rebalancing::CurrencyBalance;
use super::tally::LineTally;
use super::{Maker, instrument_id};
use crate::estimate::markout::Markouts;
use crate::estimate::volatility::Sigma;
use crate::event::{InstrumentId, VenueId};
use crate::instrument::{Currency, Instrument};
use crate::inventory::holdings::Held;
use crate::inventory::rebalance::Deviation;
use crate::inventory::transfer::{Flows, Transfer};
use crate::market::book::{Book, Touch};
use crate::market::trust::Distrust;
use crate::orders::order::Purpose;
use crate::pnl::attribution::Cause;
use crate::pnl::ledger::Ledger;
use crate::risk::greek_limits::GreekVector;
use crate::risk::state::{Reason, State};
use crate::units::{Exposure, Lots, Nanos, Notional, Side, Ticks};

/// One instrument at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstrumentSnapshot {
    /// The touch, or why it is not to be believed.
    pub touch: Result<Touch, Distrust>,
    /// Our best working bid and ask.
    pub quotes: [Option<Ticks>; 2],
    /// Position.
    pub position: Lots,
    /// Largest position either way so far, the opening included, in lots.
    pub position_max_abs: u64,
    /// Fills so far.
    pub fills: u64,
    /// What may still trade.
    pub open: [Lots; 2],
    /// Volatility.
    pub sigma: Sigma,
    /// State.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// How often its book lost its sequence.
    pub gaps_seen: u64,
    /// How often its touch jumped further than the limit.
    pub spikes_seen: u64,
}

/// One currency at one venue, at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaceSnapshot {
    /// Where.
    pub venue: VenueId,
    /// Of what.
    pub currency: Currency,
    /// What is held; `None` where something there has no value.
    pub held: Option<Held>,
    /// How far that, with what is on its way there, is from what should be; likewise.
    pub deviation: Option<Deviation>,
}

/// How an underlying's options stand against the limits on their Greeks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreekSample {
    /// Net Greeks of the positions, as they were refreshed; `None` where they do not fit.
    pub held: Option<GreekVector>,
    /// The furthest from zero that everything open and every move inside the refresh's bounds can take
    /// each.
    pub net_worst: GreekVector,
    /// The same, longs and shorts together.
    pub gross_worst: GreekVector,
}

/// What is told of holdings by venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldingsNews {
    /// A place.
    Place(PlaceSnapshot),
    /// An open transfer.
    Transfer(Transfer),
    /// A currency, after all its places and transfers.
    Balance(CurrencyBalance),
}

impl Maker {
    /// How an underlying's options stand; `None` where it has none.
    pub fn greek_sample(&self, pool: usize) -> Option<GreekSample> {
        let ranges = self.greek_ranges(pool)?;
        let fit = |part: i128| i64::try_from(part).unwrap_or(i64::MAX);
        let net = ranges.map(|range| fit(range.up.max(range.down.saturating_neg()).max(0)));
        Some(GreekSample {
            held: self.net_greeks(pool),
            net_worst: GreekVector::of(net),
            gross_worst: GreekVector::of(ranges.map(|range| fit(range.gross))),
        })
    }

    /// What is held where.
    pub fn places(&self) -> impl Iterator<Item = PlaceSnapshot> + '_ {
        self.rebalancer.holdings.places().iter().map(|place| {
            let (venue, currency) = (place.terms().venue, place.terms().currency);
            let (held, deviation) = (place.held(), self.deviation(venue, currency));
            PlaceSnapshot { venue, currency, held, deviation }
        })
    }

    /// Transfers that are asked for or on their way.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> + '_ {
        self.rebalancer.transit.iter()
    }

    /// What a currency's transfers came to.
    pub fn transfer_flows(&self, currency: Currency) -> Flows {
        self.rebalancer.transit.flows(currency)
    }

    /// How each placed currency stands.
    pub fn balances(&self) -> &[CurrencyBalance] {
        &self.rebalancer.balances
    }

    /// Where the mid went after an instrument's fills.
    pub fn markouts(&self, instrument: InstrumentId) -> Option<&Markouts> {
        self.line(instrument).map(|line| &line.markouts)
    }

    /// What an instrument's orders came to.
    pub fn tally(&self, instrument: InstrumentId) -> Option<&LineTally> {
        self.line(instrument).map(|line| &line.tally)
    }

    /// The latest time that it knows.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// How often what happened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The account.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many instruments there are.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> + '_ {
        self.lines.iter().map(|line| &line.instrument)
    }

    /// Where an instrument trades.
    pub fn venue_of(&self, instrument: InstrumentId) -> Option<VenueId> {
        self.line(instrument).map(|line| line.instrument.spec().venue)
    }

    /// An instrument's book.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.line(instrument).map(|line| &line.book)
    }

    /// How many orders are or may be at a venue.
    pub fn live_orders(&self) -> usize {
        self.orders.live()
    }

    /// Net delta of an underlying, from its target; `None` where something held has no value.
    pub fn delta(&self, underlying: usize) -> Option<Exposure> {
        self.pools.get(underlying).filter(|pool| pool.is_delta_known).map(|pool| pool.delta)
    }

    /// Largest net delta of an underlying either way so far, in 1e-9.
    pub fn delta_max_abs(&self, underlying: usize) -> Option<u64> {
        self.pools.get(underlying).map(|pool| pool.delta_max_abs)
    }

    /// PnL by cause and in total, in 1e-9 of the reporting currency; `None` where it does not fit.
    pub fn pnl(&self) -> Option<([(Cause, Notional); Cause::COUNT], Notional)> {
        Some((self.ledger.causes(), self.ledger.total()?))
    }

    /// Gross notional of the portfolio in the worst case, in 1e-9 of the reporting currency; `None`
    /// where a position's worth is not known.
    pub fn gross_notional(&self) -> Option<Notional> {
        let waiting = self.gross.waiting();
        self.gross.total_with(waiting.and_then(|place| self.gross_value(instrument_id(place))))
    }

    /// Was a kill consumed?
    pub fn is_killed(&self) -> bool {
        self.is_killed
    }

    /// Was a shutdown consumed: does the run end?
    pub fn is_shut_down(&self) -> bool {
        self.is_shut_down
    }

    /// One instrument now.
    pub fn snapshot(&self, instrument: InstrumentId) -> Option<InstrumentSnapshot> {
        let line = self.line(instrument)?;
        let open = self.orders.open(instrument);
        let quote = |side: Side| {
            let rungs = line.rungs(side).iter().filter_map(|rung| rung.order);
            let orders = rungs.filter_map(|slot| self.orders.get(slot));
            let quotes = orders.filter(|order| matches!(order.purpose, Purpose::Quote { .. }));
            let prices = quotes.map(|order| order.price);
            match side {
                Side::Buy => prices.max(),
                Side::Sell => prices.min(),
            }
        };
        Some(InstrumentSnapshot {
            touch: line.touch(self.now),
            quotes: [quote(Side::Buy), quote(Side::Sell)],
            position: self.ledger.position(instrument)?,
            position_max_abs: line.tally.position_max_abs,
            fills: line.tally.fills,
            open: [open.buy, open.sell],
            sigma: line.volatility.sigma(),
            state: line.state,
            reason: line.reason,
            gaps_seen: line.trust.gaps_seen(),
            spikes_seen: line.trust.spikes_seen(),
        })
    }
}
