//! The `Certificate` check against a TLS server with certificates of the test's own authority, and against files.

use std::sync::Arc;

use health_core::{Certificate, Reason, Status};
use health_tests::{
    certificates::Authority,
    daemon::Server as _,
    service::{Kind, Server},
    support::{checked, invalid, observed, secs, shown, verdict},
};
use tokio_rustls::rustls::{RootCertStore, crypto::ring};

const HEALTHY: (Status, Option<Reason>) = (Status::Healthy, None);
const REJECTED: (Status, Option<Reason>) = (Status::Unhealthy, Some(Reason::Rejected));

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_judged_by_its_chain_its_name_and_the_days_left() {
    let authority = Authority::new();
    let roots = Arc::new(authority.roots());
    for (name, from, to, expected, words) in [
        ("localhost", -1, 90, HEALTHY, ""),
        ("localhost", -100, -10, REJECTED, "expired"),
        ("localhost", 10, 90, REJECTED, "not valid"),
        ("elsewhere.example", -1, 90, REJECTED, "name"),
        ("localhost", -80, 10, (Status::Degraded, Some(Reason::Threshold)), "10 days are left"),
        ("localhost", -80, 2, (Status::Unhealthy, Some(Reason::Threshold)), "2 days are left"),
    ] {
        let server = Server::start(authority.sign(name, from, to));
        let address = format!("localhost:{}", server.port());
        let check = Certificate::endpoint(address, Arc::clone(&roots)).crypto_provider(ring::default_provider());
        let report = shown(&checked(check).await);
        assert_eq!(verdict(&report), expected, "{name} {from} {to}: {report:?}");
        assert!(report.message().unwrap_or_default().contains(words), "{report:?}");
        // The days left are observed also if the chain is refused.
        assert!((observed(&report, "days_left") - to as f64).abs() <= 0.1, "{report:?}");
        assert_eq!(report.interval(), secs(3_600), "the check's own interval");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_name_overrides_the_name_and_an_unknown_authority_is_rejected() {
    let authority = Authority::new();
    let server = Server::start(authority.sign("shop.example", -1, 90));
    let to = |roots: RootCertStore| {
        Certificate::endpoint(format!("127.0.0.1:{}", server.port()), roots)
            .server_name("shop.example")
            .crypto_provider(ring::default_provider())
    };
    assert_eq!(verdict(&shown(&checked(to(authority.roots())).await)), HEALTHY);
    assert_eq!(verdict(&shown(&checked(to(Authority::new().roots())).await)), REJECTED);
}

#[tokio::test]
async fn a_file_is_judged_by_its_dates_and_with_roots_and_name_also_by_its_chain() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tls.crt");
    let write = |days: i64| {
        let Kind::Tls { chain, .. } = authority.sign("shop.example", -30, days) else { unreachable!() };
        std::fs::write(&path, chain).unwrap();
    };
    write(60);
    assert_eq!(verdict(&shown(&checked(Certificate::pem_file(&path)).await)), HEALTHY);
    let whole = |roots: RootCertStore| {
        let check = Certificate::pem_file(&path).roots(roots).server_name("shop.example");
        check.crypto_provider(ring::default_provider())
    };
    assert_eq!(verdict(&shown(&checked(whole(authority.roots())).await)), HEALTHY);
    assert_eq!(verdict(&shown(&checked(whole(Authority::new().roots())).await)), REJECTED);
    write(-1);
    let report = shown(&checked(Certificate::pem_file(&path)).await);
    assert_eq!((verdict(&report), report.message()), (REJECTED, Some("the certificate has expired")));
    std::fs::write(&path, "nothing").unwrap();
    assert_eq!(verdict(&shown(&checked(Certificate::pem_file(&path)).await)), REJECTED);
    let missing = shown(&checked(Certificate::pem_file(directory.path().join("no"))).await);
    assert_eq!(missing.status(), Status::Unhealthy);
}

/// The days left are those of the chain that clients verify, not of a cross-signed copy of the root for old clients.
#[tokio::test(flavor = "multi_thread")]
async fn a_superfluous_certificate_that_expires_soon_does_not_count() {
    let (old, new) = (Authority::named("Old Root"), Authority::named("New Root"));
    let Kind::Tls { chain: leaf, key } = new.sign("localhost", -1, 90) else { unreachable!() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tls.crt");
    for days in [2, -1] {
        let chain = format!("{leaf}{}", new.crossed(&old, days));
        std::fs::write(&path, &chain).unwrap();
        let server = Server::start(Kind::Tls { chain, key: key.clone() });
        let endpoint = Certificate::endpoint(format!("localhost:{}", server.port()), new.roots());
        let file = Certificate::pem_file(&path).roots(new.roots()).server_name("localhost");
        for check in [endpoint, file] {
            let report = shown(&checked(check.crypto_provider(ring::default_provider())).await);
            assert_eq!(verdict(&report), HEALTHY, "{days}: {report:?}");
            assert!((observed(&report, "days_left") - 90.0).abs() < 0.2, "{report:?}");
        }
        // The copy counts for clients that trust only the old root.
        let endpoint = Certificate::endpoint(format!("localhost:{}", server.port()), old.roots());
        let report = shown(&checked(endpoint.crypto_provider(ring::default_provider())).await);
        assert_eq!(report.status(), Status::Unhealthy, "{report:?}");
        assert!((observed(&report, "days_left") - days as f64).abs() < 0.2, "{report:?}");
    }
}

/// OpenSSL, and every server that uses it, reads all of these forms. The first certificate of each text is the server's
/// own, which has expired.
#[tokio::test]
async fn a_certificate_in_an_unusual_pem_form_is_not_skipped() {
    let authority = Authority::new();
    let Kind::Tls { chain: dead, .. } = authority.sign("localhost", -100, -5) else { unreachable!() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tls.crt");
    let (issuer, trimmed) = (authority.pem(), dead.trim_end());
    for text in [
        format!("{dead}{issuer}"),
        format!("{}{issuer}", dead.replace(" CERTIFICATE", " TRUSTED CERTIFICATE")),
        format!("{}{issuer}", dead.replace(" CERTIFICATE", " X509 CERTIFICATE")),
        format!("\u{feff}{dead}{issuer}"),
        format!("  {dead}{issuer}"),
        format!("{trimmed}{issuer}"),
        format!("{}{issuer}", dead.replace(" CERTIFICATE", " PKCS7")),
        format!("{}{issuer}", dead.replace("-----END CERTIFICATE-----", "")),
    ] {
        std::fs::write(&path, &text).unwrap();
        let report = shown(&checked(Certificate::pem_file(&path)).await);
        assert_eq!(report.status(), Status::Unhealthy, "{text}: {report:?}");
    }
}

#[test]
fn a_check_without_a_crypto_provider_or_a_usable_name_is_refused() {
    let roots = || Authority::new().roots();
    assert!(invalid(Certificate::endpoint("localhost:443", roots())).contains("no cryptography provider"));
    let with = |check: Certificate| check.crypto_provider(ring::default_provider());
    assert!(invalid(with(Certificate::endpoint("localhost", roots()))).contains("a host and a port"));
    assert!(invalid(with(Certificate::endpoint("a b:443", roots()))).contains("server_name"));
    assert!(
        invalid(with(Certificate::endpoint("localhost:443", RootCertStore::empty()))).contains("roots cannot be used")
    );
    assert!(invalid(Certificate::pem_file("/x").warn_below(3)).contains("less than"));
    assert!(invalid(Certificate::pem_file("/x").server_name("shop.example")).contains("set both or none"));
}

#[tokio::test]
async fn the_tls_handshake_sends_the_server_name() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let start = tokio_rustls::LazyConfigAcceptor::new(Default::default(), stream).await.unwrap();
        start.client_hello().server_name().map(str::to_owned)
    });
    let check = Certificate::endpoint(address.to_string(), Authority::new().roots()).server_name("shop.example");
    let report = shown(&checked(check.crypto_provider(ring::default_provider())).await);
    assert_eq!(asked.await.unwrap().as_deref(), Some("shop.example"));
    // The test server closed the connection in the middle of the handshake.
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Unreachable)));
}
