//! The hub's AMQP 1.0 endpoint for back ends: one task per connection, on fe2o3-amqp.
//!
//! - `sasl`: how a connection begins; `claims`: the tokens that it has shown, in SASL or at `$cbs`
//! - `links`: what each link is for, and who may have it
//! - `cbs`: taking tokens; `devicebound`: taking messages to devices, which `message` reads
//! - `servicebound`: giving feedback and notifications of files
//! - `refusal`: errors of the hub as AMQP has them
//!
//! Used by the server, which has done TLS and seen the first bytes.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support>

mod cbs;
mod claims;
mod devicebound;
mod links;
mod message;
mod refusal;
mod sasl;
mod servicebound;

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use fe2o3_amqp::acceptor::{ConnectionAcceptor, ListenerConnectionHandle, SessionAcceptor};
use fe2o3_amqp::connection::OpenError;
use fe2o3_amqp::types::definitions::{ConnectionError, Error as AmqpError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::claims::Claims;
use self::sasl::Sasl;
use super::{FIRST_BYTES_DEADLINE, HubState};
use crate::net;

/// The header of a connection that begins with SASL (AMQP 1.0, 5.3.1); any other begins with OPEN.
const SASL_HEADER: &[u8] = b"AMQP\x03\x01\x00\x00";
/// After so long without a byte of the client, which sends empty frames instead, the connection is ended.
const IDLE_MILLISECONDS: u32 = 240_000;
const LARGEST_FRAME: u32 = 64 << 10;
/// Sessions of a connection, beside the first; links of a session likewise.
const MOST_CHANNELS: u16 = 255;
/// A peer that does not confirm the end of its connection in this time has to do without.
const CLOSE_DEADLINE: Duration = Duration::from_millis(500);

/// Serve one connection to its end, or until the hub stops; `first` holds what was read of it already.
pub(super) async fn serve<S>(stream: S, first: BytesMut, hub: HubState, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
{
    let claims = Claims::default();
    let mut connection = match timeout(FIRST_BYTES_DEADLINE, open(stream, first, &hub, &claims)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return hub.notices.tell(|| format!("a back end could not connect: {error}")),
        Err(_) => return hub.notices.tell(|| "a back end did not open its AMQP connection in time".into()),
    };
    let stopped = tokio::select! {
        () = serve_sessions(&mut connection, &hub, &claims) => false,
        _ = stopping.wait_for(|stopping| *stopping) => true,
    };
    if stopped {
        let reason =
            AmqpError::new(ConnectionError::ConnectionForced, "the hub is stopping".to_owned(), None);
        // Whether the peer still listens is its own affair.
        let _ = timeout(CLOSE_DEADLINE, connection.close_with_error(reason)).await;
    }
}

async fn open<S>(
    stream: S,
    mut first: BytesMut,
    hub: &HubState,
    claims: &Claims,
) -> Result<ListenerConnectionHandle, OpenError>
where
    S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
{
    let (mut reader, writer) = tokio::io::split(stream);
    while first.len() < SASL_HEADER.len() {
        if reader.read_buf(&mut first).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    let begins_with_sasl = first.starts_with(SASL_HEADER);
    let stream = net::batched(tokio::io::join(io::Cursor::new(first).chain(reader), writer));
    let acceptor = ConnectionAcceptor::builder()
        .container_id(hub.access.hub_name())
        .max_frame_size(LARGEST_FRAME)
        .channel_max(MOST_CHANNELS)
        .idle_time_out(IDLE_MILLISECONDS);
    if begins_with_sasl {
        let sasl = Sasl { hub: hub.clone(), claims: claims.clone() };
        acceptor.sasl_acceptor(sasl).build().accept(stream).await
    } else {
        acceptor.build().accept(stream).await
    }
}

async fn serve_sessions(connection: &mut ListenerConnectionHandle, hub: &HubState, claims: &Claims) {
    let acceptor = SessionAcceptor::builder().handle_max(u32::from(MOST_CHANNELS)).build();
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            incoming = connection.next_incoming_session() => {
                let Some(incoming) = incoming else { return };
                let Ok(session) = acceptor.accept_incoming_session(incoming, connection).await else { return };
                sessions.spawn(links::serve(session, hub.clone(), claims.clone()));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}
