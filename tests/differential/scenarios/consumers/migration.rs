//! Groups that go from the classic protocol to this one and back.

use bytes::Bytes;
use protocol::messages::join_group::JoinGroupRequestProtocol;
use protocol::messages::sync_group::SyncGroupRequestAssignment;
use protocol::messages::*;

use super::{alive, describe, joining, list};
use crate::pair::Pair;
use crate::scenarios::groups;
use crate::side::Side;

/// A subscription to the topic, version 1, owning nothing.
pub(super) const SUBSCRIPTION: &[u8] = b"\0\x01\0\0\0\x01\0\x08consumed\xff\xff\xff\xff\0\0\0\0";
/// Both partitions of the topic, version 1.
const ASSIGNMENT: &[u8] = b"\0\x01\0\0\0\x01\0\x08consumed\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff";

/// Classic, then with a member of the consumer protocol, then classic again.
pub(super) fn migration(pair: &mut Pair) {
    const GROUP: &str = "consumer.moves";
    const OLD: &str = "consumer.moves.old";
    let join = |side: &Side, member: &str| JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(SUBSCRIPTION) }],
        ..groups::join(side, GROUP, member)
    };
    let sync = |side: &Side, generation_id: i32, leads: bool| {
        let assignment =
            SyncGroupRequestAssignment { member_id: side.name(OLD), assignment: Bytes::from_static(ASSIGNMENT) };
        SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: side.name(OLD),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: leads.then_some(assignment).into_iter().collect(),
            ..Default::default()
        }
    };
    let beat = |side: &Side, generation_id: i32| HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: side.name(OLD),
        group_instance_id: None,
    };
    let both = pair.once("moves: join", |side| join(side, ""));
    groups::name_member(pair, OLD, &both);
    pair.once("moves: join with the id", |side| join(side, OLD));
    pair.once("moves: sync", |side| sync(side, 1, true));
    pair.once("moves: a member of the consumer protocol joins", |_| joining(GROUP, "new"));
    describe(pair, "moves: upgraded", GROUP);
    list(pair, "moves: listed when upgraded");
    pair.once("moves: classic heartbeat", |side| beat(side, 1));
    pair.once("moves: classic heartbeat of another generation", |side| beat(side, 7));
    pair.once("moves: classic heartbeat for the other", |_| HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: 2,
        member_id: "new".into(),
        group_instance_id: None,
    });
    pair.once("moves: classic sync too early", |side| sync(side, 1, false));
    pair.once("moves: classic join again", |side| join(side, OLD));
    pair.once("moves: classic sync of another protocol", |side| SyncGroupRequest {
        protocol_name: Some("sticky".into()),
        ..sync(side, 2, false)
    });
    pair.once("moves: classic sync again", |side| sync(side, 2, false));
    pair.once("moves: classic heartbeat again", |side| beat(side, 2));
    pair.once("moves: the other gets the rest", |_| alive(GROUP, "new", 2));
    describe(pair, "moves: settled", GROUP);
    pair.once("moves: classic join of another type", |side| JoinGroupRequest {
        protocol_type: "connect".into(),
        ..join(side, OLD)
    });
    pair.once("moves: classic join with another strategy", |side| JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol { name: "own".into(), metadata: Bytes::from_static(SUBSCRIPTION) }],
        ..join(side, OLD)
    });
    pair.once("moves: the other leaves", |_| alive(GROUP, "new", -1));
    describe(pair, "moves: downgraded", GROUP);
    list(pair, "moves: listed when downgraded");
    pair.once("moves: heartbeat after it", |side| beat(side, 2));
    pair.once("moves: join after it", |side| join(side, OLD));
    pair.once("moves: sync after it", |side| sync(side, 3, true));
    pair.once("moves: described after it", |_| DescribeGroupsRequest {
        groups: vec![GROUP.into()],
        ..Default::default()
    });
}
