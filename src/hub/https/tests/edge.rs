//! Devices of IoT Edge: the modules of their runtime, their scopes and parents.

use serde_json::{Value, json};

use super::{Answer, EDGE, Hub};

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
