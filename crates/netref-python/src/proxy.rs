//! `BaseNetref`: what every proxy of a remote object is.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use netref::threads::{Call, Link};
use netref_core::refs::{IdPack, PackRef};
use netref_core::request::{Request, handlers};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyInt, PyList, PyString, PyTuple, PyType};

use crate::called;
use crate::connection::Connection;
use crate::host::PyHost;
use crate::method::Method;
use crate::world::Shared;

/// The class from which all proxies of remote objects derive.
///
/// Every operation on a proxy is carried out by the object's owner and is one round trip, except for the attributes in
/// `netref.core.netref.LOCAL_ATTRS`, which are the proxy's own.
#[pyclass(subclass, weakref, frozen, module = "netref.core.netref")]
pub(crate) struct BaseNetref {
    connection: Py<Connection>,
    link: Arc<Link<PyHost>>,
    pack: IdPack,
    received: AtomicU64,
    /// Twice the number of messages that have named the object to its owner; one more while this is an iterator whose owner does
    /// not know how far it has come.
    mentions: AtomicU64,
    /// This very object, once it is in the table of live proxies.
    entered_as: AtomicPtr<ffi::PyObject>,
}

/// Makes the proxy of an object that was received for the first time, and enters it in the table.
pub(crate) fn create<'py>(
    class: &Bound<'py, PyType>,
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    pack: PackRef<'_>,
) -> PyResult<Bound<'py, BaseNetref>> {
    let tuple = pack_tuple(class.py(), pack)?;
    let proxy: Bound<'py, BaseNetref> = class.call1((connection, tuple))?.cast_into()?;
    proxy.get().entered_as.store(proxy.as_ptr(), Ordering::Relaxed);
    link.host().enter(&proxy);
    Ok(proxy)
}

/// The id pack as the tuple that Python programs see.
pub(crate) fn pack_tuple<'py>(py: Python<'py>, pack: PackRef<'_>) -> PyResult<Bound<'py, PyTuple>> {
    (pack.name, pack.class, pack.instance).into_pyobject(py)
}

impl BaseNetref {
    /// What stands for the remote object's class in this process, or None. Its module may have been imported since the class
    /// of the proxy was made.
    fn describe_class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import(intern!(py, "netref.core.netref"))?;
        module.call_method1(intern!(py, "_describe_class"), (&*self.pack.name,))
    }

    pub(crate) fn pack(&self) -> &IdPack {
        &self.pack
    }

    /// The id pack, if this is a proxy of that connection.
    pub(crate) fn pack_on(&self, link: &Arc<Link<PyHost>>) -> Option<&IdPack> {
        Arc::ptr_eq(&self.link, link).then_some(&self.pack)
    }

    pub(crate) fn connection<'py>(&self, py: Python<'py>) -> &Bound<'py, Connection> {
        self.connection.bind(py)
    }

    /// Takes note that a message names the object to its owner. True if the owner has to be told first how far it has come.
    pub(crate) fn is_mentioned(&self) -> bool {
        self.mentions.fetch_add(2, Ordering::Relaxed) % 2 == 1
    }

    pub(crate) fn mentions(&self) -> u64 {
        self.mentions.load(Ordering::Relaxed) / 2
    }

    pub(crate) fn set_ahead(&self, is_ahead: bool) {
        if is_ahead {
            self.mentions.fetch_or(1, Ordering::Relaxed);
        } else {
            self.mentions.fetch_and(!1, Ordering::Relaxed);
        }
    }

    pub(crate) fn received_again(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request<'py>(
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let proxy = slf.get();
        let connection = proxy.connection.bind(slf.py());
        let mut all: Vec<&Bound<'py, PyAny>> = Vec::with_capacity(args.len() + 1);
        all.push(slf.as_any());
        all.extend_from_slice(args);
        connection.get().proxy_request(connection, handler, &all)
    }
}

impl BaseNetref {
    /// Whether an attribute that is being looked up is a method that is called at once, in the same round trip.
    fn is_one_trip(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        Ok(slf.get().connection.get().makes_one_trip_calls(py)? && called::is_looked_up_to_be_called(py))
    }

    /// Sends a request about the object, without waiting for its answer.
    pub(crate) fn start<'py>(
        slf: &Bound<'py, Self>,
        handler: i64,
        args: &[&Bound<'py, PyAny>],
    ) -> PyResult<Arc<Call<Shared>>> {
        let connection = slf.get().connection.bind(slf.py());
        let mut all: Vec<&Bound<'py, PyAny>> = Vec::with_capacity(args.len() + 1);
        all.push(slf.as_any());
        all.extend_from_slice(args);
        connection.get().start(connection, handler, &all)
    }

    /// The result of a request that was sent.
    pub(crate) fn finish<'py>(
        slf: &Bound<'py, Self>,
        call: &Arc<Call<Shared>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let connection = slf.get().connection.bind(slf.py());
        connection.get().await_call(connection, call, || Request::<()>::describe(call.handler()).to_owned())
    }
}

#[pymethods]
impl BaseNetref {
    #[new]
    pub(crate) fn new(conn: &Bound<'_, Connection>, id_pack: (PyBackedStr, i64, i64)) -> PyResult<Self> {
        let (name, class, instance) = id_pack;
        let link = conn.get().link()?.clone();
        let pack = link.host().classes().pack(PackRef { name: &name, class, instance });
        Ok(Self {
            connection: conn.clone().unbind(),
            link,
            pack,
            received: AtomicU64::new(1),
            mentions: AtomicU64::default(),
            entered_as: AtomicPtr::default(),
        })
    }

    #[getter(____conn__)]
    fn conn(&self, py: Python<'_>) -> Py<Connection> {
        self.connection.clone_ref(py)
    }

    #[getter(____id_pack__)]
    fn id_pack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        pack_tuple(py, self.pack.as_ref())
    }

    #[getter(____refcount__)]
    fn refcount(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A weak reference to the proxy, or None, as a class that is written in Python has it: not the owner's.
    #[getter(__weakref__)]
    fn weakref<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let references = slf
            .py()
            .import(intern!(slf.py(), "weakref"))?
            .call_method1(intern!(slf.py(), "getweakrefs"), (slf,))?;
        references.try_iter()?.next().transpose()
    }

    #[setter(____refcount__)]
    fn set_refcount(&self, count: u64) {
        self.received.store(count, Ordering::Relaxed);
    }

    fn __getattribute__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let text = name.to_str()?;
        match attribute(text) {
            Attribute::Remote if Self::is_one_trip(slf)? => Ok(Method::new(slf, name)?.into_any()),
            Attribute::Remote => {
                Self::request(slf, handlers::GETATTR, &[name.as_any()]).inspect_err(|error| {
                    if error.is_instance_of::<PyAttributeError>(py) {
                        DENIED.set(Some(error.clone_ref(py)));
                    }
                })
            }
            Attribute::Local => generic_getattr(slf.as_any(), name),
            Attribute::Deleted => Err(PyAttributeError::new_err(text.to_owned())),
            Attribute::Class => {
                let class = generic_getattr(slf.as_any(), name)?;
                if !class.is_none() {
                    return Ok(class);
                }
                let described = slf.get().describe_class(py)?;
                if described.is_none() {
                    return Self::request(slf, handlers::GETATTR, &[intern!(py, "__class__").as_any()]);
                }
                described.call_method1(intern!(py, "__get__"), (slf, slf.get_type()))
            }
        }
    }

    /// Asks the owner. After an `AttributeError` from `__getattribute__` it is that error again: PyO3 calls this then,
    /// and the owner's own words must not be lost.
    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match (DENIED.take(), attribute(name.to_str()?)) {
            (Some(error), _) => Err(error),
            (None, Attribute::Deleted) => Err(PyAttributeError::new_err(name.to_str()?.to_owned())),
            // Also what would be the proxy's own if it had it, such as `__dict__`, which `vars` is about.
            (None, _) => Self::request(slf, handlers::GETATTR, &[name.as_any()]),
        }
    }

    fn __setattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        match attribute(name.to_str()?) {
            Attribute::Remote => Self::request(slf, handlers::SETATTR, &[name.as_any(), value]).map(drop),
            _ => generic_setattr(slf.as_any(), name, Some(value)),
        }
    }

    fn __delattr__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<()> {
        match attribute(name.to_str()?) {
            Attribute::Remote => Self::request(slf, handlers::DELATTR, &[name.as_any()]).map(drop),
            _ => generic_setattr(slf.as_any(), name, None),
        }
    }

    fn __dir__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        Self::request(slf, handlers::DIR, &[])?
            .cast::<PyTuple>()
            .map(|names| names.to_list())
            .map_err(PyErr::from)
    }

    fn __hash__(slf: &Bound<'_, Self>) -> PyResult<isize> {
        // A proxy would have to be hashed in turn, and be answered with a proxy again, until there is no stack.
        let hash = Self::request(slf, handlers::HASH, &[])?;
        let hash =
            hash.cast_into::<PyInt>().map_err(|_| PyTypeError::new_err("the peer's hash is no integer"))?;
        hash.hash()
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::request(slf, handlers::REPR, &[])
    }

    fn __str__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::request(slf, handlers::STR, &[])
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = match op {
            CompareOp::Lt => intern!(py, "__lt__"),
            CompareOp::Le => intern!(py, "__le__"),
            CompareOp::Eq => intern!(py, "__eq__"),
            CompareOp::Ne => intern!(py, "__ne__"),
            CompareOp::Gt => intern!(py, "__gt__"),
            CompareOp::Ge => intern!(py, "__ge__"),
        };
        Self::request(slf, handlers::CMP, &[other, name.as_any()])
    }

    /// Only what was raised can be passed on: neither its type nor its traceback means anything over there.
    fn __exit__<'py>(
        slf: &Bound<'py, Self>,
        typ: &Bound<'py, PyAny>,
        exc: &Bound<'py, PyAny>,
        tb: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (typ, tb);
        Self::request(slf, handlers::CTXEXIT, &[exc])
    }

    fn __reduce_ex__<'py>(
        slf: &Bound<'py, Self>,
        proto: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        // What comes back will be unpickled here, which runs whatever the peer put into it.
        slf.get().connection.bind(py).get().require_pickle(slf.get().connection.bind(py))?;
        let pickled = Self::request(slf, handlers::PICKLE, &[proto])?;
        let loads = py.import(intern!(py, "pickle"))?.getattr(intern!(py, "loads"))?;
        PyTuple::new(py, [loads, PyTuple::new(py, [pickled])?.into_any()])
    }

    fn __instancecheck__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        if !this.pack.is_class() {
            return Err(PyTypeError::new_err(
                "isinstance() arg 2 must be a class, type, or tuple of classes and types",
            ));
        }
        let Ok(instance) = other.cast::<Self>() else {
            // A local object can only be an instance of a class that is here under the same name.
            let described = this.describe_class(py)?;
            return if described.is_none() {
                Ok(false)
            } else {
                other.is_instance(&described.getattr(intern!(py, "instance"))?)
            };
        };
        let instance = instance.get();
        if this.pack.class == instance.pack.class && Arc::ptr_eq(&this.link, &instance.link) {
            return Ok(!instance.pack.is_class());
        }
        let pack = pack_tuple(py, instance.pack.as_ref())?;
        Self::request(slf, handlers::INSTANCECHECK, &[pack.as_any()])?.is_truthy()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.connection)
    }
}

impl Drop for BaseNetref {
    fn drop(&mut self) {
        self.link.host().forget(&self.pack, *self.entered_as.get_mut());
        let count = *self.received.get_mut();
        if count > 0 {
            self.link.release(self.pack.clone(), count);
        }
    }
}

thread_local! {
    /// The `AttributeError` that `__getattribute__` has just raised in this thread, on its way through `__getattr__`.
    static DENIED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

enum Attribute {
    /// The object's own: asked of its owner.
    Remote,
    /// The proxy's own.
    Local,
    /// `__class__`: what the proxy says it is.
    Class,
    /// Hidden, for numpy would read local memory on the strength of it.
    Deleted,
}

/// Whose an attribute is. The same names as `netref.core.netref.LOCAL_ATTRS`, which a test compares.
fn attribute(name: &str) -> Attribute {
    if !name.starts_with("__") {
        return Attribute::Remote;
    }
    match name {
        "__class__" => Attribute::Class,
        "__array_struct__" | "__array_interface__" => Attribute::Deleted,
        "____conn__" | "____id_pack__" | "____refcount__" | "__cmp__" | "__del__" | "__delattr__"
        | "__dir__" | "__getattr__" | "__getattribute__" | "__hash__" | "__instancecheck__" | "__init__"
        | "__metaclass__" | "__module__" | "__new__" | "__reduce__" | "__reduce_ex__" | "__repr__"
        | "__setattr__" | "__slots__" | "__str__" | "__weakref__" | "__dict__" | "__methods__"
        | "__exit__" | "__eq__" | "__ne__" | "__lt__" | "__gt__" | "__le__" | "__ge__" | "__call__"
        | "__array__" => Attribute::Local,
        // `__doc__` is among the local names, and yet asked of the owner.
        _ => Attribute::Remote,
    }
}

fn generic_getattr<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both are valid objects for the duration of the call, and the result is a new reference or null with an
    // exception set, which is what `from_owned_ptr_or_err` takes.
    #[expect(unsafe_code, reason = "the safe API has no lookup that bypasses our own __getattribute__")]
    unsafe {
        Bound::from_owned_ptr_or_err(
            object.py(),
            ffi::PyObject_GenericGetAttr(object.as_ptr(), name.as_ptr()),
        )
    }
}

fn generic_setattr(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: all are valid objects for the duration of the call; a null value means deletion.
    #[expect(unsafe_code, reason = "the safe API has no assignment that bypasses our own __setattr__")]
    let status = unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value) };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(object.py())) }
}
