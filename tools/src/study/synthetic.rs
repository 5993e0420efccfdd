//! The synthetic market: four quoters on the same random numbers, in three markets.
//!
//! Fed by a seed; feeds `ballast study`. An hour in steps of 0.1 s: two uniforms (bid, ask) decide
//! fills with the chance `A e^(−kδ) dt`, then a normal moves the mid. S1 is plain; in S2 the
//! volatility is three times as high in the second and fourth quarter, and the quoters know it; in
//! S3 an own buy moves the mid down by a tick and an own sell up: adverse selection. The four are
//! the symmetric baseline, GLFT, Avellaneda & Stoikov with a rolling 60 s, and the reading of them
//! that has σ where the paper has σ², as Hummingbot quotes it.

use super::moments::{deviation, mean};
use super::quotes::{Intensity, Memo};
use super::{Row, Run, on_all_cores};
use crate::random::Random;
use ballast_engine::calibration::{CalibrationError, QuoteParameters, Real, quoter};
use ballast_engine::fixed::{Fixed, Scaled};
use ballast_engine::quote::{Glft, Model, Quoter};

/// As `ballast study` names it.
pub const NAME: &str = "synthetic-market";
/// Paths where none are given, as in the reference.
pub const PATHS: u32 = 2_000;

const STEPS: usize = 36_000;
const STEP: f64 = 0.1;
const SIGMA: f64 = 0.3;
const SOURCE: &str = "synthetic_market, 2,000 paths";
const QUOTERS: [&str; 4] = ["symmetric", "glft", "avellaneda_stoikov_60s", "hummingbot"];
const MARKETS: [&str; 3] = ["S1", "S2", "S3"];
const FIGURES: [&str; 4] = ["mean", "std", "inventory_variance", "drawdown"];

/// Ratios to symmetric, in the order of [`FIGURES`].
const PUBLISHED: [(&str, &str, [f64; 4]); 4] = [
    ("S1", "glft", [0.996, 0.276, 0.0203, 0.085]),
    ("S1", "avellaneda_stoikov_60s", [0.997, 0.285, 0.0254, 0.097]),
    ("S2", "glft", [0.991, 0.129, 0.0134, 0.037]),
    ("S3", "glft", [1.194, 0.096, 0.0203, 0.052]),
];

/// What one quoter made of one path.
#[derive(Clone, Copy, Default)]
struct End {
    profit: f64,
    inventory_square: f64,
    drawdown: f64,
}

/// One quoter's account along a path.
#[derive(Clone, Copy, Default)]
struct Account {
    cash: f64,
    inventory: i64,
    mid: f64,
    inventory_squares: f64,
    peak: f64,
    drawdown: f64,
}

/// All figures, as absolute values and as ratios to the symmetric quoter.
///
/// # Errors
/// None with these parameters; the calibration's error says what would be wrong with others.
pub fn run(run: Run, done: &(dyn Fn() + Sync)) -> Result<Vec<Row>, CalibrationError> {
    let quoters = quoters()?;
    let ends = on_all_cores(run.paths, done, &|paths| {
        let mut memos = memos(&quoters);
        paths.map(|path| simulate(&mut memos, Random::stream(run.seed, u64::from(path)))).collect()
    });
    Ok(rows_of(&ends))
}

fn quoters() -> Result<[Quoter; 4], CalibrationError> {
    let real = |text| Real::parse(text).unwrap_or_default();
    let parameters = QuoteParameters {
        horizon: real("60"),
        ..QuoteParameters::new(real("0.01"), real("0.9"), real("0.3"))
    };
    let glft = quoter(Model::Glft, &parameters)?;
    Ok([
        quoter(Model::Symmetric, &parameters)?,
        glft,
        quoter(Model::AvellanedaStoikovRolling, &parameters)?,
        hummingbot(&parameters, glft),
    ])
}

/// Hummingbot's `avellaneda_market_making` (its `.pyx`) in the infinite-horizon mode, whose time is
/// the fraction 1: `r = s − q γ σ`, spread `γ σ + (2/γ) ln(1 + γ/k)`. Kinder than the original,
/// which counts q as a share of all holdings and so skews even less. Linear in σ, so that GLFT's
/// arithmetic serves with other coefficients.
fn hummingbot(parameters: &QuoteParameters, glft: Quoter) -> Quoter {
    let base = match glft {
        Quoter::Glft(glft) => glft.base,
        Quoter::Symmetric(_) | Quoter::AvellanedaStoikov(_) | Quoter::GlftExact(_) => Fixed(0),
    };
    Quoter::Glft(Glft {
        base,
        half_order: (parameters.gamma * Real::from(0.5)).scaled(),
        per_lot: parameters.gamma.scaled(),
        drift: Scaled::ZERO,
    })
}

/// Each quoter at either volatility.
fn memos(quoters: &[Quoter; 4]) -> Vec<[Memo; 2]> {
    let intensity = Intensity { per_step: 0.9 * STEP, decay: 0.3 };
    let memo = |quoter: Quoter, tenths: i128| {
        let sigma = Scaled::new(tenths, 0).over(Scaled::new(10, 0));
        Memo::new(quoter, sigma, Scaled::ZERO, intensity)
    };
    quoters.iter().map(|quoter| [memo(*quoter, 3), memo(*quoter, 9)]).collect()
}

fn simulate(memos: &mut [[Memo; 2]], mut random: Random) -> [[End; 4]; 3] {
    let mut accounts = [[Account::default(); 4]; 3];
    let move_size = SIGMA * libm::sqrt(STEP);
    for step in 0..STEPS {
        let draws = (random.unit(), random.unit());
        let change = move_size * random.normal();
        let is_wild = (step * 4 / STEPS) % 2 == 1;
        for (market, accounts) in accounts.iter_mut().enumerate() {
            let regime = usize::from(market == 1 && is_wild);
            let change = if regime == 1 { 3.0 * change } else { change };
            let adverse = if market == 2 { 1.0 } else { 0.0 };
            for (account, memos) in accounts.iter_mut().zip(memos.iter_mut()) {
                account.step(&mut memos[regime], draws, change, adverse);
            }
        }
    }
    accounts.map(|accounts| {
        accounts.map(|account| End {
            profit: account.worth(),
            inventory_square: account.inventory_squares / STEPS as f64,
            drawdown: account.drawdown,
        })
    })
}

impl Account {
    /// Fills, then the move.
    fn step(&mut self, memo: &mut Memo, draws: (f64, f64), change: f64, adverse: f64) {
        let quote = memo.at(self.inventory);
        let mid = self.mid;
        if draws.0 < quote.bid_chance {
            self.cash -= mid - quote.bid;
            self.inventory += 1;
            self.mid -= adverse;
        }
        if draws.1 < quote.ask_chance {
            self.cash += mid + quote.ask;
            self.inventory -= 1;
            self.mid += adverse;
        }
        self.mid += change;
        let held = self.inventory as f64;
        self.inventory_squares += held * held;
        let worth = self.worth();
        self.peak = self.peak.max(worth);
        self.drawdown = self.drawdown.max(self.peak - worth);
    }

    /// Marked profit. The mid is counted from where it started, so that no digits are lost.
    fn worth(&self) -> f64 {
        self.cash + self.inventory as f64 * self.mid
    }
}

fn rows_of(ends: &[[[End; 4]; 3]]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (market, case) in MARKETS.into_iter().enumerate() {
        let figures = |which: usize| {
            [
                mean(ends, |end| end[market][which].profit),
                deviation(ends, |end| end[market][which].profit),
                mean(ends, |end| end[market][which].inventory_square),
                mean(ends, |end| end[market][which].drawdown),
            ]
        };
        let symmetric = figures(0);
        for (which, quoter) in QUOTERS.into_iter().enumerate() {
            let own = figures(which);
            for ((figure, own), symmetric) in FIGURES.into_iter().zip(own).zip(symmetric) {
                rows.push(Row::new(case, quoter, figure, own, None, "no reference"));
                let place = FIGURES.iter().position(|name| *name == figure).unwrap_or_default();
                let reference = PUBLISHED
                    .iter()
                    .find(|(c, q, _)| *c == case && *q == quoter)
                    .map(|(_, _, ratios)| ratios[place]);
                if which > 0 {
                    let source = if reference.is_some() { SOURCE } else { "no reference" };
                    let name = format!("{figure} / symmetric");
                    rows.push(Row::new(case, quoter, &name, own / symmetric, reference, source));
                }
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventory_and_deviation_shrink_as_in_the_reference() {
        let rows = run(Run { paths: 60, seed: 3 }, &|| ()).unwrap();
        let ratio = |case: &str, quoter: &str, figure: &str| {
            let figure = format!("{figure} / symmetric");
            rows.iter()
                .find(|r| r.case == case && r.quoter == quoter && r.figure == figure)
                .map(|r| r.ours)
                .unwrap()
        };
        for (case, quoter, published) in PUBLISHED {
            for (figure, reference) in FIGURES.into_iter().zip(published) {
                let ours = ratio(case, quoter, figure);
                // Sixty paths: the ratios of deviations have a standard error of a tenth.
                let error = (ours / reference - 1.0).abs();
                assert!(error < 0.35, "{case} {quoter} {figure}: {ours} against {reference}");
            }
        }
        for case in MARKETS {
            for figure in ["std", "inventory_variance", "drawdown"] {
                let (glft, hummingbot) =
                    (ratio(case, "glft", figure), ratio(case, "hummingbot", figure));
                assert!(glft < hummingbot, "{case} {figure}: {glft} and {hummingbot}");
            }
        }
    }
}
