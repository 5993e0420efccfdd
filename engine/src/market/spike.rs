//! The one-tick spike guard: a touch that is suddenly elsewhere is not believed before it is confirmed.
//!
//! Fed by [`Trust`](super::trust::Trust) with the touch of every whole message; feeds its answer. Maker
//! thread; a few compares a message. A jump is a side of the touch further than the limit from where it
//! was believed to be. What confirms it: so many further messages with the touch where it jumped to, or
//! so long without a word against it. A touch that comes back was a bad print and is forgotten.
//! Deliberately absent: a gap or a restart forgets nothing (a bad print may be the first word after it),
//! and a market that really moved costs one confirmation.

use crate::estimate::volatility::Sigma;
use crate::market::book::Touch;
use crate::units::{Nanos, Ticks};

/// What counts as a jump, and what confirms it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct SpikeLimit {
    /// How far a side of the touch may move in one message.
    pub width: Ticks,
    /// How many times σ, in ticks per √second, it may move where that is further; 0: the width alone.
    pub sigmas: u32,
    /// How many further messages confirm a jump.
    pub messages: u32,
    /// How long a jump must stand to be confirmed without them.
    pub after_ns: u64,
}

/// A touch that jumped and is not confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Suspect {
    touch: [Ticks; 2],
    since: Nanos,
    messages: u32,
}

/// One instrument's guard.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct SpikeGuard {
    limit: SpikeLimit,
    believed: Option<[Ticks; 2]>,
    suspect: Option<Suspect>,
    spikes_seen: u64,
}

impl SpikeGuard {
    /// Nothing believed yet: the first touch is.
    pub fn new(limit: SpikeLimit) -> SpikeGuard {
        SpikeGuard { limit, believed: None, suspect: None, spikes_seen: 0 }
    }

    /// How often a touch jumped, confirmed afterwards or not.
    pub fn spikes_seen(&self) -> u64 {
        self.spikes_seen
    }

    /// The touch after a whole message.
    pub fn on_touch(&mut self, now: Nanos, touch: &Touch, sigma: Sigma) {
        let at = [touch.bid.price, touch.ask.price];
        let width = self.width(sigma);
        let is_near = |other: [Ticks; 2]| {
            let [bid, ask] = at;
            let [other_bid, other_ask] = other;
            bid.0.abs_diff(other_bid.0) <= width && ask.0.abs_diff(other_ask.0) <= width
        };
        if self.believed.is_none_or(is_near) {
            self.believe(at);
            return;
        }
        match self.suspect.filter(|suspect| is_near(suspect.touch)) {
            Some(before) => {
                let messages = before.messages.saturating_add(1);
                self.suspect = Some(Suspect { touch: at, messages, ..before });
                if messages >= self.limit.messages || !self.is_suspect(now) {
                    self.believe(at);
                }
            }
            None => {
                self.suspect = Some(Suspect { touch: at, since: now, messages: 0 });
                self.spikes_seen = self.spikes_seen.saturating_add(1);
            }
        }
    }

    /// Is the touch, as it stands, a jump that nothing has confirmed?
    pub fn is_suspect(&self, now: Nanos) -> bool {
        self.suspect.is_some_and(|suspect| now.since(suspect.since) < self.limit.after_ns)
    }

    fn believe(&mut self, touch: [Ticks; 2]) {
        self.believed = Some(touch);
        self.suspect = None;
    }

    fn width(&self, sigma: Sigma) -> u64 {
        let moved = i128::from(sigma.0).saturating_mul(i128::from(self.limit.sigmas)) >> 32;
        let moved = u64::try_from(moved).unwrap_or(0);
        self.limit.width.0.unsigned_abs().max(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Level;
    use crate::units::Lots;

    const LIMIT: SpikeLimit =
        SpikeLimit { width: Ticks(10), sigmas: 0, messages: 2, after_ns: 1_000 };
    const CALM: Sigma = Sigma(0);

    fn touch(bid: i64, ask: i64) -> Touch {
        let level = |price| Level { price: Ticks(price), size: Lots(1) };
        Touch { bid: level(bid), ask: level(ask) }
    }

    fn at_100() -> SpikeGuard {
        let mut guard = SpikeGuard::new(LIMIT);
        guard.on_touch(Nanos(0), &touch(100, 101), CALM);
        assert!(!guard.is_suspect(Nanos(0)), "the first touch is believed");
        guard
    }

    #[test]
    fn the_limit_is_a_move_and_one_tick_over_is_a_jump_on_either_side() {
        for (bid, ask, is_jump) in [
            (110, 111, false),
            (111, 112, true),
            (90, 91, false),
            (89, 90, true),
            (100, 112, true),
            (89, 101, true),
        ] {
            let mut guard = at_100();
            guard.on_touch(Nanos(5), &touch(bid, ask), CALM);
            assert_eq!(guard.is_suspect(Nanos(5)), is_jump, "{bid} / {ask}");
            assert_eq!(guard.spikes_seen(), u64::from(is_jump));
        }
    }

    #[test]
    fn a_print_that_comes_back_is_forgotten_and_moves_nothing() {
        let mut guard = at_100();
        guard.on_touch(Nanos(5), &touch(200, 201), CALM);
        guard.on_touch(Nanos(6), &touch(101, 102), CALM);
        assert!(!guard.is_suspect(Nanos(6)));
        guard.on_touch(Nanos(7), &touch(200, 201), CALM);
        assert!(guard.is_suspect(Nanos(7)), "the first print confirmed nothing");
    }

    #[test]
    fn so_many_further_messages_confirm_and_one_less_does_not() {
        let mut guard = at_100();
        guard.on_touch(Nanos(5), &touch(200, 201), CALM);
        guard.on_touch(Nanos(6), &touch(205, 206), CALM);
        assert!(guard.is_suspect(Nanos(6)));
        guard.on_touch(Nanos(7), &touch(210, 211), CALM);
        assert!(!guard.is_suspect(Nanos(7)), "a trend confirms itself");
        guard.on_touch(Nanos(8), &touch(100, 101), CALM);
        assert!(guard.is_suspect(Nanos(8)), "and the old price is a jump now");
    }

    #[test]
    fn a_second_jump_elsewhere_begins_anew() {
        let mut guard = at_100();
        guard.on_touch(Nanos(5), &touch(200, 201), CALM);
        guard.on_touch(Nanos(6), &touch(300, 301), CALM);
        guard.on_touch(Nanos(900), &touch(300, 301), CALM);
        assert!(guard.is_suspect(Nanos(1_005)), "it stands since 6");
        assert!(!guard.is_suspect(Nanos(1_006)));
    }

    #[test]
    fn time_confirms_at_the_limit_and_not_before() {
        let mut guard = at_100();
        guard.on_touch(Nanos(5), &touch(200, 201), CALM);
        assert!(guard.is_suspect(Nanos(1_004)));
        assert!(!guard.is_suspect(Nanos(1_005)));
        guard.on_touch(Nanos(1_005), &touch(200, 201), CALM);
        guard.on_touch(Nanos(1_006), &touch(209, 210), CALM);
        assert!(!guard.is_suspect(Nanos(1_006)), "it is believed from then on");
    }

    #[test]
    fn a_volatile_market_may_move_further() {
        let mut guard = SpikeGuard::new(SpikeLimit { sigmas: 4, ..LIMIT });
        let sigma = Sigma(5 << 32);
        guard.on_touch(Nanos(0), &touch(100, 101), sigma);
        guard.on_touch(Nanos(1), &touch(120, 121), sigma);
        assert!(!guard.is_suspect(Nanos(1)));
        guard.on_touch(Nanos(2), &touch(141, 142), sigma);
        assert!(guard.is_suspect(Nanos(2)));
    }

    #[test]
    fn at_the_integers_extremes_nothing_wraps() {
        let limit = SpikeLimit { width: Ticks(i64::MAX), sigmas: u32::MAX, ..LIMIT };
        let mut guard = SpikeGuard::new(limit);
        guard.on_touch(Nanos(0), &touch(i64::MIN, i64::MAX), Sigma(i64::MAX));
        guard.on_touch(Nanos(u64::MAX), &touch(i64::MAX, i64::MIN), Sigma(i64::MAX));
        let mut narrow = SpikeGuard::new(LIMIT);
        narrow.on_touch(Nanos(0), &touch(i64::MIN, i64::MIN + 1), CALM);
        narrow.on_touch(Nanos(1), &touch(i64::MAX - 1, i64::MAX), CALM);
        assert!(narrow.is_suspect(Nanos(1)));
        assert!(!narrow.is_suspect(Nanos(u64::MAX)));
    }
}
