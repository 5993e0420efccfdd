//! What is made anew from market events while a run goes on: Greeks, the covariance of a portfolio, hedge ratios.
//!
//! Fed with the market events that the maker is given, in that order; feeds it with journaled inputs. The backtest
//! asks between two events, in virtual time; live each has a thread of its own (`cold_thread`). Deliberately
//! absent: any decision; what comes late is too old for the maker.

use crate::operator::desk::Desk;
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::maker::input::Control;

/// What is made anew from market events, off the hot path.
pub trait Refresh: Send + 'static {
    /// Whose events it wants.
    fn instruments(&self) -> Vec<InstrumentId>;

    /// A market event that the maker is given: taken in, nothing more.
    fn take(&mut self, event: &MarketEvent);

    /// What is due by now is made, and appended to `out`.
    fn refresh_due(&mut self, out: &mut Vec<Control>);

    /// Something was made: what operators are shown of it.
    fn tell(&self, _desk: &Desk) {}

    /// A market event that the maker is given, and what a whole message makes due.
    fn see(&mut self, event: &MarketEvent, out: &mut Vec<Control>) {
        self.take(event);
        if event.last_in_message {
            self.refresh_due(out);
        }
    }
}
