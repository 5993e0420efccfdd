//! What holds of every ladder, as properties, and the cases that a trader would ask about.

use super::*;
use proptest::prelude::*;

const CAPS: Caps = Caps { bid: Lots(i64::MAX), ask: Lots(i64::MAX) };

fn sub(ticks: &str) -> SubTicks {
    Scaled::from_decimal(ticks.parse().unwrap()).fixed().nearest_sub_ticks()
}

fn config() -> LadderConfig {
    LadderConfig {
        levels: 3,
        sizes: SizeProfile::Equal(Lots(10)),
        spacing: Spacing::Even(sub("2.0")),
        size_min: Lots(1),
        edge_min: sub("0.0"),
        maker_fee: FeeRate(0),
        is_post_only: true,
    }
}

fn half(bid: &str, ask: &str) -> HalfSpreads {
    HalfSpreads { bid: Some(sub(bid)), ask: Some(sub(ask)) }
}

fn prices(levels: &[Level]) -> Vec<i64> {
    levels.iter().map(|level| level.price.0).collect()
}

fn sizes(levels: &[Level]) -> Vec<i64> {
    levels.iter().map(|level| level.size.0).collect()
}

#[test]
fn a_bid_rounds_down_and_an_ask_rounds_up() {
    let shape = LadderShape::new(config()).unwrap();
    let ladder = shape.ladder(sub("100.5"), half("1.2", "1.2"), Touch::default(), CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [99, 97, 95]);
    assert_eq!(prices(ladder.side(Side::Sell)), [102, 104, 106]);
}

#[test]
fn where_prices_are_further_apart_every_level_is_on_the_coarser_grid_and_none_nearer_for_it() {
    let mut shape = LadderShape::new(config()).unwrap();
    shape.set_coarse_step(CoarseStep::new(Ticks(100), 5).unwrap());
    let touch = Touch { bid: Some(Ticks(99)), ask: Some(Ticks(105)) };
    let ladder = shape.ladder(sub("102.0"), half("1.0", "1.0"), touch, CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [100, 99, 97]);
    assert_eq!(prices(ladder.side(Side::Sell)), [105, 110, 115]);
}

#[test]
fn a_post_only_ladder_stops_a_tick_short_of_the_touch() {
    let touch = Touch { bid: Some(Ticks(104)), ask: Some(Ticks(97)) };
    let shape = LadderShape::new(config()).unwrap();
    let ladder = shape.ladder(sub("100.0"), half("1.0", "1.0"), touch, CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [96, 95, 94]);
    assert_eq!(prices(ladder.side(Side::Sell)), [105, 106, 107]);
    let taking = LadderShape::new(LadderConfig { is_post_only: false, ..config() }).unwrap();
    let ladder = taking.ladder(sub("100.0"), half("1.0", "1.0"), touch, CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [99, 97, 95]);
}

#[test]
fn no_level_earns_less_than_the_edge_after_the_fee() {
    // 10 bps of 6,000 ticks are 6 ticks; with half a tick of edge the floor is 6.5.
    let with_fee = LadderConfig { maker_fee: FeeRate(1_000_000), edge_min: sub("0.5"), ..config() };
    let shape = LadderShape::new(with_fee).unwrap();
    let ladder = shape.ladder(sub("6000.0"), half("1.0", "-3.0"), Touch::default(), CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [5993, 5991, 5989]);
    assert_eq!(prices(ladder.side(Side::Sell)), [6007, 6009, 6011]);
}

#[test]
fn a_rebate_lowers_the_floor() {
    let with_rebate =
        LadderConfig { maker_fee: FeeRate(-1_000_000), edge_min: sub("7.0"), ..config() };
    let shape = LadderShape::new(with_rebate).unwrap();
    let floor = shape.floor(sub("6000.0"));
    assert!(floor >= sub("1.0") && floor.0 - sub("1.0").0 <= 1, "{floor:?}");
}

#[test]
fn a_side_without_a_half_spread_is_not_quoted() {
    let one_sided = HalfSpreads { bid: None, ask: Some(sub("1.0")) };
    let shape = LadderShape::new(config()).unwrap();
    let ladder = shape.ladder(sub("100.0"), one_sided, Touch::default(), CAPS);
    assert!(ladder.side(Side::Buy).is_empty());
    assert_eq!(prices(ladder.side(Side::Sell)), [101, 103, 105]);
}

#[test]
fn sizes_follow_their_profile_and_stop_at_the_cap() {
    let linear = SizeProfile::Linear { first: Lots(10), step: Lots(5) };
    let shape =
        LadderShape::new(LadderConfig { sizes: linear, size_min: Lots(2), ..config() }).unwrap();
    let quote = |bid, ask| {
        let caps = Caps { bid: Lots(bid), ask: Lots(ask) };
        shape.ladder(sub("100.0"), half("1.0", "1.0"), Touch::default(), caps)
    };
    assert_eq!(sizes(quote(1000, 27).side(Side::Buy)), [10, 15, 20]);
    assert_eq!(sizes(quote(1000, 27).side(Side::Sell)), [10, 15, 2]);
    assert_eq!(sizes(quote(1000, 26).side(Side::Sell)), [10, 15]);
    assert!(quote(0, -5).side(Side::Buy).is_empty() && quote(0, -5).side(Side::Sell).is_empty());
    let geometric = SizeProfile::Geometric { first: Lots(10), permille: 1500 };
    let shape = LadderShape::new(LadderConfig { sizes: geometric, ..config() }).unwrap();
    let ladder = shape.ladder(sub("100.0"), half("1.0", "1.0"), Touch::default(), CAPS);
    assert_eq!(sizes(ladder.side(Side::Buy)), [10, 15, 22]);
}

#[test]
fn distances_may_grow_outward() {
    let spacing = Spacing::Geometric { first: sub("2.0"), permille: 3000 };
    let shape = LadderShape::new(LadderConfig { spacing, ..config() }).unwrap();
    let ladder = shape.ladder(sub("100.0"), half("1.0", "1.0"), Touch::default(), CAPS);
    assert_eq!(prices(ladder.side(Side::Buy)), [99, 97, 91]);
}

#[test]
fn a_ladder_that_cannot_be_is_refused() {
    let error = |config| LadderShape::new(config).unwrap_err();
    assert_eq!(error(LadderConfig { levels: 0, ..config() }), LadderError::Levels(0));
    assert_eq!(error(LadderConfig { levels: 21, ..config() }), LadderError::Levels(21));
    let backward = Spacing::Even(sub("-1.0"));
    assert_eq!(error(LadderConfig { spacing: backward, ..config() }), LadderError::Spacing);
    let shrinking = SizeProfile::Linear { first: Lots(10), step: Lots(-5) };
    assert_eq!(
        error(LadderConfig { sizes: shrinking, ..config() }),
        LadderError::Size { level: 2, lots: 0, size_min: 1 }
    );
}

proptest! {
    #[test]
    fn every_ladder_keeps_what_the_file_promises(
        fair in -(1i64 << 55)..(1i64 << 55),
        halves in (-(1i64 << 45)..(1i64 << 45), -(1i64 << 45)..(1i64 << 45)),
        touch in (proptest::option::of(-(1i64 << 23)..(1i64 << 23)), 1i64..1000),
        gap in 0i64..(1 << 40),
        edge in -(1i64 << 34)..(1i64 << 40),
        levels in 1usize..=LEVELS_MAX,
        caps in (-5i64..300, -5i64..300),
    ) {
        let config = LadderConfig {
            levels, spacing: Spacing::Even(SubTicks(gap)), edge_min: SubTicks(edge), ..config()
        };
        let shape = LadderShape::new(config).unwrap();
        let halves = HalfSpreads { bid: Some(SubTicks(halves.0)), ask: Some(SubTicks(halves.1)) };
        let touch = Touch {
            bid: touch.0.map(Ticks), ask: touch.0.map(|bid| Ticks(bid + touch.1)),
        };
        let caps = Caps { bid: Lots(caps.0), ask: Lots(caps.1) };
        let ladder = shape.ladder(SubTicks(fair), halves, touch, caps);
        let (bids, asks) = (ladder.side(Side::Buy), ladder.side(Side::Sell));
        prop_assert!(bids.windows(2).all(|pair| pair[1].price < pair[0].price));
        prop_assert!(asks.windows(2).all(|pair| pair[1].price > pair[0].price));
        prop_assert!(sizes(bids).iter().sum::<i64>() <= caps.bid.0.max(0));
        prop_assert!(sizes(asks).iter().sum::<i64>() <= caps.ask.0.max(0));
        for level in bids {
            prop_assert!(fair - (level.price.0 << 32) >= edge);
            prop_assert!(touch.ask.is_none_or(|ask| level.price < ask));
        }
        for level in asks {
            prop_assert!((level.price.0 << 32) - fair >= edge);
            prop_assert!(touch.bid.is_none_or(|bid| level.price > bid));
        }
        if let (Some(bid), Some(ask)) = (bids.first(), asks.first()) {
            prop_assert!(bid.price < ask.price);
        }
    }
}
