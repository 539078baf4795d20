//! A transactional producer: one at a time it begins, writes and ends, and asks again when it hears nothing.

use protocol::ErrorCode;
use state::transaction::{
    AddPartitionsRequest, EndTxnRequest, InitProducerIdRequest, Partitions, ProducerResponse, TransactionRequest,
    TransactionVersion,
};

use crate::checker::is_fatal;
use crate::partition::Record;

pub(crate) const TOPIC: &str = "t";
pub(crate) const TIMEOUT_MS: i32 = 20_000;

/// What a producer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// As a new instance, or with what it has.
    Init {
        goes_on: bool,
    },
    /// Only before KIP-890.
    Add {
        partition: i32,
    },
    Write {
        record: Record,
        partition: i32,
    },
    End {
        committed: bool,
    },
}

/// What it hears.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Producer(ProducerResponse),
    Error(ErrorCode),
}

pub(crate) struct Client {
    pub(crate) transactional_id: String,
    pub(crate) version: TransactionVersion,
    pub(crate) is_running: bool,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// The number of its transaction; no other has it.
    pub(crate) transaction: u64,
    /// Partitions it was told are in the transaction.
    added: Vec<i32>,
    pub(crate) written: u32,
    pub(crate) doing: Option<Doing>,
    /// The number of the message, and until when it waits for the answer.
    pub(crate) asked: Option<(u64, u64)>,
    pub(crate) next_try_ms: u64,
    pub(crate) commits_heard: u32,
}

impl Client {
    pub(crate) fn new(transactional_id: &str, version: TransactionVersion, transaction: u64) -> Client {
        Client {
            transactional_id: transactional_id.to_owned(),
            version,
            is_running: true,
            producer_id: -1,
            producer_epoch: -1,
            transaction,
            added: Vec::new(),
            written: 0,
            doing: Some(Doing::Init { goes_on: false }),
            asked: None,
            next_try_ms: 0,
            commits_heard: 0,
        }
    }

    /// Whether it has to say that it will write to a partition before it does.
    pub(crate) fn has_to_add(&self, partition: i32) -> bool {
        !self.version.bumps_epoch() && !self.added.contains(&partition)
    }

    pub(crate) fn record(&self, id: u64) -> Record {
        let (producer_id, producer_epoch) = (self.producer_id, self.producer_epoch);
        Record { id, transaction: self.transaction, producer_id, producer_epoch }
    }

    /// What it asks the coordinator. Records go to partitions instead.
    pub(crate) fn request(&self, doing: Doing) -> TransactionRequest {
        let (producer_id, producer_epoch) = (self.producer_id, self.producer_epoch);
        match doing {
            Doing::Init { goes_on } => TransactionRequest::InitProducerId(InitProducerIdRequest {
                transactional_id: self.transactional_id.clone(),
                timeout_ms: TIMEOUT_MS,
                producer_id: if goes_on { producer_id } else { -1 },
                producer_epoch: if goes_on { producer_epoch } else { -1 },
                fresh_producer_id: None,
                knows_producer_fenced: true,
            }),
            Doing::Add { partition } => {
                TransactionRequest::AddPartitions(add(&self.transactional_id, producer_id, producer_epoch, partition))
            }
            Doing::Write { record, partition } => {
                let (producer_id, producer_epoch) = (record.producer_id, record.producer_epoch);
                let request = add(&self.transactional_id, producer_id, producer_epoch, partition);
                match self.version.bumps_epoch() {
                    true => TransactionRequest::AddPartitions(AddPartitionsRequest {
                        client_transaction_version: self.version,
                        ..request
                    }),
                    false => TransactionRequest::VerifyPartitions(request),
                }
            }
            Doing::End { committed } => TransactionRequest::EndTxn(EndTxnRequest {
                transactional_id: self.transactional_id.clone(),
                producer_id,
                producer_epoch,
                committed,
                client_transaction_version: self.version,
                fresh_producer_id: None,
                knows_producer_fenced: true,
            }),
        }
    }

    /// Takes an answer. `next_transaction` is the number of the next one.
    pub(crate) fn hear(&mut self, answer: Answer, now_ms: u64, next_transaction: u64) {
        self.asked = None;
        let Some(doing) = self.doing else { return };
        let error = match answer {
            Answer::Producer(response) => response.error,
            Answer::Error(error) => error,
        };
        if is_fatal(error) {
            self.is_running = false;
            return;
        }
        if error == ErrorCode::TRANSACTION_ABORTABLE {
            self.doing = Some(Doing::End { committed: false });
            return;
        }
        if error.is_error() {
            self.next_try_ms = now_ms + 100;
            return;
        }
        self.doing = None;
        match doing {
            Doing::Add { partition } => self.added.push(partition),
            Doing::Write { .. } => self.written += 1,
            Doing::Init { .. } => self.begin(answer, true, next_transaction),
            Doing::End { committed } => {
                self.commits_heard += u32::from(committed);
                self.begin(answer, self.version.bumps_epoch(), next_transaction);
            }
        }
    }

    /// The next transaction, with what it was told or with what it has.
    fn begin(&mut self, answer: Answer, is_new_producer: bool, transaction: u64) {
        if let (Answer::Producer(response), true) = (answer, is_new_producer) {
            (self.producer_id, self.producer_epoch) = (response.producer_id, response.producer_epoch);
        }
        self.transaction = transaction;
        self.added.clear();
        self.written = 0;
    }
}

fn add(transactional_id: &str, producer_id: i64, producer_epoch: i16, partition: i32) -> AddPartitionsRequest {
    AddPartitionsRequest {
        transactional_id: transactional_id.to_owned(),
        producer_id,
        producer_epoch,
        partitions: Partitions::from([(TOPIC.to_owned(), [partition].into())]),
        client_transaction_version: TransactionVersion::V0,
        knows_producer_fenced: true,
    }
}
