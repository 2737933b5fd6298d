//! Reading events: what devices sent, from the endpoint compatible with Event Hubs.
//!
//! - `source`: where they are, and what partitions there are
//! - [`Event`]: one of them
//! - [`EventReader`]: what callers have, which goes on behind the last event whatever happens to the connection
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-read-builtin>

mod event;
mod place;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use event::Event;
pub use place::{Place, Start};
pub use source::EventSource;

use self::source::EventHub;
use super::attached::Attached;
use super::endpoint::BearerToken;
use super::receiver::{IncomingMessage, MessageReceiver, Settlement, Subscription};
use crate::error::Result;

/// What to read.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// Where to begin.
    pub start: Start,
    /// The partitions; None: all.
    pub partitions: Option<Vec<String>>,
    /// Who reads.
    pub consumer_group: String,
    /// How many events of each partition may be on their way.
    pub prefetch: u32,
}

/// The events of some partitions.
struct Events {
    source: EventSource,
    options: EventOptions,
    partitions: Mutex<Vec<Partition>>,
}

struct Partition {
    name: Arc<str>,
    /// Behind what it was begun; known once it was connected.
    start: Place,
    /// Behind what it goes on: the last event that has arrived.
    arrived: Option<String>,
    /// The last event that a caller has.
    given: Option<String>,
}

impl Subscription for Events {
    const SETTLEMENT: Settlement = Settlement::OnArrival;

    async fn attach(&self, bearer: Option<&BearerToken>) -> Result<Attached> {
        let endpoint = self.source.locate(bearer).await?;
        let mut event_hub = EventHub::open(&endpoint, bearer).await?;
        self.find(&mut event_hub).await?;
        for (name, place) in self.places() {
            event_hub.read(&self.options.consumer_group, &name, &place.selector()).await?;
        }
        Ok(event_hub.attached)
    }

    fn arrived(&self, link: usize, message: &IncomingMessage) {
        if let Some(offset) = event::offset(message)
            && let Some(partition) = self.partitions().get_mut(link)
        {
            offset.clone_into(partition.arrived.get_or_insert_default());
        }
    }
}

impl Events {
    /// Know all partitions, and for each a place that stays: what comes while there is no connection is read later.
    async fn find(&self, event_hub: &mut EventHub) -> Result<()> {
        let names = match &self.options.partitions {
            Some(names) => names.clone(),
            None => event_hub.partitions().await?,
        };
        for name in names {
            let known = self.places().into_iter().find(|(known, _)| **known == *name);
            let place = match &known {
                Some((_, place)) => place.clone(),
                None => self.options.start.of(&name),
            };
            let place = match place {
                Place::Latest => Place::Offset(event_hub.last_offset(&name).await?),
                Place::Offset(offset) if known.is_some() => {
                    // A local hub without a data file begins anew, and so do its offsets.
                    let last = event_hub.last_offset(&name).await?;
                    Place::Offset(if place::is_behind(&offset, &last) {
                        place::EARLIEST.to_owned()
                    } else {
                        offset
                    })
                }
                place => place,
            };
            self.set(&name, place);
        }
        Ok(())
    }

    fn set(&self, name: &str, place: Place) {
        let mut partitions = self.partitions();
        let Some(known) = partitions.iter_mut().find(|partition| *partition.name == *name) else {
            return partitions.push(Partition {
                name: name.into(),
                start: place,
                arrived: None,
                given: None,
            });
        };
        match (&mut known.arrived, place) {
            (Some(arrived), Place::Offset(offset)) => *arrived = offset,
            (_, place) => known.start = place,
        }
    }

    /// Behind what each partition is to be read.
    fn places(&self) -> Vec<(Arc<str>, Place)> {
        let place = |partition: &Partition| {
            partition.arrived.clone().map_or_else(|| partition.start.clone(), Place::Offset)
        };
        self.partitions().iter().map(|partition| (Arc::clone(&partition.name), place(partition))).collect()
    }

    fn partitions(&self) -> MutexGuard<'_, Vec<Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the events of a hub.
pub struct EventReader(MessageReceiver<Events>);

impl EventReader {
    /// A reader, which does no I/O yet.
    #[must_use]
    pub fn new(source: EventSource, options: EventOptions) -> Self {
        let prefetch = options.prefetch;
        Self(MessageReceiver::new(Events { source, options, partitions: Mutex::default() }, prefetch))
    }

    /// Wait until there is an event, for `limit` at most: whether there is. Whoever stops waiting loses nothing.
    ///
    /// # Errors
    /// As of [`MessageReceiver::wait`].
    pub async fn wait(&self, bearer: Option<&BearerToken>, limit: Option<Duration>) -> Result<bool> {
        self.0.wait(bearer, limit).await
    }

    /// The next event that has arrived.
    pub fn next(&self) -> Option<Event> {
        let received = self.0.take_one()?;
        let mut partitions = self.0.subscription().partitions();
        let partition = partitions.get_mut(received.link)?;
        if let Some(offset) = event::offset(&received.message) {
            offset.clone_into(partition.given.get_or_insert_default());
        }
        Some(Event::new(received.message, Arc::clone(&partition.name)))
    }

    /// Behind what each partition is read by one who has seen all that [`EventReader::next`] gave; empty before it was
    /// connected.
    pub fn position(&self) -> Vec<(Arc<str>, Place)> {
        let place = |partition: &Partition| {
            partition.given.clone().map_or_else(|| partition.start.clone(), Place::Offset)
        };
        let partitions = self.0.subscription().partitions();
        partitions.iter().map(|partition| (Arc::clone(&partition.name), place(partition))).collect()
    }

    /// End the connection. Whoever waits is told.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
