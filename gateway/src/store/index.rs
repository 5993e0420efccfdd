//! Where the last messages of one direction lie, by number.
//!
//! Fed and asked by `file.rs`, on the session's thread. A fixed table: an old message makes room for
//! a new one. Deliberately absent: the messages.

/// Where a message lies; number 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub msg_seq_num: u64,
    pub segment: u32,
    pub payload: u32,
    pub len: u32,
}

/// The last messages of one direction, by number.
#[derive(Debug)]
pub(super) struct Index {
    places: Vec<Place>,
}

impl Index {
    pub(super) fn new(held: usize) -> Self {
        Index { places: vec![Place::default(); held.max(1)] }
    }

    fn position(&self, msg_seq_num: u64) -> usize {
        let held = u64::try_from(self.places.len()).unwrap_or(1).max(1);
        usize::try_from(msg_seq_num % held).unwrap_or(0)
    }

    pub(super) fn put(&mut self, place: Place) {
        let position = self.position(place.msg_seq_num);
        if let Some(slot) = self.places.get_mut(position) {
            *slot = place;
        }
    }

    pub(super) fn get(&self, msg_seq_num: u64) -> Option<Place> {
        let place = *self.places.get(self.position(msg_seq_num))?;
        (msg_seq_num != 0 && place.msg_seq_num == msg_seq_num).then_some(place)
    }

    pub(super) fn clear(&mut self) {
        self.places.fill(Place::default());
    }
}
