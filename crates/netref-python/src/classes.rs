//! The classes of a connection's proxies.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netref::threads::Link;
use netref_core::refs::IdPack;
use pyo3::exceptions::PyMemoryError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::connection::Connection;
use crate::host::PyHost;
use crate::proxy;

/// Classes of proxies, which are kept when their last proxy is gone: the next one needs no round trip.
#[derive(Default)]
pub(crate) struct ProxyClasses(Mutex<State>);

#[derive(Default)]
struct State {
    /// Classes, and what they take.
    kept: HashMap<Key, (Py<PyType>, usize)>,
    memory: usize,
    /// How much was forgotten since garbage was last collected on account of it.
    forgotten: usize,
}

/// The name and number of the remote class; 0 for what every Python has.
type Key = (Arc<str>, i64);

/// What a class takes, and each of its methods beside its name and documentation.
const CLASS_COST: usize = 2048;
const METHOD_COST: usize = 512;

impl ProxyClasses {
    /// The class of the proxies of objects like the one named `pack`. One not met before costs a round trip.
    pub(crate) fn get<'py>(
        &self,
        connection: &Bound<'py, Connection>,
        pack: &IdPack,
    ) -> PyResult<Bound<'py, PyType>> {
        let py = connection.py();
        // A class and its instances have the same number but different proxies.
        let key = (pack.name.clone(), if pack.is_class() { -pack.class } else { pack.class });
        let builtin = (pack.name.clone(), 0);
        {
            let state = self.lock();
            let of_builtin = || state.kept.get(&builtin).filter(|_| !pack.is_class());
            if let Some((class, _)) = state.kept.get(&key).or_else(of_builtin) {
                return Ok(class.bind(py).clone());
            }
        }
        if !pack.is_class()
            && let Some(class) = Self::builtin(py, &pack.name)?
        {
            return Ok(self.keep(builtin, class.cast_into()?, 0));
        }
        let module = py.import(intern!(py, "netref.core.netref"))?;
        let methods = connection.get().inspect(connection, pack)?;
        let cost = cost(&methods)?;
        self.make_room(py, connection.get().link()?, pack, cost)?;
        let class =
            module.call_method1(intern!(py, "class_factory"), (proxy::pack_tuple(py, pack)?, methods))?;
        Ok(self.keep(key, class.cast_into()?, cost))
    }

    /// The class of the proxies of what every Python has, which no peer needs to describe.
    pub(crate) fn builtin<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let module = py.import(intern!(py, "netref.core.netref"))?;
        let known: Bound<'py, PyDict> = module.getattr(intern!(py, "builtin_classes_cache"))?.cast_into()?;
        known.get_item(name)
    }

    fn keep<'py>(&self, key: Key, class: Bound<'py, PyType>, cost: usize) -> Bound<'py, PyType> {
        let py = class.py();
        let mut state = self.lock();
        // Another thread may have made one meanwhile.
        if let Some((kept, _)) = state.kept.get(&key) {
            return kept.bind(py).clone();
        }
        state.memory += cost;
        state.kept.insert(key, (class.clone().unbind(), cost));
        class
    }

    /// Makes room for another class, if need be by forgetting those that have no proxies.
    fn make_room(&self, py: Python<'_>, link: &Link<PyHost>, pack: &IdPack, cost: usize) -> PyResult<()> {
        let most = link.limits().max_class_memory;
        let fits = |state: &State| state.memory.saturating_add(cost) <= most;
        if fits(&self.lock()) {
            return Ok(());
        }
        let in_use: HashSet<_> =
            link.host().live_proxies(py).iter().map(|proxy| proxy.get_type().as_ptr()).collect();
        let (forgotten, is_much, has_room) = {
            let mut state = self.lock();
            let (kept, forgotten): (HashMap<_, _>, HashMap<_, _>) = std::mem::take(&mut state.kept)
                .into_iter()
                .partition(|(_, (class, cost))| *cost == 0 || in_use.contains(&class.as_ptr()));
            state.kept = kept;
            let memory = state.kept.values().map(|(_, cost)| cost).sum();
            state.forgotten += state.memory - memory;
            state.memory = memory;
            let is_much = state.forgotten >= most;
            if is_much {
                state.forgotten = 0;
            }
            (forgotten, is_much, fits(&state))
        };
        drop(forgotten);
        if is_much {
            // Classes are cycles.
            py.import(intern!(py, "gc"))?.call_method0(intern!(py, "collect"))?;
        }
        if has_room {
            return Ok(());
        }
        Err(PyMemoryError::new_err(format!(
            "a proxy of {} would have the classes of this connection's proxies take more than {most} bytes (limit max_class_memory)",
            pack.name
        )))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a class with these methods takes, roughly.
fn cost(methods: &Bound<'_, PyAny>) -> PyResult<usize> {
    let methods = methods.cast::<PyTuple>()?;
    let texts = |method: &Bound<'_, PyAny>| -> usize {
        let Ok(parts) = method.cast::<PyTuple>() else { return 0 };
        parts.iter().map(|text| text.len().unwrap_or(0)).sum()
    };
    Ok(CLASS_COST + methods.iter().map(|method| METHOD_COST + texts(&method)).sum::<usize>())
}
