//! Consumer groups: who is in, who owns what, and which offsets are committed.

mod classic;
mod config;
mod record;
mod request;
mod response;

pub use classic::ClassicGroupState;
pub use config::GroupConfig;
pub use record::*;
pub use request::*;
pub use response::*;
