//! The command line as data.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use client::Acks;
use protocol::records::Codec;

use crate::faces::{self, FaceCall};
use crate::perf::PerfVerb;
use crate::subscription::ReadSettings;

/// Where the tools look for a broker when they are not told.
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";
/// Where else they are told.
const BOOTSTRAP_VARIABLE: &str = "OTTLA_BOOTSTRAP_SERVER";

/// What the process was asked to be.
#[derive(Debug)]
pub enum Invocation {
    /// A broker.
    Broker {
        /// A file in the form of Kafka's server.properties.
        config: Option<PathBuf>,
        /// `key=value`, in the order of the command line.
        set: Vec<String>,
    },
    /// A question to a broker: whether it answers.
    Healthcheck {
        /// Where it is, when it is not where the configuration says.
        address: Option<String>,
        /// The broker's file.
        config: Option<PathBuf>,
    },
    /// A tool, which talks to a broker and ends.
    Tool(Tool),
    /// One of Kafka's own tools.
    Face(FaceCall),
    /// A script that completes our command lines in this shell.
    Completion(Shell),
    /// The names of Kafka's tools, one a line.
    FaceNames(Vec<&'static str>),
}

/// A tool with everything it was told.
#[derive(Debug)]
pub struct Tool {
    /// `host:port`, or several with commas between them.
    pub(crate) bootstrap: String,
    pub(crate) verb: Verb,
}

/// What a tool does.
#[derive(Debug)]
pub(crate) enum Verb {
    Topic(TopicVerb),
    Produce(ProduceArgs),
    Consume(ConsumeArgs),
    Group(GroupVerb),
    Config(ConfigVerb),
    Cluster(OutputArgs),
    Doctor(DoctorArgs),
    Perf(Box<PerfVerb>),
    Log(LogVerb),
}

/// Reads the command line of this process. Ends it, with help or with code 2 and a usage message, when there is nothing
/// to run.
pub fn parse() -> Invocation {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(call) = faces::asked(&words) {
        return match faces::broker(&call) {
            Ok(Some((config, set))) => Invocation::Broker { config: Some(config), set },
            Ok(None) => Invocation::Face(call),
            Err(code) => std::process::exit(code),
        };
    }
    match CommandLine::parse().into_invocation(std::env::var(BOOTSTRAP_VARIABLE).ok()) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    }
}

/// A Kafka-compatible broker, and tools to talk to one. Without a command it runs a broker.
#[derive(Debug, Parser)]
#[command(name = "ottla", version)]
struct CommandLine {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Broker that the tools talk to [default: 127.0.0.1:9092, or $OTTLA_BOOTSTRAP_SERVER]
    #[arg(short = 'b', long = "bootstrap-server", value_name = "HOST:PORT", global = true)]
    bootstrap: Option<String>,
    /// Print the names of Kafka's tools that this program is when it is called by them, one a line
    #[arg(long)]
    list_faces: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Default, Args)]
struct BrokerArgs {
    /// Read settings from a file in the form of server.properties
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one broker setting; may be repeated and wins over environment and file
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker
    Broker(BrokerArgs),
    /// Create, list, describe and delete topics
    #[command(subcommand)]
    Topic(TopicVerb),
    /// Write each line of standard input as a record
    Produce(ProduceArgs),
    /// Print the records of topics
    Consume(ConsumeArgs),
    /// List and describe consumer groups
    #[command(subcommand)]
    Group(GroupVerb),
    /// Exit with 0 if a broker answers, else with 1
    ///
    /// Without --bootstrap-server it asks the broker that is configured as this process is: by the environment, and by
    /// the same --config.
    Healthcheck {
        /// The broker's file of settings
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show and change the settings of topics, brokers and groups
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Show the cluster and its brokers
    Cluster(OutputArgs),
    /// Find out why clients cannot use a broker, and what to do about it
    Doctor(DoctorArgs),
    /// Measure what a broker can do, of whatever make
    #[command(subcommand)]
    Perf(PerfVerb),
    /// Show what is in the files of a partition; it needs no broker
    #[command(subcommand)]
    Log(LogVerb),
    /// Print a script that completes ottla's commands, as `source <(ottla completion bash)`
    Completion { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show settings that are not the default
    Show(ConfigShowArgs),
    /// Change settings
    Set(ConfigSetArgs),
    /// Take settings back
    Unset(ConfigUnsetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigShowArgs {
    #[command(flatten)]
    pub(crate) entity: EntityArgs,
    /// Show those too that are the default
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigSetArgs {
    #[command(flatten)]
    pub(crate) entity: EntityArgs,
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigUnsetArgs {
    #[command(flatten)]
    pub(crate) entity: EntityArgs,
    #[arg(required = true, value_name = "KEY")]
    pub(crate) names: Vec<String>,
}

/// Whose settings.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct EntityArgs {
    /// Of this topic
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Of this broker
    #[arg(long, value_name = "ID")]
    pub(crate) broker: Option<String>,
    /// Of this group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Of all brokers
    #[arg(long)]
    pub(crate) brokers: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicVerb {
    /// Create a topic
    Create(TopicCreateArgs),
    /// List topics
    List(TopicListArgs),
    /// Show partitions, leaders, offsets and settings of topics
    Describe(TopicDescribeArgs),
    /// Delete topics and all their records
    Delete(TopicDeleteArgs),
    /// Make topics what files declare: Strimzi's KafkaTopic, or a list under `topics:`
    Apply(TopicApplyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TopicCreateArgs {
    pub(crate) name: String,
    /// Number of partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// Number of replicas [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) replication_factor: Option<i16>,
    /// Set one topic setting, such as retention.ms=60000; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) config: Vec<String>,
    /// Succeed when the topic exists already
    #[arg(long)]
    pub(crate) if_not_exists: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TopicListArgs {
    /// Show the cluster's own topics too
    #[arg(long)]
    pub(crate) internal: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TopicDescribeArgs {
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TopicDeleteArgs {
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Succeed when a topic does not exist
    #[arg(long)]
    pub(crate) if_exists: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TopicApplyArgs {
    /// A YAML or JSON file, a directory of them, or - for standard input; may be repeated
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How long one check may take; the round trip and the groups have three times as long
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(crate) timeout_ms: u64,
    /// Warn of groups that are at least so many records behind
    #[arg(long, value_name = "RECORDS", default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) lag: i64,
    /// Create no temporary topic: without the round trip, and without the look at the broker's clock
    #[arg(long)]
    pub(crate) read_only: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Show segments, batches and records
    Dump(LogDumpArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogDumpArgs {
    /// The directory of a partition, as DATA/TOPIC-0, or one of its .log files
    pub(crate) path: PathBuf,
    /// Show the records of each batch too
    #[arg(long)]
    pub(crate) records: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    pub(crate) topic: String,
    /// Split each line at the first occurrence into key and value
    #[arg(short = 'k', long, value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// Who must have a record before it counts as written
    #[arg(long, value_name = "WHO", default_value = "all", value_parser = acks)]
    pub(crate) acks: Acks,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    pub(crate) compression: Codec,
    /// Write to this partition [default: by key as Java's producer does; without one, spread]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// Let the broker drop what a retry sends twice; needs --acks all
    #[arg(long)]
    pub(crate) idempotent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) print: PrintArgs,
}

/// What is read, whatever becomes of it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ReadArgs {
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Start at the first record instead of the next one; with --group, where the group has no position
    #[arg(long, conflicts_with = "offset")]
    pub(crate) from_beginning: bool,
    /// Read as a member of this consumer group, which remembers its position
    #[arg(short, long, value_name = "GROUP", conflicts_with_all = ["offset", "partition"])]
    pub(crate) group: Option<String>,
    /// Start at this offset; a negative one counts from the end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) offset: Option<i64>,
    /// Read only this partition; may be repeated
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Vec<i32>,
    /// End after this many records
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_messages: Option<u64>,
    /// End when no record came for so long
    #[arg(long, value_name = "MS")]
    pub(crate) timeout_ms: Option<u64>,
    /// Whether a topic that does not exist is made by asking for it, where the broker does that.
    #[arg(skip)]
    pub(crate) create: bool,
    #[arg(skip)]
    pub(crate) settings: Box<ReadSettings>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PrintArgs {
    /// Print the key, and a tab, before the value
    #[arg(long)]
    pub(crate) print_key: bool,
    /// Print the partition
    #[arg(long)]
    pub(crate) print_partition: bool,
    /// Print the offset
    #[arg(long)]
    pub(crate) print_offset: bool,
    /// Print the timestamp, ms since 1970-01-01 UTC
    #[arg(long)]
    pub(crate) print_timestamp: bool,
    /// Print the headers, as name:value,name:value
    #[arg(long)]
    pub(crate) print_headers: bool,
    /// Print one JSON object a line, with everything
    #[arg(long, conflicts_with_all = ["print_key", "print_partition", "print_offset", "print_timestamp", "print_headers"])]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupVerb {
    /// List consumer groups
    List(OutputArgs),
    /// Show members, positions and lag of a group
    Describe(GroupDescribeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GroupDescribeArgs {
    pub(crate) group: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

impl CommandLine {
    fn into_invocation(self, environment: Option<String>) -> Result<Invocation, clap::Error> {
        let conflict = |text: &str| Self::command().error(ErrorKind::ArgumentConflict, text);
        let CommandLine { broker: outer, bootstrap, list_faces, command } = self;
        if list_faces {
            return Ok(Invocation::FaceNames(faces::names().collect()));
        }
        let verb = match command.unwrap_or(Command::Broker(BrokerArgs::default())) {
            Command::Broker(_) if bootstrap.is_some() => {
                return Err(conflict("--bootstrap-server is for the tools; a broker takes --set listeners=…"));
            }
            Command::Broker(inner) => return Ok(outer.then(inner)),
            Command::Healthcheck { config } => {
                let address = bootstrap.or(environment.filter(|value| !value.is_empty()));
                return Ok(Invocation::Healthcheck { address, config: config.or(outer.config) });
            }
            _ if outer.config.is_some() || !outer.set.is_empty() => {
                return Err(conflict("--config and --set are for the broker, not for the tools"));
            }
            Command::Topic(verb) => Verb::Topic(verb),
            Command::Produce(args) if args.idempotent && args.acks != Acks::All => {
                return Err(conflict("--idempotent needs --acks all"));
            }
            Command::Produce(args) => Verb::Produce(args),
            Command::Consume(args) => Verb::Consume(args),
            Command::Group(verb) => Verb::Group(verb),
            Command::Config(verb) => Verb::Config(verb),
            Command::Cluster(output) => Verb::Cluster(output),
            Command::Completion { shell } => return Ok(Invocation::Completion(shell)),
            Command::Doctor(args) => Verb::Doctor(args),
            Command::Log(verb) => Verb::Log(verb),
            Command::Perf(verb) => Verb::Perf(Box::new(verb)),
        };
        let environment = environment.filter(|value| !value.is_empty());
        let bootstrap = bootstrap.or(environment).unwrap_or_else(|| DEFAULT_BOOTSTRAP.into());
        Ok(Invocation::Tool(Tool { bootstrap, verb }))
    }
}

impl BrokerArgs {
    /// Options before and after the word `broker` are one list.
    fn then(mut self, inner: BrokerArgs) -> Invocation {
        self.set.extend(inner.set);
        Invocation::Broker { config: inner.config.or(self.config), set: self.set }
    }
}

/// Writes the script that completes our command lines in a shell.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "ottla", &mut script);
    script
}

pub(crate) fn key_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.into()),
        _ => Err("write it as key=value".into()),
    }
}

pub(crate) fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" | "leader" => Ok(Acks::Leader),
        "0" | "none" => Ok(Acks::None),
        _ => Err("all, 1 (the leader) or 0 (nobody)".into()),
    }
}

pub(crate) fn codec(text: &str) -> Result<Codec, String> {
    Codec::from_name(text).ok_or_else(|| "none, gzip, snappy, lz4 or zstd".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str, environment: Option<&str>) -> Result<Invocation, clap::Error> {
        let words = std::iter::once("ottla").chain(words.split_whitespace());
        CommandLine::try_parse_from(words)?.into_invocation(environment.map(str::to_owned))
    }

    #[test]
    fn the_declaration_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_broker_is_what_it_is_without_a_command() {
        for words in [
            "--config f --set a=1 --set b=2",
            "broker --config f --set a=1 --set b=2",
            "--set a=1 broker --config f --set b=2",
        ] {
            match parse(words, None).unwrap() {
                Invocation::Broker { config, set } => {
                    assert_eq!((config, set), (Some("f".into()), vec!["a=1".to_string(), "b=2".into()]), "{words}");
                }
                other => panic!("{words}: {other:?}"),
            }
        }
        assert!(matches!(parse("", None), Ok(Invocation::Broker { config: None, set }) if set.is_empty()));
    }

    #[test]
    fn the_broker_address_comes_from_the_option_then_the_environment() {
        let bootstrap = |words, environment| match parse(words, environment).unwrap() {
            Invocation::Tool(tool) => tool.bootstrap,
            other => panic!("{words} is a tool: {other:?}"),
        };
        assert_eq!(bootstrap("topic list", None), "127.0.0.1:9092");
        assert_eq!(bootstrap("topic list", Some("")), "127.0.0.1:9092");
        assert_eq!(bootstrap("topic list", Some("k:1")), "k:1");
        assert_eq!(bootstrap("topic list -b k:2", Some("k:1")), "k:2");
        assert_eq!(bootstrap("--bootstrap-server k:3 topic list", Some("k:1")), "k:3");
    }

    #[test]
    fn completion_knows_every_verb() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completion(shell)).unwrap();
            for command in CommandLine::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn a_healthcheck_asks_where_it_is_told_or_where_the_configuration_says() {
        let parsed = |words, environment| match parse(words, environment).unwrap() {
            Invocation::Healthcheck { address, config } => (address, config),
            other => panic!("{words}: {other:?}"),
        };
        assert_eq!(parsed("healthcheck", None), (None, None));
        assert_eq!(parsed("healthcheck -b k:2 --config f", Some("k:1")), (Some("k:2".into()), Some("f".into())));
        assert_eq!(parsed("healthcheck", Some("k:1")), (Some("k:1".into()), None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_code_2() {
        for words in [
            "--set a=1 topic list",
            "broker -b k:1",
            "--set a",
            "topic create",
            "topic create t --partitions 0",
            "topic apply",
            "doctor --timeout-ms 1",
            "produce t --acks 2",
            "produce t --compression brotli",
            "produce t --idempotent --acks 1",
            "consume",
            "consume t --group g --offset 3",
            "group describe",
            "config show",
            "config show --topic t --broker 1",
            "config set --topic t",
            "completion tcsh",
            "perf",
            "perf produce --rate 0",
            "perf produce --duration 10",
            "perf produce --duration 1s --records 5",
            "perf consume --tail",
            "perf run",
            "nonsense",
        ] {
            let error = parse(words, None).expect_err(words);
            assert_eq!(error.exit_code(), 2, "{words}: {error}");
        }
    }
}
