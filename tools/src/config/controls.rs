//! From the file's tables to the limits of the portfolio and the controls that count.
//!
//! Fed by [`RawConfig`](super::file::RawConfig)'s tables; feeds `maker.rs`. Cold path. The calendar is
//! here and not in the engine: trading days' ends leave as UTC instants.

use super::faults::Faults;
use super::file::{RawOrderToTrade, RawPortfolio, RawProtection, RawRefit, RawWindow};
use ballast_engine::risk::duplicate::REMEMBERED;
use ballast_engine::risk::limits::PortfolioLimits;
use ballast_engine::risk::loss::LossLimits;
use ballast_engine::risk::order_to_trade::OrderToTradeLimit;
use ballast_engine::risk::protection::ProtectionLimits;
use ballast_engine::risk::window::WindowLimit;
use ballast_engine::units::{Decimal, Exposure, Nanos, Notional};
use jiff::civil::{Date, Time, Weekday, date};
use jiff::tz::TimeZone;

const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };
const MS: u64 = 1_000_000;
const DAY_NS: u64 = 86_400_000 * MS;
/// A fixed span, so that the same text makes the same maker whenever it is read: recordings of the
/// past and a run of today. Beyond it no day ends.
const FIRST_DAY: Date = date(2009, 1, 1);
const LAST_DAY: Date = date(2060, 12, 31);

/// `refit = { every_s = …, window_s = … }`
pub(super) fn refit(raw: Option<RawRefit>, faults: &mut Faults) {
    if let Some(raw) = raw.filter(|raw| raw.every_s == 0 || raw.window_s == 0) {
        let value = format!("every {} s over {} s", raw.every_s, raw.window_s);
        faults.add("run.refit", value, "both must be greater than zero");
    }
}

/// `[limits]`
pub(super) fn portfolio(raw: &RawPortfolio, faults: &mut Faults) -> Option<PortfolioLimits> {
    let key = |name: &str| format!("limits.{name}");
    let mut money = |name: &str, text: &str| {
        let count = faults.count(&key(name), text, NANO, 1);
        count.map(|count| Notional(i128::from(count)))
    };
    let gross = money("gross_notional_max", &raw.gross_notional_max);
    let daily = money("daily_loss_max", &raw.daily_loss_max);
    let drawdown = money("drawdown_max", &raw.drawdown_max);
    if raw.drawdown_cooldown_s == 0 {
        faults.add(key("drawdown_cooldown_s"), 0, "must be greater than zero");
    }
    let day_ends = day_ends(&raw.day_end, &raw.time_zone, faults);
    Some(PortfolioLimits {
        gross_max: gross?,
        loss: LossLimits {
            daily_max: daily?,
            drawdown_max: drawdown?,
            cooldown_ns: raw.drawdown_cooldown_s.saturating_mul(1_000 * MS),
            day_ends: day_ends?,
        },
    })
}

/// A time of day such as `17:00`.
pub(super) fn time_of_day(key: &str, text: &str, faults: &mut Faults) -> Option<Time> {
    let time = Time::strptime("%H:%M", text).ok();
    if time.is_none() {
        faults.add(key, format!("{text:?}"), "a time of day such as 17:00");
    }
    time
}

/// A zone such as `UTC` or `America/New_York`, from the zones that are built in.
pub(super) fn zone(key: &str, text: &str, faults: &mut Faults) -> Option<TimeZone> {
    let zone = if text == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(text).ok() };
    if zone.is_none() {
        faults.add(key, format!("{text:?}"), "an IANA time zone such as UTC or America/New_York");
    }
    zone
}

/// Which days count: `daily` (left out) or `weekdays`.
pub(super) fn weekdays(
    key: &str,
    text: Option<&str>,
    faults: &mut Faults,
) -> impl Fn(&Date) -> bool + use<> {
    let is_weekdays = match text {
        None | Some("daily") => false,
        Some("weekdays") => true,
        Some(other) => {
            faults.add(key, other, "daily or weekdays");
            false
        }
    };
    move |day: &Date| !is_weekdays || !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// One instant; a time of day that a clock change skips is the moment after the change.
pub(super) fn instant(day: Date, time: Time, zone: &TimeZone) -> Option<Nanos> {
    let at = zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok()?;
    u64::try_from(at.as_nanosecond()).ok().map(Nanos)
}

fn day_ends(time: &str, zone_name: &str, faults: &mut Faults) -> Option<Vec<Nanos>> {
    let time = time_of_day("limits.day_end", time, faults);
    let zone = zone("limits.time_zone", zone_name, faults);
    let (time, zone) = (time?, zone?);
    // Where clocks never change, a day is a day: nobody waits for a calendar to walk through 52 years.
    if zone.to_fixed_offset().is_ok() {
        let first = instant(FIRST_DAY, time, &zone)?;
        let days = (LAST_DAY - FIRST_DAY).get_days();
        return Some((0..=u64::try_from(days).ok()?).map(|n| first.plus(n * DAY_NS)).collect());
    }
    Some(days().filter_map(|day| instant(day, time, &zone)).collect())
}

/// Every day that a config knows.
pub(super) fn days() -> impl Iterator<Item = Date> {
    let next = |day: &Date| day.tomorrow().ok().filter(|day| *day <= LAST_DAY);
    std::iter::successors(Some(FIRST_DAY), next)
}

/// `{ max = …, window_ms = … }`
pub(super) fn window(key: &str, raw: RawWindow, faults: &mut Faults) -> WindowLimit {
    if raw.max == 0 || raw.window_ms == 0 {
        let value = format!("{} in {} ms", raw.max, raw.window_ms);
        faults.add(key, value, "both must be greater than zero");
    }
    if raw.max > 1_000_000 {
        faults.add(format!("{key}.max"), raw.max, "must be at most 1000000: each is remembered");
    }
    WindowLimit { max: raw.max, window_ns: raw.window_ms.saturating_mul(MS) }
}

/// `duplicates = { max = …, window_ms = … }`
pub(super) fn duplicates(key: &str, raw: RawWindow, faults: &mut Faults) -> WindowLimit {
    if usize::try_from(raw.max).unwrap_or(usize::MAX) > REMEMBERED {
        faults.add(format!("{key}.max"), raw.max, format!("must be at most {REMEMBERED}"));
    }
    window(key, raw, faults)
}

/// `order_to_trade = { max = …, grace = … }`
pub(super) fn order_to_trade(
    key: &str,
    raw: RawOrderToTrade,
    faults: &mut Faults,
) -> OrderToTradeLimit {
    if raw.max == 0 || raw.grace == 0 {
        let value = format!("{} a trade after {}", raw.max, raw.grace);
        faults.add(key, value, "both must be greater than zero");
    }
    OrderToTradeLimit { max: raw.max, grace: raw.grace }
}

/// `protection = { … }`
pub(super) fn protection(
    key: &str,
    raw: &RawProtection,
    faults: &mut Faults,
) -> Option<ProtectionLimits> {
    let fills = RawWindow { max: raw.fills_max, window_ms: raw.window_ms };
    let fills = window(key, fills, faults);
    let delta = faults.count(&format!("{key}.delta_max"), &raw.delta_max, NANO, 1);
    if raw.cooldown_ms == 0 {
        faults.add(format!("{key}.cooldown_ms"), 0, "must be greater than zero");
    }
    Some(ProtectionLimits {
        fills_max: fills.max,
        delta_max: Exposure(delta?),
        window_ns: fills.window_ns,
        cooldown_ns: raw.cooldown_ms.saturating_mul(MS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Nanos {
        let at: jiff::Timestamp = text.parse().unwrap();
        Nanos(u64::try_from(at.as_nanosecond()).unwrap())
    }

    #[test]
    fn a_day_ends_at_its_zone_s_time_whatever_the_season() {
        let mut faults = Faults::default();
        let ends = day_ends("17:00", "America/New_York", &mut faults).unwrap();
        assert!(faults.is_empty() && ends.is_sorted());
        assert!(ends.contains(&utc("2024-01-15T22:00:00Z")));
        assert!(ends.contains(&utc("2024-07-15T21:00:00Z")));
    }

    #[test]
    fn where_clocks_never_change_the_ends_are_the_calendar_s_all_the_same() {
        let mut faults = Faults::default();
        for (name, zone) in
            [("UTC", TimeZone::UTC), ("Etc/GMT-3", TimeZone::fixed(jiff::tz::offset(3)))]
        {
            let ends = day_ends("21:30", name, &mut faults).unwrap();
            let time = time_of_day("", "21:30", &mut faults).unwrap();
            let walked: Vec<_> = days().filter_map(|day| instant(day, time, &zone)).collect();
            assert_eq!((ends.len(), &ends), (18_993, &walked), "{name}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_the_moment_after() {
        let mut faults = Faults::default();
        let ends = day_ends("02:30", "Europe/Berlin", &mut faults).unwrap();
        assert!(ends.contains(&utc("2024-03-31T01:30:00Z")));
        assert_eq!(ends.len(), 18_993, "one a day all the same");
    }

    #[test]
    fn what_is_no_time_or_zone_is_told() {
        let mut faults = Faults::default();
        assert_eq!(day_ends("25:00", "Mars/Olympus", &mut faults), None);
        let text = faults.to_string();
        assert!(text.contains("limits.day_end") && text.contains("limits.time_zone"), "{text}");
    }
}
