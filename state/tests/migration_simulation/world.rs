//! One schedule: clients of both protocols around one coordinator that crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state::cluster::{Command, Image, MorePartitions, NewTopic, RegisterBroker};
use state::group::{
    ConsumerRecord, GroupConfig, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse, LeaveRequest,
    LeavingMember, ListRequest, Topics,
};
use state::machine::{Machine, Now, Output, ReplyTo};

use super::client::{Client, Phase, Speaks, TOPICS, id};

const STEPS: usize = 200;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) crashes: u64,
    /// Changes of the protocol that were decided, but not logged.
    pub(crate) changes_lost: u64,
    pub(crate) upgrades: u64,
    pub(crate) downgrades: u64,
    /// Classic members that were told to join again.
    pub(crate) rebalances_told: u64,
    pub(crate) given_back: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.crashes += other.crashes;
        self.changes_lost += other.changes_lost;
        self.upgrades += other.upgrades;
        self.downgrades += other.downgrades;
        self.rebalances_told += other.rebalances_told;
        self.given_back += other.given_back;
    }
}

pub(crate) struct World {
    random: fastrand::Rng,
    now: Now,
    image: Image,
    topics: Topics,
    machine: GroupCoordinator,
    log: Vec<GroupRecord>,
    clients: Vec<Client>,
    /// How the classic clients of this world work: the two kinds have no strategy in common.
    classic: Speaks,
    born: usize,
    asked: u64,
    answers: BTreeMap<u64, GroupResponse>,
    outcome: Outcome,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut image = Image::default();
        image.apply(&Command::RegisterBroker(RegisterBroker {
            broker_id: 0,
            incarnation_id: id(199),
            directory_id: id(200),
            listeners: Vec::new(),
            rack: None,
            fenced: false,
            replaces_epoch: -1,
        }));
        let topic = |(index, name): (usize, &&str)| NewTopic {
            name: (*name).to_owned(),
            id: id(index),
            assignments: vec![vec![0]; random.usize(1..5)],
            configs: BTreeMap::new(),
        };
        image.apply(&Command::CreateTopics(TOPICS.iter().enumerate().map(topic).collect()));
        World {
            classic: if random.bool() { Speaks::Eager } else { Speaks::Cooperative },
            random,
            now: Now { monotonic_ms: 1, wall_ms: 1 },
            topics: Topics::new(Arc::new(image.clone())),
            image,
            machine: new_machine(),
            log: Vec::new(),
            clients: Vec::new(),
            born: 0,
            asked: 0,
            answers: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn run(mut self) -> Outcome {
        for _ in 0..STEPS {
            self.step();
            self.check_that_nobody_reads_what_another_reads();
        }
        self.settle();
        self.check_shares();
        self.check_that_nothing_is_left();
        self.outcome
    }

    fn step(&mut self) {
        let dice = self.random.usize(..100);
        match dice {
            0..10 if self.clients.len() < 5 => self.give_birth(),
            10..12 => self.grow(),
            12..15 => self.crash(0),
            15..20 => {
                let pause_ms = self.random.u64(..12_000);
                self.pass(self.now.monotonic_ms + pause_ms);
            }
            _ if self.clients.is_empty() => {}
            _ => {
                let client = self.random.usize(..self.clients.len());
                match dice {
                    20..22 => drop(self.clients.remove(client)),
                    22..26 => self.leave(client),
                    // Now and then the last consumer goes.
                    26..34 => match self.clients.iter().position(Client::is_consumer) {
                        Some(consumer) => self.leave(consumer),
                        None => self.beat(client, true),
                    },
                    _ => self.beat(client, true),
                }
            }
        }
    }

    fn give_birth(&mut self) {
        self.born += 1;
        let speaks = if self.random.usize(..3) == 0 { Speaks::Consumer } else { self.classic };
        self.clients.push(Client::new(speaks, format!("client-{}", self.born)));
    }

    fn grow(&mut self) {
        let topic = self.random.usize(..TOPICS.len());
        let count = self.counts()[topic] + 1;
        let more = MorePartitions { topic_id: id(topic), count, assignments: vec![vec![0]] };
        self.image.apply(&Command::CreatePartitions(vec![more]));
        self.topics = Topics::new(Arc::new(self.image.clone()));
    }

    fn counts(&self) -> [i32; 2] {
        TOPICS.map(|name| self.image.topic(name).expect("nobody deletes it").partition_count())
    }

    /// A coordinator that has all of the log but its end.
    fn crash(&mut self, lost: usize) {
        self.outcome.crashes += 1;
        self.log.truncate(self.log.len() - lost);
        self.machine = new_machine();
        for record in &self.log {
            self.machine.apply(record);
        }
        self.machine.on_loaded(self.now);
        self.answers.clear();
        for client in &mut self.clients {
            client.heard_nothing();
        }
    }

    /// Takes what was decided; false if the coordinator crashed on the way, and no answer left.
    fn take(&mut self, out: Output<GroupCoordinator>, may_crash: bool) -> bool {
        let change = Change::of(&out.records);
        let records = out.records.len();
        for record in out.records {
            self.machine.apply(&record);
            self.log.push(record);
        }
        if may_crash && records > 0 && self.random.usize(..10) == 0 {
            let lost = match change {
                // The log takes it as a whole or not at all.
                Some(_) => self.random.choice([0, records]).expect("there are two"),
                None => self.random.usize(..=records),
            };
            self.outcome.changes_lost += u64::from(change.is_some() && lost > 0);
            self.crash(lost);
            return false;
        }
        self.outcome.upgrades += u64::from(change == Some(Change::Upgrade));
        self.outcome.downgrades += u64::from(change == Some(Change::Downgrade));
        self.answers.extend(out.replies.into_iter().map(|reply| (reply.to.0, reply.response)));
        true
    }

    fn pass(&mut self, until_ms: u64) {
        while let Some(next_ms) = self.machine.next_deadline_ms().filter(|next_ms| *next_ms <= until_ms) {
            self.set_clock(next_ms);
            let out = self.machine.expire(self.now);
            self.take(out, false);
        }
        self.set_clock(until_ms);
        // Whoever was silent for too long has noticed that itself.
        let members = self.members();
        for client in &mut self.clients {
            if client.epoch > 0 && !members.contains(&client.member_id) {
                client.is_out();
            }
        }
    }

    fn set_clock(&mut self, monotonic_ms: u64) {
        let monotonic_ms = monotonic_ms.max(self.now.monotonic_ms);
        self.now = Now { monotonic_ms, wall_ms: monotonic_ms as i64 };
    }

    fn members(&mut self) -> BTreeSet<String> {
        let Some(GroupResponse::ConsumerDescribe(groups)) =
            self.ask(GroupRequest::ConsumerDescribe(vec!["g".into()]), false)
        else {
            panic!("not described")
        };
        let consumers = groups.into_iter().flatten().flat_map(|group| group.members).map(|member| member.member_id);
        let classic = self.machine.describe(&["g".into()]).remove(0).members.into_iter().map(|member| member.member_id);
        consumers.chain(classic).collect()
    }

    fn send(&mut self, request: GroupRequest, stormy: bool) -> Option<u64> {
        if stormy && self.random.usize(..12) == 0 {
            return None;
        }
        self.asked += 1;
        let asked = self.asked;
        let out = self.machine.handle(self.now, ReplyTo(asked), request);
        let arrived = self.take(out, stormy);
        if arrived && stormy && self.random.usize(..12) == 0 {
            self.answers.remove(&asked);
            return None;
        }
        arrived.then_some(asked)
    }

    fn ask(&mut self, request: GroupRequest, stormy: bool) -> Option<GroupResponse> {
        let asked = self.send(request, stormy)?;
        self.answers.remove(&asked)
    }

    fn beat(&mut self, index: usize, stormy: bool) {
        if self.clients[index].is_consumer() {
            let client = &self.clients[index];
            let request = client.consumer_heartbeat(client.epoch, &self.topics);
            let answer = self.ask(GroupRequest::ConsumerHeartbeat(Box::new(request)), stormy);
            match answer {
                Some(GroupResponse::ConsumerHeartbeat(answer)) => {
                    self.outcome.given_back += u64::from(self.clients[index].consumer_answer(answer));
                }
                None => self.clients[index].heard_nothing(),
                other => panic!("{other:?}"),
            }
            return;
        }
        match self.clients[index].phase {
            Phase::Out => {
                self.born += 1;
                let request = self.clients[index].join(self.born as u64, &self.topics);
                if let Some(asked) = self.send(request, stormy) {
                    self.clients[index].phase = Phase::Joining(asked);
                }
            }
            Phase::Joining(asked) => {
                if let Some(GroupResponse::Join(answer)) = self.answers.remove(&asked) {
                    let counts = self.counts();
                    self.clients[index].joined(answer, counts);
                    if self.clients[index].phase == Phase::Syncing(0) {
                        self.ask_for_assignment(index, stormy);
                    }
                }
            }
            Phase::Syncing(asked) => {
                if let Some(GroupResponse::Sync(answer)) = self.answers.remove(&asked) {
                    self.outcome.given_back += u64::from(self.clients[index].synced(answer));
                }
            }
            Phase::In => {
                let request = self.clients[index].classic_heartbeat();
                if let Some(GroupResponse::Heartbeat(error)) = self.ask(request, stormy)
                    && error.is_error()
                {
                    self.outcome.rebalances_told += 1;
                    self.clients[index].refused(error);
                }
            }
        }
    }

    fn ask_for_assignment(&mut self, index: usize, stormy: bool) {
        let request = self.clients[index].sync(&self.topics);
        match self.send(request, stormy) {
            Some(asked) => self.clients[index].phase = Phase::Syncing(asked),
            None => self.clients[index].heard_nothing(),
        }
    }

    fn leave(&mut self, index: usize) {
        let client = self.clients.remove(index);
        if client.is_consumer() && client.epoch > 0 {
            let request = client.consumer_heartbeat(-1, &self.topics);
            self.ask(GroupRequest::ConsumerHeartbeat(Box::new(request)), true);
        } else if !client.is_consumer() && !client.member_id.is_empty() {
            let members = vec![LeavingMember { member_id: client.member_id, group_instance_id: None, reason: None }];
            self.ask(GroupRequest::Leave(LeaveRequest { group_id: "g".into(), members }), true);
        }
    }

    fn check_that_nobody_reads_what_another_reads(&self) {
        let mut read = BTreeMap::new();
        for client in &self.clients {
            for partition in &client.reads {
                let other = read.insert(partition, &client.name);
                assert_eq!(other, None, "{partition:?} is read by {} too", client.name);
            }
        }
    }

    /// The storm is over: everybody is heard of.
    fn settle(&mut self) {
        for _ in 0..100 {
            for client in 0..self.clients.len() {
                self.beat(client, false);
                self.check_that_nobody_reads_what_another_reads();
            }
            self.pass(self.now.monotonic_ms + 1_000);
        }
    }

    fn check_shares(&mut self) {
        let Some(fewest) = self.clients.iter().map(|client| client.reads.len()).min() else { return };
        let expected = if self.clients.iter().any(Client::is_consumer) { "consumer" } else { "classic" };
        let listed = self.machine.list(&ListRequest::default());
        assert_eq!(listed.iter().map(|group| group.group_type).collect::<Vec<_>>(), [expected], "{listed:?}");
        assert_eq!(listed[0].state, "Stable");
        let read: BTreeSet<(usize, i32)> = self.clients.iter().flat_map(|client| client.reads.clone()).collect();
        let counts = self.counts();
        // Nobody watches topics for classic members among themselves but their leader, who would join again; ours
        // does not. What grew after their last generation may be missing.
        let all: BTreeSet<_> =
            (0..TOPICS.len()).flat_map(|topic| (0..counts[topic]).map(move |p| (topic, p))).collect();
        if expected == "consumer" {
            assert_eq!(read, all, "all is read");
        } else {
            assert!(read.is_subset(&all) && !read.is_empty());
        }
        for client in &self.clients {
            assert!(client.reads.len() <= fewest + 1, "{} has more than its share", client.name);
        }
    }

    fn check_that_nothing_is_left(&mut self) {
        self.clients.clear();
        self.pass(self.now.monotonic_ms + 700_000);
        self.ask(GroupRequest::DeleteGroups(vec!["g".into()]), false);
        assert_eq!(self.machine.counts(), Default::default());
        self.crash(0);
        assert_eq!(self.machine.counts(), Default::default(), "the log has nothing either");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Upgrade,
    Downgrade,
}

impl Change {
    /// A classic group that never had an assignment is not in the log: no record of its own says that it ends.
    fn of(records: &[GroupRecord]) -> Option<Change> {
        let becomes_classic = records.iter().any(|record| {
            matches!(record, GroupRecord::GroupMetadata { value: Some(value), .. } if !value.members.is_empty())
        });
        let speaks_classic = |record: &GroupRecord| match record {
            GroupRecord::Consumer { record: ConsumerRecord::Member { value: Some(value), .. }, .. } => {
                Some(value.classic.is_some())
            }
            _ => None,
        };
        let members: BTreeSet<bool> = records.iter().filter_map(speaks_classic).collect();
        let ends =
            |record: &GroupRecord| matches!(record, GroupRecord::Consumer { record: ConsumerRecord::Epoch(None), .. });
        if members.len() == 2 {
            Some(Change::Upgrade)
        } else if becomes_classic && records.iter().any(ends) {
            Some(Change::Downgrade)
        } else {
            None
        }
    }
}

fn new_machine() -> GroupCoordinator {
    GroupCoordinator::new(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() })
}
