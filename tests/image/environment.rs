//! The rules by which the four images turn variables and files into settings, one by one; `conventions.rs` has each
//! image's environment as a whole.

use crate::podman::{Container, READY, Wanted, image};

fn ready(options: &[&str], environment: &[(&str, &str)]) -> Option<Container> {
    let container = Container::run(image()?, &Wanted { options, environment, command: &[] });
    container.wait_for(READY);
    Some(container)
}

/// A start that has to fail. Answers what the log says.
fn refused(environment: &[(&str, &str)]) -> Option<String> {
    let container = Container::run(image()?, &Wanted { environment, ..Wanted::default() });
    assert_eq!(container.wait_for_end(), 1, "{environment:?}");
    Some(container.logs().1)
}

/// What the broker says of one of its settings.
fn setting(container: &Container, key: &str) -> String {
    let all = container
        .sh("kafka-configs --bootstrap-server localhost:9092 --entity-type brokers --entity-name 1 --describe --all");
    let line = all.lines().map(str::trim).find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{key}: {all}")).split(' ').next().unwrap().to_owned()
}

#[test]
fn variables_that_are_no_settings_say_nothing() {
    let environment = [
        ("KAFKA_VERSION", "4.3.1"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("KAFKA_LOG4J_OPTS", "-Dx=y"),
        ("KAFKA_OPTS", "-Dx=y"),
        ("KAFKA_JMX_OPTS", "-Dx=y"),
        ("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseG1GC"),
        ("KAFKA_GC_LOG_OPTS", "-Xlog:gc"),
        ("KAFKA_LOG4J_ROOT_LOGLEVEL", "WARN"),
        ("KAFKA_LOG4J_LOGGERS", "kafka.controller=WARN"),
        ("KAFKA_TOOLS_LOG4J_LOGLEVEL", "ERROR"),
        ("KAFKA_JMX_HOSTNAME", "localhost"),
        ("KAFKA_JMX_PORT", "9999"),
        ("KAFKA_HOME", "/opt/kafka"),
        ("KAFKA_DEBUG", "y"),
        ("KAFKA_LOG", "x"),
        ("KAFKA_CONFLUENT_LICENSE_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_REST_HOST_NAME", "rest"),
        ("CONFLUENT_SUPPORT_CUSTOMER_ID", "anonymous"),
        ("SCALA_VERSION", "2.13"),
        ("JAVA_TOOL_OPTIONS", "-Dx=y"),
        ("COMPONENT", "kafka"),
        ("BITNAMI_DEBUG", "yes"),
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("LOG4J_LOGGER_KAFKA", "INFO"),
        ("START_TIMEOUT", "60"),
    ];
    let Some(container) = ready(&[], &environment) else { return };
    let (_, err) = container.logs();
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{err}");
}

#[test]
fn underscores_become_dots_and_the_environment_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = "num.partitions=4\nlog.retention.ms=5000000\nmessage.max.bytes=2000000\n";
    std::fs::write(directory.path().join("server.properties"), file).unwrap();
    for place in ["/mnt/shared/config", "/bitnami/kafka/config"] {
        let volume = format!("{}:{place}:ro", directory.path().display());
        let environment = [("KAFKA_NUM_PARTITIONS", "7"), ("KAFKA_CFG_LOG_RETENTION_MS", "6000000")];
        let Some(container) = ready(&["--volume", &volume], &environment) else { return };
        assert_eq!(setting(&container, "num.partitions"), "7");
        assert_eq!(setting(&container, "log.retention.ms"), "6000000");
        assert_eq!(setting(&container, "message.max.bytes"), "2000000", "from the file in {place}");
        // Apache's image drops its own defaults when a file is mounted; ours contradict nobody.
        container.round_trip("localhost:9092");
    }
}

#[test]
fn a_variable_may_name_a_file_with_its_value() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rack"), "zone-7\n").unwrap();
    std::fs::write(directory.path().join("id"), "abcdefghijklmnopqrstuv\n").unwrap();
    let volume = format!("{}:/run/secrets:ro", directory.path().display());
    let environment =
        [("KAFKA_CFG_BROKER_RACK_FILE", "/run/secrets/rack"), ("KAFKA_KRAFT_CLUSTER_ID_FILE", "/run/secrets/id")];
    let Some(container) = ready(&["--volume", &volume], &environment) else { return };
    assert_eq!(setting(&container, "broker.rack"), "zone-7");
    let meta = container.sh("cat /var/lib/kafka/data/meta.properties");
    assert!(meta.contains("cluster.id=abcdefghijklmnopqrstuv"), "{meta}");
}

#[test]
fn what_compose_files_say_of_a_cluster_of_one_is_accepted() {
    let environment = [
        ("KAFKA_KRAFT_MODE", "true"),
        ("KAFKA_SOME_NEW_KEY", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS", "localhost:9093"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093,INTERNAL-2://:9095"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://:9092,INTERNAL-2://localhost:9095,"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL-2"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INTERNAL-2:PLAINTEXT"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
        ("KAFKA_LOG_FLUSH_INTERVAL_MESSAGES", "9223372036854775807"),
        ("KAFKA_LOG_DIRS", "/var/lib/kafka/data/logs"),
        ("KAFKA_SKIP_KRAFT_STORAGE_INIT", "true"),
        ("KAFKA_INITIAL_CONTROLLERS", "1@localhost:9093:0"),
    ];
    let Some(container) = ready(&[], &environment) else { return };
    container.round_trip("localhost:9092");
    container.round_trip("localhost:9095");
    let (_, err) = container.logs();
    assert!(err.contains("some.new.key (environment variable KAFKA_SOME_NEW_KEY) is not known and ignored"), "{err}");
    // An empty host is the address that the client came by, which it can reach; Kafka's images say the machine's name.
    let told = container.sh("ottla cluster -o json -b 127.0.0.1:9092");
    assert!(told.contains("\"127.0.0.1\""), "{told}");
    assert!(!container.sh("ls /var/lib/kafka/data/logs").is_empty());
    assert_eq!(
        container.exec(&["sh", "-c", "echo x | ottla produce not-there"]).0,
        Some(1),
        "topics are not made on use"
    );
}

#[test]
fn what_would_only_look_protected_or_replicated_stops_the_start() {
    for (variable, value, words) in [
        ("KAFKA_SSL_KEYSTORE_FILENAME", "kafka.keystore.jks", "ssl.keystore.filename"),
        ("KAFKA_SSL_KEY_CREDENTIALS", "creds", "ssl.key.credentials"),
        ("KAFKA_TLS_TYPE", "JKS", "tls.type"),
        ("KAFKA_CERTIFICATE_PASSWORD", "x", "certificate.password"),
        ("KAFKA_SASL_ENABLED_MECHANISMS", "PLAIN", "sasl.enabled.mechanisms"),
        ("KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-256_SASL_JAAS_CONFIG", "x", "listener.name.secure.scram-sha-256"),
        ("KAFKA_CLIENT_USERS", "user", "client.users"),
        ("KAFKA_INTER_BROKER_PASSWORD", "x", "inter.broker.password"),
        ("KAFKA_CONTROLLER_USER", "x", "controller.user"),
        ("KAFKA_KRAFT_BOOTSTRAP_SCRAM_USERS", "true", "kraft.bootstrap.scram.users"),
        ("KAFKA_LISTENERS", "SASL_PLAINTEXT://:9092", "SASL_PLAINTEXT"),
        ("KAFKA_PROCESS_ROLES", "controller", "process.roles"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@a:9093,2@b:9093", "controller.quorum.voters"),
        ("CUSTOM_INIT_SCRIPT", "echo x", "CUSTOM_INIT_SCRIPT"),
        ("BROKER_ID_COMMAND", "echo 1", "BROKER_ID_COMMAND"),
    ] {
        let Some(log) = refused(&[(variable, value)]) else { return };
        assert!(log.contains("ERROR") && log.contains(words), "{variable}: {log}");
    }
}

#[test]
fn topics_of_wurstmeister_may_have_lines() {
    let environment =
        [("KAFKA_CREATE_TOPICS", "one:2:1\nstate:1:1:compact\n"), ("KAFKA_CREATE_TOPICS_SEPARATOR", "$'\\n'")];
    let Some(container) = ready(&[], &environment) else { return };
    assert_eq!(container.sh("ottla topic describe one -o json").matches("\"leader\"").count(), 2);
    assert!(container.sh("ottla topic describe state").contains("compact"));
}

#[test]
fn topics_of_a_mounted_config_map_are_there_when_it_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let file = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata: {name: orders}\nspec: {partitions: 3}\n---\n- clicks\n";
    std::fs::create_dir(directory.path().join("..1")).unwrap();
    std::fs::write(directory.path().join("..1/topics.yaml"), file).unwrap();
    std::os::unix::fs::symlink("..1", directory.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/topics.yaml", directory.path().join("topics.yaml")).unwrap();
    let volume = format!("{}:/etc/ottla/topics:ro", directory.path().display());
    let environment = [("OTTLA_TOPICS_FILE", "/etc/ottla/topics")];
    let Some(container) = ready(&["--volume", &volume, "--read-only"], &environment) else { return };
    assert_eq!(container.sh("ottla topic describe orders -o json").matches("\"leader\"").count(), 3);
    assert!(container.sh("kafka-topics --bootstrap-server localhost:9092 --list").contains("clicks"));
}

#[test]
fn health_checks_of_compose_files_work_as_typed() {
    let Some(container) = ready(&[], &[]) else { return };
    for check in [
        "kafka-topics --bootstrap-server localhost:9092 --list",
        "kafka-topics.sh --bootstrap-server localhost:9092 --list",
        "/opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --list",
        "/opt/bitnami/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --list",
        "/bin/kafka-topics --list --bootstrap-server localhost:9092",
        "kafka-broker-api-versions --bootstrap-server localhost:9092",
        "kafka-broker-api-versions.sh --bootstrap-server=localhost:9092 || exit 1",
        "cub kafka-ready -b localhost:9092 1 20",
        "nc -z localhost 9092",
        "nc -z -w 2 127.0.0.1 9092 || exit -1",
    ] {
        let (code, out, err) = container.exec(&["sh", "-c", check]);
        assert_eq!(code, Some(0), "{check}: {out}{err}");
    }
    let version = container.sh("kafka-topics.sh --version");
    assert!(version.split(' ').next().unwrap().split('.').count() == 3, "a version comes first: {version}");
}
