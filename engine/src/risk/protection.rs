//! Market-maker protection: too many fills, or too much delta, in a window pull every quote of the
//! underlying. Whoever takes one level after another knows something that we do not.
//!
//! Fed by the maker with every fill of a quote, on all instruments of one underlying; feeds their
//! state, which pauses for the cool-down. Maker thread. The fills of a window stand in a ring; none is
//! older than the window when it counts. Hedges do not count: they are our own doing.

use crate::units::{Exposure, Nanos};

/// What a window may hold before the quotes are pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ProtectionLimits {
    /// Most fills.
    pub fills_max: u32,
    /// Most net exposure by those fills, either way.
    pub delta_max: Exposure,
    /// The window.
    pub window_ns: u64,
    /// How long nothing is quoted afterwards.
    pub cooldown_ns: u64,
}

/// One underlying's protection.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Protection {
    limits: ProtectionLimits,
    /// One place more than the limit: the fill that is one too many stands there too.
    fills: Box<[(Nanos, i64)]>,
    /// Place of the oldest.
    first: usize,
    len: usize,
    net: i128,
    until: Option<Nanos>,
}

impl Protection {
    /// Allocates the ring of fills.
    pub fn new(limits: ProtectionLimits) -> Protection {
        let places = usize::try_from(limits.fills_max).unwrap_or(usize::MAX).saturating_add(1);
        let fills = vec![(Nanos(0), 0); places].into();
        Protection { limits, fills, first: 0, len: 0, net: 0, until: None }
    }

    /// A quote filled and moved the underlying's exposure by `delta`. Is that too much?
    pub fn on_fill(&mut self, now: Nanos, delta: Exposure) -> bool {
        while self.len > 0
            && let Some(&(at, of)) = self.fills.get(self.first)
            && (now.since(at) >= self.limits.window_ns || self.len == self.fills.len())
        {
            self.net -= i128::from(of);
            self.first = self.after(self.first, 1);
            self.len -= 1;
        }
        let place = self.after(self.first, self.len);
        if let Some(fill) = self.fills.get_mut(place) {
            *fill = (now, delta.0);
        }
        self.len += 1;
        self.net += i128::from(delta.0);
        let is_often = self.len > usize::try_from(self.limits.fills_max).unwrap_or(usize::MAX);
        let is_far = self.net.unsigned_abs() > u128::from(self.limits.delta_max.0.unsigned_abs());
        if is_often || is_far {
            self.forget();
            self.until = Some(now.plus(self.limits.cooldown_ns));
        }
        is_often || is_far
    }

    fn after(&self, place: usize, steps: usize) -> usize {
        let place = place + steps;
        if place >= self.fills.len() { place - self.fills.len() } else { place }
    }

    /// Are the quotes out at `now`?
    pub fn is_cooling(&self, now: Nanos) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// An operator resumes: the cool-down ends, and what was, counts no more.
    pub fn reset(&mut self) {
        self.until = None;
        self.forget();
    }

    fn forget(&mut self) {
        self.first = 0;
        self.len = 0;
        self.net = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(fills_max: u32, delta_max: i64) -> Protection {
        Protection::new(ProtectionLimits {
            fills_max,
            delta_max: Exposure(delta_max),
            window_ns: 100,
            cooldown_ns: 1_000,
        })
    }

    #[test]
    fn the_limit_of_fills_passes_and_one_more_in_the_window_pulls() {
        let mut guard = protection(3, 1_000);
        for at in [0, 30, 60] {
            assert!(!guard.on_fill(Nanos(at), Exposure(1)));
        }
        let mut later = guard.clone();
        assert!(guard.on_fill(Nanos(99), Exposure(1)));
        assert!(guard.is_cooling(Nanos(1_098)));
        assert!(!guard.is_cooling(Nanos(1_099)));
        assert!(!later.on_fill(Nanos(100), Exposure(1)), "the first has left the window");
        assert!(!later.is_cooling(Nanos(100)));
    }

    #[test]
    fn net_delta_at_the_limit_passes_and_one_over_pulls_on_either_side() {
        for sign in [1, -1] {
            let mut guard = protection(100, 50);
            assert!(!guard.on_fill(Nanos(0), Exposure(sign * 50)));
            assert!(!guard.on_fill(Nanos(1), Exposure(-sign * 20)), "what comes back is netted");
            assert!(!guard.on_fill(Nanos(2), Exposure(sign * 20)));
            assert!(guard.on_fill(Nanos(3), Exposure(sign)));
        }
    }

    #[test]
    fn fills_that_left_the_window_take_their_delta_with_them() {
        let mut guard = protection(2, 50);
        for n in 0..100 {
            assert!(!guard.on_fill(Nanos(n * 60), Exposure(25)), "{n}");
        }
    }

    #[test]
    fn exactly_what_filled_within_the_window_counts_and_after_a_pull_nothing_of_it() {
        let mut guard = protection(4, 60);
        let mut window: Vec<(u64, i64)> = Vec::new();
        let mut pulls = 0;
        for n in 0..2_000u64 {
            // Fills of all sizes, either way, from none to six in a window.
            let (at, delta) = (n * 30 + n * n % 25, (n * 37 % 101) as i64 - 50);
            window.retain(|(then, _)| at - then < 100);
            window.push((at, delta));
            let net: i64 = window.iter().map(|(_, delta)| delta).sum();
            let is_too_much = window.len() > 4 || net.abs() > 60;
            assert_eq!(guard.on_fill(Nanos(at), Exposure(delta)), is_too_much, "{n}");
            if is_too_much {
                window.clear();
                pulls += 1;
            }
        }
        assert!((100..1_000).contains(&pulls), "{pulls}");
    }

    #[test]
    fn an_operator_ends_the_cool_down_and_extremes_do_not_wrap() {
        let mut guard = protection(2, i64::MAX);
        assert!(!guard.on_fill(Nanos(0), Exposure(i64::MAX)));
        assert!(guard.on_fill(Nanos(1), Exposure(1)));
        guard.reset();
        assert!(!guard.is_cooling(Nanos(1)));
        assert!(guard.on_fill(Nanos(u64::MAX), Exposure(i64::MIN)));
        assert!(!guard.on_fill(Nanos(u64::MAX), Exposure(1)));
        guard.reset();
        assert!(!guard.on_fill(Nanos(u64::MAX), Exposure(i64::MAX)), "what was counts no more");
    }
}
