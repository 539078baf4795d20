//! A small disk of its own that really fills up, under a broker that is killed while it is full: an ext4 where the kernel
//! has loop devices, and one in memory wherever root may mount.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Cluster;
use protocol::ErrorCode;
use protocol::messages::DeleteTopicsRequest;
use protocol::messages::delete_topics::DeleteTopicState;
use tempfile::TempDir;

use crate::broker_process::{BrokerProcess, DEADLINE, OTTLA};
use crate::faulty::{create, send_once};
use crate::reader::read;

const DISK_BYTES: u64 = 24 << 20;
const BATCH_BYTES: usize = 300_000;
/// Does not fit, however it is counted.
const BATCHES_MAX: usize = DISK_BYTES as usize / BATCH_BYTES;

/// What is mounted: `$0` is a file for an image, `$1` the directory, `$2` the size in bytes.
const EXT4: &str = "mkfs.ext4 -q -m 0 \"$0\" && mount -o loop \"$0\" \"$1\"";
const MEMORY: &str = "mount -t tmpfs -o size=\"$2\" small \"$1\"";

/// A mount of which nobody else knows. It lives as long as the process that holds its namespace.
struct SmallDisk {
    holder: Child,
    directory: Arc<TempDir>,
    /// With the image of the disk.
    _image: TempDir,
}

impl SmallDisk {
    /// Nothing where only root may mount and we are not root, or where the kernel has no loop devices for an ext4.
    fn mount(mount: &str) -> Option<SmallDisk> {
        let (directory, image) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
        let file = image.path().join("disk");
        std::fs::File::create(&file).unwrap().set_len(DISK_BYTES).unwrap();
        let script = format!("{mount} && echo mounted && exec sleep infinity");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(&file).arg(directory.path()).arg(DISK_BYTES.to_string());
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut holder = match spawned {
            Ok(holder) => holder,
            Err(error) => return skip(&format!("unshare: {error}")),
        };
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("it is piped")).read_line(&mut said).unwrap();
        if said.trim() == "mounted" {
            return Some(SmallDisk { holder, directory, _image: image });
        }
        let output = holder.wait_with_output().unwrap();
        skip(&String::from_utf8_lossy(&output.stderr))
    }

    fn start(&self, settings: &[&str]) -> BrokerProcess {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string(), OTTLA]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        BrokerProcess::start_through(command, Arc::clone(&self.directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn skip(reason: &str) -> Option<SmallDisk> {
    eprintln!("skipped: no small disk can be mounted: {}", reason.trim());
    None
}

fn value(index: usize) -> Vec<u8> {
    let mut value = format!("{index}/").into_bytes();
    value.resize(BATCH_BYTES, b'x');
    value
}

/// Sends until the disk is full; answers how many batches were acknowledged.
async fn fill(cluster: &Cluster) -> usize {
    for index in 0..BATCHES_MAX {
        if let Err(error) = send_once(cluster, "full", &value(index)).await {
            assert_eq!(error.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{error}");
            return index;
        }
    }
    panic!("{BATCHES_MAX} batches of {BATCH_BYTES} bytes fit into {DISK_BYTES} bytes")
}

async fn assert_kept(cluster: &Cluster, acknowledged: usize) {
    let found = read(cluster, "full", 0).await.unwrap().records;
    // What was refused may be there all the same: one batch, behind the others.
    assert!((acknowledged..=acknowledged + 1).contains(&found.len()), "{} of {acknowledged}", found.len());
    for (index, record) in found.iter().enumerate() {
        assert_eq!(record.offset, index as i64);
        assert!(record.value.as_deref() == Some(value(index).as_slice()), "{index} is not what was sent");
    }
}

async fn fills_and_is_killed(mount: &str, reserve: &str) {
    let Some(disk) = SmallDisk::mount(mount) else { return };
    let mut broker = disk.start(&["log.segment.bytes=1048576", reserve]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "kept", 1, &[]).await;
    create(&cluster, "full", 1, &[]).await;
    send_once(&cluster, "kept", b"before").await.unwrap();
    let acknowledged = fill(&cluster).await;
    assert!(acknowledged > 10, "{acknowledged} batches");
    assert_kept(&cluster, acknowledged).await;

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_kept(&cluster, acknowledged).await;
    let doomed = DeleteTopicState { name: Some("full".into()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![doomed], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(!answer.responses[0].error_code.is_error(), "{answer:?}");
    let begun = Instant::now();
    loop {
        match send_once(&cluster, "kept", b"after").await {
            Ok(written) => break assert_eq!(written.base_offset, 1),
            // The broker looks at the disk now and then.
            Err(error) => assert_eq!(error.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{error}"),
        }
        assert!(begun.elapsed() < DEADLINE, "there is space and it is not used:\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read(&cluster, "kept", 0).await.unwrap().records.len(), 2);
}

#[tokio::test]
async fn a_small_disk_fills_up_to_the_reserve() {
    fills_and_is_killed(EXT4, "ottla.log.reserve.bytes=4194304").await;
}

#[tokio::test]
async fn a_small_disk_fills_up_to_the_last_block() {
    fills_and_is_killed(EXT4, "ottla.log.reserve.bytes=0").await;
}

#[tokio::test]
async fn a_small_disk_in_memory_fills_up_to_the_reserve() {
    fills_and_is_killed(MEMORY, "ottla.log.reserve.bytes=4194304").await;
}

#[tokio::test]
async fn a_small_disk_in_memory_fills_up_to_the_last_page() {
    fills_and_is_killed(MEMORY, "ottla.log.reserve.bytes=0").await;
}
