//! The README's table: three quoters on the real recording, nothing but their quotes to bring the
//! inventory home.
//!
//! Fed by a recording; feeds `ballast study readme-table`. Main thread; the backtest is the product's.
//! What is fixed beforehand, and how: σ, A and k come from `calibrate` on the first
//! [`CALIBRATED_S`] seconds, which no quoter trades; γ is each model's own such that its skew at
//! [`HOME`] is its half-spread (the ask of a maker that long then stands at the fair value); the
//! symmetric quoter takes GLFT's. Then all trade the rest. No hedges, and limits so far away that
//! they do nothing. PnL is told without what the opening coins would have made untouched.
//!
//! While they trade, all of them refit as the product does ([`Knowledge::Refitted`]): A, k and the
//! micro-price that they quote around, every [`REFIT_S`] seconds (a bootstrap block) on the last
//! [`CALIBRATED_S`], the first time as trading begins. A and k, because minutes later they are not what
//! they were; the micro-price, because the models take the price that they quote around for a martingale,
//! which it is by its making and the mid is not (Stoikov 2018). γ stays what it was. The same with
//! nothing refitted and around the mid stands beside it, as this table was before.
//!
//! PnL a coin traded is what quotes earn and what inventory that was kept wins or loses with the price; so
//! what fills captured, and were worth a second and ten later, is told beside it ([`super::edge`]).
//! Deliberately absent: any claim of profit. These are minutes.

use super::Row;
use super::bootstrap::{Block, Figure, interval, paired_interval};
use super::edge;
use crate::backtest::tape::AnyTape;
use crate::backtest::window::{Moment, Window, WindowFault};
use crate::backtest::{Backtest, BacktestError};
use crate::calibrate::document::tick_of;
use crate::calibrate::gather::Gathered;
use crate::calibrate::{Calibration, Settings};
use crate::config::ConfigFile;
use crate::config::overrides::Overrides;
use crate::observer::Observer;
use crate::recording::{Tape, TapeError};
use crate::refit::{Refit, RefitCounters, Schedule};
use crate::trace::Trace;
use crate::venue::exchange::{Exchange, VenueOptions};
use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::fixed::Scaled;
use ballast_engine::instrument::{Instrument, InstrumentKind};
use ballast_engine::quote::Model;
use ballast_engine::units::{Lots, Nanos};
use std::path::Path;
use thiserror::Error;
use toml::{Table, Value};

/// As `ballast study` names it.
pub const NAME: &str = "readme-table";
/// The first so many seconds are calibrated on and not traded.
pub const CALIBRATED_S: u64 = 120;
/// The inventory, in coins, at which the skew is the half-spread.
pub const HOME: f64 = 0.1;
/// Order size, in coins.
pub const ORDER_SIZE: f64 = 0.01;
/// Horizon of Avellaneda & Stoikov's model, as in the reference's synthetic market.
pub const HORIZON_S: f64 = 60.0;

/// Distance of the refits.
pub const REFIT_S: u64 = BLOCK_NS / 1_000_000_000;

/// What quoters know while they trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Knowledge {
    /// A, k and the micro-price of the last [`CALIBRATED_S`] seconds.
    Refitted,
    /// A and k of the first ones; they quote around the mid.
    Fixed,
}

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// What is quoted.
    pub symbol: &'static str,
    /// At no fees instead of the listed ones.
    pub no_fees: bool,
    /// What the quoters know.
    pub knowledge: Knowledge,
}

impl Case {
    const fn of(symbol: &'static str, no_fees: bool, knowledge: Knowledge) -> Case {
        Case { symbol, no_fees, knowledge }
    }

    fn name(&self) -> String {
        let fees = if self.no_fees { "no fees" } else { "listed fees" };
        let knowledge = match self.knowledge {
            Knowledge::Refitted => "",
            Knowledge::Fixed => ", nothing refitted",
        };
        format!("{}, {fees}{knowledge}", self.symbol)
    }
}

/// All cases.
pub const CASES: [Case; 6] = [
    Case::of("BTCUSDT", true, Knowledge::Refitted),
    Case::of("BTCUSDT", true, Knowledge::Fixed),
    Case::of("BTCUSDT", false, Knowledge::Refitted),
    Case::of("BTCUSDT-PERP", true, Knowledge::Refitted),
    Case::of("BTCUSDT-PERP", true, Knowledge::Fixed),
    Case::of("BTCUSDT-PERP", false, Knowledge::Refitted),
];
/// Backtests that a case takes: one a model.
pub const RUNS_A_CASE: u64 = MODELS.len() as u64;

const SAMPLE_NS: u64 = 100_000_000;
const BLOCK_NS: u64 = 10_000_000_000;
const MODELS: [Model; 3] = [Model::Symmetric, Model::AvellanedaStoikovRolling, Model::Glft];
const LEAD_MS: u64 = 5;
pub(super) const SOURCE: &str = "measured here";
pub(super) const RATIO: &str = "symmetric's E[q^2] over this";
pub(super) const DIFFERENCE: &str = "PnL per coin traded, less symmetric's";
/// What every run's blocks are asked for, with its interval.
const FIGURES: [(&str, Figure); 7] = [
    ("E[q^2], coins^2", Block::inventory_square),
    ("PnL, currency", Block::profit),
    ("PnL per coin traded", Block::profit_per_unit),
    ("PnL sd of 10 s", Block::deviation),
    ("captured per coin traded", Block::captured_per_unit),
    ("worth per coin after 1 s", Block::soon_per_unit),
    ("worth per coin after 10 s", Block::later_per_unit),
];

/// Why there is no table.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The recording.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The part that is traded.
    #[error(transparent)]
    Window(#[from] WindowFault),
    /// A run.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    /// The calibration on the first part.
    #[error("{symbol}: {why}")]
    Calibration {
        /// Which instrument.
        symbol: String,
        /// What it says.
        why: String,
    },
    /// The config that the study makes.
    #[error("the study's own config is refused: {0}; this is a bug")]
    Config(String),
}

/// What was fixed before the runs, in ticks.
pub(super) struct Fixed {
    sigma: f64,
    a: f64,
    k: f64,
    /// By model, in the order of [`MODELS`].
    gammas: [f64; 3],
    half_spread: f64,
}

impl Fixed {
    /// γ of the product's quoter.
    pub(super) fn gamma_of_glft(&self) -> f64 {
        let [.., glft] = self.gammas;
        glft
    }
}

/// One run.
struct Run {
    trace: Trace,
    blocks: Vec<Block>,
    refits: Option<RefitCounters>,
}

/// All rows of these cases: what was fixed, then every quoter's figures.
///
/// # Errors
/// [`RecordingError`].
pub fn run(
    folder: &Path,
    cases: &[Case],
    seed: u64,
    done: &dyn Fn(),
) -> Result<Vec<Row>, RecordingError> {
    let demo = ConfigFile::demo().map_err(|error| RecordingError::Config(error.to_string()))?;
    let mut rows = Vec::new();
    let mut last: Option<(&str, Fixed)> = None;
    for case in cases {
        let symbol = case.symbol;
        let fixed = match last.take() {
            Some((of, fixed)) if of == symbol => fixed,
            _ => {
                let (fixed, told) = fixed_on(folder, &demo, symbol)?;
                rows.extend(told);
                fixed
            }
        };
        let mut runs = Vec::new();
        for (model, gamma) in MODELS.into_iter().zip(fixed.gammas) {
            let file = quoting(&demo, symbol, Some((model, gamma, &fixed)), case.no_fees)?;
            let file = match case.knowledge {
                Knowledge::Refitted => refitting(&file)?,
                Knowledge::Fixed => file,
            };
            runs.push((model, play(folder, &file, symbol)?));
            done();
        }
        rows.extend(rows_of_runs(&case.name(), &runs, seed));
        last = Some((symbol, fixed));
    }
    Ok(rows)
}

/// What is fixed for an instrument before anything trades it, and the rows that say so.
pub(super) fn fixed_on(
    folder: &Path,
    demo: &ConfigFile,
    symbol: &str,
) -> Result<(Fixed, Vec<Row>), RecordingError> {
    let file = quoting(demo, symbol, None, false)?;
    let instrument = file.table.find(symbol);
    let instrument =
        instrument.ok_or_else(|| RecordingError::Config(format!("no instrument {symbol}")))?;
    let mut tape = AnyTape::recorded(folder, &file.table.instruments)?;
    let gathered = Gathered::play(&mut tape, instrument.id(), &|| {})?;
    let fixed = fix(&gathered, instrument)?;
    let rows = rows_of_fixed(symbol, instrument, &fixed);
    Ok((fixed, rows))
}

/// Calibrates on the first part and solves for γ.
fn fix(gathered: &Gathered, instrument: &Instrument) -> Result<Fixed, RecordingError> {
    let symbol = instrument.symbol().to_owned();
    let failed = |why: String| RecordingError::Calibration { symbol: symbol.clone(), why };
    let (from, _) = gathered.span().ok_or_else(|| failed("no market".to_owned()))?;
    let first = gathered.before(from.plus(CALIBRATED_S * 1_000_000_000));
    let settings = Settings {
        fine_ns: SAMPLE_NS,
        coarse: 10,
        weight_shift: 5,
        windows: 1,
        lead_ns: LEAD_MS * 1_000_000,
        gamma: None,
        order_size: ORDER_SIZE,
    };
    let found = Calibration::of(&first, &settings).map_err(&failed)?;
    let settled = found.settled.map_err(|error| failed(error.to_string()))?;
    let sigma = found.volatility.two_scale.or(found.volatility.realised);
    let sigma = sigma.ok_or_else(|| failed("no volatility".to_owned()))?;
    let (a, k) = (settled.intensity.a, settled.intensity.k);
    let gamma = |model: Model| gamma_of(model, sigma, a, k, instrument).map_err(&failed);
    let (glft, half_spread) = gamma(Model::Glft)?;
    let (avellaneda_stoikov, _) = gamma(Model::AvellanedaStoikovRolling)?;
    Ok(Fixed { sigma, a, k, gammas: [glft, avellaneda_stoikov, glft], half_spread })
}

/// The γ per tick and coin at which the model's skew at [`HOME`] is its half-spread, found with the
/// very functions that quote; and that half-spread in ticks.
fn gamma_of(
    model: Model,
    sigma: f64,
    a: f64,
    k: f64,
    instrument: &Instrument,
) -> Result<(f64, f64), String> {
    let lot = instrument.spec().lot;
    let lots = (HOME * 10f64.powi(lot.scale.into()) / lot.mantissa as f64).round() as i64;
    let sigma = Real::from(sigma).scaled();
    let quotes = |gamma: f64| -> Result<(f64, f64), String> {
        let parameters = QuoteParameters {
            order_size: Real::from(ORDER_SIZE),
            lot: Real::from_decimal(lot),
            horizon: Real::from(HORIZON_S),
            ..QuoteParameters::new(Real::from(gamma), Real::from(a), Real::from(k))
        };
        let quoter = quoter(model, &parameters).map_err(|error| error.to_string())?;
        let ticks = |sub_ticks: i64| sub_ticks as f64 / 2f64.powi(32);
        let half = quoter.half_spreads(Lots(0), sigma, Scaled::ZERO).bid.map_or(0, |bid| bid.0);
        Ok((ticks(quoter.skew(Lots(lots), sigma, Scaled::ZERO).0), ticks(half)))
    };
    let (mut low, mut high) = (1e-12_f64, 1e3_f64);
    for _ in 0..100 {
        let middle = (low * high).sqrt();
        // A γ so large that the model refuses it is too large.
        match quotes(middle) {
            Ok((skew, half)) if skew < half => low = middle,
            Ok(_) | Err(_) => high = middle,
        }
    }
    let (skew, half) = quotes(low)?;
    if (skew / half - 1.0).abs() > 1e-6 {
        return Err(format!(
            "{}: no gamma between 1e-12 and 1000 brings {HOME} home",
            model.name()
        ));
    }
    Ok((low, half))
}

/// The demo's config with one instrument quoted, none hedged, and limits out of reach.
pub(super) fn quoting(
    demo: &ConfigFile,
    symbol: &str,
    parameters: Option<(Model, f64, &Fixed)>,
    no_fees: bool,
) -> Result<ConfigFile, RecordingError> {
    let failed = |error: &dyn std::fmt::Display| RecordingError::Config(error.to_string());
    let overrides = Overrides { no_fees, no_hedge: true, ..Overrides::default() };
    let file = demo.changed(&overrides).map_err(|error| failed(&error))?;
    let instrument = file.table.find(symbol).ok_or_else(|| failed(&"no such instrument"))?;
    let tick = tick_of(instrument);
    // Spot cannot be sold short: coins to sell from are held, and are the target.
    let held = if instrument.spec().kind == InstrumentKind::Spot { "5" } else { "0" };
    let mut tables: Table = file.text.parse().map_err(|e: toml::de::Error| failed(&e))?;
    let all = tables.get_mut("instrument").and_then(Value::as_table_mut);
    let all = all.ok_or_else(|| failed(&"no [instrument] tables"))?;
    let quote = all.values().find_map(|settings| settings.get("quote")?.as_table()).cloned();
    let mut quote = quote.ok_or_else(|| failed(&"the demo quotes nothing"))?;
    let number = |number: f64| Value::String(format!("{number:e}"));
    if let Some((model, gamma, fixed)) = parameters {
        quote.insert("model".into(), Value::String(model.name().into()));
        quote.insert("gamma".into(), number(gamma / tick));
        quote.insert("intensity".into(), number(fixed.a));
        quote.insert("decay".into(), number(fixed.k / tick));
        quote.insert("horizon_s".into(), number(HORIZON_S));
    }
    quote.insert("fair_value".into(), Value::String("mid".into()));
    quote.insert("levels".into(), Value::Integer(1));
    quote.insert("size".into(), Value::String(ORDER_SIZE.to_string()));
    // The perpetual's steps are ten of the spot's; a tenth of the currency is on both grids.
    for key in ["edge_min", "tolerance_aggressive", "tolerance_passive"] {
        let step = if key == "edge_min" { "0.01" } else { "0.2" };
        quote.insert(key.into(), Value::String(step.into()));
    }
    for (name, settings) in all.iter_mut() {
        let Some(settings) = settings.as_table_mut() else { continue };
        settings.remove("quote");
        settings.remove("opening");
        if name == symbol {
            settings.insert("opening".into(), Value::String(held.into()));
            settings.insert("quote".into(), Value::Table(quote.clone()));
            if let Some(limits) = settings.get_mut("limits").and_then(Value::as_table_mut) {
                limits.insert("position_max".into(), Value::String("10".into()));
            }
        }
    }
    out_of_reach(&mut tables, held);
    let text = toml::to_string(&tables).map_err(|error| failed(&error))?;
    ConfigFile::parse("study readme-table", text).map_err(|error| failed(&error))
}

/// Limits on exposure, bursts and messages a fill that no run comes near: what is compared is quotes.
fn out_of_reach(tables: &mut Table, held: &str) {
    let inner = |table: &mut Value, name: &str, keys: &[(&str, Value)]| {
        if let Some(limits) = table.get_mut(name).and_then(Value::as_table_mut) {
            limits.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        }
    };
    let underlyings = tables.get_mut("underlying").and_then(Value::as_table_mut);
    for (_, underlying) in underlyings.into_iter().flatten() {
        let bursts =
            [("fills_max", Value::Integer(100_000)), ("delta_max", Value::String("3".into()))];
        inner(underlying, "protection", &bursts);
        let Some(underlying) = underlying.as_table_mut() else { continue };
        for (key, value) in [("target", held), ("soft", "3"), ("stop", "4"), ("hard", "5")] {
            underlying.insert(key.into(), Value::String(value.into()));
        }
    }
    let venues = tables.get_mut("venues").and_then(Value::as_array_mut);
    for venue in venues.into_iter().flatten() {
        inner(venue, "order_to_trade", &[("grace", Value::Integer(10_000_000))]);
    }
    if let Some(limits) = tables.get_mut("limits").and_then(Value::as_table_mut) {
        for (key, value) in [
            ("gross_notional_max", "10000000"),
            ("daily_loss_max", "100000"),
            ("drawdown_max", "100000"),
        ] {
            limits.insert(key.into(), Value::String(value.into()));
        }
    }
}

/// The same config with A, k and the micro-price refitted while it trades.
fn refitting(file: &ConfigFile) -> Result<ConfigFile, RecordingError> {
    let failed = |error: &dyn std::fmt::Display| RecordingError::Config(error.to_string());
    let mut tables: Table = file.text.parse().map_err(|e: toml::de::Error| failed(&e))?;
    let refit = [("every_s", REFIT_S), ("window_s", CALIBRATED_S), ("lead_ms", LEAD_MS)];
    let refit = refit.map(|(key, value)| (key.to_owned(), Value::Integer(value as i64)));
    let run = tables.get_mut("run").and_then(Value::as_table_mut);
    run.ok_or_else(|| failed(&"no [run]"))?
        .insert("refit".into(), Value::Table(refit.into_iter().collect()));
    let instruments = tables.get_mut("instrument").and_then(Value::as_table_mut);
    for (_, settings) in instruments.into_iter().flatten() {
        if let Some(quote) = settings.get_mut("quote").and_then(Value::as_table_mut) {
            quote.insert("fair_value".into(), Value::String("micro_price".into()));
        }
    }
    let text = toml::to_string(&tables).map_err(|error| failed(&error))?;
    ConfigFile::parse("study readme-table", text).map_err(|error| failed(&error))
}

/// The refits, which have seen what nobody traded.
fn warmed(folder: &Path, file: &ConfigFile, from: Nanos) -> Result<Option<Refit>, RecordingError> {
    let Some(schedule) = Schedule::of(file) else { return Ok(None) };
    let mut refit = Refit::new(file, schedule);
    let mut tape = AnyTape::recorded(folder, &file.table.instruments)?;
    while let Some(event) = tape.next()?.filter(|event| event.at < from) {
        // Due no sooner than a whole window after the first market: as trading begins.
        refit.see(&event);
    }
    Ok(Some(refit))
}

fn play(folder: &Path, file: &ConfigFile, symbol: &str) -> Result<Run, RecordingError> {
    let failed = |why: &str| RecordingError::Config(why.to_owned());
    let config = file.maker(1).map_err(|error| failed(&error.to_string()))?;
    let mut tape = AnyTape::recorded(folder, &config.instruments)?;
    let from = tape.peek_at()?.unwrap_or_default().plus(CALIBRATED_S * 1_000_000_000);
    let tape = Window::open(tape, Some(Moment::At(from)), None)?;
    let options = VenueOptions {
        order_latency_ns: 1_000_000,
        feed_latency_ns: 500_000,
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options);
    let observer = Observer::new(file, &config).traced(&config).with_legs(&config);
    let backtest = Backtest::new(&config, exchange, tape, observer, None, SAMPLE_NS)?;
    let backtest = backtest.refitting(warmed(folder, file, from)?);
    let (outcome, observer) = backtest.run(Nanos(u64::MAX))?;
    let (Some(trace), Some(legs)) = observer.into_trace() else {
        return Err(failed("nothing is quoted"));
    };
    let instrument = file.table.find(symbol).ok_or_else(|| failed("no such instrument"))?;
    let worths = edge::worths(&legs, instrument);
    let blocks = Block::of(&trace, &worths, BLOCK_NS);
    Ok(Run { trace, blocks, refits: outcome.refits })
}

fn rows_of_fixed(symbol: &str, instrument: &Instrument, fixed: &Fixed) -> Vec<Row> {
    let case = format!("{symbol}, fixed beforehand");
    let tick = tick_of(instrument);
    let row = |quoter: &str, figure: &str, ours: f64| {
        Row::new(&case, quoter, figure, ours, None, "calibrate, first 120 s")
    };
    let mut rows = vec![
        row("all", "sigma, currency per sqrt s", fixed.sigma * tick),
        row("all", "A, per second", fixed.a),
        row("all", "k, per currency", fixed.k / tick),
    ];
    for (model, gamma) in MODELS.into_iter().zip(fixed.gammas) {
        rows.push(row(model.name(), "gamma, per currency and coin", gamma / tick));
    }
    rows.push(row("glft", "half-spread, currency", fixed.half_spread * tick));
    rows
}

fn rows_of_runs(case: &str, runs: &[(Model, Run)], seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let baseline = runs.first().map(|(_, run)| &run.blocks[..]).unwrap_or_default();
    for (model, run) in runs {
        let row =
            |figure: &str, ours: f64| Row::new(case, model.name(), figure, ours, None, SOURCE);
        let blocks = &run.blocks;
        let mut told = |name: &str, found: f64, (low, high): (f64, f64)| {
            rows.push(row(name, found));
            rows.push(row(&format!("{name}, 5 %"), low));
            rows.push(row(&format!("{name}, 95 %"), high));
        };
        for (name, figure) in FIGURES {
            told(name, figure(blocks), interval(blocks, figure, seed));
        }
        if *model != Model::Symmetric && run.trace.fills() > 0 {
            let mut against = |name: &str, figure: Figure, of: fn(f64, f64) -> f64| {
                let found = of(figure(baseline), figure(blocks));
                told(name, found, paired_interval([baseline, blocks], figure, of, seed));
            };
            against(RATIO, Block::inventory_square, |symmetric, this| symmetric / this);
            against(DIFFERENCE, Block::profit_per_unit, |symmetric, this| this - symmetric);
        }
        rows.push(row("fills", run.trace.fills() as f64));
        rows.push(row("traded, coins", Block::traded(blocks)));
        if let Some(refits) = run.refits {
            let refused = refits.unfitted + refits.too_far + refits.micro_prices_refused;
            rows.push(row("refits", (refits.made + refits.micro_prices) as f64));
            rows.push(row("refits refused", refused as f64));
        }
    }
    rows
}
