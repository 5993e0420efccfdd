//! A session's hosts and its schedule, as the config says them.
//!
//! Fed by the raw session of `file.rs`; feeds the line to the venue. Deliberately absent: name lookup,
//! and keeping the schedule (the gateway's).

use super::faults::Faults;
use super::file::{RawConfig, RawSession};
use ballast_gateway::session::{Schedule, ScheduleError};
use serde::Deserialize;

/// `schedule = { zone = "America/New_York", open = "17:05:00", close = "17:00:00", days = "daily" }`, or
/// with a day in open and close for one session a week.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSchedule {
    /// A name of the IANA database.
    zone: String,
    /// `HH:MM:SS` or `DAY HH:MM:SS`: numbers begin at 1, the Logon goes out.
    open: String,
    /// The same: the Logout goes out.
    close: String,
    /// `daily` (where left out), `weekdays`, or days like `mon,wed`: on which a session opens.
    days: Option<String>,
}

impl RawSchedule {
    /// The schedule that it writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Schedule, ScheduleError> {
        Schedule::parse(&self.zone, &self.open, &self.close, self.days.as_deref())
    }
}

impl RawSession {
    /// The hosts in the order in which they are tried: the address, then its backups.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.address).chain(&self.backups).map(String::as_str)
    }

    /// When it is logged on; `None` for always.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn times(&self) -> Result<Option<Schedule>, ScheduleError> {
        self.schedule.as_ref().map(RawSchedule::read).transpose()
    }
}

/// Adds what is wrong with the schedule at a key.
pub fn add(key: String, error: &ScheduleError, faults: &mut Faults) {
    let value = match error {
        ScheduleError::Zone(text) | ScheduleError::Time(text) | ScheduleError::Days(text) => text,
        ScheduleError::Weekly => "mixed",
    };
    faults.add(key, value.to_owned(), error.to_string());
}

/// Adds what is wrong with the schedules of a config.
pub fn check(raw: &RawConfig, faults: &mut Faults) {
    for venue in &raw.venues {
        for (purpose, session) in venue.sessions() {
            if let Err(error) = session.times() {
                add(format!("venues.{}.{purpose}.schedule", venue.name), &error, faults);
            }
        }
    }
}
