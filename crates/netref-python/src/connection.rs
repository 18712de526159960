//! `_netref.Connection`, the base class of `netref.core.protocol.Connection`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use netref::threads::{
    Call, CallError, Dispatch, ExchangeError, Host, Interrupted, Link, LinkOptions, Outcome, StartError,
    WaitError,
};
use netref_core::boxing::Boxer;
use netref_core::extension::Features;
use netref_core::frame::Compression;
use netref_core::message::{Dialect, Kind};
use netref_core::refs::IdPack;
use netref_core::request::{Request, handlers};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::errors::{WorldError, closed, from_call, from_start, timed_out};
use crate::host::{PyHost, take_interrupt};
use crate::method::Method;
use crate::result::AsyncResult;
use crate::settings::{LiveSettings, Settings};
use crate::stats;
use crate::steps;
use crate::world::{Objects, Shared};
use crate::{green, limits};
use crate::{timeouts, transports};

/// The native part of a connection: requests, replies, and waiting for them.
#[pyclass(subclass, weakref, frozen, module = "netref._netref")]
#[derive(Default)]
pub(crate) struct Connection {
    link: OnceLock<Arc<Link<PyHost>>>,
    settings: OnceLock<LiveSettings>,
    /// The program has a `sync_request` of its own, which proxies' requests have to go through.
    has_own_requests: AtomicBool,
    /// The program has replaced steps that messages go through, so all of them are taken in Python.
    has_own_steps: AtomicBool,
}

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Starts the connection.
    ///
    /// :param over: what it runs over, see `netref.core.transport`
    /// :param config: the configuration, which stays live
    /// :param initiator: whether this side dialled; an acceptor follows the peer's dialect
    /// :param compress: whether large messages may be compressed
    /// :param background: whether the peer may be served while nobody here waits or serves
    fn _start(
        slf: &Bound<'_, Self>,
        over: &Bound<'_, PyTuple>,
        config: &Bound<'_, PyDict>,
        initiator: bool,
        compress: bool,
        background: bool,
    ) -> PyResult<()> {
        let serve = serve(config)?;
        let options = LinkOptions {
            limits: limits::configured(config)?,
            dialect: dialect(config, initiator)?,
            compression: if compress { Compression::Auto } else { Compression::Off },
            dispatch: dispatch(config)?,
            bind_threads: binds_threads(config)?,
            background: background && serve == Serve::Background,
            heartbeat: heartbeat(config)?,
            features: Features::ALL,
        };
        let link = Link::new(PyHost::default(), transports::open(over)?, options);
        link.host().attach_to(slf)?;
        if serve == Serve::Manual {
            link.serve_by_hand_everywhere();
        }
        if over.get_item(0)?.eq("green")? {
            link.host().run_under(&over.get_item(2)?);
        }
        let connection = slf.get();
        let settings = LiveSettings::new(config)?;
        let fresh = connection.settings.set(settings).is_ok() && connection.link.set(link).is_ok();
        if fresh { Ok(()) } else { Err(PyRuntimeError::new_err("the connection has been started already")) }
    }

    #[getter]
    fn _config(&self, py: Python<'_>) -> Option<Py<PyDict>> {
        self.settings.get().map(|settings| settings.config().clone_ref(py))
    }

    /// Has proxies' requests go through the connection's own `sync_request` from now on, and if the program has replaced
    /// more than that, all messages through its steps in Python.
    fn _leave_native_path(&self, steps: bool) {
        self.has_own_requests.store(true, Ordering::Relaxed);
        self.has_own_steps.fetch_or(steps, Ordering::Relaxed);
        if steps && let Some(link) = self.link.get() {
            // The steps in Python have no boxes of copies.
            link.session().refuse_copies();
        }
    }

    /// Whether the connection has ended, or is the parent process's.
    #[getter]
    fn closed(&self) -> bool {
        self.link.get().is_none_or(|link| link.closed().or_else(|| link.forked()).is_some())
    }

    /// Says that another connection takes the place of this one when it ends: its references are stale then.
    fn _expect_successor(&self) -> PyResult<()> {
        self.link()?.expect_successor();
        Ok(())
    }

    /// What a netref peer calls itself, such as ``"netref 0.1.0"``; None for a stock peer, or before its first answer.
    #[getter]
    fn peer_software(&self) -> PyResult<Option<String>> {
        Ok(self.link()?.session().peer().map(|hello| hello.software.clone()))
    }

    /// Sends a request and waits for its result. One round trip.
    ///
    /// :param handler: number of the request, one of `consts.HANDLE_*`
    /// :raises TimeoutError: if there is no reply within `sync_request_timeout` seconds
    /// :raises EOFError: if the connection has ended or ends
    #[pyo3(signature = (handler, *args))]
    fn sync_request<'py>(
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().has_own_steps() {
            let py = slf.py();
            let kwargs = PyDict::new(py);
            kwargs.set_item(intern!(py, "timeout"), slf.get().settings(py)?.sync_request_timeout)?;
            let all = PyTuple::new(
                py,
                std::iter::once(handler.into_pyobject(py)?.into_any()).chain(args.iter()).collect::<Vec<_>>(),
            )?;
            return slf
                .call_method(intern!(py, "async_request"), all, Some(&kwargs))?
                .getattr(intern!(py, "value"));
        }
        let args: Vec<_> = args.iter().collect();
        slf.get().request(slf, handler, &args.iter().collect::<Vec<_>>())
    }

    /// Sends a request and returns an :class:`AsyncResult` for its reply. No round trip.
    ///
    /// :param handler: number of the request, one of `consts.HANDLE_*`
    /// :param timeout: seconds after which the result expires; None for never
    #[pyo3(signature = (handler, *args, timeout=None))]
    fn async_request<'py>(
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &Bound<'py, PyTuple>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, AsyncResult>> {
        if slf.get().has_own_steps() {
            return AsyncResult::request(slf, handler, args, timeout);
        }
        let args: Vec<_> = args.iter().collect();
        AsyncResult::start(slf, handler, &args.iter().collect::<Vec<_>>(), timeout)
    }

    /// Has requests of the peer wait until it is attended, but for those on which this side may depend until then.
    fn _hold(&self) -> PyResult<()> {
        self.link()?.hold();
        Ok(())
    }

    /// Has the peer served in the background from now on, whenever no thread of this side waits for it.
    fn _attend(&self) -> PyResult<()> {
        self.link()?.attend();
        Ok(())
    }

    /// Works on one message of the peer, if one comes in time.
    ///
    /// :param timeout: seconds to wait; None for ever
    /// :param by_hand: whether the program serves so, if this is its main thread
    /// :returns: whether there was one
    /// :raises EOFError: if the connection has ended or ends
    fn _serve(&self, timeout: Option<f64>, by_hand: bool) -> PyResult<bool> {
        let link = self.own_link()?;
        if let Some(reason) = link.closed() {
            return Err(closed(&reason));
        }
        // Objects that are bound to a thread nearly always are to the main thread.
        if by_hand && link.host().heeds_signals() {
            link.serve_by_hand();
        }
        let served = link.serve_one(deadline(timeout)).map_err(|Interrupted| take_interrupt())?;
        match link.closed() {
            Some(reason) if !served => Err(closed(&reason)),
            _ => Ok(served),
        }
    }

    /// Works on one message of the peer, if one has arrived in whole.
    ///
    /// :param patience: seconds to wait while another thread reads
    /// :returns: whether there was one
    /// :raises EOFError: if the connection has ended or ends
    fn _serve_ready(&self, patience: f64) -> PyResult<bool> {
        let link = self.own_link()?;
        let served = link.serve_ready(deadline(Some(patience))).map_err(|Interrupted| take_interrupt())?;
        match link.closed() {
            Some(reason) if !served => Err(closed(&reason)),
            _ => Ok(served),
        }
    }

    /// Says that the program looks at the file descriptor to know when to serve.
    fn _be_selected(&self) {
        if let Some(link) = self.link.get() {
            link.be_selected();
        }
    }

    /// Serves the peer's requests until the connection ends.
    fn _serve_all(&self) -> PyResult<()> {
        self.own_link()?.serve_all().map_err(|Interrupted| take_interrupt())
    }

    /// Answers the peer's requests under way, tells it that the connection ends, waits for it to take note, and ends it. Waits
    /// `patience` seconds at most, for all of that.
    fn _close(&self, patience: f64) -> PyResult<()> {
        let Some(link) = self.link.get() else { return Ok(()) };
        let patience = Duration::try_from_secs_f64(patience).unwrap_or_default();
        link.close(patience).map_err(|Interrupted| take_interrupt())
    }

    /// Tells the peer that the connection ends, as far as that needs no waiting, and ends it.
    fn _hang_up(&self) {
        if let Some(link) = self.link.get() {
            link.hang_up();
        }
    }

    /// Refuses the peer's new requests from now on, and waits for those under way.
    ///
    /// :param patience: seconds to wait at most; None for however long
    /// :returns: whether all are answered
    fn _drain(&self, py: Python<'_>, patience: Option<f64>) -> PyResult<bool> {
        let link = self.own_link()?;
        Ok(py.detach(|| link.drain(deadline(patience))))
    }

    /// Seconds until the connection ends if the peer sends nothing more, where nobody reads to notice; None if it does not.
    fn _due(&self) -> Option<f64> {
        let at = self.link.get()?.due()?;
        Some(at.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// Ends the connection if that time has come.
    fn _expire(&self) {
        if let Some(link) = self.link.get() {
            link.expire();
        }
    }

    /// What the connection has done so far, and what it has to do: a dictionary. No round trip.
    ///
    /// `calls`: calls of functions and methods sent; `round_trips`: requests sent, calls among them; `requests_served`: requests
    /// of the peer carried out; `messages_out`, `messages_in`: messages of every kind; `bytes_out`, `bytes_in`: as they are on
    /// the wire; `pending`: requests sent that await their replies; `unanswered`: requests of the peer under way;
    /// `queued_bytes`: bytes that wait to be sent; `objects_lent`: objects of this side that the peer holds references to, and
    /// `lent`: how many of each class; `held`: the same for proxies of the peer's objects; `references_released`: references of
    /// the peer's given back; `malformed`: malformed messages of the peer's; `refused`: requests of the peer that a limit
    /// refused.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats::of(py, self.link()?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(settings) = self.settings.get() {
            visit.call(settings.config())?;
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(link) = self.link.get() {
            link.hang_up();
        }
    }
}

impl Connection {
    pub(crate) fn link(&self) -> PyResult<&Arc<Link<PyHost>>> {
        self.link.get().ok_or_else(|| PyRuntimeError::new_err("the connection has not been started"))
    }

    /// How many requests were sent, and received, that may have changed something.
    pub(crate) fn requests(&self) -> PyResult<u64> {
        let counters = self.link()?.session().counters();
        Ok(counters.requests_sent - counters.inspections_sent + counters.requests_received)
    }

    /// Whether the peer answers requests AHEAD.
    pub(crate) fn has_ahead(&self) -> PyResult<bool> {
        Ok(self.link()?.session().features().ahead)
    }

    /// Whether the program has replaced steps that messages go through.
    pub(crate) fn has_own_steps(&self) -> bool {
        self.has_own_steps.load(Ordering::Relaxed)
    }

    /// The link, to read from, which a forked child must not do.
    pub(crate) fn own_link(&self) -> PyResult<&Arc<Link<PyHost>>> {
        let link = self.link()?;
        link.forked().map_or(Ok(link), |reason| Err(closed(&reason)))
    }

    /// What the live configuration says.
    pub(crate) fn settings(&self, py: Python<'_>) -> PyResult<Arc<Settings>> {
        let settings = self.settings.get();
        settings.ok_or_else(|| PyRuntimeError::new_err("the connection has not been started"))?.get(py)
    }

    /// Whether what requests are made is this module's business alone.
    pub(crate) fn is_native(&self) -> bool {
        !self.has_own_requests.load(Ordering::Relaxed)
    }

    /// Whether a method of the peer's that is called as soon as it is looked up costs one round trip.
    pub(crate) fn makes_one_trip_calls(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.is_native() && self.settings(py)?.one_trip_calls)
    }

    /// Sends a request for a proxy and waits for its result, by way of a subclass's own `sync_request` if it has one.
    pub(crate) fn proxy_request<'py>(
        &self,
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.is_native() {
            return self.request(slf, handler, args);
        }
        let py = slf.py();
        let handler = handler.into_pyobject(py)?.into_any();
        let all =
            PyTuple::new(py, std::iter::once(&handler).chain(args.iter().copied()).collect::<Vec<_>>())?;
        slf.call_method1(intern!(py, "sync_request"), all)
    }

    /// Sends a request and waits for its result.
    fn request<'py>(
        &self,
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let write = |world: &Objects<'_, 'py>, boxer: &mut Boxer<'_>| boxer.arguments(world, args);
        self.exchange(slf, handler, write, || describe(handler, name_in(handler, args)))
    }

    /// The methods of the class of the object named `pack`. A round trip, if the peer has not described it.
    pub(crate) fn inspect<'py>(&self, slf: &Bound<'py, Self>, pack: &IdPack) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if !pack.is_class()
            && let Some(description) = self.link()?.session().take_description(pack)
            && let Ok(methods) = description.methods(&Objects::plain(py))
        {
            return self.checked_methods(pack, methods);
        }
        let request = Request::Inspect { pack: pack.clone() };
        let write = |world: &Objects<'_, 'py>, boxer: &mut Boxer<'_>| request.write(world, boxer);
        let outcome = self.outcome(slf, handlers::INSPECT, write, || format!("inspect of {}", pack.name))?;
        let mut message = outcome.map_err(from_call)?;
        if message.kind() == Kind::Exception {
            return Self::finish(slf, Ok(message));
        }
        // Names and texts: a proxy in it could ask for an inspection in turn, and so on.
        self.checked_methods(pack, message.result(&Objects::plain(py))?)
    }

    fn checked_methods<'py>(&self, pack: &IdPack, methods: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let most = self.link()?.limits().max_methods;
        let is_list = methods.cast_exact::<PyTuple>().is_ok_and(|methods| methods.len() <= most);
        if is_list { Ok(methods) } else { Err(bad_methods(pack, most)) }
    }

    fn exchange<'py>(
        &self,
        slf: &Bound<'py, Self>,
        handler: i64,
        write: impl FnOnce(&Objects<'_, 'py>, &mut Boxer<'_>) -> Result<(), WorldError>,
        what: impl FnOnce() -> String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let outcome = self.outcome(slf, handler, write, what)?;
        Self::finish(slf, outcome)
    }

    fn outcome<'py>(
        &self,
        slf: &Bound<'py, Self>,
        handler: i64,
        write: impl FnOnce(&Objects<'_, 'py>, &mut Boxer<'_>) -> Result<(), WorldError>,
        what: impl FnOnce() -> String,
    ) -> PyResult<Outcome<Shared>> {
        let py = slf.py();
        let link = self.link()?;
        let world = Objects::of(slf, link);
        let limit = self.time_limit(py)?;
        Method::look_up_waiting(py);
        let exchanged = if link.host().hub().is_some() {
            Self::exchange_in_greenlet(py, link, handler, limit, |boxer| write(&world, boxer))
        } else {
            link.exchange(handler, duration(limit), |boxer| write(&world, boxer))
        };
        match exchanged {
            Ok(outcome) => Ok(outcome),
            Err(ExchangeError::Start(error)) => Err(from_start(error)),
            Err(ExchangeError::Wait(error)) => Err(failed_wait(slf, error, &what(), limit)),
            Err(_) => Err(take_interrupt()),
        }
    }

    fn exchange_in_greenlet(
        py: Python<'_>,
        link: &Arc<Link<PyHost>>,
        handler: i64,
        limit: Option<f64>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), WorldError>,
    ) -> Result<Outcome<Shared>, ExchangeError<WorldError>> {
        let deadline = deadline(limit);
        let call = link.start(handler, deadline, write).map_err(|error| match error {
            StartError::TimedOut => ExchangeError::Wait(WaitError::TimedOut),
            error => ExchangeError::Start(error),
        })?;
        Self::await_outcome(py, link, &call, deadline).map_err(ExchangeError::Wait)
    }

    /// Sends a request without waiting for its result.
    pub(crate) fn start<'py>(
        &self,
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Arc<Call<Shared>>> {
        let link = self.link()?;
        let world = Objects::of(slf, link);
        link.start(handler, None, |boxer| boxer.arguments(&world, args)).map_err(from_start)
    }

    /// Sends what [joined](Link::start_joined) calls have left.
    pub(crate) fn send_joined(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().link()?.send_joined(None).map_err(|Interrupted| take_interrupt())
    }

    /// Waits for the result of a request that was sent.
    pub(crate) fn await_call<'py>(
        &self,
        slf: &Bound<'py, Self>,
        call: &Arc<Call<Shared>>,
        what: impl FnOnce() -> String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let limit = self.time_limit(py)?;
        match Self::await_outcome(py, self.own_link()?, call, deadline(limit)) {
            Ok(outcome) => Self::finish(slf, outcome),
            Err(error) => Err(failed_wait(slf, error, &what(), limit)),
        }
    }

    fn await_outcome(
        py: Python<'_>,
        link: &Arc<Link<PyHost>>,
        call: &Arc<Call<Shared>>,
        deadline: Option<Instant>,
    ) -> Result<Outcome<Shared>, WaitError> {
        let waited = green::wait(py, link, call, deadline);
        call.take().ok_or_else(|| {
            link.abandon(call);
            waited.err().unwrap_or(WaitError::TimedOut)
        })
    }

    /// The result that a reply carries, or the exception.
    pub(crate) fn finish<'py>(
        slf: &Bound<'py, Self>,
        outcome: Outcome<Shared>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let link = slf.get().link()?;
        let world = Objects::of(slf, link);
        let mut message = outcome.map_err(from_call)?;
        if message.kind() != Kind::Exception {
            if slf.get().has_own_steps() {
                return steps::result(slf, link, message);
            }
            return Ok(message.result(&world)?);
        }
        let raw = message.exception_value(&world)?;
        let exception = slf.call_method1(intern!(slf.py(), "_unbox_exc"), (raw,))?;
        Err(PyErr::from_value(exception))
    }

    pub(crate) fn require_pickle(&self, slf: &Bound<'_, Self>) -> PyResult<()> {
        if self.settings(slf.py())?.allow_pickle {
            return Ok(());
        }
        Err(PyValueError::new_err(
            "pickling is disabled (local policy: set allow_pickle to trust the peer with it)",
        ))
    }

    /// How many seconds a call of the calling thread may wait.
    fn time_limit(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        match timeouts::of_block(py)? {
            Some(limit) => Ok(limit),
            None => Ok(self.settings(py)?.sync_request_timeout),
        }
    }
}

fn failed_wait(slf: &Bound<'_, Connection>, error: WaitError, what: &str, limit: Option<f64>) -> PyErr {
    match error {
        WaitError::TimedOut => {
            let in_block = timeouts::of_block(slf.py()).is_ok_and(|limit| limit.is_some());
            let setting = if in_block { "netref.timeout" } else { "setting sync_request_timeout" };
            timed_out(slf, what, duration(limit).unwrap_or_default(), setting)
        }
        WaitError::Interrupted => take_interrupt(),
    }
}

/// When a wait of as many seconds from now ends; a negative number means never, as in stock.
pub(crate) fn deadline(timeout: Option<f64>) -> Option<Instant> {
    Instant::now().checked_add(duration(timeout)?)
}

fn duration(timeout: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(timeout?).ok()
}

fn bad_methods(pack: &IdPack, most: usize) -> PyErr {
    PyValueError::new_err(format!(
        "the peer's answer about {} is not a tuple of at most {most} methods (limit max_methods)",
        pack.name
    ))
}

/// What a request is, for messages.
pub(crate) fn describe(handler: i64, name: Option<&Bound<'_, PyString>>) -> String {
    let what = Request::<()>::describe(handler);
    name.map_or_else(|| what.to_owned(), |name| format!("{what} {:?}", name.to_string_lossy()))
}

/// The name of the attribute or method that a request is about, if it is about one.
pub(crate) fn name_in<'a, 'py>(
    handler: i64,
    args: &[&'a Bound<'py, PyAny>],
) -> Option<&'a Bound<'py, PyString>> {
    let is_named = matches!(handler, handlers::GETATTR | handlers::SETATTR | handlers::CALLATTR);
    args.get(1).filter(|_| is_named)?.cast().ok()
}

fn binds_threads(config: &Bound<'_, PyDict>) -> PyResult<bool> {
    config.get_item("bind_threads")?.map_or(Ok(false), |value| value.is_truthy())
}

/// Who serves the peer while nobody waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serve {
    Background,
    /// The program, as with RPyC.
    Manual,
    /// The threads of a server that watches its connections by itself.
    Workers,
}

fn serve(config: &Bound<'_, PyDict>) -> PyResult<Serve> {
    let Some(serve) = config.get_item("serve")? else { return Ok(Serve::Background) };
    match serve.extract::<String>().ok().as_deref() {
        Some("background") => Ok(Serve::Background),
        Some("manual") => Ok(Serve::Manual),
        Some("workers") => Ok(Serve::Workers),
        _ => Err(PyValueError::new_err(format!(
            "the setting serve is {serve}, not \"background\" or \"manual\""
        ))),
    }
}

/// After how much silence the peer is asked for a sign of life.
fn heartbeat(config: &Bound<'_, PyDict>) -> PyResult<Option<Duration>> {
    let Some(value) = config.get_item("heartbeat")?.filter(|value| !value.is_none()) else { return Ok(None) };
    match value.extract().map(Duration::try_from_secs_f64) {
        Ok(Ok(interval)) if interval >= Duration::from_millis(1) => Ok(Some(interval)),
        _ => Err(PyValueError::new_err(format!(
            "config \"heartbeat\" is {value:?}, but must be a number of seconds above 0, or None"
        ))),
    }
}

fn dialect(config: &Bound<'_, PyDict>, initiator: bool) -> PyResult<Option<Dialect>> {
    if !initiator {
        return Ok(None);
    }
    let Some(wire) = config.get_item("wire")? else { return Ok(Some(Dialect::V6)) };
    match wire.extract::<String>().ok().as_deref() {
        Some("v6") => Ok(Some(Dialect::V6)),
        Some("v5") => Ok(Some(Dialect::V5)),
        _ => Err(PyValueError::new_err(format!("config \"wire\" is {wire:?}, but must be \"v6\" or \"v5\""))),
    }
}

fn dispatch(config: &Bound<'_, PyDict>) -> PyResult<Dispatch> {
    let Some(dispatch) = config.get_item("dispatch")? else { return Ok(Dispatch::CallChain) };
    match dispatch.extract::<String>().ok().as_deref() {
        Some("chain") => Ok(Dispatch::CallChain),
        Some("pool") => Ok(Dispatch::Pool),
        _ => Err(PyTypeError::new_err(format!(
            "config \"dispatch\" is {dispatch:?}, but must be \"chain\" or \"pool\""
        ))),
    }
}

impl From<CallError> for WorldError {
    fn from(error: CallError) -> Self {
        Self(from_call(error))
    }
}
