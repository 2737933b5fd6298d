//! The REST endpoint as back ends see it: requests in, status, headers and bodies out.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::router;
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::hub::limits::Limits;
use crate::hub::{HubSettings, HubState};

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
async fn a_put_without_condition_creates_and_one_with_it_updates() {
    let hub = Hub::start();
    assert_eq!(
        hub.ask("PUT", "/devices/tf-dev-01", Some("*"), "{}").await.refusal(),
        (404, "DeviceNotFound", "tf-dev-01")
    );
    let created = hub.create("/devices/tf-dev-01").await;
    let again = hub.ask("PUT", "/devices/tf-dev-01", None, &created.to_string()).await;
    let text = "A device with ID 'tf-dev-01' is already registered.";
    assert_eq!(again.refusal(), (409, "DeviceAlreadyExists", text));

    let etag = created["etag"].as_str().unwrap();
    let updated = hub.ask("PUT", "/devices/tf-dev-01", Some(etag), "{}").await;
    assert_eq!((updated.status, &updated.body["generationId"]), (200, &created["generationId"]));
    assert_ne!(updated.body["etag"], created["etag"]);
    assert_ne!(updated.body["authentication"], created["authentication"], "keys left out are made anew");

    let stale = hub.ask("PUT", "/devices/tf-dev-01", Some(&format!("\"{etag}\"")), "{}").await;
    let (status, code, text) = stale.refusal();
    assert_eq!((status, code), (412, "PreconditionFailed"));
    assert!(
        text.starts_with("Precondition failed: Device version did not match, existingVersion:"),
        "{text}"
    );
}

#[tokio::test]
async fn modules_need_a_usable_device_and_are_named_in_the_flat_form() {
    let hub = Hub::start();
    assert_eq!(hub.ask("PUT", "/devices/d/modules/m", None, "{}").await.refusal().0, 401);
    assert_eq!(hub.get("/twins/d/modules/m").await.refusal(), (404, "DeviceNotFound", "d"));
    hub.create("/devices/d").await;
    assert_eq!(hub.get("/devices/d/modules/m").await.refusal(), (404, "ModuleNotFound", "d/m"));
    hub.create("/devices/d/modules/m").await;
    let again = hub.ask("PUT", "/devices/d/modules/m", None, "{}").await;
    assert_eq!((again.status, again.header("iothub-errorcode")), (409, "ModuleAlreadyExistsOnDevice"));
    assert_eq!(again.body["errorCode"], 409_301);
    assert_eq!(again.body["message"], "Device d in IotHub localhost already contains Module m.");
    assert_eq!(hub.ask("PUT", "/devices/d/modules/$edgeHub", None, "{}").await.status, 400);

    hub.ask("PUT", "/devices/d", Some("*"), r#"{"status":"disabled","statusReason":"lost"}"#).await;
    assert_eq!(hub.get("/devices/d/modules/m").await.status, 401);
    assert_eq!(hub.get("/devices/d/modules").await.status, 401);
    assert_eq!(hub.get("/twins/d/modules/m").await.status, 200);
    assert_eq!(hub.get("/twins/d").await.body["statusReason"], "lost");
}

#[tokio::test]
async fn a_device_holds_at_most_fifty_modules() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    for number in 0..50 {
        hub.create(&format!("/devices/d/modules/m{number}")).await;
    }
    let one_more = hub.ask("PUT", "/devices/d/modules/m50", None, "{}").await;
    let text = "Device d holds at most 50 modules.";
    assert_eq!(one_more.refusal(), (413, "TooManyModulesOnDevice", text));
    assert_eq!(hub.get("/devices/d/modules").await.body.as_array().unwrap().len(), 50);
    assert_eq!(hub.ask("PUT", "/devices/d/modules/m49", Some("*"), "{}").await.status, 200);
}

#[tokio::test]
async fn a_hub_holds_as_many_devices_and_modules_as_its_limits_say() {
    assert_eq!(Limits::default(), Limits { identities: 1_000_000, modules: 50, active_jobs: 1 });
    let hub = Hub::start_with(Limits { identities: 4, modules: 2, ..Limits::default() });
    let put = async |path: &str, condition: Option<&str>, body: &str| {
        let answer = hub.ask("PUT", path, condition, body).await;
        (answer.status, answer.header("iothub-errorcode").to_owned())
    };
    let created = (200, String::new());
    let (full, no_more_modules) =
        ((413, "TooManyDevices".to_owned()), (413, "TooManyModulesOnDevice".to_owned()));
    // An Edge device comes with two modules, in the hub and on the device.
    assert_eq!(put("/devices/e", None, EDGE).await, created);
    assert_eq!(put("/devices/e/modules/m", None, "{}").await, no_more_modules);
    assert_eq!(put("/devices/f", None, EDGE).await, full);
    assert_eq!(put("/devices/d", None, "{}").await, created);
    assert_eq!(put("/devices/g", None, "{}").await, full);
    assert_eq!(put("/devices/d/modules/m", None, "{}").await, full);
    assert_eq!(put("/devices/d", Some("*"), EDGE).await, full, "becoming an Edge device");
    assert_eq!(hub.get("/devices/d").await.body["capabilities"], json!({ "iotEdge": false }));
    assert_eq!(put("/devices/d", Some("*"), "{}").await, created, "an update takes no room");
    assert_eq!(hub.ask("DELETE", "/devices/e", Some("*"), "").await.status, 204);
    assert_eq!(put("/devices/d/modules/m", None, "{}").await, created);
    assert_eq!(put("/devices/d", Some("*"), EDGE).await, no_more_modules);
}

#[tokio::test]
async fn messages_that_wait_for_a_device_are_taken_back() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    for _ in 0..2 {
        let sent = hub.ask("POST", "/_ferrohub/devices/d/messages", None, r#"{"body":"aGk="}"#).await;
        assert_eq!(sent.status, 204);
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
async fn an_edge_device_has_the_modules_of_its_runtime_as_long_as_it_is_one() {
    let hub = Hub::start();
    let edge = hub.ask("PUT", "/devices/e", None, EDGE).await.body;
    let agent = hub.get("/devices/e/modules/$edgeAgent").await.body;
    assert_eq!((&agent["managedBy"], &agent["moduleId"]), (&json!("iotEdge"), &json!("$edgeAgent")));
    assert_eq!(
        agent["authentication"],
        json!({
            "symmetricKey": { "primaryKey": null, "secondaryKey": null },
            "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null },
            "type": "none",
        })
    );
    let modules = async || {
        let modules = hub.get("/devices/e/modules").await.body.as_array().unwrap().clone();
        modules.iter().map(|module| module["moduleId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(modules().await, ["$edgeAgent", "$edgeHub"]);
    assert_eq!(hub.get("/twins/e/modules/$edgeHub").await.body["authenticationType"], "none");
    let update = r#"{"properties":{"desired":{"routes":{}}}}"#;
    assert_eq!(hub.ask("PATCH", "/twins/e/modules/$edgeHub", None, update).await.body["version"], 3);

    let text = "Module ids that begin with '$' are the hub's own.";
    for (method, module, condition) in
        [("PUT", "$edgeHub", Some("*")), ("PUT", "$other", None), ("DELETE", "$edgeAgent", Some("*"))]
    {
        let refused = hub.ask(method, &format!("/devices/e/modules/{module}"), condition, "{}").await;
        assert_eq!(refused.refusal(), (400, "ArgumentInvalid", text), "{method} {module}");
    }
    // A write that leaves it an Edge device leaves its modules as they are.
    let again =
        json!({ "capabilities": { "iotEdge": true }, "deviceScope": edge["deviceScope"] }).to_string();
    assert_eq!(hub.ask("PUT", "/devices/e", Some("*"), &again).await.status, 200);
    assert_eq!(hub.get("/devices/e/modules/$edgeAgent").await.body, agent);
    assert_eq!(hub.get("/twins/e/modules/$edgeHub").await.body["version"], 3);

    hub.create("/devices/e/modules/own").await;
    assert_eq!(hub.ask("PUT", "/devices/e", Some("*"), "{}").await.status, 200);
    assert_eq!(modules().await, ["own"]);
    assert_eq!(hub.ask("PUT", "/devices/e", Some("*"), EDGE).await.status, 200);
    assert_eq!(modules().await, ["$edgeAgent", "$edgeHub", "own"]);
    assert_ne!(hub.get("/devices/e/modules/$edgeAgent").await.body["generationId"], agent["generationId"]);
    hub.ask("DELETE", "/devices/e", Some("*"), "").await;
    assert_eq!(hub.get("/twins/e/modules/$edgeHub").await.status, 404);
}

#[tokio::test]
async fn an_edge_device_keeps_the_scope_that_the_hub_gave_it() {
    let hub = Hub::start();
    let put = async |condition: Option<&str>, body: Value| {
        hub.ask("PUT", "/devices/e", condition, &body.to_string()).await
    };
    let edge = |more: Value| {
        let mut body = json!({ "capabilities": { "iotEdge": true } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let created = put(None, edge(json!({ "deviceScope": "of my own" }))).await.body;
    let scope = format!("ms-azure-iot-edge://e-{}", created["generationId"].as_str().unwrap());
    assert_eq!((&created["deviceScope"], &created["parentScopes"]), (&json!(scope), &json!([])));
    assert_eq!(hub.get("/twins/e").await.body["deviceScope"], scope);

    let immutable = (400, "ArgumentInvalid", "Device scope is immutable");
    for other in [
        json!({}),
        json!({ "deviceScope": "" }),
        json!({ "deviceScope": null }),
        json!({ "deviceScope": "x" }),
    ] {
        assert_eq!(put(Some("*"), edge(other)).await.refusal(), immutable);
    }
    let parent = "ms-azure-iot-edge://p-1";
    let child = put(Some("*"), edge(json!({ "deviceScope": scope, "parentScopes": [parent] }))).await.body;
    assert_eq!((&child["deviceScope"], &child["parentScopes"]), (&json!(scope), &json!([parent])));
    let two = put(Some("*"), edge(json!({ "deviceScope": scope, "parentScopes": [parent, "q"] }))).await;
    assert_eq!(two.refusal().0, 400);
    for detached in [json!({ "deviceScope": scope }), json!({ "deviceScope": scope, "parentScopes": [] })] {
        put(Some("*"), edge(json!({ "deviceScope": scope, "parentScopes": [parent] }))).await;
        assert_eq!(put(Some("*"), edge(detached)).await.body["parentScopes"], json!([]));
    }
}

#[tokio::test]
async fn a_leaf_device_names_its_parent_as_its_scope() {
    let hub = Hub::start();
    let parent = hub.ask("PUT", "/devices/p", None, EDGE).await.body["deviceScope"].clone();
    let put = async |condition: Option<&str>, body: Value| {
        hub.ask("PUT", "/devices/leaf", condition, &body.to_string()).await
    };
    let scopes = |answer: &Answer| (answer.body["deviceScope"].clone(), answer.body["parentScopes"].clone());
    let none = (Value::Null, Value::Null);
    let ignored = put(None, json!({ "parentScopes": [parent] })).await;
    assert_eq!(scopes(&ignored), none);
    let child = put(Some("*"), json!({ "deviceScope": parent })).await;
    assert_eq!(scopes(&child), (parent.clone(), json!([parent])));
    for detached in [json!({}), json!({ "deviceScope": "" })] {
        put(Some("*"), json!({ "deviceScope": parent })).await;
        assert_eq!(scopes(&put(Some("*"), detached).await), none);
    }

    put(Some("*"), json!({ "deviceScope": parent })).await;
    let edge = json!({ "iotEdge": true });
    let refused = put(Some("*"), json!({ "capabilities": edge, "deviceScope": parent })).await;
    assert_eq!(refused.refusal(), (400, "ArgumentInvalid", "Device scope is immutable"));
    let toggled =
        put(Some("*"), json!({ "capabilities": edge, "deviceScope": "", "parentScopes": [parent] })).await;
    assert_eq!(scopes(&toggled), (json!("ms-azure-iot-edge://leaf-"), json!([parent])));
    let back = put(Some("*"), json!({ "deviceScope": parent })).await;
    assert_eq!(scopes(&back), none, "who stops being an Edge device loses its parent");
}

#[tokio::test]
async fn a_delete_needs_a_condition_and_takes_the_modules_with_it() {
    let hub = Hub::start();
    let before = hub.create("/devices/d").await;
    hub.create("/devices/d/modules/m").await;
    let (status, code, text) =
        (412, "PreconditionFailed", "Etag missing: a delete needs the header If-Match.");
    assert_eq!(hub.ask("DELETE", "/devices/d", None, "").await.refusal(), (status, code, text));
    assert_eq!(hub.ask("DELETE", "/devices/d", Some("\"MQ==\""), "").await.status, 412);
    let deleted = hub.ask("DELETE", "/devices/d", Some("\"*\""), "").await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    assert_eq!(hub.ask("DELETE", "/devices/d", Some("*"), "").await.refusal(), (404, "DeviceNotFound", "d"));
    let after = hub.create("/devices/d").await;
    assert_ne!(after["generationId"], before["generationId"]);
    assert_eq!(hub.get("/devices/d/modules").await.body, json!([]));
}

#[tokio::test]
async fn keys_and_thumbprints_are_checked_and_kept_as_given() {
    let hub = Hub::start();
    let put = async |authentication: Value| {
        let body = json!({ "authentication": authentication }).to_string();
        hub.ask("PUT", "/devices/d", None, &body).await
    };
    let key = "c2VjcmV0LWtleS1mb3ItdGVzdGluZw==";
    for (authentication, text) in [
        (json!({ "symmetricKey": { "primaryKey": key } }), "Either no keys or both keys can be set"),
        (
            json!({ "symmetricKey": { "primaryKey": "YQ==", "secondaryKey": key } }),
            "Invalid device key length",
        ),
        (json!({ "symmetricKey": { "primaryKey": "?", "secondaryKey": key } }), "Invalid device key length"),
        (
            json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": "aa:bb" } }),
            "StringIsNotThumbprint",
        ),
        (json!({ "type": "none" }), "DeviceAuthenticationTypeIsMissing"),
        (json!({ "type": "magic" }), "The body has another form than expected"),
    ] {
        let answer = put(authentication).await;
        let (status, code, found) = answer.refusal();
        assert_eq!((status, code), (400, "ArgumentInvalid"));
        assert!(found.starts_with(text) && !found.contains(key), "{found}");
    }
    let x509 = put(json!({ "x509Thumbprint": { "primaryThumbprint": "aAbB01" } })).await;
    assert_eq!(
        x509.body["authentication"],
        json!({
            "symmetricKey": { "primaryKey": null, "secondaryKey": null },
            "x509Thumbprint": { "primaryThumbprint": "aAbB01", "secondaryThumbprint": null },
            "type": "selfSigned",
        })
    );
    hub.ask("DELETE", "/devices/d", Some("*"), "").await;
    let sas = put(json!({ "symmetricKey": { "primaryKey": key, "secondaryKey": key } })).await;
    assert_eq!(sas.body["authentication"]["symmetricKey"]["primaryKey"], key);
    assert_eq!(sas.body["authentication"]["type"], "sas");
}

#[tokio::test]
async fn names_in_paths_are_decoded_once_and_an_encoded_slash_parts_nothing() {
    let hub = Hub::start();
    let created = hub.create("/devices/a%25b%3F%23%27").await;
    assert_eq!(created["deviceId"], "a%b?#'");
    assert_eq!(hub.get("/twins/a%25b%3F%23%27").await.body["deviceId"], "a%b?#'");
    hub.create("/devices/query").await;
    assert_eq!(hub.get("/devices/query").await.body["deviceId"], "query");
    for path in ["/devices/a%2Fmodules%2Fb", "/devices/%20", "/devices/%C3%A9", "/devices/%FF"] {
        assert_eq!(hub.ask("PUT", path, None, "{}").await.refusal().0, 400, "{path}");
    }
    let other = hub.ask("PUT", "/devices/d", None, r#"{"deviceId":"e"}"#).await;
    assert_eq!(
        other.refusal(),
        (400, "ArgumentInvalid", "The deviceId of the body is not that of the address.")
    );
}

#[tokio::test]
async fn devices_are_listed_and_counted() {
    let hub = Hub::start();
    for device in ["a", "b", "c"] {
        hub.create(&format!("/devices/{device}")).await;
    }
    hub.create("/devices/a/modules/m").await;
    hub.ask("PUT", "/devices/b", Some("*"), r#"{"status":"disabled"}"#).await;
    let ids = |answer: Answer| {
        let devices = answer.body.as_array().unwrap().clone();
        devices.iter().map(|device| device["deviceId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(hub.get("/devices").await), ["a", "b", "c"]);
    assert_eq!(ids(hub.get("/devices?top=2").await), ["a", "b"]);
    assert_eq!(hub.get("/devices?top=x").await.status, 400);
    assert_eq!(
        hub.get("/statistics/devices").await.body,
        json!({ "totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1 })
    );
    assert_eq!(hub.get("/statistics/service").await.body, json!({ "connectedDeviceCount": 0 }));
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
    assert_eq!(hub.send("POST", &events("d"), &device, "").await.status, 501);
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
        [("PATCH", "/digitaltwins/d"), ("GET", "/digitaltwins/d"), ("GET", "/messages/serviceBound/feedback")]
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
