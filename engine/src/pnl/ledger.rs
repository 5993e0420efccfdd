//! The account: cash a currency, a position and a mark an instrument, and their total.
//!
//! Fed by the maker with every fill, mark, conversion, funding payment and capital charge, in consumed
//! order; feeds the loss limits and the report. Maker thread: no allocation after start, no float, no
//! panic; what does not fit is a [`LedgerError`] and leaves the event unbooked. Absent: venues (the
//! instrument names its venue), averages and cost bases (cash flows make them unnecessary).
//!
//! `total = Σ converted (cash + Σ position at mark) − the opening's value`, computed from scratch and
//! sharing nothing with the causes but the functions of `valuation`; after every event the causes sum
//! to it to the last 1e-9. An instrument has no value until its first mark, a currency none until its
//! first rate: both join at that moment's value, as opening.

pub mod settlement;
pub mod transit;
pub mod undo;

use self::undo::Booking;
use super::attribution::{Attribution, Cause, ConversionRate};
use super::valuation::{HalfTicks, edge, fee, position_value, trade_cash};
use crate::event::{InstrumentId, Liquidity, VenueId};
use crate::instrument::{ContractValue, Currency, Instrument};
use crate::units::{FeeRate, Lots, Notional, Side, Ticks};
use thiserror::Error;

/// Why an order was sent, and so what its edge is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Purpose {
    /// To earn the spread: [`Cause::SpreadCapture`].
    Quote,
    /// To shed exposure: [`Cause::HedgeCost`].
    Hedge,
    /// To move holdings from one venue to another: [`Cause::RebalanceCost`].
    Rebalance,
    /// Not by us here: booked by an operator's hand, under [`Cause::Adjustment`].
    External,
}

/// Something that is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holding {
    /// An instrument's position, in lots.
    Position(InstrumentId),
    /// Cash of a currency, in 1e-9.
    Cash(Currency),
    /// Cash of a currency at one venue, in 1e-9.
    CashAt {
        /// Where.
        venue: VenueId,
        /// Of what.
        currency: Currency,
    },
}

impl Holding {
    /// The instrument, where it is a position.
    pub const fn instrument(self) -> Option<InstrumentId> {
        match self {
            Holding::Position(instrument) => Some(instrument),
            Holding::Cash(_) | Holding::CashAt { .. } => None,
        }
    }
}

/// A fill as it is booked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct BookedFill {
    /// What traded.
    pub instrument: InstrumentId,
    /// Our side.
    pub side: Side,
    /// LastPx(31).
    pub price: Ticks,
    /// LastQty(32), > 0.
    pub size: Lots,
    /// Which of the instrument's fees is paid.
    pub liquidity: Liquidity,
    /// Quote or hedge.
    pub purpose: Purpose,
    /// The mid just before the fill. `None` takes the last mark, or before the first mark the price.
    pub mid: Option<HalfTicks>,
}

/// Why an event was not booked. Nothing of it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LedgerError {
    /// The instrument is not in the config.
    #[error("instrument {0:?} is not in the ledger")]
    UnknownInstrument(InstrumentId),
    /// The currency is no instrument's.
    #[error("currency {0:?} is not in the ledger")]
    UnknownCurrency(Currency),
    /// A fill of nothing or less.
    #[error("a fill of {0:?} is no fill")]
    SizeNotPositive(Lots),
    /// A conversion rate at or below zero, or one other than 1 for the reporting currency.
    #[error("{1:?} cannot be the conversion rate of {0:?}")]
    BadRate(Currency, ConversionRate),
    /// The amounts do not fit, or an inverse contract was priced at zero or below.
    #[error("an amount of {0:?} does not fit, or an inverse contract has no value at this price")]
    DoesNotFit(InstrumentId),
    /// The balance of a currency does not fit.
    #[error("the balance of {0:?} does not fit")]
    BalanceDoesNotFit(Currency),
    /// More was exercised or assigned than is held that way, or nothing.
    #[error("{0:?}: {1:?} cannot be exercised (or, negative, assigned): that is not held")]
    NotHeld(InstrumentId, Lots),
    /// What is delivered has no mark or settles in another currency.
    #[error("{0:?} cannot be delivered: it has no mark, or settles in another currency")]
    NotDeliverable(InstrumentId),
    /// One opening position an instrument is needed.
    #[error("{positions} opening positions for {instruments} instruments; give one each")]
    OpeningPositions {
        /// How many were given.
        positions: usize,
        /// How many are needed.
        instruments: usize,
    },
}

/// One instrument's line.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Line {
    contract: ContractValue,
    settlement: Currency,
    maker_fee: FeeRate,
    taker_fee: FeeRate,
    lots: Lots,
    /// On their way here from another venue: ours, and valued, but not here to sell.
    away: Lots,
    mark: Option<HalfTicks>,
    /// The position and what is on its way at the mark, kept so that a move is a subtraction.
    value: i128,
    /// Its part of [`Cause::InventoryMtm`] so far.
    moved: i128,
}

impl Line {
    fn fee_rate(&self, liquidity: Liquidity) -> FeeRate {
        match liquidity {
            Liquidity::Maker => self.maker_fee,
            Liquidity::Taker => self.taker_fee,
        }
    }

    /// A position of so much, with what is on its way to it.
    fn owned(&self, lots: Lots) -> Option<Lots> {
        lots.0.checked_add(self.away.0).map(Lots)
    }

    fn value_at(&self, mark: HalfTicks) -> Option<i128> {
        position_value(self.contract, self.owned(self.lots)?, mark)
    }
}

/// One currency's cash and rate.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Purse {
    cash: i128,
    rate: Option<ConversionRate>,
}

/// What a fill does, before any of it is committed.
struct Flow {
    lots: Lots,
    value: i128,
    booking: Booking,
}

/// The account of one maker.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Ledger {
    lines: Vec<Line>,
    purses: Vec<Purse>,
    attribution: Attribution,
    reporting: Currency,
}

impl Ledger {
    /// An account with one opening position an instrument (in the instruments' order) and opening
    /// cash, which counts in the total only as far as its value moves.
    pub fn new(
        instruments: &[Instrument],
        positions: &[Lots],
        cash: &[(Currency, Notional)],
        reporting: Currency,
    ) -> Result<Ledger, LedgerError> {
        if positions.len() != instruments.len() {
            let (positions, instruments) = (positions.len(), instruments.len());
            return Err(LedgerError::OpeningPositions { positions, instruments });
        }
        let line = |(instrument, &lots): (&Instrument, &Lots)| Line {
            contract: instrument.value(),
            settlement: instrument.spec().settlement,
            maker_fee: instrument.spec().maker_fee,
            taker_fee: instrument.spec().taker_fee,
            lots,
            away: Lots(0),
            mark: None,
            value: 0,
            moved: 0,
        };
        let settlements = instruments.iter().map(|i| i.spec().settlement);
        let currencies = settlements.chain(cash.iter().map(|c| c.0)).chain([reporting]);
        let count = currencies.map(|c| usize::from(c.0) + 1).max().unwrap_or(0);
        let mut ledger = Ledger {
            lines: instruments.iter().zip(positions).map(line).collect(),
            purses: vec![Purse::default(); count],
            attribution: Attribution::new(count),
            reporting,
        };
        ledger.purse_mut(reporting)?.rate = Some(ConversionRate::ONE);
        for &(currency, amount) in cash {
            let purse = ledger.purse(currency)?;
            let after = purse.cash.checked_add(amount.0);
            let opened = ledger.attribution.open(currency, purse.rate, amount.0);
            let (Some(after), Some(())) = (after, opened) else {
                return Err(LedgerError::BalanceDoesNotFit(currency));
            };
            ledger.purse_mut(currency)?.cash = after;
        }
        Ok(ledger)
    }

    /// What an immediate order of an instrument pays.
    pub fn taker_fee(&self, instrument: InstrumentId) -> Option<FeeRate> {
        self.line(instrument).ok().map(|line| line.taker_fee)
    }

    /// Fills pay these fees from now on.
    pub fn set_fees(&mut self, instrument: InstrumentId, maker: FeeRate, taker: FeeRate) {
        if let Some(line) = self.lines.get_mut(usize::from(instrument.0)) {
            line.maker_fee = maker;
            line.taker_fee = taker;
        }
    }

    /// Books a fill: marks the position to the given mid, then trades against it.
    /// On an error the mark may stand, the fill does not.
    pub fn on_fill(&mut self, fill: &BookedFill) -> Result<(), LedgerError> {
        self.book(fill).map(|_| ())
    }

    /// As [`Self::on_fill`], and says what it was booked as.
    ///
    /// # Errors
    /// As [`Self::on_fill`].
    pub fn book(&mut self, fill: &BookedFill) -> Result<Booking, LedgerError> {
        if fill.size.0 <= 0 {
            return Err(LedgerError::SizeNotPositive(fill.size));
        }
        let line = self.line(fill.instrument)?;
        let known = fill.mid.or(line.mark).or(HalfTicks::from_ticks(fill.price));
        let mid = known.ok_or(LedgerError::DoesNotFit(fill.instrument))?;
        self.on_mark(fill.instrument, mid)?;
        self.trade(fill, mid).ok_or(LedgerError::DoesNotFit(fill.instrument))
    }

    /// Values an instrument's position at a new mark.
    #[inline]
    pub fn on_mark(
        &mut self,
        instrument: InstrumentId,
        mark: HalfTicks,
    ) -> Result<(), LedgerError> {
        self.line(instrument)?;
        let moved = self.move_mark(instrument, mark);
        moved.map(|_| ()).ok_or(LedgerError::DoesNotFit(instrument))
    }

    /// The same for an instrument that there is: whether the mark is another one than before. `None` where
    /// nothing was booked.
    #[inline]
    pub(crate) fn move_mark(&mut self, instrument: InstrumentId, mark: HalfTicks) -> Option<bool> {
        let line = self.lines.get_mut(usize::from(instrument.0))?;
        if line.mark == Some(mark) {
            return Some(false);
        }
        let rate = self.purses.get(usize::from(line.settlement.0))?.rate;
        let value = line.value_at(mark)?;
        if line.mark.is_some() {
            let moved = value.checked_sub(line.value)?;
            let sum = line.moved.checked_add(moved)?;
            self.attribution.book_one(line.settlement, rate, Cause::InventoryMtm, moved)?;
            line.moved = sum;
        } else {
            self.attribution.open(line.settlement, rate, value)?;
        }
        line.mark = Some(mark);
        line.value = value;
        Some(true)
    }

    /// One unit of a currency is worth `rate` in the reporting currency from now on.
    #[inline]
    pub fn on_conversion(
        &mut self,
        currency: Currency,
        rate: ConversionRate,
    ) -> Result<(), LedgerError> {
        let purse = self.purses.get_mut(usize::from(currency.0));
        let purse = purse.ok_or(LedgerError::UnknownCurrency(currency))?;
        let old = purse.rate;
        let is_fixed = currency == self.reporting && rate != ConversionRate::ONE;
        if rate.0 <= 0 || is_fixed {
            return Err(LedgerError::BadRate(currency, rate));
        }
        if old != Some(rate) {
            self.attribution
                .translate(currency, old, rate)
                .ok_or(LedgerError::BalanceDoesNotFit(currency))?;
            purse.rate = Some(rate);
        }
        Ok(())
    }

    /// A funding payment in the instrument's settlement currency: positive was received.
    pub fn on_funding(
        &mut self,
        instrument: InstrumentId,
        received: Notional,
    ) -> Result<(), LedgerError> {
        let currency = self.line(instrument)?.settlement;
        self.pay(currency, Cause::Funding, received.0)
    }

    /// A charge for capital used: positive is a cost.
    pub fn on_capital_cost(
        &mut self,
        currency: Currency,
        cost: Notional,
    ) -> Result<(), LedgerError> {
        let amount = cost.0.checked_neg().ok_or(LedgerError::BalanceDoesNotFit(currency))?;
        self.pay(currency, Cause::CapitalCost, amount)
    }

    /// Holdings that came (negative: went) without gain or loss: they join the opening at the mark.
    pub fn on_transfer(&mut self, holding: Holding, amount: i64) -> Result<(), LedgerError> {
        self.correct(holding, amount, None)
    }

    /// Holdings that turned out otherwise than booked: the difference, positions at the mark, is
    /// [`Cause::Adjustment`].
    pub fn on_adjustment(&mut self, holding: Holding, amount: i64) -> Result<(), LedgerError> {
        self.correct(holding, amount, Some(Cause::Adjustment))
    }

    fn correct(
        &mut self,
        holding: Holding,
        amount: i64,
        cause: Option<Cause>,
    ) -> Result<(), LedgerError> {
        match holding {
            Holding::Position(id) => {
                self.line(id)?;
                self.correct_position(id, amount, cause).ok_or(LedgerError::DoesNotFit(id))
            }
            Holding::Cash(currency) | Holding::CashAt { currency, .. } => {
                self.purse(currency)?;
                self.correct_cash(currency, amount.into(), cause)
                    .ok_or(LedgerError::BalanceDoesNotFit(currency))
            }
        }
    }

    fn correct_position(
        &mut self,
        id: InstrumentId,
        amount: i64,
        cause: Option<Cause>,
    ) -> Option<()> {
        let line = self.lines.get_mut(usize::from(id.0))?;
        let rate = self.purses.get(usize::from(line.settlement.0))?.rate;
        let lots = Lots(line.lots.0.checked_add(amount)?);
        // Without a mark it has no value yet: it joins the opening at the first one.
        if let Some(mark) = line.mark {
            let value = position_value(line.contract, line.owned(lots)?, mark)?;
            let moved = value.checked_sub(line.value)?;
            match cause {
                Some(cause) => self.attribution.book(line.settlement, rate, &[(cause, moved)])?,
                None => self.attribution.open(line.settlement, rate, moved)?,
            }
            line.value = value;
        }
        line.lots = lots;
        Some(())
    }

    fn correct_cash(&mut self, of: Currency, amount: i128, cause: Option<Cause>) -> Option<()> {
        let purse = self.purses.get_mut(usize::from(of.0))?;
        let cash = purse.cash.checked_add(amount)?;
        match cause {
            Some(cause) => self.attribution.book(of, purse.rate, &[(cause, amount)])?,
            None => self.attribution.open(of, purse.rate, amount)?,
        }
        purse.cash = cash;
        Some(())
    }

    /// What was earned since the start, in the reporting currency, from cash, positions and marks
    /// alone. `None` where it does not fit. Costs a pass over the instruments.
    pub fn total(&self) -> Option<Notional> {
        let mut total = self.attribution.opening().checked_neg()?;
        for (index, purse) in (0u8..).zip(&self.purses) {
            if let Some(rate) = purse.rate {
                total = total.checked_add(rate.convert(self.equity(Currency(index))?.0)?)?;
            }
        }
        Some(Notional(total))
    }

    /// Cash and positions at their marks, opening included, in the currency itself.
    pub fn equity(&self, currency: Currency) -> Option<Notional> {
        let mut equity = self.purse(currency).ok()?.cash;
        for line in self.lines.iter().filter(|line| line.settlement == currency) {
            if let Some(mark) = line.mark {
                equity = equity.checked_add(line.value_at(mark)?)?;
            }
        }
        Some(Notional(equity))
    }

    /// Every cause since the start, in the reporting currency; they sum to [`Self::total`].
    pub fn causes(&self) -> [(Cause, Notional); Cause::COUNT] {
        self.attribution.reporting()
    }

    /// The causes of one currency, in that currency.
    pub fn causes_of(&self, currency: Currency) -> [(Cause, Notional); Cause::COUNT] {
        self.attribution.of(currency)
    }

    /// The position that the booked fills made; `None` for an unknown instrument.
    #[inline]
    pub fn position(&self, instrument: InstrumentId) -> Option<Lots> {
        self.line(instrument).ok().map(|line| line.lots)
    }

    /// An instrument's part of [`Cause::InventoryMtm`], in 1e-9 of what it settles in.
    pub fn moved(&self, instrument: InstrumentId) -> Option<Notional> {
        self.line(instrument).ok().map(|line| Notional(line.moved))
    }

    /// The last mark of an instrument.
    #[inline]
    pub fn mark(&self, instrument: InstrumentId) -> Option<HalfTicks> {
        self.line(instrument).ok().and_then(|line| line.mark)
    }

    /// Cash of a currency, opening included. Shorts in cash are negative.
    pub fn cash(&self, currency: Currency) -> Option<Notional> {
        self.purse(currency).ok().map(|purse| Notional(purse.cash))
    }

    /// The rate at which a currency is converted; `None` before its first.
    pub fn rate(&self, currency: Currency) -> Option<ConversionRate> {
        self.purse(currency).ok().and_then(|purse| purse.rate)
    }

    /// What the total and the causes are counted in.
    pub fn reporting(&self) -> Currency {
        self.reporting
    }

    fn line(&self, id: InstrumentId) -> Result<&Line, LedgerError> {
        self.lines.get(usize::from(id.0)).ok_or(LedgerError::UnknownInstrument(id))
    }

    fn purse(&self, currency: Currency) -> Result<Purse, LedgerError> {
        let purse = self.purses.get(usize::from(currency.0));
        purse.copied().ok_or(LedgerError::UnknownCurrency(currency))
    }

    fn purse_mut(&mut self, currency: Currency) -> Result<&mut Purse, LedgerError> {
        self.purses.get_mut(usize::from(currency.0)).ok_or(LedgerError::UnknownCurrency(currency))
    }

    /// The fill's part beyond marking: everything that can fail first, then the changes.
    fn trade(&mut self, fill: &BookedFill, mid: HalfTicks) -> Option<Booking> {
        let line = self.lines.get_mut(usize::from(fill.instrument.0))?;
        let purse = self.purses.get_mut(usize::from(line.settlement.0))?;
        let flow = flow(line, fill, mid)?;
        let cash = purse.cash.checked_add(flow.booking.cash.0)?;
        self.attribution.book(line.settlement, purse.rate, &flow.booking.shares()?)?;
        purse.cash = cash;
        line.lots = flow.lots;
        line.value = flow.value;
        Some(flow.booking)
    }

    fn pay(&mut self, currency: Currency, cause: Cause, amount: i128) -> Result<(), LedgerError> {
        let purse = self.purse(currency)?;
        let cash = purse.cash.checked_add(amount);
        let cash = cash.ok_or(LedgerError::BalanceDoesNotFit(currency))?;
        self.attribution
            .book(currency, purse.rate, &[(cause, amount)])
            .ok_or(LedgerError::BalanceDoesNotFit(currency))?;
        self.purse_mut(currency)?.cash = cash;
        Ok(())
    }
}

/// What a fill does to its line and its currency.
fn flow(line: &Line, fill: &BookedFill, mid: HalfTicks) -> Option<Flow> {
    let lots = line.lots.0.checked_add(fill.size.0.checked_mul(fill.side.sign())?)?;
    let value = position_value(line.contract, line.owned(Lots(lots))?, mid)?;
    let proceeds = trade_cash(line.contract, fill.side, fill.price, fill.size)?;
    let gained = edge(line.contract, fill.side, fill.price, fill.size, mid)?;
    let paid = fee(line.contract, fill.price, fill.size, line.fee_rate(fill.liquidity))?;
    // What cash and value moved by, less what the exact edge rounds to: the units that rounding
    // the cash and the two values took. Each is off by half a unit or less, so it is -1, 0 or 1.
    let rounding = proceeds.checked_add(value.checked_sub(line.value)?)?.checked_sub(gained)?;
    debug_assert!(rounding.abs() <= 1, "rounding takes at most one unit a fill: {rounding}");
    let booking = Booking {
        fill: BookedFill { mid: Some(mid), ..*fill },
        edge: Notional(gained),
        paid: Notional(paid),
        rounding: Notional(rounding),
        cash: Notional(proceeds.checked_sub(paid)?),
    };
    Some(Flow { lots: Lots(lots), value, booking })
}
