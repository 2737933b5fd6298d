//! Back-end client of IoT Hub: its REST interface, whose requests are signed and retried over [`crate::http`], and messages
//! to devices, which travel over [`amqp`].
//!
//! What a request asks and how its answer is read is the business of the callers: in Python
//! `ferrohub.service`, whose JSON passes through here as bytes. Used by `python` and `cli`.
//!
//! <https://learn.microsoft.com/rest/api/iothub/service/>

pub mod amqp;
mod retry;
mod transport;

pub use retry::RetryPolicy;
pub use transport::{Credentials, Response, Transport};
