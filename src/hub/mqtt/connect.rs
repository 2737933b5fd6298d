//! CONNECT: who it is, whether it may, and which session it goes on with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, LastWill, Login};
use rumqttc::mqttbytes::{Protocol, QoS};

use super::rules;
use crate::hub::connections::Connection;
use crate::hub::sessions::{ConnectRefusal, DeviceSession, Proof};
use crate::hub::x509::ClientCertificate;
use crate::hub::{HubError, HubState};
use crate::protocol::identity::IdentityId;

/// The real hub's limit: 29 minutes 27 seconds.
const LONGEST_SILENCE: Duration = Duration::from_secs(1767);

/// A client that may stay.
pub(super) struct Accepted {
    pub(super) id: Arc<IdentityId>,
    pub(super) device: DeviceSession,
    pub(super) connection: Connection,
    /// How long it may say nothing.
    pub(super) silence: Duration,
    pub(super) clean_session: bool,
    pub(super) will: Option<LastWill>,
}

/// A client that may not: the code it is told, and why, which it is not told.
pub(super) struct Refusal {
    pub(super) code: ConnectReturnCode,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(code: ConnectReturnCode, client_id: &str, why: impl std::fmt::Display) -> Self {
        Self { code, why: format!("{client_id}: {why}") }
    }
}

/// What counts for every client, whatever it asks for.
pub(super) fn check(packet: &Connect, hub: &HubState) -> Result<(), Refusal> {
    if packet.protocol != Protocol::V4 {
        let why = "it speaks another version than MQTT 3.1.1";
        return Err(Refusal::new(ConnectReturnCode::RefusedProtocolVersion, &packet.client_id, why));
    }
    if let Some(code) = ordered_refusal(&packet.client_id, hub) {
        return Err(Refusal::new(code, &packet.client_id, "a fault was ordered"));
    }
    Ok(())
}

/// Let a device or module in; it takes the place of an older connection of its identity.
pub(super) fn accept(
    packet: Connect,
    certificate: Option<&ClientCertificate>,
    hub: &HubState,
) -> Result<Accepted, Refusal> {
    let Login { username, password } =
        packet.login.unwrap_or(Login { username: String::new(), password: String::new() });
    let device = hub
        .authenticate_device(&packet.client_id, &username, Proof::of(&password, certificate))
        .map_err(|refusal| Refusal::new(return_code(&refusal), &packet.client_id, refusal))?;
    let telemetry_topic = rules::telemetry_topic(&device.id);
    let allowed = |will: &LastWill| {
        will.qos != QoS::ExactlyOnce && rules::telemetry_properties(&will.topic, &telemetry_topic).is_some()
    };
    if packet.last_will.as_ref().is_some_and(|will| !allowed(will)) {
        let why = "its will is for another topic than its telemetry";
        return Err(Refusal::new(ConnectReturnCode::ServiceUnavailable, &packet.client_id, why));
    }
    let id = Arc::new(device.id.clone());
    let connection = hub.connections.open(&id);
    Ok(Accepted {
        id,
        device,
        connection,
        silence: longest_silence(packet.keep_alive),
        clean_session: packet.clean_session,
        will: packet.last_will,
    })
}

/// The return code that a fault has for this client.
fn ordered_refusal(client_id: &str, hub: &HubState) -> Option<ConnectReturnCode> {
    let id = IdentityId::parse(client_id).ok()?;
    Some(match hub.faults.refusal(&id)? {
        1 => ConnectReturnCode::RefusedProtocolVersion,
        2 => ConnectReturnCode::BadClientId,
        3 => ConnectReturnCode::ServiceUnavailable,
        4 => ConnectReturnCode::BadUserNamePassword,
        _ => ConnectReturnCode::NotAuthorized,
    })
}

/// Wrong, missing or expired credentials, unknown identities and bad user names all get 5 (not
/// authorized), so that nobody learns which device exists. A disabled device gets 3 (server unavailable),
/// as Microsoft's protocol gateway and its C client have it.
fn return_code(refusal: &ConnectRefusal) -> ConnectReturnCode {
    match refusal {
        ConnectRefusal::Disabled => ConnectReturnCode::ServiceUnavailable,
        ConnectRefusal::MalformedUsername | ConnectRefusal::Unauthorized(_) => {
            ConnectReturnCode::NotAuthorized
        }
    }
}

/// One and a half times the keep-alive that the client asked for; the hub's limit if it asked for none.
pub(super) fn longest_silence(keep_alive_seconds: u16) -> Duration {
    match keep_alive_seconds {
        0 => LONGEST_SILENCE,
        seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(LONGEST_SILENCE),
    }
}

/// The subscriptions that this connection starts with, and whether they are a kept session's.
pub(super) async fn start_session(
    accepted: &Accepted,
    hub: &HubState,
) -> Result<(BTreeMap<String, u8>, bool), HubError> {
    let kept = hub.subscriptions(&accepted.id);
    if !accepted.clean_session {
        let present = !kept.is_empty();
        return Ok((kept, present));
    }
    if !kept.is_empty() {
        hub.set_subscriptions(&accepted.id, BTreeMap::new()).await?;
    }
    Ok((BTreeMap::new(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_be_silent_for_one_and_a_half_keep_alives_up_to_the_limit() {
        assert_eq!(longest_silence(60), Duration::from_secs(90));
        assert_eq!(longest_silence(1), Duration::from_millis(1500));
        assert_eq!(longest_silence(0), LONGEST_SILENCE);
        assert_eq!(longest_silence(u16::MAX), LONGEST_SILENCE);
    }
}
