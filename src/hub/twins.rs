//! Twins: what a back end and a device can do with them, and who is told.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::HubState;
use super::entity::Entity;
use super::error::HubError;
use super::registry::IfMatch;
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::{Twin, TwinUpdate};

/// How a service's body is applied to a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinWrite {
    /// PATCH: merged into what is there.
    Patch,
    /// PUT: put in its place.
    Replace,
}

impl HubState {
    /// An identity with its twin.
    ///
    /// # Errors
    /// 404 if the device or module doesn't exist.
    pub async fn twin(&self, id: &IdentityId) -> Result<Arc<Entity>, HubError> {
        self.store.read(|state| state.get(id).cloned().ok_or_else(|| missing(state, id))).await?
    }

    /// Write tags and desired properties, and send what changed to the device if it listens.
    ///
    /// # Errors
    /// 404 if it doesn't exist, 412 if the `ETag` is stale, 400 if the body breaks a rule.
    pub async fn write_twin(
        &self,
        id: &IdentityId,
        how: TwinWrite,
        body: &Map<String, Value>,
        if_match: Option<IfMatch>,
    ) -> Result<Arc<Entity>, HubError> {
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let before = transaction.before();
            let mut entity = transaction.copy(id).ok_or_else(|| missing(before, id))?;
            if if_match.is_some_and(|condition| !condition.allows(&entity.twin_etag())) {
                return Err(HubError::stale_twin());
            }
            let twin = &mut entity.twin;
            let update = TwinUpdate::from_body(body, twin)?;
            let told = match how {
                TwinWrite::Patch => twin.patch(&update, now)?,
                TwinWrite::Replace => Some(twin.replace(&update, now)?),
            };
            if let Some(told) = told {
                self.tell_desired(transaction, id, &entity.twin, &told);
            }
            Ok(transaction.put(id.clone(), entity))
        });
        change.await
    }

    fn tell_desired(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        twin: &Twin,
        told: &Map<String, Value>,
    ) {
        let (connections, id, version) = (self.connections.clone(), id.clone(), twin.desired.version());
        let payload = Bytes::from(Value::from(told.clone()).to_string());
        transaction.then(move |change| connections.desired_patch(&id, version, payload, change));
    }

    /// `{"desired":{…,"$version":n},"reported":{…,"$version":m}}`: the answer to a device's GET.
    ///
    /// # Errors
    /// 404 if the identity is gone.
    pub async fn twin_for_device(&self, id: &IdentityId) -> Result<Vec<u8>, HubError> {
        Ok(self.twin(id).await?.twin.device_view().to_string().into_bytes())
    }

    /// Merge a device's patch into its reported properties; the answer is their new `$version`.
    ///
    /// # Errors
    /// 400 if the payload isn't a JSON object or breaks a rule, 412 if another version was expected,
    /// 404 if the identity is gone.
    pub async fn patch_reported(
        &self,
        id: &IdentityId,
        payload: &[u8],
        expected_version: Option<u64>,
    ) -> Result<u64, HubError> {
        let patch: Map<String, Value> = serde_json::from_slice(payload)?;
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let mut entity = transaction.copy(id).ok_or_else(|| HubError::not_found(id))?;
            let current = entity.twin.reported.version();
            if expected_version.is_some_and(|expected| expected != current) {
                let message = format!("The reported properties have $version {current}.");
                return Err(HubError::new(ErrorCode::PRECONDITION_FAILED, message));
            }
            let version = entity.twin.report(&patch, now)?;
            transaction.put(id.clone(), entity);
            Ok(version)
        });
        change.await
    }
}

/// A module's twin is missing because its device is, or by itself.
fn missing(state: &State, id: &IdentityId) -> HubError {
    let device = id.parent();
    HubError::not_found(if state.get(&device).is_none() { &device } else { id })
}
