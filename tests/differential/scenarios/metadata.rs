//! Metadata and DescribeTopicPartitions.

use protocol::Uuid;
use protocol::messages::describe_topic_partitions::{RequestedCursor, TopicRequest};
use protocol::messages::metadata::MetadataRequestTopic;
use protocol::messages::*;

use super::create;
use crate::pair::Pair;

/// What to call it, the topics, the most partitions, and where to begin.
type Page<'a> = (&'a str, &'a [&'a str], i32, Option<(&'a str, i32)>);

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "meta.one", 1, &[]);
    create(pair, "meta.three", 3, &[]);
    names(pair);
    ids(pair);
    described(pair);
}

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.into()), ..Default::default() }
}

fn names(pair: &mut Pair) {
    let long = "n".repeat(250);
    let cases: Vec<(&str, Option<Vec<MetadataRequestTopic>>)> = vec![
        ("everything", None),
        ("nothing", Some(Vec::new())),
        ("topics that exist", Some(vec![named("meta.three"), named("meta.one")])),
        ("a topic twice", Some(vec![named("meta.one"), named("meta.one")])),
        ("an unknown topic", Some(vec![named("missing"), named("meta.one")])),
        ("an empty name", Some(vec![named("")])),
        ("an invalid name", Some(vec![named("a/b"), named("..")])),
        ("a name too long", Some(vec![named(&long)])),
        ("the topic of the offsets", Some(vec![named("__consumer_offsets_")])),
    ];
    for (label, topics) in cases {
        for asked in [false, true] {
            pair.every_version(&format!("{label}, creating and operations {asked}"), |_| MetadataRequest {
                topics: topics.clone(),
                allow_auto_topic_creation: asked,
                include_cluster_authorized_operations: asked,
                include_topic_authorized_operations: asked,
            });
        }
    }
}

fn ids(pair: &mut Pair) {
    let cases: &[(&str, Option<&str>, &str)] = &[
        ("a known id", None, "meta.one"),
        ("an unknown id", None, "missing"),
        ("a known id and its name", Some("meta.one"), "meta.one"),
        ("a known id and another name", Some("meta.three"), "meta.one"),
    ];
    for (label, name, id_of) in cases {
        for version in 10..=pair.latest::<MetadataRequest>() {
            // No version below 12 lets a name be null.
            let name = if version < 12 { Some(name.unwrap_or("")) } else { *name };
            pair.ask(label, version, |side| MetadataRequest {
                topics: Some(vec![MetadataRequestTopic { topic_id: side.topic_id(id_of), name: name.map(Into::into) }]),
                ..Default::default()
            });
        }
    }
    for version in 10..=pair.latest::<MetadataRequest>() {
        pair.ask("neither id nor name", version, |_| MetadataRequest {
            topics: Some(vec![MetadataRequestTopic { topic_id: Uuid::ZERO, name: None }]),
            ..Default::default()
        });
        pair.ask("by name and by id at once", version, |side| MetadataRequest {
            topics: Some(vec![
                named("meta.one"),
                MetadataRequestTopic { topic_id: side.topic_id("meta.three"), name: None },
            ]),
            ..Default::default()
        });
    }
}

fn described(pair: &mut Pair) {
    let topics = |names: &[&str]| names.iter().map(|name| TopicRequest { name: name.to_string() }).collect::<Vec<_>>();
    let cases: &[Page<'_>] = &[
        ("two topics", &["meta.three", "meta.one"], 2000, None),
        ("an unknown topic", &["missing", "meta.one"], 2000, None),
        ("invalid names", &["a/b", ""], 2000, None),
        ("a topic twice", &["meta.one", "meta.one"], 2000, None),
        ("a page of one", &["meta.one", "meta.three"], 1, None),
        ("a page of two", &["meta.one", "meta.three"], 2, None),
        ("a page of four", &["meta.one", "meta.three"], 4, None),
        ("a page of nothing", &["meta.one"], 0, None),
        ("a page of less", &["meta.one"], -1, None),
        ("from a cursor", &["meta.one", "meta.three"], 2000, Some(("meta.three", 1))),
        ("from a cursor, a page of one", &["meta.one", "meta.three"], 1, Some(("meta.three", 1))),
        ("from a cursor at a partition that is not there", &["meta.three"], 10, Some(("meta.three", 9))),
        ("from a cursor below zero", &["meta.three"], 10, Some(("meta.three", -1))),
        ("from a cursor at an unknown topic", &["meta.one", "meta.three"], 10, Some(("meta.p", 0))),
        ("from a cursor behind them", &["meta.one"], 10, Some(("z", 0))),
    ];
    for (label, names, limit, cursor) in cases {
        pair.every_version(&format!("describe {label}"), |_| DescribeTopicPartitionsRequest {
            topics: topics(names),
            response_partition_limit: *limit,
            cursor: cursor
                .map(|(topic, partition_index)| RequestedCursor { topic_name: topic.into(), partition_index }),
        });
    }
}
