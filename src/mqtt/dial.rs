//! How a link is made: name look-up, TCP, TLS, CONNECT, each with its time and its error.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::link::Link;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::is_loopback;

/// For the name look-up, and for one address to answer, as in the official package.
const TCP_TIME: Duration = Duration::from_secs(5);
/// For the TLS handshake.
const TLS_TIME: Duration = Duration::from_secs(15);
/// For the CONNACK, as in the official package.
const CONNACK_TIME: Duration = Duration::from_secs(60);

/// Where to connect, and whom to trust there.
#[derive(Clone, Debug)]
pub struct Target {
    /// A host name or address, without a port.
    pub host: String,
    /// 8883, or the port of the host name.
    pub port: u16,
    /// Made for this host by [`crate::tls::client_config`].
    pub tls: Arc<ClientConfig>,
}

/// Connect and log in. Resolves with the link and whether the hub still had this client's session.
///
/// # Errors
/// `ConnectionFailed` if the hub can't be reached or is not available, `Tls` if its certificate is not
/// trusted, `Unauthorized` if it refuses the credentials, `Protocol` if it refuses the client otherwise,
/// `Timeout` if it never answers the CONNECT.
pub async fn dial(target: &Target, connect: &Connect) -> Result<(Link<TlsStream<TcpStream>>, bool)> {
    let tcp = open_tcp(target).await?;
    let tls = handshake(target, tcp).await?;
    let mut link = Link::new(tls, Duration::from_secs(connect.keep_alive.into()));
    let encoded = connect.write(link.output());
    encoded.map_err(|error| {
        Error::new(ErrorKind::Protocol, "the CONNECT could not be encoded").caused_by(error)
    })?;
    let late = || Error::new(ErrorKind::Timeout, "Transport timeout on connection operation");
    let answer = timeout(CONNACK_TIME, link.next_packet()).await.map_err(|_| late())?;
    match admitted(answer.map_err(closed_early)?) {
        Ok(session_present) => Ok((link, session_present)),
        Err((kind, reason)) => Err(refused(target, connect, kind, reason)),
    }
}

async fn open_tcp(target: &Target) -> Result<TcpStream> {
    let slow = || io::Error::new(io::ErrorKind::TimedOut, "the name look-up takes too long");
    let addresses = timeout(TCP_TIME, addresses(target)).await.map_err(|_| unreachable(target, slow()))?;
    let addresses = addresses.map_err(|error| unreachable(target, error))?;
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(TCP_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Latency before packet count: batching is done above.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last_error = error,
            Err(_) => last_error = io::Error::new(io::ErrorKind::TimedOut, "timed out"),
        }
    }
    Err(unreachable(target, last_error))
}

/// The addresses of the host; IPv4 first for this machine's names, where hubs and test servers listen.
async fn addresses(target: &Target) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<_> = tokio::net::lookup_host((target.host.as_str(), target.port)).await?.collect();
    if is_loopback(&target.host) {
        found.sort_by_key(SocketAddr::is_ipv6);
    }
    Ok(found)
}

fn unreachable(target: &Target, error: io::Error) -> Error {
    let hint = if is_loopback(&target.host) {
        "; is the local hub running? start it with `ferrohub up`"
    } else {
        ""
    };
    let text = format!("{}:{} can't be reached{hint}", target.host, target.port);
    Error::new(ErrorKind::ConnectionFailed, text).caused_by(error)
}

async fn handshake(target: &Target, tcp: TcpStream) -> Result<TlsStream<TcpStream>> {
    let place = format!("{}:{}", target.host, target.port);
    let name = ServerName::try_from(target.host.clone()).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{:?} is no host name", target.host)).caused_by(error)
    })?;
    let handshake = TlsConnector::from(Arc::clone(&target.tls)).connect(name, tcp);
    match timeout(TLS_TIME, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if is_certificate_error(&error) => {
            Err(Error::new(ErrorKind::Tls, format!("the certificate of {place} is not trusted"))
                .caused_by(error))
        }
        Ok(Err(error)) => {
            Err(Error::new(ErrorKind::ConnectionFailed, format!("no TLS connection to {place}"))
                .caused_by(error))
        }
        Err(_) => {
            Err(Error::new(ErrorKind::ConnectionFailed, format!("{place} did not finish the TLS handshake")))
        }
    }
}

fn is_certificate_error(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether the session was present, or the kind of the refusal and the sentence the official client has for it.
fn admitted(answer: Packet) -> std::result::Result<bool, (ErrorKind, &'static str)> {
    let Packet::ConnAck(ack) = answer else {
        return Err((ErrorKind::Protocol, "it did not answer the CONNECT with a CONNACK"));
    };
    Err(match ack.code {
        ConnectReturnCode::Success => return Ok(ack.session_present),
        ConnectReturnCode::RefusedProtocolVersion => {
            (ErrorKind::Protocol, "Connection Refused: unacceptable protocol version.")
        }
        ConnectReturnCode::BadClientId => (ErrorKind::Protocol, "Connection Refused: identifier rejected."),
        ConnectReturnCode::ServiceUnavailable => {
            (ErrorKind::ConnectionFailed, "Connection Refused: broker unavailable.")
        }
        ConnectReturnCode::BadUserNamePassword => {
            (ErrorKind::Unauthorized, "Connection Refused: bad user name or password.")
        }
        ConnectReturnCode::NotAuthorized => (ErrorKind::Unauthorized, "Connection Refused: not authorised."),
    })
}

fn refused(target: &Target, connect: &Connect, kind: ErrorKind, reason: &str) -> Error {
    let mut text = format!("{}:{} refused {:?}", target.host, target.port, connect.client_id);
    text.push_str(match kind {
        ErrorKind::Unauthorized => {
            "; check that it exists there, that the key is its own, and that this machine's clock is right"
        }
        ErrorKind::ConnectionFailed => "; it may be disabled there, or the hub is busy or not available",
        _ => "",
    });
    Error::new(kind, text).caused_by(io::Error::other(reason.to_owned()))
}

/// A hub that closes before the CONNACK has not let the client in.
fn closed_early(error: Error) -> Error {
    if error.kind() == ErrorKind::ConnectionDropped {
        return Error::new(ErrorKind::ConnectionFailed, "the hub closed the connection instead of answering")
            .caused_by(error);
    }
    error
}
