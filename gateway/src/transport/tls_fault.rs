//! Why a TLS connection was refused or lost, in words that an operator can act on.
//!
//! Made by `tls.rs` and `tls_files.rs`; read by whoever shows it to a person. Cold. Deliberately
//! absent: what was inside the connection.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error as ThisError;

/// What ended a handshake, or a connection after it.
#[derive(Clone, PartialEq, Eq, Debug, ThisError)]
pub enum TlsFault {
    /// NotAfter has passed.
    #[error(
        "the counterparty's certificate has expired ({0}); its owner must renew it, or this host's clock is wrong"
    )]
    Expired(String),
    /// NotBefore has not come.
    #[error(
        "the counterparty's certificate is not valid yet ({0}); this host's clock may be behind"
    )]
    NotValidYet(String),
    /// No chain leads to a root that we trust: self-signed, or a private CA.
    #[error(
        "the counterparty's certificate is signed by nobody we trust (self-signed, or a private CA); get the CA's certificate from its owner by a safe way and name the file in tls.ca"
    )]
    UnknownIssuer,
    /// It is somebody else's certificate.
    #[error(
        "the counterparty's certificate is for another host ({0}); is the address right? Where it is meant to differ, name the certificate's host in tls.server_name"
    )]
    WrongHost(String),
    /// It is wrong in another way.
    #[error("the counterparty's certificate is refused: {0}; ask its owner")]
    Certificate(String),
    /// It wants to see our certificate, and we have shown none.
    #[error(
        "the counterparty demands a client certificate; name yours in tls.client_cert and tls.client_key"
    )]
    ClientCertificateDemanded,
    /// Our counterparty, a client, has shown none.
    #[error("the client showed no certificate although one is demanded; it must be given one")]
    NoClientCertificate,
    /// It does not take the certificate that we have shown.
    #[error(
        "the counterparty refused our certificate ({0}); is tls.client_cert the one that it issued or registered, and not expired?"
    )]
    OurCertificateRefused(String),
    /// TLS 1.1 or older, or nothing in common.
    #[error(
        "the counterparty speaks no TLS that we take ({0}); TLS 1.2 is the least: ask it to allow TLS 1.2 or 1.3"
    )]
    TooOld(String),
    /// Whatever answers speaks something else.
    #[error("what answers does not speak TLS; is this the plain-text port?")]
    NotTls,
    /// It hung up in the handshake.
    #[error(
        "the counterparty closed the connection within the handshake; is this its TLS port, and does it know our address or certificate?"
    )]
    ClosedInHandshake,
    /// It said nothing, or not enough.
    #[error(
        "the handshake was not done within {0} s; is this a TLS port? A plain FIX port waits for us to speak first"
    )]
    TimedOut(u64),
    /// Something rare.
    #[error("TLS: {0}")]
    Other(String),
}

impl TlsFault {
    /// What `error` means for a client (`is_client`) or a server, in or after the handshake.
    #[allow(clippy::wildcard_enum_match_arm, reason = "rustls may name more errors")]
    pub(super) fn of(error: &Error, is_client: bool, has_certificate: bool) -> TlsFault {
        match error {
            Error::InvalidCertificate(wrong) => of_certificate(wrong),
            Error::NoCertificatesPresented => TlsFault::NoClientCertificate,
            Error::AlertReceived(alert) if is_client => of_alert(*alert, has_certificate),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
                TlsFault::TooOld("no cipher suite in common".into())
            }
            Error::PeerIncompatible(why) => TlsFault::TooOld(format!("{why:?}")),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => TlsFault::NotTls,
            other => TlsFault::Other(other.to_string()),
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "rustls may name more ways to be wrong")]
fn of_certificate(wrong: &CertificateError) -> TlsFault {
    let text = || match wrong.to_string() {
        text if text.is_empty() => format!("{wrong:?}"),
        text => text,
    };
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            TlsFault::Expired(text())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFault::NotValidYet(text())
        }
        CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::WrongHost(text())
        }
        _ => TlsFault::Certificate(text()),
    }
}

/// What a server's alert means to us, a client.
#[allow(clippy::wildcard_enum_match_arm, reason = "rustls may name more alerts")]
fn of_alert(alert: AlertDescription, has_certificate: bool) -> TlsFault {
    let text = format!("alert {alert:?}");
    match alert {
        AlertDescription::CertificateRequired => TlsFault::ClientCertificateDemanded,
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            TlsFault::TooOld(text)
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => match has_certificate {
            true => TlsFault::OurCertificateRefused(text),
            false => TlsFault::ClientCertificateDemanded,
        },
        AlertDescription::HandshakeFailure if !has_certificate => TlsFault::Other(format!(
            "{text}: nothing in common, or the counterparty demands a client certificate (tls.client_cert, tls.client_key)"
        )),
        AlertDescription::UnrecognisedName => TlsFault::WrongHost(text),
        _ => TlsFault::Other(format!("the counterparty ended the connection with {text}")),
    }
}

/// A file named in `tls = { … }` that cannot be used.
#[derive(Debug, ThisError)]
pub enum TlsFileError {
    /// The file cannot be read.
    #[error("tls.{key} {}: {why}", path.display())]
    Unreadable {
        /// Which key of the table.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A private key that cannot be used, or that others may read.
    #[error("tls.{key}: {source}")]
    Secret {
        /// Which key of the table.
        key: &'static str,
        /// What is wrong.
        source: crate::venue::secret::SecretError,
    },
    /// One of certificate and key without the other.
    #[error("tls: client_cert and client_key go together; one of them is missing")]
    Half,
    /// Not a host name.
    #[error("tls.server_name {0:?} is neither a host name nor an address")]
    ServerName(String),
    /// rustls does not take them.
    #[error("tls.{key} {}: {why}; is it the key of this certificate?", path.display())]
    Mismatch {
        /// Which key of the table.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What rustls says.
        why: String,
    },
}

/// Why the last connection could not be made or was lost, told by the stage's thread and read by the
/// one that talks to people. Written only when something is wrong.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    last: Option<String>,
    is_new: bool,
}

impl Trouble {
    /// Tells it. The same thing told again is not new.
    pub fn tell(&self, text: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.as_deref() != Some(text) {
            *told = Told { last: Some(text.into()), is_new: true };
        }
    }

    /// All is well: what is told next is new.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Told::default();
    }

    /// The last trouble, whether it was read or not.
    pub fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// The last trouble where nobody has taken it yet.
    pub fn take_new(&self) -> Option<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut told.is_new) { told.last.clone() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_new_only_once() {
        let trouble = Trouble::default();
        assert_eq!(trouble.take_new(), None);
        trouble.tell("refused");
        trouble.tell("refused");
        assert_eq!(trouble.take_new().as_deref(), Some("refused"));
        trouble.tell("refused");
        assert_eq!(trouble.take_new(), None);
        assert_eq!(trouble.last().as_deref(), Some("refused"));
        trouble.forget();
        trouble.tell("refused");
        assert_eq!(trouble.take_new().as_deref(), Some("refused"));
    }
}
