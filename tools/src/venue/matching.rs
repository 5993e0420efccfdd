//! One instrument's matching: by price, then by time, displayed volume and participants' orders in
//! one queue.
//!
//! Fed by `exchange.rs` with arrivals and tape events; feeds it back what traded. One thread.
//! Deliberately absent: reports, fees and identities (`exchange.rs`).
//!
//! | what comes | what it does |
//! | --- | --- |
//! | a participant's order | takes, best price first, what is displayed and what rests; at one price in time order: displayed volume ahead of an order, the order, what is displayed behind |
//! | a tape trade beyond a resting order's price | fills it, whatever its place in the queue |
//! | a tape trade at its price | consumes the queue ahead, then fills it |
//! | a tape level at or beyond its price, on the other side | fills it against that volume: the venue could not display it otherwise |
//!
//! The volume of each tape trade and of each displayed level is given out once over all orders.

use super::book::DisplayedBook;
use super::order::{OrderId, Participant};
use super::queue::{QueueModel, Resting, RestingOrders};
use crate::recording::OrderGone;
use ballast_engine::event::MarketUpdate;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};

/// What happens where a participant would trade with itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelfMatch {
    /// It trades.
    Allow,
    /// The resting order is canceled and the incoming goes on.
    CancelResting,
    /// What is left of the incoming order is canceled.
    CancelIncoming,
}

/// One thing that matching did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// A trade at a price: with a resting order, or with displayed volume where there is none.
    Traded {
        /// The participant's order that rested.
        resting: Option<OrderId>,
        /// At what price: the resting side's.
        price: Ticks,
        /// How much.
        size: Lots,
    },
    /// A resting order was taken out, so as not to trade with its owner.
    Pulled(OrderId),
    /// The incoming order stopped, so as not to trade with its owner.
    Stopped,
}

/// An instrument's displayed book and resting orders.
#[derive(Clone, Debug)]
pub struct Matching {
    book: DisplayedBook,
    resting: [RestingOrders; 2],
    queue_model: QueueModel,
    self_match: SelfMatch,
}

impl Matching {
    /// An empty market.
    pub fn new(queue_model: QueueModel, self_match: SelfMatch) -> Matching {
        Matching {
            book: DisplayedBook::default(),
            resting: Side::BOTH.map(RestingOrders::new),
            queue_model,
            self_match,
        }
    }

    /// What the tape displays.
    pub fn book(&self) -> &DisplayedBook {
        &self.book
    }

    /// Participants' orders of a side.
    pub fn resting(&self, side: Side) -> &RestingOrders {
        &self.resting[side.index()]
    }

    /// The best price that an order of `side` could trade at.
    fn best_opposite(&self, side: Side) -> Option<Ticks> {
        let opposite = side.opposite();
        let shown = self.book.best(opposite).map(|(price, _)| price);
        let resting = self.resting[opposite.index()].best();
        match opposite {
            Side::Buy => shown.max(resting),
            Side::Sell => [shown, resting].into_iter().flatten().min(),
        }
    }

    /// True where an order at this price would trade at once.
    pub fn would_take(&self, side: Side, price: Ticks) -> bool {
        self.best_opposite(side).is_some_and(|best| reaches(side, price, best))
    }

    /// True where an order at this price reaches a resting one of the same owner.
    pub fn would_meet(&self, side: Side, price: Ticks, owner: Participant) -> bool {
        let resting = &self.resting[side.opposite().index()];
        resting.best_of(owner).is_some_and(|best| reaches(side, price, best))
    }

    /// An incoming order takes what it can at `limit` or better; returns what is left of it.
    pub fn take(
        &mut self,
        side: Side,
        limit: Ticks,
        size: Lots,
        owner: Participant,
        out: &mut Vec<Happening>,
    ) -> Lots {
        let mut left = size;
        while left.0 > 0 {
            let Some(best) = self.best_opposite(side).filter(|&best| reaches(side, limit, best))
            else {
                break;
            };
            if self.take_level(side.opposite(), best, &mut left, owner, out).is_none() {
                break;
            }
        }
        left
    }

    /// Sweeps one level in time order; `None` where the incoming order must stop.
    fn take_level(
        &mut self,
        side: Side,
        price: Ticks,
        left: &mut Lots,
        owner: Participant,
        out: &mut Vec<Happening>,
    ) -> Option<()> {
        loop {
            let available = self.book.level(side, price).available();
            let first = self.resting[side.index()].first(price);
            let ahead = first.map_or(available, |f| f.ahead.min(available));
            let shown = ahead.min(*left);
            if shown.0 > 0 {
                self.book.take(side, price, shown);
                self.resting[side.index()].advance(price, shown);
                left.0 -= shown.0;
                out.push(Happening::Traded { resting: None, price, size: shown });
            }
            let Some(first) = first.filter(|_| left.0 > 0) else { return Some(()) };
            if first.owner == owner {
                match self.self_match {
                    SelfMatch::Allow => {}
                    SelfMatch::CancelResting => {
                        self.resting[side.index()].remove(price, first.order);
                        out.push(Happening::Pulled(first.order));
                        continue;
                    }
                    SelfMatch::CancelIncoming => {
                        out.push(Happening::Stopped);
                        return None;
                    }
                }
            }
            let size = self.fill_first(side, price, first, *left, out);
            left.0 -= size.0;
        }
    }

    /// Fills the first order of a level with at most `volume`; returns how much it took.
    fn fill_first(
        &mut self,
        side: Side,
        price: Ticks,
        first: Resting,
        volume: Lots,
        out: &mut Vec<Happening>,
    ) -> Lots {
        let size = first.leaves.min(volume);
        self.resting[side.index()].fill_first(price, size);
        out.push(Happening::Traded { resting: Some(first.order), price, size });
        size
    }

    /// An order joins the back of its price's queue with what is left of it: all that is displayed
    /// now is ahead of it.
    pub fn rest(
        &mut self,
        side: Side,
        price: Ticks,
        order: OrderId,
        owner: Participant,
        (leaves, now): (Lots, Nanos),
    ) {
        let ahead = self.book.level(side, price).available();
        let resting = Resting { order, owner, leaves, ahead, joined_at: now };
        self.resting[side.index()].join(price, resting);
    }

    /// Takes an order out of its queue.
    pub fn remove(&mut self, side: Side, price: Ticks, order: OrderId) -> bool {
        self.resting[side.index()].remove(price, order).is_some()
    }

    /// Changes what is left of a resting order without moving it.
    pub fn resize(&mut self, side: Side, price: Ticks, order: OrderId, leaves: Lots) -> bool {
        self.resting[side.index()].resize(price, order, leaves)
    }

    /// The tape moved, where it knows with which order `gone`. Every fill here is of a resting order.
    #[inline]
    pub fn on_market(
        &mut self,
        update: &MarketUpdate,
        gone: Option<OrderGone>,
        out: &mut Vec<Happening>,
    ) {
        match *update {
            MarketUpdate::Level { side, price, size } => {
                if let Some(gone) = gone.filter(|_| self.queue_model == QueueModel::Exact) {
                    self.resting[side.index()].on_gone(price, gone);
                }
                self.on_level(side, price, size, out);
            }
            MarketUpdate::Trade { aggressor, price, size } => {
                self.on_trade(aggressor.opposite(), price, size, out);
            }
            MarketUpdate::Reset => self.book.clear(),
            // The tape missed something: what it last displayed stands until it says more.
            MarketUpdate::Gap => {}
        }
    }

    #[inline]
    fn on_level(&mut self, side: Side, price: Ticks, size: Lots, out: &mut Vec<Happening>) {
        let before = self.book.set(side, price, size);
        let queue = &mut self.resting[side.index()];
        queue.on_resize(self.queue_model, price, before.size, before.traded, size);
        if size.0 <= 0 {
            return;
        }
        // Displayed at or beyond a participant's price: it meets that order first.
        let opposite = side.opposite();
        let mut left = size;
        while let Some(best) = self.resting[opposite.index()].best() {
            if left.0 <= 0 || !reaches(opposite, best, price) {
                break;
            }
            let Some(first) = self.resting[opposite.index()].first(best) else { break };
            let filled = self.fill_first(opposite, best, first, left, out);
            self.book.take(side, price, filled);
            left.0 -= filled.0;
        }
    }

    /// A tape trade that took from `side` at `price`.
    fn on_trade(&mut self, side: Side, price: Ticks, size: Lots, out: &mut Vec<Happening>) {
        self.book.note_trade(side, price, size);
        if self.resting[side.index()].is_empty() {
            return;
        }
        let mut left = size;
        for better in self.resting[side.index()].better_than(price) {
            self.resting[side.index()].to_the_front(better);
            while let Some(first) = self.resting[side.index()].first(better).filter(|_| left.0 > 0)
            {
                left.0 -= self.fill_first(side, better, first, left, out).0;
            }
        }
        while let Some(first) = self.resting[side.index()].first(price).filter(|_| left.0 > 0) {
            let ahead = first.ahead.min(left);
            self.resting[side.index()].advance(price, ahead);
            left.0 -= ahead.0;
            if left.0 > 0 {
                left.0 -= self.fill_first(side, price, first, left, out).0;
            }
        }
    }
}

/// True where an order of `side` at `limit` may trade at `price`.
fn reaches(side: Side, limit: Ticks, price: Ticks) -> bool {
    match side {
        Side::Buy => limit >= price,
        Side::Sell => limit <= price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Participant = Participant(0);
    const B: Participant = Participant(1);

    fn market() -> Matching {
        let mut market = Matching::new(QueueModel::BackOfQueue, SelfMatch::Allow);
        let mut out = Vec::new();
        for (side, price, size) in
            [(Side::Buy, 100, 10), (Side::Buy, 99, 20), (Side::Sell, 101, 7), (Side::Sell, 102, 9)]
        {
            market.on_market(&level(side, price, size), None, &mut out);
        }
        assert!(out.is_empty());
        market
    }

    fn level(side: Side, price: i64, size: i64) -> MarketUpdate {
        MarketUpdate::Level { side, price: Ticks(price), size: Lots(size) }
    }

    fn trade(aggressor: Side, price: i64, size: i64) -> MarketUpdate {
        MarketUpdate::Trade { aggressor, price: Ticks(price), size: Lots(size) }
    }

    fn traded(resting: u64, price: i64, size: i64) -> Happening {
        let resting = (resting > 0).then_some(OrderId(resting));
        Happening::Traded { resting, price: Ticks(price), size: Lots(size) }
    }

    fn play(market: &mut Matching, update: MarketUpdate) -> Vec<Happening> {
        let mut out = Vec::new();
        market.on_market(&update, None, &mut out);
        out
    }

    #[test]
    fn a_trade_consumes_the_queue_ahead_and_then_fills_each_volume_once() {
        let mut market = market();
        market.rest(Side::Buy, Ticks(100), OrderId(1), A, (Lots(4), Nanos(0)));
        market.rest(Side::Buy, Ticks(100), OrderId(2), B, (Lots(4), Nanos(0)));
        assert_eq!(play(&mut market, trade(Side::Sell, 100, 6)), []);
        assert_eq!(play(&mut market, trade(Side::Sell, 100, 5)), [traded(1, 100, 1)]);
        let rest = [traded(1, 100, 3), traded(2, 100, 2)];
        assert_eq!(play(&mut market, trade(Side::Sell, 100, 5)), rest);
    }

    #[test]
    fn a_trade_through_the_price_fills_whatever_the_place_in_the_queue() {
        let mut market = market();
        market.rest(Side::Buy, Ticks(100), OrderId(1), A, (Lots(4), Nanos(0)));
        assert_eq!(play(&mut market, trade(Side::Sell, 99, 3)), [traded(1, 100, 3)]);
        assert_eq!(play(&mut market, trade(Side::Sell, 100, 9)), [traded(1, 100, 1)]);
    }

    #[test]
    fn marketable_orders_take_displayed_volume_once_until_the_tape_refreshes_it() {
        let mut market = market();
        let mut out = Vec::new();
        assert_eq!(market.take(Side::Buy, Ticks(101), Lots(5), A, &mut out), Lots(0));
        assert_eq!(market.take(Side::Buy, Ticks(101), Lots(5), B, &mut out), Lots(3));
        assert_eq!(out, [traded(0, 101, 5), traded(0, 101, 2)]);
        assert!(!market.would_take(Side::Buy, Ticks(101)));
        play(&mut market, level(Side::Sell, 101, 7));
        assert!(market.would_take(Side::Buy, Ticks(101)));
    }

    #[test]
    fn at_one_price_displayed_volume_and_orders_stand_in_one_queue() {
        let mut market = market();
        market.rest(Side::Sell, Ticks(101), OrderId(1), A, (Lots(2), Nanos(0)));
        play(&mut market, level(Side::Sell, 101, 11));
        let mut out = Vec::new();
        assert_eq!(market.take(Side::Buy, Ticks(102), Lots(15), B, &mut out), Lots(0));
        let expected = [traded(0, 101, 7), traded(1, 101, 2), traded(0, 101, 4), traded(0, 102, 2)];
        assert_eq!(out, expected);
    }

    #[test]
    fn a_better_priced_order_of_a_participant_trades_before_the_displayed_book() {
        let mut market = market();
        market.rest(Side::Sell, Ticks(100), OrderId(1), A, (Lots(2), Nanos(0)));
        let mut out = Vec::new();
        market.take(Side::Buy, Ticks(101), Lots(3), B, &mut out);
        assert_eq!(out, [traded(1, 100, 2), traded(0, 101, 1)]);
    }

    #[test]
    fn a_level_displayed_through_a_resting_order_meets_it_first() {
        let mut market = market();
        market.rest(Side::Buy, Ticks(100), OrderId(1), A, (Lots(4), Nanos(0)));
        assert_eq!(play(&mut market, level(Side::Sell, 99, 3)), [traded(1, 100, 3)]);
        assert_eq!(market.book().level(Side::Sell, Ticks(99)).available(), Lots(0));
    }

    #[test]
    fn self_match_prevention_pulls_the_one_or_stops_the_other() {
        for (rule, expected) in [
            (SelfMatch::CancelResting, vec![Happening::Pulled(OrderId(1)), traded(0, 101, 3)]),
            (SelfMatch::CancelIncoming, vec![Happening::Stopped]),
            (SelfMatch::Allow, vec![traded(1, 100, 2), traded(0, 101, 1)]),
        ] {
            let mut market = Matching { self_match: rule, ..market() };
            market.rest(Side::Sell, Ticks(100), OrderId(1), A, (Lots(2), Nanos(0)));
            let mut out = Vec::new();
            market.take(Side::Buy, Ticks(101), Lots(3), A, &mut out);
            assert_eq!(out, expected);
        }
    }
}
