//! How long market data, requests and answers are on their way between the venue and the maker.
//!
//! Fed by the command line (one figure, a file, or the recording's own); feeds `exchange.rs`, which
//! asks once a message. One thread, no clock. Deliberately absent: a guess where nothing is known.
//!
//! On a session nothing overtakes: where latency falls faster than time passes, what comes later
//! arrives together with what is still on its way.

use crate::recording::source::time_fault;
use ballast_engine::units::Nanos;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longer than any way to a venue: a minute.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;
const DAY_NS: u64 = 86_400_000_000_000;
const COLUMNS: &str = "at,feed_ns,order_ns,report_ns";

/// The three ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delays {
    /// From the venue's market to the maker.
    pub feed_ns: u64,
    /// From the maker to the venue's matching.
    pub order_ns: u64,
    /// From the matching back to the maker.
    pub report_ns: u64,
}

/// Measured latencies: what holds at a moment lies on the line between two rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LatencyTable {
    rows: Vec<(Nanos, Delays)>,
    /// The last row at or before the moment that was asked for last: moments mostly go forward.
    place: usize,
}

/// Why a file of latencies was not taken.
#[derive(Debug, Error)]
pub enum LatencyFault {
    /// It cannot be read.
    #[error("--latency {file}: {source}; name a readable CSV file, a duration or `recorded`")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that cannot stand.
    #[error("--latency {file}: line {line}: {why}; expected {COLUMNS}")]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// No rows.
    #[error("--latency {file}: no row; expected lines of {COLUMNS}")]
    Empty {
        /// Which file.
        file: PathBuf,
    },
}

impl LatencyTable {
    /// Reads a CSV file with the columns `at,feed_ns,order_ns,report_ns`, `at` in ns since 1970 and
    /// rising. Its first line may name them; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// It cannot be read, has no row, or a row is not of that form.
    pub fn read(file: &Path) -> Result<LatencyTable, LatencyFault> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| LatencyFault::Unreadable { file: file.to_path_buf(), source })?;
        LatencyTable::parse(&text, file)
    }

    fn parse(text: &str, file: &Path) -> Result<LatencyTable, LatencyFault> {
        let mut rows: Vec<(Nanos, Delays)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || (number == 0 && line == COLUMNS) {
                continue;
            }
            let bad = |why: String| LatencyFault::Line {
                file: file.to_path_buf(),
                line: number + 1,
                why,
            };
            let row = row(line).map_err(bad)?;
            if let Some(last) = rows.last().filter(|last| last.0 >= row.0) {
                return Err(bad(format!("its time is not after {}, the row's before", last.0.0)));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(LatencyFault::Empty { file: file.to_path_buf() });
        }
        Ok(LatencyTable { rows, place: 0 })
    }

    /// Whether a tape that begins at `start` has anything to do with it.
    ///
    /// # Errors
    /// The table is over by then, or begins more than a day later: it was measured on another day.
    pub fn meets(&self, start: Nanos) -> Result<(), String> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return Ok(());
        };
        if last.0 >= start && first.0 <= start.plus(DAY_NS) {
            return Ok(());
        }
        let (from, to) = (first.0.0, last.0.0);
        let start = start.0;
        Err(format!(
            "its rows are of {from} to {to} and the tape begins at {start}: of another day?"
        ))
    }

    /// What holds at `at`: before the first row its figures, after the last one those.
    fn at(&mut self, at: Nanos) -> Delays {
        if self.rows.get(self.place).is_some_and(|row| row.0 > at) {
            self.place = self.rows.partition_point(|row| row.0 <= at).saturating_sub(1);
        }
        while self.rows.get(self.place + 1).is_some_and(|row| row.0 <= at) {
            self.place += 1;
        }
        let (from, a) = self.rows[self.place];
        let Some(&(to, b)) = self.rows.get(self.place + 1).filter(|_| from <= at) else { return a };
        let between = |a: u64, b: u64| {
            let part = i128::from(b) - i128::from(a);
            let moved = part * i128::from(at.since(from)) / i128::from(to.since(from).max(1));
            u64::try_from(i128::from(a) + moved).unwrap_or(a)
        };
        Delays {
            feed_ns: between(a.feed_ns, b.feed_ns),
            order_ns: between(a.order_ns, b.order_ns),
            report_ns: between(a.report_ns, b.report_ns),
        }
    }
}

fn row(line: &str) -> Result<(Nanos, Delays), String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [at, feed, order, report] = fields[..] else {
        return Err(format!("{} fields", fields.len()));
    };
    let whole = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("{text:?} is not a whole number of nanoseconds"))
    };
    let way = |text: &str| match whole(text)? {
        ns if ns <= LATENCY_NS_MAX => Ok(ns),
        ns => Err(format!("{ns} ns is longer than a minute: another unit?")),
    };
    let delays = Delays { feed_ns: way(feed)?, order_ns: way(order)?, report_ns: way(report)? };
    let at = whole(at)?;
    match time_fault(at, 0, "nanoseconds") {
        None => Ok((Nanos(at), delays)),
        Some(why) => Err(why),
    }
}

/// Where the figures come from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Source {
    Constant,
    Table(LatencyTable),
    /// Each event's own feed latency; requests and answers take as long as the last event did, as
    /// hftbacktest's FeedLatency has it: a recording of market data knows no better.
    Recorded,
}

/// The ways of one session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latency {
    source: Source,
    now: Delays,
    /// The latest arrival of each kind, which nothing overtakes.
    fed: Nanos,
    arrived: Nanos,
    reported: Nanos,
}

impl Latency {
    fn of(source: Source, now: Delays) -> Latency {
        Latency { source, now, fed: Nanos(0), arrived: Nanos(0), reported: Nanos(0) }
    }

    /// Always the same.
    pub fn constant(delays: Delays) -> Latency {
        Latency::of(Source::Constant, delays)
    }

    /// As measured.
    pub fn table(table: LatencyTable) -> Latency {
        Latency::of(Source::Table(table), Delays::default())
    }

    /// The recording's own. Its tape must tell when each event was received.
    pub fn recorded() -> Latency {
        Latency::of(Source::Recorded, Delays::default())
    }

    /// When the maker sees what happened at `at`; `received` is when the recorder saw it.
    #[inline]
    pub fn feed(&mut self, at: Nanos, received: Option<Nanos>) -> Nanos {
        match &mut self.source {
            Source::Constant => at.plus(self.now.feed_ns),
            Source::Table(table) => {
                self.fed = self.fed.max(at.plus(table.at(at).feed_ns));
                self.fed
            }
            // Each instrument was received in order; one stream need not wait for another.
            Source::Recorded => {
                if let Some(received) = received {
                    let ns = received.since(at);
                    self.now = Delays { feed_ns: ns, order_ns: ns, report_ns: ns };
                }
                received.unwrap_or_else(|| at.plus(self.now.feed_ns))
            }
        }
    }

    /// When a request sent at `at` is matched.
    pub fn order(&mut self, at: Nanos) -> Nanos {
        let ns = match &mut self.source {
            Source::Constant => return at.plus(self.now.order_ns),
            Source::Table(table) => table.at(at).order_ns,
            Source::Recorded => self.now.order_ns,
        };
        self.arrived = self.arrived.max(at.plus(ns));
        self.arrived
    }

    /// When what the venue decided at `at` is known to whom it concerns.
    pub fn report(&mut self, at: Nanos) -> Nanos {
        let ns = match &mut self.source {
            Source::Constant => return at.plus(self.now.report_ns),
            Source::Table(table) => table.at(at).report_ns,
            Source::Recorded => self.now.report_ns,
        };
        self.reported = self.reported.max(at.plus(ns));
        self.reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests' times are ns after this.
    const T0: u64 = 1_700_000_000_000_000_000;

    fn table(text: &str) -> Result<LatencyTable, String> {
        let later = |line: &str| match line.split_once(',').map(|(at, rest)| (at.parse(), rest)) {
            Some((Ok::<u64, _>(at), rest)) => format!("{},{rest}\n", T0 + at),
            Some((Err(_), _)) | None => format!("{line}\n"),
        };
        let text: String = text.lines().map(later).collect();
        LatencyTable::parse(&text, Path::new("l.csv")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_table_in_another_unit_or_of_another_day_is_told() {
        let text = format!("{},1,1,1\n", T0 / 1_000_000_000);
        let told = LatencyTable::parse(&text, Path::new("l.csv")).unwrap_err().to_string();
        assert!(told.contains("line 1") && told.contains("nanoseconds: another unit?"), "{told}");
        let table = table("1000,1,1,1\n2000,1,1,1\n").unwrap();
        let day_ns = 86_400_000_000_000;
        let meets = |start: u64| table.meets(Nanos(start)).is_ok();
        assert!(meets(T0) && meets(T0 + 2_000) && meets(T0 + 1_000 - day_ns));
        assert!(!meets(T0 + 2_001) && !meets(T0 + 999 - day_ns));
    }

    #[test]
    fn between_two_rows_latency_lies_on_the_line_and_outside_it_stays() {
        let text = "at,feed_ns,order_ns,report_ns\n# measured\n1000,10,100,200\n\n2000,20,300,0\n";
        let mut table = table(text).unwrap();
        let of = |d: Delays| (d.feed_ns, d.order_ns, d.report_ns);
        for (at, expected) in [
            (0, (10, 100, 200)),
            (1_500, (15, 200, 100)),
            (9_000, (20, 300, 0)),
            (1_000, (10, 100, 200)),
        ] {
            assert_eq!(of(table.at(Nanos(T0 + at))), expected, "{at}");
        }
    }

    #[test]
    fn a_row_that_cannot_stand_is_told_with_its_line() {
        for (text, part) in [
            ("", "no row"),
            ("at,feed_ns,order_ns,report_ns\n", "no row"),
            ("1,2,3\n", "line 1: 3 fields"),
            ("1,2,3,4\n1,2,3,4\n", "line 2: its time is not after"),
            ("1,2,x,4\n", "line 1: \"x\" is not a whole number"),
            ("1,2,-3,4\n", "\"-3\" is not a whole number"),
            ("1,2,3,60000000001\n", "longer than a minute"),
        ] {
            let told = table(text).unwrap_err();
            assert!(told.contains(part), "{part:?} in {told:?}");
        }
    }

    #[test]
    fn nothing_overtakes_where_latency_falls() {
        let rows = "1000,900,900,900\n1100,0,0,0\n";
        let mut latency = Latency::table(table(rows).unwrap());
        assert_eq!(latency.order(Nanos(T0 + 1_000)), Nanos(T0 + 1_900));
        assert_eq!(
            latency.order(Nanos(T0 + 1_200)),
            Nanos(T0 + 1_900),
            "behind the one that is on its way"
        );
        assert_eq!(latency.report(Nanos(T0 + 1_000)), Nanos(T0 + 1_900));
        assert_eq!(latency.report(Nanos(T0 + 2_000)), Nanos(T0 + 2_000));
        assert_eq!(latency.feed(Nanos(T0 + 1_000), None), Nanos(T0 + 1_900));
        assert_eq!(latency.feed(Nanos(T0 + 1_100), None), Nanos(T0 + 1_900));
    }

    #[test]
    fn recorded_latency_is_each_event_s_own_and_orders_take_as_long_as_the_last() {
        let mut latency = Latency::recorded();
        assert_eq!(latency.feed(Nanos(100), Some(Nanos(130))), Nanos(130));
        assert_eq!(latency.order(Nanos(200)), Nanos(230));
        assert_eq!(latency.feed(Nanos(300), Some(Nanos(305))), Nanos(305));
        assert_eq!(latency.report(Nanos(400)), Nanos(405));
        assert_eq!(latency.feed(Nanos(500), None), Nanos(505), "not known: as the last");
    }
}
