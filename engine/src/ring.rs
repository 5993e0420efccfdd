//! The two lock-free single-producer, single-consumer rings that join the stages.
//!
//! [`slots`] carries what is hot (market events, intents, order events): each message shares a cache
//! line with its own sequence number, so that a hop costs one line transfer; the consumer's position
//! travels back in a line that the producer reads only when its cached copy says "full".
//! [`records`] carries what is many (journal records, latency samples): both positions are cached by
//! the other side, messages lie densely and go in and out by the slice.
//!
//! One thread pushes, one pops; creating either touches all of its memory. Deliberately absent:
//! blocking (the runner's wait strategy decides what an idle thread does), more than one producer or
//! consumer, messages with destructors (`T: Copy`), and any answer to "full" but saying so.
//!
//! Cost: one line a message up to 56 bytes, two up to 120; a round trip takes what the machine's own
//! two-line ping-pong takes (`ballast-bench ring`). Checked by the loom models in
//! `tests/ring_models.rs`, which say at which capacities and with how many preemptions.

use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;
use thiserror::Error;

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The ring had no room: the message comes back, and the caller decides what its loss would mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the ring is full")]
pub struct Full<T>(pub T);

/// Largest ring that can be made; a config that asks for more gets this.
pub const CAPACITY_MAX: usize = 1 << 30;

/// `wanted`, rounded up to the power of two that positions are masked with.
fn capacity_of(wanted: usize) -> usize {
    wanted.clamp(2, CAPACITY_MAX).next_power_of_two()
}

/// std's cell with loom's interface, so that one text is run and model-checked.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// One message and the number that says which lap's message it is: position + 1, 0 before the first.
#[repr(C, align(64))]
struct Slot<T> {
    number: AtomicUsize,
    message: UnsafeCell<MaybeUninit<T>>,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Slot<[u64; 7]>>() == 64, "a 56-byte message shares one line with its number");
    assert!(size_of::<Slot<[u64; 15]>>() == 128, "a 120-byte message takes two lines");
};

struct SlotRing<T> {
    slots: Box<[Slot<T>]>,
    /// How many messages the consumer has taken; written by the consumer alone.
    taken: CachePadded<AtomicUsize>,
    is_producer_gone: CachePadded<AtomicBool>,
    is_consumer_gone: AtomicBool,
}

// SAFETY: a slot's message is written only by the one producer, and only while `taken` says that the
// consumer is done with the slot's last lap; it is read only by the one consumer, and only after the
// release store of its number. So no two threads touch a message at the same time.
unsafe impl<T: Send> Sync for SlotRing<T> {}

/// The end of a [`slots`] ring that pushes. One thread at a time.
pub struct Producer<T> {
    ring: Arc<SlotRing<T>>,
    mask: usize,
    /// How many messages were pushed.
    pushed: usize,
    /// The consumer's position when it was last looked at; it can only have grown since.
    taken_seen: usize,
}

/// The end of a [`slots`] ring that pops. One thread at a time.
pub struct Consumer<T> {
    ring: Arc<SlotRing<T>>,
    mask: usize,
    taken: usize,
}

/// A ring for hot messages. `capacity` is rounded up to a power of two, at least 2.
pub fn slots<T: Copy>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let capacity = capacity_of(capacity);
    let slots = (0..capacity)
        .map(|_| Slot {
            number: AtomicUsize::new(0),
            message: UnsafeCell::new(MaybeUninit::uninit()),
        })
        .collect();
    let ring = Arc::new(SlotRing {
        slots,
        taken: CachePadded::new(AtomicUsize::new(0)),
        is_producer_gone: CachePadded::new(AtomicBool::new(false)),
        is_consumer_gone: AtomicBool::new(false),
    });
    let mask = capacity - 1;
    let producer = Producer { ring: ring.clone(), mask, pushed: 0, taken_seen: 0 };
    (producer, Consumer { ring, mask, taken: 0 })
}

impl<T: Copy> Producer<T> {
    /// Publishes `message`. [`Full`] when the consumer is a whole ring behind, also when it is gone.
    #[inline]
    pub fn push(&mut self, message: T) -> Result<(), Full<T>> {
        if !self.has_room(1) {
            return Err(Full(message));
        }
        self.publish(message);
        Ok(())
    }

    /// Publishes as many of `batch`, from its front, as there is room for; returns how many. Each is
    /// there for the consumer as soon as it is written.
    #[inline]
    pub fn push_slice(&mut self, batch: &[T]) -> usize {
        let count = if self.has_room(batch.len()) { batch.len() } else { self.room() };
        let count = count.min(batch.len());
        for &message in batch.iter().take(count) {
            self.publish(message);
        }
        count
    }

    /// The caller has seen to the room.
    #[inline(always)]
    fn publish(&mut self, message: T) {
        // SAFETY: the mask is the number of slots − 1, so the index is within them.
        let slot = unsafe { self.ring.slots.get_unchecked(self.pushed & self.mask) };
        // SAFETY: there is room, so the consumer has finished with this slot (the acquire load of
        // `taken` saw it), and it will not look at the message before the number below is stored.
        slot.message.with_mut(|place| unsafe { (*place).write(message) });
        self.pushed = self.pushed.wrapping_add(1);
        slot.number.store(self.pushed, Ordering::Release);
    }

    /// Whether at least `count` messages can be pushed now. Reads the consumer's line only where the
    /// cached position does not suffice; what it grants stays granted until pushed.
    #[inline]
    pub fn has_room(&mut self, count: usize) -> bool {
        if self.capacity() - self.pushed.wrapping_sub(self.taken_seen) >= count {
            return true;
        }
        self.room() >= count
    }

    /// How many messages can be pushed now, at least; reads the consumer's line.
    #[inline]
    pub fn room(&mut self) -> usize {
        self.taken_seen = self.ring.taken.load(Ordering::Acquire);
        self.capacity() - self.pushed.wrapping_sub(self.taken_seen)
    }

    /// How many messages wait in the ring, at most; reads the consumer's line.
    pub fn len(&mut self) -> usize {
        self.capacity() - self.room()
    }

    /// Whether the consumer has taken everything.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Whether the consumer is gone, so that nobody will ever read what is pushed.
    pub fn is_disconnected(&self) -> bool {
        // Relaxed: nothing is read on the strength of it.
        self.ring.is_consumer_gone.load(Ordering::Relaxed)
    }
}

impl<T: Copy> Consumer<T> {
    /// The oldest message, where there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let mut message = None;
        self.take_if(|oldest| {
            message = Some(*oldest);
            true
        });
        message
    }

    /// Shows the oldest message where it lies, without a copy of it; it goes if `is_taken` says so.
    /// What that said; `None` where there is no message.
    #[inline]
    pub fn take_if(&mut self, is_taken: impl FnOnce(&T) -> bool) -> Option<bool> {
        // SAFETY: the mask is the number of slots − 1, so the index is within them.
        let slot = unsafe { self.ring.slots.get_unchecked(self.taken & self.mask) };
        let next = self.taken.wrapping_add(1);
        if slot.number.load(Ordering::Acquire) != next {
            return None;
        }
        // SAFETY: the number is this position's, so the producer has written the message (release,
        // acquire), and it does not write there again before `taken` below passes this position.
        let is_taken = slot.message.with(|place| is_taken(unsafe { (*place).assume_init_ref() }));
        if is_taken {
            self.taken = next;
            self.ring.taken.store(next, Ordering::Release);
        }
        Some(is_taken)
    }

    /// Whether nothing waits right now.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: the mask is the number of slots − 1, so the index is within them.
        let slot = unsafe { self.ring.slots.get_unchecked(self.taken & self.mask) };
        slot.number.load(Ordering::Acquire) != self.taken.wrapping_add(1)
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Whether the producer is gone and everything it pushed has been popped: nothing comes any more.
    pub fn is_disconnected(&self) -> bool {
        // The flag first: what was pushed before the producer went is then surely seen as not empty.
        self.ring.is_producer_gone.load(Ordering::Acquire) && self.is_empty()
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.ring.is_producer_gone.store(true, Ordering::Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.ring.is_consumer_gone.store(true, Ordering::Relaxed);
    }
}

struct RecordRing<T> {
    records: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// How many records were published; written by the producer alone.
    pushed: CachePadded<AtomicUsize>,
    /// How many records were taken; written by the consumer alone.
    taken: CachePadded<AtomicUsize>,
    is_producer_gone: CachePadded<AtomicBool>,
    is_cut: AtomicBool,
    is_consumer_gone: AtomicBool,
}

// SAFETY: a record is written only by the one producer between `taken + capacity` and `pushed`, and
// read only by the one consumer between `pushed` and `taken`; each position is released by the side
// that moves it and acquired by the other. So no two threads touch a record at the same time.
unsafe impl<T: Send> Sync for RecordRing<T> {}

/// The end of a [`records`] ring that pushes. One thread at a time.
pub struct RecordProducer<T> {
    ring: Arc<RecordRing<T>>,
    mask: usize,
    pushed: usize,
    taken_seen: usize,
}

/// The end of a [`records`] ring that pops. One thread at a time.
pub struct RecordConsumer<T> {
    ring: Arc<RecordRing<T>>,
    mask: usize,
    taken: usize,
    pushed_seen: usize,
}

/// A ring for many records. `capacity` is rounded up to a power of two, at least 2.
pub fn records<T: Copy>(capacity: usize) -> (RecordProducer<T>, RecordConsumer<T>) {
    let capacity = capacity_of(capacity);
    let records: Box<[UnsafeCell<MaybeUninit<T>>]> =
        (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    // Touched, not merely reserved: the first lap must not meet page faults.
    for cell in &records {
        // SAFETY: nobody else has the ring yet. Volatile, or the compiler asks for zeroed pages.
        cell.with_mut(|place| unsafe { place.write_volatile(MaybeUninit::zeroed()) });
    }
    let ring = Arc::new(RecordRing {
        records,
        pushed: CachePadded::new(AtomicUsize::new(0)),
        taken: CachePadded::new(AtomicUsize::new(0)),
        is_producer_gone: CachePadded::new(AtomicBool::new(false)),
        is_cut: AtomicBool::new(false),
        is_consumer_gone: AtomicBool::new(false),
    });
    let mask = capacity - 1;
    let producer = RecordProducer { ring: ring.clone(), mask, pushed: 0, taken_seen: 0 };
    (producer, RecordConsumer { ring, mask, taken: 0, pushed_seen: 0 })
}

impl<T: Copy> RecordProducer<T> {
    /// Publishes `record`. [`Full`] when the consumer is a whole ring behind, also when it is gone.
    #[inline]
    pub fn push(&mut self, record: T) -> Result<(), Full<T>> {
        if !self.has_room(1) {
            return Err(Full(record));
        }
        self.write(self.pushed, record);
        self.pushed = self.pushed.wrapping_add(1);
        self.ring.pushed.store(self.pushed, Ordering::Release);
        Ok(())
    }

    /// Publishes as many of `batch`, from its front, as there is room for, all at once; returns how
    /// many.
    #[inline]
    pub fn push_slice(&mut self, batch: &[T]) -> usize {
        let count = if self.has_room(batch.len()) { batch.len() } else { self.room_seen() };
        if count == 0 {
            // Storing the same position again would only take the line from the consumer.
            return 0;
        }
        let mut position = self.pushed;
        for &record in batch.iter().take(count) {
            self.write(position, record);
            position = position.wrapping_add(1);
        }
        self.pushed = position;
        self.ring.pushed.store(position, Ordering::Release);
        count
    }

    #[inline(always)]
    fn write(&self, position: usize, record: T) {
        // SAFETY: the mask is the number of records − 1, so the index is within them.
        let cell = unsafe { self.ring.records.get_unchecked(position & self.mask) };
        // SAFETY: callers made sure of room up to `position`, so the consumer is done with the place
        // (acquire load of `taken`) and does not look at it before `pushed` passes it.
        cell.with_mut(|place| unsafe { (*place).write(record) });
    }

    /// Room by the cached position.
    #[inline(always)]
    fn room_seen(&self) -> usize {
        self.capacity() - self.pushed.wrapping_sub(self.taken_seen)
    }

    /// Whether at least `count` records can be pushed now; reads the consumer's line only where the
    /// cached position does not suffice. What it grants stays granted until pushed.
    #[inline]
    pub fn has_room(&mut self, count: usize) -> bool {
        self.room_seen() >= count || self.room() >= count
    }

    /// How many records can be pushed now, at least; reads the consumer's line.
    #[inline]
    pub fn room(&mut self) -> usize {
        self.taken_seen = self.ring.taken.load(Ordering::Acquire);
        self.room_seen()
    }

    /// Tells the consumer that records are missing behind what was pushed so far. Who says so pushes
    /// nothing more.
    pub fn cut(&mut self) {
        self.ring.is_cut.store(true, Ordering::Release);
    }

    /// How many records the ring holds.
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Whether the consumer is gone, so that nobody will ever read what is pushed.
    pub fn is_disconnected(&self) -> bool {
        // Relaxed: nothing is read on the strength of it.
        self.ring.is_consumer_gone.load(Ordering::Relaxed)
    }
}

impl<T: Copy> RecordConsumer<T> {
    /// The oldest record, where there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.pushed_seen == self.taken && self.is_empty() {
            return None;
        }
        let record = self.read(self.taken);
        self.taken = self.taken.wrapping_add(1);
        self.ring.taken.store(self.taken, Ordering::Release);
        Some(record)
    }

    /// Fills `batch` from its front with the oldest records, all taken at once; returns how many.
    #[inline]
    pub fn pop_slice(&mut self, batch: &mut [T]) -> usize {
        let seen = self.pushed_seen.wrapping_sub(self.taken);
        let count = if seen >= batch.len() { seen } else { self.len() }.min(batch.len());
        if count == 0 {
            // Storing the same position again would only take the line from the producer.
            return 0;
        }
        let mut position = self.taken;
        for place in batch.iter_mut().take(count) {
            *place = self.read(position);
            position = position.wrapping_add(1);
        }
        self.taken = position;
        self.ring.taken.store(position, Ordering::Release);
        count
    }

    #[inline(always)]
    fn read(&self, position: usize) -> T {
        // SAFETY: the mask is the number of records − 1, so the index is within them.
        let cell = unsafe { self.ring.records.get_unchecked(position & self.mask) };
        // SAFETY: callers made sure that `pushed` (acquired) has passed `position`, so the record is
        // written and the producer stays away from it until `taken` passes it.
        cell.with(|place| unsafe { (*place).assume_init_read() })
    }

    /// How many records wait, at least; reads the producer's line.
    #[inline]
    pub fn len(&mut self) -> usize {
        self.pushed_seen = self.ring.pushed.load(Ordering::Acquire);
        self.pushed_seen.wrapping_sub(self.taken)
    }

    /// Whether nothing waits right now.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// How many records the ring holds.
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Whether the producer is gone and everything it pushed has been popped: nothing comes any more.
    pub fn is_disconnected(&mut self) -> bool {
        // The flag first: what was pushed before the producer went is then surely seen in `len`.
        self.ring.is_producer_gone.load(Ordering::Acquire) && self.is_empty()
    }

    /// Whether everything before a cut has been popped: what came behind it is missing.
    pub fn is_at_cut(&mut self) -> bool {
        // The flag first, as above.
        self.ring.is_cut.load(Ordering::Acquire) && self.is_empty()
    }
}

impl<T> Drop for RecordProducer<T> {
    fn drop(&mut self) {
        self.ring.is_producer_gone.store(true, Ordering::Release);
    }
}

impl<T> Drop for RecordConsumer<T> {
    fn drop(&mut self) {
        self.ring.is_consumer_gone.store(true, Ordering::Relaxed);
    }
}

impl<T> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for RecordProducer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordProducer").field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for RecordConsumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordConsumer").field("taken", &self.taken).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "ring_tests.rs"]
mod tests;
