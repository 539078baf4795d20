//! What `ottla perf` can be told.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand};
use client::Acks;
use load::{Consume, Fetching, Length, NewTopic, Produce, Start, Topics, Values};
use protocol::records::Codec;

use super::quantity::{bytes, duration};
use crate::arguments::{OutputArgs, acks, codec, key_value};

/// How long it takes and warms up when nobody says.
const DURATION: Duration = Duration::from_secs(10);
const WARMUP: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(crate) enum PerfVerb {
    /// Write records, and measure how fast they are acknowledged
    ///
    /// With --rate, each record is due at a moment of its own, and its latency counts from then: a broker that stalls shows
    /// it in every percentile that the records of the stall reach. Without it, as much as possible is written, and latency
    /// counts from when a request is made.
    Produce(PerfProduceArgs),
    /// Read records, and measure how fast they come
    ///
    /// Without --topic, a topic is made and filled first, read from its beginning to its end, and deleted.
    Consume(PerfConsumeArgs),
    /// Write and read at once, and measure how long each record takes from when it is due until a consumer has it
    EndToEnd(PerfEndToEndArgs),
    /// Do what a workload file of the OpenMessaging Benchmark says
    ///
    /// The file says how many topics, clients and records there are; how clients behave is said here.
    Run(PerfRunArgs),
    /// Measure how long a consumer group takes to settle: all members at once, one more, one less
    Rebalance(PerfRebalanceArgs),
    /// Write transactions, and measure how many are committed and how long each takes from its begin to its commit
    Transactions(PerfTransactionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PerfProduceArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) batches: BatchArgs,
    #[command(flatten)]
    pub(crate) length: LengthArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PerfConsumeArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// Fill a topic that is made with so much
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = bytes, conflicts_with = "topic")]
    pub(crate) fill: usize,
    /// Size of each record that fills it
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_parser = bytes, conflicts_with = "topic")]
    pub(crate) record_size: usize,
    /// Read what is written from now on, instead of what is there; needs --topic, and --duration or --records
    #[arg(long, requires = "topic")]
    pub(crate) tail: bool,
    #[command(flatten)]
    pub(crate) readers: ReaderArgs,
    /// End after this time [default: when everything is read that was there]
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "records")]
    pub(crate) duration: Option<Duration>,
    /// End when so many records were read
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: Option<u64>,
    /// Do not count what is read in so much time at the beginning
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) warmup: Duration,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PerfEndToEndArgs {
    #[command(flatten)]
    pub(crate) write: PerfProduceArgs,
    #[command(flatten)]
    pub(crate) readers: ReaderArgs,
    /// Let consumers begin when so much is there for them
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = bytes, conflicts_with = "join")]
    pub(crate) backlog: usize,
}

#[derive(Debug, Args)]
pub(crate) struct PerfRunArgs {
    /// The workload file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) batches: BatchArgs,
    /// Take this time instead of the file's testDurationMinutes
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Take this time instead of the file's warmupDurationMinutes
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) warmup: Option<Duration>,
    /// Leave the topics there
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PerfRebalanceArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// Members of the group at first; classic ones, with the range assignor
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,
    /// How often all of it happens, each time with a new group
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How often members ask whether they have to join again: they cannot know sooner
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) heartbeat: Duration,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PerfTransactionsArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// What the transactional ids begin with; each producer's number follows [default: the topic's name]
    #[arg(long, value_name = "ID")]
    pub(crate) transactional_id: Option<String>,
    /// Commit a transaction when it has so many records
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) transaction_records: u32,
    /// Commit a transaction when it is so old
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "transaction_records")]
    pub(crate) transaction_duration: Option<Duration>,
    /// Records of each request; a producer waits for its answer before the next
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_records: u32,
    /// Size of each record's value
    #[arg(short = 's', long, value_name = "BYTES", default_value = "1KiB", value_parser = bytes)]
    pub(crate) record_size: usize,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    pub(crate) compression: Codec,
    /// Producers that write at the same time, each with a connection and a transactional id of its own
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) producers: u32,
    /// Measure for so long
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Before, for so long, without counting
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) warmup: Duration,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Where records go and come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopicArgs {
    /// Use this topic; one that is there already stays, with what is written to it [default: a new one]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Partitions of a topic that is made
    #[arg(short, long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,
    /// Replicas of a topic that is made [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) replication_factor: Option<i16>,
    /// Set one setting of a topic that is made, such as flush.messages=1; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) config: Vec<String>,
    /// Leave a topic there that was made
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What is written, and how fast.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArgs {
    /// Size of each record's value
    #[arg(short = 's', long, value_name = "BYTES", default_value = "1KiB", value_parser = bytes)]
    pub(crate) record_size: usize,
    /// Write the contents of this file as each record's value
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record_size", "random_share"])]
    pub(crate) payload_file: Option<PathBuf>,
    /// How much of a value is random, from 0 to 1: the rest compresses to nothing
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub(crate) random_share: f64,
    /// Give records keys, so many different ones, and put each where its key belongs
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub(crate) keys: u32,
    /// Records a second, over all connections [default: as many as possible]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Connections that write; each has a share of the rate, and takes all partitions in turn
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
}

/// How clients write.
#[derive(Clone, Debug, Args)]
pub(crate) struct BatchArgs {
    /// Send a batch when it has so many bytes; 1 makes each record a request
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = bytes)]
    pub(crate) batch_size: usize,
    /// Send a batch that is not full when its first record is so old; without --rate all batches are full
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub(crate) linger: Duration,
    /// Who must have a record before it counts: all, 1 (the leader) or 0 (nobody)
    #[arg(short, long, value_name = "WHO", default_value = "all", value_parser = acks)]
    pub(crate) acks: Acks,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    pub(crate) compression: Codec,
    /// Number the batches, so that the broker drops repetitions; needs --acks all
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Requests that a connection may have without an answer
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: u32,
    /// Encode a batch once and send it over and over, with what must differ patched: the client costs nearly nothing
    #[arg(long)]
    pub(crate) pre_encoded: bool,
}

/// How clients read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReaderArgs {
    /// Groups of consumers, each of which reads everything
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) groups: u32,
    /// Consumers of each group; they share the partitions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) consumers: u32,
    /// Be real members of groups, with heartbeats and commits, and unpack each record; it costs the client more, and
    /// fetches as Ottla's own client does
    #[arg(long, conflicts_with_all = ["fetch_max_size", "fetch_partition_size", "fetch_min_size", "fetch_wait"])]
    pub(crate) join: bool,
    /// Bytes that one answer to a fetch may have
    #[arg(long, value_name = "BYTES", default_value = "8MiB", value_parser = bytes)]
    pub(crate) fetch_max_size: usize,
    /// Bytes of one partition in it
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = bytes)]
    pub(crate) fetch_partition_size: usize,
    /// Bytes for which the broker waits
    #[arg(long, value_name = "BYTES", default_value = "1", value_parser = bytes)]
    pub(crate) fetch_min_size: usize,
    /// How long it waits for them
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(crate) fetch_wait: Duration,
}

/// How long it takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct LengthArgs {
    /// Measure for so long [default: 10s]
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "records")]
    pub(crate) duration: Option<Duration>,
    /// Measure so many records
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: Option<u64>,
    /// Before, for so long, without counting [default: 2s, and none with --records]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) warmup: Option<Duration>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CommonArgs {
    /// Threads of the client [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Do not say how it goes meanwhile
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl PerfVerb {
    pub(crate) fn common(&self) -> &CommonArgs {
        match self {
            PerfVerb::Produce(args) => &args.common,
            PerfVerb::Consume(args) => &args.common,
            PerfVerb::EndToEnd(args) => &args.write.common,
            PerfVerb::Run(args) => &args.common,
            PerfVerb::Rebalance(args) => &args.common,
            PerfVerb::Transactions(args) => &args.common,
        }
    }
}

impl TopicArgs {
    /// The topic, under this name if it has none; made if it is not there and may be.
    pub(crate) fn topics(&self, name: &str, may_make: bool) -> Topics {
        let setting = |text: &String| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        };
        let create = NewTopic {
            partitions: self.partitions,
            replication_factor: self.replication_factor.unwrap_or(-1),
            settings: self.config.iter().map(setting).collect(),
        };
        Topics { names: vec![name.into()], create: may_make.then_some(create), keep: self.keep }
    }
}

impl BatchArgs {
    /// Producers that behave as told and write `values`, on one connection.
    pub(crate) fn produce(&self, values: Values) -> Produce {
        Produce {
            connections: 1,
            values,
            keys: 0,
            batch_bytes: self.batch_size,
            linger: self.linger,
            acks: self.acks,
            codec: self.compression,
            idempotent: self.idempotent,
            rate: None,
            in_flight: self.in_flight as usize,
            pre_encoded: self.pre_encoded,
        }
    }
}

impl RecordArgs {
    /// # Errors
    /// When the payload's file cannot be read.
    pub(crate) fn produce(&self, batches: &BatchArgs) -> Result<Produce, std::io::Error> {
        let values = match &self.payload_file {
            Some(path) => Values::Fixed(Bytes::from(std::fs::read(path)?)),
            None => Values::random(self.record_size, self.random_share),
        };
        Ok(Produce {
            connections: self.connections as usize,
            keys: self.keys,
            rate: self.rate,
            ..batches.produce(values)
        })
    }
}

impl ReaderArgs {
    pub(crate) fn consume(&self, start: Start, backlog: usize) -> Consume {
        let clamp = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        Consume {
            groups: self.groups as usize,
            consumers: self.consumers as usize,
            start,
            joined: self.join,
            fetching: Fetching {
                max_bytes: clamp(self.fetch_max_size),
                partition_max_bytes: clamp(self.fetch_partition_size),
                min_bytes: clamp(self.fetch_min_size),
                max_wait: self.fetch_wait,
            },
            after_bytes: backlog as u64,
        }
    }
}

impl LengthArgs {
    pub(crate) fn length(&self) -> Length {
        self.records.map_or(Length::Time(self.duration.unwrap_or(DURATION)), Length::Records)
    }

    pub(crate) fn warmup(&self) -> Duration {
        self.warmup.unwrap_or(if self.records.is_some() { Duration::ZERO } else { WARMUP })
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "a share is from 0 to 1".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "records a second, more than 0; without --rate it is as many as possible".into())
}
