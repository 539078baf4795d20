//! One schedule: clients, a network that loses, a log that commits late, a coordinator that is replaced.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Uuid;
use state::group::{
    ClassicGroupState, Committer, DescribedGroup, GroupConfig, GroupCoordinator, GroupCounts, GroupRecord,
    GroupRequest, GroupResponse, OffsetDeleteRequest, OffsetFetchGroup, OffsetFetchRequest, PartitionsOfTopic,
    TxnOffsetCommitRequest,
};
use state::machine::{Machine, Now, Output, ReplyTo, When};

use crate::checker::{Cause, Checker, joins};
use crate::client::{Client, PARTITIONS, Phase, TOPICS, commit, some_topics};

pub(crate) const RETENTION_MS: i64 = 600_000;
const STORM_STEPS: u32 = 500;
const CALM_MS: u64 = 120_000;
const GROUPS: [&str; 3] = ["g0", "g1", "simple"];
const PRODUCERS: [i64; 2] = [7, 8];

/// What happened, for the test of the test.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) reloads: u64,
    pub(crate) records_lost: u64,
    pub(crate) commits_acknowledged: u64,
    pub(crate) offsets_seen: u64,
    pub(crate) assignments: u64,
    pub(crate) fenced: u64,
    pub(crate) records: u64,
    pub(crate) end_ms: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.requests += other.requests;
        self.reloads += other.reloads;
        self.records_lost += other.records_lost;
        self.commits_acknowledged += other.commits_acknowledged;
        self.offsets_seen += other.offsets_seen;
        self.assignments += other.assignments;
        self.fenced += other.fenced;
        self.records += other.records;
        self.end_ms += other.end_ms;
    }
}

/// A request that the machine has not answered.
struct Asked {
    client: Option<usize>,
    request: GroupRequest,
}

/// An answer that waits for the log.
struct Waiting {
    length: usize,
    id: u64,
    asked: Asked,
    response: GroupResponse,
}

pub(crate) struct World {
    rng: fastrand::Rng,
    now: Now,
    machine: GroupCoordinator,
    log: Vec<GroupRecord>,
    /// Records of the log that can no longer be lost.
    committed: usize,
    clients: Vec<Client>,
    /// Requests on their way.
    requests: Vec<(u64, Asked)>,
    /// Copies of requests that will come once more, when nobody expects them.
    late: Vec<GroupRequest>,
    /// Requests that the machine has.
    asked: BTreeMap<u64, Asked>,
    /// Answers that wait for the log.
    waiting: Vec<Waiting>,
    /// Answers on their way. `None`: the coordinator has moved.
    replies: Vec<(usize, u64, Option<GroupResponse>)>,
    is_storm: bool,
    /// 2 is as bad as it gets.
    calmness: u32,
    next_id: u64,
    next_offset: i64,
    checker: Checker,
    outcome: Outcome,
}

fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 1_000,
        new_member_join_timeout_ms: 20_000,
        offsets_retention_ms: RETENTION_MS,
        offsets_retention_check_interval_ms: 60_000,
        ..GroupConfig::default()
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = Now { monotonic_ms: rng.u64(0..1_000_000), wall_ms: 1_700_000_000_000 };
        let clients = (0..rng.usize(2..7)).map(|_| Client::new(GROUPS[rng.usize(0..2)], &mut rng)).collect();
        let calmness = rng.u32(2..8);
        let mut machine = GroupCoordinator::new(config());
        machine.on_loaded(now);
        World {
            rng,
            now,
            machine,
            log: Vec::new(),
            committed: 0,
            clients,
            requests: Vec::new(),
            late: Vec::new(),
            asked: BTreeMap::new(),
            waiting: Vec::new(),
            replies: Vec::new(),
            is_storm: true,
            calmness,
            next_id: 0,
            next_offset: 0,
            checker: Checker::default(),
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn run(mut self) -> Outcome {
        for _ in 0..STORM_STEPS {
            self.storm_step();
            Checker::members(&self.machine, &GROUPS.map(str::to_owned));
        }
        self.is_storm = false;
        self.settle();
        self.check_settled();
        self.end();
        self.outcome.offsets_seen = self.checker.offsets_seen;
        self.outcome.assignments = self.checker.assignments;
        self.outcome.fenced = self.clients.iter().map(|client| client.fenced).sum();
        self.outcome.end_ms = self.now.monotonic_ms;
        self.outcome
    }

    fn storm_step(&mut self) {
        match self.rng.u32(0..100) {
            0..30 => self.client_step(),
            30..52 => self.deliver_request(),
            52..72 => self.deliver_reply(),
            72..80 => self.commit_log(),
            80..94 => {
                let ms = self.rng.u64(0..1_000);
                self.pass_ms(ms);
            }
            94..96 => self.trouble(),
            96 if !self.late.is_empty() => {
                let request = self.late.swap_remove(self.rng.usize(0..self.late.len()));
                self.send(None, request);
            }
            _ => self.bystander_step(),
        }
        // Timers may fire late, and too early.
        if self.rng.u8(0..4) == 0 || self.machine.next_deadline_ms().is_some_and(|at_ms| at_ms <= self.now.monotonic_ms)
        {
            self.expire();
        }
    }

    /// Some schedules are stormier than others.
    fn trouble(&mut self) {
        match self.rng.u32(0..self.calmness) {
            0 => self.clock_trouble(),
            1 => self.reload(),
            _ => {}
        }
    }

    fn client_step(&mut self) {
        let index = self.rng.usize(0..self.clients.len());
        match self.rng.u32(0..30 * self.calmness) {
            0 => self.clients[index].crash(),
            1 => self.clients[index].is_running = true,
            2 => self.clients[index].topics = some_topics(&mut self.rng),
            // The leader has seen new partitions; or an application subscribes anew.
            3..8 => self.clients[index].phase = Phase::Out,
            8 => {
                let leave = self.clients[index].leave();
                if self.clients[index].is_running && !self.clients[index].member_id.is_empty() {
                    self.send(None, leave);
                    self.clients[index].crash();
                }
            }
            _ => self.client_goes_on(index),
        }
    }

    fn client_goes_on(&mut self, index: usize) {
        let now_ms = self.now.monotonic_ms;
        let client = &mut self.clients[index];
        if client.asked.is_some_and(|(_, until_ms)| until_ms <= now_ms) {
            client.asked = None;
        }
        if !client.is_running || client.asked.is_some() || client.next_try_ms > now_ms {
            return;
        }
        let request = match client.phase {
            Phase::Out => client.join(self.next_id),
            Phase::Joined => client.sync(),
            Phase::Stable if client.wants_other_topics() => client.join(self.next_id),
            Phase::Stable if client.next_heartbeat_ms <= now_ms => client.heartbeat(),
            Phase::Stable if self.is_storm && !client.owned.is_empty() => {
                self.next_offset += 1;
                let owned = self.rng.usize(0..client.owned.len());
                client.commit(owned, self.next_offset)
            }
            Phase::Stable => return,
        };
        let patience_ms = if self.is_storm { self.rng.u64(500..30_000) } else { 30_000 };
        let id = self.send(Some(index), request);
        self.clients[index].asked = Some((id, now_ms + patience_ms));
    }

    fn send(&mut self, client: Option<usize>, request: GroupRequest) -> u64 {
        self.next_id += 1;
        self.requests.push((self.next_id, Asked { client, request }));
        self.next_id
    }

    fn deliver_request(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = if self.is_storm { self.rng.usize(0..self.requests.len()) } else { 0 };
        let (id, asked) = self.requests.remove(index);
        if self.is_storm && self.rng.u8(0..30) == 0 {
            return;
        }
        let request = asked.request.clone();
        if self.is_storm && self.rng.u8(0..20) == 0 {
            self.late.push(request.clone());
        }
        self.outcome.requests += 1;
        self.asked.insert(id, asked);
        let out = self.machine.handle(self.now, ReplyTo(id), request.clone());
        self.take(out, &Some(request));
    }

    fn expire(&mut self) {
        let out = self.machine.expire(self.now);
        self.take(out, &None);
    }

    /// What a shell does with an output: append, apply, hold the answers back.
    fn take(&mut self, out: Output<GroupCoordinator>, cause: &Cause) {
        for record in &out.records {
            self.checker.appended(self.log.len(), record, self.now, cause, &self.machine);
            self.log.push(record.clone());
            self.outcome.records += 1;
        }
        for record in &out.records {
            self.machine.apply(record);
        }
        for group in GROUPS {
            let of_group = out.replies.iter().filter(|reply| {
                let asked = self.asked.get(&reply.to.0).unwrap_or_else(|| panic!("{} answered twice", reply.to.0));
                group_of(&asked.request) == Some(group)
            });
            self.checker.joined_together(&joins(of_group.map(|reply| &reply.response)));
        }
        for reply in out.replies {
            let id = reply.to.0;
            let asked = self.asked.remove(&id).unwrap_or_else(|| panic!("{id} answered twice"));
            self.check_decided(&asked.request, &reply.response);
            let length = self.log.len();
            match reply.when {
                When::Now => self.release(id, asked, reply.response, length),
                When::Committed => self.waiting.push(Waiting { length, id, asked, response: reply.response }),
            }
        }
        self.release_committed();
    }

    /// What an answer says when it is made.
    fn check_decided(&mut self, request: &GroupRequest, response: &GroupResponse) {
        match (request, response) {
            (GroupRequest::Join(request), GroupResponse::Join(response)) => {
                self.checker.joined(&request.group_id, response, self.log.len());
            }
            (GroupRequest::OffsetFetch(_), GroupResponse::OffsetFetch(groups)) => {
                for group in groups {
                    self.checker.fetched(group, self.committed);
                }
            }
            _ => {}
        }
    }

    fn commit_log(&mut self) {
        self.committed = if self.is_storm { self.rng.usize(self.committed..=self.log.len()) } else { self.log.len() };
        self.release_committed();
    }

    fn release_committed(&mut self) {
        let (ready, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|it| it.length <= self.committed);
        self.waiting = waiting;
        for Waiting { length, id, asked, response } in ready {
            self.release(id, asked, response, length);
        }
    }

    /// An answer leaves the coordinator: from here on, what it says must stay true.
    fn release(&mut self, id: u64, asked: Asked, response: GroupResponse, length: usize) {
        match (&asked.request, &response) {
            (GroupRequest::Sync(request), GroupResponse::Sync(response)) if response.error.is_none() => {
                let owner = request.group_instance_id.as_ref().unwrap_or(&request.member_id);
                self.checker.synced(&request.group_id, owner, request.generation_id, &response.assignment, length);
            }
            (GroupRequest::OffsetCommit(request), GroupResponse::OffsetCommit(results))
                if results[0].partitions[0].1.is_none() =>
            {
                self.outcome.commits_acknowledged += 1;
                self.checker.acknowledged(request.topics[0].partitions[0].committed_offset);
            }
            (GroupRequest::TxnOffsetCommit(request), GroupResponse::TxnOffsetCommit(results))
                if results[0].partitions[0].1.is_none() =>
            {
                self.checker.acknowledged(request.topics[0].partitions[0].committed_offset);
            }
            _ => {}
        }
        if let Some(client) = asked.client {
            self.replies.push((client, id, Some(response)));
        }
    }

    fn deliver_reply(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let index = if self.is_storm { self.rng.usize(0..self.replies.len()) } else { 0 };
        let (client, id, response) = self.replies.remove(index);
        if self.is_storm && self.rng.u8(0..30) == 0 {
            return;
        }
        let client = &mut self.clients[client];
        if client.asked.is_some_and(|(asked, _)| asked == id) {
            client.hear(response.as_ref(), self.now.monotonic_ms);
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += i64::try_from(ms).expect("not that long");
    }

    fn clock_trouble(&mut self) {
        match self.rng.u8(0..6) {
            0 => self.now.wall_ms += self.rng.i64(-120_000..120_000),
            1 => self.pass_ms(RETENTION_MS.unsigned_abs()),
            _ => {
                let ms = self.rng.u64(3_000..25_000);
                self.pass_ms(ms);
            }
        }
    }

    /// Another broker takes over, with all that was committed and some of what was not.
    fn reload(&mut self) {
        let length = self.rng.usize(self.committed..=self.log.len());
        let lost = self.log.len() - length;
        let before = (lost == 0).then(|| self.durable());
        self.outcome.reloads += 1;
        self.outcome.records_lost += lost as u64;
        self.log.truncate(length);
        self.committed = length;
        self.checker.truncated(length);

        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|it| (it.id, it.asked));
        for (id, asked) in std::mem::take(&mut self.asked).into_iter().chain(waiting) {
            if let Some(client) = asked.client {
                self.replies.push((client, id, None));
            }
        }
        self.machine = GroupCoordinator::new(config());
        for record in &self.log {
            self.machine.apply(record);
        }
        self.machine.on_loaded(self.now);
        if let Some((stable, offsets)) = before {
            let (stable_now, offsets_now) = self.durable();
            assert_eq!(offsets, offsets_now, "the log and the machine did not agree");
            // Rebalances that were under way are forgotten; what was stable is as it was.
            for group in stable {
                assert!(stable_now.contains(&group), "was {group:?}, is {stable_now:?}");
            }
        }
    }

    /// What a machine and its successor must agree on: stable groups, and all offsets.
    fn durable(&mut self) -> (Vec<DescribedGroup>, Vec<i64>) {
        let groups = self.machine.describe(&GROUPS.map(str::to_owned));
        let stable = groups.into_iter().filter(|group| group.state == ClassicGroupState::Stable).collect();
        let out = self.machine.handle(self.now, ReplyTo(0), fetch_all(false));
        let GroupResponse::OffsetFetch(groups) = &out.replies[0].response else { unreachable!("it was a fetch") };
        let topics = groups.iter().flat_map(|group| &group.topics);
        let offsets = topics.flat_map(|topic| topic.partitions.iter().map(|partition| partition.committed_offset));
        (stable, offsets.collect())
    }

    /// Administrators, monitors, transactions, consumers without a group.
    fn bystander_step(&mut self) {
        let group = GROUPS[self.rng.usize(0..GROUPS.len())].to_owned();
        let topic = TOPICS[self.rng.usize(0..TOPICS.len())].to_owned();
        let partition = self.rng.i32(0..PARTITIONS);
        let nobody = Committer { generation_id: -1, member_id: String::new(), group_instance_id: None };
        let partitions =
            PartitionsOfTopic { name: topic.clone(), topic_id: Uuid::ZERO, partition_indexes: vec![partition] };
        let request = match self.rng.u32(0..20) {
            0 => GroupRequest::DeleteGroups(vec![group]),
            1 => GroupRequest::TopicsDeleted(vec![topic]),
            2 => GroupRequest::OffsetDelete(OffsetDeleteRequest { group_id: group, topics: vec![partitions] }),
            3..6 => return self.transact(group, topic, partition),
            6..8 => {
                let producer_id = PRODUCERS[self.rng.usize(0..PRODUCERS.len())];
                return self.end_transaction(producer_id);
            }
            8..13 => {
                self.next_offset += 1;
                commit(&group, nobody, &topic, partition, self.next_offset)
            }
            _ => fetch_all(self.rng.bool()),
        };
        self.send(None, request);
    }

    fn transact(&mut self, group_id: String, topic: String, partition: i32) {
        self.next_offset += 1;
        let nobody = Committer { generation_id: -1, member_id: String::new(), group_instance_id: None };
        let producer_id = PRODUCERS[self.rng.usize(0..PRODUCERS.len())];
        let GroupRequest::OffsetCommit(plain) = commit(&group_id, nobody.clone(), &topic, partition, self.next_offset)
        else {
            unreachable!("it is a commit");
        };
        let request = TxnOffsetCommitRequest {
            group_id,
            producer_id,
            producer_epoch: 0,
            committer: nobody,
            topics: plain.topics,
        };
        self.send(None, GroupRequest::TxnOffsetCommit(request));
    }

    /// The transaction coordinator writes its marker into the log, past the machine.
    fn end_transaction(&mut self, producer_id: i64) {
        let marker = GroupRecord::TxnEnd { producer_id, committed: self.rng.bool() };
        self.take(Output { records: vec![marker], ..Output::default() }, &None);
    }

    /// Nothing is lost any more, and nobody changes their mind.
    fn settle(&mut self) {
        let end_ms = self.now.monotonic_ms + CALM_MS;
        while self.now.monotonic_ms < end_ms {
            self.deliver_all();
            for index in 0..self.clients.len() {
                self.client_goes_on(index);
            }
            self.deliver_all();
            let clients = self.clients.iter().filter(|client| client.is_running).map(|client| match client.asked {
                Some((_, until_ms)) => until_ms,
                None if client.phase == Phase::Stable => client.next_heartbeat_ms,
                None => client.next_try_ms,
            });
            let next_ms =
                clients.chain(self.machine.next_deadline_ms()).chain([end_ms]).min().expect("the end is near");
            self.pass_ms(next_ms.saturating_sub(self.now.monotonic_ms).max(1));
            if self.machine.next_deadline_ms().is_some_and(|at_ms| at_ms <= self.now.monotonic_ms) {
                self.expire();
            }
        }
    }

    fn deliver_all(&mut self) {
        while !self.requests.is_empty() || !self.replies.is_empty() || self.committed < self.log.len() {
            self.deliver_request();
            self.commit_log();
            self.deliver_reply();
        }
    }

    /// Everybody who runs is in, and every partition that somebody wants is owned by one of them.
    fn check_settled(&self) {
        for group in &GROUPS[..2] {
            let running: Vec<&Client> =
                self.clients.iter().filter(|client| client.is_running && client.group_id == *group).collect();
            let mut owned = BTreeSet::new();
            for client in &running {
                assert_eq!(client.phase, Phase::Stable, "{group}: {:?} found no rest", client.member_id);
                assert_eq!(client.generation_id, running[0].generation_id, "{group} is split");
                for partition in &client.owned {
                    assert!(owned.insert(partition.clone()), "{group}: {partition} has two owners");
                }
            }
            let wanted: BTreeSet<&str> = running.iter().flat_map(|client| client.topics.iter().copied()).collect();
            for topic in wanted {
                for partition in 0..PARTITIONS {
                    assert!(
                        owned.contains(&format!("{topic}:{partition}")),
                        "{group}: nobody owns {topic}:{partition}"
                    );
                }
            }
        }
    }

    /// Everybody goes, by the door or not; once their time is over nothing is left, and no question is open.
    fn end(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients[index].is_running && self.rng.bool() {
                let leave = self.clients[index].leave();
                self.send(None, leave);
            }
            self.clients[index].crash();
        }
        self.deliver_all();
        for producer_id in PRODUCERS {
            self.end_transaction(producer_id);
        }
        for _ in 0..200 {
            self.pass_ms(60_000);
            self.expire();
            self.deliver_all();
        }
        assert!(
            self.asked.is_empty(),
            "never answered: {:?}",
            self.asked.values().map(|it| &it.request).collect::<Vec<_>>()
        );
        assert_eq!(self.machine.counts(), GroupCounts::default());
    }
}

fn group_of(request: &GroupRequest) -> Option<&str> {
    match request {
        GroupRequest::Join(request) => Some(&request.group_id),
        _ => None,
    }
}

fn fetch_all(require_stable: bool) -> GroupRequest {
    let topics = TOPICS.map(|topic| PartitionsOfTopic {
        name: topic.to_owned(),
        topic_id: Uuid::ZERO,
        partition_indexes: (0..PARTITIONS).collect(),
    });
    let groups = GROUPS.map(|group| OffsetFetchGroup {
        group_id: group.to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: Some(topics.to_vec()),
    });
    GroupRequest::OffsetFetch(OffsetFetchRequest { groups: groups.to_vec(), require_stable })
}
