//! The venue's limits on messages, kept before the socket: so many in any window, per second and per
//! longer window at once, on everything, on orders or on cancels, a share of each for cancels alone.
//!
//! Asked by each stage before a message: order entry, and the feed, whose limits count everything. That
//! stage's thread; rings of the times of the newest messages, taken at start; each look passes over the
//! few limits and forgets what has left their windows. What the session says by itself counts where everything
//! does, and is never held back. What an order that does not pass becomes is
//! [`WhenFull`]. A question for market data and the stage's own cancels wait. A window looks back over a
//! restart: the venue's does. Deliberately absent: clocks.

use ballast_engine::units::Nanos;

/// Most limits of one session.
pub const LIMITS_MAX: usize = 6;

/// A limit: so many messages in any window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageLimit {
    /// Messages in any window; at least 1.
    pub messages: usize,
    /// The window, in ns.
    pub window_ns: u64,
    /// How many of them only cancels may use.
    pub cancel_reserve: usize,
}

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// Every message.
    All,
    /// New orders and replaces.
    Orders,
    /// Cancels.
    Cancels,
}

/// What becomes of an order that the limits do not let pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// It comes back unsent: a late quote is a wrong quote.
    Refuse,
    /// It waits for its turn, so long at most, and comes back unsent after that.
    Queue {
        /// How long, in ns.
        for_ns: u64,
    },
}

/// All limits of one session, as its venue states them; at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    first: (Counted, MessageLimit),
    more: [Option<(Counted, MessageLimit)>; LIMITS_MAX - 1],
    /// What becomes of an order that does not pass.
    pub when_full: WhenFull,
}

impl Limits {
    /// One limit on everything; what does not pass is refused.
    pub const fn on_all(limit: MessageLimit) -> Limits {
        Limits {
            first: (Counted::All, limit),
            more: [None; LIMITS_MAX - 1],
            when_full: WhenFull::Refuse,
        }
    }

    /// These limits, all of which hold at once; `None` where there is none of them, or more than
    /// [`LIMITS_MAX`].
    pub fn of(limits: &[(Counted, MessageLimit)], when_full: WhenFull) -> Option<Limits> {
        let (first, rest) = limits.split_first()?;
        let mut more = [None; LIMITS_MAX - 1];
        for place in 0..rest.len() {
            *more.get_mut(place)? = rest.get(place).copied();
        }
        Some(Limits { first: *first, more, when_full })
    }

    /// The same limits with another answer to what does not pass.
    pub const fn beyond(self, when_full: WhenFull) -> Limits {
        Limits { when_full, ..self }
    }

    fn iter(&self) -> impl Iterator<Item = (Counted, MessageLimit)> {
        std::iter::once(self.first).chain(self.more.into_iter().flatten())
    }
}

impl From<MessageLimit> for Limits {
    fn from(limit: MessageLimit) -> Limits {
        Limits::on_all(limit)
    }
}

/// The messages of one limit's window.
struct Window {
    counted: Counted,
    limit: MessageLimit,
    /// The times of the newest messages, a ring.
    times: Box<[Nanos]>,
    next: usize,
    used: usize,
}

/// What was sent, as far as the limits look back.
pub struct Throttle {
    windows: Vec<Window>,
}

impl Throttle {
    /// Nothing sent yet.
    pub fn new(limits: Limits) -> Throttle {
        let window = |(counted, limit): (Counted, MessageLimit)| Window {
            counted,
            limit,
            times: vec![Nanos(0); limit.messages.max(1)].into_boxed_slice(),
            next: 0,
            used: 0,
        };
        Throttle { windows: limits.iter().map(window).collect() }
    }

    /// How many more messages that are no cancels may go out now, reserves included.
    pub fn room(&mut self, now: Nanos) -> usize {
        let of = |window: &mut Window| window.room(now);
        let counting = self.windows.iter_mut().filter(|window| window.counts(false));
        counting.map(of).min().unwrap_or(usize::MAX)
    }

    /// How many more cancels may.
    pub fn room_for_cancels(&mut self, now: Nanos) -> usize {
        let counting = self.windows.iter_mut().filter(|window| window.counts(true));
        counting.map(|window| window.room(now)).min().unwrap_or(usize::MAX)
    }

    /// Whether one more may go out now; if so it counts.
    pub fn pass(&mut self, now: Nanos, is_cancel: bool) -> bool {
        for window in self.windows.iter_mut().filter(|window| window.counts(is_cancel)) {
            let reserve = if is_cancel { 0 } else { window.limit.cancel_reserve };
            if window.room(now) <= reserve {
                return false;
            }
        }
        for window in self.windows.iter_mut().filter(|window| window.counts(is_cancel)) {
            window.count(now);
        }
        true
    }
}

impl Throttle {
    /// How far the longest window looks back, in ns, and the most messages that one holds.
    pub(super) fn looks_back(&self) -> (u64, usize) {
        let windows = || self.windows.iter();
        let longest = windows().map(|window| window.limit.window_ns).max();
        let most = windows().map(|window| window.times.len()).max();
        (longest.unwrap_or(0), most.unwrap_or(0))
    }

    /// Counts what an earlier run sent, oldest first: when, and whether it was a cancel. What a clock that was
    /// set back puts after `now` counts as sent now, or its window would not end.
    pub(super) fn count_earlier(&mut self, now: Nanos, sent: &[(Nanos, bool)]) {
        for (at, is_cancel) in sent {
            let at = now.min(*at);
            for window in self.windows.iter_mut().filter(|window| window.counts(*is_cancel)) {
                window.forget(at);
                window.count(at);
            }
        }
    }

    /// So many more went out that nobody asks about: Logons, heartbeats, TestRequests, resends. They are
    /// never held back, and what counts everything counts them.
    pub fn count_unasked(&mut self, now: Nanos, messages: u64) {
        if messages == 0 {
            return;
        }
        for window in self.windows.iter_mut().filter(|window| window.counted == Counted::All) {
            for _ in 0..messages.min(u64::try_from(window.times.len()).unwrap_or(u64::MAX)) {
                window.forget(now);
                window.count(now);
            }
        }
    }
}

impl Window {
    fn counts(&self, is_cancel: bool) -> bool {
        match self.counted {
            Counted::All => true,
            Counted::Orders => !is_cancel,
            Counted::Cancels => is_cancel,
        }
    }

    fn room(&mut self, now: Nanos) -> usize {
        self.forget(now);
        self.times.len().saturating_sub(self.used)
    }

    fn count(&mut self, now: Nanos) {
        if let Some(slot) = self.times.get_mut(self.next) {
            *slot = now;
        }
        self.next = (self.next + 1) % self.times.len().max(1);
        // Beyond the limit the newest stands for the oldest.
        self.used = (self.used + 1).min(self.times.len());
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

    const fn limit(messages: usize, window_ns: u64, cancel_reserve: usize) -> MessageLimit {
        MessageLimit { messages, window_ns, cancel_reserve }
    }

    fn throttle() -> Throttle {
        Throttle::new(limit(5, 100, 2).into())
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

    #[test]
    fn what_an_earlier_run_sent_counts_until_its_window_ends() {
        let mut throttle = throttle();
        let sent = [(Nanos(10), false), (Nanos(50), false), (Nanos(60), true)];
        throttle.count_earlier(Nanos(100), &sent);
        assert_eq!((throttle.room(Nanos(100)), throttle.room(Nanos(110))), (2, 3));
        assert!(throttle.pass(Nanos(110), false) && !throttle.pass(Nanos(110), false));
        // A clock that was set back.
        let mut throttle = Throttle::new(limit(1, 100, 0).into());
        throttle.count_earlier(Nanos(100), &[(Nanos(5_000), false)]);
        assert!(!throttle.pass(Nanos(199), false) && throttle.pass(Nanos(200), false));
    }

    #[test]
    fn a_burst_limit_and_a_long_one_hold_at_once() {
        let limits = [(Counted::All, limit(3, 10, 0)), (Counted::All, limit(8, 100, 0))];
        let mut throttle = Throttle::new(Limits::of(&limits, WhenFull::Refuse).unwrap());
        let sent: Vec<u64> = (0..1000).filter(|now| throttle.pass(Nanos(*now), false)).collect();
        assert_eq!(sent[..9], [0, 1, 2, 10, 11, 12, 20, 21, 100]);
        assert!(sent.windows(4).all(|w| w[3] - w[0] >= 10));
        assert!(sent.windows(9).all(|w| w[8] - w[0] >= 100));
    }

    #[test]
    fn orders_and_cancels_have_budgets_of_their_own_beside_the_common_one() {
        let limits = [
            (Counted::Orders, limit(2, 100, 0)),
            (Counted::Cancels, limit(3, 100, 0)),
            (Counted::All, limit(4, 100, 1)),
        ];
        let mut throttle = Throttle::new(Limits::of(&limits, WhenFull::Refuse).unwrap());
        let mut pass = |is_cancel| throttle.pass(Nanos(0), is_cancel);
        assert!(pass(false) && pass(false) && !pass(false), "two orders");
        assert!(pass(true) && pass(true), "the common limit's last one is a cancel's");
        assert!(!pass(true), "four in all");
        // What did not pass one limit counts against none.
        let limits = [(Counted::All, limit(9, 100, 0)), (Counted::Orders, limit(1, 100, 0))];
        let mut throttle = Throttle::new(Limits::of(&limits, WhenFull::Refuse).unwrap());
        let passed = (0..9).filter(|_| throttle.pass(Nanos(0), false)).count();
        assert_eq!((passed, throttle.room(Nanos(0))), (1, 0));
        assert_eq!((0..9).filter(|_| throttle.pass(Nanos(0), true)).count(), 8);
    }

    #[test]
    fn what_the_session_says_by_itself_counts_where_everything_does_and_is_not_held_back() {
        let limits = [(Counted::All, limit(4, 100, 0)), (Counted::Orders, limit(4, 100, 0))];
        let mut throttle = Throttle::new(Limits::of(&limits, WhenFull::Refuse).unwrap());
        throttle.count_unasked(Nanos(0), 3);
        assert!(throttle.pass(Nanos(10), false) && !throttle.pass(Nanos(10), false));
        // A resend beyond the limit: the newest four count, and leave the window with their time.
        throttle.count_unasked(Nanos(50), 1_000_000);
        assert!(!throttle.pass(Nanos(149), false));
        assert_eq!(throttle.room(Nanos(150)), 4);
    }

    #[test]
    fn there_is_no_session_without_a_limit_and_none_with_too_many() {
        assert_eq!(Limits::of(&[], WhenFull::Refuse), None);
        let one = (Counted::All, limit(1, 1, 0));
        assert!(Limits::of(&[one; LIMITS_MAX], WhenFull::Refuse).is_some());
        assert_eq!(Limits::of(&[one; LIMITS_MAX + 1], WhenFull::Refuse), None);
    }
}
