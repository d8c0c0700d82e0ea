//! A TLS certificate. Green proves that the endpoint presents a chain that ends in a trusted root and covers its name,
//! or that the certificates of a file are within their validity period, and that enough days are left. It proves
//! nothing about revocation.

mod pem;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::CryptoProvider,
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{
    connect::{check_address, connect},
    limits::{check_settings, limit_methods},
    open_files::OpenFiles,
    resolve::Resolver,
};
use crate::{
    check::{
        Check, CheckResult,
        blocking::BlockingThread,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::{
        observed::{Limits, Number},
        status::{Membership, Reason},
    },
};

/// The default interval. Certificates last for weeks, and a handshake every few seconds would only load the endpoint.
const INTERVAL: Duration = Duration::from_secs(3600);
const DAY: f64 = 86_400.0;

/// Checks the certificate chain of a TLS endpoint or of a PEM file.
///
/// Green proves that the endpoint presents a chain that ends in a trusted root and covers its name, or that the
/// certificates of a file are within their validity period, and that enough days are left. It proves nothing about
/// revocation.
///
/// The limits apply to the days left until rustls would reject the chain. A certificate that the chain does not need,
/// such as a copy of a root for old clients, does not count. A chain that rustls rejects (expired, not yet valid,
/// wrong name, unknown issuer) is Unhealthy with `rejected`.
///
/// - The check reads a file as OpenSSL does. A section that cannot be read is not skipped: it makes the check Unhealthy
///   with `failed`. Without roots every certificate of the file counts, because the check cannot determine which of
///   them clients need.
/// - TLS uses rustls with the application's own cryptography provider: the one given to
///   [`crypto_provider`](Self::crypto_provider), else the default of the process. If a chain must be verified and
///   neither exists, the start fails with a build error.
/// - Default limits: Degraded below 14 days, Unhealthy below 3 days. Default interval: 1 h.
/// - Least privilege: a network path to the endpoint, or read access to the file. Each run opens a connection of its
///   own, because only a handshake shows the chain, and closes it after the handshake.
/// - By default the check counts for the full report only.
/// - Observed values: `days_left` (in `days`). Details: `not_after`, `subject`.
///
/// ```no_run
/// use std::sync::Arc;
/// use health_core::{Certificate, Health};
/// use tokio_rustls::rustls::RootCertStore;
/// # fn roots() -> RootCertStore { RootCertStore::empty() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// // The application's own roots, for instance from rustls-native-certs, webpki-roots or a file.
/// let roots = Arc::new(roots());
/// let health = Health::builder()
///     .check("shop_certificate", Certificate::endpoint("shop.example:443", roots))
///     .check("own_certificate", Certificate::pem_file("/etc/tls/tls.crt").warn_below(21))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Certificate {
    source: Source,
    roots: Option<Arc<RootCertStore>>,
    server_name: Option<String>,
    provider: Option<Arc<CryptoProvider>>,
    limits: Limits,
    resolver: Resolver,
    /// Keeps the file of a chain open, so that it can be read when no further file descriptor is free.
    files: OpenFiles,
    thread: BlockingThread,
}

/// The verifier of chains, and its cryptography provider.
type Verifier = (Arc<WebPkiServerVerifier>, Arc<CryptoProvider>);

enum Source {
    Endpoint(String),
    PemFile(PathBuf),
}

impl Certificate {
    /// Creates a check of the chain that `host:port` presents, verified against these roots. The name that is
    /// requested (SNI) and verified is the host, unless [`server_name`](Self::server_name) sets another one.
    pub fn endpoint(address: impl Into<String>, roots: impl Into<Arc<RootCertStore>>) -> Self {
        Self::new(Source::Endpoint(address.into()), Some(roots.into()))
    }

    /// Creates a check of the certificates in a PEM file. The first must be the server's own. Their validity periods
    /// are always judged. With both [`roots`](Self::roots) and [`server_name`](Self::server_name) the chain is also
    /// verified; setting only one of them is a build error.
    pub fn pem_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::PemFile(path.into()), None)
    }

    fn new(source: Source, roots: Option<Arc<RootCertStore>>) -> Self {
        Self {
            source,
            roots,
            server_name: None,
            provider: None,
            limits: Limits { warn_below: Some(14.into()), fail_below: Some(3.into()), ..Limits::default() },
            resolver: Resolver::default(),
            files: OpenFiles::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Sets the name that the certificate must cover, which is also requested from an endpoint (SNI). Default: the
    /// host of an endpoint, and none for a file.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets the trusted roots in which the chain of a file must end. Default: none, so that the chain is not verified.
    pub fn roots(mut self, roots: impl Into<Arc<RootCertStore>>) -> Self {
        self.roots = Some(roots.into());
        self
    }

    /// Sets the cryptography provider. Default: the default provider of the process.
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    limit_methods! {
        warn_above: "Sets the number of days left above which the check is Degraded. Default none.",
        fail_above: "Sets the number of days left above which the check is Unhealthy. Default none.",
        warn_below: "Sets the number of days left below which the check is Degraded. Default 14.",
        fail_below: "Sets the number of days left below which the check is Unhealthy. Default 3.",
    }

    /// Returns the name to verify; `None` for a file without a name.
    fn name(&self) -> Result<Option<ServerName<'static>>, String> {
        let name = match (&self.server_name, &self.source) {
            (Some(name), _) => name.as_str(),
            (None, Source::Endpoint(address)) => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                host.trim_start_matches('[').trim_end_matches(']')
            }
            (None, Source::PemFile(_)) => return Ok(None),
        };
        ServerName::try_from(name.to_owned())
            .map(Some)
            .map_err(|_| format!("{name:?} is not a name that a certificate can have: set one with .server_name(..)"))
    }

    /// Returns the verifier of chains; `None` for a file of which only the validity periods are judged.
    fn verifier(&self) -> Result<Option<Verifier>, String> {
        let Some(roots) = &self.roots else { return Ok(None) };
        if self.name()?.is_none() {
            return Ok(None);
        }
        let provider = self.provider.clone().or_else(|| CryptoProvider::get_default().cloned()).ok_or(
            "there is no cryptography provider: call .crypto_provider(..), or install the application's own as the \
             default of the process with CryptoProvider::install_default()",
        )?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| format!("the roots cannot be used: {error}"))?;
        Ok(Some((verifier, provider)))
    }

    /// Connects to an endpoint, and returns its chain and the verdict of rustls.
    async fn of_endpoint(&self, address: &str) -> Result<Seen, CheckError> {
        let (Some((inner, provider)), Some(name)) =
            (self.verifier().map_err(CheckError::new)?, self.name().map_err(CheckError::new)?)
        else {
            return Err(CheckError::new("the endpoint has no name to verify"));
        };
        let recorder = Arc::new(Recorder { inner, seen: Mutex::default() });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder))
            .with_no_client_auth();
        config.enable_sni = true;
        let addresses = self.resolver.resolve(address).await?;
        let stream = connect(&addresses).await?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let seen = recorder.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (shaken, seen) {
            // A refused chain is the result, whatever error the handshake ended with. An alert after an accepted chain
            // has another cause, such as a client certificate that the endpoint requires.
            (_, Some(seen)) if matches!(seen.verdict, Verdict::Refused(_)) => Ok(seen),
            (Ok(_), Some(seen)) => Ok(seen),
            (Err(error), Some(seen)) if is_alert(&error) => Ok(seen),
            (Err(error), _) => Err(explain(error)),
            (Ok(_), None) => Err(CheckError::new("the endpoint presented no certificate").reason(Reason::Rejected)),
        }
    }

    /// Reads a file, and returns its chain and, with roots and a name, the verdict of rustls.
    async fn of_file(&self, path: &std::path::Path) -> Result<Seen, CheckError> {
        let (files, path) = (self.files.clone(), path.to_owned());
        let text = self.thread.run(move || files.reading().bytes(&path)).await??;
        let chain = pem::certificates(&text).map_err(CheckError::new)?;
        let (Some((verifier, _)), Some(name)) =
            (self.verifier().map_err(CheckError::new)?, self.name().map_err(CheckError::new)?)
        else {
            return Ok(Seen { chain, verdict: Verdict::None });
        };
        let verdict = match chain.split_first() {
            Some((first, rest)) => {
                let verify = |at| verifier.verify_server_cert(first, rest, &name, &[], at).map(drop);
                Verdict::of(&chain, UnixTime::now(), verify)
            }
            None => Verdict::None,
        };
        Ok(Seen { chain, verdict })
    }

    fn judge(&self, seen: &Seen) -> CheckResult {
        if seen.chain.is_empty() {
            return Ok(Outcome::unhealthy("the file contains no certificate").reason(Reason::Rejected));
        }
        let mut parsed = Vec::new();
        for certificate in &seen.chain {
            let (_, certificate) = X509Certificate::from_der(certificate)
                .map_err(|error| CheckError::new(format!("a certificate cannot be parsed: {error}")))?;
            parsed.push(certificate);
        }
        let now = seconds_since_1970(SystemTime::now());
        let times: Vec<(i64, i64)> = parsed.iter().map(validity).collect();
        let ends = match seen.verdict {
            Verdict::Until(ends) => ends,
            Verdict::None | Verdict::Refused(_) => times.iter().map(|(_, ends)| *ends).min().unwrap_or(now),
        };
        let begins = match seen.verdict {
            Verdict::Until(_) => now,
            Verdict::None | Verdict::Refused(_) => times.iter().map(|(begins, _)| *begins).max().unwrap_or(now),
        };
        let left = Number::from(days(ends - now));
        let refused = |message: String| Outcome::unhealthy(message).reason(Reason::Rejected);
        let outcome = if let Verdict::Refused(message) = &seen.verdict {
            refused(message.clone())
        } else if ends <= now {
            refused("the certificate has expired".to_owned())
        } else if begins > now {
            refused(format!("the certificate is not valid for another {} days", days(begins - now)))
        } else {
            self.limits.judge(left, "days are left, which")
        };
        let subject: String = parsed[0].subject().to_string().chars().take(256).collect();
        Ok(outcome
            .observe_within("days_left", left, "days", self.limits)
            .detail("not_after", rfc3339(ends))
            .detail("subject", subject))
    }
}

/// A chain, and the verdict of rustls.
#[derive(Debug)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    verdict: Verdict,
}

/// The verdict of rustls on a chain.
#[derive(Debug)]
enum Verdict {
    /// The chain was not verified.
    None,
    /// Accepted until this time, in seconds since 1970.
    Until(i64),
    /// Refused, with the message of rustls.
    Refused(String),
}

impl Verdict {
    /// Verifies a chain now. If it is accepted, finds the time after which it would be refused, which is the end of one
    /// of its certificates.
    fn of(
        chain: &[CertificateDer<'static>],
        now: UnixTime,
        verify: impl Fn(UnixTime) -> Result<(), rustls::Error>,
    ) -> Self {
        if let Err(error) = verify(now) {
            return Self::Refused(error.to_string());
        }
        let parsed = chain.iter().filter_map(|certificate| X509Certificate::from_der(certificate).ok());
        let mut ends: Vec<i64> = parsed.map(|(_, certificate)| validity(&certificate).1).collect();
        ends.sort_unstable();
        let seconds = |end: i64| Duration::from_secs(u64::try_from(end).unwrap_or(0));
        let is_the_end = |end: &i64| {
            let after = seconds(*end) + Duration::from_secs(1);
            after > Duration::from_secs(now.as_secs()) && verify(UnixTime::since_unix_epoch(after)).is_err()
        };
        let last = ends.last().copied().unwrap_or(0);
        Self::Until(ends.into_iter().find(is_the_end).unwrap_or(last))
    }
}

/// Returns the first and the last second in which a certificate is valid, in seconds since 1970.
fn validity(certificate: &X509Certificate<'_>) -> (i64, i64) {
    let validity = certificate.validity();
    (validity.not_before.timestamp(), validity.not_after.timestamp())
}

/// Verifies as rustls does, and records the chain, so that the days left of a refused chain can be reported, too.
#[derive(Debug)]
struct Recorder {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Seen>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain: Vec<_> =
            std::iter::once(end_entity).chain(intermediates).map(|it| it.clone().into_owned()).collect();
        let verify = |at| self.inner.verify_server_cert(end_entity, intermediates, server_name, &[], at).map(drop);
        let verdict = Verdict::of(&chain, now, verify);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { chain, verdict });
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_alert(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::AlertReceived(_)))
}

/// Converts the error of a failed handshake. An error of TLS is `rejected`. Any other error keeps its own reason.
fn explain(error: std::io::Error) -> CheckError {
    let said_no = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
    let error = CheckError::from(error);
    if said_no { error.reason(Reason::Rejected) } else { error }
}

fn seconds_since_1970(at: SystemTime) -> i64 {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "days need no more than a float's precision")]
fn days(seconds: i64) -> f64 {
    (seconds as f64 / DAY * 10.0).floor() / 10.0
}

fn rfc3339(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    crate::time::rfc3339(SystemTime::UNIX_EPOCH + since).to_string()
}

#[async_trait]
impl Check for Certificate {
    async fn check(&self) -> CheckResult {
        let seen = match &self.source {
            Source::Endpoint(address) => self.of_endpoint(address).await?,
            Source::PemFile(path) => self.of_file(path).await?,
        };
        self.judge(&seen)
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        if self.roots.is_some() {
            "The chain ends in a trusted root, covers the name and has days left. It does not prove that none of its \
             certificates has been revoked."
        } else {
            "The file's certificates are within their validity period and have days left. It does not prove that none \
             of them has been revoked."
        }
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        match &self.source {
            Source::Endpoint(address) => check_address(address)?,
            Source::PemFile(_) if self.roots.is_some() != self.server_name.is_some() => {
                return Err(("a file's chain is verified with both .roots(..) and .server_name(..): set both or none"
                    .to_owned())
                .into());
            }
            Source::PemFile(_) => {}
        }
        self.verifier()?;
        Ok(self.limits.validate()?)
    }

    check_settings! {
        limits in limits;
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Endpoint(address) => address.clone(),
            Source::PemFile(path) => path.display().to_string(),
        };
        f.debug_struct("Certificate").field("source", &source).finish_non_exhaustive()
    }
}
