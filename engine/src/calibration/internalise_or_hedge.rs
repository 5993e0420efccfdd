//! When a maker's inventory is worth a hedge: Barzykin, Bergault & Guéant (2021), solved.
//!
//! Called by `ballast study internalise-or-hedge`; calibration's thread. Backwards in time from
//! θ(T) = 0, on a grid of inventories:
//! `−∂θ/∂t = −(γ/2)σ²q² + Σ pₖ zₖ [H((θ(q) − θ(q+zₖ))/zₖ) + H((θ(q) − θ(q−zₖ))/zₖ)] + Hᶜ(θ' + kq)`,
//! `Hᶜ(p) = sup_v vp − ηv² − φ|v| = max(|p| − φ, 0)²/(4η)`, where v only takes inventory off. No hedge is
//! worth its cost where `|θ' + kq| ≤ φ`; beyond, the best rate is `sign(p) max(|p| − φ, 0)/(2η)`.
//!
//! Explicit steps, no longer than keeps the scheme monotone, in a fixed order of sums. The grid's edge
//! takes no trade that would pass it. Deliberately absent: any unit; prices, times and sizes are the
//! caller's, one unit each throughout.

use super::dealer_intensity::Intensity;
use super::{CalibrationError, Real, not_negative, positive};
use std::cmp::Ordering;

/// Most cells a side of zero.
pub const CELLS_MAX: usize = 5_000;
/// Most time steps before a problem counts as one that does not settle.
const STEPS_MAX: u32 = 50_000;
/// Stationary where the slope of θ drifts by less than this share of what risk costs at the edge.
const SETTLED: f64 = 1e-9;
/// Share of the longest monotone time step that is taken.
const STEP_SHARE: f64 = 0.9;

/// What hedging costs, prices a unit of size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HedgeCosts {
    /// φ: half-spread plus taker fee plus expected slippage.
    pub phi: f64,
    /// η: further cost a unit of rate (temporary impact), price × time / size.
    pub eta: f64,
    /// k: permanent impact, price a unit of size.
    pub impact: f64,
}

/// One size that comes to trade.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TradeSize {
    /// In cells of the grid.
    pub cells: usize,
    /// Its share of the trades.
    pub share: f64,
}

/// A maker that quotes and hedges.
#[derive(Clone, PartialEq, Debug)]
pub struct HedgeProblem {
    /// σ, price / √time.
    pub sigma: f64,
    /// γ, 1 / (price × size).
    pub gamma: f64,
    /// How often it is traded with, on each side.
    pub intensity: Intensity,
    /// In what sizes.
    pub sizes: Vec<TradeSize>,
    /// What hedging costs.
    pub costs: HedgeCosts,
    /// Width of a cell, size.
    pub cell: f64,
    /// Cells from zero to the largest inventory.
    pub cells: usize,
}

/// How far back from the end the equation is solved.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Until {
    /// So long.
    Horizon(f64),
    /// Until quotes and hedges change no more.
    Stationary,
}

/// θ and what follows from it.
#[derive(Clone, PartialEq, Debug)]
pub struct HedgeSolution {
    problem: HedgeProblem,
    theta: Vec<f64>,
}

/// One evaluation of the equation's right side.
struct Derivative {
    by_time: Vec<f64>,
    /// The quickest rate at which any inventory is left: it bounds the time step.
    rate_max: f64,
}

impl HedgeProblem {
    fn checked(&self) -> Result<(), CalibrationError> {
        positive("sigma", Real::from(self.sigma))?;
        positive("gamma", Real::from(self.gamma))?;
        positive("eta", Real::from(self.costs.eta))?;
        positive("cell", Real::from(self.cell))?;
        not_negative("phi", Real::from(self.costs.phi))?;
        not_negative("impact", Real::from(self.costs.impact))?;
        self.intensity.checked()?;
        let largest = self.sizes.iter().map(|size| size.cells).max().unwrap_or(0);
        // Two cells a side are the least that has a slope on either side of the first.
        if !(largest.max(2)..=CELLS_MAX).contains(&self.cells) {
            let (value, min) = (self.cells as f64, largest.max(2) as f64);
            let max = CELLS_MAX as f64;
            return Err(CalibrationError::OutOfRange { key: "cells", value, min, max });
        }
        if self.sizes.is_empty() {
            return Err(CalibrationError::Shape { key: "sizes", found: 0, expected: 1 });
        }
        for size in &self.sizes {
            positive("sizes.cells", Real::from(size.cells as f64))?;
            positive("sizes.share", Real::from(size.share))?;
        }
        Ok(())
    }

    /// Solves it.
    ///
    /// # Errors
    /// A parameter that may not stand, or [`CalibrationError::NotSettled`].
    pub fn solve(&self, until: Until) -> Result<HedgeSolution, CalibrationError> {
        self.checked()?;
        if let Until::Horizon(length) = until {
            positive("horizon", Real::from(length))?;
        }
        let mut theta = vec![0.0; 2 * self.cells + 1];
        let mut elapsed = 0.0;
        let edge = self.inventory(0);
        let risk = 0.5 * self.gamma * self.sigma * self.sigma * edge * edge;
        for _ in 0..STEPS_MAX {
            let derivative = self.derivative(&theta);
            let mut step = STEP_SHARE / derivative.rate_max;
            let is_last = match until {
                Until::Horizon(length) => {
                    step = step.min(length - elapsed);
                    elapsed + step >= length
                }
                Until::Stationary => spread(&derivative.by_time) <= SETTLED * risk,
            };
            for (theta, by_time) in theta.iter_mut().zip(&derivative.by_time) {
                *theta += step * by_time;
            }
            elapsed += step;
            if theta.iter().any(|theta| !theta.is_finite()) {
                break;
            }
            if is_last {
                return Ok(HedgeSolution { problem: self.clone(), theta });
            }
        }
        Err(CalibrationError::NotSettled { steps: STEPS_MAX })
    }

    fn inventory(&self, node: usize) -> f64 {
        (node as f64 - self.cells as f64) * self.cell
    }

    fn derivative(&self, theta: &[f64]) -> Derivative {
        let mut rate_max: f64 = 0.0;
        let by_time = (0..theta.len()).map(|node| {
            let (value, rate) = self.derivative_at(theta, node);
            rate_max = rate_max.max(rate);
            value
        });
        Derivative { by_time: by_time.collect(), rate_max }
    }

    /// −∂θ/∂t at a node, and the rate at which its inventory is left.
    fn derivative_at(&self, theta: &[f64], node: usize) -> (f64, f64) {
        let q = self.inventory(node);
        let mut value = -0.5 * self.gamma * self.sigma * self.sigma * q * q;
        let mut rate = 0.0;
        for size in &self.sizes {
            let z = size.cells as f64 * self.cell;
            let after = [node.checked_add(size.cells), node.checked_sub(size.cells)];
            for after in after.into_iter().flatten().filter_map(|after| theta.get(after)) {
                let (earned, fills) = self.intensity.hamiltonian((theta[node] - after) / z);
                value += size.share * z * earned;
                rate += size.share * fills;
            }
        }
        let p = self.upwind_slope(theta, node) + self.costs.impact * q;
        let excess = if q > 0.0 {
            (-p - self.costs.phi).max(0.0)
        } else if q < 0.0 {
            (p - self.costs.phi).max(0.0)
        } else {
            0.0
        };
        value += excess * excess / (4.0 * self.costs.eta);
        rate += excess / (2.0 * self.costs.eta * self.cell);
        (value, rate)
    }

    /// θ' on the side that a hedge moves to. Central differences make the scheme oscillate.
    fn upwind_slope(&self, theta: &[f64], node: usize) -> f64 {
        match node.cmp(&self.cells) {
            Ordering::Greater => (theta[node] - theta[node - 1]) / self.cell,
            Ordering::Less => (theta[node + 1] - theta[node]) / self.cell,
            Ordering::Equal => 0.0,
        }
    }
}

impl HedgeSolution {
    /// θ by inventory, from the lowest to the highest, money.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// `θ'(q) + kq` at a node: what a unit more is worth. Central, one-sided at the edges.
    fn marginal(&self, node: usize) -> f64 {
        let last = self.theta.len() - 1;
        let (from, to) = (node.saturating_sub(1), (node + 1).min(last));
        let slope = (self.theta[to] - self.theta[from]) / ((to - from) as f64 * self.problem.cell);
        slope + self.problem.costs.impact * self.problem.inventory(node)
    }

    /// The inventory up to which nothing is hedged, between nodes along a straight line; `None`
    /// where no inventory of the grid is worth a hedge.
    pub fn band(&self) -> Option<f64> {
        let phi = self.problem.costs.phi;
        for node in self.problem.cells + 1..self.theta.len() {
            let (before, here) = (self.marginal(node - 1).abs(), -self.marginal(node));
            if here > phi {
                let share = (phi - before) / (here - before);
                return Some(self.problem.inventory(node - 1) + share * self.problem.cell);
            }
        }
        None
    }

    /// The best hedge rate v* at an inventory, size a unit of time, − sells; the nearest node's.
    /// Beyond the grid: the edge's.
    pub fn rate(&self, inventory: f64) -> f64 {
        let node = self.node(inventory);
        let p = self.marginal(node);
        let rate = (p.abs() - self.problem.costs.phi).max(0.0) / (2.0 * self.problem.costs.eta);
        let is_reducing = p * self.problem.inventory(node) < 0.0;
        if is_reducing { rate * p.signum() } else { 0.0 }
    }

    /// Distances of bid and ask from the mid at an inventory (the nearest node's) for the size in
    /// that place of the problem's; `None` where the trade would pass the grid's edge.
    pub fn quotes(&self, inventory: f64, size: usize) -> [Option<f64>; 2] {
        let node = self.node(inventory);
        let Some(size) = self.problem.sizes.get(size) else { return [None, None] };
        let z = size.cells as f64 * self.problem.cell;
        [node.checked_add(size.cells), node.checked_sub(size.cells)].map(|after| {
            let after = after.and_then(|after| self.theta.get(after))?;
            Some(self.problem.intensity.best_distance((self.theta[node] - after) / z))
        })
    }

    fn node(&self, inventory: f64) -> usize {
        let cells = self.problem.cells as f64;
        // Clamped first: the cast then holds every value.
        (libm::round(inventory / self.problem.cell).clamp(-cells, cells) + cells) as usize
    }
}

fn spread(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    most - least
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A maker in small: exponential intensity, one size, a coarse grid.
    fn small() -> HedgeProblem {
        HedgeProblem {
            sigma: 2.0,
            gamma: 0.02,
            intensity: Intensity::Exponential { rate: 1.0, decay: 1.5 },
            sizes: vec![TradeSize { cells: 1, share: 1.0 }],
            costs: HedgeCosts { phi: 0.5, eta: 0.05, impact: 0.0 },
            cell: 1.0,
            cells: 12,
        }
    }

    fn band(problem: &HedgeProblem) -> f64 {
        problem.solve(Until::Stationary).unwrap().band().unwrap()
    }

    #[test]
    fn bought_and_sold_inventories_mirror() {
        let solution = small().solve(Until::Stationary).unwrap();
        for (long, short) in solution.theta().iter().zip(solution.theta().iter().rev()) {
            assert!((long - short).abs() < 1e-9);
        }
        for q in [0.0, 3.0, 12.0, 40.0] {
            assert!((solution.rate(q) + solution.rate(-q)).abs() < 1e-9);
            let ([bid, _], [_, ask]) = (solution.quotes(q, 0), solution.quotes(-q, 0));
            assert!((bid.unwrap_or(0.0) - ask.unwrap_or(0.0)).abs() < 1e-9);
        }
        assert_eq!(solution.quotes(12.0, 0)[0], None, "the edge buys no more");
    }

    #[test]
    fn nothing_is_hedged_inside_the_band_and_more_the_further_beyond() {
        let solution = small().solve(Until::Stationary).unwrap();
        let band = solution.band().unwrap();
        let mut last = 0.0;
        for q in 1..=12 {
            let sold = -solution.rate(f64::from(q));
            assert_eq!(sold > 0.0, f64::from(q) > band, "{q} with a band of {band}");
            assert!(sold >= last, "{q}");
            last = sold;
        }
    }

    #[test]
    fn dearer_hedges_widen_the_band_and_risk_narrows_it() {
        let base = band(&small());
        let dear = HedgeProblem { costs: HedgeCosts { phi: 0.8, ..small().costs }, ..small() };
        let moving =
            HedgeProblem { costs: HedgeCosts { impact: 0.02, ..small().costs }, ..small() };
        let wary = HedgeProblem { gamma: 0.08, ..small() };
        let wild = HedgeProblem { sigma: 4.0, ..small() };
        assert!(band(&dear) > base && band(&moving) > base);
        assert!(band(&wary) < base && band(&wild) < base);
    }

    #[test]
    fn a_hedge_that_costs_more_than_any_inventory_is_never_made() {
        let costs = HedgeCosts { phi: 1e6, ..small().costs };
        let solution = HedgeProblem { costs, ..small() }.solve(Until::Stationary).unwrap();
        assert_eq!((solution.band(), solution.rate(12.0)), (None, 0.0));
    }

    #[test]
    fn a_problem_without_sense_is_refused() {
        let bad = [
            HedgeProblem { sigma: 0.0, ..small() },
            HedgeProblem { gamma: -1.0, ..small() },
            HedgeProblem { sizes: Vec::new(), ..small() },
            HedgeProblem { cells: 1, ..small() },
            HedgeProblem { cells: CELLS_MAX + 1, ..small() },
            HedgeProblem { costs: HedgeCosts { eta: 0.0, ..small().costs }, ..small() },
            HedgeProblem { costs: HedgeCosts { phi: f64::NAN, ..small().costs }, ..small() },
        ];
        for problem in bad {
            assert!(problem.solve(Until::Stationary).is_err(), "{problem:?}");
        }
        assert!(small().solve(Until::Horizon(0.0)).is_err());
    }
}
