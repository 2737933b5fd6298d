//! What an outbox does on the wire, against hubs that do what a real one does rarely.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrohub::device::{Client, Options, OutboxCounts, OutboxOptions, WhenFull};
use ferrohub::error::{ErrorKind, Result};
use rumqttc::mqttbytes::v4::{Packet, Publish};
use tokio::time::timeout;

use crate::device_session::client;
use crate::scripted_hub::{Connection, LIMIT, ScriptedHub};

fn outbox(path: &Path) -> OutboxOptions {
    OutboxOptions {
        path: path.to_owned(),
        max_messages: None,
        max_bytes: None,
        when_full: WhenFull::Block,
        ttl: None,
    }
}

/// A client of this hub with an outbox in this folder.
fn client_in(folder: &Path, hub: &ScriptedHub, change: impl FnOnce(&mut Options)) -> Arc<Client> {
    let mut options = hub.options();
    options.outbox = Some(outbox(&folder.join("outbox")));
    change(&mut options);
    client(options)
}

async fn send(client: &Client, payload: &'static str) -> Result<()> {
    let sending = client.send_telemetry("", Bytes::from_static(payload.as_bytes()), Some(LIMIT));
    timeout(LIMIT, sending).await.expect("the call hangs")
}

async fn flush(client: &Client) {
    client.flush(Some(LIMIT)).await.unwrap();
}

fn counts(client: &Client) -> OutboxCounts {
    client.outbox_counts().unwrap()
}

async fn shut_down(client: &Client) {
    client.shutdown(Some(LIMIT)).await.unwrap();
}

fn text(publish: &Publish) -> &str {
    std::str::from_utf8(&publish.payload).unwrap()
}

/// The next messages, with whether each is marked as a duplicate.
async fn messages(connection: &mut Connection, count: usize) -> Vec<(String, bool)> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let publish = connection.publish().await;
        messages.push((text(&publish).to_owned(), publish.dup));
    }
    messages
}

#[tokio::test]
async fn a_new_connection_marks_what_was_in_flight_and_a_new_client_does_not() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let client = client_in(folder.path(), &hub, |options| options.window = 2);
    for payload in ["a", "b", "c"] {
        send(&client, payload).await.unwrap();
    }
    let mut connection = hub.admit(false).await;
    assert_eq!(messages(&mut connection, 2).await, [("a".into(), false), ("b".into(), false)]);
    drop(connection);
    let mut connection = hub.admit(true).await;
    let a = connection.publish().await;
    assert_eq!((text(&a), a.dup), ("a", true));
    connection.acknowledge(&a).await;
    assert_eq!(messages(&mut connection, 2).await, [("b".into(), true), ("c".into(), false)]);
    shut_down(&client).await;
    assert_eq!(counts(&client).stored, 2);
    drop(connection);

    let client = client_in(folder.path(), &hub, |_| {});
    let mut connection = hub.admit(true).await;
    for expected in ["b", "c"] {
        let publish = connection.publish().await;
        assert_eq!((text(&publish), publish.dup), (expected, false));
        connection.acknowledge(&publish).await;
    }
    flush(&client).await;
    assert_eq!(counts(&client), OutboxCounts::default());
}

#[tokio::test]
async fn no_more_than_a_window_is_in_flight() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let client = client_in(folder.path(), &hub, |options| options.window = 3);
    for _ in 0..10 {
        send(&client, "x").await.unwrap();
    }
    let mut connection = hub.admit(false).await;
    let first = connection.publish().await;
    messages(&mut connection, 2).await;
    assert!(timeout(Duration::from_millis(100), connection.next()).await.is_err());
    connection.acknowledge(&first).await;
    messages(&mut connection, 1).await;
    assert_eq!(client.statistics().0.in_flight, 3);
}

/// Acknowledge everything until the client disconnects or the poison comes; all that came before.
async fn serve(connection: &mut Connection) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    loop {
        match connection.next().await {
            Packet::Publish(publish) if &publish.payload[..] == b"poison" => return (seen, true),
            Packet::Publish(publish) => {
                seen.push(text(&publish).to_owned());
                connection.acknowledge(&publish).await;
            }
            _ => return (seen, false),
        }
    }
}

#[tokio::test]
async fn a_message_for_which_the_hub_ends_the_connection_again_and_again_is_given_up_and_told() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let client = client_in(folder.path(), &hub, |options| {
        options.connection_retry_interval = Duration::from_millis(50);
    });
    for payload in ["before", "poison", "after", "last"] {
        send(&client, payload).await.unwrap();
    }
    let serving = tokio::spawn(async move {
        let (mut seen, mut endings) = (Vec::new(), 0);
        while seen.last().is_none_or(|last| last != "last") {
            let mut connection = hub.admit(true).await;
            let (arrived, poisoned) = timeout(LIMIT, serve(&mut connection)).await.unwrap_or_default();
            seen.extend(arrived);
            endings += usize::from(poisoned);
            assert!(endings < 20, "it is sent for ever");
        }
        (seen, endings)
    });
    flush(&client).await;
    assert_eq!((counts(&client).refused, counts(&client).stored), (1, 0));
    shut_down(&client).await;
    let (seen, endings) = timeout(LIMIT, serving).await.expect("the hub waits").unwrap();
    assert_eq!(seen, ["before", "after", "last"]);
    assert!(endings >= 8, "given up after {endings} connections");
}

#[tokio::test]
async fn a_network_that_loses_every_connection_costs_no_message() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let client = client_in(folder.path(), &hub, |options| {
        options.connection_retry_interval = Duration::from_millis(20);
    });
    for payload in ["a", "b"] {
        send(&client, payload).await.unwrap();
    }
    for _ in 0..30 {
        // Lost at once, whatever is sent.
        drop(hub.admit(true).await);
    }
    let mut connection = hub.admit(true).await;
    for expected in ["a", "b"] {
        let publish = connection.publish().await;
        assert_eq!(text(&publish), expected);
        connection.acknowledge(&publish).await;
    }
    flush(&client).await;
    assert_eq!(counts(&client).refused, 0);
}

#[tokio::test]
async fn a_hub_that_acknowledges_nothing_for_a_while_costs_no_message() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let client = client_in(folder.path(), &hub, |options| {
        options.connection_retry_interval = Duration::from_millis(20);
    });
    send(&client, "a").await.unwrap();
    for _ in 0..15 {
        let mut connection = hub.admit(true).await;
        // Whether the message comes on this connection or not, it ends later than one that refuses it would.
        let _ = timeout(Duration::from_millis(60), async {
            while connection.next().await != Packet::Disconnect {}
        })
        .await;
    }
    let mut connection = hub.admit(true).await;
    let publish = connection.publish().await;
    connection.acknowledge(&publish).await;
    flush(&client).await;
    assert_eq!(counts(&client).refused, 0);
}

#[tokio::test]
async fn what_expires_by_the_clients_clock_is_not_sent() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let clock = ferrohub::clock::Clock::movable();
    let client = client_in(folder.path(), &hub, |options| {
        options.auto_connect = false;
        options.clock = clock.clone();
        options.outbox.as_mut().unwrap().ttl = Some(Duration::from_secs(60));
    });
    for payload in ["old", "older"] {
        send(&client, payload).await.unwrap();
    }
    clock.advance(Duration::from_secs(61));
    send(&client, "new").await.unwrap();
    let connecting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.connect(Some(LIMIT)).await }
    });
    let mut connection = hub.admit(false).await;
    connecting.await.unwrap().unwrap();
    let publish = connection.publish().await;
    assert_eq!(text(&publish), "new");
    connection.acknowledge(&publish).await;
    flush(&client).await;
    assert_eq!(counts(&client).expired, 2);
}

#[tokio::test]
async fn a_client_that_is_dropped_leaves_the_file_to_the_next() {
    let (hub, folder) = (ScriptedHub::start().await, tempfile::tempdir().unwrap());
    let first = client_in(folder.path(), &hub, |options| options.auto_connect = false);
    send(&first, "a").await.unwrap();
    let mut options = hub.options();
    options.outbox = Some(outbox(&folder.path().join("outbox")));
    let handle = tokio::runtime::Handle::current();
    let error = Client::new(options.clone(), &handle).err().expect("two clients have it");
    assert_eq!(error.kind(), ErrorKind::Outbox);
    drop(first);
    let opened = async {
        loop {
            match Client::new(options.clone(), &handle) {
                Ok(client) => return client,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let next = timeout(LIMIT, opened).await.expect("the file is never let go");
    let mut connection = hub.admit(false).await;
    assert_eq!(messages(&mut connection, 1).await, [("a".into(), false)]);
    drop(next);
}
