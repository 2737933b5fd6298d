//! How a client gets to its MQTT endpoint: what clients of hubs and of the provisioning service have in common.

use std::sync::Arc;

use rustls::SupportedCipherSuite;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Proxy, Target, WebSocketEndpoint};
use crate::protocol::websocket;
use crate::tls::{self, Identity, Roots, split_port};

/// MQTT over TLS.
const MQTT_PORT: u16 = 8883;
/// MQTT over WebSockets.
const WEBSOCKET_PORT: u16 = 443;
const MQTT_OVER_WEBSOCKET: WebSocketEndpoint =
    WebSocketEndpoint { path: websocket::PATH, subprotocol: websocket::MQTT };

/// Where to connect, by which way, and what is shown and trusted there.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// A port in it is used instead of 8883, or 443 with WebSockets.
    pub host_name: &'a str,
    /// Speak MQTT within a WebSocket.
    pub websockets: bool,
    /// The proxy to connect through.
    pub proxy: Option<&'a Proxy>,
    /// Whom to trust.
    pub roots: &'a Roots,
    /// The certificate to show.
    pub identity: Option<&'a Identity>,
    /// The cipher suites to offer; None: all there are.
    pub cipher_suites: Option<&'a [SupportedCipherSuite]>,
}

impl Route<'_> {
    /// What [`super::dial`] connects to.
    ///
    /// # Errors
    /// `InvalidArgument` if what follows the colon is no port, `TlsOption` or `System` if there is nobody to trust.
    pub fn target(&self) -> Result<Target> {
        let (host, port) = self.address()?;
        Ok(Target {
            host: host.to_owned(),
            port,
            tls: Arc::new(tls::device_config(host, self.roots, self.identity, self.cipher_suites)?),
            proxy: self.proxy.cloned(),
            websocket: self.websockets.then_some(MQTT_OVER_WEBSOCKET),
        })
    }

    fn address(&self) -> Result<(&str, u16)> {
        let name = self.host_name;
        let (host, port) = split_port(name);
        if port.is_none() && name.len() > host.len() && !host.contains(':') {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the host name {name:?} has no valid port"),
            ));
        }
        let usual = if self.websockets { WEBSOCKET_PORT } else { MQTT_PORT };
        Ok((host, port.unwrap_or(usual)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_the_host_name_and_websockets_decide_where_to_connect() {
        let address = |host_name, websockets| {
            let roots = &Roots::System;
            let route =
                Route { host_name, websockets, proxy: None, roots, identity: None, cipher_suites: None };
            route.address().map(|(host, port)| (host.to_owned(), port))
        };
        assert_eq!(address("localhost", false).unwrap(), ("localhost".into(), 8883));
        assert_eq!(address("localhost:8443", false).unwrap(), ("localhost".into(), 8443));
        assert_eq!(address("edge", true).unwrap(), ("edge".into(), 443));
        assert_eq!(address("edge:99999", true).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
