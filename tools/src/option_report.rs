//! How a run's options stand: Greeks held, and why their marks moved.
//!
//! Fed by the maker, or by its samples; feeds the summary, people's lines and the operator's status. Numbers are decimal
//! text, money in what the options settle in.

use crate::config::ConfigFile;
use ballast_engine::instrument::Underlying;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::snapshot::GreekSample;
use ballast_engine::risk::greek_limits::{Greek, GreekLimits};
use ballast_engine::units::{Notional, decimal_text};
use serde_json::{Map, Value, json};

/// By underlying; `None` where there are no options.
pub fn document(file: &ConfigFile, maker: &Maker) -> Option<Value> {
    let mut underlyings = Map::new();
    for (place, name) in file.table.underlyings.iter().enumerate() {
        let Some(ranges) = maker.greek_ranges(place) else { continue };
        let (mut net, mut worst) = (Map::new(), Map::new());
        let held = maker.net_greeks(place).map(|greeks| greeks.parts());
        for (n, greek) in Greek::ALL.into_iter().enumerate() {
            let text = |nano: i128| json!(decimal_text(nano, 9));
            let held = held.and_then(|held| held.get(n).copied());
            net.insert(greek.name().into(), held.map_or(Value::Null, |nano| text(nano.into())));
            if let Some(range) = ranges.get(n) {
                let (up, down, gross) = (text(range.up), text(range.down), text(range.gross));
                worst.insert(greek.name().into(), json!({"up": up, "down": down, "gross": gross}));
            }
        }
        let options = file.table.instruments.iter().filter(|i| i.option().is_some());
        let options = options.filter(|i| usize::from(i.spec().underlying.0) == place);
        let moved: i128 =
            options.filter_map(|i| maker.ledger().moved(i.id())).map(|Notional(nano)| nano).sum();
        let causes = maker.option_causes(place);
        let causes = causes
            .iter()
            .map(|(cause, nano)| (cause.name().to_owned(), json!(decimal_text(*nano, 9))));
        underlyings.insert(
            name.to_owned(),
            json!({
                "net": net, "worst_case": worst, "inventory_mtm": decimal_text(moved, 9),
                "inventory_mtm_by_greek": causes.collect::<Map<_, _>>(),
            }),
        );
    }
    (!underlyings.is_empty()).then_some(Value::Object(underlyings))
}

/// The limits on each underlying's options together.
pub fn limits(config: &MakerConfig) -> Vec<(Underlying, GreekLimits)> {
    config.options.limits.iter().map(|(underlying, limits)| (*underlying, limits.total)).collect()
}

/// Each Greek held, the worst that it may come to before its next refresh, and its limits.
pub fn beside_limits(sample: &GreekSample, limits: &GreekLimits) -> Map<String, Value> {
    let text = |nano: i64| decimal_text(nano.into(), 9);
    let worst = sample.net_worst.parts().into_iter().zip(sample.gross_worst.parts());
    let most = limits.net().parts().into_iter().zip(limits.gross().parts());
    let rows = Greek::ALL.into_iter().enumerate().zip(worst.zip(most));
    let rows = rows.map(|((n, greek), ((net_worst, gross_worst), (net_max, gross_max)))| {
        let held = sample.held.and_then(|held| held.parts().get(n).copied());
        let row = json!({
            "held": held.map(text), "net_worst": text(net_worst), "net_max": text(net_max),
            "gross_worst": text(gross_worst), "gross_max": text(gross_max),
        });
        (greek.name().to_owned(), row)
    });
    rows.collect()
}

/// The rows of [`beside_limits`] by underlying, one line a Greek.
pub fn limits_for_people(document: &Value) -> Vec<String> {
    let underlyings = document.as_object().into_iter().flatten();
    let lines = underlyings.flat_map(|(name, greeks)| {
        let greeks = greeks.as_object().into_iter().flatten();
        greeks.map(move |(greek, row)| {
            let of = |key: &str| short(&row[key]);
            format!(
                "{name:<16} {greek:<6} held {:>12}   at worst {:>12} of {}   gross {:>12} of {}",
                of("held"),
                of("net_worst"),
                of("net_max"),
                of("gross_worst"),
                of("gross_max"),
            )
        })
    });
    lines.collect()
}

/// Two digits behind the point.
fn short(value: &Value) -> String {
    let text = value.as_str().unwrap_or("unknown");
    text.split_once('.').map_or_else(
        || text.to_owned(),
        |(whole, part)| format!("{whole}.{}", part.get(..2).unwrap_or(part)),
    )
}

/// One line an underlying.
pub fn for_people(document: &Value) -> Vec<String> {
    let Some(underlyings) = document["options"].as_object() else { return Vec::new() };
    let lines = underlyings.iter().map(|(name, told)| {
        let list = |of: &Value| {
            let of = of.as_object().into_iter().flatten();
            of.map(|(key, value)| format!("{key} {}", short(value))).collect::<Vec<_>>().join(", ")
        };
        format!(
            "{name} options  held: {}; marks moved by {}: {}",
            list(&told["net"]),
            short(&told["inventory_mtm"]),
            list(&told["inventory_mtm_by_greek"])
        )
    });
    lines.collect()
}
