//! DescribeQuorum, UnregisterBroker, UpdateFeatures, ElectLeaders, reassignments, ListConfigResources.

use protocol::messages::alter_partition_reassignments::{ReassignablePartition, ReassignableTopic};
use protocol::messages::alter_replica_log_dirs::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use protocol::messages::describe_quorum::{RequestedPartitionData, RequestedTopicData};
use protocol::messages::elect_leaders::TopicPartitions;
use protocol::messages::list_partition_reassignments::ListPartitionReassignmentsTopics;
use protocol::messages::update_features::FeatureUpdateKey;
use protocol::messages::*;

use super::create;
use crate::pair::Pair;
use crate::side::{Answer, Side};

pub(crate) fn run(pair: &mut Pair) {
    quorum(pair);
    unregister(pair);
    features(pair);
    create(pair, "moved", 2, &[]);
    elections(pair);
    reassignments(pair);
    config_resources(pair);
    log_dirs(pair);
}

fn quorum(pair: &mut Pair) {
    const METADATA: &str = "__cluster_metadata";
    type Partitions = (&'static str, &'static [i32]);
    let cases: &[(&str, &[Partitions])] = &[
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

fn elections(pair: &mut Pair) {
    let topic =
        |topic: &str, partitions: &[i32]| TopicPartitions { topic: topic.into(), partitions: partitions.to_vec() };
    let cases: Vec<(&str, Option<Vec<TopicPartitions>>)> = vec![
        ("of one partition", Some(vec![topic("moved", &[1])])),
        ("of two topics", Some(vec![topic("moved", &[0, 1, 7, -1]), topic("missing", &[0])])),
        ("of one partition twice", Some(vec![topic("moved", &[0, 0])])),
        ("of no partition", Some(vec![topic("moved", &[])])),
        ("of nothing", Some(vec![])),
        ("of what has no name", Some(vec![topic("", &[0])])),
    ];
    for (label, topic_partitions) in cases {
        for election_type in [0, 1, 2, -1] {
            pair.every_version(&format!("election {election_type} {label}"), |_| ElectLeadersRequest {
                election_type,
                topic_partitions: topic_partitions.clone(),
                ..Default::default()
            });
        }
    }
    // What topics there are depends on the areas before, and Kafka counts its own.
    for election_type in [0, 1] {
        for version in pair.versions::<ElectLeadersRequest>() {
            let all = pair.ask(&format!("election {election_type} of all"), version, |_| ElectLeadersRequest {
                election_type,
                topic_partitions: None,
                ..Default::default()
            });
            let results = all.ottla.expect("an answer").replica_election_results;
            assert!(
                results.iter().all(|topic| topic.partition_result.is_empty()),
                "all leaders are right: {results:?}"
            );
        }
    }
}

fn reassignments(pair: &mut Pair) {
    let partition = |partition_index: i32, replicas: Option<&[i32]>| ReassignablePartition {
        partition_index,
        replicas: replicas.map(<[i32]>::to_vec),
    };
    let cases: Vec<(&str, &str, Vec<ReassignablePartition>)> = vec![
        ("to where it is", "moved", vec![partition(0, Some(&[1]))]),
        ("of nothing", "moved", vec![]),
        ("cancelled", "moved", vec![partition(0, None)]),
        ("cancelled, of another partition", "moved", vec![partition(7, None)]),
        ("cancelled, of another topic", "missing", vec![partition(0, None)]),
        ("to no replica", "moved", vec![partition(0, Some(&[]))]),
        ("to an unknown broker", "moved", vec![partition(0, Some(&[7]))]),
        ("to an unknown broker too", "moved", vec![partition(0, Some(&[1, 7]))]),
        ("to a broker twice", "moved", vec![partition(0, Some(&[1, 1]))]),
        ("to a broker below 0", "moved", vec![partition(0, Some(&[-1]))]),
        ("of another partition", "moved", vec![partition(9, Some(&[1])), partition(-1, Some(&[1]))]),
        ("of another topic", "missing", vec![partition(0, Some(&[1]))]),
        ("good and bad", "moved", vec![partition(0, Some(&[1])), partition(1, Some(&[7]))]),
    ];
    for (label, topic, partitions) in cases {
        for allow_replication_factor_change in [true, false] {
            let label = format!("reassignment {label}, any number of replicas {allow_replication_factor_change}");
            pair.every_version(&label, |_| AlterPartitionReassignmentsRequest {
                allow_replication_factor_change,
                topics: vec![ReassignableTopic { name: topic.into(), partitions: partitions.clone() }],
                ..Default::default()
            });
        }
    }
    let listed = |name: &str, partition_indexes: &[i32]| ListPartitionReassignmentsTopics {
        name: name.into(),
        partition_indexes: partition_indexes.to_vec(),
    };
    for (label, topics) in [
        ("of all", None),
        ("of nothing", Some(vec![])),
        ("of some", Some(vec![listed("moved", &[0, 9]), listed("missing", &[0])])),
    ] {
        pair.every_version(&format!("reassignments {label}"), |_| ListPartitionReassignmentsRequest {
            topics: topics.clone(),
            ..Default::default()
        });
    }
}

fn config_resources(pair: &mut Pair) {
    let cases: &[(&str, &[i8])] = &[
        ("of topics", &[2]),
        ("of brokers and their loggers", &[4, 8]),
        ("of client metrics", &[16]),
        ("of groups", &[32]),
        ("of a type nobody knows", &[2, 7]),
        ("of a type of 0", &[0]),
        ("of topics twice", &[2, 2]),
        ("of all", &[]),
    ];
    for (label, resource_types) in cases {
        pair.every_version(&format!("config resources {label}"), |_| ListConfigResourcesRequest {
            resource_types: resource_types.to_vec(),
        });
    }
}

/// Replicas that are told where to be. Each broker has one log directory.
fn log_dirs(pair: &mut Pair) {
    const OURS: &str = "the log directory";
    for side in [&mut pair.kafka, &mut pair.ottla] {
        side.send(0, 4, &DescribeLogDirsRequest { topics: None });
        let Answer::Response(answer) = side.receive::<DescribeLogDirsRequest>(0, 4) else { panic!("no answer") };
        assert_eq!(answer.results.len(), 1, "one directory");
        side.set_name(OURS, &answer.results[0].log_dir);
    }
    let long = "l".repeat(249);
    let fits = "l".repeat(213);
    create(pair, &fits, 1, &[]);
    /// A directory, what is below it, and what shall be there.
    type Dir<'a> = (&'a str, &'a str, &'a [(&'a str, &'a [i32])]);
    let cases: &[(&str, &[Dir<'_>])] = &[
        ("where they are", &[(OURS, "", &[("moved", &[0, 1])])]),
        ("nowhere", &[("/no/such/directory", "", &[("moved", &[0, 1])])]),
        ("where nothing is", &[("", "", &[("moved", &[0])])]),
        ("a relative path", &[("data", "", &[("moved", &[0])])]),
        ("a slash too many", &[(OURS, "/", &[("moved", &[0])])]),
        ("below it", &[(OURS, "/moved-0", &[("moved", &[0])])]),
        ("missing ones", &[(OURS, "", &[("moved", &[0, 2, -1]), ("missing", &[0]), ("", &[0]), ("a/b", &[0])])]),
        ("missing ones, nowhere", &[("/no/such/directory", "", &[("moved", &[2]), ("missing", &[0])])]),
        ("nowhere first", &[("/no", "", &[("moved", &[0])]), (OURS, "", &[("moved", &[0])])]),
        ("nowhere in the end", &[(OURS, "", &[("moved", &[0])]), ("/no", "", &[("moved", &[0])])]),
        ("one topic in two parts", &[(OURS, "", &[("moved", &[0]), ("moved", &[1])])]),
        ("one partition twice", &[(OURS, "", &[("moved", &[0, 0])])]),
        ("a name that is too long", &[(OURS, "", &[(&long, &[0])])]),
        ("a name that fits just", &[(OURS, "", &[(&fits, &[0])])]),
        ("a name that would fit with a shorter index", &[(OURS, "", &[(&fits, &[10])])]),
        ("no partitions", &[(OURS, "", &[("moved", &[])])]),
        ("no topics", &[(OURS, "", &[])]),
        ("no directories", &[]),
    ];
    for (label, dirs) in cases {
        let build = |side: &Side| AlterReplicaLogDirsRequest {
            dirs: dirs.iter().map(|(dir, below, topics)| to_dir(side.name(dir) + below, topics)).collect(),
        };
        pair.every_version(&format!("log directories: {label}"), build);
    }
    pair.every_version("log directories: described", |_| DescribeLogDirsRequest {
        topics: Some(vec![describe_log_dirs::DescribableLogDirTopic { topic: "moved".into(), partitions: vec![0, 1] }]),
    });
}

fn to_dir(path: String, topics: &[(&str, &[i32])]) -> AlterReplicaLogDir {
    let topic = |(name, partitions): &(&str, &[i32])| AlterReplicaLogDirTopic {
        name: name.to_string(),
        partitions: partitions.to_vec(),
    };
    AlterReplicaLogDir { path, topics: topics.iter().map(topic).collect() }
}
