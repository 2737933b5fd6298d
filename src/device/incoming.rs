//! What a client receives: patches, messages, calls of direct methods, and news of its connection.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::inbox::{Inbox, NamedInboxes};
use crate::error::Error;
use crate::protocol::properties;

/// The sorts of what comes; a watcher is told which one has something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Patches of desired properties.
    DesiredPatch,
    /// Messages: from the cloud to a device, or on a module's inputs.
    Message,
    /// Calls of direct methods.
    Method,
    /// News of the connection.
    Event,
}

/// A message from the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The input it came on, for a module.
    pub input: Option<String>,
    /// System and application properties in their order, decoded.
    pub properties: Vec<(String, Option<String>)>,
    /// The body.
    pub payload: Bytes,
}

impl ReceivedMessage {
    pub(super) fn new(input: Option<String>, encoded_properties: &str, payload: Bytes) -> Self {
        Self { input, properties: properties::decode(encoded_properties), payload }
    }
}

/// A call of a direct method; the response carries its request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCall {
    /// As the back end called it.
    pub name: String,
    /// Chosen by the hub.
    pub request_id: String,
    /// JSON, or empty.
    pub payload: Bytes,
}

/// News of the connection.
#[derive(Clone, Debug)]
pub enum ConnectionEvent {
    /// The client is connected.
    Connected,
    /// The client is not connected any more.
    Disconnected {
        /// Why, if the program did not ask for it.
        reason: Option<Error>,
        /// When the next attempt comes, if one does.
        retry_in: Option<Duration>,
    },
    /// An attempt to connect again has failed.
    AttemptFailed {
        /// Why.
        error: Error,
        /// When the next one comes, if one does.
        retry_in: Option<Duration>,
    },
    /// Something else failed that no call waits for, such as a look at the desired properties, or what came can't be
    /// read.
    Failed(Error),
    /// The program's token expires soon: it should bring another, with [`super::Client::update_token`].
    TokenExpiring,
}

/// Told which kind has something new, from a thread of the core: it must not block.
pub type Watcher = Box<dyn Fn(Kind) + Send + Sync>;

/// Everything a client has received and nobody has taken yet.
#[derive(Default)]
pub(super) struct Inboxes {
    pub(super) desired_patches: Inbox<Bytes>,
    pub(super) messages: NamedInboxes<ReceivedMessage>,
    pub(super) methods: NamedInboxes<MethodCall>,
    pub(super) events: Inbox<ConnectionEvent>,
    watcher: Mutex<Option<Watcher>>,
}

impl Inboxes {
    /// From now on tell this watcher. Events are kept only while somebody watches.
    pub(super) fn watch(&self, watcher: Option<Watcher>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
    }

    pub(super) fn put_patch(&self, patch: Bytes) {
        self.desired_patches.put(patch);
        self.tell(Kind::DesiredPatch);
    }

    pub(super) fn put_message(&self, message: ReceivedMessage) {
        let inbox = match &message.input {
            Some(name) => self.messages.find(name),
            None => self.messages.open(None),
        };
        inbox.put(message);
        self.tell(Kind::Message);
    }

    pub(super) fn put_method(&self, call: MethodCall) {
        self.methods.find(&call.name).put(call);
        self.tell(Kind::Method);
    }

    pub(super) fn put_event(&self, event: ConnectionEvent) {
        if let Some(watcher) = &*self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            self.events.put(event);
            watcher(Kind::Event);
        }
    }

    fn tell(&self, kind: Kind) {
        if let Some(watcher) = &*self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher(kind);
        }
    }
}
