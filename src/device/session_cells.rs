//! The cases of the session's table: what happens in each cell. `session_table` says which is which.

use std::time::Duration;

use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, Publish};
use tokio::time::Instant;

use super::session_scene::Column::{Connecting, Idle, Online, Renewing, Waiting};
use super::session_scene::{Call, Column, Scene, fails, settle, soon, token};
use super::{ConnectionEvent, Credentials, Kind};
use crate::error::ErrorKind;

const NEVER_SENT: &str = "(never sent)";
const SENT: &str = "(sent, not acknowledged)";
const PATCHES: &str = "$iothub/twin/PATCH/properties/desired/#";
const RESPONSES: &str = "$iothub/twin/res/#";

pub(super) async fn connect_dials() {
    let mut scene = Scene::at(Idle, |_| {}).await;
    let call = scene.connect();
    scene.dialled().await.admit(false).await;
    soon(call).await.unwrap();
    assert!(scene.client.is_connected());
}

pub(super) async fn connect_joins_the_attempt() {
    let mut scene = Scene::at(Connecting, |_| {}).await;
    let call = scene.connect();
    scene.does_not_dial().await;
    scene.hub().admit(false).await;
    soon(call).await.unwrap();
    scene.called().await.unwrap();
}

pub(super) async fn connect_is_done(column: Column) {
    let mut scene = Scene::at(column, |_| {}).await;
    soon(scene.connect()).await.unwrap();
    scene.does_not_dial().await;
    scene.hub().hears_nothing().await;
}

pub(super) async fn connect_ends_the_pause() {
    let mut scene = Scene::at(Waiting, |_| {}).await;
    let begin = Instant::now();
    let call = scene.connect();
    scene.dialled().await.refuse(ConnectReturnCode::ServiceUnavailable).await;
    fails(call, ErrorKind::ConnectionFailed, "").await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    // Retrying goes on, not at once, and with what was in flight.
    scene.does_not_dial().await;
    scene.dialled().await.admit(true).await;
    assert!(scene.hub().publish().await.dup);
}

/// How the program leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Disconnect,
    ShutDown,
    Drop,
}

/// However the program leaves: who waits is told, the hub is told if it is there, and nobody dials again.
pub(super) async fn leaves(column: Column, leaving: Leaving) {
    let mut scene = Scene::at(column, |_| {}).await;
    let queued = (column != Idle).then(|| scene.send("queued"));
    settle().await;
    if column == Online {
        scene.hub().publish().await;
    }
    let ending = match leaving {
        Leaving::Disconnect => Some(scene.call(|client| async move { client.disconnect(None).await })),
        Leaving::ShutDown => Some(scene.call(|client| async move { client.shutdown(None).await })),
        Leaving::Drop => None,
    };
    if let Some(ending) = ending {
        soon(ending).await.unwrap();
        assert!(!scene.client.is_connected());
    } else {
        // Calls under way would keep it.
        scene.connecting.take().inspect(Call::abort);
        settle().await;
        let other = Scene::at(Idle, |_| {}).await;
        scene.client = other.client;
    }
    if let Some(queued) = queued {
        let fate = if column == Online { SENT } else { NEVER_SENT };
        fails(queued, ErrorKind::Cancelled, fate).await;
    }
    if let Some((in_flight, _)) = scene.in_flight.take() {
        fails(in_flight, ErrorKind::Cancelled, SENT).await;
    }
    if let Some(connecting) = scene.connecting.take() {
        fails(connecting, ErrorKind::Cancelled, "").await;
    }
    match column {
        Connecting => {
            scene.hub().password().await;
            assert!(scene.hub().next().await.is_none(), "the attempt goes on");
        }
        Online | Renewing => assert_eq!(scene.hub().next().await, Some(Packet::Disconnect)),
        Idle | Waiting => {}
    }
    scene.does_not_dial_for(Duration::from_secs(60)).await;
    if leaving == Leaving::ShutDown {
        fails(scene.connect(), ErrorKind::ShutDown, "").await;
    }
}

async fn at_with_token(column: Column) -> Scene {
    Scene::at(column, |options| options.credentials = Credentials::Token(token("first"))).await
}

pub(super) async fn token_dials() {
    let mut scene = at_with_token(Idle).await;
    let call = scene.update_token("second");
    assert_eq!(scene.dialled().await.admit(true).await, "second");
    soon(call).await.unwrap();
}

pub(super) async fn token_replaces_the_attempt() {
    let mut scene = at_with_token(Connecting).await;
    let mut old = scene.hub.take().unwrap();
    let call = scene.update_token("second");
    assert_eq!(scene.dialled().await.admit(true).await, "second");
    soon(call).await.unwrap();
    scene.called().await.unwrap();
    assert_eq!(old.password().await, "first");
    assert!(old.next().await.is_none());
}

/// A client whose token was replaced while a message was in flight.
async fn renewing_with_token() -> (Scene, Call, Call, Publish) {
    let mut scene = at_with_token(Online).await;
    let sending = scene.send("in flight");
    let publish = scene.hub().publish().await;
    let call = scene.update_token("second");
    settle().await;
    (scene, call, sending, publish)
}

pub(super) async fn token_renews() {
    let (mut scene, call, sending, publish) = renewing_with_token().await;
    scene.does_not_dial().await;
    scene.hub().acknowledge(&publish).await;
    soon(sending).await.unwrap();
    assert_eq!(scene.hub().next().await, Some(Packet::Disconnect));
    assert_eq!(scene.dialled().await.password().await, "second");
    assert!(!call.is_finished(), "the new connection is not there yet");
}

pub(super) async fn token_is_for_the_next_attempt() {
    let (mut scene, second, _sending, publish) = renewing_with_token().await;
    let third = scene.update_token("third");
    scene.does_not_dial().await;
    scene.hub().hears_nothing().await;
    scene.hub().acknowledge(&publish).await;
    assert_eq!(scene.dialled().await.admit(true).await, "third");
    soon(second).await.unwrap();
    soon(third).await.unwrap();
}

pub(super) async fn token_ends_the_pause() {
    let mut scene = at_with_token(Waiting).await;
    let begin = Instant::now();
    let call = scene.update_token("second");
    assert_eq!(scene.dialled().await.admit(true).await, "second");
    soon(call).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1));
}

pub(super) async fn request_dials() {
    let mut scene = Scene::at(Idle, |_| {}).await;
    let call = scene.send("x");
    scene.dialled().await.admit(true).await;
    let publish = scene.hub().publish().await;
    scene.hub().acknowledge(&publish).await;
    soon(call).await.unwrap();
    let mut scene = Scene::at(Idle, |options| options.auto_connect = false).await;
    fails(scene.send("x"), ErrorKind::NotConnected, NEVER_SENT).await;
    scene.does_not_dial().await;
}

/// It is not written before the next connection, and then it is.
pub(super) async fn request_is_queued(column: Column) {
    let mut scene = Scene::at(column, |_| {}).await;
    let call = scene.send("x");
    settle().await;
    match column {
        Renewing => {
            let in_flight = scene.in_flight.take().unwrap().1;
            scene.hub().hears_nothing().await;
            scene.hub().acknowledge(&in_flight).await;
            scene.dialled().await;
        }
        Waiting => {
            scene.dialled().await;
        }
        _ => {}
    }
    scene.hub().admit(true).await;
    let mut publish = scene.hub().publish().await;
    if column == Waiting {
        assert!(publish.dup, "what was in flight comes first");
        publish = scene.hub().publish().await;
    }
    assert_eq!((&publish.payload[..], publish.dup), (&b"x"[..], false));
    scene.hub().acknowledge(&publish).await;
    soon(call).await.unwrap();
}

pub(super) async fn request_is_written_in_the_window() {
    let mut scene = Scene::at(Online, |options| options.window = 1).await;
    let calls = [scene.send("1"), scene.send("2")];
    let first = scene.hub().publish().await;
    scene.hub().hears_nothing().await;
    scene.hub().acknowledge(&first).await;
    let second = scene.hub().publish().await;
    scene.hub().acknowledge(&second).await;
    for call in calls {
        soon(call).await.unwrap();
    }
}

/// Messages that wait, and what becomes of them: one in the queue, and in `Online` one in flight.
async fn waiting(scene: &mut Scene, column: Column, time: Option<Duration>) -> Vec<(Call, &'static str)> {
    let mut calls = Vec::new();
    if column == Online {
        calls.push((scene.send_within("sent", time), SENT));
        scene.hub().publish().await;
    }
    calls.push((scene.send_within("queued", time), NEVER_SENT));
    settle().await;
    calls
}

pub(super) async fn request_is_late(column: Column) {
    let (time, begin) = (Duration::from_millis(100), Instant::now());
    let mut scene = Scene::at(column, |options| options.window = 1).await;
    for (call, fate) in waiting(&mut scene, column, Some(time)).await {
        fails(call, ErrorKind::Timeout, fate).await;
    }
    assert!(begin.elapsed() < time + Duration::from_millis(10));
    goes_on_without_them(&mut scene, column).await;
}

pub(super) async fn caller_is_gone(column: Column) {
    let mut scene = Scene::at(column, |options| options.window = 1).await;
    for (call, _) in waiting(&mut scene, column, None).await {
        call.abort();
    }
    settle().await;
    goes_on_without_them(&mut scene, column).await;
}

/// On the next connection only what was in flight before is sent, and what comes now.
async fn goes_on_without_them(scene: &mut Scene, column: Column) {
    let before = scene.in_flight.take();
    match (column, &before) {
        (Online, _) => {
            scene.dialled_after_loss().await;
        }
        (Renewing, Some((_, publish))) => {
            scene.hub().acknowledge(publish).await;
            scene.dialled().await;
        }
        (Waiting, _) => {
            scene.dialled().await;
        }
        _ => {}
    }
    scene.hub().admit(true).await;
    if column == Waiting {
        let again = scene.hub().publish().await;
        assert!(again.dup && again.payload == "in flight");
        scene.hub().acknowledge(&again).await;
    }
    let _next = scene.send("next");
    assert_eq!(scene.hub().publish().await.payload, "next");
}

pub(super) async fn attempt_succeeds() {
    let mut scene = Scene::at(Online, |_| {}).await;
    let enabling = scene.call(|client| async move { client.enable(Kind::DesiredPatch, None).await });
    scene.hub().subscribe(RESPONSES, true).await;
    scene.hub().subscribe(PATCHES, true).await;
    soon(enabling).await.unwrap();
    let _in_flight = scene.send("in flight");
    scene.hub().publish().await;
    scene.dialled_after_loss().await.admit(false).await;
    let again = scene.hub().publish().await;
    assert!(again.dup && again.payload == "in flight");
    scene.hub().subscribe(PATCHES, true).await;
    scene.hub().subscribe(RESPONSES, true).await;
    assert!(scene.hub().publish().await.topic.starts_with("$iothub/twin/GET/"));
    // The hub has kept the session this time.
    scene.dialled_after_loss().await.admit(true).await;
    assert!(scene.hub().publish().await.dup);
    assert!(scene.hub().publish().await.topic.starts_with("$iothub/twin/GET/"));
    scene.hub().hears_nothing().await;
}

pub(super) async fn attempt_fails() {
    // At first: everyone gets the error, and nobody dials again.
    let mut scene = Scene::at(Connecting, |_| {}).await;
    let queued = scene.send("x");
    scene.hub().refuse(ConnectReturnCode::ServiceUnavailable).await;
    fails(queued, ErrorKind::ConnectionFailed, NEVER_SENT).await;
    assert_eq!(scene.called().await.unwrap_err().kind(), ErrorKind::ConnectionFailed);
    scene.does_not_dial_for(Duration::from_secs(60)).await;
    // After a loss another attempt follows, with a new token if that may be what was wrong.
    let mut scene = Scene::at(Waiting, |_| {}).await;
    scene.dialled().await.refuse(ConnectReturnCode::NotAuthorized).await;
    scene.dialled().await.refuse(ConnectReturnCode::BadClientId).await;
    // Here none can help.
    let (in_flight, _) = scene.in_flight.take().unwrap();
    fails(in_flight, ErrorKind::Protocol, SENT).await;
    scene.does_not_dial_for(Duration::from_secs(60)).await;
    // The program's own token is not tried again.
    let mut scene = at_with_token(Waiting).await;
    scene.dialled().await.refuse(ConnectReturnCode::NotAuthorized).await;
    let (in_flight, _) = scene.in_flight.take().unwrap();
    fails(in_flight, ErrorKind::Unauthorized, SENT).await;
    scene.does_not_dial_for(Duration::from_secs(60)).await;
}

pub(super) async fn attempt_is_unwanted() {
    let mut scene = Scene::at(Connecting, |_| {}).await;
    scene.connecting.take().unwrap().abort();
    scene.hub().password().await;
    assert!(scene.hub().next().await.is_none(), "the attempt goes on");
    let call = scene.send_within("x", Some(Duration::from_secs(1)));
    scene.dialled().await.password().await;
    fails(call, ErrorKind::Timeout, NEVER_SENT).await;
    assert!(scene.hub().next().await.is_none(), "the attempt goes on");
    scene.does_not_dial_for(Duration::from_secs(60)).await;
    // After a loss the connection itself is wanted.
    let mut scene = Scene::at(Waiting, |_| {}).await;
    let call = scene.connect();
    scene.dialled().await;
    call.abort();
    scene.in_flight.take().unwrap().0.abort();
    settle().await;
    scene.hub().admit(true).await;
    settle().await;
    assert!(scene.client.is_connected());
}

pub(super) async fn link_ends() {
    let mut scene = Scene::at(Online, |_| {}).await;
    scene.dialled_after_loss().await;
    assert!(!scene.client.is_connected());
    let mut scene = Scene::at(Online, |options| options.connection_retry = false).await;
    let sent = scene.send("sent");
    scene.hub().publish().await;
    scene.hub = None;
    fails(sent, ErrorKind::Cancelled, SENT).await;
    scene.does_not_dial_for(Duration::from_secs(60)).await;
}

pub(super) async fn link_ends_while_renewing() {
    let mut scene = Scene::at(Renewing, |_| {}).await;
    let begin = Instant::now();
    scene.dialled_after_loss().await.admit(true).await;
    assert!(begin.elapsed() < Duration::from_millis(5));
    assert!(scene.hub().publish().await.dup);
}

pub(super) async fn drained() {
    let mut scene = Scene::at(Renewing, |_| {}).await;
    let (in_flight, publish) = scene.in_flight.take().unwrap();
    scene.hub().acknowledge(&publish).await;
    soon(in_flight).await.unwrap();
    assert_eq!(scene.hub().next().await, Some(Packet::Disconnect));
    scene.dialled().await.admit(true).await;
    scene.hub().hears_nothing().await;
    // The hub does not acknowledge in time.
    let mut scene = Scene::at(Renewing, |_| {}).await;
    scene.does_not_dial_for(Duration::from_millis(4900)).await;
    assert_eq!(scene.hub().next().await, Some(Packet::Disconnect));
    scene.dialled().await.admit(true).await;
    assert!(scene.hub().publish().await.dup);
}

pub(super) async fn pause_is_over() {
    let mut scene = Scene::at(Waiting, |_| {}).await;
    scene.does_not_dial_for(Duration::from_millis(900)).await;
    scene.dialled().await.admit(true).await;
    assert!(scene.hub().publish().await.dup);
}

pub(super) async fn renewal_is_due() {
    let mut scene = Scene::at(Online, |_| {}).await;
    let sent = scene.send("sent");
    let publish = scene.hub().publish().await;
    scene.clock.advance(Duration::from_secs(3480));
    settle().await;
    let _queued = scene.send("queued");
    scene.hub().hears_nothing().await;
    assert!(scene.client.is_connected());
    scene.hub().acknowledge(&publish).await;
    soon(sent).await.unwrap();
    let password = scene.dialled().await.admit(true).await;
    assert!(password.ends_with("se=1700007080"), "not a new token");
    assert_eq!(scene.hub().publish().await.payload, "queued");
}

pub(super) async fn token_is_due(column: Column) {
    let mut scene = at_with_token(if column == Renewing { Online } else { column }).await;
    scene.client.watch(Some(Box::new(|_| {})));
    if column == Renewing {
        let _sending = scene.send("in flight");
        scene.hub().publish().await;
        let _updating = scene.update_token("second");
        settle().await;
    }
    scene.clock.advance(Duration::from_secs(3480));
    settle().await;
    assert!(matches!(scene.client.event_now(), Some(ConnectionEvent::TokenExpiring)));
    scene.clock.advance(Duration::from_secs(60));
    settle().await;
    assert!(scene.client.event_now().is_none(), "it is told once");
}
