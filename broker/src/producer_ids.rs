//! Ids for idempotent producers, from blocks that the metadata log hands out.

use protocol::ErrorCode;
use raft::Quorum;
use state::cluster::Command;
use tokio::sync::Mutex;

/// Ids per block, as in Kafka. What is left of a block at a restart is skipped, never given out twice.
const BLOCK_SIZE: i32 = 1000;

/// The rest of the current block.
pub(crate) struct ProducerIds {
    broker_id: i32,
    broker_epoch: i64,
    block: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(broker_id: i32, broker_epoch: i64) -> ProducerIds {
        ProducerIds { broker_id, broker_epoch, block: Mutex::new(0..0) }
    }

    /// An id that nobody had before.
    ///
    /// # Errors
    /// `COORDINATOR_NOT_AVAILABLE` when the metadata quorum gives no new block; clients try again.
    pub(crate) async fn next(&self, quorum: &Quorum) -> Result<i64, ErrorCode> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let (broker_id, broker_epoch) = (self.broker_id, self.broker_epoch);
        let command = Command::AllocateProducerIds { broker_id, broker_epoch, count: BLOCK_SIZE };
        let applied = quorum.propose(command).await.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        let given = applied.into_producer_ids().map_err(|refusal| refusal.error)?;
        *block = given.first..given.first.saturating_add(i64::from(given.count));
        block.next().ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }
}
