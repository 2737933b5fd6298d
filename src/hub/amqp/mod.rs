//! The hub's AMQP 1.0 endpoint for back ends: one task per connection, on fe2o3-amqp.
//!
//! - `sasl`: how a connection begins; `claims`: the tokens that it has shown, in SASL or at `$cbs`
//! - `links`: what each link is for, and who may have it
//! - `frames`: what leaves, as strict readers take it
//! - `requests`: nodes that answer questions: `cbs` takes tokens, `management` tells of partitions
//! - `devicebound`: taking messages to devices, which `message` reads; `servicebound`: giving feedback and notifications of
//!   files; `events`: giving events, which `event_message` writes
//! - `refusal`: errors of the hub as AMQP has them
//!
//! Used by the server, which has done TLS and seen the first bytes.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support>

mod cbs;
mod claims;
mod devicebound;
mod event_message;
mod events;
mod frames;
mod links;
mod management;
mod message;
mod refusal;
mod requests;
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
use self::frames::{Frames, Room};
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
    let (mut connection, room) = match timeout(FIRST_BYTES_DEADLINE, open(stream, first, &hub, &claims)).await
    {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return hub.notices.tell(|| format!("a back end could not connect: {error}")),
        Err(_) => return hub.notices.tell(|| "a back end did not open its AMQP connection in time".into()),
    };
    let peer = Peer { hub, claims, room };
    let stopped = tokio::select! {
        () = serve_sessions(&mut connection, &peer) => false,
        _ = stopping.wait_for(|stopping| *stopping) => true,
    };
    if stopped {
        let reason =
            AmqpError::new(ConnectionError::ConnectionForced, "the hub is stopping".to_owned(), None);
        // Whether the peer still listens is its own affair.
        let _ = timeout(CLOSE_DEADLINE, connection.close_with_error(reason)).await;
    }
}

/// A connection, for what is served on it.
#[derive(Clone)]
struct Peer {
    hub: HubState,
    claims: Claims,
    room: Room,
}

async fn open<S>(
    stream: S,
    mut first: BytesMut,
    hub: &HubState,
    claims: &Claims,
) -> Result<(ListenerConnectionHandle, Room), OpenError>
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
    let (stream, _) = net::batched(tokio::io::join(io::Cursor::new(first).chain(reader), writer), None);
    let (stream, room) = Frames::new(stream);
    let acceptor = ConnectionAcceptor::builder()
        .container_id(hub.access.hub_name())
        .max_frame_size(LARGEST_FRAME)
        .channel_max(MOST_CHANNELS)
        .idle_time_out(IDLE_MILLISECONDS);
    let connection = if begins_with_sasl {
        let sasl = Sasl { hub: hub.clone(), claims: claims.clone() };
        acceptor.sasl_acceptor(sasl).build().accept(stream).await?
    } else {
        acceptor.build().accept(stream).await?
    };
    Ok((connection, room))
}

async fn serve_sessions(connection: &mut ListenerConnectionHandle, peer: &Peer) {
    let acceptor = SessionAcceptor::builder().handle_max(u32::from(MOST_CHANNELS)).build();
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            incoming = connection.next_incoming_session() => {
                let Some(incoming) = incoming else { return };
                let Ok(session) = acceptor.accept_incoming_session(incoming, connection).await else { return };
                sessions.spawn(links::serve(session, peer.clone()));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}
