//! NewOrderSingle(D), OrderCancelReplaceRequest(G) and OrderCancelRequest(F) as FIX 4.4 has them, from
//! one [`Template`] each.
//!
//! Fed with the values that differ from order to order; the bytes go to who sends them. Any thread that owns
//! it. Deliberately absent: what a venue wants beside, which order entry's own requests know.

use super::template::{Part, Slot, Template, TemplateError, Unit};
use super::timestamp::{Precision, TimestampText};
use super::{msg_type, tag};
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Ticks};

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
    tick: Unit,
    lot: Unit,
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
            tick: Unit::new(shape.tick),
            lot: Unit::new(shape.lot),
            template,
        })
    }

    /// The whole message for one order.
    ///
    /// # Errors
    /// A ClOrdID is empty or holds the separator, or the message does not fit.
    #[inline]
    pub fn encode(&mut self, order: &OrderFields<'_>) -> Result<&[u8], TemplateError> {
        let side = if order.side == Side::Buy { b'1' } else { b'2' };
        let mut filling = self
            .template
            .fill()
            .uint(self.msg_seq_num, order.msg_seq_num)
            .timestamp(self.sending_time, self.sending_text.at(order.sending_time))
            .bytes(self.cl_ord_id, order.cl_ord_id);
        if let Some(slot) = self.orig_cl_ord_id {
            filling = filling.bytes(slot, order.orig_cl_ord_id);
        }
        filling = filling.char(self.side, side).decimal(self.size, order.size.0, &self.lot);
        if let Some(slot) = self.price {
            filling = filling.decimal(slot, order.price.0, &self.tick);
        }
        filling.timestamp(self.transact_time, self.transact_text.at(order.transact_time)).seal()
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
}
