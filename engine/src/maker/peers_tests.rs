//! Six mistakes that other market makers are known for, each held off where it would be made: in the
//! orders and the account of a whole maker. The models alone are held to the first three in
//! `calibration/closed_form.rs` too.

use super::guards::GuardSettings;
use super::tests::{Desk, PERP, SPOT, config, quote_settings, settings};
use super::*;
use crate::calibration::{QuoteParameters, Real, quoter};
use crate::estimate::volatility::Sigma;
use crate::event::{OrderAction, OrderIntent, OrderUpdate};
use crate::instrument::{Currency, InstrumentKind};
use crate::pnl::attribution::Cause;
use crate::pnl::standing::{FundingTerms, StandingTerms};
use crate::quote::{Model, Session};
use crate::risk::limits::{ExposureLimits, ValueLimit};
use crate::units::{Exposure, FeeRate, Lots, Nanos, Side, Ticks};

const COIN: Currency = Currency(0);
const SECOND: u64 = 1_000_000_000;

/// Spot alone, with one level's best bid and ask, some lots over target.
fn unhedged(model: Model, over: i64, sigma_ticks: i64) -> MakerConfig {
    let mut config = config();
    let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(0.1));
    let spot = &mut config.settings[0];
    spot.quote.as_mut().unwrap().quoter = quoter(model, &parameters).unwrap();
    spot.volatility.floor = Sigma(sigma_ticks << 32);
    spot.opening = Lots(1_000 + over);
    config.underlyings[0].hedge = None;
    ending_at(config, 60)
}

/// The same with a horizon up to that second, for the models that count down to an end.
fn ending_at(mut config: MakerConfig, seconds: u64) -> MakerConfig {
    let horizon = Session { begin: Nanos(0), end: Nanos(seconds * SECOND) };
    let sessions = Some([horizon].into());
    config.guards.instruments = vec![GuardSettings { sessions, ..GuardSettings::default() }];
    config
}

/// Best bid and ask, and lots on each side.
fn quoted(config: &MakerConfig) -> ([i64; 2], [i64; 2]) {
    let quotes = Desk::with(config).begin();
    let lots = Side::BOTH.map(|side| {
        let of = quotes.iter().filter(|quote| quote.side == side);
        of.map(|quote| quote.size.0).sum()
    });
    let best = |side| quotes.iter().filter(move |quote| quote.side == side).map(|q| q.price.0);
    ([best(Side::Buy).max().unwrap(), best(Side::Sell).min().unwrap()], lots)
}

#[test]
fn no_skew_buys_more_while_already_over_target() {
    for model in Model::ALL {
        let ([bid, ask], [buys, sells]) = quoted(&unhedged(model, 0, 10));
        let ([long_bid, long_ask], [long_buys, long_sells]) = quoted(&unhedged(model, 20, 10));
        assert!(long_bid <= bid && long_ask <= ask, "{model:?}");
        assert!(long_buys <= buys && long_sells >= sells, "{model:?}");
        let is_skewed = model != Model::Symmetric;
        assert!(!is_skewed || (long_bid < bid && long_ask < ask), "{model:?} moves home");
    }
}

#[test]
fn the_variance_and_not_its_root_moves_avellaneda_and_stoikov_s_quotes() {
    let skew = |sigma| {
        let bid = |over| quoted(&unhedged(Model::AvellanedaStoikovRolling, over, sigma)).0[0];
        bid(0) - bid(30)
    };
    // q γ σ² τ = 30 × 0.001 × 100 × 60 ticks.
    assert_eq!([skew(10), skew(20)], [180, 720]);
}

#[test]
fn avellaneda_and_stoikov_do_not_sit_at_their_widest_until_the_end() {
    let mut config = ending_at(unhedged(Model::AvellanedaStoikovFinite, 0, 10), 600);
    config.settings[0].stale_after_ns = 1_000 * SECOND;
    let mut desk = Desk::with(&config);
    let quotes = desk.begin();
    let bid = |sent: &[OrderIntent]| {
        sent.iter().filter(|sent| sent.side == Side::Buy).map(|sent| sent.price.0).max().unwrap()
    };
    let wide = 600_000 - bid(&quotes);
    desk.now = 540 * SECOND;
    let narrow = 600_000 - bid(&desk.image(SPOT, 600_000));
    // γ σ² τ / 2: 30 ticks with 600 seconds left, 3 with 60.
    assert!((26..=28).contains(&(wide - narrow)), "{wide} then {narrow}");
}

#[test]
fn sizes_and_skew_come_from_the_total_balance_and_not_from_what_orders_leave_available() {
    let mut config = unhedged(Model::Glft, 0, 10);
    config.settings[0].opening = Lots(20);
    config.underlyings[0].target = Exposure(20_000_000 - 1_000_000_000);
    let mut desk = Desk::with(&config);
    let quotes = desk.begin();
    let offered: i64 = quotes.iter().filter(|q| q.side == Side::Sell).map(|q| q.size.0).sum();
    assert_eq!(offered, 20, "every coin stands in an order: none is available");
    assert!(desk.image(SPOT, 600_000).is_empty() && desk.timer().is_empty(), "nothing is resized");
    let moved = desk.image(SPOT, 600_010);
    assert_eq!(moved.len(), quotes.len());
    for quote in &quotes {
        let to = moved.iter().find(|to| to.orig_cl_ord_id == quote.cl_ord_id).unwrap();
        assert_eq!(to.action, OrderAction::Replace);
        assert_eq!((to.price.0 - quote.price.0, to.size), (10, quote.size), "{:?}", quote.side);
    }
}

/// Answers what is sent, and what that leads to; what of it stands then, best first.
fn settle(desk: &mut Desk, mut sent: Vec<OrderIntent>) -> Vec<OrderIntent> {
    let mut all = sent.clone();
    while let Some(intent) = sent.pop() {
        let more = desk.accept(&intent);
        all.extend(&more);
        sent.extend(more);
    }
    let orders = (0..desk.maker.orders.capacity()).filter_map(|n| desk.maker.orders.at(n));
    let live: Vec<_> = orders.map(|(_, order)| order.cl_ord_id).collect();
    all.retain(|intent| live.contains(&intent.cl_ord_id));
    all.sort_by_key(|intent| (intent.side.index(), -intent.side.sign() * intent.price.0));
    all
}

/// Two pairs of one coin, both quoted; soft, stop and hard limit of 10, 20 and 30 lots.
fn two_pairs() -> MakerConfig {
    let mut config = config();
    let mut spec = config.instruments[1].spec().clone();
    spec.kind = InstrumentKind::Spot;
    config.instruments[1] = Instrument::new(PERP, spec).unwrap();
    config.settings[1] = settings(Some(quote_settings()), 1_000);
    let lots = |lots: i64| Exposure(lots * 1_000_000);
    let underlying = &mut config.underlyings[0];
    underlying.target = lots(2_000);
    underlying.limits = ExposureLimits::new(lots(10), lots(20), lots(30)).unwrap();
    underlying.hedge = None;
    config
}

#[test]
fn limits_do_not_multiply_across_pairs_that_share_a_currency() {
    const OTHER: InstrumentId = PERP;
    let mut desk = Desk::with(&two_pairs());
    desk.session(OrderUpdate::SessionUp);
    // What is held of the other pair has no worth, and nothing is bought, before its market is there.
    let sent = [desk.image(SPOT, 600_000), desk.image(OTHER, 600_000), desk.timer()].concat();
    let quotes = settle(&mut desk, sent);
    let lots = |side| -> i64 {
        quotes.iter().filter(|quote| quote.side == side).map(|quote| quote.size.0).sum()
    };
    // Each pair wants 20 a side; all of them together may not pass the coin's hard limit.
    assert_eq!([lots(Side::Buy), lots(Side::Sell)], [30, 30]);
    let bids_at = |pair| -> Vec<OrderIntent> {
        quotes.iter().filter(|q| q.side == Side::Buy && q.instrument == pair).copied().collect()
    };
    let (there, here) = (bids_at(OTHER), bids_at(SPOT));
    assert!(!here.is_empty());
    let mut sent = desk.fill(&there[0], 10, 10);
    sent.extend(desk.fill(&there[1], 5, 5));
    sent.extend(desk.image(SPOT, 600_000));
    // 15 lots bought at one pair are beyond the soft limit of both.
    for bid in &here {
        let is_out =
            |s: &OrderIntent| s.action == OrderAction::Cancel && s.orig_cl_ord_id == bid.cl_ord_id;
        assert!(sent.iter().any(is_out), "the other pair no longer buys: {sent:?}");
    }
    let other = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((other.state, other.reason), (State::Reducing, Reason::SoftLimit));
}

/// An inverse perpetual of 100 dollars a contract, settled in coin, quoted alone.
fn inverse() -> MakerConfig {
    let mut config = config();
    let mut spec = config.instruments[1].spec().clone();
    spec.kind = InstrumentKind::InversePerpetual;
    spec.settlement = COIN;
    spec.lot = "1".parse().unwrap();
    spec.multiplier = "100".parse().unwrap();
    config.instruments[1] = Instrument::new(PERP, spec).unwrap();
    config.settings[0] = settings(None, 0);
    config.settings[1] = settings(Some(quote_settings()), 0);
    config.settings[1].limits.order_value_max = ValueLimit::Lots(100);
    config.settings[1].stale_after_ns = 100 * SECOND;
    config.settings[1].standing = StandingTerms {
        funding: Some(FundingTerms { every_ns: 10 * SECOND, rate: FeeRate(100_000) }),
        ..StandingTerms::default()
    };
    config.underlyings[0].hedge = None;
    config.conversions = vec![(COIN, SPOT)];
    config
}

/// What an order of ten contracts, a thousand dollars, is in 1e-9 coin at a price in ticks of 0.1.
fn nano_coin(ticks: i64) -> i128 {
    1_000 * 10 * 1_000_000_000 / i128::from(ticks)
}

#[test]
fn an_inverse_perpetual_earns_the_difference_of_reciprocals_and_pays_funding_in_coin() {
    let mut desk = Desk::with(&inverse());
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    let sent = desk.image(PERP, 600_000);
    let bought = settle(&mut desk, sent)[0];
    assert_eq!(bought.side, Side::Buy);
    let sent = desk.fill(&bought, 10, 10);
    settle(&mut desk, sent);
    desk.image(SPOT, 660_000);
    let sent = [desk.image(PERP, 660_000), desk.timer()].concat();
    let standing = settle(&mut desk, sent);
    desk.now = 10 * SECOND;
    desk.timer();
    let causes = desk.maker.ledger().causes_of(COIN);
    let funding = causes.iter().find(|(cause, _)| *cause == Cause::Funding).unwrap().1;
    // A long of 1,000 dollars at 66,000 is 0.0151515 coin; a ten-thousandth of it, rounded against us.
    assert_eq!(funding.0, -1_516);
    let sold = *standing.iter().find(|quote| quote.side == Side::Sell).unwrap();
    assert!(sold.price > Ticks(650_000), "{sold:?}");
    desk.fill(&sold, 10, 10);
    assert_eq!(desk.maker.ledger().position(PERP), Some(Lots(0)));
    let earned = desk.maker.ledger().equity(COIN).unwrap().0 - funding.0;
    let reciprocals = nano_coin(bought.price.0) - nano_coin(sold.price.0);
    assert!((earned - reciprocals).abs() <= 2, "{earned} for {reciprocals}");
    let (causes, total) = desk.maker.pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
}
