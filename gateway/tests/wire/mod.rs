//! FIX bytes for tests: `35=8|11=1|…` becomes a whole, true message, and back.
#![allow(dead_code, reason = "each test file uses its part")]

use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::FeeRate;
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::message::Message;

/// A whole message with true BodyLength and CheckSum; `|` stands for SOH.
pub fn whole(body: &str) -> Vec<u8> {
    let body: Vec<u8> = format!("{body}|").bytes().map(|b| if b == b'|' { 1 } else { b }).collect();
    let mut message = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    message.extend(body);
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend(format!("10={sum:03}\x01").bytes());
    message
}

/// Decodes one message and hands it to `read`.
pub fn decoded<T>(bytes: &[u8], read: impl FnOnce(&Message<'_>) -> T) -> T {
    assert!(matches!(frame(bytes, 1 << 20), Frame::Message { len, .. } if len == bytes.len()));
    let mut decoder = Decoder::new(4096);
    read(&decoder.decode(bytes).unwrap())
}

/// A linear perpetual of venue 0: tick 0.01, lot 0.001.
pub fn instrument(id: u16, symbol: &str) -> Instrument {
    let spec = InstrumentSpec {
        symbol: symbol.into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::LinearPerpetual,
        tick: "0.01".parse().unwrap(),
        lot: "0.001".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}
