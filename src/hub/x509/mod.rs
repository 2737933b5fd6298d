//! Certificates of devices: shown in the TLS handshake, checked when their device connects or asks.
//!
//! - [`ClientCertificate`]: what a client has shown, and what it says
//! - `handshake`: asks for one, takes any whose private key the client has
//! - `authorities`: the CAs that the hub's owner has registered
//! - `admission`: whether a certificate is that of an identity
//! - `signature`: who signed what
//!
//! <https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-x509>. Used by both endpoints.

mod admission;
mod authorities;
mod certificate;
mod handshake;
mod signature;
#[cfg(test)]
mod tests;

pub use authorities::{ca_certificates, pem_certificates};
pub use certificate::ClientCertificate;

pub(super) use handshake::AnyClient;
