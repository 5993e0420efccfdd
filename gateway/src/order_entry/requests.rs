//! Intents as NewOrderSingle(D), OrderCancelReplaceRequest(G) and OrderCancelRequest(F).
//!
//! Fed by the stage with intents; feeds the session with whole messages. Order-entry thread. Every
//! instrument has its prepared messages, resting, taking, replace and cancel of each side, of the fields that its
//! venue takes and no others; only what differs is written. Deliberately absent: ClOrdIDs of its own, and any order that is not a limit order.

use crate::fix::template::{Part, Slot, Template, TemplateError, Unit};
use crate::fix::timestamp::TimestampText;
use crate::fix::{msg_type, tag};
use crate::session::{Envelope, SendError, SessionConfig};
use crate::venue::dialect::Rules;
use crate::venue::symbols::{Symbol, Symbols};
use ballast_engine::event::{OrderAction, OrderIntent, TimeInForce};
use ballast_engine::units::Side;
use thiserror::Error;

/// Longest order message: header, the fields below, and an account.
const MESSAGE_MAX: usize = 1024;

/// Why an intent did not go out. Nothing was sent.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The session did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It cannot be written.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The instrument is not this venue's.
    #[error("the instrument is not traded at this venue")]
    UnknownInstrument,
}

/// Which prepared message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Resting,
    Taking,
    Replace,
    Cancel,
}

/// One prepared message and its places.
struct Prepared {
    template: Template,
    msg_seq_num: Slot,
    sending_time: Slot,
    last_processed: Option<Slot>,
    cl_ord_id: Slot,
    orig_cl_ord_id: Option<Slot>,
    size: Option<Slot>,
    price: Option<Slot>,
    transact_time: Option<Slot>,
}

/// The same for each side: what one side sent last is near what it sends next.
struct Sided([Prepared; 2]);

impl Sided {
    #[inline(always)]
    fn of(&mut self, side: Side) -> &mut Prepared {
        let Sided([buy, sell]) = self;
        match side {
            Side::Buy => buy,
            Side::Sell => sell,
        }
    }
}

struct Instrument {
    resting: Sided,
    taking: Sided,
    replace: Sided,
    cancel: Sided,
    tick: Unit,
    lot: Unit,
}

/// The prepared messages of one venue.
pub struct Requests {
    /// By place in [`Symbols`].
    instruments: Vec<Instrument>,
    transact_time: TimestampText,
    has_replace: bool,
    cancel_names_order: bool,
    /// An amended order keeps its first name: G has none of its own.
    names_first: bool,
}

impl Requests {
    /// Prepares all messages. `account` is Account(1), where the venue wants it.
    ///
    /// # Errors
    /// A fixed value cannot be written.
    pub fn new(
        session: &SessionConfig,
        symbols: &Symbols,
        rules: &Rules,
        account: Option<&str>,
    ) -> Result<Requests, TemplateError> {
        let mut instruments = Vec::with_capacity(symbols.count());
        for symbol in symbols.iter() {
            let one = |kind, side| prepare(kind, side, session, symbol, rules, account);
            let make = |kind| -> Result<Sided, TemplateError> {
                Ok(Sided([one(kind, Side::Buy)?, one(kind, Side::Sell)?]))
            };
            instruments.push(Instrument {
                resting: make(Kind::Resting)?,
                taking: make(Kind::Taking)?,
                replace: make(Kind::Replace)?,
                cancel: make(Kind::Cancel)?,
                tick: Unit::new(symbol.tick()),
                lot: Unit::new(symbol.lot()),
            });
        }
        // TransactTime(60) has the digits that SendingTime(52) has.
        let transact_time = TimestampText::new(session.sending_time);
        Ok(Requests {
            instruments,
            transact_time,
            has_replace: rules.has_replace,
            cancel_names_order: rules.cancel_names_order,
            names_first: rules.report_tags.names_first,
        })
    }

    /// The whole message for an intent on the symbol at `place`.
    ///
    /// # Errors
    /// The instrument or the message is not this venue's, or a value does not fit.
    pub fn encode(
        &mut self,
        place: usize,
        intent: &OrderIntent,
        envelope: &Envelope<'_>,
    ) -> Result<&[u8], RequestError> {
        let instrument = self.instruments.get_mut(place).ok_or(RequestError::UnknownInstrument)?;
        let (tick, lot) = (&instrument.tick, &instrument.lot);
        let sided = match (intent.action, intent.time_in_force) {
            (OrderAction::New, TimeInForce::PostOnly) => &mut instrument.resting,
            (OrderAction::New, TimeInForce::ImmediateOrCancel) => &mut instrument.taking,
            (OrderAction::Replace, _) if self.has_replace => &mut instrument.replace,
            // The venue has no such message: the order goes, and once the venue says so the maker
            // sends another. Were the intent handed back, the maker would only ask again, and the
            // quote would stand where it is for ever.
            (OrderAction::Replace | OrderAction::Cancel, _) => &mut instrument.cancel,
        };
        let prepared = sided.of(intent.side);
        let is_cancel = match intent.action {
            OrderAction::New => false,
            OrderAction::Replace => !self.has_replace,
            OrderAction::Cancel => true,
        };
        let is_kept = self.names_first && intent.action == OrderAction::Replace;
        let names_order = is_kept || self.cancel_names_order && is_cancel;
        let named = if names_order { intent.orig_cl_ord_id } else { intent.cl_ord_id };
        let mut filling = prepared
            .template
            .fill()
            .uint(prepared.msg_seq_num, envelope.msg_seq_num)
            .timestamp(prepared.sending_time, envelope.sending_time)
            .uint(prepared.cl_ord_id, named.0);
        if let Some(slot) = prepared.last_processed {
            filling = filling.uint(slot, envelope.last_processed);
        }
        if let Some(slot) = prepared.orig_cl_ord_id {
            filling = filling.uint(slot, intent.orig_cl_ord_id.0);
        }
        if let Some(slot) = prepared.size {
            filling = filling.steady(slot, intent.size.0, lot);
        }
        if let Some(slot) = prepared.price {
            filling = filling.decimal(slot, intent.price.0, tick);
        }
        if let Some(slot) = prepared.transact_time {
            // Mostly it was decided in the millisecond in which it is sent.
            let sent = envelope.sending_time;
            let is_same = sent.is_of(intent.at, &self.transact_time);
            let text = if is_same { sent } else { self.transact_time.at(intent.at) };
            filling = filling.timestamp(slot, text);
        }
        Ok(filling.seal()?)
    }
}

/// The header's fields in their order, beside those that every template begins with.
fn header(session: &SessionConfig) -> Vec<Part<'_>> {
    let mut parts = vec![
        Part::Fixed(tag::SENDER_COMP_ID, session.sender_comp_id.as_bytes()),
        Part::Fixed(tag::TARGET_COMP_ID, session.target_comp_id.as_bytes()),
        Part::Slot(tag::MSG_SEQ_NUM),
        Part::Slot(tag::SENDING_TIME),
    ];
    let sub_ids = [
        (tag::SENDER_SUB_ID, &session.sender_sub_id),
        (tag::TARGET_SUB_ID, &session.target_sub_id),
    ];
    for (tag, id) in sub_ids {
        parts.extend(id.as_ref().map(|id| Part::Fixed(tag, id.as_bytes())));
    }
    parts.extend(session.has_last_processed.then_some(Part::Slot(tag::LAST_MSG_SEQ_NUM_PROCESSED)));
    parts
}

/// One prepared message: header, ids, fixed terms, then what differs.
fn prepare(
    kind: Kind,
    side: Side,
    session: &SessionConfig,
    symbol: &Symbol,
    rules: &Rules,
    account: Option<&str>,
) -> Result<Prepared, TemplateError> {
    let is_cancel = kind == Kind::Cancel;
    let is_new = matches!(kind, Kind::Resting | Kind::Taking);
    let mut parts = header(session);
    parts.push(Part::Slot(tag::CL_ORD_ID));
    let is_kept = kind == Kind::Replace && rules.report_tags.names_first;
    let names_order = is_kept || is_cancel && rules.cancel_names_order;
    parts.extend((!is_new && !names_order).then_some(Part::Slot(tag::ORIG_CL_ORD_ID)));
    parts.extend(account.map(|account| Part::Fixed(tag::ACCOUNT, account.as_bytes())));
    if rules.has_handl_inst && !is_cancel {
        parts.push(Part::Fixed(tag::HANDL_INST, b"1"));
    }
    parts.push(Part::Fixed(rules.report_tags.symbol, symbol.text()));
    parts.extend(rules.security_id_source.map(|s| Part::Fixed(tag::SECURITY_ID_SOURCE, s)));
    if !is_cancel {
        let post_only = Part::Fixed(tag::EXEC_INST, rules.post_only);
        parts.extend((kind != Kind::Taking).then_some(post_only));
    }
    if !is_cancel && !is_kept {
        parts.push(Part::Fixed(tag::ORD_TYPE, b"2"));
        let time_in_force =
            if kind == Kind::Taking { Some(&b"3"[..]) } else { rules.resting_time_in_force };
        parts.extend(time_in_force.map(|value| Part::Fixed(tag::TIME_IN_FORCE, value)));
    }
    if !is_cancel || rules.cancel_has_terms {
        let side = if side == Side::Buy { b"1" } else { b"2" };
        parts.extend([Part::Fixed(tag::SIDE, side), Part::Slot(tag::ORDER_QTY)]);
    }
    parts.extend((!is_cancel).then_some(Part::Slot(tag::PRICE)));
    parts.extend(rules.has_transact_time.then_some(Part::Slot(tag::TRANSACT_TIME)));
    let msg_type = match kind {
        Kind::Resting | Kind::Taking => msg_type::NEW_ORDER_SINGLE,
        Kind::Replace => msg_type::ORDER_CANCEL_REPLACE_REQUEST,
        Kind::Cancel => msg_type::ORDER_CANCEL_REQUEST,
    };
    let begin_string = session.begin_string.as_bytes();
    let template = Template::new(begin_string, msg_type, &parts, MESSAGE_MAX)?;
    let must = |tag| template.slot(tag).ok_or(TemplateError::Unset { tag });
    Ok(Prepared {
        msg_seq_num: must(tag::MSG_SEQ_NUM)?,
        sending_time: must(tag::SENDING_TIME)?,
        last_processed: template.slot(tag::LAST_MSG_SEQ_NUM_PROCESSED),
        cl_ord_id: must(tag::CL_ORD_ID)?,
        orig_cl_ord_id: template.slot(tag::ORIG_CL_ORD_ID),
        size: template.slot(tag::ORDER_QTY),
        price: template.slot(tag::PRICE),
        transact_time: template.slot(tag::TRANSACT_TIME),
        template,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::decode::Decoder;
    use crate::fix::frame::{Frame, frame};
    use crate::fix::timestamp::Precision;
    use crate::session::Role;
    use crate::venue::plain::RULES;
    use ballast_engine::event::{ClOrdId, InstrumentId, VenueId};
    use ballast_engine::instrument::{Currency, InstrumentKind, InstrumentSpec, Underlying};
    use ballast_engine::units::{Decimal, FeeRate, Lots, Nanos, Stamp, Ticks};

    const LOT: Decimal = Decimal { mantissa: 1, scale: 5 };

    fn symbols() -> Symbols {
        let spec = InstrumentSpec {
            symbol: "BTCUSDT".into(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind: InstrumentKind::Spot,
            tick: "0.01".parse().unwrap(),
            lot: LOT,
            multiplier: "1".parse().unwrap(),
            base: Currency(0),
            quote: Currency(1),
            settlement: Currency(1),
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        let instrument = ballast_engine::instrument::Instrument::new(InstrumentId(0), spec);
        Symbols::new(VenueId(0), &[instrument.unwrap()]).unwrap()
    }

    fn intent(action: OrderAction, n: i64) -> OrderIntent {
        OrderIntent {
            cl_ord_id: ClOrdId::new(7, n.unsigned_abs()),
            orig_cl_ord_id: ClOrdId::new(6, n.unsigned_abs()),
            price: Ticks(n.saturating_mul(7)),
            size: Lots(n),
            stamp: Stamp(0),
            at: Nanos(1_723_161_599_998_000_000),
            instrument: InstrumentId(0),
            action,
            side: if n % 2 == 0 { Side::Buy } else { Side::Sell },
            time_in_force: TimeInForce::PostOnly,
        }
    }

    #[test]
    fn every_width_of_every_value_gives_a_true_frame_with_the_right_values() {
        let symbols = symbols();
        let session = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
        let mut requests = Requests::new(&session, &symbols, &RULES, Some("A1")).unwrap();
        let mut sending_time = TimestampText::new(Precision::Millis);
        let mut decoder = Decoder::new(64);
        for action in [OrderAction::New, OrderAction::Replace, OrderAction::Cancel] {
            for n in [1i64, 9, 10, 999, 1000, 999_999, 12, 1_000_000_000_000, 3] {
                let sending_time = sending_time.at(Nanos(1_723_161_599_999_000_000));
                let msg_seq_num = n.unsigned_abs();
                let envelope = Envelope { msg_seq_num, sending_time, last_processed: 0 };
                let bytes = requests.encode(0, &intent(action, n), &envelope).unwrap();
                assert_eq!(frame(bytes, MESSAGE_MAX), Frame::Message { len: bytes.len() });
                let message = decoder.decode(bytes).unwrap();
                assert_eq!(message.msg_seq_num(), Ok(msg_seq_num));
                assert_eq!(message.decimal(38).unwrap().count_of(LOT), Ok(n));
                let id = ClOrdId::new(7, msg_seq_num).0.to_string();
                assert_eq!(message.get(11), Some(id.as_bytes()));
                assert_eq!(message.get(54), Some(if n % 2 == 0 { &b"1"[..] } else { b"2" }));
                assert_eq!(message.get(52), Some(&b"20240808-23:59:59.999"[..]));
                assert_eq!(message.get(60), Some(&b"20240808-23:59:59.998"[..]));
                assert_eq!(message.get(41).is_some(), action != OrderAction::New);
                assert_eq!(message.get(44).is_some(), action != OrderAction::Cancel);
            }
        }
        let order = intent(OrderAction::New, 1);
        let sending_time = sending_time.at(order.at);
        let envelope = Envelope { msg_seq_num: 1, sending_time, last_processed: 0 };
        let elsewhere = requests.encode(1, &order, &envelope);
        assert!(matches!(elsewhere, Err(RequestError::UnknownInstrument)));
    }
}
