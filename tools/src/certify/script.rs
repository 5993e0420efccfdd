//! A broker's certification script: TOML in, steps out, every fault told at once.
//!
//! Fed by `ballast certify`; feeds the [`run`](super::run). Cold. Deliberately absent: sockets, and
//! what a placeholder stands for, which is known only while a script runs.

use crate::config::faults::Faults;
use ballast_gateway::dictionary::Dictionary;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    name: String,
    venue: Option<String>,
    #[serde(default = "order_entry")]
    sessions: Vec<String>,
    #[serde(default = "patience")]
    within: String,
    steps: Vec<RawStep>,
}

fn order_entry() -> Vec<String> {
    vec!["order_entry".into()]
}

fn patience() -> String {
    "5s".into()
}

/// `[[steps]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    step: String,
    what: String,
    session: Option<String>,
    send: Option<String>,
    expect: Option<String>,
    disconnect: Option<bool>,
    skip_seq: Option<u64>,
    wait: Option<String>,
    from: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    save: BTreeMap<String, u32>,
    within: Option<String>,
}

/// What a broker wants to see, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// What it is called.
    pub name: String,
    /// Which `[[venues]]` of the config; the first where it does not say.
    pub venue: Option<String>,
    /// Sessions of the venue that take part: `order_entry`, `market_data`.
    pub sessions: Vec<String>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The broker's own number of it.
    pub number: String,
    /// What it shows, for people.
    pub what: String,
    /// Which of the script's sessions.
    pub session: usize,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Sends a message: Logon(A) connects, Logout(5) logs out, any other goes out as it stands under
    /// the session's header.
    Send {
        /// MsgType(35).
        msg_type: Vec<u8>,
        /// The body, in this order, with placeholders.
        fields: Vec<(u32, String)>,
    },
    /// Waits for a message.
    Expect(Expectation),
    /// Waits for the end of the connection.
    ExpectEnd {
        /// How long, in ns.
        within_ns: u64,
    },
    /// Cuts the connection without a word.
    Disconnect,
    /// Leaves out so many of our numbers.
    SkipSeq(u64),
    /// Lets time pass, in ns; the sessions go on.
    Wait(u64),
}

/// A message that must come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// MsgType(35).
    pub msg_type: Vec<u8>,
    /// The session itself must send it: what we owe the broker.
    pub is_ours: bool,
    /// What its fields must be, with placeholders.
    pub conditions: Vec<Condition>,
    /// Values kept under a name, by tag.
    pub saved: BTreeMap<String, u32>,
    /// How long it may take, in ns.
    pub within_ns: u64,
}

/// What one field must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// `39=0`
    Is(u32, String),
    /// `37`
    There(u32),
    /// `!58`
    NotThere(u32),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// All that is wrong with it, for people.
    pub fn parse(text: &str, dictionary: &Dictionary) -> Result<Script, String> {
        let raw: RawScript =
            toml::from_str(text).map_err(|error| crate::config::syntax::told(text, &error))?;
        let mut faults = Faults::default();
        for session in &raw.sessions {
            if !["order_entry", "market_data"].contains(&session.as_str()) {
                faults.add("sessions", session, "order_entry, market_data");
            }
        }
        if raw.sessions.is_empty() || raw.steps.is_empty() {
            faults.add("sessions, steps", "none", "at least one of each");
        }
        let within_ns = duration("within", &raw.within, &mut faults);
        let mut reading = Reading { dictionary, sessions: &raw.sessions, within_ns, faults };
        let steps: Vec<Step> = raw.steps.iter().filter_map(|step| reading.step(step)).collect();
        let faults = reading.faults;
        if !faults.is_empty() {
            return Err(faults.to_string());
        }
        Ok(Script { name: raw.name, venue: raw.venue, sessions: raw.sessions, steps })
    }
}

struct Reading<'a> {
    dictionary: &'a Dictionary,
    sessions: &'a [String],
    within_ns: u64,
    faults: Faults,
}

impl Reading<'_> {
    fn step(&mut self, raw: &RawStep) -> Option<Step> {
        let key = format!("step {}", raw.step);
        let session = match &raw.session {
            None => Some(0),
            Some(name) => self.sessions.iter().position(|known| known == name),
        };
        if session.is_none() {
            let value = raw.session.as_deref().unwrap_or_default();
            self.faults.add(format!("{key} session"), value, "one of the script's sessions");
        }
        let asked = [
            raw.send.is_some(),
            raw.expect.is_some(),
            raw.disconnect == Some(true),
            raw.skip_seq.is_some(),
            raw.wait.is_some(),
        ];
        let count = asked.into_iter().filter(|asked| *asked).count();
        if count != 1 {
            let allowed = "one of send, expect, disconnect = true, skip_seq, wait";
            self.faults.add(key, format!("{count} actions"), allowed);
            return None;
        }
        let is_expected = raw.expect.is_some();
        if !is_expected && (raw.from.is_some() || !raw.save.is_empty() || raw.within.is_some()) {
            self.faults.add(&key, "from, save or within", "these go with expect alone");
        }
        let action = self.action(&key, raw)?;
        Some(Step { number: raw.step.clone(), what: raw.what.clone(), session: session?, action })
    }

    fn action(&mut self, key: &str, raw: &RawStep) -> Option<Action> {
        if let Some(name) = &raw.send {
            let msg_type = self.msg_type(key, name)?;
            let fields = raw.fields.iter().filter_map(|text| self.field(key, text)).collect();
            let action = Action::Send { msg_type, fields };
            self.check_logon(key, &action);
            return Some(action);
        }
        if let Some(name) = &raw.expect {
            let within_ns = match &raw.within {
                Some(text) => duration(&format!("{key} within"), text, &mut self.faults),
                None => self.within_ns,
            };
            if name == "disconnect" {
                return Some(Action::ExpectEnd { within_ns });
            }
            let is_ours = match raw.from.as_deref() {
                None | Some("them") => false,
                Some("us") => true,
                Some(other) => {
                    self.faults.add(format!("{key} from"), other, "them (the default), us");
                    false
                }
            };
            let msg_type = self.msg_type(key, name)?;
            let conditions =
                raw.fields.iter().filter_map(|text| self.condition(key, text)).collect();
            let saved = raw.save.clone();
            let expectation = Expectation { msg_type, is_ours, conditions, saved, within_ns };
            return Some(Action::Expect(expectation));
        }
        if let Some(text) = &raw.wait {
            return Some(Action::Wait(duration(&format!("{key} wait"), text, &mut self.faults)));
        }
        Some(raw.skip_seq.map_or(Action::Disconnect, Action::SkipSeq))
    }

    /// The session writes its own Logon; a script says only whether numbers begin at 1 again.
    fn check_logon(&mut self, key: &str, action: &Action) {
        let Action::Send { msg_type, fields } = action else { return };
        let is_known =
            |(tag, value): &(u32, String)| *tag == 141 && ["Y", "N"].contains(&value.as_str());
        if msg_type == b"A" && !fields.iter().all(is_known) {
            self.faults.add(format!("{key} fields"), "fields of Logon(A)", "141=Y or 141=N");
        }
        if msg_type == b"5" && !fields.iter().all(|(tag, _)| *tag == 58) {
            self.faults.add(format!("{key} fields"), "fields of Logout(5)", "58=TEXT");
        }
    }

    /// A MsgType(35), or the name of one.
    fn msg_type(&mut self, key: &str, name: &str) -> Option<Vec<u8>> {
        let is_it = |known: &&ballast_gateway::dictionary::MessageDef| {
            known.msg_type == name.as_bytes() || known.name == name
        };
        let found = self.dictionary.messages().iter().find(is_it);
        if found.is_none() {
            let allowed = "a MsgType(35) of FIX 4.4 (D) or its name (NewOrderSingle)";
            self.faults.add(key, name, allowed);
        }
        found.map(|definition| definition.msg_type.clone())
    }

    fn field(&mut self, key: &str, text: &str) -> Option<(u32, String)> {
        let parsed = text.split_once('=').and_then(|(tag, value)| {
            Some((tag.parse().ok()?, value.to_string())).filter(|_| !value.is_empty())
        });
        if parsed.is_none() {
            self.faults.add(format!("{key} fields"), text, "TAG=VALUE");
        }
        parsed
    }

    fn condition(&mut self, key: &str, text: &str) -> Option<Condition> {
        let condition = match (text.strip_prefix('!'), text.split_once('=')) {
            (Some(tag), _) => tag.parse().ok().map(Condition::NotThere),
            (None, Some((tag, value))) => {
                tag.parse().ok().map(|tag| Condition::Is(tag, value.to_string()))
            }
            (None, None) => text.parse().ok().map(Condition::There),
        };
        if condition.is_none() {
            self.faults.add(
                format!("{key} fields"),
                text,
                "TAG=VALUE, TAG (there), !TAG (not there)",
            );
        }
        condition
    }
}

/// `500ms` or `5s`, in ns.
fn duration(key: &str, text: &str, faults: &mut Faults) -> u64 {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(count), _) => count.trim().parse::<u64>().ok().map(|ms| ms.saturating_mul(1_000_000)),
        (None, Some(count)) => {
            count.trim().parse::<u64>().ok().map(|s| s.saturating_mul(1_000_000_000))
        }
        (None, None) => None,
    };
    if parsed.is_none() {
        faults.add(key, text, "a whole number and its unit: 500ms, 5s");
    }
    parsed.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(steps: &str) -> Result<Script, String> {
        Script::parse(&format!("name = \"t\"\n{steps}"), &Dictionary::fix44())
    }

    #[test]
    fn steps_are_read_with_names_conditions_and_units() {
        let script = parse(
            "within = \"2s\"\n[[steps]]\nstep = \"1.1\"\nwhat = \"order\"\nsend = \"NewOrderSingle\"\n\
             fields = [\"11={id.a}\", \"58=a=b\"]\n[[steps]]\nstep = \"1.2\"\nwhat = \"taken\"\n\
             expect = \"8\"\nfields = [\"39=0\", \"37\", \"!41\"]\nsave = { order = 37 }\n",
        )
        .unwrap();
        let fields = vec![(11, "{id.a}".to_string()), (58, "a=b".to_string())];
        let send = Action::Send { msg_type: b"D".to_vec(), fields };
        assert_eq!(script.steps[0].action, send);
        let conditions =
            vec![Condition::Is(39, "0".into()), Condition::There(37), Condition::NotThere(41)];
        let expected = Expectation {
            msg_type: b"8".to_vec(),
            is_ours: false,
            conditions,
            saved: BTreeMap::from([("order".to_string(), 37)]),
            within_ns: 2_000_000_000,
        };
        assert_eq!(script.steps[1].action, Action::Expect(expected));
    }

    #[test]
    fn every_fault_is_told_with_its_step() {
        let fault = parse(
            "[[steps]]\nstep = \"3\"\nwhat = \"x\"\nsend = \"Nonsense\"\n\
             [[steps]]\nstep = \"4\"\nwhat = \"x\"\nwait = \"soon\"\n\
             [[steps]]\nstep = \"5\"\nwhat = \"x\"\n\
             [[steps]]\nstep = \"6\"\nwhat = \"x\"\nsend = \"A\"\nfields = [\"98=1\"]\n",
        )
        .unwrap_err();
        for wanted in
            ["step 3 = Nonsense", "step 4 wait = soon", "step 5 = 0 actions", "step 6 fields"]
        {
            assert!(fault.contains(wanted), "{wanted} in {fault}");
        }
    }
}
