//! What we hold, what it exposes us to, and when to trade it away.

pub mod basis;
pub mod derived;
pub mod exit;
pub mod exposure;
pub mod hedge;
pub mod option_book;
