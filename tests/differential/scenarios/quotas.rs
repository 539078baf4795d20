//! DescribeClientQuotas, AlterClientQuotas.

use protocol::messages::alter_client_quotas::{OpData, RequestedEntityData, RequestedEntryData};
use protocol::messages::describe_client_quotas::ComponentData;
use protocol::messages::describe_user_scram_credentials::UserName;
use protocol::messages::*;

use crate::pair::Pair;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

type Entity = &'static [(&'static str, Option<&'static str>)];

const CLIENT: Entity = &[("client-id", Some("c"))];
const CLIENTS: Entity = &[("client-id", None)];
const USER: Entity = &[("user", Some("u"))];
const BOTH: Entity = &[("client-id", Some("c")), ("user", Some("u"))];
const BOTH_DEFAULTS: Entity = &[("client-id", None), ("user", None)];
const ADDRESS: Entity = &[("ip", Some("192.0.2.1"))];
const ADDRESSES: Entity = &[("ip", None)];

pub(crate) fn run(pair: &mut Pair) {
    refused(pair);
    duplicates(pair);
    set(pair);
    describe(pair);
    remove(pair);
    credentials(pair);
}

fn entry(entity: Entity, ops: &[(&str, Option<f64>)]) -> RequestedEntryData {
    let part = |(kind, name): &(&str, Option<&str>)| RequestedEntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(str::to_owned),
    };
    let op = |(key, value): &(&str, Option<f64>)| OpData {
        key: (*key).into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    RequestedEntryData { entity: entity.iter().map(part).collect(), ops: ops.iter().map(op).collect() }
}

fn alter(pair: &mut Pair, label: &str, entity: Entity, ops: &[(&str, Option<f64>)]) {
    for validate_only in [true, false] {
        pair.every_version(&format!("{label}, validate only {validate_only}"), |_| AlterClientQuotasRequest {
            entries: vec![entry(entity, ops)],
            validate_only,
        });
    }
}

fn refused(pair: &mut Pair) {
    let cases: &[(&str, Entity, &str, f64)] = &[
        ("of nobody", &[], "producer_byte_rate", 1.0),
        ("of a type nobody knows", &[("group", Some("g"))], "producer_byte_rate", 1.0),
        ("of an empty name", &[("user", Some(""))], "producer_byte_rate", 1.0),
        ("of an address and a user", &[("ip", Some("192.0.2.1")), ("user", None)], "connection_creation_rate", 1.0),
        ("of no address", &[("ip", Some("a b"))], "connection_creation_rate", 1.0),
        ("of bytes for an address", ADDRESS, "producer_byte_rate", 1.0),
        ("of connections for a client", CLIENT, "connection_creation_rate", 1.0),
        ("by a key nobody knows", USER, "no_such_rate", 1.0),
        ("of nothing", CLIENT, "producer_byte_rate", 0.0),
        ("below nothing", CLIENT, "request_percentage", -1.0),
        ("of half a byte", CLIENT, "consumer_byte_rate", 1.5),
        ("of too many bytes", CLIENT, "consumer_byte_rate", 1e19),
        ("of too many connections", ADDRESS, "connection_creation_rate", 3e9),
    ];
    for (label, entity, key, value) in cases {
        alter(pair, label, entity, &[(key, Some(*value))]);
    }
    alter(pair, "removed that is not there", CLIENT, &[("no_such_rate", None)]);
    pair.every_version("none", |_| AlterClientQuotasRequest::default());
}

fn duplicates(pair: &mut Pair) {
    alter(pair, "one key twice", USER, &[("producer_byte_rate", Some(1e9)), ("producer_byte_rate", Some(2e9))]);
    pair.every_version("one entity twice", |_| AlterClientQuotasRequest {
        entries: vec![
            entry(USER, &[("producer_byte_rate", Some(3e9))]),
            entry(USER, &[("producer_byte_rate", Some(4e9))]),
        ],
        validate_only: false,
    });
    pair.every_version("good and bad ones", |_| AlterClientQuotasRequest {
        entries: vec![
            entry(CLIENTS, &[("producer_byte_rate", Some(5e9))]),
            entry(CLIENT, &[("no_such_rate", Some(1.0))]),
        ],
        validate_only: false,
    });
}

fn set(pair: &mut Pair) {
    alter(pair, "of a client", CLIENT, &[("producer_byte_rate", Some(1e9)), ("request_percentage", Some(1e6))]);
    alter(pair, "of a user", USER, &[("consumer_byte_rate", Some(1e9)), ("controller_mutation_rate", Some(1e6))]);
    alter(pair, "of both", BOTH, &[("producer_byte_rate", Some(1e12))]);
    alter(pair, "of all others", BOTH_DEFAULTS, &[("consumer_byte_rate", Some(1e12))]);
    alter(pair, "of an address", ADDRESS, &[("connection_creation_rate", Some(1e6))]);
    alter(pair, "of all other addresses", ADDRESSES, &[("connection_creation_rate", Some(1e6))]);
}

/// Entity type, how it is matched, and the name.
type Component<'a> = (&'a str, i8, Option<&'a str>);

fn describe(pair: &mut Pair) {
    let cases: &[(&str, &[Component<'_>])] = &[
        ("of all", &[]),
        ("of the client", &[("client-id", EXACT, Some("c"))]),
        ("of the default client", &[("client-id", DEFAULT, None)]),
        ("of any client", &[("client-id", ANY, None)]),
        ("of any user", &[("user", ANY, None)]),
        ("of a user and a client", &[("user", EXACT, Some("u")), ("client-id", EXACT, Some("c"))]),
        ("of any user and a client", &[("user", ANY, None), ("client-id", EXACT, Some("c"))]),
        ("of the default of both", &[("user", DEFAULT, None), ("client-id", DEFAULT, None)]),
        ("of an unknown user", &[("user", EXACT, Some("nobody"))]),
        ("of any address", &[("ip", ANY, None)]),
        ("of an address", &[("ip", EXACT, Some("192.0.2.1"))]),
        ("of the default address", &[("ip", DEFAULT, None)]),
        ("of an address and a user", &[("ip", ANY, None), ("user", ANY, None)]),
        ("of one type twice", &[("user", ANY, None), ("user", DEFAULT, None)]),
        ("of a type nobody knows", &[("group", ANY, None)]),
        ("of an empty type", &[("", ANY, None)]),
        ("of exactly nothing", &[("user", EXACT, None)]),
        ("of a named default", &[("user", DEFAULT, Some("u"))]),
        ("of any named", &[("user", ANY, Some("u"))]),
        ("in a way nobody knows", &[("user", 3, None)]),
    ];
    for (label, components) in cases {
        for strict in [false, true] {
            pair.every_version(&format!("{label}, strict {strict}"), |_| DescribeClientQuotasRequest {
                components: components
                    .iter()
                    .map(|(kind, match_type, name)| ComponentData {
                        entity_type: (*kind).into(),
                        match_type: *match_type,
                        r#match: name.map(str::to_owned),
                    })
                    .collect(),
                strict,
            });
        }
    }
}

/// Nothing of it may be left for those who come next.
fn remove(pair: &mut Pair) {
    let all: [(Entity, &[&str]); 7] = [
        (CLIENT, &["producer_byte_rate", "request_percentage"]),
        (CLIENTS, &["producer_byte_rate"]),
        (USER, &["producer_byte_rate", "consumer_byte_rate", "controller_mutation_rate"]),
        (BOTH, &["producer_byte_rate"]),
        (BOTH_DEFAULTS, &["consumer_byte_rate"]),
        (ADDRESS, &["connection_creation_rate"]),
        (ADDRESSES, &["connection_creation_rate"]),
    ];
    for (entity, keys) in all {
        let ops: Vec<_> = keys.iter().map(|key| (*key, None)).collect();
        alter(pair, "removed", entity, &ops);
    }
    pair.every_version("of all, when there are none", |_| DescribeClientQuotasRequest::default());
}

/// What is asked together with the quotas of users.
fn credentials(pair: &mut Pair) {
    let user = |name: &str| UserName { name: name.into() };
    let cases = [
        ("of all users", None),
        ("of no users", Some(Vec::new())),
        ("of unknown users", Some(vec![user("u"), user("v")])),
        ("of one user twice", Some(vec![user("u"), user("u")])),
    ];
    for (label, users) in cases {
        pair.every_version(&format!("credentials {label}"), |_| DescribeUserScramCredentialsRequest {
            users: users.clone(),
        });
    }
}
