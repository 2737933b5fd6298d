//! Messages to devices as a back end sends them: what goes over the wire beside what was recorded from Microsoft's
//! package, and what becomes of tokens.

use std::time::Duration;

use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::messaging::{ApplicationProperties, Batch, Body, Data, Message, Properties};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Timestamp, Value};
use ferrohub::auth::SasKey;
use ferrohub::error::ErrorKind;
use ferrohub::service::Credentials;
use ferrohub::service::amqp::{BearerToken, Endpoint, MessageSender, OutgoingMessage};
use ferrohub::tls::Roots;
use serde_json::Value as Json;

use crate::support::{TestHub, soon};

const GOLDEN: &str = include_str!("../golden/golden_amqp_c2d.json");
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

fn sender(hub: &TestHub, policy: &str, key: SasKey) -> MessageSender {
    sender_to(hub.hub.address(), hub, policy, key)
}

/// A sender that reaches the hub at this address.
pub(crate) fn sender_to(address: &str, hub: &TestHub, policy: &str, key: SasKey) -> MessageSender {
    let credentials = Credentials { policy: policy.to_owned(), key };
    let roots = Roots::Bundle(hub.hub.ca_pem_path().to_owned());
    MessageSender::new(Endpoint::hub(address.to_owned(), false, Some(credentials), roots, hub.clock.clone()))
}

/// To the device `d`.
pub(crate) fn message(body: &str) -> OutgoingMessage {
    message_to("d", body)
}

pub(crate) fn message_to(device: &str, body: &str) -> OutgoingMessage {
    let to = format!("/devices/{device}/messages/devicebound");
    with(Properties::builder().to(to).build(), None, data(&[body]))
}

fn with(
    properties: Properties,
    application_properties: Option<ApplicationProperties>,
    body: Body<Value>,
) -> OutgoingMessage {
    Message {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: Some(properties),
        application_properties,
        body,
        footer: None,
    }
}

fn data(sections: &[&str]) -> Body<Value> {
    let section = |text: &&str| Data(Binary::from(text.as_bytes().to_vec()));
    Body::Data(Batch::new(sections.iter().map(section).collect::<Vec<_>>()))
}

#[tokio::test]
async fn a_token_is_renewed_and_an_expired_one_is_replaced_on_a_connection_that_was_idle() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let sender = sender(&hub, "service", hub.policy_key("service"));
    // Sent at once, with little left, and long after the token and what the hub knows of it have expired.
    for (number, idle) in [0, 3500, 3500, 7200, 100_000].into_iter().enumerate() {
        hub.clock.advance(Duration::from_secs(idle));
        soon("the message", sender.send(message(&number.to_string()), None, LIMIT)).await.unwrap();
    }
}

#[tokio::test]
async fn who_may_not_is_told_and_the_next_call_asks_again() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    for (policy, key) in [
        ("service", SasKey::from_base64("Zm9vYmFy").unwrap()),
        ("registryRead", hub.policy_key("registryRead")),
        ("nobody", hub.policy_key("service")),
    ] {
        let sender = sender(&hub, policy, key);
        for _ in 0..2 {
            let refused = soon("the refusal", sender.send(message("x"), None, LIMIT)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{policy}: {refused}");
        }
    }
    let roots = Roots::Bundle(hub.hub.ca_pem_path().to_owned());
    let endpoint = Endpoint::hub(hub.hub.address().to_owned(), false, None, roots, hub.clock.clone());
    let sender = MessageSender::new(endpoint);
    let token = BearerToken { text: "secret".into(), expires: 1_800_000_000 };
    let refused = soon("the refusal", sender.send(message("x"), Some(token), LIMIT)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    assert!(!refused.to_string().contains("secret"));
}

#[tokio::test]
async fn after_a_close_the_next_message_opens_a_connection() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let sender = sender(&hub, "iothubowner", hub.policy_key("iothubowner"));
    for _ in 0..3 {
        soon("the message", sender.send(message("x"), None, LIMIT)).await.unwrap();
        soon("the close", sender.close()).await;
    }
}

// --- beside the recording -----------------------------------------------------------------------------------------

/// The bytes that the official package sent for the messages with these ids.
fn recorded(id: &str) -> Vec<u8> {
    let rows: Json = serde_json::from_str(GOLDEN).unwrap();
    let start = format!("[D(properties ['{id}'");
    let row = rows.as_array().unwrap().iter().find(|row| {
        row["message_on"] == "amqps://localhost/messages/devicebound"
            && row["sections"].as_str().is_some_and(|sections| sections.starts_with(&start))
    });
    let hex = row.unwrap()["hex"].as_str().unwrap().to_owned();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What of the recorded messages can be made of AMQP's own types: an `int` for an id, and lists among the application
/// properties, are none of them.
fn messages() -> Vec<(&'static str, OutgoingMessage)> {
    let to = |id: &str| {
        let to = "/devices/myFirstDevice/messages/devicebound".to_owned();
        Properties::builder().message_id(id.to_owned()).to(to).build()
    };
    let everything = Properties {
        correlation_id: Some("c-1".to_owned().into()),
        content_type: Some(Symbol::from("application/json")),
        content_encoding: Some(Symbol::from("utf-8")),
        absolute_expiry_time: Some(Timestamp::from_milliseconds(1_893_456_000_000)),
        ..to("m-1")
    };
    let application = ApplicationProperties::builder()
        .insert("prop1", "v1")
        .insert("n", 5_i32)
        .insert("f", SimpleValue::Double(1.5.into()))
        .insert("b", true)
        .insert("big", 1_i64 << 40)
        .build();
    let dict = [(Value::String("a".into()), Value::Int(1))].into_iter().collect();
    vec![
        ("m-1", with(everything, Some(application), data(&["hello"]))),
        ("m-2", with(to("m-2"), None, data(&[""]))),
        ("m-3", with(to("m-3"), None, data(&["\0\x01"]))),
        ("m-4", with(to("m-4"), None, Body::from(Value::Map(dict)))),
        ("m-5", with(to("m-5"), None, data(&["a", "b"]))),
        ("m-6", with(to("m-6"), None, Body::from(Value::Null))),
    ]
}

#[test]
fn messages_are_encoded_as_the_official_package_does() {
    for (id, message) in messages() {
        assert_eq!(serde_amqp::to_vec(&Serializable(message)).unwrap(), recorded(id), "{id}");
    }
}
