//! Lean's `margin_interest` files: when a venue paid funding, and at what rate.
//!
//! Fed by a folder of recordings; feeds the backtest with the operator's word on rates, a second before
//! each instant, so that the maker's own schedule charges it. A line is `20221213 08:00:00,-0.00022398`:
//! UTC, and the share of the value that longs pay. Cold path. Deliberately absent: instruments without
//! a funding schedule in the config (their files change nothing).

use ballast_engine::instrument::{Instrument, InstrumentKind};
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::Control;
use ballast_engine::units::{Decimal, FeeRate, Nanos};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// How long before an instant its rate is told.
const AHEAD_NS: u64 = 1_000_000_000;
/// Folders within folders that are looked into.
const DEPTH_MAX: u32 = 6;
/// The folder's name.
const FOLDER: &str = "margin_interest";

/// Every rate of every perpetual among `instruments`, oldest first. `venues` names the venue of each.
///
/// # Errors
/// A file that cannot be read or a line that is none, with file and line.
pub fn rates(
    folder: &Path,
    instruments: &[Instrument],
    venue_of: impl Fn(&Instrument) -> Option<String>,
) -> Result<VecDeque<(Nanos, Control)>, String> {
    let mut files = Vec::new();
    find(folder, 0, &mut files);
    files.sort();
    let mut told = Vec::new();
    for instrument in instruments {
        let mut fitting: Vec<_> = files.iter().filter(|file| is_of(instrument, file)).collect();
        let venue = venue_of(instrument).map(|venue| plain(&venue));
        let is_at = |file: &&PathBuf| venue.is_some() && venue_name(file) == venue;
        if fitting.iter().any(is_at) {
            fitting.retain(is_at);
        }
        // Several venues and none of them the config's: the first, as its books are.
        if let Some(file) = fitting.first() {
            read(file, instrument, &mut told)?;
        }
    }
    told.sort_by_key(|(at, _)| *at);
    Ok(told.into())
}

fn find(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let is_rates = folder.file_name().is_some_and(|name| name == FOLDER);
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth < DEPTH_MAX {
            find(&path, depth + 1, files);
        } else if is_rates && path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
}

/// Letters and digits, upper case.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// `…/binance/margin_interest/btcusd.csv` is Binance's.
fn venue_name(file: &Path) -> Option<String> {
    let venue = file.parent()?.parent()?.file_name()?;
    Some(plain(&venue.to_string_lossy()))
}

fn is_of(instrument: &Instrument, file: &Path) -> bool {
    let kind = instrument.spec().kind;
    let is_perpetual =
        matches!(kind, InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual);
    let symbol = plain(instrument.symbol());
    let tails = ["PERPETUAL", "PERP", "SWAP"];
    let core = tails.iter().find_map(|tail| symbol.strip_suffix(tail)).unwrap_or(&symbol);
    is_perpetual && file.file_stem().is_some_and(|stem| plain(&stem.to_string_lossy()) == core)
}

fn read(
    file: &Path,
    instrument: &Instrument,
    told: &mut Vec<(Nanos, Control)>,
) -> Result<(), String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: &str| format!("{name}: line {number}: {line:?}: {why}");
        let (time, rate) = line.split_once(',').ok_or_else(|| wrong("time,rate is wanted"))?;
        let time = jiff::civil::DateTime::strptime("%Y%m%d %H:%M:%S", time.trim());
        let time = time.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
        let time = time.map_err(|_| wrong("20221213 08:00:00 is wanted"))?;
        let at = u64::try_from(time.timestamp().as_nanosecond()).unwrap_or(0);
        let rate = Decimal::parse(rate.trim().as_bytes());
        let rate = rate.and_then(|rate| rate.count_of(Decimal { mantissa: 1, scale: 9 }));
        let rate = FeeRate(rate.map_err(|error| wrong(&error.to_string()))?);
        let act = Act::FundingRate { instrument: instrument.id(), rate };
        let control = Control::By { user: User::NOBODY, second: User::NOBODY, act };
        told.push((Nanos(at.saturating_sub(AHEAD_NS)), control));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn folder(name: &str, lines: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ballast-{name}-{}", std::process::id()));
        let inner = folder.join("cryptofuture/binance").join(FOLDER);
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("btcusd.csv"), lines).unwrap();
        folder
    }

    #[test]
    fn rates_are_told_a_second_before_their_instants() {
        let lines = "20221213 00:00:00,-0.0002016\n20221213 08:00:00,0.0001\n";
        let folder = folder("funding", lines);
        let file = ConfigFile::demo().unwrap();
        let told = rates(&folder, &file.table.instruments, |_| Some("Binance".into())).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let instrument = file.table.find("BTCUSD-PERP").unwrap().id();
        let acts: Vec<_> = told
            .iter()
            .map(|(at, control)| match control {
                Control::By { act: Act::FundingRate { instrument: of, rate }, .. } => {
                    assert_eq!(*of, instrument);
                    (at.0, rate.0)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let midnight = 1_670_889_600_000_000_000;
        let eight = midnight + 8 * 3_600_000_000_000;
        assert_eq!(acts, [(midnight - AHEAD_NS, -201_600), (eight - AHEAD_NS, 100_000)]);
    }

    #[test]
    fn a_line_that_is_none_is_told_with_file_and_number() {
        let folder = folder("funding-bad", "20221213 00:00:00,-0.0002016\nnoon,0.1\n");
        let file = ConfigFile::demo().unwrap();
        let fault = rates(&folder, &file.table.instruments, |_| None).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(fault.contains("btcusd.csv: line 2") && fault.contains("noon"), "{fault}");
    }
}
