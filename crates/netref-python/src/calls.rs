//! Calls of proxies, for the methods that Python code gives to proxies' classes.

use netref_core::request::handlers;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::ahead::ContainerIterator;
use crate::proxy::BaseNetref;
use crate::result::AsyncResult;

/// `proxy(*args, **kwargs)`. One round trip.
#[pyfunction]
pub(crate) fn call<'py>(
    proxy: &Bound<'py, BaseNetref>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let pairs = keyword_pairs(kwargs);
    BaseNetref::request(proxy, handlers::CALL, &[args.as_any(), pairs.as_any()])
}

/// `proxy(*args, **kwargs)` without waiting: an :class:`AsyncResult`. No round trip.
#[pyfunction]
pub(crate) fn start_call<'py>(
    proxy: &Bound<'py, BaseNetref>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let pairs = keyword_pairs(kwargs);
    let connection = proxy.get().connection(py);
    if connection.get().has_own_steps() {
        return connection.call_method1(intern!(py, "async_request"), (handlers::CALL, proxy, args, pairs));
    }
    let args = [proxy.as_any(), args.as_any(), pairs.as_any()];
    AsyncResult::start(connection, handlers::CALL, &args, None).map(Bound::into_any)
}

/// `proxy.name(*args, **kwargs)`. One round trip.
#[pyfunction]
pub(crate) fn call_method<'py>(
    proxy: &Bound<'py, BaseNetref>,
    name: &Bound<'py, PyString>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    call_looked_up(proxy, name, args, Some(kwargs))
}

pub(crate) fn call_looked_up<'py>(
    proxy: &Bound<'py, BaseNetref>,
    name: &Bound<'py, PyString>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pairs = kwargs.map_or_else(|| PyTuple::empty(proxy.py()), keyword_pairs);
    let result =
        BaseNetref::request(proxy, handlers::CALLATTR, &[name.as_any(), args.as_any(), pairs.as_any()])?;
    if name.is(intern!(proxy.py(), "__iter__")) {
        ContainerIterator::begin(&result, proxy);
    }
    Ok(result)
}

/// Keyword arguments as they travel: a tuple of pairs.
pub(crate) fn keyword_pairs<'py>(kwargs: &Bound<'py, PyDict>) -> Bound<'py, PyTuple> {
    if kwargs.is_empty() { PyTuple::empty(kwargs.py()) } else { kwargs.items().to_tuple() }
}
