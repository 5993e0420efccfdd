//! What the maker consumes, in the order in which it consumes it: the truth that is journaled.

use crate::event::{InstrumentId, MarketEvent, OrderEvent};
use crate::inventory::derived::RowUpdate;
use crate::inventory::hedge_mix::MixUpdate;
use crate::maker::control::{Act, User};
use crate::maker::options::{GreekSpan, RefreshedGreeks};
use crate::maker::parameters::{MicroPriceUpdate, Parameters};
use crate::quote::multi_asset::SkewRow;
use crate::risk::collateral::CollateralView;
use crate::risk::firm::FirmView;

/// One input of [`Maker::step`](crate::maker::Maker::step).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The venue's word on an order, or a session's state.
    Order(OrderEvent),
    /// An operator's hand.
    Control(Control),
    /// The maker's own clock: timeouts and sampling happen here and nowhere else.
    Timer,
    /// A change of the market.
    Market(MarketEvent),
}

/// What an operator orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Stop quoting this instrument until resumed.
    Pause(InstrumentId),
    /// Quote it again, also after a halt.
    Resume(InstrumentId),
    /// Cancel everything and send no new order, ever again in this run.
    Kill,
    /// The run ends in order: the same, without the alarm.
    Shutdown,
    /// Refitted coefficients of one instrument's quotes.
    Parameters(Parameters),
    /// A member's row of a new covariance.
    Skew(SkewRow),
    /// How the collateral stands.
    Collateral(CollateralView),
    /// What a firm's other engines hold of an underlying.
    Firm(FirmView),
    /// A refitted micro-price of one instrument.
    MicroPrice(MicroPriceUpdate),
    /// Refreshed Greeks of one option.
    Greeks(RefreshedGreeks),
    /// How far the Greeks that come next may move before they are no longer believed.
    GreekSpan(GreekSpan),
    /// A refitted row of an underlying's derived band.
    HedgeRow(RowUpdate),
    /// Minimum-variance ratios of one set of an underlying's hedge instruments.
    HedgeMix(MixUpdate),
    /// A named operator's act, over the socket or by the kill switch.
    By {
        /// Who.
        user: User,
        /// The second operator, where it took one; else [`User::NOBODY`].
        second: User,
        /// What.
        act: Act,
    },
}
