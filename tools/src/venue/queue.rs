//! Participants' resting orders of one side, each with its place in the displayed queue.
//!
//! Fed by `matching.rs`; feeds it back who is next. One thread. Deliberately absent: whose order it
//! is worth (`exchange.rs`), and floating point: the estimate of a place is whole lots.

use super::order::{OrderId, Participant};
use crate::recording::OrderGone;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use std::collections::{BTreeMap, VecDeque};

/// How a place in the displayed queue improves. Trades at the price always consume the queue ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueModel {
    /// Trades alone move an order forward: every cancel is taken to be behind it. The most careful
    /// reading of a book of levels (RiskAdverseQueueModel in hftbacktest's terms, without its
    /// clamp to the displayed size).
    BackOfQueue,
    /// Cancels are shared between what is ahead and what is behind by `f(x) = x^power` of each, as
    /// in hftbacktest's ProbQueueModel with PowerProbQueueFunc: a share `f(back) / (f(back) +
    /// f(front))` is behind. What trades took does not count as cancels, and no more can be ahead
    /// than is displayed. hftbacktest's example uses 3.
    Probabilistic {
        /// 1 to 4.
        power: u32,
    },
    /// A recording of single orders says which of them left: one that arrived before an order was
    /// ahead of it. Nothing is estimated; on any other recording it is [`QueueModel::BackOfQueue`].
    Exact,
}

/// One resting order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Which.
    pub order: OrderId,
    /// Whose.
    pub owner: Participant,
    /// What is left of it.
    pub leaves: Lots,
    /// Displayed volume that arrived before it and is still there.
    pub ahead: Lots,
    /// Since when it has its place.
    pub joined_at: Nanos,
}

/// What queueing there was: where no order joins behind displayed volume, no model of the queue
/// changes a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueCounters {
    /// Orders that joined a queue, moved ones again.
    pub joined: u64,
    /// Of them, those with displayed volume ahead.
    pub behind: u64,
    /// How often a trade moved an order forward.
    pub moved_by_trades: u64,
    /// How often a cancel did.
    pub moved_by_cancels: u64,
}

impl std::ops::Add for QueueCounters {
    type Output = QueueCounters;
    fn add(self, other: QueueCounters) -> QueueCounters {
        QueueCounters {
            joined: self.joined + other.joined,
            behind: self.behind + other.behind,
            moved_by_trades: self.moved_by_trades + other.moved_by_trades,
            moved_by_cancels: self.moved_by_cancels + other.moved_by_cancels,
        }
    }
}

/// One side's resting orders: by price, then by time.
#[derive(Clone, Debug)]
pub struct RestingOrders {
    side: Side,
    levels: BTreeMap<Ticks, VecDeque<Resting>>,
    /// The best price of them: it is asked for with every displayed level.
    best: Option<Ticks>,
    counters: QueueCounters,
}

impl RestingOrders {
    /// No orders on this side.
    pub fn new(side: Side) -> RestingOrders {
        let (levels, counters) = (BTreeMap::new(), QueueCounters::default());
        RestingOrders { side, levels, best: None, counters }
    }

    /// What queueing there was.
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    /// Which side they are on.
    pub fn side(&self) -> Side {
        self.side
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The best price.
    #[inline]
    pub fn best(&self) -> Option<Ticks> {
        debug_assert_eq!(self.best, self.best_level(), "kept with every change");
        self.best
    }

    /// The best price of an owner's orders.
    pub fn best_of(&self, owner: Participant) -> Option<Ticks> {
        let is_owned = |(_, level): &(&Ticks, &VecDeque<Resting>)| {
            level.iter().any(|resting| resting.owner == owner)
        };
        let best = match self.side {
            Side::Buy => self.levels.iter().rev().find(is_owned),
            Side::Sell => self.levels.iter().find(is_owned),
        };
        best.map(|(price, _)| *price)
    }

    fn best_level(&self) -> Option<Ticks> {
        let best = match self.side {
            Side::Buy => self.levels.last_key_value(),
            Side::Sell => self.levels.first_key_value(),
        };
        best.map(|(price, _)| *price)
    }

    /// A price without orders is none.
    fn forget_level(&mut self, price: Ticks) {
        self.levels.remove(&price);
        self.best = self.best_level();
    }

    /// Puts an order behind all others of its price.
    pub fn join(&mut self, price: Ticks, resting: Resting) {
        self.counters.joined += 1;
        self.counters.behind += u64::from(resting.ahead.0 > 0);
        self.levels.entry(price).or_default().push_back(resting);
        self.best = self.best_level();
    }

    /// Takes an order out. `None` where it is not there.
    pub fn remove(&mut self, price: Ticks, order: OrderId) -> Option<Resting> {
        let level = self.levels.get_mut(&price)?;
        let place = level.iter().position(|r| r.order == order)?;
        let resting = level.remove(place);
        if level.is_empty() {
            self.forget_level(price);
        }
        resting
    }

    /// Changes what is left of an order without moving it.
    pub fn resize(&mut self, price: Ticks, order: OrderId, leaves: Lots) -> bool {
        let found =
            self.levels.get_mut(&price).and_then(|l| l.iter_mut().find(|r| r.order == order));
        found.map(|resting| resting.leaves = leaves).is_some()
    }

    /// A price's orders in time order.
    pub fn at(&self, price: Ticks) -> impl Iterator<Item = &Resting> {
        self.levels.get(&price).into_iter().flatten()
    }

    /// The first order of a price.
    pub fn first(&self, price: Ticks) -> Option<Resting> {
        self.levels.get(&price).and_then(|level| level.front().copied())
    }

    /// Prices better than `price`, best first.
    pub fn better_than(&self, price: Ticks) -> Vec<Ticks> {
        use std::ops::Bound::{Excluded, Unbounded};
        match self.side {
            Side::Buy => {
                self.levels.range((Excluded(price), Unbounded)).rev().map(|l| *l.0).collect()
            }
            Side::Sell => self.levels.range((Unbounded, Excluded(price))).map(|l| *l.0).collect(),
        }
    }

    /// Takes `size` off the first order of a price, which goes when nothing is left.
    pub fn fill_first(&mut self, price: Ticks, size: Lots) {
        let Some(level) = self.levels.get_mut(&price) else { return };
        let Some(first) = level.front_mut() else { return };
        first.leaves.0 -= size.0;
        if first.leaves.0 <= 0 {
            level.pop_front();
        }
        if level.is_empty() {
            self.forget_level(price);
        }
    }

    /// Displayed volume in front of a price's orders went away by trading.
    pub fn advance(&mut self, price: Ticks, size: Lots) {
        for resting in self.levels.get_mut(&price).into_iter().flatten() {
            let moved = move_to(resting, resting.ahead.0.saturating_sub(size.0));
            self.counters.moved_by_trades += moved;
        }
    }

    /// The tape traded beyond a price: nothing displayed can be in front of its orders any more.
    pub fn to_the_front(&mut self, price: Ticks) {
        self.advance(price, Lots(i64::MAX));
    }

    /// A displayed order left a price: whoever joined after it moves forward.
    pub fn on_gone(&mut self, price: Ticks, gone: OrderGone) {
        for resting in self.levels.get_mut(&price).into_iter().flatten() {
            // At the same moment the tape comes first: it was ahead.
            if gone.arrived_at <= resting.joined_at {
                let moved = move_to(resting, resting.ahead.0.saturating_sub(gone.size.0));
                self.counters.moved_by_cancels += moved;
            }
        }
    }

    /// The displayed size of a price changed from `before`, of which trades took `traded`, to `now`.
    #[inline]
    pub fn on_resize(
        &mut self,
        model: QueueModel,
        price: Ticks,
        before: Lots,
        traded: Lots,
        now: Lots,
    ) {
        if let QueueModel::Probabilistic { power } = model {
            self.share_cancels(power, price, before, traded, now);
        }
    }

    fn share_cancels(&mut self, power: u32, price: Ticks, before: Lots, traded: Lots, now: Lots) {
        // What trades took was booked when they printed: the rest of the decrease is cancels.
        let standing = (before.0 - traded.0).max(0);
        for resting in self.levels.get_mut(&price).into_iter().flatten() {
            let ahead = ahead_after_cancels(power, resting.ahead.0, standing, now.0);
            let moved = move_to(resting, ahead.min(now.0));
            self.counters.moved_by_cancels += moved;
        }
    }
}

/// Puts an order where so much is ahead of it, and never behind where it was; 1 where it moved.
fn move_to(resting: &mut Resting, ahead: i64) -> u64 {
    let ahead = ahead.clamp(0, resting.ahead.0.max(0));
    let has_moved = ahead < resting.ahead.0;
    resting.ahead = Lots(ahead);
    u64::from(has_moved)
}

/// hftbacktest's estimate: of `standing − now` canceled lots, the share `f(back)/(f(back)+f(front))`
/// is behind, and what the back has not got comes off the front. Rounded so that more stays ahead.
fn ahead_after_cancels(power: u32, front: i64, standing: i64, now: i64) -> i64 {
    let canceled = standing - now;
    if canceled <= 0 || front <= 0 {
        return front;
    }
    let back = (standing - front).max(0);
    // 16 significant bits of the larger: their fourth power times any count of lots fits 128 bits.
    let excess = (64 - front.max(back).leading_zeros()).saturating_sub(16);
    let weight = |x: i64| u128::from((x >> excess).unsigned_abs()).pow(power.clamp(1, 4));
    let (of_front, of_back) = (weight(front), weight(back));
    let from_front = u128::from(canceled.unsigned_abs()) * of_front / (of_front + of_back);
    let from_front = i64::try_from(from_front).unwrap_or(canceled);
    let behind = canceled - from_front;
    (front - from_front - (behind - back).max(0)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_are_shared_as_hftbacktest_shares_them() {
        // front 30, back 70, 20 cancels, f(x) = x: 70 % are behind, 6 come off the front.
        assert_eq!(ahead_after_cancels(1, 30, 100, 80), 24);
        // f(x) = x³: 0.3³ / (0.3³ + 0.7³) = 7.3 % of 20 is 1.46, rounded to 1.
        assert_eq!(ahead_after_cancels(3, 30, 100, 80), 29);
        // Nothing is behind: all cancels were ahead.
        assert_eq!(ahead_after_cancels(2, 100, 100, 60), 60);
        // 99.2 % of 55 is more than the front holds: the order is first.
        assert_eq!(ahead_after_cancels(3, 50, 60, 5), 0);
        // Linear sharing is exact where front and back together are all that stands.
        assert_eq!(ahead_after_cancels(1, 90, 100, 50), 45);
    }

    #[test]
    fn sizes_of_any_height_stay_whole() {
        for front in [1, i64::MAX / 2, i64::MAX] {
            let ahead = ahead_after_cancels(4, front, i64::MAX, 1);
            assert!((0..=front).contains(&ahead), "{front}: {ahead}");
        }
    }

    fn queue_with(ahead: i64) -> RestingOrders {
        let mut orders = RestingOrders::new(Side::Buy);
        let resting = Resting {
            order: OrderId(1),
            owner: Participant(0),
            leaves: Lots(5),
            ahead: Lots(ahead),
            joined_at: Nanos(50),
        };
        orders.join(Ticks(100), resting);
        orders
    }

    #[test]
    fn cancels_move_an_order_only_under_the_probabilistic_model() {
        let mut careful = queue_with(30);
        careful.on_resize(QueueModel::BackOfQueue, Ticks(100), Lots(100), Lots(0), Lots(1));
        assert_eq!(careful.first(Ticks(100)).unwrap().ahead, Lots(30));
        let model = QueueModel::Probabilistic { power: 1 };
        let mut hopeful = queue_with(30);
        // A trade of 20 was booked before: only 80 − 70 = 10 are cancels.
        hopeful.on_resize(model, Ticks(100), Lots(100), Lots(20), Lots(70));
        assert_eq!(hopeful.first(Ticks(100)).unwrap().ahead, Lots(27));
        hopeful.on_resize(model, Ticks(100), Lots(70), Lots(0), Lots(90));
        assert_eq!(hopeful.first(Ticks(100)).unwrap().ahead, Lots(27), "joiners are behind");
    }

    #[test]
    fn an_order_that_left_was_ahead_of_those_that_joined_after_it() {
        let mut queue = queue_with(30);
        let gone = |arrived_at, size| OrderGone {
            arrived_at: Nanos(arrived_at),
            arrived_venue_at: Nanos(0),
            size: Lots(size),
        };
        queue.on_gone(Ticks(100), gone(51, 7));
        assert_eq!(queue.first(Ticks(100)).unwrap().ahead, Lots(30), "it stood behind");
        queue.on_gone(Ticks(101), gone(1, 7));
        assert_eq!(queue.first(Ticks(100)).unwrap().ahead, Lots(30), "at another price");
        queue.on_gone(Ticks(100), gone(50, 7));
        queue.on_gone(Ticks(100), gone(1, 3));
        assert_eq!(queue.first(Ticks(100)).unwrap().ahead, Lots(20));
        queue.on_gone(Ticks(100), gone(1, 99));
        assert_eq!(queue.first(Ticks(100)).unwrap().ahead, Lots(0));
    }
}
