//! How many messages may go out in any window of time, with a part that only cancels may use, and one that
//! quotes may not.
//!
//! Fed by the gate, on the maker's time; feeds its verdict. Maker thread. Exact for every sliding
//! window, not for fixed ones: message `n` may go only when message `n − max` is a window old.

use crate::risk::claim::{Claim, left_to_quotes};
use crate::risk::gate::{BlockReason, Verdict};
use crate::risk::window::Recent;
use crate::units::Nanos;

/// Message budget of one venue's order session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct MessageRate {
    /// Most messages in any window.
    pub max: u32,
    /// The window.
    pub window_ns: u64,
    /// How many of `max` only cancels may use.
    pub cancel_reserve: u32,
}

/// Enforces a [`MessageRate`].
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Throttle {
    rate: MessageRate,
    /// How many of `max` are not the cancels' alone, and how many of those quotes may use.
    orders: u32,
    quotes: u32,
    /// The last `max` messages.
    sent: Recent,
}

impl Throttle {
    /// Allocates the ring of times.
    pub fn new(rate: MessageRate) -> Throttle {
        let orders = rate.max.saturating_sub(rate.cancel_reserve);
        // No more than there are: it fits.
        let quotes = u32::try_from(left_to_quotes(orders.into())).unwrap_or(orders);
        Throttle { rate, orders, quotes, sent: Recent::new(rate.max) }
    }

    /// May a message go at `now`?
    #[inline]
    pub fn check(&self, now: Nanos, claim: Claim) -> Verdict {
        let allowed = match claim {
            Claim::Cancel => self.rate.max,
            Claim::Immediate => self.orders,
            Claim::Quote => self.quotes,
        };
        // The message `allowed` places back must have left the window.
        if allowed == 0 || self.sent.is_within(allowed, now, self.rate.window_ns) {
            return Verdict::Block(BlockReason::MessageRate);
        }
        Verdict::Pass
    }

    /// A message goes at `now`.
    #[inline]
    pub fn on_sent(&mut self, now: Nanos) {
        self.sent.push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: MessageRate = MessageRate { max: 5, window_ns: 100, cancel_reserve: 2 };

    #[test]
    fn orders_stop_where_the_reserve_begins_and_cancels_go_on() {
        let mut throttle = Throttle::new(RATE);
        for _ in 0..3 {
            assert_eq!(throttle.check(Nanos(10), Claim::Immediate), Verdict::Pass);
            throttle.on_sent(Nanos(10));
        }
        let blocked = Verdict::Block(BlockReason::MessageRate);
        assert_eq!(throttle.check(Nanos(10), Claim::Immediate), blocked);
        for _ in 0..2 {
            assert_eq!(throttle.check(Nanos(10), Claim::Cancel), Verdict::Pass);
            throttle.on_sent(Nanos(10));
        }
        assert_eq!(throttle.check(Nanos(10), Claim::Cancel), blocked);
        assert_eq!(throttle.check(Nanos(109), Claim::Cancel), blocked);
        assert_eq!(throttle.check(Nanos(110), Claim::Cancel), Verdict::Pass);
    }

    #[test]
    fn quotes_leave_the_last_place_to_a_hedge() {
        let mut throttle = Throttle::new(RATE);
        for _ in 0..2 {
            assert_eq!(throttle.check(Nanos(10), Claim::Quote), Verdict::Pass);
            throttle.on_sent(Nanos(10));
        }
        let blocked = Verdict::Block(BlockReason::MessageRate);
        assert_eq!(throttle.check(Nanos(10), Claim::Quote), blocked);
        assert_eq!(throttle.check(Nanos(10), Claim::Immediate), Verdict::Pass);
    }

    proptest! {
        #[test]
        fn no_sliding_window_ever_holds_more_than_the_limit(gaps in proptest::collection::vec((0u64..60, any::<bool>()), 1..300)) {
            let mut throttle = Throttle::new(RATE);
            let mut now = 1_000;
            let mut sent: Vec<u64> = Vec::new();
            for (gap, is_cancel) in gaps {
                now += gap;
                let claim = if is_cancel { Claim::Cancel } else { Claim::Immediate };
                if throttle.check(Nanos(now), claim) == Verdict::Pass {
                    throttle.on_sent(Nanos(now));
                    sent.push(now);
                }
                let in_window = sent.iter().filter(|t| now - **t < RATE.window_ns).count();
                prop_assert!(in_window <= RATE.max as usize);
            }
        }
    }
}
