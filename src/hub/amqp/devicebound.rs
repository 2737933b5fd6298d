//! Messages to devices: each is answered when it is in the device's queue, and with `--data` on disk.

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
use crate::hub::access::Right;
use crate::hub::error::HubError;

/// What a token has to be for.
pub(super) const RESOURCE: [&str; 2] = ["messages", "devicebound"];

type Outcome = (DeliveryInfo, Result<(), HubError>);

/// Take messages until the link ends, or until no token of the connection is good for it any more.
pub(super) async fn serve(mut link: Receiver, hub: HubState, claims: Claims) {
    let mut waiting: FuturesUnordered<BoxFuture<'static, Outcome>> = FuturesUnordered::new();
    loop {
        let received = tokio::select! {
            biased;
            Some(outcome) = waiting.next() => {
                if settle(&link, outcome, &hub).await.is_err() {
                    return;
                }
                continue;
            }
            received = link.recv::<Body<Value>>() => received,
        };
        let settled = match received {
            Ok(delivery) => {
                if let Err(denied) = claims.check(Right::ServiceConnect, &RESOURCE, &hub) {
                    hub.notices.tell(|| format!("an AMQP link was closed: {}", denied.0));
                    // How it ends is the peer's affair.
                    let _ = link.close_with_error(refusal(&HubError::unauthorized(), &hub)).await;
                    return;
                }
                let (info, message) = delivery.into_parts();
                let mut queued = queue(hub.clone(), info, message).boxed();
                // The order of messages is that of the first polls; what waits then is the disk only.
                if let Some(outcome) = (&mut queued).now_or_never() {
                    settle(&link, outcome, &hub).await
                } else {
                    waiting.push(queued);
                    Ok(())
                }
            }
            Err(RecvError::MessageDecode(error)) => {
                let reason = Error::new(AmqpError::DecodeError, error.source.to_string(), None);
                link.reject(error.info, reason).await
            }
            Err(_) => return,
        };
        if settled.is_err() {
            return;
        }
    }
}

async fn queue(hub: HubState, info: DeliveryInfo, message: Message<Body<Value>>) -> Outcome {
    let queued = match message::read(message, &hub) {
        Ok(Addressed { device, message }) => hub.queue_for_device(&device, message).await,
        Err(error) => Err(error),
    };
    (info, queued)
}

async fn settle(link: &Receiver, (info, outcome): Outcome, hub: &HubState) -> Result<(), DispositionError> {
    match outcome {
        Ok(()) => link.accept(info).await,
        Err(error) => link.reject(info, refusal(&error, hub)).await,
    }
}
