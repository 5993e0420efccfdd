//! What a config with options is refused for: each fault with its key, its value and what is allowed.

use ballast::config::{ConfigFault, ConfigFile, option_terms};
use ballast_engine::option_terms::OptionType;
use ballast_engine::units::Nanos;

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
    let future = file.table.find("ES-202003").unwrap().id();
    assert!(config.options.options.iter().all(|option| option.reference == future));
}

#[test]
fn a_missing_underlying_is_told() {
    let text = faults(&[("reference = \"ES-202003\"", "reference = \"ES-202006\"")]);
    assert!(text.contains("option.reference = ES-202006: a symbol of [[instruments]]"), "{text}");
}

#[test]
fn a_wrong_multiplier_cannot_deliver_whole_futures() {
    let text = faults(&[(
        "multiplier = \"50\"\nbase = \"ES\"\nquote = \"USD\"\nmaker_fee_bps = \"3\"",
        "multiplier = \"5\"\nbase = \"ES\"\nquote = \"USD\"\nmaker_fee_bps = \"3\"",
    )]);
    assert!(text.contains("whole number of the future's"), "{text}");
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
    let file = ConfigFile::parse("es.toml", ES.to_owned()).unwrap();
    let at = |ns| option_terms::expired(&file.table.instruments, Nanos(ns)).to_string();
    let expiry = 1_584_711_000_000_000_000;
    assert!(at(expiry - 1).starts_with("0 faults"), "{}", at(expiry - 1));
    let text = at(expiry);
    assert!(text.contains("2020-03-20T13:30:00Z: this option has expired"), "{text}");
    assert!(text.starts_with("17 faults"), "{text}");
}
