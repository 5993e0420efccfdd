//! From the feed into the market ring: increments never conflate, and a full ring becomes a reset.
//!
//! Fed by the feed with whole messages and with gaps; feeds the maker's market ring, of which it is
//! the producer. Feed thread; allocates nothing after start.
//!
//! **What a full ring does** (decided here): a message that does not fit as a whole marks its
//! instruments *owed*. Nothing of them is published then; their own books go on. As soon as there is
//! room, [`Publisher::pump`] publishes a Reset and the levels, best first, in as many turns as the
//! ring needs; a change at a level that is already out goes out behind it, one further away waits for
//! its level's turn. The last level carries `last_in_message`, and the instrument is live again.
//! Trades that fall into such a time are counted and lost; levels are not.

use super::own_book::{Level, OwnBook, is_at_least_as_good};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::ring::Producer;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};

/// When a change happened and how it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct When {
    /// On the maker's time base.
    pub at: Nanos,
    /// The venue's word; 0 where it says nothing.
    pub venue_at: Nanos,
    /// The counter at the socket read.
    pub stamp: Stamp,
}

/// What the ring still has to be told of one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Debt {
    /// Nothing: every change so far is in the ring.
    None,
    /// That there is a gap.
    Gap,
    /// The whole book, from its Reset on.
    Book,
    /// The rest of the book: what is worse than `after` on `side`, and then the other side.
    Levels { side: Side, after: Option<Ticks> },
}

struct Channel {
    instrument: InstrumentId,
    book: OwnBook,
    debt: Debt,
    /// No Gap is in effect: the book is what the venue said.
    is_whole: bool,
    when: When,
}

/// What was published and what was not. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PublishCounts {
    /// Events pushed.
    pub events: u64,
    /// Times that an instrument became owed because the ring was full.
    pub overruns: u64,
    /// Trades that fell into such a time.
    pub trades_lost: u64,
    /// Gaps told.
    pub gaps: u64,
    /// Levels that an own book had no room for.
    pub levels_lost: u64,
}

/// The producer's end of the market ring, with a book of each instrument.
pub struct Publisher {
    ring: Producer<MarketEvent>,
    channels: Vec<Channel>,
    /// A channel may owe something; while none does, a turn need not look at them all.
    may_owe: bool,
    counts: PublishCounts,
}

impl Publisher {
    /// A publisher for these instruments, addressed by their place in the list.
    pub fn new(
        ring: Producer<MarketEvent>,
        instruments: impl Iterator<Item = InstrumentId>,
        levels_max: usize,
    ) -> Publisher {
        let channels = instruments
            .map(|instrument| Channel {
                instrument,
                book: OwnBook::new(levels_max),
                debt: Debt::None,
                is_whole: false,
                when: When::default(),
            })
            .collect();
        Publisher { ring, channels, may_owe: false, counts: PublishCounts::default() }
    }

    /// What was published so far.
    pub fn counts(&self) -> PublishCounts {
        self.counts
    }

    /// The feed's own book of an instrument.
    pub fn book(&self, place: usize) -> Option<&OwnBook> {
        self.channels.get(place).map(|c| &c.book)
    }

    /// Whether the book is what the venue said: a snapshot came, and no gap since.
    pub fn is_whole(&self, place: usize) -> bool {
        self.channels.get(place).is_some_and(|c| c.is_whole)
    }

    /// Whether nobody will read what is published.
    pub fn is_disconnected(&self) -> bool {
        self.ring.is_disconnected()
    }

    /// Whether `events` more can go out at once; else the instruments of the message become owed.
    pub fn has_room(&mut self, events: usize) -> bool {
        self.ring.has_room(events)
    }

    /// Something was missed: the book is not to be trusted until the next snapshot. Told once.
    pub fn gap(&mut self, place: usize, when: When) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        channel.when = when;
        if !channel.is_whole && channel.debt == Debt::None {
            // Nobody trusts it anyway, and the ring says so.
            return;
        }
        channel.is_whole = false;
        channel.debt = Debt::Gap;
        self.may_owe = true;
        self.pay(place);
    }

    /// A snapshot begins: the book is empty. `is_owed` where the message does not fit the ring.
    pub fn reset(&mut self, place: usize, when: When, is_owed: bool, is_last: bool) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        channel.book.clear();
        channel.is_whole = true;
        channel.when = when;
        channel.debt = Debt::None;
        if is_owed {
            channel.debt = Debt::Book;
            self.may_owe = true;
            self.counts.overruns += 1;
            return;
        }
        let event = event(channel, when, MarketUpdate::Reset, is_last);
        self.push(place, event);
    }

    /// The size displayed at a price is now this.
    pub fn level(
        &mut self,
        place: usize,
        when: When,
        (side, price, size): (Side, Ticks, Lots),
        is_last: bool,
    ) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        channel.when = when;
        if channel.book.set(side, price, size).is_err() {
            self.counts.levels_lost += 1;
        }
        match channel.debt {
            Debt::None => {
                let update = MarketUpdate::Level { side, price, size };
                let event = event(channel, when, update, is_last);
                self.push(place, event);
            }
            Debt::Levels { side: at, after } => {
                self.level_behind(place, when, (side, price, size), (at, after));
            }
            Debt::Gap | Debt::Book => {}
        }
    }

    /// While a book goes out anew: a change goes out behind its level, or with it.
    #[cold]
    fn level_behind(
        &mut self,
        place: usize,
        when: When,
        (side, price, size): (Side, Ticks, Lots),
        (at, after): (Side, Option<Ticks>),
    ) {
        // Sides go out in the order of `Side::BOTH`.
        let is_side_done = side == Side::Buy && at == Side::Sell;
        let is_out = side == at && after.is_some_and(|a| is_at_least_as_good(side, price, a));
        let Some(channel) = self.channels.get(place).filter(|_| is_side_done || is_out) else {
            return;
        };
        let event = event(channel, when, MarketUpdate::Level { side, price, size }, false);
        self.push(place, event);
    }

    /// A trade of others.
    pub fn trade(
        &mut self,
        place: usize,
        when: When,
        (aggressor, price, size): (Side, Ticks, Lots),
        is_last: bool,
    ) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        channel.when = when;
        if channel.debt != Debt::None {
            self.counts.trades_lost += 1;
            return;
        }
        let update = MarketUpdate::Trade { aggressor, price, size };
        let event = event(channel, when, update, is_last);
        self.push(place, event);
    }

    /// The whole book must go out again before anything else of this instrument does.
    #[cold]
    pub fn owe(&mut self, place: usize) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        if matches!(channel.debt, Debt::None | Debt::Levels { .. }) {
            channel.debt = if channel.is_whole { Debt::Book } else { Debt::Gap };
            self.may_owe = true;
            self.counts.overruns += 1;
        }
    }

    /// Publishes what is owed as far as there is room. Says whether anything went out. Bounded by the
    /// ring: it stops when the ring is full.
    pub fn pump(&mut self) -> bool {
        if !self.may_owe {
            return false;
        }
        let before = self.counts.events;
        self.may_owe = false;
        for place in 0..self.channels.len() {
            self.pay(place);
            self.may_owe |= self.channels.get(place).is_some_and(|c| c.debt != Debt::None);
        }
        self.counts.events != before
    }

    fn pay(&mut self, place: usize) {
        // Each round pushes one event, or ends.
        while let Some(channel) = self.channels.get_mut(place) {
            let when = channel.when;
            let (update, after_it, is_last) = match channel.debt {
                Debt::None => return,
                Debt::Gap => (MarketUpdate::Gap, Debt::None, true),
                Debt::Book => {
                    let rest = Debt::Levels { side: Side::Buy, after: None };
                    let is_empty = Side::BOTH.iter().all(|side| channel.book.depth(*side) == 0);
                    let rest = if is_empty { Debt::None } else { rest };
                    (MarketUpdate::Reset, rest, is_empty)
                }
                Debt::Levels { side, after } => match next_level(&channel.book, side, after) {
                    None => {
                        // The last level went away meanwhile, before it could end the message.
                        self.finish_with_repeat(place);
                        return;
                    }
                    Some((side, level)) => {
                        let rest = Debt::Levels { side, after: Some(level.price) };
                        let is_last = next_level(&channel.book, side, Some(level.price)).is_none();
                        let Level { price, size } = level;
                        let update = MarketUpdate::Level { side, price, size };
                        (update, if is_last { Debt::None } else { rest }, is_last)
                    }
                },
            };
            let event = event(channel, when, update, is_last);
            if self.ring.push(event).is_err() {
                return;
            }
            channel.debt = after_it;
            self.counts.events += 1;
            self.counts.gaps += u64::from(update == MarketUpdate::Gap);
        }
    }

    /// Ends a republished book whose rest has gone: says the best level once more, as the last one.
    fn finish_with_repeat(&mut self, place: usize) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        let best = Side::BOTH.iter().find_map(|side| Some((*side, channel.book.best(*side)?)));
        let Some((side, Level { price, size })) = best else {
            channel.debt = Debt::Book;
            return;
        };
        let update = MarketUpdate::Level { side, price, size };
        let event = event(channel, channel.when, update, true);
        if self.ring.push(event).is_ok() {
            channel.debt = Debt::None;
            self.counts.events += 1;
        }
    }

    fn push(&mut self, place: usize, event: MarketEvent) {
        if self.ring.push(event).is_ok() {
            self.counts.events += 1;
        } else {
            self.owe(place);
        }
    }
}

#[inline(always)]
fn event(channel: &Channel, when: When, update: MarketUpdate, is_last: bool) -> MarketEvent {
    MarketEvent {
        at: when.at,
        venue_at: when.venue_at,
        stamp: when.stamp,
        update,
        instrument: channel.instrument,
        last_in_message: is_last,
    }
}

/// The next level to publish: down one side, then down the other.
fn next_level(book: &OwnBook, side: Side, after: Option<Ticks>) -> Option<(Side, Level)> {
    match (book.next(side, after), side) {
        (Some(level), _) => Some((side, level)),
        (None, Side::Buy) => book.next(Side::Sell, None).map(|level| (Side::Sell, level)),
        (None, Side::Sell) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::ring::{Consumer, slots};
    use std::collections::BTreeMap;

    fn publisher(capacity: usize) -> (Publisher, Consumer<MarketEvent>) {
        let (ring, events) = slots(capacity);
        (Publisher::new(ring, [InstrumentId(0), InstrumentId(1)].into_iter(), 64), events)
    }

    /// The maker's side: a book made of nothing but the ring's events.
    #[derive(Default)]
    struct Reader {
        levels: BTreeMap<(usize, i64), i64>,
        is_trusted: bool,
        is_reset: bool,
    }

    impl Reader {
        fn take(&mut self, event: MarketEvent) {
            match event.update {
                MarketUpdate::Reset => {
                    self.levels.clear();
                    self.is_reset = true;
                    self.is_trusted = false;
                }
                MarketUpdate::Gap => {
                    self.is_trusted = false;
                    self.is_reset = false;
                }
                MarketUpdate::Level { side, price, size: Lots(0) } => {
                    self.levels.remove(&(side.index(), price.0));
                }
                MarketUpdate::Level { side, price, size } => {
                    self.levels.insert((side.index(), price.0), size.0);
                }
                MarketUpdate::Trade { .. } => {}
            }
            self.is_trusted |= self.is_reset && event.last_in_message;
        }
    }

    fn levels_of(book: &OwnBook) -> BTreeMap<(usize, i64), i64> {
        let mut levels = BTreeMap::new();
        for side in Side::BOTH {
            let mut after = None;
            while let Some(level) = book.next(side, after) {
                levels.insert((side.index(), level.price.0), level.size.0);
                after = Some(level.price);
            }
        }
        levels
    }

    #[test]
    fn a_gap_is_told_once_and_ends_with_a_reset() {
        let (mut publisher, mut events) = publisher(8);
        publisher.gap(0, When::default());
        assert!(events.pop().is_none(), "nothing was trusted yet");
        publisher.reset(0, When::default(), false, true);
        publisher.gap(0, When::default());
        publisher.gap(0, When::default());
        let told: Vec<_> = std::iter::from_fn(|| events.pop()).map(|e| e.update).collect();
        assert_eq!(told, [MarketUpdate::Reset, MarketUpdate::Gap]);
        assert!(!publisher.is_whole(0));
    }

    #[test]
    fn a_gap_that_finds_the_ring_full_is_told_when_there_is_room() {
        let (mut publisher, mut events) = publisher(2);
        publisher.reset(0, When::default(), false, true);
        publisher.reset(1, When::default(), false, true);
        publisher.gap(0, When::default());
        assert!(!publisher.pump());
        events.pop().unwrap();
        assert!(publisher.pump());
        events.pop().unwrap();
        assert_eq!(events.pop().unwrap().update, MarketUpdate::Gap);
    }

    #[test]
    fn a_book_that_emptied_while_owed_is_published_empty() {
        let (mut publisher, mut events) = publisher(2);
        publisher.reset(0, When::default(), false, false);
        publisher.level(0, When::default(), (Side::Buy, Ticks(1), Lots(1)), true);
        publisher.level(0, When::default(), (Side::Buy, Ticks(2), Lots(1)), true);
        publisher.level(0, When::default(), (Side::Buy, Ticks(1), Lots(0)), true);
        publisher.level(0, When::default(), (Side::Buy, Ticks(2), Lots(0)), true);
        let mut reader = Reader::default();
        while let Some(event) = events.pop() {
            reader.take(event);
            publisher.pump();
        }
        assert!(reader.levels.is_empty() && reader.is_trusted);
    }

    #[test]
    fn however_slow_the_reader_its_book_ends_up_equal() {
        let mut overruns = 0;
        for seed in 0..200u64 {
            let (mut publisher, mut events) = publisher(8);
            let mut reader = Reader::default();
            let mut random = seed;
            let mut next = |bound: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) % bound
            };
            publisher.reset(0, When::default(), false, true);
            for _ in 0..400 {
                let side = if next(2) == 0 { Side::Buy } else { Side::Sell };
                let (price, size) = (next(20) as i64, next(3) as i64);
                publisher.level(0, When::default(), (side, Ticks(price), Lots(size)), true);
                for _ in 0..next(3) {
                    if let Some(event) = events.pop() {
                        reader.take(event);
                    }
                }
                if next(2) == 0 {
                    publisher.pump();
                }
            }
            loop {
                publisher.pump();
                match events.pop() {
                    Some(event) => reader.take(event),
                    None => break,
                }
            }
            assert_eq!(reader.levels, levels_of(publisher.book(0).unwrap()), "seed {seed}");
            assert!(reader.is_trusted, "seed {seed}");
            overruns += publisher.counts().overruns;
        }
        assert!(overruns > 200, "the ring was full again and again");
    }
}
