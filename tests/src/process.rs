//! A child process that is ended with the value that holds it.

use std::process::Child;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Takes charge of a child.
    #[must_use]
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    /// The child's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Sends a signal to the child and to every process that it and those have started.
    pub fn signal_all(&self, signal: Signal) {
        signal_tree(self.child.id(), signal);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// It has not within [`wait::HANG`].
    pub fn ended(&mut self) -> std::process::ExitStatus {
        wait::found(&format!("the end of process {}", self.child.id()), || {
            self.child.try_wait().expect("a child of ours")
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
    // It may just have ended by itself.
    let _ = kill(Pid::from_raw(i32::try_from(id).expect("a process id")), signal);
}

/// From the top down, each standing still meanwhile, so that it cannot start another while we look.
fn signal_tree(id: u32, signal: Signal) {
    send(id, Signal::SIGSTOP);
    children(id).into_iter().for_each(|child| signal_tree(child, signal));
    send(id, signal);
    if signal != Signal::SIGSTOP {
        send(id, Signal::SIGCONT);
    }
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("the kernel's list of processes");
    let is_child = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = status.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// What this process uses.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Threads.
    pub threads: usize,
    /// Bytes of memory in use.
    pub resident: usize,
    /// The most that were in use since [`forget_peak`].
    pub peak: usize,
}

/// The names of this process's threads, sorted.
///
/// # Panics
///
/// The kernel does not tell.
#[must_use]
pub fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the kernel's list of threads").flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let mut names: Vec<String> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// The names of the threads on which checks block, sorted.
#[must_use]
pub fn threads_of_checks() -> Vec<String> {
    threads().into_iter().filter(|name| name.starts_with("health-")).collect()
}

/// Has the kernel count the peak of memory anew.
///
/// # Panics
///
/// The kernel does not let it.
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a kernel that counts anew");
}

/// What this process uses now.
///
/// # Panics
///
/// The kernel does not tell.
#[must_use]
pub fn usage() -> Usage {
    let text = std::fs::read_to_string("/proc/self/status").expect("the kernel's word");
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a line of that name");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    };
    Usage { threads: number("Threads:"), resident: number("VmRSS:") * 1024, peak: number("VmHWM:") * 1024 }
}
