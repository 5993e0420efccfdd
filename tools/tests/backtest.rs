//! What a backtest promises: the maker's account is the venue's, the causes sum to the total, one
//! seed is one result, and the recording's books end where they should.

use ballast::backtest::tape::AnyTape;
use ballast::backtest::{Backtest, Outcome};
use ballast::config::ConfigFile;
use ballast::config::overrides::Overrides;
use ballast::observer::Observer;
use ballast::recording::{Tape, TapeCounters, TapeError};
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::instrument::Currency;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::risk::state::Reason;
use ballast_engine::units::{Lots, Nanos, Side};
use std::path::{Path, PathBuf};

fn no_fees() -> ConfigFile {
    let overrides = Overrides { no_fees: true, ..Overrides::default() };
    ConfigFile::demo().unwrap().changed(&overrides).unwrap()
}

fn play(file: &ConfigFile, config: &MakerConfig, tape: impl Tape) -> Outcome {
    let options = VenueOptions {
        order_latency_ns: 1_000_000,
        feed_latency_ns: 500_000,
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options).with_fee_tiers_of(config);
    let observer = Observer::new(file, config);
    let backtest = Backtest::new(config, exchange, tape, observer, None, 0).unwrap();
    backtest.run(Nanos(u64::MAX)).unwrap().0
}

fn assert_accounts_agree(config: &MakerConfig, outcome: &Outcome) {
    for (instrument, at_venue) in config.instruments.iter().zip(&outcome.venue_positions) {
        let id = instrument.id();
        let opening = config.settings[usize::from(id.0)].opening;
        let position = outcome.maker().ledger().position(id).unwrap();
        assert_eq!(position.0 - opening.0, at_venue.0, "{}", instrument.symbol());
    }
    let (causes, total) = outcome.maker().pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
    assert_eq!(outcome.maker().live_orders(), 0, "the run ended in order");
}

#[test]
fn a_synthetic_minute_is_quoted_filled_hedged_and_the_same_twice() {
    let file = no_fees();
    let config = file.maker(1).unwrap();
    let run = || {
        let tape = AnyTape::synthetic(&config.instruments, 7, Some(60_000_000_000));
        play(&file, &config, tape)
    };
    let (first, second) = (run(), run());
    assert_accounts_agree(&config, &first);
    let counters = first.maker().counters();
    assert!(counters.fills >= 100, "{counters:?}");
    assert_eq!((counters.unknown_orders, counters.duplicate_fills), (0, 0));
    let soft = config.underlyings[0].limits.soft().0.unsigned_abs();
    assert!(first.maker().delta_max_abs(0).unwrap() <= soft, "the band keeps delta inside");
    assert_eq!(first.intents_sha256, second.intents_sha256);
}

#[test]
fn another_seed_is_another_run() {
    let file = no_fees();
    let config = file.maker(1).unwrap();
    let run = |seed| {
        let tape = AnyTape::synthetic(&config.instruments, seed, Some(5_000_000_000));
        play(&file, &config, tape).intents_sha256
    };
    assert_ne!(run(1), run(2));
}

fn recordings() -> Option<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?.join("shared/data/hftbacktest");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is absent", folder.display());
    None
}

#[test]
fn the_recording_ends_at_its_books_with_fills_and_no_gap() {
    let Some(folder) = recordings() else { return };
    let file = no_fees();
    let config = file.maker(1).unwrap();
    let tape = AnyTape::recorded(&folder, &config.instruments).unwrap();
    let outcome = play(&file, &config, tape);
    assert_accounts_agree(&config, &outcome);
    assert!(outcome.maker().counters().fills >= 100);
    let expected = [("61685.99", "61686.00"), ("61659.70", "61659.80"), ("61668.6", "61668.7")];
    for (n, (bid, ask)) in expected.into_iter().enumerate() {
        let id = InstrumentId(u16::try_from(n).unwrap());
        let instrument = &config.instruments[n];
        let book = outcome.maker().book(id).unwrap();
        let touch = book.touch().unwrap();
        assert_eq!(instrument.ticks(bid.parse().unwrap()), Ok(touch.bid.price));
        assert_eq!(instrument.ticks(ask.parse().unwrap()), Ok(touch.ask.price));
        assert_eq!(outcome.maker().snapshot(id).unwrap().gaps_seen, 0);
        assert!(book.levels(Side::Buy).all(|level| level.size > Lots(0)));
    }
}

#[test]
fn at_the_listed_fees_the_floor_keeps_quotes_out_of_losing_trades() {
    let file = ConfigFile::demo().unwrap();
    let config = file.maker(1).unwrap();
    let tape = AnyTape::synthetic(&config.instruments, 7, Some(5_000_000_000));
    let outcome = play(&file, &config, tape);
    let snapshot = outcome.maker().snapshot(InstrumentId(0)).unwrap();
    assert_eq!(snapshot.fills, 0, "10 bps a side is beyond what a calm market reaches");
    assert!(outcome.maker().counters().intents[0] > 0, "it quotes all the same");
}

/// The demo's config at no fees, with more tables.
fn with(tables: &str) -> ConfigFile {
    ConfigFile::parse("with.toml", format!("{}\n{tables}", no_fees().text)).unwrap()
}

fn cause(outcome: &Outcome, currency: Currency, wanted: Cause) -> i128 {
    let causes = outcome.maker().ledger().causes_of(currency);
    causes.iter().find(|(cause, _)| *cause == wanted).unwrap().1.0
}

#[test]
fn fees_by_tier_are_the_venue_s_commission_to_the_unit() {
    let file = with(
        "[instrument.BTCUSDT.guards]\nfees = { volume_30d = \"0\", tiers = [\
         { volume = \"20000\", maker_fee_bps = \"0.03\", taker_fee_bps = \"1\" }, \
         { volume = \"40000\", maker_fee_bps = \"-0.05\", taker_fee_bps = \"1\" }] }",
    );
    let config = file.maker(1).unwrap();
    let tape = AnyTape::synthetic(&config.instruments, 7, Some(60_000_000_000));
    let outcome = play(&file, &config, tape);
    assert_accounts_agree(&config, &outcome);
    let dollars = config.instruments[0].spec().settlement;
    let (paid, received) =
        (cause(&outcome, dollars, Cause::Fees), cause(&outcome, dollars, Cause::Rebates));
    assert!(paid < 0 && received > 0, "both tiers were reached: {paid} and {received}");
    let charged: i128 = outcome.venue_fees.iter().map(|fees| fees.0).sum();
    assert_eq!(paid + received, -charged, "the ledger books what the venue charges");
}

/// A market that stands still for days in its middle.
struct Weekend<T> {
    tape: T,
    from: Nanos,
    days: u64,
}

impl<T: Tape> Weekend<T> {
    fn at(&self, at: Nanos) -> Nanos {
        let gap = if at < self.from { 0 } else { self.days * 86_400_000_000_000 };
        at.plus(gap)
    }
}

impl<T: Tape> Tape for Weekend<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        let event = self.tape.next()?;
        Ok(event.map(|event| MarketEvent { at: self.at(event.at), ..event }))
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        Ok(self.tape.peek_at()?.map(|at| self.at(at)))
    }

    fn counters(&self) -> TapeCounters {
        self.tape.counters()
    }
}

#[test]
fn fees_by_tier_are_the_venue_s_over_midnight_and_over_days_without_a_market() {
    // A million a day before: one day's end leaves it above the tier, three do not.
    let file = with(
        "[instrument.BTCUSDT.guards]\nfees = { volume_30d = \"30000000\", tiers = [\
         { volume = \"28000000\", maker_fee_bps = \"-0.05\", taker_fee_bps = \"1\" }] }",
    );
    let file = ConfigFile::parse(
        "weekend.toml",
        file.text
            .replacen("maker_fee_bps = \"0\"", "maker_fee_bps = \"0.03\"", 1)
            .replace("timer_ms = 10", "timer_ms = 1000"),
    )
    .unwrap();
    let config = file.maker(1).unwrap();
    assert_eq!(config.instruments[0].spec().maker_fee.0, 3_000);
    let options = SyntheticOptions::new(7, Some(60_000_000_000));
    let midnight = options.start.plus(86_400_000_000_000);
    let start = Nanos(midnight.0 - 30_000_000_000);
    let dollars = config.instruments[0].spec().settlement;
    for (days, pays) in [(0, false), (3, true)] {
        let tape = Synthetic::new(&config.instruments, SyntheticOptions { start, ..options });
        let outcome = play(&file, &config, Weekend { tape, from: midnight, days });
        let (paid, received) =
            (cause(&outcome, dollars, Cause::Fees), cause(&outcome, dollars, Cause::Rebates));
        assert!(received > 0, "{days} days: {received}");
        assert_eq!(paid < 0, pays, "{days} days: {paid}");
        let charged: i128 = outcome.venue_fees.iter().map(|fees| fees.0).sum();
        assert_eq!(paid + received, -charged, "{days} days");
    }
}

#[test]
fn a_step_of_the_take_profit_is_filled_at_the_touch_where_there_are_fees_as_where_there_are_none() {
    let step = "[instrument.BTCUSDT.guards]\ntake_profit = { passive_ms = 2000, steps = [\
                { gain = \"0.05\", close = \"1\" }] }";
    let unhedged = Overrides { no_hedge: true, ..Overrides::default() };
    let steps_and_cost = |fee: &str| {
        let file = with(step).changed(&unhedged).unwrap();
        let fee = format!("maker_fee_bps = \"{fee}\"");
        let text = file.text.replace("maker_fee_bps = \"0\"", &fee);
        let file = ConfigFile::parse("fee.toml", text).unwrap();
        let config = file.maker(1).unwrap();
        let tape = AnyTape::synthetic(&config.instruments, 7, Some(60_000_000_000));
        let outcome = play(&file, &config, tape);
        let counts: Vec<_> = outcome.maker().counters().entered.iter().collect();
        let entered = counts.iter().find(|(reason, _)| *reason == Reason::TakeProfit);
        let dollars = config.instruments[0].spec().settlement;
        (entered.map_or(0, |(_, count)| *count), cause(&outcome, dollars, Cause::HedgeCost))
    };
    // Half a basis point is three dollars, and the touch a few cents from the mid: what waited there in
    // vain would be taken at once after two seconds, across the spread and at a taker's fee.
    for fee in ["0", "0.5"] {
        let (steps, taken) = steps_and_cost(fee);
        assert!(steps > 3, "{fee}: {steps}");
        assert_eq!(taken, 0, "{fee}: {steps} steps");
    }
}

#[test]
fn funding_is_paid_at_its_instant_and_moves_nothing_else() {
    let minute = |file: &ConfigFile| {
        let config = file.maker(1).unwrap();
        // Half a minute before one o'clock.
        let options = SyntheticOptions::new(7, Some(60_000_000_000));
        let start = options.start.plus(3_570_000_000_000);
        let tape = Synthetic::new(&config.instruments, SyntheticOptions { start, ..options });
        (play(file, &config, tape), config)
    };
    let (without, config) = minute(&no_fees());
    let (funded, _) = minute(&with(
        "[instrument.BTCUSDT-PERP.standing]\nfunding_every_h = 1\nfunding_bps = \"1\"",
    ));
    assert_eq!(funded.run_sha256, without.run_sha256, "dollars are no exposure");
    let dollars = config.instruments[1].spec().settlement;
    let funding = cause(&funded, dollars, Cause::Funding);
    // About one coin short at about 60,000: a basis point of it is received.
    assert!((5_000_000_000..7_000_000_000).contains(&funding), "{funding}");
    let total = |outcome: &Outcome| outcome.maker().pnl().unwrap().1.0;
    assert_eq!(total(&funded) - total(&without), funding);
}
