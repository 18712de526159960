//! The attribute policy as it applies to Python objects: what a peer may read, assign to and delete.

#![expect(unsafe_code, reason = "the safe API does not tell how a class looks up its attributes")]

use netref_core::policy::{Access, Denied, Reach, Rules};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyType};

use crate::connection::Connection;
use crate::proxy::BaseNetref;
use crate::user_code;

/// The attribute policy of a connection, read from its live configuration.
pub(crate) struct Policy<'c, 'py> {
    pub(crate) connection: &'c Bound<'py, Connection>,
}

impl<'py> Policy<'_, 'py> {
    pub(crate) fn get(
        &self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        if self.connection.get().has_own_steps() {
            let args = (object, name, (), "_rpyc_getattr", "allow_getattr", builtin(py, "getattr")?);
            return self.connection.call_method1(intern!(py, "_access_attr"), args);
        }
        let name = text(name)?;
        match overrider(object, intern!(py, "_rpyc_getattr"))? {
            Some(getattr) => user_code::call(&getattr, &(object, name).into_pyobject(py)?, None),
            None => user_code::getattr(object, &self.resolve(Access::Get, object, &name)?),
        }
    }

    pub(crate) fn set(
        &self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        value: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = object.py();
        if self.connection.get().has_own_steps() {
            let args = (object, name, (value,), "_rpyc_setattr", "allow_setattr", builtin(py, "setattr")?);
            return self.connection.call_method1(intern!(py, "_access_attr"), args).map(drop);
        }
        let name = text(name)?;
        match overrider(object, intern!(py, "_rpyc_setattr"))? {
            Some(setattr) => setattr.call1((object, name, value)).map(drop),
            None => object.setattr(self.resolve(Access::Set, object, &name)?, value),
        }
    }

    pub(crate) fn delete(&self, object: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = object.py();
        if self.connection.get().has_own_steps() {
            let args = (object, name, (), "_rpyc_delattr", "allow_delattr", builtin(py, "delattr")?);
            return self.connection.call_method1(intern!(py, "_access_attr"), args).map(drop);
        }
        let name = text(name)?;
        match overrider(object, intern!(py, "_rpyc_delattr"))? {
            Some(delattr) => delattr.call1((object, name)).map(drop),
            None => object.delattr(self.resolve(Access::Delete, object, &name)?),
        }
    }

    /// The name of the attribute that `name` reaches.
    pub(crate) fn resolve(
        &self,
        access: Access,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyString>> {
        let py = object.py();
        let settings = self.connection.get().settings(py)?;
        let (rules, plain) = (settings.rules(), name.to_str()?);
        let found = rules.resolve(
            access,
            plain,
            |_| settings.is_safe(name),
            name.clone(),
            || {
                let exposed = settings.exposed_name(py, plain);
                Ok::<_, PyErr>(has(object, &exposed)?.then_some(exposed))
            },
            || has(object, name),
        )?;
        if let Some(found) = found {
            return Ok(found);
        }
        let denied = Denied { name: plain.to_owned() };
        Err(PyAttributeError::new_err(explain(&denied, access, object, &rules)))
    }

    /// Whether an attribute that the object has may be read.
    pub(crate) fn is_readable(
        &self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<bool> {
        let py = object.py();
        let settings = self.connection.get().settings(py)?;
        let plain = name.to_str()?;
        match settings.rules().reach(Access::Get, plain, |_| settings.is_safe(name)) {
            Reach::Nothing => Ok(false),
            Reach::Plain | Reach::Either => Ok(true),
            Reach::Exposed => has(object, &settings.exposed_name(py, plain)),
        }
    }
}

/// What a peer is told that may not reach an attribute, and what the owner can do about it. Whether there is such an
/// attribute is not told.
fn explain(denied: &Denied, access: Access, object: &Bound<'_, PyAny>, rules: &Rules<'_>) -> String {
    let class = object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let (allowed, verb, setting) = match access {
        Access::Get => (rules.get, "readable", "allow_getattr"),
        Access::Set => (rules.set, "assignable", "allow_setattr"),
        Access::Delete => (rules.delete, "deletable", "allow_delattr"),
    };
    if !allowed {
        return format!("{denied} of {class}: nothing is {verb} for peers unless its owner sets {setting}");
    }
    let prefix = &rules.prefix;
    let hidden = rules.public || denied.name.starts_with('_');
    let or_public = if hidden { "" } else { ", or every public one if its owner sets allow_public_attrs" };
    format!(
        "{denied} of {class}: no attribute of that name is exposed; names that begin with {prefix:?} are{or_public}"
    )
}

/// The object's own say about a request for an attribute, if its class has one.
pub(crate) fn overrider<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    // What neither an object nor its class has, Python finds out in no time; of a class alone, it is an exception.
    if is_plainly_looked_up(object) && look_up(object, name)?.is_none() {
        return Ok(None);
    }
    look_up(object.get_type().as_any(), name)
}

/// Whether the object has the attribute. Its class is asked first, so that no property runs just to find out.
fn has(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    let of_class =
        object.cast::<BaseNetref>().is_err() && look_up(object.get_type().as_any(), name)?.is_some();
    Ok(of_class || look_up(object, name)?.is_some())
}

/// An attribute, if there is one.
fn look_up<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    // By Python's own function, which need not make an exception where there is nothing.
    static GETATTR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let getattr = GETATTR.import(py, "builtins", "getattr")?;
    let nothing = NOTHING.get_or_try_init(py, || builtin(py, "object")?.call0().map(Bound::unbind))?;
    let found = user_code::call(getattr, &(object, name, nothing).into_pyobject(py)?, None)?;
    Ok((!found.is(nothing)).then_some(found))
}

/// Whether whatever the object's class has under a name is found on the object as well, and no code of its own is asked.
fn is_plainly_looked_up(object: &Bound<'_, PyAny>) -> bool {
    let class = object.get_type();
    if !class.get_type().is(class.py().get_type::<PyType>()) {
        return false;
    }
    let plainly: ffi::getattrofunc = ffi::PyObject_GenericGetAttr;
    // SAFETY: a class that is alive; the slot's content is only compared.
    let slot = unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_tp_getattro) };
    slot.addr() == (plainly as *const ()).addr()
}

fn builtin<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "builtins"))?.getattr(name)
}

pub(crate) fn text<'py>(name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    if let Ok(name) = name.cast_exact::<PyString>() {
        return Ok(name.clone());
    }
    let bytes = name.cast_exact::<PyBytes>().map_err(|_| PyTypeError::new_err("name must be a string"))?;
    Ok(bytes.call_method1(intern!(name.py(), "decode"), ("utf8",))?.cast_into()?)
}
