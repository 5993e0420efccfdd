//! What the maker promises of options, over whole sequences of inputs.

use super::config::{
    HedgeInstrument, InstrumentSettings, MakerConfig, QuoteSettings, UnderlyingSettings,
};
use super::control::{Act, User};
use super::input::Control;
use super::option_config::{OptionLimits, OptionSettings, OptionsConfig};
use super::options::{GreekSpan, RefreshedGreeks};
use super::tests::{Desk, config, quote_settings, settings};
use super::*;
use crate::calibration::{QuoteParameters, Real, quoter};
use crate::coarse_step::CoarseStep;
use crate::estimate::option_value::{ExpansionBounds, OptionGreeks, QuantisedGreeks};
use crate::event::*;
use crate::instrument::*;
use crate::inventory::hedge::{Band, BandRule};
use crate::inventory::option_book::Unvalued;
use crate::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use crate::orders::order::Purpose;
use crate::quote::Model;
use crate::quote::option_skew::OptionQuoting;
use crate::risk::gate::BlockReason;
use crate::risk::greek_limits::{GREEKS, GreekLimits, GreekVector};
use crate::risk::limits::ExposureLimits;
use crate::risk::pin::PinRules;
use crate::risk::protection::ProtectionLimits;
use crate::units::*;

pub(super) const FUTURE: InstrumentId = InstrumentId(0);
pub(super) const CALL: InstrumentId = InstrumentId(1);
pub(super) const PUT: InstrumentId = InstrumentId(2);
/// A point is four of its ticks, and twenty of an option's.
pub(super) const HOME: i64 = 12_000;
pub(super) const LOT: i64 = 25_000_000_000;
const EXPIRY: Nanos = Nanos(1_000_000_000);

fn instrument(id: InstrumentId, kind: InstrumentKind, tick: &str) -> Instrument {
    let spec = InstrumentSpec {
        symbol: format!("I{}", id.0),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: tick.parse().unwrap(),
        lot: "1".parse().unwrap(),
        multiplier: "50".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(id, spec).unwrap()
}

fn option(id: InstrumentId, option_type: OptionType) -> Instrument {
    let terms = OptionTerms {
        option_type,
        strike: "3000".parse().unwrap(),
        expiry: EXPIRY,
        style: ExerciseStyle::American,
        delivery: Delivery::Future,
    };
    instrument(id, InstrumentKind::Option(terms), "0.05")
}

pub(super) fn quoted() -> InstrumentSettings {
    let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(0.1));
    let quoter = quoter(Model::Symmetric, &parameters).unwrap();
    settings(Some(QuoteSettings { quoter, ..quote_settings() }), 0)
}

pub(super) fn limits(vega: i64) -> OptionLimits {
    let most = GreekVector::of([i64::MAX; GREEKS]);
    let vector = |vega| GreekVector { delta: 100 * LOT, vega, ..most };
    let total = GreekLimits::new(vector(vega), vector(vega.saturating_mul(10))).unwrap();
    OptionLimits { total, buckets: vec![(Nanos(u64::MAX), total)], vega_protection: i64::MAX }
}

pub(super) fn with(limits: OptionLimits) -> MakerConfig {
    let on = |instrument| OptionSettings {
        instrument,
        reference: FUTURE,
        bounds: ExpansionBounds { age_max_ns: 900_000, move_max: SubTicks::from_ticks(Ticks(60)) },
        reprice_move: SubTicks::from_ticks(Ticks(1)),
        quoting: OptionQuoting {
            delta_skew: SubTicks::from_ticks(Ticks(40)),
            vega_skew: 5_000_000,
            vega_edge: 100_000,
        },
        pin: PinRules {
            widen_within_ns: 2_000,
            stop_within_ns: 1_000,
            distance: SubTicks::from_ticks(Ticks(20)),
            widen_percent: 200,
        },
        strike: SubTicks::from_ticks(Ticks(HOME)),
        nano_delivered: 2 * LOT,
        quotes_empty: false,
    };
    let base = config();
    let mut portfolio = base.portfolio.clone();
    portfolio.gross_max = Notional(i128::from(i64::MAX));
    portfolio.loss.daily_max = Notional(i128::from(i64::MAX));
    portfolio.loss.drawdown_max = Notional(i128::from(i64::MAX));
    let mut hedge = base.underlyings[0].hedge.clone().unwrap();
    let band = Band { outer: Exposure(60_000_000_000), inner: Exposure(10_000_000_000) };
    hedge.band = BandRule::Fixed(band);
    hedge.instruments = vec![HedgeInstrument { instrument: FUTURE, collar: Ticks(50) }];
    let dated = InstrumentKind::DatedFuture { expiry: EXPIRY };
    MakerConfig {
        instruments: vec![
            instrument(FUTURE, dated, "0.25"),
            option(CALL, OptionType::Call),
            option(PUT, OptionType::Put),
        ],
        settings: vec![settings(None, 0), quoted(), quoted()],
        underlyings: vec![UnderlyingSettings {
            firm: None,
            target: Exposure(0),
            protection: ProtectionLimits {
                fills_max: 50,
                delta_max: Exposure(i64::MAX),
                window_ns: 1_000_000,
                cooldown_ns: 50_000,
            },
            limits: ExposureLimits::new(Exposure(20 * LOT), Exposure(40 * LOT), Exposure(80 * LOT))
                .unwrap(),
            hedge: Some(hedge),
        }],
        options: OptionsConfig {
            options: vec![on(CALL), on(PUT)],
            limits: vec![(Underlying(0), limits)],
        },
        portfolio,
        ..base
    }
}

/// Half a delta (calls +, puts −), a gamma of 0.002, three points of vega, worth `ticks`; a point of the
/// rate takes two, one of volatility adds a tenth to delta and one tick to vega.
pub(super) fn greeks(instrument: InstrumentId, at: u64, ticks: i64) -> Control {
    let sign = if instrument == PUT { -1 } else { 1 };
    Control::Greeks(RefreshedGreeks {
        instrument,
        greeks: OptionGreeks {
            taken: QuantisedGreeks {
                at: Nanos(at),
                underlying: SubTicks::from_ticks(Ticks(HOME)),
                value: SubTicks::from_ticks(Ticks(ticks)),
                price_delta: sign * (5 << 31),
                price_gamma: (1i64 << 48) / 400,
                theta: -(20i64 << 32) / 86_400,
                exposure: Exposure(sign * LOT),
                exposure_gamma: 25_000_000i64 << 32,
            },
            vega: 60 << 32,
            rho: -(40 << 32),
            vanna: Exposure(sign * LOT / 10),
            volga: 1 << 32,
            volatility: 150_000_000,
        },
    })
}

/// Takes Greeks in with how far they may move.
pub(super) fn spanned(desk: &mut Desk, greeks: Control, span: GreekVector) -> Vec<OrderIntent> {
    let Control::Greeks(RefreshedGreeks { instrument, greeks: of }) = greeks else {
        unreachable!()
    };
    desk.control(Control::GreekSpan(GreekSpan { instrument, at: of.taken.at, span }));
    desk.control(greeks)
}

/// The same where they stay what they are.
pub(super) fn refresh(desk: &mut Desk, greeks: Control) -> Vec<OrderIntent> {
    spanned(desk, greeks, GreekVector::default())
}

/// Logged on, every market there, Greeks refreshed: what is quoted then.
pub(super) fn begin(config: &MakerConfig) -> (Desk, Vec<OrderIntent>) {
    let mut desk = Desk::with(config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(FUTURE, HOME);
    desk.image(CALL, 1_600);
    assert!(desk.image(PUT, 1_600).is_empty(), "nothing is quoted without Greeks");
    let state = |desk: &Desk, id| desk.maker.snapshot(id).unwrap().reason;
    assert_eq!(state(&desk, CALL), Reason::NoGreeks);
    let at = desk.now;
    let mut quotes = refresh(&mut desk, greeks(CALL, at, 1_600));
    quotes.extend(refresh(&mut desk, greeks(PUT, at, 1_600)));
    for quote in &quotes {
        desk.accept(quote);
    }
    (desk, quotes)
}

pub(super) fn side(quotes: &[OrderIntent], id: InstrumentId, side: Side) -> Vec<OrderIntent> {
    quotes.iter().filter(|q| q.instrument == id && q.side == side).copied().collect()
}

fn reason(desk: &Desk, id: InstrumentId) -> Reason {
    desk.maker.snapshot(id).unwrap().reason
}

#[test]
fn options_are_quoted_around_the_models_value_and_follow_their_future() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    let bids = side(&quotes, CALL, Side::Buy);
    let asks = side(&quotes, CALL, Side::Sell);
    assert_eq!((bids.len(), asks.len()), (2, 2));
    assert_eq!(1_600 - bids[0].price.0, asks[0].price.0 - 1_600);
    // Eight ticks up: a call gains 20 and a bit of gamma, a put loses as much.
    let moved = desk.image(FUTURE, HOME + 8);
    let call = moved.iter().find(|q| q.instrument == CALL && q.side == Side::Sell).unwrap();
    let put = moved.iter().find(|q| q.instrument == PUT && q.side == Side::Buy).unwrap();
    assert_eq!(call.action, OrderAction::Replace);
    assert!((19..=21).contains(&(call.price.0 - asks[0].price.0)), "{call:?}");
    let put_bid = side(&quotes, PUT, Side::Buy)[0].price.0;
    assert!((-21..=-19).contains(&(put.price.0 - put_bid)), "{put:?}");
}

#[test]
fn where_an_options_prices_are_further_apart_quotes_are_rounded_outward_and_nothing_else_passes() {
    let mut config = with(limits(i64::MAX / 10));
    let fine = begin(&config).1;
    let step = CoarseStep::new(Ticks(200), 5).unwrap();
    let call = config.instruments[1].clone();
    config.instruments[1] = call.with_coarse_step(step);
    let (mut desk, quotes) = begin(&config);
    for way in [Side::Buy, Side::Sell] {
        let (fine, coarse) = (side(&fine, CALL, way), side(&quotes, CALL, way));
        assert_eq!((fine.len(), coarse.len()), (2, 2));
        let beyond =
            |of: &OrderIntent, than: &OrderIntent| way.sign() * (than.price.0 - of.price.0);
        assert!(coarse.iter().all(|quote| quote.price.0 % 5 == 0), "{coarse:?}");
        assert!((0..5).contains(&beyond(&coarse[0], &fine[0])), "{coarse:?} {fine:?}");
        assert_eq!(side(&quotes, PUT, way).len(), 2);
    }
    // A future that moves by less than the step leaves what works where it is, or moves it by steps.
    let moved = desk.image(FUTURE, HOME + 8);
    let moved: Vec<_> = moved.iter().filter(|quote| quote.instrument == CALL).collect();
    assert!(!moved.is_empty() && moved.iter().all(|quote| quote.price.0 % 5 == 0), "{moved:?}");
    let off_step = |desk: &Desk| {
        let place = BlockReason::ALL.iter().position(|reason| *reason == BlockReason::OffStep);
        desk.maker.counters().blocked[place.unwrap()]
    };
    assert_eq!(off_step(&desk), 0);
    let mut out = Intents::new(16, 16);
    let mut send = |purpose, price| {
        let immediate = TimeInForce::ImmediateOrCancel;
        let (to, lots) = (Ticks(price), Lots(1));
        desk.maker.send_new(CALL, Side::Buy, purpose, to, lots, immediate, &mut out).is_some()
    };
    assert!(!send(Purpose::Quote { level: 0 }, 1_501));
    // What takes is rounded to a price that the venue has, and never past what it may pay.
    assert!(send(Purpose::Hedge, 1_503));
    assert_eq!(off_step(&desk), 1);
    assert_eq!(out.orders().last().map(|intent| intent.price), Some(Ticks(1_500)));
}

#[test]
fn a_fill_in_an_option_is_hedged_by_its_delta_at_once() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    let sent = desk.fill(&side(&quotes, CALL, Side::Buy)[0], 10, 10);
    assert_eq!(desk.maker.delta(0), Some(Exposure(10 * LOT)));
    let hedge = sent.iter().find(|i| i.instrument == FUTURE).unwrap();
    // 250 units less the inner edge of 10, in futures of 50.
    assert_eq!((hedge.side, hedge.size), (Side::Sell, Lots(4)));
    desk.fill(hedge, 4, 4);
    assert_eq!(desk.maker.delta(0), Some(Exposure(2 * LOT)));
    // A put bought takes exposure off, and beyond the band the future is bought.
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    let sent = desk.fill(&side(&quotes, PUT, Side::Buy)[0], 10, 10);
    assert_eq!(desk.maker.delta(0), Some(Exposure(-10 * LOT)));
    assert!(sent.iter().any(|i| i.instrument == FUTURE && i.side == Side::Buy));
}

#[test]
fn what_the_book_holds_moves_every_quote_of_the_underlying() {
    let (mut desk, quotes) = begin(&with(limits(7_500_000_000_000)));
    let ask = side(&quotes, PUT, Side::Sell)[0];
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 5, 5);
    let moved = desk.timer();
    let put = moved.iter().find(|q| q.orig_cl_ord_id == ask.cl_ord_id).unwrap();
    // Long delta lifts a put, long vega lowers it: a quarter of 40 ticks at 2.5, a tenth of half a point.
    assert_eq!(put.price.0 - ask.price.0, 25 - 3);
}

#[test]
fn beyond_its_bounds_nothing_is_quoted_and_nothing_hedged_by_guesswork() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    // What moves after the fill is answered, so that nothing is under way.
    let mut moved = desk.fill(&side(&quotes, CALL, Side::Buy)[0], 2, 2);
    while let Some(intent) = moved.pop() {
        moved.extend(desk.accept(&intent));
    }
    let sent = desk.image(FUTURE, HOME + 61);
    assert_eq!(reason(&desk, PUT), Reason::GreeksOutside);
    let cancels = sent.iter().filter(|i| i.action == OrderAction::Cancel).count();
    assert_eq!(cancels, quotes.len(), "every quote goes out");
    assert!(!sent.iter().any(|i| i.instrument == FUTURE));
    // A refresh where the future is now brings them back.
    let at = desk.now;
    let Control::Greeks(mut fresh) = greeks(CALL, at, 1_700) else { unreachable!() };
    fresh.greeks.taken.underlying = SubTicks::from_ticks(Ticks(HOME + 61));
    refresh(&mut desk, Control::Greeks(fresh));
    assert_eq!(reason(&desk, CALL), Reason::Normal);
    // And age takes them out again.
    desk.now += 1_000_000;
    desk.image(FUTURE, HOME + 61);
    desk.timer();
    assert_eq!(reason(&desk, CALL), Reason::GreeksOutside);
}

#[test]
fn orders_in_doubt_count_in_full_when_their_greeks_have_aged() {
    let (mut desk, _) = begin(&with(limits(i64::MAX / 10)));
    let open = |desk: &Desk| {
        [Side::Buy, Side::Sell].map(|side| desk.maker.options.book.open_exposure(0, side))
    };
    let before = open(&desk);
    assert!(before.iter().all(|open| *open > 0), "{before:?}");
    desk.session(OrderUpdate::SessionDown);
    desk.now += 1_000_000;
    desk.timer();
    assert!(desk.maker.option(CALL).unwrap().value.is_err());
    assert_eq!(
        open(&desk),
        before.map(|open| 2 * open),
        "half a delta may have become a whole one"
    );
}

#[test]
fn a_gap_of_the_future_pulls_its_options() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    let gap = MarketUpdate::Gap;
    let sent = desk.market(FUTURE, gap, true);
    assert_eq!(sent.iter().filter(|i| i.action == OrderAction::Cancel).count(), quotes.len());
    assert_eq!(reason(&desk, CALL), Reason::NoReference);
}

#[test]
fn crossed_quotes_of_an_option_pull_it_alone() {
    let (mut desk, _) = begin(&with(limits(i64::MAX / 10)));
    let crossed = MarketUpdate::Level { side: Side::Buy, price: Ticks(1_602), size: Lots(1) };
    let sent = desk.market(CALL, crossed, true);
    assert!(sent.iter().all(|i| i.action == OrderAction::Cancel && i.instrument == CALL));
    assert_eq!(reason(&desk, CALL).name(), "crossed");
    assert_eq!(reason(&desk, PUT), Reason::Normal);
}

#[test]
fn quotes_shrink_to_the_room_that_a_greek_leaves_and_never_pass_it() {
    // 150 dollars of vega a lot; room for ten lots, and every option of the underlying shares it.
    let (mut desk, quotes) = begin(&with(limits(1_500_000_000_000)));
    let size = |id, of| side(&quotes, id, of).iter().map(|q| q.size.0).sum::<i64>();
    assert_eq!((size(CALL, Side::Buy), size(CALL, Side::Sell)), (10, 10));
    assert_eq!((size(PUT, Side::Buy), size(PUT, Side::Sell)), (0, 0), "the call took all of it");
    let ranges = |desk: &Desk| desk.maker.greek_ranges(0).unwrap()[2];
    assert_eq!(ranges(&desk).up, 1_500_000_000_000);
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 10, 10);
    desk.timer();
    assert!(ranges(&desk).up <= 1_500_000_000_000);
    // Long ten: the way home and through to the other limit is open.
    assert_eq!(desk.maker.net_greeks(0).unwrap().vega, 1_500_000_000_000);
    assert!(ranges(&desk).down >= -1_500_000_000_000);
    assert!(desk.maker.snapshot(CALL).unwrap().open[1].0 > 10, "it may go short by as much");
}

#[test]
fn vega_bought_in_a_window_pulls_every_quote() {
    let tight = OptionLimits { vega_protection: 1_200_000_000_000, ..limits(i64::MAX / 10) };
    let (mut desk, quotes) = begin(&with(tight));
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 5, 5);
    assert_eq!(desk.maker.counters().protections, 0);
    desk.fill(&side(&quotes, PUT, Side::Buy)[0], 4, 4);
    assert_eq!(desk.maker.counters().protections, 1, "across strikes and rights");
    assert_eq!((reason(&desk, CALL), reason(&desk, PUT)), (Reason::Protection, Reason::Protection));
}

#[test]
fn near_strike_and_expiry_quotes_widen_then_stop_and_an_expired_option_ends_in_its_future() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 3, 3);
    desk.now = EXPIRY.0 - 4_500;
    let at = desk.now;
    desk.image(FUTURE, HOME);
    let at = at + 3_000;
    assert_eq!(at, EXPIRY.0 - 1_500);
    desk.now = at - 2_000;
    refresh(&mut desk, greeks(CALL, at, 20));
    assert_eq!(reason(&desk, CALL), Reason::Normal, "widened, not stopped");
    desk.timer();
    assert_eq!(reason(&desk, CALL), Reason::PinRisk);
    desk.timer();
    assert_eq!(reason(&desk, CALL), Reason::Expired);
    // Not settled yet, and at the money it delivers nothing, wherever its future goes now.
    assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    desk.image(FUTURE, HOME + 16);
    assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    let act = Act::Expire { instrument: CALL, price: 3_004_000_000_000 };
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    let position = |id| desk.maker.ledger().position(id).unwrap().0;
    assert_eq!((position(CALL), position(FUTURE)), (0, 3));
    assert_eq!(desk.maker.delta(0), Some(Exposure(6 * LOT)));
    sums_to_the_ledger(&desk);
}

/// Long three calls at their expiry, their future `ticks` above the strike.
fn at_expiry(ticks: i64) -> Desk {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 3, 3);
    desk.now = EXPIRY.0 - 4_500;
    desk.image(FUTURE, HOME + ticks);
    desk.timer();
    desk.now = EXPIRY.0;
    desk.timer();
    desk
}

#[test]
fn what_an_expired_option_delivers_is_decided_at_its_expiry() {
    for (at_the_end, delivered) in [(16, 6 * LOT), (-16, 0)] {
        let mut desk = at_expiry(at_the_end);
        assert_eq!(desk.maker.delta(0), Some(Exposure(delivered)));
        // Across the strike and back: nothing is bought or sold for it.
        for ticks in [-at_the_end, at_the_end, -at_the_end] {
            let sent = desk.image(FUTURE, HOME + ticks);
            assert_eq!(desk.maker.delta(0), Some(Exposure(delivered)), "{ticks}");
            assert!(!sent.iter().any(|intent| intent.instrument == FUTURE), "{sent:?}");
        }
    }
}

#[test]
fn an_expiry_that_nobody_saw_is_not_guessed_and_can_be_settled() {
    let mut config = with(limits(i64::MAX / 10));
    config.settings[1].opening = Lots(3);
    let mut desk = Desk::with(&config);
    desk.now = EXPIRY.0 + 10_000_000;
    desk.session(OrderUpdate::SessionUp);
    desk.image(CALL, 100);
    desk.image(FUTURE, HOME + 16);
    let sent = desk.timer();
    assert_eq!(desk.maker.option(CALL).unwrap().value, Err(Unvalued::NotFixed));
    assert_eq!(reason(&desk, CALL), Reason::Expired);
    assert!(desk.maker.delta(0).is_none() && sent.is_empty(), "{sent:?}");
    let act = Act::Expire { instrument: CALL, price: 3_004_000_000_000 };
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    assert_eq!(desk.maker.ledger().position(FUTURE), Some(Lots(3)));
    assert_eq!(desk.maker.delta(0), Some(Exposure(6 * LOT)));
}

fn sums_to_the_ledger(desk: &Desk) {
    let parts = desk.maker.option_causes(0).iter().map(|(_, amount)| amount).sum::<i128>();
    let moved = [CALL, PUT].map(|id| desk.maker.ledger().moved(id).unwrap().0);
    assert_eq!(parts, moved.iter().sum::<i128>());
}

#[test]
fn every_mark_of_an_option_is_explained_or_residual() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 7, 7);
    desk.fill(&side(&quotes, PUT, Side::Sell)[0], 4, 4);
    for step in [3, 9, -7, -20, 1] {
        desk.image(FUTURE, HOME + step);
        desk.timer();
        sums_to_the_ledger(&desk);
    }
    let at = desk.now;
    let Control::Greeks(mut fresh) = greeks(CALL, at, 1_645) else { unreachable!() };
    fresh.greeks.volatility += 5_000_000;
    refresh(&mut desk, Control::Greeks(fresh));
    sums_to_the_ledger(&desk);
    let [delta, gamma, vega, ..] = desk.maker.option_causes(0).map(|(_, amount)| amount);
    // Half a point of volatility at 150 dollars a lot, seven lots.
    assert_eq!(vega, 7 * 75_000_000_000);
    assert!(delta != 0 && gamma != 0);
}

#[test]
fn greeks_of_no_option_or_older_than_the_last_change_nothing() {
    let (mut desk, _) = begin(&with(limits(i64::MAX / 10)));
    let taken = desk.maker.option(CALL).unwrap().greeks;
    refresh(&mut desk, greeks(CALL, 1, 9_999));
    desk.control(greeks(FUTURE, desk.now, 9_999));
    desk.control(greeks(InstrumentId(99), desk.now, 9_999));
    assert_eq!(desk.maker.option(CALL).unwrap().greeks, taken);
    assert_eq!(desk.maker.counters().parameters_refused, 3);
    assert!(size_of::<Control>() <= 128, "the ring's slots keep to two lines");
}

#[test]
fn an_option_ends_in_its_time_and_by_no_more_than_is_held() {
    let (mut desk, quotes) = begin(&with(limits(i64::MAX / 10)));
    desk.fill(&side(&quotes, CALL, Side::Buy)[0], 3, 3);
    let end = |desk: &mut Desk, act| {
        desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
        let position = |id| desk.maker.ledger().position(id).unwrap().0;
        (position(CALL), position(FUTURE), desk.maker.counters().acts_refused)
    };
    let exercise = |lots| Act::Exercise { instrument: CALL, lots: Lots(lots), price: 0 };
    // It lives; three are held; and none of them is short.
    let expire = Act::Expire { instrument: CALL, price: 3_004_000_000_000 };
    let hedged = desk.maker.ledger().position(FUTURE).unwrap().0;
    assert_eq!(end(&mut desk, expire), (3, hedged, 1));
    assert_eq!(end(&mut desk, exercise(100)), (3, hedged, 2));
    assert_eq!(end(&mut desk, exercise(-1)), (3, hedged, 3));
    assert_ne!(desk.maker.snapshot(CALL).unwrap().state, State::Halted, "nothing was booked");
    // An American one is exercised before its end.
    assert_eq!(end(&mut desk, exercise(1)), (2, hedged + 1, 3));
    desk.now = EXPIRY.0;
    assert_eq!(end(&mut desk, expire), (0, hedged + 3, 3));

    let mut european = with(limits(i64::MAX / 10));
    let terms = *european.instruments[1].option().unwrap();
    let kind = InstrumentKind::Option(OptionTerms { style: ExerciseStyle::European, ..terms });
    let spec = InstrumentSpec { kind, ..european.instruments[1].spec().clone() };
    european.instruments[1] = Instrument::new(CALL, spec).unwrap();
    european.settings[1].opening = Lots(3);
    let mut desk = Desk::with(&european);
    assert_eq!(end(&mut desk, exercise(1)), (3, 0, 1));
}

fn told(config: &MakerConfig) -> Vec<String> {
    config.faults().iter().map(ToString::to_string).collect()
}

#[test]
fn options_of_one_underlying_settle_in_one_currency() {
    let mut config = with(limits(1_000));
    let terms =
        OptionTerms { delivery: Delivery::Coin, ..*config.instruments[2].option().unwrap() };
    let spec = InstrumentSpec {
        quote: Currency(0),
        settlement: Currency(0),
        kind: InstrumentKind::Option(terms),
        ..config.instruments[2].spec().clone()
    };
    config.instruments[2] = Instrument::new(PUT, spec).unwrap();
    let faults = told(&config);
    let part = "settles in another currency than";
    assert!(faults.iter().any(|fault| fault.contains(part)), "{faults:?}");
}

#[test]
fn options_on_what_is_not_their_forward_need_a_call_and_a_put_of_one_strike() {
    let mut config = with(limits(1_000));
    let spec = InstrumentSpec {
        kind: InstrumentKind::LinearPerpetual,
        ..config.instruments[0].spec().clone()
    };
    config.instruments[0] = Instrument::new(FUTURE, spec).unwrap();
    for place in [1, 2] {
        let spec = config.instruments[place].spec().clone();
        let terms = *config.instruments[place].option().unwrap();
        let terms = OptionTerms { delivery: Delivery::Cash, ..terms };
        let spec = InstrumentSpec { kind: InstrumentKind::Option(terms), ..spec };
        config.instruments[place] = Instrument::new(spec_id(place), spec).unwrap();
    }
    assert_eq!(told(&config), Vec::<String>::new());
    let terms =
        OptionTerms { strike: "3010".parse().unwrap(), ..*config.instruments[2].option().unwrap() };
    let spec = InstrumentSpec {
        kind: InstrumentKind::Option(terms),
        ..config.instruments[2].spec().clone()
    };
    config.instruments[2] = Instrument::new(PUT, spec).unwrap();
    let faults = told(&config);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("needs both a call and a put"), "{faults:?}");
}

fn spec_id(place: usize) -> InstrumentId {
    InstrumentId(u16::try_from(place).unwrap())
}

#[test]
fn a_model_with_a_skew_of_its_own_is_refused_for_an_option() {
    let mut config = with(limits(1_000));
    config.settings[1] = settings(Some(quote_settings()), 0);
    let faults: Vec<String> = config.faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("I1: an option is quoted with model \"symmetric\""), "{faults:?}");
}
