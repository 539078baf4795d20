//! Environment variables as configuration.
//!
//! `KAFKA_LOG_DIRS` is `log.dirs`, as in Kafka's own image: after the prefix, `___` is a hyphen, `__` an underscore and
//! `_` a dot. `OTTLA_LOG_LEVEL` is `ottla.log.level` by the same rule, and `KAFKA_CFG_LOG_DIRS`, Bitnami's spelling, is
//! `log.dirs` too.
//!
//! Kubernetes puts variables of its own into every pod: where a Service is called `kafka`, there is `KAFKA_PORT`. Those
//! describe other pods and are nobody's settings.

/// Variables of Kafka's images that configure the JVM, the logging library or the image itself, and the one that tells
/// our tools where a broker is.
const NOT_KEYS: &[&str] = &[
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_PORT",
    "KAFKA_HOME",
    "KAFKA_DEBUG",
    "KAFKA_LOG",
    "OTTLA_BOOTSTRAP_SERVER",
];
const NOT_KEY_PREFIXES: &[&str] = &["KAFKA_CONFLUENT_", "KAFKA_REST_"];

/// Names under which images pass the cluster id.
const CLUSTER_ID: &[&str] = &["CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"];

/// The key that a variable sets, or `None` when it is no setting.
pub(crate) fn key_of(variable: &str, value: &str) -> Option<String> {
    if CLUSTER_ID.contains(&variable) {
        return Some("ottla.cluster.id".into());
    }
    if is_service_link(variable, value)
        || NOT_KEYS.contains(&variable)
        || NOT_KEY_PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
    {
        return None;
    }
    if let Some(rest) = variable.strip_prefix("KAFKA_CFG_") {
        return dotted(rest);
    }
    if let Some(rest) = variable.strip_prefix("KAFKA_") {
        return dotted(rest);
    }
    variable.strip_prefix("OTTLA_").and_then(dotted).map(|rest| format!("ottla.{rest}"))
}

fn dotted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut underscores = 0;
    for c in rest.chars().chain(std::iter::once('\0')) {
        if c == '_' {
            underscores += 1;
            continue;
        }
        // Runs of more than three are read from the left: a hyphen, then what remains.
        while underscores > 0 {
            let run = underscores.min(3);
            key.push(['.', '_', '-'][run - 1]);
            underscores -= run;
        }
        if c != '\0' {
            key.extend(c.to_lowercase());
        }
    }
    (!rest.is_empty()).then_some(key)
}

/// Whether the kubelet (or Docker's old links) made this variable for a Service.
fn is_service_link(variable: &str, value: &str) -> bool {
    let address = value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
    if variable.ends_with("_SERVICE_HOST")
        || variable.ends_with("_SERVICE_PORT")
        || variable.contains("_SERVICE_PORT_")
        || (variable.ends_with("_PORT") && address)
    {
        return true;
    }
    // NAME_PORT_9092_TCP, and the same with _ADDR, _PORT and _PROTO.
    variable.match_indices("_PORT_").any(|(at, marker)| {
        let rest = &variable[at + marker.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let protocol = &rest[digits..];
        digits > 0 && ["_TCP", "_UDP", "_SCTP"].iter().any(|known| protocol.starts_with(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_become_dots_underscores_and_hyphens() {
        for (variable, key) in [
            ("KAFKA_LOG_DIRS", "log.dirs"),
            ("KAFKA_NODE_ID", "node.id"),
            ("KAFKA_A__B", "a_b"),
            ("KAFKA_A___B", "a-b"),
            ("KAFKA_A____B", "a-.b"),
            ("KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-256_X", "listener.name.secure.scram-sha-256.x"),
            ("KAFKA_CFG_NUM_PARTITIONS", "num.partitions"),
            ("OTTLA_MEMORY_LIMIT", "ottla.memory.limit"),
            ("CLUSTER_ID", "ottla.cluster.id"),
            ("KAFKA_KRAFT_CLUSTER_ID", "ottla.cluster.id"),
            ("KAFKA_ADVERTISED_PORT", "advertised.port"),
        ] {
            assert_eq!(key_of(variable, "9").as_deref(), Some(key), "{variable}");
        }
    }

    #[test]
    fn service_links_are_nobodys_settings() {
        for (variable, value) in [
            ("KAFKA_PORT", "tcp://10.96.0.7:9092"),
            ("KAFKA_SERVICE_HOST", "10.96.0.7"),
            ("KAFKA_SERVICE_PORT", "9092"),
            ("KAFKA_SERVICE_PORT_CLIENT", "9092"),
            ("KAFKA_PORT_9092_TCP", "tcp://10.96.0.7:9092"),
            ("KAFKA_PORT_9092_TCP_ADDR", "10.96.0.7"),
            ("KAFKA_PORT_9092_TCP_PORT", "9092"),
            ("KAFKA_PORT_9092_TCP_PROTO", "tcp"),
            ("KAFKA_BROKER_PORT", "tcp://10.96.0.7:9092"),
            ("OTTLA_SERVICE_HOST", "10.96.0.7"),
            ("OTTLA_PORT_8080_UDP", "udp://10.96.0.7:8080"),
        ] {
            assert_eq!(key_of(variable, value), None, "{variable}");
        }
        // A number is what somebody wrote; it is refused later, with the cure.
        assert_eq!(key_of("KAFKA_PORT", "9092").as_deref(), Some("port"));
    }

    #[test]
    fn the_images_own_variables_are_not_keys() {
        for variable in
            ["KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JMX_PORT", "KAFKA_CONFLUENT_X", "KAFKA_", "PATH", "OTTLA"]
        {
            assert_eq!(key_of(variable, "x"), None, "{variable}");
        }
    }
}
