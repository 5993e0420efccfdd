//! One instrument as the checker sees it: what is held by the reports, and a book of its own.
//!
//! Fed by the checker with what the maker journals; says why an order should not stand on its book.

use super::exposed::Upset;
use crate::venue::exchange::Exchange;
use crate::venue::order::Participant;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::config::InstrumentSettings;
use ballast_engine::market::spike::SpikeLimit;
use ballast_engine::risk::state::State;
use ballast_engine::units::{Lots, Nanos, Ticks};
use std::collections::BTreeMap;

/// One instrument as the checker sees it.
pub(super) struct Watched {
    pub(super) opening: i64,
    pub(super) stale_after_ns: u64,
    pub(super) position_max: i64,
    pub(super) per_lot: i128,
    pub(super) fills: i64,
    pub(super) upset: Upset,
    /// What works at the venue, after so many changes of orders there.
    works: (u64, [i64; 2]),
    pub(super) book: [BTreeMap<Ticks, Lots>; 2],
    pub(super) is_synced: bool,
    pub(super) is_rebuilding: bool,
    pub(super) heard_at: Nanos,
    pub(super) is_quoted: bool,
    /// The last state that telemetry told, and since when it is not what is so.
    pub(super) told: Option<State>,
    pub(super) untold_since: Option<Nanos>,
    /// Since when orders stand at the venue on a book that is not trusted.
    pub(super) standing_since: Option<Nanos>,
    pub(super) order_size_max: i64,
    pub(super) spike: Option<SpikeLimit>,
    /// The touch of the last whole message that was believed, and the one that jumped from it.
    pub(super) believed: Option<[Ticks; 2]>,
    pub(super) jumped: Option<([Ticks; 2], Nanos, u32)>,
}

impl Watched {
    pub(super) fn new(instrument: &Instrument, settings: &InstrumentSettings) -> Watched {
        Watched {
            opening: settings.opening.0,
            stale_after_ns: settings.stale_after_ns,
            position_max: settings.limits.position_max.0,
            per_lot: match instrument.value() {
                ContractValue::Linear { nano_underlying_per_lot, .. } => {
                    i128::from(nano_underlying_per_lot)
                }
                ContractValue::Inverse { .. } | ContractValue::Option { .. } => 0,
            },
            fills: 0,
            upset: Upset::default(),
            works: (u64::MAX, [0; 2]),
            book: Default::default(),
            is_synced: false,
            is_rebuilding: false,
            heard_at: Nanos(0),
            is_quoted: settings.quote.is_some(),
            told: Some(State::Paused),
            untold_since: None,
            standing_since: None,
            order_size_max: settings.limits.order_size_max.0,
            spike: settings.spike,
            believed: None,
            jumped: None,
        }
    }

    /// What works at the venue, in lots: asked anew where any order there has changed since.
    pub(super) fn works(&mut self, exchange: &Exchange, id: InstrumentId) -> [i64; 2] {
        let ask = || exchange.open(Participant(0), id).map(|lots| lots.0);
        let changes = exchange.order_changes();
        if self.works.0 != changes {
            self.works = (changes, ask());
        }
        debug_assert_eq!(self.works.1, ask(), "no order changes without a count");
        self.works.1
    }

    pub(super) fn hear(&mut self, now: Nanos, event: &MarketEvent) {
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                let book = &mut self.book[side.index()];
                if size.0 > 0 {
                    book.insert(price, size);
                } else {
                    book.remove(&price);
                }
            }
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset => {
                self.book.iter_mut().for_each(BTreeMap::clear);
                (self.is_synced, self.is_rebuilding) = (false, true);
            }
            MarketUpdate::Gap => (self.is_synced, self.is_rebuilding) = (false, false),
        }
        self.heard_at = now;
        if self.is_rebuilding && event.last_in_message {
            (self.is_synced, self.is_rebuilding) = (true, false);
        }
        if event.last_in_message {
            self.judge_touch(now);
        }
    }

    /// Where the touch jumped, what follows decides whether it is a market.
    fn judge_touch(&mut self, now: Nanos) {
        let [bids, asks] = &self.book;
        let best = (bids.last_key_value(), asks.first_key_value());
        let (Some(limit), true, (Some((&bid, _)), Some((&ask, _)))) =
            (self.spike, self.is_synced, best)
        else {
            return;
        };
        if bid >= ask {
            return;
        }
        let near =
            |[b, a]: [Ticks; 2]| (bid.0 - b.0).abs().max((ask.0 - a.0).abs()) <= limit.width.0;
        self.jumped = match self.jumped {
            _ if self.believed.is_none_or(near) => None,
            Some((touch, since, heard)) if near(touch) => Some(([bid, ask], since, heard + 1)),
            _ => Some(([bid, ask], now, 0)),
        };
        let is_over = |(_, since, heard): ([Ticks; 2], Nanos, u32)| {
            heard >= limit.messages || now.since(since) >= limit.after_ns
        };
        if self.jumped.is_none_or(is_over) {
            (self.believed, self.jumped) = (Some([bid, ask]), None);
        }
    }

    fn is_spiked(&self, now: Nanos) -> bool {
        let stood = self.jumped.map(|(_, since, _)| now.since(since));
        stood.zip(self.spike).is_some_and(|(stood, limit)| stood < limit.after_ns)
    }

    /// The middle of the touch, in ticks.
    pub(super) fn middle(&self) -> Option<i128> {
        let [bids, asks] = &self.book;
        let (bid, ask) = (bids.last_key_value()?.0, asks.first_key_value()?.0);
        Some((i128::from(bid.0) + i128::from(ask.0)) / 2)
    }

    /// Why an order should not be sent on this book.
    pub(super) fn distrust(&self, now: Nanos) -> Option<&'static str> {
        let [bids, asks] = &self.book;
        match (bids.last_key_value(), asks.first_key_value()) {
            _ if !self.is_synced => Some("gapped"),
            _ if now.since(self.heard_at) > self.stale_after_ns => Some("stale"),
            (Some((bid, _)), Some((ask, _))) if bid >= ask => Some("crossed"),
            (Some(_), Some(_)) => self.is_spiked(now).then_some("spiked"),
            (None, _) | (_, None) => Some("one-sided"),
        }
    }
}
