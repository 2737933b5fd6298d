//! The process's tokio runtime, and how a Python thread waits for it.
//!
//! One runtime, started at first use. A fork is noticed by the process id: the child starts a new one.
//! A waiting thread is detached from the interpreter; the main thread looks for signals every 100 ms, so
//! Ctrl-C ends every blocking call. No tokio thread ever touches Python. Once the interpreter is
//! finishing, threads that wait stay parked: a daemon thread that came back then would be killed inside
//! native code.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};

/// How often the main thread looks for signals while it waits.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// Threads for name look-ups, at most: a few that hang must not keep others from connecting.
const LOOK_UPS: usize = 8;
/// How long such a thread waits for more to do.
const IDLE_TIME: Duration = Duration::from_secs(1);

struct ProcessRuntime {
    process: u32,
    runtime: Runtime,
}

static RUNTIME: Mutex<Option<ProcessRuntime>> = Mutex::new(None);
static FINISHING: AtomicBool = AtomicBool::new(false);

/// The runtime of this process, started now if need be.
pub(super) fn handle() -> Result<Handle> {
    let mut slot = RUNTIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let process = std::process::id();
    if let Some(mine) = slot.as_ref().filter(|mine| mine.process == process) {
        return Ok(mine.runtime.handle().clone());
    }
    // In a forked child the parent's threads do not exist: its runtime can't even be dropped.
    std::mem::forget(slot.take());
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(LOOK_UPS)
        .thread_keep_alive(IDLE_TIME)
        .thread_name("ferrohub")
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::System, "no thread could be started").caused_by(error))?;
    let handle = runtime.handle().clone();
    *slot = Some(ProcessRuntime { process, runtime });
    Ok(handle)
}

/// Wait for a future, detached from the interpreter; a signal handler's exception ends the wait and
/// drops the future.
pub(super) fn block_on<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let handle = handle().map_err(|error| super::errors::to_python(&error))?;
    let main_thread = on_main_thread(py)?;
    py.detach(move || {
        let mut future = pin!(future);
        if !main_thread {
            let value = handle.block_on(future);
            while FINISHING.load(Ordering::Acquire) {
                std::thread::park();
            }
            return Ok(value);
        }
        loop {
            let slice = async { tokio::time::timeout(SIGNAL_INTERVAL, future.as_mut()).await };
            match handle.block_on(slice) {
                Ok(value) => return Ok(value),
                Err(_) => Python::attach(signals)?,
            }
        }
    })
}

fn signals(py: Python<'_>) -> PyResult<()> {
    py.check_signals()
}

/// Whether signals are delivered to this thread.
fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let process = std::process::id();
    if let Some((_, main)) = KNOWN.get().filter(|(known, _)| *known == process) {
        return Ok(main);
    }
    let threading = py.import("threading")?;
    let main: u64 = threading.call_method0("main_thread")?.getattr("ident")?.extract()?;
    let current: u64 = threading.call_method0("get_ident")?.extract()?;
    KNOWN.set(Some((process, main == current)));
    Ok(main == current)
}

/// Called by `atexit`: from now on waiting threads stay parked.
#[pyfunction]
fn finish() {
    FINISHING.store(true, Ordering::Release);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let finish = wrap_pyfunction!(finish, module)?;
    module.py().import("atexit")?.call_method1("register", (finish,))?;
    Ok(())
}
