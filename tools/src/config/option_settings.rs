//! `[underlying.NAME.options]`: how an underlying's options are valued, quoted and limited.
//!
//! Fed by TOML; feeds the maker with [`OptionsConfig`] and whoever refreshes Greeks with its schedule.
//! Cold path. Distances and skews are in the currency of the reference's price, volatility in parts of
//! one (0.005 is half a point).

use super::faults::Faults;
use super::file::RawConfig;
use super::instruments::{InstrumentTable, time};
use super::maker::sub_ticks;
use super::option_terms::RawOption;
use ballast_engine::estimate::option_value::ExpansionBounds;
use ballast_engine::instrument::{ContractValue, Instrument, Underlying};
use ballast_engine::maker::option_config::{OptionLimits, OptionSettings, OptionsConfig};
use ballast_engine::option_terms::{Delivery, OptionTerms};
use ballast_engine::quote::option_skew::OptionQuoting;
use ballast_engine::risk::greek_limits::{GreekLimits, GreekVector};
use ballast_engine::risk::pin::PinRules;
use ballast_engine::units::{Decimal, Nanos, SubTicks};
use serde::Deserialize;

const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };
const SECOND: u64 = 1_000_000_000;

/// `[underlying.NAME.options]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOptions {
    /// Distance of refreshes of all Greeks.
    pub refresh_s: u64,
    /// Rate where parity cannot say one: continuously compounded a year.
    pub rate: String,
    /// Greeks older than this are not believed.
    pub age_max_s: u64,
    /// Nor where the reference is further than this from where they were taken.
    pub move_max: String,
    /// A move of the reference that reprices at once.
    pub reprice_move: String,
    /// By how much the reference is taken to be lower when net delta is at its soft limit.
    pub delta_skew: String,
    /// By how much volatility is taken to be lower when net vega is at its net limit.
    pub vega_skew: String,
    /// Half-spread for the doubt in volatility.
    pub vega_edge: String,
    /// Most net vega by fills in the protection's window.
    pub vega_protection: String,
    /// Options with an empty side in their books are quoted on the model's word alone.
    #[serde(default)]
    pub quote_empty: bool,
    /// Near strike and expiry at once.
    pub pin: RawPin,
    /// On all options of the underlying.
    pub limits: RawGreekLimits,
    /// By expiry, in order.
    pub expiries: Vec<RawExpiries>,
}

/// `pin = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPin {
    /// So close to expiry quotes near the strike widen.
    pub widen_within_s: u64,
    /// So close they stop.
    pub stop_within_s: u64,
    /// What is near.
    pub distance: String,
    /// Half-spreads times this.
    pub widen_percent: u32,
}

/// `limits = { net = { … }, gross = { … } }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGreekLimits {
    /// Longs less shorts.
    pub net: RawGreeks,
    /// Longs and shorts together.
    pub gross: RawGreeks,
}

/// A limit on each Greek.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGreeks {
    /// Units of the underlying.
    pub delta: String,
    /// Units of the underlying per 1 % that it moves.
    pub gamma: String,
    /// Settlement currency per 0.01 of volatility.
    pub vega: String,
    /// Settlement currency a day.
    pub theta: String,
    /// Settlement currency per 0.01 of the rate.
    pub rho: String,
    /// Units of the underlying per 0.01 of volatility.
    pub vanna: String,
    /// Settlement currency per 0.01 of volatility, per 0.01 of volatility.
    pub volga: String,
}

/// `[[underlying.NAME.options.expiries]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExpiries {
    /// Expiries up to and with this moment; left out: all that are left. The last leaves it out.
    pub until: Option<String>,
    /// Their limits.
    pub limits: RawGreekLimits,
}

/// Everything that the file says of options.
pub(super) fn options(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> OptionsConfig {
    let mut config = OptionsConfig::default();
    for (place, name) in (0u8..).zip(table.underlyings.iter()) {
        let written = raw.underlying.get(name).and_then(|underlying| underlying.options.as_ref());
        let Some(written) = written else { continue };
        let key = format!("underlying.{name}.options");
        if written.refresh_s == 0 {
            faults.add(format!("{key}.refresh_s"), 0, "must be greater than zero");
        }
        rate(&key, written, faults);
        let limits = option_limits(&key, written, faults);
        config.limits.extend(limits.map(|limits| (Underlying(place), limits)));
    }
    for instrument in table.instruments.iter().filter(|i| i.option().is_some()) {
        config.options.extend(settings(raw, table, instrument, faults));
    }
    config
}

/// The rate of a table.
pub(crate) fn rate(key: &str, raw: &RawOptions, faults: &mut Faults) -> Option<f64> {
    let rate = raw.rate.parse::<f64>().ok().filter(|rate| rate.abs() <= 1.0);
    if rate.is_none() {
        faults.add(format!("{key}.rate"), format!("{:?}", raw.rate), "a rate such as 0.0155");
    }
    rate
}

fn settings(
    raw: &RawConfig,
    table: &InstrumentTable,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<OptionSettings> {
    let symbol = instrument.symbol();
    let written = raw.instruments.iter().find(|raw| raw.symbol == symbol)?.option.as_ref()?;
    let Some(reference) = table.find(&written.reference) else {
        let key = format!("instruments.{symbol}.option.reference");
        faults.add(key, &written.reference, "a symbol of [[instruments]]: what the option is on");
        return None;
    };
    let name = table.underlyings.name(usize::from(instrument.spec().underlying.0))?;
    let key = format!("underlying.{name}.options");
    let Some(rules) = raw.underlying.get(name).and_then(|u| u.options.as_ref()) else {
        faults.add(
            key,
            "missing",
            format!("{symbol} is an option: limits on its Greeks are mandatory"),
        );
        return None;
    };
    check_multiplier(written, instrument, reference, faults);
    let at = |name: &str| format!("{key}.{name}");
    let tick = reference.spec().tick;
    let mut ticks = |name: &str, text: &str| sub_ticks(&at(name), text, tick, faults);
    let move_max = ticks("move_max", &rules.move_max);
    let reprice_move = ticks("reprice_move", &rules.reprice_move);
    let delta_skew = ticks("delta_skew", &rules.delta_skew);
    let distance = ticks("pin.distance", &rules.pin.distance);
    let terms = instrument.option()?;
    let strike = ticks("strike", &terms.strike.to_string());
    let vega_skew = faults.count(&at("vega_skew"), &rules.vega_skew, NANO, 0);
    let vega_edge = faults.count(&at("vega_edge"), &rules.vega_edge, NANO, 0);
    check_pin(&at("pin"), &rules.pin, faults);
    Some(OptionSettings {
        instrument: instrument.id(),
        reference: reference.id(),
        bounds: ExpansionBounds {
            age_max_ns: rules.age_max_s.saturating_mul(SECOND),
            move_max: move_max?,
        },
        reprice_move: reprice_move?,
        quoting: OptionQuoting {
            delta_skew: delta_skew?,
            vega_skew: vega_skew?,
            vega_edge: vega_edge?,
        },
        pin: pin_rules(&rules.pin, distance?),
        strike: strike?,
        nano_delivered: nano_delivered(instrument, terms),
        quotes_empty: rules.quote_empty,
    })
}

/// One contract is on one contract's worth of its future, unless the file says on how many: a multiplier
/// with a digit too many would deliver, and be hedged and limited as, ten times what trades.
fn check_multiplier(
    written: &RawOption,
    option: &Instrument,
    future: &Instrument,
    faults: &mut Faults,
) {
    let key = format!("instruments.{}", option.symbol());
    if option.option().is_some_and(|terms| terms.delivery != Delivery::Future) {
        if let Some(delivers) = written.delivers {
            faults.add(
                format!("{key}.option.delivers"),
                delivers,
                "what pays delivers none: leave it out",
            );
        }
        return;
    }
    let contracts = i64::from(written.delivers.unwrap_or(1));
    let (own, each) = (option.spec().multiplier, future.spec().multiplier);
    if own.count_of(each) != Ok(contracts) || contracts == 0 {
        let allowed = format!(
            "{contracts} × {each}, the multiplier of {}: or say how many of them a contract delivers by \
             `delivers`",
            future.symbol()
        );
        faults.add(format!("{key}.multiplier"), own, allowed);
    }
}

fn pin_rules(pin: &RawPin, distance: SubTicks) -> PinRules {
    PinRules {
        widen_within_ns: pin.widen_within_s.saturating_mul(SECOND),
        stop_within_ns: pin.stop_within_s.saturating_mul(SECOND),
        distance,
        widen_percent: pin.widen_percent,
    }
}

fn check_pin(key: &str, pin: &RawPin, faults: &mut Faults) {
    if pin.stop_within_s > pin.widen_within_s || pin.widen_percent <= 100 {
        let value =
            format!("{} s, {} s, {} %", pin.widen_within_s, pin.stop_within_s, pin.widen_percent);
        let allowed = "stop_within_s at most widen_within_s, widen_percent above 100";
        faults.add(key, value, allowed);
    }
}

/// How much of the future's underlying exercise of a lot delivers, in 1e-9; 0 where it pays.
fn nano_delivered(option: &Instrument, terms: &OptionTerms) -> i64 {
    match option.value() {
        ContractValue::Option { nano_underlying_per_lot, .. }
            if terms.delivery == Delivery::Future =>
        {
            nano_underlying_per_lot
        }
        ContractValue::Option { .. }
        | ContractValue::Linear { .. }
        | ContractValue::Inverse { .. } => 0,
    }
}

fn option_limits(key: &str, raw: &RawOptions, faults: &mut Faults) -> Option<OptionLimits> {
    let total = greek_limits(&format!("{key}.limits"), &raw.limits, faults);
    let vega = format!("{key}.vega_protection");
    let vega_protection = faults.count(&vega, &raw.vega_protection, NANO, 1);
    let mut buckets = Vec::new();
    for (n, expiries) in raw.expiries.iter().enumerate() {
        let key = format!("{key}.expiries.{}", n + 1);
        let limits = greek_limits(&format!("{key}.limits"), &expiries.limits, faults);
        let is_last = n + 1 == raw.expiries.len();
        let until = match &expiries.until {
            Some(text) => time(&format!("{key}.until"), text, faults),
            None => Some(Nanos(u64::MAX)),
        };
        let earlier = buckets.last().map_or(Nanos(0), |(until, _): &(Nanos, GreekLimits)| *until);
        if until.is_some_and(|until| until <= earlier || is_last != (until == Nanos(u64::MAX))) {
            let value = expiries.until.as_deref().unwrap_or("left out");
            faults.add(
                format!("{key}.until"),
                value,
                "in order of time; the last alone leaves it out and covers every expiry",
            );
        }
        buckets.extend(until.zip(limits));
    }
    if raw.expiries.is_empty() {
        faults.add(
            format!("{key}.expiries"),
            "[]",
            "at least one range of expiries, with its limits",
        );
    }
    Some(OptionLimits { total: total?, buckets, vega_protection: vega_protection? })
}

fn greek_limits(key: &str, raw: &RawGreekLimits, faults: &mut Faults) -> Option<GreekLimits> {
    let mut vector = |name: &str, raw: &RawGreeks| {
        let mut count =
            |greek: &str, text: &str| faults.count(&format!("{key}.{name}.{greek}"), text, NANO, 1);
        let delta = count("delta", &raw.delta);
        let gamma = count("gamma", &raw.gamma);
        let (vega, theta) = (count("vega", &raw.vega), count("theta", &raw.theta));
        let (rho, vanna) = (count("rho", &raw.rho), count("vanna", &raw.vanna));
        let volga = count("volga", &raw.volga);
        Some(GreekVector {
            delta: delta?,
            gamma: gamma?,
            vega: vega?,
            theta: theta?,
            rho: rho?,
            vanna: vanna?,
            volga: volga?,
        })
    };
    let (net, gross) = (vector("net", &raw.net), vector("gross", &raw.gross));
    match GreekLimits::new(net?, gross?) {
        Ok(limits) => Some(limits),
        Err(error) => {
            faults.add(key, "net and gross", error);
            None
        }
    }
}
