//! The client of a device or module: what a program on a device talks to the hub with.
//!
//! - [`Client`]: the operations.
//! - `session`: connects, reconnects, renews, replays; the one owner of the connection. `phase`: where it stands and
//!   what can happen. `conversation`: what it says and hears while connected.
//! - `https`: what it asks beside that connection: where to upload files.
//! - `credentials`: where passwords come from, and [`Workload`] for those of IoT Edge; `desired`: which patches of
//!   desired properties are new; `incoming` and `inbox`: what came and waits to be received.
//! - `outbox`: keeps telemetry on disk until the hub has it.

mod client;
mod conversation;
mod credentials;
mod desired;
mod https;
mod inbox;
mod incoming;
mod options;
mod outbox;
mod phase;
mod retry;
mod session;
#[cfg(test)]
mod session_cells;
#[cfg(test)]
mod session_pauses;
#[cfg(test)]
mod session_scene;
#[cfg(test)]
mod session_table;
mod workload;

pub use client::Client;
pub use credentials::{Credentials, Token};
pub use incoming::{ConnectionEvent, Kind, MethodCall, ReceivedMessage, Watcher};
pub use options::Options;
pub use outbox::{OutboxCounts, OutboxOptions, WhenFull, recover as recover_outbox};
pub use workload::Workload;
