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

impl LossLimits {
    /// How many trading days have ended by `at`.
    pub fn days_ended(&self, at: Nanos) -> usize {
        self.day_ends.partition_point(|end| *end <= at)
    }
}

/// What of a day must survive a restart: the account starts at zero, the day does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CarriedDay {
    /// When the day ends that this is of.
    pub ends: Nanos,
    /// What was earned since it began.
    pub pnl: Notional,
    /// The most that was earned in it so far.
    pub best: Notional,
}

/// Which stops had been reached: what comes back after a restart does not reopen either.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CarriedStops {
    /// The day had lost as much as it may.
    pub has_lost_day: bool,
    /// A drawdown's cool-down ends then.
    pub cooling_until: Option<Nanos>,
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
    carried_stops: CarriedStops,
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
            carried_stops: CarriedStops::default(),
            start: 0,
            best: 0,
            total: 0,
            is_unknown: false,
            has_lost_day: false,
            cooling_until: None,
        }
    }

    /// The same with the stops that an earlier run had reached; until the first sample they all hold.
    pub fn stopped_before(self, carried_stops: CarriedStops) -> LossStop {
        LossStop { carried_stops, ..self }
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

    /// The same with a last sample: what was lost since the timer's counts for the day as well. Before the
    /// first one it is not known what day it is, and what was carried so far stays. Says whether a new day
    /// has begun with it.
    pub fn sampled(&self, now: Nanos, total: Option<Notional>) -> (LossStop, bool) {
        let mut sampled = self.clone();
        let is_new_day = !self.is_new && sampled.on_total(now, total);
        (sampled, is_new_day)
    }

    fn roll(&mut self, now: Nanos) -> bool {
        let ended = |day: &usize| self.limits.day_ends.get(*day).is_some_and(|end| *end <= now);
        if self.is_new {
            // Once a run: years of days are not walked one by one.
            self.is_new = false;
            self.day = self.limits.day_ends.partition_point(|end| *end <= now);
            // By its own end: the config's may have been edited since.
            let today = self.carried.filter(|day| now < day.ends);
            if let Some(day) = today {
                self.start = 0i128.saturating_sub(day.pnl.0);
                self.best = self.start.saturating_add(day.best.0);
                self.has_lost_day = self.carried_stops.has_lost_day;
            }
            // No longer than a fresh one: on a recording that begins again, time may be earlier.
            let longest = now.plus(self.limits.cooldown_ns);
            self.cooling_until = self.carried_stops.cooling_until.map(|until| until.min(longest));
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

    /// How many trading days have ended by `at`, from the first that is known on.
    pub fn days_ended(&self, at: Nanos) -> usize {
        self.limits.days_ended(at)
    }

    fn day_end(&self) -> Option<Nanos> {
        self.limits.day_ends.get(self.day).copied()
    }

    /// Why nothing may be quoted now.
    pub fn stopped(&self) -> Option<Reason> {
        let CarriedStops { has_lost_day, cooling_until } = self.carried_stops();
        if self.is_unknown || has_lost_day {
            return Some(Reason::DailyLoss);
        }
        cooling_until.map(|_| Reason::Drawdown)
    }

    /// Has there been no sample yet?
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Has an earlier run's last day ended? By its own end, as in the first sample.
    pub fn is_past_carried(&self, now: Nanos) -> bool {
        !self.is_new && self.carried.is_some_and(|day| day.ends <= now)
    }

    /// The stops that hold: before the first sample, those that an earlier run had reached.
    pub fn carried_stops(&self) -> CarriedStops {
        if self.is_new {
            return self.carried_stops;
        }
        CarriedStops { has_lost_day: self.has_lost_day, cooling_until: self.cooling_until }
    }

    /// What a restart must be told: before the first sample what this run was told itself, `None`
    /// beyond the last day.
    pub fn carried(&self) -> Option<CarriedDay> {
        if self.is_new {
            return self.carried;
        }
        let ends = self.day_end()?;
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
    fn a_day_that_was_lost_stays_lost_over_restarts_until_it_ends() {
        let mut before =
            LossStop::new(LossLimits { drawdown_max: Notional(1_000), ..limits() }, None);
        before.on_total(Nanos(1), Some(Notional(-101)));
        before.on_total(Nanos(2), Some(Notional(-50)));
        let (day, stops) = (before.carried(), before.carried_stops());
        let after = || LossStop::new(limits(), day).stopped_before(stops);
        assert_eq!(after().stopped(), Some(Reason::DailyLoss), "before the first sample too");
        assert_eq!(
            (after().carried(), after().carried_stops()),
            (day, stops),
            "as does a third run"
        );
        let mut same_day = after();
        same_day.on_total(Nanos(3), Some(Notional(0)));
        assert_eq!(same_day.stopped(), Some(Reason::DailyLoss), "50 of 100 are lost, 101 were");
        assert!(!same_day.is_past_carried(Nanos(3)));
        // Also where the config now ends its days at other times.
        let edited = LossLimits { day_ends: vec![Nanos(500), Nanos(1_500)], ..limits() };
        let mut edited = LossStop::new(edited, day).stopped_before(stops);
        edited.on_total(Nanos(600), Some(Notional(0)));
        assert_eq!(edited.stopped(), Some(Reason::DailyLoss));
        assert!(!edited.is_past_carried(Nanos(600)));
        let mut next_day = after();
        next_day.on_total(Nanos(1_000), Some(Notional(0)));
        assert_eq!(next_day.stopped(), None);
        assert!(next_day.is_past_carried(Nanos(1_000)));
    }

    #[test]
    fn a_cool_down_goes_on_over_a_restart_and_then_counts_anew() {
        let mut before = stop();
        before.on_total(Nanos(2), Some(Notional(-71)));
        let (day, stops) = (before.carried(), before.carried_stops());
        assert_eq!(stops.cooling_until, Some(Nanos(12)));
        let mut after = LossStop::new(limits(), day).stopped_before(stops);
        after.on_total(Nanos(11), Some(Notional(0)));
        assert_eq!(after.stopped(), Some(Reason::Drawdown));
        after.on_total(Nanos(12), Some(Notional(0)));
        assert_eq!(after.stopped(), None, "it counts from where the account stands");
        let far = CarriedStops { cooling_until: Some(Nanos(u64::MAX)), ..stops };
        let mut after = LossStop::new(limits(), None).stopped_before(far);
        after.on_total(Nanos(20), Some(Notional(0)));
        after.on_total(Nanos(30), Some(Notional(0)));
        assert_eq!(after.stopped(), None, "no cool-down is longer than the config says");
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
