//! The example services as programs.

use std::{
    env,
    fs::File,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{http, process::Process, wait};

/// The examples with one framework each. The other examples are `worker`, which has no application over HTTP, and
/// `axum-sqlx`, `actix-diesel` and `tonic-axum`, which have one set of drivers each.
pub const EXAMPLES: [&str; 3] = ["actix", "axum", "warp"];

/// A running example service.
#[derive(Debug)]
pub struct Program {
    /// The address on which the service listens.
    pub address: SocketAddr,
    /// The process.
    pub process: Process,
    directory: TempDir,
}

impl Program {
    /// Starts an example with these environment variables. It does not inherit the variables that `command` removes.
    /// It listens on a free port unless `BIND_ADDR` is given.
    ///
    /// # Panics
    ///
    /// Panics if the example does not print the address on which it listens.
    #[must_use]
    pub fn start(example: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        let child = command(example, variables).stdout(Stdio::piped()).stderr(log).spawn().expect("an example");
        let mut process = Process::new(child);
        let stdout = process.child().stdout.take().expect("the example's output");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the first line of the output");
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Self {
            address: address.unwrap_or_else(|| panic!("{example} did not print its address but {line:?}")),
            process,
            directory,
        }
    }

    /// Waits until the readiness probe of the example passes.
    ///
    /// # Panics
    ///
    /// Panics if the probe fails after [`wait::HANG`].
    pub fn ready(&self) {
        wait::equals("the code of /readyz", &200, || http::get(self.address, "/readyz", &[]).status);
    }

    /// Returns everything that the example has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).expect("the example's log")
    }
}

/// Runs an example that is expected to end by itself.
///
/// # Panics
///
/// Panics if the example cannot be started.
#[must_use]
pub fn output(example: &str, variables: &[(&str, &str)]) -> Output {
    command(example, variables).output().expect("an example")
}

fn command(example: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(built().join(example));
    for variable in [
        "AMQP_URL",
        "DATABASE_URL",
        "DOGSTATSD_ADDR",
        "DRAIN_SECONDS",
        "INVENTORY_URL",
        "REDIS_URL",
        "RUST_LOG",
        "UPSTREAM_URL",
    ] {
        command.env_remove(variable);
    }
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("HEALTH_"))) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("BIND_ADDR", "127.0.0.1:0").envs(variables.iter().copied());
    command
}

/// Returns a command that runs Cargo without the variables that Cargo sets for tests. With them build scripts would run
/// again.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    let is_said = |name: &str| {
        ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|it| name.starts_with(it))
    };
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_said)) {
        cargo.env_remove(name);
    }
    cargo
}

/// Returns the folder of the examples and the other programs. Builds them first unless `tests/run` has done so, because
/// a test of one package cannot name the programs of another.
#[must_use]
pub fn built() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            // The path of the test program is <target>/<profile>/deps/<name>.
            let program = env::current_exe().expect("the path of this program");
            let folder = program.ancestors().nth(2).expect("the folder of the profile").to_owned();
            if env::var_os("HEALTH_TESTS_BUILT").is_some() {
                return folder;
            }
            let mut cargo = cargo();
            // The whole workspace with its tests, because otherwise Cargo builds dependencies again with other
            // features.
            cargo.args(["build", "--quiet", "--workspace", "--bins", "--tests", "--all-features"]);
            cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
            if !cfg!(debug_assertions) {
                cargo.arg("--release");
            }
            assert!(cargo.status().expect("cargo").success(), "the examples do not build");
            folder
        })
        .clone()
}

/// The number of seconds that an example may need from SIGTERM to its end: to drain, for work in progress, for the last
/// answers, for the last messages of publishers, and a margin.
#[must_use]
pub const fn time_to_leave(drain: u64) -> u64 {
    const WORK: u64 = 15;
    const LAST_ANSWERS: u64 = 5;
    const LAST_MESSAGES: u64 = 2;
    const ROOM: u64 = 5;
    drain + WORK + LAST_ANSWERS + LAST_MESSAGES + ROOM
}
