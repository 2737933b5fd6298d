//! Many identities in one request: created, changed and deleted, each for itself, with what became of each.
//!
//! What fails keeps nothing else from being done. All of it shares the wait for the disk.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry#bulk-operations>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HubState;
use super::edge::RUNTIME_MODULES;
use super::error::HubError;
use super::registry::{IdentityBody, IfMatch};
use super::store::Transaction;
use super::twins::TwinWrite;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// Most identities in one request.
const MOST: usize = 100;

/// What to do with one identity. The names are those of `ExportImportDevice` in the REST API.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    id: String,
    /// Left out only in an import.
    import_mode: Option<ImportMode>,
    module_id: Option<String>,
    #[serde(rename = "eTag")]
    etag: Option<String>,
    #[serde(rename = "twinETag")]
    twin_etag: Option<String>,
    tags: Option<Value>,
    properties: Option<Value>,
    #[serde(flatten)]
    identity: IdentityBody,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ImportMode {
    CreateOrUpdate,
    #[serde(rename = "createOrUpdateIfMatchETag")]
    CreateOrUpdateIfMatch,
    Create,
    Update,
    #[serde(rename = "updateIfMatchETag")]
    UpdateIfMatch,
    Delete,
    #[serde(rename = "deleteIfMatchETag")]
    DeleteIfMatch,
    UpdateTwin,
    #[serde(rename = "updateTwinIfMatchETag")]
    UpdateTwinIfMatch,
}

/// What became of a request's changes.
#[derive(Default)]
pub struct BulkResult {
    /// What was not done.
    pub errors: Vec<Value>,
    /// What was done but for its twin.
    pub warnings: Vec<Value>,
}

impl BulkResult {
    /// As REST has it.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "isSuccessful": self.errors.is_empty(), "errors": self.errors, "warnings": self.warnings })
    }
}

impl HubState {
    /// Make these changes, in their order.
    ///
    /// # Errors
    /// 400 if there are none or more than a hundred, and nothing is done; 500 or 503 if the data file can't be written.
    pub async fn change_identities(&self, changes: Vec<Change>) -> Result<BulkResult, HubError> {
        if !(1..=MOST).contains(&changes.len()) {
            return Err(HubError::invalid(format!(
                "The body holds {} identities, and 1 to {MOST} are allowed.",
                changes.len()
            )));
        }
        if changes.iter().any(|change| change.import_mode.is_none()) {
            return Err(HubError::invalid("An identity in the body has no importMode."));
        }
        let mut named = BTreeMap::new();
        for change in &changes {
            *named.entry((change.id.clone(), change.module_id.clone())).or_insert(0) += 1;
        }
        let mut result = BulkResult::default();
        for change in changes {
            let (id, module_id, mode) = (change.id.clone(), change.module_id.clone(), change.import_mode);
            let alone = named.get(&(id.clone(), module_id.clone())) == Some(&1);
            match if alone { self.change_one(change) } else { Err(defined_twice(&id)) } {
                Ok(None) => {}
                Ok(Some(warning)) => result.warnings.push(json!({
                    "deviceId": id,
                    "warningCode": "DeviceRegisteredWithoutTwin",
                    "warningStatus": warning.message(),
                })),
                Err(error) => result.errors.push(json!({
                    "deviceId": id,
                    "moduleId": module_id,
                    "errorCode": error.code().name(),
                    "errorStatus": error.message(),
                    "operation": mode,
                })),
            }
        }
        // For all of them at once: no answer tells of what a crash could take back.
        self.store.read(|_| ()).await?;
        Ok(result)
    }

    /// Make one change, or nothing of it; the answer is what is wrong with the twin of an identity that was created.
    pub(super) fn change_one(&self, change: Change) -> Result<Option<HubError>, HubError> {
        let id = match &change.module_id {
            Some(module) => IdentityId::module(&change.id, module)?,
            None => IdentityId::device(&change.id)?,
        };
        let (condition, twin_condition) =
            (condition(change.etag.as_deref()), condition(change.twin_etag.as_deref()));
        let (twin, identity) = (change.twin(), change.identity);
        let mode = change.import_mode.unwrap_or(ImportMode::CreateOrUpdate);
        self.store.write_behind(|transaction| match mode.for_what_is(transaction.copy(&id).is_some()) {
            ImportMode::Create => {
                self.put_in(transaction, &id, identity, None)?;
                Ok(self.write_twin_of(transaction, &id, &twin).err())
            }
            ImportMode::Update | ImportMode::CreateOrUpdate => {
                self.put_in(transaction, &id, identity, Some(&IfMatch::Any))?;
                self.write_twin_of(transaction, &id, &twin).map(|()| None)
            }
            ImportMode::UpdateIfMatch | ImportMode::CreateOrUpdateIfMatch => {
                self.put_in(transaction, &id, identity, Some(&condition?))?;
                self.write_twin_of(transaction, &id, &twin).map(|()| None)
            }
            ImportMode::Delete => self.delete_in(transaction, &id, &IfMatch::Any).map(|()| None),
            ImportMode::DeleteIfMatch => self.delete_in(transaction, &id, &condition?).map(|()| None),
            ImportMode::UpdateTwin => {
                self.write_twin_in(transaction, &id, TwinWrite::Patch, &twin, None).map(|_| None)
            }
            ImportMode::UpdateTwinIfMatch => {
                let condition = twin_condition?;
                self.write_twin_in(transaction, &id, TwinWrite::Patch, &twin, Some(&condition)).map(|_| None)
            }
        })
    }

    /// Write what there is to write.
    fn write_twin_of(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        twin: &Map<String, Value>,
    ) -> Result<(), HubError> {
        if twin.is_empty() {
            return Ok(());
        }
        self.write_twin_in(transaction, id, TwinWrite::Patch, twin, None).map(drop)
    }
}

impl ImportMode {
    /// What it means for an identity that exists, or that doesn't.
    fn for_what_is(self, exists: bool) -> Self {
        match self {
            Self::CreateOrUpdate | Self::CreateOrUpdateIfMatch if !exists => Self::Create,
            Self::CreateOrUpdate => Self::Update,
            Self::CreateOrUpdateIfMatch => Self::UpdateIfMatch,
            other => other,
        }
    }
}

impl Change {
    /// The device, and the module on it if it is one.
    pub(super) fn names(&self) -> (String, Option<String>) {
        (self.id.clone(), self.module_id.clone())
    }

    /// The same as a line of an import. The modules of IoT Edge's runtime are there with their device; of them an import
    /// brings the twin.
    pub(super) fn of_import(self) -> Self {
        let of_runtime = self.module_id.as_deref().is_some_and(|module| RUNTIME_MODULES.contains(&module));
        let import_mode = if of_runtime { Some(ImportMode::UpdateTwin) } else { self.import_mode };
        Self { import_mode, ..self }
    }

    /// Its tags and properties, as the body of a twin's PATCH.
    fn twin(&self) -> Map<String, Value> {
        let parts = [("tags", &self.tags), ("properties", &self.properties)];
        let given = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part.clone()?)));
        given.collect()
    }
}

fn condition(etag: Option<&str>) -> Result<IfMatch, HubError> {
    let missing =
        || HubError::new(ErrorCode::PRECONDITION_FAILED, "Etag missing: this importMode needs one.");
    etag.map(IfMatch::parse).ok_or_else(missing)
}

fn defined_twice(id: &str) -> HubError {
    HubError::new(ErrorCode::DEFINED_MULTIPLE_TIMES, format!("The request names {id} more than once."))
}
