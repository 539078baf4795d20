//! Who is measured, each in a process of its own, on a fresh directory.

mod kafka;
mod limit;
mod ottla;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

/// For a process to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What every broker is told. A deleted topic's files would stay for a minute; the next round wants their disk and
/// their pages.
const SETTINGS: [&str; 1] = ["log.segment.delete.delay.ms=100"];

/// One of the brokers, or the machine's own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// Ottla as it comes: acks=all is answered after an fdatasync.
    Ottla,
    /// Ottla with `ottla.durability=kafka`: acks=all is answered from the page cache, as Kafka does.
    OttlaKafkaMode,
    /// Apache Kafka with the heap that its script gives it.
    Kafka,
    /// Apache Kafka with half of that.
    Kafka512m,
    /// The sink and source of `limit/`.
    Limit,
}

impl Contender {
    pub(crate) const ALL: [Contender; 5] =
        [Contender::Ottla, Contender::OttlaKafkaMode, Contender::Kafka, Contender::Kafka512m, Contender::Limit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Ottla => "ottla",
            Contender::OttlaKafkaMode => "ottla-kafka-mode",
            Contender::Kafka => "kafka",
            Contender::Kafka512m => "kafka-512m",
            Contender::Limit => "limit",
        }
    }

    /// Whether it is a broker and not just a sink of bytes.
    pub(crate) fn is_broker(self) -> bool {
        self != Contender::Limit
    }

    /// Whether it is this project's.
    pub(crate) fn is_ottla(self) -> bool {
        matches!(self, Contender::Ottla | Contender::OttlaKafkaMode)
    }

    /// Whether it is Apache Kafka.
    pub(crate) fn is_kafka(self) -> bool {
        matches!(self, Contender::Kafka | Contender::Kafka512m)
    }

    /// About how long it takes to start and to stop.
    pub(crate) fn estimate(self) -> Duration {
        Duration::from_secs(if self.is_kafka() { 7 } else { 1 })
    }

    /// Starts it on an empty `directory`, Ottla from this binary; answers when it listens.
    ///
    /// # Errors
    /// One line for a person.
    pub(crate) fn start(self, directory: &Path, ottla: &Path) -> Result<Running, String> {
        match self {
            Contender::Ottla => ottla::start(directory, ottla, "fsync"),
            Contender::OttlaKafkaMode => ottla::start(directory, ottla, "kafka"),
            Contender::Kafka => kafka::start(directory, "1g"),
            Contender::Kafka512m => kafka::start(directory, "512m"),
            Contender::Limit => limit::start(directory),
        }
    }
}

/// A running one. It ends when this is dropped.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) bootstrap: String,
    pub(crate) pid: u32,
    end: Box<dyn FnMut() + Send>,
}

impl Running {
    /// A process of ours, which says in some line where it listens; `address` finds it there.
    fn await_listening(
        mut process: Child,
        says: impl Read + Send + 'static,
        address: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Result<Running, String> {
        let (sender, listening) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(says).lines().map_while(Result::ok);
            let mut seen = Vec::new();
            for line in lines.by_ref() {
                if let Some(address) = address(&line) {
                    // Nobody waits any more: then there is nobody to tell.
                    let _ = sender.send(Ok(address));
                    break;
                }
                seen.push(line);
            }
            let _ = sender.send(Err(seen.join("\n")));
            // A process whose lines nobody reads comes to wait for that.
            lines.for_each(drop);
        });
        let said = listening.recv_timeout(START_LIMIT).unwrap_or_else(|_| Err("it says nothing".to_owned()));
        let pid = process.id();
        let mut end = move || {
            let _ = process.kill();
            let _ = process.wait();
        };
        match said {
            Ok(bootstrap) => Ok(Running { bootstrap, pid, end: Box::new(end) }),
            Err(log) => {
                end();
                Err(format!("it did not start:\n{log}"))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.end)();
    }
}
