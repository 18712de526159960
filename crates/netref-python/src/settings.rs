//! A connection's live configuration, as requests want to know it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netref_core::policy::Rules;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Whether a configuration has changed since it was last read.
#[pyclass(frozen, module = "netref._netref")]
#[derive(Debug)]
pub(crate) struct Changes(AtomicBool);

#[pymethods]
impl Changes {
    #[new]
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Has the configuration be read again.
    fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What requests ask of the configuration, read from it once after each change.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) allow_pickle: bool,
    pub(crate) one_trip_calls: bool,
    /// The policy decides about calls, `repr`, `str`, `hash` and `dir` too.
    pub(crate) strict_policy: bool,
    pub(crate) propagate_system_exit: bool,
    pub(crate) propagate_keyboard_interrupt: bool,
    /// Seconds that a request may take.
    pub(crate) sync_request_timeout: Option<f64>,
    /// Live: programs add to the set.
    pub(crate) safe_attrs: Option<Py<PyAny>>,
    /// Types whose instances cross as copies.
    pub(crate) by_value: Option<Py<PyAny>>,
    get: bool,
    set: bool,
    delete: bool,
    safe: bool,
    exposed: bool,
    public: bool,
    all: bool,
    prefix: String,
    /// Names that were asked for, with the prefix: Python looks up an attribute faster by the same string again.
    exposed_names: Mutex<BTreeMap<String, Py<PyString>>>,
}

/// A peer that asks for more names waits a little longer for the others.
const KEPT_NAMES: usize = 256;

impl Settings {
    fn read(config: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = config.py();
        let flag = |name: &Bound<'_, PyString>| match config.get_item(name)? {
            Some(value) => value.is_truthy(),
            None => Ok(false),
        };
        let timeout = config.get_item(intern!(py, "sync_request_timeout"))?.filter(|value| !value.is_none());
        let prefix = config
            .get_item(intern!(py, "exposed_prefix"))?
            .and_then(|prefix| prefix.cast_into::<PyString>().ok());
        Ok(Self {
            allow_pickle: flag(intern!(py, "allow_pickle"))?,
            one_trip_calls: flag(intern!(py, "one_trip_calls"))?,
            strict_policy: flag(intern!(py, "strict_policy"))?,
            propagate_system_exit: flag(intern!(py, "propagate_SystemExit_locally"))?,
            propagate_keyboard_interrupt: flag(intern!(py, "propagate_KeyboardInterrupt_locally"))?,
            sync_request_timeout: timeout.map(|value| value.extract()).transpose()?,
            safe_attrs: config.get_item(intern!(py, "safe_attrs"))?.map(Bound::unbind),
            by_value: config
                .get_item(intern!(py, "by_value"))?
                .filter(|types| types.is_truthy().unwrap_or(true))
                .map(Bound::unbind),
            get: flag(intern!(py, "allow_getattr"))?,
            set: flag(intern!(py, "allow_setattr"))?,
            delete: flag(intern!(py, "allow_delattr"))?,
            safe: flag(intern!(py, "allow_safe_attrs"))?,
            exposed: flag(intern!(py, "allow_exposed_attrs"))?,
            public: flag(intern!(py, "allow_public_attrs"))?,
            all: flag(intern!(py, "allow_all_attrs"))?,
            prefix: prefix.map_or(Ok(String::new()), |prefix| prefix.to_str().map(str::to_owned))?,
            exposed_names: Mutex::default(),
        })
    }

    /// Whether a name is in the list of safe attributes.
    pub(crate) fn is_safe(&self, name: &Bound<'_, PyString>) -> bool {
        self.safe_attrs.as_ref().is_some_and(|safe| safe.bind(name.py()).contains(name).unwrap_or(false))
    }

    /// A name with the prefix.
    pub(crate) fn exposed_name<'py>(&self, py: Python<'py>, name: &str) -> Bound<'py, PyString> {
        if let Some(exposed) = self.exposed_names().get(name) {
            return exposed.bind(py).clone();
        }
        let exposed = PyString::new(py, &format!("{}{name}", self.prefix));
        let mut names = self.exposed_names();
        if names.len() < KEPT_NAMES {
            names.insert(name.to_owned(), exposed.clone().unbind());
        }
        exposed
    }

    fn exposed_names(&self) -> MutexGuard<'_, BTreeMap<String, Py<PyString>>> {
        self.exposed_names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attribute policy.
    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules {
            get: self.get,
            set: self.set,
            delete: self.delete,
            safe: self.safe,
            exposed: self.exposed,
            public: self.public,
            dangerous_all: self.all,
            prefix: self.prefix.as_str().into(),
        }
    }
}

/// A live configuration and what was last read from it.
#[derive(Debug)]
pub(crate) struct LiveSettings {
    config: Py<PyDict>,
    changes: Py<Changes>,
    last: Mutex<Option<Arc<Settings>>>,
}

impl LiveSettings {
    /// Of a dictionary that notes each change of its own in its attribute `changes`.
    pub(crate) fn new(config: &Bound<'_, PyDict>) -> PyResult<Self> {
        let changes: Bound<'_, Changes> = config.getattr("changes")?.cast_into()?;
        Ok(Self { config: config.clone().unbind(), changes: changes.unbind(), last: Mutex::default() })
    }

    pub(crate) fn config(&self) -> &Py<PyDict> {
        &self.config
    }

    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Arc<Settings>> {
        let has_changed = self.changes.get().0.load(Ordering::Acquire);
        if !has_changed && let Some(settings) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(settings.clone());
        }
        // Before reading, so that a change meanwhile is not missed.
        self.changes.get().0.store(false, Ordering::Release);
        let settings = Settings::read(self.config.bind(py)).inspect_err(|_| self.changes.get().note())?;
        let settings = Arc::new(settings);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings.clone());
        Ok(settings)
    }
}
