//! A broker of the Kafka protocol that the test starts: Tansu, with its storage in memory.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::{
    daemon::{Daemon, daemon_server},
    kafka_gate::Gate,
    port, tools,
    wait::HANG,
};

/// The timeout of the test's own calls.
const PATIENCE: Duration = HANG;

/// The password that a gate in front of the broker requires.
pub const PASSWORD: &str = "correct-horse-8K";

/// A running or stopped broker.
#[derive(Debug)]
pub struct Server {
    port: u16,
    advertised: u16,
    daemon: Daemon,
    gate: Option<Gate>,
    topics: Vec<(String, u32)>,
}

impl Server {
    /// Starts a broker.
    ///
    /// # Panics
    ///
    /// Panics if Tansu is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let port = port::free();
        Self::advertising(port, port, None)
    }

    /// Starts a broker that listens on `port` and advertises the port `advertised` to its clients. With a gate, the
    /// password of the broker is that of the gate.
    ///
    /// # Panics
    ///
    /// Panics if Tansu is not installed or does not start.
    #[must_use]
    pub fn advertising(port: u16, advertised: u16, gate: Option<Gate>) -> Self {
        let mut server = Self { port, advertised, daemon: Daemon::default(), gate, topics: Vec::new() };
        server.start_again();
        server
    }

    /// Creates a topic with the broker's own program.
    ///
    /// # Panics
    ///
    /// Panics if the topic cannot be created.
    pub fn create_topic(&mut self, name: &str, partitions: u32) {
        self.make_topic(name, partitions);
        self.topics.push((name.to_owned(), partitions));
    }

    fn make_topic(&self, name: &str, partitions: u32) {
        let output = Command::new(binary())
            .args(["topic", "create", "--broker", &format!("tcp://127.0.0.1:{}", self.port)])
            .args(["--partitions", &partitions.to_string(), name])
            .output()
            .expect("tansu");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn set_password(&self, password: &str) {
        self.gate.as_ref().expect("a broker with a gate").accept(password);
    }

    fn start_again(&mut self) {
        tools::needs("tansu");
        let mut command = Command::new(binary());
        command
            .arg("broker")
            .args(["--listener-url", &format!("tcp://127.0.0.1:{}", self.port)])
            .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{}", self.advertised)])
            .args(["--storage-engine", "memory://tansu/", "--silent"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
        // The memory storage is empty after a restart.
        for (name, partitions) in &self.topics {
            self.make_topic(name, *partitions);
        }
    }
}

daemon_server!(Server);

/// Returns the configuration of a client that reconnects quickly.
#[must_use]
pub fn config(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "300")
        .set("socket.connection.setup.timeout.ms", "1000");
    config
}

/// Adds the user `app` and a password to a client's configuration.
#[must_use]
pub fn with_password(mut config: ClientConfig, password: &str) -> ClientConfig {
    config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanisms", "PLAIN");
    config.set("sasl.username", "app").set("sasl.password", password);
    config
}

/// Returns a consumer of this group.
///
/// # Panics
///
/// Panics if the consumer cannot be created.
#[must_use]
pub fn consumer(port: u16, group: &str) -> BaseConsumer {
    config(port).set("group.id", group).set("enable.auto.commit", "false").create().expect("a consumer")
}

/// Produces messages into a partition and waits until the broker has them. Sends them one by one, because Tansu counts
/// a batch as one message.
///
/// # Panics
///
/// Panics if the broker does not accept the messages.
pub fn produce(port: u16, topic: &str, partition: i32, count: usize) {
    let producer: BaseProducer = config(port).create().expect("a producer");
    for _ in 0..count {
        let record = BaseRecord::<(), _>::to(topic).partition(partition).payload("message");
        producer.send(record).map_err(|(error, _)| error).expect("room in the producer's queue");
        producer.flush(PATIENCE).expect("the broker accepts the message");
    }
}

/// Consumes messages from a partition and commits their offset.
///
/// # Panics
///
/// Panics if the messages do not arrive.
pub fn consume(consumer: &BaseConsumer, topic: &str, partition: i32, from: i64, count: usize) {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(from)).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let mut next = from;
    for _ in 0..count {
        next = consumer.poll(PATIENCE).expect("a message in time").expect("a message without an error").offset() + 1;
    }
    let mut committed = TopicPartitionList::new();
    committed.add_partition_offset(topic, partition, Offset::Offset(next)).expect("an offset");
    consumer.commit(&committed, CommitMode::Sync).expect("the broker accepts the offset");
}

/// Returns the path of Tansu as `tests/run` installs it. The environment variable `TANSU` overrides it.
fn binary() -> PathBuf {
    env::var_os("TANSU")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/tansu"), PathBuf::from)
}
