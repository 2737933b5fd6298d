//! Messages to devices over AMQP: how a connection may begin, who may send, and how each refusal looks.

use std::time::Duration;

use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::link::{LinkStateError, SendError, Sender};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition, LinkError};
use fe2o3_amqp::types::messaging::{ApplicationProperties, Body, Data, Message, Outcome, Properties};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Timestamp, Value};
use fe2o3_amqp::{Connection, Delivery, Receiver, Session};
use ferrohub::auth::SasKey;
use serde_json::Value as Json;

use crate::support::{START, TestHub, soon};

const DEVICEBOUND: &str = "/messages/devicebound";
pub(crate) const NOW: u64 = START / 1000;

/// A back end.
pub(crate) struct BackEnd {
    _connection: ConnectionHandle<()>,
    pub(crate) session: SessionHandle<()>,
}

async fn open(hub: &TestHub, sasl: Option<SaslProfile>) -> Result<ConnectionHandle<()>, OpenError> {
    let builder = Connection::builder().container_id("test").hostname("localhost");
    let builder = match sasl {
        Some(profile) => builder.sasl_profile(profile),
        None => builder,
    };
    soon("OPEN", Box::pin(builder.open_with_stream(hub.tls(&[]).await))).await
}

pub(crate) fn token(hub: &TestHub, policy: &str, expires: u64) -> String {
    hub.policy_key(policy).service_token("localhost", policy, expires)
}

fn plain(policy: &str, token: String) -> SaslProfile {
    SaslProfile::Plain { username: format!("{policy}@sas.root.localhost"), password: token }
}

impl BackEnd {
    pub(crate) async fn anonymous(hub: &TestHub) -> Self {
        Self::on(open(hub, Some(SaslProfile::Anonymous)).await.unwrap()).await
    }

    /// One that may send, for a minute.
    pub(crate) async fn admitted(hub: &TestHub) -> Self {
        let profile = plain("service", token(hub, "service", NOW + 60));
        Self::on(open(hub, Some(profile)).await.unwrap()).await
    }

    async fn on(mut connection: ConnectionHandle<()>) -> Self {
        let session = soon("BEGIN", Session::begin(&mut connection)).await.unwrap();
        Self { _connection: connection, session }
    }

    /// Show a token; the status of the answer.
    pub(crate) async fn put_token(&mut self, token: String) -> i32 {
        let mut answers = Receiver::attach(&mut self.session, "answers", "$cbs").await.unwrap();
        let mut requests = Sender::attach(&mut self.session, "requests", "$cbs").await.unwrap();
        let properties = ApplicationProperties::builder()
            .insert("operation", "put-token")
            .insert("type", "servicebus.windows.net:sastoken")
            .insert("name", "https://localhost")
            .build();
        let message = Message::builder()
            .properties(Properties::builder().message_id(7).build())
            .application_properties(properties)
            .value(token)
            .build();
        soon("the token's disposition", requests.send(message))
            .await
            .unwrap()
            .accepted_or("refused")
            .unwrap();
        let answer: Delivery<Body<Value>> = soon("the answer", answers.recv()).await.unwrap();
        answers.accept(&answer).await.unwrap();
        assert_eq!(answer.message().properties.as_ref().unwrap().correlation_id, Some(7.into()));
        let properties = &answer.message().application_properties.as_ref().unwrap().0;
        answers.close().await.unwrap();
        requests.close().await.unwrap();
        match properties.get("status-code") {
            Some(SimpleValue::Int(status)) => *status,
            status => panic!("the status is {status:?}"),
        }
    }

    async fn sender(&mut self, address: &str) -> Sender {
        soon("ATTACH", Sender::attach(&mut self.session, format!("to {address}"), address)).await.unwrap()
    }

    /// With a link for messages to devices.
    async fn sender_of_its_own(mut self) -> (Self, Sender) {
        let sender = self.sender(DEVICEBOUND).await;
        (self, sender)
    }

    /// Attach a link that is refused: the reason.
    async fn refusal(&mut self, address: &str) -> Error {
        let mut sender = self.sender(address).await;
        let ending =
            soon("DETACH", sender.send(message("/devices/d/messages/devicebound"))).await.unwrap_err();
        reason(ending)
    }
}

fn reason(ending: SendError) -> Error {
    match ending {
        SendError::LinkStateError(LinkStateError::RemoteClosedWithError(error)) => error,
        ending => panic!("it ended otherwise: {ending:?}"),
    }
}

fn message(to: &str) -> Message<Data> {
    Message::builder()
        .properties(Properties::builder().to(to.to_owned()).build())
        .data(Binary::from("hello".to_owned().into_bytes()))
        .build()
}

/// The error of an outcome: its condition, and the code in its description.
fn rejected(outcome: Outcome) -> (ErrorCondition, u64) {
    let Outcome::Rejected(rejected) = outcome else { panic!("it was not rejected: {outcome:?}") };
    let error = rejected.error.unwrap();
    let info = error.info.unwrap();
    assert!(info.contains_key(&Symbol::from("com.microsoft:tracking-id")));
    let description: Json = serde_json::from_str(&error.description.unwrap()).unwrap();
    (error.condition, description["errorCode"].as_u64().unwrap())
}

fn microsofts(name: &str) -> ErrorCondition {
    ErrorCondition::Custom(Symbol::from(format!("com.microsoft:{name}")))
}

#[tokio::test]
async fn a_connection_may_begin_with_or_without_sasl() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    for sasl in [None, Some(SaslProfile::Anonymous)] {
        let mut back_end = BackEnd::on(open(&hub, sasl).await.unwrap()).await;
        assert_eq!(back_end.refusal(DEVICEBOUND).await.condition, AmqpError::UnauthorizedAccess.into());
        assert_eq!(back_end.put_token(token(&hub, "service", NOW + 60)).await, 200);
        let mut sender = back_end.sender("amqps://localhost/messages/devicebound").await;
        let outcome = soon("DISPOSITION", sender.send(message("/devices/d/messages/devicebound"))).await;
        outcome.unwrap().accepted_or("refused").unwrap();
    }
}

#[tokio::test]
async fn plain_has_the_token_with_it() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let (_back_end, mut sender) = BackEnd::admitted(&hub).await.sender_of_its_own().await;
    let outcome = soon("DISPOSITION", sender.send(message("/devices/d/messages/devicebound"))).await;
    outcome.unwrap().accepted_or("refused").unwrap();
    for profile in [
        plain("service", token(&hub, "service", NOW)),
        plain("iothubowner", token(&hub, "service", NOW + 60)),
        plain("service", "nonsense".into()),
        SaslProfile::Plain { username: "service".into(), password: token(&hub, "service", NOW + 60) },
    ] {
        let refused = open(&hub, Some(profile)).await.unwrap_err();
        assert!(matches!(refused, OpenError::SaslError { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_token_is_checked_when_it_is_shown_and_its_rights_when_a_link_is_attached() {
    let hub = TestHub::start().await;
    let mut back_end = BackEnd::anonymous(&hub).await;
    let foreign = SasKey::from_base64("Zm9vYmFy").unwrap().service_token("localhost", "service", NOW + 60);
    assert_eq!(back_end.put_token(foreign).await, 401);
    assert_eq!(back_end.put_token(token(&hub, "service", NOW)).await, 401);
    assert_eq!(back_end.put_token("nonsense".into()).await, 400);
    let device = SasKey::from_base64("Zm9vYmFy").unwrap().device_token("localhost/devices/d", NOW + 60);
    assert_eq!(back_end.put_token(device).await, 501);
    assert_eq!(back_end.put_token(token(&hub, "registryRead", NOW + 60)).await, 200);
    assert_eq!(back_end.refusal(DEVICEBOUND).await.condition, AmqpError::UnauthorizedAccess.into());
}

#[tokio::test]
async fn a_link_ends_when_the_token_has_expired_and_goes_on_with_a_new_one() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let (mut back_end, mut sender) = BackEnd::admitted(&hub).await.sender_of_its_own().await;
    let send = async |sender: &mut Sender| {
        soon("DISPOSITION", sender.send(message("/devices/d/messages/devicebound"))).await
    };
    hub.clock.advance(Duration::from_secs(59));
    assert_eq!(back_end.put_token(token(&hub, "service", NOW + 120)).await, 200);
    hub.clock.advance(Duration::from_secs(60));
    send(&mut sender).await.unwrap().accepted_or("refused").unwrap();
    hub.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(send(&mut sender).await.unwrap_err()).condition, AmqpError::UnauthorizedAccess.into());
}

#[tokio::test]
async fn links_that_the_hub_has_not_say_so() {
    let hub = TestHub::start().await;
    let mut back_end = BackEnd::admitted(&hub).await;
    for address in ["/devices/d/messages/events", "/messages/events", "elsewhere"] {
        let refusal = back_end.refusal(address).await;
        assert_eq!(refusal.condition, AmqpError::NotImplemented.into());
        assert!(refusal.description.unwrap().contains(address));
    }
}

#[tokio::test]
async fn each_refusal_has_its_condition_and_the_link_stays() {
    let hub = TestHub::start().await;
    for device in ["d", "full"] {
        hub.create(device).await;
    }
    let (_back_end, mut sender) = BackEnd::admitted(&hub).await.sender_of_its_own().await;
    let d = "/devices/d/messages/devicebound";
    let expired =
        Properties::builder().to(d.to_owned()).absolute_expiry_time(Timestamp::from_milliseconds(1));
    let large = Binary::from(vec![0; 65_600]);
    let cases = [
        (message("/devices/nobody/messages/devicebound"), AmqpError::NotFound.into(), 404_001),
        (message("/devices/d/modules/m/messages/devicebound"), microsofts("argument-error"), 400_004),
        (message("/devices//messages/devicebound"), microsofts("argument-error"), 400_004),
        (message(""), microsofts("argument-error"), 400_004),
        (
            Message { properties: Some(expired.build()), ..message("") },
            microsofts("argument-out-of-range"),
            403_009,
        ),
        (Message { body: Data(large), ..message(d) }, LinkError::MessageSizeExceeded.into(), 413_001),
    ];
    for (message, condition, code) in cases {
        let outcome = soon("DISPOSITION", sender.send(message)).await.unwrap();
        assert_eq!(rejected(outcome), (condition, code));
    }
    let list = Message::builder().properties(Properties::builder().to(d.to_owned()).build());
    let list = list.value(Value::List(vec![Value::Int(1)])).build();
    let outcome = soon("DISPOSITION", sender.send(list)).await.unwrap();
    assert_eq!(rejected(outcome), (AmqpError::NotImplemented.into(), 501_000));
    for _ in 0..50 {
        let outcome = soon("DISPOSITION", sender.send(message("/devices/full/messages/devicebound"))).await;
        outcome.unwrap().accepted_or("refused").unwrap();
    }
    let outcome =
        soon("DISPOSITION", sender.send(message("/devices/full/messages/devicebound"))).await.unwrap();
    assert_eq!(rejected(outcome), (AmqpError::ResourceLimitExceeded.into(), 403_004));
}

#[tokio::test]
async fn accepted_is_on_disk_and_in_order() {
    let hub = TestHub::start_with_data().await;
    let id = hub.create("d").await;
    let (back_end, mut sender) = BackEnd::admitted(&hub).await.sender_of_its_own().await;
    let mut waiting = Vec::new();
    for number in 0..50_u8 {
        let message =
            Message { body: Data(Binary::from(vec![number])), ..message("/devices/d/messages/devicebound") };
        waiting.push(sender.send_batchable(message).await.unwrap());
    }
    for outcome in waiting {
        soon("DISPOSITION", outcome).await.unwrap().accepted_or("refused").unwrap();
    }
    drop((sender, back_end));
    let hub = hub.restart().await;
    let state = hub.hub.state();
    let bodies = state.store.peek(|state| state.get(&id).unwrap().messages.clone());
    assert_eq!(bodies.len(), 50);
    let mut device = hub.connect("d").await;
    device.subscribe(&[("devices/d/messages/devicebound/#", rumqttc::mqttbytes::QoS::AtMostOnce)]).await;
    for number in 0..50_u8 {
        assert_eq!(device.message().await.1, char::from(number).to_string());
    }
}

#[tokio::test]
async fn a_hub_that_stops_says_so() {
    let hub = TestHub::start().await;
    let (_back_end, mut sender) = BackEnd::admitted(&hub).await.sender_of_its_own().await;
    soon("the end of the hub", hub.hub.stop()).await;
    let ending = soon("the end of the link", sender.send(message("/devices/d/messages/devicebound"))).await;
    assert!(format!("{:?}", ending.unwrap_err()).contains("the hub is stopping"));
}
