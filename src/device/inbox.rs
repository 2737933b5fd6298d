//! What came from the hub and waits to be received, in order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// A queue between the session and the threads or tasks that receive from it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    items: Mutex<VecDeque<Bytes>>,
    arrived: Notify,
}

impl Inbox {
    pub(super) fn put(&self, item: Bytes) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
        self.arrived.notify_one();
    }

    pub(super) fn take_now(&self) -> Option<Bytes> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The next item, when it has come. Cancelled, it takes nothing.
    pub(super) async fn take(&self) -> Bytes {
        loop {
            let arrival = self.arrived.notified();
            if let Some(item) = self.take_now() {
                // One wake-up may stand for several items: pass it on.
                self.arrived.notify_one();
                return item;
            }
            arrival.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn each_item_is_taken_once_and_in_order() {
        let inbox = Arc::new(Inbox::default());
        let takers: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let inbox = Arc::clone(&inbox);
                    async move { inbox.take().await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        for item in ["a", "b", "c", "d"] {
            inbox.put(Bytes::from_static(item.as_bytes()));
        }
        let mut taken = Vec::new();
        for taker in takers {
            taken.push(taker.await.unwrap());
        }
        taken.sort();
        assert_eq!(taken, ["a", "b", "c"]);
        assert_eq!(inbox.take().await, "d");
        assert_eq!(inbox.take_now(), None);
    }
}
