//! The records of `__consumer_offsets` that groups of the consumer protocol make (KIP-848).
//!
//! Every value is flexible from its first version, so that fields can be added without older brokers choking on them.

use bytes::Bytes;

use super::versioned;
use crate::Uuid;
use crate::api::*;

versioned! {
    /// Key of a group's epoch.
    ConsumerGroupMetadataKey, versions 3..=3;
    {
        group_id: String,
    }
}

versioned! {
    /// A group's epoch.
    ConsumerGroupMetadataValue, versions 0..=0, flexible 0..;
    {
        epoch: i32,
        /// Of all topics that members subscribe to; when it changes, so does the assignment (KIP-1101).
        metadata_hash: i64 [tag 0],
    }
}

versioned! {
    /// Key of the topics that a group was assigned from.
    ConsumerGroupPartitionMetadataKey, versions 4..=4;
    {
        group_id: String,
    }
}

versioned! {
    /// The topics that a group was assigned from. Since Kafka 4.1 their hash stands with the epoch instead.
    ConsumerGroupPartitionMetadataValue, versions 0..=0, flexible 0..;
    {
        topics: Vec<ConsumerGroupTopicMetadata>,
    }
}

wire_struct! {
    /// A topic as the group knew it.
    ConsumerGroupTopicMetadata {
        topic_id: Uuid,
        topic_name: String,
        num_partitions: i32,
        partition_metadata: Vec<ConsumerGroupPartitionMetadata>,
    }
}

wire_struct! {
    /// Where a partition's replicas are. Unused since 4.0.
    ConsumerGroupPartitionMetadata {
        partition: i32,
        racks: Vec<String>,
    }
}

versioned! {
    /// Key of a member.
    ConsumerGroupMemberMetadataKey, versions 5..=5;
    {
        group_id: String,
        member_id: String,
    }
}

versioned! {
    /// A member: who it is, and what it wants to read.
    ConsumerGroupMemberMetadataValue, versions 0..=0, flexible 0..;
    {
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String> [nullable 0],
        rebalance_timeout_ms: i32 = -1,
        server_assignor: Option<String> [nullable 0],
        /// Only of a member that speaks the classic protocol.
        classic_member_metadata: Option<ClassicMemberMetadata> [nullable 0, tag 0],
    }
}

wire_struct! {
    /// What a member said in JoinGroup.
    ClassicMemberMetadata {
        session_timeout_ms: i32,
        supported_protocols: Vec<ClassicProtocol>,
    }
}

wire_struct! {
    /// An assignment strategy of a classic member, and what it says about itself for it.
    ClassicProtocol {
        name: String,
        metadata: Bytes,
    }
}

versioned! {
    /// Key of the epoch of a group's target assignment.
    ConsumerGroupTargetAssignmentMetadataKey, versions 6..=6;
    {
        group_id: String,
    }
}

versioned! {
    /// The group epoch that the target assignment was computed for.
    ConsumerGroupTargetAssignmentMetadataValue, versions 0..=0, flexible 0..;
    {
        assignment_epoch: i32,
        /// When that was (KIP-1263).
        assignment_timestamp: i64 [tag 0],
    }
}

versioned! {
    /// Key of a member's target assignment.
    ConsumerGroupTargetAssignmentMemberKey, versions 7..=7;
    {
        group_id: String,
        member_id: String,
    }
}

versioned! {
    /// What a member shall have in the end.
    ConsumerGroupTargetAssignmentMemberValue, versions 0..=0, flexible 0..;
    {
        topic_partitions: Vec<TargetTopicPartition>,
    }
}

wire_struct! {
    /// Partitions of one topic.
    TargetTopicPartition {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}

versioned! {
    /// Key of a member's current assignment.
    ConsumerGroupCurrentMemberAssignmentKey, versions 8..=8;
    {
        group_id: String,
        member_id: String,
    }
}

versioned! {
    /// What a member has now, and what it is giving back.
    ConsumerGroupCurrentMemberAssignmentValue, versions 0..=0, flexible 0..;
    {
        member_epoch: i32,
        /// The epoch before: the answer with the new one may have been lost.
        previous_member_epoch: i32,
        /// 0 stable, 1 unrevoked partitions, 2 unreleased partitions.
        state: i8,
        assigned_partitions: Vec<CurrentTopicPartitions>,
        partitions_pending_revocation: Vec<CurrentTopicPartitions>,
    }
}

wire_struct! {
    /// Partitions of one topic.
    CurrentTopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
        /// For each of them the epoch at which the member got it.
        assignment_epochs: Option<Vec<i32>> [nullable 0, tag 0],
    }
}

versioned! {
    /// Key of a regular expression that members subscribe to.
    ConsumerGroupRegularExpressionKey, versions 16..=16;
    {
        group_id: String,
        regular_expression: String,
    }
}

versioned! {
    /// The topics that it was found to match.
    ConsumerGroupRegularExpressionValue, versions 0..=0, flexible 0..;
    {
        topics: Vec<String>,
        /// Of the cluster's metadata at that time.
        version: i64,
        timestamp: i64,
    }
}
