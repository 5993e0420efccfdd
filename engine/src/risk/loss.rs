//! The loss stops of the whole portfolio: today's loss, and the fall from today's best.
//!
//! Fed by the maker's timer with the account's total; feeds every instrument's state. Maker thread; two
//! subtractions a sample. Today's loss stops quoting until the day ends; a drawdown stops it for the
//! cool-down and then counts from where the account stands. Hedging goes on: it takes risk off.
//! Deliberately absent: calendars and time zones; the days' ends come as UTC instants, worked out
//! where there is a calendar.

use crate::risk::state::Reason;
use crate::units::{Nanos, Notional};

/// What may be lost.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct LossLimits {
    /// Most that a trading day may lose, in the reporting currency.
    pub daily_max: Notional,
    /// Furthest that the account may fall from the day's best.
    pub drawdown_max: Notional,
    /// How long nothing is quoted after a drawdown.
    pub cooldown_ns: u64,
    /// When trading days end, ascending, UTC.
    pub day_ends: Vec<Nanos>,
}

/// What of a day must survive a restart: the account starts at zero, the day does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CarriedDay {
    /// When the day ends that this is of.
    pub ends: Nanos,
    /// What was earned since it began.
    pub pnl: Notional,
    /// The most that was earned in it so far.
    pub best: Notional,
}

/// The day so far.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct LossStop {
    limits: LossLimits,
    /// Place of the present day's end; beyond the last the day never ends.
    day: usize,
    /// No sample yet: it is not known what day it is.
    is_new: bool,
    carried: Option<CarriedDay>,
    /// The account's total at the day's beginning.
    start: i128,
    /// The highest total since then, or since the last cool-down.
    best: i128,
    total: i128,
    /// The total does not fit, and nobody knows what was lost.
    is_unknown: bool,
    has_lost_day: bool,
    cooling_until: Option<Nanos>,
}

impl LossStop {
    /// `carried`: what an earlier run left of its day; it counts if that day has not ended.
    pub fn new(limits: LossLimits, carried: Option<CarriedDay>) -> LossStop {
        LossStop {
            limits,
            day: 0,
            is_new: true,
            carried,
            start: 0,
            best: 0,
            total: 0,
            is_unknown: false,
            has_lost_day: false,
            cooling_until: None,
        }
    }

    /// The account stands at `total` since the start; `None` where that does not fit. Says whether a
    /// new day has begun since the last sample.
    pub fn on_total(&mut self, now: Nanos, total: Option<Notional>) -> bool {
        self.is_unknown = total.is_none();
        let Some(Notional(total)) = total else { return false };
        self.total = total;
        let is_new_day = self.roll(now);
        self.best = self.best.max(total);
        if self.cooling_until.is_some_and(|until| now >= until) {
            self.cooling_until = None;
            self.best = total;
        }
        let lost = self.start.saturating_sub(total);
        self.has_lost_day |= lost > self.limits.daily_max.0;
        let fallen = self.best.saturating_sub(total);
        if fallen > self.limits.drawdown_max.0 && self.cooling_until.is_none() {
            self.cooling_until = Some(now.plus(self.limits.cooldown_ns));
        }
        is_new_day
    }

    fn roll(&mut self, now: Nanos) -> bool {
        let ended = |day: &usize| self.limits.day_ends.get(*day).is_some_and(|end| *end <= now);
        if self.is_new {
            // Once a run: years of days are not walked one by one.
            self.is_new = false;
            self.day = self.limits.day_ends.partition_point(|end| *end <= now);
            let today = self.carried.filter(|day| Some(day.ends) == self.day_end());
            if let Some(day) = today {
                self.start = 0i128.saturating_sub(day.pnl.0);
                self.best = self.start.saturating_add(day.best.0);
            }
            return false;
        }
        if !ended(&self.day) {
            return false;
        }
        self.day += self
            .limits
            .day_ends
            .get(self.day..)
            .map_or(1, |rest| rest.partition_point(|end| *end <= now));
        self.start = self.total;
        self.best = self.total;
        self.has_lost_day = false;
        true
    }

    fn day_end(&self) -> Option<Nanos> {
        self.limits.day_ends.get(self.day).copied()
    }

    /// Why nothing may be quoted now.
    pub fn stopped(&self) -> Option<Reason> {
        if self.is_unknown || self.has_lost_day {
            return Some(Reason::DailyLoss);
        }
        self.cooling_until.map(|_| Reason::Drawdown)
    }

    /// What a restart must be told; `None` before the first sample or beyond the last day.
    pub fn carried(&self) -> Option<CarriedDay> {
        let ends = self.day_end().filter(|_| !self.is_new)?;
        let since = |total: i128| Notional(total.saturating_sub(self.start));
        Some(CarriedDay { ends, pnl: since(self.total), best: since(self.best) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> LossLimits {
        LossLimits {
            daily_max: Notional(100),
            drawdown_max: Notional(70),
            cooldown_ns: 10,
            day_ends: vec![Nanos(1_000), Nanos(2_000), Nanos(3_000)],
        }
    }

    fn stop() -> LossStop {
        let mut stop = LossStop::new(limits(), None);
        stop.on_total(Nanos(1), Some(Notional(0)));
        stop
    }

    #[test]
    fn the_daily_limit_passes_and_one_unit_more_stops_until_the_day_ends() {
        let mut stop =
            LossStop::new(LossLimits { drawdown_max: Notional(1_000), ..limits() }, None);
        stop.on_total(Nanos(1), Some(Notional(0)));
        stop.on_total(Nanos(2), Some(Notional(-100)));
        assert_eq!(stop.stopped(), None);
        stop.on_total(Nanos(3), Some(Notional(-101)));
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss));
        stop.on_total(Nanos(999), Some(Notional(500)));
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss), "what comes back does not reopen");
        assert!(stop.on_total(Nanos(1_000), Some(Notional(-150))));
        assert_eq!(stop.stopped(), None, "a new day counts from where the account stands");
        stop.on_total(Nanos(1_001), Some(Notional(-251)));
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss));
    }

    #[test]
    fn a_fall_from_the_best_cools_down_and_then_counts_anew() {
        let mut stop = stop();
        stop.on_total(Nanos(2), Some(Notional(50)));
        stop.on_total(Nanos(3), Some(Notional(-20)));
        assert_eq!(stop.stopped(), None);
        stop.on_total(Nanos(4), Some(Notional(-21)));
        assert_eq!(stop.stopped(), Some(Reason::Drawdown));
        stop.on_total(Nanos(13), Some(Notional(-22)));
        assert_eq!(stop.stopped(), Some(Reason::Drawdown));
        stop.on_total(Nanos(14), Some(Notional(-22)));
        assert_eq!(stop.stopped(), None);
        stop.on_total(Nanos(15), Some(Notional(-93)));
        assert_eq!(stop.stopped(), Some(Reason::Drawdown));
    }

    #[test]
    fn several_days_that_ended_unseen_are_one_new_day() {
        let mut stop = stop();
        assert!(stop.on_total(Nanos(2_500), Some(Notional(-90))));
        assert!(!stop.on_total(Nanos(2_501), Some(Notional(-90))));
        assert!(stop.on_total(Nanos(3_000), Some(Notional(-90))));
        assert!(!stop.on_total(Nanos(u64::MAX), Some(Notional(-90))), "no day is known any more");
        assert_eq!(stop.carried(), None);
    }

    #[test]
    fn a_restart_within_the_day_goes_on_where_it_was_and_after_it_begins_anew() {
        let mut before = stop();
        before.on_total(Nanos(2), Some(Notional(30)));
        before.on_total(Nanos(3), Some(Notional(-40)));
        let carried = before.carried();
        let day = CarriedDay { ends: Nanos(1_000), pnl: Notional(-40), best: Notional(30) };
        assert_eq!(carried, Some(day));
        let mut after = LossStop::new(limits(), carried);
        after.on_total(Nanos(4), Some(Notional(0)));
        assert_eq!((after.carried(), after.stopped()), (carried, None));
        after.on_total(Nanos(5), Some(Notional(-1)));
        assert_eq!(after.stopped(), Some(Reason::Drawdown));
        after.on_total(Nanos(6), Some(Notional(-61)));
        assert_eq!(after.stopped(), Some(Reason::DailyLoss));
        let mut next_day = LossStop::new(limits(), carried);
        next_day.on_total(Nanos(1_000), Some(Notional(0)));
        next_day.on_total(Nanos(1_001), Some(Notional(-70)));
        assert_eq!(next_day.stopped(), None);
    }

    #[test]
    fn a_total_that_does_not_fit_is_a_loss_and_extremes_do_not_wrap() {
        let mut stop = stop();
        stop.on_total(Nanos(2), None);
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss));
        stop.on_total(Nanos(3), Some(Notional(0)));
        assert_eq!(stop.stopped(), None);
        stop.on_total(Nanos(4), Some(Notional(i128::MAX)));
        stop.on_total(Nanos(5), Some(Notional(i128::MIN)));
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss));
    }

    #[test]
    fn a_loss_at_the_very_first_sample_counts() {
        let mut stop = LossStop::new(limits(), None);
        stop.on_total(Nanos(1), Some(Notional(-101)));
        assert_eq!(stop.stopped(), Some(Reason::DailyLoss), "the account began at zero");
    }
}
