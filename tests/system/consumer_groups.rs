//! Groups of the consumer protocol (KIP-848), request by request, through a crash.

use std::time::Instant;

use client::{Cluster, Connection};
use protocol::messages::consumer_group_describe::{ConsumerGroupDescribeRequest, DescribedGroup};
use protocol::messages::consumer_group_heartbeat::*;
use protocol::messages::delete_groups::DeleteGroupsRequest;
use protocol::messages::list_groups::ListGroupsRequest;
use protocol::messages::offset_commit::*;
use protocol::messages::offset_fetch::*;
use protocol::{ErrorCode, Uuid};

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::restart::create;

const GROUP: &str = "workers";
const FIRST_EPOCH_VERSION: i16 = 9;

/// Requests of one member.
struct Member {
    connection: Connection,
    id: &'static str,
    epoch: i32,
}

impl Member {
    async fn connect(broker: &BrokerProcess, id: &'static str, epoch: i32) -> Member {
        let connection = Connection::connect(&broker.address, id).await.unwrap();
        Member { connection, id, epoch }
    }

    async fn send(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let request = ConsumerGroupHeartbeatRequest { group_id: GROUP.into(), member_id: self.id.into(), ..request };
        let answer = self.connection.send(&request).await.unwrap();
        assert_eq!((answer.error_code, &answer.error_message), (ErrorCode::NONE, &None));
        self.epoch = answer.member_epoch;
        answer
    }

    async fn join(&mut self, pattern: &str) -> ConsumerGroupHeartbeatResponse {
        self.send(ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(Vec::new()),
            subscribed_topic_regex: Some(pattern.into()),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        })
        .await
    }

    async fn beat(&mut self, owned: Option<(Uuid, &[i32])>) -> ConsumerGroupHeartbeatResponse {
        let owned = owned
            .map(|(topic_id, partitions)| vec![RequestedTopicPartitions { topic_id, partitions: partitions.to_vec() }]);
        let member_epoch = self.epoch;
        self.send(ConsumerGroupHeartbeatRequest { member_epoch, topic_partitions: owned, ..Default::default() }).await
    }

    async fn commit(&self, member_epoch: i32, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: GROUP.into(),
            member_id: self.id.into(),
            generation_id_or_member_epoch: member_epoch,
            topics: vec![OffsetCommitRequestTopic {
                name: "work".into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.connection.send_version(&request, FIRST_EPOCH_VERSION).await.unwrap();
        answer.topics[0].partitions[0].error_code
    }

    async fn fetch(&self, member_epoch: i32) -> Result<i64, ErrorCode> {
        let topic = OffsetFetchRequestTopics { name: "work".into(), partition_indexes: vec![0], ..Default::default() };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            member_id: Some(self.id.into()),
            member_epoch,
            topics: Some(vec![topic]),
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let answer = self.connection.send_version(&request, FIRST_EPOCH_VERSION).await.unwrap();
        let group = &answer.groups[0];
        if group.error_code.is_error() {
            Err(group.error_code)
        } else {
            Ok(group.topics[0].partitions[0].committed_offset)
        }
    }
}

fn assigned(answer: &ConsumerGroupHeartbeatResponse) -> Vec<i32> {
    let topics = &answer.assignment.as_ref().expect("it is told").topic_partitions;
    topics.iter().flat_map(|topic| topic.partitions.clone()).collect()
}

async fn described(connection: &Connection) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
    connection.send(&request).await.unwrap().groups.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_hand_partitions_over_and_survive_a_crash_of_the_broker() {
    let mut broker = BrokerProcess::start(&["offsets.topic.num.partitions=2"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 4, &[]).await;
    let topic_id = cluster.topic("work").await.unwrap().id;
    cluster.coordinator(GROUP).await.unwrap();

    let mut first = Member::connect(&broker, "first", 0).await;
    let joined = first.join("w.r[a-k]").await;
    assert_eq!((joined.member_epoch, joined.heartbeat_interval_ms, assigned(&joined)), (2, 5_000, vec![0, 1, 2, 3]));
    let mut second = Member::connect(&broker, "second", 0).await;
    assert_eq!(assigned(&second.join("work").await), Vec::<i32>::new());
    assert_eq!(described(&first.connection).await.group_state, "Reconciling");
    let kept = assigned(&first.beat(None).await);
    assert_eq!((first.epoch, kept.len()), (2, 2), "it gives back before it moves on");
    first.beat(Some((topic_id, &kept))).await;
    assert_eq!(first.epoch, 3);
    assert_eq!(assigned(&second.beat(None).await).len(), 2);

    let group = described(&first.connection).await;
    assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Stable", 3, 3));
    assert_eq!((group.assignor_name.as_str(), group.members.len()), ("uniform", 2));
    assert!(group.members.iter().all(|member| member.assignment == member.target_assignment));
    let list = ListGroupsRequest { types_filter: vec!["consumer".into()], ..Default::default() };
    let listed = first.connection.send(&list).await.unwrap().groups;
    assert_eq!(
        (listed.len(), listed[0].group_state.as_str(), listed[0].group_type.as_str()),
        (1, "Stable", "consumer")
    );

    assert_eq!(first.commit(3, 7).await, ErrorCode::NONE);
    assert_eq!(first.commit(4, 8).await, ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!((first.fetch(3).await, first.fetch(2).await), (Ok(7), Err(ErrorCode::STALE_MEMBER_EPOCH)));

    broker.crash();
    let broker = broker.restart();
    let mut first = Member::connect(&broker, "first", first.epoch).await;
    let mut second = Member::connect(&broker, "second", second.epoch).await;
    let begun = Instant::now();
    while described(&first.connection).await.group_state != "Stable" {
        assert!(begun.elapsed() < DEADLINE);
    }
    for member in [&mut first, &mut second] {
        let answer = member.beat(None).await;
        assert_eq!((answer.member_epoch, answer.assignment), (3, None), "nothing has happened");
    }
    assert_eq!(first.fetch(3).await, Ok(7));

    for member in [&mut first, &mut second] {
        let member_epoch = -1;
        let left = member.send(ConsumerGroupHeartbeatRequest { member_epoch, ..Default::default() }).await;
        assert_eq!(left.member_epoch, -1);
    }
    let delete = DeleteGroupsRequest { groups_names: vec![GROUP.into()] };
    let deleted = first.connection.send(&delete).await.unwrap();
    assert_eq!(deleted.results[0].error_code, ErrorCode::NONE);
    assert_eq!(described(&first.connection).await.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}
