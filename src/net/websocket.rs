//! Bytes in the frames of a WebSocket (RFC 6455): each write is a binary message, and reading joins messages of any
//! size, as MQTT asks for (MQTT 3.1.1, chapter 6). Pings are answered and closes confirmed while reading.
//!
//! One adapter for both sides: clients get theirs from `upgrade`, the local hub from its own HTTP endpoint.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Larger than any message of either side: several packets of 256 KiB may come as one.
const LARGEST_MESSAGE: usize = 4 << 20;
/// What is read at once, held as long as the connection lives.
const READ_BUFFER: usize = 16 * 1024;

/// A stream of bytes over a WebSocket.
#[derive(Debug)]
pub struct WebSocketStream<S> {
    socket: tokio_tungstenite::WebSocketStream<S>,
    /// What is left of the last message.
    input: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    /// The server's side of a stream whose upgrade it has answered.
    pub async fn server(stream: S) -> Self {
        let socket =
            tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, Some(config()));
        Self::new(socket.await)
    }

    pub(super) fn new(socket: tokio_tungstenite::WebSocketStream<S>) -> Self {
        Self { socket, input: Bytes::new() }
    }

    fn socket(&mut self) -> Pin<&mut tokio_tungstenite::WebSocketStream<S>> {
        Pin::new(&mut self.socket)
    }
}

/// Messages are written at once: who writes has batched already.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A message may be empty, and nothing read would mean the end.
        while self.input.is_empty() {
            match ready!(self.socket().poll_next(context)).transpose().map_err(to_io)? {
                Some(Message::Binary(bytes)) => self.input = bytes,
                Some(Message::Text(_)) => {
                    let text = "a text message came in a WebSocket for bytes";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // The answer is sent by the next poll. After a close that poll tells the end, too.
                Some(_) => {}
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input[..length]);
        self.input.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.socket().poll_ready(context)).map_err(to_io)?;
        self.socket().start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(to_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(context).map_err(to_io)
    }

    /// Say that nothing more comes, without waiting for the peer to say the same, and end the stream below.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.socket().poll_close(context)) {
            Ok(()) | Err(Error::AlreadyClosed) => Pin::new(self.socket.get_mut()).poll_shutdown(context),
            Err(error) => Poll::Ready(Err(to_io(error))),
        }
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
