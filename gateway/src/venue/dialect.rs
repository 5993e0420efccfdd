//! What differs from venue to venue beside the Logon: a table, not code.
//!
//! Written by the files of the venues; read by both stages at start. Deliberately absent: Logon
//! fields and signatures, which each venue's `Dialect` adds.

use super::notice::OnNews;
use crate::order_entry::report::ReportTags;
use crate::order_entry::throttle::Limits;

/// One venue's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Which fields of a report carry our ClOrdIDs.
    pub report_tags: ReportTags,
    /// The same for OrderCancelReject(9).
    pub refusal_tags: ReportTags,
    /// SecurityIDSource(22), where what is traded is named by SecurityID(48).
    pub security_id_source: Option<&'static [u8]>,
    /// ExecInst(18) of an order that must not take.
    pub post_only: &'static [u8],
    /// A cancel bears the order's ClOrdID(11), and no OrigClOrdID(41).
    pub cancel_names_order: bool,
    /// TimeInForce(59) of a resting order, where it has one beside ExecInst(18).
    pub resting_time_in_force: Option<&'static [u8]>,
    /// TransactTime(60) goes out with each order message.
    pub has_transact_time: bool,
    /// Side(54) and OrderQty(38) go out with a cancel.
    pub cancel_has_terms: bool,
    /// HandlInst(21) = 1 goes out with each order.
    pub has_handl_inst: bool,
    /// OrderCancelReplaceRequest(G) is taken; else a replace goes out as a cancel under its own
    /// ClOrdID(11), and the maker sends a new order once the venue has cancelled. Where reports name an
    /// order as it was sent first (`report_tags`), G does too, and says neither type nor TimeInForce(59).
    pub has_replace: bool,
    /// A replace may go out as OrderCancelRequestAndNewOrderSingle(XCN), and one that only shrinks as
    /// OrderAmendKeepPriorityRequest(XAK): `order_entry/renewal.rs`.
    pub has_cancel_and_new: bool,
    /// OrderMassCancelRequest(q) names a symbol, and is sent for each.
    pub mass_cancel_by_symbol: bool,
    /// RequestForPositions(AN) names no account, and one PositionReport(AP) answers it, with the symbols of
    /// orders: one that we do not trade is none that we ask about.
    pub positions_are_whole: bool,
    /// OrderMassStatusRequest(AF) naming an order by its first ClOrdID(11) tells what became of it, also
    /// where it is closed. After a Logon each order that we know is asked about so before it is cancelled:
    /// what traded while nobody listened no other report tells.
    pub lists_one: bool,
    /// Messages to the order-entry session.
    pub order_limits: Limits,
    /// MarketDepth(264): 0 is the whole book where the venue has such a thing.
    pub market_depth: u64,
    /// What an entry of market data is.
    pub entries: Entries,
    /// Messages to the market-data session; a question beyond it waits.
    pub market_data_limits: Limits,
    /// Trades are subscribed to by a MarketDataRequest(V) of their own.
    pub splits_trades: bool,
    /// MDUpdateType(265) = 1 goes out with each request.
    pub has_update_type: bool,
    /// What News(B) asks of the session.
    pub on_news: OnNews,
    /// The venue cancels our orders when the session ends; else we do after the next Logon.
    pub cancels_on_disconnect: bool,
    /// What can be asked after a Logon.
    pub reconciliation: Reconciliation,
}

/// What an entry of W and X is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entries {
    /// All that is displayed at a price.
    Levels,
    /// One order, by its MDEntryID(278).
    Orders {
        /// Orders of one instrument that are kept; with more its book is not believed.
        most: usize,
    },
}

/// What a venue answers about our orders and holdings. A question that it refuses after all is passed
/// over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reconciliation {
    /// OrderMassCancelRequest(q) of everything.
    pub mass_cancel: bool,
    /// OrderMassStatusRequest(AF) of everything.
    pub mass_status: bool,
    /// OrderStatusRequest(H).
    pub status: bool,
    /// RequestForPositions(AN); without it an operator confirms what is held after a crash.
    pub positions: bool,
}

impl Reconciliation {
    /// Nothing but cancels.
    pub const NONE: Reconciliation =
        Reconciliation { mass_cancel: false, mass_status: false, status: false, positions: false };
    /// All that FIX 4.4 has.
    pub const ALL: Reconciliation =
        Reconciliation { mass_cancel: true, mass_status: true, status: true, positions: true };
}
