//! What the market is worth and how much it moves, in fixed point.

pub mod fair_value;
pub mod option_value;
pub mod volatility;
