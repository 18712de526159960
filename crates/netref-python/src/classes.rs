//! The classes of a connection's proxies.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netref::threads::Link;
use netref_core::refs::{IdPack, PackRef};
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
    /// By the number of the remote class and its name. A class itself has proxies other than its instances', under that number
    /// below zero; what every Python has is under 0.
    kept: HashMap<i64, HashMap<Arc<str>, Kept>>,
    memory: usize,
    /// How much was forgotten since garbage was last collected on account of it.
    forgotten: usize,
}

struct Kept {
    class: Py<PyType>,
    cost: usize,
}

/// What a class takes, and each of its methods beside its name and documentation.
const CLASS_COST: usize = 2048;
const METHOD_COST: usize = 512;

impl ProxyClasses {
    /// The class of the proxies of objects like the one named `pack`. One not met before costs a round trip.
    pub(crate) fn get<'py>(
        &self,
        connection: &Bound<'py, Connection>,
        pack: PackRef<'_>,
    ) -> PyResult<Bound<'py, PyType>> {
        let py = connection.py();
        if let Some((_, kept)) = self.lock().find(pack) {
            return Ok(kept.class.bind(py).clone());
        }
        let pack = &pack.to_owned();
        if !pack.is_class()
            && let Some(class) = Self::builtin(py, &pack.name)?
        {
            return Ok(self.keep(BUILTIN, pack, class.cast_into()?, 0));
        }
        let module = py.import(intern!(py, "netref.core.netref"))?;
        let methods = connection.get().inspect(connection, pack)?;
        let cost = cost(&methods)?;
        self.make_room(py, connection.get().link()?, pack, cost)?;
        let class = module
            .call_method1(intern!(py, "class_factory"), (proxy::pack_tuple(py, pack.as_ref())?, methods))?;
        Ok(self.keep(number(pack.as_ref()), pack, class.cast_into()?, cost))
    }

    /// An owned copy of `pack`, which shares the name with its class, if that is known.
    pub(crate) fn pack(&self, pack: PackRef<'_>) -> IdPack {
        match self.lock().find(pack) {
            Some((name, _)) => IdPack { name: name.clone(), class: pack.class, instance: pack.instance },
            None => pack.to_owned(),
        }
    }

    /// The class of the proxies of what every Python has, which no peer needs to describe.
    pub(crate) fn builtin<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let module = py.import(intern!(py, "netref.core.netref"))?;
        let known: Bound<'py, PyDict> = module.getattr(intern!(py, "builtin_classes_cache"))?.cast_into()?;
        known.get_item(name)
    }

    fn keep<'py>(
        &self,
        number: i64,
        pack: &IdPack,
        class: Bound<'py, PyType>,
        cost: usize,
    ) -> Bound<'py, PyType> {
        let py = class.py();
        let state = &mut *self.lock();
        match state.kept.entry(number).or_default().entry(pack.name.clone()) {
            // Another thread may have made one meanwhile.
            Entry::Occupied(kept) => kept.get().class.bind(py).clone(),
            Entry::Vacant(place) => {
                state.memory += cost;
                place.insert(Kept { class: class.clone().unbind(), cost });
                class
            }
        }
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
            let is_unused = |kept: &mut Kept| kept.cost > 0 && !in_use.contains(&kept.class.as_ptr());
            let mut forgotten: Vec<Kept> = Vec::new();
            for classes in state.kept.values_mut() {
                forgotten.extend(classes.extract_if(|_, kept| is_unused(kept)).map(|(_, kept)| kept));
            }
            state.kept.retain(|_, classes| !classes.is_empty());
            let cost: usize = forgotten.iter().map(|kept| kept.cost).sum();
            state.memory -= cost;
            state.forgotten += cost;
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

impl State {
    /// The class of the proxies of such objects, and its name.
    fn find(&self, pack: PackRef<'_>) -> Option<(&Arc<str>, &Kept)> {
        let under = |number| self.kept.get(&number)?.get_key_value(pack.name);
        under(number(pack)).or_else(|| under(BUILTIN).filter(|_| pack.instance != 0))
    }
}

/// Where classes are kept that every Python has.
const BUILTIN: i64 = 0;

/// Where the class is kept of the proxies of such objects.
fn number(pack: PackRef<'_>) -> i64 {
    if pack.instance == 0 { pack.class.wrapping_neg() } else { pack.class }
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
