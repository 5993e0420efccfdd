//! When a position is closed and how fast: profit in steps, passive first; a loss at once.
//!
//! Fed by the maker's timer and every fill with the position's [`Basis`] and the mark; feeds quoting (one-sided at
//! the touch while passive) and the immediate orders. Maker thread. A step that was reached stays
//! reached until the position is flat or turns: the position may not grow again beyond what the step
//! left. Deliberately absent: orders, and limits: the gate judges these orders like every other.

use super::basis::Basis;
use crate::instrument::ContractValue;
use crate::pnl::valuation::HalfTicks;
use crate::units::{Lots, Nanos, Notional};

/// Most steps of a take-profit.
pub const STEPS_MAX: usize = 8;

/// One step: at this gain, so much of the position is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Step {
    /// How much better than its entry a lot stands.
    pub gain: HalfTicks,
    /// Thousandths of the position's largest size.
    pub close_permille: u32,
}

/// How profit is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct TakeProfit {
    /// In the order of their gains; an unused place has nothing to close.
    pub steps: [Step; STEPS_MAX],
    /// How long a step is quoted before what is left of it is taken.
    pub passive_ns: u64,
}

/// When a position is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExitSettings {
    /// Profit, in steps.
    pub take_profit: Option<TakeProfit>,
    /// Most that a position may lose since it was flat, in 1e-9 of the settlement currency.
    pub loss_max: Option<Notional>,
}

/// What to do with a position now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Exit {
    /// Nothing.
    #[default]
    Hold,
    /// Offer so much of it where it trades passively.
    Passive(Lots),
    /// Take so much of it off at once.
    Immediate(Lots),
}

/// How far an exit has come: what outlives a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExitProgress {
    pub(crate) life: u64,
    /// Thousandths of the peak that the steps reached so far close.
    pub(crate) closed_permille: u32,
    /// Since when there is something to close.
    pub(crate) since: Option<Nanos>,
    pub(crate) is_stopped: bool,
}

/// Where one position's exit stands.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExitPlan {
    settings: ExitSettings,
    progress: ExitProgress,
    exit: Exit,
}

impl ExitPlan {
    /// Holds.
    pub fn new(settings: ExitSettings) -> ExitPlan {
        ExitPlan { settings, ..ExitPlan::default() }
    }

    /// How far it has come.
    pub fn progress(&self) -> ExitProgress {
        self.progress
    }

    /// Goes on from where an earlier run's came to; the next look says what to do.
    pub fn go_on(&mut self, progress: ExitProgress) {
        self.progress = progress;
    }

    /// Looks at the position: on the timer, and at once when it has changed.
    pub fn look(&mut self, now: Nanos, basis: &Basis, mark: HalfTicks, contract: ContractValue) {
        if self.progress.life != basis.life() || basis.lots().0 == 0 {
            self.progress.life = basis.life();
            self.progress.closed_permille = 0;
            self.progress.since = None;
        }
        if let Some(max) = self.settings.loss_max {
            // A loss that does not fit is one beyond the limit.
            let lost = basis.pnl(mark, contract).is_none_or(|pnl| pnl < max.0.saturating_neg());
            self.progress.is_stopped |= lost;
        }
        self.reach(basis, mark);
        let excess = self.excess(basis);
        self.progress.since = if excess == 0 { None } else { self.progress.since.or(Some(now)) };
        let passive_ns = self.settings.take_profit.map_or(0, |take| take.passive_ns);
        self.exit = match self.progress.since {
            None => Exit::Hold,
            Some(since) if !self.progress.is_stopped && now.since(since) < passive_ns => {
                Exit::Passive(Lots(excess))
            }
            Some(_) => Exit::Immediate(Lots(excess)),
        };
    }

    fn reach(&mut self, basis: &Basis, mark: HalfTicks) {
        let (Some(take), Some(gain)) = (self.settings.take_profit, basis.gain(mark)) else {
            return;
        };
        let reached = take.steps.iter().filter(|step| step.gain <= gain);
        let closes = reached.fold(0u32, |sum, step| sum.saturating_add(step.close_permille));
        self.progress.closed_permille = self.progress.closed_permille.max(closes.min(1000));
    }

    /// How much is held beyond what may be kept.
    fn excess(&self, basis: &Basis) -> i64 {
        let held = u128::from(basis.lots().0.unsigned_abs());
        let kept = if self.progress.is_stopped {
            0
        } else {
            1000 - self.progress.closed_permille.min(1000)
        };
        // Rounded up: a step never closes more than its share.
        let kept = (u128::from(basis.peak()) * u128::from(kept)).div_ceil(1000);
        i64::try_from(held.saturating_sub(kept)).unwrap_or(i64::MAX)
    }

    /// What to do now, as of the last look.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// A step was reached: what is held may not grow beyond what it left.
    pub fn has_begun(&self) -> bool {
        self.progress.closed_permille > 0
    }

    /// The loss limit was passed: the position goes, and an operator must look.
    pub fn is_stopped(&self) -> bool {
        self.progress.is_stopped
    }

    /// An operator has looked.
    pub fn resume(&mut self) {
        self.progress.is_stopped = false;
        self.exit = Exit::Hold;
        self.progress.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Side, Ticks};

    const LINEAR: ContractValue =
        ContractValue::Linear { nano_per_tick_lot: 1, nano_underlying_per_lot: 1 };

    fn plan() -> ExitPlan {
        let mut steps = [Step::default(); STEPS_MAX];
        steps[0] = Step { gain: HalfTicks(20), close_permille: 500 };
        steps[1] = Step { gain: HalfTicks(40), close_permille: 300 };
        let take_profit = Some(TakeProfit { steps, passive_ns: 100 });
        ExitPlan::new(ExitSettings { take_profit, loss_max: Some(Notional(50)) })
    }

    fn long(lots: i64) -> Basis {
        let mut basis = Basis::default();
        basis.on_fill(Nanos(1), Side::Buy, Ticks(1_000), Lots(lots), LINEAR);
        basis
    }

    fn look(plan: &mut ExitPlan, at: u64, basis: &Basis, half_ticks: i64) -> Exit {
        plan.look(Nanos(at), basis, HalfTicks(half_ticks), LINEAR);
        plan.exit()
    }

    #[test]
    fn a_step_is_reached_at_its_gain_and_not_half_a_tick_before() {
        let (mut plan, basis) = (plan(), long(10));
        assert_eq!(look(&mut plan, 10, &basis, 2_019), Exit::Hold);
        assert_eq!(look(&mut plan, 11, &basis, 2_020), Exit::Passive(Lots(5)));
        assert_eq!(look(&mut plan, 12, &basis, 2_000), Exit::Passive(Lots(5)), "it stays reached");
        assert_eq!(look(&mut plan, 13, &basis, 2_040), Exit::Passive(Lots(8)));
    }

    #[test]
    fn what_is_not_closed_passively_in_time_is_taken() {
        let (mut plan, mut basis) = (plan(), long(10));
        look(&mut plan, 10, &basis, 2_020);
        assert_eq!(look(&mut plan, 109, &basis, 2_020), Exit::Passive(Lots(5)));
        assert_eq!(look(&mut plan, 110, &basis, 2_020), Exit::Immediate(Lots(5)));
        basis.on_fill(Nanos(111), Side::Sell, Ticks(1_010), Lots(5), LINEAR);
        assert_eq!(look(&mut plan, 112, &basis, 2_020), Exit::Hold);
    }

    #[test]
    fn a_new_position_begins_with_no_step_reached() {
        let (mut plan, mut basis) = (plan(), long(10));
        look(&mut plan, 10, &basis, 2_020);
        basis.on_fill(Nanos(11), Side::Sell, Ticks(1_010), Lots(20), LINEAR);
        assert_eq!(look(&mut plan, 12, &basis, 2_020), Exit::Hold, "it turned");
        assert_eq!(look(&mut plan, 13, &basis, 2_000), Exit::Passive(Lots(5)), "10 better, short");
    }

    #[test]
    fn the_loss_limit_passes_and_one_unit_more_closes_everything_at_once() {
        let (mut plan, basis) = (plan(), long(10));
        assert_eq!(look(&mut plan, 10, &basis, 1_990), Exit::Hold, "a loss of 50 passes");
        assert!(!plan.is_stopped());
        let (mut plan, basis) = (super::tests::plan(), long(51));
        assert_eq!(look(&mut plan, 10, &basis, 1_998), Exit::Immediate(Lots(51)));
        assert!(plan.is_stopped());
        let back = look(&mut plan, 11, &basis, 2_000);
        assert_eq!(back, Exit::Immediate(Lots(51)), "what comes back does not reopen");
        plan.resume();
        assert_eq!(look(&mut plan, 12, &basis, 2_000), Exit::Hold);
    }
}
