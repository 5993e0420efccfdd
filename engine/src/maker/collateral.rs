//! Collateral at work: journaled views in, sizes and states out.
//!
//! Fed by whoever assesses the account off the hot path; feeds the quotes. Maker thread. Where a limit is
//! broken, or nobody has looked for too long, only what takes a position off is quoted; before that, sizes
//! shrink. Long options are not sold freely: they may be what a stress is borne with. Nor is what hedges
//! options: of it only what brings net delta home is quoted, also where that adds to it. What is added
//! between two views is counted, so that all quotes filled at once stay within what the last one left.
//! Hedges go on: they take risk off. Deliberately absent: how the account is assessed.

use super::{Line, Maker};
use crate::event::InstrumentId;
use crate::maker::config::QuoteSettings;
use crate::maker::intents::Intents;
use crate::quote::ladder::Caps;
use crate::risk::collateral::{
    CollateralBreach, CollateralGuard, CollateralLimits, CollateralView,
};
use crate::units::{Lots, Side};
use std::ops::Range;

impl Maker {
    /// Takes a view in; one of a maker that watches no collateral, or older than the last, changes
    /// nothing and is counted.
    pub(super) fn on_collateral(&mut self, view: CollateralView, out: &mut Intents) {
        if self.collateral.as_mut().is_some_and(|guard| guard.on_view(view)) {
            for line in &mut self.lines {
                line.allowance.on_view(view.at);
            }
            self.requote_all(out);
        } else {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
        }
    }

    /// What of the collateral's limits is broken now; `None` where it is not watched.
    pub fn collateral_breach(&self) -> Option<CollateralBreach> {
        self.collateral.as_ref().and_then(|guard| guard.breach(self.now))
    }

    /// The last view of the collateral.
    pub fn collateral_view(&self) -> Option<&CollateralView> {
        self.collateral.as_ref().and_then(|guard| guard.view())
    }

    /// The limits; `None` where it is not watched.
    pub fn collateral_limits(&self) -> Option<&CollateralLimits> {
        self.collateral.as_ref().map(CollateralGuard::limits)
    }

    /// What a side of an instrument's ladder holds in full; 0 where it is not quoted.
    pub fn quote_size(&self, instrument: InstrumentId) -> Lots {
        let quote = self.line(instrument).and_then(|line| line.settings.quote.as_ref());
        quote.map_or(Lots(0), |quote| quote.ladder.total())
    }

    /// Notes which instruments are worth something by now: the next view counts them.
    pub(super) fn note_values(&mut self, lines: Range<usize>) {
        if self.collateral.is_none() {
            return;
        }
        for line in self.lines.get_mut(lines).unwrap_or_default() {
            let id = line.instrument.id();
            let is_valued = match self.options.book.get(id) {
                Some(option) => option.greeks.is_some(),
                None => self.ledger.mark(id).is_some(),
            };
            if is_valued {
                line.allowance.on_value(self.now);
            }
        }
    }

    /// No more on a side than the collateral lets be added, or than takes the position off. A long
    /// option is sold only as far as more could be added: it may be what a stress is borne with, and
    /// it asks for no margin.
    #[inline]
    pub(super) fn within_collateral(&self, line: &Line, caps: Caps) -> Caps {
        match (&self.collateral, &line.settings.quote) {
            (Some(guard), Some(quote)) => self.scaled_caps(guard, quote, line, caps),
            (None, _) | (_, None) => caps,
        }
    }

    fn scaled_caps(
        &self,
        guard: &CollateralGuard,
        quote: &QuoteSettings,
        line: &Line,
        caps: Caps,
    ) -> Caps {
        let size = quote.ladder.total();
        let [scaled, addable] = match guard.breach(self.now) {
            Some(_) => [Lots(0); 2],
            None => [guard.scaled(size), guard.addable(size)],
        };
        let position = self.ledger.position(line.instrument.id()).unwrap_or_default().0;
        let is_option = self.options.book.get(line.instrument.id()).is_some();
        let home = |side: Side| {
            let closing = position.saturating_mul(side.sign()).saturating_neg();
            match self.delta_lots(line, side) {
                _ if is_option && side == Side::Sell => 0,
                Some(lots) if !is_option && self.brings_delta_home(line) => lots,
                // Several that each brought the whole of it home would bring it out on the other side.
                Some(lots) if !is_option => lots.min(closing),
                Some(_) | None => closing,
            }
        };
        let within = |cap: Lots, side: Side| {
            let added = scaled.min(line.allowance.left(side, addable));
            Lots(cap.0.min(home(side).max(added.0)).max(0))
        };
        Caps { bid: within(caps.bid, Side::Buy), ask: within(caps.ask, Side::Sell) }
    }

    /// Of what is quoted of an underlying beside its options, the first alone brings delta home.
    fn brings_delta_home(&self, line: &Line) -> bool {
        let of = line.instrument.spec().underlying;
        let first = self.lines.iter().find(|other| {
            let is_option = self.options.book.get(other.instrument.id()).is_some();
            other.instrument.spec().underlying == of && other.settings.quote.is_some() && !is_option
        });
        first.is_some_and(|first| first.instrument.id() == line.instrument.id())
    }

    /// How many lots of an instrument on a side bring the net delta of an underlying home whose options
    /// have one; `None` where they have none. A future that hedges them is no position of its own: closing
    /// it would open them.
    fn delta_lots(&self, line: &Line, side: Side) -> Option<i64> {
        let place = usize::from(line.instrument.spec().underlying.0);
        let pool = self.pools.get(place)?;
        if self.options.book.exposure(place) == Some(0) {
            return None;
        }
        let each = self.lot_exposure(line).map_or(0, |exposure| exposure.0);
        let off = pool.sure_delta().0.saturating_mul(each.signum()).saturating_mul(-side.sign());
        Some(off.max(0).checked_div(each.saturating_abs()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{OrderIntent, OrderUpdate, TimeInForce};
    use crate::inventory::hedge::{Band, BandRule};
    use crate::maker::input::Control;
    use crate::maker::option_tests::begin as begin_option;
    use crate::maker::option_tests::{FUTURE, limits, quoted, with};
    use crate::maker::tests::{Desk, PERP, SPOT, config};
    use crate::risk::collateral::CollateralLimits;
    use crate::risk::state::{Reason, State};
    use crate::units::{Exposure, Nanos};

    const LIMITS: CollateralLimits = CollateralLimits {
        soft_ppm: 500_000,
        hard_ppm: 1_000_000,
        distance_min_ppm: 50_000,
        stressed_loss_max: 100,
        age_max_ns: 40_000,
    };

    fn view(at: u64, utilisation_ppm: u32) -> Control {
        let at = Nanos(at);
        let (distance_ppm, stressed_loss, addable_ppm) = (1_000_000, 0, 500_000);
        let view = CollateralView { at, utilisation_ppm, distance_ppm, stressed_loss, addable_ppm };
        Control::Collateral(view)
    }

    fn size(intents: &[OrderIntent], side: Side) -> i64 {
        let news = intents.iter().filter(|i| i.side == side && i.orig_cl_ord_id.0 == 0);
        news.map(|i| i.size.0).sum()
    }

    /// Long a thousand lots of spot that a short perpetual hedges, and nobody has assessed it.
    fn begin() -> Desk {
        let mut desk =
            Desk::with(&crate::maker::config::MakerConfig { collateral: Some(LIMITS), ..config() });
        desk.session(OrderUpdate::SessionUp);
        desk.image(PERP, 600_000);
        desk
    }

    #[test]
    fn without_a_view_only_what_takes_the_position_off_is_quoted() {
        let mut desk = begin();
        let quotes = desk.image(SPOT, 600_000);
        assert_eq!((size(&quotes, Side::Buy), size(&quotes, Side::Sell)), (0, 20));
        let spot = desk.maker.snapshot(SPOT).unwrap();
        assert_eq!((spot.state, spot.reason), (State::Reducing, Reason::Collateral));
    }

    #[test]
    fn sizes_shrink_with_use_and_a_view_that_ages_is_none() {
        let mut desk = begin();
        desk.image(SPOT, 600_000);
        // A view of before anybody knew what it is worth lets nothing be added.
        desk.control(view(desk.now - 1, 750_000));
        let quotes = desk.timer();
        assert_eq!(size(&quotes, Side::Buy), 0);
        // Half of twenty lots may be added; the whole may be sold, and is offered already.
        let quotes = desk.control(view(desk.now, 750_000));
        assert_eq!((size(&quotes, Side::Buy), size(&quotes, Side::Sell)), (10, 0));
        // What was bought since the view is no more to be added until the next.
        let bid = quotes.iter().copied().find(|intent| intent.side == Side::Buy).unwrap();
        desk.accept(&bid);
        let more = desk.fill(&bid, 10, 10);
        assert_eq!(size(&more, Side::Buy), 0);
        let more = desk.control(view(desk.now, 750_000));
        assert_eq!(size(&more, Side::Buy), 10);
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Normal);
        desk.now += 50_000;
        desk.timer();
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Collateral);
        desk.control(view(desk.now, 100_000));
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Normal);
    }

    /// Short ten calls, nobody has assessed it, and their future is quoted too.
    fn short_calls(band: i64) -> (Desk, Vec<OrderIntent>) {
        let mut config = with(limits(i64::MAX / 10));
        config.settings[1].opening = Lots(-10);
        config.settings[0] = quoted();
        config.collateral = Some(LIMITS);
        let hedge = config.underlyings[0].hedge.as_mut().unwrap();
        hedge.band = BandRule::Fixed(Band { outer: Exposure(band), inner: Exposure(band / 6) });
        begin_option(&config)
    }

    fn of_the_future(sent: &[OrderIntent], kind: TimeInForce) -> Vec<OrderIntent> {
        let of = |i: &&OrderIntent| i.instrument == FUTURE && i.time_in_force == kind;
        sent.iter().filter(of).copied().collect()
    }

    #[test]
    fn under_a_breach_short_options_are_hedged_by_their_quoted_future() {
        let (mut desk, sent) = short_calls(60_000_000_000);
        let hedges = of_the_future(&sent, TimeInForce::ImmediateOrCancel);
        assert_eq!(desk.maker.snapshot(FUTURE).unwrap().reason, Reason::Collateral);
        // 250 short; four futures of 50 come back inside the inner edge.
        assert_eq!((hedges.len(), hedges[0].side, hedges[0].size), (1, Side::Buy, Lots(4)));
        let mut sent = desk.fill(&hedges[0], 4, 4);
        sent.extend(desk.timer());
        assert_eq!(desk.maker.ledger().position(FUTURE), Some(Lots(4)));
        // What hedges is not offered: the way home for the future would be the way out for the book.
        let quotes = of_the_future(&sent, TimeInForce::PostOnly);
        assert!(!quotes.iter().any(|quote| quote.side == Side::Sell), "{quotes:?}");
        let open = desk.maker.snapshot(FUTURE).unwrap().open;
        assert_eq!(open[1], Lots(0), "{open:?}");
    }

    #[test]
    fn under_a_breach_the_future_is_quoted_on_the_side_that_brings_delta_home() {
        let (mut desk, _) = short_calls(400_000_000_000);
        let quotes = of_the_future(&desk.timer(), TimeInForce::PostOnly);
        assert_eq!((size(&quotes, Side::Buy), size(&quotes, Side::Sell)), (5, 0));
        assert_eq!(desk.maker.ledger().position(FUTURE), Some(Lots(0)));
    }

    #[test]
    fn under_a_breach_a_position_beside_options_that_nobody_holds_may_be_closed() {
        let mut config = with(limits(i64::MAX / 10));
        config.settings[0] = quoted();
        config.settings[0].opening = Lots(5);
        config.collateral = Some(LIMITS);
        config.underlyings[0].hedge = None;
        // Net delta is where it is wanted: nothing of the position is out of place but its margin.
        config.underlyings[0].target = Exposure(250_000_000_000);
        let (mut desk, _) = begin_option(&config);
        desk.timer();
        let future = desk.maker.snapshot(FUTURE).unwrap();
        assert_eq!((future.reason, future.open), (Reason::Collateral, [Lots(0), Lots(5)]));
    }

    #[test]
    fn a_maker_that_watches_none_counts_a_view_and_changes_nothing() {
        let mut desk = Desk::new();
        desk.begin();
        assert!(desk.control(view(1, 2_000_000)).is_empty());
        assert_eq!(desk.maker.counters().parameters_refused, 1);
        assert_eq!(desk.maker.collateral_breach(), None);
    }
}
