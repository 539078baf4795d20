//! AlterReplicaLogDirs: move replicas to another log directory of this broker (KIP-113). There is one, so either a replica
//! is there already, or nobody knows the directory.
//!
//! Kafka remembers the directory for a replica that is to come, and says that it is not available yet. Here it can only
//! come where it was told to, so there is nothing to remember.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::AlterReplicaLogDirsRequest;
use protocol::messages::alter_replica_log_dirs::*;

use super::describe_log_dirs::log_dir_name;
use crate::context::Context;

/// What Kafka adds to the name of a topic for a log that replaces another: a partition's index stands before it.
const FUTURE_SUFFIX_BYTES: usize = "-.".len() + 32 + "-future".len();
/// Names of directories are not longer.
const DIR_NAME_BYTES_MAX: usize = 255;

/// Answers each partition by itself. Of two directories for one partition the later counts.
pub(crate) async fn handle(context: Context, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let mut chosen: BTreeMap<String, BTreeMap<i32, bool>> = BTreeMap::new();
    let our_dir = log_dir_name(&context);
    for dir in request.dirs {
        let is_ours = dir.path == our_dir;
        for topic in dir.topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
            let partitions = topic.partitions.into_iter().map(|index| (index, is_ours));
            chosen.entry(topic.name).or_default().extend(partitions);
        }
    }
    let is_offline = context.broker.partitions().log_dir().state().offline().is_some();
    let (image, node_id) = (context.broker.image(), context.broker.node_id());
    let result = |(topic_name, partitions): (String, BTreeMap<i32, bool>)| {
        let topic = image.topic(&topic_name);
        let code = |index: i32, is_ours: bool| {
            let partition = topic.zip(usize::try_from(index).ok()).and_then(|(topic, at)| topic.partitions.get(at));
            if topic_name.len() + index.to_string().len() + FUTURE_SUFFIX_BYTES > DIR_NAME_BYTES_MAX {
                ErrorCode::INVALID_TOPIC_EXCEPTION
            } else if !is_ours {
                ErrorCode::LOG_DIR_NOT_FOUND
            } else if is_offline {
                ErrorCode::KAFKA_STORAGE_ERROR
            } else {
                match partition {
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(partition) if !partition.replicas.contains(&node_id) => ErrorCode::REPLICA_NOT_AVAILABLE,
                    Some(_) => ErrorCode::NONE,
                }
            }
        };
        let partitions = partitions.into_iter().map(|(partition_index, is_ours)| AlterReplicaLogDirPartitionResult {
            partition_index,
            error_code: code(partition_index, is_ours),
        });
        AlterReplicaLogDirTopicResult { partitions: partitions.collect(), topic_name: topic_name.clone() }
    };
    let results = chosen.into_iter().map(result).collect();
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}
