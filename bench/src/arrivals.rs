//! Recorded inter-arrival times: from a file, or from the messages of a recorded market.
//!
//! Fed by `--arrivals FILE` and `--tape DIR`; feeds the schedules of what is measured under load.

use ballast::backtest::tape::AnyTape;
use ballast::config::ConfigFile;
use ballast::recording::Tape;
use std::fs;
use std::path::Path;

/// Nanoseconds, one a line.
pub fn of_file(file: &Path) -> Result<Vec<u64>, String> {
    let fault = |text: String| format!("{}: {text}", file.display());
    let text = fs::read_to_string(file).map_err(|error| fault(error.to_string()))?;
    let gaps: Vec<u64> = text
        .lines()
        .enumerate()
        .map(|(n, line)| {
            line.trim().parse().map_err(|_| {
                fault(format!("line {}: {line:?} is not a number of nanoseconds", n + 1))
            })
        })
        .collect::<Result<_, _>>()?;
    checked(gaps).map_err(fault)
}

/// Between the messages of the recording in `folder`, as the recorder received them, for its first
/// `duration_ns` or a little more.
pub fn of_tape(folder: &Path, duration_ns: u64) -> Result<Vec<u64>, String> {
    let fault = |text: String| format!("{}: {text}", folder.display());
    let config = ConfigFile::demo().and_then(|file| file.maker(1));
    let config = config.map_err(|error| fault(error.to_string()))?;
    let mut tape =
        AnyTape::recorded(folder, &config.instruments).map_err(|error| fault(error.to_string()))?;
    let (mut gaps, mut last, mut spent_ns) = (Vec::new(), None, 0);
    while spent_ns < duration_ns
        && let Some(event) = tape.next().map_err(|error| fault(error.to_string()))?
    {
        if event.last_in_message {
            let gap = event.at.since(last.unwrap_or(event.at));
            gaps.extend(last.replace(event.at).map(|_| gap));
            spent_ns += gap;
        }
    }
    checked(gaps).map_err(fault)
}

/// Played over and over they must take some time, and no more than there is.
fn checked(gaps: Vec<u64>) -> Result<Vec<u64>, String> {
    match gaps.iter().try_fold(0u64, |sum, gap| sum.checked_add(*gap)) {
        Some(0) => Err("holds no time; nanoseconds are needed, one a line".to_owned()),
        Some(_) => Ok(gaps),
        None => Err("holds more nanoseconds than there are in 584 years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_nanoseconds_and_some_time() {
        let file = std::env::temp_dir().join(format!("ballast-bench-gaps-{}", std::process::id()));
        let of = |text: &str| {
            fs::write(&file, text).unwrap();
            of_file(&file)
        };
        assert_eq!(of("5\n 7 \n"), Ok(vec![5, 7]));
        for (text, fault) in [
            ("5\nx\n", "line 2: \"x\" is not"),
            ("", "holds no time"),
            ("0\n0\n", "holds no time"),
            ("18446744073709551615\n1\n", "holds more"),
        ] {
            assert!(of(text).unwrap_err().contains(fault), "{text}");
        }
        fs::remove_file(&file).unwrap();
        assert!(of_file(&file).is_err());
    }

    #[test]
    fn a_recording_gives_the_gaps_between_its_messages() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hftbacktest");
        if !folder.is_dir() {
            println!("skipped: no recordings beside the checkout");
            return;
        }
        let gaps = of_tape(&folder, 1_000_000_000).unwrap();
        let whole: u64 = gaps.iter().sum();
        assert!(gaps.len() > 10 && whole >= 1_000_000_000, "{} gaps, {whole} ns", gaps.len());
        println!("{} messages in {whole} ns", gaps.len() + 1);
        assert!(of_tape(Path::new("/nowhere"), 1).is_err());
    }
}
