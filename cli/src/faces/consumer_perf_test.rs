//! `kafka-consumer-perf-test`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Consumer, GroupConfig, GroupConsumer, StartOffset};

use super::connect_with;
use super::flags::{Flag, Parsed, java_only, switch, value};
use super::properties::Properties;
use super::{BOOTSTRAP_SERVER, pattern::Pattern};
use crate::admin::topics;
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
    value("date-format", "pattern", "Not possible: times are as Kafka writes them by default"),
    switch("show-detailed-stats", "Not possible yet"),
    value("reporting-interval", "ms", "Not possible yet"),
    switch("print-metrics", "Not possible: the broker's /metrics has what there is"),
    java_only("fetch-size"),
    java_only("socket-buffer-size"),
];

const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const HEADINGS: &str = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                        rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n";

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    for flag in ["date-format", "show-detailed-stats", "reporting-interval", "print-metrics"] {
        if parsed.has(flag) {
            return Err(Failure::Input(format!("--{flag} is not possible yet; COMPAT.md lists what is")));
        }
    }
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
        say(HEADINGS)?;
    }
    let start = if parsed.has("from-latest") { StartOffset::Latest } else { StartOffset::Earliest };
    let measured = match parsed.value("group")? {
        Some(group) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let config = GroupConfig { start, ..GroupConfig::new(group, &names) };
            let mut source = Source::InGroup(Box::new(GroupConsumer::new(&cluster, config)));
            let measured = measure(&mut source, count, wait).await?;
            if let Source::InGroup(consumer) = source {
                consumer.leave().await?;
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
            measure(&mut Source::Alone(Box::new(consumer)), count, wait).await?
        }
    };
    if measured.records < count {
        say(&format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can use \
             the --timeout option to increase the timeout.\n",
            wait.as_millis()
        ))?;
    }
    say(&measured.line())
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

async fn measure(source: &mut Source, count: u64, wait: Duration) -> Result<Measured, Failure> {
    let (begun, start_ms) = (Instant::now(), now_ms());
    let (mut bytes, mut records, mut first, mut last) = (0, 0, None, begun);
    while records < count {
        let record = match source {
            Source::Alone(consumer) => consumer.next(wait).await?,
            Source::InGroup(consumer) => consumer.next(wait).await?,
        };
        let Some(record) = record else { break };
        last = Instant::now();
        first.get_or_insert(last);
        records += 1;
        bytes += [&record.key, &record.value].into_iter().flatten().map(|part| part.len() as u64).sum::<u64>();
    }
    let took = last - begun;
    let joined = match source {
        Source::Alone(_) => Duration::ZERO,
        Source::InGroup(_) => first.map_or(took, |first| first - begun),
    };
    Ok(Measured { start_ms, end_ms: start_ms + took.as_millis() as i64, joined, took, bytes, records })
}

impl Measured {
    fn line(&self) -> String {
        let megabytes = self.bytes as f64 / f64::from(1 << 20);
        let seconds = self.took.as_secs_f64().max(0.001);
        let fetching = self.took.saturating_sub(self.joined);
        let fetch_seconds = fetching.as_secs_f64().max(0.001);
        let records = self.records as f64;
        format!(
            "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {}, {}, {:.4}, {:.4}\n",
            written(self.start_ms),
            written(self.end_ms),
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

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// `2026-01-31 12:00:00:000`, in UTC.
fn written(moment_ms: i64) -> String {
    let (days, of_day_ms) = (moment_ms.div_euclid(86_400_000), moment_ms.rem_euclid(86_400_000));
    // Years begin in March, so that the leap day is the last one; eras have 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, ms) = (of_day_ms / 1000, of_day_ms % 1000);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}:{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_kafka_writes_them() {
        assert_eq!(written(0), "1970-01-01 00:00:00:000");
        assert_eq!(written(951_827_415_500), "2000-02-29 12:30:15:500");
        assert_eq!(written(1_735_689_599_999), "2024-12-31 23:59:59:999");
    }
}
