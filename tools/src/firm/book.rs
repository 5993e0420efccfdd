//! The firm's book: what each of the other engines said last.
//!
//! Fed by the link with words, by the maker's time; feeds the maker with views. Cold thread, no socket and
//! no clock. A view is as old as the engine that was heard longest ago, and no younger than when it came:
//! a clock that is ahead does not keep a dead engine alive. While one has never been heard there is no view.
//! Nor is there one of an engine whose config gives it another part, or the firm another limit, than this
//! one's does, nor while a second process trades under this engine's name: its part is then held twice.
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
    hard: i64,
    /// The other engines, each with its part of the limit.
    others: BTreeMap<String, i64>,
}

fn nanos_of(text: &str) -> Option<i64> {
    text.parse::<Decimal>().ok()?.count_of(NANO).ok()
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
    /// When this run began; nothing is its own echo before.
    started: Option<Nanos>,
    /// Another process that lives tells under this name.
    has_double: bool,
    /// Words that were none.
    refused: u64,
}

impl FirmBook {
    /// Nothing heard yet; `None` where no firm is configured.
    pub fn new(raw: &RawConfig, table: &InstrumentTable) -> Option<FirmBook> {
        let firm = raw.firm.as_ref()?;
        let shared = (0u8..).zip(table.underlyings.iter()).filter_map(|(place, name)| {
            let limits = firm.underlyings.get(name)?;
            let others = limits.engines.iter().filter(|(engine, _)| **engine != firm.engine);
            let others = others.map(|(engine, part)| Some((engine.clone(), nanos_of(part)?)));
            let (hard, others) = (nanos_of(&limits.hard)?, others.collect::<Option<_>>()?);
            Some(Shared { place, name: name.to_owned(), hard, others })
        });
        Some(FirmBook {
            me: firm.engine.clone(),
            shared: shared.collect(),
            heard: BTreeMap::new(),
            started: None,
            has_double: false,
            refused: 0,
        })
    }

    /// The maker consumed its first input of this run.
    pub fn begin(&mut self, now: Nanos) {
        self.started.get_or_insert(now);
    }

    /// A word came. Says whether anything in the book is another; its own echo changes nothing.
    pub fn hear(&mut self, now: Nanos, body: &[u8]) -> bool {
        let Some((word, deltas)) = self.read(body) else {
            if self.refused == 0 {
                let word = String::from_utf8_lossy(body);
                tracing::warn!(%word, "no word of this firm as the config has it: it is not heard");
            }
            self.refused += 1;
            return false;
        };
        if word.engine == self.me {
            self.hear_own(&word);
            return false;
        }
        let at = Nanos(word.at_ns).min(now);
        let last = self.heard.get(&word.engine);
        let is_new = last.is_none_or(|last| last.word.at_ns < word.at_ns);
        if is_new {
            self.heard.insert(word.engine.clone(), Heard { at, word, deltas });
        }
        is_new
    }

    /// An echo, what the run before said last, or a second process of this name.
    fn hear_own(&mut self, word: &Word) {
        let Some(started) = self.started else { return };
        let is_another = word.started_ns != started.0 && word.at_ns > started.0;
        if is_another && !std::mem::replace(&mut self.has_double, true) {
            let (engine, since) = (&word.engine, word.started_ns);
            tracing::error!(
                engine,
                since,
                "another process trades under this engine's name: limits stay narrow until one of them \
                 has another name and both were started again"
            );
        }
    }

    /// A word of an engine of this firm that says something of every underlying that it shares, and whose
    /// config says the same of its limits as ours.
    fn read(&self, body: &[u8]) -> Option<(Word, BTreeMap<String, i64>)> {
        let word: Word = serde_json::from_slice(body).ok()?;
        let deltas = word.deltas.iter().map(|(name, text)| Some((name.clone(), nanos_of(text)?)));
        let deltas: BTreeMap<String, i64> = deltas.collect::<Option<_>>()?;
        if word.engine == self.me {
            return Some((word, deltas));
        }
        let part_of = |shared: &Shared| shared.others.get(&word.engine).copied();
        let mut of = self.shared.iter().filter(|shared| part_of(shared).is_some()).peekable();
        of.peek()?;
        let is_sound = of.all(|shared| {
            let limits = word.limits.get(&shared.name);
            let agrees = limits.is_some_and(|told| {
                nanos_of(&told.hard) == Some(shared.hard) && nanos_of(&told.part) == part_of(shared)
            });
            agrees && deltas.contains_key(&shared.name)
        });
        is_sound.then_some((word, deltas))
    }

    /// What the others hold, of each underlying of which all of them have been heard. An engine that
    /// shares it with nobody hears all of them by `now`.
    pub fn views(&self, now: Nanos) -> Vec<FirmView> {
        if self.has_double {
            return Vec::new();
        }
        let views = self.shared.iter().filter_map(|shared| {
            let (mut at, mut longs, mut shorts) = (now, 0i64, 0i64);
            for other in shared.others.keys() {
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
            "double": self.has_double,
            "heard": words.collect::<serde_json::Map<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::config::firm::tests::FIRM;
    use crate::firm::message::{Share, bytes_of};

    fn book() -> FirmBook {
        let text = include_str!("../../../config/demo.toml").to_owned() + FIRM;
        let file = ConfigFile::parse("firm.toml", text).unwrap();
        FirmBook::new(&file.raw, &file.table).unwrap()
    }

    fn word(engine: &str, at_ns: u64, delta: &str) -> Vec<u8> {
        let of = |name: &str| [(name.to_owned(), delta.to_owned())].into();
        let share = Share { hard: "1.50".into(), part: "0.5".into() };
        bytes_of(&Word {
            engine: engine.into(),
            epoch: 1,
            input: 5,
            at_ns,
            started_ns: 10,
            limits: [("BTC".to_owned(), share)].into(),
            deltas: of("BTC"),
            positions: of("BTCUSDT"),
        })
    }

    fn changed(word: &[u8], from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(word.to_vec()).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        text.replace(from, to).into_bytes()
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
            &changed(&word("beta", 90, "0.25"), "\"BTC\"", "\"ETH\""),
            &changed(&word("beta", 90, "0.25"), "\"1.50\"", "\"1.6\""),
            &changed(&word("beta", 90, "0.25"), "\"0.5\"", "\"0.6\""),
        ] {
            assert!(!book.hear(Nanos(100), body));
        }
        assert!(!book.hear(Nanos(100), &word("alpha", 90, "7")), "an echo");
        assert_eq!(book.document(true)["refused"], json!(7));
    }

    #[test]
    fn a_second_process_of_this_name_ends_every_view_and_the_run_before_does_not() {
        let mut book = book();
        book.begin(Nanos(80));
        book.hear(Nanos(100), &word("beta", 90, "0.25"));
        book.hear(Nanos(100), &word("gamma", 95, "-0.5"));
        let own = |at_ns, started: &str| changed(&word("alpha", at_ns, "7"), ":10,", started);
        book.hear(Nanos(100), &word("alpha", 80, "7"));
        book.hear(Nanos(100), &own(95, ":80,"));
        assert_eq!(book.views(Nanos(100)).len(), 1, "what it said before, and its own echo");
        book.hear(Nanos(100), &own(96, ":70,"));
        assert!(book.views(Nanos(100)).is_empty());
        assert_eq!(book.document(true)["double"], json!(true));
    }
}
