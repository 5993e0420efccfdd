//! From the file's tables to a [`MakerConfig`]: every number exact, every fault told.
//!
//! Fed by [`RawConfig`]; feeds the live runner, the backtest and the replay, which must all build the
//! same maker from the same text.

use super::collateral;
use super::controls;
use super::estimates;
use super::fair_value;
use super::faults::Faults;
use super::file::{RawConfig, RawLimits, RawQuote, RawSettings, RawUnderlying};
use super::firm;
use super::guards;
use super::hedging::{self, Of};
use super::instruments::InstrumentTable;
use super::ladder;
use super::mass_quotes;
use super::option_settings;
use super::portfolio;
use super::rebalance;
use super::self_trade;
use super::sessions;
use super::spike;
use super::standing;
use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::estimate::volatility::Sigma;
use ballast_engine::instrument::{Currency, Instrument};
use ballast_engine::maker::config::{
    InstrumentSettings, MakerConfig, QuoteSettings, UnderlyingSettings, VolatilitySettings,
};
use ballast_engine::pnl::standing::StandingTerms;
use ballast_engine::quote::ladder::{LadderConfig, LadderShape};
use ballast_engine::quote::requote::Tolerance;
use ballast_engine::quote::{Model, Quoter};
use ballast_engine::risk::carried::CarriedRisk;
use ballast_engine::risk::collar::Collar;
use ballast_engine::risk::limits::{ExposureLimits, InstrumentLimits, ValueLimit};
use ballast_engine::risk::order_to_trade::OrderToTradeLimit;
use ballast_engine::risk::throttle::MessageRate;
use ballast_engine::units::{Decimal, Exposure, Lots, Notional, SubTicks, Ticks};

/// 1e-9, the step of money and exposure.
pub(super) const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };
pub(super) const MS: u64 = 1_000_000;
/// Most orders, and most levels of a side.
const ALLOCATED_MAX: usize = 65_536;
/// Most messages of a window: each is remembered.
const RATE_MAX: u32 = 1_000_000;

/// Builds the maker's config for run number `epoch`; `None` where `faults` says why.
pub fn maker_config(
    raw: &RawConfig,
    table: &InstrumentTable,
    epoch: u32,
    faults: &mut Faults,
) -> Option<MakerConfig> {
    let settings: Vec<_> =
        table.instruments.iter().map(|i| settings(raw, table, i, faults)).collect();
    for symbol in raw.instrument.keys().filter(|symbol| table.find(symbol).is_none()) {
        faults.add(format!("instrument.{symbol}"), symbol, "is not in [[instruments]]");
    }
    let underlyings = underlyings(raw, table, faults);
    let guards = guards::guards(raw, table, faults);
    let portfolio = controls::portfolio(&raw.limits, faults);
    let order_to_trade: Vec<_> =
        table.venues.iter().map(|name| order_to_trade(raw, name, faults)).collect();
    let message_rates = table.venues.iter().map(|name| message_rate(raw, name, faults)).collect();
    sizes(raw, faults);
    let reporting = currency(table, "reporting", &raw.reporting, faults);
    let conversions = conversions(raw, table, faults);
    let opening_cash = opening_cash(raw, table, faults);
    let options = option_settings::options(raw, table, faults);
    let rebalance = rebalance::rebalance(raw, table, faults);
    let portfolio_members = portfolio::members(raw, table, faults);
    let collateral = collateral::limits(raw, table, faults);
    mass_quotes::check(raw, table, faults);
    raw.operator.check(faults);
    raw.journal.check(faults);
    if !faults.is_empty() {
        return None;
    }
    let config = MakerConfig {
        instruments: table.instruments.clone(),
        settings: settings.into_iter().collect::<Option<_>>()?,
        underlyings: underlyings.into_iter().collect::<Option<_>>()?,
        message_rates,
        order_to_trade,
        portfolio: portfolio?,
        guards,
        carried: CarriedRisk::default(),
        resumption: None,
        reporting: reporting?,
        conversions,
        options,
        portfolio_members,
        collateral,
        rebalance,
        opening_cash,
        orders_max: raw.run.orders_max,
        book_levels_max: raw.run.book_levels_max,
        ack_timeout_ns: raw.run.ack_timeout_ms.saturating_mul(MS),
        rejects_max: raw.run.rejects_max,
        timer_interval_ns: raw.run.timer_ms.saturating_mul(MS),
        epoch,
    };
    for fault in config.faults() {
        faults.add("config", "as a whole", fault);
    }
    faults.is_empty().then_some(config)
}

/// Sessions, what is refitted, and what is allocated at the start: a slip of the hand there must be told, not end the process.
fn sizes(raw: &RawConfig, faults: &mut Faults) {
    let run = &raw.run;
    sessions::check(raw, faults);
    controls::refit(run.refit, faults);
    if let Some(priority) = run.priority
        && !(1..=99).contains(&priority)
    {
        faults.add("run.priority", priority, "must be 1 to 99: 0 is no SCHED_FIFO priority");
    }
    if run.priority.is_some() && run.cores.is_none() {
        let wanted = "wants run.cores: what spins before everybody else must not wander";
        faults.add("run.priority", run.priority.unwrap_or(0), wanted);
    }
    for (key, value) in
        [("run.orders_max", run.orders_max), ("run.book_levels_max", run.book_levels_max)]
    {
        if value > ALLOCATED_MAX {
            faults.add(key, value, format!("must be at most {ALLOCATED_MAX}: each has its place"));
        }
    }
}

pub(super) fn currency(
    table: &InstrumentTable,
    key: &str,
    name: &str,
    faults: &mut Faults,
) -> Option<Currency> {
    let number = table.currencies.find(name).and_then(|n| u8::try_from(n).ok());
    if number.is_none() {
        let known: Vec<_> = table.currencies.iter().collect();
        faults.add(key, name, format!("one of {}", known.join(", ")));
    }
    number.map(Currency)
}

fn conversions(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<(Currency, ballast_engine::event::InstrumentId)> {
    let mut conversions = Vec::new();
    for (name, symbol) in &raw.conversion {
        let key = format!("conversion.{name}");
        let from = currency(table, &key, name, faults);
        let Some(instrument) = table.find(symbol) else {
            faults.add(key, symbol, "a symbol of [[instruments]]");
            continue;
        };
        conversions.extend(from.map(|from| (from, instrument.id())));
    }
    conversions
}

fn opening_cash(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<(Currency, Notional)> {
    let mut cash = Vec::new();
    for (name, amount) in &raw.opening_cash {
        let key = format!("opening_cash.{name}");
        let of = currency(table, &key, name, faults);
        let amount = faults.count(&key, amount, NANO, i64::MIN);
        if let (Some(of), Some(amount)) = (of, amount) {
            cash.push((of, Notional(i128::from(amount))));
        }
    }
    cash
}

fn message_rate(raw: &RawConfig, name: &str, faults: &mut Faults) -> MessageRate {
    let key = format!("venues.{name}");
    let Some(venue) = raw.venues.iter().find(|venue| venue.name == name) else {
        faults.add(key, name, "an instrument trades there: add it to [[venues]]");
        return MessageRate { max: 0, window_ns: 0, cancel_reserve: 0 };
    };
    let rate = &venue.message_rate;
    if rate.max == 0 || rate.window_ms == 0 {
        let value = format!("{} in {} ms", rate.max, rate.window_ms);
        faults.add(format!("{key}.message_rate"), value, "both must be greater than zero");
    }
    if rate.max > RATE_MAX {
        let allowed = format!("must be at most {RATE_MAX}: each is remembered");
        faults.add(format!("{key}.message_rate.max"), rate.max, allowed);
    }
    if rate.cancel_reserve >= rate.max {
        let key = format!("{key}.message_rate.cancel_reserve");
        faults.add(key, rate.cancel_reserve, format!("must be below max ({})", rate.max));
    }
    MessageRate {
        max: rate.max,
        window_ns: rate.window_ms.saturating_mul(MS),
        cancel_reserve: rate.cancel_reserve,
    }
}

/// A venue that is missing is told by its message rate.
fn order_to_trade(raw: &RawConfig, name: &str, faults: &mut Faults) -> OrderToTradeLimit {
    let key = format!("venues.{name}.order_to_trade");
    let venue = raw.venues.iter().find(|venue| venue.name == name);
    venue.map_or(OrderToTradeLimit { max: 0, grace: 0 }, |venue| {
        controls::order_to_trade(&key, venue.order_to_trade, faults)
    })
}

fn settings(
    raw: &RawConfig,
    table: &InstrumentTable,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<InstrumentSettings> {
    let symbol = instrument.symbol();
    let key = format!("instrument.{symbol}");
    let Some(settings) = raw.instrument.get(symbol) else {
        faults.add(key, "missing", "its limits are mandatory: add this table");
        return None;
    };
    let limits = limits(&key, &settings.limits, instrument, faults);
    let volatility = volatility(&key, settings, instrument, faults);
    let lot = instrument.spec().lot;
    let opening = match &settings.opening {
        Some(text) => faults.count(&format!("{key}.opening"), text, lot, i64::MIN).map(Lots),
        None => Some(Lots(0)),
    };
    let quote_key = format!("{key}.quote");
    let is_refitted = raw.run.refit.is_some();
    let quote = settings.quote.as_ref();
    let quote =
        quote.map(|raw| self::quote(&quote_key, raw, table, instrument, is_refitted, faults));
    let tick = instrument.spec().tick;
    let spike = settings.spike.as_ref().map(|raw| spike::spike(&key, raw, tick, faults));
    let self_trade = self_trade::self_trade(&key, settings, table, faults);
    let standing = match &settings.standing {
        Some(raw) => standing::terms(&format!("{key}.standing"), raw, instrument, faults),
        None => Some(StandingTerms::default()),
    };
    if settings.stale_after_ms == 0 {
        faults.add(format!("{key}.stale_after_ms"), 0, "must be greater than zero");
    }
    Some(InstrumentSettings {
        limits: limits?,
        stale_after_ns: settings.stale_after_ms.saturating_mul(MS),
        volatility: volatility?,
        quote: match quote {
            Some(quote) => Some(quote?),
            None => None,
        },
        opening: opening?,
        spike: match spike {
            Some(spike) => Some(spike?),
            None => None,
        },
        self_trade: self_trade?,
        standing: standing?,
    })
}

fn limits(
    key: &str,
    raw: &RawLimits,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<InstrumentLimits> {
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    let key = |name: &str| format!("{key}.limits.{name}");
    let size = faults.count(&key("order_size_max"), &raw.order_size_max, lot, 1);
    let value = faults.count(&key("order_value_max"), &raw.order_value_max, NANO, 1);
    let position = faults.count(&key("position_max"), &raw.position_max, lot, 1);
    let collar = faults.count(&key("collar"), &raw.collar, tick, 1);
    let executions = controls::window(&key("executions"), raw.executions, faults);
    let duplicates = controls::duplicates(&key("duplicates"), raw.duplicates, faults);
    Some(InstrumentLimits {
        order_size_max: Lots(size?),
        order_value_max: ValueLimit::new(instrument, Notional(i128::from(value?))),
        position_max: Lots(position?),
        collar: Collar { width: Ticks(collar?) },
        executions,
        duplicates,
    })
}

/// `text` quote currency as sub-ticks, rounded down.
pub(crate) fn sub_ticks(
    key: &str,
    text: &str,
    tick: Decimal,
    faults: &mut Faults,
) -> Option<SubTicks> {
    let nano = faults.count(key, text, NANO, i64::MIN)?;
    let unit = i128::from(tick.mantissa) * 10i128.pow(u32::from(9u8.saturating_sub(tick.scale)));
    let count = (i128::from(nano) << SubTicks::FRACTION_BITS).div_euclid(unit.max(1));
    let count = i64::try_from(count).ok();
    if count.is_none() {
        faults.add(key, text, "is more ticks than fit");
    }
    count.map(SubTicks)
}

fn volatility(
    key: &str,
    settings: &RawSettings,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<VolatilitySettings> {
    let raw = &settings.volatility;
    let table = format!("{key}.volatility");
    let key = |name: &str| format!("{table}.{name}");
    if raw.interval_ms == 0 {
        faults.add(key("interval_ms"), 0, "must be greater than zero");
    }
    if raw.weight_shift > 20 {
        faults.add(key("weight_shift"), raw.weight_shift, "must be at most 20");
    }
    let kind = estimates::volatility_kind(&table, raw, faults);
    let floor = sub_ticks(&key("floor"), &raw.floor, instrument.spec().tick, faults)?;
    if floor.0 <= 0 {
        faults.add(key("floor"), &raw.floor, "must be greater than zero");
    }
    Some(VolatilitySettings {
        interval_ns: raw.interval_ms.saturating_mul(MS),
        weight_shift: raw.weight_shift,
        floor: Sigma(floor.0),
        kind: kind?,
    })
}

fn quote(
    key: &str,
    raw: &RawQuote,
    table: &InstrumentTable,
    instrument: &Instrument,
    is_refitted: bool,
    faults: &mut Faults,
) -> Option<QuoteSettings> {
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    let at = |name: &str| format!("{key}.{name}");
    let model = quoter_of(key, raw, instrument, faults);
    let fair_value = fair_value::fair_value(key, raw, table, instrument, is_refitted, faults);
    let markout = raw.markout.as_ref().map(|raw| {
        let key = at("markout");
        let cap = sub_ticks(&format!("{key}.cap"), &raw.cap, tick, faults);
        estimates::markout(&key, raw, cap, faults)
    });
    let holdings = raw.holdings.as_ref();
    let holdings = estimates::holdings(&at("holdings"), holdings, instrument, faults);
    let sizes = ladder::sizes(key, raw, lot, faults);
    let spacing = ladder::spacing(key, raw, tick, faults);
    let edge_min = sub_ticks(&at("edge_min"), &raw.edge_min, tick, faults);
    let aggressive = faults.count(&at("tolerance_aggressive"), &raw.tolerance_aggressive, tick, 0);
    let passive = faults.count(&at("tolerance_passive"), &raw.tolerance_passive, tick, 0);
    let lots = faults.count(&at("tolerance_size"), &raw.tolerance_size, lot, 0);
    let ladder = LadderShape::new(LadderConfig {
        levels: raw.levels,
        sizes: sizes?,
        spacing: spacing?,
        size_min: Lots(1),
        edge_min: edge_min?,
        maker_fee: instrument.spec().maker_fee,
        is_post_only: true,
    });
    let ladder = match ladder {
        Ok(ladder) => ladder,
        Err(error) => {
            faults.add(at("levels"), raw.levels, error);
            return None;
        }
    };
    Some(QuoteSettings {
        quoter: model?,
        ladder,
        fair_value: fair_value?,
        tolerance: Tolerance {
            aggressive_ticks: aggressive?.unsigned_abs(),
            passive_ticks: passive?.unsigned_abs(),
            lots: lots?.unsigned_abs(),
        },
        reject_holdoff_ns: raw.reject_holdoff_ms.saturating_mul(MS),
        holdings: holdings?,
        markout: match markout {
            Some(markout) => Some(markout?),
            None => None,
        },
    })
}

pub(super) fn real(key: &str, text: &str, faults: &mut Faults) -> Option<Real> {
    let value = Real::parse(text);
    if value.is_none() {
        faults.add(key, format!("{text:?}"), "a number such as 0.025 or 1e-7");
    }
    value
}

fn quoter_of(
    key: &str,
    raw: &RawQuote,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<Quoter> {
    let (model, parameters) = quote_parameters(key, raw, instrument, faults)?;
    match quoter(model, &parameters) {
        Ok(quoter) => Some(quoter),
        Err(error) => {
            faults.add(format!("{key}.model"), &raw.model, error);
            None
        }
    }
}

/// Models whose coefficients hold a drift and a jump with our own fills; the first has no drift.
const EXTENDED: [Model; 3] = [Model::Symmetric, Model::Glft, Model::GlftRiskNeutral];

/// A quote table's model and what it is made from, in ticks.
pub(super) fn quote_parameters(
    key: &str,
    raw: &RawQuote,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<(Model, QuoteParameters)> {
    let at = |name: &str| format!("{key}.{name}");
    let model = Model::named(&raw.model);
    if model.is_none() {
        let names: Vec<_> = Model::ALL.iter().map(|model| model.name()).collect();
        faults.add(at("model"), &raw.model, format!("one of {}", names.join(", ")));
    }
    let gamma = real(&at("gamma"), &raw.gamma, faults);
    let intensity = real(&at("intensity"), &raw.intensity, faults);
    let decay = real(&at("decay"), &raw.decay, faults);
    let order_size = real(&at("size"), &raw.size, faults);
    let horizon = raw.horizon_s.as_deref().map(|text| real(&at("horizon_s"), text, faults));
    let sigma = raw.table_sigma.as_deref().map(|text| real(&at("table_sigma"), text, faults));
    let mut parameters = QuoteParameters::new(gamma?, intensity?, decay?);
    parameters.order_size = order_size?;
    parameters.lot = Real::from_decimal(instrument.spec().lot);
    if let Some(horizon) = horizon {
        parameters.horizon = horizon?;
    }
    if let Some(sigma) = sigma {
        parameters.sigma = sigma?;
    }
    parameters.inventory_bound = raw.inventory_bound.unwrap_or(parameters.inventory_bound);
    let model = model?;
    if model == Model::GlftExact {
        let why = "glft_exact quotes from a table that is made for it";
        for (name, is_said) in [
            ("table_sigma", raw.table_sigma.is_some()),
            ("inventory_bound", raw.inventory_bound.is_some()),
        ] {
            if !is_said {
                faults.add(at(name), "missing", why);
            }
        }
    }
    let extensions = [
        ("drift", &raw.drift, &mut parameters.drift, &EXTENDED[1..]),
        ("adverse_jump", &raw.adverse_jump, &mut parameters.adverse_jump, &EXTENDED[..]),
    ];
    for (name, text, place, models) in extensions {
        let Some(text) = text else { continue };
        *place = real(&at(name), text, faults)?;
        if name == "adverse_jump" && *place < Real::ZERO {
            faults.add(at(name), text, "must not be negative");
        }
        if !models.contains(&model) {
            let names: Vec<_> = models.iter().map(|model| model.name()).collect();
            faults.add(at(name), text, format!("only with model = {}", names.join(", ")));
        }
    }
    Some((model, parameters.from_currency(instrument.spec().tick)))
}

/// Each underlying with this engine's part of its firm's limits.
fn underlyings(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<Option<UnderlyingSettings>> {
    let each = table.underlyings.iter().map(|name| underlying(raw, table, name, faults));
    let each: Vec<_> = each.collect();
    let pairs = each.into_iter().zip(firm::terms(raw, table, faults));
    pairs.map(|(of, firm)| of.map(|of| UnderlyingSettings { firm, ..of })).collect()
}

fn underlying(
    raw: &RawConfig,
    table: &InstrumentTable,
    name: &str,
    faults: &mut Faults,
) -> Option<UnderlyingSettings> {
    let key = format!("underlying.{name}");
    let Some(underlying) = raw.underlying.get(name) else {
        faults.add(key, "missing", "its limits are mandatory: add this table");
        return None;
    };
    let limits = exposure_limits(&key, underlying, faults);
    let protection =
        controls::protection(&format!("{key}.protection"), &underlying.protection, faults);
    let target = faults.count(&format!("{key}.target"), &underlying.target, NANO, i64::MIN);
    let hard = limits.as_ref().map(ExposureLimits::hard);
    let hedge = underlying.hedge.as_ref().map(|hedge| {
        let of = Of { raw, table, underlying: name, hard };
        hedging::hedge(&format!("{key}.hedge"), hedge, &of, faults)
    });
    Some(UnderlyingSettings {
        target: Exposure(target?),
        limits: limits?,
        protection: protection?,
        hedge: match hedge {
            Some(hedge) => Some(hedge?),
            None => None,
        },
        firm: None,
    })
}

fn exposure_limits(key: &str, raw: &RawUnderlying, faults: &mut Faults) -> Option<ExposureLimits> {
    let mut limit = |name: &str, text: &str| {
        faults.count(&format!("{key}.{name}"), text, NANO, 1).map(Exposure)
    };
    let soft = limit("soft", &raw.soft);
    let stop = limit("stop", &raw.stop);
    let hard = limit("hard", &raw.hard);
    match ExposureLimits::new(soft?, stop?, hard?) {
        Ok(limits) => Some(limits),
        Err(error) => {
            faults.add(key, format!("{}, {}, {}", raw.soft, raw.stop, raw.hard), error);
            None
        }
    }
}
