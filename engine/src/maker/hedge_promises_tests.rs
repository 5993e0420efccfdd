//! What hedging promises over whole runs: back inside the band within one hedge latency, never an
//! order that adds to the absolute exposure, and none for a coin against its inverse perpetual.

use super::control::{Act, User};
use super::hedging_tests::hedges;
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, instrument_at};
use crate::event::*;
use crate::instrument::*;
use crate::risk::limits::ValueLimit;
use crate::units::*;

const SEEDS: u64 = 40;
const STEPS: u32 = 600;
/// There and back.
const LATENCY_NS: u64 = 500_000;
const STEP_NS: u64 = 100_000;
const OUTER: i64 = 25_000_000;
const PER_LOT: i64 = 1_000_000;

/// A venue that accepts at once, trades what chance says and answers hedges after their latency.
struct Market {
    desk: Desk,
    state: u64,
    /// Quotes with what of them traded.
    working: Vec<(OrderIntent, i64)>,
    hedge: Option<(OrderIntent, u64)>,
    /// By when net delta must be back inside.
    deadline: Option<u64>,
    mid: i64,
    hedged: u32,
}

impl Market {
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % bound
    }

    fn delta(&self) -> i64 {
        self.desk.maker.delta(0).unwrap().0
    }

    fn take(&mut self, sent: Vec<OrderIntent>) {
        let mut sent = std::collections::VecDeque::from(sent);
        while let Some(intent) = sent.pop_front() {
            let of =
                |(order, _): &&mut (OrderIntent, i64)| order.cl_ord_id == intent.orig_cl_ord_id;
            let (id, orig) = (intent.cl_ord_id, intent.orig_cl_ord_id);
            let update = match intent.action {
                OrderAction::New if intent.time_in_force == TimeInForce::ImmediateOrCancel => {
                    let (delta, added) = (self.delta(), intent.size.0 * PER_LOT);
                    assert!(self.hedge.is_none(), "one at a time");
                    assert!(delta * intent.side.sign() < 0, "{intent:?} adds to {delta}");
                    assert!(added <= delta.abs(), "{intent:?} turns {delta}");
                    self.hedge = Some((intent, self.desk.now + LATENCY_NS));
                    self.hedged += 1;
                    continue;
                }
                OrderAction::New => {
                    self.working.push((intent, 0));
                    OrderUpdate::New { leaves_qty: intent.size }
                }
                OrderAction::Replace => {
                    let Some(order) = self.working.iter_mut().find(of) else { continue };
                    order.0 = intent;
                    let leaves_qty = Lots(intent.size.0 - order.1);
                    OrderUpdate::Replaced { price: intent.price, leaves_qty }
                }
                OrderAction::Cancel => {
                    let Some(order) = self.working.iter_mut().find(of) else { continue };
                    let cum_qty = Lots(order.1);
                    self.working.retain(|(order, _)| order.cl_ord_id != orig);
                    OrderUpdate::Canceled { cum_qty }
                }
            };
            sent.extend(self.desk.report(id, orig, intent.instrument, update));
        }
    }

    fn trade(&mut self) {
        if self.working.is_empty() {
            return;
        }
        let place = self.below(self.working.len() as u64) as usize;
        let (order, cum) = self.working[place];
        let size = 1 + self.below((order.size.0 - cum) as u64) as i64;
        if cum + size == order.size.0 {
            self.working.remove(place);
        } else {
            self.working[place].1 += size;
        }
        let waits = 1 + u64::from(self.hedge.is_some());
        let sent = self.desk.fill(&order, size, cum + size);
        self.take(sent);
        // What was under way did not know of this fill: the next one does.
        self.deadline = Some(self.desk.now + waits * LATENCY_NS);
    }

    fn step(&mut self) {
        self.desk.now += STEP_NS;
        if let Some((order, due)) = self.hedge.filter(|(_, due)| *due <= self.desk.now) {
            self.hedge = None;
            self.deadline = self.deadline.map(|at| at.max(due));
            let sent = self.desk.fill(&order, order.size.0, order.size.0);
            self.take(sent);
        }
        let sent = match self.below(6) {
            0 | 1 => {
                self.mid += self.below(7) as i64 - 3;
                self.desk.image(SPOT, self.mid)
            }
            2 | 3 => self.desk.image(PERP, self.mid),
            4 => self.desk.timer(),
            _ => {
                self.trade();
                Vec::new()
            }
        };
        self.take(sent);
        if self.delta().abs() <= OUTER {
            self.deadline = None;
        }
        // A step is how finely this world sees.
        let late = self.deadline.filter(|at| self.desk.now > at + 2 * STEP_NS);
        assert_eq!(late, None, "delta {} at {}", self.delta(), self.desk.now);
    }
}

#[test]
fn after_a_fill_net_delta_is_back_inside_the_band_within_one_hedge_latency() {
    let mut hedged = 0;
    for seed in 0..SEEDS {
        let mut desk = Desk::new();
        let quotes = desk.begin();
        let mut market = Market {
            desk,
            state: seed ^ 0xBA11,
            working: quotes.into_iter().map(|quote| (quote, 0)).collect(),
            hedge: None,
            deadline: None,
            mid: 600_000,
            hedged: 0,
        };
        for _ in 0..STEPS {
            market.step();
        }
        hedged += market.hedged;
    }
    assert!(hedged > 100, "{hedged} hedges are no proof");
}

#[test]
fn one_coin_against_its_inverse_perpetual_is_not_hedged_while_the_price_moves_by_thirty_percent() {
    let mut config = config();
    let mut spec = instrument_at(1, InstrumentKind::LinearPerpetual, VenueId(0)).spec().clone();
    spec.kind = InstrumentKind::InversePerpetual;
    (spec.lot, spec.multiplier) = ("1".parse().unwrap(), "100".parse().unwrap());
    spec.settlement = spec.base;
    spec.taker_fee = FeeRate(0);
    config.conversions = vec![(spec.base, SPOT)];
    config.instruments[1] = Instrument::new(PERP, spec).unwrap();
    config.settings[0].quote = None;
    config.settings[1].opening = Lots(0);
    config.settings[1].limits.order_value_max = ValueLimit::Lots(1_000);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    desk.image(SPOT, 600_000);
    // 600 contracts of 100 dollars at 60,000 are a coin.
    let (side, price, size) = (Side::Sell, Ticks(600_000), Lots(600));
    let act = Act::Trade { instrument: PERP, side, price, size };
    let by = Control::By { user: User::NOBODY, second: User::NOBODY, act };
    assert!(hedges(&desk.control(by)).is_empty());
    assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    let (low, high) = (420_000, 780_000);
    let there = (600_000..=high).chain((low..=high).rev()).chain(low..=600_000);
    for mid in there.step_by(500) {
        for sent in [desk.image(PERP, mid), desk.image(SPOT, mid), desk.timer()] {
            assert!(sent.is_empty(), "{sent:?} at {mid}");
        }
        assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    }
    // It is not asleep: a tenth of a coin more is sold.
    let (side, price, size) = (Side::Buy, Ticks(600_000), Lots(100));
    let act = Act::Trade { instrument: SPOT, side, price, size };
    let by = Control::By { user: User::NOBODY, second: User::NOBODY, act };
    let sent = hedges(&desk.control(by));
    assert_eq!(sent.first().map(|hedge| (hedge.instrument, hedge.side)), Some((PERP, Side::Sell)));
}
