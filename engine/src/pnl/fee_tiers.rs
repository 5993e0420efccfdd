//! Fees by tier: what is paid depends on what was traded in the thirty days before.
//!
//! Fed by the maker with every fill and every new trading day; feeds the ledger's fee rates, the
//! ladder's floor and the hedger's costs. Maker thread; a fill is an addition and a walk over at most
//! [`TIERS_MAX`]. The volume before the start comes from the config, spread evenly over its days: it
//! leaves the window as it would have. Absent: volume of other accounts that a venue may add up.

use crate::instrument::ContractValue;
use crate::units::{FeeRate, Lots, Ticks};

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
}

impl FeeTiers {
    /// With the volume of before.
    pub fn new(schedule: FeeSchedule) -> FeeTiers {
        let each = schedule.volume_before / DAYS as i128;
        let sum = each.saturating_mul(DAYS as i128);
        FeeTiers { schedule, days: [each; DAYS], today: 0, sum }
    }

    /// What is paid now.
    pub fn tier(&self) -> FeeTier {
        let tiers = self.schedule.tiers.iter().take(self.schedule.len);
        tiers.rev().find(|tier| tier.volume <= self.sum).copied().unwrap_or_default()
    }

    /// A fill of so much value.
    pub fn on_fill(&mut self, value: i128) {
        if let Some(today) = self.days.get_mut(self.today) {
            *today = today.saturating_add(value);
        }
        self.sum = self.sum.saturating_add(value);
    }

    /// A trading day has ended: the oldest leaves the window.
    pub fn on_day(&mut self) {
        self.today = (self.today + 1) % DAYS;
        if let Some(day) = self.days.get_mut(self.today) {
            self.sum = self.sum.saturating_sub(*day);
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
        tiers.on_fill(2_999);
        assert_eq!(tiers.tier().maker, FeeRate(10));
        tiers.on_fill(1);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        tiers.on_fill(6_000);
        assert_eq!((tiers.tier().maker, tiers.tier().taker), (FeeRate(-1), FeeRate(9)));
    }

    #[test]
    fn what_was_traded_before_leaves_day_by_day() {
        let mut tiers = tiers(3_000);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        tiers.on_day();
        assert_eq!(tiers.tier().maker, FeeRate(10), "2,900 are left");
        tiers.on_fill(100);
        assert_eq!(tiers.tier().maker, FeeRate(8));
        for _ in 0..DAYS {
            tiers.on_day();
        }
        assert_eq!(tiers.sum, 0, "and today's after thirty more");
    }

    #[test]
    fn a_fill_s_value_is_its_size_whatever_its_sign_and_the_edges_do_not_wrap() {
        let linear = ContractValue::Linear { nano_per_tick_lot: 7, nano_underlying_per_lot: 1 };
        assert_eq!(traded_value(linear, Ticks(-10), Lots(3)), 210);
        let inverse = ContractValue::Inverse { nano_quote_per_lot: 100, nano_quote_per_tick: 1 };
        assert_eq!(traded_value(inverse, Ticks(-10), Lots(3)), 300);
        let mut tiers = tiers(0);
        for _ in 0..3 {
            tiers.on_fill(i128::MAX);
        }
        tiers.on_day();
        assert_eq!(tiers.tier().maker, FeeRate(-1));
    }
}
