//! `serve <http|grpc|mongodb|elasticsearch|tls|blocked|mortal|crowded> <port> <folder>`: a server that a test starts,
//! freezes and kills.
//!
//! The file `token` in the folder holds the accepted token. It is read again for each request. For TLS the token
//! selects the chain and the key that the server presents: the files `chain.<token>` and `key.<token>`. `mongodb` and
//! `elasticsearch` also read the files that their modules name. `blocked` listens and then blocks its runtime for ever.
//! `mortal` is alive while a file `alive` exists, and reports its state to systemd. `crowded` reports many failing
//! checks to systemd.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use health_core::{CheckError, CheckExt as _, Health, Reason, Systemd, check_fn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};
use tonic::{Status, transport::server::TcpIncoming};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, port, folder] = arguments.as_slice() else { return Err("usage: serve <kind> <port> <folder>".into()) };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    let folder = PathBuf::from(folder);
    match kind.as_str() {
        "http" => http(listener, folder).await,
        "grpc" => grpc(listener, folder).await,
        "mongodb" => Ok(health_tests::mongodb::serve(listener, folder).await?),
        "elasticsearch" => elasticsearch(listener, folder).await,
        "tls" => tls(listener, folder).await,
        "blocked" => blocked().await,
        "mortal" => mortal(folder).await,
        "crowded" => crowded().await,
        _ => Err("unknown kind: use http, grpc, mongodb, elasticsearch, tls, blocked, mortal or crowded".into()),
    }
}

fn accepts(folder: &Path, authorization: Option<&str>) -> bool {
    let token = fs::read_to_string(folder.join("token")).unwrap_or_default();
    authorization == Some(&format!("Bearer {token}"))
}

async fn http(listener: TcpListener, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let health = Health::builder().check("inner", check_fn(|| async { Ok(()) })).start()?;
    let app = Router::new()
        .route("/status", get(|| async { "ready to serve" }))
        .merge(health_axum::routes(health))
        .layer(middleware::from_fn_with_state(Arc::new(folder), wants_the_token));
    Ok(axum::serve(listener, app).await?)
}

async fn elasticsearch(listener: TcpListener, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let folder = Arc::new(folder);
    let app = health_tests::elasticsearch::routes(Arc::clone(&folder))
        .layer(middleware::from_fn_with_state(folder, wants_the_token));
    Ok(axum::serve(listener, app).await?)
}

async fn mortal(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let lives = move || {
        let alive = folder.join("alive").exists();
        // Appends one byte for each run, so that a test can wait for a number of runs.
        let runs = fs::OpenOptions::new().create(true).append(true).open(folder.join("runs"));
        let _ = runs.and_then(|mut runs| std::io::Write::write_all(&mut runs, b"."));
        async move { if alive { Ok(()) } else { Err(CheckError::new("no such file").reason(Reason::Failed)) } }
    };
    let alive = check_fn(lives).local().liveness().every(Duration::from_millis(100));
    let health = Health::builder().check("alive", alive).start()?;
    health.publish(Systemd::new());
    std::future::pending().await
}

async fn crowded() -> Result<(), Box<dyn Error>> {
    let fails = || check_fn(|| async { Err::<(), _>(CheckError::new("away")) });
    let named = |number: i32| format!("{}{number:04}", "x".repeat(60));
    let builder = (0..200).fold(Health::builder(), |builder, number| builder.check(named(number), fails()));
    let health = builder.start()?;
    health.publish(Systemd::new());
    std::future::pending().await
}

async fn wants_the_token(State(folder): State<Arc<PathBuf>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if accepts(&folder, authorization) { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn grpc(listener: TcpListener, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("working", tonic_health::ServingStatus::Serving).await;
    reporter.set_service_status("broken", tonic_health::ServingStatus::NotServing).await;
    let wants_the_token = move |request: tonic::Request<()>| {
        let authorization = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if accepts(&folder, authorization) { Ok(request) } else { Err(Status::unauthenticated("no")) }
    };
    let service = tonic::service::interceptor::InterceptedService::new(service, wants_the_token);
    let server = tonic::transport::Server::builder().add_service(service);
    Ok(server.serve_with_incoming(TcpIncoming::from(listener)).await?)
}

async fn tls(listener: TcpListener, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor(&folder)?;
        tokio::spawn(async move {
            // A client that sends a request gets an answer. A client that only inspects the certificate disconnects.
            if let Ok(mut stream) = acceptor.accept(stream).await
                && stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0)
            {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nready";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
    }
}

fn acceptor(folder: &Path) -> Result<TlsAcceptor, Box<dyn Error>> {
    let token = fs::read_to_string(folder.join("token"))?;
    let file = |name: &str| folder.join(format!("{name}.{token}"));
    let chain = CertificateDer::pem_file_iter(file("chain"))?.collect::<Result<_, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(file("key"))?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// An application that installs the signal handler and then blocks its only worker thread.
async fn blocked() -> Result<(), Box<dyn Error>> {
    let health = Health::builder().start()?;
    let leave = health_core::shutdown(&health, Duration::from_secs(60))?;
    println!("blocked");
    std::thread::sleep(Duration::from_secs(600));
    leave.await;
    Ok(())
}
