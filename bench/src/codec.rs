<<<<<<< HEAD
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
=======
//! What the FIX codec costs: one thread, warm, batches of one thousand messages, median and extremes
//! of the batches' means.
//!
//! Run by `examples/codec.rs`, and made to be called by `ballast-bench codec`. A closed loop on purpose:
//! this is the cost of the work, not the latency under load. Peers beside it are absent here.

use ballast_engine::clock::Counter;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::checksum::{checksum, digits};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::template::{OrderFields, OrderMessage, OrderShape, OrderTemplate};
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::fix::{msg_type, tag};
use std::hint::black_box;
use std::sync::Arc;

const BATCH: u64 = 1_000;
const BATCHES: usize = 301;
const LEN_MAX: usize = 8_192;

/// One line of the result.
pub struct Figure {
    /// What was done.
    pub name: &'static str,
    /// Bytes of the message.
    pub message_len: usize,
    /// Nanoseconds a message: the fastest, the median and the slowest batch.
    pub ns: [f64; 3],
}

/// NewOrderSingle(D) as a broker's client sends it.
pub fn new_order_single() -> Vec<u8> {
    sealed(
        "35=D|49=BALLAST|56=VENUE|34=1234|52=20240808-23:59:59.999|11=7-000042|1=ACC|21=1|55=BTCUSDT|\
         54=1|60=20240808-23:59:59.998|38=0.01500|40=2|44=61685.99|59=1|18=6|",
    )
}

/// ExecutionReport(8): a partial fill.
pub fn execution_report() -> Vec<u8> {
    sealed(
        "35=8|49=VENUE|56=BALLAST|34=5678|52=20240808-23:59:59.999|37=9000042|11=7-000042|17=E0001234|\
         150=F|39=1|1=ACC|55=BTCUSDT|54=1|38=0.01500|40=2|44=61685.99|59=1|18=6|32=0.00500|\
         31=61685.99|151=0.01000|14=0.00500|6=61685.99|60=20240808-23:59:59.998|851=1|",
    )
}

/// MarketDataIncrementalRefresh(X) with ten entries.
pub fn incremental_refresh() -> Vec<u8> {
    let mut body =
        String::from("35=X|49=VENUE|56=BALLAST|34=91011|52=20240808-23:59:59.999|262=md-1|268=10|");
    for entry in 0..10 {
        let side = entry % 2;
        body.push_str(&format!(
            "279=1|269={side}|55=BTCUSDT|270=6168{entry}.99|271=0.{entry}1500|278=77{entry}|"
        ));
    }
    sealed(&body)
}

fn sealed(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut bytes = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = digits(checksum(&bytes));
    bytes.extend_from_slice(b"10=");
    bytes.extend_from_slice(&sum);
    bytes.push(1);
    bytes
}

/// All figures, in the order of the work.
pub fn run(counter: Counter) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, message, read) in [
        (
            "frame and decode NewOrderSingle, read 7 fields",
            new_order_single(),
            read_order as Reader,
        ),
        ("frame and decode ExecutionReport, read 10 fields", execution_report(), read_report),
        ("frame and decode X with 10 entries, read them", incremental_refresh(), read_entries),
    ] {
        let mut decoder = Decoder::new(512);
        figures.push(measure(counter, name, message.len(), || {
            let bytes = black_box(&message[..]);
            if let Frame::Message { len } = frame(bytes, LEN_MAX)
                && let Ok(message) = decoder.decode(&bytes[..len])
            {
                black_box(read(&message));
            }
        }));
    }
    figures.push(validate(counter));
    figures.push(template(counter));
    figures.push(encode(counter));
    figures
}

type Reader = fn(&Message<'_>) -> i64;

fn read_order(message: &Message<'_>) -> i64 {
    let text = message.get(tag::CL_ORD_ID).map_or(0, <[u8]>::len) as i64;
    let symbol = message.get(tag::SYMBOL).map_or(0, <[u8]>::len) as i64;
    let price = message.decimal(tag::PRICE).map_or(0, |price| price.mantissa);
    let size = message.decimal(tag::ORDER_QTY).map_or(0, |size| size.mantissa);
    let side = message.char(tag::SIDE).map_or(0, i64::from);
    let kind = message.char(tag::ORD_TYPE).map_or(0, i64::from);
    text + symbol + price + size + side + kind + message.msg_seq_num().unwrap_or(0) as i64
}

/// One pass with a match on the tag: how order entry reads.
fn read_report(message: &Message<'_>) -> i64 {
    use ballast_engine::units::Decimal;
    let mut sum = 0;
    for field in message.fields() {
        match field.tag {
            tag::CL_ORD_ID | tag::EXEC_ID | tag::SYMBOL => sum += field.value.len() as i64,
            tag::LAST_PX | tag::LAST_QTY | tag::CUM_QTY | tag::LEAVES_QTY | tag::PRICE => {
                sum += Decimal::parse(field.value).map_or(0, |number| number.mantissa);
            }
            tag::EXEC_TYPE | tag::ORD_STATUS => sum += field.value.first().map_or(0, |b| *b as i64),
            _ => {}
        }
    }
    sum
}

fn read_entries(message: &Message<'_>) -> i64 {
    let mut sum = 0;
    if let Ok(group) = message.group(tag::NO_MD_ENTRIES, tag::MD_UPDATE_ACTION) {
        for entry in group {
            sum += entry.char(tag::MD_ENTRY_TYPE).map_or(0, i64::from);
            sum += entry.decimal(tag::MD_ENTRY_PX).map_or(0, |price| price.mantissa);
            sum += entry.decimal(tag::MD_ENTRY_SIZE).map_or(0, |size| size.mantissa);
        }
    }
    sum
}

fn validate(counter: Counter) -> Figure {
    let bytes = new_order_single();
    let mut decoder = Decoder::new(512);
    let mut validator = Validator::new(Arc::new(Dictionary::fix44()), Rules::default());
    let message = decoder.decode(&bytes).expect("a good message");
    assert_eq!(validator.check(&message), Ok(()));
    measure(counter, "validate NewOrderSingle (already decoded)", bytes.len(), || {
        black_box(validator.check(black_box(&message)).is_ok());
    })
}

fn order(n: u64) -> OrderFields<'static> {
    OrderFields {
        msg_seq_num: 100_000 + n % 800_000,
        sending_time: Nanos(1_723_161_599_000_000_000 + n * 10_000),
        cl_ord_id: b"7-000042",
        orig_cl_ord_id: b"7-000041",
        side: Side::Buy,
        price: Ticks(6_168_599 + n as i64 % 100),
        size: Lots(1_500),
        transact_time: Nanos(1_723_161_599_000_000_000 + n * 10_000),
    }
}

fn template(counter: Counter) -> Figure {
    let (tick, lot) = ("0.01".parse().expect("a tick"), "0.00001".parse().expect("a lot"));
    let shape = OrderShape {
        begin_string: b"FIX.4.4",
        sender_comp_id: b"BALLAST",
        target_comp_id: b"VENUE",
        fixed: &[
            (tag::ACCOUNT, b"ACC"),
            (tag::SYMBOL, b"BTCUSDT"),
            (tag::ORD_TYPE, b"2"),
            (tag::TIME_IN_FORCE, b"1"),
            (tag::EXEC_INST, b"6"),
        ],
        tick,
        lot,
        precision: Precision::Millis,
        len_max: 512,
    };
    let mut template = OrderTemplate::new(OrderMessage::New, &shape).expect("a template");
    let len = template.encode(&order(0)).expect("a message").len();
    let mut n = 0;
    measure(counter, "encode NewOrderSingle from its template", len, || {
        n += 1;
        black_box(template.encode(black_box(&order(n))).map_or(0, <[u8]>::len));
    })
}

fn encode(counter: Counter) -> Figure {
    let (tick, lot) = ("0.01".parse().expect("a tick"), "0.00001".parse().expect("a lot"));
    let mut buffer = vec![0u8; 512];
    let mut n = 0;
    let mut len = 0;
    let mut figure = measure(counter, "encode NewOrderSingle field by field", 0, || {
        n += 1;
        let order = black_box(order(n));
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", msg_type::NEW_ORDER_SINGLE);
        encoder.bytes(tag::SENDER_COMP_ID, b"BALLAST").bytes(tag::TARGET_COMP_ID, b"VENUE");
        encoder.uint(tag::MSG_SEQ_NUM, order.msg_seq_num);
        encoder.timestamp(tag::SENDING_TIME, order.sending_time, Precision::Millis);
        encoder.bytes(tag::CL_ORD_ID, order.cl_ord_id).bytes(tag::ACCOUNT, b"ACC");
        encoder.bytes(tag::SYMBOL, b"BTCUSDT").char(tag::ORD_TYPE, b'2');
        encoder.char(tag::TIME_IN_FORCE, b'1').char(tag::EXEC_INST, b'6').char(tag::SIDE, b'1');
        encoder.decimal(tag::ORDER_QTY, order.size.0, lot).decimal(tag::PRICE, order.price.0, tick);
        encoder.timestamp(tag::TRANSACT_TIME, order.transact_time, Precision::Millis);
        len = black_box(encoder.finish().unwrap_or(0));
    });
    figure.message_len = len;
    figure
}

fn measure(
    counter: Counter,
    name: &'static str,
    message_len: usize,
    mut work: impl FnMut(),
) -> Figure {
    let mut means: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = counter.stamp();
            for _ in 0..BATCH {
                work();
            }
            counter.nanos_between(start, counter.stamp()) as f64 / BATCH as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Figure { name, message_len, ns: [means[0], means[BATCHES / 2], means[BATCHES - 1]] }
>>>>>>> cc88bd4 (What the codec costs, as an example that bench can call)
}
