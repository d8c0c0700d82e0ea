//! A stream of Tokio's for hyper that ends a connection whose client takes too long.
//!
//! hyper's own limit for headers also holds between two requests. Kept connections of clients that ask every ten
//! seconds would be closed just when the next request is on its way, so the limits are kept here, each its own.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// The number of bytes that one read takes at most.
const CHUNK: usize = 4 << 10;

/// A stream with a limit for each phase of its connection. When the limit is over, reads and writes fail.
pub(crate) struct Limited<S> {
    stream: S,
    phase: Phase,
    deadline: Instant,
    // Set to the deadline when a read or write waits.
    sleep: Pin<Box<Sleep>>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For the first request, or for the rest of one.
    Request,
    /// For the client to take an answer.
    Answer,
    /// For a further request.
    Idle,
}

impl Phase {
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Request => 10,
            Self::Answer => 30,
            // Longer than what keeps connections usually waits between two uses of one, a minute.
            Self::Idle => 75,
        })
    }
}

impl<S> Limited<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (phase, deadline) = (Phase::Request, Instant::now() + Phase::Request.limit());
        Self { stream, phase, deadline, sleep: Box::pin(sleep_until(deadline)) }
    }

    fn enter(&mut self, phase: Phase) {
        if phase != self.phase {
            self.phase = phase;
            self.deadline = Instant::now() + phase.limit();
        }
    }

    /// Waits for the deadline, in place of a stream that is not ready.
    fn poll_deadline<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.sleep.deadline() != self.deadline {
            self.sleep.as_mut().reset(self.deadline);
        }
        self.sleep.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Follows a write of this length.
    fn wrote(
        &mut self,
        length: usize,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                // The rest of a part is written next, under the same limit.
                self.enter(if count < length { Phase::Answer } else { Phase::Idle });
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.enter(Phase::Answer);
                self.poll_deadline(context)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Read for Limited<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut unfilled: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut bytes = [MaybeUninit::uninit(); CHUNK];
        let room = unfilled.remaining().min(CHUNK);
        let mut read = ReadBuf::uninit(&mut bytes[..room]);
        match Pin::new(&mut this.stream).poll_read(context, &mut read) {
            Poll::Ready(Ok(())) => {
                // A client that goes on sending does not prolong its answer. The beginning of a request that arrived
                // with the one before it counts as idle, which a client may be anyway.
                if !read.filled().is_empty() && this.phase == Phase::Idle {
                    this.enter(Phase::Request);
                }
                unfilled.put_slice(read.filled());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_deadline(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> Write for Limited<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(bytes.len(), written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.wrote(parts.iter().map(|part| part.len()).sum(), written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
