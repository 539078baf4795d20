//! DescribeShareGroupOffsets: an admin client reads where share groups start reading (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Reads the start offsets of share groups.
    DescribeShareGroupOffsets = 90, versions 0..=1, flexible 0..;

    request DescribeShareGroupOffsetsRequest {
        groups: Vec<DescribeShareGroupOffsetsRequestGroup>,
    }

    response DescribeShareGroupOffsetsResponse {
        throttle_time_ms: i32,
        groups: Vec<DescribeShareGroupOffsetsResponseGroup>,
    }

    struct DescribeShareGroupOffsetsRequestGroup {
        group_id: String,
        topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic>> [nullable 0] = Some(Vec::new()),
    }

    struct DescribeShareGroupOffsetsRequestTopic {
        topic_name: String,
        partitions: Vec<i32>,
    }

    struct DescribeShareGroupOffsetsResponseGroup {
        group_id: String,
        topics: Vec<DescribeShareGroupOffsetsResponseTopic>,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }

    struct DescribeShareGroupOffsetsResponseTopic {
        topic_name: String,
        topic_id: Uuid,
        partitions: Vec<DescribeShareGroupOffsetsResponsePartition>,
    }

    struct DescribeShareGroupOffsetsResponsePartition {
        partition_index: i32,
        /// −1 when nothing was read yet.
        start_offset: i64,
        leader_epoch: i32,
        lag: i64 [since 1] = -1,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
