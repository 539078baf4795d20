//! A disk that strace makes slow or sick, for as long as a test wants.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::{Acks, ClientError, Cluster, OutgoingRecord, Producer, Written};
use protocol::messages::CreateTopicsRequest;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use protocol::records::{BatchBuilder, Codec};
use rustix::process::{Pid, Signal, kill_process};

use crate::broker_process::BrokerProcess;

/// Letting go of a broker that runs takes milliseconds.
const LETTING_GO: Duration = Duration::from_secs(10);

/// What a broker's calls to the disk meet while this exists.
pub(crate) struct Fault {
    strace: Child,
}

impl Fault {
    /// From here on, for `path` or for every file, as strace's `inject=` says it: `fdatasync:error=EIO`. Nothing where
    /// strace is missing or may not trace, which only a machine that decides about changes must not lack.
    pub(crate) fn begin(broker: &BrokerProcess, injection: &str, path: Option<&Path>) -> Option<Fault> {
        let (calls, _) = injection.split_once(':').expect("calls, and what becomes of them");
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={injection}"), "-p", &broker.id().to_string()]);
        if let Some(path) = path {
            command.arg("-P").arg(path);
        }
        let attached = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().and_then(|mut strace| {
            let mut said = String::new();
            let mut lines = BufReader::new(strace.stderr.take().expect("it is piped"));
            lines.read_line(&mut said)?;
            // It names the threads that come and go; nobody may be kept waiting for that.
            std::thread::spawn(move || for _ in lines.lines() {});
            if said.contains("attached") { Ok(Fault { strace }) } else { Err(std::io::Error::other(said)) }
        });
        let attached = attached.inspect_err(|error| {
            assert!(std::env::var_os("CI").is_none(), "strace cannot be used: {error}");
            eprintln!("skipped: strace cannot be used: {error}");
        });
        attached.ok()
    }

    /// The disk is well again.
    pub(crate) fn end(self) {}
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw) {
            // It lets go of the broker; killed outright, it might leave a call undone.
            let _ = kill_process(id, Signal::TERM);
        }
        // It can wait for ever for a thread of a program that ends at the same moment; killed, it holds up nobody.
        let deadline = Instant::now() + LETTING_GO;
        while self.strace.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Creates a topic with these configs.
pub(crate) async fn create(cluster: &Cluster, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: name.to_string(), value: Some(value.to_string()) });
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
}

/// A record of so many bytes.
pub(crate) fn record(bytes: usize) -> OutgoingRecord {
    OutgoingRecord { value: Some(vec![b'x'; bytes].into()), timestamp_ms: 1, ..Default::default() }
}

/// Sends one record with acks=all, once, whatever the answer is.
pub(crate) async fn send_once(cluster: &Cluster, topic: &str, value: &[u8]) -> Result<Written, ClientError> {
    let mut batch = BatchBuilder::new(0).codec(Codec::None, None);
    batch.append(1, None, Some(value), &[]);
    Producer::new(cluster, Acks::All, Codec::None).send_batch(topic, 0, batch.build().freeze()).await
}
