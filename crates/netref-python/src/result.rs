//! `AsyncResult`: a result that will be there later.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use netref::threads::{Call, Interrupted, StartError, WaitError};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::connection::{Connection, deadline, describe, name_in};
use crate::errors::{EXPIRY, from_start, timed_out};
use crate::host::take_interrupt;
use crate::method::Method;
use crate::user_code;
use crate::world::{Objects, Shared};
use crate::{exit, green};

/// The result of a request, which may not be there yet.
///
/// It completes once: with the value, with the exception that the peer raised, or with `EOFError` if the connection ends
/// first.
#[pyclass(frozen, weakref, module = "netref.core.async_")]
pub(crate) struct AsyncResult {
    connection: Py<Connection>,
    /// None for one that a program has made, until it is sent.
    sent: OnceLock<Sent>,
    state: Mutex<State>,
}

struct Sent {
    call: Arc<Call<Shared>>,
    /// Of the attribute or method that it asks for.
    name: Option<Py<PyString>>,
}

impl Sent {
    fn describe(&self, py: Python<'_>) -> String {
        describe(self.call.handler(), self.name.as_ref().map(|name| name.bind(py)))
    }
}

#[derive(Default)]
struct State {
    outcome: Option<Result<Py<PyAny>, Py<PyBaseException>>>,
    callbacks: Vec<Py<PyAny>>,
    /// When the result expires, and after how long.
    expiry: Option<(Instant, Duration)>,
}

impl AsyncResult {
    pub(crate) fn start<'py>(
        connection: &Bound<'py, Connection>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = connection.py();
        let link = connection.get().link()?;
        let world = Objects::of(connection, link);
        Method::look_up_waiting(py);
        let result = Bound::new(py, Self::new(connection.clone().unbind()))?;
        result.get().state().expiry = expiry(timeout);
        let call = link.start(handler, None, |boxer| boxer.arguments(&world, args)).map_err(from_start)?;
        Self::is_sent(&result, call, name_in(handler, args));
        Ok(result)
    }

    /// The same, in one write with what is sent next.
    pub(crate) fn join<'py>(
        connection: &Bound<'py, Connection>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, Self>> {
        let py = connection.py();
        if connection.get().has_own_steps() {
            return Self::request(connection, handler, &PyTuple::new(py, args)?, None);
        }
        let link = connection.get().link()?;
        let world = Objects::of(connection, link);
        Method::look_up_waiting(py);
        let result = Bound::new(py, Self::new(connection.clone().unbind()))?;
        let call = link.start_joined(handler, |boxer| boxer.arguments(&world, args)).map_err(from_start)?;
        Self::is_sent(&result, call, name_in(handler, args));
        Ok(result)
    }

    /// Sends a request by way of the connection's own steps.
    pub(crate) fn request<'py>(
        connection: &Bound<'py, Connection>,
        handler: i64,
        args: &Bound<'py, PyTuple>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = connection.py();
        let result = Bound::new(py, Self::new(connection.clone().unbind()))?;
        connection.call_method1(intern!(py, "_async_request"), (handler, args, &result))?;
        result.get().state().expiry = expiry(timeout);
        Ok(result)
    }

    /// The request was sent that this is to be the result of.
    pub(crate) fn is_sent(
        slf: &Bound<'_, Self>,
        call: Arc<Call<Shared>>,
        name: Option<&Bound<'_, PyString>>,
    ) {
        let _ = slf.get().sent.set(Sent { call, name: name.cloned().map(Bound::unbind) });
        if !slf.get().state().callbacks.is_empty() && !Self::await_reply(slf) {
            Self::settle(slf);
        }
    }

    /// Sends a request from an event loop, which nothing here blocks. `arrived` is called on another thread when the result
    /// is known. None if so much waits to be sent that this should too.
    pub(crate) fn post<'py>(
        connection: &Bound<'py, Connection>,
        handler: i64,
        args: &Bound<'py, PyTuple>,
        arrived: Py<PyAny>,
    ) -> PyResult<Option<Bound<'py, Self>>> {
        let py = connection.py();
        let link = connection.get().link()?;
        if connection.get().has_own_steps() {
            let result = Self::request(connection, handler, args, None)?;
            Self::_when_known(&result, arrived)?;
            return Ok(Some(result));
        }
        let world = Objects::of(connection, link);
        let args: Vec<_> = args.iter().collect();
        let args: Vec<_> = args.iter().collect();
        let result = Bound::new(py, Self::new(connection.clone().unbind()))?;
        result.get().state().callbacks.push(arrived);
        let call = match link.start(handler, Some(Instant::now()), |boxer| boxer.arguments(&world, &args)) {
            Err(StartError::TimedOut) => return Ok(None),
            call => call.map_err(from_start)?,
        };
        let name = name_in(handler, &args).cloned().map(Bound::unbind);
        let _ = result.get().sent.set(Sent { call, name });
        Self::learn_elsewhere(&result)?;
        Ok(Some(result))
    }

    /// Has another thread take the reply apart, which may need a round trip; and wait for it if nobody else would read it.
    fn learn_elsewhere(slf: &Bound<'_, Self>) -> PyResult<()> {
        let link = slf.get().connection.bind(slf.py()).get().own_link()?;
        link.send_joined(Some(Instant::now())).map_err(|Interrupted| take_interrupt())?;
        if Self::await_reply(slf) && link.reads_by_itself() {
            return Ok(());
        }
        let result = slf.clone().unbind();
        link.aside(move |link| {
            if let Some(sent) = result.get().sent.get() {
                let _ = link.wait(&sent.call, None);
            }
            Python::attach(|py| Self::settle(result.bind(py)));
        });
        Ok(())
    }

    /// Has the reply taken apart as soon as it comes. False if it is here already.
    fn await_reply(slf: &Bound<'_, Self>) -> bool {
        // What asks for a reply calls this when it is sent.
        let Some(sent) = slf.get().sent.get() else { return true };
        let result = slf.clone().unbind();
        let on_reply = move || exit::attach(|py| Self::settle(result.bind(py))).map_or((), drop);
        sent.call.on_completion(Box::new(on_reply)).is_ok()
    }

    /// Takes the reply apart, if it is here and nobody has yet, and calls who wanted to be told. True if the result is known.
    fn settle(slf: &Bound<'_, Self>) -> bool {
        let (py, this) = (slf.py(), slf.get());
        if this.state().outcome.is_some() {
            return true;
        }
        let Some(outcome) = this.sent.get().and_then(|sent| sent.call.take()) else {
            // Another thread may be at it: the call is completed, and its outcome taken but not settled.
            return this.state().outcome.is_some();
        };
        // Building objects can run user code, so it is done before the state is locked.
        let outcome = Connection::finish(this.connection.bind(py), outcome);
        let outcome = outcome.map(Bound::unbind).map_err(|error| error.into_value(py));
        this.state().outcome = Some(outcome);
        Self::run_callbacks(slf);
        true
    }

    /// Works on one message of the peer, for a result that waits for a call of it rather than of the native part.
    fn serve_until_called(&self, py: Python<'_>, expiry: Option<(Instant, Duration)>) -> PyResult<()> {
        if let Some((at, limit)) = expiry
            && Instant::now() >= at
        {
            return Err(timed_out(self.connection.bind(py), "a request", limit, EXPIRY));
        }
        let timeout = expiry.map(|(at, _)| at.saturating_duration_since(Instant::now()).as_secs_f64());
        self.connection.bind(py).call_method1(intern!(py, "serve"), (timeout,)).map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_expired(&self) -> bool {
        self.state().expiry.is_some_and(|(at, _)| Instant::now() >= at)
    }

    fn run_callbacks(slf: &Bound<'_, Self>) {
        let callbacks = std::mem::take(&mut slf.get().state().callbacks);
        for callback in callbacks {
            let called = PyTuple::new(slf.py(), [slf])
                .and_then(|args| user_code::call(callback.bind(slf.py()), &args, None));
            if let Err(error) = called {
                error.write_unraisable(slf.py(), Some(slf.as_any()));
            }
        }
    }
}

#[pymethods]
impl AsyncResult {
    /// A result that nothing was sent for yet.
    #[new]
    fn new(conn: Py<Connection>) -> Self {
        Self { connection: conn, sent: OnceLock::new(), state: Mutex::default() }
    }

    /// Waits until the result is there.
    ///
    /// :raises AsyncResultTimeout: if it expires first
    fn wait(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let link = this.connection.bind(py).get().own_link()?;
        while !Self::settle(slf) {
            let expiry = this.state().expiry;
            let Some(sent) = this.sent.get() else {
                this.serve_until_called(py, expiry)?;
                continue;
            };
            match green::wait(py, link, &sent.call, expiry.map(|(at, _)| at)) {
                // Completed, but another thread is still taking the reply apart.
                Ok(()) if !Self::settle(slf) => py.detach(std::thread::yield_now),
                Ok(()) => {}
                Err(WaitError::Interrupted) => return Err(take_interrupt()),
                Err(WaitError::TimedOut) => {
                    link.abandon(&sent.call);
                    let limit = expiry.map(|(_, limit)| limit).unwrap_or_default();
                    return Err(timed_out(this.connection.bind(py), &sent.describe(py), limit, EXPIRY));
                }
            }
        }
        Ok(())
    }

    /// The result, waiting for it if need be; or the exception, raised.
    ///
    /// :raises AsyncResultTimeout: if it expires first
    #[getter]
    fn value(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::wait(slf)?;
        let py = slf.py();
        match &slf.get().state().outcome {
            Some(Ok(value)) => Ok(value.clone_ref(py)),
            Some(Err(error)) => Err(PyErr::from_value(error.bind(py).clone().into_any())),
            None => Ok(py.None()),
        }
    }

    /// Whether the result is there. Works on messages that have arrived, and does not wait.
    #[getter]
    fn ready(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        let link = this.connection.bind(py).get().own_link()?;
        loop {
            if Self::settle(slf) {
                return Ok(true);
            }
            if this.has_expired() {
                return Ok(false);
            }
            match link.serve_one(Some(Instant::now())) {
                Ok(true) => {}
                Ok(false) => return Ok(Self::settle(slf)),
                Err(Interrupted) => return Err(take_interrupt()),
            }
        }
    }

    /// Whether the result is there and is an exception.
    #[getter]
    fn error(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Self::ready(slf)? && matches!(slf.get().state().outcome, Some(Err(_))))
    }

    /// Whether the result did not come in time.
    #[getter]
    fn expired(slf: &Bound<'_, Self>) -> bool {
        !Self::settle(slf) && slf.get().has_expired()
    }

    // What programs read of RPyC's, although it begins with an underscore. Reading it works on no messages.

    #[getter]
    fn _conn(&self, py: Python<'_>) -> Py<Connection> {
        self.connection.clone_ref(py)
    }

    #[getter]
    fn _is_ready(slf: &Bound<'_, Self>) -> bool {
        Self::settle(slf)
    }

    #[getter]
    fn _is_exc(slf: &Bound<'_, Self>) -> Option<bool> {
        Self::settle(slf);
        slf.get().state().outcome.as_ref().map(Result::is_err)
    }

    #[getter]
    fn _obj(slf: &Bound<'_, Self>) -> Option<Py<PyAny>> {
        Self::settle(slf);
        let py = slf.py();
        slf.get().state().outcome.as_ref().map(|outcome| match outcome {
            Ok(value) => value.clone_ref(py),
            Err(error) => error.clone_ref(py).into_any(),
        })
    }

    /// Lets the result expire.
    ///
    /// :param timeout: seconds from now; None for never
    fn set_expiry(&self, timeout: Option<f64>) {
        self.state().expiry = expiry(timeout);
    }

    /// Calls `func` with this result as soon as it is there, or at once if it is.
    fn add_callback(slf: &Bound<'_, Self>, func: Py<PyAny>) -> PyResult<()> {
        slf.get().state().callbacks.push(func);
        // One of several comes first and has asked for the reply, or all do it once more, which is the same.
        if !Self::await_reply(slf) && Self::settle(slf) {
            Self::run_callbacks(slf);
        }
        Ok(())
    }

    /// Waits in a coroutine: `await result` is its value, or raises its exception. Cancelling the coroutine ends that wait
    /// and nothing else.
    ///
    /// :raises AsyncResultTimeout: if it expires first
    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let waiting =
            py.import(intern!(py, "netref.core.coroutines"))?.call_method1(intern!(py, "wait"), (slf,))?;
        waiting.call_method0(intern!(py, "__await__"))
    }

    /// Calls `func` with this result once it is known, on another thread unless that is so already.
    fn _when_known(slf: &Bound<'_, Self>, func: Py<PyAny>) -> PyResult<()> {
        slf.get().state().callbacks.push(func);
        if slf.get().state().outcome.is_none() {
            return Self::learn_elsewhere(slf);
        }
        Self::run_callbacks(slf);
        Ok(())
    }

    /// Takes back what `_when_known` was told.
    fn _forget(&self, func: &Bound<'_, PyAny>) {
        let forgotten: Vec<_> = self.state().callbacks.extract_if(.., |known| known.is(func)).collect();
        drop(forgotten);
    }

    /// Says that nobody will want the result: what its reply refers to is given back, whoever still holds this.
    fn _give_up(&self, py: Python<'_>) -> PyResult<()> {
        let Some(sent) = self.sent.get() else { return Ok(()) };
        self.connection.bind(py).get().link()?.abandon(&sent.call);
        drop(sent.call.take());
        Ok(())
    }

    /// Seconds until the result expires; None if it does not.
    fn _time_left(&self) -> Option<f64> {
        let (at, _) = self.state().expiry?;
        Some(at.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// The exception that says that the result has expired.
    fn _expired_error(&self, py: Python<'_>) -> PyErr {
        let limit = self.state().expiry.map(|(_, limit)| limit).unwrap_or_default();
        let what = self.sent.get().map_or_else(|| "a request".to_owned(), |sent| sent.describe(py));
        timed_out(self.connection.bind(py), &what, limit, EXPIRY)
    }

    /// Completes a result that no request of this connection completes: what a connection does with the callback of a
    /// request.
    fn __call__(slf: &Bound<'_, Self>, is_exc: bool, obj: Bound<'_, PyAny>) {
        let outcome =
            if is_exc { Err(PyErr::from_value(obj).into_value(slf.py())) } else { Ok(obj.unbind()) };
        slf.get().state().outcome.get_or_insert(outcome);
        Self::run_callbacks(slf);
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let has_expired = slf.get().has_expired();
        let state = match &slf.get().state().outcome {
            Some(_) => "ready",
            None if has_expired => "expired",
            None => "pending",
        };
        format!("<AsyncResult object ({state}) at {:p}>", slf.as_ptr())
    }

    /// An exception that was raised refers to the frames it went through, and so to this if one of them does.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.connection)?;
        // Who holds the lock is using this, so it is no garbage.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        match &state.outcome {
            Some(Ok(value)) => visit.call(value)?,
            Some(Err(error)) => visit.call(error)?,
            None => {}
        }
        state.callbacks.iter().try_for_each(|callback| visit.call(callback))
    }

    fn __clear__(&self) {
        let state = std::mem::take(&mut *self.state());
        drop(state);
    }
}

fn expiry(timeout: Option<f64>) -> Option<(Instant, Duration)> {
    let limit = Duration::try_from_secs_f64(timeout?).ok()?;
    deadline(timeout).map(|at| (at, limit))
}
