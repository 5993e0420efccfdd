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
            for settings in quotes(tables) {
                settings.insert("model".into(), Value::String(model.clone()));
            }
        }
        if let Some(end) = &self.horizon_end {
            for settings in quotes(tables) {
                let was = settings.get("horizon_end").and_then(Value::as_table);
                let end = Value::Table(horizon_end(end, was));
                settings.insert("horizon_end".into(), end);
            }
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

/// The `quote` table of every instrument and of every chain.
fn quotes(tables: &mut Table) -> Vec<&mut Table> {
    let mut quotes = Vec::new();
    for (key, value) in tables.iter_mut() {
        let settings: Vec<&mut Value> = match (key.as_str(), value) {
            ("instrument", Value::Table(instruments)) => {
                instruments.iter_mut().map(|(_, value)| value).collect()
            }
            ("chains", Value::Array(chains)) => {
                chains.iter_mut().filter_map(|chain| chain.get_mut("settings")).collect()
            }
            _ => continue,
        };
        let found = settings.into_iter().filter_map(|settings| settings.get_mut("quote"));
        quotes.extend(found.filter_map(Value::as_table_mut));
    }
    quotes
}

/// `16:00 America/New_York`, or an instant, as the config has it; the config judges what it says. When a
/// daily horizon begins, and on which days, stays as it `was`.
fn horizon_end(text: &str, was: Option<&Table>) -> Table {
    let (at, zone) = text.split_once(' ').map_or((text, None), |(at, zone)| (at, Some(zone)));
    let kept = was.filter(|was| zone.is_some() && was.contains_key("zone"));
    let mut end: Table = kept.cloned().unwrap_or_default();
    end.insert("at".into(), Value::String(at.to_owned()));
    if let Some(zone) = zone {
        end.insert("zone".into(), Value::String(zone.to_owned()));
    }
    end
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

    #[test]
    fn another_end_of_the_day_leaves_when_it_begins_and_on_which_days() {
        let text = "[instrument.X.quote]\nhorizon_end = { at = \"15:00\", zone = \"Europe/Berlin\", begin = \"09:30\", \
                    days = \"weekdays\" }\n[[chains]]\nsettings = { quote = { model = \"glft\" } }\n";
        let end_of = |end: &str| {
            let mut tables: Table = text.parse().unwrap();
            let changes = Overrides { horizon_end: Some(end.into()), ..Overrides::default() };
            changes.apply(&mut tables);
            let of =
                |settings: &Value| settings["quote"]["horizon_end"].as_table().cloned().unwrap();
            (of(&tables["instrument"]["X"]), of(&tables["chains"][0]["settings"]))
        };
        let (kept, new) = end_of("16:00 America/New_York");
        let keys =
            |end: &Table| end.values().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let (mut all, mut some) = (keys(&kept), keys(&new));
        all.sort();
        some.sort();
        assert_eq!(all, ["09:30", "16:00", "America/New_York", "weekdays"]);
        assert_eq!(some, ["16:00", "America/New_York"]);
        let (once, _) = end_of("2026-03-20T20:00:00Z");
        assert_eq!(keys(&once), ["2026-03-20T20:00:00Z"], "an instant has neither");
    }
}
