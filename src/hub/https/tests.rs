//! The REST endpoint as back ends see it: requests in, status, headers and bodies out.

mod edge;
mod identities;
mod telemetry;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::router;
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::hub::limits::Limits;
use crate::hub::messages::NewMessage;
use crate::hub::{HubSettings, HubState};
use crate::protocol::identity::IdentityId;

const NOW: u64 = 1_709_288_130;
const VERSION: &str = "api-version=2021-04-12";

pub(super) struct Hub {
    pub(super) state: HubState,
    router: Router,
    token: String,
}

pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Status, header `iothub-errorcode`, and the text of the classic form.
    pub(super) fn refusal(&self) -> (u16, &str, &str) {
        let text = self.body["Message"].as_str().unwrap();
        let code = self.header("iothub-errorcode");
        (self.status, code, text.strip_prefix(&format!("ErrorCode:{code};")).unwrap())
    }
}

impl Hub {
    pub(super) fn start() -> Self {
        Self::start_with(Limits::default())
    }

    pub(super) fn start_with(limits: Limits) -> Self {
        let clock = Clock::manual(NOW * 1000);
        let settings = HubSettings { clock, limits, ..HubSettings::default() };
        let state = HubState::open(&settings).unwrap();
        let key = SasKey::from_base64(state.access.owner_key()).unwrap();
        let token = key.service_token("localhost:8443", "iothubowner", NOW + 3600);
        Self { router: router(state.clone()), state, token }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, if_match: Option<&str>, body: &str) -> Answer {
        let mut headers = vec![("authorization", self.token.as_str())];
        headers.extend(if_match.map(|etag| ("if-match", etag)));
        let separator = if path.contains('?') { '&' } else { '?' };
        self.send(method, &format!("{path}{separator}{VERSION}"), &headers, body).await
    }

    pub(super) async fn send_message(&self, device: &str) {
        let device = IdentityId::parse(device).unwrap();
        self.state.send_to_device(&device, NewMessage::default()).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None, "").await
    }

    pub(super) async fn create(&self, path: &str) -> Value {
        let answer = self.ask("PUT", path, None, "{}").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

const TUTORIAL_DEVICE: &str = r#"{"deviceId": "myFirstDevice", "status": "enabled", "authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": ""}, "type": "sas"}, "capabilities": {"iotEdge": false}}"#;
const EDGE: &str = r#"{"capabilities": {"iotEdge": true}}"#;
const TUTORIAL_MODULE: &str = r#"{"moduleId": "myFirstModule", "managedBy": "", "deviceId": "myFirstDevice", "authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": ""}, "type": "sas"}}"#;

#[tokio::test]
async fn the_tutorials_requests_get_the_services_answers() {
    let hub = Hub::start();
    let device = hub.ask("PUT", "/devices/myFirstDevice", None, TUTORIAL_DEVICE).await;
    assert_eq!(device.status, 200);
    let keys: Vec<_> = device.body.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "deviceId",
            "generationId",
            "etag",
            "connectionState",
            "status",
            "statusReason",
            "connectionStateUpdatedTime",
            "statusUpdatedTime",
            "lastActivityTime",
            "cloudToDeviceMessageCount",
            "authentication",
            "capabilities",
        ]
    );
    assert_eq!(device.header("etag"), format!("{}", device.body["etag"]));
    assert_eq!(device.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(device.header("x-ms-request-id").len(), 36);
    let primary = device.body["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap();
    assert_eq!((primary.len(), primary.ends_with('=')), (44, true));

    let path = "/devices/myFirstDevice/modules/myFirstModule";
    let module = hub.ask("PUT", path, None, TUTORIAL_MODULE).await;
    assert_eq!((module.status, &module.body["managedBy"]), (200, &json!("")));
    assert!(module.body.get("status").is_none());
    assert_eq!(hub.get(path).await.body, module.body);

    let twin_path = "/twins/myFirstDevice/modules/myFirstModule";
    let twin = hub.get(twin_path).await;
    assert_eq!(
        twin.body,
        json!({
            "deviceId": "myFirstDevice", "moduleId": "myFirstModule", "etag": "AAAAAAAAAAE=",
            "deviceEtag": module.body["etag"], "status": "enabled", "statusUpdateTime": "0001-01-01T00:00:00Z",
            "connectionState": "Disconnected", "lastActivityTime": "0001-01-01T00:00:00Z",
            "cloudToDeviceMessageCount": 0, "authenticationType": "sas",
            "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null },
            "modelId": "", "version": 2,
            "properties": {
                "desired": { "$metadata": { "$lastUpdated": "2024-03-01T10:15:30.0000000Z" }, "$version": 1 },
                "reported": { "$metadata": { "$lastUpdated": "2024-03-01T10:15:30.0000000Z" }, "$version": 1 },
            },
        })
    );
    let update = r#"{"properties": {"desired": {"telemetryInterval": 122}}}"#;
    let updated = hub.ask("PATCH", twin_path, Some("\"AAAAAAAAAAE=\""), update).await;
    assert_eq!(updated.header("etag"), "\"AAAAAAAAAAI=\"");
    assert_eq!(updated.body["version"], 3);
    assert_eq!(updated.body["properties"]["desired"]["telemetryInterval"], 122);
    assert_eq!(hub.get(twin_path).await.body, updated.body);
}

#[tokio::test]
async fn messages_that_wait_for_a_device_are_taken_back() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    for _ in 0..2 {
        hub.send_message("d").await;
    }
    assert_eq!(hub.get("/devices/d").await.body["cloudToDeviceMessageCount"], 2);
    let purged = hub.ask("DELETE", "/devices/d/commands", None, "").await;
    let expected = json!({ "totalMessagesPurged": 2, "deviceId": "d", "moduleId": null });
    assert_eq!((purged.status, purged.body), (200, expected));
    assert_eq!(hub.get("/twins/d").await.body["cloudToDeviceMessageCount"], 0);
    let none = hub.ask("DELETE", "/devices/e/commands", None, "").await;
    assert_eq!(none.refusal(), (404, "DeviceNotFound", "e"));
}

#[tokio::test]
async fn a_stale_etag_leaves_the_twin_as_it_is() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    let body = r#"{"tags":{"a":1}}"#;
    assert_eq!(hub.ask("PATCH", "/twins/d", None, body).await.status, 200);
    for method in ["PATCH", "PUT"] {
        let stale = hub.ask(method, "/twins/d", Some("\"AAAAAAAAAAE=\""), "{}").await;
        let text = "PreconditionFailed, ETag may be invalid.";
        assert_eq!(stale.refusal(), (412, "PreconditionFailed", text));
    }
    let twin = hub.get("/twins/d").await.body;
    assert_eq!(
        (&twin["tags"], &twin["version"], &twin["etag"]),
        (&json!({ "a": 1 }), &json!(3), &json!("AAAAAAAAAAI="))
    );
    let replaced = hub.ask("PUT", "/twins/d", Some("\"*\""), r#"{"properties":{"desired":{"x":1}}}"#).await;
    assert!(replaced.body.get("tags").is_none());
    assert_eq!(replaced.body["capabilities"], json!({ "iotEdge": false }));
}

#[tokio::test]
async fn bodies_that_break_a_rule_change_nothing() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    for body in [
        "",
        "nonsense",
        "[1]",
        r#"{"tags":1}"#,
        r#"{"properties":{"desired":{"n":NaN}}}"#,
        r#"{"tags":{"a":1},"properties":{"desired":{"a.b":1}}}"#,
    ] {
        let answer = hub.ask("PATCH", "/twins/d", None, body).await;
        assert_eq!((answer.status, answer.header("iothub-errorcode")), (400, "ArgumentInvalid"), "{body}");
    }
    let large = format!(r#"{{"tags":{{"a":"{}"}}}}"#, "x".repeat(super::LARGEST_BODY));
    let answer = hub.ask("PATCH", "/twins/d", None, &large).await;
    assert_eq!(answer.refusal(), (413, "MessageTooLarge", "The body is too large."));
    assert_eq!(hub.get("/twins/d").await.body["version"], 2);
}

#[tokio::test]
async fn every_request_needs_a_version_and_a_token_with_the_right() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    let key = SasKey::from_base64(hub.state.access.owner_key()).unwrap();
    let owner = |host: &str, expires| key.service_token(host, "iothubowner", expires);
    let own_key = hub.get("/devices/d").await.body["authentication"]["symmetricKey"]["primaryKey"].clone();
    let own_key = SasKey::from_base64(own_key.as_str().unwrap()).unwrap();
    let device = own_key.device_token("localhost/devices/d", NOW + 60);
    let path = format!("/twins/d?{VERSION}");
    for token in ["", "Bearer x", &owner("localhost", NOW), &owner("example.com", NOW + 60), &device] {
        let answer = hub.send("GET", &path, &[("authorization", token)], "").await;
        assert_eq!(answer.refusal(), (401, "IotHubUnauthorizedAccess", "Unauthorized"), "{token}");
    }
    assert_eq!(hub.send("GET", &path, &[], "").await.status, 401);
    assert_eq!(
        hub.send("GET", &path, &[("authorization", &owner("localhost/twins/d", NOW + 60))], "").await.status,
        200
    );

    let events = |device: &str| format!("/devices/{device}/messages/events?{VERSION}");
    let device = [("authorization", device.as_str())];
    assert_eq!(hub.send("POST", &events("d"), &device, "").await.status, 204);
    assert_eq!(hub.send("POST", &events("e"), &device, "").await.status, 401);

    for query in ["", "api-version=", "api-version=latest", "api-version=2021-4-12"] {
        let answer =
            hub.send("GET", &format!("/twins/d?{query}"), &[("authorization", &hub.token)], "").await;
        assert_eq!(
            (answer.status, answer.header("iothub-errorcode")),
            (400, "InvalidProtocolVersion"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn queries_are_answered_page_by_page_and_say_what_their_rows_are() {
    let hub = Hub::start();
    for device in ["a", "b", "query"] {
        hub.create(&format!("/devices/{device}")).await;
    }
    let path = format!("/devices/query?{VERSION}");
    let ask = async |query: &str, headers: &[(&str, &str)]| {
        let headers = [&[("authorization", hub.token.as_str())], headers].concat();
        hub.send("POST", &path, &headers, &json!({ "query": query }).to_string()).await
    };
    let first = ask("SELECT * FROM devices", &[("x-ms-max-item-count", "2")]).await;
    assert_eq!((first.status, first.header("x-ms-item-type")), (200, "Twin"));
    assert_eq!(first.body, json!([hub.get("/twins/a").await.body, hub.get("/twins/b").await.body]));
    let more = first.header("x-ms-continuation");
    let second = ask("SELECT * FROM devices", &[("x-ms-continuation", more)]).await;
    assert_eq!((&second.body[0]["deviceId"], second.header("x-ms-continuation")), (&json!("query"), ""));
    let counted = ask("SELECT COUNT() AS n FROM devices", &[("x-ms-continuation", "")]).await;
    assert_eq!((&counted.body, counted.header("x-ms-item-type")), (&json!([{ "n": 3 }]), "Raw"));

    for count in ["0", "1001", "x", "-1"] {
        let refused = ask("SELECT * FROM devices", &[("x-ms-max-item-count", count)]).await;
        let text = "x-ms-max-item-count is not a number from 1 to 1000.";
        assert_eq!(refused.refusal(), (400, "ArgumentInvalid", text));
    }
    let (status, code, text) = (400, "ArgumentInvalid", "BadRequest: Expected FROM, at character 10.");
    assert_eq!(ask("SELECT * FORM devices", &[]).await.refusal(), (status, code, text));
    assert_eq!(hub.ask("POST", "/devices/query", None, "{}").await.status, 400);
    assert_eq!(hub.get("/devices/query").await.body["deviceId"], "query");
}

#[tokio::test]
async fn a_page_has_a_hundred_rows_unless_the_request_says_otherwise() {
    let hub = Hub::start();
    for number in 0..101 {
        hub.create(&format!("/devices/d{number}")).await;
    }
    let body = r#"{"query":"SELECT deviceId FROM devices"}"#;
    assert_eq!(hub.ask("POST", "/devices/query", None, body).await.body.as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn paths_of_iot_hub_that_are_missing_say_so_and_others_are_unknown() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    for (method, path) in
        [("GET", "/devices/d/messages/devicebound"), ("DELETE", "/devices/d/messages/devicebound/lock")]
    {
        let answer = hub.ask(method, path, None, "{}").await;
        let text = format!("The local hub does not implement {method} {path} yet.");
        assert_eq!(answer.refusal(), (501, "GenericNotImplemented", text.as_str()));
    }
    for path in ["/", "/nothing", "/devices/", "/devices/d/nothing"] {
        assert_eq!(hub.get(path).await.status, 404, "{path}");
    }
    assert_eq!(hub.ask("PATCH", "/devices/d", None, "{}").await.status, 405);
    assert_eq!(hub.ask("POST", "/devices/d", None, "{}").await.status, 405);
    assert!(hub.state.counters.now().rest_requests > 5);
}
