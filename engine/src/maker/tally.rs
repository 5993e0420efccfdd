//! What an instrument's orders came to so far: for reports, never an input of a decision.
//!
//! Fed by every intent that leaves and every fill that is booked; feeds snapshots and the liquidity
//! report. Maker thread: additions.

use crate::event::{OrderAction, OrderIntent, TimeInForce};
use crate::units::Lots;

/// Counts of one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct LineTally {
    /// Fills, of quotes and of hedges.
    pub fills: u64,
    /// Largest position either way, the opening included, in lots.
    pub position_max_abs: u64,
    /// Lots of all quotes that were sent: a new order's size, and what is left of one that is moved, for
    /// at its new price it is shown anew.
    pub lots_shown: u64,
    /// Lots of quotes that traded.
    pub lots_filled: u64,
}

impl LineTally {
    /// Before the first order, with a position.
    pub fn opened_with(position: Lots) -> LineTally {
        LineTally { position_max_abs: position.0.unsigned_abs(), ..LineTally::default() }
    }

    /// The position is this now.
    pub fn on_position(&mut self, position: Lots) {
        self.position_max_abs = self.position_max_abs.max(position.0.unsigned_abs());
    }

    /// An order of which `leaves` may trade yet was sent, moved or asked out.
    pub fn on_sent(&mut self, intent: &OrderIntent, leaves: Lots) {
        let is_shown = match intent.action {
            OrderAction::New | OrderAction::Replace => {
                intent.time_in_force == TimeInForce::PostOnly
            }
            OrderAction::Cancel => false,
        };
        if is_shown {
            self.lots_shown = self.lots_shown.saturating_add(leaves.0.unsigned_abs());
        }
    }

    /// A quote traded.
    pub fn on_quote_fill(&mut self, size: Lots) {
        self.lots_filled = self.lots_filled.saturating_add(size.0.unsigned_abs());
    }

    /// Which part of what was shown traded; `None` where nothing was.
    pub fn fill_ratio(&self) -> Option<(u64, u64)> {
        (self.lots_shown > 0).then_some((self.lots_filled, self.lots_shown))
    }
}

#[cfg(test)]
mod tests {
    use crate::maker::guard_tests::settle;
    use crate::maker::tests::{Desk, PERP, SPOT};
    use crate::units::Side;

    #[test]
    fn quotes_are_counted_as_they_are_shown_and_traded_and_hedges_are_not() {
        let (mut desk, quotes) = Desk::quoting();
        let ratio = |desk: &Desk| desk.maker.tally(SPOT).unwrap().fill_ratio();
        assert_eq!(ratio(&desk), Some((0, 40)), "two levels of ten lots a side");
        let bids: Vec<_> = quotes.iter().filter(|quote| quote.side == Side::Buy).collect();
        desk.fill(bids[0], 10, 10);
        let sent = desk.fill(bids[1], 10, 10);
        settle(&mut desk, sent);
        let shown = ratio(&desk).unwrap().1;
        assert_eq!(ratio(&desk).unwrap().0, 20);
        assert!(
            shown > 40,
            "what was filled is quoted again, and what is moved shown anew: {shown}"
        );
        let sent = desk.image(SPOT, 600_100);
        let moved: i64 = sent.iter().filter(|i| i.instrument == SPOT).map(|i| i.size.0).sum();
        assert_eq!(ratio(&desk), Some((20, shown + moved.unsigned_abs())), "{sent:?}");
        assert_eq!(desk.maker.tally(PERP).unwrap().fill_ratio(), None, "it only hedges");
    }
}
