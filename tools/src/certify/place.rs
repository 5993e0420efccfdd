//! Where a session of the config connects, and as whom.
//!
//! Asked by `ballast certify`. Cold. Deliberately absent: TLS and venues' own Logons, which the command
//! refuses, and schedules: a certification is done when the broker says.

use crate::config::file::RawSession;
use ballast_gateway::session::{Credentials, Role, SessionConfig};
use std::net::{SocketAddr, ToSocketAddrs};

/// The addresses of a session, in the order in which they are tried.
///
/// # Errors
/// One that names no host.
pub fn addresses(raw: &RawSession) -> Result<Vec<SocketAddr>, String> {
    let mut found = Vec::new();
    for host in raw.hosts() {
        let wrong = |why: String| format!("address {host}: {why}; write host:port");
        let before = found.len();
        found.extend(host.to_socket_addrs().map_err(|error| wrong(error.to_string()))?);
        if found.len() == before {
            return Err(wrong("names no host".into()));
        }
    }
    Ok(found)
}

/// The session as the config describes it.
///
/// # Errors
/// A file with a password that cannot be read.
pub fn session_config(raw: &RawSession) -> Result<SessionConfig, String> {
    let mut config = SessionConfig::new(Role::Initiator, &raw.sender_comp_id, &raw.target_comp_id);
    config.heart_bt_int_s = raw.heartbeat_s;
    config.reset_on_logon = raw.reset_on_logon;
    if let (Some(username), Some(path)) = (&raw.username, &raw.password_file) {
        let password = std::fs::read_to_string(path)
            .map_err(|error| format!("password_file {}: {error}", path.display()))?;
        config.dialect = Box::new(Credentials::new(username, password.trim()));
    }
    Ok(config)
}
