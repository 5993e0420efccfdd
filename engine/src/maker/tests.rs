//! What the maker promises, over whole sequences of inputs.

use super::config::*;
use super::hedging_tests::{hedges, set_band};
use super::input::{Control, Input};
use super::intents::Intents;
use super::*;
use crate::calibration::{QuoteParameters, Real, quoter};
use crate::estimate::fair_value::FairValue;
use crate::estimate::volatility::{Sigma, VolatilityKind};
use crate::event::*;
use crate::instrument::*;
use crate::inventory::hedge::{Band, BandRule};
use crate::pnl::standing::StandingTerms;
use crate::quote::{Model, ladder::*, requote::Tolerance};
use crate::risk::limits::{ExposureLimits, InstrumentLimits, PortfolioLimits, ValueLimit};
use crate::risk::{collar::Collar, loss::LossLimits};
use crate::risk::{order_to_trade::OrderToTradeLimit, protection::ProtectionLimits};
use crate::risk::{self_trade::SelfTrade, throttle::MessageRate, window::WindowLimit};
use crate::units::*;
pub(super) const SPOT: InstrumentId = InstrumentId(0);
pub(super) const PERP: InstrumentId = InstrumentId(1);
const VENUE: VenueId = VenueId(0);

fn instrument(id: u16, kind: InstrumentKind) -> Instrument {
    instrument_at(id, kind, VENUE)
}

pub(super) fn instrument_at(id: u16, kind: InstrumentKind, venue: VenueId) -> Instrument {
    let spec = InstrumentSpec {
        symbol: format!("I{id}"),
        venue,
        underlying: Underlying(0),
        kind,
        tick: "0.1".parse().unwrap(),
        lot: "0.001".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(450_000),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}

pub(super) fn quote_settings() -> QuoteSettings {
    let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(0.1));
    let ladder = LadderShape::new(LadderConfig {
        levels: 2,
        sizes: SizeProfile::Equal(Lots(10)),
        spacing: Spacing::Even(SubTicks::from_ticks(Ticks(10))),
        size_min: Lots(1),
        edge_min: SubTicks(0),
        maker_fee: FeeRate(0),
        is_post_only: true,
    });
    QuoteSettings {
        quoter: quoter(Model::Glft, &parameters).unwrap(),
        ladder: ladder.unwrap(),
        fair_value: FairValue::Mid,
        tolerance: Tolerance { aggressive_ticks: 0, passive_ticks: 2, lots: 0 },
        reject_holdoff_ns: 1_000,
        markout: None,
        holdings: None,
    }
}

pub(super) fn settings(quote: Option<QuoteSettings>, opening: i64) -> InstrumentSettings {
    InstrumentSettings {
        limits: InstrumentLimits {
            order_size_max: Lots(100),
            order_value_max: ValueLimit::TickLots(100 * 700_000),
            position_max: Lots(2_000),
            collar: Collar { width: Ticks(2_000) },
            executions: WindowLimit { max: 20, window_ns: 1_000_000 },
            duplicates: WindowLimit { max: 8, window_ns: 1_000 },
        },
        stale_after_ns: 1_000_000_000,
        volatility: VolatilitySettings {
            interval_ns: 1_000_000_000,
            weight_shift: 5,
            floor: Sigma(10 << 32),
            kind: VolatilityKind::Ewma,
        },
        quote,
        opening: Lots(opening),
        spike: None,
        self_trade: SelfTrade::default(),
        standing: StandingTerms::default(),
    }
}

fn exposure_limits() -> ExposureLimits {
    let [soft, stop, hard] = [50, 80, 200].map(|milli| Exposure(milli * 1_000_000));
    ExposureLimits::new(soft, stop, hard).unwrap()
}

pub(super) fn config() -> MakerConfig {
    MakerConfig {
        instruments: vec![
            instrument(0, InstrumentKind::Spot),
            instrument(1, InstrumentKind::LinearPerpetual),
        ],
        settings: vec![settings(Some(quote_settings()), 1_000), settings(None, -1_000)],
        underlyings: vec![UnderlyingSettings {
            firm: None,
            target: Exposure(0),
            protection: ProtectionLimits {
                fills_max: 20,
                delta_max: Exposure(150_000_000),
                window_ns: 1_000_000,
                cooldown_ns: 50_000,
            },
            limits: exposure_limits(),
            hedge: Some(HedgeSettings {
                band: BandRule::Fixed(Band {
                    outer: Exposure(25_000_000),
                    inner: Exposure(5_000_000),
                }),
                instruments: vec![HedgeInstrument { instrument: PERP, collar: Ticks(50) }],
                failures_max: 3,
                retry_holdoff_ns: 10_000,
                holding_ns: 0,
                unwind_credit_ppm: 0,
                basis: None,
            }),
        }],
        message_rates: vec![MessageRate { max: 100, window_ns: 1_000, cancel_reserve: 20 }],
        order_to_trade: vec![OrderToTradeLimit { max: 100, grace: 1_000 }],
        portfolio: PortfolioLimits {
            gross_max: Notional(200_000_000_000_000),
            loss: LossLimits {
                daily_max: Notional(1_000_000_000_000),
                drawdown_max: Notional(1_000_000_000_000),
                cooldown_ns: 1_000_000,
                day_ends: vec![],
            },
        },
        guards: guards::Guards::default(),
        carried: Default::default(),
        resumption: None,
        reporting: Currency(1),
        conversions: vec![],
        options: Default::default(),
        portfolio_members: vec![],
        collateral: None,
        rebalance: Default::default(),
        opening_cash: vec![],
        orders_max: 64,
        book_levels_max: 16,
        ack_timeout_ns: 1_000_000,
        rejects_max: 3,
        timer_interval_ns: 1_000_000,
        epoch: 1,
    }
}

/// A maker with hands: every call is one input, and its intents are what it answered.
pub(super) struct Desk {
    pub maker: Maker,
    pub out: Intents,
    pub now: u64,
    seq: u64,
    exec: u64,
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(&config())
    }

    pub fn with(config: &MakerConfig) -> Desk {
        let out = Intents::new(Maker::intents_max(config), 64);
        let maker = Maker::new(config).unwrap();
        Desk { maker, out, now: 1_000, seq: 0, exec: 0 }
    }

    pub fn step(&mut self, input: Input) -> Vec<OrderIntent> {
        self.now += 1_000;
        self.out.clear();
        self.maker.step(Nanos(self.now), &input, &mut self.out);
        self.out.orders().to_vec()
    }

    pub fn timer(&mut self) -> Vec<OrderIntent> {
        self.step(Input::Timer)
    }

    pub fn control(&mut self, control: Control) -> Vec<OrderIntent> {
        self.step(Input::Control(control))
    }

    pub fn market(&mut self, id: InstrumentId, what: MarketUpdate, last: bool) -> Vec<OrderIntent> {
        self.step(Input::Market(MarketEvent {
            at: Nanos(self.now),
            venue_at: Nanos(0),
            stamp: Stamp(7),
            update: what,
            instrument: id,
            last_in_message: last,
        }))
    }

    /// A whole image of a market two ticks wide around `mid`.
    pub fn image(&mut self, id: InstrumentId, mid: i64) -> Vec<OrderIntent> {
        let level =
            |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
        let mut sent = self.market(id, MarketUpdate::Reset, false);
        sent.extend(self.market(id, level(Side::Buy, mid - 1), false));
        sent.extend(self.market(id, level(Side::Sell, mid + 1), true));
        sent
    }

    pub fn report(
        &mut self,
        id: ClOrdId,
        orig: ClOrdId,
        instrument: InstrumentId,
        update: OrderUpdate,
    ) -> Vec<OrderIntent> {
        self.seq += 1;
        self.step(Input::Order(OrderEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(0),
            msg_seq_num: self.seq,
            cl_ord_id: id,
            orig_cl_ord_id: orig,
            update,
            instrument,
            venue: VENUE,
        }))
    }

    pub fn session(&mut self, update: OrderUpdate) -> Vec<OrderIntent> {
        self.report(ClOrdId::NONE, ClOrdId::NONE, SPOT, update)
    }

    pub fn accept(&mut self, intent: &OrderIntent) -> Vec<OrderIntent> {
        let update = match intent.action {
            OrderAction::New => OrderUpdate::New { leaves_qty: intent.size },
            OrderAction::Replace => {
                let cum = self.cum_qty(intent.orig_cl_ord_id);
                let leaves_qty = Lots(intent.size.0 - cum);
                OrderUpdate::Replaced { price: intent.price, leaves_qty }
            }
            OrderAction::Cancel => OrderUpdate::Canceled { cum_qty: Lots(0) },
        };
        self.report(intent.cl_ord_id, intent.orig_cl_ord_id, intent.instrument, update)
    }

    /// What was filled of the order that a request names.
    fn cum_qty(&self, id: ClOrdId) -> i64 {
        let orders = (0..self.maker.orders.capacity()).filter_map(|n| self.maker.orders.at(n));
        let found = orders.map(|(_, order)| order).find(|order| order.cl_ord_id == id);
        found.map_or(0, |order| order.cum_qty.0)
    }

    pub fn fill(&mut self, intent: &OrderIntent, last: i64, cum: i64) -> Vec<OrderIntent> {
        self.exec += 1;
        let update = OrderUpdate::Fill {
            exec_id: ExecId(self.exec),
            side: intent.side,
            last_px: intent.price,
            last_qty: Lots(last),
            cum_qty: Lots(cum),
            leaves_qty: Lots(intent.size.0 - cum),
            liquidity: Liquidity::Maker,
        };
        self.report(intent.cl_ord_id, ClOrdId::NONE, intent.instrument, update)
    }

    /// Logged on, both markets there, all quotes accepted.
    pub fn quoting() -> (Desk, Vec<OrderIntent>) {
        let mut desk = Desk::new();
        let quotes = desk.begin();
        (desk, quotes)
    }

    /// The same of a desk that is new.
    pub fn begin(&mut self) -> Vec<OrderIntent> {
        self.session(OrderUpdate::SessionUp);
        self.image(PERP, 600_000);
        let quotes = self.image(SPOT, 600_000);
        for quote in &quotes {
            assert_eq!(quote.action, OrderAction::New);
            assert!(self.accept(quote).is_empty());
        }
        quotes
    }
}

pub(super) fn news(intents: &[OrderIntent]) -> usize {
    intents.iter().filter(|intent| intent.action == OrderAction::New).count()
}

#[test]
fn both_sides_are_quoted_once_session_and_market_are_there() {
    let (desk, quotes) = Desk::quoting();
    assert_eq!(quotes.len(), 4);
    let bids: Vec<_> = quotes.iter().filter(|q| q.side == Side::Buy).collect();
    let asks: Vec<_> = quotes.iter().filter(|q| q.side == Side::Sell).collect();
    assert!(bids.iter().all(|q| q.price.0 < 600_000) && asks.iter().all(|q| q.price.0 > 600_000));
    // Flat inventory: the two sides stand equally far from the mid.
    assert_eq!(600_000 - bids[0].price.0, asks[0].price.0 - 600_000);
    assert!(quotes.iter().all(|q| q.time_in_force == TimeInForce::PostOnly && q.stamp == Stamp(7)));
    assert_eq!(desk.maker.live_orders(), 4);
}

#[test]
fn half_a_message_moves_no_quote() {
    let (mut desk, _) = Desk::quoting();
    let level = MarketUpdate::Level { side: Side::Buy, price: Ticks(600_000), size: Lots(1) };
    assert!(desk.market(SPOT, level, false).is_empty());
}

#[test]
fn a_gap_pulls_every_quote_at_once_and_a_new_image_brings_them_back() {
    let (mut desk, quotes) = Desk::quoting();
    let cancels = desk.market(SPOT, MarketUpdate::Gap, true);
    assert_eq!(cancels.len(), quotes.len());
    assert!(cancels.iter().all(|c| c.action == OrderAction::Cancel));
    for cancel in &cancels {
        desk.accept(cancel);
    }
    assert_eq!(desk.maker.live_orders(), 0);
    assert_eq!(news(&desk.image(SPOT, 600_000)), 4);
}

#[test]
fn a_bought_lot_moves_both_quotes_down() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = quotes.iter().find(|q| q.side == Side::Buy).unwrap();
    let ask = quotes.iter().find(|q| q.side == Side::Sell).unwrap();
    let moved = desk.fill(bid, 10, 10);
    let replaced = moved.iter().find(|m| m.orig_cl_ord_id == ask.cl_ord_id);
    let again = desk.image(SPOT, 600_000);
    let new_bid = moved.iter().chain(&again).find(|m| m.side == Side::Buy);
    assert!(replaced.is_none_or(|r| r.price <= ask.price));
    assert!(new_bid.unwrap().price <= bid.price);
    assert_eq!(desk.maker.ledger().position(SPOT), Some(Lots(1_010)));
}

#[test]
fn a_lost_session_leaves_every_order_in_doubt_and_nothing_is_quoted() {
    let (mut desk, _) = Desk::quoting();
    assert!(desk.session(OrderUpdate::SessionDown).is_empty());
    assert_eq!(desk.maker.live_orders(), 4);
    assert!(desk.image(SPOT, 601_000).is_empty());
    desk.session(OrderUpdate::SessionUp);
    desk.now += 2_000_000;
    let asked = desk.timer();
    assert_eq!(asked.len(), 4, "each order in doubt is asked about");
    assert!(asked.iter().all(|i| i.action == OrderAction::Cancel));
    let back: usize = asked.iter().map(|cancel| news(&desk.accept(cancel))).sum();
    assert_eq!(back, 4, "each answer frees a place in the ladder");
}

#[test]
fn after_a_kill_everything_is_cancelled_and_nothing_new_is_sent() {
    let (mut desk, quotes) = Desk::quoting();
    let cancels = desk.control(Control::Kill);
    assert_eq!(cancels.len(), quotes.len());
    for cancel in &cancels {
        assert!(desk.accept(cancel).is_empty());
    }
    desk.control(Control::Resume(SPOT));
    assert!(desk.image(SPOT, 610_000).is_empty());
    assert!(desk.timer().is_empty());
    assert_eq!(desk.maker.live_orders(), 0);
}

#[test]
fn an_overfill_is_booked_and_halts_the_instrument() {
    let (mut desk, quotes) = Desk::quoting();
    let ask = quotes.iter().find(|q| q.side == Side::Sell).unwrap();
    let sent = desk.fill(ask, 15, 15);
    assert_eq!(news(&sent), 0);
    assert_eq!(desk.maker.ledger().position(SPOT), Some(Lots(985)));
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((snapshot.state, snapshot.reason), (State::Halted, Reason::Overfill));
}

#[test]
fn a_fill_of_an_unknown_order_is_booked_and_halts_the_instrument() {
    let (mut desk, quotes) = Desk::quoting();
    let stranger = OrderIntent { cl_ord_id: ClOrdId::new(0, 99), ..quotes[0] };
    desk.fill(&stranger, 3, 3);
    assert_eq!(desk.maker.counters().unknown_orders, 1);
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().state, State::Halted);
}

#[test]
fn spot_is_never_offered_beyond_what_is_held() {
    let mut config = config();
    config.settings[0].opening = Lots(5);
    config.settings[1].opening = Lots(-5);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    let quotes = desk.image(SPOT, 600_000);
    let offered: i64 = quotes.iter().filter(|q| q.side == Side::Sell).map(|q| q.size.0).sum();
    assert_eq!(offered, 5);
}

#[test]
fn refusals_in_a_row_halt_and_a_refused_level_rests_first() {
    let mut desk = Desk::new();
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    let quotes = desk.image(SPOT, 600_000);
    let refused = OrderUpdate::Rejected { reason: 99 };
    let sent = desk.report(quotes[0].cl_ord_id, ClOrdId::NONE, SPOT, refused);
    assert_eq!(news(&sent), 0, "the level rests");
    for quote in &quotes[1..3] {
        desk.report(quote.cl_ord_id, ClOrdId::NONE, SPOT, refused);
    }
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((snapshot.state, snapshot.reason), (State::Halted, Reason::Rejects));
}

#[test]
fn a_request_without_an_answer_is_in_doubt_never_gone() {
    let (mut desk, _) = Desk::quoting();
    let moved = desk.image(SPOT, 601_000);
    assert!(!moved.is_empty());
    desk.now += 2_000_000;
    desk.timer();
    assert!(desk.maker.counters().expired_requests > 0);
    assert_eq!(desk.maker.live_orders(), 4);
}

#[test]
fn a_stale_market_is_not_quoted() {
    let (mut desk, quotes) = Desk::quoting();
    desk.now += 1_000_000_001;
    let sent = desk.timer();
    assert_eq!(sent.len(), quotes.len());
    assert!(sent.iter().all(|i| i.action == OrderAction::Cancel));
}

#[test]
fn a_config_with_a_band_beyond_the_soft_limit_is_refused_with_every_other_fault() {
    let mut config = config();
    set_band(&mut config, 60_000_000);
    config.orders_max = 0;
    config.settings.pop();
    let faults = Maker::new(&config).unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn a_session_that_is_down_is_not_asked_about_its_orders() {
    let (mut desk, _) = Desk::quoting();
    desk.session(OrderUpdate::SessionDown);
    desk.now += 2_000_000;
    assert!(desk.timer().is_empty());
    desk.control(Control::Kill);
    desk.session(OrderUpdate::SessionUp);
    assert_eq!(desk.timer().len(), 4);
    assert!(desk.timer().is_empty(), "asked again only when the answer is overdue");
}

#[test]
fn no_quote_moves_on_half_a_message_whatever_else_arrives() {
    let (mut desk, quotes) = Desk::quoting();
    let level = |price: i64, size: i64| MarketUpdate::Level {
        side: Side::Buy,
        price: Ticks(price),
        size: Lots(size),
    };
    assert!(desk.market(SPOT, level(599_999, 0), false).is_empty());
    assert!(desk.timer().is_empty(), "the book is one-sided only until the message ends");
    assert!(desk.market(SPOT, level(599_998, 500), true).len() < quotes.len());
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().state, State::Quoting);
}

#[test]
fn a_refused_replace_rests_and_a_retreat_becomes_a_cancel() {
    let (mut desk, _) = Desk::quoting();
    let moved = desk.image(SPOT, 599_900);
    let bid = moved.iter().find(|m| m.side == Side::Buy).unwrap();
    let refused = OrderUpdate::CancelRejected { reason: 99, is_gone: false };
    let sent = desk.report(bid.cl_ord_id, bid.orig_cl_ord_id, SPOT, refused);
    assert!(sent.iter().all(|i| i.action == OrderAction::Cancel), "{sent:?}");
    assert_eq!(sent.len(), 1);
}

#[test]
fn refusals_with_an_acceptance_between_are_not_in_a_row() {
    let (mut desk, quotes) = Desk::quoting();
    let refused = OrderUpdate::Rejected { reason: 99 };
    let mut bid = quotes[0];
    for _ in 0..6 {
        desk.report(bid.cl_ord_id, ClOrdId::NONE, SPOT, refused);
        desk.now += 2_000;
        let again = *desk.timer().first().expect("the level has rested");
        desk.accept(&again);
        bid = again;
    }
    assert_eq!(desk.maker.snapshot(SPOT).unwrap().state, State::Quoting);
}

#[test]
fn what_cannot_be_hedged_any_more_is_only_reduced() {
    let mut config = config();
    config.settings[0].opening = Lots(1_030);
    let mut desk = Desk::new();
    desk.maker = Maker::new(&config).unwrap();
    desk.control(Control::Pause(PERP));
    desk.session(OrderUpdate::SessionUp);
    desk.image(PERP, 600_000);
    let sent = desk.image(SPOT, 600_000);
    assert!(!sent.is_empty() && sent.iter().all(|i| i.side == Side::Sell), "{sent:?}");
    let snapshot = desk.maker.snapshot(SPOT).unwrap();
    assert_eq!((snapshot.state, snapshot.reason), (State::Reducing, Reason::HedgeFailed));
    desk.control(Control::Resume(PERP));
    assert_eq!(hedges(&desk.timer()).len(), 1, "the operator's word brings the hedge back");
}

#[test]
fn a_hedge_of_another_underlying_and_an_epoch_that_wraps_are_refused() {
    let mut config = config();
    config.epoch = 1 << 24;
    config.underlyings.push(config.underlyings[0].clone());
    let faults = Maker::new(&config).unwrap_err();
    let another = ConfigError::HedgeOfAnother { underlying: 1, index: 1 };
    assert_eq!(faults, vec![ConfigError::Epoch(1 << 24), another]);
}
