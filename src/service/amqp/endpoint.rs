//! Where a connection goes, and with which tokens: a hub, or what it redirects to.

use super::cbs::Token;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Target, WebSocketEndpoint};
use crate::protocol::websocket::{AMQP, SERVICE_BUS_PATH};
use crate::service::Credentials;
use crate::tls::{self, Roots};

/// How long a signature is good for.
const TOKEN_SECONDS: u64 = 3600;
const AMQPS_PORT: u16 = 5671;
const HTTPS_PORT: u16 = 443;
const SAS_TYPE: &str = "servicebus.windows.net:sastoken";
const BEARER_TYPE: &str = "bearer";
/// The audience of bearer tokens, as in the official package.
const BEARER_AUDIENCE: &str = "https://iothubs.azure.net/.default";

/// A token of a credential.
#[derive(Clone)]
pub struct BearerToken {
    /// The token itself.
    pub text: String,
    /// Seconds since 1970.
    pub expires: u64,
}

/// A host, what is asked for there, and who asks.
#[derive(Clone)]
pub struct Endpoint {
    /// With a port if it is not the protocol's own.
    pub(super) host_name: String,
    pub(super) websocket: bool,
    pub(super) credentials: Option<Credentials>,
    /// What tokens are for, on a host that has more than one thing; None: the host itself, which is a hub.
    pub(super) entity: Option<String>,
    pub(super) roots: Roots,
    pub(super) clock: Clock,
}

impl Endpoint {
    /// A hub: its port counts if it has one, else 5671, or 443 for WebSockets. Without credentials each call brings a token.
    #[must_use]
    pub fn hub(
        host_name: String,
        websocket: bool,
        credentials: Option<Credentials>,
        roots: Roots,
        clock: Clock,
    ) -> Self {
        Self { host_name, websocket, credentials, entity: None, roots, clock }
    }

    /// What files that name trusted certificates hold may have changed: it is made anew for each connection.
    pub(super) fn target(&self) -> Result<Target> {
        let (host, port) = tls::split_port(&self.host_name);
        let websocket = WebSocketEndpoint { path: SERVICE_BUS_PATH, subprotocol: AMQP[0] };
        Ok(Target {
            host: host.to_owned(),
            port: port.unwrap_or(if self.websocket { HTTPS_PORT } else { AMQPS_PORT }),
            tls: tls::client_config(host, &self.roots, &[])?,
            proxy: None,
            websocket: self.websocket.then_some(websocket),
        })
    }

    /// A token that can be shown now, and when it expires.
    pub(super) fn token(&self, bearer: Option<&BearerToken>) -> Result<(Token, u64)> {
        let (host, _) = tls::split_port(&self.host_name);
        match (&self.credentials, bearer) {
            (Some(Credentials { policy, key }), _) => {
                let expires = self.clock.unix_seconds() + TOKEN_SECONDS;
                let (audience, resource) = match &self.entity {
                    None => (format!("https://{host}"), host.to_owned()),
                    Some(entity) => (format!("sb://{host}/{entity}"), format!("sb://{host}/{entity}")),
                };
                let text = key.service_token(&resource, policy, expires);
                Ok((Token { kind: SAS_TYPE, audience, text }, expires))
            }
            (None, Some(BearerToken { text, expires })) => {
                let text = format!("Bearer {text}");
                Ok((Token { kind: BEARER_TYPE, audience: BEARER_AUDIENCE.to_owned(), text }, *expires))
            }
            (None, None) => {
                Err(Error::new(ErrorKind::InvalidArgument, "there is neither a policy nor a token"))
            }
        }
    }
}
