//! Five hundred mutated configs: each is refused before a socket opens, or means what its text says and
//! is within what the limits' own rules allow. Seeded; a failure prints the seed and the text's change.

use ballast::config::ConfigFile;
use ballast::random::Random;
use ballast_engine::instrument::ContractValue;
use ballast_engine::inventory::hedge::BandRule;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use std::path::Path;
use std::process::Command;

const MUTATIONS: u64 = 500;

fn shipped() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("config/demo.toml")).unwrap()
}

/// Values that a slip of the hand or of a program puts where another belongs.
const VALUES: [&str; 22] = [
    "\"\"",
    "\"0\"",
    "\"-1\"",
    "\"1e400\"",
    "\"NaN\"",
    "\"inf\"",
    "\"0.000000001\"",
    "\"1 000\"",
    "\"99999999999999999999999999\"",
    "\"0.1.2\"",
    "\"1,5\"",
    "0",
    "-1",
    "1",
    "7",
    "9223372036854775807",
    "18446744073709551616",
    "1.5",
    "true",
    "[]",
    "{}",
    "\"BTC\"",
];

/// Where `key = value` begins and ends in the text: the value's own place.
fn values(text: &str) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(" = ") {
        let start = from + at + 3;
        let rest = &text[start..];
        let end = match rest.chars().next() {
            Some('"') => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            Some('{' | '[') => 1,
            _ => rest.find([',', ' ', '\n', '}']).unwrap_or(rest.len()),
        };
        if end > 1 {
            places.push((start, start + end));
        }
        from = start;
    }
    places
}

fn pick<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.below(of.len() as u64) as usize]
}

/// Any place between two characters.
fn boundary(random: &mut Random, text: &str) -> usize {
    let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
    *pick(random, &places)
}

/// One slip; says what it was.
fn slip(random: &mut Random, text: &mut String) -> String {
    let places = values(text);
    let (start, end) = *pick(random, &places);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let line = random.below(lines.len() as u64) as usize;
    match random.below(9) {
        0 | 1 => {
            let value = *pick(random, &VALUES);
            let was = text[start..end].to_owned();
            text.replace_range(start..end, value);
            format!("{was} became {value}")
        }
        2 => {
            let other = *pick(random, &places);
            let value = text[other.0..other.1].to_owned();
            text.replace_range(start..end, &value);
            format!("a value became that of another key, {value}")
        }
        3 => {
            let mut lines = lines;
            let gone = lines.remove(line);
            *text = lines.join("\n");
            format!("without line {gone:?}")
        }
        4 => {
            let mut lines = lines;
            let again = lines[line].clone();
            lines.insert(line, again.clone());
            *text = lines.join("\n");
            format!("line {again:?} twice")
        }
        5 => {
            let at = text[..start].rfind(['\n', ' ', '{']).map_or(0, |at| at + 1);
            let at = text[..start - 3].rfind(['\n', ' ', '{']).map_or(at, |at| at + 1);
            text.insert(at, 'x');
            "another key".to_owned()
        }
        6 => {
            let cut = boundary(random, text);
            text.truncate(cut);
            format!("cut at byte {cut}")
        }
        7 => {
            let digits: Vec<_> =
                text.match_indices(|c: char| c.is_ascii_digit()).map(|d| d.0).collect();
            let at = *pick(random, &digits);
            let digit = format!("{}", random.below(10));
            text.replace_range(at..=at, &digit);
            format!("a digit became {digit}")
        }
        _ => {
            let at = boundary(random, text);
            text.insert(at, *pick(random, &['"', '#', '\n', '-', '.', '=', '[', 'é', '\u{0}']));
            format!("a character more at byte {at}")
        }
    }
}

/// What no config may let through, whatever it says: read off the values alone.
fn faults(config: &MakerConfig) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what| {
        if !holds {
            faults.push(what);
        }
    };
    for settings in &config.settings {
        let limits = &settings.limits;
        must(limits.order_size_max.0 > 0 && limits.position_max.0 > 0, "a size limit");
        must(limits.collar.width.0 > 0, "the collar");
        must(limits.executions.max > 0 && limits.executions.window_ns > 0, "executions");
        must(limits.duplicates.max > 0 && limits.duplicates.window_ns > 0, "duplicates");
        must(settings.stale_after_ns > 0 && settings.volatility.interval_ns > 0, "a time");
        must(settings.volatility.floor.0 > 0, "the floor of sigma");
        if let Some(spike) = settings.spike {
            must(spike.width.0 > 0 && spike.messages > 0 && spike.after_ns > 0, "the spike guard");
        }
    }
    for underlying in &config.underlyings {
        let limits = underlying.limits;
        let is_ordered =
            0 < limits.soft().0 && limits.soft() < limits.stop() && limits.stop() < limits.hard();
        must(is_ordered, "soft, stop and hard in order");
        must(underlying.protection.fills_max > 0, "protection");
        if let Some(BandRule::Fixed(band)) = underlying.hedge.as_ref().map(|hedge| &hedge.band) {
            must(band.outer <= limits.soft(), "the band within soft");
            must(band.inner.0 >= 0 && band.inner < band.outer, "the band");
        }
    }
    for rate in &config.message_rates {
        must(rate.cancel_reserve < rate.max && rate.window_ns > 0, "the message rate");
    }
    must(config.order_to_trade.iter().all(|r| r.max > 0 && r.grace > 0), "order to trade");
    must(config.portfolio.gross_max.0 > 0, "gross notional");
    let loss = &config.portfolio.loss;
    must(loss.daily_max.0 > 0 && loss.drawdown_max.0 > 0 && loss.cooldown_ns > 0, "losses");
    must(config.ack_timeout_ns > 0 && config.timer_interval_ns > 0, "a timeout");
    must(config.orders_max > 0 && config.book_levels_max > 0 && config.rejects_max > 0, "a count");
    faults
}

/// A decimal text as a count of 1e-12, by no code of the product.
fn pico(text: &str) -> i128 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part:0<12}");
    sign * digits.parse::<i128>().expect("a decimal that was taken")
}

/// Sizes, prices and exposures in the maker's units are what the text says, digit for digit.
fn assert_means(text: &str, config: &MakerConfig) {
    let table: toml::Table = text.parse().expect("it was taken");
    let of = |path: &[&str]| {
        let mut value = &table[path[0]];
        for key in &path[1..] {
            value = &value[*key];
        }
        pico(value.as_str().expect("a number as text"))
    };
    for (instrument, settings) in config.instruments.iter().zip(&config.settings) {
        let symbol = instrument.symbol();
        let limit = |name: &str| of(&["instrument", symbol, "limits", name]);
        let step = |decimal: ballast_engine::units::Decimal| {
            i128::from(decimal.mantissa) * 10i128.pow(12 - u32::from(decimal.scale))
        };
        let (tick, lot) = (step(instrument.spec().tick), step(instrument.spec().lot));
        let limits = &settings.limits;
        assert_eq!(i128::from(limits.order_size_max.0) * lot, limit("order_size_max"));
        assert_eq!(i128::from(limits.position_max.0) * lot, limit("position_max"));
        assert_eq!(i128::from(limits.collar.width.0) * tick, limit("collar"));
        let value = limit("order_value_max");
        let per_contract = match instrument.value() {
            ContractValue::Inverse { nano_quote_per_lot, .. } => Some(nano_quote_per_lot),
            ContractValue::Linear { .. } | ContractValue::Option { .. } => None,
        };
        let price = per_contract.map_or((60_000 * 1_000_000_000_000 + tick - 1) / tick, |_| 1);
        let price = ballast_engine::units::Ticks(i64::try_from(price).unwrap());
        let most = i128::from(limits.order_value_max.size_max(price).0);
        let worth =
            per_contract.map_or(most * lot * 60_000, |nano| most * i128::from(nano) * 1_000);
        assert!(worth <= value, "{symbol}: {most} lots are worth more than {value}");
    }
    let limits = config.underlyings[0].limits;
    for (name, is) in [("soft", limits.soft()), ("stop", limits.stop()), ("hard", limits.hard())] {
        assert_eq!(i128::from(is.0) * 1_000, of(&["underlying", "BTC", name]), "{name}");
    }
}

#[test]
fn every_mutated_config_is_refused_or_means_what_it_says_within_the_rules() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..MUTATIONS {
        let mut random = Random::stream(seed, 0xC0F1);
        let mut text = shipped();
        let slips: Vec<_> = (0..=random.below(2)).map(|_| slip(&mut random, &mut text)).collect();
        let file = ConfigFile::parse("mutated.toml", text.clone());
        match file.and_then(|file| file.maker(1)) {
            Err(fault) => {
                let told = fault.to_string();
                assert!(
                    told.starts_with("mutated.toml: ") && told.len() > 20,
                    "seed {seed}: {told}"
                );
                refused += 1;
            }
            Ok(config) => {
                let faults = faults(&config);
                assert!(faults.is_empty(), "seed {seed}, {slips:?}: {faults:?}");
                assert_means(&text, &config);
                Maker::new(&config).unwrap_or_else(|e| panic!("seed {seed}, {slips:?}: {e:?}"));
                taken += 1;
            }
        }
    }
    assert!(refused > 150 && taken > 50, "{refused} refused, {taken} taken");
}

#[test]
fn a_refused_config_ends_the_command_before_anything_is_made_or_opened() {
    let folder = std::env::temp_dir().join(format!("ballast-mutated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut tried = 0;
    for seed in 0..60 {
        let mut random = Random::stream(seed, 0xC0F1);
        let mut text = shipped();
        slip(&mut random, &mut text);
        if ConfigFile::parse("mutated.toml", text.clone()).and_then(|file| file.maker(1)).is_ok() {
            continue;
        }
        tried += 1;
        std::fs::write(folder.join("mutated.toml"), &text).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_ballast"))
            .args(["run", "--config", "mutated.toml"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "seed {seed}");
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "seed {seed}: no state folder, and so no socket either");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(tried > 15, "{tried}");
}
