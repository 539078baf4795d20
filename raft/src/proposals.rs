//! The way of a command into the log.
//!
//! One proposal is on its way at a time. What comes meanwhile waits, and then travels together: one entry, one flush,
//! however many wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use state::cluster::{Applied, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::ProposeError;
use crate::types::{Proposal, Raft, node_id};

/// The largest command, in bytes of JSON: room for 10,000 partitions with dozens of replicas.
pub const MAX_COMMAND_BYTES: usize = 8 << 20;
/// The most commands in one entry.
const BATCH_COMMANDS_MAX: usize = 256;
/// Commands that may wait before proposers wait for room.
const QUEUED_COMMANDS_MAX: usize = 1024;

/// Bytes of commands that may wait or be on their way. What comes then is refused: who waited for room would hold its
/// command meanwhile, and a request of a few bytes can ask for the largest.
const PENDING_BYTES_MAX: usize = 4 * MAX_COMMAND_BYTES;

struct Waiting {
    command: Command,
    bytes: usize,
    room: OwnedSemaphorePermit,
    answer: oneshot::Sender<Result<Applied, ProposeError>>,
}

/// The queue of commands.
#[derive(Clone)]
pub(crate) struct Proposals {
    queue: mpsc::Sender<Waiting>,
    /// In bytes.
    room: Arc<Semaphore>,
}

impl Proposals {
    /// Starts the task that proposes; it ends when the last `Proposals` is gone.
    pub(crate) fn spawn(raft: Raft, timeout: Duration) -> Proposals {
        let (proposals, queue) = Proposals::queue();
        tokio::spawn(run(raft, timeout, queue));
        proposals
    }

    fn queue() -> (Proposals, mpsc::Receiver<Waiting>) {
        let (queue, waiting) = mpsc::channel(QUEUED_COMMANDS_MAX);
        (Proposals { queue, room: Arc::new(Semaphore::new(PENDING_BYTES_MAX)) }, waiting)
    }

    pub(crate) async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let bytes = size_bytes(&command);
        if bytes > MAX_COMMAND_BYTES {
            return Err(ProposeError::TooLarge { size_bytes: bytes });
        }
        let room =
            u32::try_from(bytes).ok().and_then(|bytes| Arc::clone(&self.room).try_acquire_many_owned(bytes).ok());
        let Some(room) = room else { return Err(ProposeError::Busy) };
        let (answer, outcome) = oneshot::channel();
        self.queue.send(Waiting { command, bytes, room, answer }).await.map_err(|_| ProposeError::Stopped)?;
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
    let (mut commands, mut answers, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
    for Waiting { command, room, answer, .. } in batch {
        commands.push(command);
        answers.push(answer);
        rooms.push(room);
    }
    let raft = raft.clone();
    let write = tokio::spawn(async move {
        let written = raft.client_write(Proposal(Arc::from(commands))).await;
        // Not when those who proposed lose patience: the commands are in memory until the log has them.
        drop(rooms);
        written
    });
    let result = match tokio::time::timeout(timeout, write).await {
        Ok(Ok(Ok(response))) => Ok(response.data.0),
        Ok(Ok(Err(error))) => Err(refusal(error)),
        Ok(Err(_)) => Err(ProposeError::Stopped),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use state::cluster::{ConfigAlteration, ConfigChange, ConfigResource};

    use super::*;

    /// A command of nearly so many bytes.
    fn command(bytes: usize) -> Command {
        let configs = BTreeMap::from([("key".to_owned(), "9".repeat(bytes - 200))]);
        let change = ConfigChange::Replace(configs);
        Command::AlterConfigs(vec![ConfigAlteration { resource: ConfigResource::DefaultBroker, change }])
    }

    type Proposed<'a> = Pin<Box<dyn Future<Output = Result<Applied, ProposeError>> + 'a>>;

    /// What came of it so far, if anything.
    fn outcome(proposed: &mut Proposed<'_>) -> Option<Result<Applied, ProposeError>> {
        match proposed.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(outcome) => Some(outcome),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn commands_that_wait_are_bounded_in_bytes() {
        let (proposals, mut queue) = Proposals::queue();
        let propose = |bytes| -> Proposed<'_> { Box::pin(proposals.propose(command(bytes))) };
        let mut waiting: Vec<_> = (0..4).map(|_| propose(MAX_COMMAND_BYTES)).collect();
        assert!(waiting.iter_mut().all(|proposed| outcome(proposed).is_none()));
        assert_eq!(outcome(&mut propose(MAX_COMMAND_BYTES)), Some(Err(ProposeError::Busy)));
        assert_eq!(outcome(&mut propose(10_000)), Some(Err(ProposeError::Busy)));

        // Taken and not answered yet, a command is in memory still.
        let taken = queue.recv().await.unwrap();
        assert_eq!(outcome(&mut propose(MAX_COMMAND_BYTES)), Some(Err(ProposeError::Busy)));
        drop(taken);
        assert_eq!(outcome(&mut waiting[0]), Some(Err(ProposeError::Stopped)));
        assert_eq!(outcome(&mut propose(MAX_COMMAND_BYTES)), None);
    }
}
