use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::args::Args;
use crate::convert::IntoValue;
use crate::error::{Error, Exception, Result};
use crate::object::{Class, Object, ObjectRef};
use crate::remote::Remote;
use crate::value::Value;

/// Items fetched ahead in one round trip: first few, so that the first item is there soon, then more.
const FIRST_CHUNK: usize = 16;
const LAST_CHUNK: usize = 1024;
/// Items that an iterator says it has at most, when it is asked for a guess.
const MAX_HINT: usize = 1 << 16;

/// Steps through a remote iterator.
///
/// One round trip for each item, so that the other side produces an item only when it is asked for. An error ends the
/// iteration.
#[derive(Debug)]
pub struct RemoteIter {
    iterator: Remote,
    ended: bool,
}

impl RemoteIter {
    pub(crate) fn new(iterator: Remote) -> Self {
        Self { iterator, ended: false }
    }

    /// What `__next__` returned, as a step of a Rust iterator.
    pub(crate) fn step(&mut self, item: Result<Value>) -> Option<Result<Value>> {
        let Err(error) = item else { return Some(item) };
        self.ended = true;
        let is_end = error.exception().is_some_and(|exception| exception.is("StopIteration"));
        (!is_end).then_some(Err(error))
    }

    /// True once there is nothing more to ask for.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The remote iterator itself.
    #[must_use]
    pub fn as_remote(&self) -> &Remote {
        &self.iterator
    }

    /// Fetches many items in one round trip. The other side then produces items that may never be asked for: right
    /// for containers, wrong for a generator whose steps have effects, or fail: the items of the same round trip are lost then.
    #[must_use]
    pub fn prefetched(self) -> Prefetched {
        Prefetched {
            iterator: self.iterator,
            fetched: VecDeque::new(),
            chunk: FIRST_CHUNK,
            ended: self.ended,
        }
    }
}

impl Iterator for RemoteIter {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.iterator.call_method("__next__", ());
        self.step(item)
    }
}

/// Steps through a remote iterator, many items to a round trip. See [`RemoteIter::prefetched`].
#[derive(Debug)]
pub struct Prefetched {
    iterator: Remote,
    fetched: VecDeque<Value>,
    chunk: usize,
    ended: bool,
}

impl Prefetched {
    /// How many items to fetch before the next step, if it takes any.
    pub(crate) fn due(&self) -> Option<usize> {
        (self.fetched.is_empty() && !self.ended).then_some(self.chunk)
    }

    /// Takes in the items fetched; none means the end.
    pub(crate) fn fill(&mut self, items: Result<Vec<Value>>) -> Result<()> {
        // An error ends the iteration too.
        self.ended = true;
        self.fetched = items?.into();
        self.ended = self.fetched.is_empty();
        self.chunk = (self.chunk * 4).min(LAST_CHUNK);
        Ok(())
    }

    /// The next of the items fetched.
    #[cfg(feature = "tokio")]
    pub(crate) fn pop(&mut self) -> Option<Value> {
        self.fetched.pop_front()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn as_remote(&self) -> &Remote {
        &self.iterator
    }
}

impl Iterator for Prefetched {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(chunk) = self.due() {
            let items = self.iterator.next_items(chunk);
            if let Err(error) = self.fill(items) {
                return Some(Err(error));
            }
        }
        self.fetched.pop_front().map(Ok)
    }
}

/// A Rust iterator as an object: a Python peer uses it in a `for` loop.
///
/// ```
/// let squares = netref::iterator((1..4).map(|n: i64| n * n));
/// # let _: netref::ObjectRef = squares;
/// ```
pub fn iterator<I>(items: I) -> ObjectRef
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: IntoValue,
{
    try_iterator(items.into_iter().map(|item| Ok(item.into_value())))
}

/// A Rust iterator whose steps can fail, as an object. An error reaches the peer as an exception.
///
/// ```
/// let wrong = |error: std::num::ParseFloatError| netref::Error::raise("ValueError", error.to_string());
/// let readings = netref::try_iterator(["1.5", "?"].map(|text| text.parse::<f64>().map_err(wrong)));
/// # let _: netref::ObjectRef = readings;
/// ```
pub fn try_iterator<I, T>(items: I) -> ObjectRef
where
    I: IntoIterator<Item = Result<T>>,
    I::IntoIter: Send + 'static,
    T: IntoValue,
{
    LocalIterator::shared(items.into_iter().map(|item| item.map(IntoValue::into_value)), None)
}

/// An iterator over a container of this side, of which a peer may read ahead: `items` holds the container, once, and
/// `look` gives up to so many of the items that come after so many steps, if they can be told.
pub(crate) fn container_iterator<C: Object, I>(
    container: Weak<C>,
    items: I,
    look: impl Fn(&C, usize, usize) -> Option<Vec<Value>> + Send + Sync + 'static,
) -> ObjectRef
where
    I: IntoIterator<Item = Result<Value>>,
    I::IntoIter: Send + 'static,
{
    let look = move |other: &dyn Any, from, most| {
        let other: &C = other.downcast_ref()?;
        std::ptr::eq(other, container.as_ptr()).then(|| look(other, from, most))?
    };
    LocalIterator::shared(items, Some(Box::new(look)))
}

/// What comes after `taken` of a container's items, of which `taken_there` were taken from its iterator: at most `count` of
/// them, whether these are all, and whether only requests of the peer that asks can change the container. None if the
/// iterator is not there, or not of that container.
pub(crate) fn look_ahead(
    container: &ObjectRef,
    iterator: &ObjectRef,
    taken: usize,
    taken_there: usize,
    count: usize,
) -> Option<(bool, bool, Vec<Value>)> {
    /// What this request holds, and the table of what is lent.
    const HERE_AND_LENT: usize = 2;
    let walk: &dyn Any = &**iterator;
    let walk: &LocalIterator = walk.downcast_ref()?;
    let look = walk.look.as_ref().filter(|_| walk.taken.load(Ordering::Relaxed) == taken_there)?;
    let mut items = look(&**container as &dyn Any, taken, count.saturating_add(1))?;
    let is_all = items.len() <= count;
    items.truncate(count);
    let is_sole =
        Arc::strong_count(container) == HERE_AND_LENT + 1 && Arc::strong_count(iterator) == HERE_AND_LENT;
    Some((is_all, is_sole, items))
}

type Look = dyn Fn(&dyn Any, usize, usize) -> Option<Vec<Value>> + Send + Sync;

struct LocalIterator {
    items: Mutex<Option<Box<dyn Iterator<Item = Result<Value>> + Send>>>,
    /// How many steps were taken.
    taken: AtomicUsize,
    look: Option<Box<Look>>,
    this: Weak<Self>,
}

impl Object for LocalIterator {
    fn class(&self) -> Arc<Class> {
        // One of Python's own names: a Python peer steps through the items without first asking what this is.
        static CLASS: std::sync::LazyLock<Arc<Class>> = std::sync::LazyLock::new(|| {
            let class = Class::new("builtins.list_iterator");
            class.methods(&["__iter__", "__next__", "__length_hint__"]).into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        args.finish()?;
        match name {
            "__iter__" => Ok(self.this.upgrade().map_or(Value::None, |this| Value::Object(this))),
            "__next__" => {
                // Taken out while it runs: a step may call the peer, and the peer may ask for the next item meanwhile.
                let busy = || Error::raise("ValueError", "iterator already executing");
                let mut items = self.lock().take().ok_or_else(busy)?;
                let item = items.next();
                self.taken.fetch_add(1, Ordering::Relaxed);
                *self.lock() = Some(items);
                item.unwrap_or_else(|| Err(Exception::new("StopIteration").into()))
            }
            "__length_hint__" => {
                let hint = self.lock().as_ref().map_or(0, |items| items.size_hint().0);
                // Unbounded iterators say `usize::MAX`; Python would set aside memory for as many.
                Ok(hint.min(MAX_HINT).into_value())
            }
            _ => Err(Error::no_attribute("iterator", name)),
        }
    }
}

impl LocalIterator {
    fn shared<I>(items: I, look: Option<Box<Look>>) -> ObjectRef
    where
        I: IntoIterator<Item = Result<Value>>,
        I::IntoIter: Send + 'static,
    {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            items: Mutex::new(Some(Box::new(items.into_iter()))),
            taken: AtomicUsize::new(0),
            look,
            this: this.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Iterator<Item = Result<Value>> + Send>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
