//! Where settings come from, and which one wins.
//!
//! `--set key=value` beats the environment, which beats the file, which beats what `OTTLA_DEFAULTS` names, which beats
//! the default. What comes out holds keys of the table only, each with a value of its type; everything else became a
//! warning or a reason not to start.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use state::cluster::Image;

use super::broker_config::BrokerConfig;
use super::first_topics::{self, FirstTopic};
use super::layers::Layers;
use super::unenforced::{self, Verdict};
use super::{cgroup, environment, limits, properties, size, table};

/// A configuration file larger than this is something else.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the process was given: command line, environment, file.
#[derive(Clone, Debug, Default)]
pub struct ConfigInput {
    /// `key=value`, in the order of the command line; the last one of a key wins.
    pub set: Vec<String>,
    /// Variables, all of them; those that are no settings are passed over.
    pub environment: Vec<(String, String)>,
    /// A Java .properties file.
    pub file: Option<PathBuf>,
    /// Another one, which every other source beats: how an image differs from a program started by hand.
    pub defaults: Option<PathBuf>,
}

impl ConfigInput {
    /// The command line and the environment of this process, and a file. `OTTLA_DEFAULTS` names the weakest.
    pub fn of_process(set: Vec<String>, file: Option<PathBuf>) -> ConfigInput {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let environment: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        let defaults = std::env::var_os("OTTLA_DEFAULTS").filter(|path| !path.is_empty()).map(PathBuf::from);
        ConfigInput { set, environment, file, defaults }
    }

    /// What was set, key by key, the strongest of each, as it was written: for those who prepare what a broker will find.
    ///
    /// # Errors
    /// Sources that cannot be read. Whether a broker would take the values is not asked.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut reader = Reader::default();
        let given = reader.collect(self);
        if !reader.problems.is_empty() {
            return Err(ConfigError { problems: reader.problems });
        }
        Ok(given.into_iter().map(|(key, setting)| (key, setting.value)).collect())
    }
}

/// Why a configuration was refused: every reason at once, each naming a key, where it was set, and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// One sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    Environment(String),
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::CommandLine => f.write_str("--set"),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::File(path, line) => write!(f, "{} line {line}", path.display()),
        }
    }
}

/// A setting as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// The settings that were given at start. They never change while the broker runs; what may change is in the cluster's
/// metadata, and [`ConfigSource::resolve`] puts both together.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    settings: BTreeMap<&'static str, Setting>,
    /// Names of `controller.listener.names`: such listeners are not opened.
    pub(crate) controller_listeners: Vec<String>,
    /// What `create.topics` asks for.
    pub(crate) first_topics: Vec<FirstTopic>,
    /// What the cgroup grants, if it limits memory.
    pub(crate) cgroup_bytes: Option<u64>,
}

impl ConfigSource {
    /// Reads all sources. Warnings are sentences for the log.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(input: &ConfigInput) -> Result<(ConfigSource, Vec<String>), ConfigError> {
        let mut reader = Reader::default();
        let mut given = reader.collect(input);
        reader.take_first_topics(&mut given);
        for (name, setting) in given {
            reader.take(&name, setting);
        }
        reader.warn_of_hidden_names();
        reader.config.cgroup_bytes = cgroup::memory_limit(Path::new("/"));
        reader.check_memory();
        if reader.problems.is_empty() {
            // What single values cannot show: listeners, directories, numbers that contradict each other.
            match BrokerConfig::build(Layers::fixed(&reader.config)) {
                Ok(config) => reader.warnings.extend(config.doubts()),
                Err(problems) => reader.problems = problems,
            }
        }
        if reader.problems.is_empty() {
            Ok((reader.config, reader.warnings))
        } else {
            Err(ConfigError { problems: reader.problems })
        }
    }

    /// The configuration in force on broker `node_id`, with what `image` holds for it and for all brokers.
    ///
    /// # Errors
    /// What contradicts what, one sentence a line.
    pub(crate) fn resolve(&self, image: &Image, node_id: i32) -> Result<BrokerConfig, String> {
        BrokerConfig::build(Layers::new(self, image, node_id)).map_err(|problems| problems.join("\n"))
    }

    /// What a key says that is needed before anything else: how to log.
    pub(crate) fn start_text(&self, name: &'static str) -> String {
        Layers::fixed(self).value(name).map(|value| value.to_string()).unwrap_or_default()
    }

    /// Where clients connect first.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the name of the listener's host.
    pub(crate) fn first_listener(&self) -> Result<SocketAddr, String> {
        let config = BrokerConfig::build(Layers::fixed(self)).map_err(|problems| problems.join("; "))?;
        let listener = config.listeners.first().ok_or("there is no listener")?;
        listener.bind_address().map_err(|error| format!("{listener}: {error}"))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// How `name` appears in a message: with the place where it was set.
    pub(crate) fn place(&self, name: &str) -> String {
        match self.get(name) {
            Some(setting) => format!("{name} ({})", setting.origin),
            None => name.into(),
        }
    }
}

#[derive(Default)]
struct Reader {
    config: ConfigSource,
    warnings: Vec<String>,
    problems: Vec<String>,
}

impl Reader {
    /// All settings by name, the strongest of each.
    fn collect(&mut self, input: &ConfigInput) -> BTreeMap<String, Setting> {
        let mut given = self.read(input.file.as_deref());
        let (found, problems) = environment::settings(&input.environment);
        self.problems.extend(problems);
        for environment::Found { key, value, variable } in found {
            given.insert(key, Setting { value, origin: Origin::Environment(variable) });
        }
        for assignment in &input.set {
            match assignment.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    let setting = Setting { value: value.into(), origin: Origin::CommandLine };
                    given.insert(key.trim().into(), setting);
                }
                _ => self.problems.push(format!("--set {assignment}: write it as key=value")),
            }
        }
        for (key, setting) in self.read(input.defaults.as_deref()) {
            // Where somebody says what to advertise, where to listen follows from it.
            if key != "listeners" || !given.contains_key("advertised.listeners") {
                given.entry(key).or_insert(setting);
            }
        }
        given
    }

    fn read(&mut self, path: Option<&Path>) -> BTreeMap<String, Setting> {
        let Some(path) = path else { return BTreeMap::new() };
        let setting = |property: properties::Property| {
            let origin = Origin::File(path.into(), property.line);
            (property.key, Setting { value: property.value, origin })
        };
        match read_file(path) {
            Ok(properties) => properties.into_iter().map(setting).collect(),
            Err(problem) => {
                self.problems.push(format!("{}: {problem}", path.display()));
                BTreeMap::new()
            }
        }
    }

    /// Takes what asks for topics at start: it is work to do once, and no setting.
    fn take_first_topics(&mut self, given: &mut BTreeMap<String, Setting>) {
        let separator = given.remove("create.topics.separator").map(|setting| setting.value);
        let Some(Setting { value, origin }) = given.remove("create.topics") else { return };
        match first_topics::parse(&value, separator.as_deref()) {
            Ok(topics) => self.config.first_topics = topics,
            Err(problem) => self.problems.push(format!("create.topics ({origin}): {problem}")),
        }
    }

    /// Whether there is memory enough to work in.
    fn check_memory(&mut self) {
        let Some(granted) = self.config.cgroup_bytes else { return };
        let setting = self.config.get("ottla.memory.limit");
        let configured = setting.and_then(|setting| size::parse_size(&setting.value));
        let place = self.config.place("ottla.memory.limit");
        match limits::doubt_of_memory(granted, configured) {
            Some(limits::Doubt::TooLittle(text)) => self.problems.push(text),
            Some(limits::Doubt::TooMuch(text)) => self.warnings.push(format!("{place}: {text}")),
            None => {}
        }
    }

    fn take(&mut self, name: &str, setting: Setting) {
        let Some(key) = table::broker_key(name) else {
            return self.take_unknown(name, &setting);
        };
        match key.parse(&setting.value) {
            Err(problem) => self.problems.push(format!("{}: {problem}", setting.origin)),
            Ok(value) => {
                if let Some(reason) = key.default_only
                    && !key.is_default(&value)
                {
                    self.warnings.push(format!("{name}={value} ({}) has no effect: {reason}", setting.origin));
                    return;
                }
                self.config.settings.insert(key.name, setting);
            }
        }
    }

    fn take_unknown(&mut self, name: &str, setting: &Setting) {
        let Setting { value, origin } = setting;
        if name == "controller.listener.names" {
            self.config.controller_listeners = super::key::split_list(value);
        }
        match unenforced::verdict(name, value) {
            Some(Verdict::NoEffect(why)) => self.warnings.push(format!("{name} ({origin}) has no effect: {why}")),
            Some(Verdict::RefusedUnless(accepted, _)) if unenforced::is_accepted(accepted, value) => {}
            Some(Verdict::Refused(cure) | Verdict::RefusedUnless(_, cure)) => {
                self.problems.push(format!("{name} ({origin}) is refused: {cure}"));
            }
            // A variable may be meant for something else, such as the tools or a test; the other places are ours alone.
            None if name.starts_with("ottla.") && !matches!(origin, Origin::Environment(_)) => {
                self.problems.push(format!("{name} ({origin}) does not exist{}", suggestion(name)));
            }
            None => self.warnings.push(format!("{name} ({origin}) is not known and ignored{}", suggestion(name))),
        }
    }

    /// Kafka lets the stronger name win even if the weaker one was set at a stronger place, which surprises.
    fn warn_of_hidden_names(&mut self) {
        for key in table::topic_keys() {
            let mut set = key
                .synonyms
                .iter()
                .filter_map(|synonym| self.config.get(synonym.broker_key).map(|setting| (synonym.broker_key, setting)));
            let Some((winner, _)) = set.next() else { continue };
            for (name, setting) in set {
                self.warnings.push(format!("{name} ({}) has no effect: {winner} is set too", setting.origin));
            }
        }
    }
}

fn suggestion(name: &str) -> String {
    let broker_synonym = table::topic_key(name).and_then(|key| key.synonyms.first()).map(|synonym| synonym.broker_key);
    match broker_synonym.or_else(|| table::nearest(name, table::broker_keys().map(|key| key.name))) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    }
}

fn read_file(path: &Path) -> Result<Vec<properties::Property>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("is {size} bytes long, which no configuration is"));
    }
    properties::parse(&std::fs::read(path).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(set: &[&str], environment: &[(&str, &str)], file: &str) -> (ConfigInput, tempfile::NamedTempFile) {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(on_disk.path(), file).unwrap();
        let environment = environment.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let set = set.iter().map(|text| text.to_string()).collect();
        (ConfigInput { set, environment, file: Some(on_disk.path().into()), defaults: None }, on_disk)
    }

    fn load(set: &[&str], environment: &[(&str, &str)], file: &str) -> Result<(ConfigSource, Vec<String>), String> {
        let (input, on_disk) = input(set, environment, file);
        let path = on_disk.path().display().to_string();
        ConfigSource::load(&input).map_err(|error| error.to_string().replace(&path, "FILE"))
    }

    #[test]
    fn command_line_then_environment_then_file() {
        let file = "num.partitions=3\nmessage.max.bytes=5\nlog.dirs=/f";
        let environment = [("KAFKA_NUM_PARTITIONS", "4"), ("KAFKA_MESSAGE_MAX_BYTES", "6")];
        let (config, warnings) = load(&["num.partitions=5", "num.partitions=6"], &environment, file).unwrap();
        assert_eq!(config.get("num.partitions").unwrap().value, "6");
        assert_eq!(config.get("num.partitions").unwrap().origin, Origin::CommandLine);
        assert_eq!(config.get("message.max.bytes").unwrap().value, "6");
        assert_eq!(config.get("log.dirs").unwrap().value, "/f");
        assert!(matches!(&config.get("log.dirs").unwrap().origin, Origin::File(_, 3)));
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let error = load(
            &["oops", "ottla.memory.limits=1g", "num.partitions=0"],
            &[("KAFKA_SSL_KEYSTORE_LOCATION", "/x"), ("OTTLA_LOG_LEVEL", "loud")],
            "\nmessage.max.bytes=big\nport=9092",
        )
        .unwrap_err();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(
            lines,
            [
                "--set oops: write it as key=value",
                "FILE line 2: Invalid value big for configuration message.max.bytes: Not a number of type INT",
                "--set: Invalid value 0 for configuration num.partitions: Value must be at least 1",
                "environment variable OTTLA_LOG_LEVEL: Invalid value loud for configuration ottla.log.level: String must \
                 be one of: error, warn, info, debug, trace",
                "ottla.memory.limits (--set) does not exist; did you mean ottla.memory.limit?",
                "port (FILE line 3) is refused: Kafka 3.0 removed it; set `listeners` and `advertised.listeners` instead",
                "ssl.keystore.location (environment variable KAFKA_SSL_KEYSTORE_LOCATION) is refused: encryption is not \
                 supported yet; remove it, and let a proxy or the network encrypt",
            ]
        );
    }

    #[test]
    fn what_does_nothing_is_warned_of_by_name() {
        let (config, warnings) = load(
            &["retention.ms=5", "num.partition=2", "made.up=1", "log.segment.delete.delay.ms=1"],
            &[("KAFKA_ZOOKEEPER_CONNECT", "z:2181"), ("KAFKA_PORT", "tcp://1.2.3.4:9092")],
            "num.io.threads=8\nprocess.roles=broker, controller\nlog.retention.ms=1\nlog.retention.hours=2",
        )
        .unwrap();
        let mut starts: Vec<_> = warnings.iter().map(|line| line.split(" (").next().unwrap()).collect();
        starts.sort_unstable();
        assert_eq!(
            starts,
            [
                "log.retention.hours",
                "log.segment.delete.delay.ms=1",
                "made.up",
                "num.io.threads",
                "num.partition",
                "retention.ms",
                "zookeeper.connect"
            ]
        );
        assert!(warnings.iter().any(|line| line.ends_with("did you mean log.retention.ms?")));
        assert!(warnings.iter().any(|line| line.ends_with("did you mean num.partitions?")));
        assert!(config.get("log.segment.delete.delay.ms").is_none());
    }

    #[test]
    fn controller_listeners_are_remembered() {
        let (config, _) = load(&[], &[("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")], "").unwrap();
        assert_eq!(config.controller_listeners, ["CONTROLLER"]);
    }

    #[test]
    fn a_missing_file_is_a_problem() {
        let input = ConfigInput { file: Some("/no/such/file".into()), ..Default::default() };
        let error = ConfigSource::load(&input).unwrap_err();
        assert!(error.problems[0].starts_with("/no/such/file: "), "{error}");
    }
}
