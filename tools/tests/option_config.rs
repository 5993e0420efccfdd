//! What a config with options is refused for: each fault with its key, its value and what is allowed.

use ballast::config::{ConfigFault, ConfigFile, option_terms};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::option_terms::OptionType;
use ballast_engine::units::Nanos;
use std::path::Path;
use std::process::Command;

const ES: &str = include_str!("../../config/es-options.toml");

fn faults(changes: &[(&str, &str)]) -> String {
    let mut text = ES.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} stands in the config");
        text = text.replacen(from, to, 1);
    }
    let refused = |error: ConfigFault| error.to_string();
    match ConfigFile::parse("es.toml", text) {
        Err(error) => refused(error),
        Ok(file) => file.maker(1).map_or_else(refused, |_| String::new()),
    }
}

#[test]
fn the_config_is_taken_and_its_chain_is_seventeen_options() {
    let file = ConfigFile::parse("es.toml", ES.to_owned()).unwrap();
    let config = file.maker(1).unwrap();
    assert_eq!(config.options.options.len(), 17);
    let put = file.table.find("ES-20200320-P-3000").unwrap();
    assert_eq!(put.option().unwrap().option_type, OptionType::Put);
    let quotes_empty = |config: &MakerConfig| config.options.options[0].quotes_empty;
    assert!(!quotes_empty(&config), "an empty side is waited out unless the file says otherwise");
    let text = ES.replacen("# quote_empty", "quote_empty", 1);
    let told = ConfigFile::parse("es.toml", text).unwrap().maker(1).unwrap();
    assert!(quotes_empty(&told));
    let future = file.table.find("ES-202003").unwrap().id();
    assert!(config.options.options.iter().all(|option| option.reference == future));
}

#[test]
fn a_missing_underlying_is_told() {
    let text = faults(&[("reference = \"ES-202003\"", "reference = \"ES-202006\"")]);
    assert!(text.contains("option.reference = ES-202006: a symbol of [[instruments]]"), "{text}");
}

#[test]
fn an_option_is_on_one_contract_of_its_future_unless_the_file_says_on_how_many() {
    let chain = "multiplier = \"50\"\nbase = \"ES\"\nquote = \"USD\"\nmaker_fee_bps = \"3\"";
    for wrong in ["5", "500", "25", "50.5"] {
        let text = faults(&[(chain, &chain.replace("50", wrong))]);
        let part = "ES-20200320-C-3300.multiplier";
        assert!(text.contains(part) && text.contains("1 × 50"), "{wrong}: {text}");
    }
    let reference = "reference = \"ES-202003\"\nvenue";
    let ten = "reference = \"ES-202003\"\ndelivers = 10\nvenue";
    assert_eq!(faults(&[(chain, &chain.replace("50", "500")), (reference, ten)]), "");
    assert!(faults(&[(reference, ten)]).contains("10 × 50"));
    let none = "reference = \"ES-202003\"\ndelivers = 0\nvenue";
    assert!(faults(&[(reference, none)]).contains("0 × 50"));
}

#[test]
fn every_greek_has_a_net_and_a_gross_limit_in_total_and_by_expiry() {
    for (greek, net, gross) in [
        ("delta", "4000", "20000"),
        ("gamma", "1500", "6000"),
        ("vega", "15000", "60000"),
        ("theta", "15000", "60000"),
        ("rho", "4000", "16000"),
        ("vanna", "1500", "6000"),
        ("volga", "1500", "6000"),
    ] {
        let net = format!("{greek} = \"{net}\"");
        for wrong in ["0", "-1", "much"] {
            let text = faults(&[(&net, &format!("{greek} = \"{wrong}\""))]);
            assert!(text.contains(&format!("options.limits.net.{greek}")), "{text}");
        }
        let text = faults(&[(&net, &format!("{greek}s = \"5\""))]);
        assert!(text.contains(&format!("{greek}s")), "{text}");
        let gross = format!("{greek} = \"{gross}\"");
        let text = faults(&[(&gross, &format!("{greek} = \"1\""))]);
        assert!(text.contains("below the net limit"), "{greek}: {text}");
    }
    let text = faults(&[(", volga = \"1500\" }, gross", " }, gross")]);
    assert!(text.contains("missing field `volga`"), "by expiry: {text}");
}

#[test]
fn a_strike_in_another_unit_is_told() {
    let text = faults(&[("\"3300\"", "\"330000\"")]);
    assert!(text.contains("ES-20200320-C-330000: its strike is more than ten times"), "{text}");
    assert!(faults(&[("\"3300\"", "\"-3300\"")]).contains("must be above zero"));
    assert!(faults(&[("\"3300\"", "\"3300.10\"")]).contains("its strike on the future's tick"));
}

#[test]
fn an_option_of_no_known_kind_or_time_is_told_with_what_is_allowed() {
    let text = faults(&[("style = \"american\"", "style = \"bermudan\"")]);
    assert!(text.contains("\"bermudan\": one of european, american"), "{text}");
    let text = faults(&[("expiry = \"2020-03-20T13:30:00Z\"\nstyle", "expiry = \"March\"\nstyle")]);
    assert!(text.contains("option.expiry = \"March\": a time such as"), "{text}");
    let text = faults(&[("delivery = \"future\"", "delivery = \"coin\"")]);
    assert!(text.contains("quote must be the base"), "{text}");
}

#[test]
fn a_chains_coarser_tick_is_a_multiple_of_its_tick_from_a_price_that_it_divides() {
    let with = |from: &str, tick: &str| {
        let chain =
            format!("[[chains]]\ncoarse_tick = {{ from = \"{from}\", tick = \"{tick}\" }}\n");
        faults(&[("[[chains]]\n", &chain)])
    };
    assert_eq!(with("5", "0.25"), "");
    for (from, tick) in [("5.05", "0.25"), ("5", "0.05"), ("5", "0.07"), ("0", "0.25")] {
        let text = with(from, tick);
        assert!(text.contains("ES-20200320-C-3300.coarse_tick"), "{from} {tick}: {text}");
    }
}

#[test]
fn an_option_does_not_hedge() {
    let hedge = "instruments = { ES-202003 = \"15.00\" }";
    let text = faults(&[(hedge, "instruments = { ES-20200320-C-3300 = \"2.00\" }")]);
    assert!(text.contains("hedges are made in what has no Greeks"), "{text}");
}

#[test]
fn an_expired_option_is_told_before_a_run_begins() {
    let config = ConfigFile::parse("es.toml", ES.to_owned()).unwrap().maker(1).unwrap();
    let at = |ns| option_terms::expired(&config, Nanos(ns)).0.to_string();
    let expiry = 1_584_711_000_000_000_000;
    assert!(at(expiry - 1).starts_with("0 faults"), "{}", at(expiry - 1));
    let text = at(expiry);
    assert!(text.contains("2020-03-20T13:30:00Z: this option has expired"), "{text}");
    assert!(text.starts_with("17 faults"), "{text}");
}

/// `ballast run` with the chain of 2020, which has long expired: its exit code and what it says.
fn run(folder: &Path, opening: Option<&str>) -> (i32, String) {
    let state = format!("state_dir = {:?}", folder.join("state").display().to_string());
    let listed = "state_dir = \"ballast-es-options\"";
    assert!(ES.contains(listed), "or its state would lie in the working folder");
    let text = ES.replace(listed, &state);
    let text =
        text.replace("127.0.0.1:9878", "127.0.0.1:1").replace("127.0.0.1:9879", "127.0.0.1:1");
    let mut tables: toml::Table = text.parse().unwrap();
    if let Some(opening) = opening {
        let chain = &tables["chains"].as_array().unwrap()[0];
        let mut settings = chain["settings"].as_table().unwrap().clone();
        settings.insert("opening".into(), opening.into());
        let all = tables["instrument"].as_table_mut().unwrap();
        all.insert("ES-20200320-C-3300".into(), settings.into());
        // What else has expired is not held, and goes.
        let chain = tables["chains"].as_array_mut().unwrap()[0].as_table_mut().unwrap();
        chain.insert("calls".into(), toml::Value::Array(vec!["3300".into()]));
        chain.insert("puts".into(), toml::Value::Array(Vec::new()));
    }
    let path = folder.join("run.toml");
    std::fs::write(&path, toml::to_string(&tables).unwrap()).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_ballast"));
    run.args(["run", "--logon-within", "1", "--config"]).arg(&path);
    let output = run.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_run_goes_on_with_an_expired_option_that_is_held_and_with_no_other() {
    let folder = std::env::temp_dir().join(format!("ballast-expired-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (code, told) = run(&folder, None);
    assert!(code == 2 && told.contains("has expired and nothing of it is held"), "{code} {told}");
    assert!(!folder.join("state").exists(), "and leaves nothing behind");
    // Three are held: it starts, tells how to settle them, and ends for want of a venue alone.
    let (code, told) = run(&folder, Some("3"));
    assert!(code == 1 && told.contains("no Logon within 1 s"), "{code} {told}");
    assert!(told.contains("ballast book expire ES-20200320-C-3300 PRICE"), "{told}");
    // So does the next one, for which the journal says what is held.
    let (code, told) = run(&folder, Some("0"));
    assert!(code == 1 && told.contains("goes on from run 1"), "{code} {told}");
    assert!(told.contains("ballast book expire ES-20200320-C-3300 PRICE"), "{told}");
    std::fs::remove_dir_all(&folder).unwrap();
}
