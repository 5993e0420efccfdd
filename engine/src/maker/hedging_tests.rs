//! Hedging through the maker: fixed and derived bands, and what an immediate order keeps within.

use super::config::*;
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, quote_settings};
use super::*;
use crate::calibration::hedge_table::HedgeInputs;
use crate::calibration::{QuoteParameters, Real};
use crate::estimate::volatility::Sigma;
use crate::event::*;
use crate::inventory::derived::RowUpdate;
use crate::inventory::hedge::{Band, BandRule};
use crate::quote::holdings::HoldingsSkew;
use crate::units::*;

/// A fixed band with another outer edge.
pub(super) fn set_band(config: &mut MakerConfig, outer: i64) {
    let band = Band { outer: Exposure(outer), inner: Exposure(5_000_000) };
    config.underlyings[0].hedge.as_mut().unwrap().band = BandRule::Fixed(band);
}

pub(super) fn hedges(intents: &[OrderIntent]) -> Vec<OrderIntent> {
    intents.iter().filter(|i| i.time_in_force == TimeInForce::ImmediateOrCancel).copied().collect()
}

#[test]
fn a_hedge_on_a_quoted_market_stops_short_of_our_own_quote() {
    let mut config = config();
    config.settings[1].quote = Some(quote_settings());
    config.settings[0].opening = Lots(1_020);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.session(OrderUpdate::SessionUp);
    let quotes = desk.image(PERP, 600_000);
    let own = quotes.iter().find(|q| q.side == Side::Buy).unwrap().price;
    let bid = *desk.image(SPOT, 600_000).iter().find(|q| q.side == Side::Buy).unwrap();
    desk.accept(&bid);
    let hedge = *hedges(&desk.fill(&bid, 10, 10)).first().expect("30 is beyond the band");
    assert_eq!((hedge.side, hedge.price), (Side::Sell, Ticks(own.0 + 1)));
}

#[test]
fn a_hedge_keeps_within_the_room_that_the_position_limit_leaves() {
    let mut config = config();
    config.settings[0].opening = Lots(1_030);
    config.settings[1].limits.position_max = Lots(1_007);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    let sent = hedges(&desk.image(PERP, 600_000));
    assert_eq!(sent.first().map(|h| h.size), Some(Lots(7)));
}

#[test]
fn a_spot_hedge_may_buy_what_is_not_held() {
    let mut config = config();
    config.underlyings[0].hedge.as_mut().unwrap().instruments[0].instrument = SPOT;
    config.settings[0].opening = Lots(0);
    config.settings[0].quote = None;
    config.settings[1].opening = Lots(-30);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    let sent = hedges(&desk.image(SPOT, 600_000));
    assert_eq!(sent.first().map(|h| (h.side, h.size)), Some((Side::Buy, Lots(25))));
}

#[test]
fn exposure_beyond_the_band_is_hedged_once_and_not_again_before_the_answer() {
    let (mut desk, quotes) = Desk::quoting();
    let bids: Vec<_> = quotes.iter().filter(|q| q.side == Side::Buy).copied().collect();
    let mut sent = desk.fill(&bids[0], 10, 10);
    assert!(!sent.iter().any(|i| i.instrument == PERP), "10 milli is inside the band");
    sent = desk.fill(&bids[1], 10, 10);
    assert!(!sent.iter().any(|i| i.instrument == PERP), "20 milli is inside the band");
    let top_up = sent.iter().chain(&desk.timer()).find(|i| i.side == Side::Buy).copied();
    let bid = top_up.unwrap();
    desk.accept(&bid);
    let sent = desk.fill(&bid, 10, 10);
    let hedges: Vec<_> = sent.iter().filter(|i| i.instrument == PERP).collect();
    assert_eq!(hedges.len(), 1);
    let hedge = *hedges[0];
    assert_eq!(
        (hedge.side, hedge.size, hedge.time_in_force),
        (Side::Sell, Lots(25), TimeInForce::ImmediateOrCancel)
    );
    assert!(!desk.timer().iter().any(|i| i.instrument == PERP), "one at a time");
    desk.fill(&hedge, 25, 25);
    assert_eq!(desk.maker.delta(0), Some(Exposure(5_000_000)));
}

#[test]
fn hedges_that_fail_in_a_row_halt_quoting() {
    let mut config = config();
    config.settings[0].opening = Lots(1_030);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    let mut sent = desk.image(PERP, 600_000);
    for failures in 1..=3 {
        assert_ne!(desk.maker.snapshot(SPOT).unwrap().state, State::Halted, "{failures}");
        let hedge = *hedges(&sent).first().expect("30 is beyond the band");
        let expired = OrderUpdate::Canceled { cum_qty: Lots(0) };
        let at_once = desk.report(hedge.cl_ord_id, ClOrdId::NONE, PERP, expired);
        assert!(hedges(&at_once).is_empty(), "what failed is not tried again at once");
        assert!(hedges(&desk.timer()).is_empty());
        desk.now += 10_000;
        sent = desk.timer();
    }
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((snapshot.state, snapshot.reason), (State::Halted, Reason::HedgeFailed));
}

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

/// The quotes of `config()`, hedged by a derived band; η in ticks a lot a second.
fn derived(eta: &str) -> MakerConfig {
    let mut config = config();
    let quote = QuoteParameters {
        order_size: real("10"),
        ..QuoteParameters::new(real("0.001"), real("1.0"), real("0.1"))
    };
    let inputs = HedgeInputs {
        quoted: SPOT,
        quote,
        nano_per_unit: 1e6,
        sigma_least: Sigma(10 << 32),
        eta: real(eta),
        impact: Real::ZERO,
        hard: config.underlyings[0].limits.hard(),
    };
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.band = BandRule::Derived(Box::new(inputs.band().unwrap()));
    config.instruments[1] = free(&config.instruments[1]);
    config
}

/// The same instrument at no fee: a hedge costs half the spread of two ticks.
fn free(instrument: &Instrument) -> Instrument {
    fee(instrument, 0)
}

/// The same instrument at another taker's fee.
fn fee(instrument: &Instrument, taker_fee: i64) -> Instrument {
    let spec = crate::instrument::InstrumentSpec {
        taker_fee: FeeRate(taker_fee),
        ..instrument.spec().clone()
    };
    Instrument::new(instrument.id(), spec).unwrap()
}

/// Logged on and quoting, with the first bid filled by so many lots.
fn bought(config: &MakerConfig, lots: i64) -> (Desk, Vec<OrderIntent>) {
    let mut desk = Desk::with(config);
    let quotes = desk.begin();
    desk.timer();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    let sent = desk.fill(&bid, lots, lots);
    (desk, sent)
}

#[test]
fn beyond_a_derived_band_the_rate_trades_whole_lots_and_carries_the_rest() {
    // a is 0.37 ticks a lot: ten lots cost 3.7, φ is 1, and η of 1 sells 1.35 lots a second.
    let (mut desk, sent) = bought(&derived("1"), 10);
    let band = desk.maker.pools[0].band().unwrap();
    assert!(band < Exposure(10_000_000), "{band:?}");
    assert!(hedges(&sent).is_empty(), "no time has passed");
    let mut sold = 0;
    let mut waited = 0;
    for _ in 0..200 {
        // The market stays fresh.
        desk.now += 100_000_000;
        let mut sent = desk.image(PERP, 600_000);
        sent.extend(desk.image(SPOT, 600_000));
        sent.extend(desk.timer());
        waited += 1;
        if let [hedge] = hedges(&sent)[..] {
            assert_eq!((hedge.instrument, hedge.side), (PERP, Side::Sell));
            sold += hedge.size.0;
            desk.accept(&hedge);
            desk.fill(&hedge, hedge.size.0, hedge.size.0);
            let carried = desk.maker.pools[0].pacing.carried();
            assert!(carried < 1_000_000, "less than a lot is carried: {carried} after {hedge:?}");
        }
    }
    assert!(sold > 0 && waited > 1, "{sold}");
    let left = desk.maker.delta(0).unwrap();
    assert!(left.0 > 0 && left.0 <= band.0 + 1_000_000, "{left:?} of {band:?}");
}

#[test]
fn a_hastier_rate_is_home_sooner_and_neither_passes_the_band() {
    let left_after_a_second = |eta| {
        let (mut desk, _) = bought(&derived(eta), 10);
        let band = desk.maker.pools[0].band().unwrap();
        for _ in 0..10 {
            desk.now += 100_000_000;
            let mut sent = desk.image(PERP, 600_000);
            sent.extend(desk.image(SPOT, 600_000));
            sent.extend(desk.timer());
            for hedge in hedges(&sent) {
                desk.accept(&hedge);
                desk.fill(&hedge, hedge.size.0, hedge.size.0);
            }
            assert!(desk.maker.delta(0).unwrap() >= Exposure(band.0 - 1_000_000));
        }
        desk.maker.delta(0).unwrap()
    };
    assert!(left_after_a_second("0.1") < left_after_a_second("100"));
}

#[test]
fn a_slow_rate_asks_for_as_much_however_often_it_is_looked_at() {
    // About 1,350 of 1e-9 a second: a hundredth at each look.
    let (mut desk, _) = bought(&derived("1000"), 10);
    let asked = |desk: &mut Desk| {
        desk.maker.hedge_excess(0);
        let from = desk.maker.now;
        for n in 1..=400_000u64 {
            desk.maker.now = from.plus(n * 10_000);
            desk.maker.hedge_excess(0);
        }
        desk.maker.pools[0].pacing.carried()
    };
    let often = asked(&mut desk);
    assert!(often > 3_000, "{often}");
    // Across the band in one fill: nothing of it is asked for the other way.
    desk.maker.pools[0].delta = Exposure(-desk.maker.pools[0].delta.0);
    assert_eq!(desk.maker.hedge_excess(0), Exposure(0));
}

#[test]
fn where_no_band_is_worth_having_the_soft_limit_rules() {
    // At 45 basis points of fee nothing within the limits is worth a hedge.
    let mut config = derived("1000");
    config.instruments[1] = super::tests::config().instruments[1].clone();
    let (mut desk, _) = bought(&config, 10);
    desk.timer();
    assert_eq!(desk.maker.pools[0].band(), Some(Exposure(50_000_000)), "the soft limit");
    let external = |size| Control::By {
        user: control::User::NOBODY,
        second: control::User::NOBODY,
        act: control::Act::Trade {
            instrument: SPOT,
            side: Side::Buy,
            price: Ticks(600_000),
            size: Lots(size),
        },
    };
    assert!(hedges(&desk.control(external(40))).is_empty(), "at the limit");
    let sent = hedges(&desk.control(external(1)));
    let [hedge] = sent[..] else { panic!("one hedge: {sent:?}") };
    // 51 lots, back to six eighths of 50: 37.5.
    assert_eq!((hedge.side, hedge.size), (Side::Sell, Lots(13)));
}

#[test]
fn the_derived_band_follows_the_cost_of_the_cheapest_hedge_with_hysteresis() {
    let config = derived("1000");
    let mut desk = Desk::with(&config);
    desk.begin();
    desk.timer();
    let before = desk.maker.pools[0].band().unwrap();
    let widen = |desk: &mut Desk, half: i64| {
        let level =
            |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
        desk.market(PERP, MarketUpdate::Reset, false);
        desk.market(PERP, level(Side::Buy, 600_000 - half), false);
        desk.market(PERP, level(Side::Sell, 600_000 + half), true);
        desk.timer();
        desk.maker.pools[0].band().unwrap()
    };
    let wider = widen(&mut desk, 10);
    assert!(wider > before, "{wider:?} {before:?}");
    assert_eq!(widen(&mut desk, 11), wider, "a tenth is not an eighth");
    assert!(widen(&mut desk, 12) > wider);
}

#[test]
fn a_refitted_row_moves_the_band_and_a_stranger_s_is_counted() {
    let config = derived("1000");
    let (mut desk, _) = bought(&config, 1);
    let before = desk.maker.pools[0].band().unwrap();
    let BandRule::Derived(band) = &config.underlyings[0].hedge.as_ref().unwrap().band else {
        panic!("derived")
    };
    let quote = QuoteParameters {
        order_size: real("10"),
        ..QuoteParameters::new(real("0.001"), real("9.0"), real("0.1"))
    };
    let inputs = HedgeInputs {
        quoted: SPOT,
        quote,
        nano_per_unit: 1e6,
        sigma_least: Sigma(10 << 32),
        eta: real("1000"),
        impact: Real::ZERO,
        hard: config.underlyings[0].limits.hard(),
    };
    let updates = inputs.updates(band).unwrap();
    for update in &updates {
        desk.control(Control::HedgeRow(*update));
    }
    desk.timer();
    assert!(desk.maker.pools[0].band().unwrap() > before);
    desk.control(Control::HedgeRow(RowUpdate { quoted: PERP, ..updates[0] }));
    let counters = desk.maker.counters();
    assert_eq!((counters.parameters, counters.parameters_refused), (42, 1));
    assert!(size_of::<Control>() <= 128, "the ring's slots keep to two lines");
}

/// `config()` with a second perpetual to hedge with.
fn two_to_hedge_with() -> MakerConfig {
    let mut config = config();
    let spec = crate::instrument::InstrumentSpec {
        symbol: "I2".into(),
        ..config.instruments[1].spec().clone()
    };
    config.instruments.push(Instrument::new(OTHER, spec).unwrap());
    let mut settings = config.settings[1];
    settings.opening = Lots(0);
    config.settings.push(settings);
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.instruments.push(HedgeInstrument { instrument: OTHER, collar: Ticks(50) });
    hedge.failures_max = 5;
    set_band(&mut config, 8_000_000);
    config
}

const OTHER: InstrumentId = InstrumentId(2);

#[test]
fn who_traded_nothing_is_passed_over_then_the_collar_widens_then_quoting_halts() {
    let config = two_to_hedge_with();
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(OTHER, 600_000);
    let quotes = desk.begin();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    let mut sent = hedges(&desk.fill(&bid, 10, 10));
    let mut tried = Vec::new();
    for _ in 0..5 {
        let [hedge] = sent[..] else { panic!("one hedge: {sent:?} after {tried:?}") };
        tried.push((hedge.instrument, 599_999 - hedge.price.0));
        let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
        sent = hedges(&desk.report(hedge.cl_ord_id, ClOrdId::NONE, hedge.instrument, canceled));
        if sent.is_empty() {
            // Both have failed: a hold-off, then the next round.
            desk.now += 10_000;
            sent = hedges(&desk.timer());
        }
    }
    let rounds = [(PERP, 50), (OTHER, 50), (PERP, 100), (OTHER, 100), (PERP, 200)];
    assert_eq!(tried, rounds);
    assert!(sent.is_empty());
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().state, State::Halted);
}

#[test]
fn a_hedge_that_the_gate_blocks_goes_to_the_next_instrument() {
    let mut config = two_to_hedge_with();
    config.settings[1].limits.duplicates.max = 1;
    config.settings[1].limits.duplicates.window_ns = 1_000_000_000;
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(OTHER, 600_000);
    desk.begin();
    let buy = |desk: &mut Desk, size| {
        let price = Ticks(600_000);
        let act =
            control::Act::Trade { instrument: SPOT, side: Side::Buy, price, size: Lots(size) };
        let user = control::User::NOBODY;
        let mut sent = desk.control(Control::By { user, second: user, act });
        sent.extend(desk.timer());
        hedges(&sent)
    };
    let sent = buy(&mut desk, 10);
    let [first] = sent[..] else { panic!("one hedge: {sent:?}") };
    assert_eq!((first.instrument, first.size), (PERP, Lots(5)));
    desk.fill(&first, 5, 5);
    // The same again is a duplicate there.
    let sent = buy(&mut desk, 5);
    let [second] = sent[..] else { panic!("one hedge: {sent:?}") };
    assert_eq!((second.instrument, second.size), (OTHER, Lots(5)));
}

#[test]
fn no_new_quote_worsens_what_a_hedge_on_its_way_is_for() {
    let mut config = config();
    set_band(&mut config, 8_000_000);
    let mut desk = Desk::with(&config);
    let quotes = desk.begin();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    let mut sent = desk.fill(&bid, 10, 10);
    let [hedge] = hedges(&sent)[..] else { panic!("{sent:?}") };
    // The filled level is empty: while the hedge is out, nothing new bids.
    for _ in 0..5 {
        sent.extend(desk.image(SPOT, 600_000));
        sent.extend(desk.timer());
    }
    let is_new_bid = |i: &OrderIntent| {
        i.instrument == SPOT && i.side == Side::Buy && i.action == OrderAction::New
    };
    assert!(!sent.iter().any(is_new_bid), "{sent:?}");
    desk.accept(&hedge);
    let mut after = desk.fill(&hedge, hedge.size.0, hedge.size.0);
    after.extend(desk.image(SPOT, 600_000));
    assert!(after.iter().any(is_new_bid), "{after:?}");
}

/// The best quotes that a config's desk sends first, and after a bid's fill and its hedge.
fn best(sent: &[OrderIntent], side: Side) -> Option<Ticks> {
    let quotes = sent.iter().filter(|i| i.instrument == SPOT && i.side == side);
    let prices = quotes.filter(|i| i.action != OrderAction::Cancel).map(|i| i.price);
    if side == Side::Buy { prices.max() } else { prices.min() }
}

#[test]
fn a_venue_that_holds_too_much_offers_closer_and_bids_further_whatever_net_delta_is() {
    let quotes = |held: i64| {
        let mut config = config();
        config.settings[0].quote.as_mut().unwrap().holdings = Some(HoldingsSkew {
            target: Lots(held),
            full_at: Lots(100),
            skew_max: SubTicks::from_ticks(Ticks(4)),
        });
        let mut desk = Desk::with(&config);
        let quotes = desk.begin();
        (best(&quotes, Side::Buy).unwrap().0, best(&quotes, Side::Sell).unwrap().0)
    };
    let (bid, ask) = quotes(1_000);
    assert_eq!(quotes(900), (bid - 4, ask - 4), "a hundred lots too many");
    assert_eq!(quotes(5_000), (bid + 4, ask + 4), "bounded");
}

#[test]
fn a_quote_that_unwinds_a_hedged_pair_is_credited_what_its_hedge_costs() {
    let ask_after = |credit: u32, hedged: i64| {
        let mut config = config();
        set_band(&mut config, 8_000_000);
        config.instruments[1] = fee(&config.instruments[1], 100_000);
        let hedge = config.underlyings[0].hedge.as_mut().unwrap();
        hedge.unwind_credit_ppm = credit;
        let band = Band { outer: Exposure(8_000_000), inner: Exposure(0) };
        hedge.band = BandRule::Fixed(band);
        let (mut desk, sent) = bought(&config, 10);
        let [hedge] = hedges(&sent)[..] else { panic!("{sent:?}") };
        desk.accept(&hedge);
        desk.fill(&hedge, hedged, hedged);
        assert_eq!(desk.maker.delta(0), Some(Exposure((10 - hedged) * 1_000_000)));
        desk.timer();
        desk.image(SPOT, 600_001);
        desk.image(SPOT, 600_000);
        let line = desk.maker.line(SPOT).unwrap();
        let pool = &desk.maker.pools[0];
        let half = crate::quote::HalfSpreads {
            bid: Some(SubTicks(100 << 32)),
            ask: Some(SubTicks(100 << 32)),
        };
        let half = desk.maker.credited(half, line, pool);
        assert_eq!(half.bid, Some(SubTicks(100 << 32)), "buying more unwinds nothing");
        half.ask.unwrap().0 >> 32
    };
    assert_eq!(ask_after(0, 10), 100);
    // One basis point of 600,000 ticks and half a spread of two: 61 ticks.
    assert_eq!(ask_after(1_000_000, 10), 39);
    assert_eq!(ask_after(500_000, 10), 69);
    assert_eq!(ask_after(1_000_000, 4), 75, "four lots of ten are hedged: 24.4 ticks");
}

#[test]
fn a_contract_that_is_worth_something_else_is_no_hedge_and_beyond_the_band_nothing_is_quoted() {
    for is_other in [false, true] {
        let mut config = config();
        config.settings[0].opening = Lots(1_020);
        let mut desk = Desk::with(&config);
        let bid = *desk.begin().iter().find(|q| q.side == Side::Buy).unwrap();
        desk.accept(&bid);
        if is_other {
            desk.report(ClOrdId::NONE, ClOrdId::NONE, PERP, OrderUpdate::ContractDiffers);
            let perp = desk.maker.snapshot(PERP).unwrap();
            assert_eq!((perp.state, perp.reason), (State::Halted, Reason::ContractDiffers));
        }
        let sent = hedges(&desk.fill(&bid, 10, 10));
        assert_eq!(sent.is_empty(), is_other, "30 is beyond the band: {sent:?}");
        if is_other {
            desk.image(SPOT, 600_000);
            assert_eq!(desk.maker.snapshot(SPOT).unwrap().reason, Reason::HedgeFailed);
        }
    }
}
