//! The bytes of a header's [`Resumption`]: where the run before ended.
//!
//! Fed by the header, in both directions. Cold. Lists are a count and their items; a count is believed
//! only as far as its items are there. Tags are never given a second meaning.

use super::codec::{Field, enums, structs};
use crate::event::ExecId;
use crate::inventory::basis::Basis;
use crate::inventory::exit::ExitProgress;
use crate::inventory::transfer::{Moved, Transfer, TransferStage};
use crate::maker::resumption::{
    Delivered, GuardedPosition, Halt, Held, LimitSet, PlacedCash, Places, Purse, Renamed,
    Resumption,
};
use crate::orders::order::{Order, OrderState, Purpose};
use crate::pnl::attribution::ConversionRate;
use crate::pnl::fee_tiers::CarriedFees;
use crate::pnl::fill_history::KeptFill;
use crate::pnl::ledger::undo::Booking;
use crate::pnl::ledger::{BookedFill, Purpose as Booked};
use crate::pnl::valuation::HalfTicks;
use crate::risk::carried::CarriedRisk;
use crate::risk::loss::{CarriedDay, CarriedStops};
use crate::risk::order_to_trade::CarriedRatio;
use crate::units::{Lots, Notional, Ticks};

impl Field for i128 {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(i128::from_le_bytes(*bytes))
    }
}

impl Field for Notional {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Field::take(from).map(Notional)
    }
}

impl Field for HalfTicks {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Field::take(from).map(HalfTicks)
    }
}

impl Field for ConversionRate {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Field::take(from).map(ConversionRate)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match bool::take(from)? {
            true => T::take(from).map(Some),
            false => Some(None),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        // More than 2^32 items do not fit into a header: what is left out fails its length.
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(to);
        for item in self {
            item.put(to);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let count = u32::take(from)?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl Field for (Ticks, Lots) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some((Ticks::take(from)?, Lots::take(from)?))
    }
}

/// A header's last field. Journals of version 2 end before `guarded`, of version 3 before `places`, of
/// version 4 before `fills`, of version 5 before `renamed`, of version 6 before what `carried` has more
/// than a day and what is switched off, of version 7 before its fees, of version 8 before the newest ExecIDs
/// of `delivered`.
impl Field for Resumption {
    fn put(&self, to: &mut Vec<u8>) {
        self.epoch.put(to);
        self.held.put(to);
        self.purses.put(to);
        self.orders.put(to);
        self.carried.day.put(to);
        self.carried.switched_off.put(to);
        self.halts.put(to);
        self.limits.put(to);
        self.unconfirmed.put(to);
        self.delivered.put(to);
        self.guarded.put(to);
        self.places.put(to);
        self.fills.put(to);
        self.renamed.put(to);
        self.carried.stops.put(to);
        self.carried.ratios.put(to);
        self.carried.fees.put(to);
        let newest: Vec<Option<ExecId>> =
            self.delivered.iter().map(|venue| venue.exec_id).collect();
        newest.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut left = Resumption {
            epoch: Field::take(from)?,
            held: Field::take(from)?,
            purses: Field::take(from)?,
            orders: Field::take(from)?,
            carried: CarriedRisk {
                day: Field::take(from)?,
                switched_off: Field::take(from)?,
                ..CarriedRisk::default()
            },
            halts: Field::take(from)?,
            limits: Field::take(from)?,
            unconfirmed: Field::take(from)?,
            delivered: Field::take(from)?,
            guarded: if from.is_empty() { Vec::new() } else { Field::take(from)? },
            places: if from.is_empty() { Places::default() } else { Field::take(from)? },
            fills: if from.is_empty() { Vec::new() } else { Field::take(from)? },
            renamed: if from.is_empty() { Vec::new() } else { Field::take(from)? },
        };
        if !from.is_empty() {
            left.carried.stops = Field::take(from)?;
            left.carried.ratios = Field::take(from)?;
        }
        if !from.is_empty() {
            left.carried.fees = Field::take(from)?;
        }
        if !from.is_empty() {
            let newest: Vec<Option<ExecId>> = Field::take(from)?;
            for (venue, newest) in left.delivered.iter_mut().zip(newest) {
                venue.exec_id = newest;
            }
        }
        Some(left)
    }
}

/// Without the newest ExecID, which version 9 appends.
impl Field for Delivered {
    fn put(&self, to: &mut Vec<u8>) {
        self.venue.put(to);
        self.numbers_since.put(to);
        self.msg_seq_num.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Delivered {
            venue: Field::take(from)?,
            numbers_since: Field::take(from)?,
            msg_seq_num: Field::take(from)?,
            exec_id: None,
        })
    }
}

structs! {
    GuardedPosition { opening, basis, exit }
    Basis { lots, cost, entered, cash, peak, lives }
    ExitProgress { life, closed_permille, since, is_stopped }
    PlacedCash { venue, currency, cash }
    Places { cash, transfers }
    Transfer { id, currency, from, to, moved, leaves, arrives, stage, since }
    KeptFill { exec_id, first_exec_id, booking }
    Booking { fill, edge, paid, rounding, cash }
    BookedFill { instrument, side, price, size, liquidity, purpose, mid }
    Held { lots, mark }
    Purse { currency, cash, rate }
    Halt { instrument, reason }
    LimitSet { knob, value }
    Renamed { cl_ord_id, first }
    CarriedStops { has_lost_day, cooling_until }
    CarriedRatio { messages, trades }
    CarriedFees { days, at }
    CarriedDay { ends, pnl, best }
    Order {
        cl_ord_id, replace_id, cancel_id, cancel_of, asks_new_name, instrument, side, purpose, price,
        size, cum_qty, missed, is_acknowledged, replacement, state, requested_at,
    }
}

enums! {
    Moved { 1 = Coin { from, to }, 2 = Cash }
    TransferStage { 1 = Requested, 2 = Sent }
    Booked { 1 = Quote, 2 = Hedge, 3 = External, 4 = Rebalance }
    Purpose { 1 = Quote { level }, 2 = Hedge, 3 = Rebalance }
    OrderState {
        1 = PendingNew, 2 = Working, 3 = PendingReplace, 4 = PendingCancel, 5 = InDoubt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClOrdId, InstrumentId, Liquidity, VenueId};
    use crate::instrument::Currency;
    use crate::inventory::transfer::TransferId;
    use crate::maker::control::Knob;
    use crate::market::trust::Distrust;
    use crate::pnl::fee_tiers::DAYS;
    use crate::risk::state::Reason;
    use crate::units::{Nanos, Side};

    fn order() -> Order {
        let (of, terms) = ((InstrumentId(1), Side::Sell), (Ticks(-7), Lots(5)));
        let purpose = Purpose::Quote { level: 2 };
        Order {
            replace_id: ClOrdId::new(3, 10),
            cum_qty: Lots(1),
            is_acknowledged: true,
            replacement: Some((Ticks(8), Lots(4))),
            state: OrderState::InDoubt,
            ..Order::sent(Nanos(0), ClOrdId::new(3, 9), of, terms, purpose)
        }
    }

    fn places() -> Places {
        Places {
            cash: vec![PlacedCash { venue: VenueId(1), currency: Currency(1), cash: Notional(-5) }],
            transfers: [Moved::Cash, Moved::Coin { from: InstrumentId(0), to: InstrumentId(1) }]
                .map(|moved| Transfer {
                    id: TransferId { epoch: 3, number: 1 },
                    currency: Currency(0),
                    from: VenueId(0),
                    to: VenueId(1),
                    moved,
                    leaves: 9,
                    arrives: 8,
                    stage: TransferStage::Sent,
                    since: Nanos(4),
                })
                .to_vec(),
        }
    }

    fn fill() -> KeptFill {
        let fill = BookedFill {
            instrument: InstrumentId(1),
            side: Side::Sell,
            price: Ticks(-3),
            size: Lots(2),
            liquidity: Liquidity::Taker,
            purpose: Booked::Hedge,
            mid: Some(HalfTicks(-5)),
        };
        let booking = Booking {
            fill,
            edge: Notional(-1),
            paid: Notional(2),
            rounding: Notional(1),
            cash: Notional(i128::MAX),
        };
        KeptFill { exec_id: ExecId(5), first_exec_id: ExecId(4), booking }
    }

    fn whole() -> Resumption {
        let order = order();
        Resumption {
            epoch: 3,
            held: vec![Held { lots: Lots(-4), mark: Some(HalfTicks(9)) }, Held::default()],
            purses: vec![Purse {
                currency: Currency(1),
                cash: Notional(i128::MIN),
                rate: Some(ConversionRate::ONE),
            }],
            orders: vec![order, Order { purpose: Purpose::Hedge, ..order }],
            carried: CarriedRisk {
                day: Some(CarriedDay { ends: Nanos(5), pnl: Notional(-1), best: Notional(2) }),
                switched_off: vec![InstrumentId(1)],
                stops: CarriedStops { has_lost_day: true, cooling_until: Some(Nanos(6)) },
                ratios: vec![CarriedRatio { messages: 7, trades: u64::MAX }],
                fees: vec![None, Some(CarriedFees { days: [i128::MIN; DAYS], at: Nanos(9) })],
            },
            halts: vec![Halt {
                instrument: InstrumentId(0),
                reason: Reason::Distrusted(Distrust::Stale),
            }],
            limits: vec![LimitSet { knob: Knob::Soft(0), value: 3 }],
            unconfirmed: vec![InstrumentId(0)],
            delivered: vec![Delivered {
                venue: VenueId(2),
                numbers_since: Nanos(8),
                msg_seq_num: 77,
                exec_id: Some(ExecId(5)),
            }],
            guarded: vec![GuardedPosition {
                opening: Lots(-3),
                basis: Basis {
                    lots: -1,
                    cost: i128::MIN,
                    entered: Nanos(6),
                    cash: Some(i128::MAX),
                    peak: 9,
                    lives: 2,
                },
                exit: ExitProgress {
                    life: 2,
                    closed_permille: 500,
                    since: Some(Nanos(7)),
                    is_stopped: true,
                },
            }],
            places: places(),
            fills: vec![fill()],
            renamed: vec![Renamed { cl_ord_id: ClOrdId::new(3, 9), first: ClOrdId::new(3, 2) }],
        }
    }

    #[test]
    fn a_resumption_reads_as_it_was_written_and_a_cut_one_not_at_all() {
        let resumption = whole();
        let mut bytes = Vec::new();
        resumption.put(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!((Resumption::take(&mut rest), rest.len()), (Some(resumption.clone()), 0));
        let length = |of: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            of(&mut bytes);
            bytes.len()
        };
        let newest = |bytes: &mut Vec<u8>| vec![resumption.delivered[0].exec_id].put(bytes);
        let of_version_8 = bytes.len() - length(&newest);
        let of_version_7 = of_version_8 - length(&|bytes| resumption.carried.fees.put(bytes));
        let of_version_6 = of_version_7
            - length(&|bytes| resumption.carried.stops.put(bytes))
            - length(&|bytes| resumption.carried.ratios.put(bytes));
        let of_version_5 = of_version_6 - length(&|bytes| resumption.renamed.put(bytes));
        let of_version_4 = of_version_5 - length(&|bytes| resumption.fills.put(bytes));
        let of_version_3 = of_version_4 - length(&|bytes| resumption.places.put(bytes));
        let of_version_2 = of_version_3 - length(&|bytes| resumption.guarded.put(bytes));
        let ends = [
            of_version_2,
            of_version_3,
            of_version_4,
            of_version_5,
            of_version_6,
            of_version_7,
            of_version_8,
        ];
        for cut in (0..bytes.len()).filter(|cut| !ends.contains(cut)) {
            assert_eq!(Resumption::take(&mut &bytes[..cut]), None, "cut at {cut}");
        }
        let mut without = resumption;
        without.delivered[0].exec_id = None;
        assert_eq!(Resumption::take(&mut &bytes[..of_version_8]), Some(without.clone()));
        without.carried.fees.clear();
        assert_eq!(Resumption::take(&mut &bytes[..of_version_7]), Some(without.clone()));
        without.carried.stops = CarriedStops::default();
        without.carried.ratios.clear();
        assert_eq!(Resumption::take(&mut &bytes[..of_version_6]), Some(without.clone()));
        let without = Resumption { renamed: Vec::new(), ..without };
        assert_eq!(Resumption::take(&mut &bytes[..of_version_5]), Some(without.clone()));
        let without = Resumption { fills: Vec::new(), ..without };
        assert_eq!(Resumption::take(&mut &bytes[..of_version_4]), Some(without.clone()));
        let without = Resumption { places: Places::default(), ..without };
        assert_eq!(Resumption::take(&mut &bytes[..of_version_3]), Some(without.clone()));
        let without = Resumption { guarded: Vec::new(), ..without };
        assert_eq!(Resumption::take(&mut &bytes[..of_version_2]), Some(without));
    }
}
