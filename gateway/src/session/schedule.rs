//! When a session is to be logged on: daily, on some days, or from a day of the week to another, in a
//! time zone, over midnight and over the change of the clocks.
//!
//! Made by the composition from a checked config; asked by an initiator's
//! [`Line`](crate::venue::line::Line) once at each boundary and by an acceptor's session at each Logon,
//! never between: between boundaries a turn compares two numbers. Cold: it may allocate. Deliberately
//! absent: clocks, and logging on and out.
//!
//! Local times become instants by the rules of the zone: a time that the clocks skip is taken as much
//! later as they skip (an open that would be behind its close then: when they change), of a time that comes
//! twice the first counts. The zone's rules are the host's, and compiled-in ones where the host has none.

use ballast_engine::units::Nanos;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

/// Days that are looked at before and behind an instant: more than a week and its zone's shift.
const DAYS_BEFORE: i64 = 9;
const DAYS_IN_ALL: i64 = 18;

/// Why a schedule cannot be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ScheduleError {
    /// The zone is not known.
    #[error("zone {0:?}: write a name of the IANA database, Europe/London or UTC")]
    Zone(String),
    /// A time that is none.
    #[error("{0:?}: write HH:MM:SS, or DAY HH:MM:SS in both open and close for a weekly session")]
    Time(String),
    /// Days that are none.
    #[error("days {0:?}: write daily, weekdays, or days like mon,wed,fri")]
    Days(String),
    /// One of open and close names a day, or days are given for a weekly session.
    #[error("a weekly session names a day in open and in close, and has no days")]
    Weekly,
}

/// One period of a session: from `opens` on, until before `closes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// When both numbers begin at 1 and the Logon may go out.
    pub opens: Nanos,
    /// When the Logout goes out.
    pub closes: Nanos,
}

impl Period {
    /// Whether an instant is in it.
    pub fn holds(&self, now: Nanos) -> bool {
        self.opens <= now && now < self.closes
    }
}

/// When a session is to be logged on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    zone: TimeZone,
    open: Time,
    close: Time,
    days: Days,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Days {
    /// A period opens on each of these, Monday first.
    Each([bool; 7]),
    /// One period a week.
    Weekly { open: Weekday, close: Weekday },
}

impl Schedule {
    /// Reads a schedule: `open` and `close` are `HH:MM:SS`, or `sun 17:00:00` in both for one period a
    /// week; `days` are those on which a period opens. A close that is not behind its open is on the next
    /// day; open and close the same make a period of a whole day.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(
        zone: &str,
        open: &str,
        close: &str,
        days: Option<&str>,
    ) -> Result<Schedule, ScheduleError> {
        let known = TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.into()))?;
        let ((open_day, open), (close_day, close)) = (moment(open)?, moment(close)?);
        let days = match (open_day, close_day, days) {
            (Some(open), Some(close), None) => Days::Weekly { open, close },
            (None, None, days) => Days::Each(each(days.unwrap_or("daily"))?),
            (Some(_) | None, Some(_) | None, _) => return Err(ScheduleError::Weekly),
        };
        Ok(Schedule { zone: known, open, close, days })
    }

    /// The period that holds `now`, or the next one; `None` where there is none near, which no schedule
    /// that was parsed has.
    pub fn period(&self, now: Nanos) -> Option<Period> {
        let now_ns = i128::from(now.0);
        let local = Timestamp::from_nanosecond(now_ns).ok()?.to_zoned(self.zone.clone());
        let first = local.date().checked_sub(DAYS_BEFORE.days()).ok()?;
        (0..DAYS_IN_ALL)
            .filter_map(|day| self.period_of(first.checked_add(day.days()).ok()?))
            .find(|period| period.closes > now)
    }

    /// The period that opens on a day.
    fn period_of(&self, day: Date) -> Option<Period> {
        let weekday = day.weekday();
        let days = match self.days {
            Days::Each(each) => {
                let place = usize::from(weekday.to_monday_zero_offset().unsigned_abs());
                let is_open = each.get(place).copied().unwrap_or(false);
                is_open.then_some(i64::from(self.close <= self.open))?
            }
            Days::Weekly { open, .. } if open != weekday => return None,
            Days::Weekly { open, close } => {
                let days = i64::from(open.until(close));
                if days == 0 && self.close <= self.open { 7 } else { days }
            }
        };
        let closing_day = day.checked_add(days.days()).ok()?;
        let opens = self.instant(day, self.open)?;
        let closes = self.instant(closing_day, self.close)?;
        // An open that the clocks skip may come behind its close: the period opens as they change then.
        let opens = if opens < closes { opens } else { self.change_before(opens)? };
        (opens < closes).then_some(Period { opens, closes })
    }

    /// When the zone's clocks changed last.
    fn change_before(&self, at: Nanos) -> Option<Nanos> {
        let at = Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
        let change = self.zone.preceding(at).next()?;
        u64::try_from(change.timestamp().as_nanosecond()).ok().map(Nanos)
    }

    fn instant(&self, day: Date, time: Time) -> Option<Nanos> {
        let zoned = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
        u64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Nanos)
    }
}

/// `17:00:00` or `sun 17:00:00`.
fn moment(text: &str) -> Result<(Option<Weekday>, Time), ScheduleError> {
    let wrong = || ScheduleError::Time(text.into());
    let (day, time) = match text.trim().split_once(' ') {
        Some((day, time)) => (Some(weekday(day).ok_or_else(wrong)?), time),
        None => (None, text),
    };
    Ok((day, time.trim().parse().map_err(|_| wrong())?))
}

fn each(text: &str) -> Result<[bool; 7], ScheduleError> {
    let wrong = || ScheduleError::Days(text.into());
    match text {
        "daily" => return Ok([true; 7]),
        "weekdays" => return Ok([true, true, true, true, true, false, false]),
        _ => {}
    }
    let mut each = [false; 7];
    for name in text.split(',') {
        let day = weekday(name.trim()).ok_or_else(wrong)?;
        let place = usize::from(day.to_monday_zero_offset().unsigned_abs());
        *each.get_mut(place).ok_or_else(wrong)? = true;
    }
    Ok(each)
}

fn weekday(name: &str) -> Option<Weekday> {
    let days = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let lower = name.to_ascii_lowercase();
    days.iter().find(|(short, _)| *short == lower).map(|(_, day)| *day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Nanos {
        let timestamp: Timestamp = text.parse().unwrap();
        Nanos(u64::try_from(timestamp.as_nanosecond()).unwrap())
    }

    fn period(schedule: &Schedule, now: &str) -> [String; 2] {
        let period = schedule.period(at(now)).unwrap();
        [period.opens, period.closes]
            .map(|at| Timestamp::from_nanosecond(i128::from(at.0)).unwrap().to_string())
    }

    fn schedule(zone: &str, open: &str, close: &str, days: Option<&str>) -> Schedule {
        Schedule::parse(zone, open, close, days).unwrap()
    }

    #[test]
    fn a_day_opens_and_closes_to_the_second() {
        let day = schedule("UTC", "08:00:00", "17:00:00", None);
        let today = ["2024-08-08T08:00:00Z", "2024-08-08T17:00:00Z"];
        assert_eq!(period(&day, "2024-08-08T08:00:00Z"), today);
        assert_eq!(period(&day, "2024-08-08T16:59:59.999999999Z"), today);
        let tomorrow = ["2024-08-09T08:00:00Z", "2024-08-09T17:00:00Z"];
        assert_eq!(period(&day, "2024-08-08T17:00:00Z"), tomorrow);
        let next = day.period(at("2024-08-08T17:00:00Z")).unwrap();
        assert!(!next.holds(at("2024-08-08T17:00:00Z")) && !next.holds(next.closes));
        assert!(next.holds(at("2024-08-09T08:00:00Z")));
    }

    #[test]
    fn over_midnight_the_close_is_on_the_next_day() {
        let night = schedule("America/New_York", "17:05:00", "17:00:00", None);
        let wanted = ["2024-08-08T21:05:00Z", "2024-08-09T21:00:00Z"];
        assert_eq!(period(&night, "2024-08-09T03:00:00Z"), wanted);
        // Open and close the same: periods follow each other without a pause.
        let whole = schedule("UTC", "00:00:00", "00:00:00", None);
        let wanted = ["2024-08-08T00:00:00Z", "2024-08-09T00:00:00Z"];
        assert_eq!(period(&whole, "2024-08-08T00:00:00Z"), wanted);
    }

    #[test]
    fn weekdays_leave_out_the_weekend_and_lists_what_is_not_in_them() {
        let week = schedule("UTC", "08:00:00", "17:00:00", Some("weekdays"));
        let monday = ["2024-08-12T08:00:00Z", "2024-08-12T17:00:00Z"];
        assert_eq!(period(&week, "2024-08-09T18:00:00Z"), monday);
        let some = schedule("UTC", "08:00:00", "17:00:00", Some("tue, sat"));
        let saturday = ["2024-08-10T08:00:00Z", "2024-08-10T17:00:00Z"];
        assert_eq!(period(&some, "2024-08-07T00:00:00Z"), saturday);
    }

    #[test]
    fn a_week_runs_from_its_day_to_its_day() {
        let week = schedule("America/New_York", "sun 17:00:00", "fri 17:00:00", None);
        let wanted = ["2024-08-04T21:00:00Z", "2024-08-09T21:00:00Z"];
        assert_eq!(period(&week, "2024-08-08T12:00:00Z"), wanted);
        let wanted = ["2024-08-11T21:00:00Z", "2024-08-16T21:00:00Z"];
        assert_eq!(period(&week, "2024-08-09T21:00:00Z"), wanted);
        let whole = schedule("UTC", "sat 00:00:00", "sat 00:00:00", None);
        let wanted = ["2024-08-03T00:00:00Z", "2024-08-10T00:00:00Z"];
        assert_eq!(period(&whole, "2024-08-09T23:59:59Z"), wanted);
    }

    #[test]
    fn a_period_follows_its_zone_into_summer_and_out_of_it() {
        // New York: 2024-03-10 02:00 becomes 03:00, 2024-11-03 02:00 becomes 01:00.
        let night = schedule("America/New_York", "17:05:00", "17:00:00", None);
        let into = ["2024-03-09T22:05:00Z", "2024-03-10T21:00:00Z"];
        assert_eq!(period(&night, "2024-03-10T12:00:00Z"), into);
        let out_of = ["2024-11-02T21:05:00Z", "2024-11-03T22:00:00Z"];
        assert_eq!(period(&night, "2024-11-03T12:00:00Z"), out_of);
        // London changes on other days, and the week is an hour shorter or longer.
        let week = schedule("Europe/London", "sun 12:00:00", "sun 11:00:00", None);
        let into = ["2024-03-24T12:00:00Z", "2024-03-31T10:00:00Z"];
        assert_eq!(period(&week, "2024-03-30T00:00:00Z"), into);
        let out_of = ["2024-10-20T11:00:00Z", "2024-10-27T11:00:00Z"];
        assert_eq!(period(&week, "2024-10-25T00:00:00Z"), out_of);
    }

    #[test]
    fn a_skipped_time_is_later_and_of_a_doubled_one_the_first_counts() {
        let day = schedule("America/New_York", "02:30:00", "16:00:00", None);
        let skipped = ["2024-03-10T07:30:00Z", "2024-03-10T20:00:00Z"];
        assert_eq!(period(&day, "2024-03-10T12:00:00Z"), skipped);
        let doubled = schedule("America/New_York", "01:30:00", "16:00:00", None);
        let wanted = ["2024-11-03T05:30:00Z", "2024-11-03T21:00:00Z"];
        assert_eq!(period(&doubled, "2024-11-03T12:00:00Z"), wanted);
    }

    #[test]
    fn an_open_that_would_be_skipped_behind_its_close_is_when_the_clocks_change() {
        let night = schedule("America/New_York", "02:30:00", "03:15:00", None);
        let changed = ["2024-03-10T07:00:00Z", "2024-03-10T07:15:00Z"];
        assert_eq!(period(&night, "2024-03-10T06:00:00Z"), changed);
        let usual = ["2024-03-11T06:30:00Z", "2024-03-11T07:15:00Z"];
        assert_eq!(period(&night, "2024-03-10T07:15:00Z"), usual);
        // Both are skipped: both are later.
        let skipped = schedule("America/New_York", "02:10:00", "02:40:00", None);
        let wanted = ["2024-03-10T07:10:00Z", "2024-03-10T07:40:00Z"];
        assert_eq!(period(&skipped, "2024-03-10T06:00:00Z"), wanted);
        // An open that would be skipped to its close.
        let met = schedule("America/New_York", "02:30:00", "03:30:00", None);
        let changed = ["2024-03-10T07:00:00Z", "2024-03-10T07:30:00Z"];
        assert_eq!(period(&met, "2024-03-10T06:00:00Z"), changed);
        // All of it is skipped.
        let none = schedule("America/New_York", "02:30:00", "03:00:00", None);
        let wanted = ["2024-03-11T06:30:00Z", "2024-03-11T07:00:00Z"];
        assert_eq!(period(&none, "2024-03-10T06:00:00Z"), wanted);
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        let parse = |zone, open, close, days| Schedule::parse(zone, open, close, days).unwrap_err();
        assert_eq!(
            parse("Mars/Olympus", "08:00:00", "17:00:00", None),
            ScheduleError::Zone("Mars/Olympus".into())
        );
        assert_eq!(
            parse("UTC", "25:00:00", "17:00:00", None),
            ScheduleError::Time("25:00:00".into())
        );
        assert_eq!(parse("UTC", "sun 08:00:00", "17:00:00", None), ScheduleError::Weekly);
        let days = Some("mon,funday");
        assert_eq!(
            parse("UTC", "08:00:00", "17:00:00", days),
            ScheduleError::Days("mon,funday".into())
        );
        assert_eq!(
            parse("UTC", "sun 08:00:00", "fri 17:00:00", Some("daily")),
            ScheduleError::Weekly
        );
    }
}
