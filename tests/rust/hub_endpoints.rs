//! The hub's port: TLS, the protocols behind it, its owner's requests, and how it stops.

use std::time::{Duration, Instant};

use ferrohub::error::ErrorKind;
use ferrohub::hub::{Hub, HubOptions, OwnerKey};
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{TestHub, soon};

#[tokio::test]
async fn any_protocol_that_alpn_offers_is_fine() {
    let hub = TestHub::start().await;
    for (offered, chosen) in [
        (&[][..], None),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], Some("http/1.1")),
        (&["mqtt"], Some("mqtt")),
        (&["amqp"], Some("amqp")),
        (&["h2"], None),
        (&["x-amzn-mqtt-ca"], None),
    ] {
        let stream = hub.tls(offered).await;
        let protocol =
            stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(protocol.as_deref(), chosen, "{offered:?}");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_so() {
    let hub = TestHub::start().await;
    for hello in
        [&b"GET /devices HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b"\x10\x0c\x00\x04MQTT", b"AMQP\0\x01\0\0"]
    {
        let mut stream = hub.tcp().await;
        stream.write_all(hello).await.unwrap();
        let mut answer = String::new();
        soon("the answer", stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.starts_with("This port speaks TLS"), "{body}");
    }
}

#[tokio::test]
async fn http_methods_that_look_like_amqp_are_none() {
    let hub = TestHub::start().await;
    let mut http = hub.tls(&[]).await;
    for part in ["A", "MX / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"] {
        http.write_all(part.as_bytes()).await.unwrap();
        http.flush().await.unwrap();
    }
    let mut answer = String::new();
    soon("the answer", http.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_hub_with_hanging_clients_serves_others_and_stops_within_a_second() {
    let hub = TestHub::start().await;
    let silent = hub.tcp().await;
    let mut half_hello = hub.tcp().await;
    half_hello.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let after_handshake = hub.tls(&[]).await;
    let mut half_request = hub.tls(&[]).await;
    half_request.write_all(b"GET /devices HT").await.unwrap();
    let mut half_packet = hub.tls(&[]).await;
    half_packet.write_all(&[0x10, 200, 1]).await.unwrap();
    let mut connected = hub.connect("d").await;
    connected.send(&Packet::PingReq).await;
    assert_eq!(connected.receive().await, Packet::PingResp);

    let begin = Instant::now();
    hub.hub.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    connected.expect_end().await;
    drop((silent, half_hello, after_handshake, half_request, half_packet));
}

#[tokio::test]
async fn a_stopped_hub_leaves_its_port_and_its_data_file() {
    let hub = TestHub::start_with_data().await;
    hub.create("d").await;
    let port = hub.hub.port();
    let hub = hub.restart().await;
    assert_eq!(hub.rest("GET", "/devices/d", None).await.0, 200);
    let home = tempfile::tempdir().unwrap();
    let options = HubOptions { port, home: Some(home.path().to_owned()), ..HubOptions::default() };
    let again = Hub::start(options).await.unwrap();
    assert_eq!(again.port(), port);
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let hub = TestHub::start().await;
    let port = hub.hub.port();
    let error = Hub::start(HubOptions { port, ..HubOptions::default() }).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::System);
    assert!(error.to_string().contains(&format!("port {port} is taken")), "{error}");
}

#[tokio::test]
async fn a_hub_that_others_reach_never_has_the_key_that_everyone_knows() {
    let local = TestHub::start().await;
    let connection_string = local.hub.connection_string();
    let known = connection_string.rsplit_once("SharedAccessKey=").unwrap().1;
    for key in [known.to_owned(), format!("{known}\n")] {
        let home = tempfile::tempdir().unwrap();
        let options = HubOptions {
            host_name: Some("hub.example.test".into()),
            key: OwnerKey::Given(key),
            home: Some(home.path().to_owned()),
            ..HubOptions::default()
        };
        let error = Hub::start(options).await.err().expect("it must not start");
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert!(!error.to_string().contains(known));
    }
}

#[tokio::test]
async fn a_host_name_must_be_one_that_others_can_use() {
    for name in ["127.0.0.1", "::1", "localhost:8443", "not a name", ""] {
        let options = HubOptions { host_name: Some(name.into()), ..HubOptions::default() };
        let error = Hub::start(options).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
        assert!(error.message().contains(&format!("{name:?}")), "{error}");
    }
}

#[tokio::test]
async fn a_hub_for_other_machines_never_has_the_well_known_key() {
    let home = tempfile::tempdir().unwrap();
    let local = TestHub::start().await;
    let options = || HubOptions {
        host_name: Some("hub.example.test".into()),
        home: Some(home.path().to_owned()),
        ..HubOptions::default()
    };
    let key = |hub: &Hub| hub.connection_string().rsplit("SharedAccessKey=").next().map(str::to_owned);
    let (one, two) = (Hub::start(options()).await.unwrap(), Hub::start(options()).await.unwrap());
    assert_ne!(key(&one), key(&local.hub));
    assert_ne!(key(&one), key(&two));
    assert!(one.connection_string().starts_with(&format!("HostName=hub.example.test:{};", one.port())));
    assert!(!home.path().join("ca.pem").exists(), "its CA is not the one that clients trust");
}

#[tokio::test]
async fn the_owner_is_answered_in_json() {
    let hub = TestHub::start().await;
    hub.create("d/m").await;
    let ask = async |request: Value| hub.hub.answer(&request.to_string()).await;
    let answer = ask(json!({ "id": 7, "call": "connection_string", "device": "d", "module": "m" })).await;
    assert_eq!(answer["id"], 7);
    assert!(answer["result"].as_str().unwrap().contains(";DeviceId=d;ModuleId=m;SharedAccessKey="));
    let answer = ask(json!({ "call": "connection_string", "device": "nobody" })).await;
    assert_eq!(answer["error"]["kind"], "not_found");
    let answer =
        ask(json!({ "call": "wait_subscribed", "device": "d", "topic": "#", "timeout": 0.01 })).await;
    assert_eq!(answer["error"]["kind"], "timeout");
    let answer = ask(json!({ "id": 8, "call": "make_tea" })).await;
    assert_eq!((&answer["id"], &answer["error"]["kind"]), (&json!(8), &json!("invalid_argument")));
    assert_eq!(hub.hub.answer("no JSON").await["error"]["kind"], "invalid_argument");
    let answer = ask(json!({ "call": "statistics" })).await;
    assert_eq!((&answer["result"]["rest_requests"], &answer["result"]["connects"]), (&json!(2), &json!(0)));
}
