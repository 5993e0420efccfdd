//! A treasury for backtests: what the maker asks for leaves at once and arrives after its time.
//!
//! Fed by the maker's open transfers after every turn; feeds the operator's words that a live treasury's
//! operator would give. One thread, the tape's time. Deliberately absent: delays and failures of
//! treasuries; the time and the fee are the config's.

use ballast_engine::inventory::rebalance::TransferTerms;
use ballast_engine::inventory::transfer::{TransferId, TransferStage};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::Control;
use ballast_engine::units::Nanos;
use std::collections::VecDeque;

/// The treasury.
pub(super) struct Treasury {
    terms: Vec<TransferTerms>,
    /// The last request that it took.
    last: TransferId,
}

impl Treasury {
    pub(super) fn new(config: &MakerConfig) -> Treasury {
        Treasury { terms: config.rebalance.transfers.clone(), last: TransferId::default() }
    }

    /// Takes what is asked for, and says when it leaves and when it arrives.
    pub(super) fn look(&mut self, maker: &Maker, words: &mut VecDeque<(Nanos, Control)>) {
        // Requests are numbered as they come.
        let last = self.last;
        let fresh = maker
            .transfers()
            .filter(|transfer| transfer.stage == TransferStage::Requested && transfer.id > last);
        for transfer in fresh {
            self.last = self.last.max(transfer.id);
            let terms = self.terms.iter().find(|terms| terms.currency == transfer.currency);
            let time_ns = terms.map_or(0, |terms| terms.time_ns);
            let (id, now) = (transfer.id, maker.now());
            let sent = Act::TransferSent { id, leaves: transfer.leaves };
            let arrived = Act::TransferArrived { id, came: transfer.arrives };
            for (at, act) in [(now, sent), (now.plus(time_ns), arrived)] {
                let word = Control::By { user: User::NOBODY, second: User::NOBODY, act };
                let place = words.partition_point(|(other, _)| *other <= at);
                words.insert(place, (at, word));
            }
        }
    }
}
