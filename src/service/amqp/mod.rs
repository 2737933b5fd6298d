//! Messages to devices, as a back end sends them: AMQP 1.0 on fe2o3-amqp, one connection per sender.
//!
//! - `sasl`: the SASL exchange of IoT Hub's clients; `cbs`: showing a token
//! - `connection`: everything from the TCP connection to the link that messages take
//! - `message`: what they send; `refusal`: what the hub says no with
//! - [`MessageSender`]: what callers have, which connects, renews its token and connects again by itself
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support>

mod cbs;
mod connection;
mod message;
mod refusal;
mod sasl;
mod sender;

pub use message::{OutgoingMessage, properties_to};
pub use sender::{BearerToken, MessageSender};
