//! The contract of IoT Hub, shared by clients and the local hub: pure functions and types, no I/O.

pub mod properties;
pub mod topics;
