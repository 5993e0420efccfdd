//! What a TLS end is made of: CA, certificate and key files, read once at start.
//!
//! Fed by the config's `tls = { … }`; feeds `tls.rs` with a client or a server that makes
//! connections. Cold. The provider is `ring`, which the product has anyway: no C library is built
//! for it. Without a CA file the roots are Mozilla's as compiled in (`webpki-roots`), not the host's
//! store: the same binary then trusts the same roots on every host, whoever administers it; and a
//! host's store can be named as the CA file where that is wanted. TLS 1.2 and 1.3, no older.
//! Deliberately absent: session resumption (each connection proves itself anew), early data, revocation
//! lists.

use super::Transport;
use super::tls::TlsTransport;
use super::tls_fault::{TlsFileError, Trouble};
use crate::venue::secret::Secret;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::path::Path;
use std::sync::Arc;

/// The files of a client's end.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientFiles<'a> {
    /// Certificates that are trusted instead of the compiled-in roots, as PEM.
    pub ca: Option<&'a Path>,
    /// Our certificate with its chain, as PEM, where the counterparty demands one.
    pub certificate: Option<&'a Path>,
    /// Its private key, as PEM, readable by its owner alone.
    pub key: Option<&'a Path>,
}

/// Makes clients' ends.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    has_certificate: bool,
}

/// Makes servers' ends.
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let wrong = |why: String| TlsFileError::Unreadable { key, path: path.into(), why };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong("holds no PEM CERTIFICATE".into())),
        Err(error) => Err(wrong(format!("is not PEM: {error:?}"))),
    }
}

fn private_key(key: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let secret = Secret::from_file(path).map_err(|source| TlsFileError::Secret { key, source })?;
    // What is wrong with it is not said in the parser's words: they could hold parts of it.
    PrivateKeyDer::from_pem_slice(secret.expose()).map_err(|_| TlsFileError::Unreadable {
        key,
        path: path.into(),
        why: "holds no PEM PRIVATE KEY".into(),
    })
}

fn roots(key: &'static str, path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|error| TlsFileError::Unreadable {
            key,
            path: path.into(),
            why: error.to_string(),
        })?;
    }
    Ok(roots)
}

impl TlsClient {
    /// A client that wants to talk to `server_name`, which also goes out as SNI.
    ///
    /// # Errors
    /// A file cannot be used, or the name is none.
    pub fn new(server_name: &str, files: ClientFiles<'_>) -> Result<TlsClient, TlsFileError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsFileError::ServerName(server_name.into()))?;
        let roots = match files.ca {
            Some(path) => roots("ca", path)?,
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFileError::ServerName(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match (files.certificate, files.key) {
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(
                    certificates("client_cert", certificate)?,
                    private_key("client_key", key)?,
                )
                .map_err(|error| TlsFileError::Mismatch {
                    key: "client_key",
                    path: key.into(),
                    why: error.to_string(),
                })?,
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) | (None, Some(_)) => return Err(TlsFileError::Half),
        };
        config.resumption = Resumption::disabled();
        let has_certificate = files.certificate.is_some();
        Ok(TlsClient { config: Arc::new(config), server_name: name, has_certificate })
    }

    /// The same for another host of the same counterparty.
    ///
    /// # Errors
    /// The name is none.
    pub fn named(&self, server_name: &str) -> Result<TlsClient, TlsFileError> {
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsFileError::ServerName(server_name.into()))?;
        Ok(TlsClient { server_name, ..self.clone() })
    }

    /// Whom it wants to talk to.
    pub fn server_name(&self) -> String {
        self.server_name.to_str().into_owned()
    }

    /// Begins on a connection that is there; troubles are told to `trouble`.
    pub fn begin<T: Transport>(&self, link: T, trouble: Trouble) -> Option<TlsTransport<T>> {
        let tls = ClientConnection::new(self.config.clone(), self.server_name.clone());
        match tls {
            Ok(tls) => Some(TlsTransport::new(link, tls.into(), self.has_certificate, trouble)),
            Err(error) => {
                trouble.tell(&error.to_string());
                None
            }
        }
    }
}

impl TlsServer {
    /// A server with this certificate. Where `client_ca` is named, clients must show a certificate
    /// that it signed.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn new(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<TlsServer, TlsFileError> {
        let mismatch = |key_name, path: &Path, why: String| TlsFileError::Mismatch {
            key: key_name,
            path: path.into(),
            why,
        };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| mismatch("cert", certificate, error.to_string()))?;
        let builder = match client_ca {
            Some(path) => {
                let roots = Arc::new(roots("client_ca", path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| mismatch("client_ca", path, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates("cert", certificate)?, private_key("key", key)?)
            .map_err(|error| mismatch("key", key, error.to_string()))?;
        // No tickets: each connection proves itself anew.
        config.send_tls13_tickets = 0;
        Ok(TlsServer { config: Arc::new(config) })
    }

    /// Begins on a connection that was accepted; troubles are told to `trouble`.
    pub fn begin<T: Transport>(&self, link: T, trouble: Trouble) -> Option<TlsTransport<T>> {
        match ServerConnection::new(self.config.clone()) {
            Ok(tls) => Some(TlsTransport::new(link, tls.into(), true, trouble)),
            Err(error) => {
                trouble.tell(&error.to_string());
                None
            }
        }
    }
}
