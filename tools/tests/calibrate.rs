//! What calibration promises on the real recording: k depends on where it is fitted and when, the
//! quotes that result bring inventory home, and refits are the same twice.

use ballast::backtest::tape::AnyTape;
use ballast::calibrate::gather::Gathered;
use ballast::calibrate::{Calibration, Settings};
use ballast::config::ConfigFile;
use ballast::study::recording;
use std::path::{Path, PathBuf};

/// The recording beside the checkout, where it stands.
fn tape() -> Option<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?.join("shared/data/hftbacktest");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("{} is not there: nothing was tested", folder.display());
    None
}

#[test]
fn the_decay_of_the_recording_depends_on_where_and_when_it_is_fitted() {
    let Some(folder) = tape() else { return };
    let file = ConfigFile::demo().unwrap();
    let instrument = file.table.find("BTCUSDT").unwrap();
    let mut tape = AnyTape::recorded(&folder, &file.table.instruments).unwrap();
    let gathered = Gathered::play(&mut tape, instrument.id(), &|| {}).unwrap();
    let settings = Settings {
        fine_ns: 100_000_000,
        coarse: 10,
        weight_shift: 5,
        windows: 4,
        lead_ns: 5_000_000,
        gamma: None,
        order_size: 0.01,
    };
    let found = Calibration::of(&gathered, &settings).unwrap();
    let near = found.depths.fit(0.0, 50.0).unwrap().k;
    let far = found.depths.fit(1.0, 1_000.0).unwrap().k;
    assert!(near > 8.0 * far, "{near} to 50 ticks, {far} to 1000");
    assert!((0.002..0.006).contains(&far), "{far}");
    assert!(!found.moved.is_empty(), "k moves by more than a quarter between windows");
    assert!(found.warnings().iter().any(|text| text.contains("refit")));
    let settled = found.settled.unwrap();
    assert!(settled.is_settled, "{settled:?}");
    let (lo, hi) = settled.intensity.window;
    assert!((lo / settled.half_spread - 0.5).abs() < 0.01, "{settled:?}");
    assert!((hi / settled.half_spread - 3.0).abs() < 0.05, "{settled:?}");
}

#[test]
fn glft_holds_a_fifth_of_symmetrics_squared_inventory_and_half_its_deviation() {
    let Some(folder) = tape() else { return };
    let rows = recording::run(&folder, &recording::CASES[..1], 1, &|| {}).unwrap();
    let figure = |quoter: &str, name: &str| {
        let row = rows.iter().find(|row| row.quoter == quoter && row.figure == name);
        row.unwrap_or_else(|| panic!("{quoter}: {name}")).ours
    };
    assert!(figure("symmetric", "fills") > 100.0);
    assert!(figure("glft", "symmetric's E[q^2] over this") >= 5.0);
    assert!(figure("glft", "PnL sd of 10 s") < 0.5 * figure("symmetric", "PnL sd of 10 s"));
}
