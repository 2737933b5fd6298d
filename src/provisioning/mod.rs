//! The client of the Device Provisioning Service: a device that has its hub assigned.
//!
//! - [`Client`]: registers, once.
//! - `registration`: what is asked, how long is waited, what the answers mean; `conversation`: how it is said.
//!
//! <https://learn.microsoft.com/azure/iot-dps/concepts-service>

mod client;
mod conversation;
mod options;
mod registration;

pub use client::Client;
pub use options::{Attestation, Options};
