//! What a cancelled or corrected trade does to the maker: its account, its state, the run after it.

use super::control::{Act, Scope, User};
use super::input::Control;
use super::tests::{Desk, SPOT, config};
use super::*;
use crate::event::{ClOrdId, ExecId, OrderAction, OrderIntent, OrderUpdate};
use crate::maker::intents::Record;
use crate::pnl::ledger::Holding;
use crate::units::{Lots, Notional, Side, Ticks};

/// The account, with its sums held to each other.
fn account(desk: &Desk) -> (Lots, Notional, Notional) {
    let (causes, total) = desk.maker.pnl().unwrap();
    let sum: i128 = causes.iter().map(|(_, amount)| amount.0).sum();
    assert_eq!(Notional(sum), total, "to the last unit");
    let ledger = desk.maker.ledger();
    (ledger.position(SPOT).unwrap(), ledger.cash(Currency(1)).unwrap(), total)
}

fn state(desk: &Desk) -> (State, Reason) {
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    (snapshot.state, snapshot.reason)
}

/// A filled ask: the report's ExecID(17) is 1.
fn filled() -> (Desk, OrderIntent, (Lots, Notional, Notional)) {
    let (mut desk, quotes) = Desk::quoting();
    let ask = *quotes.iter().find(|quote| quote.side == Side::Sell).unwrap();
    let before = account(&desk);
    desk.fill(&ask, ask.size.0, ask.size.0);
    assert_ne!(account(&desk), before);
    (desk, ask, before)
}

fn busted(exec_id: u64) -> OrderUpdate {
    OrderUpdate::TradeCanceled {
        exec_id: ExecId(100 + exec_id),
        ref_exec_id: ExecId(exec_id),
        cum_qty: Lots(0),
        leaves_qty: Lots(0),
    }
}

#[test]
fn a_busted_trade_is_as_if_it_had_never_been_and_the_instrument_halts_with_a_reason_of_its_own() {
    let (mut desk, ask, before) = filled();
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    assert_eq!(account(&desk), before);
    assert_eq!(state(&desk), (State::Halted, Reason::TradeAmended));
    assert_eq!(desk.maker.counters().trades_amended, 1);
}

#[test]
fn a_corrected_trade_is_what_it_really_was_and_may_be_busted_under_either_name() {
    for name in [1, 50] {
        let (mut desk, ask, before) = filled();
        let update = OrderUpdate::TradeCorrected {
            exec_id: ExecId(50),
            ref_exec_id: ExecId(1),
            last_px: Ticks(ask.price.0 + 3),
            last_qty: Lots(ask.size.0 - 1),
            cum_qty: Lots(ask.size.0 - 1),
            leaves_qty: Lots(0),
        };
        desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, update);
        let (lots, cash, _) = account(&desk);
        assert_eq!(lots, Lots(before.0.0 - (ask.size.0 - 1)));
        // A tick and lot is 0.0001 USDT, and the test's fees are what the ledger's own tests hold.
        let value = i128::from((ask.price.0 + 3) * (ask.size.0 - 1)) * 100_000;
        assert!((cash.0 - before.1.0 - value).abs() <= value / 100, "{cash:?}");
        assert_eq!(state(&desk), (State::Halted, Reason::TradeAmended));
        desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(name));
        assert_eq!(account(&desk), before, "under {name}");
    }
}

#[test]
fn a_correction_that_does_not_fit_leaves_the_mark_by_which_gross_is_counted() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    desk.fill(&bid, bid.size.0, bid.size.0);
    desk.image(SPOT, 600_200);
    let mark = desk.maker.ledger().mark(SPOT);
    let update = OrderUpdate::TradeCorrected {
        exec_id: ExecId(50),
        ref_exec_id: ExecId(1),
        last_px: bid.price,
        last_qty: Lots(i64::MAX),
        cum_qty: Lots(i64::MAX),
        leaves_qty: Lots(0),
    };
    desk.report(bid.cl_ord_id, ClOrdId::NONE, SPOT, update);
    assert_eq!(state(&desk), (State::Halted, Reason::Overflow));
    assert_eq!(desk.maker.ledger().mark(SPOT), mark);
}

#[test]
fn a_bust_of_a_fill_that_is_not_known_changes_nothing_and_halts() {
    for exec_id in [0, 77] {
        let (mut desk, ask, _) = filled();
        let before = account(&desk);
        desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(exec_id));
        assert_eq!(account(&desk), before);
        assert_eq!(state(&desk), (State::Halted, Reason::Inconsistent));
    }
}

#[test]
fn a_fill_is_busted_once() {
    let (mut desk, ask, before) = filled();
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    assert_eq!(account(&desk), before);
}

#[test]
fn a_part_of_a_working_order_is_busted_and_the_order_counts_in_full_again() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    let before = account(&desk);
    desk.fill(&bid, 1, 1);
    let update = OrderUpdate::TradeCanceled {
        exec_id: ExecId(9),
        ref_exec_id: ExecId(1),
        cum_qty: Lots(0),
        leaves_qty: bid.size,
    };
    let open = |desk: &Desk| desk.maker.snapshot(SPOT).unwrap().open[0].0;
    let was = open(&desk);
    desk.report(bid.cl_ord_id, ClOrdId::NONE, SPOT, update);
    assert_eq!(account(&desk), before);
    assert_eq!(open(&desk), was + 1, "it may still trade in full");
}

/// The run after this one.
fn next_run(desk: &Desk) -> Desk {
    let mut next = config();
    next.epoch = 2;
    desk.maker.resumption(1, true).begin(&mut next);
    Desk::with(&next)
}

#[test]
fn a_trade_of_an_earlier_run_is_put_right_after_two_restarts() {
    let (desk, ask, before) = filled();
    let mut desk = next_run(&next_run(&desk));
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    let (lots, cash, _) = account(&desk);
    assert_eq!((lots, cash), (before.0, before.1));
    assert_eq!(state(&desk), (State::Halted, Reason::TradeAmended));
}

#[test]
fn what_a_run_begins_halted_with_is_told_once() {
    let (mut desk, ask, _) = filled();
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    let mut desk = next_run(&desk);
    let told = |desk: &Desk| {
        let is_halt = |record: &&Record| match record {
            Record::State { instrument, state, reason, .. } => {
                (*instrument, *state, *reason) == (SPOT, State::Halted, Reason::TradeAmended)
            }
            _ => false,
        };
        desk.out.records().iter().filter(is_halt).count()
    };
    desk.timer();
    assert_eq!(told(&desk), 1);
    desk.timer();
    assert_eq!(told(&desk), 0);
}

#[test]
fn an_account_that_is_wrong_is_told_whatever_halted_the_instrument_before() {
    let (mut desk, ask, _) = filled();
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    assert_eq!(state(&desk), (State::Halted, Reason::TradeAmended));
    let lots = account(&desk).0;
    desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
    assert_eq!(state(&desk), (State::Halted, Reason::TradeAmended), "it is the venue's");
    let lots = Lots(lots.0 + 1);
    desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
    assert_eq!(state(&desk), (State::Halted, Reason::PositionDiffers));
    desk.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    assert_eq!(
        state(&desk),
        (State::Halted, Reason::PositionDiffers),
        "the first of its kind stays"
    );
}

#[test]
fn an_account_in_doubt_is_put_right_before_anything_goes_on() {
    let doubted = || {
        let (mut desk, _, _) = filled();
        let lots = Lots(account(&desk).0.0 + 3);
        desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
        assert_eq!(state(&desk), (State::Halted, Reason::PositionDiffers));
        (desk, lots)
    };
    let act = |desk: &mut Desk, act| {
        desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act })
    };
    let scope = Scope::Instrument(SPOT);
    let holding = Holding::Position(SPOT);
    let by_venue = |desk: &mut Desk, lots| {
        desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
    };
    for way in 0..5 {
        let (mut desk, theirs) = doubted();
        for refused in
            [Act::Resume { scope }, Act::Resume { scope: Scope::All }, Act::Flatten { scope }]
        {
            let sent = act(&mut desk, refused);
            assert!(sent.iter().all(|i| i.instrument != SPOT), "{refused:?}: {sent:?}");
            assert_eq!(state(&desk), (State::Halted, Reason::PositionDiffers));
        }
        desk.control(Control::Resume(SPOT));
        assert_eq!(desk.maker.counters().acts_refused, 4);
        // Cash says nothing of the position.
        let cash = Holding::Cash(Currency(0));
        act(&mut desk, Act::Adjust { holding: cash, amount: 1 });
        assert_eq!(state(&desk), (State::Halted, Reason::PositionDiffers));
        let (side, price, size) = (Side::Buy, Ticks(6_000_000), Lots(3));
        match way {
            0 => drop(act(&mut desk, Act::Adjust { holding, amount: 3 })),
            1 => drop(act(&mut desk, Act::Adjust { holding, amount: 0 })),
            2 => drop(act(&mut desk, Act::Transfer { holding, amount: 3 })),
            3 => drop(act(&mut desk, Act::Trade { instrument: SPOT, side, price, size })),
            _ => by_venue(&mut desk, Lots(theirs.0 - 3)),
        }
        assert_eq!(state(&desk), (State::Halted, Reason::AccountPutRight), "way {way}");
        act(&mut desk, Act::Resume { scope });
        assert_ne!(state(&desk).0, State::Halted, "way {way}");
        assert_eq!(desk.maker.counters().acts_refused, 4);
    }
}

#[test]
fn an_account_in_doubt_outlives_an_orderly_end_and_nothing_else_does() {
    let (mut desk, ask, _) = filled();
    let lots = Lots(account(&desk).0.0 + 3);
    desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
    assert_eq!(desk.maker.resumption(1, false).halts.len(), 1);
    let (mut other, _, _) = filled();
    other.report(ask.cl_ord_id, ClOrdId::NONE, SPOT, busted(1));
    assert_eq!(state(&other), (State::Halted, Reason::TradeAmended));
    assert!(other.maker.resumption(1, false).halts.is_empty());
}

#[test]
fn a_fill_on_another_side_than_the_order_s_is_booked_as_told_and_halts_with_the_account_in_doubt() {
    let (mut desk, quotes) = Desk::quoting();
    let ask = *quotes.iter().find(|quote| quote.side == Side::Sell).unwrap();
    let before = account(&desk).0;
    let sent = desk.fill(&OrderIntent { side: Side::Buy, ..ask }, ask.size.0, ask.size.0);
    assert_eq!(account(&desk).0, Lots(before.0 + ask.size.0));
    assert_eq!(state(&desk), (State::Halted, Reason::Inconsistent));
    // And hedged by nobody before the position is confirmed.
    assert!(sent.iter().all(|intent| intent.action == OrderAction::Cancel), "{sent:?}");
    assert!(desk.timer().iter().all(|intent| intent.action == OrderAction::Cancel));
    assert_eq!(desk.maker.resumption(1, false).unconfirmed, [SPOT]);
}
