//! `ballast replay JOURNAL`: do the same inputs still give the same intents?
//!
//! Prints the SHA-256 over all intents of the replay, alone on the first line. Exit 0 where it is what
//! the run journaled; 1 with the first difference, or where the journal is damaged.

use super::Failure;
use crate::replay::{Difference, Replay, replay};
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
}

/// Replays and prints.
///
/// # Errors
/// [`Failure::Failed`] where the replay differs or the journal cannot be replayed.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let found = replay(&args.journal).map_err(|fault| Failure::Failed(fault.to_string()))?;
    let is_identical = found.is_identical();
    if args.json {
        println!("{:#}", document(&found));
    } else {
        println!("{}", found.replayed);
        println!("{} inputs, {} intents", found.inputs, found.replayed_intents);
        if found.end.is_none() {
            println!("the run did not end in order; {} bytes are torn", found.torn_bytes);
        }
        if is_identical {
            println!("identical to the journaled run");
        }
    }
    if is_identical { Ok(()) } else { Err(Failure::Failed(explanation(&found))) }
}

fn document(found: &Replay) -> serde_json::Value {
    json!({
        "intents_sha256": found.replayed.to_string(),
        "journaled_sha256": found.journaled.to_string(),
        "inputs": found.inputs,
        "intents": found.replayed_intents,
        "journaled_intents": found.journaled_intents,
        "ended": found.end.is_some(),
        "torn_bytes": found.torn_bytes,
        "identical": found.is_identical(),
        "first_difference": found.difference.map(|d| json!({
            "input": d.cause,
            "now_ns": d.now.0,
            "journaled": d.journaled.map(|i| intent_text(&i)),
            "replayed": d.replayed.map(|i| intent_text(&i)),
        })),
    })
}

fn explanation(found: &Replay) -> String {
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
