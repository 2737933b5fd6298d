//! Writes that travel together.
//!
//! fe2o3-amqp flushes after each frame, and each would be a TLS record and a packet of its own. Here a flush waits for
//! nothing: a task writes what has come together when it is its turn. So a busy connection says much at once, and an
//! idle one says what there is without delay.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, join, split};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Stream;

/// In bytes: what may wait while the last batch is on its way. Frames of AMQP are no larger.
const LARGEST_BATCH: usize = 64 << 10;

/// What is written when nothing else has been for so long.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// Since the last write.
    pub after: Duration,
    /// What says nothing, where a batch may end.
    pub bytes: &'static [u8],
}

/// Tells when nobody uses a stream any more, or it takes nothing more.
#[derive(Clone, Debug)]
pub struct End(watch::Receiver<()>);

impl End {
    /// Wait for it.
    pub async fn reached(mut self) {
        // It never changes; whoever would change it goes.
        let _ = self.0.changed().await;
    }
}

/// The same stream, whose writes are taken at once and leave in batches. One that fails is told to whoever reads, or writes
/// after it. Has to be called in a runtime.
pub fn batched(stream: impl Stream + 'static, keep_alive: Option<KeepAlive>) -> (impl Stream, End) {
    let (reader, writer) = split(stream);
    let (near, far) = duplex(LARGEST_BATCH);
    let (writing, end) = watch::channel(());
    tokio::spawn(async move {
        // What fails is told by `far`, which has gone then.
        let _ = write(far, writer, keep_alive).await;
        drop(writing);
    });
    (join(reader, near), End(end))
}

/// Write what comes until nobody writes any more. Whoever does gets an error once this has ended.
async fn write(
    mut from: DuplexStream,
    mut to: impl AsyncWrite + Unpin,
    keep_alive: Option<KeepAlive>,
) -> io::Result<()> {
    let mut batch = BytesMut::with_capacity(LARGEST_BATCH);
    while fill(&mut batch, &mut from, keep_alive).await? {
        to.write_all_buf(&mut batch).await?;
        to.flush().await?;
        batch.reserve(LARGEST_BATCH);
    }
    to.shutdown().await
}

/// Whether there is something to write.
async fn fill(
    batch: &mut BytesMut,
    from: &mut DuplexStream,
    keep_alive: Option<KeepAlive>,
) -> io::Result<bool> {
    let Some(KeepAlive { after, bytes }) = keep_alive else { return Ok(from.read_buf(batch).await? > 0) };
    if let Ok(size) = timeout(after, from.read_buf(batch)).await {
        return Ok(size? > 0);
    }
    batch.extend_from_slice(bytes);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, ReadBuf};
    use tokio::time::sleep;

    use super::*;

    /// Remembers what was written at once, and is a pipe that has no end until it breaks.
    #[derive(Clone, Debug, Default)]
    struct Recorder {
        pieces: Arc<Mutex<Vec<Vec<u8>>>>,
        is_broken: bool,
    }

    impl AsyncRead for Recorder {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Recorder {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.is_broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.pieces.lock().unwrap().push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.pieces.lock().unwrap().push(b"the end".to_vec());
            Poll::Ready(Ok(()))
        }
    }

    async fn turn() {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_written_in_one_turn_leaves_in_one_piece() {
        let recorder = Recorder::default();
        let (mut stream, end) = batched(recorder.clone(), None);
        for text in [&b"a"[..], b"b", b"c"] {
            stream.write_all(text).await.unwrap();
            stream.flush().await.unwrap();
        }
        turn().await;
        stream.write_all(b"d").await.unwrap();
        turn().await;
        stream.write_all(b"e").await.unwrap();
        drop(stream);
        end.reached().await;
        assert_eq!(*recorder.pieces.lock().unwrap(), [&b"abc"[..], b"d", b"e", b"the end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_on_which_nothing_is_said_is_kept_alive() {
        let recorder = Recorder::default();
        let keep_alive = KeepAlive { after: Duration::from_secs(60), bytes: b"." };
        let (mut stream, _) = batched(recorder.clone(), Some(keep_alive));
        sleep(Duration::from_secs(125)).await;
        stream.write_all(b"a").await.unwrap();
        sleep(Duration::from_secs(59)).await;
        assert_eq!(*recorder.pieces.lock().unwrap(), [b".", b".", b"a"]);
    }

    #[tokio::test]
    async fn who_writes_to_a_broken_stream_is_told() {
        let (mut stream, end) = batched(Recorder { is_broken: true, ..Recorder::default() }, None);
        stream.write_all(b"a").await.unwrap();
        end.reached().await;
        assert_eq!(stream.write_all(b"b").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
