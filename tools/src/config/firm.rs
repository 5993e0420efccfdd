//! `[firm]`: several engines, one a venue or site, that share an underlying's exposure over a broker.
//!
//! Fed by TOML; feeds the maker with this engine's part of every limit, and the link with where the broker
//! is. Cold path. The whole table may be left out: one engine alone needs no broker. Where it stands, every
//! underlying is in it, and the parts of the engines add up to no more than the firm's hard limit: so no
//! loss of the link can pass it.

use super::faults::Faults;
use super::file::{RawConfig, TimeKind};
use super::instruments::InstrumentTable;
use super::maker::{MS, NANO};
use ballast_engine::risk::firm::FirmTerms;
use ballast_engine::units::{Decimal, Exposure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

const PERMILLE: Decimal = Decimal { mantissa: 1, scale: 3 };

/// `[firm]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFirm {
    /// The firm: what its subjects and streams are named after.
    pub name: String,
    /// This engine.
    pub engine: String,
    /// Where NATS JetStream listens: `nats://host:4222`, `tls://host:4222`.
    pub servers: Vec<String>,
    /// Where the broker's token stands, if it wants one.
    pub token_file: Option<PathBuf>,
    /// Whom to trust beside the system's own, over TLS.
    pub ca_file: Option<PathBuf>,
    /// How often this engine says what it holds, also where nothing changed.
    pub publish_ms: u64,
    /// Word of another engine that is older is none.
    pub age_max_ms: u64,
    /// What is left of soft, stop and hard while another engine is unheard, 0.001 to 0.999.
    pub unheard: String,
    /// By underlying.
    pub underlyings: BTreeMap<String, RawShared>,
}

/// `[firm.underlyings.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawShared {
    /// The firm's hard limit on net exposure from the targets.
    pub hard: String,
    /// Each engine's part of it, by its name.
    pub engines: BTreeMap<String, String>,
}

/// Can a broker's subject and a stream's name carry it?
fn is_token(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain)
}

/// Terms by underlying, in the table's order; all `None` where the section is left out.
pub(super) fn terms(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<Option<FirmTerms>> {
    let Some(firm) = &raw.firm else { return vec![None; table.underlyings.len()] };
    plain(firm, raw, faults);
    let left = faults.count("firm.unheard", &firm.unheard, PERMILLE, 1);
    let left = left.and_then(|permille| u32::try_from(permille).ok());
    if left.is_some_and(|permille| permille > 999) {
        faults.add("firm.unheard", &firm.unheard, "must be at most 0.999: silence narrows limits");
    }
    for name in firm.underlyings.keys().filter(|name| table.underlyings.find(name).is_none()) {
        faults.add(format!("firm.underlyings.{name}"), name, "is no underlying of [[instruments]]");
    }
    let of = |name: &str| {
        let part = part(firm, name, faults);
        let age_max_ns = firm.age_max_ms.saturating_mul(MS);
        Some(FirmTerms { part: part?, age_max_ns, unheard_permille: left? })
    };
    table.underlyings.iter().map(of).collect()
}

fn plain(firm: &RawFirm, raw: &RawConfig, faults: &mut Faults) {
    for (key, name) in [("firm.name", &firm.name), ("firm.engine", &firm.engine)] {
        if !is_token(name) {
            faults.add(key, format!("{name:?}"), "1 to 64 letters, digits, - and _");
        }
    }
    if firm.servers.is_empty() {
        faults.add("firm.servers", "[]", "name at least one: \"nats://127.0.0.1:4222\"");
    }
    if firm.publish_ms == 0 || firm.age_max_ms < firm.publish_ms.saturating_mul(2) {
        let value = format!("{} ms, {} ms", firm.publish_ms, firm.age_max_ms);
        faults.add("firm.age_max_ms", value, "0 < publish_ms, and at least twice that");
    }
    if raw.run.time == TimeKind::Venue {
        let allowed = "\"clock\" with [firm]: the engines' words are dated by their hosts' clocks";
        faults.add("run.time", "\"venue\"", allowed);
    }
}

/// This engine's part of an underlying.
fn part(firm: &RawFirm, name: &str, faults: &mut Faults) -> Option<Exposure> {
    let key = format!("firm.underlyings.{name}");
    let Some(shared) = firm.underlyings.get(name) else {
        faults.add(key, "missing", "the firm's limit and each engine's part are mandatory");
        return None;
    };
    let hard = faults.count(&format!("{key}.hard"), &shared.hard, NANO, 1);
    let mut sum = 0i128;
    let mut own = None;
    for (engine, text) in &shared.engines {
        let key = format!("{key}.engines.{engine}");
        if !is_token(engine) {
            faults.add(&key, format!("{engine:?}"), "1 to 64 letters, digits, - and _");
        }
        let part = faults.count(&key, text, NANO, 1);
        sum += i128::from(part.unwrap_or(0));
        if *engine == firm.engine {
            own = part.map(Exposure);
        }
    }
    if hard.is_some_and(|hard| sum > i128::from(hard)) {
        let sum = i64::try_from(sum).map_or("more".into(), |sum| Decimal::text_of(sum, NANO));
        let allowed = format!("the parts together, {sum}, must be at most hard, {}", shared.hard);
        faults.add(format!("{key}.engines"), sum, allowed);
    }
    if !shared.engines.contains_key(&firm.engine) {
        let allowed = format!("must have a part for this engine, {:?}", firm.engine);
        faults.add(format!("{key}.engines"), "missing", allowed);
    }
    own
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::config::ConfigFile;
    use ballast_engine::units::Exposure;

    /// A firm of three on the demo's config.
    pub(crate) const FIRM: &str = r#"
[firm]
name = "desk"
engine = "alpha"
servers = ["nats://127.0.0.1:4222"]
publish_ms = 200
age_max_ms = 1000
unheard = "0.5"
[firm.underlyings.BTC]
hard = "1.5"
engines = { alpha = "0.5", beta = "0.5", gamma = "0.5" }
"#;

    fn faults_of(from: &str, to: &str) -> String {
        let text = include_str!("../../../config/demo.toml").to_owned() + FIRM;
        assert!(text.contains(from), "{from}");
        let file = ConfigFile::parse("firm.toml", text.replace(from, to)).unwrap();
        file.maker(1).map_or_else(|fault| fault.to_string(), |_| String::new())
    }

    #[test]
    fn an_engine_has_its_part_and_a_deadline_for_the_others() {
        let text = include_str!("../../../config/demo.toml").to_owned() + FIRM;
        let config = ConfigFile::parse("firm.toml", text).unwrap().maker(1).unwrap();
        let terms = config.underlyings[0].firm.unwrap();
        assert_eq!(terms.part, Exposure(500_000_000));
        assert_eq!((terms.age_max_ns, terms.unheard_permille), (1_000_000_000, 500));
    }

    #[test]
    fn parts_that_could_pass_the_firms_limit_together_are_refused() {
        let told = faults_of("hard = \"1.5\"", "hard = \"1.499999999\"");
        assert!(told.contains("firm.underlyings.BTC.engines") && told.contains("1.5"), "{told}");
        let told = faults_of("{ alpha = \"0.5\"", "{ alpha = \"0.4\"");
        assert!(told.contains("within its part of the firm's"), "{told}");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let told = faults_of(
            "name = \"desk\"\nengine = \"alpha\"",
            "name = \"a desk\"\nengine = \"delta\"",
        );
        assert!(told.contains("firm.name") && told.contains("a part for this engine"), "{told}");
        assert!(faults_of("unheard = \"0.5\"", "unheard = \"1\"").contains("silence narrows"));
        assert!(faults_of("age_max_ms = 1000", "age_max_ms = 399").contains("firm.age_max_ms"));
        assert!(
            faults_of("[firm.underlyings.BTC]", "[firm.underlyings.ETH]").contains("mandatory")
        );
        assert!(faults_of("[\"nats://127.0.0.1:4222\"]", "[]").contains("firm.servers"));
    }
}
