//! Blocks the same order sent over and over: a loop that does not see what it has already sent.
//!
//! Fed by the gate with every new order of one instrument; feeds its verdict. Maker thread. It looks
//! at the last [`REMEMBERED`] new orders, newest first, and no further than the window: a handful.
//! Replaces are not counted here; one order cannot be replaced by its twin. Deliberately absent: who
//! sent them; a quote and a hedge that look the same are the same.

use crate::risk::gate::{BlockReason, Verdict};
use crate::risk::window::WindowLimit;
use crate::units::{Lots, Nanos, Side, Ticks};

/// How many new orders of an instrument are remembered: the most that the limit may be.
pub const REMEMBERED: usize = 64;

/// What makes two orders the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Likeness {
    /// Side(54).
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// OrderQty(38).
    pub size: Lots,
}

/// One instrument's last new orders.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct DuplicateGuard {
    limit: WindowLimit,
    sent: [Option<(Nanos, Likeness)>; REMEMBERED],
    next: usize,
}

impl DuplicateGuard {
    /// At most `limit.max` orders alike in any window; at most [`REMEMBERED`].
    pub fn new(limit: WindowLimit) -> DuplicateGuard {
        DuplicateGuard { limit, sent: [None; REMEMBERED], next: 0 }
    }

    /// May an order like this go at `now`?
    pub fn check(&self, now: Nanos, order: Likeness) -> Verdict {
        let (newer, older) = self.sent.split_at(self.next.min(REMEMBERED));
        let newest_first = newer.iter().rev().chain(older.iter().rev());
        let in_window = newest_first
            .map_while(|sent| *sent)
            .take_while(|(at, _)| now.since(*at) < self.limit.window_ns);
        let alike = in_window.filter(|(_, sent)| *sent == order).count();
        if alike >= usize::try_from(self.limit.max).unwrap_or(usize::MAX).min(REMEMBERED) {
            return Verdict::Block(BlockReason::Duplicate);
        }
        Verdict::Pass
    }

    /// It went.
    pub fn on_sent(&mut self, now: Nanos, order: Likeness) {
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some((now, order));
        }
        self.next = if self.next + 1 < REMEMBERED { self.next + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: Verdict = Verdict::Block(BlockReason::Duplicate);
    const ORDER: Likeness = Likeness { side: Side::Buy, price: Ticks(100), size: Lots(5) };

    fn guard(max: u32) -> DuplicateGuard {
        DuplicateGuard::new(WindowLimit { max, window_ns: 1_000 })
    }

    #[test]
    fn the_limit_passes_one_more_blocks_and_a_tick_beside_it_passes() {
        let mut guard = guard(2);
        for at in [10, 20] {
            assert_eq!(guard.check(Nanos(at), ORDER), Verdict::Pass);
            guard.on_sent(Nanos(at), ORDER);
        }
        assert_eq!(guard.check(Nanos(30), ORDER), BLOCKED);
        for other in [
            Likeness { price: Ticks(101), ..ORDER },
            Likeness { size: Lots(6), ..ORDER },
            Likeness { side: Side::Sell, ..ORDER },
        ] {
            assert_eq!(guard.check(Nanos(30), other), Verdict::Pass);
        }
        assert_eq!(guard.check(Nanos(1_009), ORDER), BLOCKED);
        assert_eq!(guard.check(Nanos(1_010), ORDER), Verdict::Pass, "the first left the window");
    }

    #[test]
    fn a_limit_beyond_what_is_remembered_is_what_is_remembered() {
        let mut guard = guard(u32::MAX);
        for at in 0..REMEMBERED as u64 {
            assert_eq!(guard.check(Nanos(at), ORDER), Verdict::Pass);
            guard.on_sent(Nanos(at), ORDER);
        }
        assert_eq!(guard.check(Nanos(64), ORDER), BLOCKED);
        for at in 100..300 {
            guard.on_sent(Nanos(at), Likeness { price: Ticks(i64::MIN), ..ORDER });
        }
        let extreme = Likeness { price: Ticks(i64::MIN), ..ORDER };
        assert_eq!(guard.check(Nanos(300), extreme), BLOCKED, "the ring went round");
    }

    #[test]
    fn every_order_is_remembered_also_where_the_ring_begins_again() {
        let mut guard = guard(1);
        for n in 0..3 * REMEMBERED as i64 {
            let order = Likeness { price: Ticks(n), ..ORDER };
            assert_eq!(guard.check(Nanos(1), order), Verdict::Pass);
            guard.on_sent(Nanos(1), order);
            assert_eq!(guard.check(Nanos(1), order), BLOCKED, "{n}");
        }
    }

    #[test]
    fn a_limit_of_nothing_blocks_everything() {
        assert_eq!(guard(0).check(Nanos(0), ORDER), BLOCKED);
    }
}
