//! Gathers what a run's report shows, while it runs, in bounded memory.
//!
//! Fed by the live runner's reporting thread or the backtest, with the maker's telemetry
//! ([`SeriesRecorder::take`]) or a method a kind of sample; feeds [`RunReport`]. Never on the maker's thread in a live run. Floating point: pictures only; the PnL at
//! the end is kept exactly.

use super::series::Series;
use super::{FillMark, InstrumentSeries, Limits, PnlSeries, RunReport, UnderlyingSeries};
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::intents::Record as Happened;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::orders::order::Purpose;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::units::{Decimal, Exposure, Lots, Nanos, Notional, Side, Ticks};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Most fills that are kept one by one; more are counted.
const FILLS_MAX: usize = 200_000;
/// A minute; what takes longer is recorded as that.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// A fill as the report shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedFill {
    /// When.
    pub at: Nanos,
    /// What.
    pub instrument: InstrumentId,
    /// Our side.
    pub side: Side,
    /// Its price.
    pub price: Ticks,
    /// Its size.
    pub size: Lots,
    /// A hedge, or a quote that was hit.
    pub is_hedge: bool,
}

/// A run being recorded.
pub struct SeriesRecorder {
    contracts: Vec<Contract>,
    instruments: Vec<InstrumentSeries>,
    underlyings: Vec<UnderlyingSeries>,
    pnl: PnlSeries,
    latencies: BTreeMap<&'static str, Histogram<u64>>,
    fills: usize,
    span: Option<(Nanos, Nanos)>,
}

/// What turns an instrument's counts into numbers for people.
struct Contract {
    value: ContractValue,
    tick: f64,
    lot: f64,
    mid: Option<f64>,
    lots: Option<Lots>,
    quotes: [Option<f64>; 2],
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / 10f64.powi(decimal.scale.into())
}

impl Contract {
    /// The exposure of a position in units of the underlying.
    fn exposure(&self, lots: Lots) -> Option<f64> {
        match self.value {
            ContractValue::Linear { nano_underlying_per_lot, .. } => {
                Some(lots.0 as f64 * nano_underlying_per_lot as f64 * 1e-9)
            }
            ContractValue::Inverse { nano_quote_per_lot, .. } => {
                self.mid.map(|mid| lots.0 as f64 * nano_quote_per_lot as f64 * 1e-9 / mid)
            }
            // Its Greeks are the maker's: the underlying's own line has them in.
            ContractValue::Option { .. } => None,
        }
    }
}

impl SeriesRecorder {
    /// Nothing recorded. `underlyings` are the names and limits in the config's order; `reporting` is the
    /// name of the currency that PnL is told in.
    pub fn new(
        instruments: &[Instrument],
        underlyings: Vec<(String, Limits)>,
        reporting: &str,
    ) -> SeriesRecorder {
        let contract = |instrument: &Instrument| Contract {
            value: instrument.value(),
            tick: number(instrument.spec().tick),
            lot: number(instrument.spec().lot),
            mid: None,
            lots: None,
            quotes: [None; 2],
        };
        let series = |instrument: &Instrument| InstrumentSeries {
            symbol: instrument.symbol().to_string(),
            underlying: usize::from(instrument.spec().underlying.0),
            price_digits: instrument.spec().tick.scale,
            size_digits: instrument.spec().lot.scale,
            ..InstrumentSeries::default()
        };
        let underlying = |(name, limits)| UnderlyingSeries { name, limits, delta: Series::new() };
        SeriesRecorder {
            contracts: instruments.iter().map(contract).collect(),
            instruments: instruments.iter().map(series).collect(),
            underlyings: underlyings.into_iter().map(underlying).collect(),
            pnl: PnlSeries { currency: reporting.to_string(), ..PnlSeries::default() },
            latencies: BTreeMap::new(),
            fills: 0,
            span: None,
        }
    }

    fn seen(&mut self, at: Nanos) {
        let (start, end) = self.span.unwrap_or((at, at));
        self.span = Some((start.min(at), end.max(at)));
    }

    /// Anything that the maker's stage tells: samples and fills. States and blocks are not drawn.
    pub fn take(&mut self, telemetry: &Telemetry) {
        match *telemetry {
            Telemetry::Happened(happened) => self.happened(happened),
            Telemetry::Instrument { at, instrument, snapshot } => {
                if let Ok(touch) = snapshot.touch {
                    self.mid(at, instrument, HalfTicks(touch.mid_half_ticks()));
                }
                let [bid, ask] = snapshot.quotes;
                self.quotes(at, instrument, bid, ask);
                self.position(at, instrument, snapshot.position);
            }
            Telemetry::Delta { at, underlying, delta } => self.delta(at, underlying.into(), delta),
            Telemetry::Pnl { at, causes, total } => self.pnl(at, total, &causes),
            Telemetry::Greeks { .. } | Telemetry::Holdings { .. } => {}
        }
    }

    fn happened(&mut self, happened: Happened) {
        if let Happened::Fill { at, instrument, side, price, size, purpose, .. } = happened {
            let is_hedge = !matches!(purpose, Purpose::Quote { .. });
            self.fill(&RecordedFill { at, instrument, side, price, size, is_hedge });
        }
    }

    /// The market's mid.
    pub fn mid(&mut self, at: Nanos, instrument: InstrumentId, mid: HalfTicks) {
        self.seen(at);
        let place = usize::from(instrument.0);
        if let (Some(contract), Some(series)) =
            (self.contracts.get_mut(place), self.instruments.get_mut(place))
        {
            let mid = mid.0 as f64 * 0.5 * contract.tick;
            contract.mid = Some(mid);
            series.mid.push(at, Some(mid));
            let is_inverse = matches!(contract.value, ContractValue::Inverse { .. });
            if let Some(lots) = contract.lots.filter(|_| is_inverse) {
                series.exposure.push(at, contract.exposure(lots));
            }
        }
        self.distances(at, place);
    }

    /// Our best working bid and ask; `None` where we do not quote.
    pub fn quotes(
        &mut self,
        at: Nanos,
        instrument: InstrumentId,
        bid: Option<Ticks>,
        ask: Option<Ticks>,
    ) {
        self.seen(at);
        let place = usize::from(instrument.0);
        if let (Some(contract), Some(series)) =
            (self.contracts.get_mut(place), self.instruments.get_mut(place))
        {
            contract.quotes = [bid, ask].map(|q| q.map(|price| price.0 as f64 * contract.tick));
            series.bid.push(at, contract.quotes[0]);
            series.ask.push(at, contract.quotes[1]);
        }
        self.distances(at, place);
    }

    fn distances(&mut self, at: Nanos, place: usize) {
        if let (Some(contract), Some(series)) =
            (self.contracts.get(place), self.instruments.get_mut(place))
            && let Some(mid) = contract.mid
        {
            series.bid_distance.push(at, contract.quotes[0].map(|bid| bid - mid));
            series.ask_distance.push(at, contract.quotes[1].map(|ask| ask - mid));
        }
    }

    /// Our position.
    pub fn position(&mut self, at: Nanos, instrument: InstrumentId, lots: Lots) {
        self.seen(at);
        let place = usize::from(instrument.0);
        if let (Some(contract), Some(series)) =
            (self.contracts.get_mut(place), self.instruments.get_mut(place))
        {
            contract.lots = Some(lots);
            series.position.push(at, Some(lots.0 as f64 * contract.lot));
            series.exposure.push(at, contract.exposure(lots));
        }
    }

    /// Net delta of an underlying, from its target.
    pub fn delta(&mut self, at: Nanos, underlying: usize, delta: Option<Exposure>) {
        self.seen(at);
        if let Some(series) = self.underlyings.get_mut(underlying) {
            series.delta.push(at, delta.map(|delta| delta.0 as f64 * 1e-9));
        }
    }

    /// One of our fills.
    pub fn fill(&mut self, fill: &RecordedFill) {
        self.seen(fill.at);
        let place = usize::from(fill.instrument.0);
        if let (Some(contract), Some(series)) =
            (self.contracts.get(place), self.instruments.get_mut(place))
        {
            let (price, size) =
                (fill.price.0 as f64 * contract.tick, fill.size.0 as f64 * contract.lot);
            let kind = if fill.is_hedge { &mut series.hedged } else { &mut series.quoted };
            kind.fills += 1;
            kind.size += size;
            if self.fills < FILLS_MAX {
                self.fills += 1;
                let (at, side, is_hedge) = (fill.at, fill.side, fill.is_hedge);
                series.fills.push(FillMark { at, side, price, size, is_hedge });
            }
        }
    }

    /// The account: the total and the causes that sum to it.
    pub fn pnl(&mut self, at: Nanos, total: Notional, causes: &[(Cause, Notional)]) {
        self.seen(at);
        self.pnl.total.push(at, Some(money(total)));
        for &(cause, amount) in causes {
            self.pnl.causes.entry(cause).or_default().push(at, Some(money(amount)));
            self.pnl.final_causes.insert(cause, amount);
        }
        self.pnl.final_total = total;
    }

    /// One latency of the kind `name`, in nanoseconds.
    pub fn latency(&mut self, name: &'static str, nanos: u64) {
        let histogram = self.latencies.entry(name).or_insert_with(latency_histogram);
        histogram.saturating_record(nanos);
    }

    /// The histogram of one kind, where anything was recorded.
    pub fn histogram(&self, name: &str) -> Option<&Histogram<u64>> {
        self.latencies.get(name)
    }

    /// Ends the recording. `facts` are shown as they are (what ran, on what, with which seed);
    /// `summary` is the document that `--json` prints.
    pub fn finish(
        self,
        title: &str,
        facts: Vec<(String, String)>,
        summary: serde_json::Value,
    ) -> RunReport {
        let (started, ended) = self.span.unwrap_or_default();
        RunReport {
            title: title.to_string(),
            facts,
            started,
            ended,
            instruments: self.instruments,
            underlyings: self.underlyings,
            pnl: self.pnl,
            latencies: self.latencies.into_iter().collect(),
            summary,
        }
    }
}

/// An empty histogram of latencies in nanoseconds.
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("bounds that the crate allows")
}

/// Money as a number for a picture.
fn money(amount: Notional) -> f64 {
    amount.0 as f64 * 1e-9
}
