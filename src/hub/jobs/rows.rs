//! The devices of a job and what became of each, as `devices.jobs` shows them.
//!
//! Kept a hundred or so to a record and without what the job knows anyway: some forty bytes for a device with a short
//! name. Records, and rows in them, are in the order of the devices' names.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::job::Statistics;
use crate::hub::error::HubError;
use crate::hub::methods::MethodResult;
use crate::hub::store::{State, Transaction};
use crate::protocol::identity::IdentityId;

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

    pub(super) fn read(state: &State, job: &str, part: usize) -> Result<Self, HubError> {
        let name = record_name(job, part);
        let rows = serde_json::from_str(state.record(&name).unwrap_or("[]"))?;
        Ok(Self { name, rows })
    }

    pub(super) fn put(&self, transaction: &mut Transaction<'_>) -> Result<(), HubError> {
        transaction.put_record(self.name.clone(), serde_json::to_string(&self.rows)?);
        Ok(())
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

fn prefix(job: &str) -> String {
    format!("{RECORDS}{job}/")
}

fn record_name(job: &str, part: usize) -> String {
    format!("{}{part:06}", prefix(job))
}
