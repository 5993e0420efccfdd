//! Options at work: refreshed Greeks on their way in, values that follow the underlying, marks, quotes.
//!
//! Fed by journaled refreshes, by the markets of what the options are on, and by the timer; feeds net
//! delta, the account's marks and the order path. Maker thread. An option is repriced when its underlying
//! moved by the config's step, and with every tick of the timer; a move between the two is smaller than
//! the step. Where the underlying is not to be believed, or the refresh is too old or too far, there is
//! no value: quotes go out, and what is held is not hedged by guesswork.

use super::guards::Stand;
use super::{Line, Maker, Pool};
use crate::estimate::option_value::{OptionGreeks, OptionValue};
use crate::event::InstrumentId;
use crate::fixed::Scaled;
use crate::inventory::exposure::exposure_per_lot;
use crate::inventory::option_book::{OptionBook, OptionLine, Unvalued};
use crate::maker::intents::Intents;
use crate::maker::option_config::OptionsConfig;
use crate::market::book::{Level, Touch};
use crate::market::trust::Distrust;
use crate::pnl::greek_attribution::{GreekAttribution, GreekCause, MarkPoint};
use crate::pnl::valuation::HalfTicks;
use crate::quote;
use crate::quote::ladder::{Caps, Terms};
use crate::quote::option_skew::{Held, Slopes};
use crate::risk::gate::BlockReason;
use crate::risk::greek_limits::{GreekLimits, GreekVector, GreekVerdict, Ranges, Reach};
use crate::risk::pin::Pin;
use crate::risk::protection::{Protection, ProtectionLimits};
use crate::risk::state::Reason;
use crate::units::{Exposure, Lots, Nanos, Side, SubTicks, Ticks};

/// Refreshed Greeks of one option, as they travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefreshedGreeks {
    /// Whose.
    pub instrument: InstrumentId,
    /// What.
    pub greeks: OptionGreeks,
}

/// How far each Greek of one option may be from its refresh for as long and as far as that is believed.
/// It comes before the Greeks that it belongs to: with both, they are taken in at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreekSpan {
    /// Whose.
    pub instrument: InstrumentId,
    /// When the Greeks are taken that it belongs to.
    pub at: Nanos,
    /// Per lot, ≥ 0.
    pub span: GreekVector,
}

/// An instrument that options are on.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Followed {
    reference: InstrumentId,
    /// A move that reprices at once.
    step: SubTicks,
    /// Where its options were priced last.
    priced_at: Option<SubTicks>,
}

/// An option's marks so far.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Marked {
    last: Option<MarkPoint>,
    causes: GreekAttribution,
}

/// The options of a maker with what belongs to them.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct OptionDesk {
    pub(super) book: OptionBook,
    followed: Vec<Followed>,
    /// By the book's places.
    marked: Vec<Marked>,
    /// By underlying: fills of quotes in a window, by vega.
    vega_protection: Vec<Option<Protection>>,
}

impl OptionDesk {
    pub(super) fn new(
        config: &OptionsConfig,
        instruments: &[crate::instrument::Instrument],
        protections: &[ProtectionLimits],
    ) -> OptionDesk {
        let book = OptionBook::new(config, instruments, protections.len());
        let mut followed: Vec<Followed> = Vec::new();
        for option in &config.options {
            let known = followed.iter_mut().find(|f| f.reference == option.reference);
            match known {
                Some(known) => known.step = known.step.min(option.reprice_move),
                None => followed.push(Followed {
                    reference: option.reference,
                    step: option.reprice_move,
                    priced_at: None,
                }),
            }
        }
        let mut vega_protection: Vec<Option<Protection>> = vec![None; protections.len()];
        for (underlying, limits) in &config.limits {
            let pool = usize::from(underlying.0);
            if let (Some(place), Some(by_delta)) =
                (vega_protection.get_mut(pool), protections.get(pool))
            {
                // The same window and cool-down; what is summed is vega instead of delta.
                let delta_max = Exposure(limits.vega_protection);
                *place = Some(Protection::new(ProtectionLimits { delta_max, ..*by_delta }));
            }
        }
        let marked = vec![Marked::default(); book.len()];
        OptionDesk { book, followed, marked, vega_protection }
    }

    /// A quote in an option filled and moved net vega. Is that too much in the window?
    pub(super) fn on_fill(&mut self, now: Nanos, instrument: InstrumentId, lots: i64) -> bool {
        let Some(line) = self.book.get(instrument) else { return false };
        let (pool, vega) = (line.pool(), line.per_lot().vega.saturating_mul(lots));
        let protection = self.vega_protection.get_mut(pool).and_then(Option::as_mut);
        protection.is_some_and(|protection| protection.on_fill(now, Exposure(vega)))
    }

    pub(super) fn is_cooling(&self, now: Nanos, pool: usize) -> bool {
        let protection = self.vega_protection.get(pool).and_then(Option::as_ref);
        protection.is_some_and(|protection| protection.is_cooling(now))
    }

    pub(super) fn reset(&mut self, pool: usize) {
        if let Some(protection) = self.vega_protection.get_mut(pool).and_then(Option::as_mut) {
            protection.reset();
        }
    }

    fn causes(&self, pool: usize) -> [(GreekCause, i128); GreekCause::COUNT] {
        let mut sums = GreekAttribution::default().parts();
        for (n, marked) in self.marked.iter().enumerate() {
            if self.book.at(n).is_some_and(|line| line.pool() == pool) {
                for (sum, part) in sums.iter_mut().zip(marked.causes.parts()) {
                    sum.1 = sum.1.saturating_add(part.1);
                }
            }
        }
        sums
    }
}

impl Maker {
    /// Keeps how far the Greeks of an option's next refresh may move.
    pub(super) fn on_greek_span(&mut self, span: &GreekSpan) {
        if !self.options.book.expect(span.instrument, span.at, span.span) {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
        }
    }

    /// Takes refreshed Greeks in; those of no option, older than the last or without their span change
    /// nothing and are counted.
    pub(super) fn on_greeks(&mut self, refreshed: &RefreshedGreeks, out: &mut Intents) {
        let instrument = refreshed.instrument;
        if !self.options.book.refresh(instrument, &refreshed.greeks) {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
            return;
        }
        self.counters.parameters = self.counters.parameters.saturating_add(1);
        let line = self.options.book.get(instrument);
        let Some(reference) = line.map(|line| line.settings.reference) else { return };
        let (now, price) = (self.now, self.reference_price(reference));
        self.options.book.reprice_one(instrument, now, price);
        self.mark_option(instrument, price, out);
        if let Some(pool) = self.pool_of(instrument) {
            self.refresh_delta(pool);
            self.requote(instrument, out);
            self.hedge(pool, out);
        }
    }

    /// An instrument's market moved: options on it follow where the move is large enough.
    pub(super) fn follow(&mut self, reference: InstrumentId, out: &mut Intents) {
        if self.options.book.is_empty() {
            return;
        }
        let price = self.reference_price(reference);
        let followed = self.options.followed.iter().find(|f| f.reference == reference);
        let is_due = followed.is_some_and(|followed| match (followed.priced_at, price) {
            (Some(last), Some(price)) => {
                price.0.saturating_sub(last.0).unsigned_abs() >= followed.step.0.unsigned_abs()
            }
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        });
        if !is_due {
            return;
        }
        self.reprice(reference, price, out);
        for n in 0..self.options.book.len() {
            let line = self.options.book.at(n);
            let on_it = line.filter(|line| line.settings.reference == reference);
            if let Some(id) = on_it.map(|line| line.id) {
                self.requote(id, out);
            }
        }
    }

    /// Time passed: every option is valued anew. Quotes follow with the timer's own walk.
    pub(super) fn reprice_all(&mut self, out: &mut Intents) {
        for n in 0..self.options.followed.len() {
            let reference = self.options.followed.get(n).map(|followed| followed.reference);
            if let Some(reference) = reference {
                let price = self.reference_price(reference);
                self.reprice(reference, price, out);
            }
        }
    }

    fn reprice(&mut self, reference: InstrumentId, price: Option<SubTicks>, out: &mut Intents) {
        let now = self.now;
        let followed = self.options.followed.iter_mut().find(|f| f.reference == reference);
        if let Some(followed) = followed {
            followed.priced_at = price;
        }
        self.options.book.reprice(reference, now, price);
        for n in 0..self.options.book.len() {
            let line = self.options.book.at(n);
            let on_it = line.filter(|line| line.settings.reference == reference);
            if let Some(id) = on_it.map(|line| line.id) {
                self.mark_option(id, price, out);
            }
        }
        if let Some(pool) = self.pool_of(reference) {
            self.refresh_delta(pool);
        }
    }

    /// What options on an instrument are valued at: its mid, where it is to be believed. Half of a
    /// message is not a market: what it was before holds until the rest is there.
    fn reference_price(&self, reference: InstrumentId) -> Option<SubTicks> {
        let line = self.line(reference)?;
        if line.is_mid_message(self.now) {
            let followed = self.options.followed.iter().find(|f| f.reference == reference);
            return followed.and_then(|followed| followed.priced_at);
        }
        let touch = line.touch(self.now).ok()?;
        let half = touch.mid_half_ticks().checked_mul(SubTicks::ONE.0 / 2)?;
        Some(SubTicks(half))
    }

    /// The touch that an instrument is quoted beside. Where a side of an option's book is empty and its
    /// config says so, that side stands at the model's value, outside of what is there on the other: a strike
    /// that nobody bids for is quoted all the same. Gaps, silence and crosses stay what they are.
    #[inline]
    pub(super) fn quoting_touch(&self, line: &Line) -> Result<Touch, Distrust> {
        match line.seen {
            Some((at, Ok(touch))) if at == self.now => {
                debug_assert_eq!(line.touch(at), Ok(touch), "no event since");
                Ok(touch)
            }
            Some(_) | None => self.touch_looked_at(line),
        }
    }

    /// The same where the touch is not believed, or was not looked at yet.
    fn touch_looked_at(&self, line: &Line) -> Result<Touch, Distrust> {
        let seen = line.touch(self.now);
        if seen != Err(Distrust::OneSided) {
            return seen;
        }
        let option = self.options.book.get(line.instrument.id());
        let option = option.filter(|option| option.settings.quotes_empty);
        let Some(value) = option.and_then(|option| option.value.ok()) else { return seen };
        let below = value.value.0.max(0) >> SubTicks::FRACTION_BITS;
        let level = |price: i64| Level { price: Ticks(price), size: Lots(0) };
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| line.book.best(side));
        let [bid, ask] = match (bid, ask) {
            (Some(bid), None) => [bid, level(bid.price.0.max(below).saturating_add(1))],
            (None, Some(ask)) => [level(ask.price.0.saturating_sub(1).min(below)), ask],
            (None, None) | (Some(_), Some(_)) => [level(below), level(below.saturating_add(1))],
        };
        // Below one tick nobody bids for an option, and no venue takes that.
        if bid.price.0 < 1 { seen } else { Ok(Touch { bid, ask }) }
    }

    /// Marks an option to the model's value and says why the mark moved.
    fn mark_option(&mut self, id: InstrumentId, price: Option<SubTicks>, out: &mut Intents) {
        let Some((line, price)) = self.options.book.get(id).zip(price) else { return };
        let (Ok(value), Some(greeks)) = (line.value, line.greeks) else { return };
        // An expired option keeps its last mark until it is settled.
        if line.terms.is_expired(self.now) {
            return;
        }
        let (lots, nano_per_tick_lot) = (line.reach.lots, line.nano_per_tick_lot());
        let half =
            value.value.0.saturating_add(SubTicks::ONE.0 / 4) >> (SubTicks::FRACTION_BITS - 1);
        let mark = HalfTicks(half.max(0));
        let before = self.ledger.moved(id).unwrap_or_default();
        if self.ledger.on_mark(id, mark).is_err() {
            self.halt(id, Reason::Overflow, out);
            return;
        }
        let moved = self.ledger.moved(id).unwrap_or_default().0.saturating_sub(before.0);
        let to = MarkPoint { greeks, underlying: price, at: self.now };
        if let Some(marked) =
            self.options.book.place(id).and_then(|n| self.options.marked.get_mut(n))
        {
            match marked.last {
                Some(from) => {
                    marked.causes.on_mark(&from, &to, lots, nano_per_tick_lot, moved);
                }
                None => marked.causes.on_unexplained(moved),
            }
            marked.last = Some(to);
        }
        self.revalue_gross(id);
        let now = self.now;
        if let Some(line) = self.line_mut(id) {
            line.markouts.on_mid(now, mark.0);
        }
    }

    /// An option's account moved for another reason than its mark's Greeks: it ended.
    pub(super) fn on_option_ended(&mut self, id: InstrumentId, moved: i128) {
        let place = self.options.book.place(id);
        if let Some(marked) = place.and_then(|place| self.options.marked.get_mut(place)) {
            marked.causes.on_unexplained(moved);
        }
    }

    /// Position and open orders of an instrument, as the book counts them.
    pub(super) fn reach_option(&mut self, id: InstrumentId) {
        if self.options.book.is_empty() {
            return;
        }
        let open = self.orders.open(id);
        let lots = self.ledger.position(id).unwrap_or_default();
        self.options.book.set_reach(id, Reach { lots, buys: open.buy, sells: open.sell });
    }

    /// Net exposure of an underlying's options as held now; `None` where one has no value.
    pub(super) fn option_exposure(&mut self, pool: usize) -> Option<i128> {
        for n in 0..self.options.book.len() {
            let line = self.options.book.at(n).filter(|line| line.pool() == pool);
            if let Some(id) = line.map(|line| line.id) {
                self.reach_option(id);
            }
        }
        self.options.book.exposure(pool)
    }

    /// Exposure of one lot of anything; an option's has the sign of its delta.
    pub(super) fn lot_exposure(&self, line: &Line) -> Option<Exposure> {
        let id = line.instrument.id();
        match self.options.book.get(id) {
            Some(option) => option.value.ok().map(|value| value.exposure),
            None => exposure_per_lot(line.contract(), self.ledger.mark(id)),
        }
    }

    /// Why an order in an option may not go, by its own limits.
    pub(super) fn option_block(
        &self,
        id: InstrumentId,
        side: Side,
        added: Lots,
    ) -> Option<BlockReason> {
        let line = self.options.book.get(id)?;
        if line.terms.is_expired(self.now) {
            return Some(BlockReason::Expired);
        }
        let is_over = self.options.book.check(id, side, added) != GreekVerdict::Pass;
        (is_over || self.options.book.has_unknown(id)).then_some(BlockReason::Greeks)
    }

    /// Why an option is not quoted now; `None` for what is no option.
    pub(super) fn option_stop(&self, id: InstrumentId) -> Option<Reason> {
        let line = self.options.book.get(id)?;
        if line.terms.is_expired(self.now) {
            return Some(Reason::Expired);
        }
        if self.options.is_cooling(self.now, line.pool()) {
            return Some(Reason::Protection);
        }
        match line.value {
            Ok(_) if self.pin(line) == Pin::Stop => Some(Reason::PinRisk),
            Ok(_) => None,
            Err(Unvalued::NoGreeks) => Some(Reason::NoGreeks),
            Err(Unvalued::NoReference) => Some(Reason::NoReference),
            Err(Unvalued::Outside(_)) => Some(Reason::GreeksOutside),
            Err(Unvalued::NotFixed) => Some(Reason::Expired),
        }
    }

    fn pin(&self, line: &OptionLine) -> Pin {
        let settings = &line.settings;
        let followed = self.options.followed.iter().find(|f| f.reference == settings.reference);
        let Some(price) = followed.and_then(|followed| followed.priced_at) else {
            return Pin::Stop;
        };
        settings.pin.check(line.terms.expiry.since(self.now), price, settings.strike)
    }

    /// An option's ladder: around the model's value, skewed by what the book holds.
    pub(super) fn option_terms(
        &self,
        instrument: InstrumentId,
        stands: [Stand; 2],
        touch: &Touch,
    ) -> Option<Terms> {
        let line = self.line(instrument)?;
        let pool = self.pool_of(instrument).and_then(|pool| self.pools.get(pool))?;
        let settings = line.settings.quote.as_ref()?;
        let option = self.options.book.get(instrument)?;
        let (value, greeks) = (option.value.ok()?, option.greeks?);
        let sigma = Scaled::new(i128::from(line.volatility.sigma().0), 32);
        let quoting = &option.settings.quoting;
        let slopes = Slopes { delta: value.price_delta, vega: greeks.vega };
        let half = settings.quoter.half_spreads(Lots(0), sigma, Scaled::ZERO);
        let mut half = quoting.widened(half, &slopes);
        if self.pin(option) == Pin::Widen {
            half = half.widened(option.settings.pin.widen_percent.saturating_mul(10));
        }
        let mut half = super::quoting::widened(half, &line.markouts, settings.markout.as_ref());
        let (vega, vega_limit) = self.options.book.vega(option.pool());
        let delta_soft = pool.limits().soft().0;
        let held = Held { delta: pool.delta.0, delta_soft, vega, vega_limit };
        let fair = quoting.reservation(value.value, &slopes, &held);
        let mut caps = self.option_caps(line, pool, &value);
        let joins = line.restraint.shape(fair, touch, &mut half, &mut caps);
        line.guards.shape(stands, &mut half, &mut caps);
        let others = quote::Touch { bid: Some(touch.bid.price), ask: Some(touch.ask.price) };
        Some(Terms { fair, half, others, caps, joins })
    }

    /// Whether buying a lot adds exposure, takes it off, or does neither.
    pub(super) fn exposure_sign(&self, line: &Line) -> i64 {
        let option = self.options.book.get(line.instrument.id());
        option.map_or(1, |option| option.value.map_or(0, |value| value.exposure.0.signum()))
    }

    /// How much each side may hold: position, hard exposure limit and every Greek's limit.
    fn option_caps(&self, line: &Line, pool: &Pool, value: &OptionValue) -> Caps {
        let id = line.instrument.id();
        let position = self.ledger.position(id).unwrap_or_default().0;
        let position_max = line.settings.limits.position_max.0;
        let hard = pool.limits().hard().0;
        let cap = |side: Side| {
            let held = position.saturating_mul(side.sign());
            let each = value.exposure.0.saturating_mul(side.sign());
            let delta = pool.delta.0.saturating_mul(each.signum());
            let room = hard.saturating_sub(delta).checked_div(each.saturating_abs());
            let most = position_max.saturating_sub(held).min(room.unwrap_or(i64::MAX));
            Lots(most.min(self.options.book.room(id, side).0).max(0))
        };
        let caps = Caps { bid: cap(Side::Buy), ask: cap(Side::Sell) };
        self.within_collateral(line, caps)
    }

    /// The model's value and Greeks of an option now; `None` for what is none.
    pub fn option(&self, instrument: InstrumentId) -> Option<&OptionLine> {
        self.options.book.get(instrument)
    }

    /// What an underlying's options could come to by Greek, everything open counted; `None` without
    /// options.
    pub fn greek_ranges(&self, pool: usize) -> Option<Ranges> {
        self.options.book.ranges(pool)
    }

    /// The limits on an underlying's options; `None` without options.
    pub fn greek_limits(&self, pool: usize) -> Option<&GreekLimits> {
        self.options.book.limits(pool)
    }

    /// Net Greeks of an underlying's option positions as of their last refresh; `None` without options
    /// or where they do not fit.
    pub fn net_greeks(&self, pool: usize) -> Option<GreekVector> {
        self.options.book.net(pool)
    }

    /// Why the marks of an underlying's options moved: with one settlement currency, the parts of its
    /// options' `inventory_mtm`, in 1e-9.
    pub fn option_causes(&self, pool: usize) -> [(GreekCause, i128); GreekCause::COUNT] {
        self.options.causes(pool)
    }
}

#[cfg(test)]
#[path = "greek_limit_tests.rs"]
mod limit_tests;

#[cfg(test)]
#[path = "empty_side_tests.rs"]
mod empty_side_tests;
