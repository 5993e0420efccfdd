//! What a run goes on with from the one before: exits, confirmations, lowered limits.

use super::config::MakerConfig;
use super::control::{Act, Knob, Scope, User};
use super::guard_tests::{bids, guarded, immediate, settle, state, take_profit};
use super::guards::GuardSettings;
use super::input::Control;
use super::resumption::{LimitSet, Resumption};
use super::tests::{Desk, PERP, SPOT, config};
use super::*;
use crate::event::{ClOrdId, OrderAction, OrderIntent, OrderUpdate, TimeInForce};
use crate::risk::limits::ExposureLimits;
use crate::units::{Exposure, Lots, Nanos, Notional, Side, Stamp, Ticks};

/// The next run of `config`, with nothing in doubt and nothing to confirm.
fn next_run(left: Resumption, config: &MakerConfig) -> Desk {
    let (mut config, mut left) = (config.clone(), left);
    left.orders.clear();
    left.begin(&mut config);
    let mut desk = Desk::with(&config);
    desk.now = 1_000_000;
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    desk
}

fn config_with(guards: GuardSettings) -> MakerConfig {
    let mut config = config();
    config.guards.instruments = vec![guards];
    config
}

#[test]
fn a_stop_counts_what_the_run_before_bought() {
    let mut guards = GuardSettings::default();
    guards.exit.loss_max = Some(Notional(39_999_999));
    let (mut desk, quotes) = guarded(|of, _| *of = guards.clone());
    let bid = bids(&quotes)[0];
    desk.fill(&bid, 10, 10);
    let mut desk = next_run(desk.maker.resumption(1, false), &config_with(guards));
    let sent = desk.image(SPOT, bid.price.0 - 400);
    settle(&mut desk, sent);
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(10)), "the opening stays");
    assert_eq!(state(&desk), (State::Paused, Reason::InstrumentLoss));
}

#[test]
fn an_exit_that_was_half_done_goes_on() {
    let mut guards = GuardSettings::default();
    guards.exit.take_profit = take_profit();
    let (mut desk, quotes) = guarded(|of, _| *of = guards.clone());
    let bid = bids(&quotes)[0];
    desk.fill(&bid, 10, 10);
    desk.image(SPOT, bid.price.0 + 40);
    desk.timer();
    assert_eq!(state(&desk), (State::Reducing, Reason::TakeProfit));
    let mut desk = next_run(desk.maker.resumption(1, false), &config_with(guards));
    // The gain is gone; the step was reached all the same, and has been offered for long enough.
    let sent = desk.image(SPOT, bid.price.0);
    settle(&mut desk, sent);
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(5)));
}

#[test]
fn where_the_run_before_did_not_say_the_config_s_opening_is_no_bet_and_the_rest_is() {
    let (mut desk, quotes) = guarded(|_, _| {});
    desk.fill(&bids(&quotes)[0], 10, 10);
    let mut left = desk.maker.resumption(1, false);
    left.guarded.clear();
    let mut config = config();
    left.begin(&mut config);
    assert_eq!(config.settings[0].opening, Lots(1_010));
    let guarded = &config.resumption.as_ref().unwrap().guarded;
    assert_eq!(guarded.iter().map(|g| g.opening.0).collect::<Vec<_>>(), [1_000, -1_000]);
}

#[test]
fn an_orderly_end_confirms_no_position_that_nobody_had_confirmed() {
    let (desk, _) = Desk::quoting();
    let crashed = desk.maker.resumption(1, true);
    assert_eq!(crashed.unconfirmed, [SPOT, PERP]);
    let mut desk = next_run(crashed, &config());
    let waits = |desk: &Desk| {
        [SPOT, PERP].map(|of| desk.maker.snapshot(of).unwrap().reason == Reason::OpeningUnconfirmed)
    };
    assert_eq!(waits(&desk), [true, true], "also what only hedges");
    desk.report(ClOrdId::NONE, ClOrdId::NONE, PERP, OrderUpdate::Position { lots: Lots(-1_000) });
    desk.image(PERP, 600_000);
    assert_eq!(waits(&desk), [true, false]);
    desk.control(Control::Shutdown);
    assert_eq!(desk.maker.resumption(2, false).unconfirmed, [SPOT], "nobody looked at it");
}

#[test]
fn limits_that_were_lowered_one_after_the_other_are_all_kept() {
    let (desk, _) = Desk::quoting();
    let mut left = desk.maker.resumption(1, false);
    let set = |knob, value| LimitSet { knob, value };
    // The order in which they stand after soft was lowered twice.
    left.limits = vec![
        set(Knob::Stop(0), 40_000_000),
        set(Knob::Hard(0), 45_000_000),
        set(Knob::Soft(0), 30_000_000),
    ];
    let desk = next_run(left, &config());
    let limits =
        ExposureLimits::new(Exposure(30_000_000), Exposure(40_000_000), Exposure(45_000_000));
    assert_eq!(desk.maker.pools[0].settings.limits, limits.unwrap());
    assert_ne!(state(&desk).0, State::Halted);
}

#[test]
fn lowered_limits_that_are_in_no_order_with_the_config_s_wait_for_an_operator() {
    let (desk, _) = Desk::quoting();
    for (knob, value) in [(Knob::Hard(0), 60_000_000), (Knob::Soft(0), 20_000_000)] {
        let mut left = desk.maker.resumption(1, false);
        left.limits = vec![LimitSet { knob, value }];
        let desk = next_run(left, &config());
        assert_eq!(state(&desk), (State::Halted, Reason::Operator), "{knob:?}");
    }
}

#[test]
fn what_a_crash_left_half_flattened_or_paused_waits_for_an_operator() {
    let user = User::NOBODY;
    for scope in [Scope::All, Scope::Underlying(0), Scope::Instrument(SPOT)] {
        for act in [Act::Flatten { scope }, Act::Pause { scope }] {
            let (mut desk, quotes) = Desk::quoting();
            desk.fill(&bids(&quotes)[0], 10, 10);
            desk.control(Control::By { user, second: user, act });
            let left = desk.maker.resumption(1, true);
            let mut desk = next_run(left, &config());
            for (instrument, lots) in [(SPOT, 1_010), (PERP, -1_000)] {
                let held = OrderUpdate::Position { lots: Lots(lots) };
                desk.report(ClOrdId::NONE, ClOrdId::NONE, instrument, held);
            }
            assert!(desk.image(SPOT, 600_000).is_empty(), "{act:?}");
            assert!(desk.timer().is_empty(), "{act:?}");
            assert_eq!(state(&desk), (State::Halted, Reason::Operator), "{act:?}");
            let sent = desk.control(Control::Resume(SPOT));
            assert!(!sent.is_empty(), "an operator brings it back after {act:?}");
        }
    }
}

/// A bid as a message store has it: nobody knows its level.
fn sent_bid(number: u64, price: i64, size: i64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId::new(1, number),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(price),
        size: Lots(size),
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: SPOT,
        action: OrderAction::New,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

/// A run that begins with these bids in doubt, and is logged on.
fn with_bids(bids: &[OrderIntent]) -> Desk {
    let (desk, _) = Desk::quoting();
    let (mut config, mut left) = (config(), desk.maker.resumption(1, true));
    left.orders.clear();
    bids.iter().for_each(|bid| left.take_sent(bid));
    left.begin(&mut config);
    let mut desk = Desk::with(&config);
    desk.now = 1_000_000;
    desk.session(OrderUpdate::SessionUp);
    desk
}

#[test]
fn every_order_out_of_the_message_store_is_seen_by_self_trade_prevention_and_taken_out() {
    let mut desk = with_bids(&[sent_bid(1, 599_000, 10), sent_bid(2, 599_500, 10)]);
    let line = desk.maker.line(SPOT).unwrap();
    assert_eq!(desk.maker.own_best(line, Side::Buy), Some(Ticks(599_500)));
    desk.now += 2_000_000;
    let asked = desk.timer();
    assert_eq!(asked.len(), 2, "both are in doubt: {asked:?}");
    for cancel in &asked {
        // The venue will not cancel them now: they work.
        let refused = OrderUpdate::CancelRejected { reason: 0, is_gone: false };
        let again = desk.report(cancel.cl_ord_id, cancel.orig_cl_ord_id, SPOT, refused);
        assert!(again.iter().any(|sent| sent.orig_cl_ord_id == cancel.orig_cl_ord_id), "{again:?}");
    }
}

#[test]
fn more_orders_of_a_side_than_there_are_rungs_are_taken_out_all_the_same() {
    let count = u64::try_from(LEVELS_MAX).unwrap() + 1;
    let bids: Vec<_> = (1..=count).map(|n| sent_bid(n, 599_000, 1)).collect();
    let mut desk = with_bids(&bids);
    let stands = OrderUpdate::Status { is_gone: false, cum_qty: Lots(0), leaves_qty: Lots(1) };
    let last = ClOrdId::new(1, count);
    let at_once = desk.report(last, ClOrdId::NONE, SPOT, stands);
    assert!(at_once.iter().all(|sent| sent.orig_cl_ord_id != last), "it has no rung");
    let sent = desk.timer();
    assert!(sent.iter().any(|sent| sent.orig_cl_ord_id == last), "{sent:?}");
}

#[test]
fn the_answer_to_the_first_of_two_replaces_says_nothing_of_the_second() {
    let replace = |number, orig, size| OrderIntent {
        action: OrderAction::Replace,
        orig_cl_ord_id: ClOrdId::new(1, orig),
        ..sent_bid(number, 599_000, size)
    };
    let mut desk = with_bids(&[sent_bid(1, 599_000, 5), replace(2, 1, 4), replace(3, 2, 10)]);
    let (first, second) = (ClOrdId::new(1, 2), ClOrdId::new(1, 3));
    let replaced = |size| OrderUpdate::Replaced { price: Ticks(599_000), leaves_qty: Lots(size) };
    desk.report(first, ClOrdId::new(1, 1), SPOT, replaced(4));
    assert_eq!(desk.maker.orders.open(SPOT).buy, Lots(10), "the second may work");
    desk.report(second, first, SPOT, replaced(10));
    assert_eq!(desk.maker.orders.open(SPOT).buy, Lots(10));
}

#[test]
fn of_two_replaces_of_one_order_in_the_message_store_the_first_may_be_what_works() {
    let replace = |number, orig, price, size| OrderIntent {
        action: OrderAction::Replace,
        orig_cl_ord_id: ClOrdId::new(1, orig),
        ..sent_bid(number, price, size)
    };
    let mut left = Resumption::default();
    let sent = [sent_bid(1, 599_000, 5), replace(2, 1, 599_500, 10), replace(3, 2, 599_100, 4)];
    sent.iter().for_each(|sent| left.take_sent(sent));
    let order = left.orders[0];
    assert_eq!((order.replace_id, left.orders.len()), (ClOrdId::new(1, 3), 1));
    assert_eq!((order.leaves_worst(), order.price_worst()), (Lots(10), Ticks(599_500)));
}
