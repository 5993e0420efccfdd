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

#[test]
fn a_lowered_limit_holds_for_the_next_order() {
    let (mut desk, _) = Desk::quoting();
    act(&mut desk, Act::Set { knob: Knob::OrderSizeMax(SPOT), value: 5 });
    let moved = desk.image(SPOT, 600_500);
    assert!(
        moved.iter().all(|i| i.action == OrderAction::Cancel),
        "10 lots are too many: {moved:?}"
    );
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
