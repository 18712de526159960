//! Connections over `ssl.SSLSocket`.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use netref::threads::{Interest, SocketTransport, Transport};
use netref_core::frame;
use netref_core::limits::Limits;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::stream::attached;

/// A TLS socket of Python's. It is never asked to block: waiting is done on the descriptor, so reading does not wait for
/// writing, and no two threads are inside one TLS session, which is not made for that.
pub(crate) struct TlsTransport {
    sock: Py<PyAny>,
    /// The descriptor underneath, to wait on and to shut down.
    below: SocketTransport,
    /// Held by the thread that is inside the session. Taken before attaching to the interpreter, never after.
    session: Mutex<()>,
    /// Bytes of the frame under way that are still to be sent.
    left: AtomicUsize,
}

/// What a TLS record holds at most, so that no room is made for more.
const RECORD: usize = 16 * 1024;

/// What a TLS session says.
enum Attempt {
    Done(usize),
    /// Not before there is something to read on the descriptor, or room to write.
    WouldBlock(Interest),
}

impl TlsTransport {
    /// Takes over a connected `ssl.SSLSocket`, with a duplicate of its descriptor.
    pub(crate) fn new(sock: &Bound<'_, PyAny>, below: OwnedFd) -> PyResult<Self> {
        sock.call_method1(intern!(sock.py(), "setblocking"), (false,))?;
        Ok(Self {
            sock: sock.clone().unbind(),
            below: SocketTransport::new(below),
            session: Mutex::new(()),
            left: AtomicUsize::new(0),
        })
    }

    /// Does something inside the session.
    fn inside(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<usize> + Send) -> io::Result<Attempt> {
        attached(|py| {
            Ok(py.detach(|| {
                let _session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                attached(|py| attempt(py, work(self.sock.bind(py))))
            }))
        })?
    }

    /// True if the session has bytes that the descriptor knows nothing of.
    fn holds_input(&self) -> io::Result<bool> {
        let pending = self.inside(|sock| sock.call_method0(intern!(sock.py(), "pending"))?.extract())?;
        Ok(matches!(pending, Attempt::Done(count) if count > 0))
    }

    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Attempt> {
        self.inside(|sock| {
            let data = sock.call_method1(intern!(sock.py(), "recv"), (buffer.len().min(RECORD),))?;
            let data = data.cast::<PyBytes>()?.as_bytes();
            buffer[..data.len()].copy_from_slice(data);
            Ok(data.len())
        })
    }
}

fn attempt(py: Python<'_>, result: PyResult<usize>) -> PyResult<Attempt> {
    let error = match result {
        Ok(count) => return Ok(Attempt::Done(count)),
        Err(error) => error,
    };
    let ssl = py.import(intern!(py, "ssl"))?;
    if error.is_instance(py, &ssl.getattr(intern!(py, "SSLWantReadError"))?) {
        Ok(Attempt::WouldBlock(Interest::Read))
    } else if error.is_instance(py, &ssl.getattr(intern!(py, "SSLWantWriteError"))?) {
        Ok(Attempt::WouldBlock(Interest::Write))
    } else {
        Err(error)
    }
}

impl Transport for TlsTransport {
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        // First the session, which may hold bytes that the descriptor knows nothing of.
        let interest = match self.receive_now(buffer)? {
            Attempt::Done(count) => return Ok(count),
            Attempt::WouldBlock(interest) => interest,
        };
        self.below.wait(interest, deadline)?;
        match self.receive_now(buffer)? {
            Attempt::Done(count) => Ok(count),
            Attempt::WouldBlock(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // No record has bytes of two frames: stock waits on the descriptor, though the session may hold the beginning of the
        // next frame already. And a send that is tried again must be of the same bytes: this cuts them at the same place.
        let left = match self.left.load(Ordering::Relaxed) {
            0 => frame::sealed_len(bytes),
            left => left,
        };
        let bytes = &bytes[..bytes.len().min(left).min(RECORD)];
        let sent = self.inside(|sock| {
            let py = sock.py();
            sock.call_method1(intern!(py, "send"), (PyBytes::new(py, bytes),))?.extract()
        });
        match sent? {
            Attempt::Done(count) => {
                self.left.store(left - count, Ordering::Relaxed);
                Ok(count)
            }
            Attempt::WouldBlock(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
        if interest != Interest::Write && self.holds_input()? {
            return Ok(());
        }
        self.below.wait(interest, deadline)
    }

    fn has_input(&self) -> bool {
        self.below.has_input() || self.holds_input().unwrap_or(true)
    }

    fn keep_alive(&self, limits: &Limits) {
        self.below.keep_alive(limits);
    }

    fn close(&self) {
        self.below.close();
    }

    fn is_local(&self) -> bool {
        self.below.is_local()
    }
}
