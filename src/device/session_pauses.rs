//! How long a session waits before it connects again, whatever the hub does, and how long it waits for the hub.

use std::time::Duration;

use rumqttc::mqttbytes::v4::ConnectReturnCode;
use tokio::time::Instant;

use super::Kind;
use super::session_scene::Column::{Connecting, Idle, Online, Waiting};
use super::session_scene::{START, Scene, fails, settle, soon};
use crate::error::ErrorKind;

const MESSAGES: &str = "devices/dev1/messages/devicebound/#";

/// Whole seconds from one attempt to the next, and what the hub does with each.
async fn pauses(scene: &mut Scene, attempts: usize, deed: impl AsyncFn(&mut Scene)) -> Vec<u64> {
    let mut pauses = Vec::new();
    let mut last = Instant::now();
    for _ in 0..attempts {
        scene.dialled().await;
        pauses.push(last.elapsed().as_secs());
        last = Instant::now();
        deed(scene).await;
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_made_again_after_0_1_2_4_seconds_and_never_later_than_connection_retry_interval()
 {
    let mut scene = Scene::at(Online, |_| {}).await;
    scene.hub = None;
    let refuse = async |scene: &mut Scene| scene.hub().refuse(ConnectReturnCode::ServiceUnavailable).await;
    assert_eq!(pauses(&mut scene, 7, refuse).await, [0, 1, 2, 4, 8, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_lets_the_client_in_and_drops_it_is_not_asked_in_a_hot_loop() {
    let mut scene = Scene::at(Online, |_| {}).await;
    scene.hub = None;
    let drop_at_once = async |scene: &mut Scene| {
        scene.hub().admit(true).await;
        scene.hub = None;
    };
    assert_eq!(pauses(&mut scene, 7, drop_at_once).await, [0, 1, 2, 4, 8, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_refuses_to_subscribe_again_is_not_asked_in_a_hot_loop() {
    let mut scene = Scene::at(Online, |_| {}).await;
    let enabling = scene.call(|client| async move { client.enable(Kind::Message, None).await });
    scene.hub().subscribe(MESSAGES, true).await;
    soon(enabling).await.unwrap();
    scene.hub = None;
    let refuse = async |scene: &mut Scene| {
        scene.hub().admit(false).await;
        scene.hub().subscribe(MESSAGES, false).await;
    };
    assert_eq!(pauses(&mut scene, 6, refuse).await, [0, 1, 2, 4, 8, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_lasted_is_made_again_at_once() {
    let mut scene = Scene::at(Online, |_| {}).await;
    scene.hub = None;
    let last = async |scene: &mut Scene| {
        scene.hub().admit(true).await;
        tokio::time::sleep(Duration::from_secs(11)).await;
        scene.hub = None;
    };
    assert_eq!(pauses(&mut scene, 4, last).await, [0, 11, 11, 11]);
}

#[tokio::test(start_paused = true)]
async fn connect_ends_at_its_time_and_the_attempt_with_it() {
    let mut scene = Scene::at(Idle, |_| {}).await;
    let begin = Instant::now();
    let time = Some(Duration::from_secs(3));
    let call = scene.call(move |client| async move { client.connect(time).await });
    scene.dialled().await.password().await;
    fails(call, ErrorKind::Timeout, "did not let the client in within the call's time").await;
    assert_eq!(begin.elapsed().as_millis(), 3000);
    assert!(scene.hub().next().await.is_none(), "the attempt goes on");
    scene.does_not_dial_for(Duration::from_secs(60)).await;
    soon(scene.call(|client| async move { client.disconnect(None).await })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn disconnect_waits_a_second_for_a_hub_that_does_not_read() {
    let scene = Scene::at(Online, |_| {}).await;
    let in_flight: Vec<_> = (0..40).map(|_| scene.send_large()).collect();
    settle().await;
    let begin = Instant::now();
    let time = Some(Duration::from_millis(100));
    let call = scene.call(move |client| async move { client.disconnect(time).await });
    fails(call, ErrorKind::Timeout, "the connection was not closed within the call's time").await;
    assert_eq!(begin.elapsed().as_millis(), 100);
    for call in in_flight {
        fails(call, ErrorKind::Cancelled, ")").await;
    }
    assert_eq!(begin.elapsed().as_millis(), 100, "who waits for something else is told first");
    soon(scene.call(|client| async move { client.shutdown(None).await })).await.unwrap();
    assert_eq!(begin.elapsed().as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_while_the_client_shuts_down_is_told_so() {
    let scene = Scene::at(Online, |_| {}).await;
    let _in_flight: Vec<_> = (0..40).map(|_| scene.send_large()).collect();
    settle().await;
    let first = scene.call(|client| async move { client.shutdown(None).await });
    settle().await;
    let second = scene.call(|client| async move { client.shutdown(None).await });
    let (connecting, sending) = (scene.connect(), scene.send("too late"));
    soon(first).await.unwrap();
    for call in [second, connecting, sending] {
        fails(call, ErrorKind::ShutDown, "").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_waits_for_leaves_the_others_theirs() {
    let mut scene = Scene::at(Connecting, |_| {}).await;
    let second = scene.connect();
    settle().await;
    scene.connecting.take().unwrap().abort();
    settle().await;
    scene.hub().admit(true).await;
    soon(second).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_two_hours_ahead_brings_a_new_token_before_the_next_connection() {
    let expiry = |password: String| password.rsplit_once("se=").unwrap().1.parse::<u64>().unwrap();
    let jump = Duration::from_secs(2 * 3600);
    let renewed = START / 1000 + 3 * 3600;
    // The machine wakes up connected, to a hub that may long have closed.
    let mut scene = Scene::at(Online, |_| {}).await;
    scene.clock.advance(jump);
    assert_eq!(expiry(scene.dialled().await.admit(true).await), renewed);
    // It wakes up while it waits to connect again.
    let mut scene = Scene::at(Waiting, |_| {}).await;
    scene.clock.advance(jump);
    assert_eq!(expiry(scene.dialled().await.admit(true).await), renewed);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_acknowledge_what_has_timed_out_is_left_for_another_connection() {
    let mut scene = Scene::at(Online, |options| options.window = 2).await;
    for call in [1, 2].map(|_| scene.send_within("late", Some(Duration::from_secs(1)))) {
        fails(call, ErrorKind::Timeout, "(sent, not acknowledged)").await;
    }
    let publishes = [scene.hub().publish().await, scene.hub().publish().await];
    let begin = Instant::now();
    let waiting = scene.send("waits for room");
    // Acknowledged after all, they make room.
    scene.does_not_dial_for(Duration::from_secs(9)).await;
    scene.hub().acknowledge(&publishes[0]).await;
    let publish = scene.hub().publish().await;
    scene.hub().acknowledge(&publish).await;
    soon(waiting).await.unwrap();
    // Here they are not.
    let late = scene.send_within("late", Some(Duration::from_secs(1)));
    fails(late, ErrorKind::Timeout, "(sent, not acknowledged)").await;
    let _waiting = scene.send("waits for room");
    scene.dialled().await.admit(true).await;
    assert_eq!(begin.elapsed().as_secs(), 9 + 1 + 10);
    assert_eq!(scene.hub().publish().await.payload, "waits for room");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_acknowledge_what_was_cancelled_is_left_for_another_connection() {
    let mut scene = Scene::at(Online, |options| options.window = 3).await;
    let calls = ["first", "second", "third"].map(|payload| scene.send(payload));
    for _ in &calls {
        scene.hub().publish().await;
    }
    let _waiting = scene.send("waits for room");
    settle().await;
    let begin = Instant::now();
    // Each alone is no reason; nothing but the cancellations wakes the session.
    for call in &calls[..2] {
        call.abort();
        settle().await;
    }
    scene.dialled().await.admit(true).await;
    assert_eq!(begin.elapsed().as_secs(), 10);
}
