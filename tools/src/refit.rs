//! A, k and the micro-price refitted on a rolling window while the maker runs, off its hot path.
//!
//! Fed with the market events that the maker is given; feeds it with journaled controls: [`Parameters`],
//! and a [`MicroPriceUpdate`] where an instrument is quoted around its micro-price. In the
//! backtest: between two events, in virtual time, so that the same tape gives the same parameters. Live
//! ([`RefitStage`]): on a thread of its own, behind the journal. A
//! window that does not hold enough orders, or asks for more than [`FACTOR_MAX`] times or less than
//! that part of what the config states, changes nothing and is counted; so does a micro-price that
//! leans further than the quotes stand from it. γ, order size and σ are not refitted: γ is the desk's, σ
//! is live in the maker. A derived band that rests on the refitted quotes is solved anew, row by row.
//! The exact model keeps its table.

use crate::calibrate;
use crate::calibrate::gather::Gathered;
use crate::config::ConfigFile;
use crate::operator::desk::Desk;
use ballast_engine::calibration::hedge_table::HedgeInputs;
use ballast_engine::calibration::intensity::{Depths, Intensity};
use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::fixed::Scaled;
use ballast_engine::inventory::derived::DerivedBand;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::parameters::{MicroPriceUpdate, Parameters};
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

impl Schedule {
    /// The one that a config asks for, if any.
    pub fn of(file: &ConfigFile) -> Option<Schedule> {
        let raw = file.raw.run.refit?;
        let ns = |seconds: u64| seconds.saturating_mul(1_000_000_000);
        let lead_ns = raw.lead_ms.unwrap_or(0).saturating_mul(1_000_000);
        Some(Schedule { every_ns: ns(raw.every_s), window_ns: ns(raw.window_s), lead_ns })
    }
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
    /// Micro-prices made.
    pub micro_prices: u64,
    /// Micro-prices without a solution, or that lean further than the quotes stand away.
    pub micro_prices_refused: u64,
}

impl RefitCounters {
    /// As it stands in a run's document.
    pub fn document(&self) -> Value {
        json!({
            "made": self.made,
            "unfitted": self.unfitted,
            "too_far": self.too_far,
            "k_moved": self.k_moved,
            "micro_prices": self.micro_prices,
            "micro_prices_refused": self.micro_prices_refused,
        })
    }
}

/// One quoted instrument.
struct Watched {
    instrument: InstrumentId,
    model: Model,
    /// As the config has them, in ticks.
    parameters: QuoteParameters,
    /// Of the last refit; the config's before.
    latest: QuoteParameters,
    is_around_micro_price: bool,
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
}

impl Refit {
    /// Watches every quoted instrument with a closed form, or around its micro-price.
    pub fn new(file: &ConfigFile, schedule: Schedule) -> Refit {
        let watched = file.table.instruments.iter().filter_map(|instrument| {
            let (model, parameters) = file.quote_parameters(instrument)?;
            let quote = file.raw.instrument.get(instrument.symbol())?.quote.as_ref()?;
            let is_around_micro_price = quote.fair_value == "micro_price";
            (model != Model::GlftExact || is_around_micro_price).then(|| Watched {
                instrument: instrument.id(),
                model,
                parameters,
                latest: parameters,
                is_around_micro_price,
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
        Refit { schedule, watched: watched.collect(), counters: RefitCounters::default() }
    }

    /// How often what happened.
    pub fn counters(&self) -> RefitCounters {
        self.counters
    }

    /// A market event, before the maker is given it. What is due by then comes out, in the order in
    /// which the maker takes it; nothing, most of the time.
    pub fn see(&mut self, event: &MarketEvent) -> Vec<Control> {
        let (schedule, counters) = (self.schedule, &mut self.counters);
        let watched = self.watched.iter_mut().find(|w| w.instrument == event.instrument);
        let Some(watched) = watched else { return Vec::new() };
        // A message is whole or not at all: in the middle of one there is no market to fit to.
        watched.gathered.take(&mut watched.book, event);
        if watched.gathered.span().is_none() {
            // A book that never had two sides may go on so for days, and be traded all the while.
            watched.gathered.forget_before(Nanos(event.at.0.saturating_sub(schedule.window_ns)));
            return Vec::new();
        }
        let due = *watched.due.get_or_insert(event.at.plus(schedule.window_ns));
        if event.at < due || !event.last_in_message {
            return Vec::new();
        }
        watched.due = Some(event.at.plus(schedule.every_ns));
        let from = Nanos(event.at.0.saturating_sub(schedule.window_ns));
        watched.gathered.forget_before(from);
        watched.refit(from, event.at, schedule, counters)
    }
}

impl Watched {
    fn refit(
        &mut self,
        from: Nanos,
        to: Nanos,
        schedule: Schedule,
        counters: &mut RefitCounters,
    ) -> Vec<Control> {
        let sigma = self.gathered.samples(1_000_000_000).realised(1).unwrap_or(0.0);
        let mut made = Vec::new();
        if self.model != Model::GlftExact
            && let Some(fit) = self.fit(from, to, sigma, schedule, counters)
        {
            self.latest = self.with(&fit);
            let quoter = quoter(self.model, &self.latest).ok();
            let parameters = quoter.and_then(|quoter| Parameters::of(self.instrument, &quoter));
            counters.made += u64::from(parameters.is_some());
            made.extend(parameters.map(Control::Parameters));
            if let Some((inputs, band)) = &self.hedge {
                let inputs = HedgeInputs { quote: self.latest, ..*inputs };
                let rows = inputs.updates(band).unwrap_or_default();
                made.extend(rows.into_iter().map(Control::HedgeRow));
            }
        }
        if self.is_around_micro_price {
            let update = self.micro_price(from, to, sigma);
            let counter = match update {
                Some(_) => &mut counters.micro_prices,
                None => &mut counters.micro_prices_refused,
            };
            *counter += 1;
            made.extend(update.map(Control::MicroPrice));
        }
        made
    }

    fn fit(
        &mut self,
        from: Nanos,
        to: Nanos,
        sigma: f64,
        schedule: Schedule,
        counters: &mut RefitCounters,
    ) -> Option<Intensity> {
        let depths = self.gathered.depths(from, to, schedule.lead_ns);
        let depths = Depths::new(depths, to.since(from) as f64 * 1e-9);
        let Ok(settled) = depths.settle(&|fit| self.half_spread(&self.with(fit), sigma)) else {
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

    fn micro_price(&self, from: Nanos, to: Nanos, sigma: f64) -> Option<MicroPriceUpdate> {
        let table = calibrate::states(&self.gathered, from, to.plus(1)).table().ok()?;
        let half = self.half_spread(&self.latest, sigma).ok()?;
        let reach = table.reach().0 as f64 / SubTicks::ONE.0 as f64;
        (reach <= half)
            .then(|| MicroPriceUpdate { instrument: self.instrument, leans: table.leans() })
    }

    fn with(&self, fit: &Intensity) -> QuoteParameters {
        let (intensity, decay) = (Real::from(fit.a), Real::from(fit.k));
        QuoteParameters { intensity, decay, ..self.parameters }
    }

    fn half_spread(&self, parameters: &QuoteParameters, sigma: f64) -> Result<f64, String> {
        let quoter = quoter(self.model, parameters).map_err(|error| error.to_string())?;
        let quotes = quoter.half_spreads(Lots(0), Real::from(sigma).scaled(), Scaled::ZERO);
        let half = quotes.bid.map(|half| half.0 as f64 / SubTicks::ONE.0 as f64);
        half.filter(|half| *half > 0.0).ok_or_else(|| "the model quotes nothing".to_owned())
    }
}

/// Whose a refitted control is.
fn subject(control: &Control) -> Option<InstrumentId> {
    match control {
        Control::Parameters(parameters) => Some(parameters.instrument),
        Control::MicroPrice(update) => Some(update.instrument),
        Control::HedgeRow(row) => Some(row.quoted),
        _ => None,
    }
}

/// Does a later refit replace what was made before and not taken yet? A derived band's rows all come
/// anew.
fn replaces(later: &Control, earlier: &Control) -> bool {
    let kind = std::mem::discriminant::<Control>;
    kind(later) == kind(earlier) && subject(later) == subject(earlier)
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

    /// Made on the latest window: what the ring had no room for is out of date.
    fn keep(&mut self, made: Vec<Control>) {
        self.waiting.retain(|earlier| !made.iter().any(|later| replaces(later, earlier)));
        self.waiting.extend(made);
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
            let made = self.refit.see(&event);
            self.keep(made);
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
    use ballast_engine::event::MarketUpdate;

    const SECOND: u64 = 1_000_000_000;

    fn derived() -> ConfigFile {
        let text = ConfigFile::demo().unwrap().text;
        let fixed = "band = \"0.05\"\nreturn_to = \"0.02\"";
        assert!(text.contains(fixed));
        let derived = "mode = \"derived\"\neta = \"10\"\nk_impact = \"1\"";
        ConfigFile::parse("derived.toml", text.replace(fixed, derived)).unwrap()
    }

    fn refitted(file: &ConfigFile, seed: u64) -> (Vec<Control>, RefitCounters) {
        let schedule = Schedule { every_ns: 20 * SECOND, window_ns: 40 * SECOND, lead_ns: 0 };
        let mut refit = Refit::new(file, schedule);
        let mut tape = AnyTape::synthetic(&file.table.instruments, seed, Some(100 * SECOND));
        let mut made = Vec::new();
        while let Some(event) = tape.next().unwrap() {
            made.extend(refit.see(&event));
        }
        (made, refit.counters())
    }

    #[test]
    fn trades_beside_a_book_that_never_had_two_sides_are_forgotten() {
        let schedule = Schedule { every_ns: SECOND, window_ns: 2 * SECOND, lead_ns: 0 };
        let file = derived();
        let mut refit = Refit::new(&file, schedule);
        let mut tape = AnyTape::synthetic(&file.table.instruments, 5, Some(100 * SECOND));
        let mut trades = 0;
        while let Some(event) = tape.next().unwrap() {
            if matches!(event.update, MarketUpdate::Trade { .. }) {
                trades += 1;
                assert_eq!(refit.see(&event), []);
            }
        }
        let held: usize = refit.watched.iter().map(|watched| watched.gathered.orders.len()).sum();
        assert!(trades > 100 && held * 10 < trades, "{held} of {trades}");
    }

    #[test]
    fn the_same_tape_refits_to_the_same_parameters_at_the_same_moments() {
        let (first, counters) = refitted(&derived(), 5);
        assert_eq!(first, refitted(&derived(), 5).0);
        let count = |is_it: fn(&Control) -> bool| first.iter().filter(|made| is_it(made)).count();
        let parameters = count(|made| matches!(made, Control::Parameters(_)));
        let rows = count(|made| matches!(made, Control::HedgeRow(_)));
        assert_eq!(rows, 42 * parameters, "every row of the derived band follows");
        assert_eq!(first.len(), rows + parameters, "nothing is quoted around a micro-price");
        let tried = counters.made + counters.unfitted + counters.too_far;
        assert!((3..=4).contains(&tried), "at 40, 60, 80 and perhaps 100 s: {counters:?}");
        assert_eq!(counters.made, parameters as u64);
    }

    #[test]
    fn a_micro_price_is_refitted_where_quotes_stand_around_it_also_around_an_exact_table() {
        for model in ["glft", "glft_exact"] {
            let text = ConfigFile::demo().unwrap().text;
            let lines = [
                ("fair_value = \"weighted_mid\"", "fair_value = \"micro_price\""),
                ("model = \"glft\"", &format!("model = \"{model}\"")),
                ("[run]\n", "[run]\nrefit = { every_s = 20, window_s = 40 }\n"),
            ];
            let text = lines.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replacen(from, to, 1)
            });
            let file = ConfigFile::parse("micro.toml", text).unwrap();
            let (made, counters) = refitted(&file, 5);
            let leans: Vec<_> = made
                .iter()
                .filter_map(|made| match made {
                    Control::MicroPrice(update) => Some(update.leans),
                    _ => None,
                })
                .collect();
            assert_eq!(counters.micro_prices, leans.len() as u64);
            let tried = counters.micro_prices + counters.micro_prices_refused;
            assert!((3..=4).contains(&tried), "{counters:?}");
            assert!(leans.iter().flatten().flatten().any(|lean| lean.0 != 0), "{counters:?}");
            assert_eq!(counters.made == 0, model == "glft_exact", "a table is not refitted");
        }
    }

    #[test]
    fn what_waits_for_the_maker_is_replaced_by_what_is_newer_of_its_kind() {
        let update = |id| {
            Control::MicroPrice(MicroPriceUpdate {
                instrument: InstrumentId(id),
                leans: Default::default(),
            })
        };
        assert!(replaces(&update(1), &update(1)) && !replaces(&update(1), &update(2)));
        assert!(!replaces(&update(1), &Control::Pause(InstrumentId(1))));
    }

    #[test]
    fn k_may_move_by_a_quarter_and_no_further_without_a_warning() {
        // The edge itself is no binary fraction of 0.4: a hair inside it.
        assert!(!has_moved(0.4, 0.4999) && !has_moved(0.4, 0.3001));
        assert!(has_moved(0.4, 0.5001) && has_moved(0.4, 0.2999));
    }
}
