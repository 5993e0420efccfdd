//! What the volatility surface promises on the recordings: every two-sided quote has a volatility
//! or a reason, every fit is free of arbitrage, and a surface fitted on alternate strikes reprices
//! the others inside their spread.

use ballast::recording::lean::BAR_NS;
use ballast::recording::lean::chain::OptionDay;
use ballast_engine::calibration::options::american::{American, Carry};
use ballast_engine::calibration::options::hold_out::{HoldOut, hold_out};
use ballast_engine::calibration::options::implied::{self, NoVolatility};
use ballast_engine::calibration::options::surface::fit_surface;
use ballast_engine::calibration::options::{Black76, InverseOption, OptionType};
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
    let (mut slices, mut lost) = (0, Vec::new());
    for day in &days {
        for at in moments(day, 30) {
            // SPX and its weeklies are one underlying: one surface, in order of expiry.
            let same = days.iter().filter(|other| {
                other.date == day.date && other.root.trim_end_matches('w') == day.root
            });
            let mut dated: Vec<_> = same.flat_map(|other| other.chains(at)).collect();
            dated.sort_by_key(|chain| chain.expires_at);
            let chains: Vec<_> = dated.into_iter().map(|dated| dated.chain).collect();
            let fitted = fit_surface(&chains);
            let why = fitted.iter().filter_map(|slice| slice.as_ref().err());
            lost.extend(why.map(|error| format!("{} at {at:?}: {error}", day.root)));
            let surface: Vec<_> = fitted.into_iter().flatten().collect();
            for slice in &surface {
                assert_eq!(slice.svi().check_butterfly(), Ok(()), "{} {at:?}", day.root);
            }
            for pair in surface.windows(2) {
                assert_eq!(pair[1].svi().check_calendar(pair[0].svi()), Ok(()), "{at:?}");
            }
            slices += surface.len();
        }
    }
    println!("{slices} slices, without one: {lost:#?}");
    assert!(days.is_empty() || slices > 90, "{slices} slices");
    assert!(lost.iter().all(|told| !told.contains("arbitrage")), "{lost:#?}");
}

#[test]
fn every_two_sided_quote_has_a_volatility_or_a_reason() {
    for day in days().iter().filter(|day| day.root == "es") {
        let (mut quotes, mut solved, mut at_intrinsic, mut no_future) = (0u64, 0u64, 0u64, 0u64);
        for (option, at, quote) in day.two_sided() {
            quotes += 1;
            let Some(future) = day.future(at) else {
                no_future += 1;
                continue;
            };
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
        println!(
            "ES {}: {quotes} quotes, {solved} solved, {at_intrinsic} at intrinsic, {no_future} with no \
             future quoted",
            day.date
        );
        assert_eq!(solved + at_intrinsic + no_future, quotes);
        if day.date.day() == 6 {
            // The count that the data's own README gives.
            assert_eq!(quotes, 94_529);
        }
        assert!(at_intrinsic * 1000 <= quotes, "{at_intrinsic} of {quotes} at intrinsic");
        assert!(solved * 100 >= quotes * 99, "{solved} of {quotes} solved");
    }
}

/// SPX and its weeklies, minute by minute (every tenth in the suite, `BALLAST_WHOLE_DAY=1` all): each
/// two-sided quote that is believed then, on parity's forward.
#[test]
fn every_two_sided_quote_of_the_index_has_a_volatility_or_a_reason() {
    let every = if std::env::var_os("BALLAST_WHOLE_DAY").is_some() { 1 } else { 10 };
    for day in days().iter().filter(|day| day.root.starts_with("spx")) {
        let (mut quotes, mut solved, mut reasons) = (0u64, 0u64, [0u64; 3]);
        for chain in moments(day, every).flat_map(|at| day.chains(at)).map(|dated| dated.chain) {
            let two_sided = chain.quotes.iter().filter(|quote| quote.is_two_sided());
            let Ok((forward, rate)) = chain.fit(None).map(|slice| (slice.forward, slice.rate))
            else {
                let count = two_sided.count() as u64;
                (quotes, reasons[0]) = (quotes + count, reasons[0] + count);
                continue;
            };
            for quote in two_sided {
                quotes += 1;
                let (strike, option_type, mid) = (quote.strike, quote.option_type, quote.mid());
                match implied::black76(mid, forward, strike, chain.years, rate, option_type) {
                    Ok(volatility) => {
                        solved += 1;
                        let years = chain.years;
                        let back =
                            Black76 { forward, strike, years, volatility, rate, option_type };
                        let back = back.price().expect("a price");
                        assert!((back - mid).abs() < 1e-9 * mid, "{quote:?} {back}");
                    }
                    Err(NoVolatility::AtIntrinsic { intrinsic, .. }) => {
                        assert!(mid <= intrinsic, "{quote:?} at {forward}");
                        reasons[1] += 1;
                    }
                    Err(NoVolatility::TimeValueLost { time_value }) => {
                        assert!(time_value < 1e-12 * mid, "{quote:?} at {forward}");
                        reasons[2] += 1;
                    }
                    Err(error) => panic!("{quote:?} at {forward}: {error}"),
                }
            }
        }
        let [no_forward, at_intrinsic, lost] = reasons;
        println!(
            "{} {}: {quotes} quotes, {solved} solved, {no_forward} without a forward, {at_intrinsic} \
             at intrinsic, {lost} with a time value lost in rounding",
            day.root, day.date
        );
        assert_eq!(solved + no_forward + at_intrinsic + lost, quotes);
        assert!(quotes > 100, "{quotes}");
    }
}

/// A Deribit option's strike, type and years that are left at a time in ms.
fn deribit_option(name: &str, at_ms: f64) -> Option<(f64, OptionType, f64)> {
    let [_, expiry, strike, right] = name.split('-').collect::<Vec<_>>()[..] else { return None };
    let (day, rest) = expiry.split_at(expiry.len() - 5);
    let month =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
            .iter()
            .position(|month| *month == &rest[..3])?;
    let (year, month) = (2000 + rest[3..].parse::<i16>().ok()?, i8::try_from(month + 1).ok()?);
    let expires = jiff::civil::date(year, month, day.parse().ok()?).at(8, 0, 0, 0);
    let expires = expires.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let years = (expires.as_millisecond() as f64 - at_ms) / (365.0 * 86_400_000.0);
    let option_type = if right == "C" { OptionType::Call } else { OptionType::Put };
    Some((strike.parse().ok()?, option_type, years))
}

/// Deribit's own volatilities of bid, ask and mark beside ours of its prices.
#[test]
fn every_quote_of_the_coin_options_has_the_venues_volatility() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cryptofeed");
    let Ok(text) = std::fs::read_to_string(path.join("DERIBIT.ws.1.0")) else {
        eprintln!("skipped: no {}", path.display());
        return;
    };
    let (mut asked, mut solved, mut worst, mut at_intrinsic) = (0u64, 0u64, 0.0f64, 0u64);
    for line in text.lines() {
        let json = line.split_once(": ").map_or("", |(_, json)| json);
        let message: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let told = &message["params"]["data"];
        let number = |key: &str| told[key].as_f64().unwrap_or(0.0);
        let name = told["instrument_name"].as_str().unwrap_or_default();
        let Some((strike, option_type, years)) = deribit_option(name, number("timestamp")) else {
            continue;
        };
        if told["mark_iv"].is_null() {
            continue;
        }
        let forward = number("underlying_price");
        for (price, venue) in
            [("best_bid_price", "bid_iv"), ("best_ask_price", "ask_iv"), ("mark_price", "mark_iv")]
        {
            let (coin, venue) = (number(price), number(venue));
            if coin == 0.0 {
                continue;
            }
            asked += 1;
            match implied::black76(coin * forward, forward, strike, years, 0.0, option_type) {
                Ok(volatility) => {
                    solved += 1;
                    let option = InverseOption { forward, strike, years, volatility, option_type };
                    let greeks = option.greeks().expect("a value");
                    assert!((greeks.coin_price - coin).abs() < 1e-12, "{name} {price} {coin}");
                    // A mark has a last digit, and is of a forward a moment from the one beside it: a hundredth
                    // of a percent, which deep in the money is much of a volatility.
                    let moved = 1.5e-4 * greeks.premium_adjusted_delta.abs();
                    let digit = if price == "mark_price" { 1e-6 } else { 0.0 };
                    let allowed = 0.02 + 100.0 * (moved + digit) / greeks.vega_coin;
                    let error = (100.0 * volatility - venue).abs();
                    if venue > 0.0 {
                        worst = if price == "mark_price" { worst } else { worst.max(error) };
                        assert!(error < allowed, "{name} {price} {coin}: {volatility} {venue}");
                    }
                }
                Err(NoVolatility::AtIntrinsic { .. }) => {
                    let intrinsic = (option_type.sign() * (forward - strike)).max(0.0) / forward;
                    assert!(coin <= intrinsic, "{name} {coin} {intrinsic}");
                    at_intrinsic += 1;
                }
                Err(error) => panic!("{name} {price} {coin} at {forward}: {error}"),
            }
        }
    }
    println!(
        "Deribit: {asked} prices, {solved} solved, {at_intrinsic} at intrinsic; volatilities of quotes at \
         most {worst:.3} points from the venue's"
    );
    assert!(asked > 200 && solved + at_intrinsic == asked, "{solved} of {asked}");
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
