//! Errors of the driver and the wire as Python exceptions, and Python exceptions as errors of the object world.

use std::time::Duration;

use netref::threads::{CallError, Closed, EndReason, StartError};
use netref_core::brine::{DecodeError, EncodeError};
use netref_core::refs::TooManyExports;
use netref_core::request::BadRequest;
use pyo3::exceptions::{
    PyMemoryError, PyOSError, PyOverflowError, PyRecursionError, PyTypeError, PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;

use crate::connection::Connection;

/// A Python exception, in a shape that the core's errors convert to.
#[derive(Debug)]
pub(crate) struct WorldError(pub(crate) PyErr);

impl WorldError {
    pub(crate) fn not_plain(object: &Bound<'_, PyAny>) -> Self {
        let class = object.get_type();
        Self(PyTypeError::new_err(format!("cannot dump {class}: it is not plain immutable data")))
    }

    pub(crate) fn unexpected_reference() -> Self {
        Self(PyValueError::new_err("a reference makes no sense outside a connection"))
    }
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<PyErr> for WorldError {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<WorldError> for PyErr {
    fn from(error: WorldError) -> Self {
        error.0
    }
}

impl From<EncodeError> for WorldError {
    fn from(error: EncodeError) -> Self {
        let text = error.to_string();
        Self(match error {
            EncodeError::TooDeep { .. } => PyRecursionError::new_err(text),
            EncodeError::TooLarge { .. } => PyOverflowError::new_err(text),
            EncodeError::OutOfMemory { .. } => PyMemoryError::new_err(text),
            _ => PyValueError::new_err(text),
        })
    }
}

impl From<DecodeError> for WorldError {
    fn from(error: DecodeError) -> Self {
        let text = error.to_string();
        Self(match error {
            DecodeError::TooDeep { .. } => PyRecursionError::new_err(text),
            DecodeError::OverBudget { .. } | DecodeError::OutOfMemory { .. } => PyMemoryError::new_err(text),
            _ => PyValueError::new_err(text),
        })
    }
}

impl From<TooManyExports> for WorldError {
    fn from(error: TooManyExports) -> Self {
        Self(PyMemoryError::new_err(error.to_string()))
    }
}

/// The connection has ended.
pub(crate) fn closed(closed: &Closed) -> PyErr {
    let is_forked = matches!(closed.reason(), EndReason::Forked);
    let class = if is_forked { "ForkedConnectionError" } else { "ConnectionLost" };
    Python::attach(|py| {
        let error = made(py, "netref.core.errors", class, closed.to_string());
        let cause = match closed.reason() {
            EndReason::Transport(cause) => Some(from_io(py, cause)),
            EndReason::Protocol(cause) => Some(PyValueError::new_err(cause.to_string())),
            _ => None,
        };
        error.set_cause(py, cause);
        error
    })
}

/// What went wrong with a stream, as Python has it.
fn from_io(py: Python<'_>, error: &std::io::Error) -> PyErr {
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<PyErr>()) {
        return error.clone_ref(py);
    }
    match error.raw_os_error() {
        Some(number) => {
            let text = std::io::Error::from_raw_os_error(number).to_string();
            PyOSError::new_err((number, text))
        }
        None => std::io::Error::new(error.kind(), error.to_string()).into(),
    }
}

/// An exception of a class that is written in Python.
fn made(py: Python<'_>, module: &str, class: &str, text: String) -> PyErr {
    let made = py.import(module).and_then(|module| module.getattr(class)?.call1((text,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

pub(crate) fn from_start(error: StartError<WorldError>) -> PyErr {
    match error {
        StartError::Closed(reason) => closed(&reason),
        StartError::Stale(_) => {
            Python::attach(|py| made(py, "netref.core.errors", "StaleReference", error.to_string()))
        }
        StartError::Argument(error) => error.0,
        StartError::Message(error) => WorldError::from(error).0,
        _ => crate::host::take_interrupt(),
    }
}

pub(crate) fn from_call(error: CallError) -> PyErr {
    match error {
        CallError::Closed(reason) => closed(&reason),
        error => PyValueError::new_err(error.to_string()),
    }
}

pub(crate) fn from_bad_request(error: BadRequest<WorldError>) -> PyErr {
    match error {
        BadRequest::World(error) => error.0,
        error => PyTypeError::new_err(error.to_string()),
    }
}

/// No reply in time. The text begins as stock's does, which programs look for.
///
/// `setting` is what the limit can be changed by.
pub(crate) fn timed_out(
    connection: &Bound<'_, Connection>,
    what: &str,
    limit: Duration,
    setting: &str,
) -> PyErr {
    let py = connection.py();
    let described = connection.call_method0(intern!(py, "_described")).and_then(|name| name.extract());
    let described = described.unwrap_or_else(|_| "a connection".to_owned());
    let limit = limit.as_secs_f64();
    let text = format!("result expired: no reply to {what} within {limit} s, over {described} ({setting})");
    made(py, "netref.core.async_", "AsyncResultTimeout", text)
}

/// What the limit of an `AsyncResult` is changed by.
pub(crate) const EXPIRY: &str = "the expiry of the result";
