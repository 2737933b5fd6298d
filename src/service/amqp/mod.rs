//! What a back end sends and receives over AMQP 1.0, on fe2o3-amqp: one connection per sender or receiver.
//!
//! - `sasl`: the SASL exchange of IoT Hub's clients; `requests`: nodes that are asked something; `cbs`: showing a token
//! - `endpoint`: where connections go, and with which tokens; `connection`: everything up to links;
//!   `attached`: links to receive from
//! - `message`: what they send; `refusal`: what the hub says no with
//! - [`MessageSender`] and [`MessageReceiver`]: what callers have, which connect, renew their tokens and connect again by
//!   themselves; [`events`] are what devices sent
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support>

mod attached;
mod cbs;
mod connection;
mod endpoint;
pub mod events;
mod message;
mod receiver;
mod refusal;
mod requests;
mod sasl;
mod sender;

pub use attached::{Attached, Queue};
pub use endpoint::{BearerToken, Endpoint};
pub use message::{OutgoingMessage, properties_to};
pub use receiver::{IncomingMessage, MessageReceiver, Received, Settlement, Subscription, Ticket};
pub use sender::MessageSender;
