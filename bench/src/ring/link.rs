//! The links that the ring benchmark compares: ours, two peers', and the raw cache lines that none of
//! them can beat by much.

use ballast_engine::ring;
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is carried: 56 bytes, as much as shares a line with its sequence number.
pub type Message = [u64; 7];

/// A one-way link between two threads that neither blocks nor allocates once made.
pub trait Link {
    /// The end that sends.
    type Sender: Send;
    /// The end that receives.
    type Receiver: Send;
    /// Its name in reports.
    const NAME: &'static str;
    /// A link that holds `capacity` messages.
    fn make(capacity: usize) -> (Self::Sender, Self::Receiver);
    /// Whether the message was taken.
    fn send(sender: &mut Self::Sender, message: Message) -> bool;
    /// The next message, where there is one.
    fn receive(receiver: &mut Self::Receiver) -> Option<Message>;
}

/// One cache line a direction that holds a number: the least that two cores can exchange.
pub struct Line;

/// The receiving end of a [`Line`].
pub struct LineReader {
    line: Arc<CachePadded<AtomicU64>>,
    last: u64,
}

impl Link for Line {
    type Sender = Arc<CachePadded<AtomicU64>>;
    type Receiver = LineReader;
    const NAME: &'static str = "floor";

    fn make(_capacity: usize) -> (Self::Sender, LineReader) {
        let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
        (line.clone(), LineReader { line, last: 0 })
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: Message) -> bool {
        // +1: the line starts at 0.
        sender.store(message[0] + 1, Ordering::Release);
        true
    }

    #[inline]
    fn receive(receiver: &mut LineReader) -> Option<Message> {
        let number = receiver.line.load(Ordering::Acquire);
        if number == receiver.last {
            return None;
        }
        receiver.last = number;
        Some([number - 1, 0, 0, 0, 0, 0, 0])
    }
}

/// Our one-line-slot ring.
pub struct Slots;

impl Link for Slots {
    type Sender = ring::Producer<Message>;
    type Receiver = ring::Consumer<Message>;
    const NAME: &'static str = "slots";

    fn make(capacity: usize) -> (Self::Sender, Self::Receiver) {
        ring::slots(capacity)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: Message) -> bool {
        sender.push(message).is_ok()
    }

    #[inline]
    fn receive(receiver: &mut Self::Receiver) -> Option<Message> {
        receiver.pop()
    }
}

/// Our ring for records, one at a time.
pub struct Records;

impl Link for Records {
    type Sender = ring::RecordProducer<Message>;
    type Receiver = ring::RecordConsumer<Message>;
    const NAME: &'static str = "records";

    fn make(capacity: usize) -> (Self::Sender, Self::Receiver) {
        ring::records(capacity)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: Message) -> bool {
        sender.push(message).is_ok()
    }

    #[inline]
    fn receive(receiver: &mut Self::Receiver) -> Option<Message> {
        receiver.pop()
    }
}

/// `rtrb`, one at a time.
pub struct Rtrb;

impl Link for Rtrb {
    type Sender = rtrb::Producer<Message>;
    type Receiver = rtrb::Consumer<Message>;
    const NAME: &'static str = "rtrb";

    fn make(capacity: usize) -> (Self::Sender, Self::Receiver) {
        rtrb::RingBuffer::new(capacity)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: Message) -> bool {
        sender.push(message).is_ok()
    }

    #[inline]
    fn receive(receiver: &mut Self::Receiver) -> Option<Message> {
        receiver.pop().ok()
    }
}

/// crossbeam's `ArrayQueue`, which allows many producers and consumers and pays for it.
pub struct Array;

impl Link for Array {
    type Sender = Arc<ArrayQueue<Message>>;
    type Receiver = Arc<ArrayQueue<Message>>;
    const NAME: &'static str = "array_queue";

    fn make(capacity: usize) -> (Self::Sender, Self::Receiver) {
        let queue = Arc::new(ArrayQueue::new(capacity));
        (queue.clone(), queue)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: Message) -> bool {
        sender.push(message).is_ok()
    }

    #[inline]
    fn receive(receiver: &mut Self::Receiver) -> Option<Message> {
        receiver.pop()
    }
}

/// A link that takes and gives many messages at once.
pub trait Bulk: Link {
    /// Sends as many as there is room for; returns how many.
    fn send_many(sender: &mut Self::Sender, batch: &[Message]) -> usize;
    /// Fills `batch` from the front; returns how many.
    fn receive_many(receiver: &mut Self::Receiver, batch: &mut [Message]) -> usize;
}

impl Bulk for Records {
    #[inline]
    fn send_many(sender: &mut Self::Sender, batch: &[Message]) -> usize {
        sender.push_slice(batch)
    }

    #[inline]
    fn receive_many(receiver: &mut Self::Receiver, batch: &mut [Message]) -> usize {
        receiver.pop_slice(batch)
    }
}

impl Bulk for Rtrb {
    #[inline]
    fn send_many(sender: &mut Self::Sender, batch: &[Message]) -> usize {
        let count = batch.len().min(sender.slots());
        match sender.write_chunk_uninit(count) {
            Ok(chunk) => chunk.fill_from_iter(batch.iter().copied()),
            Err(_) => 0,
        }
    }

    #[inline]
    fn receive_many(receiver: &mut Self::Receiver, batch: &mut [Message]) -> usize {
        let count = batch.len().min(receiver.slots());
        let Ok(chunk) = receiver.read_chunk(count) else { return 0 };
        let (first, second) = chunk.as_slices();
        batch[..first.len()].copy_from_slice(first);
        batch[first.len()..count].copy_from_slice(second);
        chunk.commit_all();
        count
    }
}
