//! What the guards do to a maker that quotes.

use super::config::MakerConfig;
use super::guards::GuardSettings;
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config};
use super::*;
use crate::event::{OrderAction, OrderIntent, TimeInForce};
use crate::inventory::exit::{STEPS_MAX, Step, TakeProfit};
use crate::maker::intents::Record;
use crate::pnl::attribution::Cause;
use crate::pnl::fee_tiers::{FeeSchedule, FeeTier, TIERS_MAX};
use crate::pnl::valuation::HalfTicks;
use crate::quote::HalfSpreads;
use crate::quote::obligation::{ObligationSettings, Uptime};
use crate::risk::breakout::BreakoutSettings;
use crate::risk::hours::Phase;
use crate::risk::position_age::AgeLimit;
use crate::risk::share::ShareSettings;
use crate::units::{FeeRate, Lots, Nanos, Notional, Side, SubTicks, Ticks};

const SECOND: u64 = 1_000_000_000;

pub(super) fn guarded(
    set: impl FnOnce(&mut GuardSettings, &mut MakerConfig),
) -> (Desk, Vec<OrderIntent>) {
    let mut config = config();
    let mut guards = GuardSettings::default();
    set(&mut guards, &mut config);
    config.guards.instruments = vec![guards];
    let mut desk = Desk::with(&config);
    let quotes = desk.begin();
    (desk, quotes)
}

pub(super) fn state(desk: &Desk) -> (State, Reason) {
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    (snapshot.state, snapshot.reason)
}

pub(super) fn bids(quotes: &[OrderIntent]) -> Vec<OrderIntent> {
    quotes.iter().filter(|quote| quote.side == Side::Buy).copied().collect()
}

/// σ is 10 ticks a √s: over a second and one σ, a move of 10 ticks passes.
fn breakout() -> Option<BreakoutSettings> {
    Some(BreakoutSettings {
        window_ns: SECOND,
        sigmas_permille: 1_000,
        calm_ns: 5_000,
        good_ticks: 2,
    })
}

/// Answers everything that is asked, and what that leads to.
pub(super) fn settle(desk: &mut Desk, mut sent: Vec<OrderIntent>) -> Vec<OrderIntent> {
    let mut all = Vec::new();
    while let Some(intent) = sent.pop() {
        all.push(intent);
        if intent.time_in_force != TimeInForce::ImmediateOrCancel {
            sent.extend(desk.accept(&intent));
        }
    }
    all
}

/// Answers what is asked, and finds the immediate order that it leads to.
pub(super) fn immediate(desk: &mut Desk, sent: Vec<OrderIntent>) -> OrderIntent {
    let all = settle(desk, sent);
    let mut taken = all.iter().filter(|i| i.time_in_force == TimeInForce::ImmediateOrCancel);
    let found = *taken.next().expect("an immediate order");
    assert!(taken.next().is_none(), "one at a time");
    found
}

#[test]
fn a_breakout_pulls_the_threatened_side_until_calm_and_good_ticks() {
    let (mut desk, _) = guarded(|guards, _| guards.breakout = breakout());
    let sent = desk.image(SPOT, 600_010);
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal), "ten ticks pass");
    let sent = desk.image(SPOT, 600_011);
    let asks = sent.iter().filter(|intent| intent.side == Side::Sell);
    assert!(asks.clone().count() == 2 && asks.clone().all(|i| i.action == OrderAction::Cancel));
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Quoting, Reason::Breakout));
    let quotes = desk.maker.snapshot(SPOT).unwrap().quotes;
    assert!(quotes[0].is_some() && quotes[1].is_none(), "the bids stay");
    desk.now += 2 * SECOND;
    let sent = desk.image(SPOT, 600_011);
    settle(&mut desk, sent);
    assert_eq!(state(&desk).1, Reason::Breakout, "one good tick is too few");
    let sent = desk.image(SPOT, 600_011);
    settle(&mut desk, sent);
    let sent = desk.image(SPOT, 600_011);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
    assert_eq!(sent.iter().filter(|i| i.side == Side::Sell).count(), 2);
    let counts: Vec<_> = desk.maker.counters().entered.iter().collect();
    assert!(counts.contains(&(Reason::Breakout, 1)), "{counts:?}");
}

#[test]
fn an_obligation_widens_the_threatened_side_first_and_a_severe_move_pulls_it() {
    let owed = ObligationSettings {
        spread_max: Ticks(400),
        size_min: Lots(5),
        uptime_permille: 900,
        window_ns: SECOND,
    };
    let (mut desk, _) = guarded(|guards, _| {
        guards.breakout = breakout();
        guards.obligation = Some(owed);
    });
    let sent = desk.image(SPOT, 600_011);
    settle(&mut desk, sent);
    let [bid, ask] = desk.maker.snapshot(SPOT).unwrap().quotes;
    let spread = ask.unwrap().0 - bid.unwrap().0;
    assert!((399..=400).contains(&spread), "{spread}");
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().open[1], Lots(5), "in the least size");
    let sent = desk.image(SPOT, 600_022);
    settle(&mut desk, sent);
    assert!(desk.maker.snapshot(SPOT).unwrap().quotes[1].is_none());
}

#[test]
fn an_obligation_holds_the_spread_and_a_window_below_it_is_recorded() {
    let owed = ObligationSettings {
        spread_max: Ticks(8),
        size_min: Lots(10),
        uptime_permille: 500,
        window_ns: 100_000,
    };
    let (mut desk, quotes) = guarded(|guards, _| guards.obligation = Some(owed));
    let (bid, ask) =
        (quotes.iter().find(|q| q.side == Side::Buy), quotes.iter().find(|q| q.side == Side::Sell));
    assert!(ask.unwrap().price.0 - bid.unwrap().price.0 <= 8, "the model wants about 20");
    desk.timer();
    for _ in 0..10 {
        desk.now += 10_000;
        desk.timer();
    }
    assert_eq!(desk.maker.uptime(SPOT), Some(Uptime { permille: 1000, breaches: 0 }));
    let sent = desk.control(Control::Pause(SPOT));
    settle(&mut desk, sent);
    let mut missed = Vec::new();
    for _ in 0..12 {
        desk.now += 10_000;
        desk.timer();
        missed.extend(desk.out.records().iter().filter_map(|record| match record {
            Record::ObligationMissed { instrument, uptime_permille, .. } => {
                Some((*instrument, *uptime_permille))
            }
            Record::Fill { .. } | Record::State { .. } | Record::Blocked { .. } => None,
        }));
    }
    assert_eq!(missed.len(), 1, "{missed:?}");
    assert_eq!((missed[0].0, desk.maker.counters().obligations_missed), (SPOT, 1));
}

pub(super) fn take_profit() -> Option<TakeProfit> {
    let mut steps = [Step::default(); STEPS_MAX];
    steps[0] = Step { gain: HalfTicks(80), close_permille: 500 };
    Some(TakeProfit { steps, passive_ns: 50_000 })
}

#[test]
fn profit_is_offered_at_the_touch_first_and_taken_when_that_took_too_long() {
    take_profit_at(FeeRate(0));
}

#[test]
fn a_fee_that_keeps_quotes_from_the_market_does_not_keep_profit_from_the_touch() {
    // 10 bp are 600 ticks.
    take_profit_at(FeeRate(1_000_000));
}

fn take_profit_at(maker_fee: FeeRate) {
    let (mut desk, quotes) = guarded(|guards, config| {
        guards.exit.take_profit = take_profit();
        config.settings[0].quote.as_mut().unwrap().ladder.set_maker_fee(maker_fee);
    });
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    let sent = desk.image(SPOT, bid.price.0 + 40);
    settle(&mut desk, sent);
    let sent = desk.timer();
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Reducing, Reason::TakeProfit));
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!(snapshot.quotes, [None, Some(Ticks(bid.price.0 + 41))], "at the best ask");
    assert_eq!(snapshot.open, [Lots(0), Lots(5)], "half of the position");
    desk.now += 60_000;
    let sent = desk.timer();
    assert!(sent.iter().all(|intent| intent.action == OrderAction::Cancel));
    let taken = immediate(&mut desk, sent);
    assert_eq!((taken.instrument, taken.side, taken.size), (SPOT, Side::Sell, Lots(5)));
    let sent = desk.fill(&taken, 5, 5);
    settle(&mut desk, sent);
    let sent = desk.timer();
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
    assert_eq!(desk.maker.ledger().position(SPOT), Some(Lots(1_005)));
}

#[test]
fn a_loss_beyond_the_limit_closes_the_position_and_halts_until_an_operator_looks() {
    let (mut desk, quotes) = guarded(|guards, _| guards.exit.loss_max = Some(Notional(39_999_999)));
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    // A tick and lot is 0.0001: 10 lots that fell by 400 ticks lost 0.4.
    let sent = desk.image(SPOT, bid.price.0 - 400);
    settle(&mut desk, sent);
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!(state(&desk), (State::Paused, Reason::InstrumentLoss));
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(10)));
    desk.fill(&taken, 10, 10);
    desk.timer();
    assert_eq!(state(&desk), (State::Halted, Reason::InstrumentLoss));
    let sent = desk.control(Control::Resume(SPOT));
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
}

#[test]
fn the_hour_reduces_then_trades_home_and_then_quotes_again() {
    let at = |n: u64| Nanos(n * SECOND / 10);
    let changes = [(at(1), Phase::Reduce), (at(2), Phase::Flat), (at(3), Phase::Normal)];
    let (mut desk, quotes) = guarded(|guards, _| guards.hours = Some(changes.into()));
    let bid = bids(&quotes)[0];
    let sent = desk.fill(&bid, 10, 10);
    settle(&mut desk, sent);
    desk.now = SECOND / 10;
    let sent = desk.timer();
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Reducing, Reason::Hours));
    assert!(desk.maker.snapshot(SPOT).unwrap().quotes[0].is_none(), "long: no bids");
    desk.now = 2 * SECOND / 10;
    let sent = desk.timer();
    let taken = immediate(&mut desk, sent);
    assert_eq!(state(&desk), (State::Paused, Reason::Hours));
    assert_eq!((taken.side, taken.size), (Side::Sell, Lots(10)));
    desk.fill(&taken, 10, 10);
    assert!(desk.timer().is_empty(), "the opening is home");
    desk.now = 3 * SECOND / 10;
    let sent = desk.timer();
    assert_eq!(super::tests::news(&sent), 4);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
}

#[test]
fn an_hour_may_widen_the_quotes() {
    let changes = [(Nanos(1), Phase::Wide { permille: 3_000 })];
    let (desk, quotes) = guarded(|guards, _| guards.hours = Some(changes.into()));
    let mut desk = desk;
    let sent = desk.timer();
    let replaced = sent.iter().find(|i| i.side == Side::Buy).unwrap();
    let distance = |price: Ticks| 600_000 - price.0;
    let (before, after) = (distance(bids(&quotes)[0].price), distance(replaced.price));
    assert!((3 * before - 3..=3 * before).contains(&after), "{before} {after}");
}

#[test]
fn widening_moves_a_side_that_is_skewed_beyond_the_fair_value_away_as_well() {
    let ticks = |count| Some(SubTicks::from_ticks(Ticks(count)));
    let half = HalfSpreads { bid: ticks(12), ask: ticks(-2) };
    // A spread of 10 becomes one of 15 around the same centre.
    let wide = half.widened(1_500);
    assert_eq!((wide.bid.unwrap().0 * 2, wide.ask.unwrap().0 * 2), (29 << 32, 1 << 32));
    let alone = HalfSpreads { bid: None, ask: ticks(-2) };
    assert_eq!(alone.widened(1_500), alone, "no closer");
    let alone = HalfSpreads { bid: ticks(2), ask: None };
    assert_eq!(alone.widened(1_500).bid, ticks(3));
    assert_eq!(half.widened(1_000), half);
}

#[test]
fn a_position_that_is_too_old_is_only_reduced_until_it_is_gone() {
    let age = Some(AgeLimit { max_ns: 100_000 });
    let (mut desk, quotes) = guarded(|guards, _| guards.age = age);
    let sent = desk.fill(&bids(&quotes)[0], 10, 10);
    settle(&mut desk, sent);
    let sent = desk.timer();
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
    desk.now += 100_000;
    let sent = desk.timer();
    settle(&mut desk, sent);
    assert_eq!(state(&desk), (State::Reducing, Reason::PositionAge));
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert!(snapshot.quotes[0].is_none() && snapshot.quotes[1].is_some());
}

#[test]
fn too_large_a_share_of_the_portfolio_is_not_quoted() {
    let stop = |stop_permille| {
        let (mut desk, quotes) = guarded(|_, config| {
            let share = ShareSettings { stop_permille, gross_floor: Notional(0) };
            config.guards.shares = vec![Some(share)];
        });
        let sent = desk.fill(&bids(&quotes)[0], 10, 10);
        settle(&mut desk, sent);
        let sent = desk.timer();
        settle(&mut desk, sent);
        state(&desk)
    };
    // Net 10 lots; gross 2,010 and the 20 that are bid for: 4.9 thousandths.
    assert_eq!(stop(5), (State::Quoting, Reason::Normal));
    assert_eq!(stop(4), (State::Paused, Reason::ConcentrationShare));
}

#[test]
fn a_tier_reached_changes_what_is_booked_and_the_quotes_floor() {
    let mut tiers = [FeeTier::default(); TIERS_MAX];
    tiers[0] = FeeTier { volume: 0, maker: FeeRate(0), taker: FeeRate(0) };
    // The first fill is worth about 600; the tier begins there, at a fee of a thousandth.
    let fee = FeeRate(1_000_000);
    tiers[1] = FeeTier { volume: 500_000_000_000, maker: fee, taker: fee };
    let schedule = FeeSchedule { tiers, len: 2, volume_before: 0 };
    let (mut desk, quotes) = guarded(|guards, _| guards.fees = Some(schedule));
    let fees = |desk: &Desk| {
        let (causes, _) = desk.maker.pnl().unwrap();
        causes.iter().find(|(cause, _)| *cause == Cause::Fees).unwrap().1.0
    };
    let sent = desk.fill(&bids(&quotes)[0], 10, 10);
    settle(&mut desk, sent);
    assert_eq!(fees(&desk), 0, "the fill that reaches the tier pays the one before");
    let sent = desk.image(SPOT, 600_000);
    settle(&mut desk, sent);
    let ask = desk.maker.snapshot(SPOT).unwrap().quotes[1].unwrap();
    assert!(ask.0 - 600_000 >= 600, "a thousandth of the price: {}", ask.0);
    assert!(desk.maker.ledger().taker_fee(SPOT) == Some(fee));
    assert_eq!(desk.maker.ledger().taker_fee(PERP), Some(FeeRate(450_000)), "no other's");
}
