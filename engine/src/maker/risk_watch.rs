//! What the portfolio's and the counting controls are told, and what follows at once.
//!
//! Fed by fills, marks, requests and the timer; feeds the gate and the states. Maker thread.

use super::config::MakerConfig;
use super::{Maker, instrument_id};
use crate::event::InstrumentId;
use crate::instrument::{Currency, Instrument};
use crate::maker::intents::Intents;
use crate::orders::order::Purpose;
use crate::orders::table::OpenSize;
use crate::pnl::valuation::position_value;
use crate::risk::carried::CarriedRisk;
use crate::risk::gross::{self, LOTS_VALUED};
use crate::risk::loss::LossStop;
use crate::risk::order_to_trade::{CarriedRatio, OrderToTrade};
use crate::risk::state::Reason;
use crate::units::{Exposure, Lots, Side};

impl Maker {
    /// Where the controls stand that must not forget over a restart. Allocates: not for the hot path.
    pub fn carried(&self) -> CarriedRisk {
        let switched_off = self.lines.iter().filter(|line| line.executions.is_off());
        let switched_off = switched_off.map(|line| line.instrument.id());
        let (loss, is_new_day) = self.loss.sampled(self.now, self.ledger.total());
        // A day that ended since the last timer took its messages and trades with it.
        let ratio = |ratio: &OrderToTrade| match is_new_day {
            true => CarriedRatio::default(),
            false => ratio.carried(),
        };
        CarriedRisk {
            day: loss.carried(),
            switched_off: switched_off.collect(),
            stops: loss.carried_stops(),
            ratios: self.order_to_trade.iter().map(ratio).collect(),
            fees: self.fees_left(),
        }
    }

    /// An instrument's position or what is open in it has changed.
    #[inline]
    pub(super) fn refresh_gross(&mut self, instrument: InstrumentId) {
        let open: OpenSize = self.orders.open(instrument);
        // What is on its way here is held as well.
        let position = self.ledger.owned(instrument).unwrap_or_default();
        let lots = gross::lots_worst(position, open, Side::Buy, Lots(0));
        if lots != 0 && self.gross.is_deferred(usize::from(instrument.0)) {
            self.value_gross(instrument);
        }
        self.gross.set_lots(usize::from(instrument.0), lots);
        self.reach_option(instrument);
    }

    /// The gross has the worst case of an instrument as it is.
    pub(super) fn is_gross_fresh(&self, instrument: InstrumentId) -> bool {
        let position = self.ledger.owned(instrument).unwrap_or_default();
        let lots = gross::lots_worst(position, self.orders.open(instrument), Side::Buy, Lots(0));
        self.gross.lots(usize::from(instrument.0)) == lots
    }

    /// An instrument's mark has changed, or the rate of what it settles in.
    #[inline]
    pub(super) fn revalue_gross(&mut self, instrument: InstrumentId) {
        if let Some(before) = self.gross.defer(usize::from(instrument.0)) {
            self.value_gross(instrument_id(before));
        }
    }

    /// More of an instrument is about to be asked for: it is valued now, and what is held and waits. A
    /// move that asks for no more needs no value.
    #[inline]
    pub(super) fn value_deferred(&mut self, instrument: InstrumentId) {
        if self.gross.is_deferred(usize::from(instrument.0)) {
            self.value_gross(instrument);
        }
        self.value_waiting();
    }

    /// The gross becomes that of the last marks.
    #[inline]
    pub(super) fn value_waiting(&mut self) {
        if let Some(place) = self.gross.waiting() {
            self.value_gross(instrument_id(place));
        }
    }

    #[inline(never)]
    fn value_gross(&mut self, instrument: InstrumentId) {
        let value = self.gross_value(instrument);
        self.gross.set_value(usize::from(instrument.0), value);
    }

    /// What [`LOTS_VALUED`] lots are worth at the last mark and rate.
    pub(super) fn gross_value(&self, instrument: InstrumentId) -> Option<i128> {
        let line = self.line(instrument)?;
        let mark = self.ledger.mark(instrument)?;
        let rate = self.ledger.rate(line.instrument.spec().settlement)?;
        rate.convert(position_value(line.contract(), LOTS_VALUED, mark)?)
    }

    /// A currency's rate has changed: so has what everything settled in it is worth.
    pub(super) fn revalue_currency(&mut self, currency: Currency) {
        let of = usize::from(currency.0);
        for n in 0..self.settled_in.get(of).map_or(0, Vec::len) {
            let id = self.settled_in.get(of).and_then(|ids| ids.get(n)).copied();
            if let Some(id) = id {
                self.revalue_gross(id);
            }
        }
    }

    /// A fill was booked: the controls that count fills judge it.
    pub(super) fn count_fill(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        size: Lots,
        purpose: Purpose,
        out: &mut Intents,
    ) {
        let now = self.now;
        self.refresh_gross(instrument);
        let Some(line) = self.line(instrument) else { return };
        let per_lot = self.lot_exposure(line).unwrap_or(Exposure(i64::MAX));
        let Some(line) = self.line_mut(instrument) else { return };
        let venue = usize::from(line.instrument.spec().venue.0);
        let pool = usize::from(line.instrument.spec().underlying.0);
        let is_repeated = line.executions.on_fill(now);
        if let Some(ratio) = self.order_to_trade.get_mut(venue) {
            ratio.on_fill();
        }
        let is_quote = match purpose {
            Purpose::Quote { .. } => true,
            Purpose::Hedge | Purpose::Rebalance => false,
        };
        let lots = size.0.saturating_mul(side.sign());
        let delta = Exposure(per_lot.0.saturating_mul(lots));
        let is_vega = is_quote && self.options.on_fill(now, instrument, lots);
        let pool = self.pools.get_mut(pool).filter(|_| is_quote);
        if pool.is_some_and(|pool| pool.protection.on_fill(now, delta)) || is_vega {
            self.counters.protections = self.counters.protections.saturating_add(1);
            self.requote_pool(instrument, out);
        }
        if is_repeated {
            self.halt(instrument, Reason::RepeatedExecutions, out);
        }
    }

    /// Every instrument of the underlying takes its new state at once.
    pub(super) fn requote_pool(&mut self, of: InstrumentId, out: &mut Intents) {
        let Some(pool) = self.pool_of(of) else { return };
        for n in 0..self.pools.get(pool).map_or(0, |pool| pool.members.len()) {
            if let Some(id) = self.member(pool, n) {
                self.requote(id, out);
            }
        }
    }

    /// Looks at what was lost, and begins a new day where one has ended. Says whether a stop for losses began
    /// or ended.
    pub(super) fn sample_losses(&mut self) -> bool {
        let (was, was_new) = (self.loss.stopped(), self.loss.is_new());
        let is_new_day = self.loss.on_total(self.now, self.ledger.total());
        // What an earlier run sent and traded was on a day that has ended.
        let is_day_left = was_new && self.loss.is_past_carried(self.now);
        if is_new_day || is_day_left {
            for ratio in &mut self.order_to_trade {
                ratio.on_day();
            }
        }
        let has_changed = self.loss.stopped() != was;
        let is_new = has_changed && self.loss.stopped().is_some();
        self.counters.loss_stops = self.counters.loss_stops.saturating_add(u64::from(is_new));
        has_changed
    }

    /// An operator resumes an instrument: what was counted against it counts no more.
    pub(super) fn reset_controls(&mut self, instrument: InstrumentId) {
        let now = self.now;
        if let Some(line) = self.line_mut(instrument) {
            line.rejects_in_row = 0;
            line.executions.reset();
            line.resume_guards(now);
        }
        // Or the first hedge that fails after the operator's word would halt again.
        let pool = self.pool_of(instrument);
        if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool)) {
            pool.hedge_failures = 0;
            pool.protection.reset();
        }
        if let Some(pool) = self.pool_of(instrument) {
            self.options.reset(pool);
        }
    }
}

/// The loss stop of a run, as the one before left it.
pub(super) fn loss_stop(config: &MakerConfig) -> LossStop {
    let stop = LossStop::new(config.portfolio.loss.clone(), config.carried.day);
    stop.stopped_before(config.carried.stops)
}

/// One a venue, as the run before left them.
pub(super) fn ratios(config: &MakerConfig) -> Vec<OrderToTrade> {
    let left = config.carried.ratios.iter().copied().chain(std::iter::repeat(Default::default()));
    let ratios = config.order_to_trade.iter().zip(left);
    ratios.map(|(limit, left)| OrderToTrade::resumed(*limit, left)).collect()
}

/// By currency: the instruments that settle in it.
pub(super) fn settled_in(instruments: &[Instrument]) -> Vec<Vec<InstrumentId>> {
    let mut settled_in = vec![Vec::new(); usize::from(u8::MAX) + 1];
    for instrument in instruments {
        if let Some(of) = settled_in.get_mut(usize::from(instrument.spec().settlement.0)) {
            of.push(instrument.id());
        }
    }
    settled_in
}
