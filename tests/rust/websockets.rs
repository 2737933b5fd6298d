//! MQTT within WebSockets: what the hub offers, what clients ask for, and any framing between them.

use std::future::Future;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ferrohub::auth::SasKey;
use ferrohub::device::{Credentials, Options};
use ferrohub::error::ErrorKind;
use ferrohub::tls::Roots;
use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::device_session::{client, connect};
use crate::scripted_hub::ScriptedHub;
use crate::support::{self, SignIn, TestHub};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn soon<T>(future: impl Future<Output = T>) -> T {
    support::soon("the other side", future).await
}

/// Options of a client of this hub that uses WebSockets.
async fn options(hub: &TestHub, device: &str) -> Options {
    let connection_string = hub.connection_string(&hub.create(device).await).await;
    let key = SasKey::from_base64(connection_string.get("SharedAccessKey").unwrap()).unwrap();
    let host = connection_string.get("HostName").unwrap().to_owned();
    let mut options = Options::new(host, device.into(), None, Credentials::key(key));
    options.roots = Roots::Bundle(hub.hub.ca_pem_path().to_owned());
    options.clock = hub.clock.clone();
    options.websockets = true;
    options
}

/// Ask the hub for a path with these headers: the head of its answer, and the stream behind it.
async fn ask(hub: &TestHub, path: &str, headers: &str) -> (String, TlsStream<TcpStream>) {
    let mut stream = hub.tls(&[]).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    (read_head(&mut stream).await, stream)
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn websocket(hub: &TestHub) -> WebSocketStream<TlsStream<TcpStream>> {
    let headers = format!("{UPGRADE}Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n");
    let (head, stream) = ask(hub, "/$iothub/websocket", &headers).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

/// The bytes of a CONNECT that the hub accepts.
async fn sign_in(hub: &TestHub, device: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    SignIn::of(hub, &hub.create(device).await).await.packet().write(&mut bytes).unwrap();
    bytes.freeze()
}

async fn receive(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> Option<Message> {
    soon(socket.next()).await.transpose().unwrap()
}

fn accepted() -> Message {
    let mut bytes = BytesMut::new();
    let packet = ConnAck { session_present: false, code: ConnectReturnCode::Success };
    Packet::ConnAck(packet).write(&mut bytes, 100).unwrap();
    Message::Binary(bytes.freeze())
}

#[tokio::test]
async fn a_client_with_websockets_does_all_that_others_do() {
    let hub = TestHub::start().await;
    let client = client(options(&hub, "d").await);
    soon(client.connect(None)).await.unwrap();
    // Above every buffer on the way.
    let body = Bytes::from(vec![7; 250_000]);
    for _ in 0..3 {
        soon(client.send_telemetry("", body.clone(), None)).await.unwrap();
    }
    assert!(hub.hub.telemetry().iter().all(|message| message.body == body));
    assert_eq!(hub.hub.telemetry().len(), 3);
    let twin = soon(client.get_twin(None)).await.unwrap();
    assert_eq!(twin, r#"{"desired":{"$version":1},"reported":{"$version":1}}"#);
    soon(client.shutdown(None)).await.unwrap();
}

#[tokio::test]
async fn hundreds_of_messages_in_flight_pass_a_websocket() {
    let hub = TestHub::start().await;
    let client = client(options(&hub, "d").await);
    let body = Bytes::from(vec![7; 5000]);
    let sending: Vec<_> = (0..500).map(|_| client.send_telemetry("", body.clone(), None)).collect();
    for sent in sending {
        soon(sent).await.unwrap();
    }
    assert_eq!(hub.hub.statistics().telemetry_messages, 500);
}

#[tokio::test]
async fn the_hub_takes_packets_in_any_frames_and_answers_pings() {
    let hub = TestHub::start().await;
    let mut socket = websocket(&hub).await;
    let packet = sign_in(&hub, "d").await;
    for byte in packet.chunks(1) {
        socket.send(Message::Binary(Bytes::copy_from_slice(byte))).await.unwrap();
        socket.send(Message::Binary(Bytes::new())).await.unwrap();
    }
    assert_eq!(receive(&mut socket).await, Some(accepted()));
    socket.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(Message::Pong(Bytes::from_static(b"there?"))));
    // Two packets in one frame.
    socket.send(Message::Binary(Bytes::from_static(&[0xC0, 0, 0xC0, 0]))).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(Message::Binary(Bytes::from_static(&[0xD0, 0, 0xD0, 0]))));
}

#[tokio::test]
async fn a_close_is_confirmed_and_a_text_ends_the_connection() {
    let hub = TestHub::start().await;
    let mut socket = websocket(&hub).await;
    socket.send(Message::Binary(sign_in(&hub, "d").await)).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(accepted()));
    socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(Message::Close(None)));
    assert_eq!(receive(&mut socket).await, None);

    let mut socket = websocket(&hub).await;
    socket.send(Message::Binary(sign_in(&hub, "d").await)).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(accepted()));
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(Message::Close(None)));
}

#[tokio::test]
async fn a_stopping_hub_closes_its_websockets() {
    let hub = TestHub::start().await;
    let mut socket = websocket(&hub).await;
    socket.send(Message::Binary(sign_in(&hub, "d").await)).await.unwrap();
    assert_eq!(receive(&mut socket).await, Some(accepted()));
    soon(hub.hub.stop()).await;
    assert_eq!(receive(&mut socket).await, Some(Message::Close(None)));
}

#[tokio::test]
async fn what_is_no_request_for_a_websocket_of_ours_is_told_why() {
    let hub = TestHub::start().await;
    let mqtt = format!("{UPGRADE}Sec-WebSocket-Protocol: mqtt\r\n");
    let stomp = format!("{UPGRADE}Sec-WebSocket-Protocol: v12.stomp\r\n");
    let path = "/$iothub/websocket";
    for (path, headers, status, why) in [
        ("/mqtt", mqtt.as_str(), "404 Not Found", "There is no path /mqtt."),
        (path, &stomp, "400 Bad Request", "Sec-WebSocket-Protocol has to offer mqtt"),
        (path, UPGRADE, "400 Bad Request", "Sec-WebSocket-Protocol has to offer mqtt"),
        (path, "Sec-WebSocket-Protocol: mqtt\r\n", "400 Bad Request", "is for WebSockets"),
        (path, &mqtt.replace("13", "8"), "400 Bad Request", "Sec-WebSocket-Version"),
        (path, &mqtt.replace(KEY, "short"), "400 Bad Request", "is for WebSockets"),
    ] {
        let (head, mut stream) = ask(&hub, path, &format!("{headers}\r\n")).await;
        let length = head.to_lowercase().split_once("content-length: ").unwrap().1.to_owned();
        let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
        soon(stream.read_exact(&mut body)).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(body.contains(why), "{body}");
    }
}

#[tokio::test]
async fn a_client_asks_for_its_websocket_as_the_official_one_does() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.websockets = true;
    let authority = options.host_name.clone();
    let client = client(options);
    let connecting = connect(&client);
    let mut stream = hub.accept_stream().await;
    let request = read_head(&mut stream).await;
    let key = request.split_once("\r\nSec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
    let mut lines: Vec<&str> = request.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /$iothub/websocket HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "Connection: Upgrade",
            &format!("Host: {authority}"),
            &format!("Origin: https://{authority}"),
            &format!("Sec-WebSocket-Key: {key}"),
            "Sec-WebSocket-Protocol: mqtt",
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
        ]
    );
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let Some(Ok(Message::Binary(packet))) = soon(socket.next()).await else { panic!("no CONNECT") };
    let packet = Packet::read(&mut BytesMut::from(packet), 1 << 20).unwrap();
    assert!(matches!(packet, Packet::Connect(connect) if connect.client_id == "dev1/mod1"));
    // The CONNACK in pieces, with a ping between them.
    let Message::Binary(connack) = accepted() else { panic!() };
    socket.send(Message::Binary(connack.slice(..1))).await.unwrap();
    socket.send(Message::Ping(Bytes::new())).await.unwrap();
    socket.send(Message::Binary(connack.slice(1..))).await.unwrap();
    soon(connecting).await.unwrap().unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Pong(Bytes::new()));

    let disconnecting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.disconnect(None).await }
    });
    let goodbye = soon(socket.next()).await.unwrap().unwrap();
    assert_eq!(goodbye, Message::Binary(Bytes::from_static(&[0xE0, 0])));
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Close(None));
    soon(disconnecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_without_the_websocket_is_a_failed_connection_with_its_answer() {
    for (answer, told) in [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nGo away!\n",
            "the server answered 403 Forbidden Go away!",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "the server answered 200 OK"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the upgrade failed"),
        ("", "the upgrade failed"),
    ] {
        let hub = ScriptedHub::start().await;
        let mut options = hub.options();
        options.websockets = true;
        let client = client(options);
        let connecting = connect(&client);
        let mut stream = hub.accept_stream().await;
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionFailed, "{error}");
        assert!(error.message().contains("/$iothub/websocket: "), "{error}");
        assert!(error.message().contains(told), "{error}");
    }
}
