//! What is known of an underlying's net delta, and what of it is sure while an option has no value.
//!
//! Fed by the ledger and the option book with every fill, refresh and repricing; feeds limits, skews and
//! the hedger. Maker thread. An option without a value (no Greeks, too old, too far, a reference that is
//! not to be believed) exposes to something between nothing and all that it is on: quotes of the underlying
//! stop, and of the rest of the book is hedged what is beyond the band wherever in there it is. Deliberately
//! absent: a guess.

use super::quoting::RETURN_EIGHTHS;
use super::{Maker, Pool};
use crate::inventory::hedge::{self, Band, BandRule};
use crate::pnl::ledger::Ledger;
use crate::units::{Exposure, Side};

impl Maker {
    /// Recomputes an underlying's net delta from the account.
    pub(super) fn refresh_delta(&mut self, place: usize) {
        let options = self.option_exposure(place);
        let bounds = self.options.book.exposure_bounds(place);
        let ledger = &self.ledger;
        if let Some(pool) = self.pools.get_mut(place) {
            // What does not fit, or has no value, is beyond every limit.
            let net = pool.exposure.net(ledger).zip(options);
            let net = net.and_then(|(net, options)| {
                i64::try_from(i128::from(net.0).checked_add(options)?).ok().map(Exposure)
            });
            pool.is_delta_known = net.is_some();
            let known = net.unwrap_or(Exposure(i64::MAX));
            let before = pool.delta;
            pool.delta = Exposure(known.0.saturating_sub(pool.settings.target.0));
            let sure = net.is_none().then(|| pool.sure_of(bounds, ledger)).flatten();
            pool.sure = sure.unwrap_or_default();
            if pool.delta != before {
                self.portfolio.on_delta(place);
            }
            if net.is_some() {
                pool.delta_max_abs = pool.delta_max_abs.max(pool.delta.0.unsigned_abs());
            }
        }
        self.refresh_held(place);
    }
}

impl Pool {
    /// How far from its target net exposure is whatever options without a value expose to: by the end of
    /// what it may be that is nearer, not at all where the target is in between.
    fn sure_of(&self, options: Option<[i128; 2]>, ledger: &Ledger) -> Option<Exposure> {
        let (net, bounds) = (self.exposure.net(ledger)?, options?);
        let net = i128::from(net.0) - i128::from(self.settings.target.0);
        let fit = |end: i128| i64::try_from(end.checked_add(net)?).ok();
        let [least, most] = bounds.map(fit);
        Some(Exposure(0i64.max(least?).min(most?)))
    }

    /// What is to be traded away of the exposure that is sure, while some of it has no value. Hedging
    /// that waited for one option would leave the rest of the book open; this never trades through the
    /// target, whatever that option turns out to be worth. Sets of instruments, and what a firm's others
    /// hold, wait for all of it.
    pub(super) fn sure_excess(&self) -> Exposure {
        let Some(hedge) = &self.settings.hedge else { return Exposure(0) };
        let is_plain = self.mixes.is_none() && self.firm.is_none() && !self.is_flattening;
        let Some(outer) = self.band().filter(|_| is_plain) else { return Exposure(0) };
        let inner = match &hedge.band {
            BandRule::Fixed(fixed) => fixed.inner.min(outer),
            BandRule::Derived(_) => Exposure(outer.0.saturating_mul(RETURN_EIGHTHS) / 8),
        };
        hedge::excess(self.sure, Band { outer, inner })
    }

    /// How far from its target net delta is for sure.
    pub(super) fn sure_delta(&self) -> Exposure {
        if self.is_delta_known { self.delta } else { self.sure }
    }

    /// Net delta as the gate judges an order that moves it `way`: where something has no value, what is
    /// sure may be taken off, and everything else is beyond every limit.
    pub(super) fn judged(&self, way: Side) -> Exposure {
        let takes_off = self.sure.0.signum() == -way.sign();
        if self.is_delta_known || !takes_off { self.delta } else { self.sure }
    }
}

#[cfg(test)]
#[path = "net_delta_tests.rs"]
mod tests;
