//! THE DECISIONS: pure state machines.
//!
//! Who owns which partition of a group, what a topic creation means, which configs a topic has. Nothing here does
//! I/O, reads a clock, draws a random number or iterates in random order: the same inputs give the same outputs,
//! so everything here is tested by simulation from seeds.

pub mod cluster;
pub mod group;
pub mod machine;
pub mod transaction;
