//! MarketDataSnapshotFullRefresh(W) and MarketDataIncrementalRefresh(X), read in one pass.
//!
//! Fed by the feed with decoded messages; feeds it with entries in ticks and lots. Feed thread; the
//! entries go into a table that is made once. All or nothing: a message that breaks the dictionary
//! yields no entry, because half a message makes a wrong book. Deliberately absent: books.
//!
//! Where a group leaves out what the entry before it said, it holds on: Symbol(55), MDEntryDate(272)
//! and MDEntryTime(273). Binance writes X that way, and it halves the bytes.

use super::order_book::EntryId;
use crate::fix::message::{Field, Message};
use crate::fix::{tag, timestamp, value};
use crate::session::SessionConfig;
use crate::venue::symbols::Symbols;
use ballast_engine::units::{DecimalError, Lots, Nanos, Side, Ticks};

/// The aggressor's side of a trade entry: 1 bought, 2 sold. FIX 4.4 has no field for it; CME's tag,
/// which lies in the user-defined range, so that a FIX 4.4 dictionary lets it pass. The simulated
/// venue writes it.
pub const AGGRESSOR_SIDE: u32 = 5797;
/// AggressorSide of FIX 5.0 SP2, which Binance writes into its FIX 4.4.
pub const AGGRESSOR_SIDE_FIX_50: u32 = 2446;

/// Most entries in a message of a live feed: both sides of a book of 5,000 levels, and some.
pub const ENTRIES_MAX: usize = 10_240;
/// Most fields in an entry, and the longest message: of [`ENTRIES_MAX`] entries of a hundred bytes.
const ENTRY_FIELDS_MAX: usize = 10;
const MESSAGE_LEN_MAX: usize = 1 << 20;

/// A session that takes messages as long as a whole book: a venue answers V with all of it in one W, and one
/// that is too long for the session would be garbled, its number missing and asked for again without end.
pub fn fit_whole_books(session: &mut SessionConfig) {
    session.message_len_max = session.message_len_max.max(MESSAGE_LEN_MAX);
    session.fields_max = session.fields_max.max(ENTRIES_MAX * ENTRY_FIELDS_MAX);
}

const NS_PER_DAY: u64 = 86_400_000_000_000;

/// What an entry is about: MDEntryType(269).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// 0 and 1.
    Level(Side),
    /// 2.
    Trade,
    /// J: the book is empty.
    EmptyBook,
    /// Statistics, indices and what else is not ours.
    Other,
    /// It does not say: an order that is changed or deleted is named by its MDEntryID(278) alone.
    Unsaid,
}

/// What an entry does: MDUpdateAction(279).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// 0.
    New,
    /// 1.
    Change,
    /// 2.
    Delete,
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it does.
    pub action: Action,
    /// What it is about.
    pub kind: EntryKind,
    /// Where its symbol stands in [`Symbols`]; `None` where the symbol is not ours.
    pub place: Option<usize>,
    /// MDEntryID(278).
    pub id: EntryId,
    /// MDEntryRefID(280).
    pub ref_id: EntryId,
    /// MDEntryPx(270).
    pub price: Option<Ticks>,
    /// MDEntrySize(271).
    pub size: Option<Lots>,
    /// A price or size is not on the instrument's grid.
    pub is_off_grid: bool,
    /// Who took, where the venue says.
    pub aggressor: Option<Side>,
    /// MDEntryDate(272) and MDEntryTime(273); 0 where absent.
    pub venue_at: Nanos,
    /// The last entry of its instrument in the message that makes an event.
    pub is_last: bool,
}

/// Why a message yields nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breach {
    /// A value that is no value of its field.
    Malformed {
        /// Which field.
        tag: u32,
    },
    /// NoMDEntries(268) says another number.
    WrongCount,
    /// More entries than the table holds.
    TooManyEntries,
    /// A field of an entry before the first entry.
    Misplaced {
        /// Which field.
        tag: u32,
    },
}

/// The texts of an entry, until all of its fields are there: the symbol may come after the price.
#[derive(Clone, Copy)]
struct Draft<'a> {
    entry: Entry,
    price: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
}

/// The table of entries, and what the message says beside them.
pub struct Refresh {
    entries: Vec<Entry>,
    entries_max: usize,
    md_req_id: Option<u64>,
    symbol: Option<usize>,
    /// Symbol(55), or SecurityID(48).
    symbol_tag: u32,
    /// By place: where the instrument's last entry stands.
    last_of: Box<[usize]>,
}

/// What is being read.
struct Reader<'a, 's> {
    symbols: &'s Symbols,
    symbol_tag: u32,
    entries: &'s mut Vec<Entry>,
    entries_max: usize,
    /// Begins an entry: 279 in X, 269 in W.
    delimiter: u32,
    draft: Option<Draft<'a>>,
    symbol: Option<usize>,
    date_ns: u64,
    time_ns: u64,
    has_time: bool,
    count: Option<u64>,
    md_req_id: Option<u64>,
}

impl Refresh {
    /// A table for messages of at most `entries_max` entries.
    pub fn new(entries_max: usize, symbols: &Symbols) -> Refresh {
        Refresh {
            entries: Vec::with_capacity(entries_max),
            entries_max,
            md_req_id: None,
            symbol: None,
            symbol_tag: tag::SYMBOL,
            last_of: vec![0; symbols.count()].into_boxed_slice(),
        }
    }

    /// The same, for a venue that names what is traded by another field.
    pub fn named_by(self, symbol_tag: u32) -> Refresh {
        Refresh { symbol_tag, ..self }
    }

    /// The entries of the message that was read last.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// MDReqID(262) of that message, where it is a number as we give them.
    pub fn md_req_id(&self) -> Option<u64> {
        self.md_req_id
    }

    /// Where the message's last Symbol(55) stands: in W, the instrument of the whole message.
    pub fn place(&self) -> Option<usize> {
        self.symbol
    }

    /// Reads W: every entry is new.
    pub fn read_snapshot(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
    ) -> Result<(), Breach> {
        self.read(message, symbols, tag::MD_ENTRY_TYPE)
    }

    /// Reads X.
    pub fn read_increment(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
    ) -> Result<(), Breach> {
        self.read(message, symbols, tag::MD_UPDATE_ACTION)
    }

    fn read(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
        delimiter: u32,
    ) -> Result<(), Breach> {
        self.entries.clear();
        self.md_req_id = None;
        let mut reader = Reader {
            symbols,
            symbol_tag: self.symbol_tag,
            entries: &mut self.entries,
            entries_max: self.entries_max,
            delimiter,
            draft: None,
            symbol: None,
            date_ns: 0,
            time_ns: 0,
            has_time: false,
            count: None,
            md_req_id: None,
        };
        let mut answer = Ok(());
        for field in message.fields() {
            answer = reader.take(&field);
            if answer.is_err() {
                break;
            }
        }
        let answer = answer.and_then(|()| reader.finish());
        self.md_req_id = reader.md_req_id;
        self.symbol = reader.symbol;
        if answer.is_err() {
            self.entries.clear();
        }
        self.mark_last(delimiter == tag::MD_ENTRY_TYPE);
        answer
    }

    /// Marks the last entry of each instrument: each book is whole there. What makes no event (other
    /// types; in a snapshot also the last trade, which is no new one) cannot be the last.
    fn mark_last(&mut self, is_snapshot: bool) {
        for (entry, number) in self.entries.iter().zip(1usize..) {
            let makes_event = match entry.kind {
                EntryKind::Level(_) | EntryKind::EmptyBook | EntryKind::Unsaid => true,
                EntryKind::Trade => !is_snapshot,
                EntryKind::Other => false,
            };
            if !makes_event {
                continue;
            }
            if let Some(last) = entry.place.and_then(|place| self.last_of.get_mut(place)) {
                *last = number;
            }
        }
        for last in &mut self.last_of {
            if let Some(entry) = last.checked_sub(1).and_then(|at| self.entries.get_mut(at)) {
                entry.is_last = true;
            }
            *last = 0;
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, field: &Field<'a>) -> Result<(), Breach> {
        let text = field.value;
        if field.tag == self.delimiter {
            self.close()?;
            self.open()?;
        }
        let malformed = Breach::Malformed { tag: field.tag };
        match field.tag {
            tag::MD_REQ_ID => self.md_req_id = value::parse_uint(text),
            tag::NO_MD_ENTRIES => self.count = Some(value::parse_uint(text).ok_or(malformed)?),
            named if named == self.symbol_tag => {
                self.symbol = self.symbols.find_near(text, self.symbol);
                if let Some(draft) = &mut self.draft {
                    draft.entry.place = self.symbol;
                }
            }
            tag::MD_UPDATE_ACTION => {
                let action = action(text).ok_or(malformed)?;
                self.entry(field.tag)?.entry.action = action;
            }
            tag::MD_ENTRY_TYPE => {
                let kind = kind(text).ok_or(malformed)?;
                self.entry(field.tag)?.entry.kind = kind;
            }
            tag::MD_ENTRY_ID => self.entry(field.tag)?.entry.id = EntryId::of(text),
            tag::MD_ENTRY_REF_ID => self.entry(field.tag)?.entry.ref_id = EntryId::of(text),
            tag::MD_ENTRY_PX => self.entry(field.tag)?.price = Some(text),
            tag::MD_ENTRY_SIZE => self.entry(field.tag)?.size = Some(text),
            tag::MD_ENTRY_DATE => {
                self.date_ns = date_ns(text).ok_or(malformed)?;
                self.has_time = true;
            }
            tag::MD_ENTRY_TIME => {
                self.time_ns = time_ns(text).ok_or(malformed)?;
                self.has_time = true;
            }
            // Binance writes TransactTime(60) where FIX 4.4 has 272 and 273.
            tag::TRANSACT_TIME if !self.has_time => {
                let at = timestamp::parse(text).ok_or(malformed)?;
                if let Some(draft) = &mut self.draft {
                    draft.entry.venue_at = at;
                }
            }
            AGGRESSOR_SIDE | AGGRESSOR_SIDE_FIX_50 => {
                let side = match text {
                    b"1" => Some(Side::Buy),
                    b"2" => Some(Side::Sell),
                    _ => None,
                };
                self.entry(field.tag)?.entry.aggressor = side;
            }
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, tag: u32) -> Result<&mut Draft<'a>, Breach> {
        self.draft.as_mut().ok_or(Breach::Misplaced { tag })
    }

    fn open(&mut self) -> Result<(), Breach> {
        if self.entries.len() >= self.entries_max {
            return Err(Breach::TooManyEntries);
        }
        let entry = Entry {
            action: Action::New,
            kind: EntryKind::Unsaid,
            place: self.symbol,
            id: EntryId::default(),
            ref_id: EntryId::default(),
            price: None,
            size: None,
            is_off_grid: false,
            aggressor: None,
            venue_at: Nanos(0),
            is_last: false,
        };
        self.draft = Some(Draft { entry, price: None, size: None });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Breach> {
        let Some(Draft { mut entry, price, size }) = self.draft.take() else { return Ok(()) };
        if self.has_time {
            entry.venue_at = Nanos(self.date_ns.saturating_add(self.time_ns));
        }
        if let Some(symbol) = entry.place.and_then(|place| self.symbols.at(place)) {
            let price = price.map(|text| symbol.ticks(text));
            let size = size.map(|text| symbol.lots(text));
            entry.price = on_grid(price, &mut entry.is_off_grid, tag::MD_ENTRY_PX)?;
            entry.size = on_grid(size, &mut entry.is_off_grid, tag::MD_ENTRY_SIZE)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Breach> {
        self.close()?;
        let found = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        if self.count.unwrap_or(0) == found { Ok(()) } else { Err(Breach::WrongCount) }
    }
}

/// MDUpdateAction(279).
fn action(text: &[u8]) -> Option<Action> {
    match text {
        b"0" => Some(Action::New),
        b"1" => Some(Action::Change),
        b"2" => Some(Action::Delete),
        _ => None,
    }
}

/// MDEntryType(269).
fn kind(text: &[u8]) -> Option<EntryKind> {
    match text {
        b"0" => Some(EntryKind::Level(Side::Buy)),
        b"1" => Some(EntryKind::Level(Side::Sell)),
        b"2" => Some(EntryKind::Trade),
        b"J" => Some(EntryKind::EmptyBook),
        [_] => Some(EntryKind::Other),
        _ => None,
    }
}

fn on_grid<T>(
    read: Option<Result<T, DecimalError>>,
    is_off_grid: &mut bool,
    tag: u32,
) -> Result<Option<T>, Breach> {
    match read {
        None => Ok(None),
        Some(Ok(count)) => Ok(Some(count)),
        Some(Err(DecimalError::OffGrid | DecimalError::TooManyDigits)) => {
            *is_off_grid = true;
            Ok(None)
        }
        Some(Err(DecimalError::NotANumber)) => Err(Breach::Malformed { tag }),
    }
}

/// UTCDateOnly, `YYYYMMDD`, as nanoseconds since the epoch.
fn date_ns(text: &[u8]) -> Option<u64> {
    if text.len() != 8 {
        return None;
    }
    let date = value::parse_uint(text)?;
    let days = timestamp::days_of(date / 10_000, date / 100 % 100, date % 100)?;
    days.checked_mul(NS_PER_DAY)
}

/// UTCTimeOnly, `HH:MM:SS` with up to nine digits of fraction, as nanoseconds since midnight.
fn time_ns(text: &[u8]) -> Option<u64> {
    let (seconds, fraction) = text.split_first_chunk::<8>()?;
    let whole = timestamp::second_of_day(seconds)? * 1_000_000_000;
    Some(whole + timestamp::fraction_ns(fraction)?)
}
