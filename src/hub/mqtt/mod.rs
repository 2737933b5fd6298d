//! The hub's MQTT 3.1.1 endpoint: one task per connection, on rumqttc's packets.
//!
//! `MQTT` errors end the connection, as on the real hub; twin operations answer with a status in the topic.
//! <https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub>. Used by the server, which has done
//! TLS and seen the first byte.

mod calls;
mod connect;
mod in_flight;
mod late;
mod registration;
mod rules;
mod session;
mod wire;

use std::fmt;
use std::io;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use tokio::io::{AsyncRead, AsyncWrite};

use self::session::Session;
use self::wire::{Incoming, Outgoing};
use super::x509::ClientCertificate;
use super::{HubError, HubState};
use crate::protocol::identity::IdentityId;

/// Why a connection ended.
#[derive(Debug)]
enum Ending {
    /// The client sent DISCONNECT.
    Disconnected,
    /// The client is gone.
    Lost(io::Error),
    /// The client broke a rule, or the hub ended it: why.
    Closed(String),
}

impl Ending {
    fn closed(why: impl Into<String>) -> Self {
        Self::Closed(why.into())
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<HubError> for Ending {
    fn from(error: HubError) -> Self {
        Self::Closed(error.to_string())
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => formatter.write_str("it disconnected"),
            Self::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                formatter.write_str("it closed its connection")
            }
            Self::Lost(error) => write!(formatter, "it is gone ({error})"),
            Self::Closed(why) => formatter.write_str(why),
        }
    }
}

/// A client that has been let in.
enum Client {
    /// A device or module of the hub.
    Device(Box<connect::Accepted>),
    /// A device that asks the provisioning service for its hub.
    Registrant(registration::Accepted),
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(accepted) => accepted.id.fmt(formatter),
            Self::Registrant(accepted) => {
                write!(formatter, "{} (to be provisioned)", accepted.registration_id())
            }
        }
    }
}

/// Serve one connection to its end; `first` holds what was read of it already, `certificate` is what the client has
/// shown.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    stream: S,
    first: BytesMut,
    certificate: Option<ClientCertificate>,
    hub: HubState,
) {
    let (reader, writer) = tokio::io::split(stream);
    let (mut incoming, mut outgoing) = (Incoming::new(reader, first), Outgoing::new(writer));
    match accept(&mut incoming, &mut outgoing, certificate.as_ref(), &hub).await {
        Ok(client) => {
            let name = client.to_string();
            hub.notices.tell(|| format!("{name} connected"));
            let ending = match client {
                Client::Device(accepted) => Session::run(incoming, &mut outgoing, &hub, *accepted).await,
                Client::Registrant(accepted) => {
                    registration::run(incoming, &mut outgoing, &hub, accepted).await
                }
            };
            hub.notices.tell(|| format!("{name} is no longer connected: {ending}"));
        }
        Err(ending) => hub.notices.tell(|| format!("a device could not connect: {ending}")),
    }
    outgoing.close().await;
}

/// Wait for CONNECT and decide; a refusal is answered with its code.
async fn accept<S: AsyncRead + AsyncWrite>(
    incoming: &mut Incoming<S>,
    outgoing: &mut Outgoing<S>,
    certificate: Option<&ClientCertificate>,
    hub: &HubState,
) -> Result<Client, Ending> {
    let first = tokio::time::timeout(super::FIRST_BYTES_DEADLINE, incoming.packet());
    let packet = first.await.map_err(|_| Ending::closed("no whole CONNECT came in time"))?;
    let refusal = match packet {
        Ok(Packet::Connect(packet)) => {
            if let Ok(id) = IdentityId::parse(&packet.client_id) {
                stay_while_frozen(incoming, &id, hub).await?;
            }
            match admit(packet, certificate, hub) {
                Ok(client) => return Ok(client),
                Err(refusal) => refusal,
            }
        }
        Ok(_) => return Err(Ending::closed("the first packet was not CONNECT")),
        Err(ending) if incoming.refused_protocol_level() => {
            connect::Refusal { code: ConnectReturnCode::RefusedProtocolVersion, why: ending.to_string() }
        }
        Err(ending) => return Err(ending),
    };
    outgoing.connack(refusal.code, false);
    outgoing.flush().await?;
    Err(Ending::Closed(refusal.why))
}

/// Let a client in, to the service that it asks for.
fn admit(
    packet: Connect,
    certificate: Option<&ClientCertificate>,
    hub: &HubState,
) -> Result<Client, connect::Refusal> {
    connect::check(&packet, hub)?;
    if registration::is_meant(&packet) {
        return registration::accept(packet, certificate, hub).map(Client::Registrant);
    }
    connect::accept(packet, certificate, hub).map(|accepted| Client::Device(Box::new(accepted)))
}

/// Answer nothing as long as a fault freezes the client. One that goes meanwhile is not let in afterwards, where
/// it would take the place of a newer connection.
async fn stay_while_frozen<S: AsyncRead + AsyncWrite>(
    incoming: &mut Incoming<S>,
    id: &IdentityId,
    hub: &HubState,
) -> Result<(), Ending> {
    let mut thawed = std::pin::pin!(hub.faults.thawed(id));
    while hub.faults.is_frozen(id) {
        tokio::select! {
            biased;
            filled = incoming.fill() => filled?,
            () = &mut thawed => break,
        }
    }
    Ok(())
}
