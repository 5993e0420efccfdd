//! What hedging spot with perpetuals does to the risk, on a real recording, and what it costs.
//!
//! Fed by a recording; feeds `ballast study hedge-variance`. Main thread; maker, venue and matching
//! are the backtest's. First the spot market is quoted, symmetrically, so that nothing but a hedge
//! would bring the inventory home, and nothing is hedged: its fills are frozen.
//! Then the same fills are booked at the same moments (as an operator books a trade) into a maker that
//! quotes nothing and hedges, [`LAG_NS`] late: by the derived band, and by fixed ones, at
//! several taker fees, with the linear perpetual or with the inverse one alone.
//!
//! *Variance* is that of changes over [`CHANGE_NS`] of Σ position · Δmid over both legs, sampled every
//! [`SAMPLE_NS`], without fees and opening positions. An inverse leg counts as the coins that its
//! trades moved. *Cost* is fees and what hedges paid against the mid. What is fixed beforehand is
//! fixed as in [`super::recording`], on seconds that nobody trades; η and k are stated here.

use super::Row;
use super::recording::{CALIBRATED_S, RecordingError, fixed_on, quoting};
use crate::backtest::Backtest;
use crate::backtest::tape::AnyTape;
use crate::backtest::window::{Moment, Window};
use crate::config::ConfigFile;
use crate::legs::{Fill, Legs};
use crate::observer::Observer;
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::latency::{Delays, Latency};
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::Control;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::quote::Model;
use ballast_engine::units::{Nanos, Side};
use std::collections::VecDeque;
use std::path::Path;
use toml::{Table, Value};

/// As `ballast study` names it.
pub const NAME: &str = "hedge-variance";
/// From a fill, which the hedger knows at once, to its hedge at the matching; one is out at a time.
pub const LAG_NS: u64 = 100_000_000;
/// How far the unhedged run is from its venue.
const NEAR_NS: u64 = 1_000_000;
/// Distance of samples.
pub const SAMPLE_NS: u64 = 100_000_000;
/// Over which the value changes whose variance is told.
pub const CHANGE_NS: u64 = 5_000_000_000;
/// η, USDT a BTC for each BTC a second: the touch shows coins, and a hundredth of one is hedged.
pub const ETA: &str = "0.1";
/// Permanent impact, USDT a BTC a BTC: hedges of a hundredth of a coin move nothing that is seen.
pub const K_IMPACT: &str = "0";
/// The quoted market.
pub const QUOTED: &str = "BTCUSDT";
/// Hedged with the linear perpetual.
pub const LINEAR: &str = "BTCUSDT-PERP";
/// Hedged with the inverse one.
pub const INVERSE: &str = "BTCUSD-PERP";
/// Outer edges of the fixed bands that the derived one is held to, in coins.
pub const THRESHOLDS: [&str; 8] =
    ["0.002", "0.005", "0.01", "0.015", "0.02", "0.03", "0.05", "0.1"];
/// Taker fees of the hedge, basis points: none, a hundredth of the listed one, the listed one.
pub const FEES: [&str; 3] = ["0", "0.05", "5"];

const SOURCE: &str = "measured here";

/// What is run; each entry of the frontier takes one run a threshold and one for the derived band.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Taker fees whose frontier is drawn with the linear perpetual.
    pub frontiers: &'static [&'static str],
    /// Is it hedged with the inverse perpetual too?
    pub has_inverse: bool,
}

/// All of it.
pub const WHOLE: Plan = Plan { frontiers: &FEES, has_inverse: true };

impl Plan {
    /// How many backtests it takes.
    pub fn runs(&self) -> u64 {
        let frontiers = self.frontiers.len() * (THRESHOLDS.len() + 1);
        2 + frontiers as u64 + u64::from(self.has_inverse)
    }
}

/// How a run hedges.
enum Hedging<'a> {
    Derived,
    Fixed(&'a str),
}

/// One hedged run.
struct Hedged {
    legs: Legs,
    variance: f64,
    cost: f64,
    fills: usize,
}

/// What the runs share.
struct Bench<'a> {
    folder: &'a Path,
    file: ConfigFile,
    frozen: Vec<Fill>,
    unhedged: f64,
}

/// All rows.
///
/// # Errors
/// [`RecordingError`].
pub fn run(folder: &Path, plan: Plan, done: &dyn Fn()) -> Result<Vec<Row>, RecordingError> {
    let demo = ConfigFile::demo().map_err(|error| RecordingError::Config(error.to_string()))?;
    let (fixed, mut rows) = fixed_on(folder, &demo, QUOTED)?;
    let gamma = fixed.gamma_of_glft();
    let file = quoting(&demo, QUOTED, Some((Model::Symmetric, gamma, &fixed)), true)?;
    let legs = play(folder, &file, None)?.0;
    done();
    let mut bench = Bench { folder, file, frozen: legs.fills().to_vec(), unhedged: 0.0 };
    bench.unhedged = bench.variance(&legs, None)?;
    let row = |case: &str, quoter: &str, figure: &str, ours: f64| {
        Row::new(case, quoter, figure, ours, None, SOURCE)
    };
    let unhedged = "unhedged";
    rows.push(row(unhedged, "symmetric", "fills", bench.frozen.len() as f64));
    rows.push(row(unhedged, "symmetric", "variance of 5 s changes, currency^2", bench.unhedged));
    let linear = bench.hedged(LINEAR, "0", &Hedging::Derived)?;
    done();
    rows.extend(bench.rows_of(&format!("hedged with {LINEAR}, taker fee 0"), "derived", &linear));
    if plan.has_inverse {
        let inverse = bench.hedged(INVERSE, "0", &Hedging::Derived)?;
        done();
        let case = format!("hedged with {INVERSE}, taker fee 0");
        rows.extend(bench.rows_of(&case, "derived", &inverse));
        let (largest, typical) = bench.disagreement(&linear.legs, &inverse.legs)?;
        let case = "net delta, linear less inverse";
        rows.push(row(case, "derived", "largest difference, coins", largest));
        rows.push(row(case, "derived", "root mean square, coins", typical));
    }
    for fee in plan.frontiers {
        rows.extend(bench.frontier(fee, done)?);
    }
    Ok(rows)
}

impl Bench<'_> {
    fn hedged(&self, with: &str, fee: &str, how: &Hedging<'_>) -> Result<Hedged, RecordingError> {
        let file = self.hedging(with, fee, how)?;
        let (legs, cost) = play(self.folder, &file, Some(&self.frozen))?;
        let with = instrument(&file, with)?.id();
        let variance = self.variance(&legs, Some(with))?;
        Ok(Hedged { fills: legs.fills().len(), legs, variance, cost })
    }

    fn rows_of(&self, case: &str, quoter: &str, run: &Hedged) -> Vec<Row> {
        let row = |figure: &str, ours: f64| Row::new(case, quoter, figure, ours, None, SOURCE);
        vec![
            row("hedges", run.fills as f64),
            row("cost, currency", run.cost),
            row("variance of 5 s changes, currency^2", run.variance),
            row("variance less than unhedged, %", 100.0 * (1.0 - run.variance / self.unhedged)),
        ]
    }

    /// Cost and variance of every fixed band and of the derived one, and where that lies.
    fn frontier(&self, fee: &str, done: &dyn Fn()) -> Result<Vec<Row>, RecordingError> {
        let case = format!("frontier with {LINEAR}, taker fee {fee} bps");
        let (mut rows, mut points) = (Vec::new(), vec![(0.0, self.unhedged)]);
        for threshold in THRESHOLDS {
            let run = self.hedged(LINEAR, fee, &Hedging::Fixed(threshold))?;
            done();
            rows.extend(self.rows_of(&case, &format!("fixed {threshold}"), &run));
            points.push((run.cost, run.variance));
        }
        let derived = self.hedged(LINEAR, fee, &Hedging::Derived)?;
        done();
        rows.extend(self.rows_of(&case, "derived", &derived));
        let frontier = frontier_variance(&points, derived.cost);
        let figure = "variance of the fixed bands' frontier at its cost, currency^2";
        rows.push(Row::new(&case, "derived", figure, frontier, None, SOURCE));
        let share = derived.variance / frontier;
        rows.push(Row::new(&case, "derived", "its variance over that", share, None, SOURCE));
        Ok(rows)
    }

    /// The unhedged run's config, with nothing sent from it and this hedge.
    fn hedging(
        &self,
        with: &str,
        fee: &str,
        how: &Hedging<'_>,
    ) -> Result<ConfigFile, RecordingError> {
        let failed = |error: &dyn std::fmt::Display| RecordingError::Config(error.to_string());
        let mut tables: Table = self.file.text.parse().map_err(|e: toml::de::Error| failed(&e))?;
        let all = tables.get_mut("instruments").and_then(Value::as_array_mut);
        for instrument in all.into_iter().flatten().filter_map(Value::as_table_mut) {
            if instrument.get("symbol").and_then(Value::as_str) == Some(with) {
                instrument.insert("taker_fee_bps".into(), Value::String(fee.into()));
            }
        }
        let mut hedge = Table::new();
        let mut text = |key: &str, value: &str| {
            hedge.insert(key.into(), Value::String(value.into()));
        };
        match how {
            Hedging::Derived => {
                text("mode", "derived");
                text("eta", ETA);
                text("k_impact", K_IMPACT);
            }
            Hedging::Fixed(outer) => {
                text("band", outer);
                text("return_to", "0");
            }
        }
        hedge.insert("failures_max".into(), Value::Integer(1_000));
        hedge.insert("retry_holdoff_ms".into(), Value::Integer(100));
        let collars = [(with.to_owned(), Value::String("5.0".into()))];
        hedge.insert("instruments".into(), Value::Table(collars.into_iter().collect()));
        let underlyings = tables.get_mut("underlying").and_then(Value::as_table_mut);
        for (_, underlying) in underlyings.into_iter().flatten() {
            if let Some(underlying) = underlying.as_table_mut() {
                underlying.insert("hedge".into(), Value::Table(hedge.clone()));
            }
        }
        let text = toml::to_string(&tables).map_err(|error| failed(&error))?;
        ConfigFile::parse("study hedge-variance", text).map_err(|error| failed(&error))
    }

    /// Variance of the changes of both legs' value.
    fn variance(&self, hedges: &Legs, with: Option<InstrumentId>) -> Result<f64, RecordingError> {
        let quoted = instrument(&self.file, QUOTED)?;
        let mut value = Leg::new(quoted).of(self.frozen.iter()).value(hedges.mids(quoted.id()));
        if let Some(with) = with {
            let instrument = self.instrument_of(with)?;
            let fills = hedges.fills().iter().filter(|fill| fill.instrument == with);
            let leg = Leg::new(instrument).of(fills);
            for (sum, more) in value.iter_mut().zip(leg.value(hedges.mids(with))) {
                sum.1 += more.1;
            }
        }
        Ok(variance_of_changes(&value))
    }

    fn instrument_of(&self, id: InstrumentId) -> Result<&Instrument, RecordingError> {
        let found = self.file.table.instruments.get(usize::from(id.0));
        found.ok_or_else(|| RecordingError::Config(format!("no instrument {}", id.0)))
    }

    /// Largest and typical difference of the hedges' positions at the samples, in coins.
    fn disagreement(&self, linear: &Legs, inverse: &Legs) -> Result<(f64, f64), RecordingError> {
        let of = |symbol: &str, legs: &Legs| -> Result<Vec<f64>, RecordingError> {
            let instrument = instrument(&self.file, symbol)?;
            let fills = legs.fills().iter().filter(|fill| fill.instrument == instrument.id());
            let quoted = instrument_id(&self.file, QUOTED)?;
            Ok(Leg::new(instrument).of(fills).positions(legs.mids(quoted)))
        };
        let (linear, inverse) = (of(LINEAR, linear)?, of(INVERSE, inverse)?);
        let apart: Vec<f64> = linear.iter().zip(&inverse).map(|(a, b)| (a - b).abs()).collect();
        let square = apart.iter().map(|d| d * d).sum::<f64>() / apart.len().max(1) as f64;
        Ok((apart.iter().copied().fold(0.0, f64::max), square.sqrt()))
    }
}

fn instrument<'a>(file: &'a ConfigFile, symbol: &str) -> Result<&'a Instrument, RecordingError> {
    let found = file.table.find(symbol);
    found.ok_or_else(|| RecordingError::Config(format!("no instrument {symbol}")))
}

fn instrument_id(file: &ConfigFile, symbol: &str) -> Result<InstrumentId, RecordingError> {
    instrument(file, symbol).map(Instrument::id)
}

/// One run: quoting and unhedged, or with these fills booked and no quotes. Its legs, and what its
/// hedges cost.
fn play(
    folder: &Path,
    file: &ConfigFile,
    frozen: Option<&[Fill]>,
) -> Result<(Legs, f64), RecordingError> {
    let config = file.maker(1).map_err(|error| RecordingError::Config(error.to_string()))?;
    let tape = AnyTape::recorded(folder, &config.instruments)?;
    let from = Moment::After(CALIBRATED_S * 1_000_000_000);
    let tape = Window::open(tape, Some(from), None)?;
    let (order_ns, report_ns) = if frozen.is_some() { (LAG_NS, 0) } else { (NEAR_NS, NEAR_NS) };
    let delays = Delays { feed_ns: NEAR_NS / 2, order_ns, report_ns };
    let exchange = Exchange::new(&config.instruments, VenueOptions::default());
    let exchange = exchange.with_latency(Latency::constant(delays));
    let observer = Observer::new(file, &config).with_legs(&config);
    let mut controls = VecDeque::new();
    if let Some(fills) = frozen {
        controls.push_back((Nanos(0), Control::Pause(instrument_id(file, QUOTED)?)));
        controls.extend(fills.iter().map(|fill| (fill.at, booked(fill))));
    }
    let backtest = Backtest::new(&config, exchange, tape, observer, None, SAMPLE_NS)?;
    let (outcome, observer) = backtest.ordered(controls).run(Nanos(u64::MAX))?;
    let causes = outcome.maker().ledger().causes();
    let paid = causes.iter().filter(|(cause, _)| matches!(cause, Cause::HedgeCost | Cause::Fees));
    let cost = -paid.map(|(_, amount)| amount.0 as f64 * 1e-9).sum::<f64>();
    Ok((observer.into_legs().unwrap_or_default(), cost))
}

fn booked(fill: &Fill) -> Control {
    let act = Act::Trade {
        instrument: fill.instrument,
        side: fill.side,
        price: fill.price,
        size: fill.size,
    };
    Control::By { user: User::NOBODY, second: User::NOBODY, act }
}

/// One leg's position over time, in coins, from its fills.
struct Leg {
    contract: ContractValue,
    nano_quote_per_tick: f64,
    /// When, and the position from then on.
    steps: Vec<(Nanos, f64)>,
}

impl Leg {
    fn new(instrument: &Instrument) -> Leg {
        let nano_quote_per_tick = instrument.nano_quote_per_tick() as f64;
        Leg { contract: instrument.value(), nano_quote_per_tick, steps: Vec::new() }
    }

    /// With these fills.
    fn of<'a>(mut self, fills: impl Iterator<Item = &'a Fill>) -> Leg {
        let mut position = 0.0;
        for fill in fills {
            let sign = if fill.side == Side::Buy { 1.0 } else { -1.0 };
            let lots = sign * fill.size.0 as f64;
            position += match self.contract {
                ContractValue::Linear { nano_underlying_per_lot, .. } => {
                    lots * nano_underlying_per_lot as f64 * 1e-9
                }
                ContractValue::Inverse { nano_quote_per_lot, .. } => {
                    let price = fill.price.0 as f64 * self.nano_quote_per_tick;
                    lots * nano_quote_per_lot as f64 / price
                }
                // Neither leg of the study is one.
                ContractValue::Option { .. } => 0.0,
            };
            self.steps.push((fill.at, position));
        }
        self
    }

    /// The position at each sample.
    fn positions(&self, samples: &[(Nanos, i64)]) -> Vec<f64> {
        let mut next = 0;
        let mut position = 0.0;
        let at = |&(at, _): &(Nanos, i64)| {
            while let Some(step) = self.steps.get(next).filter(|step| step.0 <= at) {
                position = step.1;
                next += 1;
            }
            position
        };
        samples.iter().map(at).collect()
    }

    /// Σ position · Δmid up to each sample, in the quote currency.
    fn value(&self, samples: &[(Nanos, i64)]) -> Vec<(Nanos, f64)> {
        let positions = self.positions(samples);
        let mut sum = 0.0;
        let mut last: Option<(f64, f64)> = None;
        let with = samples.iter().zip(positions).map(|(&(at, half_ticks), position)| {
            let mid = half_ticks as f64 * 0.5 * self.nano_quote_per_tick * 1e-9;
            if let Some((held, before)) = last {
                sum += held * (mid - before);
            }
            last = Some((position, mid));
            (at, sum)
        });
        with.collect()
    }
}

/// Variance of the changes over [`CHANGE_NS`], at every sample that has one that much earlier.
fn variance_of_changes(value: &[(Nanos, f64)]) -> f64 {
    let apart = usize::try_from(CHANGE_NS / SAMPLE_NS).unwrap_or(usize::MAX);
    let changes = value.iter().zip(value.iter().skip(apart)).map(|(from, to)| to.1 - from.1);
    let changes: Vec<f64> = changes.collect();
    let count = changes.len().max(1) as f64;
    let mean = changes.iter().sum::<f64>() / count;
    changes.iter().map(|change| (change - mean) * (change - mean)).sum::<f64>() / count
}

/// The least variance that a mix of two points buys for a cost: the lower convex hull.
fn frontier_variance(points: &[(f64, f64)], cost: f64) -> f64 {
    let mut least = f64::INFINITY;
    for &(a_cost, a) in points {
        if a_cost <= cost {
            least = least.min(a);
        }
        for &(b_cost, b) in points {
            if a_cost < cost && cost < b_cost {
                least = least.min(a + (b - a) * (cost - a_cost) / (b_cost - a_cost));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_is_the_hull_of_what_fixed_bands_buy() {
        let points = [(0.0, 10.0), (1.0, 9.0), (2.0, 2.0)];
        assert!((frontier_variance(&points, 0.0) - 10.0).abs() < 1e-12);
        assert!((frontier_variance(&points, 1.0) - 6.0).abs() < 1e-12, "a mix beats the middle");
        assert!((frontier_variance(&points, 5.0) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn one_coin_against_its_inverse_leg_has_no_variance() {
        let file = ConfigFile::demo().unwrap();
        let fill = |symbol: &str, side, price, size| Fill {
            at: Nanos(0),
            instrument: instrument_id(&file, symbol).unwrap(),
            side,
            price: ballast_engine::units::Ticks(price),
            size: ballast_engine::units::Lots(size),
        };
        // One coin at 60,000 is 600 contracts of 100 USD.
        let coin = [fill(QUOTED, Side::Buy, 6_000_000, 100_000)];
        let short = [fill(INVERSE, Side::Sell, 600_000, 600)];
        let samples = |tick: i64| -> Vec<(Nanos, i64)> {
            let prices = [60_000, 42_000, 78_000, 60_000];
            (0u64..200).map(|n| (Nanos(n * SAMPLE_NS), 2 * tick * prices[n as usize % 4])).collect()
        };
        let spot = Leg::new(instrument(&file, QUOTED).unwrap()).of(coin.iter());
        let perpetual = Leg::new(instrument(&file, INVERSE).unwrap()).of(short.iter());
        let mut both = spot.value(&samples(100));
        assert!(variance_of_changes(&both) > 1e6);
        for (sum, more) in both.iter_mut().zip(perpetual.value(&samples(10))) {
            sum.1 += more.1;
        }
        assert!(variance_of_changes(&both) < 1e-12);
    }
}
