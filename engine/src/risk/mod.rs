//! Pre-trade risk: what every intent passes, and the states that an instrument can be in.
//!
//! A missing limit refuses to start; there is no "unlimited" and no bypass. Each control has a reason and a
//! counter of its own, and a file; the four on sizes and positions, which all ask for the worst case of the
//! same orders, share [`limits`] and [`gate`].

pub mod breakout;
pub mod carried;
pub mod claim;
pub mod collar;
pub mod collateral;
pub mod duplicate;
pub mod executions;
pub mod firm;
pub mod gate;
pub mod greek_limits;
pub mod gross;
pub mod hours;
pub mod limits;
pub mod loss;
pub mod order_to_trade;
pub mod position_age;
pub mod pin;
pub mod protection;
pub mod self_trade;
pub mod share;
pub mod state;
pub mod throttle;
pub mod window;

#[cfg(test)]
mod boundary_tests;
