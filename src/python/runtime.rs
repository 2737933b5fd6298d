//! The process's tokio runtimes, and how a Python thread waits for them.
//!
//! There are two, started at first use. What goes on between calls (the connections of devices, all of asyncio) runs on
//! the worker's, which has a thread of its own. What goes on only while somebody waits (the requests of blocking service
//! clients, their messages) runs on the callers', which has none: the threads that wait drive it, so a call is not handed
//! to another thread and back. A forked child starts new ones.
//! A waiting thread is detached from the interpreter; the main thread looks for signals every 100 ms, so
//! Ctrl-C ends every blocking call. No tokio thread ever touches Python. Once the interpreter is
//! finishing, threads that wait stay parked: a daemon thread that came back then would be killed inside
//! native code.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::IntoPyDict;
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
    /// Those that wait. While none does, nothing happens, but for what [`super::upkeep`] does.
    Callers,
    /// None of their own: for what needs no timer and no connection, and only waits for something that other threads
    /// bring. Whoever brings it runs what is left to do.
    None,
}

/// How many forks lie between the program's start and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Which process this is, as told by the forks since the program's start: asking the system takes longer.
pub(super) fn process() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Called in a forked child.
#[pyfunction]
fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
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
        Threads::Worker | Threads::None => (&WORKER, Builder::new_multi_thread()),
        Threads::Callers => (&CALLERS, Builder::new_current_thread()),
    };
    let mut slot = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let process = process();
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
    let mine = slot.as_ref().filter(|mine| mine.process == process()).map(|mine| mine.runtime);
    drop(slot);
    if let Some(runtime) = mine {
        runtime.block_on(settled());
    }
}

/// Wait until the runtime has seen what has happened to its connections, and its tasks have acted on it.
pub(super) async fn settled() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// Wait for a future, detached from the interpreter; a signal handler's exception ends the wait and
/// drops the future.
pub(super) fn block_on<T: Send>(
    py: Python<'_>,
    threads: Threads,
    future: impl Future<Output = T> + Send,
) -> PyResult<T> {
    let main_thread = on_main_thread(py)?;
    let runtime = match threads {
        Threads::None => None,
        threads => Some(of(threads).map_err(|error| super::errors::to_python(&error))?),
    };
    py.detach(move || {
        let mut future = pin!(future);
        loop {
            // A slice of time, after which signals are looked for; without end elsewhere than on the main thread.
            let slice = main_thread.then_some(SIGNAL_INTERVAL);
            let value = match (runtime, slice) {
                (None, slice) => park_on(future.as_mut(), slice),
                (Some(runtime), None) => Some(runtime.block_on(future.as_mut())),
                (Some(runtime), Some(slice)) => {
                    runtime.block_on(async { tokio::time::timeout(slice, future.as_mut()).await.ok() })
                }
            };
            match value {
                Some(value) if main_thread => return Ok(value),
                Some(value) => {
                    while FINISHING.load(Ordering::Acquire) {
                        std::thread::park();
                    }
                    return Ok(value);
                }
                None => Python::attach(signals)?,
            }
        }
    })
}

/// Wait on this thread alone for a future that others complete; None after this time.
fn park_on<T>(mut future: Pin<&mut impl Future<Output = T>>, limit: Option<Duration>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        match end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn signals(py: Python<'_>) -> PyResult<()> {
    py.check_signals()
}

/// Whether signals are delivered to this thread.
fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let process = process();
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
    let py = module.py();
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(finish, module)?,))?;
    // Not there where processes don't fork.
    if let Ok(at_fork) = py.import("os")?.getattr("register_at_fork") {
        let in_child = [("after_in_child", wrap_pyfunction!(forked, module)?)].into_py_dict(py)?;
        at_fork.call((), Some(&in_child))?;
    }
    Ok(())
}
