//! Which hedge instruments, and how much of each, take one unit of an underlying off: minimum-variance
//! ratios, and what the risk that they leave costs.
//!
//! Fed with journaled estimates of `calibration` (one [`MixUpdate`] a set of instruments), with what is
//! held of each, and with what the hedger chose; feeds the hedger with net delta as the ratios see it,
//! with costs and with legs. Maker thread, on fills and the timer. An instrument without an estimate that
//! is young enough is worth what its contract says, and is charged as the config says or not hedged with.
//! Deliberately absent: floating point and the estimating (calibration's), and limits: those count
//! contracts one for one, whatever an estimate says.

use crate::event::InstrumentId;
use crate::units::{Exposure, Nanos};

/// Most hedge instruments of one underlying that ratios are kept for.
pub const LEGS_MAX: usize = 4;
/// Sets of so many instruments, a bit each; the empty one hedges nothing.
pub const MIXES: usize = 1 << LEGS_MAX;
/// One for one, in parts of a million.
pub const ONE_PPM: u32 = 1_000_000;
/// By how much the ratios times their weights may miss one, for both were rounded.
const ROUNDING_PPM: i128 = 100;

/// Instruments that hedge together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Mix {
    /// How much of each is traded against a unit of the reference, in parts of a million; 0: no leg.
    pub ratios: [u32; LEGS_MAX],
    /// What a unit of each counts for in units of the reference, likewise: ratios times weights are one.
    pub weights: [u32; LEGS_MAX],
    /// The variance of a hedged unit, a second, relative to its value, in 1e-18.
    pub residual: u64,
}

impl Mix {
    /// One instrument, as its contract says, leaving so much.
    pub fn alone(place: usize, residual: u64) -> Mix {
        let mut mix = Mix { residual, ..Mix::default() };
        for row in [&mut mix.ratios, &mut mix.weights] {
            if let Some(entry) = row.get_mut(place) {
                *entry = ONE_PPM;
            }
        }
        mix
    }

    /// The places that trade, a bit each.
    pub fn legs(&self) -> u8 {
        let bits = self.ratios.iter().enumerate();
        bits.fold(0, |legs, (place, ratio)| legs | u8::from(*ratio > 0) << place)
    }

    /// Does it hedge a unit, no more and no less, with legs that all take exposure off?
    fn is_sound(&self) -> bool {
        let pairs = self.ratios.iter().zip(&self.weights);
        let sum: i128 = pairs.clone().map(|(r, w)| i128::from(*r) * i128::from(*w)).sum();
        let one = i128::from(ONE_PPM) * i128::from(ONE_PPM);
        let mut whole = pairs;
        (sum - one).abs() <= ROUNDING_PPM * i128::from(ONE_PPM)
            && whole.all(|(ratio, weight)| (*ratio > 0) == (*weight > 0))
    }
}

/// One estimate on its way into a maker that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MixUpdate {
    /// Up to when it looked. All sets of one estimate have the same.
    pub made: Nanos,
    /// Whose, by its place in the config.
    pub underlying: u8,
    /// The set; it is known by its legs.
    pub mix: Mix,
}

/// What is made of estimates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct BasisTerms {
    /// Whose units are hedged: a quoted spot or linear instrument.
    pub reference: InstrumentId,
    /// An estimate that is older is none.
    pub age_max_ns: u64,
    /// Risk aversion, 1e-12 a unit of the quote currency.
    pub aversion: u64,
    /// Volatility that an instrument without an estimate leaves, relative to the value, in 1e-9 for each
    /// root of a second; `None`: it is not hedged with.
    pub unknown: Option<u32>,
}

/// The estimates of one underlying, and what is held of its hedge instruments.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Mixes {
    terms: BasisTerms,
    mixes: [Option<Mix>; MIXES],
    made: Nanos,
    plan: u8,
    held: [Exposure; LEGS_MAX],
    /// Of the plan: what looks at every event takes one number.
    tilt: i64,
}

impl Mixes {
    /// Nothing estimated, nothing held.
    pub fn new(terms: BasisTerms) -> Mixes {
        let (mixes, held) = ([None; MIXES], [Exposure(0); LEGS_MAX]);
        Mixes { terms, mixes, made: Nanos(0), plan: 0, held, tilt: 0 }
    }

    /// What is made of estimates.
    pub fn terms(&self) -> &BasisTerms {
        &self.terms
    }

    /// Takes one in; says whether it was one. The first of a newer estimate ends the older one.
    pub fn take(&mut self, now: Nanos, update: &MixUpdate) -> bool {
        let mix = update.mix;
        let is_late = update.made < self.made || now.since(update.made) > self.terms.age_max_ns;
        if is_late || !mix.is_sound() {
            return false;
        }
        if update.made > self.made {
            self.mixes = [None; MIXES];
            self.made = update.made;
        }
        if let Some(known) = self.mixes.get_mut(usize::from(mix.legs())) {
            *known = Some(mix);
        }
        self.tilt = self.tilt_by(self.plan);
        true
    }

    /// Time has passed: says whether what was known is no longer.
    pub fn look(&mut self, now: Nanos) -> bool {
        let is_old = now.since(self.made) > self.terms.age_max_ns;
        if !is_old || self.mixes.iter().all(Option::is_none) {
            return false;
        }
        self.mixes = [None; MIXES];
        self.tilt = 0;
        true
    }

    /// What was traded of the instrument in this place, and is held since.
    pub fn hold(&mut self, place: usize, exposure: Exposure) {
        if let Some(held) = self.held.get_mut(place) {
            *held = exposure;
        }
        self.tilt = self.tilt_by(self.plan);
    }

    /// The set that was chosen last; 0 before the first hedge.
    pub fn plan(&self) -> u8 {
        self.plan
    }

    /// This set hedges now.
    pub fn choose(&mut self, legs: u8) {
        self.plan = legs;
        self.tilt = self.tilt_by(legs);
    }

    /// A set that can be used: as estimated, or one instrument as its contract says.
    pub fn mix(&self, legs: u8) -> Option<Mix> {
        let known = self.mixes.get(usize::from(legs)).copied().flatten();
        if known.is_some() || legs.count_ones() != 1 {
            return known;
        }
        let left = u64::from(self.terms.unknown?);
        let place = usize::try_from(legs.trailing_zeros()).ok()?;
        Some(Mix::alone(place, left.saturating_mul(left)))
    }

    /// What a unit of the instrument in this place counts for while a set hedges: its weight there, or by
    /// itself, or one for one.
    pub fn weight_ppm(&self, legs: u8, place: usize) -> u32 {
        let of = |legs: u8| {
            let known = self.mixes.get(usize::from(legs)).copied().flatten();
            known.and_then(|mix| mix.weights.get(place).copied()).filter(|weight| *weight > 0)
        };
        let alone = u32::try_from(place).ok().and_then(|place| 1u8.checked_shl(place));
        of(legs).or_else(|| alone.and_then(of)).unwrap_or(ONE_PPM)
    }

    /// By how much net delta is more, as the chosen set's weights see it, than contracts counted one for
    /// one.
    pub fn tilt(&self) -> i64 {
        self.tilt
    }

    /// The same of any set.
    pub fn tilt_by(&self, legs: u8) -> i64 {
        let held = self.held.iter().enumerate();
        let each = held.map(|(place, held)| {
            let more = i128::from(self.weight_ppm(legs, place)) - i128::from(ONE_PPM);
            i128::from(held.0) * more
        });
        clamped(each.sum::<i128>() / i128::from(ONE_PPM))
    }

    /// The leg that lacks most of what a set hedges of `at_risk` (net delta by its own weights), and how
    /// much of the instrument to trade: never more than takes `excess` off, and never what adds to it.
    pub fn leg(&self, mix: &Mix, at_risk: Exposure, excess: Exposure) -> Option<(usize, Exposure)> {
        let way = i128::from(excess.0.signum());
        let one = i128::from(ONE_PPM);
        let legs = || mix.ratios.iter().zip(&mix.weights).zip(&self.held).enumerate();
        let hedged: i128 =
            legs().map(|(_, ((_, w), held))| i128::from(*w) * i128::from(held.0)).sum();
        let unhedged = i128::from(at_risk.0) - hedged / one;
        // In units of the reference, positive where trading it takes risk off.
        let lacks = |ratio: u32, weight: u32, held: Exposure| {
            let wanted = i128::from(held.0) + i128::from(ratio) * unhedged / one;
            wanted * i128::from(weight) / one * way
        };
        let mut most: Option<(usize, i128, u32)> = None;
        for (place, ((ratio, weight), held)) in legs() {
            let lack = lacks(*ratio, *weight, *held);
            if *ratio > 0 && lack > most.map_or(0, |(_, lack, _)| lack) {
                most = Some((place, lack, *weight));
            }
        }
        let (place, lack, weight) = most?;
        let taken = lack.min(i128::from(excess.0).abs()).min(i128::from(at_risk.0) * way);
        (taken > 0)
            .then(|| (place, Exposure(clamped(taken * one / i128::from(weight.max(1)) * way))))
    }

    /// What a unit costs that stays hedged for so long at this value (1e-9 of the quote currency): half of
    /// aversion × value × residual variance × time, in 1e-9 of the value. Rounds up.
    pub fn risk_ppb(&self, residual: u64, value: i128, held_ns: u64) -> i128 {
        let variance = i128::from(residual).saturating_mul(i128::from(held_ns)) / 1_000_000_000;
        let price = i128::from(self.terms.aversion).saturating_mul(value.saturating_abs());
        let doubled = (price / 1_000_000_000).saturating_mul(variance);
        doubled.saturating_add(2 * PPB_OF_PARTS - 1) / (2 * PPB_OF_PARTS)
    }
}

/// 1e-12 of an aversion times 1e-18 of a variance, in 1e-9.
const PPB_OF_PARTS: i128 = 1_000_000_000_000_000_000_000;

fn clamped(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: BasisTerms = BasisTerms {
        reference: InstrumentId(0),
        age_max_ns: 1_000,
        aversion: 20_000_000_000,
        unknown: Some(30_000),
    };

    fn mix(ratios: [u32; LEGS_MAX], weights: [u32; LEGS_MAX]) -> Mix {
        Mix { ratios, weights, residual: 400 }
    }

    /// The first moves twice as far as the reference.
    fn half() -> Mix {
        mix([500_000, 0, 0, 0], [2_000_000, 0, 0, 0])
    }

    fn pair() -> Mix {
        mix([300_000, 500_000, 0, 0], [1_250_000, 1_250_000, 0, 0])
    }

    fn update(made: u64, mix: Mix) -> MixUpdate {
        MixUpdate { made: Nanos(made), underlying: 0, mix }
    }

    fn with(all: &[Mix]) -> Mixes {
        let mut mixes = Mixes::new(TERMS);
        for mix in all {
            assert!(mixes.take(Nanos(10), &update(10, *mix)));
        }
        mixes
    }

    #[test]
    fn without_an_estimate_it_is_the_contracts_own_and_charged_or_it_is_none() {
        let mut mixes = Mixes::new(TERMS);
        assert_eq!(mixes.mix(2), Some(Mix::alone(1, 900_000_000)));
        assert_eq!((mixes.mix(3), mixes.weight_ppm(1, 0)), (None, ONE_PPM));
        mixes.hold(0, Exposure(-70));
        assert_eq!(mixes.tilt_by(0), 0);
        let refusing = Mixes::new(BasisTerms { unknown: None, ..TERMS });
        assert_eq!(refusing.mix(2), None);
    }

    #[test]
    fn an_estimate_ends_with_its_age_and_with_the_next_one() {
        let mut mixes = with(&[half(), pair()]);
        assert_eq!((mixes.mix(1), mixes.mix(3)), (Some(half()), Some(pair())));
        assert!(!mixes.look(Nanos(1_010)), "as old as it may be");
        mixes.choose(1);
        mixes.hold(0, Exposure(-500));
        assert_eq!((mixes.tilt(), mixes.tilt_by(1)), (-500, -500));
        assert!(mixes.look(Nanos(1_011)) && !mixes.look(Nanos(1_012)), "told once");
        assert_eq!((mixes.tilt(), mixes.tilt_by(1)), (0, 0));
        assert_eq!(mixes.mix(1), Some(Mix::alone(0, 900_000_000)));
        assert!(!mixes.take(Nanos(1_011), &update(10, half())), "old when it comes");
        assert!(mixes.take(Nanos(1_020), &update(1_000, half())));
        assert!(!mixes.take(Nanos(1_020), &update(999, pair())), "older than what is known");
        assert!(mixes.take(Nanos(1_030), &update(1_005, pair())));
        assert_ne!(mixes.mix(1), Some(half()), "another estimate's");
    }

    #[test]
    fn what_is_no_ratio_is_refused() {
        let mut mixes = Mixes::new(TERMS);
        for broken in [
            Mix::default(),
            mix([500_000, 0, 0, 0], [1_000_000, 0, 0, 0]),
            mix([500_000, 0, 0, 0], [2_001_000, 0, 0, 0]),
            mix([500_000, 1, 0, 0], [2_000_000, 0, 0, 0]),
            mix([0; LEGS_MAX], [2_000_000, 0, 0, 0]),
        ] {
            assert!(!mixes.take(Nanos(10), &update(10, broken)), "{broken:?}");
        }
        assert!(mixes.take(Nanos(10), &update(10, mix([333_333, 0, 0, 0], [3_000_003, 0, 0, 0]))));
    }

    #[test]
    fn half_a_unit_hedges_one_of_what_moves_half_as_far() {
        let mut mixes = with(&[half()]);
        let leg = |mixes: &Mixes, at_risk, excess| {
            mixes.leg(&half(), Exposure(at_risk), Exposure(excess))
        };
        assert_eq!(leg(&mixes, 1_000, 1_000), Some((0, Exposure(500))));
        mixes.hold(0, Exposure(-500));
        assert_eq!(mixes.tilt_by(1), -500, "1000 of the reference less 500 is 500, and no risk");
        assert_eq!(leg(&mixes, 0, 10), None);
        assert_eq!(leg(&mixes, -200, -150), Some((0, Exposure(-75))), "bought back");
    }

    #[test]
    fn the_leg_that_lacks_most_goes_first_and_none_goes_the_wrong_way() {
        let mut mixes = with(&[pair()]);
        assert_eq!(mixes.leg(&pair(), Exposure(1_000), Exposure(1_000)), Some((1, Exposure(500))));
        mixes.hold(1, Exposure(-500));
        assert_eq!(mixes.leg(&pair(), Exposure(375), Exposure(375)), Some((0, Exposure(300))));
        // The second has more than its part: it is not bought back while there is something to sell.
        mixes.hold(1, Exposure(-700));
        assert_eq!(mixes.leg(&pair(), Exposure(125), Exposure(125)), Some((0, Exposure(100))));
    }

    #[test]
    fn risk_costs_half_of_aversion_value_variance_and_time() {
        let mixes = Mixes::new(TERMS);
        // 0.02 × 60,000 × (2e-5)² × 60 s / 2 = 1.44e-5.
        assert_eq!(mixes.risk_ppb(400_000_000, 60_000_000_000_000, 60_000_000_000), 14_400);
        assert_eq!(mixes.risk_ppb(400_000_000, 1, 60_000_000_000), 1, "never nothing of something");
        assert_eq!(mixes.risk_ppb(0, 60_000_000_000_000, 60_000_000_000), 0);
        assert!(mixes.risk_ppb(u64::MAX, i128::MAX, u64::MAX) > 0, "saturates");
    }

    proptest! {
        #[test]
        fn no_leg_adds_to_what_is_at_risk_or_turns_it(
            shares in proptest::array::uniform4(0u32..1_000),
            betas in proptest::array::uniform4(200_000u32..3_000_000),
            holds in proptest::array::uniform4(-10_000_000_000i64..10_000_000_000),
            own in -10_000_000_000i64..10_000_000_000,
            part in 1i64..=100,
        ) {
            let sum: u64 = shares.iter().map(|s| u64::from(*s)).sum();
            prop_assume!(sum > 0);
            let mut of = Mix::default();
            for n in 0..LEGS_MAX {
                let ratio = u64::from(shares[n]) * u64::from(betas[n]) / sum;
                let ratio = u32::try_from(ratio).unwrap();
                (of.ratios[n], of.weights[n]) = if shares[n] == 0 { (0, 0) } else {
                    (ratio, u32::try_from(1_000_000_000_000 / u64::from(betas[n])).unwrap())
                };
            }
            let mut mixes = Mixes::new(TERMS);
            prop_assume!(mixes.take(Nanos(10), &update(10, of)));
            for (place, held) in holds.iter().enumerate() {
                mixes.hold(place, Exposure(*held));
            }
            let legs = of.legs();
            let at_risk = own + holds.iter().sum::<i64>() + mixes.tilt_by(legs);
            let excess = at_risk / 100 * part;
            if let Some((place, size)) = mixes.leg(&of, Exposure(at_risk), Exposure(excess)) {
                prop_assert_eq!(size.0.signum(), at_risk.signum());
                mixes.hold(place, Exposure(holds[place] - size.0));
                let after = own + holds.iter().sum::<i64>() - size.0 + mixes.tilt_by(legs);
                // Rounding: one of each product.
                prop_assert!(after.abs() <= at_risk.abs() + 4, "{after} of {at_risk}");
                prop_assert!(after.signum() * at_risk.signum() >= 0 || after.abs() <= 4);
                prop_assert!((at_risk - after).abs() <= excess.abs() + 4);
            } else {
                prop_assert!(excess.abs() < 100_000, "nobody takes {excess} of {at_risk} off");
            }
        }
    }
}
