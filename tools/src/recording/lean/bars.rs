//! Lean's minute bars as a market that plays: what a bar said is known when its minute is over.
//!
//! Fed by [`LeanFile`]; feeds `merged.rs`. Any one thread. One file is held whole: a day of minutes.
//!
//! - A quote bar is one level a side, its close. Only changes are stored, so that a minute without a
//!   row leaves the quote standing; one minute after a member's last row its book is a gap, because
//!   the recording says nothing of it any more (Bybit's files of 2022-12-13 stop at 12:00 UTC).
//! - A trade bar does not say who took. Its low is given as a sale and its high as a purchase, half
//!   of the volume each, the extreme that lies farther from the close first: an order is filled where
//!   the minute's range reached it, by at most half of what traded.

use super::{BAR_NS, LeanError, LeanFile, LeanKind, LeanMarket, LeanMember, QuoteBar, TradeBar};
use crate::recording::TapeError;
use crate::recording::source::{Position, Sink, Source};
use ballast_engine::calibration::options::OptionType;
use ballast_engine::units::{Decimal, Lots, Nanos, Side};
use std::path::Path;

/// A day of bars, by the end of their minutes.
pub struct LeanBars {
    venue: Option<String>,
    symbols: Vec<String>,
    rows: Vec<Row>,
    next: usize,
    position: Position,
}

#[derive(Clone, Copy)]
struct Row {
    known_at: u64,
    member: usize,
    bar: Said,
}

#[derive(Clone, Copy)]
enum Said {
    Quote(QuoteBar),
    Trade(TradeBar),
    /// The member has no more rows.
    Over,
}

impl LeanBars {
    /// Reads a zip of quote or trade bars.
    ///
    /// # Errors
    /// The archive or a row is broken, or it holds no bars.
    pub fn open(path: &Path) -> Result<LeanBars, TapeError> {
        let position = Position::new(path, "row");
        let bad = |error: LeanError| match error {
            LeanError::Io { path, source } => TapeError::Unreadable { file: path, source },
            LeanError::Row { path, member, row, reason } => TapeError::Record {
                file: path,
                unit: "line",
                number: row as u64,
                why: format!("{reason} (in its member {member})"),
            },
            // Its text begins with the file's name, as the position's does.
            other => {
                let (text, name) = (other.to_string(), format!("{}: ", path.display()));
                position.fault(text.strip_prefix(&name).unwrap_or(&text))
            }
        };
        let file = LeanFile::open(path).map_err(bad)?;
        let (mut symbols, mut rows) = (Vec::new(), Vec::new());
        for member in file.members() {
            let place = symbols.len();
            symbols.push(symbol(member));
            let row = |starts_at: Nanos, bar| {
                let known_at = starts_at.0.saturating_add(BAR_NS);
                Row { known_at, member: place, bar }
            };
            match member.kind {
                LeanKind::Quote => {
                    let quotes = file.quotes(member).map_err(bad)?;
                    rows.extend(quotes.iter().map(|q| row(q.starts_at, Said::Quote(*q))));
                    if let Some(last) = quotes.last() {
                        rows.push(row(Nanos(last.starts_at.0.saturating_add(BAR_NS)), Said::Over));
                    }
                }
                LeanKind::Trade => {
                    let trades = file.trades(member).map_err(bad)?;
                    rows.extend(trades.iter().map(|t| row(t.starts_at, Said::Trade(*t))));
                }
                LeanKind::OpenInterest => {
                    return Err(position.fault("open interest holds no book and no trades"));
                }
            }
        }
        if rows.is_empty() {
            return Err(TapeError::Empty { file: path.to_path_buf() });
        }
        rows.sort_by_key(|row| (row.known_at, row.member));
        Ok(LeanBars { venue: venue_of(path), symbols, rows, next: 0, position })
    }
}

/// The market of a Lean path, where it has one that trades.
pub fn traded_market(path: &Path) -> Option<LeanMarket> {
    LeanMarket::of(path).filter(|market| !matches!(market, LeanMarket::Index))
}

/// The folder in front of `minute`: `bybit`, `cme`.
fn venue_of(path: &Path) -> Option<String> {
    let folders: Vec<_> = path.iter().map(|folder| folder.to_string_lossy()).collect();
    let minute = folders.iter().rposition(|folder| folder == "minute")?;
    folders.get(minute.checked_sub(1)?).map(|venue| venue.to_string())
}

/// BTCUSDT, ES-202003, ES-20200320-C-3750.
fn symbol(member: &LeanMember) -> String {
    let mut text = member.symbol.to_ascii_uppercase();
    if let Some((year, month)) = member.contract_month {
        text.push_str(&format!("-{year:04}{month:02}"));
    }
    if let Some(option) = &member.option {
        let right = match option.option_type {
            OptionType::Call => 'C',
            OptionType::Put => 'P',
        };
        let expiry = option.expiry;
        let (year, month, day) = (expiry.year(), expiry.month(), expiry.day());
        let strike = option.strike.to_string();
        let strike = strike.trim_end_matches('0').trim_end_matches('.');
        text.push_str(&format!("-{year:04}{month:02}{day:02}-{right}-{strike}"));
    }
    text
}

impl Source for LeanBars {
    fn advance(&mut self) -> Result<bool, TapeError> {
        self.next += 1;
        self.position.number = self.next as u64;
        Ok(self.next <= self.rows.len())
    }

    fn received(&self) -> u64 {
        let row = self.next.checked_sub(1).and_then(|place| self.rows.get(place));
        row.map_or(0, |row| row.known_at)
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn take(&mut self, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let row = self.next.checked_sub(1).and_then(|place| self.rows.get(place)).copied();
        let Some(row) = row else { return Ok(()) };
        let Some(place) = sink.place(&self.symbols[row.member]) else { return Ok(()) };
        let at = Nanos(row.known_at);
        match row.bar {
            Said::Quote(quote) => {
                for (side, bar) in Side::BOTH.into_iter().zip([quote.bid, quote.ask]) {
                    let level: Vec<(Decimal, Decimal)> =
                        bar.iter().map(|bar| (bar.close, bar.size)).collect();
                    sink.show(place, side, &level, at)?;
                }
            }
            Said::Trade(TradeBar { bar, .. }) => {
                let low = sink.ticks(place, bar.low)?;
                let high = sink.ticks(place, bar.high)?;
                let close = sink.ticks(place, bar.close)?;
                let volume = sink.lots(place, bar.size)?;
                if let (Some(low), Some(high), Some(close), Some(Lots(volume))) =
                    (low, high, close, volume)
                {
                    let of_low = volume / 2;
                    let sale = (Side::Sell, low, Lots(of_low));
                    let purchase = (Side::Buy, high, Lots(volume - of_low));
                    let is_low_first = close.0 - low.0 >= high.0 - close.0;
                    let both = if is_low_first { [sale, purchase] } else { [purchase, sale] };
                    for (aggressor, price, size) in both {
                        sink.counted_trade(place, aggressor, (price, size), at);
                    }
                }
            }
            Said::Over => sink.gap(place, at),
        }
        sink.finish();
        Ok(())
    }

    fn venue(&self) -> Option<&str> {
        self.venue.as_deref()
    }
}
