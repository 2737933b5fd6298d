//! The JSON of an identity as back ends send it, and what it says about authentication.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::edge::Scopes;
use super::entity::{Authentication, Identity, Status, SymmetricKeys, Thumbprints};
use super::error::HubError;
use super::keys::new_key;
use crate::protocol::identity::IdentityId;

/// Of SHA-1 and SHA-256.
const THUMBPRINT_DIGITS: [usize; 2] = [40, 64];
/// How long keys may be, in bytes.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// A device or module in a PUT. What the hub alone decides (generation, `ETag`, times) is not read.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityBody {
    pub(super) device_id: Option<String>,
    pub(super) module_id: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) status_reason: Option<String>,
    pub(super) authentication: Option<AuthenticationBody>,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) device_scope: Option<String>,
    pub(super) parent_scopes: Option<Vec<String>>,
    pub(super) managed_by: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) iot_edge: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticationBody {
    symmetric_key: Option<SymmetricKeyBody>,
    x509_thumbprint: Option<ThumbprintBody>,
    #[serde(rename = "type")]
    kind: Option<AuthenticationKind>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum AuthenticationKind {
    Sas,
    SelfSigned,
    CertificateAuthority,
    None,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymmetricKeyBody {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThumbprintBody {
    #[serde(alias = "PrimaryThumbprint")]
    primary_thumbprint: Option<String>,
    #[serde(alias = "SecondaryThumbprint")]
    secondary_thumbprint: Option<String>,
}

impl IdentityBody {
    /// Whether it is to be an IoT Edge device.
    pub(super) fn iot_edge(&self) -> bool {
        self.capabilities.as_ref().is_some_and(|capabilities| capabilities.iot_edge)
    }

    /// The identity that the body describes, given what it was before; its revision and times are the caller's.
    pub(super) fn into_identity(
        self,
        id: &IdentityId,
        generation_id: String,
        before: Option<&Identity>,
    ) -> Result<Identity, HubError> {
        if id.module.is_some() {
            let authentication = self.authentication.unwrap_or_default().into_authentication(true)?;
            let identity = Identity::new(generation_id, authentication);
            return Ok(Identity { managed_by: self.managed_by, ..identity });
        }
        let scopes = Scopes::of(&self, &id.device, &generation_id, before)?;
        let iot_edge = self.iot_edge();
        let authentication = self.authentication.unwrap_or_default().into_authentication(false)?;
        Ok(Identity {
            status: self.status.unwrap_or_default(),
            status_reason: self.status_reason,
            iot_edge,
            device_scope: scopes.own,
            parent_scopes: scopes.parents,
            ..Identity::new(generation_id, authentication)
        })
    }
}

impl AuthenticationBody {
    /// What the identity is to be authenticated by. Keys that aren't given are made.
    pub(super) fn into_authentication(self, of_module: bool) -> Result<Authentication, HubError> {
        let thumbprints = self.x509_thumbprint.unwrap_or_default();
        let thumbprints = Thumbprints {
            primary: given(thumbprints.primary_thumbprint),
            secondary: given(thumbprints.secondary_thumbprint),
        };
        let default_kind = if thumbprints == Thumbprints::default() {
            AuthenticationKind::Sas
        } else {
            AuthenticationKind::SelfSigned
        };
        match self.kind.unwrap_or(default_kind) {
            AuthenticationKind::None if !of_module => Err(HubError::invalid(
                "DeviceAuthenticationTypeIsMissing: devices need a way to authenticate.",
            )),
            AuthenticationKind::Sas | AuthenticationKind::None => {
                let keys = self.symmetric_key.unwrap_or_default();
                Ok(Authentication::Sas(symmetric_keys(given(keys.primary_key), given(keys.secondary_key))?))
            }
            AuthenticationKind::SelfSigned => {
                check_thumbprints(&thumbprints)?;
                Ok(Authentication::SelfSigned(thumbprints))
            }
            AuthenticationKind::CertificateAuthority => Ok(Authentication::CertificateAuthority),
        }
    }
}

/// Empty texts stand for nothing.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn symmetric_keys(primary: Option<String>, secondary: Option<String>) -> Result<SymmetricKeys, HubError> {
    let keys = match (primary, secondary) {
        (None, None) => SymmetricKeys { primary: new_key(), secondary: new_key() },
        (Some(primary), Some(secondary)) => SymmetricKeys { primary, secondary },
        _ => return Err(HubError::invalid("Either no keys or both keys can be set.")),
    };
    check_keys(&keys)?;
    Ok(keys)
}

/// Keys are base64 of 16 to 64 bytes.
pub(super) fn check_keys(keys: &SymmetricKeys) -> Result<(), HubError> {
    for key in [&keys.primary, &keys.secondary] {
        let length = STANDARD.decode(key).map(|key| key.len());
        if !length.is_ok_and(|length| KEY_LENGTHS.contains(&length)) {
            return Err(HubError::invalid("Invalid device key length: keys are base64 of 16 to 64 bytes."));
        }
    }
    Ok(())
}

fn check_thumbprints(thumbprints: &Thumbprints) -> Result<(), HubError> {
    let is_one = |text: &String| {
        THUMBPRINT_DIGITS.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
    };
    if [&thumbprints.primary, &thumbprints.secondary].into_iter().flatten().all(is_one) {
        return Ok(());
    }
    Err(HubError::invalid(
        "StringIsNotThumbprint: a thumbprint is 40 (SHA-1) or 64 (SHA-256) hex digits without separators.",
    ))
}
