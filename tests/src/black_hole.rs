//! A listener that accepts and never speaks.

use std::{
    io::ErrorKind,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{port::local, wait};

/// Accepts until it is dropped; then its connections are closed.
#[derive(Debug)]
pub struct BlackHole {
    port: u16,
    closed: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl BlackHole {
    /// Listens on this port, as soon as it can be had.
    ///
    /// # Panics
    ///
    /// It cannot within [`wait::HANG`].
    #[must_use]
    pub fn on(port: u16) -> Self {
        let listener = wait::found("a listener", || TcpListener::bind(local(port)).ok());
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let closed = Arc::new(AtomicBool::new(false));
        let close = Arc::clone(&closed);
        let thread = thread::spawn(move || {
            let mut kept = Vec::new();
            while !close.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok(connection) => kept.push(connection),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { port, closed, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
