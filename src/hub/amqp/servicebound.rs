//! Messages to back ends: feedback and notifications of files, each to one receiver at a time until it settles it.

use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::link::{SendError, Sender};
use fe2o3_amqp::types::messaging::{
    Data, Header, Message, MessageAnnotations, MessageId, Outcome, Properties,
};
use fe2o3_amqp::types::primitives::{Binary, Symbol, Timestamp, Value};
use tokio::time::timeout;

use super::claims::Claims;
use super::refusal::refusal;
use crate::hub::HubState;
use crate::hub::access::Right;
use crate::hub::error::HubError;
use crate::hub::feedback;
use crate::hub::service_queue::{Held, ServiceQueue, Settlement};
use crate::hub::uploads;

/// A link without credit keeps a message from others for so long, and then leaves it to them for a moment.
const CREDIT_PATIENCE: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(20);

type Delivery = DeliveryFut<Result<Outcome, SendError>>;

/// The queues of back ends.
#[derive(Clone, Copy)]
pub(super) enum ServiceBound {
    Feedback,
    FileNotifications,
}

impl ServiceBound {
    pub(super) fn resource(self) -> [&'static str; 3] {
        ["messages", "servicebound", self.name()]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::FileNotifications => "filenotifications",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Feedback => feedback::CONTENT_TYPE,
            Self::FileNotifications => uploads::NOTIFICATION_TYPE,
        }
    }

    fn queue(self, hub: &HubState) -> ServiceQueue {
        match self {
            Self::Feedback => hub.feedback.queue.clone(),
            Self::FileNotifications => hub.file_notifications.clone(),
        }
    }
}

/// Give messages to a receiver until its link ends, or until no token of the connection is good for it any more. What it
/// has not settled by then others get.
pub(super) async fn serve(mut link: Sender, kind: ServiceBound, hub: HubState, claims: Claims) {
    let queue = kind.queue(&hub);
    loop {
        let held = tokio::select! {
            _ = link.on_detach() => return,
            held = hub.wait_for_service(&queue) => held,
        };
        // The data file can't be written: there is nothing to give any more.
        let Ok(held) = held else { return };
        if let Err(denied) = claims.check(Right::ServiceConnect, &kind.resource(), &hub) {
            hub.notices.tell(|| format!("an AMQP link was closed: {}", denied.0));
            drop(held);
            // How it ends is the peer's affair.
            let _ = link.close_with_error(refusal(&HubError::unauthorized(), &hub)).await;
            return;
        }
        match timeout(CREDIT_PATIENCE, link.send_batchable(message(kind, &held, &hub))).await {
            // A task of its own: what was settled counts, though the link or the connection has ended since.
            Ok(Ok(delivery)) => drop(tokio::spawn(settle(held, delivery, queue.clone(), hub.clone()))),
            Ok(Err(_)) => return,
            Err(_) => {
                drop(held);
                tokio::time::sleep(MOMENT).await;
            }
        }
    }
}

async fn settle(held: Held, delivery: Delivery, queue: ServiceQueue, hub: HubState) {
    let settlement = match delivery.await {
        Ok(Outcome::Accepted(_)) => Settlement::Complete,
        Ok(Outcome::Rejected(_)) => Settlement::Reject,
        Ok(_) => Settlement::Abandon,
        // The link has ended: the message is free again.
        Err(_) => return,
    };
    if let Err(error) = hub.settle_for_service(&queue, held.token, settlement).await {
        hub.notices.tell(|| format!("a back end settled a message too late: {error}"));
    }
}

fn message(kind: ServiceBound, held: &Held, hub: &HubState) -> Message<Data> {
    let time =
        |unix_millis: u64| Timestamp::from_milliseconds(i64::try_from(unix_millis).unwrap_or(i64::MAX));
    let (number, enqueued) = (held.number, held.message.enqueued_unix_millis);
    let annotation = |name: &str, value: Value| (Symbol::from(name), value);
    let annotations = [
        annotation("iothub-enqueuedtime", time(enqueued).into()),
        annotation("x-opt-enqueued-time", time(enqueued).into()),
        annotation("x-opt-locked-until", time(held.until).into()),
        annotation("x-opt-sequence-number", i64::try_from(number).unwrap_or(i64::MAX).into()),
    ];
    let annotations = annotations
        .into_iter()
        .fold(MessageAnnotations::builder(), |built, (name, value)| built.insert(name, value));
    let properties = Properties {
        message_id: Some(MessageId::String(held.token.to_string())),
        user_id: Some(Binary::from(hub.access.hub_name().as_bytes().to_vec())),
        to: Some(format!("/messages/serviceBound/{}", kind.name())),
        content_type: Some(Symbol::from(kind.content_type())),
        content_encoding: Some(Symbol::from("utf-8")),
        absolute_expiry_time: Some(time(held.message.expires())),
        ..Properties::default()
    };
    Message::builder()
        .header(Header { delivery_count: held.message.deliveries, ..Header::default() })
        .message_annotations(annotations.build())
        .properties(properties)
        .data(Binary::from(held.message.body.clone().into_bytes()))
        .build()
}
