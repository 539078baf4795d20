//! Transactions: which producer a transactional id has, what is in its transaction, and how that ends.
//!
//! [`TransactionCoordinator`] is the machine of one partition of `__transaction_state` and holds every transactional
//! id that hashes to it. It knows neither topics nor brokers: partitions are names that it was told, and writing a
//! marker is an effect that somebody else performs.
//!
//! A transaction ends in two steps. First it is logged how (PrepareCommit, PrepareAbort): from then on nothing can
//! change the outcome, and the producer is told. Then every partition is told with a marker, and when all know that
//! is logged too (CompleteCommit, CompleteAbort). A coordinator that finds the first step in its log does the second.
//!
//! # The contract with the shell
//! * That of every machine: records of a call are applied directly after it, before any other call; if an append
//!   fails, the machine is dropped and a new one loaded.
//! * An effect may begin only when everything that was logged up to its call is committed. Thus no partition hears of
//!   an end that a crash could forget.
//! * Each order to write markers is answered once, however it went. What was ordered by a machine that is dropped has
//!   to have ended before its successor is loaded, or the successor has a higher coordinator epoch: partitions refuse
//!   what an older coordinator ordered.
//!
//! Start with `Machine::handle` below: `init`, `partitions` and `end` decide, `metadata` has the transitions, and
//! `markers` tells the partitions. Time goes through `expire` to the transactions that are due and to `expiry`.

mod config;
mod describe;
mod end;
mod expiry;
mod init;
mod markers;
mod metadata;
mod partitions;
mod record;
mod registry;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use protocol::ErrorCode;

pub use config::TransactionConfig;
pub use metadata::{Partitions, TransactionMetadata, TransactionState};
pub use record::{TransactionRecord, UnknownRecord};
pub use request::*;
pub use response::*;
pub use version::TransactionVersion;

use crate::machine::{Machine, Now, Output, Reply, ReplyTo, When};
use config::DUE_PER_STEP;
use end::End;
use expiry::Sweep;
use init::Init;
use markers::Progress;
use registry::Registry;

/// Why a request comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Error(ErrorCode),
    /// It may be repeated with a producer id that nobody has.
    NeedsProducerId,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Refusal {
        Refusal::Error(error)
    }
}

/// All transactional ids of one partition of `__transaction_state`.
#[derive(Default)]
pub struct TransactionCoordinator {
    config: TransactionConfig,
    /// The leader epoch of the partition: which coordinator this is.
    coordinator_epoch: i32,
    registry: Registry,
    /// The latest order to write markers.
    last_attempt: MarkerAttempt,
    /// Nobody has it. For transactions that the coordinator aborts itself; requests bring their own.
    fresh_producer_id: Option<i64>,
    /// When the log was loaded: looks for transactions that ran too long are a multiple of their interval later.
    loaded_ms: u64,
    sweep: Sweep,
    totals: TransactionTotals,
}

impl TransactionCoordinator {
    /// A coordinator that knows nothing yet. Load the log into it, then call [`TransactionCoordinator::on_loaded`].
    ///
    /// `coordinator_epoch` is the leader epoch of the partition. `load` tells this machine's orders from those of any
    /// before it in this process: a number that no other machine of the partition had.
    pub fn new(config: TransactionConfig, coordinator_epoch: i32, load: u64) -> TransactionCoordinator {
        let last_attempt = MarkerAttempt { load, number: 0 };
        TransactionCoordinator { config, coordinator_epoch, last_attempt, ..TransactionCoordinator::default() }
    }

    /// The log has been read to its end. Markers of transactions that are ending are ordered by the next `expire`,
    /// which is due at once; running ones have as much time as their wall clock says, and no more than at first.
    pub fn on_loaded(&mut self, now: Now) {
        self.loaded_ms = now.monotonic_ms;
        let open: Vec<Arc<str>> = self
            .registry
            .iter()
            .filter(|(_, entry)| entry.metadata.state.is_open())
            .map(|(transactional_id, _)| Arc::clone(transactional_id))
            .collect();
        for transactional_id in open {
            let Some(metadata) = self.registry.metadata(&transactional_id) else { continue };
            let wake_ms = match metadata.state {
                TransactionState::Ongoing => {
                    let end_ms = metadata.start_timestamp_ms.saturating_add(metadata.timeout_ms.into());
                    let left_ms = end_ms.saturating_sub(now.wall_ms).clamp(0, metadata.timeout_ms.max(0).into());
                    self.abort_check_after(now, left_ms.unsigned_abs())
                }
                _ => now.monotonic_ms,
            };
            let unwritten = metadata.partitions.clone();
            if let Some(open) = self.registry.open(&transactional_id) {
                open.unwritten = unwritten;
            }
            self.registry.wake_at(&transactional_id, Some(wake_ms));
        }
        self.sweep.start(now.monotonic_ms, &self.config);
    }

    /// Takes new settings. The time of running transactions stays as it was agreed.
    pub fn set_config(&mut self, config: TransactionConfig) {
        self.config = config;
    }

    /// What is held now.
    pub fn counts(&self) -> TransactionCounts {
        self.registry.counts()
    }

    /// What was done since loading.
    pub fn totals(&self) -> TransactionTotals {
        self.totals
    }

    /// Describes ids, in the order asked for.
    pub fn describe(&self, transactional_ids: &[String]) -> Vec<DescribedTransaction> {
        transactional_ids.iter().map(|id| describe::describe(&self.registry, id)).collect()
    }

    /// The first look for transactions that ran too long which is later than `ms` from now.
    fn abort_check_after(&self, now: Now, ms: u64) -> u64 {
        let interval_ms = self.config.abort_timed_out_interval_ms.max(1);
        let deadline_ms = now.monotonic_ms.saturating_add(ms);
        let looks = deadline_ms.saturating_sub(self.loaded_ms) / interval_ms + 1;
        self.loaded_ms.saturating_add(looks.saturating_mul(interval_ms))
    }

    fn init_producer_id(
        &mut self,
        now: Now,
        request: &InitProducerIdRequest,
        out: &mut Output<Self>,
    ) -> Result<ProducerResponse, Refusal> {
        init::validate(request, &self.config)?;
        let id = &request.transactional_id;
        let decided = match self.registry.metadata(id) {
            Some(current) => init::go_on(current, request, now.wall_ms)?,
            None if self.registry.counts().transactional_ids >= self.config.max_transactional_ids => {
                return Err(ErrorCode::POLICY_VIOLATION.into());
            }
            None => init::create(request, now.wall_ms)?,
        };
        match decided {
            Init::Granted(value) => {
                let granted = ProducerResponse::new(value.producer_id, value.producer_epoch);
                out.records.push(TransactionRecord { transactional_id: id.clone(), value: Some(value) });
                Ok(granted)
            }
            Init::Fence => {
                self.abort(now, id, request.fresh_producer_id, out)?;
                Err(ErrorCode::CONCURRENT_TRANSACTIONS.into())
            }
        }
    }

    /// Ends a running transaction against its producer.
    fn abort(
        &mut self,
        now: Now,
        transactional_id: &str,
        fresh_producer_id: Option<i64>,
        out: &mut Output<Self>,
    ) -> Result<(), Refusal> {
        let Some(current) = self.registry.metadata(transactional_id) else { return Ok(()) };
        let version = self.config.transaction_version;
        let prepared = end::fence(current, version, fresh_producer_id, now.wall_ms)?;
        self.prepare(now, transactional_id, prepared, out);
        Ok(())
    }

    fn add_partitions(
        &mut self,
        now: Now,
        request: &AddPartitionsRequest,
        out: &mut Output<Self>,
    ) -> Result<(), ErrorCode> {
        let id = &request.transactional_id;
        let current = self.registry.metadata(id);
        let begins = current.is_some_and(|current| current.state != TransactionState::Ongoing);
        let Some(value) = partitions::add(current, request, &self.config, now.wall_ms)? else { return Ok(()) };
        if begins {
            let wake_ms = self.abort_check_after(now, value.timeout_ms.max(0).unsigned_abs().into());
            self.registry.wake_at(id, Some(wake_ms));
        }
        out.records.push(TransactionRecord { transactional_id: id.clone(), value: Some(value) });
        Ok(())
    }

    fn end_txn(
        &mut self,
        now: Now,
        request: &EndTxnRequest,
        out: &mut Output<Self>,
    ) -> Result<ProducerResponse, Refusal> {
        let current = self.registry.metadata(&request.transactional_id);
        let ended = match (end::end(current, request, now.wall_ms)?, current) {
            (End::Prepared(prepared), _) => {
                let ended = prepared.completed(now.wall_ms);
                self.prepare(now, &request.transactional_id, prepared, out);
                ProducerResponse::new(ended.producer_id, ended.producer_epoch)
            }
            (End::Repeated, Some(current)) => ProducerResponse::new(current.producer_id, current.producer_epoch),
            (End::Repeated, None) => return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING.into()),
        };
        Ok(ended)
    }

    /// Logs how a transaction ends, and orders its partitions to be told.
    fn prepare(&mut self, now: Now, transactional_id: &str, prepared: TransactionMetadata, out: &mut Output<Self>) {
        match prepared.state {
            TransactionState::PrepareCommit => self.totals.commits += 1,
            _ => self.totals.aborts += 1,
        }
        if let Some(open) = self.registry.open(transactional_id) {
            open.unwritten = prepared.partitions.clone();
            open.failures = 0;
        }
        let value = Some(prepared.clone());
        out.records.push(TransactionRecord { transactional_id: transactional_id.to_owned(), value });
        self.tell_partitions(now, transactional_id, &prepared, out);
    }

    /// Orders markers for the partitions of a prepared transaction that do not know yet. If there are none, it is
    /// complete: with KIP-890 an abort may have no partitions.
    fn tell_partitions(
        &mut self,
        now: Now,
        transactional_id: &str,
        prepared: &TransactionMetadata,
        out: &mut Output<Self>,
    ) {
        self.registry.wake_at(transactional_id, None);
        let Some(open) = self.registry.open(transactional_id) else { return };
        if open.unwritten.is_empty() {
            let value = Some(prepared.completed(now.wall_ms));
            out.records.push(TransactionRecord { transactional_id: transactional_id.to_owned(), value });
            return;
        }
        self.last_attempt.number += 1;
        self.totals.marker_orders += 1;
        self.totals.marker_retries += u64::from(open.failures > 0);
        open.attempt = Some(self.last_attempt);
        let order =
            markers::order(transactional_id, prepared, &open.unwritten, self.last_attempt, self.coordinator_epoch);
        out.effects.push(TransactionEffect::WriteMarkers(order));
    }

    fn markers_written(&mut self, now: Now, answer: &MarkersWritten, out: &mut Output<Self>) {
        let id = answer.transactional_id.as_str();
        let Some(prepared) = self.registry.metadata(id).filter(|current| current.state.is_prepared()) else { return };
        let completed = prepared.completed(now.wall_ms);
        let Some(open) = self.registry.open(id) else { return };
        match markers::take(open, answer) {
            Progress::Stale | Progress::Superseded => {}
            Progress::AgainInMs(pause_ms) => {
                self.registry.wake_at(id, Some(now.monotonic_ms.saturating_add(pause_ms)));
            }
            Progress::Complete => {
                out.records.push(TransactionRecord { transactional_id: id.to_owned(), value: Some(completed) });
            }
        }
    }

    /// The time of an open transaction has come.
    fn expire_one(&mut self, now: Now, transactional_id: &str, out: &mut Output<Self>) {
        let Some(current) = self.registry.metadata(transactional_id) else { return };
        if current.state.is_prepared() {
            let prepared = current.clone();
            return self.tell_partitions(now, transactional_id, &prepared, out);
        }
        let needed_id = current.is_epoch_exhausted() && self.config.transaction_version.bumps_epoch();
        let fresh_producer_id = if needed_id { self.fresh_producer_id.take() } else { None };
        match self.abort(now, transactional_id, fresh_producer_id, out) {
            Ok(()) => self.totals.timeouts += 1,
            Err(_) => {
                // It is looked at again next time, with the id that has come until then.
                let wake_ms = self.abort_check_after(now, 0);
                self.registry.wake_at(transactional_id, Some(wake_ms));
                if !out.effects.contains(&TransactionEffect::ProducerIdNeeded) {
                    out.effects.push(TransactionEffect::ProducerIdNeeded);
                }
            }
        }
    }
}

impl Machine for TransactionCoordinator {
    type Request = TransactionRequest;
    type Response = TransactionResponse;
    type Record = TransactionRecord;
    type Effect = TransactionEffect;

    fn handle(&mut self, now: Now, to: ReplyTo, request: TransactionRequest) -> Output<Self> {
        let mut out = Output::default();
        let response = match request {
            TransactionRequest::InitProducerId(request) => {
                let result = self.init_producer_id(now, &request, &mut out);
                producer_response(result, request.knows_producer_fenced, TransactionResponse::InitProducerId)
            }
            TransactionRequest::AddPartitions(request) => {
                let result = self.add_partitions(now, &request, &mut out);
                let error = result.err().unwrap_or(ErrorCode::NONE);
                TransactionResponse::AddPartitions(known(error, request.knows_producer_fenced))
            }
            TransactionRequest::VerifyPartitions(request) => {
                let current = self.registry.metadata(&request.transactional_id);
                TransactionResponse::VerifyPartitions(partitions::verify(current, request))
            }
            TransactionRequest::EndTxn(request) => {
                let result = self.end_txn(now, &request, &mut out);
                producer_response(result, request.knows_producer_fenced, TransactionResponse::EndTxn)
            }
            TransactionRequest::MarkersWritten(answer) => {
                self.markers_written(now, &answer, &mut out);
                TransactionResponse::Taken
            }
            TransactionRequest::ProducerId(producer_id) => {
                self.fresh_producer_id = Some(producer_id);
                TransactionResponse::Taken
            }
            TransactionRequest::Describe(ids) => TransactionResponse::Describe(self.describe(&ids)),
            TransactionRequest::List(request) => {
                TransactionResponse::List(describe::list(&self.registry, &request, now.wall_ms))
            }
            TransactionRequest::Count => TransactionResponse::Counted(self.counts(), self.totals()),
        };
        out.replies.push(Reply { to, response, when: When::Committed });
        out
    }

    fn expire(&mut self, now: Now) -> Output<Self> {
        let mut out = Output::default();
        for transactional_id in self.registry.due(now.monotonic_ms, DUE_PER_STEP) {
            self.expire_one(now, &transactional_id, &mut out);
        }
        let tombstones = self.sweep.step(&self.registry, &self.config, now);
        self.totals.expirations += tombstones.len() as u64;
        out.records.extend(tombstones);
        out
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        self.registry.next_wake_ms().into_iter().chain(self.sweep.next_ms()).min()
    }

    fn apply(&mut self, record: &TransactionRecord) {
        self.registry.apply(record);
    }
}

fn producer_response(
    result: Result<ProducerResponse, Refusal>,
    knows_producer_fenced: bool,
    response: fn(ProducerResponse) -> TransactionResponse,
) -> TransactionResponse {
    match result {
        Ok(granted) => response(granted),
        Err(Refusal::NeedsProducerId) => TransactionResponse::ProducerIdNeeded,
        Err(Refusal::Error(error)) => response(ProducerResponse::failed(known(error, knows_producer_fenced))),
    }
}

/// PRODUCER_FENCED (KIP-588) has another name for those who do not know it.
fn known(error: ErrorCode, knows_producer_fenced: bool) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED if !knows_producer_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        error => error,
    }
}
