//! When an underlying is hedged and how much at once: its band, fixed or derived, and the rate.
//!
//! Fed by the timer (volatility, cost of the cheapest hedge) and by the hedger with every hedge that
//! ended; feeds the hedger with what to trade now. Maker thread. A fixed band is left by one order
//! back to its inner edge. Beyond a derived one `rate × time` is traded, in whole lots; what is less
//! than a lot is carried, and no more than what is beyond the band. Where no band is worth having
//! within the soft limit, the soft limit is the band, and an order goes back to where a quoted side returns.

use super::quoting::RETURN_EIGHTHS;
use super::{Line, Maker, Pool};
use crate::estimate::volatility::Sigma;
use crate::event::InstrumentId;
use crate::inventory::derived::{Curve, RowUpdate};
use crate::inventory::exposure::exposure_per_lot;
use crate::inventory::hedge::{self, Band, BandRule};
use crate::maker::config::HedgeSettings;
use crate::orders::order::Order;
use crate::pnl::valuation::HalfTicks;
use crate::quote::HalfSpreads;
use crate::units::{Exposure, Lots, Nanos, Side, SubTicks};

/// Less than this, 1e-9 of exposure, is not asked for yet: rounding takes a thousandth at most.
const PACED_LEAST: i64 = 1_000;

/// Where the derived band of an underlying stands.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Pacing {
    curve: Option<Curve>,
    /// Rows have changed since.
    is_stale: bool,
    /// What a unit's hedge costs, in 1e-9 of the value; kept where quotes are credited with it.
    cost_ppb: Option<i128>,
    /// The curve's band, kept.
    derived: Option<Exposure>,
    /// What the rate has asked for and no order has traded, 1e-9.
    carried: i64,
    /// Which way that is: the sign of net delta.
    way: i64,
    /// Until when the rate has asked.
    at: Option<Nanos>,
}

impl Pacing {
    /// What has been asked for and not traded, 1e-9 of exposure.
    #[cfg(test)]
    pub(super) fn carried(&self) -> i64 {
        self.carried
    }
}

impl Pool {
    /// How far net delta may go unhedged; `None` without a hedger.
    #[inline]
    pub(super) fn band(&self) -> Option<Exposure> {
        let soft = self.limits().soft();
        self.settings.hedge.as_ref().map(|hedge| match &hedge.band {
            // Beyond a soft limit that a firm's silence narrowed nothing is left to the quotes alone.
            BandRule::Fixed(band) => band.outer.min(soft),
            BandRule::Derived(_) => self.pacing.derived.map_or(soft, |derived| derived.min(soft)),
        })
    }

    /// Does the band fit into a soft limit? A derived one always ends there.
    pub(super) fn is_band_within(&self, soft: Exposure) -> bool {
        self.settings.hedge.as_ref().is_none_or(|hedge| match &hedge.band {
            BandRule::Fixed(band) => band.outer <= soft,
            BandRule::Derived(_) => true,
        })
    }

    /// What is to be traded away now, signed as net delta is.
    #[inline(always)]
    fn excess(&mut self, now: Nanos) -> Exposure {
        let band = self.band();
        let Some(hedge) = &self.settings.hedge else { return Exposure(0) };
        if self.is_flattening {
            let home = Band { outer: Exposure(0), inner: Exposure(0) };
            return hedge::excess(self.delta, home);
        }
        let delta = self.at_risk();
        match (&hedge.band, band) {
            (BandRule::Fixed(fixed), Some(outer)) => {
                hedge::excess(delta, Band { outer, inner: fixed.inner.min(outer) })
            }
            (BandRule::Fixed(fixed), None) => hedge::excess(delta, *fixed),
            (BandRule::Derived(_), Some(band)) if delta.0.saturating_abs() > band.0 => {
                self.paced(delta, band, now)
            }
            (BandRule::Derived(_), _) => {
                self.pacing.carried = 0;
                self.pacing.at = Some(now);
                Exposure(0)
            }
        }
    }

    /// Net delta is beyond the derived band: what the rate has asked for by now.
    #[inline(never)]
    fn paced(&mut self, delta: Exposure, band: Exposure, now: Nanos) -> Exposure {
        let size = Exposure(delta.0.saturating_abs());
        let soft = self.limits().soft();
        let way = delta.0.signum();
        if self.pacing.way != way {
            // Across the band at once: what was asked for the other way is not asked for this way.
            self.pacing = Pacing { way, carried: 0, at: None, ..self.pacing };
        }
        let since = *self.pacing.at.get_or_insert(now);
        let is_worth_it = self.pacing.derived.is_some_and(|derived| derived < soft);
        let (Some(curve), true) = (self.pacing.curve, is_worth_it) else {
            self.pacing.at = Some(now);
            let inner = Exposure(soft.0.saturating_mul(RETURN_EIGHTHS) / 8).min(band);
            return hedge::excess(delta, Band { outer: band, inner });
        };
        let Some(BandRule::Derived(derived)) = self.settings.hedge.as_ref().map(|h| &h.band) else {
            return Exposure(0);
        };
        let mut more = derived.paced(curve.excess(size), now.since(since));
        if more.0 < PACED_LEAST {
            // It rounds down: taken event by event, a slow rate would ask for nothing, ever.
            more = Exposure(0);
        } else {
            self.pacing.at = Some(now);
        }
        let beyond = size.0.saturating_sub(band.0);
        self.pacing.carried = self.pacing.carried.saturating_add(more.0).clamp(0, beyond);
        Exposure(self.pacing.carried.saturating_mul(way))
    }
}

impl Maker {
    /// What an underlying's hedger should trade now; nothing while an order of it is under way.
    pub(super) fn hedge_excess(&mut self, place: usize) -> Exposure {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(place) else { return Exposure(0) };
        // One at a time: until the venue has said what became of the last one, exposure is unknown.
        // Exposure that does not fit is no reason to trade either: nobody knows which way.
        if !pool.may_trade(now) || pool.unconfirmed != 0 {
            return Exposure(0);
        }
        // Next instrument, then wider, then no further: an operator must look.
        let failures_max = pool.settings.hedge.as_ref().map_or(0, |hedge| hedge.failures_max);
        if pool.hedge_failures >= failures_max {
            return Exposure(0);
        }
        if pool.is_delta_known { pool.excess(now) } else { pool.sure_excess() }
    }

    /// The derived band follows volatility and the cost of the cheapest hedge.
    pub(super) fn follow_band(&mut self, place: usize) {
        let Some((sigma, phi)) = self.band_inputs(place) else { return };
        let Some(pool) = self.pools.get_mut(place) else { return };
        let serves = pool.pacing.curve.is_some_and(|curve| curve.serves(sigma, phi));
        if serves && !pool.pacing.is_stale {
            return;
        }
        pool.pacing.is_stale = false;
        let Some(hedge) = &pool.settings.hedge else { return };
        if let BandRule::Derived(derived) = &hedge.band {
            let curve = derived.curve(sigma, phi);
            pool.pacing.derived = curve.band();
            pool.pacing.curve = Some(curve);
        }
    }

    /// Volatility, and what a unit's hedge costs now; `None` where the band is fixed or nothing can
    /// hedge.
    fn band_inputs(&self, place: usize) -> Option<(Sigma, SubTicks)> {
        let pool = self.pools.get(place)?;
        let hedge = pool.settings.hedge.as_ref()?;
        let BandRule::Derived(derived) = &hedge.band else { return None };
        let sigma = self.line(derived.quoted)?.volatility.sigma();
        let mark = self.ledger.mark(derived.quoted)?;
        let side = if pool.at_risk().0 < 0 { Side::Buy } else { Side::Sell };
        let cost = self.cheapest_ppb(pool, side, Some(derived.order))?;
        Some((sigma, in_ticks(cost, mark)))
    }

    /// What a unit costs on the cheapest instrument now, for an exposure or for one lot.
    fn cheapest_ppb(&self, pool: &Pool, side: Side, size: Option<Exposure>) -> Option<i128> {
        if pool.mixes.is_some() {
            return self.mixed_ppb(pool, side, size.unwrap_or(Exposure(0)));
        }
        let hedge = pool.settings.hedge.as_ref()?;
        let candidates =
            hedge.instruments.iter().filter_map(|with| self.hedge_candidate(with, side));
        let cost = |c: hedge::Candidate<'_>| {
            c.cost_ppb(side, size.map_or(Lots(1), |size| c.lots_of(size)))
        };
        candidates.map(cost).min()
    }

    /// The cost of a hedge for the credit of quotes, where one is given: looked up on the timer.
    pub(super) fn follow_credit(&mut self, place: usize) {
        let Some(pool) = self.pools.get(place) else { return };
        if pool.settings.hedge.as_ref().is_none_or(|hedge| hedge.unwind_credit_ppm == 0) {
            return;
        }
        let side = if pool.delta.0 < 0 { Side::Buy } else { Side::Sell };
        let cost = self.cheapest_ppb(pool, side, None);
        if let Some(pool) = self.pools.get_mut(place) {
            pool.pacing.cost_ppb = cost;
        }
    }

    /// A quote that unwinds what is hedged need not be hedged again when it is unwound: it may stand
    /// closer by a part of what that costs. What is hedged is what the instrument has traded, as far
    /// as hedge instruments have traded the other way.
    #[inline]
    pub(super) fn credited(&self, half: HalfSpreads, line: &Line, pool: &Pool) -> HalfSpreads {
        match (&pool.settings.hedge, pool.pacing.cost_ppb) {
            (Some(hedge), Some(cost)) if hedge.unwind_credit_ppm > 0 => {
                self.credited_for(half, line, hedge, cost)
            }
            (Some(_) | None, _) => half,
        }
    }

    fn credited_for(
        &self,
        half: HalfSpreads,
        line: &Line,
        hedge: &HedgeSettings,
        cost: i128,
    ) -> HalfSpreads {
        let id = line.instrument.id();
        let is_hedge = hedge.instruments.iter().any(|with| with.instrument == id);
        let traded = |id: InstrumentId| {
            let line = self.line(id)?;
            let lots = self.ledger.position(id)?.0.saturating_sub(line.settings.opening.0);
            let per_lot = exposure_per_lot(line.contract(), self.ledger.mark(id))?;
            Some(lots.saturating_mul(per_lot.0))
        };
        let others = hedge.instruments.iter().filter_map(|with| traded(with.instrument));
        let hedged: i64 = others.fold(0, i64::saturating_add);
        let own = traded(id).unwrap_or(0);
        if is_hedge || own.signum() * hedged.signum() >= 0 {
            return half;
        }
        let mark = self.ledger.mark(id).unwrap_or_default();
        let credit = i128::from(in_ticks(cost, mark).0) * i128::from(hedge.unwind_credit_ppm);
        // Only as far as it is hedged: what no hedge was paid for saves none.
        let (all, covered) = (own.unsigned_abs(), own.unsigned_abs().min(hedged.unsigned_abs()));
        let whole = i64::try_from(credit / 1_000_000).unwrap_or(0);
        let credit = i128::from(whole) * i128::from(covered);
        let credit = credit.checked_div(i128::from(all)).and_then(|part| i64::try_from(part).ok());
        let credit = SubTicks(credit.unwrap_or(0));
        let closer = |half: Option<SubTicks>| half.map(|half| half.saturating_sub(credit));
        if own > 0 {
            HalfSpreads { ask: closer(half.ask), ..half }
        } else {
            HalfSpreads { bid: closer(half.bid), ..half }
        }
    }

    /// What a hedge traded is no longer asked for.
    pub(super) fn pay_carried(&mut self, place: usize, order: &Order) {
        let mark = self.ledger.mark(order.instrument);
        let contract = self.line(order.instrument).map(Line::contract);
        let per_lot = contract.and_then(|contract| exposure_per_lot(contract, mark));
        let traded = per_lot.map_or(0, |per_lot| per_lot.0.saturating_mul(order.cum_qty.0));
        // The rate went on asking while the order was out: its time counts, for what is left.
        if let Some(pool) = self.pools.get_mut(place) {
            let traded = pool.weighed(order.instrument, traded);
            pool.pacing.carried = pool.pacing.carried.saturating_sub(traded).max(0);
        }
    }

    /// Takes a refitted row of a derived band in; one without a place is counted and changes nothing.
    pub(super) fn on_hedge_row(&mut self, update: &RowUpdate) {
        let mut is_taken = false;
        for pool in &mut self.pools {
            let Some(hedge) = &mut pool.settings.hedge else { continue };
            if let BandRule::Derived(derived) = &mut hedge.band
                && derived.take(update)
            {
                // The next timer makes the curve anew.
                pool.pacing.is_stale = true;
                is_taken = true;
            }
        }
        let counters = &mut self.counters;
        let counter =
            if is_taken { &mut counters.parameters } else { &mut counters.parameters_refused };
        *counter = counter.saturating_add(1);
    }
}

/// A cost in 1e-9 of the value as a distance from a mark, in 2^-32 tick.
fn in_ticks(cost_ppb: i128, mark: HalfTicks) -> SubTicks {
    let doubled = cost_ppb.saturating_mul(i128::from(mark.0).abs()).saturating_mul(1 << 31);
    SubTicks(i64::try_from(doubled / 1_000_000_000).unwrap_or(i64::MAX).max(0))
}
