//! File upload: a device asks where to, uploads to the blob endpoint, and tells how it went.
//!
//! What is under way is known in memory only: after a restart devices ask again.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload>

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::HubState;
use super::blobs::{Blob, Blobs, WriteCondition};
use super::entity::Status;
use super::error::HubError;
use super::keys::random_bytes;
use super::service_queue::ServiceQueue;
use super::store;
use crate::auth::{SasKey, quote_component};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::properties;
use crate::protocol::timestamp::{parse_timestamp, timestamp};

/// The container of all blobs, and the first part of their paths.
pub const CONTAINER: &str = "uploads";
/// How long a place may be uploaded to: Azure's default.
const TOKEN_MILLIS: u64 = 3_600_000;
/// For how long the hub remembers an upload whose time is over.
const MEMORY_MILLIS: u64 = 24 * TOKEN_MILLIS;
/// No token is good for longer: the last second that has four digits of the year.
const LATEST_MILLIS: u64 = 253_402_300_799_000;
/// Uploads of one device that are under way.
const MOST_ACTIVE: usize = 10;
/// What a notification to back ends is.
pub const NOTIFICATION_TYPE: &str = "application/vnd.microsoft.iothub.filenotification.json";
/// What the names of their records begin with.
const NOTIFICATIONS: &str = "file-notification/";
const MOST_NOTIFICATIONS: usize = 10_000;
const LONGEST_NAME: usize = 1024;
const STORAGE_VERSION: &str = "2018-03-28";
/// What whoever has a token may do: read and write.
const PERMISSIONS: &str = "rw";

/// Where to upload a file to.
#[derive(Clone, Debug)]
pub struct Place {
    /// By which the device names the upload later.
    pub correlation_id: String,
    /// `device/name`.
    pub blob_name: String,
    /// The query that opens it, with its `?`.
    pub sas_token: String,
}

/// The body with which a device tells how an upload has ended.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletionBody {
    #[serde(default)]
    correlation_id: Value,
    #[serde(default)]
    is_success: Value,
    #[serde(default)]
    status_code: Value,
    #[serde(default)]
    status_description: Value,
}

/// What a device told of an upload.
#[derive(Clone, Debug)]
pub struct FileNotification {
    /// The device.
    pub device: String,
    /// The blob, `device/name`.
    pub blob_name: String,
    /// Whether the upload succeeded.
    pub is_success: bool,
    /// Whatever number the device gives.
    pub status_code: Option<i64>,
    /// Whatever it says.
    pub status_description: Option<String>,
    /// The blob's size and when it was written, milliseconds since 1970; none if it isn't there.
    pub blob: Option<(usize, u64)>,
    /// When the device told it, milliseconds since 1970.
    pub enqueued_unix_millis: u64,
}

/// All uploads.
pub struct Uploads {
    /// What was uploaded.
    pub blobs: Blobs,
    key: SasKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By correlation id.
    under_way: HashMap<String, Upload>,
    notifications: VecDeque<FileNotification>,
}

struct Upload {
    device: String,
    blob_name: String,
    expires_unix_millis: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        let key = SasKey::from_bytes(random_bytes::<32>().to_vec());
        Self { blobs: Blobs::default(), key, state: Mutex::default() }
    }
}

impl Uploads {
    /// What devices told of their uploads, oldest first: the last 10,000.
    #[must_use]
    pub fn notifications(&self) -> Vec<FileNotification> {
        self.state().notifications.iter().cloned().collect()
    }

    /// End an upload of a device: the name of its blob.
    fn end(&self, device: &str, correlation_id: &str, now: u64) -> Result<String, HubError> {
        let mut state = self.state();
        let upload = state.under_way.get(correlation_id).filter(|upload| upload.device == device);
        let upload = upload.ok_or_else(|| {
            let message = format!("No file upload of '{device}' has the correlation id '{correlation_id}'.");
            HubError::new(ErrorCode::INVALID_UPLOAD, message)
        })?;
        if upload.expires_unix_millis <= now {
            let message = format!("The time of the file upload '{correlation_id}' is over.");
            return Err(HubError::new(ErrorCode::EXPIRED_UPLOAD, message));
        }
        let blob_name = upload.blob_name.clone();
        state.under_way.remove(correlation_id);
        Ok(blob_name)
    }

    fn note(&self, notification: FileNotification) {
        let mut state = self.state();
        state.notifications.push_back(notification);
        if state.notifications.len() > MOST_NOTIFICATIONS {
            state.notifications.pop_front();
        }
    }

    /// Whether this query opens the blob for reading or writing (`r`, `w`) at this moment.
    pub(super) fn opens(&self, blob_name: &str, query: &SasQuery, permission: char, now: u64) -> bool {
        match query.resource.as_str() {
            "b" => self.vouches(&blob_path(blob_name), query, permission, now),
            _ => self.opens_container(query, permission, now),
        }
    }

    /// Whether this query opens all blobs of the container, likewise.
    pub(super) fn opens_container(&self, query: &SasQuery, permission: char, now: u64) -> bool {
        query.resource == "c" && self.vouches(&container_path(), query, permission, now)
    }

    fn vouches(&self, path: &str, query: &SasQuery, permission: char, now: u64) -> bool {
        let text = text_to_sign(path, &query.expiry, &query.permissions);
        self.key.verifies(&text, &query.signature)
            && query.permissions.contains(permission)
            && parse_timestamp(&query.expiry).is_some_and(|expiry| now < expiry)
    }

    /// The token of a blob (`b`) or container (`c`) with this path.
    fn sas_token(&self, resource: char, path: &str, expires_unix_millis: u64) -> String {
        let expiry = format!("{}Z", &timestamp(expires_unix_millis)[..19]);
        let signature = self.key.sign(&text_to_sign(path, &expiry, PERMISSIONS));
        let (signature, expiry) = (quote_component(&STANDARD.encode(signature)), quote_component(&expiry));
        format!("?sv={STORAGE_VERSION}&sr={resource}&sig={signature}&se={expiry}&sp={PERMISSIONS}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileNotification {
    /// As back ends get it. A device may tell of a file that isn't there: it has no bytes then, and no time.
    fn for_back_ends(&self, address: &str) -> Value {
        json!({
            "deviceId": self.device,
            "blobUri": format!("https://{address}{}", blob_path(&self.blob_name)),
            "blobName": self.blob_name,
            "lastUpdatedTime": self.blob.map(|(_, modified)| timestamp(modified)),
            "blobSizeInBytes": self.blob.map_or(0, |(size, _)| size),
            "enqueuedTimeUtc": timestamp(self.enqueued_unix_millis),
        })
    }
}

/// The queue of notifications as it was written down.
pub(super) fn restored_notifications(state: &store::State) -> ServiceQueue {
    ServiceQueue::restored(NOTIFICATIONS, state)
}

fn container_path() -> String {
    format!("/{CONTAINER}")
}

fn blob_path(name: &str) -> String {
    format!("{}/{name}", container_path())
}

/// What a token vouches for. Only the hub makes and reads such tokens: the form is its own.
fn text_to_sign(path: &str, expiry: &str, permissions: &str) -> String {
    format!("{permissions}\n{expiry}\n{path}\n{STORAGE_VERSION}")
}

/// The parts of a token, as they came.
pub(super) struct SasQuery {
    pub(super) resource: String,
    pub(super) signature: Vec<u8>,
    pub(super) expiry: String,
    pub(super) permissions: String,
}

impl SasQuery {
    /// The token in the query of an address.
    pub(super) fn read(query: &str) -> Option<Self> {
        let pairs = properties::decode(query);
        let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted)?.1.clone();
        Some(Self {
            resource: value("sr")?,
            signature: STANDARD.decode(value("sig")?).ok()?,
            expiry: value("se")?,
            permissions: value("sp")?,
        })
    }
}

impl HubState {
    /// The address of the container of all blobs, with a token that opens it for so long. For imports and exports, and
    /// for clients of Azure Storage.
    #[must_use]
    pub fn container_uri(&self, lifetime: Duration) -> String {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let expires = self.clock.unix_millis().saturating_add(lifetime).min(LATEST_MILLIS);
        let path = container_path();
        format!("https://{}{path}{}", self.address, self.uploads.sas_token('c', &path, expires))
    }

    /// Write a blob of the hub's owner.
    ///
    /// # Errors
    /// 413 if there is no room for it.
    pub fn put_blob(&self, name: &str, content: Vec<u8>) -> Result<(), HubError> {
        let blob = Blob {
            content: content.into(),
            headers: vec![("content-type".to_owned(), "application/octet-stream".to_owned())],
            modified_unix_millis: self.clock.unix_millis(),
            ..Blob::default()
        };
        // The only refusal without a condition.
        let no_room = |_| {
            let message = format!("The local hub keeps 256 MiB of blobs in memory, and {name} is more.");
            HubError::new(ErrorCode::MESSAGE_TOO_LARGE, message)
        };
        self.uploads.blobs.put(name, blob, WriteCondition::default()).map(drop).map_err(no_room)
    }

    /// A place for a file of this device.
    ///
    /// # Errors
    /// 404001 if there is no such device, 403012 if it is disabled, 400004 for a name that no blob can have, 403006
    /// if ten uploads of the device are under way.
    pub async fn start_upload(&self, device: &IdentityId, name: Option<&str>) -> Result<Place, HubError> {
        self.check_uploads(device).await?;
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| HubError::invalid("blobName is null or empty."))?;
        let blob_name = format!("{}/{name}", device.device);
        if blob_name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            let message = format!(
                "blobName has to be 1 to {LONGEST_NAME} characters with the device's id, none of them a control character."
            );
            return Err(HubError::invalid(message));
        }
        let now = self.clock.unix_millis();
        let expires_unix_millis = now + TOKEN_MILLIS;
        let mut state = self.uploads.state();
        state.under_way.retain(|_, upload| now < upload.expires_unix_millis + MEMORY_MILLIS);
        let active = |upload: &&Upload| upload.device == device.device && now < upload.expires_unix_millis;
        if state.under_way.values().filter(active).count() >= MOST_ACTIVE {
            let message = format!("Number of active file upload requests cannot exceed {MOST_ACTIVE}");
            return Err(HubError::new(ErrorCode::TOO_MANY_UPLOADS, message));
        }
        let correlation_id = Uuid::new_v4().to_string();
        let upload =
            Upload { device: device.device.clone(), blob_name: blob_name.clone(), expires_unix_millis };
        state.under_way.insert(correlation_id.clone(), upload);
        let sas_token = self.uploads.sas_token('b', &blob_path(&blob_name), expires_unix_millis);
        Ok(Place { correlation_id, blob_name, sas_token })
    }

    /// A device tells how an upload has ended; `correlation_id` is that of the path, where it stands there.
    ///
    /// # Errors
    /// 404001 and 403012 as [`HubState::start_upload`]; 400015 if no upload of the device has this correlation id,
    /// 400016 if its time is over, 400019 if `isSuccess` or the rest has another type than expected.
    pub async fn finish_upload(
        &self,
        device: &IdentityId,
        correlation_id: Option<&str>,
        body: &CompletionBody,
    ) -> Result<(), HubError> {
        self.check_uploads(device).await?;
        let (is_success, status_code, status_description) = body.outcome()?;
        let correlation_id = correlation_id.or_else(|| body.correlation_id.as_str()).unwrap_or_default();
        let now = self.clock.unix_millis();
        let blob_name = self.uploads.end(&device.device, correlation_id, now)?;
        let blob = self.uploads.blobs.get(&blob_name);
        let notification = FileNotification {
            device: device.device.clone(),
            blob: blob.map(|blob| (blob.content.len(), blob.modified_unix_millis)),
            blob_name,
            is_success,
            status_code,
            status_description,
            enqueued_unix_millis: now,
        };
        if is_success {
            let body = notification.for_back_ends(&self.address).to_string();
            let queue = &self.file_notifications;
            self.store.write(|transaction| queue.push(transaction, body, now)).await?;
        }
        self.uploads.note(notification);
        Ok(())
    }

    async fn check_uploads(&self, device: &IdentityId) -> Result<(), HubError> {
        let status = self.store.read(|state| state.get(device).map(|entity| entity.identity.status)).await?;
        match status {
            Some(Status::Enabled) => Ok(()),
            Some(Status::Disabled) => {
                let message = format!("The device '{}' is disabled.", device.device);
                Err(HubError::new(ErrorCode::DEVICE_DISABLED, message))
            }
            None => Err(HubError::not_found(device)),
        }
    }
}

impl CompletionBody {
    fn outcome(&self) -> Result<(bool, Option<i64>, Option<String>), HubError> {
        let refuse = |what: &str| {
            let message = format!("The body of a file upload notification has no {what}.");
            HubError::new(ErrorCode::INVALID_UPLOAD_STATUS, message)
        };
        let is_success =
            self.is_success.as_bool().ok_or_else(|| refuse("isSuccess that is true or false"))?;
        let status_code = match &self.status_code {
            Value::Null => None,
            code => Some(code.as_i64().ok_or_else(|| refuse("statusCode that is a whole number"))?),
        };
        let description = match &self.status_description {
            Value::Null => None,
            text => Some(text.as_str().ok_or_else(|| refuse("statusDescription that is a text"))?.to_owned()),
        };
        Ok((is_success, status_code, description))
    }
}
