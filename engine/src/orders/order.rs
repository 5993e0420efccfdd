//! One order of ours and every state that it can be in.
//!
//! Fed by the table with intents and the venue's words; feeds the diff and the gate. Maker thread.
//! The rule that all of it serves: what was not answered is **in doubt**, never rejected and never
//! filled, and counts in full until the venue says otherwise.

use crate::event::{ClOrdId, InstrumentId, OrderUpdate};
use crate::units::{Lots, Nanos, Side, Ticks, less};

/// Why an order exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Purpose {
    /// A resting quote of the ladder.
    Quote {
        /// 0 is nearest to the fair value.
        level: u8,
    },
    /// An immediate order that takes exposure off.
    Hedge,
    /// An immediate order that moves holdings between venues, with another one against it.
    Rebalance,
}

/// Where an order stands, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum OrderState {
    /// Sent, not answered.
    PendingNew,
    /// In the venue's book.
    Working,
    /// A replace is under way; the old or the new may be in the book.
    PendingReplace,
    /// A cancel is under way; the order may still trade.
    PendingCancel,
    /// Not answered in time, or the session broke: it may be anything.
    InDoubt,
}

/// An order that is, or may be, at a venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Order {
    /// ClOrdID(11) under which the venue knows it.
    pub cl_ord_id: ClOrdId,
    /// ClOrdID(11) of the replace that is not answered yet; none otherwise.
    pub replace_id: ClOrdId,
    /// ClOrdID(11) of the latest cancel that is not answered yet; none otherwise.
    pub cancel_id: ClOrdId,
    /// The name that this cancel asked for: an answer to it says nothing about a later name.
    pub cancel_of: ClOrdId,
    /// The venue answered under the old name that the order lives, and the replace is unanswered:
    /// the next question goes by the replace's name.
    pub asks_new_name: bool,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Side(54).
    pub side: Side,
    /// Why.
    pub purpose: Purpose,
    /// Price(44) that works.
    pub price: Ticks,
    /// OrderQty(38) that works.
    pub size: Lots,
    /// CumQty(14).
    pub cum_qty: Lots,
    /// Part of `cum_qty` whose fills were not told to us: traded, but not in the account.
    pub missed: Lots,
    /// The venue has said that it took the order.
    pub is_acknowledged: bool,
    /// Price and OrderQty that the unanswered replace asks for.
    pub replacement: Option<(Ticks, Lots)>,
    /// Where it stands.
    pub state: OrderState,
    /// When the last request was sent.
    pub requested_at: Nanos,
}

/// What the venue's word meant for an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The order changed, or nothing did, and it lives on.
    Lives,
    /// The order is gone.
    Gone,
    /// It traded; `is_gone` where nothing is left.
    Filled {
        /// Nothing is left.
        is_gone: bool,
        /// More traded than we ordered.
        is_overfill: bool,
        /// CumQty(14) does not continue ours: a fill was missed or corrected.
        is_inconsistent: bool,
    },
    /// A fill that is already in our CumQty(14).
    DuplicateFill,
    /// An earlier fill was corrected or cancelled: the ledger is put right by its ExecRefID(19).
    Amended {
        /// Nothing is left.
        is_gone: bool,
    },
    /// The order is said to be gone with more filled than we were told of: in doubt until the
    /// missing fill comes.
    MissesFill,
}

impl Order {
    /// An order that was sent at `at`, and of which nothing has been heard.
    pub fn sent(
        at: Nanos,
        cl_ord_id: ClOrdId,
        (instrument, side): (InstrumentId, Side),
        (price, size): (Ticks, Lots),
        purpose: Purpose,
    ) -> Order {
        Order {
            cl_ord_id,
            replace_id: ClOrdId::NONE,
            cancel_id: ClOrdId::NONE,
            cancel_of: ClOrdId::NONE,
            asks_new_name: false,
            instrument,
            side,
            purpose,
            price,
            size,
            cum_qty: Lots(0),
            missed: Lots(0),
            is_acknowledged: false,
            replacement: None,
            state: OrderState::PendingNew,
            requested_at: at,
        }
    }

    /// What the account may still be told of: the larger of what works and what is asked for, and
    /// what traded unseen.
    #[inline]
    pub fn leaves_worst(&self) -> Lots {
        let asked = self.replacement.map_or(self.size, |(_, size)| size.max(self.size));
        let open = asked.0.saturating_sub(self.cum_qty.0).max(0);
        Lots(open.saturating_add(self.missed.0))
    }

    /// What works now.
    #[inline]
    pub fn leaves(&self) -> Lots {
        Lots(less(self.size.0, self.cum_qty.0).max(0))
    }

    /// Whether a replace to `size` may let more trade than counts already. Most moves ask for no more.
    #[inline]
    pub fn may_grow(&self, size: Lots) -> bool {
        self.replacement.is_some() || size > self.size
    }

    /// What a replace to `size` leaves to trade, and by how much that is more than what counts already.
    #[inline]
    pub fn leaves_of(&self, size: Lots) -> (Lots, Lots) {
        let leaves = less(size.0, self.cum_qty.0);
        let added = |worst: Lots| Lots(leaves.saturating_sub(worst.0).max(0));
        debug_assert!(
            self.may_grow(size) || added(self.leaves_worst()).0 == 0,
            "it counts already"
        );
        let added = if self.may_grow(size) { added(self.leaves_worst()) } else { Lots(0) };
        (Lots(leaves), added)
    }

    /// The price nearest to the market at which it may trade, for the value limits and self-trade.
    #[inline]
    pub fn price_worst(&self) -> Ticks {
        match (self.replacement, self.side) {
            (Some((price, _)), Side::Buy) => price.max(self.price),
            (Some((price, _)), Side::Sell) => price.min(self.price),
            (None, Side::Buy | Side::Sell) => self.price,
        }
    }

    /// Applies the venue's word. The table maps ids and keeps sums; this decides the state.
    pub fn apply(&mut self, named: ClOrdId, update: OrderUpdate) -> Outcome {
        match update {
            OrderUpdate::Pending
            | OrderUpdate::SessionUp
            | OrderUpdate::Position { .. }
            | OrderUpdate::ContractDiffers => Outcome::Lives,
            OrderUpdate::SessionDown
            | OrderUpdate::SessionReconciling
            | OrderUpdate::SessionHalted { .. } => {
                self.state = OrderState::InDoubt;
                Outcome::Lives
            }
            OrderUpdate::New { .. } => {
                self.acknowledge();
                Outcome::Lives
            }
            OrderUpdate::Fill { last_qty, cum_qty, leaves_qty, .. } => {
                self.fill(last_qty, cum_qty, leaves_qty)
            }
            OrderUpdate::Replaced { price, leaves_qty } => self.replaced(named, price, leaves_qty),
            OrderUpdate::Restated { price, leaves_qty } => {
                self.price = price;
                self.size = Lots(self.cum_qty.0.saturating_add(leaves_qty.0));
                Outcome::Lives
            }
            OrderUpdate::Status { is_gone: false, cum_qty, leaves_qty } => {
                self.stands(named, cum_qty, leaves_qty)
            }
            // The name that was asked about is gone, perhaps because the replace was done.
            OrderUpdate::Status { is_gone: true, cum_qty, .. }
                if self.replacement.is_some()
                    && named == self.cl_ord_id
                    && cum_qty <= self.cum_qty
                    && cum_qty < self.size =>
            {
                self.go_by_the_new_name()
            }
            OrderUpdate::Status { is_gone: true, cum_qty, .. }
            | OrderUpdate::Canceled { cum_qty } => self.end(cum_qty),
            OrderUpdate::TradeCorrected { cum_qty, leaves_qty, .. }
            | OrderUpdate::TradeCanceled { cum_qty, leaves_qty, .. } => {
                self.cum_qty = cum_qty;
                Outcome::Amended { is_gone: leaves_qty.0 <= 0 }
            }
            // Some venues refuse a replace or a cancel by a report: the order itself works on.
            OrderUpdate::Rejected { .. } if self.is_request(named) => self.refused(named, false),
            OrderUpdate::Rejected { .. } => Outcome::Gone,
            OrderUpdate::CancelRejected { is_gone, .. } => self.refused(named, is_gone),
            OrderUpdate::MessageRejected { .. } | OrderUpdate::Unsent => self.not_taken(named),
        }
    }

    fn is_request(&self, named: ClOrdId) -> bool {
        named != ClOrdId::NONE && (named == self.replace_id || named == self.cancel_id)
    }

    /// The venue has the order. Said twice, it says nothing about a request that was sent since.
    fn acknowledge(&mut self) {
        if self.is_acknowledged {
            return;
        }
        self.is_acknowledged = true;
        match self.state {
            OrderState::PendingNew | OrderState::InDoubt => self.resume(),
            OrderState::Working | OrderState::PendingReplace | OrderState::PendingCancel => {}
        }
    }

    /// The venue says under which name the order works. Under the name of an unanswered replace it
    /// says that the replace was done, though its answer was lost; under the old one it says nothing
    /// of a replace that may be on its way.
    fn stands(&mut self, named: ClOrdId, cum_qty: Lots, leaves_qty: Lots) -> Outcome {
        if let Some((price, _)) = self.replacement
            && named != ClOrdId::NONE
            && named == self.replace_id
        {
            return self.replaced(named, price, leaves_qty);
        }
        self.keep_at_least(cum_qty, leaves_qty);
        self.is_acknowledged = true;
        if self.state == OrderState::InDoubt && self.replacement.is_none() {
            self.resume();
        }
        Outcome::Lives
    }

    /// The venue says that so much traded and so much works: an order that it lets trade beyond what we
    /// asked for counts with what works yet. That it says less settles nothing here.
    fn keep_at_least(&mut self, cum_qty: Lots, leaves_qty: Lots) {
        self.size = self.size.max(Lots(cum_qty.0.saturating_add(leaves_qty.0)));
    }

    /// Only an answer under the new name proves that nothing is left.
    fn go_by_the_new_name(&mut self) -> Outcome {
        let Some((price, size)) = self.replacement else { return Outcome::Lives };
        self.cl_ord_id = self.replace_id;
        self.price = price;
        self.size = size;
        self.forget_replace();
        self.state = OrderState::InDoubt;
        Outcome::Lives
    }

    fn replaced(&mut self, named: ClOrdId, price: Ticks, leaves_qty: Lots) -> Outcome {
        if named == self.cl_ord_id {
            // Said twice: fills and requests since then stand.
            return Outcome::Lives;
        }
        self.cl_ord_id = named;
        self.price = price;
        self.size = Lots(self.cum_qty.0.saturating_add(leaves_qty.0));
        self.is_acknowledged = true;
        // An earlier run's replace before the last: that one is as open as it was.
        let is_earlier = self.state == OrderState::InDoubt && named < self.replace_id;
        if !is_earlier || self.replacement.is_none() {
            self.forget_replace();
            self.resume();
        }
        if leaves_qty.0 > 0 { Outcome::Lives } else { Outcome::Gone }
    }

    /// The venue refused the request that `named` names.
    fn refused(&mut self, named: ClOrdId, is_gone: bool) -> Outcome {
        if named != ClOrdId::NONE && named == self.replace_id {
            self.forget_replace();
            if is_gone {
                return Outcome::Gone;
            }
            self.is_acknowledged = true;
            self.resume();
            return Outcome::Lives;
        }
        let is_latest = named == self.cancel_id;
        let is_about_new_name =
            is_latest && self.replacement.is_some() && self.cancel_of == self.replace_id;
        let is_about_old_name = is_latest && !is_about_new_name && self.cancel_of != self.cl_ord_id;
        if is_latest {
            self.cancel_id = ClOrdId::NONE;
        }
        if is_about_new_name {
            return self.refused_under_the_new_name(is_gone);
        }
        match (is_gone && !is_about_old_name, self.replacement) {
            (true, None) => Outcome::Gone,
            // Perhaps because the unanswered replace was done.
            (true, Some(_)) => self.go_by_the_new_name(),
            (false, Some(_)) if is_latest => {
                // It lives, and not by the name that we asked for, or the replace is on its way yet.
                self.is_acknowledged = true;
                self.asks_new_name = true;
                self.state = OrderState::InDoubt;
                Outcome::Lives
            }
            (false, None) if is_latest => {
                self.is_acknowledged = true;
                self.resume();
                Outcome::Lives
            }
            (false, _) => Outcome::Lives,
        }
    }

    /// A cancel under the unanswered replace's name was refused: there is an order of that name, or
    /// there never was.
    fn refused_under_the_new_name(&mut self, is_gone: bool) -> Outcome {
        self.asks_new_name = false;
        if is_gone {
            // The replace was never done, or it is over: the old name will tell.
            self.forget_replace();
            self.state = OrderState::InDoubt;
        } else if let Some((price, size)) = self.replacement {
            let leaves = Lots(size.0.saturating_sub(self.cum_qty.0));
            return self.replaced(self.replace_id, price, leaves);
        }
        Outcome::Lives
    }

    /// The message that `named` names was not acted on: only that request died.
    fn not_taken(&mut self, named: ClOrdId) -> Outcome {
        if named != ClOrdId::NONE && named == self.replace_id {
            self.forget_replace();
        } else if named != ClOrdId::NONE && named == self.cancel_id {
            self.cancel_id = ClOrdId::NONE;
        } else if named == self.cl_ord_id && !self.is_acknowledged {
            return Outcome::Gone;
        } else {
            return Outcome::Lives;
        }
        if self.state != OrderState::InDoubt {
            self.resume();
        }
        Outcome::Lives
    }

    fn forget_replace(&mut self) {
        self.replace_id = ClOrdId::NONE;
        self.replacement = None;
        self.asks_new_name = false;
    }

    /// The state that is left by what is still unanswered.
    fn resume(&mut self) {
        self.state = if self.cancel_id != ClOrdId::NONE {
            OrderState::PendingCancel
        } else if self.replace_id != ClOrdId::NONE {
            OrderState::PendingReplace
        } else if self.is_acknowledged {
            OrderState::Working
        } else {
            OrderState::PendingNew
        };
    }

    /// The venue says that the order is gone with `cum_qty` filled.
    fn end(&mut self, cum_qty: Lots) -> Outcome {
        if cum_qty <= self.cum_qty {
            return Outcome::Gone;
        }
        // What is missing counts as open until its fill comes.
        self.size = cum_qty;
        self.cancel_id = ClOrdId::NONE;
        self.forget_replace();
        self.state = OrderState::InDoubt;
        Outcome::MissesFill
    }

    fn fill(&mut self, last_qty: Lots, cum_qty: Lots, leaves_qty: Lots) -> Outcome {
        if cum_qty <= self.cum_qty {
            if last_qty > self.missed {
                return Outcome::DuplicateFill;
            }
            // Order entry tells no ExecID(17) twice: this is the fill that a later one overtook.
            self.missed = Lots(self.missed.0.saturating_sub(last_qty.0));
            let is_gone = self.leaves_worst().0 == 0;
            return Outcome::Filled { is_gone, is_overfill: false, is_inconsistent: true };
        }
        let is_overfill = last_qty > self.leaves_worst();
        let missed = cum_qty.0.saturating_sub(self.cum_qty.0).saturating_sub(last_qty.0);
        let is_inconsistent = missed != 0;
        self.missed = Lots(self.missed.0.saturating_add(missed.max(0)));
        self.cum_qty = cum_qty;
        // A fill before the acknowledgement says as much as the acknowledgement.
        self.acknowledge();
        if leaves_qty.0 <= 0 && self.missed.0 > 0 {
            // Nothing works any more, and part of what traded is still to be told.
            self.size = cum_qty;
            self.forget_replace();
            self.state = OrderState::InDoubt;
            return Outcome::Filled { is_gone: false, is_overfill, is_inconsistent };
        }
        let is_gone = leaves_qty.0 <= 0;
        if !is_gone {
            self.keep_at_least(cum_qty, leaves_qty);
        }
        Outcome::Filled { is_gone, is_overfill, is_inconsistent }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
