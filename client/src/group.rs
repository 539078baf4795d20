//! Reading as a member of a classic consumer group.
//!
//! Partitions are given up before every rebalance (the eager protocol).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::messages::join_group::JoinGroupResponse;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::membership::{Coordinator, Identity, Synced};
use crate::retry::Retries;
use crate::{
    Assignor, ClientError, Cluster, Consumer, FetchedRecord, Isolation, StartOffset, TopicPartition, fetch_committed,
    list_offsets,
};

/// How a member behaves. [`GroupConfig::new`] has the defaults of Kafka's consumer.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The group.
    pub group_id: String,
    /// What to read.
    pub topics: Vec<String>,
    /// Where to begin when the group has committed nothing.
    pub start: StartOffset,
    /// Whether a partition without a position, or with one that is gone, is an error instead (auto.offset.reset=none).
    pub needs_position: bool,
    /// Which records are seen.
    pub isolation: Isolation,
    /// How partitions are dealt.
    pub assignor: Assignor,
    /// A member that is silent for so long is taken for dead.
    pub session_timeout: Duration,
    /// How long the others wait in a rebalance until this member joins again.
    pub rebalance_timeout: Duration,
    /// How often to say that one is alive; well below the session's timeout.
    pub heartbeat_interval: Duration,
    /// How often the leader of the group looks whether topics have appeared, gone or grown.
    pub metadata_interval: Duration,
    /// How often [`GroupConsumer::next`] commits what it gave out before; never, if not set.
    pub commit_interval: Option<Duration>,
    /// A name that lasts over restarts (KIP-345): a member that comes back in time gets its partitions back without a
    /// rebalance, and leaving is left to the session's timeout.
    pub group_instance_id: Option<String>,
}

impl GroupConfig {
    /// A member with the defaults of Kafka's consumer: 45 s session, 5 min rebalance, 3 s heartbeat, a look at the
    /// topics every 5 min, a commit every 5 s, and a start at the end.
    pub fn new(group_id: &str, topics: &[&str]) -> GroupConfig {
        GroupConfig {
            group_id: group_id.into(),
            topics: topics.iter().map(|topic| topic.to_string()).collect(),
            start: StartOffset::Latest,
            needs_position: false,
            isolation: Isolation::ReadUncommitted,
            assignor: Assignor::Range,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(3),
            metadata_interval: Duration::from_secs(300),
            commit_interval: Some(Duration::from_secs(5)),
            group_instance_id: None,
        }
    }
}

/// What happens to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The group rebalances: these partitions are no longer ours. Also said when there were none.
    Revoked(Vec<TopicPartition>),
    /// The group has rebalanced, and these partitions are ours.
    Assigned(Vec<TopicPartition>),
    /// A record of one of our partitions.
    Record(FetchedRecord),
}

/// A member of a classic consumer group.
pub struct GroupConsumer {
    cluster: Cluster,
    coordinator: Arc<Coordinator>,
    identity: Identity,
    consumer: Consumer,
    heart: Option<Heart>,
    /// What the group knows of our positions.
    committed: BTreeMap<TopicPartition, i64>,
    next_commit: Option<Instant>,
}

/// The task that says we are alive, as long as this exists.
struct Heart {
    task: JoinHandle<()>,
    /// Why it stopped; nothing while it beats.
    stopped: watch::Receiver<Option<ErrorCode>>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GroupConsumer {
    /// A consumer that joins its group with the first [`GroupConsumer::next`].
    pub fn new(cluster: &Cluster, config: GroupConfig) -> GroupConsumer {
        GroupConsumer {
            cluster: cluster.clone(),
            consumer: Consumer::new(cluster).isolation(config.isolation),
            coordinator: Arc::new(Coordinator::new(cluster, config)),
            identity: Identity::default(),
            heart: None,
            committed: BTreeMap::new(),
            next_commit: None,
        }
    }

    /// The partitions that are ours in this generation.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.consumer.assignment()
    }

    /// The generation we are in, −1 outside of any.
    pub fn generation_id(&self) -> i32 {
        self.identity.generation_id
    }

    /// The name that the coordinator gave us; empty before we joined.
    pub fn member_id(&self) -> &str {
        &self.identity.member_id
    }

    /// Whether we are in a generation and have given out everything there was.
    pub fn is_caught_up(&self) -> bool {
        self.heart.is_some() && self.consumer.is_caught_up()
    }

    /// The next record of our partitions, or `None` if none came within `wait`. Joins the group, and joins it again when
    /// it rebalances, which may take longer than `wait`. May be cancelled: no record is lost.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<FetchedRecord>, ClientError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.next_event(deadline.saturating_duration_since(Instant::now())).await? {
                Some(GroupEvent::Record(record)) => return Ok(Some(record)),
                Some(GroupEvent::Revoked(_) | GroupEvent::Assigned(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// As [`GroupConsumer::next`], for whoever wants to hear of rebalances too: a rebalance is said when the partitions
    /// are lost, before the group is joined again.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn next_event(&mut self, wait: Duration) -> Result<Option<GroupEvent>, ClientError> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(heart) = &self.heart
                && heart.has_stopped()
            {
                return Ok(Some(GroupEvent::Revoked(self.give_up_partitions().await)));
            }
            if self.heart.is_none() {
                self.become_member().await?;
                return Ok(Some(GroupEvent::Assigned(self.assignment().cloned().collect())));
            }
            self.commit_if_due().await;
            let Some(heart) = &mut self.heart else { continue };
            let mut stopped = heart.stopped.clone();
            tokio::select! {
                biased;
                // Either the heart stopped or its task is gone; both end in a look at it.
                _ = stopped.wait_for(Option::is_some) => {}
                record = self.consumer.next(deadline.saturating_duration_since(Instant::now())) => {
                    return Ok(record?.map(GroupEvent::Record));
                }
            }
        }
    }

    /// Commits the position behind the last record that [`GroupConsumer::next`] gave out, for each partition.
    ///
    /// # Errors
    /// [`ClientError`], after retries. ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID and REBALANCE_IN_PROGRESS say that the group
    /// has gone on without us: the records will come to somebody again.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        let positions = self.consumer.positions();
        let changed = |(place, offset): &(TopicPartition, i64)| self.committed.get(place) != Some(offset);
        let changed: BTreeMap<_, _> = positions.into_iter().filter(changed).collect();
        self.commit_at(changed).await
    }

    /// Commits these positions: for each partition, the offset of the next record to read.
    ///
    /// # Errors
    /// As [`GroupConsumer::commit`].
    pub async fn commit_at(&mut self, changed: BTreeMap<TopicPartition, i64>) -> Result<(), ClientError> {
        if changed.is_empty() || self.identity.generation_id < 0 {
            return Ok(());
        }
        let mut retries = Retries::default();
        while let Err(failure) = self.coordinator.commit(&self.identity, &changed).await {
            match failure.code() {
                Some(ErrorCode::REBALANCE_IN_PROGRESS) => return Err(failure),
                _ => retries.after(failure).await?,
            }
        }
        self.committed.extend(changed);
        Ok(())
    }

    /// Wants these topics from now on. If they are others than before, the group rebalances.
    pub async fn subscribe(&mut self, topics: &[String]) {
        let config = &self.coordinator.config;
        if config.topics == topics {
            return;
        }
        let config = GroupConfig { topics: topics.to_vec(), ..config.clone() };
        if config.commit_interval.is_some()
            && let Err(error) = self.commit().await
        {
            tracing::warn!(%error, "the positions are not committed before the rebalance");
        }
        self.heart = None;
        self.consumer.assign_at(BTreeMap::new(), None);
        self.coordinator = Arc::new(Coordinator::new(&self.cluster, config));
    }

    /// Commits, if this member commits on its own, and leaves the group.
    ///
    /// # Errors
    /// [`ClientError`]; the group notices the absence when the session is over.
    pub async fn leave(mut self) -> Result<(), ClientError> {
        let committed = match self.coordinator.config.commit_interval {
            Some(_) => self.commit().await,
            None => Ok(()),
        };
        self.heart = None;
        let is_static = self.coordinator.config.group_instance_id.is_some();
        let left = match self.identity.member_id.is_empty() || is_static {
            true => Ok(()),
            false => self.coordinator.leave(&self.identity).await,
        };
        committed.and(left)
    }

    async fn commit_if_due(&mut self) {
        let Some(interval) = self.coordinator.config.commit_interval else { return };
        let now = Instant::now();
        if self.next_commit.is_some_and(|due| now >= due) {
            if let Err(error) = self.commit().await {
                tracing::warn!(%error, "the positions are not committed");
            }
            self.next_commit = Some(now + interval);
        }
    }

    /// Notes that the group goes on without us; answers what was ours.
    async fn give_up_partitions(&mut self) -> Vec<TopicPartition> {
        let stopped = self.heart.as_ref().and_then(|heart| *heart.stopped.borrow());
        if stopped == Some(ErrorCode::REBALANCE_IN_PROGRESS) && self.coordinator.config.commit_interval.is_some() {
            // The last moment before the partitions are somebody else's.
            if let Err(error) = self.commit().await {
                tracing::warn!(%error, "the positions are not committed before the rebalance");
            }
        }
        self.heart = None;
        if let Some(code) = stopped {
            self.note_loss(code);
        }
        let lost = self.assignment().cloned().collect();
        self.consumer.assign_at(BTreeMap::new(), None);
        lost
    }

    /// Joins the group, as often as it takes.
    async fn become_member(&mut self) -> Result<(), ClientError> {
        let mut retries = Retries::default();
        loop {
            let failure = match self.join().await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match failure.code() {
                Some(ErrorCode::MEMBER_ID_REQUIRED) => {}
                Some(code @ (ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION)) => {
                    self.note_loss(code);
                    retries.after_any(failure).await?;
                }
                Some(ErrorCode::REBALANCE_IN_PROGRESS) => retries.after_any(failure).await?,
                _ => retries.after(failure).await?,
            }
        }
    }

    fn note_loss(&mut self, code: ErrorCode) {
        self.identity.generation_id = -1;
        if code == ErrorCode::UNKNOWN_MEMBER_ID {
            self.identity.member_id.clear();
        }
    }

    /// One attempt: join, sync, find out where to begin, and start the heart.
    async fn join(&mut self) -> Result<(), ClientError> {
        let joined: JoinGroupResponse = self.coordinator.join(&self.identity.member_id).await?;
        if !joined.member_id.is_empty() {
            self.identity.member_id.clone_from(&joined.member_id);
        }
        self.coordinator.check("JoinGroup", joined.error_code)?;
        self.identity.generation_id = joined.generation_id;
        let Synced { assigned, dealt } = self.coordinator.sync(&joined).await?;
        let heart = Heart::start(Arc::clone(&self.coordinator), self.identity.clone(), dealt);
        let start = self.coordinator.config.start;
        let group_id = &self.coordinator.config.group_id;
        let committed = match assigned.is_empty() {
            true => BTreeMap::new(),
            false => fetch_committed(&self.cluster, group_id, Some(&assigned)).await?,
        };
        let fresh: Vec<_> = assigned.iter().filter(|place| !committed.contains_key(*place)).cloned().collect();
        let needs_position = self.coordinator.config.needs_position;
        if needs_position && let Some(place) = fresh.first() {
            return Err(ClientError::NoPosition { group_id: group_id.clone(), place: place.clone() });
        }
        let mut positions = list_offsets(&self.cluster, &fresh, start).await?;
        self.committed = committed.into_iter().map(|(place, committed)| (place, committed.offset)).collect();
        positions.extend(self.committed.iter().map(|(place, offset)| (place.clone(), *offset)));
        let can_reset = matches!(start, StartOffset::Earliest | StartOffset::Latest) && !needs_position;
        let reset = can_reset.then_some(start);
        self.consumer.assign_at(positions, reset);
        self.next_commit = self.coordinator.config.commit_interval.map(|interval| Instant::now() + interval);
        self.heart = Some(heart);
        Ok(())
    }
}

impl Heart {
    fn start(coordinator: Arc<Coordinator>, identity: Identity, dealt: Option<BTreeMap<String, i32>>) -> Heart {
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(async move {
            let code = tokio::select! {
                code = beat(&coordinator, &identity) => code,
                code = watch_topics(&coordinator, dealt) => code,
            };
            let _ = stop.send(Some(code));
        });
        Heart { task, stopped }
    }

    fn has_stopped(&self) -> bool {
        self.stopped.borrow().is_some() || self.task.is_finished()
    }
}

/// Says that we are alive until it is no use any more; answers why.
async fn beat(coordinator: &Coordinator, identity: &Identity) -> ErrorCode {
    let mut retries = Retries::default();
    loop {
        tokio::time::sleep(coordinator.config.heartbeat_interval).await;
        let Err(failure) = coordinator.heartbeat(identity).await else {
            retries.reset();
            continue;
        };
        let code = failure.code().unwrap_or(ErrorCode::NETWORK_EXCEPTION);
        if code == ErrorCode::REBALANCE_IN_PROGRESS || retries.after(failure).await.is_err() {
            return code;
        }
    }
}

/// Ends when the topics are not what the leader dealt out: it has to join again, and with it everybody.
async fn watch_topics(coordinator: &Coordinator, dealt: Option<BTreeMap<String, i32>>) -> ErrorCode {
    let Some(dealt) = dealt else { return std::future::pending().await };
    loop {
        tokio::time::sleep(coordinator.config.metadata_interval).await;
        // Others' topics that did not exist are not in `dealt`; ours are asked for in any case.
        let names = dealt.keys().chain(&coordinator.config.topics);
        match coordinator.partition_counts(names).await {
            Ok(now) if now != dealt => return ErrorCode::REBALANCE_IN_PROGRESS,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the topics cannot be looked at"),
        }
    }
}
