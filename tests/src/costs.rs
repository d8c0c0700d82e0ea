//! The cost of one run of each check for the server that it queries: counted in the traffic of a proxy, and written to
//! the document `health-core/COSTS.md`.

use std::{fmt::Write as _, path::PathBuf};

use crate::{proxy::Traffic, tools::repository};

/// Number of runs that are counted together.
pub const RUNS: usize = 10;

/// The costs of one check, summed over [`RUNS`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Connections that the runs opened.
    pub opened: usize,
    /// Connections that stay open between runs. The application has used one connection before.
    pub kept: usize,
    /// Number of times that an answer followed a request.
    pub round_trips: usize,
    /// Messages as the protocol defines them: queries, commands, frames, requests.
    pub messages: usize,
    /// AMQP channels that the runs opened.
    pub channels: usize,
}

impl Costs {
    /// Counts the traffic of a row's runs.
    #[must_use]
    pub fn of(row: &str, traffic: &Traffic, kept: usize) -> Self {
        let count = |messages: fn(&[u8]) -> usize| traffic.sent.iter().map(|sent| messages(sent)).sum();
        let messages = match row {
            "postgres" => count(|sent| sized(sent, 1, 4, 0, u32::from_be_bytes)),
            "sqlx" => count(|sent| sized(sent, 0, 3, 4, |size| u32::from_le_bytes([size[0], size[1], size[2], 0]))),
            "fred" | "redis" | "redis_connection" | "redis_queue" => count(|sent| begins(sent, b"*")),
            "rabbitmq" | "rabbitmq_connection" | "rabbitmq_queue" => count(|sent| frames(sent).count()),
            "elasticsearch" | "http" | "upstream" => count(|sent| begins(sent, b"GET ")),
            "nats" => {
                count(|sent| ["SUB ", "PUB ", "HPUB ", "UNSUB "].iter().map(|verb| begins(sent, verb.as_bytes())).sum())
            }
            _ => traffic.round_trips,
        };
        // Channel.Open has class 20 and method 10.
        let opens = |frame: &&[u8]| frame.first() == Some(&1) && frame.get(7..11) == Some(&[0, 20, 0, 10]);
        let channels = traffic.sent.iter().flat_map(|sent| frames(sent)).filter(opens).count();
        let channels = if row.starts_with("rabbitmq") { channels } else { 0 };
        Self { opened: traffic.connections, kept, round_trips: traffic.round_trips, messages, channels }
    }
}

/// Counts messages with a length prefix: `at` is the position of the prefix, `width` its size in bytes, `more` the
/// number of bytes of a message that the length does not include.
fn sized(mut sent: &[u8], at: usize, width: usize, more: usize, size: fn([u8; 4]) -> u32) -> usize {
    let mut count = 0;
    while sent.len() >= at + width {
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(&sent[at..at + width]);
        let length = at + more + usize::try_from(size(bytes)).unwrap_or(usize::MAX);
        count += 1;
        sent = sent.get(length.max(1)..).unwrap_or_default();
    }
    count
}

/// Returns the AMQP frames without heartbeats.
fn frames(mut sent: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(sent.get(3..7)?.try_into().ok()?);
        let (frame, rest) = sent.split_at_checked(8 + usize::try_from(size).ok()?)?;
        sent = rest;
        Some(frame)
    })
    .filter(|frame| frame[0] != 8)
}

/// Counts the lines that begin with these bytes.
fn begins(sent: &[u8], with: &[u8]) -> usize {
    let lines = sent.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(with)).count()
}

/// Renders the document.
#[must_use]
pub fn document(costs: &[(&str, Costs)]) -> String {
    let mut text = String::from(
        "# What a check run costs the server\n\n\
         Written by the test `real::faults::costs`, which counts the traffic between each check and the real server.\n\
         `HEALTH_WRITE_COSTS=1 tests/run costs` updates this page. The application has used one connection of its\n\
         pool, and the runs follow each other.\n\n\
         - *Connections kept* counts the connections while no run is in progress, including the application's one.\n\
         - *Messages* counts the messages of the protocol: queries of PostgreSQL, packets of MySQL, commands of\n\
         \x20\x20Redis, frames of AMQP, lines of NATS, requests of HTTP, and round trips for other protocols.\n\
         - The Kafka checks are not listed, because librdkafka sends much traffic on its own.\n\n\
         | check | connections opened | connections kept | round trips | messages | channels opened |\n\
         |---|---|---|---|---|---|\n",
    );
    // Dividing drops the remainder: messages that a server sends of its own accord from time to time are not a cost of
    // a run.
    let per_run = |count: usize| count / RUNS;
    for (row, Costs { opened, kept, round_trips, messages, channels }) in costs {
        let (opened, channels) = (per_run(*opened), per_run(*channels));
        let (round_trips, messages) = (per_run(*round_trips), per_run(*messages));
        let _ = writeln!(text, "| `{row}` | {opened} | {kept} | {round_trips} | {messages} | {channels} |");
    }
    text.push_str(
        "\nRabbitMQ closes a connection if a channel is requested on it that the user may not open. The checks of one\n\
         pool therefore share a connection of their own beside the application's.\n\n\
         sqlx hands out idle connections in turn, and each use keeps a connection from reaching its `idle_timeout`.\n\
         If there are several idle connections, the check therefore reserves one of them. If the pool has no\n\
         connection, the check opens one, which is counted here and kept for one minute after it was needed.\n",
    );
    text
}

/// Returns the path of the document.
#[must_use]
pub fn file() -> PathBuf {
    repository().join("health-core/COSTS.md")
}
