//! What the maker promises of limits on each Greek: what is quoted, and what the gate lets through.

use super::GreekSpan;
use crate::event::*;
use crate::maker::Intents;
use crate::maker::input::Control;
use crate::maker::option_config::OptionLimits;
use crate::maker::option_tests::{CALL, PUT, begin, greeks, limits, side, spanned, with};
use crate::maker::tests::Desk;
use crate::orders::order::Purpose;
use crate::risk::gate::BlockReason;
use crate::risk::greek_limits::{GREEKS, Greek, GreekLimits, GreekVector};
use crate::units::*;

/// A lot of the tests' call, in the order of [`Greek::ALL`].
fn of_a_lot() -> [i64; GREEKS] {
    let (desk, _) = begin(&with(limits(i64::MAX / 10)));
    desk.maker.option(CALL).unwrap().per_lot().parts()
}

/// Limits of which one, net or gross, is `most`, for the underlying or by expiry alone.
fn limited(greek: usize, most: i64, is_net: bool, is_by_expiry: bool) -> OptionLimits {
    let wide = [i64::MAX; GREEKS];
    let (mut net, mut gross) = (wide, wide);
    if is_net {
        net[greek] = most;
    } else {
        // A net limit is at most the gross one.
        (net[greek], gross[greek]) = (most, most);
    }
    let narrow = GreekLimits::new(GreekVector::of(net), GreekVector::of(gross)).unwrap();
    let wide = GreekLimits::new(GreekVector::of(wide), GreekVector::of(wide)).unwrap();
    let (total, bucket) = if is_by_expiry { (wide, narrow) } else { (narrow, wide) };
    OptionLimits { total, buckets: vec![(Nanos(u64::MAX), bucket)], vega_protection: i64::MAX }
}

/// Does an order in a call pass the gate?
fn passes(desk: &mut Desk, way: Side, lots: i64) -> bool {
    let mut out = Intents::new(16, 16);
    let immediate = TimeInForce::ImmediateOrCancel;
    let (purpose, price) = (Purpose::Hedge, Ticks(1_600));
    desk.maker.send_new(CALL, way, purpose, price, Lots(lots), immediate, &mut out).is_some()
}

fn blocked(desk: &Desk) -> u64 {
    let place = BlockReason::ALL.iter().position(|reason| *reason == BlockReason::Greeks);
    desk.maker.counters().blocked[place.unwrap()]
}

#[test]
fn each_greek_net_and_gross_total_and_by_expiry_blocks_one_lot_over_its_limit() {
    let each = of_a_lot();
    assert!(each.iter().all(|greek| *greek != 0), "{each:?}");
    for (n, greek) in Greek::ALL.into_iter().enumerate() {
        for (is_net, is_by_expiry) in [(true, false), (true, true), (false, false), (false, true)] {
            let told = format!("{} {is_net} {is_by_expiry}", greek.name());
            let config = with(limited(n, 10 * each[n].abs(), is_net, is_by_expiry));
            // What is quoted on either side comes to the limit and no further.
            let (mut desk, quotes) = begin(&config);
            for way in [Side::Buy, Side::Sell] {
                let quoted = side(&quotes, CALL, way).iter().map(|quote| quote.size.0).sum::<i64>();
                assert_eq!(quoted, 10, "{told}");
                let before = blocked(&desk);
                assert!(!passes(&mut desk, way, 1), "{told} {way:?}: one over");
                assert_eq!(blocked(&desk), before + 1, "{told}");
            }
        }
    }
}

#[test]
fn what_a_greek_may_become_until_its_refresh_is_not_believed_takes_its_room() {
    let each = of_a_lot();
    for (n, greek) in Greek::ALL.into_iter().enumerate() {
        let (mut desk, _) = begin(&with(limited(n, 10 * each[n].abs(), true, false)));
        let quoted = |desk: &Desk| desk.maker.snapshot(CALL).unwrap().open.map(|open| open.0);
        assert_eq!(quoted(&desk), [10, 10], "{}", greek.name());
        // A quarter more than it is: eight lots are the limit's worth.
        let mut span = [0; GREEKS];
        span[n] = each[n].abs() / 4;
        let at = desk.now;
        let mut sent = spanned(&mut desk, greeks(CALL, at, 1_600), GreekVector::of(span));
        while let Some(intent) = sent.pop() {
            sent.extend(desk.accept(&intent));
        }
        assert_eq!(quoted(&desk), [8, 8], "{}", greek.name());
        let limit = i128::from(10 * each[n].abs());
        let range = desk.maker.greek_ranges(0).unwrap()[n];
        assert!(range.up <= limit && range.down >= -limit, "{} {range:?}", greek.name());
    }
}

#[test]
fn greeks_without_how_far_they_may_move_are_not_taken_in() {
    let (mut desk, _) = begin(&with(limits(i64::MAX / 10)));
    let taken = desk.maker.option(PUT).unwrap().greeks;
    let at = desk.now;
    let refused = |desk: &Desk| desk.maker.counters().parameters_refused;
    desk.control(greeks(PUT, at, 1_700));
    assert_eq!((desk.maker.option(PUT).unwrap().greeks, refused(&desk)), (taken, 1));
    let span = |instrument, at, part| {
        let span = GreekVector::of([part; GREEKS]);
        Control::GreekSpan(GreekSpan { instrument, at: Nanos(at), span })
    };
    // Of another refresh, below zero, of what is no option.
    desk.control(span(PUT, at - 1, 0));
    desk.control(greeks(PUT, at, 1_700));
    assert_eq!((desk.maker.option(PUT).unwrap().greeks, refused(&desk)), (taken, 2));
    desk.control(span(PUT, at, -1));
    desk.control(span(InstrumentId(0), at, 0));
    assert_eq!(refused(&desk), 4);
    desk.control(span(PUT, at, 0));
    desk.control(greeks(PUT, at, 1_700));
    assert_ne!(desk.maker.option(PUT).unwrap().greeks, taken);
    assert_eq!(refused(&desk), 4);
}
