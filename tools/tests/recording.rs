//! What the reader of recordings promises: exact books out of files with every known trap, and a
//! clear word about each file that cannot be read.

use ballast::recording::merge::{CLOCK_OFFSET_20240808_NS, Recording, RecordingOptions};
use ballast::recording::{Numbering, Tape, TapeError, TapeFile, hftbacktest_files};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{FeeRate, Lots, Nanos, Side, Ticks};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};

fn instrument(
    (id, symbol): (u16, &str),
    kind: InstrumentKind,
    tick: &str,
    lot: &str,
    multiplier: &str,
) -> Instrument {
    let is_inverse = kind == InstrumentKind::InversePerpetual;
    let spec = InstrumentSpec {
        symbol: symbol.to_owned(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: tick.parse().unwrap(),
        lot: lot.parse().unwrap(),
        multiplier: multiplier.parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(u8::from(!is_inverse)),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}

fn spot() -> Instrument {
    instrument((0, "BTCUSDT"), InstrumentKind::Spot, "0.01", "0.00001", "1")
}

/// When the tests' lines begin: the times below are ns after it.
const T0: u64 = 1_723_075_200_000_000_000;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, lines: &[String]) -> TapeFile {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        for line in lines {
            writeln!(gzip, "{line}").unwrap();
        }
        self.bytes(name, &gzip.finish().unwrap())
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> TapeFile {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        let symbol = "BTCUSDT".to_owned();
        TapeFile { path, instrument: InstrumentId(0), symbol, numbering: Numbering::Spot }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn depth(at: u64, first: u64, last: u64, bids: &str, asks: &str) -> String {
    let at = T0 + at;
    format!(
        r#"{at} {{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":7,"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#
    )
}

fn snapshot(at: u64, last: u64) -> String {
    let at = T0 + at;
    format!(
        r#"{at} {{"lastUpdateId":{last},"bids":[["100.00","1.5"],["99.99","2"]],"asks":[["100.02","0.00001"]]}}"#
    )
}

fn trade(at: u64, price: &str, size: &str) -> String {
    let at = T0 + at;
    format!(
        r#"{at} {{"stream":"btcusdt@trade","data":{{"e":"trade","E":9,"s":"BTCUSDT","t":1,"p":"{price}","q":"{size}","T":8,"m":true,"M":true}}}}"#
    )
}

fn play(recording: &mut Recording) -> Result<Vec<MarketEvent>, TapeError> {
    let mut events = Vec::new();
    while let Some(event) = recording.next()? {
        events.push(event);
    }
    Ok(events)
}

fn read(files: &[TapeFile]) -> Result<(Vec<MarketEvent>, Recording), TapeError> {
    let mut recording = Recording::open(&[spot()], files, RecordingOptions::default())?;
    let events = play(&mut recording)?;
    Ok((events, recording))
}

fn refusal(files: &[TapeFile]) -> String {
    match read(files) {
        Ok(_) => panic!("was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_snapshot_after_the_first_increments_gives_one_whole_message() {
    let folder = Folder::new("whole");
    let lines = [
        depth(10, 1, 5, r#"["100.00","9"]"#, ""),
        trade(11, "100.00", "1"),
        depth(12, 6, 8, r#"["99.99","0.00000000"]"#, r#"["100.01","3.00001"]"#),
        snapshot(13, 5),
        trade(14, "100.00000000", "0.02"),
        depth(15, 9, 9, "", r#"["100.01","0"]"#),
    ];
    let (events, recording) = read(&[folder.file("btcusdt_1.gz", &lines)]).unwrap();
    let level =
        |side, price, size| MarketUpdate::Level { side, price: Ticks(price), size: Lots(size) };
    let found: Vec<_> = events.iter().map(|e| (e.at.0 - T0, e.update, e.last_in_message)).collect();
    let hit =
        MarketUpdate::Trade { aggressor: Side::Sell, price: Ticks(10_000), size: Lots(2_000) };
    assert_eq!(
        found,
        [
            (13, MarketUpdate::Reset, false),
            (13, level(Side::Buy, 10_000, 150_000), false),
            (13, level(Side::Buy, 9_999, 200_000), false),
            (13, level(Side::Sell, 10_002, 1), false),
            (13, level(Side::Buy, 9_999, 0), false),
            (13, level(Side::Sell, 10_001, 300_001), true),
            (14, hit, true),
            (15, level(Side::Sell, 10_001, 0), true),
        ]
    );
    assert_eq!(events[6].venue_at, Nanos(8_000_000));
    let counters = recording.counters();
    assert_eq!((counters.rows, counters.gaps, counters.snapshots), (6, 0, 1));
    assert_eq!(counters.before_snapshot, 3, "two increments kept back, one trade left out");
}

#[test]
fn the_next_day_carries_on_the_day_before_and_alone_is_refused() {
    let folder = Folder::new("days");
    let first = folder.file("btcusdt_1.gz", &[snapshot(10, 5), depth(11, 6, 6, "", "")]);
    let second = folder.file("btcusdt_2.gz", &[depth(20, 7, 9, r#"["100.01","1"]"#, "")]);
    let (_, recording) = read(&[first, second.clone()]).unwrap();
    assert_eq!(recording.best(InstrumentId(0), Side::Buy), Some((Ticks(10_001), Lots(100_000))));
    assert_eq!(recording.counters().gaps, 0);
    let text = refusal(&[second]);
    assert!(text.contains("btcusdt_2.gz") && text.contains("day before"), "{text}");
}

#[test]
fn a_broken_sequence_is_a_gap_event_and_is_counted() {
    let folder = Folder::new("gap");
    let lines = [snapshot(10, 5), depth(11, 7, 8, r#"["1.00","1"]"#, ""), snapshot(12, 8)];
    let (events, recording) = read(&[folder.file("btcusdt_1.gz", &lines)]).unwrap();
    let gaps: Vec<_> = events.iter().filter(|e| e.update == MarketUpdate::Gap).collect();
    assert_eq!((gaps.len(), gaps[0].at, gaps[0].last_in_message), (1, Nanos(T0 + 11), true));
    assert_eq!((recording.counters().gaps, recording.counters().snapshots), (1, 2));
}

#[test]
fn a_price_off_the_grid_is_counted_and_left_out_and_a_wrong_grid_is_refused() {
    let folder = Folder::new("grid");
    let lines = [snapshot(10, 5), depth(11, 6, 6, r#"["100.005","1"]"#, "")];
    let (events, recording) = read(&[folder.file("btcusdt_1.gz", &lines)]).unwrap();
    assert_eq!((events.len(), recording.counters().off_grid), (4, 1));
    let odd: Vec<String> = (0..40).map(|i| format!(r#"["99.0{i:02}5","1"]"#)).collect();
    let lines = [snapshot(10, 5), depth(11, 6, 6, &odd.join(","), "")];
    let text = refusal(&[folder.file("btcusdt_1.gz", &lines)]);
    assert!(text.contains("line 2") && text.contains("tick 0.01"), "{text}");
}

#[test]
fn the_clock_offset_is_explicit() {
    let folder = Folder::new("clock");
    let files = [folder.file("btcusdt_1.gz", &[snapshot(1_000, 5)])];
    let options = RecordingOptions { clock_offset_ns: -400, ..RecordingOptions::default() };
    let mut recording = Recording::open(&[spot()], &files, options).unwrap();
    assert_eq!(recording.peek_at().unwrap(), Some(Nanos(T0 + 600)));
    assert_eq!(recording.next().unwrap().unwrap().at, Nanos(T0 + 600));
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_place() {
    let folder = Folder::new("bad");
    let whole = folder.file("btcusdt_1.gz", &[snapshot(10, 5), trade(11, "100.00", "1")]);
    let bytes = std::fs::read(&whole.path).unwrap();
    let cut = folder.bytes("btcusdt_2.gz", &bytes[..bytes.len() - 12]);
    let in_micros = snapshot(0, 5).replace(&T0.to_string(), &(T0 / 1_000).to_string());
    let cases: [(TapeFile, &[&str]); 10] = [
        (
            folder.file("btcusdt_10.gz", &[snapshot(10, 5), trade(9, "100.00", "1")]),
            &["btcusdt_10.gz", "line 2", "1 ns before", "sort the file"],
        ),
        (folder.file("btcusdt_11.gz", &[in_micros]), &["line 1", "nanoseconds", "another unit"]),
        (cut, &["btcusdt_2.gz", "truncated"]),
        (folder.bytes("btcusdt_3.gz", b""), &["btcusdt_3.gz", "empty"]),
        (folder.file("btcusdt_4.gz", &[]), &["btcusdt_4.gz", "empty"]),
        (folder.bytes("btcusdt_5.gz", b"plain text\n"), &["btcusdt_5.gz", "damaged"]),
        (
            folder.file("btcusdt_6.gz", &[snapshot(10, 5), format!("{} {{\"stream\":", T0 + 11)]),
            &["btcusdt_6.gz", "line 2"],
        ),
        (
            folder.file("btcusdt_7.gz", &[snapshot(10, 5), trade(11, "1e2", "1")]),
            &["line 2", "1e2", "decimal"],
        ),
        (
            folder.file("btcusdt_8.gz", &[trade(11, "1", "1").replace("\"BTCUSDT\"", "\"ETH\"")]),
            &["line 1", "ETH", "BTCUSDT"],
        ),
        (
            folder.file("btcusdt_9.gz", &[trade(11, "1", "1").replace("@trade", "@kline_1m")]),
            &["line 1", "@kline_1m", "known are"],
        ),
    ];
    for (file, words) in cases {
        let text = refusal(&[file]);
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let absent = TapeFile { path: folder.0.join("none.gz"), ..whole };
    assert!(refusal(&[absent]).contains("none.gz"));
}

/// The real recording, where it is at hand: `BALLAST_RECORDINGS`, or beside the repository.
fn real_recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hftbacktest");
    let named = std::env::var_os("BALLAST_RECORDINGS").map(PathBuf::from);
    named.into_iter().chain([beside]).find(|path| path.join("spot").is_dir())
}

#[test]
fn the_real_recordings_end_at_their_known_books_and_are_never_crossed() {
    let Some(folder) = real_recordings() else {
        eprintln!("no recording at hand: set BALLAST_RECORDINGS to check the real one");
        return;
    };
    let instruments = [
        spot(),
        instrument((1, "BTCUSDT-PERP"), InstrumentKind::LinearPerpetual, "0.1", "0.001", "1"),
        instrument((2, "BTCUSD-PERP"), InstrumentKind::InversePerpetual, "0.1", "1", "100"),
    ];
    let files = hftbacktest_files(&folder, &instruments).unwrap();
    for without_best_prices in [false, true] {
        let options =
            RecordingOptions { clock_offset_ns: CLOCK_OFFSET_20240808_NS, without_best_prices };
        let mut recording = Recording::open(&instruments, &files, options).unwrap();
        let (mut before, mut crossed) = (Nanos(0), 0);
        while let Some(event) = recording.next().unwrap() {
            assert!(event.at >= before && event.at >= event.venue_at, "{event:?}");
            before = event.at;
            let [bid, ask] = Side::BOTH.map(|side| recording.best(event.instrument, side));
            crossed += u32::from(bid.zip(ask).is_some_and(|(b, a)| b.0 >= a.0));
        }
        let touch = |id, side| {
            let (price, _) = recording.best(InstrumentId(id), side).unwrap();
            instruments[usize::from(id)].price_text(price)
        };
        let found = [0, 1, 2].map(|id| Side::BOTH.map(|side| touch(id, side)));
        assert_eq!(
            found,
            [["61685.99", "61686.00"], ["61659.7", "61659.8"], ["61668.6", "61668.7"]]
        );
        let counters = recording.counters();
        assert_eq!((counters.rows, counters.gaps, counters.snapshots), (183_473, 0, 3));
        // Three asks far away (74,000 and up) have sizes of six digits: older than today's lot.
        assert_eq!((crossed, counters.off_grid), (0, 3));
    }
}
