//! The breakout guard: a move beyond n σ in a window pulls the side that it threatens.
//!
//! Fed by the maker with the mid of every believed message and with σ; feeds quoting. Maker thread,
//! hot where it is configured: two comparisons a message, a pass over [`BUCKETS`] when one ends. A
//! rise threatens the asks, a fall the bids. A side comes back after `calm_ns` of moves within half of
//! what tripped it *and* `good_ticks` messages in that time: a market that pauses to reverse is not
//! yet calm, one that says nothing is not yet good, and a false breakout does not empty the book on
//! us. σ stands still meanwhile, or the breakout would raise its own bar. Absent: what a pulled side
//! does (an obligation may only let it be widened).

use crate::estimate::volatility::Sigma;
use crate::pnl::valuation::HalfTicks;
use crate::units::{Nanos, Side};

/// The window is kept in so many parts; it is exact to one of them.
pub const BUCKETS: usize = 16;

/// When a side is pulled and when it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct BreakoutSettings {
    /// The window of the move.
    pub window_ns: u64,
    /// Thousandths of σ × √window that the move may have.
    pub sigmas_permille: u32,
    /// How long moves must stay within half of that.
    pub calm_ns: u64,
    /// How many messages must say so.
    pub good_ticks: u32,
}

/// A side that is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Threat {
    calm_since: Option<Nanos>,
    good_ticks: u32,
    /// The move was more than twice what trips.
    is_severe: bool,
}

/// How a side stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Danger {
    /// None.
    Calm,
    /// The market moved toward it.
    Threatened,
    /// It moved more than twice as far.
    Severe,
}

/// The guard of one instrument.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Breakout {
    settings: BreakoutSettings,
    bucket_ns: u64,
    /// √window in 2^-32 √s.
    root: i128,
    /// Lowest and highest mid of each part, newest at `newest % BUCKETS`.
    buckets: [Option<(i64, i64)>; BUCKETS],
    newest: u64,
    /// Over all parts but the newest.
    older: Option<(i64, i64)>,
    sigma: Sigma,
    /// What trips at `sigma`, in half ticks.
    threshold: i64,
    threats: [Option<Threat>; 2],
}

impl Breakout {
    /// Nothing seen yet.
    pub fn new(settings: BreakoutSettings) -> Breakout {
        // √(ns · 1e-9) · 2^32 = √(ns · 2^64 / 1e9).
        let root = ((u128::from(settings.window_ns) << 64) / 1_000_000_000).isqrt();
        Breakout {
            settings,
            bucket_ns: (settings.window_ns / BUCKETS as u64).max(1),
            root: i128::try_from(root).unwrap_or(i128::MAX),
            buckets: [None; BUCKETS],
            newest: 0,
            older: None,
            sigma: Sigma(0),
            threshold: i64::MAX,
            threats: [None; 2],
        }
    }

    /// A believed mid. Says whether the danger of a side has changed.
    pub fn on_mid(&mut self, now: Nanos, mid: HalfTicks, sigma: Sigma) -> bool {
        self.roll(now);
        let low = self.older.map_or(mid.0, |(low, _)| low.min(mid.0));
        let high = self.older.map_or(mid.0, |(_, high)| high.max(mid.0));
        let place = self.place(self.newest);
        let (mut low, mut high) = (low, high);
        if let Some(bucket) = self.buckets.get_mut(place) {
            let (least, most) = bucket.unwrap_or((mid.0, mid.0));
            *bucket = Some((least.min(mid.0), most.max(mid.0)));
            (low, high) = (low.min(least), high.max(most));
        }
        let is_calm = self.threats == [None; 2];
        if is_calm && sigma != self.sigma {
            self.sigma = sigma;
            self.threshold = self.threshold_at(sigma);
        }
        let fall = self.judge(now, Side::Buy, high.saturating_sub(mid.0));
        let rise = self.judge(now, Side::Sell, mid.0.saturating_sub(low));
        fall || rise
    }

    fn place(&self, bucket: u64) -> usize {
        usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
    }

    /// Forgets what has left the window.
    fn roll(&mut self, now: Nanos) {
        let bucket = now.0 / self.bucket_ns;
        if bucket <= self.newest {
            return;
        }
        let passed = (bucket - self.newest).min(BUCKETS as u64);
        self.newest = bucket;
        for back in 0..passed {
            let place = self.place(bucket.saturating_sub(back));
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = None;
            }
        }
        let join = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        self.older = self.buckets.iter().flatten().copied().reduce(join);
    }

    fn threshold_at(&self, sigma: Sigma) -> i64 {
        // Twice, for half ticks; σ has 32 bits behind the point and so has the root.
        let one = i128::from(sigma.0).saturating_mul(self.root) >> 32;
        let moved = one.saturating_mul(i128::from(self.settings.sigmas_permille)) / 1000;
        i64::try_from((moved >> 31).max(1)).unwrap_or(i64::MAX)
    }

    fn judge(&mut self, now: Nanos, side: Side, moved: i64) -> bool {
        let settings = self.settings;
        let threshold = self.threshold;
        let Some(threat) = self.threats.get_mut(side.index()) else { return false };
        if moved > threshold {
            let was_severe = threat.map(|threat| threat.is_severe);
            let is_severe = moved / 2 > threshold || was_severe == Some(true);
            *threat = Some(Threat { is_severe, ..Threat::default() });
            return was_severe != Some(is_severe);
        }
        let Some(known) = threat else { return false };
        if moved > threshold / 2 {
            known.calm_since = None;
            known.good_ticks = 0;
            return false;
        }
        let since = *known.calm_since.get_or_insert(now);
        known.good_ticks = known.good_ticks.saturating_add(1);
        let is_over =
            now.since(since) >= settings.calm_ns && known.good_ticks >= settings.good_ticks;
        if is_over {
            *threat = None;
        }
        is_over
    }

    /// The market was lost: what moved meanwhile is no move, and no calm.
    pub fn on_gap(&mut self) {
        self.buckets = [None; BUCKETS];
        self.older = None;
        for threat in self.threats.iter_mut().flatten() {
            threat.calm_since = None;
            threat.good_ticks = 0;
        }
    }

    /// How a side stands.
    pub fn danger(&self, side: Side) -> Danger {
        match self.threats.get(side.index()).copied().flatten() {
            None => Danger::Calm,
            Some(Threat { is_severe: false, .. }) => Danger::Threatened,
            Some(Threat { is_severe: true, .. }) => Danger::Severe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// 4 ticks a √s over 4 s and 3 of them: a move of 24 ticks trips beyond it.
    const SIGMA: Sigma = Sigma(4 << 32);

    fn guard() -> Breakout {
        Breakout::new(BreakoutSettings {
            window_ns: 4 * SECOND,
            sigmas_permille: 3_000,
            calm_ns: SECOND,
            good_ticks: 3,
        })
    }

    fn at(guard: &mut Breakout, ms: u64, half_ticks: i64) -> bool {
        guard.on_mid(Nanos(100 * SECOND + ms * 1_000_000), HalfTicks(half_ticks), SIGMA)
    }

    #[test]
    fn a_move_of_n_sigma_passes_and_half_a_tick_more_pulls_the_threatened_side() {
        let mut guard = guard();
        at(&mut guard, 0, 1_000);
        assert!(!at(&mut guard, 100, 1_048));
        assert_eq!(guard.danger(Side::Sell), Danger::Calm);
        assert!(at(&mut guard, 200, 1_049));
        assert_eq!(guard.danger(Side::Sell), Danger::Threatened);
        assert_eq!(guard.danger(Side::Buy), Danger::Calm, "a rise does not threaten the bids");
        assert!(!at(&mut guard, 300, 1_097), "told once");
        assert!(at(&mut guard, 400, 1_098));
        assert_eq!(guard.danger(Side::Sell), Danger::Severe, "more than twice as far");
    }

    #[test]
    fn a_fall_threatens_the_bids() {
        let mut guard = guard();
        at(&mut guard, 0, 1_000);
        assert!(at(&mut guard, 3_000, 951));
        assert_eq!(
            (guard.danger(Side::Buy), guard.danger(Side::Sell)),
            (Danger::Threatened, Danger::Calm)
        );
    }

    #[test]
    fn a_move_that_took_longer_than_the_window_is_none() {
        let mut guard = guard();
        for step in 0..40 {
            assert!(!at(&mut guard, step * 500, 1_000 + 5 * step as i64), "{step}");
        }
    }

    #[test]
    fn a_side_comes_back_after_calm_and_good_ticks_and_not_after_one_of_them() {
        let mut guard = guard();
        at(&mut guard, 0, 1_000);
        at(&mut guard, 100, 1_060);
        // The window still holds the low: not calm whatever the clock says.
        for ms in (200..4_000).step_by(200) {
            at(&mut guard, ms, 1_060);
            assert_eq!(guard.danger(Side::Sell), Danger::Threatened, "{ms}");
        }
        // Two good ticks a second apart: calm long enough, but too few.
        at(&mut guard, 5_000, 1_060);
        at(&mut guard, 6_100, 1_060);
        assert_eq!(guard.danger(Side::Sell), Danger::Threatened);
        assert!(at(&mut guard, 6_200, 1_060));
        assert_eq!(guard.danger(Side::Sell), Danger::Calm);
    }

    #[test]
    fn a_false_breakout_pulls_both_sides_before_either_comes_back() {
        let mut guard = guard();
        at(&mut guard, 0, 1_000);
        at(&mut guard, 100, 1_060);
        at(&mut guard, 200, 1_000);
        assert_eq!(
            (guard.danger(Side::Buy), guard.danger(Side::Sell)),
            (Danger::Threatened, Danger::Threatened),
            "up and down again within the window"
        );
    }

    #[test]
    fn a_move_of_half_of_what_trips_is_calm_and_half_a_tick_more_is_not() {
        let pulled = || {
            let mut guard = guard();
            at(&mut guard, 0, 1_000);
            at(&mut guard, 100, 1_060);
            guard
        };
        // Half of 48 half ticks above what the window holds: good ticks, a second of them.
        let mut guard = pulled();
        let moves = [(5_000, 1_060), (5_100, 1_084), (6_100, 1_084)];
        assert_eq!(moves.map(|(ms, mid)| at(&mut guard, ms, mid)), [false, false, true]);
        let mut guard = pulled();
        let moves = [(5_000, 1_060), (5_100, 1_085), (6_100, 1_085)];
        assert_eq!(moves.map(|(ms, mid)| at(&mut guard, ms, mid)), [false; 3]);
        assert_eq!(guard.danger(Side::Sell), Danger::Threatened);
    }

    #[test]
    fn a_volatility_that_rises_with_the_breakout_does_not_raise_its_bar() {
        let mut guard = guard();
        let mut at = |ms: u64, mid, sigma| {
            guard.on_mid(Nanos(100 * SECOND + ms * 1_000_000), HalfTicks(mid), sigma);
            guard.danger(Side::Sell)
        };
        at(0, 1_000, SIGMA);
        assert_eq!(at(100, 1_049, SIGMA), Danger::Threatened);
        assert_eq!(at(200, 1_098, Sigma(SIGMA.0 * 100)), Danger::Severe);
    }

    #[test]
    fn a_gap_is_no_move_and_no_calm_and_the_edges_do_not_wrap() {
        let mut guard = guard();
        at(&mut guard, 0, 1_000);
        guard.on_gap();
        assert!(!at(&mut guard, 100, 5_000), "what moved while nothing was seen");
        for (n, mid) in [i64::MIN, i64::MAX, 0, i64::MIN].into_iter().enumerate() {
            guard.on_mid(Nanos(u64::MAX - n as u64), HalfTicks(mid), Sigma(i64::MAX));
            guard.on_mid(Nanos(u64::MAX), HalfTicks(mid), Sigma(0));
        }
    }
}
