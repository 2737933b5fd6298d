//! What ends a command from outside: Ctrl-C, and the system's request to end.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal as Interrupt, Signal as Terminate, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Terminate, CtrlC as Interrupt, ctrl_break, ctrl_c};

use crate::error::{Error, ErrorKind, Result};

/// The signals; none is missed from the moment this exists.
pub(super) struct Signals {
    interrupt: Interrupt,
    terminate: Terminate,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let (interrupt, terminate) = register().map_err(|error| {
            Error::new(ErrorKind::System, "the signals that end the hub can't be listened to")
                .caused_by(error)
        })?;
        Ok(Self { interrupt, terminate })
    }

    /// Resolves at Ctrl-C and when the process is asked to end.
    pub(super) async fn interrupted(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Resolves when the process is asked to end. Ctrl-C is for the program that this hub belongs to.
    pub(super) async fn terminated(mut self) {
        self.terminate.recv().await;
    }
}

#[cfg(unix)]
fn register() -> io::Result<(Interrupt, Terminate)> {
    Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
}

#[cfg(windows)]
fn register() -> io::Result<(Interrupt, Terminate)> {
    Ok((ctrl_c()?, ctrl_break()?))
}
