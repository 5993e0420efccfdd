//! What one engine tells the others: what it holds, and each fill, as JSON that people can read too.
//!
//! Fed by the shadow of the maker; feeds the link, and from it the firm's book. Cold thread. Numbers travel
//! as decimal text, exactly. What does not parse, or says something of itself that cannot be, is no word.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an engine holds, whole: the last one told replaces all before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Who.
    pub engine: String,
    /// The number of its run.
    pub epoch: u32,
    /// The last input that it had consumed, of that run.
    pub input: u64,
    /// When, by its clock.
    pub at_ns: u64,
    /// When its run began, by the same clock: two processes of one name are told apart by it.
    pub started_ns: u64,
    /// The firm's hard limit and the engine's part of it, as its config has them, by underlying.
    pub limits: BTreeMap<String, Share>,
    /// Net delta from the target, by underlying.
    pub deltas: BTreeMap<String, String>,
    /// Positions, by instrument.
    pub positions: BTreeMap<String, String>,
}

/// What an engine may hold of a firm's underlying, by its own config.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The firm's hard limit.
    pub hard: String,
    /// The engine's part.
    pub part: String,
}

/// One fill, with what is held of the instrument after it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillWord {
    /// Whose.
    pub engine: String,
    /// The number of its run.
    pub epoch: u32,
    /// The input that brought it; with the run's number it names the fill.
    pub input: u64,
    /// When, by the engine's clock.
    pub at_ns: u64,
    /// Of what.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// At what price.
    pub price: String,
    /// How much.
    pub size: String,
    /// What is held now.
    pub position: String,
}

/// What goes to the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outgoing {
    /// What this engine holds; an older one that has not gone yet need not go any more.
    Word(Vec<u8>),
    /// A fill; all go, in their order.
    Fill(FillWord),
}

impl FillWord {
    /// Which of the engine's fills, in the order in which they were booked.
    pub fn key(&self) -> (u32, u64) {
        (self.epoch, self.input)
    }

    /// The broker keeps one of each.
    pub fn id(&self) -> String {
        format!("{}-{}-{}", self.engine, self.epoch, self.input)
    }
}

/// As it travels.
pub fn bytes_of(message: &impl Serialize) -> Vec<u8> {
    // Maps of text and numbers always have a form in JSON.
    serde_json::to_vec(message).unwrap_or_default()
}
