//! Copies by value of Python objects, straight between objects and bytes. Their form is in [`netref_core::copy`].
//!
//! Lists, dictionaries and the like are written and built here; the rarer kinds, such as dates and arrays, are taken apart
//! and put together by `netref.core.values`.

pub(crate) mod pickled;
mod reading;
mod writing;

use netref_core::brine::{Reader, Writer};
use netref_core::extension::COPY;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::connection::Connection;
use crate::coroutines;
use crate::errors::WorldError;
use crate::proxy::BaseNetref;
use crate::world::Objects;

/// An object that crosses as a copy, to a peer that takes copies; else as it would by itself.
#[pyclass(frozen, module = "netref._netref")]
pub(crate) struct ByValue {
    pub(crate) object: Py<PyAny>,
    /// Whether the attribute policy decides what of it the peer gets.
    is_judged: bool,
}

#[pymethods]
impl ByValue {
    #[new]
    fn new(object: Py<PyAny>) -> Self {
        Self { object, is_judged: false }
    }

    /// The object itself.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.object.clone_ref(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("by_value({})", self.object.bind(py).repr()?))
    }
}

// A function or method whose result crosses as a copy when a peer calls it. It has the function's documentation, and so none of
// its own.
#[pyclass(frozen, dict, weakref, module = "netref._netref")]
pub(crate) struct ByValueFunction {
    function: Py<PyAny>,
}

#[pymethods]
impl ByValueFunction {
    #[new]
    #[pyo3(text_signature = None)]
    fn new(function: Py<PyAny>) -> Self {
        Self { function }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).call(args, kwargs)
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        if instance.is_none() {
            return Ok(slf.clone());
        }
        let py = slf.py();
        let bound = slf.get().function.bind(py).call_method1(intern!(py, "__get__"), (instance, owner))?;
        Bound::new(py, Self::new(bound.unbind()))
    }

    #[getter]
    fn __doc__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr(intern!(py, "__doc__"))
    }

    /// What the function has.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr(name.cast::<pyo3::types::PyString>()?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("by_value({})", self.function.bind(py).repr()?))
    }
}

/// What a call returned, as it is to be sent.
pub(crate) fn returned<'py>(
    callable: &Bound<'py, PyAny>,
    value: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if !callable.is_exact_instance_of::<ByValueFunction>() {
        return Ok(value);
    }
    let py = value.py();
    if coroutines::is_coroutine(&value) {
        return py.import(intern!(py, "netref.core.values"))?.call_method1(intern!(py, "_later"), (value,));
    }
    Ok(Bound::new(py, ByValue { object: value.unbind(), is_judged: false })?.into_any())
}

/// The answer to COPY.
pub(crate) fn requested<'py>(args: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
    let [object] = args else { return Err(PyTypeError::new_err("COPY takes one object")) };
    let wanted = ByValue { object: object.clone().unbind(), is_judged: true };
    Ok(Bound::new(object.py(), wanted)?.into_any())
}

/// A copy of the object that a proxy stands for, in one round trip; None if its owner makes none.
#[pyfunction]
pub(crate) fn copy<'py>(proxy: &Bound<'py, BaseNetref>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let connection = proxy.get().connection(proxy.py());
    if !connection.get().link()?.session().features().copies {
        return Ok(None);
    }
    BaseNetref::request(proxy, COPY, &[]).map(Some)
}

/// Writes a copy.
///
/// # Errors
/// If there is something in it that cannot be copied, or that the peer may not read.
pub(crate) fn write<'py>(
    connection: &Bound<'py, Connection>,
    object: &Bound<'py, PyAny>,
    out: &mut Writer<'_>,
) -> Result<(), WorldError> {
    let (object, is_judged) = match object.cast_exact::<ByValue>() {
        Ok(marked) => (marked.get().object.bind(object.py()), marked.get().is_judged),
        Err(_) => (object, false),
    };
    writing::Copier::new(connection, is_judged, out)?.write(object, out)
}

/// Builds a copy.
///
/// # Errors
/// If it is none, or is of something that cannot be built here.
pub(crate) fn read<'py>(
    world: &Objects<'_, 'py>,
    reader: &mut Reader<'_>,
) -> Result<Bound<'py, PyAny>, WorldError> {
    reading::Builder::new(world).read(reader)
}
