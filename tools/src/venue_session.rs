//! A session of the config as the gateway wants it: where it connects, in clear or in TLS, and as whom.
//!
//! Asked by `live_venue.rs` for the sessions that trade and by `ballast certify` for the same ones under
//! a broker's script. Cold: it reads the files that the config names. Deliberately absent: connections,
//! and judging the config, which is checked before.

use crate::config::file::{DialectKind, RawSession, RawVenue, ReconcileKind};
use crate::config::sessions::host_of;
use ballast_gateway::dictionary::facts::Facts;
use ballast_gateway::dictionary::validate::Validator;
use ballast_gateway::dictionary::{Dictionary, xml};
use ballast_gateway::session::{Credentials, GapPolicy, Role, SessionConfig};
use ballast_gateway::transport::{ClientFiles, TlsClient, TlsFileError};
use ballast_gateway::venue::binance::{self, Binance, BinanceSession};
use ballast_gateway::venue::deribit::{self, Deribit};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::hosts::Host;
use ballast_gateway::venue::notice::Notices;
use ballast_gateway::venue::plain;
use ballast_gateway::venue::secret::{Secret, SecretError};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

const SECOND_NS: u64 = 1_000_000_000;

/// Why a session of the config cannot be made.
#[derive(Debug, Error)]
pub enum SessionFault {
    /// An address that names no host.
    #[error("address {address:?}: {why}; write host:port")]
    Address {
        /// What stands there.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// A file with a password or a key cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file of a TLS end cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// A dictionary that cannot be used.
    #[error("options.dictionary {}: {why}; name a QuickFIX-format XML", path.display())]
    Dictionary {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What differs at a venue beside the Logon: its dialect's rules; its limits and what it answers after a
/// Logon where the config says others.
pub fn rules(venue: &RawVenue) -> Rules {
    let rules = match venue.dialect {
        DialectKind::Plain => Rules { reconciliation: Reconciliation::ALL, ..plain::RULES },
        DialectKind::Binance => binance::RULES,
        DialectKind::Deribit => deribit::RULES,
    };
    let reconciliation = match &venue.reconcile {
        None => rules.reconciliation,
        Some(asked) => Reconciliation {
            mass_cancel: asked.contains(&ReconcileKind::MassCancel),
            mass_status: asked.contains(&ReconcileKind::MassStatus),
            status: asked.contains(&ReconcileKind::OrderStatus),
            positions: asked.contains(&ReconcileKind::Positions),
        },
    };
    Rules {
        reconciliation,
        entries: venue.entries.into(),
        order_limits: venue.limits.order_limits(rules.order_limits),
        market_data_limits: venue.limits.market_data_limits(rules.market_data_limits),
        ..rules
    }
}

/// The hosts of a session, in the order in which they are tried, and where they are at the start.
///
/// # Errors
/// One that names no host.
pub fn hosts(raw: &RawSession) -> Result<Vec<Host>, SessionFault> {
    let host = |name: &str| {
        let wrong = |why: String| SessionFault::Address { address: name.to_owned(), why };
        let found = name.to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
        let addresses: Vec<_> = found.collect();
        match addresses.is_empty() {
            true => Err(wrong("names no host".into())),
            false => Ok(Host::new(name, addresses)),
        }
    };
    raw.hosts().map(host).collect()
}

/// The TLS ends of a session, one a host: each is checked against its own name, or all of them against the
/// `server_name` that stands in the config. None in clear.
///
/// # Errors
/// A file that cannot be used.
pub fn tls(raw: &RawSession) -> Result<Vec<TlsClient>, SessionFault> {
    let Some(tls) = &raw.tls else { return Ok(Vec::new()) };
    let name = |host| tls.server_name.as_deref().unwrap_or_else(|| host_of(host));
    let files = ClientFiles {
        ca: tls.ca.as_deref(),
        certificate: tls.client_cert.as_deref(),
        key: tls.client_key.as_deref(),
    };
    let client = TlsClient::new(name(&raw.address), files)?;
    raw.hosts().map(|host| Ok(client.named(name(host))?)).collect()
}

/// The session with its options, credentials and what its venue demands. The config is checked.
///
/// # Errors
/// A file with a secret or a dictionary that cannot be used.
pub fn session_config(
    venue: &RawVenue,
    raw: &RawSession,
    purpose: BinanceSession,
    notices: &Notices,
) -> Result<SessionConfig, SessionFault> {
    let mut config = SessionConfig::new(Role::Initiator, &raw.sender_comp_id, &raw.target_comp_id);
    config.heart_bt_int_s = raw.heartbeat_s;
    config.reset_on_logon = raw.reset_on_logon;
    // A schedule that is there can be read.
    config.schedule = raw.times().ok().flatten();
    config.notices = notices.clone();
    config.on_news = rules(venue).on_news;
    // A quote that did not arrive then is wrong now.
    config.resends_messages = purpose != BinanceSession::OrderEntry;
    take_options(&mut config, raw)?;
    let username = raw.username.as_deref().unwrap_or_default();
    let file = raw.password_file.as_ref().or(raw.secret_file.as_ref());
    let Some(secret) = file.map(|path| Secret::from_file(path)).transpose()? else {
        return Ok(config);
    };
    config.dialect = match venue.dialect {
        DialectKind::Plain => Box::new(Credentials::with_secret(username, &secret)?),
        DialectKind::Binance => {
            Binance::demand(&mut config);
            Box::new(Binance::new(username, &secret, purpose)?)
        }
        DialectKind::Deribit => {
            Deribit::demand(&mut config);
            Box::new(Deribit::new(username, secret))
        }
    };
    Ok(config)
}

fn take_options(config: &mut SessionConfig, raw: &RawSession) -> Result<(), SessionFault> {
    let options = &raw.options;
    config.sender_sub_id.clone_from(&options.sender_sub_id);
    config.target_sub_id.clone_from(&options.target_sub_id);
    config.has_next_expected = options.next_expected;
    config.has_last_processed = options.last_processed;
    config.reset_on_logout = options.reset_on_logout;
    config.reset_on_disconnect = options.reset_on_disconnect;
    if let Some(chunk) = options.resend_chunk {
        config.gap_policy = GapPolicy::RequestChunks(chunk);
    }
    if let Some(seconds) = options.latency_max_s {
        config.latency_max_ns = Some(seconds.saturating_mul(SECOND_NS));
    }
    if let Some(seconds) = options.logon_timeout_s {
        config.logon_timeout_ns = seconds.saturating_mul(SECOND_NS);
    }
    if let Some(seconds) = options.logout_timeout_s {
        config.logout_timeout_ns = seconds.saturating_mul(SECOND_NS);
    }
    if let Some(seconds) = options.resend_timeout_s {
        config.resend_timeout_ns = seconds.saturating_mul(SECOND_NS);
    }
    if let Some(on_news) = options.on_news {
        config.on_news = on_news.into();
    }
    if options.validate {
        let validator = Validator::new(Arc::new(dictionary(raw)?), options.rules());
        config.validation = Some(validator);
    }
    Ok(())
}

/// What the session speaks: its own dictionary, or the compiled-in FIX 4.4.
///
/// # Errors
/// A file that is none.
pub fn dictionary(raw: &RawSession) -> Result<Dictionary, SessionFault> {
    let transport = raw.options.transport_dictionary.as_deref();
    match &raw.options.dictionary {
        None => Ok(Dictionary::fix44()),
        Some(path) => dictionary_in(path, transport),
    }
}

fn dictionary_in(path: &Path, transport: Option<&Path>) -> Result<Dictionary, SessionFault> {
    let facts = match transport {
        None => facts(path)?,
        Some(transport) => facts(path)?.with_transport(facts(transport)?),
    };
    Dictionary::from_facts(&facts).map_err(|error| unusable(path, &error))
}

fn facts(path: &Path) -> Result<Facts, SessionFault> {
    let text = std::fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
    xml::read(&text).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> SessionFault {
    SessionFault::Dictionary { path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use ballast_gateway::dictionary::validate::Rules as DictionaryRules;
    use ballast_gateway::venue::notice::OnNews;

    const DEMO: &str = include_str!("../../config/demo.toml");

    /// The order session of the demo's config with options.
    fn made(options: &str) -> Result<SessionConfig, SessionFault> {
        let options = format!("reset_on_logon = true, options = {{ {options} }} }}");
        let text = DEMO.replace("reset_on_logon = true }", &options);
        let file = ConfigFile::parse("t", text).unwrap();
        assert!(file.maker(1).is_ok());
        let venue = &file.raw.venues[0];
        session_config(venue, &venue.order_entry, BinanceSession::OrderEntry, &Notices::default())
    }

    #[test]
    fn every_option_reaches_the_session() {
        let config = made(
            "sender_sub_id = \"DESK\", target_sub_id = \"GATE\", next_expected = true, \
             last_processed = true, reset_on_logout = true, reset_on_disconnect = true, \
             resend_chunk = 250, latency_max_s = 7, logon_timeout_s = 8, logout_timeout_s = 9, \
             resend_timeout_s = 6, validate = true, rules = { order = false }, on_news = \"move\"",
        )
        .unwrap();
        assert_eq!(config.sender_sub_id.as_deref(), Some("DESK"));
        assert_eq!(config.target_sub_id.as_deref(), Some("GATE"));
        assert!(config.has_next_expected && config.has_last_processed);
        assert!(config.reset_on_logout && config.reset_on_disconnect);
        assert_eq!(config.gap_policy, GapPolicy::RequestChunks(250));
        assert_eq!(config.latency_max_ns, Some(7 * SECOND_NS));
        assert_eq!(config.logon_timeout_ns, 8 * SECOND_NS);
        assert_eq!(config.logout_timeout_ns, 9 * SECOND_NS);
        assert_eq!(config.resend_timeout_ns, 6 * SECOND_NS);
        assert_eq!(config.on_news, OnNews::Move);
        let rules = config.validation.unwrap().rules();
        assert_eq!(rules, DictionaryRules { order: false, ..DictionaryRules::default() });
    }

    #[test]
    fn without_options_a_session_is_as_fix_4_4_has_it() {
        let config = made("").unwrap();
        assert_eq!(config.gap_policy, GapPolicy::RequestAll);
        assert_eq!(config.latency_max_ns, Some(120 * SECOND_NS));
        assert!(config.validation.is_none() && !config.has_next_expected);
        assert_eq!(config.on_news, OnNews::Tell);
    }

    #[test]
    fn each_host_is_checked_against_its_own_name_or_all_against_the_one_that_is_told() {
        let names = |tls: &str| {
            let hosts = format!("backups = [\"localhost:2\", \"[::1]:3\"], tls = {{ {tls} }} }}");
            let hosts = format!("reset_on_logon = true, {hosts}");
            let text = DEMO.replace("reset_on_logon = true }", &hosts);
            let file = ConfigFile::parse("t", text).unwrap();
            let raw = &file.raw.venues[0].order_entry;
            assert_eq!(super::hosts(raw).unwrap().len(), 3);
            let names: Vec<_> = tls_names(raw);
            names
        };
        let tls_hosts = names("");
        assert_eq!(tls_hosts, ["127.0.0.1", "localhost", "::1"]);
        let one = names("server_name = \"fix.example\"");
        assert_eq!(one, ["fix.example"; 3]);
    }

    fn tls_names(raw: &RawSession) -> Vec<String> {
        tls(raw).unwrap().iter().map(TlsClient::server_name).collect()
    }

    #[test]
    fn orders_are_never_resent_whoever_drives_their_session() {
        assert!(!made("").unwrap().resends_messages);
    }

    #[test]
    fn a_dictionary_that_is_none_is_told_by_its_name() {
        let fault = made("validate = true, dictionary = \"no/such.xml\"").err().unwrap();
        assert!(fault.to_string().contains("options.dictionary no/such.xml"), "{fault}");
    }
}
