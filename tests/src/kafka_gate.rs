//! SASL authentication with the mechanism PLAIN, which Tansu does not support. The gate stands in front of a broker,
//! requires the password on every connection as the protocol defines it, and forwards authenticated connections.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    select,
    task::JoinHandle,
};

use crate::port;

/// API keys and error codes of the Kafka protocol.
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
const SASL_AUTHENTICATION_FAILED: i16 = 58;
/// The maximum size of a request before authentication, in bytes.
const LONGEST: usize = 64 << 10;

/// A gate that requires one password.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    password: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Gate {
    /// Starts a gate in front of a broker, on the current runtime.
    ///
    /// # Panics
    ///
    /// Panics if no port is free, or outside of a Tokio runtime.
    #[must_use]
    pub fn before(broker: u16, password: &str) -> Self {
        let listener = std::net::TcpListener::bind(port::local(0)).expect("a loopback port");
        let port = listener.local_addr().expect("the listener's address").port();
        listener.set_nonblocking(true).expect("a nonblocking listener");
        let listener = TcpListener::from_std(listener).expect("a Tokio runtime");
        let password = Arc::new(Mutex::new(password.to_owned()));
        let wanted = Arc::clone(&password);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wanted = Arc::clone(&wanted);
                tokio::spawn(async move {
                    let _ = pass(client, broker, &wanted).await;
                });
            }
        });
        Self { port, password, task }
    }

    /// Returns the port on which the gate listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requires this password from now on.
    pub fn accept(&self, password: &str) {
        password.clone_into(&mut self.password.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, broker: u16, wanted: &Mutex<String>) -> io::Result<()> {
    let mut broker = TcpStream::connect(port::local(broker)).await?;
    loop {
        let request = frame(&mut client).await?;
        let field = |at: usize| request.get(at..at + 2).map(|two| i16::from_be_bytes([two[0], two[1]]));
        let (Some(kind), Some(version), Some(correlation)) = (field(0), field(2), request.get(4..8)) else {
            return Ok(());
        };
        let mut answer = correlation.to_vec();
        match kind {
            API_VERSIONS => {
                send(&mut broker, &request).await?;
                answer = frame(&mut broker).await?;
            }
            SASL_HANDSHAKE => answer.extend(b"\0\0\0\0\0\x01\0\x05PLAIN"),
            SASL_AUTHENTICATE => {
                // The request ends with the user and the password, each after a zero byte.
                let given = request.rsplit(|byte| *byte == 0).next().unwrap_or_default();
                let right = given == wanted.lock().unwrap_or_else(PoisonError::into_inner).as_bytes();
                answer.extend(if right { 0 } else { SASL_AUTHENTICATION_FAILED }.to_be_bytes());
                answer.extend(b"\xff\xff\0\0\0\0");
                if version > 0 {
                    answer.extend([0; 8]);
                }
                send(&mut client, &answer).await?;
                if !right {
                    return Ok(());
                }
                break;
            }
            _ => return Ok(()),
        }
        send(&mut client, &answer).await?;
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_broker, mut to_broker) = broker.split();
    // If one side closes its connection, the other side's is closed too.
    select! {
        ended = copy(&mut from_client, &mut to_broker) => ended?,
        ended = copy(&mut from_broker, &mut to_client) => ended?,
    };
    Ok(())
}

async fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn send(to: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    to.write_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).await?;
    to.write_all(bytes).await
}
