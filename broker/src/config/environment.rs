//! Environment variables as configuration.
//!
//! `KAFKA_LOG_DIRS` is `log.dirs`, as in Kafka's own image: after the prefix, `___` is a hyphen, `__` an underscore and
//! `_` a dot. `OTTLA_LOG_LEVEL` is `ottla.log.level` by the same rule, and `KAFKA_CFG_LOG_DIRS`, Bitnami's spelling, is
//! `log.dirs` too.
//!
//! Kubernetes puts variables of its own into every pod: where a Service is called `kafka`, there is `KAFKA_PORT`. Those
//! describe other pods and are nobody's settings.
//!
//! Four images gave variables of their own a meaning, and people's Compose files carry them along: what can be kept is
//! kept, what cannot is refused with the cure.

use std::collections::BTreeMap;

use super::{table, unenforced};

/// Variables of Kafka's images that configure the JVM, the logging library or the image itself, and those that are read
/// elsewhere.
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
    "OTTLA_DEFAULTS",
];
const NOT_KEY_PREFIXES: &[&str] = &["KAFKA_CONFLUENT_", "KAFKA_REST_"];

/// Names under which images pass the cluster id.
const CLUSTER_ID: &[&str] = &["CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"];

/// Shell commands of the wurstmeister image, whose output was to be the setting named here.
const COMMANDS: &[(&str, &str)] = &[
    ("HOSTNAME_COMMAND", "KAFKA_ADVERTISED_HOST_NAME, or leave it out: clients are told the address they came by"),
    ("PORT_COMMAND", "KAFKA_ADVERTISED_PORT"),
    ("BROKER_ID_COMMAND", "KAFKA_NODE_ID"),
    ("RACK_COMMAND", "KAFKA_BROKER_RACK"),
    ("CUSTOM_INIT_SCRIPT", "a script in /docker-entrypoint-initdb.d, which the image runs before the broker"),
];

/// The variable of the wurstmeister image that says what clients connect to, and its companions.
const HOST_NAME: &str = "KAFKA_ADVERTISED_HOST_NAME";
const HOST_PORT: &str = "KAFKA_ADVERTISED_PORT";
const LISTEN_PORT: &str = "KAFKA_PORT";

/// A file that a variable names holds one value; one that is larger is something else.
const MAX_VALUE_FILE_BYTES: u64 = 64 << 10;

/// A setting out of the environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) variable: String,
}

/// Every setting among `variables`, and everything that cannot be one, one sentence each.
pub(crate) fn settings(variables: &[(String, String)]) -> (Vec<Found>, Vec<String>) {
    // Sorted, so that the outcome does not depend on the order of the environment when two variables mean one key.
    let variables: BTreeMap<&str, &str> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (variable, value) in &variables {
        if let Some((_, instead)) = COMMANDS.iter().find(|(command, _)| command == variable) {
            problems.push(format!("environment variable {variable} is refused: commands are not run; set {instead}"));
        }
        let Some(key) = key_of(variable, value) else { continue };
        let (key, value) = match value_in_file(&key) {
            None => (key, Ok((*value).to_owned())),
            Some(key) => (key, read_value(value)),
        };
        match value {
            Ok(value) => found.push(Found { key, value, variable: (*variable).to_owned() }),
            Err(problem) => problems
                .push(format!("environment variable {variable}: {value:?}: {problem}", value = variables[variable])),
        }
    }
    translate_host_name(&variables, &mut found);
    (found, problems)
}

/// The key for which `key` names a file with the value, as Bitnami's variables that end in `_FILE` do.
fn value_in_file(key: &str) -> Option<String> {
    let known = |name: &str| table::broker_key(name).is_some() || unenforced::verdict(name, "").is_some();
    let bare = key.strip_suffix(".file")?;
    (table::broker_key(key).is_none() && known(bare)).then(|| bare.to_owned())
}

fn read_value(path: &str) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_VALUE_FILE_BYTES {
        return Err(format!("is {size} bytes long, which no value is"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// `KAFKA_ADVERTISED_HOST_NAME`, with ports or without, in the words of today. Where `KAFKA_ADVERTISED_LISTENERS` is set
/// too, that is what holds.
fn translate_host_name(variables: &BTreeMap<&str, &str>, found: &mut Vec<Found>) {
    let has = |found: &[Found], key: &str| found.iter().any(|setting| setting.key == key);
    let Some(host) = variables.get(HOST_NAME).filter(|host| !host.is_empty()) else { return };
    let number = |variable| variables.get(variable).copied().filter(|value: &&str| value.parse::<u16>().is_ok());
    found.retain(|setting| ![HOST_NAME, HOST_PORT, LISTEN_PORT].contains(&&*setting.variable));
    if has(found, "advertised.listeners") {
        return;
    }
    let listen_port = number(LISTEN_PORT).unwrap_or("9092");
    let advertised_port = number(HOST_PORT).unwrap_or(listen_port);
    let mut add = |key: &str, value| {
        found.push(Found { key: key.into(), value, variable: HOST_NAME.into() });
    };
    add("advertised.listeners", format!("PLAINTEXT://{host}:{advertised_port}"));
    if !variables.contains_key("KAFKA_LISTENERS") && !variables.contains_key("KAFKA_CFG_LISTENERS") {
        add("listeners", format!("PLAINTEXT://:{listen_port}"));
    }
}

/// The key that a variable sets, or `None` when it is no setting.
fn key_of(variable: &str, value: &str) -> Option<String> {
    if CLUSTER_ID.contains(&variable) {
        return Some("ottla.cluster.id".into());
    }
    if is_service_link(variable, value)
        || NOT_KEYS.contains(&variable)
        || NOT_KEY_PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
    {
        return None;
    }
    if let Some(rest) = variable.strip_suffix("_FILE")
        && CLUSTER_ID.contains(&rest)
    {
        return Some("ottla.cluster.id.file".into());
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

    fn found(variables: &[(&str, &str)]) -> (BTreeMap<String, String>, Vec<String>) {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (found, problems) = settings(&variables);
        (found.into_iter().map(|setting| (setting.key, setting.value)).collect(), problems)
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn an_advertised_host_name_becomes_a_listener() {
        let (settings, problems) = found(&[("KAFKA_ADVERTISED_HOST_NAME", "broker.example")]);
        let expected =
            [("advertised.listeners", "PLAINTEXT://broker.example:9092"), ("listeners", "PLAINTEXT://:9092")];
        assert_eq!((settings, problems), (map(&expected), vec![]));

        let ports = [
            ("KAFKA_ADVERTISED_HOST_NAME", "h"),
            ("KAFKA_ADVERTISED_PORT", "32000"),
            ("KAFKA_PORT", "19092"),
            ("KAFKA_BROKER_ID", "-1"),
        ];
        let expected =
            [("advertised.listeners", "PLAINTEXT://h:32000"), ("broker.id", "-1"), ("listeners", "PLAINTEXT://:19092")];
        assert_eq!(found(&ports).0, map(&expected));

        let modern = [("KAFKA_ADVERTISED_HOST_NAME", "h"), ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://x:1")];
        assert_eq!(found(&modern).0, map(&[("advertised.listeners", "PLAINTEXT://x:1")]));
        let linked = [("KAFKA_ADVERTISED_HOST_NAME", "h"), ("KAFKA_PORT", "tcp://10.0.0.1:9092")];
        assert_eq!(found(&linked).0["listeners"], "PLAINTEXT://:9092");
    }

    #[test]
    fn commands_are_refused_with_what_to_set_instead() {
        let (settings, problems) = found(&[("HOSTNAME_COMMAND", "hostname -i"), ("BROKER_ID_COMMAND", "echo 1")]);
        assert_eq!(settings, map(&[]));
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("BROKER_ID_COMMAND is refused") && problems[0].ends_with("set KAFKA_NODE_ID"));
        assert!(problems[1].contains("KAFKA_ADVERTISED_HOST_NAME"), "{}", problems[1]);
    }

    #[test]
    fn a_variable_may_name_the_file_of_its_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc\n").unwrap();
        let path = file.path().to_str().unwrap();
        for (variable, key) in [
            ("KAFKA_KRAFT_CLUSTER_ID_FILE", "ottla.cluster.id"),
            ("CLUSTER_ID_FILE", "ottla.cluster.id"),
            ("KAFKA_CFG_BROKER_RACK_FILE", "broker.rack"),
            ("KAFKA_CLIENT_PASSWORDS_FILE", "client.passwords"),
        ] {
            assert_eq!(found(&[(variable, path)]), (map(&[(key, "abc")]), vec![]), "{variable}");
        }
        let (_, problems) = found(&[("CLUSTER_ID_FILE", "/no/such/file")]);
        assert!(problems[0].starts_with("environment variable CLUSTER_ID_FILE: \"/no/such/file\": "), "{problems:?}");
        let unknown = found(&[("KAFKA_SOME_FILE", "/no/such/file")]);
        assert_eq!(unknown, (map(&[("some.file", "/no/such/file")]), vec![]), "nobody knows some");
    }
}
