//! Our own orders: what is wanted, what works, what is unknown.

pub mod diff;
pub mod order;
pub mod table;
