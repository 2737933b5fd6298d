//! What is counted of a configuration: how far it has come, and what its author asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::content::{EDGE_AGENT, Kind};
use super::{Active, HubState};
use crate::hub::error::HubError;
use crate::hub::query::PreparedQuery;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// Most metrics of one configuration, beside the service's own.
const MOST: usize = 5;
/// Twins that are looked at before others get their turn.
const BATCH: usize = 4096;
const TARGETED: &str = "targetedCount";
const APPLIED: &str = "appliedCount";

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
    queries.insert(TARGETED.to_owned(), targeted.into());
    queries.insert(APPLIED.to_owned(), applied.as_str().into());
    if active.settings.kind == Kind::Edge {
        let reported = "properties.desired.$version = properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code";
        for (name, code) in [("reportedSuccessfulCount", "= 200"), ("reportedFailedCount", "!= 200")] {
            queries.insert(name.to_owned(), format!("{applied} and {reported} {code}").into());
        }
    }
    queries
}

impl HubState {
    /// The results of both sorts of metrics of these configurations: the service's own as the last evaluation has left it,
    /// the others as the hub is now.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub(super) async fn count_metrics(&self, active: &[&Active]) -> Result<Vec<Results>, HubError> {
        let metrics: Vec<[Vec<Metric>; 2]> = active
            .iter()
            .map(|active| {
                let is_marked =
                    |name: &str| name == APPLIED || (name == TARGETED && is_marked_itself(active));
                let system = of_service(active).into_iter();
                let system = system.map(|(name, query)| {
                    let query = if is_marked(&name) { None } else { test(&query).ok() };
                    (name, query)
                });
                [system.collect(), active.metrics.clone()]
            })
            .collect();
        let marks = self.count_marks(active).await;
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
        let results = metrics.iter().map(|[system, custom]| [results(system), results(custom)]);
        Ok(results.zip(active.iter().zip(marks)).map(with_marks).collect())
    }

    /// How many twins the last evaluation found to be targeted by each of these configurations, and of how many it has
    /// set something. The twins tell; asking each of them the queries would take seconds for a hundred configurations.
    async fn count_marks(&self, active: &[&Active]) -> Vec<Marks> {
        let mut marks = vec![Marks::default(); active.len()];
        let places: BTreeMap<&str, usize> = active
            .iter()
            .enumerate()
            .map(|(place, active)| (active.configuration.id.as_str(), place))
            .collect();
        let mut after: Option<IdentityId> = None;
        loop {
            let last = self.store.peek(|state| {
                let batch = state.after(after.as_ref()).take(BATCH);
                batch.fold(None, |_, (id, entity)| {
                    for (name, mark) in &entity.configurations {
                        let Some(&place) = places.get(name.as_str()) else { continue };
                        if active[place].is(mark) && counts(active[place].settings.kind, id) {
                            marks[place].targeted += 1;
                            marks[place].applied += usize::from(mark.applied);
                        }
                    }
                    Some(id.clone())
                })
            });
            if last.is_none() {
                return marks;
            }
            after = last;
            tokio::task::yield_now().await;
        }
    }
}

/// What twins tell of one configuration.
#[derive(Clone, Copy, Default)]
struct Marks {
    targeted: usize,
    applied: usize,
}

/// Whether what is targeted has the marks. A deployment targets devices, and is applied to their modules.
fn is_marked_itself(active: &Active) -> bool {
    active.settings.kind != Kind::Edge
}

/// Of a device's modules a deployment counts the agent, which is there on each.
fn counts(kind: Kind, id: &IdentityId) -> bool {
    kind != Kind::Edge || id.module.as_deref() == Some(EDGE_AGENT)
}

type Results = [Map<String, Value>; 2];

fn with_marks(([mut system, custom], (active, marks)): (Results, (&&Active, Marks))) -> Results {
    system.insert(APPLIED.to_owned(), marks.applied.into());
    if is_marked_itself(active) {
        system.insert(TARGETED.to_owned(), marks.targeted.into());
    }
    [system, custom]
}

fn invalid(message: &str) -> HubError {
    HubError::new(ErrorCode::INVALID_CONFIGURATION_METRIC, message)
}
