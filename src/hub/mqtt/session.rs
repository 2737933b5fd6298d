//! A connection after its CONNECT: reads packets, does what they ask, sends what the hub has for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, LastWill, Packet, Publish, Subscribe, Unsubscribe};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Ending;
use super::calls::Calls;
use super::connect::{self, Accepted};
use super::in_flight::InFlight;
use super::late::Late;
use super::rules;
use super::wire::{Incoming, Outgoing};
use crate::hub::connections::{Connection, Delivery, DesiredPatch, MethodCall};
use crate::hub::events::{Event, Sender, Source};
use crate::hub::faults::Acknowledgement;
use crate::hub::{HubError, HubState};
use crate::protocol::identity::IdentityId;
use crate::protocol::topics::{self, TwinRequest};

/// Largest message: body and properties.
const LARGEST_MESSAGE: usize = 256 * 1024;

/// One client's session while it is connected.
pub(super) struct Session<'a, S> {
    hub: &'a HubState,
    id: Arc<IdentityId>,
    /// The same, as what it sends tells it.
    sender: Arc<Sender>,
    outgoing: &'a mut Outgoing<S>,
    connection: Connection,
    filters: BTreeMap<String, u8>,
    /// Whether its subscriptions outlive the connection.
    is_kept: bool,
    telemetry_topic: String,
    calls: Calls,
    message_filters: Vec<String>,
    in_flight: InFlight,
    late: Late,
    /// Telemetry of the packets that one read brought.
    received: Vec<Event>,
}

impl<'a, S: AsyncRead + AsyncWrite> Session<'a, S> {
    /// Serve an accepted client until it goes or has to.
    pub(super) async fn run(
        mut incoming: Incoming<S>,
        outgoing: &'a mut Outgoing<S>,
        hub: &'a HubState,
        accepted: Accepted,
    ) -> Ending {
        let session_start = connect::start_session(&accepted, hub).await;
        let limits = Limits { silence: accepted.silence, expires_at: accepted.device.expires_at };
        let mut session = Self {
            hub,
            telemetry_topic: rules::telemetry_topic(&accepted.id),
            message_filters: rules::message_filters(&accepted.id),
            in_flight: InFlight::default(),
            late: Late::default(),
            sender: Arc::new(accepted.device.as_sender()),
            id: accepted.id,
            outgoing,
            connection: accepted.connection,
            filters: BTreeMap::new(),
            is_kept: !accepted.clean_session,
            calls: Calls::default(),
            received: Vec::new(),
        };
        hub.connected(&accepted.device);
        let ending = match session_start {
            Ok((filters, session_present)) => {
                session.begin(filters, session_present);
                match session.exchange(&mut incoming, &limits).await {
                    Ok(never) => match never {},
                    Err(ending) => ending,
                }
            }
            Err(error) => error.into(),
        };
        session.end(&ending, accepted.will);
        ending
    }

    /// Answer CONNECT.
    fn begin(&mut self, filters: BTreeMap<String, u8>, session_present: bool) {
        self.hub.counters.connects.fetch_add(1, Ordering::Relaxed);
        self.outgoing.connack(ConnectReturnCode::Success, session_present);
        self.use_filters(filters);
    }

    async fn exchange(&mut self, incoming: &mut Incoming<S>, limits: &Limits) -> Result<Infallible, Ending> {
        let clock = &self.hub.clock;
        let expiry = clock.sleep_until(limits.expires_at.saturating_mul(1000));
        let silence = tokio::time::sleep(limits.silence);
        let (mut expiry, mut silence) = (std::pin::pin!(expiry), std::pin::pin!(silence));
        let mut last_heard = Instant::now();
        loop {
            if self.hub.faults.is_frozen(&self.id) {
                self.stay_frozen().await?;
                last_heard = Instant::now();
            }
            self.handle_packets(incoming).await?;
            // In no fixed order: neither a busy client nor a busy twin may keep the other waiting.
            tokio::select! {
                reason = &mut self.connection.closed => {
                    return Err(Ending::Closed(reason.unwrap_or_default()));
                }
                () = &mut expiry => return Err(Ending::closed("its token or certificate has expired")),
                flushed = self.outgoing.flush(), if self.outgoing.is_waiting() => flushed?,
                filled = incoming.fill(), if !self.outgoing.is_full() => {
                    filled?;
                    last_heard = Instant::now();
                }
                Some(delivery) = self.connection.deliveries.recv(), if !self.outgoing.is_full() => {
                    match delivery {
                        Delivery::Patch(patch) => self.send_patch(patch).await?,
                        Delivery::Call(call) => self.send_call(call),
                    }
                }
                () = self.connection.messages.notified(), if !self.outgoing.is_full() => {
                    self.send_messages().await?;
                }
                () = self.late.due() => {
                    self.late.take().into_iter().for_each(|packet_id| self.outgoing.puback(packet_id));
                }
                () = &mut silence => {
                    let deadline = last_heard + limits.silence;
                    if deadline <= Instant::now() {
                        return Err(Ending::closed(silent_for(limits.silence)));
                    }
                    silence.as_mut().reset(deadline);
                }
            }
        }
    }

    /// Neither read nor write until the fault is cleared, or the connection ended from outside.
    async fn stay_frozen(&mut self) -> Result<(), Ending> {
        tokio::select! {
            reason = &mut self.connection.closed => {
                self.outgoing.discard();
                Err(Ending::Closed(reason.unwrap_or_default()))
            }
            () = self.hub.faults.thawed(&self.id) => Ok(()),
        }
    }

    async fn send_patch(&mut self, patch: DesiredPatch) -> Result<(), Ending> {
        self.hub.store.durable(patch.after).await?;
        self.hub.counters.desired_patches_published.fetch_add(1, Ordering::Relaxed);
        self.outgoing.publish(topics::desired_patch(patch.version), patch.payload);
        Ok(())
    }

    fn send_call(&mut self, call: MethodCall) {
        if let Some((topic, payload)) = self.calls.begin(call) {
            self.outgoing.publish(topic, payload);
        }
    }

    /// Send what waits, if the client subscribed to it. At `QoS` 0 nothing tells whether it arrives: sent is
    /// delivered.
    async fn send_messages(&mut self) -> Result<(), Ending> {
        let granted = self.message_filters.iter().filter_map(|filter| self.filters.get(filter)).max();
        let Some(acknowledged) = granted.map(|qos| *qos > 0) else { return Ok(()) };
        let in_flight = &self.in_flight;
        let next = self.hub.next_messages(&self.id, in_flight.room(), |number| in_flight.contains(number));
        for message in next.await? {
            let (topic, number) = (message.topic(&self.id), message.number);
            if acknowledged {
                let packet_id = self.in_flight.add(number);
                let again = message.deliveries > 1;
                self.outgoing.publish_acknowledged(topic, message.body, packet_id, again);
            } else {
                self.outgoing.publish(topic, message.body);
                self.complete(number);
            }
        }
        Ok(())
    }

    /// A message has arrived; there is room for another.
    fn complete(&mut self, number: u64) {
        self.hub.complete_message(&self.id, number);
        self.connection.messages.notify_one();
    }

    /// Handle every packet that is here whole. What was received counts even if a later packet is bad.
    async fn handle_packets(&mut self, incoming: &mut Incoming<S>) -> Result<(), Ending> {
        let outcome = loop {
            match incoming.next_packet() {
                Ok(None) => break Ok(()),
                Ok(Some(packet)) => {
                    if let Err(ending) = self.handle(packet).await {
                        break Err(ending);
                    }
                }
                Err(ending) => break Err(ending),
            }
        };
        if !self.received.is_empty()
            && let Err(error) = self.hub.receive(self.received.drain(..)).await
        {
            // Among it are acknowledgements, which would not be true.
            self.outgoing.discard();
            return Err(error.into());
        }
        outcome
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), Ending> {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await,
            Packet::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe).await,
            Packet::PingReq => {
                self.outgoing.pingresp();
                Ok(())
            }
            // An acknowledgement too many does no harm.
            Packet::PubAck(acknowledgement) => {
                if let Some(number) = self.in_flight.remove(acknowledgement.pkid) {
                    self.complete(number);
                }
                Ok(())
            }
            Packet::Disconnect => Err(Ending::Disconnected),
            Packet::Connect(_) => Err(Ending::closed("it sent a second CONNECT")),
            _ => Err(Ending::closed("it sent a packet that no client may send")),
        }
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), Ending> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(Ending::closed("it published at QoS 2"));
        }
        let (packet_id, qos) = (publish.pkid, publish.qos);
        if let Some(properties) = rules::telemetry_properties(&publish.topic, &self.telemetry_topic) {
            if properties.len() + publish.payload.len() > LARGEST_MESSAGE {
                return Err(Ending::closed("it sent a message larger than 256 KiB"));
            }
            // Nothing is retained here: whoever reads the message is told that it was asked for.
            let retain = if publish.retain { "mqtt-retain=true" } else { "" };
            self.receive(rules::joined(properties, retain), &publish.payload, publish.dup);
        } else if let Some(request) = topics::parse_twin_request(&publish.topic) {
            self.answer_twin(request, &publish.payload).await;
        } else if let Some((status, request_id)) = topics::parse_method_response(&publish.topic) {
            self.calls.finish(&request_id, status, &publish.payload);
        } else {
            return Err(Ending::Closed(format!(
                "it published to {}, which is none of its topics",
                publish.topic
            )));
        }
        if qos == QoS::AtLeastOnce {
            self.acknowledge(packet_id);
        }
        Ok(())
    }

    fn acknowledge(&mut self, packet_id: u16) {
        match self.hub.faults.acknowledgement(&self.id) {
            Acknowledgement::Sent => self.outgoing.puback(packet_id),
            Acknowledgement::SentTwice => (0..2).for_each(|_| self.outgoing.puback(packet_id)),
            Acknowledgement::SentAfter(time) => self.late.add(packet_id, time),
            Acknowledgement::Withheld => {}
        }
    }

    /// The body is copied: as a slice it would keep its whole read buffer in memory.
    fn receive(&mut self, properties: String, body: &[u8], duplicate: bool) {
        self.received.push(Event {
            sender: Arc::clone(&self.sender),
            source: Source::Telemetry,
            enqueued_unix_millis: self.hub.clock.unix_millis(),
            properties,
            body: Bytes::copy_from_slice(body),
            duplicate,
        });
    }

    async fn answer_twin(&mut self, request: TwinRequest, payload: &[u8]) {
        let (request_id, answer) = match request {
            TwinRequest::Get { request_id } => {
                let twin = self.hub.twin_for_device(&self.id).await;
                (request_id, twin.map(|twin| (200, None, Bytes::from(twin))))
            }
            TwinRequest::PatchReported { request_id, expected_version } => {
                let version = self.hub.patch_reported(&self.id, payload, expected_version).await;
                (request_id, version.map(|version| (204, Some(version), Bytes::new())))
            }
        };
        let (status, version, body) = answer.unwrap_or_else(|error| self.refusal(&error));
        // The official client asks without having subscribed, and would take the answer for a patch.
        if !self.filters.contains_key(topics::TWIN_RESPONSES) {
            return;
        }
        self.outgoing.publish(topics::twin_response(status, &request_id, version), body);
    }

    fn refusal(&self, error: &HubError) -> (u16, Option<u64>, Bytes) {
        let body = error.flat_body(self.hub.clock.unix_millis());
        (error.code().status(), None, Bytes::from(body.to_string()))
    }

    async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), Ending> {
        let mut filters = self.filters.clone();
        for filter in &subscribe.filters {
            if !rules::may_subscribe(&self.id, &filter.path) {
                return Err(Ending::Closed(format!("it may not subscribe to {}", filter.path)));
            }
            filters.insert(filter.path.clone(), granted(filter.qos) as u8);
        }
        if self.hub.faults.refuses_subscriptions(&self.id) {
            self.outgoing.suback(subscribe.pkid, subscribe.filters.iter().map(|_| None));
            return Ok(());
        }
        if filters.len() > rules::MOST_FILTERS {
            return Err(Ending::closed("it subscribed to more than 5 topic filters"));
        }
        self.set_filters(filters).await?;
        self.outgoing
            .suback(subscribe.pkid, subscribe.filters.iter().map(|filter| Some(granted(filter.qos))));
        Ok(())
    }

    async fn unsubscribe(&mut self, unsubscribe: Unsubscribe) -> Result<(), Ending> {
        let mut filters = self.filters.clone();
        filters.retain(|filter, _| !unsubscribe.topics.contains(filter));
        self.set_filters(filters).await?;
        self.outgoing.unsuback(unsubscribe.pkid);
        Ok(())
    }

    /// A kept session's subscriptions are on disk before the acknowledgement leaves.
    async fn set_filters(&mut self, filters: BTreeMap<String, u8>) -> Result<(), Ending> {
        if self.is_kept && filters != self.filters {
            self.hub.set_subscriptions(&self.id, filters.clone()).await?;
        }
        self.use_filters(filters);
        Ok(())
    }

    /// What waits for a new subscription goes out after the packet that acknowledges it.
    fn use_filters(&mut self, filters: BTreeMap<String, u8>) {
        self.filters = filters;
        self.connection.set_filters(self.filters.keys());
        self.connection.messages.notify_one();
    }

    fn end(mut self, ending: &Ending, will: Option<LastWill>) {
        if let Some(will) = will.filter(|_| !matches!(ending, Ending::Disconnected)) {
            self.send_will(&will);
        }
        self.connection.leave();
        self.hub.disconnected(&self.id);
    }

    /// The last will arrives as telemetry, marked as such.
    fn send_will(&mut self, will: &LastWill) {
        let properties = rules::telemetry_properties(&will.topic, &self.telemetry_topic).unwrap_or_default();
        self.receive(rules::joined(properties, "iothub-MessageType=Will"), &will.message, false);
        // Nobody waits for it; a hub that can't write any more has said so.
        let _ = self.hub.events.append(self.received.drain(..), &self.hub.store);
    }
}

/// What a connection may not exceed.
struct Limits {
    /// How long the client may say nothing.
    silence: Duration,
    /// When its token expires, seconds since 1970.
    expires_at: u64,
}

/// The hub grants at most `QoS` 1.
fn granted(requested: QoS) -> QoS {
    match requested {
        QoS::AtMostOnce => QoS::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
    }
}

pub(super) fn silent_for(silence: Duration) -> String {
    format!("it said nothing for {} s, one and a half times its keep-alive", silence.as_secs_f32())
}
