//! A method of a remote object between being looked up and being called.
//!
//! `proxy.method(x)` is one round trip: nothing is sent for the look-up, and the call looks up and calls. To the owner that is
//! the same as a look-up followed by a call as long as nothing else comes between. Where something does, as the request in
//! `proxy.method(other.value())`, the look-up is sent ahead of it, without waiting for the answer.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use netref::threads::Call;
use netref_core::request::handlers;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::calls;
use crate::proxy::BaseNetref;
use crate::world::Shared;

thread_local! {
    /// Methods that this thread has looked up and not called yet, and whose look-up is not sent.
    static WAITING: RefCell<Vec<Py<Method>>> = const { RefCell::new(Vec::new()) };
}

/// What `proxy.method` is for the moment until it is called.
#[pyclass(frozen, module = "netref._netref")]
pub(crate) struct Method {
    proxy: Py<BaseNetref>,
    name: Py<PyString>,
    /// The look-up, if it was sent ahead.
    lookup: Mutex<Option<Arc<Call<Shared>>>>,
}

impl Method {
    pub(crate) fn new<'py>(
        proxy: &Bound<'py, BaseNetref>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, Self>> {
        let method =
            Self { proxy: proxy.clone().unbind(), name: name.clone().unbind(), lookup: Mutex::default() };
        let method = Bound::new(proxy.py(), method)?;
        WAITING.with_borrow_mut(|waiting| waiting.push(method.clone().unbind()));
        Ok(method)
    }

    /// Sends the look-ups of this thread's methods that are not called yet, ahead of another request.
    pub(crate) fn look_up_waiting(py: Python<'_>) {
        if WAITING.with_borrow(Vec::is_empty) {
            return;
        }
        for method in WAITING.take() {
            let method = method.bind(py).get();
            // If it cannot be sent, neither can the call, which then says so.
            if let Ok(call) =
                BaseNetref::start(method.proxy.bind(py), handlers::GETATTR, &[method.name.bind(py)])
            {
                *method.lookup.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
            }
        }
    }

    fn is_waiting_no_more(slf: &Bound<'_, Self>) {
        WAITING.with_borrow_mut(|waiting| {
            // Nearly always the last.
            if let Some(index) = waiting.iter().rposition(|method| method.as_ptr() == slf.as_ptr()) {
                waiting.remove(index);
            }
        });
    }
}

#[pymethods]
impl Method {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Self::is_waiting_no_more(slf);
        let this = slf.get();
        let lookup = this.lookup.lock().unwrap_or_else(PoisonError::into_inner).take();
        let proxy = this.proxy.bind(py);
        match lookup {
            None => calls::call_looked_up(proxy, this.name.bind(py), args, kwargs),
            Some(call) => BaseNetref::finish(proxy, &call)?.call(args, kwargs),
        }
    }
}
