//! What members of the quorum say to each other, and the seam where a network goes.
//!
//! [`Transport`] carries requests. The only one there is refuses, because a node is alone in its quorum today; what
//! stands on both sides of the seam is complete, and is tested with three nodes in one process.
//!
//! Both sides refuse a batch of entries that does not follow the entry it claims to follow. openraft 0.9 may send one
//! when the log is purged under a slow follower; a follower that took it would have a hole in its log, and would find
//! out at its next start.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use openraft::error::{
    Fatal, InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError,
    Timeout, Unreachable,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, SnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RPCTypes, RaftNetwork, RaftNetworkFactory, Snapshot};

use crate::snapshot::SnapshotFile;
use crate::types::{Entry, LogId, Member, Raft, RaftId, SnapshotMeta, TypeConfig, Vote};

/// What one member asks another.
#[derive(Debug)]
pub(crate) enum PeerRequest {
    AppendEntries(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<RaftId>),
    Snapshot { vote: Vote, meta: SnapshotMeta, file: SnapshotFile },
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum PeerReply {
    AppendEntries(Result<AppendEntriesResponse<RaftId>, RaftError<RaftId>>),
    Vote(Result<VoteResponse<RaftId>, RaftError<RaftId>>),
    Snapshot(Result<SnapshotResponse<RaftId>, Fatal<RaftId>>),
    /// The request was not looked at.
    Refused(String),
}

/// A reply on its way, or why there is none.
pub(crate) type Exchange<'a> = Pin<Box<dyn Future<Output = io::Result<PeerReply>> + Send + 'a>>;

/// Carries requests to other members. A reply of another kind than its request is an error of the transport.
pub(crate) trait Transport: Send + Sync + 'static {
    fn exchange(&self, target: RaftId, member: Member, request: PeerRequest) -> Exchange<'_>;
}

/// The transport of a node that is alone.
pub(crate) struct NoPeers;

impl Transport for NoPeers {
    fn exchange(&self, target: RaftId, _: Member, _: PeerRequest) -> Exchange<'_> {
        let message = format!("there is no way to member {target}: this node is alone in its metadata quorum");
        Box::pin(std::future::ready(Err(io::Error::new(io::ErrorKind::Unsupported, message))))
    }
}

/// Why entries cannot follow `previous`, if they cannot.
fn gap(previous: Option<&LogId>, entries: &[Entry]) -> Option<String> {
    let first = entries.first()?.log_id.index;
    let expected = previous.map_or(0, |previous| previous.index + 1);
    (first != expected).then(|| format!("a batch begins with entry {first}, where entry {expected} must come"))
}

/// Answers what another member asked.
#[cfg_attr(not(test), expect(dead_code, reason = "a node is alone until there is a transport"))]
pub(crate) async fn serve(raft: &Raft, request: PeerRequest) -> PeerReply {
    match request {
        PeerRequest::AppendEntries(request) => match gap(request.prev_log_id.as_ref(), &request.entries) {
            Some(gap) => PeerReply::Refused(gap),
            None => PeerReply::AppendEntries(raft.append_entries(request).await),
        },
        PeerRequest::Vote(request) => PeerReply::Vote(raft.vote(request).await),
        PeerRequest::Snapshot { vote, meta, file } => {
            let snapshot = Snapshot { meta, snapshot: Box::new(file) };
            PeerReply::Snapshot(raft.install_full_snapshot(vote, snapshot).await)
        }
    }
}

/// Makes a [`Peer`] for each member that openraft wants to talk to.
pub(crate) struct Network(pub(crate) Arc<dyn Transport>);

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: RaftId, member: &Member) -> Peer {
        Peer { transport: Arc::clone(&self.0), target, member: member.clone() }
    }
}

/// The way to one member.
pub(crate) struct Peer {
    transport: Arc<dyn Transport>,
    target: RaftId,
    member: Member,
}

type PeerError<E> = RPCError<RaftId, Member, E>;

impl Peer {
    async fn exchange<E: std::error::Error>(
        &self,
        request: PeerRequest,
        rpc: RPCTypes,
        option: &RPCOption,
    ) -> Result<PeerReply, PeerError<E>> {
        let timeout = option.hard_ttl();
        match tokio::time::timeout(timeout, self.transport.exchange(self.target, self.member.clone(), request)).await {
            Ok(Ok(PeerReply::Refused(reason))) => Err(unreachable(io::Error::other(reason))),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(unreachable(error)),
            Err(_) => Err(RPCError::Timeout(Timeout { action: rpc, id: self.target, target: self.target, timeout })),
        }
    }

    fn remote<E: std::error::Error>(&self, error: E) -> PeerError<E> {
        RPCError::RemoteError(RemoteError::new(self.target, error))
    }
}

fn unreachable<E: std::error::Error>(error: io::Error) -> PeerError<E> {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn mixed_up() -> NetworkError {
    NetworkError::new(&io::Error::other("the reply is not one to this request"))
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftId>, PeerError<RaftError<RaftId>>> {
        if let Some(gap) = gap(rpc.prev_log_id.as_ref(), &rpc.entries) {
            tracing::warn!(target = self.target, gap, "did not send a batch of entries");
            return Err(unreachable(io::Error::other(gap)));
        }
        match self.exchange(PeerRequest::AppendEntries(rpc), RPCTypes::AppendEntries, &option).await? {
            PeerReply::AppendEntries(result) => result.map_err(|error| self.remote(error)),
            _ => Err(mixed_up().into()),
        }
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<RaftId>, PeerError<RaftError<RaftId, InstallSnapshotError>>> {
        // Snapshots in pieces are openraft's old way; `full_snapshot` is what it calls now.
        Err(unreachable(io::Error::new(io::ErrorKind::Unsupported, "snapshots travel whole")))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<RaftId>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftId>, PeerError<RaftError<RaftId>>> {
        match self.exchange(PeerRequest::Vote(rpc), RPCTypes::Vote, &option).await? {
            PeerReply::Vote(result) => result.map_err(|error| self.remote(error)),
            _ => Err(mixed_up().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<RaftId>, StreamingError<TypeConfig, Fatal<RaftId>>> {
        let request = PeerRequest::Snapshot { vote, meta: snapshot.meta, file: *snapshot.snapshot };
        let reply = tokio::select! {
            closed = cancel => return Err(closed.into()),
            reply = self.exchange::<Fatal<RaftId>>(request, RPCTypes::InstallSnapshot, &option) => reply,
        };
        match reply {
            Ok(PeerReply::Snapshot(Ok(response))) => Ok(response),
            Ok(PeerReply::Snapshot(Err(fatal))) => Err(RemoteError::new(self.target, fatal).into()),
            Ok(_) => Err(mixed_up().into()),
            Err(RPCError::Timeout(timeout)) => Err(timeout.into()),
            Err(RPCError::Unreachable(unreachable)) => Err(unreachable.into()),
            Err(RPCError::Network(network)) => Err(network.into()),
            Err(RPCError::RemoteError(remote)) => Err(remote.into()),
            Err(RPCError::PayloadTooLarge(_)) => Err(mixed_up().into()),
        }
    }
}

#[cfg(test)]
mod tests;
