//! The identity registry: devices and modules, created, changed and deleted by back ends.
//!
//! A PUT without `If-Match` only creates, one with it only changes. Either replaces the whole identity:
//! what the body leaves out is made anew, keys too.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::HubState;
use super::edge;
use super::entity::{Entity, Identity, Status};
use super::error::{Form, HubError};
pub use super::identity_body::IdentityBody;
use super::keys::random_bytes;
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::ticks;

/// Most devices in one answer.
const LARGEST_PAGE: usize = 1000;
const LONGEST_STATUS_REASON: usize = 128;

/// The condition of an `If-Match` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// Only this `ETag`, here without quotes.
    Etag(String),
}

/// How many devices there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCounts {
    /// All of them.
    pub total: usize,
    /// Those with the status `enabled`.
    pub enabled: usize,
    /// Those that are connected now.
    pub connected: usize,
}

impl IfMatch {
    /// Read a header's value; quotes are optional.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let text = header.trim();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        if text == "*" { Self::Any } else { Self::Etag(text.to_owned()) }
    }

    /// Whether the condition holds for what has this `ETag`.
    #[must_use]
    pub fn allows(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Etag(expected) => expected == etag,
        }
    }
}

impl HubState {
    /// A device or module.
    ///
    /// # Errors
    /// 404 if it doesn't exist; 401 for modules of a device that doesn't exist or is disabled.
    pub async fn identity(&self, id: &IdentityId) -> Result<Arc<Entity>, HubError> {
        let found = self.store.read(|state| {
            check_parent(state, id)?;
            state.get(id).cloned().ok_or_else(|| HubError::not_found(id))
        });
        found.await?
    }

    /// The modules on a device.
    ///
    /// # Errors
    /// 401 if the device doesn't exist or is disabled.
    pub async fn modules(&self, device: &IdentityId) -> Result<Vec<(IdentityId, Arc<Entity>)>, HubError> {
        let found = self.store.read(|state| {
            check_usable(state, device)?;
            Ok(state.modules(device).map(|(id, entity)| (id.clone(), Arc::clone(entity))).collect())
        });
        found.await?
    }

    /// The first devices, at most 1000.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn devices(&self, most: usize) -> Result<Vec<(IdentityId, Arc<Entity>)>, HubError> {
        let devices = self.store.read(|state| {
            let devices = state.devices().take(most.min(LARGEST_PAGE));
            devices.map(|(id, entity)| (id.clone(), Arc::clone(entity))).collect()
        });
        devices.await
    }

    /// How many devices there are.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn count_devices(&self) -> Result<DeviceCounts, HubError> {
        let counts = self.store.read(|state| {
            let count =
                |which: fn(&Entity) -> bool| state.devices().filter(|(_, entity)| which(entity)).count();
            DeviceCounts {
                total: count(|_| true),
                enabled: count(|entity| entity.identity.status == Status::Enabled),
                connected: count(|entity| entity.presence.connected),
            }
        });
        counts.await
    }

    /// Create a device or module, or replace its identity.
    ///
    /// # Errors
    /// 409 if it exists and no condition is given, 404 if it doesn't and one is, 412 if the `ETag` is
    /// stale, 400 if the body breaks a rule, 413 at a limit, 401 for modules of a device that doesn't
    /// exist or is disabled.
    pub async fn put_identity(
        &self,
        id: &IdentityId,
        body: IdentityBody,
        if_match: Option<IfMatch>,
    ) -> Result<Arc<Entity>, HubError> {
        self.store.write(|transaction| self.put_in(transaction, id, body, if_match.as_ref())).await
    }

    /// The same as a part of a change.
    pub(super) fn put_in(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        body: IdentityBody,
        if_match: Option<&IfMatch>,
    ) -> Result<Arc<Entity>, HubError> {
        check_body(id, &body)?;
        let now = self.clock.unix_millis();
        check_parent(transaction.before(), id)?;
        match (transaction.copy(id), if_match) {
            (None, None) => self.create_in(transaction, id, body, now),
            (Some(_), None) => Err(self.already_exists(id)),
            (None, Some(_)) => Err(HubError::not_found(id)),
            (Some(entity), Some(condition)) => {
                check_revision(&entity.identity, condition)?;
                self.update(transaction, id, entity, body, now)
            }
        }
    }

    /// Add a device or module, or put a new one in its place.
    pub(super) fn create_in(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        body: IdentityBody,
        now: u64,
    ) -> Result<Arc<Entity>, HubError> {
        let identity = body.into_identity(id, new_generation(now), None)?;
        self.make_runtime_modules(transaction, id, &identity, now)?;
        Ok(transaction.put(id.clone(), newborn(identity, now)))
    }

    /// Make the modules that an Edge device lacks, if there is room for them and for the identity itself.
    fn make_runtime_modules(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        identity: &Identity,
        now: u64,
    ) -> Result<(), HubError> {
        let before = transaction.before();
        let runtime = edge::missing_modules(before, id, identity);
        let itself = usize::from(before.get(id).is_none());
        if runtime.len() + itself > 0 {
            self.limits.check_identities(before.len() + runtime.len() + itself)?;
        }
        let modules = runtime.len() + if id.module.is_some() { itself } else { 0 };
        if modules > 0 {
            self.limits.check_modules(&id.device, transaction.modules(id).len() + modules)?;
        }
        for module in runtime {
            transaction.put(module, edge::runtime_module(now));
        }
        Ok(())
    }

    fn update(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        mut entity: Entity,
        body: IdentityBody,
        now: u64,
    ) -> Result<Arc<Entity>, HubError> {
        let before = &entity.identity;
        let mut identity = body.into_identity(id, before.generation_id.clone(), Some(before))?;
        identity.revision = before.revision + 1;
        self.make_runtime_modules(transaction, id, &identity, now)?;
        if before.iot_edge && !identity.iot_edge {
            self.remove_runtime_modules(transaction, id)?;
        }
        let status_changed = identity.status != before.status;
        identity.status_updated = if status_changed { Some(now) } else { before.status_updated };
        if identity.status == Status::Disabled {
            self.close_connections(transaction, id, "the device was disabled");
        } else if identity.authentication != before.authentication {
            self.close_connections(transaction, id, "the identity's keys were changed");
        }
        entity.identity = identity;
        Ok(transaction.put(id.clone(), entity))
    }

    /// Delete a device with its modules, or a module.
    ///
    /// # Errors
    /// 412 without a condition or if the `ETag` is stale, 404 if it doesn't exist, 401 for modules of a
    /// device that doesn't exist or is disabled.
    pub async fn delete_identity(&self, id: &IdentityId, if_match: Option<IfMatch>) -> Result<(), HubError> {
        let condition = if_match.ok_or_else(|| {
            HubError::new(ErrorCode::PRECONDITION_FAILED, "Etag missing: a delete needs the header If-Match.")
        })?;
        self.store.write(|transaction| self.delete_in(transaction, id, &condition)).await
    }

    /// The same as a part of a change.
    pub(super) fn delete_in(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        condition: &IfMatch,
    ) -> Result<(), HubError> {
        edge::check_not_of_runtime(id)?;
        let before = transaction.before();
        check_parent(before, id)?;
        let entity = before.get(id).ok_or_else(|| HubError::not_found(id))?;
        check_revision(&entity.identity, condition)?;
        if id.module.is_none() {
            before.modules(id).for_each(|(module, _)| transaction.remove(module.clone()));
        }
        transaction.remove(id.clone());
        self.close_connections(transaction, id, "the identity was deleted");
        Ok(())
    }

    pub(super) fn close_connections(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        reason: &'static str,
    ) {
        let (connections, id) = (self.connections.clone(), id.clone());
        transaction.then(move |_| connections.close(&id, reason));
    }

    fn already_exists(&self, id: &IdentityId) -> HubError {
        let (device, hub) = (&id.device, self.access.hub_name());
        match &id.module {
            None => {
                let message = format!("A device with ID '{device}' is already registered.");
                HubError::new(ErrorCode::DEVICE_ALREADY_EXISTS, message)
            }
            Some(module) => {
                let message = format!("Device {device} in IotHub {hub} already contains Module {module}.");
                HubError::new(ErrorCode::MODULE_ALREADY_EXISTS, message).in_form(Form::Flat)
            }
        }
    }
}

/// Ticks of this moment. Below the clock's milliseconds they are random: deleted and created again within one, an
/// identity still gets another generation.
pub(super) fn new_generation(now: u64) -> String {
    (ticks(now) + random_number() % 10_000).to_string()
}

/// The entity of a new identity, whose `ETag`s are none of those that an earlier one had.
pub(super) fn newborn(mut identity: Identity, now: u64) -> Entity {
    identity.revision = 100_000_000 + random_number() % 900_000_000;
    Entity::new(identity, now)
}

fn check_body(id: &IdentityId, body: &IdentityBody) -> Result<(), HubError> {
    let differs =
        |given: &Option<String>, expected: &str| given.as_ref().is_some_and(|given| given != expected);
    if differs(&body.device_id, &id.device) {
        return Err(HubError::invalid("The deviceId of the body is not that of the address."));
    }
    let Some(module) = &id.module else {
        let reason = body.status_reason.as_deref().unwrap_or_default();
        if reason.chars().count() > LONGEST_STATUS_REASON {
            let message = format!("The statusReason is longer than {LONGEST_STATUS_REASON} characters.");
            return Err(HubError::invalid(message));
        }
        return Ok(());
    };
    if differs(&body.module_id, module) {
        return Err(HubError::invalid("The moduleId of the body is not that of the address."));
    }
    edge::check_not_of_runtime(id)
}

/// Modules can't be reached through a device that is missing or disabled; IoT Hub says 401 then.
fn check_parent(state: &State, id: &IdentityId) -> Result<(), HubError> {
    if id.module.is_some() { check_usable(state, &id.parent()) } else { Ok(()) }
}

fn check_usable(state: &State, device: &IdentityId) -> Result<(), HubError> {
    let usable = state.get(device).is_some_and(|device| device.identity.status == Status::Enabled);
    if usable { Ok(()) } else { Err(HubError::unauthorized()) }
}

fn check_revision(identity: &Identity, condition: &IfMatch) -> Result<(), HubError> {
    if condition.allows(&identity.etag()) {
        return Ok(());
    }
    let IfMatch::Etag(given) = condition else { return Ok(()) };
    let decoded = STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let number = decoded.and_then(|text| text.parse::<u64>().ok());
    let message = match number {
        Some(number) => format!(
            "Precondition failed: Device version did not match, existingVersion:{} newVersion:{number}",
            identity.revision
        ),
        None => HubError::stale_twin().message().to_owned(),
    };
    Err(HubError::new(ErrorCode::PRECONDITION_FAILED, message))
}

fn random_number() -> u64 {
    u64::from_be_bytes(random_bytes())
}
