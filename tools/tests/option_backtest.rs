//! What the options desk promises on a recorded day: an ES option book quoted and delta-hedged with the
//! future, every limit kept, every mark explained, and the same again from its journal.
//!
//! The suite plays two hours; `BALLAST_WHOLE_DAY=1` plays all of 2020-01-06.

mod journaled_play;

use ballast::backtest::plan::Market;
use ballast::config::ConfigFile;
use ballast::recovery::proof::prove;
use ballast_engine::event::{InstrumentId, OrderAction, OrderEvent, OrderUpdate};
use ballast_engine::inventory::hedge::BandRule;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::Intents;
use ballast_engine::risk::greek_limits::{GREEKS, Greek};
use ballast_engine::units::{Exposure, Lots, Nanos, Notional};
use std::path::{Path, PathBuf};

const ES: &str = include_str!("../../config/es-options.toml");
const FUTURE: InstrumentId = InstrumentId(0);
/// There and back, by default latencies of a millisecond each way.
const HEDGE_LATENCY_NS: u64 = 2_000_000;

/// Lean's `Data` folder, where it is at hand: `BALLAST_LEAN`, or beside the repository.
fn tape() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lean");
    let named = std::env::var_os("BALLAST_LEAN").map(PathBuf::from);
    let found = named.into_iter().chain([beside]).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: no recordings in ../shared/data/lean; BALLAST_LEAN can name them");
    }
    found
}

fn play(tape: &Path, journal: &Path) -> (ConfigFile, MakerConfig, Maker) {
    let file = ConfigFile::parse("config/es-options.toml", ES.to_owned()).unwrap();
    let config = file.maker(1).unwrap();
    let window = match std::env::var_os("BALLAST_WHOLE_DAY") {
        Some(_) => [Some("2020-01-06T00:00:00Z"), None],
        None => [Some("2020-01-06T14:30:00Z"), Some("2020-01-06T16:30:00Z")],
    };
    let market = Market::Recorded(tape.to_path_buf());
    let played = journaled_play::play(&file, market, window, journal);
    let maker = played.outcome.maker().clone();
    for (place, lots) in (0u16..).zip(&played.outcome.venue_positions) {
        let ours = maker.ledger().position(InstrumentId(place));
        assert_eq!(ours, Some(*lots), "position of instrument {place} at the venue");
    }
    println!("{:?} {:?}", played.outcome.greeks, maker.counters());
    (file, config, maker)
}

/// What is watched at every input.
#[derive(Default)]
struct Watch {
    option_fills: u64,
    hedges: u64,
    /// Since when net delta is outside its band with the future trusted.
    outside: Option<Nanos>,
    /// A hedge was on its way when a fill took it there, or further.
    was_hedging: bool,
    /// A hedge took all that the future showed, and that was too little: no price was there for more.
    was_short: bool,
    /// The longest of these: no hedge on its way before, one on its way, too little displayed.
    outside_max_ns: [u64; 3],
    /// Hedges on their way.
    under_way: u32,
    /// How often it came back from each.
    returns: [u64; 3],
    worst: [i128; GREEKS],
    /// The most of the collateral that was in use, ppm, and the worst stress.
    used_ppm: u32,
    stressed: i64,
    /// Since when a limit on the collateral is broken.
    breach: Option<Nanos>,
    /// Fills of options under such a breach, and how often it began.
    under_breach: u64,
    breaches: u64,
}

impl Watch {
    fn on_order(&mut self, event: &OrderEvent, is_option: bool) {
        let is_done = match event.update {
            OrderUpdate::Fill { leaves_qty, .. } => {
                self.option_fills += u64::from(is_option);
                self.hedges += u64::from(!is_option);
                leaves_qty == Lots(0)
            }
            OrderUpdate::Canceled { .. } | OrderUpdate::Rejected { .. } => true,
            _ => false,
        };
        self.under_way -= u32::from(is_done && !is_option);
        let is_cut = matches!(event.update, OrderUpdate::Canceled { .. });
        self.was_short |= is_cut && !is_option && self.outside.is_some();
    }

    fn look(&mut self, maker: &Maker, config: &MakerConfig, now: Nanos) {
        let limits = &config.options.limits[0].1.total;
        let ranges = maker.greek_ranges(0).unwrap();
        let net = limits.net().parts();
        for (n, (range, limit)) in ranges.iter().zip(net).enumerate() {
            let worst = range.up.max(-range.down);
            self.worst[n] = self.worst[n].max(worst * 1000 / i128::from(limit));
            let held = maker.net_greeks(0).unwrap().parts()[n];
            assert!(
                held.abs() <= limit,
                "{} held {held} of {limit} at {now:?}",
                Greek::ALL[n].name()
            );
        }
        if let Some(view) = maker.collateral_view() {
            self.used_ppm = self.used_ppm.max(view.utilisation_ppm);
            self.stressed = self.stressed.max(view.stressed_loss);
        }
        let future = maker.snapshot(FUTURE).unwrap();
        let hedge = config.underlyings[0].hedge.as_ref().unwrap();
        let BandRule::Fixed(band) = &hedge.band else { panic!("the example's band is fixed") };
        let band = band.outer;
        // What is held and has no value is beyond every band.
        let is_beyond = |delta: Exposure| delta.0.saturating_abs() > band.0;
        let is_outside = maker.delta(0).is_none_or(is_beyond) && future.touch.is_ok();
        match (is_outside, self.outside) {
            (true, None) => self.outside = Some(now),
            (false, Some(since)) => {
                let kind = match (self.was_short, self.was_hedging) {
                    (true, _) => 2,
                    (false, true) => 1,
                    (false, false) => 0,
                };
                self.outside_max_ns[kind] = self.outside_max_ns[kind].max(now.since(since));
                self.returns[kind] += 1;
                (self.outside, self.was_hedging, self.was_short) = (None, false, false);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// Whose input it is; the future where it is nobody's.
fn input_of(input: &Input) -> InstrumentId {
    match input {
        Input::Order(event) => event.instrument,
        _ => FUTURE,
    }
}

/// Steps a maker through the journal and looks after every input.
fn watch(journal: &Path, config: &MakerConfig) -> (Watch, Maker) {
    let mut maker = Maker::new(config).unwrap();
    let mut out = Intents::new(Maker::intents_max(config), 1 << 16);
    let mut watch = Watch::default();
    for record in JournalReader::open(journal).unwrap() {
        let Some((_, now, input)) = record.unwrap().input() else { continue };
        let held = |maker: &Maker| maker.ledger().position(input_of(&input)).unwrap_or_default().0;
        let before = held(&maker);
        maker.step(now, &input, &mut out);
        let (was_under_way, was_outside) = (watch.under_way > 0, watch.outside.is_some());
        let mut is_further = false;
        if let Input::Order(event) = &input {
            let is_option = config.instruments[usize::from(event.instrument.0)].option().is_some();
            is_further = is_option && matches!(event.update, OrderUpdate::Fill { .. });
            watch.on_order(event, is_option);
        }
        if is_further && watch.breach.is_some_and(|since| now.since(since) > HEDGE_LATENCY_NS) {
            watch.under_breach += 1;
            let after = held(&maker);
            assert!(
                after.abs() < before.abs(),
                "{before} became {after} under a breach at {now:?}"
            );
        }
        watch.look(&maker, config, now);
        match (maker.collateral_breach(), watch.breach) {
            (Some(_), None) => {
                watch.breach = Some(now);
                watch.breaches += 1;
            }
            (None, _) => watch.breach = None,
            (Some(_), Some(_)) => {}
        }
        let is_outside = watch.outside.is_some();
        watch.was_hedging |= is_outside && was_under_way && (is_further || !was_outside);
        let hedges = out
            .orders()
            .iter()
            .filter(|intent| intent.instrument == FUTURE && intent.action == OrderAction::New);
        watch.under_way += u32::try_from(hedges.count()).unwrap();
        out.clear();
    }
    (watch, maker)
}

#[test]
fn an_es_option_book_is_quoted_and_delta_hedged_through_the_recorded_day() {
    let Some(tape) = tape() else { return };
    let folder = std::env::temp_dir().join(format!("ballast-options-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let journal = folder.join("es.blj");
    let (_, config, maker) = play(&tape, &journal);
    let proof = prove(&journal, Some(5_000)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
    let (watch, again) = watch(&journal, &config);
    println!(
        "{} option fills, {} hedges, outside the band (no hedge on its way, one on its way, too little \
         displayed) {:?} times, at most {:?} us; worst cases in thousandths of the net limits {:?}",
        watch.option_fills,
        watch.hedges,
        watch.returns,
        watch.outside_max_ns.map(|ns| ns / 1_000),
        watch.worst
    );
    assert!(watch.option_fills >= 20, "{} fills: not a book", watch.option_fills);
    // One way there and back; a fill while a hedge is under way is hedged after its answer; and bars
    // show one level a side, which a hedge at night may take whole.
    let ([alone, waited, _], [at_once, _, short]) = (watch.outside_max_ns, watch.returns);
    assert!(watch.hedges > 0 && at_once > 0 && alone <= HEDGE_LATENCY_NS, "{alone} ns");
    assert!(waited <= 2 * HEDGE_LATENCY_NS, "{waited} ns");
    assert!(short * 50 <= watch.returns.iter().sum::<u64>(), "{:?}", watch.returns);
    assert!(watch.worst.iter().all(|share| *share <= 1_000), "{:?}", watch.worst);
    let limits = config.collateral.unwrap();
    println!(
        "collateral in use {} ppm, stressed loss {} of {}, {} breaches, {} fills under one",
        watch.used_ppm,
        watch.stressed / 1_000_000_000,
        limits.stressed_loss_max / 1_000_000_000,
        watch.breaches,
        watch.under_breach
    );
    assert!(watch.used_ppm > 0 && watch.used_ppm < limits.hard_ppm, "{}", watch.used_ppm);
    let stressed_max = limits.stressed_loss_max;
    assert!(watch.stressed > 0 && watch.stressed <= stressed_max, "{}", watch.stressed);
    // Attribution: the Greeks' parts are the options' inventory_mtm, to the last 1e-9.
    let causes = maker.option_causes(0);
    let options = config.instruments.iter().filter(|i| i.option().is_some());
    let moved: i128 = options.map(|i| maker.ledger().moved(i.id()).unwrap().0).sum();
    assert_eq!(causes.iter().map(|(_, amount)| amount).sum::<i128>(), moved);
    let (by_cause, total) = maker.pnl().unwrap();
    assert_eq!(Notional(by_cause.iter().map(|(_, amount)| amount.0).sum()), total);
    assert_eq!(again.option_causes(0), causes, "the journal explains the same");
    println!("{causes:?} {by_cause:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
