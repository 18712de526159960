//! Calls into a program's own code, which may take as long as it likes, also beyond the end of the interpreter.
//!
//! A thread that runs Python code while the interpreter shuts down is ended by CPython older than 3.14, by unwinding its stack.
//! That must not go on into the frames of Rust that called the code, which would abort the process. So the thread stops
//! there for good; the process ends without it. PyO3 does the same where threads enter the interpreter.

#![expect(unsafe_code, reason = "PyO3's own calls cannot be unwound through")]
// Everywhere below, `transmute` is between pointers to the same function, of the same arguments and result, which ABIs that
// differ only in whether it may unwind call in the same way.

use std::hint::black_box;
use std::{mem, ptr, thread};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyString, PyTuple};

/// A function of CPython as what it is: one that may unwind. `pyo3::ffi` has them declared as ones that do not; so that the
/// compiler does not rely on that, they are called by way of pointers that it knows nothing of.
macro_rules! unwinding {
    ($function:path as fn($($argument:ty),*) -> $result:ty) => {
        mem::transmute::<
            unsafe extern "C" fn($($argument),*) -> $result,
            unsafe extern "C-unwind" fn($($argument),*) -> $result,
        >(black_box($function))
    };
}

type Object = *mut ffi::PyObject;

/// `callable(*args, **kwargs)`
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let kwargs = kwargs.map_or(ptr::null_mut(), Bound::as_ptr);
    // SAFETY: an object, a tuple, and a dict or null, alive during the call. The result is a new reference, or null with an
    // exception set.
    unsafe {
        let call = unwinding!(ffi::PyObject_Call as fn(Object, Object, Object) -> Object);
        let result = stopping(|| call(callable.as_ptr(), args.as_ptr(), kwargs));
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// `object.name`, where that may be a property.
pub(crate) fn getattr<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: objects that are alive during the call. The result is a new reference, or null with an exception set.
    unsafe {
        let getattr = unwinding!(ffi::PyObject_GetAttr as fn(Object, Object) -> Object);
        let result = stopping(|| getattr(object.as_ptr(), name.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// `repr(object)`
pub(crate) fn repr<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: as in `getattr`.
    unsafe {
        let repr = unwinding!(ffi::PyObject_Repr as fn(Object) -> Object);
        let result = stopping(|| repr(object.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// `str(object)`
pub(crate) fn str<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: as in `getattr`.
    unsafe {
        let str = unwinding!(ffi::PyObject_Str as fn(Object) -> Object);
        let result = stopping(|| str(object.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// `hash(object)`
pub(crate) fn hash(object: &Bound<'_, PyAny>) -> PyResult<isize> {
    // SAFETY: an object that is alive during the call, which sets an exception if it returns -1.
    let hash = unsafe {
        let hash = unwinding!(ffi::PyObject_Hash as fn(Object) -> ffi::Py_hash_t);
        stopping(|| hash(object.as_ptr()))
    };
    if hash == -1 { Err(PyErr::fetch(object.py())) } else { Ok(hash) }
}

/// `next(iterator)`, if there is one.
pub(crate) fn next<'py>(iterator: &Bound<'py, PyIterator>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = iterator.py();
    // SAFETY: an iterator that is alive during the call. The result is a new reference, or null, with an exception set unless
    // it is at its end.
    let item = unsafe {
        let next = unwinding!(ffi::PyIter_Next as fn(Object) -> Object);
        let item = stopping(|| next(iterator.as_ptr()));
        Bound::from_owned_ptr_or_opt(py, item)
    };
    match item {
        Some(item) => Ok(Some(item)),
        None => PyErr::take(py).map_or(Ok(None), Err),
    }
}

/// Lets go of an object, whose destructor may run.
pub(crate) fn release(_py: Python<'_>, object: Py<PyAny>) {
    let object = object.into_ptr();
    // SAFETY: the reference was owned, and is given up; the thread is attached, as the token says.
    unsafe {
        let release = unwinding!(ffi::Py_DecRef as fn(Object) -> ());
        stopping(|| release(object));
    }
}

/// Stops the calling thread for good if `work` is unwound. There must be nothing in `work` that has to be dropped.
fn stopping<R>(work: impl FnOnce() -> R) -> R {
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            loop {
                thread::park();
            }
        }
    }
    let stop = Stop;
    let result = work();
    mem::forget(stop);
    result
}
