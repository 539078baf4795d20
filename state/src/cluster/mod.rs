//! What the cluster agrees on: brokers, topics, partitions, configs, quotas, producer ids.
//!
//! An [`Image`] is the whole of it at one moment. A [`Command`] asks for a change; [`Image::apply`] checks its
//! preconditions against the image it meets, so two proposals that were made at the same time cannot both win, and
//! the loser learns why in a [`Refusal`]. Everything that is not a function of the image (ids, placement, time) stands
//! in the command: every replica of the log comes to the same image.
//!
//! Images share what did not change, so a clone costs a few counters and [`changes`] compares pointers first.
//!
//! Start at `image.rs` for the nouns, `command.rs` for the verbs, `apply.rs` for what they do to each other.

mod apply;
mod changes;
mod command;
mod configs;
mod image;
mod placement;
mod quotas;
mod record;
mod serde_form;
mod shared_map;
mod topic_name;
mod topics;

pub use changes::{Change, changes};
pub use command::{
    Applied, Command, ConfigAlteration, ConfigChange, ConfigOperation, MorePartitions, NewTopic, ProducerIdBlock,
    Refusal, RegisterBroker,
};
pub use configs::CLIENT_METRICS_MAX;
pub use image::{
    BrokerRegistration, ConfigResource, Configs, Image, Listener, NO_LEADER, PartitionState, SecurityProtocol, Topic,
};
pub use placement::{PartitionCounts, TopicShape, check_replicas, place_more_partitions, place_topic};
pub use quotas::{CLIENT_ID, IP, QUOTA_ENTITIES_MAX, QuotaAlteration, QuotaEntity, QuotaValue, Quotas, USER};
pub use record::{InvalidRecord, Record};
pub use topic_name::{MAX_TOPIC_NAME_LENGTH, check_topic_name, is_internal};
pub use topics::MAX_PARTITIONS_PER_COMMAND;
