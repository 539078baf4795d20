//! DescribeQuorum, UnregisterBroker, UpdateFeatures.

use protocol::messages::describe_quorum::{RequestedPartitionData, RequestedTopicData};
use protocol::messages::update_features::FeatureUpdateKey;
use protocol::messages::*;

use crate::pair::Pair;

pub(crate) fn run(pair: &mut Pair) {
    quorum(pair);
    unregister(pair);
    features(pair);
}

fn quorum(pair: &mut Pair) {
    const METADATA: &str = "__cluster_metadata";
    let cases: &[(&str, &[(&str, &[i32])])] = &[
        ("", &[(METADATA, &[0])]),
        (" of nothing", &[]),
        (" of no partition", &[(METADATA, &[])]),
        (" of another partition", &[(METADATA, &[1])]),
        (" of two partitions", &[(METADATA, &[0, 1])]),
        (" of another topic", &[("missing", &[0])]),
        (" of two topics", &[(METADATA, &[0]), ("missing", &[0])]),
    ];
    for (label, topics) in cases {
        pair.every_version(&format!("the quorum{label}"), |_| DescribeQuorumRequest {
            topics: topics
                .iter()
                .map(|(name, partitions)| RequestedTopicData {
                    topic_name: name.to_string(),
                    partitions: partitions
                        .iter()
                        .map(|&partition_index| RequestedPartitionData { partition_index })
                        .collect(),
                })
                .collect(),
        });
    }
}

/// Not of a living broker: Kafka lets go of it.
fn unregister(pair: &mut Pair) {
    for broker_id in [7, -1, i32::MAX] {
        pair.every_version(&format!("unregister broker {broker_id}"), |_| UnregisterBrokerRequest { broker_id });
    }
}

fn features(pair: &mut Pair) {
    let update = |feature: &str, max_version_level: i16, upgrade_type: i8| FeatureUpdateKey {
        feature: feature.into(),
        max_version_level,
        upgrade_type,
        ..Default::default()
    };
    let cases: Vec<(&str, Vec<FeatureUpdateKey>)> = vec![
        ("none", vec![]),
        ("an unknown one", vec![update("no.such", 1, 1)]),
        ("an unknown one down", vec![update("no.such", 1, 2)]),
        ("an unknown one to 0", vec![update("no.such", 0, 2)]),
        ("an unknown one to -1", vec![update("no.such", -1, 3)]),
        ("an unknown kind of upgrade", vec![update("no.such", 1, 9)]),
        ("no kind of upgrade", vec![update("no.such", 1, 0)]),
        ("two unknown ones", vec![update("no.such", 1, 1), update("nor.this", 1, 1)]),
        ("a level that nobody has", vec![update("group.version", 99, 1)]),
    ];
    for (label, feature_updates) in cases {
        for validate_only in [false, true] {
            pair.every_version(&format!("features: {label}, validation only {validate_only}"), |_| {
                UpdateFeaturesRequest { feature_updates: feature_updates.clone(), validate_only, ..Default::default() }
            });
        }
    }
    pair.every_version("features: a level that it has", |_| UpdateFeaturesRequest {
        feature_updates: vec![update("group.version", 1, 1)],
        validate_only: true,
        ..Default::default()
    });
}
