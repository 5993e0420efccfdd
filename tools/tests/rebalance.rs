//! What rebalancing promises: two venues of one coin whose customers pull it one way stay quoted on
//! both sides, by trades on both or by treasury; without it one runs dry. The report says what it cost.

use ballast::backtest::plan::{Lateness, Market, Plan};
use ballast::backtest::{Backtest, Outcome};
use ballast::collateral::Assessor;
use ballast::config::ConfigFile;
use ballast::observer::Observer;
use ballast::random::Random;
use ballast::recording::{Tape, TapeCounters, TapeError};
use ballast::recovery::proof::prove;
use ballast::summary::{RunFacts, summary};
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast::venue::queue::QueueModel;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;

const SECOND_NS: u64 = 1_000_000_000;
const STEP_NS: u64 = 100_000_000;
const RUN_S: u64 = 300;

/// Two markets of one price. At the first, four customers in five buy; at the second they sell.
struct Pair {
    random: Random,
    at: u64,
    mid: i64,
    ready: VecDeque<MarketEvent>,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        Pair { random: Random::new(seed), at: SECOND_NS, mid: 600_000, ready: VecDeque::new() }
    }

    fn push(&mut self, instrument: u16, update: MarketUpdate, last_in_message: bool) {
        self.ready.push_back(MarketEvent {
            at: Nanos(self.at),
            venue_at: Nanos(self.at),
            stamp: Stamp(0),
            update,
            instrument: InstrumentId(instrument),
            last_in_message,
        });
    }

    fn fill_up(&mut self) {
        if !self.ready.is_empty() || self.at > RUN_S * SECOND_NS {
            return;
        }
        self.at += STEP_NS;
        self.mid += i64::try_from(self.random.below(11)).unwrap() - 5;
        for venue in 0..2u16 {
            self.push(venue, MarketUpdate::Reset, false);
            for level in 0..5i64 {
                for (side, price) in
                    [(Side::Buy, self.mid - 1 - level), (Side::Sell, self.mid + 1 + level)]
                {
                    let level_update =
                        MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
                    let is_last = level == 4 && side == Side::Sell;
                    self.push(venue, level_update, is_last);
                }
            }
            let buys = self.random.below(5) != 0;
            let aggressor = if buys == (venue == 0) { Side::Buy } else { Side::Sell };
            let price = Ticks(self.mid + aggressor.sign() * 60);
            if (self.at / STEP_NS).is_multiple_of(5) {
                self.push(venue, MarketUpdate::Trade { aggressor, price, size: Lots(10) }, true);
            }
        }
    }
}

impl Tape for Pair {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill_up();
        Ok(self.ready.pop_front())
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill_up();
        Ok(self.ready.front().map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        TapeCounters::default()
    }
}

fn file() -> ConfigFile {
    let text = include_str!("../../config/two-venues.toml");
    ConfigFile::parse("config/two-venues.toml", text.to_owned()).unwrap()
}

fn without(text: &str, table: &str) -> String {
    let mut tables: toml::Table = text.parse().unwrap();
    tables["rebalance"].as_table_mut().unwrap().remove(table);
    toml::to_string(&tables).unwrap()
}

struct Run {
    outcome: Outcome,
    document: Value,
    /// Share of samples on both sides, by venue.
    two_sided: [f64; 2],
}

fn play(file: &ConfigFile, seed: u64) -> Run {
    journaled(file, seed, None)
}

fn journaled(file: &ConfigFile, seed: u64, journal: Option<JournalWriter>) -> Run {
    let config = file.maker(1).unwrap();
    let options = VenueOptions {
        order_latency_ns: 1_000_000,
        feed_latency_ns: 500_000,
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options);
    let observer = Observer::new(file, &config);
    let backtest =
        Backtest::new(&config, exchange, Pair::new(seed), observer, journal, 100_000_000).unwrap();
    let (outcome, observer) = backtest.run(Nanos(u64::MAX)).unwrap();
    let underlyings = file.table.underlyings.iter();
    let liquidity = observer.liquidity().document(outcome.maker(), underlyings);
    let facts = RunFacts { liquidity, ..RunFacts::default() };
    let document = summary(file, outcome.maker(), &facts);
    let share = |symbol: &str| {
        let of = &document["liquidity"]["instruments"][symbol]["quote_uptime"];
        of.as_f64().unwrap_or_else(|| panic!("{}", document["liquidity"]))
    };
    let two_sided = [share("BTCUSDT-A"), share("BTCUSDT-B")];
    println!("two-sided {two_sided:?} holdings {:#} pnl {}", document["holdings"], document["pnl"]);
    let (causes, total) = outcome.maker().pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
    Run { outcome, document, two_sided }
}

fn cost(run: &Run) -> f64 {
    run.document["pnl"]["rebalance_cost"].as_str().unwrap().parse().unwrap()
}

fn sums(run: &Run, key: &str) -> u64 {
    let balances = run.document["holdings"]["balances"].as_array().unwrap();
    balances.iter().map(|row| row[key].as_u64().unwrap()).sum()
}

#[test]
fn trades_on_both_venues_keep_both_quoted_on_both_sides() {
    let run = play(&file(), 7);
    assert!(run.two_sided.iter().all(|share| *share >= 0.95), "{:?}", run.two_sided);
    assert!(sums(&run, "offsets") > 0);
    assert!(cost(&run) < 0.0, "taking two spreads costs");
    assert_eq!(run.outcome.maker().counters().unknown_orders, 0);
}

#[test]
fn treasury_keeps_both_quoted_where_nothing_may_be_traded() {
    let file = ConfigFile::parse("two", without(&file().text, "offset")).unwrap();
    let run = play(&file, 7);
    assert!(run.two_sided.iter().all(|share| *share >= 0.95), "{:?}", run.two_sided);
    assert_eq!(sums(&run, "offsets"), 0);
    assert!(sums(&run, "requests") > 0);
    let balances = run.document["holdings"]["balances"].as_array().unwrap();
    let lost = |row: &Value| row["transfer_costs"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(balances.iter().any(|row| lost(row) > 0.0), "each transfer costs its fee");
}

#[test]
fn without_either_one_venue_runs_dry() {
    let text = without(&without(&file().text, "offset"), "transfer");
    let run = play(&ConfigFile::parse("two", text).unwrap(), 7);
    assert!(run.two_sided.iter().any(|share| *share < 0.6), "{:?}", run.two_sided);
    assert_eq!(sums(&run, "offsets") + sums(&run, "requests"), 0);
    let stuck = run.document["holdings"]["balances"].as_array().unwrap();
    assert!(stuck.iter().any(|row| row["balance"] == "stuck"), "{stuck:?}");
}

#[test]
fn offsets_and_transfers_are_in_the_journal_and_a_replay_does_the_same() {
    let mut text = file().text;
    // Trades on both venues cost more than treasury here, for coins; money goes by trades alone.
    text = text.replace("taker_fee_bps = \"1\"", "taker_fee_bps = \"40\"");
    let file = ConfigFile::parse("two", text).unwrap();
    let path = std::env::temp_dir().join(format!("ballast-rebalance-{}.blj", std::process::id()));
    let header = Header {
        epoch: 1,
        started: Nanos(0),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: file.text.clone(),
        resumption: None,
    };
    let writer = JournalWriter::create(&path, &header).unwrap();
    let run = journaled(&file, 11, Some(writer));
    assert!(sums(&run, "requests") > 0);
    let proof = prove(&path, Some(5_000)).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
    assert_eq!(run.outcome.run_sha256, play(&file, 11).outcome.run_sha256, "the same run twice");
}

const COLLATERAL: &str = r#"
[collateral]
every_s = 2
age_max_s = 10
utilisation_soft = "0.50"
utilisation_hard = "0.80"
liquidation_distance_min = "0.05"
stressed_loss_max = "1000000"
haircut = { days = "1", deviations = "3", floor = "0.05" }

[[collateral.scenarios]]
name = "crash"
price = "-0.20"
volatility = "0.5"
basis = "-0.01"
collateral = "-0.30"

[collateral.venues.alpha]
linear_rate = "0.05"
inverse_rate = "0.10"
prices = ["-0.1"]
volatilities = ["0.2"]

[collateral.venues.beta]
linear_rate = "0.05"
inverse_rate = "0.10"
prices = ["-0.1"]
volatilities = ["0.2"]
"#;

#[test]
fn what_is_at_a_venue_or_on_its_way_is_the_whole_account_to_whoever_assesses_it() {
    // What treasury sends does not arrive before the run is over.
    let text = without(&file().text, "offset").replace("time_s = 20", "time_s = 1000");
    let text = format!("{text}{COLLATERAL}");
    let file = ConfigFile::parse("two", text).unwrap();
    let mut seen_on_the_way = false;
    for seed in [7, 8] {
        let run = play(&file, seed);
        let maker = run.outcome.maker();
        let (ledger, mut assessor) = (maker.ledger(), Assessor::new(&file).unwrap());
        assessor.look(maker).unwrap();
        let document = assessor.document();
        // Coins are positions of spot, valued in the reporting currency: nothing else is held.
        let equity = ledger.equity(ledger.reporting()).unwrap().0 as f64 * 1e-9;
        let found: f64 = document["equity"].as_str().unwrap().parse().unwrap();
        assert!((found - equity).abs() < 0.02, "{document} {equity}");
        let venues = document["utilisation_by_venue"].as_object().unwrap();
        assert_eq!(venues.keys().collect::<Vec<_>>(), ["alpha", "beta"]);
        // Spot alone asks for no margin, and a fall takes its part of every coin, wherever it is.
        let coins: f64 = [0u16, 1]
            .map(|n| {
                let (id, coin) = (InstrumentId(n), 1e-3);
                let lots = ledger.position(id).unwrap().0 + ledger.away(id).unwrap().0;
                seen_on_the_way |= ledger.away(id).unwrap().0 != 0;
                lots as f64 * coin * ledger.mark(id).unwrap().0 as f64 * 0.5 * 0.1
            })
            .iter()
            .sum();
        let crash: f64 = document["scenarios"]["crash"].as_str().unwrap().parse().unwrap();
        assert!((crash + 0.2 * coins).abs() < 0.02, "{document} {coins}");
    }
    assert!(seen_on_the_way, "no seed ended with coins on their way");
}

/// Binance spot has trades alone, Bybit spot quotes until noon (../shared/data/README.md).
#[test]
fn a_day_of_two_real_venues_of_which_one_never_shows_a_book_moves_nothing_on_a_guess() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lean/crypto");
    if !folder.is_dir() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let mut text = file().text;
    for (from, to) in [
        ("BTCUSDT-A", "BTCBUSD"),
        ("BTCUSDT-B", "BTCUSDT"),
        ("\"alpha\"", "\"binance\""),
        ("holdings.alpha", "holdings.binance"),
        ("\"beta\"", "\"bybit\""),
        ("holdings.beta", "holdings.bybit"),
        ("tick = \"0.1\"", "tick = \"0.01\""),
        ("lot = \"0.001\"", "lot = \"0.000001\""),
        ("stale_after_ms = 3000", "stale_after_ms = 150000"),
    ] {
        text = text.replace(from, to);
    }
    let file = ConfigFile::parse("lean", text).unwrap();
    let plan = Plan {
        market: Market::Recorded(folder),
        from: None,
        to: None,
        lateness: Lateness::parse("1ms").unwrap(),
        queue: QueueModel::BackOfQueue,
        refit: None,
        cache: None,
    };
    let played = plan.run(&file, &file.maker(1).unwrap(), None, 60_000_000_000).unwrap();
    let document = played.summary(&file);
    println!(
        "{} holdings {:#} states {}",
        document["fills"], document["holdings"], document["states_entered"]
    );
    assert_eq!(document["states_entered"]["holdings_differ"], Value::Null);
    assert_eq!(document["liquidity"]["instruments"]["BTCBUSD"], Value::Null, "never quoted");
    let balances = document["holdings"]["balances"].as_array().unwrap();
    assert!(balances.iter().all(|row| row["offsets"] == 0), "no trade without a book");
    let (causes, total) = played.outcome.maker().pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
}

#[test]
fn every_fault_of_the_table_is_told_with_its_key() {
    let wrong = [
        ("rebalance.holdings.alpha.BTC.weight", "0.4", "add up to 900000"),
        ("rebalance.holdings.alpha.BTC.weight", "1.5", "between 0 and 1"),
        ("rebalance.holdings.alpha.USDT.opening", "1", "must add up to what there is"),
        ("rebalance.transfer.BTC.fee", "0.05", "0 <= fee < minimum"),
        ("rebalance.idle_bps_day", "-1", "must be at least 0"),
        ("rebalance.offset.BTCUSDT-A", "-1", "must be at least"),
    ];
    for (key, value, told) in wrong {
        let changed = file().with(&[(key.to_owned(), value.to_owned())]);
        let error = changed.and_then(|file| file.maker(1)).unwrap_err().to_string();
        assert!(error.contains(told), "{key} = {value}: {error}");
    }
}
