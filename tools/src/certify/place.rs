//! Where a session of the config connects, and as whom.
//!
//! Asked by `ballast certify`. Cold. Deliberately absent: TLS and venues' own Logons.

use crate::config::file::RawSession;
use ballast_gateway::session::{Credentials, Role, SessionConfig};
use std::net::{SocketAddr, ToSocketAddrs};

/// The addresses of a session, in the order in which they are tried.
///
/// # Errors
/// One that names no host.
pub fn addresses(raw: &RawSession) -> Result<Vec<SocketAddr>, String> {
    let wrong = |why: String| format!("address {}: {why}; write host:port", raw.address);
    let found: Vec<_> = raw.address.to_socket_addrs().map_err(|e| wrong(e.to_string()))?.collect();
    if found.is_empty() { Err(wrong("names no host".into())) } else { Ok(found) }
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
