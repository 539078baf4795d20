//! What the machine can do at all: a sink that reads a Produce frame, checks its CRC-32C, writes it and answers, and a
//! source that sends the same bytes back. It is no broker: no validation, no fsync, no groups, nothing survives it.
//!
//! A thread per connection, blocking calls, one allocation an answer: whatever a broker costs beyond this is its own.

mod answers;
mod connection;
mod log;

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use log::Log;

/// The topics of one sink.
pub(crate) struct Limit {
    directory: PathBuf,
    port: u16,
    topics: Mutex<BTreeMap<String, Vec<Arc<Log>>>>,
}

impl Limit {
    /// A partition's log; `None` when nobody created it.
    fn log(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic)?.get(usize::try_from(partition).ok()?).cloned()
    }

    fn create(&self, topic: &str, partitions: i32) -> io::Result<()> {
        let path = |partition| self.directory.join(format!("{topic}-{partition}.log"));
        let logs = (0..partitions.max(1)).map(|partition| Log::create(&path(partition)).map(Arc::new));
        let logs = logs.collect::<io::Result<_>>()?;
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), logs);
        Ok(())
    }

    fn delete(&self, topic: &str) {
        let logs = self.topics.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
        logs.into_iter().flatten().for_each(|log| log.delete());
    }

    /// Every topic with its number of partitions.
    fn names(&self) -> Vec<(String, usize)> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(name, logs)| (name.clone(), logs.len())).collect()
    }
}

/// Serves on a free loopback port, which it prints, until the process is killed.
///
/// # Errors
/// No port, or no directory.
pub(crate) fn serve(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let limit = Limit { directory: directory.to_owned(), port: address.port(), topics: Mutex::default() };
    let limit = Arc::new(limit);
    println!("listening on {address}");
    for stream in listener.incoming() {
        let (stream, limit) = (stream?, Arc::clone(&limit));
        stream.set_nodelay(true)?;
        // A client that goes away ends its connection; nothing else has to know.
        std::thread::spawn(move || connection::serve(stream, &limit));
    }
    Ok(())
}
