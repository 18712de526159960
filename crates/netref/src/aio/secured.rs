//! What comes of a [`Handshake`](crate::Handshake), as tokio reads and writes it.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::coop;

use crate::threads::Transport;

/// A transport's half for the task that reads, or for the one that writes.
pub(super) struct Half(Arc<Waited>);

struct Waited {
    transport: Box<dyn Transport>,
    /// The transport's descriptor once more, of whatever kind it is: for waiting until it is ready, and for nothing else.
    readiness: UnixStream,
}

/// Both halves of a transport.
///
/// # Errors
/// If there is nothing to wait for, or the runtime cannot.
pub(super) fn split(transport: Box<dyn Transport>) -> io::Result<(Half, Half)> {
    let Some(descriptor) = transport.descriptor() else {
        let text = "this handshake's transport has no descriptor, for which tokio could wait";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    };
    let readiness = StdStream::from(descriptor.try_clone_to_owned()?);
    readiness.set_nonblocking(true)?;
    let readiness = UnixStream::from_std(readiness)?;
    let waited = Arc::new(Waited { transport, readiness });
    Ok((Half(waited.clone()), Half(waited)))
}

impl AsyncRead for Half {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Waited { transport, readiness } = &*self.0;
        let space = buffer.initialize_unfilled();
        let mut read = || uninterrupted(|| transport.receive(space, Some(Instant::now())));
        let count = loop {
            let is_ready = readiness.poll_read_ready(context)?.is_ready();
            let outcome = if is_ready {
                readiness.try_io(Interest::READABLE, &mut read)
            } else if coop::has_budget_remaining() {
                // The socket has nothing, but the transport may have read what followed the handshake.
                read()
            } else {
                return Poll::Pending;
            };
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_ready => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                outcome => break outcome?,
            }
        };
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Half {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Waited { transport, readiness } = &*self.0;
        loop {
            ready!(readiness.poll_write_ready(context))?;
            let write = || uninterrupted(|| transport.write(bytes));
            match readiness.try_io(Interest::WRITABLE, write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.transport.close();
        Poll::Ready(Ok(()))
    }
}

fn uninterrupted(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
