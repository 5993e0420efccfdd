//! A recording's book states and where they lead: the transition matrices of the micro-price.
//!
//! Fed with every change of the touch; feeds [`Adjustment::solve`] and, quantised, the maker's
//! [`MicroPriceTable`]. Calibration's thread. A state is a bucket of the imbalance
//! `Q_bid/(Q_bid + Q_ask)` and one of the spread, as in Stoikov (2018, §3). Every observation is
//! counted with its mirror image (imbalance and change turned round), so that the estimate has no
//! drift of its own. Changes of the mid are not rounded to a few sizes: `R1 K` is their mean by
//! state, which is all that the formula uses of them. Absent: states never seen often enough, whose
//! adjustment is 0.

use super::linear::Matrix;
use super::microprice::Adjustment;
use super::{CalibrationError, Real};
use crate::estimate::micro_price::{IMBALANCE_BUCKETS, MicroPriceTable, SPREAD_BUCKETS, bucket};
use crate::market::book::Touch;
use crate::units::SubTicks;

/// States in all.
const STATES: usize = IMBALANCE_BUCKETS * SPREAD_BUCKETS;
/// A state seen less often than this, mirror images included, keeps the mid.
pub const SEEN_MIN: f64 = 50.0;
/// Changes of the mid that the sum runs over; what follows is below a thousandth of a tick.
const CHANGES: usize = 200;

/// Counts of what followed what.
#[derive(Clone, Debug)]
pub struct BookStates {
    /// No change of the mid: state → state.
    still: Vec<f64>,
    /// A change: state → state after it.
    moved: Vec<f64>,
    /// Sum of the changes by state, in ticks.
    change: Vec<f64>,
    seen: Vec<f64>,
    before: Option<Touch>,
}

impl Default for BookStates {
    fn default() -> BookStates {
        BookStates {
            still: vec![0.0; STATES * STATES],
            moved: vec![0.0; STATES * STATES],
            change: vec![0.0; STATES],
            seen: vec![0.0; STATES],
            before: None,
        }
    }
}

/// The state with the other side's sizes.
fn mirrored(state: usize) -> usize {
    let (spread, imbalance) = (state / IMBALANCE_BUCKETS, state % IMBALANCE_BUCKETS);
    spread * IMBALANCE_BUCKETS + (IMBALANCE_BUCKETS - 1 - imbalance)
}

impl BookStates {
    /// The touch after a whole message. A touch equal to the one before counts nothing.
    pub fn observe(&mut self, touch: &Touch) {
        let Some(before) = self.before.replace(*touch) else { return };
        if before == *touch {
            return;
        }
        let (Some(from), Some(to)) = (bucket(&before), bucket(touch)) else { return };
        let half_ticks = touch.mid_half_ticks() - before.mid_half_ticks();
        let change = half_ticks as f64 * 0.5;
        for (from, to, change) in [(from, to, change), (mirrored(from), mirrored(to), -change)] {
            self.seen[from] += 1.0;
            if half_ticks == 0 {
                self.still[from * STATES + to] += 1.0;
            } else {
                self.moved[from * STATES + to] += 1.0;
                self.change[from] += change;
            }
        }
    }

    /// The book was lost: the next touch follows nothing.
    pub fn interrupt(&mut self) {
        self.before = None;
    }

    /// Observations, mirror images not counted.
    pub fn observations(&self) -> u64 {
        (self.seen.iter().sum::<f64>() * 0.5) as u64
    }

    /// How often a state was left.
    pub fn seen(&self, spread: usize, imbalance: usize) -> f64 {
        self.seen[spread * IMBALANCE_BUCKETS + imbalance]
    }

    /// The adjustments in ticks, by spread bucket and imbalance bucket.
    ///
    /// # Errors
    /// [`CalibrationError::Singular`] where states lead into one another and never change the mid.
    pub fn adjustments(&self) -> Result<Vec<f64>, CalibrationError> {
        let known: Vec<usize> = (0..STATES).filter(|n| self.seen[*n] >= SEEN_MIN).collect();
        let mut adjustments = vec![0.0; STATES];
        if known.is_empty() {
            return Ok(adjustments);
        }
        // A step into a state seen too seldom ends the walk there: its adjustment is 0.
        let share = |counts: &[f64], i: usize, j: usize| {
            Real::from(counts[known[i] * STATES + known[j]]) / Real::from(self.seen[known[i]])
        };
        let n = known.len();
        let q = Matrix::from_fn(n, n, |i, j| share(&self.still, i, j));
        let r2 = Matrix::from_fn(n, n, |i, j| share(&self.moved, i, j));
        let mean = |i: usize| Real::from(self.change[known[i]]) / Real::from(self.seen[known[i]]);
        let r1 = Matrix::from_fn(n, 1, |i, _| mean(i));
        let solved = Adjustment::solve(&q, &r1, &r2, &[Real::ONE])?;
        let sums = solved.partial_sums(CHANGES);
        if let Some(last) = sums.last() {
            for (state, sum) in known.iter().zip(last) {
                adjustments[*state] = sum.to_f64();
            }
        }
        Ok(adjustments)
    }

    /// What the maker looks up.
    ///
    /// # Errors
    /// Those of [`BookStates::adjustments`].
    pub fn table(&self) -> Result<MicroPriceTable, CalibrationError> {
        let adjustments = self.adjustments()?;
        let mut table = MicroPriceTable::NONE;
        for (place, ticks) in table.adjustments.iter_mut().flatten().zip(adjustments) {
            *place = SubTicks(libm::round(ticks * SubTicks::ONE.0 as f64) as i64);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::fair_value;
    use crate::market::book::Level;
    use crate::units::{Lots, Ticks};

    fn touch(bid: i64, bid_qty: i64, ask_qty: i64) -> Touch {
        Touch {
            bid: Level { price: Ticks(bid), size: Lots(bid_qty) },
            ask: Level { price: Ticks(bid + 1), size: Lots(ask_qty) },
        }
    }

    /// A book whose thinner side always gives way: heavy bids, then up; heavy asks, then down.
    fn leaning() -> BookStates {
        let mut states = BookStates::default();
        let mut bid = 1_000;
        for n in 0..4_000u64 {
            let is_heavy = n * 2_654_435_761 % 5 < 2;
            let sizes = if is_heavy { (95, 5) } else { (5, 95) };
            states.observe(&touch(bid, 50, 50));
            states.observe(&touch(bid, sizes.0, sizes.1));
            bid += if is_heavy { 1 } else { -1 };
        }
        states
    }

    #[test]
    fn the_micro_price_leans_to_where_the_mid_goes_next() {
        let states = leaning();
        let table = states.table().unwrap();
        let heavy = table.estimate(&touch(500, 95, 5));
        let light = table.estimate(&touch(500, 5, 95));
        let mid = fair_value::mid(&touch(500, 50, 50));
        let tick = SubTicks::ONE.0 as f64;
        assert!(((heavy.0 - mid.0) as f64 / tick - 1.0).abs() < 0.05, "{heavy:?}");
        assert!(((light.0 - mid.0) as f64 / tick + 1.0).abs() < 0.05, "{light:?}");
        let even = table.estimate(&touch(500, 50, 50));
        assert!(((even.0 - mid.0) as f64 / tick).abs() < 0.2, "the mirror images cancel: {even:?}");
    }

    #[test]
    fn the_adjustment_mirrors_with_the_book() {
        let adjustments = leaning().adjustments().unwrap();
        for state in 0..STATES {
            let sum = adjustments[state] + adjustments[mirrored(state)];
            assert!(sum.abs() < 1e-9, "{state}: {sum}");
        }
    }

    #[test]
    fn a_state_seen_too_seldom_keeps_the_mid() {
        let mut states = BookStates::default();
        for n in 0..10 {
            states.observe(&touch(100 + n, 95, 5));
        }
        assert_eq!(states.observations(), 9);
        assert!(states.adjustments().unwrap().iter().all(|ticks| *ticks == 0.0));
        states.interrupt();
        states.observe(&touch(900, 95, 5));
        assert_eq!(states.observations(), 9, "nothing follows an interruption");
    }
}
