//! A Datadog Agent that the test starts in a network namespace of its own, so that only the test receives its data.

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
    /// The Agent's configurations of checks: its `complaints`, and the `instances` that it would run.
    pub configured: Value,
    /// The socket on which the Agent accepts service checks.
    pub socket: PathBuf,
    lines: mpsc::Receiver<String>,
    process: Process,
    /// The last field, so that the directory is removed after the Agent has ended.
    _directory: TempDir,
}

impl DatadogAgent {
    /// Starts an Agent with these configurations of checks.
    ///
    /// # Panics
    ///
    /// Panics if the Agent is not installed or does not start.
    #[must_use]
    pub fn start(configurations: &[(&str, &Path)]) -> Self {
        tools::needs("datadog-agent");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("dogstatsd.socket");
        let mut command = tools::consumer("run_datadog_agent.py");
        command.arg(tools::repository().join("target/tools/datadog-agent")).arg(&socket);
        command.args(configurations.iter().map(|(check, file)| format!("{check}={}", file.display())));
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python, which tests/run installs");
        let mut process = Process::new(child);
        let said = BufReader::new(process.child().stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut agent = Self { configured: Value::Null, socket, lines, process, _directory: directory };
        agent.configured = agent.line(Duration::from_secs(240));
        agent
    }

    /// Returns the next service check that the Agent forwards to Datadog. It forwards every 15 seconds.
    ///
    /// # Panics
    ///
    /// Panics if the Agent forwards none within [`HANG`].
    #[must_use]
    pub fn service_check(&self) -> Value {
        self.line(HANG)
    }

    fn line(&self, within: Duration) -> Value {
        let line = self.lines.recv_timeout(within).expect("a line from the Agent in time");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the Agent printed a line that is no JSON: {line:?}"))
    }
}

impl Drop for DatadogAgent {
    fn drop(&mut self) {
        // The script exits when its input is closed, and ends the Agent, too.
        drop(self.process.child().stdin.take());
        let patience = Instant::now() + Duration::from_secs(10);
        while self.process.runs() && Instant::now() < patience {
            sleep(Duration::from_millis(10));
        }
    }
}
