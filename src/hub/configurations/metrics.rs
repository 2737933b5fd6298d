//! What is counted of a configuration: how far it has come, and what its author asks for.

use serde_json::{Map, Value};

use super::content::{EDGE_AGENT, Kind};
use super::{Active, HubState};
use crate::hub::error::HubError;
use crate::hub::query::PreparedQuery;
use crate::protocol::error_code::ErrorCode;

/// Most metrics of one configuration, beside the service's own.
const MOST: usize = 5;

/// A metric's name, and the query whose rows are counted.
pub(super) type Metric = (String, Option<PreparedQuery>);

/// Read the metrics that a back end gives.
///
/// # Errors
/// 400 `InvalidConfigurationCustomMetricsQuery` if there are more than five, or one can't be read.
pub(super) fn read(queries: &Map<String, Value>) -> Result<Vec<Metric>, HubError> {
    if queries.len() > MOST {
        return Err(invalid(&format!(
            "There are {} metrics, and at most {MOST} are allowed.",
            queries.len()
        )));
    }
    let read = |(name, query): (&String, &Value)| {
        let query =
            test(query).map_err(|error| invalid(&format!("The metric '{name}': {}", error.message())))?;
        Ok((name.clone(), Some(query)))
    };
    queries.iter().map(read).collect()
}

/// Read the query of one metric.
///
/// # Errors
/// 400 `InvalidConfigurationCustomMetricsQuery`.
pub(super) fn test(query: &Value) -> Result<PreparedQuery, HubError> {
    let text = query.as_str().ok_or_else(|| invalid("A metric is the text of a query."))?;
    PreparedQuery::read(text).map_err(|error| invalid(error.message()))
}

/// The service's own metrics: each name, and its query.
pub(super) fn of_service(active: &Active) -> Map<String, Value> {
    let (id, targeted) = (&active.configuration.id, active.target.counting());
    let is_applied = format!("configurations.[[{id}]].status = 'Applied'");
    let applied = match active.settings.kind {
        Kind::Device => format!("select deviceId from devices where {is_applied}"),
        Kind::Module => format!("select deviceId, moduleId from devices.modules where {is_applied}"),
        Kind::Edge => {
            format!("select deviceId from devices.modules where moduleId = '{EDGE_AGENT}' and {is_applied}")
        }
    };
    let mut queries = Map::new();
    queries.insert("targetedCount".to_owned(), targeted.into());
    queries.insert("appliedCount".to_owned(), applied.as_str().into());
    if active.settings.kind == Kind::Edge {
        let reported = "properties.desired.$version = properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code";
        for (name, code) in [("reportedSuccessfulCount", "= 200"), ("reportedFailedCount", "!= 200")] {
            queries.insert(name.to_owned(), format!("{applied} and {reported} {code}").into());
        }
    }
    queries
}

impl HubState {
    /// The results of both sorts of metrics of these configurations, as the hub is now.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub(super) async fn count_metrics(
        &self,
        active: &[&Active],
    ) -> Result<Vec<[Map<String, Value>; 2]>, HubError> {
        let metrics: Vec<[Vec<Metric>; 2]> = active
            .iter()
            .map(|active| {
                let system = of_service(active).into_iter();
                let system = system.map(|(name, query)| (name, test(&query).ok())).collect();
                [system, active.metrics.clone()]
            })
            .collect();
        let queries = metrics.iter().flatten().flatten().filter_map(|(_, query)| query.as_ref());
        let mut counts = self.count_rows(queries).await.into_iter();
        // No answer tells of what a crash could take back.
        self.store.read(|_| ()).await?;
        let mut results = |metrics: &[Metric]| {
            let count = |(name, query): &Metric| {
                // What has no query counts nothing.
                let count = query.as_ref().and_then(|_| counts.next()).unwrap_or_default();
                (name.clone(), count.into())
            };
            metrics.iter().map(count).collect::<Map<_, _>>()
        };
        Ok(metrics.iter().map(|[system, custom]| [results(system), results(custom)]).collect())
    }
}

fn invalid(message: &str) -> HubError {
    HubError::new(ErrorCode::INVALID_CONFIGURATION_METRIC, message)
}
