//! Messages to devices: each is answered when it is in the device's queue, and with `--data` on disk.

use fe2o3_amqp::Delivery;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::{DispositionError, Receiver, RecvError};
use fe2o3_amqp::types::definitions::{AmqpError, Error};
use fe2o3_amqp::types::messaging::{Body, Message};
use fe2o3_amqp::types::primitives::Value;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;

use super::claims::Claims;
use super::message::{self, Addressed};
use super::refusal::refusal;
use crate::hub::HubState;
use crate::hub::access::{Denied, Right};
use crate::hub::error::HubError;

/// What a token has to be for.
pub(super) const RESOURCE: [&str; 2] = ["messages", "devicebound"];

/// Accepted messages that are told of together, at most: a back end that sends without a pause gets an answer now and then.
const MOST_AT_ONCE: usize = 64;

type Outcome = (DeliveryInfo, Result<(), HubError>);

/// What a link has to do next.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Next {
    /// The disk has a message, or it was refused.
    Told(Outcome),
    Received(Result<Delivery<Body<Value>>, RecvError>),
}

/// Take messages until the link ends, or until no token of the connection is good for it any more.
pub(super) async fn serve(link: Receiver, hub: HubState, claims: Claims) {
    let mut queueing = Queueing { link, hub, waiting: FuturesUnordered::new(), accepted: Vec::new() };
    while let Ok(next) = queueing.next().await {
        let settled = match next {
            Next::Told(outcome) => queueing.settle(outcome).await,
            Next::Received(Ok(delivery)) => {
                if let Err(denied) = claims.check(Right::ServiceConnect, &RESOURCE, &queueing.hub) {
                    return queueing.close(&denied).await;
                }
                queueing.queue(delivery).await
            }
            Next::Received(Err(RecvError::MessageDecode(error))) => {
                let reason = Error::new(AmqpError::DecodeError, error.source.to_string(), None);
                queueing.link.reject(error.info, reason).await
            }
            Next::Received(Err(_)) => return,
        };
        if settled.is_err() {
            return;
        }
    }
}

/// A link, and the messages on their way into queues.
struct Queueing {
    link: Receiver,
    hub: HubState,
    /// For the disk.
    waiting: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// What the back end is not told of yet.
    accepted: Vec<DeliveryInfo>,
}

impl Queueing {
    /// What is to do next. Before there is nothing to do, the back end is told of what was accepted.
    async fn next(&mut self) -> Result<Next, DispositionError> {
        if self.accepted.len() < MOST_AT_ONCE
            && let Some(next) = self.wait().now_or_never()
        {
            return Ok(next);
        }
        if !self.accepted.is_empty() {
            self.link.accept_all(self.accepted.drain(..)).await?;
        }
        Ok(self.wait().await)
    }

    async fn wait(&mut self) -> Next {
        tokio::select! {
            biased;
            Some(outcome) = self.waiting.next() => Next::Told(outcome),
            received = self.link.recv::<Body<Value>>() => Next::Received(received),
        }
    }

    async fn queue(&mut self, delivery: Delivery<Body<Value>>) -> Result<(), DispositionError> {
        let (info, message) = delivery.into_parts();
        let mut queued = queue(self.hub.clone(), info, message).boxed();
        // The order of messages is that of the first polls; what waits then is the disk only.
        if let Some(outcome) = (&mut queued).now_or_never() {
            return self.settle(outcome).await;
        }
        self.waiting.push(queued);
        Ok(())
    }

    async fn settle(&mut self, (info, outcome): Outcome) -> Result<(), DispositionError> {
        match outcome {
            Ok(()) => {
                self.accepted.push(info);
                Ok(())
            }
            Err(error) => self.link.reject(info, refusal(&error, &self.hub)).await,
        }
    }

    async fn close(self, denied: &Denied) {
        self.hub.notices.tell(|| format!("an AMQP link was closed: {}", denied.0));
        let _ = self.link.accept_all(self.accepted).await;
        // How it ends is the peer's affair.
        let _ = self.link.close_with_error(refusal(&HubError::unauthorized(), &self.hub)).await;
    }
}

async fn queue(hub: HubState, info: DeliveryInfo, message: Message<Body<Value>>) -> Outcome {
    let queued = match message::read(message, &hub) {
        Ok(Addressed { device, message }) => hub.queue_for_device(&device, message).await,
        Err(error) => Err(error),
    };
    (info, queued)
}
