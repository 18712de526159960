//! The limit on calls that the calling thread is in a block of: `netref.core.timeouts`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The context variable with the limit, from the first time that a program uses it. Until then nobody pays for it.
static LIMIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Has calls look at the context variable from now on: None, or the limit in a tuple.
#[pyfunction]
pub(crate) fn watch_limits(py: Python<'_>, limit: Py<PyAny>) {
    // The first time counts; it is the same variable every time.
    let _ = LIMIT.set(py, limit);
}

/// The limit of the block that the calling thread is in, if it is in one; within that, None is no limit.
pub(crate) fn of_block(py: Python<'_>) -> PyResult<Option<Option<f64>>> {
    let Some(variable) = LIMIT.get(py) else { return Ok(None) };
    let limit: Option<(Option<f64>,)> = variable.bind(py).call_method0(intern!(py, "get"))?.extract()?;
    Ok(limit.map(|(seconds,)| seconds))
}
