//! Credentials: connection strings, shared access signatures, and where a client's token comes from.
//!
//! Used by every client to prove who it is and by the local hub to check it. No I/O.

mod connection_string;
mod sas;

pub use connection_string::{ConnectionString, ConnectionStringError};
pub use sas::{SasKey, SasToken, UnsignedToken, quote_component, quote_plus};
