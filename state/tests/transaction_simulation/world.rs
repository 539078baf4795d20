//! One schedule: producers, partitions, a network that loses, a log that commits late, a coordinator that is replaced.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use state::machine::{Machine, Now, Output, ReplyTo, When};
use state::transaction::*;

use crate::checker::{Checker, newest};
use crate::client::{Answer, Client, Doing, TIMEOUT_MS, TOPIC};
use crate::partition::{Partition, Record};

const STORM_STEPS: u32 = 600;
const PARTITIONS: i32 = 4;
const IDS: [&str; 3] = ["a", "b", "c"];
const EXPIRATION_MS: i64 = 3_600_000;
const PATIENCE_MS: u64 = 1_000;

/// What happened, for the test of the test.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) reloads: u64,
    pub(crate) records_lost: u64,
    pub(crate) commits: u64,
    pub(crate) aborts: u64,
    pub(crate) timeouts: u64,
    pub(crate) stale_markers: u64,
    pub(crate) marker_retries: u64,
    pub(crate) rotations: u64,
    pub(crate) fenced: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.reloads += other.reloads;
        self.records_lost += other.records_lost;
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.timeouts += other.timeouts;
        self.stale_markers += other.stale_markers;
        self.marker_retries += other.marker_retries;
        self.rotations += other.rotations;
        self.fenced += other.fenced;
    }
}

/// Whose message, and what it was about then.
#[derive(Clone, Copy, Debug)]
struct Sender {
    client: usize,
    message: u64,
    transaction: u64,
    doing: Doing,
}

#[derive(Clone, Debug)]
enum Message {
    /// From a producer, or from the broker that it writes to.
    Request(Sender, TransactionRequest),
    /// From a broker to its own partition, once the coordinator has agreed.
    Append(Sender, Record, i32),
    Marker(Markers, i32),
    Written(MarkersWritten),
    Answer(Sender, Answer),
}

/// What may be let out when the log is committed up to a length.
enum Waiting {
    Reply(Option<Sender>, TransactionResponse),
    Effect(TransactionEffect),
}

/// An order to write markers that is not answered yet.
struct Order {
    markers: Markers,
    results: Vec<(String, i32, MarkerResult)>,
    missing: usize,
}

pub(crate) struct World {
    rng: fastrand::Rng,
    now: Now,
    config: TransactionConfig,
    machine: TransactionCoordinator,
    coordinator_epoch: i32,
    loads: u64,
    log: Vec<TransactionRecord>,
    committed: usize,
    waiting: Vec<(usize, Waiting)>,
    network: Vec<Message>,
    /// Messages that came, and come again much later.
    late: Vec<Message>,
    orders: BTreeMap<MarkerAttempt, Order>,
    partitions: Vec<Partition>,
    clients: Vec<Client>,
    checker: Checker,
    outcome: Outcome,
    is_storm: bool,
    next_number: u64,
    next_producer_id: i64,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let transaction_version = TransactionVersion(*rng.choice(&[0, 1, 2, 2, 2, 2]).expect("there are some"));
        let config = TransactionConfig {
            transaction_version,
            transactional_id_expiration_ms: EXPIRATION_MS,
            abort_timed_out_interval_ms: 1_000,
            remove_expired_interval_ms: 60_000,
            ..TransactionConfig::default()
        };
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut world = World {
            rng,
            now,
            config,
            machine: TransactionCoordinator::default(),
            coordinator_epoch: 0,
            loads: 0,
            log: Vec::new(),
            committed: 0,
            waiting: Vec::new(),
            network: Vec::new(),
            late: Vec::new(),
            orders: BTreeMap::new(),
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            clients: Vec::new(),
            checker: Checker::default(),
            outcome: Outcome::default(),
            is_storm: true,
            next_number: 0,
            next_producer_id: 100,
        };
        world.use_up_epochs();
        world.load();
        world
    }

    /// One id is close to its last epoch.
    fn use_up_epochs(&mut self) {
        let value = TransactionMetadata {
            producer_id: 7,
            previous_producer_id: 7,
            next_producer_id: -1,
            producer_epoch: i16::MAX - 1 - self.rng.i16(0..6),
            last_producer_epoch: -1,
            timeout_ms: TIMEOUT_MS,
            state: TransactionState::Empty,
            client_transaction_version: TransactionVersion::V0,
            partitions: Partitions::new(),
            start_timestamp_ms: -1,
            last_update_timestamp_ms: self.now.wall_ms,
        };
        self.log.push(TransactionRecord { transactional_id: IDS[0].to_owned(), value: Some(value) });
        self.committed = self.log.len();
    }

    pub(crate) fn run(mut self) -> Outcome {
        for _ in 0..STORM_STEPS {
            self.storm_step();
        }
        self.settle();
        self.check_everybody_can_go_on();
        self.check_everything_expires();
        self.outcome.rotations = self.checker.rotations;
        self.outcome
    }

    fn storm_step(&mut self) {
        match self.rng.u32(0..100) {
            0..40 => self.deliver(),
            40..70 => self.client_step(),
            70..85 => self.commit_log(),
            85..94 if self.rng.bool() => {
                let ms = self.rng.u64(0..400);
                self.pass_ms(ms);
            }
            94 if self.rng.bool() => {
                let ms = self.rng.u64(0..2 * u64::from(TIMEOUT_MS.unsigned_abs()));
                self.pass_ms(ms);
            }
            95..97 => self.replace_coordinator(),
            _ => self.now.wall_ms += self.rng.i64(-5_000..5_000),
        }
        self.expire();
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn client_step(&mut self) {
        let running: Vec<usize> = (0..self.clients.len()).filter(|index| self.clients[*index].is_running).collect();
        if running.len() < IDS.len() + 1 && self.rng.u8(0..12) == 0 {
            let id = IDS[self.rng.usize(0..IDS.len())];
            self.start_client(id);
        } else if let Some(index) = self.rng.choice(running) {
            self.client_goes_on(index);
        }
    }

    fn start_client(&mut self, transactional_id: &str) -> usize {
        let is_new = self.config.transaction_version.bumps_epoch() && self.rng.u8(0..3) > 0;
        let version = if is_new { TransactionVersion::V2 } else { TransactionVersion::V0 };
        let transaction = self.number();
        self.clients.push(Client::new(transactional_id, version, transaction));
        self.clients.len() - 1
    }

    /// A producer thinks of something, or asks again.
    fn client_goes_on(&mut self, index: usize) {
        let now_ms = self.now.monotonic_ms;
        let client = &self.clients[index];
        if client.asked.is_some_and(|(_, until_ms)| until_ms > now_ms) || client.next_try_ms > now_ms {
            return;
        }
        if self.is_storm && self.rng.u8(0..60) == 0 {
            self.clients[index].is_running = false;
            return;
        }
        if !self.clients[index].version.bumps_epoch() {
            // Before KIP-890 a request that is repeated must not arrive later, and nothing in the protocol helps.
            self.network.retain(|message| !matches!(message, Message::Request(sender, _) if sender.client == index));
        }
        let doing = match self.clients[index].doing {
            Some(doing) => doing,
            None => self.think(index),
        };
        let message = self.number();
        let client = &mut self.clients[index];
        if doing == (Doing::End { committed: true }) {
            self.checker.wants_to_commit(client.transaction);
        }
        client.doing = Some(doing);
        client.asked = Some((message, now_ms + PATIENCE_MS));
        let sender = Sender { client: index, message, transaction: client.transaction, doing };
        let request = client.request(doing);
        self.network.push(Message::Request(sender, request));
    }

    fn think(&mut self, index: usize) -> Doing {
        let id = self.number();
        let (choice, partition) = (self.rng.u8(0..20), self.rng.i32(0..PARTITIONS));
        let client = &self.clients[index];
        match choice {
            0 if self.is_storm => Doing::Init { goes_on: true },
            1..6 if client.written > 0 => Doing::End { committed: choice > 1 },
            6 if client.version.bumps_epoch() => Doing::End { committed: false },
            _ if client.has_to_add(partition) => Doing::Add { partition },
            _ => Doing::Write { record: client.record(id), partition },
        }
    }

    fn deliver(&mut self) {
        if self.is_storm && !self.late.is_empty() && self.rng.u8(0..20) == 0 {
            let index = self.rng.usize(0..self.late.len());
            let message = self.late.swap_remove(index);
            self.network.push(message);
        }
        if self.network.is_empty() {
            return;
        }
        let index = if self.is_storm { self.rng.usize(0..self.network.len()) } else { 0 };
        let message = self.network.remove(index);
        let (is_lost, comes_twice) = (self.rng.u8(0..12) == 0, self.rng.u8(0..8) == 0);
        if self.is_storm && comes_twice && self.may_come_twice(&message) {
            self.late.push(message.clone());
        }
        if self.is_storm && is_lost {
            return self.lose(message);
        }
        match message {
            Message::Request(sender, request) => self.ask(Some(sender), request),
            Message::Append(sender, record, partition) => self.append(sender, record, partition),
            Message::Marker(markers, partition) => self.write_marker(&markers, partition),
            Message::Written(answer) => self.ask(None, TransactionRequest::MarkersWritten(answer)),
            Message::Answer(sender, answer) => self.answer(sender, answer),
        }
    }

    /// What KIP-890 protects against, and what always had to be harmless.
    fn may_come_twice(&self, message: &Message) -> bool {
        match message {
            Message::Request(sender, _) | Message::Append(sender, _, _) => {
                self.clients[sender.client].version.bumps_epoch()
            }
            Message::Marker(markers, _) => markers.transaction_version.bumps_epoch(),
            Message::Written(_) | Message::Answer(..) => true,
        }
    }

    /// Whoever ordered a marker hears that it failed; all others wait in vain.
    fn lose(&mut self, message: Message) {
        match message {
            Message::Marker(markers, partition) => {
                let lost = MarkerResult::Answered(ErrorCode::REQUEST_TIMED_OUT);
                self.marker_answered(markers.attempt, partition, lost);
            }
            Message::Written(_) => self.network.push(message),
            _ => {}
        }
    }

    fn append(&mut self, sender: Sender, record: Record, partition: i32) {
        let error = self.partitions[partition as usize].append(record);
        self.network.push(Message::Answer(sender, Answer::Error(error)));
    }

    fn write_marker(&mut self, markers: &Markers, partition: i32) {
        if self.is_storm && self.rng.u8(0..15) == 0 {
            let elsewhere = MarkerResult::Answered(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            return self.marker_answered(markers.attempt, partition, elsewhere);
        }
        let error = match self.partitions[partition as usize].mark(markers) {
            Ok(ended) => {
                self.checker.marked(&self.log[..self.committed], markers, &ended);
                ErrorCode::NONE
            }
            Err(error) => error,
        };
        self.outcome.stale_markers += u64::from(error.is_error());
        self.marker_answered(markers.attempt, partition, MarkerResult::Answered(error));
    }

    /// The order is answered when every partition is heard of; what comes later is for nobody.
    fn marker_answered(&mut self, attempt: MarkerAttempt, partition: i32, result: MarkerResult) {
        let Some(order) = self.orders.get_mut(&attempt) else { return };
        if order.results.iter().any(|(_, answered, _)| *answered == partition) {
            return;
        }
        order.results.push((TOPIC.to_owned(), partition, result));
        order.missing -= 1;
        if order.missing == 0 {
            let Order { markers, results, .. } = self.orders.remove(&attempt).expect("it was there");
            let answer = MarkersWritten { transactional_id: markers.transactional_id, attempt, results };
            self.network.push(Message::Written(answer));
        }
    }

    fn answer(&mut self, sender: Sender, answer: Answer) {
        let next_transaction = self.number();
        let client = &mut self.clients[sender.client];
        if client.is_running && client.asked.is_some_and(|(message, _)| message == sender.message) {
            client.hear(answer, self.now.monotonic_ms, next_transaction);
            self.outcome.fenced += u64::from(!client.is_running);
        }
    }

    fn ask(&mut self, sender: Option<Sender>, mut request: TransactionRequest) {
        let mut out = self.machine.handle(self.now, ReplyTo(0), request.clone());
        if out.replies[0].response == TransactionResponse::ProducerIdNeeded {
            assert!(out.records.is_empty() && out.effects.is_empty(), "nothing has happened");
            self.next_producer_id += 1;
            match &mut request {
                TransactionRequest::InitProducerId(request) => request.fresh_producer_id = Some(self.next_producer_id),
                TransactionRequest::EndTxn(request) => request.fresh_producer_id = Some(self.next_producer_id),
                other => panic!("{other:?} needs no producer id"),
            }
            out = self.machine.handle(self.now, ReplyTo(0), request);
        }
        self.take(out, sender);
    }

    fn expire(&mut self) {
        if self.machine.next_deadline_ms().is_some_and(|due_ms| due_ms <= self.now.monotonic_ms) {
            let out = self.machine.expire(self.now);
            self.take(out, None);
        }
    }

    /// What a shell does with an output: append, apply, hold back the rest.
    fn take(&mut self, out: Output<TransactionCoordinator>, sender: Option<Sender>) {
        for record in out.records {
            self.checker.appended(&self.log, &record, &self.partitions);
            self.machine.apply(&record);
            self.log.push(record);
        }
        let length = self.log.len();
        let replies = out.replies.into_iter().map(|reply| {
            let length = if reply.when == When::Now { 0 } else { length };
            (length, Waiting::Reply(sender, reply.response))
        });
        self.waiting.extend(replies);
        self.waiting.extend(out.effects.into_iter().map(|effect| (length, Waiting::Effect(effect))));
        self.release();
    }

    fn commit_log(&mut self) {
        self.committed = if self.is_storm { self.rng.usize(self.committed..=self.log.len()) } else { self.log.len() };
        self.release();
    }

    fn release(&mut self) {
        let committed = self.committed;
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(length, _)| *length <= committed);
        self.waiting = waiting;
        for (_, item) in ready {
            match item {
                Waiting::Reply(Some(sender), response) => self.reply(sender, response),
                Waiting::Reply(None, response) => assert_eq!(response, TransactionResponse::Taken),
                Waiting::Effect(TransactionEffect::WriteMarkers(markers)) => self.order(markers),
                Waiting::Effect(TransactionEffect::ProducerIdNeeded) => {
                    self.next_producer_id += 1;
                    self.ask(None, TransactionRequest::ProducerId(self.next_producer_id));
                }
            }
        }
    }

    fn order(&mut self, markers: Markers) {
        let partitions: Vec<i32> = markers.partitions.values().flatten().copied().collect();
        let (attempt, missing) = (markers.attempt, partitions.len());
        for partition in partitions {
            self.network.push(Message::Marker(markers.clone(), partition));
        }
        let order = Order { markers, results: Vec::new(), missing };
        assert!(self.orders.insert(attempt, order).is_none(), "{attempt:?} was ordered twice");
    }

    /// An answer leaves the coordinator: from here on, what it says must stay true.
    fn reply(&mut self, sender: Sender, response: TransactionResponse) {
        let answer = match response {
            TransactionResponse::InitProducerId(response) | TransactionResponse::EndTxn(response) => {
                self.check_told(sender, response);
                Answer::Producer(response)
            }
            TransactionResponse::AddPartitions(error) => Answer::Error(error),
            TransactionResponse::VerifyPartitions(topics) => Answer::Error(topics[0].1[0].1),
            other => panic!("{other:?} to {sender:?}"),
        };
        match (sender.doing, answer) {
            (Doing::Write { record, partition }, Answer::Error(ErrorCode::NONE)) => {
                match self.clients[sender.client].version.bumps_epoch() {
                    true => self.network.push(Message::Append(sender, record, partition)),
                    // Verified and written at once: what a partition's guard is for.
                    false => self.append(sender, record, partition),
                }
            }
            _ => self.network.push(Message::Answer(sender, answer)),
        }
    }

    fn check_told(&mut self, sender: Sender, response: ProducerResponse) {
        if response.error.is_error() {
            return;
        }
        let bumps_epoch = self.clients[sender.client].version.bumps_epoch();
        if bumps_epoch || matches!(sender.doing, Doing::Init { .. }) {
            self.checker.granted(response.producer_id, response.producer_epoch, sender.client);
        }
        if let Doing::End { committed } = sender.doing {
            self.checker.told(sender.transaction, committed);
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += i64::try_from(ms).expect("not that long");
    }

    /// Another coordinator takes over, or the same one loads again, with all that was committed and some of what was
    /// not.
    fn replace_coordinator(&mut self) {
        let length = self.rng.usize(self.committed..=self.log.len());
        self.outcome.reloads += 1;
        self.outcome.records_lost += (self.log.len() - length) as u64;
        self.log.truncate(length);
        self.committed = length;
        self.waiting.clear();
        if self.rng.bool() {
            self.coordinator_epoch += 1;
        } else {
            // It waits for what it ordered before.
            self.network.retain(|message| !matches!(message, Message::Marker(..)));
            self.late.retain(|message| !matches!(message, Message::Marker(..)));
            self.orders.clear();
        }
        self.load();
    }

    /// A machine as the bytes of the log make it.
    fn load(&mut self) {
        let totals = self.machine.totals();
        self.outcome.commits += totals.commits;
        self.outcome.aborts += totals.aborts;
        self.outcome.timeouts += totals.timeouts;
        self.outcome.marker_retries += totals.marker_retries;
        self.loads += 1;
        self.machine = TransactionCoordinator::new(self.config.clone(), self.coordinator_epoch, self.loads);
        for record in &self.log {
            let (key, value) = record.encode(self.config.transaction_version);
            self.machine.apply(&TransactionRecord::decode(&key, value.as_deref()).expect("we wrote it"));
        }
        self.machine.on_loaded(self.now);
        self.check_loaded();
    }

    fn check_loaded(&self) {
        for described in self.machine.describe(&IDS.map(str::to_owned)) {
            let logged = newest(&self.log, &described.transactional_id);
            let of_log = logged.map(|it| (it.state, it.producer_id, it.producer_epoch, it.partitions.clone()));
            let of_machine =
                described.transaction.map(|it| (it.state, it.producer_id, it.producer_epoch, it.partitions));
            assert_eq!(of_machine, of_log, "the log and the machine do not agree");
        }
    }

    /// Nothing is lost any more and every producer is gone: transactions end by their time.
    fn settle(&mut self) {
        self.is_storm = false;
        self.network.append(&mut self.late);
        self.clients.iter_mut().for_each(|client| client.is_running = false);
        self.go_on_for(u64::from(TIMEOUT_MS.unsigned_abs()) + 30_000);
        let counts = self.machine.counts();
        assert_eq!((counts.ongoing, counts.prepared), (0, 0), "a transaction is stuck");
        assert!(self.partitions.iter().all(Partition::is_quiet), "a partition waits for a marker");
        assert!(self.network.is_empty() && self.orders.is_empty());
    }

    /// Time passes, and everything that can happen does.
    fn go_on_for(&mut self, ms: u64) {
        let end_ms = self.now.monotonic_ms + ms;
        while self.now.monotonic_ms < end_ms {
            while !self.network.is_empty() || self.committed < self.log.len() || !self.waiting.is_empty() {
                self.commit_log();
                self.deliver();
            }
            for index in 0..self.clients.len() {
                if self.clients[index].is_running && self.clients[index].commits_heard == 0 {
                    self.client_goes_on(index);
                }
            }
            // Alone, the coordinator does nothing before its next deadline.
            let is_alone = self.clients.iter().all(|client| !client.is_running);
            let due_ms = self.machine.next_deadline_ms().filter(|_| is_alone).unwrap_or(0).min(end_ms);
            self.pass_ms(due_ms.saturating_sub(self.now.monotonic_ms).max(100));
            self.expire();
        }
    }

    fn check_everybody_can_go_on(&mut self) {
        for id in IDS {
            let index = self.start_client(id);
            self.go_on_for(20_000);
            assert!(self.clients[index].is_running, "{id}: a producer that is alone is fenced");
            assert!(self.clients[index].commits_heard > 0, "{id}: nothing can be committed any more");
        }
        self.clients.iter_mut().for_each(|client| client.is_running = false);
        self.go_on_for(u64::from(TIMEOUT_MS.unsigned_abs()) + 30_000);
    }

    fn check_everything_expires(&mut self) {
        self.pass_ms(EXPIRATION_MS.unsigned_abs());
        self.go_on_for(120_000);
        assert_eq!(self.machine.counts(), TransactionCounts::default());
        self.load();
        assert_eq!(self.machine.counts(), TransactionCounts::default(), "the log brings back what was forgotten");
    }
}
