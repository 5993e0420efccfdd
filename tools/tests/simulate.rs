//! What `ballast simulate` promises: one seed is one document, every fault leaves the invariants
//! standing, and a planted bug is seen. Longer runs: `tests/simulate/run`.

use ballast::simulate::faults::Fault;
use ballast::simulate::tap::PlantedBug;
use ballast::simulate::{Options, Outcome, run};
use std::process::Command;

fn simulate(seed: u64, days: f64, faults: &[Fault], bug: Option<PlantedBug>) -> Outcome {
    run(&Options { seed, days, faults: faults.to_vec(), bug }).expect("the world is whole")
}

#[test]
fn one_seed_is_one_document_to_the_byte_and_another_is_another() {
    let text = |seed| simulate(seed, 0.02, &Fault::ALL, None).document.to_string();
    let first = text(3);
    assert_eq!(first, text(3));
    assert_ne!(first, text(4));
}

/// 23: whoever had paused the quotes resumed them over a correction that nobody had put right. 59: after a
/// crash what only hedges waited to be confirmed and did not say so, so that nobody resumed it.
#[test]
fn seeds_that_once_failed_hold() {
    let outcome = simulate(23, 0.1, &Fault::ALL, None);
    assert_eq!(outcome.violation, None, "ballast simulate --seed 23 --days 0.1");
    let adjusted = outcome.document["operator_adjustments"].as_u64();
    assert!(adjusted > Some(1), "the correction is put right: {adjusted:?}");
    let outcome = simulate(59, 0.04, &Fault::ALL, None);
    assert_eq!(outcome.violation, None, "ballast simulate --seed 59 --days 0.04");
}

#[test]
fn the_invariants_hold_under_every_fault_in_a_slice_of_seeds() {
    for seed in 1..=6 {
        let outcome = simulate(seed, 0.04, &Fault::ALL, None);
        assert_eq!(outcome.violation, None, "ballast simulate --seed {seed} --days 0.04");
        let compared = outcome.document["accounts_compared"].as_u64();
        assert!(compared > Some(0), "seed {seed} compared nothing");
    }
}

#[test]
fn a_run_without_faults_trades_and_ends_with_agreeing_accounts() {
    let outcome = simulate(1, 0.05, &[], None);
    assert_eq!(outcome.violation, None);
    assert!(outcome.document["fills"].as_u64() > Some(10), "{}", outcome.document);
}

/// Which invariant sees the bug, without any fault but an operator's kill.
fn caught(bug: PlantedBug, faults: &[Fault]) -> Vec<&'static str> {
    let outcomes = (1..=3).map(|seed| simulate(seed, 0.06, faults, Some(bug)));
    outcomes.filter_map(|outcome| outcome.violation).map(|v| v.invariant).collect()
}

/// The maker itself sees it: it books what it is told, and halts with its account in doubt.
#[test]
fn a_fill_told_the_wrong_way_round_is_caught() {
    for seed in 1..=3 {
        let outcome = simulate(seed, 0.06, &[], Some(PlantedBug::WrongWayFill));
        assert_eq!(outcome.violation, None, "seed {seed}");
        let halts = outcome.document["states"]["Halted: inconsistent"].as_u64();
        assert!(halts > Some(0), "seed {seed}: {}", outcome.document["states"]);
    }
}

#[test]
fn a_lost_report_is_caught() {
    let invariants = caught(PlantedBug::LostReport, &[]);
    assert!(!invariants.is_empty());
    assert!(invariants.iter().all(|name| *name == "position_is_the_venues"), "{invariants:?}");
}

#[test]
fn an_order_past_its_limit_is_caught() {
    let invariants = caught(PlantedBug::MissedLimit, &[Fault::UnsolicitedCancels]);
    assert!(!invariants.is_empty());
    assert!(invariants.iter().all(|name| name.ends_with("_limit")), "{invariants:?}");
}

/// What is planted behind the rings is seen on the order session's bytes alone.
#[test]
fn an_id_used_twice_is_caught_also_behind_the_rings() {
    for (bug, faults) in [
        (PlantedBug::ReusedId, &[Fault::UnsolicitedCancels][..]),
        (PlantedBug::ReusedIdUnseen, &[]),
    ] {
        let invariants = caught(bug, faults);
        assert!(!invariants.is_empty(), "{bug:?}");
        assert!(invariants.iter().all(|name| *name == "no_cl_ord_id_twice"), "{invariants:?}");
    }
}

#[test]
fn an_order_after_the_end_is_caught_also_behind_the_rings() {
    for bug in [PlantedBug::OrderAfterKill, PlantedBug::OrderAfterKillUnseen] {
        assert_eq!(caught(bug, &[]), ["no_order_after_kill"; 3], "{bug:?}");
    }
}

/// The seeds are chosen: in each of them an operator kills, and in 13 and 26 the process dies in it.
#[test]
fn a_kill_holds_over_the_death_of_its_process_until_somebody_lifts_it() {
    let killed = |seed, bug| simulate(seed, 0.012, &[Fault::Kill], bug);
    for seed in [13, 26] {
        let outcome = killed(seed, None);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(outcome.document["kills_lifted"], 1, "{}", outcome.document);
        assert_eq!(outcome.document["processes"], 2, "{}", outcome.document);
    }
    for (seed, bug) in [
        (13, PlantedBug::KillForgotten),
        (26, PlantedBug::KillForgotten),
        (31, PlantedBug::OrderAfterKillUnseen),
        (44, PlantedBug::OrderAfterKillUnseen),
    ] {
        let violation = killed(seed, Some(bug)).violation;
        assert_eq!(violation.map(|v| v.invariant), Some("no_order_after_kill"), "seed {seed}");
    }
}

#[test]
fn a_missing_guard_against_spikes_is_caught() {
    let invariants = caught(PlantedBug::NoSpikeGuard, &[Fault::Spike]);
    assert!(!invariants.is_empty());
    let untrusted = "no_quote_on_untrusted_data";
    assert!(invariants.iter().all(|name| *name == untrusted), "{invariants:?}");
}

#[test]
fn quotes_that_stay_on_a_dead_book_are_caught() {
    let invariants = caught(PlantedBug::LostCancels, &[Fault::GappedMarket, Fault::StaleMarket]);
    assert!(!invariants.is_empty());
    let standing = "nothing_stands_on_untrusted_data";
    assert!(invariants.iter().all(|name| *name == standing), "{invariants:?}");
}

#[test]
fn an_order_that_reaches_our_own_other_side_is_caught() {
    let invariants = caught(PlantedBug::SelfMatch, &[Fault::UnsolicitedCancels]);
    assert!(!invariants.is_empty());
    assert!(invariants.iter().all(|name| *name == "no_self_match"), "{invariants:?}");
}

#[test]
fn a_gross_notional_past_its_limit_is_caught() {
    let outcome = simulate(3, 0.1, &[], Some(PlantedBug::NoGrossLimit));
    assert_eq!(outcome.violation.map(|v| v.invariant), Some("gross_notional_limit"));
    let outcome = simulate(3, 0.1, &[], None);
    assert_eq!(outcome.violation, None, "the same with the limit");
}

#[test]
fn an_alert_that_nobody_is_told_is_caught() {
    let invariants = caught(PlantedBug::LostAlerts, &[Fault::VenueOutage, Fault::HalfOpen]);
    assert!(!invariants.is_empty());
    assert!(invariants.iter().all(|name| *name == "alerted_within_five_seconds"), "{invariants:?}");
}

#[test]
fn quoting_that_does_not_go_on_after_the_faults_is_caught() {
    assert_eq!(caught(PlantedBug::DeafFeed, &[]), ["quoting_resumes"; 3]);
}

#[test]
fn a_cause_of_the_pnl_that_is_counted_wrong_is_caught() {
    assert_eq!(caught(PlantedBug::MiscountedPnl, &[]), ["pnl_causes_sum"; 3]);
}

#[test]
fn a_torn_journal_is_caught() {
    assert_eq!(caught(PlantedBug::TornJournal, &[]), ["journal_replays"; 3]);
}

#[test]
fn a_disk_that_fails_ends_the_run_in_order_and_the_next_goes_on_from_what_it_held() {
    let failing = |seed: &u64| {
        let outcome = simulate(*seed, 0.02, &[Fault::JournalFails], None);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let has_failed = outcome.document["episodes"]["journal_fails"] == 1;
        let processes = 1 + u64::from(has_failed);
        assert_eq!(outcome.document["processes"], processes, "seed {seed}: {}", outcome.document);
        has_failed
    };
    assert!((1..=24).filter(failing).count() >= 1, "one run of eight has it");
}

/// The document of a run of some faults in which nothing is violated. The seeds of these short runs are
/// chosen: in each of them what the test is of happens.
fn document(seed: u64, faults: &[Fault]) -> serde_json::Value {
    let outcome = simulate(seed, 0.03, faults, None);
    assert_eq!(outcome.violation, None, "seed {seed} of {faults:?}");
    outcome.document
}

#[test]
fn a_process_that_dies_at_any_step_goes_on_where_it_was() {
    for seed in [1, 3] {
        let document = document(seed, &[Fault::ProcessKill, Fault::ClockJump]);
        assert!(document["processes"].as_u64() > Some(1), "{document}");
        let told_again = document["recovered"]["messages_told_again"].as_u64();
        assert!(
            told_again > Some(0),
            "the journal did not hold all that the store did: {document}"
        );
    }
}

#[test]
fn a_config_that_is_reloaded_begins_with_nothing_in_doubt() {
    let document = document(2, &[Fault::ConfigReload]);
    assert_eq!(document["recovered"]["orders_in_doubt"], 0, "{document}");
    assert_eq!(document["processes"], 2, "{document}");
}

#[test]
fn a_venue_that_restarts_with_its_numbers_or_without_is_found_out() {
    let restarted = document(2, &[Fault::VenueRestart]);
    assert_eq!(restarted["episodes"]["venue_restart"], 2, "{restarted}");
    let forgotten = document(3, &[Fault::VenueForgets]);
    assert!(forgotten["states"]["Halted: venue_forgot"].as_u64() > Some(0), "{forgotten}");
}

#[test]
fn trades_undone_late_and_too_large_end_in_accounts_that_agree() {
    let amended = document(2, &[Fault::TradeBust, Fault::TradeCorrection]);
    assert_eq!(amended["states"]["Halted: trade_amended"], 2, "{amended}");
    let overfilled = document(4, &[Fault::Overfill]);
    assert!(overfilled["states"]["Halted: overfill"].as_u64() > Some(0), "{overfilled}");
    let late = document(7, &[Fault::LateFills]);
    assert!(late["episodes"]["late_fills"].as_u64() > Some(0), "{late}");
}

#[test]
fn what_a_venue_sends_again_unasked_changes_nothing() {
    let again = document(3, &[Fault::PossDup]);
    assert!(again["episodes"]["poss_dup"].as_u64() > Some(0), "{again}");
    assert!(again["fills"].as_u64() > Some(0), "{again}");
}

#[test]
fn a_venue_that_does_not_read_leaves_our_writes_no_room_and_nothing_is_lost() {
    let slow = document(2, &[Fault::SlowVenue]);
    assert!(slow["episodes"]["slow_venue"].as_u64() > Some(0), "{slow}");
    assert!(slow["writes_refused"].as_u64() > Some(0), "{slow}");
    assert!(slow["fills"].as_u64() > Some(0), "{slow}");
}

#[test]
fn an_unknown_fault_is_a_usage_error_that_lists_them() {
    let ballast = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["simulate", "--seed", "1", "--faults", "gremlins"])
        .output()
        .expect("the binary runs");
    assert_eq!(ballast.status.code(), Some(2));
    let text = String::from_utf8_lossy(&ballast.stderr);
    assert!(text.contains("gremlins") && text.contains("half_open"), "{text}");
}

#[test]
fn the_command_prints_one_document_and_its_speed_elsewhere() {
    let ballast = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["simulate", "--seed", "2", "--days", "0.005", "--faults", "none", "--json"])
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&ballast.stdout);
    let document: serde_json::Value = serde_json::from_str(&text).expect("one JSON document");
    assert_eq!(document["ok"], true, "{text}");
    assert!(String::from_utf8_lossy(&ballast.stderr).contains("simulated hours"));
}
