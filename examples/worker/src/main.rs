//! A small worker without its own HTTP server: a loop that works on jobs and sends heartbeats. It runs without any
//! setup, with its probes on `BIND_ADDR`. It reads the environment variables that the README lists for every example,
//! but does not use `DATABASE_URL`, `REDIS_URL` and `DOGSTATSD_ADDR`. It also reads these:
//!
//! - `HEALTH_SOCKET`: the path of a Unix socket with the same probes, for exec probes in an image that contains only
//!   this program: `worker probe unix:/run/worker.sock:/livez`.
//! - `HEALTH_FILE`: the path of a file that is written each second while the process is live, for probes by a shell:
//!   `test -n "$(find /run/worker.live -newermt '-10 seconds')"`. A process that hangs no longer writes the file, so
//!   the probe must check the age of the file and not only its existence.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use health_core::{CheckExt as _, Endpoint, Health, Heartbeat, Lifecycle, Probe, Status, Systemd};
use health_examples::{Settings, reload_on_hangup, run};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

/// The duration of a job.
const JOB: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "probe") {
        return health_probe::run(arguments);
    }
    start()
}

#[tokio::main]
async fn start() -> ExitCode {
    run(serve).await
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let heartbeat = Heartbeat::new().warn_after(Duration::from_secs(5)).fail_after(Duration::from_secs(20));
    let mut builder = Health::builder()
        .settings(settings.checks)
        .service(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .check("worker", heartbeat.check().liveness());
    for secret in &settings.secrets {
        builder = builder.secret(secret);
    }
    let health = builder.start()?;
    health.publish(Systemd::new());
    reload_on_hangup(&health)?;
    let leave = health_hyper::shutdown(&health, settings.drain)?;
    let mut endpoint = Endpoint::new(health.clone());
    if let Some(token) = &settings.token {
        endpoint = endpoint.full_for_bearer(token);
    }
    let endpoint = endpoint.validated()?;

    let listener = TcpListener::bind(settings.bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut servers = vec![health_hyper::serve(endpoint.clone(), listener).spawn()];
    if let Some(path) = env::var_os("HEALTH_SOCKET") {
        servers.push(health_hyper::serve(endpoint, health_hyper::bind_unix(path).await?).spawn());
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let live = env::var_os("HEALTH_FILE").map(|path| {
        let (path, health, is_over) = (PathBuf::from(path), health.clone(), Arc::clone(&is_over));
        thread::spawn(move || keep_live(&path, &health, &is_over))
    });

    let worker = tokio::spawn(work(health.clone(), heartbeat));
    // Returns when the drain after a signal is over and the job in progress is done. After the signal no further job
    // begins.
    leave.await;
    worker.abort();
    is_over.store(true, Ordering::Relaxed);
    if let Some(live) = live {
        live.thread().unpark();
        let ended = async {
            while !live.is_finished() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // The timeout keeps a file system that hangs from delaying the end.
        let _ = timeout(Duration::from_secs(1), ended).await;
    }
    for server in servers {
        server.end().await;
    }
    health.stop().await;
    Ok(())
}

/// Works on one job after the other until the service drains. From then on it only sends heartbeats.
async fn work(health: Health, heartbeat: Heartbeat) {
    loop {
        // The drain waits for the job in progress. The job is counted before the lifecycle is read, so that no drain
        // ends in between.
        let job = Some(health.in_flight()).filter(|_| health.report().lifecycle() < Lifecycle::Draining);
        sleep(JOB).await;
        drop(job);
        heartbeat.beat();
    }
}

/// Writes the file each second while liveness is not Unhealthy, and removes it once liveness is Unhealthy. The function
/// runs on a separate thread. If the file system hangs, the file gets old, as it does if the process hangs.
fn keep_live(path: &Path, health: &Health, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let is_live = health.status(Probe::Liveness) != Status::Unhealthy;
        let _ = if is_live { fs::write(path, "live\n") } else { remove(path) };
        thread::park_timeout(Duration::from_secs(1));
    }
    let _ = remove(path);
}

/// Removes a file. A file that does not exist is not an error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
