//! A connection that is ready to send: TLS, SASL, OPEN, a token at `$cbs`, and a link to `/messages/devicebound`, in
//! the order and with the fields of the official package.

use fe2o3_amqp::Connection;
use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::link::Sender;
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Source, Target as LinkTarget};
use uuid::Uuid;

use super::cbs::{Cbs, Token};
use super::{refusal, sasl};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, Target};

const LARGEST_FRAME: u32 = 65_536;
const WINDOW: u32 = 65_536;
const LARGEST_MESSAGE: u64 = 1 << 20;

/// A connection with all that is on it.
pub(super) struct Live {
    /// Dropped, it closes the connection.
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    cbs: Cbs,
    pub(super) link: Sender,
    /// When the token expires, seconds since 1970.
    pub(super) expires: u64,
    /// The process that opened it; a forked child has its memory, but none of its tasks.
    pub(super) process: u32,
    /// Which of a sender's connections it is.
    pub(super) number: u64,
}

impl Live {
    /// Connect to a hub, and show this token, which expires then.
    pub(super) async fn open(target: &Target, token: &Token, expires: u64, number: u64) -> Result<Self> {
        let mut stream = net::open(target).await?;
        sasl::exchange(&mut stream).await?;
        let container = Uuid::new_v4().to_string();
        let opening = Connection::builder()
            .container_id(container.as_str())
            .hostname(target.host.as_str())
            .max_frame_size(LARGEST_FRAME)
            .channel_max(u16::MAX)
            .open_with_stream(net::batched(stream));
        let mut connection = opening.await.map_err(|error| not_open(&error))?;
        let begun =
            Session::builder().incoming_window(WINDOW).outgoing_window(WINDOW).begin(&mut connection).await;
        let mut session = begun.map_err(|error| refusal::link("the hub begins no session", error))?;
        let mut cbs = Cbs::attach(&mut session).await?;
        cbs.put_token(token).await?;
        let link = Sender::builder()
            .name(format!("sender-link-{}", Uuid::new_v4()))
            .source(Source::builder().address(container).build())
            .target(
                LinkTarget::builder()
                    .address(format!("amqps://{}/messages/devicebound", target.host))
                    .build(),
            )
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::Second)
            .max_message_size(LARGEST_MESSAGE)
            .attach(&mut session)
            .await
            .map_err(|error| refusal::attach(&error))?;
        Ok(Self { connection, session, cbs, link, expires, process: std::process::id(), number })
    }

    /// Show another token.
    pub(super) async fn renew(&mut self, token: &Token, expires: u64) -> Result<()> {
        self.cbs.put_token(token).await?;
        self.expires = expires;
        Ok(())
    }

    /// Whether nothing says that it has ended.
    pub(super) fn is_usable(&self) -> bool {
        self.process == std::process::id() && !self.connection.is_closed() && !self.session.is_ended()
    }
}

fn not_open(error: &OpenError) -> Error {
    Error::new(ErrorKind::ConnectionFailed, "the hub does not open an AMQP connection")
        .caused_by(Error::new(ErrorKind::Protocol, error.to_string()))
}
