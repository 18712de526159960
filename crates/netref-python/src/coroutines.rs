//! What event loops need: requests that do not block, and coroutines of this side that a peer calls.
//!
//! Which loop a coroutine runs on, and when, is the business of `netref.core.coroutines`. Here is what it owes the peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use netref::threads::Link;
use netref_core::message::Seq;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::connection::Connection;
use crate::host::PyHost;
use crate::result::AsyncResult;
use crate::{exit, requests};

/// Sends a request and returns the `AsyncResult` for its reply, without ever blocking. None, with nothing sent, if so much
/// waits to be sent already that this should too.
///
/// :param arrived: called with the result, on another thread, when it is known
#[pyfunction]
pub(crate) fn post<'py>(
    connection: &Bound<'py, Connection>,
    handler: i64,
    args: &Bound<'py, PyTuple>,
    arrived: Py<PyAny>,
) -> PyResult<Option<Bound<'py, AsyncResult>>> {
    AsyncResult::post(connection, handler, args, arrived)
}

/// Calls `then`, on another thread, once more may be sent or the connection has ended.
#[pyfunction]
pub(crate) fn when_there_is_room(connection: &Bound<'_, Connection>, then: Py<PyAny>) -> PyResult<()> {
    connection.get().link()?.when_there_is_room(Box::new(move || {
        let _ = exit::attach(|py| {
            if let Err(error) = then.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    }));
    Ok(())
}

static GENERATOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Learns what to look for in results; once, and before there are any, since it may let other threads run.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    GENERATOR.import(py, "types", "AsyncGeneratorType")?;
    COROUTINE.import(py, "types", "CoroutineType").map(drop)
}

pub(crate) fn is_coroutine(value: &Bound<'_, PyAny>) -> bool {
    COROUTINE.get(value.py()).is_some_and(|known| value.get_type().is(known))
}

/// Has an event loop carry out the rest of a request, if what it returned is a coroutine. Else gives the result back: an
/// asynchronous generator as something that any peer can iterate over.
///
/// # Errors
/// Why the coroutine cannot run. Then the request is yet to be answered.
pub(crate) fn take<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    seq: Seq,
    value: Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    let class = value.get_type();
    let is = |known: &PyOnceLock<Py<PyType>>| known.get(py).is_some_and(|known| class.is(known));
    if is(&GENERATOR) {
        let module = py.import(intern!(py, "netref.core.coroutines"))?;
        return module.call_method1(intern!(py, "Stream"), (value,)).map(Some);
    }
    if !is(&COROUTINE) {
        return Ok(Some(value));
    }
    let served = Served {
        connection: connection.clone().unbind(),
        link: link.clone(),
        seq,
        coroutine: value.clone().unbind(),
        is_owed: AtomicBool::new(true),
    };
    let served = Bound::new(py, served)?;
    let module = py.import(intern!(py, "netref.core.coroutines"))?;
    let begun = module.call_method1(intern!(py, "serve"), (&served, link.is_awaited_here()));
    if begun.is_err() {
        served.get().is_owed.store(false, Ordering::Relaxed);
        value.call_method0(intern!(py, "close"))?;
    }
    begun.map(|_| None)
}

/// A coroutine for the next items of a [stream](take), if `object` is one.
pub(crate) fn next_items<'py>(
    object: &Bound<'py, PyAny>,
    count: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    static STREAM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = object.py();
    // There is no stream yet if nobody has imported what makes them.
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    if STREAM.get(py).is_none() && !modules.contains(intern!(py, "netref.core.coroutines"))? {
        return Ok(None);
    }
    if !object.get_type().is(STREAM.import(py, "netref.core.coroutines", "Stream")?) {
        return Ok(None);
    }
    object.call_method1(intern!(py, "_take"), (count,)).map(Some)
}

/// A request of the peer that a coroutine carries out. To be awaited once, and then answered.
///
/// Whatever the coroutine asks of the peer meanwhile is part of the request, so that it runs on the thread over there that
/// waits. A request that is dropped is answered with an exception: the peer never waits in vain.
#[pyclass(frozen, module = "netref._netref")]
pub(crate) struct Served {
    connection: Py<Connection>,
    link: Arc<Link<PyHost>>,
    seq: Seq,
    coroutine: Py<PyAny>,
    is_owed: AtomicBool,
}

impl Served {
    fn step<'py>(
        &self,
        py: Python<'py>,
        work: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(_inside) = exit::Inside::enter() else {
            exit::detach(py, || ());
            return Err(PyRuntimeError::new_err("the interpreter shuts down"));
        };
        self.link.as_part_of(self.seq, || work(self.coroutine.bind(py)))
    }
}

#[pymethods]
impl Served {
    #[getter]
    fn connection(&self, py: Python<'_>) -> Py<Connection> {
        self.connection.clone_ref(py)
    }

    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.step(py, |coroutine| coroutine.call_method1(intern!(py, "send"), (py.None(),)))
    }

    fn send<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        self.step(py, |coroutine| coroutine.call_method1(intern!(py, "send"), (value,)))
    }

    #[pyo3(signature = (*exception))]
    fn throw<'py>(&self, exception: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = exception.py();
        self.step(py, |coroutine| coroutine.call_method1(intern!(py, "throw"), exception.clone()))
    }

    /// Ends the coroutine if it has not.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.step(py, |coroutine| coroutine.call_method0(intern!(py, "close"))).map(drop)
    }

    /// Answers the request with its result, or with why that cannot be sent.
    fn answer<'py>(&self, value: &Bound<'py, PyAny>) {
        let py = value.py();
        if self.is_owed.swap(false, Ordering::Relaxed) {
            let connection = self.connection.bind(py);
            let now = Some(Instant::now());
            if let Err(error) = requests::answer(connection, &self.link, self.seq, value, now) {
                requests::answer_exception(connection, &self.link, self.seq, &error, now);
            }
        }
    }

    /// Answers the request with an exception, unless it is answered.
    fn fail(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        if self.is_owed.swap(false, Ordering::Relaxed) {
            let connection = self.connection.bind(py);
            let error = PyErr::from_value(error);
            requests::answer_exception(connection, &self.link, self.seq, &error, Some(Instant::now()));
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.connection)?;
        visit.call(&self.coroutine)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if !*self.is_owed.get_mut() {
            return;
        }
        let seq = self.seq;
        // No Python code runs while an object is deallocated.
        self.link.aside(move |link| {
            Python::attach(|py| {
                let Some(connection) = link.host().connection(py) else { return };
                let error = PyRuntimeError::new_err(
                    "the coroutine was dropped before it ended: its event loop is closed",
                );
                requests::answer_exception(&connection, link, seq, &error, None);
            });
        });
    }
}
