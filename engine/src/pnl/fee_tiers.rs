//! Fees by tier: what is paid depends on what was traded in the thirty days before.
//!
//! Fed by the maker, and by the simulated venue, with every fill and every new trading day; feeds the ledger's fee rates, the
//! ladder's floor and the hedger's costs. Maker thread; a fill is an addition and a walk over at most
//! [`TIERS_MAX`]. The volume before the start comes from the config, spread evenly over its days: it
//! leaves the window as it would have. Absent: volume of other accounts that a venue may add up.

use crate::instrument::ContractValue;
use crate::units::{FeeRate, Lots, Nanos, Ticks};

/// Most tiers.
pub const TIERS_MAX: usize = 12;
/// Days that count.
pub const DAYS: usize = 30;

/// From a volume on, these fees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FeeTier {
    /// Traded value in the window, 1e-9 of the quote currency.
    pub volume: i128,
    /// What a resting order pays.
    pub maker: FeeRate,
    /// What an immediate order pays.
    pub taker: FeeRate,
}

/// The tiers of one instrument; the first begins at no volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FeeSchedule {
    /// Ascending by volume; places beyond `len` are unused.
    pub tiers: [FeeTier; TIERS_MAX],
    /// How many there are.
    pub len: usize,
    /// Traded in the window before the start.
    pub volume_before: i128,
}

/// Where one instrument stands in its tiers.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FeeTiers {
    schedule: FeeSchedule,
    days: [i128; DAYS],
    today: usize,
    sum: i128,
    /// What the day before today had in its window that today has not.
    left: i128,
    /// How many trading days had ended before today; `None` before the first look at the clock.
    ended: Option<usize>,
}

/// What a restart must be told, or the volume would be the config's again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CarriedFees {
    /// Traded by day, today last.
    pub days: [i128; DAYS],
    /// When that was so.
    pub at: Nanos,
}

impl FeeTiers {
    /// With the volume of before.
    pub fn new(schedule: FeeSchedule) -> FeeTiers {
        let each = schedule.volume_before / DAYS as i128;
        let sum = each.saturating_mul(DAYS as i128);
        FeeTiers { schedule, days: [each; DAYS], today: 0, sum, left: 0, ended: None }
    }

    /// The same tiers with what an earlier run had traded, when so many days had ended.
    pub fn going_on(&self, days: [i128; DAYS], ended: usize) -> FeeTiers {
        let sum = days.iter().fold(0i128, |sum, day| sum.saturating_add(*day));
        let schedule = self.schedule;
        FeeTiers { schedule, days, today: DAYS - 1, sum, left: 0, ended: Some(ended) }
    }

    /// How it stands at `at`, for the next run.
    pub fn carried(&self, at: Nanos) -> CarriedFees {
        let mut days = self.days;
        days.rotate_left((self.today + 1) % DAYS);
        CarriedFees { days, at }
    }

    /// So many days have ended by now: what was traded too long ago leaves the window. Says whether any
    /// did. The first look rolls nothing: the config's volume is of the days before it.
    pub fn on_clock(&mut self, ended: usize) -> bool {
        let before = *self.ended.get_or_insert(ended);
        let passed = ended.saturating_sub(before);
        // After as many as the window has, nothing is left in it.
        for _ in 0..passed.min(DAYS) {
            self.on_day();
        }
        self.ended = Some(before.max(ended));
        passed > 0
    }

    /// What is paid now.
    pub fn tier(&self) -> FeeTier {
        self.tier_of(self.sum)
    }

    /// What a fill was charged that the venue made when so many days had ended. Told after the day's end,
    /// it is charged by the window of its own day; none comes two days late.
    pub fn tier_on(&self, ended: usize) -> FeeTier {
        if !self.is_yesterday(ended) {
            return self.tier();
        }
        let today = self.days.get(self.today).copied().unwrap_or_default();
        self.tier_of(self.sum.saturating_sub(today).saturating_add(self.left))
    }

    fn tier_of(&self, volume: i128) -> FeeTier {
        let tiers = self.schedule.tiers.iter().take(self.schedule.len);
        tiers.rev().find(|tier| tier.volume <= volume).copied().unwrap_or_default()
    }

    fn is_yesterday(&self, ended: usize) -> bool {
        self.ended.is_some_and(|now| ended < now)
    }

    /// A fill of so much value that the venue made when so many days had ended.
    pub fn on_fill(&mut self, ended: usize, value: i128) {
        let back = usize::from(self.is_yesterday(ended));
        if let Some(day) = self.days.get_mut((self.today + DAYS - back) % DAYS) {
            *day = day.saturating_add(value);
        }
        self.sum = self.sum.saturating_add(value);
    }

    /// A trading day has ended: the oldest leaves the window.
    fn on_day(&mut self) {
        self.today = (self.today + 1) % DAYS;
        if let Some(day) = self.days.get_mut(self.today) {
            self.sum = self.sum.saturating_sub(*day);
            self.left = *day;
            *day = 0;
        }
    }
}

/// What a fill counts as, in 1e-9 of the quote currency. Stops at the integer's edge.
pub fn traded_value(contract: ContractValue, price: Ticks, size: Lots) -> i128 {
    let (price, size) = (i128::from(price.0), i128::from(size.0));
    let value = match contract {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            price.saturating_mul(size).saturating_mul(i128::from(nano_per_tick_lot))
        }
        ContractValue::Inverse { nano_quote_per_lot, .. } => {
            size.saturating_mul(i128::from(nano_quote_per_lot))
        }
    };
    value.saturating_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiers(volume_before: i128) -> FeeTiers {
        let mut tiers = [FeeTier::default(); TIERS_MAX];
        tiers[0] = FeeTier { volume: 0, maker: FeeRate(10), taker: FeeRate(12) };
        tiers[1] = FeeTier { volume: 3_000, maker: FeeRate(8), taker: FeeRate(11) };
        tiers[2] = FeeTier { volume: 9_000, maker: FeeRate(-1), taker: FeeRate(9) };
        FeeTiers::new(FeeSchedule { tiers, len: 3, volume_before })
    }

    #[test]
    fn a_tier_begins_at_its_volume_and_not_a_unit_before() {
        let mut tiers = tiers(0);
        tiers.on_fill(0, 2_999);
        assert_eq!(tiers.tier().maker, FeeRate(10));
        tiers.on_fill(0, 1);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        tiers.on_fill(0, 6_000);
        assert_eq!((tiers.tier().maker, tiers.tier().taker), (FeeRate(-1), FeeRate(9)));
    }

    #[test]
    fn what_was_traded_before_leaves_day_by_day() {
        let mut tiers = tiers(3_000);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        tiers.on_day();
        assert_eq!(tiers.tier().maker, FeeRate(10), "2,900 are left");
        tiers.on_fill(0, 100);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        for _ in 0..DAYS {
            tiers.on_day();
        }
        assert_eq!(tiers.sum, 0, "and today's after thirty more");
    }

    #[test]
    fn days_that_ended_unseen_roll_as_often_and_the_first_look_rolls_none() {
        let mut tiers = tiers(3_000);
        assert!(!tiers.on_clock(5_000), "how many ended before the start is nothing to it");
        assert_eq!(tiers.sum, 3_000);
        assert!(tiers.on_clock(5_003) && !tiers.on_clock(5_003));
        assert_eq!(tiers.sum, 2_700, "a weekend's three ends at once");
        assert!(!tiers.on_clock(5_001), "time that runs backwards brings nothing back");
        assert!(tiers.on_clock(usize::MAX));
        assert_eq!(tiers.sum, 0);
    }

    #[test]
    fn a_fill_of_yesterday_that_is_told_today_is_charged_by_yesterday_s_window() {
        let mut tiers = tiers(3_000);
        tiers.on_clock(7);
        tiers.on_clock(8);
        let (yesterday, today) = (tiers.tier_on(7).maker, tiers.tier_on(8).maker);
        assert_eq!((yesterday, today), (FeeRate(8), FeeRate(10)), "3,000 then, 2,900 now");
        tiers.on_fill(8, 50);
        tiers.on_fill(7, 30);
        assert_eq!(tiers.tier_on(7).maker, FeeRate(8), "today's trading is none of yesterday's");
        assert_eq!((tiers.sum, tiers.days[0], tiers.days[1]), (2_980, 130, 50));
    }

    #[test]
    fn a_restart_goes_on_with_the_days_as_they_were_and_rolls_those_that_ended_meanwhile() {
        let mut before = tiers(0);
        before.on_clock(3);
        before.on_fill(3, 9_000);
        before.on_clock(4);
        before.on_fill(4, 500);
        let carried = before.carried(Nanos(77));
        assert_eq!(
            (carried.at, carried.days[DAYS - 2], carried.days[DAYS - 1]),
            (Nanos(77), 9_000, 500)
        );
        let mut after = before.going_on(carried.days, 4);
        assert_eq!(after.tier(), before.tier());
        for (ended, sum) in [(4, 9_500), (32, 9_500), (33, 500), (34, 0)] {
            after.on_clock(ended);
            assert_eq!(after.sum, sum, "{ended}");
        }
    }

    #[test]
    fn a_fill_s_value_is_its_size_whatever_its_sign_and_the_edges_do_not_wrap() {
        let linear = ContractValue::Linear { nano_per_tick_lot: 7, nano_underlying_per_lot: 1 };
        assert_eq!(traded_value(linear, Ticks(-10), Lots(3)), 210);
        let inverse = ContractValue::Inverse { nano_quote_per_lot: 100, nano_quote_per_tick: 1 };
        assert_eq!(traded_value(inverse, Ticks(-10), Lots(3)), 300);
        let mut tiers = tiers(0);
        for _ in 0..3 {
            tiers.on_fill(0, i128::MAX);
        }
        tiers.on_day();
        assert_eq!(tiers.tier().maker, FeeRate(-1));
    }
}
