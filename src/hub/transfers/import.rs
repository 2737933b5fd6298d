//! Import: the lines of a blob, each a change of one identity as in a bulk request.
//!
//! What can't be done is written into another blob, line by line, and keeps nothing else from being done.

use serde_json::{Value, json};

use super::add_line;
use super::request::ERRORS;
use super::transfer::Transfer;
use crate::hub::HubState;
use crate::hub::bulk::Change;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;

/// Lines that are dealt with before others get their turn, and the disk is waited for.
const BATCH: usize = 100;
/// With which Windows' editors begin a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl HubState {
    /// Do what the blobs of an import say.
    pub(super) async fn import(&self, transfer: &Transfer) -> Result<(), HubError> {
        let text = self.read_blob(&transfer.devices_blob)?;
        let lines: Vec<_> = text
            .trim_start_matches(BYTE_ORDER_MARK)
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .collect();
        let mut errors = Vec::new();
        for (done, batch) in lines.chunks(BATCH).enumerate() {
            errors.extend(batch.iter().filter_map(|(number, line)| self.import_line(*number, line)));
            self.note_progress(&transfer.id, done * BATCH + batch.len(), lines.len())?;
            self.store.read(|_| ()).await?;
            tokio::task::yield_now().await;
        }
        if let Some(name) = &transfer.configurations_blob {
            errors.extend(self.import_configurations(&self.read_blob(name)?).await);
        }
        let mut log = Vec::new();
        errors.iter().try_for_each(|error| add_line(&mut log, error))?;
        self.put_blob(ERRORS, log)
    }

    /// What went wrong, if something did.
    fn import_line(&self, number: usize, line: &str) -> Option<Value> {
        let Ok(change) = serde_json::from_str::<Change>(line) else {
            let message = format!("Line {} is no JSON of a device or module.", number + 1);
            return Some(json!({
                "deviceId": null, "errorCode": ErrorCode::ARGUMENT_INVALID.name(), "errorStatus": message,
            }));
        };
        let (device, module) = change.names();
        let mut entry = json!({ "deviceId": device });
        if let Some(module) = module {
            entry["moduleId"] = module.into();
        }
        let error = self.change_one(change.of_import()).unwrap_or_else(Some)?;
        entry["errorCode"] = error.code().name().into();
        entry["errorStatus"] = error.message().into();
        Some(entry)
    }
}
