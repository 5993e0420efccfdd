//! Mass quotes in Deribit's words: MassQuote(i), MassQuoteAcknowledgement(b) and QuoteCancel(Z).
//!
//! Fed by order entry with what each entry asks; feeds the session with bodies, and the desk with a
//! reading of b. Order-entry thread; nothing allocates. Source: docs.deribit.com, FIX API and "Mass Quotes
//! Specifications". A quote has no ClOrdID(11): the venue finds it by symbol, side and MMP group. So every
//! entry is one side of one instrument and its QuoteEntryID(299), which b and the reports of the quote
//! repeat, is the name of our request, with the name of the order that it is about behind it: `12` places,
//! `13-12` asks something of it. **What an entry leaves out is kept**: a price without a size moves a quote
//! that is there and is an error where none is, so that a move which crosses the quote's own end can never
//! place a second one. A size of 0 takes it out. Deliberately absent: entries with both sides, of which the
//! venue may refuse one for the other's sake, and amended sizes.

use super::symbols::Symbol;
use crate::fix::encode::Encoder;
use crate::fix::message::{Field, Fields, Message};
use crate::fix::value::{self, NumberText};
use crate::fix::{tag, timestamp};
use ballast_engine::event::ClOrdId;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};

/// Most entries of a message that we send; the venue takes a hundred.
pub const ENTRIES_MAX: usize = 24;
/// MMPGroup.
pub const MMP_GROUP: u32 = 9019;
/// QuoteMsgID: the name of a QuoteCancel(Z).
pub const QUOTE_MSG_ID: u32 = 1166;
/// QuoteEntryType: 0 an order, 1 a trade, 2 an error.
const QUOTE_ENTRY_TYPE: u32 = 9020;
/// QuoteEntryStatus.
const QUOTE_ENTRY_STATUS: u32 = 1167;
/// All of our quotes are one set: no set is spread over messages, and nothing is cancelled by it.
const QUOTE_SET: &[u8] = b"1";
/// Two names and the sign between them.
const ENTRY_NAME_MAX: usize = 41;

/// What an entry asks of its side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A new quote.
    Place,
    /// Another price, the size as it is.
    Reprice,
    /// None.
    Remove,
}

/// One entry of a MassQuote(i).
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The request's own name.
    pub id: ClOrdId,
    /// The name of the order that it is about; none for a new one.
    pub order: ClOrdId,
    /// What is quoted.
    pub symbol: &'a Symbol,
    /// Which side.
    pub side: Side,
    /// What is asked.
    pub ask: Ask,
    /// Of a new quote, and of one that moves.
    pub price: Ticks,
    /// Of a new quote.
    pub size: Lots,
}

/// The body of a MassQuote(i). `post_only`: ExecInst(18) of a quote that must not take.
pub fn write_quotes<'a>(
    encoder: &mut Encoder<'_>,
    (quote_id, group): (ClOrdId, &str),
    post_only: &[u8],
    entries: impl ExactSizeIterator<Item = Entry<'a>>,
) {
    let count = entries.len() as u64;
    encoder
        .uint(tag::QUOTE_ID, quote_id.0)
        .str(MMP_GROUP, group)
        .uint(tag::NO_QUOTE_SETS, 1)
        .bytes(tag::QUOTE_SET_ID, QUOTE_SET)
        .uint(tag::TOT_NO_QUOTE_ENTRIES, count)
        .uint(tag::NO_QUOTE_ENTRIES, count);
    for entry in entries {
        let (price_tag, size_tag) = match entry.side {
            Side::Buy => (tag::BID_PX, tag::BID_SIZE),
            Side::Sell => (tag::OFFER_PX, tag::OFFER_SIZE),
        };
        write_name(encoder, entry.id, entry.order);
        encoder.bytes(tag::SYMBOL, entry.symbol.text());
        if entry.ask != Ask::Remove {
            encoder.decimal(price_tag, entry.price.0, entry.symbol.tick());
        }
        match entry.ask {
            Ask::Place => _ = encoder.decimal(size_tag, entry.size.0, entry.symbol.lot()),
            Ask::Remove => _ = encoder.uint(size_tag, 0),
            Ask::Reprice => {}
        }
        if entry.ask != Ask::Remove {
            encoder.bytes(tag::EXEC_INST, post_only);
        }
    }
}

/// The body of a QuoteCancel(Z) of all quotes.
pub fn write_cancel_all(encoder: &mut Encoder<'_>, id: ClOrdId) {
    encoder.uint(tag::QUOTE_CANCEL_TYPE, 4).uint(QUOTE_MSG_ID, id.0);
}

fn write_name(encoder: &mut Encoder<'_>, id: ClOrdId, order: ClOrdId) {
    let mut room = [0u8; ENTRY_NAME_MAX];
    let (id, order) = (NumberText::uint(id.0), (order != ClOrdId::NONE).then_some(order));
    let order = order.map(|order| NumberText::uint(order.0));
    let behind = order.as_ref().map(NumberText::as_bytes);
    let sign: &[u8] = if behind.is_some() { b"-" } else { b"" };
    let bytes = id.as_bytes().iter().chain(sign).chain(behind.unwrap_or_default());
    let mut len = 0usize;
    for (to, from) in room.iter_mut().zip(bytes) {
        *to = *from;
        len += 1;
    }
    encoder.bytes(tag::QUOTE_ENTRY_ID, room.get(..len).unwrap_or_default());
}

/// The request's name and the order's in a QuoteEntryID(299) of ours; none where it is somebody else's.
pub fn names_of(text: &[u8]) -> (ClOrdId, ClOrdId) {
    let number = |text: &[u8]| match text {
        [b'1'..=b'9', ..] => value::parse_uint(text).map(ClOrdId),
        _ => None,
    };
    let none = (ClOrdId::NONE, ClOrdId::NONE);
    match text.iter().position(|byte| *byte == b'-') {
        None => number(text).map_or(none, |id| (id, ClOrdId::NONE)),
        Some(sign) => {
            let behind = text.get(sign.saturating_add(1)..).and_then(number);
            text.get(..sign).and_then(number).zip(behind).unwrap_or(none)
        }
    }
}

/// What the venue says of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Verdict {
    /// It is in the book as asked.
    Taken,
    /// It is not done.
    Refused,
    /// Nothing that a report does not say better: a trade, an end, an unknown status.
    #[default]
    Other,
}

/// One entry of a MassQuoteAcknowledgement(b).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answer<'a> {
    /// QuoteEntryID(299).
    pub name: Option<&'a [u8]>,
    /// What it says.
    pub verdict: Verdict,
    /// Symbol(55).
    pub symbol: Option<&'a [u8]>,
    /// Side(54).
    pub side: Option<Side>,
    /// OrderID(37).
    pub order_id: Option<&'a [u8]>,
    /// BidPx(132) or OfferPx(133).
    pub price: Option<&'a [u8]>,
    /// QuoteEntryRejectReason(368): the venue's own numbers.
    pub reason: Option<u16>,
    /// TransactTime(60); 0 where absent.
    pub transact_time: Nanos,
}

/// The entries of a MassQuoteAcknowledgement(b), which are flat: each begins with its QuoteEntryID(299), or
/// with another QuoteEntryType(9020) where it has none.
pub fn answers<'a>(message: &Message<'a>) -> Answers<'a> {
    Answers { fields: message.fields(), next: None, is_begun: false }
}

/// See [`answers`].
#[derive(Clone)]
pub struct Answers<'a> {
    fields: Fields<'a>,
    /// The field that began the entry after the last.
    next: Option<Field<'a>>,
    is_begun: bool,
}

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let mut answer = Answer::default();
        let (mut kind, mut status) = (None, None);
        let mut has_any = false;
        while let Some(field) = self.next.take().or_else(|| self.fields.next()) {
            // What stands before NoQuoteEntries(295) is about the whole.
            self.is_begun |= field.tag == tag::NO_QUOTE_ENTRIES;
            if !self.is_begun || field.tag == tag::NO_QUOTE_ENTRIES {
                continue;
            }
            let is_named_anew = field.tag == tag::QUOTE_ENTRY_ID;
            if has_any && (is_named_anew || field.tag == QUOTE_ENTRY_TYPE && kind.is_some()) {
                self.next = Some(field);
                break;
            }
            has_any = true;
            let text = field.value;
            match field.tag {
                QUOTE_ENTRY_TYPE => kind = Some(text),
                QUOTE_ENTRY_STATUS => status = Some(text),
                tag::QUOTE_ENTRY_ID => answer.name = Some(text),
                tag::SYMBOL => answer.symbol = Some(text),
                tag::SIDE => {
                    answer.side = match text {
                        b"1" => Some(Side::Buy),
                        b"2" => Some(Side::Sell),
                        _ => None,
                    }
                }
                tag::ORDER_ID => answer.order_id = Some(text),
                tag::BID_PX | tag::OFFER_PX => answer.price = Some(text),
                tag::TRANSACT_TIME => {
                    answer.transact_time = timestamp::parse(text).unwrap_or_default();
                }
                tag::QUOTE_ENTRY_REJECT_REASON => {
                    answer.reason = value::parse_uint(text).and_then(|n| u16::try_from(n).ok());
                }
                _ => {}
            }
        }
        answer.verdict = verdict(kind, status);
        // The trailer ends the message, and no entry is made of it alone.
        (has_any && (kind.is_some() || status.is_some())).then_some(answer)
    }
}

fn verdict(kind: Option<&[u8]>, status: Option<&[u8]>) -> Verdict {
    match (kind, status) {
        (Some(b"2"), _) | (Some(b"0"), Some(b"5")) => Verdict::Refused,
        (Some(b"0"), Some(b"0" | b"19" | b"21")) => Verdict::Taken,
        _ => Verdict::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::decode::Decoder;
    use crate::venue::symbols::Symbols;
    use crate::venue::symbols::tests::instrument;
    use ballast_engine::event::VenueId;

    fn text(write: impl FnOnce(&mut Encoder<'_>), msg_type: &[u8]) -> String {
        let mut room = [0u8; 4096];
        let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", msg_type);
        write(&mut encoder);
        let len = encoder.finish().unwrap();
        String::from_utf8(room[..len].to_vec()).unwrap().replace('\x01', "|")
    }

    #[test]
    fn each_entry_is_one_side_and_says_what_changes_alone() {
        let symbols = Symbols::new(VenueId(0), &[instrument(0, "BTC-C")]).unwrap();
        let symbol = symbols.at(0).unwrap();
        let entry = |id, order, side, ask| Entry {
            id: ClOrdId(id),
            order: ClOrdId(order),
            symbol,
            side,
            ask,
            price: Ticks(125),
            size: Lots(300),
        };
        let entries = [
            entry(12, 0, Side::Buy, Ask::Place),
            entry(13, 9, Side::Sell, Ask::Reprice),
            entry(14, 12, Side::Buy, Ask::Remove),
        ];
        let name = (ClOrdId(77), "options");
        let written = text(|e| write_quotes(e, name, b"6A", entries.into_iter()), b"i");
        let body = "35=i|117=77|9019=options|296=1|302=1|304=3|295=3|\
                    299=12|55=BTC-C|132=1.25|134=0.300|18=6A|\
                    299=13-9|55=BTC-C|133=1.25|18=6A|\
                    299=14-12|55=BTC-C|134=0|10=";
        assert!(written.contains(body), "{written}");
        let all = text(|e| write_cancel_all(e, ClOrdId(78)), b"Z");
        assert!(all.contains("35=Z|298=4|1166=78|10="), "{all}");
    }

    #[test]
    fn a_name_comes_back_and_nobody_elses_is_taken_for_ours() {
        let of = |text: &str| {
            let (id, order) = names_of(text.as_bytes());
            (id.0, order.0)
        };
        assert_eq!(of("12"), (12, 0));
        assert_eq!(of("13-12"), (13, 12));
        let most = u64::MAX;
        let written = text(|e| write_name(e, ClOrdId(most), ClOrdId(most)), b"i");
        let name = written.split("299=").nth(1).unwrap().split('|').next().unwrap();
        assert_eq!(of(name), (most, most));
        for other in ["", "-", "a", "012", "12-", "-12", "12-x", "12-13-14", "99999999999999999999"]
        {
            assert_eq!(of(other), (0, 0), "{other}");
        }
    }

    type Told = (Option<String>, Verdict, Option<Side>, Option<u16>);

    fn answers_of(body: &str) -> Vec<Told> {
        let body =
            format!("35=b|34=2|49=V|52=20240808-23:59:59.000|56=B|{body}").replace('|', "\x01");
        let mut whole = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
        let sum = whole.bytes().fold(0u8, u8::wrapping_add);
        whole.push_str(&format!("10={sum:03}\x01"));
        let mut decoder = Decoder::new(128);
        let message = decoder.decode(whole.as_bytes()).unwrap();
        let name = |a: &Answer<'_>| a.name.map(|n| String::from_utf8_lossy(n).into_owned());
        answers(&message).map(|a| (name(&a), a.verdict, a.side, a.reason)).collect()
    }

    #[test]
    fn flat_entries_are_told_apart_with_and_without_names() {
        let read = answers_of(
            "117=77|297=0|295=4|\
             299=12|9020=0|302=1|1167=21|55=BTC-C|54=1|37=BTC-1|132=1.25|134=0.300|\
             299=T9|9020=1|55=BTC-C|54=1|192=0.100|132=1.25|\
             9020=2|55=BTC-C|54=2|368=11054|58=post_only_reject|\
             9020=2|55=ETH-C|54=1|368=10004|58=order_not_found|",
        );
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(
            read,
            [
                (name("12"), Verdict::Taken, Some(Side::Buy), None),
                (name("T9"), Verdict::Other, Some(Side::Buy), None),
                (None, Verdict::Refused, Some(Side::Sell), Some(11054)),
                (None, Verdict::Refused, Some(Side::Buy), Some(10004)),
            ]
        );
        // Refused as a whole, and a number that fits no code.
        assert_eq!(answers_of("117=77|297=5|300=99|58=x|"), []);
        let odd = answers_of("117=77|297=0|295=1|299=12|9020=2|368=-32602|");
        assert_eq!(odd, [(name("12"), Verdict::Refused, None, None)]);
    }
}
