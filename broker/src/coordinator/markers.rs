//! Writing markers: telling partitions how a transaction ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::ErrorCode;
use state::transaction::Partitions;
use storage::TxnMarker;
use tokio::sync::oneshot;

use super::group::OFFSETS_TOPIC;
use crate::broker::Broker;
use crate::error::append_failure;
use crate::partition::{AppendRefusal, Durable, append_markers};

/// Writes a marker to each partition, and answers when all that could be written are durable: by topic and partition.
/// `UNKNOWN_TOPIC_OR_PARTITION` is one that the cluster does not have.
pub(crate) async fn write_markers(
    broker: &Arc<Broker>,
    marker: TxnMarker,
    partitions: &Partitions,
) -> Vec<(String, i32, ErrorCode)> {
    let mut outcomes = BTreeMap::new();
    let (mut logs, mut places, mut of_groups) = (Vec::new(), Vec::new(), Vec::new());
    let flat = |(topic, indexes): (&String, &std::collections::BTreeSet<i32>)| -> Vec<(String, i32)> {
        indexes.iter().map(|index| (topic.clone(), *index)).collect()
    };
    let all: Vec<(String, i32)> = partitions.iter().flat_map(flat).collect();
    for (topic, index) in all {
        if topic == OFFSETS_TOPIC {
            // The group coordinator is the only one to write there: offsets count when it has seen the marker.
            match broker.groups().submit_marker(broker, index, marker).await {
                Ok(receiver) => of_groups.push((index, receiver)),
                Err(code) => drop(outcomes.insert((topic, index), code)),
            }
            continue;
        }
        match broker.partitions().leader_by_name(&topic, index) {
            Ok(partition) => {
                logs.push(partition);
                places.push((topic, index));
            }
            Err(code) => drop(outcomes.insert((topic, index), code)),
        }
    }
    let written = append_markers(logs.clone(), marker).await;
    for ((place, partition), marked) in places.into_iter().zip(&logs).zip(written) {
        let code = match marked {
            Ok(durable) => durability(durable).await,
            Err(error) => append_failure(partition, &AppendRefusal::Log(error)).code,
        };
        outcomes.insert(place, code);
    }
    for (index, receiver) in of_groups {
        let code = match receiver.await {
            Ok(Ok(())) => ErrorCode::NONE,
            Ok(Err(code)) => code,
            // It loads again.
            Err(_) => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        };
        outcomes.insert((OFFSETS_TOPIC.to_owned(), index), code);
    }
    outcomes.into_iter().map(|((topic, index), code)| (topic, index, code)).collect()
}

async fn durability(durable: oneshot::Receiver<Durable>) -> ErrorCode {
    match durable.await {
        Ok(Ok(())) => ErrorCode::NONE,
        Ok(Err(code)) => code,
        // The partition was dropped under us: deleted, or the broker stops.
        Err(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    }
}
