//! A market maker's obligations: no wider than, no smaller than, for so much of the time.
//!
//! Fed by the maker: half-spreads on their way to the ladder, and at every timer whether what works
//! at the venue meets the obligation; feeds the ladder and the records. Maker thread; hot parts are a
//! comparison. Within it a quote is widened before it is withdrawn: a side that the soft limit or a
//! breakout would take out stays at the widest that is allowed, in the smallest size. What a floor, a
//! cap or a stop takes out all the same counts against the uptime, and a window with too little of
//! it is a breach: recorded and counted, never traded away.

use super::HalfSpreads;
use crate::units::{Lots, Nanos, Side, SubTicks, Ticks};

/// What is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ObligationSettings {
    /// Widest distance from best bid to best ask.
    pub spread_max: Ticks,
    /// Least size on each side.
    pub size_min: Lots,
    /// Thousandths of each window that both must stand.
    pub uptime_permille: u32,
    /// The window.
    pub window_ns: u64,
}

impl ObligationSettings {
    /// What two half-spreads may add up to: with a bid rounded down and an ask rounded up, the
    /// quotes are then no further apart than the maximum.
    fn room(&self) -> SubTicks {
        SubTicks::from_ticks(Ticks(self.spread_max.0.saturating_sub(1)))
    }

    /// The same quotes, as far in as the maximum spread asks: the far side comes first.
    pub fn within(&self, half: HalfSpreads) -> HalfSpreads {
        let (Some(bid), Some(ask)) = (half.bid, half.ask) else { return half };
        let over = bid.saturating_add(ask).saturating_sub(self.room()).0;
        if over <= 0 {
            return half;
        }
        let gap = bid.saturating_sub(ask).0.saturating_abs();
        let first = SubTicks(over.min(gap));
        let rest = over.saturating_sub(first.0);
        let (bid, ask) = if bid > ask {
            (bid.saturating_sub(first), ask)
        } else {
            (bid, ask.saturating_sub(first))
        };
        let (half_down, half_up) = (SubTicks(rest / 2), SubTicks(rest - rest / 2));
        HalfSpreads {
            bid: Some(bid.saturating_sub(half_down)),
            ask: Some(ask.saturating_sub(half_up)),
        }
    }

    /// The same quotes with `side` as far out as the obligation lets it be.
    pub fn widest(&self, half: HalfSpreads, side: Side) -> HalfSpreads {
        let outermost = |near: Option<SubTicks>, far: SubTicks| {
            let room = near.map_or(self.room(), |near| self.room().saturating_sub(near));
            Some(far.max(room))
        };
        match (side, half.bid, half.ask) {
            (Side::Buy, Some(bid), ask) => HalfSpreads { bid: outermost(ask, bid), ask },
            (Side::Sell, bid, Some(ask)) => HalfSpreads { bid, ask: outermost(bid, ask) },
            (Side::Buy, None, _) | (Side::Sell, _, None) => half,
        }
    }
}

/// How much of the time it was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uptime {
    /// Thousandths of the time that was owed; 1000 where none was yet.
    pub permille: u32,
    /// Windows that ended with too little.
    pub breaches: u64,
}

/// The clock of one instrument's obligation.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Obligation {
    settings: ObligationSettings,
    last: Option<Nanos>,
    window_began: Nanos,
    met_ns: u64,
    owed_ns: u64,
    all_met_ns: u64,
    all_owed_ns: u64,
    breaches: u64,
}

impl Obligation {
    /// Nothing owed yet.
    pub fn new(settings: ObligationSettings) -> Obligation {
        Obligation {
            settings,
            last: None,
            window_began: Nanos(0),
            met_ns: 0,
            owed_ns: 0,
            all_met_ns: 0,
            all_owed_ns: 0,
            breaches: 0,
        }
    }

    /// What is owed.
    pub fn settings(&self) -> &ObligationSettings {
        &self.settings
    }

    /// A timer: was it owed since the last one, and is it met? Where a window has ended in breach,
    /// says with how many thousandths.
    pub fn on_clock(&mut self, now: Nanos, is_owed: bool, is_met: bool) -> Option<u32> {
        let Some(last) = self.last.replace(now) else {
            self.window_began = now;
            return None;
        };
        let elapsed = now.since(last);
        if is_owed {
            self.owed_ns = self.owed_ns.saturating_add(elapsed);
            self.all_owed_ns = self.all_owed_ns.saturating_add(elapsed);
        }
        if is_owed && is_met {
            self.met_ns = self.met_ns.saturating_add(elapsed);
            self.all_met_ns = self.all_met_ns.saturating_add(elapsed);
        }
        if now.since(self.window_began) < self.settings.window_ns {
            return None;
        }
        let (met, owed) = (u128::from(self.met_ns), u128::from(self.owed_ns));
        let is_breach = met * 1000 < owed * u128::from(self.settings.uptime_permille);
        let permille = share(self.met_ns, self.owed_ns);
        self.window_began = now;
        self.met_ns = 0;
        self.owed_ns = 0;
        self.breaches = self.breaches.saturating_add(u64::from(is_breach));
        is_breach.then_some(permille)
    }

    /// How much of all the time it was met.
    pub fn uptime(&self) -> Uptime {
        Uptime { permille: share(self.all_met_ns, self.all_owed_ns), breaches: self.breaches }
    }
}

/// Thousandths, rounded down; 1000 of nothing.
fn share(met_ns: u64, owed_ns: u64) -> u32 {
    let permille = (u128::from(met_ns) * 1000).checked_div(u128::from(owed_ns));
    permille.and_then(|share| u32::try_from(share).ok()).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ObligationSettings {
        ObligationSettings {
            spread_max: Ticks(11),
            size_min: Lots(5),
            uptime_permille: 900,
            window_ns: 1_000,
        }
    }

    fn half(bid: i64, ask: i64) -> HalfSpreads {
        let ticks = |n| Some(SubTicks::from_ticks(Ticks(n)));
        HalfSpreads { bid: ticks(bid), ask: ticks(ask) }
    }

    #[test]
    fn a_spread_at_the_maximum_stays_and_the_far_side_comes_in_first() {
        assert_eq!(settings().within(half(4, 6)), half(4, 6));
        assert_eq!(settings().within(half(1, 20)), half(1, 9));
        assert_eq!(settings().within(half(20, 1)), half(9, 1));
        assert_eq!(settings().within(half(8, 12)), half(5, 5));
    }

    #[test]
    fn the_quotes_of_every_fair_value_are_no_further_apart_than_the_maximum() {
        for step in 0..64i64 {
            let fair = SubTicks(1_000 * SubTicks::ONE.0 + step * (SubTicks::ONE.0 / 64));
            let wide = HalfSpreads {
                bid: Some(SubTicks(7 * SubTicks::ONE.0 + 12_345)),
                ask: Some(SubTicks(9 * SubTicks::ONE.0 + 678_901)),
            };
            let within = settings().within(wide);
            let bid = fair.saturating_sub(within.bid.unwrap()).floor().0;
            let ask = fair.saturating_add(within.ask.unwrap()).ceil().0;
            assert!(ask - bid <= 11, "{step}: {bid} {ask}");
        }
    }

    #[test]
    fn a_side_that_would_be_withdrawn_goes_as_far_out_as_it_may() {
        assert_eq!(settings().widest(half(2, 3), Side::Buy), half(7, 3));
        assert_eq!(settings().widest(half(2, 3), Side::Sell), half(2, 8));
        assert_eq!(settings().widest(half(9, 9), Side::Buy), half(9, 9), "never further in");
        let one = HalfSpreads { ask: None, ..half(2, 0) };
        assert_eq!(settings().widest(one, Side::Sell), one, "what the model does not quote");
    }

    #[test]
    fn a_window_with_exactly_the_uptime_is_none_and_one_with_less_is_a_breach() {
        let mut clock = Obligation::new(settings());
        clock.on_clock(Nanos(0), true, true);
        assert_eq!(clock.on_clock(Nanos(100), true, false), None);
        assert_eq!(clock.on_clock(Nanos(1_000), true, true), None, "900 of 1,000");
        assert_eq!(clock.on_clock(Nanos(1_101), true, false), None);
        assert_eq!(clock.on_clock(Nanos(2_000), true, true), Some(899));
        assert_eq!(clock.uptime(), Uptime { permille: 899, breaches: 1 });
    }

    #[test]
    fn time_that_is_not_owed_does_not_count() {
        let mut clock = Obligation::new(settings());
        clock.on_clock(Nanos(0), true, true);
        assert_eq!(clock.on_clock(Nanos(900), false, false), None);
        assert_eq!(clock.on_clock(Nanos(1_000), true, true), None);
        assert_eq!(clock.uptime(), Uptime { permille: 1000, breaches: 0 });
    }
}
