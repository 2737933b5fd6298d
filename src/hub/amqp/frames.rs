//! Frames as strict readers want them. A performative may leave out its last fields where they are null (AMQP 1.0, 1.4), and
//! fe2o3-amqp does; the official client of Event Hubs looks for each of them at its place.
//!
//! Here it is also seen whether the peer reads: who has much to send waits until there is room.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Size, data offset, type and channel.
const HEADER: usize = 8;
const DATA_OFFSET: u8 = 2;
const AMQP_TYPE: u8 = 0;
/// What a performative begins with: a descriptor that is a small ulong.
const DESCRIPTOR: [u8; 2] = [0x00, 0x53];
const EMPTY_LIST: u8 = 0x45;
const SMALL_LIST: u8 = 0xc0;
const LARGE_LIST: u8 = 0xd0;
const NULL: u8 = 0x40;

/// How many fields each performative has, from `open` (0x10) to `close` (0x18).
const FIELDS: [u32; 9] = [10, 8, 14, 11, 11, 6, 3, 1, 1];

/// A stream whose writes are whole frames, each with all fields.
#[derive(Debug)]
pub(super) struct Frames<S> {
    stream: S,
    /// The beginning of a frame that is not whole yet.
    unfinished: BytesMut,
    /// What is to be written before anything else is taken.
    finished: BytesMut,
    is_full: watch::Sender<bool>,
}

/// Whether the peer takes what is sent. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Room(watch::Receiver<bool>);

impl Room {
    /// Resolve when it does. Cancel safe.
    pub(super) async fn available(&mut self) {
        // It fails only when the connection is gone, which whoever sends then learns.
        let _ = self.0.wait_for(|is_full| !is_full).await;
    }
}

impl<S: AsyncWrite + Unpin> Frames<S> {
    pub(super) fn new(stream: S) -> (Self, Room) {
        let (is_full, room) = watch::channel(false);
        (Self { stream, unfinished: BytesMut::new(), finished: BytesMut::new(), is_full }, Room(room))
    }

    /// Write what is finished.
    fn poll_finished(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.finished.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.finished);
            self.is_full
                .send_if_modified(|is_full| std::mem::replace(is_full, written.is_pending()) != *is_full);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.finished.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_finished(context))?;
        let this = &mut *self;
        this.unfinished.extend_from_slice(bytes);
        complete(&mut this.unfinished, &mut this.finished);
        // The rest is for the next call, or for a flush.
        if let Poll::Ready(Err(error)) = self.poll_finished(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_finished(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_finished(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// Move all frames that are whole from one buffer to another, with all fields of their performatives.
pub(super) fn complete(from: &mut BytesMut, to: &mut BytesMut) {
    while from.len() >= HEADER {
        // A protocol header has no size, and is as long as that of a frame.
        let size = if from.starts_with(b"AMQP") { HEADER } else { (&from[..]).get_u32() as usize };
        if from.len() < size {
            return;
        }
        let frame = from.split_to(size).freeze();
        if write(&frame, to).is_none() {
            to.extend_from_slice(&frame);
        }
    }
}

/// Write a frame whose performative lacks fields; none if this one lacks nothing.
fn write(frame: &Bytes, to: &mut BytesMut) -> Option<()> {
    let (header, mut rest) = frame.split_at_checked(HEADER)?;
    if header[4..6] != [DATA_OFFSET, AMQP_TYPE] || rest.get(..2)? != DESCRIPTOR {
        return None;
    }
    rest.advance(DESCRIPTOR.len());
    let code = rest.try_get_u8().ok()?;
    let all = *FIELDS.get(usize::from(code.checked_sub(0x10)?))?;
    let (count, bytes) = match rest.try_get_u8().ok()? {
        EMPTY_LIST => (0, 0),
        SMALL_LIST => {
            let bytes = usize::from(rest.try_get_u8().ok()?).checked_sub(1)?;
            (u32::from(rest.try_get_u8().ok()?), bytes)
        }
        LARGE_LIST => {
            let bytes = (rest.try_get_u32().ok()? as usize).checked_sub(4)?;
            (rest.try_get_u32().ok()?, bytes)
        }
        _ => return None,
    };
    let missing = all.checked_sub(count).filter(|missing| *missing > 0)? as usize;
    let (fields, payload) = rest.split_at_checked(bytes)?;
    let list = u32::try_from(4 + fields.len() + missing).ok()?;
    let size = HEADER + DESCRIPTOR.len() + 2 + 4 + list as usize + payload.len();
    to.put_u32(u32::try_from(size).ok()?);
    to.put_slice(&header[4..]);
    to.put_slice(&DESCRIPTOR);
    to.put_slice(&[code, LARGE_LIST]);
    to.put_u32(list);
    to.put_u32(all);
    to.put_slice(fields);
    to.put_bytes(NULL, missing);
    to.put_slice(payload);
    Some(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn completed(bytes: &[u8]) -> Vec<u8> {
        let (mut from, mut to) = (BytesMut::from(bytes), BytesMut::new());
        complete(&mut from, &mut to);
        assert!(from.is_empty());
        to.to_vec()
    }

    #[test]
    fn fields_that_were_left_out_are_null() {
        // detach, handle 1, closed.
        let detach = [0, 0, 0, 16, 2, 0, 0, 7, 0, 0x53, 0x16, 0xc0, 4, 2, 0x52, 1];
        let detach = [&detach[..], &[0x41]].concat();
        let detach = [&[0, 0, 0, 17], &detach[4..]].concat();
        let whole =
            [0, 0, 0, 24, 2, 0, 0, 7, 0, 0x53, 0x16, 0xd0, 0, 0, 0, 8, 0, 0, 0, 3, 0x52, 1, 0x41, 0x40];
        assert_eq!(completed(&detach), whole);
        assert_eq!(completed(&whole), whole);
        let end = [0, 0, 0, 12, 2, 0, 0, 7, 0, 0x53, 0x17, 0x45];
        let whole = [0, 0, 0, 21, 2, 0, 0, 7, 0, 0x53, 0x17, 0xd0, 0, 0, 0, 5, 0, 0, 0, 1, 0x40];
        assert_eq!(completed(&end), whole);
    }

    #[test]
    fn what_is_no_performative_stays_as_it_is() {
        let header = *b"AMQP\x00\x01\x00\x00";
        let empty = [0, 0, 0, 8, 2, 0, 0, 0];
        let sasl = [0, 0, 0, 16, 2, 1, 0, 0, 0, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0];
        let all = [&header[..], &empty, &sasl].concat();
        assert_eq!(completed(&all), all);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_leaves_no_room() {
        let (near, mut far) = tokio::io::duplex(8);
        let (mut frames, mut room) = Frames::new(near);
        let empty = [0, 0, 0, 8, 2, 0, 0, 0];
        frames.write_all(&empty.repeat(2)).await.unwrap();
        let soon = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, frames.flush()).await.is_err());
        assert!(tokio::time::timeout(soon, room.available()).await.is_err());
        let mut read = [0; 16];
        let (flushed, read_all, ()) =
            tokio::join!(frames.flush(), far.read_exact(&mut read), room.available());
        flushed.unwrap();
        read_all.unwrap();
        assert_eq!(read[..], empty.repeat(2));
    }

    #[test]
    fn a_frame_that_is_not_whole_waits_for_its_rest() {
        let (mut from, mut to) = (BytesMut::from(&[0, 0, 0, 9, 2, 0, 0, 0][..]), BytesMut::new());
        complete(&mut from, &mut to);
        assert_eq!((from.len(), to.len()), (8, 0));
    }
}
