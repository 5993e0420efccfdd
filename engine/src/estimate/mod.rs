//! What the market is worth and how much it moves, in fixed point.

pub mod blend;
pub mod fair_value;
pub mod markout;
pub mod micro_price;
pub mod option_value;
pub mod volatility;
