//! What a provisioning client is made from.

use std::time::Duration;

use rumqttc::mqttbytes::v4::Connect;
use rustls::SupportedCipherSuite;

use crate::auth::SasKey;
use crate::clock::Clock;
use crate::mqtt::{Route, connect_packet};
use crate::net::Proxy;
use crate::protocol::provisioning;
use crate::tls::{Identity, Roots};

/// Everything a client needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's host name; a port in it is used instead of 8883, or 443 with WebSockets.
    pub provisioning_host: String,
    /// Connect here instead.
    pub gateway_host_name: Option<String>,
    /// Which service of those behind the host name.
    pub id_scope: String,
    /// By which name the service knows the device.
    pub registration_id: String,
    /// What the service is shown.
    pub attestation: Attestation,
    /// What the client says it is; sent percent-encoded.
    pub user_agent: String,
    /// Whom to trust.
    pub roots: Roots,
    /// The cipher suites to offer; None: all there are. See [`crate::tls::cipher_suites`].
    pub cipher_suites: Option<Vec<SupportedCipherSuite>>,
    /// Speak MQTT within a WebSocket. Default false.
    pub websockets: bool,
    /// The proxy to connect through. Default none, whatever the environment says.
    pub proxy: Option<Proxy>,
    /// Seconds of silence after which the service is asked whether it is there. Default 60.
    pub keep_alive_seconds: u16,
    /// The wall clock, for tokens.
    pub clock: Clock,
}

/// How a device proves who it is.
#[derive(Clone, Debug)]
pub enum Attestation {
    /// A symmetric key: its own, or derived from its enrollment group's ([`SasKey::derive`]).
    Key {
        /// The key.
        key: SasKey,
        /// How long a token made with it is valid.
        ttl: Duration,
    },
    /// A certificate, shown in the TLS handshake.
    Certificate(Identity),
}

impl Options {
    /// Options with their defaults for this device.
    #[must_use]
    pub fn new(
        provisioning_host: String,
        id_scope: String,
        registration_id: String,
        attestation: Attestation,
    ) -> Self {
        Self {
            provisioning_host,
            gateway_host_name: None,
            id_scope,
            registration_id,
            attestation,
            user_agent: format!("ferrohub/{}", env!("CARGO_PKG_VERSION")),
            roots: Roots::System,
            cipher_suites: None,
            websockets: false,
            proxy: None,
            keep_alive_seconds: 60,
            clock: Clock::system(),
        }
    }

    /// How to get to the service, or to the gateway in front of it.
    pub(super) fn route(&self) -> Route<'_> {
        Route {
            host_name: self.gateway_host_name.as_deref().unwrap_or(&self.provisioning_host),
            websockets: self.websockets,
            proxy: self.proxy.as_ref(),
            roots: &self.roots,
            identity: match &self.attestation {
                Attestation::Certificate(identity) => Some(identity),
                Attestation::Key { .. } => None,
            },
            cipher_suites: self.cipher_suites.as_deref(),
        }
    }

    /// A CONNECT with a password that is valid from now on; none if a certificate is shown.
    pub(super) fn connect_packet(&self) -> Connect {
        let password = match &self.attestation {
            Attestation::Key { key, ttl } => {
                let resource = provisioning::resource(&self.id_scope, &self.registration_id);
                key.device_token(&resource, self.clock.unix_seconds().saturating_add(ttl.as_secs()))
            }
            Attestation::Certificate(_) => String::new(),
        };
        let user_name = provisioning::user_name(&self.id_scope, &self.registration_id, &self.user_agent);
        connect_packet(self.registration_id.clone(), self.keep_alive_seconds, user_name, &password)
    }
}
