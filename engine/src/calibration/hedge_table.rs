//! The derived no-trade band of an underlying that is quoted with exponential intensities, as a table.
//!
//! Called by the config and by whoever refits; calibration's thread; feeds the maker with
//! [`DerivedBand`] and [`RowUpdate`]s. The equation is that of [`super::internalise_or_hedge`],
//! stationary, with one size z. In inventories `x = q/z` and values `u = kθ/z` it has four numbers:
//! `r = γσ²kz/A`, `f = kφ`, `h = ηkzA` and `i = κkz`, and reads, with `dₙ = u(n) − u(n+1)`,
//! `λ = −r n²/2 + e⁻¹(e^(−dₙ) + e^(dₙ₋₁)) + max(dₙ₋₁ − i n − f, 0)²/(4h)`.
//! From the edge, which takes no further trade, each `dₙ₋₁` follows from `dₙ`, and errors shrink on
//! the way; λ is where the value of zero inventory agrees, found by halving. So a row takes a
//! thousandth of the time that the general solver's steps take, and answers the same (tested).

use super::{CalibrationError, QuoteParameters, Real, not_negative, positive};
use crate::estimate::volatility::Sigma;
use crate::event::InstrumentId;
use crate::inventory::derived::{DerivedBand, PHIS, ROW_FRACTION_BITS, Row, RowUpdate, SIGMAS};
use crate::units::{Exposure, SubTicks};

/// Most inventories, in orders, that are solved for; the maker goes on along a straight line.
const ORDERS_MAX: usize = 512;
/// Fewest: below, the edge would be felt inside the band.
const ORDERS_MIN: usize = 16;
/// kφ of the first rows.
const COST_LEAST: f64 = 0.02;
/// Halvings of the logarithm of λ: more than a double has digits.
const HALVINGS: u32 = 90;
/// λ is not below e^this: an inventory of one order would cost as many e-foldings.
const LOG_LEAST: f64 = -600.0;

/// What the band is made from. Prices in ticks of the quoted instrument, sizes in its size unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HedgeInputs {
    /// Whose quotes bring the inventory home.
    pub quoted: InstrumentId,
    /// γ, A, k and the order's size.
    pub quote: QuoteParameters,
    /// 1e-9 of exposure in one size unit.
    pub nano_per_unit: f64,
    /// Floor of the volatility, ticks/√s.
    pub sigma_least: Sigma,
    /// η, ticks a unit of size a second.
    pub eta: Real,
    /// k, ticks a unit of size.
    pub impact: Real,
    /// The largest inventory that there may be.
    pub hard: Exposure,
}

/// The equation's four numbers.
#[derive(Clone, Copy, Debug)]
struct Scale {
    risk: f64,
    cost: f64,
    haste: f64,
    impact: f64,
}

impl HedgeInputs {
    /// The whole table.
    ///
    /// # Errors
    /// A parameter that may not stand.
    pub fn band(&self) -> Result<DerivedBand, CalibrationError> {
        self.checked()?;
        let (gamma, a, k, z) = self.numbers();
        let order = z * self.nano_per_unit;
        let orders = self.orders();
        let mut rows = Vec::with_capacity(SIGMAS * PHIS);
        for sigma in 0..SIGMAS {
            for phi in 0..PHIS {
                rows.push(self.row(sigma, phi));
            }
        }
        debug_assert!(gamma > 0.0 && a > 0.0, "checked above");
        Ok(DerivedBand {
            quoted: self.quoted,
            order: Exposure(libm::round(order) as i64),
            sigma_least: self.sigma_least,
            phi_least: SubTicks((COST_LEAST / k * SubTicks::ONE.0 as f64).max(1.0) as i64),
            reach: Exposure(libm::round(order * orders as f64) as i64),
            rows,
            impact: (self.impact / Real::from(self.nano_per_unit)).scaled(),
            pace: (Real::from(self.nano_per_unit) / (self.eta * Real::from(2.0))).scaled(),
        })
    }

    /// The rows of refitted intensities, for a table of the same instrument.
    ///
    /// # Errors
    /// A parameter that may not stand.
    pub fn updates(&self, of: &DerivedBand) -> Result<Vec<RowUpdate>, CalibrationError> {
        self.checked()?;
        let phi_least = of.phi_least.0 as f64 / SubTicks::ONE.0 as f64;
        let places = (0u8..).zip(0..SIGMAS * PHIS);
        let rows = places.map(|(place, n)| {
            let phi = phi_least * libm::pow(4.0, (n % PHIS) as f64);
            let row = self.row_at(n / PHIS, phi, of.reach);
            RowUpdate { quoted: self.quoted, place, row }
        });
        Ok(rows.collect())
    }

    fn checked(&self) -> Result<(), CalibrationError> {
        self.quote.checked()?;
        positive("eta", self.eta)?;
        not_negative("k_impact", self.impact)?;
        positive("volatility.floor", Real::from(self.sigma_least.0 as f64))?;
        positive("hard", Real::from(self.hard.0 as f64))?;
        positive("multiplier", Real::from(self.nano_per_unit))
    }

    /// γ, A, k, z.
    fn numbers(&self) -> (f64, f64, f64, f64) {
        let quote = &self.quote;
        let of = |value: Real| value.to_f64();
        (of(quote.gamma), of(quote.intensity), of(quote.decay), of(quote.order_size))
    }

    /// How many orders the largest inventory is.
    fn orders(&self) -> usize {
        let (.., z) = self.numbers();
        let orders = libm::ceil(self.hard.0 as f64 / (z * self.nano_per_unit));
        // Clamped first: the cast then holds every value.
        orders.clamp(ORDERS_MIN as f64, ORDERS_MAX as f64) as usize
    }

    fn row(&self, sigma: usize, phi: usize) -> Row {
        let (.., k, z) = self.numbers();
        let reach = z * self.nano_per_unit * self.orders() as f64;
        let phi = COST_LEAST / k * libm::pow(4.0, phi as f64);
        self.row_at(sigma, phi, Exposure(libm::round(reach) as i64))
    }

    /// The row of a place among the volatilities and a hedge cost in ticks, up to an inventory.
    fn row_at(&self, sigma: usize, phi: f64, reach: Exposure) -> Row {
        let (gamma, a, k, z) = self.numbers();
        let floor = self.sigma_least.0 as f64 / SubTicks::ONE.0 as f64;
        let sigma = floor * libm::pow(2.0, sigma as f64);
        let scale = Scale {
            risk: gamma * sigma * sigma * k * z / a,
            cost: k * phi,
            haste: self.eta.to_f64() * k * z * a,
            impact: self.impact.to_f64() * k * z,
        };
        let orders = reach.0 as f64 / (z * self.nano_per_unit);
        let cells = libm::ceil(orders).clamp(ORDERS_MIN as f64, ORDERS_MAX as f64) as usize;
        let marginal = scale.marginal(cells);
        let band = scale.band(&marginal);
        let excess = std::array::from_fn(|node| {
            let part = node as f64 / 4.0;
            let value = between(&marginal, band * (1.0 + part * part)) - scale.cost;
            let value = if node == 0 { 0.0 } else { value.max(0.0) };
            let value = value * f64::from(1u32 << ROW_FRACTION_BITS);
            libm::round(value).clamp(0.0, f64::from(i32::MAX)) as i32
        });
        // θ ≈ −aq²/2 with a² = γσ²e/(2Akz).
        let slope = libm::sqrt(gamma * std::f64::consts::E / (2.0 * a * k * z));
        let band = libm::round(band * z * self.nano_per_unit).min(i64::MAX as f64) as i64;
        Row {
            band: Exposure(band),
            excess,
            unit: (Real::ONE / self.quote.decay).scaled(),
            slope: Real::from(slope / self.nano_per_unit).scaled(),
        }
    }
}

impl Scale {
    /// Where a unit's cost meets its hedge's, in orders; 0: nowhere, however far the last slope goes.
    fn band(&self, marginal: &[f64]) -> f64 {
        let last = marginal.len() - 1;
        let Some(node) = (1..=last).find(|node| marginal[*node] > self.cost) else {
            // Not within the grid: along a straight line from zero through its edge.
            let edge = marginal[last];
            return if edge > 0.0 { last as f64 * self.cost / edge } else { 0.0 };
        };
        if node == 1 {
            // Within the first order the grid knows one cost, which the hedge holds down: the slope
            // from zero is the parabola's.
            let slope = libm::sqrt(0.5 * self.risk * std::f64::consts::E) - self.impact;
            return if slope > self.cost { self.cost / slope } else { 1.0 };
        }
        // The kink: along the last slope before it, and no further than the node beyond it.
        let (before, here) = (marginal[node - 1], marginal[node]);
        let rise = (before - marginal[node - 2]).max(here - before);
        let share = ((self.cost - before) / rise).clamp(0.0, 1.0);
        (node - 1) as f64 + share
    }

    /// `−(u' + i n)` at each inventory from 0 to `cells`, central, one-sided at the edge.
    fn marginal(&self, cells: usize) -> Vec<f64> {
        let mut steps = vec![0.0; cells];
        let (mut low, mut high) = (LOG_LEAST, libm::log(2.0) - 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.is_enough(libm::exp(middle), &mut steps) {
                high = middle;
            } else {
                low = middle;
            }
        }
        // The upper end: there the whole way from the edge has an answer.
        self.is_enough(libm::exp(high), &mut steps);
        let at = |n: usize| {
            let before = if n == 0 { -steps[0] } else { steps[n - 1] };
            let after = steps.get(n).copied().unwrap_or(before);
            0.5 * (before + after) - self.impact * n as f64
        };
        (0..=cells).map(at).collect()
    }

    /// From the edge to zero with this λ, leaving `dₙ` in `steps`: is λ at or above the one that fits?
    fn is_enough(&self, lambda: f64, steps: &mut [f64]) -> bool {
        let mut earned_beyond = 0.0;
        for n in (1..=steps.len()).rev() {
            let x = n as f64;
            let earned = lambda + 0.5 * self.risk * x * x - earned_beyond;
            if earned <= 0.0 {
                return false;
            }
            let step = self.step(earned, x);
            steps[n - 1] = step;
            earned_beyond = libm::exp(-1.0 - step);
        }
        lambda >= 2.0 * earned_beyond
    }

    /// The d with `e^(d−1) + max(d − i x − f, 0)²/(4h) = earned`.
    fn step(&self, earned: f64, x: f64) -> f64 {
        let free = 1.0 + libm::log(earned);
        let edge = self.impact * x + self.cost;
        if free <= edge {
            return free;
        }
        // Convex and rising: from the right Newton's steps only come closer.
        let mut d = free.min(edge + libm::sqrt(4.0 * self.haste * earned));
        for _ in 0..60 {
            let (sold, beyond) = (libm::exp(d - 1.0), (d - edge).max(0.0));
            let value = sold + beyond * beyond / (4.0 * self.haste) - earned;
            let next = d - value / (sold + beyond / (2.0 * self.haste));
            let is_there = (d - next).abs() <= 1e-14 * d.abs().max(1.0);
            d = next;
            if is_there {
                break;
            }
        }
        d
    }
}

/// A value between nodes 1 apart, along a straight line.
fn between(values: &[f64], x: f64) -> f64 {
    let last = values.len() - 1;
    let from = (libm::floor(x).max(0.0) as usize).min(last.saturating_sub(1));
    let share = x - from as f64;
    values[from] + share * (values[from + 1] - values[from])
}

#[cfg(test)]
mod tests {
    use super::super::dealer_intensity::Intensity;
    use super::super::internalise_or_hedge::{HedgeCosts, HedgeProblem, TradeSize, Until};
    use super::*;

    fn inputs() -> HedgeInputs {
        let quote = QuoteParameters {
            order_size: Real::from(0.01),
            ..QuoteParameters::new(Real::from(0.005), Real::from(1.0), Real::from(0.03))
        };
        HedgeInputs {
            quoted: InstrumentId(0),
            quote,
            nano_per_unit: 1e9,
            sigma_least: Sigma(100 << 32),
            eta: Real::from(500.0),
            impact: Real::from(20.0),
            hard: Exposure(300_000_000),
        }
    }

    #[test]
    fn a_row_is_the_general_solver_s_answer() {
        let inputs = inputs();
        let problem = HedgeProblem {
            sigma: 400.0,
            gamma: 0.005,
            intensity: Intensity::Exponential { rate: 1.0, decay: 0.03 },
            sizes: vec![TradeSize { cells: 1, share: 1.0 }],
            costs: HedgeCosts { phi: COST_LEAST / 0.03 * 64.0, eta: 500.0, impact: 20.0 },
            cell: 0.01,
            cells: 30,
        };
        let solution = problem.solve(Until::Stationary).unwrap();
        let row = inputs.row(2, 3);
        let (band, exact) = (row.band.0 as f64 * 1e-9, solution.band().unwrap());
        assert!((band / exact - 1.0).abs() < 0.1, "{band} {exact}");
        for (node, excess) in row.excess.iter().enumerate().skip(1) {
            let n = band * (1.0 + (node * node) as f64 / 16.0) / 0.01;
            if n > 29.0 {
                break;
            }
            // The general solver's rate is that of the nearest node; ours lies between two of them.
            let rate = |n: f64| -solution.rate(n * 0.01);
            let (low, high) = (rate(libm::floor(n)), rate(libm::ceil(n)));
            let ours = f64::from(*excess) / f64::from(1u32 << 20) / 0.03 / (2.0 * 500.0);
            let is_between = ours >= 0.999 * low - 1e-6 && ours <= 1.001 * high + 1e-6;
            assert!(is_between, "{node}: {ours} not in {low} to {high}");
        }
    }

    #[test]
    fn the_band_is_that_of_the_parabola_or_wider_for_the_hedges_beyond_it() {
        // What is hedged beyond the band makes inventory within it cheaper than θ = -aq²/2 says.
        let mut inputs = inputs();
        inputs.quote.order_size = Real::from(0.001);
        inputs.impact = Real::ZERO;
        let row = inputs.row(0, 1);
        let slope = row.slope.times(crate::fixed::Scaled::new(100, 0));
        let closed = slope.of(row.band.0).nearest_sub_ticks().0 as f64 / 4_294_967_296.0;
        let phi = COST_LEAST / 0.03 * 4.0;
        assert!((1.0..2.0).contains(&(closed / phi)), "{closed} {phi}");
    }

    #[test]
    fn dearer_hedges_widen_the_band_and_volatility_narrows_it() {
        let band = inputs().band().unwrap();
        let at = |sigma: i64, phi: i64| {
            band.curve(Sigma(sigma << 32), SubTicks(phi << 32)).band().map(|band| band.0)
        };
        let base = at(300, 20).unwrap();
        assert!(at(300, 40).unwrap() > base && at(600, 20).unwrap() < base);
        assert!(at(100, 1_000_000) > Some(100_000_000_000), "far beyond all that may be held");
        let mut moving = inputs();
        moving.impact = Real::from(1e6);
        let band = moving.band().unwrap();
        assert_eq!(band.curve(Sigma(300 << 32), SubTicks(20 << 32)).band(), None, "a is below k");
    }

    #[test]
    fn a_refit_replaces_every_row_and_an_unchanged_one_none() {
        let inputs = inputs();
        let mut band = inputs.band().unwrap();
        let before = band.clone();
        for update in inputs.updates(&before).unwrap() {
            assert!(band.take(&update));
        }
        let near = |a: &Row, b: &Row| (a.band.0 - b.band.0).abs() <= 2 + b.band.0 / 1_000_000;
        assert!(band.rows.iter().zip(&before.rows).all(|(a, b)| near(a, b)));
        let mut busier = inputs;
        busier.quote.intensity = Real::from(4.0);
        for update in busier.updates(&before).unwrap() {
            band.take(&update);
        }
        let width = |band: &DerivedBand| band.curve(Sigma(300 << 32), SubTicks(20 << 32)).band();
        assert!(width(&band) > width(&before), "more trades to wait for: a wider band");
    }

    #[test]
    fn extremes_have_an_answer_and_nonsense_none() {
        let mut wild = inputs();
        wild.quote.gamma = Real::from(100.0);
        wild.eta = Real::from(1e-9);
        let band = wild.band().unwrap();
        assert!(band.rows.iter().all(|row| row.band.0 > 0));
        let none = HedgeInputs { eta: Real::ZERO, ..inputs() };
        assert!(none.band().is_err());
        let none = HedgeInputs { impact: Real::from(-1.0), ..inputs() };
        assert!(none.band().is_err());
    }
}
