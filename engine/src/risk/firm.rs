//! An underlying that several engines of one firm trade: this engine's part of the firm's hard limit, and
//! what of its net delta is the firm's to hedge.
//!
//! Fed by journaled views of what the other engines hold, off the hot path; feeds limits, hedges and skews.
//! Maker thread; a handful of integer operations. The parts of all engines add up to the firm's hard limit,
//! and no view ever widens one: whatever becomes of the link, the firm stays within it. A view that is
//! missing or too old narrows this engine's limits, and all of its own net delta is its own to hedge.
//! Deliberately absent: who holds what (the firm's book, off the hot path), and the link.

use crate::risk::limits::ExposureLimits;
use crate::units::{Exposure, Nanos};

/// All of one, in thousandths.
const PERMILLE: u32 = 1_000;

/// What an engine may do of a firm's underlying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FirmTerms {
    /// This engine's part of the firm's hard limit: its own hard limit is never above it.
    pub part: Exposure,
    /// A view older than this is none.
    pub age_max_ns: u64,
    /// What is left of soft, stop and hard without a view, in thousandths; 1 to 999.
    pub unheard_permille: u32,
}

impl FirmTerms {
    /// Are they terms that narrow, within limits of this engine?
    pub fn are_sound(&self, limits: &ExposureLimits) -> bool {
        let narrows = self.unheard_permille > 0 && self.unheard_permille < PERMILLE;
        narrows && self.age_max_ns > 0 && limits.hard() <= self.part
    }
}

/// What the other engines hold of one underlying, each one's net delta from its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FirmView {
    /// When the one that was heard longest ago said so, and not later than it was heard.
    pub at: Nanos,
    /// Of those that are long, together; ≥ 0.
    pub longs: Exposure,
    /// Of those that are short, together; ≤ 0.
    pub shorts: Exposure,
    /// Which underlying, by its place in the config.
    pub underlying: u8,
}

/// The last view and whether it is to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FirmGuard {
    terms: FirmTerms,
    view: Option<FirmView>,
    is_heard: bool,
}

impl FirmGuard {
    /// Nothing heard yet.
    pub fn new(terms: FirmTerms) -> FirmGuard {
        FirmGuard { terms, view: None, is_heard: false }
    }

    /// This engine's part of the firm's hard limit.
    pub fn part(&self) -> Exposure {
        self.terms.part
    }

    /// A new view; one older than the last, or that makes no sense, changes nothing. One from the future
    /// is as old as its coming. Says whether it was taken.
    pub fn on_view(&mut self, now: Nanos, view: FirmView) -> bool {
        let view = FirmView { at: view.at.min(now), ..view };
        let is_newer = self.view.is_none_or(|last| view.at >= last.at);
        let is_sound = view.longs.0 >= 0 && view.shorts.0 <= 0;
        if is_newer && is_sound {
            self.view = Some(view);
        }
        self.look(now);
        is_newer && is_sound
    }

    /// Time has passed. Says whether the other engines have become heard or unheard.
    pub fn look(&mut self, now: Nanos) -> bool {
        let is_heard = self.view.is_some_and(|view| now.since(view.at) <= self.terms.age_max_ns);
        std::mem::replace(&mut self.is_heard, is_heard) != is_heard
    }

    /// Are the other engines heard?
    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// The last view, believed or not.
    pub fn view(&self) -> Option<&FirmView> {
        self.view.as_ref()
    }

    /// `limits` while the others are heard, and narrower ones while they are not.
    pub fn limits(&self, limits: &ExposureLimits) -> ExposureLimits {
        if self.is_heard { *limits } else { limits.narrowed(self.terms.unheard_permille) }
    }

    /// What of this engine's net delta is the firm's: its share, by size, among those on the side on which
    /// the firm as a whole is. Never more than its own, never the other way: if all of them trade theirs
    /// away at once the firm is flat, and nobody's own exposure has grown. All of it while the others are
    /// not heard.
    pub fn answered(&self, own: Exposure) -> Exposure {
        let Some(view) = self.view.filter(|_| self.is_heard) else { return own };
        let own = i128::from(own.0);
        let net = own + i128::from(view.longs.0) + i128::from(view.shorts.0);
        if own.signum() != net.signum() {
            return Exposure(0);
        }
        let same_side = own + i128::from(if own > 0 { view.longs.0 } else { view.shorts.0 });
        let share = own.abs().checked_mul(net.abs()).and_then(|of| of.checked_div(same_side.abs()));
        // Where that does not fit, all of its own: never more.
        let share = share.map_or(own, |share| share.min(own.abs()) * own.signum());
        Exposure(i64::try_from(share).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: FirmTerms =
        FirmTerms { part: Exposure(1_000), age_max_ns: 100, unheard_permille: 500 };

    fn limits() -> ExposureLimits {
        ExposureLimits::new(Exposure(100), Exposure(200), Exposure(1_000)).unwrap()
    }

    fn heard(longs: i64, shorts: i64) -> FirmGuard {
        let mut guard = FirmGuard::new(TERMS);
        let (longs, shorts) = (Exposure(longs), Exposure(shorts));
        assert!(guard.on_view(Nanos(50), FirmView { at: Nanos(50), longs, shorts, underlying: 0 }));
        guard
    }

    #[test]
    fn what_was_never_heard_or_is_too_old_narrows_the_limits_and_leaves_its_own_to_each() {
        let mut guard = FirmGuard::new(TERMS);
        let narrow = guard.limits(&limits());
        assert_eq!(
            (narrow.soft(), narrow.stop(), narrow.hard()),
            (Exposure(50), Exposure(100), Exposure(500))
        );
        assert_eq!(guard.answered(Exposure(-7)), Exposure(-7));
        guard = heard(0, -400);
        assert_eq!(guard.limits(&limits()), limits());
        assert!(!guard.look(Nanos(150)) && guard.is_heard(), "at its age");
        assert_eq!(guard.answered(Exposure(300)), Exposure(0), "the firm is short");
        assert!(guard.look(Nanos(151)), "one older");
        assert_eq!(guard.answered(Exposure(300)), Exposure(300));
        assert_eq!(guard.limits(&limits()), narrow);
    }

    #[test]
    fn each_answers_for_its_share_of_what_the_firm_is_net() {
        assert_eq!(heard(0, 0).answered(Exposure(300)), Exposure(300));
        assert_eq!(heard(0, -100).answered(Exposure(300)), Exposure(200));
        // 300 and 100 long, 200 short: 200 net, three quarters of it here.
        assert_eq!(heard(100, -200).answered(Exposure(300)), Exposure(150));
        assert_eq!(heard(300, -200).answered(Exposure(100)), Exposure(50));
        assert_eq!(heard(400, 0).answered(Exposure(-300)), Exposure(0));
        assert_eq!(heard(0, i64::MIN).answered(Exposure(i64::MIN)), Exposure(i64::MIN));
        assert_eq!(heard(i64::MAX, i64::MIN).answered(Exposure(i64::MAX)), Exposure(i64::MAX / 2));
    }

    #[test]
    fn an_older_view_and_one_that_makes_no_sense_change_nothing() {
        let mut guard = heard(100, 0);
        let view = |at, longs, shorts| FirmView {
            at: Nanos(at),
            longs: Exposure(longs),
            shorts: Exposure(shorts),
            underlying: 0,
        };
        assert!(!guard.on_view(Nanos(60), view(49, 0, 0)));
        assert!(!guard.on_view(Nanos(60), view(60, -1, 0)));
        assert!(!guard.on_view(Nanos(60), view(60, 0, 1)));
        assert_eq!(guard.view(), Some(&view(50, 100, 0)));
    }

    #[test]
    fn a_view_from_the_future_lasts_no_longer_than_one_of_now() {
        let mut guard = heard(100, 0);
        let (longs, shorts) = (Exposure(1), Exposure(0));
        let ahead = FirmView { at: Nanos(u64::MAX), longs, shorts, underlying: 0 };
        assert!(guard.on_view(Nanos(60), ahead));
        assert!(!guard.look(Nanos(160)) && guard.look(Nanos(161)) && !guard.is_heard());
    }

    #[test]
    fn terms_that_do_not_narrow_or_are_less_than_the_engines_own_limit_are_unsound() {
        assert!(TERMS.are_sound(&limits()));
        assert!(!FirmTerms { unheard_permille: 1_000, ..TERMS }.are_sound(&limits()));
        assert!(!FirmTerms { unheard_permille: 0, ..TERMS }.are_sound(&limits()));
        assert!(!FirmTerms { part: Exposure(999), ..TERMS }.are_sound(&limits()));
        assert!(!FirmTerms { age_max_ns: 0, ..TERMS }.are_sound(&limits()));
    }

    proptest! {
        #[test]
        fn if_all_trade_away_what_they_answer_for_the_firm_is_flat_and_no_one_has_grown(
            held in prop::collection::vec(-1_000_000_000_000i64..1_000_000_000_000, 1..6),
        ) {
            let net: i64 = held.iter().sum();
            let mut left = net;
            for (n, own) in held.iter().enumerate() {
                let others = || held.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, held)| *held);
                let longs = others().filter(|held| *held > 0).sum();
                let shorts = others().filter(|held| *held < 0).sum();
                let answered = heard(longs, shorts).answered(Exposure(*own)).0;
                prop_assert!(answered.abs() <= own.abs() && answered * own.signum() >= 0);
                left -= answered;
            }
            // Each share is rounded toward nothing.
            prop_assert!(left * net.signum() >= 0 && left.abs() < held.len() as i64, "{left} of {net}");
        }
    }
}
