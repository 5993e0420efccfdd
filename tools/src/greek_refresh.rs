//! Greeks refreshed while the maker runs, off its hot path: option books in, a surface fitted, quantised
//! Greeks of every configured option out.
//!
//! Fed with the market events that the maker is given; feeds it with journaled [`RefreshedGreeks`], each
//! behind its [`GreekSpan`]. In the backtest: between two events, in virtual time, so that the same tape gives the same Greeks; live: on a
//! thread of its own. A refresh is due by the config's clock, and at once where the reference has moved
//! half as far as Greeks are believed. An expiry that cannot be fitted keeps its last Greeks, which age
//! until nobody believes them. Where the reference is not what the options' forward is (a perpetual, a
//! spot, a future of another expiry), the forward is parity's, and slopes are told against the reference.

use crate::config::ConfigFile;
use crate::config::faults::Faults;
use crate::config::option_settings;
use crate::option_point::{Contract, Point};
use crate::refresh::Refresh;
use ballast_engine::calibration::options::OptionsError;
use ballast_engine::calibration::options::quantise::OptionGrid;
use ballast_engine::calibration::options::surface::{
    Chain, Exercise, OptionQuote, Premium, Slice, fit_surface,
};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::option_config::{OptionSettings, OptionsConfig, is_forward};
use ballast_engine::maker::options::{GreekSpan, RefreshedGreeks};
use ballast_engine::market::book::Book;
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms};
use ballast_engine::units::{Decimal, Nanos, SubTicks};

/// Levels a side that are kept.
const BOOK_LEVELS_MAX: usize = 64;
/// After a refresh that made nothing.
const RETRY_NS: u64 = 1_000_000_000;
const NS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e9;
/// A strike further from the forward than this, either way, is in another unit.
const STRIKE_FACTOR_MAX: f64 = 10.0;
/// So is a forward that parity finds further than this from what the options are on.
const FORWARD_FACTOR_MAX: f64 = 2.0;

/// How often what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RefreshCounters {
    /// Refreshes begun.
    pub refreshes: u64,
    /// Greeks given out.
    pub greeks: u64,
    /// Expiries without a slice.
    pub unfitted: u64,
    /// Options that could not be valued, or whose strike is in another unit than the forward.
    pub unvalued: u64,
    /// Crossed option quotes that were left out.
    pub crossed: u64,
}

/// One instrument's book, as far as it is whole.
struct Seen {
    book: Book,
    is_whole: bool,
    tick: f64,
}

/// One option.
struct Watched {
    symbol: String,
    settings: OptionSettings,
    terms: OptionTerms,
    strike: f64,
    /// Units of the underlying in a lot.
    per_lot: f64,
    nano_per_tick_lot: i64,
    /// What it is on is what its forward is; else parity finds that.
    is_on_forward: bool,
    /// That its strike is in another unit was told.
    is_told: bool,
}

/// What options of one underlying are refreshed by.
struct Group {
    reference: InstrumentId,
    every_ns: u64,
    rate: f64,
    options: Vec<Watched>,
    due: Nanos,
    /// Where the reference was at the last refresh.
    taken_at: Option<f64>,
}

/// The refreshes of a run.
pub struct GreekRefresh {
    seen: Vec<Seen>,
    groups: Vec<Group>,
    now: Nanos,
    counters: RefreshCounters,
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / libm::pow(10.0, f64::from(decimal.scale))
}

impl GreekRefresh {
    /// Watches every option of a config that was found good; `None` where there are none.
    pub fn new(file: &ConfigFile, config: &OptionsConfig) -> Option<GreekRefresh> {
        if config.options.is_empty() {
            return None;
        }
        let instruments = &file.table.instruments;
        let seen = |instrument: &Instrument| Seen {
            book: Book::new(BOOK_LEVELS_MAX),
            is_whole: false,
            tick: number(instrument.spec().tick),
        };
        let mut groups: Vec<Group> = Vec::new();
        for settings in &config.options {
            let instrument = instruments.get(usize::from(settings.instrument.0))?;
            let reference = instruments.get(usize::from(settings.reference.0))?;
            let watched = watched(instrument, reference, settings)?;
            let known = groups.iter_mut().find(|group| group.reference == settings.reference);
            if let Some(known) = known {
                known.options.push(watched);
                continue;
            }
            let name = file.table.underlyings.name(usize::from(instrument.spec().underlying.0))?;
            let raw = file.raw.underlying.get(name)?.options.as_ref()?;
            groups.push(Group {
                reference: settings.reference,
                every_ns: raw.refresh_s.saturating_mul(1_000_000_000),
                rate: option_settings::rate(name, raw, &mut Faults::default())?,
                options: vec![watched],
                due: Nanos(0),
                taken_at: None,
            });
        }
        let seen = instruments.iter().map(seen).collect();
        Some(GreekRefresh { seen, groups, now: Nanos(0), counters: RefreshCounters::default() })
    }

    /// How often what happened.
    pub fn counters(&self) -> RefreshCounters {
        self.counters
    }
}

impl Refresh for GreekRefresh {
    fn instruments(&self) -> Vec<InstrumentId> {
        let of = |group: &Group| {
            let options = group.options.iter().map(|option| option.settings.instrument);
            options.chain([group.reference]).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of).collect()
    }

    fn take(&mut self, event: &MarketEvent) {
        let Some(seen) = self.seen.get_mut(usize::from(event.instrument.0)) else { return };
        self.now = self.now.max(event.at);
        match event.update {
            MarketUpdate::Level { side, price, size } => seen.book.set(side, price, size),
            MarketUpdate::Reset => {
                seen.book.reset();
                seen.is_whole = true;
            }
            MarketUpdate::Gap => seen.is_whole = false,
            MarketUpdate::Trade { .. } => {}
        }
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        for group in &mut self.groups {
            let Some(price) = mid(&self.seen, group.reference) else { continue };
            if group.is_due(self.now, price, &self.seen) {
                group.refresh(self.now, price, &self.seen, &mut self.counters, out);
            }
        }
    }
}

fn watched(
    instrument: &Instrument,
    reference: &Instrument,
    settings: &OptionSettings,
) -> Option<Watched> {
    let ContractValue::Option { nano_underlying_per_lot, nano_per_tick_lot, .. } =
        instrument.value()
    else {
        return None;
    };
    let terms = *instrument.option()?;
    let per_lot = nano_underlying_per_lot as f64 * 1e-9;
    let is_on_forward = is_forward(reference, &terms);
    let strike = number(terms.strike);
    let symbol = instrument.symbol().to_owned();
    Some(Watched {
        symbol,
        settings: *settings,
        terms,
        strike,
        per_lot,
        nano_per_tick_lot,
        is_on_forward,
        is_told: false,
    })
}

/// Best bid and ask of a whole book, in units.
fn touch(seen: &[Seen], instrument: InstrumentId) -> Option<(f64, f64)> {
    let seen = seen.get(usize::from(instrument.0)).filter(|seen| seen.is_whole)?;
    let touch = seen.book.touch()?;
    Some((touch.bid.price.0 as f64 * seen.tick, touch.ask.price.0 as f64 * seen.tick))
}

fn mid(seen: &[Seen], instrument: InstrumentId) -> Option<f64> {
    touch(seen, instrument).filter(|(bid, ask)| ask > bid).map(|(bid, ask)| 0.5 * (bid + ask))
}

fn is_same_unit(strike: f64, price: f64) -> bool {
    (1.0 / STRIKE_FACTOR_MAX..=STRIKE_FACTOR_MAX).contains(&(strike / price))
}

impl Group {
    /// By the clock; or at once where the reference moved half as far as Greeks are believed.
    fn is_due(&self, now: Nanos, price: f64, seen: &[Seen]) -> bool {
        let is_far = self.options.first().is_some_and(|option| {
            let tick = seen.get(usize::from(self.reference.0)).map_or(0.0, |seen| seen.tick);
            let ticks = option.settings.bounds.move_max.0 as f64 / SubTicks::ONE.0 as f64;
            self.taken_at.is_some_and(|taken| (price - taken).abs() >= 0.5 * ticks * tick)
        });
        now >= self.due || is_far
    }

    fn refresh(
        &mut self,
        at: Nanos,
        price: f64,
        seen: &[Seen],
        counters: &mut RefreshCounters,
        out: &mut Vec<Control>,
    ) {
        let made_before = counters.greeks;
        self.taken_at = Some(price);
        counters.refreshes += 1;
        let mut expiries: Vec<(Nanos, ExerciseStyle)> = self
            .options
            .iter()
            .map(|option| (option.terms.expiry, option.terms.style))
            .filter(|(expiry, _)| *expiry > at)
            .collect();
        expiries.sort_by_key(|(expiry, _)| *expiry);
        expiries.dedup_by_key(|(expiry, _)| *expiry);
        let chains = expiries.iter().map(|(expiry, style)| {
            let years = expiry.since(at) as f64 / NS_PER_YEAR;
            self.chain(*expiry, *style, years, price, seen, counters)
        });
        let chains: Vec<Chain> = chains.collect();
        self.tell_strikes(price);
        for ((expiry, _), slice) in expiries.iter().zip(fit_surface(&chains)) {
            let ratios = 1.0 / FORWARD_FACTOR_MAX..=FORWARD_FACTOR_MAX;
            let is_near = |slice: &&Slice| ratios.contains(&(slice.forward / price));
            let Some(slice) = slice.as_ref().ok().filter(is_near) else {
                counters.unfitted += 1;
                continue;
            };
            for option in self.options.iter().filter(|option| option.terms.expiry == *expiry) {
                match option.greeks(at, price, slice, seen) {
                    Ok(refreshed) => {
                        counters.greeks += 1;
                        out.extend(refreshed);
                    }
                    Err(_) => counters.unvalued += 1,
                }
            }
        }
        // Where nothing could be made (the chain is not there yet), it is tried again soon.
        let is_made = counters.greeks > made_before;
        self.due = at.plus(if is_made { self.every_ns } else { self.every_ns.min(RETRY_NS) });
    }

    /// Tells once of each option whose strike is in another unit than the price of what it is on: it
    /// gets no Greeks, and so it is neither quoted nor hedged.
    fn tell_strikes(&mut self, price: f64) {
        for option in self.options.iter_mut().filter(|option| !option.is_told) {
            option.is_told = !is_same_unit(option.strike, price);
            if option.is_told {
                let (symbol, strike) = (option.symbol.as_str(), option.strike);
                tracing::warn!(
                    warning = "strike_scale",
                    of = symbol,
                    strike,
                    price,
                    "the strike is more than ten times, or less than a tenth, of the price of what the \
                     option is on: it is not quoted; is the strike in the unit of that price?"
                );
            }
        }
    }

    fn chain(
        &self,
        expiry: Nanos,
        style: ExerciseStyle,
        years: f64,
        price: f64,
        seen: &[Seen],
        counters: &mut RefreshCounters,
    ) -> Chain {
        let mut quotes = Vec::new();
        let of_expiry = || self.options.iter().filter(|option| option.terms.expiry == expiry);
        for option in of_expiry() {
            let Some((bid, ask)) = touch(seen, option.settings.instrument) else { continue };
            if ask <= bid {
                counters.crossed += 1;
                continue;
            }
            let (strike, option_type) = (option.strike, option.terms.option_type);
            quotes.push(OptionQuote { strike, option_type, bid, ask });
        }
        let exercise = match style {
            ExerciseStyle::American => Exercise::AmericanOnFuture,
            ExerciseStyle::European => Exercise::European,
        };
        let is_coin = of_expiry().any(|option| option.terms.delivery == Delivery::Coin);
        let premium = if is_coin { Premium::Coin } else { Premium::Money };
        let future = of_expiry().all(|option| option.is_on_forward).then_some(price);
        Chain { years, exercise, premium, future, rate: self.rate, quotes }
    }
}

impl Watched {
    /// Greeks on a slice, behind how far they may move until nobody believes them.
    fn greeks(
        &self,
        at: Nanos,
        price: f64,
        slice: &Slice,
        seen: &[Seen],
    ) -> Result<[Control; 2], OptionsError> {
        if !is_same_unit(self.strike, slice.forward) {
            return Err(OptionsError::OutOfRange { name: "strike" });
        }
        let tick = |id: InstrumentId| seen.get(usize::from(id.0)).map_or(0.0, |seen| seen.tick);
        let contract = Contract {
            terms: &self.terms,
            strike: self.strike,
            grid: OptionGrid {
                option_tick: tick(self.settings.instrument),
                underlying_tick: tick(self.settings.reference),
                underlying_per_lot: self.per_lot,
            },
            nano_per_tick_lot: self.nano_per_tick_lot,
            bounds: self.settings.bounds,
        };
        let volatility = slice.volatility(self.strike);
        let (forward, rate, years) = (slice.forward, slice.rate, slice.years);
        let point = Point { at, price, forward, rate, years, volatility };
        let instrument = self.settings.instrument;
        let greeks = contract.greeks(&point)?;
        let span = contract.span(&point, &greeks)?;
        Ok([
            Control::GreekSpan(GreekSpan { instrument, at, span }),
            Control::Greeks(RefreshedGreeks { instrument, greeks }),
        ])
    }
}
