//! Nothing passes the gate beyond a limit: random intents against a model of the limits that shares no
//! line with it, and the message rate under a storm of refusals. A slice runs here;
//! `BALLAST_INTENTS=10000000 cargo test --release -p ballast --test gate` is the whole.

use ballast::config::ConfigFile;
use ballast::random::Random;
use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderUpdate, VenueId,
};
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::Intents;
use ballast_engine::market::trust::Distrust;
use ballast_engine::orders::table::OpenSize;
use ballast_engine::risk::claim::Claim;
use ballast_engine::risk::collar::Collar;
use ballast_engine::risk::duplicate::{DuplicateGuard, Likeness};
use ballast_engine::risk::gate::{self, BlockReason, Facts, Proposal, Verdict};
use ballast_engine::risk::gross::{self, GrossNotional};
use ballast_engine::risk::limits::{ExposureLimits, InstrumentLimits, ValueLimit};
use ballast_engine::risk::order_to_trade::{OrderToTrade, OrderToTradeLimit};
use ballast_engine::risk::throttle::{MessageRate, Throttle};
use ballast_engine::risk::window::WindowLimit;
use ballast_engine::units::{Exposure, Lots, Nanos, Notional, Side, Stamp, Ticks};
use std::collections::VecDeque;

const INSTRUMENTS: usize = 3;
const OPEN_MAX: usize = 24;
const RATE: MessageRate = MessageRate { max: 50, window_ns: 1_000_000, cancel_reserve: 10 };
const RATIO: OrderToTradeLimit = OrderToTradeLimit { max: 40, grace: 2_000 };
const ALIKE: WindowLimit = WindowLimit { max: 3, window_ns: 200_000 };
const HARD: i64 = 4_000;
const GROSS: i128 = 40_000;
/// Exposure of a lot, and what 1,024 lots are worth.
const PER_LOT: [(i64, i128); INSTRUMENTS] = [(10, 50_000), (25, 130_000), (7, 33_000)];

fn limits(place: usize) -> InstrumentLimits {
    let value = match place {
        2 => ValueLimit::Lots(40),
        _ => ValueLimit::TickLots(40 * 1_000),
    };
    InstrumentLimits {
        order_size_max: Lots(50),
        order_value_max: value,
        position_max: Lots(150),
        collar: Collar { width: Ticks(60) },
        executions: ALIKE,
        duplicates: ALIKE,
    }
}

#[derive(Clone, Copy)]
struct Open {
    place: usize,
    side: Side,
    price: i64,
    leaves: i64,
}

/// What is true, kept as plainly as can be: nothing is summed up before it is asked for.
struct World {
    now: u64,
    positions: [i64; INSTRUMENTS],
    references: [Option<i64>; INSTRUMENTS],
    open: Vec<Open>,
    sent: VecDeque<(u64, bool)>,
    alike: VecDeque<(u64, usize, Side, i64, i64)>,
    messages: u64,
    trades: u64,
}

impl World {
    fn on(&self, place: usize, side: Side) -> i128 {
        let of = self.open.iter().filter(|o| o.place == place && o.side == side);
        of.map(|order| i128::from(order.leaves)).sum()
    }

    fn worst(&self, place: usize, added: [i128; 2]) -> i128 {
        let position = i128::from(self.positions[place]);
        let long = position + self.on(place, Side::Buy) + added[0];
        let short = self.on(place, Side::Sell) + added[1] - position;
        long.max(short).max(0)
    }

    fn gross(&self, with: Option<(usize, [i128; 2])>) -> i128 {
        let value = |place: usize| {
            let added = with.filter(|(at, _)| *at == place).map_or([0; 2], |(_, added)| added);
            self.worst(place, added) * (PER_LOT[place].1 + 1)
        };
        (0..INSTRUMENTS).map(value).sum()
    }

    fn exposure(&self, side: Side) -> i128 {
        let held = (0..INSTRUMENTS).map(|n| i128::from(self.positions[n] * PER_LOT[n].0));
        let open = (0..INSTRUMENTS).map(|n| self.on(n, side) * i128::from(PER_LOT[n].0));
        held.sum::<i128>() + i128::from(side.sign()) * open.sum::<i128>()
    }

    /// The limits, read off what is true.
    fn allows(&self, place: usize, side: Side, price: i64, size: i64, added: i64) -> bool {
        let Some(reference) = self.references[place] else { return false };
        let (wide, sign) = (i128::from, i128::from(side.sign()));
        let value = match place {
            2 => size <= 40,
            _ => wide(price).abs() * wide(size).abs() <= 40_000,
        };
        let more = match side {
            Side::Buy => [wide(added), 0],
            Side::Sell => [0, wide(added)],
        };
        let position = sign * wide(self.positions[place]) + self.on(place, side) + wide(added);
        let exposure = sign * self.exposure(side) + wide(added) * wide(PER_LOT[place].0);
        let after = self.worst(place, more);
        let raises = after > self.worst(place, [0; 2]);
        let meets = |o: &&Open| {
            let crosses = sign * (wide(price) - wide(o.price)) >= 0;
            o.place == place && o.side != side && crosses
        };
        (1..=50).contains(&size)
            && value
            && (wide(price) - wide(reference)).abs() <= 60
            && position <= 150
            && !(place == 0 && side == Side::Sell && position > 0)
            && exposure <= i128::from(HARD)
            && (!raises || self.gross(Some((place, more))) <= GROSS << 10)
            && self.open.iter().find(meets).is_none()
    }

    /// Of 50 in a window 10 are the cancels', and of the other 40 quotes leave 4.
    fn may_send(&self, claim: Claim) -> bool {
        let recent = self.sent.iter().filter(|(at, _)| self.now - at < RATE.window_ns).count();
        recent < [36, 40, 50][claim as usize]
    }

    fn may_send_today(&self, claim: Claim) -> bool {
        let all = 2_000 + 40 * self.trades;
        self.messages < if claim == Claim::Quote { all - all / 10 } else { all }
    }

    fn count(&mut self, is_cancel: bool) {
        self.sent.push_back((self.now, is_cancel));
        while self.sent.len() > 200 {
            self.sent.pop_front();
        }
        self.messages += 1;
    }

    fn is_unlike(&self, order: (usize, Side, i64, i64)) -> bool {
        let alike = self.alike.iter().filter(|(at, place, side, price, size)| {
            self.now - at < ALIKE.window_ns && (*place, *side, *price, *size) == order
        });
        alike.count() < 3
    }
}

/// The controls as the maker keeps them.
struct Controls {
    gross: GrossNotional,
    throttle: Throttle,
    ratio: OrderToTrade,
    duplicates: [DuplicateGuard; INSTRUMENTS],
    exposures: ExposureLimits,
}

impl Controls {
    fn new() -> Controls {
        let mut gross = GrossNotional::new(Notional(GROSS), INSTRUMENTS);
        for (place, (_, value)) in PER_LOT.into_iter().enumerate() {
            gross.set_value(place, Some(value));
        }
        Controls {
            gross,
            throttle: Throttle::new(RATE),
            ratio: OrderToTrade::new(RATIO),
            duplicates: [(); INSTRUMENTS].map(|()| DuplicateGuard::new(ALIKE)),
            exposures: ExposureLimits::new(Exposure(1_000), Exposure(2_000), Exposure(HARD))
                .unwrap(),
        }
    }

    fn keep(&mut self, world: &World) {
        for place in 0..INSTRUMENTS {
            self.gross.set_lots(place, world.worst(place, [0; 2]));
        }
    }

    fn passes(&self, world: &World, proposal: &Proposal, is_new: bool, claim: Claim) -> bool {
        let now = Nanos(world.now);
        let place = usize::from(proposal.instrument.0);
        let lots = |side| Lots(i64::try_from(world.on(place, side)).unwrap());
        let opposite = world.open.iter().filter(|o| o.place == place && o.side != proposal.side);
        let prices = opposite.map(|order| Ticks(order.price));
        let limits = limits(place);
        let worst = i64::try_from(world.exposure(proposal.side)).unwrap();
        let facts = Facts {
            limits: &limits,
            reference: world.references[place].map(Ticks).ok_or(Distrust::Stale),
            position: Lots(world.positions[place]),
            away: Lots(0),
            open: OpenSize { buy: lots(Side::Buy), sell: lots(Side::Sell) },
            is_spot: place == 0,
            exposure_per_lot: Exposure(PER_LOT[place].0),
            exposure_worst: Exposure(worst),
            exposure_limits: &self.exposures,
            own_opposite: match proposal.side {
                Side::Buy => prices.min(),
                Side::Sell => prices.max(),
            },
            gross: &self.gross,
        };
        let likeness = Likeness { side: proposal.side, price: proposal.price, size: proposal.size };
        let alike = self.duplicates[place].check(now, likeness);
        [
            gate::check(proposal, &facts),
            self.throttle.check(now, claim),
            self.ratio.check(claim),
            if is_new { alike } else { Verdict::Pass },
        ]
        .iter()
        .all(|verdict| *verdict == Verdict::Pass)
    }
}

/// A number near an edge, at an edge, or nowhere near.
fn edgy(random: &mut Random, edge: i64) -> i64 {
    match random.below(12) {
        0 => edge,
        1 => edge.saturating_add(1),
        2 => edge.saturating_sub(1),
        3 => 0,
        4 if random.chance(0.05) => i64::MAX,
        5 if random.chance(0.05) => i64::MIN + 1,
        _ => 1 + random.below(20) as i64,
    }
}

struct Desk {
    random: Random,
    world: World,
    controls: Controls,
    passed: u64,
    blocked: u64,
}

impl Desk {
    fn new(seed: u64) -> Desk {
        let world = World {
            now: 1_000_000_000,
            positions: [80, 0, 0],
            references: [Some(1_000), Some(990), Some(1_010)],
            open: Vec::new(),
            sent: VecDeque::new(),
            alike: VecDeque::new(),
            messages: 0,
            trades: 0,
        };
        let mut desk = Desk {
            random: Random::new(seed),
            world,
            controls: Controls::new(),
            passed: 0,
            blocked: 0,
        };
        desk.controls.keep(&desk.world);
        desk
    }

    /// A fill, a cancel, a mark: what changes between two intents.
    fn live(&mut self) {
        let Desk { random, world, controls, .. } = self;
        world.now += random.below(40_000);
        let place = random.below(INSTRUMENTS as u64) as usize;
        match random.below(8) {
            0 => {
                let moved = world.references[place].unwrap_or(1_000) + random.below(21) as i64 - 10;
                let is_known = !random.chance(0.05);
                world.references[place] = is_known.then_some(moved.clamp(500, 1_500));
            }
            1 | 2 if !world.open.is_empty() => {
                let at = random.below(world.open.len() as u64) as usize;
                let order = world.open[at];
                let traded = 1 + random.below(order.leaves as u64) as i64;
                world.positions[order.place] += order.side.sign() * traded;
                world.open[at].leaves -= traded;
                world.open.retain(|order| order.leaves > 0);
                world.trades += 1;
                controls.ratio.on_fill();
            }
            3 if !world.open.is_empty() && world.may_send(Claim::Cancel) => {
                assert_eq!(controls.throttle.check(Nanos(world.now), Claim::Cancel), Verdict::Pass);
                let at = random.below(world.open.len() as u64) as usize;
                world.open.swap_remove(at);
                world.count(true);
                controls.throttle.on_sent(Nanos(world.now));
                controls.ratio.on_sent();
            }
            _ => {}
        }
        controls.keep(world);
    }

    fn intend(&mut self) {
        let random = &mut self.random;
        let mut place = random.below(INSTRUMENTS as u64) as usize;
        let mut side = if random.chance(0.5) { Side::Buy } else { Side::Sell };
        let old = (!self.world.open.is_empty() && random.chance(0.3))
            .then(|| random.below(self.world.open.len() as u64) as usize);
        if let Some(old) = old {
            (place, side) = (self.world.open[old].place, self.world.open[old].side);
        }
        let reference = self.world.references[place].unwrap_or(1_000);
        let away = edgy(random, 60).saturating_mul(-side.sign());
        let price = reference.saturating_add(if random.chance(0.1) { -away } else { away });
        let size = edgy(random, 50);
        let had = old.map_or(0, |old| self.world.open[old].leaves);
        let added = size.saturating_sub(had).max(0);
        let proposal = Proposal {
            instrument: InstrumentId(place as u16),
            side,
            price: Ticks(price),
            size: Lots(size),
            added: Lots(added),
        };
        let is_new = old.is_none();
        let claim = if random.chance(0.7) { Claim::Quote } else { Claim::Immediate };
        let world = &self.world;
        // Our own order is in its own way nowhere: what is replaced stands on the same side.
        let allowed = world.allows(place, side, price, size, added)
            && world.may_send(claim)
            && world.may_send_today(claim)
            && (!is_new || world.is_unlike((place, side, price, size)));
        let passes = self.controls.passes(world, &proposal, is_new, claim);
        assert_eq!(passes, allowed, "{proposal:?}, replaces {old:?} at {}", world.now);
        if !passes || (is_new && world.open.len() >= OPEN_MAX) {
            self.blocked += 1;
            return;
        }
        self.passed += 1;
        self.go(proposal, old);
    }

    fn go(&mut self, proposal: Proposal, old: Option<usize>) {
        let Desk { world, controls, .. } = self;
        let place = usize::from(proposal.instrument.0);
        let (side, price, leaves) = (proposal.side, proposal.price.0, proposal.size.0);
        let now = Nanos(world.now);
        match old {
            // Until it is answered the larger of the two counts.
            Some(old) => {
                let order = &mut world.open[old];
                *order = Open { price, leaves: order.leaves.max(leaves), ..*order };
            }
            None => {
                world.open.push(Open { place, side, price, leaves });
                world.alike.push_back((world.now, place, side, price, leaves));
                if world.alike.len() > 400 {
                    world.alike.pop_front();
                }
                let likeness = Likeness { side, price: Ticks(price), size: Lots(leaves) };
                controls.duplicates[place].on_sent(now, likeness);
            }
        }
        world.count(false);
        controls.throttle.on_sent(now);
        controls.ratio.on_sent();
        controls.keep(world);
    }
}

fn intents() -> u64 {
    let wanted = std::env::var("BALLAST_INTENTS").ok();
    wanted.map_or(200_000, |count| count.parse().expect("BALLAST_INTENTS is a number"))
}

#[test]
fn no_random_intent_passes_the_gate_beyond_a_limit_nor_is_blocked_within_all() {
    let (mut passed, mut blocked) = (0, 0);
    let seeds = 20;
    for seed in 0..seeds {
        let mut desk = Desk::new(seed);
        for _ in 0..intents() / seeds {
            desk.live();
            desk.intend();
        }
        passed += desk.passed;
        blocked += desk.blocked;
    }
    assert!(passed > intents() / 50, "{passed} passed, {blocked} blocked");
    assert!(blocked > intents() / 4, "{passed} passed, {blocked} blocked");
}

#[test]
fn the_worst_case_of_lots_is_the_model_s() {
    let mut random = Random::new(5);
    for _ in 0..10_000 {
        let lots = |random: &mut Random| random.below(1 << 40) as i64;
        let position = lots(&mut random) - lots(&mut random);
        let (buy, sell, added) = (lots(&mut random), lots(&mut random), lots(&mut random));
        let open = OpenSize { buy: Lots(buy), sell: Lots(sell) };
        let worst = gross::lots_worst(Lots(position), open, Side::Sell, Lots(added));
        let wide = i128::from;
        let expected = (wide(position) + wide(buy)).max(wide(sell) + wide(added) - wide(position));
        assert_eq!(worst, expected.max(0));
    }
}

/// Most of `times` in any window.
fn densest(times: &[u64], window_ns: u64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while at - times[first] >= window_ns {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[test]
fn no_window_holds_more_messages_than_allowed_in_a_storm_of_100_000_attempts_a_second() {
    let mut random = Random::new(11);
    let rate = MessageRate { max: 100, window_ns: 1_000_000_000, cancel_reserve: 20 };
    let mut throttle = Throttle::new(rate);
    let (mut all, mut orders, mut quotes) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = 1_000;
    for _ in 0..1_000_000 {
        now += random.below(20_000);
        let claim = match random.below(10) {
            0 => Claim::Cancel,
            1 => Claim::Immediate,
            _ => Claim::Quote,
        };
        if throttle.check(Nanos(now), claim) == Verdict::Pass {
            throttle.on_sent(Nanos(now));
            all.push(now);
            if claim != Claim::Cancel {
                orders.push(now);
            }
            if claim == Claim::Quote {
                quotes.push(now);
            }
        }
    }
    assert_eq!(densest(&all, rate.window_ns), 100);
    assert!(densest(&orders, rate.window_ns) <= 80);
    assert!(densest(&quotes, rate.window_ns) <= 72);
    assert!(all.len() > 900, "ten windows, each used up: {}", all.len());
}

fn market(instrument: u16, now: u64, update: MarketUpdate, last_in_message: bool) -> Input {
    Input::Market(MarketEvent {
        at: Nanos(now),
        venue_at: Nanos(now),
        stamp: Stamp(0),
        update,
        instrument: InstrumentId(instrument),
        last_in_message,
    })
}

fn word(now: u64, cl_ord_id: ClOrdId, instrument: InstrumentId, update: OrderUpdate) -> Input {
    Input::Order(OrderEvent {
        at: Nanos(now),
        venue_at: Nanos(now),
        stamp: Stamp(0),
        msg_seq_num: 0,
        cl_ord_id,
        orig_cl_ord_id: ClOrdId::NONE,
        update,
        instrument,
        venue: VenueId(0),
    })
}

#[test]
fn a_maker_whose_every_order_is_refused_stays_within_its_rate_in_every_window() {
    let mut config = ConfigFile::demo().unwrap().maker(1).unwrap();
    config.rejects_max = u32::MAX;
    for settings in &mut config.settings {
        settings.limits.duplicates.max = 64;
        settings.limits.duplicates.window_ns = 1;
        if let Some(quote) = &mut settings.quote {
            quote.reject_holdoff_ns = 0;
        }
    }
    let rate = config.message_rates[0];
    let mut maker = Maker::new(&config).unwrap();
    let mut out = Intents::new(Maker::intents_max(&config), 256);
    let mut now = 1_700_000_000_000_000_000;
    let level = |side, price, size| MarketUpdate::Level { side, price, size: Lots(size) };
    let mut begin = vec![word(now, ClOrdId::NONE, InstrumentId(0), OrderUpdate::SessionUp)];
    for (id, mid) in [(1, 600_000), (2, 600_000), (0, 6_000_000)] {
        begin.push(market(id, now, MarketUpdate::Reset, false));
        begin.push(market(id, now, level(Side::Buy, Ticks(mid - 10), 5_000), false));
        begin.push(market(id, now, level(Side::Sell, Ticks(mid + 10), 5_000), true));
    }
    let mut waiting = VecDeque::new();
    let mut sent = Vec::new();
    // 10 microseconds apart: 100,000 events a second, a refusal wherever one is due.
    for n in 0..300_000u64 {
        now += 10_000;
        let size = 5_000 + (n % 7) as i64;
        let input = match (begin.is_empty(), waiting.pop_front()) {
            (false, _) => begin.remove(0),
            (true, Some((id, instrument))) => {
                word(now, id, instrument, OrderUpdate::Rejected { reason: 99 })
            }
            (true, None) => market(0, now, level(Side::Buy, Ticks(5_999_990), size), true),
        };
        out.clear();
        maker.step(Nanos(now), &input, &mut out);
        for intent in out.orders() {
            assert_eq!(intent.action, OrderAction::New, "nothing works that could be moved");
            waiting.push_back((intent.cl_ord_id, intent.instrument));
            sent.push(now);
        }
    }
    // A tenth of what is not the cancels' is left to hedges.
    let orders = (rate.max - rate.cancel_reserve) as usize;
    let allowed = orders - orders / 10;
    assert_eq!(densest(&sent, rate.window_ns), allowed, "used up, and not one more");
    let place = BlockReason::ALL.iter().position(|r| *r == BlockReason::MessageRate).unwrap();
    assert!(maker.counters().blocked[place] > 10_000, "{:?}", maker.counters());
}
