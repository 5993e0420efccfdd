//! The venue's limit on messages, kept before the socket: so many in any window, a share of them for
//! cancels alone.
//!
//! Asked by each stage before a message: order entry, with a share for cancels, and the feed, without.
//! That stage's thread; a ring of the times of the newest messages, taken at start. An order that does
//! not pass is refused, not queued: a late quote is a wrong quote. A question for market data and the
//! stage's own cancels wait. Deliberately absent: clocks.

use ballast_engine::units::Nanos;

/// A venue's limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageLimit {
    /// Messages in any window; at least 1.
    pub messages: usize,
    /// The window, in ns.
    pub window_ns: u64,
    /// How many of them only cancels may use.
    pub cancel_reserve: usize,
}

/// The times of the newest messages.
pub struct Throttle {
    limit: MessageLimit,
    times: Box<[Nanos]>,
    next: usize,
    used: usize,
}

impl Throttle {
    /// Nothing sent yet.
    pub fn new(limit: MessageLimit) -> Throttle {
        let times = vec![Nanos(0); limit.messages.max(1)].into_boxed_slice();
        Throttle { limit, times, next: 0, used: 0 }
    }

    /// How many more may go out now, the reserve included.
    pub fn room(&mut self, now: Nanos) -> usize {
        self.forget(now);
        self.times.len() - self.used
    }

    /// Whether one more may go out now; if so it counts.
    pub fn pass(&mut self, now: Nanos, is_cancel: bool) -> bool {
        self.forget(now);
        let capacity = self.times.len();
        let reserve = if is_cancel { 0 } else { self.limit.cancel_reserve };
        if self.used + reserve >= capacity {
            return false;
        }
        if let Some(slot) = self.times.get_mut(self.next) {
            *slot = now;
        }
        self.next = (self.next + 1) % capacity;
        self.used += 1;
        true
    }

    /// What left the window does not count any more.
    fn forget(&mut self, now: Nanos) {
        let capacity = self.times.len();
        while self.used > 0 {
            let oldest = (self.next + capacity - self.used) % capacity;
            let at = self.times.get(oldest).copied().unwrap_or_default();
            if now.since(at) < self.limit.window_ns {
                break;
            }
            self.used -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(MessageLimit { messages: 5, window_ns: 100, cancel_reserve: 2 })
    }

    #[test]
    fn orders_leave_the_reserve_to_cancels() {
        let mut throttle = throttle();
        for _ in 0..3 {
            assert!(throttle.pass(Nanos(10), false));
        }
        assert!(!throttle.pass(Nanos(10), false));
        assert!(throttle.pass(Nanos(10), true) && throttle.pass(Nanos(10), true));
        assert!(!throttle.pass(Nanos(10), true));
    }

    #[test]
    fn no_window_ever_holds_more_than_the_limit() {
        let mut throttle = throttle();
        let sent: Vec<u64> = (0..2000).filter(|now| throttle.pass(Nanos(*now), true)).collect();
        assert!(sent.len() >= 5 * 19);
        for window in sent.windows(6) {
            assert!(window[5] - window[0] >= 100);
        }
    }
}
