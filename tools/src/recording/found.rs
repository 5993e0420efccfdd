//! What a folder of recordings holds, by content, and which of it is the config's.
//!
//! Fed by the command line; feeds `merged.rs` with the sources of the config's instruments. Any one
//! thread. Deliberately absent: hftbacktest's folders (`hftbacktest_files`), which are named by part.
//!
//! A symbol is the config's where letters and digits agree (`BTC-USDT` is `btcusdt`; a perpetual's
//! `PERP`, `SWAP` or `PERPETUAL` at the end does not count), the kind does where the folder says it,
//! and the venue does where several venues of the folder have it. Of several books of one instrument
//! the finest plays; trades alone play where that book brings none of its own.

use super::TapeError;
use super::capture::Capture;
use super::databento::{self, Databento};
use super::lean::LeanMarket;
use super::lean::bars::{LeanBars, traded_market};
use super::merged::{Merged, survey};
use super::source::{Market, Source, Symbols};
use super::stanza;
use super::tardis::{HEADER, Tardis};
use super::text_lines::TextLines;
use ballast_engine::instrument::{Instrument, InstrumentKind};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many messages of a file are looked at to learn its symbols and their steps.
const SURVEY_MESSAGES: u64 = 4_096;
const DEPTH_MAX: usize = 12;
const FILES_MAX: usize = 100_000;

/// A format that is told by content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Databento, with its schema.
    Databento(dbn::Schema),
    /// Tardis csv.
    Tardis,
    /// Lean minute bars.
    Lean(LeanMarket),
    /// A cryptofeed websocket capture.
    Capture,
    /// Bybit's published books.
    BybitZip,
}

impl Format {
    /// Its name for people.
    pub fn name(self) -> String {
        match self {
            Format::Databento(schema) => format!("Databento {schema}"),
            Format::Tardis => "Tardis csv".into(),
            Format::Lean(_) => "Lean minute bars".into(),
            Format::Capture => "cryptofeed capture".into(),
            Format::BybitZip => "Bybit books".into(),
        }
    }
}

/// One recorded file and what it is of.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub format: Format,
    /// Whose it is, where it says.
    pub venue: Option<String>,
    /// Its symbols, each with the steps of its prices and sizes.
    pub symbols: Vec<(String, Market)>,
    /// How fine its book is (0: none), and whether it has trades.
    content: (u8, bool),
}

/// A folder (or one file) of recordings.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    files: Vec<Found>,
    left_out: Vec<String>,
}

/// A tape and the words that say what it is.
pub struct Opened {
    /// The market.
    pub tape: Merged,
    /// Which files play which instruments, and what was left out.
    pub note: String,
    /// The files that play, in order.
    pub files: Vec<PathBuf>,
}

impl Folder {
    /// Looks at every file below `path`, and into those that are recordings.
    ///
    /// # Errors
    /// Something cannot be read, a recording is broken, or there is none.
    pub fn look(path: &Path) -> Result<Folder, TapeError> {
        let mut paths = Vec::new();
        collect(path, 0, &mut paths)?;
        let (mut files, mut left_out) = (Vec::new(), Vec::new());
        for file in paths {
            match format_of(&file)? {
                Some(format) => files.push(look_into(file, format)?),
                None => left_out.push(name_of(&file)),
            }
        }
        let folder = Folder { path: path.to_path_buf(), files, left_out };
        if folder.files.is_empty() {
            let seen = if folder.left_out.is_empty() {
                "no files".to_owned()
            } else {
                folder.left_out.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
            };
            return Err(TapeError::NothingKnown { folder: folder.path, seen });
        }
        Ok(folder)
    }

    /// The files.
    pub fn files(&self) -> &[Found] {
        &self.files
    }

    /// Opens what is of these instruments. `venue_of` names an instrument's venue, where known.
    ///
    /// # Errors
    /// None of the instruments is in the folder, or a file is broken.
    pub fn open(
        &self,
        instruments: &[Instrument],
        venue_of: &dyn Fn(&Instrument) -> Option<String>,
        clock_offset_ns: i64,
    ) -> Result<Opened, TapeError> {
        let mut places: Vec<Symbols> = self.files.iter().map(Symbols::none_of).collect();
        let mut notes = Vec::new();
        for (place, instrument) in instruments.iter().enumerate() {
            let chosen = self.choose(instrument, venue_of(instrument).as_deref());
            if chosen.is_empty() {
                notes.push(format!("{}: not recorded", instrument.symbol()));
            }
            for (file, symbol) in chosen {
                places[file].places.insert(symbol.clone(), Some(place));
                let found = &self.files[file];
                let (format, name) = (found.format.name(), name_of(&found.path));
                notes.push(format!("{}: {format} {name}", instrument.symbol()));
            }
        }
        let (mut sources, mut files) = (Vec::new(), Vec::new());
        for (found, symbols) in self.files.iter().zip(places) {
            if symbols.places.values().any(Option::is_some) {
                sources.push((open(&found.path, found.format)?, symbols));
                files.push(found.path.clone());
            }
        }
        if sources.is_empty() {
            return Err(stanza::no_instrument(&self.path, &self.files));
        }
        let unused = self.files.iter().filter(|found| !files.contains(&found.path));
        let unused: Vec<String> = unused.map(|found| name_of(&found.path)).collect();
        for (what, names) in [("not played", &unused), ("no market data", &self.left_out)] {
            if !names.is_empty() {
                let first = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
                let more = if names.len() > 4 { ", …" } else { "" };
                notes.push(format!("{what}: {} ({first}{more})", names.len()));
            }
        }
        let tape = Merged::new(instruments, sources, clock_offset_ns)?;
        Ok(Opened { tape, note: notes.join("; "), files })
    }

    /// The files that play an instrument, each with the symbol that it has there.
    fn choose(&self, instrument: &Instrument, venue: Option<&str>) -> Vec<(usize, &String)> {
        let mut fitting = Vec::new();
        for (place, file) in self.files.iter().enumerate() {
            let names = file.symbols.iter().map(|(name, _)| name);
            fitting.extend(names.filter(|name| fits(instrument, name, file)).map(|n| (place, n)));
        }
        let of_venue = |&(place, _): &(usize, &String)| {
            venue.zip(self.files[place].venue.as_deref()).is_some_and(|(a, b)| plain(a) == plain(b))
        };
        if fitting.iter().any(of_venue) {
            fitting.retain(of_venue);
        }
        // Several venues and none of them the config's: the first, so that books never mix.
        if let Some(&(first, _)) = fitting.first() {
            let venue = &self.files[first].venue;
            fitting.retain(|&(place, _)| &self.files[place].venue == venue);
        }
        let finest = fitting.iter().map(|&(place, _)| self.files[place].content).max();
        let Some((rank, has_trades)) = finest else { return fitting };
        fitting.retain(|&(place, _)| {
            let content = self.files[place].content;
            content.0 == rank || (content.0 == 0 && !has_trades)
        });
        fitting
    }
}

impl Symbols {
    fn none_of(file: &Found) -> Symbols {
        let places = file.symbols.iter().map(|(name, _)| (name.clone(), None)).collect();
        Symbols { places, is_survey: false }
    }
}

fn look_into(path: PathBuf, format: Format) -> Result<Found, TapeError> {
    let mut source = open(&path, format)?;
    let symbols = survey(source.as_mut(), SURVEY_MESSAGES)?;
    let venue = source.venue().map(str::to_owned);
    let content = content(&path, format)?;
    Ok(Found { path, format, venue, symbols, content })
}

fn content(path: &Path, format: Format) -> Result<(u8, bool), TapeError> {
    Ok(match format {
        Format::Databento(schema) => databento::content(schema),
        Format::Tardis => Tardis::open(path)?.content(),
        Format::Lean(_) => {
            let is_quote = name_of(path).contains("_quote");
            (if is_quote { 4 } else { 0 }, !is_quote)
        }
        Format::Capture | Format::BybitZip => (6, format == Format::Capture),
    })
}

fn open(path: &Path, format: Format) -> Result<Box<dyn Source>, TapeError> {
    Ok(match format {
        Format::Databento(_) => Box::new(Databento::open(path)?),
        Format::Tardis => Box::new(Tardis::open(path)?),
        Format::Lean(_) => Box::new(LeanBars::open(path)?),
        Format::Capture => Box::new(Capture::open(path)?),
        Format::BybitZip => Box::new(Capture::open_bybit_zip(path)?),
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Every file below a folder, in the order of their names.
pub(super) fn collect(path: &Path, depth: usize, out: &mut Vec<PathBuf>) -> Result<(), TapeError> {
    let unreadable = |source| TapeError::Unreadable { file: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        out.push(path.to_path_buf());
        return Ok(());
    }
    if depth >= DEPTH_MAX || out.len() >= FILES_MAX {
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> =
        entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().try_for_each(|path| collect(path, depth + 1, out))
}

/// What a file is by its first bytes; `None` where it is no market data.
fn format_of(path: &Path) -> Result<Option<Format>, TapeError> {
    let unreadable = |source| TapeError::Unreadable { file: path.to_path_buf(), source };
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(64).read_to_end(&mut head).map_err(unreadable)?;
    let name = name_of(path);
    let ends = |tails: &[&str]| tails.iter().any(|tail| name.ends_with(tail));
    if head.is_empty() {
        let is_recording = ends(&[".dbn", ".zst", ".zip", ".csv", ".gz"]) || name.contains(".ws.");
        let empty = || TapeError::Empty { file: path.to_path_buf() };
        return if is_recording { Err(empty()) } else { Ok(None) };
    }
    if head.starts_with(b"DBN")
        || head.starts_with(b"\x28\xb5\x2f\xfd")
        || ends(&[".dbn", ".dbn.zst"])
    {
        let schema = Databento::schema(path)?;
        return Ok(schema.filter(|s| databento::is_read(*s)).map(Format::Databento));
    }
    if head.starts_with(b"PK\x03\x04") || (ends(&[".zip"]) && traded_market(path).is_some()) {
        let is_bars = name.contains("_quote") || name.contains("_trade");
        return Ok(match traded_market(path).filter(|_| is_bars) {
            Some(market) => Some(Format::Lean(market)),
            None if name.ends_with(".data.zip") => Some(Format::BybitZip),
            None => None,
        });
    }
    if head.starts_with(b"wss://") || head.starts_with(b"ws://") {
        let is_socket = head.windows(4).any(|part| part == b" <->") || name.contains(".ws.");
        return Ok(is_socket.then_some(Format::Capture));
    }
    let mut is_tardis = head.starts_with(HEADER.as_bytes());
    if head.starts_with(&[0x1f, 0x8b]) && ends(&[".csv.gz"]) {
        let mut lines = TextLines::open(path)?;
        is_tardis = lines.advance()? && lines.line()?.starts_with(HEADER);
    }
    Ok(is_tardis.then_some(Format::Tardis))
}

/// Letters and digits alone, upper case.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn fits(instrument: &Instrument, symbol: &str, file: &Found) -> bool {
    let is_perpetual = matches!(
        instrument.spec().kind,
        InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual
    );
    let is_kind = match file.format {
        Format::Lean(LeanMarket::Crypto) => instrument.spec().kind == InstrumentKind::Spot,
        Format::Lean(LeanMarket::CryptoFuture) => is_perpetual,
        Format::Lean(LeanMarket::Future) => {
            matches!(instrument.spec().kind, InstrumentKind::DatedFuture { .. })
        }
        Format::Lean(LeanMarket::FutureOption | LeanMarket::IndexOption) => {
            instrument.option().is_some()
        }
        Format::Lean(LeanMarket::Index) => false,
        Format::Databento(_) | Format::Tardis | Format::Capture | Format::BybitZip => true,
    };
    let core = |text: &str| {
        let text = plain(text);
        let tails = ["PERPETUAL", "PERP", "SWAP"];
        let tail = tails.iter().find_map(|tail| text.strip_suffix(tail)).filter(|_| is_perpetual);
        tail.map_or_else(|| text.clone(), str::to_owned)
    };
    is_kind && core(instrument.symbol()) == core(symbol)
}
