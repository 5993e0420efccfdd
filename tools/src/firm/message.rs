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
    /// Net delta from the target, by underlying.
    pub deltas: BTreeMap<String, String>,
    /// Positions, by instrument.
    pub positions: BTreeMap<String, String>,
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
    Fill {
        /// The broker keeps one of each.
        id: String,
        /// What it says.
        body: Vec<u8>,
    },
}

/// As it travels.
pub fn bytes_of(message: &impl Serialize) -> Vec<u8> {
    // Maps of text and numbers always have a form in JSON.
    serde_json::to_vec(message).unwrap_or_default()
}
