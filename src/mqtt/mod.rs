//! An MQTT 3.1.1 client connection, driven by whoever owns it.
//!
//! - [`Request`]: what a caller asks; its [`Receipt`] has exactly one outcome.
//! - [`Outbound`]: requests without an outcome yet: queued, in flight, awaiting an answer. It outlives
//!   connections, so that its owner decides what is replayed.
//! - [`Link`]: one connection: framing, batching, keep-alive.
//! - [`Route`] and [`dial`]: how a link is made: a stream from [`crate::net`], then [`log_in`].
//!
//! rumqttc supplies packets and codec only; its event loop tells no caller about acknowledgements
//! (docs/architecture.md).

mod counts;
mod dial;
mod link;
mod outbound;
#[cfg(test)]
mod outbound_properties;
mod request;
mod route;

pub use counts::{MessageCounts, Tally};
pub use dial::{connect_packet, dial, log_in};
pub use link::{Dialogue, Link, acknowledge};
pub use outbound::Outbound;
pub use request::{Operation, Promise, Receipt, Reply, Request, receipt};
pub use route::Route;

/// The largest packet either side takes: IoT Hub's messages end at 256 KiB, topics and headers come on top.
pub const MAX_PACKET: usize = 300 * 1024;
