//! Measures the lag of a Kafka consumer group. Green proves that the lag is within its limits. It does not prove that a
//! consumer is running.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    topic_partition_list::TopicPartitionListElem,
};

use super::{
    kafka::{patience, patiently},
    limits::{check_settings, limit_methods},
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Membership, Reason, Status},
    },
};

type Measure = dyn Fn(&BTreeSet<String>) -> KafkaResult<Lag> + Send + Sync;

/// Measures the lag of the consumer group of an application's consumer: the distance from the committed offsets of the
/// group to the ends of the partitions.
///
/// Green proves that the lag is within its limits. It does not prove that a consumer is running.
///
/// The limits apply to the sum over all partitions of the named topics. The worst partition has limits of its own. If
/// the group has committed no offset in a partition, all messages of the partition count as lag. The same holds if the
/// committed offset lies beyond the end of the partition: the topic was created anew, and the group cannot use the
/// offset.
///
/// - Least privilege: `DESCRIBE` on the topics and the group. The check produces, consumes and commits nothing.
/// - The calls of librdkafka block, so they run on a thread that belongs to the check.
/// - By default the check counts for the full report only.
/// - Observed values: `lag` and `worst` (in `messages`), `partitions`.
///
/// ```no_run
/// use std::sync::Arc;
/// use health_core::{Health, KafkaLag};
/// # fn consumer() -> Arc<rdkafka::consumer::BaseConsumer> { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let lag = KafkaLag::new(consumer()).topic("orders").warn_above(10_000).fail_partition_above(50_000);
/// let health = Health::builder().check("orders_lag", lag).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct KafkaLag {
    measure: Arc<Measure>,
    topics: Arc<BTreeSet<String>>,
    limits: Limits,
    worst: Limits,
    has_group: bool,
    thread: BlockingThread,
}

/// The lag of all partitions of one measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    sum: u64,
    worst: u64,
    partitions: usize,
    /// The number of partitions for which the brokers return no first or no last offset.
    unknown: usize,
}

impl KafkaLag {
    /// Creates a check that measures the lag of this consumer's group.
    pub fn new<C, X>(consumer: Arc<C>) -> Self
    where
        C: Consumer<X> + Send + Sync + 'static,
        X: ConsumerContext + 'static,
    {
        Self {
            has_group: consumer.group_metadata().is_some(),
            measure: Arc::new(move |topics| measure(&*consumer, topics)),
            topics: Arc::default(),
            limits: Limits::default(),
            worst: Limits::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Adds a topic whose partitions are measured. Must be called at least once, and can be called several times.
    pub fn topic(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.topics).insert(name.into());
        self
    }

    limit_methods! {
        warn_above: "Sets the lag of all partitions, in messages, above which the check is Degraded. Default none.",
        fail_above: "Sets the lag of all partitions, in messages, above which the check is Unhealthy. Default none.",
        warn_below: "Sets the lag of all partitions, in messages, below which the check is Degraded. Default none.",
        fail_below: "Sets the lag of all partitions, in messages, below which the check is Unhealthy. Default none.",
    }

    /// Sets the lag of a single partition, in messages, above which the check is Degraded. Default none.
    pub fn warn_partition_above(mut self, messages: impl Into<Number>) -> Self {
        self.worst.warn_above = Some(messages.into());
        self
    }

    /// Sets the lag of a single partition, in messages, above which the check is Unhealthy. Default none.
    pub fn fail_partition_above(mut self, messages: impl Into<Number>) -> Self {
        self.worst.fail_above = Some(messages.into());
        self
    }
}

fn measure<C: Consumer<X>, X: ConsumerContext>(consumer: &C, topics: &BTreeSet<String>) -> KafkaResult<Lag> {
    let metadata = consumer.fetch_metadata(None, patience())?;
    let mut partitions = TopicPartitionList::new();
    for name in topics {
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        let topic = topic.ok_or(unknown.clone())?;
        if let Some(error) = topic.error() {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        if topic.partitions().is_empty() {
            return Err(unknown);
        }
        for partition in topic.partitions() {
            partitions.add_partition(name, partition.id());
        }
    }
    // The committed offsets are read before the ends, so that the measured lag is never too small. Messages that the
    // group commits in between count as lag.
    let committed = consumer.committed_offsets(partitions.clone(), patience())?;
    let ends = edge(consumer, &partitions, Offset::End)?;
    let offset = |list: &TopicPartitionList, topic: &str, partition: i32| match list.find_partition(topic, partition) {
        Some(element) => element.offset(),
        None => Offset::Invalid,
    };
    // A committed offset beyond the end belongs to a topic that was deleted and created anew.
    let usable =
        |end: &TopicPartitionListElem<'_>| match (offset(&committed, end.topic(), end.partition()), end.offset()) {
            (Offset::Offset(committed), Offset::Offset(end)) => (committed <= end).then_some(committed),
            _ => None,
        };
    let begins = if ends.elements().iter().all(|end| usable(end).is_some()) {
        TopicPartitionList::new()
    } else {
        edge(consumer, &partitions, Offset::Beginning)?
    };
    for list in [&committed, &begins] {
        list.elements().iter().try_for_each(TopicPartitionListElem::error)?;
    }
    let mut lag = Lag::default();
    for end in ends.elements() {
        end.error()?;
        let from = usable(&end).map_or_else(|| offset(&begins, end.topic(), end.partition()), Offset::Offset);
        lag.partitions += 1;
        let (Offset::Offset(end), Offset::Offset(from)) = (end.offset(), from) else {
            lag.unknown += 1;
            continue;
        };
        let behind = u64::try_from(end - from).unwrap_or(0);
        lag.sum += behind;
        lag.worst = lag.worst.max(behind);
    }
    Ok(lag)
}

/// Returns the first or the next offset of every partition, with one request to each leader. The request is one for
/// timestamps: brokers treat `Beginning` and `End` as timestamps before and after all others.
fn edge<C: Consumer<X>, X: ConsumerContext>(
    consumer: &C,
    partitions: &TopicPartitionList,
    edge: Offset,
) -> KafkaResult<TopicPartitionList> {
    let mut asked = partitions.clone();
    asked.set_all_offsets(edge)?;
    consumer.offsets_for_times(asked, patience())
}

#[async_trait]
impl Check for KafkaLag {
    async fn check(&self) -> CheckResult {
        let (measure, topics) = (Arc::clone(&self.measure), Arc::clone(&self.topics));
        let lag = self.thread.run(move || patiently(|| measure(&topics))).await??;
        let mut outcome: Outcome = self.limits.judge(lag.sum.into(), "messages behind");
        if lag.unknown > 0 {
            let message = format!("the broker returned no first or last offset for {} partitions", lag.unknown);
            outcome = outcome.worsened(Status::Degraded, Reason::Failed, message);
        }
        Ok(outcome
            .and(self.worst.judge(lag.worst.into(), "messages behind in one partition"))
            .observe_within("lag", lag.sum, "messages", self.limits)
            .observe_within("worst", lag.worst, "messages", self.worst)
            .observe("partitions", lag.partitions, "partitions"))
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The lag of the consumer group is within its limits. It does not prove that a consumer is running."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if !self.has_group {
            return Err(
                ("the consumer has no group, so its lag cannot be measured: set group.id in its configuration"
                    .to_owned())
                .into(),
            );
        }
        if self.topics.is_empty() || self.topics.contains("") {
            return Err(
                ("no topic, or an empty topic name: name at least one topic with .topic(name)".to_owned()).into()
            );
        }
        self.limits.validate_count()?;
        Ok(self.worst.validate_count()?)
    }

    check_settings! {
        limits in limits;
        warn_partition_above: worst.warn_above = number;
        fail_partition_above: worst.fail_above = number;
    }
}

impl fmt::Debug for KafkaLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLag").field("topics", &self.topics).finish_non_exhaustive()
    }
}
