//! How a link is made: a stream to the hub, then CONNECT.

use std::io;
use std::pin::pin;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use tokio::time::timeout;

use super::link::Link;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, BoxedStream, Target};

/// For an attempt to connect, from the name look-up to the CONNACK; the official package waits as long for the latter.
const CONNECT_TIME: Duration = Duration::from_secs(60);

/// The CONNECT of every client: its session outlives the connection. Without a password only the name is sent.
#[must_use]
pub fn connect_packet(
    client_id: String,
    keep_alive_seconds: u16,
    user_name: String,
    password: &str,
) -> Connect {
    let mut connect = Connect::new(client_id);
    connect.keep_alive = keep_alive_seconds;
    connect.clean_session = false;
    connect.set_login(user_name, password);
    connect
}

/// Connect and log in. Resolves with the link and whether the hub still had this client's session.
///
/// # Errors
/// Those of [`net::open`] and [`log_in`], `Timeout` if both together take longer than a minute.
pub async fn dial(target: &Target, connect: &Connect) -> Result<(Link<BoxedStream>, bool)> {
    let attempt = pin!(async { log_in(net::open(target).await?, &target.authority(), connect).await });
    in_time(attempt).await
}

async fn in_time<T>(attempt: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::new(ErrorKind::Timeout, "Transport timeout on connection operation");
    timeout(CONNECT_TIME, attempt).await.map_err(late)?
}

/// Log in over a stream to this hub.
///
/// # Errors
/// `ConnectionFailed` if the hub is not available, `Unauthorized` if it refuses the credentials, `Protocol` if it
/// refuses the client otherwise.
pub async fn log_in(stream: BoxedStream, hub: &str, connect: &Connect) -> Result<(Link<BoxedStream>, bool)> {
    let mut link = Link::new(stream, Duration::from_secs(connect.keep_alive.into()));
    let encoded = connect.write(link.output());
    encoded.map_err(|error| {
        Error::new(ErrorKind::Protocol, "the CONNECT could not be encoded").caused_by(error)
    })?;
    match admitted(link.next_packet().await.map_err(closed_early)?) {
        Ok(session_present) => Ok((link, session_present)),
        Err((kind, reason)) => Err(refused(hub, connect, kind, reason)),
    }
}

/// Whether the session was present, or the kind of the refusal and the sentence the official client has for it.
fn admitted(answer: Packet) -> std::result::Result<bool, (ErrorKind, &'static str)> {
    let Packet::ConnAck(ack) = answer else {
        return Err((ErrorKind::Protocol, "it did not answer the CONNECT with a CONNACK"));
    };
    Err(match ack.code {
        ConnectReturnCode::Success => return Ok(ack.session_present),
        ConnectReturnCode::RefusedProtocolVersion => {
            (ErrorKind::Protocol, "Connection Refused: unacceptable protocol version.")
        }
        ConnectReturnCode::BadClientId => (ErrorKind::Protocol, "Connection Refused: identifier rejected."),
        ConnectReturnCode::ServiceUnavailable => {
            (ErrorKind::ConnectionFailed, "Connection Refused: broker unavailable.")
        }
        ConnectReturnCode::BadUserNamePassword => {
            (ErrorKind::Unauthorized, "Connection Refused: bad user name or password.")
        }
        ConnectReturnCode::NotAuthorized => (ErrorKind::Unauthorized, "Connection Refused: not authorised."),
    })
}

fn refused(hub: &str, connect: &Connect, kind: ErrorKind, reason: &str) -> Error {
    let mut text = format!("{hub} refused {:?}", connect.client_id);
    text.push_str(match kind {
        ErrorKind::Unauthorized => {
            "; check that it exists there, that the key or certificate is its own, and that this machine's clock is right"
        }
        ErrorKind::ConnectionFailed => "; it may be disabled there, or the hub is busy or not available",
        _ => "",
    });
    Error::new(kind, text).caused_by(io::Error::other(reason.to_owned()))
}

/// A hub that closes before the CONNACK has not let the client in.
fn closed_early(error: Error) -> Error {
    if error.kind() == ErrorKind::ConnectionDropped {
        return Error::new(ErrorKind::ConnectionFailed, "the hub closed the connection instead of answering")
            .caused_by(error);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn answered(answer: &[u8]) -> Error {
        let (stream, mut hub) = tokio::io::duplex(1024);
        hub.write_all(answer).await.unwrap();
        let packet = connect_packet("d".into(), 60, "name".into(), "password");
        let Err(error) = log_in(Box::new(stream), "hub:8883", &packet).await else { panic!("it was let in") };
        error
    }

    #[tokio::test]
    async fn each_return_code_has_the_kind_and_the_sentence_of_the_official_client() {
        for (code, kind, sentence) in [
            (1, ErrorKind::Protocol, "Connection Refused: unacceptable protocol version."),
            (2, ErrorKind::Protocol, "Connection Refused: identifier rejected."),
            (3, ErrorKind::ConnectionFailed, "Connection Refused: broker unavailable."),
            (4, ErrorKind::Unauthorized, "Connection Refused: bad user name or password."),
            (5, ErrorKind::Unauthorized, "Connection Refused: not authorised."),
        ] {
            let error = answered(&[0x20, 2, 0, code]).await;
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.source().unwrap().to_string(), sentence);
            assert!(error.message().starts_with("hub:8883 refused \"d\""), "{error}");
        }
        assert_eq!(answered(&[0x20, 2, 0, 6]).await.kind(), ErrorKind::Protocol, "there is no such code");
        assert_eq!(answered(&[0xd0, 0]).await.kind(), ErrorKind::Protocol, "this is no CONNACK");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_lasts_a_minute_at_most() {
        let start = tokio::time::Instant::now();
        let error = in_time(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Timeout, "Transport timeout on connection operation")
        );
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}
