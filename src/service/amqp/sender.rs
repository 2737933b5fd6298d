//! What callers have to send messages to devices.
//!
//! A call has one outcome: the hub has accepted the message, or an error that says whether it can have. A message that
//! never left is sent on a new connection; one that may have arrived is not sent again, as the device would get it twice.

use std::time::Duration;

use fe2o3_amqp::Sendable;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::link::{SendError, Sender};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Body, Outcome, Source, Target as LinkTarget};
use fe2o3_amqp::types::primitives::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::connection::HubConnection;
use super::endpoint::{BearerToken, Endpoint};
use super::message::OutgoingMessage;
use super::refusal;
use crate::error::{Error, ErrorKind, Result};

const LARGEST_MESSAGE: u64 = 1 << 20;

type Delivery = DeliveryFut<Result<Outcome, SendError>>;

/// Sends messages to the devices of one hub, over one connection that is made when it is first needed, and again
/// whenever it was lost.
pub struct MessageSender {
    endpoint: Endpoint,
    live: Mutex<Connections>,
}

/// The connection there is, and how many there were.
#[derive(Default)]
struct Connections {
    live: Option<Live>,
    opened: u64,
}

/// A connection with the link that messages take.
struct Live {
    connection: HubConnection,
    link: Sender,
    /// Which of a sender's connections it is.
    number: u64,
}

impl Live {
    async fn open(endpoint: &Endpoint, token: Option<&BearerToken>, number: u64) -> Result<Self> {
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
        Ok(Self { connection, link, number })
    }
}

/// Whether a message can have reached the hub.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    NeverSent,
    Sent,
}

impl MessageSender {
    /// A sender to the devices of this hub. Does no I/O.
    #[must_use]
    pub fn new(hub: Endpoint) -> Self {
        Self { endpoint: hub, live: Mutex::default() }
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
        let mut progress = Progress::NeverSent;
        let sending = async {
            let (delivery, connection) = self.hand_over(&sendable(message), token.as_ref()).await?;
            progress = Progress::Sent;
            self.outcome(delivery.await, connection).await
        };
        timeout_at(deadline, sending).await.unwrap_or_else(|_| Err(late(limit, progress)))
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
        let mut deliveries = Vec::with_capacity(messages.len());
        let mut hopeless: Option<Error> = None;
        for message in messages {
            if let Some(error) = &hopeless {
                deliveries.push(Err(error.clone()));
                continue;
            }
            let sendable = sendable(message);
            let handed = timeout_at(deadline, self.hand_over(&sendable, token.as_ref())).await;
            let handed = handed.unwrap_or_else(|_| Err(late(limit, Progress::NeverSent)));
            if let Err(error) = &handed
                && error.kind() != ErrorKind::Unsendable
            {
                hopeless = Some(error.clone());
            }
            deliveries.push(handed);
        }
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            outcomes.push(match delivery {
                Ok((delivery, connection)) => match timeout_at(deadline, delivery).await {
                    Ok(outcome) => self.outcome(outcome, connection).await,
                    Err(_) => Err(late(limit, Progress::Sent)),
                },
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// End the connection; a message afterwards opens a new one.
    pub async fn close(&self) {
        self.live.lock().await.live = None;
    }

    /// Give the message to the connection. On an error it has not left, and only a connection that was there already is
    /// given up for a new one.
    async fn hand_over(
        &self,
        message: &Sendable<Body<Value>>,
        token: Option<&BearerToken>,
    ) -> Result<(Delivery, u64)> {
        let mut connections = self.live.lock().await;
        loop {
            let opened = connections.opened;
            let live = self.usable(&mut connections, token).await?;
            let number = live.number;
            match live.link.send_batchable_ref(message).await {
                Ok(delivery) => return Ok((delivery, number)),
                Err(SendError::MessageSizeExceeded(error)) => {
                    let text =
                        format!("the message has {} bytes, and the hub takes {}", error.size, error.max_size);
                    return Err(Error::new(ErrorKind::Unsendable, text));
                }
                Err(SendError::MessageEncodeError) => {
                    return Err(Error::new(ErrorKind::Unsendable, "the message can't be encoded"));
                }
                Err(error) => {
                    connections.live = None;
                    if connections.opened != opened {
                        return Err(refusal::lost(error));
                    }
                }
            }
        }
    }

    /// A connection with a token that is good for a while.
    async fn usable<'a>(
        &self,
        connections: &'a mut MutexGuard<'_, Connections>,
        token: Option<&BearerToken>,
    ) -> Result<&'a mut Live> {
        if connections.live.as_ref().is_some_and(|live| !live.connection.is_of_this_process()) {
            std::mem::forget(connections.live.take());
        }
        // It stays in its place meanwhile: a caller who goes away must not take it from others.
        let good = match &mut connections.live {
            Some(live) if live.connection.is_usable() => live.connection.renew_if_due(token).await.is_ok(),
            _ => false,
        };
        if !good {
            connections.live = None;
            let number = connections.opened + 1;
            // Seldom, and large.
            let opened = Box::pin(Live::open(&self.endpoint, token, number)).await?;
            connections.live = Some(opened);
            connections.opened = number;
        }
        let ended = || Error::new(ErrorKind::NotConnected, "there is no connection");
        connections.live.as_mut().ok_or_else(ended)
    }

    async fn outcome(&self, outcome: Result<Outcome, SendError>, connection: u64) -> Result<()> {
        match outcome {
            Ok(outcome) => refusal::outcome(outcome),
            Err(error) => {
                let mut connections = self.live.lock().await;
                connections.live.take_if(|live| live.number == connection);
                let lost = refusal::lost(error);
                let text = format!("{}: sent, not acknowledged, the hub may have it or not", lost.message());
                Err(lost.with_message(text).with_kind(ErrorKind::ConnectionDropped))
            }
        }
    }
}

fn sendable(message: OutgoingMessage) -> Sendable<Body<Value>> {
    Sendable::builder().message(message).build()
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
