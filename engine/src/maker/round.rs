//! A round of timers: each looks after one part of what the maker keeps, so that a tick waits behind a part
//! and not behind all of it.
//!
//! The maker's stage asks how many timers make a round and spreads them over the configured interval; each
//! [`Input::Timer`](crate::maker::input::Input::Timer) then takes the next part. A maker of up to
//! [`LINES_A_PART`] instruments has one part.

use super::Maker;
use std::ops::Range;

/// Instruments that one timer looks after at most: a few microseconds while they are in the cache. Half as
/// many would be 12,500 timers a second in the journal, for a thousand instruments every 10 ms.
pub const LINES_A_PART: usize = 16;

/// Places of the order table that one timer looks through at most.
const PLACES_A_PART: usize = 4096;

/// One part of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// The first part of a round that leaves out none of so many instruments and places of orders.
    pub(super) fn first(lines: usize, places: usize) -> Part {
        let of = lines.div_ceil(LINES_A_PART).max(places.div_ceil(PLACES_A_PART));
        Part { number: 0, of: of.max(1) }
    }

    /// What opens a round belongs here.
    pub(super) fn is_first(self) -> bool {
        self.number == 0
    }

    /// Behind the last part comes the first.
    pub(super) fn next(self) -> Part {
        let number = self.number.saturating_add(1);
        Part { number: if number < self.of { number } else { 0 }, ..self }
    }

    /// Which of `count` things are this part's. A round's parts leave out none and repeat none.
    pub(super) fn range(self, count: usize) -> Range<usize> {
        let until = |number: usize| count.saturating_mul(number) / self.of.max(1);
        until(self.number)..until(self.number.saturating_add(1))
    }
}

impl Maker {
    /// How many timers look after everything once.
    pub fn timers_a_round(&self) -> usize {
        self.part.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_round_takes_everything_once(lines in 0usize..2_000, places in 0usize..20_000, pools in 0usize..200) {
            let first = Part::first(lines, places);
            let round: Vec<Part> =
                std::iter::successors(Some(first), |part| Some(part.next())).take(first.of).collect();
            prop_assert!(round.iter().skip(1).all(|part| !part.is_first()));
            prop_assert_eq!(round.last().map(|part| part.next()), Some(first));
            for count in [lines, places, pools] {
                let taken: Vec<usize> = round.iter().flat_map(|part| part.range(count)).collect();
                prop_assert_eq!(taken, (0..count).collect::<Vec<_>>());
            }
            for part in round {
                prop_assert!(part.range(lines).len() <= LINES_A_PART);
                prop_assert!(part.range(places).len() <= PLACES_A_PART);
            }
        }
    }

    #[test]
    fn a_small_maker_has_one_part() {
        assert_eq!(Part::first(LINES_A_PART, PLACES_A_PART).of, 1);
        assert_eq!(Part::first(LINES_A_PART + 1, 64).of, 2);
        assert_eq!(Part::first(0, 0).range(3), 0..3);
    }
}
