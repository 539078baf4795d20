//! The image as containers really run: podman with runc, a read-only root, a memory limit, a user nobody has heard of,
//! and no network but loopback.
//!
//! `cargo xtask image test` builds the image and runs these tests; without `OTTLA_IMAGE`, its path, or where podman
//! cannot run containers, they say so and pass.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conventions;
mod dapr;
mod environment;
mod foreign;
mod layout;
mod limits;
mod load;
mod podman;
mod testcontainers;
