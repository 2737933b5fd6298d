//! Devices and modules: what creates, changes and deletes them, and what may stand in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Answer, EDGE, Hub};
use crate::hub::limits::Limits;

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
    let default = Limits::default();
    assert_eq!((default.identities, default.modules, default.active_jobs), (1_000_000, 50, 1));
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
async fn a_delete_needs_a_condition_and_takes_the_modules_with_it() {
    let hub = Hub::start();
    let before = hub.create("/devices/d").await;
    hub.create("/devices/d/modules/m").await;
    hub.ask("PATCH", "/twins/d", None, r#"{"tags":{"a":1}}"#).await;
    hub.send_message("d").await;
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
    let twin = hub.get("/twins/d").await.body;
    assert_eq!((&twin["version"], &twin["cloudToDeviceMessageCount"]), (&json!(2), &json!(0)));
    assert!(twin.get("tags").is_none());
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
        (json!({ "x509Thumbprint": { "primaryThumbprint": "0".repeat(39) } }), "StringIsNotThumbprint"),
        (
            json!({ "type": "magic" }),
            "The body has another form than expected, in authentication.type: one of sas,",
        ),
    ] {
        let answer = put(authentication).await;
        let (status, code, found) = answer.refusal();
        assert_eq!((status, code), (400, "ArgumentInvalid"));
        assert!(found.starts_with(text) && !found.contains(key), "{found}");
    }
    let thumbprint = "aAbB01".repeat(20)[..64].to_owned();
    let x509 = put(json!({ "x509Thumbprint": { "primaryThumbprint": thumbprint } })).await;
    assert_eq!(
        x509.body["authentication"],
        json!({
            "symmetricKey": { "primaryKey": null, "secondaryKey": null },
            "x509Thumbprint": { "primaryThumbprint": thumbprint, "secondaryThumbprint": null },
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
async fn what_an_update_leaves_out_is_gone() {
    let hub = Hub::start();
    hub.ask("PUT", "/devices/d", None, r#"{"status":"disabled","statusReason":"new"}"#).await;
    let device = hub.ask("PUT", "/devices/d", Some("*"), "{}").await.body;
    assert_eq!((&device["status"], &device["statusReason"]), (&json!("enabled"), &Value::Null));
    assert_eq!(device["statusUpdatedTime"], "2024-03-01T10:15:30.0000000Z");

    let path = "/devices/d/modules/m";
    let before = hub.ask("PUT", path, None, r#"{"managedBy":"me"}"#).await.body;
    let after = hub.ask("PUT", path, Some("*"), "{}").await.body;
    assert_eq!((&before["managedBy"], &after["managedBy"]), (&json!("me"), &Value::Null));
    assert_ne!(before["authentication"], after["authentication"], "keys left out are made anew");
    assert_eq!(before["generationId"], after["generationId"]);
    let keys: Vec<_> = after.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "moduleId",
            "managedBy",
            "deviceId",
            "generationId",
            "etag",
            "connectionState",
            "connectionStateUpdatedTime",
            "lastActivityTime",
            "cloudToDeviceMessageCount",
            "authentication",
        ]
    );
}

#[tokio::test]
async fn modules_are_written_under_the_conditions_of_devices() {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    let path = "/devices/d/modules/m";
    assert_eq!(hub.ask("PUT", path, Some("*"), "{}").await.refusal(), (404, "ModuleNotFound", "d/m"));
    let etag = hub.create(path).await["etag"].as_str().unwrap().to_owned();
    assert_eq!(hub.ask("PUT", path, Some(&etag), "{}").await.status, 200);
    for (method, condition) in
        [("PUT", Some(etag.as_str())), ("DELETE", Some(etag.as_str())), ("DELETE", None)]
    {
        assert_eq!(hub.ask(method, path, condition, "{}").await.status, 412, "{method}");
    }
    assert_eq!(hub.ask("DELETE", path, Some("*"), "").await.status, 204);
    assert_eq!(hub.ask("DELETE", path, Some("*"), "").await.refusal(), (404, "ModuleNotFound", "d/m"));

    hub.create(path).await;
    hub.ask("PUT", "/devices/d", Some("*"), r#"{"status":"disabled"}"#).await;
    for path in [path, "/devices/nobody/modules/m"] {
        for (method, condition) in [("GET", None), ("PUT", None), ("PUT", Some("*")), ("DELETE", Some("*"))] {
            let refused = hub.ask(method, path, condition, "{}").await;
            assert_eq!(
                refused.refusal(),
                (401, "IotHubUnauthorizedAccess", "Unauthorized"),
                "{method} {path}"
            );
        }
    }
    assert_eq!(hub.get("/twins/nobody/modules/m").await.refusal(), (404, "DeviceNotFound", "nobody"));
}

#[tokio::test]
async fn keys_and_reasons_have_their_lengths_and_no_more() {
    let hub = Hub::start();
    let put = async |body: Value| {
        hub.ask("DELETE", "/devices/d", Some("*"), "").await;
        hub.ask("PUT", "/devices/d", None, &body.to_string()).await.status
    };
    let keys = |length: usize| {
        let key = STANDARD.encode(vec![7; length]);
        json!({ "authentication": { "symmetricKey": { "primaryKey": key, "secondaryKey": key } } })
    };
    let reason = |length: usize| json!({ "statusReason": "é".repeat(length) });
    for allowed in [keys(16), keys(64), reason(0), reason(128)] {
        assert_eq!(put(allowed.clone()).await, 200, "{allowed}");
    }
    for refused in [keys(15), keys(65), reason(129)] {
        assert_eq!(put(refused.clone()).await, 400, "{refused}");
    }
    let without_thumbprint = json!({ "authentication": { "type": "selfSigned" } });
    assert_eq!(put(without_thumbprint).await, 200);
    let none = r#"{"authentication":{"type":"none"}}"#;
    let module = hub.ask("PUT", "/devices/d/modules/m", None, none).await.body;
    assert_eq!(module["authentication"]["type"], "sas", "a user's module gets keys");
    assert!(module["authentication"]["symmetricKey"]["primaryKey"].is_string());
}

#[tokio::test]
async fn etags_of_identities_and_of_twins_move_apart() {
    let hub = Hub::start();
    for (identity, twin) in [("/devices/d", "/twins/d"), ("/devices/d/modules/m", "/twins/d/modules/m")] {
        let created = hub.create(identity).await;
        let generation = created["generationId"].as_str().unwrap();
        assert!(
            generation.len() == 18 && generation.bytes().all(|digit| digit.is_ascii_digit()),
            "{generation}"
        );
        let counter = STANDARD.decode(created["etag"].as_str().unwrap()).unwrap();
        let counter: u64 = String::from_utf8(counter).unwrap().parse().unwrap();
        let etags = async || {
            let (identity, twin) = (hub.get(identity).await.body, hub.get(twin).await.body);
            assert_eq!(identity["etag"], twin["deviceEtag"]);
            (identity["etag"].clone(), twin["etag"].clone())
        };
        let before = etags().await;
        assert_eq!(before, (created["etag"].clone(), json!("AAAAAAAAAAE=")));
        hub.ask("PATCH", twin, None, r#"{"tags":{"a":1}}"#).await;
        assert_eq!(etags().await, (before.0, json!("AAAAAAAAAAI=")));
        hub.ask("PUT", identity, Some("*"), "{}").await;
        let next = STANDARD.encode((counter + 1).to_string());
        assert_eq!(etags().await, (json!(next), json!("AAAAAAAAAAI=")));
    }
}

#[tokio::test]
async fn a_list_has_at_most_a_thousand_devices() {
    let hub = Hub::start();
    for number in 0..1001 {
        hub.create(&format!("/devices/d{number}")).await;
    }
    for path in ["/devices", "/devices?top=1000", "/devices?top=1001"] {
        assert_eq!(hub.get(path).await.body.as_array().unwrap().len(), 1000, "{path}");
    }
}
