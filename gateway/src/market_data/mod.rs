//! The feed: a venue's market data over FIX becomes market events.

/// W and X as entries in ticks and lots.
pub mod refresh;

/// A book of single orders, where entries are orders.
pub mod order_book;

/// The feed's own book of an instrument.
pub mod own_book;

/// Into the market ring; what a full ring does.
pub mod publisher;

/// MarketDataRequest(V): what is asked for, and which answer belongs to which question.
pub mod subscription;

/// The stage.
mod stage;

pub use stage::{Feed, FeedConfig, FeedCounts};
