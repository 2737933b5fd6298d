//! One operation of a client, bound once for all ways to run it: a thread waits, or an event loop's future
//! is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::answers::Answer;
use super::errors::to_python;
use super::mailbox::Mailbox;
use super::runtime;
use crate::error::{Error, ErrorKind, Result};

type Running = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

/// An operation that has been asked for; run it once, with `wait` or `start`.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct Operation {
    future: Mutex<Option<Running>>,
    started: Mutex<Option<AbortHandle>>,
    process: u32,
}

impl Operation {
    /// `process` is the one in which the client was made.
    pub(super) fn new<T: Into<Answer>>(
        process: u32,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        let future: Running = Box::pin(async { future.await.map(Into::into) });
        Self { future: Mutex::new(Some(future)), started: Mutex::default(), process }
    }

    fn take(&self) -> PyResult<Running> {
        let refuse = |text: &str| to_python(&Error::new(ErrorKind::ShutDown, text));
        if self.process != std::process::id() {
            return Err(refuse("this client was made before a fork; make a new one in the child process"));
        }
        let future = self.future.lock().unwrap_or_else(PoisonError::into_inner).take();
        future.ok_or_else(|| refuse("this operation has been run already"))
    }
}

#[pymethods]
impl Operation {
    /// Wait for the outcome; a signal handler's exception cancels the operation.
    fn wait(&self, py: Python<'_>) -> PyResult<Answer> {
        runtime::block_on(py, self.take()?)?.map_err(|error| to_python(&error))
    }

    /// Run it, and give the outcome to a future of the mailbox's event loop.
    fn start(&self, mailbox: &Mailbox, outcome: Py<PyAny>) -> PyResult<()> {
        let (future, slot) = (self.take()?, mailbox.slot());
        let handle = runtime::handle().map_err(|error| to_python(&error))?;
        let task = handle.spawn(async move { slot.put_outcome(outcome, future.await) });
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    /// Nobody waits any more: what was not sent is not sent.
    fn cancel(&self) {
        if let Some(task) = self.started.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Operation>()
}
