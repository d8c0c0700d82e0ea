//! A server's process, and what every server of the tests can suffer.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::{process::Process, wait};

/// A process that runs or does not, and can be started again.
#[derive(Debug, Default)]
pub struct Daemon(Option<Process>);

impl Daemon {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    ///
    /// It ends, or is not ready within [`wait::HANG`].
    pub fn start(&mut self, mut command: Command, ready: impl Fn() -> bool) {
        let name = command.get_program().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        // One that was killed may take a moment to let go of its port.
        wait::until("the end of the one before", || !ready());
        let child = command.spawn();
        self.0 = Some(Process::new(child.unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"))));
        wait::until(&format!("{name} {arguments:?} is ready"), || {
            assert!(self.0.as_mut().is_some_and(Process::runs), "{name} {arguments:?} has ended");
            ready()
        });
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.0.take() {
            process.signal(Signal::SIGTERM);
            process.ended();
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // Dropping ends it, and what it has started, with SIGKILL.
        self.0 = None;
    }

    /// Sends it, and what it has started, a signal.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        self.0.as_ref().expect("a running server").signal_all(signal);
    }
}

/// What every server of the tests can suffer.
pub trait Server: Send + Sync {
    /// Where it listens, while it runs.
    fn port(&self) -> u16;
    /// Starts it again, on the same port.
    fn run(&mut self);
    /// Stops it in order.
    fn stop(&mut self);
    /// Kills it.
    fn kill(&mut self);
    /// Stops it where it stands.
    fn freeze(&self);
    /// Lets it go on.
    fn thaw(&self);
    /// Makes it accept this password from now on.
    fn accept_password(&mut self, password: &str);
    /// Makes it follow this rule from now on.
    fn impose(&self, rule: Rule) {
        panic!("this server knows no rule such as {rule:?}");
    }
}

/// How a server treats the user of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// As usual.
    Open,
    /// It has no room for one more connection.
    Full,
    /// It refuses the user for another reason than the password.
    LockedOut,
}

/// Implements [`Server`] for a type that has a `port`, a `daemon`, and methods of its own for the rest.
macro_rules! daemon_server {
    ($server:ty $(, $impose:ident)?) => {
        impl $crate::daemon::Server for $server {
            fn port(&self) -> u16 {
                self.port
            }

            fn run(&mut self) {
                self.start_again();
            }

            fn stop(&mut self) {
                self.daemon.stop();
            }

            fn kill(&mut self) {
                self.daemon.kill();
            }

            fn freeze(&self) {
                self.daemon.signal(nix::sys::signal::Signal::SIGSTOP);
            }

            fn thaw(&self) {
                self.daemon.signal(nix::sys::signal::Signal::SIGCONT);
            }

            fn accept_password(&mut self, password: &str) {
                self.set_password(password);
            }

            $(fn $impose(&self, rule: $crate::daemon::Rule) {
                self.set_rule(rule);
            })?
        }
    };
}
pub(crate) use daemon_server;

/// Implements [`Server`] for a type that has methods of its own by these names.
macro_rules! inherent_server {
    ($server:ty $(, $impose:ident)?) => {
        impl $crate::daemon::Server for $server {
            fn port(&self) -> u16 {
                Self::port(self)
            }

            fn run(&mut self) {
                Self::run(self);
            }

            fn stop(&mut self) {
                Self::stop(self);
            }

            fn kill(&mut self) {
                Self::kill(self);
            }

            fn freeze(&self) {
                Self::freeze(self);
            }

            fn thaw(&self) {
                Self::thaw(self);
            }

            fn accept_password(&mut self, password: &str) {
                tokio::runtime::Handle::current().block_on(Self::accept_password(self, password));
            }

            $(fn $impose(&self, rule: $crate::daemon::Rule) {
                tokio::runtime::Handle::current().block_on(self.set_rule(rule));
            })?
        }
    };
}
pub(crate) use inherent_server;
