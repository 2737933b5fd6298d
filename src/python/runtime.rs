//! The process's tokio runtimes, and how a Python thread waits for them.
//!
//! There are two, started at first use. All of asyncio runs on the worker's, which has a thread of its own. What blocks
//! (devices, requests of service clients, their messages) runs on the callers', which has none: the threads that wait
//! drive it, so a call is not handed to another thread and back. Where connections have to be looked after between
//! calls, a [`StandIn`] does that. A forked child starts new ones.
//! A waiting thread is detached from the interpreter; the main thread looks for signals every 100 ms, so
//! Ctrl-C ends every blocking call. No tokio thread ever touches Python. Once the interpreter is
//! finishing, threads that wait stay parked: a daemon thread that came back then would be killed inside
//! native code.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::IntoPyDict;
use tokio::runtime::{Builder, Runtime};

use super::stand_in::StandIn;
use crate::error::{Error, Result};

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
    /// Those that wait. While none does, nothing happens, unless there is a stand-in.
    Callers,
    /// The callers' stand-in, for those that may wait for long, or answer what it brings; they only wait.
    StandIn,
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

/// The runtime of callers, and who drives it while there is none.
struct Callers {
    runtime: Runtime,
    stand_in: StandIn,
}

/// What each process has one of, made at first use. Never dropped: in a forked child the parent's threads do not exist,
/// and could not be waited for.
struct PerProcess<T: 'static>(Mutex<Option<(u32, &'static T)>>);

impl<T> PerProcess<T> {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn made(&self) -> Option<&'static T> {
        let made = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.filter(|(owner, _)| *owner == process()).map(|(_, made)| made)
    }

    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&'static T> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = slot.filter(|(owner, _)| *owner == process()) {
            return Ok(made);
        }
        let new: &'static T = Box::leak(Box::new(make()?));
        *slot = Some((process(), new));
        Ok(new)
    }
}

static WORKER: PerProcess<Runtime> = PerProcess::new();
static CALLERS: PerProcess<Callers> = PerProcess::new();
static FINISHING: AtomicBool = AtomicBool::new(false);

fn worker() -> Result<&'static Runtime> {
    WORKER.get(|| build(&mut Builder::new_multi_thread()))
}

fn callers() -> Result<&'static Callers> {
    CALLERS.get(|| {
        let runtime = build(&mut Builder::new_current_thread())?;
        Ok(Callers { runtime, stand_in: StandIn::default() })
    })
}

fn build(builder: &mut Builder) -> Result<Runtime> {
    builder
        .worker_threads(1)
        .max_blocking_threads(LOOK_UPS)
        .thread_keep_alive(IDLE_TIME)
        .thread_name("ferrohub")
        .enable_all()
        .build()
        .map_err(Error::no_thread)
}

/// The runtime of these threads in this process, started now if need be.
pub(super) fn of(threads: Threads) -> Result<&'static Runtime> {
    match threads {
        Threads::Worker | Threads::None => worker(),
        Threads::Callers | Threads::StandIn => callers().map(|callers| &callers.runtime),
    }
}

/// The callers' runtime, which from now on is driven between calls too.
pub(super) fn attended() -> Result<&'static Runtime> {
    let callers = callers()?;
    callers.stand_in.start(&callers.runtime)?;
    Ok(&callers.runtime)
}

/// Have the callers' runtime do this when it can; not at all if there is none yet, as then there is nothing to end.
pub(super) fn leave_to_stand_in(work: impl Future<Output = ()> + Send + 'static) {
    if let Some(callers) = CALLERS.made() {
        callers.runtime.spawn(work);
    }
}

/// Let connections that were given up end now, and not when somebody waits again.
pub(super) fn settle_callers() {
    if let Some(callers) = CALLERS.made() {
        let _driving = callers.stand_in.make_way();
        callers.runtime.block_on(settled());
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
    let way = Way::of(threads).map_err(|error| super::errors::to_python(&error))?;
    py.detach(move || {
        let mut future = pin!(future);
        loop {
            // A slice of time, after which signals are looked for; without end elsewhere than on the main thread.
            match way.wait(future.as_mut(), main_thread.then_some(SIGNAL_INTERVAL)) {
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

/// How a thread waits.
#[derive(Clone, Copy)]
enum Way {
    Alone,
    Worker(&'static Runtime),
    Driving(&'static Callers),
    StandIn(&'static Callers),
}

impl Way {
    fn of(threads: Threads) -> Result<Self> {
        Ok(match threads {
            Threads::None => Self::Alone,
            Threads::Worker => Self::Worker(worker()?),
            Threads::Callers => Self::Driving(callers()?),
            Threads::StandIn => Self::StandIn(callers()?),
        })
    }

    /// Wait for a future, for this long at most.
    fn wait<T>(self, future: Pin<&mut impl Future<Output = T>>, limit: Option<Duration>) -> Option<T> {
        match self {
            Self::Alone => park_on(future, limit),
            Self::Worker(runtime) => drive(runtime, future, limit),
            Self::Driving(callers) => {
                let _driving = callers.stand_in.make_way();
                drive(&callers.runtime, future, limit)
            }
            Self::StandIn(callers) => {
                let _timers = callers.runtime.enter();
                callers.stand_in.hurry();
                park_on(future, limit)
            }
        }
    }
}

fn drive<T>(
    runtime: &Runtime,
    future: Pin<&mut impl Future<Output = T>>,
    limit: Option<Duration>,
) -> Option<T> {
    match limit {
        None => Some(runtime.block_on(future)),
        Some(limit) => runtime.block_on(async { tokio::time::timeout(limit, future).await.ok() }),
    }
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
