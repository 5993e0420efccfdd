//! The feed: a venue's market data over FIX becomes market events.
//!
//! Fed by its own session to the venue; feeds the maker's market ring through the
//! [`Publisher`], which says what a full ring does. One thread, pinned where the config says so;
//! nothing allocates after the first snapshot.
//!
//! **Every doubt is told at once.** A gap in the session, its end, a message that breaks the
//! dictionary, a refused request, a price off the grid: `Gap` for each instrument that it touches, and
//! a new question to the venue, whose snapshot (a Reset and the levels) heals it. Answers to older
//! questions are not believed. `last_in_message` stands on the last event of *each instrument* of a
//! message, because each book is whole there.
//!
//! A trade without an aggressor is given to the side whose touch it met, by the feed's own book.

use super::order_book::OrderBook;
use super::publisher::{PublishCounts, Publisher, When};
use super::refresh::{Action, Entry, EntryKind, Refresh};
use super::subscription::{Half, Question, Standing, Subscription, place_of};
use crate::fix::message::Message;
use crate::fix::{msg_type, tag};
use crate::order_entry::throttle::Throttle;
use crate::session::{Event, ReconnectConfig, Session};
use crate::store::Store;
use crate::venue::dialect::{Entries, Rules};
use crate::venue::line::{Dial, Line, LineTurn};
use crate::venue::symbols::Symbols;
use crate::venue::time_base::TimeBase;
use ballast_engine::event::MarketEvent;
use ballast_engine::latency::{Mark, Probe};
use ballast_engine::ring::Producer;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::ops::ControlFlow;

/// What the stage is told once.
#[derive(Clone, Copy, Debug)]
pub struct FeedConfig {
    /// MarketDepth(264): 0 for the whole book, 1 for the touch, else so many levels.
    pub market_depth: u64,
    /// Levels a side that the feed's own books hold.
    pub levels_max: usize,
    /// Most entries in one message; a message with more breaks the dictionary.
    pub entries_max: usize,
    /// Whose clock events carry.
    pub time_base: TimeBase,
    /// How long to wait for a snapshot, and before asking again after a refusal, in ns.
    pub ask_again_ns: u64,
    /// Which host is dialled when.
    pub redial: ReconnectConfig,
}

/// What the feed saw. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FeedCounts {
    /// Snapshots taken.
    pub snapshots: u64,
    /// Incremental messages taken.
    pub increments: u64,
    /// Messages that broke the dictionary; every instrument was gapped.
    pub breaches: u64,
    /// Entries off the instrument's grid; the instrument was gapped.
    pub off_grid: u64,
    /// Entries or messages of symbols that are not ours.
    pub foreign: u64,
    /// Messages of an older question, or before the snapshot.
    pub stale: u64,
    /// MarketDataRequestReject(Y).
    pub refusals: u64,
    /// Trades whose aggressor the venue did not name.
    pub aggressors_inferred: u64,
    /// MarketDataRequest(V) sent.
    pub requests: u64,
    /// Gaps in the session's sequence.
    pub sequence_gaps: u64,
    /// Orders that a book of orders does not know, knows already or has no room for; the instrument was
    /// gapped.
    pub unknown_orders: u64,
    /// Times from the venue that went back and were held.
    pub times_held: u64,
}

/// What the venue's messages become, apart from the line that they come from.
struct Ear {
    symbols: Symbols,
    refresh: Refresh,
    publisher: Publisher,
    /// By place, where the venue's entries are orders; else none.
    orders: Vec<OrderBook>,
    subscriptions: Vec<Subscription>,
    /// Before then no subscription is to be asked for: a turn need not look at them all.
    ask_at: Nanos,
    time_base: TimeBase,
    ask_again_ns: u64,
    latest: Nanos,
    counts: FeedCounts,
}

/// The stage.
pub struct Feed<D: Dial, S: Store> {
    line: Line<D, S>,
    ear: Ear,
    rules: Rules,
    market_depth: u64,
    throttle: Throttle,
    probe: Option<Probe>,
}

impl<D: Dial, S: Store> Feed<D, S> {
    /// A feed whose session is down; it dials in its first turn.
    pub fn new(
        config: FeedConfig,
        (dial, session): (D, Session<S>),
        (symbols, rules): (Symbols, Rules),
        ring: Producer<MarketEvent>,
        probe: Option<Probe>,
    ) -> Feed<D, S> {
        let ids = symbols.iter().map(|symbol| symbol.id());
        let orders = match rules.entries {
            Entries::Levels => Vec::new(),
            Entries::Orders { most } => symbols.iter().map(|_| OrderBook::new(most)).collect(),
        };
        Feed {
            line: Line::new(dial, session, config.redial),
            ear: Ear {
                refresh: Refresh::new(config.entries_max, &symbols)
                    .named_by(rules.report_tags.symbol),
                publisher: Publisher::new(ring, ids, config.levels_max),
                orders,
                subscriptions: vec![Subscription::new(); symbols.count()],
                ask_at: Nanos(0),
                symbols,
                time_base: config.time_base,
                ask_again_ns: config.ask_again_ns,
                latest: Nanos(0),
                counts: FeedCounts::default(),
            },
            throttle: Throttle::new(rules.market_data_limits),
            rules,
            market_depth: config.market_depth,
            probe,
        }
    }

    /// What the feed saw so far.
    pub fn counts(&self) -> FeedCounts {
        self.ear.counts
    }

    /// What was published so far.
    pub fn publish_counts(&self) -> PublishCounts {
        self.ear.publisher.counts()
    }

    /// The feed's own books.
    pub fn publisher(&self) -> &Publisher {
        &self.ear.publisher
    }

    /// The session, to look at.
    pub fn session(&self) -> &Session<S> {
        self.line.session()
    }

    /// Asks for every book that is wanted, as far as the session takes it.
    fn ask(&mut self, now: Nanos) -> bool {
        if now < self.ear.ask_at || !self.line.session().is_logged_on() {
            return false;
        }
        let again_ns = self.ear.ask_again_ns;
        let (mut has_asked, mut next) = (false, Nanos(u64::MAX));
        for place in 0..self.ear.subscriptions.len() {
            let Some(subscription) = self.ear.subscriptions.get(place).copied() else { break };
            if subscription.due(again_ns).is_some_and(|due| due <= now) {
                has_asked = true;
                if !self.ask_for(now, place, subscription) {
                    // The rest is due already.
                    next = now;
                    break;
                }
            }
            let due = self.ear.subscriptions.get(place).and_then(|s| s.due(again_ns));
            next = next.min(due.unwrap_or(next));
        }
        self.ear.ask_at = next;
        has_asked
    }

    /// Asks, or leaves the question wanted where the venue's limit has no room for all of it.
    fn ask_for(&mut self, now: Nanos, place: usize, before: Subscription) -> bool {
        let halves: &[Half] =
            if self.rules.splits_trades { &[Half::Book, Half::Trades] } else { &[Half::Book] };
        let messages = halves.len() * if before.is_open { 2 } else { 1 };
        if self.throttle.room(now) < messages {
            return false;
        }
        if before.is_open {
            for half in halves {
                if !self.send(now, place, before.md_req_id(place, *half), *half, false) {
                    return false;
                }
            }
        }
        let mut after = before;
        after.next_question();
        after.standing = Standing::Asked { at: now };
        after.is_open = true;
        for half in halves {
            if !self.send(now, place, after.md_req_id(place, *half), *half, true) {
                return false;
            }
        }
        if let Some(subscription) = self.ear.subscriptions.get_mut(place) {
            *subscription = after;
        }
        true
    }

    fn send(&mut self, now: Nanos, place: usize, id: u64, half: Half, is_subscribe: bool) -> bool {
        let Some(symbol) = self.ear.symbols.at(place) else { return false };
        let question = Question {
            md_req_id: id,
            is_subscribe,
            market_depth: self.market_depth,
            half,
            symbol: symbol.text(),
        };
        let (line, rules) = (&mut self.line, &self.rules);
        let sent = line.session_mut().send(now, msg_type::MARKET_DATA_REQUEST, |encoder| {
            question.write(encoder, rules);
        });
        // There is room: it was looked for before the first half.
        let _ = sent.is_ok() && self.throttle.pass(now, false);
        self.ear.counts.requests += u64::from(sent.is_ok());
        sent.is_ok()
    }
}

impl Ear {
    /// Something was missed, of everything: tell it, and ask anew at once.
    fn doubt_all(&mut self, now: Nanos) {
        for place in 0..self.subscriptions.len() {
            self.doubt(now, place, now);
        }
    }

    /// As [`Self::doubt_all`], without the books that nobody believes.
    fn doubt_live(&mut self, now: Nanos) {
        for place in 0..self.subscriptions.len() {
            if self.subscriptions.get(place).is_some_and(|s| s.standing == Standing::Live) {
                self.doubt(now, place, now);
            }
        }
    }

    fn doubt(&mut self, now: Nanos, place: usize, ask_at: Nanos) {
        let when = When { at: self.at(now, Nanos(0)), venue_at: Nanos(0), stamp: Stamp(0) };
        self.publisher.gap(place, when);
        if let Some(subscription) = self.subscriptions.get_mut(place) {
            subscription.standing = Standing::Wanted { at: ask_at };
            self.ask_at = self.ask_at.min(ask_at);
        }
    }

    fn line_down(&mut self, now: Nanos) {
        self.doubt_all(now);
        for subscription in &mut self.subscriptions {
            subscription.is_open = false;
        }
    }

    /// Time on the maker's base; it never goes back.
    fn at(&mut self, now: Nanos, venue_at: Nanos) -> Nanos {
        let at = match self.time_base {
            TimeBase::Arrival => now,
            TimeBase::Venue { .. } => venue_at,
        };
        if at < self.latest {
            self.counts.times_held += u64::from(at.0 != 0);
        } else {
            self.latest = at;
        }
        self.latest
    }

    fn hear(&mut self, now: Nanos, stamp: Stamp, event: Event<'_>) {
        match event {
            Event::LoggedOn { .. } => self.line_down(now),
            Event::Message(message) => self.hear_message(now, stamp, &message),
            Event::GapDetected { .. } | Event::SequenceReset { .. } => {
                self.counts.sequence_gaps += 1;
                self.doubt_all(now);
            }
            // What changed is unknown. A venue that writes so may write so again: asked in time.
            Event::Refused(message) if is_of_a_book(message.msg_type()) => {
                self.counts.breaches += 1;
                for place in 0..self.subscriptions.len() {
                    // One that is asked for in time already is not put off by the next.
                    let standing = self.subscriptions.get(place).map(|s| s.standing);
                    if !matches!(standing, Some(Standing::Wanted { .. })) {
                        self.doubt(now, place, now.plus(self.ask_again_ns));
                    }
                }
            }
            Event::Refused(_) => {}
            // Where a gap was told before, the books are doubted and asked for already.
            Event::PassedOver { .. } => self.doubt_live(now),
            // A Reject(3) of a V: no snapshot will come, and the question is asked again in time.
            Event::Rejected(_) => self.counts.refusals += 1,
            Event::LogoutReceived(_) => {}
        }
    }

    fn hear_message(&mut self, now: Nanos, stamp: Stamp, message: &Message<'_>) {
        let read = match message.msg_type() {
            msg_type::MARKET_DATA_SNAPSHOT_FULL_REFRESH => {
                self.refresh.read_snapshot(message, &self.symbols).map(|()| true)
            }
            msg_type::MARKET_DATA_INCREMENTAL_REFRESH => {
                self.refresh.read_increment(message, &self.symbols).map(|()| false)
            }
            msg_type::MARKET_DATA_REQUEST_REJECT => return self.hear_refusal(now, message),
            msg_type::BUSINESS_MESSAGE_REJECT => {
                self.counts.refusals += 1;
                return;
            }
            _ => return,
        };
        match read {
            Ok(true) => self.take_snapshot(now, stamp),
            Ok(false) => self.take_increment(now, stamp),
            Err(_) => {
                self.counts.breaches += 1;
                self.doubt_all(now);
            }
        }
    }

    /// Y: asked again after a pause; until then nobody believes the book.
    fn hear_refusal(&mut self, now: Nanos, message: &Message<'_>) {
        self.counts.refusals += 1;
        let id = message.uint(tag::MD_REQ_ID).unwrap_or(0);
        let place = place_of(id)
            .filter(|place| self.subscriptions.get(*place).is_some_and(|s| s.is_answer(id)));
        if let Some(place) = place {
            self.doubt(now, place, now.plus(self.ask_again_ns));
        }
    }

    /// Whether the message answers the newest question about `place`. A venue that leaves out
    /// MDReqID(262) is believed.
    fn is_current(&self, place: usize) -> bool {
        match self.refresh.md_req_id() {
            Some(id) => self.subscriptions.get(place).is_some_and(|s| s.is_answer(id)),
            None => true,
        }
    }

    fn take_snapshot(&mut self, now: Nanos, stamp: Stamp) {
        let Some(place) = self.refresh.place() else {
            self.counts.foreign += 1;
            return;
        };
        if !self.is_current(place) {
            self.counts.stale += 1;
            return;
        }
        let mut levels = 0;
        let mut venue_at = Nanos(0);
        for entry in self.refresh.entries() {
            venue_at = venue_at.max(entry.venue_at);
            levels += usize::from(matches!(entry.kind, EntryKind::Level(_)));
            if entry.is_off_grid || is_incomplete(entry) {
                self.counts.off_grid += 1;
                self.doubt(now, place, now.plus(self.ask_again_ns));
                return;
            }
        }
        if let Some(book) = self.orders.get_mut(place) {
            book.clear();
        }
        self.counts.snapshots += 1;
        let when = When { at: self.at(now, venue_at), venue_at, stamp };
        let is_owed = !self.publisher.has_room(levels + 1);
        self.publisher.reset(place, when, is_owed, levels == 0);
        for number in 0..self.refresh.entries().len() {
            let Some(entry) = self.refresh.entries().get(number).copied() else { break };
            let EntryKind::Level(_) = entry.kind else { continue };
            if !self.publish(place, when, &entry) {
                self.lose_way(now, place, now.plus(self.ask_again_ns));
                return;
            }
        }
        if let Some(subscription) = self.subscriptions.get_mut(place) {
            subscription.standing = Standing::Live;
        }
    }

    fn take_increment(&mut self, now: Nanos, stamp: Stamp) {
        self.counts.increments += 1;
        let count = self.refresh.entries().len();
        // An order that moves changes two levels.
        let events = if self.orders.is_empty() { count } else { count.saturating_mul(2) };
        let is_owed = !self.publisher.has_room(events);
        for number in 0..count {
            let Some(entry) = self.refresh.entries().get(number).copied() else { break };
            let Some(place) = entry.place else {
                self.counts.foreign += u64::from(entry.kind != EntryKind::Other);
                continue;
            };
            let standing = self.subscriptions.get(place).map(|s| s.standing);
            if standing != Some(Standing::Live) || !self.is_current(place) {
                self.counts.stale += 1;
                continue;
            }
            let is_order = self.orders.get(place).is_some() && is_of_book(&entry);
            if entry.is_off_grid || (!is_order && is_incomplete(&entry)) {
                self.counts.off_grid += 1;
                self.doubt(now, place, now.plus(self.ask_again_ns));
                continue;
            }
            if is_owed {
                self.publisher.owe(place);
            }
            let at = self.at(now, entry.venue_at);
            if !self.publish(place, When { at, venue_at: entry.venue_at, stamp }, &entry) {
                self.lose_way(now, place, now);
            }
        }
    }

    /// A book of orders is not the venue's any more: nobody believes it until the next snapshot.
    fn lose_way(&mut self, now: Nanos, place: usize, ask_at: Nanos) {
        self.counts.unknown_orders += 1;
        self.doubt(now, place, ask_at);
    }

    /// Whether it could be made something of.
    fn publish(&mut self, place: usize, when: When, entry: &Entry) -> bool {
        if let Some(book) = self.orders.get_mut(place)
            && is_of_book(entry)
        {
            let Ok([left, stands]) = book.take(entry) else { return false };
            if let Some(level) = left {
                self.publisher.level(place, when, level, false);
            }
            if let Some(level) = stands {
                self.publisher.level(place, when, level, entry.is_last);
            }
            return true;
        }
        let price = entry.price.unwrap_or_default();
        let size = entry.size.unwrap_or_default();
        match (entry.kind, entry.action) {
            (EntryKind::Level(side), Action::Delete) => {
                self.publisher.level(place, when, (side, price, Lots(0)), entry.is_last);
            }
            (EntryKind::Level(side), Action::New | Action::Change) => {
                self.publisher.level(place, when, (side, price, size), entry.is_last);
            }
            (EntryKind::Trade, Action::New) => {
                let aggressor = entry.aggressor.unwrap_or_else(|| self.infer(place, price));
                self.publisher.trade(place, when, (aggressor, price, size), entry.is_last);
            }
            (EntryKind::EmptyBook, _) => {
                if let Some(book) = self.orders.get_mut(place) {
                    book.clear();
                }
                self.publisher.reset(place, when, false, entry.is_last);
            }
            // A changed or deleted trade is not undone: nothing was booked on it.
            (EntryKind::Trade, Action::Change | Action::Delete)
            | (EntryKind::Other | EntryKind::Unsaid, _) => {}
        }
        true
    }

    /// Who took, where the venue does not say: who met the touch, or who was nearer to paying it.
    fn infer(&mut self, place: usize, price: Ticks) -> Side {
        self.counts.aggressors_inferred += 1;
        let book = self.publisher.book(place);
        let best = |side| book.and_then(|book| book.best(side)).map(|level| level.price.0);
        match (best(Side::Buy), best(Side::Sell)) {
            (Some(bid), Some(ask)) => {
                let above_bid = price.0.saturating_sub(bid);
                let below_ask = ask.saturating_sub(price.0);
                if below_ask <= above_bid { Side::Buy } else { Side::Sell }
            }
            (Some(_), None) => Side::Sell,
            (None, Some(_) | None) => Side::Buy,
        }
    }
}

fn is_of_a_book(msg_type: &[u8]) -> bool {
    matches!(
        msg_type,
        msg_type::MARKET_DATA_SNAPSHOT_FULL_REFRESH | msg_type::MARKET_DATA_INCREMENTAL_REFRESH
    )
}

/// An entry that a book of orders takes.
fn is_of_book(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Level(_) | EntryKind::Unsaid)
}

/// A level or trade without a price, or without a size where one is needed; an entry that does not say what
/// it is.
fn is_incomplete(entry: &Entry) -> bool {
    let needs_size = entry.action != Action::Delete;
    match entry.kind {
        EntryKind::Level(_) | EntryKind::Trade => {
            entry.price.is_none() || (needs_size && entry.size.is_none())
        }
        EntryKind::Unsaid => true,
        EntryKind::EmptyBook | EntryKind::Other => false,
    }
}

impl<D: Dial, S: Store + Send> Stage for Feed<D, S> {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        if self.ear.publisher.is_disconnected() {
            self.line.leave(now);
            if self.line.is_left() {
                return Turn::Done;
            }
        }
        let is_busy = self.ear.publisher.pump() | self.ask(now);
        let stamp = self.probe.as_ref().map_or(Stamp(0), |probe| probe.counter().stamp());
        let Self { line, ear, probe, throttle, .. } = self;
        let said = line.session().messages_out();
        let turn = line.turn(now, |event| {
            let is_message = matches!(event, Event::Message(_));
            ear.hear(now, stamp, event);
            if let Some(probe) = probe.as_mut().filter(|_| is_message) {
                probe.mark(Mark::Decoded, stamp);
            }
            ControlFlow::Continue(())
        });
        throttle.count_unasked(now, line.session().messages_out().wrapping_sub(said));
        match turn {
            LineTurn::Idle if !is_busy => Turn::Idle,
            LineTurn::Idle | LineTurn::Busy => Turn::Busy,
            LineTurn::Down(_) => {
                self.ear.line_down(now);
                Turn::Busy
            }
        }
    }
}
