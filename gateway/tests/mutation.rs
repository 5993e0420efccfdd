//! What a user is promised of hostile bytes: through framing, decoding and validation nothing panics
//! or hangs, memory stays bounded, and the next good message is understood.
//!
//! The count is `BALLAST_MUTATIONS` (default 20,000), the seed `BALLAST_SEED` (default 1); a failure
//! prints the number of the mutation, which the same seed repeats.

#[allow(dead_code, reason = "other tests use the rest")]
mod generated;
mod hostile;

use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::fix::checksum::{checksum, digits};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::session::Role;
use generated::{Fill, Generator, Random};
use hostile::{LEN_MAX, Reader};
use std::path::Path;

fn sealed(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut bytes = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = digits(checksum(&bytes));
    bytes.extend_from_slice(b"10=");
    bytes.extend_from_slice(&sum);
    bytes.push(1);
    bytes
}

fn samples() -> Vec<Vec<u8>> {
    [
        "35=D|34=2|49=A|52=20240808-00:00:00.000|56=B|11=7-1|453=2|448=a|802=1|523=x|448=b|\
         55=BTCUSDT|54=1|38=0.5|40=2|44=61685.99|60=20240808-00:00:00|",
        "35=8|34=3|49=A|52=20240808-00:00:00.000|56=B|37=1|11=7-1|17=e|150=F|39=1|55=BTCUSDT|54=1|\
         38=0.5|44=61685.99|32=0.1|31=61685.99|151=0.4|14=0.1|6=61685.99|60=20240808-00:00:00|",
        "35=X|34=4|49=A|52=20240808-00:00:00|56=B|268=2|279=0|269=0|55=A|270=1.5|271=2|279=2|269=1|",
        "35=A|34=1|49=A|52=20240808-00:00:00|56=B|98=0|108=30|95=5|96=a|b=c|141=Y|",
        "35=0|34=5|49=A|52=20240808-00:00:00|56=B|",
    ]
    .map(sealed)
    .into()
}

/// Changes a message in one of the ways in which bytes go wrong, or in one in which a peer is wrong.
fn mutate(random: &mut Random, message: &mut Vec<u8>, all: &[Vec<u8>]) {
    const PIECES: [&[u8]; 10] = [
        b"\x01",
        b"=",
        b"8=FIX.4.4\x01",
        b"9=99999999999\x01",
        b"10=000\x01",
        b"\x0195=4294967295\x0196=",
        b"-1=x\x01",
        b"\x01268=18446744073709551615\x01",
        b"9=5\x01",
        b"\xff\x00",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(message.len());
        let end = (at + random.below(24)).min(message.len());
        match random.below(7) {
            0 => message[at] = random.next().to_le_bytes()[0],
            1 => message[at] ^= 1 << random.below(8),
            2 => drop(message.drain(at..end)),
            3 => {
                let piece = message[at..end].to_vec();
                message.splice(at..at, piece);
            }
            4 => {
                let piece = PIECES[random.below(PIECES.len())];
                message.splice(at..at, piece.iter().copied());
            }
            5 => {
                let other = &all[random.below(all.len())];
                let from = random.below(other.len());
                message.splice(at.., other[from..].iter().copied());
            }
            _ => message.truncate(at.max(1)),
        }
        if message.is_empty() {
            message.push(b'8');
        }
    }
}

/// Gives a mutated body a true BodyLength and CheckSum, so that it gets past framing.
fn seal_again(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let body = text.split_once("35=").map_or("", |(_, rest)| rest);
    let body = body.rsplit_once("10=").map_or(body, |(body, _)| body);
    sealed(&format!("35={}|", body.trim_end_matches('\x01')))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Sealed or as it is, by lot.
fn mutated(random: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut message = samples[random.below(samples.len())].clone();
    mutate(random, &mut message, samples);
    if random.below(2) == 0 { seal_again(&message) } else { message }
}

#[test]
fn no_mutation_panics_hangs_or_hides_the_next_good_message() {
    let mut reader = Reader::new();
    let mut samples = samples();
    let good = samples[4].clone();
    let dictionary = Dictionary::fix44();
    let mut generator = Generator::new(&dictionary, 1);
    let bare = |message: &_| generator.message(message, Fill::Required).bytes();
    samples.extend(dictionary.messages().iter().map(bare));
    let mut random = Random(number("BALLAST_SEED", 1));
    let (mut buffer, mut understood) = (Vec::new(), 0u64);
    let count = number("BALLAST_MUTATIONS", 20_000);
    for n in 0..count {
        let message = mutated(&mut random, &samples);
        buffer.extend_from_slice(&message);
        understood += reader.read(&mut buffer).1;
        // A BodyLength that is too long takes what follows with it, for as long as a message may be;
        // after that the next one must come out.
        let is_back = (0..=2 * LEN_MAX / good.len()).any(|_| {
            buffer.extend_from_slice(&good);
            reader.read(&mut buffer).0.as_ref() == Some(&good)
        });
        assert!(
            is_back,
            "mutation {n} hides all that follows: {:?}",
            String::from_utf8_lossy(&message)
        );
    }
    println!("{understood} of {count} mutated messages were good in every way");
    assert!(understood > 0 && understood < count, "{understood} of {count} survived mutation");
}

#[test]
fn a_new_session_of_either_role_comes_to_rest_after_any_bytes() {
    let samples = samples();
    let mut random = Random(number("BALLAST_SEED", 1));
    let mut logged_on = [0u64; 2];
    for n in 0..number("BALLAST_MUTATIONS", 20_000) / 20 {
        // Half begin with a good Logon, so that what follows meets an active session.
        let mut bytes = if random.below(2) == 0 { samples[3].clone() } else { Vec::new() };
        for _ in 0..8 {
            bytes.extend(mutated(&mut random, &samples));
        }
        let role = if n.is_multiple_of(2) { Role::Acceptor } else { Role::Initiator };
        let was_logged_on = hostile::session(role, n % 4 < 2, &bytes);
        logged_on[usize::from(n % 2 == 1)] += u64::from(was_logged_on);
    }
    assert!(logged_on.iter().all(|count| *count > 0), "both roles were logged on: {logged_on:?}");
}

/// What the fuzz targets do, with seeded bytes: they run where no fuzzer does.
#[test]
fn the_fuzz_targets_hold_for_seeded_bytes() {
    let samples = samples();
    let mut random = Random(number("BALLAST_SEED", 1));
    for _ in 0..number("BALLAST_MUTATIONS", 20_000) / 40 {
        let message = mutated(&mut random, &samples);
        hostile::framed(&message);
        hostile::decoded(&message);
        let body = message.windows(3).position(|piece| piece == b"35=").map_or(0, |at| at + 3);
        hostile::validated(&message[body..]);
        let mut lines = vec![random.next().to_le_bytes()[0]];
        for _ in 0..8 {
            let line = mutated(&mut random, &samples);
            let kind = [&b"!"[..], b"D", b"0", b"2", b"4", b"5", b"A", b"1"][random.below(8)];
            lines.extend_from_slice(kind);
            lines.extend(line.iter().filter(|byte| **byte != b'\n'));
            lines.push(b'\n');
        }
        hostile::conversation(&lines);
    }
}

#[test]
fn a_mutated_dictionary_is_loaded_or_refused() {
    const XML: &str = "<fix type='FIX' major='4' minor='4'><header><field name='A' required='Y'/>\
        </header><trailer/><messages><message name='M' msgtype='D' msgcat='app'>\
        <component name='C' required='Y'/><group name='B' required='N'><field name='A' \
        required='Y'/></group></message></messages><components><component name='C'><component \
        name='E' required='N'/></component><component name='E'><field name='D' required='N'/>\
        </component></components><fields><field number='35' name='A' type='STRING'><value enum='D' \
        description='ORDER'/></field><field number='78' name='B' type='NUMINGROUP'/><field \
        number='11' name='D' type='CHAR'/></fields></fix>";
    assert!(hostile::dictionary(XML.as_bytes()));
    let all = [XML.as_bytes().to_vec()];
    let mut random = Random(number("BALLAST_SEED", 1));
    let count = number("BALLAST_MUTATIONS", 20_000) / 10;
    let loaded = (0..count)
        .filter(|_| {
            let mut text = XML.as_bytes().to_vec();
            mutate(&mut random, &mut text, &all);
            hostile::dictionary(&text)
        })
        .count() as u64;
    assert!(loaded > 0 && loaded < count, "{loaded} of {count} loaded");
}

#[test]
fn every_message_of_the_recorded_fix_logs_is_framed_and_decoded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hffix-fix-logs");
    for (name, messages, fields) in [("fix.5.0.set.1", 13_888, 11_365), ("fix.4.1.set.1", 16, 0)] {
        let path = folder.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                println!("skipped: {}: {error}", path.display());
                return;
            }
        };
        let mut decoder = Decoder::new(512);
        let (mut rest, mut count, mut increments) = (&bytes[..], 0, 0);
        while let Frame::Message { len } = frame(rest, LEN_MAX) {
            let message = decoder.decode(&rest[..len]).unwrap();
            // The plain way: split at SOH, then at the first equals sign.
            let plain = rest[..len - 1].split(|byte| *byte == 1).map(|field| {
                let at = field.iter().position(|byte| *byte == b'=').unwrap();
                (std::str::from_utf8(&field[..at]).unwrap().parse().unwrap(), &field[at + 1..])
            });
            assert!(message.fields().map(|field| (field.tag, field.value)).eq(plain));
            increments += usize::from(message.msg_type() == b"X");
            count += 1;
            rest = &rest[len..];
        }
        // One of the files ends with a line feed.
        assert!(rest.trim_ascii().is_empty(), "{name}: {} bytes left", rest.len());
        assert_eq!((count, increments), (messages, fields), "{name}");
    }
}
