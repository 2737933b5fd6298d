//! What holds for [`Outbound`] whatever hub, callers and network do, in any order.
//!
//! Acknowledgements come out of order, twice, late or never, connections break, callers give up, times run out, packet
//! ids start over; each request must end once, with the outcome that is its own. A seed makes each run the same.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, SubAck, SubscribeReasonCode};
use tokio::time::Instant;

use super::counts::Tally;
use super::outbound::Outbound;
use super::request::{Operation, Receipt, Reply, Request, receipt};
use crate::error::{Error, ErrorKind};

/// More than twice the packet ids there are.
const PACKETS: usize = 140_000;
const WINDOW: usize = 16;
/// How many acknowledged packets the hub remembers, to acknowledge them again.
const STALE: usize = 100;

/// Xorshift: enough to choose by.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Publish,
    Call,
    Subscribe,
}

/// A request that has no outcome yet, as its caller and the hub know it.
struct Asked {
    sort: Sort,
    receipt: Receipt,
    written: bool,
    /// Whether it was written on this connection.
    on_wire: bool,
    /// Whether the hub has done what makes it succeed.
    granted: bool,
}

struct World {
    outbound: Outbound<()>,
    tally: Tally,
    chance: Chance,
    now: Instant,
    asked: BTreeMap<usize, Asked>,
    next: usize,
    /// On the wire of this connection and not acknowledged: packet id, number of the request, sort.
    unacknowledged: Vec<(u16, usize, Sort)>,
    stale: VecDeque<(u16, Sort)>,
    packets: usize,
    published: u64,
    sent: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let tally = Tally::default();
        Self {
            outbound: Outbound::new(WINDOW).counting(tally.clone()),
            tally,
            chance: Chance(seed),
            now: Instant::now(),
            asked: BTreeMap::new(),
            next: 0,
            unacknowledged: Vec::new(),
            stale: VecDeque::new(),
            packets: 0,
            published: 0,
            sent: 0,
        }
    }

    fn step(&mut self) {
        match self.chance.below(1000) {
            // These two give nothing its outcome.
            0..350 => return self.ask(),
            350..600 => return self.fill(),
            600..800 => self.acknowledge(),
            800..850 => self.acknowledge_again(),
            850..900 => self.acknowledge_wrongly(),
            900..950 => self.answer(),
            950..980 => self.give_up(),
            980..990 => self.time_passes(),
            990..999 => self.connection_breaks(),
            _ => self.outbound.fail_all(&Error::new(ErrorKind::Cancelled, "over")),
        }
        self.look();
    }

    fn ask(&mut self) {
        if self.asked.len() > 2 * WINDOW {
            return;
        }
        let name = self.next.to_string();
        let (sort, operation) = match self.chance.below(10) {
            0..8 => (Sort::Publish, Operation::publish(name, Bytes::new()).unwrap()),
            8 => (Sort::Call, Operation::call(name.clone(), Bytes::new(), name).unwrap()),
            _ => (Sort::Subscribe, Operation::Subscribe(name)),
        };
        let (promise, receipt) = receipt();
        let life = Duration::from_millis(u64::try_from(self.chance.below(5000)).unwrap());
        let deadline = (self.chance.below(2) == 0).then(|| self.now + life);
        self.outbound.push(Request { operation, reply: Reply::Caller(promise), deadline });
        self.published += u64::from(sort == Sort::Publish);
        self.asked.insert(self.next, Asked { sort, receipt, written: false, on_wire: false, granted: false });
        self.next += 1;
    }

    fn fill(&mut self) {
        let mut output = BytesMut::new();
        self.outbound.fill(&mut output, usize::MAX).unwrap();
        self.written(&mut output, false);
    }

    /// What was written is what somebody waits for, under a packet id that is free.
    fn written(&mut self, output: &mut BytesMut, again: bool) {
        while let Ok(packet) = Packet::read(output, usize::MAX) {
            let (id, name, duplicate) = match packet {
                Packet::Publish(publish) => (publish.pkid, publish.topic, publish.dup),
                Packet::Subscribe(subscribe) => (subscribe.pkid, subscribe.filters[0].path.clone(), again),
                other => panic!("{other:?}"),
            };
            let number = name.parse().unwrap();
            let asked = self.asked.get_mut(&number).expect("nobody waits for what was written");
            assert_eq!(duplicate, again, "{number}");
            assert!(!again || asked.written, "{number} is a duplicate of nothing");
            assert!(self.unacknowledged.iter().all(|(taken, ..)| *taken != id), "packet id {id} is taken");
            if asked.sort == Sort::Publish {
                assert!(again || !asked.written, "{number} is written twice on one connection");
                self.sent += u64::from(!asked.written);
            }
            (asked.written, asked.on_wire) = (true, true);
            self.unacknowledged.push((id, number, asked.sort));
            self.packets += 1;
        }
    }

    fn acknowledge(&mut self) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let at = self.chance.below(self.unacknowledged.len());
        let (id, number, sort) = self.unacknowledged.swap_remove(at);
        if let Some(asked) = self.asked.get_mut(&number) {
            asked.granted |= sort != Sort::Call;
        }
        self.tell(id, sort);
        if sort != Sort::Call && self.asked.contains_key(&number) {
            assert!(self.outcome(number).is_some(), "{number} was acknowledged");
        }
        self.stale.push_back((id, sort));
        self.stale.truncate(STALE);
    }

    /// The acknowledgement that the hub gives to this sort.
    fn tell(&mut self, id: u16, sort: Sort) {
        match sort {
            Sort::Publish | Sort::Call => self.outbound.published(id),
            Sort::Subscribe => {
                let code = SubscribeReasonCode::Success(QoS::AtLeastOnce);
                self.outbound.subscribed(&SubAck::new(id, vec![code]));
            }
        }
    }

    fn acknowledge_again(&mut self) {
        if let Some((id, sort)) = self.stale.pop_front() {
            self.tell(id, sort);
        }
    }

    /// With a packet that does not belong to what has this id.
    fn acknowledge_wrongly(&mut self) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let (id, number, sort) = self.unacknowledged[self.chance.below(self.unacknowledged.len())];
        if self.asked.contains_key(&number) {
            self.outbound.unsubscribed(id);
            self.tell(id, if sort == Sort::Subscribe { Sort::Publish } else { Sort::Subscribe });
        }
    }

    fn answer(&mut self) {
        let open = |asked: &Asked| asked.sort == Sort::Call && asked.on_wire;
        let Some((&number, _)) = self.asked.iter().find(|(_, asked)| open(asked)) else { return };
        self.asked.get_mut(&number).unwrap().granted = true;
        assert!(self.outbound.answered(&number.to_string(), Ok(Bytes::new())));
        assert!(!self.outbound.answered(&number.to_string(), Ok(Bytes::new())));
        assert!(self.outcome(number).is_some());
    }

    fn give_up(&mut self) {
        let at = self.chance.below(self.asked.len().max(1));
        if let Some(number) = self.asked.keys().nth(at).copied() {
            self.asked.remove(&number);
        }
    }

    fn time_passes(&mut self) {
        self.now += Duration::from_millis(200);
        self.outbound.expire(self.now, None);
    }

    fn connection_breaks(&mut self) {
        self.unacknowledged.clear();
        self.stale.clear();
        self.asked.values_mut().for_each(|asked| asked.on_wire = false);
        let mut output = BytesMut::new();
        self.outbound.replay(&mut output).unwrap();
        self.written(&mut output, true);
    }

    /// The outcome of a request if it has one; it must be its own.
    fn outcome(&mut self, number: usize) -> Option<()> {
        let asked = self.asked.get_mut(&number)?;
        let Poll::Ready(outcome) = Pin::new(&mut asked.receipt).poll(&mut Context::from_waker(Waker::noop()))
        else {
            return None;
        };
        match outcome {
            Ok(_) => assert!(asked.granted, "{number} has somebody else's outcome"),
            Err(error) => {
                let fate = if asked.written { "(sent, not acknowledged)" } else { "(never sent)" };
                assert!(error.message().ends_with(fate), "{number}: {error}");
                assert!(!asked.granted, "{number} succeeded");
            }
        }
        self.asked.remove(&number);
        Some(())
    }

    fn look(&mut self) {
        let numbers: Vec<usize> = self.asked.keys().copied().collect();
        for number in numbers {
            self.outcome(number);
        }
        let counts = self.tally.now();
        assert_eq!(
            counts.queued + counts.in_flight + counts.acknowledged + counts.failed,
            self.published,
            "every message is counted in one place: {counts:?}"
        );
        assert_eq!(counts.sent, self.sent);
        assert!(counts.sent >= counts.acknowledged + counts.in_flight);
    }
}

#[test]
fn a_request_ends_once_with_its_own_outcome_whatever_happens_and_every_message_is_counted() {
    for seed in [1, 20_250_612, 0xFE44_0408] {
        let mut world = World::new(seed);
        while world.packets < PACKETS / 10 {
            world.step();
        }
    }
    let mut world = World::new(7);
    while world.packets < PACKETS {
        world.step();
    }
}

#[test]
fn at_the_end_nothing_is_left() {
    let mut world = World::new(3);
    for _ in 0..5_000 {
        world.step();
    }
    world.outbound.fail_all(&Error::new(ErrorKind::Cancelled, "over"));
    world.look();
    assert!(world.asked.is_empty());
    let counts = world.tally.now();
    assert_eq!((counts.queued, counts.in_flight), (0, 0));
    assert_eq!(counts.acknowledged + counts.failed, world.published);
}
