//! One attempt over a socket, which ends at its deadline at the latest.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    answer::{Answer, Receiver},
    target::{Place, Target},
    token::Token,
    verdict::{self, State, Verdict},
};

/// The target of an attempt, and the token to send.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) target: Target,
    pub(crate) token: Option<Token>,
    #[cfg(feature = "https")]
    pub(crate) trust: crate::tls::Trust,
}

/// Makes one request on a separate thread, because a name look-up cannot be cancelled.
pub(crate) fn ask(question: &Question, timeout: Duration) -> Verdict {
    within(timeout, {
        let (question, until) = (question.clone(), Instant::now() + timeout);
        move || match exchange(&question, until) {
            Ok(answer) => verdict::of(&answer),
            Err(error) => Verdict::new(State::Unhealthy, describe(&question.target.place, &error, timeout)),
        }
    })
}

/// Runs the work on a separate thread and returns its verdict; Unhealthy if none arrives within the timeout.
pub(crate) fn within(timeout: Duration, work: impl FnOnce() -> Verdict + Send + 'static) -> Verdict {
    let (send, receive) = mpsc::channel();
    // The deadlines of the socket end the thread. A name look-up and a full Unix socket have no deadline, and end with
    // the program.
    let spawned = thread::Builder::new().name("health-probe".to_owned()).spawn(move || drop(send.send(work())));
    let verdict = spawned.ok().and_then(|_| receive.recv_timeout(timeout).ok());
    verdict.unwrap_or_else(|| Verdict::new(State::Unhealthy, late(timeout)))
}

fn late(timeout: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(timeout))
}

fn describe(place: &Place, error: &io::Error, timeout: Duration) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => late(timeout),
        ErrorKind::InvalidData => error.to_string(),
        _ => format!("{place}: {error}"),
    }
}

fn exchange(question: &Question, until: Instant) -> io::Result<Answer> {
    let left =
        || until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(ErrorKind::TimedOut);
    let mut stream: Box<dyn Stream> = match &question.target.place {
        #[cfg(feature = "https")]
        Place::Tcp(host, port) if question.target.is_https => {
            let stream = connect(host, *port, &left)?;
            // The handshake takes place during the first write.
            Stream::set_deadline(&stream, left()?)?;
            Box::new(crate::tls::over(stream, host, &question.trust)?)
        }
        Place::Tcp(host, port) => Box::new(connect(host, *port, &left)?),
        #[cfg(unix)]
        Place::Unix(path) => Box::new(std::os::unix::net::UnixStream::connect(path)?),
        #[cfg(not(unix))]
        Place::Unix(_) => return Err(io::Error::new(ErrorKind::Unsupported, "Unix sockets are not supported here")),
    };
    stream.set_deadline(left()?)?;
    stream.write_all(request(question).as_bytes())?;
    let broken = |message: &'static str| io::Error::new(ErrorKind::InvalidData, message);
    let mut receiver = Receiver::default();
    let mut piece = [0; 4096];
    loop {
        stream.set_deadline(left()?)?;
        match stream.read(&mut piece) {
            // The server may keep the connection open, so a complete answer ends the attempt.
            Ok(length) if length > 0 && !receiver.push(&piece[..length]).map_err(broken)? => {}
            Ok(_) => return receiver.close().map_err(broken),
            // The whole answer may have arrived before the reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && receiver.has_begun() => {
                return receiver.close().map_err(broken);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Connects to the first address of the host that accepts the connection. Each address gets an equal share of the time
/// left.
fn connect(host: &str, port: u16, left: &dyn Fn() -> Result<Duration, ErrorKind>) -> io::Result<TcpStream> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let mut last = io::Error::new(ErrorKind::NotFound, "the host name has no address");
    for (position, address) in addresses.iter().enumerate() {
        let share = left()? / u32::try_from(addresses.len() - position).unwrap_or(1);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Returns the request. It uses HTTP/1.1, because some proxies refuse older versions, and asks the server to close the
/// connection.
fn request(question: &Question) -> String {
    let (path, host) = (&question.target.path, question.target.host());
    let token =
        question.token.as_ref().map(|token| format!("Authorization: {}\r\n", token.bearer())).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: health-probe/{}\r\nAccept: application/json, */*;q=0.5\r\n\
         {token}Connection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

trait Stream: Read + Write {
    fn set_deadline(&self, left: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_deadline(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left))?;
        self.set_write_timeout(Some(left))
    }
}

#[cfg(feature = "https")]
impl Stream for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn set_deadline(&self, left: Duration) -> io::Result<()> {
        Stream::set_deadline(&self.sock, left)
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn set_deadline(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left))?;
        self.set_write_timeout(Some(left))
    }
}
