//! Topics as files declare them, and what has to happen so that a topic is as declared.
//!
//! The tool (`ottla topic apply`) and the broker (`ottla.topics.file`) read the same files and mean the same by them.
//! `sources.rs` finds the texts, `yaml.rs` reads them, `topics.rs` finds topics in them, `plan.rs` compares one with what
//! is there. Nothing here speaks with a cluster.

mod plan;
mod sources;
mod topics;
mod yaml;

pub use plan::{Change, Existing, PARTITIONS, Plan, plan};
pub use sources::{Source, SourceError, read_path, read_stream};
pub use topics::{Declared, Found, Place, read};
