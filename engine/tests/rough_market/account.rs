//! The operator who has looked at an account: without him no instrument that is in doubt is resumed.

use ballast_engine::event::InstrumentId;
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::Control;
use ballast_engine::pnl::ledger::Holding;

/// Our number is the right one.
pub fn put_right(instrument: InstrumentId) -> Control {
    let act = Act::Adjust { holding: Holding::Position(instrument), amount: 0 };
    Control::By { user: User::NOBODY, second: User::NOBODY, act }
}
