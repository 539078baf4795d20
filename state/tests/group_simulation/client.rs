//! A consumer, as the coordinator sees it: one request at a time, and a mind of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{ErrorCode, Uuid};
use state::group::{
    CommitPartition, CommitTopic, Committer, GroupRequest, GroupResponse, HeartbeatRequest, JoinRequest, JoinResponse,
    LeaveRequest, LeavingMember, OffsetCommitRequest, SyncRequest, Topics,
};

pub(crate) const PARTITIONS: i32 = 2;
pub(crate) const TOPICS: [&str; 3] = ["orders", "payments", "stock"];
pub(crate) const HEARTBEAT_MS: u64 = 2_500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Wants in.
    Out,
    /// Knows its generation, wants its assignment.
    Joined,
    /// Has its assignment.
    Stable,
}

pub(crate) struct Client {
    pub(crate) group_id: String,
    pub(crate) instance: Option<String>,
    /// Joins with versions below 4: no KIP-394.
    pub(crate) is_old: bool,
    /// Joins with version 9.
    pub(crate) skips_assignment: bool,
    pub(crate) topics: Vec<&'static str>,
    /// What it last joined with.
    joined_topics: Vec<&'static str>,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) is_running: bool,
    pub(crate) phase: Phase,
    pub(crate) member_id: String,
    pub(crate) generation_id: i32,
    pub(crate) owned: Vec<String>,
    /// What it will hand in as leader.
    plan: Vec<(String, Bytes)>,
    /// The request it waits for, and until when.
    pub(crate) asked: Option<(u64, u64)>,
    pub(crate) next_heartbeat_ms: u64,
    pub(crate) next_try_ms: u64,
    pub(crate) fenced: u64,
}

impl Client {
    pub(crate) fn new(group_id: &str, rng: &mut fastrand::Rng) -> Client {
        Client {
            group_id: group_id.to_owned(),
            instance: rng.bool().then(|| format!("instance-{}", rng.u8(0..3))),
            is_old: rng.u8(0..4) == 0,
            skips_assignment: rng.bool(),
            topics: some_topics(rng),
            joined_topics: Vec::new(),
            session_timeout_ms: rng.i32(6_000..10_000),
            rebalance_timeout_ms: rng.i32(4_000..12_000),
            is_running: rng.bool(),
            phase: Phase::Out,
            member_id: String::new(),
            generation_id: -1,
            owned: Vec::new(),
            plan: Vec::new(),
            asked: None,
            next_heartbeat_ms: 0,
            next_try_ms: 0,
            fenced: 0,
        }
    }

    /// The process dies, and with it all it knew.
    pub(crate) fn crash(&mut self) {
        self.is_running = false;
        self.forget();
        self.asked = None;
    }

    fn forget(&mut self) {
        self.phase = Phase::Out;
        self.member_id.clear();
        self.generation_id = -1;
        self.owned.clear();
    }

    fn join_again(&mut self) {
        self.phase = Phase::Out;
        self.owned.clear();
    }

    /// Whether the application has subscribed anew since it joined.
    pub(crate) fn wants_other_topics(&self) -> bool {
        self.joined_topics != self.topics
    }

    pub(crate) fn join(&mut self, fresh: u64) -> GroupRequest {
        self.joined_topics.clone_from(&self.topics);
        self.join_again();
        let metadata = subscription(&self.topics);
        let fresh_of = self.instance.clone().unwrap_or_else(|| "client".to_owned());
        GroupRequest::Join(JoinRequest {
            group_id: self.group_id.clone(),
            member_id: self.member_id.clone(),
            fresh_member_id: format!("{fresh_of}-{fresh}"),
            group_instance_id: self.instance.clone(),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("sticky".to_owned(), metadata.clone()), ("range".to_owned(), metadata)],
            require_known_member_id: !self.is_old,
            supports_skipping_assignment: self.skips_assignment,
            reason: None,
            topics: Topics::default(),
        })
    }

    pub(crate) fn sync(&self) -> GroupRequest {
        GroupRequest::Sync(SyncRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("sticky".to_owned()),
            assignments: self.plan.clone(),
            topics: Topics::default(),
        })
    }

    pub(crate) fn heartbeat(&self) -> GroupRequest {
        GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
        })
    }

    pub(crate) fn leave(&self) -> GroupRequest {
        let member = LeavingMember {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            reason: Some("going home".to_owned()),
        };
        GroupRequest::Leave(LeaveRequest { group_id: self.group_id.clone(), members: vec![member] })
    }

    /// Commits an offset of a partition it owns.
    pub(crate) fn commit(&self, owned: usize, offset: i64) -> GroupRequest {
        let (topic, partition) = self.owned[owned].split_once(':').expect("topic:partition");
        let committer = Committer {
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
        };
        commit(&self.group_id, committer, topic, partition.parse().expect("a number"), offset)
    }

    /// Takes the answer it waited for; `None` means that the coordinator has moved.
    pub(crate) fn hear(&mut self, response: Option<&GroupResponse>, now_ms: u64) {
        self.asked = None;
        self.next_try_ms = now_ms + 100;
        match response {
            None => {}
            Some(GroupResponse::Join(response)) => self.hear_join(response),
            Some(GroupResponse::Sync(response)) if response.error.is_none() => {
                self.phase = Phase::Stable;
                self.owned = owned_partitions(&response.assignment);
                self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
            }
            Some(GroupResponse::Sync(response)) => self.hear_error(response.error),
            Some(GroupResponse::Heartbeat(error)) => {
                self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
                self.hear_error(*error);
            }
            Some(GroupResponse::OffsetCommit(topics)) => self.hear_error(topics[0].partitions[0].1),
            Some(other) => panic!("not asked for: {other:?}"),
        }
    }

    fn hear_join(&mut self, response: &JoinResponse) {
        if response.error == ErrorCode::MEMBER_ID_REQUIRED {
            self.member_id.clone_from(&response.member_id);
        } else if response.error.is_error() {
            self.hear_error(response.error);
        } else {
            assert_eq!(response.protocol_name.as_deref(), Some("sticky"));
            self.member_id.clone_from(&response.member_id);
            self.generation_id = response.generation_id;
            self.phase = Phase::Joined;
            let leads = response.leader == response.member_id && !response.skip_assignment;
            self.plan = if leads { assign(response) } else { Vec::new() };
        }
    }

    fn hear_error(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID => self.forget(),
            ErrorCode::REBALANCE_IN_PROGRESS => self.join_again(),
            ErrorCode::ILLEGAL_GENERATION => {
                self.join_again();
                self.generation_id = -1;
            }
            ErrorCode::FENCED_INSTANCE_ID => {
                self.fenced += 1;
                self.crash();
            }
            other => panic!("a client cannot go on from {other}"),
        }
    }
}

pub(crate) fn some_topics(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    let mut topics: Vec<&str> = TOPICS.into_iter().filter(|_| rng.bool()).collect();
    if topics.is_empty() {
        topics.push(TOPICS[rng.usize(0..TOPICS.len())]);
    }
    topics
}

pub(crate) fn commit(
    group_id: &str,
    committer: Committer,
    topic: &str,
    partition_index: i32,
    offset: i64,
) -> GroupRequest {
    let partitions = vec![CommitPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 1,
        commit_timestamp_ms: None,
        committed_metadata: None,
    }];
    GroupRequest::OffsetCommit(OffsetCommitRequest {
        group_id: group_id.to_owned(),
        committer,
        retention_time_ms: None,
        knows_group_id_not_found: false,
        topics: vec![CommitTopic { name: topic.to_owned(), topic_id: Uuid::ZERO, partitions }],
    })
}

/// Deals the partitions of each topic to those who subscribe to it.
fn assign(response: &JoinResponse) -> Vec<(String, Bytes)> {
    let mut plan: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for topic in TOPICS {
        let readers = response.members.iter().filter(|member| topics_of(&member.metadata).iter().any(|t| t == topic));
        let readers: Vec<&str> = readers.map(|member| member.member_id.as_str()).collect();
        for (partition, reader) in (0..PARTITIONS).zip(readers.iter().cycle()) {
            plan.entry(reader).or_default().push(format!("{topic}:{partition}"));
        }
    }
    plan.into_iter().map(|(member_id, owned)| (member_id.to_owned(), Bytes::from(owned.join(",")))).collect()
}

/// The partitions in an assignment, as `topic:partition`.
pub(crate) fn owned_partitions(assignment: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(assignment).expect("our own assignments are text");
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, u8::try_from(topics.len()).expect("few topics")];
    for topic in topics {
        bytes.extend([0, u8::try_from(topic.len()).expect("short names")]);
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    Bytes::from(bytes)
}

/// The topics in a subscription.
pub(crate) fn topics_of(metadata: &[u8]) -> Vec<String> {
    let count = metadata.get(5).copied().unwrap_or(0);
    let mut rest = metadata.get(6..).unwrap_or_default();
    let mut topics = Vec::new();
    for _ in 0..count {
        let (name, after) = rest[2..].split_at(usize::from(rest[1]));
        topics.push(String::from_utf8(name.to_vec()).expect("our own subscriptions are text"));
        rest = after;
    }
    topics
}
