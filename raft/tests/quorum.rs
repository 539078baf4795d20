//! A quorum of one, from outside: what is acknowledged is visible, durable, and still there after any stop.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use protocol::{ErrorCode, Uuid};
use raft::{MAX_COMMAND_BYTES, METADATA_DIR, ProposeError, Quorum, QuorumConfig, QuorumMember, RaftError};
use state::cluster::{Command, ConfigAlteration, ConfigChange, ConfigResource, Image, NewTopic, RegisterBroker};
use storage::{Disk, OsDisk};
use tempfile::TempDir;

async fn start(dir: &Path) -> Quorum {
    Quorum::start(QuorumConfig::new(dir, 1)).await.unwrap()
}

/// Registers broker 1, as at each start, and hands back its epoch.
async fn register(quorum: &Quorum, incarnation: u8) -> i64 {
    let replaces_epoch = quorum.image().broker(1).map_or(-1, |broker| broker.epoch);
    let command = Command::RegisterBroker(RegisterBroker {
        broker_id: 1,
        incarnation_id: Uuid([incarnation; 16]),
        directory_id: quorum.directory_id(),
        listeners: Vec::new(),
        rack: None,
        fenced: false,
        replaces_epoch,
    });
    quorum.propose(command).await.unwrap().into_broker_epoch().unwrap()
}

fn topic(number: u32) -> Command {
    let mut id = [1; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    Command::CreateTopics(vec![NewTopic {
        name: format!("topic-{number}"),
        id: Uuid(id),
        assignments: vec![vec![1]],
        configs: BTreeMap::from([("retention.ms".to_owned(), number.to_string())]),
    }])
}

async fn create_topic(quorum: &Quorum, number: u32) {
    let outcome = quorum.propose(topic(number)).await.unwrap().into_items();
    assert_eq!(outcome, [Ok(())]);
    assert!(quorum.image().topic(&format!("topic-{number}")).is_some(), "not visible when acknowledged");
}

fn set_default_retention(value: impl ToString) -> Command {
    let configs = BTreeMap::from([("log.retention.ms".to_owned(), value.to_string())]);
    Command::AlterConfigs(vec![ConfigAlteration {
        resource: ConfigResource::DefaultBroker,
        change: ConfigChange::Replace(configs),
    }])
}

/// Everything but what an election changes.
fn contents(image: &Image) -> Vec<state::cluster::Record> {
    image.records().skip(1).collect()
}

/// The directory as a kill would leave it.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::copy(from.join("meta.properties"), to.path().join("meta.properties")).unwrap();
    fs::create_dir(to.path().join(METADATA_DIR)).unwrap();
    for file in fs::read_dir(from.join(METADATA_DIR)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.path().join(METADATA_DIR).join(file.file_name())).unwrap();
    }
    to
}

fn files_with(dir: &Path, extension: &str) -> usize {
    let files = fs::read_dir(dir.join(METADATA_DIR)).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|found| found == extension)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_directory_becomes_a_cluster_that_leads_itself() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(&dir.path().join("deep/data")).await;
    assert_eq!(quorum.leader_id(), Some(1));
    assert_eq!(quorum.cluster_id().len(), 22);
    let image = quorum.image();
    assert_eq!(image.cluster_id(), Some(quorum.cluster_id()));
    assert_eq!((image.controller_id(), image.controller_epoch()), (Some(1), 1));
    let status = quorum.status();
    let voter = QuorumMember { node_id: 1, directory_id: quorum.directory_id(), last_log_index: status.last_log_index };
    assert_eq!((status.node_id, status.voters, status.observers), (1, vec![voter], vec![]));
    quorum.shutdown().await;
    assert_eq!(quorum.propose(topic(1)).await, Err(ProposeError::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_is_there_after_stops_of_both_kinds() {
    let mut dir = tempfile::tempdir().unwrap();
    let (mut cluster_id, mut blocks, mut epochs) = (None, BTreeSet::new(), BTreeSet::new());
    let mut expected = Vec::new();
    for run in 0..8u8 {
        let quorum = start(dir.path()).await;
        let id = cluster_id.get_or_insert_with(|| quorum.cluster_id().to_owned());
        assert_eq!(quorum.cluster_id(), id);
        assert_eq!(contents(&quorum.image()), expected, "run {run}");
        assert_eq!(quorum.image().controller_epoch(), i32::from(run) + 1);

        let epoch = register(&quorum, run).await;
        assert!(epochs.insert(epoch), "a broker epoch came twice");
        for i in 0..3 {
            create_topic(&quorum, u32::from(run) * 3 + i).await;
            let command = Command::AllocateProducerIds { broker_id: 1, broker_epoch: epoch, count: 1000 };
            let block = quorum.propose(command).await.unwrap().into_producer_ids().unwrap();
            assert!(blocks.insert(block.first / 1000), "a block of producer ids came twice");
        }
        quorum.propose(set_default_retention(run)).await.unwrap();
        expected = contents(&quorum.image());
        if run % 2 == 0 {
            quorum.shutdown().await;
        } else {
            // Never shut down: what was acknowledged is all there is.
            dir = copy(dir.path());
        }
    }
    assert_eq!(blocks, (0..24).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_and_the_log_behind_it_are_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let config = QuorumConfig { snapshot_interval_entries: 50, ..QuorumConfig::new(dir.path(), 1) };
    let quorum = Quorum::start(config.clone()).await.unwrap();
    register(&quorum, 0).await;
    for number in 0..200 {
        create_topic(&quorum, number).await;
    }
    // Snapshots are taken beside the proposals: go on until one is done and the log is cut behind it.
    let mut number = 200;
    while quorum.status().purged_index.is_none() {
        create_topic(&quorum, number).await;
        number += 1;
        assert!(number < 20_000, "no snapshot was taken: {:?}", quorum.status());
    }
    let expected = contents(&quorum.image());
    let killed = copy(dir.path());
    quorum.shutdown().await;
    // One that was being written when the quorum ended is finished on its thread, which then removes the oldest.
    let begun = std::time::Instant::now();
    while files_with(dir.path(), "snapshot") > 2 {
        assert!(begun.elapsed().as_secs() < 30, "snapshots that nobody needs stay");
        tokio::task::yield_now().await;
    }
    for at in [dir.path(), killed.path()] {
        let config = QuorumConfig { dir: at.to_owned(), ..config.clone() };
        let quorum = Quorum::start(config).await.unwrap();
        assert!(quorum.status().snapshot_index.is_some());
        assert_eq!(contents(&quorum.image()), expected);
        create_topic(&quorum, 1_000_000).await;
        quorum.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_made_at_once_are_decided_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    let epoch = register(&quorum, 0).await;
    let before = quorum.status().last_log_index.unwrap();
    let mut running = tokio::task::JoinSet::new();
    for i in 0..200u32 {
        let quorum = quorum.clone();
        running.spawn(async move {
            // The same name with two hundred ids: one may win.
            let Command::CreateTopics(mut topics) = topic(i) else { unreachable!() };
            topics[0].name = "wanted".to_owned();
            let created = quorum.propose(Command::CreateTopics(topics)).await.unwrap().into_items().remove(0);
            let block = Command::AllocateProducerIds { broker_id: 1, broker_epoch: epoch, count: 10 };
            (created, quorum.propose(block).await.unwrap().into_producer_ids().unwrap().first)
        });
    }
    let results = running.join_all().await;
    assert_eq!(results.iter().filter(|(created, _)| created.is_ok()).count(), 1);
    let errors = results.iter().filter_map(|(created, _)| created.as_ref().err());
    assert!(errors.clone().all(|refusal| refusal.error == ErrorCode::TOPIC_ALREADY_EXISTS));
    let firsts: BTreeSet<i64> = results.iter().map(|(_, first)| *first).collect();
    assert_eq!(firsts, (0..200).map(|i| i * 10).collect());
    let entries = quorum.status().last_log_index.unwrap() - before;
    assert!(entries < 200, "400 commands took {entries} entries: what waits does not travel together");
    quorum.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_see_the_last_image() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    let mut images = quorum.watch_image();
    let old = images.borrow_and_update().clone();
    register(&quorum, 0).await;
    create_topic(&quorum, 1).await;
    assert!(images.has_changed().unwrap());
    let new = images.borrow_and_update().clone();
    assert_eq!(new, quorum.image());
    let changes = state::cluster::changes(&old, &new);
    assert!(matches!(changes[0], state::cluster::Change::TopicCreated(_)), "{changes:?}");
    quorum.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    let second = Quorum::start(QuorumConfig::new(dir.path(), 1)).await;
    assert!(matches!(second.err(), Some(RaftError::InUse { .. })));
    quorum.shutdown().await;

    let other_node = Quorum::start(QuorumConfig::new(dir.path(), 2)).await;
    assert!(matches!(other_node.err(), Some(RaftError::Mismatch { .. })));
    let mut config = QuorumConfig::new(dir.path(), 1);
    config.cluster_id = Some("another".to_owned());
    assert!(matches!(Quorum::start(config).await.err(), Some(RaftError::Mismatch { .. })));
    assert!(matches!(Quorum::start(QuorumConfig::new(dir.path(), -1)).await.err(), Some(RaftError::Config(_))));
    start(dir.path()).await.shutdown().await;
}

/// Who writes them while another does so too may read its own and leave the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_written_by_whoever_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ids) = (QuorumConfig::new(dir.path(), 1), dir.path().join("meta.properties"));
    let lock = OsDisk.lock(&dir.path().join(".lock")).unwrap();
    assert!(matches!(Quorum::start(config.clone()).await.err(), Some(RaftError::InUse { .. })));
    assert!(matches!(raft::format(&config), Err(RaftError::InUse { .. })));
    assert!(!ids.exists() && !dir.path().join(METADATA_DIR).exists());
    drop(lock);
    raft::format(&config).unwrap();

    // A file that Kafka wrote lacks an id, which is as good as none; what has them all is only read.
    let written = fs::read_to_string(&ids).unwrap();
    let without_id: Vec<&str> = written.lines().filter(|line| !line.starts_with("directory.id")).collect();
    let lock = OsDisk.lock(&dir.path().join(".lock")).unwrap();
    raft::format(&config).unwrap();
    fs::write(&ids, without_id.join("\n")).unwrap();
    assert!(matches!(raft::format(&config), Err(RaftError::InUse { .. })));
    drop(lock);
    raft::format(&config).unwrap();
    assert!(fs::read_to_string(&ids).unwrap().contains("directory.id="));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_snapshot_is_replaced_by_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = QuorumConfig { snapshot_interval_entries: 20, ..QuorumConfig::new(dir.path(), 1) };
    let quorum = Quorum::start(config.clone()).await.unwrap();
    register(&quorum, 0).await;
    let mut number = 0;
    while files_with(dir.path(), "snapshot") < 2 {
        create_topic(&quorum, number).await;
        number += 1;
        assert!(number < 20_000, "no two snapshots were taken: {:?}", quorum.status());
    }
    let expected = contents(&quorum.image());
    quorum.shutdown().await;
    let mut snapshots: Vec<_> = fs::read_dir(dir.path().join(METADATA_DIR))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "snapshot"))
        .collect();
    snapshots.sort();
    let newest = snapshots.pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();

    let quorum = Quorum::start(config).await.unwrap();
    assert_eq!(contents(&quorum.image()), expected);
    quorum.shutdown().await;
    assert_eq!(files_with(dir.path(), "corrupt"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_too_large_is_refused_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    let refused = quorum.propose(set_default_retention("9".repeat(MAX_COMMAND_BYTES))).await;
    assert!(matches!(refused, Err(ProposeError::TooLarge { .. })), "{refused:?}");
    let largest = set_default_retention("9".repeat(MAX_COMMAND_BYTES - 200));
    assert_eq!(quorum.propose(largest).await.unwrap().into_items(), [Ok(())]);
    let expected = contents(&quorum.image());
    quorum.shutdown().await;
    let quorum = start(dir.path()).await;
    assert_eq!(contents(&quorum.image()), expected);
    quorum.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_quorum_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    register(&quorum, 0).await;
    create_topic(&quorum, 1).await;
    let before = contents(&quorum.image());
    // A directory where the next file of the log belongs: creating it fails as on a full disk.
    fs::create_dir(dir.path().join(METADATA_DIR).join("wal-00000000000000000001.log")).unwrap();
    let mut failed = std::pin::pin!(quorum.failed());
    let large = || set_default_retention("9".repeat(3 << 20));
    let mut refused = None;
    for _ in 0..3 {
        if let Err(error) = quorum.propose(large()).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused, Some(ProposeError::Stopped));
    let reason = failed.as_mut().await;
    assert!(!reason.is_empty());
    drop(reason);
    quorum.shutdown().await;
    fs::remove_dir(dir.path().join(METADATA_DIR).join("wal-00000000000000000001.log")).unwrap();
    let quorum = start(dir.path()).await;
    assert_eq!(contents(&quorum.image())[..2], before[..2]);
    quorum.shutdown().await;
}
