//! What the areas stand on: topics that exist at both brokers, and records in them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::Uuid;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::metadata::MetadataRequestTopic;
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::messages::*;
use protocol::wire::Records;

use crate::pair::Pair;
use crate::side::{Answer, Side};

const LIMIT: Duration = Duration::from_secs(10);

/// Creates a topic at both and waits until both show it with leaders.
pub(crate) fn create(pair: &mut Pair, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: name.to_string(), value: Some(value.to_string()) });
    let topic = CreatableTopic {
        name: name.to_string(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    for side in [&mut pair.kafka, &mut pair.ottla] {
        side.send(0, 7, &request);
        let Answer::Response(answer) = side.receive::<CreateTopicsRequest>(0, 7) else { panic!("no answer") };
        assert!(!answer.topics[0].error_code.is_error(), "{name} was not created: {answer:?}");
    }
    settle(pair, name, partitions);
}

/// Waits until both show a topic with all its leaders, and takes down its id.
pub(crate) fn settle(pair: &mut Pair, name: &str, partitions: i32) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        loop {
            let (id, leaders) = describe(side, name);
            if leaders == partitions as usize && leads(side, name, partitions) {
                side.set_topic_id(name, id);
                break;
            }
            assert!(Instant::now() < deadline, "{name} does not show");
            sleep(Duration::from_millis(10));
        }
    }
}

/// Metadata names a leader before it knows that it is one.
fn leads(side: &mut Side, name: &str, partitions: i32) -> bool {
    let wanted = (0..partitions).map(|partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    });
    let topic = ListOffsetsTopic { name: name.to_string(), partitions: wanted.collect() };
    side.send(0, 4, &ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() });
    let Answer::Response(answer) = side.receive::<ListOffsetsRequest>(0, 4) else { panic!("no answer") };
    answer.topics[0].partitions.iter().all(|partition| !partition.error_code.is_error())
}

/// Waits until neither shows a topic any more.
pub(crate) fn settle_gone(pair: &mut Pair, name: &str) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        while !describe(side, name).0.is_zero() {
            assert!(Instant::now() < deadline, "{name} does not go");
            sleep(Duration::from_millis(10));
        }
    }
}

fn describe(side: &mut Side, name: &str) -> (Uuid, usize) {
    let topic = MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
    side.send(0, 12, &request);
    let Answer::Response(answer) = side.receive::<MetadataRequest>(0, 12) else { panic!("no answer") };
    let topic = &answer.topics[0];
    let id = if topic.error_code.is_error() { Uuid::ZERO } else { topic.topic_id };
    (id, topic.partitions.iter().filter(|partition| partition.leader_id >= 0).count())
}

/// A produce request for one partition, by name and by id alike.
pub(crate) fn produce_to(side: &Side, topic: &str, index: i32, batch: &Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index, records: Some(Records::from(batch.clone())) };
    ProduceRequest {
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![TopicProduceData {
            name: topic.to_string(),
            topic_id: side.topic_id(topic),
            partition_data: vec![data],
        }],
        ..Default::default()
    }
}

/// Waits until both give out producer ids, of which Apache Kafka's broker asks its controller for a block first.
pub(crate) fn wait_for_producer_ids(pair: &mut Pair) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        loop {
            side.send(0, 4, &InitProducerIdRequest::default());
            let Answer::Response(answer) = side.receive::<InitProducerIdRequest>(0, 4) else { panic!("no answer") };
            if !answer.error_code.is_error() {
                break;
            }
            assert!(Instant::now() < deadline, "no producer ids: {answer:?}");
            sleep(Duration::from_millis(10));
        }
    }
}
