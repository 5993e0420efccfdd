//! One engine of several at work: journaled views of the others in, limits, hedges and skews out.
//!
//! Fed by the firm's book off the hot path, through control, and by the timer; feeds the quotes, the gate
//! and the hedger. Maker thread, cold. Deliberately absent: a wider limit than the config's, by any view.

use super::{Maker, Pool};
use crate::maker::intents::Intents;
use crate::risk::firm::{FirmGuard, FirmView};
use crate::risk::limits::ExposureLimits;
use crate::units::Exposure;
use std::ops::Range;

impl Pool {
    /// The limits that hold now: those that were set, narrower while a firm's other engines are unheard.
    #[inline]
    pub(super) fn limits(&self) -> ExposureLimits {
        let limits = &self.settings.limits;
        self.firm.as_ref().map_or(*limits, |firm| firm.limits(limits))
    }

    /// What of net delta is to be hedged and skewed by here: all of it, or this engine's share of the
    /// firm's.
    #[inline]
    pub(super) fn answered(&self) -> Exposure {
        self.firm.as_ref().map_or(self.delta, |firm| firm.answered(self.delta))
    }

    /// Is this hard limit within the engine's part of the firm's?
    pub(super) fn is_within_firm(&self, hard: Exposure) -> bool {
        self.firm.as_ref().is_none_or(|firm| hard <= firm.part())
    }
}

impl Maker {
    /// Takes a view in; one of an underlying that no firm shares, or older than the last, changes nothing
    /// and is counted.
    pub(super) fn on_firm(&mut self, view: FirmView, out: &mut Intents) {
        let (now, place) = (self.now, usize::from(view.underlying));
        let firm = self.pools.get_mut(place).and_then(|pool| pool.firm.as_mut());
        if firm.is_some_and(|firm| firm.on_view(now, view)) {
            self.requote_all(out);
            self.hedge(place, out);
        } else {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
        }
    }

    /// Time has passed: who has not been heard for too long is unheard. The timer requotes anyway.
    pub(super) fn listen(&mut self, pools: Range<usize>) {
        let now = self.now;
        let pools = self.pools.get_mut(pools).unwrap_or_default();
        for firm in pools.iter_mut().filter_map(|pool| pool.firm.as_mut()) {
            firm.look(now);
        }
    }

    /// How an underlying stands in its firm; `None` where no other engine trades it.
    pub fn firm(&self, underlying: usize) -> Option<&FirmGuard> {
        self.pools.get(underlying)?.firm.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{OrderIntent, TimeInForce};
    use crate::inventory::hedge::{Band, BandRule};
    use crate::maker::Maker;
    use crate::maker::config::{ConfigError, MakerConfig};
    use crate::maker::control::{Act, Knob, User};
    use crate::maker::input::Control;
    use crate::maker::tests::{Desk, PERP, SPOT, config};
    use crate::risk::firm::{FirmTerms, FirmView};
    use crate::risk::state::Reason;
    use crate::units::{Exposure, Nanos, Side};

    const AGE_MAX: u64 = 40_000;

    /// One engine of several, whose part is all of its hard limit.
    fn of_a_firm() -> MakerConfig {
        let mut config = config();
        let underlying = &mut config.underlyings[0];
        let part = underlying.limits.hard();
        underlying.firm = Some(FirmTerms { part, age_max_ns: AGE_MAX, unheard_permille: 100 });
        let band = Band { outer: Exposure(5_000_000), inner: Exposure(0) };
        underlying.hedge.as_mut().unwrap().band = BandRule::Fixed(band);
        config
    }

    fn view(desk: &Desk, longs: i64, shorts: i64) -> Control {
        let (longs, shorts) = (Exposure(longs), Exposure(shorts));
        Control::Firm(FirmView { at: Nanos(desk.now), longs, shorts, underlying: 0 })
    }

    fn hedges(intents: &[OrderIntent]) -> Vec<(Side, i64)> {
        let immediate =
            intents.iter().filter(|i| i.time_in_force == TimeInForce::ImmediateOrCancel);
        immediate.map(|i| (i.side, i.size.0)).collect()
    }

    /// Heard, ten lots of a million long by a fill, and what followed it.
    fn bought(longs: i64, shorts: i64) -> (Desk, Vec<OrderIntent>) {
        let mut desk = Desk::with(&of_a_firm());
        let quotes = desk.begin();
        let told = view(&desk, longs, shorts);
        let moved = desk.control(told);
        let bid = quotes.iter().chain(&moved).rfind(|quote| quote.side == Side::Buy);
        let bid = *bid.unwrap();
        desk.accept(&bid);
        let sent = desk.fill(&bid, 10, 10);
        (desk, sent)
    }

    #[test]
    fn what_another_engine_holds_the_other_way_is_not_hedged_and_what_the_firm_is_net_is() {
        let (desk, sent) = bought(0, 0);
        assert_eq!(desk.maker.delta(0), Some(Exposure(10_000_000)));
        assert_eq!(hedges(&sent), [(Side::Sell, 10)]);
        let (_, sent) = bought(0, -10_000_000);
        assert_eq!(hedges(&sent), []);
        let (_, sent) = bought(0, -4_000_000);
        assert_eq!(hedges(&sent), [(Side::Sell, 6)]);
        let (_, sent) = bought(10_000_000, -8_000_000);
        assert_eq!(hedges(&sent), [(Side::Sell, 6)], "half of twelve: the other long has its half");
    }

    #[test]
    fn where_the_others_fall_silent_all_of_it_is_hedged_and_the_limits_are_narrow() {
        let (mut desk, _) = bought(0, -10_000_000);
        let wide = desk.maker.pools[0].limits();
        desk.now += AGE_MAX / 2;
        assert_eq!(hedges(&desk.timer()), []);
        desk.image(PERP, 600_000);
        desk.now += AGE_MAX / 2;
        assert_eq!(hedges(&desk.timer()), [(Side::Sell, 10)]);
        let narrow = desk.maker.pools[0].limits();
        assert_eq!(narrow.hard().0 * 10, wide.hard().0);
        assert!(!desk.maker.firm(0).unwrap().is_heard());
        let told = view(&desk, 0, 0);
        desk.control(told);
        assert_eq!(desk.maker.pools[0].limits(), wide, "heard again");
    }

    #[test]
    fn unheard_the_side_that_adds_stops_at_the_narrow_soft_limit() {
        let mut config = of_a_firm();
        config.underlyings[0].hedge = None;
        let mut desk = Desk::with(&config);
        let quotes = desk.begin();
        let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
        desk.accept(&bid);
        let soft = desk.maker.pools[0].limits().soft().0;
        let lots = soft / 1_000_000 + 1;
        assert!(lots <= bid.size.0, "{lots} of {}", bid.size.0);
        desk.fill(&bid, lots, lots);
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::SoftLimit);
        let told = view(&desk, 0, 0);
        desk.control(told);
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Normal);
    }

    #[test]
    fn no_operator_sets_a_hard_limit_beyond_the_engines_part() {
        let config = of_a_firm();
        let hard = config.underlyings[0].limits.hard();
        let mut desk = Desk::with(&config);
        let mut set = |value| {
            let act = Act::Set { knob: Knob::Hard(0), value };
            desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
            desk.maker.pools[0].settings.limits.hard().0
        };
        assert_eq!(set(hard.0 + 1), hard.0);
        assert_eq!(set(hard.0 - 1), hard.0 - 1);
        assert_eq!(set(hard.0), hard.0);
    }

    #[test]
    fn a_hard_limit_beyond_the_part_is_refused_and_a_view_that_nobody_asked_for_counted() {
        let mut wrong = of_a_firm();
        wrong.underlyings[0].firm.as_mut().unwrap().part.0 -= 1;
        assert_eq!(Maker::new(&wrong).err(), Some(vec![ConfigError::Firm { underlying: 0 }]));
        let mut desk = Desk::new();
        desk.begin();
        let told = view(&desk, 5, 0);
        assert!(desk.control(told).is_empty());
        assert_eq!(desk.maker.counters().parameters_refused, 1);
        assert_eq!(desk.maker.firm(0), None);
    }
}
