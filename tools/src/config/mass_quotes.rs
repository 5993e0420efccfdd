//! Which instruments are quoted by MassQuote(i), and in which MMP group: `[instrument.SYMBOL.quote]
//! mmp_group`.
//!
//! Fed by `maker.rs` with the file's tables; feeds its faults, and `live_venue.rs` with the groups. Cold.
//! Deliberately absent: what a group's limits are; the venue keeps them.

use super::faults::Faults;
use super::file::{DialectKind, RawConfig};
use super::instruments::InstrumentTable;
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{Instrument, InstrumentKind, Underlying};
use std::collections::BTreeMap;

/// The longest name of a group, and the most groups of an account.
const NAME_MAX: usize = 64;
const GROUPS_MAX: usize = 16;

fn group_of<'a>(raw: &'a RawConfig, instrument: &Instrument) -> Option<&'a str> {
    raw.instrument.get(instrument.symbol())?.quote.as_ref()?.mmp_group.as_deref()
}

/// The instruments of a venue that are quoted so, each with its group.
pub fn groups(
    raw: &RawConfig,
    instruments: &[Instrument],
    venue: VenueId,
) -> Vec<(InstrumentId, String)> {
    let here = instruments.iter().filter(|instrument| instrument.spec().venue == venue);
    here.filter_map(|i| Some((i.id(), group_of(raw, i)?.to_owned()))).collect()
}

/// Tells every fault.
pub(super) fn check(raw: &RawConfig, table: &InstrumentTable, faults: &mut Faults) {
    let mut groups: BTreeMap<(VenueId, &str), Underlying> = BTreeMap::new();
    for instrument in &table.instruments {
        let Some(group) = group_of(raw, instrument) else { continue };
        let spec = instrument.spec();
        let key = format!("instrument.{}.quote", instrument.symbol());
        let at = format!("{key}.mmp_group");
        let name = table.venues.name(usize::from(spec.venue.0)).unwrap_or_default();
        let venue = raw.venues.iter().find(|venue| venue.name == name);
        if venue.is_some_and(|venue| venue.dialect != DialectKind::Deribit) {
            faults.add(&at, group, "left out: no mass quotes but in the deribit dialect");
        }
        let is_name = (1..=NAME_MAX).contains(&group.len())
            && group.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            let allowed = format!("1 to {NAME_MAX} letters, digits and signs");
            faults.add(&at, format!("{group:?}"), allowed);
        }
        if spec.kind == InstrumentKind::Spot {
            faults.add(&at, group, "left out: the venue takes no mass quotes of spot");
        }
        let quote = raw.instrument.get(instrument.symbol()).and_then(|s| s.quote.as_ref());
        if let Some(levels) = quote.map(|quote| quote.levels).filter(|levels| *levels != 1) {
            let allowed = "1: an MMP group has one quote a side of an instrument";
            faults.add(format!("{key}.levels"), levels, allowed);
        }
        let other = *groups.entry((spec.venue, group)).or_insert(spec.underlying);
        if other != spec.underlying {
            faults.add(&at, group, "a group of its own for each underlying: a group has one index");
        }
    }
    for venue in groups.keys().map(|(venue, _)| *venue) {
        let count = groups.keys().filter(|(of, _)| *of == venue).count();
        if count > GROUPS_MAX {
            let name = table.venues.name(usize::from(venue.0)).unwrap_or_default();
            let allowed = format!("at most {GROUPS_MAX} MMP groups an account");
            faults.add(format!("venues.{name}"), format!("{count} groups"), allowed);
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    const DEMO: &str = include_str!("../../../config/demo.toml");

    /// The demo's config at a venue of this dialect, its quoted instrument in this group.
    fn demo(dialect: &str, group: &str) -> String {
        DEMO.replacen("name = \"sim\"\n", &format!("name = \"sim\"\ndialect = \"{dialect}\"\n"), 1)
            .replacen("fair_value = ", &format!("mmp_group = \"{group}\"\nfair_value = "), 1)
    }

    fn faults_of(text: &str) -> String {
        let file = ConfigFile::parse("t", text.to_owned()).unwrap();
        let mut faults = Faults::default();
        check(&file.raw, &file.table, &mut faults);
        faults.to_string()
    }

    #[test]
    fn what_the_venue_has_not_is_refused_with_the_reason() {
        let text = faults_of(&demo("plain", "one"));
        assert!(text.contains("no mass quotes but in the deribit dialect"), "{text}");
        // The demo quotes spot, in two levels.
        let text = faults_of(&demo("deribit", "o ne"));
        for part in ["1 to 64 letters", "no mass quotes of spot", "one quote a side"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
