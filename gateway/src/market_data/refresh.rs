//! MarketDataSnapshotFullRefresh(W) and MarketDataIncrementalRefresh(X), read in one pass.
//!
//! Fed by the feed with decoded messages; feeds it with entries in ticks and lots. Feed thread; the
//! entries go into a table that is made once. All or nothing: a message that breaks the dictionary
//! yields no entry, because half a message makes a wrong book. Deliberately absent: books.
//!
//! Where a group leaves out what the entry before it said, it holds on: Symbol(55), MDEntryDate(272)
//! and MDEntryTime(273). Binance writes X that way, and it halves the bytes.

use super::order_book::EntryId;
use crate::fix::message::Message;
use crate::fix::{tag, timestamp, value};
use crate::session::SessionConfig;
use crate::venue::symbols::Symbols;
use ballast_engine::units::{DecimalError, Lots, Nanos, Side, Ticks};
use std::slice::IterMut;

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

impl Entry {
    /// Nothing is said yet but what holds on from the entry before.
    #[inline(always)]
    fn begun(place: Option<usize>) -> Entry {
        Entry {
            action: Action::New,
            kind: EntryKind::Unsaid,
            place,
            id: EntryId::default(),
            ref_id: EntryId::default(),
            price: None,
            size: None,
            is_off_grid: false,
            aggressor: None,
            venue_at: Nanos(0),
            is_last: false,
        }
    }
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

/// What a field is to the reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Nothing.
    Other,
    MdReqId,
    Count,
    Symbol,
    Action,
    Kind,
    Id,
    RefId,
    Price,
    Size,
    Date,
    Time,
    TransactTime,
    Aggressor,
}

/// What each tag is, looked up: a comparison with one tag after the other took half of the reading.
struct Roles([Role; Roles::COUNT]);

impl Roles {
    /// All that is read stands below, but for the aggressor's side.
    const COUNT: usize = 512;

    /// Where this tag names what is traded.
    fn named_by(symbol_tag: u32) -> Roles {
        let mut roles = Roles([Role::Other; Roles::COUNT]);
        for (tag, role) in [
            (tag::MD_REQ_ID, Role::MdReqId),
            (tag::NO_MD_ENTRIES, Role::Count),
            (symbol_tag, Role::Symbol),
            (tag::MD_UPDATE_ACTION, Role::Action),
            (tag::MD_ENTRY_TYPE, Role::Kind),
            (tag::MD_ENTRY_ID, Role::Id),
            (tag::MD_ENTRY_REF_ID, Role::RefId),
            (tag::MD_ENTRY_PX, Role::Price),
            (tag::MD_ENTRY_SIZE, Role::Size),
            (tag::MD_ENTRY_DATE, Role::Date),
            (tag::MD_ENTRY_TIME, Role::Time),
            (tag::TRANSACT_TIME, Role::TransactTime),
        ] {
            if let Some(place) = roles.0.get_mut(tag as usize) {
                *place = role;
            }
        }
        roles
    }

    #[inline(always)]
    fn of(&self, tag: u32) -> Role {
        match self.0.get(tag as usize) {
            Some(role) => *role,
            None if tag == AGGRESSOR_SIDE || tag == AGGRESSOR_SIDE_FIX_50 => Role::Aggressor,
            None => Role::Other,
        }
    }
}

/// The table of entries, and what the message says beside them.
pub struct Refresh {
    entries: Box<[Entry]>,
    /// How many of them the message has.
    count: usize,
    md_req_id: Option<u64>,
    symbol: Option<usize>,
    /// What the last message was about: the next one mostly is too.
    guess: Option<usize>,
    roles: Roles,
    /// By place: a later entry of the instrument makes an event. All false between two messages.
    has_later: Box<[bool]>,
}

/// What is being read.
struct Reader<'a, 's> {
    symbols: &'s Symbols,
    roles: &'s Roles,
    /// The one whose fields come now.
    entry: Option<&'s mut Entry>,
    /// Where the next ones go.
    room: IterMut<'s, Entry>,
    /// Begins an entry: the action in X, the type in W.
    delimiter: Role,
    /// Texts of the entry, until all of its fields are there: the symbol may come after the price.
    price: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    symbol: Option<usize>,
    guess: Option<usize>,
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
            entries: vec![Entry::begun(None); entries_max].into_boxed_slice(),
            count: 0,
            md_req_id: None,
            symbol: None,
            guess: None,
            roles: Roles::named_by(tag::SYMBOL),
            has_later: vec![false; symbols.count()].into_boxed_slice(),
        }
    }

    /// The same, for a venue that names what is traded by another field.
    pub fn named_by(self, symbol_tag: u32) -> Refresh {
        Refresh { roles: Roles::named_by(symbol_tag), ..self }
    }

    /// The entries of the message that was read last.
    pub fn entries(&self) -> &[Entry] {
        self.entries.get(..self.count).unwrap_or_default()
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
        self.read(message, symbols, Role::Kind)
    }

    /// Reads X.
    pub fn read_increment(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
    ) -> Result<(), Breach> {
        self.read(message, symbols, Role::Action)
    }

    fn read(
        &mut self,
        message: &Message<'_>,
        symbols: &Symbols,
        delimiter: Role,
    ) -> Result<(), Breach> {
        let entries_max = self.entries.len();
        let mut reader = Reader {
            symbols,
            roles: &self.roles,
            entry: None,
            room: self.entries.iter_mut(),
            delimiter,
            price: None,
            size: None,
            symbol: None,
            guess: self.guess,
            date_ns: 0,
            time_ns: 0,
            has_time: false,
            count: None,
            md_req_id: None,
        };
        let answer = reader.take_all(message).and_then(|()| reader.close());
        let count = entries_max - reader.room.len();
        let is_right = reader.count.unwrap_or(0) == count as u64;
        self.md_req_id = reader.md_req_id;
        self.symbol = reader.symbol;
        self.guess = reader.guess;
        let answer = answer.and(if is_right { Ok(()) } else { Err(Breach::WrongCount) });
        self.count = if answer.is_ok() { count } else { 0 };
        self.mark_last(delimiter == Role::Kind);
        answer
    }

    /// Marks the last entry of each instrument: each book is whole there. What makes no event (other
    /// types; in a snapshot also the last trade, which is no new one) cannot be the last.
    fn mark_last(&mut self, is_snapshot: bool) {
        let entries = self.entries.get_mut(..self.count).unwrap_or_default();
        for entry in entries.iter_mut().rev() {
            let makes_event = match entry.kind {
                EntryKind::Level(_) | EntryKind::EmptyBook | EntryKind::Unsaid => true,
                EntryKind::Trade => !is_snapshot,
                EntryKind::Other => false,
            };
            if makes_event
                && let Some(has_later) = entry.place.and_then(|at| self.has_later.get_mut(at))
            {
                entry.is_last = !std::mem::replace(has_later, true);
            }
        }
        // By entry and not by instrument: a venue of a thousand has one or two in a message.
        for entry in entries {
            if let Some(has_later) = entry.place.and_then(|at| self.has_later.get_mut(at)) {
                *has_later = false;
            }
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn take_all(&mut self, message: &Message<'a>) -> Result<(), Breach> {
        let mut fields = message.behind_msg_type();
        while let Some((tag, text)) = fields.next_with() {
            let role = self.roles.of(tag);
            if role != Role::Other {
                self.take(role, tag, text())?;
            }
        }
        Ok(())
    }

    /// What nearly every entry has; the rest stands apart, so that the way through here is short.
    #[inline(always)]
    fn take(&mut self, role: Role, tag: u32, text: &'a [u8]) -> Result<(), Breach> {
        let malformed = Breach::Malformed { tag };
        match role {
            Role::Symbol => self.take_symbol(text),
            Role::Action => {
                self.begin_at(role)?;
                self.entry(tag)?.action = action(text).ok_or(malformed)?;
            }
            Role::Kind => {
                self.begin_at(role)?;
                self.entry(tag)?.kind = kind(text).ok_or(malformed)?;
            }
            Role::Price => {
                self.entry(tag)?;
                self.price = Some(text);
            }
            Role::Size => {
                self.entry(tag)?;
                self.size = Some(text);
            }
            Role::Other
            | Role::MdReqId
            | Role::Count
            | Role::Id
            | Role::RefId
            | Role::Date
            | Role::Time
            | Role::TransactTime
            | Role::Aggressor => self.take_rest(role, tag, text)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn take_rest(&mut self, role: Role, tag: u32, text: &'a [u8]) -> Result<(), Breach> {
        let malformed = Breach::Malformed { tag };
        match role {
            Role::MdReqId | Role::Count => match (role, value::parse_uint(text)) {
                (Role::MdReqId, number) => self.md_req_id = number,
                (_, number) => self.count = Some(number.ok_or(malformed)?),
            },
            Role::Id => self.entry(tag)?.id = EntryId::of(text),
            Role::RefId => self.entry(tag)?.ref_id = EntryId::of(text),
            Role::Date => {
                self.date_ns = date_ns(text).ok_or(malformed)?;
                self.has_time = true;
            }
            Role::Time => {
                self.time_ns = time_ns(text).ok_or(malformed)?;
                self.has_time = true;
            }
            // Binance writes TransactTime(60) where FIX 4.4 has 272 and 273.
            Role::TransactTime if !self.has_time => {
                let at = timestamp::parse(text).ok_or(malformed)?;
                if let Some(entry) = &mut self.entry {
                    entry.venue_at = at;
                }
            }
            Role::Aggressor => {
                self.entry(tag)?.aggressor = match text {
                    b"1" => Some(Side::Buy),
                    b"2" => Some(Side::Sell),
                    _ => None,
                };
            }
            Role::TransactTime | Role::Other => {}
            Role::Symbol | Role::Action | Role::Kind | Role::Price | Role::Size => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn take_symbol(&mut self, text: &[u8]) {
        self.symbol = self.symbols.find_near(text, self.guess);
        self.guess = self.symbol.or(self.guess);
        if let Some(entry) = &mut self.entry {
            entry.place = self.symbol;
        }
    }

    #[inline(always)]
    fn entry(&mut self, tag: u32) -> Result<&mut Entry, Breach> {
        self.entry.as_deref_mut().ok_or(Breach::Misplaced { tag })
    }

    /// A field that begins an entry ends the one before.
    #[inline(always)]
    fn begin_at(&mut self, role: Role) -> Result<(), Breach> {
        if role == self.delimiter {
            self.close()?;
            let entry = self.room.next().ok_or(Breach::TooManyEntries)?;
            *entry = Entry::begun(self.symbol);
            self.entry = Some(entry);
        }
        Ok(())
    }

    /// All fields of the entry are there.
    fn close(&mut self) -> Result<(), Breach> {
        let (price, size) = (self.price.take(), self.size.take());
        let Some(entry) = self.entry.take() else { return Ok(()) };
        if self.has_time {
            entry.venue_at = Nanos(self.date_ns.saturating_add(self.time_ns));
        }
        if let Some(symbol) = entry.place.and_then(|place| self.symbols.at(place)) {
            if let Some(text) = price {
                let read = symbol.ticks(text);
                entry.price = on_grid(read, &mut entry.is_off_grid, tag::MD_ENTRY_PX)?;
            }
            if let Some(text) = size {
                let read = symbol.lots(text);
                entry.size = on_grid(read, &mut entry.is_off_grid, tag::MD_ENTRY_SIZE)?;
            }
        }
        Ok(())
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

#[inline]
fn on_grid<T>(
    read: Result<T, DecimalError>,
    is_off_grid: &mut bool,
    tag: u32,
) -> Result<Option<T>, Breach> {
    match read {
        Ok(count) => Ok(Some(count)),
        Err(DecimalError::OffGrid | DecimalError::TooManyDigits) => {
            *is_off_grid = true;
            Ok(None)
        }
        Err(DecimalError::NotANumber) => Err(Breach::Malformed { tag }),
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
