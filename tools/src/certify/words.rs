//! What placeholders stand for: `{id.NAME}` a new id, the same wherever NAME stands; `{saved.NAME}` a
//! value that a step saved; `{now}` this instant as a UTCTimestamp.
//!
//! Asked by the run. Deliberately absent: everything else that a template language has.

use ballast_engine::units::Nanos;
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use std::collections::BTreeMap;

/// The words of one run.
#[derive(Debug)]
pub struct Words {
    /// Makes ids unique from one run to the next.
    started: Nanos,
    ids: BTreeMap<String, String>,
    saved: BTreeMap<String, String>,
}

impl Words {
    /// No word yet; ids carry the second of `started`.
    pub fn new(started: Nanos) -> Words {
        Words { started, ids: BTreeMap::new(), saved: BTreeMap::new() }
    }

    /// Keeps a value.
    pub fn save(&mut self, name: &str, value: &[u8]) {
        self.saved.insert(name.into(), String::from_utf8_lossy(value).into_owned());
    }

    /// The text with its placeholders replaced.
    ///
    /// # Errors
    /// A placeholder that stands for nothing.
    pub fn fill(&mut self, text: &str, now: Nanos) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (word, after) =
                behind.split_once('}').ok_or_else(|| format!("{text}: {{ without }}"))?;
            filled.push_str(before);
            filled.push_str(&self.word(word, now)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn word(&mut self, word: &str, now: Nanos) -> Result<String, String> {
        if word == "now" {
            let mut clock = TimestampText::new(Precision::Millis);
            return Ok(String::from_utf8_lossy(clock.write(now)).into_owned());
        }
        if let Some(name) = word.strip_prefix("id.") {
            let seconds = self.started.0 / 1_000_000_000;
            let id = || format!("cert-{seconds}-{name}");
            return Ok(self.ids.entry(name.to_string()).or_insert_with(id).clone());
        }
        let saved = word.strip_prefix("saved.").and_then(|name| self.saved.get(name));
        saved.cloned().ok_or_else(|| {
            format!(
                "{{{word}}}: nothing of that name; write {{id.NAME}}, {{saved.NAME}} or {{now}}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_under_one_name_and_saved_values_come_back() {
        let mut words = Words::new(Nanos(1_700_000_000_000_000_000));
        words.save("order", b"77");
        let text = words.fill("{id.a}/{id.b}/{id.a}/{saved.order}!", Nanos(0)).unwrap();
        assert_eq!(text, "cert-1700000000-a/cert-1700000000-b/cert-1700000000-a/77!");
        assert_eq!(words.fill("{now}", Nanos(0)).unwrap(), "19700101-00:00:00.000");
        assert!(words.fill("{saved.nothing}", Nanos(0)).unwrap_err().contains("saved.nothing"));
        assert!(words.fill("{id.a", Nanos(0)).is_err());
    }
}
