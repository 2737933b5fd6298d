//! What the session says and hears while it is connected, and how requests reach it at any time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::desired::{DesiredProperties, Outcome};
use super::incoming::{ConnectionEvent, MethodCall, ReceivedMessage};
use super::options::Options;
use super::session::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::{Dialogue, Operation, Outbound, Reply, Request, acknowledge};
use crate::protocol::refusal::Refusal;
use crate::protocol::topics::{
    self, MethodRequest, is_desired_patch, parse_cloud_to_device, parse_input, parse_method_request,
    parse_twin_response,
};

/// How many requests are taken over at a time.
const BATCH: usize = 64;
/// How long the hub may take to answer what the session asks for itself.
pub(super) const OWN_REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long packets that nobody waits for any more may keep others from being sent, without an acknowledgement.
const BLOCKED_TIME: Duration = Duration::from_secs(10);

/// What the session's own requests are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Make a subscription again that the hub has lost.
    Resubscribe,
    /// Read the desired properties, to find what was missed.
    DesiredProperties,
}

/// Takes requests from the client's handle and ends those whose time is over, in every phase.
pub(super) struct Intake {
    requests: UnboundedReceiver<Request<Purpose>>,
    batch: Vec<Request<Purpose>>,
    /// Goes off at the next deadline.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Goes off when the window has been blocked for too long.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Intake {
    pub(super) fn new(requests: UnboundedReceiver<Request<Purpose>>) -> Self {
        Self { requests, batch: Vec::new(), alarm: None, blocked: None }
    }

    /// Move new requests to `outbound`; whether there were any. Registers for more, and for the next deadline.
    /// `why` is what keeps the hub from answering, if known.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        outbound: &mut Outbound<Purpose>,
        why: Option<&Error>,
    ) -> bool {
        let mut arrived = false;
        while let Poll::Ready(1..) = self.requests.poll_recv_many(context, &mut self.batch, BATCH) {
            arrived = true;
            // The room is given back: most clients of a program are idle.
            for request in std::mem::take(&mut self.batch) {
                outbound.push(request);
            }
        }
        self.poll_deadlines(context, outbound, why);
        arrived
    }

    fn poll_deadlines(
        &mut self,
        context: &mut Context<'_>,
        outbound: &mut Outbound<Purpose>,
        why: Option<&Error>,
    ) {
        while let Some(deadline) = outbound.next_deadline() {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return;
            }
            self.alarm = None;
            outbound.expire(Instant::now(), why);
        }
    }

    /// A hub that acknowledges nothing is no better than none.
    fn poll_blocked(&mut self, context: &mut Context<'_>, is_blocked: bool) -> Result<()> {
        if !is_blocked {
            self.blocked = None;
            return Ok(());
        }
        let alarm = self.blocked.get_or_insert_with(|| Box::pin(sleep(BLOCKED_TIME)));
        match alarm.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(Error::new(
                ErrorKind::ConnectionDropped,
                "the hub does not acknowledge what it is sent, and other messages wait",
            )),
        }
    }

    /// Move everything that was requested before this moment.
    pub(super) fn take_all(&mut self, outbound: &mut Outbound<Purpose>) {
        while let Ok(request) = self.requests.try_recv() {
            outbound.push(request);
        }
    }

    /// Take no more; what has come is moved.
    pub(super) fn close(&mut self, outbound: &mut Outbound<Purpose>) {
        self.requests.close();
        self.take_all(outbound);
    }
}

/// The session's side of a connected link.
pub(super) struct Conversation<'a> {
    pub(super) outbound: &'a mut Outbound<Purpose>,
    pub(super) intake: &'a mut Intake,
    pub(super) desired: &'a mut DesiredProperties,
    pub(super) shared: &'a Shared,
    pub(super) options: &'a Options,
}

impl Dialogue for Conversation<'_> {
    fn receive(&mut self, packet: Packet, output: &mut BytesMut) -> Result<()> {
        match packet {
            Packet::PubAck(ack) => self.outbound.published(ack.pkid),
            Packet::SubAck(ack) => self.outbound.subscribed(&ack),
            Packet::UnsubAck(ack) => self.outbound.unsubscribed(ack.pkid),
            Packet::Publish(publish) => {
                acknowledge(&publish, output)?;
                self.published(publish);
            }
            _ => {}
        }
        self.own_outcomes()
    }

    fn send(&mut self, context: &mut Context<'_>, output: &mut BytesMut, limit: usize) -> Result<()> {
        self.intake.poll(context, self.outbound, None);
        // A request of the session's own may have run out of time.
        self.own_outcomes()?;
        self.outbound.fill(output, limit)?;
        if self.outbound.is_drained() {
            return Err(Error::new(ErrorKind::Cancelled, "paused, and nothing is in flight"));
        }
        let is_blocked = self.outbound.poll_blocked(context);
        self.intake.poll_blocked(context, is_blocked)
    }
}

impl Conversation<'_> {
    fn published(&mut self, publish: Publish) {
        if let Some(response) = parse_twin_response(&publish.topic) {
            let outcome = twin_outcome(response.status, publish.payload);
            self.outbound.answered(&response.request_id, outcome);
        } else if is_desired_patch(&publish.topic) {
            let outcome = self.desired.patched(publish.payload, self.options.ensure_desired_properties);
            self.news(outcome);
        } else if let Some(MethodRequest { name, request_id }) = parse_method_request(&publish.topic) {
            self.shared.inboxes.put_method(MethodCall { name, request_id, payload: publish.payload });
        } else if let Some(message) = self.message(&publish) {
            self.shared.inboxes.put_message(message);
        } else {
            let text = format!("what the hub sent on the topic {:?} can't be read", publish.topic);
            self.shared.inboxes.put_event(ConnectionEvent::Failed(Error::new(ErrorKind::Protocol, text)));
        }
    }

    /// A message to this identity, on an input if it is a module.
    fn message(&self, publish: &Publish) -> Option<ReceivedMessage> {
        let (device, payload) = (&self.options.device_id, publish.payload.clone());
        let (input, properties) = match &self.options.module_id {
            Some(module) => {
                let (input, properties) = parse_input(&publish.topic, device, module)?;
                (Some(input), properties)
            }
            None => (None, parse_cloud_to_device(&publish.topic, device)?),
        };
        Some(ReceivedMessage::new(input, properties, payload))
    }

    /// Act on the outcomes of what the session asked for itself. Without its subscriptions a connection is of no use:
    /// an error ends it, and the next may do better.
    fn own_outcomes(&mut self) -> Result<()> {
        for (purpose, outcome) in self.outbound.take_owners() {
            match outcome {
                Ok(twin) if purpose == Purpose::DesiredProperties => {
                    let outcome = self.desired.refreshed(&twin);
                    self.news(outcome);
                }
                Ok(_) => {}
                Err(error) if purpose == Purpose::Resubscribe => return Err(error),
                Err(error) => {
                    for patch in self.desired.not_refreshed() {
                        self.shared.inboxes.put_patch(patch);
                    }
                    self.shared.inboxes.put_event(ConnectionEvent::Failed(error));
                }
            }
        }
        Ok(())
    }

    /// Give the program what is new; read the twin if versions are missing.
    fn news(&mut self, outcome: Outcome) {
        outcome.deliver.into_iter().for_each(|patch| self.shared.inboxes.put_patch(patch));
        if outcome.ask {
            self.desired.asked();
            self.outbound.ask_once(&Purpose::DesiredProperties, desired_properties_request);
        }
    }
}

/// Ask for the desired properties on the session's own behalf.
pub(super) fn desired_properties_request() -> Request<Purpose> {
    let request_id = uuid::Uuid::new_v4().to_string();
    let publish = Publish::new(topics::twin_get(&request_id), QoS::AtLeastOnce, " ");
    Request {
        operation: Operation::Call { publish, request_id },
        reply: Reply::Owner(Purpose::DesiredProperties),
        deadline: Some(Instant::now() + OWN_REQUEST_TIME),
    }
}

fn twin_outcome(status: u16, body: Bytes) -> Result<Bytes> {
    if status < 300 {
        return Ok(body);
    }
    let mut text = format!("twin operation returned status {status}");
    if let Some(refusal) = Refusal::read(&body) {
        text = format!("{text}: {refusal}");
    }
    Err(Error::new(ErrorKind::Service(status), text))
}
