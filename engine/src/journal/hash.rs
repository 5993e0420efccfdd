//! One number for all that a maker decided: SHA-256 over its intents, in order.
//!
//! Fed by whatever sees the intents (the journal's writer, the replay, a backtest); feeds the end
//! record and the reports. Any thread but the maker's. An intent's canonical encoding is 45 bytes,
//! little-endian: ClOrdID, OrigClOrdID, price, size, time (8 each), instrument (2), action, side,
//! time in force (1 each, with the journal's tags). Absent on purpose: `stamp`, a counter of this host
//! that says when a decision was made and nothing about what was decided.
//!
//! [`RunHash`] is over what came of them too: each intent behind the byte `I`, each fill that the maker
//! was told behind `F`, in the order of the journal. A fill's encoding is 60 bytes: time, ClOrdID,
//! price, size, CumQty, LeavesQty, ExecID (8 each), instrument (2), side, liquidity (1 each).

use super::codec::Field;
use super::record::Record;
use crate::event::{OrderEvent, OrderIntent, OrderUpdate};
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

/// The running hash over intents and fills.
#[derive(Clone, Debug, Default)]
pub struct RunHash {
    hasher: Sha256,
    scratch: Vec<u8>,
}

impl RunHash {
    /// Over nothing yet.
    pub fn new() -> RunHash {
        RunHash::default()
    }

    /// Takes the journal's next entry in, where it is an intent or a fill.
    pub fn update(&mut self, entry: &Record) {
        match entry {
            Record::Intent { intent, .. } => {
                canonical(intent, &mut self.scratch);
                self.hasher.update(b"I");
            }
            Record::Order { event, .. } if canonical_fill(event, &mut self.scratch) => {
                self.hasher.update(b"F");
            }
            Record::Order { .. }
            | Record::Market { .. }
            | Record::Control { .. }
            | Record::Timer { .. }
            | Record::State { .. }
            | Record::End(_) => return,
        }
        self.hasher.update(&self.scratch);
    }

    /// The hash over all so far.
    pub fn value(&self) -> Sha {
        Sha(self.hasher.clone().finalize().into())
    }
}

/// Fills `to` with a fill's canonical encoding; false where the event is none.
fn canonical_fill(event: &OrderEvent, to: &mut Vec<u8>) -> bool {
    let OrderUpdate::Fill { exec_id, side, last_px, last_qty, cum_qty, leaves_qty, liquidity } =
        event.update
    else {
        return false;
    };
    to.clear();
    event.at.put(to);
    event.cl_ord_id.put(to);
    last_px.put(to);
    last_qty.put(to);
    cum_qty.put(to);
    leaves_qty.put(to);
    exec_id.put(to);
    event.instrument.put(to);
    side.put(to);
    liquidity.put(to);
    true
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

    #[test]
    fn a_run_s_hash_is_over_fills_too_and_over_nothing_else_that_the_venue_says() {
        let order = |update| Record::Order {
            number: 1,
            now: Nanos(6),
            event: OrderEvent {
                at: Nanos(6),
                venue_at: Nanos(5),
                stamp: Stamp(1),
                msg_seq_num: 1,
                cl_ord_id: ClOrdId(1),
                orig_cl_ord_id: ClOrdId::NONE,
                update,
                instrument: InstrumentId(7),
                venue: crate::event::VenueId(0),
            },
        };
        let fill = |price| OrderUpdate::Fill {
            exec_id: crate::event::ExecId(9),
            side: Side::Buy,
            last_px: Ticks(price),
            last_qty: Lots(2),
            cum_qty: Lots(2),
            leaves_qty: Lots(0),
            liquidity: crate::event::Liquidity::Maker,
        };
        let hash = |updates: &[OrderUpdate]| {
            let mut hash = RunHash::new();
            hash.update(&Record::Intent { cause: 0, intent: intent() });
            updates.iter().for_each(|&update| hash.update(&order(update)));
            hash.value()
        };
        let acknowledged = OrderUpdate::New { leaves_qty: Lots(2) };
        assert_eq!(hash(&[]), hash(&[acknowledged]));
        assert_ne!(hash(&[]), hash(&[fill(3)]));
        assert_ne!(hash(&[fill(3)]), hash(&[fill(4)]));
        let mut bytes = Vec::new();
        let Record::Order { event, .. } = order(fill(3)) else { unreachable!() };
        assert!(canonical_fill(&event, &mut bytes));
        assert_eq!(bytes.len(), 60);
    }
}
