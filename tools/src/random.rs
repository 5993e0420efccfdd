//! A small seeded generator: the same `u64` gives the same numbers on every host.
//!
//! Fed by a seed from the command line; feeds the synthetic market, simulations and studies. Any
//! thread, one value each. Deliberately absent: entropy from the system, and the platform's `ln`,
//! `sin` and `cos`, whose last bit differs between hosts (`libm` is the same everywhere).

/// xoshiro256** 1.0 of Blackman and Vigna (2018), its state filled by SplitMix64.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Random {
    state: [u64; 4],
}

/// One step of SplitMix64 (Steele, Lea and Flood 2014): how a seed becomes a state.
fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Random {
        let mut seed = seed;
        Random { state: [(); 4].map(|()| split_mix(&mut seed)) }
    }

    /// A generator of its own for part `stream` of a run, so that one part drawing more numbers
    /// leaves the others as they were.
    pub fn stream(seed: u64, stream: u64) -> Random {
        let mut mixed = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Random::new(split_mix(&mut mixed))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let answer = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        answer
    }

    /// A whole number in `0..bound`, each as likely (Lemire 2019); 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            // The low half below 2^64 mod bound belongs to the values that occur once too often.
            if (product as u64) >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// The waiting time of a Poisson process with `rate` events a unit of time; infinite at rate 0.
    pub fn exponential(&mut self, rate: f64) -> f64 {
        -libm::log(1.0 - self.unit()) / rate
    }

    /// A standard normal number (Box and Muller 1958; the second of the pair is not kept, so that
    /// the state is the generator's alone).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // First outputs of xoshiro256** for the state 1, 2, 3, 4 (as in the rand_xoshiro tests).
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..5).map(|_| random.bits()).collect();
        assert_eq!(
            first,
            [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360]
        );
    }

    #[test]
    fn one_seed_gives_one_sequence_and_streams_differ() {
        let draw = |mut r: Random| (0..8).map(|_| r.bits()).collect::<Vec<_>>();
        assert_eq!(draw(Random::new(7)), draw(Random::new(7)));
        assert_ne!(draw(Random::new(7)), draw(Random::new(8)));
        assert_ne!(draw(Random::stream(7, 0)), draw(Random::stream(7, 1)));
    }

    #[test]
    fn the_distributions_have_their_means() {
        let mut random = Random::new(1);
        let n = 100_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / n as f64;
        assert!((mean(&mut || random.exponential(4.0)) - 0.25).abs() < 0.005);
        assert!(mean(&mut || random.normal()).abs() < 0.02);
        let variance = mean(&mut || {
            let x = random.normal();
            x * x
        });
        assert!((variance - 1.0).abs() < 0.03);
        assert!((mean(&mut || random.below(10) as f64) - 4.5).abs() < 0.05);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }
}
