//! Subscriptions to clients' metrics: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources.
//!
//! What clients ask and push cannot be compared: without a plug-in Apache Kafka does not serve it.

use protocol::messages::describe_configs::DescribeConfigsResource;
use protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    alter_configs,
};

use crate::pair::Pair;

const CLIENT_METRICS: i8 = 16;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

type Setting<'a> = (&'a str, Option<&'a str>);

pub(crate) fn run(pair: &mut Pair) {
    incremental(pair);
    replace(pair);
    describe(pair);
}

fn look(pair: &mut Pair, label: &str, name: &str) {
    let resources = vec![DescribeConfigsResource {
        resource_type: CLIENT_METRICS,
        resource_name: name.into(),
        configuration_keys: None,
    }];
    pair.every_version(&format!("{label}: described"), |_| DescribeConfigsRequest {
        resources: resources.clone(),
        include_synonyms: true,
        include_documentation: false,
    });
    pair.every_version(&format!("{label}: listed"), |_| ListConfigResourcesRequest {
        resource_types: vec![CLIENT_METRICS],
    });
}

fn change(pair: &mut Pair, label: &str, name: &str, changes: &[Change<'_>]) {
    let change = |(name, config_operation, value): &Change<'_>| AlterableConfig {
        name: name.to_string(),
        config_operation: *config_operation,
        value: value.map(Into::into),
    };
    let configs: Vec<_> = changes.iter().map(change).collect();
    for validate_only in [true, false] {
        pair.every_version(&format!("{label}, validation only {validate_only}"), |_| IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: CLIENT_METRICS,
                resource_name: name.into(),
                configs: configs.clone(),
            }],
            validate_only,
        });
        look(pair, &format!("after {label}, validation only {validate_only}"), name);
    }
}

fn incremental(pair: &mut Pair) {
    let cases: &[(&str, &str, &[Change<'_>])] = &[
        (
            "a subscription",
            "m",
            &[("metrics", SET, Some("org.apache.kafka.producer.,a")), ("interval.ms", SET, Some("5000"))],
        ),
        ("matches", "m", &[("match", SET, Some("client_id=a.*, client_software_name = java"))]),
        (
            "every selector",
            "m",
            &[(
                "match",
                SET,
                Some(
                    "client_instance_id=a,client_id=a,client_software_name=a,client_software_version=a,client_source_address=a,client_source_port=1",
                ),
            )],
        ),
        ("all metrics", "m", &[("metrics", SET, Some("*"))]),
        ("no metrics", "m", &[("metrics", SET, Some(""))]),
        ("a metric twice", "m", &[("metrics", SET, Some("a,a"))]),
        ("an empty metric", "m", &[("metrics", SET, Some("a,,b"))]),
        ("blanks", "m", &[("metrics", SET, Some(" a , b "))]),
        ("append", "m", &[("metrics", APPEND, Some("c"))]),
        ("append it again", "m", &[("metrics", APPEND, Some("c"))]),
        ("append to matches", "m", &[("match", APPEND, Some("client_id=b"))]),
        ("append a match that is none", "m", &[("match", APPEND, Some("b"))]),
        ("append to a number", "m", &[("interval.ms", APPEND, Some("1"))]),
        ("subtract", "m", &[("metrics", SUBTRACT, Some("c"))]),
        ("subtract what is not there", "m", &[("metrics", SUBTRACT, Some("z"))]),
        ("subtract from what is not there", "nowhere", &[("metrics", SUBTRACT, Some("z"))]),
        ("no more of it", "nowhere", &[("metrics", DELETE, None)]),
        ("an unknown key", "m", &[("no.such.key", SET, Some("1"))]),
        ("without an unknown key", "m", &[("no.such.key", DELETE, None)]),
        ("append to an unknown key", "m", &[("no.such.key", APPEND, Some("1"))]),
        ("null", "m", &[("metrics", SET, None)]),
        ("a key twice", "m", &[("metrics", SET, Some("a")), ("metrics", SET, Some("b"))]),
        ("the shortest interval", "m", &[("interval.ms", SET, Some("100"))]),
        ("too short an interval", "m", &[("interval.ms", SET, Some("99"))]),
        ("the longest interval", "m", &[("interval.ms", SET, Some("3600000"))]),
        ("too long an interval", "m", &[("interval.ms", SET, Some("3600001"))]),
        ("no interval", "m", &[("interval.ms", SET, Some(""))]),
        ("a word for an interval", "m", &[("interval.ms", SET, Some("soon"))]),
        ("a large number", "m", &[("interval.ms", SET, Some("3000000000"))]),
        ("an unknown selector", "m", &[("match", SET, Some("user=a"))]),
        ("no expression", "m", &[("match", SET, Some("client_id="))]),
        ("no selector", "m", &[("match", SET, Some("client_id"))]),
        ("two equals signs", "m", &[("match", SET, Some("client_id=a=b"))]),
        ("an equals sign at the end", "m", &[("match", SET, Some("client_id=a="))]),
        ("an expression that is none", "m", &[("match", SET, Some("client_id=(a"))]),
        ("a match twice", "m", &[("match", SET, Some("client_id=a,client_id=a"))]),
        ("a selector twice", "m", &[("match", SET, Some("client_id=a,client_id=b"))]),
        ("an empty match", "m", &[("match", SET, Some("client_id=a,,"))]),
        ("good and bad ones", "m", &[("metrics", SET, Some("z")), ("interval.ms", SET, Some("1"))]),
        ("nothing", "m", &[]),
        ("nothing of what is not there", "nowhere", &[]),
        ("without a name", "", &[("metrics", SET, Some("a"))]),
        ("another one", "a name with blanks", &[("interval.ms", SET, Some("1000"))]),
        ("one key less", "m", &[("interval.ms", DELETE, None)]),
        ("the others too", "m", &[("metrics", DELETE, None), ("match", DELETE, None)]),
        ("the other one", "a name with blanks", &[("interval.ms", DELETE, None)]),
    ];
    for (label, name, changes) in cases {
        change(pair, label, name, changes);
    }
}

fn replace(pair: &mut Pair) {
    let cases: &[(&str, &str, &[Setting<'_>])] = &[
        ("all of it", "replaced", &[("metrics", Some("a")), ("interval.ms", Some("1000"))]),
        ("other keys", "replaced", &[("match", Some("client_id=a"))]),
        ("an unknown key", "replaced", &[("no.such.key", Some("1"))]),
        ("a bad value", "replaced", &[("interval.ms", Some("1"))]),
        ("a null value", "replaced", &[("interval.ms", None)]),
        ("a name that is none", "", &[("metrics", Some("a"))]),
        ("nothing", "replaced", &[]),
    ];
    for (label, name, configs) in cases {
        let config = |(name, value): &Setting<'_>| alter_configs::AlterableConfig {
            name: name.to_string(),
            value: value.map(Into::into),
        };
        let configs: Vec<_> = configs.iter().map(config).collect();
        for validate_only in [true, false] {
            let label = format!("replace {label}, validation only {validate_only}");
            pair.every_version(&label, |_| AlterConfigsRequest {
                resources: vec![alter_configs::AlterConfigsResource {
                    resource_type: CLIENT_METRICS,
                    resource_name: (*name).into(),
                    configs: configs.clone(),
                }],
                validate_only,
            });
            look(pair, &format!("after {label}"), name);
        }
    }
}

fn describe(pair: &mut Pair) {
    change(pair, "a subscription to describe", "described", &[("metrics", SET, Some("b,a"))]);
    let cases: &[(&str, &str, Option<&[&str]>)] = &[
        ("no name", "", None),
        ("one that is not there", "missing", None),
        ("one key", "described", Some(&["metrics"])),
        ("keys that are not there", "described", Some(&["no.such", "match"])),
        ("no keys", "described", Some(&[])),
    ];
    for (label, name, keys) in cases {
        for more in [false, true] {
            pair.every_version(&format!("describe {label}, with more {more}"), |_| DescribeConfigsRequest {
                resources: vec![DescribeConfigsResource {
                    resource_type: CLIENT_METRICS,
                    resource_name: (*name).into(),
                    configuration_keys: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
                }],
                include_synonyms: more,
                include_documentation: more,
            });
        }
    }
    for types in [&[][..], &[CLIENT_METRICS], &[CLIENT_METRICS, 32]] {
        pair.every_version(&format!("list {types:?}"), |_| ListConfigResourcesRequest {
            resource_types: types.to_vec(),
        });
    }
    change(pair, "no subscription any more", "described", &[("metrics", DELETE, None)]);
}
