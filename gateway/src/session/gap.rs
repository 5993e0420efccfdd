//! A gap: numbers that are missing, and the messages above them that wait.
//!
//! Fed by `inbound`; the machine takes what has become next. Not hot: a session without a gap never
//! gets here. Deliberately absent: sending anything.

use ballast_engine::units::Nanos;
use std::collections::BTreeMap;

/// What waits under a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A message to be processed in its turn.
    Frame(Vec<u8>),
    /// A Logon or ResendRequest that was acted on at once: only its number is still to count.
    Done,
}

/// Messages above a gap, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Held {
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
    /// Messages that found no room; they will be asked for again.
    pub dropped: u64,
}

impl Held {
    pub(super) fn new(count_max: usize, bytes_max: usize) -> Self {
        Held { waiting: BTreeMap::new(), bytes: 0, count_max, bytes_max, dropped: 0 }
    }

    /// Keeps a message; where there is no room for it, it is dropped and counted.
    pub(super) fn keep(&mut self, number: u64, waiting: Waiting) {
        if self.waiting.contains_key(&number) {
            return;
        }
        let bytes = size_of_frame(&waiting);
        let is_full = self.waiting.len() >= self.count_max
            || self.bytes.saturating_add(bytes) > self.bytes_max;
        if is_full {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.insert(number, waiting);
    }

    /// Takes what waits under `expected`, and forgets what waits below.
    pub(super) fn take(&mut self, expected: u64) -> Option<Waiting> {
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > expected {
                return None;
            }
            let (number, waiting) = first.remove_entry();
            self.bytes = self.bytes.saturating_sub(size_of_frame(&waiting));
            if number == expected {
                return Some(waiting);
            }
        }
        None
    }

    /// Whether something waits under `expected`.
    pub(super) fn has(&self, expected: u64) -> bool {
        self.waiting.contains_key(&expected)
    }

    /// The lowest number from `number` on under which something waits.
    pub(super) fn first_from(&self, number: u64) -> Option<u64> {
        self.waiting.range(number..).next().map(|(held, _)| *held)
    }

    /// Drops what waits under `number` and above.
    pub(super) fn forget_from(&mut self, number: u64) {
        let dropped = self.waiting.split_off(&number);
        let bytes: usize = dropped.values().map(size_of_frame).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

fn size_of_frame(waiting: &Waiting) -> usize {
    match waiting {
        Waiting::Frame(frame) => frame.len(),
        Waiting::Done => 0,
    }
}

/// The one outstanding ResendRequest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    /// The last number known to be missing or waiting.
    pub high: u64,
    /// The last number asked for; the next chunk is asked for beyond it.
    pub asked_to: u64,
    /// When it was asked for, or last made progress.
    pub since: Nanos,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Waiting {
        Waiting::Frame(vec![b'x'; len])
    }

    #[test]
    fn messages_come_out_in_order_once() {
        let mut held = Held::new(10, 1000);
        held.keep(7, frame(1));
        held.keep(5, frame(2));
        held.keep(5, frame(9));
        held.keep(6, Waiting::Done);
        assert_eq!(held.take(4), None);
        assert_eq!(held.take(5), Some(frame(2)));
        assert_eq!(held.take(6), Some(Waiting::Done));
        assert_eq!(held.take(7), Some(frame(1)));
        assert_eq!(held.take(8), None);
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn memory_is_bounded_by_count_and_by_bytes() {
        let mut held = Held::new(2, 10);
        held.keep(1, frame(6));
        held.keep(2, frame(6));
        assert_eq!(held.dropped, 1);
        held.keep(3, frame(4));
        held.keep(4, Waiting::Done);
        assert_eq!(held.dropped, 2);
        assert!(held.has(3) && !held.has(4));
    }

    #[test]
    fn what_is_below_the_expected_number_is_forgotten() {
        let mut held = Held::new(10, 10);
        held.keep(3, frame(10));
        assert_eq!(held.take(9), None);
        held.keep(10, frame(4));
        held.keep(12, frame(6));
        held.forget_from(11);
        assert!(held.has(10) && !held.has(12));
        held.keep(13, frame(6));
        assert!(held.has(13), "what was forgotten takes no room");
        held.clear();
        assert!(!held.has(10));
        held.keep(11, frame(10));
        assert!(held.has(11), "all the room is there again");
    }
}
