//! An HTTP client that sends exactly the given bytes and returns the whole answer.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::wait::HANG;

/// An answer, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, sorted, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// All bytes after the head until the server closed the connection.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the value of a header, whose name is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends bytes over a new connection and reads until the server closes it.
///
/// # Panics
///
/// Panics if no server listens or its answer is not HTTP.
#[must_use]
pub fn exchange(server: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).expect("a server");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream.write_all(request).expect("the server reads the request");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer, and then the end of the connection, in time");
    parse(&bytes)
}

/// Sends a GET that lets the server keep the connection open. Reads until the end of the head, so the body may be
/// incomplete.
///
/// # Panics
///
/// Panics if no server listens or its answer is not HTTP.
#[must_use]
pub fn keep_alive(server: SocketAddr, target: &str) -> Answer {
    let mut stream = TcpStream::connect(server).expect("a server");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads the request");
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let count = stream.read(&mut chunk).expect("an answer");
        assert!(count > 0, "the server closed the connection");
        bytes.extend_from_slice(&chunk[..count]);
    }
    parse(&bytes)
}

/// Sends a GET with these headers on a connection of its own.
#[must_use]
pub fn get(server: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    exchange(server, request.as_bytes())
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let mut headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    headers.sort();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}
