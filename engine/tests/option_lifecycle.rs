//! What the account promises of options: whatever trades, marks, exercises, assignments, expiries and
//! settlements come, positions and cash are those that the terms say, and the causes sum to the total.
//!
//! The expectation is kept beside the ledger in plain integers of its own. Sequences come from a seed
//! that a failure prints; `BALLAST_SEQUENCES=1000000` runs the whole million.

use ballast_engine::event::{InstrumentId, Liquidity, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use ballast_engine::pnl::attribution::{Cause, ConversionRate};
use ballast_engine::pnl::ledger::settlement::Delivered;
use ballast_engine::pnl::ledger::{BookedFill, Ledger, LedgerError, Purpose};
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::units::{FeeRate, Lots, Nanos, Notional, Side, Ticks};

const COIN: Currency = Currency(0);
const USD: Currency = Currency(1);
const FUTURE: InstrumentId = InstrumentId(0);
/// Sequences in the suite.
const SEQUENCES: u64 = 20_000;

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        low + ((z ^ (z >> 31)) % (high - low + 1) as u64) as i64
    }
}

fn instrument(id: u16, kind: InstrumentKind, grid: [&str; 3], quote: Currency) -> Instrument {
    let spec = InstrumentSpec {
        symbol: format!("I{id}"),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: grid[0].parse().unwrap(),
        lot: grid[1].parse().unwrap(),
        multiplier: grid[2].parse().unwrap(),
        base: COIN,
        quote,
        settlement: quote,
        maker_fee: FeeRate(100_000),
        taker_fee: FeeRate(-50_000),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}

fn option(id: u16, option_type: OptionType, strike: &str, delivery: Delivery) -> Instrument {
    let terms = OptionTerms {
        option_type,
        strike: strike.parse().unwrap(),
        expiry: Nanos(1),
        style: ExerciseStyle::American,
        delivery,
    };
    let kind = InstrumentKind::Option(terms);
    match delivery {
        Delivery::Coin => instrument(id, kind, ["0.0005", "0.1", "1"], COIN),
        Delivery::Cash | Delivery::Future => instrument(id, kind, ["0.05", "1", "50"], USD),
    }
}

/// The future, then options that deliver it, pay cash and pay coin.
fn book() -> Vec<Instrument> {
    let dated = InstrumentKind::DatedFuture { expiry: Nanos(1) };
    vec![
        instrument(0, dated, ["0.25", "1", "50"], USD),
        option(1, OptionType::Call, "3225", Delivery::Future),
        option(2, OptionType::Put, "3250.25", Delivery::Future),
        option(3, OptionType::Call, "3240.13", Delivery::Cash),
        option(4, OptionType::Put, "3240.13", Delivery::Cash),
        option(5, OptionType::Call, "3200", Delivery::Coin),
        option(6, OptionType::Put, "3300", Delivery::Coin),
    ]
}

/// What the account must hold, kept without it.
#[derive(Default)]
struct Expected {
    lots: [i64; 7],
    cash: [i128; 2],
}

struct World {
    instruments: Vec<Instrument>,
    ledger: Ledger,
    expected: Expected,
}

/// Rounded against us.
fn fee(value: i128, rate: i128) -> i128 {
    -(-(value.abs() * rate)).div_euclid(1_000_000_000)
}

impl World {
    fn new() -> World {
        let instruments = book();
        let opening = vec![Lots(0); instruments.len()];
        let mut ledger = Ledger::new(&instruments, &opening, &[(COIN, Notional(5))], USD).unwrap();
        ledger.on_conversion(COIN, ConversionRate(3_240_000_000_000)).unwrap();
        ledger.on_mark(FUTURE, HalfTicks(25_920)).unwrap();
        let expected = Expected { lots: [0; 7], cash: [5, 0] };
        World { instruments, ledger, expected }
    }

    /// 1e-9 of its currency that a tick of a lot of instrument `n` is worth: written out, not asked.
    fn tick_lot(n: usize) -> i128 {
        match n {
            0 => 12_500_000_000,
            1..=4 => 2_500_000_000,
            _ => 50_000,
        }
    }

    fn purse(n: usize) -> usize {
        usize::from(n < 5)
    }

    fn trade(&mut self, random: &mut Random) {
        let n = random.between(0, 6) as usize;
        let (price, size) = match n {
            0 => (random.between(12_700, 13_200), random.between(1, 9)),
            _ => (random.between(1, 900), random.between(1, 20)),
        };
        let side = if random.between(0, 1) == 0 { Side::Buy } else { Side::Sell };
        let is_maker = random.between(0, 1) == 0;
        let fill = BookedFill {
            instrument: InstrumentId(n as u16),
            side,
            price: Ticks(price),
            size: Lots(size),
            liquidity: if is_maker { Liquidity::Maker } else { Liquidity::Taker },
            purpose: Purpose::Quote,
            mid: None,
        };
        self.ledger.on_fill(&fill).unwrap();
        let value = i128::from(price) * i128::from(size) * World::tick_lot(n);
        let rate = if is_maker { 100_000 } else { -50_000 };
        self.expected.lots[n] += size * side.sign();
        self.expected.cash[World::purse(n)] -= value * i128::from(side.sign()) + fee(value, rate);
    }

    fn mark(&mut self, random: &mut Random) {
        let n = random.between(0, 6) as usize;
        let mark = if n == 0 { random.between(25_400, 26_400) } else { random.between(0, 1_800) };
        self.ledger.on_mark(InstrumentId(n as u16), HalfTicks(mark)).unwrap();
    }

    /// Exercise, assignment or expiry of some of an option, with its underlying at any price.
    fn end(&mut self, random: &mut Random) {
        let n = random.between(1, 6) as usize;
        let held = self.expected.lots[n];
        let part = if held == 0 { 1 } else { held.signum() * random.between(1, held.abs()) };
        let price = random.between(3_100_000_000_000, 3_400_000_000_000);
        let id = InstrumentId(n as u16);
        if held == 0 {
            let nothing = self.ledger.on_settled(id, Lots(part), Notional(7));
            assert_eq!(nothing, Err(LedgerError::NotHeld(id, Lots(1))));
            return;
        }
        let over = self.ledger.on_settled(id, Lots(held + held.signum()), Notional(7));
        assert!(matches!(over, Err(LedgerError::NotHeld(..))));
        let terms = *self.instruments[n].option().unwrap();
        let strike = i128::from(terms.nano_strike().unwrap());
        let direction = i128::from(terms.option_type.direction());
        let inside = ((i128::from(price) - strike) * direction).max(0);
        self.expected.lots[n] -= part;
        if terms.delivery == Delivery::Future && inside > 0 {
            let lots = part * terms.option_type.direction();
            let ticks = (strike / 250_000_000) as i64;
            let delivered = Delivered { future: FUTURE, lots: Lots(lots), price: Ticks(ticks) };
            self.ledger.on_delivered(id, Lots(part), delivered).unwrap();
            self.expected.lots[0] += lots;
            self.expected.cash[1] -= i128::from(lots) * i128::from(ticks) * World::tick_lot(0);
            return;
        }
        let per_lot = if n < 5 { 50_000_000_000 } else { 100_000_000 };
        let paid = terms.payoff(Lots(part), per_lot, price).unwrap();
        // Within half a unit of the quotient, whatever the rounding's rule.
        let over = if n < 5 { 1_000_000_000 } else { i128::from(price) };
        let exact = i128::from(part) * i128::from(per_lot) * inside;
        assert!((paid * over - exact).abs() * 2 <= over, "{paid} {exact}");
        self.ledger.on_settled(id, Lots(part), Notional(paid)).unwrap();
        self.expected.cash[World::purse(n)] += paid;
    }

    fn check(&self, seed: u64) {
        for (n, lots) in self.expected.lots.iter().enumerate() {
            let position = self.ledger.position(InstrumentId(n as u16));
            assert_eq!(position, Some(Lots(*lots)), "position of {n}, seed {seed}");
        }
        for (currency, cash) in [COIN, USD].into_iter().zip(self.expected.cash) {
            assert_eq!(self.ledger.cash(currency), Some(Notional(cash)), "cash, seed {seed}");
        }
        let causes: i128 = self.ledger.causes().iter().map(|(_, amount)| amount.0).sum();
        assert_eq!(self.ledger.total(), Some(Notional(causes)), "causes, seed {seed}");
        for currency in [COIN, USD] {
            let moved: i128 = (0..7u16)
                .filter(|n| (*n < 5) == (currency == USD))
                .map(|n| self.ledger.moved(InstrumentId(n)).unwrap().0)
                .sum();
            let causes = self.ledger.causes_of(currency);
            let mtm = causes.iter().find(|(cause, _)| *cause == Cause::InventoryMtm).unwrap();
            assert_eq!(mtm.1, Notional(moved), "inventory_mtm by instrument, seed {seed}");
        }
    }
}

#[test]
fn any_sequence_of_an_options_life_conserves_positions_and_cash() {
    let many = std::env::var("BALLAST_SEQUENCES").ok().and_then(|text| text.parse().ok());
    for seed in 0..many.unwrap_or(SEQUENCES) {
        let mut random = Random(seed);
        let mut world = World::new();
        for _ in 0..random.between(4, 24) {
            match random.between(0, 5) {
                0..=2 => world.trade(&mut random),
                3 => world.mark(&mut random),
                _ => world.end(&mut random),
            }
            world.check(seed);
        }
    }
}

#[test]
fn a_future_without_a_mark_is_not_delivered_and_nothing_is_booked() {
    let instruments = book();
    let mut opening = vec![Lots(0); instruments.len()];
    opening[1] = Lots(3);
    let mut ledger = Ledger::new(&instruments, &opening, &[], USD).unwrap();
    let delivered = Delivered { future: FUTURE, lots: Lots(3), price: Ticks(12_900) };
    let refused = ledger.on_delivered(InstrumentId(1), Lots(3), delivered);
    assert_eq!(refused, Err(LedgerError::NotDeliverable(FUTURE)));
    assert_eq!(ledger.position(InstrumentId(1)), Some(Lots(3)));
    assert_eq!(ledger.cash(USD), Some(Notional(0)));
}
