//! The keeper: the thread that does a file store's slow work.
//!
//! Fed by `file.rs` with orders, feeds it with segments made beforehand; brings the segment in use
//! to the device where the policy says so, keeps the pages ahead of it writable, and removes segments
//! beyond retention. Deliberately absent: any record. The session's thread only ever posts orders here,
//! once a segment.

use super::StoreError;
use super::file::SyncPolicy;
use super::segment::{Pages, Segment};
use super::synced_copy::{SyncedCopy, copy_path};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the pages ahead are looked after, where no sync comes more often.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes ahead that are kept writable: what a session writes between two looks at 10,000 messages a second.
const AHEAD: usize = 256 * 1024;
const PAGE: usize = 4096;

/// What the keeper is asked to do.
enum Order {
    Prepare {
        path: PathBuf,
        len: usize,
    },
    Watch(InUse),
    /// The segment is unmapped on the keeper's thread as well.
    Remove(Segment),
    Stop,
}

/// The segment that the session writes to.
#[derive(Debug)]
pub(super) struct InUse {
    pub path: PathBuf,
    /// A handle of the keeper's own.
    pub file: File,
    pub pages: Arc<Pages>,
}

/// Orders that may wait: one rotation posts three.
const ORDERS_WAITING: usize = 16;

/// The handle of the keeper's thread; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: SyncSender<Order>,
    prepared: Receiver<Result<Segment, StoreError>>,
    sync_failures: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Order::Prepare { .. } => "Prepare",
            Order::Watch(_) => "Watch",
            Order::Remove(_) => "Remove",
            Order::Stop => "Stop",
        })
    }
}

impl Keeper {
    pub(super) fn start(policy: SyncPolicy) -> std::io::Result<Keeper> {
        let (orders, inbox) = sync_channel(ORDERS_WAITING);
        let (outbox, prepared) = sync_channel(1);
        let sync_failures = Arc::new(AtomicU64::new(0));
        let failures = Arc::clone(&sync_failures);
        let thread = std::thread::Builder::new()
            .name("ballast-store".into())
            .spawn(move || run(&inbox, &outbox, policy, &failures))?;
        Ok(Keeper { orders, prepared, sync_failures, thread: Some(thread) })
    }

    /// Asks for the next segment; [`Self::take`] hands it over.
    pub(super) fn prepare(&self, path: PathBuf, len: usize) {
        self.post(Order::Prepare { path, len });
    }

    /// The segment that was asked for; waits where it is not ready, and says if it did.
    pub(super) fn take(&self) -> (Option<Result<Segment, StoreError>>, bool) {
        match self.prepared.try_recv() {
            Ok(made) => (Some(made), false),
            Err(_) => (self.prepared.recv().ok(), true),
        }
    }

    /// From now on this is the segment in use; the one before it is written to no more.
    pub(super) fn watch(&self, segment: InUse) {
        self.post(Order::Watch(segment));
    }

    /// Removes a segment that nobody reads any more.
    pub(super) fn remove(&self, segment: Segment) {
        self.post(Order::Remove(segment));
    }

    /// Syncs that the device refused. A thread that died over one syncs nothing any more, which is the same
    /// to whoever trusts the store.
    pub(super) fn sync_failures(&self) -> u64 {
        let is_dead = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        self.sync_failures.load(Ordering::Relaxed).saturating_add(u64::from(is_dead))
    }

    fn post(&self, order: Order) {
        // The thread ends only after `Stop`; one that panicked shows in `sync_failures`.
        let _ = self.orders.send(order);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.post(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A keeper that panicked has nothing left to be told.
            let _ = thread.join();
        }
    }
}

fn run(
    inbox: &Receiver<Order>,
    outbox: &SyncSender<Result<Segment, StoreError>>,
    policy: SyncPolicy,
    failures: &AtomicU64,
) {
    let (look, looks_a_sync) = rhythm(policy);
    let mut care = Care { in_use: None, copy: None, prepared: None };
    let mut looks = 0;
    let count = |synced: io::Result<()>| {
        if synced.is_err() {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    };
    loop {
        match inbox.recv_timeout(look) {
            Ok(Order::Prepare { path, len }) => {
                let made = Segment::create(&path, len);
                care.prepared = made.as_ref().ok().map(Segment::pages);
                care.make_writable();
                if outbox.send(made).is_err() {
                    return;
                }
            }
            Ok(Order::Watch(segment)) => {
                if looks_a_sync.is_some() {
                    count(care.finish());
                }
                (care.in_use, care.copy) = (Some(segment), None);
                care.make_writable();
            }
            Ok(Order::Remove(segment)) => {
                // A segment that stays costs room and nothing else.
                let _ = std::fs::remove_file(segment.path());
                let _ = std::fs::remove_file(copy_path(segment.path()));
            }
            Err(RecvTimeoutError::Timeout) => {
                looks += 1;
                if looks_a_sync.is_some_and(|wanted| looks >= wanted) {
                    looks = 0;
                    count(care.sync());
                }
                care.make_writable();
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Time between two looks, and how many of them are a sync's interval; none where nothing is synced.
fn rhythm(policy: SyncPolicy) -> (Duration, Option<u128>) {
    match policy {
        SyncPolicy::Never => (LOOK, None),
        SyncPolicy::Every(interval) => {
            let look = interval.min(LOOK);
            (look, Some(interval.as_nanos().checked_div(look.as_nanos()).unwrap_or(1)))
        }
    }
}

/// What the keeper looks after.
struct Care {
    in_use: Option<InUse>,
    /// Of the segment in use; begun by its first sync.
    copy: Option<SyncedCopy>,
    /// The segment that comes next, until it is the one in use.
    prepared: Option<Arc<Pages>>,
}

impl Care {
    /// Brings what was written since the last time to the device.
    fn sync(&mut self) -> io::Result<()> {
        let Some(InUse { path, file, pages }) = &self.in_use else { return Ok(()) };
        let written = pages.written() as u64;
        let copy = match &mut self.copy {
            Some(copy) => copy,
            none => none.insert(SyncedCopy::begin(path, file)?),
        };
        copy.sync(file, written)
    }

    /// Nobody writes to the segment in use any more: it goes to the device itself, and needs no copy then.
    fn finish(&mut self) -> io::Result<()> {
        let Some(InUse { path, file, .. }) = &self.in_use else { return Ok(()) };
        file.sync_data()?;
        // One that stays holds no more than its segment, which an opening sees.
        let _ = std::fs::remove_file(copy_path(path));
        Ok(())
    }

    /// Takes the write faults of the pages that the session writes to next.
    fn make_writable(&self) {
        if let Some(InUse { pages, .. }) = &self.in_use {
            pages.make_writable(pages.written() & !(PAGE - 1), AHEAD);
        }
        if let Some(pages) = &self.prepared {
            pages.make_writable(0, AHEAD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_died_counts_as_a_device_that_refuses() {
        let keeper = Keeper::start(SyncPolicy::Never).unwrap();
        assert_eq!(keeper.sync_failures(), 0);
        keeper.post(Order::Stop);
        while !keeper.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            std::thread::yield_now();
        }
        assert_eq!(keeper.sync_failures(), 1);
        keeper.prepare(PathBuf::from("/nowhere"), 4096);
    }
}
