//! `netref._netref`: Python objects as an object world of the protocol, over the thread driver.
//!
//! | module | what it is |
//! |---|---|
//! | [`world`] | Python objects to and from brine and boxes |
//! | [`host`] | a connection's Python side: its proxies, and what its threads need of the interpreter |
//! | [`requests`] | what a peer asks for, carried out on Python objects |
//! | [`connection`] | `_netref.Connection`, the base class of `netref.core.protocol.Connection` |
//! | [`batch`] | many calls in few writes |
//! | [`copying`] | copies by value |
//! | [`proxy`] | `BaseNetref` |
//! | [`ahead`] | iterating over a peer's containers with few round trips |
//! | [`called`], [`method`] | `proxy.method(x)` in one round trip |
//! | [`settings`] | a connection's live configuration, as requests want to know it |
//! | [`stats`] | what a connection has done so far |
//! | [`result`] | `AsyncResult` |
//! | [`coroutines`] | what event loops need: requests that do not block, and coroutines that a peer calls |
//! | [`steps`] | the steps that a message goes through, for connections whose programs have replaced some |
//! | [`transports`], [`stream`], [`tls`] | what connections run over |
//! | [`user_code`] | calls into a program's own code, which the end of the interpreter may cut short |
//! | [`timeouts`] | limits on the calls in a block |
//! | [`green`] | programs that gevent has patched |
//! | [`exit`] | the end of the interpreter |
//! | [`memory`] | large memory in huge pages |
//! | [`errors`] | errors of the driver and the wire as Python exceptions, and back |
//! | [`calls`] | calls, for the methods of proxies' classes |
//! | [`brine`] | `dump` and `load` |
//!
//! Everything here runs with the interpreter attached, except what is inside [`Host::blocking`](netref::threads::Host):
//! that is where threads truly sleep.

mod ahead;
mod batch;
mod brine;
mod called;
mod calls;
mod classes;
mod connection;
mod copying;
mod coroutines;
mod errors;
mod exit;
mod grants;
mod green;
mod host;
mod limits;
mod memory;
mod method;
mod policy;
mod proxy;
mod requests;
mod result;
mod settings;
mod stats;
mod steps;
mod stream;
mod timeouts;
mod tls;
mod transports;
mod user_code;
mod world;

use pyo3::exceptions::{PyImportError, PyMemoryError};
use pyo3::prelude::*;

/// The module `netref._netref`.
#[pymodule]
fn _netref(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // From Python 3.12 on, the interpreter refuses by itself.
    // SAFETY: asks for the number of the interpreter that the calling thread is attached to.
    #[expect(unsafe_code, reason = "PyO3 has no question for it")]
    let interpreter = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    if interpreter != 0 {
        return Err(PyImportError::new_err(
            "module netref._netref does not support loading in subinterpreters",
        ));
    }
    module.add_class::<connection::Connection>()?;
    module.add_class::<proxy::BaseNetref>()?;
    module.add_class::<ahead::ContainerIterator>()?;
    module.add_class::<result::AsyncResult>()?;
    module.add_class::<batch::Batch>()?;
    module.add_class::<batch::Target>()?;
    module.add_class::<settings::Changes>()?;
    module.add_class::<copying::ByValue>()?;
    module.add_class::<copying::ByValueFunction>()?;
    module.add_function(wrap_pyfunction!(copying::copy, module)?)?;
    module.add_function(wrap_pyfunction!(copying::pickled::plain_from_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(calls::call, module)?)?;
    module.add_function(wrap_pyfunction!(calls::call_method, module)?)?;
    module.add_function(wrap_pyfunction!(calls::start_call, module)?)?;
    coroutines::prepare(module.py())?;
    module.add_class::<coroutines::Served>()?;
    module.add_function(wrap_pyfunction!(coroutines::post, module)?)?;
    module.add_function(wrap_pyfunction!(coroutines::when_there_is_room, module)?)?;
    module.add_function(wrap_pyfunction!(brine::dump, module)?)?;
    module.add_function(wrap_pyfunction!(brine::load, module)?)?;
    module.add_function(wrap_pyfunction!(brine::dumpable, module)?)?;
    module.add_function(wrap_pyfunction!(limits::limits, module)?)?;
    module.add_function(wrap_pyfunction!(steps::check_attr, module)?)?;
    module.add_function(wrap_pyfunction!(steps::lent, module)?)?;
    module.add_function(wrap_pyfunction!(steps::make_proxy, module)?)?;
    module.add_function(wrap_pyfunction!(steps::perform, module)?)?;
    module.add_function(wrap_pyfunction!(steps::received, module)?)?;
    module.add_function(wrap_pyfunction!(steps::refer, module)?)?;
    module.add_function(wrap_pyfunction!(steps::send, module)?)?;
    module.add_function(wrap_pyfunction!(steps::take_back, module)?)?;
    module.add_function(wrap_pyfunction!(steps::take_number, module)?)?;
    module.add_function(wrap_pyfunction!(is_serving, module)?)?;
    module.add_class::<Room>()?;
    netref::threads::follow_forks();
    module.add_function(wrap_pyfunction!(forked, module)?)?;
    module.add_function(wrap_pyfunction!(prepare_fork, module)?)?;
    module.add_function(wrap_pyfunction!(timeouts::watch_limits, module)?)?;
    module.add_function(wrap_pyfunction!(exit::prepare_exit, module)?)?;
    module.add("SAFE_ATTRS", netref_core::policy::SAFE_ATTRIBUTES.to_vec())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

/// Whether the calling thread is carrying out a request of some peer.
#[pyfunction]
fn is_serving() -> bool {
    netref::threads::is_serving()
}

/// For how many clients of a server there is room.
#[pyclass(frozen, module = "netref._netref")]
struct Room(netref::threads::Room);

#[pymethods]
impl Room {
    #[new]
    fn new() -> Self {
        Self(netref::threads::Room::for_clients())
    }

    /// Checks that there is memory for one more beside so many.
    ///
    /// :raises MemoryError: if there is none
    fn check_one_more(&self, others: usize) -> PyResult<()> {
        let room = self.0.check_one_more(others);
        room.map_err(|_| PyMemoryError::new_err("there is no memory for one more client"))
    }
}

/// To be called in a forked child.
#[pyfunction]
fn forked() {
    netref::threads::follow_forks();
}

/// To be called right before the process forks.
#[pyfunction]
fn prepare_fork() {
    netref::threads::prepare_fork();
}
