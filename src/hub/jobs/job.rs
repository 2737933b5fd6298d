//! What the hub knows of a job: what it is to do and how far it is, as it is kept and as REST shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HISTORY_MILLIS;
use super::rows::Rows;
use crate::hub::error::HubError;
use crate::hub::methods::MethodBody;
use crate::hub::store::{State, Transaction};
use crate::protocol::timestamp::timestamp;

const RECORDS: &str = "job/";

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub status: Status,
    /// How many of its devices are where.
    pub statistics: Statistics,
    /// Why it failed.
    pub failure: Option<String>,
    pub(super) work: Work,
    /// What devices are to be like.
    pub(super) condition: String,
    /// Milliseconds since 1970, as all times here.
    pub(super) created: u64,
    pub(super) starts: u64,
    pub(super) began: Option<u64>,
    pub(super) ended: Option<u64>,
    pub(super) most_seconds: u64,
    /// How many records hold its devices; none until all of them are known.
    pub(super) parts: Option<usize>,
}

/// What is done to each device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Work {
    /// A twin's PATCH, as it was given.
    UpdateTwin(Map<String, Value>),
    CallMethod(MethodBody),
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Change twins.
    UpdateTwin,
    /// Call a direct method.
    CallMethod,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It was made just now.
    Queued,
    /// Its time has not come.
    Scheduled,
    /// It has begun.
    Running,
    /// It is through with all its devices, whatever became of each.
    Completed,
    /// Its condition can't be read, or its time was too short.
    Failed,
    /// It was cancelled before it began.
    Cancelled,
}

/// How many of a job's devices are where. Those that are neither are pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// All.
    pub device_count: usize,
    /// For which it failed.
    pub failed_count: usize,
    /// For which it succeeded.
    pub succeeded_count: usize,
    /// Which are at it now.
    pub running_count: usize,
}

impl Job {
    pub(super) fn get(state: &State, id: &str) -> Option<Self> {
        state.json(&record_name(id))
    }

    /// All, in the order of their ids.
    pub(super) fn all(state: &State) -> impl Iterator<Item = Self> {
        state.all_json(RECORDS)
    }

    pub(super) fn put(&self, transaction: &mut Transaction<'_>) -> Result<(), HubError> {
        transaction.put_json(record_name(&self.id), self)
    }

    /// Remove it with its devices.
    pub(super) fn remove(&self, transaction: &mut Transaction<'_>) {
        transaction.remove_record(record_name(&self.id));
        Rows::remove_all(transaction, &self.id);
    }

    pub(super) fn end(&mut self, status: Status, now: u64) {
        (self.status, self.ended) = (status, Some(now));
    }

    /// Whether it is still to be told of.
    pub(super) fn is_known(&self, now: u64) -> bool {
        self.ended.is_none_or(|ended| now < ended + HISTORY_MILLIS)
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.work {
            Work::UpdateTwin(_) => Kind::UpdateTwin,
            Work::CallMethod(_) => Kind::CallMethod,
        }
    }

    /// As REST shows it; what it doesn't have yet is left out.
    #[must_use]
    pub fn document(&self) -> Value {
        let Statistics { device_count, failed_count, succeeded_count, running_count } = self.statistics;
        let mut document = json!({
            "jobId": self.id,
            "queryCondition": self.condition,
            "createdTime": timestamp(self.created),
            "startTime": timestamp(self.starts),
            "maxExecutionTimeInSeconds": self.most_seconds,
            "type": self.kind().name(),
            "status": self.status.name(),
            "deviceJobStatistics": {
                "deviceCount": device_count,
                "failedCount": failed_count,
                "succeededCount": succeeded_count,
                "runningCount": running_count,
                "pendingCount": device_count - failed_count - succeeded_count - running_count,
            },
        });
        match &self.work {
            Work::UpdateTwin(twin) => document["updateTwin"] = twin.clone().into(),
            Work::CallMethod(method) => document["cloudToDeviceMethod"] = method.echo(),
        }
        if let Some(ended) = self.ended {
            document["endTime"] = timestamp(ended).into();
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

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::UpdateTwin, Self::CallMethod];

    /// As REST names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UpdateTwin => "scheduleUpdateTwin",
            Self::CallMethod => "scheduleDeviceMethod",
        }
    }
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Scheduled, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// As REST names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the job has still something to do.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Scheduled | Self::Running)
    }
}
