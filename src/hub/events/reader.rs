//! A reader of one partition: where it begins, and how far it is. It holds no events, so one that stops reading costs
//! nothing; what is forgotten meanwhile it does not get.

use std::sync::Arc;

use tokio::sync::watch;

use super::Event;
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;

/// Most events that are looked at in one turn of the log's lock, and about how many bytes.
const BATCH_EVENTS: usize = 128;
const BATCH_BYTES: usize = 256 << 10;
/// What lies between the offsets of two events. They are no sequence numbers, and who takes one for the other notices.
const OFFSET_STEP: u64 = 64;

/// The offset of the event with a sequence number.
pub(in crate::hub) fn offset(sequence: u64) -> u64 {
    sequence * OFFSET_STEP
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Start {
    /// With the oldest event that is kept.
    Earliest,
    /// With the next event that comes.
    Latest,
    /// At an offset, or after it.
    Offset { offset: u64, inclusive: bool },
    /// At a sequence number, or after it.
    Sequence { sequence: u64, inclusive: bool },
    /// With the first event that came at this time or later, or only later; milliseconds since 1970.
    Time { unix_millis: u64, inclusive: bool },
}

/// A reader of one partition.
pub(in crate::hub) struct Reader {
    hub: HubState,
    partition: usize,
    /// The sequence number of the next event that it gets.
    next: u64,
    newest: watch::Receiver<u64>,
}

impl HubState {
    /// A reader of a partition.
    ///
    /// # Errors
    /// 404 if there is no such partition, 400 if it is to begin behind the last event.
    pub(in crate::hub) fn event_reader(&self, partition: &str, start: Start) -> Result<Reader, HubError> {
        let partitions = self.events.partitions();
        let index = partition.parse().ok().filter(|index| *index < partitions).ok_or_else(|| {
            let message = format!("There is no partition '{partition}': they are 0 to {}.", partitions - 1);
            HubError::new(ErrorCode::NOT_FOUND, message)
        })?;
        let newest = self.events.watch(index);
        let next = self.first_sequence(index, start)?;
        Ok(Reader { hub: self.clone(), partition: index, next, newest })
    }

    fn first_sequence(&self, partition: usize, start: Start) -> Result<u64, HubError> {
        let sequences = self.events.partition(partition, self.clock.unix_millis()).sequences;
        let within = |next: u64, what: &str, asked: u64, last: String| {
            if next <= sequences.end {
                return Ok(next);
            }
            let message = format!(
                "The supplied {what} '{asked}' is invalid: the last one in partition {partition} is {last}."
            );
            Err(HubError::invalid(message))
        };
        let last = sequences.end.checked_sub(1);
        let or_none = |last: Option<u64>| last.map_or_else(|| "none".to_owned(), |last| format!("'{last}'"));
        match start {
            Start::Earliest => Ok(sequences.start),
            Start::Latest => Ok(sequences.end),
            Start::Sequence { sequence, inclusive } => {
                let next = if inclusive { sequence } else { sequence.saturating_add(1) };
                within(next, "sequence number", sequence, or_none(last))
            }
            Start::Offset { offset: asked, inclusive } => {
                let next = if inclusive { asked.div_ceil(OFFSET_STEP) } else { asked / OFFSET_STEP + 1 };
                within(next, "offset", asked, or_none(last.map(offset)))
            }
            Start::Time { unix_millis, inclusive } => Ok(self.events.find(partition, |event| {
                event.enqueued_unix_millis > unix_millis
                    || inclusive && event.enqueued_unix_millis == unix_millis
            })),
        }
    }
}

impl Reader {
    /// The index of its partition.
    pub(in crate::hub) fn partition(&self) -> usize {
        self.partition
    }

    /// Wait for events: the next ones, each with its sequence number. They are on disk, if the hub has one. Cancel safe.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub(in crate::hub) async fn read(&mut self) -> Result<Vec<(u64, Arc<Event>)>, HubError> {
        let from = self.next;
        // It fails only when the hub is gone, and then nobody reads.
        let _ = self.newest.wait_for(|newest| *newest > from).await;
        let (first, events) = self.hub.events.read(self.partition, from, BATCH_EVENTS, BATCH_BYTES);
        self.hub.store.read(|_| ()).await?;
        if first > from {
            let (partition, last) = (self.partition, first - 1);
            self.hub.notices.tell(|| {
                format!("a reader of partition {partition} gets no events {from} to {last}: they are kept no longer")
            });
        }
        self.next = first + events.len() as u64;
        Ok((first..).zip(events).collect())
    }
}
