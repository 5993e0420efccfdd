//! Plain FIX 4.4 as it is written: the simulated venue, and brokers who keep to the book.
//!
//! The Logon's Username(553) and Password(554) are the session's own
//! [`Credentials`](crate::session::Credentials). Deliberately absent: anything that a venue invented.

use super::dialect::{Entries, Reconciliation, Rules};
use super::notice::OnNews;
use crate::order_entry::report::FIX_44;
use crate::order_entry::throttle::{Limits, MessageLimit};

/// Day orders, HandlInst(21), replace; one MarketDataRequest(V) an instrument. The limit stands where
/// no venue states one: 100,000 messages a second, a tenth kept for cancels.
pub const RULES: Rules = Rules {
    report_tags: FIX_44,
    refusal_tags: FIX_44,
    security_id_source: None,
    post_only: b"6",
    cancel_names_order: false,
    resting_time_in_force: Some(b"0"),
    has_transact_time: true,
    cancel_has_terms: true,
    has_handl_inst: true,
    has_replace: true,
    has_cancel_and_new: false,
    mass_cancel_by_symbol: false,
    positions_are_whole: false,
    lists_one: false,
    order_limits: Limits::on_all(MessageLimit {
        messages: 100_000,
        window_ns: 1_000_000_000,
        cancel_reserve: 10_000,
    }),
    market_depth: 0,
    entries: Entries::Levels,
    market_data_limits: Limits::on_all(MessageLimit {
        messages: 100_000,
        window_ns: 1_000_000_000,
        cancel_reserve: 0,
    }),
    splits_trades: false,
    has_update_type: true,
    on_news: OnNews::Tell,
    cancels_on_disconnect: false,
    reconciliation: Reconciliation::NONE,
};
