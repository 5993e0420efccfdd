//! What a counterparty wants of a session beside who we are: sub ids, numbers in Logon and header,
//! resets, limits of time, how gaps are asked for, a dictionary.
//!
//! Written in a session's `options = { … }`, all of it may be left out; `venue_session.rs` makes the
//! gateway's session of it. Cold. Deliberately absent: what a dialect demands, which no option changes.

use super::faults::Faults;
use super::file::DialectKind;
use ballast_gateway::dictionary::validate::Rules;
use ballast_gateway::venue::notice::OnNews;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `options = { … }` of a session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSessionOptions {
    /// SenderSubID(50) of all that we send.
    pub sender_sub_id: Option<String>,
    /// TargetSubID(57) of all that we send.
    pub target_sub_id: Option<String>,
    /// NextExpectedMsgSeqNum(789) in Logon, both ways.
    pub next_expected: bool,
    /// LastMsgSeqNumProcessed(369) in every header that we send.
    pub last_processed: bool,
    /// Both numbers begin at 1 after a Logout.
    pub reset_on_logout: bool,
    /// Both numbers begin at 1 after the end of a connection.
    pub reset_on_disconnect: bool,
    /// Missing messages are asked for so many at a time; left out, all at once.
    pub resend_chunk: Option<u64>,
    /// How far the counterparty's SendingTime(52) may be from our clock; 120 where left out.
    pub latency_max_s: Option<u64>,
    /// How long a Logon may take; 10 where left out.
    pub logon_timeout_s: Option<u64>,
    /// How long the answer to our Logout may take; 2 where left out.
    pub logout_timeout_s: Option<u64>,
    /// How long a ResendRequest may bring nothing before it is sent again; 30 where left out.
    pub resend_timeout_s: Option<u64>,
    /// What comes in must obey the dictionary, or is rejected.
    pub validate: bool,
    /// With `validate`: what of the dictionary is judged, by the names of its rules; what is left out is.
    pub rules: BTreeMap<String, bool>,
    /// The venue's dictionary (QuickFIX-format XML) instead of the compiled-in FIX 4.4.
    pub dictionary: Option<PathBuf>,
    /// With `dictionary`: the file with the session's own messages (FIXT11.xml).
    pub transport_dictionary: Option<PathBuf>,
    /// `tell` or `move`: what News(B) asks of the session, where the venue's rules do not say it.
    pub on_news: Option<RawOnNews>,
}

/// What News(B) asks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawOnNews {
    /// People are told.
    Tell,
    /// And the session logs out and on again.
    Move,
}

impl From<RawOnNews> for OnNews {
    fn from(raw: RawOnNews) -> OnNews {
        match raw {
            RawOnNews::Tell => OnNews::Tell,
            RawOnNews::Move => OnNews::Move,
        }
    }
}

impl RawSessionOptions {
    /// What of the dictionary is judged.
    pub fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        for (name, switch) in rules.switches() {
            *switch = self.rules.get(name).copied().unwrap_or(*switch);
        }
        rules
    }

    /// Adds what is wrong with the options of the session `key`.
    pub fn check(&self, dialect: DialectKind, key: &str, faults: &mut Faults) {
        for (name, value) in
            [("sender_sub_id", &self.sender_sub_id), ("target_sub_id", &self.target_sub_id)]
        {
            if let Some(text) = value
                && (text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
            {
                faults.add(format!("{key}.options.{name}"), text, "printable ASCII, not empty");
            }
        }
        for (name, value, most) in [
            ("resend_chunk", self.resend_chunk, 1_000_000),
            ("latency_max_s", self.latency_max_s, 86_400),
            ("logon_timeout_s", self.logon_timeout_s, 3600),
            ("logout_timeout_s", self.logout_timeout_s, 3600),
            ("resend_timeout_s", self.resend_timeout_s, 3600),
        ] {
            if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
                faults.add(format!("{key}.options.{name}"), value, format!("1 to {most}"));
            }
        }
        if dialect == DialectKind::Binance && self.resend_chunk.is_some() {
            let name = format!("{key}.options.resend_chunk");
            faults.add(name, "given", "this venue resends nothing: leave it out");
        }
        if !self.rules.is_empty() && !self.validate {
            let name = format!("{key}.options.rules");
            faults.add(name, "given", "belongs to validate = true");
        }
        let mut rules = Rules::default();
        let names = rules.switches().map(|(name, _)| name);
        for name in self.rules.keys().filter(|name| !names.contains(&name.as_str())) {
            faults.add(format!("{key}.options.rules.{name}"), "given", names.join(", "));
        }
        if self.dictionary.is_some() && !self.validate {
            let name = format!("{key}.options.dictionary");
            faults.add(name, "given", "belongs to validate = true");
        }
        if self.transport_dictionary.is_some() && self.dictionary.is_none() {
            let name = format!("{key}.options.transport_dictionary");
            faults.add(name, "given", "belongs to dictionary");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str, dialect: DialectKind) -> String {
        let mut faults = Faults::default();
        toml::from_str::<RawSessionOptions>(text).unwrap().check(dialect, "s", &mut faults);
        faults.to_string()
    }

    #[test]
    fn each_limit_is_told_with_what_is_allowed() {
        let text = "sender_sub_id = \"\"\nresend_chunk = 0\nlatency_max_s = 86401\n\
            transport_dictionary = \"t.xml\"\nresend_timeout_s = 0\nrules = { order = false }";
        let told = faults_of(text, DialectKind::Plain);
        for part in [
            "s.options.sender_sub_id = : printable ASCII",
            "s.options.resend_chunk = 0: 1 to 1000000",
            "s.options.latency_max_s = 86401: 1 to 86400",
            "s.options.resend_timeout_s = 0: 1 to 3600",
            "s.options.rules = given: belongs to validate = true",
            "s.options.transport_dictionary = given: belongs to dictionary",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let told = faults_of("resend_chunk = 5\ndictionary = \"d.xml\"", DialectKind::Binance);
        assert!(told.contains("this venue resends nothing"), "{told}");
        assert!(told.contains("belongs to validate = true"), "{told}");
    }

    #[test]
    fn what_is_allowed_is_taken_and_what_is_unknown_is_not() {
        let text = "resend_chunk = 1000000\nlatency_max_s = 1\nvalidate = true\n\
            dictionary = \"d.xml\"\non_news = \"move\"";
        assert!(faults_of(text, DialectKind::Plain).starts_with("0 faults"));
        assert!(toml::from_str::<RawSessionOptions>("reset_on_logon = true").is_err());
        let told = faults_of("validate = true\nrules = { checksum = false }", DialectKind::Plain);
        assert!(told.contains("s.options.rules.checksum = given: order, required, "), "{told}");
        let text = "validate = true\nrules = { values = false, required = true }";
        assert!(faults_of(text, DialectKind::Plain).starts_with("0 faults"));
        let rules = toml::from_str::<RawSessionOptions>(text).unwrap().rules();
        assert_eq!(rules, Rules { values: false, ..Rules::default() });
    }
}
