//! A connection without a network: two ends in one process, for the virtual runner and for tests.
//!
//! Each end is a [`Transport`]; what one writes the other reads. It splits and merges segments from
//! a seed, and can be cut with bytes still under way. Any thread. Deliberately absent: delay; the
//! virtual runner moves time.

use super::{Lost, Received, Transport, Written};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Both directions.
#[derive(Debug)]
struct Shared {
    /// Bytes under way to end 0 and to end 1.
    towards: [VecDeque<u8>; 2],
    capacity: usize,
    is_open: bool,
}

/// One end of a [`pipe`].
#[derive(Debug)]
pub struct PipeEnd {
    shared: Arc<Mutex<Shared>>,
    /// 0 or 1.
    end: usize,
    /// State of the generator that sizes reads; 0 reads all that is there.
    fragments: u64,
    fragment_max: usize,
}

/// Two joined ends; each direction holds `capacity` bytes before a write is refused.
pub fn pipe(capacity: usize) -> (PipeEnd, PipeEnd) {
    let shared = Shared { towards: [VecDeque::new(), VecDeque::new()], capacity, is_open: true };
    let shared = Arc::new(Mutex::new(shared));
    let end = |end| PipeEnd { shared: Arc::clone(&shared), end, fragments: 0, fragment_max: 0 };
    (end(0), end(1))
}

impl PipeEnd {
    /// From now on each read gives 1 to `fragment_max` bytes, as the seed says.
    pub fn fragment(&mut self, seed: u64, fragment_max: usize) {
        self.fragments = seed | 1;
        self.fragment_max = fragment_max.max(1);
    }

    /// Ends the connection at once, as a pulled cable does: what is under way is lost, except the
    /// first `kept` bytes of each direction.
    pub fn cut(&mut self, kept: usize) {
        let mut shared = self.lock();
        shared.is_open = false;
        for bytes in &mut shared.towards {
            bytes.truncate(kept);
        }
    }

    /// Bytes under way to this end.
    pub fn pending(&self) -> usize {
        self.lock().towards.get(self.end).map_or(0, VecDeque::len)
    }

    /// A poisoned lock is taken all the same: the bytes are whole whatever panicked.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes this read may give (xorshift64: any spread will do).
    fn fragment_len(&mut self) -> usize {
        if self.fragments == 0 {
            return usize::MAX;
        }
        self.fragments ^= self.fragments << 13;
        self.fragments ^= self.fragments >> 7;
        self.fragments ^= self.fragments << 17;
        let max = u64::try_from(self.fragment_max).unwrap_or(u64::MAX);
        usize::try_from(self.fragments % max).unwrap_or(0).saturating_add(1)
    }
}

impl Transport for PipeEnd {
    fn read(&mut self, room: &mut [u8]) -> Received {
        let most = self.fragment_len();
        let end = self.end;
        let mut shared = self.lock();
        let is_open = shared.is_open;
        let Some(bytes) = shared.towards.get_mut(end) else { return Received::Nothing };
        let mut count = 0;
        for slot in room.iter_mut().take(most) {
            let Some(byte) = bytes.pop_front() else { break };
            *slot = byte;
            count += 1;
        }
        match count {
            0 if is_open => Received::Nothing,
            0 => Received::Closed(Lost::ByPeer),
            count => Received::Bytes(count),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        let end = self.end;
        let mut shared = self.lock();
        if !shared.is_open {
            return Written::Closed(Lost::ByPeer);
        }
        let capacity = shared.capacity;
        let Some(towards) = shared.towards.get_mut(1 - end.min(1)) else { return Written::Full };
        let count = capacity.saturating_sub(towards.len()).min(bytes.len());
        towards.extend(bytes.iter().take(count));
        if count == 0 { Written::Full } else { Written::Bytes(count) }
    }

    fn close(&mut self) {
        self.lock().is_open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_writes_the_other_reads() {
        let (mut left, mut right) = pipe(100);
        assert_eq!(left.write(b"hello"), Written::Bytes(5));
        let mut room = [0; 16];
        assert_eq!(right.read(&mut room), Received::Bytes(5));
        assert_eq!(&room[..5], b"hello");
        assert_eq!(right.read(&mut room), Received::Nothing);
    }

    #[test]
    fn a_full_pipe_takes_what_fits_and_then_nothing() {
        let (mut left, mut right) = pipe(4);
        assert_eq!(left.write(b"hello"), Written::Bytes(4));
        assert_eq!(left.write(b"o"), Written::Full);
        assert_eq!(right.read(&mut [0; 2]), Received::Bytes(2));
        assert_eq!(left.write(b"o"), Written::Bytes(1));
    }

    #[test]
    fn what_was_sent_before_a_close_still_arrives() {
        let (mut left, mut right) = pipe(100);
        left.write(b"bye");
        left.close();
        assert_eq!(right.read(&mut [0; 8]), Received::Bytes(3));
        assert_eq!(right.read(&mut [0; 8]), Received::Closed(Lost::ByPeer));
        assert_eq!(right.write(b"x"), Written::Closed(Lost::ByPeer));
    }

    #[test]
    fn a_cut_loses_what_is_under_way() {
        let (mut left, mut right) = pipe(100);
        left.write(b"lost");
        left.cut(1);
        assert_eq!(right.read(&mut [0; 8]), Received::Bytes(1));
        assert_eq!(right.read(&mut [0; 8]), Received::Closed(Lost::ByPeer));
    }

    #[test]
    fn fragments_are_the_same_for_the_same_seed() {
        let lengths = |seed| {
            let (mut left, mut right) = pipe(100);
            right.fragment(seed, 7);
            left.write(&[0; 100]);
            let mut lengths = Vec::new();
            while let Received::Bytes(count) = right.read(&mut [0; 100]) {
                assert!((1..=7).contains(&count));
                lengths.push(count);
            }
            lengths
        };
        assert_eq!(lengths(5), lengths(5));
        assert_ne!(lengths(5), lengths(6));
    }
}
