//! Transfers, which IoT Hub calls import and export jobs: all identities with their twins, to a blob or from one.
//!
//! `request` reads and checks what a back end asks for, `transfer` is what is known of it; `export` and `import` do it. The
//! blobs are the hub's own ([`super::blobs`]), and in memory: a transfer doesn't outlive its hub, but is remembered.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt>

mod configurations;
mod export;
mod import;
mod request;
mod transfer;

use serde::Serialize;
use uuid::Uuid;

use super::HubState;
use super::error::HubError;
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;

pub use request::TransferBody;
pub use transfer::{Direction, Status, Transfer};

/// Transfers that have ended and are known: the oldest are forgotten first.
const MOST_ENDED: usize = 100;

impl HubState {
    /// Begin to import or export.
    ///
    /// # Errors
    /// 400 if the body breaks a rule or a container can't be used, 403 if another transfer is under way, 501 for
    /// containers that are not this hub's.
    pub async fn start_transfer(&self, body: TransferBody) -> Result<Transfer, HubError> {
        let now = self.clock.unix_millis();
        let mut transfer = body.into_transfer(self, Uuid::new_v4().to_string(), now)?;
        let begun = self.store.write(|transaction| {
            if Transfer::all(transaction.before()).any(|other| other.status.is_active()) {
                return Err(HubError::new(ErrorCode::JOB_QUOTA_EXCEEDED, "Job quota has been exceeded"));
            }
            let newest = newest_first(transaction.before()).first().map_or(0, |newest| newest.number);
            transfer.number = newest + 1;
            forget(transaction);
            transfer.put(transaction)
        });
        begun.await?;
        let (hub, id) = (self.clone(), transfer.id.clone());
        self.jobs.spawn(self, &transfer.id, async move { hub.transfer_to_its_end(&id).await });
        Ok(transfer)
    }

    /// A transfer.
    ///
    /// # Errors
    /// 404 if it is not known.
    pub async fn transfer(&self, id: &str) -> Result<Transfer, HubError> {
        self.store.read(|state| Transfer::get(state, id)).await?.ok_or_else(|| not_found(id))
    }

    /// Those that are known, the newest first.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn all_transfers(&self) -> Result<Vec<Transfer>, HubError> {
        self.store.read(newest_first).await
    }

    /// End a transfer where it is: what was imported stays, nothing is exported.
    ///
    /// # Errors
    /// 404 if it is not known, 405 if it has ended.
    pub async fn cancel_transfer(&self, id: &str) -> Result<(), HubError> {
        let now = self.clock.unix_millis();
        let cancelled = self.store.write(|transaction| {
            let mut transfer = Transfer::get(transaction.before(), id).ok_or_else(|| not_found(id))?;
            if !transfer.status.is_active() {
                let message = format!("The job '{id}' is {} already.", transfer.status.name());
                return Err(HubError::new(ErrorCode::NOT_ALLOWED_NOW, message));
            }
            transfer.end(Status::Cancelled, None, now);
            transfer.put(transaction)
        });
        cancelled.await?;
        self.jobs.abort(id);
        Ok(())
    }

    /// Those that a data file says are under way have ended with the hub that had their blobs.
    pub(super) fn end_lost_transfers(&self) -> Result<(), HubError> {
        let now = self.clock.unix_millis();
        self.store.write_behind(|transaction| {
            for mut transfer in Transfer::all(transaction.before()).filter(|one| one.status.is_active()) {
                transfer.end(Status::Failed, Some("The hub was stopped meanwhile.".to_owned()), now);
                transfer.put(transaction)?;
            }
            Ok(())
        })
    }

    async fn transfer_to_its_end(&self, id: &str) -> Result<(), HubError> {
        let Some(transfer) = self.advance_transfer(id, |transfer| transfer.status = Status::Running)? else {
            return Ok(());
        };
        let done = match transfer.direction {
            Direction::Export => self.export(&transfer).await,
            Direction::Import => self.import(&transfer).await,
        };
        let now = self.clock.unix_millis();
        self.advance_transfer(id, |transfer| match done {
            Ok(()) => transfer.end(Status::Completed, None, now),
            Err(error) => transfer.end(Status::Failed, Some(error.message().to_owned()), now),
        })?;
        Ok(())
    }

    /// Tell how far a transfer is, in percent.
    fn note_progress(&self, id: &str, done: usize, total: usize) -> Result<(), HubError> {
        let percent = (done * 100).checked_div(total).unwrap_or(100).min(100);
        let known = self.store.peek(|state| Transfer::get(state, id).map(|transfer| transfer.progress));
        if known != Some(percent) {
            self.advance_transfer(id, |transfer| transfer.progress = percent)?;
        }
        Ok(())
    }

    /// Change a transfer that is under way.
    fn advance_transfer(
        &self,
        id: &str,
        change: impl FnOnce(&mut Transfer),
    ) -> Result<Option<Transfer>, HubError> {
        self.store.write_behind(|transaction| {
            let transfer = Transfer::get(transaction.before(), id).filter(|one| one.status.is_active());
            let Some(mut transfer) = transfer else { return Ok(None) };
            change(&mut transfer);
            transfer.put(transaction)?;
            Ok(Some(transfer))
        })
    }

    /// The text of a blob that is to be imported.
    fn read_blob(&self, name: &str) -> Result<String, HubError> {
        let blob = self.uploads.blobs.get(name);
        let blob = blob.ok_or_else(|| HubError::invalid(format!("The container has no blob {name}.")))?;
        let text = String::from_utf8(blob.content.into());
        text.map_err(|_| HubError::invalid(format!("The blob {name} is not UTF-8.")))
    }
}

/// One line of JSON more.
fn add_line(lines: &mut Vec<u8>, content: &impl Serialize) -> Result<(), HubError> {
    serde_json::to_writer(&mut *lines, content)?;
    lines.push(b'\n');
    Ok(())
}

fn newest_first(state: &State) -> Vec<Transfer> {
    let mut all: Vec<_> = Transfer::all(state).collect();
    all.sort_by_key(|transfer| std::cmp::Reverse(transfer.number));
    all
}

fn forget(transaction: &mut Transaction<'_>) {
    for transfer in newest_first(transaction.before()).iter().skip(MOST_ENDED - 1) {
        transfer.remove(transaction);
    }
}

fn not_found(id: &str) -> HubError {
    HubError::new(ErrorCode::JOB_NOT_FOUND, format!("There is no job '{id}'."))
}
