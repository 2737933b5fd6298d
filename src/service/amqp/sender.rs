//! What callers have to send messages to devices.
//!
//! A call has one outcome: the hub has accepted the message, or an error that says whether it can have. A message that
//! never left is sent on a new connection; one that may have arrived is not sent again, as the device would get it twice.
//!
//! As with devices, whoever never had a connection is told at once why there is none. One that was lost is worth waiting for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fe2o3_amqp::Sendable;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::link::{LinkStateError, SendError, Sender};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Body, Outcome, Source, Target as LinkTarget};
use fe2o3_amqp::types::primitives::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::connection::HubConnection;
use super::endpoint::{BearerToken, Endpoint};
use super::message::OutgoingMessage;
use super::refusal;
use crate::error::{Error, ErrorKind, Result};

const LARGEST_MESSAGE: u64 = 1 << 20;
/// Routes that a message is given to, at most: the one there is, and a new one.
const ATTEMPTS: u32 = 2;
/// Between attempts to connect again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// For a connection to say goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// For what a connection that has ended still says.
const LAST_OUTCOMES: Duration = Duration::from_secs(1);

type Delivery = DeliveryFut<Result<Outcome, SendError>>;

/// Sends messages to the devices of one hub, over one connection that is made when it is first needed, and again
/// whenever it was lost.
pub struct MessageSender {
    endpoint: Endpoint,
    current: Mutex<Current>,
}

/// The connection that messages take next. Whoever has it has the turn to hand one over.
#[derive(Default)]
struct Current {
    route: Option<Arc<Route>>,
    /// There was one, and nobody has closed it.
    was_lost: bool,
}

/// A connection with the link that messages take. It lasts as long as somebody waits for an outcome on it.
struct Route {
    /// None when it has ended.
    live: Mutex<Option<Live>>,
    is_given_up: AtomicBool,
    /// The hub has answered on it: it takes messages.
    is_proven: AtomicBool,
}

struct Live {
    link: Sender,
    connection: HubConnection,
}

/// A message that may have left.
struct HandedOver {
    delivery: Delivery,
    route: Arc<Route>,
}

/// Whether a message can have reached the hub.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    NeverSent,
    Sent,
}

impl Route {
    async fn open(endpoint: &Endpoint, token: Option<&BearerToken>) -> Result<Arc<Self>> {
        let mut connection = HubConnection::open(endpoint, token, None).await?;
        let link = Sender::builder()
            .name(format!("sender-link-{}", Uuid::new_v4()))
            .source(Source::builder().address(connection.container.as_str()).build())
            .target(
                LinkTarget::builder()
                    .address(format!("amqps://{}/messages/devicebound", connection.host))
                    .build(),
            )
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::Second)
            .max_message_size(LARGEST_MESSAGE)
            .attach(&mut connection.session)
            .await
            .map_err(|error| refusal::attach(&error))?;
        let ended = connection.ended();
        let live = Mutex::new(Some(Live { link, connection }));
        let route =
            Arc::new(Self { live, is_given_up: AtomicBool::default(), is_proven: AtomicBool::default() });
        tokio::spawn(Self::close_after(ended, Arc::downgrade(&route)));
        Ok(route)
    }

    /// Tell whoever waits for an outcome on this route that there is none to come: a link does so when it is dropped, and not
    /// when its connection ends.
    async fn close_after(ended: impl Future<Output = ()>, route: Weak<Self>) {
        ended.await;
        let Some(route) = route.upgrade() else { return };
        let mut live = route.live.lock().await;
        if let Some(live) = live.as_mut() {
            // Outcomes that have come are given out before.
            let _ = timeout(LAST_OUTCOMES, live.connection.session.on_end()).await;
        }
        *live = None;
    }

    /// Send nothing more on it. Who waits for an outcome may still get it.
    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    async fn is_of_this_process(&self) -> bool {
        self.live.lock().await.as_ref().is_none_or(|live| live.connection.is_of_this_process())
    }

    /// Whether nothing says that it has ended, and the hub knows a token that is good for a while.
    async fn is_good(&self, token: Option<&BearerToken>) -> bool {
        let mut live = self.live.lock().await;
        let Some(live) = live.as_mut().filter(|_| !self.is_given_up.load(Ordering::Relaxed)) else {
            return false;
        };
        live.connection.is_usable() && live.connection.renew_if_due(token).await.is_ok()
    }

    /// Give a message to the link. If that fails, it gives no outcomes any more either.
    async fn take(&self, message: &Sendable<Body<Value>>) -> std::result::Result<Delivery, SendError> {
        let mut live = self.live.lock().await;
        let Some(open) = live.as_mut() else { return Err(LinkStateError::IllegalState.into()) };
        let taken = open.link.send_batchable_ref(message).await;
        if matches!(taken, Err(SendError::LinkStateError(_) | SendError::Detached(_))) {
            *live = None;
        }
        taken
    }
}

impl MessageSender {
    /// A sender to the devices of this hub. Does no I/O.
    #[must_use]
    pub fn new(hub: Endpoint) -> Self {
        Self { endpoint: hub, current: Mutex::default() }
    }

    /// Send a message, and wait until the hub has accepted it, `limit` at most in all.
    ///
    /// # Errors
    /// `Service` with the status of the hub's refusal; `Unauthorized` if it refuses the token; `ConnectionFailed`, `Tls`,
    /// `Protocol` or `Timeout` if the message never left; `ConnectionDropped` or `NoAnswer` if it may have arrived;
    /// `Unsendable` if it is larger than the hub takes.
    pub async fn send(
        &self,
        message: OutgoingMessage,
        token: Option<BearerToken>,
        limit: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let handed_over = self.hand_over(message, token.as_ref(), deadline, limit).await?;
        handed_over.outcome(deadline, limit).await
    }

    /// Send messages in this order without waiting between them; an outcome for each, of [`MessageSender::send`]'s. After
    /// one that could not be sent for want of a connection, none is tried.
    pub async fn send_all(
        &self,
        messages: Vec<OutgoingMessage>,
        token: Option<BearerToken>,
        limit: Duration,
    ) -> Vec<Result<()>> {
        let deadline = Instant::now() + limit;
        let mut all = Vec::with_capacity(messages.len());
        let mut hopeless: Option<Error> = None;
        for message in messages {
            let handed_over = match &hopeless {
                Some(error) => Err(error.clone()),
                None => self.hand_over(message, token.as_ref(), deadline, limit).await,
            };
            if let Err(error) = &handed_over
                && error.kind() != ErrorKind::Unsendable
            {
                hopeless = Some(error.clone());
            }
            all.push(handed_over);
        }
        let mut outcomes = Vec::with_capacity(all.len());
        for handed_over in all {
            outcomes.push(match handed_over {
                Ok(handed_over) => handed_over.outcome(deadline, limit).await,
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// End the connection, when the messages on it have their outcomes; a message afterwards opens a new one. Waits a
    /// second for it.
    pub async fn close(&self) {
        let Some(route) = std::mem::take(&mut *self.current.lock().await).route else { return };
        let ended = route.live.lock().await.as_ref().map(|live| live.connection.ended());
        if !route.is_of_this_process().await {
            return std::mem::forget(route);
        }
        drop(route);
        if let Some(ended) = ended {
            let _ = timeout(CLOSE_TIME, ended).await;
        }
    }

    /// Give the message to a connection. On an error it has not left.
    async fn hand_over(
        &self,
        message: OutgoingMessage,
        token: Option<&BearerToken>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<HandedOver> {
        let message = Sendable::builder().message(message).build();
        let handing_over = self.hand_over_in_turn(&message, token, deadline);
        timeout_at(deadline, handing_over).await.unwrap_or_else(|_| Err(late(limit, Progress::NeverSent)))
    }

    async fn hand_over_in_turn(
        &self,
        message: &Sendable<Body<Value>>,
        token: Option<&BearerToken>,
        deadline: Instant,
    ) -> Result<HandedOver> {
        let mut current = self.current.lock().await;
        let mut attempts = 1;
        loop {
            let route = self.usable(&mut current, token, deadline).await?;
            match route.take(message).await {
                Ok(delivery) => return Ok(HandedOver { delivery, route }),
                Err(SendError::MessageSizeExceeded(error)) => {
                    let text =
                        format!("the message has {} bytes, and the hub takes {}", error.size, error.max_size);
                    return Err(Error::new(ErrorKind::Unsendable, text));
                }
                Err(SendError::MessageEncodeError) => {
                    return Err(Error::new(ErrorKind::Unsendable, "the message can't be encoded"));
                }
                Err(error) if attempts == ATTEMPTS => return Err(refusal::lost(error)),
                Err(_) => attempts += 1,
            }
        }
    }

    /// A connection with a token that is good for a while.
    async fn usable(
        &self,
        current: &mut Current,
        token: Option<&BearerToken>,
        deadline: Instant,
    ) -> Result<Arc<Route>> {
        if let Some(route) = current.route.take() {
            if !route.is_of_this_process().await {
                // Its tasks are the parent's, and closing it would be felt there.
                std::mem::forget(route);
                return self.open(current, token, deadline).await;
            }
            // A caller who goes away while a token is on its way leaves a connection of which nobody knows enough.
            current.was_lost = true;
            if route.is_good(token).await {
                current.route = Some(Arc::clone(&route));
                return Ok(route);
            }
        }
        self.open(current, token, deadline).await
    }

    async fn open(
        &self,
        current: &mut Current,
        token: Option<&BearerToken>,
        deadline: Instant,
    ) -> Result<Arc<Route>> {
        let mut pause = FIRST_PAUSE;
        loop {
            // Seldom, and large.
            match Box::pin(Route::open(&self.endpoint, token)).await {
                Ok(route) => {
                    current.route = Some(Arc::clone(&route));
                    return Ok(route);
                }
                Err(error)
                    if current.was_lost && is_temporary(&error) && Instant::now() + pause < deadline =>
                {
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl HandedOver {
    async fn outcome(self, deadline: Instant, limit: Duration) -> Result<()> {
        let lost = match timeout_at(deadline, self.delivery).await {
            Ok(Ok(outcome)) => {
                self.route.is_proven.store(true, Ordering::Relaxed);
                return refusal::outcome(outcome);
            }
            Ok(Err(error)) => {
                let lost = refusal::lost(error);
                // A hub attaches a link before it refuses it, and messages may have left by then.
                if lost.kind() == ErrorKind::Unauthorized && !self.route.is_proven.load(Ordering::Relaxed) {
                    return Err(lost);
                }
                let text = format!("{}: sent, not acknowledged, the hub may have it or not", lost.message());
                lost.with_message(text).with_kind(ErrorKind::ConnectionDropped)
            }
            // Perhaps nothing arrives any more, in either direction.
            Err(_) => late(limit, Progress::Sent),
        };
        self.route.give_up();
        Err(lost)
    }
}

/// Whether another attempt to connect may succeed.
fn is_temporary(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionFailed | ErrorKind::ConnectionDropped)
}

fn late(limit: Duration, progress: Progress) -> Error {
    let seconds = limit.as_secs_f64();
    match progress {
        Progress::NeverSent => {
            Error::new(ErrorKind::Timeout, format!("never sent: no connection in {seconds} s"))
        }
        Progress::Sent => Error::new(
            ErrorKind::NoAnswer,
            format!("sent, not acknowledged in {seconds} s: the hub may have it or not"),
        ),
    }
}
