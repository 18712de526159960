//! What requests other than for an attribute may do: the same policy decides, and lists only what it would give.

use netref_core::policy::Access;
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyCFunction, PyComplex, PyFloat, PyFrozenSet, PyFunction, PyInt, PyIterator, PyList,
    PySlice, PyString, PyTuple,
};

use crate::copying::ByValueFunction;
use crate::policy::{Policy, overrider, text};
use crate::proxy::BaseNetref;

/// What CMP is for.
const COMPARISONS: [&str; 7] = ["__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__", "__cmp__"];

impl<'py> Policy<'_, 'py> {
    /// `type(object).op(object, other)`. Asked of the type, so that an operator of the object's own cannot lead back here.
    pub(crate) fn compare(
        &self,
        object: &Bound<'py, PyAny>,
        other: &Bound<'py, PyAny>,
        op: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = text(op)?;
        if is_plain(object) && !COMPARISONS.contains(&name.to_str()?) {
            // The peer could compute with a number of its own at home; here it could fill memory with it.
            let class = object.get_type();
            return Err(PyAttributeError::new_err(format!(
                "cannot access {name} of {class} by a comparison"
            )));
        }
        match self.own_getattr(object)? {
            Some(getattr) => getattr.call1((object, name))?.call1((other,)),
            None => self.get(object.get_type().as_any(), op)?.call1((object, other)),
        }
    }

    /// What iterates over an object, if the policy gives that.
    pub(crate) fn iterator(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
        let py = object.py();
        let iter = intern!(py, "__iter__");
        if let Some(getattr) = self.own_getattr(object)? {
            return PyIterator::from_object(&getattr.call1((object, iter))?.call0()?);
        }
        if object.get_type().hasattr(iter)? {
            self.resolve(Access::Get, object, iter)?;
        } else {
            self.resolve(Access::Get, object, intern!(py, "__getitem__"))?;
        }
        PyIterator::from_object(object)
    }

    /// The names of an object's attributes that the policy gives.
    pub(crate) fn names(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let names: Bound<'py, PyList> = object.dir()?;
        let mut allowed = Vec::with_capacity(names.len());
        let is_allowed = self.judge(object)?;
        for name in names {
            if is_allowed(&name)? {
                allowed.push(name);
            }
        }
        PyTuple::new(object.py(), allowed)
    }

    /// Of an object's methods, as INSPECT lists them, those that the policy gives; and whether it can be called.
    pub(crate) fn methods(
        &self,
        object: &Bound<'py, PyAny>,
        methods: &Bound<'py, PyTuple>,
        most: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        if methods.len() > most {
            let (class, count) = (object.get_type(), methods.len());
            return Err(PyValueError::new_err(format!(
                "{class} has {count} methods, more than {most} (limit max_methods)"
            )));
        }
        let is_allowed = self.judge(object)?;
        let mut allowed = Vec::with_capacity(methods.len());
        for method in methods {
            let name = method.get_item(0)?;
            // Calling is a request of its own, for which a proxy needs the method.
            if name.eq("__call__")? || is_allowed(&name)? {
                allowed.push(method);
            }
        }
        Ok(PyTuple::new(object.py(), allowed)?.into_any())
    }

    /// With `strict_policy`, refuses what the policy does not give.
    pub(crate) fn check_strictly(
        &self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<()> {
        if !self.connection.get().settings(object.py())?.strict_policy {
            return Ok(());
        }
        match self.own_getattr(object)? {
            Some(getattr) => getattr.call1((object, name)).map(drop),
            None => self.resolve(Access::Get, object, name).map(drop),
        }
    }

    /// With `strict_policy`, refuses to call what is neither a function or method, which the peer was given for that, nor
    /// shows its `__call__`.
    pub(crate) fn check_call(&self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        if !self.connection.get().settings(object.py())?.strict_policy {
            return Ok(());
        }
        let py = object.py();
        let is_function = object.is_exact_instance_of::<PyFunction>()
            || object.is_exact_instance_of::<PyCFunction>()
            || object.is_exact_instance_of::<ByValueFunction>()
            || object.get_type().is(py.import("types")?.getattr("MethodType")?);
        if is_function { Ok(()) } else { self.check_strictly(object, intern!(py, "__call__")) }
    }

    /// Decides about the attributes that an object has.
    fn judge<'a>(
        &'a self,
        object: &'a Bound<'py, PyAny>,
    ) -> PyResult<impl Fn(&Bound<'py, PyAny>) -> PyResult<bool> + 'a> {
        // The owner of a proxied object has decided already.
        let is_theirs = object.cast::<BaseNetref>().is_ok();
        let getattr = self.own_getattr(object)?;
        Ok(move |name: &Bound<'py, PyAny>| {
            let Ok(name) = name.cast_exact::<PyString>() else { return Ok(false) };
            Ok(match &getattr {
                Some(getattr) => getattr.call1((object, name)).is_ok(),
                None if is_theirs => true,
                None => self.is_readable(object, name).unwrap_or(false),
            })
        })
    }

    fn own_getattr(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        overrider(object, intern!(object.py(), "_rpyc_getattr"))
    }
}

/// Data that crosses by value, so that the peer holds no object of ours.
fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyFrozenSet>()
        || object.is_exact_instance_of::<PyComplex>()
        || object.is_exact_instance_of::<PySlice>()
}
