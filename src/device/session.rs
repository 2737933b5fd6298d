//! The session of a client: the one owner of its connection.
//!
//! One task per client. It waits for the next [`Event`] in its [`Phase`] and handles it; the table of both
//! is in docs/architecture.md, and `session_table` tests every cell of it. Requests keep their order and their one outcome through every loss,
//! reconnect and renewal.

use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::conversation::{Conversation, Intake, OWN_REQUEST_TIME, Purpose, desired_properties_request};
use super::credentials::{Credentials, Token};
use super::desired::DesiredProperties;
use super::incoming::{ConnectionEvent, Inboxes};
use super::options::Options;
use super::phase::{ClientLink, Control, Event, Live, Phase, Surroundings};
use super::retry::Backoff;
use crate::error::{Error, ErrorKind};
use crate::mqtt::{Operation, Outbound, Promise, Reply, Request, Tally, connect_packet};
use crate::protocol::topics;

/// How long a renewal waits for what is in flight before it goes on without.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What the client's handle and its session both see.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) connected: AtomicBool,
    pub(super) inboxes: Inboxes,
    pub(super) tally: Tally,
    pub(super) reconnects: AtomicU64,
    /// Tells the outbox that there is a connection, or none any more; counts these changes.
    pub(super) changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Note whether there is a connection; whether there was one.
    fn set_connected(&self, connected: bool) -> bool {
        let was_connected = self.connected.swap(connected, Ordering::AcqRel);
        self.changes.send_modify(|changes| *changes += u64::from(was_connected != connected));
        was_connected
    }
}

/// The state of a session's task.
pub(super) struct Session {
    options: Arc<Options>,
    /// At first those of the options; a token is replaced.
    credentials: Credentials,
    surroundings: Surroundings,
    control: UnboundedReceiver<Control>,
    intake: Intake,
    outbound: Outbound<Purpose>,
    desired: DesiredProperties,
    shared: Arc<Shared>,
    phase: Phase,
    backoff: Backoff,
    /// Whether the connection was there and the program has not ended it: it is made again unasked.
    was_connected: bool,
    /// Why there is no connection, if it was lost or could not be made.
    last_failure: Option<Error>,
    /// Who waits for the attempt under way.
    connecting: Vec<Promise>,
    /// When the token of the attempt under way has to be renewed.
    next_renewal: Option<u64>,
    /// When the token of this connection has to be renewed.
    renew_unix_millis: Option<u64>,
    /// When the program has to be asked for another token.
    token_due_unix_millis: Option<u64>,
}

impl Session {
    pub(super) fn new(
        options: Arc<Options>,
        surroundings: Surroundings,
        control: UnboundedReceiver<Control>,
        requests: UnboundedReceiver<Request<Purpose>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            outbound: Outbound::new(options.window).counting(shared.tally.clone()),
            backoff: Backoff::new(options.connection_retry_interval, surroundings.jitter),
            intake: Intake::new(requests),
            token_due_unix_millis: options.credentials.token_due_unix_millis(options.clock.unix_millis()),
            credentials: options.credentials.clone(),
            options,
            surroundings,
            control,
            desired: DesiredProperties::default(),
            shared,
            phase: Phase::Idle,
            was_connected: false,
            last_failure: None,
            connecting: Vec::new(),
            next_renewal: None,
            renew_unix_millis: None,
        }
    }

    /// Live until the client is shut down or dropped.
    pub(super) async fn run(mut self) {
        let told = self.live().await;
        self.close();
        // The session is gone before the caller of `shutdown` hears of it: calls that follow find it so.
        drop(self);
        if let Some(promise) = told {
            promise.complete(Ok(Bytes::new()));
        }
    }

    /// What was asked while the last connection said goodbye comes too late.
    fn close(&mut self) {
        self.control.close();
        while let Ok(control) = self.control.try_recv() {
            control.into_promise().complete(Err(shut_down()));
        }
        self.intake.close(&mut self.outbound);
        self.outbound.fail_all(&shut_down());
    }

    /// Handle events to the end; whom to tell of it.
    async fn live(&mut self) -> Option<Promise> {
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
                Event::Connected(link, session_present) => self.connected(link, session_present),
                Event::Refused(error) => self.refused(error),
                Event::Unwanted => {
                    self.end(&Error::new(ErrorKind::Cancelled, "nobody waits for a connection"));
                }
                Event::Ended(error) => self.ended(error),
                Event::Drained => self.drained(),
                Event::PauseOver => self.dial(),
                Event::RenewalDue => self.renew(),
                Event::TokenDue => {
                    self.token_due_unix_millis = None;
                    self.shared.inboxes.put_event(ConnectionEvent::TokenExpiring);
                }
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let Self { control, phase, intake, outbound, desired, shared, options, .. } = self;
        let alarm = async |moment: Option<u64>| match moment {
            Some(moment) => options.clock.sleep_until(moment).await,
            None => pending().await,
        };
        let activity = async {
            let mut conversation = Conversation { outbound, intake, desired, shared, options };
            match phase {
                Phase::Online(live) => Event::Ended(live.link.run(&mut conversation).await),
                Phase::Renewing(live, limit) => tokio::select! {
                    error = live.link.run(&mut conversation) => {
                        if conversation.outbound.is_drained() { Event::Drained } else { Event::Ended(error) }
                    }
                    () = limit => Event::Drained,
                },
                offline => {
                    let (first, why) = (!self.was_connected, self.last_failure.as_ref());
                    let wanted = |context: &mut Context<'_>, outbound: &Outbound<Purpose>| {
                        !first
                            || self.connecting.iter().any(|promise| !promise.poll_abandoned(context))
                            || outbound.poll_wanted(context)
                    };
                    poll_fn(|context| {
                        let arrived = conversation.intake.poll(context, conversation.outbound, why);
                        poll_offline(offline, context, arrived, |context| {
                            wanted(context, conversation.outbound)
                        })
                    })
                    .await
                }
            }
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
            Phase::Online(_) | Phase::Renewing(..) => return promise.complete(Ok(Bytes::new())),
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
        match self.phase {
            Phase::Online(_) => self.renew(),
            Phase::Renewing(..) => {}
            Phase::Idle | Phase::Connecting(_) | Phase::Waiting(_) => {
                self.backoff.reset();
                self.dial();
            }
        }
    }

    /// What the program waits for ends at once; then the hub is told.
    async fn disconnect(&mut self) {
        let left = self.leave_phase();
        self.offline(None, None);
        self.intake.take_all(&mut self.outbound);
        self.end(&Error::new(ErrorKind::Cancelled, "the client was disconnected"));
        if let Some(live) = left.into_live() {
            live.link.disconnect().await;
        }
    }

    /// Go to `Idle`; what the phase held is returned.
    fn leave_phase(&mut self) -> Phase {
        self.renew_unix_millis = None;
        self.outbound.pause(false);
        std::mem::replace(&mut self.phase, Phase::Idle)
    }

    /// The connection is gone: `reason` says why, if the program did not ask for it, `retry_in` when the next
    /// attempt comes.
    fn offline(&mut self, reason: Option<Error>, retry_in: Option<Duration>) {
        if self.shared.set_connected(false) {
            // Their answers belong to the connection that is gone.
            self.shared.inboxes.methods.clear();
            self.shared.inboxes.put_event(ConnectionEvent::Disconnected { reason, retry_in });
        }
    }

    /// Go to `Idle` and stay there: everyone who waits for anything gets this error.
    fn end(&mut self, error: &Error) {
        self.leave_phase();
        self.was_connected = false;
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
            self.end(&Error::new(ErrorKind::NotConnected, "The client is not currently connected."));
        }
    }

    fn dial(&mut self) {
        let now = self.options.clock.unix_millis();
        self.next_renewal = self.credentials.renewal_unix_millis(now);
        let (credentials, options) = (self.credentials.clone(), Arc::clone(&self.options));
        let dial = Arc::clone(&self.surroundings.dial);
        self.phase = Phase::Connecting(Box::pin(async move {
            let password = credentials.password(&options.resource(), now).await?;
            let (client_id, user_name) = (options.client_id(), options.user_name());
            dial(connect_packet(client_id, options.keep_alive_seconds, user_name, &password)).await
        }));
    }

    fn connected(&mut self, mut link: Box<ClientLink>, session_present: bool) {
        self.outbound.drop_owners();
        if let Err(error) = self.outbound.replay(link.output()) {
            return self.refused(error);
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
        if self.was_connected && self.last_failure.is_some() {
            self.shared.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.was_connected = true;
        self.last_failure = None;
        self.renew_unix_millis = self.next_renewal.take();
        self.shared.set_connected(true);
        self.shared.inboxes.put_event(ConnectionEvent::Connected);
        self.phase = Phase::Online(Live { link, since: Instant::now() });
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

    /// The attempt has failed. One that nobody has asked for is reported, and repeated if that may help.
    fn refused(&mut self, error: Error) {
        let unasked = self.was_connected;
        let again = unasked && self.options.connection_retry && self.is_worth_another_attempt(&error);
        let retry_in = again.then(|| self.backoff.after_failure());
        match retry_in {
            Some(pause) => {
                for promise in self.connecting.drain(..) {
                    promise.complete(Err(error.clone()));
                }
                self.phase = Phase::Waiting(Box::pin(sleep(pause)));
            }
            None => self.end(&error),
        }
        if unasked {
            self.shared.inboxes.put_event(ConnectionEvent::AttemptFailed { error: error.clone(), retry_in });
        }
        self.last_failure = Some(error);
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

    fn ended(&mut self, error: Error) {
        match self.leave_phase() {
            Phase::Online(live) => self.lost(&live, error),
            Phase::Renewing(live, _) => self.connect_anew(live),
            Phase::Idle | Phase::Connecting(_) | Phase::Waiting(_) => {}
        }
    }

    fn lost(&mut self, live: &Live, error: Error) {
        self.backoff.connection_lived(live.since.elapsed());
        let retry_in = self.options.connection_retry.then(|| self.backoff.after_loss());
        self.offline(Some(error.clone()), retry_in);
        match retry_in {
            Some(pause) => self.phase = Phase::Waiting(Box::pin(sleep(pause))),
            None => {
                self.end(
                    &Error::new(ErrorKind::Cancelled, "the connection was lost").caused_by(error.clone()),
                );
            }
        }
        self.last_failure = Some(error);
    }

    /// First let what is in flight be acknowledged, so that nothing has to be sent twice; then connect anew.
    fn renew(&mut self) {
        match self.leave_phase() {
            Phase::Online(live) => {
                self.outbound.pause(true);
                self.phase = Phase::Renewing(live, Box::pin(sleep(DRAIN_TIME)));
            }
            other => self.phase = other,
        }
    }

    fn drained(&mut self) {
        if let Some(live) = self.leave_phase().into_live() {
            self.connect_anew(live);
        }
    }

    /// With another token; whatever the credentials are by now.
    fn connect_anew(&mut self, old: Live) {
        self.offline(None, None);
        tokio::spawn(old.link.disconnect());
        self.dial();
    }
}

/// Why a call fails for which the session does not live any more.
pub(super) fn shut_down() -> Error {
    Error::new(ErrorKind::ShutDown, "Cannot execute method - Pipeline is not running")
}

/// What happens next without a connection: `arrived` says that requests have come, `wanted` whether anybody waits
/// for the attempt.
fn poll_offline(
    phase: &mut Phase,
    context: &mut Context<'_>,
    arrived: bool,
    wanted: impl FnOnce(&mut Context<'_>) -> bool,
) -> Poll<Event> {
    match phase {
        Phase::Connecting(attempt) => match attempt.as_mut().poll(context) {
            Poll::Ready(Ok((link, session_present))) => {
                Poll::Ready(Event::Connected(Box::new(link), session_present))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Event::Refused(error)),
            Poll::Pending if wanted(context) => Poll::Pending,
            Poll::Pending => Poll::Ready(Event::Unwanted),
        },
        Phase::Waiting(pause) => pause.as_mut().poll(context).map(|()| Event::PauseOver),
        Phase::Idle if arrived => Poll::Ready(Event::Queued),
        Phase::Idle | Phase::Online(_) | Phase::Renewing(..) => Poll::Pending,
    }
}
