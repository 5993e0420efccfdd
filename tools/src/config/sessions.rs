//! What a session to a venue needs, by its dialect: who logs on with what, and in TLS or in clear.
//!
//! Fed by `maker.rs` with the file's `[[venues]]`; feeds its faults. `live_venue.rs` makes the
//! sessions and reads the files that are named here. Cold. Deliberately absent: the secrets; a config
//! holds none, only the names of their files.

use super::entries::RawEntries;
use super::faults::Faults;
use super::file::{DialectKind, RawConfig, RawSession, RawVenue};
use std::net::IpAddr;

/// Tells every fault of every session.
pub fn check(raw: &RawConfig, faults: &mut Faults) {
    for venue in &raw.venues {
        venue.limits.check(&venue.message_rate, &format!("venues.{}", venue.name), faults);
        account(venue, faults);
        if let RawEntries::Orders { most } = venue.entries
            && !(1..=RawEntries::MOST).contains(&most)
        {
            let allowed = format!("1 to {}", RawEntries::MOST);
            faults.add(format!("venues.{}.entries.most", venue.name), most, allowed);
        }
        for (purpose, session) in venue.sessions() {
            let key = format!("venues.{}.{purpose}", venue.name);
            credentials(venue, session, &key, faults);
            tls(venue, session, &key, faults);
            session.options.check(venue.dialect, &key, faults);
            match venue.dialect {
                DialectKind::Plain => {}
                DialectKind::Binance => binance(session, &key, faults),
                DialectKind::Deribit => target(session, "DERIBITSERVER", &key, faults),
            }
        }
        own_names(venue, faults);
    }
}

/// No two sessions are logged on under one name.
fn own_names(venue: &RawVenue, faults: &mut Faults) {
    let key = |purpose: &str| format!("venues.{}.{purpose}", venue.name);
    let same = |a: &RawSession, b: &RawSession| a.sender_comp_id == b.sender_comp_id;
    let (feed, entry) = (&venue.market_data, &venue.order_entry);
    if venue.dialect == DialectKind::Binance && same(feed, entry) {
        let allowed = "another one than market_data's: one session a name";
        faults.add(key("order_entry.sender_comp_id"), &entry.sender_comp_id, allowed);
    }
    let Some(copy) = &venue.drop_copy else { return };
    if venue.dialect == DialectKind::Deribit {
        faults.add(key("drop_copy"), "given", "left out: the venue has no drop copy");
    }
    let is_one_of_two = |other: &RawSession| {
        same(copy, other)
            && (venue.dialect == DialectKind::Binance
                || copy.target_comp_id == other.target_comp_id)
    };
    if is_one_of_two(feed) || is_one_of_two(entry) {
        let allowed = "another one than market_data's and order_entry's: one session a name";
        faults.add(key("drop_copy.sender_comp_id"), &copy.sender_comp_id, allowed);
    }
}

/// Host and port of `host:port`; the host of `[::1]:9878` is `::1`.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn account(venue: &RawVenue, faults: &mut Faults) {
    let Some(account) = &venue.account else { return };
    let is_text = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_graphic());
    if venue.dialect != DialectKind::Plain || !is_text {
        let allowed = "letters, digits and signs, at a venue of the plain dialect";
        faults.add(format!("venues.{}.account", venue.name), account, allowed);
    }
}

fn credentials(venue: &RawVenue, session: &RawSession, key: &str, faults: &mut Faults) {
    let has = |value: bool| if value { "given" } else { "missing" };
    let (username, password, secret) = (
        session.username.is_some(),
        session.password_file.is_some(),
        session.secret_file.is_some(),
    );
    match venue.dialect {
        DialectKind::Plain => {
            if username != password {
                let allowed = "username and password_file go together, or leave both out";
                let (name, value) =
                    if username { ("password_file", password) } else { ("username", username) };
                faults.add(format!("{key}.{name}"), has(value), allowed);
            }
            if secret {
                let allowed = "belongs to dialects that sign; plain FIX takes password_file";
                faults.add(format!("{key}.secret_file"), has(secret), allowed);
            }
        }
        DialectKind::Binance | DialectKind::Deribit => {
            let (who, what) = if venue.dialect == DialectKind::Binance {
                ("the API key", "a file with its Ed25519 private key (PEM)")
            } else {
                ("the client id", "a file with its access secret")
            };
            if !username {
                faults.add(format!("{key}.username"), has(username), who);
            }
            if !secret {
                faults.add(format!("{key}.secret_file"), has(secret), what);
            }
            if password {
                let allowed = "belongs to plain FIX; this dialect takes secret_file";
                faults.add(format!("{key}.password_file"), has(password), allowed);
            }
        }
    }
}

fn tls(venue: &RawVenue, session: &RawSession, key: &str, faults: &mut Faults) {
    match &session.tls {
        Some(tls) if tls.client_cert.is_some() != tls.client_key.is_some() => {
            let allowed = "client_cert and client_key go together";
            faults.add(format!("{key}.tls"), "one of the two", allowed);
        }
        // A proxy on this host (stunnel) may do the TLS of a venue that wants it.
        None if venue.dialect == DialectKind::Binance && !is_loopback(&session.address) => {
            let allowed =
                "the venue takes nothing in clear; write tls = {}, or name a proxy on this host";
            faults.add(format!("{key}.tls"), "missing", allowed);
        }
        Some(_) | None => {}
    }
}

fn is_loopback(address: &str) -> bool {
    let host = host_of(address);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback())
}

fn target(session: &RawSession, name: &str, key: &str, faults: &mut Faults) {
    if session.target_comp_id != name {
        faults.add(format!("{key}.target_comp_id"), &session.target_comp_id, name);
    }
}

/// What the venue demands of comp ids and heartbeats (fix-api.md, header and Logon).
fn binance(session: &RawSession, key: &str, faults: &mut Faults) {
    let is_name = |text: &str| {
        (1..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !is_name(&session.sender_comp_id) {
        let allowed = "1 to 8 letters, digits, - or _, another one for each session";
        faults.add(format!("{key}.sender_comp_id"), &session.sender_comp_id, allowed);
    }
    target(session, "SPOT", key, faults);
    if !(5..=60).contains(&session.heartbeat_s) {
        faults.add(format!("{key}.heartbeat_s"), session.heartbeat_s, "5 to 60");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    const DEMO: &str = include_str!("../../../config/demo.toml");

    fn faults_of(text: &str) -> String {
        let raw: RawConfig = toml::from_str(text).unwrap();
        let mut faults = Faults::default();
        check(&raw, &mut faults);
        faults.to_string()
    }

    fn demo(venue: &str, session: &str) -> String {
        DEMO.replacen("name = \"sim\"", &format!("name = \"sim\"\n{venue}"), 1)
            .replace("reset_on_logon = true }", &format!("reset_on_logon = true{session} }}"))
    }

    #[test]
    fn a_dialect_is_told_what_it_lacks() {
        let text = demo("dialect = \"binance\"", "");
        let text = faults_of(&text.replace("127.0.0.1", "192.0.2.1"));
        for part in [
            "venues.sim.order_entry.username = missing: the API key",
            "venues.sim.order_entry.secret_file = missing",
            "venues.sim.order_entry.tls = missing",
            "venues.sim.order_entry.target_comp_id = SIM-OE: SPOT",
            "venues.sim.market_data.target_comp_id = SIM-MD: SPOT",
            "venues.sim.order_entry.sender_comp_id = BALLAST: another one than market_data's",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = faults_of(&demo("dialect = \"deribit\"", ", password_file = \"x\""));
        assert!(text.contains("this dialect takes secret_file"), "{text}");
        assert!(text.contains("target_comp_id = SIM-OE: DERIBITSERVER"), "{text}");
    }

    #[test]
    fn a_drop_copy_is_a_session_of_its_own() {
        let copy = |dialect: &str, sender: &str| {
            let text = demo(&format!("dialect = \"{dialect}\""), "");
            let session = format!(
                "drop_copy = {{ address = \"127.0.0.1:1\", sender_comp_id = \"{sender}\", \
                 target_comp_id = \"SIM-OE\", heartbeat_s = 30 }}\nmessage_rate"
            );
            faults_of(&text.replacen("message_rate", &session, 1))
        };
        assert!(copy("plain", "COPY").starts_with("0 faults"), "{}", copy("plain", "COPY"));
        let text = copy("plain", "BALLAST");
        assert!(text.contains("drop_copy.sender_comp_id = BALLAST: another one"), "{text}");
        assert!(copy("deribit", "COPY").contains("the venue has no drop copy"));
        let text = copy("binance", "COPY");
        assert!(text.contains("venues.sim.drop_copy.secret_file = missing"), "{text}");
    }

    #[test]
    fn a_book_of_orders_says_how_many_it_keeps() {
        let entries = |most: &str| demo(&format!("entries = {{ are = \"orders\"{most} }}"), "");
        assert!(faults_of(&entries(", most = 20000")).starts_with("0 faults"));
        let text = faults_of(&entries(", most = 0"));
        assert!(text.contains("venues.sim.entries.most = 0: 1 to 4194304"), "{text}");
        assert!(toml::from_str::<RawConfig>(&entries("")).is_err(), "a missing limit is refused");
    }

    #[test]
    fn half_of_a_pair_is_refused() {
        let text = faults_of(&demo("", ", username = \"me\", tls = { client_cert = \"c.pem\" }"));
        assert!(text.contains("order_entry.password_file = missing"), "{text}");
        assert!(text.contains("client_cert and client_key go together"), "{text}");
    }

    #[test]
    fn what_is_whole_is_taken() {
        let session = ", username = \"me\", password_file = \"p\", tls = { ca = \"ca.pem\" }";
        assert!(faults_of(&demo("dialect = \"plain\"", session)).starts_with("0 faults"));
        assert!(ConfigFile::parse("t", demo("", session)).unwrap().maker(1).is_ok());
    }

    #[test]
    fn an_unknown_dialect_names_those_that_there_are() {
        let error = ConfigFile::parse("t", demo("dialect = \"kraken\"", "")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("plain") && text.contains("binance"), "{text}");
    }

    #[test]
    fn the_host_of_an_address_is_what_tls_checks() {
        assert_eq!(host_of("fix-oe.binance.com:9000"), "fix-oe.binance.com");
        assert_eq!(host_of("[::1]:9878"), "::1");
        assert!(is_loopback("[::1]:9878") && is_loopback("localhost:1") && !is_loopback("a.b:1"));
    }
}
