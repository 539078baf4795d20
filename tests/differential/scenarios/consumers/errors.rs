//! Heartbeats that no group takes.

use protocol::messages::consumer_group_heartbeat::RequestedTopicPartitions;
use protocol::messages::*;

use super::{describe, joining};
use crate::pair::Pair;

pub(super) fn errors(pair: &mut Pair) {
    type Change = fn(&mut ConsumerGroupHeartbeatRequest);
    let cases: &[(&str, Change)] = &[
        ("an empty group id", |join| join.group_id.clear()),
        ("an empty member id of one that is in", |join| {
            join.member_id.clear();
            join.member_epoch = 1;
        }),
        ("no rebalance time-out", |join| join.rebalance_timeout_ms = -1),
        ("no topics", |join| join.subscribed_topic_names = None),
        ("partitions when joining", |join| {
            join.topic_partitions = Some(vec![RequestedTopicPartitions { partitions: vec![0], ..Default::default() }]);
        }),
        ("not saying what it owns", |join| join.topic_partitions = None),
        ("an empty instance id", |join| join.instance_id = Some(String::new())),
        ("an empty rack", |join| join.rack_id = Some(String::new())),
        ("an unknown assignor", |join| join.server_assignor = Some("mine".into())),
        ("an impossible epoch", |join| join.member_epoch = -3),
        ("leaving for now without an instance", |join| join.member_epoch = -2),
        ("leaving a group that is not there", |join| join.member_epoch = -1),
        ("a member of a group that is not there", |join| join.member_epoch = 1),
    ];
    for (label, change) in cases {
        pair.every_version(&format!("errors: {label}"), |_| {
            let mut request = joining("consumer.errors", "stranger");
            change(&mut request);
            request
        });
    }
    pair.once("errors: a pattern that is none", |_| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("(".into()),
        ..joining("consumer.errors", "stranger")
    });
    describe(pair, "errors: a group that is not there", "consumer.errors");
    describe(pair, "errors: no group", "");
}
