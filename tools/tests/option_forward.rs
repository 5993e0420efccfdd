//! What is promised of options whose reference is not their forward: coin options of three months on a
//! perpetual, a forward 2.5 % above it. Parity finds the forward; values, slopes and exposures are told
//! against the perpetual.

use ballast::config::ConfigFile;
use ballast::greek_refresh::GreekRefresh;
use ballast::refresh::Refresh;
use ballast_engine::calibration::options::{InverseOption, OptionType};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::options::RefreshedGreeks;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, SubTicks, Ticks};

const PERPETUAL: f64 = 60_000.0;
const FORWARD: f64 = 61_500.0;
const SIGMA: f64 = 0.6;
const YEARS: f64 = 0.25;
const STRIKES: [f64; 7] = [50_000.0, 55_000.0, 58_000.0, 60_000.0, 62_000.0, 66_000.0, 72_000.0];
const TICK: f64 = 0.0001;
const EXPIRY_NS: u64 = 1_584_711_000_000_000_000;

/// The example's config with its future made a perpetual and its chain coin options on it.
fn config() -> ConfigFile {
    let mut tables: toml::Table = include_str!("../../config/es-options.toml").parse().unwrap();
    let set = |table: &mut toml::Value, keys: &[(&str, &str)]| {
        let table = table.as_table_mut().unwrap();
        table.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    };
    let future = &mut tables["instruments"].as_array_mut().unwrap()[0];
    future.as_table_mut().unwrap().remove("expiry");
    let keys = [("kind", "linear_perpetual"), ("tick", "0.5"), ("lot", "0.001")];
    set(future, &keys);
    set(future, &[("multiplier", "1"), ("base", "BTC")]);
    let chain = &mut tables["chains"].as_array_mut().unwrap()[0];
    let keys = [("style", "european"), ("delivery", "coin"), ("multiplier", "1"), ("lot", "0.1")];
    set(chain, &keys);
    set(chain, &[("tick", "0.0001"), ("base", "BTC"), ("quote", "BTC")]);
    let limits = "order_size_max = \"10\"\norder_value_max = \"20\"\nposition_max = \"60\"\n\
                  collar = \"0.01\"\nexecutions = { max = 200, window_ms = 60000 }\n\
                  duplicates = { max = 40, window_ms = 1000 }";
    let limits: toml::Table = limits.parse().unwrap();
    let settings = chain["settings"].as_table_mut().unwrap();
    settings.insert("limits".into(), limits.into());
    set(&mut chain["settings"]["volatility"], &[("floor", "0.0001")]);
    let keys = [("spacing", "0.0001"), ("edge_min", "0.0001"), ("decay", "8000"), ("gamma", "50")];
    set(&mut chain["settings"]["quote"], &keys);
    let keys = [("tolerance_aggressive", "0.0001"), ("tolerance_passive", "0.0001")];
    set(&mut chain["settings"]["quote"], &keys);
    let strikes: Vec<toml::Value> =
        STRIKES.iter().map(|strike| strike.to_string().into()).collect();
    let table = chain.as_table_mut().unwrap();
    table.insert("calls".into(), strikes.clone().into());
    table.insert("puts".into(), strikes.into());
    tables.insert(
        "conversion".into(),
        toml::Table::from_iter([("BTC".to_owned(), "ES-202003".into())]).into(),
    );
    ConfigFile::parse("coin.toml", toml::to_string(&tables).unwrap()).unwrap()
}

fn option(strike: f64, forward: f64, option_type: OptionType) -> InverseOption {
    InverseOption { forward, strike, years: YEARS, volatility: SIGMA, option_type }
}

/// A whole book of one level a side.
fn show(refresh: &mut GreekRefresh, at: Nanos, instrument: InstrumentId, [bid, ask]: [i64; 2]) {
    let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(10) };
    for update in [MarketUpdate::Reset, level(Side::Buy, bid), level(Side::Sell, ask)] {
        refresh.take(&MarketEvent {
            at,
            venue_at: at,
            stamp: Stamp::default(),
            update,
            instrument,
            last_in_message: true,
        });
    }
}

#[test]
fn a_perpetual_is_not_the_forward_and_slopes_are_told_against_it() {
    let file = config();
    let maker = file.maker(1).unwrap();
    let mut refresh = GreekRefresh::new(&file, &maker.options).unwrap();
    let at = Nanos(EXPIRY_NS - (YEARS * 365.0 * 86_400.0 * 1e9) as u64);
    for instrument in &file.table.instruments {
        let Some(terms) = instrument.option() else {
            show(&mut refresh, at, instrument.id(), [119_999, 120_001]);
            continue;
        };
        let strike = terms.strike.mantissa as f64;
        let fair = option(strike, FORWARD, terms.option_type).greeks().unwrap().coin_price;
        let ticks = fair / TICK;
        // Five ticks a side around the mid, as near as the grid has it.
        let bid = (ticks - 5.0).round() as i64;
        show(&mut refresh, at, instrument.id(), [bid, bid + 10]);
    }
    let mut out = Vec::new();
    refresh.refresh_due(&mut out);
    assert_eq!(out.len(), 2 * 2 * STRIKES.len(), "{:?}", refresh.counters());
    for pair in out.chunks(2) {
        let [Control::GreekSpan(span), Control::Greeks(RefreshedGreeks { instrument, greeks })] =
            pair
        else {
            panic!("{pair:?}")
        };
        assert_eq!((span.instrument, span.at), (*instrument, greeks.taken.at));
        assert!(span.span.delta > 0 && span.span.vega > 0 && span.span.rho == 0, "{span:?}");
        let instrument = &file.table.instruments[usize::from(instrument.0)];
        let terms = instrument.option().unwrap();
        let told = instrument.symbol();
        let volatility = greeks.volatility as f64 * 1e-9;
        assert!((volatility - SIGMA).abs() < 2e-3, "{told} {volatility}");
        let of =
            |forward| option(terms.strike.mantissa as f64, forward, terms.option_type).greeks();
        let exact = of(FORWARD).unwrap();
        let value = greeks.taken.value.0 as f64 / SubTicks::ONE.0 as f64 * TICK;
        assert!((value - exact.coin_price).abs() < 1.5 * TICK, "{told} {value} {exact:?}");
        // A dollar of the perpetual is 1.025 of the forward: the slope by prices of the formula.
        let (up, down) = (60_100.0 / PERPETUAL * FORWARD, 59_900.0 / PERPETUAL * FORWARD);
        let (up, down) = (of(up).unwrap(), of(down).unwrap());
        let slope = greeks.taken.price_delta as f64 / SubTicks::ONE.0 as f64 * TICK / 0.5;
        let by_prices = (up.coin_price - down.coin_price) / 200.0;
        assert!((slope / by_prices - 1.0).abs() < 0.01, "{told} {slope} {by_prices}");
        // Exposure in coin is the dollar delta with the premium counted as coin, on either price.
        let exposure = greeks.taken.exposure.0 as f64 * 1e-9 / 0.1;
        assert!((exposure - exact.bs_delta).abs() < 2e-3, "{told} {exposure} {exact:?}");
        let gamma = greeks.taken.exposure_gamma as f64 / SubTicks::ONE.0 as f64 * 1e-9 / 0.1 / 0.5;
        let by_deltas = (up.bs_delta - down.bs_delta) / 200.0;
        assert!((gamma / by_deltas - 1.0).abs() < 0.02, "{told} {gamma} {by_deltas}");
    }
}
