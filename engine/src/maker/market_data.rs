//! A market event: into the book, and on a whole message to the account and the quotes.

use super::{Maker, instrument_id};
use crate::event::{InstrumentId, MarketEvent, MarketUpdate};
use crate::maker::intents::Intents;
use crate::market::book::Touch;
use crate::pnl::attribution::ConversionRate;
use crate::pnl::valuation::HalfTicks;
use crate::risk::state::Reason;
use crate::units::Nanos;

impl Maker {
    #[inline]
    pub(super) fn on_market(&mut self, event: &MarketEvent, out: &mut Intents) {
        self.counters.market_events = self.counters.market_events.saturating_add(1);
        let now = self.now;
        let Some(line) = self.line_mut(event.instrument) else { return };
        line.seen = None;
        match event.update {
            MarketUpdate::Level { side, price, size } => line.book.set(side, price, size),
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset => {
                line.book.reset();
                line.trust.on_reset();
            }
            MarketUpdate::Gap => {
                line.trust.on_gap();
                line.volatility.on_gap();
                line.guards.on_gap();
                line.mids.on_gap();
            }
        }
        let is_whole = event.last_in_message || matches!(event.update, MarketUpdate::Gap);
        line.trust.on_event(now, is_whole);
        if is_whole {
            line.trust.on_whole_message(now, &line.book, line.volatility.sigma());
            // Estimate, state and gate ask for it in turn: it is looked at once.
            line.seen = Some((now, line.trust.check(now, &line.book)));
        }
        // Quotes move only on a whole message: half of one is not a market. A gap moves them at once.
        if is_whole {
            self.on_whole_message(event.instrument, event.venue_at, out);
        }
    }

    fn on_whole_message(&mut self, instrument: InstrumentId, venue_at: Nanos, out: &mut Intents) {
        let now = self.now;
        if let Some(line) = self.line(instrument)
            && let Ok(touch) = line.touch(now)
        {
            // An option is marked to the model, and its fills are booked against that mark.
            let is_marked = self.options.book.get(instrument).is_none();
            if is_marked {
                self.mark(instrument, touch, out);
            }
            if let Some(line) = self.line_mut(instrument) {
                let mid = touch.mid_half_ticks();
                if is_marked {
                    line.markouts.on_mid(now, mid);
                    line.mids.on_mark(venue_at, HalfTicks(mid));
                }
                line.watch_mid(now, HalfTicks(mid));
            }
        }
        self.follow(instrument, out);
        self.requote(instrument, out);
        self.requote_followers(instrument, out);
        if let Some(pool) = self.pool_of(instrument) {
            self.hedge(pool, out);
        }
    }

    /// Marks the account to the mid, and converts the currencies that this instrument converts.
    fn mark(&mut self, instrument: InstrumentId, touch: Touch, out: &mut Intents) {
        let mid = HalfTicks(touch.mid_half_ticks());
        if self.ledger.mark(instrument) == Some(mid) {
            return;
        }
        let mut is_booked = self.ledger.on_mark(instrument, mid).is_ok();
        self.revalue_gross(instrument, Some(mid));
        for n in 0..self.conversions.len() {
            let Some(&(currency, source)) = self.conversions.get(n) else { continue };
            if source == instrument
                && let Some(rate) = self.rate_of(instrument, mid)
            {
                is_booked &= self.ledger.on_conversion(currency, rate).is_ok();
                self.revalue_currency(currency);
            }
        }
        if !is_booked {
            // Money that does not fit its integer is not guessed at.
            for n in 0..self.lines.len() {
                self.halt(instrument_id(n), Reason::Overflow, out);
            }
        }
    }

    /// One coin in the quote currency, in 1e-9, rounded down.
    fn rate_of(&self, instrument: InstrumentId, mid: HalfTicks) -> Option<ConversionRate> {
        let nano_per_tick = self.line(instrument)?.instrument.nano_quote_per_tick();
        let rate = i128::from(mid.0) * i128::from(nano_per_tick) / 2;
        i64::try_from(rate).ok().map(ConversionRate)
    }
}
