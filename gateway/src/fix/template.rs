//! Hot messages, prepared once and patched: only what differs from the last one is written.
//!
//! Fed by order entry, whose thread owns the template; the bytes go to the store and the socket.
//! Budget: 40 ns a message, no allocation. A slot keeps the width of its last value, so that nothing
//! needs leading zeros, which some venues refuse; a value of another width (MsgSeqNum 999 to 1000)
//! moves what follows it, once. CheckSum follows each patch by what changed.

use super::checksum::{checksum, digits};
use super::encode::{EncodeError, Encoder};
use super::timestamp::{Precision, TimestampText};
use super::value::NumberText;
use super::{SOH, msg_type, tag};
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Ticks};

/// Most slots of a template: one bit each says whether it was ever set.
const SLOTS_MAX: usize = 32;
/// `10=ddd` and its SOH.
const TRAILER_LEN: usize = 7;

/// One field of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// The same in every message.
    Fixed(u32, &'a [u8]),
    /// Set before a message goes out.
    Slot(u32),
}

/// Why there is no template, or no message from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A part or a value cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// More slots than [`Template::new`] takes.
    #[error("a template has at most 32 slots")]
    TooManySlots,
    /// A slot was never set.
    #[error("the slot for tag {tag} was never set")]
    Unset {
        /// Its tag.
        tag: u32,
    },
}

/// A slot of one template, as [`Template::slot`] found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(usize);

#[derive(Clone, Copy, Debug)]
struct Span {
    tag: u32,
    start: usize,
    len: usize,
}

/// A whole message with places to patch.
#[derive(Debug)]
pub struct Template {
    bytes: Box<[u8]>,
    /// Length of the message.
    len: usize,
    /// BodyLength(9) first, then the slots in wire order.
    spans: Vec<Span>,
    /// Where the body begins: BodyLength counts from here.
    body_at: usize,
    /// Sum of all bytes before CheckSum(10).
    sum: u8,
    /// One bit a span that was never set.
    unset: u32,
    error: Option<EncodeError>,
}

impl Template {
    /// Renders the parts in their order. `len_max` is the longest message that may come of it.
    ///
    /// # Errors
    /// The parts do not fit or are no legal values, or there are more than 31 slots.
    pub fn new(
        begin_string: &[u8],
        msg_type: &[u8],
        parts: &[Part<'_>],
        len_max: usize,
    ) -> Result<Template, TemplateError> {
        let mut bytes = vec![0u8; len_max].into_boxed_slice();
        let mut encoder = Encoder::begin(&mut bytes, begin_string, msg_type);
        for part in parts {
            match part {
                Part::Fixed(tag, value) => encoder.bytes(*tag, value),
                Part::Slot(tag) => encoder.bytes(*tag, b"0"),
            };
        }
        let len = encoder.finish()?;
        let mut spans = Vec::with_capacity(SLOTS_MAX);
        let mut body_at = 0;
        let mut start = 0;
        let mut next_part = parts.iter();
        let message = bytes.get(..len).unwrap_or_default();
        for (field, place) in message.split_inclusive(|byte| *byte == SOH).zip(0usize..) {
            let value = field.iter().position(|byte| *byte == b'=').unwrap_or(0) + 1;
            let span = |tag| Span { tag, start: start + value, len: field.len() - value - 1 };
            if place == 1 {
                spans.push(span(tag::BODY_LENGTH));
                body_at = start + field.len();
            } else if place > 2
                && let Some(Part::Slot(tag)) = next_part.next()
            {
                spans.push(span(*tag));
            }
            start += field.len();
        }
        if spans.len() >= SLOTS_MAX {
            return Err(TemplateError::TooManySlots);
        }
        let sum = checksum(bytes.get(..len - TRAILER_LEN).unwrap_or_default());
        let unset = ((1u32 << spans.len()) - 1) & !1;
        Ok(Template { bytes, len, spans, body_at, sum, unset, error: None })
    }

    /// The slot for a tag.
    pub fn slot(&self, tag: u32) -> Option<Slot> {
        self.spans.iter().skip(1).position(|span| span.tag == tag).map(|at| Slot(at + 1))
    }

    /// Sets a slot to text.
    #[inline]
    pub fn bytes(&mut self, slot: Slot, value: &[u8]) -> &mut Self {
        if value.is_empty() || value.contains(&SOH) {
            self.refuse(slot, value);
            return self;
        }
        self.patch(slot, value)
    }

    /// Sets a slot to a number.
    #[inline]
    pub fn uint(&mut self, slot: Slot, value: u64) -> &mut Self {
        self.patch(slot, NumberText::uint(value).as_bytes())
    }

    /// Sets a slot to one character.
    #[inline]
    pub fn char(&mut self, slot: Slot, value: u8) -> &mut Self {
        self.bytes(slot, &[value])
    }

    /// Sets a slot to `count × unit` with the unit's digits.
    #[inline]
    pub fn decimal(&mut self, slot: Slot, count: i64, unit: Decimal) -> &mut Self {
        self.patch(slot, NumberText::decimal(count, unit).as_bytes())
    }

    /// Finishes CheckSum(10) and gives the whole message.
    ///
    /// # Errors
    /// A slot was never set, or the last values did not fit or were no legal values; the next
    /// message starts without that error.
    #[inline]
    pub fn seal(&mut self) -> Result<&[u8], TemplateError> {
        if self.unset != 0 || self.error.is_some() {
            return Err(self.complaint());
        }
        let at = self.len - 4;
        if let Some(room) = self.bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<3>()) {
            *room = digits(self.sum);
        }
        Ok(self.bytes.get(..self.len).unwrap_or_default())
    }

    #[cold]
    fn complaint(&mut self) -> TemplateError {
        if let Some(error) = self.error.take() {
            return TemplateError::Encode(error);
        }
        let first = self.spans.get(self.unset.trailing_zeros() as usize);
        TemplateError::Unset { tag: first.map_or(tag::INVALID, |span| span.tag) }
    }

    #[cold]
    fn refuse(&mut self, slot: Slot, value: &[u8]) {
        let tag = self.spans.get(slot.0).map_or(tag::INVALID, |span| span.tag);
        self.error.get_or_insert(match value.is_empty() {
            true => EncodeError::EmptyValue { tag },
            false => EncodeError::SeparatorInValue { tag },
        });
    }

    #[inline]
    fn patch(&mut self, slot: Slot, value: &[u8]) -> &mut Self {
        let Some(span) = self.spans.get(slot.0) else {
            return self;
        };
        if span.len == value.len() {
            self.sum = overwrite(&mut self.bytes, span, value, self.sum);
        } else {
            self.resize(slot, value);
        }
        self.unset &= !(1 << slot.0);
        self
    }

    /// Makes room for a value of another width, and lets BodyLength follow.
    #[cold]
    fn resize(&mut self, slot: Slot, value: &[u8]) {
        self.splice(slot, value);
        let body_len = (self.len - TRAILER_LEN).saturating_sub(self.body_at);
        let text = NumberText::uint(body_len as u64);
        let before = self.spans.first().map_or(0, |span| span.len);
        self.splice(Slot(0), text.as_bytes());
        self.body_at = (self.body_at + text.as_bytes().len()).saturating_sub(before);
        self.sum = checksum(self.bytes.get(..self.len - TRAILER_LEN).unwrap_or_default());
    }

    fn splice(&mut self, slot: Slot, value: &[u8]) {
        let Some(span) = self.spans.get(slot.0).copied() else {
            return;
        };
        let len = (self.len + value.len()).saturating_sub(span.len);
        if len > self.bytes.len() {
            self.error.get_or_insert(EncodeError::Overflow);
            return;
        }
        let (from, to) = (span.start + span.len, span.start + value.len());
        self.bytes.copy_within(from..self.len, to);
        self.len = len;
        for (other, place) in self.spans.iter_mut().zip(0usize..) {
            if place == slot.0 {
                other.len = value.len();
            } else if other.start > span.start {
                other.start = (other.start + to).saturating_sub(from);
            }
        }
        let span = Span { len: value.len(), ..span };
        overwrite(&mut self.bytes, &span, value, 0);
    }
}

/// Writes a value of the same width and gives the new sum.
#[inline]
fn overwrite(bytes: &mut [u8], span: &Span, value: &[u8], sum: u8) -> u8 {
    let mut sum = sum;
    if let Some(room) = bytes.get_mut(span.start..span.start + span.len) {
        for (to, from) in room.iter_mut().zip(value) {
            sum = sum.wrapping_add(*from).wrapping_sub(*to);
            *to = *from;
        }
    }
    sum
}

/// Which order message a template makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderMessage {
    /// NewOrderSingle(D).
    New,
    /// OrderCancelReplaceRequest(G).
    Replace,
    /// OrderCancelRequest(F).
    Cancel,
}

/// What differs from order to order.
#[derive(Clone, Copy, Debug)]
pub struct OrderFields<'a> {
    /// MsgSeqNum(34).
    pub msg_seq_num: u64,
    /// SendingTime(52).
    pub sending_time: Nanos,
    /// ClOrdID(11).
    pub cl_ord_id: &'a [u8],
    /// OrigClOrdID(41); unused in a new order.
    pub orig_cl_ord_id: &'a [u8],
    /// Side(54): buy is 1, sell is 2.
    pub side: Side,
    /// Price(44); unused in a cancel.
    pub price: Ticks,
    /// OrderQty(38).
    pub size: Lots,
    /// TransactTime(60).
    pub transact_time: Nanos,
}

/// What is the same in all orders of one template.
#[derive(Clone, Copy, Debug)]
pub struct OrderShape<'a> {
    /// BeginString(8).
    pub begin_string: &'a [u8],
    /// SenderCompID(49).
    pub sender_comp_id: &'a [u8],
    /// TargetCompID(56).
    pub target_comp_id: &'a [u8],
    /// Fields of the body that never change, in their order: 55, 40, 59, 21, 18, 1 …
    pub fixed: &'a [(u32, &'a [u8])],
    /// What one tick is worth in Price(44).
    pub tick: Decimal,
    /// What one lot is worth in OrderQty(38).
    pub lot: Decimal,
    /// Digits of SendingTime(52) and TransactTime(60).
    pub precision: Precision,
    /// The longest message.
    pub len_max: usize,
}

/// NewOrderSingle, OrderCancelReplaceRequest or OrderCancelRequest from a prepared text.
#[derive(Debug)]
pub struct OrderTemplate {
    template: Template,
    msg_seq_num: Slot,
    sending_time: Slot,
    cl_ord_id: Slot,
    orig_cl_ord_id: Option<Slot>,
    side: Slot,
    size: Slot,
    price: Option<Slot>,
    transact_time: Slot,
    sending_text: TimestampText,
    transact_text: TimestampText,
    tick: Decimal,
    lot: Decimal,
}

impl OrderTemplate {
    /// Prepares one kind of order.
    ///
    /// # Errors
    /// A fixed field is no legal value, or the message does not fit `len_max`.
    pub fn new(kind: OrderMessage, shape: &OrderShape<'_>) -> Result<OrderTemplate, TemplateError> {
        let msg_type = match kind {
            OrderMessage::New => msg_type::NEW_ORDER_SINGLE,
            OrderMessage::Replace => msg_type::ORDER_CANCEL_REPLACE_REQUEST,
            OrderMessage::Cancel => msg_type::ORDER_CANCEL_REQUEST,
        };
        let mut parts = vec![
            Part::Fixed(tag::SENDER_COMP_ID, shape.sender_comp_id),
            Part::Fixed(tag::TARGET_COMP_ID, shape.target_comp_id),
            Part::Slot(tag::MSG_SEQ_NUM),
            Part::Slot(tag::SENDING_TIME),
            Part::Slot(tag::CL_ORD_ID),
        ];
        if kind != OrderMessage::New {
            parts.push(Part::Slot(tag::ORIG_CL_ORD_ID));
        }
        parts.extend(shape.fixed.iter().map(|(tag, value)| Part::Fixed(*tag, value)));
        parts.extend([Part::Slot(tag::SIDE), Part::Slot(tag::ORDER_QTY)]);
        if kind != OrderMessage::Cancel {
            parts.push(Part::Slot(tag::PRICE));
        }
        parts.push(Part::Slot(tag::TRANSACT_TIME));
        let template = Template::new(shape.begin_string, msg_type, &parts, shape.len_max)?;
        let slot = |tag| template.slot(tag).ok_or(TemplateError::Unset { tag });
        Ok(OrderTemplate {
            msg_seq_num: slot(tag::MSG_SEQ_NUM)?,
            sending_time: slot(tag::SENDING_TIME)?,
            cl_ord_id: slot(tag::CL_ORD_ID)?,
            orig_cl_ord_id: template.slot(tag::ORIG_CL_ORD_ID),
            side: slot(tag::SIDE)?,
            size: slot(tag::ORDER_QTY)?,
            price: template.slot(tag::PRICE),
            transact_time: slot(tag::TRANSACT_TIME)?,
            sending_text: TimestampText::new(shape.precision),
            transact_text: TimestampText::new(shape.precision),
            tick: shape.tick,
            lot: shape.lot,
            template,
        })
    }

    /// The whole message for one order.
    ///
    /// # Errors
    /// A ClOrdID is empty or holds the separator, or the message does not fit.
    #[inline]
    pub fn encode(&mut self, order: &OrderFields<'_>) -> Result<&[u8], TemplateError> {
        let template = &mut self.template;
        template.uint(self.msg_seq_num, order.msg_seq_num);
        template.patch(self.sending_time, self.sending_text.write(order.sending_time));
        template.bytes(self.cl_ord_id, order.cl_ord_id);
        if let Some(slot) = self.orig_cl_ord_id {
            template.bytes(slot, order.orig_cl_ord_id);
        }
        let side = match order.side {
            Side::Buy => b"1",
            Side::Sell => b"2",
        };
        template.patch(self.side, side);
        template.decimal(self.size, order.size.0, self.lot);
        if let Some(slot) = self.price {
            template.decimal(slot, order.price.0, self.tick);
        }
        template.patch(self.transact_time, self.transact_text.write(order.transact_time));
        template.seal()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::Decoder;
    use super::super::frame::{Frame, frame};
    use super::*;

    fn shape<'a>() -> OrderShape<'a> {
        OrderShape {
            begin_string: b"FIX.4.4",
            sender_comp_id: b"BALLAST",
            target_comp_id: b"VENUE",
            fixed: &[(55, b"BTCUSDT"), (40, b"2"), (59, b"1"), (18, b"6")],
            tick: "0.01".parse().unwrap(),
            lot: "0.00001".parse().unwrap(),
            precision: Precision::Millis,
            len_max: 400,
        }
    }

    fn order(msg_seq_num: u64, price: i64, size: i64) -> OrderFields<'static> {
        OrderFields {
            msg_seq_num,
            sending_time: Nanos(1_723_161_599_999_000_000),
            cl_ord_id: b"7-42",
            orig_cl_ord_id: b"7-41",
            side: Side::Sell,
            price: Ticks(price),
            size: Lots(size),
            transact_time: Nanos(1_723_161_599_998_000_000),
        }
    }

    #[test]
    fn every_width_of_every_slot_gives_a_true_frame_with_the_right_values() {
        for kind in [OrderMessage::New, OrderMessage::Replace, OrderMessage::Cancel] {
            let mut template = OrderTemplate::new(kind, &shape()).unwrap();
            let mut decoder = Decoder::new(64);
            for n in [1u64, 9, 10, 999, 1000, 999_999, 12, 1_000_000_000_000, 3] {
                let count = i64::try_from(n).unwrap();
                let bytes = template.encode(&order(n, count * 7, count)).unwrap();
                assert_eq!(frame(bytes, 400), Frame::Message { len: bytes.len() });
                let message = decoder.decode(bytes).unwrap();
                assert_eq!(message.msg_seq_num(), Ok(n));
                let lot = "0.00001".parse().unwrap();
                assert_eq!(message.decimal(38).unwrap().count_of(lot), Ok(count));
                assert_eq!(message.get(54), Some(&b"2"[..]));
                assert_eq!(message.get(52), Some(&b"20240808-23:59:59.999"[..]));
                assert_eq!(message.get(41).is_some(), kind != OrderMessage::New);
                assert_eq!(message.get(44).is_some(), kind != OrderMessage::Cancel);
                assert_eq!(message.get(10).map(<[u8]>::len), Some(3));
            }
        }
    }

    #[test]
    fn a_slot_that_was_never_set_keeps_the_message_in() {
        let parts = [Part::Slot(34), Part::Slot(11)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 100).unwrap();
        let slot = template.slot(34).unwrap();
        assert_eq!(template.uint(slot, 5).seal().err(), Some(TemplateError::Unset { tag: 11 }));
        let slot = template.slot(11).unwrap();
        assert!(template.bytes(slot, b"x").seal().is_ok());
    }

    #[test]
    fn a_value_with_a_separator_or_without_room_is_an_error_once() {
        let parts = [Part::Slot(11)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 40).unwrap();
        let slot = template.slot(11).unwrap();
        for (value, error) in [
            (&b"a\x01b"[..], EncodeError::SeparatorInValue { tag: 11 }),
            (b"", EncodeError::EmptyValue { tag: 11 }),
            (&[b'x'; 60], EncodeError::Overflow),
        ] {
            assert_eq!(template.bytes(slot, value).seal().err(), Some(error.into()));
        }
        let bytes = template.bytes(slot, b"fine").seal().unwrap();
        assert_eq!(frame(bytes, 40), Frame::Message { len: bytes.len() });
    }
}
