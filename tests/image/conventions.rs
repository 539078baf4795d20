//! The environments of the four images that people swap for this one, and where each keeps its data.

use crate::podman::{Container, READY, Wanted, image};

fn ready(options: &[&str], environment: &[(&str, &str)], command: &[&str]) -> Option<Container> {
    let container = Container::run(image()?, &Wanted { options, environment, command });
    container.wait_for(READY);
    Some(container)
}

/// What every one of them may come with in a cluster that has a Service called `kafka`.
const SERVICE_LINKS: [(&str, &str); 6] = [
    ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
    ("KAFKA_SERVICE_HOST", "10.0.0.1"),
    ("KAFKA_SERVICE_PORT", "9092"),
    ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
    ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
    ("KAFKA_PORT_9092_TCP_PORT", "9092"),
];

#[test]
fn nothing_but_service_links_is_a_broker_on_9092() {
    let Some(container) = ready(&[], &SERVICE_LINKS, &[]) else { return };
    container.round_trip("localhost:9092");
    let (_, err) = container.logs();
    assert!(!err.contains("WARN"), "{err}");
}

#[test]
fn apache_kafka() {
    let environment = [
        ("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw"),
        ("KAFKA_NODE_ID", "7"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_LISTENERS", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:9092"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "7@localhost:9093"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_NUM_PARTITIONS", "3"),
        ("KAFKA_HEAP_OPTS", "-Xmx256m"),
    ];
    let command = ["/etc/kafka/docker/run", "KAFKA_NUM_PARTITIONS=5"];
    let Some(container) = ready(&[], &environment, &command) else { return };
    container.round_trip("localhost:9092");
    let meta = container.sh("cat /var/lib/kafka/data/meta.properties");
    assert!(meta.contains("cluster.id=5L6g3nShT-eMCtK--X86sw") && meta.contains("node.id=7"), "{meta}");
    let topic = container.sh("ottla topic describe there-and-back -o json");
    assert_eq!(topic.matches("\"leader\"").count(), 5, "what run is given holds: {topic}");
}

#[test]
fn apache_kafka_with_a_mounted_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("server.properties"), "num.partitions=4\nlisteners=PLAINTEXT://:9292\n")
        .unwrap();
    let volume = format!("{}:/mnt/shared/config:ro", directory.path().display());
    let Some(container) = ready(&["--volume", &volume], &[], &[]) else { return };
    container.round_trip("localhost:9292");
    let (code, _, err) = container.exec(&["ottla", "healthcheck", "--config", "/mnt/shared/config/server.properties"]);
    assert_eq!((code, &*err), (Some(0), ""));
}

#[test]
fn a_config_map_over_etc_kafka() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("server.properties"), "node.id=3\nlisteners=PLAINTEXT://:9392\n").unwrap();
    let volume = format!("{}:/etc/kafka:ro", directory.path().display());
    let Some(container) = ready(&["--volume", &volume, "--read-only"], &[], &[]) else { return };
    container.round_trip("localhost:9392");
}

#[test]
fn cp_kafka_without_listeners() {
    let environment = [
        ("KAFKA_BROKER_ID", "1"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:29092,PLAINTEXT_HOST://localhost:9092"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE", "false"),
        ("CONFLUENT_METRICS_ENABLE", "true"),
    ];
    let Some(container) = ready(&[], &environment, &["/etc/confluent/docker/run"]) else { return };
    container.round_trip("localhost:29092");
    container.round_trip("localhost:9092");
    let (_, err) = container.logs();
    assert_eq!(err.matches("zookeeper.connect").count(), 1, "one line: {err}");
    assert_eq!(container.exec(&["ottla", "healthcheck"]).0, Some(0));
}

#[test]
fn bitnami_kafka() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(1001), Some(1001)).unwrap();
    let volume = format!("{}:/bitnami", directory.path().display());
    let environment = [
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("KAFKA_ENABLE_KRAFT", "yes"),
        ("KAFKA_KRAFT_CLUSTER_ID", "abcdefghijklmnopqrstuv"),
        ("KAFKA_CFG_NODE_ID", "0"),
        ("KAFKA_CFG_PROCESS_ROLES", "controller,broker"),
        ("KAFKA_CFG_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://:9094"),
        ("KAFKA_CFG_ADVERTISED_LISTENERS", "PLAINTEXT://:9092,EXTERNAL://localhost:9094"),
        ("KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        ("KAFKA_CFG_CONTROLLER_QUORUM_VOTERS", "0@localhost:9093"),
        ("KAFKA_CFG_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("BITNAMI_DEBUG", "true"),
    ];
    let command = ["/opt/bitnami/scripts/kafka/entrypoint.sh", "/opt/bitnami/scripts/kafka/run.sh"];
    let Some(container) = ready(&["--volume", &volume], &environment, &command) else { return };
    container.round_trip("localhost:9092");
    container.round_trip("localhost:9094");
    assert!(directory.path().join("kafka/data/meta.properties").is_file(), "where the volume of that image is");
}

#[test]
fn wurstmeister_kafka() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(1001), Some(0)).unwrap();
    let volume = format!("{}:/kafka", directory.path().display());
    let environment = [
        ("KAFKA_ADVERTISED_HOST_NAME", "localhost"),
        ("KAFKA_ADVERTISED_PORT", "9092"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_CREATE_TOPICS", "orders:3:1,state:1:1:compact"),
        ("KAFKA_BROKER_ID", "-1"),
        ("LOG4J_LOGGER_KAFKA", "DEBUG"),
        ("START_TIMEOUT", "10"),
    ];
    let Some(container) = ready(&["--volume", &volume], &environment, &["start-kafka.sh"]) else { return };
    let topics = container.sh("ottla topic list");
    assert!(topics.contains("orders") && topics.contains("state"), "{topics}");
    let state = container.sh("ottla topic describe state");
    assert!(state.contains("compact"), "{state}");
    container.round_trip("localhost:9092");
    assert!(directory.path().join("data/meta.properties").is_file());
}

#[test]
fn a_command_of_wurstmeister_is_refused_loudly() {
    let Some(image) = image() else { return };
    let environment = [("HOSTNAME_COMMAND", "hostname -i"), ("KAFKA_SSL_KEYSTORE_LOCATION", "/x")];
    let container = Container::run(image, &Wanted { environment: &environment, ..Wanted::default() });
    assert_eq!(container.wait_for_end(), 1);
    let (_, err) = container.logs();
    assert!(err.contains("HOSTNAME_COMMAND is refused") && err.contains("KAFKA_ADVERTISED_HOST_NAME"), "{err}");
}

#[test]
fn a_script_of_initdb_runs_before_the_broker() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("first.sh"), "echo prepared\n").unwrap();
    let volume = format!("{}:/docker-entrypoint-initdb.d:ro", directory.path().display());
    let Some(container) = ready(&["--volume", &volume], &[], &[]) else { return };
    assert!(container.logs().0.starts_with("prepared\n"));
}
