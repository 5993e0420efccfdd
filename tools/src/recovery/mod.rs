//! Going on from the run before: what it held, what it left at the venues, where its controls stood.
//!
//! Fed by the state folder (the last run's journal, the FIX message stores) and the config; feeds the
//! next run's config with a [`Resumption`], which that run's journal holds, so that its replay begins
//! where it did. Cold: once a start, before anything is connected. In this order: the newest journal
//! that began is replayed to its end → order messages that went out after it are read from the stores →
//! all of it is put into this config's numbers (`renumber`). What the venue said after the journal's end
//! the order-entry stage tells the maker before it dials; what the venue knows it is asked after the
//! Logon. Deliberately absent: repair; a journal damaged before its tail refuses to start.

mod renumber;

use crate::config::ConfigFile;
use crate::replay::{self, Beginning, ReplayFault};
use crate::state_dir::StateDir;
use crate::venue_session;
use ballast_engine::event::VenueId;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::recovery::{Survey, Tail};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::resumption::{Delivered, Resumption};
use ballast_gateway::order_entry::earlier;
use ballast_gateway::store::{FileStore, FileStoreConfig, Store, StoreError};
use ballast_gateway::venue::symbols::Symbols;
use renumber::Renumbering;
use std::path::Path;
use thiserror::Error;

/// Why a run cannot go on from the one before.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The last journal is damaged, or this binary cannot run it.
    #[error(
        "the last run's journal: {0}; without it positions and open orders are not known. Restore it, or \
         settle both with the venues and move it away"
    )]
    Replay(#[from] ReplayFault),
    /// A message store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The config has lost something that is still held.
    #[error(
        "the last run left {what} of {name:?}, and the config {why}; put it back, or close it with the \
         venue and start with --opening-from-config"
    )]
    Lost {
        /// A position, or orders.
        what: String,
        /// Of what.
        name: String,
        /// What is the matter with the config.
        why: &'static str,
    },
}

/// How the run before ended, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its number.
    pub epoch: u32,
    /// It did not end in order.
    pub crashed: bool,
    /// Inputs that were replayed.
    pub inputs: u64,
    /// Orders that it left in doubt.
    pub orders: usize,
    /// Of those, order messages that its journal did not hold.
    pub unjournaled: usize,
    /// Messages of the venues that its journal did not hold.
    pub undelivered: u64,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Told { epoch, inputs, orders, unjournaled, undelivered, .. } = self;
        let how = if self.crashed { "died" } else { "ended in order" };
        write!(
            f,
            "goes on from run {epoch}, which {how}: {inputs} inputs replayed, {undelivered} messages to \
             be told again, {unjournaled} requests out of the message store, {orders} orders in doubt"
        )
    }
}

/// Puts what the run before left into `config`. `from_config`: positions and cash are the config's, by
/// an operator's word.
///
/// # Errors
/// [`RecoveryError`]; nothing was connected and nothing written.
pub fn recover(
    file: &ConfigFile,
    config: &mut MakerConfig,
    state: &StateDir,
    from_config: bool,
) -> Result<Option<Told>, RecoveryError> {
    let found = last_run(state)?;
    let told = match found {
        None => {
            let mut resumption = Resumption::default();
            resumption.open_as(config);
            resumption.delivered = stored(file, state)?;
            resumption.begin(config);
            return Ok(None);
        }
        Some(mut last) => {
            let unjournaled = last.take_sent(file, state)?;
            let mut resumption =
                Renumbering::new(&last.beginning, file, config).apply(last.resumption)?;
            if from_config {
                resumption.open_as(config);
                resumption.unconfirmed.clear();
            }
            let undelivered = undelivered(file, state, &resumption)?;
            let told = Told {
                epoch: resumption.epoch,
                crashed: last.crashed,
                inputs: last.inputs,
                orders: resumption.orders.len(),
                unjournaled,
                undelivered,
            };
            resumption.begin(config);
            told
        }
    };
    Ok(Some(told))
}

/// The run before, replayed to its end.
struct LastRun {
    beginning: Beginning,
    /// In its own numbering.
    resumption: Resumption,
    crashed: bool,
    inputs: u64,
}

/// The newest run whose journal began.
fn last_run(state: &StateDir) -> Result<Option<LastRun>, RecoveryError> {
    for epoch in (1..state.epoch()).rev() {
        let path = state.journal_of(epoch);
        match JournalReader::open(&path) {
            // What had its venue with it (the demo) left nothing there.
            Ok(reader) if reader.header().resumption.is_none() => {}
            Ok(reader) => return replayed(reader, &path).map(Some),
            // It died before it traded: the one before it is the last that did.
            Err(JournalFault::Unbegun { .. }) => {}
            Err(JournalFault::Io { kind: std::io::ErrorKind::NotFound, .. }) => {}
            Err(fault) => return Err(ReplayFault::Journal(fault).into()),
        }
    }
    Ok(None)
}

fn replayed(mut reader: JournalReader, path: &Path) -> Result<LastRun, RecoveryError> {
    let mut beginning = replay::beginning(reader.header(), path)?;
    let mut survey = Survey::begin(reader.header().clone());
    let mut set = Resumption::default();
    if let Some(earlier) = &survey.header.resumption {
        set.limits.clone_from(&earlier.limits);
    }
    for next in reader.by_ref() {
        let record = match next {
            Ok(record) => record,
            Err(JournalFault::Torn { bytes, .. }) => {
                survey.tail = Tail::Torn { bytes };
                break;
            }
            Err(fault) => return Err(ReplayFault::Journal(fault).into()),
        };
        survey.take(&record);
        let Some((_, now, input)) = record.input() else { continue };
        if let ballast_engine::maker::input::Input::Control(control) = &input {
            set.take_control(control);
        }
        beginning.maker.step(now, &input, &mut beginning.out);
        beginning.out.clear();
    }
    let crashed = !matches!(survey.tail, Tail::Ended(_));
    let mut resumption = beginning.maker.resumption(survey.header.epoch, crashed);
    if crashed {
        resumption.limits = set.limits;
    }
    resumption.delivered = survey.delivered.into_values().collect();
    Ok(LastRun { beginning, resumption, crashed, inputs: survey.inputs })
}

impl LastRun {
    /// Requests that went out after the journal's end, out of the stores; answers how many.
    fn take_sent(&mut self, file: &ConfigFile, state: &StateDir) -> Result<usize, RecoveryError> {
        let last = self.beginning.maker.last_cl_ord_id();
        let mut count = 0;
        for (id, name) in (0u8..).map(VenueId).zip(self.beginning.file.table.venues.iter()) {
            let Some(store) = open(state, name)? else { continue };
            let raw = file.raw.venues.iter().find(|venue| venue.name == name);
            let raw =
                raw.or_else(|| self.beginning.file.raw.venues.iter().find(|v| v.name == name));
            let symbols = Symbols::new(id, &self.beginning.config.instruments);
            let (Some(raw), Ok(symbols)) = (raw, symbols) else { continue };
            let rules = venue_session::rules(raw);
            for intent in earlier::sent_after(&store, (&symbols, &rules), last) {
                self.resumption.take_sent(&intent);
                count += 1;
            }
        }
        Ok(count)
    }
}

/// A venue's store, if it ever had one.
fn open(state: &StateDir, venue: &str) -> Result<Option<FileStore>, RecoveryError> {
    let folder = state.store(venue, "order-entry");
    if !folder.is_dir() {
        return Ok(None);
    }
    Ok(Some(FileStore::open(FileStoreConfig::new(folder))?))
}

/// All that the stores hold, as delivered: for a beginning that takes nothing of it in.
fn stored(file: &ConfigFile, state: &StateDir) -> Result<Vec<Delivered>, RecoveryError> {
    let mut delivered = Vec::new();
    for (venue, name) in (0u8..).map(VenueId).zip(file.table.venues.iter()) {
        let Some(store) = open(state, name)? else { continue };
        delivered.push(Delivered {
            venue,
            numbers_since: store.created_at(),
            msg_seq_num: store.next_target().saturating_sub(1),
        });
    }
    Ok(delivered)
}

/// How many application messages the stores hold that the account has not seen.
fn undelivered(
    file: &ConfigFile,
    state: &StateDir,
    resumption: &Resumption,
) -> Result<u64, RecoveryError> {
    let mut count = 0;
    for (venue, name) in (0u8..).map(VenueId).zip(file.table.venues.iter()) {
        let Some(store) = open(state, name)? else { continue };
        let delivered = resumption.delivered.iter().find(|d| d.venue == venue).copied();
        let from = earlier::deliver_from(&store, delivered);
        let held = (from..store.next_target()).filter(|n| store.inbound(*n).is_some());
        count += held.count() as u64;
    }
    Ok(count)
}
