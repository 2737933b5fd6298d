//! Tests through the crate's public API, in one binary, so that it is linked once: clients against a scripted
//! hub, and the local hub against raw clients.

mod device_session;
mod hub_endpoints;
mod hub_mqtt;
mod hub_sessions;
mod scripted_hub;
mod support;
