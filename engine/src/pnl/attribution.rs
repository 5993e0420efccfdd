//! Why money moved: each cause adds up on its own, event by event, in its currency and in the
//! reporting currency.
//!
//! Fed by the ledger with what each event is worth under each cause; feeds the report and the loss
//! limits through the ledger. Maker thread; allocates at start alone. Absent: cash, positions and
//! marks; the total that the causes must meet is computed from those in `ledger`.
//!
//! Conversion is by differencing running totals: a cause's share in the reporting currency is the
//! converted running total after it less the one before it, so that shares of a millionth of a unit
//! are never lost one by one, and the causes sum to the converted total at every moment.

use crate::instrument::Currency;
use crate::units::Notional;

/// Why the account's value changed. Costs are negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Cause {
    /// What quotes earned against the mid just before their fill.
    SpreadCapture,
    /// What positions gained or lost as marks moved.
    InventoryMtm,
    /// What hedges paid against the mid just before their fill.
    HedgeCost,
    /// Fees paid.
    Fees,
    /// Fees received.
    Rebates,
    /// Funding payments of perpetuals.
    Funding,
    /// What holding the positions' capital is charged at.
    CapitalCost,
    /// What balances in other currencies gained or lost as their rates moved.
    Translation,
    /// What rounding to 1e-9 of a currency took: at most one unit of the currency a fill.
    Rounding,
    /// What an operator booked by hand: trades made elsewhere against the mid, and corrections.
    Adjustment,
    /// What moving holdings between venues took: trades there against the mid just before their fill,
    /// what a transfer paid, and what it is marked at here and there.
    RebalanceCost,
}

impl Cause {
    /// How many causes there are.
    pub const COUNT: usize = 11;
    /// Every cause, in the order of the reports.
    pub const ALL: [Cause; Cause::COUNT] = [
        Cause::SpreadCapture,
        Cause::InventoryMtm,
        Cause::HedgeCost,
        Cause::Fees,
        Cause::Rebates,
        Cause::Funding,
        Cause::CapitalCost,
        Cause::Translation,
        Cause::Rounding,
        Cause::Adjustment,
        Cause::RebalanceCost,
    ];

    /// Its key in reports: `spread_capture`.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::SpreadCapture => "spread_capture",
            Cause::InventoryMtm => "inventory_mtm",
            Cause::HedgeCost => "hedge_cost",
            Cause::Fees => "fees",
            Cause::Rebates => "rebates",
            Cause::Funding => "funding",
            Cause::CapitalCost => "capital_cost",
            Cause::Translation => "translation",
            Cause::Rounding => "rounding",
            Cause::Adjustment => "adjustment",
            Cause::RebalanceCost => "rebalance_cost",
        }
    }
}

/// What one unit of a currency is in the reporting currency, as a count of 1e-9: 61685.99 dollars a
/// coin is 61,685,990,000,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ConversionRate(pub i64);

impl ConversionRate {
    /// The reporting currency's own.
    pub const ONE: ConversionRate = ConversionRate(1_000_000_000);

    /// `amount` (1e-9 of the currency) in 1e-9 of the reporting currency, rounded down.
    pub fn convert(self, amount: i128) -> Option<i128> {
        // Nothing is worth nothing: most balances of a coin are, and their rates move with every mark.
        if self == Self::ONE || amount == 0 {
            return Some(amount);
        }
        // Two words that fit 64 bits have a product that fits 128.
        let product = match i64::try_from(amount) {
            Ok(amount) => i128::from(amount) * i128::from(self.0),
            Err(_) => amount.checked_mul(self.0.into())?,
        };
        Some(floor_nano(product))
    }
}

/// `value / 1e9`, rounded down: what `div_euclid` answers, in three 64-bit divisions by a constant,
/// which are products, where one of 128 bits is a call.
fn floor_nano(value: i128) -> i128 {
    const NANO: u64 = 1_000_000_000;
    const DIGIT: u32 = 32;
    // Turned over, a negative value rounds down where its image rounds toward nothing.
    let turned = (if value < 0 { !value } else { value }).unsigned_abs();
    let word = |of: u128| u64::try_from(of & u128::from(u64::MAX)).unwrap_or(0);
    let (high, low) = (word(turned >> 64), word(turned));
    // What is left of a division is below 2^30: with a digit more it fits a word.
    let middle = (high % NANO) << DIGIT | low >> DIGIT;
    let last = (middle % NANO) << DIGIT | low & ((1 << DIGIT) - 1);
    let digits = u128::from(middle / NANO) << DIGIT | u128::from(last / NANO);
    let quotient = i128::try_from(u128::from(high / NANO) << 64 | digits).unwrap_or(i128::MAX);
    if value < 0 { !quotient } else { quotient }
}

/// Amounts by cause, in the order of [`Cause::ALL`].
type Amounts = [i128; Cause::COUNT];

/// The causes of one currency.
#[derive(Clone, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Account {
    /// What was there at the start, as it became known.
    opening: i128,
    /// Opening and all causes.
    running: i128,
    causes: Amounts,
}

/// The causes of every currency and of the whole.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Attribution {
    accounts: Vec<Account>,
    /// What was there at the start, in the reporting currency at the first rate known.
    opening: i128,
    reporting: Amounts,
}

fn add(amounts: &mut Amounts, cause: Cause, amount: i128) -> Option<()> {
    let sum = amounts.get_mut(cause as usize)?;
    *sum = sum.checked_add(amount)?;
    Some(())
}

impl Attribution {
    /// Nothing booked, for `currencies` many.
    pub(super) fn new(currencies: usize) -> Attribution {
        Attribution {
            accounts: vec![Account::default(); currencies],
            opening: 0,
            reporting: [0; Cause::COUNT],
        }
    }

    /// A balance that was there before the first event becomes known.
    pub(super) fn open(
        &mut self,
        currency: Currency,
        rate: Option<ConversionRate>,
        value: i128,
    ) -> Option<()> {
        let account = self.accounts.get_mut(usize::from(currency.0))?;
        let running = account.running.checked_add(value)?;
        let known = account.opening.checked_add(value)?;
        let converted = difference(rate, account.running, running)?;
        self.opening = self.opening.checked_add(converted)?;
        account.running = running;
        account.opening = known;
        Some(())
    }

    /// Books what one event did to a currency. All or, where something does not fit, nothing.
    pub(super) fn book(
        &mut self,
        currency: Currency,
        rate: Option<ConversionRate>,
        shares: &[(Cause, i128)],
    ) -> Option<()> {
        let account = self.accounts.get_mut(usize::from(currency.0))?;
        let (mut causes, mut reporting) = (account.causes, self.reporting);
        let mut running = account.running;
        for &(cause, amount) in shares {
            let after = running.checked_add(amount)?;
            add(&mut causes, cause, amount)?;
            add(&mut reporting, cause, difference(rate, running, after)?)?;
            running = after;
        }
        account.causes = causes;
        account.running = running;
        self.reporting = reporting;
        Some(())
    }

    /// [`Attribution::book`] of one share, without copies to fall back on: every mark comes here.
    pub(super) fn book_one(
        &mut self,
        currency: Currency,
        rate: Option<ConversionRate>,
        cause: Cause,
        amount: i128,
    ) -> Option<()> {
        let account = self.accounts.get_mut(usize::from(currency.0))?;
        let own = account.causes.get_mut(cause as usize)?;
        let reporting = self.reporting.get_mut(cause as usize)?;
        let running = account.running.checked_add(amount)?;
        let own_after = own.checked_add(amount)?;
        let converted = difference(rate, account.running, running)?;
        *reporting = reporting.checked_add(converted)?;
        *own = own_after;
        account.running = running;
        Some(())
    }

    /// A currency's rate moves from `old` to `new`: the balance's change is translation. At its
    /// first rate what was booked before is converted, cause by cause.
    pub(super) fn translate(
        &mut self,
        currency: Currency,
        old: Option<ConversionRate>,
        new: ConversionRate,
    ) -> Option<()> {
        let account = self.accounts.get(usize::from(currency.0))?;
        if let Some(old) = old {
            // Nothing is worth nothing at any rate.
            if account.running == 0 {
                return Some(());
            }
            let moved = new.convert(account.running)?.checked_sub(old.convert(account.running)?)?;
            return add(&mut self.reporting, Cause::Translation, moved);
        }
        let mut reporting = self.reporting;
        let opening = self.opening.checked_add(new.convert(account.opening)?)?;
        let mut running = account.opening;
        for (cause, &amount) in Cause::ALL.iter().zip(&account.causes) {
            let after = running.checked_add(amount)?;
            add(&mut reporting, *cause, difference(Some(new), running, after)?)?;
            running = after;
        }
        self.reporting = reporting;
        self.opening = opening;
        Some(())
    }

    /// What the account was worth at the start, in the reporting currency.
    pub(super) fn opening(&self) -> i128 {
        self.opening
    }

    /// Every cause in the reporting currency.
    pub(super) fn reporting(&self) -> [(Cause, Notional); Cause::COUNT] {
        with_names(&self.reporting)
    }

    /// Every cause of one currency in that currency; zeros for an unknown one. Translation is 0.
    pub(super) fn of(&self, currency: Currency) -> [(Cause, Notional); Cause::COUNT] {
        let zero = [0; Cause::COUNT];
        with_names(self.accounts.get(usize::from(currency.0)).map_or(&zero, |a| &a.causes))
    }
}

/// The converted running total after less before; 0 while there is no rate.
#[inline]
fn difference(rate: Option<ConversionRate>, before: i128, after: i128) -> Option<i128> {
    match rate {
        None => Some(0),
        Some(ConversionRate::ONE) => after.checked_sub(before),
        Some(rate) => rate.convert(after)?.checked_sub(rate.convert(before)?),
    }
}

fn with_names(amounts: &Amounts) -> [(Cause, Notional); Cause::COUNT] {
    let mut named = Cause::ALL.map(|cause| (cause, Notional(0)));
    for (slot, &amount) in named.iter_mut().zip(amounts) {
        slot.1 = Notional(amount);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_all_is_the_order_of_the_table() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "{}", cause.name());
        }
    }

    #[test]
    fn dividing_by_a_billion_rounds_down_at_every_magnitude_and_sign() {
        let mut value: i128 = 1;
        for step in 0..400i128 {
            value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step);
            for shift in 0..127 {
                for near in [-1, 0, 1] {
                    let value = (value >> shift).saturating_add(near);
                    assert_eq!(floor_nano(value), value.div_euclid(1_000_000_000), "{value}");
                }
            }
        }
        for edge in [i128::MIN, i128::MAX, -1_000_000_000, -1, 0, 999_999_999, 1_000_000_000] {
            assert_eq!(floor_nano(edge), edge.div_euclid(1_000_000_000), "{edge}");
        }
    }

    #[test]
    fn one_share_booked_alone_is_what_it_is_in_a_list_and_leaves_nothing_where_it_does_not_fit() {
        let rate = Some(ConversionRate(61_685_990_000_000));
        let (mut one, mut list) = (Attribution::new(1), Attribution::new(1));
        for amount in [7, -1_234_567, 99_999_999_999, i128::MAX, i128::MAX / 1_000_000, -3] {
            let booked = one.book_one(Currency(0), rate, Cause::InventoryMtm, amount);
            assert_eq!(booked, list.book(Currency(0), rate, &[(Cause::InventoryMtm, amount)]));
            assert_eq!(format!("{one:?}"), format!("{list:?}"), "{amount}");
        }
        assert_eq!(one.book_one(Currency(9), rate, Cause::Fees, 1), None);
    }

    #[test]
    fn a_thousand_shares_below_one_unit_are_not_lost() {
        // Each share is 1 unit of a currency worth 0.001: a thousandth of a reporting unit.
        let mut attribution = Attribution::new(1);
        let rate = Some(ConversionRate(1_000_000));
        for _ in 0..1000 {
            attribution.book(Currency(0), rate, &[(Cause::Funding, 1)]).unwrap();
        }
        assert_eq!(attribution.reporting()[5], (Cause::Funding, Notional(1)));
    }

    #[test]
    fn what_was_booked_before_the_first_rate_keeps_its_cause() {
        let mut attribution = Attribution::new(1);
        attribution.open(Currency(0), None, 100).unwrap();
        attribution.book(Currency(0), None, &[(Cause::Fees, -7)]).unwrap();
        attribution.translate(Currency(0), None, ConversionRate(2_000_000_000)).unwrap();
        assert_eq!(attribution.opening(), 200);
        assert_eq!(attribution.reporting()[3], (Cause::Fees, Notional(-14)));
        assert_eq!(attribution.reporting()[7], (Cause::Translation, Notional(0)));
    }

    #[test]
    fn a_booking_that_does_not_fit_leaves_nothing_behind() {
        let mut attribution = Attribution::new(1);
        let rate = Some(ConversionRate::ONE);
        attribution.book(Currency(0), rate, &[(Cause::Funding, i128::MAX)]).unwrap();
        let before = format!("{attribution:?}");
        let shares = [(Cause::Fees, -5), (Cause::Funding, 6)];
        assert_eq!(attribution.book(Currency(0), rate, &shares), None);
        assert_eq!(attribution.book(Currency(9), rate, &shares), None);
        assert_eq!(format!("{attribution:?}"), before);
    }
}
