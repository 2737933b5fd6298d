//! The JSON of a transfer as back ends send it, and its rules: above all, which container it may use.

use reqwest::Url;
use serde::Deserialize;

use super::transfer::{Direction, Status, Transfer};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::uploads::{CONTAINER, SasQuery};
use crate::protocol::error_code::ErrorCode;

const DEVICES: &str = "devices.txt";
const CONFIGURATIONS: &str = "configurations.txt";
/// Where an import says what it could not do.
pub(super) const ERRORS: &str = "importErrors.log";

/// A transfer in a POST. What the hub alone decides (id, state, times) is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    input_blob_container_uri: Option<String>,
    input_blob_name: Option<String>,
    output_blob_container_uri: Option<String>,
    output_blob_name: Option<String>,
    exclude_keys_in_export: Option<bool>,
    storage_authentication_type: Option<String>,
    include_configurations: Option<bool>,
    configurations_blob_name: Option<String>,
}

impl TransferBody {
    /// The transfer that it describes.
    pub(super) fn into_transfer(self, hub: &HubState, id: String, now: u64) -> Result<Transfer, HubError> {
        let direction = match self.kind.as_deref() {
            Some("export") => Direction::Export,
            Some("import") => Direction::Import,
            other => {
                let kind = other.unwrap_or_default();
                return Err(HubError::invalid(format!(
                    "The job's type is '{kind}', and has to be export or import."
                )));
            }
        };
        if self.storage_authentication_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("keyBased")) {
            let message = "The local hub does not implement storageAuthenticationType identityBased.";
            return Err(HubError::new(ErrorCode::NOT_IMPLEMENTED, message));
        }
        check_container(hub, "outputBlobContainerUri", self.output_blob_container_uri.as_deref(), 'w', now)?;
        let name = match direction {
            Direction::Export => self.output_blob_name,
            Direction::Import => {
                check_container(
                    hub,
                    "inputBlobContainerUri",
                    self.input_blob_container_uri.as_deref(),
                    'r',
                    now,
                )?;
                self.input_blob_name
            }
        };
        let configurations = self.include_configurations.unwrap_or_default();
        Ok(Transfer {
            number: 0,
            id,
            direction,
            status: Status::Enqueued,
            progress: 0,
            failure: None,
            started: now,
            ended: None,
            devices_blob: given(name, DEVICES),
            configurations_blob: configurations.then(|| given(self.configurations_blob_name, CONFIGURATIONS)),
            exclude_keys: self.exclude_keys_in_export.unwrap_or_default(),
        })
    }
}

fn given(name: Option<String>, usual: &str) -> String {
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| usual.to_owned())
}

/// The address of a container has to be the hub's own, with a token that opens it.
fn check_container(
    hub: &HubState,
    name: &str,
    address: Option<&str>,
    permission: char,
    now: u64,
) -> Result<(), HubError> {
    let refuse = |why: &str| {
        let message = format!("{name} {why}.");
        Err(HubError::new(ErrorCode::CONTAINER_REFUSED, message))
    };
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return refuse("is null or empty");
    };
    let Ok(url) = Url::parse(address) else { return refuse("is no address") };
    if !url.host_str().is_some_and(|host| hub.access.is_this_hub(host)) {
        let message =
            format!("The local hub does not implement storage elsewhere: {name} has to be of its own.");
        return Err(HubError::new(ErrorCode::NOT_IMPLEMENTED, message));
    }
    if url.scheme() != "https" || url.path().trim_matches('/') != CONTAINER {
        return refuse("names no container of the hub");
    }
    let token = SasQuery::read(url.query().unwrap_or_default());
    if token.is_some_and(|token| hub.uploads.opens_container(&token, permission, now)) {
        Ok(())
    } else {
        refuse("has no token that opens the container, or its time is over")
    }
}
