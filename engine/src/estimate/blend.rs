//! Fair value from other books: the perpetual's lead over spot, or several venues together, each
//! adjusted by its basis and weighed by its freshness.
//!
//! Fed by believed mids of the sources and, on a fixed clock, by their distance from the instrument's
//! own mid (the basis, exponentially weighted); feeds the fair value. Maker thread, hot: a multiply and
//! a division a source, at most [`SOURCES_MAX`]. A source, and the own book where it has a weight, weighs half as much
//! with each half-life since its last event, and nothing where its book is not believed or its basis is not known yet;
//! where nothing weighs anything, the instrument's own mid stands. Deliberately absent: currencies.
//! Prices are compared as they are quoted, and what a currency's rate adds is part of the basis.

use crate::event::InstrumentId;
use crate::fixed::Scaled;
use crate::units::{Nanos, SubTicks};

/// Most sources beside the instrument itself.
pub const SOURCES_MAX: usize = 4;
/// Most times that a weight is halved before it is nothing.
const HALVINGS_MAX: u64 = 16;

/// One other book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Source {
    /// Which.
    pub instrument: InstrumentId,
    /// Its weight while it is fresh.
    pub weight: u32,
    /// Its tick in ticks of the quoted instrument.
    pub tick_ratio: Scaled,
}

/// What is blended, and how the basis is estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct BlendSettings {
    /// The other books; those in use come first.
    pub sources: [Option<Source>; SOURCES_MAX],
    /// Weight of the instrument's own mid; 0 for a lead.
    pub own_weight: u32,
    /// A weight halves with this much silence.
    pub half_life_ns: u64,
    /// Distance of the basis's samples.
    pub interval_ns: u64,
    /// A sample weighs 2^-this.
    pub weight_shift: u32,
}

/// A source as it stands now: its mid in the quoted instrument's ticks and how old it is; `None`
/// where its book is not believed.
pub type Sighting = Option<(SubTicks, u64)>;

/// The basis of every source.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Bases {
    /// Own mid minus the source's, in sub-ticks, and how many samples it rests on.
    bases: [(i64, u32); SOURCES_MAX],
    sampled: Option<Nanos>,
}

impl Source {
    /// Its mid in ticks of the quoted instrument.
    pub fn price(&self, mid_half_ticks: i64) -> SubTicks {
        self.tick_ratio.of(mid_half_ticks).half().nearest_sub_ticks()
    }
}

impl BlendSettings {
    /// What is left of a weight after so much silence, in 2^-16: halved with each half-life, in a
    /// straight line between.
    fn faded(&self, weight: u32, age_ns: u64) -> u64 {
        let half_life_ns = self.half_life_ns.max(1);
        let halvings = age_ns / half_life_ns;
        if halvings >= HALVINGS_MAX {
            return 0;
        }
        let rest = u128::from(age_ns % half_life_ns) << 16;
        let rest = u64::try_from(rest / u128::from(half_life_ns)).unwrap_or(u64::MAX);
        // Between 1 and ½ in 2^-17, then halved as often as whole half-lives have passed.
        let part = (1u64 << 17).saturating_sub(rest) >> 1;
        (u64::from(weight) * part) >> halvings
    }

    /// The fair value, given the instrument's own mid and how old that is.
    pub fn estimate(
        &self,
        bases: &Bases,
        (own, own_age_ns): (SubTicks, u64),
        seen: impl Fn(&Source) -> Sighting,
    ) -> SubTicks {
        let mut weights = i128::from(self.faded(self.own_weight, own_age_ns));
        let mut moved = 0i128;
        let places = self.sources.iter().zip(bases.bases);
        for (source, (basis, samples)) in places.filter_map(|(s, b)| s.as_ref().map(|s| (s, b))) {
            let Some((price, age_ns)) = seen(source).filter(|_| samples > 0) else { continue };
            let weight = i128::from(self.faded(source.weight, age_ns));
            let level = i128::from(price.0) + i128::from(basis);
            moved = moved.saturating_add(weight * (level - i128::from(own.0)));
            weights += weight;
        }
        let shift = moved.checked_div_euclid(weights).and_then(|by| i64::try_from(by).ok());
        own.saturating_add(SubTicks(shift.unwrap_or(0)))
    }
}

impl Bases {
    /// A sample on the clock, if one is due: the basis follows the distance of the mids.
    pub fn on_clock(
        &mut self,
        now: Nanos,
        settings: &BlendSettings,
        own: SubTicks,
        seen: impl Fn(&Source) -> Sighting,
    ) {
        let is_due = self.sampled.is_none_or(|at| now.since(at) >= settings.interval_ns);
        if !is_due {
            return;
        }
        self.sampled = Some(now);
        let places = settings.sources.iter().zip(self.bases.iter_mut());
        for (source, (basis, samples)) in places.filter_map(|(s, b)| s.as_ref().map(|s| (s, b))) {
            // What has been silent for an interval says nothing about now.
            let Some((price, _)) = seen(source).filter(|seen| seen.1 <= settings.interval_ns)
            else {
                continue;
            };
            let distance = own.saturating_sub(price).0;
            // The first samples weigh more, or a wrong start would linger.
            let shift = settings.weight_shift.min(31 - samples.saturating_add(1).leading_zeros());
            *basis = basis.saturating_add(distance.saturating_sub(*basis) >> shift);
            *samples = samples.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ticks(n: i64) -> SubTicks {
        SubTicks(n * SubTicks::ONE.0)
    }

    fn source(id: u16, weight: u32) -> Option<Source> {
        let one = Scaled::new(1, 0);
        Some(Source { instrument: InstrumentId(id), weight, tick_ratio: one })
    }

    fn settings(sources: &[Option<Source>], own_weight: u32) -> BlendSettings {
        let mut all = [None; SOURCES_MAX];
        all[..sources.len()].copy_from_slice(sources);
        BlendSettings {
            sources: all,
            own_weight,
            half_life_ns: SECOND,
            interval_ns: SECOND,
            weight_shift: 3,
        }
    }

    fn learnt(settings: &BlendSettings, own: i64, mids: &[i64]) -> Bases {
        let mut bases = Bases::default();
        for second in 0..50 {
            bases.on_clock(Nanos(second * SECOND), settings, ticks(own), |source| {
                Some((ticks(mids[usize::from(source.instrument.0)]), 0))
            });
        }
        bases
    }

    #[test]
    fn a_lead_carries_the_source_s_move_over_its_basis() {
        let settings = settings(&[source(0, 1)], 0);
        let bases = learnt(&settings, 1_000, &[970]);
        let at = |mid| settings.estimate(&bases, (ticks(1_000), 0), |_| Some((ticks(mid), 0)));
        assert_eq!(at(970), ticks(1_000), "no move, no lead");
        assert_eq!(at(975), ticks(1_005), "the whole move, before the own book shows it");
        let gone = settings.estimate(&bases, (ticks(1_000), 0), |_| None);
        assert_eq!(gone, ticks(1_000), "without a source the own mid stands");
    }

    #[test]
    fn a_source_without_a_basis_says_nothing() {
        let settings = settings(&[source(0, 1)], 0);
        let fresh = Bases::default();
        assert_eq!(settings.estimate(&fresh, (ticks(7), 0), |_| Some((ticks(999), 0))), ticks(7));
    }

    #[test]
    fn venues_are_weighed_and_silence_halves_a_weight() {
        let settings = settings(&[source(0, 2), source(1, 1)], 1);
        let bases = learnt(&settings, 1_000, &[1_000, 1_000]);
        let at = |own_age, ages: [u64; 2]| {
            settings.estimate(&bases, (ticks(1_000), own_age), |source| {
                let n = usize::from(source.instrument.0);
                Some((ticks([1_008, 1_000][n]), ages[n]))
            })
        };
        assert_eq!(at(0, [0, 0]), ticks(1_004), "2 of 4");
        assert_eq!(at(0, [SECOND, 0]).0, ticks(1_000).0 + ticks(8).0 / 3, "1 of 3");
        let too_old = HALVINGS_MAX * SECOND;
        assert_eq!(at(0, [too_old, 0]), ticks(1_000), "too old to count");
        assert_eq!(at(SECOND, [0, SECOND]), SubTicks(ticks(1_000).0 + ticks(16).0 / 3), "2 of 3");
        assert_eq!(
            at(too_old, [0, too_old]),
            ticks(1_008),
            "a silent book has no say in its own value"
        );
        assert_eq!(at(too_old, [too_old; 2]), ticks(1_000), "unless nobody else has");
        let half_way = settings.faded(4, SECOND / 2);
        assert_eq!(half_way, 3 << 16, "in a straight line between");
    }

    #[test]
    fn a_basis_follows_slowly_and_not_from_what_is_silent() {
        let settings = settings(&[source(0, 1)], 0);
        let mut bases = learnt(&settings, 1_000, &[1_000]);
        bases.on_clock(Nanos(50 * SECOND), &settings, ticks(1_008), |_| Some((ticks(1_000), 0)));
        assert_eq!(bases.bases[0].0, ticks(1).0, "an eighth of the way");
        let old = |_: &Source| Some((ticks(0), SECOND + 1));
        bases.on_clock(Nanos(51 * SECOND), &settings, ticks(1_008), old);
        assert_eq!(bases.bases[0].0, ticks(1).0);
    }

    #[test]
    fn a_tick_of_another_size_is_converted_and_the_edges_do_not_wrap() {
        // A tick of 0.1 in ticks of 0.01.
        let ten = Source { tick_ratio: Scaled::new(10, 0), ..source(0, u32::MAX).unwrap() };
        assert_eq!(ten.price(1_233_195), SubTicks(6_165_975 * SubTicks::ONE.0));
        let settings = settings(&[Some(ten)], 0);
        let bases = learnt(&settings, 0, &[0]);
        for price in [i64::MIN, i64::MAX] {
            let seen = |_: &Source| Some((SubTicks(price), 0));
            settings.estimate(&bases, (SubTicks(price), 0), seen);
            settings.estimate(&bases, (SubTicks(-price.saturating_abs()), u64::MAX), seen);
        }
    }
}
