//! `ballast journal JOURNAL`: what happened, for people or programs.
//!
//! Reads a journal record by record; prints orders, operators' acts, sessions and changes of state, a line each, with the
//! symbols and digits of the journal's own config. Market data and timers are counted; `--market` prints
//! them too. A damaged journal is printed up to the damage, which then is the error (exit 1).

use super::Failure;
use crate::config::ConfigFile;
use crate::config::instruments::InstrumentTable;
use crate::operator::words;
use ballast_engine::event::{InstrumentId, MarketUpdate, OrderEvent, OrderIntent, OrderUpdate};
use ballast_engine::instrument::Instrument;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::snapshot::{self, Snapshot, SnapshotFault};
use ballast_engine::maker::input::Control;
use ballast_engine::units::{Lots, Nanos, Ticks};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// What `ballast journal` takes.
#[derive(Args)]
pub struct JournalArgs {
    /// The journal of a run.
    journal: PathBuf,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Market data and timers as well.
    #[arg(long)]
    market: bool,
}

/// Counts into numbers with names, where the journal's config can be read.
struct Names(InstrumentTable);

impl Names {
    fn of(header: &Header) -> Names {
        let file = ConfigFile::parse("journal", header.config.clone());
        Names(file.map(|file| file.table).unwrap_or_default())
    }

    fn find(&self, id: InstrumentId) -> Option<&Instrument> {
        self.0.instruments.get(usize::from(id.0))
    }

    fn symbol(&self, id: InstrumentId) -> String {
        self.find(id).map_or_else(|| format!("#{}", id.0), |i| i.symbol().to_string())
    }

    fn price(&self, id: InstrumentId, price: Ticks) -> String {
        self.find(id).map_or_else(|| format!("{} ticks", price.0), |i| i.price_text(price))
    }

    fn size(&self, id: InstrumentId, size: Lots) -> String {
        self.find(id).map_or_else(|| format!("{} lots", size.0), |i| i.size_text(size))
    }
}

/// One record, told: what it is and the details.
struct Told {
    kind: &'static str,
    symbol: String,
    text: String,
}

/// Prints a journal.
///
/// # Errors
/// [`Failure::Failed`] where it cannot be opened or is damaged, after everything before the damage.
pub fn run(args: &JournalArgs) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = print(args, &mut out);
    let flushed = out.flush().map_err(|e| Failure::Failed(format!("standard output: {e}")));
    outcome.and(flushed)
}

fn print(args: &JournalArgs, out: &mut impl Write) -> Result<(), Failure> {
    let failed = |text: String| Failure::Failed(text);
    let broken = |error: io::Error| Failure::Failed(format!("standard output: {error}"));
    let mut reader =
        JournalReader::open(&args.journal).map_err(|fault| failed(fault.to_string()))?;
    let names = Names::of(reader.header());
    start(args, reader.header(), out).map_err(broken)?;
    let (mut inputs, mut intents, mut printed) = (0u64, 0u64, 0u64);
    let mut now = Nanos(0);
    let mut fault = None;
    for next in reader.by_ref() {
        let record = match next {
            Ok(record) => record,
            Err(found) => {
                fault = Some(found.to_string());
                break;
            }
        };
        if let Some((_, at, _)) = record.input() {
            inputs += 1;
            now = at;
        }
        intents += u64::from(matches!(record, Record::Intent { .. }));
        let is_market = matches!(record, Record::Market { .. } | Record::Timer { .. });
        if (!is_market || args.market)
            && let Some((number, told)) = tell(&names, &record)
        {
            line(args.json, printed, now, number, &told, out).map_err(broken)?;
            printed += 1;
        }
    }
    let end = reader.end().map(|end| end.intents_sha256.to_string());
    let snapshots = snapshot::beside(&args.journal);
    if args.json {
        let snapshots: Vec<Value> = snapshots.iter().rev().map(snapshot_value).collect();
        let tail = json!({
            "inputs": inputs,
            "intents": intents,
            "intents_sha256": end,
            "fault": fault,
            "snapshots": snapshots,
        });
        let tail = tail.to_string();
        write!(out, "\n],{}\n", tail.trim_start_matches('{')).map_err(broken)?;
    } else {
        let end = end.map_or("no end record: the run died".to_string(), |sha| {
            format!("ended in order, SHA-256 over all intents {sha}")
        });
        writeln!(out, "{inputs} inputs, {intents} intents; {end}").map_err(broken)?;
        for found in snapshots.iter().rev() {
            writeln!(out, "{}", snapshot_text(found)).map_err(broken)?;
        }
    }
    fault.map_or(Ok(()), |fault| Err(Failure::Failed(fault)))
}

/// A file beside the journal, and what it is.
type Beside = (PathBuf, Result<Snapshot, SnapshotFault>);

fn snapshot_text((path, found): &Beside) -> String {
    let path = path.display();
    match found {
        Ok(found) => format!(
            "{path}: after {} inputs, at {}, by Ballast {}",
            found.inputs,
            time_text(found.at),
            found.binary
        ),
        Err(fault) => format!("{path}: {fault}"),
    }
}

fn snapshot_value((path, found): &Beside) -> Value {
    match found {
        Ok(found) => json!({
            "path": path, "inputs": found.inputs, "now_ns": found.at.0, "binary": found.binary,
        }),
        Err(fault) => json!({"path": path, "fault": fault.to_string()}),
    }
}

fn start(args: &JournalArgs, header: &Header, out: &mut impl Write) -> io::Result<()> {
    let started = time_text(header.started);
    if args.json {
        let head = json!({
            "epoch": header.epoch,
            "started": started,
            "binary": header.binary,
            "config_sha256": header.config_sha().to_string(),
        });
        let head = head.to_string();
        return write!(out, "{},\"records\":[", head.trim_end_matches('}'));
    }
    writeln!(
        out,
        "run {} started {started}, Ballast {}, config SHA-256 {}",
        header.epoch,
        header.binary,
        header.config_sha()
    )
}

fn line(
    is_json: bool,
    printed: u64,
    now: Nanos,
    number: u64,
    told: &Told,
    out: &mut impl Write,
) -> io::Result<()> {
    let Told { kind, symbol, text } = told;
    if is_json {
        let record: Value = json!({
            "input": number, "now_ns": now.0, "kind": kind, "symbol": symbol, "text": text,
        });
        return write!(out, "{}\n{record}", if printed > 0 { "," } else { "" });
    }
    writeln!(out, "{}  {number:>9}  {kind:<8} {symbol:<14} {text}", time_text(now))
}

fn time_text(at: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into())
        .map_or_else(|_| format!("{} ns", at.0), |at| format!("{at:.9}"))
}

/// What a record says; nothing for the end record, which the last line tells.
fn tell(names: &Names, record: &Record) -> Option<(u64, Told)> {
    let told = |kind, symbol, text| Told { kind, symbol, text };
    Some(match *record {
        Record::Market { number, event, .. } => {
            let id = event.instrument;
            let text = market_text(names, id, event.update);
            (number, told("market", names.symbol(id), text))
        }
        Record::Order { number, event, .. } => {
            let symbol = names.symbol(event.instrument);
            (number, told("venue", symbol, order_text(names, &event)))
        }
        Record::Control { number, control, .. } => {
            let (symbol, text) = match control {
                Control::Pause(id) => (names.symbol(id), "pause".to_string()),
                Control::Resume(id) => (names.symbol(id), "resume".into()),
                Control::Kill => (String::new(), "kill: cancel everything, no new order".into()),
                Control::Shutdown => {
                    (String::new(), "shutdown: cancel everything, end in order".into())
                }
                Control::Parameters(parameters) => {
                    let text = format!("refitted: {:?}", parameters.coefficients);
                    (names.symbol(parameters.instrument), text)
                }
                Control::Skew(row) => {
                    (names.symbol(row.instrument), "covariance: its row of skews".to_owned())
                }
                Control::Collateral(view) => (String::new(), format!("collateral: {view:?}")),
                Control::Firm(view) => (String::new(), format!("the firm's others: {view:?}")),
                Control::MicroPrice(update) => {
                    let text = format!("refitted micro-price: {:?}", update.leans);
                    (names.symbol(update.instrument), text)
                }
                Control::Greeks(refreshed) => {
                    (names.symbol(refreshed.instrument), format!("Greeks: {:?}", refreshed.greeks))
                }
                Control::GreekSpan(span) => {
                    (names.symbol(span.instrument), format!("Greeks may move by {:?}", span.span))
                }
                Control::HedgeRow(update) => {
                    (names.symbol(update.quoted), format!("derived band, row {}", update.place))
                }
                Control::HedgeMix(update) => (String::new(), format!("hedge ratios: {update:?}")),
                Control::By { user, second, act } => {
                    (String::new(), words::act_by(&names.0, user, second, &act))
                }
            };
            (number, told("operator", symbol, text))
        }
        Record::Timer { number, .. } => (number, told("timer", String::new(), String::new())),
        Record::Intent { cause, intent } => {
            (cause, told("intent", names.symbol(intent.instrument), intent_text(names, &intent)))
        }
        Record::State { cause, instrument, state, reason } => {
            let text = format!("{} ({})", state.name(), reason.name());
            (cause, told("state", names.symbol(instrument), text))
        }
        Record::End(_) => return None,
    })
}

fn market_text(names: &Names, id: InstrumentId, update: MarketUpdate) -> String {
    match update {
        MarketUpdate::Level { side, price, size } => {
            format!("{side:?} level {}: {}", names.price(id, price), names.size(id, size))
        }
        MarketUpdate::Trade { aggressor, price, size } => {
            format!("trade, {aggressor:?} {} at {}", names.size(id, size), names.price(id, price))
        }
        MarketUpdate::Reset => "reset: whole levels follow".into(),
        MarketUpdate::Gap => "gap: not to be believed until a reset".into(),
    }
}

fn intent_text(names: &Names, intent: &OrderIntent) -> String {
    let id = intent.instrument;
    let was = match intent.orig_cl_ord_id.0 {
        0 => String::new(),
        orig => format!(" for {orig}"),
    };
    format!(
        "{:?} {:?} {} at {} {:?}, order {}{was}",
        intent.action,
        intent.side,
        names.size(id, intent.size),
        names.price(id, intent.price),
        intent.time_in_force,
        intent.cl_ord_id.0
    )
}

fn order_text(names: &Names, event: &OrderEvent) -> String {
    let id = event.instrument;
    let (size, price) = (|lots| names.size(id, lots), |ticks| names.price(id, ticks));
    let text = match event.update {
        OrderUpdate::SessionUp => return format!("session of venue {} is up", event.venue.0),
        OrderUpdate::SessionReconciling => {
            return format!("session of venue {} is logged on and reconciles", event.venue.0);
        }
        OrderUpdate::SessionDown => return format!("session of venue {} is down", event.venue.0),
        OrderUpdate::Pending => "pending".into(),
        OrderUpdate::New { leaves_qty } => format!("working, leaves {}", size(leaves_qty)),
        OrderUpdate::Fill { side, last_px, last_qty, leaves_qty, liquidity, exec_id, .. } => {
            format!(
                "{side:?} {} at {} as {liquidity:?}, leaves {}, execution {}",
                size(last_qty),
                price(last_px),
                size(leaves_qty),
                exec_id.0
            )
        }
        OrderUpdate::Replaced { price: to, leaves_qty } => {
            format!("replaced, now {} at {}", size(leaves_qty), price(to))
        }
        OrderUpdate::Restated { price: to, leaves_qty } => {
            format!("restated unasked, now {} at {}", size(leaves_qty), price(to))
        }
        OrderUpdate::Status { is_gone, cum_qty, leaves_qty } => format!(
            "status: {}, filled {}, leaves {}",
            if is_gone { "gone" } else { "working" },
            size(cum_qty),
            size(leaves_qty)
        ),
        OrderUpdate::TradeCorrected { ref_exec_id, last_px, last_qty, .. } => format!(
            "execution {} was really {} at {}",
            ref_exec_id.0,
            size(last_qty),
            price(last_px)
        ),
        OrderUpdate::TradeCanceled { ref_exec_id, .. } => {
            format!("execution {} never was", ref_exec_id.0)
        }
        OrderUpdate::Canceled { cum_qty } => format!("canceled, filled {}", size(cum_qty)),
        OrderUpdate::Rejected { reason } => format!("rejected, OrdRejReason {reason}"),
        OrderUpdate::CancelRejected { reason, is_gone } => format!(
            "cancel or replace refused, CxlRejReason {reason}{}",
            if is_gone { "; the order is gone" } else { "" }
        ),
        OrderUpdate::MessageRejected { reason } => format!("message rejected, reason {reason}"),
        OrderUpdate::Unsent => "never sent".into(),
        OrderUpdate::Position { lots } => format!("position {}", lots.0),
        OrderUpdate::ContractDiffers => {
            "a contract is worth something else than the config says".into()
        }
        OrderUpdate::SessionHalted { fault } => format!("session given up: {fault:?}"),
    };
    format!("{text}, order {}", event.cl_ord_id.0)
}
