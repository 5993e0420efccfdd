//! `ballast replay JOURNAL`: do the same inputs still give the same intents?
//!
//! Prints the SHA-256 over all intents of the replay, alone on the first line. Exit 0 where it is what
//! the run journaled; 1 with the first difference, where the journal is damaged, or where a snapshot beside it
//! is not what it replays to.

use super::Failure;
use crate::recovery::proof::{Looked, Proof, prove};
use crate::replay::{Difference, Replay};
use ballast_engine::event::OrderIntent;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// What `ballast replay` takes.
#[derive(Args)]
pub struct ReplayArgs {
    /// The journal of a run.
    journal: PathBuf,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Beside it, a second replay that is put into a snapshot and taken out of it again every so many inputs:
    /// a start from any of them would be the start from the beginning.
    #[arg(long, value_name = "INPUTS", value_parser = clap::value_parser!(u64).range(1..))]
    through_snapshots: Option<u64>,
}

/// Replays and prints.
///
/// # Errors
/// [`Failure::Failed`] where the replay differs or the journal cannot be replayed.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let proof = prove(&args.journal, args.through_snapshots)
        .map_err(|fault| Failure::Failed(fault.to_string()))?;
    if args.json {
        println!("{:#}", document(&proof));
    } else {
        print(&proof);
    }
    if proof.holds() { Ok(()) } else { Err(Failure::Failed(explanation(&proof))) }
}

fn print(proof: &Proof) {
    let found = &proof.replay;
    println!("{}", found.replayed);
    println!("{} inputs, {} intents", found.inputs, found.replayed_intents);
    if found.end.is_none() {
        println!("the run did not end in order; {} bytes are torn", found.torn_bytes);
    }
    for snapshot in &proof.snapshots {
        println!("{}", snapshot_text(snapshot));
    }
    if let Some(through) = proof.through.filter(|through| through.differs_at.is_none()) {
        let (count, bytes) = (through.snapshots, through.bytes_max);
        println!("and through {count} snapshots, the largest of {bytes} bytes");
    }
    if found.is_identical() {
        println!("identical to the journaled run");
    }
}

fn snapshot_text(Looked { path, outcome }: &Looked) -> String {
    match outcome {
        Ok(inputs) => format!("{}: is the state after {inputs} inputs", path.display()),
        Err(fault) => format!("{}: a start passes it over: {fault}", path.display()),
    }
}

fn document(proof: &Proof) -> serde_json::Value {
    let found = &proof.replay;
    let snapshot = |Looked { path, outcome }: &Looked| {
        let fault = outcome.as_ref().err().map(ToString::to_string);
        json!({"path": path, "inputs": outcome.as_ref().ok(), "fault": fault})
    };
    json!({
        "intents_sha256": found.replayed.to_string(),
        "journaled_sha256": found.journaled.to_string(),
        "inputs": found.inputs,
        "intents": found.replayed_intents,
        "journaled_intents": found.journaled_intents,
        "ended": found.end.is_some(),
        "torn_bytes": found.torn_bytes,
        "identical": found.is_identical(),
        "snapshots": proof.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
        "through_snapshots": proof.through.map(|through| json!({
            "snapshots": through.snapshots,
            "bytes_max": through.bytes_max,
            "differs_at_input": through.differs_at,
        })),
        "first_difference": found.difference.map(|d| json!({
            "input": d.cause,
            "now_ns": d.now.0,
            "journaled": d.journaled.map(|i| intent_text(&i)),
            "replayed": d.replayed.map(|i| intent_text(&i)),
        })),
    })
}

fn explanation(proof: &Proof) -> String {
    if !proof.replay.is_identical() {
        return difference_text(&proof.replay);
    }
    let wrong = proof.snapshots.iter().filter(|snapshot| snapshot.is_wrong()).map(snapshot_text);
    let through = proof
        .through
        .and_then(|through| through.differs_at)
        .map(|inputs| format!("through snapshots the maker is another one after {inputs} inputs"));
    wrong.chain(through).collect::<Vec<_>>().join("\n  ")
}

fn difference_text(found: &Replay) -> String {
    match found.difference {
        Some(Difference { cause, now, journaled, replayed }) => {
            let text = |intent: Option<OrderIntent>| {
                intent.map_or_else(|| "nothing more".to_string(), |intent| intent_text(&intent))
            };
            format!(
                "the replay differs first at input {cause} (maker time {} ns)\n  journaled: {}\n  \
                 replayed:  {}",
                now.0,
                text(journaled),
                text(replayed)
            )
        }
        None => format!(
            "the journal's end record does not match its records: {} inputs, {} intents, {}",
            found.inputs, found.journaled_intents, found.journaled
        ),
    }
}

/// An intent with its counts, as the maker decided it.
fn intent_text(intent: &OrderIntent) -> String {
    format!(
        "{:?} {:?} instrument {} {} lots at {} ticks, ClOrdID {} (was {}), {:?}",
        intent.action,
        intent.side,
        intent.instrument.0,
        intent.size.0,
        intent.price.0,
        intent.cl_ord_id.0,
        intent.orig_cl_ord_id.0,
        intent.time_in_force
    )
}
