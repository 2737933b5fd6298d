//! What a connecting device needs of the hub: being let in, its presence, and the session it left.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::HubState;
use super::access::{Denied, Right};
use super::entity::{Identity, Presence, Status};
use super::error::HubError;
use super::events::Sender;
use super::store::State;
use super::x509::ClientCertificate;
use crate::auth::SasToken;
use crate::protocol::identity::IdentityId;

/// A device or module that has proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSession {
    /// Who it is.
    pub id: IdentityId,
    /// When its token or certificate expires, seconds since 1970: the connection ends then.
    pub expires_at: u64,
    /// The IoT Plug and Play model it names; empty without one.
    pub model_id: String,
    /// The generation of the identity.
    pub generation_id: String,
    /// How it was let in, as events tell it: JSON.
    pub auth_method: String,
    /// Of the identity as it was let in.
    revision: u64,
}

impl DeviceSession {
    /// As what it sends tells it.
    pub(super) fn as_sender(&self) -> Sender {
        Sender {
            id: self.id.clone(),
            generation_id: self.generation_id.clone(),
            auth_method: self.auth_method.clone(),
            model_id: self.model_id.clone(),
        }
    }
}

/// What a device shows of itself in CONNECT.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'shown> {
    /// The password.
    Token(&'shown str),
    /// The certificate of the TLS handshake.
    Certificate(&'shown ClientCertificate),
    /// Neither.
    Nothing,
}

impl<'shown> Proof<'shown> {
    /// A password counts before a certificate, which may be there for other reasons.
    #[must_use]
    pub fn of(password: &'shown str, certificate: Option<&'shown ClientCertificate>) -> Self {
        match certificate {
            _ if !password.is_empty() => Self::Token(password),
            Some(certificate) => Self::Certificate(certificate),
            None => Self::Nothing,
        }
    }
}

/// What let an identity in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    PolicyToken,
    OwnToken,
    Certificate,
}

impl Shown {
    /// As Azure's hubs stamp it on events.
    pub(super) fn auth_method(self, id: &IdentityId) -> String {
        let own = if id.module.is_some() { "module" } else { "device" };
        let (scope, sort, issuer) = match self {
            Self::PolicyToken => ("hub", "sas", "iothub"),
            Self::OwnToken => (own, "sas", "iothub"),
            Self::Certificate => (own, "x509", "external"),
        };
        format!(r#"{{"scope":"{scope}","type":"{sort}","issuer":"{issuer}","acceptingIpFilterRule":null}}"#)
    }
}

/// Why a device isn't let in. The texts are for the hub's owner: the device is told a return code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectRefusal {
    /// Client id and user name aren't `device[/module]` and `host/device[/module]/?api-version=…`.
    #[error("the user name is not host/device[/module]/?api-version=… for the client id")]
    MalformedUsername,
    /// The device's status is `disabled`.
    #[error("the device is disabled")]
    Disabled,
    /// There is no such identity, or what it shows doesn't let it in.
    #[error("{0}")]
    Unauthorized(&'static str),
}

impl From<Denied> for ConnectRefusal {
    fn from(Denied(reason): Denied) -> Self {
        Self::Unauthorized(reason)
    }
}

impl HubState {
    /// Check what a device or module shows in an MQTT CONNECT: a token made with its own key or with a policy that
    /// may act for devices, or its certificate.
    ///
    /// # Errors
    /// [`ConnectRefusal`].
    pub fn authenticate_device(
        &self,
        client_id: &str,
        username: &str,
        proof: Proof<'_>,
    ) -> Result<DeviceSession, ConnectRefusal> {
        let id = IdentityId::parse(client_id).map_err(|_| ConnectRefusal::MalformedUsername)?;
        let options = self.connect_options(client_id, username).ok_or(ConnectRefusal::MalformedUsername)?;
        let (device, entity) =
            self.store.peek(|state| (state.get(&id.parent()).cloned(), state.get(&id).cloned()));
        let (Some(device), Some(entity)) = (device, entity) else {
            return Err(ConnectRefusal::Unauthorized("there is no such identity"));
        };
        let (expires_at, by) = self.check_proof(proof, &id, &entity.identity)?;
        if device.identity.status == Status::Disabled {
            return Err(ConnectRefusal::Disabled);
        }
        Ok(DeviceSession {
            expires_at,
            model_id: option(options, "model-id").unwrap_or_default(),
            generation_id: entity.identity.generation_id.clone(),
            auth_method: by.auth_method(&id),
            revision: entity.identity.revision,
            id,
        })
    }

    /// Check that the identity is the one that shows this; until when that counts, seconds since 1970, and what it was.
    fn check_proof(
        &self,
        proof: Proof<'_>,
        id: &IdentityId,
        identity: &Identity,
    ) -> Result<(u64, Shown), Denied> {
        let token = match proof {
            Proof::Token(password) => {
                SasToken::parse(password).map_err(|_| Denied("the password is not a SAS token"))?
            }
            Proof::Certificate(certificate) => {
                self.check_certificate(certificate, id, identity)?;
                return Ok((certificate.valid_until(), Shown::Certificate));
            }
            Proof::Nothing => return Err(Denied("it has shown neither a token nor a certificate")),
        };
        let now = self.clock.unix_seconds();
        let shown = if token.policy.is_some() {
            self.access.check_policy(&token, Right::DeviceConnect, &id.resource(), now)?;
            Shown::PolicyToken
        } else {
            self.access.check_own_key(&token, identity, &id.resource(), now)?;
            Shown::OwnToken
        };
        Ok((token.expires_unix_seconds, shown))
    }

    /// The options in a user name, if the rest of it fits the hub and the client id.
    fn connect_options<'name>(&self, client_id: &str, username: &'name str) -> Option<&'name str> {
        let (host, rest) = username.split_once('/')?;
        let rest = rest.strip_prefix(client_id)?;
        let fits = self.access.is_this_hub(host) && (rest.is_empty() || rest.starts_with('/'));
        fits.then(|| rest.trim_start_matches('/').trim_start_matches('?'))
    }

    /// Note that an identity has connected, once [`Connections`](super::connections::Connections) knows
    /// it. If the identity has changed since it was let in, its connection is closed: whoever changed it
    /// found none to close.
    pub fn connected(&self, session: &DeviceSession) {
        self.note_presence(&session.id, |presence| presence.model_id.clone_from(&session.model_id));
        let unchanged = |state: &State| {
            let device = state.get(&session.id.parent());
            let revision = state.get(&session.id).map(|entity| entity.identity.revision);
            revision == Some(session.revision)
                && device.is_some_and(|device| device.identity.status == Status::Enabled)
        };
        if !self.store.peek(unchanged) {
            self.connections.close(&session.id, "the identity was changed");
        }
    }

    /// Note that an identity's connection has ended, once `Connections` has forgotten it.
    pub fn disconnected(&self, id: &IdentityId) {
        self.note_presence(id, |_| ());
    }

    /// Connections come and go at the same time: who is connected is decided under the store's lock.
    /// Nobody is answered, so nobody waits for the disk.
    fn note_presence(&self, id: &IdentityId, change: impl FnOnce(&mut Presence)) {
        let now = self.clock.unix_millis();
        // Refused only if the data file can't be written, which every answer tells.
        let _ = self.store.write_behind(|transaction| {
            if let Some(mut entity) = transaction.copy(id) {
                let presence = &mut entity.presence;
                presence.connected = self.connections.is_connected(id);
                presence.state_changed = Some(now);
                presence.last_active = Some(now);
                change(presence);
                transaction.put(id.clone(), entity);
            }
            Ok(())
        });
    }

    /// The topic filters and granted `QoS` of the session that an identity left; empty without one.
    #[must_use]
    pub fn subscriptions(&self, id: &IdentityId) -> BTreeMap<String, u8> {
        self.store.peek(|state| state.get(id).map(|entity| entity.subscriptions.clone()).unwrap_or_default())
    }

    /// Keep these subscriptions as the identity's session; empty ends it. Resolves when that is on disk.
    ///
    /// # Errors
    /// 404 if the identity is gone; 500 or 503 if the data file can't be written.
    pub async fn set_subscriptions(
        &self,
        id: &IdentityId,
        subscriptions: BTreeMap<String, u8>,
    ) -> Result<(), HubError> {
        let change = self.store.write(|transaction| {
            let mut entity = transaction.copy(id).ok_or_else(|| HubError::not_found(id))?;
            if entity.subscriptions != subscriptions {
                entity.subscriptions = subscriptions;
                transaction.put(id.clone(), entity);
            }
            Ok(())
        });
        change.await
    }
}

/// The value of one of the options `key=value&key=value`, decoded.
fn option(options: &str, key: &str) -> Option<String> {
    let pairs = options.split('&').filter_map(|option| option.split_once('='));
    let value = pairs.into_iter().find(|(name, _)| *name == key)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::auth::SasKey;
    use crate::clock::Clock;
    use crate::hub::HubSettings;
    use crate::hub::entity::Authentication;
    use crate::hub::registry::{IdentityBody, IfMatch};

    const NOW: u64 = 1_700_000_000;

    fn id(text: &str) -> IdentityId {
        IdentityId::parse(text).unwrap()
    }

    async fn hub() -> HubState {
        let settings = HubSettings { clock: Clock::manual(NOW * 1000), ..HubSettings::default() };
        let hub = HubState::open(&settings).unwrap();
        for name in ["d", "d/m"] {
            hub.put_identity(&id(name), IdentityBody::default(), None).await.unwrap();
        }
        hub
    }

    fn key(hub: &HubState, name: &str) -> SasKey {
        let entity = hub.store.peek(|state| state.get(&id(name)).cloned()).unwrap();
        let Authentication::Sas(keys) = &entity.identity.authentication else { panic!("no keys") };
        SasKey::from_base64(&keys.secondary).unwrap()
    }

    fn module_token(hub: &HubState) -> String {
        key(hub, "d/m").device_token("localhost:8443/devices/d/modules/m", NOW + 60)
    }

    async fn put(hub: &HubState, name: &str, body: &str) {
        let body = serde_json::from_str(body).unwrap();
        hub.put_identity(&id(name), body, Some(IfMatch::Any)).await.unwrap();
    }

    const USERNAME: &str =
        "localhost:8443/d/m/?api-version=2019-10-01&DeviceClientType=py&model-id=dtmi%3Acom%3Ax%3B1";

    #[tokio::test]
    async fn a_modules_own_key_lets_it_in() {
        let hub = hub().await;
        let session = hub.authenticate_device("d/m", USERNAME, Proof::Token(&module_token(&hub))).unwrap();
        assert_eq!((session.id, session.expires_at), (id("d/m"), NOW + 60));
        assert_eq!(session.model_id, "dtmi:com:x;1");
    }

    #[tokio::test]
    async fn nobody_connects_as_a_module_of_the_runtime_of_iot_edge_with_a_key() {
        let hub = hub().await;
        put(&hub, "d", r#"{"capabilities":{"iotEdge":true}}"#).await;
        let refused = hub.authenticate_device(
            "d/$edgeAgent",
            "localhost/d/$edgeAgent/?api-version=2021-04-12",
            Proof::Token(&key(&hub, "d").device_token("localhost/devices/d", NOW + 60)),
        );
        assert_eq!(refused, Err(ConnectRefusal::Unauthorized("the identity doesn't use keys")));
    }

    #[tokio::test]
    async fn a_policy_for_devices_lets_any_of_them_in_and_others_do_not() {
        let hub = hub().await;
        let owner = SasKey::from_base64(hub.access.owner_key()).unwrap();
        let check = |token: &str| {
            hub.authenticate_device("d", "localhost/d/?api-version=2021-04-12", Proof::Token(token))
        };
        assert!(check(&owner.service_token("localhost", "iothubowner", NOW + 1)).is_ok());
        let service = SasKey::from_bytes(owner.sign("service").to_vec());
        assert_eq!(
            check(&service.service_token("localhost", "service", NOW + 1)),
            Err(ConnectRefusal::Unauthorized("the policy lacks the right"))
        );
    }

    #[tokio::test]
    async fn user_names_have_to_fit_the_hub_and_the_client_id() {
        let hub = hub().await;
        let token = module_token(&hub);
        for username in ["127.0.0.1/d/m", "localhost/d/m/", "localhost/d/m/api-version=2016-11-14", USERNAME]
        {
            assert!(hub.authenticate_device("d/m", username, Proof::Token(&token)).is_ok(), "{username}");
        }
        for (client_id, username) in [
            ("d/m", ""),
            ("d/m", "localhost"),
            ("d/m", "localhost/d/?api-version=1"),
            ("d/m", "localhost/d/m2/?a=b"),
            ("d/m", "example.com/d/m/?api-version=1"),
            ("", "localhost//"),
            ("d/m/n", "localhost/d/m/n/"),
            ("D/m", USERNAME),
        ] {
            let refusal = hub.authenticate_device(client_id, username, Proof::Token(&token)).unwrap_err();
            assert_eq!(refusal, ConnectRefusal::MalformedUsername, "{client_id} {username}");
        }
    }

    #[tokio::test]
    async fn wrong_tokens_are_refused_with_a_reason_for_the_hubs_owner() {
        let hub = hub().await;
        let own = key(&hub, "d/m");
        let cases = [
            ("d/m", "x".to_owned(), "the password is not a SAS token"),
            ("d/m", own.device_token("localhost/devices/d/modules/m", NOW), "the token has expired"),
            ("d/m", own.device_token("localhost/devices/e", NOW + 1), "the token is for another resource"),
            (
                "d/m",
                key(&hub, "d").device_token("localhost/devices/d", NOW + 1),
                "the signature is by neither key",
            ),
            ("e", own.device_token("localhost", NOW + 1), "there is no such identity"),
            ("d/x", own.device_token("localhost", NOW + 1), "there is no such identity"),
        ];
        for (client_id, token, reason) in cases {
            let refusal =
                hub.authenticate_device(client_id, &format!("localhost/{client_id}/"), Proof::Token(&token));
            assert_eq!(refusal, Err(ConnectRefusal::Unauthorized(reason)));
        }
        put(&hub, "d", r#"{"status":"disabled"}"#).await;
        let refusal = hub.authenticate_device("d/m", USERNAME, Proof::Token(&module_token(&hub)));
        assert_eq!(refusal, Err(ConnectRefusal::Disabled));
    }

    #[tokio::test]
    async fn an_identity_is_connected_as_long_as_it_has_a_connection() {
        let hub = hub().await;
        let session = hub.authenticate_device("d/m", USERNAME, Proof::Token(&module_token(&hub))).unwrap();
        let presence = || hub.store.peek(|state| state.get(&id("d/m")).unwrap().presence.clone());
        let connection = hub.connections.open(&Arc::new(id("d/m")));
        hub.connected(&session);
        assert!(presence().connected);
        assert_eq!(presence().model_id, "dtmi:com:x;1");
        // An old connection that ends late doesn't speak for the new one.
        hub.disconnected(&id("d/m"));
        assert!(presence().connected);
        hub.clock.advance(Duration::from_secs(5));
        drop(connection);
        hub.disconnected(&id("d/m"));
        assert!(!presence().connected);
        assert_eq!(presence().state_changed, Some((NOW + 5) * 1000));
    }

    #[tokio::test]
    async fn deleting_disabling_and_new_keys_close_the_connection_and_other_changes_do_not() {
        let hub = hub().await;
        let open = || hub.connections.open(&Arc::new(id("d/m")));
        let mut connection = open();
        let keys = "{\"symmetricKey\":{\"primaryKey\":\"c2VjcmV0LWtleS1mb3ItdGVzdGluZw==\",\"secondaryKey\":\"c2VjcmV0LWtleS1mb3ItdGVzdGluZw==\"}}";
        put(&hub, "d/m", &format!(r#"{{"authentication":{keys}}}"#)).await;
        assert!(connection.closed.try_recv().is_ok());
        connection = open();
        put(&hub, "d/m", &format!(r#"{{"authentication":{keys},"managedBy":"me"}}"#)).await;
        assert!(connection.closed.try_recv().is_err());
        put(&hub, "d", r#"{"status":"disabled"}"#).await;
        assert!(connection.closed.try_recv().is_ok());
        connection = open();
        hub.delete_identity(&id("d"), Some(IfMatch::Any)).await.unwrap();
        assert!(connection.closed.try_recv().is_ok());
    }

    #[tokio::test]
    async fn keys_changed_while_a_client_was_being_let_in_close_its_connection() {
        let hub = hub().await;
        let session = hub.authenticate_device("d/m", USERNAME, Proof::Token(&module_token(&hub))).unwrap();
        put(&hub, "d/m", "{}").await;
        let mut connection = hub.connections.open(&Arc::new(id("d/m")));
        hub.connected(&session);
        assert_eq!(connection.closed.try_recv().unwrap(), "the identity was changed");
    }

    #[tokio::test]
    async fn a_session_ends_with_its_identity() {
        let hub = hub().await;
        let filters: BTreeMap<_, _> = [("$iothub/twin/res/#".to_owned(), 1)].into();
        hub.set_subscriptions(&id("d"), filters.clone()).await.unwrap();
        assert_eq!(hub.subscriptions(&id("d")), filters);
        hub.delete_identity(&id("d"), Some(IfMatch::Any)).await.unwrap();
        assert!(hub.subscriptions(&id("d")).is_empty());
        assert_eq!(hub.set_subscriptions(&id("d"), filters).await.unwrap_err().code().status(), 404);
    }
}
