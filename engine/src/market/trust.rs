//! Whether to believe a book: synchronised, fresh, two-sided, not crossed, not suddenly elsewhere.
//!
//! Fed by the maker with every market event; feeds quoting, hedging and the gate, which ask before
//! they act. Maker thread. Deliberately absent: a way to trust a gapped book by waiting — only a
//! whole new image of it ends a gap.

use crate::estimate::volatility::Sigma;
use crate::market::book::{Book, Touch};
use crate::market::spike::{SpikeGuard, SpikeLimit};
use crate::units::Nanos;

/// Why a book is not to be believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Distrust {
    /// No whole image has arrived yet, or something was missed since the last one.
    Gapped,
    /// The last event is older than the limit.
    Stale,
    /// A side is empty.
    OneSided,
    /// The best bid is at or above the best ask.
    Crossed,
    /// The touch jumped further than the limit, and nothing has confirmed it yet.
    Spike,
}

/// The state of belief in one instrument's book.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Trust {
    /// Events older than this are stale.
    stale_after_ns: u64,
    is_synced: bool,
    /// A reset has come and its message is not complete yet.
    is_rebuilding: bool,
    is_mid_message: bool,
    last_event_at: Nanos,
    gaps_seen: u64,
    spike: Option<SpikeGuard>,
}

impl Trust {
    /// Distrusts until the first whole image. `stale_after_ns`: the longest silence to put up with.
    pub fn new(stale_after_ns: u64) -> Trust {
        Trust {
            stale_after_ns,
            is_synced: false,
            is_rebuilding: false,
            is_mid_message: false,
            last_event_at: Nanos(0),
            gaps_seen: 0,
            spike: None,
        }
    }

    /// The same with a guard against jumps, where there is a limit.
    pub fn guarded(self, limit: Option<SpikeLimit>) -> Trust {
        Trust { spike: limit.map(SpikeGuard::new), ..self }
    }

    /// Something was missed: wait for a new image. Counted once until the image comes.
    pub fn on_gap(&mut self) {
        self.gaps_seen = self.gaps_seen.saturating_add(u64::from(self.is_synced));
        self.is_synced = false;
        self.is_rebuilding = false;
        self.is_mid_message = false;
    }

    /// A new image begins.
    pub fn on_reset(&mut self) {
        self.is_synced = false;
        self.is_rebuilding = true;
    }

    /// Any event: freshness, and the end of an image where its last event is here.
    #[inline]
    pub fn on_event(&mut self, now: Nanos, last_in_message: bool) {
        self.last_event_at = now;
        self.is_mid_message = !last_in_message;
        if self.is_rebuilding && last_in_message {
            self.is_rebuilding = false;
            self.is_synced = true;
        }
    }

    /// A whole message is in the book: where is the touch now, and is it to be believed?
    #[inline]
    pub fn on_whole_message(
        &mut self,
        now: Nanos,
        book: &Book,
        sigma: Sigma,
    ) -> Result<Touch, Distrust> {
        let touch = book.touch();
        if let Some(guard) = &mut self.spike
            && self.is_synced
            && let Some(touch) = &touch
            && touch.spread().0 > 0
        {
            guard.on_touch(now, touch, sigma);
        }
        self.judge(now, touch)
    }

    /// Half of a message is in the book and the rest is on its way: not a market to act on, nor a
    /// reason to withdraw. A rest that does not come in time is silence like any other.
    pub fn is_mid_message(&self, now: Nanos) -> bool {
        self.is_mid_message && now.since(self.last_event_at) <= self.stale_after_ns
    }

    /// How long ago the last event was.
    pub fn silence_ns(&self, now: Nanos) -> u64 {
        now.since(self.last_event_at)
    }

    /// How often a synchronised book lost its sequence.
    pub fn gaps_seen(&self) -> u64 {
        self.gaps_seen
    }

    /// How often the touch jumped further than the limit.
    pub fn spikes_seen(&self) -> u64 {
        self.spike.map_or(0, |guard| guard.spikes_seen())
    }

    /// The touch, if the book is to be believed at `now`.
    #[inline]
    pub fn check(&self, now: Nanos, book: &Book) -> Result<Touch, Distrust> {
        self.judge(now, book.touch())
    }

    #[inline]
    fn judge(&self, now: Nanos, touch: Option<Touch>) -> Result<Touch, Distrust> {
        if !self.is_synced {
            return Err(Distrust::Gapped);
        }
        if now.since(self.last_event_at) > self.stale_after_ns {
            return Err(Distrust::Stale);
        }
        let touch = touch.ok_or(Distrust::OneSided)?;
        if touch.spread().0 <= 0 {
            return Err(Distrust::Crossed);
        }
        if self.spike.as_ref().is_some_and(|guard| guard.is_suspect(now)) {
            return Err(Distrust::Spike);
        }
        Ok(touch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Lots, Side, Ticks};

    fn two_sided() -> Book {
        let mut book = Book::new(4);
        book.set(Side::Buy, Ticks(100), Lots(1));
        book.set(Side::Sell, Ticks(101), Lots(1));
        book
    }

    fn synced_at(now: u64) -> Trust {
        let mut trust = Trust::new(1_000);
        trust.on_reset();
        trust.on_event(Nanos(now), true);
        trust
    }

    #[test]
    fn a_book_is_not_trusted_before_its_first_whole_image() {
        let mut trust = Trust::new(1_000);
        assert_eq!(trust.check(Nanos(0), &two_sided()), Err(Distrust::Gapped));
        trust.on_reset();
        trust.on_event(Nanos(5), false);
        assert_eq!(trust.check(Nanos(5), &two_sided()), Err(Distrust::Gapped));
        trust.on_event(Nanos(5), true);
        assert!(trust.check(Nanos(5), &two_sided()).is_ok());
    }

    #[test]
    fn a_gap_ends_only_with_a_new_image_and_counts_once() {
        let mut trust = synced_at(5);
        trust.on_gap();
        trust.on_gap();
        trust.on_event(Nanos(6), true);
        assert_eq!(trust.check(Nanos(6), &two_sided()), Err(Distrust::Gapped));
        assert_eq!(trust.gaps_seen(), 1);
    }

    #[test]
    fn silence_longer_than_the_limit_is_stale_and_exactly_the_limit_is_not() {
        let trust = synced_at(5);
        assert!(trust.check(Nanos(1_005), &two_sided()).is_ok());
        assert_eq!(trust.check(Nanos(1_006), &two_sided()), Err(Distrust::Stale));
    }

    #[test]
    fn a_locked_or_crossed_or_one_sided_book_is_not_trusted() {
        let trust = synced_at(5);
        let mut book = two_sided();
        book.set(Side::Buy, Ticks(101), Lots(1));
        assert_eq!(trust.check(Nanos(5), &book), Err(Distrust::Crossed));
        let mut book = two_sided();
        book.set(Side::Sell, Ticks(101), Lots(0));
        assert_eq!(trust.check(Nanos(5), &book), Err(Distrust::OneSided));
    }

    #[test]
    fn a_touch_that_jumps_is_not_trusted_before_it_is_confirmed() {
        let limit = SpikeLimit { width: Ticks(5), sigmas: 0, messages: 1, after_ns: 500 };
        let mut trust = synced_at(5).guarded(Some(limit));
        let mut book = two_sided();
        let _ = trust.on_whole_message(Nanos(5), &book, Sigma(0));
        book.set(Side::Sell, Ticks(101), Lots(0));
        book.set(Side::Sell, Ticks(107), Lots(1));
        let _ = trust.on_whole_message(Nanos(6), &book, Sigma(0));
        assert_eq!(trust.check(Nanos(6), &book), Err(Distrust::Spike));
        assert_eq!(trust.spikes_seen(), 1);
        let _ = trust.on_whole_message(Nanos(7), &book, Sigma(0));
        assert!(trust.check(Nanos(7), &book).is_ok());
    }

    #[test]
    fn what_is_gapped_or_crossed_confirms_no_jump() {
        let limit = SpikeLimit { width: Ticks(5), sigmas: 0, messages: 1, after_ns: 500 };
        let mut trust = synced_at(5).guarded(Some(limit));
        let mut book = two_sided();
        let _ = trust.on_whole_message(Nanos(5), &book, Sigma(0));
        book.set(Side::Buy, Ticks(300), Lots(1));
        let _ = trust.on_whole_message(Nanos(6), &book, Sigma(0));
        let _ = trust.on_whole_message(Nanos(7), &book, Sigma(0));
        book.set(Side::Sell, Ticks(101), Lots(0));
        book.set(Side::Sell, Ticks(301), Lots(1));
        trust.on_gap();
        let _ = trust.on_whole_message(Nanos(8), &book, Sigma(0));
        trust.on_reset();
        trust.on_event(Nanos(9), true);
        let _ = trust.on_whole_message(Nanos(9), &book, Sigma(0));
        assert_eq!(trust.check(Nanos(9), &book), Err(Distrust::Spike), "seen once as a market");
    }
}
