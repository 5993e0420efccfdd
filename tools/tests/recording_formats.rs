//! What the readers of Databento, Tardis, Lean and venue captures promise: exact books with every
//! known trap, a clear word about each file that cannot be read, and never a panic.

use ballast::recording::found::Folder;
use ballast::recording::{Tape, TapeCounters, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{Decimal, FeeRate, Lots, Nanos, Side, Ticks};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The shared recordings, where they are at hand.
fn data(part: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let named = std::env::var_os("BALLAST_RECORDINGS").map(PathBuf::from);
    let named = named.and_then(|folder| folder.parent().map(|data| data.join(part)));
    let found = named.into_iter().chain([beside.join(part)]).find(|path| path.exists());
    if found.is_none() {
        eprintln!("{part} is not at hand: set BALLAST_RECORDINGS to check the real one");
    }
    found
}

fn instrument(
    id: usize,
    symbol: &str,
    kind: InstrumentKind,
    tick: Decimal,
    lot: Decimal,
) -> Option<Instrument> {
    let spec = InstrumentSpec {
        symbol: symbol.to_owned(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick,
        lot,
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    // Fine steps need a large contract, so that one tick of one lot is a whole 1e-9.
    let of = |multiplier: &str| InstrumentSpec {
        multiplier: multiplier.parse().unwrap(),
        settlement: Currency(u8::from(kind != InstrumentKind::InversePerpetual)),
        ..spec.clone()
    };
    let id = InstrumentId(id as u16);
    Instrument::new(id, of("1")).or_else(|_| Instrument::new(id, of("1000000000"))).ok()
}

/// Every symbol of a folder as an instrument with the finest steps seen.
fn all_of(folder: &Folder) -> Vec<Instrument> {
    let mut instruments: Vec<Instrument> = Vec::new();
    for (symbol, market) in folder.files().iter().flat_map(|file| &file.symbols) {
        if instruments.iter().all(|known| known.symbol() != symbol) {
            let [tick, lot] = market.steps().map(|step| step.unwrap_or("1".parse().unwrap()));
            let kind = InstrumentKind::DatedFuture { expiry: Nanos(u64::MAX) };
            // A changed file may show steps that no instrument can have.
            instruments.extend(instrument(instruments.len(), symbol, kind, tick, lot));
        }
    }
    instruments
}

#[derive(Default)]
struct Played {
    books: BTreeMap<(u16, usize), BTreeMap<Ticks, Lots>>,
    counters: TapeCounters,
    trades: u64,
    crossed: u64,
    orders_gone: u64,
    events: Vec<MarketEvent>,
}

impl Played {
    fn touch(&self, id: u16) -> [Option<(i64, i64)>; 2] {
        let best = |side: Side| {
            let book = self.books.get(&(id, side.index()))?;
            let level = match side {
                Side::Buy => book.last_key_value(),
                Side::Sell => book.first_key_value(),
            };
            level.map(|(price, size)| (price.0, size.0))
        };
        Side::BOTH.map(best)
    }
}

/// Plays a tape into books.
fn play(mut tape: impl Tape) -> Result<Played, TapeError> {
    let mut played = Played::default();
    let mut before = Nanos(0);
    while let Some(event) = tape.next()? {
        assert!(event.at >= before, "time goes back at {event:?}");
        before = event.at;
        let id = event.instrument.0;
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                let book = played.books.entry((id, side.index())).or_default();
                if size.0 > 0 {
                    book.insert(price, size)
                } else {
                    book.remove(&price)
                };
            }
            MarketUpdate::Trade { .. } => played.trades += 1,
            MarketUpdate::Reset | MarketUpdate::Gap => {
                played.books.retain(|(of, _), _| *of != id);
            }
        }
        played.orders_gone += u64::from(tape.order_gone().is_some());
        if event.last_in_message
            && let [Some(bid), Some(ask)] = played.touch(id)
        {
            played.crossed += u64::from(bid.0 >= ask.0);
        }
        played.events.push(event);
    }
    played.counters = tape.counters();
    Ok(played)
}

fn play_path(path: &Path) -> Result<Played, TapeError> {
    let folder = Folder::look(path)?;
    let opened = folder.open(&all_of(&folder), &|_| None, 0)?;
    play(opened.tape)
}

#[test]
fn kraken_books_have_no_gap_and_are_never_crossed() {
    let Some(path) = data("cryptofeed/KRAKEN_FUTURES.ws.1.0") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (0, 10, 0));
    assert_eq!((played.counters.off_grid, played.counters.other_instruments), (0, 0));
    // 7,014 changes, 10 snapshots, 3 trades; the trades of trade_snapshot are history.
    assert_eq!(played.events.iter().filter(|event| event.last_in_message).count(), 7_027);
    assert_eq!(played.trades, 3);
    // The recorder's clock ran behind Kraken's: latency as written is negative.
    assert!(played.events.iter().any(|event| event.venue_at > event.at));
}

#[test]
fn okx_books_match_every_checksum() {
    let Some(path) = data("cryptofeed/OKX.ws.1.0") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (0, 3, 0));
    assert_eq!(played.trades, 74);
}

#[test]
fn deribit_chains_of_changes_are_whole() {
    let Some(path) = data("cryptofeed/DERIBIT.ws.1.0") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (0, 10, 0));
    // Subscription answers and tickers are counted, not lost: 139 lines less 2 of the connection
    // and a blank one.
    assert_eq!(played.counters.rows, 136);
    assert_eq!(played.counters.other_streams + 46, played.counters.rows);
}

#[test]
fn bybit_books_of_2021_and_of_2024_stay_uncrossed() {
    if let Some(path) = data("cryptofeed/BYBIT.ws.26.0") {
        let played = play_path(&path).unwrap();
        assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (0, 2, 0));
        assert!(played.trades >= 76);
    }
    let Some(path) = data("nautilus_trader/bybit/xrpusdt-ob500.data.zip") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (0, 1, 0));
    assert_eq!(played.counters.rows, 50);
}

#[test]
fn market_by_order_adds_up_to_an_uncrossed_book() {
    let Some(path) = data("nautilus_trader/databento/es-mbo-2024-05-08") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.rows, played.counters.snapshots), (13_796, 1));
    assert_eq!((played.counters.unknown_orders, played.counters.off_grid), (0, 0));
    assert_eq!((played.crossed, played.counters.gaps), (0, 0));
    assert!(played.orders_gone > 80 && played.trades > 0, "{}", played.orders_gone);
    let [bid, ask] = played.touch(0).map(Option::unwrap);
    assert!(ask.0 > bid.0 && bid.1 > 0 && ask.1 > 0);
}

#[test]
fn best_prices_cross_midnight_and_plain_trades_give_way_to_a_book_that_has_them() {
    let Some(path) = data("nautilus_trader/databento/es-mbp1-2024-07-01") else { return };
    let folder = Folder::look(&path).unwrap();
    let opened = folder.open(&all_of(&folder), &|_| None, 0).unwrap();
    assert_eq!(opened.files.len(), 1, "{}", opened.note);
    assert!(opened.note.contains("not played: 1 (futures_trades"), "{}", opened.note);
    assert!(opened.note.contains("no market data: 1 (futures_definition"), "{}", opened.note);
    let played = play(opened.tape).unwrap();
    assert_eq!((played.counters.rows, played.crossed, played.counters.gaps), (2_288, 0, 0));
    assert!(played.trades > 0);
    let days: Vec<u64> = played.events.iter().map(|e| e.at.0 / 86_400_000_000_000).collect();
    assert_eq!(days.last().unwrap() - days[0], 1);
}

#[test]
fn quotes_a_minute_are_ordered_by_receive_time_and_not_by_their_last_trade() {
    let Some(path) = data("nautilus_trader/databento/es-options-2024-05-09") else { return };
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.rows, played.crossed), (40, 0));
    let back = played.events.windows(2).filter(|pair| pair[1].venue_at < pair[0].venue_at).count();
    assert!(back > 0, "the venue's times do go back");
}

#[test]
fn every_sample_of_every_databento_schema_is_read_or_named() {
    let Some(path) = data("databento-python") else { return };
    let mut read = 0;
    for dataset in ["GLBX.MDP3", "OPRA.PILLAR", "XNAS.ITCH"] {
        for schema in ["mbo", "mbp-1", "mbp-10", "tbbo", "trades", "bbo-1s", "bbo-1m", "cbbo-1m"] {
            let file = path.join(dataset).join(format!("test_data.{schema}.dbn.zst"));
            if file.exists() {
                let folder = Folder::look(&file).unwrap();
                let opened = folder.open(&all_of(&folder), &|_| None, 0).unwrap();
                let rows = match play(opened.tape) {
                    Ok(played) => played.counters.rows,
                    // Orders without the snapshot in front of them, and trades without an aggressor.
                    Err(TapeError::NoEvents { rows, left_out, .. }) => {
                        let known = ["before_snapshot 4", "trades_skipped 4"];
                        assert!(known.contains(&left_out.as_str()), "{left_out}");
                        rows
                    }
                    Err(error) => panic!("{error}"),
                };
                assert!(rows >= 2, "{}", file.display());
                read += 1;
            }
        }
        let definition = path.join(dataset).join("test_data.definition.dbn.zst");
        let refusal = Folder::look(&definition).unwrap_err().to_string();
        assert!(refusal.contains("no recording found"), "{refusal}");
    }
    assert_eq!(read, 16);
}

#[test]
fn tardis_samples_of_every_kind_play() {
    let Some(path) = data("nautilus_trader/tardis") else { return };
    for (name, rows, snapshots, trades) in [
        ("deribit_incremental_book_L2_BTC-PERPETUAL.csv", 0, 1, 0),
        ("binance-futures_book_snapshot_25_BTCUSDT.csv", 10, 1, 0),
        ("bitmex_trades_XBTUSD.csv", 10, 0, 10),
        ("huobi-dm-swap_quotes_BTC-USD.csv", 10, 1, 0),
    ] {
        let played = play_path(&path.join(name)).unwrap();
        assert!(rows == 0 || played.counters.rows == rows, "{name}");
        assert_eq!((played.counters.snapshots, played.trades), (snapshots, trades), "{name}");
        assert_eq!((played.crossed, played.counters.off_grid), (0, 0), "{name}");
        // Microseconds: 2020, and received after it happened.
        assert!(played.events.iter().all(|event| event.venue_at.0 > 1_580_000_000_000_000_000));
        assert!(played.events.iter().all(|event| event.at > event.venue_at), "{name}");
    }
}

#[test]
fn lean_quotes_that_stop_at_noon_end_in_a_gap_while_trades_go_on() {
    let Some(path) = data("lean/crypto") else { return };
    let step = |text: &str| text.parse::<Decimal>().unwrap();
    let spot =
        instrument(0, "BTC-USDT", InstrumentKind::Spot, step("0.01"), step("0.000001")).unwrap();
    let folder = Folder::look(&path).unwrap();
    let opened = folder.open(std::slice::from_ref(&spot), &|_| Some("bybit".into()), 0).unwrap();
    assert_eq!(opened.files.len(), 2, "{}", opened.note);
    let played = play(opened.tape).unwrap();
    assert_eq!((played.counters.gaps, played.counters.snapshots, played.crossed), (1, 1, 0));
    let gap = played.events.iter().find(|event| event.update == MarketUpdate::Gap).unwrap();
    let noon = 1_670_932_800_000_000_000u64;
    assert!((noon..noon + 180_000_000_000).contains(&gap.at.0), "{}", gap.at.0);
    let last = played.events.last().unwrap();
    assert_eq!(last.at.0, noon + 43_200_000_000_000, "the last minute ends with the day");
    // Nothing is known before its minute is over.
    assert_eq!(played.events[0].at.0, noon - 43_200_000_000_000 + 60_000_000_000);
}

#[test]
fn a_venue_with_trades_alone_never_makes_a_book() {
    let Some(path) = data("lean/crypto/binance") else { return };
    let step = |text: &str| text.parse::<Decimal>().unwrap();
    let spot =
        instrument(0, "BTCBUSD", InstrumentKind::Spot, step("0.01"), step("0.00001")).unwrap();
    let folder = Folder::look(&path).unwrap();
    let opened = folder.open(std::slice::from_ref(&spot), &|_| None, 0).unwrap();
    let played = play(opened.tape).unwrap();
    assert!(played.trades > 1_000 && played.books.is_empty());
}

#[test]
fn a_recording_of_other_instruments_says_what_it_has_and_what_to_paste() {
    let folder = Samples::new("paste");
    let path = folder.file("trades.csv", TRADES.as_bytes());
    let step: Decimal = "1".parse().unwrap();
    let other = instrument(0, "DOGEUSDT", InstrumentKind::Spot, step, step).unwrap();
    let found = Folder::look(&path).unwrap();
    let refusal = found.open(&[other], &|_| None, 0).map(|_| ()).unwrap_err().to_string();
    for word in ["XBTUSD at bitmex", "[[instruments]]", "tick = \"0.5\"", "inverse_perpetual"] {
        assert!(refusal.contains(word), "{refusal}");
    }
}

const TRADES: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n\
    bitmex,XBTUSD,1583020803145000,1583020803307160,a,sell,8531.5,2152\n\
    bitmex,XBTUSD,1583020803276000,1583020803336743,b,unknown,8531.5,1\n\
    bitmex,XBTUSD,1583020803276000,1583020803336743,c,buy,8531,100\n";
const BOOK: &str = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n\
    deribit,BTC-PERPETUAL,1585699200245000,1585699200355684,false,ask,6421.5,18640\n\
    deribit,BTC-PERPETUAL,1585699200245000,1585699200355685,true,ask,6421.5,18640\n\
    deribit,BTC-PERPETUAL,1585699200245000,1585699200355685,true,bid,6421,10\n\
    deribit,BTC-PERPETUAL,1585699200245000,1585699200355690,false,bid,6421,0\n";
const OKX: &str = "wss://ws.okx.com:8443/ws/v5/public <-> 1652459224.5300605\n\
    1652459225.5037491: {\"event\":\"subscribe\",\"arg\":{\"channel\":\"books\",\"instId\":\"A-B\"}}\n\
    1652459225.6: {\"arg\":{\"channel\":\"books\",\"instId\":\"A-B\"},\"action\":\"snapshot\",\"data\":[{\"asks\":[[\"2\",\"1\",\"0\",\"1\"]],\"bids\":[[\"1\",\"3\",\"0\",\"1\"]],\"ts\":\"1652459225464\"}]}\n\
    1652459225.7: {\"arg\":{\"channel\":\"books\",\"instId\":\"A-B\"},\"action\":\"update\",\"data\":[{\"asks\":[],\"bids\":[[\"1\",\"4\",\"0\",\"1\"]],\"ts\":\"1652459225464\",\"checksum\":7}]}\n";
const KRAKEN: &str = "wss://futures.kraken.com/ws/v1 <-> 1626994927.139662\n\
    1626994927.6: {\"feed\":\"book_snapshot\",\"product_id\":\"PI_X\",\"timestamp\":1626994925378,\"seq\":5,\"bids\":[{\"price\":439.3,\"qty\":20108.0}],\"asks\":[]}\n\
    1626994927.7: {\"feed\":\"book\",\"product_id\":\"PI_X\",\"side\":\"buy\",\"seq\":6,\"price\":439.0,\"qty\":1e3,\"timestamp\":1626994925379}\n\
    1626994927.8: {\"feed\":\"book\",\"product_id\":\"PI_X\",\"side\":\"buy\",\"seq\":8,\"price\":439.0,\"qty\":0.0,\"timestamp\":1626994925380}\n";
const DERIBIT: &str = "wss://www.deribit.com/ws/api/v2 <-> 1626993723.424371\n\
    1626993723.8: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[]}\n\
    1626993723.9: {\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"book.X.raw\",\"data\":{\"type\":\"snapshot\",\"timestamp\":1626993723632,\"instrument_name\":\"X\",\"change_id\":5,\"bids\":[[\"new\",0.0015,4714.0]],\"asks\":[]}}}\n\
    1626993724.1: {\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"book.X.raw\",\"data\":{\"type\":\"change\",\"timestamp\":1626993723999,\"instrument_name\":\"X\",\"change_id\":9,\"prev_change_id\":6,\"bids\":[],\"asks\":[]}}}\n";
const BYBIT: &str = "wss://stream.bybit.com/realtime <-> 1618677785.489609\n\
    1618677786.9: {\"topic\":\"orderBookL2_25.EOSUSD\",\"type\":\"snapshot\",\"data\":[{\"price\":\"7.943\",\"symbol\":\"EOSUSD\",\"id\":79430,\"side\":\"Buy\",\"size\":154219}],\"cross_seq\":1,\"timestamp_e6\":1618677786598877}\n\
    1618677787.0: {\"topic\":\"orderBookL2_25.EOSUSD\",\"type\":\"delta\",\"data\":{\"delete\":[{\"price\":\"7.943\",\"symbol\":\"EOSUSD\",\"id\":79430,\"side\":\"Buy\"}],\"update\":[],\"insert\":[{\"price\":\"7.944\",\"symbol\":\"EOSUSD\",\"id\":79440,\"side\":\"Sell\",\"size\":9}]},\"cross_seq\":2,\"timestamp_e6\":1618677786598878}\n";

/// A folder that goes with its test.
struct Samples(PathBuf);

impl Samples {
    fn new(name: &str) -> Samples {
        let path =
            std::env::temp_dir().join(format!("ballast-formats-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Samples(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn increments_before_the_first_snapshot_are_counted_and_left_out() {
    let folder = Samples::new("before");
    let played = play_path(&folder.file("book.csv", BOOK.as_bytes())).unwrap();
    assert_eq!((played.counters.before_snapshot, played.counters.snapshots), (1, 1));
    assert_eq!(played.counters.rows, 3, "rows of one local time and kind are one message");
    assert_eq!(played.touch(0).map(|level| level.is_some()), [false, true]);
}

#[test]
fn symbols_of_one_tardis_file_have_their_snapshots_each() {
    let folder = Samples::new("symbols");
    let snapshot = |symbol: &str| {
        let row = |side: &str, price: &str| {
            format!("deribit,{symbol},1585699200245000,1585699200355685,true,{side},{price},10\n")
        };
        row("bid", "6421") + &row("ask", "6421.5")
    };
    let head = BOOK.lines().next().unwrap();
    let text = format!("{head}\n{}{}", snapshot("A-PERPETUAL"), snapshot("B-PERPETUAL"));
    let path = folder.file("book.csv", text.as_bytes());
    let played = play_path(&path).unwrap();
    assert_eq!((played.counters.snapshots, played.counters.before_snapshot), (2, 0));
    for place in [0, 1] {
        assert_eq!(played.touch(place).map(|level| level.is_some()), [true, true], "{place}");
    }
}

#[test]
fn a_recording_without_one_event_of_the_config_s_is_an_error() {
    let folder = Samples::new("no-events");
    let increments: String = BOOK.lines().take(2).map(|line| format!("{line}\n")).collect();
    let path = folder.file("book.csv", increments.as_bytes());
    let refusal = play_path(&path).map(|_| ()).unwrap_err().to_string();
    assert!(refusal.contains("before_snapshot 1") && refusal.contains("snapshot?"), "{refusal}");
}

#[test]
fn a_trade_without_an_aggressor_is_counted_and_left_out() {
    let folder = Samples::new("aggressor");
    let played = play_path(&folder.file("trades.csv", TRADES.as_bytes())).unwrap();
    assert_eq!((played.trades, played.counters.trades_skipped), (2, 1));
}

#[test]
fn a_broken_sequence_or_checksum_is_a_gap_that_only_a_snapshot_heals() {
    let folder = Samples::new("sequence");
    for (name, text) in [("OKX", OKX), ("KRAKEN", KRAKEN), ("DERIBIT", DERIBIT)] {
        let played = play_path(&folder.file(&format!("{name}.ws.1.0"), text.as_bytes())).unwrap();
        assert_eq!((played.counters.gaps, played.counters.snapshots), (1, 1), "{name}");
        assert_eq!(played.events.last().unwrap().update, MarketUpdate::Gap, "{name}");
    }
    let played = play_path(&folder.file("BYBIT.ws.1.0", BYBIT.as_bytes())).unwrap();
    assert_eq!(played.touch(0).map(|level| level.is_some()), [false, true]);
}

#[test]
fn each_broken_recording_names_file_place_and_fault() {
    let folder = Samples::new("broken");
    let micros = "1583020803276000,1583020803336743,b";
    let cases: [(&str, String, &[&str]); 10] = [
        ("empty.csv", String::new(), &["empty.csv", "empty"]),
        ("header.csv", TRADES.lines().next().unwrap().into(), &["header.csv", "empty"]),
        (
            "ms.csv",
            TRADES.replace(micros, "1583020803276,1583020803336,b"),
            &["line 3", "microseconds"],
        ),
        (
            "back.csv",
            TRADES.replace(micros, "1583020803276000,1583020803307159,b"),
            &["line 3", "sort"],
        ),
        ("side.csv", TRADES.replace("unknown", "nobody"), &["line 3", "nobody"]),
        ("short.csv", TRADES.replace(",c,buy", ",c"), &["line 4", "7 fields", "8"]),
        ("number.csv", TRADES.replace("8531,100", "eight,100"), &["line 4", "eight"]),
        ("columns.csv", TRADES.replace("amount", "quantity"), &["line 1", "columns"]),
        ("x.ws.0", OKX.replace("snapshot", "whole\"x"), &["x.ws.0: line 3"]),
        ("y.ws.0", OKX.replace("ws.okx.com", "example.com"), &["line 1", "example.com"]),
    ];
    for (name, text, words) in cases {
        let path = folder.file(name, text.as_bytes());
        let refusal = play_path(&path).map(|_| ()).unwrap_err().to_string();
        assert!(words.iter().all(|word| refusal.contains(word)), "{name}: {refusal}");
    }
}

/// A real DBN file in small: three trades, plain and in zstd.
fn dbn_sample() -> Vec<u8> {
    use dbn::encode::EncodeRecord;
    let interval = dbn::MappingInterval {
        start_date: time_date(2023, 10, 14),
        end_date: time_date(2023, 10, 15),
        symbol: "7".into(),
    };
    let mapping = dbn::SymbolMapping { raw_symbol: "ESZ3".into(), intervals: vec![interval] };
    let start = 1_697_241_600_000_000_000;
    let metadata = dbn::MetadataBuilder::new()
        .dataset("GLBX.MDP3")
        .schema(Some(dbn::Schema::Trades))
        .start(start)
        .stype_in(Some(dbn::SType::RawSymbol))
        .stype_out(dbn::SType::InstrumentId)
        .mappings(vec![mapping])
        .build();
    let mut bytes = Vec::new();
    let mut encoder = dbn::encode::dbn::Encoder::new(&mut bytes, &metadata).unwrap();
    for n in 0..3u64 {
        let trade = dbn::TradeMsg {
            hd: dbn::RecordHeader::new::<dbn::TradeMsg>(0, 1, 7, start + n),
            price: 4_300_250_000_000,
            size: 2,
            action: b'T'.cast_signed(),
            side: if n == 0 { b'N' } else { b'A' }.cast_signed(),
            ts_recv: start + 10 * n,
            ..dbn::TradeMsg::default()
        };
        encoder.encode_record(&trade).unwrap();
    }
    bytes
}

fn time_date(year: i32, month: u8, day: u8) -> time::Date {
    time::Date::from_calendar_date(year, month.try_into().unwrap(), day).unwrap()
}

#[test]
fn databento_trades_are_mapped_to_their_symbol_and_cut_files_say_where() {
    let folder = Samples::new("dbn");
    let bytes = dbn_sample();
    let path = folder.file("trades.dbn", &bytes);
    let found = Folder::look(&path).unwrap();
    assert_eq!(found.files()[0].symbols[0].0, "ESZ3");
    let played = play_path(&path).unwrap();
    assert_eq!((played.trades, played.counters.trades_skipped), (2, 1));
    let cut = folder.file("cut.dbn", &bytes[..bytes.len() - 5]);
    let refusal = play_path(&cut).map(|_| ()).unwrap_err().to_string();
    assert!(refusal.contains("cut.dbn: record 2"), "{refusal}");
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> = vec![
        ("trades.csv", TRADES.into()),
        ("book.csv", BOOK.into()),
        ("okx.ws.0", OKX.into()),
        ("kraken.ws.0", KRAKEN.into()),
        ("deribit.ws.0", DERIBIT.into()),
        ("bybit.ws.0", BYBIT.into()),
        ("trades.dbn", dbn_sample()),
    ];
    for (name, part) in [
        ("mbo.dbn.zst", "databento-python/GLBX.MDP3/test_data.mbo.dbn.zst"),
        ("mbp-10.dbn.zst", "databento-python/GLBX.MDP3/test_data.mbp-10.dbn.zst"),
        (
            "crypto/bybit/minute/btcusdt/20221213_quote.zip",
            "lean/crypto/bybit/minute/btcusdt/20221213_quote.zip",
        ),
        (
            "book_snapshot.csv",
            "nautilus_trader/tardis/binance-futures_book_snapshot_25_BTCUSDT.csv",
        ),
    ] {
        all.extend(data(part).map(|path| (name, std::fs::read(path).unwrap())));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_or_changed_recording_panics(
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let folder = Samples::new("mutated");
        for (name, mut bytes) in samples() {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            let path = folder.file(name, &bytes);
            let told = play_path(&path).map(|_| ());
            if let Err(error) = told {
                prop_assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
            }
        }
    }
}
