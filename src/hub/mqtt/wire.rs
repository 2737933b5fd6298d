//! Packets in and out of a stream: reads gather many packets, answers go out with one write.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, Publish, SubAck, SubscribeReasonCode};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::Ending;

/// Room for one read.
const READ_SIZE: usize = 64 * 1024;
/// A message may have 256 KiB; topic and packet headers come on top.
const LARGEST_PACKET: usize = 256 * 1024 + 64 * 1024 + 8;
/// A peer that does not take its last bytes in this time has to do without them.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// The reading half.
pub(super) struct Incoming<S> {
    reader: ReadHalf<S>,
    buffer: BytesMut,
    refused_protocol_level: bool,
}

impl<S: AsyncRead + AsyncWrite> Incoming<S> {
    pub(super) fn new(reader: ReadHalf<S>, first: BytesMut) -> Self {
        Self { reader, buffer: first, refused_protocol_level: false }
    }

    /// Whether the last error was a CONNECT of another version of MQTT.
    pub(super) fn refused_protocol_level(&self) -> bool {
        self.refused_protocol_level
    }

    /// Wait for the next packet.
    pub(super) async fn packet(&mut self) -> Result<Packet, Ending> {
        loop {
            if let Some(packet) = self.next_packet()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Wait for more bytes. Cancel safe.
    pub(super) async fn fill(&mut self) -> Result<(), Ending> {
        self.buffer.reserve(READ_SIZE);
        match self.reader.read_buf(&mut self.buffer).await? {
            0 => Err(Ending::Lost(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// The next packet, if all of it is here.
    pub(super) fn next_packet(&mut self) -> Result<Option<Packet>, Ending> {
        if self.buffer.first().is_some_and(|first| !has_valid_flags(*first)) {
            return Err(Ending::closed("it sent a packet with reserved flags"));
        }
        match Packet::read(&mut self.buffer, LARGEST_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => {
                self.refused_protocol_level = matches!(error, Error::InvalidProtocolLevel(_));
                Err(Ending::Closed(format!("it sent a malformed packet ({error})")))
            }
        }
    }
}

/// The flags that MQTT 3.1.1 reserves (section 2.2.2), which the codec does not look at.
fn has_valid_flags(first_byte: u8) -> bool {
    match first_byte >> 4 {
        3 => true,
        kind @ (6 | 8 | 10) => first_byte == kind << 4 | 2,
        kind => first_byte == kind << 4,
    }
}

/// The writing half. Packets are encoded into one buffer; `flush` writes them.
pub(super) struct Outgoing<S> {
    writer: WriteHalf<S>,
    buffer: BytesMut,
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite> Outgoing<S> {
    pub(super) fn new(writer: WriteHalf<S>) -> Self {
        Self { writer, buffer: BytesMut::new(), unflushed: false }
    }

    /// Whether bytes wait for `flush`.
    pub(super) fn is_waiting(&self) -> bool {
        self.unflushed || !self.buffer.is_empty()
    }

    /// Whether the peer should take some bytes before more are made for it.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= LARGEST_PACKET
    }

    /// Write and flush all that waits. Cancel safe.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            self.unflushed = true;
            if self.writer.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.writer.flush().await?;
        self.unflushed = false;
        Ok(())
    }

    /// Forget what waits.
    pub(super) fn discard(&mut self) {
        self.buffer.clear();
        self.unflushed = false;
    }

    /// Send what waits and say goodbye.
    pub(super) async fn close(&mut self) {
        let goodbye = async {
            self.flush().await?;
            self.writer.shutdown().await
        };
        // Whether the peer still listens is its own affair.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, goodbye).await;
    }

    pub(super) fn connack(&mut self, code: ConnectReturnCode, session_present: bool) {
        self.write(&Packet::ConnAck(ConnAck { session_present, code }));
    }

    pub(super) fn puback(&mut self, packet_id: u16) {
        self.buffer.put_slice(&[0x40, 2]);
        self.buffer.put_u16(packet_id);
    }

    /// With what each filter was granted; none if it was refused.
    pub(super) fn suback(&mut self, packet_id: u16, granted: impl Iterator<Item = Option<QoS>>) {
        let code =
            |granted: Option<QoS>| granted.map_or(SubscribeReasonCode::Failure, SubscribeReasonCode::Success);
        let return_codes = granted.map(code).collect();
        self.write(&Packet::SubAck(SubAck { pkid: packet_id, return_codes }));
    }

    pub(super) fn unsuback(&mut self, packet_id: u16) {
        self.buffer.put_slice(&[0xb0, 2]);
        self.buffer.put_u16(packet_id);
    }

    pub(super) fn pingresp(&mut self) {
        self.buffer.put_slice(&[0xd0, 0]);
    }

    /// A message at `QoS` 0.
    pub(super) fn publish(&mut self, topic: String, payload: Bytes) {
        self.write(&Packet::Publish(Publish::from_bytes(topic, QoS::AtMostOnce, payload)));
    }

    /// A message at `QoS` 1.
    pub(super) fn publish_acknowledged(
        &mut self,
        topic: String,
        payload: Bytes,
        packet_id: u16,
        again: bool,
    ) {
        let mut publish = Publish::from_bytes(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.dup) = (packet_id, again);
        self.write(&Packet::Publish(publish));
    }

    fn write(&mut self, packet: &Packet) {
        // Encoding fails for packets above the limit only, and the hub makes none.
        let _ = packet.write(&mut self.buffer, usize::MAX);
    }
}
