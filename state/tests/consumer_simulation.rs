//! Random lives of a group of the consumer protocol, from seeds, with a crash of the coordinator after any record.
//!
//! Clients join, are assigned, give back, subscribe to something else, leave, die and come back; requests and answers
//! get lost, topics grow, and the coordinator is replaced by one that has only a part of what the last request had
//! decided. At no time may two clients read one partition. When the storm is over, everybody must have an even share
//! of what they subscribe to; and when all are gone and the group is deleted, nothing may be left.
//!
//! `CONSUMER_SIM_SEED=n` runs one schedule, `CONSUMER_SIM_RUNS=n` that many.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "seeds/mod.rs"]
mod seeds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{ErrorCode, Uuid};
use seeds::Simulation;
use state::cluster::{Command, Image, MorePartitions, NewTopic, RegisterBroker};
use state::group::{
    ConsumerGroupState, ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, GroupConfig, GroupCoordinator,
    GroupRecord, GroupRequest, GroupResponse, TopicMatcher, Topics,
};
use state::machine::{Machine, Now, Output, ReplyTo};

const SIMULATION: Simulation = Simulation { variables: "CONSUMER_SIM", test: "consumer_simulation", runs: 2_000 };
const TOPICS: [&str; 3] = ["a1", "a2", "b"];
const STEPS: usize = 150;

#[derive(Clone, Debug, Default, PartialEq)]
struct Outcome {
    crashes: u64,
    records_lost: u64,
    handed_over: u64,
    fenced: u64,
}

/// A consumer. It reads what it was assigned, until it is told otherwise or dies.
struct Client {
    member_id: String,
    epoch: i32,
    reads: BTreeSet<(Uuid, i32)>,
    subscription: Subscription,
    /// What it reads or wants has changed since it was last heard.
    says_everything: bool,
}

#[derive(Clone, PartialEq)]
enum Subscription {
    Names(Vec<String>),
    Pattern(String),
}

struct World {
    random: fastrand::Rng,
    now: Now,
    image: Image,
    topics: Topics,
    machine: GroupCoordinator,
    log: Vec<GroupRecord>,
    clients: Vec<Client>,
    born: usize,
    asked: u64,
    outcome: Outcome,
}

fn prefix(pattern: &str) -> Result<TopicMatcher, String> {
    let pattern = pattern.to_owned();
    Ok(Box::new(move |name| name.starts_with(&pattern)))
}

fn id(topic: usize) -> Uuid {
    Uuid([topic as u8 + 1; 16])
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut image = Image::default();
        image.apply(&Command::RegisterBroker(RegisterBroker {
            broker_id: 0,
            incarnation_id: id(200),
            directory_id: id(201),
            listeners: Vec::new(),
            rack: None,
            fenced: false,
            replaces_epoch: -1,
        }));
        let topic = |(index, name): (usize, &&str)| NewTopic {
            name: (*name).to_owned(),
            id: id(index),
            assignments: vec![vec![0]; random.usize(1..6)],
            configs: BTreeMap::new(),
        };
        image.apply(&Command::CreateTopics(TOPICS.iter().enumerate().map(topic).collect()));
        let topics = Topics::new(Arc::new(image.clone()));
        let (machine, log, clients) = (new_machine(), Vec::new(), Vec::new());
        let now = Now { monotonic_ms: 1, wall_ms: 1 };
        let outcome = Outcome::default();
        World { random, now, image, topics, machine, log, clients, born: 0, asked: 0, outcome }
    }

    fn run(mut self) -> Outcome {
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
            10..13 => self.grow(),
            13..17 => self.crash(0),
            17..22 => {
                let pause_ms = self.random.u64(..20_000);
                self.pass(self.now.monotonic_ms + pause_ms);
            }
            _ if self.clients.is_empty() => {}
            _ => {
                let client = self.random.usize(..self.clients.len());
                match dice {
                    22..25 => drop(self.clients.remove(client)),
                    25..28 => self.leave(client),
                    28..34 => {
                        self.clients[client].subscription = self.some_subscription();
                        self.clients[client].says_everything = true;
                    }
                    _ => self.beat(client, true),
                }
            }
        }
    }

    fn some_subscription(&mut self) -> Subscription {
        if self.random.usize(..4) == 0 {
            return Subscription::Pattern(self.random.choice(["a", "b", "c"]).expect("there are some").to_owned());
        }
        Subscription::Names(TOPICS.iter().filter(|_| self.random.bool()).map(|name| (*name).to_owned()).collect())
    }

    fn give_birth(&mut self) {
        self.born += 1;
        let subscription = self.some_subscription();
        let member_id = format!("client-{}", self.born);
        let client = Client { member_id, epoch: 0, reads: BTreeSet::new(), subscription, says_everything: true };
        self.clients.push(client);
    }

    fn grow(&mut self) {
        let topic = self.random.usize(..TOPICS.len());
        let count = self.image.topic(TOPICS[topic]).expect("nobody deletes it").partition_count() + 1;
        let more = MorePartitions { topic_id: id(topic), count, assignments: vec![vec![0]] };
        self.image.apply(&Command::CreatePartitions(vec![more]));
        self.topics = Topics::new(Arc::new(self.image.clone()));
    }

    /// A coordinator that has all of the log but its end.
    fn crash(&mut self, lost: usize) {
        self.outcome.crashes += 1;
        self.outcome.records_lost += lost as u64;
        self.log.truncate(self.log.len() - lost);
        self.machine = new_machine();
        for record in &self.log {
            self.machine.apply(record);
        }
        self.machine.on_loaded(self.now);
    }

    /// Takes what was decided; false if the coordinator crashed on the way, and no answer left.
    fn take(&mut self, out: &Output<GroupCoordinator>, may_crash: bool) -> bool {
        for record in &out.records {
            self.machine.apply(record);
            self.log.push(record.clone());
        }
        if may_crash && !out.records.is_empty() && self.random.usize(..6) == 0 {
            let lost = self.random.usize(..=out.records.len());
            self.crash(lost);
            return false;
        }
        true
    }

    fn pass(&mut self, until_ms: u64) {
        while let Some(next_ms) = self.machine.next_deadline_ms().filter(|next_ms| *next_ms <= until_ms) {
            self.set_clock(next_ms);
            let out = self.machine.expire(self.now);
            self.take(&out, false);
        }
        self.set_clock(until_ms);
        // Whoever was silent for too long has noticed that itself.
        let members = self.members();
        for client in &mut self.clients {
            if client.epoch > 0 && !members.contains(&client.member_id) {
                client.rejoin();
            }
        }
    }

    fn set_clock(&mut self, monotonic_ms: u64) {
        let monotonic_ms = monotonic_ms.max(self.now.monotonic_ms);
        self.now = Now { monotonic_ms, wall_ms: monotonic_ms as i64 };
    }

    fn members(&mut self) -> BTreeSet<String> {
        let described = self.ask(GroupRequest::ConsumerDescribe(vec!["g".into()])).1;
        let Some(GroupResponse::ConsumerDescribe(groups)) = described else { panic!("not described") };
        groups.into_iter().flatten().flat_map(|group| group.members).map(|member| member.member_id).collect()
    }

    fn ask(&mut self, request: GroupRequest) -> (Output<GroupCoordinator>, Option<GroupResponse>) {
        self.asked += 1;
        let mut out = self.machine.handle(self.now, ReplyTo(self.asked), request);
        let response = out.replies.pop().map(|reply| reply.response);
        (out, response)
    }

    fn heartbeat(&mut self, request: ConsumerHeartbeatRequest, stormy: bool) -> Option<ConsumerHeartbeatResponse> {
        if stormy && self.random.usize(..12) == 0 {
            return None;
        }
        let (out, response) = self.ask(GroupRequest::ConsumerHeartbeat(Box::new(request)));
        if !self.take(&out, stormy) || (stormy && self.random.usize(..12) == 0) {
            return None;
        }
        let Some(GroupResponse::ConsumerHeartbeat(response)) = response else { panic!("{response:?}") };
        Some(response)
    }

    fn beat(&mut self, index: usize, stormy: bool) {
        let request = self.clients[index].request(&self.topics);
        let joined = request.member_epoch == 0;
        let answer = self.heartbeat(request, stormy);
        let client = &mut self.clients[index];
        let Some(answer) = answer else {
            // It does not know what was heard of this, and says everything again.
            client.says_everything = true;
            return;
        };
        match answer.error {
            ErrorCode::NONE => {}
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.outcome.fenced += 1;
                return client.rejoin();
            }
            other => panic!("{other:?} {:?}", answer.error_message),
        }
        client.epoch = answer.member_epoch;
        client.says_everything = false;
        let Some(assignment) = answer.assignment else { return };
        let assigned: BTreeSet<(Uuid, i32)> =
            assignment.iter().flat_map(|(topic, partitions)| partitions.iter().map(|index| (*topic, *index))).collect();
        // What it gives back, it says at once.
        client.says_everything = !client.reads.is_subset(&assigned);
        self.outcome.handed_over += u64::from(!joined && client.says_everything);
        client.reads = assigned;
    }

    fn leave(&mut self, index: usize) {
        let client = self.clients.remove(index);
        if client.epoch > 0 {
            let request = ConsumerHeartbeatRequest { member_epoch: -1, ..client.request(&self.topics) };
            self.heartbeat(request, true);
        }
    }

    fn check_that_nobody_reads_what_another_reads(&self) {
        let mut read = BTreeMap::new();
        for client in &self.clients {
            for partition in &client.reads {
                let other = read.insert(partition, &client.member_id);
                assert_eq!(other, None, "{partition:?} is read by {} too", client.member_id);
            }
        }
    }

    /// The storm is over: everybody is heard of as often as they are told to be.
    fn settle(&mut self) {
        for _ in 0..60 {
            for client in 0..self.clients.len() {
                self.beat(client, false);
                self.check_that_nobody_reads_what_another_reads();
            }
            self.pass(self.now.monotonic_ms + 1_000);
        }
    }

    fn check_shares(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let (_, described) = self.ask(GroupRequest::ConsumerDescribe(vec!["g".into()]));
        let Some(GroupResponse::ConsumerDescribe(mut groups)) = described else { panic!("not described") };
        let group = groups.remove(0).expect("it has members");
        assert_eq!(group.state, ConsumerGroupState::Stable, "{group:?}");
        assert_eq!(group.members.len(), self.clients.len());
        let mut read = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for client in &self.clients {
            read.extend(client.reads.iter().copied());
            let topics = client.topics();
            for &topic in &topics {
                let partitions = self.image.topic(TOPICS[topic]).expect("nobody deletes it").partition_count();
                wanted.extend((0..partitions).map(|partition| (id(topic), partition)));
            }
            for other in self.clients.iter().filter(|other| other.topics() == topics) {
                assert!(
                    client.reads.len() <= other.reads.len() + 1,
                    "{} has more than {}",
                    client.member_id,
                    other.member_id
                );
            }
        }
        assert_eq!(read, wanted, "all that somebody wants is read");
    }

    fn check_that_nothing_is_left(&mut self) {
        self.clients.clear();
        self.pass(self.now.monotonic_ms + 700_000);
        let (out, _) = self.ask(GroupRequest::DeleteGroups(vec!["g".into()]));
        self.take(&out, false);
        assert_eq!(self.machine.counts(), Default::default());
        self.crash(0);
        assert_eq!(self.machine.counts(), Default::default(), "the log has nothing either");
    }
}

impl Client {
    fn rejoin(&mut self) {
        self.reads.clear();
        self.epoch = 0;
        self.says_everything = true;
    }

    /// The topics it subscribes to, by index.
    fn topics(&self) -> Vec<usize> {
        let matches = |name: &str| match &self.subscription {
            Subscription::Names(names) => names.iter().any(|known| known == name),
            Subscription::Pattern(pattern) => name.starts_with(pattern.as_str()),
        };
        (0..TOPICS.len()).filter(|topic| matches(TOPICS[*topic])).collect()
    }

    fn request(&self, topics: &Topics) -> ConsumerHeartbeatRequest {
        let full = self.says_everything || self.epoch == 0;
        let mut owned = BTreeMap::<Uuid, Vec<i32>>::new();
        for (topic, partition) in &self.reads {
            owned.entry(*topic).or_default().push(*partition);
        }
        let (names, pattern) = match &self.subscription {
            Subscription::Names(names) => (names.clone(), String::new()),
            Subscription::Pattern(pattern) => (Vec::new(), pattern.clone()),
        };
        ConsumerHeartbeatRequest {
            group_id: "g".into(),
            member_id: self.member_id.clone(),
            fresh_member_id: String::new(),
            member_epoch: self.epoch,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: full.then_some(60_000),
            subscribed_topic_names: full.then_some(names),
            subscribed_topic_regex: full.then_some(pattern),
            server_assignor: None,
            owned_partitions: full.then(|| owned.into_iter().collect()),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            topics: topics.clone(),
        }
    }
}

fn new_machine() -> GroupCoordinator {
    GroupCoordinator::new(GroupConfig::default()).with_patterns(prefix)
}

fn run(seed: u64) -> Outcome {
    World::new(seed).run()
}

#[test]
fn random_schedules_keep_every_promise() {
    let outcomes = SIMULATION.outcomes(run);
    let runs = outcomes.len() as u64;
    let total = outcomes.iter().fold(Outcome::default(), |a, b| Outcome {
        crashes: a.crashes + b.crashes,
        records_lost: a.records_lost + b.records_lost,
        handed_over: a.handed_over + b.handed_over,
        fenced: a.fenced + b.fenced,
    });
    println!("{runs} schedules: {total:?}");
    if runs >= SIMULATION.runs {
        // What the checks are about must have happened, and often.
        assert!(total.crashes > 5 * runs && total.records_lost > runs && total.handed_over > 2 * runs, "{total:?}");
        assert!(total.fenced > runs / 20, "{total:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
}
