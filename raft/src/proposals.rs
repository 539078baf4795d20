//! The way of a command into the log.
//!
//! One proposal is on its way at a time. What comes meanwhile waits, and then travels together: one entry, one flush,
//! however many wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use state::cluster::{Applied, Command};
use tokio::sync::{mpsc, oneshot};

use crate::error::ProposeError;
use crate::types::{Proposal, Raft, node_id};

/// The largest command, in bytes of JSON: room for 10,000 partitions with dozens of replicas.
pub const MAX_COMMAND_BYTES: usize = 8 << 20;
/// The most commands in one entry.
const BATCH_COMMANDS_MAX: usize = 256;
/// Commands that may wait before proposers wait for room.
const QUEUED_COMMANDS_MAX: usize = 1024;

struct Waiting {
    command: Command,
    bytes: usize,
    answer: oneshot::Sender<Result<Applied, ProposeError>>,
}

/// The queue of commands.
#[derive(Clone)]
pub(crate) struct Proposals(mpsc::Sender<Waiting>);

impl Proposals {
    /// Starts the task that proposes; it ends when the last `Proposals` is gone.
    pub(crate) fn spawn(raft: Raft, timeout: Duration) -> Proposals {
        let (sender, queue) = mpsc::channel(QUEUED_COMMANDS_MAX);
        tokio::spawn(run(raft, timeout, queue));
        Proposals(sender)
    }

    pub(crate) async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let bytes = size_bytes(&command);
        if bytes > MAX_COMMAND_BYTES {
            return Err(ProposeError::TooLarge { size_bytes: bytes });
        }
        let (answer, outcome) = oneshot::channel();
        self.0.send(Waiting { command, bytes, answer }).await.map_err(|_| ProposeError::Stopped)?;
        outcome.await.unwrap_or(Err(ProposeError::Stopped))
    }
}

/// The size of a command as it is logged.
fn size_bytes(command: &Command) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Commands hold strings, numbers and maps keyed by strings: nothing that JSON cannot say.
    serde_json::to_writer(&mut count, command).map_or(usize::MAX, |()| count.0)
}

async fn run(raft: Raft, timeout: Duration, mut queue: mpsc::Receiver<Waiting>) {
    let mut left_over = None;
    loop {
        let Some(first) = (match left_over.take() {
            Some(waiting) => Some(waiting),
            None => queue.recv().await,
        }) else {
            return;
        };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMANDS_MAX
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.bytes;
            if bytes > MAX_COMMAND_BYTES {
                left_over = Some(next);
                break;
            }
            batch.push(next);
        }
        propose_batch(&raft, timeout, batch).await;
    }
}

async fn propose_batch(raft: &Raft, timeout: Duration, batch: Vec<Waiting>) {
    let (commands, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.command, waiting.answer)).unzip();
    let result = match tokio::time::timeout(timeout, raft.client_write(Proposal(Arc::from(commands)))).await {
        Ok(Ok(response)) => Ok(response.data.0),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(ProposeError::OutcomeUnknown),
    };
    match result {
        Ok(outcomes) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever asked may have gone.
                drop(answer.send(Ok(outcome)));
            }
        }
        Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
    }
}

fn refusal<M: openraft::Node>(error: RaftError<u64, ClientWriteError<u64, M>>) -> ProposeError {
    match error {
        RaftError::Fatal(_) => ProposeError::Stopped,
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            ProposeError::NotLeader { leader_id: forward.leader_id.map(node_id) }
        }
        // Only changes of membership come to this, and none is proposed here.
        RaftError::APIError(ClientWriteError::ChangeMembershipError(_)) => ProposeError::NotLeader { leader_id: None },
    }
}
