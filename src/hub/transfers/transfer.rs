//! What the hub knows of a transfer, as it is kept and as REST shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hub::error::HubError;
use crate::hub::store::{State, Transaction};
use crate::protocol::timestamp::timestamp;

const RECORDS: &str = "transfer/";

/// An import or export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// Its name, which the hub gives.
    pub id: String,
    /// Whether it brings something in or out.
    pub direction: Direction,
    /// Where it is.
    pub status: Status,
    /// In percent.
    pub progress: usize,
    /// Why it failed.
    pub failure: Option<String>,
    /// Grows with every transfer: of two that started in one millisecond it tells the newer.
    pub(super) number: u64,
    /// Milliseconds since 1970.
    pub(super) started: u64,
    pub(super) ended: Option<u64>,
    /// The blob of the identities.
    pub(super) devices_blob: String,
    /// The blob of the configurations, if they belong to it.
    pub(super) configurations_blob: Option<String>,
    /// Whether keys are left out of an export.
    pub(super) exclude_keys: bool,
}

/// Whether a transfer brings something in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// From the hub to a blob.
    Export,
    /// From a blob to the hub.
    Import,
}

/// Where a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It was made just now.
    Enqueued,
    /// It has begun.
    Running,
    /// It is through, whatever became of each line.
    Completed,
    /// A blob was missing, or didn't fit in, or the hub was stopped.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Transfer {
    pub(super) fn get(state: &State, id: &str) -> Option<Self> {
        state.json(&record_name(id))
    }

    pub(super) fn all(state: &State) -> impl Iterator<Item = Self> {
        state.all_json(RECORDS)
    }

    pub(super) fn put(&self, transaction: &mut Transaction<'_>) -> Result<(), HubError> {
        transaction.put_json(record_name(&self.id), self)
    }

    pub(super) fn remove(&self, transaction: &mut Transaction<'_>) {
        transaction.remove_record(record_name(&self.id));
    }

    pub(super) fn end(&mut self, status: Status, failure: Option<String>, now: u64) {
        (self.status, self.failure, self.ended) = (status, failure, Some(now));
        if status == Status::Completed {
            self.progress = 100;
        }
    }

    /// As REST shows it, without the containers: their tokens are secrets.
    #[must_use]
    pub fn document(&self) -> Value {
        let blob = match self.direction {
            Direction::Export => "outputBlobName",
            Direction::Import => "inputBlobName",
        };
        let mut document = json!({
            "jobId": self.id,
            "startTimeUtc": timestamp(self.started),
            "type": self.direction.name(),
            "status": self.status.name(),
            "progress": self.progress,
            blob: self.devices_blob,
            "excludeKeysInExport": self.exclude_keys,
            "storageAuthenticationType": "keyBased",
            "includeConfigurations": self.configurations_blob.is_some(),
        });
        if let Some(name) = &self.configurations_blob {
            document["configurationsBlobName"] = name.as_str().into();
        }
        if let Some(ended) = self.ended {
            document["endTimeUtc"] = timestamp(ended).into();
        }
        if let Some(failure) = &self.failure {
            document["failureReason"] = failure.as_str().into();
        }
        document
    }
}

fn record_name(id: &str) -> String {
    format!("{RECORDS}{id}")
}

impl Direction {
    /// As REST names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Import => "import",
        }
    }
}

impl Status {
    /// As REST names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether something is still to be done.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Enqueued | Self::Running)
    }
}
