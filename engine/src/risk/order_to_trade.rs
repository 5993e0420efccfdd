//! How many messages may go out for each trade that comes back: venues charge or bar those who send
//! much and trade little (RTS 9).
//!
//! Fed by the maker with every message and fill of a venue; feeds the gate. Maker thread; one compare
//! a check. Counted over a trading day, as the venues do; cancels count and always pass, and quotes leave a
//! part to what takes risk off: a quiet day must not end with a position that nothing may close.

use crate::risk::claim::{Claim, left_to_quotes};
use crate::risk::gate::{BlockReason, Verdict};

/// A day's limit at one venue: `messages ≤ grace + max × trades`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OrderToTradeLimit {
    /// Most messages a trade.
    pub max: u32,
    /// Messages that are free: a day begins without trades.
    pub grace: u32,
}

/// What of a venue's day must survive a restart: the venue goes on counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CarriedRatio {
    /// Messages sent.
    pub messages: u64,
    /// Fills.
    pub trades: u64,
}

/// One venue's messages and trades of the day.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OrderToTrade {
    limit: OrderToTradeLimit,
    messages: u64,
    trades: u64,
    /// How many messages the day's trades allow, and how many of those quotes may use: a trade changes
    /// both, a message neither.
    all: u64,
    quotes: u64,
}

impl OrderToTrade {
    /// Nothing sent yet.
    pub fn new(limit: OrderToTradeLimit) -> OrderToTrade {
        OrderToTrade::resumed(limit, CarriedRatio::default())
    }

    /// Goes on from what an earlier run sent and traded on the same day.
    pub fn resumed(limit: OrderToTradeLimit, carried: CarriedRatio) -> OrderToTrade {
        let CarriedRatio { messages, trades } = carried;
        let mut ratio = OrderToTrade { limit, messages, trades, all: 0, quotes: 0 };
        ratio.recount();
        ratio
    }

    /// What a restart must be told.
    pub fn carried(&self) -> CarriedRatio {
        CarriedRatio { messages: self.messages, trades: self.trades }
    }

    /// May another message go?
    #[inline]
    pub fn check(&self, claim: Claim) -> Verdict {
        let allowed = match claim {
            Claim::Quote => self.quotes,
            Claim::Immediate => self.all,
            Claim::Cancel => u64::MAX,
        };
        if self.messages >= allowed {
            return Verdict::Block(BlockReason::OrderToTrade);
        }
        Verdict::Pass
    }

    /// What the trades so far allow.
    fn recount(&mut self) {
        let earned = u64::from(self.limit.max).saturating_mul(self.trades);
        self.all = u64::from(self.limit.grace).saturating_add(earned);
        self.quotes = left_to_quotes(self.all);
    }

    /// A message went, cancels included.
    pub fn on_sent(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// A fill came.
    pub fn on_fill(&mut self) {
        self.trades = self.trades.saturating_add(1);
        self.recount();
    }

    /// A new trading day.
    pub fn on_day(&mut self) {
        *self = OrderToTrade::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: Verdict = Verdict::Block(BlockReason::OrderToTrade);

    #[test]
    fn the_grace_and_each_trade_allow_so_many_messages_and_not_one_more() {
        let mut ratio = OrderToTrade::new(OrderToTradeLimit { max: 3, grace: 2 });
        let mut sent = 0;
        let mut send_all = |ratio: &mut OrderToTrade| {
            while ratio.check(Claim::Immediate) == Verdict::Pass {
                ratio.on_sent();
                sent += 1;
            }
            sent
        };
        assert_eq!(send_all(&mut ratio), 2);
        ratio.on_fill();
        assert_eq!(send_all(&mut ratio), 5);
        ratio.on_sent();
        ratio.on_fill();
        assert_eq!(send_all(&mut ratio), 7, "a cancel counts");
        ratio.on_day();
        assert_eq!(send_all(&mut ratio), 9);
    }

    #[test]
    fn a_tenth_is_left_to_what_takes_risk_off() {
        let mut ratio = OrderToTrade::new(OrderToTradeLimit { max: 10, grace: 20 });
        ratio.on_fill();
        let mut send_all = |claim| {
            let mut sent = 0;
            while sent < 100 && ratio.check(claim) == Verdict::Pass {
                ratio.on_sent();
                sent += 1;
            }
            sent
        };
        assert_eq!((send_all(Claim::Quote), send_all(Claim::Immediate)), (27, 3));
        assert_eq!((send_all(Claim::Quote), send_all(Claim::Cancel)), (0, 100));
    }

    #[test]
    fn at_the_integers_extremes_nothing_wraps() {
        let limit = OrderToTradeLimit { max: u32::MAX, grace: u32::MAX };
        let carried = CarriedRatio { messages: u64::MAX - 1, trades: u64::MAX };
        let mut ratio = OrderToTrade::resumed(limit, carried);
        assert_eq!(ratio.check(Claim::Quote), BLOCKED);
        assert_eq!(ratio.check(Claim::Immediate), Verdict::Pass);
        ratio.on_sent();
        ratio.on_sent();
        ratio.on_fill();
        assert_eq!(ratio.check(Claim::Immediate), BLOCKED);
    }
}
