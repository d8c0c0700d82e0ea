//! A server's process, and the faults that every server of the tests can be given.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::{process::Process, wait};

/// The process of a server, which is running or stopped and can be started again.
#[derive(Debug, Default)]
pub struct Daemon(Option<Process>);

impl Daemon {
    /// Starts the process and waits until it is ready.
    ///
    /// # Panics
    ///
    /// Panics if the process ends, or is not ready within [`wait::HANG`].
    pub fn start(&mut self, mut command: Command, ready: impl Fn() -> bool) {
        let name = command.get_program().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        // The port of a process that was killed can stay in use for a moment.
        wait::until("the previous process has released its port", || !ready());
        let child = command.spawn();
        self.0 = Some(Process::new(child.unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"))));
        wait::until(&format!("{name} {arguments:?} is ready"), || {
            assert!(self.0.as_mut().is_some_and(Process::runs), "{name} {arguments:?} has ended");
            ready()
        });
    }

    /// Stops the process with SIGTERM and waits for its end.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.0.take() {
            process.signal(Signal::SIGTERM);
            process.ended();
        }
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        // Dropping the process sends SIGKILL to it and to the processes that it has started.
        self.0 = None;
    }

    /// Sends a signal to the process and to the processes that it has started.
    ///
    /// # Panics
    ///
    /// Panics if the process does not run.
    pub fn signal(&self, signal: Signal) {
        self.0.as_ref().expect("a running server").signal_all(signal);
    }
}

/// The faults that every server of the tests can be given.
pub trait Server: Send + Sync {
    /// Returns the port on which the server listens while it runs.
    fn port(&self) -> u16;
    /// Starts the server again on the same port.
    fn run(&mut self);
    /// Stops the server gracefully.
    fn stop(&mut self);
    /// Kills the server.
    fn kill(&mut self);
    /// Stops the server's processes with SIGSTOP.
    fn freeze(&self);
    /// Lets a frozen server continue.
    fn thaw(&self);
    /// Makes the server accept this password from now on.
    fn accept_password(&mut self, password: &str);
    /// Makes the server follow this rule from now on.
    fn impose(&self, rule: Rule) {
        panic!("this server does not support the rule {rule:?}");
    }
}

/// A rule for how a server treats the user of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The user may connect.
    Open,
    /// The server has no room for another connection.
    Full,
    /// The server refuses the user for a reason other than the password.
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

/// Implements [`Server`] for a type that has inherent methods with the same names.
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
