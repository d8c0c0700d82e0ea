//! A TCP proxy that makes the faults of networks.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    sync::watch,
    time::sleep,
};

use crate::{port, wait};

/// Number of bytes of an answer that arrive before a reset.
const BEFORE_RESET: usize = 3;
/// Size of the pieces of an endless answer, in bytes. One is sent every 2 ms.
const PIECE: usize = 32 << 10;

/// Maximum number of bytes that are kept of a client's data on one connection. The last piece may exceed it.
const KEPT: usize = 64 << 10;

/// The owners of `Proxy::carried` without a connection: the proxy, and its thread.
const OWNERS: usize = 2;

/// A fault of the network between client and server. It also affects existing connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// No fault: all data arrives.
    None,
    /// New connections are refused, and existing ones are closed.
    Refused,
    /// New connections are accepted and all connections stay open, but no data arrives.
    BlackHole,
    /// The server's next answer is cut off by a reset after a few bytes.
    Reset,
    /// The server's answers arrive at one byte a second.
    Trickle,
    /// The first bytes replace the server's next answer. The second bytes follow without end, at 16 MB a second.
    Endless(&'static [u8], &'static [u8]),
    /// Like `Endless`, but as fast as the client reads.
    Flood(&'static [u8], &'static [u8]),
    /// All data from the client is lost.
    DropRequests,
    /// All data from the server is lost.
    DropAnswers,
    /// The server's end of every existing connection disappears without a notice and stays so under every later fault.
    /// New connections work.
    HalfOpen,
    /// Every existing connection is closed when the client next sends data on it, as a server does whose idle timeout
    /// has just expired. New connections work.
    CloseOnRequest,
    /// Every piece of an answer arrives this much later.
    Delay(Duration),
    /// Every piece of an answer arrives later by a random time up to this one.
    Jitter(Duration),
    /// Answers arrive at this number of bytes a second.
    Bandwidth(usize),
}

/// The traffic of a proxy.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Number of connections that clients opened.
    pub connections: usize,
    /// Number of times that an answer followed a request.
    pub round_trips: usize,
    /// The data that the client of each connection sent.
    pub sent: Vec<Vec<u8>>,
}

/// Records the traffic of one connection.
#[derive(Clone)]
struct Meter {
    traffic: Arc<Mutex<Traffic>>,
    number: usize,
    is_asked: Arc<AtomicBool>,
}

impl Meter {
    fn begin(traffic: &Arc<Mutex<Traffic>>) -> Self {
        let mut all = traffic.lock().expect("no panic");
        all.connections += 1;
        all.sent.push(Vec::new());
        let number = all.sent.len() - 1;
        drop(all);
        Self { traffic: Arc::clone(traffic), number, is_asked: Arc::default() }
    }

    fn asked(&self, bytes: &[u8]) {
        self.is_asked.store(true, Ordering::Relaxed);
        let mut traffic = self.traffic.lock().expect("no panic");
        let sent = &mut traffic.sent[self.number];
        if sent.len() < KEPT {
            sent.extend_from_slice(bytes);
        }
    }

    fn answered(&self) {
        if self.is_asked.swap(false, Ordering::Relaxed) {
            self.traffic.lock().expect("no panic").round_trips += 1;
        }
    }
}

/// A proxy in front of a server, on a thread of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    traffic: Arc<Mutex<Traffic>>,
    fault: watch::Sender<Option<NetworkFault>>,
    /// Has an owner for each connection that the proxy carries, beside the two of [`OWNERS`].
    carried: Arc<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy on a free port.
    ///
    /// # Panics
    ///
    /// Panics if no port is free, or if no thread can be started.
    #[must_use]
    pub fn before(server: u16) -> Self {
        Self::at(port::local(0), server)
    }

    /// Starts a proxy at this address.
    ///
    /// # Panics
    ///
    /// Panics if the address is in use, or if no thread can be started.
    #[must_use]
    pub fn at(address: SocketAddr, server: u16) -> Self {
        let listener = StdListener::bind(address).expect("a loopback address");
        let address = listener.local_addr().expect("the listener's address");
        listener.set_nonblocking(true).expect("a nonblocking listener");
        let (fault, changes) = watch::channel(Some(NetworkFault::None));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let traffic = Arc::<Mutex<Traffic>>::default();
        let carried = Arc::new(());
        let (metered, counted) = (Arc::clone(&traffic), Arc::clone(&carried));
        let thread =
            thread::spawn(move || runtime.block_on(serve(listener, address, server, changes, metered, counted)));
        Self { address, traffic, fault, carried, thread: Some(thread) }
    }

    /// Returns the traffic since the last call.
    ///
    /// # Panics
    ///
    /// Panics if the proxy has panicked.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut all = self.traffic.lock().expect("no panic");
        let empty = Traffic { sent: vec![Vec::new(); all.sent.len()], ..Traffic::default() };
        std::mem::replace(&mut all, empty)
    }

    /// Returns the port on which the proxy listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the number of recorded bytes from clients since the last call of [`traffic`](Self::traffic).
    ///
    /// # Panics
    ///
    /// Panics if the proxy has panicked.
    #[must_use]
    pub fn bytes_sent(&self) -> usize {
        self.traffic.lock().expect("no panic").sent.iter().map(Vec::len).sum()
    }

    /// Returns the number of connections that the proxy carries.
    #[must_use]
    pub fn connections(&self) -> usize {
        Arc::strong_count(&self.carried).saturating_sub(OWNERS)
    }

    /// Changes the fault.
    ///
    /// # Panics
    ///
    /// Panics if the proxy cannot bind its port again within [`wait::HANG`].
    pub fn set(&self, fault: NetworkFault) {
        self.fault.send_replace(Some(fault));
        let refuses = fault == NetworkFault::Refused;
        wait::until("the proxy's port is open or closed as the fault demands", || {
            port::answers(self.address) != refuses
        });
        if refuses {
            // A connection that has not seen this fault before the next one would stay open.
            wait::until("the proxy has closed its connections", || self.connections() == 0);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.fault.send_replace(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Changes = watch::Receiver<Option<NetworkFault>>;

async fn serve(
    listener: StdListener,
    address: SocketAddr,
    server: u16,
    mut changes: Changes,
    traffic: Arc<Mutex<Traffic>>,
    carried: Arc<()>,
) {
    let mut listener = Some(TcpListener::from_std(listener).expect("a listener"));
    loop {
        let fault = *changes.borrow_and_update();
        match fault {
            None => return,
            Some(NetworkFault::Refused) => listener = None,
            Some(_) if listener.is_none() => listener = TcpListener::bind(address).await.ok(),
            Some(_) => {}
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.map(|(client, _)| client),
                None => std::future::pending().await,
            }
        };
        select! {
            changed = changes.changed() => if changed.is_err() { return },
            client = accept => if let Ok(client) = client {
                let connection = carry(client, server, changes.clone(), Meter::begin(&traffic));
                let owner = Arc::clone(&carried);
                tokio::spawn(async move {
                    connection.await;
                    drop(owner);
                });
            },
            // Retries to bind the port, which may not have been free yet.
            () = sleep(Duration::from_millis(20)), if listener.is_none() => {}
        }
    }
}

/// Carries the data of one connection until the connection or the proxy ends.
async fn carry(client: TcpStream, server: u16, mut changes: Changes, meter: Meter) {
    // In a black hole the connection to the server is not opened either.
    while *changes.borrow_and_update() == Some(NetworkFault::BlackHole) {
        if changes.changed().await.is_err() {
            return;
        }
    }
    let Ok(server) = TcpStream::connect(port::local(server)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Connections that are opened during this fault are not affected by it.
    let is_new = matches!(*changes.borrow(), Some(NetworkFault::HalfOpen | NetworkFault::CloseOnRequest));
    let dies = Dies { changes: changes.clone(), immune: is_new };
    select! {
        () = there(from_client, to_server, changes.clone(), dies.clone(), meter.clone()) => {}
        () = back(from_server, to_client, changes.clone(), dies, meter) => {}
        () = gone(changes) => {}
    }
}

/// Ends a connection without a notice under [`NetworkFault::HalfOpen`].
#[derive(Clone)]
struct Dies {
    changes: Changes,
    immune: bool,
}

impl Dies {
    /// Reads. When the connection dies, the call never returns.
    async fn read(&mut self, from: &mut OwnedReadHalf, bytes: &mut [u8]) -> std::io::Result<usize> {
        let died = async {
            if self.immune || self.changes.wait_for(|fault| *fault == Some(NetworkFault::HalfOpen)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        select! {
            biased;
            () = died => std::future::pending().await,
            count = from.read(bytes) => count,
        }
    }
}

/// Waits until the fault closes all connections.
async fn gone(mut changes: Changes) {
    let closes = |fault: &Option<NetworkFault>| matches!(fault, None | Some(NetworkFault::Refused));
    let _ = changes.wait_for(closes).await;
}

/// Waits until a black hole ends.
async fn passable(changes: &mut Changes) {
    let _ = changes.wait_for(|fault| *fault != Some(NetworkFault::BlackHole)).await;
}

async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut changes: Changes, mut dies: Dies, meter: Meter) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count) = dies.read(&mut from, &mut bytes).await {
        passable(&mut changes).await;
        let fault = *changes.borrow();
        if fault == Some(NetworkFault::DropRequests) && count > 0 {
            continue;
        }
        if fault == Some(NetworkFault::CloseOnRequest) && !dies.immune {
            return;
        }
        if count > 0 {
            meter.asked(&bytes[..count]);
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut changes: Changes, mut dies: Dies, meter: Meter) {
    let mut bytes = vec![0; 16 << 10];
    let mut seed = u32::from(to.local_addr().map_or(1, |address| address.port()));
    while let Ok(count) = dies.read(&mut from, &mut bytes).await {
        passable(&mut changes).await;
        let fault = *changes.borrow_and_update();
        meter.answered();
        let sent = match fault {
            _ if count == 0 => return,
            Some(NetworkFault::DropAnswers) => Ok(()),
            Some(NetworkFault::Delay(late)) => {
                sleep(late).await;
                to.write_all(&bytes[..count]).await
            }
            Some(NetworkFault::Jitter(latest)) => {
                // A linear congruential generator is random enough for delays.
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sleep(latest * (seed >> 24) / 256).await;
                to.write_all(&bytes[..count]).await
            }
            Some(NetworkFault::Bandwidth(rate)) => paced(&bytes[..count], &mut to, rate).await,
            Some(NetworkFault::Reset) => {
                let _ = to.write_all(&bytes[..count.min(BEFORE_RESET)]).await;
                sleep(Duration::from_millis(20)).await;
                // Forgets the half, because dropping it would send the end of the stream before the reset.
                let _ = to.as_ref().set_zero_linger();
                to.forget();
                return;
            }
            Some(NetworkFault::Trickle) => trickle(&bytes[..count], &mut to, &mut changes).await,
            Some(NetworkFault::Endless(first, again) | NetworkFault::Flood(first, again)) => {
                return endless(first, again, &mut to, &changes).await;
            }
            _ => to.write_all(&bytes[..count]).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Sends this number of bytes a second, in pieces of a fiftieth of it.
async fn paced(bytes: &[u8], to: &mut OwnedWriteHalf, rate: usize) -> std::io::Result<()> {
    for piece in bytes.chunks((rate / 50).max(1)) {
        to.write_all(piece).await?;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Sends one byte a second until the fault changes.
async fn trickle(bytes: &[u8], to: &mut OwnedWriteHalf, changes: &mut Changes) -> std::io::Result<()> {
    for (position, byte) in bytes.iter().enumerate() {
        if *changes.borrow() != Some(NetworkFault::Trickle) {
            return to.write_all(&bytes[position..]).await;
        }
        to.write_all(&[*byte]).await?;
        select! {
            _ = changes.changed() => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
    Ok(())
}

/// Sends until the fault changes. The connection then ends, because its stream is beyond repair.
async fn endless(first: &[u8], again: &[u8], to: &mut OwnedWriteHalf, changes: &Changes) {
    let piece: Vec<u8> = again.iter().copied().cycle().take(PIECE / again.len() * again.len()).collect();
    if to.write_all(first).await.is_err() {
        return;
    }
    loop {
        let fault = *changes.borrow();
        if !matches!(fault, Some(NetworkFault::Endless(..) | NetworkFault::Flood(..)))
            || to.write_all(&piece).await.is_err()
        {
            return;
        }
        if matches!(fault, Some(NetworkFault::Endless(..))) {
            sleep(Duration::from_millis(2)).await;
        }
    }
}
