//! What the hedger does while an option that is held has no value.

use crate::event::OrderIntent;
use crate::inventory::option_book::Unvalued;
use crate::maker::input::Control;
use crate::maker::option_tests::with;
use crate::maker::option_tests::{CALL, FUTURE, HOME, LOT, PUT, begin, greeks, limits, refresh};
use crate::maker::tests::Desk;
use crate::units::{Exposure, Lots, Side};

/// Long or short so many calls and puts, hedged to the band's inner edge, and then the put's Greeks are
/// too old.
fn unvalued_put(way: Side, calls: i64, puts: i64) -> Desk {
    let mut config = with(limits(i64::MAX / 10));
    let sign = way.sign();
    (config.settings[1].opening, config.settings[2].opening) =
        (Lots(sign * calls), Lots(sign * puts));
    // While one of the two has no mark yet, the gross limit holds the first hedge back.
    config.underlyings[0].hedge.as_mut().unwrap().retry_holdoff_ns = 1;
    let (mut desk, sent) = begin(&config);
    desk.timer();
    if let Some(hedge) = hedge_in(&sent) {
        desk.fill(&hedge, hedge.size.0, hedge.size.0);
    }
    settle(&mut desk);
    let hedged = desk.maker.delta(0).unwrap();
    assert!(hedged.0.abs() <= 60_000_000_000, "{hedged:?}");
    desk.now += 800_000;
    desk.image(FUTURE, HOME);
    let at = desk.now;
    refresh(&mut desk, greeks(CALL, at, 1_600));
    desk.now += 200_000;
    desk.image(FUTURE, HOME);
    desk.timer();
    assert!(matches!(desk.maker.option(PUT).unwrap().value, Err(Unvalued::Outside(_))));
    assert_eq!(desk.maker.delta(0), None);
    desk
}

/// Every hedge that works trades in full, as often as it takes.
fn settle(desk: &mut Desk) {
    for _ in 0..20 {
        let Some(hedge) = hedge_in(&desk.timer()) else { return };
        desk.accept(&hedge);
        desk.fill(&hedge, hedge.size.0, hedge.size.0);
    }
}

fn hedge_in(sent: &[OrderIntent]) -> Option<OrderIntent> {
    sent.iter().find(|intent| intent.instrument == FUTURE).copied()
}

/// The call's delta is now this many tenths of what a lot is on.
fn call_delta(desk: &mut Desk, tenths: i64) -> Vec<OrderIntent> {
    let at = desk.now;
    let Control::Greeks(mut fresh) = greeks(CALL, at, 1_600) else { unreachable!() };
    fresh.greeks.taken.exposure = Exposure(2 * LOT * tenths / 10);
    refresh(desk, Control::Greeks(fresh))
}

#[test]
fn one_option_without_a_value_does_not_stop_the_hedge_of_the_rest() {
    // Ten calls and one put: nine tenths of a delta more a call than was hedged is 200 too much, and the
    // put takes off 62 and a half of it at most.
    for (way, hedged) in [(Side::Buy, Side::Sell), (Side::Sell, Side::Buy)] {
        let mut desk = unvalued_put(way, 10, 1);
        let before = desk.maker.ledger().position(FUTURE).unwrap().0;
        let sent = call_delta(&mut desk, 9);
        let hedge = hedge_in(&sent).expect("what is sure is hedged");
        assert_eq!(hedge.side, hedged);
        desk.accept(&hedge);
        desk.fill(&hedge, hedge.size.0, hedge.size.0);
        settle(&mut desk);
        // Wherever the put is between nothing and a whole delta, nothing was traded through the target.
        let traded = (desk.maker.ledger().position(FUTURE).unwrap().0 - before) * 2 * LOT;
        let rest = way.sign() * (10 * 2 * LOT * 9 / 10 + (before * 2 * LOT + traded) * way.sign());
        let rest = rest * way.sign();
        assert!(traded != 0 && rest >= 0, "{rest}");
        let sure = rest - 5 * 2 * LOT / 4;
        assert!((0..=60_000_000_000).contains(&sure), "{sure}");
        assert_eq!(desk.maker.delta(0), None, "and it is still not known");
    }
}

#[test]
fn what_the_missing_value_may_make_good_is_not_hedged() {
    // Six puts may be anything down to 375 short: 200 more of the calls are sure of nothing.
    let mut desk = unvalued_put(Side::Buy, 10, 6);
    let sent = call_delta(&mut desk, 9);
    assert_eq!(hedge_in(&sent), None);
    assert_eq!(hedge_in(&desk.timer()), None);
    // With its value it is known again, and what is beyond the band goes.
    let at = desk.now;
    let sent = refresh(&mut desk, greeks(PUT, at, 1_600));
    assert!(desk.maker.delta(0).is_some());
    assert!(hedge_in(&sent).is_some());
}
