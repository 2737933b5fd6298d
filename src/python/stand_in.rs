//! Who drives the callers' runtime while no caller does: a thread of our own.
//!
//! A caller that waits drives the connections itself, so what it sends is not handed to another thread, nor the answer
//! handed back. Between calls somebody has to read all the same. Who calls again within a millisecond finds the runtime
//! free; after that the stand-in takes it, until a caller wants it back. It touches nothing but its runtime and what is
//! here: a fork must not find a lock of others held by it.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::error::{Error, Result};

/// How long the runtime is left to callers between two calls.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that drives a runtime while nobody else does; none until it is started.
#[derive(Default)]
pub(super) struct StandIn {
    thread: Mutex<Option<Thread>>,
    /// How many callers drive now, or wait to.
    callers: AtomicUsize,
    /// How many have come so far.
    turns: AtomicUsize,
    /// It drives.
    stands: AtomicBool,
    /// A caller wants to.
    step_back: Notify,
    /// Somebody waits without driving, or has left something to do.
    is_wanted: AtomicBool,
    /// It sleeps until a caller goes.
    sleeps: AtomicBool,
}

/// While it lasts, a caller drives.
pub(super) struct Driving<'a>(&'a StandIn);

impl StandIn {
    /// Start the thread, if there is none.
    ///
    /// # Errors
    /// `System` if the system gives no thread.
    pub(super) fn start(&'static self, runtime: &'static Runtime) -> Result<()> {
        let mut thread = self.lock();
        if thread.is_none() {
            let builder = thread::Builder::new().name("ferrohub".into());
            let started = builder.spawn(|| self.run(runtime)).map_err(Error::no_thread)?;
            *thread = Some(started.thread().clone());
        }
        Ok(())
    }

    /// Let a caller drive.
    pub(super) fn make_way(&self) -> Driving<'_> {
        self.callers.fetch_add(1, SeqCst);
        self.turns.fetch_add(1, SeqCst);
        if self.stands.load(SeqCst) {
            self.step_back.notify_one();
        }
        Driving(self)
    }

    /// Have it drive now, unless a caller does.
    pub(super) fn hurry(&self) {
        if !self.stands.load(SeqCst) {
            self.is_wanted.store(true, SeqCst);
            self.wake();
        }
    }

    fn run(&self, runtime: &Runtime) -> ! {
        loop {
            let turns = self.turns.load(SeqCst);
            thread::park_timeout(PAUSE);
            let is_quiet = self.turns.load(SeqCst) == turns;
            if self.callers.load(SeqCst) == 0 {
                if self.is_wanted.swap(false, SeqCst) || is_quiet {
                    self.stand(runtime);
                }
            } else if is_quiet {
                self.sleep(turns);
            }
        }
    }

    /// Drive until a caller wants to. Each side tells what it does before it looks at the other, so one of them sees it.
    fn stand(&self, runtime: &Runtime) {
        self.stands.store(true, SeqCst);
        if self.callers.load(SeqCst) == 0 {
            runtime.block_on(self.step_back.notified());
        }
        self.stands.store(false, SeqCst);
    }

    /// Somebody waits for long: look again when a caller goes.
    fn sleep(&self, turns: usize) {
        self.sleeps.store(true, SeqCst);
        if self.callers.load(SeqCst) != 0 && self.turns.load(SeqCst) == turns {
            thread::park();
        }
        self.sleeps.store(false, SeqCst);
    }

    fn wake(&self) {
        if let Some(thread) = &*self.lock() {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, SeqCst);
        if self.0.sleeps.swap(false, SeqCst) {
            self.0.wake();
        }
    }
}
