//! Clients that mean harm, against the running broker: what they send, how many they are, how slow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod machine;
mod tables;
mod frames;
mod batches;
mod crowds;
mod floods;
mod descriptors;
