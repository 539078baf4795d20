//! Groups that change their protocol while members are in (KIP-848), request by request, through a crash.

use bytes::Bytes;
use client::{Cluster, Connection};
use protocol::ErrorCode;
use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use protocol::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use protocol::messages::consumer_group_heartbeat::*;
use protocol::messages::heartbeat::HeartbeatRequest;
use protocol::messages::join_group::*;
use protocol::messages::list_groups::ListGroupsRequest;
use protocol::messages::sync_group::*;

use crate::broker_process::BrokerProcess;
use crate::restart::create;

const GROUP: &str = "movers";
/// Before members had to come back with the id they are given.
const JOIN_VERSION: i16 = 3;

struct Classic {
    connection: Connection,
    member_id: String,
    generation_id: i32,
}

impl Classic {
    async fn join(&mut self) -> JoinGroupResponse {
        let wanted = ConsumerProtocolSubscription { topics: vec!["work".into()], ..Default::default() };
        let metadata = internal::encode(&wanted, 1);
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: self.member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            ..Default::default()
        };
        let answer = self.connection.send_version(&request, JOIN_VERSION).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        (self.member_id, self.generation_id) = (answer.member_id.clone(), answer.generation_id);
        answer
    }

    /// The partitions that it is told it has, having handed in an assignment if it leads.
    async fn sync(&mut self, assignment: Option<Bytes>) -> Vec<i32> {
        let own = |assignment| SyncGroupRequestAssignment { member_id: self.member_id.clone(), assignment };
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignment.map(own).into_iter().collect(),
            ..Default::default()
        };
        let answer = self.connection.send(&request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        let read: ConsumerProtocolAssignment = internal::decode(answer.assignment).unwrap();
        read.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
    }

    async fn beat(&self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            ..Default::default()
        };
        self.connection.send(&request).await.unwrap().error_code
    }
}

fn all_four() -> Bytes {
    let partitions = internal::TopicPartition { topic: "work".into(), partitions: vec![0, 1, 2, 3] };
    internal::encode(&ConsumerProtocolAssignment { assigned_partitions: vec![partitions], ..Default::default() }, 1)
}

fn heartbeat(member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let joins = member_epoch == 0;
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "new".into(),
        member_epoch,
        rebalance_timeout_ms: if joins { 60_000 } else { -1 },
        subscribed_topic_names: joins.then(|| vec!["work".into()]),
        topic_partitions: joins.then(Vec::new),
        ..Default::default()
    }
}

async fn group_type(connection: &Connection) -> (String, String) {
    let listed = connection.send(&ListGroupsRequest::default()).await.unwrap().groups;
    assert_eq!(listed.len(), 1);
    (listed[0].group_type.clone(), listed[0].group_state.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_from_classic_to_consumer_and_back_through_crashes() {
    let mut broker = BrokerProcess::start(&["offsets.topic.num.partitions=2", "group.initial.rebalance.delay.ms=0"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 4, &[]).await;
    cluster.coordinator(GROUP).await.unwrap();
    let connect = async |broker: &BrokerProcess| Connection::connect(&broker.address, "old").await.unwrap();
    let mut old = Classic { connection: connect(&broker).await, member_id: String::new(), generation_id: -1 };
    old.join().await;
    assert_eq!(old.sync(Some(all_four())).await, [0, 1, 2, 3]);
    assert_eq!(old.beat().await, ErrorCode::NONE);

    let joined = old.connection.send(&heartbeat(0)).await.unwrap();
    assert_eq!((joined.error_code, joined.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!(joined.assignment.unwrap().topic_partitions.len(), 0, "the classic member has everything");
    assert_eq!(group_type(&old.connection).await.0, "consumer");

    broker.crash();
    let mut broker = broker.restart();
    old.connection = connect(&broker).await;
    assert_eq!(old.beat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(old.join().await.leader, "", "nobody leads");
    assert_eq!((old.generation_id, old.sync(None).await.len()), (2, 2));
    assert_eq!(old.beat().await, ErrorCode::NONE);
    let told = old.connection.send(&heartbeat(2)).await.unwrap();
    assert_eq!(told.assignment.unwrap().topic_partitions[0].partitions.len(), 2);
    let describe = ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
    let described = old.connection.send(&describe).await.unwrap().groups.remove(0);
    let mut types: Vec<i8> = described.members.iter().map(|member| member.member_type).collect();
    types.sort_unstable();
    assert_eq!((described.group_state.as_str(), types), ("Stable", vec![0, 1]));

    let left = old.connection.send(&heartbeat(-1)).await.unwrap();
    assert_eq!(left.error_code, ErrorCode::NONE);
    broker.crash();
    let broker = broker.restart();
    old.connection = connect(&broker).await;
    assert_eq!(old.beat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(group_type(&old.connection).await, ("classic".into(), "PreparingRebalance".into()));
    assert_eq!(old.join().await.leader, old.member_id);
    assert_eq!((old.generation_id, old.sync(Some(all_four())).await.len()), (3, 4));
    assert_eq!(group_type(&old.connection).await, ("classic".into(), "Stable".into()));
}

#[tokio::test]
async fn a_group_that_may_not_be_upgraded_stays_classic() {
    let broker =
        BrokerProcess::start(&["group.consumer.migration.policy=Downgrade", "group.initial.rebalance.delay.ms=0"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 4, &[]).await;
    cluster.coordinator(GROUP).await.unwrap();
    let connection = Connection::connect(&broker.address, "old").await.unwrap();
    let mut old = Classic { connection, member_id: String::new(), generation_id: -1 };
    old.join().await;
    old.sync(Some(all_four())).await;
    let refused = old.connection.send(&heartbeat(0)).await.unwrap();
    assert_eq!(refused.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(old.beat().await, ErrorCode::NONE);
}
