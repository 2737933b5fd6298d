//! Receiving: links with credit, messages in batches, and another connection when one was lost.
//!
//! Callers wait until something is there, and take it in a step of its own, which can't be interrupted: a caller who stops
//! waiting loses nothing. What a link may have on its way to callers is bounded by its credit.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::{Delivery, DeliveryInfo};
use fe2o3_amqp::link::receiver::ReceiverDisposer;
use fe2o3_amqp::types::messaging::{Body, Message};
use fe2o3_amqp::types::primitives::Value;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::{Instant, sleep_until, timeout};

use super::attached::Attached;
use super::connection::HubConnection;
use super::endpoint::BearerToken;
use super::refusal;
use crate::error::{Error, ErrorKind, Result};

/// For an attempt to connect, in all.
const ATTEMPT: Duration = Duration::from_secs(60);
/// A hub that doesn't confirm the end of a link in this time has to do without.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// Pauses before attempts to connect again, in milliseconds; the last one for all that follow.
const PAUSES: [u64; 7] = [0, 250, 500, 1_000, 2_000, 4_000, 8_000];

/// A message as it came over the wire.
pub type IncomingMessage = Message<Body<Value>>;

/// Who tells the hub what became of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Nobody has to: they count as accepted when they have arrived, and after a loss the subscription goes on behind them.
    OnArrival,
    /// Callers do, by their [`Ticket`]s. What they had not settled before a loss the hub sends again.
    ByCaller,
}

/// What to receive from a hub.
pub trait Subscription: Send + Sync + 'static {
    /// Who settles.
    const SETTLEMENT: Settlement;

    /// Connect and attach the links; also after each loss.
    fn attach(&self, bearer: Option<&BearerToken>) -> impl Future<Output = Result<Attached>> + Send;

    /// A message has arrived by the link of this number.
    fn arrived(&self, link: usize, message: &IncomingMessage);
}

/// What a caller settles a message with.
pub struct Ticket {
    disposer: ReceiverDisposer,
    delivery: DeliveryInfo,
}

impl Ticket {
    /// It is done with: the hub forgets it.
    ///
    /// # Errors
    /// `ConnectionDropped` if the connection that it came by has gone: the hub sends it again.
    pub async fn accept(self) -> Result<()> {
        self.disposer.accept(self.delivery).await.map_err(|_| not_settled())
    }

    /// It isn't: the hub gives it to the next who asks.
    ///
    /// # Errors
    /// As of [`Ticket::accept`].
    pub async fn release(self) -> Result<()> {
        self.disposer.release(self.delivery).await.map_err(|_| not_settled())
    }
}

fn not_settled() -> Error {
    let text = "the connection that the message came by was lost: the hub sends it again";
    Error::new(ErrorKind::ConnectionDropped, text)
}

/// A message that has arrived.
pub struct Received {
    /// The message.
    pub message: IncomingMessage,
    /// The number of the subscription's link that it came by.
    pub link: usize,
    /// For who has to settle it.
    pub ticket: Option<Ticket>,
}

/// Receives what a subscription stands for, over a connection that is made when it is first needed, and again whenever it was
/// lost.
pub struct MessageReceiver<S> {
    subscription: Arc<S>,
    /// How many messages a link may have on their way.
    prefetch: u32,
    arrived: Mutex<VecDeque<Received>>,
    state: tokio::sync::Mutex<State>,
    /// Why there is no connection at present.
    trouble: Mutex<Option<Error>>,
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// The attempt that is being made: it goes on though nobody waits, so that short waits get there too.
    attempt: JoinSet<Result<Attached>>,
    /// Once it was connected, it tries again.
    was_connected: bool,
    /// Attempts and connections that brought nothing, one after the other.
    failures: usize,
    next_attempt: Option<Instant>,
}

struct Live {
    connection: HubConnection,
    links: Vec<Link>,
    /// What it has ended with, once all that had come before is told.
    ended: Option<Error>,
}

struct Link {
    receiver: Receiver,
    /// Since it was given credit.
    consumed: u32,
    /// What the hub waits to hear about.
    unsettled: Vec<DeliveryInfo>,
}

impl<S: Subscription> MessageReceiver<S> {
    /// A receiver of what `subscription` stands for; `prefetch` messages of each link may be on their way. Does no I/O.
    #[must_use]
    pub fn new(subscription: S, prefetch: u32) -> Self {
        Self {
            subscription: Arc::new(subscription),
            prefetch: prefetch.max(1),
            arrived: Mutex::default(),
            state: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
            closed: watch::Sender::new(false),
        }
    }

    /// What it receives.
    pub fn subscription(&self) -> &S {
        &self.subscription
    }

    /// Wait until something can be taken, for `limit` at most: whether there is. Whoever stops waiting loses nothing.
    ///
    /// A connection that was lost is made again for as long as the limit allows; one that never was is tried once.
    ///
    /// # Errors
    /// `Unauthorized` if the hub refuses the token or its rights; `ConnectionFailed`, `Tls` or `Protocol`; `Service` if there
    /// is no such thing to receive; `Timeout` if there was no connection at the end; `ShutDown` after a close.
    pub async fn wait(&self, bearer: Option<&BearerToken>, limit: Option<Duration>) -> Result<bool> {
        let mut closed = self.closed.subscribe();
        let waiting = async {
            let Some(limit) = limit else { return self.until_arrived(bearer).await.map(|()| true) };
            let waited = timeout(limit, self.until_arrived(bearer)).await;
            waited.map_or_else(|_| self.nothing_in(limit), |arrived| arrived.map(|()| true))
        };
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(Error::new(ErrorKind::ShutDown, "it was closed")),
            waited = waiting => waited,
        }
    }

    /// Take what is there, at most so many.
    pub fn take(&self, most: usize) -> Vec<Received> {
        let mut arrived = self.arrived();
        let count = most.min(arrived.len());
        arrived.drain(..count).collect()
    }

    /// Take the next one that is there.
    pub fn take_one(&self) -> Option<Received> {
        self.arrived().pop_front()
    }

    /// End the connection. Whoever waits is told.
    pub async fn close(&self) {
        self.closed.send_replace(true);
        let mut state = self.state.lock().await;
        state.attempt.abort_all();
        let live = state.let_go();
        drop(state);
        self.arrived().clear();
        if let Some(live) = live {
            live.close().await;
        }
    }

    fn nothing_in(&self, limit: Duration) -> Result<bool> {
        self.trouble().clone().map_or(Ok(false), |error| {
            let text = format!("no connection to the hub in {} s", limit.as_secs_f64());
            Err(Error::new(ErrorKind::Timeout, text).caused_by(error))
        })
    }

    async fn until_arrived(&self, bearer: Option<&BearerToken>) -> Result<()> {
        let mut state = self.state.lock().await;
        loop {
            if !self.arrived().is_empty() {
                return Ok(());
            }
            let ended = match self.connected(&mut state, bearer).await {
                Ok(live) => match live.messages(self, bearer).await {
                    Ok(()) => {
                        state.failures = 0;
                        return Ok(());
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.lose(&mut state, &ended);
            let temporary = [ErrorKind::ConnectionFailed, ErrorKind::ConnectionDropped];
            if !state.was_connected || !temporary.contains(&ended.kind()) {
                return Err(ended);
            }
        }
    }

    /// The connection there is, or a new one.
    async fn connected<'a>(
        &self,
        state: &'a mut State,
        bearer: Option<&BearerToken>,
    ) -> Result<&'a mut Live> {
        let usable = match &mut state.live {
            Some(live) if live.connection.is_usable() => live.connection.renew_if_due(bearer).await.is_ok(),
            live => live.is_some(),
        };
        if !usable {
            drop(state.let_go());
            self.trouble().get_or_insert_with(unanswered);
            if state.attempt.is_empty() {
                if let Some(next) = state.next_attempt {
                    sleep_until(next).await;
                }
                state.attempt.spawn(attempt(Arc::clone(&self.subscription), bearer.cloned()));
            }
            let attached = state.attempt.join_next().await.and_then(Result::ok);
            let Attached { connection, links } = attached.unwrap_or_else(|| Err(unanswered()))?;
            let link = |receiver| Link { receiver, consumed: self.prefetch, unsettled: Vec::new() };
            let links = links.into_iter().map(link).collect();
            state.live = Some(Live { connection, links, ended: None });
            state.was_connected = true;
            *self.trouble() = None;
        }
        let ended = || Error::new(ErrorKind::NotConnected, "there is no connection");
        state.live.as_mut().ok_or_else(ended)
    }

    fn lose(&self, state: &mut State, reason: &Error) {
        drop(state.let_go());
        let pause = PAUSES[state.failures.min(PAUSES.len() - 1)];
        state.failures += 1;
        state.next_attempt = Some(Instant::now() + Duration::from_millis(pause));
        *self.trouble() = Some(reason.clone());
        // The hub sends it again, and the tickets are void.
        self.arrived().retain(|received| received.ticket.is_none());
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Error>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered() -> Error {
    Error::new(ErrorKind::ConnectionFailed, "the hub does not answer")
}

async fn attempt<S: Subscription>(subscription: Arc<S>, bearer: Option<BearerToken>) -> Result<Attached> {
    let attached = timeout(ATTEMPT, subscription.attach(bearer.as_ref())).await;
    attached.unwrap_or_else(|_| Err(unanswered()))
}

impl State {
    /// The connection there was, for the caller to close. A parent process's is neither the caller's nor here any more.
    fn let_go(&mut self) -> Option<Live> {
        let live = self.live.take()?;
        if live.connection.is_of_this_process() {
            return Some(live);
        }
        std::mem::forget(live);
        None
    }
}

impl Live {
    /// End it well: when the hub answers, it knows what was settled.
    async fn close(self) {
        let closing = self.links.into_iter().map(|link| link.receiver.close());
        // One that doesn't answer has gone, and how a link ends is its affair.
        let _ = timeout(CLOSE_LIMIT, join_all(closing)).await;
    }

    /// Wait until messages have arrived.
    async fn messages<S: Subscription>(
        &mut self,
        receiver: &MessageReceiver<S>,
        bearer: Option<&BearerToken>,
    ) -> Result<()> {
        // Who waited before may have gone between the messages and this.
        self.replenish(receiver.prefetch).await?;
        loop {
            let due = self.connection.renewal_due();
            tokio::select! {
                arrived = unconstrained(poll_fn(|context| self.poll(receiver, context))) => {
                    arrived?;
                    break;
                }
                () = due => self.connection.renew_if_due(bearer).await?,
            }
        }
        // The next ones are on their way while the caller has these; not one by one, as the hub may keep it from others.
        if receiver.prefetch > 1
            && let Err(error) = self.replenish(receiver.prefetch).await
        {
            self.ended.get_or_insert(error);
        }
        Ok(())
    }

    /// Let messages in from all links.
    fn poll<S: Subscription>(
        &mut self,
        inbox: &MessageReceiver<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let mut arrived = inbox.arrived();
        for (number, link) in self.links.iter_mut().enumerate() {
            while self.ended.is_none() && link.consumed < inbox.prefetch {
                let polled = pin!(link.receiver.recv()).poll(context);
                match polled {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => self.ended = Some(refusal::received(error)),
                    Poll::Ready(Ok(delivery)) => {
                        let received = link.received::<S>(number, delivery);
                        inbox.subscription.arrived(number, &received.message);
                        arrived.push_back(received);
                    }
                }
            }
        }
        match self.ended.take_if(|_| arrived.is_empty()) {
            Some(error) => Poll::Ready(Err(error)),
            None if arrived.is_empty() => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }

    /// Settle what has come, and let the hub send more.
    async fn replenish(&mut self, prefetch: u32) -> Result<()> {
        for link in &mut self.links {
            let lost = |error| refusal::received(RecvError::LinkStateError(error));
            if !link.unsettled.is_empty() {
                let unsettled = std::mem::take(&mut link.unsettled);
                link.receiver.accept_all(unsettled).await.map_err(refusal::not_settled)?;
            }
            if link.consumed >= prefetch.div_ceil(2) {
                link.receiver.set_credit(prefetch).await.map_err(|error| lost(error.into()))?;
                link.consumed = 0;
            }
        }
        Ok(())
    }
}

impl Link {
    fn received<S: Subscription>(&mut self, number: usize, delivery: Delivery<Body<Value>>) -> Received {
        self.consumed += 1;
        let ticket = match S::SETTLEMENT {
            Settlement::OnArrival => {
                self.unsettled.push(DeliveryInfo::from(&delivery));
                None
            }
            Settlement::ByCaller => {
                let delivery = DeliveryInfo::from(&delivery);
                Some(Ticket { disposer: self.receiver.disposer(), delivery })
            }
        };
        Received { message: delivery.into_message(), link: number, ticket }
    }
}
