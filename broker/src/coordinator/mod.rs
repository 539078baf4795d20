//! Coordinators: machines of `state/`, driven by one shell, on partitions of internal topics.

mod group;
mod runtime;

pub(crate) use group::{Groups, OFFSETS_TOPIC, answer, submit};
