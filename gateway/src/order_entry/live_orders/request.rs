//! A request to an order that is out: what it asks for and as what it went.
//!
//! Part of the index of live orders, which holds a few of them an order.

use ballast_engine::event::{ClOrdId, OrderAction};
use ballast_engine::units::{Lots, Ticks};

/// A replace or cancel that the venue has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its ClOrdID(11).
    pub cl_ord_id: ClOrdId,
    /// The name by which it asked for the order: OrigClOrdID(41).
    pub named: ClOrdId,
    /// Replace or cancel.
    pub action: OrderAction,
    /// What a replace asks for.
    pub price: Ticks,
    /// What a replace asks for.
    pub size: Lots,
    /// As what it went out.
    pub form: Form,
}

/// As what a request went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As what it is, or a replace as a cancel where the venue has no replace.
    Itself,
    /// A cancel as a question after its order (`doubts.rs`): nothing was asked of the order.
    Question,
    /// A replace as XCN (`renewal.rs`).
    Renewal,
    /// The same, and the first half is done: the old order is cancelled.
    HalfRenewed,
    /// A replace as XAK.
    Amendment,
    /// A replace as G at a venue at which the order keeps its first name (`kept_name.rs`).
    KeptName,
}
