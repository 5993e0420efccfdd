//! A market and a venue at their worst, from a seed: inputs for the maker, answers to its intents.
//!
//! Mostly it behaves, so that quotes stand, trade and move; now and then it gaps, resets, drops the
//! session, refuses, fills too much, fills what nobody ordered, or says nothing. Operators pause,
//! and resume whatever halted. Absent: any truth; nothing here matches orders.

mod account;

use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::estimate::fair_value::FairValue;
use ballast_engine::estimate::markout::Widening;
use ballast_engine::estimate::volatility::{Sigma, VolatilityKind};
use ballast_engine::event::*;
use ballast_engine::instrument::*;
use ballast_engine::inventory::exit::{ExitSettings, STEPS_MAX, Step, TakeProfit};
use ballast_engine::inventory::hedge::{Band, BandRule};
use ballast_engine::maker::config::*;
use ballast_engine::maker::guards::{GuardSettings, Guards};
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::market::spike::SpikeLimit;
use ballast_engine::pnl::fee_tiers::{FeeSchedule, FeeTier, TIERS_MAX};
use ballast_engine::pnl::standing::{FundingTerms, StandingTerms};
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::quote::Model;
use ballast_engine::quote::holdings::HoldingsSkew;
use ballast_engine::quote::ladder::{LadderConfig, LadderShape, SizeProfile, Spacing};
use ballast_engine::quote::obligation::ObligationSettings;
use ballast_engine::quote::requote::Tolerance;
use ballast_engine::risk::breakout::BreakoutSettings;
use ballast_engine::risk::carried::CarriedRisk;
use ballast_engine::risk::collar::Collar;
use ballast_engine::risk::hours::Phase;
use ballast_engine::risk::limits::{ExposureLimits, InstrumentLimits, PortfolioLimits, ValueLimit};
use ballast_engine::risk::loss::LossLimits;
use ballast_engine::risk::order_to_trade::OrderToTradeLimit;
use ballast_engine::risk::position_age::AgeLimit;
use ballast_engine::risk::protection::ProtectionLimits;
use ballast_engine::risk::self_trade::SelfTrade;
use ballast_engine::risk::share::ShareSettings;
use ballast_engine::risk::throttle::MessageRate;
use ballast_engine::risk::window::WindowLimit;
use ballast_engine::units::*;
use std::collections::VecDeque;

pub const SPOT: InstrumentId = InstrumentId(0);
const PERP: InstrumentId = InstrumentId(1);
const INVERSE: InstrumentId = InstrumentId(2);
pub const INSTRUMENTS: usize = 3;
/// Levels a side that the maker keeps; the market shows more.
pub const LEVELS: usize = 16;
const VENUE: VenueId = VenueId(0);
const COIN: Currency = Currency(0);
const DOLLAR: Currency = Currency(1);

fn instrument(id: InstrumentId, kind: InstrumentKind) -> Instrument {
    let (lot, multiplier, settlement) = match kind {
        InstrumentKind::InversePerpetual => ("1", "100", COIN),
        _ => ("0.001", "1", DOLLAR),
    };
    let spec = InstrumentSpec {
        symbol: format!("I{}", id.0),
        venue: VENUE,
        underlying: Underlying(0),
        kind,
        tick: "0.1".parse().unwrap(),
        lot: lot.parse().unwrap(),
        multiplier: multiplier.parse().unwrap(),
        base: COIN,
        quote: DOLLAR,
        settlement,
        maker_fee: FeeRate(-50_000),
        taker_fee: FeeRate(450_000),
    };
    Instrument::new(id, spec).unwrap()
}

fn quote(model: Model) -> QuoteSettings {
    let mut parameters = QuoteParameters::new(Real::from(0.0005), Real::from(1.0), Real::from(0.1));
    parameters.sigma = Real::from(10.0);
    parameters.order_size = Real::from(10.0);
    // The touch moves every few microseconds: a horizon to match keeps the quotes inside the collar.
    parameters.horizon = Real::from(0.02);
    let ladder = LadderShape::new(LadderConfig {
        levels: 4,
        sizes: SizeProfile::Linear { first: Lots(4), step: Lots(2) },
        spacing: Spacing::Even(SubTicks::from_ticks(Ticks(3))),
        size_min: Lots(1),
        edge_min: SubTicks(0),
        maker_fee: FeeRate(0),
        is_post_only: true,
    });
    QuoteSettings {
        quoter: quoter(model, &parameters).unwrap(),
        ladder: ladder.unwrap(),
        fair_value: FairValue::WeightedMid,
        tolerance: Tolerance { aggressive_ticks: 0, passive_ticks: 1, lots: 1 },
        reject_holdoff_ns: 10_000,
        holdings: None,
        markout: None,
    }
}

fn settings(quote: Option<QuoteSettings>, opening: i64, value: ValueLimit) -> InstrumentSettings {
    InstrumentSettings {
        limits: InstrumentLimits {
            order_size_max: Lots(60),
            order_value_max: value,
            position_max: Lots(2_000),
            collar: Collar { width: Ticks(400) },
            executions: WindowLimit { max: 6, window_ns: 40_000 },
            duplicates: WindowLimit { max: 2, window_ns: 5_000 },
        },
        stale_after_ns: 200_000,
        volatility: VolatilitySettings {
            interval_ns: 20_000,
            weight_shift: 3,
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

/// Narrow enough to be left often.
const BAND: Band = Band { outer: Exposure(10_000_000), inner: Exposure(2_000_000) };

const KINDS: [(InstrumentId, InstrumentKind); INSTRUMENTS] = [
    (SPOT, InstrumentKind::Spot),
    (PERP, InstrumentKind::LinearPerpetual),
    (INVERSE, InstrumentKind::InversePerpetual),
];

/// Spot and a perpetual are quoted; the perpetual and an inverse one hedge.
pub fn config(model: Model) -> MakerConfig {
    let linear = ValueLimit::TickLots(60 * 700_000);
    let [soft, stop, hard] = [60_000_000, 120_000_000, 400_000_000].map(Exposure);
    let hedge = |instrument| HedgeInstrument { instrument, collar: Ticks(50) };
    MakerConfig {
        instruments: KINDS.map(|(id, kind)| instrument(id, kind)).to_vec(),
        settings: vec![
            settings(Some(quote(model)), 1_000, linear),
            settings(Some(quote(model)), -1_000, linear),
            settings(None, 0, ValueLimit::Lots(60)),
        ],
        underlyings: vec![UnderlyingSettings {
            firm: None,
            target: Exposure(0),
            protection: ProtectionLimits {
                fills_max: 4,
                delta_max: Exposure(150_000_000),
                window_ns: 20_000,
                cooldown_ns: 10_000,
            },
            limits: ExposureLimits::new(soft, stop, hard).unwrap(),
            hedge: Some(HedgeSettings {
                band: BandRule::Fixed(BAND),
                instruments: vec![hedge(PERP), hedge(INVERSE)],
                failures_max: 3,
                retry_holdoff_ns: 2_000,
                holding_ns: 0,
                unwind_credit_ppm: 0,
                basis: None,
            }),
        }],
        message_rates: vec![MessageRate { max: 16, window_ns: 10_000, cancel_reserve: 10 }],
        order_to_trade: vec![OrderToTradeLimit { max: 8, grace: 2_000 }],
        portfolio: PortfolioLimits {
            gross_max: Notional(170_000_000_000_000),
            loss: LossLimits {
                daily_max: Notional(60_000_000_000),
                drawdown_max: Notional(20_000_000_000),
                cooldown_ns: 100_000,
                day_ends: (1..100).map(|day| Nanos(day * 2_000_000)).collect(),
            },
        },
        guards: Guards::default(),
        carried: CarriedRisk::default(),
        resumption: None,
        reporting: DOLLAR,
        conversions: vec![(COIN, SPOT)],
        options: Default::default(),
        portfolio_members: vec![],
        collateral: None,
        rebalance: Default::default(),
        opening_cash: vec![],
        orders_max: 48,
        book_levels_max: LEVELS,
        ack_timeout_ns: 50_000,
        rejects_max: 3,
        timer_interval_ns: 10_000,
        epoch: 1,
    }
}

/// The same with every guard, spike protection, holdings, markouts, credit and standing costs.
pub fn everything(model: Model) -> MakerConfig {
    let mut config = config(model);
    let mut steps = [Step::default(); STEPS_MAX];
    steps[0] = Step { gain: HalfTicks(10), close_permille: 500 };
    let at = |us: u64| Nanos(us * 1_000);
    let hours = [
        (at(20_000), Phase::Wide { permille: 1_500 }),
        (at(30_000), Phase::Reduce),
        (at(35_000), Phase::Flat),
        (at(40_000), Phase::Normal),
    ];
    let tier = |volume, fee| FeeTier { volume, maker: FeeRate(fee), taker: FeeRate(fee) };
    let mut tiers = [FeeTier::default(); TIERS_MAX];
    tiers[0] = tier(0, 0);
    tiers[1] = tier(1_000_000_000_000, 1_000);
    let guards = GuardSettings {
        breakout: Some(BreakoutSettings {
            window_ns: 100_000,
            sigmas_permille: 20_000,
            calm_ns: 50_000,
            good_ticks: 2,
        }),
        exit: ExitSettings {
            take_profit: Some(TakeProfit { steps, passive_ns: 50_000 }),
            loss_max: Some(Notional(20_000_000)),
        },
        age: Some(AgeLimit { max_ns: 2_000_000 }),
        obligation: Some(ObligationSettings {
            spread_max: Ticks(200),
            size_min: Lots(2),
            uptime_permille: 900,
            window_ns: 200_000,
        }),
        hours: Some(hours.into()),
        sessions: None,
        fees: Some(FeeSchedule { tiers, len: 2, volume_before: 0 }),
    };
    config.guards.instruments = vec![guards.clone(), guards];
    let share = ShareSettings { stop_permille: 500, gross_floor: Notional(0) };
    config.guards.shares = vec![Some(share)];
    for settings in &mut config.settings {
        let (width, after_ns) = (Ticks(60), 20_000);
        settings.spike = Some(SpikeLimit { width, sigmas: 0, messages: 2, after_ns });
        settings.standing.funding = Some(FundingTerms { every_ns: 1_000_000, rate: FeeRate(100) });
        settings.standing.capital_per_day = FeeRate(10_000);
        let opening = settings.opening;
        let Some(quote) = &mut settings.quote else { continue };
        let cap = SubTicks(8 << 32);
        quote.markout = Some(Widening { horizon: 0, share_permille: 500, cap, weight_shift: 3 });
        quote.holdings =
            Some(HoldingsSkew { target: opening, full_at: Lots(50), skew_max: SubTicks(2 << 32) });
    }
    config.underlyings[0].hedge.as_mut().unwrap().unwind_credit_ppm = 500_000;
    config
}

/// An order as this venue has it.
struct Working {
    intent: OrderIntent,
    cum: i64,
}

/// The source of inputs.
pub struct RoughMarket {
    state: u64,
    now: u64,
    mids: [i64; INSTRUMENTS],
    /// Market events that follow, so that messages come whole.
    coming: VecDeque<MarketEvent>,
    asked: VecDeque<OrderIntent>,
    working: Vec<Working>,
    /// What follows an answer: a fill behind its ack, the end of a hedge.
    answers: VecDeque<OrderEvent>,
    is_up: bool,
    gapped: [bool; INSTRUMENTS],
    number: u64,
}

impl RoughMarket {
    pub fn new(seed: u64) -> RoughMarket {
        RoughMarket {
            state: seed,
            now: 1_000_000,
            mids: [600_000; INSTRUMENTS],
            coming: VecDeque::new(),
            asked: VecDeque::new(),
            working: Vec::new(),
            answers: VecDeque::new(),
            is_up: false,
            gapped: [true; INSTRUMENTS],
            number: 0,
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random() % bound
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least + 1) as u64) as i64
    }

    pub fn is_turn_due(&mut self) -> bool {
        self.below(3) > 0
    }

    pub fn is_recorder_awake(&mut self) -> bool {
        self.below(20) == 0
    }

    /// An intent that reached the venue.
    pub fn take(&mut self, intent: OrderIntent) {
        self.asked.push_back(intent);
    }

    /// What the maker sees next, and when.
    pub fn next(&mut self) -> (Nanos, Input) {
        self.now += 200 + self.below(1_000);
        if self.below(2_000) == 0 {
            // A silence: markets go stale, requests run into their timeout.
            self.now += 300_000;
        }
        let input = if let Some(event) = self.coming.pop_front() {
            Input::Market(MarketEvent { at: Nanos(self.now), ..event })
        } else if let Some(event) = self.answers.pop_front() {
            Input::Order(event)
        } else {
            self.decide()
        };
        (Nanos(self.now), input)
    }

    fn decide(&mut self) -> Input {
        if !self.is_up && self.below(4) == 0 {
            self.is_up = true;
            return Input::Order(self.report(None, OrderUpdate::SessionUp));
        }
        match self.below(1_000) {
            0..=3 => Input::Control(Control::Pause(InstrumentId(self.below(3) as u16))),
            4..=60 => Input::Control(Control::Resume(InstrumentId(self.below(3) as u16))),
            61..=63 if self.is_up => {
                self.is_up = false;
                self.working.clear();
                self.asked.clear();
                Input::Order(self.report(None, OrderUpdate::SessionDown))
            }
            64..=90 => Input::Control(account::put_right(InstrumentId(self.below(3) as u16))),
            91..=120 => Input::Timer,
            121..=500 => self.answer().map_or(Input::Timer, Input::Order),
            501..=640 => self.trade().map_or(Input::Timer, Input::Order),
            641..=660 => self.surprise().map_or(Input::Timer, Input::Order),
            _ => self.message(),
        }
    }

    /// A whole market message; the first of its events now, the others next.
    fn message(&mut self) -> Input {
        let id = self.below(INSTRUMENTS as u64) as usize;
        let instrument = InstrumentId(id as u16);
        let is_gapped = self.gapped[id];
        match self.below(60) {
            0 => {
                self.gapped[id] = true;
                self.queue(instrument, MarketUpdate::Gap);
            }
            kind if kind <= 2 || (is_gapped && kind <= 30) => {
                self.gapped[id] = false;
                self.queue(instrument, MarketUpdate::Reset);
                for depth in 0..self.between(0, 24) {
                    self.queue_level(instrument, depth);
                }
            }
            3..=6 => {
                let price = Ticks(self.mids[id]);
                let size = Lots(self.between(1, 50));
                let aggressor = Side::BOTH[self.below(2) as usize];
                self.queue(instrument, MarketUpdate::Trade { aggressor, price, size });
            }
            // Levels far from the touch: the book is full and stays full.
            7 | 8 => {
                for depth in 0..24 {
                    self.queue_level(instrument, depth);
                }
            }
            _ => self.move_touch(instrument),
        }
        if let Some(last) = self.coming.back_mut() {
            last.last_in_message = true;
        }
        match self.coming.pop_front() {
            Some(event) => Input::Market(event),
            None => Input::Timer,
        }
    }

    fn queue(&mut self, instrument: InstrumentId, update: MarketUpdate) {
        self.number += 1;
        self.coming.push_back(MarketEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(self.number),
            update,
            instrument,
            last_in_message: false,
        });
    }

    fn queue_level(&mut self, instrument: InstrumentId, depth: i64) {
        let mid = self.mids[usize::from(instrument.0)];
        for side in Side::BOTH {
            let price = Ticks(mid - side.sign() * (1 + depth));
            let size = Lots(self.between(1, 500));
            self.queue(instrument, MarketUpdate::Level { side, price, size });
        }
    }

    /// Moves the mid, empties what it has passed, and sets the new touch.
    fn move_touch(&mut self, instrument: InstrumentId) {
        let id = usize::from(instrument.0);
        let step = self.between(-3, 3);
        let side = if step > 0 { Side::Sell } else { Side::Buy };
        for _ in 0..=step.abs() {
            let price = Ticks(self.mids[id]);
            self.queue(instrument, MarketUpdate::Level { side, price, size: Lots(0) });
            self.mids[id] += step.signum();
        }
        self.mids[id] -= step.signum();
        self.queue_level(instrument, 0);
    }

    fn report(&mut self, intent: Option<&OrderIntent>, update: OrderUpdate) -> OrderEvent {
        self.number += 1;
        OrderEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(self.number),
            msg_seq_num: self.number,
            cl_ord_id: intent.map_or(ClOrdId::NONE, |intent| intent.cl_ord_id),
            orig_cl_ord_id: intent.map_or(ClOrdId::NONE, |intent| intent.orig_cl_ord_id),
            update,
            instrument: intent.map_or(SPOT, |intent| intent.instrument),
            venue: VENUE,
        }
    }

    /// Answers the oldest request; one in fifty is never answered.
    fn answer(&mut self) -> Option<OrderEvent> {
        let intent = self.asked.pop_front()?;
        if self.below(50) == 0 {
            return None;
        }
        let update = match (intent.action, self.below(20)) {
            (_, 0) => OrderUpdate::Pending,
            (_, 1) if self.below(4) == 0 => OrderUpdate::Unsent,
            (_, 1) if self.below(4) == 0 => OrderUpdate::MessageRejected { reason: 5 },
            (OrderAction::New, 2) => OrderUpdate::Rejected { reason: 99 },
            (OrderAction::New, _) if intent.time_in_force == TimeInForce::ImmediateOrCancel => {
                return Some(self.hedge(intent));
            }
            (OrderAction::New, _) => {
                self.working.push(Working { intent, cum: 0 });
                OrderUpdate::New { leaves_qty: intent.size }
            }
            (OrderAction::Replace, kind) => self.replaced(intent, kind),
            (OrderAction::Cancel, kind) => self.cancelled(intent, kind),
        };
        Some(self.report(Some(&intent), update))
    }

    /// A hedge trades whole, in part or not at all, and what is left expires.
    fn hedge(&mut self, intent: OrderIntent) -> OrderEvent {
        let traded = match self.below(4) {
            0 => 0,
            1 => intent.size.0 / 2,
            _ => intent.size.0,
        };
        if traded == 0 {
            return self.report(Some(&intent), OrderUpdate::Canceled { cum_qty: Lots(0) });
        }
        let fill = self.fill(&Working { intent, cum: 0 }, traded, Liquidity::Taker);
        if traded < intent.size.0 {
            let rest = self.report(Some(&intent), OrderUpdate::Canceled { cum_qty: Lots(traded) });
            self.answers.push_back(rest);
        }
        fill
    }

    fn fill(&mut self, order: &Working, size: i64, liquidity: Liquidity) -> OrderEvent {
        let cum = order.cum + size;
        let exec_id = ExecId(self.number + 1);
        let update = OrderUpdate::Fill {
            exec_id,
            side: order.intent.side,
            last_px: order.intent.price,
            last_qty: Lots(size),
            cum_qty: Lots(cum),
            leaves_qty: Lots((order.intent.size.0 - cum).max(0)),
            liquidity,
        };
        let mut intent = order.intent;
        intent.orig_cl_ord_id = ClOrdId::NONE;
        self.report(Some(&intent), update)
    }

    fn place_of(&self, id: ClOrdId) -> Option<usize> {
        self.working.iter().position(|order| order.intent.cl_ord_id == id)
    }

    fn replaced(&mut self, intent: OrderIntent, kind: u64) -> OrderUpdate {
        match self.place_of(intent.orig_cl_ord_id) {
            None => OrderUpdate::CancelRejected { reason: 1, is_gone: true },
            Some(_) if kind == 2 => OrderUpdate::CancelRejected { reason: 0, is_gone: false },
            Some(place) => {
                self.working[place].intent = intent;
                let leaves_qty = Lots((intent.size.0 - self.working[place].cum).max(0));
                OrderUpdate::Replaced { price: intent.price, leaves_qty }
            }
        }
    }

    fn cancelled(&mut self, intent: OrderIntent, kind: u64) -> OrderUpdate {
        match self.place_of(intent.orig_cl_ord_id) {
            None => OrderUpdate::CancelRejected { reason: 1, is_gone: true },
            Some(_) if kind == 2 => OrderUpdate::CancelRejected { reason: 0, is_gone: false },
            Some(place) => {
                let order = self.working.swap_remove(place);
                OrderUpdate::Canceled { cum_qty: Lots(order.cum) }
            }
        }
    }

    /// One of the working orders trades; one in a hundred for more than there was.
    fn trade(&mut self) -> Option<OrderEvent> {
        let place = self.below(self.working.len().max(1) as u64) as usize;
        if place >= self.working.len() {
            return None;
        }
        let order = self.working.swap_remove(place);
        let open = order.intent.size.0 - order.cum;
        if open <= 0 {
            return None;
        }
        let mut size = self.between(1, open);
        if self.below(100) == 0 {
            size = open + 3;
        }
        let event = self.fill(&order, size, Liquidity::Maker);
        if size < open {
            self.working.push(Working { cum: order.cum + size, ..order });
        }
        Some(event)
    }

    /// What nobody asked for.
    fn surprise(&mut self) -> Option<OrderEvent> {
        let place = self.below(self.working.len().max(1) as u64) as usize;
        let order = self.working.get(place)?;
        let (mut intent, cum) = (order.intent, Lots(order.cum));
        let leaves_qty = Lots((intent.size.0 - cum.0).max(0));
        intent.orig_cl_ord_id = ClOrdId::NONE;
        let exec_id = ExecId(self.number + 1);
        let update = match self.below(8) {
            0 => {
                self.working.swap_remove(place);
                OrderUpdate::Canceled { cum_qty: cum }
            }
            1 => OrderUpdate::Restated { price: Ticks(intent.price.0 - 1), leaves_qty },
            2 => OrderUpdate::Status { is_gone: false, cum_qty: cum, leaves_qty },
            3 => OrderUpdate::TradeCorrected {
                exec_id,
                ref_exec_id: ExecId(1),
                last_px: intent.price,
                last_qty: Lots(1),
                cum_qty: cum,
                leaves_qty,
            },
            4 => OrderUpdate::TradeCanceled {
                exec_id,
                ref_exec_id: ExecId(1),
                cum_qty: cum,
                leaves_qty,
            },
            5 => {
                // Nobody ordered this.
                intent.cl_ord_id = ClOrdId::new(0, 99);
                return Some(self.fill(&Working { intent, cum: 0 }, 1, Liquidity::Maker));
            }
            _ => OrderUpdate::New { leaves_qty },
        };
        Some(self.report(Some(&intent), update))
    }
}
