//! A job from its start to its end: wait for its time, find its devices, deal with each of them.
//!
//! All steps are small changes of the store, each with the job's record in it; between them others get their turn.

use super::forget;
use super::job::{Job, Status, Work};
use super::rows::{PART, Rows};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::query::Condition;
use crate::hub::store::Transaction;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// Devices that are looked at before others get their turn.
const BATCH: usize = 256;
/// Changes that may be on their way to the disk.
const MOST_UNWRITTEN: usize = 16;

/// A job that has begun.
pub(super) struct Run<'hub> {
    pub(super) hub: &'hub HubState,
    pub(super) job: Job,
    unwritten: usize,
}

/// Take a job from where it is to its end.
pub(super) async fn run(hub: &HubState, id: &str) -> Result<(), HubError> {
    let Some(job) = hub.wait_for_start(id).await? else { return Ok(()) };
    let deadline = job.began.unwrap_or(job.starts).saturating_add(job.most_seconds.saturating_mul(1000));
    let mut run = Run { hub, job, unwritten: 0 };
    let failure = tokio::select! {
        through = run.carry_out() => through?,
        () = hub.clock.sleep_until(deadline) => {
            run.give_up().await?;
            Some("The job's maxExecutionTimeInSeconds are over.".to_owned())
        }
    };
    run.finish(failure)
}

impl HubState {
    /// The job when it has begun; none if it won't any more.
    async fn wait_for_start(&self, id: &str) -> Result<Option<Job>, HubError> {
        let waiting = self.advance(id, |job, now| {
            if job.status == Status::Queued && job.starts > now {
                job.status = Status::Scheduled;
            }
        })?;
        let Some(waiting) = waiting else { return Ok(None) };
        self.clock.sleep_until(waiting.starts).await;
        self.advance(id, |job, now| {
            if job.status != Status::Running {
                (job.status, job.began) = (Status::Running, Some(now));
            }
        })
    }

    /// Change a job that is active.
    fn advance(&self, id: &str, change: impl FnOnce(&mut Job, u64)) -> Result<Option<Job>, HubError> {
        let now = self.clock.unix_millis();
        self.store.write_behind(|transaction| {
            let job = Job::get(transaction.before(), id).filter(|job| job.status.is_active());
            let Some(mut job) = job else { return Ok(None) };
            change(&mut job, now);
            job.put(transaction)?;
            Ok(Some(job))
        })
    }
}

impl Run<'_> {
    /// Why the job failed, if it did.
    async fn carry_out(&mut self) -> Result<Option<String>, HubError> {
        if self.job.parts.is_none() {
            match Condition::read(&self.job.condition) {
                Ok(condition) => self.find_devices(&condition).await?,
                Err(refused) => return Ok(Some(refused.message().to_owned())),
            }
        }
        match self.job.work.clone() {
            Work::UpdateTwin(twin) => self.update_twins(&twin).await?,
            Work::CallMethod(method) => self.call_methods(&method.check()?).await?,
        }
        Ok(None)
    }

    /// Write down all devices that fulfil the condition now. Begun anew if the hub was stopped meanwhile.
    async fn find_devices(&mut self, condition: &Condition) -> Result<(), HubError> {
        self.write(|transaction, job| {
            Rows::remove_all(transaction, &job.id);
            Ok(())
        })?;
        let (mut after, mut found, mut parts, mut count) = (None, Vec::new(), 0, 0);
        loop {
            let (last, batch) = self.next_devices(after.as_ref(), condition);
            count += batch.len();
            found.extend(batch);
            while found.len() >= PART || (last.is_none() && !found.is_empty()) {
                let part: Vec<_> = found.drain(..PART.min(found.len())).collect();
                self.write(|transaction, job| Rows::new(&job.id, parts, &part).put(transaction))?;
                parts += 1;
                self.let_others().await?;
            }
            if last.is_none() {
                break;
            }
            after = last;
            tokio::task::yield_now().await;
        }
        self.write(|_, job| {
            job.statistics.device_count = count;
            job.parts = Some(parts);
            Ok(())
        })
    }

    /// The next devices that fulfil the condition, and after which identity to go on; none if these were the last.
    fn next_devices(
        &self,
        after: Option<&IdentityId>,
        condition: &Condition,
    ) -> (Option<IdentityId>, Vec<IdentityId>) {
        let batch: Vec<_> = self.hub.store.peek(|state| {
            state.after(after).take(BATCH).map(|(id, entity)| (id.clone(), entity.clone())).collect()
        });
        let last = batch.last().map(|(id, _)| id.clone());
        let devices =
            batch.into_iter().filter(|(id, entity)| id.module.is_none() && condition.holds(id, entity));
        (last, devices.map(|(id, _)| id).collect())
    }

    /// The time is over: what has not been dealt with has failed.
    async fn give_up(&mut self) -> Result<(), HubError> {
        let late = HubError::new(ErrorCode::GATEWAY_TIMEOUT, "The job's time is over.");
        for part in 0..self.job.parts.unwrap_or_default() {
            let now = self.hub.clock.unix_millis();
            self.write(|transaction, job| {
                let mut rows = Rows::read(transaction.before(), &job.id, part);
                for (place, _) in rows.pending() {
                    rows.fail(place, &late, now, &mut job.statistics);
                }
                rows.put(transaction)
            })?;
            self.let_others().await?;
        }
        Ok(())
    }

    fn finish(&mut self, failure: Option<String>) -> Result<(), HubError> {
        let now = self.hub.clock.unix_millis();
        self.write(|transaction, job| {
            job.end(if failure.is_some() { Status::Failed } else { Status::Completed }, now);
            job.failure = failure;
            job.statistics.running_count = 0;
            forget(transaction, now);
            Ok(())
        })
    }

    /// Make a change and write down with it how far the job is.
    pub(super) fn write(
        &mut self,
        change: impl FnOnce(&mut Transaction<'_>, &mut Job) -> Result<(), HubError>,
    ) -> Result<(), HubError> {
        let mut job = self.job.clone();
        self.hub.store.write_behind(|transaction| {
            change(transaction, &mut job)?;
            job.put(transaction)
        })?;
        self.job = job;
        self.unwritten += 1;
        Ok(())
    }

    /// Between two changes: others have their turn, and the disk is given time to follow.
    pub(super) async fn let_others(&mut self) -> Result<(), HubError> {
        if self.unwritten < MOST_UNWRITTEN {
            tokio::task::yield_now().await;
            return Ok(());
        }
        self.unwritten = 0;
        tokio::task::yield_now().await;
        self.hub.store.read(|_| ()).await
    }
}
