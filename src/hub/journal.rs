//! The way of changes to disk: one thread that commits whatever has queued up meanwhile, at once.
//!
//! One commit costs one wait for the disk, however many changes it holds; under load the batches grow by
//! themselves. If a commit fails, memory is ahead of the disk: from then on every answer is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::data_file::DataFile;
use super::error::HubError;
use super::store::{Changes, Sequence};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::error_code::ErrorCode;

/// Most changes in one commit, so that the first of them doesn't wait without end.
const LARGEST_BATCH: usize = 4096;

/// The queue to the thread that writes, and how far it has come.
pub(super) struct Journal {
    jobs: Sender<Job>,
    progress: watch::Receiver<Progress>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Write(Sequence, Changes),
    Close,
}

#[derive(Clone, Default)]
struct Progress {
    /// Everything up to here is on disk.
    durable: Sequence,
    /// Set when nothing more will be written.
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Closed,
    Failed(Arc<str>),
}

impl End {
    fn error(&self) -> HubError {
        match self {
            Self::Closed => HubError::new(ErrorCode::SERVICE_UNAVAILABLE, "The hub is stopping."),
            Self::Failed(reason) => HubError::new(
                ErrorCode::SERVER_ERROR,
                format!(
                    "The hub can't write its data file and answers nothing more: {reason}. Stop it, free space or repair the disk, and start it again."
                ),
            ),
        }
    }
}

impl Journal {
    /// Start the thread that writes to this file.
    pub(super) fn start(file: DataFile) -> Result<Self> {
        let (jobs, queue) = channel();
        let (progress, watch) = watch::channel(Progress::default());
        let writer = Writer { file, progress };
        let thread = std::thread::Builder::new().name("ferrohub-journal".to_owned());
        let thread = thread.spawn(move || writer.run(&queue)).map_err(|error| {
            Error::new(ErrorKind::System, "the thread for the data file can't be started").caused_by(error)
        })?;
        Ok(Self { jobs, progress: watch, writer: Mutex::new(Some(thread)) })
    }

    /// Queue a change. Called in the order of the numbers.
    pub(super) fn append(&self, number: Sequence, changes: Changes) {
        // If the thread has ended, whoever waits for this change is told.
        let _ = self.jobs.send(Job::Write(number, changes));
    }

    /// An error if nothing more will be written.
    pub(super) fn check_open(&self) -> std::result::Result<(), HubError> {
        self.progress.borrow().end.as_ref().map_or(Ok(()), |end| Err(end.error()))
    }

    /// Resolve when this change and all before it are on disk.
    pub(super) async fn durable(&self, change: Sequence) -> std::result::Result<(), HubError> {
        let mut progress = self.progress.clone();
        let settled = progress.wait_for(|progress| progress.durable >= change || progress.end.is_some());
        match settled.await {
            Ok(progress) if progress.durable >= change => Ok(()),
            Ok(progress) => Err(progress.end.as_ref().unwrap_or(&End::Closed).error()),
            Err(_) => Err(End::Closed.error()),
        }
    }

    /// Write what is queued, let go of the file, and end the thread.
    pub(super) fn close(&self) {
        // It may have ended by itself.
        let _ = self.jobs.send(Job::Close);
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been told as a failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    file: DataFile,
    progress: watch::Sender<Progress>,
}

impl Writer {
    fn run(self, queue: &Receiver<Job>) {
        let end = match catch_unwind(AssertUnwindSafe(|| self.write_until_closed(queue))) {
            Ok(Ok(())) => End::Closed,
            Ok(Err(error)) => End::Failed(error.to_string().into()),
            Err(_) => End::Failed("its thread panicked".into()),
        };
        self.progress.send_modify(|progress| progress.end = Some(end));
    }

    fn write_until_closed(&self, queue: &Receiver<Job>) -> Result<()> {
        loop {
            let Ok(Job::Write(mut newest, mut changes)) = queue.recv() else { return Ok(()) };
            let mut closing = false;
            for job in queue.try_iter().take(LARGEST_BATCH) {
                match job {
                    Job::Write(number, later) => {
                        newest = number;
                        changes.extend(later);
                    }
                    Job::Close => {
                        closing = true;
                        break;
                    }
                }
            }
            self.file.commit(&changes)?;
            self.progress.send_modify(|progress| progress.durable = newest);
            if closing {
                return Ok(());
            }
        }
    }
}
