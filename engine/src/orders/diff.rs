//! From wanted to working: the one request that brings a resting quote to where it should be.
//!
//! Fed by the ladder (wanted) and the table (working); feeds the gate. Maker thread. Deliberately
//! absent: budgets and limits (the gate's), and any guess about an unanswered request: while one is
//! under way the answer is to wait.

use crate::orders::order::{Order, OrderState};
use crate::units::{Lots, Ticks};

/// What the ladder wants at one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Limit price.
    pub price: Ticks,
    /// Size that should be open.
    pub size: Lots,
}

/// How far a working quote may be from the wanted one before a message is worth it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tolerance {
    /// A price no further away than this stays.
    pub price: Ticks,
    /// Leaves of at least this many thousandths of the wanted size stay.
    pub size_permille: i64,
}

/// The request to send for one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Nothing to do, or nothing that can be done before an answer comes.
    None,
    /// A new order.
    New(Wanted),
    /// Move the working order; `size` is the new OrderQty(38), filled part included.
    Replace {
        /// New price.
        price: Ticks,
        /// New OrderQty(38).
        size: Lots,
    },
    /// Take it out.
    Cancel,
}

/// The request that takes `working` to `wanted`.
pub fn request(working: Option<&Order>, wanted: Option<Wanted>, tolerance: Tolerance) -> Request {
    let Some(order) = working else {
        return wanted.map_or(Request::None, Request::New);
    };
    match order.state {
        OrderState::PendingReplace | OrderState::PendingCancel => return Request::None,
        // An order in doubt is not replaced: a cancel asks the venue for its word. The maker's
        // timer sends it; here one is enough.
        OrderState::InDoubt => return Request::None,
        OrderState::PendingNew => {
            return if wanted.is_none() { Request::Cancel } else { Request::None };
        }
        OrderState::Working => {}
    }
    let Some(wanted) = wanted else { return Request::Cancel };
    let price_gap = order.price.0.saturating_sub(wanted.price.0).saturating_abs();
    let leaves = i128::from(order.leaves().0);
    let enough = i128::from(wanted.size.0) * i128::from(tolerance.size_permille);
    // Leaves above the wanted size are always brought down: size is a limit, not a wish.
    let size_fits = leaves * 1000 >= enough && order.leaves() <= wanted.size;
    if price_gap <= tolerance.price.0 && size_fits {
        return Request::None;
    }
    let size = Lots(order.cum_qty.0.saturating_add(wanted.size.0));
    Request::Replace { price: wanted.price, size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClOrdId, InstrumentId};
    use crate::orders::order::Purpose;
    use crate::units::{Nanos, Side};

    const TOLERANCE: Tolerance = Tolerance { price: Ticks(2), size_permille: 500 };

    fn working(state: OrderState, price: i64, size: i64, cum: i64) -> Order {
        Order {
            cl_ord_id: ClOrdId(1),
            request_id: ClOrdId::NONE,
            instrument: InstrumentId(0),
            side: Side::Buy,
            purpose: Purpose::Quote { level: 0 },
            price: Ticks(price),
            size: Lots(size),
            cum_qty: Lots(cum),
            replacement: None,
            state,
            requested_at: Nanos(0),
        }
    }

    fn wanted(price: i64, size: i64) -> Option<Wanted> {
        Some(Wanted { price: Ticks(price), size: Lots(size) })
    }

    #[test]
    fn a_quote_within_tolerance_stays_and_one_tick_over_moves() {
        let order = working(OrderState::Working, 100, 10, 0);
        assert_eq!(request(Some(&order), wanted(102, 10), TOLERANCE), Request::None);
        assert_eq!(
            request(Some(&order), wanted(103, 10), TOLERANCE),
            Request::Replace { price: Ticks(103), size: Lots(10) }
        );
    }

    #[test]
    fn a_partly_filled_quote_is_topped_up_over_its_filled_part() {
        let order = working(OrderState::Working, 100, 10, 6);
        assert_eq!(
            request(Some(&order), wanted(100, 10), TOLERANCE),
            Request::Replace { price: Ticks(100), size: Lots(16) }
        );
    }

    #[test]
    fn more_than_wanted_is_brought_down_whatever_the_tolerance() {
        let order = working(OrderState::Working, 100, 10, 0);
        assert_eq!(
            request(Some(&order), wanted(100, 9), TOLERANCE),
            Request::Replace { price: Ticks(100), size: Lots(9) }
        );
    }

    #[test]
    fn while_an_answer_is_awaited_nothing_more_is_asked() {
        for state in [OrderState::PendingReplace, OrderState::PendingCancel, OrderState::InDoubt] {
            let order = working(state, 100, 10, 0);
            assert_eq!(request(Some(&order), wanted(150, 10), TOLERANCE), Request::None);
            assert_eq!(request(Some(&order), None, TOLERANCE), Request::None);
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_cancelled_even_before_its_acknowledgement() {
        let order = working(OrderState::PendingNew, 100, 10, 0);
        assert_eq!(request(Some(&order), None, TOLERANCE), Request::Cancel);
        assert_eq!(request(None, None, TOLERANCE), Request::None);
    }
}
