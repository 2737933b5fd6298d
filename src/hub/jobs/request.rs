//! The JSON of a job as back ends send it, and its rules.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::job::{Job, Kind, Statistics, Status, Work};
use crate::hub::error::HubError;
use crate::hub::methods::MethodBody;
use crate::protocol::timestamp::parse_timestamp;
use crate::protocol::twin::{Twin, TwinUpdate};

const LONGEST_ID: usize = 64;
/// How far ahead a job may start: a week.
const LATEST_START_MILLIS: u64 = 168 * 3_600_000;
/// How long a job may take that doesn't say: what the Azure CLI gives.
const USUAL_SECONDS: u64 = 3600;

/// A job in a PUT. What the hub alone decides (state, times, statistics) is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobBody {
    job_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    query_condition: Option<String>,
    start_time: Option<String>,
    max_execution_time_in_seconds: Option<i64>,
    update_twin: Option<Map<String, Value>>,
    cloud_to_device_method: Option<MethodBody>,
}

impl JobBody {
    /// The job that it describes.
    pub(super) fn into_job(self, id: &str, now: u64) -> Result<Job, HubError> {
        check_id(id)?;
        if self.job_id.as_ref().is_some_and(|given| given != id) {
            return Err(HubError::invalid("The jobId of the body is not that of the address."));
        }
        let condition = self.query_condition.filter(|text| !text.trim().is_empty());
        Ok(Job {
            condition: condition.ok_or_else(|| HubError::invalid("queryCondition is null or empty."))?,
            starts: start(self.start_time.as_deref(), now)?,
            most_seconds: most_seconds(self.max_execution_time_in_seconds)?,
            work: work(self.kind.as_deref(), self.update_twin, self.cloud_to_device_method)?,
            id: id.to_owned(),
            status: Status::Queued,
            statistics: Statistics::default(),
            failure: None,
            created: now,
            began: None,
            ended: None,
            parts: None,
        })
    }
}

fn check_id(id: &str) -> Result<(), HubError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '\'';
    if (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(allowed) {
        return Ok(());
    }
    Err(HubError::invalid(format!(
        "The job's id is '{id}', and has to be 1 to {LONGEST_ID} lower-case ASCII letters, digits, - or '."
    )))
}

/// A time that has gone by means now, as none does.
fn start(given: Option<&str>, now: u64) -> Result<u64, HubError> {
    let Some(text) = given else { return Ok(now) };
    let start = parse_timestamp(text).ok_or_else(|| {
        HubError::invalid(format!("startTime is '{text}', and has to be a time of ISO 8601."))
    })?;
    if start > now + LATEST_START_MILLIS {
        return Err(HubError::invalid("startTime has to be within 168 hours."));
    }
    Ok(start.max(now))
}

fn most_seconds(given: Option<i64>) -> Result<u64, HubError> {
    match u64::try_from(given.unwrap_or_default()) {
        Ok(0) => Ok(USUAL_SECONDS),
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(HubError::invalid("maxExecutionTimeInSeconds is negative.")),
    }
}

fn work(
    kind: Option<&str>,
    twin: Option<Map<String, Value>>,
    method: Option<MethodBody>,
) -> Result<Work, HubError> {
    let kind = kind.unwrap_or_default();
    let known = Kind::ALL.into_iter().find(|known| known.name() == kind);
    match (known, twin, method) {
        (Some(Kind::UpdateTwin), Some(twin), None) => {
            check_twin(&twin)?;
            Ok(Work::UpdateTwin(twin))
        }
        (Some(Kind::CallMethod), None, Some(method)) => {
            method.check()?;
            Ok(Work::CallMethod(method))
        }
        (Some(Kind::UpdateTwin), ..) => Err(HubError::invalid(
            "A job of type scheduleUpdateTwin has updateTwin and no cloudToDeviceMethod.",
        )),
        (Some(Kind::CallMethod), ..) => Err(HubError::invalid(
            "A job of type scheduleDeviceMethod has cloudToDeviceMethod and no updateTwin.",
        )),
        (None, ..) => Err(HubError::invalid(format!(
            "The job's type is '{kind}', and has to be scheduleUpdateTwin or scheduleDeviceMethod."
        ))),
    }
}

/// What breaks a rule for any twin is refused at once; what doesn't fit one twin only fails there.
fn check_twin(body: &Map<String, Value>) -> Result<(), HubError> {
    if body.get("etag").and_then(Value::as_str) != Some("*") {
        return Err(HubError::invalid(
            "Missing or invalid etag for job type ScheduleUpdateTwin. ScheduleUpdateTwin job type is a force update, \
             which only accepts '*' as the Etag.",
        ));
    }
    let mut twin = Twin::new(0);
    let update = TwinUpdate::from_body(body, &twin)?;
    twin.patch(&update, 0)?;
    Ok(())
}
