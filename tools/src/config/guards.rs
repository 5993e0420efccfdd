//! What a config says of the guards: breakout, take-profit and loss, age, obligation, hours, fee tiers,
//! and an underlying's share of the portfolio.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed. The calendar is here and not in the engine: hours leave as UTC instants.

use super::controls::{days, instant, time_of_day, weekdays, zone};
use super::faults::Faults;
use super::file::{RawConfig, RawSettings};
use super::horizon;
use super::instruments::{InstrumentTable, fee};
use ballast_engine::instrument::Instrument;
use ballast_engine::inventory::exit::{ExitSettings, STEPS_MAX, Step, TakeProfit};
use ballast_engine::maker::guards::{GuardSettings, Guards};
use ballast_engine::pnl::fee_tiers::{FeeSchedule, FeeTier, TIERS_MAX};
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::quote::obligation::ObligationSettings;
use ballast_engine::risk::breakout::BreakoutSettings;
use ballast_engine::risk::hours::Phase;
use ballast_engine::risk::position_age::AgeLimit;
use ballast_engine::risk::share::ShareSettings;
use ballast_engine::units::{Decimal, Lots, Nanos, Notional, Ticks};
use serde::Deserialize;
use std::sync::Arc;

const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };
const PERMILLE: Decimal = Decimal { mantissa: 1, scale: 3 };
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// `[instrument.SYMBOL.guards]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGuards {
    /// A large move pulls the side that it threatens.
    pub breakout: Option<RawBreakout>,
    /// The position is closed in steps.
    pub take_profit: Option<RawTakeProfit>,
    /// Most that a position may lose from flat to flat, in the settlement currency.
    pub loss_max: Option<String>,
    /// Beyond this age, averaged by size, a position is only reduced.
    pub age_max_s: Option<u64>,
    /// What is owed to the venue.
    pub obligation: Option<RawObligation>,
    /// Profiles by time of day.
    pub hours: Option<RawHours>,
    /// Fees by what was traded in thirty days.
    pub fees: Option<RawFees>,
}

/// `breakout = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBreakout {
    /// The window of the move.
    pub window_ms: u64,
    /// How many σ × √window the move may have, in thousandths.
    pub sigmas: String,
    /// How long it must be calm before the side comes back.
    pub calm_ms: u64,
    /// How many messages must say so.
    pub good_ticks: u32,
}

/// `take_profit = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTakeProfit {
    /// How long a step is quoted at the touch before what is left of it is taken.
    pub passive_ms: u64,
    /// By ascending gain.
    pub steps: Vec<RawStep>,
}

/// One step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStep {
    /// How much better than its entry the position stands, in quote currency.
    pub gain: String,
    /// Which part of it is closed, 0 to 1.
    pub close: String,
}

/// `obligation = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawObligation {
    /// Widest spread, in quote currency.
    pub spread_max: String,
    /// Least size a side, in size units.
    pub size_min: String,
    /// Part of each window that quotes must stand, 0 to 1.
    pub uptime: String,
    /// The window.
    pub window_s: u64,
}

/// `hours = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHours {
    /// Where the times are said: an IANA time zone.
    pub zone: String,
    /// `daily` (left out) or `weekdays`.
    pub days: Option<String>,
    /// From when what holds.
    pub changes: Vec<RawChange>,
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChange {
    /// `HH:MM`.
    pub at: String,
    /// `normal`, `wide`, `reduce`, `flat` or `pause`.
    pub phase: String,
    /// How many times the model's half-spreads, for `wide` alone.
    pub factor: Option<String>,
}

/// `fees = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFees {
    /// Traded in the thirty days before the start, in quote currency.
    pub volume_30d: String,
    /// Beyond the instrument's own fees, by ascending volume.
    pub tiers: Vec<RawTier>,
}

/// One tier.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTier {
    /// From this volume on, in quote currency.
    pub volume: String,
    /// What a resting order pays.
    pub maker_fee_bps: String,
    /// What an immediate order pays.
    pub taker_fee_bps: String,
}

/// `[underlying.NAME]` `share = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawShare {
    /// Net delta's largest part of the portfolio's gross, 0 to 1.
    pub stop: String,
    /// Below this gross nothing counts, in the reporting currency.
    pub gross_floor: String,
}

/// All guards of a config.
pub(super) fn guards(raw: &RawConfig, table: &InstrumentTable, faults: &mut Faults) -> Guards {
    let of = |instrument: &Instrument, faults: &mut Faults| {
        let settings = raw.instrument.get(instrument.symbol());
        let guards = settings.and_then(|settings| instrument_guards(settings, instrument, faults));
        let quote = settings.and_then(|settings| settings.quote.as_ref());
        let key = format!("instrument.{}.quote", instrument.symbol());
        let sessions = quote.and_then(|quote| horizon::sessions(&key, quote, faults));
        GuardSettings { sessions, ..guards.unwrap_or_default() }
    };
    let instruments = table.instruments.iter().map(|i| of(i, faults));
    let instruments = instruments.collect();
    let shares = table.underlyings.iter().map(|name| {
        let share = raw.underlying.get(name).and_then(|u| u.share.as_ref())?;
        share_of(&format!("underlying.{name}.share"), share, faults)
    });
    Guards { instruments, shares: shares.collect() }
}

fn instrument_guards(
    settings: &RawSettings,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<GuardSettings> {
    let raw = settings.guards.as_ref()?;
    let key = format!("instrument.{}.guards", instrument.symbol());
    let at = |name: &str| format!("{key}.{name}");
    if settings.quote.is_none() {
        let allowed = "only for an instrument that is quoted: add its quote table";
        faults.add(&key, "without quote", allowed);
    }
    let breakout = raw.breakout.as_ref().map(|raw| breakout(&at("breakout"), raw, faults));
    let take_profit = raw
        .take_profit
        .as_ref()
        .map(|raw| take_profit(&at("take_profit"), raw, instrument, faults));
    let loss_max = raw.loss_max.as_ref().map(|text| faults.count(&at("loss_max"), text, NANO, 1));
    if raw.age_max_s == Some(0) {
        faults.add(at("age_max_s"), 0, "must be greater than zero");
    }
    let obligation = raw
        .obligation
        .as_ref()
        .map(|owed| obligation(&at("obligation"), owed, settings, instrument, faults));
    let hours = raw.hours.as_ref().map(|raw| hours(&at("hours"), raw, faults));
    let fees = raw.fees.as_ref().map(|raw| fees(&at("fees"), raw, instrument, faults));
    Some(GuardSettings {
        breakout: breakout.flatten(),
        exit: ExitSettings {
            take_profit: take_profit.flatten(),
            loss_max: loss_max.flatten().map(|max| Notional(i128::from(max))),
        },
        age: raw.age_max_s.map(|max| AgeLimit { max_ns: max.saturating_mul(SECOND) }),
        obligation: obligation.flatten(),
        hours: hours.flatten(),
        sessions: None,
        fees: fees.flatten(),
    })
}

/// A part, 0 < part ≤ 1, in thousandths.
fn part(key: &str, text: &str, faults: &mut Faults) -> Option<u32> {
    let count = faults.count(key, text, PERMILLE, 1)?;
    let permille = u32::try_from(count).ok().filter(|permille| *permille <= 1000);
    if permille.is_none() {
        faults.add(key, text, "must be at most 1");
    }
    permille
}

fn positive(key: &str, faults: &mut Faults, values: &[(&str, u64)]) {
    for (name, _) in values.iter().filter(|(_, value)| *value == 0) {
        faults.add(format!("{key}.{name}"), 0, "must be greater than zero");
    }
}

fn breakout(key: &str, raw: &RawBreakout, faults: &mut Faults) -> Option<BreakoutSettings> {
    let counts = [
        ("window_ms", raw.window_ms),
        ("calm_ms", raw.calm_ms),
        ("good_ticks", u64::from(raw.good_ticks)),
    ];
    positive(key, faults, &counts);
    let sigmas = faults.count(&format!("{key}.sigmas"), &raw.sigmas, PERMILLE, 1)?;
    Some(BreakoutSettings {
        window_ns: raw.window_ms.saturating_mul(MS),
        sigmas_permille: u32::try_from(sigmas).unwrap_or(u32::MAX),
        calm_ns: raw.calm_ms.saturating_mul(MS),
        good_ticks: raw.good_ticks,
    })
}

fn take_profit(
    key: &str,
    raw: &RawTakeProfit,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<TakeProfit> {
    let found = raw.steps.len();
    if !(1..=STEPS_MAX).contains(&found) {
        faults.add(format!("{key}.steps"), found, format!("1 to {STEPS_MAX} steps"));
        return None;
    }
    let mut steps = [Step::default(); STEPS_MAX];
    for (n, (place, raw)) in steps.iter_mut().zip(&raw.steps).enumerate() {
        let key = format!("{key}.steps.{n}");
        let gain = faults.count(&format!("{key}.gain"), &raw.gain, instrument.spec().tick, 1)?;
        let close_permille = part(&format!("{key}.close"), &raw.close, faults)?;
        *place = Step { gain: HalfTicks(gain.saturating_mul(2)), close_permille };
    }
    let used = steps.get(..found).unwrap_or_default();
    if !used.is_sorted_by(|a, b| a.gain < b.gain) {
        faults.add(format!("{key}.steps"), "not ascending", "each gain above the one before");
    }
    let closes: u32 = used.iter().map(|step| step.close_permille).sum();
    if closes > 1000 {
        faults.add(format!("{key}.steps"), "more than all", "together they close at most 1");
    }
    Some(TakeProfit { steps, passive_ns: raw.passive_ms.saturating_mul(MS) })
}

fn obligation(
    key: &str,
    raw: &RawObligation,
    settings: &RawSettings,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<ObligationSettings> {
    positive(key, faults, &[("window_s", raw.window_s)]);
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    let spread = faults.count(&format!("{key}.spread_max"), &raw.spread_max, tick, 2);
    let size = faults.count(&format!("{key}.size_min"), &raw.size_min, lot, 1);
    let uptime = part(&format!("{key}.uptime"), &raw.uptime, faults);
    let size = size?;
    let quoted = settings.quote.as_ref().and_then(|quote| quote.size.parse::<Decimal>().ok());
    let quoted = quoted.and_then(|quoted| quoted.count_of(lot).ok());
    if let (true, Some(quote)) = (quoted.is_some_and(|quoted| quoted < size), &settings.quote) {
        let allowed = format!("at most the quote's size ({})", quote.size);
        faults.add(format!("{key}.size_min"), &raw.size_min, allowed);
    }
    Some(ObligationSettings {
        spread_max: Ticks(spread?),
        size_min: Lots(size),
        uptime_permille: uptime?,
        window_ns: raw.window_s.saturating_mul(SECOND),
    })
}

fn hours(key: &str, raw: &RawHours, faults: &mut Faults) -> Option<Arc<[(Nanos, Phase)]>> {
    let zone = zone(&format!("{key}.zone"), &raw.zone, faults);
    let is_on = weekdays(&format!("{key}.days"), raw.days.as_deref(), faults);
    if raw.changes.is_empty() || raw.changes.len() > 24 {
        faults.add(format!("{key}.changes"), raw.changes.len(), "1 to 24 changes a day");
    }
    let mut times = Vec::new();
    for (n, change) in raw.changes.iter().enumerate() {
        let key = format!("{key}.changes.{n}");
        let time = time_of_day(&format!("{key}.at"), &change.at, faults);
        if let (Some(time), Some(phase)) = (time, phase(&key, change, faults)) {
            times.push((time, phase));
        }
    }
    let zone = zone?;
    let mut changes: Vec<(Nanos, Phase)> = Vec::new();
    for day in days().filter(is_on) {
        let of_day = times.iter().map(|(time, phase)| (instant(day, *time, &zone), *phase));
        changes.extend(of_day.filter_map(|(at, phase)| at.map(|at| (at, phase))));
    }
    changes.sort_by_key(|change| change.0);
    Some(changes.into())
}

fn phase(key: &str, raw: &RawChange, faults: &mut Faults) -> Option<Phase> {
    let phase = match (raw.phase.as_str(), &raw.factor) {
        ("normal", None) => Phase::Normal,
        ("reduce", None) => Phase::Reduce,
        ("flat", None) => Phase::Flat,
        ("pause", None) => Phase::Pause,
        ("wide", Some(factor)) => {
            let count = faults.count(&format!("{key}.factor"), factor, PERMILLE, 1000)?;
            Phase::Wide { permille: u32::try_from(count).unwrap_or(u32::MAX) }
        }
        ("wide", None) => {
            faults.add(format!("{key}.factor"), "missing", "how many times as wide, such as 1.5");
            return None;
        }
        ("normal" | "reduce" | "flat" | "pause", Some(factor)) => {
            faults.add(format!("{key}.factor"), factor, "only with phase = \"wide\"");
            return None;
        }
        (other, _) => {
            let allowed = "one of normal, wide, reduce, flat, pause";
            faults.add(format!("{key}.phase"), other, allowed);
            return None;
        }
    };
    Some(phase)
}

fn fees(
    key: &str,
    raw: &RawFees,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<FeeSchedule> {
    let before = faults.count(&format!("{key}.volume_30d"), &raw.volume_30d, NANO, 0);
    if !(1..TIERS_MAX).contains(&raw.tiers.len()) {
        let allowed = format!("1 to {} tiers beyond the instrument's own", TIERS_MAX - 1);
        faults.add(format!("{key}.tiers"), raw.tiers.len(), allowed);
        return None;
    }
    let spec = instrument.spec();
    let mut tiers = [FeeTier::default(); TIERS_MAX];
    tiers[0] = FeeTier { volume: 0, maker: spec.maker_fee, taker: spec.taker_fee };
    for (n, (place, raw)) in tiers.iter_mut().skip(1).zip(&raw.tiers).enumerate() {
        let key = |name: &str| format!("{key}.tiers.{n}.{name}");
        let volume = faults.count(&key("volume"), &raw.volume, NANO, 1);
        let maker = fee(&raw.maker_fee_bps, &key("maker_fee_bps"), faults);
        let taker = fee(&raw.taker_fee_bps, &key("taker_fee_bps"), faults);
        *place = FeeTier { volume: volume?.into(), maker: maker?, taker: taker? };
    }
    let len = raw.tiers.len() + 1;
    let used = tiers.get(..len).unwrap_or_default();
    if !used.is_sorted_by(|a, b| a.volume < b.volume) {
        faults.add(format!("{key}.tiers"), "not ascending", "each volume above the one before");
    }
    Some(FeeSchedule { tiers, len, volume_before: before?.into() })
}

fn share_of(key: &str, raw: &RawShare, faults: &mut Faults) -> Option<ShareSettings> {
    let stop = part(&format!("{key}.stop"), &raw.stop, faults);
    let floor = faults.count(&format!("{key}.gross_floor"), &raw.gross_floor, NANO, 0);
    Some(ShareSettings { stop_permille: stop?, gross_floor: Notional(i128::from(floor?)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn faults_of(guards: &str) -> String {
        let text = include_str!("../../../config/demo.toml");
        let text = text.replace(
            "[instrument.BTCUSDT-PERP]\n",
            &format!("{guards}\n[instrument.BTCUSDT-PERP]\n"),
        );
        let file = ConfigFile::parse("test", text);
        match file.map(|file| file.maker(1).map(|_| ())) {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_config_with_every_guard_is_taken() {
        let guards = r#"
[instrument.BTCUSDT.guards]
breakout = { window_ms = 1000, sigmas = "6", calm_ms = 2000, good_ticks = 20 }
take_profit = { passive_ms = 2000, steps = [{ gain = "20.00", close = "0.5" }, { gain = "50.00", close = "0.5" }] }
loss_max = "500"
age_max_s = 600
obligation = { spread_max = "40.00", size_min = "0.01", uptime = "0.9", window_s = 3600 }
hours = { zone = "America/New_York", days = "weekdays", changes = [{ at = "15:45", phase = "reduce" }, { at = "15:59", phase = "flat" }, { at = "09:30", phase = "wide", factor = "1.5" }, { at = "10:00", phase = "normal" }] }
fees = { volume_30d = "900000", tiers = [{ volume = "1000000", maker_fee_bps = "9", taker_fee_bps = "10" }] }
"#;
        assert_eq!(faults_of(guards), "");
    }

    #[test]
    fn every_fault_of_the_guards_is_told_at_once() {
        let text = faults_of(
            r#"
[instrument.BTCUSDT.guards]
breakout = { window_ms = 0, sigmas = "0", calm_ms = 1, good_ticks = 0 }
take_profit = { passive_ms = 1, steps = [{ gain = "20.00", close = "0.7" }, { gain = "20.00", close = "0.4" }] }
loss_max = "0"
age_max_s = 0
obligation = { spread_max = "0.01", size_min = "0.02", uptime = "1.1", window_s = 0 }
hours = { zone = "Mars/Olympus", days = "never", changes = [{ at = "25:00", phase = "wide" }, { at = "10:00", phase = "sleep" }, { at = "11:00", phase = "flat", factor = "2" }] }
fees = { volume_30d = "-1", tiers = [{ volume = "2", maker_fee_bps = "9", taker_fee_bps = "10" }, { volume = "1", maker_fee_bps = "9", taker_fee_bps = "x" }] }
"#,
        );
        for key in [
            "breakout.window_ms",
            "breakout.good_ticks",
            "breakout.sigmas",
            "take_profit.steps = not",
            "take_profit.steps = more",
            "loss_max",
            "age_max_s",
            "obligation.window_s",
            "obligation.spread_max",
            "obligation.size_min",
            "obligation.uptime",
            "hours.zone",
            "hours.days",
            "changes.0.at",
            "changes.0.factor",
            "changes.1.phase",
            "changes.2.factor",
            "fees.volume_30d",
            "fees.tiers.1.taker_fee_bps",
        ] {
            assert!(text.contains(key), "{key} in {text}");
        }
    }

    #[test]
    fn an_hour_is_its_zone_s_whatever_the_season_and_weekends_may_be_left_out() {
        let mut faults = Faults::default();
        let change = RawChange { at: "16:00".into(), phase: "flat".into(), factor: None };
        let raw = RawHours {
            zone: "America/New_York".into(),
            days: Some("weekdays".into()),
            changes: vec![change],
        };
        let changes = hours("hours", &raw, &mut faults).unwrap();
        let has = |text: &str| {
            let at: jiff::Timestamp = text.parse().unwrap();
            let at = Nanos(u64::try_from(at.as_nanosecond()).unwrap());
            changes.contains(&(at, Phase::Flat))
        };
        assert!(faults.is_empty() && changes.is_sorted_by_key(|change| change.0));
        assert!(has("2024-01-15T21:00:00Z") && has("2024-07-15T20:00:00Z"));
        assert!(!has("2024-07-13T20:00:00Z"), "a Saturday");
    }
}
