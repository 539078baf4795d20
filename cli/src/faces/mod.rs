//! The faces: Kafka's own tools, by their names and with their flags, output and exit codes.
//!
//! The program looks at the name it was called by, or at its first word, and becomes that tool. A face reads flags and
//! prints; the work is in `admin/`, `consume.rs` and `produce.rs`, the same that the native verbs use.

mod broker_api_versions;
mod catalog;
mod client_metrics;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod consumer_perf_test;
mod coordinator_records;
mod cub;
mod date_format;
mod delete_records;
mod dump_log;
mod errors;
mod features;
mod flags;
mod formatter;
mod get_offsets;
mod groups;
mod leader_election;
mod log_dirs;
mod metadata_quorum;
mod pattern;
mod perf_latency;
mod perf_payload;
mod perf_writer;
mod producer_perf_test;
mod properties;
mod quotas;
mod reassign_partitions;
mod record_format;
mod record_json;
mod release_features;
mod server_start;
mod storage;
mod table;
mod topics;
mod transactions;
mod verifiable_consumer;
mod verifiable_events;
mod verifiable_producer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use client::{ClientError, Cluster};
use protocol::ErrorCode;

use self::catalog::FACES;
pub(crate) use self::dump_log::{BATCH_MAX_BYTES, Batches};
use self::flags::{Flag, Parsed, switch, value};
pub(crate) use self::pattern::Pattern;
use self::properties::Properties;
use crate::admin::endpoint::Endpoint;
use crate::failure::{Failure, Outcome};

/// The release of Apache Kafka whose tools the faces are.
const KAFKA_VERSION: &str = "4.3.1";

/// One of Kafka's tools.
pub(crate) struct Face {
    /// As the program is called, without `.sh`.
    pub(crate) name: &'static str,
    /// What it is for, in one line.
    pub(crate) purpose: &'static str,
    pub(crate) flags: &'static [Flag],
    pub(crate) work: Work,
}

type Pending<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// What a broker would be set to that has this file: key by key, the strongest of its sources. The program gives it, since
/// the tools know nothing of a broker's sources.
pub type BrokerSettings = fn(PathBuf) -> Result<BTreeMap<String, String>, String>;

/// What a tool does with its command line.
pub(crate) enum Work {
    /// Talks to a cluster.
    Online(for<'a> fn(&'a Parsed) -> Pending<'a>),
    /// Looks at this machine only.
    Offline(fn(&Parsed) -> Outcome),
    /// Prepares this machine for a broker.
    Ahead(fn(&Parsed, BrokerSettings) -> Outcome),
    /// Runs a broker.
    Broker,
    /// Says why there is nothing to do.
    Nothing(&'static str),
    /// Cannot be done; the text says what can be done instead.
    Absent(&'static str),
}

const HELP: Flag = switch("help", "Print this");
const VERSION: Flag = switch("version", "Print the release of Apache Kafka whose tool this is");
const BOOTSTRAP_SERVER: Flag =
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them").or(&["broker-list"]);
const BOOTSTRAP_CONTROLLER: Flag =
    value("bootstrap-controller", "host:port", "Controllers to connect to; an Ottla is reached by --bootstrap-server");
const COMMAND_CONFIG: Flag = value("command-config", "file", "Properties of the client");

/// A face with what it was called with.
#[derive(Debug)]
pub struct FaceCall {
    face: &'static Face,
    arguments: Vec<String>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The names of all faces, sorted: for each the image has a link with and one without `.sh`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FACES.iter().map(|face| face.name)
}

/// The face that this process is, by the name it was called by or by its first word.
pub(crate) fn asked(words: &[String]) -> Option<FaceCall> {
    let called_as = |word: &String| {
        let name = Path::new(word).file_name()?.to_str()?;
        let name = name.strip_suffix(".sh").unwrap_or(name);
        FACES.iter().find(|face| face.name == name)
    };
    let first = |place: usize| words.get(place).and_then(called_as).map(|face| (place, face));
    let (place, face) = first(0).or_else(|| first(1))?;
    Some(FaceCall { face, arguments: words[place + 1..].to_vec() })
}

/// Runs a face to its end. Answers 0 when it did what it was asked to, 1 when it could not.
pub fn run(call: &FaceCall, settings: BrokerSettings) -> ExitCode {
    match work(call, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", errors::explain(&failure, call.face.name));
            ExitCode::FAILURE
        }
    }
}

/// What broker a face is to run, if that is what it does: a file of properties, and `key=value` settings. Otherwise, or
/// when it is only asked to explain itself, nothing.
///
/// # Errors
/// The exit code, when there is nothing more to do: the command line is wrong and that has been said, or the broker runs
/// in the background.
pub(crate) fn broker(call: &FaceCall) -> Result<Option<(PathBuf, Vec<String>)>, i32> {
    let explains = call.arguments.iter().any(|argument| argument == "--help" || argument == "--version");
    if explains || !matches!(call.face.work, Work::Broker) {
        return Ok(None);
    }
    let flags: Vec<&Flag> = call.face.flags.iter().collect();
    let start = |parsed: &Parsed| {
        let broker = server_start::broker(parsed)?;
        match parsed.has("daemon") {
            true => server_start::start_in_background(parsed).map(|()| None),
            false => Ok(Some(broker)),
        }
    };
    match Parsed::parse(&flags, &call.arguments).and_then(|parsed| start(&parsed)) {
        Ok(Some(broker)) => Ok(Some(broker)),
        Ok(None) => Err(0),
        Err(failure) => {
            eprint!("{}", errors::explain(&failure, call.face.name));
            Err(1)
        }
    }
}

fn work(call: &FaceCall, settings: BrokerSettings) -> Outcome {
    match call.face.work {
        Work::Nothing(text) => return crate::output::say(&format!("{}: {text}\n", call.face.name)),
        Work::Absent(text) => return Err(Failure::Input(format!("{} is not here: {text}", call.face.name))),
        Work::Online(_) | Work::Offline(_) | Work::Ahead(_) | Work::Broker => {}
    }
    let flags: Vec<&Flag> = call.face.flags.iter().chain([&HELP, &VERSION]).collect();
    let parsed = Parsed::parse(&flags, &call.arguments)?;
    if parsed.has("help") {
        let (name, purpose) = (call.face.name, call.face.purpose);
        return crate::output::say(&format!("{name}: {purpose}\n\n{}", flags::describe(&flags)));
    }
    if parsed.has("version") {
        return crate::output::say(&format!("{KAFKA_VERSION} (Ottla {})\n", env!("CARGO_PKG_VERSION")));
    }
    match &call.face.work {
        Work::Online(work) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(work(&parsed))
        }
        Work::Offline(work) => work(&parsed),
        Work::Ahead(work) => work(&parsed, settings),
        Work::Broker | Work::Nothing(_) | Work::Absent(_) => Ok(()),
    }
}

/// Connects as `--bootstrap-server` and `--command-config` say.
async fn connect(parsed: &Parsed) -> Result<Cluster, Failure> {
    let mut properties = Properties::load(parsed.value("command-config")?)?;
    properties.require_plaintext()?;
    connect_with(parsed.required("bootstrap-server")?, &mut properties).await
}

/// Finds who answers for the cluster: a broker, or the controller, as `--bootstrap-server` or `--bootstrap-controller` say.
async fn cluster_endpoint(parsed: &Parsed) -> Result<Endpoint, Failure> {
    let mut properties = Properties::load(parsed.value("command-config")?)?;
    properties.require_plaintext()?;
    let client_id = properties.take("client.id");
    let client_id = client_id.as_deref().unwrap_or(crate::CLIENT_ID);
    let found = match (parsed.value("bootstrap-server")?, parsed.value("bootstrap-controller")?) {
        (Some(brokers), None) => Endpoint::broker(brokers, client_id, parsed.has("include-fenced-brokers")).await,
        (None, Some(controllers)) => Endpoint::controller(controllers, client_id).await,
        (Some(_), Some(_)) => {
            let text = "error: argument --bootstrap-controller: not allowed with argument --bootstrap-server";
            return Err(Failure::Usage(text.into()));
        }
        (None, None) => {
            let text = "error: one of the arguments --bootstrap-server --bootstrap-controller is required";
            return Err(Failure::Usage(text.into()));
        }
    };
    found.map_err(of_cluster)
}

/// What tools about the cluster print of an error that a node gave: Java's exception.
fn of_cluster(error: ClientError) -> Failure {
    match error.code() {
        None => Failure::Client(error),
        Some(ErrorCode::MISMATCHED_ENDPOINT_TYPE) => Failure::Input(format!(
            "{}\n  a node of Ottla is broker and controller in one: give --bootstrap-server",
            errors::exception(&error)
        )),
        Some(_) => Failure::Input(errors::exception(&error)),
    }
}

/// Connects with settings from wherever.
async fn connect_with(bootstrap: &str, properties: &mut Properties) -> Result<Cluster, Failure> {
    let client_id = properties.take("client.id");
    Ok(Cluster::connect(bootstrap, client_id.as_deref().unwrap_or(crate::CLIENT_ID)).await?)
}

/// Things in words, one after the other.
fn joined<T: ToString>(things: impl Iterator<Item = T>, between: &str) -> String {
    things.map(|thing| thing.to_string()).collect::<Vec<_>>().join(between)
}

/// # Errors
/// When not exactly one of `actions` was given.
fn one_action(parsed: &Parsed, actions: &[&'static str], listed: &str) -> Result<&'static str, Failure> {
    let mut given = actions.iter().filter(|action| parsed.has(action));
    match (given.next(), given.next()) {
        (Some(action), None) => Ok(action),
        _ => Err(Failure::Usage(format!("Command must include exactly one action: {listed}"))),
    }
}

/// The sub-command: the first word that is no flag.
///
/// # Errors
/// When it is none of `commands`.
fn sub_command(parsed: &Parsed, commands: &[&'static str]) -> Result<&'static str, Failure> {
    let choices = commands.join(", ");
    let Some(word) = parsed.words.first() else {
        return Err(Failure::Usage(format!("error: too few arguments (choose from {choices})")));
    };
    let found = commands.iter().find(|command| *command == word).copied();
    found.ok_or_else(|| Failure::Usage(format!("error: invalid choice: '{word}' (choose from {choices})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_found_by_name_and_by_first_word() {
        let face = |words: &str| {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            asked(&words).map(|call| (call.face.name, call.arguments.join(" ")))
        };
        assert_eq!(face("kafka-topics --list"), Some(("kafka-topics", "--list".into())));
        assert_eq!(face("/opt/kafka/bin/kafka-topics.sh --list"), Some(("kafka-topics", "--list".into())));
        assert_eq!(face("/usr/bin/ottla kafka-topics.sh --list"), Some(("kafka-topics", "--list".into())));
        assert_eq!(face("ottla topic list"), None);
        assert_eq!(face("ottla --set kafka-topics"), None);
    }

    #[test]
    fn the_table_is_sound() {
        let all: Vec<&str> = names().collect();
        assert!(all.is_sorted_by(|a, b| a < b), "sorted, each once: {all:?}");
        for face in FACES {
            let mut flags: Vec<&str> =
                face.flags.iter().flat_map(|flag| std::iter::once(&flag.name).chain(flag.also)).copied().collect();
            flags.sort_unstable();
            let count = flags.len();
            flags.dedup();
            assert_eq!(flags.len(), count, "{}: a flag is there twice", face.name);
        }
    }
}
