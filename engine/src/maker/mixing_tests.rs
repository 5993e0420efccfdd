//! Hedges by ratios through the maker: sized by beta, split where a second leg pays, never the wrong way.

use super::config::*;
use super::hedging_tests::{hedges, set_band};
use super::input::Control;
use super::tests::{Desk, PERP, SPOT, config, instrument_at};
use crate::event::*;
use crate::instrument::*;
use crate::inventory::hedge_mix::{BasisTerms, LEGS_MAX, Mix, MixUpdate};
use crate::units::*;

const OTHER: InstrumentId = InstrumentId(2);
const AGE_NS: u64 = 1_000_000_000;
const PER_LOT: i64 = 1_000_000;

/// Spot quoted around one coin, hedged with two perpetuals beyond 15 lots back to 5; the other's taker
/// fee is by so much higher. Risk aversion is 0.01 a dollar, and hedges are held for a minute.
fn mixing(dearer_ppb: i64, unknown: Option<u32>) -> MakerConfig {
    let mut config = config();
    set_band(&mut config, 15_000_000);
    config.underlyings[0].target = Exposure(1_000_000_000);
    config.settings[1].opening = Lots(0);
    config.settings.push(config.settings[1]);
    let mut spec = instrument_at(2, InstrumentKind::LinearPerpetual, VenueId(0)).spec().clone();
    spec.taker_fee = FeeRate(spec.taker_fee.0 + dearer_ppb);
    config.instruments.push(Instrument::new(OTHER, spec).unwrap());
    let hedge = config.underlyings[0].hedge.as_mut().unwrap();
    hedge.instruments.push(HedgeInstrument { instrument: OTHER, collar: Ticks(50) });
    hedge.holding_ns = 60_000_000_000;
    hedge.failures_max = 1_000_000;
    let aversion = 10_000_000_000;
    hedge.basis = Some(BasisTerms { reference: SPOT, age_max_ns: AGE_NS, aversion, unknown });
    config
}

fn mix(ratios: [u32; 2], weights: [u32; 2], residual: u64) -> Mix {
    Mix { ratios: [ratios[0], ratios[1], 0, 0], weights: [weights[0], weights[1], 0, 0], residual }
}

fn told(desk: &mut Desk, mix: Mix) -> Vec<OrderIntent> {
    let made = Nanos(desk.now);
    desk.control(Control::HedgeMix(MixUpdate { made, underlying: 0, mix }))
}

/// All quotes of both markets stand; what was told before.
fn quoting(config: &MakerConfig, mixes: &[Mix]) -> (Desk, Vec<OrderIntent>) {
    let mut desk = Desk::with(config);
    let quotes = desk.begin();
    desk.image(OTHER, 600_000);
    let made = Nanos(desk.now);
    for mix in mixes {
        let taken = desk.maker.counters().parameters;
        desk.control(Control::HedgeMix(MixUpdate { made, underlying: 0, mix: *mix }));
        assert_eq!(desk.maker.counters().parameters, taken + 1);
    }
    (desk, quotes)
}

/// Twenty lots of spot are bought: the hedges that come of it.
fn bought(desk: &mut Desk, quotes: &[OrderIntent]) -> Vec<OrderIntent> {
    let bids: Vec<_> = quotes.iter().filter(|quote| quote.side == Side::Buy).collect();
    let mut sent = desk.fill(bids[0], 10, 10);
    sent.extend(desk.fill(bids[1], 10, 10));
    hedges(&sent)
}

/// A hedge that trades whole, and the one after it.
fn traded(desk: &mut Desk, hedge: &OrderIntent) -> Vec<OrderIntent> {
    let sent = desk.fill(hedge, hedge.size.0, hedge.size.0);
    hedges(&sent)
}

fn at_risk(desk: &Desk) -> i64 {
    desk.maker.hedge_plan(0).unwrap().at_risk.0
}

#[test]
fn what_moves_twice_as_far_hedges_with_half_its_size() {
    let half = mix([500_000, 0], [2_000_000, 0], 1);
    let (mut desk, quotes) = quoting(&mixing(0, None), &[half]);
    let sent = bought(&mut desk, &quotes);
    // Fifteen lots are to go: seven and a half of it.
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].instrument, sent[0].side, sent[0].size), (PERP, Side::Sell, Lots(7)));
    assert!(traded(&mut desk, &sent[0]).is_empty());
    assert_eq!(at_risk(&desk), 6 * PER_LOT);
    assert_eq!(desk.maker.delta(0), Some(Exposure(13 * PER_LOT)), "limits count contracts");
}

#[test]
fn what_it_opened_with_counts_one_for_one_whatever_the_estimate() {
    let mut config = mixing(0, None);
    config.underlyings[0].target = Exposure(0);
    config.settings[1].opening = Lots(-1_000);
    let half = mix([500_000, 0], [2_000_000, 0], 1);
    let (mut desk, quotes) = quoting(&config, &[half]);
    assert_eq!(at_risk(&desk), 0);
    let sent = bought(&mut desk, &quotes);
    assert_eq!(sent.first().map(|hedge| hedge.size), Some(Lots(7)));
    traded(&mut desk, &sent[0]);
    assert_eq!(at_risk(&desk), 6 * PER_LOT);
}

#[test]
fn an_instrument_without_an_estimate_is_refused_or_hedges_as_its_contract_says() {
    let (mut desk, quotes) = quoting(&mixing(0, None), &[]);
    assert!(bought(&mut desk, &quotes).is_empty());
    let half = mix([500_000, 0], [2_000_000, 0], 1);
    told(&mut desk, half);
    let sent = hedges(&desk.image(PERP, 600_000));
    assert_eq!(sent.first().map(|hedge| hedge.size), Some(Lots(7)));
    let (mut desk, quotes) = quoting(&mixing(0, Some(100_000)), &[]);
    let sent = bought(&mut desk, &quotes);
    assert_eq!(sent.first().map(|hedge| (hedge.instrument, hedge.size)), Some((PERP, Lots(15))));
}

#[test]
fn an_estimate_that_is_too_old_is_none() {
    let half = mix([500_000, 0], [2_000_000, 0], 1);
    let (mut desk, quotes) = quoting(&mixing(0, None), &[half]);
    desk.now += AGE_NS;
    for id in [PERP, OTHER, SPOT] {
        desk.image(id, 600_000);
    }
    desk.timer();
    assert!(bought(&mut desk, &quotes).is_empty(), "nothing is known of any instrument");
    let refused = desk.maker.counters().parameters_refused;
    let made = Nanos(1);
    desk.control(Control::HedgeMix(MixUpdate { made, underlying: 0, mix: half }));
    desk.control(Control::HedgeMix(MixUpdate { made, underlying: 9, mix: half }));
    assert_eq!(desk.maker.counters().parameters_refused, refused + 2);
}

#[test]
fn what_follows_better_hedges_though_it_costs_more() {
    // At 1,200 dollars a minute: 36 basis points' hundredths of a per cent in 1e-9, 36,000 and 360.
    let loose = mix([1_000_000, 0], [1_000_000, 0], 100_000_000_000);
    let tight = mix([0, 1_000_000], [0, 1_000_000], 1_000_000_000);
    for (dearer, chosen) in [(30_000, OTHER), (40_000, PERP)] {
        let (mut desk, quotes) = quoting(&mixing(dearer, None), &[loose, tight]);
        let sent = bought(&mut desk, &quotes);
        assert_eq!(sent.first().map(|hedge| hedge.instrument), Some(chosen), "{dearer}");
    }
}

#[test]
fn two_legs_hedge_together_where_the_second_pays_for_itself() {
    let first = mix([1_000_000, 0], [1_000_000, 0], 100_000_000_000);
    let second = mix([0, 1_000_000], [0, 1_000_000], 100_000_000_000);
    let pair = mix([600_000, 400_000], [1_000_000, 1_000_000], 50_000_000_000);
    let run = |dearer| {
        let (mut desk, quotes) = quoting(&mixing(dearer, None), &[first, second, pair]);
        let mut sent = bought(&mut desk, &quotes);
        let mut sizes = [0; LEGS_MAX];
        while let Some(hedge) = sent.pop() {
            assert!(sent.is_empty(), "one at a time");
            assert_eq!(hedge.side, Side::Sell);
            sizes[usize::from(hedge.instrument.0)] += hedge.size.0;
            sent = traded(&mut desk, &hedge);
        }
        (sizes, at_risk(&desk))
    };
    // Half of 36,000 saved. Twelve are 0.6 of twenty; three more bring what is left to five.
    assert_eq!(run(0), ([0, 12, 0, 0], 8 * PER_LOT), "inside the band after one leg");
    assert_eq!(run(80_000), ([0, 15, 0, 0], 5 * PER_LOT), "0.4 of 80,000 is more than is saved");
}

#[test]
fn the_second_leg_goes_when_the_first_leaves_too_much() {
    let pair = mix([500_000, 500_000], [1_000_000, 1_000_000], 1);
    let mut config = mixing(0, None);
    set_band(&mut config, 9_000_000);
    let (mut desk, quotes) = quoting(&config, &[pair]);
    let mut sent = bought(&mut desk, &quotes);
    let mut sold = Vec::new();
    while let Some(hedge) = sent.pop() {
        sold.push((hedge.instrument, hedge.size.0));
        sent = traded(&mut desk, &hedge);
    }
    // Ten were bought first and five of them sold; then ten more.
    let of = |id| sold.iter().filter(|(of, _)| *of == id).map(|(_, size)| size).sum::<i64>();
    assert!(of(PERP) > 0 && of(OTHER) > 0, "{sold:?}");
    assert!((of(PERP) - of(OTHER)).abs() <= 5, "{sold:?}");
    assert!(at_risk(&desk).abs() <= 9 * PER_LOT, "{sold:?}");
}

/// SplitMix64, below a bound.
fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % bound
}

/// A hedge of one or of both, of betas from a third to three.
fn any_mix(state: &mut u64) -> Mix {
    let beta = |state: &mut u64| 333_333 + below(state, 2_666_667);
    let betas = [beta(state), beta(state)];
    let share = [1_000_000, 0, 200_000 + below(state, 600_000)][below(state, 3) as usize];
    let shares = [share, 1_000_000 - share];
    let mut of = Mix { residual: below(state, 1_000_000_000_000), ..Mix::default() };
    for n in 0..2 {
        if shares[n] > 0 {
            of.ratios[n] = (shares[n] * betas[n] / 1_000_000) as u32;
            of.weights[n] = (1_000_000_000_000 / betas[n]) as u32;
        }
    }
    of
}

/// A market by chance, and a venue that answers at once but for hedges.
struct World {
    desk: Desk,
    state: u64,
    working: Vec<OrderIntent>,
    under_way: Option<OrderIntent>,
    hedged: u32,
}

impl World {
    fn below(&mut self, bound: usize) -> usize {
        below(&mut self.state, bound as u64) as usize
    }

    /// Something happens.
    fn step(&mut self) {
        self.desk.now += 10_000_000;
        let sent = match self.below(8) {
            0 => {
                let mix = any_mix(&mut self.state);
                told(&mut self.desk, mix)
            }
            1 => {
                self.desk.now += AGE_NS / 4;
                self.desk.timer()
            }
            2 | 3 if self.under_way.is_some() => self.answer(),
            2..=4 if !self.working.is_empty() => {
                let place = self.below(self.working.len());
                let quote = self.working.swap_remove(place);
                self.desk.fill(&quote, quote.size.0, quote.size.0)
            }
            n => {
                let mid = 599_996 + self.below(9) as i64;
                self.desk.image([SPOT, PERP, OTHER][n % 3], mid)
            }
        };
        self.take(sent);
    }

    /// The hedge that is under way trades, in part or whole.
    fn answer(&mut self) -> Vec<OrderIntent> {
        let Some(hedge) = self.under_way.take() else { return Vec::new() };
        let size = 1 + self.below(hedge.size.0 as usize) as i64;
        self.desk.accept(&hedge);
        let mut sent = self.desk.fill(&hedge, size, size);
        if size < hedge.size.0 {
            let (id, done) = (hedge.cl_ord_id, OrderUpdate::Canceled { cum_qty: Lots(size) });
            sent.extend(self.desk.report(id, ClOrdId::NONE, hedge.instrument, done));
        }
        sent
    }

    fn take(&mut self, sent: Vec<OrderIntent>) {
        let mut sent = std::collections::VecDeque::from(sent);
        while let Some(intent) = sent.pop_front() {
            if self.under_way.is_some_and(|hedge| hedge.cl_ord_id == intent.orig_cl_ord_id) {
                // It is asked about; what became of it is told in time.
                continue;
            }
            if intent.time_in_force == TimeInForce::ImmediateOrCancel {
                self.check(&intent);
                self.under_way = Some(intent);
                self.hedged += 1;
                continue;
            }
            self.working.retain(|order| order.cl_ord_id != intent.orig_cl_ord_id);
            if intent.action != OrderAction::Cancel {
                self.working.push(intent);
            }
            sent.extend(self.desk.accept(&intent));
        }
    }

    fn check(&self, hedge: &OrderIntent) {
        assert!(self.under_way.is_none(), "one at a time");
        let before = at_risk(&self.desk);
        let traded = hedge.size.0 * PER_LOT * hedge.side.sign();
        let after = before + self.desk.maker.pools[0].weighed(hedge.instrument, traded);
        assert!(before.signum() * hedge.side.sign() < 0, "{hedge:?} {before}");
        assert!(after.abs() <= before.abs(), "{hedge:?} {before} {after}");
        // Two hundredths of a thousandth: ratios and weights are rounded.
        let turned = after.signum() * before.signum() < 0;
        assert!(!turned || after.abs() <= before.abs() / 50_000, "{hedge:?} {before} {after}");
    }
}

#[test]
fn no_hedge_adds_to_what_is_at_risk_or_turns_it_whatever_the_ratios() {
    let mut hedged = 0;
    for seed in 0..60u64 {
        let (desk, working) = quoting(&mixing(0, (seed % 2 == 0).then_some(50_000)), &[]);
        let mut world = World { desk, state: seed ^ 0xBE7A, working, under_way: None, hedged: 0 };
        for _ in 0..400 {
            world.step();
        }
        hedged += world.hedged;
    }
    assert!(hedged > 300, "{hedged} hedges are no proof");
}
