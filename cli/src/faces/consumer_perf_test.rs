//! `kafka-consumer-perf-test`.

use std::time::{Duration, Instant};

use client::{Consumer, GroupConfig, GroupConsumer, StartOffset};

use super::connect_with;
use super::date_format::DateFormat;
use super::flags::{Flag, Parsed, java_only, switch, value};
use super::properties::Properties;
use super::{BOOTSTRAP_SERVER, pattern::Pattern};
use crate::admin::topics;
use crate::clock::now_ms;
use crate::consume::leave;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Read this topic"),
    value("include", "regex", "Read the topics of these names"),
    value("num-records", "n", "Read so many records").or(&["messages"]),
    value("group", "name", "As a member of this group; alone, without it"),
    switch("from-latest", "Begin at the end"),
    value("timeout", "ms", "Give up when no record came for so long: 10000, without it"),
    switch("hide-header", "Leave out the line of headings"),
    value("command-property", "key=value", "A setting of the consumer; may be repeated"),
    value("command-config", "file", "Settings of the consumer").or(&["consumer.config"]),
    value("date-format", "pattern", "How to write moments: yyyy-MM-dd HH:mm:ss:SSS, without it"),
    switch("show-detailed-stats", "Say from time to time how it goes, and nothing at the end"),
    value("reporting-interval", "ms", "With --show-detailed-stats, how often: 5000, without it"),
    switch("print-metrics", "Not possible: they are the Java client's"),
    java_only("fetch-size"),
    java_only("socket-buffer-size"),
];

const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DETAILED_HEADINGS: &str = "time, threadId, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                                 rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n";
const HEADINGS: &str = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                        rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n";

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    if parsed.has("print-metrics") {
        let text = "--print-metrics is not possible: they are the Java client's; the broker's /metrics has its own";
        return Err(Failure::Input(text.into()));
    }
    let format = DateFormat::new(parsed.value("date-format")?.unwrap_or("yyyy-MM-dd HH:mm:ss:SSS"))?;
    let interval = parsed.number("reporting-interval")?.map_or(DEFAULT_INTERVAL, Duration::from_millis);
    let details = parsed.has("show-detailed-stats").then_some((&format, interval));
    if parsed.has("topic") == parsed.has("include") {
        return Err(Failure::Usage("Exactly one of the following arguments is required: [topic], [include]".into()));
    }
    let mut settings = Properties::load(parsed.value("command-config")?)?.add(parsed.values("command-property"))?;
    settings.require_plaintext()?;
    let count: u64 = parsed
        .number("num-records")?
        .ok_or_else(|| Failure::Usage("Missing required argument \"[num-records]\"".into()))?;
    let wait = Duration::from_millis(parsed.number("timeout")?.unwrap_or(DEFAULT_TIMEOUT_MS));
    let cluster = connect_with(parsed.required("bootstrap-server")?, &mut settings).await?;
    settings.mention_unused("kafka-consumer-perf-test");
    let names: Vec<String> = match parsed.value("include")? {
        None => parsed.values("topic").map(str::to_owned).collect(),
        Some(text) => {
            let pattern = Pattern::new(text)?;
            let all = topics::list(&cluster).await?.into_iter().map(|topic| topic.name);
            all.filter(|name| pattern.matches(name)).collect()
        }
    };
    if !parsed.has("hide-header") {
        say(if details.is_some() { DETAILED_HEADINGS } else { HEADINGS })?;
    }
    let start = if parsed.has("from-latest") { StartOffset::Latest } else { StartOffset::Earliest };
    let measured = match parsed.value("group")? {
        Some(group) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let config = GroupConfig { start, ..GroupConfig::new(group, &names) };
            let mut source = Source::InGroup(Box::new(GroupConsumer::new(&cluster, config)));
            let measured = measure(&mut source, count, wait, details).await?;
            if let Source::InGroup(consumer) = source {
                leave(*consumer).await?;
            }
            measured
        }
        None => {
            let mut places = Vec::new();
            for name in &names {
                places.extend(topics::partitions(&cluster, name).await?);
            }
            let mut consumer = Consumer::new(&cluster);
            consumer.assign(&places, start).await?;
            measure(&mut Source::Alone(Box::new(consumer)), count, wait, details).await?
        }
    };
    if measured.records < count {
        say(&format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can use \
             the --timeout option to increase the timeout.\n",
            wait.as_millis()
        ))?;
    }
    match details {
        Some(_) => Ok(()),
        None => say(&measured.line(&format)),
    }
}

enum Source {
    Alone(Box<Consumer>),
    InGroup(Box<GroupConsumer>),
}

/// What was read and how long it took.
struct Measured {
    start_ms: i64,
    end_ms: i64,
    /// Until the first record came.
    joined: Duration,
    took: Duration,
    bytes: u64,
    records: u64,
}

async fn measure(source: &mut Source, count: u64, wait: Duration, details: Details<'_>) -> Result<Measured, Failure> {
    let (begun, start_ms) = (Instant::now(), now_ms());
    let (mut bytes, mut records, mut first, mut last) = (0, 0, None, begun);
    let mut reported = Reported { at: begun, bytes: 0, records: 0 };
    while records < count {
        let record = match source {
            Source::Alone(consumer) => consumer.next(wait).await?,
            Source::InGroup(consumer) => consumer.next(wait).await?,
        };
        let Some(record) = record else { break };
        last = Instant::now();
        let joined = match source {
            Source::InGroup(_) if first.is_none() => last - begun,
            _ => Duration::ZERO,
        };
        first.get_or_insert(last);
        records += 1;
        bytes += [&record.key, &record.value].into_iter().flatten().map(|part| part.len() as u64).sum::<u64>();
        if let Some((format, interval)) = details
            && last - reported.at >= interval
        {
            let line = reported.line(bytes, records, last - reported.at, joined);
            say(&format!("{}, 0, {line}\n", format.write(now_ms())))?;
            reported = Reported { at: last, bytes, records };
        }
    }
    let took = last - begun;
    let joined = match source {
        Source::Alone(_) => Duration::ZERO,
        Source::InGroup(_) => first.map_or(took, |first| first - begun),
    };
    Ok(Measured { start_ms, end_ms: start_ms + took.as_millis() as i64, joined, took, bytes, records })
}

/// How to write moments, and how often to say how it goes.
type Details<'a> = Option<(&'a DateFormat, Duration)>;

/// What had been read when it was last said.
struct Reported {
    at: Instant,
    bytes: u64,
    records: u64,
}

impl Reported {
    /// What has been read since, `took` long; of that, `joined` went by before the first record.
    fn line(&self, bytes: u64, records: u64, took: Duration, joined: Duration) -> String {
        let megabytes = bytes as f64 / f64::from(1 << 20);
        let new_megabytes = (bytes - self.bytes) as f64 / f64::from(1 << 20);
        let new_records = (records - self.records) as f64;
        let fetching = took.saturating_sub(joined);
        let [seconds, fetch_seconds] = [took, fetching].map(|time| time.as_secs_f64().max(0.001));
        format!(
            "{megabytes:.4}, {:.4}, {records}, {:.4}, {}, {}, {:.4}, {:.4}",
            new_megabytes / seconds,
            new_records / seconds,
            joined.as_millis(),
            fetching.as_millis(),
            new_megabytes / fetch_seconds,
            new_records / fetch_seconds
        )
    }
}

impl Measured {
    fn line(&self, format: &DateFormat) -> String {
        let megabytes = self.bytes as f64 / f64::from(1 << 20);
        let seconds = self.took.as_secs_f64().max(0.001);
        let fetching = self.took.saturating_sub(self.joined);
        let fetch_seconds = fetching.as_secs_f64().max(0.001);
        let records = self.records as f64;
        format!(
            "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {}, {}, {:.4}, {:.4}\n",
            format.write(self.start_ms),
            format.write(self.end_ms),
            megabytes / seconds,
            self.records,
            records / seconds,
            self.joined.as_millis(),
            fetching.as_millis(),
            megabytes / fetch_seconds,
            records / fetch_seconds
        )
    }
}
