//! A run in blocks of time, and how far its figures would move if other blocks had come.
//!
//! Fed by a run's [`Trace`]; feeds `study readme-table`. Blocks are drawn with replacement from one
//! seed, the same ones for two runs that are compared. What it cannot see: inventory that wanders
//! for longer than a block, so that the intervals of E[q²] are too narrow where nothing brings it home.

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
    traded: f64,
}

impl Block {
    /// A trace cut into blocks of `length_ns`; a last one shorter than that is left out.
    pub fn of(trace: &Trace, length_ns: u64) -> Vec<Block> {
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
                block.traded += pair[1].traded - pair[0].traded;
            }
        }
        if blocks.last().is_some_and(|block| block.seconds < 0.99e-9 * length_ns as f64) {
            blocks.pop();
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
        let traded = Block::traded(blocks);
        if traded > 0.0 { Block::profit(blocks) / traded } else { 0.0 }
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

/// 5 % and 95 % of one run's E[q²] over another's, over the same blocks of time.
pub fn ratio_interval(over: &[Block], under: &[Block], seed: u64) -> (f64, f64) {
    let square = |blocks: &[Block], places: &[usize]| -> f64 {
        places.iter().map(|place| blocks[*place].square_seconds).sum()
    };
    let count = over.len().min(under.len());
    middle(count, seed, |places| square(over, places) / square(under, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(square_seconds: f64, profit: f64, traded: f64) -> Block {
        Block { seconds: 10.0, square_seconds, profit, traded }
    }

    #[test]
    fn figures_of_known_blocks_are_exact() {
        let blocks = [block(10.0, 1.0, 2.0), block(30.0, 5.0, 1.0)];
        assert_eq!(Block::inventory_square(&blocks), 2.0);
        assert_eq!(Block::profit_per_unit(&blocks), 2.0);
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
        let (low, high) = ratio_interval(&varied, &same, 1);
        assert!(low < 1.75 && high > 1.75, "{low} {high}");
        assert_eq!(interval(&[], Block::profit, 1), (0.0, 0.0));
    }
}
