//! Errors of the driver and the wire as Python exceptions, and Python exceptions as errors of the object world.

use std::time::Duration;

use netref::threads::{CallError, Closed, EndReason, StartError};
use netref_core::brine::{DecodeError, EncodeError};
use netref_core::refs::TooManyExports;
use netref_core::request::BadRequest;
use pyo3::exceptions::{
    PyEOFError, PyMemoryError, PyOverflowError, PyRecursionError, PyTypeError, PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;

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
            _ => PyValueError::new_err(text),
        })
    }
}

impl From<DecodeError> for WorldError {
    fn from(error: DecodeError) -> Self {
        let text = error.to_string();
        Self(match error {
            DecodeError::TooDeep { .. } => PyRecursionError::new_err(text),
            DecodeError::OverBudget { .. } => PyMemoryError::new_err(text),
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
    if matches!(closed.reason(), EndReason::Forked) {
        return Python::attach(|py| forked(py, closed.to_string()));
    }
    let error = PyEOFError::new_err(closed.to_string());
    if let EndReason::Transport(cause) = closed.reason() {
        let cause = std::io::Error::new(cause.kind(), cause.to_string());
        Python::attach(|py| error.set_cause(py, Some(cause.into())));
    }
    error
}

fn forked(py: Python<'_>, text: String) -> PyErr {
    let class = py
        .import(intern!(py, "netref.core.protocol"))
        .and_then(|module| module.getattr(intern!(py, "ForkedConnectionError")));
    match class.and_then(|class| class.call1((text,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

pub(crate) fn from_start(error: StartError<WorldError>) -> PyErr {
    match error {
        StartError::Closed(reason) => closed(&reason),
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
pub(crate) fn timed_out(py: Python<'_>, what: &str, limit: Duration) -> PyErr {
    let text = format!(
        "result expired: no reply to {what} within {} s (setting sync_request_timeout, or the result's expiry)",
        limit.as_secs_f64()
    );
    let class = py
        .import(intern!(py, "netref.core.async_"))
        .and_then(|module| module.getattr(intern!(py, "AsyncResultTimeout")));
    match class.and_then(|class| class.call1((text,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
