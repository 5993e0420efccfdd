//! Recorded markets: files of venues' own messages, merged by the time at which they were received
//! and turned into the engine's market events.
//!
//! Fed by files; feeds the simulated venue and the backtest through [`Tape`]. Any one thread.
//! Deliberately absent: matching, and any price that was rounded.
//!
//! Files of the hftbacktest collector: `lines.rs` reads them, `binance.rs` decodes them, `depth.rs`
//! keeps each book whole, `merge.rs` puts them in order. All others: `found.rs` tells what a folder
//! holds, one file a format is a [`source::Source`] (`databento.rs`, `tardis.rs`, `lean/bars.rs`, and
//! `capture.rs` with a file a venue), and `merged.rs` puts them in order.

pub mod binance;
pub mod bybit;
pub mod capture;
pub mod databento;
pub mod decoded;
pub mod depth;
pub mod deribit;
pub mod found;
pub mod identity;
pub mod kraken;
pub mod lean;
pub mod lines;
pub mod merge;
pub mod merged;
pub mod okx;
pub mod source;
mod stanza;
pub mod tardis;
pub mod text_lines;

use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::instrument::{Instrument, InstrumentKind};
use ballast_engine::units::{Lots, Nanos};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A market that plays: recorded or synthetic. Events come in order of [`MarketEvent::at`].
pub trait Tape {
    /// The next event, `None` at the end. After an error the tape is over.
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError>;
    /// When the next event is due, without taking it; `None` at the end.
    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError>;
    /// The next event, if it is due at `limit` or before.
    #[inline]
    fn next_by(&mut self, limit: Nanos) -> Result<Option<MarketEvent>, TapeError> {
        match self.peek_at()? {
            Some(at) if at <= limit => self.next(),
            Some(_) | None => Ok(None),
        }
    }
    /// What was read and what was left out so far.
    fn counters(&self) -> TapeCounters;
    /// Where the tape knows single orders: which of them left with the event that [`Tape::next`]
    /// gave last.
    fn order_gone(&self) -> Option<OrderGone> {
        None
    }
    /// Where feed latency is the recording's own: when the event that [`Tape::next`] gave last
    /// reached the recorder, its `at` being when it happened.
    fn received_at(&self) -> Option<Nanos> {
        None
    }
    /// Whether it is a recording of single orders, so that [`Tape::order_gone`] misses none.
    fn knows_orders(&self) -> bool {
        false
    }
}

/// One displayed order that was canceled or lost its place, wholly or in part, and not by a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderGone {
    /// Since when it had its place in the queue, in the tape's time.
    pub arrived_at: Nanos,
    /// The same by the venue's clock; 0 where it does not say.
    pub arrived_venue_at: Nanos,
    /// What left.
    pub size: Lots,
}

impl<T: Tape + ?Sized> Tape for Box<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        (**self).next()
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        (**self).peek_at()
    }

    fn counters(&self) -> TapeCounters {
        (**self).counters()
    }

    fn order_gone(&self) -> Option<OrderGone> {
        (**self).order_gone()
    }

    fn received_at(&self) -> Option<Nanos> {
        (**self).received_at()
    }

    fn knows_orders(&self) -> bool {
        (**self).knows_orders()
    }
}

/// What a tape read and what it left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TapeCounters {
    /// Lines read (a synthetic market: messages made).
    pub rows: u64,
    /// Market events given out.
    pub events: u64,
    /// Breaks in a venue's sequence; each is one Gap event.
    pub gaps: u64,
    /// Snapshots that a book was built from.
    pub snapshots: u64,
    /// Snapshots older than the book that stands.
    pub snapshots_old: u64,
    /// Depth messages that the snapshot already holds.
    pub depth_old: u64,
    /// Messages of an instrument that had no book yet.
    pub before_snapshot: u64,
    /// Best prices not newer than the depth stream (or not wanted).
    pub book_tickers_skipped: u64,
    /// Trades outside the book (insurance fund, ADL) or of size 0.
    pub trades_skipped: u64,
    /// Known streams that carry no book and no trade, and subscription answers.
    pub other_streams: u64,
    /// Prices and sizes that are not whole ticks or lots. Their levels or trades are missing.
    pub off_grid: u64,
    /// Messages of instruments that the config does not name.
    pub other_instruments: u64,
    /// Changes of orders that the recording never showed.
    pub unknown_orders: u64,
    /// Events whose venue time is after their receive time: their recorded latency counts as 0.
    pub latency_negative: u64,
    /// Events without a venue time, or with one long before: the last known latency counts.
    pub latency_unknown: u64,
}

impl TapeCounters {
    /// How many there are.
    pub const COUNT: usize = 15;

    /// From their values, in the order of [`TapeCounters::named`].
    pub fn of(values: [u64; TapeCounters::COUNT]) -> TapeCounters {
        let [
            rows,
            events,
            gaps,
            snapshots,
            snapshots_old,
            depth_old,
            before_snapshot,
            book_tickers_skipped,
            trades_skipped,
            other_streams,
            off_grid,
            other_instruments,
            unknown_orders,
            latency_negative,
            latency_unknown,
        ] = values;
        TapeCounters {
            rows,
            events,
            gaps,
            snapshots,
            snapshots_old,
            depth_old,
            before_snapshot,
            book_tickers_skipped,
            trades_skipped,
            other_streams,
            off_grid,
            other_instruments,
            unknown_orders,
            latency_negative,
            latency_unknown,
        }
    }

    /// Every counter with its name, for documents and people.
    pub fn named(&self) -> [(&'static str, u64); TapeCounters::COUNT] {
        [
            ("rows", self.rows),
            ("events", self.events),
            ("gaps", self.gaps),
            ("snapshots", self.snapshots),
            ("snapshots_old", self.snapshots_old),
            ("depth_old", self.depth_old),
            ("before_snapshot", self.before_snapshot),
            ("book_tickers_skipped", self.book_tickers_skipped),
            ("trades_skipped", self.trades_skipped),
            ("other_streams", self.other_streams),
            ("off_grid", self.off_grid),
            ("other_instruments", self.other_instruments),
            ("unknown_orders", self.unknown_orders),
            ("latency_negative", self.latency_negative),
            ("latency_unknown", self.latency_unknown),
        ]
    }
}

/// One recorded file of one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TapeFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whose market it holds. Several files of one instrument: in order of their days.
    pub instrument: InstrumentId,
    /// The symbol inside the file (BTCUSDT), which need not be the Symbol(55) of the config.
    pub symbol: String,
    /// Which rule numbers its depth messages.
    pub numbering: Numbering,
}

/// How a venue numbers its depth messages, so that a missing one is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbering {
    /// Binance spot: `U` is the previous message's `u` + 1.
    Spot,
    /// Binance futures: `pu` is the previous message's `u`.
    Futures,
}

/// Why a tape cannot go on. Each names the place and says what to do.
#[derive(Debug, Error)]
pub enum TapeError {
    /// The file cannot be opened or read.
    #[error("{file}: {source}; check the path and its rights")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No recorded file where one was looked for.
    #[error("{folder}: no recording of {symbol} (a file named {symbol}_*.gz, in small letters)")]
    NotFound {
        /// Where it was looked for.
        folder: PathBuf,
        /// Of what.
        symbol: String,
    },
    /// Not gzip, or damaged inside.
    #[error("{file}: line {line}: the gzip data is damaged ({why}); fetch the file again")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// The line being read.
        line: u64,
        /// What the decompressor says.
        why: String,
    },
    /// The gzip data stops before its end.
    #[error("{file}: truncated after line {line}: the gzip data stops short; fetch the file again")]
    Truncated {
        /// Which file.
        file: PathBuf,
        /// The last whole line.
        line: u64,
    },
    /// Not one event of the config's instruments.
    #[error(
        "{file}: its {rows} messages gave the config's instruments no event ({left_out}); are symbols and \
         venues the config's, and does it begin with a snapshot?"
    )]
    NoEvents {
        /// The first file.
        file: PathBuf,
        /// Messages read.
        rows: u64,
        /// Why they were left out, by count.
        left_out: String,
    },
    /// Nothing in it.
    #[error("{file}: empty; a recording has at least a snapshot, fetch it again or leave it out")]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// A line that is not `<ns> <json>` of a form that is known.
    #[error("{file}: line {line}: {why}; expected `<receive time, ns> <the venue's JSON>`")]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A stream that this reader does not know: left out in silence it could be missed.
    #[error(
        "{file}: line {line}: stream {stream:?} is unknown; known are @depth, @bookTicker and @trade \
         (and @aggTrade, @markPrice, @forceOrder, which are skipped)"
    )]
    UnknownStream {
        /// Which file.
        file: PathBuf,
        /// Which line.
        line: u64,
        /// Its name.
        stream: String,
    },
    /// Another instrument's messages.
    #[error("{file}: line {line}: symbol {found:?}, but this file was given for {wanted:?}")]
    WrongSymbol {
        /// Which file.
        file: PathBuf,
        /// Which line.
        line: u64,
        /// The symbol in the line.
        found: String,
        /// The symbol that was asked for.
        wanted: String,
    },
    /// Too many prices or sizes are no whole ticks or lots: the config's grid is not this market's.
    #[error(
        "{file}: line {line}: {off_grid} of {seen} prices and sizes are off the grid (such as {text:?}); \
         the instrument's tick {tick} or lot {lot} is not the recording's"
    )]
    WrongGrid {
        /// Which file.
        file: PathBuf,
        /// Which line.
        line: u64,
        /// How many were off.
        off_grid: u64,
        /// Of how many.
        seen: u64,
        /// One of them.
        text: String,
        /// The tick that was configured.
        tick: String,
        /// The lot that was configured.
        lot: String,
    },
    /// A record of another format than hftbacktest's that cannot be believed.
    #[error("{file}: {unit} {number}: {why}")]
    Record {
        /// Which file.
        file: PathBuf,
        /// What is counted: "line" or "record".
        unit: &'static str,
        /// Which, from 1; 0 is the file's head.
        number: u64,
        /// What is wrong with it and what was expected.
        why: String,
    },
    /// Nothing in the folder is a recording.
    #[error(
        "{folder}: no recording found ({seen}); known are hftbacktest's folders spot, usdm and cm, \
         Databento .dbn and .dbn.zst, Tardis .csv, Lean minute .zip, and cryptofeed captures of \
         Deribit, OKX, Kraken Futures and Bybit"
    )]
    NothingKnown {
        /// Where it was looked for.
        folder: PathBuf,
        /// What was there.
        seen: String,
    },
    /// The recording is of other instruments than the config.
    #[error(
        "{folder}: none of the config's instruments is in this recording, which has {found}. \
         To trade one of them, put it into the config (fees and lot are yours to check):\n\n{stanza}"
    )]
    NoInstrument {
        /// Where it was looked for.
        folder: PathBuf,
        /// What the recording has.
        found: String,
        /// An `[[instruments]]` table to paste.
        stanza: String,
    },
    /// Latencies were asked for that the recording does not hold.
    #[error(
        "the recording does not say when its events happened, so it holds no latency: give \
         --latency a duration or a file"
    )]
    NoVenueTimes,
    /// Increments without the book that they change.
    #[error(
        "{file}: no snapshot for its depth messages (looked through {messages}); \
         give the file of the day before in front of it"
    )]
    NoSnapshot {
        /// The last file of the instrument that was read.
        file: PathBuf,
        /// How many depth messages were kept back.
        messages: usize,
    },
}

/// The files of `symbol` in `folder`, by name, which for `btcusdt_20240808.gz` is by day.
pub fn files_of(folder: &Path, symbol: &str) -> Result<Vec<PathBuf>, TapeError> {
    let unreadable = |source| TapeError::Unreadable { file: folder.to_path_buf(), source };
    let head = format!("{}_", symbol.to_ascii_lowercase());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase());
        // btcusd_perp_… is not a day of btcusd: what follows the symbol is a date.
        if name.is_some_and(|n| {
            n.strip_prefix(&head).is_some_and(|rest| {
                rest.ends_with(".gz") && rest.starts_with(|c: char| c.is_ascii_digit())
            })
        }) {
            found.push(path);
        }
    }
    if found.is_empty() {
        let folder = folder.to_path_buf();
        return Err(TapeError::NotFound { folder, symbol: symbol.to_ascii_lowercase() });
    }
    found.sort();
    Ok(found)
}

/// The files of these instruments in a folder laid out as hftbacktest's examples are: `spot`, `usdm`
/// (linear) and `cm` (inverse). A symbol there has no `-PERP` for a linear perpetual, and `_` for `-`.
pub fn hftbacktest_files(
    folder: &Path,
    instruments: &[Instrument],
) -> Result<Vec<TapeFile>, TapeError> {
    let mut files = Vec::new();
    for instrument in instruments {
        let name = instrument.symbol().replace('-', "_");
        let (part, symbol, numbering) = match instrument.spec().kind {
            InstrumentKind::Spot => ("spot", name.as_str(), Numbering::Spot),
            InstrumentKind::LinearPerpetual
            | InstrumentKind::DatedFuture { .. }
            | InstrumentKind::Option(_) => {
                ("usdm", name.strip_suffix("_PERP").unwrap_or(&name), Numbering::Futures)
            }
            InstrumentKind::InversePerpetual => ("cm", name.as_str(), Numbering::Futures),
        };
        for path in files_of(&folder.join(part), symbol)? {
            let (instrument, symbol) = (instrument.id(), symbol.to_owned());
            files.push(TapeFile { path, instrument, symbol, numbering });
        }
    }
    Ok(files)
}
