//! What looks after connections that only callers drive, while nobody calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::runtime::{self, Threads};
use crate::error::{Error, ErrorKind, Result};

/// How often: then connections are kept alive, and lost ones noticed.
const INTERVAL: Duration = Duration::from_secs(1);

type LastWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread that now and then drives the callers' runtime, from the first connection until there is none.
#[derive(Default)]
pub(super) struct Upkeep(Mutex<Option<Keeper>>);

struct Keeper {
    process: u32,
    last_work: mpsc::Sender<LastWork>,
}

impl Upkeep {
    /// Begin, if that has not been done in this process.
    pub(super) fn begin(&self) -> Result<()> {
        let mut keeper = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_some_and(|keeper| keeper.process == runtime::process()) {
            return Ok(());
        }
        // Found here and not by the thread: what it locks would stay locked in a child that is forked at this moment.
        let runtime = runtime::of(Threads::Callers)?;
        let (last_work, told) = mpsc::channel();
        thread::Builder::new()
            .name("ferrohub-upkeep".into())
            .spawn(move || keep_up(runtime, &told))
            .map_err(|error| Error::new(ErrorKind::System, "no thread could be started").caused_by(error))?;
        *keeper = Some(Keeper { process: runtime::process(), last_work });
        Ok(())
    }

    /// End, in its thread after this work.
    pub(super) fn end(&self, last_work: impl Future<Output = ()> + Send + 'static) {
        let keeper = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper.filter(|keeper| keeper.process == runtime::process()) {
            // If its thread has gone, there is nothing to end.
            let _ = keeper.last_work.send(Box::pin(last_work));
        }
    }
}

fn keep_up(runtime: &Runtime, told: &mpsc::Receiver<LastWork>) {
    loop {
        match told.recv_timeout(INTERVAL) {
            Err(RecvTimeoutError::Timeout) => runtime.block_on(runtime::settled()),
            Ok(last_work) => return runtime.block_on(last_work),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
