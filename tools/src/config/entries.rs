//! What a venue's market data is made of: levels, or single orders.
//!
//! Written as `entries = { are = "orders", most = 20000 }` in `[[venues]]`; `venue_session.rs` hands it to
//! the feed. Cold. Deliberately absent: the books.

use ballast_gateway::venue::dialect::Entries;
use serde::Deserialize;

/// What an entry of market data is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(tag = "are", rename_all = "lowercase", deny_unknown_fields)]
pub enum RawEntries {
    /// All that is displayed at a price.
    #[default]
    Levels,
    /// One order, by its MDEntryID(278).
    Orders {
        /// Orders of one instrument that are kept; with more its book is not believed.
        most: usize,
    },
}

impl RawEntries {
    /// Orders that a config may ask to be kept.
    pub const MOST: usize = 1 << 22;
}

impl From<RawEntries> for Entries {
    fn from(raw: RawEntries) -> Entries {
        match raw {
            RawEntries::Levels => Entries::Levels,
            RawEntries::Orders { most } => Entries::Orders { most },
        }
    }
}
