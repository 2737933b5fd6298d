//! One configuration: as back ends give it, as it is kept, and as the hub works with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ConfigurationDocument;
use super::content::{Content, Setting, Settings};
use super::metrics::{self, Metric};
use super::target::Target;
use crate::hub::entity::ConfigurationMark;
use crate::hub::error::HubError;
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp;

const LONGEST_ID: usize = 128;
const HIGHEST_PRIORITY: i64 = i32::MAX as i64;

/// A configuration in a PUT. What the hub alone decides (times, results, `ETag`) is not read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigurationBody {
    id: Option<String>,
    schema_version: Option<String>,
    labels: Option<Map<String, Value>>,
    content: Option<Content>,
    target_condition: Option<String>,
    priority: Option<i64>,
    metrics: Option<MetricsBody>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct MetricsBody {
    queries: Option<Map<String, Value>>,
}

/// A configuration as it is kept. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    pub(super) id: String,
    /// Grows with every configuration that is created: of two with one priority the newer one has precedence.
    pub(super) number: u64,
    /// The `ETag`'s counter.
    pub(super) revision: u64,
    created: u64,
    last_updated: u64,
    pub(super) priority: i64,
    schema_version: Option<String>,
    labels: Option<Map<String, Value>>,
    content: Content,
    target_condition: String,
    metrics: Map<String, Value>,
}

/// A configuration that was read whole.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) configuration: Configuration,
    pub(super) settings: Settings,
    pub(super) target: Target,
    pub(super) metrics: Vec<Metric>,
}

/// Lower-case letters, digits and a few signs.
///
/// # Errors
/// 400 for every other id.
pub(super) fn check_id(id: &str) -> Result<(), HubError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+%_*!'".contains(c);
    if (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(fits) {
        return Ok(());
    }
    Err(HubError::invalid(format!(
        "'{id}' is no id of a configuration: 1 to {LONGEST_ID} lower-case ASCII letters, digits or any of - + % _ * ! '"
    )))
}

impl Configuration {
    /// A new one.
    ///
    /// # Errors
    /// 400 if the body breaks a rule.
    pub(super) fn new(id: &str, body: ConfigurationBody, number: u64, now: u64) -> Result<Self, HubError> {
        let new = Self {
            id: id.to_owned(),
            number,
            revision: 0,
            created: now,
            last_updated: now,
            priority: 0,
            schema_version: None,
            labels: None,
            content: Content::default(),
            target_condition: String::new(),
            metrics: Map::new(),
        };
        let content = body.content.clone().unwrap_or_default();
        Ok(Self { content, ..new.changed(body, now)? })
    }

    /// The same with another body. Content can't be changed: IoT Hub reads it, and keeps the old one.
    ///
    /// # Errors
    /// 400 if the body breaks a rule.
    pub(super) fn changed(&self, body: ConfigurationBody, now: u64) -> Result<Self, HubError> {
        if body.id.as_ref().is_some_and(|id| *id != self.id) {
            return Err(HubError::invalid("The id of the body is not that of the address."));
        }
        let priority = body.priority.unwrap_or_default();
        if !(0..=HIGHEST_PRIORITY).contains(&priority) {
            let text = format!("The priority is {priority}, and has to be 0 to {HIGHEST_PRIORITY}.");
            return Err(HubError::invalid(text));
        }
        if body.labels.iter().flatten().any(|(_, label)| !label.is_string()) {
            return Err(HubError::invalid("Labels are texts."));
        }
        body.content.unwrap_or_default().settings()?;
        Ok(Self {
            revision: self.revision + 1,
            last_updated: now,
            priority,
            schema_version: body.schema_version,
            labels: body.labels,
            target_condition: body.target_condition.unwrap_or_default(),
            metrics: body.metrics.unwrap_or_default().queries.unwrap_or_default(),
            ..self.clone()
        })
    }

    /// Read everything in it.
    ///
    /// # Errors
    /// 400 if content, target condition or a metric breaks a rule.
    pub(super) fn activate(self) -> Result<Active, HubError> {
        let settings = self.content.settings()?;
        let target = Target::read(&self.target_condition, settings.kind)?;
        let metrics = metrics::read(&self.metrics)?;
        Ok(Active { configuration: self, settings, target, metrics })
    }

    /// The text that is kept.
    ///
    /// # Errors
    /// None that can be expected.
    pub(super) fn record(&self) -> Result<String, HubError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Without quotes: base64 of the counter in decimal.
    pub(super) fn etag(&self) -> String {
        STANDARD.encode(self.revision.to_string())
    }
}

impl Active {
    /// Which of two has precedence: the higher priority, then the newer one.
    pub(super) fn precedence(&self) -> (i64, u64) {
        (self.configuration.priority, self.configuration.number)
    }

    /// Whether a mark is this configuration's, and not that of one of its id which was deleted.
    pub(super) fn is(&self, mark: &ConfigurationMark) -> bool {
        self.configuration.number == mark.number
    }

    /// What it sets in the twin of this device or module, if it is targeted.
    pub(super) fn settings_of(&self, id: &IdentityId) -> &[Setting] {
        self.settings.of(id).unwrap_or_default()
    }

    /// As REST shows it, with these results of its metrics.
    pub(super) fn document(
        &self,
        of_service: &Map<String, Value>,
        custom: &Map<String, Value>,
    ) -> ConfigurationDocument {
        let this = &self.configuration;
        let body = json!({
            "id": this.id,
            "schemaVersion": this.schema_version,
            "labels": this.labels,
            "content": this.content,
            "targetCondition": this.target_condition,
            "createdTimeUtc": timestamp(this.created),
            "lastUpdatedTimeUtc": timestamp(this.last_updated),
            "priority": this.priority,
            "systemMetrics": { "results": of_service, "queries": metrics::of_service(self) },
            "metrics": { "results": custom, "queries": this.metrics },
            "etag": this.etag(),
        });
        ConfigurationDocument { body, etag: this.etag() }
    }
}
