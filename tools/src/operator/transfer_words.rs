//! What an operator says of a transfer, checked before the maker is given it.
//!
//! Fed by the operator's socket, with the transfers that the last sample told; feeds acts. Cold. A step
//! that a transfer is not ready for is refused here, with what is open.

use super::request::TransferStep;
use super::rules::{Rules, count};
use super::words::NANO;
use ballast_engine::instrument::ContractValue;
use ballast_engine::inventory::transfer::{Moved, Transfer, TransferId, TransferStage};
use ballast_engine::maker::control::Act;
use ballast_engine::units::Nanos;

impl Rules {
    /// What became of a transfer.
    ///
    /// # Errors
    /// It is not open, not that far, or the amount is off its grid.
    pub fn transfer_step(
        &self,
        open: &[(Nanos, Transfer)],
        id: &str,
        step: TransferStep,
        amount: Option<&str>,
    ) -> Result<Act, String> {
        let id: TransferId = id.parse()?;
        let found = open.iter().map(|(_, transfer)| transfer).find(|transfer| transfer.id == id);
        let transfer = found.ok_or_else(|| {
            let open: Vec<_> = open.iter().map(|(_, open)| open.id.to_string()).collect();
            format!("transfer {id} is not open; open are: {}", open.join(", "))
        })?;
        match (step, transfer.stage) {
            (TransferStep::Sent, TransferStage::Sent) => {
                return Err(format!("transfer {id} was sent already"));
            }
            (TransferStep::Arrived, TransferStage::Requested) => {
                return Err(format!("transfer {id} was not sent yet: book that first"));
            }
            (TransferStep::Refused, TransferStage::Requested) if amount.is_some() => {
                return Err(format!("transfer {id} was not sent: nothing of it comes back"));
            }
            (TransferStep::Sent | TransferStep::Refused, _) | (TransferStep::Arrived, _) => {}
        }
        let as_asked = match (step, transfer.stage) {
            (TransferStep::Sent, _) => transfer.leaves,
            (TransferStep::Refused, TransferStage::Requested) => 0,
            (TransferStep::Arrived | TransferStep::Refused, _) => transfer.arrives,
        };
        let amount = match amount {
            Some(text) => self.amount_of(transfer, step, text)?,
            None => as_asked,
        };
        Ok(match step {
            TransferStep::Sent => Act::TransferSent { id, leaves: amount },
            TransferStep::Arrived => Act::TransferArrived { id, came: amount },
            TransferStep::Refused => Act::TransferRefused { id, came: amount },
        })
    }

    /// A coin moves in whole lots of the instrument that it leaves or comes to.
    fn amount_of(
        &self,
        transfer: &Transfer,
        step: TransferStep,
        text: &str,
    ) -> Result<i64, String> {
        let amount = count(text, NANO).map_err(|why| format!("amount {text:?}: {why}"))?;
        let at = match (transfer.moved, step) {
            (Moved::Cash, _) => None,
            (Moved::Coin { to, .. }, TransferStep::Arrived) => Some(to),
            (Moved::Coin { from, .. }, TransferStep::Sent | TransferStep::Refused) => Some(from),
        };
        let instrument = at.and_then(|at| self.table().instruments.get(usize::from(at.0)));
        let lot = match instrument.map(|instrument| instrument.value()) {
            Some(ContractValue::Linear { nano_underlying_per_lot, .. }) => nano_underlying_per_lot,
            Some(ContractValue::Inverse { .. } | ContractValue::Option { .. }) | None => 1,
        };
        let least = if step == TransferStep::Sent { 1 } else { 0 };
        if amount < least {
            return Err(format!(
                "amount {text:?}: must not be negative, nor nothing where it leaves"
            ));
        }
        if amount % lot != 0 {
            return Err(format!("amount {text:?}: must be whole lots of its instrument"));
        }
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use ballast_engine::event::{InstrumentId, VenueId};
    use ballast_engine::instrument::Currency;

    fn rules() -> Rules {
        let text = include_str!("../../../config/two-venues.toml");
        let file = ConfigFile::parse("two", text.to_owned()).unwrap();
        let config = file.maker(1).unwrap();
        Rules::new(&file, &config)
    }

    fn open(stage: TransferStage) -> [(Nanos, Transfer); 1] {
        let (leaves, arrives) = (500_000_000, 499_000_000);
        let transfer = Transfer {
            id: TransferId { epoch: 7, number: 1 },
            currency: Currency(0),
            from: VenueId(0),
            to: VenueId(1),
            moved: Moved::Coin { from: InstrumentId(0), to: InstrumentId(1) },
            leaves,
            arrives,
            stage,
            since: Nanos(0),
        };
        [(Nanos(9), transfer)]
    }

    #[test]
    fn a_step_takes_what_was_asked_for_or_an_amount_of_whole_lots() {
        let id = TransferId { epoch: 7, number: 1 };
        let step = |stage, step, amount| rules().transfer_step(&open(stage), "7-1", step, amount);
        let sent = step(TransferStage::Requested, TransferStep::Sent, None);
        assert_eq!(sent, Ok(Act::TransferSent { id, leaves: 500_000_000 }));
        let came = step(TransferStage::Sent, TransferStep::Arrived, Some("0.498"));
        assert_eq!(came, Ok(Act::TransferArrived { id, came: 498_000_000 }));
        let back = step(TransferStage::Sent, TransferStep::Refused, None);
        assert_eq!(back, Ok(Act::TransferRefused { id, came: 499_000_000 }));
        let never = step(TransferStage::Requested, TransferStep::Refused, None);
        assert_eq!(never, Ok(Act::TransferRefused { id, came: 0 }));
    }

    #[test]
    fn what_a_transfer_is_not_ready_for_is_refused_with_the_reason() {
        let wrong = [
            (TransferStage::Requested, TransferStep::Arrived, None, "was not sent yet"),
            (TransferStage::Sent, TransferStep::Sent, None, "was sent already"),
            (TransferStage::Requested, TransferStep::Sent, Some("0"), "nothing where it leaves"),
            (TransferStage::Sent, TransferStep::Arrived, Some("-1"), "must not be negative"),
            (TransferStage::Sent, TransferStep::Arrived, Some("0.4985"), "whole lots"),
            (TransferStage::Requested, TransferStep::Refused, Some("0.1"), "nothing of it comes"),
        ];
        for (stage, step, amount, told) in wrong {
            let error = rules().transfer_step(&open(stage), "7-1", step, amount).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let unknown = rules().transfer_step(&[], "7-2", TransferStep::Sent, None).unwrap_err();
        assert!(unknown.contains("not open"), "{unknown}");
        assert!(rules().transfer_step(&[], "seven", TransferStep::Sent, None).is_err());
    }

    #[test]
    fn cash_has_a_place_where_it_is_said() {
        use ballast_engine::pnl::ledger::Holding;
        let (holding, amount) = rules().holding("USDT@beta", "-5").unwrap();
        let Holding::CashAt { venue, .. } = holding else { panic!("{holding:?}") };
        assert_eq!((venue, amount), (VenueId(1), -5_000_000_000));
        assert!(rules().holding("USDT@gamma", "1").unwrap_err().contains("CURRENCY@VENUE"));
    }
}
