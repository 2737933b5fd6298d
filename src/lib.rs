//! Azure IoT Hub for Python on a Rust core: device, service and provisioning clients, and a local hub.
//!
//! The folders are named after the parties. The ground floor knows none of them:
//! - [`error`]: the one error type; [`clock`]: time that tests can move; [`home`]: shared files of this machine.
//! - [`auth`]: connection strings and shared access signatures; [`tls`]: whom to trust.
//! - [`protocol`]: the contract of IoT Hub: topics, message properties.
//! - `database`: files that keep what must survive a crash.
//! - [`net`]: a stream to a hub: TCP, proxies, TLS, WebSockets; [`mqtt`]: an MQTT connection over it.
//! - [`http`]: requests to a hub, on kept connections.
//!
//! On it stand the parties, which know nothing of one another:
//! - [`device`]: the client of a device or module.
//! - [`provisioning`]: the client of the Device Provisioning Service.
//! - [`service`]: the client of a back end: REST.
//! - [`hub`]: the local hub, a second opinion on the protocol.
//!
//! On top, imported by nothing: [`cli`], the `ferrohub` command, and the Python module.
//!
//! `make lint` greps that no party imports another and that nothing imports the top.

pub mod auth;
pub mod cli;
pub mod clock;
mod database;
pub mod device;
pub mod error;
pub mod home;
pub mod http;
pub mod hub;
pub mod mqtt;
pub mod net;
pub mod protocol;
pub mod provisioning;
pub mod service;
pub mod tls;

#[cfg(feature = "python")]
mod python;
