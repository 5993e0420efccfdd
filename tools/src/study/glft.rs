//! The quotes of Guéant, Lehalle & Fernandez-Tapia (2013), figures 1 to 3: exact and closed form.
//!
//! Feeds `ballast study`. σ = 0.3, A = 0.9, k = 0.3, γ = 0.01, Q = 30, T = 600: the exact solution
//! with the whole session left, the stationary one, and the closed form, from the quoting
//! functions, beside 25-digit values of the paper's propositions. Nothing is random here.

use super::Row;
use super::quotes::ticks;
use ballast_engine::calibration::{CalibrationError, QuoteParameters, Real, quoter, spectral};
use ballast_engine::fixed::Scaled;
use ballast_engine::quote::{Model, Quoter};
use ballast_engine::units::Lots;

/// As `ballast study` names it.
pub const NAME: &str = "glft-2013";

const PROPOSITION: &str = "GLFT (2013), Propositions 1 and 2, to 25 digits";
const THEOREM: &str = "GLFT (2013), Theorem 2, to 25 digits";
const CLOSED_FORM: &str = "GLFT (2013), closed form, to 25 digits";

/// From one bound to the other.
const INVENTORIES: [i64; 15] = [-30, -25, -20, -15, -10, -5, -1, 0, 1, 5, 10, 15, 20, 25, 30];

/// Inventory and the distance of its bid; the ask's is that of the opposite inventory.
const EXACT_600: [(i64, f64); 4] = [
    (-5, 2.972_521_772_790_11),
    (0, 3.313_045_409_843_934),
    (1, 3.381_168_073_887_717),
    (5, 3.653_479_442_865_349),
];
const STATIONARY: [(i64, f64); 4] = [
    (-10, 2.632_801_825_373_912),
    (-5, 2.972_521_692_790_583),
    (-1, 3.244_919_145_846_515),
    (10, 3.992_932_746_953_75),
];
const CLOSED: [(i64, f64); 3] =
    [(-10, 2.634_256_873_255_692), (0, 3.312_915_198_564_529), (10, 3.991_573_523_873_366)];

/// The figures' quotes.
///
/// # Errors
/// None with the paper's parameters; the calibration's error says what would be wrong with others.
pub fn run() -> Result<Vec<Row>, CalibrationError> {
    let real = |text| Real::parse(text).unwrap_or_default();
    let parameters = QuoteParameters {
        sigma: real("0.3"),
        inventory_bound: 30,
        ..QuoteParameters::new(real("0.01"), real("0.9"), real("0.3"))
    };
    let exact = spectral::with_time_left(&parameters, real("600"))?.table(0)?;
    let quoters = [
        ("glft_exact, T − t = 600", Quoter::GlftExact(exact), PROPOSITION, &EXACT_600[..]),
        ("glft_exact, stationary", quoter(Model::GlftExact, &parameters)?, THEOREM, &STATIONARY),
        ("glft", quoter(Model::Glft, &parameters)?, CLOSED_FORM, &CLOSED),
    ];
    let sigma = parameters.sigma.scaled();
    let mut rows = Vec::new();
    for inventory in INVENTORIES {
        let case = format!("q = {inventory}");
        for (name, quoter, source, published) in &quoters {
            let half = quoter.half_spreads(Lots(inventory), sigma, Scaled::ZERO);
            let sides = [("delta_b", half.bid, inventory), ("delta_a", half.ask, -inventory)];
            for (figure, side, mirrored) in sides.into_iter().filter(|side| side.1.is_some()) {
                let reference = published.iter().find(|(q, _)| *q == mirrored);
                let reference = reference.map(|(_, value)| *value);
                let source = if reference.is_some() { source } else { "no reference" };
                rows.push(Row::new(&case, name, figure, ticks(side), reference, source));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_quote_is_met_to_one_in_a_billion() {
        let rows = run().unwrap();
        let mut compared = 0;
        for row in &rows {
            if let Some(reference) = row.reference {
                compared += 1;
                assert!((row.ours - reference).abs() < 1e-9, "{row:?}");
            }
        }
        // Each published bid is also the ask of the opposite inventory.
        assert!(compared >= 18, "{compared} compared");
    }

    #[test]
    fn the_closed_form_is_near_the_exact_quotes_where_inventory_is_usual() {
        let rows = run().unwrap();
        let ours = |quoter: &str, case: &str| {
            rows.iter()
                .find(|r| r.quoter == quoter && r.case == case && r.figure == "delta_b")
                .map(|r| r.ours)
                .unwrap()
        };
        for case in ["q = -10", "q = 0", "q = 10"] {
            let distance = (ours("glft", case) - ours("glft_exact, stationary", case)).abs();
            assert!(distance < 0.002, "{case}: {distance}");
        }
    }
}
