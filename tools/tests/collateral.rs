//! What is promised of collateral: figures that are the account's own, limits that shrink and stop what
//! adds risk, the same again from the journal, and a config whose faults are all told.

mod journaled_play;

use ballast::backtest::plan::{Market, Played};
use ballast::collateral::Assessor;
use ballast::config::{ConfigFault, ConfigFile};
use ballast::recovery::proof::prove;
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::Currency;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::{Control, Input};
use std::path::{Path, PathBuf};

const DEMO: &str = include_str!("../../config/demo.toml");

const COLLATERAL: &str = r#"
[collateral]
every_s = 2
age_max_s = 10
utilisation_soft = "0.50"
utilisation_hard = "0.80"
liquidation_distance_min = "0.05"
stressed_loss_max = "50000"
haircut = { days = "1", deviations = "3", floor = "0.05" }

[[collateral.scenarios]]
name = "crash"
price = "-0.20"
prices = { BTC = "-0.30" }
volatility = "0.5"
basis = "-0.01"
collateral = "-0.30"

[[collateral.scenarios]]
name = "rally"
price = "0.20"
volatility = "0.2"
basis = "0.01"
collateral = "0.20"

[collateral.venues.sim]
linear_rate = "0.05"
inverse_rate = "0.10"
prices = ["-0.1", "0", "0.1"]
volatilities = ["-0.2", "0.2"]
"#;

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = format!("{DEMO}{COLLATERAL}");
    for (from, to) in changes {
        assert!(text.contains(from), "{from} stands in the config");
        text = text.replacen(from, to, 1);
    }
    text
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ballast-collateral-{}-{name}.blj", std::process::id()))
}

fn play(text: String, journal: &Path) -> (ConfigFile, Played) {
    let file = ConfigFile::parse("collateral.toml", text).unwrap();
    let market = Market::Synthetic { seed: 3, duration_ns: 15_000_000_000 };
    let played = journaled_play::play(&file, market, [None, None], journal);
    (file, played)
}

fn number(text: &serde_json::Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

/// Units of the base, or contracts, and the price of an instrument as the account has them.
fn held(maker: &Maker, place: u16, lot: f64, tick: f64) -> (f64, f64) {
    let (ledger, id) = (maker.ledger(), InstrumentId(place));
    let mark = ledger.mark(id).unwrap().0 as f64 * 0.5 * tick;
    (ledger.position(id).unwrap().0 as f64 * lot, mark)
}

#[test]
fn margin_collateral_and_stress_are_those_of_the_account() {
    let changes = [
        ("maker_fee_bps = \"10\"", "maker_fee_bps = \"0\""),
        // A coin in cash that a short inverse contract hedges in part.
        ("[opening_cash]", "[opening_cash]\nBTC = \"0.5\""),
        ("[instrument.BTCUSD-PERP]", "[instrument.BTCUSD-PERP]\nopening = \"-200\""),
    ];
    let journal = scratch("figures");
    let (file, played) = play(changed(&changes), &journal);
    let maker = played.outcome.maker();
    assert!(maker.counters().fills > 20, "{} fills", maker.counters().fills);
    let mut assessor = Assessor::new(&file).unwrap();
    let view = assessor.look(maker).unwrap();
    let found = assessor.document();
    let (spot, spot_price) = held(maker, 0, 1e-5, 0.01);
    let (linear, linear_price) = held(maker, 1, 1e-3, 0.1);
    let (contracts, inverse_price) = held(maker, 2, 1.0, 0.1);
    let coin_rate = maker.ledger().rate(Currency(0)).unwrap().0 as f64 * 1e-9;
    let inverse = contracts * 100.0 / inverse_price;
    let margin = 0.05 * (linear * linear_price).abs() + 0.1 * (inverse * coin_rate).abs();
    let near = |found: f64, by_hand: f64| {
        assert!((found - by_hand).abs() < 0.01, "{found} is not {by_hand}: {found}");
    };
    near(number(&found["margin"]["sim"]), margin);
    // Spot and both currencies; what is not USDT less five per cent at least.
    let equity = |place| maker.ledger().equity(Currency(place)).unwrap().0 as f64 * 1e-9;
    let (tether, coin) = (equity(1), equity(0) * coin_rate);
    near(number(&found["equity"]), tether + coin);
    let bare = tether - spot * spot_price;
    let collateral = number(&found["collateral"]);
    assert!(collateral <= bare + 0.95 * (spot * spot_price + coin) + 0.01, "{found}");
    assert!(collateral > bare + 0.5 * (spot * spot_price + coin), "{found}");
    let used = margin / collateral;
    assert!((f64::from(view.utilisation_ppm) * 1e-6 - used).abs() < 2e-6, "{view:?} {used}");
    // Owned coins feel the price, contracts the price and the basis.
    let cash = maker.ledger().cash(Currency(0)).unwrap().0 as f64 * 1e-9;
    let own = spot * spot_price + (cash - inverse) * spot_price;
    let contracts = (linear + inverse) * spot_price;
    let (crash, rally) = (&found["scenarios"]["crash"], &found["scenarios"]["rally"]);
    // All legs of one venue are moved at one price: the spot's and the perpetual's differ by the basis.
    let slack = 0.002 * spot_price * (linear.abs() + inverse.abs() + cash.abs());
    let by_hand = -0.30 * (own + contracts) - 0.01 * contracts * 0.7;
    assert!((number(crash) - by_hand).abs() < slack, "{crash} is not {by_hand}");
    let by_hand = 0.20 * (own + contracts) + 0.01 * contracts * 1.2;
    assert!((number(rally) - by_hand).abs() < slack, "{rally} is not {by_hand}");
    let worst = (-number(crash)).max(-number(rally)).max(0.0);
    assert!((view.stressed_loss as f64 * 1e-9 - worst).abs() < 0.01);
    std::fs::remove_file(journal).unwrap();
}

#[test]
fn a_run_with_limits_near_only_reduces_and_replays_from_its_journal() {
    let free = [("maker_fee_bps = \"10\"", "maker_fee_bps = \"0\"")];
    let near = [
        free[0],
        ("utilisation_soft = \"0.50\"", "utilisation_soft = \"0.000001\""),
        ("utilisation_hard = \"0.80\"", "utilisation_hard = \"0.000002\""),
    ];
    let [wide_journal, near_journal] = ["wide", "near"].map(scratch);
    let (file, wide) = play(changed(&free), &wide_journal);
    let (_, near) = play(changed(&near), &near_journal);
    let opening = 100_000;
    let spot = InstrumentId(0);
    let most =
        |played: &Played| played.outcome.maker().snapshot(spot).unwrap().position_max_abs - opening;
    assert!(most(&wide) > 0, "a free run buys");
    assert_eq!(most(&near), 0, "what is near its limit only sells what it has");
    assert!(near.outcome.maker().counters().fills > 0, "and that it does");
    let document = near.summary(&file);
    assert!(document["states_entered"]["collateral"].as_u64() > Some(0), "{document}");
    assert!(document["collateral"]["utilisation"].is_string(), "{document}");
    for journal in [wide_journal, near_journal] {
        let views = JournalReader::open(&journal).unwrap().filter(|record| {
            let input = record.as_ref().unwrap().input();
            matches!(input, Some((_, _, Input::Control(Control::Collateral(_)))))
        });
        assert!(views.count() >= 5, "a view every two seconds");
        let proof = prove(&journal, Some(5_000)).unwrap();
        assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
        std::fs::remove_file(journal).unwrap();
    }
}

#[test]
fn what_has_no_mark_is_not_assessed_and_nothing_is_added_to() {
    let file = ConfigFile::parse("collateral.toml", changed(&[])).unwrap();
    let maker = Maker::new(&file.maker(1).unwrap()).unwrap();
    let mut assessor = Assessor::new(&file).unwrap();
    assert_eq!(assessor.look(&maker), None, "the opening has no mark yet");
    assert!(assessor.document().is_null());
    assert!(maker.collateral_breach().is_some(), "unknown is a breach");
    let without = ConfigFile::parse("demo.toml", DEMO.to_owned()).unwrap();
    assert!(Assessor::new(&without).is_none());
    assert_eq!(Maker::new(&without.maker(1).unwrap()).unwrap().collateral_breach(), None);
}

#[test]
fn every_fault_of_the_table_is_told_with_what_is_allowed() {
    let told = |changes: &[(&str, &str)]| {
        let refused = |error: ConfigFault| error.to_string();
        match ConfigFile::parse("collateral.toml", changed(changes)) {
            Err(error) => refused(error),
            Ok(file) => file.maker(1).map_or_else(refused, |_| String::new()),
        }
    };
    assert_eq!(told(&[]), "");
    for (from, to, part) in [
        ("stressed_loss_max = \"50000\"\n", "", "missing field `stressed_loss_max`"),
        ("stressed_loss_max = \"50000\"", "stressed_loss_max = \"0\"", "must be at least"),
        ("soft = \"0.50\"", "soft = \"0.80\"", "0 < utilisation_soft < utilisation_hard <= 1"),
        ("hard = \"0.80\"", "hard = \"1.01\"", "0 < utilisation_soft < utilisation_hard <= 1"),
        ("hard = \"0.80\"", "hard = \"5000\"", "must be at most 4294"),
        ("age_max_s = 10", "age_max_s = 1", "0 < every_s <= age_max_s"),
        ("floor = \"0.05\"", "floor = \"1.5\"", "haircut.floor = \"1.5\": a number from 0 to 1"),
        ("BTC = \"-0.30\"", "ETH = \"-0.30\"", "no instrument is on such an underlying"),
        ("volatility = \"0.5\"", "volatility = \"NaN\"", "crash.volatility = \"NaN\""),
        ("name = \"rally\"", "name = \"crash\"", "stands in the file twice"),
        ("venues.sim]\nlinear", "venues.simm]\nlinear", "say what it asks as margin"),
        ("prices = [\"-0.1\", \"0\", \"0.1\"]", "prices = []", "at least one move"),
        ("linear_rate = \"0.05\"", "linear_rate = \"-1\"", "linear_rate = \"-1\""),
        ("every_s = 2", "every_s = 2\nevery_ms = 1", "unknown field"),
        (
            "inverse_rate = \"0.10\"",
            "inverse_rate = \"0.10\"\nextremes = { prices = [\"-0.3\"], weight = \"1.5\" }",
            "sim.extremes.weight = \"1.5\": a number from 0 to 1",
        ),
    ] {
        let text = told(&[(from, to)]);
        assert!(text.contains(part), "{to}: {part} in {text}");
    }
    let several = told(&[
        ("floor = \"0.05\"", "floor = \"2\""),
        ("basis = \"-0.01\"", "basis = \"-2\""),
        ("inverse_rate = \"0.10\"", "inverse_rate = \"x\""),
    ]);
    assert!(several.contains("3 faults"), "{several}");
}
