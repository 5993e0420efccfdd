//! What hedging must do to the risk on the real recording: the study's own figures at suite size.

use ballast::study::hedge_variance::{self, Plan};
use std::path::Path;

#[test]
fn hedged_with_either_perpetual_the_variance_falls_by_four_fifths_and_both_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.parent().unwrap().join("shared/data/hftbacktest");
    if !folder.is_dir() {
        eprintln!("no recordings at {}: not checked", folder.display());
        return;
    }
    let plan = Plan { frontiers: &[], has_inverse: true };
    let rows = hedge_variance::run(&folder, plan, &|| {}).unwrap();
    let figure = |case: &str, figure: &str| {
        let mut found = rows.iter().filter(|row| row.case.contains(case) && row.figure == figure);
        found.next().unwrap_or_else(|| panic!("{case}, {figure}")).ours
    };
    for with in [hedge_variance::LINEAR, hedge_variance::INVERSE] {
        let case = format!("hedged with {with}");
        assert!(figure(&case, "hedges") > 50.0, "{with}");
        let less = figure(&case, "variance less than unhedged, %");
        assert!(less >= 80.0, "{with}: {less} %");
    }
    // A hundredth of what the unhedged inventory is at its largest, and less than half an order.
    assert!(figure("net delta", "root mean square, coins") <= 0.004);
}
