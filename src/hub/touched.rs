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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hub::registry::IdentityBody;
    use crate::hub::twins::TwinWrite;
    use crate::hub::{HubSettings, HubState};

    fn some(names: &[&str]) -> Touched {
        Touched::Some(names.iter().map(|name| IdentityId::parse(name).unwrap()).collect())
    }

    #[tokio::test]
    async fn only_what_conditions_can_see_is_noted_and_only_while_somebody_watches() {
        let hub = HubState::open(&HubSettings::default()).unwrap();
        let (id, module) = (IdentityId::parse("d").unwrap(), IdentityId::parse("d/m").unwrap());
        let write = |body: &'static str, id: IdentityId| {
            let (hub, body) = (hub.clone(), serde_json::from_str(body).unwrap());
            async move { hub.write_twin(&id, TwinWrite::Patch, &body, None).await.unwrap() }
        };
        hub.put_identity(&id, IdentityBody::default(), None).await.unwrap();
        hub.put_identity(&module, IdentityBody::default(), None).await.unwrap();
        assert_eq!(hub.store.watch().take(), some(&[]));
        hub.store.watch().note_all();
        assert_eq!(hub.store.watch().take(), Touched::All);
        write(r#"{"properties": {"desired": {"a": 1}}}"#, id.clone()).await;
        write(r#"{"tags": {}}"#, id.clone()).await;
        hub.disconnected(&id);
        assert_eq!(hub.store.watch().take(), some(&[]));
        write(r#"{"tags": {"a": 1}}"#, module.clone()).await;
        assert_eq!(hub.store.watch().take(), some(&["d"]));
        hub.patch_reported(&id, json!({ "a": 1 }).to_string().as_bytes(), None).await.unwrap();
        let other = IdentityId::parse("e").unwrap();
        hub.put_identity(&other, IdentityBody::default(), None).await.unwrap();
        assert_eq!(hub.store.watch().take(), some(&["d", "e"]));
    }

    #[test]
    fn what_concerns_every_device_is_not_forgotten_when_nobody_watches_any_more() {
        let watch = Watch::default();
        watch.note_all();
        watch.turn_off_if_idle();
        assert!(watch.is_on());
        watch.note(&IdentityId::parse("d").unwrap());
        assert_eq!(watch.take(), Touched::All);
        watch.turn_off_if_idle();
        assert!(!watch.is_on());
    }
}
