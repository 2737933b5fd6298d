//! The outbox: telemetry is kept on disk from the moment it is accepted until the hub has acknowledged it.
//!
//! - [`Outbox`]: the client's handle: accept, flush, count.
//! - `keeper` and `admission`: the thread that stores and removes; `access` and `file`: its way to the file; `record`: what stands there.
//! - `shelf`: what is in memory; `feed`: hands it to the session; `suspicion`: finds a message that no hub takes.
//! - [`recover`]: takes what can be read from a damaged file.

mod access;
mod admission;
mod feed;
mod file;
mod keeper;
mod options;
mod record;
mod recovery;
mod shelf;
mod suspicion;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;

pub use options::{OutboxOptions, WhenFull};
pub use recovery::recover;
pub use shelf::OutboxCounts;

use super::conversation::Purpose;
use super::incoming::ConnectionEvent;
use super::options::Options;
use super::retry::{Backoff, random_fraction};
use super::session::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::{Receipt, Request, receipt};
use crate::tls::split_port;
use access::Access;
use feed::Feed;
use keeper::{Acceptance, Flush, Job, Keeper};
use record::Message;
use shelf::Shelf;
use suspicion::Suspicion;

/// What a hub takes at most, properties and payload: a larger one would be sent for ever.
/// <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>
const LARGEST_MESSAGE: u64 = 256 << 10;

/// The client's handle.
pub(super) struct Outbox {
    options: OutboxOptions,
    shelf: Arc<Shelf>,
    jobs: Sender<Job>,
    asked: watch::Sender<u64>,
    closed: watch::Receiver<bool>,
}

impl Outbox {
    /// Open the file and begin to send what it holds. Ends by itself when nobody takes `requests` any more.
    ///
    /// # Errors
    /// `Outbox`, saying what is wrong with the file and what to do.
    pub(super) fn open(
        outbox: &OutboxOptions,
        options: &Arc<Options>,
        requests: &UnboundedSender<Request<Purpose>>,
        shared: &Arc<Shared>,
        runtime: &Handle,
    ) -> Result<Self> {
        let host_name = split_port(&options.host_name).0;
        let sender = file::Sender::new(host_name, &options.device_id, options.module_id.as_deref());
        let opened = Access::open(&outbox.path, sender)?;
        let (shelf, clock) = (Arc::new(Shelf::default()), options.clock.clone());
        let tell = {
            let shared = Arc::clone(shared);
            Box::new(move |error| shared.inboxes.put_event(ConnectionEvent::Failed(error)))
        };
        let keeper = Keeper::new(outbox.clone(), clock, opened, Arc::clone(&shelf), tell);
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new().name("ferrohub-outbox".to_owned());
        thread.spawn(move || keeper.run(&queue)).map_err(|error| {
            Error::new(ErrorKind::Outbox, "the outbox's thread can't be started").caused_by(error)
        })?;
        let (asked, asking) = watch::channel(0);
        let (ended, closed) = watch::channel(false);
        let feed = Feed {
            shelf: Arc::clone(&shelf),
            jobs: jobs.clone(),
            requests: requests.clone(),
            shared: Arc::clone(shared),
            options: Arc::clone(options),
            asked: asking,
            changes: shared.changes.subscribe(),
            suspicion: Suspicion::default(),
            backoff: Backoff::new(options.connection_retry_interval, random_fraction),
            told: None,
        };
        runtime.spawn(async move {
            feed.run().await;
            // Nobody may wait for it.
            let _ = ended.send(true);
        });
        Ok(Self { options: outbox.clone(), shelf, jobs, asked, closed })
    }

    /// Store a message that can be published; the receipt's outcome is whether it is on disk.
    ///
    /// # Errors
    /// `InvalidArgument` if no hub takes it or it is larger than the outbox, `ShutDown` after a shutdown.
    pub(super) fn accept(
        &self,
        properties: &str,
        payload: Bytes,
        accepted: u64,
        deadline: Option<Instant>,
    ) -> Result<Receipt> {
        let message = Message { accepted, properties: properties.to_owned(), payload };
        let size = message.size();
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
        if size > LARGEST_MESSAGE {
            return refuse(format!("a message of {size} bytes with its properties is larger than 256 KB"));
        }
        if self.options.max_bytes.is_some_and(|most| size > most) {
            return refuse(format!("a message of {size} bytes is larger than the outbox's max_bytes"));
        }
        let (promise, receipt) = receipt();
        let deadline = deadline.map(Instant::into_std);
        self.ask(Job::Accept(Acceptance { message, promise, deadline }))?;
        Ok(receipt)
    }

    /// The receipt's outcome is whether all that was accepted until now has left the outbox.
    ///
    /// # Errors
    /// `ShutDown` after a shutdown.
    pub(super) fn flush(&self, deadline: Option<Instant>) -> Result<Receipt> {
        let (promise, receipt) = receipt();
        let deadline = deadline.map(Instant::into_std);
        self.ask(Job::Flush(Flush { promise, deadline, until: 0 }))?;
        Ok(receipt)
    }

    fn ask(&self, job: Job) -> Result<()> {
        let shut_down = |_| Error::new(ErrorKind::ShutDown, "the client has been shut down (never stored)");
        self.jobs.send(job).map_err(shut_down)?;
        self.asked.send_modify(|asked| *asked += 1);
        Ok(())
    }

    pub(super) fn counts(&self) -> OutboxCounts {
        self.shelf.counts()
    }

    /// Resolve when the file is closed, after the session has ended.
    pub(super) async fn closed(&self) {
        // An error says the same.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }
}
