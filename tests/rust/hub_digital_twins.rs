//! Digital twins: what a twin is for IoT Plug and Play, how patches become desired properties, and commands methods.

use ferrohub::hub::HubState;
use ferrohub::hub::registry::IfMatch;
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::AtMostOnce;
use serde_json::{Value, json};

use crate::hub_queries::{create, empty_hub, fill};
use crate::support::{SignIn, TestHub, soon};

/// Patch a digital twin: the desired properties, or the error's code.
async fn patch(hub: &HubState, id: &IdentityId, operations: Value) -> Result<Value, &'static str> {
    let operations: Vec<_> = serde_json::from_value(operations).unwrap();
    let patched = hub.patch_digital_twin(id, &operations, None).await;
    patched.map(|entity| entity.twin.desired.device_view().into()).map_err(|error| error.code().name())
}

fn set(path: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    json!([{ "op": "add", "path": path, "value": value }])
}

fn remove(path: &str) -> Value {
    json!([{ "op": "remove", "path": path }])
}

/// The document, with one moment for all.
async fn document(hub: &HubState, id: &IdentityId) -> Value {
    fn same_time(value: &mut Value) {
        for (key, value) in value.as_object_mut().into_iter().flatten() {
            if key == "lastUpdateTime" {
                assert!(value.as_str().unwrap().ends_with('Z'));
                *value = "then".into();
            }
            same_time(value);
        }
    }
    let (mut document, etag) = hub.digital_twin(id).await.unwrap();
    assert_eq!(etag, hub.twin(id).await.unwrap().twin_etag());
    same_time(&mut document);
    document
}

#[tokio::test]
async fn a_twin_without_a_model_has_a_digital_twin_too() {
    let hub = empty_hub();
    let (device, module) = (create(&hub, "d").await, create(&hub, "d/m").await);
    assert_eq!(document(&hub, &device).await, json!({ "$dtId": "d", "$metadata": { "$model": "" } }));
    assert_eq!(document(&hub, &module).await, json!({ "$dtId": "d~m", "$metadata": { "$model": "" } }));
    let nobody = IdentityId::parse("nobody").unwrap();
    assert_eq!(hub.digital_twin(&nobody).await.unwrap_err().code().name(), "DeviceNotFound");
}

/// The documentation's temperature controller.
#[tokio::test]
async fn what_is_reported_is_the_value_and_what_is_wanted_stands_in_the_metadata() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    let desired =
        json!({ "fanSpeed": 2.0, "thermostat1": { "__t": "c", "targetTemperature": 21.8, "limit": 5 } });
    let reported = json!({
        "serialNumber": "alwinexlepaho8329",
        "fanSpeed": { "value": 3.0, "ac": 200, "av": 1, "ad": "done" },
        "place": { "value": 1, "unit": "m" },
        "thermostat1": {
            "__t": "c", "maxTempSinceLastReboot": 25.3, "targetTemperature": { "value": 20.1, "ac": 202 }
        },
        "thermostat2": { "__t": "c" },
    });
    fill(&hub, &id, json!({ "properties": { "desired": desired } }), Some(reported)).await;
    assert_eq!(
        document(&hub, &id).await,
        json!({
            "$dtId": "d",
            "$metadata": {
                "$model": "",
                "serialNumber": { "lastUpdateTime": "then" },
                "fanSpeed": {
                    "desiredValue": 2.0, "desiredVersion": 2, "ackVersion": 1, "ackCode": 200, "ackDescription": "done",
                    "lastUpdateTime": "then",
                },
                "place": { "lastUpdateTime": "then" },
            },
            "serialNumber": "alwinexlepaho8329",
            "fanSpeed": 3.0,
            "place": { "value": 1, "unit": "m" },
            "thermostat1": {
                "maxTempSinceLastReboot": 25.3,
                "targetTemperature": 20.1,
                "$metadata": {
                    "maxTempSinceLastReboot": { "lastUpdateTime": "then" },
                    "targetTemperature": {
                        "desiredValue": 21.8, "desiredVersion": 2, "ackCode": 202, "lastUpdateTime": "then"
                    },
                    "limit": { "desiredValue": 5, "desiredVersion": 2 },
                },
            },
            "thermostat2": { "$metadata": {} },
        })
    );
}

#[tokio::test]
async fn a_patch_sets_and_clears_desired_values() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    let reported = json!({ "serial": "x", "t": { "__t": "c", "max": 1 } });
    fill(&hub, &id, json!({}), Some(reported)).await;
    let component = |values: Value| {
        let mut values = values;
        values["$metadata"] = json!({});
        values
    };
    for (operations, expected) in [
        (set("/speed", json!(1.0)), json!({ "speed": 1.0 })),
        // What is replaced need not be there.
        (
            json!([{ "op": "replace", "path": "/other", "value": { "x": 1, "y": { "z": "a" } } }]),
            json!({ "speed": 1.0, "other": { "x": 1, "y": { "z": "a" } } }),
        ),
        // Values are set whole.
        (
            set("/other", json!({ "y": { "w": true } })),
            json!({ "speed": 1.0, "other": { "y": { "w": true } } }),
        ),
        (remove("/other"), json!({ "speed": 1.0 })),
        (set("/t/target", json!(20)), json!({ "speed": 1.0, "t": { "__t": "c", "target": 20 } })),
        (set("/t/second", json!(3)), json!({ "speed": 1.0, "t": { "__t": "c", "target": 20, "second": 3 } })),
        (
            set("/t", component(json!({ "target": 21 }))),
            json!({ "speed": 1.0, "t": { "__t": "c", "target": 21 } }),
        ),
        (
            set("/new", component(json!({}))),
            json!({ "speed": 1.0, "t": { "__t": "c", "target": 21 }, "new": { "__t": "c" } }),
        ),
        (remove("/new"), json!({ "speed": 1.0, "t": { "__t": "c", "target": 21 } })),
        // The last property takes its component along.
        (remove("/t/target"), json!({ "speed": 1.0 })),
        // Several operations are one change.
        (
            json!([
                { "op": "add", "path": "/a", "value": 1 }, { "op": "add", "path": "/c/p", "value": 2 },
                { "op": "remove", "path": "/a" }, { "op": "add", "path": "/c/q", "value": 3 },
                { "op": "remove", "path": "/c/p" }, { "op": "remove", "path": "/speed" },
            ]),
            json!({ "c": { "__t": "c", "q": 3 } }),
        ),
    ] {
        let version = hub.twin(&id).await.unwrap().twin.desired.version();
        let mut expected = expected;
        expected["$version"] = (version + 1).into();
        assert_eq!(patch(&hub, &id, operations.clone()).await, Ok(expected), "{operations}");
    }
    // The value that stands there is set again, as its desired version tells; its neighbours are left alone.
    let version =
        |document: &Value, name: &str| document["c"]["$metadata"][name]["desiredVersion"].as_u64().unwrap();
    patch(&hub, &id, set("/c/r", json!(1))).await.unwrap();
    patch(&hub, &id, set("/c/r", json!(1))).await.unwrap();
    let after = document(&hub, &id).await;
    assert_eq!(version(&after, "r"), version(&after, "q") + 2);
    // Clearing what the device reports, and nobody has set, changes nothing.
    let before = hub.twin(&id).await.unwrap();
    for path in ["/serial", "/t", "/t/max"] {
        patch(&hub, &id, remove(path)).await.unwrap();
    }
    assert_eq!(hub.twin(&id).await.unwrap().twin, before.twin);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_nothing_of_the_patch_is_done() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    let body = json!({ "properties": { "desired": { "plain": { "a": 1 }, "c": { "__t": "c", "p": 1 } } } });
    fill(&hub, &id, body, Some(json!({ "reported": { "a": 1 }, "scalar": 1 }))).await;
    let before = hub.twin(&id).await.unwrap();
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "k": inner }));
    for (operations, code) in [
        (set("/plain/a", json!(2)), "ArgumentInvalid"),
        (set("/reported/a", json!(2)), "ArgumentInvalid"),
        (set("/scalar/a", json!(2)), "ArgumentInvalid"),
        (remove("/plain/a"), "ArgumentInvalid"),
        (set("/c", json!({ "p": 2 })), "ArgumentInvalid"),
        (set("/plain", json!({ "$metadata": {} })), "ArgumentInvalid"),
        (set("/c", json!({ "$metadata": { "p": 1 } })), "InvalidDigitalTwinPayload"),
        (set("/c", json!({ "$metadata": {}, "$x": 1 })), "InvalidDigitalTwinPayload"),
        (set("/x", json!([1])), "InvalidDigitalTwinPayload"),
        (set("/x", json!({ "a": [1] })), "InvalidDigitalTwinPayload"),
        (set("/x", Value::Null), "InvalidDigitalTwinPayload"),
        (set("/x", json!({ "1a": 1 })), "InvalidDigitalTwinPayload"),
        (set("/x", deep(6)), "InvalidDigitalTwinPayload"),
        (set("/x", json!("x".repeat(4097))), "ArgumentInvalid"),
        (remove("/nothing"), "InvalidDigitalTwinPatch"),
        (remove("/c/nothing"), "InvalidDigitalTwinPatch"),
        (set("", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("x", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/a/b/c", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/$metadata", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/__t", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/1a", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/a_", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set("/a~1b", json!(1)), "InvalidDigitalTwinPatchPath"),
        (set(&format!("/{}", "a".repeat(65)), json!(1)), "InvalidDigitalTwinPatchPath"),
    ] {
        let mut both = set("/fine", json!(1));
        both.as_array_mut().unwrap().push(operations[0].clone());
        assert_eq!(patch(&hub, &id, both).await, Err(code), "{operations}");
    }
    assert_eq!(hub.twin(&id).await.unwrap(), before);
    for operations in
        [set("/x", deep(5)), set(&format!("/{}", "a".repeat(64)), json!(1)), set("/a_1", json!("é"))]
    {
        assert!(patch(&hub, &id, operations.clone()).await.is_ok(), "{operations}");
    }
    let stale = hub.patch_digital_twin(&id, &[], Some(IfMatch::Etag("stale".to_owned()))).await.unwrap_err();
    assert_eq!(stale.code().name(), "PreconditionFailed");
}

#[tokio::test]
async fn a_device_names_its_model_is_told_of_patches_and_called_by_commands() {
    let hub = TestHub::start().await;
    let id = hub.create("d").await;
    let mut sign_in = SignIn::of(&hub, &id).await;
    sign_in.username.push_str("&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1");
    let mut device = sign_in.connect(&hub).await;
    device.expect_accepted(false).await;
    let filters = [(topics::DESIRED_PATCHES, AtMostOnce), (topics::METHODS, AtMostOnce)];
    device.subscribe(&filters).await;
    let (status, document) = hub.rest("GET", "/digitaltwins/d", None).await;
    assert_eq!((status, &document["$metadata"]["$model"]), (200, &json!("dtmi:com:example:Thermostat;1")));

    let operations = set("/t/target", json!(21.4));
    assert_eq!(hub.rest("PATCH", "/digitaltwins/d", Some(operations)).await, (202, Value::Null));
    let (_, payload) = soon("the patch", device.message()).await;
    assert_eq!(payload, r#"{"t":{"__t":"c","target":21.4},"$version":2}"#);

    for (path, name, sent) in [
        ("/digitaltwins/d/commands/reboot", "reboot", Some(json!({ "delay": 1.5 }))),
        ("/digitaltwins/d/components/t/commands/getReport", "t*getReport", None),
    ] {
        let responding = async {
            let (topic, payload) = device.message().await;
            let request = topics::parse_method_request(&topic).unwrap();
            let expected = sent.as_ref().map_or_else(|| "null".to_owned(), Value::to_string);
            assert_eq!((request.name.as_str(), payload), (name, expected));
            let topic = topics::method_response(202, &request.request_id);
            device.publish(&topic, AtMostOnce, r#"{"ok":[1]}"#).await;
        };
        let (answer, ()) = tokio::join!(hub.rest("POST", path, sent.clone()), responding);
        assert_eq!(answer, (200, json!({ "ok": [1] })));
    }
}
