//! What the counting controls and the loss stops do to a maker that quotes.

use super::config::MakerConfig;
use super::control::{Act, Scope, User};
use super::hedging_tests::{hedges, set_band};
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, news};
use super::*;
use crate::event::{ClOrdId, OrderAction, OrderIntent, OrderUpdate};
use crate::pnl::ledger::Holding;
use crate::risk::gate::BlockReason;
use crate::risk::loss::CarriedDay;
use crate::risk::order_to_trade::CarriedRatio;
use crate::risk::throttle::MessageRate;
use crate::risk::window::WindowLimit;
use crate::units::{Exposure, Lots, Notional, Side, Ticks};

fn quoting(config: &MakerConfig) -> (Desk, Vec<OrderIntent>) {
    let mut desk = Desk::with(config);
    let quotes = desk.begin();
    (desk, quotes)
}

fn state(desk: &Desk, id: InstrumentId) -> (State, Reason) {
    let snapshot = desk.maker.snapshot(id).unwrap();
    (snapshot.state, snapshot.reason)
}

fn blocked(desk: &Desk, reason: BlockReason) -> u64 {
    let place = BlockReason::ALL.iter().position(|r| *r == reason).unwrap();
    desk.maker.counters().blocked[place]
}

#[test]
fn gross_notional_counts_positions_and_quotes_and_leaves_no_lot_beyond() {
    let mut config = config();
    // A lot is worth 60: two positions of 1,000 lots and 15 more, of the 20 that the bids want.
    config.portfolio.gross_max = Notional(2_015 * 60_000_000_000 + 1_000_000_000);
    let (desk, quotes) = quoting(&config);
    let lots = |side| quotes.iter().filter(|q| q.side == side).map(|q| q.size.0).sum::<i64>();
    assert_eq!((lots(Side::Buy), lots(Side::Sell)), (10, 20), "asks do not raise the worst case");
    assert!(blocked(&desk, BlockReason::GrossNotional) > 0);
    let rounding = desk.maker.gross_notional().unwrap().0 - 2_010 * 60_000_000_000;
    assert!((0..=2).contains(&rounding), "{rounding}");
}

#[test]
fn a_position_of_unknown_worth_keeps_back_what_would_add() {
    let mut desk = Desk::with(&config());
    desk.session(OrderUpdate::SessionUp);
    let asks = desk.image(SPOT, 600_000);
    assert!(
        asks.iter().all(|ask| ask.side == Side::Sell),
        "the perpetual's worth is not known yet"
    );
    assert!(blocked(&desk, BlockReason::GrossNotional) > 0);
    let begun = desk.image(PERP, 600_000).len() + desk.timer().len();
    assert_eq!(asks.len() + begun, 4);
}

#[test]
fn too_many_fills_pull_every_quote_until_the_cool_down_is_over() {
    let mut config = config();
    config.underlyings[0].protection.fills_max = 2;
    let tolerance = &mut config.settings[0].quote.as_mut().unwrap().tolerance;
    (tolerance.lots, tolerance.aggressive_ticks, tolerance.passive_ticks) = (5, 50, 50);
    let (mut desk, quotes) = quoting(&config);
    for cum in 1..=2 {
        desk.fill(&quotes[0], 1, cum);
        assert_eq!(state(&desk, SPOT).0, State::Quoting);
    }
    let pulled = desk.fill(&quotes[0], 1, 3);
    assert_eq!(state(&desk, SPOT), (State::Paused, Reason::Protection));
    assert_eq!(pulled.len(), 4, "every level of both sides");
    assert!(pulled.iter().all(|intent| intent.action == OrderAction::Cancel));
    pulled.iter().for_each(|cancel| assert_eq!(news(&desk.accept(cancel)), 0));
    assert_eq!(desk.maker.counters().protections, 1);
    desk.now += 50_000;
    assert_eq!(news(&desk.timer()), 4);
}

#[test]
fn hedges_go_on_while_protection_cools_down() {
    let mut config = config();
    config.underlyings[0].protection.delta_max = Exposure(9_000_000);
    set_band(&mut config, 8_000_000);
    let (mut desk, quotes) = quoting(&config);
    let sent = desk.fill(&quotes[0], 10, 10);
    assert_eq!(state(&desk, SPOT), (State::Paused, Reason::Protection));
    assert_eq!(hedges(&sent).len(), 1);
    assert_eq!(news(&sent), 1, "nothing but the hedge");
}

#[test]
fn repeated_executions_halt_until_a_person_resumes_and_a_restart_remembers() {
    let mut config = config();
    config.settings[0].limits.executions = WindowLimit { max: 2, window_ns: 1_000_000 };
    let (mut desk, quotes) = quoting(&config);
    for cum in 1..=3 {
        assert_eq!(state(&desk, SPOT).0, State::Quoting);
        desk.fill(&quotes[0], 1, cum);
    }
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::RepeatedExecutions));
    let carried = desk.maker.carried();
    assert_eq!(carried.switched_off, [SPOT]);
    config.carried = carried;
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    assert!(desk.image(SPOT, 600_000).is_empty());
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::RepeatedExecutions));
    assert_eq!(news(&desk.control(Control::Resume(SPOT))), 4);
    assert_eq!(desk.maker.carried().switched_off, []);
}

/// After three fills in a window that takes two.
fn switched_off() -> (MakerConfig, Desk) {
    let mut config = config();
    config.settings[0].limits.executions = WindowLimit { max: 2, window_ns: 1_000_000 };
    let (mut desk, quotes) = quoting(&config);
    (1..=3).for_each(|cum| drop(desk.fill(&quotes[0], 1, cum)));
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::RepeatedExecutions));
    (config, desk)
}

/// Ends in order, and starts again: nothing is quoted before a person resumes.
fn stays_off(config: &MakerConfig, mut desk: Desk) {
    desk.control(Control::Shutdown);
    let (mut config, mut left) = (config.clone(), desk.maker.resumption(1, false));
    left.orders.clear();
    left.begin(&mut config);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    assert!(desk.image(SPOT, 600_000).is_empty());
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::RepeatedExecutions));
    assert!(news(&desk.control(Control::Resume(SPOT))) > 0);
}

#[test]
fn repeated_executions_keep_an_instrument_off_that_was_traded_home_and_restarted() {
    let (config, mut desk) = switched_off();
    let act = Act::Flatten { scope: Scope::Instrument(SPOT) };
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    assert_eq!(state(&desk, SPOT), (State::Paused, Reason::Operator));
    let act = Act::Pause { scope: Scope::Instrument(SPOT) };
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::Operator), "as it ends at home");
    stays_off(&config, desk);
}

#[test]
fn repeated_executions_keep_an_instrument_off_whose_position_was_in_doubt_since() {
    let (config, mut desk) = switched_off();
    let held = desk.maker.ledger().position(SPOT).unwrap();
    for lots in [Lots(held.0 + 1), held] {
        desk.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, OrderUpdate::Position { lots });
    }
    assert_eq!(state(&desk, SPOT), (State::Halted, Reason::RepeatedExecutions));
    stays_off(&config, desk);
}

#[test]
fn a_day_s_loss_takes_everything_out_until_the_day_ends() {
    let mut config = config();
    config.portfolio.loss.daily_max = Notional(999_000_000);
    config.portfolio.loss.day_ends = vec![Nanos(10_000_000)];
    let (mut desk, quotes) = quoting(&config);
    let bid = *quotes.iter().find(|q| q.side == Side::Buy).unwrap();
    desk.fill(&bid, 10, 10);
    // Ten lots at 0.1 × 0.001 a tick: 1.1 is lost as the market falls by 1,100 ticks.
    desk.image(PERP, 600_000);
    desk.image(SPOT, bid.price.0 - 1_100);
    let before = desk.maker.live_orders();
    assert!(before > 0);
    desk.timer();
    assert_eq!(state(&desk, SPOT), (State::Paused, Reason::DailyLoss));
    assert_eq!(desk.maker.counters().loss_stops, 1);
    let day = desk.maker.carried().day.unwrap();
    assert_eq!(day.ends, Nanos(10_000_000));
    assert!(day.pnl < Notional(-999_000_000));
    // What comes back does not reopen the day, nor does a restart.
    desk.image(SPOT, 600_000);
    desk.timer();
    let carried = desk.maker.carried();
    assert!(carried.day.is_some_and(|day| day.pnl > Notional(-999_000_000)));
    let mut again = Desk::with(&MakerConfig { carried, ..config.clone() });
    again.now = desk.now;
    again.session(OrderUpdate::SessionUp);
    again.image(PERP, 600_000);
    assert!(again.image(SPOT, 600_000).is_empty());
    again.timer();
    assert_eq!(state(&again, SPOT), (State::Paused, Reason::DailyLoss));
    desk.now = 10_000_000;
    desk.timer();
    assert_ne!(state(&desk, SPOT).1, Reason::DailyLoss);
}

#[test]
fn the_same_order_over_and_over_is_blocked() {
    let mut config = config();
    config.settings[0].limits.duplicates = WindowLimit { max: 2, window_ns: 1_000_000 };
    config.settings[0].quote.as_mut().unwrap().reject_holdoff_ns = 0;
    config.rejects_max = 100;
    let (mut desk, quotes) = quoting(&config);
    let mut bid = quotes[0];
    let unsent = |desk: &mut Desk, bid: &OrderIntent| {
        let cancelled = OrderUpdate::Canceled { cum_qty: Lots(0) };
        desk.report(bid.cl_ord_id, ClOrdId::NONE, SPOT, cancelled)
    };
    let again = unsent(&mut desk, &bid);
    assert_eq!(news(&again), 1);
    bid = again[0];
    assert_eq!(news(&unsent(&mut desk, &bid)), 0, "a third one alike");
    assert_eq!(blocked(&desk, BlockReason::Duplicate), 1);
    desk.now += 1_000_000;
    assert_eq!(news(&desk.timer()), 1);
}

#[test]
fn too_many_messages_for_the_day_s_trades_leave_only_cancels() {
    let mut config = config();
    // Quotes leave the last one of five to what takes risk off.
    config.order_to_trade[0].grace = 5;
    let (mut desk, _) = quoting(&config);
    let moved = desk.image(SPOT, 599_000);
    assert!(!moved.is_empty() && moved.iter().all(|i| i.action == OrderAction::Cancel));
    assert!(blocked(&desk, BlockReason::OrderToTrade) > 0);
    moved.iter().for_each(|cancel| assert_eq!(news(&desk.accept(cancel)), 0));
    // The venue goes on counting over a restart, and begins anew with the day.
    config.portfolio.loss.day_ends = vec![Nanos(10_000_000), Nanos(20_000_000)];
    config.carried = desk.maker.carried();
    config.carried.day = Some(CarriedDay { ends: Nanos(10_000_000), ..CarriedDay::default() });
    for (now, is_blocked) in [(9_000_000, true), (10_000_000, false)] {
        let mut desk = Desk::with(&config);
        desk.now = now;
        desk.timer();
        desk.session(OrderUpdate::SessionUp);
        desk.image(PERP, 600_000);
        assert_eq!(news(&desk.image(SPOT, 600_000)) == 0, is_blocked, "at {now}");
        assert_eq!(blocked(&desk, BlockReason::OrderToTrade) > 0, is_blocked, "at {now}");
    }
}

#[test]
fn the_messages_of_a_day_that_ended_before_any_timer_are_not_the_next_day_s() {
    let mut config = config();
    config.portfolio.loss.day_ends = [1, 2].map(|n| Nanos(n * 10_000_000_000)).to_vec();
    config.settings[0].stale_after_ns = 1_000_000_000_000;
    let (mut desk, quotes) = quoting(&config);
    desk.timer();
    desk.now = 9_000_000_000;
    desk.image(SPOT, 600_000);
    let sent = quotes.len() as u64;
    assert!(desk.maker.carried().ratios[0].messages >= sent, "within the day");
    // The day's end passes, and before any timer the run is over.
    desk.now = 10_000_000_000;
    desk.image(SPOT, 600_000);
    config.carried = desk.maker.carried();
    assert_eq!(config.carried.day.unwrap().ends, Nanos(20_000_000_000));
    let mut after = Desk::with(&config);
    after.now = 10_000_000_001;
    after.timer();
    assert_eq!(after.maker.carried().ratios[0], CarriedRatio::default());
}

#[test]
fn a_hedge_goes_where_quotes_have_used_up_the_day_s_messages_or_the_window_s() {
    for (grace, max, reason) in
        [(200, 10_000, BlockReason::OrderToTrade), (10_000, 202, BlockReason::MessageRate)]
    {
        let mut config = config();
        config.order_to_trade[0].grace = grace;
        config.message_rates[0] = MessageRate { max, window_ns: 1_000_000_000, cancel_reserve: 2 };
        let (mut desk, _) = quoting(&config);
        // The market moves up and down until quotes may follow it no more.
        for n in 0.. {
            let mut sent = desk.image(SPOT, 600_000 + 50 * (n % 2));
            while let Some(intent) = sent.pop() {
                sent.extend(desk.accept(&intent));
            }
            if blocked(&desk, reason) > 0 {
                break;
            }
        }
        let price = Ticks(600_000);
        let trade = Act::Trade { instrument: SPOT, side: Side::Buy, price, size: Lots(40) };
        let act = Control::By { user: User::NOBODY, second: User::NOBODY, act: trade };
        let sent = desk.control(act);
        let hedge = sent.iter().find(|i| i.instrument == PERP);
        assert_eq!(hedge.map(|i| (i.side, i.size)), Some((Side::Sell, Lots(35))), "{reason:?}");
    }
}

#[test]
fn what_was_lost_since_the_last_timer_counts_for_the_day_over_a_restart() {
    let mut config = config();
    config.portfolio.loss.day_ends = vec![Nanos(1_000_000_000)];
    let (mut desk, quotes) = quoting(&config);
    desk.timer();
    let before = desk.maker.carried().day.unwrap().pnl.0;
    desk.fill(quotes.iter().find(|q| q.side == Side::Buy).unwrap(), 10, 10);
    desk.image(SPOT, 599_000);
    let total = desk.maker.ledger().total().unwrap().0;
    let lost = before - desk.maker.carried().day.unwrap().pnl.0;
    assert!(total < 0 && lost == -total, "{lost} of {total}");
}

/// Spot moves from elsewhere: the net delta changes and no quote was filled. What is sent is answered.
fn transfer(desk: &mut Desk, lots: i64) {
    let act = Act::Transfer { holding: Holding::Position(SPOT), amount: lots };
    let mut sent = desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    sent.extend(desk.timer());
    while let Some(intent) = sent.pop() {
        sent.extend(desk.accept(&intent));
    }
}

/// Open lots to buy and to sell.
fn open(desk: &Desk) -> [i64; 2] {
    desk.maker.snapshot(SPOT).unwrap().open.map(|lots| lots.0)
}

#[test]
fn limits_on_net_delta_reduce_and_then_stop_and_each_is_left_only_well_inside() {
    // Soft at 50 lots, stop at 80, hard at 200; back from reducing at six eighths of the soft limit.
    let mut config = config();
    config.underlyings[0].hedge = None;
    for sign in [1, -1] {
        let (mut desk, _) = quoting(&config);
        let adding = usize::from(sign < 0);
        let steps = [
            (50, (State::Quoting, Reason::Normal), [20, 20]),
            (1, (State::Reducing, Reason::SoftLimit), [0, 20]),
            (29, (State::Reducing, Reason::SoftLimit), [0, 20]),
            (1, (State::Paused, Reason::Concentration), [0, 0]),
            (-30, (State::Paused, Reason::Concentration), [0, 0]),
            (-1, (State::Reducing, Reason::SoftLimit), [0, 20]),
            (-12, (State::Reducing, Reason::SoftLimit), [0, 20]),
            (-1, (State::Quoting, Reason::Normal), [20, 20]),
        ];
        let mut lots = 0;
        for (by, expected, [to_add, to_reduce]) in steps {
            lots += by;
            transfer(&mut desk, sign * by);
            assert_eq!(state(&desk, SPOT), expected, "{} lots", sign * lots);
            let open = open(&desk);
            assert_eq!([open[adding], open[1 - adding]], [to_add, to_reduce], "{lots} lots");
        }
        let entered: Vec<_> = desk.maker.counters().entered.iter().collect();
        let count = |of| entered.iter().find(|(reason, _)| *reason == of).map(|(_, count)| *count);
        assert_eq!(count(Reason::SoftLimit), Some(2));
        assert_eq!(count(Reason::Concentration), Some(1));
    }
}

#[test]
fn as_many_orders_live_as_the_table_holds_and_not_one_more() {
    for (orders_max, over) in [(64, 0), (4, 0), (3, 1), (1, 3)] {
        let (desk, quotes) = quoting(&MakerConfig { orders_max, ..config() });
        assert_eq!(quotes.len(), 4 - over, "{orders_max}");
        assert_eq!(desk.maker.live_orders(), 4 - over, "{orders_max}");
        assert_eq!(blocked(&desk, BlockReason::TooManyOrders) > 0, over > 0, "{orders_max}");
    }
}
