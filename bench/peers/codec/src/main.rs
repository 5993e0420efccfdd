//! Our codec beside QuickFIX C++ (Debian's, with its FIX44 dictionary) and the Rust crate `rustyfix`: the
//! same bytes, the same fields asked for, in one run: `bench/peers/codec/run [FIX44.xml]`.
//!
//! A subject's figure is the median over rounds of batches' means; rounds go through all subjects, so that a
//! busy host is busy for all. What each codec reads is compared before anything is timed.

#[expect(dead_code, reason = "the bench's file; its own crate uses the rest")]
#[path = "../../../src/codec/messages.rs"]
mod messages;

use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::decode::Decoder;
use messages::{FIELDS_MAX, Orders, read_execution_report, read_order, read_refresh};
use rustyfix::prelude::*;
use rustyfix::tagvalue;
use std::ffi::{CString, c_char, c_double, c_int, c_long, c_void};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const BATCH: u32 = 64;
const BATCHES: usize = 40;
const ROUNDS: usize = 50;

unsafe extern "C" {
    fn peer_open(xml: *const c_char) -> *mut c_void;
    fn peer_keep(peer: *mut c_void, which: c_int, bytes: *const c_char, length: usize);
    fn peer_read(peer: *mut c_void, which: c_int, validate: bool) -> c_double;
    fn peer_write(peer: *mut c_void, n: c_long) -> c_double;
}

/// QuickFIX with a dictionary and the three messages.
#[derive(Clone, Copy)]
struct QuickFix(*mut c_void);

impl QuickFix {
    fn new(xml: &str, texts: &[Vec<u8>; 3]) -> Result<QuickFix, String> {
        let path = CString::new(xml).map_err(|error| error.to_string())?;
        // SAFETY: `path` is a C string that lives through the call.
        let peer = unsafe { peer_open(path.as_ptr()) };
        if peer.is_null() {
            return Err(format!("QuickFIX cannot read {xml}"));
        }
        for (text, which) in texts.iter().zip(0..) {
            // SAFETY: `peer` is open, `which` is one of its three places, the bytes are copied.
            unsafe { peer_keep(peer, which, text.as_ptr().cast(), text.len()) };
        }
        Ok(QuickFix(peer))
    }

    fn read(self, which: c_int, validates: bool) -> f64 {
        // SAFETY: `self.0` is open; every exception ends there.
        unsafe { peer_read(self.0, which, validates) }
    }

    fn write(self, n: i64) -> f64 {
        // SAFETY: as above.
        unsafe { peer_write(self.0, n) }
    }
}

type Work<'a> = Box<dyn FnMut() + 'a>;

fn decimal(map: &impl FieldMap<u32>, tag: u32) -> f64 {
    let raw = map.get_raw(tag).unwrap_or_else(|| panic!("rustyfix has no {tag}"));
    std::str::from_utf8(raw).ok().and_then(|raw| raw.parse().ok()).expect("a number")
}

/// The same fields as `messages::read_*`.
fn rusty(decoder: &mut tagvalue::Decoder, which: usize, bytes: &[u8]) -> f64 {
    let message = decoder.decode(bytes).expect("rustyfix decodes it");
    let touch = |tags: &[u32]| {
        for tag in tags {
            black_box(message.get_raw(*tag).expect("a field"));
        }
    };
    match which {
        0 => {
            touch(&[11, 54, 60]);
            decimal(&message, 38) + decimal(&message, 44)
        }
        1 => {
            touch(&[37, 11, 17, 150, 39, 54, 60]);
            [151, 14, 32, 31].iter().map(|tag| decimal(&message, *tag)).sum()
        }
        _ => {
            let group = message.group(268).expect("the group");
            let entry = |entry: &_| {
                for tag in [279, 269, 55] {
                    black_box(FieldMap::<u32>::get_raw(entry, tag).expect("a field"));
                }
                decimal(entry, 270) + decimal(entry, 271)
            };
            (0..group.len()).map(|n| entry(&group.get(n).expect("an entry"))).sum()
        }
    }
}

fn timed(work: &mut Work<'_>) -> f64 {
    let mut batches = [0.0; BATCHES];
    for batch in &mut batches {
        let begin = Instant::now();
        for _ in 0..BATCH {
            work();
        }
        *batch = begin.elapsed().as_nanos() as f64 / f64::from(BATCH);
    }
    median(&mut batches)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), String> {
    let xml = std::env::args().nth(1).ok_or("usage: run FIX44.xml")?;
    let fail = |error: ballast_gateway::fix::encode::EncodeError| error.to_string();
    let order = Orders::new()?.by_template()?.to_vec();
    let texts = [
        order,
        messages::execution_report().map_err(fail)?,
        messages::incremental_refresh().map_err(fail)?,
    ];
    let quickfix = QuickFix::new(&xml, &texts)?;
    let dictionary = rustyfix::Dictionary::fix44().map_err(|error| format!("{error:?}"))?;
    let mut check = tagvalue::Decoder::new(dictionary.clone());
    for (name, which) in ["NewOrderSingle", "ExecutionReport", "refresh of 10"].iter().zip(0..) {
        let (theirs, rusty) =
            (quickfix.read(which, true), rusty(&mut check, which as usize, &texts[which as usize]));
        if theirs < 0.0 || (theirs - rusty).abs() > 1e-6 {
            return Err(format!("{name}: QuickFIX reads {theirs}, rustyfix {rusty}"));
        }
    }
    measure(&texts, quickfix, &dictionary)
}

fn measure(
    texts: &[Vec<u8>; 3],
    quickfix: QuickFix,
    dictionary: &rustyfix::Dictionary,
) -> Result<(), String> {
    let mut orders = Orders::new()?;
    let mut number = 0;
    let names = ["read NewOrderSingle", "read ExecutionReport", "read refresh of 10"];
    let read = [read_order, read_execution_report, read_refresh];
    let mut subjects: Vec<(&str, [Option<Work<'_>>; 4])> = Vec::new();
    for which in 0..3 {
        let text = &texts[which];
        let mut decoder = Decoder::new(FIELDS_MAX);
        let ours: Work<'_> = Box::new(move || {
            black_box(read[which](&mut decoder, black_box(text)).expect("ours"));
        });
        let theirs: Work<'_> =
            Box::new(move || _ = black_box(quickfix.read(which as c_int, false)));
        let checked: Work<'_> =
            Box::new(move || _ = black_box(quickfix.read(which as c_int, true)));
        let mut decoder = tagvalue::Decoder::new(dictionary.clone());
        let rust: Work<'_> =
            Box::new(move || _ = black_box(rusty(&mut decoder, which, black_box(text))));
        subjects.push((names[which], [Some(ours), Some(theirs), Some(rust), Some(checked)]));
    }
    let mut validator = Validator::new(Arc::new(Dictionary::fix44()), Rules::default());
    let mut decoder = Decoder::new(FIELDS_MAX);
    let ours: Work<'_> = Box::new(move || {
        let message = messages::decode(&mut decoder, black_box(&texts[0])).expect("ours");
        black_box(validator.check(&message)).expect("a valid message");
    });
    subjects.push(("validate NewOrderSingle", [Some(ours), None, None, None]));
    let ours: Work<'_> = Box::new(move || _ = black_box(orders.by_template().expect("ours").len()));
    let theirs: Work<'_> = Box::new(move || {
        number += 1;
        black_box(quickfix.write(number));
    });
    subjects.push(("write NewOrderSingle", [Some(ours), Some(theirs), None, None]));
    let mut figures = vec![[const { Vec::new() }; 4]; subjects.len()];
    for _ in 0..ROUNDS {
        for ((_, works), figures) in subjects.iter_mut().zip(&mut figures) {
            for (work, figures) in works.iter_mut().zip(figures) {
                figures.extend(work.as_mut().map(timed));
            }
        }
    }
    tell(&subjects, &mut figures);
    Ok(())
}

fn tell(subjects: &[(&str, [Option<Work<'_>>; 4])], figures: &mut [[Vec<f64>; 4]]) {
    println!(
        "median ns of {ROUNDS} rounds\n{:24} {:>8} {:>10} {:>10} {:>20}",
        "", "ours", "QuickFIX", "rustyfix", "QuickFIX, validated"
    );
    for ((name, _), figures) in subjects.iter().zip(figures) {
        let [ours, rest @ ..] = figures.each_mut().map(|f| (!f.is_empty()).then(|| median(f)));
        let ours = ours.unwrap_or(f64::NAN);
        let cells: Vec<String> = rest
            .iter()
            .map(|ns| ns.map_or("-".into(), |ns| format!("{ns:.0} ({:.1}x)", ns / ours)))
            .collect();
        println!("{name:24} {ours:>8.0} {:>10} {:>10} {:>20}", cells[0], cells[1], cells[2]);
    }
}
