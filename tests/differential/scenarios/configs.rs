//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use protocol::messages::alter_configs;
use protocol::messages::describe_configs::DescribeConfigsResource;
use protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use protocol::messages::*;

use super::create;
use crate::pair::Pair;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "set", 1, &[("retention.ms", "1000000"), ("cleanup.policy", "delete")]);
    describe(pair);
    incremental(pair);
    replace(pair);
}

fn resource(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
    }
}

fn describe(pair: &mut Pair) {
    let cases: Vec<(&str, Vec<DescribeConfigsResource>)> = vec![
        ("a topic", vec![resource(TOPIC, "set", None)]),
        ("some of a topic", vec![resource(TOPIC, "set", Some(&["retention.ms", "cleanup.policy", "no.such"]))]),
        ("none of a topic", vec![resource(TOPIC, "set", Some(&[]))]),
        ("an unknown topic", vec![resource(TOPIC, "missing", None)]),
        ("an invalid topic", vec![resource(TOPIC, "a/b", None)]),
        ("no topic", vec![resource(TOPIC, "", None)]),
        ("an unknown broker", vec![resource(BROKER, "77", None)]),
        ("a broker that is no number", vec![resource(BROKER, "one", None)]),
        ("a type nobody knows", vec![resource(99, "x", None)]),
        ("a type of 0", vec![resource(0, "x", None)]),
        ("loggers of an unknown broker", vec![resource(BROKER_LOGGER, "77", None)]),
        ("loggers of no broker", vec![resource(BROKER_LOGGER, "", None)]),
        ("loggers of a broker that is no number", vec![resource(BROKER_LOGGER, "one", None)]),
        ("a logger that is not there", vec![resource(BROKER_LOGGER, "1", Some(&["no.such"]))]),
        (
            "some of a broker",
            vec![resource(BROKER, "1", Some(&["message.max.bytes", "log.retention.ms", "num.partitions"]))],
        ),
        ("the default of all brokers", vec![resource(BROKER, "", None)]),
        ("one topic twice", vec![resource(TOPIC, "set", Some(&["retention.ms"])); 2]),
        ("good and bad ones", vec![resource(TOPIC, "set", Some(&["retention.ms"])), resource(TOPIC, "missing", None)]),
        ("nothing", Vec::new()),
    ];
    for (label, resources) in cases {
        for more in [false, true] {
            pair.every_version(&format!("describe {label}, with more {more}"), |_| DescribeConfigsRequest {
                resources: resources.clone(),
                include_synonyms: more,
                include_documentation: more,
            });
        }
    }
}

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn changes(resource_type: i8, name: &str, changes: &[Change<'_>]) -> AlterConfigsResource {
    let change = |(name, config_operation, value): &Change<'_>| AlterableConfig {
        name: name.to_string(),
        config_operation: *config_operation,
        value: value.map(Into::into),
    };
    AlterConfigsResource { resource_type, resource_name: name.into(), configs: changes.iter().map(change).collect() }
}

fn incremental(pair: &mut Pair) {
    let on = |changed: &[Change<'_>]| vec![changes(TOPIC, "set", changed)];
    let cases: Vec<(&str, Vec<AlterConfigsResource>)> = vec![
        ("set", on(&[("retention.ms", SET, Some("5000000"))])),
        ("set two", on(&[("retention.bytes", SET, Some("5000000")), ("segment.bytes", SET, Some("2000000"))])),
        ("set one twice", on(&[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))])),
        ("set an unknown key", on(&[("no.such.key", SET, Some("1"))])),
        ("set null", on(&[("retention.ms", SET, None)])),
        ("set an empty value", on(&[("retention.ms", SET, Some(""))])),
        ("set a word to a number", on(&[("retention.ms", SET, Some("soon"))])),
        ("set out of range", on(&[("min.insync.replicas", SET, Some("0"))])),
        ("delete", on(&[("retention.ms", DELETE, None)])),
        ("delete with a value", on(&[("retention.bytes", DELETE, Some("5"))])),
        ("delete what is not set", on(&[("retention.ms", DELETE, None)])),
        ("delete an unknown key", on(&[("no.such.key", DELETE, None)])),
        ("append", on(&[("cleanup.policy", APPEND, Some("compact"))])),
        ("append it again", on(&[("cleanup.policy", APPEND, Some("compact"))])),
        ("append a bad value", on(&[("cleanup.policy", APPEND, Some("burn"))])),
        ("append null", on(&[("cleanup.policy", APPEND, None)])),
        ("append to what is no list", on(&[("retention.ms", APPEND, Some("1"))])),
        ("subtract", on(&[("cleanup.policy", SUBTRACT, Some("compact"))])),
        ("subtract what is not there", on(&[("cleanup.policy", SUBTRACT, Some("compact"))])),
        ("subtract all", on(&[("cleanup.policy", SUBTRACT, Some("delete"))])),
        ("subtract from what is no list", on(&[("retention.ms", SUBTRACT, Some("1"))])),
        ("an operation nobody knows", on(&[("retention.ms", 9, Some("1"))])),
        ("a negative operation", on(&[("retention.ms", -1, Some("1"))])),
        ("nothing of a topic", on(&[])),
        ("an unknown topic", vec![changes(TOPIC, "missing", &[("retention.ms", SET, Some("1"))])]),
        ("an invalid topic", vec![changes(TOPIC, "a/b", &[("retention.ms", SET, Some("1"))])]),
        ("no topic", vec![changes(TOPIC, "", &[("retention.ms", SET, Some("1"))])]),
        ("one topic twice", vec![changes(TOPIC, "set", &[("retention.ms", SET, Some("1"))]); 2]),
        ("an unknown broker", vec![changes(BROKER, "77", &[("message.max.bytes", SET, Some("1"))])]),
        ("a broker that is no number", vec![changes(BROKER, "one", &[("message.max.bytes", SET, Some("1"))])]),
        ("a logger of an unknown broker", vec![changes(BROKER_LOGGER, "77", &[("root", SET, Some("INFO"))])]),
        ("a logger of no number", vec![changes(BROKER_LOGGER, "one", &[("root", SET, Some("INFO"))])]),
        ("a logger that is not there", vec![changes(BROKER_LOGGER, "1", &[("no.such", SET, Some("INFO"))])]),
        ("a level that is none", vec![changes(BROKER_LOGGER, "1", &[("root", SET, Some("LOUD"))])]),
        ("no level for the root logger", vec![changes(BROKER_LOGGER, "1", &[("root", DELETE, None)])]),
        ("append to a logger", vec![changes(BROKER_LOGGER, "1", &[("root", APPEND, Some("INFO"))])]),
        ("a type nobody knows", vec![changes(99, "x", &[("a", SET, Some("1"))])]),
        ("nothing", Vec::new()),
        (
            "good and bad ones",
            vec![
                changes(TOPIC, "set", &[("retention.ms", SET, Some("7000000"))]),
                changes(TOPIC, "missing", &[("retention.ms", SET, Some("1"))]),
            ],
        ),
    ];
    for (label, resources) in cases {
        for validate_only in [true, false] {
            pair.every_version(&format!("change: {label}, validation only {validate_only}"), |_| {
                IncrementalAlterConfigsRequest { resources: resources.clone(), validate_only }
            });
            pair.once(&format!("after change: {label}, validation only {validate_only}"), |_| DescribeConfigsRequest {
                resources: vec![resource(TOPIC, "set", None)],
                ..Default::default()
            });
        }
    }
}

fn replace(pair: &mut Pair) {
    create(pair, "replaced", 1, &[("retention.ms", "1000000"), ("segment.bytes", "1048577")]);
    let with = |resource_type: i8, name: &str, configs: &[(&str, Option<&str>)]| alter_configs::AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs
            .iter()
            .map(|(name, value)| alter_configs::AlterableConfig {
                name: name.to_string(),
                value: value.map(Into::into),
            })
            .collect(),
    };
    let cases: Vec<(&str, Vec<alter_configs::AlterConfigsResource>)> = vec![
        ("one key", vec![with(TOPIC, "replaced", &[("retention.ms", Some("2000000"))])]),
        ("another key", vec![with(TOPIC, "replaced", &[("retention.bytes", Some("2000000"))])]),
        ("an unknown key", vec![with(TOPIC, "replaced", &[("no.such.key", Some("1"))])]),
        ("a null value", vec![with(TOPIC, "replaced", &[("retention.ms", None)])]),
        ("a bad value", vec![with(TOPIC, "replaced", &[("retention.ms", Some("soon"))])]),
        ("one key twice", vec![with(TOPIC, "replaced", &[("retention.ms", Some("1")), ("retention.ms", Some("2"))])]),
        ("no keys", vec![with(TOPIC, "replaced", &[])]),
        ("an unknown topic", vec![with(TOPIC, "missing", &[("retention.ms", Some("1"))])]),
        ("an unknown broker", vec![with(BROKER, "77", &[("message.max.bytes", Some("1"))])]),
        ("a type nobody knows", vec![with(99, "x", &[("a", Some("1"))])]),
        // Not one topic twice: Apache Kafka gives no answer at all to that.
        ("nothing", Vec::new()),
    ];
    for (label, resources) in cases {
        for validate_only in [true, false] {
            pair.every_version(&format!("replace: {label}, validation only {validate_only}"), |_| {
                AlterConfigsRequest { resources: resources.clone(), validate_only }
            });
            pair.once(&format!("after replace: {label}, validation only {validate_only}"), |_| {
                DescribeConfigsRequest { resources: vec![resource(TOPIC, "replaced", None)], ..Default::default() }
            });
        }
    }
}
