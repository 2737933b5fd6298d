//! What a client promises when the hub or the network doesn't behave.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrohub::auth::{SasKey, SasToken};
use ferrohub::clock::Clock;
use ferrohub::device::{Client, Credentials, Kind, Options};
use ferrohub::error::{ErrorKind, Result};
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, SubAck, SubscribeReasonCode};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::scripted_hub::{Connection, LIMIT, ScriptedHub};

const RESPONSES: &str = "$iothub/twin/res/#";
const PATCHES: &str = "$iothub/twin/PATCH/properties/desired/#";
const PATCH_TOPIC: &str = "$iothub/twin/PATCH/properties/desired/?$version=";

pub(crate) fn client(options: Options) -> Arc<Client> {
    Arc::new(Client::new(options, &Handle::current()).unwrap())
}

pub(crate) async fn soon<T>(work: JoinHandle<T>) -> T {
    timeout(LIMIT, work).await.expect("the call hangs").unwrap()
}

pub(crate) fn send(client: &Arc<Client>, payload: &'static str) -> JoinHandle<Result<()>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.send_telemetry("", Bytes::from_static(payload.as_bytes()), None).await })
}

pub(crate) fn connect(client: &Arc<Client>) -> JoinHandle<Result<()>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.connect(None).await })
}

fn get_twin(client: &Arc<Client>) -> JoinHandle<Result<Bytes>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.get_twin(None).await })
}

fn listen(client: &Arc<Client>) -> JoinHandle<Result<()>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.enable(Kind::DesiredPatch, None).await })
}

/// A hub, a connected client, and their connection.
pub(crate) async fn connected(change: impl FnOnce(&mut Options)) -> (ScriptedHub, Arc<Client>, Connection) {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    change(&mut options);
    let client = client(options);
    let connecting = connect(&client);
    let connection = hub.admit(false).await;
    soon(connecting).await.unwrap();
    assert!(client.is_connected());
    (hub, client, connection)
}

/// A client that connects to listen to desired properties, whose version is 1.
async fn listening() -> (ScriptedHub, Arc<Client>, Connection) {
    let hub = ScriptedHub::start().await;
    let client = client(hub.options());
    let enabling = listen(&client);
    let mut connection = hub.admit(false).await;
    connection.grant(RESPONSES).await;
    connection.grant(PATCHES).await;
    connection.answer_twin(r#"{"desired":{"$version":1},"reported":{"$version":1}}"#).await;
    soon(enabling).await.unwrap();
    (hub, client, connection)
}

async fn next_patch(client: &Client) -> String {
    let patch = timeout(LIMIT, client.next_desired_patch()).await.expect("no patch came").unwrap();
    String::from_utf8(patch.to_vec()).unwrap()
}

#[tokio::test]
async fn the_connect_is_the_one_of_the_official_package() {
    let hub = ScriptedHub::start().await;
    let client = client(hub.options());
    let connecting = tokio::spawn(async move { client.connect(None).await });
    let (_connection, connect) = hub.accept().await;
    assert_eq!(connect.client_id, "dev1/mod1");
    assert_eq!(connect.keep_alive, 60);
    assert!(!connect.clean_session);
    assert!(connect.last_will.is_none());
    let login = connect.login.unwrap();
    let host = hub.options().host_name;
    assert!(
        login
            .username
            .starts_with(&format!("{host}/dev1/mod1/?api-version=2019-10-01&DeviceClientType=ferrohub"))
    );
    let token = SasToken::parse(&login.password).unwrap();
    assert_eq!(token.resource, format!("{host}/devices/dev1/modules/mod1"));
    connecting.abort();
}

#[tokio::test]
async fn each_refusal_of_the_connect_is_an_error_of_its_kind() {
    let cases = [
        (ConnectReturnCode::RefusedProtocolVersion, ErrorKind::Protocol),
        (ConnectReturnCode::BadClientId, ErrorKind::Protocol),
        (ConnectReturnCode::ServiceUnavailable, ErrorKind::ConnectionFailed),
        (ConnectReturnCode::BadUserNamePassword, ErrorKind::Unauthorized),
        (ConnectReturnCode::NotAuthorized, ErrorKind::Unauthorized),
    ];
    let hub = ScriptedHub::start().await;
    let client = client(hub.options());
    for (code, kind) in cases {
        let connecting = connect(&client);
        hub.refuse(code).await;
        assert_eq!(soon(connecting).await.unwrap_err().kind(), kind, "{code:?}");
        assert!(!client.is_connected());
    }
}

#[tokio::test]
async fn a_call_connects_and_subscribes_once() {
    let hub = ScriptedHub::start().await;
    let client = client(hub.options());
    let twin = get_twin(&client);
    let mut connection = hub.admit(false).await;
    connection.grant(RESPONSES).await;
    connection.answer_twin("{}").await;
    assert_eq!(soon(twin).await.unwrap(), "{}");
    let again = get_twin(&client);
    connection.answer_twin(r#"{"desired":{}}"#).await;
    assert_eq!(soon(again).await.unwrap(), r#"{"desired":{}}"#);
}

#[tokio::test]
async fn without_auto_connect_a_call_fails_at_once() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.auto_connect = false;
    let error = client(options).get_twin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

#[tokio::test]
async fn an_answer_before_the_acknowledgement_counts() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    let twin = get_twin(&client);
    connection.grant(RESPONSES).await;
    let publish = connection.publish().await;
    assert_eq!(&publish.payload[..], b" ");
    let request_id = publish.topic.rsplit('=').next().unwrap().to_owned();
    connection.tell("$iothub/twin/res/200/?$rid=somebody-else", "{}").await;
    connection.tell(&format!("$iothub/twin/res/200/?$rid={request_id}"), r#"{"a":1}"#).await;
    assert_eq!(soon(twin).await.unwrap(), r#"{"a":1}"#);
    connection.acknowledge(&publish).await;
    let sent = send(&client, "after");
    let next = connection.publish().await;
    connection.acknowledge(&next).await;
    soon(sent).await.unwrap();
}

#[tokio::test]
async fn a_refused_twin_operation_carries_the_hubs_status_and_sentence() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    let patching = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.patch_reported_properties(Bytes::from_static(b"[]"), None).await }
    });
    connection.grant(RESPONSES).await;
    let publish = connection.publish().await;
    assert!(publish.topic.starts_with("$iothub/twin/PATCH/properties/reported/?$rid="));
    let request_id = publish.topic.rsplit('=').next().unwrap().to_owned();
    connection.acknowledge(&publish).await;
    connection
        .tell(
            &format!("$iothub/twin/res/400/?$rid={request_id}"),
            r#"{"errorCode":400004,"message":"no object"}"#,
        )
        .await;
    let error = soon(patching).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service(400));
    assert_eq!(error.message(), "twin operation returned status 400: no object");
}

#[tokio::test]
async fn a_refused_subscription_is_an_error() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    let enabling = listen(&client);
    let Packet::Subscribe(subscribe) = connection.next().await else { panic!("no SUBSCRIBE") };
    connection.send(Packet::SubAck(SubAck::new(subscribe.pkid, vec![SubscribeReasonCode::Failure]))).await;
    let error = soon(enabling).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains(RESPONSES));
}

#[tokio::test]
async fn a_call_ends_at_its_time_and_tells_what_became_of_it() {
    let (_hub, client, mut connection) = connected(|options| options.window = 1).await;
    let sent = client.send_telemetry("", Bytes::from_static(b"a"), Some(Duration::from_millis(50)));
    let queued = client.send_telemetry("", Bytes::from_static(b"b"), Some(Duration::from_millis(50)));
    let (sent, queued) = tokio::join!(sent, queued);
    let (sent, queued) = (sent.unwrap_err(), queued.unwrap_err());
    assert_eq!((sent.kind(), queued.kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
    assert!(sent.message().ends_with("(sent, not acknowledged)"), "{sent}");
    assert!(queued.message().ends_with("(never sent)"), "{queued}");
    assert_eq!(connection.publish().await.payload, "a");
}

#[tokio::test]
async fn what_was_not_acknowledged_when_the_link_was_lost_is_sent_again_as_a_duplicate() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let first = send(&client, "first");
    let publish = connection.publish().await;
    drop(connection);
    let mut connection = hub.admit(true).await;
    let second = send(&client, "second");
    let again = connection.publish().await;
    assert_eq!(
        (again.dup, again.pkid, &again.topic, &again.payload),
        (true, publish.pkid, &publish.topic, &publish.payload)
    );
    connection.acknowledge(&again).await;
    soon(first).await.unwrap();
    let next = connection.publish().await;
    assert!(!next.dup);
    connection.acknowledge(&next).await;
    soon(second).await.unwrap();
}

#[tokio::test]
async fn an_abandoned_message_is_not_sent_again() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let abandoned = send(&client, "abandoned");
    connection.publish().await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    drop(connection);
    let mut connection = hub.admit(true).await;
    let _sent = send(&client, "next");
    assert_eq!(connection.publish().await.payload, "next");
}

#[tokio::test]
async fn without_connection_retry_a_lost_link_fails_what_is_under_way() {
    let (_hub, client, mut connection) = connected(|options| options.connection_retry = false).await;
    let sent = send(&client, "x");
    connection.publish().await;
    drop(connection);
    let error = soon(sent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.message().ends_with("(sent, not acknowledged)"), "{error}");
}

#[tokio::test]
async fn a_question_without_an_answer_is_asked_again_after_a_reconnect() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let twin = get_twin(&client);
    connection.grant(RESPONSES).await;
    let publish = connection.publish().await;
    connection.acknowledge(&publish).await;
    drop(connection);
    let mut connection = hub.admit(true).await;
    connection.answer_twin(r#"{"late":true}"#).await;
    assert_eq!(soon(twin).await.unwrap(), r#"{"late":true}"#);
}

#[tokio::test]
async fn subscriptions_are_made_again_when_the_hub_has_lost_the_session() {
    let (hub, client, connection) = listening().await;
    drop(connection);
    let mut connection = hub.admit(false).await;
    connection.grant(PATCHES).await;
    connection.grant(RESPONSES).await;
    connection.answer_twin(r#"{"desired":{"$version":1},"reported":{}}"#).await;
    connection.tell(&format!("{PATCH_TOPIC}2"), r#"{"a":1,"$version":2}"#).await;
    assert_eq!(next_patch(&client).await, r#"{"a":1,"$version":2}"#);
}

#[tokio::test]
async fn a_client_that_was_connected_before_it_listens_reads_the_twin_only_after_a_reconnect() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let enabling = listen(&client);
    connection.grant(RESPONSES).await;
    connection.grant(PATCHES).await;
    soon(enabling).await.unwrap();
    let sent = send(&client, "next");
    assert_eq!(connection.publish().await.payload, "next");
    drop((connection, sent));
    let mut connection = hub.admit(true).await;
    assert_eq!(connection.publish().await.payload, "next");
    connection.answer_twin(r#"{"desired":{"a":1,"$version":5},"reported":{}}"#).await;
    assert_eq!(next_patch(&client).await, r#"{"a":1,"$version":5}"#);
}

#[tokio::test]
async fn a_connection_on_which_the_hub_refuses_to_subscribe_again_is_given_up_for_another() {
    let (hub, client, connection) = listening().await;
    drop(connection);
    let mut connection = hub.admit(false).await;
    let Packet::Subscribe(subscribe) = connection.next().await else { panic!("no SUBSCRIBE") };
    connection.send(Packet::SubAck(SubAck::new(subscribe.pkid, vec![SubscribeReasonCode::Failure]))).await;
    let mut connection = hub.admit(false).await;
    connection.grant(PATCHES).await;
    connection.grant(RESPONSES).await;
    connection.answer_twin(r#"{"desired":{"a":1,"$version":2},"reported":{}}"#).await;
    assert_eq!(next_patch(&client).await, r#"{"a":1,"$version":2}"#);
}

#[tokio::test]
async fn a_kept_session_is_not_subscribed_to_again_and_a_missed_change_is_delivered_once() {
    let (hub, client, connection) = listening().await;
    drop(connection);
    let mut connection = hub.admit(true).await;
    connection.answer_twin(r#"{"desired":{"a":1,"$version":2},"reported":{}}"#).await;
    assert_eq!(next_patch(&client).await, r#"{"a":1,"$version":2}"#);
    connection.tell(&format!("{PATCH_TOPIC}2"), r#"{"a":1,"$version":2}"#).await;
    connection.tell(&format!("{PATCH_TOPIC}3"), r#"{"a":2,"$version":3}"#).await;
    assert_eq!(next_patch(&client).await, r#"{"a":2,"$version":3}"#);
}

#[tokio::test]
async fn reconnecting_goes_on_through_refusals_that_may_pass() {
    let (hub, client, connection) =
        connected(|options| options.connection_retry_interval = Duration::from_millis(10)).await;
    drop(connection);
    hub.refuse(ConnectReturnCode::ServiceUnavailable).await;
    hub.refuse(ConnectReturnCode::NotAuthorized).await;
    let mut connection = hub.admit(true).await;
    let sent = send(&client, "x");
    let publish = connection.publish().await;
    connection.acknowledge(&publish).await;
    soon(sent).await.unwrap();
}

#[tokio::test]
async fn disconnect_cancels_what_is_under_way_and_says_goodbye() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let sent = send(&client, "x");
    connection.publish().await;
    client.disconnect(None).await.unwrap();
    assert!(!client.is_connected());
    assert_eq!(connection.next().await, Packet::Disconnect);
    assert_eq!(soon(sent).await.unwrap_err().kind(), ErrorKind::Cancelled);
    let sent = send(&client, "y");
    let mut connection = hub.admit(true).await;
    assert_eq!(connection.publish().await.payload, "y", "the cancelled message must not haunt");
    drop(sent);
}

#[tokio::test]
async fn after_a_shutdown_calls_say_so() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    client.shutdown(None).await.unwrap();
    assert_eq!(connection.next().await, Packet::Disconnect);
    assert_eq!(client.connect(None).await.unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(client.get_twin(None).await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_shutdown_ends_who_waits_to_receive() {
    let (_hub, client, _connection) = listening().await;
    let receiving = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.next_desired_patch().await }
    });
    client.shutdown(None).await.unwrap();
    assert_eq!(soon(receiving).await.unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(client.enable(Kind::DesiredPatch, None).await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_question_under_way_is_asked_again_after_the_subscription_to_answers_is_made_again() {
    let (hub, client, mut connection) = connected(|_| {}).await;
    let twin = get_twin(&client);
    connection.grant(RESPONSES).await;
    connection.publish().await;
    drop(connection);
    let mut connection = hub.admit(false).await;
    connection.grant(RESPONSES).await;
    connection.answer_twin("{}").await;
    assert_eq!(soon(twin).await.unwrap(), "{}");
}

#[tokio::test]
async fn a_dropped_client_disconnects() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    drop(client);
    assert_eq!(connection.next().await, Packet::Disconnect);
}

#[tokio::test]
async fn the_token_is_renewed_before_it_expires_and_nothing_in_flight_is_sent_twice() {
    let clock = Clock::manual(1_700_000_000_000);
    let (hub, client, mut connection) = connected(|options| {
        options.clock = clock.clone();
        let key = SasKey::from_bytes(b"foobar".to_vec());
        options.credentials = Credentials::Key { key, ttl: Duration::from_secs(100) };
    })
    .await;
    let sent = send(&client, "x");
    let publish = connection.publish().await;
    clock.advance(Duration::from_secs(80));
    let queued = send(&client, "y");
    connection.acknowledge(&publish).await;
    soon(sent).await.unwrap();
    assert_eq!(connection.next().await, Packet::Disconnect);
    let (mut connection, connect) = hub.accept().await;
    let token = SasToken::parse(&connect.login.unwrap().password).unwrap();
    assert_eq!(token.expires_unix_seconds, 1_700_000_180);
    connection.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, true))).await;
    let next = connection.publish().await;
    assert_eq!((next.dup, &next.payload[..]), (false, &b"y"[..]));
    connection.acknowledge(&next).await;
    soon(queued).await.unwrap();
    assert_eq!(client.statistics().1, 0, "a renewal is no reconnect");
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_is_ignored() {
    let (_hub, client, mut connection) = connected(|_| {}).await;
    connection.send(Packet::PubAck(PubAck::new(77))).await;
    let twin = get_twin(&client);
    let Packet::Subscribe(subscribe) = connection.next().await else { panic!("no SUBSCRIBE") };
    connection.send(Packet::PubAck(PubAck::new(subscribe.pkid))).await;
    let granted = vec![SubscribeReasonCode::Success(rumqttc::mqttbytes::QoS::AtLeastOnce)];
    connection.send(Packet::SubAck(SubAck::new(subscribe.pkid, granted))).await;
    connection.answer_twin("{}").await;
    soon(twin).await.unwrap();
}

#[tokio::test]
async fn topics_with_wildcards_are_refused_before_anything_is_sent() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.device_id = "a+b".into();
    let client = client(options);
    let error = client.send_telemetry("", Bytes::new(), None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Unsendable, "Publish topic cannot contain wildcards.")
    );
    let error = client.enable(Kind::Message, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsendable);
    assert!(error.message().starts_with("Invalid subscription filter."));
}
