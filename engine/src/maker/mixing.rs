//! Hedges by minimum-variance ratios: what is at risk, which instruments take it off, and which leg first.
//!
//! Fed by journaled estimates, by every change of the account and by the timer; feeds the band and the
//! hedger. Maker thread: nothing at a market event unless a hedge is due, then at most fifteen sets of at
//! most four trusted books. A leg at a time: what it traded is in the next choice. Limits, quotes and
//! `flatten` go by net delta, contracts one for one. Deliberately absent: a plan that outlives the market
//! it was made in; the chosen set stays only where no other is an eighth cheaper.

use super::{Maker, Pool};
use crate::event::InstrumentId;
use crate::instrument::ContractValue;
use crate::inventory::exposure::exposure_per_lot;
use crate::inventory::hedge::{self, Candidate, HedgeOrder};
use crate::inventory::hedge_mix::{LEGS_MAX, MIXES, Mix, MixUpdate, Mixes, ONE_PPM};
use crate::maker::config::HedgeInstrument;
use crate::pnl::valuation::HalfTicks;
use crate::units::{Exposure, Side, Ticks};

/// Another set takes over where it is cheaper by this part of what the chosen one costs.
const STAY_PART: i128 = 8;
/// One unit of an underlying.
const UNIT: i64 = 1_000_000_000;

/// A set that can be traded now.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    legs: u8,
    mix: Mix,
    /// Of a hedged unit, in 1e-9 of the reference's value.
    cost_ppb: i128,
}

type Candidates<'a> = [Option<Candidate<'a>>; LEGS_MAX];

/// What is chosen of one underlying's hedges, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HedgePlan {
    /// The chosen set; nothing before the first hedge.
    pub instruments: [Option<InstrumentId>; LEGS_MAX],
    /// Net delta as its weights see it.
    pub at_risk: Exposure,
}

impl Pool {
    /// What is to be hedged: net delta, its hedge instruments weighed as they move.
    #[inline]
    pub(super) fn at_risk(&self) -> Exposure {
        let tilt = self.mixes.as_ref().map_or(0, Mixes::tilt);
        Exposure(self.answered().0.saturating_add(tilt))
    }

    fn at_risk_by(&self, legs: u8) -> Exposure {
        let tilt = self.mixes.as_ref().map_or(0, |mixes| mixes.tilt_by(legs));
        Exposure(self.answered().0.saturating_add(tilt))
    }

    /// What so much exposure of an instrument counts for, one for one without ratios.
    pub(super) fn weighed(&self, instrument: InstrumentId, exposure: i64) -> i64 {
        let hedge = self.settings.hedge.as_ref();
        let mut with = hedge.into_iter().flat_map(|hedge| &hedge.instruments);
        let place = with.position(|with| with.instrument == instrument);
        let (Some(mixes), Some(place)) = (&self.mixes, place) else { return exposure };
        let weight = i128::from(mixes.weight_ppm(mixes.plan(), place));
        let weighed = i128::from(exposure) * weight / i128::from(ONE_PPM);
        i64::try_from(weighed).unwrap_or(exposure)
    }
}

impl Maker {
    /// Takes an estimate in; one that is late, or of an underlying that hedges without, changes nothing
    /// and is counted.
    pub(super) fn on_mix(&mut self, update: &MixUpdate) {
        let now = self.now;
        let pool = self.pools.get_mut(usize::from(update.underlying));
        let mixes = pool.and_then(|pool| pool.mixes.as_mut());
        let is_taken = mixes.is_some_and(|mixes| mixes.take(now, update));
        let counters = &mut self.counters;
        let counter =
            if is_taken { &mut counters.parameters } else { &mut counters.parameters_refused };
        *counter = counter.saturating_add(1);
    }

    /// Time has passed: an estimate that is too old is none, and inverse contracts weigh what they do now.
    pub(super) fn follow_mixes(&mut self, place: usize) {
        let now = self.now;
        if let Some(mixes) = self.pools.get_mut(place).and_then(|pool| pool.mixes.as_mut()) {
            mixes.look(now);
            self.refresh_held(place);
        }
    }

    /// What was traded of each hedge instrument since the opening, after a change of the account. What
    /// somebody opened with, one for one against the target, is not unwound because an estimate says so.
    pub(super) fn refresh_held(&mut self, place: usize) {
        let Some(pool) = self.pools.get(place).filter(|pool| pool.mixes.is_some()) else { return };
        let Some(hedge) = &pool.settings.hedge else { return };
        let mut held = [Exposure(0); LEGS_MAX];
        for (held, with) in held.iter_mut().zip(&hedge.instruments) {
            let id = with.instrument;
            let Some(line) = self.line(id) else { continue };
            let per_lot = exposure_per_lot(line.contract(), self.ledger.mark(id));
            if let (Some(per_lot), Some(lots)) = (per_lot, self.ledger.owned(id)) {
                let traded = lots.0.saturating_sub(line.settings.opening.0);
                *held = Exposure(per_lot.0.saturating_mul(traded));
            }
        }
        if let Some(mixes) = self.pools.get_mut(place).and_then(|pool| pool.mixes.as_mut()) {
            for (place, held) in held.into_iter().enumerate() {
                mixes.hold(place, held);
            }
        }
    }

    /// The next leg of the cheapest set, and that set from now on.
    pub(super) fn mixed_order(&mut self, place: usize, excess: Exposure) -> Option<HedgeOrder> {
        let side = if excess.0 > 0 { Side::Sell } else { Side::Buy };
        let (legs, order) = {
            let pool = self.pools.get(place)?;
            let candidates = self.mix_candidates(pool, side, true);
            let chosen = self.best_mix(pool, side, excess, &candidates)?;
            (chosen.legs, leg_order(pool, &chosen, excess, &candidates))
        };
        if let Some(mixes) = self.pools.get_mut(place).and_then(|pool| pool.mixes.as_mut()) {
            mixes.choose(legs);
        }
        order
    }

    /// What a unit costs on the cheapest set now, in 1e-9 of the reference's value.
    pub(super) fn mixed_ppb(&self, pool: &Pool, side: Side, size: Exposure) -> Option<i128> {
        let candidates = self.mix_candidates(pool, side, false);
        self.best_mix(pool, side, size, &candidates).map(|chosen| chosen.cost_ppb)
    }

    fn mix_candidates(&self, pool: &Pool, side: Side, is_fresh: bool) -> Candidates<'_> {
        let mut candidates = [None; LEGS_MAX];
        let with = pool.settings.hedge.as_ref().into_iter().flat_map(|hedge| &hedge.instruments);
        for ((n, with), candidate) in (0u32..).zip(with).zip(&mut candidates) {
            if is_fresh && pool.attempts.has_failed(n) {
                continue;
            }
            let widening = if is_fresh { pool.attempts.widening() } else { 1 };
            let collar = Ticks(with.collar.0.saturating_mul(widening));
            *candidate = self.hedge_candidate(&HedgeInstrument { collar, ..*with }, side);
        }
        candidates
    }

    fn best_mix(
        &self,
        pool: &Pool,
        side: Side,
        size: Exposure,
        candidates: &Candidates<'_>,
    ) -> Option<Chosen> {
        let mixes = pool.mixes.as_ref()?;
        let reference = mixes.terms().reference;
        let contract = self.line(reference)?.contract();
        let unit = unit_value(contract, self.ledger.mark(reference)?)?;
        // What a unit leaves weighs more the more units are hedged.
        let hedged = pool.at_risk().0.saturating_abs().max(size.0.saturating_abs());
        let at_risk = unit.saturating_mul(hedged.into()) / i128::from(UNIT);
        let held_ns = pool.settings.hedge.as_ref()?.holding_ns;
        let mut best: Option<(i128, Chosen)> = None;
        for legs in (1u8..).take(MIXES - 1) {
            let Some(mix) = mixes.mix(legs) else { continue };
            let Some(traded) = traded_ppb(&mix, side, size, unit, candidates) else { continue };
            let cost_ppb = traded.saturating_add(mixes.risk_ppb(mix.residual, at_risk, held_ns));
            let stays =
                if legs == mixes.plan() { cost_ppb.saturating_abs() / STAY_PART } else { 0 };
            let rank = cost_ppb.saturating_sub(stays);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, Chosen { legs, mix, cost_ppb }));
            }
        }
        best.map(|(_, chosen)| chosen)
    }

    /// What hedges an underlying by ratios; `None` where they are not estimated.
    pub fn hedge_plan(&self, underlying: usize) -> Option<HedgePlan> {
        let pool = self.pools.get(underlying)?;
        let legs = pool.mixes.as_ref()?.plan();
        let mut instruments = [None; LEGS_MAX];
        let with = &pool.settings.hedge.as_ref()?.instruments;
        for ((place, with), chosen) in (0u32..).zip(with).zip(&mut instruments) {
            *chosen = (legs >> place & 1 == 1).then_some(with.instrument);
        }
        Some(HedgePlan { instruments, at_risk: pool.at_risk() })
    }
}

/// The order of the leg that lacks most. Where its part is less than a lot it takes the whole: of two
/// legs that each lack half a lot, one trades.
fn leg_order(
    pool: &Pool,
    chosen: &Chosen,
    excess: Exposure,
    candidates: &Candidates<'_>,
) -> Option<HedgeOrder> {
    let mixes = pool.mixes.as_ref()?;
    let at_risk = pool.at_risk_by(chosen.legs);
    let (place, part) = mixes.leg(&chosen.mix, at_risk, excess)?;
    let candidate = candidates.get(place)?.as_ref()?;
    hedge::order(part, candidate).or_else(|| {
        let weight = i128::from(chosen.mix.weights.get(place).copied()?.max(1));
        let most = i128::from(excess.0).abs().min(i128::from(at_risk.0).abs());
        let whole = most * i128::from(ONE_PPM) / weight * i128::from(excess.0.signum());
        hedge::order(Exposure(i64::try_from(whole).ok()?), candidate)
    })
}

/// What trading a set's legs costs, in 1e-9 of the reference's unit; `None` where one cannot trade.
fn traded_ppb(
    mix: &Mix,
    side: Side,
    size: Exposure,
    unit: i128,
    candidates: &Candidates<'_>,
) -> Option<i128> {
    let mut sum = 0i128;
    for (ratio, candidate) in mix.ratios.iter().zip(candidates).filter(|(ratio, _)| **ratio > 0) {
        let candidate = candidate.as_ref()?;
        let ratio = i128::from(*ratio);
        let part = i128::from(size.0).abs() * ratio / i128::from(ONE_PPM);
        let lots = candidate.lots_of(Exposure(i64::try_from(part).ok()?));
        let mark = HalfTicks(candidate.touch.mid_half_ticks());
        let own = unit_value(candidate.contract, mark)?.saturating_mul(ratio);
        let cost = candidate.cost_ppb(side, lots).saturating_mul(own / i128::from(ONE_PPM));
        sum = sum.saturating_add(cost.checked_div(unit)?);
    }
    Some(sum)
}

/// What a unit of exposure to a contract is worth, in 1e-9 of its quote currency; `None` where that is
/// nothing, or an option.
fn unit_value(contract: ContractValue, mark: HalfTicks) -> Option<i128> {
    let half_ticks = i128::from(mark.0);
    let doubled = match contract {
        ContractValue::Linear { nano_per_tick_lot, nano_underlying_per_lot } => {
            let lots = half_ticks.checked_mul(nano_per_tick_lot.into())?;
            lots.checked_mul(UNIT.into())?.checked_div(nano_underlying_per_lot.into())?
        }
        ContractValue::Inverse { nano_quote_per_tick, .. } => {
            half_ticks.checked_mul(nano_quote_per_tick.into())?
        }
        ContractValue::Option { .. } => return None,
    };
    let value = doubled / 2;
    (value != 0).then_some(value.saturating_abs())
}
