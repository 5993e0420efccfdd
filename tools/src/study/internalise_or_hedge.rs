//! Barzykin, Bergault & Guéant (2021), section 4: when a currency dealer hedges, USDCNH.
//!
//! Feeds `ballast study`. The engine's solver in the paper's own setting: logistic intensity, four
//! sizes, 0.05 day, a grid of 1 M$. The base case and the four variations of figures 5 to 8. Prices in
//! bps, sizes in M$, times in days; rates are printed a second. Nothing is random here.

use super::Row;
use ballast_engine::calibration::CalibrationError;
use ballast_engine::calibration::dealer_intensity::Intensity;
use ballast_engine::calibration::internalise_or_hedge::{
    HedgeCosts, HedgeProblem, TradeSize, Until,
};

/// As `ballast study` names it.
pub const NAME: &str = "internalise-or-hedge";

const PAPER: &str = "Barzykin, Bergault & Guéant (2021), section 4";
const REPLAY: &str = "float solution on the paper's grid";
const FIGURES: &str = "the paper's figures show it without a number";
const QUOTER: &str = "internalise or hedge";
const SECONDS_A_DAY: f64 = 86_400.0;
const HORIZON_DAYS: f64 = 0.05;

fn base() -> HedgeProblem {
    let sizes = [(1, 0.76), (5, 0.15), (10, 0.075), (20, 0.015)];
    HedgeProblem {
        sigma: 50.0,
        gamma: 5e-4,
        intensity: logistic(1000.0),
        sizes: sizes.map(|(cells, share)| TradeSize { cells, share }).to_vec(),
        costs: HedgeCosts { phi: 0.2, eta: 1e-5, impact: 0.005 },
        cell: 1.0,
        cells: 100,
    }
}

fn logistic(rate: f64) -> Intensity {
    Intensity::Logistic { rate, alpha: -1.0, beta: 10.0 }
}

fn cases() -> [(&'static str, HedgeProblem); 5] {
    let costs = base().costs;
    [
        ("base", base()),
        ("phi = 0.4 bps", HedgeProblem { costs: HedgeCosts { phi: 0.4, ..costs }, ..base() }),
        ("k = 0.01 bps/M$", HedgeProblem { costs: HedgeCosts { impact: 0.01, ..costs }, ..base() }),
        ("gamma = 5e-3 1/(bps M$)", HedgeProblem { gamma: 5e-3, ..base() }),
        ("lambda = 3000/day", HedgeProblem { intensity: logistic(3000.0), ..base() }),
    ]
}

/// Band, spread and rates of the five cases.
///
/// # Errors
/// None with the paper's parameters; the calibration's error says what would be wrong with others.
pub fn run() -> Result<Vec<Row>, CalibrationError> {
    let mut rows = Vec::new();
    for (case, problem) in cases() {
        let solution = problem.solve(Until::Horizon(HORIZON_DAYS))?;
        let is_base = rows.is_empty();
        let [bid, ask] = solution.quotes(0.0, 0);
        let spread = bid.zip(ask).map_or(f64::NAN, |(bid, ask)| bid + ask);
        let band = solution.band().unwrap_or(f64::INFINITY);
        let mut row = |figure: &str, ours: f64, published: Option<(f64, &str)>| {
            let published = published.filter(|_| is_base);
            let (reference, source) = published.map_or((None, FIGURES), |(r, s)| (Some(r), s));
            rows.push(Row::new(case, QUOTER, figure, ours, reference, source));
        };
        row("spread of 1 M$ at q = 0, bps", spread, Some((0.321_958_798_709_704_07, REPLAY)));
        if is_base {
            row("spread of 1 M$ at q = 0, bps", spread, Some((0.32, PAPER)));
        }
        row("no-hedge band, M$", band, Some((20.752_941_823_311_367, REPLAY)));
        for inventory in [30.0, 50.0, 100.0] {
            let rate = solution.rate(inventory).abs() / SECONDS_A_DAY;
            row(&format!("hedge rate at |q| = {inventory}, M$/s"), rate, None);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(rows: &[Row], case: usize, figure: &str) -> f64 {
        let case = cases()[case].0;
        rows.iter().find(|row| row.case == case && row.figure.starts_with(figure)).unwrap().ours
    }

    #[test]
    fn spread_band_and_rates_are_the_papers() {
        let rows = run().unwrap();
        assert!((figure(&rows, 0, "spread") - 0.322).abs() < 0.002, "{rows:?}");
        assert!((figure(&rows, 0, "no-hedge band") - 20.75).abs() < 1.0, "{rows:?}");
        // The paper's figure 2 ends between 0.2 and 0.24 M$/s.
        assert!((0.2..=0.24 * 1.03).contains(&figure(&rows, 0, "hedge rate at |q| = 100")));
        let band = |case| figure(&rows, case, "no-hedge band");
        let [base, dear, moving, wary, busy] = [0, 1, 2, 3, 4].map(band);
        // Figures 5 to 8: cost, impact and trade widen the band, risk aversion narrows it.
        assert!(dear > base && moving > base && busy > base && wary < base, "{rows:?}");
        let rate = |case| figure(&rows, case, "hedge rate at |q| = 50");
        let [base, dear, moving, wary, busy] = [0, 1, 2, 3, 4].map(rate);
        assert!(dear < base && moving < base && busy < base && wary > base, "{rows:?}");
    }
}
