//! What an operator sets while the maker runs: limits and quoting parameters.
//!
//! Fed by `control.rs` with a knob and its value; changes the settings of an instrument or an
//! underlying. Maker thread, cold. What would break the order of the limits changes nothing. Absent:
//! who may set what, and the requote that follows.

use super::Maker;
use super::control::Knob;
use crate::event::InstrumentId;
use crate::risk::limits::{ExposureLimits, ValueLimit};
use crate::units::{Exposure, Lots, Notional, SubTicks, Ticks};

impl Maker {
    /// Sets a limit or a parameter; what makes no sense changes nothing (the socket refused it).
    pub(super) fn set(&mut self, knob: Knob, value: i64) {
        match knob {
            Knob::OrderSizeMax(id)
            | Knob::OrderValueMax(id)
            | Knob::PositionMax(id)
            | Knob::Collar(id) => {
                if value > 0 {
                    self.set_limit(knob, id, value);
                }
            }
            Knob::Soft(place) | Knob::Stop(place) | Knob::Hard(place) => {
                self.set_exposure(knob, place, value);
            }
            Knob::QuoteSize(id)
            | Knob::EdgeMin(id)
            | Knob::ToleranceAggressive(id)
            | Knob::TolerancePassive(id) => self.set_quote(knob, id, value),
        }
    }

    fn set_limit(&mut self, knob: Knob, id: InstrumentId, value: i64) {
        let Some(line) = self.line_mut(id) else { return };
        let limits = &mut line.settings.limits;
        match knob {
            Knob::OrderSizeMax(_) => limits.order_size_max = Lots(value),
            Knob::OrderValueMax(_) => {
                limits.order_value_max =
                    ValueLimit::new(&line.instrument, Notional(i128::from(value)));
            }
            Knob::PositionMax(_) => limits.position_max = Lots(value),
            Knob::Collar(_) => limits.collar.width = Ticks(value),
            Knob::Soft(_)
            | Knob::Stop(_)
            | Knob::Hard(_)
            | Knob::QuoteSize(_)
            | Knob::EdgeMin(_)
            | Knob::ToleranceAggressive(_)
            | Knob::TolerancePassive(_) => {}
        }
    }

    /// Keeps `0 < soft < stop < hard`, the hedge's band within the soft limit, and the hard limit within the
    /// engine's part of its firm's.
    fn set_exposure(&mut self, knob: Knob, place: u8, value: i64) {
        let Some(pool) = self.pools.get_mut(usize::from(place)) else { return };
        let limits = pool.settings.limits;
        let (mut soft, mut stop, mut hard) = (limits.soft(), limits.stop(), limits.hard());
        match knob {
            Knob::Soft(_) => soft = Exposure(value),
            Knob::Stop(_) => stop = Exposure(value),
            Knob::Hard(_) => hard = Exposure(value),
            Knob::OrderSizeMax(_)
            | Knob::OrderValueMax(_)
            | Knob::PositionMax(_)
            | Knob::Collar(_)
            | Knob::QuoteSize(_)
            | Knob::EdgeMin(_)
            | Knob::ToleranceAggressive(_)
            | Knob::TolerancePassive(_) => {}
        }
        let is_inside = pool.is_band_within(soft) && pool.is_within_firm(hard);
        if let (Ok(limits), true) = (ExposureLimits::new(soft, stop, hard), is_inside) {
            pool.settings.limits = limits;
        }
    }

    fn set_quote(&mut self, knob: Knob, id: InstrumentId, value: i64) {
        let Some(line) = self.line_mut(id) else { return };
        let Some(quote) = &mut line.settings.quote else { return };
        let ticks = u64::try_from(value).ok();
        match (knob, ticks) {
            (Knob::QuoteSize(_), _) => quote.ladder.set_size(Lots(value)),
            (Knob::EdgeMin(_), _) => quote.ladder.set_edge_min(SubTicks(value)),
            (Knob::ToleranceAggressive(_), Some(ticks)) => quote.tolerance.aggressive_ticks = ticks,
            (Knob::TolerancePassive(_), Some(ticks)) => quote.tolerance.passive_ticks = ticks,
            (
                Knob::ToleranceAggressive(_)
                | Knob::TolerancePassive(_)
                | Knob::OrderSizeMax(_)
                | Knob::OrderValueMax(_)
                | Knob::PositionMax(_)
                | Knob::Collar(_)
                | Knob::Soft(_)
                | Knob::Stop(_)
                | Knob::Hard(_),
                _,
            ) => {}
        }
    }
}
