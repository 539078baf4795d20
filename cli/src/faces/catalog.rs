//! The table of the faces.

use super::{
    Face, Work, broker_api_versions, configs, console_consumer, console_producer, consumer_groups, get_offsets, topics,
};

/// By name.
pub(crate) static FACES: &[Face] = &[
    Face {
        name: "kafka-broker-api-versions",
        purpose: "which APIs each broker serves, and in which versions",
        flags: broker_api_versions::FLAGS,
        work: Work::Online(|parsed| Box::pin(broker_api_versions::run(parsed))),
    },
    Face {
        name: "kafka-configs",
        purpose: "show and change the settings of topics, brokers and groups",
        flags: configs::FLAGS,
        work: Work::Online(|parsed| Box::pin(configs::run(parsed))),
    },
    Face {
        name: "kafka-console-consumer",
        purpose: "print the records of topics",
        flags: console_consumer::FLAGS,
        work: Work::Online(|parsed| Box::pin(console_consumer::run(parsed))),
    },
    Face {
        name: "kafka-console-producer",
        purpose: "write each line of standard input as a record",
        flags: console_producer::FLAGS,
        work: Work::Online(|parsed| Box::pin(console_producer::run(parsed))),
    },
    Face {
        name: "kafka-consumer-groups",
        purpose: "list, describe, reset and delete consumer groups",
        flags: consumer_groups::FLAGS,
        work: Work::Online(|parsed| Box::pin(consumer_groups::run(parsed))),
    },
    Face {
        name: "kafka-get-offsets",
        purpose: "the first, last or another offset of partitions",
        flags: get_offsets::FLAGS,
        work: Work::Online(|parsed| Box::pin(get_offsets::run(parsed))),
    },
    Face {
        name: "kafka-topics",
        purpose: "create, list, describe, grow and delete topics",
        flags: topics::FLAGS,
        work: Work::Online(|parsed| Box::pin(topics::run(parsed))),
    },
];
