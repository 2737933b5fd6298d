//! A connection of a device that asks the provisioning service for its hub. Its user name tells it from that of a device
//! that knows its hub.
//!
//! <https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-dps>

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish, Subscribe};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::Ending;
use super::connect::{Refusal, longest_silence};
use super::wire::{Incoming, Outgoing};
use crate::hub::HubState;
use crate::hub::connections::Connection;
use crate::hub::dps::Registrant;
use crate::hub::x509::ClientCertificate;
use crate::protocol::identity::IdentityId;
use crate::protocol::provisioning::{self, Request};

/// No device has this name: connections of the service are told from those of the hub by it.
const SERVICE: &str = "$dps";

/// A device that may ask.
pub(super) struct Accepted {
    /// What faults call it: registrations have names that devices may have.
    id: IdentityId,
    registrant: Registrant,
    connection: Connection,
    silence: Duration,
}

impl Accepted {
    /// The id that the device registers with.
    pub(super) fn registration_id(&self) -> &str {
        &self.registrant.registration_id
    }
}

/// Whether the client asks for the provisioning service.
pub(super) fn is_meant(packet: &Connect) -> bool {
    names(packet).is_some()
}

/// Id scope and registration id, as the user name has them.
fn names(packet: &Connect) -> Option<(&str, &str)> {
    provisioning::parse_user_name(&packet.login.as_ref()?.username)
}

/// Let the client in. Who it is, is checked with its requests, as Azure's service does.
pub(super) fn accept(
    packet: Connect,
    certificate: Option<&ClientCertificate>,
    hub: &HubState,
) -> Result<Accepted, Refusal> {
    let (id_scope, registration_id) = names(&packet).unwrap_or_default();
    if packet.client_id != registration_id {
        let why = "the client id is not the registration id of the user name";
        return Err(Refusal::new(ConnectReturnCode::NotAuthorized, &packet.client_id, why));
    }
    let id = IdentityId::device(registration_id)
        .map_err(|error| Refusal::new(ConnectReturnCode::NotAuthorized, &packet.client_id, error))?;
    let connection_id =
        IdentityId { device: SERVICE.to_owned(), module: Some(registration_id.to_ascii_lowercase()) };
    let connection = hub.connections.open(&Arc::new(connection_id));
    let (id_scope, registration_id) = (id_scope.to_owned(), registration_id.to_owned());
    let silence = longest_silence(packet.keep_alive);
    let password = packet.login.map(|login| login.password).unwrap_or_default();
    let registrant = Registrant { id_scope, registration_id, password, certificate: certificate.cloned() };
    Ok(Accepted { id, registrant, connection, silence })
}

/// One device's connection.
struct Conversation<'a, S> {
    hub: &'a HubState,
    id: IdentityId,
    registrant: Registrant,
    outgoing: &'a mut Outgoing<S>,
    /// Whether it listens to answers.
    is_subscribed: bool,
}

/// Serve the client until it goes or has to.
pub(super) async fn run<S: AsyncRead + AsyncWrite>(
    mut incoming: Incoming<S>,
    outgoing: &mut Outgoing<S>,
    hub: &HubState,
    accepted: Accepted,
) -> Ending {
    let Accepted { id, registrant, mut connection, silence } = accepted;
    let mut conversation = Conversation { hub, id, registrant, outgoing, is_subscribed: false };
    conversation.outgoing.connack(ConnectReturnCode::Success, false);
    tokio::select! {
        biased;
        reason = &mut connection.closed => Ending::Closed(reason.unwrap_or_default()),
        ended = conversation.exchange(&mut incoming, silence) => match ended {
            Ok(never) => match never {},
            Err(ending) => ending,
        },
    }
}

impl<S: AsyncRead + AsyncWrite> Conversation<'_, S> {
    /// One question after the other: a device has no reason to ask the next before it has the answer.
    async fn exchange(
        &mut self,
        incoming: &mut Incoming<S>,
        silence: Duration,
    ) -> Result<Infallible, Ending> {
        loop {
            self.outgoing.flush().await?;
            let deadline = Instant::now() + silence;
            let packet = tokio::select! {
                packet = incoming.packet() => packet?,
                () = sleep_until(deadline) => {
                    return Err(Ending::Closed(super::session::silent_for(silence)));
                }
            };
            self.hub.faults.thawed(&self.id).await;
            self.handle(packet).await?;
        }
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), Ending> {
        match packet {
            Packet::Publish(publish) => self.answer(publish).await,
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                self.is_subscribed = false;
                self.outgoing.unsuback(unsubscribe.pkid);
                Ok(())
            }
            Packet::PingReq => {
                self.outgoing.pingresp();
                Ok(())
            }
            Packet::PubAck(_) => Ok(()),
            Packet::Disconnect => Err(Ending::Disconnected),
            _ => Err(Ending::closed("it sent a packet that the provisioning service does not take")),
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Result<(), Ending> {
        if subscribe.filters.iter().any(|filter| filter.path != provisioning::RESPONSES) {
            return Err(Ending::closed(
                "it subscribed to something else than the provisioning service's answers",
            ));
        }
        let refused = self.hub.faults.refuses_subscriptions(&self.id);
        self.is_subscribed = !refused;
        let granted = |qos| if qos == QoS::AtMostOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let granted = subscribe.filters.iter().map(|filter| (!refused).then_some(granted(filter.qos)));
        self.outgoing.suback(subscribe.pkid, granted);
        Ok(())
    }

    async fn answer(&mut self, publish: Publish) -> Result<(), Ending> {
        let Some(request) = provisioning::parse_request(&publish.topic) else {
            let text =
                format!("it published to {}, which is no topic of the provisioning service", publish.topic);
            return Err(Ending::Closed(text));
        };
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.outgoing.puback(publish.pkid),
            QoS::ExactlyOnce => return Err(Ending::closed("it published at QoS 2")),
        }
        let answer = self.hub.answer_registrant(&self.registrant, &request, &publish.payload).await;
        if let Some(answer) = answer.filter(|_| self.is_subscribed) {
            let (Request::Register { request_id } | Request::Query { request_id, .. }) = request;
            let topic = provisioning::response(answer.status, &request_id, answer.retry_after);
            self.outgoing.publish(topic, Bytes::from(answer.body.to_string()));
        }
        Ok(())
    }
}
