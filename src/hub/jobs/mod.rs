//! Scheduled jobs: one change of twins, or one direct method, for all devices that fulfil a condition.
//!
//! `request` reads and checks what a back end asks for, `job` is what is known of a job, `rows` what of each of its devices.
//! `run` takes a job from its start to its end; `twin_updates` and `method_calls` are the two things it can do. Jobs and
//! rows are records of the store, written together with what a job changes: a hub that was killed goes on where it was,
//! and has changed each twin once. Here jobs are made, cancelled, listed and, in the end, forgotten.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-jobs>

mod job;
mod method_calls;
mod request;
mod rows;
mod run;
mod twin_updates;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::HubState;
use super::error::HubError;
use super::query::{Continuation, Page, Rows};
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;

pub use job::{Job, Kind, Statistics, Status};
pub use request::JobBody;
pub(super) use rows::JobDevices;

/// How long a job is known after its end: 30 days, as on Azure.
const HISTORY_MILLIS: u64 = 30 * 24 * 3_600_000;
/// Jobs that have ended and are known, and devices of theirs: the oldest are forgotten first.
const MOST_ENDED: usize = 1000;
const MOST_ROWS: usize = 1_000_000;

/// The tasks of the jobs that are active, imports and exports included, by their ids.
#[derive(Default)]
pub struct Jobs(Mutex<HashMap<String, AbortHandle>>);

/// Which jobs to list: all, unless something is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFilter {
    /// Those that do this.
    pub kind: Option<Kind>,
    /// Those in this state.
    pub status: Option<Status>,
}

impl Jobs {
    /// End the tasks: jobs stay where they are.
    pub(super) fn stop(&self) {
        self.tasks().drain().for_each(|(_, task)| task.abort());
    }

    /// End the task of this name.
    pub(super) fn abort(&self, name: &str) {
        if let Some(task) = self.tasks().remove(name) {
            task.abort();
        }
    }

    /// Begin with a job, in a task that has its name.
    pub(super) fn spawn(
        &self,
        hub: &HubState,
        name: &str,
        work: impl Future<Output = Result<(), HubError>> + Send + 'static,
    ) {
        let (hub, own_name) = (hub.clone(), name.to_owned());
        // Held until the task is in the table, from which it takes itself in the end.
        let mut tasks = self.tasks();
        let task = tokio::spawn(async move {
            // An error is the data file's, and everybody is told of that.
            let _ = work.await;
            hub.jobs.tasks().remove(&own_name);
        });
        tasks.insert(name.to_owned(), task.abort_handle());
    }

    fn start(&self, hub: &HubState, id: &str) {
        let (hub_of_job, id_of_job) = (hub.clone(), id.to_owned());
        self.spawn(hub, id, async move { run::run(&hub_of_job, &id_of_job).await });
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HubState {
    /// Make a job, which starts at its time.
    ///
    /// # Errors
    /// 400 if the id or the body breaks a rule, 409 if there is a job of this id, 429 if as many are active as may be. A
    /// condition that can't be read is no error here: the job fails.
    pub async fn schedule_job(&self, id: &str, body: JobBody) -> Result<Job, HubError> {
        let now = self.clock.unix_millis();
        let job = body.into_job(id, now)?;
        let made = self.store.write(|transaction| {
            let known = jobs(transaction.before(), now);
            if known.iter().any(|known| known.id == id) {
                let message = format!("A job with ID '{id}' already exists.");
                return Err(HubError::new(ErrorCode::JOB_ALREADY_EXISTS, message));
            }
            let active = known.iter().filter(|known| known.status.is_active()).count();
            self.limits.check_active_jobs(active + 1)?;
            forget(transaction, now);
            job.put(transaction)
        });
        made.await?;
        self.jobs.start(self, id);
        Ok(job)
    }

    /// A job; none if it is not known.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, HubError> {
        let now = self.clock.unix_millis();
        self.store.read(|state| Job::get(state, id).filter(|job| job.is_known(now))).await
    }

    /// Cancel a job that hasn't begun.
    ///
    /// # Errors
    /// 404 if it is not known, 405 if it has begun.
    pub async fn cancel_job(&self, id: &str) -> Result<Job, HubError> {
        let now = self.clock.unix_millis();
        let cancelled = self.store.write(|transaction| {
            let job = Job::get(transaction.before(), id).filter(|job| job.is_known(now));
            let mut job = job.ok_or_else(|| not_found(id))?;
            if !matches!(job.status, Status::Queued | Status::Scheduled) {
                let message =
                    format!("The job '{id}' is {}, and can't be cancelled any more.", job.status.name());
                return Err(HubError::new(ErrorCode::NOT_ALLOWED_NOW, message));
            }
            job.end(Status::Cancelled, now);
            job.put(transaction)?;
            Ok(job)
        });
        let cancelled = cancelled.await?;
        self.jobs.abort(id);
        Ok(cancelled)
    }

    /// One page of the jobs that pass the filter, in the order of their ids: at most so many, after the pages before.
    ///
    /// # Errors
    /// 400 if the continuation is not this filter's; 500 or 503 if the data file can't be written.
    pub async fn list_jobs(
        &self,
        filter: JobFilter,
        most: usize,
        continuation: Option<&str>,
    ) -> Result<Page, HubError> {
        let now = self.clock.unix_millis();
        let name = format!("{filter:?}");
        let before = continuation.map(|token| Continuation::read(token, &name)).transpose()?;
        let mut found = self.store.read(|state| jobs(state, now)).await?;
        found.retain(|job| {
            filter.kind.is_none_or(|kind| kind == job.kind())
                && filter.status.is_none_or(|status| status == job.status)
                && before.as_ref().is_none_or(|before| job.id > before.after)
        });
        let more = found.len() > most;
        found.truncate(most);
        let last = found.last().filter(|_| more).map(|job| job.id.clone());
        let given = before.map_or(0, |before| before.given) + found.len();
        let mut rows = Rows::new();
        for job in &found {
            rows.push(&job.document().into());
        }
        Ok(Page {
            rows,
            item_type: "JobResponse",
            continuation: last.map(|last| Continuation::new(&name, last, given).token()).transpose()?,
        })
    }

    /// Go on with the jobs that a data file holds. Called once, when the hub starts.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub fn resume_jobs(&self) -> Result<(), HubError> {
        self.end_lost_transfers()?;
        let known = self.store.peek(|state| jobs(state, self.clock.unix_millis()));
        known.iter().filter(|job| job.status.is_active()).for_each(|job| self.jobs.start(self, &job.id));
        Ok(())
    }
}

/// All that are known, in the order of their ids.
fn jobs(state: &State, now: u64) -> Vec<Job> {
    Job::all(state).filter(|job| job.is_known(now)).collect()
}

/// Forget what has ended too long ago or is too much.
fn forget(transaction: &mut Transaction<'_>, now: u64) {
    let ended = Job::all(transaction.before()).filter(|job| !job.status.is_active());
    forgotten(ended.collect(), now).for_each(|job| job.remove(transaction));
}

/// Those of the jobs that have ended of which nobody is told any more.
fn forgotten(mut ended: Vec<Job>, now: u64) -> impl Iterator<Item = Job> {
    ended.sort_by_key(|job| std::cmp::Reverse(job.ended));
    let mut rows = 0;
    ended.into_iter().enumerate().filter_map(move |(index, job)| {
        rows += job.statistics.device_count;
        (index >= MOST_ENDED || rows > MOST_ROWS || !job.is_known(now)).then_some(job)
    })
}

fn not_found(id: &str) -> HubError {
    HubError::new(ErrorCode::JOB_NOT_FOUND, format!("There is no job '{id}'."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A job of so many devices that ended then.
    fn job(ended: u64, device_count: usize) -> Job {
        let statistics = Statistics { device_count, ..Statistics::default() };
        let job = json!({
            "id": ended.to_string(), "status": "completed", "statistics": statistics, "condition": "*",
            "work": { "updateTwin": {} }, "created": 0, "starts": 0, "began": 0, "ended": ended, "mostSeconds": 60,
        });
        serde_json::from_value(job).unwrap()
    }

    fn forgotten_of(jobs: Vec<Job>, now: u64) -> Vec<u64> {
        let mut times: Vec<_> = forgotten(jobs, now).filter_map(|job| job.ended).collect();
        times.sort_unstable();
        times
    }

    #[test]
    fn a_thousand_jobs_are_known_that_have_ended_and_the_oldest_are_forgotten_first() {
        let most = MOST_ENDED as u64;
        let jobs = |count| (0..count).map(|ended| job(ended, 0)).collect();
        assert_eq!(forgotten_of(jobs(most), most), [] as [u64; 0]);
        assert_eq!(forgotten_of(jobs(most + 2), most), [0, 1]);
    }

    #[test]
    fn a_million_devices_of_jobs_are_known() {
        let jobs = |oldest| vec![job(0, oldest), job(1, MOST_ROWS - 300), job(2, 200)];
        assert_eq!(forgotten_of(jobs(100), 3), [] as [u64; 0]);
        assert_eq!(forgotten_of(jobs(101), 3), [0]);
    }

    #[test]
    fn a_job_is_known_for_thirty_days_after_its_end() {
        assert_eq!(forgotten_of(vec![job(5, 1)], 5 + HISTORY_MILLIS - 1), [] as [u64; 0]);
        assert_eq!(forgotten_of(vec![job(5, 1)], 5 + HISTORY_MILLIS), [5]);
    }
}
