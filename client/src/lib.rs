//! A small asynchronous Kafka client: for the command-line tools, for tests, for brokers among themselves.
//!
//! One connection per broker, requests pipelined, versions negotiated per connection. It knows the protocol and
//! nothing of the broker's inside. Start at `cluster.rs`.

mod cluster;
mod connection;
mod consumer;
mod error;
mod partitioner;
mod producer;

pub use cluster::{Cluster, TopicMetadata};
pub use connection::Connection;
pub use consumer::{FetchedRecord, PartitionReader, StartOffset};
pub use error::ClientError;
pub use partitioner::partition_for_key;
pub use producer::{Acks, OutgoingRecord, Producer, Written};
