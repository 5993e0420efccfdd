//! A certificate authority for tests: everything that can be right or wrong with a certificate.
#![allow(dead_code, reason = "each test file uses its part")]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of PEM files that goes away with it.
pub struct Folder(PathBuf);

/// A certificate with its key, as files.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ballast-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn pair(&self, name: &str, certificate: &str, key: &KeyPair) -> Pair {
        Pair {
            certificate: self.write(&format!("{name}.pem"), certificate),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    pub fn new(folder: &Folder, name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let file = folder.write(&format!("{name}.pem"), &issuer.pem());
        Authority { issuer, file }
    }

    /// A server's certificate for `host`.
    pub fn server(&self, folder: &Folder, host: &str) -> Pair {
        self.sign(folder, host, leaf(host, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// A server's certificate for `host` that expired in 2021.
    pub fn expired(&self, folder: &Folder, host: &str) -> Pair {
        let mut params = leaf(host, ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(folder, "expired", params)
    }

    /// A client's certificate.
    pub fn client(&self, folder: &Folder, name: &str) -> Pair {
        self.sign(folder, name, leaf(name, ExtendedKeyUsagePurpose::ClientAuth))
    }

    fn sign(&self, folder: &Folder, name: &str, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        folder.pair(name, &certificate.pem(), &key)
    }
}

/// A server's certificate that nobody signed but itself.
pub fn self_signed(folder: &Folder, host: &str) -> Pair {
    let params = leaf(host, ExtendedKeyUsagePurpose::ServerAuth);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    folder.pair("self-signed", &certificate.pem(), &key)
}

fn leaf(host: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, host);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![purpose];
    params
}
