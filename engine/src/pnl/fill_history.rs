//! The last fills and what they were booked as, so that one can be taken back by its ExecID(17).
//!
//! Fed by the maker with every fill; asked when the venue cancels or corrects a trade. Maker thread: a
//! fill is one store. What is kept goes from run to run, because trades are busted hours later.
//! Deliberately absent: older fills; one of them is an operator's to put right.

use super::ledger::undo::Booking;
use crate::event::{ExecId, InstrumentId};
use crate::units::Side;

/// How many are kept.
pub const FILLS_KEPT: usize = 512;

/// A fill that may be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct KeptFill {
    /// Its ExecID(17), or the latest correction's.
    pub exec_id: ExecId,
    /// The first one that it had: venues refer to either.
    pub first_exec_id: ExecId,
    /// What it was booked as.
    pub booking: Booking,
}

impl KeptFill {
    fn is(&self, instrument: InstrumentId, exec_id: ExecId, side: Option<Side>) -> bool {
        self.booking.fill.instrument == instrument
            && [self.exec_id, self.first_exec_id].contains(&exec_id)
            && side.is_none_or(|side| side == self.booking.fill.side)
    }
}

/// The newest [`FILLS_KEPT`] fills.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FillHistory {
    kept: Box<[Option<KeptFill>]>,
    next: usize,
}

impl Default for FillHistory {
    fn default() -> FillHistory {
        FillHistory { kept: vec![None; FILLS_KEPT].into(), next: 0 }
    }
}

impl FillHistory {
    /// Keeps a fill; the oldest makes room.
    pub fn remember(&mut self, fill: KeptFill) {
        if let Some(place) = self.kept.get_mut(self.next) {
            *place = Some(fill);
        }
        self.next = (self.next + 1) % FILLS_KEPT;
    }

    /// Takes the one fill of this ExecID(17) out. `None` where it is not kept, or where two sides of a
    /// trade with ourselves bear the same and `side` does not tell them apart.
    pub fn take(
        &mut self,
        instrument: InstrumentId,
        exec_id: ExecId,
        side: Option<Side>,
    ) -> Option<KeptFill> {
        if exec_id == ExecId(0) {
            return None;
        }
        let mut places = self
            .kept
            .iter_mut()
            .filter(|place| place.as_ref().is_some_and(|fill| fill.is(instrument, exec_id, side)));
        let place = places.next()?;
        if places.next().is_some() { None } else { place.take() }
    }

    /// What is kept, oldest first.
    pub fn oldest_first(&self) -> impl Iterator<Item = &KeptFill> {
        let (newer, older) = self.kept.split_at_checked(self.next).unwrap_or_default();
        older.iter().chain(newer).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Liquidity;
    use crate::pnl::ledger::{BookedFill, Purpose};
    use crate::units::{Lots, Notional, Ticks};

    fn fill(exec_id: u64, side: Side) -> KeptFill {
        let fill = BookedFill {
            instrument: InstrumentId(1),
            side,
            price: Ticks(5),
            size: Lots(2),
            liquidity: Liquidity::Maker,
            purpose: Purpose::Quote,
            mid: None,
        };
        let none = Notional(0);
        let booking = Booking { fill, edge: none, paid: none, rounding: none, cash: none };
        let first_exec_id = ExecId(exec_id + 1_000_000);
        KeptFill { exec_id: ExecId(exec_id), first_exec_id, booking }
    }

    #[test]
    fn a_fill_is_found_once_by_either_of_its_names_and_by_no_other_instrument() {
        let mut history = FillHistory::default();
        history.remember(fill(7, Side::Buy));
        history.remember(fill(8, Side::Buy));
        let (one, two) = (InstrumentId(1), InstrumentId(2));
        assert_eq!(history.take(two, ExecId(7), None), None);
        assert_eq!(history.take(one, ExecId(0), None), None, "no reference is no fill");
        assert_eq!(history.take(one, ExecId(7), None), Some(fill(7, Side::Buy)));
        assert_eq!(history.take(one, ExecId(7), None), None, "once");
        assert_eq!(history.take(one, ExecId(1_000_008), Some(Side::Sell)), None);
        assert!(history.take(one, ExecId(1_000_008), Some(Side::Buy)).is_some());
    }

    #[test]
    fn two_sides_under_one_name_are_told_apart_by_the_side_or_not_at_all() {
        let mut history = FillHistory::default();
        history.remember(fill(7, Side::Buy));
        history.remember(fill(7, Side::Sell));
        assert_eq!(history.take(InstrumentId(1), ExecId(7), None), None);
        let sold = history.take(InstrumentId(1), ExecId(7), Some(Side::Sell));
        assert_eq!(sold, Some(fill(7, Side::Sell)));
    }

    #[test]
    fn the_oldest_makes_room_and_the_rest_comes_oldest_first() {
        let mut history = FillHistory::default();
        for exec_id in 1..=FILLS_KEPT as u64 + 3 {
            history.remember(fill(exec_id, Side::Buy));
        }
        let ids: Vec<u64> = history.oldest_first().map(|fill| fill.exec_id.0).collect();
        assert_eq!((ids[0], ids.len()), (4, FILLS_KEPT));
        assert!(ids.is_sorted());
    }
}
