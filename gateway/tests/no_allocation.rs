//! What a user is promised: decoding and encoding a message allocate nothing; what order entry sends is in
//! `stages_allocate_nothing.rs`.

use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::fix::{msg_type, tag};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates, so that tests beside it do not disturb.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn framing_and_decoding_and_encoding_allocate_nothing() {
    let mut decoder = Decoder::new(256);
    let mut buffer = vec![0u8; 4096];
    let tick = "0.01".parse().unwrap();
    let count = allocations_of(|| {
        for n in 0..2_000u64 {
            let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", msg_type::EXECUTION_REPORT);
            encoder.uint(tag::MSG_SEQ_NUM, n).str(tag::SENDER_COMP_ID, "VENUE");
            encoder.timestamp(tag::SENDING_TIME, Nanos(n * 1_234_567_891), Precision::Millis);
            encoder.decimal(tag::PRICE, 6_168_599, tick).bool(tag::POSS_DUP_FLAG, true);
            encoder.data(tag::RAW_DATA_LENGTH, tag::RAW_DATA, b"a\x01b").int(tag::ORDER_QTY, -1);
            encoder.uint(tag::NO_PARTY_IDS, 2);
            encoder.str(tag::PARTY_ID, "x").str(tag::PARTY_ID, "y");
            let len = encoder.finish().unwrap();
            assert_eq!(frame(&buffer, 4096), Frame::Message { len });
            let message = decoder.decode(&buffer[..len]).unwrap();
            assert_eq!(message.msg_seq_num(), Ok(n));
            assert_eq!(message.decimal(tag::PRICE).unwrap().count_of(tick), Ok(6_168_599));
            assert_eq!(message.group(tag::NO_PARTY_IDS, tag::PARTY_ID).unwrap().count(), 2);
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn validating_a_good_message_and_a_bad_one_allocates_nothing() {
    let mut validator = Validator::new(Arc::new(Dictionary::fix44()), Rules::default());
    let mut decoder = Decoder::new(64);
    let good = "8=FIX.4.4|9=9|35=D|34=2|49=A|52=20240808-00:00:00.000|56=B|11=x|453=2|448=a|448=b|\
        802=1|523=x|55=BTCUSDT|54=1|38=0.5|40=2|44=61685.99|60=20240808-00:00:00|10=000|";
    let good = good.replace('|', "\x01").into_bytes();
    let bad = String::from_utf8(good.clone()).unwrap().replace("453=2", "453=9").into_bytes();
    let count = allocations_of(|| {
        for _ in 0..1_000 {
            assert_eq!(validator.check(&decoder.decode(&good).unwrap()), Ok(()));
            assert!(validator.check(&decoder.decode(&bad).unwrap()).is_err());
        }
    });
    assert_eq!(count, 0);
}
