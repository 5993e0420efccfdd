//! Market data in FIX 4.4: V in; W, X and Y out.
//!
//! Fed by `fix_face.rs` with requests and with the events that are due; feeds it message bodies. The
//! venue's thread. Deliberately absent: sessions, and when an event is due.
//!
//! - V: 262, 263 (0, 1, 2), 264 = 0 (the full book), 265 = 1 where given, 267 with 269 of 0, 1, 2,
//!   and 146 with 55. Anything else is answered with Y, which names what is supported.
//! - W, once an instrument and after each break of the tape: 262, 55, 268, then 269 270 271; an empty
//!   book is one entry of 269 = J. A book of more than [`ENTRIES_MAX`] levels goes on in X messages.
//! - X, one for each message of the tape and instrument: 262, 268, then 279 269 55 270 271.
//! - **Time.** MDEntryDate(272) and MDEntryTime(273), the latter with nine digits, stand in the first
//!   entry of a message and hold for the rest: when the entries reach participants in the tape's
//!   time, feed latency included. A participant that runs on the tape's time takes it as its clock.
//! - **Aggressor.** FIX 4.4 has no field for it: trades carry 5797 (1 bought, 2 sold), CME's tag from
//!   the user-defined range, as the feed reads it.

use super::fix_orders::Listing;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::message::{FieldError, Message, optional};
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::fix::{msg_type, tag};
use ballast_gateway::market_data::refresh::AGGRESSOR_SIDE;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of one message at most: four fields each stay within a session's 4096.
pub const ENTRIES_MAX: usize = 900;

/// What a session wants to see of one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// MDReqID(262).
    pub md_req_id: Arc<[u8]>,
    /// Symbol(55).
    pub instrument: InstrumentId,
    /// Bids and offers.
    pub has_levels: bool,
    /// Trades.
    pub has_trades: bool,
}

/// What a MarketDataRequest(V) asks.
#[derive(Debug)]
pub enum MarketRequest {
    /// Snapshots, and updates where it is streaming.
    Subscribe {
        /// One an instrument.
        subscriptions: Vec<Subscription>,
        /// SubscriptionRequestType(263) 1.
        is_streaming: bool,
    },
    /// SubscriptionRequestType(263) 2.
    Unsubscribe {
        /// MDReqID(262).
        md_req_id: Vec<u8>,
    },
    /// MarketDataRequestReject(Y).
    Refused(MarketRefusal),
}

/// MarketDataRequestReject(Y).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarketRefusal {
    md_req_id: Vec<u8>,
    reason: u8,
    text: String,
}

impl MarketRefusal {
    /// The body of the message.
    pub fn write(&self, encoder: &mut Encoder<'_>) {
        encoder
            .bytes(tag::MD_REQ_ID, &self.md_req_id)
            .char(tag::MD_REQ_REJ_REASON, self.reason)
            .str(tag::TEXT, &self.text);
    }
}

/// Reads a MarketDataRequest(V). `is_used` tells whether the session has a live MDReqID.
pub fn read_request(
    message: &Message<'_>,
    listing: &Listing,
    is_used: impl Fn(&[u8]) -> bool,
) -> Result<MarketRequest, FieldError> {
    let md_req_id = message.text(tag::MD_REQ_ID)?;
    let refuse = |reason: u8, text: &str| {
        let (md_req_id, text) = (md_req_id.to_vec(), text.to_owned());
        Ok(MarketRequest::Refused(MarketRefusal { md_req_id, reason, text }))
    };
    let is_streaming = match message.char(tag::SUBSCRIPTION_REQUEST_TYPE)? {
        b'0' => false,
        b'1' => true,
        b'2' => return Ok(MarketRequest::Unsubscribe { md_req_id: md_req_id.to_vec() }),
        _ => return refuse(b'4', "SubscriptionRequestType(263) must be 0, 1 or 2"),
    };
    if is_used(md_req_id) {
        return refuse(b'1', "MDReqID(262) is in use");
    }
    if message.uint(tag::MARKET_DEPTH)? != 0 {
        return refuse(b'5', "MarketDepth(264) must be 0, the full book");
    }
    if is_streaming && optional(message.char(tag::MD_UPDATE_TYPE))?.unwrap_or(b'1') != b'1' {
        return refuse(b'6', "MDUpdateType(265) must be 1, incremental");
    }
    let (mut has_levels, mut has_trades) = (false, false);
    for entry in message.group(tag::NO_MD_ENTRY_TYPES, tag::MD_ENTRY_TYPE)? {
        match entry.char(tag::MD_ENTRY_TYPE)? {
            b'0' | b'1' => has_levels = true,
            b'2' => has_trades = true,
            _ => return refuse(b'8', "MDEntryType(269) must be 0, 1 or 2"),
        }
    }
    let mut subscriptions = Vec::new();
    for entry in message.group(tag::NO_RELATED_SYM, tag::SYMBOL)? {
        let symbol = entry.text(tag::SYMBOL)?;
        let Some(instrument) = listing.find(symbol) else {
            let text = format!("unknown symbol {}", String::from_utf8_lossy(symbol));
            return refuse(b'0', &text);
        };
        let md_req_id = md_req_id.into();
        subscriptions.push(Subscription { md_req_id, instrument, has_levels, has_trades });
    }
    Ok(MarketRequest::Subscribe { subscriptions, is_streaming })
}

/// What an entry is about: MDEntryType(269).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// 0 or 1.
    Level(Side),
    /// 2, with who took.
    Trade(Side),
}

/// One entry of X; in W the action is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// MDUpdateAction(279): 0 new, 1 change, 2 delete.
    pub action: u8,
    /// MDEntryType(269).
    pub kind: EntryKind,
    /// MDEntryPx(270).
    pub price: Ticks,
    /// MDEntrySize(271).
    pub size: Lots,
}

/// What goes out for one message of the tape.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Whose market.
    pub instrument: InstrumentId,
    /// The time that its entries carry.
    pub at: Nanos,
    /// The whole book (W), or what changed (X).
    pub is_snapshot: bool,
    /// The entries.
    pub entries: Arc<[Entry]>,
}

/// What participants have been told of one instrument.
#[derive(Clone, Debug, Default)]
struct Told {
    book: [BTreeMap<Ticks, Lots>; 2],
    /// Entries of a message that is not whole yet.
    pending: Vec<Entry>,
    is_reset: bool,
    at: Nanos,
}

/// The market as participants see it.
#[derive(Clone, Debug)]
pub struct Mirror {
    told: Vec<Told>,
}

impl Mirror {
    /// Empty books of so many instruments.
    pub fn new(instruments: usize) -> Mirror {
        Mirror { told: vec![Told::default(); instruments] }
    }

    /// Takes an event that is due; answers with what goes out where its message is whole.
    pub fn take(&mut self, event: &MarketEvent) -> Option<Publication> {
        let told = self.told.get_mut(usize::from(event.instrument.0))?;
        told.at = event.at;
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                let book = &mut told.book[side.index()];
                let before =
                    if size.0 > 0 { book.insert(price, size) } else { book.remove(&price) };
                let action = match (before, size.0 > 0) {
                    (None, true) => Some(b'0'),
                    (Some(_), true) => Some(b'1'),
                    (Some(_), false) => Some(b'2'),
                    (None, false) => None,
                };
                let kind = EntryKind::Level(side);
                told.pending.extend(action.map(|action| Entry { action, kind, price, size }));
            }
            MarketUpdate::Trade { aggressor, price, size } => {
                let kind = EntryKind::Trade(aggressor);
                told.pending.push(Entry { action: b'0', kind, price, size });
            }
            // After a gap nothing may be believed: an empty book says so in FIX.
            MarketUpdate::Reset | MarketUpdate::Gap => {
                told.book.iter_mut().for_each(BTreeMap::clear);
                told.pending.clear();
                told.is_reset = true;
            }
        }
        if !event.last_in_message {
            return None;
        }
        if std::mem::take(&mut told.is_reset) {
            told.pending.clear();
            return self.snapshot(event.instrument);
        }
        let entries = &mut told.pending;
        if entries.is_empty() {
            return None;
        }
        if entries.len() > ENTRIES_MAX {
            // It goes out in parts: with deletes first, no part leaves the book crossed.
            entries.sort_by_key(|entry| entry.action != b'2');
        }
        let publication = Publication {
            instrument: event.instrument,
            at: event.at,
            is_snapshot: false,
            entries: entries.as_slice().into(),
        };
        entries.clear();
        Some(publication)
    }

    /// The whole book as participants have been told it, best levels first on both sides.
    pub fn snapshot(&self, instrument: InstrumentId) -> Option<Publication> {
        let told = self.told.get(usize::from(instrument.0))?;
        let [bids, asks] = &told.book;
        let mut bids = bids.iter().rev().map(|level| (Side::Buy, level));
        let mut asks = asks.iter().map(|level| (Side::Sell, level));
        let mut entries = Vec::new();
        loop {
            let pair = [bids.next(), asks.next()];
            if pair == [None, None] {
                break;
            }
            entries.extend(pair.into_iter().flatten().map(|(side, (&price, &size))| Entry {
                action: b'0',
                kind: EntryKind::Level(side),
                price,
                size,
            }));
        }
        let entries = entries.into();
        Some(Publication { instrument, at: told.at, is_snapshot: true, entries })
    }
}

impl Subscription {
    /// What of a publication this subscription wants: all, or a selection.
    pub fn select(&self, publication: &Publication) -> Arc<[Entry]> {
        if self.has_levels && self.has_trades {
            return Arc::clone(&publication.entries);
        }
        let wanted = |entry: &&Entry| match entry.kind {
            EntryKind::Level(_) => self.has_levels,
            EntryKind::Trade(_) => self.has_trades,
        };
        publication.entries.iter().filter(wanted).copied().collect()
    }
}

/// W or X.
pub fn msg_type_of(is_snapshot: bool) -> &'static [u8] {
    match is_snapshot {
        true => msg_type::MARKET_DATA_SNAPSHOT_FULL_REFRESH,
        false => msg_type::MARKET_DATA_INCREMENTAL_REFRESH,
    }
}

/// The body of W with the first entries of a snapshot, or of X.
pub fn write(
    encoder: &mut Encoder<'_>,
    listing: &Listing,
    instrument: InstrumentId,
    md_req_id: &[u8],
    at: Nanos,
    is_snapshot: bool,
    entries: &[Entry],
) {
    let Some(instrument) = listing.instrument(instrument) else { return };
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    encoder.bytes(tag::MD_REQ_ID, md_req_id);
    if is_snapshot {
        encoder.str(tag::SYMBOL, instrument.symbol());
    }
    encoder.uint(tag::NO_MD_ENTRIES, entries.len().max(1) as u64);
    if entries.is_empty() {
        encoder.char(tag::MD_ENTRY_TYPE, b'J');
        write_time(encoder, at);
    }
    for (place, entry) in entries.iter().enumerate() {
        if !is_snapshot {
            encoder.char(tag::MD_UPDATE_ACTION, entry.action);
        }
        let kind = match entry.kind {
            EntryKind::Level(Side::Buy) => b'0',
            EntryKind::Level(Side::Sell) => b'1',
            EntryKind::Trade(_) => b'2',
        };
        encoder.char(tag::MD_ENTRY_TYPE, kind);
        if !is_snapshot && place == 0 {
            encoder.str(tag::SYMBOL, instrument.symbol());
        }
        encoder.decimal(tag::MD_ENTRY_PX, entry.price.0, tick);
        if entry.action != b'2' {
            encoder.decimal(tag::MD_ENTRY_SIZE, entry.size.0, lot);
        }
        if place == 0 {
            write_time(encoder, at);
        }
        if let EntryKind::Trade(aggressor) = entry.kind {
            encoder.char(AGGRESSOR_SIDE, if aggressor == Side::Buy { b'1' } else { b'2' });
        }
    }
}

/// MDEntryDate(272) and MDEntryTime(273): `YYYYMMDD` and `HH:MM:SS.nnnnnnnnn`.
fn write_time(encoder: &mut Encoder<'_>, at: Nanos) {
    let mut text = TimestampText::new(Precision::Nanos);
    let (date, time) = text.write(at).split_at(8);
    encoder.bytes(tag::MD_ENTRY_DATE, date).bytes(tag::MD_ENTRY_TIME, &time[1..]);
}
