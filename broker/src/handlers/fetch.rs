//! Fetch: read record batches, and wait for them.
//!
//! v7 incremental sessions (KIP-227). v9 leader epochs (KIP-320). v10 zstd. v11 preferred replica (KIP-392).
//! v12 diverging epochs (KIP-595). v13 topic ids (KIP-516). Below v4 batches become message sets (`conversion/`).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::messages::FetchRequest;
use protocol::messages::fetch::*;
use protocol::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use crate::broker::Broker;
use crate::context::Context;
use crate::conversion::{OldFetch, fetched_format};
use crate::dispatch::Later;
use crate::fetch_session::{FetchPlan, Seen, SessionRequest, TopicKey, Wanted};
use crate::partition::{
    FetchWaiter, Flow, Partition, ReadLimits, Slice, Traffic, hold_until_sent, is_hot, read_all_partitions,
    read_in_order,
};
use crate::quota::Fetched;

/// Topic ids instead of names.
const FIRST_ID_VERSION: i16 = 13;
/// Before this version clients know no KAFKA_STORAGE_ERROR and are told NOT_LEADER_OR_FOLLOWER instead.
const FIRST_STORAGE_ERROR_VERSION: i16 = 6;
const FIRST_SESSION_VERSION: i16 = 7;
/// Below this version a consumer cannot read zstd.
const FIRST_ZSTD_VERSION: i16 = 10;
const READ_COMMITTED: i8 = 1;

/// Readers are answered right away with so many bytes at most; what is longer is gathered when its turn to be sent has
/// come, so that a connection holds one long answer at a time. Bytes.
const AT_ONCE_MAX_BYTES: usize = 128 * 1024;

/// Reads what is there, or waits up to `max_wait_ms` for `min_bytes`.
pub(crate) fn handle(
    context: Context,
    request: FetchRequest,
) -> Later<FetchResponse, impl Future<Output = FetchResponse> + Send> {
    let started = Instant::now();
    let (max_wait_ms, min_bytes, max_bytes) = (request.max_wait_ms, request.min_bytes, request.max_bytes);
    let read_committed = request.isolation_level == READ_COMMITTED;
    let plan = match plan(&context, request) {
        Ok(plan) => plan,
        Err(error_code) => return Later::Now(FetchResponse { error_code, ..Default::default() }),
    };
    let mut limit = usize::try_from(max_bytes).unwrap_or(0).min(context.broker.config().fetch_max_bytes);
    if context.broker.quotas().is_active() {
        limit = limit.min(context.broker.quotas().fetch_max_bytes(&context.client_id));
    }
    // More than it may have it need not wait for.
    let min_bytes = usize::try_from(min_bytes).unwrap_or(0).min(limit);
    let fetch = Fetch { context, plan, limit, min_bytes, read_committed };
    if let Some(response) = fetch.at_once() {
        return Later::Now(response);
    }
    let wait = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
    Later::Wait(async move { fetch.run(started, wait).await })
}

fn plan(context: &Context, request: FetchRequest) -> Result<FetchPlan, ErrorCode> {
    let by_id = context.version >= FIRST_ID_VERSION;
    let key = |name: &Arc<str>, id: Uuid| if by_id { TopicKey::Id(id) } else { TopicKey::Name(Arc::clone(name)) };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let topic_key = key(&topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.iter().map(|partition| Wanted {
            topic: topic_key.clone(),
            partition: partition.partition,
            fetch_offset: partition.fetch_offset,
            // Here, unlike elsewhere, any negative number is no belief.
            current_leader_epoch: partition.current_leader_epoch.max(-1),
            last_fetched_epoch: partition.last_fetched_epoch,
            max_bytes: partition.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let topic_key = key(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|partition| (topic_key.clone(), *partition)));
    }
    let (session_id, epoch) =
        if context.version < FIRST_SESSION_VERSION { (0, -1) } else { (request.session_id, request.session_epoch) };
    context.broker.sessions().plan(SessionRequest { session_id, epoch, by_id, wanted, forgotten })
}

struct Fetch {
    context: Context,
    plan: FetchPlan,
    limit: usize,
    min_bytes: usize,
    read_committed: bool,
}

/// What one partition gave.
pub(crate) struct Found {
    /// Where it is looked for; none if there is no such place.
    pub(crate) partition: Option<Arc<Partition>>,
    pub(crate) error_code: ErrorCode,
    pub(crate) slice: Slice,
}

impl Found {
    /// Nothing of it was read yet.
    fn of(resolved: Result<Arc<Partition>, ErrorCode>) -> Found {
        match resolved {
            Ok(partition) => Found { partition: Some(partition), error_code: ErrorCode::NONE, slice: Slice::default() },
            Err(error_code) => Found { partition: None, error_code, slice: Slice::UNKNOWN },
        }
    }

    /// Whether the topic or the partition is gone, or never was.
    fn is_absent(&self) -> bool {
        matches!(self.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)
    }
}

impl Fetch {
    /// The answer, if it is known without waiting for anybody: most readers are at the end, where memory has it.
    fn at_once(&self) -> Option<FetchResponse> {
        if fetched_format(self.context.version).is_some() {
            return None;
        }
        let mut found = self.resolve();
        if !is_hot(&self.plan.wanted, &found) {
            return None;
        }
        read_in_order(&self.plan.wanted, &mut found, self.limits());
        let bytes: usize = found.iter().map(|found| found.slice.len()).sum();
        let is_known = readable_bytes(&found) >= self.min_bytes || is_hurry(&found, None);
        (is_known && bytes <= AT_ONCE_MAX_BYTES).then(|| self.response(found))
    }

    async fn run(self, started: Instant, wait: Duration) -> FetchResponse {
        let deadline = started + wait;
        let mut absent_from_the_start: Option<Vec<bool>> = None;
        loop {
            let resolved = self.resolve();
            // Registered before reading, so that an append between the two is not missed.
            let waiter = FetchWaiter::new(self.min_bytes);
            for partition in resolved.iter().filter_map(|found| found.partition.as_ref()) {
                partition.fetch_waiters().register(&waiter);
            }
            let (found, bytes) = self.read(resolved).await;
            let hurry = is_hurry(&found, absent_from_the_start.as_deref());
            if bytes >= self.min_bytes || hurry || Instant::now() >= deadline {
                return self.response(found);
            }
            absent_from_the_start.get_or_insert_with(|| found.iter().map(Found::is_absent).collect());
            // Bytes that are there already count towards the minimum: wait for the rest only.
            waiter.progress(bytes);
            drop(found);
            if timeout_at(deadline, waiter.wait()).await.is_err() {
                // Out of patience: answer with what is there, in one more round.
                continue;
            }
        }
    }

    fn resolve(&self) -> Vec<Found> {
        self.plan.wanted.iter().map(|wanted| Found::of(resolve(&self.context.broker, wanted))).collect()
    }

    fn limits(&self) -> ReadLimits {
        ReadLimits {
            total_bytes: self.limit,
            allow_zstd: self.context.version >= FIRST_ZSTD_VERSION,
            read_committed: self.read_committed,
        }
    }

    /// What there is, and how much of it counts towards the minimum.
    async fn read(&self, resolved: Vec<Found>) -> (Vec<Found>, usize) {
        let (wanted, version) = (&self.plan.wanted, self.context.version);
        if let Some(format) = fetched_format(version) {
            let fetch = OldFetch { version, format, total_bytes: self.limit };
            let found = self.context.broker.conversions().read_sets(wanted, resolved, fetch).await;
            let bytes = found.iter().map(|found| found.slice.len()).sum();
            return (found, bytes);
        }
        let mut found = read_all_partitions(wanted, resolved, self.limits()).await;
        let readable_bytes = readable_bytes(&found);
        if hold_until_sent(&mut found, self.context.broker.answer_budget()) {
            return (found, readable_bytes);
        }
        // Readers that do not read have it all. Others go on, a batch at a time, which is no more than a connection may
        // hold anyway.
        let resolved = self.resolve();
        (read_all_partitions(wanted, resolved, ReadLimits { total_bytes: 0, ..self.limits() }).await, readable_bytes)
    }

    fn response(&self, found: Vec<Found>) -> FetchResponse {
        let throttle_time_ms = match self.quota(&found) {
            Fetched { throttle_ms, is_withheld: true } => return self.withheld(throttle_ms),
            fetched => fetched.throttle_ms,
        };
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        for (wanted, found) in self.plan.wanted.iter().zip(found) {
            count(&found);
            let seen = Seen {
                high_watermark: found.slice.high_watermark,
                log_start_offset: found.slice.log_start_offset,
                has_records: found.slice.len() > 0,
                must_tell: found.error_code.is_error() || found.slice.diverging.is_some(),
            };
            if !self.plan.tell(&wanted.topic, wanted.partition, seen) {
                continue;
            }
            let (topic, topic_id) = match &wanted.topic {
                TopicKey::Name(name) => (Arc::clone(name), Uuid::ZERO),
                TopicKey::Id(id) => (Arc::default(), *id),
            };
            let answer = self.partition_data(wanted, found);
            match responses.last_mut() {
                Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(answer),
                _ => responses.push(FetchableTopicResponse { topic, topic_id, partitions: vec![answer] }),
            }
        }
        FetchResponse { throttle_time_ms, session_id: self.plan.session_id, responses, ..Default::default() }
    }

    fn quota(&self, found: &[Found]) -> Fetched {
        let quotas = self.context.broker.quotas();
        if !quotas.is_active() {
            return Fetched { throttle_ms: 0, is_withheld: false };
        }
        let bytes = found.iter().map(|found| found.slice.len()).sum();
        quotas.fetched(&self.context.client_id, bytes, self.context.broker.clock().now().monotonic_ms)
    }

    /// An answer without partitions, which changes nothing in the session. One that would have begun is none: the client
    /// has learned nothing of it, and begins again.
    fn withheld(&self, throttle_time_ms: i32) -> FetchResponse {
        let session_id = self.context.broker.sessions().withhold(&self.plan);
        FetchResponse { throttle_time_ms, session_id, ..Default::default() }
    }

    /// Readers of committed records get the list with the records. What is not there at all is answered with an empty
    /// one, as null is more than some clients expect.
    fn has_aborted_list(&self, error_code: ErrorCode, is_diverging: bool) -> bool {
        match error_code {
            ErrorCode::NONE => self.read_committed && !is_diverging,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => true,
            _ => false,
        }
    }

    fn partition_data(&self, wanted: &Wanted, found: Found) -> PartitionData {
        let error_code = match found.error_code {
            ErrorCode::KAFKA_STORAGE_ERROR if self.context.version < FIRST_STORAGE_ERROR_VERSION => {
                ErrorCode::NOT_LEADER_OR_FOLLOWER
            }
            code => code,
        };
        let slice = found.slice;
        PartitionData {
            partition_index: wanted.partition,
            error_code,
            high_watermark: slice.high_watermark,
            last_stable_offset: slice.last_stable_offset,
            log_start_offset: slice.log_start_offset,
            diverging_epoch: slice
                .diverging
                .map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset })
                .unwrap_or_default(),
            aborted_transactions: self
                .has_aborted_list(error_code, slice.diverging.is_some())
                .then(|| slice.aborted.iter().map(aborted_transaction).collect()),
            preferred_read_replica: -1,
            records: Some(slice.records),
            ..Default::default()
        }
    }
}

/// What counts towards the minimum that a reader waits for.
fn readable_bytes(found: &[Found]) -> usize {
    found.iter().map(|found| found.slice.readable_bytes).sum()
}

fn aborted_transaction(aborted: &storage::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}

/// Counts what is about to leave.
fn count(found: &Found) {
    let Some(partition) = &found.partition else {
        Traffic::count_lost(Flow::FetchRequests);
        return Traffic::count_lost(Flow::FailedFetchRequests);
    };
    partition.traffic().count(Flow::FetchRequests, 1);
    if found.error_code.is_error() {
        partition.traffic().count(Flow::FailedFetchRequests, 1);
    }
    let bytes = found.slice.len() as u64;
    if bytes > 0 {
        partition.traffic().count(Flow::BytesOut, bytes);
    }
}

fn resolve(broker: &Broker, wanted: &Wanted) -> Result<Arc<Partition>, ErrorCode> {
    match &wanted.topic {
        TopicKey::Name(name) => broker.partitions().leader_by_name(name, wanted.partition),
        TopicKey::Id(id) => broker.partitions().leader_by_id(*id, wanted.partition),
    }
}

/// Whether somebody has to be told now, however little there is. A consumer goes on asking for a topic that is gone until
/// it believes it, seconds later. If that cut every wait short it would ask without a pause; a fetch of nothing else has
/// nothing to wait for.
fn is_hurry(found: &[Found], absent_from_the_start: Option<&[bool]>) -> bool {
    let was_absent = |place: usize| absent_from_the_start.map_or(found[place].is_absent(), |absent| absent[place]);
    let is_news = |(place, found): (usize, &Found)| {
        (found.error_code.is_error() && !was_absent(place)) || found.slice.diverging.is_some()
    };
    found.iter().enumerate().any(is_news) || (0..found.len()).all(was_absent)
}
