//! How often something happened in a sliding window, exactly: the times of the last few, in a ring.
//!
//! Fed by the controls that count (message rate, repeated executions, duplicates); answers them.
//! Maker thread; a check reads one place. Deliberately absent: fixed windows, which let twice the
//! limit through at their seam.

use crate::units::Nanos;

/// At most `max` of something in any window of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct WindowLimit {
    /// Most in any window.
    pub max: u32,
    /// The window.
    pub window_ns: u64,
}

/// When the last few happened.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Recent {
    /// Oldest overwritten first; `None` while fewer happened.
    at: Box<[Option<Nanos>]>,
    next: usize,
}

impl Recent {
    /// Remembers the last `places`, at least one. Allocates here and never again.
    pub fn new(places: u32) -> Recent {
        let places = usize::try_from(places.max(1)).unwrap_or(1);
        Recent { at: vec![None; places].into(), next: 0 }
    }

    /// It happens at `now`.
    #[inline]
    pub fn push(&mut self, now: Nanos) {
        if let Some(place) = self.at.get_mut(self.next) {
            *place = Some(now);
        }
        self.next += 1;
        if self.next >= self.at.len() {
            self.next = 0;
        }
    }

    /// Did the `back`-th last of them (1 is the last) happen less than `window_ns` ago? Further back
    /// than is remembered counts as the oldest that is.
    #[inline]
    pub fn is_within(&self, back: u32, now: Nanos, window_ns: u64) -> bool {
        let back = usize::try_from(back.max(1)).unwrap_or(usize::MAX).min(self.at.len());
        // `next` and `back` are at most the length: a subtraction is what a division would be.
        let place = self.next.checked_sub(back).unwrap_or(self.next + self.at.len() - back);
        match self.at.get(place).copied().flatten() {
            Some(then) => now.since(then) < window_ns,
            None => false,
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.at.fill(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_last_leaves_the_window_when_it_is_as_old_as_the_window() {
        let mut recent = Recent::new(3);
        for at in [10, 20, 30] {
            recent.push(Nanos(at));
        }
        assert!(recent.is_within(3, Nanos(109), 100));
        assert!(!recent.is_within(3, Nanos(110), 100));
        assert!(recent.is_within(2, Nanos(110), 100));
        assert!(recent.is_within(u32::MAX, Nanos(109), 100), "the oldest that is remembered");
    }

    #[test]
    fn what_never_happened_is_in_no_window() {
        let mut recent = Recent::new(0);
        assert!(!recent.is_within(0, Nanos(u64::MAX), u64::MAX));
        recent.push(Nanos(u64::MAX));
        assert!(recent.is_within(1, Nanos(0), 1), "time that runs back has not passed");
        recent.clear();
        assert!(!recent.is_within(1, Nanos(u64::MAX), u64::MAX));
    }
}
