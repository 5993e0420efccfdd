//! What the volatility surface promises on the recordings: every two-sided quote has a volatility
//! or a reason, every fit is free of arbitrage, and a surface fitted on alternate strikes reprices
//! the others inside their spread.

use ballast::recording::lean::BAR_NS;
use ballast::recording::lean::chain::OptionDay;
use ballast_engine::calibration::options::american::{American, Carry};
use ballast_engine::calibration::options::hold_out::{HoldOut, hold_out};
use ballast_engine::calibration::options::implied::{self, NoVolatility};
use ballast_engine::calibration::options::surface::fit_surface;
use ballast_engine::units::Nanos;
use std::path::{Path, PathBuf};

/// Lean's `Data` folder, where it is at hand: `BALLAST_LEAN`, or beside the repository.
fn days() -> Vec<OptionDay> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lean");
    let named = std::env::var_os("BALLAST_LEAN").map(PathBuf::from);
    let Some(folder) = named.into_iter().chain([beside]).find(|folder| folder.is_dir()) else {
        eprintln!("skipped: no recordings in ../shared/data/lean; BALLAST_LEAN can name them");
        return Vec::new();
    };
    OptionDay::load_all(&folder).expect("the recordings are readable")
}

/// Moments of a day, so many minutes apart.
fn moments(day: &OptionDay, minutes: u64) -> impl Iterator<Item = Nanos> {
    let (from, to) = day.span().expect("a day has quotes");
    (1..).map(move |i| from.plus(i * minutes * BAR_NS)).take_while(move |at| *at <= to)
}

#[test]
fn alternate_strikes_reprice_the_others_inside_their_spread() {
    for day in days().iter().filter(|day| day.root == "es" && day.date.day() == 6) {
        let (mut all, mut without) = (HoldOut::default(), 0u64);
        for at in moments(day, 30) {
            for dated in day.chains(at) {
                for odd in [false, true] {
                    match hold_out(&dated.chain, odd, None) {
                        Ok((slice, found)) => {
                            assert_eq!(slice.svi().check_butterfly(), Ok(()));
                            all = all.plus(found);
                        }
                        Err(_) => without += 1,
                    }
                }
            }
        }
        println!("ES {}: {all:?}, {:?}, {without} without a slice", day.date, all.share());
        // The market pauses between 16:00 and 17:00 in Chicago: no quote then is a day's worth.
        assert!(without <= 4, "{without} moments without a slice");
        assert!(all.liquid > 2_000, "{all:?}");
        assert!(all.share() >= Some(0.90), "{all:?}");
    }
}

#[test]
fn no_fit_on_the_recordings_holds_an_arbitrage() {
    let days = days();
    let mut slices = 0;
    for day in &days {
        for at in moments(day, 30) {
            // SPX and its weeklies are one underlying: one surface, in order of expiry.
            let same = days.iter().filter(|other| {
                other.date == day.date && other.root.trim_end_matches('w') == day.root
            });
            let mut dated: Vec<_> = same.flat_map(|other| other.chains(at)).collect();
            dated.sort_by_key(|chain| chain.expires_at);
            let chains: Vec<_> = dated.into_iter().map(|dated| dated.chain).collect();
            let surface: Vec<_> = fit_surface(&chains).into_iter().flatten().collect();
            for slice in &surface {
                assert_eq!(slice.svi().check_butterfly(), Ok(()), "{} {at:?}", day.root);
            }
            for pair in surface.windows(2) {
                assert_eq!(pair[1].svi().check_calendar(pair[0].svi()), Ok(()), "{at:?}");
            }
            slices += surface.len();
        }
    }
    println!("{slices} slices");
    assert!(days.is_empty() || slices > 90, "{slices} slices");
}

#[test]
fn every_two_sided_quote_has_a_volatility_or_a_reason() {
    for day in days().iter().filter(|day| day.root == "es") {
        let (mut quotes, mut solved, mut at_intrinsic) = (0u64, 0u64, 0u64);
        for (option, at, quote) in day.two_sided() {
            quotes += 1;
            let Some(future) = day.future(at) else { continue };
            let years = day.years_to(option.expiry, at).expect("not expired");
            let american = American {
                underlying: future,
                strike: quote.strike,
                years,
                volatility: 1.0,
                rate: 0.0155,
                carry: Carry::Future,
                option_type: quote.option_type,
            };
            match implied::american(quote.mid(), &american) {
                Ok(volatility) => {
                    solved += 1;
                    let back = American { volatility, ..american }.price().expect("a price");
                    assert!((back - quote.mid()).abs() < 1e-9 * quote.mid(), "{quote:?} {back}");
                }
                Err(NoVolatility::AtIntrinsic { .. }) => {
                    let intrinsic = quote.option_type.sign() * (future - quote.strike);
                    assert!(quote.mid() <= intrinsic, "{quote:?} at {future}");
                    at_intrinsic += 1;
                }
                Err(error) => panic!("{quote:?} at {future}: {error}"),
            }
        }
        println!("ES {}: {quotes} quotes, {solved} solved, {at_intrinsic} at intrinsic", day.date);
        if day.date.day() == 6 {
            // The count that the data's own README gives.
            assert_eq!(quotes, 94_529);
        }
        assert!(at_intrinsic * 1000 <= quotes, "{at_intrinsic} of {quotes} at intrinsic");
        assert!(solved * 100 >= quotes * 99, "{solved} of {quotes} solved");
    }
}

#[test]
fn a_folder_without_options_is_wrong_usage() {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ballast"));
        command.arg("surface").args(arguments).output().expect("the binary starts")
    };
    let output = run(&["--tape", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("futureoption/"));
    assert!(output.stdout.is_empty());
    assert_eq!(run(&["--tape", ".", "--at", "yesterday"]).status.code(), Some(2));
}
