//! The hub's provisioning service over MQTT: who is let in, what it takes, and what ends a connection.

use std::time::Duration;

use ferrohub::auth::SasKey;
use ferrohub::hub::dps::{ID_SCOPE, NewEnrollment};
use ferrohub::hub::faults::Fault;
use ferrohub::protocol::provisioning;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, PubAck};
use serde_json::{Value, json};

use crate::support::{START, SignIn, TestHub, soon};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

/// A hub at which the device reg1 is enrolled.
async fn hub() -> TestHub {
    let hub = TestHub::start().await;
    let enrollment = json!({ "credentials": { "primaryKey": KEY } });
    let enrollment: NewEnrollment = serde_json::from_value(enrollment).unwrap();
    hub.hub.state().enroll("reg1", enrollment).await.unwrap();
    hub
}

/// What that device sends in its CONNECT.
fn sign_in() -> SignIn {
    let resource = provisioning::resource(ID_SCOPE, "reg1");
    SignIn {
        client_id: "reg1".into(),
        username: provisioning::user_name(ID_SCOPE, "reg1", "test"),
        password: SasKey::from_base64(KEY).unwrap().device_token(&resource, START / 1000 + 60),
        clean_session: false,
        keep_alive: 60,
        will: None,
    }
}

#[tokio::test]
async fn a_device_registers_asks_for_the_outcome_and_is_a_device_of_the_hub() {
    let hub = hub().await;
    let mut device = sign_in().connect(&hub).await;
    device.expect_accepted(false).await;
    device.subscribe(&[(provisioning::RESPONSES, AtLeastOnce)]).await;
    let body = r#"{"payload": null, "registrationId": "reg1"}"#;
    let packet_id = device.publish(&provisioning::register("r 1"), AtLeastOnce, body).await;
    assert_eq!(device.receive().await, Packet::PubAck(PubAck { pkid: packet_id }));
    let (topic, body) = device.message().await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=r%201&retry-after=2");
    let body: Value = serde_json::from_str(&body).unwrap();
    let operation_id = body["operationId"].as_str().unwrap();
    device.publish(&provisioning::query("r2", operation_id), AtMostOnce, " ").await;
    let (topic, body) = device.message().await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=r2");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["registrationState"]["assignedHub"], format!("localhost:{}", hub.hub.port()));
    assert_eq!(
        hub.rest("GET", "/devices/reg1", None).await.1["authentication"]["symmetricKey"]["primaryKey"],
        KEY
    );
    device.settle().await;
    device.send(&Packet::Disconnect).await;
    device.expect_end().await;
}

#[tokio::test]
async fn what_is_none_of_the_services_affairs_ends_the_connection() {
    let hub = hub().await;
    let register = provisioning::register("1");
    for topic in
        ["devices/reg1/messages/events/", "$iothub/twin/GET/?$rid=1", "$dps/registrations/PUT/other/?$rid=1"]
    {
        let mut device = sign_in().connect(&hub).await;
        device.expect_accepted(false).await;
        device.publish(topic, AtMostOnce, "{}").await;
        device.expect_end().await;
    }
    let mut device = sign_in().connect(&hub).await;
    device.expect_accepted(false).await;
    device.send_subscribe(&[("$iothub/methods/POST/#", AtMostOnce)]).await;
    device.expect_end().await;
    // Without a subscription nothing is answered, and the connection stays.
    let mut device = sign_in().connect(&hub).await;
    device.expect_accepted(false).await;
    device.publish(&register, AtMostOnce, "{}").await;
    device.settle().await;
}

#[tokio::test]
async fn a_name_that_is_not_the_clients_and_an_ordered_refusal_are_answered_with_their_code() {
    let hub = hub().await;
    let other = SignIn { client_id: "reg2".into(), ..sign_in() };
    other.expect_refused(&hub, ConnectReturnCode::NotAuthorized).await;
    hub.hub.state().order_fault(Fault::RefuseConnects { code: 3 }, None).unwrap();
    sign_in().expect_refused(&hub, ConnectReturnCode::ServiceUnavailable).await;
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first_and_a_device_of_that_name_does_not() {
    let hub = hub().await;
    let mut first = sign_in().connect(&hub).await;
    first.expect_accepted(false).await;
    let mut namesake = hub.connect("reg1").await;
    first.settle().await;
    let mut second = sign_in().connect(&hub).await;
    second.expect_accepted(false).await;
    first.expect_end().await;
    namesake.settle().await;
}

#[tokio::test]
async fn a_silent_device_is_cut_off_and_a_hub_that_stops_waits_for_none() {
    let hub = hub().await;
    let mut silent = SignIn { keep_alive: 1, ..sign_in() }.connect(&hub).await;
    silent.expect_accepted(false).await;
    silent.expect_end().await;
    let mut idle = sign_in().connect(&hub).await;
    idle.expect_accepted(false).await;
    soon("the hub to stop", hub.hub.stop()).await;
    idle.expect_end().await;
}

#[tokio::test]
async fn a_frozen_device_gets_its_answer_after_the_thaw() {
    let hub = hub().await;
    let mut device = sign_in().connect(&hub).await;
    device.expect_accepted(false).await;
    let number = hub.hub.state().order_fault(Fault::Freeze, None).unwrap();
    device.send(&Packet::PingReq).await;
    assert!(device.silent_for(Duration::from_millis(100)).await);
    hub.hub.state().faults.clear(Some(number));
    assert_eq!(device.receive().await, Packet::PingResp);
}
