//! `ballast-bench codec`: a NewOrderSingle written and read, beside a copy of its bytes.
//!
//! Single messages take less than the counter's step on some hosts, so 64 are timed as one. Reading is
//! framing (BodyLength and CheckSum verified), splitting, and the five fields that a venue needs;
//! writing is the prepared template with the eight values that change, against the general encoder.

use crate::document::{Document, Measurement, Ratio};
use crate::hiccup::Hiccups;
use crate::histogram::Latencies;
use crate::session::Session;
use ballast_engine::pin;
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Ticks};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::template::{OrderFields, OrderMessage, OrderShape, OrderTemplate};
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::fix::{msg_type, tag};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

/// Messages timed as one.
const BATCH: u64 = 64;
/// Batches in a run.
const BATCHES: usize = 200;
/// The longest message here.
pub const LEN_MAX: usize = 400;
const FIXED: &[(u32, &[u8])] =
    &[(tag::SYMBOL, b"BTCUSDT"), (tag::ORD_TYPE, b"2"), (tag::TIME_IN_FORCE, b"1")];

const TICK: Decimal = Decimal { mantissa: 1, scale: 2 };
const LOT: Decimal = Decimal { mantissa: 1, scale: 5 };

/// A prepared NewOrderSingle and what is needed to fill it.
pub struct Orders {
    template: OrderTemplate,
    number: u64,
}

impl Orders {
    /// Prepared for a 0.01 tick and a 0.00001 lot.
    pub fn new() -> Result<Orders, String> {
        let shape = OrderShape {
            begin_string: b"FIX.4.4",
            sender_comp_id: b"BALLAST",
            target_comp_id: b"VENUE",
            fixed: FIXED,
            tick: TICK,
            lot: LOT,
            precision: Precision::Millis,
            len_max: LEN_MAX,
        };
        let template =
            OrderTemplate::new(OrderMessage::New, &shape).map_err(|error| error.to_string())?;
        Ok(Orders { template, number: 100_000 })
    }

    /// Other values in every order, as in life.
    fn next(&mut self) -> OrderFields<'static> {
        self.number += 1;
        let part = (self.number % 1_000) as i64;
        OrderFields {
            msg_seq_num: self.number,
            sending_time: Nanos(1_723_161_599_000_000_000 + self.number * 137_000),
            cl_ord_id: b"7-1000042",
            orig_cl_ord_id: b"",
            side: if part % 2 == 0 { Side::Buy } else { Side::Sell },
            price: Ticks(6_168_599 + part),
            size: Lots(1_000 + part),
            transact_time: Nanos(1_723_161_599_000_000_000 + self.number * 137_000),
        }
    }

    /// The next order's bytes, by the template.
    pub fn by_template(&mut self) -> Result<&[u8], String> {
        let order = self.next();
        self.template.encode(&order).map_err(|error| error.to_string())
    }

    /// The next order's bytes, field by field.
    fn by_encoder<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], String> {
        let order = self.next();
        let mut encoder = Encoder::begin(buffer, b"FIX.4.4", msg_type::NEW_ORDER_SINGLE);
        encoder
            .bytes(tag::SENDER_COMP_ID, b"BALLAST")
            .bytes(tag::TARGET_COMP_ID, b"VENUE")
            .uint(tag::MSG_SEQ_NUM, order.msg_seq_num)
            .timestamp(tag::SENDING_TIME, order.sending_time, Precision::Millis)
            .bytes(tag::CL_ORD_ID, order.cl_ord_id);
        for (tag, value) in FIXED {
            encoder.bytes(*tag, value);
        }
        encoder
            .char(tag::SIDE, if order.side == Side::Buy { b'1' } else { b'2' })
            .decimal(tag::ORDER_QTY, order.size.0, LOT)
            .decimal(tag::PRICE, order.price.0, TICK)
            .timestamp(tag::TRANSACT_TIME, order.transact_time, Precision::Millis);
        let len = encoder.finish().map_err(|error| error.to_string())?;
        Ok(&buffer[..len])
    }
}

/// Frames and splits `bytes` and reads what a venue needs of an order; ticks and lots as a sum, so that
/// nothing is optimised away.
pub fn read_order(decoder: &mut Decoder, bytes: &[u8]) -> Result<i64, String> {
    let Frame::Message { len } = frame(bytes, LEN_MAX) else {
        return Err("the encoder's bytes are no message".to_owned());
    };
    let message = decoder.decode(&bytes[..len]).map_err(|error| format!("{error:?}"))?;
    let fault = |error| format!("{error:?}");
    black_box(message.text(tag::CL_ORD_ID).map_err(fault)?);
    black_box(message.char(tag::SIDE).map_err(fault)?);
    black_box(message.timestamp(tag::TRANSACT_TIME).map_err(fault)?);
    let grid = |error| format!("{error}");
    let size = message.decimal(tag::ORDER_QTY).map_err(fault)?.count_of(LOT).map_err(grid)?;
    let price = message.decimal(tag::PRICE).map_err(fault)?.count_of(TICK).map_err(grid)?;
    Ok(size + price)
}

/// Runs the codec benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let [near, _] = session.two_cores()?;
    pin::pin_current_thread(near);
    let mut orders = Orders::new()?;
    let sample = orders.by_template()?.to_vec();
    let mut buffer = [0; LEN_MAX];
    let as_encoded = Orders::new()?.by_encoder(&mut buffer)?.to_vec();
    if sample != as_encoded {
        return Err("the template and the encoder write different orders".to_owned());
    }
    let mut decoder = Decoder::new(64);
    let mut subjects: BTreeMap<&'static str, Subject> = BTreeMap::new();
    let mut ratios = Vec::new();
    let mut hiccups = Hiccups::new();
    let share = session.share(1.0);
    while share.is_left() {
        hiccups.watch(session.counter, &[near], Duration::from_millis(5));
        let mut copy = [0u8; LEN_MAX];
        let copied = timed(session, || {
            copy[..sample.len()].copy_from_slice(black_box(&sample));
            black_box(&copy);
            Ok(())
        })?;
        let read = timed(session, || read_order(&mut decoder, black_box(&sample)).map(|_| ()))?;
        let template = timed(session, || orders.by_template().map(|bytes| _ = black_box(bytes)))?;
        let encoder =
            timed(session, || orders.by_encoder(&mut buffer).map(|bytes| _ = black_box(bytes)))?;
        ratios.push(template.at(0.5) / encoder.at(0.5));
        for (name, run) in [
            ("codec.copy", copied),
            ("codec.read.new_order_single", read),
            ("codec.write.new_order_single.template", template),
            ("codec.write.new_order_single.encoder", encoder),
        ] {
            subjects.entry(name).or_default().add(run);
        }
    }
    document.add_hiccups(&hiccups);
    for (name, subject) in subjects {
        let measurement = Measurement::new(name, subject.typical, 0, subject.all);
        document.measurements.extend(measurement);
    }
    document.ratios.extend(Ratio::new("codec.write template / encoder", ratios, None));
    Ok(())
}

#[derive(Default)]
struct Subject {
    typical: Vec<f64>,
    all: Option<Latencies>,
}

impl Subject {
    fn add(&mut self, run: Latencies) {
        self.typical.push(run.at(0.5));
        self.all.get_or_insert_with(Latencies::new).merge(&run);
    }
}

/// One run: batches of `work`, the mean of each batch as one value.
fn timed(
    session: &Session,
    mut work: impl FnMut() -> Result<(), String>,
) -> Result<Latencies, String> {
    let mut run = Latencies::new();
    for _ in 0..BATCHES {
        let from = session.counter.stamp();
        for _ in 0..BATCH {
            work()?;
        }
        run.record_batch(session.counter.nanos_between(from, session.counter.stamp()), BATCH);
    }
    Ok(run)
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
}
