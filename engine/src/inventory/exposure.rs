//! Net delta of an underlying, over every instrument and the coin itself, in 1e-9 of the underlying.
//!
//! Fed by the ledger (positions, coin cash) and the order table (what may still trade); feeds the
//! quoter's skew, the hedger and the gate. Maker thread; a handful of multiplies a fill.
//!
//! The numeraire is the quote currency (DESIGN §4): coin cash and unrealised coin PnL count one for
//! one and an inverse contract as `N/mark`. A long of N bought at `p` has received `N/p` coin in the
//! ledger's cash-flow accounting and is worth `−N/mark` coin; adding its delta `N/mark` leaves
//! `N/p`, whatever the mark. So an inverse position needs no mark here: **its exposure is the coin
//! cash that its trades moved**, and one coin against its inverse perpetual stays at zero through any
//! move of the price.

use crate::event::InstrumentId;
use crate::instrument::{ContractValue, Currency, Instrument, Underlying};
use crate::orders::table::OrderTable;
use crate::pnl::ledger::Ledger;
use crate::pnl::valuation::HalfTicks;
use crate::units::{Exposure, Side};

/// What of the account an underlying's exposure is made of; worked out at start.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExposureMap {
    /// Spot and linear instruments, with the exposure of one lot.
    linear: Vec<(InstrumentId, i64)>,
    /// Coin balances: the settlement currencies of the inverse instruments.
    coins: Vec<Currency>,
    /// Inverse instruments, with their contracts: what they expose to moves with their marks.
    inverse: Vec<(InstrumentId, ContractValue)>,
    underlying: Underlying,
}

impl ExposureMap {
    /// Gathers the instruments of `underlying`.
    pub fn new(instruments: &[Instrument], underlying: Underlying) -> ExposureMap {
        let mut map =
            ExposureMap { linear: Vec::new(), coins: Vec::new(), inverse: Vec::new(), underlying };
        for instrument in instruments.iter().filter(|i| i.spec().underlying == underlying) {
            match instrument.value() {
                ContractValue::Linear { nano_underlying_per_lot, .. } => {
                    map.linear.push((instrument.id(), nano_underlying_per_lot));
                }
                // Its coin counts one for one; what it exposes to, its Greeks say.
                ContractValue::Option { .. } => {
                    let is_coin = instrument.spec().settlement == instrument.spec().base;
                    let coin = instrument.spec().settlement;
                    if is_coin && !map.coins.contains(&coin) {
                        map.coins.push(coin);
                    }
                }
                ContractValue::Inverse { .. } => {
                    map.inverse.push((instrument.id(), instrument.value()));
                    let coin = instrument.spec().settlement;
                    if !map.coins.contains(&coin) {
                        map.coins.push(coin);
                    }
                }
            }
        }
        map
    }

    /// Is cash of the currency counted?
    pub fn counts(&self, currency: Currency) -> bool {
        self.coins.contains(&currency)
    }

    /// Net exposure now. `None` where it does not fit, which is beyond every limit.
    pub fn net(&self, ledger: &Ledger) -> Option<Exposure> {
        let mut net: i128 = 0;
        for &(instrument, per_lot) in &self.linear {
            // What is on its way from one venue to another is ours all the while.
            let lots = ledger.owned(instrument)?;
            net += i128::from(lots.0) * i128::from(per_lot);
        }
        for &coin in &self.coins {
            net = net.checked_add(ledger.cash(coin)?.0)?;
        }
        i64::try_from(net).ok().map(Exposure)
    }

    /// What all open orders of one side would add if they traded, ≥ 0. `mark` gives the price of an
    /// inverse contract; one without a mark adds nothing, for the gate passes no order there. The
    /// table keeps the sum over linear contracts, so that a thousand of them cost what one does.
    pub fn open(
        &self,
        orders: &OrderTable,
        side: Side,
        mark: impl Fn(InstrumentId) -> Option<HalfTicks>,
    ) -> Exposure {
        let mut sum = orders.open_linear(self.underlying, side);
        // Quotes rest elsewhere: hardly ever is anything open in an inverse contract.
        let has_open = orders.has_open_inverse(self.underlying, side);
        let inverse: &[_] = if has_open { &self.inverse } else { &[] };
        for &(instrument, contract) in inverse {
            let lots = orders.open(instrument).on(side).0;
            if lots != 0
                && let Some(per_lot) = exposure_per_lot(contract, mark(instrument))
            {
                sum += i128::from(lots) * i128::from(per_lot.0);
            }
        }
        Exposure(i64::try_from(sum).unwrap_or(i64::MAX))
    }
}

/// Exposure of one lot: fixed for a linear contract; `N/mark`, rounded up, for an inverse one, and
/// `None` without a mark above zero; `None` for an option, whose Greeks say it.
pub fn exposure_per_lot(contract: ContractValue, mark: Option<HalfTicks>) -> Option<Exposure> {
    match contract {
        ContractValue::Linear { nano_underlying_per_lot, .. } => {
            Some(Exposure(nano_underlying_per_lot))
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            let price = i128::from(mark?.0) * i128::from(nano_quote_per_tick);
            if price <= 0 {
                return None;
            }
            // The mark is in half ticks: price is twice the price in 1e-9.
            let nominal = i128::from(nano_quote_per_lot) * 2 * 1_000_000_000;
            i64::try_from((nominal + price - 1) / price).ok().map(Exposure)
        }
        ContractValue::Option { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Liquidity, VenueId};
    use crate::instrument::{InstrumentKind, InstrumentSpec};
    use crate::pnl::ledger::{BookedFill, Purpose};
    use crate::units::{FeeRate, Lots, Notional, Ticks};

    const BTC: Currency = Currency(0);
    const USD: Currency = Currency(1);

    fn instrument(id: u16, kind: InstrumentKind, lot: &str, multiplier: &str) -> Instrument {
        let is_inverse = kind == InstrumentKind::InversePerpetual;
        let spec = InstrumentSpec {
            symbol: format!("I{id}"),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind,
            tick: "0.1".parse().unwrap(),
            lot: lot.parse().unwrap(),
            multiplier: multiplier.parse().unwrap(),
            base: BTC,
            quote: USD,
            settlement: if is_inverse { BTC } else { USD },
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        Instrument::new(InstrumentId(id), spec).unwrap()
    }

    fn account() -> (Vec<Instrument>, Ledger) {
        let instruments = vec![
            instrument(0, InstrumentKind::Spot, "0.00001", "1"),
            instrument(1, InstrumentKind::InversePerpetual, "1", "100"),
        ];
        let opening = [Lots(100_000), Lots(0)];
        let ledger = Ledger::new(&instruments, &opening, &[(BTC, Notional(0))], USD).unwrap();
        (instruments, ledger)
    }

    #[test]
    fn one_coin_against_its_inverse_perpetual_stays_flat_through_any_move() {
        let (instruments, mut ledger) = account();
        let map = ExposureMap::new(&instruments, Underlying(0));
        assert_eq!(map.net(&ledger), Some(Exposure(1_000_000_000)));
        // Short 600 contracts of 100 USD at 60,000: exactly one coin.
        let short = BookedFill {
            instrument: InstrumentId(1),
            side: Side::Sell,
            price: Ticks(600_000),
            size: Lots(600),
            liquidity: Liquidity::Taker,
            purpose: Purpose::Hedge,
            mid: None,
        };
        ledger.on_fill(&short).unwrap();
        for mark in [420_000, 600_000, 780_000] {
            ledger.on_mark(InstrumentId(1), HalfTicks(2 * mark)).unwrap();
            assert_eq!(map.net(&ledger), Some(Exposure(0)), "{mark}");
        }
    }

    #[test]
    fn one_lot_of_an_inverse_contract_exposes_to_less_coin_at_a_higher_price() {
        let (instruments, _) = account();
        let contract = instruments[1].value();
        let at = |price: i64| exposure_per_lot(contract, Some(HalfTicks(2 * price)));
        assert_eq!(at(500_000), Some(Exposure(2_000_000)));
        assert_eq!(at(1_000_000), Some(Exposure(1_000_000)));
        assert_eq!(at(0), None);
        assert_eq!(exposure_per_lot(contract, None), None);
    }
}
