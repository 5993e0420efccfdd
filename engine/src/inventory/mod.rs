//! What we hold and where, what it exposes us to, and when to trade or move it away.

pub mod basis;
pub mod derived;
pub mod exit;
pub mod exposure;
pub mod hedge;
pub mod hedge_mix;
pub mod holdings;
pub mod option_book;
pub mod rebalance;
pub mod transfer;
