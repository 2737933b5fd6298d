//! Twins: what a back end and a device can do with them, and who is told.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::HubState;
use super::entity::Entity;
use super::error::HubError;
use super::json_body;
use super::registry::IfMatch;
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::{InvalidTwin, Twin, TwinUpdate, difference};

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
        let write = |transaction: &mut Transaction<'_>| {
            self.write_twin_in(transaction, id, how, body, if_match.as_ref())
        };
        self.store.write(write).await
    }

    /// The same as a part of a change.
    pub(super) fn write_twin_in(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        how: TwinWrite,
        body: &Map<String, Value>,
        if_match: Option<&IfMatch>,
    ) -> Result<Arc<Entity>, HubError> {
        let now = self.clock.unix_millis();
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
    }

    /// Make these a twin's desired properties, and send what that changes to the device if it listens. Nothing is written
    /// if they are what stands there.
    ///
    /// # Errors
    /// [`InvalidTwin`] if a rule is broken; the twin is then unchanged.
    pub(super) fn put_desired(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        entity: &mut Entity,
        desired: &Map<String, Value>,
    ) -> Result<(), InvalidTwin> {
        let patch = difference(entity.twin.desired.values(), desired);
        if patch.is_empty() {
            return Ok(());
        }
        let mut twin = entity.twin.clone();
        let update = TwinUpdate { tags: None, desired: Some(patch) };
        if let Some(told) = twin.patch(&update, self.clock.unix_millis())? {
            self.tell_desired(transaction, id, &twin, &told);
        }
        entity.twin = twin;
        Ok(())
    }

    /// Send desired properties as they were changed to the device, if it listens.
    pub(super) fn tell_desired(
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
        let patch: Map<String, Value> = json_body::read(payload)?;
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
pub(super) fn missing(state: &State, id: &IdentityId) -> HubError {
    let device = id.parent();
    HubError::not_found(if state.get(&device).is_none() { &device } else { id })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hub::HubSettings;
    use crate::hub::connections::{Connection, Delivery, DesiredPatch};
    use crate::hub::registry::IdentityBody;
    use crate::protocol::topics::DESIRED_PATCHES;

    fn id() -> IdentityId {
        IdentityId::parse("d").unwrap()
    }

    async fn hub() -> HubState {
        let hub = HubState::open(&HubSettings::default()).unwrap();
        hub.put_identity(&id(), IdentityBody::default(), None).await.unwrap();
        hub
    }

    fn next_patch(connection: &mut Connection) -> Option<DesiredPatch> {
        match connection.deliveries.try_recv().ok()? {
            Delivery::Patch(patch) => Some(patch),
            Delivery::Call(_) => None,
        }
    }

    fn desired(desired: &Value) -> Map<String, Value> {
        json!({ "properties": { "desired": desired } }).as_object().unwrap().clone()
    }

    #[tokio::test]
    async fn a_listening_device_is_told_patches_as_sent_and_replacements_whole() {
        let hub = hub().await;
        let mut connection = hub.connections.open(&Arc::new(id()));
        connection.set_filters([DESIRED_PATCHES.to_owned()].iter());
        for (how, body) in [
            (TwinWrite::Patch, desired(&json!({ "a": 1, "b": 2 }))),
            (TwinWrite::Patch, json!({ "tags": { "x": 1 } }).as_object().unwrap().clone()),
            (TwinWrite::Patch, desired(&json!({ "a": null }))),
            (TwinWrite::Replace, desired(&json!({ "c": 3 }))),
        ] {
            hub.write_twin(&id(), how, &body, None).await.unwrap();
        }
        for (version, payload) in [
            (2, r#"{"a":1,"b":2,"$version":2}"#),
            (3, r#"{"a":null,"$version":3}"#),
            (4, r#"{"c":3,"$version":4}"#),
        ] {
            let patch = next_patch(&mut connection).unwrap();
            assert_eq!((patch.version, &patch.payload[..]), (version, payload.as_bytes()));
        }
        assert!(next_patch(&mut connection).is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_device_is_told_in_the_order_of_versions_however_many_write_at_once() {
        let hub = hub().await;
        let mut connection = hub.connections.open(&Arc::new(id()));
        connection.set_filters([DESIRED_PATCHES.to_owned()].iter());
        let writers = (0..8).map(|writer| {
            let hub = hub.clone();
            tokio::spawn(async move {
                for value in 0..50 {
                    let body = desired(&json!({ "value": value, "writer": writer }));
                    hub.write_twin(&id(), TwinWrite::Patch, &body, None).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let versions: Vec<_> =
            std::iter::from_fn(|| next_patch(&mut connection)).map(|patch| patch.version).collect();
        assert_eq!(versions, (2..=401).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_report_with_another_version_than_expected_is_refused() {
        let hub = hub().await;
        assert_eq!(hub.patch_reported(&id(), br#"{"a":1}"#, Some(1)).await, Ok(2));
        let refused = hub.patch_reported(&id(), br#"{"a":2}"#, Some(1)).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PRECONDITION_FAILED);
        assert_eq!(
            hub.twin_for_device(&id()).await.unwrap(),
            br#"{"desired":{"$version":1},"reported":{"a":1,"$version":2}}"#
        );
    }

    #[tokio::test]
    async fn reports_that_are_no_object_or_hold_reserved_names_are_refused() {
        let hub = hub().await;
        for payload in ["", "1", "[]", "null", r#"{"$version":7}"#, r#"{"a":}"#, "{\"a\":\"\u{fffd}"] {
            let refused = hub.patch_reported(&id(), payload.as_bytes(), None).await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::ARGUMENT_INVALID, "{payload}");
        }
        assert_eq!(hub.twin(&id()).await.unwrap().twin.version, 2);
    }
}
