//! Messages to devices and to the inputs of modules: queued by the hub, delivered over MQTT until acknowledged.

use bytes::Bytes;
use ferrohub::hub::messages::NewMessage;
use ferrohub::protocol::identity::IdentityId;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::mqttbytes::v4::{Packet, PubAck};

use crate::support::{MqttClient, SignIn, TestHub};

const DEVICEBOUND: &str = "devices/d/messages/devicebound/#";
const TOPIC: &str = "devices/d/messages/devicebound/%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound";

fn message(body: &str) -> NewMessage {
    NewMessage { properties: Vec::new(), body: Bytes::from(body.to_owned()) }
}

async fn send(hub: &TestHub, bodies: &[&str]) {
    let device = IdentityId::parse("d").unwrap();
    for body in bodies {
        hub.hub.state().send_to_device(&device, message(body)).await.unwrap();
    }
}

async fn kept_session(hub: &TestHub) -> SignIn {
    SignIn { clean_session: false, ..SignIn::of(hub, &hub.create("d").await).await }
}

async fn acknowledge(client: &mut MqttClient, packet_id: u16) {
    client.send(&Packet::PubAck(PubAck { pkid: packet_id })).await;
}

/// How many messages the hub says are waiting.
async fn waiting(hub: &TestHub) -> u64 {
    let (_, twin) = hub.rest("GET", "/twins/d", None).await;
    let (_, identity) = hub.rest("GET", "/devices/d", None).await;
    assert_eq!(twin["cloudToDeviceMessageCount"], identity["cloudToDeviceMessageCount"]);
    twin["cloudToDeviceMessageCount"].as_u64().unwrap()
}

#[tokio::test]
async fn a_subscribed_device_gets_a_message_at_once_and_its_acknowledgement_removes_it() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(DEVICEBOUND, AtLeastOnce)]).await;
    send(&hub, &["hello"]).await;
    let (topic, body, packet_id, again) = device.acknowledgeable().await;
    assert_eq!((topic.as_str(), body.as_str(), again), (TOPIC, "hello", false));
    device.settle().await;
    assert_eq!(waiting(&hub).await, 1);
    acknowledge(&mut device, packet_id).await;
    device.settle().await;
    assert_eq!(waiting(&hub).await, 0);
}

#[tokio::test]
async fn messages_wait_for_the_subscription_and_come_in_order_after_its_acknowledgement() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    send(&hub, &["1", "2", "3"]).await;
    device.settle().await;
    device.subscribe(&[(DEVICEBOUND, AtLeastOnce)]).await;
    for expected in ["1", "2", "3"] {
        assert_eq!(device.acknowledgeable().await.1, expected);
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_right_after_connecting_with_the_same_packet_id() {
    let hub = TestHub::start_with_data().await;
    let sign_in = kept_session(&hub).await;
    let mut device = sign_in.connect(&hub).await;
    device.expect_accepted(false).await;
    device.subscribe(&[(DEVICEBOUND, AtLeastOnce)]).await;
    send(&hub, &["1", "2", "3"]).await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(device.acknowledgeable().await);
    }
    acknowledge(&mut device, sent[1].2).await;
    device.settle().await;

    // Neither the connection nor the hub has to live for it.
    let hub = hub.restart().await;
    send(&hub, &["4"]).await;
    let mut device = kept_session(&hub).await.connect(&hub).await;
    device.expect_accepted(true).await;
    for (number, body, again) in [(Some(0), "1", true), (Some(2), "3", true), (None, "4", false)] {
        let redelivered = device.acknowledgeable().await;
        assert_eq!((redelivered.1.as_str(), redelivered.3), (body, again));
        if let Some(number) = number {
            let before: &(_, _, u16, _) = &sent[number];
            assert_eq!(redelivered.2, before.2);
        }
        acknowledge(&mut device, redelivered.2).await;
    }
    device.settle().await;
    assert_eq!(waiting(&hub).await, 0);
}

#[tokio::test]
async fn at_most_once_means_that_sent_is_delivered() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(DEVICEBOUND, AtMostOnce)]).await;
    send(&hub, &["hello"]).await;
    assert_eq!(device.message().await, (TOPIC.to_owned(), "hello".to_owned()));
    device.settle().await;
    assert_eq!(waiting(&hub).await, 0);
}

#[tokio::test]
async fn more_messages_than_fit_on_the_way_follow_as_room_is_made() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    let id = IdentityId::parse("d/m").unwrap();
    for number in 0..120 {
        hub.hub.state().send_to_input(&id, "in", message(&number.to_string())).await.unwrap();
    }
    module.subscribe(&[("devices/d/modules/m/inputs/#", AtLeastOnce)]).await;
    for number in 0..120 {
        let (topic, body, packet_id, _) = module.acknowledgeable().await;
        assert_eq!((topic.as_str(), body), ("devices/d/modules/m/inputs/in/", number.to_string()));
        acknowledge(&mut module, packet_id).await;
    }
}

#[tokio::test]
async fn a_modules_whole_filter_brings_its_inputs_too() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    module.subscribe(&[("devices/d/modules/m/#", AtLeastOnce)]).await;
    let id = IdentityId::parse("d/m").unwrap();
    let properties = vec![("k".to_owned(), "v".to_owned())];
    hub.hub.state().send_to_input(&id, "in", NewMessage { properties, body: Bytes::new() }).await.unwrap();
    assert_eq!(module.acknowledgeable().await.0, "devices/d/modules/m/inputs/in/k=v");
}

#[tokio::test]
async fn a_message_that_is_never_acknowledged_is_given_up_after_ten_deliveries() {
    let hub = TestHub::start().await;
    let sign_in = kept_session(&hub).await;
    let mut device = sign_in.connect(&hub).await;
    device.expect_accepted(false).await;
    device.subscribe(&[(DEVICEBOUND, AtLeastOnce)]).await;
    send(&hub, &["poison"]).await;
    for delivery in 1..=10 {
        assert_eq!(device.acknowledgeable().await.3, delivery > 1);
        device = sign_in.connect(&hub).await;
        device.expect_accepted(true).await;
    }
    device.settle().await;
    assert_eq!(waiting(&hub).await, 0);
}
