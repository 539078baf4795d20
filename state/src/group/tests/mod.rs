//! The coordinator under a shell that appends in memory: one concern per file.

mod consumers;
mod join;
mod limits;
mod membership;
mod migration;
mod offsets;
mod reload;
mod retention;
mod settling;
mod static_members;
mod transactions;

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{ErrorCode, Uuid};

use super::*;
use crate::machine::{Machine, Now, Output, Reply, ReplyTo, When};

/// A shell around one coordinator, and the clients' pens.
struct Shell {
    machine: GroupCoordinator,
    config: GroupConfig,
    now: Now,
    log: Vec<GroupRecord>,
    asked: u64,
    replies: BTreeMap<u64, Reply<GroupResponse>>,
}

impl Shell {
    fn new() -> Shell {
        Shell::with(GroupConfig::default())
    }

    fn with(config: GroupConfig) -> Shell {
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut machine = GroupCoordinator::new(config.clone());
        machine.on_loaded(now);
        Shell { machine, config, now, log: Vec::new(), asked: 0, replies: BTreeMap::new() }
    }

    fn take(&mut self, out: Output<GroupCoordinator>) {
        for record in out.records {
            self.machine.apply(&record);
            self.log.push(record);
        }
        for reply in out.replies {
            let to = reply.to.0;
            assert!(self.replies.insert(to, reply).is_none(), "request {to} answered twice");
        }
    }

    /// Sends a request that may be parked.
    fn send(&mut self, request: GroupRequest) -> u64 {
        self.asked += 1;
        let out = self.machine.handle(self.now, ReplyTo(self.asked), request);
        self.take(out);
        self.asked
    }

    /// The answer to a request, if there is one by now.
    fn answer(&mut self, asked: u64) -> Option<GroupResponse> {
        self.replies.remove(&asked).map(|reply| reply.response)
    }

    fn ask(&mut self, request: GroupRequest) -> GroupResponse {
        let asked = self.send(request);
        self.answer(asked).expect("answered at once")
    }

    /// Lets time pass, and calls the machine whenever it wants to be called.
    fn pass_ms(&mut self, ms: u64) {
        let end_ms = self.now.monotonic_ms + ms;
        loop {
            let next_ms = self.machine.next_deadline_ms().unwrap_or(u64::MAX).max(self.now.monotonic_ms);
            let at_ms = next_ms.min(end_ms);
            self.now.wall_ms += i64::try_from(at_ms - self.now.monotonic_ms).unwrap();
            self.now.monotonic_ms = at_ms;
            if next_ms > end_ms {
                return;
            }
            let out = self.machine.expire(self.now);
            self.take(out);
        }
    }

    /// What a new coordinator makes of the log.
    fn reload(&mut self) {
        self.machine = GroupCoordinator::new(self.config.clone()).with_patterns(consumers::prefix);
        for record in &self.log {
            self.machine.apply(record);
        }
        self.machine.on_loaded(self.now);
    }

    fn join(&mut self, request: JoinRequest) -> u64 {
        self.send(GroupRequest::Join(request))
    }

    fn joined(&mut self, asked: u64) -> JoinResponse {
        match self.answer(asked) {
            Some(GroupResponse::Join(response)) => response,
            other => panic!("join {asked}: {other:?}"),
        }
    }

    fn all_joined(&mut self, asked: [u64; 2]) {
        for asked in asked {
            assert_eq!(self.joined(asked).error, ErrorCode::NONE);
        }
    }

    fn is_parked(&self, asked: u64) -> bool {
        !self.replies.contains_key(&asked)
    }

    fn sync(&mut self, member_id: &str, generation_id: i32, assignments: &[(&str, &'static str)]) -> u64 {
        self.send(GroupRequest::Sync(sync(member_id, generation_id, assignments)))
    }

    fn synced(&mut self, asked: u64) -> (ErrorCode, Bytes) {
        match self.answer(asked) {
            Some(GroupResponse::Sync(response)) => (response.error, response.assignment),
            other => panic!("sync {asked}: {other:?}"),
        }
    }

    fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        self.heartbeat_as(member_id, generation_id, None)
    }

    fn heartbeat_as(&mut self, member_id: &str, generation_id: i32, instance: Option<&str>) -> ErrorCode {
        let asked = self.send(GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: "g".into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: instance.map(str::to_owned),
        }));
        assert_eq!(self.replies[&asked].when, When::Now, "a heartbeat waits for nothing");
        match self.answer(asked) {
            Some(GroupResponse::Heartbeat(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = members.iter().map(|(member_id, instance)| LeavingMember {
            member_id: (*member_id).into(),
            group_instance_id: instance.map(str::to_owned),
            reason: None,
        });
        match self.ask(GroupRequest::Leave(LeaveRequest { group_id: "g".into(), members: members.collect() })) {
            GroupResponse::Leave(response) => response.members.iter().map(|member| member.error).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn commit_as(&mut self, member_id: &str, generation_id: i32, offset: i64) -> ErrorCode {
        let mut request = commit("g", "t", 0, offset);
        request.committer.member_id = member_id.into();
        request.committer.generation_id = generation_id;
        self.commit(request)
    }

    fn commit(&mut self, request: OffsetCommitRequest) -> ErrorCode {
        match self.ask(GroupRequest::OffsetCommit(request)) {
            GroupResponse::OffsetCommit(topics) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, group_id: &str, topic: &str, partition: i32, require_stable: bool) -> (i64, ErrorCode) {
        let topics = Some(vec![partitions(topic, &[partition])]);
        let groups = vec![OffsetFetchGroup { group_id: group_id.into(), member_id: None, member_epoch: -1, topics }];
        match self.ask(GroupRequest::OffsetFetch(OffsetFetchRequest { groups, require_stable })) {
            GroupResponse::OffsetFetch(groups) => {
                let fetched = &groups[0].topics[0].partitions[0];
                (fetched.committed_offset, fetched.error)
            }
            other => panic!("{other:?}"),
        }
    }

    fn delete_group(&mut self, group_id: &str) -> ErrorCode {
        match self.ask(GroupRequest::DeleteGroups(vec![group_id.into()])) {
            GroupResponse::DeleteGroups(results) => results[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn group(&self) -> DescribedGroup {
        self.machine.describe(&["g".into()]).remove(0)
    }

    fn state(&self) -> ClassicGroupState {
        self.group().state
    }

    /// A stable group of members without static names, `member-0` (the leader) and on, in generation 1.
    fn stable(&mut self, members: usize) -> Vec<String> {
        let asked: Vec<u64> = (0..members).map(|i| self.join(old_join(&format!("member-{i}")))).collect();
        self.pass_ms(2 * 3_000);
        let ids: Vec<String> = asked.into_iter().map(|asked| self.joined(asked).member_id).collect();
        assert_eq!(self.state(), ClassicGroupState::CompletingRebalance);
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "some")).collect();
        let syncs: Vec<u64> = ids.iter().map(|id| self.sync(id, 1, &assignments)).collect();
        for asked in syncs {
            assert_eq!(self.synced(asked), (ErrorCode::NONE, Bytes::from_static(b"some")));
        }
        assert_eq!(self.state(), ClassicGroupState::Stable);
        ids
    }
}

/// A first JoinGroup of a client before version 4: it is let in at once, under the fresh id.
fn old_join(fresh_member_id: &str) -> JoinRequest {
    JoinRequest {
        group_id: "g".into(),
        member_id: String::new(),
        fresh_member_id: fresh_member_id.into(),
        group_instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), subscription(&["t"]))],
        require_known_member_id: false,
        supports_skipping_assignment: false,
        reason: None,
        topics: Topics::default(),
    }
}

fn rejoin(member_id: &str) -> JoinRequest {
    JoinRequest { member_id: member_id.into(), ..old_join("unused") }
}

fn static_join(fresh_member_id: &str, instance: &str) -> JoinRequest {
    JoinRequest { group_instance_id: Some(instance.into()), require_known_member_id: true, ..old_join(fresh_member_id) }
}

fn sync(member_id: &str, generation_id: i32, assignments: &[(&str, &'static str)]) -> SyncRequest {
    SyncRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: assignments.iter().map(|(id, what)| ((*id).into(), Bytes::from_static(what.as_bytes()))).collect(),
        topics: Topics::default(),
    }
}

fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    Bytes::from(bytes)
}

fn commit(group_id: &str, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group_id.into(),
        committer: Committer { generation_id: -1, member_id: String::new(), group_instance_id: None },
        retention_time_ms: None,
        knows_group_id_not_found: false,
        topics: vec![commit_topic(topic, partition, offset)],
    }
}

fn commit_topic(topic: &str, partition_index: i32, committed_offset: i64) -> CommitTopic {
    CommitTopic {
        name: topic.into(),
        topic_id: Uuid::ZERO,
        partitions: vec![CommitPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 5,
            commit_timestamp_ms: None,
            committed_metadata: Some("note".into()),
        }],
    }
}

fn partitions(topic: &str, partition_indexes: &[i32]) -> PartitionsOfTopic {
    PartitionsOfTopic { name: topic.into(), topic_id: Uuid::ZERO, partition_indexes: partition_indexes.to_vec() }
}
