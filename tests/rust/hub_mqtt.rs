//! The hub's MQTT endpoint after CONNECT: telemetry, twins, and what ends a connection.

use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use rumqttc::mqttbytes::v4::{Packet, PubAck, Publish};
use serde_json::{Value, json};

use crate::support::{SignIn, TestHub, soon};

#[tokio::test]
async fn a_module_reads_its_twin_reports_and_hears_of_changes_in_order() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    module.subscribe(&[(topics::TWIN_RESPONSES, AtMostOnce), (topics::DESIRED_PATCHES, AtMostOnce)]).await;

    let twin = r#"{"desired":{"$version":1},"reported":{"$version":1}}"#;
    assert_eq!(module.get_twin().await, ("$iothub/twin/res/200/?$rid=r1".into(), twin.into()));

    module.publish(&topics::reported_patch("r2"), AtMostOnce, r#"{"a":1}"#).await;
    assert_eq!(module.message().await, ("$iothub/twin/res/204/?$rid=r2&$version=2".into(), String::new()));

    let id = hub.create("d/n").await;
    hub.patch_desired(&id, json!({ "of": "another module" })).await;
    let id = ferrohub::protocol::identity::IdentityId::parse("d/m").unwrap();
    for interval in [122, 123] {
        hub.patch_desired(&id, json!({ "telemetryInterval": interval, "gone": null })).await;
    }
    for (interval, version) in [(122, 2), (123, 3)] {
        let (topic, payload) = module.message().await;
        assert_eq!(topic, format!("$iothub/twin/PATCH/properties/desired/?$version={version}"));
        let expected = json!({ "telemetryInterval": interval, "gone": null, "$version": version });
        assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), expected);
    }
    assert_eq!(hub.hub.statistics().desired_patches_published, 2);
}

#[tokio::test]
async fn a_refused_twin_operation_answers_with_a_status_and_the_connection_stays() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::TWIN_RESPONSES, AtMostOnce)]).await;
    for (topic, payload) in [
        ("$iothub/twin/PATCH/properties/reported/?$rid=1", "no JSON"),
        ("$iothub/twin/PATCH/properties/reported/?$rid=1", r#"{"$bad":1}"#),
    ] {
        device.publish(topic, AtMostOnce, payload).await;
        let (topic, body) = device.message().await;
        assert_eq!(topic, "$iothub/twin/res/400/?$rid=1");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errorCode"], 400_004);
        assert!(body["trackingId"].is_string() && body["timestampUtc"].is_string());
    }
    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=2&$version=7", AtMostOnce, "{}").await;
    assert_eq!(device.message().await.0, "$iothub/twin/res/412/?$rid=2");
    assert_eq!(device.get_twin().await.0, "$iothub/twin/res/200/?$rid=r1");
}

#[tokio::test]
async fn telemetry_is_kept_and_acknowledged_in_order_as_often_as_it_was_sent() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    let topic = "devices/d/modules/m/messages/events/%24.mid=1&key=a%20b";
    let mut sent = Vec::new();
    for number in 0..500 {
        sent.push(module.publish(topic, AtLeastOnce, &format!("message {number}")).await);
    }
    for packet_id in sent {
        assert_eq!(module.receive().await, Packet::PubAck(PubAck { pkid: packet_id }));
    }
    module.publish("devices/d/modules/m/messages/events", AtMostOnce, "last").await;
    module.send(&Packet::PingReq).await;
    assert_eq!(module.receive().await, Packet::PingResp);

    let messages = hub.hub.telemetry();
    assert_eq!((messages.len(), hub.hub.statistics().telemetry_messages), (501, 501));
    assert_eq!(messages[7].sender.id.to_string(), "d/m");
    assert_eq!((&*messages[7].properties, &*messages[7].body), ("%24.mid=1&key=a%20b", &b"message 7"[..]));
    assert_eq!((&*messages[500].properties, &*messages[500].body), ("", &b"last"[..]));
}

#[tokio::test]
async fn a_message_that_was_to_be_retained_says_so_among_its_properties() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    for topic in ["devices/d/messages/events/", "devices/d/messages/events/a=b"] {
        let publish = Publish { retain: true, ..Publish::new(topic, AtMostOnce, "x") };
        device.send(&Packet::Publish(publish)).await;
    }
    device.send(&Packet::PingReq).await;
    assert_eq!(device.receive().await, Packet::PingResp);
    let properties: Vec<_> = hub.hub.telemetry().iter().map(|message| message.properties.clone()).collect();
    assert_eq!(properties, ["mqtt-retain=true", "a=b&mqtt-retain=true"]);
}

#[tokio::test]
async fn a_message_of_256_kib_arrives_and_a_larger_one_ends_the_connection() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    let largest = "x".repeat(256 * 1024);
    let id = device.publish("devices/d/messages/events/", AtLeastOnce, &largest).await;
    assert_eq!(device.receive().await, Packet::PubAck(PubAck { pkid: id }));
    device.publish("devices/d/messages/events/", AtLeastOnce, &format!("{largest}x")).await;
    device.expect_end().await;
}

#[tokio::test]
async fn the_hub_grants_at_most_qos_1() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    let filters = [
        (topics::METHODS, AtMostOnce),
        (topics::TWIN_RESPONSES, AtLeastOnce),
        ("devices/d/messages/devicebound/#", ExactlyOnce),
    ];
    assert_eq!(device.subscribe(&filters).await, [AtMostOnce, AtLeastOnce, AtLeastOnce]);
}

#[tokio::test]
async fn publishing_where_it_may_not_ends_the_connection() {
    let hub = TestHub::start().await;
    for (topic, qos) in [
        ("devices/e/messages/events/", AtMostOnce),
        ("devices/d/modules/m/messages/events/", AtMostOnce),
        ("$iothub/twin/GET/", AtMostOnce),
        ("anything", AtMostOnce),
        ("devices/d/messages/events/", ExactlyOnce),
    ] {
        let mut device = hub.connect("d").await;
        device.publish(topic, qos, "x").await;
        device.expect_end().await;
    }
    assert_eq!(hub.hub.statistics().telemetry_messages, 0);
}

#[tokio::test]
async fn subscribing_to_what_it_may_not_ends_the_connection() {
    let hub = TestHub::start().await;
    let five_methods: Vec<String> = (0..6).map(|name| format!("$iothub/methods/POST/{name}/#")).collect();
    let too_many: Vec<_> = five_methods.iter().map(|filter| (filter.as_str(), AtMostOnce)).collect();
    for filters in [&[("#", AtMostOnce)][..], &[("devices/e/messages/devicebound/#", AtMostOnce)], &too_many]
    {
        let mut device = hub.connect("d").await;
        device.send_subscribe(filters).await;
        device.expect_end().await;
    }
}

#[tokio::test]
async fn malformed_and_unexpected_packets_end_the_connection() {
    let hub = TestHub::start().await;
    let connect_again = {
        let mut bytes = bytes::BytesMut::new();
        let sign_in = SignIn::of(&hub, &hub.create("d").await).await;
        sign_in.packet().write(&mut bytes).unwrap();
        bytes.to_vec()
    };
    for bytes in [
        &connect_again[..],
        &[0xd0, 0],                                  // PINGRESP
        &[0xf0, 0],                                  // no such type
        &[0x80, 8, 0, 1, 0, 3, b'a', b'/', b'b', 0], // SUBSCRIBE without its reserved flag
        &[0x30, 0xff, 0xff, 0xff, 0x7f],             // a PUBLISH of 256 MiB
    ] {
        let mut device = hub.connect("d").await;
        device.send_bytes(bytes).await;
        device.expect_end().await;
    }
}

#[tokio::test]
async fn one_who_waits_for_a_subscription_hears_of_it() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    let id = ferrohub::protocol::identity::IdentityId::parse("d/m").unwrap();
    let waiting = hub.hub.wait_subscribed(&id, topics::DESIRED_PATCHES);
    let subscribing = module.subscribe(&[(topics::DESIRED_PATCHES, AtMostOnce)]);
    soon("the subscription", async { tokio::join!(waiting, subscribing) }).await;
    // Once it is, nobody has to wait.
    soon("the same", hub.hub.wait_subscribed(&id, topics::DESIRED_PATCHES)).await;
}
