//! fefix's stateless `RawDecoder` and our framing and decoding say the same of every message in
//! ../shared/data/hffix-fix-logs and of generated messages of every type of FIX 4.4, and refuse the same
//! ones of those whose BodyLength or CheckSum is wrong.

#[allow(dead_code, reason = "the gateway's own tests use the rest")]
#[path = "../../tests/generated/mod.rs"]
mod generated;

use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, frame};
use fefix::tagvalue::{Config, RawDecoder};
use generated::{Fill, Generator};
use std::path::Path;

const LEN_MAX: usize = 1 << 20;

/// BeginString and the fields between BodyLength and CheckSum, as each side sees them.
#[derive(PartialEq, Eq, Debug)]
struct Opinion {
    begin_string: Vec<u8>,
    payload: Vec<u8>,
}

fn theirs(bytes: &[u8]) -> Option<Opinion> {
    let frame = RawDecoder::<Config>::new().decode(bytes).ok()?;
    Some(Opinion { begin_string: frame.begin_string().to_vec(), payload: frame.payload().to_vec() })
}

/// Ours, put together again from the decoded fields.
fn ours(decoder: &mut Decoder, bytes: &[u8]) -> Option<Opinion> {
    if frame(bytes, LEN_MAX) != (Frame::Message { len: bytes.len() }) {
        return None;
    }
    let message = decoder.decode(bytes).ok()?;
    let mut payload = Vec::new();
    for (place, field) in message.fields().enumerate().skip(2).take(message.field_count() - 3) {
        payload.extend_from_slice(message.tag_text_at(place));
        payload.push(b'=');
        payload.extend_from_slice(field.value);
        payload.push(1);
    }
    Some(Opinion { begin_string: message.begin_string().to_vec(), payload })
}

/// One message, and four that are it with something wrong.
fn compare(decoder: &mut Decoder, bytes: &[u8]) {
    let opinion = ours(decoder, bytes);
    assert!(opinion.is_some(), "ours takes {}", String::from_utf8_lossy(bytes));
    assert_eq!(opinion, theirs(bytes));
    let mut wrong_sum = bytes.to_vec();
    let digit = bytes.len() - 2;
    wrong_sum[digit] = if bytes[digit] == b'9' { b'0' } else { bytes[digit] + 1 };
    let mut wrong_body = bytes.to_vec();
    wrong_body[bytes.len() - 9] ^= 1;
    let length = bytes.iter().position(|byte| *byte == 1).unwrap() + 3;
    let mut wrong_length = bytes.to_vec();
    wrong_length[length] = if bytes[length] == b'9' { b'1' } else { bytes[length] + 1 };
    for wrong in [&wrong_sum[..], &wrong_body, &wrong_length, &bytes[..bytes.len() - 1]] {
        assert_eq!((ours(decoder, wrong), theirs(wrong)), (None, None));
    }
}

#[test]
fn the_recorded_logs_read_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/hffix-fix-logs");
    let mut decoder = Decoder::new(4096);
    let mut count = 0;
    for name in ["fix.5.0.set.1", "fix.4.1.set.1"] {
        let path = folder.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                println!("skipped: {}: {error}", path.display());
                return;
            }
        };
        let mut rest = &bytes[..];
        // Split at the CheckSum, so that neither side decides where a message ends.
        while let Some(at) = rest.windows(4).position(|window| window == b"\x0110=") {
            let (message, behind) = rest.split_at(at + 8);
            compare(&mut decoder, message);
            count += 1;
            rest = behind;
        }
        assert!(rest.trim_ascii().is_empty(), "{name}: {} bytes left", rest.len());
    }
    assert_eq!(count, 13_904);
}

#[test]
fn generated_messages_of_every_type_read_alike() {
    let dictionary = Dictionary::fix44();
    let mut generator = Generator::new(&dictionary, 70);
    let mut decoder = Decoder::new(1 << 16);
    let mut count = 0;
    for definition in dictionary.messages() {
        for fill in [Fill::Required, Fill::Some, Fill::Some, Fill::All] {
            let message = generator.message(definition, fill);
            compare(&mut decoder, &message.bytes());
            count += 1;
        }
    }
    assert_eq!(count, 93 * 4);
}
