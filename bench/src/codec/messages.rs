//! The messages that the codec is measured on, and what a reader wants of each.
//!
//! Feeds `codec`, `wire` and, by its path, `bench/peers`, so that every codec gets the same bytes and
//! is asked for the same fields. Texts are written with our own encoder, which the peers then check.

use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderIntent, TimeInForce, VenueId,
};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{Decimal, FeeRate, Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::{EncodeError, Encoder};
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::message::{FieldError, Message};
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::fix::{msg_type, tag};
use ballast_gateway::order_entry::requests::Requests;
use ballast_gateway::session::{Envelope, Role, SessionConfig};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use std::hint::black_box;

/// The longest message here.
pub const LEN_MAX: usize = 1_024;
/// Room in the table of fields.
pub const FIELDS_MAX: usize = 128;
/// Entries of the market-data message.
pub const ENTRIES: u64 = 10;

/// One tick of the messages' instrument.
pub const TICK: Decimal = Decimal { mantissa: 1, scale: 2 };
/// One lot of the messages' instrument.
pub const LOT: Decimal = Decimal { mantissa: 1, scale: 5 };
const AT: Nanos = Nanos(1_723_161_599_137_000_000);

/// Order entry's own prepared NewOrderSingle and what is needed to fill it.
pub struct Orders {
    requests: Requests,
    sending_time: TimestampText,
    number: u64,
}

impl Orders {
    /// Prepared for a plain venue, a 0.01 tick and a 0.00001 lot.
    pub fn new() -> Result<Orders, String> {
        let spec = InstrumentSpec {
            symbol: "BTCUSDT".to_owned(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind: InstrumentKind::Spot,
            tick: TICK,
            lot: LOT,
            multiplier: Decimal { mantissa: 1, scale: 0 },
            base: Currency(0),
            quote: Currency(1),
            settlement: Currency(1),
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        let instrument =
            Instrument::new(InstrumentId(0), spec).map_err(|error| error.to_string())?;
        let symbols = Symbols::new(VenueId(0), &[instrument]).map_err(|error| error.to_string())?;
        let session = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
        let requests =
            Requests::new(&session, &symbols, &RULES, None).map_err(|error| error.to_string())?;
        let sending_time = TimestampText::new(Precision::Millis);
        Ok(Orders { requests, sending_time, number: 100_000 })
    }

    /// Other values in every order, as in life.
    fn next(&mut self) -> OrderIntent {
        self.number += 1;
        let part = (self.number % 1_000) as i64;
        OrderIntent {
            cl_ord_id: ClOrdId::new(7, 1_000_000 + self.number),
            orig_cl_ord_id: ClOrdId::NONE,
            price: Ticks(6_168_599 + part),
            size: Lots(1_000 + part),
            stamp: Stamp(0),
            at: Nanos(1_723_161_599_000_000_000 + self.number * 137_000),
            instrument: InstrumentId(0),
            action: OrderAction::New,
            side: if part % 2 == 0 { Side::Buy } else { Side::Sell },
            time_in_force: TimeInForce::PostOnly,
        }
    }

    /// The next order's bytes, as order entry makes them.
    pub fn by_template(&mut self) -> Result<&[u8], String> {
        let order = self.next();
        let sending_time = self.sending_time.at(order.at);
        let envelope = Envelope { msg_seq_num: self.number, sending_time, last_processed: 0 };
        self.requests.encode(0, &order, &envelope).map_err(|error| error.to_string())
    }

    /// The next order's bytes, field by field.
    pub fn by_encoder<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], String> {
        let order = self.next();
        let mut encoder = Encoder::begin(buffer, b"FIX.4.4", msg_type::NEW_ORDER_SINGLE);
        encoder
            .bytes(tag::SENDER_COMP_ID, b"BALLAST")
            .bytes(tag::TARGET_COMP_ID, b"VENUE")
            .uint(tag::MSG_SEQ_NUM, self.number)
            .timestamp(tag::SENDING_TIME, order.at, Precision::Millis)
            .uint(tag::CL_ORD_ID, order.cl_ord_id.0)
            .bytes(tag::HANDL_INST, b"1")
            .bytes(tag::SYMBOL, b"BTCUSDT")
            .bytes(tag::EXEC_INST, b"6")
            .bytes(tag::ORD_TYPE, b"2")
            .bytes(tag::TIME_IN_FORCE, b"0")
            .char(tag::SIDE, if order.side == Side::Buy { b'1' } else { b'2' })
            .decimal(tag::ORDER_QTY, order.size.0, LOT)
            .decimal(tag::PRICE, order.price.0, TICK)
            .timestamp(tag::TRANSACT_TIME, order.at, Precision::Millis);
        let len = encoder.finish().map_err(|error| error.to_string())?;
        Ok(&buffer[..len])
    }
}

/// A partial fill with the 27 fields that a venue of this kind sends.
pub fn execution_report() -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0; LEN_MAX];
    let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", msg_type::EXECUTION_REPORT);
    encoder
        .bytes(tag::SENDER_COMP_ID, b"VENUE")
        .bytes(tag::TARGET_COMP_ID, b"BALLAST")
        .uint(tag::MSG_SEQ_NUM, 104_711)
        .timestamp(tag::SENDING_TIME, AT, Precision::Millis)
        .bytes(tag::ORDER_ID, b"28479351122")
        .bytes(tag::CL_ORD_ID, b"7-1000042")
        .bytes(tag::EXEC_ID, b"3661294075-17")
        .char(tag::EXEC_TYPE, b'F')
        .char(tag::ORD_STATUS, b'1')
        .bytes(tag::ACCOUNT, b"DESK-1")
        .bytes(tag::SYMBOL, b"BTCUSDT")
        .char(tag::SIDE, b'1')
        .decimal(tag::ORDER_QTY, 1_500, LOT)
        .char(tag::ORD_TYPE, b'2')
        .decimal(tag::PRICE, 6_168_599, TICK)
        .char(tag::TIME_IN_FORCE, b'1')
        .decimal(tag::LAST_QTY, 400, LOT)
        .decimal(tag::LAST_PX, 6_168_599, TICK)
        .decimal(tag::LEAVES_QTY, 1_100, LOT)
        .decimal(tag::CUM_QTY, 400, LOT)
        .decimal(tag::AVG_PX, 6_168_599, TICK)
        .timestamp(tag::TRANSACT_TIME, AT, Precision::Millis)
        .char(tag::LAST_LIQUIDITY_IND, b'1');
    let len = encoder.finish()?;
    buffer.truncate(len);
    Ok(buffer)
}

/// An incremental refresh of [`ENTRIES`] entries, each with action, type, symbol, price and size.
pub fn incremental_refresh() -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0; LEN_MAX];
    let msg_type = msg_type::MARKET_DATA_INCREMENTAL_REFRESH;
    let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", msg_type);
    encoder
        .bytes(tag::SENDER_COMP_ID, b"VENUE")
        .bytes(tag::TARGET_COMP_ID, b"BALLAST")
        .uint(tag::MSG_SEQ_NUM, 104_712)
        .timestamp(tag::SENDING_TIME, AT, Precision::Millis)
        .uint(tag::MD_REQ_ID, 1)
        .uint(tag::NO_MD_ENTRIES, ENTRIES);
    for n in 0..ENTRIES as i64 {
        encoder
            .char(tag::MD_UPDATE_ACTION, b'1')
            .char(tag::MD_ENTRY_TYPE, if n % 2 == 0 { b'0' } else { b'1' })
            .bytes(tag::SYMBOL, b"BTCUSDT")
            .decimal(tag::MD_ENTRY_PX, 6_168_599 + if n % 2 == 0 { -n } else { n }, TICK)
            .decimal(tag::MD_ENTRY_SIZE, 1_234 + n * 977, LOT);
    }
    let len = encoder.finish()?;
    buffer.truncate(len);
    Ok(buffer)
}

/// Frames `bytes` (BodyLength and CheckSum verified) and splits them into fields.
#[inline]
pub fn decode<'a>(decoder: &'a mut Decoder, bytes: &'a [u8]) -> Result<Message<'a>, String> {
    let Frame::Message { len } = frame(bytes, LEN_MAX) else {
        return Err("the encoder's bytes are no message".to_owned());
    };
    decoder.decode(&bytes[..len]).map_err(|error| format!("{error:?}"))
}

/// Decodes a NewOrderSingle and reads what a venue needs; size and price as a sum, so that nothing is
/// optimised away.
pub fn read_order(decoder: &mut Decoder, bytes: &[u8]) -> Result<i64, String> {
    let message = decode(decoder, bytes)?;
    black_box(message.text(tag::CL_ORD_ID).map_err(fault)?);
    black_box(message.char(tag::SIDE).map_err(fault)?);
    black_box(message.timestamp(tag::TRANSACT_TIME).map_err(fault)?);
    Ok(count(&message, tag::ORDER_QTY, LOT)? + count(&message, tag::PRICE, TICK)?)
}

/// Decodes an ExecutionReport and reads what an order needs to know.
pub fn read_execution_report(decoder: &mut Decoder, bytes: &[u8]) -> Result<i64, String> {
    let message = decode(decoder, bytes)?;
    black_box(message.text(tag::ORDER_ID).map_err(fault)?);
    black_box(message.text(tag::CL_ORD_ID).map_err(fault)?);
    black_box(message.text(tag::EXEC_ID).map_err(fault)?);
    black_box(message.char(tag::EXEC_TYPE).map_err(fault)?);
    black_box(message.char(tag::ORD_STATUS).map_err(fault)?);
    black_box(message.char(tag::SIDE).map_err(fault)?);
    black_box(message.timestamp(tag::TRANSACT_TIME).map_err(fault)?);
    let left = count(&message, tag::LEAVES_QTY, LOT)? + count(&message, tag::CUM_QTY, LOT)?;
    Ok(left + count(&message, tag::LAST_QTY, LOT)? + count(&message, tag::LAST_PX, TICK)?)
}

/// Decodes an incremental refresh and reads every field of every entry.
pub fn read_refresh(decoder: &mut Decoder, bytes: &[u8]) -> Result<i64, String> {
    let message = decode(decoder, bytes)?;
    let mut sum = 0;
    for entry in message.group(tag::NO_MD_ENTRIES, tag::MD_UPDATE_ACTION).map_err(fault)? {
        black_box(entry.char(tag::MD_UPDATE_ACTION).map_err(fault)?);
        black_box(entry.char(tag::MD_ENTRY_TYPE).map_err(fault)?);
        black_box(entry.text(tag::SYMBOL).map_err(fault)?);
        let price = entry.decimal(tag::MD_ENTRY_PX).map_err(fault)?;
        let size = entry.decimal(tag::MD_ENTRY_SIZE).map_err(fault)?;
        sum += price.count_of(TICK).map_err(|error| error.to_string())?;
        sum += size.count_of(LOT).map_err(|error| error.to_string())?;
    }
    Ok(sum)
}

fn count(message: &Message<'_>, tag: u32, unit: Decimal) -> Result<i64, String> {
    message.decimal(tag).map_err(fault)?.count_of(unit).map_err(|error| error.to_string())
}

fn fault(error: FieldError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_and_the_encoder_write_the_same_order_and_it_reads_back() {
        let mut orders = Orders::new().unwrap();
        let by_template = orders.by_template().unwrap().to_vec();
        let mut buffer = [0; LEN_MAX];
        let by_encoder = Orders::new().unwrap().by_encoder(&mut buffer).unwrap().to_vec();
        assert_eq!(by_template, by_encoder);
        assert_eq!(read_order(&mut Decoder::new(64), &by_template), Ok(6_168_600 + 1_001));
        assert!(read_order(&mut Decoder::new(64), b"8=FIX.4.4").is_err());
    }

    #[test]
    fn the_report_and_the_refresh_read_back_what_was_written() {
        let mut decoder = Decoder::new(FIELDS_MAX);
        let report = execution_report().unwrap();
        assert_eq!(read_execution_report(&mut decoder, &report), Ok(1_100 + 400 + 400 + 6_168_599));
        assert_eq!(decode(&mut decoder, &report).unwrap().field_count(), 27);
        let refresh = incremental_refresh().unwrap();
        let prices: i64 = (0..10).map(|n| 6_168_599 + if n % 2 == 0 { -n } else { n }).sum();
        let sizes: i64 = (0..10).map(|n| 1_234 + n * 977).sum();
        assert_eq!(read_refresh(&mut decoder, &refresh), Ok(prices + sizes));
    }
}
