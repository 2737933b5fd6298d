//! The contract of IoT Hub, shared by clients and the local hub: pure functions and types, no I/O.

pub mod error_code;
pub mod identity;
pub mod json_view;
pub mod properties;
pub mod provisioning;
pub mod refusal;
pub mod timestamp;
pub mod topics;
pub mod twin;
mod twin_rules;
pub mod websocket;
