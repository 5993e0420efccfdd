//! What an earlier run of a session sent and heard and its journal does not hold.
//!
//! Fed by the session's store at the start of a run; feeds the recovery with order messages that may
//! have reached the venue, and the stage with the number from which what the venue said is told again.
//! Cold. What went out stands in the order of the wire, which is not the order of the names: mass quotes
//! are gathered while other orders go out, and of two sides the one that makes room goes first. So the walk
//! back goes on behind the last name that the journal has, as far as one may have overtaken another.
//! Deliberately absent: the stage's own cancels; their answers name the order as well.

use crate::fix::decode::Decoder;
use crate::fix::message::{Message, View};
use crate::fix::{msg_type, tag, value};
use crate::order_entry::OWN_IDS;
use crate::store::Store;
use crate::venue::binance::{AMEND, CANCEL_AND_NEW};
use crate::venue::dialect::Rules;
use crate::venue::mass_quote::{self, ENTRIES_MAX};
use crate::venue::symbols::Symbols;
use ballast_engine::event::{ClOrdId, OrderAction, OrderIntent, TimeInForce};
use ballast_engine::maker::resumption::Delivered;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::cmp::Ordering;

/// Counters from here on were given to nothing that went out.
const NAMELESS_IDS: u64 = OWN_IDS | OWN_IDS >> 1;
/// Most fields of a message of ours: header and trailer, what an order says, or the head of a MassQuote(i),
/// and what each of its entries says.
const FIELDS_MAX: usize = 32 + 5 * ENTRIES_MAX;
/// Messages within which what was asked for later may have gone out earlier: far more than one turn of the
/// stage sends, or than wait for the venue's limit.
const OVERTAKEN_MAX: usize = 1024;
/// Messages that are looked at for whether they can be read at all: far more than a journal may lack.
const JUDGED_MAX: u64 = 1 << 16;

/// The first message that the account has not seen, stored or not; `delivered` is the last that it has.
///
/// Power loss can leave a store behind the journal, which is synced at other times. Then nothing that it
/// holds is new, and what it has lost the venue sends again, to be known by its ExecID(17).
pub fn deliver_from(store: &impl Store, delivered: Option<Delivered>) -> u64 {
    let Some(delivered) = delivered else { return 1 };
    match store.created_at().cmp(&delivered.numbers_since) {
        Ordering::Equal => delivered.msg_seq_num.saturating_add(1),
        // The account has seen numbers begin that the store has lost: all that it holds is older.
        Ordering::Less => u64::MAX,
        Ordering::Greater => 1,
    }
}

/// Can what this session sent last be read? What cannot may be an order that nobody here knows.
pub(super) fn is_legible(store: &impl Store) -> bool {
    let mut decoder = Decoder::new(FIELDS_MAX);
    let next = store.next_sender();
    let mut numbers = next.saturating_sub(JUDGED_MAX).max(1)..next;
    numbers.all(|number| store.outbound(number).is_none_or(|frame| decoder.decode(frame).is_ok()))
}

/// The order messages in `store` that the maker of run `last` sent after its ClOrdID(11) `last`, in the
/// order of their names. A G that bears its order's first name has none of its own: of those behind the last
/// messages that have one, each order's newest is among them, whether it is news or not. What cannot be read
/// is not among them: the stage halts on it when it begins.
pub fn sent_after(
    store: &impl Store,
    (symbols, rules): (&Symbols, &Rules),
    last: ClOrdId,
) -> Vec<OrderIntent> {
    let mut decoder = Decoder::new(FIELDS_MAX);
    let mut sent = Vec::new();
    // Messages looked at since the first whose name the journal has.
    let mut behind = 0usize;
    for number in (1..store.next_sender()).rev() {
        behind += usize::from(behind > 0);
        if behind > OVERTAKEN_MAX {
            break;
        }
        let Some(frame) = store.outbound(number) else { continue };
        let Ok(message) = decoder.decode(frame) else { continue };
        if message.msg_type() == msg_type::MASS_QUOTE {
            let Some(is_behind) = quotes_after(&message, symbols, last, &mut sent) else { break };
            behind = behind.max(usize::from(is_behind));
            continue;
        }
        let Some(action) = action_of(message.msg_type()) else { continue };
        if action == OrderAction::Cancel && rules.cancel_names_order {
            // It bears the order's id, which may be of any age.
            continue;
        }
        let id = number_of(&message, tag::CL_ORD_ID);
        if action == OrderAction::Replace && rules.report_tags.names_first {
            let amended = intent(&message, action, nameless(last, number), (symbols, rules));
            let is_newest = sent.iter().all(|newer: &OrderIntent| newer.orig_cl_ord_id != id);
            let amended = amended.filter(|_| is_newest);
            sent.extend(amended.map(|made| OrderIntent { orig_cl_ord_id: id, ..made }));
            continue;
        }
        if !is_of_run(id, last) {
            break;
        }
        if id.0 & OWN_IDS != 0 {
            continue;
        }
        if id <= last {
            behind = behind.max(1);
            continue;
        }
        let is_amendment = message.msg_type() == AMEND;
        let mut made = intent(&message, action, id, (symbols, rules));
        if let Some(made) = made.as_mut().filter(|_| is_amendment) {
            // XAK leaves the price as it is, and does not tell it.
            made.price = price_of(store, made.orig_cl_ord_id, number, (symbols, rules));
        }
        sent.extend(made);
    }
    sent.reverse();
    // Of one name there is one, but those that the stage gave: they stand in the order of their numbers.
    sent.sort_by_key(|intent| intent.cl_ord_id);
    sent
}

/// When an earlier run sent its last messages since `from`, the `most` newest of them, oldest first; and whether
/// the limits take each for a cancel, as they do whatever asks for no risk. What the session said by itself is
/// not kept, and not among them.
pub(super) fn sent_since(store: &impl Store, from: Nanos, most: usize) -> Vec<(Nanos, bool)> {
    let mut decoder = Decoder::new(FIELDS_MAX);
    let next = store.next_sender();
    let mut sent = Vec::new();
    for number in (next.saturating_sub(JUDGED_MAX).max(1)..next).rev() {
        let Some(frame) = store.outbound(number) else { continue };
        let Ok(message) = decoder.decode(frame) else { continue };
        let Ok(at) = message.sending_time() else { continue };
        if at < from || sent.len() == most {
            break;
        }
        let action = action_of(message.msg_type());
        let is_order = action.is_some_and(|action| action != OrderAction::Cancel)
            || message.msg_type() == msg_type::MASS_QUOTE;
        sent.push((at, !is_order));
    }
    sent.reverse();
    sent
}

fn is_of_run(id: ClOrdId, last: ClOrdId) -> bool {
    id.0 >> ClOrdId::COUNTER_BITS == last.0 >> ClOrdId::COUNTER_BITS
}

/// Takes in the entries of a MassQuote(i) that the maker of run `last` asked for after `last`; whether one
/// of them was asked for before, nothing where another run sent it.
fn quotes_after(
    message: &Message<'_>,
    symbols: &Symbols,
    last: ClOrdId,
    sent: &mut Vec<OrderIntent>,
) -> Option<bool> {
    let Ok(entries) = message.group(tag::NO_QUOTE_ENTRIES, tag::QUOTE_ENTRY_ID) else {
        return Some(false);
    };
    let mut is_behind = false;
    for made in entries.filter_map(|entry| quote(&entry, symbols)) {
        if !is_of_run(made.cl_ord_id, last) {
            return None;
        }
        if made.cl_ord_id.0 & OWN_IDS != 0 {
            continue;
        }
        is_behind |= made.cl_ord_id <= last;
        sent.extend((made.cl_ord_id > last).then_some(made));
    }
    Some(is_behind)
}

/// The intent that an entry was made from.
fn quote(entry: &View<'_>, symbols: &Symbols) -> Option<OrderIntent> {
    let (cl_ord_id, orig_cl_ord_id) = mass_quote::names_of(entry.get(tag::QUOTE_ENTRY_ID)?);
    let symbol = symbols.at(symbols.find(entry.get(tag::SYMBOL)?)?)?;
    let of = |price, size| (entry.get(price), entry.get(size));
    let (side, (price, size)) = match of(tag::BID_PX, tag::BID_SIZE) {
        (None, None) => (Side::Sell, of(tag::OFFER_PX, tag::OFFER_SIZE)),
        bid => (Side::Buy, bid),
    };
    let price = price.map(|text| symbol.ticks(text)).transpose().ok()?;
    let size = size.map(|text| symbol.lots(text)).transpose().ok()?;
    let action = match (price, size) {
        (Some(_), Some(_)) => OrderAction::New,
        (Some(_), None) => OrderAction::Replace,
        (None, _) => OrderAction::Cancel,
    };
    Some(OrderIntent {
        cl_ord_id,
        orig_cl_ord_id,
        price: price.unwrap_or_default(),
        // What an entry leaves out is kept: 0 stands for it.
        size: size.unwrap_or_default(),
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: symbol.id(),
        action,
        side,
        time_in_force: TimeInForce::PostOnly,
    })
}

/// A name for a request that bore none: of the stage's own, which no other of that run can have.
fn nameless(last: ClOrdId, number: u64) -> ClOrdId {
    ClOrdId(last.0 >> ClOrdId::COUNTER_BITS << ClOrdId::COUNTER_BITS | NAMELESS_IDS | number)
}

/// The price at which the order of this ClOrdID(11) went out before message `number`.
fn price_of(
    store: &impl Store,
    mut id: ClOrdId,
    number: u64,
    (symbols, rules): (&Symbols, &Rules),
) -> Ticks {
    let mut decoder = Decoder::new(FIELDS_MAX);
    for number in (1..number).rev() {
        let Some(frame) = store.outbound(number) else { continue };
        let Ok(message) = decoder.decode(frame) else { continue };
        let Some(action) = action_of(message.msg_type()) else { continue };
        if action == OrderAction::Cancel || number_of(&message, tag::CL_ORD_ID) != id {
            continue;
        }
        if message.msg_type() != AMEND {
            let made = intent(&message, action, id, (symbols, rules));
            return made.map_or(Ticks(0), |made| made.price);
        }
        id = number_of(&message, tag::ORIG_CL_ORD_ID);
    }
    Ticks(0)
}

fn action_of(msg_type: &[u8]) -> Option<OrderAction> {
    match msg_type {
        msg_type::NEW_ORDER_SINGLE => Some(OrderAction::New),
        msg_type::ORDER_CANCEL_REPLACE_REQUEST | CANCEL_AND_NEW | AMEND => {
            Some(OrderAction::Replace)
        }
        msg_type::ORDER_CANCEL_REQUEST => Some(OrderAction::Cancel),
        _ => None,
    }
}

fn number_of(message: &Message<'_>, tag: u32) -> ClOrdId {
    message.get(tag).and_then(value::parse_uint).map_or(ClOrdId::NONE, ClOrdId)
}

/// The intent that a message of ours was made from.
fn intent(
    message: &Message<'_>,
    action: OrderAction,
    cl_ord_id: ClOrdId,
    (symbols, rules): (&Symbols, &Rules),
) -> Option<OrderIntent> {
    let place = symbols.find(message.get(rules.report_tags.symbol)?)?;
    let symbol = symbols.at(place)?;
    let price = message.get(tag::PRICE).and_then(|text| symbol.ticks(text).ok());
    let size = message.get(tag::ORDER_QTY).and_then(|text| symbol.lots(text).ok());
    let is_immediate = message.get(tag::TIME_IN_FORCE) == Some(b"3");
    Some(OrderIntent {
        cl_ord_id,
        orig_cl_ord_id: number_of(message, tag::ORIG_CL_ORD_ID),
        price: price.unwrap_or(Ticks(0)),
        size: size.unwrap_or(Lots(0)),
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: symbol.id(),
        action,
        side: if message.get(tag::SIDE) == Some(b"2") { Side::Sell } else { Side::Buy },
        time_in_force: match is_immediate {
            true => TimeInForce::ImmediateOrCancel,
            false => TimeInForce::PostOnly,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::venue::binance;
    use ballast_engine::event::{InstrumentId, VenueId};
    use ballast_engine::instrument::{
        Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
    };
    use ballast_engine::units::FeeRate;

    fn symbols() -> Symbols {
        let spec = InstrumentSpec {
            symbol: "BTC".into(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind: InstrumentKind::Spot,
            tick: "0.5".parse().unwrap(),
            lot: "0.001".parse().unwrap(),
            multiplier: "1".parse().unwrap(),
            base: Currency(0),
            quote: Currency(1),
            settlement: Currency(1),
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        Symbols::new(VenueId(0), &[Instrument::new(InstrumentId(0), spec).unwrap()]).unwrap()
    }

    #[test]
    fn replaces_in_binances_words_are_replaces_and_an_amendment_keeps_the_price() {
        let mut store = MemoryStore::new();
        let id = |n| ClOrdId::new(3, n).0;
        let (a, b, c, d) = (id(1), id(2), id(3), id(4));
        for body in [
            format!("35=D|34=1|11={a}|38=0.040|40=2|44=61000.5|54=2|55=BTC|"),
            format!("35=XCN|34=2|11={b}|38=0.040|40=2|41={a}|44=61001.0|54=2|55=BTC|25034=-{b}|"),
            format!("35=XAK|34=3|11={c}|38=0.030|41={b}|55=BTC|"),
            format!("35=XAK|34=4|11={d}|38=0.020|41={c}|55=BTC|"),
        ] {
            let body = body.replace('|', "\u{1}");
            let head = format!("8=FIX.4.4\u{1}9={}\u{1}", body.len());
            let sum = (head + &body).bytes().fold(0u8, u8::wrapping_add);
            let head = format!("8=FIX.4.4\u{1}9={}\u{1}", body.len());
            store.put_outbound(format!("{head}{body}10={sum:03}\u{1}").as_bytes()).unwrap();
        }
        let sent = sent_after(&store, (&symbols(), &binance::RULES), ClOrdId::new(3, 1));
        let told: Vec<_> = sent
            .iter()
            .map(|i| (i.action, i.cl_ord_id.0, i.orig_cl_ord_id.0, i.price, i.size))
            .collect();
        let replace = OrderAction::Replace;
        assert_eq!(
            told,
            [
                (replace, b, a, Ticks(122_002), Lots(40)),
                (replace, c, b, Ticks(122_002), Lots(30)),
                (replace, d, c, Ticks(122_002), Lots(20)),
            ]
        );
    }
}
