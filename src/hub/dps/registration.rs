//! What becomes of a device that has proved to be enrolled: a device of the hub's.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::attestation::{Enrolled, Registrant};
use super::enrollment::{Enrollment, Reprovision};
use crate::hub::HubState;
use crate::hub::entity::{Authentication, Entity};
use crate::hub::error::HubError;
use crate::hub::identity_body::IdentityBody;
use crate::hub::store::{State, Transaction};
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp;
use crate::protocol::twin::TwinUpdate;

const RECORDS: &str = "registration/";

/// A registration as it is kept. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// As the device named it.
    pub registration_id: String,
    /// The enrollment that it is by.
    pub enrollment: String,
    /// The device of the hub's.
    pub device_id: String,
    /// How it came to its hub.
    pub substatus: String,
    /// What the device said about itself.
    pub payload: Value,
    /// The operation that assigned it.
    pub(super) operation_id: String,
    created: u64,
    updated: u64,
    etag: String,
}

/// Where the device stood before, as far as this hub knows.
struct Before {
    registration: Option<Registration>,
    entity: Option<Entity>,
}

impl Registration {
    fn record_name(registration_id: &str) -> String {
        format!("{RECORDS}{}", registration_id.to_ascii_lowercase())
    }

    pub(super) fn find(state: &State, registration_id: &str) -> Option<Self> {
        state.json(&Self::record_name(registration_id))
    }

    /// Those by this enrollment.
    pub(super) fn by<'state>(state: &'state State, enrollment: &'state str) -> impl Iterator<Item = Self> {
        let all = state.all_json(RECORDS);
        all.filter(|found: &Self| found.enrollment.eq_ignore_ascii_case(enrollment))
    }

    fn keep(&self, transaction: &mut Transaction<'_>) -> Result<(), HubError> {
        transaction.put_json(Self::record_name(&self.registration_id), self)
    }

    pub(super) fn forget(&self, transaction: &mut Transaction<'_>) {
        transaction.remove_record(Self::record_name(&self.registration_id));
    }

    /// As the hub's owner sees it.
    pub(super) fn summary(&self) -> Value {
        json!({
            "registrationId": self.registration_id,
            "deviceId": self.device_id,
            "substatus": self.substatus,
            "payload": self.payload,
        })
    }

    /// `registrationState` of an answer.
    pub(super) fn describe(&self, enrolled: &Enrolled, assigned_hub: &str) -> Value {
        let (kind, detail) = describe_attestation(enrolled);
        let mut state = json!({
            kind: detail,
            "registrationId": self.registration_id,
            "createdDateTimeUtc": timestamp(self.created),
            "assignedHub": assigned_hub,
            "deviceId": self.device_id,
            "status": "assigned",
            "substatus": self.substatus,
            "lastUpdatedDateTimeUtc": timestamp(self.updated),
            "etag": self.etag,
        });
        if let Some(payload) = &enrolled.enrollment.terms.payload {
            state["payload"] = payload.clone();
        }
        state
    }
}

/// What the answer says of how the device has proved that it is enrolled: the name of the way, and the group.
pub(super) fn describe_attestation(enrolled: &Enrolled) -> (&'static str, Value) {
    let kind = match enrolled.authentication {
        Authentication::Sas(_) => "symmetricKey",
        _ => "x509",
    };
    let group =
        enrolled.enrollment.terms.group.then(|| json!({ "enrollmentGroupId": enrolled.enrollment.id }));
    (kind, group.unwrap_or_else(|| json!({})))
}

impl HubState {
    /// Give an enrolled device its place in this hub.
    pub(super) async fn assign(
        &self,
        enrolled: &Enrolled,
        registrant: &Registrant,
        payload: Value,
        operation_id: String,
    ) -> Result<(), HubError> {
        let enrollment = &enrolled.enrollment;
        let registration_id = &registrant.registration_id;
        let device_id = enrollment.terms.device_id.as_ref().unwrap_or(registration_id);
        let id = IdentityId::device(device_id.as_str())?;
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let before = Before {
                registration: Registration::find(transaction.before(), registration_id)
                    .filter(|registration| registration.device_id == id.device),
                entity: transaction.copy(&id),
            };
            let created = before.registration.as_ref().map_or(now, |registration| registration.created);
            let substatus = self.settle(transaction, &id, enrolled, before, now)?;
            let registration = Registration {
                registration_id: registration_id.clone(),
                enrollment: enrollment.id.clone(),
                device_id: id.device.clone(),
                substatus: substatus.to_owned(),
                payload,
                operation_id,
                created,
                updated: now,
                etag: Uuid::new_v4().to_string(),
            };
            registration.keep(transaction)
        });
        change.await
    }

    /// Make the device, or bring it up to date; the substatus.
    fn settle(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        enrolled: &Enrolled,
        before: Before,
        now: u64,
    ) -> Result<&'static str, HubError> {
        let Before { registration, entity } = before;
        let Some(entity) = entity else {
            self.create_enrolled(transaction, id, enrolled, now)?;
            return Ok("initialAssignment");
        };
        if registration.is_none() {
            // A back end has made it before: it stays what it is, and its owner connects with what it has shown.
            self.bring_up_to_date(transaction, id, entity, enrolled);
            return Ok("initialAssignment");
        }
        match enrolled.enrollment.terms.reprovision {
            Reprovision::Never => Ok("initialAssignment"),
            Reprovision::Migrate => {
                self.bring_up_to_date(transaction, id, entity, enrolled);
                Ok("reprovisionedToInitialAssignment")
            }
            Reprovision::Reset => {
                self.close_connections(transaction, id, "the device was provisioned anew");
                self.create_enrolled(transaction, id, enrolled, now)?;
                Ok("deviceDataReset")
            }
        }
    }

    /// Give a device the credentials of its enrollment, if they are others.
    fn bring_up_to_date(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        mut entity: Entity,
        enrolled: &Enrolled,
    ) {
        if entity.identity.authentication != enrolled.authentication {
            self.close_connections(transaction, id, "the device was provisioned with other credentials");
            entity.identity.authentication = enrolled.authentication.clone();
            entity.identity.revision += 1;
            transaction.put(id.clone(), entity);
        }
    }

    fn create_enrolled(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        enrolled: &Enrolled,
        now: u64,
    ) -> Result<(), HubError> {
        let body = identity_body(&enrolled.enrollment, &enrolled.authentication)?;
        self.create_in(transaction, id, body, now)?;
        if let (Some(initial), Some(mut entity)) =
            (&enrolled.enrollment.terms.initial_twin, transaction.copy(id))
        {
            let update = TwinUpdate::from_body(initial, &entity.twin)?;
            entity.twin.patch(&update, now)?;
            transaction.put(id.clone(), entity);
        }
        Ok(())
    }
}

/// The device as a back end would ask for it.
fn identity_body(enrollment: &Enrollment, authentication: &Authentication) -> Result<IdentityBody, HubError> {
    let authentication = match authentication {
        Authentication::Sas(keys) => {
            json!({ "symmetricKey": { "primaryKey": keys.primary, "secondaryKey": keys.secondary } })
        }
        Authentication::SelfSigned(thumbprints) => {
            json!({ "x509Thumbprint": { "primaryThumbprint": thumbprints.primary } })
        }
        other => json!({ "type": other.kind() }),
    };
    let body =
        json!({ "authentication": authentication, "capabilities": { "iotEdge": enrollment.terms.iot_edge } });
    Ok(serde_json::from_value(body)?)
}
