//! Configurations: desired properties for every device or module that fulfils a condition, now or later.
//!
//! `configuration` is what back ends give, `content` what it sets and `target` whom; `table` holds those there are, and
//! `evaluation` brings them into the twins. `metrics` counts how far they have come.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-automatic-device-management>

mod configuration;
mod content;
mod evaluation;
mod metrics;
mod on_edge;
mod table;
mod target;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::HubState;
use super::error::HubError;
use super::registry::IfMatch;
use super::store::Transaction;
use crate::protocol::error_code::ErrorCode;
pub use configuration::ConfigurationBody;
use configuration::{Active, Configuration};
pub use content::Content;
pub(super) use table::Table;

/// Most configurations in one hub.
const MOST: usize = 100;

/// The queries that `testQueries` is asked about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueriesToTest {
    target_condition: Option<String>,
    custom_metric_queries: Option<Map<String, Value>>,
}

/// A configuration as REST shows it, and its `ETag`.
pub struct ConfigurationDocument {
    /// The document.
    pub body: Value,
    /// Without quotes.
    pub etag: String,
}

impl HubState {
    /// A configuration, with what its metrics count now.
    ///
    /// # Errors
    /// 404 if there is none; 500 or 503 if the data file can't be written.
    pub async fn configuration(&self, id: &str) -> Result<ConfigurationDocument, HubError> {
        let found = self.store.read(|_| self.configurations.get(id)).await?;
        let active = found.ok_or_else(|| not_found(id))?;
        let mut counted = self.count_metrics(&[&active]).await?;
        let [system, custom] = counted.pop().unwrap_or_default();
        Ok(active.document(&system, &custom))
    }

    /// The configurations in the order of their ids, at most so many, with what their metrics count now.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn all_configurations(&self, most: usize) -> Result<Vec<ConfigurationDocument>, HubError> {
        let all = self.store.read(|_| self.configurations.all()).await?;
        let first: Vec<&Active> = all.iter().take(most).map(|active| &**active).collect();
        let counted = self.count_metrics(&first).await?;
        Ok(first
            .iter()
            .zip(counted)
            .map(|(active, [system, custom])| active.document(&system, &custom))
            .collect())
    }

    /// Create a configuration, or change everything of it but its content. Twins follow shortly after, so nothing is
    /// counted in the answer.
    ///
    /// # Errors
    /// 409 if it exists and no condition is given, 404 if it doesn't and one is, 412 if the `ETag` is stale, 413 above a
    /// hundred, 400 if the body breaks a rule.
    pub async fn put_configuration(
        &self,
        id: &str,
        body: ConfigurationBody,
        if_match: Option<IfMatch>,
    ) -> Result<ConfigurationDocument, HubError> {
        configuration::check_id(id)?;
        let change = self.store.write(|transaction| {
            let now = self.clock.unix_millis();
            let before = self.configurations.get(id);
            let configuration = match (before, if_match) {
                (None, Some(_)) => return Err(not_found(id)),
                (Some(_), None) => return Err(already_exists(id)),
                (None, None) => {
                    self.configurations.check_room(MOST)?;
                    Configuration::new(id, body, table::take_number(transaction), now)?
                }
                (Some(active), Some(condition)) => {
                    check_etag(&active.configuration, &condition)?;
                    active.configuration.changed(body, now)?
                }
            };
            let active = Arc::new(configuration.activate()?);
            transaction.put_record(table::record_name(id), active.configuration.record()?);
            self.follow(transaction, id, Some(Arc::clone(&active)));
            Ok(active)
        });
        Ok(change.await?.document(&Map::new(), &Map::new()))
    }

    /// Delete a configuration. What it has set stays, unless another configuration sets it.
    ///
    /// # Errors
    /// 404 if there is none, 412 if the `ETag` is stale.
    pub async fn delete_configuration(&self, id: &str, if_match: Option<IfMatch>) -> Result<(), HubError> {
        let change = self.store.write(|transaction| {
            let active = self.configurations.get(id).ok_or_else(|| not_found(id))?;
            if let Some(condition) = if_match {
                check_etag(&active.configuration, &condition)?;
            }
            transaction.remove_record(table::record_name(id));
            self.follow(transaction, id, None);
            Ok(())
        });
        change.await
    }

    /// Have the table, and soon the twins, follow the change of a configuration.
    fn follow(&self, transaction: &mut Transaction<'_>, id: &str, now: Option<Arc<Active>>) {
        let (table, watch) = (Arc::clone(&self.configurations), Arc::clone(self.store.watch()));
        let id = id.to_owned();
        transaction.then(move |_| {
            table.set(&id, now);
            watch.note_all();
        });
    }
}

/// What is wrong with the queries, as `testQueries` answers: null and `{}` if nothing is.
#[must_use]
pub fn test_queries(queries: &QueriesToTest) -> Value {
    let condition = queries.target_condition.as_deref().unwrap_or_default();
    let wrong = |tested: Result<(), HubError>| tested.err().map(|error| error.message().to_owned());
    let metrics = queries.custom_metric_queries.iter().flatten();
    let metrics = metrics.filter_map(|(name, query)| {
        Some((name.clone(), Value::from(wrong(metrics::test(query).map(drop))?)))
    });
    json!({
        "targetConditionError": wrong(target::test(condition)),
        "customMetricQueryErrors": metrics.collect::<Map<_, _>>(),
    })
}

fn check_etag(configuration: &Configuration, condition: &IfMatch) -> Result<(), HubError> {
    if condition.allows(&configuration.etag()) { Ok(()) } else { Err(HubError::stale_twin()) }
}

fn not_found(id: &str) -> HubError {
    HubError::new(ErrorCode::CONFIGURATION_NOT_FOUND, id)
}

fn already_exists(id: &str) -> HubError {
    let message = format!("A configuration with ID '{id}' exists already.");
    HubError::new(ErrorCode::CONFIGURATION_ALREADY_EXISTS, message)
}
