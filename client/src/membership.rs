//! What a member of a classic group says to its coordinator, one request at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use protocol::messages::heartbeat::HeartbeatRequest;
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::assignor::Subscriber;
use crate::group::GroupConfig;
use crate::{ClientError, Cluster, Connection, TopicPartition};

const PROTOCOL_TYPE: &str = "consumer";
/// The version of what members tell each other; the lowest is understood by all and says all we need.
const CONSUMER_PROTOCOL_VERSION: i16 = 0;
/// The last version of OffsetCommit that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 9;
/// The first version of LeaveGroup that names members in a list.
const FIRST_BATCHED_LEAVE: i16 = 3;

/// A group and the connection to whoever coordinates it.
pub(crate) struct Coordinator {
    cluster: Cluster,
    pub(crate) config: GroupConfig,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// Who a member is. Both change with every rebalance.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Empty until the coordinator has given one.
    pub(crate) member_id: String,
    /// −1 outside a generation.
    pub(crate) generation_id: i32,
}

/// What a member knows after a rebalance.
pub(crate) struct Synced {
    /// Its own partitions.
    pub(crate) assigned: Vec<TopicPartition>,
    /// What it dealt out, if it is the leader: how many partitions each topic had.
    pub(crate) dealt: Option<BTreeMap<String, i32>>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity { member_id: String::new(), generation_id: -1 }
    }
}

impl Coordinator {
    pub(crate) fn new(cluster: &Cluster, config: GroupConfig) -> Coordinator {
        Coordinator { cluster: cluster.clone(), config, connection: Mutex::default() }
    }

    /// Joins; waits for the other members.
    pub(crate) async fn join(&self, member_id: &str) -> Result<JoinGroupResponse, ClientError> {
        let subscription = ConsumerProtocolSubscription { topics: self.config.topics.clone(), ..Default::default() };
        let protocol = JoinGroupRequestProtocol {
            name: self.config.assignor.name().into(),
            metadata: internal::encode(&subscription, CONSUMER_PROTOCOL_VERSION),
        };
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: member_id.into(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![protocol],
            reason: None,
        };
        // The coordinator waits for the slowest member, and for the first ones to gather.
        let parked = self.config.rebalance_timeout.saturating_add(self.config.session_timeout);
        self.send(&request, i16::MAX, parked).await
    }

    /// Tells the assignment, if `joined` says that this member is to make it, and learns its own part.
    pub(crate) async fn sync(&self, joined: &JoinGroupResponse) -> Result<Synced, ClientError> {
        let is_leader = joined.leader == joined.member_id && !joined.skip_assignment;
        let mut members = Vec::new();
        let mut dealt = None;
        if is_leader {
            members = subscribers(joined)?;
            let topics = members.iter().flat_map(|member| &member.topics);
            dealt = Some(self.partition_counts(topics).await?);
        }
        let assignments = self.config.assignor.assign(members, dealt.as_ref().unwrap_or(&BTreeMap::new()));
        let assignment =
            |(member_id, places)| SyncGroupRequestAssignment { member_id, assignment: write_assignment(places) };
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(self.config.assignor.name().into()),
            assignments: assignments.into_iter().map(assignment).collect(),
        };
        let answer = self.send(&request, i16::MAX, self.config.rebalance_timeout).await?;
        self.check("SyncGroup", answer.error_code)?;
        Ok(Synced { assigned: self.read_assignment(answer.assignment)?, dealt })
    }

    /// How many partitions each topic has. A topic that does not exist yet is left out.
    pub(crate) async fn partition_counts<'t>(
        &self,
        topics: impl Iterator<Item = &'t String>,
    ) -> Result<BTreeMap<String, i32>, ClientError> {
        let mut names: Vec<&str> = topics.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let mut counts = BTreeMap::new();
        for topic in self.cluster.topics(Some(&names)).await? {
            match topic {
                Ok(topic) => {
                    counts.insert(topic.name.to_string(), topic.partition_count());
                }
                Err(error) => tracing::warn!(%error, "nobody in the group reads the topic"),
            }
        }
        Ok(counts)
    }

    fn read_assignment(&self, bytes: Bytes) -> Result<Vec<TopicPartition>, ClientError> {
        // A leader that left a member out says nothing at all.
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let assignment: ConsumerProtocolAssignment =
            internal::decode_or_newer(bytes).map_err(|error| ClientError::Corrupt {
                what: format!("the assignment of a member of group {}", self.config.group_id),
                reason: error.to_string(),
            })?;
        let mut places = Vec::new();
        for topic in assignment.assigned_partitions {
            let name: Arc<str> = topic.topic.into();
            places.extend(topic.partitions.into_iter().map(|index| TopicPartition::new(Arc::clone(&name), index)));
        }
        Ok(places)
    }

    /// Says that this member is alive.
    pub(crate) async fn heartbeat(&self, identity: &Identity) -> Result<(), ClientError> {
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: identity.generation_id,
            member_id: identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
        };
        let answer = self.send(&request, i16::MAX, Duration::ZERO).await?;
        self.check("Heartbeat", answer.error_code)
    }

    /// Commits where the next records are.
    pub(crate) async fn commit(
        &self,
        identity: &Identity,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), ClientError> {
        let mut topics: BTreeMap<&str, OffsetCommitRequestTopic> = BTreeMap::new();
        for (place, offset) in offsets {
            let topic = topics
                .entry(&place.topic)
                .or_insert_with(|| OffsetCommitRequestTopic { name: place.topic.to_string(), ..Default::default() });
            topic.partitions.push(OffsetCommitRequestPartition {
                partition_index: place.partition,
                committed_offset: *offset,
                committed_metadata: Some(String::new()),
                ..Default::default()
            });
        }
        let request = OffsetCommitRequest {
            group_id: self.config.group_id.clone(),
            generation_id_or_member_epoch: identity.generation_id,
            member_id: identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            topics: topics.into_values().collect(),
            ..Default::default()
        };
        let answer: OffsetCommitResponse = self.send(&request, LAST_NAME_VERSION, Duration::ZERO).await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let what = format!("OffsetCommit of {}-{}", topic.name, partition.partition_index);
                self.check(&what, partition.error_code)?;
            }
        }
        Ok(())
    }

    /// Leaves, so that the others need not wait until the session is over.
    pub(crate) async fn leave(&self, identity: &Identity) -> Result<(), ClientError> {
        let member = MemberIdentity {
            member_id: identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: self.config.group_id.clone(),
            member_id: identity.member_id.clone(),
            members: vec![member],
        };
        let connection = self.connection().await?;
        let version = connection.version_up_to::<LeaveGroupRequest>(i16::MAX)?;
        let answer = connection.send_version(&request, version).await?;
        self.check("LeaveGroup", answer.error_code)?;
        if version >= FIRST_BATCHED_LEAVE {
            answer.members.iter().try_for_each(|member| self.check("LeaveGroup", member.error_code))?;
        }
        Ok(())
    }

    async fn send<R: Request>(&self, request: &R, newest: i16, parked: Duration) -> Result<R::Response, ClientError> {
        let connection = self.connection().await?;
        connection.send_parked(request, connection.version_up_to::<R>(newest)?, parked).await
    }

    async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        if let Some(connection) = self.slot().as_ref().filter(|connection| connection.is_open()) {
            return Ok(Arc::clone(connection));
        }
        let connection = self.cluster.member_connection(&self.config.group_id).await?;
        *self.slot() = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// An error code as an error. A broker that does not coordinate the group any more is asked no more.
    pub(crate) fn check(&self, what: &str, code: ErrorCode) -> Result<(), ClientError> {
        if code == ErrorCode::NOT_COORDINATOR || code == ErrorCode::COORDINATOR_NOT_AVAILABLE {
            *self.slot() = None;
        }
        ClientError::check(format!("{what} in group {}", self.config.group_id), code, None)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The members of a group and what each wants, as only the leader learns.
fn subscribers(joined: &JoinGroupResponse) -> Result<Vec<Subscriber>, ClientError> {
    let mut members = Vec::with_capacity(joined.members.len());
    for member in &joined.members {
        let subscription: ConsumerProtocolSubscription =
            internal::decode_or_newer(member.metadata.clone()).map_err(|error| ClientError::Corrupt {
                what: format!("the subscription of member {}", member.member_id),
                reason: error.to_string(),
            })?;
        members.push(Subscriber {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            topics: subscription.topics,
        });
    }
    Ok(members)
}

fn write_assignment(places: Vec<TopicPartition>) -> Bytes {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    places.into_iter().for_each(|place| topics.entry(place.topic).or_default().push(place.partition));
    let topics =
        topics.into_iter().map(|(topic, partitions)| internal::TopicPartition { topic: topic.to_string(), partitions });
    let assignment = ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None };
    internal::encode(&assignment, CONSUMER_PROTOCOL_VERSION)
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
