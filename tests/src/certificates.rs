//! Certificates signed by a certificate authority of the test.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::service::Kind;

/// The name for which the clients of the tests expect a certificate. It is the server's address, which no resolver can
/// map to another host.
pub const NAME: &str = "127.0.0.1";

/// A server's certificate chain and key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate chain.
    pub chain: String,
    /// The private key.
    pub key: String,
}

impl Identity {
    /// Writes the chain and the key into this folder and replaces earlier files. Returns the two paths.
    ///
    /// # Panics
    ///
    /// Panics if a file cannot be written.
    #[must_use]
    pub fn write_to(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file");
            // PostgreSQL refuses a key that other users can read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file that belongs to this user");
            path
        };
        (write("server.crt", &self.chain), write("server.key", &self.key))
    }
}

impl From<Identity> for Kind {
    fn from(identity: Identity) -> Self {
        Self::Tls { chain: identity.chain, key: identity.key }
    }
}

/// A fault of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No fault.
    None,
    /// The certificate has expired.
    Expired,
    /// The certificate is for another name than [`NAME`].
    OtherName,
    /// The certificate is signed by an authority that the client does not know.
    OtherAuthority,
    /// The certificate is signed by an unknown authority that has the same name as the known one.
    Impostor,
}

/// A certificate authority of a test.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Creates an authority.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn new() -> Self {
        Self::named("the test's authority")
    }

    /// Creates an authority with this name.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, params: params.clone(), issuer: Issuer::new(params, key) }
    }

    /// Returns the authority's own certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns a certificate with this authority's name and key, signed by another authority and valid for this many
    /// days from now, as PEM.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn crossed(&self, by: &Self, to_days: i64) -> String {
        let mut params = self.params.clone();
        params.not_after = OffsetDateTime::now_utc() + Duration::days(to_days) + Duration::minutes(1);
        params.signed_by(self.issuer.key(), &by.issuer).expect("a certificate").pem()
    }

    /// Returns a root store that trusts this authority.
    ///
    /// # Panics
    ///
    /// Panics if the authority's certificate is not accepted as a root.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a root");
        roots
    }

    /// Returns a server's certificate and key for a name, valid between two numbers of days from now, in the form that
    /// the program `serve` takes.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn sign(&self, name: &str, from_days: i64, to_days: i64) -> Kind {
        self.identity(name, from_days, to_days).into()
    }

    /// Returns a server's certificate and key with this fault.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn flawed(&self, flaw: Flaw) -> Identity {
        match flaw {
            Flaw::None => self.identity(NAME, -1, 90),
            Flaw::Expired => self.identity(NAME, -100, -10),
            Flaw::OtherName => self.identity("elsewhere.example", -1, 90),
            Flaw::OtherAuthority => Self::named("another authority").identity(NAME, -1, 90),
            // `new` gives every authority the same name.
            Flaw::Impostor => Self::new().identity(NAME, -1, 90),
        }
    }

    /// Returns a server's certificate and key for a name, valid between two numbers of days from now.
    ///
    /// # Panics
    ///
    /// Panics if the certificate cannot be created.
    #[must_use]
    pub fn identity(&self, name: &str, from_days: i64, to_days: i64) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(from_days);
        // One minute more, so that the number of days left stays the same while the test runs.
        params.not_after = now + Duration::days(to_days) + Duration::minutes(1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Returns an application's TLS configuration that trusts these roots.
///
/// # Panics
///
/// Panics if the configuration is refused.
#[must_use]
pub fn config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns an application's HTTP client that trusts these roots.
///
/// # Panics
///
/// Panics if the client cannot be created.
#[must_use]
pub fn client(roots: RootCertStore) -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(config(roots)).build().expect("a client")
}

/// Returns a client that speaks HTTP/2 without TLS.
///
/// # Panics
///
/// Panics if the client cannot be created.
#[must_use]
pub fn http2_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(config(RootCertStore::empty()));
    builder.http2_prior_knowledge().build().expect("a client")
}
