//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: what a group of the consumer protocol (KIP-848) goes through, from
//! its first member to its last.

mod doors;
mod errors;
mod life;
mod migration;
mod offsets;
mod seat;
mod statics;
mod topics;

use protocol::messages::*;

use super::create;
use crate::pair::Pair;
pub(crate) use offsets::in_transactions;
pub(crate) use seat::Seat;

/// A topic of two partitions.
const TOPIC: &str = "consumed";

pub(crate) fn run(pair: &mut Pair) {
    super::wait_for_coordinator(pair);
    create(pair, TOPIC, 2, &[]);
    errors::errors(pair);
    life::run(pair);
    statics::run(pair);
    topics::run(pair);
    offsets::run(pair);
    doors::run(pair);
    migration::migration(pair);
}

fn joining(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![TOPIC.into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

fn alive(group: &str, member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch,
        ..Default::default()
    }
}

fn describe(pair: &mut Pair, label: &str, group: &str) {
    pair.every_version(&format!("{label}: described"), |_| ConsumerGroupDescribeRequest {
        group_ids: vec![group.into()],
        include_authorized_operations: true,
    });
}

fn list(pair: &mut Pair, label: &str) {
    pair.once(label, |_| ListGroupsRequest { types_filter: vec!["consumer".into()], ..Default::default() });
}

/// Lists the groups of the consumer protocol that are in a state.
fn list_in(pair: &mut Pair, label: &str, state: &str) {
    pair.once(&format!("{label}: listed as {state}"), |_| ListGroupsRequest {
        states_filter: vec![state.into()],
        types_filter: vec!["Consumer".into()],
    });
}

fn delete(pair: &mut Pair, label: &str, group: &str) {
    pair.once(label, |_| DeleteGroupsRequest { groups_names: vec![group.into()] });
}
