//! How a client gets a stream of bytes to its hub: TCP, perhaps through a proxy, then TLS, then perhaps a WebSocket.
//!
//! - `tcp`: name look-up and connecting
//! - [`Proxy`]: whom to connect through; `http_proxy` and `socks` are how it is asked
//! - [`WebSocketStream`]: bytes in the frames of a WebSocket, for clients and for the local hub; `upgrade` asks for one
//!
//! - [`batched`]: for AMQP, whose frames are many and small
//!
//! Whatever lies in between, the owner of a connection gets one [`BoxedStream`]. Used by `mqtt` and `service`, and for what they
//! share by `hub`.

mod batched;
mod http_proxy;
mod proxy;
mod socks;
mod tcp;
mod upgrade;
mod websocket;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Error, ErrorKind, Result};

pub use batched::{End, KeepAlive, batched};
pub use proxy::{Proxy, ProxyKind};
pub use websocket::WebSocketStream;

/// For the TLS handshake.
const TLS_TIME: Duration = Duration::from_secs(15);

/// What carries the bytes of a connection.
pub trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Stream for S {}

/// A stream, whatever it is made of.
pub type BoxedStream = Box<dyn Stream>;

/// Where to connect, by which way, and whom to trust there.
#[derive(Clone, Debug)]
pub struct Target {
    /// A host name or address, without a port.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Made for this host by [`crate::tls::client_config`].
    pub tls: Arc<ClientConfig>,
    /// Connect through it. None: directly; the environment is not asked.
    pub proxy: Option<Proxy>,
    /// Speak within a WebSocket of this kind.
    pub websocket: Option<WebSocketEndpoint>,
}

/// A WebSocket that a server offers.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketEndpoint {
    /// Its path.
    pub path: &'static str,
    /// What is spoken in it.
    pub subprotocol: &'static str,
}

impl Target {
    /// `host:port`, as in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// Open a stream to the target.
///
/// # Errors
/// `ConnectionFailed` if it can't be reached or offers no such WebSocket, `Proxy` if the proxy is what failed, `Tls`
/// if the target's certificate is not trusted, `InvalidArgument` if it has no valid name.
pub async fn open(target: &Target) -> Result<BoxedStream> {
    // Before anything is sent: a proxy and a WebSocket are asked for it in lines of text.
    let name = ServerName::try_from(target.host.clone()).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{:?} is no host name", target.host)).caused_by(error)
    })?;
    let tcp = match &target.proxy {
        Some(proxy) => proxy.connect(&target.host, target.port).await?,
        None => {
            tcp::connect(&target.host, target.port).await.map_err(|error| tcp::unreachable(target, error))?
        }
    };
    let tls = handshake(target, name, tcp).await?;
    Ok(match target.websocket {
        Some(endpoint) => Box::new(upgrade::upgrade(target, endpoint, tls).await?),
        None => Box::new(tls),
    })
}

async fn handshake(
    target: &Target,
    name: ServerName<'static>,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let place = target.authority();
    let failed = |text| Error::new(ErrorKind::ConnectionFailed, text);
    match timeout(TLS_TIME, TlsConnector::from(Arc::clone(&target.tls)).connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if is_certificate_error(&error) => {
            Err(Error::new(ErrorKind::Tls, format!("the certificate of {place} is not trusted"))
                .caused_by(error))
        }
        Ok(Err(error)) => Err(failed(format!("no TLS connection to {place}")).caused_by(error)),
        Err(_) => Err(failed(format!("{place} did not finish the TLS handshake"))),
    }
}

fn is_certificate_error(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The brackets of an IPv6 address set it apart from the port.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
