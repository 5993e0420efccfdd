//! What is traded home, by exits, the hour and operators: never too much, never against the hedger, and
//! never given up.

use super::control::{Act, Scope, User};
use super::guard_tests::{bids, guarded, immediate, settle, state, take_profit};
use super::guards::GuardSettings;
use super::hedging_tests::hedges;
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, quote_settings};
use super::*;
use crate::event::{ClOrdId, OrderIntent, OrderUpdate};
use crate::pnl::ledger::Holding;
use crate::risk::hours::Phase;
use crate::units::{Lots, Nanos, Notional, Side, Ticks};

const HOLDOFF: u64 = 10_000;

fn position(desk: &Desk, id: InstrumentId) -> i64 {
    desk.maker.ledger().position(id).unwrap().0
}

fn act(desk: &mut Desk, act: Act) -> Vec<OrderIntent> {
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act })
}

/// It ended with so much filled.
fn cancelled(desk: &mut Desk, order: &OrderIntent, cum: i64) -> Vec<OrderIntent> {
    let update = OrderUpdate::Canceled { cum_qty: Lots(cum) };
    desk.report(order.cl_ord_id, ClOrdId::NONE, order.instrument, update)
}

/// Holds ten lots that have lost more than they may: the quotes are out, the first sale is sent.
fn stopped() -> (Desk, OrderIntent) {
    let (mut desk, quotes) = guarded(|guards, _| guards.exit.loss_max = Some(Notional(39_999_999)));
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    let sent = desk.image(SPOT, bid.price.0 - 400);
    settle(&mut desk, sent);
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(10)));
    (desk, taken)
}

#[test]
fn a_step_that_was_closed_is_closed_before_the_timer_looks_again() {
    let (mut desk, quotes) = guarded(|guards, _| guards.exit.take_profit = take_profit());
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    let sent = desk.image(SPOT, bid.price.0 + 40);
    settle(&mut desk, sent);
    let sent = desk.timer();
    settle(&mut desk, sent);
    desk.now += 60_000;
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(5)));
    let mut sent = desk.fill(&taken, 5, 5);
    sent.extend(desk.image(SPOT, bid.price.0 + 40));
    assert!(hedges(&sent).is_empty(), "the step is closed: {sent:?}");
    assert_eq!(position(&desk, SPOT), 1_005);
}

#[test]
fn what_a_stop_fills_in_part_is_followed_by_what_is_left_and_no_more() {
    let (mut desk, taken) = stopped();
    assert!(hedges(&desk.fill(&taken, 6, 6)).is_empty(), "one at a time");
    let sent = cancelled(&mut desk, &taken, 6);
    let [rest] = hedges(&sent)[..] else { panic!("one order: {sent:?}") };
    assert_eq!((rest.side, rest.size), (Side::Sell, Lots(4)));
    let sent = desk.fill(&rest, 4, 4);
    assert!(hedges(&sent).is_empty(), "{sent:?}");
    assert_eq!(position(&desk, SPOT), 1_000, "home, and not short of it");
}

#[test]
fn what_is_offered_at_the_touch_shrinks_with_what_was_sold_there() {
    let (mut desk, quotes) = guarded(|guards, _| guards.exit.take_profit = take_profit());
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    let sent = desk.image(SPOT, bid.price.0 + 40);
    settle(&mut desk, sent);
    let sent = desk.timer();
    let all = settle(&mut desk, sent);
    let price = Ticks(bid.price.0 + 41);
    let offer = *all.iter().rfind(|i| i.price == price && i.side == Side::Sell).unwrap();
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().open, [Lots(0), Lots(5)]);
    let sent = desk.fill(&offer, 3, 3);
    settle(&mut desk, sent);
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().open, [Lots(0), Lots(2)]);
}

#[test]
fn a_position_that_was_closed_elsewhere_is_not_closed_again() {
    let (mut desk, taken) = stopped();
    let price = Ticks(taken.price.0);
    let trade = Act::Trade { instrument: SPOT, side: Side::Sell, price, size: Lots(10) };
    act(&mut desk, trade);
    let sent = cancelled(&mut desk, &taken, 0);
    desk.now += 100 * HOLDOFF;
    let again = desk.image(SPOT, 600_000);
    assert!(hedges(&sent).is_empty() && hedges(&again).is_empty(), "{sent:?} {again:?}");
}

/// Every order of the row trades nothing, for as long as `rests` says: then it is sent again.
fn fails(desk: &mut Desk, first: OrderIntent, times: u32) -> OrderIntent {
    let mut order = first;
    for n in 0..times {
        let at_once = cancelled(desk, &order, 0);
        assert!(hedges(&at_once).is_empty(), "it rests after failure {n}");
        assert!(hedges(&desk.timer()).is_empty());
        desk.now += 8 * HOLDOFF;
        let sent = desk.timer();
        let [next] = hedges(&sent)[..] else { panic!("again after failure {n}: {sent:?}") };
        assert_eq!((next.instrument, next.side, next.size), (SPOT, order.side, order.size));
        order = next;
    }
    order
}

#[test]
fn a_stop_that_trades_nothing_rests_is_told_and_is_never_given_up() {
    let (mut desk, taken) = stopped();
    let taken = fails(&mut desk, taken, 2);
    assert_eq!(state(&desk), (State::Paused, Reason::InstrumentLoss));
    let taken = fails(&mut desk, taken, 40);
    assert_eq!(state(&desk), (State::Paused, Reason::HedgeFailed), "an operator hears of it");
    assert_eq!(desk.maker.pools[0].hedge_failures, 0, "no hedge has failed");
    desk.fill(&taken, 10, 10);
    desk.timer();
    assert_eq!(position(&desk, SPOT), 1_000);
    assert_eq!(state(&desk), (State::Halted, Reason::InstrumentLoss));
}

#[test]
fn a_flatten_that_trades_nothing_rests_and_is_never_given_up() {
    let (mut desk, _) = Desk::quoting();
    let sent = act(&mut desk, Act::Flatten { scope: Scope::Instrument(SPOT) });
    let taken = immediate(&mut desk, sent);
    let taken = fails(&mut desk, taken, 40);
    assert_eq!(state(&desk), (State::Paused, Reason::HedgeFailed));
    desk.fill(&taken, 100, 100);
    desk.timer();
    assert_eq!(state(&desk), (State::Paused, Reason::Operator), "it is on its way again");
}

#[test]
fn failed_hedges_do_not_end_what_a_stop_closes() {
    let (mut desk, taken) = stopped();
    // 40 lots bought elsewhere: the hedger's turn, once the stop rests.
    let price = taken.price;
    act(&mut desk, Act::Trade { instrument: PERP, side: Side::Buy, price, size: Lots(40) });
    let mut sent = cancelled(&mut desk, &taken, 0);
    for n in 0..3 {
        let hedge = hedges(&sent).into_iter().find(|i| i.instrument == PERP);
        let hedge = hedge.unwrap_or_else(|| panic!("hedge {n}: {sent:?}"));
        cancelled(&mut desk, &hedge, 0);
        desk.now += HOLDOFF;
        sent = desk.timer();
        // The stop goes first.
        while let Some(stop) = hedges(&sent).into_iter().find(|i| i.instrument == SPOT) {
            sent = cancelled(&mut desk, &stop, 0);
        }
    }
    assert_eq!(state(&desk), (State::Halted, Reason::HedgeFailed));
    desk.now += 8 * HOLDOFF;
    let sent = hedges(&desk.timer());
    assert_eq!(sent.first().map(|i| (i.instrument, i.size)), Some((SPOT, Lots(10))), "{sent:?}");
}

/// The perpetual is quoted and hedged with, and from `HOUR` on it is to be flat.
fn flat_perpetual() -> MakerConfig {
    let mut config = config();
    config.settings[1].quote = Some(quote_settings());
    let hours = [(Nanos(HOUR), Phase::Flat), (Nanos(2 * HOUR), Phase::Normal)];
    let guards = GuardSettings { hours: Some(hours.into()), ..GuardSettings::default() };
    config.guards.instruments = vec![GuardSettings::default(), guards];
    config
}

const HOUR: u64 = 100_000_000;

#[test]
fn the_hedger_does_not_put_back_what_the_hour_takes_off() {
    let mut desk = Desk::with(&flat_perpetual());
    desk.session(OrderUpdate::SessionUp);
    for id in [PERP, SPOT] {
        let sent = desk.image(id, 600_000);
        settle(&mut desk, sent);
    }
    // 30 lots are beyond the band: 25 are sold.
    let price = Ticks(600_000);
    let trade = Act::Trade { instrument: SPOT, side: Side::Buy, price, size: Lots(30) };
    let sent = act(&mut desk, trade);
    let [hedge] = hedges(&sent)[..] else { panic!("one hedge: {sent:?}") };
    let rest: Vec<_> = sent.into_iter().filter(|i| i.cl_ord_id != hedge.cl_ord_id).collect();
    settle(&mut desk, rest);
    let sent = desk.fill(&hedge, 25, 25);
    settle(&mut desk, sent);
    assert_eq!(position(&desk, PERP), -1_025);
    desk.now = HOUR;
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.instrument, taken.side, taken.size), (PERP, Side::Buy, Lots(25)));
    let mut sent = desk.fill(&taken, 25, 25);
    for _ in 0..5 {
        sent.extend(desk.image(PERP, 600_000));
        sent.extend(desk.image(SPOT, 600_000));
        desk.now += HOLDOFF;
        sent.extend(desk.timer());
    }
    assert!(hedges(&sent).is_empty(), "it stays home: {sent:?}");
    assert_eq!(position(&desk, PERP), -1_000);
    let spot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((spot.state, spot.reason), (State::Reducing, Reason::HedgeFailed));
    desk.now = 2 * HOUR;
    let sent = desk.timer();
    assert_eq!(hedges(&sent).len(), 1, "the hour is over: {sent:?}");
}

#[test]
fn a_deposit_is_no_bet_that_the_hour_would_sell() {
    let hours = [(Nanos(HOUR), Phase::Flat)];
    let (mut desk, _) = guarded(|guards, _| guards.hours = Some(hours.into()));
    let transfer = Act::Transfer { holding: Holding::Position(SPOT), amount: 20 };
    let sent = act(&mut desk, transfer);
    settle(&mut desk, sent);
    desk.timer();
    desk.now = HOUR;
    let sent = desk.timer();
    let sent = settle(&mut desk, sent);
    assert!(hedges(&sent).is_empty(), "{sent:?}");
    assert_eq!(position(&desk, SPOT), 1_020);
}

/// The walk over an underlying's instruments begins and ends with the first and the last of them.
#[test]
fn what_is_taken_home_is_counted_once_however_often_it_is_asked_for() {
    let mut desk = Desk::new();
    let counted = |desk: &Desk| desk.maker.pools[0].lines_flattening;
    let flatten = |id| Act::Flatten { scope: Scope::Instrument(id) };
    let resume = |id| Act::Resume { scope: Scope::Instrument(id) };
    let pause = Act::Pause { scope: Scope::All };
    for (asked, lines) in [
        (flatten(SPOT), 1),
        (flatten(SPOT), 1),
        (flatten(PERP), 2),
        (resume(SPOT), 1),
        (resume(SPOT), 1),
        (pause, 0),
        (pause, 0),
    ] {
        act(&mut desk, asked);
        assert_eq!(counted(&desk), lines, "{asked:?}");
        let flattening = desk.maker.lines.iter().filter(|line| line.is_flattening);
        assert_eq!(flattening.count(), lines as usize);
    }
}
