//! Transactions, as their coordinators and the partitions with their records know them; and how those are ended that hang
//! (KIP-664).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{ClientError, Cluster, Connection, Retries, TopicPartition, TransactionalProducer};
use protocol::ErrorCode;
use protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use protocol::messages::describe_transactions::DescribeTransactionsRequest;
use protocol::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use protocol::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest};
use protocol::records::Codec;

use super::nodes;

pub(crate) use protocol::messages::describe_producers::ProducerState;
pub(crate) use protocol::messages::describe_transactions::TransactionState as Described;
pub(crate) use protocol::messages::list_transactions::TransactionState as Listed;

/// What is listed that has lasted for any time.
pub(crate) const ANY_DURATION: i64 = -1;
/// The first versions that can be told how long a transaction must have lasted, and what its id must look like.
const FIRST_DURATION_VERSION: i16 = 1;
const FIRST_PATTERN_VERSION: i16 = 2;
/// What an id's next producer may take for a transaction when nobody has said so: that long may a request of Kafka's tools
/// take.
const TERMINATED_TIMEOUT: Duration = Duration::from_secs(30);

/// What is known of each partition's producers.
pub(crate) type Producers = BTreeMap<TopicPartition, Result<Vec<ProducerState>, ClientError>>;

/// What one partition has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
}

/// The transactional ids that pass a filter, with the brokers that coordinate them: by broker, then by id.
///
/// # Errors
/// The first broker's; [`ClientError::Unsupported`] when it cannot filter so.
pub(crate) async fn list(
    cluster: &Cluster,
    filter: &ListTransactionsRequest,
) -> Result<Vec<(i32, Listed)>, ClientError> {
    let mut found = Vec::new();
    // Each broker knows the transactions it coordinates.
    for broker in nodes::describe(cluster).await?.brokers {
        let mut listed = list_at(cluster, broker.broker_id, filter).await?.transaction_states;
        listed.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        found.extend(listed.into_iter().map(|transaction| (broker.broker_id, transaction)));
    }
    Ok(found)
}

async fn list_at(
    cluster: &Cluster,
    broker: i32,
    filter: &ListTransactionsRequest,
) -> Result<ListTransactionsResponse, ClientError> {
    let mut retries = Retries::default();
    loop {
        let connection = cluster.broker(broker).await?;
        let version = connection.version_up_to::<ListTransactionsRequest>(i16::MAX)?;
        check_filter(&connection, filter, version)?;
        let answer = connection.send_version(filter, version).await?;
        match ClientError::check(format!("the transactions of broker {broker}"), answer.error_code, None) {
            // It still reads what it coordinates.
            Err(loading) if answer.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                retries.after(loading).await?
            }
            checked => return checked.map(|()| answer),
        }
    }
}

/// An older version would leave the filter out, and list what was not asked for.
fn check_filter(connection: &Connection, filter: &ListTransactionsRequest, version: i16) -> Result<(), ClientError> {
    let api = if filter.duration_filter >= 0 && version < FIRST_DURATION_VERSION {
        "ListTransactions by duration"
    } else if filter.transactional_id_pattern.is_some() && version < FIRST_PATTERN_VERSION {
        "ListTransactions by pattern"
    } else {
        return Ok(());
    };
    Err(ClientError::Unsupported { address: connection.address().to_owned(), api })
}

/// One transactional id, and the broker that coordinates it.
///
/// # Errors
/// TRANSACTIONAL_ID_NOT_FOUND when there is none of this name.
pub(crate) async fn describe(cluster: &Cluster, id: &str) -> Result<(i32, Described), ClientError> {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    let mut retries = Retries::default();
    loop {
        let coordinator = cluster.transaction_coordinator_id(id).await?;
        let answer = cluster.broker(coordinator).await?.send(&request).await?;
        let silent = || silent(format!("the answer about transactional id {id}"));
        let described = answer.transaction_states.into_iter().next().ok_or_else(silent)?;
        match ClientError::check(format!("transactional id {id}"), described.error_code, None) {
            Ok(()) => return Ok((coordinator, described)),
            // It still reads its log, or another broker has become the coordinator.
            Err(failure) => retries.after(failure).await?,
        }
    }
}

/// The producers that partitions remember: as their leaders do, or one broker.
///
/// # Errors
/// [`ClientError`] when a broker cannot be asked; a partition's own error is in its place.
pub(crate) async fn producers(
    cluster: &Cluster,
    places: &[TopicPartition],
    broker: Option<i32>,
) -> Result<Producers, ClientError> {
    let mut found = Producers::new();
    let mut by_broker: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    let mut topics: BTreeMap<Arc<str>, _> = BTreeMap::new();
    for place in places {
        let asked = match broker {
            Some(broker) => broker,
            None => {
                if !topics.contains_key(&place.topic) {
                    topics.insert(place.topic.clone(), cluster.topic(&place.topic).await?);
                }
                match topics[&place.topic].leader(place.partition) {
                    Ok(leader) => leader,
                    Err(error) => {
                        found.insert(place.clone(), Err(error));
                        continue;
                    }
                }
            }
        };
        by_broker.entry(asked).or_default().entry(&place.topic).or_default().push(place.partition);
    }
    for (asked, topics) in by_broker {
        let topic = |(name, partition_indexes): (&str, _)| TopicRequest { name: name.to_owned(), partition_indexes };
        let request = DescribeProducersRequest { topics: topics.into_iter().map(topic).collect() };
        for topic in cluster.broker(asked).await?.send(&request).await?.topics {
            for partition in topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                let what = format!("the producers of {place}");
                let checked = ClientError::check(what, partition.error_code, partition.error_message);
                found.insert(place, checked.map(|()| partition.active_producers));
            }
        }
    }
    Ok(found)
}

/// The same of one partition.
///
/// # Errors
/// As [`producers`], and the partition's own.
pub(crate) async fn producers_of(
    cluster: &Cluster,
    place: &TopicPartition,
    broker: Option<i32>,
) -> Result<Vec<ProducerState>, ClientError> {
    let mut found = producers(cluster, std::slice::from_ref(place), broker).await?;
    found.remove(place).unwrap_or_else(|| Err(silent(format!("the answer about {place}"))))
}

/// Ends in one partition what a producer has open there, without asking the coordinator: its leader writes the marker.
///
/// # Errors
/// INVALID_PRODUCER_EPOCH and TRANSACTION_COORDINATOR_FENCED when the partition knows newer ones.
pub(crate) async fn abort(cluster: &Cluster, place: &TopicPartition, open: Open) -> Result<(), ClientError> {
    let topic = WritableTxnMarkerTopic { name: place.topic.to_string(), partition_indexes: vec![place.partition] };
    let marker = WritableTxnMarker {
        producer_id: open.producer_id,
        producer_epoch: open.producer_epoch,
        transaction_result: false,
        topics: vec![topic],
        coordinator_epoch: open.coordinator_epoch,
        ..Default::default()
    };
    let leader = cluster.topic(&place.topic).await?.leader(place.partition)?;
    let answer = cluster.broker(leader).await?.send(&WriteTxnMarkersRequest { markers: vec![marker] }).await?;
    let topics = answer.markers.into_iter().flat_map(|marker| marker.topics);
    let partition = topics.flat_map(|topic| topic.partitions).next();
    let partition = partition.ok_or_else(|| silent(format!("the answer about {place}")))?;
    ClientError::check(format!("the marker in {place}"), partition.error_code, None)
}

/// Aborts what a transactional id has open, and shuts out its producer: the coordinator takes this one for its next.
///
/// # Errors
/// [`ClientError`], after retries.
pub(crate) async fn terminate(cluster: &Cluster, id: &str) -> Result<(), ClientError> {
    TransactionalProducer::new(cluster, Codec::None, id, TERMINATED_TIMEOUT).await.map(drop)
}

/// An answer that leaves out what was asked for.
fn silent(what: String) -> ClientError {
    ClientError::Corrupt { what, reason: "it says nothing about it".into() }
}
