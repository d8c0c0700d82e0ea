//! The `Http` check beyond the table of faults.

use std::io::Write as _;

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::get,
};
use health_core::{CheckExt as _, Http, Impact, Reason, Registration, Status, Upstream};
use health_tests::{
    certificates::{self, Authority},
    daemon::Server as _,
    process,
    service::Server,
    support::{checked, client, invalid, millis, observed, rerun, shown, verdict},
    wait::HANG,
};
use reqwest::{Client, redirect::Policy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::rustls::RootCertStore;

/// Serves an application on loopback until the test ends. Returns its base URL.
pub(crate) async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn service() -> String {
    let echo = |headers: HeaderMap| async move {
        let token = headers.get("x-token").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        ([("x-mode", "ready")], token)
    };
    let slow = || async {
        tokio::time::sleep(millis(60)).await;
        "late"
    };
    let app = Router::new()
        .route("/echo", get(echo))
        .route("/gone", get(|| async { (StatusCode::GONE, "ready") }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/closed", get(|| async { StatusCode::FORBIDDEN }))
        .route("/slow", get(slow))
        .route("/large", get(|| async { "x".repeat(3 << 20) }))
        .route("/elsewhere", get(|| async { Redirect::temporary("/echo") }));
    serve(app).await
}

async fn says(check: impl Into<Registration>) -> (Status, Option<Reason>) {
    verdict(&shown(&checked(check).await))
}

const HEALTHY: (Status, Option<Reason>) = (Status::Healthy, None);
const FAILED: (Status, Option<Reason>) = (Status::Unhealthy, Some(Reason::Failed));

#[tokio::test]
async fn the_code_the_headers_and_the_body_decide_the_verdict() {
    let base = service().await;
    let to = |path: &str| Http::get(client(), format!("{base}{path}"));
    assert_eq!(says(to("/echo")).await, HEALTHY);
    assert_eq!(says(Http::head(client(), format!("{base}/echo"))).await, HEALTHY);
    assert_eq!(says(to("/gone")).await, FAILED);
    assert_eq!(says(to("/gone").accept_codes(200..=299).accept_codes(410..=410).body_contains("ready")).await, HEALTHY);
    assert_eq!(says(to("/busy")).await, FAILED);
    assert_eq!(says(to("/closed")).await, (Status::Unhealthy, Some(Reason::Rejected)));
    assert_eq!(says(to("/echo").header("x-token", "abc").body_contains("abc")).await, HEALTHY);
    assert_eq!(says(to("/echo").body_contains("abc")).await, FAILED);
    assert_eq!(says(to("/echo").expect_header("x-mode", "ready")).await, HEALTHY);
    assert_eq!(says(to("/echo").expect_header("x-mode", "steady")).await, FAILED);
    assert_eq!(says(to("/large")).await, HEALTHY, "the check reads only the beginning of the body");
    assert_eq!(says(to("/large").body_contains("y")).await, FAILED);
    assert_eq!(says(to("/slow").slow_above(millis(20))).await, (Status::Degraded, Some(Reason::Slow)), "60 ms late");
    assert_eq!(observed(&shown(&checked(to("/gone")).await), "code"), 410.0);
}

#[tokio::test]
async fn a_redirect_fails_unless_follow_redirects_is_set() {
    let base = service().await;
    let tls = certificates::config(RootCertStore::empty());
    let unwilling = Client::builder().redirect(Policy::none()).tls_backend_preconfigured(tls).build().unwrap();
    let url = || format!("{base}/elsewhere");
    assert_eq!(says(Http::get(unwilling, url())).await, FAILED, "the client does not follow the 307");
    assert_eq!(
        says(Http::get(client(), url())).await,
        FAILED,
        "the client follows the redirect, which the check does not accept"
    );
    assert_eq!(says(Http::get(client(), url()).follow_redirects()).await, HEALTHY);
}

#[tokio::test]
async fn a_url_with_credentials_and_a_fragment_is_no_redirect() {
    let base = service().await.replace("http://", "http://user:hunter2@");
    assert_eq!(says(Http::get(client(), format!("{base}/echo#part"))).await, HEALTHY);
}

/// The answer comes as fast as the machine can send. The check never holds more of it than its limit.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_off_and_not_kept_in_memory() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        for client in listener.incoming().flatten() {
            let mut client: std::net::TcpStream = client;
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{");
            while client.write_all(&piece).is_ok() {}
        }
    });
    let url = || format!("http://{address}/");
    let http = checked(Http::get(client(), url()).body_contains("ready")).await;
    let upstream = checked(Upstream::new(client(), url())).await;
    let before = process::usage().resident;
    for _ in 0..20 {
        for health in [&http, &upstream] {
            let report = rerun(health).await;
            assert_eq!(verdict(&report), FAILED, "{report:?}");
            let grown = process::usage().resident.saturating_sub(before);
            assert!(grown < 32 << 20, "{grown} bytes");
        }
    }
}

#[tokio::test]
async fn the_check_is_optional_and_shows_no_secret() {
    let check =
        Http::get(client(), "http://user:hunter2@127.0.0.1:1/?token=hunter2").header("authorization", "hunter2");
    let debug = format!("{check:?}");
    let report = shown(&checked(check).await);
    assert_eq!((report.impact(), report.reason()), (Impact::Optional, Some(Reason::Unreachable)));
    for text in [debug, format!("{report:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn bad_input_is_refused_and_its_secrets_are_not_shown() {
    for url in ["", "nowhere", "ftp://x/", "http://"] {
        assert!(invalid(Http::get(client(), url)).contains("the URL is not usable"), "{url}");
    }
    assert!(!invalid(Http::get(client(), "http//u:hunter2@x")).contains("hunter2"));
    let to = || Http::get(client(), "http://x/");
    assert!(invalid(to().header("a b", "c")).contains("cannot be sent"));
    assert!(invalid(to().expect_header("a b", "c")).contains("not the name of a header"));
    assert!(invalid(to().accept_codes(20..=30)).contains("100 to 599"));
    assert!(invalid(Http::head(client(), "http://x/").body_contains("x")).contains("use Http::get"));
    assert!(invalid(Http::get(client(), "http://x/").body_contains("")).contains("matches every body"));
}

/// The verdict of the application's client on the certificate is the verdict of the check.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_client_does_not_accept_is_rejected() {
    let authority = Authority::new();
    for (name, from, to, roots, expected) in [
        ("localhost", -1, 90, authority.roots(), HEALTHY),
        ("localhost", -1, 90, Authority::new().roots(), (Status::Unhealthy, Some(Reason::Rejected))),
        ("localhost", -90, -1, authority.roots(), (Status::Unhealthy, Some(Reason::Rejected))),
        ("elsewhere.example", -1, 90, authority.roots(), (Status::Unhealthy, Some(Reason::Rejected))),
    ] {
        let server = Server::start(authority.sign(name, from, to));
        let check = Http::get(certificates::client(roots), format!("https://localhost:{}/", server.port()));
        assert_eq!(says(check.body_contains("ready")).await, expected, "{name} {from} {to}");
    }
    // TLS to a port that does not speak it.
    let base = service().await.replace("http://", "https://");
    assert_eq!(says(Http::get(client(), base)).await, (Status::Unhealthy, Some(Reason::Rejected)));
}

/// Starts a service that closes a kept connection when the second request on it arrives.
async fn impatient() -> std::net::SocketAddr {
    async fn request(socket: &mut TcpStream) -> bool {
        let (mut seen, mut bytes) = (Vec::new(), [0; 2048]);
        while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
            match socket.read(&mut bytes).await {
                Ok(count) if count > 0 => seen.extend_from_slice(&bytes[..count]),
                _ => return false,
            }
        }
        true
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                if request(&mut socket).await {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n";
                    let _ = socket.write_all(format!("{answer}{{\"status\":\"healthy\"}}").as_bytes()).await;
                    request(&mut socket).await;
                }
            });
        }
    });
    address
}

/// The service's idle timeout expires at the moment at which the next request is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_that_closes_during_the_request_is_no_outage() {
    let url = format!("http://{}/", impatient().await);
    // The checks share one client, so that two connections are kept and end one after the other.
    let client = client();
    let checks: [Registration; 3] = [
        Http::get(client.clone(), url.as_str()).into(),
        Http::head(client.clone(), url.as_str()).into(),
        Upstream::new(client, url.as_str()).into(),
    ];
    for check in checks {
        let health = checked(check.every(HANG).recheck(HANG)).await;
        for run in 0..4 {
            let report = rerun(&health).await;
            assert_eq!(verdict(&report), HEALTHY, "run {run}: {report:?}");
        }
    }
}
