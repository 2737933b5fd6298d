//! Tests through the crate's public API; one binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod hub_endpoints;
mod hub_mqtt;
mod hub_sessions;
mod support;
