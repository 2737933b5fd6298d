//! A connection that is ready for links: TLS, SASL, OPEN and a token at `$cbs`, in the order and with the fields of the
//! official package.

use std::time::Duration;

use fe2o3_amqp::Connection;
use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::session::{Session, SessionHandle};
use tokio::time::timeout;
use uuid::Uuid;

use super::cbs::Cbs;
use super::endpoint::{BearerToken, Endpoint};
use super::{refusal, sasl};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, End, KeepAlive};

/// An empty frame. fe2o3-amqp sends one just when the peer's patience ends, which is too late as often as not.
const KEEP_ALIVE: KeepAlive = KeepAlive { after: Duration::from_secs(30), bytes: b"\0\0\0\x08\x02\0\0\0" };
const LARGEST_FRAME: u32 = 65_536;
const WINDOW: u32 = 65_536;
/// A token is renewed when less than this is left, or a tenth if it is good for less than an hour.
const RENEWAL_SECONDS: u64 = 360;
/// A hub that doesn't answer a new token in this time has gone.
const RENEWAL_LIMIT: Duration = Duration::from_secs(30);

/// A connection with a session, on which a token was shown.
pub(super) struct HubConnection {
    /// Dropped, it closes the connection.
    connection: ConnectionHandle<()>,
    pub(super) session: SessionHandle<()>,
    cbs: Cbs,
    endpoint: Endpoint,
    pub(super) host: String,
    pub(super) container: String,
    /// When a new token is due, seconds since 1970.
    renewal: u64,
    /// The process that opened it; a forked child has its memory, but none of its tasks.
    process: u32,
    /// Of its stream.
    end: End,
}

impl HubConnection {
    /// Connect and show a token. With `idle`, a peer that is silent for so long is taken for gone.
    ///
    /// # Errors
    /// `Unauthorized` if the token is refused; `ConnectionFailed`, `Tls` or `Protocol`.
    pub(super) async fn open(
        endpoint: &Endpoint,
        bearer: Option<&BearerToken>,
        idle: Option<Duration>,
    ) -> Result<Self> {
        let (token, expires) = endpoint.token(bearer)?;
        let target = endpoint.target()?;
        let mut stream = net::open(&target).await?;
        sasl::exchange(&mut stream).await?;
        let container = Uuid::new_v4().to_string();
        let mut opening = Connection::builder()
            .container_id(container.as_str())
            .hostname(target.host.as_str())
            .max_frame_size(LARGEST_FRAME)
            .channel_max(u16::MAX);
        if let Some(idle) = idle {
            opening = opening.idle_time_out(u32::try_from(idle.as_millis()).unwrap_or(u32::MAX));
        }
        let (stream, end) = net::batched(stream, Some(KEEP_ALIVE));
        let opening = opening.open_with_stream(stream);
        let mut connection = opening.await.map_err(|error| not_open(&error))?;
        let begun =
            Session::builder().incoming_window(WINDOW).outgoing_window(WINDOW).begin(&mut connection).await;
        let mut session = begun.map_err(|error| refusal::link("the hub begins no session", error))?;
        let mut cbs = Cbs::attach(&mut session).await?;
        cbs.put_token(&token).await?;
        let renewal = renewal(&endpoint.clock, expires);
        let (endpoint, process, host) = (endpoint.clone(), std::process::id(), target.host);
        Ok(Self { connection, session, cbs, endpoint, host, container, renewal, process, end })
    }

    /// Show another token if it is time for one.
    pub(super) async fn renew_if_due(&mut self, bearer: Option<&BearerToken>) -> Result<()> {
        if self.endpoint.clock.unix_seconds() < self.renewal {
            return Ok(());
        }
        // Seldom, and large.
        Box::pin(self.renew(bearer)).await
    }

    async fn renew(&mut self, bearer: Option<&BearerToken>) -> Result<()> {
        let (token, expires) = self.endpoint.token(bearer)?;
        let late = |_| Error::new(ErrorKind::ConnectionDropped, "the hub does not answer a new token");
        timeout(RENEWAL_LIMIT, self.cbs.put_token(&token)).await.map_err(late)??;
        self.renewal = renewal(&self.endpoint.clock, expires);
        Ok(())
    }

    /// Wait until another token is due; for ever, if callers bring them.
    pub(super) fn renewal_due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.endpoint.credentials.as_ref().map(|_| self.renewal * 1000);
        let clock = self.endpoint.clock.clone();
        async move {
            match due {
                Some(due) => clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether nothing says that it has ended.
    pub(super) fn is_usable(&self) -> bool {
        self.is_of_this_process() && !self.connection.is_closed() && !self.session.is_ended()
    }

    /// Wait until it has ended.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        self.end.clone().reached()
    }

    /// Whether it was opened here. If not, it must be forgotten: its tasks are the parent's, and closing it would be
    /// felt there.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }
}

fn renewal(clock: &Clock, expires: u64) -> u64 {
    let left = expires.saturating_sub(clock.unix_seconds());
    expires - RENEWAL_SECONDS.min(left / 10)
}

fn not_open(error: &OpenError) -> Error {
    Error::new(ErrorKind::ConnectionFailed, "the hub does not open an AMQP connection")
        .caused_by(Error::new(ErrorKind::Protocol, error.to_string()))
}
