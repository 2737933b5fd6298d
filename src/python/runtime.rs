//! The process's tokio runtimes, and how a Python thread waits for them.
//!
//! There are two, started at first use. What goes on between calls (the connections of devices, all of asyncio) runs on
//! the worker's, which has a thread of its own. What goes on only while somebody waits (the requests of blocking service
//! clients) runs on the callers', which has none: the threads that wait drive it, so a call is not handed to another
//! thread and back. A fork is noticed by the process id: the child starts new ones.
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

/// Which threads run a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// The core's own.
    Worker,
    /// Those that wait. While none does, nothing happens.
    Callers,
}

/// A runtime, which lives as long as its process.
struct ProcessRuntime {
    process: u32,
    runtime: &'static Runtime,
}

static WORKER: Mutex<Option<ProcessRuntime>> = Mutex::new(None);
static CALLERS: Mutex<Option<ProcessRuntime>> = Mutex::new(None);
static FINISHING: AtomicBool = AtomicBool::new(false);

/// The worker's runtime, of this process.
pub(super) fn handle() -> Result<Handle> {
    Ok(of(Threads::Worker)?.handle().clone())
}

/// The runtime of these threads in this process, started now if need be.
pub(super) fn of(threads: Threads) -> Result<&'static Runtime> {
    let (slot, mut builder) = match threads {
        Threads::Worker => (&WORKER, Builder::new_multi_thread()),
        Threads::Callers => (&CALLERS, Builder::new_current_thread()),
    };
    let mut slot = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let process = std::process::id();
    if let Some(mine) = slot.as_ref().filter(|mine| mine.process == process) {
        return Ok(mine.runtime);
    }
    let runtime = builder
        .worker_threads(1)
        .max_blocking_threads(LOOK_UPS)
        .thread_keep_alive(IDLE_TIME)
        .thread_name("ferrohub")
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::System, "no thread could be started").caused_by(error))?;
    // Never dropped: in a forked child the parent's threads do not exist, and could not be waited for.
    let runtime = Box::leak(Box::new(runtime));
    *slot = Some(ProcessRuntime { process, runtime });
    Ok(runtime)
}

/// Let connections that were given up end now, and not when somebody waits again.
pub(super) fn settle_callers() {
    let slot = CALLERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mine = slot.as_ref().filter(|mine| mine.process == std::process::id()).map(|mine| mine.runtime);
    drop(slot);
    if let Some(runtime) = mine {
        runtime.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Wait for a future, detached from the interpreter; a signal handler's exception ends the wait and
/// drops the future.
pub(super) fn block_on<T: Send>(
    py: Python<'_>,
    threads: Threads,
    future: impl Future<Output = T> + Send,
) -> PyResult<T> {
    let runtime = of(threads).map_err(|error| super::errors::to_python(&error))?;
    let main_thread = on_main_thread(py)?;
    py.detach(move || {
        let mut future = pin!(future);
        if !main_thread {
            let value = runtime.block_on(future);
            while FINISHING.load(Ordering::Acquire) {
                std::thread::park();
            }
            return Ok(value);
        }
        loop {
            let slice = async { tokio::time::timeout(SIGNAL_INTERVAL, future.as_mut()).await };
            match runtime.block_on(slice) {
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
