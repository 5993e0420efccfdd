//! What fills were worth against the mid some time after them.
//!
//! Fed with a run's fills and sampled mids ([`Legs`]); feeds the blocks of `study readme-table`. PnL is
//! what quotes earn and what inventory held since wins or loses with the price: the first is told here,
//! at the horizons of calibration and of the blocks, so that luck with the price can be seen apart from
//! it. A time is when the maker learned of the fill, a mid the last sample by then; after the last
//! sample, the last one.

use crate::calibrate::document::tick_of;
use crate::legs::{Fill, Legs};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::Nanos;

/// How long after a fill.
pub const HORIZONS_NS: [u64; 2] = [1_000_000_000, 10_000_000_000];

/// A fill's worth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Worth {
    /// When it was learned of.
    pub at: Nanos,
    /// Size times the distance of the mid from its price, + in our favour, by horizon; in the quote
    /// currency of a linear instrument.
    pub later: [f64; HORIZONS_NS.len()],
}

/// The worth of every fill of an instrument.
pub fn worths(legs: &Legs, instrument: &Instrument) -> Vec<Worth> {
    let mids = legs.mids(instrument.id());
    let (tick, lot) = (tick_of(instrument), instrument.spec().lot);
    let lot = lot.mantissa as f64 / 10f64.powi(lot.scale.into());
    let mid_at = |at: Nanos| {
        let seen = mids.partition_point(|(then, _)| *then <= at);
        mids.get(seen.saturating_sub(1)).map(|(_, half_ticks)| *half_ticks as f64 * 0.5)
    };
    let fills = legs.fills().iter().filter(|fill| fill.instrument == instrument.id());
    let worth = |fill: &Fill| {
        let size = fill.size.0 as f64 * lot * fill.side.sign() as f64;
        let later = HORIZONS_NS.map(|horizon_ns| {
            let mid = mid_at(fill.at.plus(horizon_ns));
            mid.map_or(0.0, |mid| (mid - fill.price.0 as f64) * tick * size)
        });
        Worth { at: fill.at, later }
    };
    fills.map(worth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use ballast_engine::estimate::volatility::Sigma;
    use ballast_engine::event::Liquidity;
    use ballast_engine::maker::intents::Record;
    use ballast_engine::maker::snapshot::InstrumentSnapshot;
    use ballast_engine::maker::stage::Telemetry;
    use ballast_engine::market::book::{Level, Touch};
    use ballast_engine::orders::order::Purpose;
    use ballast_engine::risk::state::{Reason, State};
    use ballast_engine::units::{Lots, Side, Ticks};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_fill_is_worth_the_move_of_the_mid_for_it_and_the_last_mid_stands_at_the_end() {
        let file = ConfigFile::demo().unwrap();
        let spot = file.table.find("BTCUSDT").unwrap();
        let mut legs = Legs::new(file.table.instruments.len());
        let mut seen = |seconds: u64, mid: i64| {
            let level = |price| Level { price: Ticks(price), size: Lots(1) };
            let touch = Touch { bid: level(mid - 1), ask: level(mid + 1) };
            let snapshot = InstrumentSnapshot {
                touch: Ok(touch),
                quotes: [None; 2],
                position: Lots(0),
                position_max_abs: 0,
                fills: 0,
                open: [Lots(0); 2],
                sigma: Sigma(0),
                state: State::Quoting,
                reason: Reason::Normal,
                gaps_seen: 0,
                spikes_seen: 0,
            };
            let (at, instrument) = (Nanos(seconds * SECOND), spot.id());
            legs.see(&Telemetry::Instrument { at, instrument, snapshot });
        };
        for (seconds, mid) in [(0, 6_000_000), (1, 6_000_100), (11, 5_999_900), (12, 6_000_300)] {
            seen(seconds, mid);
        }
        for (seconds, side) in [(0, Side::Buy), (4, Side::Sell)] {
            legs.see(&Telemetry::Happened(Record::Fill {
                at: Nanos(seconds * SECOND),
                instrument: spot.id(),
                side,
                price: Ticks(6_000_000),
                size: Lots(100_000),
                purpose: Purpose::Quote { level: 0 },
                liquidity: Liquidity::Maker,
            }));
        }
        let found = worths(&legs, spot);
        // A coin, a hundred ticks of a cent: one dollar.
        let near = |found: [f64; 2], exact: [f64; 2]| {
            assert!(found.iter().zip(exact).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        near(found[0].later, [1.0, 1.0]);
        near(found[1].later, [-1.0, -3.0]);
    }
}
