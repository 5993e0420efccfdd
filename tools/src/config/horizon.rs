//! `horizon_end`: when the horizon of a model that counts down to an end does end, and when the next
//! one begins.
//!
//! Fed by a quote's table; feeds [`super::guards`]. Every fault is told with key, value and what is
//! allowed. The calendar is here and not in the engine: sessions leave as UTC instants. Its model may be
//! another one, so that `--model` compares models of one config: then the key is read, and counts for
//! nothing.

use super::controls::{days, instant, time_of_day, weekdays, zone};
use super::faults::Faults;
use super::file::RawQuote;
use ballast_engine::quote::{Model, Session};
use ballast_engine::units::Nanos;
use jiff::civil::Date;
use serde::Deserialize;
use std::sync::Arc;

const ALLOWED: &str = "a time of day with its zone, { at = \"16:00\", zone = \"America/New_York\" }, or one \
                       instant, { at = \"2026-03-20T20:00:00Z\" }";

/// `horizon_end = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHorizonEnd {
    /// `HH:MM`, with `zone`; or an instant, RFC 3339.
    pub at: String,
    /// Where the times are said: an IANA time zone. Left out where `at` is an instant.
    pub zone: Option<String>,
    /// When a horizon begins, told like `at`; left out, when the one before has ended.
    pub begin: Option<String>,
    /// `daily` (left out) or `weekdays`: which days have an end.
    pub days: Option<String>,
}

/// The horizons of a quote's model; `None` where it does not count down, or where `faults` says why.
pub(super) fn sessions(key: &str, raw: &RawQuote, faults: &mut Faults) -> Option<Arc<[Session]>> {
    let key = format!("{key}.horizon_end");
    let sessions = raw.horizon_end.as_ref().map(|raw| read(&key, raw, faults));
    // A model that there is not is told by its own key.
    let model = Model::named(&raw.model).filter(|model| model.has_end())?;
    if sessions.is_none() {
        let why = format!("model = {} counts down to it: {ALLOWED}", model.name());
        faults.add(key, "missing", why);
    }
    sessions.flatten()
}

fn read(key: &str, raw: &RawHorizonEnd, faults: &mut Faults) -> Option<Arc<[Session]>> {
    let sessions = match &raw.zone {
        Some(zone) => daily(key, raw, zone, faults)?,
        None => vec![once(key, raw, faults)?],
    };
    Some(sessions.into())
}

/// One horizon: nothing is quoted after it.
fn once(key: &str, raw: &RawHorizonEnd, faults: &mut Faults) -> Option<Session> {
    if let Some(days) = &raw.days {
        faults.add(format!("{key}.days"), days, "only with a time of day and its zone");
    }
    let mut at = |name: &str, text: &str| {
        let nanos = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_nanosecond());
        let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
        if nanos.is_none() {
            faults.add(format!("{key}.{name}"), format!("{text:?}"), ALLOWED);
        }
        nanos.map(Nanos)
    };
    let end = at("at", &raw.at);
    let begin = raw.begin.as_deref().map_or(Some(Nanos(0)), |text| at("begin", text));
    let (begin, end) = (begin?, end?);
    if begin >= end {
        let value = raw.begin.as_deref().unwrap_or("left out");
        faults.add(format!("{key}.begin"), value, format!("must be before at ({})", raw.at));
        return None;
    }
    Some(Session { begin, end })
}

fn daily(
    key: &str,
    raw: &RawHorizonEnd,
    zone_name: &str,
    faults: &mut Faults,
) -> Option<Vec<Session>> {
    let zone = zone(&format!("{key}.zone"), zone_name, faults);
    let is_on = weekdays(&format!("{key}.days"), raw.days.as_deref(), faults);
    let at = time_of_day(&format!("{key}.at"), &raw.at, faults);
    let begin = raw.begin.as_deref();
    let begin = begin.map(|text| time_of_day(&format!("{key}.begin"), text, faults));
    let (zone, at) = (zone?, at?);
    let begin = match begin {
        Some(begin) => Some(begin?),
        None => None,
    };
    let mut sessions: Vec<Session> = Vec::new();
    for day in days().filter(is_on) {
        let before = sessions.last().map_or(Nanos(0), |session| session.end);
        let began = begin.map_or(Some(before), |time| {
            // One that begins at no earlier an hour than it ends began on the day before.
            let of: Date = if time < at { day } else { day.yesterday().ok()? };
            instant(of, time, &zone)
        });
        let session = began.zip(instant(day, at, &zone));
        let session = session.map(|(began, end)| Session { begin: began.max(before), end });
        // Where the clocks skip all of it there is none that day.
        sessions.extend(session.filter(|session| session.begin < session.end));
    }
    Some(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(at: &str, zone: Option<&str>, begin: Option<&str>, days: Option<&str>) -> RawHorizonEnd {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        RawHorizonEnd {
            at: at.to_owned(),
            zone: owned(zone),
            begin: owned(begin),
            days: owned(days),
        }
    }

    fn told(raw: &RawHorizonEnd) -> String {
        let mut faults = Faults::default();
        assert_eq!(read("horizon_end", raw, &mut faults), None);
        faults.to_string()
    }

    fn utc(text: &str) -> Nanos {
        let at: jiff::Timestamp = text.parse().unwrap();
        Nanos(u64::try_from(at.as_nanosecond()).unwrap())
    }

    fn sessions_of(raw: &RawHorizonEnd) -> Vec<Session> {
        let mut faults = Faults::default();
        let sessions = read("horizon_end", raw, &mut faults).unwrap();
        assert!(faults.is_empty() && sessions.is_sorted_by(|a, b| a.end <= b.begin));
        sessions.to_vec()
    }

    fn session(begin: &str, end: &str) -> Session {
        Session { begin: utc(begin), end: utc(end) }
    }

    #[test]
    fn a_daily_end_is_its_zone_s_whatever_the_season_and_the_next_horizon_begins_there() {
        let daily = sessions_of(&raw("17:00", Some("America/New_York"), None, None));
        assert!(daily.contains(&session("2024-01-14T22:00:00Z", "2024-01-15T22:00:00Z")));
        assert!(daily.contains(&session("2024-07-14T21:00:00Z", "2024-07-15T21:00:00Z")));
        let over_the_change = session("2024-03-09T22:00:00Z", "2024-03-10T21:00:00Z");
        assert!(daily.contains(&over_the_change), "23 hours");
    }

    #[test]
    fn a_horizon_may_begin_later_or_on_the_evening_before_and_leave_weekends_out() {
        let stocks = raw("16:00", Some("America/New_York"), Some("09:30"), Some("weekdays"));
        let stocks = sessions_of(&stocks);
        assert!(stocks.contains(&session("2024-07-15T13:30:00Z", "2024-07-15T20:00:00Z")));
        let saturday = utc("2024-07-13T15:00:00Z");
        assert!(!stocks.iter().any(|s| s.begin <= saturday && saturday < s.end));
        let futures = raw("16:00", Some("America/Chicago"), Some("17:00"), Some("weekdays"));
        let futures = sessions_of(&futures);
        let monday = session("2024-07-14T22:00:00Z", "2024-07-15T21:00:00Z");
        assert!(futures.contains(&monday), "from Sunday evening on");
    }

    #[test]
    fn an_instant_ends_the_only_horizon() {
        let end = "2024-08-09T00:10:00Z";
        let only = Session { begin: Nanos(0), end: utc(end) };
        assert_eq!(sessions_of(&raw(end, None, None, None)), [only]);
        let from = "2024-08-09T00:00:00Z";
        let only = Session { begin: utc(from), ..only };
        assert_eq!(sessions_of(&raw(end, None, Some(from), None)), [only]);
    }

    #[test]
    fn what_is_no_horizon_is_told_all_of_it() {
        let all = told(&raw("25:00", Some("Mars/Olympus"), Some("9"), Some("never")));
        for key in [".at", ".zone", ".begin", ".days"] {
            assert!(all.contains(&format!("horizon_end{key}")), "{key} in {all}");
        }
        let no_zone = told(&raw("17:00", None, None, Some("daily")));
        assert!(no_zone.contains("at = \"17:00\"") && no_zone.contains("zone"), "{no_zone}");
        assert!(no_zone.contains(".days"), "{no_zone}");
        let end = "2024-08-09T00:10:00Z";
        let late = told(&raw(end, None, Some(end), None));
        assert!(late.contains("must be before at"), "{late}");
    }
}
