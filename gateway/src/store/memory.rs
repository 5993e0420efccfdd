//! A store that forgets at the process's end: for tests, simulations and sessions that reset at
//! every logon.
//!
//! The session feeds and reads it, on the session's thread. Slots are reused, so that nothing is
//! allocated once they are warm. Deliberately absent: any durability.

use super::{Store, StoreError};
use ballast_engine::units::Nanos;

/// Messages held in each direction.
const HELD: usize = 4096;

/// Room that a slot keeps for its next message.
const KEPT_BYTES: usize = 64 * 1024;

/// Sequence numbers and the last 4096 messages of each direction, in memory; or of the outbound one alone.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    next_sender: u64,
    next_target: u64,
    created_at: Nanos,
    outbound: Slots,
    inbound: Slots,
}

/// The last messages of one direction, by number.
#[derive(Clone, Debug)]
struct Slots {
    slots: Vec<Slot>,
}

/// One message; number 0 is none.
#[derive(Debug, Clone, Default)]
struct Slot {
    msg_seq_num: u64,
    frame: Vec<u8>,
}

impl Slots {
    fn new(held: usize) -> Self {
        Slots { slots: vec![Slot::default(); held] }
    }

    /// Beyond the end where there are no slots.
    fn position(&self, msg_seq_num: u64) -> usize {
        let place = msg_seq_num.checked_rem(self.slots.len() as u64);
        place.and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX)
    }

    fn put(&mut self, msg_seq_num: u64, frame: &[u8]) {
        let position = self.position(msg_seq_num);
        if let Some(slot) = self.slots.get_mut(position) {
            slot.msg_seq_num = msg_seq_num;
            slot.frame.clear();
            // A whole book in every slot would be gigabytes.
            if slot.frame.capacity() > KEPT_BYTES && frame.len() <= KEPT_BYTES {
                slot.frame = Vec::new();
            }
            // Rounded up, so that a slot once warm stays so when numbers gain a digit.
            slot.frame.reserve(frame.len().next_multiple_of(256));
            slot.frame.extend_from_slice(frame);
        }
    }

    fn get(&self, msg_seq_num: u64) -> Option<&[u8]> {
        let slot = self.slots.get(self.position(msg_seq_num))?;
        (msg_seq_num != 0 && slot.msg_seq_num == msg_seq_num).then_some(slot.frame.as_slice())
    }

    fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.msg_seq_num = 0;
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty store: both numbers are 1.
    pub fn new() -> Self {
        MemoryStore::holding(HELD)
    }

    /// An empty store that counts what comes in and holds none of it: for market data, of which a feed asks for
    /// a new snapshot rather than be told anything again.
    pub fn outbound_only() -> Self {
        MemoryStore::holding(0)
    }

    fn holding(inbound: usize) -> Self {
        MemoryStore {
            next_sender: 1,
            next_target: 1,
            created_at: Nanos(0),
            outbound: Slots::new(HELD),
            inbound: Slots::new(inbound),
        }
    }
}

impl Store for MemoryStore {
    fn next_sender(&self) -> u64 {
        self.next_sender
    }

    fn next_target(&self) -> u64 {
        self.next_target
    }

    fn created_at(&self) -> Nanos {
        self.created_at
    }

    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.outbound.put(self.next_sender, frame);
        self.next_sender = self.next_sender.saturating_add(1);
        Ok(())
    }

    fn put_outbound_admin(&mut self) -> Result<(), StoreError> {
        self.next_sender = self.next_sender.saturating_add(1);
        Ok(())
    }

    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.inbound.put(self.next_target, frame);
        self.next_target = self.next_target.saturating_add(1);
        Ok(())
    }

    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError> {
        self.next_target = next;
        Ok(())
    }

    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError> {
        self.next_sender = next;
        Ok(())
    }

    fn reset(&mut self, now: Nanos) -> Result<(), StoreError> {
        self.next_sender = 1;
        self.next_target = 1;
        self.created_at = now.max(self.created_at.plus(1));
        self.outbound.clear();
        self.inbound.clear();
        Ok(())
    }

    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.outbound.get(msg_seq_num)
    }

    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.inbound.get(msg_seq_num)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrative_numbers_have_no_message() {
        let mut store = MemoryStore::new();
        store.put_outbound_admin().unwrap();
        store.put_outbound(b"order").unwrap();
        assert_eq!(store.outbound(1), None);
        assert_eq!(store.outbound(2), Some(&b"order"[..]));
        assert_eq!(store.next_sender(), 3);
    }

    #[test]
    fn a_reset_forgets_what_could_be_resent() {
        let mut store = MemoryStore::new();
        store.put_outbound(b"order").unwrap();
        store.put_inbound(b"report").unwrap();
        store.reset(Nanos(7)).unwrap();
        assert_eq!((store.next_sender(), store.next_target()), (1, 1));
        assert_eq!((store.outbound(1), store.inbound(1)), (None, None));
        assert_eq!(store.created_at(), Nanos(7));
    }

    #[test]
    fn what_comes_in_can_be_counted_and_not_held() {
        let mut store = MemoryStore::outbound_only();
        store.put_inbound(b"book").unwrap();
        store.put_outbound(b"question").unwrap();
        assert_eq!((store.next_sender(), store.next_target()), (2, 2));
        assert_eq!((store.outbound(1), store.inbound(1)), (Some(&b"question"[..]), None));
        store.reset(Nanos(7)).unwrap();
        assert_eq!((store.outbound(1), store.inbound(1)), (None, None));
    }

    #[test]
    fn an_old_message_makes_room_and_is_then_gone() {
        let mut store = MemoryStore::new();
        for _ in 0..=HELD {
            store.put_outbound(b"x").unwrap();
        }
        assert_eq!(store.outbound(1), None);
        assert!(store.outbound(2).is_some());
    }
}
