//! A run in blocks of time, and how far its figures would move if other blocks had come.
//!
//! Fed by a run's [`Trace`]; feeds `study readme-table`. Blocks are drawn with replacement from one
//! seed, the same ones for two runs that are compared. What it cannot see: inventory that wanders
//! for longer than a block, so that the intervals of E[q²] are too narrow where nothing brings it home.

use super::edge::{HORIZONS_NS, Worth};
use crate::random::Random;
use crate::trace::Trace;

/// Resamples an interval is made of.
const RESAMPLES: usize = 4_000;

/// A figure of a run's blocks.
pub type Figure = fn(&[Block]) -> f64;

/// One block of a run.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Block {
    seconds: f64,
    square_seconds: f64,
    profit: f64,
    captured: f64,
    traded: f64,
    /// What its fills were worth later, by horizon.
    later: [f64; HORIZONS_NS.len()],
}

impl Block {
    /// A trace cut into blocks of `length_ns`; a last one shorter than that is left out. A fill's worth
    /// belongs to the block of the fill.
    pub fn of(trace: &Trace, worths: &[Worth], length_ns: u64) -> Vec<Block> {
        let Some(first) = trace.points().first() else { return Vec::new() };
        let mut blocks: Vec<Block> = Vec::new();
        let mut number = 0;
        for pair in trace.points().windows(2) {
            let place = pair[0].at.since(first.at) / length_ns.max(1);
            if blocks.is_empty() || place != number {
                blocks.push(Block::default());
                number = place;
            }
            if let Some(block) = blocks.last_mut() {
                let seconds = pair[1].at.since(pair[0].at) as f64 * 1e-9;
                block.seconds += seconds;
                block.square_seconds += pair[0].inventory * pair[0].inventory * seconds;
                block.profit += pair[1].profit - pair[0].profit;
                block.captured += pair[1].captured - pair[0].captured;
                block.traded += pair[1].traded - pair[0].traded;
            }
        }
        if blocks.last().is_some_and(|block| block.seconds < 0.99e-9 * length_ns as f64) {
            blocks.pop();
        }
        for worth in worths.iter().filter(|worth| worth.at >= first.at) {
            let place = usize::try_from(worth.at.since(first.at) / length_ns.max(1));
            if let Some(block) = place.ok().and_then(|place| blocks.get_mut(place)) {
                for (sum, later) in block.later.iter_mut().zip(worth.later) {
                    *sum += later;
                }
            }
        }
        blocks
    }

    /// Size traded in all.
    pub fn traded(blocks: &[Block]) -> f64 {
        blocks.iter().map(|block| block.traded).sum()
    }

    /// E[q²] over time.
    pub fn inventory_square(blocks: &[Block]) -> f64 {
        let sum: f64 = blocks.iter().map(|block| block.square_seconds).sum();
        sum / blocks.iter().map(|block| block.seconds).sum::<f64>()
    }

    /// PnL in all.
    pub fn profit(blocks: &[Block]) -> f64 {
        blocks.iter().map(|block| block.profit).sum()
    }

    /// PnL per unit of size traded; 0 where nothing was.
    pub fn profit_per_unit(blocks: &[Block]) -> f64 {
        Block::per_unit(blocks, |block| block.profit)
    }

    /// What fills captured of the spread per unit of size traded; 0 where nothing was.
    pub fn captured_per_unit(blocks: &[Block]) -> f64 {
        Block::per_unit(blocks, |block| block.captured)
    }

    /// What fills were worth per unit of size traded at the first horizon after them; 0 where nothing
    /// was.
    pub fn soon_per_unit(blocks: &[Block]) -> f64 {
        Block::per_unit(blocks, |block| block.later[0])
    }

    /// The same at the second.
    pub fn later_per_unit(blocks: &[Block]) -> f64 {
        Block::per_unit(blocks, |block| block.later[1])
    }

    fn per_unit(blocks: &[Block], of: fn(&Block) -> f64) -> f64 {
        let traded = Block::traded(blocks);
        if traded > 0.0 { blocks.iter().map(of).sum::<f64>() / traded } else { 0.0 }
    }

    /// Standard deviation of the blocks' PnL.
    pub fn deviation(blocks: &[Block]) -> f64 {
        let n = blocks.len() as f64;
        let mean = Block::profit(blocks) / n;
        let squares: f64 = blocks.iter().map(|block| (block.profit - mean).powi(2)).sum();
        if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 }
    }
}

/// The middle nine tenths of what `figures` gives over resampled places.
fn middle(count: usize, seed: u64, mut figure: impl FnMut(&[usize]) -> f64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 0.0);
    }
    let mut random = Random::stream(seed, 0);
    let mut places = vec![0; count];
    let mut found: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for place in &mut places {
                *place = ((random.unit() * count as f64) as usize).min(count - 1);
            }
            figure(&places)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    (found[RESAMPLES / 20], found[RESAMPLES - 1 - RESAMPLES / 20])
}

/// 5 % and 95 % of a figure.
pub fn interval(blocks: &[Block], figure: Figure, seed: u64) -> (f64, f64) {
    let mut drawn = Vec::with_capacity(blocks.len());
    middle(blocks.len(), seed, |places| {
        drawn.clear();
        drawn.extend(places.iter().map(|place| blocks[*place]));
        figure(&drawn)
    })
}

/// 5 % and 95 % of what `of` makes of a figure of two runs, over the same blocks of time.
pub fn paired_interval(
    runs: [&[Block]; 2],
    figure: Figure,
    of: fn(f64, f64) -> f64,
    seed: u64,
) -> (f64, f64) {
    let count = runs[0].len().min(runs[1].len());
    let mut drawn = [Vec::with_capacity(count), Vec::with_capacity(count)];
    middle(count, seed, |places| {
        for (drawn, run) in drawn.iter_mut().zip(runs) {
            drawn.clear();
            drawn.extend(places.iter().map(|place| run[*place]));
        }
        of(figure(&drawn[0]), figure(&drawn[1]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(square_seconds: f64, profit: f64, traded: f64) -> Block {
        let (captured, later) = (2.0 * traded, [0.5 * traded, -0.5 * traded]);
        Block { seconds: 10.0, square_seconds, profit, captured, traded, later }
    }

    #[test]
    fn figures_of_known_blocks_are_exact() {
        let blocks = [block(10.0, 1.0, 2.0), block(30.0, 5.0, 1.0)];
        assert_eq!(Block::inventory_square(&blocks), 2.0);
        assert_eq!(Block::profit_per_unit(&blocks), 2.0);
        assert_eq!(Block::captured_per_unit(&blocks), 2.0);
        assert_eq!((Block::soon_per_unit(&blocks), Block::later_per_unit(&blocks)), (0.5, -0.5));
        assert!((Block::deviation(&blocks) - 8f64.sqrt()).abs() < 1e-12);
        assert_eq!(Block::profit_per_unit(&[block(0.0, 0.0, 0.0)]), 0.0);
    }

    #[test]
    fn equal_blocks_leave_no_doubt_and_different_ones_do() {
        let same = [block(20.0, 3.0, 1.0); 12];
        assert_eq!(interval(&same, Block::inventory_square, 1), (2.0, 2.0));
        let mut varied = same;
        varied[0].square_seconds = 200.0;
        let (low, high) = interval(&varied, Block::inventory_square, 1);
        assert!(low < 3.5 && high > 3.5, "{low} {high}");
        let ratio = |runs| paired_interval(runs, Block::inventory_square, |a, b| a / b, 1);
        let (low, high) = ratio([&varied, &same]);
        assert!(low < 1.75 && high > 1.75, "{low} {high}");
        assert_eq!(ratio([&varied, &varied]), (1.0, 1.0), "the same blocks of both");
        assert_eq!(interval(&[], Block::profit, 1), (0.0, 0.0));
    }
}
