//! One number for all that a maker decided: SHA-256 over its intents, in order.
//!
//! Fed by whatever sees the intents (the journal's writer, the replay, a backtest); feeds the end
//! record and the reports. Any thread but the maker's. An intent's canonical encoding is 45 bytes,
//! little-endian: ClOrdID, OrigClOrdID, price, size, time (8 each), instrument (2), action, side,
//! time in force (1 each, with the journal's tags). Absent on purpose: `stamp`, a counter of this host
//! that says when a decision was made and nothing about what was decided.

use super::codec::Field;
use crate::event::OrderIntent;
use sha2::{Digest, Sha256};

/// A SHA-256, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sha(pub [u8; 32]);

impl Sha {
    /// The hash of some text.
    pub fn of(bytes: &[u8]) -> Sha {
        Sha(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Sha {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The running hash over intents.
#[derive(Clone, Debug, Default)]
pub struct IntentsHash {
    hasher: Sha256,
    count: u64,
    scratch: Vec<u8>,
}

impl IntentsHash {
    /// Over nothing yet.
    pub fn new() -> IntentsHash {
        IntentsHash::default()
    }

    /// Takes the next intent in.
    pub fn update(&mut self, intent: &OrderIntent) {
        canonical(intent, &mut self.scratch);
        self.hasher.update(&self.scratch);
        self.count += 1;
    }

    /// How many intents were taken in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash over all so far.
    pub fn value(&self) -> Sha {
        Sha(self.hasher.clone().finalize().into())
    }
}

/// Fills `to` with an intent's canonical encoding.
fn canonical(intent: &OrderIntent, to: &mut Vec<u8>) {
    to.clear();
    intent.cl_ord_id.put(to);
    intent.orig_cl_ord_id.put(to);
    intent.price.put(to);
    intent.size.put(to);
    intent.at.put(to);
    intent.instrument.put(to);
    intent.action.put(to);
    intent.side.put(to);
    intent.time_in_force.put(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClOrdId, InstrumentId, OrderAction, TimeInForce};
    use crate::units::{Lots, Nanos, Side, Stamp, Ticks};

    fn intent() -> OrderIntent {
        OrderIntent {
            cl_ord_id: ClOrdId(1),
            orig_cl_ord_id: ClOrdId(2),
            price: Ticks(3),
            size: Lots(4),
            stamp: Stamp(5),
            at: Nanos(6),
            instrument: InstrumentId(7),
            action: OrderAction::Cancel,
            side: Side::Sell,
            time_in_force: TimeInForce::PostOnly,
        }
    }

    #[test]
    fn no_intents_hash_to_the_hash_of_nothing() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(IntentsHash::new().value().to_string(), empty);
    }

    #[test]
    fn the_canonical_encoding_is_what_the_first_lines_say() {
        let mut bytes = Vec::new();
        canonical(&intent(), &mut bytes);
        let mut expected = Vec::new();
        for number in [1u64, 2, 3, 4, 6] {
            expected.extend_from_slice(&number.to_le_bytes());
        }
        expected.extend_from_slice(&[7, 0, 3, 2, 1]);
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), 45);
    }

    #[test]
    fn the_host_s_counter_does_not_change_the_hash_and_the_price_does() {
        let hash = |intent: OrderIntent| {
            let mut hash = IntentsHash::new();
            hash.update(&intent);
            hash.value()
        };
        assert_eq!(hash(intent()), hash(OrderIntent { stamp: Stamp(99), ..intent() }));
        assert_ne!(hash(intent()), hash(OrderIntent { price: Ticks(99), ..intent() }));
    }
}
