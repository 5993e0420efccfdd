//! What the account promises of coins that move between venues: over any sequence of fills, marks,
//! funding, charges, transfers and settlements positions, cash and causes conserve to the last unit, and
//! what is on its way is what was sent less what arrived less what that cost.
//!
//! `BALLAST_SEQUENCES=1000000 cargo test -p ballast-engine --release --test transit_sums` runs them all.

use ballast_engine::event::{InstrumentId, Liquidity, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::inventory::transfer::{Moved, Transfer, TransferId, TransferStage, Transit};
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::pnl::ledger::{BookedFill, Holding, Ledger, Purpose};
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::units::{FeeRate, Lots, Nanos, Notional, Side, Ticks};

const COIN: Currency = Currency(0);
const CASH: Currency = Currency(1);
const COUNT: usize = 3;
/// Two spot venues of different lots, and a perpetual.
const LOTS: [&str; COUNT] = ["0.00001", "0.001", "0.001"];
/// 1e-9 of the coin a lot, and 1e-9 of money a tick and lot.
const UNIT: [i128; COUNT] = [10_000, 1_000_000, 1_000_000];
const TICK_LOT: [i128; COUNT] = [1_000, 100_000, 100_000];
const FEE: [i128; COUNT] = [100_000, 200_000, -50_000];
const OPENING: [i64; COUNT] = [5_000_000, 50_000, -1_000];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
}

fn instruments() -> Vec<Instrument> {
    let instrument = |place: usize| {
        let kind = if place == 2 { InstrumentKind::LinearPerpetual } else { InstrumentKind::Spot };
        let fee = FeeRate(FEE[place] as i64);
        let spec = InstrumentSpec {
            symbol: format!("I{place}"),
            venue: VenueId((place % 2) as u8),
            underlying: Underlying(0),
            kind,
            tick: "0.1".parse().unwrap(),
            lot: LOTS[place].parse().unwrap(),
            multiplier: "1".parse().unwrap(),
            base: COIN,
            quote: CASH,
            settlement: CASH,
            maker_fee: fee,
            taker_fee: fee,
        };
        Instrument::new(InstrumentId(place as u16), spec).unwrap()
    };
    (0..COUNT).map(instrument).collect()
}

/// The account, and what it must be, counted beside it.
struct World {
    ledger: Ledger,
    transit: Transit,
    lots: [i128; COUNT],
    away: [i128; COUNT],
    marks: [i128; COUNT],
    cash: i128,
    /// What was there, or came, without gain or loss.
    given: i128,
    /// Coins bought less sold on the two spot venues, and what transfers of coins cost, 1e-9.
    bought: i128,
    lost: i128,
}

impl World {
    fn new(random: &mut Random) -> World {
        let opening = OPENING.map(Lots);
        let cash = [(CASH, Notional(7_000_000_000_000))];
        let mut ledger = Ledger::new(&instruments(), &opening, &cash, CASH).unwrap();
        let marks = [0; COUNT].map(|_: i32| i128::from(random.between(1_100_000, 1_300_000)));
        for (place, mark) in marks.iter().enumerate() {
            ledger.on_mark(InstrumentId(place as u16), HalfTicks(*mark as i64)).unwrap();
        }
        let lots = OPENING.map(i128::from);
        let mut world = World {
            ledger,
            transit: Transit::new(1, 2),
            lots,
            away: [0; COUNT],
            marks,
            cash: 7_000_000_000_000,
            given: 0,
            bought: 0,
            lost: 0,
        };
        world.given = world.equity();
        world
    }

    fn equity(&self) -> i128 {
        let value =
            |n: usize| ((self.lots[n] + self.away[n]) * self.marks[n] * TICK_LOT[n]).div_euclid(2);
        self.cash + (0..COUNT).map(value).sum::<i128>()
    }

    fn fill(&mut self, place: usize, side: Side, price: i64, size: i64, purpose: Purpose) {
        let id = InstrumentId(place as u16);
        let mid = Some(HalfTicks(self.marks[place] as i64));
        let (price_of, size_of) = (Ticks(price), Lots(size));
        let liquidity = Liquidity::Taker;
        let fill = BookedFill {
            instrument: id,
            side,
            price: price_of,
            size: size_of,
            liquidity,
            purpose,
            mid,
        };
        self.ledger.on_fill(&fill).unwrap();
        let signed = i128::from(side.sign() * size);
        let value = i128::from(price) * i128::from(size) * TICK_LOT[place];
        let fee = -(-(value * FEE[place])).div_euclid(1_000_000_000);
        self.lots[place] += signed;
        self.cash -= i128::from(side.sign()) * value + fee;
        if place < 2 {
            self.bought += signed * UNIT[place];
        }
    }

    fn ask(&mut self, random: &mut Random) {
        let is_coin = random.below(2) == 0;
        let from = random.below(2) as usize;
        let to = 1 - from;
        let ids = [from, to].map(|place| InstrumentId(place as u16));
        let moved = if is_coin { Moved::Coin { from: ids[0], to: ids[1] } } else { Moved::Cash };
        let unit = if is_coin { 1_000_000 } else { 1 };
        let leaves = unit * random.between(10, 900);
        let arrives = leaves - unit * random.between(0, 9);
        let wanted = Transfer {
            id: TransferId::default(),
            currency: if is_coin { COIN } else { CASH },
            from: VenueId(from as u8),
            to: VenueId(to as u8),
            moved,
            leaves,
            arrives,
            stage: TransferStage::Requested,
            since: Nanos(0),
        };
        let had_room = self.transit.has_room();
        assert_eq!(self.transit.request(wanted).is_some(), had_room);
    }

    fn lots_of(amount: i64, place: InstrumentId) -> Lots {
        Lots(amount / UNIT[usize::from(place.0)] as i64)
    }

    /// The next step of an open transfer.
    fn go_on(&mut self, random: &mut Random) {
        let open: Vec<_> = self.transit.iter().copied().collect();
        if open.is_empty() {
            return self.ask(random);
        }
        let transfer = open[random.below(open.len() as u64) as usize];
        if transfer.stage == TransferStage::Requested {
            return self.send(&transfer);
        }
        let is_back = random.below(4) == 0;
        let unit = if transfer.moved == Moved::Cash { 1 } else { 1_000_000 };
        let came = (transfer.arrives - unit * random.between(-2, 5)).max(0);
        let missing = i128::from(transfer.arrives - came);
        match transfer.moved {
            Moved::Cash => {
                self.ledger.on_transfer_cost(CASH, Notional(missing)).unwrap();
                self.cash -= missing;
            }
            Moved::Coin { from, to } => {
                let due = World::lots_of(transfer.arrives, to);
                let end = if is_back { from } else { to };
                let lots = World::lots_of(came, end);
                if is_back {
                    self.ledger.on_returned((to, due), (from, lots)).unwrap();
                } else {
                    self.ledger.on_arrived(to, due, lots).unwrap();
                }
                self.away[usize::from(to.0)] -= i128::from(due.0);
                self.lots[usize::from(end.0)] += i128::from(lots.0);
                self.lost += missing;
            }
        }
        self.transit.end(transfer.id, came);
    }

    fn send(&mut self, transfer: &Transfer) {
        let cost = i128::from(transfer.leaves - transfer.arrives);
        match transfer.moved {
            Moved::Cash => {
                self.ledger.on_transfer_cost(CASH, Notional(cost)).unwrap();
                self.cash -= cost;
            }
            Moved::Coin { from, to } => {
                let leaves = World::lots_of(transfer.leaves, from);
                let due = World::lots_of(transfer.arrives, to);
                self.ledger.on_sent((from, leaves), (to, due)).unwrap();
                self.lots[usize::from(from.0)] -= i128::from(leaves.0);
                self.away[usize::from(to.0)] += i128::from(due.0);
                self.lost += cost;
            }
        }
        self.transit.sent(transfer.id, Nanos(1), transfer.leaves, transfer.arrives);
    }

    fn event(&mut self, random: &mut Random) {
        let place = random.below(COUNT as u64) as usize;
        let id = InstrumentId(place as u16);
        let amount = random.between(-90_000, 90_000);
        match random.below(9) {
            0 | 1 => {
                let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
                let price = (self.marks[place] / 2) as i64 + random.between(-50, 50);
                let purposes = [Purpose::Quote, Purpose::Hedge, Purpose::Rebalance];
                let purpose = purposes[random.below(3) as usize];
                let size = random.between(1, 900);
                self.fill(place, side, price, size, purpose);
            }
            2 => {
                self.marks[place] += i128::from(random.between(-999, 999));
                self.ledger.on_mark(id, HalfTicks(self.marks[place] as i64)).unwrap();
            }
            3 => {
                self.ledger.on_funding(InstrumentId(2), Notional(amount.into())).unwrap();
                self.cash += i128::from(amount);
                self.ledger.on_capital_cost(CASH, Notional(amount.abs().into())).unwrap();
                self.cash -= i128::from(amount.abs());
            }
            4 => {
                let before = self.equity();
                self.ledger.on_transfer(Holding::Position(id), amount).unwrap();
                self.lots[place] += i128::from(amount);
                self.given += self.equity() - before;
                if place < 2 {
                    self.bought += i128::from(amount) * UNIT[place];
                }
            }
            5 if self.lots[2] != 0 => {
                // The perpetual is settled at its mark.
                let held = self.lots[2] as i64;
                let side = if held > 0 { Side::Sell } else { Side::Buy };
                self.fill(2, side, (self.marks[2] / 2) as i64, held.abs(), Purpose::External);
            }
            5 | 6 => self.ask(random),
            _ => self.go_on(random),
        }
    }

    fn check(&self, seed: u64) {
        let ledger = &self.ledger;
        for place in 0..COUNT {
            let id = InstrumentId(place as u16);
            let known = [ledger.position(id).unwrap(), ledger.away(id).unwrap()];
            let expected = [self.lots[place], self.away[place]];
            assert_eq!(known.map(|lots| i128::from(lots.0)), expected, "seed {seed}");
        }
        assert_eq!(ledger.cash(CASH).unwrap().0, self.cash, "seed {seed}");
        let coins: i128 = (0..2).map(|n| (self.lots[n] + self.away[n]) * UNIT[n]).sum();
        let opened: i128 = (0..2).map(|n| i128::from(OPENING[n]) * UNIT[n]).sum();
        assert_eq!(coins + self.lost, opened + self.bought, "coins, seed {seed}");
        let on_the_way: i128 = (0..2).map(|n| self.away[n] * UNIT[n]).sum();
        assert_eq!(self.transit.on_the_way(COIN), on_the_way, "seed {seed}");
        assert!(self.transit.is_conserved(), "seed {seed}");
        assert_eq!(self.transit.flows(COIN).lost, self.lost, "seed {seed}");
        let total = ledger.total().unwrap().0;
        assert_eq!(total, self.equity() - self.given, "seed {seed}");
        let causes: [(Cause, Notional); Cause::COUNT] = ledger.causes();
        assert_eq!(causes.iter().map(|(_, part)| part.0).sum::<i128>(), total, "seed {seed}");
    }
}

#[test]
fn coins_cash_and_attribution_conserve_over_random_sequences_of_transfers() {
    let sequences = std::env::var("BALLAST_SEQUENCES").ok().and_then(|n| n.parse().ok());
    for seed in 0..sequences.unwrap_or(4_000u64) {
        let mut random = Random(seed ^ 0x7A45_1700);
        let mut world = World::new(&mut random);
        for _ in 0..16 {
            world.event(&mut random);
            world.check(seed);
        }
    }
}
