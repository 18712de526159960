//! What a connection runs over, as `netref.core.transport` has decided.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use netref::threads::{PipeTransport, SocketTransport, Transport};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::stream::PyStreamTransport;
use crate::tls::TlsTransport;

/// Opens a transport, from one of
///
/// - `("socket", fd)`: a socket that nobody else reads or writes,
/// - `("green", fd, hub)`: the same, for a program that waits in greenlets of that `netref.core.green.Hub`,
/// - `("pipes", fd, fd)`: something to read from and something to write to,
/// - `("tls", fd, sock)`: an `ssl.SSLSocket`,
/// - `("stream", stream)`: any `Stream`.
///
/// Descriptors are duplicated.
pub(crate) fn open(over: &Bound<'_, PyTuple>) -> PyResult<Box<dyn Transport>> {
    let kind: String = over.get_item(0)?.extract()?;
    Ok(match kind.as_str() {
        "socket" => Box::new(SocketTransport::exclusive(duplicate(over, 1)?)?),
        // In the mode that gevent has put it in.
        "green" => Box::new(SocketTransport::new(duplicate(over, 1)?)),
        "pipes" => Box::new(PipeTransport::new(duplicate(over, 1)?, duplicate(over, 2)?)?),
        "tls" => Box::new(TlsTransport::new(&over.get_item(2)?, duplicate(over, 1)?)?),
        "stream" => Box::new(PyStreamTransport::new(&over.get_item(1)?)?),
        _ => return Err(PyValueError::new_err(format!("there is no transport {kind:?}"))),
    })
}

fn duplicate(over: &Bound<'_, PyTuple>, index: usize) -> PyResult<OwnedFd> {
    let fd: RawFd = over.get_item(index)?.extract()?;
    if fd < 0 {
        return Err(PyValueError::new_err("the file is closed"));
    }
    // SAFETY: it is not -1, and the caller's file is open while this runs, since the caller holds the stream that owns it.
    #[expect(unsafe_code, reason = "a file descriptor comes from Python as a number")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(borrowed.try_clone_to_owned()?)
}
