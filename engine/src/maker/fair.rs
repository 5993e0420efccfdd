//! Fair value where other books have a say: who is looked at, and who is quoted anew when they move.
//!
//! Fed by the maker's marks, which move with every whole believed message; feeds quoting. Maker thread,
//! hot where a blend is configured: a look at each source. Deliberately absent: the arithmetic
//! ([`crate::estimate::blend`]).

use super::{Line, Maker, instrument_id};
use crate::estimate::blend::{BlendSettings, Sighting, Source};
use crate::estimate::fair_value::{self, FairValue};
use crate::event::InstrumentId;
use crate::maker::config::MakerConfig;
use crate::maker::intents::Intents;
use crate::market::book::Touch;
use crate::units::SubTicks;
use std::ops::Range;

/// Who looks at an instrument's book beside itself.
pub(super) fn followers(config: &MakerConfig, of: InstrumentId) -> Box<[InstrumentId]> {
    let looks_at = |fair: &FairValue| match fair {
        FairValue::Blend(blend) => blend.sources.iter().flatten().any(|s| s.instrument == of),
        FairValue::Mid | FairValue::WeightedMid | FairValue::MicroPrice(_) => false,
    };
    let settings = config.settings.iter().enumerate();
    let followers = settings.filter(|(_, settings)| {
        settings.quote.as_ref().is_some_and(|quote| looks_at(&quote.fair_value))
    });
    followers.map(|(n, _)| instrument_id(n)).filter(|id| *id != of).collect()
}

impl Maker {
    /// What an instrument is quoted around.
    #[inline]
    pub(super) fn fair(&self, line: &Line, fair_value: &FairValue, touch: &Touch) -> SubTicks {
        match fair_value {
            FairValue::Blend(blend) => self.blended(line, blend, touch),
            FairValue::Mid | FairValue::WeightedMid | FairValue::MicroPrice(_) => {
                fair_value.estimate(touch)
            }
        }
    }

    fn blended(&self, line: &Line, blend: &BlendSettings, touch: &Touch) -> SubTicks {
        let own = (fair_value::mid(touch), line.trust.silence_ns(self.now));
        blend.estimate(&line.bases, own, |source| self.sighting(source))
    }

    /// A source's mid as of its last whole message, and how long ago its last event was.
    fn sighting(&self, source: &Source) -> Sighting {
        let line = self.line(source.instrument)?;
        let is_believed = line.is_mid_message(self.now) || line.touch(self.now).is_ok();
        let mark = self.ledger.mark(source.instrument).filter(|_| is_believed)?;
        Some((source.price(mark.0), line.trust.silence_ns(self.now)))
    }

    /// The timer's sample of every basis.
    pub(super) fn sample_bases(&mut self, lines: Range<usize>) {
        for n in lines {
            let Some(line) = self.lines.get(n) else { continue };
            let Some(FairValue::Blend(blend)) = line.settings.quote.as_ref().map(|q| q.fair_value)
            else {
                continue;
            };
            let Ok(touch) = line.touch(self.now) else { continue };
            let mut bases = line.bases;
            let own = fair_value::mid(&touch);
            bases.on_clock(self.now, &blend, own, |source| self.sighting(source));
            if let Some(line) = self.lines.get_mut(n) {
                line.bases = bases;
            }
        }
    }

    /// Whoever looks at this book is quoted anew.
    pub(super) fn requote_followers(&mut self, of: InstrumentId, out: &mut Intents) {
        let count = self.line(of).map_or(0, |line| line.followers.len());
        for n in 0..count {
            let follower = self.line(of).and_then(|line| line.followers.get(n).copied());
            if let Some(follower) = follower {
                self.requote(follower, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::blend::SOURCES_MAX;
    use crate::event::{MarketEvent, MarketUpdate, OrderIntent};
    use crate::fixed::Scaled;
    use crate::maker::input::Input;
    use crate::maker::tests::{Desk, PERP, SPOT, config};
    use crate::units::{Nanos, Side, Stamp};

    /// Answers everything that is asked, and what that leads to.
    fn settle(desk: &mut Desk, mut sent: Vec<OrderIntent>) {
        while let Some(intent) = sent.pop() {
            sent.extend(desk.accept(&intent));
        }
    }

    fn blended(own_weight: u32) -> Desk {
        let mut sources = [None; SOURCES_MAX];
        let tick_ratio = Scaled::new(1, 0);
        sources[0] = Some(Source { instrument: PERP, weight: 1, tick_ratio });
        let mut config = config();
        config.settings[0].quote.as_mut().unwrap().fair_value = FairValue::Blend(BlendSettings {
            sources,
            own_weight,
            half_life_ns: 1_000_000,
            interval_ns: 10_000,
            weight_shift: 2,
        });
        let mut desk = Desk::with(&config);
        desk.begin();
        // The basis: the perpetual stands 20 below.
        for _ in 0..40 {
            let sent = desk.image(PERP, 599_980);
            settle(&mut desk, sent);
            let sent = [desk.image(SPOT, 600_000), desk.timer()].concat();
            settle(&mut desk, sent);
        }
        desk
    }

    #[test]
    fn the_perpetual_s_move_moves_the_spot_quotes_before_the_spot_book_moves() {
        let mut desk = blended(0);
        let quotes = |desk: &Desk| desk.maker.snapshot(SPOT).unwrap().quotes.map(|q| q.unwrap().0);
        let before = quotes(&desk);
        let sent = desk.image(PERP, 600_080);
        assert!(sent.iter().any(|i| i.instrument == SPOT && i.side == Side::Sell), "at once");
        settle(&mut desk, sent);
        let after = quotes(&desk);
        assert!((95..=105).contains(&(after[1] - before[1])), "{before:?} {after:?}");
    }

    #[test]
    fn an_own_book_that_is_silent_has_less_say_in_its_own_value() {
        let mut desk = blended(1);
        let ask = |desk: &Desk| desk.maker.snapshot(SPOT).unwrap().quotes[1].unwrap().0;
        let before = ask(&desk);
        // A half-life: half of its weight is left, a third of all.
        desk.now += 1_000_000;
        let sent = desk.image(PERP, 600_080);
        settle(&mut desk, sent);
        assert!((64..=70).contains(&(ask(&desk) - before)), "{before} {}", ask(&desk));
    }

    #[test]
    fn a_book_of_equal_weight_moves_it_half_way_and_one_that_is_lost_not_at_all() {
        let mut desk = blended(1);
        let ask = |desk: &Desk| desk.maker.snapshot(SPOT).unwrap().quotes[1].unwrap().0;
        let before = ask(&desk);
        let sent = desk.image(PERP, 600_080);
        settle(&mut desk, sent);
        assert!((47..=53).contains(&(ask(&desk) - before)), "{before} {}", ask(&desk));
        let sent = desk.step(Input::Market(MarketEvent {
            at: Nanos(desk.now),
            venue_at: Nanos(0),
            stamp: Stamp(0),
            update: MarketUpdate::Gap,
            instrument: PERP,
            last_in_message: true,
        }));
        settle(&mut desk, sent);
        let sent = desk.image(SPOT, 600_000);
        settle(&mut desk, sent);
        assert!((ask(&desk) - before).abs() <= 3, "{before} {}", ask(&desk));
    }
}
