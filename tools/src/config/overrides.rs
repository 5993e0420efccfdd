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
    /// The horizon ends so: `16:00 America/New_York` every day, or one instant.
    pub horizon_end: Option<String>,
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
            quote(tables, "model", &Value::String(model.clone()));
        }
        if let Some(end) = &self.horizon_end {
            quote(tables, "horizon_end", &Value::Table(horizon_end(end)));
        }
        if self.no_fees {
            for list in ["instruments", "chains"] {
                for traded in listed_tables(tables, list) {
                    for key in ["maker_fee_bps", "taker_fee_bps"] {
                        traded.insert(key.into(), Value::String("0".into()));
                    }
                }
            }
        }
        if let Some([market_data, order_entry]) = self.addresses {
            for venue in listed_tables(tables, "venues") {
                // The venue that is started here has none.
                venue.remove("drop_copy");
                for (key, address) in [("market_data", market_data), ("order_entry", order_entry)] {
                    if let Some(Value::Table(session)) = venue.get_mut(key) {
                        session.insert("address".into(), Value::String(address.to_string()));
                    }
                }
            }
        }
        if self.has_new_venues {
            for venue in listed_tables(tables, "venues") {
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

/// Every quote's `key` becomes `value`.
fn quote(tables: &mut Table, key: &str, value: &Value) {
    let set = |settings: &mut Table| {
        if let Some(Value::Table(quote)) = settings.get_mut("quote") {
            quote.insert(key.into(), value.clone());
        }
    };
    inner_tables(tables, "instrument").for_each(set);
    for chain in listed_tables(tables, "chains") {
        chain.get_mut("settings").and_then(Value::as_table_mut).map(set);
    }
}

/// `16:00 America/New_York`, or an instant, as the config has it; the config judges what it says.
fn horizon_end(text: &str) -> Table {
    let (at, zone) = text.split_once(' ').map_or((text, None), |(at, zone)| (at, Some(zone)));
    let pairs = [("at", Some(at)), ("zone", zone)].into_iter();
    let pairs = pairs.filter_map(|(key, value)| value.map(|value| (key, value)));
    pairs.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned()))).collect()
}

/// The tables of `[[key]]`.
fn listed_tables<'a>(
    tables: &'a mut Table,
    key: &str,
) -> impl Iterator<Item = &'a mut Table> + use<'a> {
    let list = tables.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_table_mut)
}

/// The tables in `[key]`.
fn inner_tables<'a>(
    tables: &'a mut Table,
    key: &str,
) -> impl Iterator<Item = &'a mut Table> + use<'a> {
    let outer = tables.get_mut(key).and_then(Value::as_table_mut);
    outer.into_iter().flat_map(|outer| outer.iter_mut()).filter_map(|(_, v)| v.as_table_mut())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use ballast_engine::units::FeeRate;

    #[test]
    fn chains_trade_at_no_fees_and_are_asked_for_the_model_as_instruments_are() {
        let text = include_str!("../../../config/es-options.toml").to_owned();
        let file = ConfigFile::parse("es.toml", text).expect("the example is sound");
        let changes = Overrides { no_fees: true, ..Overrides::default() };
        let free = file.changed(&changes).expect("so is what is changed of it");
        let (before, after) = (file.maker(1).unwrap(), free.maker(1).unwrap());
        let fees =
            |i: &ballast_engine::instrument::Instrument| (i.spec().maker_fee, i.spec().taker_fee);
        assert!(before.instruments.iter().all(|i| fees(i) != (FeeRate(0), FeeRate(0))));
        assert!(after.instruments.iter().all(|i| fees(i) == (FeeRate(0), FeeRate(0))));
        assert_eq!(after.instruments.len(), 18);
        // An option's skew is its book's: another model than symmetric is told, not passed over.
        let changes = Overrides { model: Some("glft".to_owned()), ..Overrides::default() };
        let told = file.changed(&changes).expect("the tables parse").maker(1).unwrap_err();
        assert!(told.to_string().contains("an option is quoted with model"), "{told}");
    }
}
