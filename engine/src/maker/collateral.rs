//! Collateral at work: journaled views in, sizes and states out.
//!
//! Fed by whoever assesses the account off the hot path; feeds the quotes. Maker thread. Where a limit is
//! broken, or nobody has looked for too long, only what takes a position off is quoted; before that, sizes
//! shrink. Long options are not sold then: they may be what a stress is borne with. Hedges go on: they take
//! risk off. Deliberately absent: how the account is assessed.

use super::{Line, Maker};
use crate::maker::intents::Intents;
use crate::quote::ladder::Caps;
use crate::risk::collateral::{CollateralBreach, CollateralView};
use crate::units::Lots;

impl Maker {
    /// Takes a view in; one of a maker that watches no collateral, or older than the last, changes
    /// nothing and is counted.
    pub(super) fn on_collateral(&mut self, view: CollateralView, out: &mut Intents) {
        if self.collateral.as_mut().is_some_and(|guard| guard.on_view(view)) {
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

    /// No more on a side than the collateral lets be added, or than takes the position off. Under a
    /// breach a long option is kept: it may be what a stress is borne with, and it asks for no margin.
    pub(super) fn within_collateral(&self, line: &Line, caps: Caps) -> Caps {
        let (Some(guard), Some(quote)) = (&self.collateral, &line.settings.quote) else {
            return caps;
        };
        let breach = guard.breach(self.now);
        let adding = match breach {
            Some(_) => Lots(0),
            None => guard.scaled(quote.ladder.total()),
        };
        let position = self.ledger.position(line.instrument.id()).unwrap_or_default().0;
        let is_option = self.options.book.get(line.instrument.id()).is_some();
        let long = if breach.is_some() && is_option { 0 } else { position };
        let side = |cap: Lots, home: i64| Lots(cap.0.min(home.max(adding.0)).max(0));
        Caps { bid: side(caps.bid, position.saturating_neg()), ask: side(caps.ask, long) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{OrderIntent, OrderUpdate};
    use crate::maker::input::Control;
    use crate::maker::tests::{Desk, PERP, SPOT, config};
    use crate::risk::collateral::CollateralLimits;
    use crate::risk::state::{Reason, State};
    use crate::units::{Nanos, Side};

    const LIMITS: CollateralLimits = CollateralLimits {
        soft_ppm: 500_000,
        hard_ppm: 1_000_000,
        distance_min_ppm: 50_000,
        stressed_loss_max: 100,
        age_max_ns: 40_000,
    };

    fn view(at: u64, utilisation_ppm: u32) -> Control {
        let at = Nanos(at);
        let (distance_ppm, stressed_loss) = (1_000_000, 0);
        Control::Collateral(CollateralView { at, utilisation_ppm, distance_ppm, stressed_loss })
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
        desk.control(view(desk.now, 750_000));
        let quotes = desk.image(SPOT, 600_000);
        // Half of twenty lots may be added; the whole may be sold.
        assert_eq!((size(&quotes, Side::Buy), size(&quotes, Side::Sell)), (10, 20));
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Normal);
        desk.now += 50_000;
        desk.timer();
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Collateral);
        desk.control(view(desk.now, 100_000));
        assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Normal);
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
