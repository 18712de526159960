//! A connection's Python side: its proxies, and what its threads need of the interpreter.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use netref::threads::{Closed, Host, Interrupted, Link};
use netref_core::message::Inbound;
use netref_core::payload::Place;
use netref_core::refs::{IdPack, PackRef, give_room_back};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use crate::classes::ProxyClasses;
use crate::connection::Connection;
use crate::memory::ReceivedBytes;
use crate::proxy::BaseNetref;
use crate::world::Shared;
use crate::{exit, green, proxy, requests, user_code};

/// Python objects as the thread driver's host.
#[derive(Default)]
pub(crate) struct PyHost {
    /// Weak, since the connection owns the link that owns this.
    connection: OnceLock<Py<PyWeakrefReference>>,
    /// A `netref.core.green.Hub`, for a connection whose program waits in greenlets.
    hub: OnceLock<Py<PyAny>>,
    proxies: Mutex<HashMap<i64, ProxyPointer>>,
    classes: ProxyClasses,
}

/// Where a live proxy is. The proxy takes itself out of the table when it is deallocated, before its memory goes.
#[derive(Clone, Copy)]
struct ProxyPointer(NonNull<pyo3::ffi::PyObject>);

// SAFETY: the pointer is only followed in `PyHost::live_proxy`, by a thread that is attached to the interpreter.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Send for ProxyPointer {}

impl PyHost {
    pub(crate) fn attach_to(&self, connection: &Bound<'_, Connection>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(connection)?;
        // A connection is attached once, right after its link is made.
        let _ = self.connection.set(weak.unbind());
        Ok(())
    }

    /// Has waiting and requests of the peer be the business of a `netref.core.green.Hub`, from the start.
    pub(crate) fn run_under(&self, hub: &Bound<'_, PyAny>) {
        let _ = self.hub.set(hub.clone().unbind());
    }

    pub(crate) fn hub(&self) -> Option<&Py<PyAny>> {
        self.hub.get()
    }

    /// The connection, unless it is being deallocated.
    pub(crate) fn connection<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Connection>> {
        let object = PyWeakrefMethods::upgrade(self.connection.get()?.bind(py))?;
        object.cast_into().ok()
    }

    /// The proxy of the peer's object named `pack`, which was received once more. A class not met before costs one round
    /// trip, to learn its methods.
    pub(crate) fn proxy<'py>(
        &self,
        connection: &Bound<'py, Connection>,
        link: &Arc<Link<Self>>,
        pack: PackRef<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = connection.py();
        if let Some(proxy) = self.live_proxy(py, pack) {
            proxy.get().received_again();
            return Ok(proxy.into_any());
        }
        let class = self.classes.get(connection, pack)?;
        // While the class was asked for, another thread may have received the same object.
        if let Some(proxy) = self.live_proxy(py, pack) {
            proxy.get().received_again();
            return Ok(proxy.into_any());
        }
        let proxy = proxy::create(&class, connection, link, pack)?;
        Ok(proxy.into_any())
    }

    pub(crate) fn enter(&self, proxy: &Bound<'_, BaseNetref>) {
        let Some(pointer) = NonNull::new(proxy.as_ptr()) else { return };
        self.proxies().insert(proxy.get().pack().as_ref().number(), ProxyPointer(pointer));
    }

    /// Called while the proxy at `pointer` is deallocated.
    pub(crate) fn forget(&self, pack: &IdPack, pointer: *mut pyo3::ffi::PyObject) {
        let mut proxies = self.proxies();
        let number = pack.as_ref().number();
        if proxies.get(&number).is_some_and(|entry| entry.0.as_ptr() == pointer) {
            proxies.remove(&number);
            give_room_back(&mut proxies);
        }
    }

    pub(crate) fn live_proxy<'py>(
        &self,
        py: Python<'py>,
        pack: PackRef<'_>,
    ) -> Option<Bound<'py, BaseNetref>> {
        let pointer = self.proxies().get(&pack.number())?.0.as_ptr();
        // SAFETY: an entry is removed while its object is deallocated, before the memory is freed (`forget`, called from
        // the `Drop` of `BaseNetref`), and we are attached, so nothing is deallocated meanwhile: the pointer is good to
        // read. A reference count of zero means that deallocation has begun, and the object must not be revived.
        #[expect(unsafe_code, reason = "see above")]
        let object = unsafe {
            if pyo3::ffi::Py_REFCNT(pointer) == 0 {
                return None;
            }
            Bound::from_borrowed_ptr(py, pointer)
        };
        let proxy: Bound<'_, BaseNetref> = object.cast_into().ok()?;
        (proxy.get().pack().as_ref() == pack).then_some(proxy)
    }

    /// All live proxies.
    pub(crate) fn live_proxies<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, BaseNetref>> {
        let live = |pointer: &ProxyPointer| {
            let pointer = pointer.0.as_ptr();
            // SAFETY: as in `live_proxy`.
            #[expect(unsafe_code, reason = "see above")]
            let object = unsafe {
                if pyo3::ffi::Py_REFCNT(pointer) == 0 {
                    return None;
                }
                Bound::from_borrowed_ptr(py, pointer)
            };
            object.cast_into().ok()
        };
        self.proxies().values().filter_map(live).collect()
    }

    pub(crate) fn classes(&self) -> &ProxyClasses {
        &self.classes
    }

    fn proxies(&self) -> MutexGuard<'_, HashMap<i64, ProxyPointer>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for PyHost {
    type Shared = Shared;

    fn handle(&self, link: &Arc<Link<Self>>, request: Inbound<Shared>) -> Result<(), Interrupted> {
        let handled = exit::attach(|py| {
            if let Some(hub) = self.hub() {
                green::handle(py, hub, link, request);
                return Ok(());
            }
            // A connection that is being deallocated ends, and its peer with it.
            let Some(connection) = self.connection(py) else { return Ok(()) };
            requests::handle(&connection, link, request).map_err(|error| {
                interrupt(error);
                Interrupted
            })
        });
        // A process that shuts down serves nobody any more.
        handled.unwrap_or(Ok(()))
    }

    fn ended(&self, _link: &Arc<Link<Self>>, closed: &Closed) {
        // A process that shuts down has nobody left to tell.
        let _ = exit::attach(|py| {
            let Some(connection) = self.connection(py) else { return };
            let reason = closed.to_string();
            let told = match self.hub() {
                Some(hub) => connection
                    .getattr(intern!(py, "_on_ended"))
                    .and_then(|told| hub.bind(py).call_method1(intern!(py, "spawn"), (told, reason))),
                None => connection
                    .getattr(intern!(py, "_on_ended"))
                    .and_then(|told| user_code::call(&told, &(reason,).into_pyobject(py)?, None)),
            };
            if let Err(error) = told {
                error.write_unraisable(py, Some(connection.as_any()));
            }
        });
    }

    fn blocking<R: Send>(&self, wait: impl FnOnce() -> R + Send) -> R {
        Python::attach(|py| exit::detach(py, wait))
    }

    fn on_driver_thread(&self, work: impl FnOnce()) {
        // None while the interpreter shuts down: there is nothing left to do for anybody then.
        let _ = exit::attach(|_| {
            work();
            // What ends a wait elsewhere ends nothing here.
            drop(INTERRUPT.take());
        });
    }

    fn place(&self, len: usize) -> Option<Box<dyn Place>> {
        Some(Box::new(ReceivedBytes::new(len)?))
    }

    fn heeds_signals(&self) -> bool {
        // Python handles signals in its main thread alone.
        thread_local! {
            static IS_MAIN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
        }
        let process = std::process::id();
        match IS_MAIN.get() {
            Some((known_in, is_main)) if known_in == process => is_main,
            _ => {
                let is_main = Python::attach(is_main_thread).unwrap_or(true);
                IS_MAIN.set(Some((process, is_main)));
                is_main
            }
        }
    }

    fn check_signals(&self) -> Result<(), Interrupted> {
        if INTERRUPT.with_borrow(Option::is_some) {
            return Err(Interrupted);
        }
        Python::attach(|py| py.check_signals()).map_err(|error| {
            INTERRUPT.set(Some(error));
            Interrupted
        })
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?.getattr(intern!(py, "ident"))?;
    main.eq(threading.call_method0(intern!(py, "get_ident"))?)
}

thread_local! {
    /// What a signal handler raised in a wait of this thread, on its way up through the driver.
    static INTERRUPT: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Has the wait that this thread is in end with an exception, once what it is doing has returned as interrupted.
pub(crate) fn interrupt(error: PyErr) {
    INTERRUPT.set(Some(error));
}

/// The exception of a wait that was interrupted.
pub(crate) fn take_interrupt() -> PyErr {
    INTERRUPT.take().unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
}
