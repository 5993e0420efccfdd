//! Bad recordings of every format: seeded bit flips, cuts, lines out of order and times in another
//! unit, made inside the compression so that they reach the readers. None panics, none is silent:
//! each plays, or ends with an error that names its file and a line or record.

use ballast::backtest::tape::AnyTape;
use ballast::config::ConfigFile;
use ballast::random::Random;
use ballast::recording::found::Folder;
use ballast::recording::{Tape, TapeError};
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{FeeRate, Nanos};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const SEED: u64 = 20_261_126;
/// Mutations of each sample.
const CASES: u64 = 40;
/// No more of a long sample than this: the readers are the same further on.
const TEXT_BYTES_MAX: usize = 160_000;

/// How a sample's bytes are packed into the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Gzip,
    Zip,
}

struct Sample {
    /// Where it stands in a folder of recordings.
    name: String,
    bytes: Vec<u8>,
    packing: Packing,
}

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is absent", folder.display());
    None
}

/// Whole lines from the front.
fn cut_text(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > TEXT_BYTES_MAX {
        let end = bytes[..TEXT_BYTES_MAX].iter().rposition(|byte| *byte == b'\n').unwrap();
        bytes.truncate(end + 1);
    }
    bytes
}

fn text(shared: &Path, path: &str, name: &str) -> Sample {
    let bytes = cut_text(std::fs::read(shared.join(path)).unwrap());
    Sample { name: name.into(), bytes, packing: Packing::Plain }
}

fn gzip(shared: &Path, path: &str) -> Sample {
    let file = std::fs::File::open(shared.join("hftbacktest").join(path)).unwrap();
    let mut bytes = Vec::new();
    let most = TEXT_BYTES_MAX as u64 * 4;
    flate2::read::MultiGzDecoder::new(file).take(most).read_to_end(&mut bytes).unwrap();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap();
    bytes.truncate(end + 1);
    Sample { name: path.into(), bytes, packing: Packing::Gzip }
}

fn databento(path: &Path) -> Sample {
    let mut bytes = Vec::new();
    let mut reader = dbn::decode::DynReader::from_file(path).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes.truncate(TEXT_BYTES_MAX);
    let name = path.file_name().unwrap().to_string_lossy().replace(".zst", "");
    Sample { name, bytes, packing: Packing::Plain }
}

fn zip(shared: &Path, path: &str) -> Sample {
    let archive = std::fs::read(shared.join(path)).unwrap();
    let archive = ballast::recording::lean::archive::Archive::new(archive).unwrap();
    let member = archive.names().next().unwrap().to_owned();
    let bytes = cut_text(archive.read(&member).unwrap().unwrap());
    let path = path.split_once('/').unwrap().1;
    Sample { name: format!("{path}#{member}"), bytes, packing: Packing::Zip }
}

fn samples(shared: &Path) -> Vec<Sample> {
    let mut all = vec![
        gzip(shared, "spot/btcusdt_20240808.gz"),
        gzip(shared, "usdm/btcusdt_20240808.gz"),
        gzip(shared, "cm/btcusd_perp_20240808.gz"),
        zip(shared, "lean/crypto/bybit/minute/btcusdt/20221213_quote.zip"),
        zip(shared, "lean/crypto/bybit/minute/btcusdt/20221213_trade.zip"),
        zip(shared, "lean/cryptofuture/binance/minute/btcusd/20221213_quote.zip"),
        zip(shared, "nautilus_trader/bybit/xrpusdt-ob500.data.zip"),
    ];
    for name in ["BYBIT.ws.26.0", "DERIBIT.ws.1.0", "KRAKEN_FUTURES.ws.1.0", "OKX.ws.1.0"] {
        all.push(text(shared, &format!("cryptofeed/{name}"), name));
    }
    for entry in std::fs::read_dir(shared.join("nautilus_trader/tardis")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        all.push(text(shared, &format!("nautilus_trader/tardis/{name}"), &name));
    }
    for folder in ["databento-python/GLBX.MDP3", "databento-python/XNAS.ITCH"] {
        for entry in std::fs::read_dir(shared.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "zst") {
                all.push(databento(&path));
            }
        }
    }
    let es = "nautilus_trader/databento/es-mbo-2024-05-08";
    let mbo = "orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst";
    all.push(databento(&shared.join(es).join(mbo)));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// What went wrong with a sample.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) -> &'static str {
    let place =
        |random: &mut Random, of: usize| usize::try_from(random.below(of.max(1) as u64)).unwrap();
    match random.below(5) {
        0 => {
            let at = place(random, bytes.len());
            bytes.truncate(at);
            "cut"
        }
        1 => {
            // A stretch comes again, or is missing, or stands elsewhere.
            let from = place(random, bytes.len());
            let length = place(random, (bytes.len() - from).min(4_096));
            let stretch: Vec<u8> = bytes.drain(from..from + length).collect();
            if random.below(2) == 0 {
                let to = place(random, bytes.len());
                bytes.splice(to..to, stretch);
            }
            "moved"
        }
        2 => {
            // The digits of one number become three more, or three fewer: another unit.
            let at = place(random, bytes.len());
            let digit = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n);
            if let Some(at) = digit {
                if random.below(2) == 0 {
                    bytes.splice(at..at, *b"123");
                } else {
                    bytes.drain(at..(at + 3).min(bytes.len()));
                }
            }
            "another unit"
        }
        3 => {
            let at = place(random, bytes.len());
            let end = (at + 1 + place(random, 64)).min(bytes.len());
            let byte = [0, b' ', b'9', b'"', 0xff][place(random, 5)];
            bytes[at..end].fill(byte);
            "overwritten"
        }
        _ => {
            for _ in 0..=random.below(8) {
                let at = place(random, bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            "bits"
        }
    }
}

/// A zip with one stored member.
fn zipped(member: &str, bytes: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let (length, name) = (u32::try_from(bytes.len()).unwrap(), member.as_bytes());
    let name_length = u16::try_from(name.len()).unwrap();
    let common = |out: &mut Vec<u8>| {
        out.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [crc.sum(), length, length] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&name_length.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
    };
    let mut out = b"PK\x03\x04".to_vec();
    common(&mut out);
    out.extend_from_slice(name);
    out.extend_from_slice(bytes);
    let directory = out.len();
    out.extend_from_slice(b"PK\x01\x02\x14\x00");
    common(&mut out);
    out.extend_from_slice(&[0; 14]);
    out.extend_from_slice(name);
    let size = u32::try_from(out.len() - directory).unwrap();
    out.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&u32::try_from(directory).unwrap().to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// Writes a sample as a recording; returns the file.
fn write(folder: &Path, sample: &Sample, bytes: &[u8]) -> PathBuf {
    let (name, member) = sample.name.split_once('#').unwrap_or((&sample.name, ""));
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let packed = match sample.packing {
        Packing::Plain => bytes.to_vec(),
        Packing::Zip => zipped(member, bytes),
        Packing::Gzip => {
            let level = flate2::Compression::fast();
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        }
    };
    std::fs::write(&path, packed).unwrap();
    path
}

fn any_instrument(id: usize, symbol: &str) -> Instrument {
    let spec = InstrumentSpec {
        symbol: symbol.to_owned(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::DatedFuture { expiry: Nanos(u64::MAX) },
        tick: "0.000001".parse().unwrap(),
        lot: "0.001".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(u16::try_from(id).unwrap()), spec).unwrap()
}

/// Opens and plays whatever it is, as the product does.
fn play(folder: &Path, sample: &Sample, path: &Path) -> Result<u64, TapeError> {
    let mut tape: Box<dyn Tape> = if sample.packing == Packing::Gzip {
        let file = ConfigFile::demo().unwrap();
        let part = sample.name.split('/').next().unwrap();
        let kind = match part {
            "spot" => InstrumentKind::Spot,
            "usdm" => InstrumentKind::LinearPerpetual,
            _ => InstrumentKind::InversePerpetual,
        };
        let first = file.table.instruments.iter().find(|i| i.spec().kind == kind).unwrap();
        let alone = Instrument::new(InstrumentId(0), first.spec().clone()).unwrap();
        Box::new(AnyTape::recorded(folder, &[alone])?)
    } else {
        let found = Folder::look(path)?;
        let mut instruments: Vec<Instrument> = Vec::new();
        for (symbol, _) in found.files().iter().flat_map(|file| &file.symbols) {
            if instruments.len() < 1_000 && instruments.iter().all(|i| i.symbol() != symbol) {
                instruments.push(any_instrument(instruments.len(), symbol));
            }
        }
        Box::new(found.open(&instruments, &|_| None, 0)?.tape)
    };
    let (mut before, mut events) = (Nanos(0), 0);
    while let Some(event) = tape.next()? {
        assert!(event.at >= before, "time goes back at {event:?}");
        before = event.at;
        events += 1;
    }
    let counters = tape.counters();
    assert_eq!(counters.events, events);
    Ok(counters.rows)
}

/// Errors about a file as a whole, which have no line.
fn is_about_the_whole(error: &TapeError) -> bool {
    matches!(
        error,
        TapeError::Empty { .. }
            | TapeError::NothingKnown { .. }
            | TapeError::NoInstrument { .. }
            | TapeError::NoSnapshot { .. }
            | TapeError::NoEvents { .. }
    )
}

#[test]
fn no_mutated_recording_of_any_format_panics_and_every_fault_has_its_place() {
    let Some(shared) = shared() else { return };
    let folder = std::env::temp_dir().join(format!("ballast-mutations-{}", std::process::id()));
    let (mut told, mut played, mut whole, mut placeless) = (0u64, 0u64, 0u64, Vec::new());
    for (n, sample) in samples(&shared).iter().enumerate() {
        let home = folder.join(n.to_string());
        let path = write(&home, sample, &sample.bytes);
        // The sample as it is plays, or is of a schema that holds no market, which is told.
        let as_it_is = play(&home, sample, &path);
        assert!(as_it_is.as_ref().map_or(true, |rows| *rows > 0), "{}", sample.name);
        for case in 0..CASES {
            let mut random = Random::stream(SEED + case, n as u64);
            let mut bytes = sample.bytes.clone();
            let how = mutate(&mut bytes, &mut random);
            let path = write(&home, sample, &bytes);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            println!("{} case {case}: {how}", sample.name);
            match play(&home, sample, &path) {
                Ok(_) => played += 1,
                Err(error) if is_about_the_whole(&error) => whole += 1,
                Err(error) => {
                    let text = error.to_string();
                    let places = ["line ", "record ", "row "];
                    if text.contains(&name) && places.iter().any(|place| text.contains(place)) {
                        told += 1;
                    } else {
                        placeless.push(format!("{} case {case}, {how}: {text}", sample.name));
                    }
                }
            }
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
    println!("{told} told with their place, {whole} of whole files, {played} played");
    assert!(placeless.is_empty(), "{}", placeless.join("\n"));
    assert!(told > 200 && played > 50, "{told} told, {whole} of whole files, {played} played");
}
