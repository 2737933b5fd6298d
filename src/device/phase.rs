//! Where a connection stands, and what can happen: the columns and rows of the table in docs/architecture.md.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rumqttc::mqttbytes::v4::Connect;
use tokio::time::{Instant, Sleep};

use super::credentials::Token;
use crate::error::{Error, Result};
use crate::mqtt::{Link, Promise};
use crate::net::BoxedStream;

pub(super) type ClientLink = Link<BoxedStream>;
/// An attempt to connect: the link, and whether the hub still had this client's session.
pub(super) type Attempt = Pin<Box<dyn Future<Output = Result<(ClientLink, bool)>> + Send>>;

/// What a session has from outside; its tests have their own.
pub(super) struct Surroundings {
    /// Makes a link to the hub and logs in.
    pub(super) dial: Arc<dyn Fn(Connect) -> Attempt + Send + Sync>,
    /// From 0 to 1: how much of a pause is kept.
    pub(super) jitter: fn() -> f64,
}

/// A connection that is there.
pub(super) struct Live {
    pub(super) link: Box<ClientLink>,
    pub(super) since: Instant,
}

/// Where the connection stands.
pub(super) enum Phase {
    /// Not connected, and nothing asked for a connection.
    Idle,
    /// An attempt is under way.
    Connecting(Attempt),
    /// Connected.
    Online(Live),
    /// Connected, and about to connect anew: what is in flight may be acknowledged until the time is over.
    Renewing(Live, Pin<Box<Sleep>>),
    /// Lost; the next attempt comes after this pause.
    Waiting(Pin<Box<Sleep>>),
}

impl Phase {
    /// The connection, if it is there.
    pub(super) fn into_live(self) -> Option<Live> {
        match self {
            Self::Online(live) | Self::Renewing(live, _) => Some(live),
            Self::Idle | Self::Connecting(_) | Self::Waiting(_) => None,
        }
    }
}

/// What the program asks of the connection itself.
pub(super) enum Control {
    Connect(Promise),
    Disconnect(Promise),
    ShutDown(Promise),
    UpdateToken(Token, Promise),
}

impl Control {
    /// What its caller waits for.
    pub(super) fn into_promise(self) -> Promise {
        match self {
            Self::Connect(promise)
            | Self::Disconnect(promise)
            | Self::ShutDown(promise)
            | Self::UpdateToken(_, promise) => promise,
        }
    }
}

/// What can happen. Two more things do in every phase, to one request each: its time is over, or its caller is gone.
pub(super) enum Event {
    Control(Control),
    HandleDropped,
    /// A request has come in `Idle`; elsewhere it is in its queue.
    Queued,
    /// The attempt has succeeded; whether the hub still had the session.
    Connected(Box<ClientLink>, bool),
    /// The attempt has failed.
    Refused(Error),
    /// Nobody waits for the attempt any more.
    Unwanted,
    /// The link has ended.
    Ended(Error),
    /// Nothing is in flight any more, or the time for it is over.
    Drained,
    PauseOver,
    RenewalDue,
    TokenDue,
}
