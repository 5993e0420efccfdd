//! What a config file promises: the shipped ones work, and a broken one tells everything at once.

use ballast::config::{ConfigFault, ConfigFile};
use ballast_engine::event::InstrumentId;
use ballast_engine::risk::self_trade::{Prevention, SelfTrade};
use ballast_engine::units::Ticks;
use ballast_gateway::venue::symbols::Symbols;
use std::path::Path;

fn shipped() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("config/demo.toml")).unwrap()
}

fn fault_of(text: String) -> String {
    match ConfigFile::parse("test.toml", text).and_then(|file| file.maker(1)) {
        Ok(_) => panic!("a broken config was taken"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn the_shipped_config_builds_a_maker() {
    let file = ConfigFile::parse("demo.toml", shipped()).unwrap();
    let config = file.maker(1).unwrap();
    assert_eq!(config.instruments.len(), 3);
    ballast_engine::maker::Maker::new(&config).unwrap();
}

#[test]
fn a_missing_limit_is_an_error_and_never_unlimited() {
    let text = shipped().replacen("position_max = \"3\", ", "", 1);
    let fault = fault_of(text);
    assert!(fault.contains("position_max"), "{fault}");
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let fault = fault_of(shipped().replace("rejects_max", "reject_max"));
    assert!(fault.contains("reject_max"), "{fault}");
}

#[test]
fn every_wrong_value_is_told_with_key_and_what_is_allowed() {
    let text = shipped()
        .replacen("collar = \"200.00\"", "collar = \"200.005\"", 1)
        .replacen("model = \"glft\"", "model = \"magic\"", 1)
        .replacen("stop = \"0.2\"", "stop = \"0.6\"", 1);
    let fault = fault_of(text);
    assert!(fault.starts_with("test.toml: 3 faults"), "{fault}");
    assert!(fault.contains("instrument.BTCUSDT.limits.collar = \"200.005\""), "{fault}");
    assert!(fault.contains("one of symmetric, avellaneda_stoikov_finite"), "{fault}");
    assert!(fault.contains("0 < soft < stop < hard"), "{fault}");
}

#[test]
fn self_trade_prevention_and_the_spike_guard_are_read_and_what_is_wrong_is_told() {
    let with = |more: &str| {
        let table = "[instrument.BTCUSDT-PERP]\n";
        assert!(shipped().contains(table));
        shipped().replacen(table, &format!("{table}{more}\n"), 1)
    };
    let file = ConfigFile::parse("test.toml", with("self_trade = \"decrement\"")).unwrap();
    let settings = file.maker(1).unwrap().settings;
    assert_eq!(settings[1].self_trade.prevention, Prevention::Decrement);
    assert_eq!(settings[0].self_trade, SelfTrade::default());
    assert_eq!(settings[0].spike.unwrap().width, Ticks(5_000));
    assert_eq!(settings[0].spike.unwrap().after_ns, 500_000_000);

    let fault = fault_of(with("self_trade = \"cancel\"\nsame_book_as = \"ETHUSDT\""));
    assert!(fault.contains("self_trade = cancel: one of cancel_new, cancel_resting"), "{fault}");
    assert!(fault.contains("same_book_as = ETHUSDT: a symbol of [[instruments]]"), "{fault}");
    let fault = fault_of(with("same_book_as = \"BTCUSDT\""));
    assert!(fault.contains("instrument 1 shares its book with 0"), "{fault}");

    let spiked = shipped()
        .replace("width = \"50.00\", sigmas = 20, messages = 2", "width = \"0\", messages = 0");
    let fault = fault_of(spiked);
    assert!(fault.contains("instrument.BTCUSDT.spike.width"), "{fault}");
    assert!(fault.contains("instrument.BTCUSDT.spike.messages"), "{fault}");
}

#[test]
fn one_contract_over_two_sessions_has_one_name_at_the_venue() {
    // The spot's tables once more, under another name and over another venue's session.
    let shipped = shipped();
    let table = |from: &str| {
        let table = shipped.split(from).nth(1).unwrap().split("\n\n").next().unwrap();
        format!("{from}{table}\n").replace("venue = \"sim\"", "venue = \"two\"")
    };
    let spot = "symbol = \"BTCUSDT\"";
    let instrument = table("[[instruments]]");
    assert!(instrument.contains(spot));
    let named = "symbol = \"BTCUSDT-2\"\nvenue_symbol = \"BTCUSDT\"";
    let instrument = instrument.replacen(spot, named, 1);
    let venue = table("[[venues]]").replacen("name = \"sim\"", "name = \"two\"", 1);
    let settings = table("[instrument.BTCUSDT]").replacen(
        "[instrument.BTCUSDT]",
        "[instrument.BTCUSDT-2]\nsame_book_as = \"BTCUSDT\"",
        1,
    );
    let text = format!("{shipped}\n{instrument}\n{venue}\n{settings}");
    let file = ConfigFile::parse("test.toml", text).unwrap();
    let config = file.maker(1).unwrap();
    let one = config.instruments.last().unwrap();
    assert_eq!((one.symbol(), one.venue_symbol()), ("BTCUSDT-2", "BTCUSDT"));
    assert_eq!(config.settings.last().unwrap().self_trade.same_book_as, Some(InstrumentId(0)));
    let symbols = Symbols::new(one.spec().venue, &config.instruments).unwrap();
    let place = symbols.find(b"BTCUSDT").unwrap();
    assert_eq!(symbols.at(place).unwrap().id(), one.id());
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let fault = ConfigFile::read(Path::new("/nonexistent.toml")).unwrap_err();
    assert!(matches!(fault, ConfigFault::Unreadable { .. }));
}

#[test]
fn a_schedule_and_backup_hosts_are_read_and_a_wrong_one_is_told_by_key() {
    let with = |schedule: &str| {
        let more = format!(
            "backups = [\"127.0.0.1:1\"], schedule = {schedule}, sender_comp_id = \"BALLAST\", \
             target_comp_id = \"SIM-OE\""
        );
        let text = shipped();
        let plain = "sender_comp_id = \"BALLAST\", target_comp_id = \"SIM-OE\"";
        assert!(text.contains(plain));
        text.replacen(plain, &more, 1)
    };
    let right =
        "{ zone = \"America/New_York\", open = \"sun 17:05:00\", close = \"fri 17:00:00\" }";
    let file = ConfigFile::parse("test.toml", with(right)).unwrap();
    let session = &file.raw.venues[0].order_entry;
    assert_eq!(session.hosts().collect::<Vec<_>>(), ["127.0.0.1:9879", "127.0.0.1:1"]);
    assert!(session.times().unwrap().is_some());
    let wrong = "{ zone = \"Mars\", open = \"17:05:00\", close = \"17:00:00\" }";
    let fault = fault_of(with(wrong));
    assert!(fault.contains("venues.sim.order_entry.schedule = Mars"), "{fault}");
}

/// The shipped config with a derived band instead of its fixed one.
fn derived(lines: &str) -> String {
    let text = shipped();
    let fixed = "band = \"0.05\"\nreturn_to = \"0.02\"\n";
    assert!(text.contains(fixed));
    text.replacen(fixed, lines, 1)
}

#[test]
fn a_derived_band_is_solved_from_the_quotes_that_bring_inventory_home() {
    let text = derived("mode = \"derived\"\neta = \"10\"\nk_impact = \"1\"\n");
    let config = ConfigFile::parse("test.toml", text).and_then(|file| file.maker(1)).unwrap();
    let hedge = config.underlyings[0].hedge.as_ref().unwrap();
    let ballast_engine::inventory::hedge::BandRule::Derived(band) = &hedge.band else {
        panic!("derived")
    };
    assert_eq!((band.quoted.0, band.order.0, band.reach.0), (0, 10_000_000, 500_000_000));
}

#[test]
fn what_a_derived_band_lacks_and_what_is_not_its_own_is_told_together() {
    let fault =
        fault_of(derived("mode = \"derived\"\nband = \"0.05\"\nquoted = \"BTCUSD-PERP\"\n"));
    for text in [
        "underlying.BTC.hedge.band = 0.05: is not for mode = \"derived\"",
        "underlying.BTC.hedge.eta = missing: is mandatory",
        "underlying.BTC.hedge.k_impact = missing: is mandatory",
        "underlying.BTC.hedge.quoted = BTCUSD-PERP: a quoted instrument of BTC: BTCUSDT",
    ] {
        assert!(fault.contains(text), "{text} in {fault}");
    }
    let fault = fault_of(derived("mode = \"sometimes\"\n"));
    assert!(fault.contains("one of fixed, derived"), "{fault}");
    let fault = fault_of(derived("mode = \"derived\"\neta = \"0\"\nk_impact = \"1\"\n"));
    assert!(fault.contains("eta is 0; it must be greater than zero"), "{fault}");
    let fault = fault_of(derived("band = \"0.05\"\neta = \"1\"\n"));
    assert!(fault.contains("return_to = missing") && fault.contains("eta = 1: is not"), "{fault}");
}

#[test]
fn holdings_and_the_credit_of_unwinding_quotes_are_read_and_held_to_their_ranges() {
    let with = |holdings: &str, credit: &str| {
        let levels = "levels = 2\n";
        let failures = "failures_max = 20\n";
        let text = shipped();
        assert!(text.contains(levels) && text.contains(failures));
        let text = text.replacen(levels, &format!("levels = 2\nholdings = {holdings}\n"), 1);
        text.replacen(failures, &format!("failures_max = 20\nunwind_credit = \"{credit}\"\n"), 1)
    };
    let holdings = "{ target = \"1\", full_at = \"0.5\", skew_max = \"2.00\" }";
    let file = ConfigFile::parse("test.toml", with(holdings, "0.5")).unwrap();
    let config = file.maker(1).unwrap();
    let skew = config.settings[0].quote.unwrap().holdings.unwrap();
    assert_eq!((skew.target.0, skew.full_at.0, skew.skew_max.0), (100_000, 50_000, 200 << 32));
    assert_eq!(config.underlyings[0].hedge.as_ref().unwrap().unwind_credit_ppm, 500_000);
    let wrong = "{ target = \"1\", full_at = \"0\", skew_max = \"-2.00\" }";
    let fault = fault_of(with(wrong, "1.5"));
    for text in ["holdings.full_at = \"0\"", "holdings.skew_max = -2.00", "unwind_credit = 1.5"] {
        assert!(fault.contains(text), "{text} in {fault}");
    }
}

#[test]
fn what_holding_costs_is_read_and_its_faults_are_told_together() {
    let with = |standing: &str| {
        let table = "[instrument.BTCUSDT-PERP]\n";
        let text = shipped();
        assert!(text.contains(table));
        text.replacen(table, &format!("{table}standing = {standing}\n"), 1)
    };
    let right = "{ funding_every_h = 8, funding_bps = \"1\", margin = \"0.1\", \
                 capital_bps_day = \"1.5\" }";
    let config =
        ConfigFile::parse("test.toml", with(right)).and_then(|file| file.maker(1)).unwrap();
    let terms = config.settings[1].standing;
    assert_eq!(terms.funding.unwrap().every_ns, 8 * 3_600_000_000_000);
    assert_eq!((terms.funding.unwrap().rate.0, terms.capital_per_day.0), (100_000, 15_000));
    let wrong = "{ funding_every_h = 7, funding_bps = \"2000\", margin = \"1.1\" }";
    let fault = fault_of(with(wrong));
    for text in [
        "funding_every_h = 7: one of 1, 2, 3",
        "funding_bps = 2000: must be at most",
        "margin = 1.1: must lie between",
        "capital_bps_day = missing: is mandatory beside margin",
    ] {
        assert!(fault.contains(text), "{text} in {fault}");
    }
}

#[test]
fn the_exact_model_says_what_its_table_is_made_for() {
    let with = |more: &str| {
        let model = format!("model = \"glft_exact\"\n{more}");
        shipped().replacen("model = \"glft\"\n", &model, 1)
    };
    let silent = fault_of(with(""));
    assert!(silent.contains("quote.table_sigma = missing: glft_exact quotes from"), "{silent}");
    assert!(silent.contains("quote.inventory_bound = missing"), "{silent}");
    let beyond = fault_of(with("table_sigma = \"5.0\"\ninventory_bound = 65\n"));
    assert!(beyond.contains("inventory_bound") && beyond.contains("64"), "{beyond}");
    let said = with("table_sigma = \"5.0\"\ninventory_bound = 12\n");
    let config = ConfigFile::parse("test.toml", said).unwrap().maker(1).unwrap();
    let quoter = config.settings[0].quote.unwrap().quoter;
    let half = |orders: i64| {
        let (sigma, none) =
            (ballast_engine::fixed::Scaled::new(500, 0), ballast_engine::fixed::Scaled::ZERO);
        // An order is 0.01 of 0.00001.
        quoter.half_spreads(ballast_engine::units::Lots(1_000 * orders), sigma, none)
    };
    assert!(half(11).bid.is_some() && half(12).bid.is_none() && half(12).ask.is_some());
}

#[test]
fn a_drift_and_a_jump_with_our_fills_move_the_quotes_of_the_models_that_know_them() {
    use ballast_engine::fixed::Scaled;
    use ballast_engine::quote::HalfSpreads;
    use ballast_engine::units::{Lots, SubTicks};
    let quotes = |more: &str| -> HalfSpreads {
        let text =
            shipped().replacen("model = \"glft\"\n", &format!("model = \"glft\"\n{more}"), 1);
        let config = ConfigFile::parse("test.toml", text).unwrap().maker(1).unwrap();
        let quoter = config.settings[0].quote.unwrap().quoter;
        quoter.half_spreads(Lots(0), Scaled::new(100, 0), Scaled::ZERO)
    };
    let ticks = |half: Option<SubTicks>| half.unwrap().0 as f64 / 2f64.powi(32);
    let plain = quotes("");
    let rising = quotes("drift = \"0.1\"\n");
    assert!(rising.bid < plain.bid && rising.ask > plain.ask, "{plain:?} {rising:?}");
    // At least half the jump, 0.25 USDT or 25 ticks, on each side.
    let jumping = quotes("adverse_jump = \"0.5\"\n");
    assert!(ticks(jumping.bid) >= ticks(plain.bid) + 25.0, "{plain:?} {jumping:?}");
    assert_eq!(jumping.bid, jumping.ask);
    let other =
        shipped().replacen("model = \"glft\"\n", "model = \"symmetric\"\ndrift = \"0.1\"\n", 1);
    assert!(fault_of(other).contains("drift = 0.1: only with model = glft, glft_risk_neutral"));
    let negative =
        shipped().replacen("model = \"glft\"\n", "model = \"glft\"\nadverse_jump = \"-1\"\n", 1);
    assert!(fault_of(negative).contains("must not be negative"));
}
