//! What the command line changes in a config: another model, no fees, no hedge.
//!
//! Fed by the commands that compare runs; feeds [`ConfigFile::changed`](super::ConfigFile::changed).

use std::net::SocketAddr;
use toml::{Table, Value};

/// Changes to a config.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// Quote with this model.
    pub model: Option<String>,
    /// Trade at no fees.
    pub no_fees: bool,
    /// Never hedge.
    pub no_hedge: bool,
    /// All venues are here: market data and order entry.
    pub addresses: Option<[SocketAddr; 2]>,
    /// The maker's time is the venue's.
    pub is_venue_time: bool,
    /// The venues begin with the run: there is nothing to reconcile with.
    pub has_new_venues: bool,
}

impl Overrides {
    /// Writes the changes into the file's tables.
    pub(super) fn apply(&self, tables: &mut Table) {
        if let Some(model) = &self.model {
            for settings in inner_tables(tables, "instrument") {
                if let Some(Value::Table(quote)) = settings.get_mut("quote") {
                    quote.insert("model".into(), Value::String(model.clone()));
                }
            }
        }
        if self.no_fees
            && let Some(Value::Array(instruments)) = tables.get_mut("instruments")
        {
            for instrument in instruments.iter_mut().filter_map(Value::as_table_mut) {
                for key in ["maker_fee_bps", "taker_fee_bps"] {
                    instrument.insert(key.into(), Value::String("0".into()));
                }
            }
        }
        if let Some([market_data, order_entry]) = self.addresses {
            let venues = tables.get_mut("venues").and_then(Value::as_array_mut);
            for venue in venues.into_iter().flatten().filter_map(Value::as_table_mut) {
                for (key, address) in [("market_data", market_data), ("order_entry", order_entry)] {
                    if let Some(Value::Table(session)) = venue.get_mut(key) {
                        session.insert("address".into(), Value::String(address.to_string()));
                    }
                }
            }
        }
        if self.has_new_venues {
            let venues = tables.get_mut("venues").and_then(Value::as_array_mut);
            for venue in venues.into_iter().flatten().filter_map(Value::as_table_mut) {
                venue.insert("reconcile".into(), Value::Array(Vec::new()));
            }
        }
        if self.is_venue_time
            && let Some(Value::Table(run)) = tables.get_mut("run")
        {
            run.insert("time".into(), Value::String("venue".into()));
        }
        if self.no_hedge {
            for underlying in inner_tables(tables, "underlying") {
                underlying.remove("hedge");
            }
        }
    }
}

fn inner_tables<'a>(
    tables: &'a mut Table,
    key: &str,
) -> impl Iterator<Item = &'a mut Table> + use<'a> {
    let outer = tables.get_mut(key).and_then(Value::as_table_mut);
    outer.into_iter().flat_map(|outer| outer.iter_mut()).filter_map(|(_, v)| v.as_table_mut())
}
