//! Produce: append record batches.
//!
//! v0-2 carry message sets, which become batches first (`conversion/`). v7 zstd. v8 record errors (KIP-467). v10
//! current leader (KIP-951). v11 TRANSACTION_ABORTABLE, v12 records begin a transaction by themselves (KIP-890).
//! v13 topic ids (KIP-516).

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::ProduceRequest;
use protocol::messages::produce::*;
use protocol::records::{Batch, BatchError, Codec, batches};
use protocol::{ErrorCode, Uuid};
use storage::{AppendError, TransactionCheck};
use tokio::sync::oneshot;
use tracing::warn;

use crate::context::Context;
use crate::conversion::may_produce_sets;
use crate::coordinator::{Understanding, Writer, admit};
use crate::disk_work::Writers;
use crate::dispatch::{Handled, Later};
use crate::error::{AppendFailure, append_failure};
use crate::partition::{AppendJob, AppendRefusal, Durable, Partition, append_batches, append_here};

/// Below this version a client cannot know zstd.
const FIRST_ZSTD_VERSION: i16 = 7;

/// From this version on a client knows TRANSACTION_ABORTABLE.
const FIRST_ABORTABLE_VERSION: i16 = 11;
/// From this version on writing to a partition makes it part of the transaction.
const FIRST_ADDING_VERSION: i16 = 12;

const ACKS_ALL: i16 = -1;
const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;

/// What has to be durable before the answer leaves, and which answer that is.
type Wait = ((usize, usize), oneshot::Receiver<Durable>);

/// Appends every partition's batch, in order, and answers as `acks` asks.
pub(crate) fn handle(
    context: Context,
    mut request: ProduceRequest,
) -> Handled<ProduceResponse, impl Future<Output = Later<ProduceResponse>> + Send> {
    let acks = request.acks;
    let transactional_id = request.transactional_id.take();
    let (response, mut jobs) = resolve(&context, request, transactional_id.is_some());
    let is_ready = transactional_id.is_none() && !may_produce_sets(context.version);
    if is_ready && (jobs.is_empty() || append_here(&mut jobs, acks == ACKS_ALL)) {
        return Handled::Known(answer(&context, response, jobs, acks));
    }
    Handled::Going(async move {
        let mut response = response;
        if may_produce_sets(context.version) {
            convert_all(&context, &mut response, &mut jobs).await;
        }
        if let Some(transactional_id) = transactional_id {
            admit_transactions(&context, transactional_id, &mut response, &mut jobs).await;
        }
        if !jobs.is_empty() && !append_here(&mut jobs, acks == ACKS_ALL) {
            jobs = append_batches(jobs, acks == ACKS_ALL).await;
        }
        answer(&context, response, jobs, acks)
    })
}

/// What came of the jobs, once it is durable if it has to be.
fn answer(context: &Context, mut response: ProduceResponse, jobs: Vec<AppendJob>, acks: i16) -> Later<ProduceResponse> {
    let mut waits = Vec::new();
    for job in jobs {
        waits.extend(settle(at(&mut response, job.place), job, context.version));
    }
    if acks == ACKS_NONE {
        return answer_none(context, &response);
    }
    if waits.is_empty() {
        return Later::Now(response);
    }
    Later::wait(async move {
        for (place, receiver) in waits {
            if let Some(code) = wait_durable(receiver).await {
                fail(at(&mut response, place), AppendFailure::code(code), -1);
            }
        }
        response
    })
}

fn at(response: &mut ProduceResponse, (topic, partition): (usize, usize)) -> &mut PartitionProduceResponse {
    &mut response.responses[topic].partition_responses[partition]
}

fn settle(answer: &mut PartitionProduceResponse, job: AppendJob, version: i16) -> Option<Wait> {
    match job.result {
        Ok((appended, durable)) => {
            answer.base_offset = appended.base_offset;
            answer.log_append_time_ms = appended.log_append_time_ms.unwrap_or(-1);
            answer.log_start_offset = job.partition.log_start_offset();
            durable.map(|receiver| (job.place, receiver))
        }
        Err(refusal) => {
            let failure = match version >= FIRST_ADDING_VERSION && has_lost_its_guard(job.check, &refusal) {
                true => AppendFailure::code(ErrorCode::CONCURRENT_TRANSACTIONS),
                false => append_failure(&job.partition, &refusal),
            };
            refuse(answer, &job.partition, failure);
            None
        }
    }
}

/// Whether a marker came after the coordinator was asked. Where each transaction has an epoch of its own it was that of
/// the one before, which ended meanwhile: what waits is worth another try. A late batch is told of its epoch then.
fn has_lost_its_guard(check: TransactionCheck, refusal: &AppendRefusal) -> bool {
    let is_verified = matches!(check, TransactionCheck::Verified(_));
    is_verified && matches!(refusal, AppendRefusal::Log(AppendError::InvalidTxnState { .. }))
}

/// Without a partition that was written to, its log start offset is -1.
fn fail(answer: &mut PartitionProduceResponse, failure: AppendFailure, log_start_offset: i64) {
    let indexes = failure.records.into_iter();
    *answer = PartitionProduceResponse {
        index: answer.index,
        base_offset: -1,
        log_start_offset,
        error_code: failure.code,
        error_message: failure.message,
        record_errors: indexes
            .map(|(batch_index, batch_index_error_message)| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message,
            })
            .collect(),
        ..Default::default()
    };
}

/// An answer for every partition, and a job for each whose answer is no refusal yet, in the same order.
fn resolve(
    context: &Context,
    request: ProduceRequest,
    has_transactional_id: bool,
) -> (ProduceResponse, Vec<AppendJob>) {
    let refusal = refuse_whole(&request);
    let mut jobs = Vec::new();
    let topic = |(topic, data): (usize, TopicProduceData)| {
        let name = (context.version < 13).then_some(data.name.as_str());
        let one = |(place, partition): (usize, PartitionProduceData)| {
            let (index, records) = (partition.index, partition.records);
            let mut answer = PartitionProduceResponse { index, base_offset: -1, ..Default::default() };
            let resolved = match &refusal {
                Some(failure) => Err(failure.clone()),
                None => resolve_one(context, name, data.topic_id, index, records, has_transactional_id),
            };
            match resolved {
                Ok((partition, batch)) => {
                    let is_most = batch.len() > context.buffer_bytes / 2;
                    jobs.push(AppendJob { is_most, ..AppendJob::new(partition, batch, (topic, place)) });
                }
                Err(failure) => fail(&mut answer, failure, -1),
            }
            answer
        };
        let partition_responses = data.partition_data.into_iter().enumerate().map(one).collect();
        TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
    };
    let responses = request.topic_data.into_iter().enumerate().map(topic).collect();
    (ProduceResponse { responses, ..Default::default() }, jobs)
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
) -> Result<(Arc<Partition>, Bytes), AppendFailure> {
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
    Ok((partition, batch))
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
async fn admit_transactions(
    context: &Context,
    transactional_id: String,
    response: &mut ProduceResponse,
    jobs: &mut Vec<AppendJob>,
) {
    let (mut asked, mut producers) = (Vec::new(), BTreeSet::new());
    for job in &*jobs {
        let Some(header) = transactional(&job.batch) else { continue };
        asked.push((Arc::clone(&job.partition), header.base_sequence()));
        producers.insert((header.producer_id(), header.producer_epoch()));
    }
    let Some((producer_id, producer_epoch)) = producers.pop_first() else { return };
    if !producers.is_empty() {
        let message = "the transactional records of a request come from more than one producer";
        let failure = AppendFailure::new(ErrorCode::INVALID_PRODUCER_ID_MAPPING, message);
        let answers = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
        answers.for_each(|answer| fail(answer, failure.clone(), -1));
        jobs.clear();
        return;
    }
    let understanding = match context.version {
        FIRST_ADDING_VERSION.. => Understanding::AddsByWriting,
        FIRST_ABORTABLE_VERSION.. => Understanding::Abortable,
        _ => Understanding::Oldest,
    };
    let writers = Writers::Producers;
    let writer = Writer { transactional_id, producer_id, producer_epoch, understanding, writers };
    let mut admissions = admit(&context.broker, &writer, &asked).await.into_iter();
    jobs.retain_mut(|job| {
        if transactional(&job.batch).is_none() {
            return true;
        }
        match admissions.next().unwrap_or(Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)) {
            Ok(admitted) => job.check = admitted,
            Err(code) => {
                fail(at(response, job.place), not_admitted(code, understanding), -1);
                return false;
            }
        }
        true
    });
}

/// The header of a batch that belongs to a transaction.
fn transactional(batch: &[u8]) -> Option<Batch<'_>> {
    Batch::parse(batch).ok().filter(|header| header.is_transactional() && header.has_producer_id())
}

/// Makes batches of the message sets of old producers. One without messages is answered as stored, nowhere.
async fn convert_all(context: &Context, response: &mut ProduceResponse, jobs: &mut Vec<AppendJob>) {
    if jobs.is_empty() {
        return;
    }
    let sets = jobs.iter_mut().map(|job| (Arc::clone(&job.partition), std::mem::take(&mut job.batch))).collect();
    let mut converted = context.broker.conversions().to_batches(sets).await.into_iter();
    jobs.retain_mut(|job| {
        let answer = at(response, job.place);
        match converted.next() {
            Some(Ok(Some(made))) => {
                job.batch = made;
                return true;
            }
            Some(Ok(None)) => answer.log_start_offset = job.partition.log_start_offset(),
            Some(Err(failure)) => refuse(answer, &job.partition, failure),
            None => fail(answer, AppendFailure::code(ErrorCode::UNKNOWN_SERVER_ERROR), -1),
        }
        false
    });
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

/// A refusal tells where the log starts, so that an idempotent producer can see whether its records were deleted; not
/// one of bytes that were never compared with the log.
fn refuse(answer: &mut PartitionProduceResponse, partition: &Partition, failure: AppendFailure) {
    let log_start_offset = match failure.code {
        ErrorCode::CORRUPT_MESSAGE
        | ErrorCode::MESSAGE_TOO_LARGE
        | ErrorCode::RECORD_LIST_TOO_LARGE
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NOT_LEADER_OR_FOLLOWER => -1,
        _ => partition.log_start_offset(),
    };
    fail(answer, failure, log_start_offset);
}

/// Why it will not be durable, if so.
async fn wait_durable(receiver: oneshot::Receiver<Durable>) -> Option<ErrorCode> {
    match receiver.await {
        Ok(durable) => durable.err(),
        // The partition was dropped under us: deleted, or the broker stops.
        Err(_) => Some(ErrorCode::NOT_LEADER_OR_FOLLOWER),
    }
}

/// acks=0 gets no answer, so a failure can only be told by closing the connection: the client then asks for metadata
/// again. It is logged, because the client never learns which records were lost.
fn answer_none(context: &Context, response: &ProduceResponse) -> Later<ProduceResponse> {
    let topics = response.responses.iter();
    let all = topics.flat_map(|topic| topic.partition_responses.iter().map(move |answer| (&topic.name, answer)));
    let mut failed = all.filter(|(_, answer)| answer.error_code.is_error());
    match failed.next() {
        None => Later::Silent,
        Some((topic, answer)) => {
            let (client, client_id) = (context.connection.peer, &*context.client_id);
            let (partition, error, more) = (answer.index, answer.error_code, failed.count());
            warn!(%client, client_id, topic, partition, more, %error, "connection closed: a produce with acks=0 was refused and its records are lost; use acks=1 or all to learn of it in the client");
            Later::Close
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::BatchBuilder;
    use storage::{Applicant, TxnMarker, Verification};

    use super::*;
    use crate::partition::rig::Rig;

    const PRODUCER: i64 = 7;

    async fn begin(rig: &Rig, epoch: i16) -> TransactionCheck {
        let applicant = Applicant { producer_id: PRODUCER, epoch, sequence: 0, supports_epoch_bump: true };
        match rig.partition.begin_verification(applicant).await.unwrap() {
            Verification::Needed(guard) => TransactionCheck::Verified(guard),
            Verification::Ongoing => TransactionCheck::Ongoing,
        }
    }

    async fn write(rig: &Rig, epoch: i16, check: TransactionCheck, version: i16) -> ErrorCode {
        let mut builder = BatchBuilder::new(0).producer(PRODUCER, epoch, 0).transactional();
        builder.append(crate::clock::wall_ms(), None, Some(b"value"), &[]);
        let job = AppendJob { check, ..AppendJob::new(Arc::clone(&rig.partition), builder.build().into(), (0, 0)) };
        let job = append_batches(vec![job], false).await.remove(0);
        let mut answer = PartitionProduceResponse::default();
        settle(&mut answer, job, version);
        answer.error_code
    }

    #[tokio::test]
    async fn who_begins_while_the_last_transaction_ends_is_asked_to_wait() {
        let rig = Rig::new(0);
        let early = begin(&rig, 1).await;
        let end = TxnMarker {
            producer_id: PRODUCER,
            producer_epoch: 1,
            coordinator_epoch: 0,
            committed: true,
            transaction_version: 2,
        };
        rig.partition.append_marker(end).await.unwrap().await.unwrap().unwrap();
        let later = FIRST_ADDING_VERSION;
        assert_eq!(write(&rig, 1, early, later).await, ErrorCode::CONCURRENT_TRANSACTIONS);
        // Older clients have added the partition before: the marker was this transaction's.
        assert_eq!(write(&rig, 1, early, later - 1).await, ErrorCode::INVALID_TXN_STATE);
        let again = begin(&rig, 1).await;
        assert_eq!(write(&rig, 1, again, later).await, ErrorCode::NONE);
    }
}
