//! One operation of a client, bound once for all ways to run it: a thread waits, or an event loop's future
//! is told.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::TryFutureExt;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::answers::Answer;
use super::errors::to_python;
use super::mailbox::{Mailbox, Slot};
use super::runtime::{self, Threads};
use crate::error::{Error, ErrorKind, Result};

type Running = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

/// The future of an operation until it has its outcome, or is cancelled. The task that runs it shares it with who
/// cancels it: a task that is aborted drops its future some time later, which may be too late.
#[derive(Clone)]
struct Pending(Arc<Mutex<Option<Running>>>);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome; None if it was cancelled.
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Answer>>> {
        let mut future = self.lock();
        let Some(running) = future.as_mut() else { return Poll::Ready(None) };
        let polled = running.as_mut().poll(context);
        if polled.is_ready() {
            *future = None;
        }
        polled.map(Some)
    }
}

/// An operation that has been asked for; run it once, with `wait` or `start`.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct Operation {
    future: Pending,
    started: Mutex<Option<AbortHandle>>,
    process: u32,
    threads: Threads,
}

impl Operation {
    /// `process` is the one in which the client was made.
    pub(super) fn new<T: Into<Answer> + 'static>(
        process: u32,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        // Not an `async` block, which would hold a large future twice.
        let future: Running = Box::pin(future.map_ok(Into::into));
        let future = Pending(Arc::new(Mutex::new(Some(future))));
        Self { future, started: Mutex::default(), process, threads: Threads::Worker }
    }

    /// The same, run by these threads.
    pub(super) fn on(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    fn take(&self) -> PyResult<Running> {
        let refuse = |text: &str| to_python(&Error::new(ErrorKind::ShutDown, text));
        if self.process != runtime::process() {
            return Err(refuse("this client was made before a fork; make a new one in the child process"));
        }
        self.future.lock().take().ok_or_else(|| refuse("this operation has been run already"))
    }
}

#[pymethods]
impl Operation {
    /// Wait for the outcome; a signal handler's exception cancels the operation.
    fn wait(&self, py: Python<'_>) -> PyResult<Answer> {
        runtime::block_on(py, self.threads, self.take()?)?.map_err(|error| to_python(&error))
    }

    /// Run it, and give the outcome to a future of the mailbox's event loop.
    fn start(&self, mailbox: &Mailbox, outcome: Py<PyAny>) -> PyResult<()> {
        let (running, slot, pending) = (self.take()?, mailbox.slot(), self.future.clone());
        if self.threads == Threads::None {
            *pending.lock() = Some(running);
            Arc::new(Started { pending, slot, outcome: Mutex::new(Some(outcome)) }).wake();
            return Ok(());
        }
        let runtime = runtime::of(self.threads).map_err(|error| to_python(&error))?;
        *pending.lock() = Some(running);
        let task = runtime.spawn(async move {
            if let Some(result) = poll_fn(|context| pending.poll(context)).await {
                slot.put_outcome(outcome, result);
            }
        });
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    /// Nobody waits any more: what was not sent is not sent.
    fn cancel(&self) {
        *self.future.lock() = None;
        if let Some(task) = self.started.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// An operation without threads of its own: whoever wakes it goes on with it, there and then.
struct Started {
    pending: Pending,
    slot: Slot,
    outcome: Mutex<Option<Py<PyAny>>>,
}

impl Wake for Started {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let Poll::Ready(Some(result)) = self.pending.poll(&mut Context::from_waker(&waker)) else { return };
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(outcome) = outcome {
            self.slot.put_outcome(outcome, result);
        }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Operation>()
}
