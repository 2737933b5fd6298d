//! The way to the file, also when it fails: a full disk, a deleted file, a folder that became read-only.
//!
//! After a failure the file is opened anew, at most once a second; until then everyone gets the same error. Nothing
//! that was accepted is given up: what is in memory goes on, and what is on disk waits there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::file::{Contents, OutboxFile, Sender, of_outbox, problem};
use super::record::Stored;
use crate::error::{Error, ErrorKind, Result};

const PAUSE: Duration = Duration::from_secs(1);
/// How much disk a file may take that holds nothing when it is opened.
const MOST_IDLE_BYTES: u64 = 1 << 20;

/// The file, or why there is none.
pub(super) struct Access {
    path: PathBuf,
    sender: Sender,
    /// Which file it is that stands under the path, while it is open.
    inode: Option<u64>,
    /// Which file it is.
    id: Uuid,
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
    /// Open the file, or create it. One that holds nothing and has grown is begun anew: redb gives little space back.
    pub(super) fn open(path: &Path, sender: Sender) -> Result<(Self, Contents)> {
        // The program may change its folder later.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (file, contents) = OutboxFile::open(&path, &sender)?;
        let (inode, id) = (inode(&path), file.id());
        let mut access = Self { path, sender, inode, id, state: State::Closed };
        if contents.messages == 0 && file.length() > MOST_IDLE_BYTES {
            access.replace(file, contents.next_number)?;
        } else {
            access.state = State::Open(file);
        }
        Ok((access, contents))
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
        if self.is_usable() {
            return Err(self.text("is in use"));
        }
        let ours = self.open_ours()?;
        self.replace(ours, next_number)
    }

    /// Begin a new file in place of this one, which holds nothing.
    fn replace(&mut self, empty: OutboxFile, next_number: u64) -> Result<()> {
        empty.remove()?;
        drop(empty);
        self.begin(|file| file.commit(&[], &[], next_number))
    }

    /// The file, opened anew: no other of its name.
    fn open_ours(&self) -> Result<OutboxFile> {
        if !self.path.exists() {
            return Err(self.text("was deleted while it could not be used"));
        }
        let (file, _) = OutboxFile::open(&self.path, &self.sender)?;
        if file.id() == self.id { Ok(file) } else { Err(self.replaced()) }
    }

    /// Begin a new file where there is none.
    fn begin(&mut self, write: impl FnOnce(&OutboxFile) -> Result<()>) -> Result<()> {
        let (file, _) = OutboxFile::open(&self.path, &self.sender)?;
        // What is not complete must not be taken for another's file.
        write(&file).inspect_err(|_| drop(file.remove()))?;
        (self.inode, self.id) = (inode(&self.path), file.id());
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
        if since.elapsed() < PAUSE {
            return Err(error.clone());
        }
        let opened = self.open_ours().and_then(|file| {
            let never_accepted: Vec<_> =
                file.read(accepted, usize::MAX, u64::MAX)?.iter().map(|stored| stored.number).collect();
            if !never_accepted.is_empty() {
                file.commit(&[], &never_accepted, accepted)?;
            }
            Ok(file)
        });
        match opened {
            Ok(file) => {
                self.inode = inode(&self.path);
                self.state = State::Open(file);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::outbox::record::Message;

    fn stored(number: u64) -> Stored {
        let payload = number.to_string().into();
        Stored { number, message: Message { accepted: 1, properties: String::new(), payload } }
    }

    fn quiet(error: Error) {
        drop(error);
    }

    /// An outbox in this folder, with these messages.
    fn access(folder: &Path, numbers: std::ops::Range<u64>) -> Access {
        let sender = Sender::new("hub", "d", None);
        let (mut access, _) = Access::open(&folder.join("outbox"), sender).unwrap();
        let messages: Vec<_> = numbers.clone().map(stored).collect();
        access.commit(&messages, &[], numbers.end, &quiet).unwrap();
        access
    }

    fn numbers(access: &mut Access) -> Vec<u64> {
        let next_number = u64::MAX;
        access
            .read((0, next_number), usize::MAX, u64::MAX, &quiet)
            .iter()
            .map(|stored| stored.number)
            .collect()
    }

    /// As after a failure of this age.
    fn fail(access: &mut Access, age: Duration) {
        let since = Instant::now().checked_sub(age).unwrap();
        access.state = State::Failed(Error::new(ErrorKind::Outbox, "the disk is full"), since);
    }

    #[test]
    fn after_a_failure_everyone_gets_its_error_and_a_moment_later_the_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut access = access(folder.path(), 0..2);
        fail(&mut access, Duration::ZERO);
        let refused = access.commit(&[stored(2)], &[], 3, &quiet).unwrap_err();
        assert_eq!((refused.kind(), refused.message()), (ErrorKind::Outbox, "the disk is full"));
        assert!(numbers(&mut access).is_empty());
        fail(&mut access, PAUSE);
        access.commit(&[stored(2)], &[], 3, &quiet).unwrap();
        assert_eq!(numbers(&mut access), [0, 1, 2]);
    }

    #[test]
    fn what_a_call_was_told_to_have_failed_is_not_found_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut access = access(folder.path(), 0..4);
        // Numbers from 2 on were in a commit whose failure was told, and which reached the disk all the same.
        fail(&mut access, PAUSE);
        access.commit(&[stored(2)], &[], 3, &quiet).unwrap();
        assert_eq!(numbers(&mut access), [0, 1, 2]);
    }

    #[test]
    fn a_file_that_can_not_say_that_it_is_empty_is_begun_anew_and_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let mut access = access(folder.path(), 0..4);
        assert!(access.start_over(4).is_err(), "a file that can be used is not given up");
        fail(&mut access, Duration::ZERO);
        access.start_over(4).unwrap();
        assert!(numbers(&mut access).is_empty());
        drop(access);
        let (_, contents) =
            Access::open(&folder.path().join("outbox"), Sender::new("hub", "d", None)).unwrap();
        assert_eq!(contents, Contents { messages: 0, bytes: 0, next_number: 4 });
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_others_is_never_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let mut ours = access(folder.path(), 0..4);
        fail(&mut ours, PAUSE);
        std::fs::remove_file(&path).unwrap();
        drop(access(folder.path(), 0..1));
        assert!(ours.start_over(4).is_err());
        assert!(ours.commit(&[stored(4)], &[], 5, &quiet).is_err());
        ours.close(4, &quiet);
        let (mut theirs, _) = Access::open(&path, Sender::new("hub", "d", None)).unwrap();
        assert_eq!(numbers(&mut theirs), [0]);
    }
}
