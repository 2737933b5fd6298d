//! The events that are kept: bounded by number, size and age, the oldest of all make room first.
//!
//! All stand in one row, in the order in which they came. A partition is the numbers of its events in that row, so an event
//! is there once, whoever reads it and how.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Event;
use crate::hub::error::HubError;
use crate::hub::store::{Sequence, Store};

/// Most messages in one answer of `LocalHub.events()`.
const LARGEST_PAGE: usize = 256;
/// What `LocalHub.telemetry()` has at most.
const NEWEST_MESSAGES: usize = 10_000;
const NEWEST_BYTES: usize = 16 << 20;

/// What is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) struct Retention {
    pub(in crate::hub) events: usize,
    /// Properties and bodies, and what an event takes beside.
    pub(in crate::hub) bytes: usize,
    pub(in crate::hub) age: Duration,
}

/// Events with their numbers, to be written down; those before `first` may be forgotten there, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::hub) struct Log {
    pub(in crate::hub) first: u64,
    /// The sequence number that the next event of each partition will have.
    pub(in crate::hub) next: Vec<u64>,
    pub(in crate::hub) events: Vec<(u64, Arc<Event>)>,
}

impl Log {
    /// Make these events and later ones into one log.
    pub(in crate::hub) fn extend(&mut self, later: Self) {
        if later.events.is_empty() {
            return;
        }
        self.first = later.first;
        self.next = later.next;
        self.events.extend(later.events);
    }
}

/// The events that are kept.
pub struct EventLog {
    record: Mutex<Record>,
    /// The number that the next event will have.
    next: watch::Sender<u64>,
    /// By partition: the sequence number that its next event will have.
    partitions: Vec<watch::Sender<u64>>,
}

struct Record {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// How many events were forgotten: the number of the oldest one kept.
    first: u64,
    partitions: Vec<Partition>,
    retention: Retention,
}

#[derive(Clone, Default)]
struct Partition {
    /// The sequence number that its next event will have.
    next: u64,
    /// The numbers of its events, of which the last has the sequence number before `next`.
    numbers: VecDeque<u64>,
    /// When the last event came, kept or not.
    last_unix_millis: Option<u64>,
}

impl Partition {
    fn sequences(&self) -> Range<u64> {
        self.next - self.numbers.len() as u64..self.next
    }
}

/// Some of the messages of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub) struct Page {
    /// The number with which they begin: a higher one than was asked for if that event was forgotten.
    pub(in crate::hub) first: u64,
    /// The number after them.
    pub(in crate::hub) next: u64,
    pub(in crate::hub) messages: Vec<Arc<Event>>,
}

/// What there is to tell of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub) struct PartitionState {
    /// The sequence numbers of its events; of those that are gone, too, if it is empty.
    pub(in crate::hub) sequences: Range<u64>,
    /// When its last event came; none if the hub has known none.
    pub(in crate::hub) last_enqueued_unix_millis: Option<u64>,
}

impl EventLog {
    /// The log as it was written down; with this number of partitions if nothing was.
    pub(in crate::hub) fn restored(log: Log, partitions: usize, retention: Retention) -> Self {
        let sequences = if log.next.is_empty() { vec![0; partitions] } else { log.next };
        let mut record = Record {
            events: VecDeque::new(),
            bytes: 0,
            first: log.events.first().map_or(log.first, |(number, _)| *number),
            partitions: vec![Partition::default(); sequences.len()],
            retention,
        };
        for (_, event) in log.events {
            record.add(event);
        }
        for (partition, next) in record.partitions.iter_mut().zip(&sequences) {
            // A log of an older hub has events and tells no sequence numbers.
            partition.next = (*next).max(partition.next);
        }
        Self {
            next: watch::Sender::new(record.next()),
            partitions: record
                .partitions
                .iter()
                .map(|partition| watch::Sender::new(partition.next))
                .collect(),
            record: Mutex::new(record),
        }
    }

    /// Add the events of one read, and forget the oldest ones for which there is no more room. They are on disk when
    /// the change that is returned is durable.
    pub(in crate::hub) fn append(
        &self,
        events: impl Iterator<Item = Event>,
        store: &Store,
    ) -> Result<Sequence, HubError> {
        let kept = store.is_kept();
        let mut record = self.record();
        let mut log = Log::default();
        for event in events {
            let event = Arc::new(event);
            if kept {
                log.events.push((record.next(), Arc::clone(&event)));
            }
            let (partition, next) = record.add(event);
            self.partitions[partition].send_replace(next);
        }
        record.make_room();
        if kept {
            log.first = record.first;
            log.next = record.partitions.iter().map(|partition| partition.next).collect();
        }
        // Under the lock: the order on disk is that of the numbers.
        let change = store.log(log);
        self.next.send_replace(record.next());
        change
    }

    /// The newest messages of devices, oldest first: at most 10,000 and 16 MiB.
    #[must_use]
    pub fn newest(&self) -> Vec<Arc<Event>> {
        let record = self.record();
        let mut bytes = 0;
        let fits = |event: &&Arc<Event>| {
            bytes += event.size();
            bytes <= NEWEST_BYTES
        };
        let messages = record.events.iter().rev().filter(|event| event.source.is_telemetry());
        let newest = messages.take(NEWEST_MESSAGES).take_while(fits);
        let mut newest: Vec<_> = newest.cloned().collect();
        newest.reverse();
        newest
    }

    /// The next messages of devices from the event with a number on (the first ever has 0). Waits for one, up to `timeout`.
    pub(in crate::hub) async fn since(&self, from: u64, timeout: Duration) -> Page {
        let waiting = async {
            let mut next = self.next.subscribe();
            let mut from = from;
            loop {
                // It fails only when the log is gone.
                let _ = next.wait_for(|next| *next > from).await;
                let page = self.page(from);
                if !page.messages.is_empty() {
                    return;
                }
                from = page.next;
            }
        };
        // In vain: then the page is empty.
        let _ = tokio::time::timeout(timeout, waiting).await;
        self.page(from)
    }

    fn page(&self, from: u64) -> Page {
        let record = self.record();
        let first = from.max(record.first);
        let skipped = usize::try_from(first - record.first).unwrap_or(usize::MAX);
        let numbered = (first..).zip(record.events.iter().skip(skipped));
        let messages = numbered.filter(|(_, event)| event.source.is_telemetry()).take(LARGEST_PAGE);
        let (numbers, messages): (Vec<_>, Vec<_>) =
            messages.map(|(number, event)| (number, Arc::clone(event))).unzip();
        let next = match numbers.last() {
            Some(last) if messages.len() == LARGEST_PAGE => last + 1,
            _ => record.next().max(first),
        };
        Page { first, next, messages }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Who waits for the next event of a partition.
    pub(super) fn watch(&self, partition: usize) -> watch::Receiver<u64> {
        self.partitions[partition].subscribe()
    }

    /// What there is to tell of a partition at this moment.
    pub(in crate::hub) fn partition(&self, partition: usize, unix_millis: u64) -> PartitionState {
        let mut record = self.record();
        record.forget_older(unix_millis);
        let of = &record.partitions[partition];
        PartitionState { sequences: of.sequences(), last_enqueued_unix_millis: of.last_unix_millis }
    }

    /// The sequence number of the first event of a partition for which this holds; it does for all after it.
    pub(super) fn find(&self, partition: usize, holds: impl Fn(&Event) -> bool) -> u64 {
        let record = self.record();
        let of = &record.partitions[partition];
        let before =
            of.numbers.partition_point(|number| record.get(*number).is_some_and(|event| !holds(event)));
        of.sequences().start + before as u64
    }

    /// The next events of a partition from a sequence number on, and the number of the first of them: a higher one than
    /// asked for if that was forgotten. At most so many, and hardly more bytes than that.
    pub(super) fn read(
        &self,
        partition: usize,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> (u64, Vec<Arc<Event>>) {
        let record = self.record();
        let of = &record.partitions[partition];
        let first = from.max(of.sequences().start);
        let skipped = usize::try_from(first - of.sequences().start).unwrap_or(usize::MAX);
        let mut taken = 0;
        let fits = |event: &&Arc<Event>| {
            let fits = taken < bytes;
            taken += event.size();
            fits
        };
        let numbers = of.numbers.iter().skip(skipped).take(most);
        (first, numbers.filter_map(|number| record.get(*number)).take_while(fits).cloned().collect())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Add an event: its partition, and the sequence number that the next one there will have.
    fn add(&mut self, event: Arc<Event>) -> (usize, u64) {
        let (number, of) = (self.next(), partition_of(&event.sender.id.device, self.partitions.len()));
        let partition = &mut self.partitions[of];
        partition.last_unix_millis = Some(event.enqueued_unix_millis);
        self.bytes += event.size();
        self.events.push_back(event);
        partition.numbers.push_back(number);
        partition.next += 1;
        (of, partition.next)
    }

    fn make_room(&mut self) {
        while self.events.len() > self.retention.events || self.bytes > self.retention.bytes {
            self.forget_oldest();
        }
        if let Some(newest) = self.events.back() {
            let now = newest.enqueued_unix_millis;
            self.forget_older(now);
        }
    }

    fn forget_older(&mut self, unix_millis: u64) {
        let age = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        let limit = unix_millis.saturating_sub(age);
        while self.events.front().is_some_and(|oldest| oldest.enqueued_unix_millis < limit) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.size();
            self.first += 1;
            // It is the oldest of its partition, too.
            let of = partition_of(&oldest.sender.id.device, self.partitions.len());
            self.partitions[of].numbers.pop_front();
        }
    }

    fn get(&self, number: u64) -> Option<&Arc<Event>> {
        self.events.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number that the next event will have.
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

/// The partition of a device and its modules, by a hash of the device's name (FNV-1a, mixed once more): the same in every hub,
/// as data files outlive hubs.
fn partition_of(device: &str, partitions: usize) -> usize {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    /// 2 to the power of 64, divided by the golden ratio.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = device.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // The last characters, which are the ones that differ, have not reached the high bits yet.
    let hash = (hash ^ (hash >> 32)).wrapping_mul(MIX) >> 32;
    usize::try_from(hash % partitions as u64).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::super::{Sender, Source};
    use super::*;
    use crate::protocol::identity::IdentityId;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn event_of(device: &str, body: usize) -> Event {
        let id = IdentityId { device: device.to_owned(), module: Some("m".to_owned()) };
        let [generation_id, auth_method, model_id] = std::array::from_fn(|_| String::new());
        Event {
            sender: Arc::new(Sender { id, generation_id, auth_method, model_id }),
            source: Source::Telemetry,
            enqueued_unix_millis: 1,
            properties: String::new(),
            body: Bytes::from(vec![0; body]),
            duplicate: true,
        }
    }

    fn event(body: usize) -> Event {
        event_of("d", body)
    }

    pub(in super::super) fn append(log: &EventLog, events: impl IntoIterator<Item = Event>) {
        log.append(events.into_iter(), &Store::in_memory()).unwrap();
    }

    fn retaining(events: usize, bytes: usize) -> EventLog {
        EventLog::restored(Log::default(), 4, Retention { events, bytes, age: DAY })
    }

    fn roomy() -> EventLog {
        retaining(100_000, 64 << 20)
    }

    fn bodies(events: &[Arc<Event>]) -> Vec<usize> {
        events.iter().map(|event| event.body.len()).collect()
    }

    #[tokio::test]
    async fn a_restored_log_goes_on_with_its_numbers() {
        let of = partition_of("d", 4);
        let mut next = vec![0; 4];
        next[of] = 12;
        let events = [(8, event(1)), (9, event(2))].map(|(number, event)| (number, Arc::new(event)));
        let log = Log { first: 7, next: next.clone(), events: events.into() };
        let retention = Retention { events: 100, bytes: 1 << 20, age: DAY };
        let log = EventLog::restored(log, 1, retention);
        assert_eq!((log.partitions(), log.partition(of, 1).sequences), (4, 10..12));
        append(&log, [event(3)]);
        let page = log.since(9, Duration::ZERO).await;
        assert_eq!((page.first, page.next, bodies(&page.messages)), (9, 11, vec![2, 3]));
        assert_eq!(log.partition(of, 1).sequences, 10..13);
        // All were forgotten, and their numbers are not used again.
        let log = EventLog::restored(Log { first: 9, next, events: Vec::new() }, 1, retention);
        assert_eq!((log.partition(of, 1).sequences, log.since(0, Duration::ZERO).await.first), (12..12, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_gets_every_message_once_and_learns_what_was_forgotten() {
        let (large, second) = (1 << 20, Duration::from_secs(1));
        let log = retaining(1000, large + 200);
        let sizes = async |from| {
            let page = log.since(from, second).await;
            (page.first, bodies(&page.messages))
        };
        assert_eq!(sizes(0).await, (0, vec![]));
        let sending = async { append(&log, (1..=300).map(event)) };
        let (page, ()) = tokio::join!(sizes(0), sending);
        assert_eq!(page, (0, (1..=256).collect()));
        assert_eq!(sizes(256).await, (256, (257..=300).collect()));
        append(&log, [event(large)]);
        assert_eq!(sizes(5).await, (300, vec![large]));
        assert_eq!(sizes(301).await, (301, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_messages_gets_nothing_else() {
        let log = roomy();
        let other = || Event { source: Source::TwinChange, ..event(9) };
        append(&log, (0..300).flat_map(|_| [other(), event(1)]));
        let first = log.since(0, Duration::ZERO).await;
        assert_eq!((first.next, bodies(&first.messages)), (512, vec![1; 256]));
        let second = log.since(first.next, Duration::ZERO).await;
        assert_eq!((second.next, second.messages.len()), (600, 44));
        let sending = async {
            append(&log, [other()]);
            tokio::time::sleep(Duration::from_secs(1)).await;
            append(&log, [event(2)]);
        };
        let (third, ()) = tokio::join!(log.since(600, Duration::from_secs(2)), sending);
        assert_eq!((third.first, third.next, bodies(&third.messages)), (600, 602, vec![2]));
        assert!(log.newest().iter().all(|event| event.source.is_telemetry()));
    }

    #[test]
    fn the_oldest_events_make_room_by_number_by_size_and_by_age() {
        let log = retaining(10, 2000);
        append(&log, (0..=10).map(|_| event(1)));
        assert_eq!(log.newest().len(), 10);
        append(&log, (0..2).map(|_| event(800)));
        assert_eq!(bodies(&log.newest()), [800, 800]);
        let day = u64::try_from(DAY.as_millis()).unwrap();
        append(&log, [Event { enqueued_unix_millis: 2 + day, ..event(1) }]);
        assert_eq!(bodies(&log.newest()), [1]);
        let of = partition_of("d", 4);
        let gone = PartitionState { sequences: 14..14, last_enqueued_unix_millis: Some(2 + day) };
        assert_eq!(log.partition(of, 3 + 2 * day), gone);
    }

    #[test]
    fn the_newest_are_told_up_to_16_mib() {
        let log = roomy();
        append(&log, (0..=NEWEST_MESSAGES).map(event_of_one));
        assert_eq!(log.newest().len(), NEWEST_MESSAGES);
        append(&log, (0..3).map(|_| event(NEWEST_BYTES / 2 - 200)));
        assert_eq!(log.newest().len(), 2);
    }

    fn event_of_one(_: usize) -> Event {
        event(1)
    }

    #[test]
    fn a_few_devices_with_names_alike_use_several_partitions() {
        for names in ["d", "sensor", "device-"] {
            let used: std::collections::BTreeSet<_> =
                (0..8).map(|number| partition_of(&format!("{names}{number}"), 4)).collect();
            assert!(used.len() >= 3, "{names}: {used:?}");
        }
    }

    #[test]
    fn a_device_has_one_partition_and_many_devices_use_all() {
        let log = roomy();
        for device in 0..100 {
            append(&log, (0..10).map(|body| event_of(&format!("device{device}"), body)));
        }
        for partition in 0..4 {
            let (_, events) = log.read(partition, 0, 10_000, usize::MAX);
            assert!((150..=400).contains(&events.len()), "{} of 1000", events.len());
            let first_devices = events.chunks(10).map(|of_one| {
                assert_eq!(bodies(of_one), (0..10).collect::<Vec<_>>());
                of_one[0].sender.id.device.clone()
            });
            assert_eq!(first_devices.count() * 10, events.len());
        }
    }
}
