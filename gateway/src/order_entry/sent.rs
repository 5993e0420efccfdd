//! Which order message went out under which MsgSeqNum(34): what a Reject(3) refers to.
//!
//! Fed by the stage with each message that it sends; asked when the venue rejects one. Order-entry
//! thread; a ring of the newest, taken at start. Deliberately absent: the messages themselves; the
//! session's store has those.

use ballast_engine::event::{ClOrdId, InstrumentId};

/// One message that went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    /// Its MsgSeqNum(34).
    pub msg_seq_num: u64,
    /// Its ClOrdID(11).
    pub cl_ord_id: ClOrdId,
    /// Its OrigClOrdID(41).
    pub orig_cl_ord_id: ClOrdId,
    /// What it was about.
    pub instrument: InstrumentId,
}

/// The newest messages that went out.
pub struct SentMessages {
    newest: Box<[Sent]>,
}

impl SentMessages {
    /// Remembers the newest `capacity` (rounded up to a power of two).
    pub fn new(capacity: usize) -> SentMessages {
        let capacity = capacity.clamp(2, 1 << 20).next_power_of_two();
        SentMessages { newest: vec![Sent::default(); capacity].into_boxed_slice() }
    }

    /// Takes note of one. Numbers within one capacity of each other never collide.
    pub fn remember(&mut self, sent: Sent) {
        let place = self.place_of(sent.msg_seq_num);
        if let Some(slot) = self.newest.get_mut(place) {
            *slot = sent;
        }
    }

    /// What went out under this number, if it was an order message and not too long ago.
    pub fn find(&self, msg_seq_num: u64) -> Option<Sent> {
        let sent = self.newest.get(self.place_of(msg_seq_num)).copied()?;
        (sent.msg_seq_num == msg_seq_num && sent.cl_ord_id != ClOrdId::NONE).then_some(sent)
    }

    /// Forgets all: the session starts again at 1.
    pub fn clear(&mut self) {
        self.newest.fill(Sent::default());
    }

    fn place_of(&self, msg_seq_num: u64) -> usize {
        let mask = u64::try_from(self.newest.len() - 1).unwrap_or(0);
        usize::try_from(msg_seq_num & mask).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_number_leads_to_the_newest_order_that_had_it() {
        let mut sent = SentMessages::new(4);
        for number in 2..=7 {
            let cl_ord_id = ClOrdId(number * 10);
            sent.remember(Sent { msg_seq_num: number, cl_ord_id, ..Sent::default() });
        }
        assert_eq!(sent.find(7).map(|s| s.cl_ord_id), Some(ClOrdId(70)));
        assert_eq!(sent.find(4).map(|s| s.cl_ord_id), Some(ClOrdId(40)));
        assert_eq!(sent.find(3), None, "overwritten by 7");
        assert_eq!(sent.find(1), None, "the Logon is no order");
        sent.clear();
        assert_eq!(sent.find(7), None);
    }
}
