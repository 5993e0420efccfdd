//! A and k refitted on a rolling window while the maker runs, off its hot path.
//!
//! Fed with the market events that the maker is given; feeds it with journaled [`Parameters`]. In the
//! backtest: between two events, in virtual time, so that the same tape gives the same parameters. Live
//! ([`RefitStage`]): on a thread of its own, behind the journal. A
//! window that does not hold enough orders, or asks for more than [`FACTOR_MAX`] times or less than
//! that part of what the config states, changes nothing and is counted. γ, order size and σ are not
//! refitted: γ is the desk's, σ is live in the maker. A derived band that rests on the refitted quotes
//! is solved anew, row by row.

use crate::calibrate::gather::Gathered;
use crate::config::ConfigFile;
use crate::operator::desk::Desk;
use ballast_engine::calibration::hedge_table::HedgeInputs;
use ballast_engine::calibration::intensity::{Depths, Intensity};
use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::fixed::Scaled;
use ballast_engine::inventory::derived::{DerivedBand, RowUpdate};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::parameters::Parameters;
use ballast_engine::market::book::Book;
use ballast_engine::quote::Model;
use ballast_engine::ring::RecordConsumer;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos, SubTicks};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// A and k may go so far from the config's, either way.
pub const FACTOR_MAX: f64 = 10.0;
/// From window to window k may move by this part before it is a warning: then the last fit says
/// little about the next minutes.
pub const K_MOVE_MAX: f64 = 0.25;
/// Levels a side that are kept.
const BOOK_LEVELS_MAX: usize = 2048;

/// When and on what to refit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Distance of refits.
    pub every_ns: u64,
    /// What they rest on.
    pub window_ns: u64,
    /// How long before a trade its mid is taken.
    pub lead_ns: u64,
}

/// How often what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RefitCounters {
    /// Parameters made.
    pub made: u64,
    /// Windows without a fit.
    pub unfitted: u64,
    /// Fits too far from the config's.
    pub too_far: u64,
    /// Windows whose k is further than [`K_MOVE_MAX`] from the one before.
    pub k_moved: u64,
}

impl RefitCounters {
    /// As it stands in a run's document.
    pub fn document(&self) -> Value {
        json!({
            "made": self.made,
            "unfitted": self.unfitted,
            "too_far": self.too_far,
            "k_moved": self.k_moved,
        })
    }
}

/// One quoted instrument.
struct Watched {
    instrument: InstrumentId,
    model: Model,
    /// As the config has them, in ticks.
    parameters: QuoteParameters,
    book: Book,
    gathered: Gathered,
    due: Option<Nanos>,
    /// Of the window before, per tick.
    k: Option<f64>,
    /// The derived band that rests on these quotes, and its table's grid.
    hedge: Option<(HedgeInputs, DerivedBand)>,
}

/// The refits of a run.
pub struct Refit {
    schedule: Schedule,
    watched: Vec<Watched>,
    counters: RefitCounters,
    rows: Vec<RowUpdate>,
}

impl Refit {
    /// Watches every quoted instrument with a closed form.
    pub fn new(file: &ConfigFile, schedule: Schedule) -> Refit {
        let watched = file.table.instruments.iter().filter_map(|instrument| {
            let (model, parameters) = file.quote_parameters(instrument)?;
            let has_table = model == Model::GlftExact;
            (!has_table).then(|| Watched {
                instrument: instrument.id(),
                model,
                parameters,
                book: Book::new(BOOK_LEVELS_MAX),
                gathered: Gathered::default(),
                due: None,
                k: None,
                hedge: file.hedge_inputs(instrument).and_then(|inputs| {
                    let band = inputs.band().ok()?;
                    Some((inputs, band))
                }),
            })
        });
        let watched = watched.collect();
        Refit { schedule, watched, counters: RefitCounters::default(), rows: Vec::new() }
    }

    /// How often what happened.
    pub fn counters(&self) -> RefitCounters {
        self.counters
    }

    /// A market event, before the maker is given it. What is due by then comes out.
    pub fn see(&mut self, event: &MarketEvent) -> Option<Parameters> {
        let schedule = self.schedule;
        let watched = self.watched.iter_mut().find(|w| w.instrument == event.instrument)?;
        // A message is whole or not at all: in the middle of one there is no market to fit to.
        watched.gathered.take(&mut watched.book, event);
        watched.gathered.span()?;
        let due = *watched.due.get_or_insert(event.at.plus(schedule.window_ns));
        if event.at < due || !event.last_in_message {
            return None;
        }
        watched.due = Some(event.at.plus(schedule.every_ns));
        let from = Nanos(event.at.0.saturating_sub(schedule.window_ns));
        watched.gathered.forget_before(from);
        let fit = watched.fit(from, event.at, schedule, &mut self.counters)?;
        if let Some((inputs, band)) = &watched.hedge {
            let inputs = HedgeInputs { quote: watched.with(&fit), ..*inputs };
            self.rows.extend(inputs.updates(band).unwrap_or_default());
        }
        let quoter = quoter(watched.model, &watched.with(&fit)).ok()?;
        self.counters.made += 1;
        Parameters::of(watched.instrument, &quoter)
    }

    /// Rows of the derived band that the last refit made, for the maker after its parameters.
    pub fn take_rows(&mut self) -> Vec<RowUpdate> {
        std::mem::take(&mut self.rows)
    }
}

impl Watched {
    fn fit(
        &mut self,
        from: Nanos,
        to: Nanos,
        schedule: Schedule,
        counters: &mut RefitCounters,
    ) -> Option<Intensity> {
        let depths = self.gathered.depths(from, to, schedule.lead_ns);
        let depths = Depths::new(depths, to.since(from) as f64 * 1e-9);
        let seconds = 1_000_000_000;
        let samples = self.gathered.samples(seconds);
        let sigma = samples.realised(1).unwrap_or(0.0);
        let Ok(settled) = depths.settle(&|fit| self.half_spread(fit, sigma)) else {
            counters.unfitted += 1;
            return None;
        };
        let fit = settled.intensity;
        if let Some(before) = self.k.replace(fit.k).filter(|k| has_moved(*k, fit.k)) {
            counters.k_moved += 1;
            let (instrument, k) = (self.instrument.0, fit.k);
            tracing::warn!(instrument, before, k, "k moved by more than a quarter between windows");
        }
        let is_near = |found: f64, stated: Real| {
            let ratio = found / stated.to_f64();
            (1.0 / FACTOR_MAX..=FACTOR_MAX).contains(&ratio)
        };
        if !is_near(fit.a, self.parameters.intensity) || !is_near(fit.k, self.parameters.decay) {
            counters.too_far += 1;
            return None;
        }
        Some(fit)
    }

    fn with(&self, fit: &Intensity) -> QuoteParameters {
        let (intensity, decay) = (Real::from(fit.a), Real::from(fit.k));
        QuoteParameters { intensity, decay, ..self.parameters }
    }

    fn half_spread(&self, fit: &Intensity, sigma: f64) -> Result<f64, String> {
        let quoter = quoter(self.model, &self.with(fit)).map_err(|error| error.to_string())?;
        let quotes = quoter.half_spreads(Lots(0), Real::from(sigma).scaled(), Scaled::ZERO);
        let half = quotes.bid.map(|half| half.0 as f64 / SubTicks::ONE.0 as f64);
        half.filter(|half| *half > 0.0).ok_or_else(|| "the model quotes nothing".to_owned())
    }
}

/// Is `k` further from `before` than the warning allows?
fn has_moved(before: f64, k: f64) -> bool {
    (k - before).abs() > K_MOVE_MAX * before.abs()
}

/// The refits of a live run: a thread of its own, never the maker's.
pub struct RefitStage {
    refit: Refit,
    /// From the journal's recorder.
    events: RecordConsumer<MarketEvent>,
    desk: Arc<Desk>,
    /// Made, and not taken by the maker's ring yet; at most one refit an instrument.
    waiting: VecDeque<Control>,
}

/// Events that a turn takes.
const TURN_EVENTS: usize = 4096;

impl RefitStage {
    /// Fits to what comes out of `events` and hands it to the maker over `desk`.
    pub fn new(refit: Refit, events: RecordConsumer<MarketEvent>, desk: Arc<Desk>) -> RefitStage {
        RefitStage { refit, events, desk, waiting: VecDeque::new() }
    }

    /// How often what happened.
    pub fn counters(&self) -> RefitCounters {
        self.refit.counters()
    }

    fn hand_over(&mut self) {
        while let Some(control) = self.waiting.front() {
            if self.desk.push(*control).is_none() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// The derived band's rows follow their parameters. Made on the latest window: what the ring had
    /// no room for is out of date.
    fn keep(&mut self, parameters: Option<Parameters>) {
        let rows = self.refit.take_rows();
        if let Some(parameters) = parameters {
            let is_of = |control: &Control| match control {
                Control::Parameters(of) => of.instrument == parameters.instrument,
                Control::HedgeRow(row) => row.quoted == parameters.instrument,
                _ => false,
            };
            self.waiting.retain(|control| !is_of(control));
            self.waiting.push_back(Control::Parameters(parameters));
        }
        self.waiting.extend(rows.into_iter().map(Control::HedgeRow));
    }
}

impl Stage for RefitStage {
    fn name(&self) -> &'static str {
        "refit"
    }

    fn turn(&mut self, _: Nanos) -> Turn {
        let is_over = self.events.is_disconnected();
        self.hand_over();
        for taken in 0..TURN_EVENTS {
            let Some(event) = self.events.pop() else {
                let has_taken = taken > 0;
                return match (has_taken, is_over) {
                    (true, _) => Turn::Busy,
                    (false, true) => Turn::Done,
                    (false, false) => Turn::Idle,
                };
            };
            let parameters = self.refit.see(&event);
            self.keep(parameters);
            self.hand_over();
        }
        Turn::Busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tape::AnyTape;
    use crate::recording::Tape;

    const SECOND: u64 = 1_000_000_000;

    fn derived() -> ConfigFile {
        let text = ConfigFile::demo().unwrap().text;
        let fixed = "band = \"0.05\"\nreturn_to = \"0.02\"";
        assert!(text.contains(fixed));
        let derived = "mode = \"derived\"\neta = \"10\"\nk_impact = \"1\"";
        ConfigFile::parse("derived.toml", text.replace(fixed, derived)).unwrap()
    }

    fn refitted(seed: u64) -> (Vec<Parameters>, Vec<RowUpdate>, RefitCounters) {
        let file = derived();
        let schedule = Schedule { every_ns: 20 * SECOND, window_ns: 40 * SECOND, lead_ns: 0 };
        let mut refit = Refit::new(&file, schedule);
        let mut tape = AnyTape::synthetic(&file.table.instruments, seed, Some(100 * SECOND));
        let (mut made, mut rows) = (Vec::new(), Vec::new());
        while let Some(event) = tape.next().unwrap() {
            made.extend(refit.see(&event));
            rows.extend(refit.take_rows());
        }
        (made, rows, refit.counters())
    }

    #[test]
    fn the_same_tape_refits_to_the_same_parameters_at_the_same_moments() {
        let (first, rows, counters) = refitted(5);
        let again = refitted(5);
        assert_eq!((&first, &rows), (&again.0, &again.1));
        assert_eq!(rows.len(), 42 * first.len(), "every row of the derived band follows");
        let tried = counters.made + counters.unfitted + counters.too_far;
        assert!((3..=4).contains(&tried), "at 40, 60, 80 and perhaps 100 s: {counters:?}");
        assert_eq!(counters.made, first.len() as u64);
    }

    #[test]
    fn k_may_move_by_a_quarter_and_no_further_without_a_warning() {
        // The edge itself is no binary fraction of 0.4: a hair inside it.
        assert!(!has_moved(0.4, 0.4999) && !has_moved(0.4, 0.3001));
        assert!(has_moved(0.4, 0.5001) && has_moved(0.4, 0.2999));
    }
}
