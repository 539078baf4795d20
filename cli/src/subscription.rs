//! Which partitions a reader reads, while topics come and grow.

use std::collections::BTreeSet;
use std::time::Duration;

use client::{ClientError, Cluster, Isolation, TopicPartition};
use protocol::ErrorCode;
use tokio::time::Instant;

use crate::admin::topics;
use crate::arguments::ReadArgs;
use crate::faces::Pattern;

/// How often to look for topics and partitions that are new, as Kafka's clients do (metadata.max.age.ms).
const LOOK_INTERVAL: Duration = Duration::from_secs(300);
/// The same after a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the face of a tool can say about reading, beyond `ottla consume`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadSettings {
    /// Read the topics of these names, also those that are made later.
    pub(crate) include: Option<Pattern>,
    /// Also those that the cluster keeps for itself.
    pub(crate) include_internal: bool,
    /// How often to look for what is new.
    pub(crate) look_interval: Option<Duration>,
    pub(crate) isolation: Isolation,
}

/// What is read, by name or by pattern.
pub(crate) struct Subscription {
    args: ReadArgs,
    /// The topics there are of those that are wanted.
    pub(crate) topics: Vec<String>,
    known: BTreeSet<TopicPartition>,
    next_look: Option<Instant>,
}

impl Subscription {
    /// Finds the partitions that are to be read.
    ///
    /// # Errors
    /// [`ClientError`]; when a topic or partition that was named is not there.
    pub(crate) async fn open(
        cluster: &Cluster,
        args: &ReadArgs,
    ) -> Result<(Subscription, Vec<TopicPartition>), ClientError> {
        for name in &args.topics {
            let topic = match args.create {
                true => cluster.topic_or_create(name).await?,
                false => cluster.topic(name).await?,
            };
            for wanted in &args.partition {
                if !topic.partitions.iter().any(|known| known.index == *wanted) {
                    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    ClientError::check(format!("{name}-{wanted}"), code, None)?;
                }
            }
        }
        let mut subscription =
            Subscription { args: args.clone(), topics: args.topics.clone(), known: BTreeSet::new(), next_look: None };
        let found = subscription.look(cluster).await?;
        Ok((subscription, found))
    }

    /// When to look again; never, if exactly these partitions or offsets are wanted.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Looks again a little later, since nobody answered.
    pub(crate) fn postpone(&mut self) {
        self.next_look = Some(Instant::now() + LOOK_AGAIN);
    }

    /// The partitions that were not there the last time. A topic that is gone keeps its place, in case it comes back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn look(&mut self, cluster: &Cluster) -> Result<Vec<TopicPartition>, ClientError> {
        if let Some(pattern) = &self.args.settings.include {
            let is_wanted = |topic: &topics::TopicName| {
                (self.args.settings.include_internal || !topic.is_internal) && pattern.matches(&topic.name)
            };
            let listed = topics::list(cluster).await?;
            self.topics = listed.into_iter().filter(is_wanted).map(|topic| topic.name).collect();
        }
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let mut fresh = Vec::new();
        if !names.is_empty() {
            // What cannot be seen now may be seen at the next look.
            for topic in cluster.topics(Some(&names)).await?.into_iter().flatten() {
                let is_wanted = |index| self.args.partition.is_empty() || self.args.partition.contains(&index);
                fresh.extend(topic.all_partitions().filter(|place| is_wanted(place.partition)));
            }
        }
        fresh.retain(|place| self.known.insert(place.clone()));
        let is_fixed = !self.args.partition.is_empty() || self.args.offset.is_some();
        let interval = self.args.settings.look_interval.unwrap_or(LOOK_INTERVAL);
        self.next_look = (!is_fixed).then(|| Instant::now() + interval);
        Ok(fresh)
    }
}
