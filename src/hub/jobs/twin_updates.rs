//! Jobs that change twins: by the rules of a PATCH, device by device.

use serde_json::{Map, Value};

use super::rows::Rows;
use super::run::Run;
use crate::hub::error::HubError;
use crate::hub::twins::TwinWrite;

impl Run<'_> {
    /// Change the twins that have not been. What becomes of a device is one change with its twin's: never done twice.
    pub(super) async fn update_twins(&mut self, twin: &Map<String, Value>) -> Result<(), HubError> {
        for part in 0..self.job.parts.unwrap_or_default() {
            let hub = self.hub;
            let now = hub.clock.unix_millis();
            self.write(|transaction, job| {
                let mut rows = Rows::read(transaction.before(), &job.id, part);
                for (place, id) in rows.pending() {
                    match hub.write_twin_in(transaction, &id, TwinWrite::Patch, twin, None) {
                        Ok(_) => rows.succeed(place, now, &mut job.statistics),
                        Err(error) => rows.fail(place, &error, now, &mut job.statistics),
                    }
                }
                rows.put(transaction)
            })?;
            self.let_others().await?;
        }
        Ok(())
    }
}
