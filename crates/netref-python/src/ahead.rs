//! Iterating over a peer's built-in containers with few round trips, where nobody can tell.
//!
//! The proxy of such a container's iterator fetches items ahead of the program, without taking them from the remote iterator. It
//! hands them out for as long as the container cannot have changed meanwhile:
//!
//! - as long as this side has sent the peer no other request, nor carried one out for it;
//! - or, if the peer says that nothing over there refers to the container but this side's proxies, as long as no request has
//!   mentioned these.
//!
//! Then, and before the iterator is used in any other way, the remote one is moved to where the program is; from there on each
//! item is a round trip of its own. Iterators of other kinds, such as generators, are never read ahead.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use netref_core::request::handlers;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyFrozenSet, PyList, PyRange, PyTuple};

use crate::calls;
use crate::connection::Connection;
use crate::policy::Policy;
use crate::proxy::BaseNetref;

/// Containers whose iterators begin at the first item and do nothing but go through them.
const CONTAINERS: [&str; 10] = [
    "builtins.bytearray",
    "builtins.dict",
    "builtins.dict_items",
    "builtins.dict_keys",
    "builtins.dict_values",
    "builtins.frozenset",
    "builtins.list",
    "builtins.range",
    "builtins.set",
    "builtins.tuple",
];

/// Items that are fetched ahead at first, and by how much more each time after that.
const FIRST: usize = 32;
const GROWTH: usize = 4;
const MOST: usize = 16_384;

/// The proxy of an iterator over a built-in container.
#[pyclass(extends = BaseNetref, subclass, frozen, module = "netref.core.netref")]
pub(crate) struct ContainerIterator {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is iterated over; None if that is not known, or reading ahead is over.
    container: Option<Py<BaseNetref>>,
    /// Items that the program has been given, and how many of them were taken from the remote iterator.
    taken: usize,
    taken_there: usize,
    /// What was fetched: what comes next, and then nothing more if `is_all`.
    ahead: std::vec::IntoIter<Py<PyAny>>,
    is_all: bool,
    /// How many were asked for last, 0 at first.
    count: usize,
    /// Since when nothing may have happened.
    since: Moment,
    /// For a peer that does not know of reading ahead: another iterator, from which the items are taken.
    scout: Option<Py<PyAny>>,
    is_fetching: bool,
    /// A thread is about to send what moves the remote iterator to where the program is.
    is_moving: bool,
    /// The program was told that there is nothing more.
    is_exhausted: bool,
}

/// What has happened so far that could have changed a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Requests of either side.
    Requests(u64),
    /// Requests that mentioned the container or its iterator.
    Mentions(u64),
}

impl Default for Moment {
    fn default() -> Self {
        Self::Requests(0)
    }
}

impl ContainerIterator {
    /// Takes note that an iterator that has just been received is one over `container`.
    pub(crate) fn begin(iterator: &Bound<'_, PyAny>, container: &Bound<'_, BaseNetref>) {
        let Ok(iterator) = iterator.cast::<Self>() else { return };
        let is_native = container.get().connection(container.py()).get().is_native();
        if is_native && CONTAINERS.contains(&&*container.get().pack().name) {
            iterator.get().state().container = Some(container.clone().unbind());
        }
    }

    /// Moves the remote iterator to where the program is, for another use of it.
    pub(crate) fn catch_up(proxy: &Bound<'_, BaseNetref>) -> PyResult<()> {
        if AS_IT_IS.get() {
            return Ok(());
        }
        let Ok(slf) = proxy.cast::<Self>() else { return Ok(()) };
        let py = slf.py();
        let (behind, forgotten) = loop {
            let mut state = slf.get().state();
            if !state.is_moving {
                let behind = state.taken - state.taken_there + usize::from(state.is_exhausted);
                state.is_moving = true;
                state.taken_there = state.taken;
                break (behind, state.stop());
            }
            // Another thread is about to send what moves it, which has to come first.
            drop(state);
            py.detach(thread::yield_now);
        };
        drop(forgotten);
        proxy.get().set_ahead(false);
        let sent = if behind > 0 {
            let behind = behind.into_pyobject(py)?;
            BaseNetref::start(proxy, handlers::BUFFITER, &[behind.as_any()]).map(Some)
        } else {
            Ok(None)
        };
        slf.get().state().is_moving = false;
        match sent? {
            Some(call) => BaseNetref::finish(proxy, &call).map(drop),
            None => Ok(()),
        }
    }

    /// Fetches what comes next. False if that is not to be done any more.
    fn fetch(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let order = {
            let mut state = slf.get().state();
            match &state.container {
                // Another thread is at it: from here on each item is a trip, and its catch goes unused.
                Some(_) if state.is_fetching => {
                    let forgotten = state.stop();
                    drop(state);
                    drop(forgotten);
                    return Ok(false);
                }
                None => return Ok(false),
                Some(container) => {
                    let container = container.clone_ref(py).into_bound(py);
                    let scout = state.scout.as_ref().map(|scout| scout.clone_ref(py).into_bound(py));
                    state.is_fetching = true;
                    state.count = (state.count * GROWTH).clamp(FIRST, MOST);
                    Order {
                        container,
                        scout,
                        taken: state.taken,
                        taken_there: state.taken_there,
                        count: state.count,
                    }
                }
            }
        };
        let caught = order.send(slf);
        slf.as_super().get().set_ahead(true);
        let mut state = slf.get().state();
        state.is_fetching = false;
        match caught {
            Ok(Some(catch)) if state.container.is_some() => {
                state.ahead = catch.items.into_iter();
                state.is_all = catch.is_all;
                state.scout = catch.scout;
                state.since = catch.since;
                Ok(true)
            }
            outcome => {
                let forgotten = state.stop();
                drop(state);
                drop(forgotten);
                outcome.map(|_| false)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends reading ahead. What is returned is to be dropped after unlocking.
    fn stop(&mut self) -> impl Sized + use<> {
        self.is_all = false;
        (self.container.take(), self.scout.take(), std::mem::take(&mut self.ahead))
    }
}

impl Moment {
    fn requests(iterator: &Bound<'_, ContainerIterator>) -> PyResult<Self> {
        let proxy = iterator.as_super().get();
        proxy.connection(iterator.py()).get().requests().map(Self::Requests)
    }

    fn mentions(iterator: &Bound<'_, ContainerIterator>, container: &Bound<'_, BaseNetref>) -> Self {
        Self::Mentions(iterator.as_super().get().mentions() + container.get().mentions())
    }

    /// When only so many more have been counted.
    fn after(self, more: u64) -> Self {
        match self {
            Self::Requests(count) => Self::Requests(count + more),
            Self::Mentions(count) => Self::Mentions(count + more),
        }
    }

    /// Whether nothing that matters has happened since.
    fn is_now(self, iterator: &Bound<'_, ContainerIterator>, container: &Py<BaseNetref>) -> PyResult<bool> {
        Ok(match self {
            Self::Requests(_) => self == Self::requests(iterator)?,
            Self::Mentions(_) => self == Self::mentions(iterator, container.bind(iterator.py())),
        })
    }
}

thread_local! {
    static AS_IT_IS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, what this thread writes may name an iterator without its being moved to where the program is.
struct AsItIs;

impl AsItIs {
    fn enter() -> Self {
        AS_IT_IS.set(true);
        Self
    }
}

impl Drop for AsItIs {
    fn drop(&mut self) {
        AS_IT_IS.set(false);
    }
}

/// What to fetch.
struct Order<'py> {
    container: Bound<'py, BaseNetref>,
    scout: Option<Bound<'py, PyAny>>,
    taken: usize,
    taken_there: usize,
    count: usize,
}

struct Catch {
    items: Vec<Py<PyAny>>,
    is_all: bool,
    /// The last moment at which the items were known to be those in the container. Taken beforehand: what is counted while the
    /// reply is on its way may have changed them.
    since: Moment,
    scout: Option<Py<PyAny>>,
}

impl<'py> Order<'py> {
    fn send(&self, iterator: &Bound<'py, ContainerIterator>) -> PyResult<Option<Catch>> {
        if iterator.as_super().get().connection(iterator.py()).get().has_ahead()? {
            self.ask(iterator)
        } else {
            self.scout_out(iterator)
        }
    }

    /// One round trip.
    fn ask(&self, iterator: &Bound<'py, ContainerIterator>) -> PyResult<Option<Catch>> {
        let numbers = PyTuple::new(iterator.py(), [self.taken, self.taken_there, self.count])?;
        let args = [iterator.as_any(), numbers.as_any()];
        let (requests, mentions) = (Moment::requests(iterator)?, Moment::mentions(iterator, &self.container));
        let call = {
            let _as_it_is = AsItIs::enter();
            BaseNetref::start(&self.container, handlers::AHEAD, &args)?
        };
        let answer = BaseNetref::finish(&self.container, &call)?;
        if answer.is_none() {
            return Ok(None);
        }
        let (is_all, is_sole, items): (bool, bool, Bound<'py, PyTuple>) = answer.extract()?;
        if items.is_empty() && !is_all {
            return Ok(None); // or it would be asked for them for ever
        }
        let items = items.iter().map(Bound::unbind).collect();
        // Where nobody over there can change the container, only who names it or its iterator can, as this request does.
        let since = if is_sole { mentions.after(2) } else { requests.after(1) };
        Ok(Some(Catch { items, is_all, since, scout: None }))
    }

    /// One round trip, and another at first.
    fn scout_out(&self, iterator: &Bound<'py, ContainerIterator>) -> PyResult<Option<Catch>> {
        let py = self.container.py();
        let (scout, known) = match &self.scout {
            Some(scout) => (scout.clone(), 0),
            None => {
                let iter = intern!(py, "__iter__");
                (calls::call_looked_up(&self.container, iter, &PyTuple::empty(py), None)?, self.taken)
            }
        };
        let before = Moment::requests(iterator)?;
        let Ok(proxy) = scout.cast::<BaseNetref>() else { return Ok(None) };
        let wanted = (known + self.count).into_pyobject(py)?;
        let answer = BaseNetref::request(proxy, handlers::BUFFITER, &[wanted.as_any()])?;
        let items: Vec<_> = answer.cast::<PyTuple>()?.iter().skip(known).map(Bound::unbind).collect();
        // Fewer than asked for may be all that the peer gives at a time.
        let scout = Some(scout.unbind());
        Ok(Some(Catch { is_all: items.is_empty(), items, since: before.after(1), scout }))
    }
}

#[pymethods]
impl ContainerIterator {
    #[new]
    fn new(
        conn: &Bound<'_, Connection>,
        id_pack: (PyBackedStr, i64, i64),
    ) -> PyResult<PyClassInitializer<Self>> {
        let proxy = PyClassInitializer::from(BaseNetref::new(conn, id_pack)?);
        Ok(proxy.add_subclass(Self { state: Mutex::default() }))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        loop {
            let mut state = slf.get().state();
            if state.is_exhausted {
                return Err(PyStopIteration::new_err(()));
            }
            let Some(container) = &state.container else { break };
            // The first item by itself: many a program wants no other.
            if state.taken == 0 {
                break;
            }
            let is_now = state.since.is_now(slf, container)?;
            if state.count > 0 && is_now {
                if let Some(item) = state.ahead.next() {
                    state.taken += 1;
                    return Ok(item.into_bound(py));
                }
                if state.is_all {
                    state.is_exhausted = true;
                    return Err(PyStopIteration::new_err(()));
                }
            }
            let may_fetch =
                is_now || (state.count == 0 && slf.as_super().get().connection(py).get().has_ahead()?);
            if !may_fetch {
                let forgotten = state.stop();
                drop(state);
                drop(forgotten);
                break;
            }
            drop(state);
            if !Self::fetch(slf)? {
                break;
            }
        }
        let before = Moment::requests(slf)?;
        let item = calls::call_looked_up(slf.as_super(), intern!(py, "__next__"), &PyTuple::empty(py), None)?;
        let mut state = slf.get().state();
        state.taken += 1;
        state.taken_there += 1;
        state.since = before.after(1);
        Ok(item)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Held for moments only, in which nothing can be collected.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        visit.call(&state.container)?;
        visit.call(&state.scout)?;
        state.ahead.as_slice().iter().try_for_each(|item| visit.call(item))
    }
}

/// Carries out AHEAD: up to `count` items of `container` from `taken` on, of whose iterator `taken_there` items were taken;
/// whether these are all; and whether nothing on this side could change the container. None if the iterator is not where it
/// should be, or of another kind.
pub(crate) fn look_ahead<'py>(
    policy: &Policy<'_, 'py>,
    container: &Bound<'py, PyAny>,
    iterator: &Bound<'py, PyAny>,
    numbers: &Bound<'py, PyAny>,
    most: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let py = container.py();
    let (taken, taken_there, count): (usize, usize, usize) = numbers.extract()?;
    let class = container.get_type();
    let name = format!("{}.{}", class.module()?, class.name()?);
    if !CONTAINERS.contains(&name.as_str()) || !is_at(iterator, container, taken_there) {
        return Ok(py.None().into_bound(py));
    }
    let items = items(policy, container, taken, count.min(most))?;
    let is_all = taken + items.len() >= container.len()?;
    let is_sole =
        is_immutable(container) || (holds(iterator, container)? && is_only_lent(container, iterator));
    Ok((is_all, is_sole, items).into_pyobject(py)?.into_any())
}

fn items<'py>(
    policy: &Policy<'_, 'py>,
    container: &Bound<'py, PyAny>,
    from: usize,
    count: usize,
) -> PyResult<Bound<'py, PyTuple>> {
    let iterator = policy.iterator(container)?;
    if let Ok(list) = container.cast_exact::<PyList>() {
        return Ok(list.get_slice(from, from.saturating_add(count)).to_tuple());
    }
    PyTuple::new(container.py(), iterator.skip(from).take(count).collect::<PyResult<Vec<_>>>()?)
}

/// Whether what is left to an iterator is what is left of the container after so many items.
fn is_at(iterator: &Bound<'_, PyAny>, container: &Bound<'_, PyAny>, taken: usize) -> bool {
    let left =
        iterator.call_method0(intern!(iterator.py(), "__length_hint__")).and_then(|left| left.extract());
    matches!((left, container.len()), (Ok(left), Ok(len)) if len.checked_sub(taken) == Some(left))
}

fn is_immutable(container: &Bound<'_, PyAny>) -> bool {
    container.is_exact_instance_of::<PyTuple>()
        || container.is_exact_instance_of::<PyFrozenSet>()
        || container.is_exact_instance_of::<PyRange>()
}

/// Whether the iterator refers to the container itself, rather than to what it is a view of.
fn holds(iterator: &Bound<'_, PyAny>, container: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_view = container.get_type().name()?.to_str()?.starts_with("dict_");
    Ok(!is_view && !iterator.is(container))
}

/// Whether the only references to both are this request's, the tables of what is lent, and the iterator's to the container.
fn is_only_lent(container: &Bound<'_, PyAny>, iterator: &Bound<'_, PyAny>) -> bool {
    const HERE_AND_LENT: isize = 2;
    // SAFETY: both are valid objects; their reference counts are only read, by a thread that holds the interpreter lock.
    #[expect(unsafe_code, reason = "the safe API does not count references")]
    let (of_container, of_iterator) =
        unsafe { (ffi::Py_REFCNT(container.as_ptr()), ffi::Py_REFCNT(iterator.as_ptr())) };
    of_container == HERE_AND_LENT + 1 && of_iterator == HERE_AND_LENT
}
