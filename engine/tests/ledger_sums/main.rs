//! What the ledger promises: after every event of any sequence the causes sum to the total, which is
//! computed from cash, positions and marks alone. Random sequences come from a seed that a failure
//! prints; extremes of every integer are part of them.

mod undo;

use ballast_engine::event::{InstrumentId, Liquidity, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::pnl::attribution::{Cause, ConversionRate};
use ballast_engine::pnl::ledger::{BookedFill, Holding, Ledger, LedgerError, Purpose};
use ballast_engine::pnl::valuation::HalfTicks;
use ballast_engine::units::{FeeRate, Lots, Nanos, Notional, Side, Ticks};

const USD: Currency = Currency(0);
const USDT: Currency = Currency(1);
const BTC: Currency = Currency(2);

const SPOT: InstrumentId = InstrumentId(0);
const PERPETUAL: InstrumentId = InstrumentId(1);
const COIN: InstrumentId = InstrumentId(2);
const DATED: InstrumentId = InstrumentId(3);

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// Any integer, often one at an edge.
    fn wild(&mut self) -> i64 {
        match self.below(8) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => self.between(-2, 2),
            3 => i64::MAX / self.between(1, 9),
            4 => self.next() as i64,
            bits => (self.next() >> (bits * 9)) as i64,
        }
    }
}

struct Grid(&'static str, &'static str, &'static str);

fn instrument(
    id: InstrumentId,
    kind: InstrumentKind,
    grid: Grid,
    quote: Currency,
    fees: (i64, i64),
) -> Instrument {
    let settlement = if kind == InstrumentKind::InversePerpetual { BTC } else { quote };
    let spec = InstrumentSpec {
        symbol: format!("I{}", id.0),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: grid.0.parse().unwrap(),
        lot: grid.1.parse().unwrap(),
        multiplier: grid.2.parse().unwrap(),
        base: BTC,
        quote,
        settlement,
        maker_fee: FeeRate(fees.0),
        taker_fee: FeeRate(fees.1),
    };
    Instrument::new(id, spec).unwrap()
}

/// Spot and linear in USDT, inverse in BTC, a dated future in USD whose half tick of one lot is half
/// a unit of 1e-9, so that linear money rounds too; maker fees and rebates.
fn instruments() -> Vec<Instrument> {
    let dated = InstrumentKind::DatedFuture { expiry: Nanos(u64::MAX) };
    vec![
        instrument(
            SPOT,
            InstrumentKind::Spot,
            Grid("0.01", "0.00001", "1"),
            USDT,
            (1_000_000, 1_000_000),
        ),
        instrument(
            PERPETUAL,
            InstrumentKind::LinearPerpetual,
            Grid("0.1", "0.001", "1"),
            USDT,
            (-50_000, 450_000),
        ),
        instrument(
            COIN,
            InstrumentKind::InversePerpetual,
            Grid("0.1", "1", "100"),
            USD,
            (-100_000, 500_000),
        ),
        instrument(DATED, dated, Grid("0.001", "0.000001", "1"), USD, (200_000, 300_000)),
    ]
}

fn ledger(reporting: Currency) -> Ledger {
    let opening = [Lots(100_000), Lots(0), Lots(-7), Lots(13)];
    let cash = [(BTC, Notional(1_500_000_000)), (USDT, Notional(-3))];
    Ledger::new(&instruments(), &opening, &cash, reporting).unwrap()
}

fn sum(causes: [(Cause, Notional); Cause::COUNT]) -> i128 {
    causes.iter().fold(0i128, |sum, (_, amount)| sum.wrapping_add(amount.0))
}

fn fill(random: &mut Random, wild: bool) -> BookedFill {
    let instrument = InstrumentId(random.below(4) as u16);
    let near = match instrument.0 {
        0 => 6_168_600 + random.between(-5_000, 5_000),
        3 => random.between(-2_000, 2_000),
        _ => 616_860 + random.between(-5_000, 5_000),
    };
    let mid = match random.below(8) {
        0 => None,
        _ if wild => Some(HalfTicks(random.wild())),
        _ => Some(HalfTicks(2 * near + random.between(-9, 9))),
    };
    BookedFill {
        instrument,
        side: if random.below(2) == 0 { Side::Buy } else { Side::Sell },
        price: Ticks(if wild { random.wild() } else { near }),
        size: Lots(if wild { random.wild() } else { random.between(1, 500) }),
        liquidity: if random.below(2) == 0 { Liquidity::Maker } else { Liquidity::Taker },
        purpose: if random.below(3) == 0 { Purpose::Hedge } else { Purpose::Quote },
        mid,
    }
}

/// One random event; returns whether it was a fill that was booked.
fn step(ledger: &mut Ledger, random: &mut Random, wild: bool) -> Result<bool, LedgerError> {
    let currency = Currency(random.below(3) as u8);
    match random.below(10) {
        0..=3 => {
            let fill = fill(random, wild);
            ledger.on_fill(&fill).map(|()| true)
        }
        4..=6 => {
            let fill = fill(random, wild);
            let mark = fill.mid.unwrap_or(HalfTicks(fill.price.0.saturating_mul(2)));
            ledger.on_mark(fill.instrument, mark).map(|()| false)
        }
        7 => {
            let rate = if wild { random.wild() } else { random.between(1, 62_000_000_000_000) };
            let rate = if currency == ledger.reporting() { ConversionRate::ONE.0 } else { rate };
            ledger.on_conversion(currency, ConversionRate(rate)).map(|()| false)
        }
        8 => {
            let amount = if wild { random.wild() } else { random.between(-90_000, 90_000) };
            ledger.on_funding(PERPETUAL, Notional(amount.into())).map(|()| false)
        }
        _ => {
            let amount = if wild { random.wild() } else { random.between(0, 90_000) };
            ledger.on_capital_cost(currency, Notional(amount.into())).map(|()| false)
        }
    }
}

#[test]
fn causes_sum_to_the_total_to_the_last_unit_after_every_event() {
    for reporting in [USD, USDT, BTC] {
        for seed in 0..40u64 {
            let mut random = Random(seed);
            let mut ledger = ledger(reporting);
            let mut fills = 0i128;
            for event in 0..1_500 {
                fills += i128::from(step(&mut ledger, &mut random, false).unwrap());
                let total = ledger.total().unwrap().0;
                assert_eq!(sum(ledger.causes()), total, "{reporting:?} seed {seed} event {event}");
            }
            for currency in [USD, USDT, BTC] {
                let rounding = ledger.causes_of(currency)[Cause::Rounding as usize].1.0;
                assert!(rounding.abs() <= fills, "{rounding} of {fills} fills, seed {seed}");
            }
            assert_eq!(ledger.causes_of(USDT)[Cause::Rounding as usize].1, Notional(0));
        }
    }
}

#[test]
fn extremes_are_refused_or_booked_whole_and_never_panic() {
    let (mut booked, mut refused) = (0u32, 0u32);
    for seed in 0..400u64 {
        let mut random = Random(seed ^ 0xBA11_0A57);
        let mut ledger = ledger([USD, USDT, BTC][(seed % 3) as usize]);
        for event in 0..300 {
            let wild = random.below(4) != 0;
            match step(&mut ledger, &mut random, wild) {
                Ok(_) => booked += 1,
                Err(_) => refused += 1,
            }
            if let Some(total) = ledger.total() {
                assert_eq!(sum(ledger.causes()), total.0, "seed {seed} event {event}");
            }
        }
    }
    assert!(booked > 30_000 && refused > 30_000, "{booked} booked, {refused} refused");
}

#[test]
fn the_position_is_the_sum_of_the_booked_fills() {
    let mut random = Random(7);
    let mut ledger = ledger(USDT);
    let mut expected = [100_000i64, 0, -7, 13];
    for _ in 0..2_000 {
        let fill = fill(&mut random, false);
        ledger.on_fill(&fill).unwrap();
        expected[usize::from(fill.instrument.0)] += fill.side.sign() * fill.size.0;
    }
    for (id, lots) in (0u16..).zip(expected) {
        assert_eq!(ledger.position(InstrumentId(id)), Some(Lots(lots)));
    }
}

/// What the account must be, kept beside it: positions, and the cash of the linear instruments.
struct Expected {
    lots: [i64; 4],
    cash: [i128; 3],
    /// What each currency held without gain or loss: the opening and all transfers.
    given: [i128; 3],
}

impl Expected {
    fn of(ledger: &Ledger) -> Expected {
        Expected {
            lots: [0u16, 1, 2, 3].map(|id| ledger.position(InstrumentId(id)).unwrap().0),
            cash: [USD, USDT, BTC].map(|currency| ledger.cash(currency).unwrap().0),
            given: [USD, USDT, BTC].map(|currency| ledger.equity(currency).unwrap().0),
        }
    }

    /// A fill of a linear instrument moves its currency's cash by price times size less the fee,
    /// rounded against us; of the inverse one, coins, which are held to the ledger's own equity alone.
    fn fill(&mut self, fill: &BookedFill, ledger: &Ledger) {
        let place = usize::from(fill.instrument.0);
        self.lots[place] += fill.side.sign() * fill.size.0;
        // 1e-9 of the currency a half tick and lot.
        let (currency, nano_per_tick_lot, fees) = match fill.instrument {
            SPOT => (USDT, 100, (1_000_000, 1_000_000)),
            PERPETUAL => (USDT, 100_000, (-50_000, 450_000)),
            DATED => (USD, 1, (200_000, 300_000)),
            _ => {
                self.cash[usize::from(BTC.0)] = ledger.cash(BTC).unwrap().0;
                return;
            }
        };
        let value = i128::from(fill.price.0) * i128::from(fill.size.0) * nano_per_tick_lot;
        let rate: i128 = if fill.liquidity == Liquidity::Maker { fees.0 } else { fees.1 };
        let exact = value.abs() * rate;
        let fee = -(-exact).div_euclid(1_000_000_000);
        self.cash[usize::from(currency.0)] -= i128::from(fill.side.sign()) * value + fee;
    }

    fn check(&self, ledger: &Ledger, seed: u64) {
        for (place, lots) in (0u16..).zip(self.lots) {
            assert_eq!(ledger.position(InstrumentId(place)), Some(Lots(lots)), "seed {seed}");
        }
        for currency in [USD, USDT, BTC] {
            let place = usize::from(currency.0);
            let cash = ledger.cash(currency).unwrap().0;
            assert_eq!(cash, self.cash[place], "{currency:?} seed {seed}");
            let earned = ledger.equity(currency).unwrap().0 - self.given[place];
            let causes = sum(ledger.causes_of(currency));
            let translated = ledger.causes_of(currency)[Cause::Translation as usize].1.0;
            assert_eq!(causes - translated, earned, "{currency:?} seed {seed}");
        }
        assert_eq!(sum(ledger.causes()), ledger.total().unwrap().0, "seed {seed}");
    }

    /// Fill, mark, funding, capital cost, transfer, adjustment, or a settlement: the whole position
    /// traded away at its mark.
    fn event(&mut self, ledger: &mut Ledger, random: &mut Random) {
        let currency = Currency(random.below(3) as u8);
        let amount = random.between(-90_000, 90_000);
        let holding = match random.below(2) {
            0 => Holding::Cash(currency),
            _ => Holding::Position(InstrumentId(random.below(4) as u16)),
        };
        match random.below(8) {
            0..=2 => {
                let fill = fill(random, false);
                ledger.on_fill(&fill).unwrap();
                self.fill(&fill, ledger);
            }
            3 => {
                let fill = fill(random, false);
                ledger.on_mark(fill.instrument, HalfTicks(fill.price.0 * 2 + 1)).unwrap();
            }
            4 => {
                ledger.on_funding(PERPETUAL, Notional(amount.into())).unwrap();
                self.cash[usize::from(USDT.0)] += i128::from(amount);
                ledger.on_capital_cost(currency, Notional(amount.into())).unwrap();
                self.cash[usize::from(currency.0)] -= i128::from(amount);
            }
            5 => {
                let before = [USD, USDT, BTC].map(|c| ledger.equity(c).unwrap().0);
                ledger.on_transfer(holding, amount).unwrap();
                self.hold(holding, amount);
                for (place, currency) in [USD, USDT, BTC].into_iter().enumerate() {
                    self.given[place] += ledger.equity(currency).unwrap().0 - before[place];
                }
            }
            6 => {
                ledger.on_adjustment(holding, amount).unwrap();
                self.hold(holding, amount);
            }
            _ => {
                let fill = BookedFill { mid: None, ..fill(random, false) };
                let held = self.lots[usize::from(fill.instrument.0)];
                let mark = ledger.mark(fill.instrument).unwrap();
                if held != 0 {
                    let side = if held > 0 { Side::Sell } else { Side::Buy };
                    let (price, size) = (Ticks(mark.0 / 2), Lots(held.abs()));
                    let settled = BookedFill { side, price, size, ..fill };
                    ledger.on_fill(&settled).unwrap();
                    self.fill(&settled, ledger);
                }
            }
        }
    }

    fn hold(&mut self, holding: Holding, amount: i64) {
        match holding {
            Holding::Position(id) => self.lots[usize::from(id.0)] += amount,
            Holding::Cash(currency) | Holding::CashAt { currency, .. } => {
                self.cash[usize::from(currency.0)] += i128::from(amount);
            }
        }
    }
}

/// `BALLAST_SEQUENCES=1000000 cargo test -p ballast-engine --release --test ledger_sums` runs them all.
#[test]
fn positions_cash_and_attribution_conserve_over_random_sequences() {
    let sequences = std::env::var("BALLAST_SEQUENCES").ok().and_then(|n| n.parse().ok());
    for seed in 0..sequences.unwrap_or(5_000u64) {
        let mut random = Random(seed ^ 0x5E77_1E00);
        let mut ledger = ledger([USD, USDT, BTC][(seed % 3) as usize]);
        for id in [SPOT, PERPETUAL, COIN, DATED] {
            ledger.on_mark(id, HalfTicks(1_233_700)).unwrap();
        }
        let mut expected = Expected::of(&ledger);
        for _ in 0..12 {
            expected.event(&mut ledger, &mut random);
            expected.check(&ledger, seed);
        }
    }
}

fn cause(ledger: &Ledger, cause: Cause) -> i128 {
    ledger.causes()[cause as usize].1.0
}

fn quote(instrument: InstrumentId, side: Side, price: i64, size: i64, mid: i64) -> BookedFill {
    BookedFill {
        instrument,
        side,
        price: Ticks(price),
        size: Lots(size),
        liquidity: Liquidity::Maker,
        purpose: Purpose::Quote,
        mid: Some(HalfTicks(mid)),
    }
}

#[test]
fn a_spot_round_trip_is_what_paper_says() {
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &[], USDT).unwrap();
    // Buys 0.001 at 60,000.00 with the mid at 60,000.01, sells it at 60,010.00, mid 60,009.995.
    ledger.on_fill(&quote(SPOT, Side::Buy, 6_000_000, 100, 12_000_002)).unwrap();
    ledger.on_fill(&quote(SPOT, Side::Sell, 6_001_000, 100, 12_001_999)).unwrap();
    assert_eq!(cause(&ledger, Cause::SpreadCapture), 10_000 + 5_000);
    assert_eq!(cause(&ledger, Cause::InventoryMtm), 9_985_000);
    assert_eq!(cause(&ledger, Cause::Fees), -60_000_000 - 60_010_000);
    assert_eq!(ledger.total(), Some(Notional(10_000_000 - 120_010_000)));
    assert_eq!(ledger.cash(USDT), ledger.total());
}

#[test]
fn a_hedge_that_crosses_the_spread_costs_the_spread_and_the_fee() {
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &[], USDT).unwrap();
    // Sells 0.010 at the bid 60,000.0, mid 60,000.05: costs 0.0005 and 4.5 bps of 600.
    let mut hedge = quote(PERPETUAL, Side::Sell, 600_000, 10, 1_200_001);
    (hedge.purpose, hedge.liquidity) = (Purpose::Hedge, Liquidity::Taker);
    ledger.on_fill(&hedge).unwrap();
    assert_eq!(cause(&ledger, Cause::HedgeCost), -500_000);
    assert_eq!(cause(&ledger, Cause::Fees), -270_000_000);
    assert_eq!(cause(&ledger, Cause::SpreadCapture), 0);
}

#[test]
fn a_rebate_is_not_a_fee() {
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &[], USDT).unwrap();
    ledger.on_fill(&quote(PERPETUAL, Side::Buy, 600_000, 10, 1_200_000)).unwrap();
    // 0.5 bp of 600.
    assert_eq!(cause(&ledger, Cause::Rebates), 30_000_000);
    assert_eq!(cause(&ledger, Cause::Fees), 0);
}

#[test]
fn coin_pnl_of_an_inverse_long_is_n_over_entry_less_n_over_mark() {
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &[], USD).unwrap();
    ledger.on_conversion(BTC, ConversionRate(60_000_000_000_000)).unwrap();
    // reference/options.json, inverse_future: 1,000,000 dollars from 61,686 to 60,000.
    ledger.on_fill(&quote(COIN, Side::Buy, 616_860, 10_000, 1_233_720)).unwrap();
    ledger.on_mark(COIN, HalfTicks(1_200_000)).unwrap();
    let causes = ledger.causes_of(BTC);
    let coin = causes[Cause::InventoryMtm as usize].1.0;
    assert!((coin - -455_532_860).abs() <= 1, "{coin}");
    // 1 bp of 1,000,000 dollars of coin, rounded against us.
    assert_eq!(causes[Cause::Rebates as usize].1.0, 1_621_113);
    let dollars = cause(&ledger, Cause::InventoryMtm);
    assert!((dollars - coin * 60_000).abs() <= 1, "{dollars}");
}

#[test]
fn a_coin_balance_whose_rate_moves_is_translation() {
    let cash = [(BTC, Notional(2_000_000_000))];
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &cash, USD).unwrap();
    assert_eq!(ledger.total(), Some(Notional(0)));
    ledger.on_conversion(BTC, ConversionRate(60_000_000_000_000)).unwrap();
    assert_eq!(ledger.total(), Some(Notional(0)), "the opening is no gain");
    ledger.on_conversion(BTC, ConversionRate(60_001_500_000_000)).unwrap();
    assert_eq!(cause(&ledger, Cause::Translation), 3_000_000_000);
    assert_eq!(ledger.total(), Some(Notional(3_000_000_000)));
}

#[test]
fn an_opening_position_earns_nothing_at_its_first_mark() {
    let mut ledger = ledger(USDT);
    ledger.on_mark(SPOT, HalfTicks(12_000_000)).unwrap();
    assert_eq!(ledger.total(), Some(Notional(0)));
    ledger.on_mark(SPOT, HalfTicks(12_000_001)).unwrap();
    assert_eq!(ledger.total(), Some(Notional(5_000_000)));
}

#[test]
fn a_future_below_zero_gains_as_it_rises() {
    let mut ledger = Ledger::new(&instruments(), &[Lots(0); 4], &[], USD).unwrap();
    ledger.on_fill(&quote(DATED, Side::Buy, -37_000, 1_000_000, -74_000)).unwrap();
    ledger.on_mark(DATED, HalfTicks(-20_000)).unwrap();
    assert_eq!(cause(&ledger, Cause::InventoryMtm), 27_000_000_000);
    // 2 bps of 37 dollars: a negative price pays its fee.
    assert_eq!(cause(&ledger, Cause::Fees), -7_400_000);
}

#[test]
fn a_refused_event_leaves_the_account_as_it_was() {
    let mut ledger = ledger(USD);
    ledger.on_mark(COIN, HalfTicks(1_200_000)).unwrap();
    let before = format!("{ledger:?}");
    let refused = [
        ledger.on_fill(&quote(COIN, Side::Buy, 600_000, 0, 1_200_000)),
        ledger.on_fill(&quote(COIN, Side::Buy, -1, 5, 1_200_000)),
        ledger.on_fill(&quote(COIN, Side::Buy, 600_000, i64::MAX, 1_200_000)),
        ledger.on_fill(&quote(InstrumentId(9), Side::Buy, 600_000, 1, 1_200_000)),
        ledger.on_mark(COIN, HalfTicks(0)),
        ledger.on_conversion(USD, ConversionRate(2)),
        ledger.on_conversion(BTC, ConversionRate(0)),
        ledger.on_conversion(Currency(7), ConversionRate::ONE),
        ledger.on_capital_cost(USD, Notional(i128::MIN)),
    ];
    for (place, outcome) in refused.into_iter().enumerate() {
        assert!(outcome.is_err(), "refusal {place}");
    }
    assert_eq!(format!("{ledger:?}"), before);
}

#[test]
fn one_opening_position_an_instrument_is_asked_for() {
    let error = Ledger::new(&instruments(), &[Lots(0); 3], &[], USD).unwrap_err();
    assert_eq!(error, LedgerError::OpeningPositions { positions: 3, instruments: 4 });
}
