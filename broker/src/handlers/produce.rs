//! Produce: append record batches.
//!
//! v0-2 carry message sets, which become batches first (`conversion/`). v7 zstd. v8 record errors (KIP-467). v10
//! current leader (KIP-951). v11 TRANSACTION_ABORTABLE, v12 records begin a transaction by themselves (KIP-890).
//! v13 topic ids (KIP-516).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::ProduceRequest;
use protocol::messages::produce::*;
use protocol::records::{Batch, BatchError, Codec, batches};
use protocol::{ErrorCode, Uuid};
use storage::TransactionCheck;
use tokio::sync::oneshot;
use tracing::warn;

use crate::context::Context;
use crate::conversion::may_produce_sets;
use crate::coordinator::{Understanding, Writer, admit};
use crate::disk_work::Writers;
use crate::dispatch::Later;
use crate::error::{AppendFailure, append_failure};
use crate::partition::{AppendJob, Durable, Partition, append_batches};

/// Below this version a client cannot know zstd.
const FIRST_ZSTD_VERSION: i16 = 7;

/// From this version on a client knows TRANSACTION_ABORTABLE.
const FIRST_ABORTABLE_VERSION: i16 = 11;
/// From this version on writing to a partition makes it part of the transaction.
const FIRST_ADDING_VERSION: i16 = 12;

const ACKS_ALL: i16 = -1;
const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;

/// One partition's part of the request, on its way to an answer.
struct Item {
    topic: usize,
    index: i32,
    outcome: Outcome,
}

enum Outcome {
    Append {
        partition: Arc<Partition>,
        batch: Bytes,
        /// What lets it begin a transaction.
        check: TransactionCheck,
    },
    /// Without a partition that was written to, its log start offset is -1.
    Failed {
        failure: AppendFailure,
        log_start_offset: i64,
    },
    Appended {
        appended: storage::Appended,
        log_start_offset: i64,
        durable: Option<oneshot::Receiver<Durable>>,
    },
}

impl Outcome {
    fn failed(failure: AppendFailure) -> Outcome {
        Outcome::Failed { failure, log_start_offset: -1 }
    }
}

/// Appends every partition's batch, in order, and answers as `acks` asks.
pub(crate) async fn handle(context: Context, request: ProduceRequest) -> Later<ProduceResponse> {
    let acks = request.acks;
    let topics: Vec<(String, Uuid)> = request.topic_data.iter().map(|t| (t.name.clone(), t.topic_id)).collect();
    let transactional_id = request.transactional_id.clone();
    let mut items = resolve(&context, request);
    if may_produce_sets(context.version) {
        convert_all(&context, &mut items).await;
    }
    if let Some(transactional_id) = transactional_id {
        admit_transactions(&context, transactional_id, &mut items).await;
    }
    append_all(&mut items, acks).await;

    if acks == ACKS_NONE {
        return answer_none(&context, &topics, &items);
    }
    if items.iter().any(|item| matches!(&item.outcome, Outcome::Appended { durable: Some(_), .. })) {
        return Later::wait(async move {
            for item in &mut items {
                wait_durable(item).await;
            }
            response(&context, topics, items)
        });
    }
    Later::Now(response(&context, topics, items))
}

fn resolve(context: &Context, request: ProduceRequest) -> Vec<Item> {
    let refusal = refuse_whole(&request);
    let has_transactional_id = request.transactional_id.is_some();
    let mut items = Vec::new();
    for (topic, data) in request.topic_data.into_iter().enumerate() {
        for partition_data in data.partition_data {
            let outcome = match &refusal {
                Some(failure) => Outcome::failed(failure.clone()),
                None => {
                    let name = (context.version < 13).then_some(data.name.as_str());
                    let (id, index, records) = (data.topic_id, partition_data.index, partition_data.records);
                    resolve_one(context, name, id, index, records, has_transactional_id).unwrap_or_else(Outcome::failed)
                }
            };
            items.push(Item { topic, index: partition_data.index, outcome });
        }
    }
    items
}

/// Errors that hit every partition alike.
fn refuse_whole(request: &ProduceRequest) -> Option<AppendFailure> {
    if ![ACKS_ALL, ACKS_NONE, ACKS_LEADER].contains(&request.acks) {
        return Some(AppendFailure::code(ErrorCode::INVALID_REQUIRED_ACKS));
    }
    None
}

fn resolve_one(
    context: &Context,
    name: Option<&str>,
    id: Uuid,
    index: i32,
    records: Option<protocol::wire::Records>,
    has_transactional_id: bool,
) -> Result<Outcome, AppendFailure> {
    let batch = records.map(protocol::wire::Records::into_bytes).unwrap_or_default();
    let is_set = may_produce_sets(context.version);
    let malformed = if is_set { None } else { not_one_batch(&batch) };
    // Kafka finds out about these while it still reads the request.
    if let Some(failure) = malformed.as_ref().filter(|failure| failure.code == ErrorCode::CORRUPT_MESSAGE) {
        return Err(failure.clone());
    }
    let partition = match name {
        Some(name) => context.broker.partitions().leader_by_name(name, index),
        None => context.broker.partitions().leader_by_id(id, index),
    }
    .map_err(AppendFailure::code)?;
    if partition.is_internal() {
        return Err(AppendFailure::code(ErrorCode::INVALID_TOPIC_EXCEPTION));
    }
    if batch.is_empty() && !is_set {
        return Err(AppendFailure::new(ErrorCode::INVALID_RECORD, "a produce request must carry a record batch"));
    }
    if let Some(failure) = malformed {
        return Err(failure);
    }
    if let Ok(header) = Batch::parse(&batch) {
        if header.codec() == Codec::Zstd && context.version < FIRST_ZSTD_VERSION {
            return Err(AppendFailure::new(
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
                "zstd needs produce version 7 or newer",
            ));
        }
        if header.is_transactional() && !has_transactional_id {
            return Err(AppendFailure::code(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        }
    }
    Ok(Outcome::Append { partition, batch, check: TransactionCheck::Ongoing })
}

/// What is wrong with bytes that are not one batch of the one format. Kafka looks for a batch first, and into it second,
/// so that one cut off is no batch, and one of a format that never was a corrupt one.
fn not_one_batch(bytes: &[u8]) -> Option<AppendFailure> {
    let mut found = batches(bytes);
    let code = match (found.next()?, found.next()) {
        (Err(BatchError::UnsupportedMagic(magic)), _) if !(0..=2).contains(&magic) => ErrorCode::CORRUPT_MESSAGE,
        (Err(BatchError::InvalidSize(_)), _) => ErrorCode::CORRUPT_MESSAGE,
        (Err(BatchError::UnsupportedMagic(_) | BatchError::Truncated { .. }), _) => ErrorCode::INVALID_RECORD,
        (Ok(_), Some(Ok(_))) => ErrorCode::INVALID_RECORD,
        _ => return None,
    };
    Some(AppendFailure::new(code, "a partition takes one record batch of format version 2 at a time"))
}

/// Sees to it that transactional batches may be appended: their partitions are in the transaction, or become part of it.
async fn admit_transactions(context: &Context, transactional_id: String, items: &mut [Item]) {
    let (mut places, mut asked, mut producers) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (place, item) in items.iter().enumerate() {
        let Outcome::Append { partition, batch, .. } = &item.outcome else { continue };
        let header = Batch::parse(batch).ok().filter(|header| header.is_transactional() && header.has_producer_id());
        let Some(header) = header else { continue };
        places.push(place);
        asked.push((Arc::clone(partition), header.base_sequence()));
        producers.insert((header.producer_id(), header.producer_epoch()));
    }
    let Some((producer_id, producer_epoch)) = producers.pop_first() else { return };
    if !producers.is_empty() {
        let message = "the transactional records of a request come from more than one producer";
        let failure = AppendFailure::new(ErrorCode::INVALID_PRODUCER_ID_MAPPING, message);
        items.iter_mut().for_each(|item| item.outcome = Outcome::failed(failure.clone()));
        return;
    }
    let understanding = match context.version {
        FIRST_ADDING_VERSION.. => Understanding::AddsByWriting,
        FIRST_ABORTABLE_VERSION.. => Understanding::Abortable,
        _ => Understanding::Oldest,
    };
    let writers = Writers::Producers;
    let writer = Writer { transactional_id, producer_id, producer_epoch, understanding, writers };
    let admissions = admit(&context.broker, &writer, &asked).await;
    for (place, admission) in places.into_iter().zip(admissions) {
        match (&mut items[place].outcome, admission) {
            (Outcome::Append { check, .. }, Ok(admitted)) => *check = admitted,
            (outcome, Err(code)) => *outcome = Outcome::failed(not_admitted(code, understanding)),
            _ => {}
        }
    }
}

/// Makes batches of the message sets of old producers. One without messages is answered as stored, nowhere.
async fn convert_all(context: &Context, items: &mut [Item]) {
    let mut sets = Vec::new();
    let mut places = Vec::new();
    for (place, item) in items.iter_mut().enumerate() {
        if let Outcome::Append { partition, batch, .. } = &mut item.outcome {
            sets.push((Arc::clone(partition), std::mem::take(batch)));
            places.push(place);
        }
    }
    if sets.is_empty() {
        return;
    }
    let converted = context.broker.conversions().to_batches(sets).await;
    for (place, converted) in places.into_iter().zip(converted) {
        let Outcome::Append { partition, batch, .. } = &mut items[place].outcome else { continue };
        match converted {
            Ok(Some(made)) => *batch = made,
            Ok(None) => {
                let nowhere =
                    storage::Appended { base_offset: -1, last_offset: -1, log_append_time_ms: None, duplicate: false };
                let log_start_offset = partition.log_start_offset();
                items[place].outcome = Outcome::Appended { appended: nowhere, log_start_offset, durable: None };
            }
            Err(failure) => items[place].outcome = refused(partition, failure),
        }
    }
}

/// What a producer is told. Older ones do not retry all of these codes as they should: NOT_ENOUGH_REPLICAS makes them,
/// and without asking for metadata.
fn not_admitted(code: ErrorCode, understanding: Understanding) -> AppendFailure {
    match code {
        ErrorCode::INVALID_TXN_STATE => AppendFailure::new(code, "Partition was not added to the transaction"),
        ErrorCode::CONCURRENT_TRANSACTIONS if understanding == Understanding::AddsByWriting => {
            AppendFailure::code(code)
        }
        ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR => AppendFailure::new(
            ErrorCode::NOT_ENOUGH_REPLICAS,
            format!("Unable to verify the partition has been added to the transaction. Underlying error: {code}"),
        ),
        code => AppendFailure::code(code),
    }
}

async fn append_all(items: &mut [Item], acks: i16) {
    let mut jobs = Vec::new();
    let mut places = Vec::new();
    for (place, item) in items.iter().enumerate() {
        if let Outcome::Append { partition, batch, check } = &item.outcome {
            jobs.push(AppendJob { partition: Arc::clone(partition), batch: batch.clone(), check: *check });
            places.push(place);
        }
    }
    if jobs.is_empty() {
        return;
    }
    // The items keep no reference to the bytes, so that storage may patch them in place.
    for place in &places {
        if let Outcome::Append { batch, .. } = &mut items[*place].outcome {
            *batch = Bytes::new();
        }
    }
    let results = append_batches(jobs, acks == ACKS_ALL).await;
    for (place, result) in places.into_iter().zip(results) {
        let Outcome::Append { partition, .. } = &items[place].outcome else { continue };
        items[place].outcome = match result {
            Ok((appended, durable)) => {
                Outcome::Appended { appended, log_start_offset: partition.log_start_offset(), durable }
            }
            Err(error) => refused(partition, append_failure(partition, &error)),
        };
    }
}

/// A refusal tells where the log starts, so that an idempotent producer can see whether its records were deleted; not
/// one of bytes that were never compared with the log.
fn refused(partition: &Partition, failure: AppendFailure) -> Outcome {
    match failure.code {
        ErrorCode::CORRUPT_MESSAGE
        | ErrorCode::MESSAGE_TOO_LARGE
        | ErrorCode::RECORD_LIST_TOO_LARGE
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NOT_LEADER_OR_FOLLOWER => Outcome::failed(failure),
        _ => Outcome::Failed { failure, log_start_offset: partition.log_start_offset() },
    }
}

async fn wait_durable(item: &mut Item) {
    let Outcome::Appended { durable, .. } = &mut item.outcome else { return };
    let Some(receiver) = durable.take() else { return };
    match receiver.await {
        Ok(Ok(())) => {}
        Ok(Err(code)) => item.outcome = Outcome::failed(AppendFailure::code(code)),
        // The partition was dropped under us: deleted, or the broker stops.
        Err(_) => item.outcome = Outcome::failed(AppendFailure::code(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
    }
}

/// acks=0 gets no answer, so a failure can only be told by closing the connection: the client then asks for metadata
/// again. It is logged, because the client never learns which records were lost.
fn answer_none(context: &Context, topics: &[(String, Uuid)], items: &[Item]) -> Later<ProduceResponse> {
    let mut failed = items.iter().filter_map(|item| match &item.outcome {
        Outcome::Failed { failure, .. } => Some((item, failure)),
        _ => None,
    });
    match failed.next() {
        None => Later::Silent,
        Some((item, failure)) => {
            let (client, client_id) = (context.connection.peer, &context.client_id);
            let (topic, partition, more) = (&topics[item.topic].0, item.index, failed.count());
            warn!(%client, client_id, topic, partition, more, error = %failure.code, "connection closed: a produce with acks=0 was refused and its records are lost; use acks=1 or all to learn of it in the client");
            Later::Close
        }
    }
}

fn response(context: &Context, topics: Vec<(String, Uuid)>, items: Vec<Item>) -> ProduceResponse {
    let mut responses: Vec<_> = topics
        .into_iter()
        .map(|(name, topic_id)| TopicProduceResponse { name, topic_id, ..Default::default() })
        .collect();
    let mut leader_asked = false;
    for item in items {
        let mut answer = PartitionProduceResponse { index: item.index, base_offset: -1, ..Default::default() };
        match item.outcome {
            Outcome::Appended { appended, log_start_offset, .. } => {
                answer.base_offset = appended.base_offset;
                answer.log_append_time_ms = appended.log_append_time_ms.unwrap_or(-1);
                answer.log_start_offset = log_start_offset;
            }
            Outcome::Failed { failure, log_start_offset } => {
                answer.log_start_offset = log_start_offset;
                leader_asked |= failure.code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
                answer.error_code = failure.code;
                answer.error_message = failure.message;
                answer.record_errors = failure
                    .records
                    .into_iter()
                    .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                        batch_index,
                        batch_index_error_message: message,
                    })
                    .collect();
            }
            Outcome::Append { .. } => answer.error_code = ErrorCode::UNKNOWN_SERVER_ERROR,
        }
        responses[item.topic].partition_responses.push(answer);
    }
    let _ = (leader_asked, context);
    ProduceResponse { responses, ..Default::default() }
}
