//! A child process that ends when its handle is dropped.

use std::process::Child;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Takes over a child process. Dropping the value kills it and its descendants.
    #[must_use]
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    /// Returns the process id of the child.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the child.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Returns whether the child still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal only to the child.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Sends a signal to the child and to all its descendants.
    pub fn signal_all(&self, signal: Signal) {
        signal_tree(self.child.id(), signal);
    }

    /// Waits until the child has ended and returns its exit status.
    ///
    /// # Panics
    ///
    /// Panics if the child runs after [`wait::HANG`].
    pub fn ended(&mut self) -> std::process::ExitStatus {
        wait::found(&format!("the end of process {}", self.child.id()), || {
            self.child.try_wait().expect("a child of this process")
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.signal_all(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn send(id: u32, signal: Signal) {
    // The process may have ended by itself.
    let _ = kill(Pid::from_raw(i32::try_from(id).expect("a process id")), signal);
}

/// Stops each process before it lists the children, so that the process cannot start another one in the meantime.
fn signal_tree(id: u32, signal: Signal) {
    send(id, Signal::SIGSTOP);
    children(id).into_iter().for_each(|child| signal_tree(child, signal));
    send(id, signal);
    if signal != Signal::SIGSTOP {
        send(id, Signal::SIGCONT);
    }
}

/// Returns the processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("the kernel's list of processes");
    let is_child = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = status.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// The resources that this process uses.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Number of threads.
    pub threads: usize,
    /// Resident memory in bytes.
    pub resident: usize,
    /// Peak of the resident memory since [`forget_peak`], in bytes.
    pub peak: usize,
}

/// Returns the names of this process's threads, sorted.
///
/// # Panics
///
/// Panics if the kernel does not list them.
#[must_use]
pub fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the kernel's list of threads").flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let mut names: Vec<String> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// Returns the names of the threads on which blocking checks run, sorted.
#[must_use]
pub fn threads_of_checks() -> Vec<String> {
    threads().into_iter().filter(|name| name.starts_with("health-")).collect()
}

/// Makes the kernel restart its measurement of the memory's peak.
///
/// # Panics
///
/// Panics if the kernel refuses.
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a kernel that resets the peak");
}

/// Returns the resources that this process uses now.
///
/// # Panics
///
/// Panics if the kernel does not report them.
#[must_use]
pub fn usage() -> Usage {
    let text = std::fs::read_to_string("/proc/self/status").expect("the kernel's status of this process");
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a line of that name");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    };
    Usage { threads: number("Threads:"), resident: number("VmRSS:") * 1024, peak: number("VmHWM:") * 1024 }
}
