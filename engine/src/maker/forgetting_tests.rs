//! What the maker keeps from event to event decides nothing: one that forgets it all before every event
//! sends the same orders and tells the same.

use super::config::MakerConfig;
use super::control::{Act, Knob, User};
use super::guard_tests::take_profit;
use super::guards::GuardSettings;
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, quote_settings};
use super::*;
use crate::estimate::markout::Widening;
use crate::event::{ClOrdId, ExecId, Liquidity, MarketUpdate, OrderAction, OrderIntent};
use crate::event::{OrderUpdate, TimeInForce};
use crate::inventory::hedge::{Band, BandRule};
use crate::market::spike::SpikeLimit;
use crate::quote::holdings::HoldingsSkew;
use crate::quote::obligation::ObligationSettings;
use crate::risk::breakout::BreakoutSettings;
use crate::risk::hours::Phase;
use crate::risk::position_age::AgeLimit;
use crate::units::{Lots, Nanos, Notional, Side, SubTicks, Ticks};

const STEPS: u32 = 6_000;
const SEEDS: u64 = 4;

/// An order as the venue has it.
struct Working {
    order: OrderIntent,
    cum: i64,
}

/// The same inputs for two makers, and a venue that answers what they send, in any order.
struct Twins {
    keeps: Desk,
    forgets: Desk,
    random: u64,
    markets: Vec<(InstrumentId, i64)>,
    asked: Vec<OrderIntent>,
    working: Vec<Working>,
    execs: u64,
    sent: [u64; 3],
}

impl Twins {
    fn new(config: &MakerConfig, markets: Vec<(InstrumentId, i64)>, seed: u64) -> Twins {
        Twins {
            keeps: Desk::with(config),
            forgets: Desk::with(config),
            random: seed,
            markets,
            asked: Vec::new(),
            working: Vec::new(),
            execs: 0,
            sent: [0; 3],
        }
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// One input for both.
    fn both(&mut self, input: impl Fn(&mut Desk) -> Vec<OrderIntent>) {
        let kept = input(&mut self.keeps);
        let lines = self.forgets.maker.lines.len();
        self.forgets.maker.forget_wanted(0..lines);
        let anew = input(&mut self.forgets);
        assert_eq!(kept, anew);
        assert_eq!(self.keeps.out.records(), self.forgets.out.records());
        for intent in kept {
            let place = match intent.action {
                OrderAction::New => 0,
                OrderAction::Replace => 1,
                OrderAction::Cancel => 2,
            };
            self.sent[place] += 1;
            self.asked.push(intent);
        }
    }

    fn report(&mut self, intent: &OrderIntent, update: OrderUpdate) {
        let (id, orig, of) = (intent.cl_ord_id, intent.orig_cl_ord_id, intent.instrument);
        self.both(|desk| desk.report(id, orig, of, update));
    }

    /// The venue takes one of what it was asked, in any order.
    fn answer(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let n = self.below(self.asked.len() as u64) as usize;
        let intent = self.asked.remove(n);
        let known = self.working.iter().position(|w| w.order.cl_ord_id == intent.orig_cl_ord_id);
        let is_refused = self.below(40) == 0;
        match (intent.action, known) {
            (OrderAction::New, _) if is_refused => {
                self.report(&intent, OrderUpdate::Rejected { reason: 99 });
            }
            (OrderAction::New, _) => {
                self.report(&intent, OrderUpdate::New { leaves_qty: intent.size });
                self.working.push(Working { order: intent, cum: 0 });
            }
            (OrderAction::Replace, Some(place)) if !is_refused => {
                let left = intent.size.0 - self.working[place].cum;
                let (price, leaves_qty) = (intent.price, Lots(left.max(0)));
                self.working[place].order = intent;
                self.report(&intent, OrderUpdate::Replaced { price, leaves_qty });
                if left <= 0 {
                    self.working.remove(place);
                }
            }
            (OrderAction::Cancel, Some(place)) if !is_refused => {
                let cum_qty = Lots(self.working.remove(place).cum);
                self.report(&intent, OrderUpdate::Canceled { cum_qty });
            }
            (OrderAction::Replace | OrderAction::Cancel, known) => {
                let is_gone = known.is_none();
                self.report(&intent, OrderUpdate::CancelRejected { reason: 99, is_gone });
            }
        }
    }

    /// One of the venue's orders trades, in part or whole; an immediate one ends.
    fn trade(&mut self) {
        if self.working.is_empty() {
            return;
        }
        let place = self.below(self.working.len() as u64) as usize;
        let Working { order, cum } = self.working[place];
        let left = order.size.0 - cum;
        let is_immediate = order.time_in_force == TimeInForce::ImmediateOrCancel;
        if is_immediate && self.below(3) == 0 {
            self.working.remove(place);
            self.report(&order, OrderUpdate::Canceled { cum_qty: Lots(cum) });
            return;
        }
        let last = 1 + self.below(left.max(1) as u64) as i64;
        self.execs += 1;
        let update = OrderUpdate::Fill {
            exec_id: ExecId(self.execs),
            side: order.side,
            last_px: order.price,
            last_qty: Lots(last),
            cum_qty: Lots(cum + last),
            leaves_qty: Lots(left - last),
            liquidity: if is_immediate { Liquidity::Taker } else { Liquidity::Maker },
        };
        self.working[place].cum += last;
        if left == last {
            self.working.remove(place);
        }
        let (id, of) = (order.cl_ord_id, order.instrument);
        self.both(|desk| desk.report(id, ClOrdId::NONE, of, update));
    }

    fn market(&mut self) {
        let place = self.below(self.markets.len() as u64) as usize;
        let moved = if self.below(60) == 0 { 60 } else { 3 };
        let step = self.below(2 * moved + 1) as i64 - moved as i64;
        self.markets[place].1 += step;
        let (id, mid) = self.markets[place];
        let size = Lots(1 + self.below(500) as i64);
        let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size };
        if self.below(200) == 0 {
            self.both(|desk| desk.market(id, MarketUpdate::Gap, true));
            return;
        }
        self.both(|desk| desk.market(id, MarketUpdate::Reset, false));
        self.both(|desk| desk.market(id, level(Side::Buy, mid - 1), false));
        self.both(|desk| desk.market(id, level(Side::Sell, mid + 1), true));
    }

    fn operator(&mut self) {
        let act = match self.below(4) {
            0 => {
                let size = Lots(1 + self.below(12) as i64);
                let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
                let (instrument, price) = (self.markets[0].0, Ticks(self.markets[0].1));
                Act::Trade { instrument, side, price, size }
            }
            1 => Act::Set { knob: Knob::EdgeMin(SPOT), value: (self.below(4) << 32) as i64 },
            _ => Act::Resume { scope: control::Scope::All },
        };
        let by = Control::By { user: User::NOBODY, second: User::NOBODY, act };
        self.both(|desk| desk.control(by));
    }

    fn step(&mut self) {
        let more = self.below(4_000);
        let leap = if self.below(300) == 0 { 30_000_000 } else { 0 };
        for desk in [&mut self.keeps, &mut self.forgets] {
            desk.now += more + leap;
        }
        match self.below(100) {
            0..=39 => self.market(),
            40..=69 => self.answer(),
            70..=84 => self.trade(),
            85..=96 => self.both(Desk::timer),
            97 => {
                let update = OrderUpdate::SessionDown;
                self.both(|desk| desk.session(update));
                self.both(|desk| desk.session(OrderUpdate::SessionUp));
            }
            _ => self.operator(),
        }
    }

    fn run(mut self) {
        self.both(|desk| desk.session(OrderUpdate::SessionUp));
        for _ in 0..STEPS {
            self.step();
        }
        let fills = self.keeps.maker.counters().fills;
        let [new, replaced, cancelled] = self.sent;
        let is_busy = new > 200 && replaced > 20 && cancelled > 50 && fills > 100;
        assert!(is_busy, "{:?} and {fills} fills", self.sent);
    }
}

/// Two quoted instruments with every guard, spike protection, holdings, markouts and credit.
fn everything() -> MakerConfig {
    let mut config = config();
    config.settings[1].quote = Some(quote_settings());
    let mut steps = take_profit().unwrap();
    steps.passive_ns = 2_000_000;
    let hours = [
        (Nanos(20_000_000), Phase::Wide { permille: 1_500 }),
        (Nanos(60_000_000), Phase::Reduce),
        (Nanos(80_000_000), Phase::Flat),
        (Nanos(100_000_000), Phase::Normal),
    ];
    let guards = GuardSettings {
        breakout: Some(BreakoutSettings {
            window_ns: 1_000_000,
            sigmas_permille: 40_000,
            calm_ns: 500_000,
            good_ticks: 2,
        }),
        age: Some(AgeLimit { max_ns: 20_000_000 }),
        obligation: Some(ObligationSettings {
            spread_max: Ticks(400),
            size_min: Lots(2),
            uptime_permille: 500,
            window_ns: 10_000_000,
        }),
        hours: Some(hours.into()),
        exit: crate::inventory::exit::ExitSettings {
            take_profit: Some(steps),
            loss_max: Some(Notional(200_000_000)),
        },
        sessions: None,
        fees: None,
    };
    config.guards.instruments = vec![guards.clone(), GuardSettings { hours: None, ..guards }];
    for settings in &mut config.settings {
        settings.spike =
            Some(SpikeLimit { width: Ticks(50), sigmas: 0, messages: 2, after_ns: 1_000_000 });
        let opening = settings.opening;
        let quote = settings.quote.as_mut().unwrap();
        quote.markout = Some(Widening {
            horizon: 0,
            share_permille: 500,
            cap: SubTicks(8 << 32),
            weight_shift: 3,
        });
        quote.holdings =
            Some(HoldingsSkew { target: opening, full_at: Lots(50), skew_max: SubTicks(4 << 32) });
    }
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.unwind_credit_ppm = 500_000;
    hedge.failures_max = 20;
    hedge.band = BandRule::Fixed(Band { outer: Exposure(12_000_000), inner: Exposure(3_000_000) });
    config
}

#[test]
fn a_maker_that_forgets_at_every_event_sends_what_one_that_keeps_does() {
    for seed in 0..SEEDS {
        Twins::new(&everything(), vec![(SPOT, 600_000), (PERP, 600_000)], seed).run();
    }
}
