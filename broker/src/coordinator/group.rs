//! The door to the group coordinators: which partition of `__consumer_offsets` keeps a group, and its coordinator.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use protocol::{ErrorCode, Uuid};
use state::group::{GroupConfig, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse};
use storage::TxnMarker;
use tokio::sync::oneshot;

use super::loading::LoadTimes;
use super::partition_for;
use super::patterns;
use super::runtime::{self, Coordinator, InTransaction, RecordCodec};
use crate::broker::Broker;
use crate::context::Context;
use crate::controller;
use crate::partition::Partition;

/// Holds committed offsets and group memberships, in Kafka's own record formats.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How long its coordinators took to load.
pub(crate) static GROUP_LOADS: LoadTimes = LoadTimes::new();

struct GroupRecords;

impl RecordCodec<GroupRecord> for GroupRecords {
    fn encode(&self, record: &GroupRecord) -> Option<(Bytes, Option<Bytes>)> {
        record.encode()
    }

    fn decode(&self, key: &[u8], value: Option<&[u8]>, producer: Option<(i64, i16)>) -> Option<GroupRecord> {
        GroupRecord::decode(key, value, producer).ok()
    }

    fn transaction_end(&self, producer_id: i64, committed: bool) -> Option<GroupRecord> {
        Some(GroupRecord::TxnEnd { producer_id, committed })
    }
}

/// The coordinators that run on this broker, started when first asked.
#[derive(Default)]
pub(crate) struct Groups {
    running: DashMap<(Uuid, i32), Coordinator<GroupCoordinator>>,
}

impl Groups {
    /// The broker that keeps `group_id`. Creates the offsets topic if there is none yet.
    ///
    /// # Errors
    /// What creating the topic said, or `COORDINATOR_NOT_AVAILABLE`.
    pub(crate) async fn coordinator_of(&self, broker: &Arc<Broker>, group_id: &str) -> Result<i32, ErrorCode> {
        let (id, index) = self.place(broker, group_id).await?;
        let image = broker.image();
        let topic = image.topic_by_id(id).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        let partition = topic.partitions.get(index as usize).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        if partition.leader < 0 { Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) } else { Ok(partition.leader) }
    }

    /// Submits a request about `group_id`. The receiver fails when the answer cannot be known; see [`answer`].
    ///
    /// # Errors
    /// `NOT_COORDINATOR` and what [`Groups::coordinator_of`] says.
    pub(crate) async fn submit(
        &self,
        broker: &Arc<Broker>,
        group_id: &str,
        request: GroupRequest,
    ) -> Result<oneshot::Receiver<GroupResponse>, ErrorCode> {
        let (id, index) = self.place(broker, group_id).await?;
        let coordinator = self.coordinator(broker, id, index)?;
        Ok(coordinator.submit(request).await)
    }

    /// Submits a request about `group_id` whose records are part of a transaction.
    ///
    /// # Errors
    /// As [`Groups::submit`].
    pub(crate) async fn submit_in_transaction(
        &self,
        broker: &Arc<Broker>,
        group_id: &str,
        asked: InTransaction<GroupCoordinator>,
    ) -> Result<oneshot::Receiver<GroupResponse>, ErrorCode> {
        let (id, index) = self.place(broker, group_id).await?;
        let coordinator = self.coordinator(broker, id, index)?;
        Ok(coordinator.submit_in_transaction(asked).await)
    }

    /// The partition that keeps `group_id`, here.
    ///
    /// # Errors
    /// As [`Groups::submit`].
    pub(crate) async fn partition_of(&self, broker: &Arc<Broker>, group_id: &str) -> Result<Arc<Partition>, ErrorCode> {
        let (id, index) = self.place(broker, group_id).await?;
        led(broker, id, index)
    }

    /// Ends a producer's transaction in the partition `index` of the offsets topic. The receiver resolves when that is
    /// durable; it fails when the coordinator loads again.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, and as [`Groups::submit`].
    pub(crate) async fn submit_marker(
        &self,
        broker: &Arc<Broker>,
        index: i32,
        marker: TxnMarker,
    ) -> Result<oneshot::Receiver<Result<(), ErrorCode>>, ErrorCode> {
        let image = broker.image();
        let topic = image.topic(OFFSETS_TOPIC).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if !(0..topic.partitions.len() as i32).contains(&index) {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let coordinator = self.coordinator(broker, topic.id, index)?;
        Ok(coordinator.submit_marker(marker).await)
    }

    /// Submits a request to every coordinator of this broker that has anything in its log.
    pub(crate) async fn submit_to_all(
        &self,
        broker: &Arc<Broker>,
        request: impl Fn() -> GroupRequest,
    ) -> Vec<oneshot::Receiver<GroupResponse>> {
        let image = broker.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return Vec::new() };
        let mut receivers = Vec::new();
        for index in 0..topic.partitions.len() as i32 {
            let running = self.running.contains_key(&(topic.id, index));
            let has_data = || broker.partitions().leader_by_id(topic.id, index).is_ok_and(|p| p.log_end_offset() > 0);
            if (running || has_data())
                && let Ok(coordinator) = self.coordinator(broker, topic.id, index)
            {
                receivers.push(coordinator.submit(request()).await);
            }
        }
        receivers
    }

    /// Starts the coordinators whose log has records, so that deadlines (offset retention, session time-outs of
    /// members that were alive before a restart) run without anybody asking.
    pub(crate) fn start_existing(&self, broker: &Arc<Broker>) {
        let image = broker.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return };
        for index in 0..topic.partitions.len() as i32 {
            if broker.partitions().leader_by_id(topic.id, index).is_ok_and(|p| p.log_end_offset() > 0) {
                // An error is a damaged log, which was logged; requests for its groups get the code.
                let _ = self.coordinator(broker, topic.id, index);
            }
        }
    }

    /// Topics are gone: their offsets are forgotten. Returns when every coordinator has been told.
    pub(crate) async fn topics_deleted(&self, broker: &Arc<Broker>, names: Vec<String>) {
        for receiver in self.submit_to_all(broker, || GroupRequest::TopicsDeleted(names.clone())).await {
            // One that has to load again keeps them, as Apache Kafka's does: until they expire.
            let _ = receiver.await;
        }
    }

    async fn place(&self, broker: &Arc<Broker>, group_id: &str) -> Result<(Uuid, i32), ErrorCode> {
        let topic = controller::offsets_topic(broker).await?;
        Ok((topic.id, partition_for(group_id, topic.partitions.len() as i32)))
    }

    fn coordinator(
        &self,
        broker: &Arc<Broker>,
        id: Uuid,
        index: i32,
    ) -> Result<Coordinator<GroupCoordinator>, ErrorCode> {
        if let Some(running) = self.running.get(&(id, index)) {
            return Ok(running.clone());
        }
        let partition = led(broker, id, index)?;
        let started = self.running.entry((id, index)).or_insert_with(|| {
            let config = group_config(broker);
            runtime::spawn(
                partition,
                *broker.clock(),
                GroupRecords,
                move || GroupCoordinator::new(config.clone()).with_patterns(patterns::compile),
                |machine, now, took| {
                    GROUP_LOADS.took(took);
                    machine.on_loaded(now);
                },
                |effect, _, _| match effect {},
            )
        });
        Ok(started.clone())
    }
}

fn led(broker: &Broker, id: Uuid, index: i32) -> Result<Arc<Partition>, ErrorCode> {
    broker.partitions().leader_by_id(id, index).map_err(|code| match code {
        ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        _ => ErrorCode::NOT_COORDINATOR,
    })
}

fn group_config(broker: &Broker) -> GroupConfig {
    broker.config().group.clone()
}

/// Submits a client's request about `group_id`.
///
/// # Errors
/// As [`Groups::submit`].
pub(crate) async fn submit(
    context: &Context,
    group_id: &str,
    request: GroupRequest,
) -> Result<oneshot::Receiver<GroupResponse>, ErrorCode> {
    context.broker.groups().submit(&context.broker, group_id, request).await
}

/// Waits for a coordinator's answer.
///
/// # Errors
/// `COORDINATOR_NOT_AVAILABLE` when it had to reload before it could answer; clients look the coordinator up again.
pub(crate) async fn answer(receiver: oneshot::Receiver<GroupResponse>) -> Result<GroupResponse, ErrorCode> {
    receiver.await.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_live_where_java_puts_them() {
        // From java: Math.abs("group".hashCode()) % 50 and so on; "polygenelubricants" hashes to Integer.MIN_VALUE.
        assert_eq!(
            partition_for("group", 50),
            "group".bytes().fold(0i64, |h, b| (h * 31 + i64::from(b)) & 0xffff_ffff) as i32 % 50
        );
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
    }
}
