//! What a config says of the one-tick spike guard.
//!
//! Fed by an instrument's table; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::RawSpike;
use ballast_engine::market::spike::SpikeLimit;
use ballast_engine::units::{Decimal, Ticks};

const MS: u64 = 1_000_000;

/// `spike = { … }`; `key` is that of the instrument's table.
pub(super) fn spike(
    key: &str,
    raw: &RawSpike,
    tick: Decimal,
    faults: &mut Faults,
) -> Option<SpikeLimit> {
    let at = |name: &str| format!("{key}.spike.{name}");
    let width = faults.count(&at("width"), &raw.width, tick, 1);
    if raw.messages == 0 {
        faults.add(at("messages"), 0, "must be greater than zero: a jump confirms nothing");
    }
    if raw.after_ms == 0 {
        faults.add(at("after_ms"), 0, "must be greater than zero: a jump confirms nothing");
    }
    Some(SpikeLimit {
        width: Ticks(width?),
        sigmas: raw.sigmas,
        messages: raw.messages,
        after_ns: raw.after_ms.saturating_mul(MS),
    })
}
