//! What the runs before did not get told: their fills, out of their journals.
//!
//! Fed by the journals of a state folder and by the last fill of this engine that the broker has; feeds the
//! link, which tells them before any fill of this run. A thread of its own, once a start: a journal takes as
//! long as its replay. Where the broker has no fill of this engine, the newest run before this one alone is
//! told. Deliberately absent: runs whose journals are gone, and what a damaged one holds beyond its damage
//! (a run does not start from such a journal).

use super::message::FillWord;
use super::shadow::Shadow;
use crate::replay::{self, ReplayFault};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::reader::JournalReader;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The runs before this one.
#[derive(Clone)]
pub(super) struct Earlier {
    engine: String,
    /// Oldest first, with their numbers; some have none.
    journals: Vec<(u32, PathBuf)>,
}

impl Earlier {
    /// Of these journals.
    pub(super) fn new(engine: &str, journals: Vec<(u32, PathBuf)>) -> Earlier {
        Earlier { engine: engine.to_owned(), journals }
    }

    /// Every fill after `last`, in the order in which they were booked.
    pub(super) fn untold(&self, last: Option<(u32, u64)>) -> Vec<FillWord> {
        let mut runs = Vec::new();
        for (epoch, path) in self.journals.iter().rev() {
            if last.is_some_and(|(told, _)| *epoch < told) {
                break;
            }
            match self.fills_of(path) {
                Ok(Some(fills)) => runs.push(fills),
                Ok(None) => continue,
                Err(fault) => {
                    tracing::warn!(%fault, "fills of an earlier run are not told to the firm");
                }
            }
            if last.is_none() {
                break;
            }
        }
        let fills = runs.into_iter().rev().flatten();
        fills.filter(|fill| last.is_none_or(|last| fill.key() > last)).collect()
    }

    /// A run's fills; `None` where it never began.
    fn fills_of(&self, path: &Path) -> Result<Option<Vec<FillWord>>, ReplayFault> {
        let mut reader = match JournalReader::open(path) {
            Ok(reader) => reader,
            Err(JournalFault::Unbegun { .. }) => return Ok(None),
            Err(JournalFault::Io { kind: ErrorKind::NotFound, .. }) => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let began = replay::beginning(reader.header(), path)?;
        // Another firm's, or of no firm: nobody here waits for them.
        let is_ours = began.file.raw.firm.as_ref().is_some_and(|firm| firm.engine == self.engine);
        let shadow = Shadow::new(&began.file, &began.config, &self.engine);
        let Some(mut shadow) = shadow.filter(|_| is_ours) else { return Ok(None) };
        let mut fills = Vec::new();
        for record in reader.by_ref() {
            match record {
                Ok(record) => {
                    let input = record.input();
                    fills.extend(input.and_then(|(n, now, input)| shadow.step(n, now, &input)));
                }
                Err(JournalFault::Torn { .. }) => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Some(fills))
    }
}
