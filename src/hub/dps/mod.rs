//! The hub's Device Provisioning Service: devices that know no hub ask it for theirs, which is always this one.
//!
//! - [`enrollment`]: who may register, kept with the hub's state; the hub's owner enrolls.
//! - [`attestation`]: whether a device is the one that is enrolled.
//! - `registration`: a device of the hub's is made for it, or found again.
//! - `answers`: what is said to its requests, and what a fault makes of that.
//!
//! <https://learn.microsoft.com/azure/iot-dps/concepts-service>. Used by the MQTT endpoint, `control` and REST.

mod answers;
mod attestation;
mod enrollment;
mod registration;
#[cfg(test)]
mod tests;

pub use answers::Answer;
pub use attestation::Registrant;
pub use enrollment::{Attestation, Enrollment, NewEnrollment, Reprovision, Terms};
pub use registration::Registration;

/// The id scope of every local hub: like the well-known key, it can be written down.
pub const ID_SCOPE: &str = "0neLOCALHUB";
