//! Checks a Kafka cluster over the application's own rdkafka client. Green proves that a broker returns the metadata of
//! the cluster, that the metadata lists enough brokers, and that every partition of the named topics has a leader. It
//! does not prove that a message can be produced or consumed.

use std::{collections::BTreeSet, fmt, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    consumer::{Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::Metadata,
    producer::{Partitioner, Producer, ProducerContext},
};

use super::limits::check_settings;
use crate::{
    check::{
        Check, CheckResult,
        blocking::BlockingThread,
        deadline::time_left,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The timeout of a call outside a run of the scheduler.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two requests of one run.
const PAUSE: Duration = Duration::from_millis(20);

type Fetch = dyn Fn(Duration) -> KafkaResult<Metadata> + Send + Sync;

/// Checks a Kafka cluster by requesting its metadata over the application's own client.
///
/// Green proves that a broker returns the metadata of the cluster, that the metadata lists enough brokers, and that
/// every partition of the named topics has a leader. It does not prove that a message can be produced or consumed.
///
/// - Least privilege: `DESCRIBE` on the named topics. The check produces, consumes, creates and commits nothing. It
///   requests the metadata of all topics at once, because a request for a single topic can create that topic.
/// - The call of librdkafka blocks, so it runs on a thread that belongs to the check.
/// - librdkafka writes the reason of a failed connection only to its log. A refused connection, a name that does not
///   resolve and a wrong password are all `unreachable`, which is published at the deadline.
/// - A topic that does not exist, or that the client may not see, is `rejected`. A partition without a leader is
///   `unreachable`.
/// - A broker that hangs is `timeout` until librdkafka closes its connection, even while other brokers answer. That
///   takes `socket.timeout.ms` (60 s unless configured). Set a lower `socket.timeout.ms`, or use `.failures(n)`.
/// - After an outage librdkafka reconnects within `reconnect.backoff.max.ms` (10 s unless configured).
/// - Observed value: `brokers`.
///
/// ```no_run
/// use std::sync::Arc;
/// use health_core::{Health, Kafka};
/// use rdkafka::{ClientConfig, consumer::BaseConsumer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consumer: BaseConsumer =
///     ClientConfig::new().set("bootstrap.servers", "localhost:9092").set("group.id", "orders").create()?;
/// let consumer = Arc::new(consumer);
/// let health = Health::builder()
///     .check("kafka", Kafka::consumer(Arc::clone(&consumer)).min_brokers(3).topic("orders"))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Kafka {
    fetch: Arc<Fetch>,
    min_brokers: usize,
    topics: BTreeSet<String>,
    thread: BlockingThread,
}

impl Kafka {
    /// Creates a check that sends its requests over this consumer.
    pub fn consumer<C, X>(consumer: Arc<C>) -> Self
    where
        C: Consumer<X> + Send + Sync + 'static,
        X: ConsumerContext + 'static,
    {
        Self::new(move |patience| consumer.client().fetch_metadata(None, patience))
    }

    /// Creates a check that sends its requests over this producer.
    pub fn producer<P, X, Part>(producer: Arc<P>) -> Self
    where
        P: Producer<X, Part> + Send + Sync + 'static,
        X: ProducerContext<Part> + 'static,
        Part: Partitioner + 'static,
    {
        Self::new(move |patience| producer.client().fetch_metadata(None, patience))
    }

    fn new(fetch: impl Fn(Duration) -> KafkaResult<Metadata> + Send + Sync + 'static) -> Self {
        Self { fetch: Arc::new(fetch), min_brokers: 1, topics: BTreeSet::new(), thread: BlockingThread::default() }
    }

    /// Sets the minimum number of brokers. With fewer the check is Unhealthy with `threshold`. Default 1.
    pub fn min_brokers(mut self, brokers: usize) -> Self {
        self.min_brokers = brokers;
        self
    }

    /// Adds a topic that must exist and have a leader for every partition. Can be called several times. Default none.
    pub fn topic(mut self, name: impl Into<String>) -> Self {
        self.topics.insert(name.into());
        self
    }

    fn judge(&self, metadata: &Metadata) -> Outcome {
        let brokers = metadata.brokers().len();
        let complaints: Vec<Complaint> = self.topics.iter().filter_map(|topic| complaint(metadata, topic)).collect();
        let outcome = if let Some(first) = complaints.first() {
            let words: Vec<&str> = complaints.iter().map(|complaint| complaint.words.as_str()).collect();
            Outcome::unhealthy(words.join("; ")).reason(first.reason)
        } else if brokers < self.min_brokers {
            let message = format!("{brokers} brokers, fewer than {}", self.min_brokers);
            Outcome::unhealthy(message).reason(Reason::Threshold)
        } else {
            Outcome::healthy()
        };
        outcome.observe("brokers", brokers, "brokers")
    }
}

/// A problem with a topic.
struct Complaint {
    reason: Reason,
    words: String,
}

fn complaint(metadata: &Metadata, name: &str) -> Option<Complaint> {
    let complain = |reason, words| Some(Complaint { reason, words });
    let missing =
        || complain(Reason::Rejected, format!("topic {name} does not exist, or the client lacks DESCRIBE on it"));
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return missing() };
    if let Some(error) = topic.error() {
        let code = RDKafkaErrorCode::from(error);
        return complain(reason(code), format!("topic {name}: {code}"));
    }
    let leaderless = topic.partitions().iter().filter(|partition| partition.leader() < 0).count();
    match (topic.partitions().len(), leaderless) {
        (0, _) => missing(),
        (_, 0) => None,
        (all, without) => {
            complain(Reason::Unreachable, format!("topic {name}: {without} of {all} partitions have no leader"))
        }
    }
}

/// Repeats a request until it is answered or the time is over. A connection that breaks during a request is not an
/// outage while another broker answers.
pub(super) fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> Result<T, CheckError> {
    loop {
        match ask() {
            Err(error)
                if error.rdkafka_error_code().map(reason) == Some(Reason::Unreachable) && patience() > PAUSE * 3 =>
            {
                thread::sleep(PAUSE);
            }
            answer => return answer.map_err(explain),
        }
    }
}

/// Returns the timeout of a call: 95 % of the time left, so that its result precedes the deadline.
pub(super) fn patience() -> Duration {
    time_left().map_or(DEFAULT_PATIENCE, |left| left.saturating_sub(left / 20))
}

/// Converts an error of rdkafka, with its reason.
fn explain(error: KafkaError) -> CheckError {
    let reason = error.rdkafka_error_code().map_or(Reason::Failed, reason);
    CheckError::from(error).reason(reason)
}

/// Returns the public category of an error code.
fn reason(code: RDKafkaErrorCode) -> Reason {
    use RDKafkaErrorCode as Code;
    match code {
        Code::OperationTimedOut | Code::MessageTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => {
            Reason::Timeout
        }
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::OffsetNotAvailable
        | Code::KafkaStorageError
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::BrokerNotAvailable
        | Code::NetworkException
        | Code::WaitingForCoordinator
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator => Reason::Unreachable,
        Code::Authentication
        | Code::SSL
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic => Reason::Rejected,
        _ => Reason::Failed,
    }
}

#[async_trait]
impl Check for Kafka {
    async fn check(&self) -> CheckResult {
        let fetch = Arc::clone(&self.fetch);
        let metadata = self.thread.run(move || patiently(|| fetch(patience()))).await??;
        Ok(self.judge(&metadata))
    }

    fn proves(&self) -> &'static str {
        "A broker lists enough brokers and a leader for every partition of the named topics. It does not prove that a \
         message can be produced or consumed."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.topics.contains("") {
            return Err(("topic(\"\") has an empty name: give the topic's name".to_owned()).into());
        }
        if self.min_brokers == 0 {
            return Err(("min_brokers(0) can never fail: use 1 or more".to_owned()).into());
        }
        Ok(())
    }

    check_settings! {
        min_brokers: min_brokers = size;
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("min_brokers", &self.min_brokers)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
