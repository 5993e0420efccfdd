//! From wanted to working: the one request that brings a resting quote to where it should be.
//!
//! Fed by the ladder (wanted) and the table (working); feeds the gate. Maker thread. Deliberately
//! absent: budgets and limits (the gate's), and any guess about an unanswered request: while one is
//! under way the answer is to wait.

use crate::orders::order::{Order, OrderState};
use crate::quote::ladder::Level;
use crate::quote::requote::{Requote, Tolerance};
use crate::units::{Lots, Side, Ticks, more};

/// The request to send for one rung.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Nothing to do, or nothing that can be done before an answer comes.
    None,
    /// A new order.
    New(Level),
    /// Move the working order.
    Replace {
        /// New price.
        price: Ticks,
        /// New OrderQty(38), filled part included.
        size: Lots,
        /// It stands closer to the market or is larger than wanted: money at risk.
        is_retreat: bool,
    },
    /// Take it out.
    Cancel,
}

/// The request that takes `working` to `wanted`.
#[inline]
pub fn request(
    working: Option<&Order>,
    side: Side,
    wanted: Option<Level>,
    tolerance: Tolerance,
) -> Request {
    let Some(order) = working else {
        return wanted.map_or(Request::None, Request::New);
    };
    match order.state {
        // An order in doubt is not replaced: the maker's timer asks after it with a cancel.
        OrderState::PendingReplace | OrderState::PendingCancel | OrderState::InDoubt => {
            return Request::None;
        }
        OrderState::PendingNew => {
            return if wanted.is_none() { Request::Cancel } else { Request::None };
        }
        OrderState::Working => {}
    }
    let Some(wanted) = wanted else { return Request::Cancel };
    let open = Level { price: order.price, size: order.leaves() };
    match tolerance.compare(side, open, wanted) {
        Requote::Keep => Request::None,
        Requote::Shrink | Requote::Move => {
            let is_closer = match side {
                Side::Buy => open.price > wanted.price,
                Side::Sell => open.price < wanted.price,
            };
            Request::Replace {
                price: wanted.price,
                size: Lots(more(order.cum_qty.0, wanted.size.0)),
                is_retreat: is_closer || open.size > wanted.size,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClOrdId, InstrumentId};
    use crate::orders::order::Purpose;
    use crate::units::Nanos;

    const TOLERANCE: Tolerance = Tolerance { aggressive_ticks: 0, passive_ticks: 2, lots: 0 };

    fn working(state: OrderState, price: i64, size: i64, cum: i64) -> Order {
        let (of, terms) = ((InstrumentId(0), Side::Buy), (Ticks(price), Lots(size)));
        let sent = Order::sent(Nanos(0), ClOrdId(1), of, terms, Purpose::Quote { level: 0 });
        Order { cum_qty: Lots(cum), is_acknowledged: true, state, ..sent }
    }

    fn to(order: &Order, wanted: Option<(i64, i64)>) -> Request {
        let wanted = wanted.map(|(price, size)| Level { price: Ticks(price), size: Lots(size) });
        request(Some(order), order.side, wanted, TOLERANCE)
    }

    #[test]
    fn a_quote_within_tolerance_stays_and_one_tick_over_moves() {
        let order = working(OrderState::Working, 100, 10, 0);
        assert_eq!(to(&order, Some((102, 10))), Request::None);
        let advance = Request::Replace { price: Ticks(103), size: Lots(10), is_retreat: false };
        assert_eq!(to(&order, Some((103, 10))), advance);
        let retreat = Request::Replace { price: Ticks(99), size: Lots(10), is_retreat: true };
        assert_eq!(to(&order, Some((99, 10))), retreat);
    }

    #[test]
    fn a_partly_filled_quote_is_topped_up_over_its_filled_part() {
        let order = working(OrderState::Working, 100, 10, 6);
        let topped = Request::Replace { price: Ticks(100), size: Lots(16), is_retreat: false };
        assert_eq!(to(&order, Some((100, 10))), topped);
    }

    #[test]
    fn while_an_answer_is_awaited_nothing_more_is_asked() {
        for state in [OrderState::PendingReplace, OrderState::PendingCancel, OrderState::InDoubt] {
            let order = working(state, 100, 10, 0);
            assert_eq!(to(&order, Some((150, 10))), Request::None);
            assert_eq!(to(&order, None), Request::None);
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_cancelled_even_before_its_acknowledgement() {
        assert_eq!(to(&working(OrderState::PendingNew, 100, 10, 0), None), Request::Cancel);
        assert_eq!(request(None, Side::Buy, None, TOLERANCE), Request::None);
    }
}
