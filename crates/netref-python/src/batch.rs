//! `conn.batch()`: many independent calls in few writes.

use std::sync::OnceLock;

use netref_core::request::handlers;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::calls::keyword_pairs;
use crate::connection::Connection;
use crate::proxy::BaseNetref;
use crate::result::AsyncResult;

/// Calls that are sent together. See `Connection.batch`.
#[pyclass(frozen, module = "netref._netref")]
pub(crate) struct Batch {
    connection: Py<Connection>,
    root: OnceLock<Py<Target>>,
}

#[pymethods]
impl Batch {
    #[new]
    fn new(connection: Py<Connection>) -> Self {
        Self { connection, root: OnceLock::new() }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, typ: Py<PyAny>, exc: Py<PyAny>, tb: Py<PyAny>) -> PyResult<()> {
        let _ = (typ, exc, tb);
        self.flush(py)
    }

    /// Sends the calls made so far.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        Connection::send_joined(self.connection.bind(py))
    }

    /// Whose methods can be called: `batch.root.method(x)` is an :class:`AsyncResult`.
    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, Target>> {
        if let Some(root) = self.root.get() {
            return Ok(root.bind(py));
        }
        let root = self.connection.bind(py).getattr(intern!(py, "root"))?;
        let root = self.on(py, root)?.unbind();
        Ok(self.root.get_or_init(|| root).bind(py))
    }

    /// The same for any remote object: `batch.on(proxy).method(x)`.
    fn on<'py>(&self, py: Python<'py>, proxy: Bound<'py, PyAny>) -> PyResult<Bound<'py, Target>> {
        let proxy: Bound<'py, BaseNetref> = proxy
            .cast_into()
            .map_err(|_| PyTypeError::new_err("a batch calls remote objects of its connection alone"))?;
        if !proxy.get().connection(py).is(&self.connection) {
            return Err(PyTypeError::new_err("a batch calls remote objects of its connection alone"));
        }
        Bound::new(py, Target { proxy: proxy.unbind(), name: None })
    }

    /// Calls a remote function or object: an :class:`AsyncResult`.
    #[pyo3(signature = (func, *args, **kwargs))]
    fn call<'py>(
        &self,
        func: Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, AsyncResult>> {
        self.on(args.py(), func)?.get().__call__(args, kwargs)
    }

    /// Makes any request: an :class:`AsyncResult`.
    ///
    /// :param handler: number of the request, one of `consts.HANDLE_*`
    #[pyo3(signature = (handler, *args))]
    fn request<'py>(&self, handler: i64, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, AsyncResult>> {
        let connection = self.connection.bind(args.py());
        let args: Vec<_> = args.iter().collect();
        AsyncResult::join(connection, handler, &args.iter().collect::<Vec<_>>())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.connection)?;
        self.root.get().map_or(Ok(()), |root| visit.call(root))
    }
}

/// A remote object, or a method of one, to be called in a batch.
#[pyclass(frozen, module = "netref._netref", name = "BatchTarget")]
pub(crate) struct Target {
    proxy: Py<BaseNetref>,
    name: Option<Py<PyString>>,
}

#[pymethods]
impl Target {
    /// Before this class is looked through, and in vain, which takes longer than all the rest.
    fn __getattribute__<'py>(
        slf: &Bound<'py, Self>,
        name: Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if name.to_cow()?.starts_with("__") {
            return py.get_type::<PyAny>().call_method1(intern!(py, "__getattribute__"), (slf, name));
        }
        Ok(slf.get().__getattr__(py, name)?.into_any())
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: Bound<'py, PyString>) -> PyResult<Bound<'py, Self>> {
        if let Some(known) = &self.name {
            let known = known.bind(py);
            return Err(PyAttributeError::new_err(format!(
                "cannot look up {name} of {known} in a batch, which only calls methods: look {known} up before it"
            )));
        }
        Bound::new(py, Self { proxy: self.proxy.clone_ref(py), name: Some(name.unbind()) })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, AsyncResult>> {
        let py = args.py();
        let proxy = self.proxy.bind(py);
        let connection = proxy.get().connection(py);
        let pairs = kwargs.map_or_else(|| PyTuple::empty(py), keyword_pairs);
        match &self.name {
            Some(name) => {
                let args = [proxy.as_any(), name.bind(py).as_any(), args.as_any(), pairs.as_any()];
                AsyncResult::join(connection, handlers::CALLATTR, &args)
            }
            None => AsyncResult::join(
                connection,
                handlers::CALL,
                &[proxy.as_any(), args.as_any(), pairs.as_any()],
            ),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.proxy)
    }
}
