//! What a connecting device needs of the hub: being let in, its presence, and the session it left.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::HubState;
use super::access::{Denied, Right};
use super::entity::{Presence, Status};
use super::error::HubError;
use crate::auth::SasToken;
use crate::protocol::identity::IdentityId;

/// A device or module that has proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSession {
    /// Who it is.
    pub id: IdentityId,
    /// When its token expires, seconds since 1970: the connection ends then.
    pub expires_at: u64,
    /// The IoT Plug and Play model it names; empty without one.
    pub model_id: String,
    /// Tells this identity from a later one of the same name.
    pub generation: String,
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
    /// There is no such identity, or the password is no token that lets it in.
    #[error("{0}")]
    Unauthorized(&'static str),
}

impl From<Denied> for ConnectRefusal {
    fn from(Denied(reason): Denied) -> Self {
        Self::Unauthorized(reason)
    }
}

impl HubState {
    /// Check what a device or module sends in an MQTT CONNECT: its token is made with its own key, or
    /// with a policy that may act for devices.
    ///
    /// # Errors
    /// [`ConnectRefusal`].
    pub fn authenticate_device(
        &self,
        client_id: &str,
        username: &str,
        password: &str,
    ) -> Result<DeviceSession, ConnectRefusal> {
        let id = IdentityId::parse(client_id).map_err(|_| ConnectRefusal::MalformedUsername)?;
        let options = self.connect_options(client_id, username).ok_or(ConnectRefusal::MalformedUsername)?;
        let token = SasToken::parse(password)
            .map_err(|_| ConnectRefusal::Unauthorized("the password is not a SAS token"))?;
        let (device, entity) =
            self.store.peek(|state| (state.get(&id.parent()).cloned(), state.get(&id).cloned()));
        let (Some(device), Some(entity)) = (device, entity) else {
            return Err(ConnectRefusal::Unauthorized("there is no such identity"));
        };
        let now = self.clock.unix_seconds();
        if token.policy.is_some() {
            self.access.check_policy(&token, Right::DeviceConnect, &id.resource(), now)?;
        } else {
            self.access.check_own_key(&token, &entity.identity, &id.resource(), now)?;
        }
        if device.identity.status == Status::Disabled {
            return Err(ConnectRefusal::Disabled);
        }
        Ok(DeviceSession {
            expires_at: token.expires_unix_seconds,
            model_id: option(options, "model-id").unwrap_or_default(),
            generation: entity.identity.generation_id.clone(),
            id,
        })
    }

    /// The options in a user name, if the rest of it fits the hub and the client id.
    fn connect_options<'name>(&self, client_id: &str, username: &'name str) -> Option<&'name str> {
        let (host, rest) = username.split_once('/')?;
        let rest = rest.strip_prefix(client_id)?;
        let fits = self.access.is_this_hub(host) && (rest.is_empty() || rest.starts_with('/'));
        fits.then(|| rest.trim_start_matches('/').trim_start_matches('?'))
    }

    /// Note that an identity has connected. For the newest of its connections only.
    pub fn connected(&self, session: &DeviceSession) {
        let model_id = session.model_id.clone();
        self.set_presence(&session.id, |presence| {
            presence.connected = true;
            presence.model_id = model_id;
        });
    }

    /// Note that an identity's connection has ended and no newer one has taken its place.
    pub fn disconnected(&self, id: &IdentityId) {
        self.set_presence(id, |presence| presence.connected = false);
    }

    /// Nobody is answered, so nobody waits for the disk.
    fn set_presence(&self, id: &IdentityId, change: impl FnOnce(&mut Presence)) {
        let now = self.clock.unix_millis();
        // Refused only if the data file can't be written, which every answer tells.
        let _ = self.store.write_behind(|transaction| {
            if let Some(mut entity) = transaction.copy(id) {
                entity.presence.state_changed = Some(now);
                entity.presence.last_active = Some(now);
                change(&mut entity.presence);
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
