//! CONNECT and what follows from it: who is let in, for how long, and what outlives a connection.

use std::time::{Duration, Instant};

use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::mqttbytes::v4::ConnectReturnCode::{NotAuthorized, RefusedProtocolVersion, ServiceUnavailable};
use rumqttc::mqttbytes::v4::{LastWill, Packet, Unsubscribe};
use serde_json::json;

use crate::support::{SignIn, TestHub};

#[tokio::test]
async fn wrong_credentials_are_refused_with_5_whatever_is_wrong_with_them() {
    let hub = TestHub::start().await;
    let right = SignIn::of(&hub, &hub.create("d").await).await;
    let other = SignIn::of(&hub, &hub.create("e").await).await;
    let wrong = [
        SignIn { password: other.password.clone(), ..right.clone() },
        SignIn { password: String::new(), ..right.clone() },
        SignIn { password: "secret".into(), ..right.clone() },
        SignIn { username: "d".into(), ..right.clone() },
        SignIn { username: other.username.clone(), ..right.clone() },
        SignIn { username: right.username.replace("localhost", "elsewhere.net"), ..right.clone() },
        SignIn { client_id: "e".into(), ..right.clone() },
        SignIn {
            client_id: "nobody".into(),
            username: right.username.replace("/d/", "/nobody/"),
            ..right.clone()
        },
    ];
    for sign_in in wrong {
        sign_in.expect_refused(&hub, NotAuthorized).await;
    }
    hub.clock.advance(Duration::from_secs(3601));
    right.expect_refused(&hub, NotAuthorized).await;
    assert_eq!(hub.hub.statistics().connects, 0);
}

#[tokio::test]
async fn a_disabled_device_is_refused_with_3_and_its_connection_is_closed() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    let id = hub.create("d").await;
    let sign_in = SignIn::of(&hub, &id).await;
    let (_, mut identity) = hub.rest("GET", "/devices/d", None).await;
    identity["status"] = json!("disabled");
    assert_eq!(hub.rest_if_match("PUT", "/devices/d", Some(identity)).await.0, 200);
    device.expect_end().await;
    sign_in.expect_refused(&hub, ServiceUnavailable).await;
}

#[tokio::test]
async fn another_version_of_mqtt_is_refused_with_1() {
    let hub = TestHub::start().await;
    let sign_in = SignIn::of(&hub, &hub.create("d").await).await;
    for level in [3, 5, 6] {
        let mut bytes = bytes::BytesMut::new();
        sign_in.packet().write(&mut bytes).unwrap();
        let name = bytes.windows(4).position(|window| window == b"MQTT").unwrap();
        bytes[name + 4] = level;
        let mut client = SignIn::raw(&hub, &bytes).await;
        client.expect_refusal(RefusedProtocolVersion).await;
    }
}

#[tokio::test]
async fn the_newest_connection_of_an_identity_wins() {
    let hub = TestHub::start().await;
    let mut old = hub.connect("d").await;
    let mut new = hub.connect("d").await;
    old.expect_end().await;
    new.send(&Packet::PingReq).await;
    assert_eq!(new.receive().await, Packet::PingResp);
    let (_, identity) = hub.rest("GET", "/devices/d", None).await;
    assert_eq!(identity["connectionState"], "Connected");
    new.send(&Packet::Disconnect).await;
    new.expect_end().await;
    let (_, identity) = hub.rest("GET", "/devices/d", None).await;
    assert_eq!(identity["connectionState"], "Disconnected");
}

#[tokio::test]
async fn a_connection_ends_when_its_token_expires() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    hub.clock.advance(Duration::from_secs(3599));
    device.send(&Packet::PingReq).await;
    assert_eq!(device.receive().await, Packet::PingResp);
    hub.clock.advance(Duration::from_secs(1));
    device.expect_end().await;
}

#[tokio::test]
async fn a_silent_client_is_cut_off_after_one_and_a_half_keep_alives() {
    let hub = TestHub::start().await;
    let sign_in = SignIn { keep_alive: 1, ..SignIn::of(&hub, &hub.create("d").await).await };
    let mut client = sign_in.connect(&hub).await;
    client.expect_accepted(false).await;
    let begin = Instant::now();
    client.expect_end().await;
    assert!(begin.elapsed() > Duration::from_millis(1400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn deleting_an_identity_or_changing_its_keys_closes_its_connections() {
    let hub = TestHub::start().await;
    let mut module = hub.connect("d/m").await;
    let mut other = hub.connect("d/n").await;
    assert_eq!(hub.rest("DELETE", "/devices/d/modules/m", None).await.0, 204);
    module.expect_end().await;
    let (_, mut identity) = hub.rest("GET", "/devices/d/modules/n", None).await;
    identity["authentication"]["symmetricKey"] = json!({
        "primaryKey": "bmV3IGtleSwgbmV3IGtleSwgbmV3IGtleSwgbmV3ICE=",
        "secondaryKey": "bmV3IGtleSwgbmV3IGtleSwgbmV3IGtleSwgbmV3ICE="
    });
    assert_eq!(hub.rest_if_match("PUT", "/devices/d/modules/n", Some(identity)).await.0, 200);
    other.expect_end().await;
}

#[tokio::test]
async fn a_kept_session_has_its_subscriptions_without_subscribing_again() {
    let hub = TestHub::start_with_data().await;
    let id = hub.create("d/m").await;
    let sign_in = SignIn { clean_session: false, ..SignIn::of(&hub, &id).await };
    let mut module = sign_in.connect(&hub).await;
    module.expect_accepted(false).await;
    module.subscribe(&[(topics::TWIN_RESPONSES, AtMostOnce), (topics::DESIRED_PATCHES, AtMostOnce)]).await;

    // It outlives the connection, and the hub.
    let hub = hub.restart().await;
    let sign_in = SignIn { clean_session: false, ..SignIn::of(&hub, &id).await };
    let mut module = sign_in.connect(&hub).await;
    module.expect_accepted(true).await;
    hub.patch_desired(&id, json!({ "a": 1 })).await;
    assert_eq!(module.message().await.1, r#"{"a":1,"$version":2}"#);

    // What was unsubscribed is gone from it; a clean session ends it.
    let filter = topics::DESIRED_PATCHES.to_owned();
    module.send(&Packet::Unsubscribe(Unsubscribe { pkid: 9, topics: vec![filter] })).await;
    assert!(matches!(module.receive().await, Packet::UnsubAck(answer) if answer.pkid == 9));
    hub.patch_desired(&id, json!({ "a": 2 })).await;
    assert_eq!(module.get_twin().await.0, "$iothub/twin/res/200/?$rid=r1");
    let mut clean = SignIn { clean_session: true, ..sign_in.clone() }.connect(&hub).await;
    clean.expect_accepted(false).await;
    drop(clean);
    sign_in.connect(&hub).await.expect_accepted(false).await;
}

#[tokio::test]
async fn a_last_will_arrives_as_telemetry_unless_the_client_says_goodbye() {
    let hub = TestHub::start().await;
    let id = hub.create("d").await;
    let will = LastWill::new("devices/d/messages/events/a=b", "gone", AtMostOnce, false);
    let sign_in = SignIn { will: Some(will), ..SignIn::of(&hub, &id).await };
    let mut polite = sign_in.connect(&hub).await;
    polite.expect_accepted(false).await;
    polite.send(&Packet::Disconnect).await;
    polite.expect_end().await;
    assert!(hub.hub.telemetry().is_empty());

    let mut kicked = sign_in.connect(&hub).await;
    kicked.expect_accepted(false).await;
    kicked.publish("nowhere", AtMostOnce, "").await;
    kicked.expect_end().await;
    let messages = hub.hub.telemetry();
    assert_eq!(messages.len(), 1);
    assert_eq!((&*messages[0].properties, &*messages[0].body), ("a=b&iothub-MessageType=Will", &b"gone"[..]));

    let will = LastWill::new("devices/e/messages/events/", "", AtMostOnce, false);
    SignIn { will: Some(will), ..sign_in }.expect_refused(&hub, ServiceUnavailable).await;
}

#[tokio::test]
async fn what_a_device_does_shows_in_its_presence_and_leaves_its_etags() {
    let hub = TestHub::start().await;
    let id = hub.create("d").await;
    let documents = async || {
        let identity = hub.rest("GET", "/devices/d", None).await.1;
        let twin = hub.rest("GET", "/twins/d", None).await.1;
        assert_eq!(identity["connectionState"], twin["connectionState"]);
        assert_eq!(identity["lastActivityTime"], twin["lastActivityTime"]);
        (identity, twin)
    };
    let (identity, twin) = documents().await;
    assert_eq!(identity["connectionState"], "Disconnected");
    assert_eq!(identity["connectionStateUpdatedTime"], "0001-01-01T00:00:00Z");

    let mut device = SignIn::of(&hub, &id).await.connect(&hub).await;
    device.expect_accepted(false).await;
    device.subscribe(&[("$iothub/twin/res/#", AtMostOnce)]).await;
    device.publish("devices/d/messages/events/", AtLeastOnce, "x").await;
    assert!(matches!(device.receive().await, Packet::PubAck(_)));
    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", AtMostOnce, "{}").await;
    assert_eq!(device.message().await.0, "$iothub/twin/res/204/?$rid=1&$version=2");

    let (identity_now, twin_now) = documents().await;
    assert_eq!(identity_now["connectionState"], "Connected");
    assert_eq!(identity_now["connectionStateUpdatedTime"], "2023-11-14T22:13:20.0000000Z");
    assert_eq!((&identity_now["etag"], &twin_now["etag"]), (&identity["etag"], &twin["etag"]));
    assert_eq!(twin_now["version"], 3);
    assert!(twin_now.get("connectionStateUpdatedTime").is_none() && twin_now.get("generationId").is_none());
    assert_eq!(hub.rest("GET", "/statistics/service", None).await.1["connectedDeviceCount"], 1);
}
