//! What a user is promised: whatever an honest venue does, and however late, the maker's account, its
//! limits and its decisions are right after every step, and it quotes again when the faults stop.
//!
//! Each seed drives `Maker::step` against two venues that err but never lie, with operators and a
//! market that gaps and arrives in halves. The truth is kept beside it and compared after every step.
//! A failure names its seed; `SEEDS` seeds run.

mod honest_venue;

use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::estimate::fair_value::FairValue;
use ballast_engine::estimate::volatility::{Sigma, VolatilityKind};
use ballast_engine::event::*;
use ballast_engine::instrument::*;
use ballast_engine::inventory::exit::{ExitSettings, STEPS_MAX, Step, TakeProfit};
use ballast_engine::inventory::hedge::{Band, BandRule};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::*;
use ballast_engine::maker::guards::{GuardSettings, Guards};
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::Intents;
use ballast_engine::pnl::standing::StandingTerms;
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::quote::Model;
use ballast_engine::quote::ladder::{LadderConfig, LadderShape, SizeProfile, Spacing};
use ballast_engine::quote::requote::Tolerance;
use ballast_engine::risk::carried::CarriedRisk;
use ballast_engine::risk::collar::Collar;
use ballast_engine::risk::hours::Phase;
use ballast_engine::risk::limits::{ExposureLimits, InstrumentLimits, PortfolioLimits, ValueLimit};
use ballast_engine::risk::loss::LossLimits;
use ballast_engine::risk::order_to_trade::OrderToTradeLimit;
use ballast_engine::risk::protection::ProtectionLimits;
use ballast_engine::risk::self_trade::SelfTrade;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::risk::throttle::MessageRate;
use ballast_engine::risk::window::WindowLimit;
use ballast_engine::units::*;
use honest_venue::{Chance, HonestVenue};
use std::collections::{BTreeSet, VecDeque};

const SEEDS: u64 = 60;
const ROUGH_STEPS: u32 = 4_000;
const CALM_STEPS: u32 = 3_000;
const SPOT: InstrumentId = InstrumentId(0);
const PERP: InstrumentId = InstrumentId(1);
const BOTH: [InstrumentId; 2] = [SPOT, PERP];
const OPENING: [i64; 2] = [60, -60];
const POSITION_MAX: i64 = 130;
const PER_LOT: i64 = 1_000_000;
const HARD: i64 = 90 * PER_LOT;
/// In 1e-9: a lot is worth about 60, and both positions may not be at their limits at once.
const GROSS_MAX: i128 = 220 * 60 * 1_000_000_000;

fn instrument(id: InstrumentId, kind: InstrumentKind) -> Instrument {
    let spec = InstrumentSpec {
        symbol: format!("I{}", id.0),
        venue: VenueId(u8::try_from(id.0).unwrap()),
        underlying: Underlying(0),
        kind,
        tick: "0.1".parse().unwrap(),
        lot: "0.001".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(-50_000),
        taker_fee: FeeRate(450_000),
    };
    Instrument::new(id, spec).unwrap()
}

fn settings(opening: i64) -> InstrumentSettings {
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
    InstrumentSettings {
        limits: InstrumentLimits {
            order_size_max: Lots(40),
            order_value_max: ValueLimit::TickLots(40 * 700_000),
            position_max: Lots(POSITION_MAX),
            collar: Collar { width: Ticks(2_000) },
            executions: WindowLimit { max: 40, window_ns: 20_000_000 },
            duplicates: WindowLimit { max: 4, window_ns: 200_000 },
        },
        stale_after_ns: 100_000_000,
        volatility: VolatilitySettings {
            interval_ns: 10_000_000,
            weight_shift: 5,
            floor: Sigma(10 << 32),
            kind: VolatilityKind::Ewma,
        },
        quote: Some(QuoteSettings {
            quoter: quoter(Model::Glft, &parameters).unwrap(),
            ladder: ladder.unwrap(),
            fair_value: FairValue::Mid,
            tolerance: Tolerance { aggressive_ticks: 0, passive_ticks: 2, lots: 0 },
            reject_holdoff_ns: 200_000,
            holdings: None,
            markout: None,
        }),
        opening: Lots(opening),
        spike: None,
        self_trade: SelfTrade::default(),
        standing: StandingTerms::default(),
    }
}

const BAND: Band = Band { outer: Exposure(8 * PER_LOT), inner: Exposure(2 * PER_LOT) };

fn hedge() -> HedgeSettings {
    let with = |instrument| HedgeInstrument { instrument, collar: Ticks(50) };
    HedgeSettings {
        band: BandRule::Fixed(BAND),
        instruments: vec![with(PERP), with(SPOT)],
        failures_max: 3,
        retry_holdoff_ns: 300_000,
        holding_ns: 0,
        unwind_credit_ppm: 0,
        basis: None,
    }
}

fn config() -> MakerConfig {
    let limits =
        ExposureLimits::new(Exposure(40 * PER_LOT), Exposure(60 * PER_LOT), Exposure(HARD));
    let rate = MessageRate { max: 200, window_ns: 5_000_000, cancel_reserve: 40 };
    MakerConfig {
        instruments: vec![
            instrument(SPOT, InstrumentKind::Spot),
            instrument(PERP, InstrumentKind::LinearPerpetual),
        ],
        settings: OPENING.map(settings).into(),
        underlyings: vec![UnderlyingSettings {
            firm: None,
            target: Exposure(0),
            protection: ProtectionLimits {
                fills_max: 12,
                delta_max: Exposure(60 * PER_LOT),
                window_ns: 10_000_000,
                cooldown_ns: 3_000_000,
            },
            limits: limits.unwrap(),
            hedge: Some(hedge()),
        }],
        message_rates: vec![rate, rate],
        order_to_trade: vec![OrderToTradeLimit { max: 100, grace: 1_000 }; 2],
        portfolio: PortfolioLimits {
            gross_max: Notional(GROSS_MAX),
            loss: LossLimits {
                daily_max: Notional(500_000_000_000),
                drawdown_max: Notional(300_000_000_000),
                cooldown_ns: 5_000_000,
                day_ends: vec![],
            },
        },
        guards: Guards::default(),
        carried: CarriedRisk::default(),
        resumption: None,
        reporting: Currency(1),
        conversions: vec![],
        options: Default::default(),
        portfolio_members: vec![],
        collateral: None,
        rebalance: Default::default(),
        opening_cash: vec![],
        // Eight quotes and one hedge: the ids' places come round again within a run.
        orders_max: 9,
        book_levels_max: 8,
        ack_timeout_ns: 2_000_000,
        rejects_max: 4,
        timer_interval_ns: 1_000_000,
        epoch: 7,
    }
}

struct World {
    seed: u64,
    chance: Chance,
    maker: Maker,
    out: Intents,
    now: u64,
    timer_at: u64,
    venues: [HonestVenue; 2],
    /// Parts of messages on their way, by instrument.
    market: [VecDeque<(MarketUpdate, bool)>; 2],
    mids: [i64; 2],
    /// Every fill told, once.
    position: [i64; 2],
    told: BTreeSet<(u8, u64)>,
    ids: BTreeSet<ClOrdId>,
    is_killed: bool,
    hedges: u64,
    /// Immediate orders that take an instrument home, where exits are on.
    exits: Option<u64>,
}

impl World {
    fn new(seed: u64) -> World {
        World::with(&config(), seed)
    }

    fn with(config: &MakerConfig, seed: u64) -> World {
        let has_exits = config.guards != Guards::default();
        World {
            seed,
            chance: Chance(seed),
            maker: Maker::new(config).unwrap(),
            out: Intents::new(Maker::intents_max(config), 256),
            now: 1_000_000_000,
            timer_at: 0,
            venues: [HonestVenue::new(VenueId(0)), HonestVenue::new(VenueId(1))],
            market: [VecDeque::new(), VecDeque::new()],
            mids: [600_000; 2],
            position: OPENING,
            told: BTreeSet::new(),
            ids: BTreeSet::new(),
            is_killed: false,
            hedges: 0,
            exits: has_exits.then_some(0),
        }
    }

    fn delta(&self) -> i64 {
        (self.position[0] + self.position[1]) * PER_LOT
    }

    fn input(&mut self, input: Input) {
        self.out.clear();
        self.maker.step(Nanos(self.now), &input, &mut self.out);
        let sent = self.out.orders().to_vec();
        for intent in sent {
            self.take_intent(intent);
        }
        self.check();
    }

    fn take_intent(&mut self, intent: OrderIntent) {
        let seed = self.seed;
        assert!(self.ids.insert(intent.cl_ord_id), "seed {seed}: {intent:?} names an order twice");
        if intent.action != OrderAction::New {
            let orig = intent.orig_cl_ord_id;
            assert!(self.ids.contains(&orig), "seed {seed}: {intent:?} of an order never sent");
        }
        let is_cancel = intent.action == OrderAction::Cancel;
        assert!(is_cancel || !self.is_killed, "seed {seed}: {intent:?} after the end");
        let place = usize::from(intent.instrument.0);
        assert!(is_cancel || self.venues[place].is_up, "seed {seed}: {intent:?} without a session");
        if intent.time_in_force == TimeInForce::ImmediateOrCancel && !is_cancel {
            if self.exits.is_some() && self.takes_home(&intent) {
                self.exits = self.exits.map(|exits| exits + 1);
                self.send(intent);
                return;
            }
            self.hedges += 1;
            let open: i64 =
                (0..2).map(|n| self.venues[n].to_come(BOTH[n], intent.side, true)).sum();
            let (sign, delta) = (intent.side.sign(), self.delta());
            assert!(sign * delta < 0, "seed {seed}: {intent:?} adds to a delta of {delta}");
            let after = (open + intent.size.0) * PER_LOT;
            assert!(after <= delta.abs(), "seed {seed}: {intent:?} beyond a delta of {delta}");
        }
        self.send(intent);
    }

    /// Does an immediate order take off what is held beyond the opening, and with all that may still
    /// trade no more than that?
    fn takes_home(&self, intent: &OrderIntent) -> bool {
        let (place, sign) = (usize::from(intent.instrument.0), intent.side.sign());
        let held = self.position[place] - OPENING[place];
        let open = self.venues[place].to_come(intent.instrument, intent.side, false);
        sign * held < 0 && open + intent.size.0 <= held.abs()
    }

    fn send(&mut self, intent: OrderIntent) {
        let place = usize::from(intent.instrument.0);
        if self.venues[place].is_up {
            self.venues[place].inbox.push_back(intent);
        } else {
            let ids = (intent.cl_ord_id, intent.orig_cl_ord_id);
            let event = self.venues[place].event(ids, intent.instrument, OrderUpdate::Unsent);
            self.venues[place].outbox.push_front(event);
        }
    }

    fn check(&self) {
        let seed = self.seed;
        for (place, id) in BOTH.into_iter().enumerate() {
            let position = self.position[place];
            assert_eq!(
                self.maker.ledger().position(id),
                Some(Lots(position)),
                "seed {seed} {id:?}"
            );
            for side in Side::BOTH {
                let sign = side.sign();
                let worst = sign * position + self.venues[place].to_come(id, side, false);
                assert!(worst <= POSITION_MAX, "seed {seed}: worst {side:?} position {worst}");
                let is_sale = id == SPOT && side == Side::Sell;
                assert!(!is_sale || worst <= 0, "seed {seed}: spot short by {worst}");
            }
        }
        for side in Side::BOTH {
            let come: i64 = (0..2).map(|n| self.venues[n].to_come(BOTH[n], side, false)).sum();
            let worst = side.sign() * self.delta() + come * PER_LOT;
            assert!(worst <= HARD, "seed {seed}: worst {side:?} exposure {worst}");
        }
        assert_eq!(self.maker.delta(0), Some(Exposure(self.delta())), "seed {seed}");
        let (causes, total) = self.maker.pnl().unwrap();
        assert_eq!(causes.iter().map(|(_, money)| money.0).sum::<i128>(), total.0, "seed {seed}");
    }

    fn tell(&mut self, place: usize) {
        if !self.venues[place].is_up {
            return;
        }
        let Some(event) = self.venues[place].outbox.pop_front() else { return };
        if let OrderUpdate::Fill { exec_id, side, last_qty, .. } = event.update
            && self.told.insert((event.venue.0, exec_id.0))
        {
            self.position[place] += side.sign() * last_qty.0;
            self.venues[place].told = exec_id;
        }
        self.input(Input::Order(event));
    }

    fn session(&mut self, place: usize, is_up: bool) {
        if self.venues[place].is_up == is_up {
            return;
        }
        let update = if is_up {
            self.venues[place].is_up = true;
            OrderUpdate::SessionUp
        } else {
            self.venues[place].drop_session(&mut self.chance);
            OrderUpdate::SessionDown
        };
        let none = (ClOrdId::NONE, ClOrdId::NONE);
        let event = self.venues[place].event(none, BOTH[place], update);
        self.input(Input::Order(event));
    }

    fn quote_market(&mut self, place: usize) {
        if self.market[place].is_empty() {
            self.mids[place] += self.chance.below(21) as i64 - 10;
            let mid = self.mids[place];
            let level =
                |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
            self.market[place].extend([
                (MarketUpdate::Reset, false),
                (level(Side::Buy, mid - 1), false),
                (level(Side::Sell, mid + 1), true),
            ]);
        }
        if let Some((update, last_in_message)) = self.market[place].pop_front() {
            self.market_event(place, update, last_in_message);
        }
    }

    fn market_event(&mut self, place: usize, update: MarketUpdate, last_in_message: bool) {
        self.input(Input::Market(MarketEvent {
            at: Nanos(self.now),
            venue_at: Nanos(0),
            stamp: Stamp(1),
            update,
            instrument: BOTH[place],
            last_in_message,
        }));
    }

    fn step(&mut self) {
        self.now += self.chance.below(200_000);
        if self.now >= self.timer_at {
            self.timer_at = self.now + 1_000_000;
            self.input(Input::Timer);
        }
        let place = self.chance.below(2) as usize;
        match self.chance.below(100) {
            0..=29 => self.tell(place),
            30..=54 => self.venues[place].take(&mut self.chance),
            55..=64 => self.venues[place].trade(&mut self.chance),
            _ => self.quote_market(place),
        }
    }

    fn rough_step(&mut self) {
        let place = self.chance.below(2) as usize;
        match self.chance.below(1_000) {
            0..=2 => self.session(place, false),
            3..=22 => self.session(place, true),
            23..=24 => {
                self.market[place].clear();
                self.market_event(place, MarketUpdate::Gap, true);
            }
            25 => self.input(Input::Control(Control::Pause(BOTH[place]))),
            26..=45 => self.input(Input::Control(Control::Resume(BOTH[place]))),
            46 => self.now += 3_000_000,
            // Time never goes back in the maker, whatever the stage says.
            47 => self.now -= 50_000,
            _ => self.step(),
        }
    }

    fn calm(&mut self) {
        for place in 0..2 {
            self.venues[place].is_rough = false;
            self.session(place, true);
        }
        for _ in 0..CALM_STEPS {
            self.step();
        }
    }
}

impl World {
    /// Nothing more trades: whole messages arrive, and all answers.
    fn drain(&mut self) {
        for _ in 0..10 {
            self.now += 1_000_000;
            self.input(Input::Timer);
            for place in 0..2 {
                self.quote_market(place);
                while !self.market[place].is_empty() {
                    self.quote_market(place);
                }
            }
            for place in 0..2 {
                let queues = |world: &World| {
                    world.venues[place].inbox.len() + world.venues[place].outbox.len()
                };
                while queues(self) > 0 {
                    self.venues[place].take(&mut self.chance);
                    self.tell(place);
                }
            }
        }
    }
}

/// The faults stop: everything that was in doubt is settled, and what does not quote says why.
fn settles(world: &mut World) {
    let seed = world.seed;
    world.calm();
    for id in BOTH {
        world.input(Input::Control(Control::Resume(id)));
    }
    for _ in 0..CALM_STEPS {
        world.step();
    }
    world.drain();
    let at_venues: usize = world.venues.iter().map(|venue| venue.book.len()).sum();
    assert_eq!(world.maker.live_orders(), at_venues, "seed {seed}: an order nobody knows");
    for id in BOTH {
        let snapshot = world.maker.snapshot(id).unwrap();
        let open = snapshot.open[0].0 + snapshot.open[1].0;
        match (snapshot.state, snapshot.reason) {
            (State::Quoting, Reason::Normal) | (State::Reducing, Reason::SoftLimit) => {
                assert!(open > 0, "seed {seed}: {id:?} quotes nothing: {snapshot:?}");
            }
            (State::Paused, Reason::Concentration) => {}
            other => panic!("seed {seed}: {id:?} is {other:?} after the faults"),
        }
    }
}

#[test]
fn account_and_limits_hold_at_every_step_and_quoting_resumes() {
    let mut hedges = 0;
    let mut fills = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..ROUGH_STEPS {
            world.rough_step();
        }
        settles(&mut world);
        hedges += world.hedges;
        fills += world.told.len();
    }
    assert!(hedges > 5 * SEEDS && fills > 100 * SEEDS as usize, "{hedges} hedges, {fills} fills");
}

/// Both instruments take profit and stop losses, and one is to be flat for a while.
fn with_exits() -> MakerConfig {
    let mut steps = [Step::default(); STEPS_MAX];
    steps[0] = Step { gain: HalfTicks(8), close_permille: 500 };
    steps[1] = Step { gain: HalfTicks(30), close_permille: 300 };
    let exit = ExitSettings {
        take_profit: Some(TakeProfit { steps, passive_ns: 3_000_000 }),
        loss_max: Some(Notional(40_000_000)),
    };
    let at = |ms: u64| Nanos(1_000_000_000 + ms * 1_000_000);
    let hours = [(at(100), Phase::Flat), (at(150), Phase::Normal), (at(250), Phase::Flat)];
    let spot = GuardSettings { exit, ..GuardSettings::default() };
    let perp = GuardSettings { exit, hours: Some(hours.into()), ..GuardSettings::default() };
    let guards = Guards { instruments: vec![spot, perp], shares: vec![] };
    MakerConfig { guards, ..config() }
}

#[test]
fn exits_take_off_what_is_held_and_no_more_whatever_the_venue_does() {
    let (mut exits, mut hedges) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::with(&with_exits(), seed);
        for _ in 0..ROUGH_STEPS {
            world.rough_step();
        }
        world.calm();
        exits += world.exits.unwrap_or(0);
        hedges += world.hedges;
    }
    assert!(exits > 5 * SEEDS && hedges > SEEDS, "{exits} exits, {hedges} hedges");
}

#[test]
fn after_a_kill_or_shutdown_nothing_is_left_and_nothing_new_is_sent() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed ^ 0xDEAD);
        let end = world.chance.below(u64::from(ROUGH_STEPS));
        for step in 0..u64::from(ROUGH_STEPS) {
            if step == end {
                let control = if seed % 2 == 0 { Control::Kill } else { Control::Shutdown };
                // The intents of this very step count already.
                world.is_killed = true;
                world.input(Input::Control(control));
            }
            world.rough_step();
        }
        world.calm();
        assert_eq!(world.maker.live_orders(), 0, "seed {seed}");
        assert!(world.venues.iter().all(|venue| venue.book.is_empty()), "seed {seed}");
    }
}
