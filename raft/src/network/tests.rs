//! Three nodes in one process: what stands on both sides of the seam works, and a batch with a hole passes neither.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::raft::AppendEntriesRequest;
use openraft::{CommittedLeaderId, EntryPayload};
use state::cluster::{Command, ConfigAlteration, ConfigChange, ConfigResource};

use super::*;
use crate::types::raft_id;
use crate::{ProposeError, Quorum, QuorumConfig};

/// Far more than any election takes: only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands requests over in memory to the nodes that are up.
#[derive(Clone, Default)]
struct Wires {
    up: Arc<Mutex<BTreeMap<RaftId, Raft>>>,
    snapshots: Arc<AtomicUsize>,
}

impl Transport for Wires {
    fn exchange(&self, target: RaftId, _: Member, request: PeerRequest) -> Exchange<'_> {
        let raft = self.up.lock().unwrap().get(&target).cloned();
        if matches!(request, PeerRequest::Snapshot { .. }) {
            self.snapshots.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(async move {
            let raft = raft.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(serve(&raft, request).await)
        })
    }
}

struct Nodes {
    dir: tempfile::TempDir,
    wires: Wires,
    up: BTreeMap<i32, Quorum>,
}

impl Nodes {
    async fn start() -> Nodes {
        let mut nodes = Nodes { dir: tempfile::tempdir().unwrap(), wires: Wires::default(), up: BTreeMap::new() };
        for node_id in 1..=3 {
            nodes.open(node_id).await;
        }
        let members: BTreeMap<RaftId, Member> = (1..=3)
            .map(|id| (raft_id(id), Member { node_id: id, directory_id: nodes.up[&id].directory_id().to_string() }))
            .collect();
        nodes.up[&1].raft().initialize(members).await.unwrap();
        nodes
    }

    async fn open(&mut self, node_id: i32) {
        let config = QuorumConfig {
            cluster_id: Some("three".to_owned()),
            heartbeat_interval_ms: 50,
            election_timeout_min_ms: 150,
            snapshot_interval_entries: 20,
            ..QuorumConfig::new(self.path(node_id), node_id)
        };
        let quorum = Quorum::open(config, Arc::new(self.wires.clone())).await.unwrap();
        self.wires.up.lock().unwrap().insert(raft_id(node_id), quorum.raft().clone());
        self.up.insert(node_id, quorum);
    }

    async fn stop(&mut self, node_id: i32) {
        self.wires.up.lock().unwrap().remove(&raft_id(node_id));
        self.up.remove(&node_id).unwrap().shutdown().await;
    }

    fn path(&self, node_id: i32) -> std::path::PathBuf {
        Path::join(self.dir.path(), node_id.to_string())
    }

    /// Proposes where the leader is, until it is done.
    async fn propose(&self, value: u32) -> i32 {
        let command = || {
            let configs = BTreeMap::from([("value".to_owned(), value.to_string())]);
            let change = ConfigChange::Replace(configs);
            Command::AlterConfigs(vec![ConfigAlteration { resource: ConfigResource::DefaultBroker, change }])
        };
        let proposed = async {
            loop {
                for (node_id, quorum) in &self.up {
                    match quorum.propose(command()).await {
                        Ok(applied) => {
                            assert_eq!(applied.into_items(), [Ok(())]);
                            return *node_id;
                        }
                        Err(ProposeError::NotLeader { .. }) => {}
                        Err(error) => panic!("node {node_id}: {error}"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, proposed).await.expect("no leader was elected")
    }

    /// Waits until every node that is up holds the value.
    async fn converge(&self, value: u32) {
        for (node_id, quorum) in &self.up {
            let mut images = quorum.watch_image();
            let value = value.to_string();
            let there =
                images.wait_for(|image| image.config(&ConfigResource::DefaultBroker, "value") == Some(value.as_str()));
            let there = tokio::time::timeout(PATIENCE, there).await;
            assert!(there.is_ok(), "node {node_id} lags: {:?}", quorum.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_outlive_their_leader_and_take_it_back() {
    let mut nodes = Nodes::start().await;
    let first = nodes.propose(1).await;
    nodes.converge(1).await;
    let follower = nodes.up.values().find(|quorum| quorum.leader_id() != Some(quorum.status().node_id)).unwrap();
    let command = Command::ControllerElected { controller_id: 9 };
    assert_eq!(follower.propose(command).await, Err(ProposeError::NotLeader { leader_id: Some(first) }));

    nodes.stop(first).await;
    let second = nodes.propose(2).await;
    assert_ne!(first, second);
    nodes.converge(2).await;
    nodes.open(first).await;
    nodes.converge(2).await;
    nodes.propose(3).await;
    nodes.converge(3).await;
    let images: Vec<_> = nodes.up.values().map(Quorum::image).collect();
    assert!(images.iter().all(|image| *image == images[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_too_long_gets_a_snapshot() {
    let mut nodes = Nodes::start().await;
    let leader = nodes.propose(0).await;
    let away = if leader == 1 { 2 } else { 1 };
    nodes.stop(away).await;
    let mut value = 0;
    while nodes.up[&leader].status().purged_index.is_none_or(|purged| purged < 30) {
        value += 1;
        nodes.propose(value).await;
        assert!(value < 5_000, "the log is never cut: {:?}", nodes.up[&leader].status());
    }
    nodes.open(away).await;
    nodes.converge(value).await;
    assert!(nodes.wires.snapshots.load(Ordering::Relaxed) > 0);

    // It can start from what it was sent.
    nodes.stop(away).await;
    nodes.open(away).await;
    nodes.propose(value + 1).await;
    nodes.converge(value + 1).await;
}

fn batch(previous: Option<u64>, first: u64) -> AppendEntriesRequest<TypeConfig> {
    let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
    AppendEntriesRequest {
        vote: Vote::new_committed(1, 1),
        prev_log_id: previous.map(id),
        entries: vec![Entry { log_id: id(first), payload: EntryPayload::Blank }],
        leader_commit: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_a_hole_is_neither_sent_nor_taken() {
    struct NotReached;
    impl Transport for NotReached {
        fn exchange(&self, _: RaftId, _: Member, _: PeerRequest) -> Exchange<'_> {
            panic!("a batch with a hole was sent");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let quorum = Quorum::open(QuorumConfig::new(dir.path(), 2), Arc::new(NoPeers)).await.unwrap();
    let mut peer = Network(Arc::new(NotReached)).new_client(2, &Member::default()).await;
    for (previous, first) in [(Some(349), 560), (Some(3), 3), (None, 1)] {
        let sent = peer.append_entries(batch(previous, first), RPCOption::new(PATIENCE)).await;
        assert!(matches!(sent, Err(RPCError::Unreachable(_))), "{sent:?}");
        let reply = serve(quorum.raft(), PeerRequest::AppendEntries(batch(previous, first))).await;
        assert!(matches!(reply, PeerReply::Refused(_)), "{reply:?}");
    }
    let reply = serve(quorum.raft(), PeerRequest::AppendEntries(batch(None, 0))).await;
    assert!(matches!(reply, PeerReply::AppendEntries(Ok(_))), "{reply:?}");
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_alone_reaches_nobody() {
    let mut peer = Network(Arc::new(NoPeers)).new_client(2, &Member::default()).await;
    let sent = peer.append_entries(batch(None, 0), RPCOption::new(PATIENCE)).await;
    assert!(matches!(sent, Err(RPCError::Unreachable(_))), "{sent:?}");
}
