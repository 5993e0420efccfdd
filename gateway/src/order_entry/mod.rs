//! Order entry: intents become FIX orders and mass quotes, the venue's answers become order events.

/// ExecType and OrdStatus, and which may follow which.
pub mod status;

/// The orders that are out.
pub mod live_orders;

mod exec_id_file;
/// ExecIDs as numbers.
pub mod exec_ids;

/// Which message went out under which number.
pub mod sent;

/// The venue's answers, read.
pub mod report;

/// What an earlier run sent and heard.
pub mod earlier;

mod amounts;
mod contract;
mod ear;
mod questions;
mod doubts;
mod cancel_refused;
mod renewal;

/// A second session that repeats every report.
pub mod drop_copy;
mod reconcile;
mod fills;
mod kept_name;
mod quotes;
mod waiting;
mod witness;
mod status_led;
mod returned;
mod takeover;

/// The venue's answers, told to the maker.
pub mod desk;

/// The venue's limit on messages.
pub mod throttle;

/// Intents as D, G and F.
pub mod requests;

/// The stage.
mod stage;

pub use stage::{CancelSwitch, OWN_IDS, OrderEntry, OrderEntryConfig, OrderEntryCounts};
