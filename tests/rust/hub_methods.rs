//! Direct methods: REST in, MQTT to the device and back, and every way in which a call can fail.

use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::mqttbytes::v4::{Packet, PubAck};
use serde_json::{Value, json};

use crate::support::{MqttClient, TestHub, soon};

/// The next call: method name, request id and payload.
async fn next_call(client: &mut MqttClient) -> (String, String, String) {
    let (topic, payload) = client.message().await;
    let request = topics::parse_method_request(&topic).unwrap();
    (request.name, request.request_id, payload)
}

/// The error in the nested form: status, code and text.
fn refusal((status, body): (u16, Value)) -> (u16, u64, String) {
    let inner: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!(body["ExceptionMessage"], "");
    (status, inner["errorCode"].as_u64().unwrap(), inner["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_call_reaches_the_device_and_its_response_the_caller() {
    let hub = TestHub::start().await;
    for (id, path) in [("d", "/twins/d/methods"), ("d/m", "/twins/d/modules/m/methods")] {
        let mut client = hub.connect(id).await;
        client.subscribe(&[(topics::METHODS, AtLeastOnce)]).await;
        let body = json!({ "methodName": "set", "payload": { "b": 1.0, "a": [null] } });
        let responding = async {
            let (name, request_id, payload) = next_call(&mut client).await;
            assert_eq!((name.as_str(), payload.as_str()), ("set", r#"{"b":1.0,"a":[null]}"#));
            u64::from_str_radix(&request_id, 16).unwrap();
            let id =
                client.publish(&topics::method_response(-7, &request_id), AtLeastOnce, r#"{"x":2}"#).await;
            assert_eq!(client.receive().await, Packet::PubAck(PubAck { pkid: id }));
        };
        let (answer, ()) = tokio::join!(hub.rest("POST", path, Some(body)), responding);
        assert_eq!(answer, (200, json!({ "status": -7, "payload": { "x": 2 } })));
    }
}

#[tokio::test]
async fn calls_at_the_same_time_each_get_their_own_response() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    let call = |number| {
        let body = json!({ "methodName": "echo", "payload": number });
        Box::pin(hub.rest("POST", "/twins/d/methods", Some(body)))
    };
    let responding = async {
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(next_call(&mut device).await);
        }
        for (_, request_id, payload) in calls.into_iter().rev() {
            let topic = topics::method_response(200, &request_id);
            device.publish(&topic, AtMostOnce, &payload).await;
            // Whoever answers twice is not heard twice.
            device.publish(&topic, AtMostOnce, "\"again\"").await;
        }
    };
    let (first, second, third, ()) = tokio::join!(call(1), call(2), call(3), responding);
    for (number, answer) in [first, second, third].into_iter().enumerate() {
        assert_eq!(answer, (200, json!({ "status": 200, "payload": number + 1 })));
    }
}

#[tokio::test]
async fn only_the_methods_subscribed_to_are_called() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[("$iothub/methods/POST/reboot/#", AtMostOnce)]).await;
    let call = |name| hub.rest("POST", "/twins/d/methods", Some(json!({ "methodName": name })));
    let (status, code, text) = refusal(call("other").await);
    assert_eq!((status, code), (404, 404_103));
    assert!(text.contains("isn't online or hasn't registered the direct method callback"));
    let responding = async {
        let (name, request_id, payload) = next_call(&mut device).await;
        assert_eq!((name.as_str(), payload.as_str()), ("reboot", "null"));
        device.publish(&topics::method_response(204, &request_id), AtMostOnce, "").await;
    };
    let (answer, ()) = tokio::join!(call("reboot"), responding);
    assert_eq!(answer, (200, json!({ "status": 204, "payload": null })));
}

#[tokio::test]
async fn a_call_waits_for_its_device_as_long_as_it_says() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let body = json!({ "methodName": "m", "connectTimeoutInSeconds": 30 });
    let responding = async {
        let mut device = hub.connect("d").await;
        device.send_subscribe(&[(topics::METHODS, AtMostOnce)]).await;
        assert!(matches!(device.receive().await, Packet::SubAck(_)));
        let (_, request_id, _) = next_call(&mut device).await;
        device.publish(&topics::method_response(200, &request_id), AtMostOnce, "1").await;
        device
    };
    let (answer, _device) = tokio::join!(hub.rest("POST", "/twins/d/methods", Some(body)), responding);
    assert_eq!(answer, (200, json!({ "status": 200, "payload": 1 })));
}

#[tokio::test]
async fn a_device_that_goes_in_the_middle_of_a_call_ends_it() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    let leaving = async {
        next_call(&mut device).await;
        drop(device);
    };
    let call = hub.rest("POST", "/twins/d/methods", Some(json!({ "methodName": "m" })));
    let (answer, ()) = tokio::join!(soon("the end of the call", Box::pin(call)), leaving);
    assert_eq!(refusal(answer), (404, 404_103, "Device unavailable".into()));
}

#[tokio::test]
async fn what_can_not_be_called_is_refused_in_the_nested_form() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let named = || Some(json!({ "methodName": "m" }));
    for (path, body, expected) in [
        ("/twins/nobody/methods", named(), (404, 404_001)),
        ("/twins/nobody/modules/m/methods", named(), (404, 404_001)),
        ("/twins/d/modules/nobody/methods", named(), (404, 404_010)),
        ("/twins/d/methods", named(), (404, 404_103)),
        ("/twins/d/methods", Some(json!({ "payload": 1 })), (400, 400_004)),
        (
            "/twins/d/methods",
            Some(json!({ "methodName": "m", "responseTimeoutInSeconds": -1 })),
            (400, 400_004),
        ),
        ("/twins/d/methods", Some(json!([])), (400, 400_004)),
        ("/twins/d/methods", None, (400, 400_004)),
    ] {
        let (status, code, _) = refusal(hub.rest("POST", path, body).await);
        assert_eq!((status, code), expected, "{path}");
    }
}

#[tokio::test]
async fn a_response_that_is_no_json_is_the_devices_fault() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    let responding = async {
        let (_, request_id, _) = next_call(&mut device).await;
        device.publish(&topics::method_response(200, &request_id), AtMostOnce, "no JSON").await;
    };
    let call = hub.rest("POST", "/twins/d/methods", Some(json!({ "methodName": "m" })));
    let (answer, ()) = tokio::join!(call, responding);
    assert_eq!(refusal(answer).0, 502);
}
