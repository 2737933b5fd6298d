//! The session of a client: the one owner of its connection.
//!
//! One task per client. It waits for the next [`Event`] in its [`Phase`] and handles it; the table of both
//! is in docs/architecture.md. Requests keep their order and their one outcome through every loss,
//! reconnect and renewal.

use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep, sleep};

use super::conversation::{Conversation, Intake, OWN_REQUEST_TIME, Purpose, desired_properties_request};
use super::credentials::{Credentials, Token};
use super::desired::DesiredProperties;
use super::incoming::{ConnectionEvent, Inboxes};
use super::options::Options;
use super::retry::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::{Link, MessageCounts, Operation, Outbound, Promise, Reply, Request, connect_packet, dial};
use crate::net::{BoxedStream, Target};
use crate::protocol::topics;

/// How long a renewal waits for what is in flight before it goes on without.
const DRAIN_TIME: Duration = Duration::from_secs(5);

type ClientLink = Link<BoxedStream>;
type Dialling = Pin<Box<dyn Future<Output = Result<(ClientLink, bool)>> + Send>>;

/// What the client's handle and its session both see.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) connected: AtomicBool,
    pub(super) inboxes: Inboxes,
    pub(super) counts: Mutex<MessageCounts>,
    pub(super) reconnects: AtomicU64,
}

impl Shared {
    /// Let the client's handle see the counts of this moment.
    pub(super) fn note(&self, counts: MessageCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

/// What the program asks of the connection itself.
pub(super) enum Control {
    Connect(Promise),
    Disconnect(Promise),
    ShutDown(Promise),
    UpdateToken(Token, Promise),
}

/// Where the connection stands.
enum Phase {
    /// Not connected, and nothing asked for a connection.
    Idle,
    /// An attempt is under way.
    Connecting(Dialling),
    /// Connected, since this moment.
    Online(Box<ClientLink>, Instant),
    /// Lost; the next attempt comes after this pause.
    Waiting(Pin<Box<Sleep>>),
}

/// What can happen.
enum Event {
    Control(Control),
    Queued,
    Dialled(Box<Result<(ClientLink, bool)>>),
    Ended(Error),
    RetryDue,
    RenewalDue,
    TokenDue,
    HandleDropped,
}

/// The state of a session's task.
pub(super) struct Session {
    options: Arc<Options>,
    /// At first those of the options; a token is replaced.
    credentials: Credentials,
    target: Target,
    control: UnboundedReceiver<Control>,
    intake: Intake,
    outbound: Outbound<Purpose>,
    desired: DesiredProperties,
    shared: Arc<Shared>,
    phase: Phase,
    backoff: Backoff,
    /// Whether a failed attempt is followed by another: the connection was there and the program wants it.
    reconnecting: bool,
    /// Why there is no connection, if it was lost or could not be made.
    last_failure: Option<Error>,
    /// Who waits for the attempt under way.
    connecting: Vec<Promise>,
    /// When the token of the attempt under way has to be renewed.
    next_renewal: Option<u64>,
    /// When the token of this connection has to be renewed; while it is, when to go on with packets in flight.
    renew_unix_millis: Option<u64>,
    renewing: bool,
    /// When the program has to be asked for another token.
    token_due_unix_millis: Option<u64>,
}

impl Session {
    pub(super) fn new(
        options: Arc<Options>,
        target: Target,
        control: UnboundedReceiver<Control>,
        requests: UnboundedReceiver<Request<Purpose>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            outbound: Outbound::new(options.window),
            backoff: Backoff::new(options.connection_retry_interval),
            intake: Intake::new(requests),
            token_due_unix_millis: options.credentials.token_due_unix_millis(options.clock.unix_millis()),
            credentials: options.credentials.clone(),
            options,
            target,
            control,
            desired: DesiredProperties::default(),
            shared,
            phase: Phase::Idle,
            reconnecting: false,
            last_failure: None,
            connecting: Vec::new(),
            next_renewal: None,
            renew_unix_millis: None,
            renewing: false,
        }
    }

    /// Live until the client is shut down or dropped.
    pub(super) async fn run(self) {
        // The session is gone before the caller of `shutdown` hears of it: calls that follow find it so.
        if let Some(promise) = self.live().await {
            promise.complete(Ok(Bytes::new()));
        }
    }

    /// Handle events to the end; whom to tell of it.
    async fn live(mut self) -> Option<Promise> {
        loop {
            match self.next_event().await {
                Event::Control(Control::Connect(promise)) => self.connect(promise),
                Event::Control(Control::Disconnect(promise)) => {
                    self.disconnect().await;
                    promise.complete(Ok(Bytes::new()));
                }
                Event::Control(Control::ShutDown(promise)) => {
                    self.disconnect().await;
                    return Some(promise);
                }
                Event::Control(Control::UpdateToken(token, promise)) => self.update_token(token, promise),
                Event::HandleDropped => {
                    self.disconnect().await;
                    return None;
                }
                Event::Queued => self.queued(),
                Event::Dialled(dialled) => match *dialled {
                    Ok((link, session_present)) => self.connected(link, session_present),
                    Err(error) => self.not_connected(&error),
                },
                Event::Ended(error) => self.ended(&error),
                Event::RetryDue => self.dial(),
                Event::RenewalDue => self.renew(),
                Event::TokenDue => {
                    self.token_due_unix_millis = None;
                    self.shared.inboxes.put_event(ConnectionEvent::TokenExpiring);
                }
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let Self { control, phase, intake, outbound, desired, shared, options, last_failure, .. } = self;
        let alarm = async |moment: Option<u64>| match moment {
            Some(moment) => options.clock.sleep_until(moment).await,
            None => pending().await,
        };
        let activity = async {
            if let Phase::Online(link, _) = phase {
                let mut conversation = Conversation { outbound, intake, desired, shared, options };
                return Event::Ended(link.run(&mut conversation).await);
            }
            poll_fn(|context| {
                let arrived = intake.poll(context, outbound, last_failure.as_ref());
                shared.note(outbound.counts());
                match phase {
                    Phase::Connecting(dialling) => {
                        dialling.as_mut().poll(context).map(|dialled| Event::Dialled(Box::new(dialled)))
                    }
                    Phase::Waiting(pause) => pause.as_mut().poll(context).map(|()| Event::RetryDue),
                    Phase::Idle if arrived => Poll::Ready(Event::Queued),
                    Phase::Idle | Phase::Online(..) => Poll::Pending,
                }
            })
            .await
        };
        tokio::select! {
            biased;
            control = control.recv() => control.map_or(Event::HandleDropped, Event::Control),
            event = activity => event,
            () = alarm(self.renew_unix_millis) => Event::RenewalDue,
            () = alarm(self.token_due_unix_millis) => Event::TokenDue,
        }
    }

    fn connect(&mut self, promise: Promise) {
        match self.phase {
            Phase::Online(..) => return promise.complete(Ok(Bytes::new())),
            Phase::Connecting(_) => {}
            Phase::Idle | Phase::Waiting(_) => {
                self.backoff.reset();
                self.dial();
            }
        }
        self.connecting.push(promise);
    }

    /// Connect with this token from now on; what is in flight is acknowledged on the old connection first.
    fn update_token(&mut self, token: Token, promise: Promise) {
        self.credentials = Credentials::Token(token);
        self.token_due_unix_millis = self.credentials.token_due_unix_millis(self.options.clock.unix_millis());
        self.connecting.push(promise);
        if matches!(self.phase, Phase::Online(..)) {
            return self.renew();
        }
        self.backoff.reset();
        self.dial();
    }

    async fn disconnect(&mut self) {
        if let Phase::Online(link, _) = self.leave_phase(None) {
            link.disconnect().await;
        }
        self.reconnecting = false;
        self.intake.take_all(&mut self.outbound);
        let cancelled = Error::new(ErrorKind::Cancelled, "the client was disconnected");
        self.fail(&cancelled);
    }

    /// Go to `Idle`; what the phase held is returned. `reason` says why, if the program did not ask for it.
    fn leave_phase(&mut self, reason: Option<&Error>) -> Phase {
        if self.shared.connected.swap(false, Ordering::AcqRel) {
            // Their answers belong to the connection that is gone.
            self.shared.inboxes.methods.clear();
            self.shared.inboxes.put_event(ConnectionEvent::Disconnected(reason.cloned()));
        }
        self.renew_unix_millis = None;
        self.renewing = false;
        self.outbound.pause(false);
        std::mem::replace(&mut self.phase, Phase::Idle)
    }

    /// Everyone who waits for anything gets this error.
    fn fail(&mut self, error: &Error) {
        for promise in self.connecting.drain(..) {
            promise.complete(Err(error.clone()));
        }
        self.outbound.fail_all(error);
        // What the session asked for itself is asked again after the next connect.
        let _ = self.outbound.take_owners();
    }

    fn queued(&mut self) {
        if self.options.auto_connect {
            self.dial();
        } else {
            self.fail(&Error::new(ErrorKind::NotConnected, "The client is not currently connected."));
        }
    }

    fn dial(&mut self) {
        let password = self.credentials.password(&self.options.resource(), self.options.clock.unix_millis());
        let options = &self.options;
        let (client_id, user_name) = (options.client_id(), options.user_name());
        let connect = connect_packet(client_id, options.keep_alive_seconds, user_name, &password.text);
        self.next_renewal = password.renew_unix_millis;
        let target = self.target.clone();
        self.phase = Phase::Connecting(Box::pin(async move { dial(&target, &connect).await }));
    }

    fn connected(&mut self, mut link: ClientLink, session_present: bool) {
        self.outbound.drop_owners();
        if let Err(error) = self.outbound.replay(link.output()) {
            return self.not_connected(&error);
        }
        if self.options.ensure_desired_properties
            && self.outbound.subscriptions().contains(topics::DESIRED_PATCHES)
        {
            self.desired.asked_again();
            self.outbound.push_first(desired_properties_request());
        }
        if !session_present {
            self.resubscribe();
        }
        // A renewal is no loss.
        if self.reconnecting && self.last_failure.is_some() {
            self.shared.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.reconnecting = self.options.connection_retry;
        self.last_failure = None;
        self.renew_unix_millis = self.next_renewal.take();
        self.shared.connected.store(true, Ordering::Release);
        self.shared.inboxes.put_event(ConnectionEvent::Connected);
        self.phase = Phase::Online(Box::new(link), Instant::now());
        for promise in self.connecting.drain(..) {
            promise.complete(Ok(Bytes::new()));
        }
    }

    /// The hub has lost this client's subscriptions: make them again before anything else is sent.
    fn resubscribe(&mut self) {
        let filters: BTreeSet<String> = self.outbound.subscriptions().clone();
        for filter in filters.into_iter().rev() {
            let deadline = Some(Instant::now() + OWN_REQUEST_TIME);
            let reply = Reply::Owner(Purpose::Resubscribe);
            self.outbound.push_first(Request { operation: Operation::Subscribe(filter), reply, deadline });
        }
    }

    fn not_connected(&mut self, error: &Error) {
        self.leave_phase(None);
        self.last_failure = Some(error.clone());
        if self.reconnecting {
            self.shared.inboxes.put_event(ConnectionEvent::Failed(error.clone()));
        }
        if self.reconnecting && self.is_worth_another_attempt(error) {
            for promise in self.connecting.drain(..) {
                promise.complete(Err(error.clone()));
            }
            return self.wait_to_retry();
        }
        self.reconnecting = false;
        self.fail(error);
    }

    fn is_worth_another_attempt(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::ConnectionFailed
            | ErrorKind::ConnectionDropped
            | ErrorKind::Timeout
            | ErrorKind::Tls
            | ErrorKind::Proxy => true,
            ErrorKind::Unauthorized => self.credentials.can_renew(),
            _ => false,
        }
    }

    fn ended(&mut self, error: &Error) {
        let renewing = self.renewing;
        let Phase::Online(link, since) = self.leave_phase(if renewing { None } else { Some(error) }) else {
            return;
        };
        if renewing {
            tokio::spawn(link.disconnect());
            return self.dial();
        }
        self.last_failure = Some(error.clone());
        self.backoff.connection_lived(since.elapsed());
        if self.reconnecting {
            return self.wait_to_retry();
        }
        self.fail(&Error::new(ErrorKind::Cancelled, "the connection was lost").caused_by(error.clone()));
    }

    fn wait_to_retry(&mut self) {
        self.phase = Phase::Waiting(Box::pin(sleep(self.backoff.next())));
    }

    /// First let what is in flight be acknowledged, so that nothing has to be sent twice; then connect anew.
    fn renew(&mut self) {
        self.renew_unix_millis = None;
        if !matches!(self.phase, Phase::Online(..)) {
            return;
        }
        if self.renewing {
            return self.ended(&Error::new(ErrorKind::Cancelled, "renewing the token"));
        }
        self.renewing = true;
        self.outbound.pause(true);
        let limit = u64::try_from(DRAIN_TIME.as_millis()).unwrap_or(u64::MAX);
        self.renew_unix_millis = Some(self.options.clock.unix_millis() + limit);
    }
}
