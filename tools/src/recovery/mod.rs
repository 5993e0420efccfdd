//! Going on from the run before: what it held, what it left at the venues, where its controls stood.
//!
//! Fed by the state folder (the last run's journal, the FIX message stores) and the config; feeds the
//! next run's config with a [`Resumption`], which that run's journal holds, so that its replay begins
//! where it did. Cold: once a start, before anything is connected. In this order: the newest journal
//! that began is replayed to its end, from the latest sound snapshot on where there is one → order messages
//! that went out after it are read from the stores → all of it is put into this config's numbers (`renumber`). What the venue said after the journal's end
//! the order-entry stage tells the maker before it dials; what the venue knows it is asked after the
//! Logon. Deliberately absent: repair; a journal damaged before its tail refuses to start.

pub mod proof;
mod renumber;
mod replaying;
pub mod shadow;
mod state_bytes;

use crate::config::ConfigFile;
use crate::operator::archivist::binary_identity;
use crate::replay::{Beginning, Replay, ReplayFault};
use crate::state_dir::{StateDir, StateError};
use crate::venue_session;
use ballast_engine::event::{ClOrdId, VenueId};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::snapshot::{self, Snapshot, SnapshotFault};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::resumption::{Delivered, Resumption};
use ballast_gateway::order_entry::earlier;
use ballast_gateway::store::{FileStore, FileStoreConfig, Store, StoreError};
use ballast_gateway::venue::symbols::Symbols;
use proof::Proof;
use renumber::Renumbering;
use replaying::Replaying;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a run cannot go on from the one before.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The last journal is damaged, or this binary cannot run it.
    #[error(
        "the last run's journal: {0}; without it positions and open orders are not known. Restore it, or \
         settle both with the venues, write what is held into the config's opening and opening_cash, and \
         start with --opening-from-config"
    )]
    Replay(#[from] ReplayFault),
    /// The last journal is not where it was.
    #[error(
        "{}: the last run's journal is gone, and an older one says what was held before it. Restore it, or \
         settle positions and orders with the venues, write what is held into the config's opening and \
         opening_cash, and start with --opening-from-config", path.display()
    )]
    Gone {
        /// Where it should be.
        path: PathBuf,
    },
    /// A message store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The config has lost things that are still held.
    #[error(
        "the last run left {}; put it back, or close it with the venue, write what is held into the \
         config's opening and start with --opening-from-config",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Lost(Vec<Lost>),
}

/// What is still held and the config has lost.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{what} of {name:?}, and the config {why}")]
pub struct Lost {
    /// A position, or an order.
    pub what: String,
    /// Of what.
    pub name: String,
    /// What is the matter with the config.
    pub why: &'static str,
}

/// How the run before ended, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Its number.
    pub epoch: u32,
    /// It did not end in order.
    pub crashed: bool,
    /// Inputs that it consumed.
    pub inputs: u64,
    /// Of those, how many a snapshot stood for: the rest was replayed.
    pub skipped: u64,
    /// This binary decides otherwise than the one that wrote the journal, or its sums do not hold.
    pub differs: bool,
    /// Orders that it left in doubt.
    pub orders: usize,
    /// Of those, order messages that its journal did not hold.
    pub unjournaled: usize,
    /// Messages of the venues that its journal did not hold.
    pub undelivered: u64,
    /// It was killed: the note that says so may not have reached the disk.
    pub was_killed: bool,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Told { epoch, inputs, skipped, orders, unjournaled, undelivered, .. } = self;
        let replayed = inputs.saturating_sub(*skipped);
        let how = if self.crashed { "died" } else { "ended in order" };
        write!(
            f,
            "goes on from run {epoch}, which {how}: {replayed} of {inputs} inputs replayed, {undelivered} messages to \
             be told again, {unjournaled} requests out of the message store, {orders} orders in doubt"
        )?;
        if self.differs {
            write!(
                f,
                "; its journal gives other orders with this binary than with the one that wrote it \
                 (`ballast replay` says where): nothing is traded before the venues or an operator have \
                 confirmed positions; look at cash and PnL"
            )?;
        }
        Ok(())
    }
}

/// Puts what the run before left into `config`. `from_config`: positions and cash are the config's, by
/// an operator's word, and all that the message stores hold is in them.
///
/// # Errors
/// [`RecoveryError`]; nothing was connected and nothing written.
pub fn recover(
    file: &ConfigFile,
    config: &mut MakerConfig,
    state: &StateDir,
    from_config: bool,
) -> Result<Option<Told>, RecoveryError> {
    let open = |venue: &str| open(state, venue);
    let found = last_run(state).and_then(|found| match found {
        Some((reader, path)) => replayed(reader, &path)
            .and_then(|last| go_on_from(last, &open, file, config, from_config))
            .map(Some),
        None => Ok(None),
    });
    let unconfirmed = match found {
        Ok(Some(told)) => return Ok(Some(told)),
        Ok(None) => Vec::new(),
        Err(fault @ (RecoveryError::Replay(_) | RecoveryError::Gone { .. })) if from_config => {
            tracing::warn!(%fault, "begins as the config says; orders, halts and losses are lost");
            config.instruments.iter().map(|instrument| instrument.id()).collect()
        }
        Err(fault) => return Err(fault),
    };
    let mut resumption = Resumption { unconfirmed, ..Resumption::default() };
    resumption.open_as(config);
    resumption.delivered = stored(file, &open)?;
    resumption.begin(config);
    Ok(None)
}

/// As [`recover`] from a journal that is there, wherever it and the message stores are: `open` finds a
/// venue's, if it ever had one. On its way the journal is proved, through snapshots every `every` inputs.
///
/// # Errors
/// As [`recover`].
pub fn go_on<R: Read, S: Store>(
    (reader, path): (JournalReader<R>, &Path),
    every: u64,
    open: &impl Fn(&str) -> Result<Option<S>, RecoveryError>,
    file: &ConfigFile,
    config: &mut MakerConfig,
) -> Result<(Told, Proof), RecoveryError> {
    let (last, snapshots, through) = proof::along(reader, path, Vec::new(), Some(every))?;
    let proof = Proof { replay: last.replay.clone(), snapshots, through };
    Ok((go_on_from(last, open, file, config, false)?, proof))
}

/// The run before, from its latest sound snapshot or from its beginning.
fn replayed(reader: JournalReader, path: &Path) -> Result<LastRun, RecoveryError> {
    let binary = binary_identity();
    for (file, found) in snapshot::beside(path) {
        let from_there = found.and_then(|found| {
            found.fits(&reader, &binary)?;
            replayed_from(&found, path)
        });
        match from_there {
            Ok(last) => return Ok(last),
            // The one before it, or the beginning, says whether the journal is damaged.
            Err(fault) => {
                tracing::warn!(path = %file.display(), %fault, "a snapshot is passed over");
            }
        }
    }
    Ok(Replaying::begin(reader.header(), path)?.run_out(reader)?)
}

/// The run from a snapshot on, if that leads to what the journal says.
fn replayed_from(found: &Snapshot, path: &Path) -> Result<LastRun, SnapshotFault> {
    let differs = |_| SnapshotFault::Differs;
    let mut rest = JournalReader::open(path).map_err(|_| SnapshotFault::Differs)?;
    let replaying = Replaying::resume(rest.header(), path, &found.state).map_err(differs)?;
    let replaying = replaying.ok_or(SnapshotFault::State)?;
    if !rest.skip_to(found.place).unwrap_or(false) {
        return Err(SnapshotFault::Beyond(found.place.offset));
    }
    let last = replaying.run_out(rest).map_err(differs)?;
    if last.replay.is_identical() { Ok(last) } else { Err(SnapshotFault::Differs) }
}

fn go_on_from<S: Store>(
    mut last: LastRun,
    open: &impl Fn(&str) -> Result<Option<S>, RecoveryError>,
    file: &ConfigFile,
    config: &mut MakerConfig,
    from_config: bool,
) -> Result<Told, RecoveryError> {
    let unjournaled = last.take_sent(file, open)?;
    let mut lost = Vec::new();
    let renumbering = Renumbering::new(&last.beginning, file, config);
    let mut resumption = renumbering.apply(last.resumption, &mut lost);
    let mut stored = stored(file, open)?;
    if from_config {
        for lost in &lost {
            tracing::warn!(%lost, "dropped: positions and cash are the config's");
        }
        resumption.open_as(config);
        resumption.delivered = stored;
    } else if lost.is_empty() {
        // A venue that the last run had not: what its store holds, a run before that one has booked.
        let earlier = &last.beginning.file.table.venues;
        let name = |delivered: &Delivered| file.table.venues.name(usize::from(delivered.venue.0));
        stored.retain(|held| name(held).is_some_and(|name| earlier.find(name).is_none()));
        resumption.delivered.extend(stored);
    } else {
        return Err(RecoveryError::Lost(lost));
    }
    let told = Told {
        epoch: resumption.epoch,
        crashed: last.crashed,
        inputs: last.inputs,
        skipped: last.skipped,
        differs: !last.replay.is_identical(),
        orders: resumption.orders.len(),
        unjournaled,
        undelivered: undelivered(file, open, &resumption)?,
        was_killed: last.was_killed,
    };
    resumption.begin(config);
    Ok(told)
}

/// The run before, replayed to its end.
struct LastRun {
    beginning: Beginning,
    /// In its own numbering.
    resumption: Resumption,
    crashed: bool,
    inputs: u64,
    skipped: u64,
    replay: Replay,
    was_killed: bool,
    /// The last ClOrdID(11) that it is known to have given.
    last_cl_ord_id: ClOrdId,
}

/// The newest run whose journal began. One that began and is gone is not stepped over: what an older one
/// held is not what is held.
fn last_run(state: &StateDir) -> Result<Option<(JournalReader, PathBuf)>, RecoveryError> {
    let begun = state.begun()?;
    for epoch in (1..state.epoch()).rev() {
        let path = state.journal_of(epoch);
        match JournalReader::open(&path) {
            // What had its venue with it (the demo) left nothing there.
            Ok(reader) if reader.header().resumption.is_none() => {}
            Ok(reader) => return Ok(Some((reader, path))),
            // It died before it traded: the one before it is the last that did.
            Err(JournalFault::Unbegun { .. }) => {}
            Err(JournalFault::Io { kind: std::io::ErrorKind::NotFound, .. }) => {}
            Err(fault) => return Err(ReplayFault::Journal(fault).into()),
        }
        if begun == Some(epoch) {
            return Err(RecoveryError::Gone { path });
        }
    }
    Ok(None)
}

impl LastRun {
    /// Requests that went out after the journal's end, out of the stores; answers how many.
    fn take_sent<S: Store>(
        &mut self,
        file: &ConfigFile,
        open: &impl Fn(&str) -> Result<Option<S>, RecoveryError>,
    ) -> Result<usize, RecoveryError> {
        let mut count = 0;
        for (id, name) in (0u8..).map(VenueId).zip(self.beginning.file.table.venues.iter()) {
            let Some(store) = open(name)? else { continue };
            let raw = file.raw.venues.iter().find(|venue| venue.name == name);
            let raw =
                raw.or_else(|| self.beginning.file.raw.venues.iter().find(|v| v.name == name));
            let symbols = Symbols::new(id, &self.beginning.config.instruments);
            let (Some(raw), Ok(symbols)) = (raw, symbols) else { continue };
            let rules = venue_session::rules(raw);
            for intent in earlier::sent_after(&store, (&symbols, &rules), self.last_cl_ord_id) {
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
    Ok(Some(FileStore::open_to_read(FileStoreConfig::new(folder))?))
}

/// All that the stores hold, as delivered: for a beginning that takes nothing of it in.
fn stored<S: Store>(
    file: &ConfigFile,
    open: &impl Fn(&str) -> Result<Option<S>, RecoveryError>,
) -> Result<Vec<Delivered>, RecoveryError> {
    let mut delivered = Vec::new();
    for (venue, name) in (0u8..).map(VenueId).zip(file.table.venues.iter()) {
        let Some(store) = open(name)? else { continue };
        delivered.push(Delivered {
            numbers_since: store.created_at(),
            msg_seq_num: store.next_target().saturating_sub(1),
            exec_id: None,
            ..Delivered::nothing(venue)
        });
    }
    Ok(delivered)
}

/// How many application messages the stores hold that the account has not seen.
fn undelivered<S: Store>(
    file: &ConfigFile,
    open: &impl Fn(&str) -> Result<Option<S>, RecoveryError>,
    resumption: &Resumption,
) -> Result<u64, RecoveryError> {
    let mut count = 0;
    for (venue, name) in (0u8..).map(VenueId).zip(file.table.venues.iter()) {
        let Some(store) = open(name)? else { continue };
        let delivered = resumption.delivered.iter().find(|d| d.venue == venue).copied();
        let from = earlier::deliver_from(&store, delivered);
        let held = (from..store.next_target()).filter(|n| store.inbound(*n).is_some());
        count += held.count() as u64;
    }
    Ok(count)
}
