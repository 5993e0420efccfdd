//! One FIX session, watched from outside its thread: is it up, what is its trouble, what did the venue announce?
//!
//! Fed by the session's stage after each turn; feeds `status`, the metrics, the guard's alerts and the wait for
//! the Logons at the start. Atomics written by one thread: each value is right, two of them may be a turn
//! apart; but who sees a turn sees what was told before its beat. Deliberately absent: the session.

use ballast_gateway::order_entry::drop_copy::DropCopyCounts;
use ballast_gateway::transport::Trouble;
use ballast_gateway::venue::notice::Notices;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What people are told of a session: troubles, and News(B).
pub type Told = (Trouble, Notices);

/// One session, watched from outside its thread.
#[derive(Clone, Debug)]
pub struct SessionWatch {
    /// Which, for people: venue, purpose, address and comp ids.
    pub name: String,
    is_up: Arc<AtomicBool>,
    is_writing: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
    trouble: Trouble,
    notices: Notices,
    turns: Arc<AtomicU64>,
    copies: Option<Arc<Copies>>,
    sync_failures: Arc<AtomicU64>,
}

/// [`DropCopyCounts`] without the drops, which `is_up` shows.
#[derive(Debug, Default)]
struct Copies {
    executions: AtomicU64,
    confirmed: AtomicU64,
    missed: AtomicU64,
}

impl SessionWatch {
    /// A session that is down.
    pub fn new(name: String) -> SessionWatch {
        let (is_up, is_writing) = (Arc::default(), Arc::default());
        let (has_ended, turns) = (Arc::default(), Arc::default());
        let (trouble, notices) = Told::default();
        let sync_failures = Arc::default();
        SessionWatch {
            name,
            is_up,
            is_writing,
            has_ended,
            trouble,
            notices,
            turns,
            copies: None,
            sync_failures,
        }
    }

    /// A drop copy that is down.
    pub fn of_copies(name: String) -> SessionWatch {
        SessionWatch { copies: Some(Arc::default()), ..SessionWatch::new(name) }
    }

    /// Where its stage tells what people must know.
    pub fn told(&self) -> Told {
        (self.trouble.clone(), self.notices.clone())
    }

    /// What the venue announced by News(B) and nobody has read yet, the oldest first.
    pub fn take_notice(&self) -> Option<String> {
        self.notices.take()
    }

    /// Why its connection could not be made or was lost; the same trouble is told once.
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.take_new()
    }

    /// The heartbeat of its stage: one that stands still is stuck.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }

    /// Bytes of ours wait for the counterparty to read, or not, after the turn that [`SessionWatch::beat`] tells
    /// next. One thread alone.
    pub fn tell_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// Did bytes of ours wait for the counterparty to read?
    pub fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }

    /// Its stage is done, and has told what it leaves. One thread alone.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Is its stage done?
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Its stage has had another turn, after which the session is up or not. One thread alone.
    pub fn beat(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
        self.turns.store(self.turns().wrapping_add(1), Ordering::Release);
    }

    /// What came over it so far, where it is a drop copy. One thread alone.
    pub fn count_copies(&self, counts: DropCopyCounts) {
        if let Some(copies) = &self.copies {
            copies.executions.store(counts.executions, Ordering::Relaxed);
            copies.confirmed.store(counts.confirmed, Ordering::Relaxed);
            copies.missed.store(counts.missed, Ordering::Relaxed);
        }
    }

    /// Times that the device did not take what its store had written. One thread alone.
    pub fn count_sync_failures(&self, count: u64) {
        self.sync_failures.store(count, Ordering::Relaxed);
    }

    /// The same, to look at.
    pub fn sync_failures(&self) -> u64 {
        self.sync_failures.load(Ordering::Relaxed)
    }

    /// Is it logged on?
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Executions that came over it, that the order session told as well, and that it did not; `None` for a
    /// session that is no drop copy.
    pub fn copies(&self) -> Option<[u64; 3]> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let copies = self.copies.as_ref()?;
        Some([of(&copies.executions), of(&copies.confirmed), of(&copies.missed)])
    }
}
