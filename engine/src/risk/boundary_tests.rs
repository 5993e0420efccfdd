//! Limits of the gate at `max`, one over, and the integers' extremes, where a side or a sign differs.

use super::claim::Claim;
use super::collar::Collar;
use super::gate::{BlockReason, Facts, Proposal, Verdict, check};
use super::gross::{GrossNotional, LOTS_VALUED, lots_worst};
use super::limits::{ExposureLimits, InstrumentLimits, ValueLimit};
use super::pin::{Pin, PinRules};
use super::throttle::{MessageRate, Throttle};
use super::window::WindowLimit;
use crate::event::InstrumentId;
use crate::orders::table::OpenSize;
use crate::units::{Exposure, Lots, Nanos, Notional, Side, SubTicks, Ticks};

const HARD: i64 = 300;
const POSITION_MAX: i64 = 20;

/// What the gate says of one more order of `size`, with every other limit out of the way.
fn gate(
    side: Side,
    size: i64,
    position: i64,
    (per_lot, worst): (i64, i64),
    open: OpenSize,
) -> Option<BlockReason> {
    let executions = WindowLimit { max: 1, window_ns: 1 };
    let limits = InstrumentLimits {
        order_size_max: Lots(i64::MAX),
        order_value_max: ValueLimit::TickLots(i128::MAX),
        position_max: Lots(POSITION_MAX),
        collar: Collar { width: Ticks(50) },
        executions,
        duplicates: executions,
    };
    let mut gross = GrossNotional::new(Notional(i128::MAX), 1);
    gross.set_value(0, Some(i128::from(LOTS_VALUED.0)));
    let (price, size) = (Ticks(100), Lots(size));
    let facts = Facts {
        limits: &limits,
        reference: Ok(price),
        position: Lots(position),
        away: Lots(0),
        open,
        is_spot: false,
        exposure_per_lot: Exposure(per_lot),
        exposure_worst: Exposure(worst),
        exposure_limits: &ExposureLimits::new(Exposure(100), Exposure(200), Exposure(HARD))
            .unwrap(),
        own_opposite: None,
        gross: &gross,
    };
    let proposal = Proposal { instrument: InstrumentId(0), side, price, size, added: size };
    match check(&proposal, &facts) {
        Verdict::Pass => None,
        Verdict::Block(reason) => Some(reason),
    }
}

const NONE: OpenSize = OpenSize { buy: Lots(0), sell: Lots(0) };

#[test]
fn the_position_limit_binds_buys_and_sells_alike_with_what_is_open_on_their_side() {
    let blocked = Some(BlockReason::Position);
    for (side, sign) in [(Side::Buy, 1), (Side::Sell, -1)] {
        let open = OpenSize { buy: Lots(5), sell: Lots(5) };
        for (size, verdict) in [(10, None), (11, blocked), (i64::MAX, blocked)] {
            assert_eq!(gate(side, size, 5 * sign, (0, 0), open), verdict, "{side:?} {size}");
        }
        // From the other side of nothing there is room for both.
        for (size, verdict) in [(40, None), (41, blocked)] {
            let position = -POSITION_MAX * sign;
            assert_eq!(gate(side, size, position, (0, 0), NONE), verdict, "{side:?} {size}");
        }
        for position in [i64::MAX, i64::MIN] {
            let verdict = gate(side, 1, position, (0, 0), NONE);
            assert_eq!(verdict, blocked.filter(|_| position.signum() == sign), "{side:?}");
        }
    }
}

#[test]
fn the_hard_limit_binds_whichever_way_an_order_moves_the_underlying() {
    let blocked = Some(BlockReason::Exposure);
    // A put bought moves it as a future sold does.
    for (side, per_lot) in
        [(Side::Buy, 10i64), (Side::Sell, 10), (Side::Buy, -10), (Side::Sell, -10)]
    {
        let way = per_lot.signum() * if side == Side::Buy { 1 } else { -1 };
        for (size, verdict) in [(5, None), (6, blocked)] {
            let worst = 250 * way;
            assert_eq!(gate(side, size, 0, (per_lot, worst), NONE), verdict, "{side:?} {per_lot}");
        }
        // What takes it home passes however far it is away.
        let home = gate(side, 5, 0, (per_lot, -10_000 * way), NONE);
        assert_eq!(home, None, "{side:?} {per_lot}");
        for (size, worst) in [(1, i64::MAX), (20, i64::MAX)] {
            let verdict = gate(side, size, 0, (per_lot, worst * way), NONE);
            assert_eq!(verdict, blocked, "{side:?} {per_lot} {size}");
        }
        let extreme = if per_lot > 0 { i64::MAX } else { i64::MIN };
        assert_eq!(gate(side, 20, 0, (extreme, 0), NONE), blocked, "{side:?} {extreme}");
    }
}

#[test]
fn a_negative_exposure_a_lot_is_no_room_for_a_lot_more() {
    // One lot is the whole limit, and one unit more is over it.
    for side in Side::BOTH {
        for (per_lot, verdict) in [
            (HARD, None),
            (-HARD, None),
            (HARD + 1, Some(BlockReason::Exposure)),
            (-HARD - 1, Some(BlockReason::Exposure)),
        ] {
            assert_eq!(gate(side, 1, 0, (per_lot, 0), NONE), verdict, "{side:?} {per_lot}");
        }
    }
}

#[test]
fn the_gross_limit_at_its_extremes_lets_nothing_through_that_it_cannot_count() {
    let blocked = Verdict::Block(BlockReason::GrossNotional);
    let one = i128::from(LOTS_VALUED.0) - 1;
    for (max, lots, verdict) in [
        (0, 1, blocked),
        (1, 1, Verdict::Pass),
        (1, 2, blocked),
        (-1, 1, blocked),
        (i128::MIN, 1, blocked),
        (i128::MAX, i128::from(i64::MAX), Verdict::Pass),
        (i128::MAX, i128::MAX, blocked),
        (i128::from(i64::MAX), i128::from(i64::MAX), Verdict::Pass),
        (i128::from(i64::MAX) - 1, i128::from(i64::MAX), blocked),
    ] {
        let mut gross = GrossNotional::new(Notional(max), 1);
        gross.set_value(0, Some(one));
        assert_eq!(gross.check(0, lots), verdict, "{max} {lots}");
        // Nothing held, and nothing to be held, is within any limit.
        assert_eq!(gross.check(0, 0), Verdict::Pass, "{max}");
    }
    let open = OpenSize { buy: Lots(i64::MAX), sell: Lots(i64::MAX) };
    for (position, side) in [(i64::MIN, Side::Buy), (i64::MAX, Side::Sell), (i64::MIN, Side::Sell)]
    {
        let lots = lots_worst(Lots(position), open, side, Lots(i64::MAX));
        assert!(lots > i128::from(i64::MAX), "{position} {side:?}");
    }
}

#[test]
fn a_message_budget_of_nothing_lets_nothing_go_and_a_reserve_beyond_it_only_cancels() {
    let blocked = Verdict::Block(BlockReason::MessageRate);
    let with = |max, cancel_reserve, window_ns| {
        Throttle::new(MessageRate { max, window_ns, cancel_reserve })
    };
    for now in [Nanos(0), Nanos(1), Nanos(u64::MAX)] {
        for claim in [Claim::Quote, Claim::Immediate, Claim::Cancel] {
            assert_eq!(with(0, 0, 100).check(now, claim), blocked, "{now:?}");
            assert_eq!(with(0, u32::MAX, u64::MAX).check(now, claim), blocked, "{now:?}");
        }
        for reserve in [2, 3, u32::MAX] {
            let mut throttle = with(2, reserve, 100);
            assert_eq!(throttle.check(now, Claim::Immediate), blocked, "{reserve}");
            throttle.on_sent(now);
            assert_eq!(throttle.check(now, Claim::Cancel), Verdict::Pass, "{reserve}");
            throttle.on_sent(now);
            assert_eq!(throttle.check(now, Claim::Cancel), blocked, "{reserve}");
        }
    }
}

#[test]
fn the_longest_window_and_the_end_of_time_wrap_nothing() {
    let blocked = Verdict::Block(BlockReason::MessageRate);
    let rate = MessageRate { max: 1, window_ns: u64::MAX, cancel_reserve: 0 };
    let mut throttle = Throttle::new(rate);
    assert_eq!(throttle.check(Nanos(0), Claim::Immediate), Verdict::Pass);
    throttle.on_sent(Nanos(0));
    assert_eq!(throttle.check(Nanos(u64::MAX - 1), Claim::Immediate), blocked);
    let mut throttle = Throttle::new(MessageRate { window_ns: 100, ..rate });
    throttle.on_sent(Nanos(u64::MAX - 100));
    assert_eq!(throttle.check(Nanos(u64::MAX - 1), Claim::Immediate), blocked);
    assert_eq!(throttle.check(Nanos(u64::MAX), Claim::Immediate), Verdict::Pass);
    throttle.on_sent(Nanos(u64::MAX));
    assert_eq!(throttle.check(Nanos(u64::MAX), Claim::Immediate), blocked);
}

#[test]
fn a_pin_at_the_integers_extremes_is_near_where_it_is_and_never_wraps() {
    let rules = |distance, widen_within_ns, stop_within_ns| PinRules {
        widen_within_ns,
        stop_within_ns,
        distance: SubTicks(distance),
        widen_percent: 101,
    };
    let (low, high) = (SubTicks(i64::MIN), SubTicks(i64::MAX));
    for (underlying, strike) in [(low, high), (high, low)] {
        assert_eq!(rules(i64::MAX - 1, u64::MAX, 0).check(0, underlying, strike), Pin::Free);
        // What saturates is as near as can be told: within the widest distance.
        assert_eq!(rules(i64::MIN, u64::MAX, 0).check(0, underlying, strike), Pin::Stop);
        assert_eq!(rules(0, u64::MAX, u64::MAX).check(0, underlying, underlying), Pin::Stop);
    }
    let at = SubTicks(7);
    assert_eq!(rules(0, u64::MAX, u64::MAX).check(u64::MAX, at, at), Pin::Stop);
    assert_eq!(rules(0, u64::MAX, u64::MAX - 1).check(u64::MAX, at, at), Pin::Widen);
    assert_eq!(rules(0, u64::MAX - 1, 0).check(u64::MAX, at, at), Pin::Free);
    for off in [SubTicks(6), SubTicks(8)] {
        assert_eq!(rules(0, u64::MAX, 0).check(0, off, at), Pin::Free);
        assert_eq!(rules(1, u64::MAX, 0).check(0, off, at), Pin::Stop);
    }
    assert_eq!(rules(0, 0, 0).check(0, at, at), Pin::Stop);
    assert_eq!(rules(0, 0, 0).check(1, at, at), Pin::Free);
}
