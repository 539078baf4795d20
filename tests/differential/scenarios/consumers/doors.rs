//! Requests of the classic protocol to a group of the consumer protocol, and the other way round.

use bytes::Bytes;
use protocol::messages::join_group::JoinGroupRequestProtocol;
use protocol::messages::leave_group::MemberIdentity;
use protocol::messages::*;

use super::migration::SUBSCRIPTION;
use super::{Seat, TOPIC, delete, describe};
use crate::pair::Pair;
use crate::scenarios::groups;
use crate::side::Side;

const GROUP: &str = "consumer.doors";

pub(super) fn run(pair: &mut Pair) {
    classic_requests(pair);
    emptied_by_consumers(pair);
    emptied_by_classic_members(pair);
}

fn one(group: &str) -> Seat<'_> {
    Seat { group, member: "one", topics: &[TOPIC] }
}

fn join(side: &Side, group: &str, member: &str, strategies: &[&str]) -> JoinGroupRequest {
    let protocol =
        |name: &&str| JoinGroupRequestProtocol { name: name.to_string(), metadata: Bytes::from_static(SUBSCRIPTION) };
    JoinGroupRequest { protocols: strategies.iter().map(protocol).collect(), ..groups::join(side, group, member) }
}

fn described(pair: &mut Pair, label: &str, group: &str) {
    describe(pair, label, group);
    pair.every_version(&format!("{label}: described as a classic group"), |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        include_authorized_operations: true,
    });
}

/// A classic client knocks at a group of the consumer protocol.
fn classic_requests(pair: &mut Pair) {
    let one = one(GROUP);
    one.join(pair, "doors: join");
    described(pair, "doors", GROUP);
    for (label, generation_id, member) in [("the member", 1, "one"), ("a stranger", 1, "stranger"), ("nobody", -1, "")]
    {
        pair.every_version(&format!("doors: classic heartbeat of {label}"), |_| HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member.into(),
            group_instance_id: None,
        });
        pair.every_version(&format!("doors: sync of {label}"), |_| SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            ..Default::default()
        });
    }
    removed(pair, &one);
    type Change = fn(&mut JoinGroupRequest);
    let cases: &[(&str, Change)] = &[
        ("another type", |join| join.protocol_type = "connect".into()),
        ("no type", |join| join.protocol_type.clear()),
        ("no strategies", |join| join.protocols.clear()),
        ("under the member's id with another type", |join| {
            join.member_id = "one".into();
            join.protocol_type = "connect".into();
        }),
        ("an unknown instance with an id", |join| {
            join.member_id = "stranger".into();
            join.group_instance_id = Some("instance".into());
        }),
        ("a session too short", |join| join.session_timeout_ms = 1),
    ];
    for (label, change) in cases {
        pair.every_version(&format!("doors: classic join: {label}"), |side| {
            let mut request = join(side, GROUP, "", &["range"]);
            change(&mut request);
            request
        });
    }
    classic_member(pair, &one);
    one.leave(pair, "doors: leave", -1);
    described(pair, "doors: left", GROUP);
}

/// An administrator removes members by LeaveGroup.
fn removed(pair: &mut Pair, one: &Seat<'_>) {
    let identity = |member: &str, instance: Option<&str>| MemberIdentity {
        member_id: member.into(),
        group_instance_id: instance.map(Into::into),
        reason: None,
    };
    let leave = |members: Vec<MemberIdentity>| LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: members[0].member_id.clone(),
        members,
    };
    for version in pair.versions::<LeaveGroupRequest>() {
        for member in ["stranger", "", "one", "one"] {
            pair.ask(&format!("doors: leave of {member:?}"), version, |_| leave(vec![identity(member, None)]));
        }
        one.join(pair, "doors: joins after it was removed");
    }
    one.say(pair, "doors: has a name", |side| ConsumerGroupHeartbeatRequest {
        instance_id: Some("instance".into()),
        ..one.beating(side)
    });
    for (label, members) in [
        ("another name", vec![identity("", Some("another"))]),
        ("another's name", vec![identity("stranger", Some("instance"))]),
        (
            "its name and some twice",
            vec![
                identity("", Some("instance")),
                identity("one", None),
                identity("one", None),
                identity("stranger", None),
            ],
        ),
    ] {
        pair.once(&format!("doors: leave of {label}"), |_| leave(members.clone()));
    }
    describe(pair, "doors: removed", GROUP);
    one.join(pair, "doors: joins at last");
}

/// A classic member joins, and shares with the one of the consumer protocol.
fn classic_member(pair: &mut Pair, one: &Seat<'_>) {
    const OLD: &str = "doors.old";
    let both = pair.once("doors: a classic member asks for an id", |side| join(side, GROUP, "", &["range"]));
    groups::name_member(pair, OLD, &both);
    pair.once("doors: a classic member joins", |side| join(side, GROUP, OLD, &["range", "roundrobin"]));
    described(pair, "doors: mixed", GROUP);
    let sync = |side: &Side, generation_id: i32| SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: side.name(OLD),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    };
    let beat = |side: &Side, generation_id: i32| HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: side.name(OLD),
        group_instance_id: None,
    };
    pair.once("doors: the classic member syncs", |side| sync(side, one.epoch(side) + 1));
    pair.once("doors: the classic member beats", |side| beat(side, one.epoch(side) + 1));
    one.beat(pair, "doors: the other is told");
    one.confirm(pair, "doors: the other has given back");
    pair.once("doors: the classic member is to join", |side| beat(side, one.epoch(side)));
    pair.once("doors: the classic member joins again", |side| join(side, GROUP, OLD, &["range"]));
    pair.once("doors: the classic member syncs again", |side| sync(side, one.epoch(side)));
    pair.once("doors: the classic member beats again", |side| beat(side, one.epoch(side)));
    described(pair, "doors: mixed and settled", GROUP);
    pair.once("doors: no strategy in common", |side| join(side, GROUP, "", &["sticky"]));
    pair.once("doors: the classic member leaves", |side| LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: side.name(OLD),
        members: vec![MemberIdentity { member_id: side.name(OLD), ..Default::default() }],
    });
    one.beat(pair, "doors: the other inherits");
    described(pair, "doors: the other is alone", GROUP);
}

/// Its last consumer has left: a classic client may have it.
fn emptied_by_consumers(pair: &mut Pair) {
    const GROUP: &str = "consumer.doors.emptied";
    const OLD: &str = "doors.emptied.old";
    let one = one(GROUP);
    one.join(pair, "emptied: join");
    one.leave(pair, "emptied: leave", -1);
    described(pair, "emptied", GROUP);
    let both = pair.ask("emptied: a classic member joins", 3, |side| join(side, GROUP, "", &["range"]));
    groups::name_member(pair, OLD, &both);
    described(pair, "emptied: classic", GROUP);
    pair.once("emptied: a heartbeat of the consumer protocol", |side| one.beating(side));
    pair.once("emptied: leaves once more", |_| super::alive(GROUP, "one", -1));
    pair.once("emptied: classic leave", |side| LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: side.name(OLD),
        members: vec![MemberIdentity { member_id: side.name(OLD), ..Default::default() }],
    });
    described(pair, "emptied: empty and classic", GROUP);
    one.join(pair, "emptied: a consumer joins again");
    described(pair, "emptied: consumers again", GROUP);
    one.leave(pair, "emptied: leaves at last", -1);
    delete(pair, "emptied: deleted", GROUP);
    described(pair, "emptied: deleted", GROUP);
}

/// A group that has nothing but offsets, or classic members that are not consumers.
fn emptied_by_classic_members(pair: &mut Pair) {
    const SIMPLE: &str = "consumer.doors.simple";
    const CONNECT: &str = "consumer.doors.connect";
    pair.once("simple: commit", |side| crate::scenarios::commits::commit(side, SIMPLE, TOPIC, 0, 3));
    described(pair, "simple", SIMPLE);
    let simple = one(SIMPLE);
    simple.join(pair, "simple: a consumer joins");
    described(pair, "simple: consumers", SIMPLE);
    pair.once("simple: offsets stay", |side| crate::scenarios::commits::fetch(side, SIMPLE, None));
    simple.leave(pair, "simple: leave", -1);
    let both = pair.ask("connect: join", 3, |side| JoinGroupRequest {
        protocol_type: "connect".into(),
        ..join(side, CONNECT, "", &["default"])
    });
    groups::name_member(pair, "doors.connect", &both);
    pair.once("connect: a consumer joins", |_| one(CONNECT).joining());
    pair.once("connect: a consumer is alive", |_| super::alive(CONNECT, "one", 1));
    described(pair, "connect", CONNECT);
}
