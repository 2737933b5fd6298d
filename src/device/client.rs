//! The operations of a device or module client. Each is one async function; facades wait for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::conversation::{Purpose, desired_properties_request};
use super::credentials::Token;
use super::https::Https;
use super::incoming::{ConnectionEvent, Kind, MethodCall, ReceivedMessage, Watcher};
use super::options::Options;
use super::outbox::{Outbox, OutboxCounts};
use super::phase::{Attempt, Control, Surroundings};
use super::retry::random_fraction;
use super::session::{Session, Shared, shut_down};
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::{MessageCounts, Operation, Promise, Receipt, Reply, Request, dial, receipt};
use crate::protocol::topics;

/// Why a call that connects has failed; the first words are those of the official package.
const NO_CONNECTION: &str =
    "Transport timeout on connection operation: the hub did not let the client in within the call's time";
/// Why a call that disconnects has failed.
const NOT_CLOSED: &str = "the connection was not closed within the call's time";

/// A device or module client. Dropped, it disconnects.
pub struct Client {
    pub(super) options: Arc<Options>,
    pub(super) https: Https,
    control: UnboundedSender<Control>,
    requests: UnboundedSender<Request<Purpose>>,
    shared: Arc<Shared>,
    /// Locked while a subscription is made, so that it is made once.
    subscribed: Mutex<BTreeSet<String>>,
    outbox: Option<Outbox>,
    /// Messages that the session isn't told of yet; see [`Client::send_telemetry_with_others`].
    held: Held,
}

type Held = std::sync::Mutex<Vec<Request<Purpose>>>;

impl Client {
    /// A client that isn't connected yet; its session runs on this runtime.
    ///
    /// # Errors
    /// Those of [`crate::mqtt::Route::target`]; `Outbox` if the file of its outbox can't be used.
    pub fn new(options: Options, runtime: &Handle) -> Result<Self> {
        let target = Arc::new(options.route().target()?);
        let dial = Arc::new(move |connect| {
            let target = Arc::clone(&target);
            Box::pin(async move { dial(&target, &connect).await }) as Attempt
        });
        Self::start(options, Surroundings { dial, jitter: random_fraction }, runtime)
    }

    /// A client in these surroundings.
    pub(super) fn start(options: Options, surroundings: Surroundings, runtime: &Handle) -> Result<Self> {
        let (control, controls) = unbounded_channel();
        let (requests, incoming) = unbounded_channel();
        let (options, shared) = (Arc::new(options), Arc::new(Shared::default()));
        let open = |outbox| Outbox::open(outbox, &options, &requests, &shared, runtime);
        let outbox = options.outbox.as_ref().map(open).transpose()?;
        let session =
            Session::new(Arc::clone(&options), surroundings, controls, incoming, Arc::clone(&shared));
        runtime.spawn(session.run());
        let https = Https::default();
        Ok(Self {
            options,
            https,
            control,
            requests,
            shared,
            subscribed: Mutex::default(),
            outbox,
            held: Held::default(),
        })
    }

    /// `device` or `device/module`.
    #[must_use]
    pub fn id(&self) -> String {
        self.options.client_id()
    }

    /// Whether the client is connected at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Acquire)
    }

    /// How many messages took which way, and how often a lost connection was made again.
    #[must_use]
    pub fn statistics(&self) -> (MessageCounts, u64) {
        let mut counts = self.shared.tally.now();
        // What the outbox has taken back has not failed.
        let taken_back = self.outbox_counts().map_or(0, |outbox| outbox.taken_back);
        counts.failed = counts.failed.saturating_sub(taken_back);
        (counts, self.shared.reconnects.load(Ordering::Relaxed))
    }

    /// What became of accepted messages; None without an outbox.
    #[must_use]
    pub fn outbox_counts(&self) -> Option<OutboxCounts> {
        self.outbox.as_ref().map(Outbox::counts)
    }

    /// Connect: one attempt; at once if connected. An attempt that nobody waits for any more is dropped.
    ///
    /// # Errors
    /// Those of [`crate::mqtt::dial`], `Timeout` after `timeout` (None: that of an attempt), `ShutDown` after a
    /// shutdown.
    pub async fn connect(&self, timeout: Option<Duration>) -> Result<()> {
        self.control(Control::Connect, timeout, NO_CONNECTION).await
    }

    /// Disconnect; what has no outcome yet is cancelled. At once if not connected.
    ///
    /// # Errors
    /// `Timeout` after `timeout`, and then the connection is closed all the same; `ShutDown` after a shutdown.
    pub async fn disconnect(&self, timeout: Option<Duration>) -> Result<()> {
        self.control(Control::Disconnect, timeout, NOT_CLOSED).await
    }

    /// Disconnect for good.
    ///
    /// # Errors
    /// As [`Client::disconnect`]; `ShutDown` if it was shut down before.
    pub async fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = deadline(timeout);
        self.control(Control::ShutDown, timeout, NOT_CLOSED).await?;
        self.https.close();
        let Some(outbox) = &self.outbox else { return Ok(()) };
        within(deadline, outbox.closed(), NOT_CLOSED).await
    }

    /// Show the hub this token from now on: a connection with it is made at once. For clients whose credentials
    /// are a token.
    ///
    /// # Errors
    /// Those of [`Client::connect`], and then the token is used all the same; `Cancelled` by a disconnect meanwhile.
    pub async fn update_token(&self, token: Token, timeout: Option<Duration>) -> Result<()> {
        self.https.replace_token(token.clone());
        self.control(|promise| Control::UpdateToken(token, promise), timeout, NO_CONNECTION).await
    }

    async fn control(
        &self,
        control: impl FnOnce(Promise) -> Control,
        timeout: Option<Duration>,
        late: &'static str,
    ) -> Result<()> {
        let (promise, receipt) = receipt();
        self.release();
        self.control.send(control(promise)).map_err(|_| shut_down())?;
        within(deadline(timeout), receipt, late).await?.map(drop)
    }

    /// Send telemetry; done when the hub has it, or the outbox. It is queued before this returns, so that messages go
    /// out in the order of the calls. `properties` are encoded by [`crate::protocol::properties`].
    ///
    /// # Errors
    /// `Unsendable` if it can't be published, `Timeout` after `timeout` (None: never), the connection's
    /// errors, each saying whether the message was sent; with an outbox `Outbox` and `OutboxFull`, and none of the
    /// connection's.
    pub fn send_telemetry(
        &self,
        properties: &str,
        payload: Bytes,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let receipt = self.take_telemetry(properties, payload, deadline(timeout), Self::queue);
        async { receipt?.await.map(drop) }
    }

    /// The same for one of many that are sent in a moment: while an acknowledgement is awaited anyway, the session is
    /// not told of it before [`Client::release`], so that they are written and acknowledged together (what Nagle's
    /// algorithm does for TCP, RFC 896).
    ///
    /// # Errors
    /// As [`Client::send_telemetry`].
    pub fn send_telemetry_with_others(
        &self,
        properties: &str,
        payload: Bytes,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let receipt = self.take_telemetry(properties, payload, deadline(timeout), Self::hold);
        async { receipt?.await.map(drop) }
    }

    /// Whether there are messages that the session isn't told of yet.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.lock_held().is_empty()
    }

    /// Tell the session of the messages that were held.
    pub fn release(&self) {
        for request in self.lock_held().drain(..) {
            // A session that has ended drops the request, whose caller then hears of it.
            let _ = self.requests.send(request);
        }
    }

    fn take_telemetry(
        &self,
        properties: &str,
        payload: Bytes,
        deadline: Option<Instant>,
        queue: impl FnOnce(&Self, Operation, Option<Instant>) -> Result<Receipt>,
    ) -> Result<Receipt> {
        let topic = self.options.telemetry_topic(properties);
        let Some(outbox) = &self.outbox else {
            return queue(self, Operation::publish(topic, payload)?, deadline);
        };
        // Only to see that it can be published.
        Operation::publish(topic, payload.clone())?;
        if self.requests.is_closed() {
            return Err(shut_down());
        }
        outbox.accept(properties, payload, self.options.clock.unix_millis(), deadline)
    }

    /// Wait until all telemetry that the outbox has accepted until now has left it.
    ///
    /// # Errors
    /// `Timeout` after `timeout` (None: never), `Cancelled` by a shutdown, `InvalidArgument` without an outbox.
    pub fn flush(&self, timeout: Option<Duration>) -> impl Future<Output = Result<()>> + Send + use<> {
        let receipt = match &self.outbox {
            _ if self.requests.is_closed() => Err(shut_down()),
            Some(outbox) => outbox.flush(deadline(timeout)),
            None => Err(Error::new(
                ErrorKind::InvalidArgument,
                "this client has no outbox to flush: its calls return when the hub has the message",
            )),
        };
        async { receipt?.await.map(drop) }
    }

    /// The twin as JSON: `{"desired": {…, "$version": n}, "reported": {…, "$version": m}}`.
    ///
    /// # Errors
    /// `Service` if the hub refuses, `Timeout` after `timeout` (None: never), the connection's errors.
    pub async fn get_twin(&self, timeout: Option<Duration>) -> Result<Bytes> {
        let deadline = deadline(timeout);
        self.subscribe(topics::TWIN_RESPONSES.to_owned(), deadline).await?;
        let request_id = new_request_id();
        let topic = topics::twin_get(&request_id);
        self.request(Operation::call(topic, Bytes::from_static(b" "), request_id)?, deadline).await
    }

    /// Merge a JSON object into the reported properties.
    ///
    /// # Errors
    /// As [`Client::get_twin`].
    pub async fn patch_reported_properties(&self, patch: Bytes, timeout: Option<Duration>) -> Result<()> {
        let deadline = deadline(timeout);
        self.subscribe(topics::TWIN_RESPONSES.to_owned(), deadline).await?;
        let request_id = new_request_id();
        let topic = topics::reported_patch(&request_id);
        self.request(Operation::call(topic, patch, request_id)?, deadline).await.map(drop)
    }

    /// Ask the hub for what is of this kind from now on; at once if that was done before.
    ///
    /// # Errors
    /// `Protocol` if the hub refuses, `Timeout` after `timeout` (None: never), the connection's errors.
    pub async fn enable(&self, kind: Kind, timeout: Option<Duration>) -> Result<()> {
        let deadline = deadline(timeout);
        let is_first_contact = !self.is_connected();
        let refreshed = kind == Kind::DesiredPatch && self.options.ensure_desired_properties;
        if refreshed {
            self.subscribe(topics::TWIN_RESPONSES.to_owned(), deadline).await?;
        }
        let Some(filter) = self.filter(kind) else { return Ok(()) };
        if self.subscribe(filter, deadline).await? && refreshed && is_first_contact {
            // Which version stands now tells after a reconnect what was missed. A client that was connected asks
            // after the reconnect only, as the official one does.
            self.requests.send(desired_properties_request()).map_err(|_| shut_down())?;
        }
        Ok(())
    }

    /// Ask the hub for it no more.
    ///
    /// # Errors
    /// As [`Client::enable`].
    pub async fn disable(&self, kind: Kind, timeout: Option<Duration>) -> Result<()> {
        let Some(filter) = self.filter(kind) else { return Ok(()) };
        let deadline = deadline(timeout);
        let mut subscribed = self.lock_subscriptions(deadline).await?;
        if subscribed.remove(&filter) {
            self.request(Operation::Unsubscribe(filter), deadline).await?;
        }
        Ok(())
    }

    /// What to subscribe to; messages are cloud-to-device for a device, those on its inputs for a module.
    fn filter(&self, kind: Kind) -> Option<String> {
        let device = &self.options.device_id;
        match (kind, &self.options.module_id) {
            (Kind::DesiredPatch, _) => Some(topics::DESIRED_PATCHES.to_owned()),
            (Kind::Method, _) => Some(topics::METHODS.to_owned()),
            (Kind::Message, Some(module)) => Some(topics::inputs_filter(device, module)),
            (Kind::Message, None) => Some(topics::cloud_to_device_filter(device)),
            (Kind::Event, _) => None,
        }
    }

    /// The next patch of desired properties, as JSON with `$version`, when it has come.
    ///
    /// # Errors
    /// `ShutDown` once the client has been shut down.
    pub async fn next_desired_patch(&self) -> Result<Bytes> {
        self.while_alive(self.shared.inboxes.desired_patches.take()).await
    }

    /// Resolve when something of this kind is there (and of this name, as for [`Client::next_message`] and
    /// [`Client::next_method`]): for who takes it later, and may be cancelled before.
    ///
    /// # Errors
    /// `ShutDown` once the client has been shut down.
    pub async fn arrival(&self, kind: Kind, name: Option<&str>) -> Result<()> {
        let inboxes = &self.shared.inboxes;
        match kind {
            Kind::DesiredPatch => self.while_alive(inboxes.desired_patches.arrival()).await,
            Kind::Message => self.while_alive(inboxes.messages.open(name).arrival()).await,
            Kind::Method => self.while_alive(inboxes.methods.open(name).arrival()).await,
            Kind::Event => self.while_alive(inboxes.events.arrival()).await,
        }
    }

    /// A patch that has come already.
    #[must_use]
    pub fn desired_patch_now(&self) -> Option<Bytes> {
        self.shared.inboxes.desired_patches.take_now()
    }

    /// The next message, when it has come; on this input, or any that nobody receives by name.
    ///
    /// # Errors
    /// `ShutDown` once the client has been shut down.
    pub async fn next_message(&self, input: Option<&str>) -> Result<ReceivedMessage> {
        self.while_alive(self.shared.inboxes.messages.open(input).take()).await
    }

    /// A message that has come already.
    #[must_use]
    pub fn message_now(&self, input: Option<&str>) -> Option<ReceivedMessage> {
        self.shared.inboxes.messages.open(input).take_now()
    }

    /// The next call of this method, or of any that nobody receives by name, when it has come.
    ///
    /// # Errors
    /// `ShutDown` once the client has been shut down.
    pub async fn next_method(&self, name: Option<&str>) -> Result<MethodCall> {
        self.while_alive(self.shared.inboxes.methods.open(name).take()).await
    }

    /// A call that has come already.
    #[must_use]
    pub fn method_now(&self, name: Option<&str>) -> Option<MethodCall> {
        self.shared.inboxes.methods.open(name).take_now()
    }

    /// Answer a call of a direct method; done when the hub has the answer. `payload` is JSON.
    ///
    /// # Errors
    /// As [`Client::send_telemetry`].
    pub async fn respond_to_method(
        &self,
        request_id: &str,
        status: i64,
        payload: Bytes,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let topic = topics::method_response(status, request_id);
        self.request(Operation::publish(topic, payload)?, deadline(timeout)).await.map(drop)
    }

    /// News of the connection that has come already.
    #[must_use]
    pub fn event_now(&self) -> Option<ConnectionEvent> {
        self.shared.inboxes.events.take_now()
    }

    /// Tell this watcher, instead of the last, when something new has come. Events are kept only while one watches.
    pub fn watch(&self, watcher: Option<Watcher>) {
        self.shared.inboxes.watch(watcher);
    }

    /// Wait for something that only a living session brings.
    pub(super) async fn while_alive<T>(&self, arrival: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            item = arrival => Ok(item),
            () = self.requests.closed() => Err(shut_down()),
        }
    }

    /// Subscribe once in the client's life; the session renews it. Whether it is new.
    async fn subscribe(&self, filter: String, deadline: Option<Instant>) -> Result<bool> {
        if self.requests.is_closed() {
            return Err(shut_down());
        }
        let mut subscribed = self.lock_subscriptions(deadline).await?;
        if subscribed.contains(&filter) {
            return Ok(false);
        }
        self.request(Operation::subscribe(filter.clone())?, deadline).await?;
        subscribed.insert(filter);
        Ok(true)
    }

    async fn lock_subscriptions(
        &self,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'_, BTreeSet<String>>> {
        match deadline {
            Some(deadline) => timeout_at(deadline, self.subscribed.lock()).await.map_err(|_| late()),
            None => Ok(self.subscribed.lock().await),
        }
    }

    async fn request(&self, operation: Operation, deadline: Option<Instant>) -> Result<Bytes> {
        self.queue(operation, deadline)?.await
    }

    fn queue(&self, operation: Operation, deadline: Option<Instant>) -> Result<Receipt> {
        let (promise, receipt) = receipt();
        let request = Request { operation, reply: Reply::Caller(promise), deadline };
        let mut held = self.lock_held();
        for request in held.drain(..).chain([request]) {
            self.requests.send(request).map_err(|_| shut_down())?;
        }
        Ok(receipt)
    }

    fn hold(&self, operation: Operation, deadline: Option<Instant>) -> Result<Receipt> {
        let counts = self.shared.tally.now();
        if counts.queued + counts.in_flight == 0 {
            return self.queue(operation, deadline);
        }
        if self.requests.is_closed() {
            return Err(shut_down());
        }
        let (promise, receipt) = receipt();
        self.lock_held().push(Request { operation, reply: Reply::Caller(promise), deadline });
        Ok(receipt)
    }

    fn lock_held(&self) -> std::sync::MutexGuard<'_, Vec<Request<Purpose>>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What comes until the deadline; later an error that says why.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>, late: &str) -> Result<T> {
    match deadline {
        Some(deadline) => {
            timeout_at(deadline, future).await.map_err(|_| Error::new(ErrorKind::Timeout, late))
        }
        None => Ok(future.await),
    }
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "no answer within the call's time (never sent)")
}
