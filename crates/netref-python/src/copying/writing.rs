//! Python objects to copies.

use netref_core::brine::Writer;
use netref_core::copy::{
    BYTEARRAY, DICT, FROZENSET, LIST, MAX_KEYS, MAX_SHAPES, NAMED, RECORD, SET, SHAPE, SLICE, TUPLE,
};
use netref_core::policy::Access;
use netref_core::world::World;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyCFunction, PyDict, PyFrozenSet, PyList, PyMemoryView, PySet, PySlice, PyString, PyTuple,
    PyType,
};

use super::ByValue;
use crate::connection::Connection;
use crate::errors::WorldError;
use crate::memory::copy_of;
use crate::policy::Policy;
use crate::world::Objects;

type Written = Result<(), WorldError>;

/// Writes one copy.
pub(super) struct Copier<'c, 'py> {
    connection: &'c Bound<'py, Connection>,
    world: Objects<'c, 'py>,
    /// Whether the attribute policy decides.
    is_judged: bool,
    /// Types of containers that the peer may read the items of.
    readable: Vec<Bound<'py, PyType>>,
    /// What reads an attribute as the peer may.
    getter: Option<Bound<'py, PyAny>>,
    /// Addresses of the containers that are being written, one inside the other.
    open: Vec<usize>,
    shapes: Vec<Vec<Bound<'py, PyString>>>,
    last_shape: usize,
    /// Where the copy is too long.
    end: usize,
    max: usize,
}

impl<'c, 'py> Copier<'c, 'py> {
    pub(super) fn new(
        connection: &'c Bound<'py, Connection>,
        is_judged: bool,
        out: &Writer<'_>,
    ) -> PyResult<Self> {
        let max = connection.get().link()?.limits().max_copy;
        Ok(Self {
            connection,
            world: Objects::plain(connection.py()),
            is_judged,
            readable: Vec::new(),
            getter: None,
            open: Vec::new(),
            shapes: Vec::new(),
            last_shape: 0,
            end: out.position().saturating_add(max),
            max,
        })
    }

    pub(super) fn write(&mut self, object: &Bound<'py, PyAny>, out: &mut Writer<'_>) -> Written {
        if out.position() > self.end {
            let max = self.max;
            return Err(PyValueError::new_err(format!(
                "the copy is longer than {max} bytes (limit max_copy)"
            ))
            .into());
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.container(object, |copier| copier.write_dict(dict, out))
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            self.container(object, |copier| copier.write_items(LIST, list.len(), list.iter(), out))
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.unjudged(object, |copier| copier.write_items(TUPLE, tuple.len(), tuple.iter(), out))
        } else if object.is_exact_instance_of::<PySet>() {
            self.container(object, |copier| copier.write_set(SET, object, out))
        } else if object.is_exact_instance_of::<PyFrozenSet>() {
            self.unjudged(object, |copier| copier.write_set(FROZENSET, object, out))
        } else if let Ok(slice) = object.cast_exact::<PySlice>() {
            let parts = [slice.getattr("start")?, slice.getattr("stop")?, slice.getattr("step")?];
            self.unjudged(object, |copier| copier.write_items(SLICE, 3, parts.into_iter(), out))
        } else if self.world.write(object, out)? {
            Ok(())
        } else if object.is_exact_instance_of::<PyByteArray>() {
            self.container(object, |_| write_bytearray(object, out))
        } else if let Ok(marked) = object.cast_exact::<ByValue>() {
            self.write(marked.get().object.bind(object.py()), out)
        } else {
            self.unjudged(object, |copier| copier.write_named(object, out))
        }
    }

    /// Writes what the peer could read the items of by itself.
    fn container(&mut self, object: &Bound<'py, PyAny>, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if self.is_judged && !self.readable.iter().any(|class| class.is(object.get_type())) {
            let policy = Policy { connection: self.connection };
            policy.resolve(Access::Get, object, intern!(object.py(), "__iter__"))?;
            policy.resolve(Access::Get, object, intern!(object.py(), "__getitem__"))?;
            self.readable.push(object.get_type());
        }
        self.unjudged(object, write)
    }

    fn unjudged(&mut self, object: &Bound<'py, PyAny>, write: impl FnOnce(&mut Self) -> Written) -> Written {
        let address = object.as_ptr() as usize;
        if self.open.contains(&address) {
            let class = object.get_type();
            return Err(PyValueError::new_err(format!("cannot copy a {class} that contains itself")).into());
        }
        self.open.push(address);
        write(self)?;
        self.open.pop();
        Ok(())
    }

    fn write_items(
        &mut self,
        kind: i64,
        len: usize,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        out: &mut Writer<'_>,
    ) -> Written {
        out.begin_tuple(len + 1)?;
        out.int(kind);
        let mut count = 0;
        for item in items.take(len) {
            self.write(&item, out)?;
            count += 1;
        }
        out.end();
        if count == len { Ok(()) } else { Err(changed()) }
    }

    fn write_set(&mut self, kind: i64, set: &Bound<'py, PyAny>, out: &mut Writer<'_>) -> Written {
        let items = set.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        self.write_items(kind, items.len(), items.into_iter(), out)
    }

    fn write_dict(&mut self, dict: &Bound<'py, PyDict>, out: &mut Writer<'_>) -> Written {
        let len = dict.len();
        let number = self.shape_of(dict);
        let is_new = number == Some(self.shapes.len());
        if is_new {
            self.shapes.push(Items::of(dict).filter_map(|(key, _)| key.cast_into().ok()).collect());
        }
        match number {
            None => {
                out.begin_tuple(2 * len + 1)?;
                out.int(DICT);
            }
            Some(number) if is_new => {
                out.begin_tuple(len + 2)?;
                out.int(SHAPE);
                out.begin_tuple(len)?;
                for key in &self.shapes[number] {
                    out.str(key.to_str()?)?;
                }
                out.end();
            }
            Some(number) => {
                out.begin_tuple(len + 2)?;
                out.int(RECORD);
                out.int(number as i64);
            }
        }
        let mut count = 0;
        for (key, value) in Items::of(dict).take(len) {
            match number {
                None => self.write(&key, out)?,
                // User code may run between two items, and change the keys.
                Some(number) if !self.shapes[number][count].is(&key) => return Err(changed()),
                Some(_) => {}
            }
            self.write(&value, out)?;
            count += 1;
        }
        out.end();
        if count == len && dict.len() == len { Ok(()) } else { Err(changed()) }
    }

    /// The number of the keys of a dictionary; the next one if they have none yet and are to get it.
    fn shape_of(&mut self, dict: &Bound<'py, PyDict>) -> Option<usize> {
        let len = dict.len();
        let is = |shape: &Vec<Bound<'py, PyString>>| {
            shape.len() == len && Items::of(dict).zip(shape).all(|((key, _), known)| known.is(&key))
        };
        if self.shapes.get(self.last_shape).is_some_and(is) {
            return Some(self.last_shape);
        }
        if let Some(number) = self.shapes.iter().position(is) {
            self.last_shape = number;
            return Some(number);
        }
        let is_shape = (1..=MAX_KEYS).contains(&len)
            && self.shapes.len() < MAX_SHAPES
            && Items::of(dict).all(|(key, _)| key.is_exact_instance_of::<PyString>());
        is_shape.then_some(self.shapes.len())
    }

    /// Anything else, if `netref.core.values` has a name for it.
    fn write_named(&mut self, object: &Bound<'py, PyAny>, out: &mut Writer<'_>) -> Written {
        let py = object.py();
        let getter = match &self.getter {
            Some(getter) => getter.clone(),
            None => self.getter.insert(self.make_getter(py)?).clone(),
        };
        let parts = py
            .import(intern!(py, "netref.core.values"))?
            .call_method1(intern!(py, "_take_apart"), (object, getter))?;
        let parts: Bound<'py, PyTuple> = parts.cast_into().map_err(PyErr::from)?;
        if parts.is_empty() {
            let class = object.get_type().fully_qualified_name()?;
            return Err(PyTypeError::new_err(format!("cannot copy a {class}: it is no plain data")).into());
        }
        out.begin_tuple(parts.len() + 1)?;
        out.int(NAMED);
        for part in parts {
            // Only those of an array are one of these, which is to become memory that can be written to.
            match part.cast_exact::<PyMemoryView>() {
                Ok(memory) => write_bytearray(memory.as_any(), out)?,
                Err(_) => self.write(&part, out)?,
            }
        }
        out.end();
        Ok(())
    }

    fn make_getter(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if !self.is_judged {
            return py.import(intern!(py, "builtins"))?.getattr(intern!(py, "getattr"));
        }
        let connection = self.connection.clone().unbind();
        let getter = PyCFunction::new_closure(py, None, None, move |args, _| -> PyResult<Py<PyAny>> {
            let py = args.py();
            let connection = connection.bind(py);
            Ok(Policy { connection }.get(&args.get_item(0)?, &args.get_item(1)?)?.unbind())
        })?;
        Ok(getter.into_any())
    }
}

fn write_bytearray(object: &Bound<'_, PyAny>, out: &mut Writer<'_>) -> Written {
    let bytes = copy_of(&PyMemoryView::from(object)?)?;
    out.begin_tuple(2)?;
    out.int(BYTEARRAY);
    out.shared_bytes(&bytes, || bytes.clone())?;
    out.end();
    Ok(())
}

fn changed() -> WorldError {
    PyRuntimeError::new_err("a container was changed while it was copied").into()
}

/// The items of a dictionary. Changing it meanwhile is harmless, but what comes then is any of its items.
struct Items<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    at: ffi::Py_ssize_t,
}

impl<'a, 'py> Items<'a, 'py> {
    fn of(dict: &'a Bound<'py, PyDict>) -> Self {
        Self { dict, at: 0 }
    }
}

impl<'py> Iterator for Items<'_, 'py> {
    type Item = (Bound<'py, PyAny>, Bound<'py, PyAny>);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        let py = self.dict.py();
        // SAFETY: it is a dictionary, and `at` is 0 or what an earlier call left there; a position beyond the end of a
        // dictionary that has shrunk ends the iteration. The two references are borrowed from the dictionary, which nobody
        // can change before they are made our own, for we are attached and call nothing between.
        #[expect(
            unsafe_code,
            reason = "PyO3's iterator panics if the dictionary is changed, which user code may do"
        )]
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &raw mut self.at, &raw mut key, &raw mut value) == 0 {
                return None;
            }
            Some((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)))
        }
    }
}
