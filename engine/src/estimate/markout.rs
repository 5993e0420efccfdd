//! Markouts of our own fills: where the mid went 0.1, 1, 10 and 60 s after each, by side and level.
//!
//! Fed with fills and, at every whole market message, with the mid; feeds the spread (a side whose
//! fills the market runs over is widened, up to a cap), the adverse-selection memo beside the
//! attribution, and the liquidity report. Maker thread, hot: no floating point, nothing allocated
//! after start, at most [`STEPS_MAX`] fills looked at a call and horizon. A move is signed by our
//! side: negative is against us. Each is taken from the first believed mid at or after its due time;
//! one that comes later than twice its horizon is left out and counted.

use crate::quote::ladder::LEVELS_MAX;
use crate::units::{Lots, Nanos, Side, SubTicks};

/// The horizons.
pub const HORIZONS_NS: [u64; 4] = [100_000_000, 1_000_000_000, 10_000_000_000, 60_000_000_000];
/// How many there are.
pub const HORIZONS: usize = HORIZONS_NS.len();
/// Fills under observation at once; a fill beyond it pushes the oldest out, which is counted.
pub const PENDING_MAX: usize = 512;
/// Fills that one call settles a horizon.
pub const STEPS_MAX: usize = 16;
/// Weight of a fill where nobody asked for another: the last 32 count most.
const WEIGHT_SHIFT: u32 = 5;
/// Half a tick, in sub-ticks.
const HALF_TICK: i64 = SubTicks::ONE.0 / 2;

/// A fill as markouts see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Fill {
    at: Nanos,
    is_buy: bool,
    level: u8,
    /// Twice the mid just before it, in ticks.
    mid_half_ticks: i64,
    lots: i64,
}

/// What one side and level made of its fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Tally {
    /// Fills.
    pub fills: u64,
    /// Their lots.
    pub lots: i128,
    /// `lots × 2 × (mid − price)`, signed by our side: half the effective spread, in half ticks.
    pub effective: i128,
    /// By horizon: lots whose horizon has come.
    pub settled_lots: [i128; HORIZONS],
    /// By horizon: `lots × 2 × move`, signed by our side, in half ticks.
    pub moved: [i128; HORIZONS],
}

/// How markouts widen the quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Widening {
    /// Which of [`HORIZONS_NS`] counts.
    pub horizon: usize,
    /// Thousandths of the mean adverse move that are added to the half-spread.
    pub share_permille: u32,
    /// Most that is added.
    pub cap: SubTicks,
    /// A fill weighs 2^-this in the mean.
    pub weight_shift: u32,
}

/// The fills of one instrument.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Markouts {
    weight_shift: u32,
    pending: Vec<Fill>,
    /// Fills ever taken; the newest stands at `taken − 1` modulo [`PENDING_MAX`].
    taken: u64,
    /// By horizon: the next fill to settle, counted as `taken` is.
    next: [u64; HORIZONS],
    /// Before this time no fill is due at any horizon.
    due_at: Nanos,
    tallies: [[Tally; LEVELS_MAX]; 2],
    /// Exponentially weighted mean move by side and horizon, in sub-ticks, and how many it rests on.
    means: [[(i64, u64); HORIZONS]; 2],
    left_out: u64,
}

fn row(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

impl Markouts {
    /// Nothing filled yet. `weight_shift` as in [`Widening`].
    pub fn new(weight_shift: u32) -> Markouts {
        Markouts {
            weight_shift: weight_shift.min(30),
            pending: vec![Fill::default(); PENDING_MAX],
            taken: 0,
            next: [0; HORIZONS],
            due_at: Nanos(u64::MAX),
            tallies: [[Tally::default(); LEVELS_MAX]; 2],
            means: [[(0, 0); HORIZONS]; 2],
            left_out: 0,
        }
    }

    /// Nothing filled yet, for quotes that are widened so, or not at all.
    pub fn of(widening: Option<Widening>) -> Markouts {
        Markouts::new(widening.map_or(WEIGHT_SHIFT, |widening| widening.weight_shift))
    }

    /// A quote of `level` was filled at `price_half_ticks` (twice its ticks) while twice the mid was
    /// `mid_half_ticks`.
    pub fn on_fill(
        &mut self,
        at: Nanos,
        side: Side,
        level: u8,
        price_half_ticks: i64,
        mid_half_ticks: i64,
        lots: Lots,
    ) {
        let fill = Fill { at, is_buy: side == Side::Buy, level, mid_half_ticks, lots: lots.0 };
        if let Some(tally) = self.tally_mut(side, level) {
            let edge = i128::from(mid_half_ticks) - i128::from(price_half_ticks);
            tally.fills = tally.fills.saturating_add(1);
            tally.lots = tally.lots.saturating_add(i128::from(lots.0));
            let edge = edge * i128::from(side.sign());
            let weighed = edge.saturating_mul(i128::from(lots.0));
            tally.effective = tally.effective.saturating_add(weighed);
        }
        if let Some(place) = self.pending.get_mut(slot(self.taken)) {
            *place = fill;
        }
        self.taken = self.taken.wrapping_add(1);
        let oldest = self.taken.saturating_sub(PENDING_MAX as u64);
        for next in &mut self.next {
            if *next < oldest {
                *next = oldest;
                self.left_out = self.left_out.saturating_add(1);
            }
        }
        self.due_at = self.next_due();
    }

    /// When the next fill is due at any horizon.
    fn next_due(&self) -> Nanos {
        let due = |(next, horizon_ns): (&u64, u64)| {
            let fill = self.pending.get(slot(*next)).filter(|_| *next < self.taken)?;
            Some(fill.at.plus(horizon_ns))
        };
        let due = self.next.iter().zip(HORIZONS_NS).filter_map(due);
        due.min().unwrap_or(Nanos(u64::MAX))
    }

    /// A believed mid, twice it in ticks: settles what is due.
    pub fn on_mid(&mut self, now: Nanos, mid_half_ticks: i64) {
        if now >= self.due_at {
            self.settle_due(now, mid_half_ticks);
            self.due_at = self.next_due();
        }
    }

    fn settle_due(&mut self, now: Nanos, mid_half_ticks: i64) {
        for (horizon, horizon_ns) in HORIZONS_NS.into_iter().enumerate() {
            for _ in 0..STEPS_MAX {
                let Some(&next) = self.next.get(horizon) else { break };
                if next >= self.taken {
                    break;
                }
                let Some(&fill) = self.pending.get(slot(next)) else { break };
                let age_ns = now.since(fill.at);
                if age_ns < horizon_ns {
                    break;
                }
                if let Some(place) = self.next.get_mut(horizon) {
                    *place = next.wrapping_add(1);
                }
                if age_ns > 2 * horizon_ns {
                    self.left_out = self.left_out.saturating_add(1);
                } else {
                    self.settle(horizon, &fill, mid_half_ticks);
                }
            }
        }
    }

    fn settle(&mut self, horizon: usize, fill: &Fill, mid_half_ticks: i64) {
        let side = if fill.is_buy { Side::Buy } else { Side::Sell };
        let moved = mid_half_ticks.saturating_sub(fill.mid_half_ticks);
        let moved = moved.saturating_mul(side.sign());
        let weight_shift = self.weight_shift;
        if let Some(tally) = self.tally_mut(side, fill.level) {
            let lots = i128::from(fill.lots);
            if let (Some(settled), Some(sum)) =
                (tally.settled_lots.get_mut(horizon), tally.moved.get_mut(horizon))
            {
                *settled = settled.saturating_add(lots);
                *sum = sum.saturating_add(lots * i128::from(moved));
            }
        }
        let means = self.means.get_mut(row(side));
        if let Some((mean, count)) = means.and_then(|means| means.get_mut(horizon)) {
            let warm_up = 63 - count.saturating_add(1).leading_zeros();
            let moved = moved.saturating_mul(HALF_TICK);
            let step = moved.saturating_sub(*mean) >> weight_shift.min(warm_up);
            *mean = mean.saturating_add(step);
            *count = count.saturating_add(1);
        }
    }

    /// What is added to a side's half-spread: the mean move against it, its share, up to the cap.
    /// Never negative: fills that the market moves with are no reason to quote closer.
    pub fn widening(&self, side: Side, settings: &Widening) -> SubTicks {
        let means = self.means.get(row(side));
        let Some(&(mean, _)) = means.and_then(|means| means.get(settings.horizon)) else {
            return SubTicks(0);
        };
        let adverse = i128::from(mean.saturating_neg().max(0));
        let share = adverse * i128::from(settings.share_permille) / 1000;
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        SubTicks(share.min(settings.cap.0.max(0)))
    }

    /// What a side and level made of its fills.
    pub fn tally(&self, side: Side, level: usize) -> Tally {
        let of_side = self.tallies.get(row(side));
        of_side.and_then(|levels| levels.get(level)).copied().unwrap_or_default()
    }

    /// Horizons that were never settled: pushed out by newer fills, or without a mid in time.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn tally_mut(&mut self, side: Side, level: u8) -> Option<&mut Tally> {
        self.tallies.get_mut(row(side))?.get_mut(usize::from(level))
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % PENDING_MAX as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WIDENING: Widening = Widening {
        horizon: 1,
        share_permille: 500,
        cap: SubTicks(3 * SubTicks::ONE.0),
        weight_shift: 4,
    };

    /// Ten buys at 99 against a mid of 100 that falls by `fall` ticks within a second.
    fn bought(fall: i64) -> Markouts {
        let mut markouts = Markouts::new(4);
        for n in 0..10 {
            let at = Nanos(n * 100 * SECOND);
            markouts.on_fill(at, Side::Buy, 2, 2 * 99, 2 * 100, Lots(3));
            markouts.on_mid(at.plus(SECOND / 2), 2 * 100);
            markouts.on_mid(at.plus(SECOND), 2 * (100 - fall));
        }
        markouts
    }

    #[test]
    fn a_side_that_is_run_over_is_widened_by_its_share_up_to_the_cap() {
        let widened = |fall| bought(fall).widening(Side::Buy, &WIDENING);
        assert_eq!(widened(4), SubTicks(2 * SubTicks::ONE.0));
        assert_eq!(widened(40), WIDENING.cap);
        assert_eq!(widened(-4), SubTicks(0), "a move with us narrows nothing");
        assert_eq!(bought(4).widening(Side::Sell, &WIDENING), SubTicks(0));
    }

    #[test]
    fn tallies_are_by_side_and_level_and_horizon() {
        let markouts = bought(4);
        let tally = markouts.tally(Side::Buy, 2);
        assert_eq!((tally.fills, tally.lots, tally.effective), (10, 30, 30 * 2));
        // Mids came after 0.5, 1, 100.5 … s: too late for a tenth of a second and for ten seconds,
        // not yet too late for sixty; the last fill waits for its ten and sixty.
        assert_eq!(tally.settled_lots, [0, 30, 0, 27]);
        assert_eq!(tally.moved[1], 30 * -8);
        assert_eq!(markouts.left_out(), 10 + 9);
        assert_eq!(markouts.tally(Side::Sell, 2), Tally::default());
        assert_eq!(markouts.tally(Side::Buy, 0), Tally::default());
    }

    #[test]
    fn a_burst_beyond_the_room_pushes_the_oldest_out_and_counts_it() {
        let mut markouts = Markouts::new(4);
        let beyond = 7;
        for _ in 0..PENDING_MAX + beyond {
            markouts.on_fill(Nanos(1), Side::Sell, 0, 2, 2, Lots(1));
        }
        assert_eq!(markouts.left_out(), (beyond * HORIZONS) as u64);
        for n in 0..PENDING_MAX as u64 {
            markouts.on_mid(Nanos(1 + HORIZONS_NS[0] + n), 2);
        }
        let settled = markouts.tally(Side::Sell, 0).settled_lots[0];
        assert_eq!(settled, PENDING_MAX as i128);
    }

    #[test]
    fn the_integers_edges_do_not_wrap() {
        let mut markouts = Markouts::new(0);
        for side in Side::BOTH {
            markouts.on_fill(Nanos(0), side, 0, i64::MIN, i64::MAX, Lots(i64::MAX));
            markouts.on_fill(Nanos(0), side, 255, i64::MAX, i64::MIN, Lots(i64::MAX));
        }
        markouts.on_mid(Nanos(SECOND), i64::MIN);
        for side in Side::BOTH {
            assert!(markouts.widening(side, &WIDENING) <= WIDENING.cap);
        }
    }
}
