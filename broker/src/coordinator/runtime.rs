//! The one shell that drives every coordinator machine.
//!
//! It gives the machine the time and the requests, appends the records it decided, applies them, and lets each reply
//! leave, and each effect begin, when what it depends on is durable. If an append fails, the machine is dropped and loaded again from the
//! log: there is no second way to get the state right.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::BatchBuilder;
use state::machine::{Machine, Output, Reply, ReplyTo, When};
use storage::{AppendError, Applicant, TransactionCheck, TxnMarker, Verification};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::loading::{RECORDS_MAX_BYTES, load};
use crate::clock::Clock;
use crate::error::{PartitionError, append_failure};
use crate::partition::{AppendRefusal, Durable, Partition};

/// Requests that may queue for one coordinator; more wait in their connections.
const QUEUE_MAX: usize = 256;
/// Requests handled before the records they caused are appended together.
const BATCH_MAX: usize = 64;
/// Records gathered before they are appended, bytes.
const BATCH_BYTES: usize = 256 * 1024;
/// What a record takes in a batch beside its key and value, at most, bytes.
const FRAME_BYTES: usize = 32;
/// The header of a batch, at most, bytes.
const HEADER_BYTES: usize = 128;
/// Between two attempts to load a log that cannot be read or written.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// How a machine's records stand in its log.
pub(crate) trait RecordCodec<R>: Send + Sync + 'static {
    /// Key and value; no value is a tombstone. `None` for a record that is not a key and value in the log.
    fn encode(&self, record: &R) -> Option<(Bytes, Option<Bytes>)>;
    /// `None` for a record that this release does not know; it is skipped. `producer` is the id and epoch of a batch
    /// that is part of a transaction.
    fn decode(&self, key: &[u8], value: Option<&[u8]>, producer: Option<(i64, i16)>) -> Option<R>;
    /// What a marker in the log means to the machine, if anything.
    fn transaction_end(&self, _producer_id: i64, _committed: bool) -> Option<R> {
        None
    }
}

/// What a coordinator is handed.
enum Submission<M: Machine> {
    Request(M::Request, oneshot::Sender<M::Response>),
    InTransaction(Box<InTransaction<M>>, oneshot::Sender<M::Response>),
    Marker(TxnMarker, oneshot::Sender<Result<(), ErrorCode>>),
}

/// A request whose records are part of a producer's transaction. The machine hears of it only if the log takes them.
pub(crate) struct InTransaction<M: Machine> {
    pub(crate) request: M::Request,
    pub(crate) applicant: Applicant,
    /// What the producer's coordinator was asked, and said yes to.
    pub(crate) check: TransactionCheck,
    /// What is answered when the log does not take records of this transaction now.
    pub(crate) refused: Box<dyn FnOnce(ErrorCode) -> M::Response + Send>,
}

/// A running coordinator: a door to its machine.
pub(crate) struct Coordinator<M: Machine> {
    requests: mpsc::Sender<Submission<M>>,
}

impl<M: Machine> Clone for Coordinator<M> {
    fn clone(&self) -> Self {
        Coordinator { requests: self.requests.clone() }
    }
}

impl<M: Machine> Coordinator<M> {
    /// Hands a request to the machine; requests of one caller are handled in the order they were submitted.
    ///
    /// The receiver fails if the coordinator is stopped or had to reload before it could answer: whether the request
    /// took effect is then unknown, as after a lost connection.
    pub(crate) async fn submit(&self, request: M::Request) -> oneshot::Receiver<M::Response> {
        let (sender, receiver) = oneshot::channel();
        // A closed queue drops the sender, which is what the receiver reports.
        let _ = self.requests.send(Submission::Request(request, sender)).await;
        receiver
    }

    /// The same for a request whose records are part of a transaction.
    pub(crate) async fn submit_in_transaction(&self, asked: InTransaction<M>) -> oneshot::Receiver<M::Response> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.requests.send(Submission::InTransaction(Box::new(asked), sender)).await;
        receiver
    }

    /// Ends a transaction in the coordinator's log, and tells the machine. The receiver resolves when that is durable.
    pub(crate) async fn submit_marker(&self, marker: TxnMarker) -> oneshot::Receiver<Result<(), ErrorCode>> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.requests.send(Submission::Marker(marker, sender)).await;
        receiver
    }
}

/// A door that does not keep the coordinator running: for whoever performs its effects.
pub(crate) struct WeakCoordinator<M: Machine> {
    requests: mpsc::WeakSender<Submission<M>>,
}

impl<M: Machine> Clone for WeakCoordinator<M> {
    fn clone(&self) -> Self {
        WeakCoordinator { requests: self.requests.clone() }
    }
}

impl<M: Machine> WeakCoordinator<M> {
    /// `None` once the coordinator is stopping.
    pub(crate) fn upgrade(&self) -> Option<Coordinator<M>> {
        self.requests.upgrade().map(|requests| Coordinator { requests })
    }
}

/// Held by whoever performs an effect, until the world is as the effect wants it: a machine is not replaced before that.
#[derive(Clone)]
pub(crate) struct Performing {
    _held: mpsc::Sender<std::convert::Infallible>,
}

/// Starts a coordinator on `partition`, whose log holds its records. It ends when every [`Coordinator`] is dropped, and
/// when the log is closed.
///
/// `make` gives a fresh machine, and `loaded` is told when it has seen the whole log, and how long that took. `perform`
/// starts an effect and does not wait for it.
pub(crate) fn spawn<M, C>(
    partition: Arc<Partition>,
    clock: Clock,
    codec: C,
    make: impl Fn() -> M + Send + 'static,
    loaded: impl Fn(&mut M, state::machine::Now, Duration) + Send + 'static,
    perform: impl Fn(M::Effect, &WeakCoordinator<M>, Performing) + Send + Sync + 'static,
) -> Coordinator<M>
where
    M: Machine + Send + 'static,
    M::Request: Send,
    M::Response: Send,
    M::Record: Send,
    M::Effect: Send,
    C: RecordCodec<M::Record>,
{
    let (requests, queue) = mpsc::channel(QUEUE_MAX);
    let door = WeakCoordinator { requests: requests.downgrade() };
    tokio::spawn(async move {
        let mut queue = queue;
        loop {
            let mut machine = make();
            let begun = tokio::time::Instant::now();
            if let Err(error) = load(&partition, &codec, &mut machine).await {
                if matches!(error, PartitionError::Closed) {
                    // Its topic was deleted, or the broker stops: nobody opens this log again.
                    return;
                }
                error!(partition = %partition, %error, "a coordinator cannot load its log; trying again");
                // Whoever waits is told now (their receivers fail) instead of when their clients lose patience.
                while queue.try_recv().is_ok() {}
                if queue.is_closed() {
                    return;
                }
                tokio::time::sleep(RELOAD_PAUSE).await;
                continue;
            }
            loaded(&mut machine, clock.now(), begun.elapsed());
            let (held, mut performed) = mpsc::channel(1);
            let performing = Performing { _held: held };
            let perform = |effect| perform(effect, &door, performing.clone());
            let shell = Shell::new(&partition, &clock, &codec, machine, &perform);
            match shell.run(&mut queue).await {
                Ended::Stopped => return,
                Ended::AppendFailed => {
                    warn!(partition = %partition, "a coordinator could not write its log; it loads again");
                    drop(performing);
                    // Nobody sends; it ends when the last one has let go.
                    performed.recv().await;
                    tokio::time::sleep(RELOAD_PAUSE).await;
                }
            }
        }
    });
    Coordinator { requests }
}

enum Ended {
    Stopped,
    AppendFailed,
}

/// What waits for one append to be durable.
struct Committing<M: Machine> {
    durable: oneshot::Receiver<Durable>,
    replies: Vec<(oneshot::Sender<M::Response>, M::Response)>,
    effects: Vec<M::Effect>,
    /// Whoever had a marker written by it.
    marker: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

struct Shell<'a, M: Machine, C> {
    partition: &'a Arc<Partition>,
    clock: &'a Clock,
    codec: &'a C,
    machine: M,
    perform: &'a (dyn Fn(M::Effect) + Send + Sync),
    /// Who waits for which number. As many as requests the machine holds.
    waiting: HashMap<ReplyTo, oneshot::Sender<M::Response>>,
    next_reply_to: u64,
    committing: VecDeque<Committing<M>>,
    /// Decided and applied, not yet appended.
    records: Vec<(Bytes, Option<Bytes>)>,
    /// With what they take in a batch.
    record_bytes: usize,
    /// Where those of the last call begin.
    last_call: usize,
    /// In whose transaction these records are.
    transaction: Option<(Applicant, TransactionCheck)>,
    replies: Vec<Reply<M::Response>>,
    effects: Vec<M::Effect>,
}

impl<'a, M: Machine, C: RecordCodec<M::Record>> Shell<'a, M, C> {
    fn new(
        partition: &'a Arc<Partition>,
        clock: &'a Clock,
        codec: &'a C,
        machine: M,
        perform: &'a (dyn Fn(M::Effect) + Send + Sync),
    ) -> Self {
        Shell {
            partition,
            clock,
            codec,
            machine,
            perform,
            waiting: HashMap::new(),
            next_reply_to: 0,
            committing: VecDeque::new(),
            records: Vec::new(),
            record_bytes: 0,
            last_call: 0,
            transaction: None,
            replies: Vec::new(),
            effects: Vec::new(),
        }
    }

    async fn run(mut self, queue: &mut mpsc::Receiver<Submission<M>>) -> Ended {
        let mut received = Vec::with_capacity(BATCH_MAX);
        loop {
            let deadline = self.machine.next_deadline_ms();
            tokio::select! {
                durable = next_durable(&mut self.committing) => {
                    if !self.committed(durable) {
                        return Ended::AppendFailed;
                    }
                }
                count = queue.recv_many(&mut received, BATCH_MAX) => {
                    if count == 0 {
                        return Ended::Stopped;
                    }
                    for submission in received.drain(..) {
                        if !self.receive(submission).await {
                            return Ended::AppendFailed;
                        }
                    }
                }
                () = sleep_until(self.clock, deadline) => {
                    let output = self.machine.expire(self.clock.now());
                    self.take(output);
                }
            }
            if !self.append().await {
                return Ended::AppendFailed;
            }
        }
    }

    /// False when the log refused.
    async fn receive(&mut self, submission: Submission<M>) -> bool {
        match submission {
            Submission::Request(request, sender) => {
                self.handle(request, sender);
                self.record_bytes <= BATCH_BYTES || self.append().await
            }
            // What was decided before stands before it in the log.
            Submission::InTransaction(asked, sender) => {
                self.append().await && self.in_transaction(*asked, sender).await
            }
            Submission::Marker(marker, sender) => self.append().await && self.marker(marker, sender).await,
        }
    }

    /// Nobody else writes to the log, so what it would take now it takes.
    async fn in_transaction(&mut self, asked: InTransaction<M>, sender: oneshot::Sender<M::Response>) -> bool {
        let InTransaction { request, applicant, check, refused } = asked;
        let admitted = match (self.partition.begin_verification(applicant).await, check) {
            (Ok(Verification::Ongoing), _) => Ok(TransactionCheck::Ongoing),
            (Ok(Verification::Needed(_)), TransactionCheck::Off) => Ok(TransactionCheck::Off),
            (Ok(Verification::Needed(now)), TransactionCheck::Verified(then)) if now == then => Ok(check),
            // A marker came since. Where each transaction has an epoch of its own it was the one before's, which ended
            // while its coordinator was asked about this one; a late request is told of its epoch when it asks again.
            (Ok(Verification::Needed(_)), TransactionCheck::Verified(_)) if applicant.supports_epoch_bump => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            (Ok(Verification::Needed(_)), _) => Err(ErrorCode::INVALID_TXN_STATE),
            (Err(error), _) => Err(self.code(error)),
        };
        match admitted {
            Ok(check) => {
                self.transaction = Some((applicant, check));
                self.handle(request, sender);
                let appended = self.append().await;
                self.transaction = None;
                appended
            }
            Err(code) => {
                // Whoever asked may be gone.
                let _ = sender.send(refused(code));
                true
            }
        }
    }

    async fn marker(&mut self, marker: TxnMarker, sender: oneshot::Sender<Result<(), ErrorCode>>) -> bool {
        match self.partition.append_marker(marker).await {
            Ok(durable) => {
                if let Some(record) = self.codec.transaction_end(marker.producer_id, marker.committed) {
                    self.machine.apply(&record);
                }
                let marker = Some(sender);
                self.committing.push_back(Committing { durable, replies: Vec::new(), effects: Vec::new(), marker });
                true
            }
            Err(AppendError::Storage(_) | AppendError::Closed) => false,
            Err(error) => {
                let _ = sender.send(Err(self.code(error)));
                true
            }
        }
    }

    fn code(&self, error: AppendError) -> ErrorCode {
        append_failure(self.partition, &AppendRefusal::Log(error)).code
    }

    fn handle(&mut self, request: M::Request, sender: oneshot::Sender<M::Response>) {
        let from = ReplyTo(self.next_reply_to);
        self.next_reply_to += 1;
        self.waiting.insert(from, sender);
        let output = self.machine.handle(self.clock.now(), from, request);
        self.take(output);
    }

    fn take(&mut self, output: Output<M>) {
        self.last_call = self.records.len();
        for record in &output.records {
            self.machine.apply(record);
            let Some((key, value)) = self.codec.encode(record) else { continue };
            self.record_bytes += size_bytes(&key, value.as_ref());
            self.records.push((key, value));
        }
        self.replies.extend(output.replies);
        self.effects.extend(output.effects);
    }

    /// Appends what was decided and sorts the replies; false when the log refused.
    async fn append(&mut self) -> bool {
        let effects = std::mem::take(&mut self.effects);
        let mut parked = Vec::new();
        for reply in std::mem::take(&mut self.replies) {
            let Some(sender) = self.waiting.remove(&reply.to) else { continue };
            match reply.when {
                When::Now => drop(sender.send(reply.response)),
                When::Committed => parked.push((sender, reply.response)),
            }
        }
        if !self.records.is_empty() {
            for records in self.batches() {
                let batch = self.batch(&records);
                let check = self.transaction.map_or(TransactionCheck::Ongoing, |(_, check)| check);
                let Ok(durable) = self.partition.append_internal(batch, check).await else {
                    return false;
                };
                let nothing = (Vec::new(), Vec::new());
                self.committing.push_back(Committing { durable, replies: nothing.0, effects: nothing.1, marker: None });
            }
            // Whoever waits, waits for the last of them.
            if let Some(last) = self.committing.back_mut() {
                (last.replies, last.effects) = (parked, effects);
            }
        } else if let Some(last) = self.committing.back_mut() {
            last.replies.extend(parked);
            last.effects.extend(effects);
        } else {
            self.release(parked, effects);
        }
        true
    }

    /// What is to be appended, in one batch if the log takes it. If not, that of the last call is a batch of its own; and
    /// if that is too large it is cut, which is never so of records that are nothing without each other.
    fn batches(&mut self) -> Vec<Vec<(Bytes, Option<Bytes>)>> {
        let mut earlier = std::mem::take(&mut self.records);
        let (bytes, last_call) = (std::mem::take(&mut self.record_bytes), std::mem::take(&mut self.last_call));
        let segment_bytes = usize::try_from(self.partition.log().config().segment_bytes).unwrap_or(usize::MAX);
        // What is loaded again is not unpacked beyond another limit.
        let limit = segment_bytes.min(RECORDS_MAX_BYTES / 2).saturating_sub(HEADER_BYTES);
        if bytes <= limit {
            return vec![earlier];
        }
        let last = earlier.split_off(last_call);
        let mut batches = Vec::new();
        for records in [earlier, last] {
            let (mut batch, mut batch_bytes) = (Vec::new(), 0);
            for (key, value) in records {
                let bytes = size_bytes(&key, value.as_ref());
                if batch_bytes + bytes > limit && !batch.is_empty() {
                    batches.push(std::mem::take(&mut batch));
                    batch_bytes = 0;
                }
                batch_bytes += bytes;
                batch.push((key, value));
            }
            batches.extend((!batch.is_empty()).then_some(batch));
        }
        batches
    }

    fn batch(&self, records: &[(Bytes, Option<Bytes>)]) -> Bytes {
        let now_ms = self.clock.now().wall_ms;
        let mut builder = BatchBuilder::new(0);
        if let Some((Applicant { producer_id, epoch, sequence, .. }, _)) = self.transaction {
            builder = builder.producer(producer_id, epoch, sequence).transactional();
        }
        for (key, value) in records {
            builder.append(now_ms, Some(key), value.as_deref(), &[]);
        }
        builder.build().into()
    }

    fn release(&self, replies: Vec<(oneshot::Sender<M::Response>, M::Response)>, effects: Vec<M::Effect>) {
        for (sender, response) in replies {
            // Whoever asked may be gone.
            let _ = sender.send(response);
        }
        effects.into_iter().for_each(self.perform);
    }

    /// The oldest append ended; false when it is not durable.
    fn committed(&mut self, durable: Result<Durable, oneshot::error::RecvError>) -> bool {
        let Some(done) = self.committing.pop_front() else { return true };
        if !matches!(durable, Ok(Ok(()))) {
            return false;
        }
        if let Some(sender) = done.marker {
            let _ = sender.send(Ok(()));
        }
        self.release(done.replies, done.effects);
        true
    }
}

/// What a record takes in a batch.
fn size_bytes(key: &Bytes, value: Option<&Bytes>) -> usize {
    key.len() + value.map_or(0, Bytes::len) + FRAME_BYTES
}

async fn next_durable<M: Machine>(
    committing: &mut VecDeque<Committing<M>>,
) -> Result<Durable, oneshot::error::RecvError> {
    match committing.front_mut() {
        Some(front) => (&mut front.durable).await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: &Clock, deadline_ms: Option<u64>) {
    match deadline_ms {
        Some(deadline_ms) => tokio::time::sleep_until(clock.instant_at(deadline_ms)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "runtime_tests.rs"]
mod tests;
