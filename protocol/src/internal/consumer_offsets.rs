//! The records of `__consumer_offsets` that classic groups make.
//!
//! Version 4 of the values is flexible, so that from then on fields can be added without older brokers choking on
//! them (KIP-915).

use bytes::Bytes;

use super::versioned;
use crate::Uuid;
use crate::api::*;

versioned! {
    /// Key of a committed offset. Version 0 dates from the days when offsets were kept in ZooKeeper.
    OffsetCommitKey, versions 0..=1;
    {
        group: String,
        topic: String,
        partition: i32,
    }
}

versioned! {
    /// A committed offset. Version 1 came from clients that asked for a retention time of their own.
    OffsetCommitValue, versions 0..=4, flexible 4..;
    {
        offset: i64,
        leader_epoch: i32 [since 3] = -1,
        metadata: String,
        commit_timestamp: i64,
        expire_timestamp: i64 [since 1, until 1] = -1,
        topic_id: Uuid [since 4, tag 0],
    }
}

versioned! {
    /// Key of a group's latest generation.
    GroupMetadataKey, versions 2..=2;
    {
        group: String,
    }
}

versioned! {
    /// A group's latest generation: its members, and what each was assigned.
    GroupMetadataValue, versions 0..=4, flexible 4..;
    {
        protocol_type: String,
        generation: i32,
        protocol: Option<String> [nullable 0],
        leader: Option<String> [nullable 0],
        current_state_timestamp: i64 [since 2] = -1,
        members: Vec<MemberMetadata>,
    }
}

wire_struct! {
    /// A member of that generation.
    MemberMetadata {
        member_id: String,
        group_instance_id: Option<String> [since 3, nullable 3],
        client_id: String,
        client_host: String,
        rebalance_timeout: i32 [since 1] = -1,
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }
}
