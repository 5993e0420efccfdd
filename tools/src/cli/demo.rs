//! `ballast demo`: a market maker quotes a market through real FIX sessions on loopback.

use super::Failure;
use super::outcome::{self, Ended, OutcomeArgs};
use super::progress_line::Line;
use crate::back_office::Silent;
use crate::backtest::tape::AnyTape;
use crate::backtest::window::{Moment, Window};
use crate::config::ConfigFile;
use crate::config::overrides::Overrides;
use crate::demo::{self, DemoOptions, DemoOutcome};
use crate::operator;
use crate::state_dir::StateDir;
use crate::venue::exchange::VenueOptions;
use crate::venue::fix_face::Speed;
use ballast_engine::units::Decimal;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

/// Whose fees are paid.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Fees {
    /// None, to see quoting and inventory alone.
    Zero,
    /// Those of the config: the venue's listed ones.
    Listed,
}

/// What to play, how fast, and what to write.
#[derive(Args)]
pub struct DemoArgs {
    /// A recording, file or folder, of any format that is known; a synthetic market where it is left out.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// Begin here: the tape's time, or so long after its first event, such as +90s.
    #[arg(long, value_parser = Moment::parse)]
    from: Option<Moment>,
    /// How many times faster than the tape's own time: a number, or max.
    #[arg(long, default_value = "10")]
    speed: String,
    /// How much of the tape to play, such as 60s or 5m; a synthetic market plays 120s by default.
    #[arg(long)]
    duration: Option<String>,
    /// Seed of the synthetic market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whose fees are paid.
    #[arg(long, value_enum, default_value_t = Fees::Zero)]
    fees: Fees,
    /// The maker's config; the one that is built in where it is left out.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the journal and the FIX stores are kept.
    #[arg(long, default_value = "ballast-run")]
    state_dir: PathBuf,
    #[command(flatten)]
    outcome: OutcomeArgs,
}

/// One way between maker and matching, and from the market to the maker.
const ORDER_LATENCY_NS: u64 = 1_000_000;
const FEED_LATENCY_NS: u64 = 500_000;
/// How much of a synthetic market is played unless it is said.
const SYNTHETIC_NS: u64 = 120_000_000_000;

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let speed = speed(&args.speed)?;
    let duration_ns = args.duration.as_deref().map(duration).transpose()?;
    let overrides = Overrides { no_fees: args.fees == Fees::Zero, ..Overrides::default() };
    let file = match &args.config {
        Some(path) => ConfigFile::read(path),
        None => ConfigFile::demo(),
    };
    let file = file.and_then(|file| file.changed(&overrides)).map_err(|error| usage(&error))?;
    let config = file.maker(1).map_err(|error| usage(&error))?;
    let tape = match &args.tape {
        Some(folder) => AnyTape::recorded(folder, &config.instruments),
        None => Ok(AnyTape::synthetic(&config.instruments, args.seed, None)),
    }
    .map_err(|error| failed(&error))?;
    let duration_ns = match args.tape {
        Some(_) => duration_ns,
        None => Some(duration_ns.unwrap_or(SYNTHETIC_NS)),
    };
    operator::start_log();
    operator::may_start(&file, &args.state_dir).map_err(|error| failed(&error))?;
    let state = StateDir::open(&args.state_dir).map_err(|error| failed(&error))?.with_own_venue();
    let options = DemoOptions {
        speed,
        duration_ns,
        venue: VenueOptions {
            order_latency_ns: ORDER_LATENCY_NS,
            feed_latency_ns: FEED_LATENCY_NS,
            ..VenueOptions::default()
        },
        progress: if args.outcome.json { Box::new(Silent) } else { Box::new(Line::new(&file)) },
        fix_log: args.outcome.fix_log.clone(),
    };
    let outcome = match args.from {
        None => demo::run(&file, &state, tape, options),
        Some(_) => {
            let window = Window::open(tape, args.from, None).map_err(|error| usage(&error))?;
            demo::run(&file, &state, window, options)
        }
    };
    let outcome = outcome.map_err(|error| failed(&error))?;
    if !demo::positions_agree(&config, &outcome) {
        return Err(Failure::Failed(
            "the maker's positions are not the venue's: this is a bug, keep the journal".into(),
        ));
    }
    tell(args, outcome)
}

fn tell(args: &DemoArgs, outcome: DemoOutcome) -> Result<(), Failure> {
    let DemoOutcome { file, remains, venue, journal } = outcome;
    let sim = json!({
        "orders_late": venue.face.requests_late,
        "waited_in_vain": venue.lapses,
        "tape_rows": venue.tape.rows,
        "tape_gaps": venue.tape.gaps,
        "tape_off_grid": venue.tape.off_grid,
    });
    let facts = vec![
        ("tape".to_owned(), tape_name(args)),
        ("fees".to_owned(), fees_name(args.fees).to_owned()),
        ("speed".to_owned(), args.speed.clone()),
    ];
    let ended = Ended {
        file: &file,
        remains,
        journal: &journal,
        title: "ballast demo",
        facts,
        tape_events: venue.tape.events,
        extra: vec![("venue", sim)],
    };
    outcome::tell(&args.outcome, ended)
}

fn tape_name(args: &DemoArgs) -> String {
    match &args.tape {
        Some(folder) => folder.display().to_string(),
        None => format!("synthetic market, seed {}", args.seed),
    }
}

fn fees_name(fees: Fees) -> &'static str {
    match fees {
        Fees::Zero => "none",
        Fees::Listed => "as the venue lists them",
    }
}

fn speed(text: &str) -> Result<Speed, Failure> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse() {
        Ok(times) if times > 0 => Ok(Speed::Times(times)),
        Ok(_) | Err(_) => Err(Failure::Usage(format!(
            "--speed {text}: a whole number above 0, such as 1 or 10, or max"
        ))),
    }
}

/// `60s`, `5m`, `1h`, or a plain number of seconds.
fn duration(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::Usage(format!("--duration {text}: a time such as 60s, 1.5m or 2h"));
    let (digits, unit) = match text.trim_end_matches(['s', 'm', 'h']) {
        digits if text.ends_with('m') => (digits, 60_000_000_000i128),
        digits if text.ends_with('h') => (digits, 3_600_000_000_000),
        digits => (digits, 1_000_000_000),
    };
    let number: Decimal = digits.parse().map_err(|_| wrong())?;
    let power = 10i128.pow(u32::from(number.scale));
    let nanos = i128::from(number.mantissa) * unit / power;
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).ok_or_else(wrong)
}
