//! The upgrade to a WebSocket, in which devices speak MQTT where only the web may pass (RFC 6455, 4.2).
//!
//! The answer is made here, beside REST; the connection's owner takes the [`Upgrade`] out and goes on with MQTT.

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
use crate::protocol::websocket::{MQTT, PATH};

/// The upgrade that a connection ends with, if it does. The connection's owner adds it to each request.
#[derive(Clone, Debug, Default)]
pub struct Upgrade(Arc<Mutex<Option<OnUpgrade>>>);

impl Upgrade {
    /// What has been answered with an upgrade.
    #[must_use]
    pub fn take(&self) -> Option<OnUpgrade> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, upgrade: OnUpgrade) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }
}

/// `GET /$iothub/websocket`.
pub(super) async fn upgrade(mut request: Request) -> Result<Response, HubError> {
    let mut response = create_response_with_body(&request, Body::empty).map_err(|error| {
        HubError::invalid(format!("{PATH} is for WebSockets, and this is no request for one: {error}."))
    })?;
    if !offers_mqtt(request.headers()) {
        return Err(HubError::invalid(format!(
            "The header Sec-WebSocket-Protocol has to offer {MQTT}: the local hub speaks nothing else at {PATH}."
        )));
    }
    let upgrade = request.extensions_mut().remove::<Upgrade>();
    let upgrade = upgrade.ok_or_else(|| {
        HubError::new(ErrorCode::NOT_IMPLEMENTED, "There are no WebSockets on this connection.")
    })?;
    upgrade.put(hyper::upgrade::on(&mut request));
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(MQTT));
    Ok(response)
}

fn offers_mqtt(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|header| header.to_str().ok());
    offers.flat_map(|header| header.split(',')).any(|name| name.trim() == MQTT)
}
