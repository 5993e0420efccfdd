//! A market out of a seed: what a bare clone trades against.
//!
//! Fed by a `u64` and the instrument table; feeds whoever plays a [`Tape`], with the same events that
//! a recording gives. Any one thread. Deliberately absent: reaction to anybody's orders, and any
//! claim that a profit made here is one.
//!
//! - **Price.** Each underlying has one efficient price, a random walk whose volatility switches
//!   between a calm and a busy regime at random times. Each instrument's own middle is that price and
//!   a basis that reverts to zero, so that spot and perpetuals are correlated, not equal.
//! - **Book.** Levels stand on a fixed grid around the middle, small at the touch and larger behind.
//!   They are moved after the price at random times (Poisson), so that a stale level can be hit.
//! - **Trades.** Market orders arrive on each side as a Poisson process and reach a distance from the
//!   middle that is exponentially distributed: a quote δ away is reached `A exp(−k δ)` times a second,
//!   the intensity that Avellaneda and Stoikov (2008) assume. The busy regime doubles A.
//!
//! Floating point is at home here (no order is priced with it); `libm` keeps it the same everywhere.

use crate::random::Random;
use crate::recording::{Tape, TapeCounters, TapeError};
use ballast_engine::event::{MarketEvent, MarketUpdate};
use ballast_engine::instrument::{ContractValue, Instrument, InstrumentKind};
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Stamp, Ticks};
use std::collections::{BTreeMap, VecDeque};

/// How a synthetic market is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntheticOptions {
    /// The seed: everything follows from it.
    pub seed: u64,
    /// Time of the first event.
    pub start: Nanos,
    /// How long it plays; `None`: for ever.
    pub duration_ns: Option<u64>,
    /// The first price of every underlying, in quote currency.
    pub price: Decimal,
}

impl SyntheticOptions {
    /// Starts at 2024-08-09 00:00 UTC and a price of 60,000.
    pub fn new(seed: u64, duration_ns: Option<u64>) -> SyntheticOptions {
        let start = Nanos(1_723_161_600_000_000_000);
        SyntheticOptions { seed, start, duration_ns, price: Decimal { mantissa: 60_000, scale: 0 } }
    }
}

/// Distances are shares of the price: 1e-4 is a basis point.
const BASIS_POINT: f64 = 1e-4;
/// Volatility a square root of a second, calm and busy: 15 and 60 % of a year's root.
const VOLATILITY: [f64; 2] = [0.25 * BASIS_POINT, 1.0 * BASIS_POINT];
/// Mean seconds in the calm and in the busy regime.
const REGIME_SECONDS: [f64; 2] = [20.0, 6.0];
/// How much more often market orders come in each regime.
const REGIME_ACTIVITY: [f64; 2] = [1.0, 2.0];
/// Between two levels, and between the middle and where the first may stand.
const SPACING: f64 = 0.05 * BASIS_POINT;
/// Mean distance that a market order reaches: 1/k.
const REACH: f64 = 0.5 * BASIS_POINT;
/// Displayed levels a side.
const LEVELS: usize = 25;
/// Mean value at the touch, in quote currency; each level behind has a quarter of this more.
const TOUCH_VALUE: f64 = 1_500.0;
/// How often a second a book is moved after its price.
const REFRESH_RATE: f64 = 20.0;
/// Share of the standing levels whose size changes in a refresh.
const RESIZE_CHANCE: f64 = 0.1;
/// How fast a basis reverts (a second), and how far it strays.
const BASIS_REVERSION: f64 = 0.1;
const BASIS_SPREAD: f64 = 0.3 * BASIS_POINT;
/// From a trade to the depth message that shows what it left.
const DEPTH_DELAY_NS: u64 = 1_000;

/// An underlying's efficient price.
struct Efficient {
    random: Random,
    price: f64,
    at: f64,
    regime: usize,
    next_switch: f64,
}

impl Efficient {
    fn new(random: Random, price: f64) -> Efficient {
        let mut efficient = Efficient { random, price, at: 0.0, regime: 0, next_switch: 0.0 };
        efficient.next_switch = efficient.random.exponential(1.0 / REGIME_SECONDS[0]);
        efficient
    }

    /// Walks on to `at`, through as many regimes as lie between.
    fn advance(&mut self, at: f64) {
        while self.at < at {
            let until = at.min(self.next_switch);
            let deviation = VOLATILITY[self.regime] * libm::sqrt((until - self.at).max(0.0));
            self.price *= 1.0 + deviation * self.random.normal();
            self.at = until;
            if until >= self.next_switch {
                self.regime = 1 - self.regime;
                self.next_switch += self.random.exponential(1.0 / REGIME_SECONDS[self.regime]);
            }
        }
    }
}

/// One instrument's market.
struct Market {
    instrument: Instrument,
    random: Random,
    underlying: usize,
    tick: f64,
    spacing: i64,
    market_order_rate: f64,
    basis: f64,
    basis_at: f64,
    next_order: f64,
    next_refresh: f64,
    book: [BTreeMap<Ticks, Lots>; 2],
}

/// A market that plays from a seed.
pub struct Synthetic {
    options: SyntheticOptions,
    underlyings: Vec<Efficient>,
    markets: Vec<Market>,
    pending: VecDeque<MarketEvent>,
    counters: TapeCounters,
    latest: Nanos,
    has_begun: bool,
}

impl Synthetic {
    /// A market for these instruments.
    pub fn new(instruments: &[Instrument], options: SyntheticOptions) -> Synthetic {
        let price = number(options.price);
        let count = instruments.iter().map(|i| usize::from(i.spec().underlying.0) + 1).max();
        let underlyings = (0..count.unwrap_or(0) as u64)
            .map(|n| Efficient::new(Random::stream(options.seed, n), price))
            .collect();
        let market = |(n, instrument): (u64, &Instrument)| {
            let tick = number(instrument.spec().tick);
            let mut random = Random::stream(options.seed, (1 << 32) + n);
            let market_order_rate = match instrument.spec().kind {
                InstrumentKind::Spot => 6.0,
                InstrumentKind::LinearPerpetual => 8.0,
                InstrumentKind::InversePerpetual
                | InstrumentKind::DatedFuture { .. }
                | InstrumentKind::Option(_) => 3.0,
            };
            Market {
                underlying: usize::from(instrument.spec().underlying.0),
                instrument: instrument.clone(),
                tick,
                spacing: ((price * SPACING / tick) as i64).max(1),
                market_order_rate,
                basis: BASIS_SPREAD * random.normal(),
                basis_at: 0.0,
                next_order: random.exponential(2.0 * market_order_rate),
                next_refresh: random.exponential(REFRESH_RATE),
                random,
                book: Default::default(),
            }
        };
        Synthetic {
            options,
            underlyings,
            markets: (0..).zip(instruments).map(market).collect(),
            pending: VecDeque::new(),
            counters: TapeCounters::default(),
            latest: Nanos(0),
            has_begun: false,
        }
    }

    /// The best price and size of an instrument's side.
    pub fn best(&self, place: usize, side: Side) -> Option<(Ticks, Lots)> {
        let book = &self.markets.get(place)?.book[side.index()];
        let level = if side == Side::Buy { book.last_key_value() } else { book.first_key_value() };
        level.map(|(&price, &size)| (price, size))
    }

    fn fill(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            for place in 0..self.markets.len() {
                self.refresh(place, 0.0);
            }
        }
        while self.pending.is_empty() {
            let times = self.markets.iter().map(|m| m.next_order.min(m.next_refresh));
            let next = times.enumerate().min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            let Some((place, at)) = next else { return };
            if self.options.duration_ns.is_some_and(|end| (at * 1e9) as u64 >= end) {
                return;
            }
            let market = &mut self.markets[place];
            if market.next_refresh <= market.next_order {
                market.next_refresh = at + market.random.exponential(REFRESH_RATE);
                self.refresh(place, at);
            } else {
                let activity = REGIME_ACTIVITY[self.underlyings[market.underlying].regime];
                let rate = 2.0 * market.market_order_rate * activity;
                market.next_order = at + market.random.exponential(rate);
                self.market_order(place, at);
            }
        }
    }

    fn middle(&mut self, place: usize, at: f64) -> f64 {
        let market = &mut self.markets[place];
        let efficient = &mut self.underlyings[market.underlying];
        efficient.advance(at);
        let elapsed = (at - market.basis_at).max(0.0);
        let kept = libm::exp(-BASIS_REVERSION * elapsed);
        let noise = BASIS_SPREAD * libm::sqrt(1.0 - kept * kept);
        market.basis = market.basis * kept + noise * market.random.normal();
        market.basis_at = at;
        efficient.price * (1.0 + market.basis)
    }

    /// Moves a book after its price: one message of the levels that differ.
    fn refresh(&mut self, place: usize, at: f64) {
        let middle = self.middle(place, at);
        let market = &mut self.markets[place];
        let is_first = market.book[0].is_empty() && market.book[1].is_empty();
        let step = market.spacing;
        let spacing = market.tick * step as f64;
        let half = SPACING * middle / 2.0;
        let bid = libm::floor((middle - half) / spacing) as i64 * step;
        let ask = libm::ceil((middle + half) / spacing) as i64 * step;
        let mut changes = Vec::with_capacity(4 * LEVELS);
        for (side, touch, away) in [(Side::Buy, bid, -step), (Side::Sell, ask, step)] {
            let last = touch + away * (LEVELS as i64 - 1);
            let wanted = Ticks(touch.min(last))..=Ticks(touch.max(last));
            let book = &mut market.book[side.index()];
            let outside: Vec<Ticks> =
                book.keys().filter(|p| !wanted.contains(p)).copied().collect();
            for price in outside {
                book.remove(&price);
                changes.push((side, price, Lots(0)));
            }
            for depth in 0..LEVELS as i64 {
                let price = Ticks(touch + away * depth);
                if !book.contains_key(&price) || market.random.chance(RESIZE_CHANCE) {
                    let mean = TOUCH_VALUE * (1.0 + depth as f64 / 4.0);
                    let value = mean * (0.2 + market.random.exponential(1.0 / 0.8));
                    let size = lots(&market.instrument, value, middle);
                    book.insert(price, size);
                    changes.push((side, price, size));
                }
            }
        }
        let due = self.due(at);
        if is_first {
            self.push(place, due, MarketUpdate::Reset, false);
        }
        self.push_levels(place, due, &changes);
    }

    /// A market order walks the book as far as it reaches: trades first, then what they left.
    fn market_order(&mut self, place: usize, at: f64) {
        let middle = self.middle(place, at);
        let market = &mut self.markets[place];
        let aggressor = Side::BOTH[market.random.below(2) as usize];
        let reach = middle * REACH * market.random.exponential(1.0);
        let limit = middle + reach * aggressor.sign() as f64;
        let resting = aggressor.opposite();
        let mut walked: Vec<(Ticks, Lots)> = match aggressor {
            Side::Buy => {
                let book = market.book[resting.index()].iter();
                book.take_while(|(p, _)| p.0 as f64 * market.tick <= limit)
                    .map(|l| (*l.0, *l.1))
                    .collect()
            }
            Side::Sell => {
                let book = market.book[resting.index()].iter().rev();
                book.take_while(|(p, _)| p.0 as f64 * market.tick >= limit)
                    .map(|l| (*l.0, *l.1))
                    .collect()
            }
        };
        // The last level is taken in part, and one level always stands.
        walked.truncate(market.book[resting.index()].len() - 1);
        if let Some((_, size)) = walked.last_mut() {
            size.0 = (size.0 as f64 * market.random.unit()) as i64 + 1;
        }
        let mut left = Vec::with_capacity(walked.len());
        for &(price, size) in &walked {
            let book = &mut market.book[resting.index()];
            let rest = Lots(book.get(&price).map_or(0, |shown| shown.0 - size.0).max(0));
            if rest.0 > 0 {
                book.insert(price, rest)
            } else {
                book.remove(&price)
            };
            left.push((resting, price, rest));
        }
        let due = self.due(at);
        for (price, size) in walked {
            self.push(place, due, MarketUpdate::Trade { aggressor, price, size }, true);
        }
        self.push_levels(place, due.plus(DEPTH_DELAY_NS), &left);
    }

    fn due(&self, at: f64) -> Nanos {
        self.options.start.plus((at * 1e9) as u64)
    }

    fn push_levels(&mut self, place: usize, due: Nanos, levels: &[(Side, Ticks, Lots)]) {
        for (n, &(side, price, size)) in levels.iter().enumerate() {
            let update = MarketUpdate::Level { side, price, size };
            self.push(place, due, update, n + 1 == levels.len());
        }
    }

    fn push(&mut self, place: usize, due: Nanos, update: MarketUpdate, last_in_message: bool) {
        self.counters.rows += u64::from(last_in_message);
        // What follows a trade can be due after the next order's time: it is not overtaken.
        self.latest = self.latest.max(due);
        self.pending.push_back(MarketEvent {
            at: self.latest,
            venue_at: self.latest,
            stamp: Stamp(0),
            update,
            instrument: self.markets[place].instrument.id(),
            last_in_message,
        });
    }
}

impl Tape for Synthetic {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill();
        let event = self.pending.pop_front();
        self.counters.events += u64::from(event.is_some());
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill();
        Ok(self.pending.front().map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        self.counters
    }
}

/// What `value` of quote currency buys, in whole lots, at least one.
fn lots(instrument: &Instrument, value: f64, price: f64) -> Lots {
    let count = match instrument.value() {
        ContractValue::Linear { nano_underlying_per_lot, .. }
        | ContractValue::Option { nano_underlying_per_lot, .. } => {
            value / price * 1e9 / nano_underlying_per_lot as f64
        }
        ContractValue::Inverse { nano_quote_per_lot, .. } => {
            value * 1e9 / nano_quote_per_lot as f64
        }
    };
    Lots((count as i64).max(1))
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / libm::pow(10.0, f64::from(decimal.scale))
}

#[cfg(test)]
#[path = "synthetic_tests.rs"]
mod tests;
