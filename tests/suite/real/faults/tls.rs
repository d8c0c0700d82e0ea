//! TLS with a private certificate authority, as RDS, Cloud SQL and ElastiCache use it: the verdict of each driver on a
//! server's certificate, on a server without TLS, and on a server that accepts only TLS.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use health_core::{Grpc, Http, Postgres, RabbitMq, Reason, Redis, Registration, Sqlx, Status};
use health_tests::{
    certificates::{self, Authority, Flaw, Identity, NAME},
    daemon::Server as _,
    postgres,
    process::Process,
    rabbitmq, redis, service,
    support::{checked, checked_within, secs, shown, verdict},
    wait::HANG,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint, ServerTlsConfig, server::TcpIncoming};

/// The status and the reason of a check.
type Verdict = (Status, Option<Reason>);

const HEALTHY: Verdict = (Status::Healthy, None);
const REJECTED: Verdict = (Status::Unhealthy, Some(Reason::Rejected));

/// The certificates, each with the verdict of every check and the words of its message.
const CERTIFICATES: [(Flaw, Verdict, &str); 5] = [
    (Flaw::None, HEALTHY, ""),
    (Flaw::Expired, REJECTED, "certificate expired"),
    (Flaw::OtherName, REJECTED, "certificate not valid for name"),
    (Flaw::OtherAuthority, REJECTED, "UnknownIssuer"),
    (Flaw::Impostor, REJECTED, "BadSignature"),
];

/// Makes the server present each certificate of the table and runs the check. `present` returns the server's port.
async fn under_every_certificate(
    authority: &Authority,
    mut present: impl AsyncFnMut(Identity) -> u16,
    check: impl Fn(u16) -> Registration,
) {
    for (flaw, expected, words) in CERTIFICATES {
        let port = present(authority.flawed(flaw)).await;
        let report = shown(&checked(check(port)).await);
        assert_eq!(verdict(&report), expected, "{flaw:?}: {report:?}");
        assert!(report.message().unwrap_or_default().contains(words), "{flaw:?}: {report:?}");
    }
}

/// Runs a check while only one of client and server uses TLS, and expects one of these reasons.
async fn disagrees(check: impl Into<Registration>, deadline: Duration, reasons: &[Reason]) {
    let report = shown(&checked_within(deadline, check).await);
    assert_eq!(report.status(), Status::Unhealthy, "{report:?}");
    assert!(report.reason().is_some_and(|reason| reasons.contains(&reason)), "{report:?}");
}

mod every_certificate_has_its_reason {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        let authority = Authority::new();
        let mut server = postgres::Server::start();
        let (config, plain) = (server.config(), server.pool(1));
        let check = |_: u16| -> Registration {
            Postgres::new(postgres::tls_pool(config.clone(), certificates::config(authority.roots()))).into()
        };
        disagrees(check(0), HANG, &[Reason::Rejected]).await;
        let present = async |identity: Identity| {
            server.require_tls(&identity);
            0
        };
        under_every_certificate(&authority, present, check).await;
        // 28000: pg_hba.conf has no entry for a session without TLS.
        disagrees(Postgres::new(plain), HANG, &[Reason::Rejected]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlx() {
        let authority = Authority::new();
        let mut server = postgres::Server::start();
        let port = postgres::Server::port(&server);
        let pool = |mode: PgSslMode| {
            let options = PgConnectOptions::new().host(NAME).port(port).username("app").database("postgres");
            let options = options.password(postgres::PASSWORD).ssl_root_cert_from_pem(authority.pem().into_bytes());
            PgPoolOptions::new().max_connections(1).connect_lazy_with(options.ssl_mode(mode))
        };
        let check = |_: u16| -> Registration { Sqlx::new(pool(PgSslMode::VerifyFull)).into() };
        disagrees(check(0), HANG, &[Reason::Rejected]).await;
        let present = async |identity: Identity| {
            server.require_tls(&identity);
            0
        };
        under_every_certificate(&authority, present, check).await;
        disagrees(Sqlx::new(pool(PgSslMode::Disable)), HANG, &[Reason::Rejected]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn redis() {
        let authority = Authority::new();
        let mut server = redis::Server::start();
        let port = redis::Server::port(&server);
        let plain = server.pool(1);
        let check = |_: u16| -> Registration { Redis::new(redis::tls_pool(port, &authority.pem())).into() };
        // The server takes the handshake for the start of a line and waits for its end.
        disagrees(check(0), secs(3), &[Reason::Timeout]).await;
        let present = async |identity: Identity| {
            server.require_tls(&identity);
            0
        };
        under_every_certificate(&authority, present, check).await;
        // The server closes the connection without an answer if the data is no handshake.
        disagrees(Redis::new(plain), HANG, &[Reason::Unreachable]).await;
    }

    /// deadpool-lapin has no option for an authority. lapin trusts the certificates of the file in `SSL_CERT_FILE`.
    #[tokio::test(flavor = "multi_thread")]
    async fn rabbitmq() {
        let Some(trusted) = std::env::var_os(TRUSTED) else {
            return in_a_process_that_trusts_a_file(&format!("{}::rabbitmq", module_path!()));
        };
        let authority = Authority::new();
        std::fs::write(trusted, authority.pem()).unwrap();
        let server = rabbitmq::Server::start_with_tls(&authority.flawed(Flaw::None));
        let check = |url: &str| -> Registration { RabbitMq::new(rabbitmq::pool(url, 1)).into() };
        let present = async |identity: Identity| {
            server.present(&identity);
            server.tls_port()
        };
        under_every_certificate(&authority, present, |port| check(&rabbitmq::tls_url(port))).await;
        // The broker answers a handshake with its AMQP version, and an AMQP header with a TLS alert. It then resets the
        // connection, and the client may see the reset first.
        let refused = [Reason::Rejected, Reason::Unreachable];
        disagrees(check(&rabbitmq::tls_url(server.port())), HANG, &refused).await;
        let unintelligible = [Reason::Failed, Reason::Unreachable];
        disagrees(check(&rabbitmq::url(server.tls_port(), rabbitmq::PASSWORD)), HANG, &unintelligible).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn http() {
        let authority = Authority::new();
        let client = certificates::client(authority.roots());
        let mut servers = Vec::new();
        let check = |scheme: &str, port: u16| -> Registration {
            Http::get(client.clone(), format!("{scheme}://{NAME}:{port}/status")).into()
        };
        let present = async |identity: Identity| {
            let server = service::Server::start(identity.into());
            let port = server.port();
            servers.push(server);
            port
        };
        under_every_certificate(&authority, present, |port| check("https", port)).await;
        let plain = service::Server::start(service::Kind::Http);
        disagrees(check("https", plain.port()), HANG, &[Reason::Rejected, Reason::Unreachable]).await;
        disagrees(check("http", servers[0].port()), HANG, &[Reason::Failed, Reason::Unreachable]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn grpc() {
        let authority = Authority::new();
        let tls = || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
        let over_tls = |port: u16| endpoint("https", port).tls_config(tls()).unwrap().connect_lazy();
        let check = |channel: Channel| -> Registration { Grpc::new(channel).into() };
        let present = async |identity: Identity| grpc_server(Some(identity)).await;
        under_every_certificate(&authority, present, |port| check(over_tls(port))).await;
        let plain = grpc_server(None).await;
        disagrees(check(over_tls(plain)), HANG, &[Reason::Rejected, Reason::Unreachable]).await;
        let without = endpoint("http", grpc_server(Some(authority.flawed(Flaw::None))).await).connect_lazy();
        disagrees(check(without), HANG, &[Reason::Failed, Reason::Unreachable]).await;
    }
}

fn endpoint(scheme: &str, port: u16) -> Endpoint {
    Endpoint::from_shared(format!("{scheme}://{NAME}:{port}")).unwrap()
}

/// Starts a server of `grpc.health.v1` and returns its port. With a certificate it uses TLS.
async fn grpc_server(identity: Option<Identity>) -> u16 {
    let listener = tokio::net::TcpListener::bind((NAME, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = transport::Server::builder();
    if let Some(Identity { chain, key }) = identity {
        let identity = transport::Identity::from_pem(chain, key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    }
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(server.add_service(health).serve_with_incoming(TcpIncoming::from(listener)));
    port
}

/// The environment variable with the file in which the child process stores its trusted authority.
const TRUSTED: &str = "HEALTH_TESTS_TRUSTED";

/// Runs this test in a child process, because `SSL_CERT_FILE` must be set before the process starts.
fn in_a_process_that_trusts_a_file(test: &str) {
    let (_, test) = test.split_once("::").expect("a test of this suite");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authorities.pem");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(TRUSTED, &file);
    command.env("SSL_CERT_FILE", &file).env_remove("SSL_CERT_DIR").stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    let mut output = String::new();
    process.child().stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let status = process.child().wait().unwrap();
    println!("{output}");
    assert!(status.success() && output.contains("1 passed"), "{test}: {status}");
}
