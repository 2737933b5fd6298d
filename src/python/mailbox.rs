//! How the core tells a Python thread or event loop that something is done or has come.
//!
//! Letters are put in by threads of the core, which never touch Python; the owner of the mailbox takes them
//! out. One wake-up stands for everything put in until then: an event loop watches the mailbox's descriptor,
//! a thread waits. (One `call_soon_threadsafe` per result costs ten times as much, and crashes when the
//! interpreter is finishing.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use tokio::sync::Notify;

use super::answers::Answer;
use super::errors::to_python;
use super::runtime::{self, Threads};
use crate::device::Kind;
use crate::error::Result;

/// What a mailbox holds.
enum Letter {
    /// The outcome of an operation, for its future.
    Outcome(Py<PyAny>, Result<Answer>),
    /// A client has something new of a kind.
    News(u64, Kind),
}

/// The side that the core puts letters into.
#[derive(Clone)]
pub(super) struct Slot(Arc<Shared>);

struct Shared {
    letters: Mutex<Vec<Letter>>,
    /// Whether a wake-up is on its way that the owner has not seen yet.
    rung: AtomicBool,
    bell: Bell,
}

impl Slot {
    pub(super) fn put_outcome(&self, future: Py<PyAny>, outcome: Result<Answer>) {
        self.put(Letter::Outcome(future, outcome));
    }

    pub(super) fn put_news(&self, client: u64, kind: Kind) {
        self.put(Letter::News(client, kind));
    }

    fn put(&self, letter: Letter) {
        self.0.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        if !self.0.rung.swap(true, Ordering::AcqRel) {
            self.0.bell.ring();
        }
    }
}

/// Where the outcomes and news for one thread or event loop arrive.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct Mailbox {
    slot: Slot,
    /// Those that wait here run the operations whose outcomes come here.
    threads: Threads,
    /// Makes the exception that programs know from a `CoreError`.
    public_error: Py<PyAny>,
}

impl Mailbox {
    pub(super) fn slot(&self) -> Slot {
        self.slot.clone()
    }

    fn settle(&self, py: Python<'_>, future: &Bound<'_, PyAny>, outcome: Result<Answer>) -> PyResult<()> {
        let settled = match outcome {
            Ok(answer) => future.call_method1(intern!(py, "set_result"), (answer,)),
            Err(error) => {
                let error = self.public_error.call1(py, (to_python(&error).into_value(py),))?;
                future.call_method1(intern!(py, "set_exception"), (error,))
            }
        };
        match settled {
            // Its task has been cancelled meanwhile.
            Err(_) if future.call_method0(intern!(py, "done"))?.is_truthy()? => Ok(()),
            settled => settled.map(drop),
        }
    }
}

#[pymethods]
impl Mailbox {
    /// With `drives`, `wait` runs the operations of blocking clients.
    #[new]
    #[pyo3(signature = (public_error, drives=false))]
    fn new(public_error: Py<PyAny>, drives: bool) -> PyResult<Self> {
        let bell = Bell::new().map_err(pyo3::exceptions::PyOSError::new_err)?;
        let shared = Shared { letters: Mutex::default(), rung: AtomicBool::new(false), bell };
        let threads = if drives { Threads::Callers } else { Threads::None };
        Ok(Self { slot: Slot(Arc::new(shared)), threads, public_error })
    }

    /// A descriptor that is readable while there are letters; None where the system has none.
    fn fileno(&self) -> Option<i32> {
        self.slot.0.bell.descriptor()
    }

    /// Wait until there are letters.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        runtime::block_on(py, self.threads, self.slot.0.bell.heard())
    }

    /// Give futures their outcomes; return the news as (client, kind), each once.
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<(u64, &'static str)>> {
        self.slot.0.bell.quieten();
        // Before the letters are taken: one that comes later rings again.
        self.slot.0.rung.store(false, Ordering::Release);
        let letters =
            std::mem::take(&mut *self.slot.0.letters.lock().unwrap_or_else(PoisonError::into_inner));
        let mut news = Vec::new();
        for letter in letters {
            match letter {
                Letter::Outcome(future, outcome) => self.settle(py, future.bind(py), outcome)?,
                Letter::News(client, kind) => {
                    let one = (client, kind_name(kind));
                    if !news.contains(&one) {
                        news.push(one);
                    }
                }
            }
        }
        Ok(news)
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::DesiredPatch => "desired_patch",
        Kind::Message => "message",
        Kind::Method => "method",
        Kind::Event => "event",
    }
}

/// Wakes a thread that waits, and an event loop that watches a descriptor.
struct Bell {
    waiting: Notify,
    #[cfg(unix)]
    ends: (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream),
}

#[cfg(unix)]
impl Bell {
    fn new() -> std::io::Result<Self> {
        let ends = std::os::unix::net::UnixStream::pair()?;
        ends.0.set_nonblocking(true)?;
        ends.1.set_nonblocking(true)?;
        Ok(Self { waiting: Notify::new(), ends })
    }

    fn ring(&self) {
        use std::io::Write;
        self.waiting.notify_one();
        // A full socket is as good as a written one: it is readable.
        let _ = (&self.ends.0).write(&[1]);
    }

    fn quieten(&self) {
        use std::io::Read;
        let _ = (&self.ends.1).read(&mut [0; 64]);
    }

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
    fn descriptor(&self) -> Option<i32> {
        use std::os::fd::AsRawFd;
        Some(self.ends.1.as_raw_fd())
    }
}

#[cfg(not(unix))]
impl Bell {
    fn new() -> std::io::Result<Self> {
        Ok(Self { waiting: Notify::new() })
    }

    fn ring(&self) {
        self.waiting.notify_one();
    }

    fn quieten(&self) {}

    fn descriptor(&self) -> Option<i32> {
        None
    }
}

impl Bell {
    async fn heard(&self) {
        self.waiting.notified().await;
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Mailbox>()
}
