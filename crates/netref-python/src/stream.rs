//! Connections over Python objects: a user's own `Stream`, or a patched one.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netref::threads::{Interest, Transport};
use netref_core::frame;
use pyo3::exceptions::{PyEOFError, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{exit, host};

/// A Python object with the methods `poll`, `read`, `write` and `close` of `netref.core.stream.Stream`.
///
/// `write` may block for as long as it likes: a thread of its own calls it, so reading never waits for writing. `read`
/// returns only what was asked for in whole, so it is asked for the rest of one frame at most, after `poll` has announced
/// something. A stream whose `poll` says so too early, or whose peer stops in the middle of a frame, holds up the thread
/// that reads beyond its deadline: that is the limit of the interface.
pub(crate) struct PyStreamTransport {
    stream: Arc<Py<PyAny>>,
    outbox: Arc<Outbox>,
}

/// Between two looks whether the transport was closed, since not every stream wakes who polls it then.
const POLL: Duration = Duration::from_millis(200);
/// The same while bytes wait to be written, which nothing wakes a thread in `poll` for.
const POLL_WHILE_FULL: Duration = Duration::from_millis(5);
/// How long closing waits for what was already handed over.
const LINGER: Duration = Duration::from_millis(100);

impl PyStreamTransport {
    pub(crate) fn new(stream: &Bound<'_, PyAny>) -> io::Result<Self> {
        let stream = Arc::new(stream.clone().unbind());
        let outbox = Arc::new(Outbox::default());
        let writer = (stream.clone(), outbox.clone());
        thread::Builder::new().name("netref-writer".into()).spawn(move || writer.1.work(&writer.0))?;
        Ok(Self { stream, outbox })
    }

    fn poll(&self, deadline: Instant) -> io::Result<bool> {
        attached(|py| {
            // What stock passes to a stream's poll.
            let limit = py.import(intern!(py, "netref.lib"))?.getattr(intern!(py, "Timeout"))?;
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = limit.call1((left.as_secs_f64(),))?;
            self.stream.bind(py).call_method1(intern!(py, "poll"), (limit,))?.is_truthy()
        })
    }
}

impl Transport for PyStreamTransport {
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        let failure = self.outbox.lock().failure()?;
        // What has arrived is read although nothing can be written any more.
        let until = if failure.is_some() { Instant::now() } else { sooner(deadline, POLL) };
        match self.poll(until) {
            Ok(true) => {}
            Ok(false) => return Err(failure.unwrap_or_else(|| io::ErrorKind::WouldBlock.into())),
            Err(error) => return end_of_stream(error),
        }
        let read = attached(|py| {
            let data = self.stream.bind(py).call_method1(intern!(py, "read"), (buffer.len(),))?;
            // Whatever is like bytes, by way of join: the buffer protocol is not in the stable ABI of Python 3.10.
            let data = PyBytes::new(py, b"").call_method1(intern!(py, "join"), ((data,),))?;
            let data = data.cast::<PyBytes>()?.as_bytes();
            let into = buffer.get_mut(..data.len());
            let into =
                into.ok_or_else(|| PyException::new_err("Stream.read returned more than was asked for"))?;
            into.copy_from_slice(data);
            Ok(data.len())
        });
        read.or_else(end_of_stream)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.put(bytes)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
        match interest {
            Interest::Write => self.outbox.wait_for_room(deadline),
            Interest::Read => self.poll(sooner(deadline, POLL)).map(drop),
            Interest::ReadOrWrite if self.outbox.has_room() => Ok(()),
            Interest::ReadOrWrite => self.poll(sooner(deadline, POLL_WHILE_FULL)).map(drop),
        }
        .or_else(|error| end_of_stream(error).map(drop))
    }

    fn has_input(&self) -> bool {
        // A thread that reads looks whether writing has failed, and often enough.
        true
    }

    fn close(&self) {
        // Nothing can be done for a process that shuts down, nor about a stream that cannot be closed.
        let _ = exit::attach(|py| {
            py.detach(|| self.outbox.close(LINGER));
            self.stream.call_method0(py, intern!(py, "close"))
        });
    }

    fn reads_exactly(&self) -> bool {
        true
    }
}

impl Drop for PyStreamTransport {
    fn drop(&mut self) {
        // Ends the writer of a transport that nobody has closed.
        self.outbox.close(Duration::ZERO);
    }
}

/// Bytes on their way to `Stream.write`.
#[derive(Default)]
struct Outbox {
    state: Mutex<OutboxState>,
    changed: Condvar,
}

#[derive(Default)]
struct OutboxState {
    bytes: Vec<u8>,
    writing: bool,
    closed: bool,
    failure: Option<String>,
}

impl OutboxState {
    /// Why writing has failed, if it has; an error if the outbox is closed.
    fn failure(&self) -> io::Result<Option<io::Error>> {
        let broken = |text: String| io::Error::new(io::ErrorKind::BrokenPipe, text);
        if self.closed {
            return Err(broken("the stream has been closed".to_owned()));
        }
        Ok(self.failure.clone().map(broken))
    }
}

impl Outbox {
    /// With as many bytes in it, there is no room for more.
    const ROOM: usize = 256 * 1024;

    /// Writes what is put in, until the outbox is closed or writing fails.
    fn work(&self, stream: &Py<PyAny>) {
        loop {
            let bytes = {
                let idle = |state: &mut OutboxState| state.bytes.is_empty() && !state.closed;
                let state = self.changed.wait_while(self.lock(), idle);
                let mut state = state.unwrap_or_else(PoisonError::into_inner);
                if state.bytes.is_empty() {
                    return;
                }
                state.writing = true;
                std::mem::take(&mut state.bytes)
            };
            let written = attached(|py| write_frames(stream.bind(py), &bytes));
            let mut state = self.lock();
            state.writing = false;
            state.failure = written.err().map(|error| error.to_string());
            self.changed.notify_all();
            if state.failure.is_some() {
                return;
            }
        }
    }

    fn put(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.checked()?;
        if state.bytes.len() >= Self::ROOM {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // All of it, so that what is in here are always whole frames.
        state.bytes.extend_from_slice(bytes);
        self.changed.notify_all();
        Ok(bytes.len())
    }

    fn has_room(&self) -> bool {
        self.lock().bytes.len() < Self::ROOM
    }

    fn wait_for_room(&self, deadline: Option<Instant>) -> io::Result<()> {
        let left = sooner(deadline, POLL).saturating_duration_since(Instant::now());
        let is_full = |state: &mut OutboxState| {
            state.bytes.len() >= Self::ROOM && !state.closed && state.failure.is_none()
        };
        let waited = self.changed.wait_timeout_while(self.checked()?, left, is_full);
        drop(waited);
        Ok(())
    }

    /// Takes nothing more. Waits at most `patience` until all is written.
    fn close(&self, patience: Duration) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        let busy =
            |state: &mut OutboxState| state.failure.is_none() && (state.writing || !state.bytes.is_empty());
        let waited = self.changed.wait_timeout_while(state, patience, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.bytes.clear();
    }

    fn checked(&self) -> io::Result<MutexGuard<'_, OutboxState>> {
        let state = self.lock();
        match state.failure()? {
            Some(failure) => Err(failure),
            None => Ok(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each frame by a call of its own, as stock does: a stream may make a message of it.
fn write_frames(stream: &Bound<'_, PyAny>, mut bytes: &[u8]) -> PyResult<()> {
    let py = stream.py();
    while !bytes.is_empty() {
        let (frame, rest) = bytes.split_at(frame::sealed_len(bytes).min(bytes.len()));
        stream.call_method1(intern!(py, "write"), (PyBytes::new(py, frame),))?;
        bytes = rest;
    }
    Ok(())
}

/// Runs Python code on behalf of a transport. What a signal handler raises goes on once the transport has returned.
pub(crate) fn attached<R>(work: impl FnOnce(Python<'_>) -> PyResult<R>) -> io::Result<R> {
    exit::attach(|py| {
        work(py).map_err(|error| {
            if error.is_instance_of::<PyException>(py) {
                let kind = if error.is_instance_of::<PyEOFError>(py) {
                    io::ErrorKind::UnexpectedEof
                } else {
                    io::ErrorKind::Other
                };
                io::Error::new(kind, error)
            } else {
                host::interrupt(error);
                io::ErrorKind::Interrupted.into()
            }
        })
    })
    .unwrap_or_else(|| Err(io::Error::other("the interpreter shuts down")))
}

/// A stream ends by raising `EOFError`.
fn end_of_stream(error: io::Error) -> io::Result<usize> {
    if error.kind() == io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) }
}

fn sooner(deadline: Option<Instant>, slice: Duration) -> Instant {
    let slice = Instant::now() + slice;
    deadline.map_or(slice, |at| at.min(slice))
}
