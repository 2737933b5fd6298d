//! Requests on their way: the window, packet ids, deadlines, and one outcome for each.

use super::super::counts::MessageCounts;
use super::super::request::{Receipt, receipt};
use super::*;
use rumqttc::mqttbytes::v4::Packet;
use std::time::Duration;

/// An outbound with this window, and its receipts.
struct Scene {
    outbound: Outbound<&'static str>,
    output: BytesMut,
}

impl Scene {
    fn new(window: usize) -> Self {
        Self { outbound: Outbound::new(window), output: BytesMut::new() }
    }

    fn ask(&mut self, operation: Operation, deadline: Option<Instant>) -> Receipt {
        let (promise, receipt) = receipt();
        self.outbound.push(Request { operation, reply: Reply::Caller(promise), deadline });
        receipt
    }

    fn publish(&mut self, text: &'static str) -> Receipt {
        self.ask(Operation::publish(text.into(), Bytes::new()).unwrap(), None)
    }

    /// What is written now: topic or filter, packet id, duplicate.
    fn written(&mut self) -> Vec<(String, u16, bool)> {
        self.outbound.fill(&mut self.output, usize::MAX).unwrap();
        self.decoded()
    }

    fn decoded(&mut self) -> Vec<(String, u16, bool)> {
        let mut packets = Vec::new();
        while let Ok(packet) = Packet::read(&mut self.output, usize::MAX) {
            packets.push(match packet {
                Packet::Publish(publish) => (publish.topic, publish.pkid, publish.dup),
                Packet::Subscribe(subscribe) => (subscribe.filters[0].path.clone(), subscribe.pkid, false),
                other => panic!("{other:?}"),
            });
        }
        packets
    }
}

fn outcome(mut receipt: Receipt) -> Option<Result<Bytes>> {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};
    let polled = std::pin::Pin::new(&mut receipt).poll(&mut Context::from_waker(Waker::noop()));
    if let Poll::Ready(outcome) = polled { Some(outcome) } else { None }
}

#[test]
fn the_window_bounds_what_is_in_flight_and_order_is_kept() {
    let mut scene = Scene::new(2);
    let receipts = ["a", "b", "c"].map(|topic| scene.publish(topic));
    assert_eq!(scene.written(), [("a".into(), 1, false), ("b".into(), 2, false)]);
    scene.outbound.published(2);
    assert_eq!(scene.written(), [("c".into(), 3, false)]);
    let [a, b, c] = receipts.map(outcome);
    assert!(b.unwrap().is_ok());
    assert!(a.is_none() && c.is_none());
}

#[test]
fn a_full_window_opens_when_a_quarter_is_free_and_lets_out_as_many_at_once() {
    let mut scene = Scene::new(8);
    let _receipts: Vec<_> = (0..12).map(|_| scene.publish("a")).collect();
    assert_eq!(scene.written().len(), 8);
    scene.outbound.published(1);
    assert!(scene.written().is_empty());
    scene.outbound.published(2);
    assert_eq!(scene.written().len(), 2);
    // What has never been full takes each at once.
    (3..=8).for_each(|id| scene.outbound.published(id));
    assert_eq!(scene.written().len(), 2);
    let _one_more = scene.publish("a");
    assert_eq!(scene.written().len(), 1);
}

#[test]
fn packet_ids_wrap_and_leave_out_those_in_flight() {
    let mut scene = Scene::new(3);
    let _first = scene.publish("a");
    scene.written();
    scene.outbound.last_id = u16::MAX;
    scene.outbound.given += u64::from(u16::MAX - 1);
    let _second = scene.publish("b");
    assert_eq!(scene.written(), [("b".into(), 2, false)]);
}

#[test]
fn no_acknowledgement_completes_another_sort_of_request() {
    let mut scene = Scene::new(8);
    let subscribed = scene.ask(Operation::Subscribe("f".into()), None);
    let published = scene.publish("a");
    scene.written();
    scene.outbound.published(1);
    scene.outbound.unsubscribed(1);
    scene.outbound.unsubscribed(2);
    scene.outbound.published(9);
    assert!(scene.outbound.subscriptions().is_empty());
    scene.outbound.subscribed(&SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)]));
    assert!(scene.outbound.subscriptions().contains("f"));
    assert!(outcome(subscribed).unwrap().is_ok());
    assert!(outcome(published).is_none());
}

#[test]
fn a_time_out_leaves_the_packet_id_taken_until_it_is_acknowledged() {
    let mut scene = Scene::new(1);
    let now = Instant::now();
    let operation = Operation::publish("a".into(), Bytes::new()).unwrap();
    let late = scene.ask(operation, Some(now + Duration::from_secs(1)));
    let waiting = scene.publish("b");
    scene.written();
    assert_eq!(scene.outbound.next_deadline(), Some(now + Duration::from_secs(1)));
    scene.outbound.expire(now + Duration::from_secs(1), None);
    assert_eq!(outcome(late).unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(scene.outbound.next_deadline(), None);
    assert!(scene.written().is_empty());
    scene.outbound.published(1);
    assert_eq!(scene.written(), [("b".into(), 2, false)]);
    drop(waiting);
}

#[test]
fn a_new_connection_repeats_what_was_in_flight_and_asks_unanswered_questions_first() {
    let mut scene = Scene::new(8);
    let call = Operation::call("ask".into(), Bytes::new(), "1".into()).unwrap();
    let asked = scene.ask(call, None);
    let sent = scene.publish("sent");
    scene.written();
    scene.outbound.published(1);
    let queued = scene.publish("queued");
    let mut output = BytesMut::new();
    scene.outbound.replay(&mut output).unwrap();
    scene.output = output;
    assert_eq!(scene.decoded(), [("sent".into(), 2, true)]);
    assert_eq!(scene.written(), [("ask".into(), 3, false), ("queued".into(), 4, false)]);
    assert!(scene.outbound.answered("1", Ok(Bytes::from_static(b"x"))));
    assert!(!scene.outbound.answered("1", Ok(Bytes::new())));
    assert_eq!(outcome(asked).unwrap().unwrap(), "x");
    drop((sent, queued));
}

#[test]
fn every_message_is_counted_on_its_way() {
    let mut scene = Scene::new(2);
    let receipts = ["a", "b", "c", "d"].map(|topic| scene.publish(topic));
    let subscribed = scene.ask(Operation::Subscribe("f".into()), None);
    scene.written();
    scene.outbound.published(1);
    let counts = MessageCounts { sent: 2, acknowledged: 1, failed: 0, queued: 2, in_flight: 1 };
    assert_eq!(scene.outbound.tally.now(), counts);
    scene.outbound.replay(&mut BytesMut::new()).unwrap();
    assert_eq!(scene.outbound.tally.now(), counts);
    let [_, b, c, _d] = receipts;
    drop((b, c));
    scene.outbound.replay(&mut BytesMut::new()).unwrap();
    scene.written();
    let counts = MessageCounts { sent: 3, acknowledged: 1, failed: 2, queued: 0, in_flight: 1 };
    assert_eq!(scene.outbound.tally.now(), counts);
    scene.outbound.fail_all(&Error::new(ErrorKind::Cancelled, "over"));
    let counts = MessageCounts { sent: 3, acknowledged: 1, failed: 3, queued: 0, in_flight: 0 };
    assert_eq!(scene.outbound.tally.now(), counts);
    drop(subscribed);
}

#[test]
fn every_request_ends_with_one_outcome() {
    let mut scene = Scene::new(1);
    let receipts = ["a", "b"].map(|topic| scene.publish(topic));
    scene.written();
    scene.outbound.fail_all(&Error::new(ErrorKind::Cancelled, "over"));
    scene.outbound.published(1);
    let texts = receipts.map(|receipt| outcome(receipt).unwrap().unwrap_err().message().to_owned());
    assert_eq!(texts, ["over (sent, not acknowledged)", "over (never sent)"]);
}
