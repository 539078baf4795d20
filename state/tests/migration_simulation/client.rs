//! A consumer of either protocol, as real ones behave.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};
use protocol::{ErrorCode, Uuid};
use state::group::{
    ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, GroupRequest, HeartbeatRequest, JoinRequest, JoinResponse,
    SyncRequest, SyncResponse, Topics,
};

pub(crate) const TOPICS: [&str; 2] = ["a", "b"];

pub(crate) fn id(topic: usize) -> Uuid {
    Uuid([topic as u8 + 1; 16])
}

/// How a client works.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Consumer,
    /// Classic, and gives everything back before it joins again.
    Eager,
    /// Classic, and keeps on reading until it is told what to give back.
    Cooperative,
}

/// What a classic client waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Out,
    Joining(u64),
    Syncing(u64),
    In,
}

pub(crate) struct Client {
    pub(crate) speaks: Speaks,
    pub(crate) name: String,
    /// Empty until a classic client is told.
    pub(crate) member_id: String,
    /// Or the generation. 0 when it is not in.
    pub(crate) epoch: i32,
    pub(crate) reads: BTreeSet<(usize, i32)>,
    pub(crate) phase: Phase,
    says_everything: bool,
    /// From the leader, until it has sent it.
    plan: Vec<(String, Bytes)>,
}

impl Client {
    pub(crate) fn new(speaks: Speaks, name: String) -> Client {
        let member_id = if speaks == Speaks::Consumer { name.clone() } else { String::new() };
        Client {
            speaks,
            name,
            member_id,
            epoch: 0,
            reads: BTreeSet::new(),
            phase: Phase::Out,
            says_everything: true,
            plan: Vec::new(),
        }
    }

    pub(crate) fn is_consumer(&self) -> bool {
        self.speaks == Speaks::Consumer
    }

    /// It has lost its membership and knows it.
    pub(crate) fn is_out(&mut self) {
        self.reads.clear();
        self.epoch = 0;
        self.phase = Phase::Out;
        self.says_everything = true;
        if !self.is_consumer() {
            self.member_id.clear();
        }
    }

    /// No answer came.
    pub(crate) fn heard_nothing(&mut self) {
        self.says_everything = true;
        if matches!(self.phase, Phase::Joining(_) | Phase::Syncing(_)) {
            self.phase = Phase::Out;
        }
    }

    pub(crate) fn consumer_heartbeat(&self, epoch: i32, topics: &Topics) -> ConsumerHeartbeatRequest {
        let full = self.says_everything || epoch == 0;
        let mut owned = BTreeMap::<Uuid, Vec<i32>>::new();
        for (topic, partition) in &self.reads {
            owned.entry(id(*topic)).or_default().push(*partition);
        }
        ConsumerHeartbeatRequest {
            group_id: "g".into(),
            member_id: self.member_id.clone(),
            fresh_member_id: String::new(),
            member_epoch: epoch,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: full.then_some(60_000),
            subscribed_topic_names: full.then(|| TOPICS.map(str::to_owned).to_vec()),
            subscribed_topic_regex: None,
            server_assignor: None,
            owned_partitions: full.then(|| owned.into_iter().collect()),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            topics: topics.clone(),
        }
    }

    /// Whether it has to give something back.
    pub(crate) fn consumer_answer(&mut self, answer: ConsumerHeartbeatResponse) -> bool {
        match answer.error {
            ErrorCode::NONE => {}
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.is_out();
                return false;
            }
            other => panic!("{other:?} {:?}", answer.error_message),
        }
        self.epoch = answer.member_epoch;
        self.says_everything = false;
        let Some(assignment) = answer.assignment else { return false };
        let topic = |wanted: &Uuid| (0..TOPICS.len()).find(|topic| id(*topic) == *wanted).unwrap();
        let assigned = assignment.iter().flat_map(|(id, partitions)| partitions.iter().map(move |p| (topic(id), *p)));
        let assigned: BTreeSet<(usize, i32)> = assigned.collect();
        let gives_back = !self.reads.is_subset(&assigned);
        self.says_everything = gives_back;
        self.reads = assigned;
        gives_back
    }

    pub(crate) fn join(&mut self, fresh: u64, topics: &Topics) -> GroupRequest {
        if self.speaks == Speaks::Eager {
            self.reads.clear();
        }
        let subscription = ConsumerProtocolSubscription {
            topics: TOPICS.map(str::to_owned).to_vec(),
            owned_partitions: named(&self.reads),
            generation_id: self.epoch,
            ..Default::default()
        };
        GroupRequest::Join(JoinRequest {
            group_id: "g".into(),
            member_id: self.member_id.clone(),
            fresh_member_id: format!("{}-{fresh}", self.name),
            group_instance_id: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![("only".into(), internal::encode(&subscription, 2))],
            require_known_member_id: true,
            supports_skipping_assignment: false,
            reason: None,
            topics: topics.clone(),
        })
    }

    pub(crate) fn joined(&mut self, answer: JoinResponse, counts: [i32; 2]) {
        self.phase = Phase::Out;
        match answer.error {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => return self.member_id = answer.member_id,
            ErrorCode::REBALANCE_IN_PROGRESS => return,
            ErrorCode::UNKNOWN_MEMBER_ID => return self.is_out(),
            other => panic!("{other:?}"),
        }
        self.member_id = answer.member_id;
        self.epoch = answer.generation_id;
        self.phase = Phase::Syncing(0);
        self.plan = if answer.leader == self.member_id { plan(&answer.members, counts) } else { Vec::new() };
    }

    pub(crate) fn sync(&mut self, topics: &Topics) -> GroupRequest {
        GroupRequest::Sync(SyncRequest {
            group_id: "g".into(),
            generation_id: self.epoch,
            member_id: self.member_id.clone(),
            group_instance_id: None,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("only".into()),
            assignments: std::mem::take(&mut self.plan),
            topics: topics.clone(),
        })
    }

    /// Whether it has to give something back.
    pub(crate) fn synced(&mut self, answer: SyncResponse) -> bool {
        self.phase = Phase::Out;
        if answer.error.is_error() {
            self.refused(answer.error);
            return false;
        }
        let assigned = if answer.assignment.is_empty() {
            BTreeSet::new()
        } else {
            let read: ConsumerProtocolAssignment = internal::decode(answer.assignment).unwrap();
            unnamed(&read.assigned_partitions)
        };
        let gives_back = !self.reads.is_subset(&assigned);
        self.reads = assigned;
        // Whoever gave something back joins again at once.
        self.phase = if gives_back { Phase::Out } else { Phase::In };
        gives_back
    }

    pub(crate) fn classic_heartbeat(&self) -> GroupRequest {
        GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: "g".into(),
            generation_id: self.epoch,
            member_id: self.member_id.clone(),
            group_instance_id: None,
        })
    }

    pub(crate) fn refused(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::REBALANCE_IN_PROGRESS => self.phase = Phase::Out,
            ErrorCode::ILLEGAL_GENERATION => {
                // It keeps its id, but takes its partitions for lost.
                let member_id = std::mem::take(&mut self.member_id);
                self.is_out();
                self.member_id = member_id;
            }
            ErrorCode::UNKNOWN_MEMBER_ID => self.is_out(),
            other => panic!("{other:?}"),
        }
    }
}

fn named(partitions: &BTreeSet<(usize, i32)>) -> Vec<TopicPartition> {
    let of = |topic: usize| partitions.iter().filter(move |(of, _)| *of == topic).map(|(_, partition)| *partition);
    let topic =
        |(index, name): (usize, &&str)| TopicPartition { topic: (*name).to_owned(), partitions: of(index).collect() };
    TOPICS.iter().enumerate().map(topic).filter(|topic| !topic.partitions.is_empty()).collect()
}

fn unnamed(topics: &[TopicPartition]) -> BTreeSet<(usize, i32)> {
    let topic = |named: &str| TOPICS.iter().position(|name| *name == named).unwrap();
    topics.iter().flat_map(|of| of.partitions.iter().map(|partition| (topic(&of.topic), *partition))).collect()
}

/// The leader deals evenly and lets people keep what they have; but nobody gets what another still has.
fn plan(members: &[state::group::JoinedMember], counts: [i32; 2]) -> Vec<(String, Bytes)> {
    let claims = members.iter().map(|member| {
        let said: ConsumerProtocolSubscription = internal::decode(member.metadata.clone()).unwrap();
        unnamed(&said.owned_partitions)
    });
    let claims: Vec<BTreeSet<(usize, i32)>> = claims.collect();
    let all = || (0..TOPICS.len()).flat_map(|topic| (0..counts[topic]).map(move |partition| (topic, partition)));
    let total = all().count();
    let quota = |member: usize| total / members.len() + usize::from(member < total % members.len());
    let mut shares: Vec<BTreeSet<(usize, i32)>> = vec![BTreeSet::new(); members.len()];
    let mut dealt = BTreeSet::new();
    for (member, claimed) in claims.iter().enumerate() {
        for partition in claimed.iter().filter(|partition| partition.1 < counts[partition.0]) {
            if shares[member].len() < quota(member) && dealt.insert(*partition) {
                shares[member].insert(*partition);
            }
        }
    }
    for partition in all().filter(|partition| !dealt.contains(partition)) {
        let member = (0..members.len()).find(|member| shares[*member].len() < quota(*member)).unwrap();
        shares[member].insert(partition);
    }
    for (member, share) in shares.iter_mut().enumerate() {
        share.retain(|partition| (0..claims.len()).all(|other| other == member || !claims[other].contains(partition)));
    }
    let encoded = |share: &BTreeSet<(usize, i32)>| {
        let value = ConsumerProtocolAssignment { assigned_partitions: named(share), ..Default::default() };
        internal::encode(&value, 1)
    };
    members.iter().zip(&shares).map(|(member, share)| (member.member_id.clone(), encoded(share))).collect()
}
