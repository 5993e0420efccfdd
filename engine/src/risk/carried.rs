//! What the risk controls must not forget over a restart.
//!
//! Fed by the maker ([`Maker::carried`](crate::maker::Maker::carried)), kept by whoever starts it, and
//! fed back with the next start's config. Plain values. Deliberately absent: the file.

use crate::event::InstrumentId;
use crate::pnl::fee_tiers::CarriedFees;
use crate::risk::loss::{CarriedDay, CarriedStops};
use crate::risk::order_to_trade::CarriedRatio;

/// Where the controls stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CarriedRisk {
    /// The trading day so far.
    pub day: Option<CarriedDay>,
    /// Instruments that the repeated-execution throttle has switched off and nobody on again.
    pub switched_off: Vec<InstrumentId>,
    /// Which of the day's stops had been reached.
    pub stops: CarriedStops,
    /// The day's messages and trades, one a venue.
    pub ratios: Vec<CarriedRatio>,
    /// What was traded in the days that count for fees, one an instrument; `None` where it has no tiers.
    pub fees: Vec<Option<CarriedFees>>,
}
