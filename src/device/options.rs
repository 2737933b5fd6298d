//! What a client is made from, declared once for every language and facade.

use std::time::Duration;

use rustls::SupportedCipherSuite;

use crate::auth::quote_component;
use crate::clock::Clock;
use crate::mqtt::Route;
use crate::net::Proxy;
use crate::protocol::topics;
use crate::tls::Roots;

use super::credentials::Credentials;
use super::outbox::OutboxOptions;

/// The device API version that the official Python package speaks.
pub(super) const API_VERSION: &str = "2019-10-01";
/// The one it speaks for a client that names its model.
const MODEL_API_VERSION: &str = "2020-09-30";

/// Everything a client needs to know.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the official package, on its own")]
pub struct Options {
    /// The hub's host name; a port in it is used instead of 8883, or 443 with WebSockets.
    pub host_name: String,
    /// Connect here instead, with the hub's name in user name and token.
    pub gateway_host_name: Option<String>,
    /// The device.
    pub device_id: String,
    /// The module on it, for a module client.
    pub module_id: Option<String>,
    /// What the hub is shown.
    pub credentials: Credentials,
    /// What the client says it is; sent percent-encoded.
    pub user_agent: String,
    /// The plug and play model, `dtmi:…`.
    pub model_id: Option<String>,
    /// Whom to trust.
    pub roots: Roots,
    /// The cipher suites to offer; None: all there are. See [`crate::tls::cipher_suites`].
    pub cipher_suites: Option<Vec<SupportedCipherSuite>>,
    /// Speak MQTT within a WebSocket, which passes where only the web may. Default false.
    pub websockets: bool,
    /// The proxy to connect through. Default none, whatever the environment says.
    pub proxy: Option<Proxy>,
    /// Seconds of silence after which the hub is asked whether it is there. Default 60.
    pub keep_alive_seconds: u16,
    /// Connect when an operation needs it. Default true.
    pub auto_connect: bool,
    /// Connect again when the connection is lost. Default true.
    pub connection_retry: bool,
    /// The longest pause between two attempts. Default 10 s.
    pub connection_retry_interval: Duration,
    /// Ask for the desired properties after a reconnect, so that no change is missed. Default true.
    pub ensure_desired_properties: bool,
    /// Unacknowledged packets at a time. Default 64.
    pub window: usize,
    /// Keep telemetry there until the hub has it. Default none: in memory.
    pub outbox: Option<OutboxOptions>,
    /// The wall clock.
    pub clock: Clock,
}

impl Options {
    /// Options with their defaults for this identity.
    #[must_use]
    pub fn new(
        host_name: String,
        device_id: String,
        module_id: Option<String>,
        credentials: Credentials,
    ) -> Self {
        Self {
            host_name,
            gateway_host_name: None,
            device_id,
            module_id,
            credentials,
            user_agent: format!("ferrohub/{}", env!("CARGO_PKG_VERSION")),
            model_id: None,
            roots: Roots::System,
            cipher_suites: None,
            websockets: false,
            proxy: None,
            keep_alive_seconds: 60,
            auto_connect: true,
            connection_retry: true,
            connection_retry_interval: Duration::from_secs(10),
            ensure_desired_properties: true,
            window: 64,
            outbox: None,
            clock: Clock::system(),
        }
    }

    /// The MQTT client id: `device` or `device/module`.
    #[must_use]
    pub fn client_id(&self) -> String {
        match &self.module_id {
            Some(module) => format!("{}/{module}", self.device_id),
            None => self.device_id.clone(),
        }
    }

    /// The MQTT user name; the hub's name in it is never the gateway's.
    #[must_use]
    pub fn user_name(&self) -> String {
        let agent = quote_component(&self.user_agent);
        let (version, model) = match &self.model_id {
            Some(model) => (MODEL_API_VERSION, format!("&model-id={}", quote_component(model))),
            None => (API_VERSION, String::new()),
        };
        format!(
            "{}/{}/?api-version={version}&DeviceClientType={agent}{model}",
            self.host_name,
            self.client_id()
        )
    }

    /// What the token is for.
    #[must_use]
    pub fn resource(&self) -> String {
        match &self.module_id {
            Some(module) => format!("{}/devices/{}/modules/{module}", self.host_name, self.device_id),
            None => format!("{}/devices/{}", self.host_name, self.device_id),
        }
    }

    /// Where telemetry with these encoded properties is published.
    pub(super) fn telemetry_topic(&self, properties: &str) -> String {
        topics::telemetry(&self.device_id, self.module_id.as_deref()) + properties
    }

    /// How to get to the hub, or to the gateway in front of it.
    #[must_use]
    pub fn route(&self) -> Route<'_> {
        Route {
            host_name: self.gateway_host_name.as_deref().unwrap_or(&self.host_name),
            websockets: self.websockets,
            proxy: self.proxy.as_ref(),
            roots: &self.roots,
            identity: self.credentials.identity(),
            cipher_suites: self.cipher_suites.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SasKey;

    fn options(module: Option<&str>) -> Options {
        let credentials = Credentials::key(SasKey::from_bytes(b"foobar".to_vec()));
        Options::new("localhost".into(), "dev1".into(), module.map(Into::into), credentials)
    }

    #[test]
    fn the_connect_names_the_client_as_the_official_package_does() {
        let mut module = options(Some("mod1"));
        module.user_agent = "agent/1 (3.11;Linux)".into();
        assert_eq!(module.client_id(), "dev1/mod1");
        assert_eq!(
            module.user_name(),
            "localhost/dev1/mod1/?api-version=2019-10-01&DeviceClientType=agent%2F1%20%283.11%3BLinux%29"
        );
        module.model_id = Some("dtmi:com:example:Thermostat;1".into());
        assert!(module.user_name().contains("/?api-version=2020-09-30&"));
        assert!(module.user_name().ends_with("&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1"));
        assert_eq!(module.resource(), "localhost/devices/dev1/modules/mod1");
        assert_eq!(options(None).resource(), "localhost/devices/dev1");
    }

    #[test]
    fn a_gateway_is_connected_to_in_place_of_the_hub() {
        let mut client = options(None);
        assert_eq!(client.route().host_name, "localhost");
        client.gateway_host_name = Some("edge".into());
        assert_eq!(client.route().host_name, "edge");
        assert!(client.user_name().starts_with("localhost/"));
    }
}
