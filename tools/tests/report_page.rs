//! What the report promises: one self-contained page, bounded in size whatever the run's length, whose
//! pictures are well-formed, and exact figures beside it.

use ballast::random::Random;
use ballast::report::recorder::{RecordedFill, SeriesRecorder};
use ballast::report::{Limits, RunReport};
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::units::{Exposure, FeeRate, Lots, Nanos, Notional, Side, Ticks};
use std::path::{Path, PathBuf};

const SPOT: InstrumentId = InstrumentId(0);
const COIN: InstrumentId = InstrumentId(1);

fn instrument(id: InstrumentId, symbol: &str, kind: InstrumentKind) -> Instrument {
    let is_inverse = kind == InstrumentKind::InversePerpetual;
    let spec = InstrumentSpec {
        symbol: symbol.into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: if is_inverse { "0.1" } else { "0.01" }.parse().unwrap(),
        lot: if is_inverse { "1" } else { "0.00001" }.parse().unwrap(),
        multiplier: if is_inverse { "100" } else { "1" }.parse().unwrap(),
        base: Currency(1),
        quote: Currency(0),
        settlement: if is_inverse { Currency(1) } else { Currency(0) },
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(id, spec).unwrap()
}

/// A made-up run: a random walk, quotes around it that are hit now and then, hedges in coin.
fn run(events: u64) -> RunReport {
    let instruments = [
        instrument(SPOT, "BTCUSDT", InstrumentKind::Spot),
        instrument(COIN, "BTCUSD_PERP", InstrumentKind::InversePerpetual),
    ];
    let limits = Limits { band: 0.05, soft: 0.2, stop: 0.4, hard: 0.5 };
    let mut recorder = SeriesRecorder::new(&instruments, vec![("BTC".into(), limits)], "USDT");
    let mut random = Random::new(1);
    let (mut mid, mut position, mut contracts) = (12_337_200i64, 100_000i64, 0i64);
    let (mut spread, mut mtm, mut hedge) = (0i128, 0i128, 0i128);
    for n in 0..events {
        let at = Nanos(1_722_000_000_000_000_000 + n * 360_000_000_000 / events);
        let step = random.below(401) as i64 - 200;
        mtm += i128::from(step) * 500 * i128::from(position - 100_000 + contracts * 160);
        mid += step;
        recorder.mid(at, SPOT, HalfTicks(mid));
        recorder.mid(at, COIN, HalfTicks(mid / 10));
        let skew = -(position - 100_000) / 40;
        let (bid, ask) = (Ticks(mid / 2 - 400 + skew), Ticks(mid / 2 + 400 + skew));
        let is_paused = n % 5_000 > 4_800;
        recorder.quotes(at, SPOT, (!is_paused).then_some(bid), (!is_paused).then_some(ask));
        if random.below(100) == 0 && !is_paused {
            let (side, price) =
                if random.below(2) == 0 { (Side::Buy, bid) } else { (Side::Sell, ask) };
            position += side.sign() * 1_000;
            spread += 400_000_000;
            let (size, is_hedge) = (Lots(1_000), false);
            recorder.fill(&RecordedFill { at, instrument: SPOT, side, price, size, is_hedge });
            let delta = position - 100_000 + contracts * 160;
            if delta.abs() > 5_000 {
                let side = if delta > 0 { Side::Sell } else { Side::Buy };
                let size = Lots(delta.abs() / 160);
                contracts += side.sign() * size.0;
                hedge -= 50_000_000 * i128::from(size.0);
                let (price, is_hedge) = (Ticks(mid / 20), true);
                recorder.fill(&RecordedFill { at, instrument: COIN, side, price, size, is_hedge });
            }
        }
        recorder.position(at, SPOT, Lots(position));
        recorder.position(at, COIN, Lots(contracts));
        let delta = position - 100_000 + contracts * 160;
        recorder.delta(at, 0, Some(Exposure(delta * 10_000)));
        let causes = [
            (Cause::SpreadCapture, Notional(spread)),
            (Cause::InventoryMtm, Notional(mtm)),
            (Cause::HedgeCost, Notional(hedge)),
            (Cause::Rounding, Notional(0)),
        ];
        recorder.pnl(at, Notional(spread + mtm + hedge), &causes);
        let tail = 1 + random.below(1_000);
        recorder.latency("tick_to_order", 4_000 + random.below(3_000) + 1_000_000 / tail);
        recorder.latency("decoded", 300 + random.below(200) + 30_000 / tail);
    }
    recorder.finish("Ballast demo", facts(), document())
}

/// The figures that the page takes from the run's document.
fn document() -> serde_json::Value {
    let realised = serde_json::json!({"0.1s": -1.5, "1s": -0.25, "10s": null, "60s": 2.0});
    let spreads =
        serde_json::json!({"fills": 7, "effective_spread": 3.5, "realised_spread": realised});
    serde_json::json!({
        "fills": 12,
        "orders_sent": 21,
        "blocked": {"message_rate": 6123},
        "delta_max_abs": {"BTC": "0.4321"},
        "liquidity": {
            "drawdown_max": 17.25,
            "capital_cost": "-0.25", "pnl_per_unit_of_risk": -0.31,
            "inventory": {"BTC": {
                "traded": 2.5, "mean_abs": 0.0123, "turnover_per_hour": 210.4, "half_life_s": null,
            }},
            "instruments": {"BTCUSDT": {
                "quote_uptime": 0.9838, "time_at_touch": 0.015, "quoted_spread": 7.66,
                "fill_ratio": 0.01234,
                "one_sided": 0.0039, "spreads": spreads,
                "adverse_selection": {"0.1s": -9.5, "1s": -4.25, "10s": 2.0, "60s": null},
            }},
        },
    })
}

#[test]
fn the_page_begins_with_what_a_trader_looks_for() {
    let page = page(&written("report-figures", 5_000));
    let head = page.split("<section>").next().unwrap();
    for part in [
        "0.4321", // The account's largest delta, not the samples'.
        "86 % of the hard limit",
        "largest drawdown",
        "17.25",
        "PnL per BTC traded",
        "2.500 BTC traded",
        "98.4 %",
        "at the touch 1.5 %",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
    let earned = page.split("What the quotes earned").nth(1).unwrap();
    assert!(earned.contains("<td>7</td><td>7.66</td><td>+3.5"), "{earned:.700}");
    let provided = page.split("Liquidity provided").nth(1).unwrap();
    for part in [
        "<td>98.4 %</td><td>0.4 %</td><td>1.5 %</td><td>1.23 %</td><td>−4.25</td><td>+2.00</td><td>–</td>",
        "<td>2.500</td><td>0.0123</td><td>210.4 times</td><td>–</td>",
        "capital, USDT</th><td>-0.25</td>",
        "PnL a unit of its risk</th><td>−0.31</td>",
    ] {
        assert!(provided.contains(part), "{part} in {provided:.1500}");
    }
    assert!(page.contains("held back: message rate</th><td>6123</td>"));
    assert!(page.contains("<th>sent</th><td>21</td>"));
}

fn facts() -> Vec<(String, String)> {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    vec![("tape".into(), "synthetic <seed 1>".into()), ("intents SHA-256".into(), hash.into())]
}

/// The report of a run, in a folder that stays for people to look at.
fn written(name: &str, events: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    run(events).write(&folder).unwrap();
    folder
}

fn page(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("report.html")).unwrap()
}

#[test]
fn the_page_stays_below_two_megabytes_however_long_the_run() {
    let page = page(&written("report-long", 400_000));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.len() > 50_000, "{} bytes hold no pictures", page.len());
}

#[test]
fn every_picture_is_well_formed_and_nothing_is_fetched() {
    let page = page(&written("report-short", 40_000));
    let mut pictures = 0;
    for rest in page.split("<svg").skip(1) {
        let (picture, _) = rest.split_once("</svg>").expect("a picture ends");
        let picture = format!("<svg{picture}</svg>");
        roxmltree::Document::parse(&picture).unwrap_or_else(|e| panic!("{e}\n{picture:.400}"));
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture:.400}");
        pictures += 1;
    }
    assert_eq!(pictures, 8, "waterfall, PnL, delta, inventory, price, closer, distance, latency");
    for fetched in ["src=", "href=", "url(", "@import", "<script", "http"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    assert!(page.contains("synthetic &lt;seed 1&gt;"), "text from outside is escaped");
}

#[test]
fn a_run_in_which_nothing_happened_has_a_page_too() {
    let page = page(&written("report-empty", 0));
    assert!(page.contains("</html>") && !page.contains("NaN"));
}

#[test]
fn figures_and_latency_files_stand_beside_the_page() {
    let folder = written("report-files", 5_000);
    let summary = std::fs::read_to_string(folder.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["fills"], 12);
    let latency = std::fs::read_to_string(folder.join("latency-tick_to_order.hgrm")).unwrap();
    assert!(latency.contains("Total count    =         5000"));
    let leftover = std::fs::read_dir(&folder).unwrap().filter_map(Result::ok);
    assert!(leftover.into_iter().all(|file| !file.path().to_string_lossy().contains("partial")));
}

#[test]
fn a_folder_that_cannot_be_made_is_named_in_the_error() {
    let error = run(10).write(Path::new("/proc/no/such")).unwrap_err();
    assert!(error.to_string().contains("/proc/no/such"), "{error}");
}
