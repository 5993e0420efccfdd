//! Whether a study's figures lie where they were asked to: what makes `ballast study` exit 1.
//!
//! Fed with the rows of a study at its full number of paths; feeds the command. Deliberately absent:
//! verdicts on fewer paths, which miss by chance, and on studies that nobody set a tolerance for.

use super::{Row, avellaneda_stoikov, glft, synthetic};

/// The ratios of deviations, and how far ours may be from them.
const RATIOS: [(&str, f64); 2] = [("gamma = 0.1", 0.437), ("gamma = 0.01", 0.650)];
const RATIO_TOLERANCE: f64 = 0.01;
/// Parts of the reference.
const REPLAY_TOLERANCE: f64 = 0.02;
const SYNTHETIC_TOLERANCE: f64 = 0.1;
const EXACT_TOLERANCE: f64 = 1e-9;

/// How many paths a verdict takes; `None` for a study without one.
pub fn paths_needed(study: &str) -> Option<u32> {
    match study {
        avellaneda_stoikov::NAME => Some(avellaneda_stoikov::PATHS),
        synthetic::NAME => Some(synthetic::PATHS),
        glft::NAME => Some(0),
        _ => None,
    }
}

/// Every figure that is not where it should be, for people.
pub fn misses(study: &str, rows: &[Row]) -> Vec<String> {
    match study {
        avellaneda_stoikov::NAME => rows.iter().filter_map(of_tables).collect(),
        synthetic::NAME => {
            let ratios = rows.iter().filter_map(|row| relative(row, SYNTHETIC_TOLERANCE));
            ratios.chain(rows.iter().filter_map(|row| unbeaten(row, rows))).collect()
        }
        glft::NAME => rows.iter().filter_map(exact).collect(),
        _ => Vec::new(),
    }
}

fn miss(row: &Row, allowed: &str) -> String {
    let Row { case, quoter, figure, ours, .. } = row;
    format!("{case}, {quoter}, {figure}: {ours} is not {allowed}")
}

fn of_tables(row: &Row) -> Option<String> {
    if row.source != avellaneda_stoikov::REPLAY {
        return None;
    }
    if row.figure != "std_ratio" {
        return relative(row, REPLAY_TOLERANCE);
    }
    let (_, asked) = RATIOS.iter().find(|(case, _)| row.case.ends_with(case))?;
    let is_met = (row.ours - asked).abs() <= RATIO_TOLERANCE;
    (!is_met).then(|| miss(row, &format!("within {RATIO_TOLERANCE} of {asked}")))
}

fn relative(row: &Row, tolerance: f64) -> Option<String> {
    let reference = row.reference?;
    let is_met = (row.ours - reference).abs() <= tolerance * reference.abs();
    (!is_met).then(|| miss(row, &format!("within {} % of {reference}", tolerance * 100.0)))
}

/// Where Hummingbot's formula does as well as GLFT's.
fn unbeaten(row: &Row, rows: &[Row]) -> Option<String> {
    let is_risk = ["std / ", "inventory_variance / ", "drawdown / "];
    let is_ours = row.quoter == "glft" && is_risk.iter().any(|risk| row.figure.starts_with(risk));
    let theirs = rows.iter().find(|other| {
        other.quoter == "hummingbot" && other.case == row.case && other.figure == row.figure
    })?;
    let is_met = row.ours < theirs.ours;
    (is_ours && !is_met).then(|| miss(row, &format!("below Hummingbot's {}", theirs.ours)))
}

fn exact(row: &Row) -> Option<String> {
    let reference = row.reference?;
    let is_met = (row.ours - reference).abs() <= EXACT_TOLERANCE * reference.abs().max(1.0);
    (!is_met).then(|| miss(row, &format!("within {EXACT_TOLERANCE} of {reference}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Run;

    #[test]
    fn glft_s_published_quotes_are_met_and_one_that_is_off_is_told() {
        let mut rows = glft::run().unwrap();
        assert_eq!(misses(glft::NAME, &rows), Vec::<String>::new());
        let row = rows.iter_mut().find(|row| row.reference.is_some()).unwrap();
        row.ours += 1e-8;
        assert_eq!(misses(glft::NAME, &rows).len(), 1);
    }

    #[test]
    fn a_table_s_ratio_and_means_have_their_tolerances() {
        let row = |figure: &str, ours: f64, reference: f64| {
            let source = avellaneda_stoikov::REPLAY;
            Row::new("table 1: gamma = 0.1", "inventory", figure, ours, reference, source)
        };
        let told = |row: Row| misses(avellaneda_stoikov::NAME, &[row]).len();
        assert_eq!(told(row("std_ratio", 0.4469, 0.4377)), 0);
        assert_eq!(told(row("std_ratio", 0.4471, 0.4377)), 1, "within .01 of .437");
        assert_eq!(told(row("profit", 101.9, 100.0)), 0);
        assert_eq!(told(row("profit", 102.1, 100.0)), 1);
        let paper = Row::new("table 1: gamma = 0.1", "inventory", "profit", 9.0, 1.0, "the paper");
        assert_eq!(told(paper), 0, "a thousand paths are noise");
    }

    #[test]
    fn a_market_that_hummingbot_s_formula_wins_is_told() {
        let mut rows = synthetic::run(Run { paths: 20, seed: 3 }, &|| ()).unwrap();
        for row in &mut rows {
            row.ours = row.reference.unwrap_or(row.ours);
        }
        assert_eq!(misses(synthetic::NAME, &rows), Vec::<String>::new());
        let is_it = |row: &&mut Row| row.quoter == "hummingbot" && row.figure == "std / symmetric";
        rows.iter_mut().find(is_it).unwrap().ours = 0.01;
        assert_eq!(misses(synthetic::NAME, &rows).len(), 1);
    }
}
