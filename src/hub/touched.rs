//! Which devices have changed since somebody last looked: what saves who follows all changes from going through the hub.
//!
//! The store notes changes while it holds its lock, so nothing here waits.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::protocol::identity::IdentityId;

/// Devices that changed, themselves or in one of their modules.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    All,
    Some(BTreeSet<IdentityId>),
}

/// The devices that changed since they were last taken. Nothing is noted until somebody watches.
#[derive(Default)]
pub(super) struct Watch {
    touched: Mutex<Option<Touched>>,
    wake: Notify,
}

impl Watch {
    /// Whether changes are to be noted.
    pub(super) fn is_on(&self) -> bool {
        self.with(|touched| touched.is_some())
    }

    /// Note no changes any more, unless one that concerns every device has not been taken yet.
    pub(super) fn turn_off_if_idle(&self) {
        self.with(|touched| {
            if *touched != Some(Touched::All) {
                *touched = None;
            }
        });
    }

    /// This device changed, or a module of it.
    pub(super) fn note(&self, id: &IdentityId) {
        self.with(|touched| {
            if let Some(Touched::Some(some)) = touched {
                some.insert(id.parent());
            }
        });
        self.wake.notify_one();
    }

    /// Something changed that concerns every device; from now on changes are noted.
    pub(super) fn note_all(&self) {
        self.with(|touched| *touched = Some(Touched::All));
        self.wake.notify_one();
    }

    /// What changed since the last time.
    pub(super) fn take(&self) -> Touched {
        let nothing = || Touched::Some(BTreeSet::new());
        self.with(|touched| touched.as_mut().map_or_else(nothing, |touched| mem::replace(touched, nothing())))
    }

    /// Resolve when something has changed since the last time that this resolved.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    fn with<R>(&self, look: impl FnOnce(&mut Option<Touched>) -> R) -> R {
        look(&mut self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
