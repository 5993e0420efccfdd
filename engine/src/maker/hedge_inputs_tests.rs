//! Bad input to the hedger: it is refused, or nothing is hedged on it; never a hedge the wrong way.

use super::config::*;
use super::hedging_tests::hedges;
use super::tests::{Desk, PERP, SPOT, config, instrument_at, settings};
use super::*;
use crate::event::*;
use crate::instrument::*;
use crate::pnl::standing::{FundingTerms, StandingTerms};
use crate::units::*;

const HOUR_NS: u64 = 3_600_000_000_000;

/// Long 30 lots beyond what the perpetual offsets: a hedge is due.
fn long() -> MakerConfig {
    let mut config = config();
    config.settings[0].opening = Lots(1_030);
    config.settings[0].quote = None;
    config
}

fn level(side: Side, price: i64) -> MarketUpdate {
    MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) }
}

#[test]
fn a_missing_hedge_instrument_is_refused() {
    let mut config = long();
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.instruments[0].instrument = InstrumentId(7);
    let faults = Maker::new(&config).unwrap_err();
    let missing = ConfigError::NoSuchInstrument { of: "hedge", index: 7, instruments: 2 };
    assert!(faults.contains(&missing), "{faults:?}");
}

#[test]
fn a_crossed_hedge_market_is_not_hedged_on() {
    let mut desk = Desk::with(&long());
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    desk.market(PERP, MarketUpdate::Reset, false);
    desk.market(PERP, level(Side::Buy, 600_010), false);
    assert!(desk.market(PERP, level(Side::Sell, 599_990), true).is_empty());
    assert!(desk.timer().is_empty(), "nor later");
    let sent = hedges(&desk.image(PERP, 600_000));
    assert_eq!(sent.first().map(|hedge| hedge.side), Some(Side::Sell), "once it is whole");
}

#[test]
fn a_stale_hedge_market_is_not_hedged_on() {
    let mut config = long();
    config.settings[0].opening = Lots(1_000);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    desk.now += config.settings[1].stale_after_ns + 1;
    desk.image(SPOT, 600_000);
    let holding = crate::pnl::ledger::Holding::Position(SPOT);
    let act = super::control::Act::Transfer { holding, amount: 30 };
    let nobody = super::control::User::NOBODY;
    let by = super::input::Control::By { user: nobody, second: nobody, act };
    assert!(desk.control(by).is_empty() && desk.timer().is_empty());
    assert_eq!(hedges(&desk.image(PERP, 600_000)).len(), 1, "once it speaks again");
}

#[test]
fn negative_prices_are_hedged_the_right_way() {
    let mut desk = Desk::with(&long());
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, -3_000);
    let hedge = *hedges(&desk.image(PERP, -3_000)).first().expect("a future may be below zero");
    assert_eq!((hedge.side, hedge.size), (Side::Sell, Lots(25)));
    assert!(hedge.price.0 < -3_000, "it gives way downward: {:?}", hedge.price);
}

#[test]
fn an_inverse_contract_at_or_below_zero_is_no_hedge() {
    let mut config = long();
    let mut spec = instrument_at(1, InstrumentKind::LinearPerpetual, VenueId(0)).spec().clone();
    spec.kind = InstrumentKind::InversePerpetual;
    spec.settlement = spec.base;
    config.conversions = vec![(spec.base, SPOT)];
    config.instruments[1] = Instrument::new(PERP, spec).unwrap();
    config.settings[1].opening = Lots(0);
    config.settings[0].opening = Lots(30);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    for mid in [-600_000, -1, 0] {
        assert!(hedges(&desk.image(PERP, mid)).is_empty(), "{mid}");
    }
}

/// Two perpetuals alike; the second's longs pay so much each hour.
fn funded(rate: i64, holding_ns: u64) -> Desk {
    let mut config = long();
    config.instruments.push(instrument_at(2, InstrumentKind::LinearPerpetual, VenueId(0)));
    config.settings.push(settings(None, 0));
    let funding = Some(FundingTerms { every_ns: HOUR_NS, rate: FeeRate(rate) });
    config.settings[2].standing = StandingTerms { funding, ..StandingTerms::default() };
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.holding_ns = holding_ns;
    hedge.instruments =
        [1, 2].map(|n| HedgeInstrument { instrument: InstrumentId(n), collar: Ticks(50) }).to_vec();
    config.settings[1].opening = Lots(-1_000);
    config.settings[0].opening = Lots(1_000);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    for id in [SPOT, PERP, InstrumentId(2)] {
        desk.image(id, 600_000);
    }
    desk
}

fn chosen(desk: &mut Desk, lots: i64) -> (InstrumentId, Side) {
    let holding = crate::pnl::ledger::Holding::Position(SPOT);
    let act = super::control::Act::Transfer { holding, amount: lots };
    let nobody = super::control::User::NOBODY;
    let by = super::input::Control::By { user: nobody, second: nobody, act };
    let sent = hedges(&desk.control(by));
    sent.first().map(|hedge| (hedge.instrument, hedge.side)).expect("a hedge")
}

#[test]
fn funding_chooses_the_instrument_by_its_side_and_a_negative_rate_never_turns_the_hedge() {
    let other = InstrumentId(2);
    // Shorts receive a positive rate and pay a negative one; longs the other way round.
    assert_eq!(chosen(&mut funded(10_000, HOUR_NS), 30), (other, Side::Sell));
    assert_eq!(chosen(&mut funded(-10_000, HOUR_NS), 30), (PERP, Side::Sell));
    assert_eq!(chosen(&mut funded(10_000, HOUR_NS), -30), (PERP, Side::Buy));
    assert_eq!(chosen(&mut funded(-10_000, HOUR_NS), -30), (other, Side::Buy));
    assert_eq!(chosen(&mut funded(10_000, 0), 30), (PERP, Side::Sell), "not counted: the first");
}

#[test]
fn capital_that_is_tied_up_counts_for_as_long_as_a_hedge_is_held() {
    use crate::pnl::standing::carry_ppb;
    let day = 24 * HOUR_NS;
    let terms = StandingTerms { capital_per_day: FeeRate(15_000), ..StandingTerms::default() };
    for side in Side::BOTH {
        assert_eq!(carry_ppb(&terms, side, day), 15_000);
        assert_eq!(carry_ppb(&terms, side, 1), 1, "rounded against us");
        assert_eq!(carry_ppb(&terms, side, 0), 0);
    }
    let funding = Some(FundingTerms { every_ns: 8 * HOUR_NS, rate: FeeRate(-100_000) });
    let funded = StandingTerms { funding, ..terms };
    assert_eq!(carry_ppb(&funded, Side::Buy, day), 15_000 - 300_000);
    assert_eq!(carry_ppb(&funded, Side::Sell, day), 15_000 + 300_000);
    let extreme = Some(FundingTerms { every_ns: 1, rate: FeeRate(i64::MIN) });
    let extreme = StandingTerms { funding: extreme, ..terms };
    let _ = carry_ppb(&extreme, Side::Buy, u64::MAX);
    assert_eq!(carry_ppb(&extreme, Side::Sell, u64::MAX), i64::MAX);
}
