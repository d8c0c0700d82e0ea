//! A server of MongoDB's protocol, written from its documentation: OP_MSG, `hello`, `ping`, and authentication with
//! SASL PLAIN. Debian has no MongoDB, and no package of PyPI or npm carries one.
//!
//! The program `serve` runs it. The folder holds the password in `token`. The file `role` makes the server the
//! `primary` or a `secondary` of a replica set (default: a standalone server). The file `code` holds the error code
//! with which the server refuses a ping (default: it accepts). The command `hold` has no answer, and the command
//! `pause` has one after this number of milliseconds.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mongodb::{
    Client,
    bson::{Binary, DateTime, Document, doc, spec::BinarySubtype},
    options::ClientOptions,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::support::millis;

/// The opcode of the only supported kind of message.
const OP_MSG: i32 = 2013;
/// The flag of a message that expects no answer.
const MORE_TO_COME: u8 = 2;
/// The bytes between header and document: the flags, and the kind of the section.
const BEFORE: usize = 5;
const HEADER: usize = 16;
const LONGEST: usize = 48_000_000;

/// Serves until the listener fails.
///
/// # Errors
///
/// Returns the error of the listener.
pub async fn serve(listener: TcpListener, folder: PathBuf) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    loop {
        let (stream, _) = listener.accept().await?;
        let folder = folder.clone();
        tokio::spawn(async move {
            // Ends when the client disconnects or sends a message that this server does not support.
            let _ = talk(stream, &folder, port).await;
        });
    }
}

async fn talk(mut stream: TcpStream, folder: &Path, port: u16) -> io::Result<()> {
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await?;
        let number = |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (length, request) = (usize::try_from(number(0)).unwrap_or_default(), number(4));
        if !(HEADER + BEFORE..=LONGEST).contains(&length) || number(12) != OP_MSG {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length - HEADER];
        stream.read_exact(&mut body).await?;
        let question = Document::from_reader(&body[BEFORE..]).map_err(io::Error::other)?;
        if question.contains_key("hold") {
            // Ends when the client gives the command up and closes the connection.
            stream.read_u8().await?;
        }
        if let Ok(pause) = question.get_i64("pause") {
            tokio::time::sleep(millis(pause.unsigned_abs())).await;
        }
        let answer = answer(&question, folder, port);
        if body[0] & MORE_TO_COME != 0 {
            continue;
        }
        let mut document = Vec::new();
        answer.to_writer(&mut document).map_err(io::Error::other)?;
        let length = i32::try_from(HEADER + BEFORE + document.len()).map_err(io::Error::other)?;
        let mut message = Vec::new();
        for number in [length, 1, request, OP_MSG, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&document);
        stream.write_all(&message).await?;
    }
}

fn answer(question: &Document, folder: &Path, port: u16) -> Document {
    let said = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let command = question.keys().next().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    match command.as_str() {
        "hello" | "ismaster" => hello(&said("role"), port),
        "saslstart" => login(question, &said("token")),
        "ping" => said("code").parse().map_or_else(|_| doc! { "ok": 1.0 }, refusal),
        _ => doc! { "ok": 1.0 },
    }
}

fn hello(role: &str, port: u16) -> Document {
    let is_primary = role != "secondary";
    let mut answer = doc! {
        "helloOk": true,
        "isWritablePrimary": is_primary,
        "ismaster": is_primary,
        "maxBsonObjectSize": 16 << 20,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": DateTime::now(),
        "logicalSessionTimeoutMinutes": 30,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": false,
        "ok": 1.0,
    };
    if !role.is_empty() {
        let own = format!("127.0.0.1:{port}");
        answer.extend(
            doc! { "setName": "rs0", "setVersion": 1, "secondary": !is_primary, "hosts": [own.clone()], "me": own },
        );
    }
    answer
}

fn login(question: &Document, password: &str) -> Document {
    let expected = format!("\0app\0{password}").into_bytes();
    let is_right = question.get_str("mechanism").is_ok_and(|it| it == "PLAIN")
        && question.get_binary_generic("payload").is_ok_and(|payload| *payload == expected);
    if is_right {
        let payload = Binary { subtype: BinarySubtype::Generic, bytes: Vec::new() };
        doc! { "conversationId": 1, "done": true, "payload": payload, "ok": 1.0 }
    } else {
        refusal(18)
    }
}

fn refusal(code: i32) -> Document {
    doc! { "ok": 0.0, "errmsg": "the server refuses", "code": code, "codeName": "Refused" }
}

/// Number of connections that a client of [`client`] can have.
pub const PLACES: usize = 4;

/// Returns the options of a client that notices the state of the server within a second and has room for [`PLACES`]
/// connections.
///
/// # Panics
///
/// Panics if the driver refuses the URI.
pub async fn options(port: u16, password: &str) -> ClientOptions {
    let options = "directConnection=true&authMechanism=PLAIN&connectTimeoutMS=1000&heartbeatFrequencyMS=500";
    let uri = format!("mongodb://app:{password}@127.0.0.1:{port}/?{options}&maxPoolSize={PLACES}");
    ClientOptions::parse(uri).await.expect("a valid URI")
}

/// Returns a client with these [`options`].
///
/// # Panics
///
/// Panics if the driver refuses the options.
pub async fn client(port: u16, password: &str) -> Client {
    Client::with_options(options(port, password).await).expect("valid options")
}

/// Runs a command on this client again and again, as an application does, until it is dropped.
#[derive(Debug)]
pub struct Operation(JoinHandle<()>);

impl Operation {
    /// Starts an operation that never has an answer, and occupies a connection.
    #[must_use]
    pub fn hold(client: &Client) -> Self {
        Self::repeat(client, doc! { "hold": 1 })
    }

    /// Starts an operation whose answer takes this number of milliseconds.
    #[must_use]
    pub fn pause(client: &Client, milliseconds: i64) -> Self {
        Self::repeat(client, doc! { "pause": milliseconds })
    }

    fn repeat(client: &Client, command: Document) -> Self {
        let database = client.database("admin");
        Self(tokio::spawn(async move {
            loop {
                let _ = database.run_command(command.clone()).await;
                // An operation that fails at once must not fail again and again without a pause.
                tokio::time::sleep(millis(1)).await;
            }
        }))
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.0.abort();
    }
}
