//! The devices of a job and what became of each, as `devices.jobs` shows them.
//!
//! Kept a hundred or so to a record and without what the job knows anyway: some forty bytes for a device with a short
//! name. Records, and rows in them, are in the order of the devices' names.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::job::{Job, Statistics};
use crate::hub::error::HubError;
use crate::hub::methods::MethodResult;
use crate::hub::store::{State, Transaction};
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp;

const RECORDS: &str = "job-devices/";
/// Devices in one record: it is written whole when one of them changes.
pub(super) const PART: usize = 128;
/// In bytes: what a device responds is kept up to here.
const LARGEST_PAYLOAD: usize = 4096;

/// The rows of one record.
pub(super) struct Rows {
    name: String,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row(String, Outcome);

/// What became of a device, with the time of it.
#[derive(Serialize, Deserialize)]
enum Outcome {
    #[serde(rename = "p")]
    Pending,
    #[serde(rename = "u")]
    Updated(u64),
    /// With the status and, unless it was too large, the payload.
    #[serde(rename = "r")]
    Responded(u64, i64, Option<Box<RawValue>>),
    /// With the name of the error.
    #[serde(rename = "f")]
    Failed(u64, String),
}

impl Rows {
    /// The devices of a part, all of them pending.
    pub(super) fn new(job: &str, part: usize, devices: &[IdentityId]) -> Self {
        let rows = devices.iter().map(|id| Row(id.to_string(), Outcome::Pending)).collect();
        Self { name: record_name(job, part), rows }
    }

    pub(super) fn read(state: &State, job: &str, part: usize) -> Self {
        let name = record_name(job, part);
        let rows = state.json(&name).unwrap_or_default();
        Self { name, rows }
    }

    pub(super) fn put(&self, transaction: &mut Transaction<'_>) -> Result<(), HubError> {
        transaction.put_json(self.name.clone(), &self.rows)
    }

    pub(super) fn remove_all(transaction: &mut Transaction<'_>, job: &str) {
        for (name, _) in transaction.before().records(&prefix(job)) {
            transaction.remove_record(name.to_owned());
        }
    }

    /// The devices that are still to be dealt with, with their places.
    pub(super) fn pending(&self) -> Vec<(usize, IdentityId)> {
        let pending = self.rows.iter().enumerate().filter(|(_, row)| matches!(row.1, Outcome::Pending));
        pending.filter_map(|(place, row)| Some((place, IdentityId::parse(&row.0).ok()?))).collect()
    }

    pub(super) fn succeed(&mut self, place: usize, now: u64, statistics: &mut Statistics) {
        statistics.succeeded_count += 1;
        self.settle(place, Outcome::Updated(now));
    }

    pub(super) fn respond(
        &mut self,
        place: usize,
        result: &MethodResult,
        now: u64,
        statistics: &mut Statistics,
    ) {
        statistics.succeeded_count += 1;
        let payload = RawValue::from_string(result.payload.to_string()).ok();
        let payload = payload.filter(|payload| payload.get().len() <= LARGEST_PAYLOAD);
        self.settle(place, Outcome::Responded(now, result.status, payload));
    }

    pub(super) fn fail(&mut self, place: usize, error: &HubError, now: u64, statistics: &mut Statistics) {
        statistics.failed_count += 1;
        self.settle(place, Outcome::Failed(now, error.code().name().to_owned()));
    }

    fn settle(&mut self, place: usize, outcome: Outcome) {
        if let Some(row) = self.rows.get_mut(place) {
            row.1 = outcome;
        }
    }
}

impl Row {
    /// As a query shows it. Its own times are those of the job until something has become of it.
    fn document(&self, job: &Job) -> Map<String, Value> {
        let Self(name, outcome) = self;
        let (status, ended) = match outcome {
            Outcome::Pending => ("pending", None),
            Outcome::Updated(at) | Outcome::Responded(at, ..) => ("completed", Some(*at)),
            Outcome::Failed(at, _) => ("failed", Some(*at)),
        };
        let times = [
            ("startTimeUtc", job.began),
            ("endTimeUtc", ended),
            ("createdDateTimeUtc", Some(job.created)),
            ("lastUpdatedDateTimeUtc", ended.or(job.began)),
        ];
        let texts = [
            ("deviceId", name.as_str()),
            ("jobId", &job.id),
            ("jobType", job.kind().name()),
            ("status", status),
        ];
        let times = times.into_iter().filter_map(|(key, time)| Some((key, timestamp(time?).into())));
        let outcome = match outcome {
            Outcome::Pending | Outcome::Updated(_) => None,
            Outcome::Responded(_, status, payload) => {
                let mut response = json!({ "status": status });
                if let Some(payload) = payload {
                    response["payload"] = serde_json::from_str(payload.get()).unwrap_or_default();
                }
                Some(("outcome", json!({ "deviceMethodResponse": response })))
            }
            Outcome::Failed(_, code) => Some(("error", json!({ "code": code }))),
        };
        let cells = texts.map(|(key, text)| (key, text.into())).into_iter().chain(times).chain(outcome);
        cells.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// A row as a query shows it, after its place among those of all jobs.
type Placed = (String, Map<String, Value>);

/// The devices of one record for a query, each with its place among those of all jobs.
pub(in crate::hub) struct JobDevices {
    job: Job,
    name: String,
    text: String,
}

impl JobDevices {
    /// Those that come next, of the record after this one or, at first, of the one in which the place is.
    pub(in crate::hub) fn next(state: &State, last: Option<&Self>, after: Option<&str>) -> Option<Self> {
        let first = after.and_then(|after| Some(after.rsplit_once('/')?.0)).unwrap_or(RECORDS);
        let from = last.map_or(Bound::Included(first), |last| Bound::Excluded(last.name.as_str()));
        let (name, text) = state.records_from(RECORDS, from).next()?;
        let job = Job::get(state, name.strip_prefix(RECORDS)?.split_once('/')?.0)?;
        Some(Self { job, name: name.to_owned(), text: text.to_owned() })
    }

    /// The rows after this place, or all; none any more if the job's history is over.
    pub(in crate::hub) fn rows(&self, after: Option<&str>, now: u64) -> Result<Vec<Placed>, HubError> {
        if !self.job.is_known(now) {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = serde_json::from_str(&self.text)?;
        let placed = rows.iter().enumerate().map(|(place, row)| (format!("{}/{place:03}", self.name), row));
        let later = placed.filter(|(place, _)| after.is_none_or(|after| place.as_str() > after));
        Ok(later.map(|(place, row)| (place, row.document(&self.job))).collect())
    }
}

fn prefix(job: &str) -> String {
    format!("{RECORDS}{job}/")
}

fn record_name(job: &str, part: usize) -> String {
    format!("{}{part:06}", prefix(job))
}
