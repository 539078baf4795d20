//! How each Testcontainers module starts Kafka: the environment, the command that waits for a script, the script that it
//! copies into the running container, and the line it waits for. What each does is a fact about that module; the mapped
//! port is 32768 where it would be any.

use crate::podman::{Container, Wanted, image};

struct Module {
    environment: Vec<(&'static str, &'static str)>,
    options: &'static [&'static str],
    command: &'static [&'static str],
    /// Where the script goes, and what it says.
    script: Option<(&'static str, &'static str)>,
    awaited: &'static str,
    /// Where a client inside the container's network finds the broker.
    inside: &'static str,
}

fn start(module: &Module) -> Option<Container> {
    let wanted = Wanted { options: module.options, environment: &module.environment, command: module.command };
    let container = Container::run(image()?, &wanted);
    if let Some((path, content)) = module.script {
        container.put(path, content);
    }
    let out = container.wait_for(module.awaited);
    assert_eq!(out.matches(module.awaited).count(), 1, "{out}");
    container.round_trip(module.inside);
    Some(container)
}

const ONE_REPLICA: [(&str, &str); 6] = [
    ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
    ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
    ("KAFKA_LOG_FLUSH_INTERVAL_MESSAGES", "9223372036854775807"),
    ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
];

fn with_one_replica(rest: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    ONE_REPLICA.iter().chain(rest).copied().collect()
}

/// Modules that start a broker which is its own controller.
fn kraft(listeners: &'static str) -> Vec<(&'static str, &'static str)> {
    with_one_replica(&[
        ("KAFKA_LISTENERS", listeners),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9094"),
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_BROKER_ID", "1"),
    ])
}

/// Modules that start a ZooKeeper beside it.
fn zookeeper() -> Vec<(&'static str, &'static str)> {
    with_one_replica(&[
        ("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
        ("KAFKA_ADVERTISED_LISTENERS", "BROKER://localhost:9092"),
        ("KAFKA_ZOOKEEPER_CONNECT", "localhost:2181"),
        ("KAFKA_BROKER_ID", "1"),
    ])
}

const RECOVERED: &str = "Transitioning from RECOVERY to RUNNING";

#[test]
fn java_apache() {
    let mut environment = kraft("PLAINTEXT://:9092,BROKER://:9093,CONTROLLER://:9094,TC-0://kafka:19092");
    environment.push(("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"));
    environment.retain(|(variable, _)| *variable != "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP");
    environment.push((
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TC-0:PLAINTEXT",
    ));
    start(&Module {
        environment,
        options: &["--add-host", "kafka:127.0.0.1"],
        command: &[
            "sh",
            "-c",
            "while [ ! -f /tmp/testcontainers_start.sh ]; do sleep 0.1; done; /tmp/testcontainers_start.sh",
        ],
        script: Some((
            "/tmp/testcontainers_start.sh",
            "#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://box:9093,TC-0://kafka:19092\n\
             /etc/kafka/docker/run \n",
        )),
        awaited: RECOVERED,
        inside: "kafka:19092",
    });
}

#[test]
fn java_confluent() {
    let mut environment = kraft("PLAINTEXT://:9092,BROKER://:9093,CONTROLLER://:9094");
    environment.push(("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"));
    start(&Module {
        environment,
        options: &["--add-host", "box:127.0.0.1"],
        command: &[
            "sh",
            "-c",
            "while [ ! -f /tmp/testcontainers_start.sh ]; do sleep 0.1; done; /tmp/testcontainers_start.sh",
        ],
        script: Some((
            "/tmp/testcontainers_start.sh",
            "#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://box:9093\n\
             /etc/confluent/docker/run \n",
        )),
        awaited: RECOVERED,
        inside: "box:9093",
    });
}

#[test]
fn java_confluent_of_old() {
    let module = Module {
        environment: zookeeper(),
        options: &["--add-host", "box:127.0.0.1"],
        command: &[
            "sh",
            "-c",
            "#!/bin/bash\necho 'clientPort=2181' > zookeeper.properties\n\
             echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties\n\
             echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties\n\
             zookeeper-server-start zookeeper.properties &\n\
             echo '' > /etc/confluent/docker/ensure \n/etc/confluent/docker/run \n",
        ],
        script: None,
        awaited: "[KafkaServer id=1] started",
        inside: "localhost:9092",
    };
    let Some(container) = start(&module) else { return };
    let added = "advertised.listeners=[PLAINTEXT://localhost:32768,BROKER://box:9092]";
    advertise(&container, "BROKER://box:9092", added);
}

/// Tells the running broker where it is reached from outside.
fn advertise(container: &Container, bootstrap: &str, added: &str) {
    let mut command = vec!["kafka-configs", "--alter", "--bootstrap-server", bootstrap];
    command.extend(["--entity-type", "brokers", "--entity-name", "1", "--add-config", added]);
    let (code, out, err) = container.exec(&command);
    assert_eq!(code, Some(0), "{out}{err}");
    // Whoever asks on that listener is sent there, and on the other one is not.
    let told = |bootstrap: &str| container.sh(&format!("ottla cluster -o json -b {bootstrap}"));
    assert!(told("localhost:9093").contains("32768"), "{}", told("localhost:9093"));
    assert!(told("localhost:9092").contains("9092"), "{}", told("localhost:9092"));
}

#[test]
fn go() {
    let mut environment = kraft("PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094");
    environment.push((
        "KAFKA_REST_BOOTSTRAP_SERVERS",
        "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
    ));
    // From its option WithClusterID. The script formats with another id all the same, and goes on when that is refused.
    environment.push(("CLUSTER_ID", "test-cluster"));
    start(&Module {
        environment,
        options: &["--entrypoint", "sh", "--add-host", "box:127.0.0.1"],
        command: &[
            "-c",
            "while [ ! -f /usr/sbin/testcontainers_start.sh ]; do sleep 0.1; done; bash /usr/sbin/testcontainers_start.sh",
        ],
        script: Some((
            "/usr/sbin/testcontainers_start.sh",
            "#!/bin/bash\nsource /etc/confluent/docker/bash-config\n\
             export KAFKA_ADVERTISED_LISTENERS=\"PLAINTEXT://localhost:32768,BROKER://box:9092${EXTRA_ADVERTISED_LISTENERS:+,${EXTRA_ADVERTISED_LISTENERS}}\"\n\
             echo Starting Kafka KRaft mode\n\
             sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure\n\
             echo 'kafka-storage format --ignore-formatted -t \"$(kafka-storage random-uuid)\" -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure\n\
             echo '' > /etc/confluent/docker/ensure\n\
             /etc/confluent/docker/configure\n/etc/confluent/docker/launch",
        )),
        awaited: RECOVERED,
        inside: "box:9092",
    });
}

#[test]
fn python() {
    start(&Module {
        environment: zookeeper().into_iter().filter(|(name, _)| !name.contains("ZOOKEEPER")).collect(),
        options: &["--add-host", "box:127.0.0.1"],
        command: &["sh", "-c", "while [ ! -f /tc-start.sh ]; do sleep 0.1; done; sh /tc-start.sh"],
        script: Some((
            "/tc-start.sh",
            "#!/bin/bash\n\n                echo 'clientPort=2181' > zookeeper.properties\n\
             \x20               echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties\n\
             \x20               zookeeper-server-start zookeeper.properties &\n\
             \x20               export KAFKA_ZOOKEEPER_CONNECT='localhost:2181'\n\n\
             export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://$(hostname -i):9092\n\
             . /etc/confluent/docker/bash-config\n/etc/confluent/docker/configure\n/etc/confluent/docker/launch",
        )),
        awaited: "[KafkaServer id=1] started",
        inside: "localhost:9092",
    });
}

#[test]
fn python_kraft() {
    let mut environment = kraft("PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094");
    // 16 random bytes in the ordinary alphabet of base64, with its padding.
    environment.push(("CLUSTER_ID", "+9/Ax6o1SkSd+2Hn/2Zq3A=="));
    start(&Module {
        environment,
        options: &["--add-host", "box:127.0.0.1"],
        command: &["sh", "-c", "while [ ! -f /tc-start.sh ]; do sleep 0.1; done; sh /tc-start.sh"],
        script: Some((
            "/tc-start.sh",
            "#!/bin/bash\n\n                    sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure\n\
             \x20                   echo 'kafka-storage format --ignore-formatted -t +9/Ax6o1SkSd+2Hn/2Zq3A== -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure\n\n\
             export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://$(hostname -i):9092\n\
             . /etc/confluent/docker/bash-config\n/etc/confluent/docker/configure\n/etc/confluent/docker/launch",
        )),
        awaited: "Kafka Server started",
        inside: "localhost:9092",
    });
}

#[test]
fn node() {
    let mut environment = kraft("PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094");
    environment.push(("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"));
    environment.push(("KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE", "false"));
    let module = Module {
        environment,
        options: &["--entrypoint", "sh", "--add-host", "box:127.0.0.1"],
        command: &[
            "-c",
            "echo 'Waiting for script...'; while [ ! -f /testcontainers_start.sh ]; do sleep 0.1; done; /testcontainers_start.sh",
        ],
        script: Some((
            "/testcontainers_start.sh",
            "#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS=BROKER://box:9092,PLAINTEXT://localhost:32768\n\
             /etc/confluent/docker/run \n",
        )),
        awaited: RECOVERED,
        inside: "box:9092",
    };
    let Some(container) = start(&module) else { return };
    // It waits for a listening port, looked for from inside in one of these ways: 0x2385 is 9093.
    let listening = "cat /proc/net/tcp* | awk '{print $2}' | grep -i :2385";
    assert!(!container.sh(listening).is_empty());
    assert_eq!(container.exec(&["bash", "-c", "</dev/tcp/localhost/9093"]).0, Some(0));
    assert_ne!(container.exec(&["bash", "-c", "</dev/tcp/localhost/9999"]).0, Some(0));
    assert_eq!(container.exec(&["nc", "-vz", "-w", "1", "localhost", "9093"]).0, Some(0));
    assert_eq!(container.exec(&["nc", "-z", "localhost", "9092"]).0, Some(0));
    assert_ne!(container.exec(&["nc", "-z", "localhost", "9999"]).0, Some(0));
}

#[test]
fn dotnet() {
    let mut environment = kraft("PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094");
    environment.push(("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"));
    for run in ["/etc/kafka/docker/run", "/etc/confluent/docker/run"] {
        let script = format!(
            "#!/bin/bash\n\nexport KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://127.0.0.1:9093,\nexec {run}\n"
        );
        start(&Module {
            environment: environment.clone(),
            options: &["--entrypoint", "[\"/bin/sh\",\"-c\"]"],
            command: &["while [ ! -f /testcontainers.sh ]; do sleep 0.1; done; /testcontainers.sh"],
            script: Some(("/testcontainers.sh", script.leak())),
            awaited: RECOVERED,
            inside: "127.0.0.1:9093",
        });
    }
}

#[test]
fn dotnet_with_a_zookeeper() {
    start(&Module {
        environment: zookeeper(),
        options: &["--entrypoint", "[\"/bin/sh\",\"-c\"]"],
        command: &["while [ ! -f /testcontainers.sh ]; do sleep 0.1; done; /testcontainers.sh"],
        script: Some((
            "/testcontainers.sh",
            "#!/bin/bash\n\necho 'clientPort=2181' > zookeeper.properties\n\
             echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties\n\
             zookeeper-server-start zookeeper.properties &\n\n\
             export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:32768,BROKER://127.0.0.1:9092,\n\
             echo '' > /etc/confluent/docker/ensure\nexec /etc/confluent/docker/run\n",
        )),
        awaited: "[KafkaServer id=1] started",
        inside: "127.0.0.1:9092",
    });
}

#[test]
fn rust_apache() {
    let mut environment = kraft("PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094");
    environment.push(("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw"));
    let module = Module {
        environment,
        options: &["--entrypoint", "bash"],
        command: &[
            "-c",
            "while [ ! -f /opt/kafka/testcontainers_start.sh  ]; do sleep 0.1; done; \
             chmod 755 /opt/kafka/testcontainers_start.sh && /opt/kafka/testcontainers_start.sh",
        ],
        script: None,
        awaited: "Kafka Server started",
        inside: "localhost:9093",
    };
    let wanted = Wanted { options: module.options, environment: &module.environment, command: module.command };
    let Some(image) = image() else { return };
    let container = Container::run(image, &wanted);
    // Written from inside, by whoever the container's user is.
    container.sh(
        "printf '#!/usr/bin/env bash\\nexport KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:32768,BROKER://localhost:9093\\n\
         /etc/kafka/docker/run \\n' > /opt/kafka/testcontainers_start.sh",
    );
    container.wait_for(module.awaited);
    container.round_trip(module.inside);
}

#[test]
fn rust_confluent() {
    let module = Module {
        environment: vec![
            ("KAFKA_ZOOKEEPER_CONNECT", "localhost:2181"),
            ("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
            ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:9093,BROKER://localhost:9092"),
            ("KAFKA_BROKER_ID", "1"),
            ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ],
        options: &[],
        command: &[
            "/bin/bash",
            "-c",
            "\necho 'clientPort=2181' > zookeeper.properties;\n\
             echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties;\n\
             echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties;\n\
             zookeeper-server-start zookeeper.properties &\n\
             . /etc/confluent/docker/bash-config &&\n/etc/confluent/docker/configure &&\n/etc/confluent/docker/launch",
        ],
        script: None,
        awaited: "Creating new log file",
        inside: "localhost:9092",
    };
    let Some(container) = start(&module) else { return };
    container.wait_for("Checking need to trigger auto leader balancing");
    advertise(&container, "0.0.0.0:9092", "advertised.listeners=[PLAINTEXT://127.0.0.1:32768,BROKER://localhost:9092]");
}
