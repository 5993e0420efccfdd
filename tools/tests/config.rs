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
