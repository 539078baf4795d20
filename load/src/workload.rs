//! What is to be done.

use std::time::Duration;

use bytes::Bytes;
use client::{Acks, ClientError};
use protocol::records::Codec;

/// Connections that a run may have, of producers and of consumers.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;
/// Bytes that a run may hold: batches being written, answers being read.
pub(crate) const MEMORY_MAX: u64 = 4 << 30;
/// The most records a second: beyond it, so many are due in a nanosecond that their numbers are no longer exact.
pub(crate) const RATE_MAX: f64 = 1e12;
/// What a connection holds for each of its keys, bytes.
const KEY_MEMORY: u64 = 64;
/// A record that tells when it was due begins with so many bytes of it.
pub(crate) const STAMP_BYTES: usize = 16;
/// The largest value, batch and answer, bytes.
const BYTES_MAX: usize = 100 << 20;

/// Where nobody says how many different values there are: so many bytes of them, and no more than so many.
const POOL_BYTES: usize = 256 << 10;
const POOL_MAX: usize = 64;

/// What is to be done. [`Workload::check`] says whether it can be.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Where the records go and come from.
    pub topics: Topics,
    /// Who writes.
    pub produce: Option<Produce>,
    /// Who reads. With a producer too, only what this run writes is waited for, and latency is measured end to end.
    pub consume: Option<Consume>,
    /// At the beginning, and not counted.
    pub warmup: Duration,
    /// When it is over.
    pub length: Length,
}

/// How long it goes on after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So long.
    Time(Duration),
    /// Until so many records have been dealt with, over all topics and connections.
    Records(u64),
    /// Until everything is read that was there at the beginning; only without a producer.
    Everything,
}

/// The topics of a run.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Their names.
    pub names: Vec<String>,
    /// How a topic is made that does not exist; without this it is an error. It is deleted at the end.
    pub create: Option<NewTopic>,
    /// Leaves the topics there that were made.
    pub keep: bool,
}

/// How to make a topic.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// At least 1.
    pub partitions: i32,
    /// −1 leaves it to the broker.
    pub replication_factor: i16,
    /// Kafka's keys and values, such as `retention.ms`.
    pub settings: Vec<(String, String)>,
}

/// How records are written.
#[derive(Clone, Debug)]
pub struct Produce {
    /// To each topic; at a cluster, so many to each broker that leads one of its partitions.
    pub connections: usize,
    /// What the records carry.
    pub values: Values,
    /// So many different keys, and each record goes where its key belongs; 0 for none.
    pub keys: u32,
    /// A batch is sent at the latest when it has so many bytes, before compression. It has at least one record.
    pub batch_bytes: usize,
    /// How long the first record of a batch may wait for others. Flat out, batches are always full.
    pub linger: Duration,
    /// Whom to wait for.
    pub acks: Acks,
    /// How batches are compressed.
    pub codec: Codec,
    /// Numbers the batches, so that the broker drops repetitions (KIP-98).
    pub idempotent: bool,
    /// Records a second, over all connections; flat out without it.
    pub rate: Option<f64>,
    /// Requests without an answer that a connection may have. Meaningless without acks.
    pub in_flight: usize,
    /// Encodes a batch once and sends it over and over, with only those bytes patched that must differ. It costs the
    /// client nearly nothing, so that the broker is what is measured.
    pub pre_encoded: bool,
}

/// What records carry.
#[derive(Clone, Debug)]
pub enum Values {
    /// Bytes of which this share, from 0 to 1, is random, and the rest is not.
    Random {
        /// Of one value.
        bytes: usize,
        /// How much of it does not compress.
        random_share: f64,
        /// How many different values a connection has; then they come again. At least 1.
        pool: usize,
    },
    /// The same bytes in each.
    Fixed(Bytes),
}

/// How records are read.
#[derive(Clone, Copy, Debug)]
pub struct Consume {
    /// Each reads everything.
    pub groups: usize,
    /// Of each group, for each topic; they share its partitions.
    pub consumers: usize,
    /// Where to begin, without a producer. With one, what was there before is never read.
    pub start: Start,
    /// Whether consumers are members of a group that the broker coordinates, with heartbeats and commits, and unpack every
    /// record, as applications do. Otherwise partitions are dealt out beforehand and batches counted by their headers.
    pub joined: bool,
    /// How they ask.
    pub fetching: Fetching,
    /// With a producer, they begin only when so many bytes have been written for them, once for each group: a backlog.
    pub after_bytes: u64,
}

/// Where consumers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is (catching up).
    Earliest,
    /// At the next record that is written (tail).
    Latest,
}

/// What a Fetch request says.
#[derive(Clone, Copy, Debug)]
pub struct Fetching {
    /// Of one answer.
    pub max_bytes: i32,
    /// Of one partition in it.
    pub partition_max_bytes: i32,
    /// The broker answers when it has so many,
    pub min_bytes: i32,
    /// or after so long.
    pub max_wait: Duration,
}

impl Default for Fetching {
    /// As Kafka's consumer, except that an answer has at most 8 MiB instead of 50.
    fn default() -> Fetching {
        Fetching {
            max_bytes: 8 << 20,
            partition_max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
        }
    }
}

/// Why a load could not be put on a broker. What a broker refuses while it runs is counted instead.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What was asked for makes no sense; the text says why and what would.
    #[error("{0}")]
    Workload(String),
    /// The cluster did not do its part.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The machine did not do its part.
    #[error("{what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Workload {
    /// Whether this can be done at all.
    ///
    /// # Errors
    /// [`LoadError::Workload`].
    pub fn check(&self) -> Result<(), LoadError> {
        let refuse = |text: String| Err(LoadError::Workload(text));
        if self.topics.names.is_empty() || (self.produce.is_none() && self.consume.is_none()) {
            return refuse("there is nothing to do: no topic, or nobody who writes or reads".into());
        }
        if self.length == Length::Everything && self.produce.is_some() {
            return refuse("a producer never comes to the end of everything; say how long, or how many records".into());
        }
        if let Some(produce) = &self.produce {
            produce.check(self.consume.is_some_and(|consume| !consume.joined))?;
        }
        if self.consume.is_some_and(|consume| consume.after_bytes > 0 && (consume.joined || self.produce.is_none())) {
            return refuse(
                "a backlog needs a producer, and consumers whose partitions are dealt out beforehand".into(),
            );
        }
        let readers = self.consume.map_or(0, |consume| consume.groups.saturating_mul(consume.consumers));
        let writers = self.produce.as_ref().map_or(0, |produce| produce.connections);
        let connections = readers.saturating_add(writers).saturating_mul(self.topics.names.len());
        if connections == 0 || connections > CONNECTIONS_MAX {
            return refuse(format!("{connections} connections; 1 to {CONNECTIONS_MAX} are possible"));
        }
        let bytes = self.memory_bytes();
        if bytes > MEMORY_MAX {
            return refuse(format!(
                "this may take {} MiB of memory, and {} are allowed: fewer connections or keys, smaller batches or fetches",
                bytes >> 20,
                MEMORY_MAX >> 20
            ));
        }
        Ok(())
    }

    /// What the buffers of all connections may hold at once.
    fn memory_bytes(&self) -> u64 {
        let topics = self.topics.names.len() as u64;
        let writing = self.produce.as_ref().map_or(0, |produce| {
            let batch = produce.batch_bytes.max(produce.values.bytes()) as u64;
            let pool = match produce.values {
                Values::Random { bytes, pool, .. } => bytes.saturating_mul(pool),
                Values::Fixed(_) => 0,
            };
            let keys = u64::from(produce.keys) * KEY_MEMORY;
            (produce.connections as u64).saturating_mul((3 * batch).saturating_add(pool as u64).saturating_add(keys))
        });
        let reading = self.consume.map_or(0, |consume| {
            let answer = u64::from(consume.fetching.max_bytes.unsigned_abs());
            (consume.groups.saturating_mul(consume.consumers) as u64).saturating_mul(answer)
        });
        topics.saturating_mul(writing.saturating_add(reading))
    }
}

impl Produce {
    fn check(&self, is_stamped: bool) -> Result<(), LoadError> {
        let bytes = self.values.bytes();
        let refusal = if !(1..=BYTES_MAX).contains(&bytes) || self.batch_bytes > BYTES_MAX {
            format!("records and batches have 1 to {BYTES_MAX} bytes")
        } else if is_stamped && bytes < STAMP_BYTES {
            format!("to be timed end to end, a record needs at least {STAMP_BYTES} bytes")
        } else if self.rate.is_some_and(|rate| !(f64::MIN_POSITIVE..=RATE_MAX).contains(&rate)) {
            format!(
                "a rate is more than 0 and at most {RATE_MAX:e} records a second; leave it out for as many as possible"
            )
        } else if self.in_flight == 0 {
            "at least 1 request has to be in flight".into()
        } else if self.idempotent && (self.acks != Acks::All || self.in_flight > 5) {
            "an idempotent producer waits for all acks and has at most 5 requests in flight".into()
        } else if self.pre_encoded && self.keys > 0 {
            "a batch that is encoded once goes to every partition, and keys do not: leave one of the two out".into()
        } else if self.pre_encoded && is_stamped && self.codec != Codec::None {
            "records cannot be timed end to end in a compressed batch that is encoded once: leave one of the three out"
                .into()
        } else {
            return Ok(());
        };
        Err(LoadError::Workload(refusal))
    }
}

impl Values {
    /// Random bytes, with as many different values as take little memory.
    pub fn random(bytes: usize, random_share: f64) -> Values {
        let pool = (POOL_BYTES / bytes.max(1)).clamp(1, POOL_MAX);
        Values::Random { bytes, random_share, pool }
    }

    /// The size of one.
    pub fn bytes(&self) -> usize {
        match self {
            Values::Random { bytes, .. } => *bytes,
            Values::Fixed(bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producing(rate: Option<f64>, keys: u32) -> Workload {
        Workload {
            topics: Topics { names: vec!["t".into()], create: None, keep: false },
            produce: Some(Produce {
                connections: 1,
                values: Values::random(100, 1.0),
                keys,
                batch_bytes: 1 << 14,
                linger: Duration::ZERO,
                acks: Acks::All,
                codec: Codec::None,
                idempotent: false,
                rate,
                in_flight: 1,
                pre_encoded: false,
            }),
            consume: None,
            warmup: Duration::ZERO,
            length: Length::Records(1),
        }
    }

    #[test]
    fn keys_count_as_memory() {
        producing(None, 1_000_000).check().unwrap();
        let refused = producing(None, u32::MAX).check().unwrap_err().to_string();
        assert!(refused.contains("MiB of memory"), "{refused}");
    }

    #[test]
    fn a_rate_that_nobody_could_count_is_refused() {
        for rate in [1e-3, 1e6, RATE_MAX] {
            producing(Some(rate), 0).check().unwrap();
        }
        for rate in [f64::NAN, -1.0, 0.0, 1e300, f64::INFINITY] {
            let refused = producing(Some(rate), 0).check().unwrap_err().to_string();
            assert!(refused.contains("a rate is more than 0"), "{rate}: {refused}");
        }
    }
}
