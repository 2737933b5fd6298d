//! Jobs that call a direct method: many devices at a time, each with the time that the method has.

use std::collections::{BTreeMap, VecDeque};

use tokio::task::JoinSet;

use super::rows::Rows;
use super::run::Run;
use crate::hub::error::HubError;
use crate::hub::methods::{Call, MethodResult};
use crate::protocol::identity::IdentityId;

/// Devices that are called at once.
const AT_ONCE: usize = 256;

/// A call's outcome: of the device in this place of this part.
struct Outcome {
    part: usize,
    place: usize,
    result: Result<MethodResult, HubError>,
}

impl Run<'_> {
    /// Call the devices that have not been. After a crash those are called again whose outcome was not on disk.
    pub(super) async fn call_methods(&mut self, call: &Call) -> Result<(), HubError> {
        let (mut next_part, mut waiting) = (0, VecDeque::new());
        let mut calls = JoinSet::new();
        let mut outcomes = Vec::new();
        loop {
            while calls.len() < AT_ONCE {
                if waiting.is_empty() && !self.read_part(&mut next_part, &mut waiting) {
                    break;
                }
                let Some((part, place, id)) = waiting.pop_front() else { continue };
                let (hub, call) = (self.hub.clone(), call.clone());
                calls.spawn(async move { Outcome { part, place, result: hub.call(&id, &call).await } });
            }
            self.write_down(std::mem::take(&mut outcomes), calls.len())?;
            self.let_others().await?;
            let Some(first) = calls.join_next().await else { return Ok(()) };
            // A call that panicked has no outcome: its device stays pending.
            outcomes.extend(first.ok());
            while let Some(next) = calls.try_join_next() {
                outcomes.extend(next.ok());
            }
        }
    }

    /// Take the pending devices of the next part; false if there is none.
    fn read_part(&self, part: &mut usize, waiting: &mut VecDeque<(usize, usize, IdentityId)>) -> bool {
        if *part >= self.job.parts.unwrap_or_default() {
            return false;
        }
        let rows = self.hub.store.peek(|state| Rows::read(state, &self.job.id, *part));
        waiting.extend(rows.pending().into_iter().map(|(place, id)| (*part, place, id)));
        *part += 1;
        true
    }

    fn write_down(&mut self, outcomes: Vec<Outcome>, running: usize) -> Result<(), HubError> {
        let now = self.hub.clock.unix_millis();
        self.write(|transaction, job| {
            let mut parts = BTreeMap::new();
            for Outcome { part, place, result } in outcomes {
                let read = || Rows::read(transaction.before(), &job.id, part);
                let rows = parts.entry(part).or_insert_with(read);
                match result {
                    Ok(result) => rows.respond(place, &result, now, &mut job.statistics),
                    Err(error) => rows.fail(place, &error, now, &mut job.statistics),
                }
            }
            job.statistics.running_count = running;
            parts.values().try_for_each(|rows| rows.put(transaction))
        })
    }
}
