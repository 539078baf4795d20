//! What consumers of a classic group tell each other through the coordinator, which passes it on unread.
//!
//! v1 owned partitions (KIP-429). v2 generation (KIP-792). v3 rack (KIP-881).

use bytes::Bytes;

use super::versioned;
use crate::api::*;

versioned! {
    /// What a consumer wants, as it says in JoinGroup.
    ConsumerProtocolSubscription, versions 0..=3;
    {
        topics: Vec<String>,
        user_data: Option<Bytes> [nullable 0],
        owned_partitions: Vec<TopicPartition> [since 1],
        generation_id: i32 [since 2] = -1,
        rack_id: Option<String> [since 3, nullable 3],
    }
}

versioned! {
    /// What a consumer gets, as the leader says in SyncGroup.
    ConsumerProtocolAssignment, versions 0..=3;
    {
        assigned_partitions: Vec<TopicPartition>,
        user_data: Option<Bytes> [nullable 0],
    }
}

wire_struct! {
    /// Partitions of one topic.
    TopicPartition {
        topic: String,
        partitions: Vec<i32>,
    }
}
