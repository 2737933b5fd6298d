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
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Disconnect, Packet, PingReq, PubAck, Publish};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until};

use super::MAX_PACKET;
use crate::error::{Error, ErrorKind, Result};

/// How much is read at once while much comes, and how much may wait to be written before the owner is asked for more.
const BUFFER: usize = 64 * 1024;
/// How long a closing connection may take to say goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// How much is read at once while little comes: a program may have a thousand connections, most of them idle.
const SMALL_BUFFER: usize = 4 * 1024;

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
    /// How much to read at once.
    reading: usize,
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
            reading: SMALL_BUFFER,
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

    /// Write what is in the buffer and a DISCONNECT, and close the stream; within a second.
    pub async fn disconnect(mut self) {
        let goodbye = async {
            // A packet without fields is always encoded.
            let _ = Disconnect.write(&mut self.output);
            let _ = self.stream.write_all(&self.output).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout(CLOSE_TIME, goodbye).await;
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
        self.release_buffers();
        self.poll_keep_alive(context)
    }

    /// Nothing comes at this moment: what is empty needs no memory.
    fn release_buffers(&mut self) {
        self.reading = SMALL_BUFFER;
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.input.reserve(self.reading);
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context)).map_err(lost)?;
        if read == room {
            self.reading = (self.reading * 2).min(BUFFER);
        }
        if read == 0 {
            return Poll::Ready(Err(closed()));
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

/// Write the PUBACK that a message asks for.
///
/// # Errors
/// `Protocol` if it can't be encoded.
pub fn acknowledge(publish: &Publish, output: &mut BytesMut) -> Result<()> {
    if publish.qos == QoS::AtMostOnce {
        return Ok(());
    }
    let encoded = PubAck::new(publish.pkid).write(output);
    let malformed =
        |error| Error::new(ErrorKind::Protocol, "an acknowledgement could not be encoded").caused_by(error);
    encoded.map(drop).map_err(malformed)
}

fn closed() -> Error {
    Error::new(ErrorKind::ConnectionDropped, "the hub closed the connection")
}

fn lost(error: io::Error) -> Error {
    // Without a farewell of TLS, as when its process was killed: what rustls says of it is for its own users.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return closed();
    }
    Error::new(ErrorKind::ConnectionDropped, "the connection to the hub was lost").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tokio::io::{DuplexStream, duplex};

    const KEEP_ALIVE: Duration = Duration::from_secs(60);

    /// Sends what it was given, remembers what came.
    #[derive(Default)]
    struct Script {
        to_send: BytesMut,
        received: Vec<Packet>,
        enough: usize,
    }

    impl Dialogue for Script {
        fn receive(&mut self, packet: Packet, _output: &mut BytesMut) -> Result<()> {
            self.received.push(packet);
            if self.received.len() == self.enough {
                return Err(Error::new(ErrorKind::Cancelled, "enough"));
            }
            Ok(())
        }

        fn send(&mut self, _context: &mut Context<'_>, output: &mut BytesMut, _limit: usize) -> Result<()> {
            output.extend_from_slice(&self.to_send.split());
            Ok(())
        }
    }

    fn link(buffer: usize) -> (Link<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(buffer);
        (Link::new(ours, KEEP_ALIVE), theirs)
    }

    fn publish(size: usize) -> BytesMut {
        let mut bytes = BytesMut::new();
        Publish::from_bytes("t", QoS::AtMostOnce, Bytes::from(vec![7; size])).write(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_link_is_asked_after_a_keep_alive_and_lost_after_one_and_a_half() {
        let (mut link, mut hub) = link(64);
        let start = Instant::now();
        let hub = async {
            let mut ping = [0; 2];
            hub.read_exact(&mut ping).await.unwrap();
            assert_eq!((ping, start.elapsed()), ([0xC0, 0], KEEP_ALIVE));
            hub
        };
        let mut script = Script::default();
        let (error, _hub) = tokio::join!(link.run(&mut script), hub);
        assert_eq!(error.kind(), ErrorKind::ConnectionDropped);
        assert_eq!(start.elapsed(), KEEP_ALIVE * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_ping_keeps_the_link() {
        let (mut link, mut hub) = link(64);
        let start = Instant::now();
        let hub = async {
            for _ in 0..3 {
                let mut ping = [0; 2];
                hub.read_exact(&mut ping).await.unwrap();
                hub.write_all(&[0xD0, 0]).await.unwrap();
            }
            drop(hub);
        };
        let mut script = Script::default();
        let (error, ()) = tokio::join!(link.run(&mut script), hub);
        assert_eq!(error.message(), "the hub closed the connection");
        assert_eq!(start.elapsed(), KEEP_ALIVE * 3);
    }

    #[tokio::test]
    async fn packets_cut_anywhere_are_put_together() {
        let (mut link, mut hub) = link(64);
        let bytes = [publish(10), publish(0)].concat();
        let hub = async {
            for byte in bytes.chunks(1) {
                hub.write_all(byte).await.unwrap();
            }
            hub
        };
        let mut script = Script { enough: 2, ..Script::default() };
        let (error, _hub) = tokio::join!(link.run(&mut script), hub);
        assert_eq!(error.message(), "enough");
        assert_eq!(script.received.len(), 2);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_does_not_stop_reading() {
        let (mut link, mut hub) = link(1024);
        let mut script = Script { to_send: publish(100_000), enough: 50, ..Script::default() };
        let hub = async {
            for _ in 0..50 {
                hub.write_all(&publish(1000)).await.unwrap();
            }
            hub
        };
        let (error, _hub) = tokio::join!(link.run(&mut script), hub);
        assert_eq!(error.message(), "enough");
    }

    #[tokio::test]
    async fn a_burst_leaves_no_buffers_behind() {
        let (mut link, mut hub) = link(BUFFER);
        let mut script = Script { to_send: publish(100_000), ..Script::default() };
        let hub = async {
            hub.write_all(&publish(100_000)).await.unwrap();
            hub.read_exact(&mut vec![0; publish(100_000).len()]).await.unwrap();
            // Whatever came after it is read before this answer can be.
            hub.write_all(&publish(0)).await.unwrap();
            hub
        };
        let idle = poll_fn(|context| {
            let _ = link.poll(context, &mut script);
            if script.received.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        let _hub = tokio::join!(idle, hub);
        assert_eq!((link.input.capacity(), link.output.capacity(), link.reading), (0, 0, SMALL_BUFFER));
    }

    #[tokio::test]
    async fn what_is_no_mqtt_ends_the_link() {
        let (mut link, mut hub) = link(64);
        hub.write_all(&[0x00, 0x01, 0x00]).await.unwrap();
        assert_eq!(link.next_packet().await.unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn a_hub_that_is_killed_has_closed_the_connection() {
        let killed = io::Error::new(io::ErrorKind::UnexpectedEof, "no close_notify: https://docs.rs/rustls/");
        assert_eq!(lost(killed).to_string(), "the hub closed the connection");
    }
}
