//! The part of a client that sends what is stored: it hands messages to the session in their order, a window at a
//! time, and says which ones the hub has.
//!
//! The session treats them as it does any other: it repeats what is in flight on the next connection. If it gives up,
//! the messages stay here, and the feed asks again: after a pause as after a lost connection, or when the program
//! connects or has something new to send.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::sleep;

use super::keeper::Job;
use super::record::Stored;
use super::shelf::{Settled, Shelf};
use super::suspicion::Suspicion;
use crate::device::conversation::Purpose;
use crate::device::incoming::ConnectionEvent;
use crate::device::options::Options;
use crate::device::retry::Backoff;
use crate::device::session::Shared;
use crate::error::{Error, ErrorKind};
use crate::mqtt::{Operation, Receipt, Reply, Request, receipt};

/// Sends what is stored, until the session ends.
pub(super) struct Feed {
    pub(super) shelf: Arc<Shelf>,
    pub(super) jobs: Sender<Job>,
    pub(super) requests: UnboundedSender<Request<Purpose>>,
    pub(super) shared: Arc<Shared>,
    pub(super) options: Arc<Options>,
    /// Counts what the program asks for.
    pub(super) asked: watch::Receiver<u64>,
    /// Counts how often a connection has come or gone.
    pub(super) changes: watch::Receiver<u64>,
    pub(super) suspicion: Suspicion,
    pub(super) backoff: Backoff,
    /// What the program has been told last.
    pub(super) told: Option<String>,
}

impl Feed {
    pub(super) async fn run(mut self) {
        while let Some(failure) = self.send_until_failure().await {
            self.tell(&failure);
            let requests = self.requests.clone();
            tokio::select! {
                () = self.wait_to_go_on(&failure) => {}
                () = requests.closed() => break,
            }
        }
        // What the hub has acknowledged to the last.
        if let Poll::Ready(settled) = poll_fn(|context| Poll::Ready(self.shelf.poll_settled(context))).await {
            self.settle(settled);
        }
        let (promise, closed) = receipt();
        if self.jobs.send(Job::Close(promise)).is_ok() {
            // The keeper says how it went to those whom it concerns.
            let _ = closed.await;
        }
    }

    /// Why the session gave up; none when it has ended.
    async fn send_until_failure(&mut self) -> Option<Error> {
        loop {
            self.hand_over(self.options.window);
            tokio::select! {
                biased;
                settled = poll_fn(|context| self.shelf.poll_settled(context)) => {
                    if let Some(failure) = self.settle(settled) {
                        return Some(failure);
                    }
                }
                () = self.shelf.changed.notified() => {}
                _ = self.changes.changed() => self.connection_changed().await,
                () = self.requests.closed() => return None,
            }
        }
    }

    /// The hub has some; why the session gave up, if it has.
    pub(super) fn settle(&mut self, settled: Settled) -> Option<Error> {
        if !settled.delivered.is_empty() {
            self.backoff.reset();
            self.told = None;
            // Without its thread there is nobody to tell.
            let _ = self.jobs.send(Job::Delivered(settled.delivered));
        }
        settled.failure
    }

    pub(super) fn hand_over(&self, window: usize) {
        let oldest = self.options.outbox.as_ref().map_or(0, |outbox| outbox.oldest(&self.options.clock));
        self.shelf.hand_over(window, oldest, |stored| self.request(stored));
    }

    fn request(&self, stored: &Stored) -> Option<Receipt> {
        let topic = self.options.telemetry_topic(&stored.message.properties);
        // It could be published when it was accepted.
        let operation = Operation::publish(topic, stored.message.payload.clone()).ok()?;
        let (promise, receipt) = receipt();
        let request = Request { operation, reply: Reply::Caller(promise), deadline: None };
        self.requests.send(request).ok()?;
        Some(receipt)
    }

    /// Tell the program what keeps the messages here, once; it may last for days.
    fn tell(&mut self, failure: &Error) {
        let (kind, text) = (failure.kind(), failure.to_string());
        if !matches!(kind, ErrorKind::Cancelled | ErrorKind::ShutDown) && self.told.as_ref() != Some(&text) {
            self.shared.inboxes.put_event(ConnectionEvent::Failed(failure.clone()));
            self.told = Some(text);
        }
    }

    /// When to try again: with a connection in any case.
    async fn wait_to_go_on(&mut self, failure: &Error) {
        let Options { auto_connect, connection_retry, .. } = *self.options;
        self.changes.mark_unchanged();
        if self.shared.is_connected() {
            return;
        }
        self.asked.mark_unchanged();
        let another_attempt = async {
            match failure.kind() {
                _ if !auto_connect => pending().await,
                // The program has disconnected, or wants no retry: something new to send is a reason to connect.
                ErrorKind::Cancelled => _ = self.asked.changed().await,
                _ if !connection_retry => _ = self.asked.changed().await,
                _ => sleep(self.backoff.after_failure()).await,
            }
        };
        tokio::select! {
            _ = self.changes.changed() => {}
            () = another_attempt => {}
        }
    }
}
