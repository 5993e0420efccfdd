//! MarketDataRequest(V): what is asked for, and which answer belongs to which question.
//!
//! Asked by the feed whenever a book is wanted; feeds the session with V. Feed thread. Every question
//! has a new MDReqID(262), so that increments of an old subscription, which may still be under way
//! after a gap, cannot be taken for the new one's. Deliberately absent: books.

use crate::fix::encode::Encoder;
use crate::fix::tag;
use crate::venue::dialect::{Entries, Rules};
use ballast_engine::units::Nanos;

/// Bits of an MDReqID(262) that name the place and the half; the rest counts the questions.
const PLACE_BITS: u32 = 16;

/// What is asked for in one V.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    /// Levels, and trades with them where the venue allows it.
    Book,
    /// Trades, where they need a question of their own.
    Trades,
}

/// Where one instrument's subscription stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// To be asked for at this time.
    Wanted {
        /// When.
        at: Nanos,
    },
    /// Asked for; the snapshot has not come.
    Asked {
        /// When.
        at: Nanos,
    },
    /// The snapshot came, and increments follow.
    Live,
}

/// One instrument's subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Where it stands.
    pub standing: Standing,
    /// Which question is the newest, 0 before the first.
    questions: u64,
    /// The newest question was asked in this connection, and can be withdrawn in it.
    pub is_open: bool,
}

impl Subscription {
    /// To be asked for at once.
    pub const fn new() -> Subscription {
        Subscription { standing: Standing::Wanted { at: Nanos(0) }, questions: 0, is_open: false }
    }

    /// The MDReqID(262) of the newest question.
    pub fn md_req_id(&self, place: usize, half: Half) -> u64 {
        let place = u64::try_from(place).unwrap_or(0) & ((1 << (PLACE_BITS - 1)) - 1);
        (self.questions << PLACE_BITS) | (place << 1) | u64::from(half == Half::Trades)
    }

    /// When it is to be asked for, at the earliest: `again_ns` after a question without an answer. `None` for
    /// one that is live.
    pub fn due(&self, again_ns: u64) -> Option<Nanos> {
        match self.standing {
            Standing::Wanted { at } => Some(at),
            Standing::Asked { at } => Some(at.plus(again_ns)),
            Standing::Live => None,
        }
    }

    /// Asks anew.
    pub fn next_question(&mut self) {
        self.questions += 1;
    }

    /// Whether an answer with this MDReqID(262) belongs to the newest question.
    pub fn is_answer(&self, md_req_id: u64) -> bool {
        self.questions > 0 && md_req_id >> PLACE_BITS == self.questions
    }
}

impl Default for Subscription {
    fn default() -> Subscription {
        Subscription::new()
    }
}

/// The place that an MDReqID(262) of ours names.
pub fn place_of(md_req_id: u64) -> Option<usize> {
    usize::try_from((md_req_id & ((1 << PLACE_BITS) - 1)) >> 1).ok()
}

/// One V: subscribe, or withdraw an earlier subscription.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// MDReqID(262).
    pub md_req_id: u64,
    /// Subscribe (1) or withdraw (2).
    pub is_subscribe: bool,
    /// MarketDepth(264), 0 for all.
    pub market_depth: u64,
    /// What is asked for.
    pub half: Half,
    /// Symbol(55).
    pub symbol: &'a [u8],
}

impl Question<'_> {
    /// Writes the body of the message.
    pub fn write(&self, encoder: &mut Encoder<'_>, rules: &Rules) {
        encoder.uint(tag::MD_REQ_ID, self.md_req_id);
        encoder.bytes(tag::SUBSCRIPTION_REQUEST_TYPE, if self.is_subscribe { b"1" } else { b"2" });
        encoder.uint(tag::MARKET_DEPTH, self.market_depth);
        if rules.has_update_type && self.is_subscribe {
            encoder.bytes(tag::MD_UPDATE_TYPE, b"1");
        }
        match rules.entries {
            Entries::Levels => {}
            // FIX leaves it to the venue where it is not said.
            Entries::Orders { .. } => _ = encoder.bytes(tag::AGGREGATED_BOOK, b"N"),
        }
        let types: &[&[u8]] = match (self.half, rules.splits_trades) {
            (Half::Book, false) => &[b"0", b"1", b"2"],
            (Half::Book, true) => &[b"0", b"1"],
            (Half::Trades, _) => &[b"2"],
        };
        encoder.uint(tag::NO_MD_ENTRY_TYPES, u64::try_from(types.len()).unwrap_or(0));
        for kind in types {
            encoder.bytes(tag::MD_ENTRY_TYPE, kind);
        }
        encoder.uint(tag::NO_RELATED_SYM, 1).bytes(rules.report_tags.symbol, self.symbol);
        if let Some(source) = rules.security_id_source {
            encoder.bytes(tag::SECURITY_ID_SOURCE, source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_old_question_is_told_from_the_new_ones() {
        let mut subscription = Subscription::new();
        assert!(!subscription.is_answer(0), "nothing was asked");
        subscription.next_question();
        let old = subscription.md_req_id(7, Half::Book);
        assert!(subscription.is_answer(old));
        assert!(subscription.is_answer(subscription.md_req_id(7, Half::Trades)));
        subscription.next_question();
        assert!(!subscription.is_answer(old));
        assert_eq!(place_of(old), Some(7));
        assert_eq!(place_of(subscription.md_req_id(300, Half::Trades)), Some(300));
    }
}
