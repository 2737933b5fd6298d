//! HTTP/1.1 for every client: one request, one answer, on a kept pool of connections.
//!
//! - [`Client`]: the pool, with whom to trust, the certificate to show and the proxy to pass.
//! - [`Origin`]: where it asks: a host with or without TLS, or a Unix socket; [`Way`]: by which way.
//! - [`Request`], [`Response`]; [`Failure`]: why no answer came, and whether asking again is safe.
//!
//! What is asked, with which credentials, and when again is up to the parties. Used by `service` for REST and by
//! `device` for what devices ask over HTTPS.

mod client;
mod failure;
mod message;
mod origin;
mod way;

pub use client::{Client, Settings};
pub use failure::{Failure, Stage};
pub use message::{Request, Response};
pub use origin::Origin;
pub use way::Way;
