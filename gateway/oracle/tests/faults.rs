//! The faults of fefix 0.7 that are known here: why it is a second opinion and not linked in. A test
//! that fails says that a fault is gone.

use fefix::GetConfig;
use fefix::tagvalue::{Config, Decoder, Encoder, RawDecoder};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

fn decoder() -> Decoder<Config> {
    let mut decoder = Decoder::<Config>::new(fefix::Dictionary::fix44());
    // CheckSums are not what is shown here.
    decoder.config_mut().set_verify_checksum(false);
    decoder
}

fn message(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    format!("8=FIX.4.4\x019={}\x01{body}10=000\x01", body.len()).into_bytes()
}

/// A buffer that tells when it is gone.
struct Buffer(Vec<u8>, Rc<Cell<bool>>);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.1.set(true);
    }
}

#[test]
fn a_message_outlives_its_buffer_in_safe_code() {
    let is_gone = Rc::new(Cell::new(false));
    let mut decoder = decoder();
    let buffer = Buffer(message("35=0|34=1|"), Rc::clone(&is_gone));
    let message = decoder.decode(buffer).unwrap();
    assert!(is_gone.get());
    // Its fields point into freed memory; only their number may still be asked for.
    assert_eq!(message.len(), 3);
}

#[test]
fn a_length_field_at_the_end_of_a_message_breaks_the_next_message() {
    let (first, second) = (message("35=0|34=1|95=500|"), message("35=0|34=2|"));
    let mut decoder = decoder();
    assert!(decoder.decode(&second).is_ok());
    assert!(decoder.decode(&first).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| decoder.decode(&second).is_ok())).is_err());
}

#[test]
fn a_counter_that_is_no_number_panics() {
    let bytes = message("35=X|268=x|");
    assert!(catch_unwind(AssertUnwindSafe(|| decoder().decode(&bytes).is_ok())).is_err());
}

#[test]
fn the_encoder_writes_a_wrong_body_length_from_256_bytes_on() {
    for (text_len, is_right) in [(246, true), (247, false), (300, false)] {
        let mut buffer = Vec::new();
        let mut encoder = Encoder::<Config>::default();
        let mut handle = encoder.start_message(b"FIX.4.4", &mut buffer, b"B");
        handle.raw(format!("58={}\x01", "x".repeat(text_len)).as_bytes());
        let bytes = handle.wrap();
        // `35=B|58=` and two SOH.
        let body = text_len + 9;
        let says = format!("8=FIX.4.4\x019={body:06}\x01");
        assert_eq!(bytes.starts_with(says.as_bytes()), is_right, "{body} bytes");
    }
}

#[test]
fn the_raw_decoder_takes_checksums_lengths_and_first_tags_that_are_none() {
    let raw = RawDecoder::<Config>::new();
    let mut sum = message("35=0|34=1|");
    let at = sum.len() - 4;
    let is = sum[..at - 3].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    // Two digits that carry nothing, then a byte that is as far from '0' as the sum.
    sum[at..at + 3].copy_from_slice(&[b'0', b'0', b'0'.wrapping_add(is)]);
    assert!(raw.decode(&sum[..]).is_ok());
    let mut first = decoder();
    let text = String::from_utf8(message("35=0|34=1|")).unwrap();
    assert!(first.decode(text.replacen("8=", "7=", 1).as_bytes()).is_ok());
    assert!(first.decode(text.replacen("9=10", "9=0:", 1).as_bytes()).is_ok());
}

#[test]
fn the_dictionary_loses_what_is_in_components() {
    let dictionary = fefix::Dictionary::fix44();
    assert_eq!(dictionary.component_by_name("Instrument").unwrap().items().count(), 0);
    assert_eq!(dictionary.component_by_name("StandardHeader").unwrap().items().count(), 27);
}
