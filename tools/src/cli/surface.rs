//! `ballast surface`: volatility surfaces from a Lean `Data` folder: at one moment, every slice; or
//! through each recorded day, how well a surface fitted on alternate strikes reprices the others.
//!
//! Fed by the readers of recordings; feeds standard output. Main thread. Deliberately absent: any
//! formula.

use super::Failure;
use crate::recording::lean::BAR_NS;
use crate::recording::lean::chain::{DatedChain, OptionDay};
use ballast_engine::calibration::options::OptionType;
use ballast_engine::calibration::options::hold_out::{HoldOut, hold_out};
use ballast_engine::calibration::options::surface::{Chain, Slice, SurfaceError, fit_surface};
use ballast_engine::units::Nanos;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Quotes of an expiry below which none are held out: half of them could not say a smile.
const QUOTES_MIN: usize = 10;

/// Fits volatility surfaces to recorded option quotes.
#[derive(clap::Args)]
pub struct Surface {
    /// Lean's `Data` folder (with futureoption/, indexoption/, future/, index/ in it).
    #[arg(long)]
    tape: PathBuf,
    /// One moment, as 2020-01-06T15:00:00Z: prints its slices. Without it: held-out strikes through
    /// each day.
    #[arg(long)]
    at: Option<Timestamp>,
    /// Minutes between the moments of a day.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1440))]
    every: u64,
    /// One JSON document instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// A day's held-out strikes.
struct DayReport {
    root: String,
    date: String,
    slices: u64,
    without: u64,
    found: HoldOut,
}

impl Surface {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the folder holds no option quotes; [`Failure::Failed`] where a file
    /// is broken or the moment has no quotes.
    pub fn run(&self, out: impl Write) -> Result<(), Failure> {
        let days = OptionDay::load_all(&self.tape)
            .map_err(|error| Failure::Failed(format!("surface: {error}")))?;
        if days.is_empty() {
            let folder = self.tape.display();
            return Err(Failure::Usage(format!(
                "--tape {folder} holds no *_quote_*.zip under futureoption/ or indexoption/"
            )));
        }
        let written = match self.at {
            Some(at) => self.slices(&days, at, out)?,
            None => self.held_out(&days, out),
        };
        written.map_err(|error| Failure::Failed(format!("surface: {error}")))
    }

    /// The slices of one moment, a surface an underlying.
    fn slices(
        &self,
        days: &[OptionDay],
        at: Timestamp,
        mut out: impl Write,
    ) -> Result<std::io::Result<()>, Failure> {
        let moment = u64::try_from(at.as_nanosecond())
            .map(Nanos)
            .map_err(|_| Failure::Usage(format!("--at {at} is before 1970")))?;
        let mut roots: Vec<&str> = days.iter().map(|day| underlying(&day.root)).collect();
        roots.sort_unstable();
        roots.dedup();
        let mut document = Vec::new();
        for root in roots {
            let of_root = days.iter().filter(|day| underlying(&day.root) == root);
            let mut dated: Vec<DatedChain> = of_root.flat_map(|day| day.chains(moment)).collect();
            dated.sort_by_key(|dated| dated.expires_at);
            let chains: Vec<Chain> = dated.iter().map(|dated| dated.chain.clone()).collect();
            for (dated, slice) in dated.iter().zip(fit_surface(&chains)) {
                document.push(slice_value(root, dated, &slice));
            }
        }
        if document.is_empty() {
            let tape = self.tape.display();
            return Err(Failure::Failed(format!("surface: {tape} has no option quote at {at}")));
        }
        Ok(if self.json {
            writeln!(out, "{}", json!({"at": at.to_string(), "slices": document}))
        } else {
            document.iter().try_for_each(|slice| writeln!(out, "{}", line(slice)))
        })
    }

    /// Through each day, both halves of the strikes.
    fn held_out(&self, days: &[OptionDay], mut out: impl Write) -> std::io::Result<()> {
        let mut document = Vec::new();
        for day in days {
            let report = self.held_out_day(day);
            if self.json {
                document.push(json!({
                    "root": report.root, "date": report.date, "slices": report.slices,
                    "without_slice": report.without, "liquid": report.found.liquid,
                    "inside_spread": report.found.inside, "share": report.found.share(),
                }));
            } else {
                let DayReport { root, date, slices, without, found } = report;
                let share = found.share().map_or("none".into(), |s| format!("{:.1} %", 100.0 * s));
                writeln!(
                    out,
                    "{root} {date}: {slices} slices fitted on alternate strikes ({without} not: too few quotes), \
                     {} of {} liquid quotes of the other strikes inside their spread: {share}",
                    found.inside, found.liquid
                )?;
            }
        }
        if self.json {
            writeln!(out, "{}", json!({"every_minutes": self.every, "days": document}))?;
        }
        Ok(())
    }

    fn held_out_day(&self, day: &OptionDay) -> DayReport {
        let mut report = DayReport {
            root: day.root.clone(),
            date: day.date.to_string(),
            slices: 0,
            without: 0,
            found: HoldOut::default(),
        };
        let Some((from, to)) = day.span() else { return report };
        let mut at = from.plus(self.every * BAR_NS);
        while at <= to {
            for dated in day.chains(at) {
                if dated.chain.quotes.len() < QUOTES_MIN {
                    report.without += 2;
                    continue;
                }
                for odd in [false, true] {
                    match hold_out(&dated.chain, odd, None) {
                        Ok((_, found)) => {
                            report.slices += 1;
                            report.found = report.found.plus(found);
                        }
                        Err(_) => report.without += 1,
                    }
                }
            }
            at = at.plus(self.every * BAR_NS);
        }
        report
    }
}

/// SPX and its weeklies SPXW are one underlying.
fn underlying(root: &str) -> &str {
    root.trim_end_matches('w')
}

fn slice_value(root: &str, dated: &DatedChain, slice: &Result<Slice, SurfaceError>) -> Value {
    let head = json!({"underlying": root, "expiry": dated.expiry.to_string()});
    let mut value = head;
    let rest = match slice {
        Err(error) => json!({"error": error.to_string()}),
        Ok(slice) => {
            let svi = slice.svi();
            let left_out: Vec<Value> = slice
                .left_out
                .iter()
                .map(|(quote, reason)| {
                    let kind = if quote.option_type == OptionType::Call { "C" } else { "P" };
                    json!({"strike": quote.strike, "type": kind, "reason": reason.to_string()})
                })
                .collect();
            json!({
                "years": slice.years, "forward": slice.forward, "rate": slice.rate,
                "parity_forward": slice.parity.map(|parity| parity.forward),
                "index": dated.index, "quotes": slice.quotes_used, "left_out": left_out,
                "atm_volatility": slice.volatility(slice.forward),
                "rms_half_spreads": slice.fitted.rms,
                "svi": {"a": svi.a, "b": svi.b, "rho": svi.rho, "m": svi.m, "s": svi.s},
            })
        }
    };
    if let (Value::Object(value), Value::Object(rest)) = (&mut value, rest) {
        value.extend(rest);
    }
    value
}

/// One slice for people.
fn line(slice: &Value) -> String {
    let text = |key: &str| slice[key].as_str().unwrap_or_default().to_owned();
    let head = format!("{} {}", text("underlying"), text("expiry"));
    if let Some(error) = slice["error"].as_str() {
        return format!("{head}: no slice: {error}");
    }
    let number = |key: &str| slice[key].as_f64().unwrap_or(f64::NAN);
    format!(
        "{head}: forward {:.3}, rate {:.2} %, at the money {:.2} %, {} quotes used, {} left out, \
         fit {:.2} half-spreads",
        number("forward"),
        100.0 * number("rate"),
        100.0 * number("atm_volatility"),
        slice["quotes"],
        slice["left_out"].as_array().map_or(0, Vec::len),
        number("rms_half_spreads"),
    )
}
