//! A Datadog Agent of the test's own, in a network of its own: what it is told reaches nobody but the test.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{process::Process, tools, wait::HANG};

/// A running Agent, without the checks that it would run with Python.
#[derive(Debug)]
pub struct DatadogAgent {
    /// What it holds of the configurations of checks: its `complaints`, and the `instances` that it would run.
    pub configured: Value,
    /// Where it takes service checks.
    pub socket: PathBuf,
    lines: mpsc::Receiver<String>,
    process: Process,
    /// Last, so that it is removed when nothing runs in it any more.
    _directory: TempDir,
}

impl DatadogAgent {
    /// Starts one with these configurations of checks.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start(configurations: &[(&str, &Path)]) -> Self {
        tools::needs("datadog-agent");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("dogstatsd.socket");
        let mut command = tools::consumer("run_datadog_agent.py");
        command.arg(tools::repository().join("target/tools/datadog-agent")).arg(&socket);
        command.args(configurations.iter().map(|(check, file)| format!("{check}={}", file.display())));
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python: tests/run installs it");
        let mut process = Process::new(child);
        let said = BufReader::new(process.child().stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut agent = Self { configured: Value::Null, socket, lines, process, _directory: directory };
        agent.configured = agent.line(Duration::from_secs(240));
        agent
    }

    /// The next service check that it sends on to Datadog, which it does every 15 seconds.
    ///
    /// # Panics
    ///
    /// It sends none within [`HANG`].
    #[must_use]
    pub fn service_check(&self) -> Value {
        self.line(HANG)
    }

    fn line(&self, within: Duration) -> Value {
        let line = self.lines.recv_timeout(within).expect("a line from the Agent in time");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the Agent said {line:?}"))
    }
}

impl Drop for DatadogAgent {
    fn drop(&mut self) {
        // With its input it ends in order, and so does the Agent.
        drop(self.process.child().stdin.take());
        let patience = Instant::now() + Duration::from_secs(10);
        while self.process.runs() && Instant::now() < patience {
            sleep(Duration::from_millis(10));
        }
    }
}
