//! Python objects to and from brine and boxes.

use std::any::Any;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use bytes::Bytes;
use netref::threads::Link;
use netref_core::brine::{EncodeError, Reader, Writer};
use netref_core::payload::Place;
use netref_core::refs::{IdPack, PackRef};
use netref_core::world::{Reference, World};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{
    PyBool, PyBytes, PyComplex, PyEllipsis, PyFloat, PyFrozenSet, PyInt, PyModule, PyNone, PyNotImplemented,
    PySlice, PyString, PyTuple, PyType,
};

use crate::ahead::ContainerIterator;
use crate::connection::Connection;
use crate::copying::{self, ByValue};
use crate::errors::WorldError;
use crate::host::PyHost;
use crate::memory::{ReceivedBytes, new_bytes};
use crate::proxy::BaseNetref;
use crate::{exit, requests, user_code};

/// What the tables of a connection keep of a Python object.
#[derive(Debug)]
pub(crate) struct Shared {
    /// None once it is taken out.
    object: Option<Py<PyAny>>,
}

impl Shared {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> Self {
        Self { object: Some(object.clone().unbind()) }
    }

    pub(crate) fn into_bound(mut self, py: Python<'_>) -> Bound<'_, PyAny> {
        self.object.take().map_or_else(|| py.None().into_bound(py), |object| object.into_bound(py))
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        // Only threads that are attached accept messages, so this never waits for the interpreter.
        let object = Python::attach(|py| self.object.as_ref().map(|object| object.clone_ref(py)));
        Self { object }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            // While the interpreter shuts down it is kept: then all objects end.
            let object = ManuallyDrop::new(object);
            let _ = exit::attach(|py| user_code::release(py, ManuallyDrop::into_inner(object)));
        }
    }
}

/// The objects of one connection; or of none, for plain data.
pub(crate) struct Objects<'c, 'py> {
    pub(crate) py: Python<'py>,
    pub(crate) link: Option<&'c Arc<Link<PyHost>>>,
    pub(crate) connection: Option<&'c Bound<'py, Connection>>,
}

impl<'c, 'py> Objects<'c, 'py> {
    /// The objects of a connection.
    pub(crate) fn of(connection: &'c Bound<'py, Connection>, link: &'c Arc<Link<PyHost>>) -> Self {
        Self { py: connection.py(), link: Some(link), connection: Some(connection) }
    }

    /// Plain data, of no connection.
    pub(crate) fn plain(py: Python<'py>) -> Self {
        Self { py, link: None, connection: None }
    }

    pub(crate) fn most_collisions(&self) -> usize {
        self.link.map_or(64, |link| link.limits().max_set_collisions)
    }

    fn takes_copies(&self) -> bool {
        self.link.is_some_and(|link| link.session().features().copies)
    }

    /// Whether the configuration has all objects of its type cross as copies.
    fn is_of_copied_type(&self, object: &Bound<'py, PyAny>) -> bool {
        let settings = self.connection.and_then(|connection| connection.get().settings(self.py).ok());
        settings.is_some_and(|settings| {
            settings
                .by_value
                .as_ref()
                .is_some_and(|types| types.bind(self.py).contains(object.get_type()).unwrap_or(false))
        })
    }

    fn write_items(
        &self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        out: &mut Writer<'_>,
    ) -> Result<bool, WorldError> {
        for item in items {
            if !self.write(&item, out)? {
                return Ok(false);
            }
        }
        out.end();
        Ok(true)
    }

    fn lend(&self, link: &Arc<Link<PyHost>>, object: &Bound<'py, PyAny>) -> Result<IdPack, WorldError> {
        let identity = address(object);
        if let Some(pack) = link.session().exports().lend_again(identity) {
            return Ok(pack);
        }
        // Everything that may run user code comes before the session is locked.
        let shared = Shared::new(object);
        if object.is_instance_of::<PyType>() {
            let name = name_of(object)?;
            let kept = Shared::new(object);
            let mut session = link.session();
            let exports = session.exports();
            exports.register_class(identity, &name, kept);
            return Ok(exports.lend_class(identity, shared)?);
        }
        let class = object.get_type();
        let class_identity = address(&class);
        let known = link.session().exports().knows_class(class_identity);
        let is_plain = !object.is_instance_of::<PyModule>()
            && !object.is_instance_of::<BaseNetref>()
            && object.getattr(intern!(self.py, "__class__")).is_ok_and(|seen| seen.is(&class));
        // A module has a name of its own, and an object may say that it is of another class.
        let name = if is_plain { None } else { Some(name_of(object)?) };
        let class_name = if known { String::new() } else { name_of_class(&class)? };
        let kept = Shared::new(class.as_any());
        let mut session = link.session();
        let exports = session.exports();
        exports.register_class(class_identity, &class_name, kept);
        let pack = exports.lend(identity, class_identity, name.as_deref(), shared)?;
        let is_to_be_described = !known && session.describes();
        drop(session);
        // A program that answers INSPECT itself is to be asked.
        if is_to_be_described
            && let Some(connection) = self.connection
            && !connection.get().has_own_steps()
        {
            requests::describe(connection, link, object, &pack)?;
        }
        Ok(pack)
    }
}

/// `module.Class` of an object, as the package's `get_id_pack` names it.
fn name_of(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = object.py();
    let lib = py.import(intern!(py, "netref.lib"))?;
    let pack = lib.call_method1(intern!(py, "get_id_pack"), (object,))?;
    pack.get_item(0)?.extract()
}

fn name_of_class(class: &Bound<'_, PyType>) -> PyResult<String> {
    let py = class.py();
    let (module, name) = (class.getattr(intern!(py, "__module__"))?, class.getattr(intern!(py, "__name__"))?);
    Ok(format!("{}.{}", module.str()?.to_cow()?, name.str()?.to_cow()?))
}

/// Refuses items that a set would have to compare each with each. Python's hashes of numbers are no secret.
pub(crate) fn check_collisions(items: &[Bound<'_, PyAny>], most: usize) -> PyResult<()> {
    if items.len() <= most {
        return Ok(());
    }
    let mut counts: HashMap<isize, usize> = HashMap::with_capacity(items.len());
    for item in items {
        let count = counts.entry(item.hash()?).or_default();
        *count += 1;
        if *count > most {
            return Err(PyValueError::new_err(format!(
                "more than {most} items of a set or dictionary have the same hash (limit max_set_collisions)"
            )));
        }
    }
    Ok(())
}

/// Writes bytes. Large ones are kept until they are sent, and not copied.
fn write_bytes(value: &Bound<'_, PyBytes>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    out.shared_bytes(value.as_bytes(), || Bytes::from_owner(PyBackedBytes::from(value.clone())))
}

/// What tells objects apart while they live.
fn address(object: &Bound<'_, impl Sized>) -> u64 {
    object.as_ptr() as u64
}

impl<'py> World for Objects<'_, 'py> {
    type Object = Bound<'py, PyAny>;
    type Shared = Shared;
    type Error = WorldError;

    fn write(&self, object: &Bound<'py, PyAny>, out: &mut Writer<'_>) -> Result<bool, WorldError> {
        // Only exact types are plain data: a subclass has behaviour of its own.
        if let Ok(text) = object.cast_exact::<PyString>() {
            out.str(text.to_str()?)?;
        } else if object.is_exact_instance_of::<PyInt>() {
            match object.extract::<i64>() {
                Ok(value) => out.int(value),
                Err(_) => out.big_int(object.str()?.to_str()?)?,
            }
        } else if object.is_none() {
            out.none();
        } else if let Ok(value) = object.cast_exact::<PyTuple>() {
            out.begin_tuple(value.len())?;
            return self.write_items(value.iter(), out);
        } else if let Ok(value) = object.cast_exact::<PyBool>() {
            out.bool(value.is_true());
        } else if let Ok(value) = object.cast_exact::<PyFloat>() {
            out.float(value.value());
        } else if let Ok(value) = object.cast_exact::<PyBytes>() {
            write_bytes(value, out)?;
        } else if let Ok(value) = object.cast_exact::<PyComplex>() {
            out.complex(value.real(), value.imag());
        } else if let Ok(value) = object.cast_exact::<PyFrozenSet>() {
            out.begin_frozenset(value.len())?;
            return self.write_items(value.iter(), out);
        } else if let Ok(value) = object.cast_exact::<PySlice>() {
            let part = |name| value.getattr(name);
            let parts = [part("start")?, part("stop")?, part("step")?];
            out.begin_slice()?;
            return self.write_items(parts.into_iter(), out);
        } else if object.is_exact_instance_of::<PyNotImplemented>() {
            out.not_implemented();
        } else if object.is_exact_instance_of::<PyEllipsis>() {
            out.ellipsis();
        } else if self.link.is_some()
            && let Ok(marked) = object.cast_exact::<ByValue>()
        {
            return self.write(marked.get().object.bind(self.py), out);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn tuple_items(&self, object: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
        let object = match object.cast_exact::<ByValue>() {
            Ok(marked) if !self.takes_copies() => marked.get().object.bind(self.py),
            _ => object,
        };
        Some(object.cast_exact::<PyTuple>().ok()?.iter().collect())
    }

    fn is_copied(&self, object: &Bound<'py, PyAny>) -> bool {
        (object.is_exact_instance_of::<ByValue>() || self.is_of_copied_type(object)) && self.takes_copies()
    }

    fn write_copy(&self, object: &Bound<'py, PyAny>, out: &mut Writer<'_>) -> Result<(), WorldError> {
        let Some(connection) = self.connection else { return Err(WorldError::not_plain(object)) };
        copying::write(connection, object, out)
    }

    fn read_copy(&self, reader: &mut Reader<'_>) -> Result<Bound<'py, PyAny>, WorldError> {
        copying::read(self, reader)
    }

    fn refer(&self, object: &Bound<'py, PyAny>) -> Result<Reference, WorldError> {
        let Some(link) = self.link else {
            return Err(WorldError::not_plain(object));
        };
        let object = match object.cast_exact::<ByValue>() {
            Ok(marked) => marked.get().object.bind(self.py),
            Err(_) => object,
        };
        if let Ok(proxy) = object.cast::<BaseNetref>()
            && let Some(pack) = proxy.get().pack_on(link)
        {
            if proxy.get().is_mentioned() {
                ContainerIterator::catch_up(proxy)?;
            }
            return Ok(Reference::Theirs(pack.clone()));
        }
        Ok(Reference::Lent(self.lend(link, object)?))
    }

    fn own(&self, shared: Shared) -> Bound<'py, PyAny> {
        shared.into_bound(self.py)
    }

    fn proxy(&self, pack: PackRef<'_>) -> Result<Bound<'py, PyAny>, WorldError> {
        match (self.connection, self.link) {
            (Some(connection), Some(link)) => Ok(link.host().proxy(connection, link, pack)?),
            _ => Err(WorldError::unexpected_reference()),
        }
    }

    fn none(&self) -> Bound<'py, PyAny> {
        PyNone::get(self.py).to_owned().into_any()
    }

    fn not_implemented(&self) -> Bound<'py, PyAny> {
        PyNotImplemented::get(self.py).to_owned().into_any()
    }

    fn ellipsis(&self) -> Bound<'py, PyAny> {
        PyEllipsis::get(self.py).to_owned().into_any()
    }

    fn bool(&self, value: bool) -> Bound<'py, PyAny> {
        PyBool::new(self.py, value).to_owned().into_any()
    }

    fn int(&self, value: i64) -> Bound<'py, PyAny> {
        PyInt::new(self.py, value).into_any()
    }

    fn big_int(&self, decimal: &str) -> Result<Bound<'py, PyAny>, WorldError> {
        Ok(self.py.get_type::<PyInt>().call1((decimal,))?)
    }

    fn float(&self, value: f64) -> Bound<'py, PyAny> {
        PyFloat::new(self.py, value).into_any()
    }

    fn complex(&self, real: f64, imag: f64) -> Bound<'py, PyAny> {
        PyComplex::from_doubles(self.py, real, imag).into_any()
    }

    fn bytes(&self, value: &[u8]) -> Result<Bound<'py, PyAny>, WorldError> {
        Ok(new_bytes(self.py, value)?.into_any())
    }

    fn landed_bytes(&self, place: &dyn Place) -> Result<Bound<'py, PyAny>, WorldError> {
        let received = (place as &dyn Any).downcast_ref::<ReceivedBytes>();
        match received.and_then(|received| received.object(self.py)) {
            Some(bytes) => Ok(bytes.into_any()),
            None => self.bytes(place.as_ref()),
        }
    }

    fn str(&self, value: &str) -> Result<Bound<'py, PyAny>, WorldError> {
        Ok(PyString::new(self.py, value).into_any())
    }

    fn tuple(&self, items: Vec<Bound<'py, PyAny>>) -> Result<Bound<'py, PyAny>, WorldError> {
        Ok(PyTuple::new(self.py, items)?.into_any())
    }

    fn frozenset(&self, items: Vec<Bound<'py, PyAny>>) -> Result<Bound<'py, PyAny>, WorldError> {
        let most = self.most_collisions();
        check_collisions(&items, most)?;
        Ok(PyFrozenSet::new(self.py, items)?.into_any())
    }

    fn slice(
        &self,
        start: Bound<'py, PyAny>,
        stop: Bound<'py, PyAny>,
        step: Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>, WorldError> {
        Ok(self.py.get_type::<PySlice>().call1((start, stop, step))?)
    }
}
