//! What the demo promises over real TCP: fills, hedges, equal positions, no reject, and a journal
//! whose replay gives the same intents.

use ballast::back_office::Silent;
use ballast::backtest::tape::AnyTape;
use ballast::config::ConfigFile;
use ballast::config::overrides::Overrides;
use ballast::demo::{self, DemoOptions};
use ballast::state_dir::StateDir;
use ballast::venue::exchange::VenueOptions;
use ballast::venue::fix_face::Speed;

#[test]
fn fifteen_seconds_of_a_synthetic_market_over_real_fix() {
    let folder = std::env::temp_dir().join(format!("ballast-demo-{}", std::process::id()));
    let overrides = Overrides { no_fees: true, ..Overrides::default() };
    let file = ConfigFile::demo().unwrap().changed(&overrides).unwrap();
    let config = file.maker(1).unwrap();
    let state = StateDir::open(&folder).unwrap();
    let options = DemoOptions {
        speed: Speed::Max,
        duration_ns: Some(15_000_000_000),
        venue: VenueOptions {
            order_latency_ns: 1_000_000,
            feed_latency_ns: 500_000,
            ..VenueOptions::default()
        },
        progress: Box::new(Silent),
        fix_log: None,
    };
    let tape = AnyTape::synthetic(&config.instruments, 1, None);
    let mut outcome = demo::run(&file, &state, tape, options).unwrap();
    assert!(demo::positions_agree(&config, &outcome));
    let maker = outcome.remains.maker.take().unwrap();
    let counters = maker.counters();
    assert!(counters.fills >= 20, "{counters:?}");
    assert_eq!((counters.message_rejected, counters.unknown_orders), (0, 0));
    assert_eq!(maker.live_orders(), 0);
    let (causes, total) = maker.pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
    assert_eq!((outcome.remains.fix.rejects, outcome.remains.fix.resends), (0, 0));
    assert_eq!(outcome.venue.lapses, 0, "the venue never went on alone");
    let end = outcome.remains.office.take().unwrap().recorder.finish().unwrap();
    let proof = ballast::recovery::proof::prove(&outcome.journal, Some(5_000)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
    assert_eq!(proof.replay.replayed, end.intents_sha256);
    std::fs::remove_dir_all(&folder).unwrap();
}
