//! Faults that were ordered: what a device then sees on the wire.

use std::time::{Duration, Instant};

use ferrohub::hub::faults::Fault;
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::mqttbytes::v4::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
use rumqttc::mqttbytes::v4::{Packet, PubAck, SubscribeReasonCode};

use crate::support::{SignIn, TestHub};

const EVENTS: &str = "devices/d/messages/events/";

fn device() -> IdentityId {
    IdentityId::parse("d").unwrap()
}

fn acknowledgement(packet_id: u16) -> Packet {
    Packet::PubAck(PubAck { pkid: packet_id })
}

#[tokio::test]
async fn a_dropped_connection_ends_and_the_others_stay() {
    let hub = TestHub::start().await;
    let (mut device_client, mut module) = (hub.connect("d").await, hub.connect("d/m").await);
    hub.hub.state().drop_connections(Some(&device()));
    device_client.expect_end().await;
    module.settle().await;
    hub.hub.state().drop_connections(None);
    module.expect_end().await;
}

#[tokio::test]
async fn a_frozen_connection_is_silent_until_the_thaw_and_then_goes_on() {
    let hub = TestHub::start().await;
    let mut client = hub.connect("d").await;
    let mut other = hub.connect("d/m").await;
    let state = hub.hub.state();
    let number = state.order_fault(Fault::Freeze, Some(&device())).unwrap();
    let packet_id = client.publish(EVENTS, AtLeastOnce, "x").await;
    other.settle().await;
    assert!(client.silent_for(Duration::from_millis(100)).await);
    assert!(hub.hub.telemetry().is_empty());
    state.faults.clear(Some(number));
    assert_eq!(client.receive().await, acknowledgement(packet_id));
    assert_eq!(hub.hub.telemetry().len(), 1);
}

#[tokio::test]
async fn a_frozen_hub_answers_no_connect_and_lets_nobody_in_who_has_gone() {
    let hub = TestHub::start().await;
    let sign_in = SignIn::of(&hub, &hub.create("d").await).await;
    let state = hub.hub.state();
    state.order_fault(Fault::Freeze, None).unwrap();
    let mut gone = sign_in.connect(&hub).await;
    assert!(gone.silent_for(Duration::from_millis(100)).await);
    drop(gone);
    let mut patient = sign_in.connect(&hub).await;
    assert!(patient.silent_for(Duration::from_millis(100)).await);
    state.faults.clear(None);
    patient.expect_accepted(false).await;
    patient.settle().await;
    assert_eq!(hub.hub.statistics().connects, 1);
}

#[tokio::test]
async fn a_frozen_connection_can_be_dropped() {
    let hub = TestHub::start().await;
    let mut client = hub.connect("d").await;
    hub.hub.state().order_fault(Fault::Freeze, None).unwrap();
    client.publish(EVENTS, AtLeastOnce, "x").await;
    hub.hub.state().drop_connections(None);
    client.expect_end().await;
}

#[tokio::test]
async fn connects_are_refused_with_the_code_that_was_ordered() {
    let hub = TestHub::start().await;
    let sign_in = SignIn::of(&hub, &hub.create("d").await).await;
    let state = hub.hub.state();
    let number = state.order_fault(Fault::RefuseConnects { code: 4 }, Some(&device())).unwrap();
    sign_in.expect_refused(&hub, BadUserNamePassword).await;
    hub.connect("d/m").await.settle().await;
    state.faults.clear(Some(number));
    sign_in.connect(&hub).await.expect_accepted(false).await;
}

#[tokio::test]
async fn rejected_tokens_end_connections_and_let_nobody_in() {
    let hub = TestHub::start().await;
    let mut client = hub.connect("d").await;
    let sign_in = SignIn::of(&hub, &device()).await;
    hub.hub.state().order_fault(Fault::RejectTokens, None).unwrap();
    client.expect_end().await;
    sign_in.expect_refused(&hub, NotAuthorized).await;
}

#[tokio::test]
async fn acknowledgements_are_withheld_doubled_and_delayed() {
    let hub = TestHub::start().await;
    let mut client = hub.connect("d").await;
    let state = hub.hub.state();
    state.order_fault(Fault::WithholdPubacks, None).unwrap();
    client.publish(EVENTS, AtLeastOnce, "1").await;
    client.settle().await;
    state.order_fault(Fault::DuplicatePubacks, None).unwrap();
    let packet_id = client.publish(EVENTS, AtLeastOnce, "2").await;
    for _ in 0..2 {
        assert_eq!(client.receive().await, acknowledgement(packet_id));
    }
    state.order_fault(Fault::DelayPubacks { seconds: 0.2 }, Some(&device())).unwrap();
    let begin = Instant::now();
    let (first, second) =
        (client.publish(EVENTS, AtLeastOnce, "3").await, client.publish(EVENTS, AtLeastOnce, "4").await);
    client.settle().await;
    assert_eq!(client.receive().await, acknowledgement(first));
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(client.receive().await, acknowledgement(second));
    // Whatever the sender was told, everything has arrived.
    let bodies: Vec<_> = hub.hub.telemetry().into_iter().map(|message| message.body.clone()).collect();
    assert_eq!(bodies, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn refused_subscriptions_are_none() {
    let hub = TestHub::start().await;
    let mut client = hub.connect("d").await;
    let state = hub.hub.state();
    state.order_fault(Fault::RefuseSubscriptions, None).unwrap();
    client.send_subscribe(&[(topics::METHODS, AtMostOnce), (topics::TWIN_RESPONSES, AtMostOnce)]).await;
    let Packet::SubAck(answer) = client.receive().await else { panic!("no SUBACK") };
    assert_eq!(answer.return_codes, [SubscribeReasonCode::Failure; 2]);
    client.publish(&topics::twin_get("1"), AtMostOnce, "").await;
    client.settle().await;
}

#[tokio::test]
async fn a_lost_session_is_not_there_any_more() {
    let hub = TestHub::start_with_data().await;
    let sign_in = SignIn { clean_session: false, ..SignIn::of(&hub, &hub.create("d").await).await };
    let mut client = sign_in.connect(&hub).await;
    client.expect_accepted(false).await;
    client.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    let mut client = sign_in.connect(&hub).await;
    client.expect_accepted(true).await;
    hub.hub.state().lose_sessions(None).await.unwrap();
    client.expect_end().await;
    sign_in.connect(&hub).await.expect_accepted(false).await;
    let nobody = IdentityId::parse("nobody").unwrap();
    assert_eq!(hub.hub.state().lose_sessions(Some(&nobody)).await.unwrap_err().code().status(), 404);
}
