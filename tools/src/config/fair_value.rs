//! What a config says of fair value: the own touch, the calibrated micro-price, or other books.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::{RawQuote, RawSources};
use super::instruments::InstrumentTable;
use ballast_engine::estimate::blend::{BlendSettings, SOURCES_MAX, Source};
use ballast_engine::estimate::fair_value::FairValue;
use ballast_engine::estimate::micro_price::{IMBALANCE_BUCKETS, MicroPriceTable, SPREAD_BUCKETS};
use ballast_engine::fixed::Scaled;
use ballast_engine::instrument::Instrument;
use ballast_engine::units::SubTicks;

const MS: u64 = 1_000_000;

/// What an instrument is quoted around; `key` is that of its quote table. A micro-price that is refitted
/// is the mid until it has been.
pub(super) fn fair_value(
    key: &str,
    raw: &RawQuote,
    table: &InstrumentTable,
    instrument: &Instrument,
    is_refitted: bool,
    faults: &mut Faults,
) -> Option<FairValue> {
    let name = raw.fair_value.as_str();
    if raw.micro_price.is_some() && name != "micro_price" {
        faults.add(format!("{key}.micro_price"), name, "only with fair_value = \"micro_price\"");
    }
    if raw.sources.is_some() && !matches!(name, "lead" | "consolidated") {
        let allowed = "only with fair_value = \"lead\" or \"consolidated\"";
        faults.add(format!("{key}.sources"), name, allowed);
    }
    match name {
        "mid" => Some(FairValue::Mid),
        "weighted_mid" => Some(FairValue::WeightedMid),
        "micro_price" => {
            let Some(table) = raw.micro_price.as_deref() else {
                if is_refitted {
                    return Some(FairValue::MicroPrice(MicroPriceTable::NONE));
                }
                let allowed = "the table that `ballast calibrate --json` prints as \
                    micro_price.sub_ticks, or a run.refit that finds it";
                faults.add(format!("{key}.micro_price"), "missing", allowed);
                return None;
            };
            micro_price(&format!("{key}.micro_price"), table, faults).map(FairValue::MicroPrice)
        }
        "lead" | "consolidated" => {
            let Some(sources) = &raw.sources else {
                let allowed = "the other books that it looks at: { books = { SYMBOL = 1 }, … }";
                faults.add(format!("{key}.sources"), "missing", allowed);
                return None;
            };
            let is_lead = name == "lead";
            blend(&format!("{key}.sources"), sources, is_lead, table, instrument, faults)
                .map(FairValue::Blend)
        }
        other => {
            let allowed = "one of mid, weighted_mid, micro_price, lead, consolidated";
            faults.add(format!("{key}.fair_value"), other, allowed);
            None
        }
    }
}

/// A lead is one book without the own one; consolidated are the own one and up to four others.
fn blend(
    key: &str,
    raw: &RawSources,
    is_lead: bool,
    table: &InstrumentTable,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<BlendSettings> {
    let most = if is_lead { 1 } else { SOURCES_MAX };
    if !(1..=most).contains(&raw.books.len()) {
        faults.add(format!("{key}.books"), raw.books.len(), format!("1 to {most} other books"));
    }
    match (is_lead, raw.own_weight) {
        (true, Some(weight)) => {
            let allowed = "only with fair_value = \"consolidated\"";
            faults.add(format!("{key}.own_weight"), weight, allowed);
        }
        (false, None) => {
            faults.add(format!("{key}.own_weight"), "missing", "a weight of 1 to 1000000");
        }
        (false, Some(weight)) if !(1..=1_000_000).contains(&weight) => {
            faults.add(format!("{key}.own_weight"), weight, "a weight of 1 to 1000000");
        }
        (true, None) | (false, Some(_)) => {}
    }
    let times = [("half_life_ms", raw.half_life_ms), ("basis_interval_ms", raw.basis_interval_ms)];
    for (name, _) in times.iter().filter(|(_, value)| *value == 0) {
        faults.add(format!("{key}.{name}"), 0, "must be greater than zero");
    }
    if raw.basis_weight_shift > 20 {
        let name = format!("{key}.basis_weight_shift");
        faults.add(name, raw.basis_weight_shift, "must be at most 20");
    }
    let mut sources = [None; SOURCES_MAX];
    for (place, (symbol, weight)) in sources.iter_mut().zip(&raw.books) {
        let key = format!("{key}.books.{symbol}");
        let other = table.find(symbol).filter(|other| other.id() != instrument.id());
        let Some(other) = other else {
            faults.add(key, symbol, "another symbol of [[instruments]]");
            continue;
        };
        if *weight == 0 || *weight > 1_000_000 {
            faults.add(key, weight, "a weight of 1 to 1000000");
        }
        let ticks =
            |instrument: &Instrument| Scaled::new(i128::from(instrument.nano_quote_per_tick()), 0);
        let tick_ratio = ticks(other).over(ticks(instrument));
        *place = Some(Source { instrument: other.id(), weight: *weight, tick_ratio });
    }
    Some(BlendSettings {
        sources,
        own_weight: raw.own_weight.unwrap_or(0),
        half_life_ns: raw.half_life_ms.saturating_mul(MS),
        interval_ns: raw.basis_interval_ms.saturating_mul(MS),
        weight_shift: raw.basis_weight_shift,
    })
}

fn micro_price(key: &str, rows: &[Vec<i64>], faults: &mut Faults) -> Option<MicroPriceTable> {
    let mut table = MicroPriceTable::NONE;
    let is_shaped =
        rows.len() == SPREAD_BUCKETS && rows.iter().all(|row| row.len() == IMBALANCE_BUCKETS);
    if !is_shaped {
        let found: Vec<usize> = rows.iter().map(Vec::len).collect();
        let allowed = format!("{SPREAD_BUCKETS} rows of {IMBALANCE_BUCKETS} whole numbers");
        faults.add(key, format!("rows of {found:?}"), allowed);
        return None;
    }
    for (to, from) in table.adjustments.iter_mut().flatten().zip(rows.iter().flatten()) {
        *to = SubTicks(*from);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn faults_of(fair_value: &str) -> String {
        let text = include_str!("../../../config/demo.toml");
        let text = text.replace("fair_value = \"weighted_mid\"", fair_value);
        match ConfigFile::parse("test", text).and_then(|file| file.maker(1).map(|_| ())) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_lead_and_several_venues_are_taken() {
        let lead = r#"fair_value = "lead"
sources = { books = { BTCUSDT-PERP = 1 }, half_life_ms = 500, basis_interval_ms = 1000, basis_weight_shift = 6 }"#;
        assert_eq!(faults_of(lead), "");
        let both = r#"fair_value = "consolidated"
sources = { own_weight = 2, books = { BTCUSDT-PERP = 1, BTCUSD-PERP = 1 }, half_life_ms = 500, basis_interval_ms = 1000, basis_weight_shift = 6 }"#;
        assert_eq!(faults_of(both), "");
    }

    #[test]
    fn a_micro_price_needs_its_table_or_a_refit() {
        let micro_price = "fair_value = \"micro_price\"";
        assert!(faults_of(micro_price).contains("run.refit"));
        let text = include_str!("../../../config/demo.toml");
        let text = text.replace("fair_value = \"weighted_mid\"", micro_price);
        let refit = "[run]\nrefit = { every_s = 10, window_s = 120, lead_ms = 5 }\n";
        let file = ConfigFile::parse("test", text.replace("[run]\n", refit)).unwrap();
        let config = file.maker(1).unwrap();
        let found = config.settings.iter().find_map(|settings| settings.quote).unwrap();
        assert_eq!(found.fair_value, FairValue::MicroPrice(MicroPriceTable::NONE));
    }

    #[test]
    fn every_fault_of_the_sources_is_told() {
        let text = faults_of(
            r#"fair_value = "lead"
sources = { own_weight = 2, books = { BTCUSDT = 1, NONE = 0 }, half_life_ms = 0, basis_interval_ms = 0, basis_weight_shift = 21 }"#,
        );
        for key in [
            "sources.books = 2",
            "sources.own_weight",
            "half_life_ms",
            "basis_interval_ms",
            "basis_weight_shift",
            "books.BTCUSDT",
            "books.NONE",
        ] {
            assert!(text.contains(key), "{key} in {text}");
        }
        assert!(faults_of("fair_value = \"lead\"").contains("sources"));
        assert!(faults_of("fair_value = \"last\"").contains("consolidated"));
    }
}
