//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups, DeleteGroups.

use bytes::Bytes;
use protocol::messages::join_group::JoinGroupRequestProtocol;
use protocol::messages::leave_group::MemberIdentity;
use protocol::messages::sync_group::SyncGroupRequestAssignment;
use protocol::messages::*;

use crate::pair::{Both, Pair};
use crate::side::Side;

pub(crate) fn run(pair: &mut Pair) {
    // The first request to a coordinator makes Apache Kafka create and load the topic of the offsets.
    super::commits::wait_for_coordinator(pair);
    join_errors(pair);
    for version in pair.versions::<JoinGroupRequest>() {
        life_of_one(pair, version);
    }
    static_member(pair);
    two_members(pair);
    member_errors(pair);
    admin(pair);
}

pub(crate) fn join(side: &Side, group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: side.name(member),
        group_instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range"), protocol("roundrobin")],
        reason: None,
    }
}

/// A subscription to the topic "read", version 0. Apache Kafka never answers a join whose subscription it cannot read.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x04read\xff\xff\xff\xff";

fn protocol(name: &str) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata: Bytes::from_static(SUBSCRIPTION) }
}

/// Takes down the member ids that were given out.
pub(crate) fn name_member(pair: &mut Pair, alias: &str, both: &Both<JoinGroupResponse>) {
    for (side, answer) in [(&mut pair.kafka, &both.kafka), (&mut pair.ottla, &both.ottla)] {
        if let Some(answer) = answer {
            side.set_name(alias, &answer.member_id);
        }
    }
}

fn join_errors(pair: &mut Pair) {
    type Change = fn(&mut JoinGroupRequest);
    let cases: &[(&str, Change)] = &[
        ("an empty group id", |join| join.group_id.clear()),
        ("a session too short", |join| join.session_timeout_ms = 5999),
        ("a session too long", |join| join.session_timeout_ms = 1_800_001),
        ("a negative session", |join| join.session_timeout_ms = -1),
        ("no protocols", |join| join.protocols.clear()),
        ("no protocol type", |join| join.protocol_type.clear()),
        ("no protocols and no type", |join| {
            join.protocols.clear();
            join.protocol_type.clear();
        }),
        ("an unknown member of an unknown group", |join| join.member_id = "stranger".into()),
        ("an unknown static member", |join| {
            join.member_id = "stranger".into();
            join.group_instance_id = Some("instance".into());
        }),
    ];
    for (label, change) in cases {
        pair.every_version(&format!("join: {label}"), |side| {
            let mut request = join(side, "join.errors", "");
            change(&mut request);
            request
        });
    }
}

fn sync(side: &Side, group: &str, generation_id: i32, member: &str, assigned: &[&str]) -> SyncGroupRequest {
    let assignment = |member: &&str| SyncGroupRequestAssignment {
        member_id: side.name(member),
        assignment: Bytes::copy_from_slice(format!("for {member}").as_bytes()),
    };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: side.name(member),
        group_instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: assigned.iter().map(assignment).collect(),
    }
}

fn beat(side: &Side, group: &str, generation_id: i32, member: &str) -> HeartbeatRequest {
    HeartbeatRequest { group_id: group.into(), generation_id, member_id: side.name(member), group_instance_id: None }
}

fn leave(side: &Side, group: &str, member: &str) -> LeaveGroupRequest {
    let identity = MemberIdentity { member_id: side.name(member), ..Default::default() };
    LeaveGroupRequest { group_id: group.into(), member_id: side.name(member), members: vec![identity] }
}

/// A member that is alone from its first request to its last.
fn life_of_one(pair: &mut Pair, version: i16) {
    let (group, me) = (format!("one.{version}"), format!("one.{version}.member"));
    let both = pair.ask("alone: join", version, |side| join(side, &group, ""));
    name_member(pair, &me, &both);
    if version >= 4 {
        pair.ask("alone: describe while joining", version.min(6), |_| DescribeGroupsRequest {
            groups: vec![group.clone()],
            include_authorized_operations: true,
        });
        pair.ask("alone: join with the id", version, |side| join(side, &group, &me));
    }
    let describe = |pair: &mut Pair, state: &str| {
        let label = format!("alone: described when {state}");
        let version = version.min(pair.latest::<DescribeGroupsRequest>());
        pair.ask(&label, version, |_| DescribeGroupsRequest {
            groups: vec![group.clone()],
            include_authorized_operations: version % 2 == 1,
        });
    };
    let clamp = |pair: &Pair, latest: i16| version.min(latest).min(pair.latest::<SyncGroupRequest>().max(latest));
    let (sync_version, beat_version, leave_version) = (clamp(pair, 5), clamp(pair, 4), clamp(pair, 5));
    describe(pair, "it waits for a sync");
    pair.ask("alone: heartbeat before the sync", beat_version, |side| beat(side, &group, 1, &me));
    pair.ask("alone: sync of another generation", sync_version, |side| sync(side, &group, 2, &me, &[&me]));
    pair.ask("alone: sync of a stranger", sync_version, |side| sync(side, &group, 1, "stranger", &[]));
    for (label, kind, name) in [("type", "connect", "range"), ("name", "consumer", "sticky")] {
        pair.ask(&format!("alone: sync of another protocol {label}"), sync_version, |side| SyncGroupRequest {
            protocol_type: Some(kind.into()),
            protocol_name: Some(name.into()),
            ..sync(side, &group, 1, &me, &[&me])
        });
    }
    pair.ask("alone: sync", sync_version, |side| sync(side, &group, 1, &me, &[&me]));
    describe(pair, "stable");
    pair.ask("alone: sync again", sync_version, |side| sync(side, &group, 1, &me, &[]));
    for generation in [1, 2, 0, -1] {
        pair.ask(&format!("alone: heartbeat of generation {generation}"), beat_version, |side| {
            beat(side, &group, generation, &me)
        });
    }
    pair.ask("alone: heartbeat of a stranger", beat_version, |side| beat(side, &group, 1, "stranger"));
    pair.ask("alone: join of another type", version, |side| JoinGroupRequest {
        protocol_type: "connect".into(),
        ..join(side, &group, "")
    });
    pair.ask("alone: join with another protocol", version, |side| JoinGroupRequest {
        protocols: vec![protocol("sticky")],
        ..join(side, &group, "")
    });
    pair.ask("alone: join of a stranger", version, |side| join(side, &group, "stranger"));
    pair.ask("alone: the leader joins again", version, |side| join(side, &group, &me));
    pair.ask("alone: heartbeat of the generation before", beat_version, |side| beat(side, &group, 1, &me));
    pair.ask("alone: sync of the new generation", sync_version, |side| sync(side, &group, 2, &me, &[&me]));
    pair.ask("alone: delete while in use", version.min(2), |_| DeleteGroupsRequest {
        groups_names: vec![group.clone()],
    });
    pair.ask("alone: a stranger leaves", leave_version, |side| leave(side, &group, "stranger"));
    pair.ask("alone: leave", leave_version, |side| leave(side, &group, &me));
    describe(pair, "empty");
    pair.ask("alone: leave again", leave_version, |side| leave(side, &group, &me));
    pair.ask("alone: heartbeat after leaving", beat_version, |side| beat(side, &group, 2, &me));
    pair.ask("alone: sync after leaving", sync_version, |side| sync(side, &group, 2, &me, &[]));
    pair.ask("alone: join after leaving", version, |side| join(side, &group, &me));
}

fn static_member(pair: &mut Pair) {
    let group = "static";
    let instance = Some("instance".to_string());
    let static_join = |side: &Side, member: &str| JoinGroupRequest {
        group_instance_id: Some("instance".into()),
        ..join(side, group, member)
    };
    let latest = pair.latest::<JoinGroupRequest>();
    let both = pair.ask("static: join", latest, |side| static_join(side, ""));
    name_member(pair, "static.1", &both);
    pair.once("static: sync", |side| SyncGroupRequest {
        group_instance_id: instance.clone(),
        ..sync(side, group, 1, "static.1", &["static.1"])
    });
    let both = pair.ask("static: the instance comes back", latest, |side| static_join(side, ""));
    name_member(pair, "static.2", &both);
    pair.once("static: heartbeat of the one before", |side| HeartbeatRequest {
        group_instance_id: instance.clone(),
        ..beat(side, group, 1, "static.1")
    });
    pair.once("static: join of the one before", |side| static_join(side, "static.1"));
    pair.once("static: sync of the one before", |side| SyncGroupRequest {
        group_instance_id: instance.clone(),
        ..sync(side, group, 1, "static.1", &[])
    });
    pair.once("static: heartbeat", |side| HeartbeatRequest {
        group_instance_id: instance.clone(),
        ..beat(side, group, 1, "static.2")
    });
    pair.once("static: heartbeat of another instance", |side| HeartbeatRequest {
        group_instance_id: Some("another".into()),
        ..beat(side, group, 1, "static.2")
    });
    pair.once("static: sync once more", |side| SyncGroupRequest {
        group_instance_id: instance.clone(),
        ..sync(side, group, 1, "static.2", &[])
    });
    pair.every_version("static: described", |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    });
    let identities: &[(&str, &str, Option<&str>)] = &[
        ("an unknown instance", "", Some("another")),
        ("an instance with another's id", "static.1", Some("instance")),
        ("neither", "", None),
        ("the instance", "", Some("instance")),
        ("the instance again", "", Some("instance")),
    ];
    for (label, member, group_instance_id) in identities {
        pair.once(&format!("static: leave, {label}"), |side| LeaveGroupRequest {
            group_id: group.into(),
            member_id: String::new(),
            members: vec![MemberIdentity {
                member_id: side.name(member),
                group_instance_id: group_instance_id.map(Into::into),
                reason: None,
            }],
        });
    }
}

/// A second member makes the first join again.
fn two_members(pair: &mut Pair) {
    let group = "two";
    let version = 3;
    let both = pair.ask("two: the first joins", version, |side| join(side, group, ""));
    name_member(pair, "two.a", &both);
    pair.once("two: the first syncs", |side| sync(side, group, 1, "two.a", &["two.a"]));
    pair.send(1, version, |side| join(side, group, ""));
    let mut beaten = 0;
    // The join travels on another connection: wait until both have seen it.
    while beaten < 200 && !rebalances(pair, group) {
        beaten += 1;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    pair.once("two: heartbeat in a rebalance", |side| beat(side, group, 1, "two.a"));
    pair.once("two: sync in a rebalance", |side| sync(side, group, 1, "two.a", &[]));
    pair.once("two: described in a rebalance", |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    });
    pair.send(2, version, |side| join(side, group, "two.a"));
    let second = pair.receive::<JoinGroupRequest>("two: the second has joined", 1, version);
    name_member(pair, "two.b", &second);
    pair.receive::<JoinGroupRequest>("two: the first has joined again", 2, version);
    pair.send(1, 3, |side| sync(side, group, 2, "two.b", &[]));
    pair.send(2, 3, |side| sync(side, group, 2, "two.a", &["two.a", "two.b"]));
    pair.receive::<SyncGroupRequest>("two: the second is given its part", 1, 3);
    pair.receive::<SyncGroupRequest>("two: the first is given its part", 2, 3);
    pair.once("two: described when stable", |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    });
    pair.once("two: both leave at once", |side| LeaveGroupRequest {
        group_id: group.into(),
        member_id: String::new(),
        members: ["two.a", "stranger", "two.b"]
            .iter()
            .map(|member| MemberIdentity { member_id: side.name(member), ..Default::default() })
            .collect(),
    });
    pair.once("two: described when empty", |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    });
}

fn rebalances(pair: &mut Pair, group: &str) -> bool {
    let both = [&mut pair.kafka, &mut pair.ottla].map(|side| {
        let request = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
        side.send(0, 5, &request);
        match side.receive::<DescribeGroupsRequest>(0, 5) {
            crate::side::Answer::Response(answer) => answer.groups[0].group_state == "PreparingRebalance",
            other => panic!("{other:?}"),
        }
    });
    both == [true, true]
}

fn member_errors(pair: &mut Pair) {
    for group in ["nobody.is.there", ""] {
        pair.every_version(&format!("sync in {group:?}"), |side| sync(side, group, 1, "stranger", &[]));
        pair.every_version(&format!("sync in {group:?} without a member"), |side| sync(side, group, -1, "", &[]));
        pair.every_version(&format!("sync in {group:?} without protocols"), |side| SyncGroupRequest {
            protocol_type: None,
            protocol_name: None,
            ..sync(side, group, 1, "stranger", &[])
        });
        pair.every_version(&format!("heartbeat in {group:?}"), |side| beat(side, group, 1, "stranger"));
        pair.every_version(&format!("heartbeat in {group:?} without a member"), |side| beat(side, group, -1, ""));
        pair.every_version(&format!("leave {group:?}"), |side| leave(side, group, "stranger"));
        pair.every_version(&format!("leave {group:?} without a member"), |side| leave(side, group, ""));
        pair.every_version(&format!("nobody leaves {group:?}"), |side| LeaveGroupRequest {
            members: Vec::new(),
            ..leave(side, group, "")
        });
    }
}

fn admin(pair: &mut Pair) {
    for groups in [vec!["nobody.is.there"], vec![""], vec!["one.9", "nobody.is.there", "one.9"], vec![]] {
        for asked in [false, true] {
            pair.every_version(&format!("describe {groups:?}, operations {asked}"), |_| DescribeGroupsRequest {
                groups: groups.iter().map(ToString::to_string).collect(),
                include_authorized_operations: asked,
            });
        }
    }
    let filters: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&["Empty"], &[]),
        (&["empty"], &[]),
        (&["Stable", "Empty"], &[]),
        (&["Dead"], &[]),
        (&["NoSuchState"], &[]),
        (&[""], &[]),
        (&[], &["classic"]),
        (&[], &["Classic"]),
        (&[], &["consumer"]),
        (&[], &["share"]),
        (&[], &["streams"]),
        (&[], &["nosuchtype"]),
        (&["Empty"], &["classic", "consumer"]),
    ];
    for (states, types) in filters {
        pair.every_version(&format!("list {states:?} {types:?}"), |_| ListGroupsRequest {
            states_filter: states.iter().map(ToString::to_string).collect(),
            types_filter: types.iter().map(ToString::to_string).collect(),
        });
    }
    for version in pair.versions::<DeleteGroupsRequest>() {
        let cases = [vec![""], vec!["nobody.is.there"], vec![], vec!["nobody.is.there", "nobody.is.there"]];
        for groups in cases {
            pair.ask(&format!("delete {groups:?}"), version, |_| DeleteGroupsRequest {
                groups_names: groups.iter().map(ToString::to_string).collect(),
            });
        }
        let empty = format!("one.{version}");
        pair.ask("delete an empty group, and one that is not there", version, |_| DeleteGroupsRequest {
            groups_names: vec![empty.clone(), "nobody.is.there".into()],
        });
        pair.ask("delete it again", version, |_| DeleteGroupsRequest { groups_names: vec![empty.clone()] });
    }
}
