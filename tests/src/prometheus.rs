//! A Prometheus that the test starts, and its `blackbox_exporter`.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{daemon::Daemon, http, port, tools, wait};

/// A running Prometheus that scrapes every second. It has the rules of `examples/deploy` with `for: 0s`.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _daemon: Daemon,
    /// The last field, so that the directory is removed after Prometheus has ended.
    _directory: TempDir,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these targets.
    ///
    /// # Panics
    ///
    /// Panics if Prometheus is not installed or does not start.
    #[must_use]
    pub fn of(targets: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let read = |name: &str| fs::read_to_string(tools::deploy(name)).expect("a file of the examples");
        let patient = with_lines(&read("prometheus/rules.yml"), "for: ", "for: 0s");
        fs::write(directory.path().join("rules.yml"), patient).expect("a file");
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let config = read("prometheus/prometheus.yml")
            .replace("scrape_interval: 15s", "scrape_interval: 1s\n    scrape_timeout: 1s")
            .replace("\"127.0.0.1:8080\"", &targets.join(", "));
        let config = format!("global:\n  evaluation_interval: 200ms\n{config}");
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, config).expect("a file");
        let address = port::local(port::free());
        let mut command = Command::new(tools::program("usr/bin/prometheus"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        daemon.start(command, || port::answers(address) && http::get(address, "/-/ready", &[]).status == 200);
        Self { address, _daemon: daemon, _directory: directory }
    }

    /// Returns the values of a query with their label `instance`, sorted by it.
    ///
    /// # Panics
    ///
    /// Panics if the query is not valid.
    #[must_use]
    pub fn query(&self, query: &str) -> Vec<(String, f64)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer =
            http::get(self.address, &format!("/api/v1/query?query={encoded}"), &[("accept-encoding", "identity")]);
        let value = answer.json();
        assert_eq!(value["status"], "success", "{query}: {value}");
        let number = |series: &Value| series["value"][1].as_str()?.parse().ok();
        let instance = |series: &Value| series["metric"]["instance"].as_str().unwrap_or_default().to_owned();
        let series = value["data"]["result"].as_array().expect("a list");
        let mut values: Vec<_> = series.iter().map(|it| (instance(it), number(it).expect("a number"))).collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }

    /// Waits until a query has this value at each of this number of instances.
    ///
    /// # Panics
    ///
    /// Panics if the query has other values after [`wait::HANG`].
    pub fn says(&self, query: &str, value: f64, instances: usize) {
        wait::equals(query, &vec![value; instances], || {
            self.query(query).into_iter().map(|(_, found)| found).collect()
        });
    }
}

/// Replaces every line that begins with a text, but keeps its indentation.
fn with_lines(text: &str, begins: &str, becomes: &str) -> String {
    let line = |line: &str| {
        let indentation = line.len() - line.trim_start().len();
        if line.trim_start().starts_with(begins) {
            format!("{}{becomes}\n", &line[..indentation])
        } else {
            format!("{line}\n")
        }
    };
    text.lines().map(line).collect()
}

/// A running `blackbox_exporter` with the module of `examples/deploy`.
#[derive(Debug)]
pub struct Blackbox {
    address: SocketAddr,
    _daemon: Daemon,
}

impl Blackbox {
    /// Starts a `blackbox_exporter`.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let address = port::local(port::free());
        let mut command = Command::new(tools::program("usr/bin/prometheus-blackbox-exporter"));
        command.arg(format!("--config.file={}", tools::deploy("prometheus/blackbox.yml").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        daemon.start(command, || port::answers(address));
        Self { address, _daemon: daemon }
    }

    /// Returns whether a probe of this page succeeds.
    #[must_use]
    pub fn succeeds(&self, target: SocketAddr, path: &str) -> bool {
        let page = http::get(self.address, &format!("/probe?module=health&target=http://{target}{path}"), &[]).text();
        page.contains("\nprobe_success 1\n")
    }
}
