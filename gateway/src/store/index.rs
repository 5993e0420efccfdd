//! Where the last messages of one direction lie, by number.
//!
//! Fed and asked by `file.rs`, on the session's thread. A fixed table: an old message makes room for
//! a new one. Deliberately absent: the messages.

/// Where a message lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub segment: u32,
    pub payload: u32,
    pub len: u32,
}

/// A message's number, of which 0 is none, the life of the numbers that it has it in, and its place.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    msg_seq_num: u64,
    life: u32,
    place: Place,
}

/// The last messages of one direction, by number.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<Slot>,
    /// Counts how often the numbers began anew. To forget is to count: a store that is reset at each Logon
    /// reads a reset of every run as it opens, and the session's thread does one as it logs on, where six
    /// megabytes of slots to write took a millisecond.
    life: u32,
}

impl Index {
    pub(super) fn new(held: usize) -> Self {
        Index { slots: vec![Slot::default(); held.max(1)], life: 0 }
    }

    fn position(&self, msg_seq_num: u64) -> usize {
        let held = u64::try_from(self.slots.len()).unwrap_or(1).max(1);
        usize::try_from(msg_seq_num % held).unwrap_or(0)
    }

    pub(super) fn put(&mut self, msg_seq_num: u64, place: Place) {
        let position = self.position(msg_seq_num);
        if let Some(slot) = self.slots.get_mut(position) {
            *slot = Slot { msg_seq_num, life: self.life, place };
        }
    }

    pub(super) fn get(&self, msg_seq_num: u64) -> Option<Place> {
        let slot = self.slots.get(self.position(msg_seq_num))?;
        let is_held = slot.life == self.life && slot.msg_seq_num == msg_seq_num;
        (msg_seq_num != 0 && is_held).then_some(slot.place)
    }

    pub(super) fn clear(&mut self) {
        self.life = self.life.wrapping_add(1);
        if self.life == 0 {
            // Counted through: a slot of the first life would look like one of this.
            self.slots.fill(Slot::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { segment: 1, payload: 64, len: 10 };

    #[test]
    fn forgets_what_was_put_before_it_was_cleared() {
        let mut index = Index::new(4);
        index.put(1, PLACE);
        index.clear();
        assert!(index.get(1).is_none());
        index.put(1, PLACE);
        assert!(index.get(1).is_some());
        assert!(index.get(5).is_none(), "another number of the same slot");
    }

    #[test]
    fn forgets_the_first_life_when_the_lives_are_counted_through() {
        let mut index = Index::new(4);
        index.put(1, PLACE);
        index.life = u32::MAX;
        index.put(2, PLACE);
        index.clear();
        assert!(index.get(1).is_none() && index.get(2).is_none());
    }
}
