//! `[rebalance]`: what should be held where, and what moving it takes.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed; what can only be judged as a whole (weights that add up, cash that is all there) the engine
//! says.

use super::faults::Faults;
use super::file::RawConfig;
use super::instruments::{FEE_STEP, InstrumentTable};
use super::maker::{MS, NANO, currency};
use ballast_engine::event::VenueId;
use ballast_engine::inventory::holdings::PlaceTerms;
use ballast_engine::inventory::rebalance::{RebalanceConfig, TransferTerms};
use ballast_engine::maker::config::HedgeInstrument;
use ballast_engine::units::{Decimal, Ticks};
use serde::Deserialize;
use std::collections::BTreeMap;

const MILLIONTH: Decimal = Decimal { mantissa: 1, scale: 6 };
const SECOND_NS: u64 = 1_000_000_000;

/// `[rebalance]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRebalance {
    /// Distance of looks at what is where.
    pub every_ms: u64,
    /// What value at the wrong venue costs, basis points a day.
    pub idle_bps_day: String,
    /// Venue → currency → what should be there.
    pub holdings: BTreeMap<String, BTreeMap<String, RawPlace>>,
    /// Currency → what a transfer takes; a currency that is left out is never asked for.
    #[serde(default)]
    pub transfer: BTreeMap<String, RawTransfer>,
    /// Symbol → how far beyond the touch an offsetting trade may pay, in quote currency.
    #[serde(default)]
    pub offset: BTreeMap<String, String>,
}

/// One currency at one venue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlace {
    /// Its share of the currency's whole, 0 to 1.
    pub weight: String,
    /// How far the share may stray, 0 to 1.
    pub tolerance: String,
    /// Cash there at the start; of a coin it is the instrument's `opening`.
    pub opening: Option<String>,
}

/// What a transfer of a currency takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTransfer {
    /// Least that is moved.
    pub minimum: String,
    /// What one costs, of the same currency.
    pub fee: String,
    /// How long one takes.
    pub time_s: u64,
}

/// What should be held where; nothing is kept by venue where the table is left out.
pub(super) fn rebalance(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> RebalanceConfig {
    let mut config = RebalanceConfig::default();
    let Some(of) = &raw.rebalance else { return config };
    config.every_ns = of.every_ms.saturating_mul(MS);
    let idle = faults.count("rebalance.idle_bps_day", &of.idle_bps_day, FEE_STEP, 0);
    config.idle_ppb_day = idle.unwrap_or(0);
    if raw.run.sample_ms == 0 {
        let allowed =
            "must be greater than zero with [rebalance]: treasury is told with the samples";
        faults.add("run.sample_ms", 0, allowed);
    }
    for (name, currencies) in &of.holdings {
        let key = format!("rebalance.holdings.{name}");
        let venue = table.venues.find(name).and_then(|place| u8::try_from(place).ok());
        let Some(venue) = venue.map(VenueId) else {
            let known: Vec<_> = table.venues.iter().collect();
            faults.add(key, name, format!("a venue of an instrument: {}", known.join(", ")));
            continue;
        };
        let places = currencies.iter().filter_map(|(currency, raw)| {
            place(&format!("{key}.{currency}"), currency, venue, raw, table, faults)
        });
        config.places.extend(places);
    }
    if of.holdings.is_empty() {
        faults.add("rebalance.holdings", "{}", "name what should be held at each venue");
    }
    let transfers = of.transfer.iter().filter_map(|(name, raw)| {
        let key = format!("rebalance.transfer.{name}");
        let of = currency(table, &key, name, faults);
        let minimum = faults.count(&format!("{key}.minimum"), &raw.minimum, NANO, 1);
        let fee = faults.count(&format!("{key}.fee"), &raw.fee, NANO, 0);
        let time_ns = raw.time_s.saturating_mul(SECOND_NS);
        Some(TransferTerms { currency: of?, minimum: minimum?, fee: fee?, time_ns })
    });
    config.transfers.extend(transfers);
    for (symbol, collar) in &of.offset {
        let key = format!("rebalance.offset.{symbol}");
        let Some(instrument) = table.find(symbol) else {
            faults.add(key, symbol, "a symbol of [[instruments]]");
            continue;
        };
        let collar = faults.count(&key, collar, instrument.spec().tick, 0);
        let with = |collar| HedgeInstrument { instrument: instrument.id(), collar: Ticks(collar) };
        config.offsets.extend(collar.map(with));
    }
    config
}

fn place(
    key: &str,
    name: &str,
    venue: VenueId,
    raw: &RawPlace,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Option<PlaceTerms> {
    let of = currency(table, key, name, faults);
    let mut share = |part: &str, text: &str| {
        let key = format!("{key}.{part}");
        let count = faults.count(&key, text, MILLIONTH, 0)?;
        if count > 1_000_000 {
            faults.add(key, text, "must lie between 0 and 1");
        }
        u32::try_from(count).ok()
    };
    let weight = share("weight", &raw.weight);
    let tolerance = share("tolerance", &raw.tolerance);
    let opening = match &raw.opening {
        Some(text) => faults.count(&format!("{key}.opening"), text, NANO, i64::MIN),
        None => Some(0),
    };
    Some(PlaceTerms {
        venue,
        currency: of?,
        weight_ppm: weight?,
        tolerance_ppm: tolerance?,
        opening: opening?,
    })
}
