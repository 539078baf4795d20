//! The table of the faces.

use super::{
    Face, Work, broker_api_versions, client_metrics, cluster, configs, console_consumer, console_producer,
    consumer_groups, consumer_perf_test, cub, delete_records, dump_log, features, get_offsets, groups, leader_election,
    log_dirs, metadata_quorum, producer_perf_test, reassign_partitions, server_start, storage, topics, transactions,
    verifiable_consumer, verifiable_producer,
};

/// A tool of Kafka's that is not here. `instead` says what does its work, so that a script that calls it fails with a cure.
const fn absent(name: &'static str, instead: &'static str) -> Face {
    Face { name, purpose: instead, flags: &[], work: Work::Absent(instead) }
}

/// A tool that scripts call and that has nothing to do.
const fn nothing(name: &'static str, why: &'static str) -> Face {
    Face { name, purpose: why, flags: &[], work: Work::Nothing(why) }
}

/// By name.
pub(crate) static FACES: &[Face] = &[
    absent(
        "connect-distributed",
        "Kafka Connect runs as it is: start it from Apache Kafka, with bootstrap.servers naming this cluster",
    ),
    absent(
        "connect-mirror-maker",
        "MirrorMaker runs as it is: start it from Apache Kafka, with this cluster in its properties",
    ),
    absent(
        "connect-standalone",
        "Kafka Connect runs as it is: start it from Apache Kafka, with bootstrap.servers naming this cluster",
    ),
    Face {
        name: "cub",
        purpose: "`cub kafka-ready -b HOST:PORT BROKERS SECONDS` waits until so many brokers are there",
        flags: cub::FLAGS,
        work: Work::Online(|parsed| Box::pin(cub::run(parsed))),
    },
    absent("kafka-acls", "there are no ACLs yet, and everybody may do everything"),
    Face {
        name: "kafka-broker-api-versions",
        purpose: "which APIs each broker serves, and in which versions",
        flags: broker_api_versions::FLAGS,
        work: Work::Online(|parsed| Box::pin(broker_api_versions::run(parsed))),
    },
    Face {
        name: "kafka-client-metrics",
        purpose: "which of their own metrics clients shall push to the broker",
        flags: client_metrics::FLAGS,
        work: Work::Online(|parsed| Box::pin(client_metrics::run(parsed))),
    },
    Face {
        name: "kafka-cluster",
        purpose: "the id of the cluster, and its brokers",
        flags: cluster::FLAGS,
        work: Work::Online(|parsed| Box::pin(cluster::run(parsed))),
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
    absent(
        "kafka-console-share-consumer",
        "there are no share groups yet; kafka-console-consumer --group reads as a consumer group",
    ),
    Face {
        name: "kafka-consumer-groups",
        purpose: "list, describe, reset and delete consumer groups",
        flags: consumer_groups::FLAGS,
        work: Work::Online(|parsed| Box::pin(consumer_groups::run(parsed))),
    },
    Face {
        name: "kafka-consumer-perf-test",
        purpose: "how fast a topic can be read",
        flags: consumer_perf_test::FLAGS,
        work: Work::Online(|parsed| Box::pin(consumer_perf_test::run(parsed))),
    },
    absent("kafka-delegation-tokens", "there are no delegation tokens yet"),
    Face {
        name: "kafka-delete-records",
        purpose: "drop the records before an offset",
        flags: delete_records::FLAGS,
        work: Work::Online(|parsed| Box::pin(delete_records::run(parsed))),
    },
    Face {
        name: "kafka-dump-log",
        purpose: "show the batches and records of segment files",
        flags: dump_log::FLAGS,
        work: Work::Offline(dump_log::run),
    },
    absent("kafka-e2e-latency", "the test runs from Apache Kafka"),
    Face {
        name: "kafka-features",
        purpose: "the features that brokers support, and their levels",
        flags: features::FLAGS,
        work: Work::Online(|parsed| Box::pin(features::run(parsed))),
    },
    Face {
        name: "kafka-get-offsets",
        purpose: "the first, last or another offset of partitions",
        flags: get_offsets::FLAGS,
        work: Work::Online(|parsed| Box::pin(get_offsets::run(parsed))),
    },
    Face {
        name: "kafka-groups",
        purpose: "list groups of every type",
        flags: groups::FLAGS,
        work: Work::Online(|parsed| Box::pin(groups::run(parsed))),
    },
    absent("kafka-jmx", "there is no JMX; /metrics has the same numbers"),
    Face {
        name: "kafka-leader-election",
        purpose: "elect leaders of partitions",
        flags: leader_election::FLAGS,
        work: Work::Online(|parsed| Box::pin(leader_election::run(parsed))),
    },
    Face {
        name: "kafka-log-dirs",
        purpose: "what brokers keep in which directory",
        flags: log_dirs::FLAGS,
        work: Work::Online(|parsed| Box::pin(log_dirs::run(parsed))),
    },
    Face {
        name: "kafka-metadata-quorum",
        purpose: "where the quorum stands that keeps the metadata",
        flags: metadata_quorum::FLAGS,
        work: Work::Online(|parsed| Box::pin(metadata_quorum::run(parsed))),
    },
    absent(
        "kafka-metadata-shell",
        "metadata is not in Kafka's format; kafka-topics --describe and kafka-configs --describe show it",
    ),
    absent(
        "kafka-mirror-maker",
        "MirrorMaker runs as it is: start it from Apache Kafka, with this cluster in its properties",
    ),
    Face {
        name: "kafka-producer-perf-test",
        purpose: "how fast a topic can be written",
        flags: producer_perf_test::FLAGS,
        work: Work::Online(|parsed| Box::pin(producer_perf_test::run(parsed))),
    },
    Face {
        name: "kafka-reassign-partitions",
        purpose: "move partitions to other brokers",
        flags: reassign_partitions::FLAGS,
        work: Work::Online(|parsed| Box::pin(reassign_partitions::run(parsed))),
    },
    absent("kafka-replica-verification", "a single node has one replica of each partition"),
    absent("kafka-run-class", "there is no JVM here; use the tool by its name, as kafka-topics"),
    Face {
        name: "kafka-server-start",
        purpose: "run a broker: kafka-server-start FILE --override key=value",
        flags: server_start::FLAGS,
        work: Work::Broker,
    },
    Face {
        name: "kafka-server-stop",
        purpose: "ask the brokers on this machine to stop",
        flags: server_start::STOP_FLAGS,
        work: Work::Offline(server_start::stop),
    },
    absent("kafka-share-groups", "there are no share groups yet; kafka-consumer-groups shows consumer groups"),
    Face {
        name: "kafka-storage",
        purpose: "gives directories a cluster id before a broker has them; random-uuid makes an id, info shows directories",
        flags: storage::FLAGS,
        work: Work::Ahead(storage::run),
    },
    absent(
        "kafka-streams-application-reset",
        "it runs from Apache Kafka; kafka-consumer-groups --reset-offsets moves a group",
    ),
    absent("kafka-streams-groups", "there are no streams groups yet; kafka-consumer-groups shows consumer groups"),
    Face {
        name: "kafka-topics",
        purpose: "create, list, describe, grow and delete topics",
        flags: topics::FLAGS,
        work: Work::Online(|parsed| Box::pin(topics::run(parsed))),
    },
    Face {
        name: "kafka-transactions",
        purpose: "list and describe transactions, find those that hang, and abort them",
        flags: transactions::FLAGS,
        work: Work::Online(|parsed| Box::pin(transactions::run(parsed))),
    },
    Face {
        name: "kafka-verifiable-consumer",
        purpose: "read as a member of a group, and say everything that happens in JSON",
        flags: verifiable_consumer::FLAGS,
        work: Work::Online(|parsed| Box::pin(verifiable_consumer::run(parsed))),
    },
    Face {
        name: "kafka-verifiable-producer",
        purpose: "write rising numbers, and say what became of each in JSON",
        flags: verifiable_producer::FLAGS,
        work: Work::Online(|parsed| Box::pin(verifiable_producer::run(parsed))),
    },
    absent("zookeeper-security-migration", "there is no ZooKeeper here"),
    nothing("zookeeper-server-start", "nothing to start: Ottla keeps its metadata itself and has no use for ZooKeeper"),
    nothing("zookeeper-server-stop", "nothing to stop: Ottla keeps its metadata itself and has no use for ZooKeeper"),
    absent("zookeeper-shell", "there is no ZooKeeper here; kafka-topics and kafka-configs show what it would hold"),
];
