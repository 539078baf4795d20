//! DescribeLogDirs: what each partition occupies on disk.
//!
//! A directory that takes no more writes has an error of its own (KIP-112); what is in it is told all the same, because
//! it can be read.
//!
//! v4 total and usable bytes of the volume (KIP-827). v5 whether the directory takes no new partitions (KIP-1066), which no
//! setting here can say.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::DescribeLogDirsRequest;
use protocol::messages::describe_log_dirs::*;

use crate::context::Context;

/// Describes the one log directory.
pub(crate) async fn handle(context: Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let image = context.broker.image();
    let node_id = context.broker.node_id();
    let wanted: Option<BTreeMap<String, Vec<i32>>> =
        request.topics.map(|topics| topics.into_iter().map(|topic| (topic.topic, topic.partitions)).collect());
    let mut topics = Vec::new();
    for topic in image.topics() {
        let chosen = match &wanted {
            None => None,
            Some(wanted) => match wanted.get(&*topic.name) {
                Some(partitions) => Some(partitions),
                None => continue,
            },
        };
        let partitions: Vec<_> = (0..topic.partitions.len() as i32)
            .filter(|index| chosen.is_none_or(|chosen| chosen.contains(index)))
            .filter(|index| topic.partitions[*index as usize].replicas.contains(&node_id))
            .map(|partition_index| DescribeLogDirsPartition {
                partition_index,
                partition_size: context
                    .broker
                    .partitions()
                    .leader_by_id(topic.id, partition_index)
                    .map_or(0, |partition| partition.log().size_bytes() as i64),
                ..Default::default()
            })
            .collect();
        if !partitions.is_empty() {
            topics.push(DescribeLogDirsTopic { name: topic.name.to_string(), partitions });
        }
    }
    let (usable, total) =
        context.broker.partitions().volume().map_or((-1, -1), |(free, total)| (free as i64, total as i64));
    let is_offline = context.broker.partitions().log_dir().state().offline().is_some();
    let result = DescribeLogDirsResult {
        error_code: if is_offline { ErrorCode::KAFKA_STORAGE_ERROR } else { ErrorCode::NONE },
        log_dir: log_dir_name(&context),
        topics,
        total_bytes: total,
        usable_bytes: usable,
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

/// The log directory, as clients are told it and as they tell it.
pub(super) fn log_dir_name(context: &Context) -> String {
    let path = context.broker.partitions().log_dir().path();
    // Only the empty path has no absolute form, and no log is kept there.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
