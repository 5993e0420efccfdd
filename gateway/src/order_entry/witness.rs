//! The independent counter at the socket: every order message that goes out is one that was intended.
//!
//! Wraps the dial of order entry. Fed by the stage with each intent that the session took, through a ring,
//! and with the very bytes that the transport is given; on the first difference the bytes stay here, the
//! connection ends, and the stage is told. Order-entry thread; no allocation or lock but when a connection
//! begins and ends; one look at each byte. It shares no line with what writes messages (templates, session,
//! buffers): it reads them as a counterparty would. Of a
//! MassQuote(i) each entry is compared with the next intent, and nothing else may stand in it. Our sessions
//! gap-fill orders and never resend them: one with PossDupFlag(43) is a difference. Deliberately absent: messages that are no orders.

use crate::fix::{tag, value};
use crate::transport::{Lost, Received, Transport, Written};
use crate::venue::dialect::Rules;
use crate::venue::line::{Dial, Dialled};
use crate::venue::mass_quote::MMP_GROUP;
use crate::venue::symbols::Symbols;
use ballast_engine::event::{ClOrdId, OrderAction, OrderIntent, TimeInForce};
use ballast_engine::ring::{self, Consumer, Producer};
use ballast_engine::units::{Nanos, Side};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Messages that the session may hold before the socket takes them.
const INTENDED: usize = 4096;
const SOH: u8 = 1;
/// `10=NNN` and its end.
const TRAILER_LEN: usize = 7;

/// The stage's end: what is to go out.
pub(super) struct Intended {
    ring: Producer<OrderIntent>,
    differs: Arc<AtomicBool>,
    shelf: Shelf,
}

impl Intended {
    /// The session took this intent.
    pub fn expect(&mut self, intent: &OrderIntent) {
        if self.ring.push(*intent).is_err() {
            // What is not compared counts as different.
            self.differs.store(true, Ordering::Release);
        }
    }

    /// By place of the symbol: the MMP group that it is quoted in. Told before the first connection.
    pub fn expect_groups(&self, groups: &[Option<&str>]) {
        if let Some(witness) = lock(&self.shelf).as_mut() {
            witness.groups = groups.iter().map(|group| group.map(Box::from)).collect();
        }
    }

    /// Something else than what was intended was about to go out; told once.
    pub fn take_difference(&mut self) -> bool {
        self.differs.load(Ordering::Acquire) && self.differs.swap(false, Ordering::AcqRel)
    }
}

/// Compares what goes out with what was intended.
struct Witness {
    ring: Consumer<OrderIntent>,
    differs: Arc<AtomicBool>,
    symbols: Symbols,
    rules: Rules,
    /// By place of the symbol.
    groups: Box<[Option<Box<str>>]>,
}

/// Where the witness waits between two connections. Locked when one begins and ends, never between.
type Shelf = Arc<Mutex<Option<Witness>>>;

/// Makes connections that a witness looks at.
pub(super) struct Witnessed<D> {
    dial: D,
    shelf: Shelf,
}

impl<D> Witnessed<D> {
    /// The dial with a witness, and the stage's end of it.
    pub fn new(dial: D, symbols: Symbols, rules: Rules) -> (Witnessed<D>, Intended) {
        let (ring, intended) = ring::slots(INTENDED);
        let differs = Arc::new(AtomicBool::new(false));
        let groups = Box::default();
        let witness = Witness { ring: intended, differs: differs.clone(), symbols, rules, groups };
        let shelf = Arc::new(Mutex::new(Some(witness)));
        (Witnessed { dial, shelf: shelf.clone() }, Intended { ring, differs, shelf })
    }
}

/// A poisoned lock is taken all the same: a witness is whole whatever panicked.
fn lock(shelf: &Shelf) -> std::sync::MutexGuard<'_, Option<Witness>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Dial> Dial for Witnessed<D> {
    type Link = WitnessedLink<D::Link>;

    fn hosts(&self) -> usize {
        self.dial.hosts()
    }

    fn choose(&mut self, host: usize) {
        self.dial.choose(host);
    }

    fn dial(&mut self, now: Nanos) -> Dialled<WitnessedLink<D::Link>> {
        match self.dial.dial(now) {
            Dialled::Connected(link) => {
                let mut witness = lock(&self.shelf).take();
                if let Some(witness) = &mut witness {
                    // What the last connection did not take never went out.
                    while witness.ring.pop().is_some() {}
                }
                let shelf = self.shelf.clone();
                let (ahead, is_over) = (0, false);
                Dialled::Connected(WitnessedLink { link, witness, shelf, ahead, is_over })
            }
            Dialled::Pending => Dialled::Pending,
            Dialled::Failed => Dialled::Failed,
        }
    }
}

/// One connection under a witness.
pub(super) struct WitnessedLink<T> {
    link: T,
    witness: Option<Witness>,
    shelf: Shelf,
    /// Bytes that were looked at and not taken by the transport.
    ahead: usize,
    /// A difference ended it.
    is_over: bool,
}

impl<T: Transport> Transport for WitnessedLink<T> {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> Received {
        // What is not read here is asked for again after the next Logon.
        if self.is_over { Received::Closed(Lost::ByUs) } else { self.link.read(room) }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Written {
        let fresh = bytes.get(self.ahead..).unwrap_or_default();
        let is_right = self.witness.as_mut().is_some_and(|witness| witness.is_intended(fresh));
        if !is_right {
            if let Some(witness) = &self.witness {
                witness.differs.store(true, Ordering::Release);
            }
            self.is_over = true;
            self.link.close();
            return Written::Closed(Lost::ByUs);
        }
        self.ahead = bytes.len();
        let written = self.link.write(bytes);
        if let Written::Bytes(count) = written {
            self.ahead = self.ahead.saturating_sub(count);
        }
        written
    }

    fn close(&mut self) {
        self.link.close();
    }
}

impl<T> Drop for WitnessedLink<T> {
    fn drop(&mut self) {
        *lock(&self.shelf) = self.witness.take();
    }
}

/// The fields of an order message that say what it orders.
#[derive(Clone, Copy, Default)]
struct Ordered<'a> {
    cl_ord_id: Option<&'a [u8]>,
    orig_cl_ord_id: Option<&'a [u8]>,
    symbol: Option<&'a [u8]>,
    side: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    price: Option<&'a [u8]>,
    ord_type: Option<&'a [u8]>,
    exec_inst: Option<&'a [u8]>,
    time_in_force: Option<&'a [u8]>,
    is_resent: bool,
}

/// The fields of an entry of a MassQuote(i) that say what it asks: bids before offers.
#[derive(Clone, Copy, Default)]
struct Quoted<'a> {
    name: &'a [u8],
    symbol: Option<&'a [u8]>,
    prices: (Option<&'a [u8]>, Option<&'a [u8]>),
    sizes: (Option<&'a [u8]>, Option<&'a [u8]>),
    exec_inst: Option<&'a [u8]>,
    /// MMPGroup of the message.
    group: Option<&'a [u8]>,
}

impl<'a> Quoted<'a> {
    /// Whether the field may stand in an entry, and stands there once.
    fn take(&mut self, name: u32, text: &'a [u8]) -> bool {
        let field = match name {
            tag::SYMBOL => &mut self.symbol,
            tag::BID_PX => &mut self.prices.0,
            tag::OFFER_PX => &mut self.prices.1,
            tag::BID_SIZE => &mut self.sizes.0,
            tag::OFFER_SIZE => &mut self.sizes.1,
            tag::EXEC_INST => &mut self.exec_inst,
            _ => return false,
        };
        field.replace(text).is_none()
    }
}

impl Witness {
    /// Whether whole messages, and among them no order but the next that was intended.
    fn is_intended(&mut self, mut bytes: &[u8]) -> bool {
        // Bounded: each turn uses up a message.
        while !bytes.is_empty() {
            let Some((body, rest)) = split_message(bytes) else { return false };
            bytes = rest;
            if !self.is_body_intended(body) {
                return false;
            }
        }
        true
    }

    fn is_body_intended(&mut self, body: &[u8]) -> bool {
        let Some((msg_type, fields)) = body.strip_prefix(b"35=").and_then(split_field) else {
            return false;
        };
        if msg_type == b"i" {
            return self.are_quotes_intended(fields);
        }
        let is_order = matches!(msg_type, b"D" | b"F" | b"G" | b"XCN" | b"XAK");
        if !is_order {
            return true;
        }
        let ordered = read_fields(fields, self.rules.report_tags.symbol);
        let intent = self.ring.pop();
        !ordered.is_resent && intent.is_some_and(|intent| self.agrees(msg_type, &ordered, &intent))
    }

    /// Every entry of a MassQuote(i) is the next intent.
    fn are_quotes_intended(&mut self, mut fields: &[u8]) -> bool {
        let mut entry: Option<Quoted<'_>> = None;
        let mut group = None;
        // Bounded: each turn uses up a field.
        while let Some((name, text, rest)) = split_tagged(fields) {
            fields = rest;
            if name == tag::QUOTE_ENTRY_ID {
                let before = entry.replace(Quoted { name: text, group, ..Quoted::default() });
                if !before.is_none_or(|entry| self.is_quote_intended(&entry)) {
                    return false;
                }
                continue;
            }
            let is_right = match &mut entry {
                Some(entry) => entry.take(name, text),
                None if name == MMP_GROUP => group.replace(text).is_none(),
                None => name != tag::POSS_DUP_FLAG || text != b"Y",
            };
            if !is_right {
                return false;
            }
        }
        // One without entries asks nothing.
        entry.is_some_and(|entry| self.is_quote_intended(&entry))
    }

    fn is_quote_intended(&mut self, entry: &Quoted<'_>) -> bool {
        let Some(intent) = self.ring.pop() else { return false };
        let place = self.symbols.place_of(intent.instrument);
        let Some(symbol) = place.and_then(|place| self.symbols.at(place)) else { return false };
        let (own, other) = match intent.side {
            Side::Buy => ((entry.prices.0, entry.sizes.0), (entry.prices.1, entry.sizes.1)),
            Side::Sell => ((entry.prices.1, entry.sizes.1), (entry.prices.0, entry.sizes.0)),
        };
        let price = own.0.map(|text| symbol.ticks(text));
        let size = own.1.map(|text| symbol.lots(text));
        let are_terms = match intent.action {
            OrderAction::New => price == Some(Ok(intent.price)) && size == Some(Ok(intent.size)),
            OrderAction::Replace => price == Some(Ok(intent.price)) && size.is_none(),
            OrderAction::Cancel => price.is_none() && own.1 == Some(b"0"),
        };
        let (post_only, is_out) =
            (Some(self.rules.post_only), intent.action == OrderAction::Cancel);
        let group = place.and_then(|place| self.groups.get(place)?.as_deref());
        let mut names = entry.name.splitn(2, |byte| *byte == b'-');
        are_terms
            && other == (None, None)
            && entry.exec_inst == if is_out { None } else { post_only }
            && group.is_some()
            && entry.group == group.map(str::as_bytes)
            && entry.symbol == Some(symbol.text())
            && id_of(names.next()) == intent.cl_ord_id
            && id_of(names.next()) == intent.orig_cl_ord_id
    }

    fn agrees(&self, msg_type: &[u8], ordered: &Ordered<'_>, intent: &OrderIntent) -> bool {
        let expected: &[u8] = match intent.action {
            OrderAction::New => b"D",
            OrderAction::Replace if self.rules.has_replace => b"G",
            OrderAction::Replace
                if self.rules.has_cancel_and_new && matches!(msg_type, b"XCN" | b"XAK") =>
            {
                msg_type
            }
            OrderAction::Replace | OrderAction::Cancel => b"F",
        };
        let (is_cancel, is_amendment) = (expected == b"F", expected == b"XAK");
        let is_kept = expected == b"G" && self.rules.report_tags.names_first;
        let named_by = if is_kept || is_cancel && self.rules.cancel_names_order {
            intent.orig_cl_ord_id
        } else {
            intent.cl_ord_id
        };
        let place = self.symbols.place_of(intent.instrument);
        let Some(symbol) = place.and_then(|place| self.symbols.at(place)) else { return false };
        let side = if intent.side == Side::Buy { b"1" } else { b"2" };
        let has_terms = !is_cancel || self.rules.cancel_has_terms;
        let lots = ordered.size.map(|text| symbol.lots(text));
        let ticks = ordered.price.map(|text| symbol.ticks(text));
        msg_type == expected
            && id_of(ordered.cl_ord_id) == named_by
            && (ordered.orig_cl_ord_id.is_none()
                || id_of(ordered.orig_cl_ord_id) == intent.orig_cl_ord_id)
            && ordered.symbol == Some(symbol.text())
            && (!has_terms || lots == Some(Ok(intent.size)))
            && (!has_terms || is_amendment || ordered.side == Some(side))
            && (is_cancel || is_amendment || ticks == Some(Ok(intent.price)))
            && (is_cancel || is_amendment || self.lives_as_long(expected, is_kept, ordered, intent))
    }

    /// Whether it rests or takes as was intended: a quote that takes, or a hedge that rests, is another
    /// order.
    fn lives_as_long(
        &self,
        msg_type: &[u8],
        is_kept: bool,
        ordered: &Ordered<'_>,
        intent: &OrderIntent,
    ) -> bool {
        let resting = self.rules.resting_time_in_force.filter(|_| msg_type != b"XCN" && !is_kept);
        let (exec_inst, time_in_force): (_, Option<&[u8]>) = match intent.time_in_force {
            TimeInForce::PostOnly => (Some(self.rules.post_only), resting),
            TimeInForce::ImmediateOrCancel => (None, Some(&b"3"[..])),
        };
        let ord_type: Option<&[u8]> = if is_kept { None } else { Some(&b"2"[..]) };
        (ordered.exec_inst, ordered.time_in_force, ordered.ord_type)
            == (exec_inst, time_in_force, ord_type)
    }
}

fn id_of(text: Option<&[u8]>) -> ClOrdId {
    text.and_then(value::parse_uint).map_or(ClOrdId::NONE, ClOrdId)
}

/// The value up to the next SOH, and what stands behind it.
fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == SOH)?;
    Some((bytes.get(..end)?, bytes.get(end.checked_add(1)?..)?))
}

/// The first message's body (what BodyLength(9) counts), and what stands behind the message.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = split_field(bytes.strip_prefix(b"8=")?)?;
    let (length, rest) = split_field(rest.strip_prefix(b"9=")?)?;
    let length = usize::try_from(value::parse_uint(length)?).ok()?;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((body, rest.split_at_checked(TRAILER_LEN)?.1))
}

/// The next field's tag (0 where it has none) and value, and what stands behind it.
fn split_tagged(fields: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (field, rest) = split_field(fields)?;
    let equals = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
    let (name, text) = field.split_at_checked(equals)?;
    let number = value::parse_uint(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Some((number, text.get(1..).unwrap_or_default(), rest))
}

fn read_fields(mut fields: &[u8], symbol_tag: u32) -> Ordered<'_> {
    let mut ordered = Ordered::default();
    // Bounded: each turn uses up a field.
    while let Some((number, text, rest)) = split_tagged(fields) {
        fields = rest;
        let text = Some(text);
        match number {
            tag::CL_ORD_ID => ordered.cl_ord_id = text,
            tag::ORIG_CL_ORD_ID => ordered.orig_cl_ord_id = text,
            tag::SIDE => ordered.side = text,
            tag::ORDER_QTY => ordered.size = text,
            tag::PRICE => ordered.price = text,
            tag::ORD_TYPE => ordered.ord_type = text,
            tag::EXEC_INST => ordered.exec_inst = text,
            tag::TIME_IN_FORCE => ordered.time_in_force = text,
            tag::POSS_DUP_FLAG => ordered.is_resent = text == Some(b"Y"),
            _ if number == symbol_tag => ordered.symbol = text,
            _ => {}
        }
    }
    ordered
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
