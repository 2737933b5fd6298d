//! `/configurations`: what the hub is to write into twins by itself, over REST.

use axum::extract::State;
use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use super::answers::Document;
use super::requests::{JsonBody, Name, Target, most};
use crate::hub::HubState;
use crate::hub::configurations::{
    ConfigurationBody, ConfigurationDocument, Content, QueriesToTest, test_queries,
};
use crate::hub::error::HubError;
use crate::hub::registry::IfMatch;

/// The largest number of configurations in an answer.
const LARGEST_PAGE: usize = 100;

type Answer = Result<Document, HubError>;

pub(super) async fn get(State(hub): State<HubState>, Name(id): Name) -> Answer {
    Ok(document(hub.configuration(&id).await?))
}

pub(super) async fn list(State(hub): State<HubState>, uri: Uri) -> Answer {
    let all = hub.all_configurations(most(&uri)?.min(LARGEST_PAGE)).await?;
    Ok(Document::new(all.into_iter().map(|one| one.body).collect::<Value>()))
}

/// 200 for created ones too, as Azure answers.
pub(super) async fn put(
    State(hub): State<HubState>,
    Name(id): Name,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ConfigurationBody>,
) -> Answer {
    Ok(document(hub.put_configuration(&id, body, condition(&headers)).await?))
}

pub(super) async fn delete(
    State(hub): State<HubState>,
    Name(id): Name,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    hub.delete_configuration(&id, condition(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn test(JsonBody(queries): JsonBody<QueriesToTest>) -> Document {
    Document::new(test_queries(&queries))
}

pub(super) async fn apply_on_edge(
    State(hub): State<HubState>,
    Target(device): Target,
    JsonBody(content): JsonBody<Content>,
) -> Result<StatusCode, HubError> {
    hub.apply_on_edge_device(&device, &content).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn document(found: ConfigurationDocument) -> Document {
    Document::with_etag(found.body, found.etag)
}

/// Of configurations IoT Hub heeds `*` and an `ETag` in quotes, and goes on as if there were no header otherwise.
fn condition(headers: &HeaderMap) -> Option<IfMatch> {
    let text = headers.get(IF_MATCH)?.to_str().ok()?.trim();
    let is_quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    (is_quoted || text == "*").then(|| IfMatch::parse(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::hub::https::tests::Hub;

    const BODY: &str =
        r#"{"id": "c", "content": {"deviceContent": {"properties.desired.a": 1}}, "targetCondition": "*"}"#;

    #[tokio::test]
    async fn a_put_without_if_match_creates_and_one_with_it_changes_if_its_etag_has_quotes() {
        let hub = Hub::start();
        let put = |if_match| hub.ask("PUT", "/configurations/c", if_match, BODY);
        assert_eq!(put(Some("*")).await.refusal(), (404, "ConfigurationNotFound", "c"));
        let created = put(None).await;
        assert_eq!((created.status, created.header("etag")), (200, "\"MQ==\""));
        let conflict = (409, "ConfigurationAlreadyExists", "A configuration with ID 'c' exists already.");
        for if_match in [None, Some("MQ=="), Some("")] {
            assert_eq!(put(if_match).await.refusal(), conflict, "{if_match:?}");
        }
        let stale = put(Some("\"Mg==\"")).await;
        assert_eq!((stale.status, stale.header("iothub-errorcode")), (412, "PreconditionFailed"));
        assert_eq!(put(Some("\"MQ==\"")).await.header("etag"), "\"Mg==\"");
        let changed = put(Some("*")).await;
        assert_eq!((changed.header("etag"), &changed.body["etag"]), ("\"Mw==\"", &json!("Mw==")));
        assert_eq!(hub.get("/configurations/c").await.header("etag"), "\"Mw==\"");
    }

    #[tokio::test]
    async fn a_configuration_has_the_services_form() {
        let hub = Hub::start();
        let created = hub.ask("PUT", "/configurations/c", None, BODY).await.body;
        let expected = json!({
            "id": "c", "schemaVersion": null, "labels": null,
            "content": { "deviceContent": { "properties.desired.a": 1 } }, "targetCondition": "*",
            "createdTimeUtc": "2024-03-01T10:15:30.0000000Z", "lastUpdatedTimeUtc": "2024-03-01T10:15:30.0000000Z",
            "priority": 0,
            "systemMetrics": { "results": {}, "queries": {
                "targetedCount": "select deviceId from devices",
                "appliedCount": "select deviceId from devices where configurations.[[c]].status = 'Applied'",
            } },
            "metrics": { "results": {}, "queries": {} }, "etag": "MQ==",
        });
        assert_eq!(created.to_string(), expected.to_string());
        let mut counted = expected;
        counted["systemMetrics"]["results"] = json!({ "targetedCount": 0, "appliedCount": 0 });
        assert_eq!(hub.get("/configurations/c").await.body, counted);
        assert_eq!(hub.get("/configurations").await.body, json!([counted]));
    }

    #[tokio::test]
    async fn all_configurations_are_listed_or_the_first_ones() {
        let hub = Hub::start();
        assert_eq!(hub.get("/configurations").await.body, json!([]));
        for id in ["b", "a", "c%25"] {
            let body = BODY.replace("\"id\": \"c\", ", "");
            assert_eq!(hub.ask("PUT", &format!("/configurations/{id}"), None, &body).await.status, 200);
        }
        for (query, expected) in [("", 3), ("?top=2", 2), ("?top=0", 0), ("?top=1000", 3)] {
            let listed = hub.get(&format!("/configurations{query}")).await.body;
            let ids: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
            assert_eq!(ids, ["a", "b", "c%"][..expected]);
        }
        assert_eq!(hub.get("/configurations?top=x").await.status, 400);
    }

    #[tokio::test]
    async fn a_delete_needs_no_etag_and_heeds_one_in_quotes() {
        let hub = Hub::start();
        for (if_match, status) in [
            (None, 204),
            (Some("*"), 204),
            (Some("\"MQ==\""), 204),
            (Some("\"Mg==\""), 412),
            (Some("Mg=="), 204),
        ] {
            hub.ask("PUT", "/configurations/c", None, BODY).await;
            assert_eq!(
                hub.ask("DELETE", "/configurations/c", if_match, "").await.status,
                status,
                "{if_match:?}"
            );
        }
        let none = hub.ask("DELETE", "/configurations/c", None, "").await;
        assert_eq!(none.refusal(), (404, "ConfigurationNotFound", "c"));
    }

    #[tokio::test]
    async fn queries_are_tested_and_what_is_wrong_with_them_is_in_the_body() {
        let hub = Hub::start();
        let test = |body: &'static str| hub.ask("POST", "/configurations/testQueries", None, body);
        let fine = json!({ "targetConditionError": null, "customMetricQueryErrors": {} });
        for body in [
            "{}",
            r#"{"targetCondition": "tags.a = 1", "customMetricQueries": null}"#,
            r#"{"targetCondition": "", "customMetricQueries": {"a": "SELECT deviceId FROM devices"}}"#,
            r#"{"targetCondition": "from devices.modules where tags.a = 1"}"#,
        ] {
            let answer = test(body).await;
            assert_eq!((answer.status, answer.body), (200, fine.clone()), "{body}");
        }
        let wrong = test(r#"{"targetCondition": "*", "customMetricQueries": {"a": "SELECT", "b": "SELECT * FROM devices"}}"#).await;
        assert_eq!(wrong.status, 200);
        assert!(wrong.body["targetConditionError"].is_string());
        let errors = wrong.body["customMetricQueryErrors"].as_object().unwrap();
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[tokio::test]
    async fn content_is_applied_to_an_edge_device() {
        let hub = Hub::start();
        hub.ask("PUT", "/devices/edge", None, r#"{"capabilities": {"iotEdge": true}}"#).await;
        hub.create("/devices/plain").await;
        let body = r#"{"modulesContent": {"$edgeAgent": {"properties.desired": {"a": 1}}}}"#;
        let apply = |device: &str| {
            let path = format!("/devices/{device}/applyConfigurationContent");
            let hub = &hub;
            async move { hub.ask("POST", &path, None, body).await }
        };
        assert_eq!(apply("edge").await.status, 204);
        let twin = hub.get("/twins/edge/modules/%24edgeAgent").await.body;
        assert_eq!(twin["properties"]["desired"]["a"], 1);
        assert_eq!(apply("plain").await.refusal(), (400, "ArgumentInvalid", "Not an Azure IoT Edge device"));
        assert_eq!(apply("nobody").await.refusal(), (404, "DeviceNotFound", "nobody"));
    }
}
