//! `Hub`: a local hub in this process; and `cli_main`, the `ferrohub` command.
//!
//! The hub has a runtime of its own: a busy hub must not slow the clients of the same process down, as
//! it would not if it were elsewhere. Facade: `ferrohub.LocalHub`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::errors;
use super::runtime::{self, Threads};
use crate::clock::Clock;
use crate::error::Error;
use crate::hub::events::{EventOptions, Source};
use crate::hub::{Hub as CoreHub, HubOptions, OwnerKey};

/// A running local hub. Requests and answers are JSON; see `crate::hub::control`.
#[pyclass(frozen, module = "ferrohub._native")]
struct Hub(Mutex<Option<Running>>);

struct Running {
    hub: Arc<CoreHub>,
    runtime: OwnRuntime,
    /// The process that started it; a forked child has its memory, but none of its threads.
    process: u32,
}

impl Running {
    fn is_elsewhere(&self) -> bool {
        self.process != runtime::process()
    }
}

/// A runtime that ends without waiting for its threads: in a forked child it has none.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn start() -> PyResult<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(2).thread_name("ferrohub-hub").enable_all();
        let runtime = builder.build().map_err(|error| errors::to_python(&Error::no_thread(error)))?;
        Ok(Self(Some(runtime)))
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<JoinHandle<T>> {
        let runtime = self.0.as_ref().ok_or_else(stopped)?;
        Ok(runtime.spawn(work))
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[pymethods]
impl Hub {
    /// Start a hub; it takes connections when this returns.
    #[new]
    #[pyo3(signature = (port, standard_ports, data, host_name, key, limits, partitions, consumer_groups, events))]
    #[allow(clippy::too_many_arguments, reason = "the fields of the Python class Options")]
    fn new(
        py: Python<'_>,
        port: u16,
        standard_ports: bool,
        data: Option<PathBuf>,
        host_name: Option<String>,
        key: Option<String>,
        limits: Vec<String>,
        partitions: Option<usize>,
        consumer_groups: Vec<String>,
        events: Vec<String>,
    ) -> PyResult<Self> {
        let key = match key {
            None => OwnerKey::WellKnown,
            Some(random) if random == "random" => OwnerKey::Random,
            Some(key) => OwnerKey::Given(key),
        };
        let clock = Clock::movable();
        let sources = events.into_iter().map(|name| Source::named(&name)).collect::<Result<_, _>>();
        let sources = sources.map_err(|error| errors::to_python(&error))?;
        let events = EventOptions { partitions, consumer_groups, sources };
        let mut options =
            HubOptions { port, standard_ports, data, host_name, key, clock, events, ..HubOptions::default() };
        let set = limits.into_iter().try_for_each(|limit| options.limits.set(&limit));
        set.map_err(|error| errors::to_python(&error))?;
        let runtime = OwnRuntime::start()?;
        let hub = wait(py, runtime.spawn(CoreHub::start(options))?)?;
        let hub = Arc::new(hub.map_err(|error| errors::to_python(&error))?);
        Ok(Self(Mutex::new(Some(Running { hub, runtime, process: runtime::process() }))))
    }

    /// How to reach the hub, as JSON.
    fn describe(&self) -> PyResult<String> {
        let running = self.running();
        Ok(running.as_ref().ok_or_else(stopped)?.hub.describe().to_string())
    }

    /// Answer a request; waits as long as the request says.
    fn call(&self, py: Python<'_>, request: String) -> PyResult<String> {
        let answering = {
            let running = self.running();
            let running = running.as_ref().ok_or_else(stopped)?;
            if running.is_elsewhere() {
                return Err(PyRuntimeError::new_err("this hub belongs to the process that started it"));
            }
            let hub = Arc::clone(&running.hub);
            running.runtime.spawn(async move { hub.answer(&request).await.to_string() })?
        };
        wait(py, answering)
    }

    /// Stop the hub; calls that wait for it end with an error. Again, or in a forked child, it does nothing.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.running().take();
        let Some(running) = running else { return Ok(()) };
        if running.is_elsewhere() {
            // Not the child's to stop, and closing its sockets or files would be felt by the parent.
            std::mem::forget(running);
            return Ok(());
        }
        let Running { hub, runtime, .. } = running;
        wait(py, runtime.spawn(async move { hub.stop().await })?)
    }
}

impl Hub {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wait for a task of the hub's runtime.
fn wait<T: Send>(py: Python<'_>, task: JoinHandle<T>) -> PyResult<T> {
    runtime::block_on(py, Threads::Worker, task)?.map_err(|error| {
        if error.is_panic() { PyRuntimeError::new_err("the hub failed: please report it") } else { stopped() }
    })
}

fn stopped() -> PyErr {
    PyRuntimeError::new_err("the hub is stopped")
}

/// Run the `ferrohub` command with these arguments, on the main thread; returns the exit code.
#[pyfunction]
fn cli_main(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    // Ctrl-C is the command's own. Python's handler would be called as well, and raise when it returns.
    let signal = py.import("signal")?;
    signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?))?;
    let command_line = std::iter::once("ferrohub".into()).chain(arguments);
    Ok(py.detach(|| crate::cli::run(command_line)))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Hub>()?;
    module.add_function(wrap_pyfunction!(cli_main, module)?)
}
