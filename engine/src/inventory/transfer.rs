//! Transfers between venues: asked for, on their way, arrived; and that nothing is lost among them.
//!
//! Fed by the maker with what it asks treasury for and with what the operator says became of it; feeds
//! the account, the decision about the next one, and the outbox. Maker thread, on the timer and on an
//! operator's word; a table of fixed size. Deliberately absent: sending anything. Treasury does, and an
//! operator says so.
//!
//! For each currency, what is on its way is what was sent less what arrived less what that cost, after
//! every event ([`Transit::is_conserved`]).

use crate::event::{InstrumentId, VenueId};
use crate::instrument::Currency;
use crate::units::Nanos;

/// Most transfers that are open at once.
pub const TRANSFERS_MAX: usize = 16;

/// Which transfer: the run that asked for it, and its number there. Never used twice in one state
/// folder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct TransferId {
    /// The run.
    pub epoch: u32,
    /// From 1.
    pub number: u32,
}

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for TransferId {
    type Err = String;

    fn from_str(text: &str) -> Result<TransferId, String> {
        let parts = text.split_once('-');
        let id = parts.and_then(|(epoch, number)| {
            Some(TransferId { epoch: epoch.parse().ok()?, number: number.parse().ok()? })
        });
        id.ok_or_else(|| format!("{text:?} is no transfer; they are named RUN-NUMBER, such as 7-1"))
    }
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum TransferStage {
    /// Treasury was asked; it is still where it was.
    Requested,
    /// It left and has not arrived.
    Sent,
}

impl TransferStage {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            TransferStage::Requested => "requested",
            TransferStage::Sent => "sent",
        }
    }
}

/// What the account moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Moved {
    /// A coin: the positions of two spot instruments.
    Coin {
        /// Where it leaves.
        from: InstrumentId,
        /// Where it arrives.
        to: InstrumentId,
    },
    /// Cash.
    Cash,
}

/// One transfer. Amounts are 1e-9 of the currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Transfer {
    /// Its name.
    pub id: TransferId,
    /// Of what.
    pub currency: Currency,
    /// Where it leaves.
    pub from: VenueId,
    /// Where it arrives.
    pub to: VenueId,
    /// What the account moves.
    pub moved: Moved,
    /// What leaves, > 0.
    pub leaves: i64,
    /// What is expected to arrive: less by what the way costs.
    pub arrives: i64,
    /// How far it is.
    pub stage: TransferStage,
    /// Since when.
    pub since: Nanos,
}

/// What a currency's transfers came to, in 1e-9.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Flows {
    /// Left.
    pub sent: i128,
    /// Arrived, or came back.
    pub arrived: i128,
    /// Neither: fees.
    pub lost: i128,
}

/// All open transfers, and what the ended ones came to.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Transit {
    transfers: Vec<Transfer>,
    flows: Vec<Flows>,
    epoch: u32,
    last: u32,
}

impl Transit {
    /// None open, in the run `epoch`, over so many currencies.
    pub fn new(epoch: u32, currencies: usize) -> Transit {
        Transit {
            transfers: Vec::with_capacity(TRANSFERS_MAX),
            flows: vec![Flows::default(); currencies],
            epoch,
            last: 0,
        }
    }

    /// One that an earlier run left. Says whether there was room.
    pub fn restore(&mut self, transfer: &Transfer) -> bool {
        if !self.has_room() {
            return false;
        }
        if transfer.stage == TransferStage::Sent
            && let Some(flows) = self.flows.get_mut(usize::from(transfer.currency.0))
        {
            flows.sent = flows.sent.saturating_add(transfer.arrives.into());
        }
        self.transfers.push(*transfer);
        true
    }

    /// Can another one be asked for?
    pub fn has_room(&self) -> bool {
        self.transfers.len() < TRANSFERS_MAX
    }

    /// Asks for one; its id and stage are given here. `None` where there is no room.
    pub fn request(&mut self, wanted: Transfer) -> Option<TransferId> {
        debug_assert!(
            wanted.arrives > 0 && wanted.arrives <= wanted.leaves,
            "it costs, and arrives"
        );
        if !self.has_room() {
            return None;
        }
        self.last = self.last.checked_add(1)?;
        let id = TransferId { epoch: self.epoch, number: self.last };
        self.transfers.push(Transfer { id, stage: TransferStage::Requested, ..wanted });
        Some(id)
    }

    /// An open transfer.
    pub fn get(&self, id: TransferId) -> Option<Transfer> {
        self.transfers.iter().find(|transfer| transfer.id == id).copied()
    }

    /// One that was asked for left: so much of it, of which so much is expected.
    pub fn sent(&mut self, id: TransferId, now: Nanos, leaves: i64, arrives: i64) {
        let found = self.transfers.iter_mut().find(|transfer| transfer.id == id);
        let Some(transfer) = found.filter(|t| t.stage == TransferStage::Requested) else { return };
        transfer.stage = TransferStage::Sent;
        transfer.since = now;
        (transfer.leaves, transfer.arrives) = (leaves, arrives);
        if let Some(flows) = self.flows.get_mut(usize::from(transfer.currency.0)) {
            flows.sent = flows.sent.saturating_add(leaves.into());
            let lost = i128::from(leaves).saturating_sub(arrives.into());
            flows.lost = flows.lost.saturating_add(lost);
        }
    }

    /// One that was on its way has come to its end with so much, there or back where it began; one
    /// that was only asked for is forgotten.
    pub fn end(&mut self, id: TransferId, came: i64) {
        let Some(place) = self.transfers.iter().position(|transfer| transfer.id == id) else {
            return;
        };
        let ended = self.transfers.remove(place);
        if ended.stage == TransferStage::Sent
            && let Some(flows) = self.flows.get_mut(usize::from(ended.currency.0))
        {
            flows.arrived = flows.arrived.saturating_add(came.into());
            let lost = i128::from(ended.arrives).saturating_sub(came.into());
            flows.lost = flows.lost.saturating_add(lost);
        }
    }

    /// The open ones, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter()
    }

    /// What a currency's transfers came to.
    pub fn flows(&self, currency: Currency) -> Flows {
        self.flows.get(usize::from(currency.0)).copied().unwrap_or_default()
    }

    /// What of a currency is on its way.
    pub fn on_the_way(&self, currency: Currency) -> i128 {
        let sent = self.transfers.iter().filter(|transfer| {
            transfer.currency == currency && transfer.stage == TransferStage::Sent
        });
        sent.map(|transfer| i128::from(transfer.arrives)).sum()
    }

    /// What of a currency's cash is on its way.
    pub fn cash_on_the_way(&self, currency: Currency) -> i128 {
        let sent = self.transfers.iter().filter(|transfer| {
            transfer.currency == currency
                && transfer.stage == TransferStage::Sent
                && transfer.moved == Moved::Cash
        });
        sent.map(|transfer| i128::from(transfer.arrives)).sum()
    }

    /// By how much a venue's holdings will change when all open transfers have arrived.
    pub fn pending(&self, venue: VenueId, currency: Currency) -> i128 {
        let of = self.transfers.iter().filter(|transfer| transfer.currency == currency);
        let change = of.map(|transfer| {
            let arrives = if transfer.to == venue { i128::from(transfer.arrives) } else { 0 };
            let is_leaving = transfer.from == venue && transfer.stage == TransferStage::Requested;
            arrives - if is_leaving { i128::from(transfer.leaves) } else { 0 }
        });
        change.sum()
    }

    /// What of a venue's holdings treasury was asked for and has not sent.
    pub fn requested_from(&self, venue: VenueId, currency: Currency) -> i128 {
        let asked = self.requested(currency).filter(|transfer| transfer.from == venue);
        asked.map(|transfer| i128::from(transfer.leaves)).sum()
    }

    /// What treasury was asked to bring to a venue and has not sent.
    pub fn requested_to(&self, venue: VenueId, currency: Currency) -> i128 {
        let asked = self.requested(currency).filter(|transfer| transfer.to == venue);
        asked.map(|transfer| i128::from(transfer.arrives)).sum()
    }

    fn requested(&self, currency: Currency) -> impl Iterator<Item = &Transfer> {
        let is_asked = move |transfer: &&Transfer| {
            transfer.currency == currency && transfer.stage == TransferStage::Requested
        };
        self.transfers.iter().filter(is_asked)
    }

    /// Is what is on its way what was sent, less what arrived, less what that cost?
    pub fn is_conserved(&self) -> bool {
        (0..=u8::MAX).zip(&self.flows).all(|(currency, flows)| {
            let left = flows.sent.checked_sub(flows.arrived);
            let left = left.and_then(|left| left.checked_sub(flows.lost));
            left == Some(self.on_the_way(Currency(currency)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(currency: u8, leaves: i64, fee: i64) -> Transfer {
        Transfer {
            id: TransferId::default(),
            currency: Currency(currency),
            from: VenueId(0),
            to: VenueId(1),
            moved: Moved::Cash,
            leaves,
            arrives: leaves - fee,
            stage: TransferStage::Sent,
            since: Nanos(5),
        }
    }

    #[test]
    fn a_transfer_is_asked_for_leaves_and_arrives_and_nothing_is_lost_but_its_cost() {
        let mut transit = Transit::new(3, 2);
        let id = transit.request(wanted(1, 100, 4)).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!((id.to_string().as_str(), transit.on_the_way(Currency(1))), ("3-1", 0));
        assert_eq!(transit.pending(VenueId(0), Currency(1)), -100);
        assert_eq!(transit.pending(VenueId(1), Currency(1)), 96);
        transit.sent(id, Nanos(9), 90, 86);
        assert_eq!(transit.on_the_way(Currency(1)), 86);
        assert_eq!(transit.pending(VenueId(0), Currency(1)), 0, "it has left");
        transit.end(id, 85);
        assert_eq!(transit.flows(Currency(1)), Flows { sent: 90, arrived: 85, lost: 5 });
        assert!(transit.is_conserved() && transit.iter().next().is_none());
    }

    #[test]
    fn one_that_was_never_sent_is_forgotten_and_a_full_table_asks_for_none() {
        let mut transit = Transit::new(1, 1);
        let ids: Vec<_> =
            (0..TRANSFERS_MAX).filter_map(|_| transit.request(wanted(0, 9, 1))).collect();
        assert_eq!(ids.len(), TRANSFERS_MAX);
        assert_eq!(transit.request(wanted(0, 9, 1)), None);
        transit.end(ids[0], 0);
        assert_eq!(transit.flows(Currency(0)), Flows::default());
        assert!(transit.request(wanted(0, 9, 1)).is_some_and(|id| !ids.contains(&id)));
    }

    #[test]
    fn what_an_earlier_run_left_counts_as_on_its_way() {
        let mut transit = Transit::new(2, 1);
        let left = Transfer { id: TransferId { epoch: 1, number: 7 }, ..wanted(0, 50, 2) };
        assert!(transit.restore(&left));
        assert_eq!(transit.on_the_way(Currency(0)), 48);
        assert!(transit.is_conserved());
        transit.end(left.id, 48);
        assert!(transit.is_conserved());
    }
}
