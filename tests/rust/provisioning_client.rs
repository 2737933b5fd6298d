//! What a provisioning client says on the wire, and what it promises when the service doesn't behave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ferrohub::auth::{SasKey, SasToken};
use ferrohub::clock::Clock;
use ferrohub::error::{ErrorKind, Result};
use ferrohub::provisioning::{Attestation, Client, Options};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish};
use tokio::task::JoinHandle;

use crate::device_session::soon;
use crate::scripted_hub::{Connection, ScriptedHub};

const RESPONSES: &str = "$dps/registrations/res/#";
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=";
const QUERY: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=";
const ASSIGNING: &str = r#"{"operationId":"4.op","status":"assigning"}"#;
const ASSIGNED: &str = r#"{"operationId":"4.op","status":"assigned","registrationState":{"deviceId":"d"}}"#;

fn options(hub: &ScriptedHub) -> Options {
    let key = SasKey::from_bytes(b"foobar".to_vec());
    let attestation = Attestation::Key { key, ttl: Duration::from_secs(3600) };
    let mut options = Options::new(hub.host_name(), "0ne0000".into(), "reg1".into(), attestation);
    options.roots = hub.roots();
    options
}

fn register(client: &Arc<Client>, timeout: Option<Duration>) -> JoinHandle<Result<Bytes>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.register(br#"{"a": 1}"#, timeout).await })
}

/// A service, a client, and its call.
async fn registering(timeout: Option<Duration>) -> (ScriptedHub, Arc<Client>, JoinHandle<Result<Bytes>>) {
    let hub = ScriptedHub::start().await;
    let client = Arc::new(Client::new(options(&hub)).unwrap());
    let call = register(&client, timeout);
    (hub, client, call)
}

/// The next connection, let in and listening.
async fn admit(hub: &ScriptedHub) -> (Connection, Connect) {
    let (mut connection, connect) = hub.accept().await;
    connection.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    connection.grant(RESPONSES).await;
    (connection, connect)
}

/// The next packet must be this question; its topic after the beginning.
async fn question(connection: &mut Connection, beginning: &str) -> (Publish, String) {
    let publish = connection.publish().await;
    connection.acknowledge(&publish).await;
    let rest = publish.topic.strip_prefix(beginning).expect(&publish.topic).to_owned();
    (publish, rest)
}

/// Answer the next question; `status` may be followed by what else stands in the topic.
async fn answer(connection: &mut Connection, beginning: &str, status: u16, more: &str, body: &str) -> String {
    let (_, rest) = question(connection, beginning).await;
    let request_id = rest.split('&').next().unwrap();
    connection.tell(&format!("$dps/registrations/res/{status}/?$rid={request_id}{more}"), body).await;
    rest
}

#[tokio::test]
async fn a_registration_is_said_as_by_the_official_package() {
    let hub = ScriptedHub::start().await;
    let mut options = options(&hub);
    options.user_agent = "agent/1 (x;y)".into();
    options.clock = Clock::manual(1_700_000_000_000);
    let client = Arc::new(Client::new(options).unwrap());
    let call = register(&client, None);
    let (mut connection, connect) = admit(&hub).await;
    assert_eq!((connect.client_id.as_str(), connect.clean_session, connect.keep_alive), ("reg1", false, 60));
    let login = connect.login.unwrap();
    assert_eq!(
        login.username,
        "0ne0000/registrations/reg1/api-version=2019-03-31&ClientVersion=agent%2F1%20%28x%3By%29"
    );
    let token = SasToken::parse(&login.password).unwrap();
    assert!(login.password.starts_with("SharedAccessSignature sr=0ne0000%2Fregistrations%2Freg1&sig="));
    assert!(login.password.ends_with("&se=1700003600") && token.policy.is_none());
    assert!(token.signed_by(&SasKey::from_bytes(b"foobar".to_vec())));

    let (asked, first_id) = question(&mut connection, REGISTER).await;
    assert_eq!((asked.qos, asked.retain, asked.dup), (QoS::AtLeastOnce, false, false));
    assert_eq!(&asked.payload[..], br#"{"payload": {"a": 1}, "registrationId": "reg1"}"#);
    let topic = format!("$dps/registrations/res/202/?$rid={first_id}&retry-after=3");
    connection.tell(&topic, ASSIGNING).await;
    let (asked, rest) = question(&mut connection, QUERY).await;
    assert_eq!(&asked.payload[..], b" ");
    let (second_id, operation) = rest.split_once('&').unwrap();
    assert_eq!(operation, "operationId=4.op");
    assert!(second_id != first_id && second_id.len() == 36);
    connection.tell(&format!("$dps/registrations/res/200/?$rid={second_id}"), ASSIGNED).await;
    assert_eq!(connection.next().await, Packet::Disconnect);
    assert_eq!(soon(call).await.unwrap(), ASSIGNED);
    let again = soon(register(&client, None)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ShutDown);
    assert!(again.message().starts_with("Cannot execute method - Pipeline is not running"));
}

#[tokio::test]
async fn what_is_throttled_is_asked_again_after_the_pause_that_the_service_names() {
    let (hub, _client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    let first = answer(&mut connection, REGISTER, 429, "&retry-after=1", "").await;
    let start = Instant::now();
    let second = answer(&mut connection, REGISTER, 202, "", ASSIGNING).await;
    assert!(start.elapsed() >= Duration::from_millis(950), "{:?}", start.elapsed());
    assert_ne!(first, second);
    let first = answer(&mut connection, QUERY, 503, "&retry-after=0", "").await;
    let second = answer(&mut connection, QUERY, 202, "&retry-after=1", ASSIGNING).await;
    assert_ne!(first, second);
    let start = Instant::now();
    answer(&mut connection, QUERY, 200, "", ASSIGNED).await;
    assert!(start.elapsed() >= Duration::from_millis(950), "{:?}", start.elapsed());
    assert_eq!(soon(call).await.unwrap(), ASSIGNED);
}

#[tokio::test]
async fn a_device_that_is_assigned_at_once_asks_no_more() {
    let (hub, _client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    answer(&mut connection, REGISTER, 200, "", ASSIGNED).await;
    assert_eq!(soon(call).await.unwrap(), ASSIGNED);
    assert_eq!(connection.next().await, Packet::Disconnect);
}

#[tokio::test]
async fn every_refusal_is_an_error_with_the_official_sentence_and_the_services_reason() {
    let cases = [
        (
            401,
            r#"{"errorCode":401002,"trackingId":"t-1","message":"Unauthorized"}"#,
            "register request returned a service error status code 401: Unauthorized (error 401002, tracking id t-1)",
        ),
        (428, "no JSON", "register request returned a service error status code 428"),
        (
            200,
            r#"{"operationId":"4","status":"failed","registrationState":{"errorCode":400209,"errorMessage":"No hub"}}"#,
            "Query Status operation returned a failed registration status with a status code of 200: No hub (error \
             400209)",
        ),
        (
            200,
            r#"{"operationId":"4","status":"disabled","registrationState":{"status":"disabled"}}"#,
            "Query Status Operation encountered an invalid registration status disabled with a status code of 200",
        ),
    ];
    let hub = ScriptedHub::start().await;
    let client = Arc::new(Client::new(options(&hub)).unwrap());
    for (status, body, text) in cases {
        // The same client may try again after each.
        let call = register(&client, None);
        let (mut connection, _) = admit(&hub).await;
        answer(&mut connection, REGISTER, status, "", body).await;
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Service(status), text));
        assert_eq!(connection.next().await, Packet::Disconnect);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_of_the_protocol() {
    for body in ["", "[]", r#"{"status":"assigning"}"#] {
        let (hub, _client, call) = registering(None).await;
        let (mut connection, _) = admit(&hub).await;
        answer(&mut connection, REGISTER, 200, "", body).await;
        assert_eq!(soon(call).await.unwrap_err().kind(), ErrorKind::Protocol, "{body}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_waited_for_half_a_minute() {
    for (beginning, name) in [(REGISTER, "register"), (QUERY, "query")] {
        let (hub, _client, call) = registering(None).await;
        let (mut connection, _) = admit(&hub).await;
        if name == "query" {
            answer(&mut connection, REGISTER, 202, "", ASSIGNING).await;
        }
        question(&mut connection, beginning).await;
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let error = call.await.unwrap().unwrap_err();
        let took = start.elapsed();
        tokio::time::resume();
        assert_eq!(error.kind(), ErrorKind::NoAnswer);
        let text =
            format!("Operation timed out before provisioning service could respond for {name} operation");
        assert_eq!(error.message(), text);
        assert!(took > Duration::from_secs(25) && took <= Duration::from_secs(31), "{took:?}");
    }
}

#[tokio::test]
async fn a_registration_ends_with_the_time_of_its_call() {
    let (hub, _client, call) = registering(Some(Duration::from_millis(500))).await;
    let (mut connection, _) = admit(&hub).await;
    answer(&mut connection, REGISTER, 202, "", ASSIGNING).await;
    let error = soon(call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "the provisioning service did not decide within the call's time");
    assert_eq!(connection.next().await, Packet::Disconnect);
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let (hub, client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    question(&mut connection, REGISTER).await;
    call.abort();
    assert_eq!(connection.next().await, Packet::Disconnect);
    // Nothing of it holds the next call up.
    let call = register(&client, None);
    let (mut connection, _) = admit(&hub).await;
    answer(&mut connection, REGISTER, 200, "", ASSIGNED).await;
    soon(call).await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_an_error_until_the_service_is_at_work() {
    let (hub, client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    question(&mut connection, REGISTER).await;
    drop(connection);
    assert_eq!(soon(call).await.unwrap_err().kind(), ErrorKind::ConnectionDropped);
    let refused = register(&client, None);
    hub.refuse(ConnectReturnCode::NotAuthorized).await;
    assert_eq!(soon(refused).await.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn while_the_service_is_at_work_the_outcome_is_asked_for_on_another_connection() {
    let (hub, _client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    answer(&mut connection, REGISTER, 202, "", ASSIGNING).await;
    drop(connection);
    hub.refuse(ConnectReturnCode::ServiceUnavailable).await;
    let (mut connection, _) = admit(&hub).await;
    let rest = answer(&mut connection, QUERY, 200, "", ASSIGNED).await;
    assert!(rest.ends_with("&operationId=4.op"));
    assert_eq!(soon(call).await.unwrap(), ASSIGNED);
}

#[tokio::test]
async fn a_connection_that_is_lost_a_minute_after_the_last_answer_is_an_error() {
    let (hub, _client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    answer(&mut connection, REGISTER, 202, "", ASSIGNING).await;
    drop(connection);
    for _ in 0..2 {
        drop(admit(&hub).await);
    }
    let (mut connection, _) = admit(&hub).await;
    let (_, rest) = question(&mut connection, QUERY).await;
    let topic =
        format!("$dps/registrations/res/202/?$rid={}&retry-after=100", rest.split('&').next().unwrap());
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, ASSIGNING);
    publish.pkid = 1;
    connection.send(Packet::Publish(publish)).await;
    assert_eq!(connection.next().await, Packet::PubAck(PubAck::new(1)), "it has the answer");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    drop(connection);
    assert_eq!(soon(call).await.unwrap_err().kind(), ErrorKind::ConnectionDropped);
}

#[tokio::test]
async fn two_calls_of_one_client_go_one_after_the_other() {
    let (hub, client, call) = registering(None).await;
    let (mut connection, _) = admit(&hub).await;
    question(&mut connection, REGISTER).await;
    let late = soon(register(&client, Some(Duration::from_millis(100)))).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "it waited for the first");
    drop(connection);
    soon(call).await.unwrap_err();
}
