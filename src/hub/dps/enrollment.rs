//! Who may register: one device, or a group of devices with a key or a CA in common.
//!
//! Kept as records of the store. Their names are those of registrations: letters, digits and `- . _ :`, in any case.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::registration::Registration;
use crate::hub::entity::{Status, SymmetricKeys};
use crate::hub::error::HubError;
use crate::hub::identity_body::check_keys;
use crate::hub::keys::new_key;
use crate::hub::store::State;
use crate::hub::x509::{ClientCertificate, ca_certificates};
use crate::hub::{HubState, x509};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::{Twin, TwinUpdate};

const RECORDS: &str = "enrollment/";
const LONGEST_ID: usize = 128;

/// An enrollment as its owner gives it.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewEnrollment {
    credentials: Credentials,
    terms: Terms,
}

/// What devices are to show.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    /// Base64; keys that are not given are made, unless there is a certificate.
    primary_key: Option<String>,
    secondary_key: Option<String>,
    /// PEM: the device's own certificate, or the CAs of a group.
    certificate: Option<String>,
}

/// Who may register, and what devices get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// Whether it is for any number of devices, each with a registration id of its own.
    pub group: bool,
    /// The device to make, if it is not to have the name of the registration.
    pub device_id: Option<String>,
    /// `{"tags": {…}, "properties": {"desired": {…}}}` of a device that is made.
    pub initial_twin: Option<Map<String, Value>>,
    /// Whether devices are IoT Edge devices.
    pub iot_edge: bool,
    /// What becomes of a device that registers again.
    pub reprovision: Reprovision,
    /// Whether devices may register.
    pub status: Status,
    /// What devices get as the payload of a custom allocation policy.
    pub payload: Option<Value>,
}

/// What becomes of the device when a registration comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reprovision {
    /// It keeps its twin, and gets the credentials of the enrollment.
    #[default]
    Migrate,
    /// It is made anew, with the initial twin.
    Reset,
    /// It stays as it is.
    Never,
}

/// An enrollment as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// The registration id, or the name of the group.
    pub id: String,
    /// How devices prove that they are enrolled.
    pub attestation: Attestation,
    /// Who may register, and what devices get.
    pub terms: Terms,
}

/// How devices prove that they are enrolled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attestation {
    /// With a token made with one of these keys; in a group, with one derived from it.
    SymmetricKey(SymmetricKeys),
    /// With a certificate that has this SHA-256 thumbprint.
    Thumbprint(String),
    /// With a certificate that one of these CAs has signed: DER in base64.
    Authorities(Vec<String>),
}

impl Enrollment {
    fn new(id: &str, new: NewEnrollment) -> Result<Self, HubError> {
        check_id(id)?;
        new.terms.check()?;
        let attestation = Attestation::new(&new.credentials, new.terms.group)?;
        Ok(Self { id: id.to_owned(), attestation, terms: new.terms })
    }

    /// As its owner sees it, with the registrations by it.
    #[must_use]
    pub fn describe(&self, registrations: &[Registration]) -> Value {
        let keys = match &self.attestation {
            Attestation::SymmetricKey(keys) => Some(keys),
            Attestation::Thumbprint(_) | Attestation::Authorities(_) => None,
        };
        json!({
            "id": self.id,
            "group": self.terms.group,
            "primaryKey": keys.map(|keys| &keys.primary),
            "secondaryKey": keys.map(|keys| &keys.secondary),
            "status": self.terms.status.name(),
            "registrations": registrations.iter().map(Registration::summary).collect::<Value>(),
        })
    }

    /// The CAs of a group.
    pub(super) fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let Attestation::Authorities(authorities) = &self.attestation else { return Vec::new() };
        let decoded = authorities.iter().filter_map(|text| STANDARD.decode(text).ok());
        decoded.map(CertificateDer::from).collect()
    }
}

impl Terms {
    fn check(&self) -> Result<(), HubError> {
        if self.group && self.device_id.is_some() {
            return Err(HubError::invalid("A group's devices have the names of their registrations."));
        }
        if let Some(device) = &self.device_id {
            IdentityId::device(device.as_str())?;
        }
        if let Some(twin) = &self.initial_twin {
            let mut made = Twin::new(0);
            made.replace(&TwinUpdate::from_body(twin, &made)?, 0)?;
        }
        Ok(())
    }
}

impl Attestation {
    fn new(credentials: &Credentials, group: bool) -> Result<Self, HubError> {
        let Some(certificate) = &credentials.certificate else {
            let key = |given: &Option<String>| given.clone().unwrap_or_else(new_key);
            let keys = SymmetricKeys {
                primary: key(&credentials.primary_key),
                secondary: key(&credentials.secondary_key),
            };
            check_keys(&keys)?;
            return Ok(Self::SymmetricKey(keys));
        };
        if credentials.primary_key.is_some() || credentials.secondary_key.is_some() {
            return Err(HubError::invalid("An enrollment has keys or a certificate, not both."));
        }
        if group {
            let authorities =
                ca_certificates(certificate).map_err(|error| HubError::invalid(error.to_string()))?;
            return Ok(Self::Authorities(authorities.iter().map(|der| STANDARD.encode(der)).collect()));
        }
        let own = x509::pem_certificates(certificate).ok().and_then(|chain| ClientCertificate::read(&chain));
        let own = own.ok_or_else(|| HubError::invalid("There is no PEM certificate in the text."))?;
        Ok(Self::Thumbprint(own.thumbprint()))
    }
}

fn check_id(id: &str) -> Result<(), HubError> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-._:".contains(character);
    if (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(fits) {
        return Ok(());
    }
    let text = format!("'{id}' is no registration id: 1 to 128 ASCII letters, digits or any of - . _ :");
    Err(HubError::invalid(text))
}

fn record_name(id: &str) -> String {
    format!("{RECORDS}{}", id.to_ascii_lowercase())
}

/// The enrollment of one device, or of a group, by its name.
pub(super) fn find(state: &State, id: &str) -> Option<Enrollment> {
    state.json(&record_name(id))
}

/// All of them, in the order of their names.
pub(super) fn all(state: &State) -> impl Iterator<Item = Enrollment> {
    state.all_json(RECORDS)
}

impl HubState {
    /// Enroll a device or a group; an enrollment of this name is replaced.
    ///
    /// # Errors
    /// 400 for what can't be; 500 or 503 if the data file can't be written.
    pub async fn enroll(&self, id: &str, new: NewEnrollment) -> Result<Enrollment, HubError> {
        let enrollment = Enrollment::new(id, new)?;
        self.store.write(|transaction| transaction.put_json(record_name(id), &enrollment)).await?;
        Ok(enrollment)
    }

    /// All enrollments, in the order of their names, and the registrations by them.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn enrollments(&self) -> Result<Vec<(Enrollment, Vec<Registration>)>, HubError> {
        let found = self.store.read(|state| {
            let registrations = |enrollment: &Enrollment| Registration::by(state, &enrollment.id).collect();
            all(state).map(|enrollment| (enrollment.clone(), registrations(&enrollment))).collect()
        });
        found.await
    }

    /// Remove an enrollment and its registrations. The devices stay.
    ///
    /// # Errors
    /// 404 if there is none; 500 or 503 if the data file can't be written.
    pub async fn remove_enrollment(&self, id: &str) -> Result<(), HubError> {
        let change = self.store.write(|transaction| {
            let state = transaction.before();
            if find(state, id).is_none() {
                return Err(HubError::new(ErrorCode::REGISTRATION_NOT_FOUND, id));
            }
            for registration in Registration::by(state, id) {
                registration.forget(transaction);
            }
            transaction.remove_record(record_name(id));
            Ok(())
        });
        change.await
    }
}
