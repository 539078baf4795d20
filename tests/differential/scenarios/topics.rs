//! CreateTopics, CreatePartitions, DeleteTopics.

use protocol::Uuid;
use protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::*;

use super::create;
use super::setup::{settle, settle_gone};
use crate::pair::Pair;

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "here", 2, &[]);
    refused(pair);
    accepted(pair);
    partitions(pair);
    delete(pair);
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..Default::default() }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
    };
    CreatableTopic { assignments: assignments.iter().map(assignment).collect(), ..topic(name, -1, -1) }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config = |(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
        name: name.to_string(),
        value: value.map(Into::into),
    };
    CreatableTopic { configs: configs.iter().map(config).collect(), ..topic(name, 1, 1) }
}

fn refused(pair: &mut Pair) {
    let long = "n".repeat(250);
    let cases: Vec<(&str, Vec<CreatableTopic>)> = vec![
        ("no name", vec![topic("", 1, 1)]),
        ("a dot", vec![topic(".", 1, 1)]),
        ("two dots", vec![topic("..", 1, 1)]),
        ("a slash", vec![topic("a/b", 1, 1)]),
        ("a name too long", vec![topic(&long, 1, 1)]),
        ("an umlaut", vec![topic("ä", 1, 1)]),
        ("no partitions", vec![topic("zero", 0, 1)]),
        ("fewer than no partitions", vec![topic("minus", -2, 1)]),
        ("no replicas", vec![topic("replicas", 1, 0)]),
        ("fewer than no replicas", vec![topic("replicas", 1, -2)]),
        ("more replicas than brokers", vec![topic("replicas", 1, 2)]),
        ("a topic that exists", vec![topic("here", 1, 1)]),
        ("a topic that exists, with a wrong shape", vec![topic("here", 0, 9)]),
        ("a name that exists but for its punctuation", vec![topic("a.b", 1, 1), topic("a_b", 1, 1)]),
        ("one name twice", vec![topic("twice", 1, 1), topic("twice", 1, 1)]),
        ("one name twice and another", vec![topic("twice", 1, 1), topic("twice", 2, 1), topic("single", 0, 1)]),
        ("an assignment to nobody", vec![assigned("assigned", &[(0, &[])])]),
        ("an assignment to an unknown broker", vec![assigned("assigned", &[(0, &[77])])]),
        ("an assignment to one broker twice", vec![assigned("assigned", &[(0, &[1, 1])])]),
        ("an assignment of other partitions", vec![assigned("assigned", &[(1, &[1])])]),
        ("an assignment with a hole", vec![assigned("assigned", &[(0, &[1]), (2, &[1])])]),
        ("an assignment of one partition twice", vec![assigned("assigned", &[(0, &[1]), (0, &[1])])]),
        ("an assignment of a negative partition", vec![assigned("assigned", &[(-1, &[1])])]),
        ("an assignment to a negative broker", vec![assigned("assigned", &[(0, &[-1])])]),
        ("an assignment and a count", vec![CreatableTopic { num_partitions: 1, ..assigned("both", &[(0, &[1])]) }]),
        (
            "an assignment and a factor",
            vec![CreatableTopic { replication_factor: 1, ..assigned("both", &[(0, &[1])]) }],
        ),
        ("an unknown config", vec![configured("config", &[("no.such.config", Some("1"))])]),
        ("a config without a value", vec![configured("config", &[("retention.ms", None)])]),
        ("a config that is no number", vec![configured("config", &[("retention.ms", Some("soon"))])]),
        ("a config that is empty", vec![configured("config", &[("retention.ms", Some(""))])]),
        ("a config out of range", vec![configured("config", &[("retention.ms", Some("-2"))])]),
        ("a ratio out of range", vec![configured("config", &[("min.cleanable.dirty.ratio", Some("1.5"))])]),
        ("an unknown policy", vec![configured("config", &[("cleanup.policy", Some("burn"))])]),
        ("an unknown codec", vec![configured("config", &[("compression.type", Some("rar"))])]),
        ("a flag that is none", vec![configured("config", &[("unclean.leader.election.enable", Some("maybe"))])]),
        ("small segments", vec![configured("config", &[("segment.bytes", Some("13"))])]),
        ("no replicas in sync", vec![configured("config", &[("min.insync.replicas", Some("0"))])]),
        (
            "lags the wrong way around",
            vec![configured("config", &[("min.compaction.lag.ms", Some("9")), ("max.compaction.lag.ms", Some("5"))])],
        ),
        ("a good one and a bad one", vec![topic("here", 1, 1), topic("bad name", 1, 1)]),
    ];
    for (label, topics) in cases {
        for validate_only in [true, false] {
            // Versions before 1 cannot ask for validation, so every version is asked only where all are refused.
            if validate_only || label == "a name that exists but for its punctuation" {
                let build =
                    |_: &_| CreateTopicsRequest { topics: topics.clone(), timeout_ms: 5000, validate_only: true };
                pair.once(&format!("create, validation only: {label}"), build);
                continue;
            }
            pair.every_version(&format!("create: {label}"), |_| CreateTopicsRequest {
                topics: topics.clone(),
                timeout_ms: 5000,
                validate_only,
            });
        }
    }
    pair.every_version("create nothing", |_| CreateTopicsRequest::default());
}

fn accepted(pair: &mut Pair) {
    let shapes: Vec<(&str, CreatableTopic)> = vec![
        ("plain", topic("", 2, 1)),
        ("defaults", topic("", -1, -1)),
        ("assigned", assigned("", &[(0, &[1]), (1, &[1])])),
        (
            "configured",
            configured("", &[("cleanup.policy", Some("compact,delete")), ("retention.ms", Some("86400000"))]),
        ),
        ("configured with spaces", configured("", &[("cleanup.policy", Some("compact, delete"))])),
        ("configured with a number in spaces", configured("", &[("retention.ms", Some(" 5000 "))])),
        ("configured with capitals", configured("", &[("preallocate", Some("TRUE"))])),
        ("of a long name", topic(&"n".repeat(230), 1, 1)),
    ];
    for version in pair.versions::<CreateTopicsRequest>() {
        for (label, shape) in &shapes {
            if version < 4 && (*label == "defaults" || *label == "assigned") {
                continue;
            }
            let name = format!("{}.{}.{version}", shape.name, label.replace(' ', "-"));
            let created = CreatableTopic { name: name.clone(), ..shape.clone() };
            for validate_only in [true, false] {
                if validate_only && version == 0 {
                    continue;
                }
                pair.ask(&format!("create {label}, validation only {validate_only}"), version, |_| {
                    CreateTopicsRequest { topics: vec![created.clone()], timeout_ms: 5000, validate_only }
                });
            }
            let partitions = if *label == "plain" || *label == "assigned" { 2 } else { 1 };
            settle(pair, &name, partitions);
        }
    }
    pair.once("create several, one wrong", |_| CreateTopicsRequest {
        topics: vec![topic("several.1", 1, 1), topic("several.2", 0, 1), topic("several.3", 1, 1)],
        timeout_ms: 5000,
        validate_only: false,
    });
    settle(pair, "several.1", 1);
    settle(pair, "several.3", 1);
}

fn partitions(pair: &mut Pair) {
    let more = |name: &str, count: i32, assignments: Option<&[&[i32]]>| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: assignments
            .map(|all| all.iter().map(|brokers| CreatePartitionsAssignment { broker_ids: brokers.to_vec() }).collect()),
    };
    let cases: Vec<(&str, Vec<CreatePartitionsTopic>)> = vec![
        ("an unknown topic", vec![more("missing", 3, None)]),
        ("an invalid name", vec![more("a/b", 3, None)]),
        ("no name", vec![more("", 3, None)]),
        ("as many", vec![more("here", 2, None)]),
        ("fewer", vec![more("here", 1, None)]),
        ("none", vec![more("here", 0, None)]),
        ("less than none", vec![more("here", -1, None)]),
        ("too few assignments", vec![more("here", 4, Some(&[&[1]]))]),
        ("too many assignments", vec![more("here", 3, Some(&[&[1], &[1]]))]),
        ("no assignments", vec![more("here", 3, Some(&[]))]),
        ("an unknown broker", vec![more("here", 3, Some(&[&[9]]))]),
        ("one broker twice", vec![more("here", 3, Some(&[&[1, 1]]))]),
        ("nobody", vec![more("here", 3, Some(&[&[]]))]),
        ("one topic twice", vec![more("here", 3, None), more("here", 4, None)]),
    ];
    for (label, topics) in cases {
        for validate_only in [true, false] {
            let build = |_: &_| CreatePartitionsRequest { topics: topics.clone(), timeout_ms: 5000, validate_only };
            pair.every_version(&format!("partitions: {label}, validation only {validate_only}"), build);
        }
    }
    for version in pair.versions::<CreatePartitionsRequest>() {
        let name = format!("grows.{version}");
        create(pair, &name, 1, &[]);
        for (validate_only, count) in [(true, 3), (false, 3)] {
            let topic = more(&name, count, None);
            pair.ask(&format!("more partitions, validation only {validate_only}"), version, |_| {
                CreatePartitionsRequest { topics: vec![topic.clone()], timeout_ms: 5000, validate_only }
            });
        }
        settle(pair, &name, 3);
        let topic = more(&name, 4, Some(&[&[1]]));
        pair.ask("more partitions where they are put", version, |_| CreatePartitionsRequest {
            topics: vec![topic.clone()],
            timeout_ms: 5000,
            validate_only: false,
        });
        settle(pair, &name, 4);
    }
}

fn delete(pair: &mut Pair) {
    let by_name = |name: &str| DeleteTopicState { name: Some(name.into()), topic_id: Uuid::ZERO };
    for names in [vec!["missing"], vec![""], vec!["a/b"], vec!["missing", "missing"], vec![]] {
        pair.every_version(&format!("delete {names:?}"), |_| DeleteTopicsRequest {
            topics: names.iter().map(|name| by_name(name)).collect(),
            topic_names: names.iter().map(ToString::to_string).collect(),
            timeout_ms: 5000,
        });
    }
    for version in pair.versions::<DeleteTopicsRequest>() {
        let name = format!("goes.{version}");
        create(pair, &name, 1, &[]);
        pair.ask("delete one, and one that is not there", version, |_| DeleteTopicsRequest {
            topics: vec![by_name(&name), by_name("missing")],
            topic_names: vec![name.clone(), "missing".into()],
            timeout_ms: 5000,
        });
        settle_gone(pair, &name);
        pair.ask("delete it again", version, |_| DeleteTopicsRequest {
            topics: vec![by_name(&name)],
            topic_names: vec![name.clone()],
            timeout_ms: 5000,
        });
    }
    delete_by_id(pair);
}

fn delete_by_id(pair: &mut Pair) {
    create(pair, "goes.by.id", 1, &[]);
    let state = |name: Option<&str>, topic_id: Uuid| DeleteTopicState { name: name.map(Into::into), topic_id };
    pair.once("delete an unknown id", |side| DeleteTopicsRequest {
        topics: vec![state(None, side.topic_id("missing"))],
        timeout_ms: 5000,
        ..Default::default()
    });
    pair.once("delete neither name nor id", |_| DeleteTopicsRequest {
        topics: vec![state(None, Uuid::ZERO)],
        timeout_ms: 5000,
        ..Default::default()
    });
    pair.once("delete by name and id", |side| DeleteTopicsRequest {
        topics: vec![state(Some("goes.by.id"), side.topic_id("goes.by.id"))],
        timeout_ms: 5000,
        ..Default::default()
    });
    pair.once("delete one topic by its name and by its id", |side| DeleteTopicsRequest {
        topics: vec![state(Some("goes.by.id"), Uuid::ZERO), state(None, side.topic_id("goes.by.id"))],
        timeout_ms: 5000,
        ..Default::default()
    });
    create_again(pair);
    pair.once("delete by id", |side| DeleteTopicsRequest {
        topics: vec![state(None, side.topic_id("goes.by.id"))],
        timeout_ms: 5000,
        ..Default::default()
    });
    settle_gone(pair, "goes.by.id");
}

/// Whatever the request before made of it, the topic is there afterwards.
fn create_again(pair: &mut Pair) {
    let request = CreateTopicsRequest { topics: vec![topic("goes.by.id", 1, 1)], ..Default::default() };
    for side in [&mut pair.kafka, &mut pair.ottla] {
        side.send(0, 7, &request);
        let _ = side.receive::<CreateTopicsRequest>(0, 7);
    }
    settle(pair, "goes.by.id", 1);
}
