//! A market event: into the book, and on a whole message to the account and the quotes.

use super::{Line, Maker, instrument_id};
use crate::event::{InstrumentId, MarketEvent, MarketUpdate};
use crate::maker::intents::Intents;
use crate::market::book::Touch;
use crate::pnl::attribution::ConversionRate;
use crate::pnl::valuation::HalfTicks;
use crate::risk::state::Reason;
use crate::units::Nanos;

impl Line {
    /// A new image begins.
    #[cold]
    fn on_reset(&mut self) {
        self.book.reset();
        self.trust.on_reset();
    }

    /// Something was missed.
    #[cold]
    fn on_gap(&mut self) {
        self.trust.on_gap();
        self.volatility.on_gap();
        self.guards.on_gap();
        self.mids.on_gap();
    }
}

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
            MarketUpdate::Reset => line.on_reset(),
            MarketUpdate::Gap => line.on_gap(),
        }
        let is_whole = event.last_in_message || matches!(event.update, MarketUpdate::Gap);
        line.trust.on_event(now, is_whole);
        // Quotes move only on a whole message: half of one is not a market. A gap moves them at once.
        if is_whole {
            let seen = line.trust.on_whole_message(now, &line.book, line.volatility.sigma());
            // Estimate, state and gate ask for it in turn: it is looked at once.
            line.seen = Some((now, seen));
            if let Ok(touch) = seen {
                self.on_believed(event.instrument, event.venue_at, &touch, out);
            }
            self.act(event.instrument, out);
        }
    }

    /// A whole message left a touch that is to be believed: what is counted by mids follows it.
    #[inline]
    fn on_believed(
        &mut self,
        instrument: InstrumentId,
        venue_at: Nanos,
        touch: &Touch,
        out: &mut Intents,
    ) {
        let (now, mid) = (self.now, HalfTicks(touch.mid_half_ticks()));
        // An option is marked to the model, and its fills are booked against that mark.
        let is_marked = self.options.book.get(instrument).is_none();
        if is_marked {
            self.mark(instrument, mid, out);
        }
        let Some(line) = self.line_mut(instrument) else { return };
        if is_marked {
            line.markouts.on_mid(now, mid.0);
            line.mids.on_mark(venue_at, mid);
        }
        line.watch_mid(now, mid);
    }

    /// Quotes and hedges follow a whole message.
    fn act(&mut self, instrument: InstrumentId, out: &mut Intents) {
        self.follow(instrument, out);
        self.requote(instrument, out);
        self.requote_followers(instrument, out);
        if let Some(pool) = self.pool_of(instrument) {
            self.hedge(pool, out);
        }
    }

    /// Marks the account to the mid, and converts the currencies that this instrument converts.
    fn mark(&mut self, instrument: InstrumentId, mid: HalfTicks, out: &mut Intents) {
        let mut is_booked = match self.ledger.move_mark(instrument, mid) {
            Some(false) => return,
            moved => moved.is_some(),
        };
        if is_booked {
            self.revalue_gross(instrument);
        } else {
            // The account stays at the mark before it, which is no worth to judge an order by.
            self.gross.set_value(usize::from(instrument.0), None);
        }
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
            self.halt_all(out);
        }
    }

    /// Money that does not fit its integer is not guessed at.
    #[cold]
    fn halt_all(&mut self, out: &mut Intents) {
        for n in 0..self.lines.len() {
            self.halt(instrument_id(n), Reason::Overflow, out);
        }
    }

    /// One coin in the quote currency, in 1e-9, rounded down.
    fn rate_of(&self, instrument: InstrumentId, mid: HalfTicks) -> Option<ConversionRate> {
        let nano_per_tick = self.line(instrument)?.instrument.nano_quote_per_tick();
        // A rate is mostly far from the integer's edge, and half of a word is a shift.
        if let Some(doubled) = mid.0.checked_mul(nano_per_tick) {
            return Some(ConversionRate(doubled / 2));
        }
        let rate = i128::from(mid.0) * i128::from(nano_per_tick) / 2;
        i64::try_from(rate).ok().map(ConversionRate)
    }
}
