//! The upgrade to a WebSocket, in which devices speak MQTT, and back ends AMQP, where only the web may pass (RFC 6455, 4.2).
//!
//! The answer is made here, beside REST; the connection's owner takes the [`Upgrade`] out and goes on with the protocol.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::websocket::{AMQP, MQTT};

/// The upgrade that a connection ends with, if it does. The connection's owner adds it to each request.
#[derive(Clone, Debug, Default)]
pub struct Upgrade(Arc<Mutex<Option<(OnUpgrade, Subprotocol)>>>);

/// What is spoken in a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// MQTT 3.1.1.
    Mqtt,
    /// AMQP 1.0.
    Amqp,
}

impl Upgrade {
    /// What has been answered with an upgrade.
    #[must_use]
    pub fn take(&self) -> Option<(OnUpgrade, Subprotocol)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, upgrade: OnUpgrade, subprotocol: Subprotocol) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, subprotocol));
    }
}

/// `GET /$iothub/websocket`, or `/$servicebus/websocket`.
pub(super) async fn upgrade(mut request: Request) -> Result<Response, HubError> {
    let mut response = create_response_with_body(&request, Body::empty).map_err(|error| {
        let path = request.uri().path();
        HubError::invalid(format!("{path} is for WebSockets, and this is no request for one: {error}."))
    })?;
    let Some((name, subprotocol)) = choose(request.headers()) else {
        return Err(HubError::invalid(format!(
            "The header Sec-WebSocket-Protocol has to offer {MQTT}, {} or {}.",
            AMQP[0], AMQP[1]
        )));
    };
    let upgrade = request.extensions_mut().remove::<Upgrade>();
    let upgrade = upgrade.ok_or_else(|| {
        HubError::new(ErrorCode::NOT_IMPLEMENTED, "There are no WebSockets on this connection.")
    })?;
    upgrade.put(hyper::upgrade::on(&mut request), subprotocol);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    Ok(response)
}

/// The first subprotocol that the client offers and the hub speaks.
fn choose(headers: &HeaderMap) -> Option<(&'static str, Subprotocol)> {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|header| header.to_str().ok());
    offers.flat_map(|header| header.split(',')).find_map(|offer| {
        let offer = offer.trim();
        let amqp = || AMQP.into_iter().find(|name| *name == offer).map(|name| (name, Subprotocol::Amqp));
        if offer == MQTT { Some((MQTT, Subprotocol::Mqtt)) } else { amqp() }
    })
}
