//! `dump` and `load`: plain data as bytes, outside any connection.

use netref_core::brine::{self, Reader, Writer};
use netref_core::limits::Limits;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::WorldError;
use crate::world::Objects;
use netref_core::world::World;

/// The bytes of a plain value.
///
/// :raises TypeError: if it is not plain immutable data through and through
#[pyfunction]
pub(crate) fn dump<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut bytes = Vec::new();
    let world = Objects::plain(obj.py());
    let mut out = Writer::new(&mut bytes, const { &Limits::compat() });
    if !world.write(obj, &mut out)? {
        return Err(WorldError::not_plain(obj).into());
    }
    Ok(PyBytes::new(obj.py(), &bytes))
}

/// The value of bytes that :func:`dump` made.
///
/// :raises ValueError: if the bytes are not a value
#[pyfunction]
pub(crate) fn load<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader::new(data, const { &Limits::compat() });
    let value = brine::read(&Objects::plain(py), &mut reader)?;
    reader.finish().map_err(WorldError::from)?;
    Ok(value)
}

/// Whether :func:`dump` would take the value.
#[pyfunction]
pub(crate) fn dumpable(obj: &Bound<'_, PyAny>) -> bool {
    let mut bytes = Vec::new();
    let mut out = Writer::new(&mut bytes, const { &Limits::compat() });
    Objects::plain(obj.py()).write(obj, &mut out).unwrap_or(false)
}
