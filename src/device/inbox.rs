//! What came from the hub and waits to be received, in order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A queue between the session and the threads or tasks that receive from it.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    items: Mutex<VecDeque<T>>,
    arrived: Notify,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { items: Mutex::default(), arrived: Notify::new() }
    }
}

impl<T> Inbox<T> {
    pub(super) fn put(&self, item: T) {
        self.lock().push_back(item);
        self.arrived.notify_waiters();
    }

    pub(super) fn take_now(&self) -> Option<T> {
        self.lock().pop_front()
    }

    /// Resolve when something is there; another may be quicker to take it.
    pub(super) async fn arrival(&self) {
        loop {
            // Before the look: what comes after it wakes everyone who waits, and nobody has to pass it on.
            let arrived = self.arrived.notified();
            if !self.lock().is_empty() {
                return;
            }
            arrived.await;
        }
    }

    /// The next item, when it has come. Cancelled, it takes nothing.
    pub(super) async fn take(&self) -> T {
        loop {
            self.arrival().await;
            if let Some(item) = self.take_now() {
                return item;
            }
        }
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Inboxes of what carries a name: one for each name that somebody receives by, and one for the rest.
#[derive(Debug)]
pub(super) struct NamedInboxes<T> {
    rest: Arc<Inbox<T>>,
    named: Mutex<HashMap<String, Arc<Inbox<T>>>>,
}

impl<T> Default for NamedInboxes<T> {
    fn default() -> Self {
        Self { rest: Arc::default(), named: Mutex::default() }
    }
}

impl<T> NamedInboxes<T> {
    /// The inbox of this name, made now if need be; without a name that of the rest.
    pub(super) fn open(&self, name: Option<&str>) -> Arc<Inbox<T>> {
        let Some(name) = name else { return Arc::clone(&self.rest) };
        Arc::clone(self.lock().entry(name.to_owned()).or_default())
    }

    /// The inbox where an item of this name belongs.
    pub(super) fn find(&self, name: &str) -> Arc<Inbox<T>> {
        Arc::clone(self.lock().get(name).unwrap_or(&self.rest))
    }

    pub(super) fn clear(&self) {
        self.rest.clear();
        self.lock().values().for_each(|inbox| inbox.clear());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Inbox<T>>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_item_is_taken_once_and_in_order() {
        let inbox = Arc::new(Inbox::default());
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let inbox = Arc::clone(&inbox);
                tokio::spawn(async move { inbox.take().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for item in ["a", "b", "c", "d"] {
            inbox.put(item);
        }
        let mut taken = Vec::new();
        for taker in takers {
            taken.push(taker.await.unwrap());
        }
        taken.sort_unstable();
        assert_eq!(taken, ["a", "b", "c"]);
        assert_eq!(inbox.take().await, "d");
        assert_eq!(inbox.take_now(), None);
    }

    #[test]
    fn a_name_somebody_receives_by_has_an_inbox_of_its_own() {
        let inboxes = NamedInboxes::default();
        let reboot = inboxes.open(Some("reboot"));
        inboxes.find("reboot").put(1);
        inboxes.find("other").put(2);
        assert_eq!((reboot.take_now(), reboot.take_now()), (Some(1), None));
        assert_eq!(inboxes.open(None).take_now(), Some(2));
    }
}
