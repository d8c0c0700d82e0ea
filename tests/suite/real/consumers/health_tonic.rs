//! `grpc.health.v1` as read by gRPC's own client, by health-probe and by the `Grpc` check.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use health_core::{Builder, CheckExt as _, Grpc, Health, Status, Toggle, check_fn};
use health_tests::{
    process::Process,
    program,
    support::{millis, secs},
    tools::{consumer, said},
    wait,
};
use tokio::{net::TcpListener, sync::oneshot, task::block_in_place};
use tonic::{
    Code,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Generates the code from the definition of the protocol.
fn generated(into: &Path) -> String {
    let proto = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../health-tonic/proto"));
    let files = protox::compile([proto.join("health.proto")], [proto]).unwrap();
    tonic_prost_build::configure().build_client(false).out_dir(into).compile_fds(files).unwrap();
    std::fs::read_to_string(into.join("grpc.health.v1.rs")).unwrap()
}

#[test]
fn the_generated_code_matches_the_protocol_definition() {
    let directory = tempfile::tempdir().unwrap();
    let made = generated(directory.path());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../health-tonic/src/generated/grpc.health.v1.rs");
    if std::env::var_os("HEALTH_WRITE_PROTO").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept == made, "the file is out of date: HEALTH_WRITE_PROTO=1 tests/run health_tonic writes it");
}

/// A running server of a health service.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(service: health_tonic::HealthServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let until = async { drop(stopped.await) };
            let server = Server::builder().add_service(service);
            server.serve_with_incoming_shutdown(TcpIncoming::from(listener), until).await.unwrap();
        });
        Self { address, stop: Some(stop), task }
    }
}

/// A process of gRPC's own client for Python.
struct Client {
    _process: Process,
    input: ChildStdin,
    said: Arc<Mutex<Vec<String>>>,
    read: usize,
}

impl Client {
    fn of(server: SocketAddr) -> Self {
        let mut command = consumer("grpc_client.py");
        let piped = command.arg(server.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::new(piped.spawn().unwrap());
        let (input, output) = (process.child().stdin.take().unwrap(), process.child().stdout.take().unwrap());
        let said = Arc::<Mutex<Vec<String>>>::default();
        let keeps = Arc::clone(&said);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                keeps.lock().unwrap().push(line);
            }
        });
        Self { _process: process, input, said, read: 0 }
    }

    fn asks(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// Waits for this line among the lines that no earlier call has waited for.
    fn says(&mut self, expected: &str) {
        let read = self.read;
        let position = || self.said.lock().unwrap()[read..].iter().position(|line| line == expected);
        self.read += wait::found(expected, position) + 1;
    }

    /// Returns the next line that no earlier call has waited for.
    fn next_line(&mut self) -> String {
        let line = wait::found("a line", || self.said.lock().unwrap().get(self.read).cloned());
        self.read += 1;
        line
    }

    fn answers(&mut self, command: &str, expected: &str) {
        self.asks(command);
        self.says(expected);
    }
}

fn toggled() -> (Toggle, Health) {
    let toggle = Toggle::new();
    let health = Health::builder()
        .check("database", toggle.check().every(millis(200)))
        .check("worker", check_fn(|| async { Ok(()) }).local().liveness().every(millis(200)))
        .start()
        .unwrap();
    (toggle, health)
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcs_own_client_follows_check_watch_and_list() {
    let (toggle, health) = toggled();
    assert!(health.ready().await);
    let mut served = Served::start(health_tonic::service(health.clone())).await;
    let mut client = block_in_place(|| Client::of(served.address));
    let every = |database: &str, ready: &str| {
        format!(
            "list {{\"\": \"{ready}\", \"database\": \"{database}\", \"liveness\": \"SERVING\", \
             \"readiness\": \"{ready}\", \"startup\": \"SERVING\", \"worker\": \"SERVING\"}}"
        )
    };
    block_in_place(|| {
        client.answers("check ", "check SERVING");
        client.answers("check database", "check SERVING");
        client.answers("check nobody", "check NOT_FOUND");
        client.answers("list", &every("SERVING", "SERVING"));
        client.answers("watch ", "watch  SERVING");
        client.answers("watch liveness", "watch liveness SERVING");
        client.answers("watch late", "watch late SERVICE_UNKNOWN");
        toggle.unhealthy("maintenance");
        client.says("watch  NOT_SERVING");
        client.answers("check database", "check NOT_SERVING");
        client.answers("list", &every("NOT_SERVING", "NOT_SERVING"));
        toggle.healthy();
        client.says("watch  SERVING");
    });
    // A check that is inserted while a client watches it.
    health.insert("late", check_fn(|| async { Ok(()) })).unwrap();
    block_in_place(|| client.says("watch late SERVING"));
    health.remove("late").unwrap();
    block_in_place(|| client.says("watch late SERVICE_UNKNOWN"));

    let drain = health.drain(secs(2));
    block_in_place(|| {
        client.says("watch  NOT_SERVING");
        client.answers("check liveness", "check SERVING");
        client.answers("check startup", "check SERVING");
        client.answers("check readiness", "check NOT_SERVING");
    });
    drain.await;
    // The drain ends the streams, so that the server can end.
    served.stop.take().unwrap().send(()).unwrap();
    // An open stream would keep the server running for ever.
    tokio::time::timeout(wait::HANG, &mut served.task).await.expect("no open stream keeps the server running").unwrap();
    block_in_place(|| client.says("watch liveness UNAVAILABLE"));
    let said = client.said.lock().unwrap().clone();
    let told = said.iter().filter(|line| line.starts_with("watch liveness SERVING")).count();
    assert_eq!(told, 1, "only changes are sent: {said:?}");
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_probe_and_the_grpc_check_follow_the_service() {
    let (toggle, health) = toggled();
    assert!(health.ready().await);
    let served = Served::start(health_tonic::service(health.clone())).await;
    let probe = |service: &str| {
        let mut command = Command::new(program::built().join("health-probe"));
        let url = format!("http://{}", served.address);
        block_in_place(|| said(command.args(["-t", "180s", "--nagios", "--grpc", "--service", service, &url]), b"").0)
    };
    let channel = Endpoint::from_shared(format!("http://{}", served.address)).unwrap().connect_lazy();
    let other = Health::builder()
        .check("other", Grpc::new(channel).service("database").critical().timeout(wait::HANG))
        .start()
        .unwrap();
    assert_eq!((other.refresh("other").await, probe(""), probe("database")), (Ok(Status::Healthy), Some(0), Some(0)));
    toggle.unhealthy("maintenance");
    health.refresh("database").await.unwrap();
    assert_eq!((other.refresh("other").await, probe(""), probe("liveness")), (Ok(Status::Unhealthy), Some(2), Some(0)));
    assert_eq!(probe("nobody"), Some(3));
    // A service with `probes_only` hides the checks.
    let terse = Served::start(health_tonic::probes_only(health.clone())).await;
    let url = format!("http://{}", terse.address);
    for (service, code) in [("database", 3), ("liveness", 0)] {
        let mut command = Command::new(program::built().join("health-probe"));
        let arguments = ["-t", "180s", "--nagios", "--grpc", "--service", service, &url];
        assert_eq!(block_in_place(|| said(command.args(arguments), b"").0), Some(code), "{service}");
    }
    drop((served.stop, terse.stop));
}

/// Returns all results of a stream until its end.
async fn everything(mut stream: tonic::Streaming<HealthCheckResponse>) -> Vec<Result<ServingStatus, Code>> {
    let mut said = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => said.push(Ok(message.status())),
            Ok(None) => return said,
            Err(status) => {
                said.push(Err(status.code()));
                return said;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_after_the_drain_gets_one_status_and_ends() {
    let (_toggle, health) = toggled();
    assert!(health.ready().await);
    let served = Served::start(health_tonic::service(health.clone())).await;
    let channel = Endpoint::from_shared(format!("http://{}", served.address)).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let mut watch = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        client.watch(request).await.unwrap().into_inner()
    };
    // A stream that is not read before the drain first gets the last status and then the end.
    let early = watch("liveness").await;
    health.drain(Duration::ZERO).await;
    let over = Err(Code::Unavailable);
    assert_eq!(everything(early).await, [Ok(ServingStatus::Serving), over]);
    for _ in 0..20 {
        let late = watch("").await;
        assert_eq!(everything(late).await, [Ok(ServingStatus::NotServing), over]);
    }
    health.stop().await;
    // As over HTTP, liveness keeps its last verdict after the stop. The streams send nothing more.
    for (service, serving) in [("", false), ("readiness", false), ("liveness", true), ("startup", true)] {
        assert_eq!(health.serving(service), Some(serving), "{service}");
    }
    drop(served.stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_more_than_100_names_is_refused() {
    let ok = || check_fn(|| async { Ok(()) });
    let named = |builder: Builder, number: usize| builder.check(format!("check-{number}"), ok());
    let health = (0..96).fold(Health::builder(), named).start().unwrap();
    assert!(health.ready().await);
    let served = Served::start(health_tonic::service(health.clone())).await;
    let terse = Served::start(health_tonic::probes_only(health.clone())).await;
    let mut client = block_in_place(|| Client::of(served.address));
    let mut of_probes = block_in_place(|| Client::of(terse.address));
    block_in_place(|| {
        // 96 checks and the four names of the probes.
        client.asks("list");
        assert_eq!(client.next_line().matches("SERVING").count(), 100);
        health.insert("one-more", ok()).unwrap();
        client.answers("list", "list RESOURCE_EXHAUSTED");
        of_probes.asks("list");
        assert_eq!(of_probes.next_line().matches("SERVING").count(), 4);
    });
    health.stop().await;
    drop((served.stop, terse.stop));
}
