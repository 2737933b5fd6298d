//! `ferrohub dps`: who may register with a local hub's provisioning service, through paths that only it has.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Value, json};

use super::hub_to_ask::{HubToAsk, ask, error_code, refusal};
use super::output::say;
use crate::auth::{ConnectionString, SasKey, quote_component};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Request, Response};
use crate::hub::dps::ID_SCOPE;

const ENROLLMENTS: &str = "/_ferrohub/enrollments";
const API_VERSION: &str = "2021-04-12";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Provisioning {
    /// Enroll a device, or a group of devices; an enrollment of the same name is replaced
    Enroll(Box<Enroll>),
    /// List enrollments, and the devices that have registered by them
    List(HubToAsk),
    /// Remove an enrollment; devices that have registered stay
    Remove(Remove),
    /// Print the key of a device in a group: what it registers with
    DeriveKey(DeriveKey),
}

#[derive(Debug, clap::Args)]
pub(super) struct Enroll {
    /// The device's registration id, or the group's name
    id: String,
    /// Enroll a group: any number of devices, each with a key derived from the group's, or a certificate of its CA
    #[arg(long)]
    group: bool,
    /// The key in base64; one is made if there is none
    #[arg(long, conflicts_with = "certificate")]
    key: Option<String>,
    /// The device's certificate, or the CA's of a group, in PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The device to make, if it is not to have the name of the registration
    #[arg(long, conflicts_with = "group")]
    device_id: Option<String>,
    /// Twin of a device that is made: `{"tags": {…}, "properties": {"desired": {…}}}`
    #[arg(long, value_name = "JSON", value_parser = json_text)]
    initial_twin: Option<Value>,
    /// Make `IoT` Edge devices
    #[arg(long)]
    iot_edge: bool,
    /// What becomes of a device that registers again: it keeps its twin, is made anew, or stays as it is
    #[arg(long, default_value = "migrate", value_parser = ["migrate", "reset", "never"])]
    reprovision: String,
    /// What devices get as the payload of a custom allocation policy
    #[arg(long, value_name = "JSON", value_parser = json_text)]
    payload: Option<Value>,
    /// Let nobody register by it yet
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    hub: HubToAsk,
}

#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// The device's registration id, or the group's name
    id: String,
    #[command(flatten)]
    hub: HubToAsk,
}

#[derive(Debug, clap::Args)]
#[group(id = "whose", required = true, multiple = false, args = ["group", "key"])]
pub(super) struct DeriveKey {
    /// The device's registration id
    registration_id: String,
    /// The group, enrolled with the hub
    #[arg(long)]
    group: Option<String>,
    /// The group's key in base64; no hub is asked
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    hub: HubToAsk,
}

impl Provisioning {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Enroll(enroll) => enroll.run().await,
            Self::List(hub) => list(&hub.connection_string()?).await,
            Self::Remove(remove) => remove.run().await,
            Self::DeriveKey(derive) => derive.run().await,
        }
    }
}

impl Enroll {
    async fn run(self) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let response = ask(&hub, request("PUT", Some(&self.id), Some(&self.body()?))?).await?;
        let enrolled = document(&response, &self.id)?;
        say(&format!("Provisioning host:  {}", hub.host_name()));
        say(&format!("ID scope:           {ID_SCOPE}"));
        let key = enrolled["primaryKey"].as_str();
        if !self.group {
            say(&format!("Registration id:    {}", self.id));
            say(&format!("Credentials:        {}", key.unwrap_or("its certificate")));
            return Ok(());
        }
        say("Registration ids:   any");
        match key {
            Some(key) => say(&format!(
                "Group's key:        {key}\n\n\
                 `ferrohub dps derive-key --group {} REGISTRATION_ID` prints the key of a device.",
                self.id
            )),
            None => say(
                "Credentials:        a certificate of the CA, with the registration id as its common name",
            ),
        }
        Ok(())
    }

    fn body(&self) -> Result<Value> {
        let certificate = self.certificate.as_ref().map(read).transpose()?;
        Ok(json!({
            "credentials": { "primaryKey": self.key, "certificate": certificate },
            "terms": {
                "group": self.group,
                "deviceId": self.device_id,
                "initialTwin": self.initial_twin,
                "iotEdge": self.iot_edge,
                "reprovision": self.reprovision,
                "payload": self.payload,
                "status": if self.disabled { "disabled" } else { "enabled" },
            },
        }))
    }
}

async fn list(hub: &ConnectionString) -> Result<()> {
    for enrollment in enrollments(hub).await? {
        let kind = if enrollment["group"] == true { "group" } else { "device" };
        say(&format!("{kind} {} ({})", text(&enrollment["id"]), text(&enrollment["status"])));
        for registration in enrollment["registrations"].as_array().into_iter().flatten() {
            let (registration_id, device) =
                (text(&registration["registrationId"]), text(&registration["deviceId"]));
            say(&format!("  {registration_id} registered as {device}"));
        }
    }
    Ok(())
}

impl Remove {
    async fn run(self) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let response = ask(&hub, request("DELETE", Some(&self.id), None)?).await?;
        if response.status == 204 { Ok(()) } else { Err(failure(&response, &self.id)) }
    }
}

impl DeriveKey {
    async fn run(self) -> Result<()> {
        let key = match (self.key, self.group) {
            (Some(key), _) => key,
            (None, group) => group_key(&self.hub.connection_string()?, &group.unwrap_or_default()).await?,
        };
        say(&SasKey::from_base64(&key)?.derive(&self.registration_id).to_base64());
        Ok(())
    }
}

async fn group_key(hub: &ConnectionString, group: &str) -> Result<String> {
    let all = enrollments(hub).await?;
    let named = |enrollment: &&Value| {
        enrollment["group"] == true && text(&enrollment["id"]).eq_ignore_ascii_case(group)
    };
    let refuse = |text: String| Error::new(ErrorKind::InvalidArgument, text);
    let found =
        all.iter().find(named).ok_or_else(|| refuse(format!("the hub has no enrollment group {group}")))?;
    let key = found["primaryKey"].as_str();
    key.map(str::to_owned)
        .ok_or_else(|| refuse(format!("the devices of {group} have certificates, not keys")))
}

async fn enrollments(hub: &ConnectionString) -> Result<Vec<Value>> {
    let response = ask(hub, request("GET", None, None)?).await?;
    match document(&response, "")? {
        Value::Array(enrollments) => Ok(enrollments),
        _ => Err(Error::new(ErrorKind::Protocol, "the hub's answer can't be read")),
    }
}

fn request(method: &str, id: Option<&str>, body: Option<&Value>) -> Result<Request> {
    let id = id.map_or_else(String::new, |id| format!("/{}", quote_component(id)));
    let target = format!("{ENROLLMENTS}{id}?api-version={API_VERSION}");
    Request::new(method, target, &[], body.map(|body| Bytes::from(body.to_string())))
}

fn document(response: &Response, id: &str) -> Result<Value> {
    if response.status != 200 {
        return Err(failure(response, id));
    }
    serde_json::from_slice(&response.body)
        .map_err(|error| Error::new(ErrorKind::Protocol, "the hub's answer can't be read").caused_by(error))
}

fn failure(response: &Response, id: &str) -> Error {
    match response.status {
        400 => refusal(response, "enrollment"),
        404 if error_code(response) == Some("DeviceRegistrationNotFound") => {
            Error::new(ErrorKind::Service(404), format!("the hub has no enrollment {id}"))
        }
        404 => {
            let text = "the hub is not a local one, or an older one: Azure's provisioning service is not part of a hub";
            Error::new(ErrorKind::Service(404), text)
        }
        _ => super::hub_to_ask::failure(response, id),
    }
}

fn read(path: &PathBuf) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorKind::System, format!("{} can't be read", path.display())).caused_by(error)
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn json_text(text: &str) -> std::result::Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}
