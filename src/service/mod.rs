//! Back-end client of IoT Hub's REST interface: signs requests and retries them, over [`crate::http`].
//!
//! What a request asks and how its answer is read is the business of the callers: in Python
//! `ferrohub.service`, whose JSON passes through here as bytes. Used by `python` and `cli`.
//!
//! <https://learn.microsoft.com/rest/api/iothub/service/>

mod retry;
mod transport;

pub use retry::RetryPolicy;
pub use transport::{Credentials, Response, Transport};
