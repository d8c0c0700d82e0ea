//! Certificates of a test's own authority.

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

/// The name that the clients of the tests ask for: a server's address, which no resolver can give another meaning.
pub const NAME: &str = "127.0.0.1";

/// What a server presents, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain.
    pub chain: String,
    /// The key.
    pub key: String,
}

impl Identity {
    /// Writes the chain and the key into this folder, over those from before. Returns where they are.
    ///
    /// # Panics
    ///
    /// They cannot be written.
    #[must_use]
    pub fn write_to(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file");
            // PostgreSQL takes no key that others can read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our file");
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

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It has expired.
    Expired,
    /// It is for another name than [`NAME`].
    OtherName,
    /// It is of an authority that the client does not know.
    OtherAuthority,
    /// It is of an authority that only has the name of the one that the client knows.
    Impostor,
}

/// An authority that signs what the test wants.
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
    /// A new one.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        Self::named("the test's authority")
    }

    /// A new one of this name.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, params: params.clone(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its name and key once more, signed by another authority, until so many days from now: as PEM.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn crossed(&self, by: &Self, to_days: i64) -> String {
        let mut params = self.params.clone();
        params.not_after = OffsetDateTime::now_utc() + Duration::days(to_days) + Duration::minutes(1);
        params.signed_by(self.issuer.key(), &by.issuer).expect("a certificate").pem()
    }

    /// The roots that trust it.
    ///
    /// # Panics
    ///
    /// Its certificate is none.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a root");
        roots
    }

    /// A server's certificate for a name, from so many days from now until so many, as the program `serve` takes it.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn sign(&self, name: &str, from_days: i64, to_days: i64) -> Kind {
        self.identity(name, from_days, to_days).into()
    }

    /// A server's certificate and key with this flaw.
    ///
    /// # Panics
    ///
    /// They cannot be made.
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

    /// A server's certificate and key for a name, from so many days from now until so many.
    ///
    /// # Panics
    ///
    /// They cannot be made.
    #[must_use]
    pub fn identity(&self, name: &str, from_days: i64, to_days: i64) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(from_days);
        // A minute more, so that the days left are these while the test runs.
        params.not_after = now + Duration::days(to_days) + Duration::minutes(1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// An application's settings of TLS that trust these roots.
///
/// # Panics
///
/// They cannot be made.
#[must_use]
pub fn config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// An application's client of HTTP that trusts these roots.
///
/// # Panics
///
/// It cannot be made.
#[must_use]
pub fn client(roots: RootCertStore) -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(config(roots)).build().expect("a client")
}

/// A client that speaks HTTP/2 without TLS.
///
/// # Panics
///
/// It cannot be made.
#[must_use]
pub fn http2_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(config(RootCertStore::empty()));
    builder.http2_prior_knowledge().build().expect("a client")
}
