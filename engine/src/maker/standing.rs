//! Funding, borrow and capital, charged as their instants pass.
//!
//! Fed by the timer, and by an operator's word on rates and payments; feeds the ledger. Maker thread.
//! An instant without a mark waits: what it costs is not known. What does not fit halts.

use super::{Maker, instrument_id};
use crate::event::InstrumentId;
use crate::maker::intents::Intents;
use crate::pnl::ledger::LedgerError;
use crate::pnl::standing::{self, DAY_NS, INSTANTS_MAX};
use crate::risk::state::Reason;
use crate::units::{FeeRate, Notional};
use std::ops::Range;

impl Maker {
    /// Charges every instant that has passed.
    pub(super) fn charge_standing(&mut self, lines: Range<usize>, out: &mut Intents) {
        for n in lines {
            let id = instrument_id(n);
            // Bounded: what is left is charged by the next timer.
            for _ in 0..INSTANTS_MAX {
                match self.charge_next(id) {
                    Some(Ok(())) => self.after_charge(id),
                    Some(Err(_)) => {
                        self.halt(id, Reason::Overflow, out);
                        break;
                    }
                    None => break,
                }
            }
        }
    }

    /// The earliest charge of an instrument that is due; `None` where none is, or its mark is not
    /// known.
    fn charge_next(&mut self, id: InstrumentId) -> Option<Result<(), LedgerError>> {
        let now = self.now;
        let position = self.ledger.position(id)?;
        let mark = self.ledger.mark(id);
        let line = self.line_mut(id)?;
        let (terms, contract) = (line.settings.standing, line.contract());
        let settlement = line.instrument.spec().settlement;
        if let Some(funding) = terms.funding
            && line.funding.is_due(now, funding.every_ns)
        {
            let received = standing::funding(contract, position, mark?, funding.rate);
            line.funding.taken(funding.every_ns);
            let received = received.ok_or(LedgerError::DoesNotFit(id));
            let book = |sum| self.booked_at(id, |ledger| ledger.on_funding(id, Notional(sum)));
            return Some(received.and_then(book));
        }
        if terms.borrow_per_day == FeeRate(0) && terms.capital_per_day == FeeRate(0) {
            return None;
        }
        if !line.days.is_due(now, DAY_NS) {
            return None;
        }
        let cost = standing::day(contract, position, mark?, &terms);
        line.days.taken(DAY_NS);
        let cost = cost.ok_or(LedgerError::DoesNotFit(id));
        let book =
            |cost| self.booked_at(id, |ledger| ledger.on_capital_cost(settlement, Notional(cost)));
        Some(cost.and_then(book))
    }

    /// Coins paid or received are exposure.
    fn after_charge(&mut self, id: InstrumentId) {
        if let Some(pool) = self.pool_of(id) {
            self.refresh_delta(pool);
        }
    }

    /// The venue's rate from now on, where its schedule is in the config.
    pub(super) fn set_funding_rate(&mut self, id: InstrumentId, rate: FeeRate) {
        if let Some(line) = self.line_mut(id)
            && let Some(funding) = &mut line.settings.standing.funding
        {
            funding.rate = rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maker::control::{Act, User};
    use crate::maker::input::Control;
    use crate::maker::tests::{Desk, PERP, SPOT, config};
    use crate::pnl::attribution::Cause;
    use crate::pnl::standing::{FundingTerms, StandingTerms};
    use crate::units::Lots;

    const SECOND: u64 = 1_000_000_000;

    fn desk() -> Desk {
        let mut config = config();
        config.settings[1].standing = StandingTerms {
            funding: Some(FundingTerms { every_ns: 10 * SECOND, rate: FeeRate(100_000) }),
            ..StandingTerms::default()
        };
        config.settings[0].standing = StandingTerms {
            borrowed: Lots(1_000),
            borrow_per_day: FeeRate(200_000),
            ..StandingTerms::default()
        };
        let mut desk = Desk::with(&config);
        desk.begin();
        desk.timer();
        desk
    }

    fn cause(desk: &Desk, cause: Cause) -> i128 {
        let (causes, total) = desk.maker.pnl().unwrap();
        assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
        causes[cause as usize].1.0
    }

    fn until(desk: &mut Desk, seconds: u64) {
        desk.now = seconds * SECOND;
        desk.timer();
    }

    fn by_hand(desk: &mut Desk, act: Act) {
        desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act });
    }

    #[test]
    fn a_short_receives_funding_at_each_instant_and_pays_at_a_negative_rate() {
        let mut desk = desk();
        until(&mut desk, 9);
        assert_eq!(cause(&desk, Cause::Funding), 0);
        // Short one coin at 60,000: a basis point is 6 dollars; two instants are 12.
        until(&mut desk, 10);
        assert_eq!(cause(&desk, Cause::Funding), 6 * 1_000_000_000);
        until(&mut desk, 29);
        assert_eq!(cause(&desk, Cause::Funding), 12 * 1_000_000_000);
        by_hand(&mut desk, Act::FundingRate { instrument: PERP, rate: FeeRate(-300_000) });
        until(&mut desk, 30);
        assert_eq!(cause(&desk, Cause::Funding), -6 * 1_000_000_000);
    }

    #[test]
    fn a_payment_by_hand_is_funding_too() {
        let mut desk = desk();
        by_hand(&mut desk, Act::Funding { instrument: PERP, received: -1_250_000_000 });
        assert_eq!(cause(&desk, Cause::Funding), -1_250_000_000);
    }

    #[test]
    fn what_is_borrowed_is_charged_at_the_end_of_the_day() {
        let mut desk = desk();
        until(&mut desk, 86_399);
        assert_eq!(cause(&desk, Cause::CapitalCost), 0);
        until(&mut desk, 86_400);
        // One coin at 60,000, two basis points.
        assert_eq!(cause(&desk, Cause::CapitalCost), -12 * 1_000_000_000);
        assert!(desk.maker.ledger().position(SPOT) == Some(Lots(1_000)));
    }
}
