//! The keeper: the thread that does a file store's slow work.
//!
//! Fed by `file.rs` with orders, feeds it with segments made beforehand; syncs the segment in use
//! to the device where the policy says so, and removes segments beyond retention. Deliberately
//! absent: any record. The session's thread only ever posts orders here, once a segment.

use super::StoreError;
use super::file::SyncPolicy;
use super::segment::Segment;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What the keeper is asked to do.
enum Order {
    Prepare { path: PathBuf, len: usize },
    Watch(File),
    Remove(PathBuf),
    Stop,
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

    /// From now on this is the file to sync.
    pub(super) fn watch(&self, file: File) {
        self.post(Order::Watch(file));
    }

    pub(super) fn remove(&self, path: PathBuf) {
        self.post(Order::Remove(path));
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
    let mut watched: Option<File> = None;
    loop {
        let order = match policy {
            SyncPolicy::Never => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            SyncPolicy::Every(interval) => inbox.recv_timeout(interval),
        };
        match order {
            Ok(Order::Prepare { path, len }) => {
                if outbox.send(Segment::create(&path, len)).is_err() {
                    return;
                }
            }
            Ok(Order::Watch(file)) => {
                sync(watched.as_ref(), policy, failures);
                watched = Some(file);
            }
            Ok(Order::Remove(path)) => {
                // A segment that stays costs room and nothing else.
                let _ = std::fs::remove_file(path);
            }
            Err(RecvTimeoutError::Timeout) => sync(watched.as_ref(), policy, failures),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn sync(watched: Option<&File>, policy: SyncPolicy, failures: &AtomicU64) {
    let is_wanted = match policy {
        SyncPolicy::Never => false,
        SyncPolicy::Every(_) => true,
    };
    if is_wanted && watched.is_some_and(|file| file.sync_data().is_err()) {
        failures.fetch_add(1, Ordering::Relaxed);
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
        keeper.remove(PathBuf::from("/nowhere"));
    }
}
