//! Many identities in one request: each is done for itself, or told why not.

use ferrohub::hub::bulk::BulkResult;
use ferrohub::hub::{HubError, HubState};
use ferrohub::protocol::identity::IdentityId;
use serde_json::{Value, json};

use crate::hub_queries::{create, empty_hub, names};

async fn change(hub: &HubState, changes: Value) -> Result<BulkResult, HubError> {
    hub.change_identities(serde_json::from_value(changes).unwrap()).await
}

/// Each error's identity and code.
async fn errors(hub: &HubState, changes: Value) -> Vec<(String, String)> {
    let result = change(hub, changes).await.unwrap();
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    result.errors.iter().map(|error| (text(error, "deviceId"), text(error, "errorCode"))).collect()
}

async fn document(hub: &HubState, name: &str) -> Value {
    let query = format!("SELECT * FROM devices WHERE deviceId = '{name}'");
    hub.query_twins(&query, 1, None).await.unwrap().json().pop().unwrap_or_default()
}

async fn etag(hub: &HubState, name: &str) -> String {
    hub.identity(&IdentityId::parse(name).unwrap()).await.unwrap().identity.etag()
}

fn failed(name: &str, code: &str) -> (String, String) {
    (name.to_owned(), code.to_owned())
}

#[tokio::test]
async fn devices_and_modules_are_created_with_their_twins() {
    let hub = empty_hub();
    let created = change(
        &hub,
        json!([
            { "id": "a", "importMode": "create", "status": "disabled", "statusReason": "new",
              "tags": { "site": "north", "exact": 1.0 }, "properties": { "desired": { "rate": 5 } } },
            { "id": "b", "importMode": "create" },
            { "id": "b", "moduleId": "m", "importMode": "create" },
        ]),
    );
    let result = created.await.unwrap().document();
    assert_eq!(result, json!({ "isSuccessful": true, "errors": [], "warnings": [] }));
    let a = document(&hub, "a").await;
    assert_eq!((&a["status"], &a["statusReason"]), (&json!("disabled"), &json!("new")));
    assert_eq!(a["tags"].to_string(), r#"{"site":"north","exact":1.0}"#);
    assert_eq!(a["properties"]["desired"]["rate"], 5);
    let modules = hub.query_twins("SELECT * FROM devices.modules", 10, None).await.unwrap();
    assert_eq!(names(&modules.json()), ["b/m"]);
}

#[tokio::test]
async fn what_fails_is_told_with_its_code_and_keeps_nothing_else_from_being_done() {
    let hub = empty_hub();
    create(&hub, "old").await;
    let found = errors(
        &hub,
        json!([
            { "id": "old", "importMode": "create" },
            { "id": "missing", "importMode": "update" },
            { "id": "gone", "importMode": "delete" },
            { "id": "no name", "importMode": "create" },
            { "id": "twin", "importMode": "updateTwin", "tags": { "a": 1 } },
            { "id": "alone", "moduleId": "m", "importMode": "create" },
            { "id": "new", "importMode": "create" },
        ]),
    );
    let expected = [
        failed("old", "DeviceAlreadyExists"),
        failed("missing", "DeviceNotFound"),
        failed("gone", "DeviceNotFound"),
        failed("no name", "ArgumentInvalid"),
        failed("twin", "DeviceNotFound"),
        failed("alone", "IotHubUnauthorizedAccess"),
    ];
    assert_eq!(found.await, expected);
    assert_eq!(document(&hub, "new").await["deviceId"], "new");
}

#[tokio::test]
async fn an_identity_that_is_named_twice_is_left_alone() {
    let hub = empty_hub();
    let twice = json!([
        { "id": "a", "importMode": "create" },
        { "id": "b", "importMode": "create" },
        { "id": "a", "importMode": "delete" },
    ]);
    let code = "DeviceDefinedMultipleTimes";
    assert_eq!(errors(&hub, twice).await, [failed("a", code), failed("a", code)]);
    assert_eq!(
        (document(&hub, "a").await, document(&hub, "b").await["status"].clone()),
        (Value::Null, json!("enabled"))
    );
}

#[tokio::test]
async fn etags_hold_updates_deletes_and_twins_to_what_was_read() {
    let hub = empty_hub();
    create(&hub, "d").await;
    let stale = "MQ==";
    let code = "PreconditionFailed";
    for mode in ["updateIfMatchETag", "deleteIfMatchETag", "updateTwinIfMatchETag"] {
        for (etag, twin_etag) in [(Some(stale), Some("AAAAAAAAAAk=")), (None, None)] {
            let change = json!([{ "id": "d", "importMode": mode, "eTag": etag, "twinETag": twin_etag, "tags": { "a": 1 } }]);
            assert_eq!(errors(&hub, change).await, [failed("d", code)], "{mode}");
        }
    }
    let own = etag(&hub, "d").await;
    let update = json!([{ "id": "d", "importMode": "updateIfMatchETag", "eTag": own, "status": "disabled" }]);
    assert_eq!(errors(&hub, update).await, []);
    let twin = json!([{ "id": "d", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAE=", "tags": { "a": 1 } }]);
    assert_eq!(errors(&hub, twin).await, []);
    let found = document(&hub, "d").await;
    assert_eq!((&found["status"], &found["tags"]), (&json!("disabled"), &json!({ "a": 1 })));
    let delete = json!([{ "id": "d", "importMode": "deleteIfMatchETag", "eTag": etag(&hub, "d").await }]);
    assert_eq!(errors(&hub, delete).await, []);
    assert_eq!(document(&hub, "d").await, Value::Null);
}

#[tokio::test]
async fn a_device_whose_twin_breaks_a_rule_is_created_without_it_and_an_update_is_not_done() {
    let hub = empty_hub();
    let bad = json!({ "a.b": 1 });
    let result = change(&hub, json!([{ "id": "d", "importMode": "create", "tags": bad }])).await.unwrap();
    let document_of_result = result.document();
    assert_eq!(document_of_result["isSuccessful"], true);
    assert_eq!(document_of_result["warnings"][0]["warningCode"], "DeviceRegisteredWithoutTwin");
    assert_eq!(document(&hub, "d").await.get("tags"), None);
    let update = json!([{ "id": "d", "importMode": "update", "status": "disabled", "tags": bad }]);
    assert_eq!(errors(&hub, update).await, [failed("d", "ArgumentInvalid")]);
    assert_eq!(document(&hub, "d").await["status"], "enabled");
}

#[tokio::test]
async fn a_request_has_one_to_a_hundred_identities() {
    let hub = empty_hub();
    let one = |number: usize| json!({ "id": format!("d{number}"), "importMode": "create" });
    let many = |count: usize| (0..count).map(one).collect::<Value>();
    for count in [0, 101] {
        let refused = change(&hub, many(count)).await.err().unwrap();
        assert_eq!(
            refused.message(),
            format!("The body holds {count} identities, and 1 to 100 are allowed.")
        );
    }
    assert_eq!(hub.count_devices().await.unwrap().total, 0);
    assert!(change(&hub, many(100)).await.unwrap().errors.is_empty());
    assert_eq!(hub.count_devices().await.unwrap().total, 100);
}
