//! Configurations of IoT Edge devices: which of several deployments counts, what layers add, and content for one device.

use ferrohub::hub::HubState;
use ferrohub::protocol::identity::IdentityId;
use serde_json::{Value, json};

use crate::hub_configurations::{counts, put, seen, tag};
use crate::hub_queries::{create, empty_hub};

async fn edge_device(hub: &HubState, name: &str) -> IdentityId {
    let id = IdentityId::parse(name).unwrap();
    let body = serde_json::from_value(json!({ "capabilities": { "iotEdge": true } })).unwrap();
    hub.put_identity(&id, body, None).await.unwrap();
    id
}

fn module(device: &str, name: &str) -> IdentityId {
    IdentityId::module(device, name).unwrap()
}

#[tokio::test]
async fn a_deployment_sets_the_modules_of_edge_devices_and_a_layer_adds_to_it() {
    let hub = empty_hub();
    let edge = edge_device(&hub, "edge").await;
    create(&hub, "plain").await;
    let agent =
        |modules: Value| json!({ "properties.desired": { "schemaVersion": "1.1", "modules": modules } });
    let base = json!({ "modulesContent": {
        "$edgeAgent": agent(json!({ "filter": { "type": "docker" } })),
        "$edgeHub": { "properties.desired": { "routes": {} } },
        "filter": { "properties.desired": { "rate": 1 } },
    } });
    put(&hub, "base", json!({ "content": base, "targetCondition": "*", "priority": 1 })).await.unwrap();
    let layer = json!({ "modulesContent": {
        "$edgeAgent": { "properties.desired.modules.extra": { "type": "docker" } },
        "$edgeHub": { "properties.desired.routes.all": "FROM /* INTO $upstream" },
    } });
    put(&hub, "layer", json!({ "content": layer, "targetCondition": "tags.x = 1", "priority": 2 }))
        .await
        .unwrap();
    tag(&hub, &edge, json!({ "x": 1 })).await;
    let (desired, statuses) = seen(&hub, &module("edge", "$edgeAgent")).await;
    assert_eq!(desired["modules"], json!({ "filter": { "type": "docker" }, "extra": { "type": "docker" } }));
    assert_eq!(statuses, json!({ "base": "Applied", "layer": "Applied" }));
    let routes = &seen(&hub, &module("edge", "$edgeHub")).await.0["routes"];
    assert_eq!(*routes, json!({ "all": "FROM /* INTO $upstream" }));
    let filter = hub.twin(&module("edge", "filter")).await.unwrap();
    assert_eq!(filter.identity.managed_by.as_deref(), Some("iotEdge"));
    assert_eq!(
        seen(&hub, &module("edge", "filter")).await,
        (json!({ "rate": 1, "$version": 2 }), json!({ "base": "Applied" }))
    );
    assert!(hub.twin(&module("plain", "$edgeAgent")).await.is_err());

    // The agent tells how it went, by the version that it has worked on.
    let version = desired["$version"].as_u64().unwrap();
    for (code, [successful, failed]) in [(200, [1, 0]), (406, [0, 1])] {
        let report = json!({ "lastDesiredVersion": version, "lastDesiredStatus": { "code": code } });
        hub.patch_reported(&module("edge", "$edgeAgent"), report.to_string().as_bytes(), None).await.unwrap();
        let expected = json!({
            "targetedCount": 1, "appliedCount": 1, "reportedSuccessfulCount": successful, "reportedFailedCount": failed
        });
        assert_eq!(counts(&hub, "layer").await, json!([expected, {}]));
    }
    // A module that no deployment names any more keeps nothing of it; the agent hears of one module less.
    tag(&hub, &edge, json!({ "x": 2 })).await;
    let (desired, statuses) = seen(&hub, &module("edge", "$edgeAgent")).await;
    assert_eq!(desired["modules"], json!({ "filter": { "type": "docker" } }));
    assert_eq!(statuses, json!({ "base": "Applied" }));
}

#[tokio::test]
async fn of_two_deployments_the_one_with_the_higher_priority_is_the_whole_of_it() {
    let hub = empty_hub();
    edge_device(&hub, "edge").await;
    for (id, priority) in [("a", 2), ("b", 1)] {
        let content =
            json!({ "modulesContent": { "$edgeAgent": { "properties.desired": { "by": id, (id): 1 } } } });
        put(&hub, id, json!({ "content": content, "targetCondition": "*", "priority": priority }))
            .await
            .unwrap();
    }
    hub.apply_configurations().await.unwrap();
    let agent = module("edge", "$edgeAgent");
    let expected = (json!({ "by": "a", "a": 1, "$version": 2 }), json!({ "a": "Applied", "b": "Targeted" }));
    assert_eq!(seen(&hub, &agent).await, expected);
    put(&hub, "a", json!({ "content": { "modulesContent": { "$edgeAgent": {} } }, "targetCondition": "" }))
        .await
        .unwrap();
    hub.apply_configurations().await.unwrap();
    assert_eq!(
        seen(&hub, &agent).await,
        (json!({ "by": "b", "b": 1, "$version": 3 }), json!({ "b": "Applied" }))
    );
}

#[tokio::test]
async fn a_deployment_makes_no_more_modules_than_a_device_may_have() {
    let hub = empty_hub();
    let edge = edge_device(&hub, "edge").await;
    let content = |modules: usize| {
        let modules = (0..modules).map(|number| (format!("m{number}"), json!({})));
        let modules: serde_json::Map<_, _> = modules.chain([("$edgeAgent".to_owned(), json!({}))]).collect();
        serde_json::from_value(json!({ "modulesContent": modules })).unwrap()
    };
    // Two are there from the beginning.
    let refused = hub.apply_on_edge_device(&edge, &content(49)).await.unwrap_err();
    assert_eq!(refused.code().name(), "TooManyModulesOnDevice");
    assert_eq!(hub.modules(&edge).await.unwrap().len(), 2);
    hub.apply_on_edge_device(&edge, &content(48)).await.unwrap();
    assert_eq!(hub.modules(&edge).await.unwrap().len(), 50);
}

#[tokio::test]
async fn content_is_set_on_a_single_edge_device() {
    let hub = empty_hub();
    let edge = edge_device(&hub, "edge").await;
    let plain = create(&hub, "plain").await;
    let content = |content: Value| serde_json::from_value(content).unwrap();
    let modules = |value: u64| {
        content(json!({ "modulesContent": {
        "$edgeAgent": { "properties.desired": { "value": value } }, "new": { "properties.desired.a": value },
    } }))
    };
    hub.apply_on_edge_device(&edge, &modules(1)).await.unwrap();
    hub.apply_on_edge_device(&edge, &modules(2)).await.unwrap();
    assert_eq!(seen(&hub, &module("edge", "$edgeAgent")).await.0, json!({ "value": 2, "$version": 3 }));
    assert_eq!(seen(&hub, &module("edge", "new")).await.0, json!({ "a": 2, "$version": 3 }));
    let error = hub.apply_on_edge_device(&plain, &modules(1)).await.unwrap_err();
    assert_eq!((error.code().status(), error.message()), (400, "Not an Azure IoT Edge device"));
    let nobody = IdentityId::parse("nobody").unwrap();
    assert_eq!(
        hub.apply_on_edge_device(&nobody, &modules(1)).await.unwrap_err().code().name(),
        "DeviceNotFound"
    );
    let wrong = content(json!({ "deviceContent": { "properties.desired.a": 1 } }));
    let error = hub.apply_on_edge_device(&edge, &wrong).await.unwrap_err();
    assert_eq!(error.code().name(), "InvalidConfigurationContent");
}
