//! The way to the file, also when it fails: a full disk, a deleted file, a folder that became read-only.
//!
//! After a failure the file is opened anew, at most once a second; until then everyone gets the same error. Nothing
//! that was accepted is given up: what is in memory goes on, and what is on disk waits there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::{Contents, OutboxFile, Sender, of_outbox, problem};
use super::record::Stored;
use crate::error::{Error, ErrorKind, Result};

const PAUSE: Duration = Duration::from_secs(1);

/// The file, or why there is none.
pub(super) struct Access {
    path: PathBuf,
    sender: Sender,
    /// Which file it is that stands under the path.
    inode: Option<u64>,
    state: State,
}

enum State {
    Open(OutboxFile),
    /// It failed at this moment, with this error.
    Failed(Error, Instant),
    Closed,
}

/// What stands under the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The file itself.
    Held,
    /// Nothing: it was deleted.
    Vacant,
    /// Another file.
    Taken,
}

impl Access {
    pub(super) fn open(path: PathBuf, sender: Sender) -> Result<(Self, Contents)> {
        let (file, contents) = OutboxFile::open(&path, &sender)?;
        let inode = inode(&path);
        Ok((Self { path, sender, inode, state: State::Open(file) }, contents))
    }

    pub(super) fn is_usable(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Let go of the file; a deleted one is written again.
    pub(super) fn close(&mut self, next_number: u64, tell: &dyn Fn(Error)) {
        if let Err(error) = self.restore(next_number, tell) {
            tell(error);
        }
        self.state = State::Closed;
    }

    /// Store and remove, on disk when this returns. `tell` hears what concerns no caller.
    ///
    /// # Errors
    /// `Outbox`: nothing has been stored.
    pub(super) fn commit(
        &mut self,
        added: &[Stored],
        removed: &[u64],
        next_number: u64,
        tell: &dyn Fn(Error),
    ) -> Result<()> {
        // What failed to be stored must not be found there later.
        let accepted = added.first().map_or(next_number, |stored| stored.number);
        self.open_again(accepted)?;
        self.restore(next_number, tell)?;
        let outcome = self.with_file(|file| file.commit(added, removed, next_number));
        outcome.inspect_err(|error| {
            if added.is_empty() {
                tell(error.clone());
            }
        })
    }

    /// The first messages from this number on; none if they can't be read now. `next_number` was never given.
    pub(super) fn read(
        &mut self,
        (from, next_number): (u64, u64),
        most: usize,
        most_bytes: u64,
        tell: &dyn Fn(Error),
    ) -> Vec<Stored> {
        if self.open_again(next_number).is_err() {
            return Vec::new();
        }
        self.with_file(|file| file.read(from, most, most_bytes)).unwrap_or_else(|error| {
            tell(error);
            Vec::new()
        })
    }

    /// Nothing is stored any more, and a failure, such as a full disk, keeps the file from saying so: begin a new one.
    ///
    /// # Errors
    /// `Outbox`, if that is not possible either.
    pub(super) fn start_over(&mut self, next_number: u64) -> Result<()> {
        if self.is_usable() || self.place() != Place::Held {
            return Err(self.replaced());
        }
        let (ours, _) = OutboxFile::open(&self.path, &self.sender)?;
        ours.remove()?;
        drop(ours);
        self.begin(|file| file.commit(&[], &[], next_number))
    }

    /// Begin a new file where there is none.
    fn begin(&mut self, write: impl FnOnce(&OutboxFile) -> Result<()>) -> Result<()> {
        let (file, _) = OutboxFile::open(&self.path, &self.sender)?;
        // What is not complete must not be taken for another's file.
        write(&file).inspect_err(|_| drop(file.remove()))?;
        self.inode = inode(&self.path);
        self.state = State::Open(file);
        Ok(())
    }

    fn with_file<T>(&mut self, work: impl FnOnce(&OutboxFile) -> Result<T>) -> Result<T> {
        let file = match &self.state {
            State::Open(file) => file,
            State::Failed(error, _) => return Err(error.clone()),
            State::Closed => return Err(Error::new(ErrorKind::ShutDown, "the outbox is closed")),
        };
        // redb panics at some kinds of damage.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(file))).unwrap_or_else(|_| Err(file.damaged()));
        if let Err(error) = &outcome {
            // It has to be closed before it can be opened anew.
            self.state = State::Failed(error.clone(), Instant::now());
        }
        outcome
    }

    /// After a failure open the file anew; what stands there from `accepted` on was never accepted.
    fn open_again(&mut self, accepted: u64) -> Result<()> {
        let State::Failed(error, since) = &self.state else { return Ok(()) };
        if since.elapsed() < PAUSE || self.place() != Place::Held {
            return Err(error.clone());
        }
        let opened = OutboxFile::open(&self.path, &self.sender).and_then(|(file, _)| {
            let never_accepted: Vec<_> =
                file.read(accepted, usize::MAX, u64::MAX)?.iter().map(|stored| stored.number).collect();
            if !never_accepted.is_empty() {
                file.commit(&[], &never_accepted, accepted)?;
            }
            Ok(file)
        });
        match opened {
            Ok(file) => self.state = State::Open(file),
            Err(error) => {
                self.state = State::Failed(error.clone(), Instant::now());
                return Err(error);
            }
        }
        Ok(())
    }

    /// What would be written to a deleted file is lost: write what it holds to a new one in its place.
    fn restore(&mut self, next_number: u64, tell: &dyn Fn(Error)) -> Result<()> {
        match self.place() {
            Place::Held => return Ok(()),
            Place::Taken => return Err(self.replaced()),
            Place::Vacant => {}
        }
        let closed = State::Failed(self.text("was deleted while it was in use"), Instant::now());
        let deleted = match std::mem::replace(&mut self.state, closed) {
            State::Open(deleted) => deleted,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let written = self.begin(|file| deleted.copy_to(file, next_number));
        if written.is_err() {
            self.state = State::Open(deleted);
            return written;
        }
        tell(self.text("was deleted while it was in use, and has been written again"));
        Ok(())
    }

    fn place(&self) -> Place {
        match inode(&self.path) {
            inode if inode == self.inode => Place::Held,
            None => Place::Vacant,
            Some(_) => Place::Taken,
        }
    }

    fn replaced(&self) -> Error {
        self.text(
            "was replaced by another file while it was in use: nothing more is accepted until a new client opens that. \
             What was accepted before is still being sent, and lost if this process ends first",
        )
    }

    fn text(&self, what: &str) -> Error {
        of_outbox(problem(&self.path).text(what))
    }
}

/// What tells a file from another of its name; none where there is no file, or the system keeps open ones in place.
fn inode(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return std::fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata));
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
