//! One connection: packets in and out of one stream, in batches, kept alive.
//!
//! A link is polled by its owner and spawns nothing. One poll reads until the codec starves, lets the
//! owner answer and fill one buffer, and writes that buffer: what came in together is answered together,
//! and reading never waits for writing. Dropping a poll loses nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rumqttc::mqttbytes;
use rumqttc::mqttbytes::v4::{Packet, PingReq};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until};

use super::MAX_PACKET;
use crate::error::{Error, ErrorKind, Result};

/// How much is read at once, and how much may wait to be written before the owner is asked for more.
const BUFFER: usize = 64 * 1024;

/// What the owner of a link does with packets.
pub trait Dialogue {
    /// A packet came; answers such as a PUBACK go into `output`.
    ///
    /// # Errors
    /// An error ends the link.
    fn receive(&mut self, packet: Packet, output: &mut BytesMut) -> Result<()>;

    /// Write what there is to send into `output`, up to `limit` bytes there; register for more with `context`.
    ///
    /// # Errors
    /// An error ends the link.
    fn send(&mut self, context: &mut Context<'_>, output: &mut BytesMut, limit: usize) -> Result<()>;
}

/// One MQTT connection over a stream.
pub struct Link<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    flushed: bool,
    keep_alive: Duration,
    last_sent: Instant,
    last_received: Instant,
    ping_sent: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link over a stream on which nothing has been said yet.
    pub fn new(stream: S, keep_alive: Duration) -> Self {
        let now = Instant::now();
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            flushed: true,
            keep_alive,
            last_sent: now,
            last_received: now,
            ping_sent: None,
            alarm: Box::pin(sleep_until(now + keep_alive)),
        }
    }

    /// The buffer of what is to be written next.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Carry packets until the link ends; resolves with why. Cancel-safe.
    pub async fn run(&mut self, dialogue: &mut impl Dialogue) -> Error {
        poll_fn(|context| self.poll(context, dialogue)).await
    }

    /// Wait for one packet, for the first words of a connection. Cancel-safe.
    ///
    /// # Errors
    /// `ConnectionDropped` if the peer closed, `Protocol` if it sent something else than MQTT.
    pub async fn next_packet(&mut self) -> Result<Packet> {
        poll_fn(|context| {
            loop {
                if let Some(packet) = self.decode()? {
                    return Poll::Ready(Ok(packet));
                }
                if let Poll::Ready(Err(error)) = self.poll_write(context) {
                    return Poll::Ready(Err(error));
                }
                ready!(self.poll_read(context))?;
            }
        })
        .await
    }

    /// Write what is in the buffer and close the stream; for at most this long.
    pub async fn close(mut self, limit: Duration) {
        let goodbye = async {
            let _ = self.stream.write_all(&self.output).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout(limit, goodbye).await;
    }

    fn poll(&mut self, context: &mut Context<'_>, dialogue: &mut impl Dialogue) -> Poll<Error> {
        match self.poll_once(context, dialogue) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    fn poll_once(&mut self, context: &mut Context<'_>, dialogue: &mut impl Dialogue) -> Result<()> {
        loop {
            let reading = self.poll_read(context)?;
            while let Some(packet) = self.decode()? {
                match packet {
                    Packet::PingResp => self.ping_sent = None,
                    packet => dialogue.receive(packet, &mut self.output)?,
                }
            }
            dialogue.send(context, &mut self.output, BUFFER)?;
            let had_output = !self.output.is_empty();
            let writing = self.poll_write(context)?;
            // Pending on both sides is registered for a wake-up on both; a finished write may have made room.
            if reading.is_pending() && (writing.is_pending() || !had_output) {
                break;
            }
        }
        self.poll_keep_alive(context)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.input.reserve(BUFFER);
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context)).map_err(lost)?;
        if read == 0 {
            return Poll::Ready(Err(Error::new(
                ErrorKind::ConnectionDropped,
                "the hub closed the connection",
            )));
        }
        self.last_received = Instant::now();
        Poll::Ready(Ok(()))
    }

    fn decode(&mut self) -> Result<Option<Packet>> {
        if self.input.is_empty() {
            return Ok(None);
        }
        match Packet::read(&mut self.input, MAX_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(mqttbytes::Error::InvalidConnectReturnCode(code)) => {
                Err(Error::new(ErrorKind::Protocol, format!("Unknown CONNACK rc={code}")))
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Protocol, "the hub sent a packet that can't be read")
                    .caused_by(error))
            }
        }
    }

    /// Ready when everything is written and flushed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.output.is_empty() {
            let written =
                ready!(Pin::new(&mut self.stream).poll_write(context, &self.output)).map_err(lost)?;
            if written == 0 {
                return Poll::Ready(Err(lost(io::ErrorKind::WriteZero.into())));
            }
            self.output.advance(written);
            self.flushed = false;
            self.last_sent = Instant::now();
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context)).map_err(lost)?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// After a keep-alive interval in which nothing was sent or nothing received, ask whether the hub is
    /// there; it has half an interval to answer, so that a dead link is noticed within 1.5 of them.
    fn poll_keep_alive(&mut self, context: &mut Context<'_>) -> Result<()> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let due = match self.ping_sent {
                Some(sent) => sent + self.keep_alive / 2,
                None => self.last_sent.min(self.last_received) + self.keep_alive,
            };
            if due > now {
                self.alarm.as_mut().reset(due);
                continue;
            }
            if self.ping_sent.is_some() {
                return Err(Error::new(
                    ErrorKind::ConnectionDropped,
                    "the hub did not answer within the keep-alive interval",
                ));
            }
            let encoded = PingReq.write(&mut self.output);
            encoded.map_err(|error| {
                Error::new(ErrorKind::Protocol, "a ping could not be encoded").caused_by(error)
            })?;
            self.ping_sent = Some(now);
            self.alarm.as_mut().reset(now + self.keep_alive / 2);
            let _ = self.poll_write(context)?;
        }
        Ok(())
    }
}

fn lost(error: io::Error) -> Error {
    Error::new(ErrorKind::ConnectionDropped, "the connection to the hub was lost").caused_by(error)
}
