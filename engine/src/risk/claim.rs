//! What a message is for, where messages are scarce: quotes go last, cancels first.
//!
//! Fed by the maker's one way out; read by the two controls that count messages. A market that moves fast takes
//! every message that quotes may have, and then risk must still come off: a tenth of what is not the cancels'
//! alone is kept for orders that trade home. Deliberately absent: the counting itself.

use crate::orders::order::Purpose;

/// Who wants a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A quote, new or moved.
    Quote,
    /// An immediate order: a hedge, an exit, one leg of a rebalancing trade.
    Immediate,
    /// A cancel.
    Cancel,
}

impl Claim {
    /// A new order's.
    pub const fn of(purpose: Purpose) -> Claim {
        match purpose {
            Purpose::Quote { .. } => Claim::Quote,
            Purpose::Hedge | Purpose::Rebalance => Claim::Immediate,
        }
    }
}

/// How many of `all` messages quotes may have: a tenth less, and at least one less where there are two.
#[inline]
pub const fn left_to_quotes(all: u64) -> u64 {
    let kept = all / 10;
    all - if kept == 0 && all > 1 { 1 } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_kept_from_quotes_and_the_last_one_never() {
        let cases = [
            (0, 0),
            (1, 1),
            (2, 1),
            (9, 8),
            (10, 9),
            (100, 90),
            (u64::MAX, u64::MAX - u64::MAX / 10),
        ];
        for (all, quotes) in cases {
            assert_eq!(left_to_quotes(all), quotes, "{all}");
        }
    }
}
