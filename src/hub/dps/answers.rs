//! What the service says to a device's requests.
//!
//! As Azure's, it takes every request of an enrolled device on first, and tells the outcome when it is asked: assigned,
//! failed or disabled. The device is in its place by then.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attestation::{Enrolled, Registrant};
use super::registration::{Registration, describe_attestation};
use crate::hub::HubState;
use crate::hub::entity::Status;
use crate::hub::error::HubError;
use crate::hub::faults::RegistrationFault;
use crate::hub::json_body;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::provisioning::Request;

/// Seconds after which a device is to ask for the outcome.
const ASK_AGAIN: u32 = 2;

/// An answer to a device.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// As in HTTP.
    pub status: u16,
    /// Seconds after which to ask again.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Value,
}

/// The body of a request to be registered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterBody {
    registration_id: Option<String>,
    #[serde(default)]
    payload: Value,
}

impl Answer {
    fn assigning(operation_id: &str, retry_after: u32) -> Self {
        let body = json!({ "operationId": operation_id, "status": "assigning" });
        Self { status: 202, retry_after: Some(retry_after), body }
    }

    /// An operation that has ended.
    fn ended(operation_id: &str, status: &str, registration_state: &Value) -> Self {
        let body =
            json!({ "operationId": operation_id, "status": status, "registrationState": registration_state });
        Self { status: 200, retry_after: None, body }
    }
}

impl HubState {
    /// Answer a device; `None` if a fault has it wait in vain.
    pub async fn answer_registrant(
        &self,
        registrant: &Registrant,
        request: &Request,
        body: &Bytes,
    ) -> Option<Answer> {
        let fault = self.faults.of_registration(&registrant.registration_id);
        let answer = match &fault {
            Some(RegistrationFault::Unanswered) => return None,
            Some(RegistrationFault::Throttled { retry_after }) => Ok(self.throttled(*retry_after)),
            _ => match request {
                Request::Register { .. } => self.register(registrant, body).await,
                Request::Query { operation_id, .. } => self.query(registrant, operation_id, fault).await,
            },
        };
        Some(answer.unwrap_or_else(|error| self.refusal(&error, None)))
    }

    fn refusal(&self, error: &HubError, retry_after: Option<u32>) -> Answer {
        let body = error.flat_body(self.clock.unix_millis());
        Answer { status: error.code().status(), retry_after, body }
    }

    fn throttled(&self, retry_after: u32) -> Answer {
        let text = "The request has been throttled.";
        self.refusal(&HubError::new(ErrorCode::THROTTLED, text), Some(retry_after))
    }

    async fn register(&self, registrant: &Registrant, body: &Bytes) -> Result<Answer, HubError> {
        let enrolled = self.enrolled(registrant)?;
        let body: RegisterBody = json_body::read(body)?;
        let named = body.registration_id.as_deref().unwrap_or(&registrant.registration_id);
        if !named.eq_ignore_ascii_case(&registrant.registration_id) {
            return Err(HubError::invalid("The registrationId of the body is not that of the connection."));
        }
        let operation_id = format!("4.{}.{}", super::ID_SCOPE.to_ascii_lowercase(), Uuid::new_v4());
        if enrolled.enrollment.terms.status == Status::Enabled {
            self.assign(&enrolled, registrant, body.payload, operation_id.clone()).await?;
        }
        Ok(Answer::assigning(&operation_id, ASK_AGAIN))
    }

    async fn query(
        &self,
        registrant: &Registrant,
        operation_id: &str,
        fault: Option<RegistrationFault>,
    ) -> Result<Answer, HubError> {
        let enrolled = self.enrolled(registrant)?;
        if let Some(RegistrationFault::Assigning { retry_after }) = fault {
            return Ok(Answer::assigning(operation_id, retry_after));
        }
        if enrolled.enrollment.terms.status == Status::Disabled {
            return Ok(Answer::ended(
                operation_id,
                "disabled",
                &unassigned(registrant, &enrolled, "disabled"),
            ));
        }
        if let Some(RegistrationFault::Failed { code, message }) = fault {
            let mut state = unassigned(registrant, &enrolled, "failed");
            state["errorCode"] = code.into();
            state["errorMessage"] = message.into();
            return Ok(Answer::ended(operation_id, "failed", &state));
        }
        let found = self.store.read(|state| Registration::find(state, &registrant.registration_id));
        let registration = found.await?.filter(|found| found.operation_id == operation_id);
        let registration = registration
            .ok_or_else(|| HubError::new(ErrorCode::REGISTRATION_NOT_FOUND, "There is no such operation."))?;
        let state = registration.describe(&enrolled, &self.address);
        Ok(Answer::ended(operation_id, "assigned", &state))
    }

    /// The enrollment of a device; its owner is told why it has none.
    fn enrolled(&self, registrant: &Registrant) -> Result<Enrolled, HubError> {
        self.find_enrolled(registrant).map_err(|(error, why)| {
            self.notices.tell(|| format!("{} could not register: {why}", registrant.registration_id));
            error
        })
    }
}

/// The state of a registration that has no hub.
fn unassigned(registrant: &Registrant, enrolled: &Enrolled, status: &str) -> Value {
    let (kind, detail) = describe_attestation(enrolled);
    json!({ kind: detail, "registrationId": registrant.registration_id, "status": status })
}
