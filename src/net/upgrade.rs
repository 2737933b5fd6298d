//! Asking a server for a WebSocket: the handshake of RFC 6455, chapter 4, with the headers that the official client
//! sends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response, generate_key};
use tokio_tungstenite::tungstenite::http;

use super::websocket::{self, WebSocketStream};
use super::{Target, WebSocketEndpoint};
use crate::error::{Error, ErrorKind, Result};

/// For the server to answer.
const UPGRADE_TIME: Duration = Duration::from_secs(15);
/// How much of what a server says instead is repeated.
const LONGEST_QUOTE: usize = 200;

/// Make the stream a WebSocket.
pub(super) async fn upgrade<S>(
    target: &Target,
    endpoint: WebSocketEndpoint,
    stream: S,
) -> Result<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |what: String| {
        let text = format!("no WebSocket at https://{}{}: {what}", target.authority(), endpoint.path);
        Error::new(ErrorKind::ConnectionFailed, text)
    };
    let request = request(target, endpoint).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, "the upgrade to a WebSocket can't be asked for")
            .caused_by(error)
    })?;
    let upgrading = client_async_with_config(request, stream, Some(websocket::config()));
    match timeout(UPGRADE_TIME, upgrading).await {
        Ok(Ok((socket, _))) => Ok(WebSocketStream::new(socket)),
        Ok(Err(WebSocketError::Http(answer))) => Err(failed(describe(&answer))),
        Ok(Err(error)) => Err(failed("the upgrade failed".to_owned()).caused_by(error)),
        Err(_) => Err(failed("no answer".to_owned())),
    }
}

fn request(target: &Target, endpoint: WebSocketEndpoint) -> http::Result<Request> {
    let authority = target.authority();
    http::Request::get(format!("wss://{authority}{}", endpoint.path))
        .header("Host", &authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Protocol", endpoint.subprotocol)
        .header("Origin", format!("https://{authority}"))
        .body(())
}

/// The status, and the beginning of what came with it.
fn describe(answer: &Response) -> String {
    let body = answer.body().as_deref().unwrap_or_default();
    let quote: String = String::from_utf8_lossy(body).trim().chars().take(LONGEST_QUOTE).collect();
    let separator = if quote.is_empty() { "" } else { " " };
    format!("the server answered {}{separator}{quote}", answer.status())
}
