//! The firm's book: what each of the other engines said last.
//!
//! Fed by the link with words, by the maker's time; feeds the maker with views. Cold thread, no socket and
//! no clock. A view is as old as the engine that was heard longest ago, and no younger than when it came:
//! a clock that is ahead does not keep a dead engine alive. While one has never been heard there is no view.
//! Deliberately absent: any decision.

use super::message::Word;
use crate::config::file::RawConfig;
use crate::config::instruments::InstrumentTable;
use ballast_engine::risk::firm::FirmView;
use ballast_engine::units::{Decimal, Exposure, Nanos};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };

/// An underlying that several engines trade.
struct Shared {
    place: u8,
    name: String,
    others: Vec<String>,
}

/// The last word of an engine.
struct Heard {
    at: Nanos,
    word: Word,
    deltas: BTreeMap<String, i64>,
}

/// What the other engines hold.
pub struct FirmBook {
    me: String,
    shared: Vec<Shared>,
    heard: BTreeMap<String, Heard>,
    /// Words that were none.
    refused: u64,
}

impl FirmBook {
    /// Nothing heard yet; `None` where no firm is configured.
    pub fn new(raw: &RawConfig, table: &InstrumentTable) -> Option<FirmBook> {
        let firm = raw.firm.as_ref()?;
        let shared = (0u8..).zip(table.underlyings.iter()).filter_map(|(place, name)| {
            let engines = firm.underlyings.get(name)?.engines.keys();
            let others = engines.filter(|engine| **engine != firm.engine).cloned().collect();
            Some(Shared { place, name: name.to_owned(), others })
        });
        let shared = shared.collect();
        Some(FirmBook { me: firm.engine.clone(), shared, heard: BTreeMap::new(), refused: 0 })
    }

    /// A word came. Says whether anything in the book is another; its own echo changes nothing.
    pub fn hear(&mut self, now: Nanos, body: &[u8]) -> bool {
        let Some((word, deltas)) = self.read(body) else {
            self.refused += 1;
            return false;
        };
        let at = Nanos(word.at_ns).min(now);
        let last = self.heard.get(&word.engine);
        let is_new = word.engine != self.me && last.is_none_or(|last| last.word.at_ns < word.at_ns);
        if is_new {
            self.heard.insert(word.engine.clone(), Heard { at, word, deltas });
        }
        is_new
    }

    /// A word of an engine of this firm that says something of every underlying that it shares.
    fn read(&self, body: &[u8]) -> Option<(Word, BTreeMap<String, i64>)> {
        let word: Word = serde_json::from_slice(body).ok()?;
        let deltas = word.deltas.iter().map(|(name, text)| {
            let delta = text.parse::<Decimal>().ok()?.count_of(NANO).ok()?;
            Some((name.clone(), delta))
        });
        let deltas: BTreeMap<String, i64> = deltas.collect::<Option<_>>()?;
        let shares = |shared: &&Shared| shared.others.contains(&word.engine);
        let mut of = self.shared.iter().filter(shares).peekable();
        let is_known = word.engine == self.me || of.peek().is_some();
        let says_all = of.all(|shared| deltas.contains_key(&shared.name));
        (is_known && says_all).then_some((word, deltas))
    }

    /// What the others hold, of each underlying of which all of them have been heard. An engine that
    /// shares it with nobody hears all of them by `now`.
    pub fn views(&self, now: Nanos) -> Vec<FirmView> {
        let views = self.shared.iter().filter_map(|shared| {
            let (mut at, mut longs, mut shorts) = (now, 0i64, 0i64);
            for other in &shared.others {
                let heard = self.heard.get(other)?;
                let delta = *heard.deltas.get(&shared.name)?;
                at = at.min(heard.at);
                longs = longs.saturating_add(delta.max(0));
                shorts = shorts.saturating_add(delta.min(0));
            }
            let (longs, shorts) = (Exposure(longs), Exposure(shorts));
            Some(FirmView { at, longs, shorts, underlying: shared.place })
        });
        views.collect()
    }

    /// As operators see it: each engine's last word.
    pub fn document(&self, is_linked: bool) -> Value {
        let words = self.heard.iter().map(|(engine, heard)| {
            let word = &heard.word;
            let row = json!({
                "epoch": word.epoch, "at_ns": word.at_ns,
                "deltas": word.deltas, "positions": word.positions,
            });
            (engine.clone(), row)
        });
        json!({
            "engine": self.me,
            "linked": is_linked,
            "refused": self.refused,
            "heard": words.collect::<serde_json::Map<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::firm::message::bytes_of;

    fn book() -> FirmBook {
        let firm = r#"
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
        let text = include_str!("../../../config/demo.toml").to_owned() + firm;
        let file = ConfigFile::parse("firm.toml", text).unwrap();
        FirmBook::new(&file.raw, &file.table).unwrap()
    }

    fn word(engine: &str, at_ns: u64, delta: &str) -> Vec<u8> {
        let of = |name: &str| [(name.to_owned(), delta.to_owned())].into();
        let (deltas, positions) = (of("BTC"), of("BTCUSDT"));
        bytes_of(&Word { engine: engine.into(), epoch: 1, input: 5, at_ns, deltas, positions })
    }

    #[test]
    fn there_is_no_view_until_all_are_heard_and_it_is_as_old_as_the_oldest_word() {
        let mut book = book();
        assert!(book.hear(Nanos(100), &word("beta", 90, "0.25")));
        assert!(book.views(Nanos(100)).is_empty());
        assert!(book.hear(Nanos(100), &word("gamma", 95, "-0.5")));
        let (longs, shorts) = (Exposure(250_000_000), Exposure(-500_000_000));
        let view = FirmView { at: Nanos(90), longs, shorts, underlying: 0 };
        assert_eq!(book.views(Nanos(500)), [view]);
    }

    #[test]
    fn a_word_from_the_future_is_as_old_as_its_coming_and_an_older_one_changes_nothing() {
        let mut book = book();
        book.hear(Nanos(100), &word("beta", 9_000, "0.25"));
        book.hear(Nanos(100), &word("gamma", 100, "0"));
        assert_eq!(book.views(Nanos(500))[0].at, Nanos(100));
        assert!(!book.hear(Nanos(200), &word("beta", 8_999, "0.1")));
        assert!(!book.hear(Nanos(200), &word("beta", 9_000, "0.1")), "told again");
        assert_eq!(book.views(Nanos(500))[0].longs, Exposure(250_000_000));
    }

    #[test]
    fn what_is_no_word_of_this_firm_is_refused() {
        let mut book = book();
        for body in [
            &b"{"[..],
            &word("delta", 90, "0.25"),
            &word("beta", 90, "much"),
            &word("beta", 90, "0.0000000001"),
            &word("beta", 90, "0.25").replace_name(),
        ] {
            assert!(!book.hear(Nanos(100), body));
        }
        assert!(!book.hear(Nanos(100), &word("alpha", 90, "7")), "an echo");
        assert_eq!(book.document(true)["refused"], json!(5));
    }

    trait Renamed {
        fn replace_name(&self) -> Vec<u8>;
    }

    impl Renamed for Vec<u8> {
        /// The same of another underlying.
        fn replace_name(&self) -> Vec<u8> {
            String::from_utf8(self.clone()).unwrap().replace("\"BTC\"", "\"ETH\"").into_bytes()
        }
    }
}
