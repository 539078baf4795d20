//! A small asynchronous Kafka client: for the command-line tools, for tests, for brokers among themselves.
//!
//! Connections are opened when they are needed and again when they broke, requests are pipelined, versions negotiated
//! per connection. What Kafka calls retriable is tried again, a bounded number of times, with fresh metadata.
//!
//! It knows the protocol and nothing of the broker's inside. Start at `cluster.rs`; `producer.rs` writes,
//! `transactional.rs` writes transactions, `consumer.rs` reads, `group.rs` reads as a member of a classic consumer group.

mod assignor;
mod cluster;
mod committed;
mod connection;
mod consumer;
mod error;
mod fetch;
mod group;
mod membership;
mod metadata;
mod offsets;
mod partitioner;
mod producer;
mod retry;
mod transactional;

pub use assignor::Assignor;
pub use cluster::Cluster;
pub use committed::{CommittedOffset, fetch_committed};
pub use connection::Connection;
pub use consumer::Consumer;
pub use error::ClientError;
pub use fetch::{FetchedRecord, Isolation};
pub use group::{GroupConfig, GroupConsumer, GroupEvent};
pub use metadata::{PartitionMetadata, TopicMetadata, TopicPartition};
pub use offsets::{StartOffset, list_offsets};
pub use partitioner::partition_for_key;
pub use producer::{Acks, OutgoingRecord, Producer, Written};
pub use retry::Retries;
pub use transactional::TransactionalProducer;
