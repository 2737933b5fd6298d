//! The integration tests of the crate, in one binary: clients against a scripted hub.

mod device_session;
mod scripted_hub;
