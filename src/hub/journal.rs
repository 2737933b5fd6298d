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
use super::notices::Notices;
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
    pub(super) fn start(file: DataFile, notices: Notices) -> Result<Self> {
        let (jobs, queue) = channel();
        let (progress, watch) = watch::channel(Progress::default());
        let writer = Writer { file, progress, notices };
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
    notices: Notices,
}

impl Writer {
    fn run(self, queue: &Receiver<Job>) {
        let end = match catch_unwind(AssertUnwindSafe(|| self.write_until_closed(queue))) {
            Ok(Ok(())) => End::Closed,
            Ok(Err(error)) => End::Failed(error.to_string().into()),
            Err(_) => End::Failed("its thread panicked".into()),
        };
        if let End::Failed(_) = &end {
            self.notices.tell(|| end.error().message().to_owned());
        }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use redb::backends::InMemoryBackend;
    use redb::{Builder, StorageBackend};
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::hub::registry::IdentityBody;
    use crate::hub::store::{State, Store};
    use crate::hub::twins::TwinWrite;
    use crate::hub::{HubSettings, HubState};
    use crate::protocol::identity::IdentityId;

    fn settings(path: &Path) -> HubSettings {
        HubSettings { data: Some(path.to_owned()), ..HubSettings::default() }
    }

    fn device(number: usize) -> IdentityId {
        IdentityId::device(format!("d{number}")).unwrap()
    }

    async fn create(hub: &HubState, id: &IdentityId) {
        hub.put_identity(id, IdentityBody::default(), None).await.unwrap();
    }

    fn patch(value: usize) -> Map<String, Value> {
        json!({ "properties": { "desired": { "value": value } } }).as_object().unwrap().clone()
    }

    /// What another process would find if this one were killed now.
    fn killed(path: &Path) -> (tempfile::TempDir, HubState) {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.redb");
        std::fs::copy(path, &copy).unwrap();
        let hub = HubState::open(&settings(&copy)).unwrap();
        (folder, hub)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whatever_was_answered_is_there_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let hub = HubState::open(&settings(&path)).unwrap();
        let writers = (0..8).map(|number| {
            let (hub, id) = (hub.clone(), device(number));
            tokio::spawn(async move {
                create(&hub, &id).await;
                for value in 0..20 {
                    hub.write_twin(&id, TwinWrite::Patch, &patch(value), None).await.unwrap();
                }
                hub.patch_reported(&id, br#"{"done":true}"#, None).await.unwrap();
                hub.set_subscriptions(&id, [("$iothub/twin/res/#".to_owned(), 1)].into()).await.unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            tokio::time::timeout(Duration::from_secs(60), writer).await.unwrap().unwrap();
        }
        let (_folder, after) = killed(&path);
        for number in 0..8 {
            let view: Value =
                serde_json::from_slice(&after.twin_for_device(&device(number)).await.unwrap()).unwrap();
            assert_eq!(view["desired"], json!({ "value": 19, "$version": 21 }));
            assert_eq!(view["reported"]["done"], true);
            assert_eq!(after.subscriptions(&device(number)).len(), 1);
            let keys =
                |hub: &HubState| hub.store.peek(|state| state.get(&device(number)).unwrap().identity.clone());
            assert_eq!(keys(&after), keys(&hub));
        }
    }

    #[tokio::test]
    async fn nothing_is_seen_before_it_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let hub = HubState::open(&settings(&path)).unwrap();
        // Not answered yet: the change is applied when first polled, and then waits for the disk.
        let id = device(0);
        let mut creating = Box::pin(create(&hub, &id));
        std::future::poll_fn(|context| {
            let _ = creating.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        hub.identity(&id).await.unwrap();
        assert!(killed(&path).1.identity(&id).await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_hub_has_written_everything_and_refuses_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let hub = HubState::open(&settings(&path)).unwrap();
        create(&hub, &device(0)).await;
        hub.disconnected(&device(0));
        hub.store.close();
        let error = hub.put_identity(&device(1), IdentityBody::default(), None).await.unwrap_err();
        assert_eq!(error.code().status(), 503);
        let reopened = HubState::open(&settings(&path)).unwrap();
        assert!(reopened.identity(&device(0)).await.unwrap().presence.last_active.is_some());
        assert!(reopened.identity(&device(1)).await.is_err());
    }

    /// A disk that can be filled up.
    #[derive(Debug, Default)]
    struct Disk {
        content: InMemoryBackend,
        full: Arc<AtomicBool>,
    }

    impl Disk {
        fn check_space(&self) -> Result<(), io::Error> {
            let full = self.full.load(Ordering::SeqCst);
            if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, io::Error> {
            self.content.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
            self.content.read(offset, out)
        }

        fn set_len(&self, len: u64) -> Result<(), io::Error> {
            self.content.set_len(len)
        }

        fn sync_data(&self) -> Result<(), io::Error> {
            self.check_space()
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
            self.check_space()?;
            self.content.write(offset, data)
        }
    }

    #[tokio::test]
    async fn a_hub_that_can_not_write_answers_with_500_and_says_why() {
        let disk = Disk::default();
        let full = Arc::clone(&disk.full);
        let database = Builder::new().create_with_backend(disk).unwrap();
        let file = DataFile::of(Path::new("hub.redb"), database);
        let mut hub = HubState::open(&HubSettings::default()).unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let notices = Notices::to({
            let told = Arc::clone(&told);
            move |line| told.lock().unwrap().push_str(line)
        });
        Arc::get_mut(&mut hub.0).unwrap().store =
            Store::with_journal(State::default(), Journal::start(file, notices).unwrap());
        create(&hub, &device(0)).await;
        full.store(true, Ordering::SeqCst);
        let id = device(1);
        let refused = hub.put_identity(&id, IdentityBody::default(), None);
        let refused = tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap().unwrap_err();
        assert_eq!(refused.code().status(), 500);
        let text = refused.message();
        assert!(text.contains("the data file hub.redb can't be written"), "{text}");
        assert_eq!(*told.lock().unwrap(), text);
        full.store(false, Ordering::SeqCst);
        // What is in memory isn't on disk: nothing of it may be told.
        assert_eq!(hub.identity(&device(1)).await.unwrap_err().code().status(), 500);
        assert_eq!(hub.patch_reported(&device(0), b"{}", None).await.unwrap_err().code().status(), 500);
    }
}
