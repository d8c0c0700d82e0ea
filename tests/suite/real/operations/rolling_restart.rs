//! A rolling restart of two instances behind HAProxy under constant load: no request is lost, unless the proxy does not
//! probe readiness.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use health_core::{Endpoint, Health, Toggle};
use health_tests::{
    haproxy::{Checks, Haproxy},
    http,
    mount::{Form, Framework, serve},
    port,
    program::{EXAMPLES, Program},
    support::{client, long, millis, secs},
    wait,
};
use nix::sys::signal::Signal;
use tokio::task::block_in_place;

/// Number of parallel clients for a low load.
const FEW: usize = 4;
/// Number of parallel clients for a high load: many more than the three parallel retries that Envoy allows by default.
pub(crate) const MANY: usize = 32;

/// Two instances of an example behind a proxy.
struct Fleet {
    example: &'static str,
    drain: &'static str,
    addresses: [SocketAddr; 2],
    instances: Vec<Program>,
    proxy: Haproxy,
}

impl Fleet {
    fn start(example: &'static str, drain: &'static str, checks: Checks) -> Self {
        let addresses = [port::free(), port::free()].map(port::local);
        let instances = addresses.iter().map(|address| start(example, drain, *address)).collect();
        let proxy = Haproxy::before(addresses[0].port(), addresses[1].port(), checks);
        let fleet = Self { example, drain, addresses, instances, proxy };
        ["a", "b"].iter().for_each(|server| fleet.proxy.waits_for(server, "UP"));
        fleet
    }

    /// Stops one instance as an orchestrator does, and starts it again.
    fn restart(&mut self, which: usize) {
        let instance = &mut self.instances[which];
        instance.process.signal(Signal::SIGTERM);
        let status = instance.process.ended();
        assert!(status.success(), "{} ended with {status}: {}", self.example, instance.log());
        *instance = start(self.example, self.drain, self.addresses[which]);
        self.proxy.waits_for(["a", "b"][which], "UP");
    }
}

pub(crate) fn start(example: &str, drain: &str, address: SocketAddr) -> Program {
    let program = Program::start(example, &[("DRAIN_SECONDS", drain), ("BIND_ADDR", &address.to_string())]);
    program.ready();
    program
}

/// Clients that send requests without a pause until they are stopped.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Load {
    pub(crate) fn on(port: u16, clients: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut load =
            Self { over: Arc::default(), asked: Arc::default(), failed: Arc::default(), clients: Vec::new(), runtime };
        for _ in 0..clients {
            let (over, asked, failed) = (Arc::clone(&load.over), Arc::clone(&load.asked), Arc::clone(&load.failed));
            let (client, url) = (client(), format!("http://127.0.0.1:{port}/"));
            let client = load.runtime.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let failure = match client.get(&url).send().await {
                        Ok(answer) => {
                            let status = answer.status();
                            let text = answer.text().await;
                            let is_it = status == 200 && text.as_ref().is_ok_and(|text| text == "hello");
                            (!is_it).then(|| format!("{status}: {text:?}"))
                        }
                        Err(error) => Some(error.to_string()),
                    };
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Some(failure) = failure {
                        failed.fetch_add(1, Ordering::Relaxed);
                        // Prints only the first failures, because some tests lose many requests on purpose.
                        if failed.load(Ordering::Relaxed) <= 3 {
                            println!("failed request: {failure}");
                        }
                    }
                    tokio::time::sleep(millis(2)).await;
                }
            });
            load.clients.push(client);
        }
        load
    }

    /// Waits until each client has sent about four more requests.
    pub(crate) fn goes_on(&self) {
        let before = self.asked();
        wait::until("more requests", || self.asked() >= before + 4 * self.clients.len());
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Stops the clients. Returns the number of requests and the number of failed ones.
    pub(crate) fn stop(self) -> (usize, usize) {
        self.over.store(true, Ordering::Relaxed);
        // Requests in progress count too.
        self.runtime.block_on(async {
            for client in self.clients {
                client.await.expect("a client that did not panic");
            }
        });
        (self.asked.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// Runs rolling restarts under load. Returns the number of requests and the number of failed ones.
fn roll(example: &'static str, drain: &'static str, checks: Checks, times: usize, at_least: usize) -> (usize, usize) {
    let mut fleet = Fleet::start(example, drain, checks);
    let load = Load::on(fleet.proxy.port(), FEW);
    let mut done = 0;
    while done < times || load.asked() < at_least {
        (0..2).for_each(|which| fleet.restart(which));
        done += 1;
    }
    load.stop()
}

/// Runs all examples in parallel. Returns each with its number of requests and of failed ones.
fn every_example(
    roll: impl Fn(&'static str) -> (usize, usize) + Copy + Send + 'static,
) -> Vec<(&'static str, usize, usize)> {
    let threads = EXAMPLES.map(|example| (example, thread::spawn(move || roll(example))));
    threads
        .into_iter()
        .map(|(example, thread)| {
            let (asked, failed) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            println!("{example}: {failed} of {asked} requests failed");
            (example, asked, failed)
        })
        .collect()
}

#[test]
fn no_request_is_lost_behind_a_proxy_that_probes_readiness() {
    let (times, at_least) = if long() { (50, 100_000) } else { (3, 300) };
    for (example, asked, failed) in every_example(move |example| roll(example, "4", Checks::Readiness, times, at_least))
    {
        assert_eq!(failed, 0, "{example}: {failed} of {asked} requests failed");
    }
}

/// The control: without readiness probes and without a drain requests are lost, so the test above can fail.
#[test]
fn requests_are_lost_behind_a_proxy_that_only_connects() {
    for (example, asked, failed) in every_example(|example| roll(example, "0", Checks::Connection, 3, 300)) {
        assert!(failed > 0, "{example}: none of {asked} requests failed");
    }
}

#[test]
fn no_request_is_lost_with_the_haproxy_file_of_the_examples() {
    let addresses = [port::free(), port::free()].map(port::local);
    let mut instances = addresses.map(|address| start("axum", "1", address));
    let proxy = Haproxy::of_the_examples(addresses[0].port(), addresses[1].port());
    ["a", "b"].iter().for_each(|server| proxy.waits_for(server, "UP"));
    for path in ["/health", "/livez", "/readyz/queue", "/health/metrics"] {
        assert_eq!(http::get(port::local(proxy.port()), path, &[]).status, 404, "{path}");
    }
    let load = Load::on(proxy.port(), MANY);
    for which in [0, 1, 0, 1] {
        let instance = &mut instances[which];
        instance.process.signal(Signal::SIGTERM);
        assert!(instance.process.ended().success());
        *instance = start("axum", "1", addresses[which]);
        proxy.waits_for(["a", "b"][which], "UP");
    }
    // The last instance is killed without a drain. HAProxy retries its requests on the other one.
    let [killed, _left] = instances;
    drop(killed);
    proxy.waits_for("a", "DOWN");
    load.goes_on();
    let (asked, failed) = load.stop();
    println!("haproxy: {failed} of {asked} requests failed");
    assert!(asked > MANY && failed == 0, "{failed} of {asked} requests failed");
}

/// With `httpchk` a draining server is `DOWN`. With `http-check disable-on-404` it is `NOLB`: it gets no new clients
/// but does not count as dead.
#[tokio::test(flavor = "multi_thread")]
async fn haproxy_follows_readiness_through_up_down_and_drain() {
    for (checks, draining_code, drained) in [(Checks::Readiness, 503, "DOWN"), (Checks::ReadinessWith404, 404, "NOLB")]
    {
        let toggle = Toggle::new();
        let health = Health::builder().check("x", toggle.check()).start().unwrap();
        assert!(health.ready().await);
        let other = Health::builder().start().unwrap();
        let endpoint = Endpoint::new(health.clone()).draining_code(draining_code);
        let a = serve(Framework::Axum, Form::Routes, endpoint);
        let b = serve(Framework::Axum, Form::Routes, other.into());
        let proxy = block_in_place(|| Haproxy::before(a.address.port(), b.address.port(), checks));
        let follows = |state: &'static str| block_in_place(|| proxy.waits_for("a", state));
        block_in_place(|| proxy.waits_for("b", "UP"));
        follows("UP");
        toggle.unhealthy("maintenance");
        health.refresh("x").await.unwrap();
        follows("DOWN");
        toggle.healthy();
        health.refresh("x").await.unwrap();
        follows("UP");
        drop(health.drain(secs(60)));
        follows(drained);
        block_in_place(|| proxy.waits_for("b", "UP"));
    }
}
