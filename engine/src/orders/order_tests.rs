//! What the venue's words do to an order: one test a rule.
//!
//! Fed by cargo's test run; stands outside `order.rs` for its length alone.

use super::*;
use crate::event::{ExecId, Liquidity};

fn order(state: OrderState) -> Order {
    let (of, terms) = ((InstrumentId(0), Side::Buy), (Ticks(100), Lots(10)));
    let sent = Order::sent(Nanos(0), ClOrdId(1), of, terms, Purpose::Quote { level: 0 });
    Order { is_acknowledged: state != OrderState::PendingNew, state, ..sent }
}

fn fill(last: i64, cum: i64, leaves: i64) -> OrderUpdate {
    OrderUpdate::Fill {
        exec_id: ExecId(1),
        side: Side::Buy,
        last_px: Ticks(100),
        last_qty: Lots(last),
        cum_qty: Lots(cum),
        leaves_qty: Lots(leaves),
        liquidity: Liquidity::Maker,
    }
}

#[test]
fn a_lost_session_puts_every_state_in_doubt() {
    for state in [
        OrderState::PendingNew,
        OrderState::Working,
        OrderState::PendingReplace,
        OrderState::PendingCancel,
    ] {
        let mut order = order(state);
        assert_eq!(order.apply(ClOrdId(1), OrderUpdate::SessionDown), Outcome::Lives);
        assert_eq!(order.state, OrderState::InDoubt);
        assert_eq!(order.leaves_worst(), Lots(10));
    }
}

#[test]
fn a_pending_replace_counts_at_the_larger_size_and_the_nearer_price() {
    let mut order = order(OrderState::PendingReplace);
    order.replacement = Some((Ticks(103), Lots(25)));
    assert_eq!(order.leaves_worst(), Lots(25));
    assert_eq!(order.price_worst(), Ticks(103));
    order.replacement = Some((Ticks(97), Lots(5)));
    assert_eq!(order.leaves_worst(), Lots(10));
    assert_eq!(order.price_worst(), Ticks(100));
}

#[test]
fn a_fill_crossing_a_replace_leaves_the_replace_under_way() {
    let mut order = order(OrderState::PendingReplace);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(101), Lots(10)));
    let outcome = order.apply(ClOrdId(1), fill(4, 4, 6));
    assert_eq!(
        outcome,
        Outcome::Filled { is_gone: false, is_overfill: false, is_inconsistent: false }
    );
    assert_eq!(order.state, OrderState::PendingReplace);
    let replaced = OrderUpdate::Replaced { price: Ticks(101), leaves_qty: Lots(6) };
    assert_eq!(order.apply(ClOrdId(2), replaced), Outcome::Lives);
    assert_eq!((order.cl_ord_id, order.size, order.leaves()), (ClOrdId(2), Lots(10), Lots(6)));
}

#[test]
fn a_repeated_fill_is_not_a_fill() {
    let mut order = order(OrderState::Working);
    order.apply(ClOrdId(1), fill(4, 4, 6));
    assert_eq!(order.apply(ClOrdId(1), fill(4, 4, 6)), Outcome::DuplicateFill);
    assert_eq!(order.cum_qty, Lots(4));
}

#[test]
fn more_than_was_ordered_is_an_overfill() {
    let mut order = order(OrderState::Working);
    let outcome = order.apply(ClOrdId(1), fill(11, 11, 0));
    assert!(matches!(outcome, Outcome::Filled { is_overfill: true, .. }));
}

#[test]
fn a_cancel_that_tells_of_an_unseen_fill_leaves_the_missing_part_in_doubt() {
    let mut order = order(OrderState::PendingCancel);
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(3) };
    assert_eq!(order.apply(ClOrdId(2), canceled), Outcome::MissesFill);
    assert_eq!((order.state, order.leaves_worst()), (OrderState::InDoubt, Lots(3)));
    assert!(matches!(
        order.apply(ClOrdId(1), fill(3, 3, 0)),
        Outcome::Filled { is_gone: true, is_overfill: false, is_inconsistent: false }
    ));
}

#[test]
fn a_refused_cancel_of_an_order_that_lives_puts_it_back_to_work() {
    let mut order = order(OrderState::PendingCancel);
    order.cancel_id = ClOrdId(2);
    order.cancel_of = ClOrdId(1);
    let refused = OrderUpdate::CancelRejected { reason: 3, is_gone: false };
    assert_eq!(order.apply(ClOrdId(2), refused), Outcome::Lives);
    assert_eq!((order.state, order.cancel_id), (OrderState::Working, ClOrdId::NONE));
}

#[test]
fn an_unsent_cancel_of_an_order_in_doubt_leaves_it_in_doubt() {
    let mut order = order(OrderState::InDoubt);
    order.cancel_id = ClOrdId(2);
    order.cancel_of = ClOrdId(1);
    assert_eq!(order.apply(ClOrdId(2), OrderUpdate::Unsent), Outcome::Lives);
    assert_eq!(order.state, OrderState::InDoubt);
}

#[test]
fn an_unsent_cancel_after_an_unanswered_replace_still_counts_the_replace() {
    let mut order = order(OrderState::InDoubt);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(103), Lots(25)));
    order.cancel_id = ClOrdId(3);
    order.apply(ClOrdId(3), OrderUpdate::Unsent);
    assert_eq!((order.state, order.leaves_worst()), (OrderState::InDoubt, Lots(25)));
}

#[test]
fn a_repeated_acknowledgement_settles_no_later_request() {
    let mut order = order(OrderState::InDoubt);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(103), Lots(25)));
    order.apply(ClOrdId(1), OrderUpdate::New { leaves_qty: Lots(10) });
    assert_eq!((order.state, order.leaves_worst()), (OrderState::InDoubt, Lots(25)));
}

#[test]
fn a_repeated_replaced_undoes_no_fill_and_no_later_request() {
    let mut order = order(OrderState::PendingReplace);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(101), Lots(10)));
    let replaced = OrderUpdate::Replaced { price: Ticks(101), leaves_qty: Lots(10) };
    order.apply(ClOrdId(2), replaced);
    order.apply(ClOrdId(2), fill(4, 4, 6));
    order.cancel_id = ClOrdId(3);
    order.state = OrderState::PendingCancel;
    order.apply(ClOrdId(2), replaced);
    assert_eq!((order.state, order.leaves()), (OrderState::PendingCancel, Lots(6)));
}

#[test]
fn a_cancel_refused_under_the_old_name_does_not_prove_the_replacement_gone() {
    let mut order = order(OrderState::InDoubt);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(103), Lots(25)));
    order.cancel_id = ClOrdId(3);
    order.cancel_of = ClOrdId(1);
    let gone = OrderUpdate::CancelRejected { reason: 1, is_gone: true };
    assert_eq!(order.apply(ClOrdId(3), gone), Outcome::Lives);
    assert_eq!((order.cl_ord_id, order.leaves_worst()), (ClOrdId(2), Lots(25)));
    assert_eq!(order.apply(ClOrdId(4), gone), Outcome::Gone);
}

#[test]
fn a_cancel_of_an_old_name_refused_after_the_replace_leaves_the_order_working() {
    let mut order = order(OrderState::InDoubt);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(103), Lots(10)));
    order.cancel_id = ClOrdId(3);
    order.cancel_of = ClOrdId(1);
    let replaced = OrderUpdate::Replaced { price: Ticks(103), leaves_qty: Lots(10) };
    order.apply(ClOrdId(2), replaced);
    assert_eq!(order.state, OrderState::PendingCancel);
    let gone = OrderUpdate::CancelRejected { reason: 1, is_gone: true };
    assert_eq!(order.apply(ClOrdId(3), gone), Outcome::Lives);
    assert_eq!(order.state, OrderState::Working);
}

#[test]
fn an_order_that_was_never_sent_is_gone_though_a_cancel_is_under_way() {
    let mut order = order(OrderState::PendingCancel);
    order.is_acknowledged = false;
    order.cancel_id = ClOrdId(2);
    assert_eq!(order.apply(ClOrdId(1), OrderUpdate::Unsent), Outcome::Gone);
}

/// An order whose replace was done and whose answer was lost.
fn with_lost_replaced() -> Order {
    let mut order = order(OrderState::InDoubt);
    order.replace_id = ClOrdId(2);
    order.replacement = Some((Ticks(103), Lots(25)));
    order
}

#[test]
fn a_lost_replaced_is_mended_by_a_status_under_the_new_name() {
    let mut order = with_lost_replaced();
    let status = OrderUpdate::Status { is_gone: false, cum_qty: Lots(0), leaves_qty: Lots(25) };
    assert_eq!(order.apply(ClOrdId(2), status), Outcome::Lives);
    assert_eq!((order.cl_ord_id, order.state), (ClOrdId(2), OrderState::Working));
    assert_eq!((order.price, order.leaves_worst()), (Ticks(103), Lots(25)));
}

#[test]
fn a_lost_replaced_is_mended_by_cancels_alone() {
    let mut order = with_lost_replaced();
    order.cancel_id = ClOrdId(3);
    order.cancel_of = ClOrdId(1);
    let lives = OrderUpdate::CancelRejected { reason: 0, is_gone: false };
    assert_eq!(order.apply(ClOrdId(3), lives), Outcome::Lives);
    assert!(order.asks_new_name && order.state == OrderState::InDoubt);
    order.cancel_id = ClOrdId(4);
    order.cancel_of = ClOrdId(2);
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
    assert_eq!(order.apply(ClOrdId(4), canceled), Outcome::Gone);
}

#[test]
fn a_replace_that_the_venue_never_knew_leaves_the_question_under_the_old_name() {
    let mut order = with_lost_replaced();
    order.asks_new_name = true;
    order.cancel_id = ClOrdId(4);
    order.cancel_of = ClOrdId(2);
    let unknown = OrderUpdate::CancelRejected { reason: 1, is_gone: true };
    assert_eq!(order.apply(ClOrdId(4), unknown), Outcome::Lives);
    assert_eq!((order.state, order.leaves_worst()), (OrderState::InDoubt, Lots(10)));
    order.cancel_id = ClOrdId(5);
    order.cancel_of = ClOrdId(1);
    assert_eq!(order.apply(ClOrdId(5), unknown), Outcome::Gone);
}

#[test]
fn a_status_under_the_old_name_says_nothing_of_a_replace_on_its_way() {
    let mut order = with_lost_replaced();
    let status = OrderUpdate::Status { is_gone: false, cum_qty: Lots(0), leaves_qty: Lots(10) };
    assert_eq!(order.apply(ClOrdId(1), status), Outcome::Lives);
    assert_eq!((order.state, order.leaves_worst()), (OrderState::InDoubt, Lots(25)));
}

#[test]
fn a_fill_that_a_later_one_overtook_is_booked_when_it_comes() {
    let mut order = order(OrderState::Working);
    let outcome = order.apply(ClOrdId(1), fill(3, 7, 3));
    assert!(matches!(outcome, Outcome::Filled { is_inconsistent: true, .. }));
    assert_eq!(order.leaves_worst(), Lots(7));
    let outcome = order.apply(ClOrdId(1), fill(4, 4, 6));
    assert!(matches!(outcome, Outcome::Filled { is_gone: false, .. }));
    assert_eq!(order.leaves_worst(), Lots(3));
    assert_eq!(order.apply(ClOrdId(1), fill(4, 4, 6)), Outcome::DuplicateFill);
}

#[test]
fn an_order_that_trades_beyond_its_size_and_works_on_counts_with_what_works() {
    let mut order = order(OrderState::Working);
    let outcome = order.apply(ClOrdId(1), fill(12, 12, 3));
    let overfilled = Outcome::Filled { is_gone: false, is_overfill: true, is_inconsistent: false };
    assert_eq!((outcome, order.leaves_worst(), order.leaves()), (overfilled, Lots(3), Lots(3)));
    // So does one that the venue calls larger than it was sent.
    let stands = |cum, leaves| OrderUpdate::Status {
        is_gone: false,
        cum_qty: Lots(cum),
        leaves_qty: Lots(leaves),
    };
    assert_eq!(order.apply(ClOrdId(1), stands(12, 5)), Outcome::Lives);
    assert_eq!(order.leaves_worst(), Lots(5));
    assert_eq!(order.apply(ClOrdId(1), stands(0, 12)), Outcome::Lives);
    assert_eq!(order.leaves_worst(), Lots(5), "an old word does not count what traded twice");
    assert_eq!(order.apply(ClOrdId(1), stands(i64::MAX, i64::MAX)), Outcome::Lives);
    assert_eq!(order.leaves_worst(), Lots(i64::MAX - 12));
}
