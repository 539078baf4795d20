//! Whether a producer's records may begin its transaction in a partition (KIP-890).
//!
//! The partition gives a guard first, then the coordinator is asked, then the records are appended with the guard: a
//! marker in between ends it. Older clients have added the partition before and it is verified; newer ones add it by
//! writing to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorCode;
use state::transaction::{
    AddPartitionsRequest, Partitions, TransactionRequest, TransactionResponse, TransactionVersion,
};
use storage::{Applicant, TransactionCheck, Verification};
use tokio::time::{Instant, timeout};

use crate::broker::Broker;
use crate::disk_work::Writers;
use crate::error::append_failure;
use crate::partition::{AppendRefusal, Partition, begin_verifications};

/// How the client that sent records understands transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Understanding {
    /// It has added the partitions, and takes INVALID_TXN_STATE for "abort".
    Oldest,
    /// It knows TRANSACTION_ABORTABLE.
    Abortable,
    /// It adds partitions by writing to them, and each of its transactions has an epoch of its own.
    AddsByWriting,
}

/// Who writes what into which transaction.
pub(crate) struct Writer {
    pub(crate) transactional_id: String,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) understanding: Understanding,
    /// On whose behalf.
    pub(crate) writers: Writers,
}

/// What lets the records be appended, or why they are not.
pub(crate) type Admission = Result<TransactionCheck, ErrorCode>;

/// What is said of each partition, by topic and index.
pub(crate) type PartitionCodes = BTreeMap<(String, i32), ErrorCode>;

/// Asks for each partition, with the first sequence of what is to be written there. A transaction that is just ending is
/// waited for, as long as `add.partitions.to.txn.retry.backoff.max.ms` says.
pub(crate) async fn admit(broker: &Arc<Broker>, writer: &Writer, places: &[(Arc<Partition>, i32)]) -> Vec<Admission> {
    let adds = writer.understanding == Understanding::AddsByWriting;
    if !adds && !broker.config().transaction_partition_verification {
        return places.iter().map(|_| Ok(TransactionCheck::Off)).collect();
    }
    let (backoff, patience) = broker.config().add_partitions_backoff;
    let deadline = Instant::now() + patience;
    loop {
        // Before asking, so that no end is missed.
        let ended = broker.transactions().one_ended();
        tokio::pin!(ended);
        let _ = ended.as_mut().enable();
        let admissions = try_once(broker, writer, places).await;
        let is_ending = admissions.contains(&Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        let left = deadline.saturating_duration_since(Instant::now());
        if !is_ending || left == Duration::ZERO {
            return admissions;
        }
        // Whether it was this one that ended shows when it is tried again.
        let _ = timeout(backoff.min(left), ended).await;
    }
}

async fn try_once(broker: &Arc<Broker>, writer: &Writer, places: &[(Arc<Partition>, i32)]) -> Vec<Admission> {
    let applicant = |(partition, sequence): &(Arc<Partition>, i32)| {
        let applicant = Applicant {
            producer_id: writer.producer_id,
            epoch: writer.producer_epoch,
            sequence: *sequence,
            supports_epoch_bump: writer.understanding == Understanding::AddsByWriting,
        };
        (Arc::clone(partition), applicant)
    };
    let begun = begin_verifications(writer.writers, places.iter().map(applicant).collect()).await;
    let mut asked = Partitions::new();
    for ((partition, _), verification) in places.iter().zip(&begun) {
        if let Ok(Verification::Needed(_)) = verification {
            asked.entry(partition.topic().to_owned()).or_default().insert(partition.key().1);
        }
    }
    let codes = if asked.is_empty() { PartitionCodes::new() } else { ask(broker, writer, asked).await };
    let admission = |((partition, _), verification): (&(Arc<Partition>, i32), _)| match verification {
        Ok(Verification::Ongoing) => Ok(TransactionCheck::Ongoing),
        Ok(Verification::Needed(guard)) => {
            let place = (partition.topic().to_owned(), partition.key().1);
            match codes.get(&place).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR) {
                ErrorCode::NONE => Ok(TransactionCheck::Verified(guard)),
                code => Err(known(code, writer.understanding)),
            }
        }
        Err(error) => Err(append_failure(partition, &AppendRefusal::Log(error)).code),
    };
    places.iter().zip(begun).map(admission).collect()
}

async fn ask(broker: &Arc<Broker>, writer: &Writer, partitions: Partitions) -> PartitionCodes {
    let adds = writer.understanding == Understanding::AddsByWriting;
    let request = AddPartitionsRequest {
        transactional_id: writer.transactional_id.clone(),
        producer_id: writer.producer_id,
        producer_epoch: writer.producer_epoch,
        partitions,
        client_transaction_version: if adds { TransactionVersion::V2 } else { TransactionVersion::V0 },
        knows_producer_fenced: true,
    };
    add_or_verify(broker, request, !adds).await
}

/// What the coordinator of a transaction says of each partition: that it is part of the transaction now, or, if that is
/// all that is asked, whether it was before.
pub(crate) async fn add_or_verify(
    broker: &Arc<Broker>,
    request: AddPartitionsRequest,
    only_verify: bool,
) -> PartitionCodes {
    let (id, partitions) = (request.transactional_id.clone(), request.partitions.clone());
    let everywhere = |code| {
        let places = partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(|i| (topic.clone(), *i)));
        places.map(|place| (place, code)).collect()
    };
    let request = match only_verify {
        true => TransactionRequest::VerifyPartitions(request),
        false => TransactionRequest::AddPartitions(request),
    };
    match broker.transactions().ask(broker, &id, request).await {
        Ok(TransactionResponse::AddPartitions(code)) => everywhere(code),
        Ok(TransactionResponse::VerifyPartitions(topics)) => {
            let of_topic = |(topic, codes): (String, Vec<(i32, ErrorCode)>)| {
                codes.into_iter().map(move |(index, code)| ((topic.clone(), index), code))
            };
            topics.into_iter().flat_map(of_topic).collect()
        }
        Ok(_) => everywhere(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(code) => everywhere(code),
    }
}

/// Codes as producers expect them of a partition's leader.
fn known(code: ErrorCode, understanding: Understanding) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if understanding == Understanding::Oldest => ErrorCode::INVALID_TXN_STATE,
        code => code,
    }
}
