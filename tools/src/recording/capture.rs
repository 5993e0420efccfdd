//! Raw websocket captures: cryptofeed's (`seconds: {json}` among lines about the connection) and
//! plain JSON lines as Bybit publishes its books.
//!
//! Fed by `text_lines.rs`; feeds `merged.rs` through the file of the venue (`deribit.rs`, `okx.rs`,
//! `kraken.rs`, `bybit.rs`). Any one thread. Deliberately absent: cryptofeed's REST answers (`*.0`
//! without `ws`), which hold no market.

use super::TapeError;
use super::bybit::Bybit;
use super::deribit::Deribit;
use super::kraken::Kraken;
use super::lean::archive::Archive;
use super::okx::Okx;
use super::source::{Position, Sink, Source};
use super::text_lines::TextLines;
use ballast_engine::units::{Nanos, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// What a venue's messages mean.
pub trait Venue: Send {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Says what one message means.
    fn take(&mut self, body: &str, sink: &mut Sink<'_>) -> Result<(), TapeError>;
}

/// A number as a venue writes it: bare or in quotes.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
pub struct NumberText<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> NumberText<'a> {
    /// Its digits.
    pub fn text(&self) -> &'a str {
        self.0.get().trim_matches('"')
    }

    /// A count of milliseconds as a time; 0 where it is none.
    pub fn millis(&self) -> Nanos {
        Nanos(self.text().parse::<u64>().unwrap_or(0).saturating_mul(1_000_000))
    }
}

/// Parses a part of a message, or says why not.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a str, sink: &Sink<'_>) -> Result<T, TapeError> {
    serde_json::from_str(body).map_err(|error| sink.fault(format!("not as expected: {error}")))
}

/// The levels of one side, priced and sized as the venue writes them.
pub fn levels<'a>(
    sink: &mut Sink<'_>,
    place: usize,
    side: Side,
    levels: impl IntoIterator<Item = (&'a str, &'a str)>,
    at: Nanos,
) -> Result<(), TapeError> {
    for (price, size) in levels {
        let level = (sink.number(price)?, sink.number(size)?);
        sink.level(place, side, level, at)?;
    }
    Ok(())
}

/// A capture that is being read.
pub struct Capture {
    lines: TextLines,
    venue: Box<dyn Venue>,
    /// Lines begin with their receive time.
    is_timed: bool,
    body_from: usize,
    received: u64,
}

impl Capture {
    /// Opens a cryptofeed capture; its first line names the venue.
    ///
    /// # Errors
    /// It cannot be read, is empty, or of a venue that is not read.
    pub fn open(path: &Path) -> Result<Capture, TapeError> {
        let mut lines = TextLines::open(path)?;
        if !lines.advance()? {
            return Err(TapeError::Empty { file: path.to_path_buf() });
        }
        let host = lines.line()?.split(' ').next().unwrap_or_default().to_owned();
        let venue: Box<dyn Venue> = match () {
            () if host.contains("deribit.com") => Box::new(Deribit::default()),
            () if host.contains("okx.com") || host.contains("okex.com") => Box::new(Okx::default()),
            () if host.contains("futures.kraken.com") => Box::new(Kraken::default()),
            () if host.contains("bybit.com") => Box::new(Bybit::default()),
            () => {
                return Err(lines.position().fault(format!(
                    "{host:?} is no venue that is read; read are deribit.com, okx.com, \
                     futures.kraken.com and bybit.com"
                )));
            }
        };
        Ok(Capture { lines, venue, is_timed: true, body_from: 0, received: 0 })
    }

    /// Opens a zip of Bybit's published books: JSON lines that carry the venue's time alone, which
    /// stands for the receive time.
    ///
    /// # Errors
    /// It cannot be read, or the zip is broken or empty.
    pub fn open_bybit_zip(path: &Path) -> Result<Capture, TapeError> {
        let unreadable = |source| TapeError::Unreadable { file: path.to_path_buf(), source };
        let position = Position::new(path, "line");
        let bad = |error: super::lean::archive::ArchiveError| position.fault(error.to_string());
        let archive = Archive::new(std::fs::read(path).map_err(unreadable)?).map_err(bad)?;
        let mut names = archive.names();
        let name = names.next().map(str::to_owned).unwrap_or_default();
        if let Some(further) = names.next() {
            let why = format!("{further:?} stands in it beside {name:?}: one book a zip is read");
            return Err(position.fault(why));
        }
        let text = archive.read(&name).map_err(bad)?.unwrap_or_default();
        if text.is_empty() {
            return Err(TapeError::Empty { file: path.to_path_buf() });
        }
        let (lines, venue) = (TextLines::of_bytes(path, text), Box::new(Bybit::default()));
        Ok(Capture { lines, venue, is_timed: false, body_from: 0, received: 0 })
    }
}

/// `1626994927.6892288` in ns: exact, where a float would not be.
fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[derive(Deserialize)]
struct Timed<'a> {
    #[serde(borrow)]
    ts: NumberText<'a>,
}

impl Source for Capture {
    fn advance(&mut self) -> Result<bool, TapeError> {
        while self.lines.advance()? {
            let line = self.lines.line()?;
            let position = self.lines.position();
            let (ns, body_from) = if self.is_timed {
                // What was sent, and when the connection stood.
                if line.starts_with("wss://") || line.starts_with("ws://") {
                    continue;
                }
                let split = line
                    .split_once(": ")
                    .and_then(|(time, _)| seconds(time).map(|ns| (ns, time.len() + 2)));
                split.ok_or_else(|| {
                    position.fault("is neither `wss://…` nor `<seconds>: <the venue's JSON>`")
                })?
            } else {
                let timed: Timed<'_> = serde_json::from_str(line)
                    .map_err(|error| position.fault(format!("not as expected: {error}")))?;
                (timed.ts.millis().0, 0)
            };
            self.received = position.time(ns, self.received, "seconds since 1970")?;
            self.body_from = body_from;
            return Ok(true);
        }
        Ok(false)
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn position(&self) -> &Position {
        self.lines.position()
    }

    fn take(&mut self, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let line = self.lines.line()?;
        self.venue.take(line.get(self.body_from..).unwrap_or_default(), sink)
    }

    fn venue(&self) -> Option<&str> {
        Some(self.venue.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_with_a_fraction_are_exact() {
        assert_eq!(seconds("1626994927.6892288"), Some(1_626_994_927_689_228_800));
        assert_eq!(seconds("1652459224"), Some(1_652_459_224_000_000_000));
        for wrong in ["", "x", "1.1234567890", "1.-5", "99999999999999.0"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
