//! Limits as a configuration says them: `limits` names a profile, and the name of each limit is a key of its own.

use std::time::Duration;

use netref_core::limits::{Limits, Quantity, Setting};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// The limits of a connection. Those of RPyC's programs break none of them, so they are where nothing else is said.
pub(crate) fn configured(config: &Bound<'_, PyDict>) -> PyResult<Limits> {
    let mut limits = match config.get_item(intern!(config.py(), "limits"))? {
        None => Limits::compat(),
        Some(profile) => profile_named(&profile)?,
    };
    for (setting, name) in Limits::SETTINGS.iter().zip(names(config.py())) {
        let Some(value) = config.get_item(name)? else { continue };
        let bound = read(&value, (setting.get)(&limits)).map_err(|unit| {
            PyValueError::new_err(format!(
                "config {:?} is {value:?}, but must be {unit}, or None for no limit",
                setting.name
            ))
        })?;
        (setting.set)(&mut limits, bound);
    }
    Ok(limits)
}

/// All limits in force for a configuration, by name. Times are in seconds; None is no limit.
///
/// :param config: as for a connection: `limits` may name a profile (`"compat"`, `"default"`, `"strict"`), other keys limits
#[pyfunction]
#[pyo3(signature = (config=None))]
pub(crate) fn limits<'py>(
    py: Python<'py>,
    config: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let limits = config.map_or(Ok(Limits::compat()), configured)?;
    let all = PyDict::new(py);
    for setting in Limits::SETTINGS {
        match (setting.get)(&limits) {
            Quantity::Bytes(usize::MAX) | Quantity::Count(usize::MAX) => {
                all.set_item(setting.name, py.None())?;
            }
            Quantity::Bytes(number) | Quantity::Count(number) => all.set_item(setting.name, number)?,
            Quantity::Time(time) => all.set_item(setting.name, time.map(|time| time.as_secs_f64()))?,
        }
    }
    Ok(all)
}

/// The names of all limits, in order: a dictionary finds the same string faster.
fn names(py: Python<'_>) -> &'static [Py<PyString>] {
    static NAMES: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();
    let intern = |setting: &Setting| PyString::intern(py, setting.name).unbind();
    NAMES.get_or_init(py, || Limits::SETTINGS.iter().map(intern).collect())
}

fn profile_named(profile: &Bound<'_, PyAny>) -> PyResult<Limits> {
    match profile.extract::<String>().ok().as_deref() {
        Some("compat") => Ok(Limits::compat()),
        Some("default") => Ok(Limits::default()),
        Some("strict") => Ok(Limits::strict()),
        _ => Err(PyValueError::new_err(format!(
            "config \"limits\" is {profile:?}, but must be \"compat\", \"default\" or \"strict\""
        ))),
    }
}

/// A value in the unit of the bound that it replaces; else the name of that unit.
fn read(value: &Bound<'_, PyAny>, bound: Quantity) -> Result<Quantity, &'static str> {
    let number = |unit| if value.is_none() { Ok(usize::MAX) } else { value.extract().map_err(|_| unit) };
    match bound {
        Quantity::Bytes(_) => number("a number of bytes").map(Quantity::Bytes),
        Quantity::Count(_) => number("a number that is not negative").map(Quantity::Count),
        Quantity::Time(_) if value.is_none() => Ok(Quantity::Time(None)),
        Quantity::Time(_) => {
            let time = value.extract().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            time.map(|time| Quantity::Time(Some(time))).ok_or("a number of seconds")
        }
    }
}
