//! What an operator's acts do, over whole sequences of inputs.

use super::control::{Act, KillCause, Knob, Scope, User};
use super::input::Control;
use super::tests::Desk;
use super::*;
use crate::event::*;
use crate::instrument::{Currency, Instrument, InstrumentKind, InstrumentSpec};
use crate::pnl::attribution::Cause;
use crate::pnl::ledger::Holding;
use crate::units::*;

const SPOT: InstrumentId = InstrumentId(0);
const PERP: InstrumentId = InstrumentId(1);

fn act(desk: &mut Desk, act: Act) -> Vec<OrderIntent> {
    let user = User::new(1000, "ada");
    desk.control(Control::By { user, second: User::NOBODY, act })
}

fn position(desk: &Desk, id: InstrumentId) -> i64 {
    desk.maker.ledger().position(id).unwrap().0
}

fn cause(desk: &Desk, wanted: Cause) -> i128 {
    let causes = desk.maker.ledger().causes();
    causes.iter().find(|(cause, _)| *cause == wanted).unwrap().1.0
}

/// Answers whatever is sent: cancels are taken, immediate orders fill, until nothing more is sent.
fn play(desk: &mut Desk, first: Vec<OrderIntent>) -> Vec<OrderIntent> {
    let (mut sent, mut waiting) = (Vec::new(), first);
    for _ in 0..400 {
        let mut answers = Vec::new();
        for intent in &waiting {
            answers.extend(match intent.action {
                OrderAction::New => desk.fill(intent, intent.size.0, intent.size.0),
                OrderAction::Cancel | OrderAction::Replace => desk.accept(intent),
            });
        }
        sent.append(&mut waiting);
        answers.extend(desk.timer());
        waiting = answers;
    }
    assert!(waiting.is_empty(), "it comes to an end");
    sent
}

#[test]
fn a_flattened_instrument_is_traded_to_nothing_in_small_orders_and_halts() {
    let (mut desk, _) = Desk::quoting();
    let first = act(&mut desk, Act::Flatten { scope: Scope::Instrument(SPOT) });
    assert!(first.iter().all(|i| i.action == OrderAction::Cancel), "the quotes go first");
    let sent = play(&mut desk, first);
    assert_eq!(position(&desk, SPOT), 0);
    let news: Vec<_> = sent.iter().filter(|i| i.action == OrderAction::New).collect();
    let on_spot = news.iter().filter(|i| i.instrument == SPOT);
    assert!(on_spot.clone().count() >= 10, "1,000 lots, at most 100 an order");
    for order in on_spot {
        assert_eq!((order.side, order.time_in_force), (Side::Sell, TimeInForce::ImmediateOrCancel));
        assert!(order.size <= Lots(100) && order.price >= Ticks(600_000 - 2_000));
    }
    assert!(news.iter().any(|i| i.instrument == PERP), "the hedge of what is gone comes home too");
    let spot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((spot.state, spot.reason), (State::Halted, Reason::Operator));
}

#[test]
fn a_flattened_underlying_comes_to_its_target_by_the_hedger_and_halts() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = quotes.iter().find(|q| q.side == Side::Buy).unwrap();
    desk.fill(bid, 10, 10);
    assert_eq!(desk.maker.delta(0), Some(Exposure(10_000_000)), "within the band: no hedge");
    let first = act(&mut desk, Act::Flatten { scope: Scope::Underlying(0) });
    play(&mut desk, first);
    assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    assert_eq!(position(&desk, SPOT), 1_010, "what is held stays; what is not hedged goes");
    for id in [SPOT, PERP] {
        assert_eq!(desk.maker.snapshot(id).unwrap().reason, Reason::Operator);
    }
    let back = act(&mut desk, Act::Resume { scope: Scope::All });
    assert!(back.iter().any(|i| i.action == OrderAction::New), "an operator brings it back");
}

#[test]
fn a_kill_ends_a_flatten() {
    let (mut desk, _) = Desk::quoting();
    act(&mut desk, Act::Flatten { scope: Scope::Instrument(SPOT) });
    let first = act(&mut desk, Act::Kill { cause: KillCause::Signal });
    let sent = play(&mut desk, first);
    assert!(sent.iter().all(|i| i.action == OrderAction::Cancel));
    act(&mut desk, Act::Flatten { scope: Scope::All });
    assert!(desk.timer().is_empty(), "after a kill nothing is flattened either");
}

/// What a side of the spot is to be replaced by.
fn sizes(sent: &[OrderIntent], side: Side) -> Vec<i64> {
    let on_side = sent.iter().filter(|i| i.side == side && i.action == OrderAction::Replace);
    on_side.map(|i| i.size.0).collect()
}

#[test]
fn a_lowered_limit_shrinks_at_once_what_is_larger() {
    let (mut desk, _) = Desk::quoting();
    let sent = act(&mut desk, Act::Set { knob: Knob::OrderSizeMax(SPOT), value: 5 });
    assert_eq!((sizes(&sent, Side::Buy), sizes(&sent, Side::Sell)), (vec![5; 2], vec![5; 2]));
    sent.iter().for_each(|replace| assert!(desk.accept(replace).is_empty()));
    // Three lots at 600,000 ticks: what is bid below is worth less, what is offered above more.
    let value = 3 * 600_000 * 100_000;
    let sent = act(&mut desk, Act::Set { knob: Knob::OrderValueMax(SPOT), value });
    assert_eq!((sizes(&sent, Side::Buy), sizes(&sent, Side::Sell)), (vec![3; 2], vec![2; 2]));
    sent.iter().for_each(|replace| assert!(desk.accept(replace).is_empty()));
    assert!(desk.timer().is_empty());
}

#[test]
fn an_order_whose_quantity_was_topped_up_to_the_limit_makes_room_for_a_new_one() {
    let mut config = super::tests::config();
    config.settings[0].limits.order_size_max = Lots(25);
    config.underlyings[0].hedge = None;
    let mut desk = Desk::with(&config);
    let quotes = desk.begin();
    let bid = quotes.iter().find(|q| q.side == Side::Buy).unwrap();
    let topped = desk.fill(bid, 6, 6);
    let topped = topped.iter().find(|i| i.orig_cl_ord_id == bid.cl_ord_id).copied().unwrap();
    assert_eq!((topped.action, topped.size), (OrderAction::Replace, Lots(16)));
    desk.accept(&topped);
    let again = desk.fill(&topped, 9, 15);
    let again = again.iter().find(|i| i.orig_cl_ord_id == topped.cl_ord_id).copied().unwrap();
    assert_eq!((again.action, again.size), (OrderAction::Replace, Lots(25)), "the limit itself");
    desk.accept(&again);
    let last = desk.fill(&again, 1, 16);
    let last = last.iter().find(|i| i.orig_cl_ord_id == again.cl_ord_id).copied().unwrap();
    assert_eq!(last.action, OrderAction::Cancel, "26 are beyond it");
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(16) };
    let new = desk.report(last.cl_ord_id, last.orig_cl_ord_id, SPOT, canceled);
    assert!(new.iter().any(|i| (i.action, i.size) == (OrderAction::New, Lots(10))), "{new:?}");
}

#[test]
fn an_instrument_that_is_paused_or_resumed_lets_no_other_quote_while_its_underlying_is_flattened() {
    for (is_resumed, is_quoted) in [(false, false), (true, true), (true, false)] {
        let mut config = super::tests::config();
        config.settings[1].quote = is_quoted.then(super::tests::quote_settings);
        let mut desk = Desk::with(&config);
        desk.session(OrderUpdate::SessionUp);
        let settle = |desk: &mut Desk, mut sent: Vec<OrderIntent>| {
            while let Some(intent) = sent.pop() {
                sent.extend(desk.accept(&intent));
            }
        };
        let sent = desk.image(PERP, 600_000);
        settle(&mut desk, sent);
        let quotes = desk.image(SPOT, 600_000);
        settle(&mut desk, quotes.clone());
        // What is to come home: its hedge goes out and is not answered.
        let bid = quotes.iter().find(|q| (q.instrument, q.side) == (SPOT, Side::Buy)).unwrap();
        let sent = desk.fill(bid, 10, 10);
        settle(&mut desk, sent);
        let first = act(&mut desk, Act::Flatten { scope: Scope::Underlying(0) });
        for cancel in first.iter().filter(|i| i.action == OrderAction::Cancel) {
            desk.accept(cancel);
        }
        let scope = Scope::Instrument(PERP);
        act(&mut desk, if is_resumed { Act::Resume { scope } } else { Act::Pause { scope } });
        let sent = [desk.image(SPOT, 600_100), desk.timer()].concat();
        assert!(sent.iter().all(|i| i.instrument != SPOT), "{sent:?}");
        let spot = desk.maker.snapshot(SPOT).unwrap();
        // What only hedges goes on with the way home.
        let halted = if is_resumed && is_quoted { State::Halted } else { State::Paused };
        assert_eq!((spot.state, spot.reason), (halted, Reason::Operator));
        let mut back = act(&mut desk, Act::Resume { scope: Scope::Underlying(0) });
        back.extend(desk.image(SPOT, 600_100));
        let spot = desk.maker.snapshot(SPOT).unwrap();
        let is_back = back.iter().any(|i| i.instrument == SPOT && i.action == OrderAction::New);
        assert!(is_back, "{is_resumed}: {:?} {:?} {back:?}", spot.state, spot.reason);
    }
}

#[test]
fn what_the_venue_says_of_a_paused_instrument_is_told_to_who_resumes_it() {
    let (mut desk, _) = Desk::quoting();
    act(&mut desk, Act::Pause { scope: Scope::Instrument(SPOT) });
    let reason = |desk: &Desk| desk.maker.snapshot(SPOT).unwrap().reason;
    assert_eq!(reason(&desk), Reason::Operator);
    desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::ContractDiffers);
    assert_eq!(reason(&desk), Reason::ContractDiffers);
    act(&mut desk, Act::Pause { scope: Scope::Instrument(SPOT) });
    assert_eq!(reason(&desk), Reason::ContractDiffers, "a pause hides nothing");
    act(&mut desk, Act::Kill { cause: KillCause::Signal });
    assert_eq!(reason(&desk), Reason::ContractDiffers);
    let (mut desk, _) = Desk::quoting();
    act(&mut desk, Act::Pause { scope: Scope::Instrument(SPOT) });
    act(&mut desk, Act::Kill { cause: KillCause::Signal });
    assert_eq!(reason(&desk), Reason::Operator, "a kill is told for itself");
}

#[test]
fn a_session_that_was_given_up_is_told_whatever_halted_before() {
    let given_up = |desk: &mut Desk, fault| {
        let update = OrderUpdate::SessionHalted { fault };
        desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, update);
        desk.maker.snapshot(SPOT).unwrap().reason
    };
    let (forgotten, differs) = (SessionFault::SequenceForgotten, SessionFault::OutboundDiffers);
    for halt in [Act::Pause { scope: Scope::All }, Act::Kill { cause: KillCause::Signal }] {
        let (mut desk, _) = Desk::quoting();
        act(&mut desk, halt);
        assert_eq!(given_up(&mut desk, forgotten), Reason::VenueForgot, "{halt:?}");
        assert_eq!(given_up(&mut desk, differs), Reason::OutboundDiffers, "{halt:?}");
        assert_eq!(given_up(&mut desk, forgotten), Reason::OutboundDiffers, "it stays shut");
    }
    let (mut desk, _) = Desk::quoting();
    desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots: Lots(7) });
    assert_eq!(given_up(&mut desk, differs), Reason::PositionDiffers, "nobody resumes that");
}

#[test]
fn what_else_halted_is_told_once_the_account_is_put_right() {
    let says = |desk: &mut Desk, update| {
        desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, update);
        desk.maker.snapshot(SPOT).unwrap().reason
    };
    let [wrong, right] = [7, 1_000].map(|lots| OrderUpdate::Position { lots: Lots(lots) });
    let gone = |fault| OrderUpdate::SessionHalted { fault };
    let (forgotten, differs) =
        (gone(SessionFault::SequenceForgotten), gone(SessionFault::OutboundDiffers));
    let unknown = gone(SessionFault::OrdersUnknown);
    for (updates, told) in [
        (vec![wrong, unknown, right], Reason::UnknownOrder),
        (vec![OrderUpdate::ContractDiffers, wrong, right], Reason::ContractDiffers),
        (vec![unknown, wrong, forgotten, right], Reason::VenueForgot),
        (vec![wrong, right], Reason::AccountPutRight),
        (vec![wrong, forgotten, right], Reason::VenueForgot),
        (vec![forgotten, wrong, right], Reason::VenueForgot),
        (vec![wrong, differs, forgotten, right], Reason::OutboundDiffers),
        (vec![forgotten, wrong, differs, wrong, right], Reason::OutboundDiffers),
    ] {
        let (mut desk, _) = Desk::quoting();
        let last = updates.iter().map(|update| says(&mut desk, *update)).last();
        assert_eq!(last, Some(told), "{updates:?}");
        act(&mut desk, Act::Resume { scope: Scope::Instrument(SPOT) });
        assert_ne!(desk.maker.snapshot(SPOT).unwrap().state, State::Halted);
        says(&mut desk, wrong);
        assert_eq!(says(&mut desk, right), Reason::AccountPutRight, "what was resumed is over");
    }
}

#[test]
fn exposure_limits_out_of_order_change_nothing() {
    let (mut desk, _) = Desk::quoting();
    let before = desk.maker.pools[0].settings.limits;
    for (knob, value) in [
        (Knob::Soft(0), 80_000_000),
        (Knob::Soft(0), 24_999_999),
        (Knob::Stop(0), 200_000_000),
        (Knob::Hard(0), i64::MIN),
        (Knob::Hard(9), 1),
    ] {
        act(&mut desk, Act::Set { knob, value });
        assert_eq!(desk.maker.pools[0].settings.limits, before, "{knob:?}");
    }
    act(&mut desk, Act::Set { knob: Knob::Hard(0), value: 100_000_000 });
    assert_eq!(desk.maker.pools[0].settings.limits.hard(), Exposure(100_000_000));
}

#[test]
fn a_wider_edge_moves_the_quotes_out() {
    let (mut desk, quotes) = Desk::quoting();
    let best = quotes.iter().filter(|q| q.side == Side::Buy).map(|q| q.price).max().unwrap();
    let edge_min = SubTicks::from_ticks(Ticks(500)).0;
    let moved = act(&mut desk, Act::Set { knob: Knob::EdgeMin(SPOT), value: edge_min });
    let bid = moved.iter().filter(|q| q.side == Side::Buy).map(|q| q.price).max().unwrap();
    assert!(bid < best && bid <= Ticks(599_500), "{bid:?}");
}

#[test]
fn a_transfer_is_no_gain_and_an_adjustment_is_one() {
    let (mut desk, _) = Desk::quoting();
    let total = desk.maker.ledger().total().unwrap();
    act(&mut desk, Act::Transfer { holding: Holding::Position(SPOT), amount: 20 });
    assert_eq!(position(&desk, SPOT), 1_020);
    assert_eq!(desk.maker.ledger().total(), Some(total));
    assert_eq!(desk.maker.delta(0), Some(Exposure(20_000_000)), "exposure knows of it at once");
    act(&mut desk, Act::Adjust { holding: Holding::Position(SPOT), amount: -1 });
    // A lot of 0.001 at 60,000.0 is 60 of the currency.
    assert_eq!(cause(&desk, Cause::Adjustment), -60_000_000_000);
    act(&mut desk, Act::Transfer { holding: Holding::Cash(Currency(1)), amount: 5_000_000_000 });
    act(&mut desk, Act::Adjust { holding: Holding::Cash(Currency(1)), amount: 60_000_000_000 });
    assert_eq!(desk.maker.ledger().total(), Some(total));
    let causes: i128 = desk.maker.ledger().causes().iter().map(|(_, amount)| amount.0).sum();
    assert_eq!(causes, total.0, "the causes sum to the total");
}

#[test]
fn a_trade_made_elsewhere_is_booked_with_its_fee_and_hedged() {
    let (mut desk, _) = Desk::quoting();
    let trade =
        Act::Trade { instrument: SPOT, side: Side::Buy, price: Ticks(599_990), size: Lots(40) };
    let sent = act(&mut desk, trade);
    assert_eq!(position(&desk, SPOT), 1_040);
    assert!(cause(&desk, Cause::Fees) < 0);
    assert_eq!(cause(&desk, Cause::Adjustment), 40_000_000, "a unit below the mid, 0.040 of them");
    assert!(sent.iter().any(|i| i.instrument == PERP && i.side == Side::Sell), "{sent:?}");
}

#[test]
fn coin_that_leaves_moves_net_delta_and_is_hedged_at_once() {
    let mut config = super::tests::config();
    let linear = config.instruments[1].spec().clone();
    let inverse = InstrumentSpec {
        symbol: "I2".into(),
        kind: InstrumentKind::InversePerpetual,
        lot: "1".parse().unwrap(),
        settlement: Currency(0),
        ..linear
    };
    config.instruments.push(Instrument::new(InstrumentId(2), inverse).unwrap());
    config.settings.push(super::tests::settings(None, 0));
    config.conversions = vec![(Currency(0), SPOT)];
    let mut desk = Desk::with(&config);
    desk.begin();
    let before = desk.maker.delta(0).unwrap();
    let transfer = Act::Transfer { holding: Holding::Cash(Currency(0)), amount: -30_000_000 };
    let sent = act(&mut desk, transfer);
    assert_eq!(desk.maker.delta(0), Some(Exposure(before.0 - 30_000_000)));
    let hedge = sent.iter().find(|i| i.instrument == PERP);
    assert_eq!(hedge.map(|i| (i.side, i.size)), Some((Side::Buy, Lots(25))), "{sent:?}");
}

#[test]
fn a_booking_that_does_not_fit_halts() {
    let (mut desk, _) = Desk::quoting();
    act(&mut desk, Act::Adjust { holding: Holding::Position(SPOT), amount: i64::MAX });
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::Overflow);
    assert_eq!(position(&desk, SPOT), 1_000);
}
