//! A session in the hands of a test: a hub in memory that does what it is told, and time that stands still.
//!
//! Tokio's paused clock goes on by itself when everything waits, so what takes minutes passes at once, and what does
//! not happen is known not to. The wall clock is moved by hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{self, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::phase::{Attempt, Surroundings};
use super::{Client, Credentials, Options, Token};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::mqtt::log_in;

/// No test waits longer than this, in the session's time, for what must happen.
const LIMIT: Duration = Duration::from_secs(30);
/// When the tests' wall clock begins.
pub(super) const START: u64 = 1_700_000_000_000;

/// The columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Idle,
    Connecting,
    Online,
    Renewing,
    Waiting,
}

/// A call under way.
pub(super) type Call = JoinHandle<Result<()>>;

/// A client, and what it does to the world.
pub(super) struct Scene {
    pub(super) client: Arc<Client>,
    pub(super) clock: Clock,
    dials: UnboundedReceiver<HubEnd>,
    /// The hub's end of the latest connection.
    pub(super) hub: Option<HubEnd>,
    /// The `connect()` or `update_token()` that has led here.
    pub(super) connecting: Option<Call>,
    /// The message that is in flight, in `Renewing` and `Waiting`.
    pub(super) in_flight: Option<(Call, Publish)>,
}

impl Scene {
    /// A client in this phase, made with these options. All pauses have their full length.
    ///
    /// In `Connecting` its CONNECT has come and is not answered. In `Renewing` and `Waiting` a message is in flight;
    /// a pause of a second has begun, after an attempt that was refused.
    pub(super) async fn at(column: Column, change: impl FnOnce(&mut Options)) -> Self {
        let mut scene = Self::idle(change);
        if column == Column::Idle {
            return scene;
        }
        scene.connecting = Some(scene.connect());
        scene.dialled().await;
        if column == Column::Connecting {
            return scene;
        }
        scene.hub().admit(true).await;
        scene.called().await.unwrap();
        if column == Column::Online {
            return scene;
        }
        let sending = scene.send("in flight");
        scene.in_flight = Some((sending, scene.hub().publish().await));
        if column == Column::Renewing {
            scene.clock.advance(Duration::from_secs(3480));
        } else {
            scene.hub = None;
            scene.dialled().await.refuse(ConnectReturnCode::ServiceUnavailable).await;
        }
        settle().await;
        scene
    }

    fn idle(change: impl FnOnce(&mut Options)) -> Self {
        let clock = Clock::manual(START);
        let credentials = Credentials::key(SasKey::from_bytes(b"foobar".to_vec()));
        let mut options = Options::new("hub".into(), "dev1".into(), None, credentials);
        options.clock = clock.clone();
        change(&mut options);
        let (dialled, dials) = unbounded_channel();
        let dial = Arc::new(move |connect: Connect| {
            let (ours, theirs) = duplex(1 << 20);
            let _ = dialled.send(HubEnd { stream: theirs, input: BytesMut::new() });
            Box::pin(async move { log_in(Box::new(ours), "hub:8883", &connect).await }) as Attempt
        });
        let client =
            Client::start(options, Surroundings { dial, jitter: || 1.0 }, &Handle::current()).unwrap();
        Self { client: Arc::new(client), clock, dials, hub: None, connecting: None, in_flight: None }
    }

    /// Run a call of the client.
    pub(super) fn call<F>(&self, call: impl FnOnce(Arc<Client>) -> F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(call(Arc::clone(&self.client)))
    }

    pub(super) fn connect(&self) -> Call {
        self.call(|client| async move { client.connect(None).await })
    }

    pub(super) fn update_token(&self, text: &'static str) -> Call {
        self.call(move |client| async move { client.update_token(token(text), None).await })
    }

    /// Send a message; queued when this returns.
    pub(super) fn send(&self, payload: &'static str) -> Call {
        self.send_within(payload, None)
    }

    /// Send as much as a message may hold: a few are more than the hub takes without reading.
    pub(super) fn send_large(&self) -> Call {
        tokio::spawn(self.client.send_telemetry("", Bytes::from(vec![7; 200_000]), None))
    }

    pub(super) fn send_within(&self, payload: &'static str, timeout: Option<Duration>) -> Call {
        tokio::spawn(self.client.send_telemetry("", Bytes::from_static(payload.as_bytes()), timeout))
    }

    /// The outcome of the call that has led here.
    pub(super) async fn called(&mut self) -> Result<()> {
        soon(self.connecting.take().unwrap()).await
    }

    /// The next attempt of the client: from now on that is its connection. Its CONNECT is not read yet.
    pub(super) async fn dialled(&mut self) -> &mut HubEnd {
        let end = timeout(LIMIT, self.dials.recv()).await.expect("the client does not dial").unwrap();
        self.hub.insert(end)
    }

    /// The hub closes, and the client dials at once.
    pub(super) async fn dialled_after_loss(&mut self) -> &mut HubEnd {
        self.hub = None;
        self.dialled().await
    }

    pub(super) fn hub(&mut self) -> &mut HubEnd {
        self.hub.as_mut().unwrap()
    }

    /// The client does not dial for this long.
    pub(super) async fn does_not_dial_for(&mut self, time: Duration) {
        if let Ok(Some(_)) = timeout(time, self.dials.recv()).await {
            panic!("the client dials");
        }
    }

    /// The client does not dial before everything has come to rest.
    pub(super) async fn does_not_dial(&mut self) {
        self.does_not_dial_for(Duration::from_millis(1)).await;
    }
}

/// The hub's end of one attempt to connect.
pub(super) struct HubEnd {
    stream: DuplexStream,
    input: BytesMut,
}

impl HubEnd {
    /// The next packet; None if the client has closed.
    pub(super) async fn next(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.input, 1 << 20) {
                Ok(packet) => return Some(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            let read = timeout(LIMIT, self.stream.read_buf(&mut self.input)).await.expect("nothing was sent");
            if read.unwrap() == 0 {
                return None;
            }
        }
    }

    /// The client says nothing before everything has come to rest.
    pub(super) async fn hears_nothing(&mut self) {
        let read = timeout(Duration::from_millis(1), self.stream.read_buf(&mut self.input)).await;
        assert!(read.is_err() && self.input.is_empty(), "the client says something or closes");
    }

    /// The password of the CONNECT, which must be next.
    pub(super) async fn password(&mut self) -> String {
        let Some(Packet::Connect(connect)) = self.next().await else { panic!("no CONNECT") };
        connect.login.unwrap().password
    }

    /// Let the client in. Returns its password.
    pub(super) async fn admit(&mut self, session_present: bool) -> String {
        let password = self.password().await;
        self.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, session_present))).await;
        password
    }

    pub(super) async fn refuse(&mut self, code: ConnectReturnCode) {
        self.password().await;
        self.send(Packet::ConnAck(ConnAck::new(code, false))).await;
    }

    pub(super) async fn publish(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("{other:?} instead of PUBLISH"),
        }
    }

    pub(super) async fn acknowledge(&mut self, publish: &Publish) {
        self.send(Packet::PubAck(PubAck::new(publish.pkid))).await;
    }

    /// The next packet must subscribe to this filter; granted or refused.
    pub(super) async fn subscribe(&mut self, filter: &str, granted: bool) {
        let Some(Packet::Subscribe(subscribe)) = self.next().await else {
            panic!("no SUBSCRIBE to {filter}")
        };
        assert_eq!(subscribe.filters[0].path, filter);
        let code = if granted {
            SubscribeReasonCode::Success(QoS::AtLeastOnce)
        } else {
            SubscribeReasonCode::Failure
        };
        self.send(Packet::SubAck(SubAck::new(subscribe.pkid, vec![code]))).await;
    }

    pub(super) async fn send(&mut self, packet: Packet) {
        let mut output = BytesMut::new();
        packet.write(&mut output, 1 << 20).unwrap();
        self.stream.write_all(&output).await.unwrap();
    }
}

/// Let everything happen that happens by itself.
pub(super) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

pub(super) async fn soon<T>(call: JoinHandle<T>) -> T {
    timeout(LIMIT, call).await.expect("the call hangs").unwrap()
}

/// The call fails with this kind of error, and its text ends so.
pub(super) async fn fails(call: Call, kind: ErrorKind, end: &str) {
    let error = soon(call).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().ends_with(end), "{error}");
}

pub(super) fn token(text: &str) -> Token {
    Token::new(text.into(), START / 1000 + 3600)
}
