//! One file per API; each declares its request and response in every version that was ever released, up to Kafka 4.3.
//!
//! A version that only exists behind a switch in Kafka itself is not here: it may still change its layout.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod add_raft_voter;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_share_group_offsets;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_delegation_token;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_share_group_offsets;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_delegation_token;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_share_group_offsets;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod expire_delegation_token;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod push_telemetry;
pub mod remove_raft_voter;
pub mod renew_delegation_token;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod share_acknowledge;
pub mod share_fetch;
pub mod share_group_describe;
pub mod share_group_heartbeat;
pub mod streams_group_describe;
pub mod streams_group_heartbeat;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod unregister_broker;
pub mod update_features;
pub mod write_txn_markers;

mod name;

pub use name::api_name;

use crate::api::{ApiInfo, HeaderInfo};

macro_rules! apis {
    ($($module:ident $request:ident $response:ident;)*) => {
        $(pub use $module::{$request, $response};)*

        /// Every API that has messages here, sorted by key.
        ///
        /// Whoever names this table links all of them; a program that serves some has its own.
        pub static ALL: &[ApiInfo] = &[$(ApiInfo::of::<$request>()),*];

        /// What a header needs to know of each API, sorted by key.
        pub(crate) static HEADERS: &[HeaderInfo] = &[$(HeaderInfo::of::<$request>()),*];

        /// Shows every request and response.
        #[cfg(feature = "arbitrary")]
        pub(crate) fn visit_all(visitor: &mut impl crate::fill::Visitor) {
            use crate::api::Request;
            $(
                visitor.visit::<$request>($request::VERSIONS);
                visitor.visit::<$response>($request::VERSIONS);
            )*
        }
    };
}

apis! {
    produce ProduceRequest ProduceResponse;
    fetch FetchRequest FetchResponse;
    list_offsets ListOffsetsRequest ListOffsetsResponse;
    metadata MetadataRequest MetadataResponse;
    offset_commit OffsetCommitRequest OffsetCommitResponse;
    offset_fetch OffsetFetchRequest OffsetFetchResponse;
    find_coordinator FindCoordinatorRequest FindCoordinatorResponse;
    join_group JoinGroupRequest JoinGroupResponse;
    heartbeat HeartbeatRequest HeartbeatResponse;
    leave_group LeaveGroupRequest LeaveGroupResponse;
    sync_group SyncGroupRequest SyncGroupResponse;
    describe_groups DescribeGroupsRequest DescribeGroupsResponse;
    list_groups ListGroupsRequest ListGroupsResponse;
    sasl_handshake SaslHandshakeRequest SaslHandshakeResponse;
    api_versions ApiVersionsRequest ApiVersionsResponse;
    create_topics CreateTopicsRequest CreateTopicsResponse;
    delete_topics DeleteTopicsRequest DeleteTopicsResponse;
    delete_records DeleteRecordsRequest DeleteRecordsResponse;
    init_producer_id InitProducerIdRequest InitProducerIdResponse;
    offset_for_leader_epoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse;
    add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse;
    add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse;
    end_txn EndTxnRequest EndTxnResponse;
    write_txn_markers WriteTxnMarkersRequest WriteTxnMarkersResponse;
    txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse;
    describe_acls DescribeAclsRequest DescribeAclsResponse;
    create_acls CreateAclsRequest CreateAclsResponse;
    delete_acls DeleteAclsRequest DeleteAclsResponse;
    describe_configs DescribeConfigsRequest DescribeConfigsResponse;
    alter_configs AlterConfigsRequest AlterConfigsResponse;
    alter_replica_log_dirs AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse;
    describe_log_dirs DescribeLogDirsRequest DescribeLogDirsResponse;
    sasl_authenticate SaslAuthenticateRequest SaslAuthenticateResponse;
    create_partitions CreatePartitionsRequest CreatePartitionsResponse;
    create_delegation_token CreateDelegationTokenRequest CreateDelegationTokenResponse;
    renew_delegation_token RenewDelegationTokenRequest RenewDelegationTokenResponse;
    expire_delegation_token ExpireDelegationTokenRequest ExpireDelegationTokenResponse;
    describe_delegation_token DescribeDelegationTokenRequest DescribeDelegationTokenResponse;
    delete_groups DeleteGroupsRequest DeleteGroupsResponse;
    elect_leaders ElectLeadersRequest ElectLeadersResponse;
    incremental_alter_configs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse;
    alter_partition_reassignments AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse;
    list_partition_reassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse;
    offset_delete OffsetDeleteRequest OffsetDeleteResponse;
    describe_client_quotas DescribeClientQuotasRequest DescribeClientQuotasResponse;
    alter_client_quotas AlterClientQuotasRequest AlterClientQuotasResponse;
    describe_user_scram_credentials DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse;
    alter_user_scram_credentials AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse;
    describe_quorum DescribeQuorumRequest DescribeQuorumResponse;
    update_features UpdateFeaturesRequest UpdateFeaturesResponse;
    describe_cluster DescribeClusterRequest DescribeClusterResponse;
    describe_producers DescribeProducersRequest DescribeProducersResponse;
    unregister_broker UnregisterBrokerRequest UnregisterBrokerResponse;
    describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse;
    list_transactions ListTransactionsRequest ListTransactionsResponse;
    consumer_group_heartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse;
    consumer_group_describe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse;
    get_telemetry_subscriptions GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse;
    push_telemetry PushTelemetryRequest PushTelemetryResponse;
    list_config_resources ListConfigResourcesRequest ListConfigResourcesResponse;
    describe_topic_partitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse;
    share_group_heartbeat ShareGroupHeartbeatRequest ShareGroupHeartbeatResponse;
    share_group_describe ShareGroupDescribeRequest ShareGroupDescribeResponse;
    share_fetch ShareFetchRequest ShareFetchResponse;
    share_acknowledge ShareAcknowledgeRequest ShareAcknowledgeResponse;
    add_raft_voter AddRaftVoterRequest AddRaftVoterResponse;
    remove_raft_voter RemoveRaftVoterRequest RemoveRaftVoterResponse;
    streams_group_heartbeat StreamsGroupHeartbeatRequest StreamsGroupHeartbeatResponse;
    streams_group_describe StreamsGroupDescribeRequest StreamsGroupDescribeResponse;
    describe_share_group_offsets DescribeShareGroupOffsetsRequest DescribeShareGroupOffsetsResponse;
    alter_share_group_offsets AlterShareGroupOffsetsRequest AlterShareGroupOffsetsResponse;
    delete_share_group_offsets DeleteShareGroupOffsetsRequest DeleteShareGroupOffsetsResponse;
}
