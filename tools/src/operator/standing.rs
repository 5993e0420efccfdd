//! How the maker stands, as operators, metrics and alerts see it.
//!
//! Fed by the back office with the maker's telemetry; read by the operator's socket, the metrics port
//! and the guard under one lock, which only cold threads take. Absent: history (the report's), and
//! anything that the maker decides by.

use ballast_engine::event::InstrumentId;
use ballast_engine::inventory::transfer::Transfer;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::rebalancing::CurrencyBalance;
use ballast_engine::maker::snapshot::{
    GreekSample, HoldingsNews, InstrumentSnapshot, PlaceSnapshot,
};
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::risk::collateral::CollateralView;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::units::{Exposure, Nanos, Notional};
use hdrhistogram::Histogram;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// News that waits for the guard; beyond it, of what repeats the latest of each instrument alone.
const NEWS_MAX: usize = 256;

/// PnL by cause, and the total that was computed separately.
pub type Pnl = ([(Cause, Notional); Cause::COUNT], Notional);

/// Percentiles of one stretch of the way, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// From the socket's read to here.
    pub name: &'static str,
    /// How many were measured.
    pub count: u64,
    /// p50, p99, p99.9 and the largest.
    pub nanos: [u64; 4],
}

impl Latency {
    /// Of a histogram.
    pub fn of(name: &'static str, histogram: &Histogram<u64>) -> Latency {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let nanos = [at(0.5), at(0.99), at(0.999), histogram.max()];
        Latency { name, count: histogram.len(), nanos }
    }
}

/// Something that an operator may have to know at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// An instrument changed its state.
    State(InstrumentId, State, Reason),
    /// A window of an instrument's quoting obligation ended with only so many thousandths of its time.
    Obligation(InstrumentId, u32),
    /// The journal can no longer be written.
    JournalLost,
    /// An order session ended, and orders may still work at its venue.
    LeftWorking {
        /// Whose.
        session: String,
        /// How many, and what they are called.
        what: String,
    },
    /// A kill ended the connection of an order session, and orders may still work at its venue.
    Cut {
        /// Whose.
        session: String,
        /// Why, and what to do.
        what: String,
    },
}

impl News {
    /// The instrument of which later news of this kind says all that this one does.
    fn repeats(&self) -> Option<InstrumentId> {
        match self {
            News::State(instrument, ..) | News::Obligation(instrument, _) => Some(*instrument),
            News::JournalLost | News::LeftWorking { .. } | News::Cut { .. } => None,
        }
    }

    fn is_outdated_by(&self, later: &News) -> bool {
        let is_of_a_kind = std::mem::discriminant(self) == std::mem::discriminant(later);
        is_of_a_kind && self.repeats().is_some() && self.repeats() == later.repeats()
    }
}

/// The last of everything.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The maker's time of the latest news.
    pub at: Nanos,
    /// The latest sample of each instrument.
    pub instruments: Vec<Option<InstrumentSnapshot>>,
    /// State and reason of each instrument, also between samples.
    pub states: Vec<(State, Reason)>,
    /// Net delta of each underlying, from its target.
    pub deltas: Vec<Option<Exposure>>,
    /// How each underlying's options stand, where it has any.
    pub greeks: Vec<Option<GreekSample>>,
    /// PnL in the reporting currency.
    pub pnl: Option<Pnl>,
    /// Fills.
    pub fills: u64,
    /// Proposals that the gate blocked, by reason.
    pub blocked: BTreeMap<&'static str, u64>,
    /// Changes of an instrument's state, by reason.
    pub changes: BTreeMap<&'static str, u64>,
    /// What is where.
    pub places: Vec<PlaceSnapshot>,
    /// Transfers that are asked for or on their way, with the time of the sample that told them.
    pub transfers: Vec<(Nanos, Transfer)>,
    /// How each placed currency stands.
    pub balances: Vec<CurrencyBalance>,
    /// Where it is measured.
    pub latency: Vec<Latency>,
    /// The same of the last whole window alone.
    pub latency_window: Vec<Latency>,
    /// Samples of latency that found no room.
    pub latency_dropped: u64,
    /// How far the counter that latencies are measured by is off, in parts per billion.
    pub drift_ppb: i64,
    /// The journal can no longer be written.
    pub is_journal_lost: bool,
    /// The collateral, where it is watched and was assessed.
    pub collateral: Option<Watched>,
    /// How hedge instruments move, where that is estimated and was.
    pub hedge_ratios: Option<Value>,
    /// What the firm's other engines said last, where there are any.
    pub firm: Option<Value>,
    news: VecDeque<News>,
}

/// The collateral as it was assessed last.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What the maker was told.
    pub view: CollateralView,
    /// The short list for people.
    pub document: Value,
}

impl Standing {
    /// Nothing known yet of so many instruments and underlyings.
    pub fn new(instruments: usize, underlyings: usize) -> Standing {
        Standing {
            instruments: vec![None; instruments],
            states: vec![(State::Paused, Reason::SessionDown); instruments],
            deltas: vec![None; underlyings],
            greeks: vec![None; underlyings],
            ..Standing::default()
        }
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        match *telemetry {
            Telemetry::Happened(Record::Fill { at, .. }) => {
                self.at = at;
                self.fills += 1;
            }
            Telemetry::Happened(Record::State { at, instrument, state, reason }) => {
                self.at = at;
                if let Some(known) = self.states.get_mut(usize::from(instrument.0)) {
                    *known = (state, reason);
                }
                self.change(instrument, state, reason);
            }
            Telemetry::Happened(Record::Blocked { reason, .. }) => {
                *self.blocked.entry(reason.name()).or_default() += 1;
            }
            Telemetry::Happened(Record::ObligationMissed {
                instrument, uptime_permille, ..
            }) => {
                self.tell(News::Obligation(instrument, uptime_permille));
            }
            Telemetry::Instrument { at, instrument, snapshot } => {
                self.at = at;
                let place = usize::from(instrument.0);
                if let Some(known) = self.instruments.get_mut(place) {
                    *known = Some(snapshot);
                }
                let now = (snapshot.state, snapshot.reason);
                // The change itself found no room in the ring: told by the sample, it is news all the same.
                if let Some(known) = self.states.get_mut(place)
                    && std::mem::replace(known, now) != now
                {
                    self.change(instrument, now.0, now.1);
                }
            }
            Telemetry::Delta { underlying, delta, .. } => {
                if let Some(known) = self.deltas.get_mut(usize::from(underlying)) {
                    *known = delta;
                }
            }
            Telemetry::Greeks { underlying, sample, .. } => {
                if let Some(known) = self.greeks.get_mut(usize::from(underlying)) {
                    *known = Some(sample);
                }
            }
            Telemetry::Pnl { causes, total, .. } => self.pnl = Some((causes, total)),
            Telemetry::Holdings { at, news } => self.see_holdings(at, news),
        }
    }

    fn change(&mut self, instrument: InstrumentId, state: State, reason: Reason) {
        *self.changes.entry(reason.name()).or_default() += 1;
        self.tell(News::State(instrument, state, reason));
    }

    fn see_holdings(&mut self, at: Nanos, news: HoldingsNews) {
        match news {
            HoldingsNews::Place(place) => {
                let of = |other: &&mut PlaceSnapshot| {
                    (other.venue, other.currency) == (place.venue, place.currency)
                };
                match self.places.iter_mut().find(of) {
                    Some(known) => *known = place,
                    None => self.places.push(place),
                }
            }
            HoldingsNews::Transfer(transfer) => {
                self.transfers.retain(|(_, known)| known.id != transfer.id);
                self.transfers.push((at, transfer));
            }
            HoldingsNews::Balance(balance) => {
                // All that are open were told before it: what was not is over.
                self.transfers.retain(|(told, _)| *told >= at);
                let of = |other: &&mut CurrencyBalance| other.currency == balance.currency;
                match self.balances.iter_mut().find(of) {
                    Some(known) => *known = balance,
                    None => self.balances.push(balance),
                }
            }
        }
    }

    /// The journal can no longer be written: told once.
    pub fn lose_journal(&mut self) {
        if !self.is_journal_lost {
            self.is_journal_lost = true;
            self.tell(News::JournalLost);
        }
    }

    /// An order session ended and leaves this at its venue.
    pub fn leave_working(&mut self, session: String, what: String) {
        self.tell(News::LeftWorking { session, what });
    }

    /// A kill ended the connection of an order session.
    pub fn be_cut(&mut self, session: String, what: String) {
        self.tell(News::Cut { session, what });
    }

    /// The oldest news that the guard has not taken.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// A burst of what repeats pushes nothing else out: the few of other kinds are always told, and of each
    /// instrument what it came to.
    fn tell(&mut self, news: News) {
        if self.news.len() >= NEWS_MAX
            && let Some(place) = self.news.iter().position(|told| told.is_outdated_by(&news))
        {
            self.news.remove(place);
        }
        self.news.push_back(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::estimate::volatility::Sigma;
    use ballast_engine::market::trust::Distrust;
    use ballast_engine::units::Lots;

    const AT: Nanos = Nanos(1);
    const BTC: InstrumentId = InstrumentId(0);

    fn sample(state: State, reason: Reason) -> Telemetry {
        let snapshot = InstrumentSnapshot {
            touch: Err(Distrust::Gapped),
            quotes: [None; 2],
            position: Lots(0),
            position_max_abs: 0,
            fills: 0,
            open: [Lots(0); 2],
            sigma: Sigma(0),
            state,
            reason,
            gaps_seen: 0,
            spikes_seen: 0,
        };
        Telemetry::Instrument { at: AT, instrument: BTC, snapshot }
    }

    fn changed(state: State, reason: Reason) -> Telemetry {
        Telemetry::Happened(Record::State { at: AT, instrument: BTC, state, reason })
    }

    #[test]
    fn a_halt_that_found_no_room_in_the_ring_is_news_with_the_next_sample_and_once() {
        let mut standing = Standing::new(1, 1);
        standing.see(&sample(State::Paused, Reason::SessionDown));
        assert_eq!(standing.next_news(), None, "as it began");
        standing.see(&changed(State::Quoting, Reason::Normal));
        standing.see(&sample(State::Quoting, Reason::Normal));
        assert_eq!(standing.next_news(), Some(News::State(BTC, State::Quoting, Reason::Normal)));
        assert_eq!(standing.next_news(), None, "the sample says what is known");
        for _ in 0..2 {
            standing.see(&sample(State::Halted, Reason::Overfill));
        }
        assert_eq!(standing.next_news(), Some(News::State(BTC, State::Halted, Reason::Overfill)));
        assert_eq!(standing.next_news(), None);
        assert_eq!(standing.changes.get(Reason::Overfill.name()), Some(&1));
    }

    #[test]
    fn a_burst_of_changes_pushes_no_other_news_out_and_leaves_the_latest_of_each_instrument() {
        let mut standing = Standing::new(2, 1);
        standing.lose_journal();
        standing.leave_working("orders".into(), "2 orders".into());
        let other = InstrumentId(1);
        standing.change(other, State::Halted, Reason::Overfill);
        for _ in 0..300 {
            standing.change(BTC, State::Quoting, Reason::Normal);
            standing.change(BTC, State::Paused, Reason::SessionDown);
        }
        let told: Vec<_> = std::iter::from_fn(|| standing.next_news()).collect();
        assert_eq!(told.len(), NEWS_MAX);
        assert_eq!(told[0], News::JournalLost);
        assert!(matches!(told[1], News::LeftWorking { .. }), "{:?}", told[1]);
        assert_eq!(told[2], News::State(other, State::Halted, Reason::Overfill));
        assert_eq!(told.last(), Some(&News::State(BTC, State::Paused, Reason::SessionDown)));
    }
}
