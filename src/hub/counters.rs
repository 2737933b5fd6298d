//! What has happened in a hub so far, counted for tests and for people who wonder.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters, raised by the endpoints.
#[derive(Debug, Default)]
pub struct Counters {
    /// REST requests, and requests for a WebSocket.
    pub rest_requests: AtomicU64,
    /// Successful MQTT connects.
    pub connects: AtomicU64,
    /// Telemetry messages that arrived.
    pub telemetry_messages: AtomicU64,
    /// Patches of desired properties that were sent to a device.
    pub desired_patches_published: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// REST requests, and requests for a WebSocket.
    pub rest_requests: u64,
    /// Successful MQTT connects.
    pub connects: u64,
    /// Telemetry messages that arrived.
    pub telemetry_messages: u64,
    /// Patches of desired properties that were sent to a device.
    pub desired_patches_published: u64,
}

impl Counters {
    /// The counters as they are now.
    #[must_use]
    pub fn now(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            rest_requests: read(&self.rest_requests),
            connects: read(&self.connects),
            telemetry_messages: read(&self.telemetry_messages),
            desired_patches_published: read(&self.desired_patches_published),
        }
    }
}
