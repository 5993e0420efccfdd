//! The three tables of Avellaneda & Stoikov (2008): inventory against symmetric quotes.
//!
//! Fed by a seed; feeds `ballast study`. The mid starts at 100 and takes ± σ√dt a step; both
//! quoters have the constant spread `(2/γ) ln(1 + γ/k)`, one around the reservation price, one
//! around the mid; a side is filled with the chance λ dt, independently of the other, and negative
//! distances are not clamped. Both quoters meet the same random numbers. The paper's own 1,000
//! paths are noisy, and its γ = 0.5 row is not reproducible under any convention tried, so a float
//! replay of 100,000 paths stands beside the paper.

use super::moments::{deviation, mean};
use super::quotes::{Intensity, Memo};
use super::{Row, Run, on_all_cores};
use crate::random::Random;
use ballast_engine::calibration::{CalibrationError, QuoteParameters, Real, quoter};
use ballast_engine::fixed::Scaled;
use ballast_engine::quote::{Model, Quoter};

/// As `ballast study` names it.
pub const NAME: &str = "avellaneda-stoikov-2008";
/// Paths where none are given: a hundred times the paper's.
pub const PATHS: u32 = 100_000;

const STEPS: u32 = 200;
const SIGMA: f64 = 2.0;
const STEP: f64 = 0.005;
const PAPER: &str = "Avellaneda & Stoikov (2008), 1,000 paths";
/// Whose figures ours are held to.
pub const REPLAY: &str = "float replay, 100,000 paths";

/// Figures of one quoter: spread, profit, its deviation, final inventory, its deviation.
struct Published {
    gamma: &'static str,
    table: u8,
    paper: [[f64; 5]; 2],
    /// Profit, its deviation, the final inventory's deviation.
    replay: [[f64; 3]; 2],
}

const PUBLISHED: [Published; 3] = [
    Published {
        gamma: "0.1",
        table: 1,
        paper: [[1.29, 62.94, 5.89, 0.1, 2.8], [1.29, 67.21, 13.43, -0.018, 8.66]],
        replay: [[64.19, 6.04, 2.93], [68.67, 13.80, 8.86]],
    },
    Published {
        gamma: "0.01",
        table: 2,
        paper: [[1.33, 66.78, 8.76, -0.02, 4.7], [1.33, 67.36, 13.4, -0.31, 8.65]],
        replay: [[68.41, 8.92, 5.22], [68.70, 13.72, 8.77]],
    },
    Published {
        gamma: "0.5",
        table: 3,
        paper: [[1.15, 33.92, 4.72, -0.02, 1.88], [1.15, 66.2, 14.53, 0.25, 9.06]],
        replay: [[23.88, 5.06, 1.96], [68.00, 13.98, 9.14]],
    },
];

/// How one path ended for one quoter.
#[derive(Clone, Copy)]
struct End {
    profit: f64,
    inventory: f64,
}

/// The three tables.
///
/// # Errors
/// None with the paper's parameters; the calibration's error says what would be wrong with others.
pub fn run(run: Run, done: &(dyn Fn() + Sync)) -> Result<Vec<Row>, CalibrationError> {
    let mut rows = Vec::new();
    for published in &PUBLISHED {
        let gamma = Real::parse(published.gamma).unwrap_or_default();
        let parameters = QuoteParameters::new(gamma, Real::from(140.0), Real::from(1.5));
        let model = quoter(Model::AvellanedaStoikovConstantSpread, &parameters)?;
        let stream = |path: u32| Random::stream(run.seed, u64::from(path));
        let ends = on_all_cores(run.paths, done, &|paths| {
            let mut memos = memos(model);
            paths.map(|path| simulate(&mut memos, stream(path))).collect()
        });
        rows.extend(rows_of(published, &ends, spread(model)));
    }
    Ok(rows)
}

/// Quotes by step of time and inventory; the last entry is the symmetric quoter's, which has no
/// time left and therefore no skew.
fn memos(model: Quoter) -> Vec<Memo> {
    let intensity = Intensity { per_step: 140.0 * STEP, decay: 1.5 };
    (0..=STEPS)
        .map(|step| {
            let nanos = u64::from(STEPS - step) * 5_000_000;
            Memo::new(model, Scaled::new(2, 0), Scaled::from_nanos(nanos), intensity)
        })
        .collect()
}

fn spread(model: Quoter) -> f64 {
    let mut memo =
        Memo::new(model, Scaled::ONE, Scaled::ZERO, Intensity { per_step: 0.0, decay: 0.0 });
    let quote = memo.at(0);
    quote.bid + quote.ask
}

fn simulate(memos: &mut [Memo], mut random: Random) -> [End; 2] {
    let mut mid = 100.0;
    let mut accounts = [(0.0f64, 0i64); 2];
    let last = memos.len() - 1;
    for step in 0..last {
        let (bid_draw, ask_draw) = (random.unit(), random.unit());
        for (which, (cash, inventory)) in accounts.iter_mut().enumerate() {
            let (memo, held) = if which == 0 { (step, *inventory) } else { (last, 0) };
            let quote = memos[memo].at(held);
            if bid_draw < quote.bid_chance {
                *cash -= mid - quote.bid;
                *inventory += 1;
            }
            if ask_draw < quote.ask_chance {
                *cash += mid + quote.ask;
                *inventory -= 1;
            }
        }
        let rise = SIGMA * libm::sqrt(STEP);
        mid += if random.chance(0.5) { rise } else { -rise };
    }
    accounts.map(|(cash, inventory)| End {
        profit: cash + inventory as f64 * mid,
        inventory: inventory as f64,
    })
}

fn rows_of(published: &Published, ends: &[[End; 2]], spread: f64) -> Vec<Row> {
    let case = format!("table {}: gamma = {}", published.table, published.gamma);
    let mut rows = Vec::new();
    let mut deviations = [0.0; 2];
    for (which, name) in ["inventory", "symmetric"].into_iter().enumerate() {
        let profit = mean(ends, |end| end[which].profit);
        let profit_deviation = deviation(ends, |end| end[which].profit);
        let inventory = mean(ends, |end| end[which].inventory);
        let inventory_deviation = deviation(ends, |end| end[which].inventory);
        deviations[which] = profit_deviation;
        let ours = [spread, profit, profit_deviation, inventory, inventory_deviation];
        let figures = ["spread", "profit", "std", "q", "std_q"];
        for ((figure, ours), paper) in figures.into_iter().zip(ours).zip(published.paper[which]) {
            rows.push(Row::new(&case, name, figure, ours, paper, PAPER));
        }
        let replayed =
            [("profit", profit), ("std", profit_deviation), ("std_q", inventory_deviation)];
        for ((figure, ours), replay) in replayed.into_iter().zip(published.replay[which]) {
            rows.push(Row::new(&case, name, figure, ours, replay, REPLAY));
        }
    }
    let ratio = deviations[0] / deviations[1];
    let (paper, replay) = (published.paper, published.replay);
    for (reference, source) in
        [(paper[0][2] / paper[1][2], PAPER), (replay[0][1] / replay[1][1], REPLAY)]
    {
        rows.push(Row::new(&case, "inventory / symmetric", "std_ratio", ratio, reference, source));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(paths: u32, seed: u64) -> Vec<Row> {
        run(Run { paths, seed }, &|| ()).unwrap()
    }

    fn pick(rows: &[Row], case: &str, quoter: &str, figure: &str) -> (f64, f64) {
        let row = rows
            .iter()
            .rfind(|row| row.case.ends_with(case) && row.quoter == quoter && row.figure == figure)
            .unwrap();
        (row.ours, row.reference.unwrap())
    }

    #[test]
    fn three_thousand_paths_already_show_the_papers_ratios() {
        let rows = figures(3000, 1);
        for case in ["gamma = 0.1", "gamma = 0.01", "gamma = 0.5"] {
            let (ours, replay) = pick(&rows, case, "inventory / symmetric", "std_ratio");
            assert!((ours - replay).abs() < 0.03, "{case}: {ours} against {replay}");
            let (ours, paper) = pick(&rows, case, "inventory", "spread");
            assert!((ours - paper).abs() < 0.006, "{case}: {ours} against {paper}");
        }
        for quoter in ["inventory", "symmetric"] {
            let (ours, replay) = pick(&rows, "gamma = 0.1", quoter, "profit");
            assert!((ours / replay - 1.0).abs() < 0.02, "{quoter}: {ours} against {replay}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_figures_and_another_seed_others() {
        assert_eq!(figures(50, 7), figures(50, 7));
        assert_ne!(figures(50, 7), figures(50, 8));
    }
}
