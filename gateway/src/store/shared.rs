//! A store that several look at: one copy of its messages until one of them writes.
//!
//! For simulations, where what a dead process left is looked at several times before the next one writes
//! on. A write where nobody else looks copies nothing.

use super::{Store, StoreError};
use ballast_engine::units::Nanos;
use std::sync::Arc;

impl<S: Store + Clone> Store for Arc<S> {
    fn next_sender(&self) -> u64 {
        (**self).next_sender()
    }

    fn next_target(&self) -> u64 {
        (**self).next_target()
    }

    fn created_at(&self) -> Nanos {
        (**self).created_at()
    }

    fn sync_failures(&self) -> u64 {
        (**self).sync_failures()
    }

    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(self).put_outbound(frame)
    }

    fn put_outbound_admin(&mut self) -> Result<(), StoreError> {
        Arc::make_mut(self).put_outbound_admin()
    }

    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(self).put_inbound(frame)
    }

    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError> {
        Arc::make_mut(self).set_next_target(next)
    }

    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError> {
        Arc::make_mut(self).set_next_sender(next)
    }

    fn reset(&mut self, now: Nanos) -> Result<(), StoreError> {
        Arc::make_mut(self).reset(now)
    }

    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        (**self).outbound(msg_seq_num)
    }

    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        (**self).inbound(msg_seq_num)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;

    #[test]
    fn who_looks_sees_what_was_there_and_who_writes_alone_writes_on() {
        let mut ours = Arc::new(MemoryStore::new());
        ours.put_outbound(b"first").unwrap();
        let looks = Arc::clone(&ours);
        ours.put_outbound(b"second").unwrap();
        ours.put_inbound(b"answer").unwrap();
        assert_eq!((looks.next_sender(), looks.outbound(2)), (2, None));
        assert_eq!((ours.next_sender(), ours.outbound(2)), (3, Some(&b"second"[..])));
        assert_eq!(
            (ours.outbound(1), ours.inbound(1)),
            (Some(&b"first"[..]), Some(&b"answer"[..]))
        );
    }
}
