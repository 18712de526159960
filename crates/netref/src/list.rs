use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use crate::args::Args;
use crate::compare::{all_less, equal, first_difference, less, plainly_equal, short_name, sort};
use crate::containers::{Span, Subscript, bury, index, itself, nested_repr, only, place};
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
use crate::fetching::fetched;
use crate::iter::{container_iterator, try_iterator};
use crate::object::{Class, Object};
use crate::repr::joined;
use crate::value::Value;

/// Items that `list * number` makes at most: a peer must not be able to fill the memory with one call.
const MAX_REPEATED: usize = 1 << 24;

/// A list that lives on this side: a peer that gets it works on this very list, with all that Python's lists can do.
///
/// Clones are the same list. (A `Vec`, on the other hand, crosses as a tuple: by value, if its items are plain.) A Python
/// peer's loop over the list takes a round trip for many items, while nothing can have changed them.
///
/// ```
/// use netref::List;
///
/// let list = List::from(vec![1, 2]);
/// let same = list.clone();
/// same.push("three");
/// assert_eq!(list.len(), 3);
/// assert_eq!(format!("{list:?}"), "[1, 2, 'three']");
/// ```
///
/// A list that contains itself, directly or through others, is never freed.
#[derive(Clone)]
pub struct List(Arc<Live>);

struct Live {
    items: Mutex<Vec<Value>>,
    this: Weak<Self>,
}

impl List {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::of_items(Vec::new())
    }

    /// Adds an item at the end.
    pub fn push(&self, item: impl IntoValue) {
        let item = item.into_value();
        self.0.lock().push(item);
    }

    /// The item at `index`, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        self.0.lock().get(index).cloned()
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// True if there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items as they are now; later changes do not show.
    pub fn iter(&self) -> impl Iterator<Item = Value> + use<> {
        self.0.snapshot().into_iter()
    }

    /// The items as they are now, converted.
    ///
    /// # Errors
    /// [`Error::Conversion`] if one is something else.
    pub fn to_vec<T: FromValue>(&self) -> Result<Vec<T>> {
        self.iter().map(Value::extract).collect()
    }

    /// Removes all items.
    pub fn clear(&self) {
        bury(self.0.replace(Vec::new()));
    }

    /// The list of this side that a value is.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let Value::Object(object) = value else { return None };
        let any: Arc<dyn std::any::Any + Send + Sync> = object.clone();
        any.downcast().ok().map(Self)
    }

    pub(crate) fn of_items(items: Vec<Value>) -> Self {
        Self(Arc::new_cyclic(|this| Live { items: Mutex::new(items), this: this.clone() }))
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: IntoValue> From<Vec<T>> for List {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: IntoValue> FromIterator<T> for List {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::of_items(items.into_iter().map(T::into_value).collect())
    }
}

impl IntoValue for List {
    fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl IntoValue for &List {
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl FromValue for List {
    fn from_value(value: Value) -> Result<Self> {
        Self::of(&value).ok_or_else(|| Error::conversion("a list of this side", &value.type_name()))
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.repr())
    }
}

impl Object for Live {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> = LazyLock::new(|| {
            // Python's own name: a Python peer knows such objects without asking.
            let class = Class::new("builtins.list");
            class.methods(CHANGING).methods(SEARCHING).methods(SUBSCRIPTS).methods(OPERATORS).into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        let args = &mut args;
        match name {
            name if CHANGING.contains(&name) => self.change(name, args),
            name if SEARCHING.contains(&name) => self.search(name, args),
            name if SUBSCRIPTS.contains(&name) => self.subscript(name, args),
            name => self.operate(name, args),
        }
    }

    fn repr(&self) -> String {
        let address = std::ptr::from_ref(self).addr();
        nested_repr(address, "[...]", || format!("[{}]", joined(&self.snapshot())))
    }
}

const CHANGING: &[&str] = &["append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear"];
const SEARCHING: &[&str] =
    &["index", "count", "copy", "__contains__", "__len__", "__iter__", "__reversed__", "__length_hint__"];
const SUBSCRIPTS: &[&str] = &["__getitem__", "__setitem__", "__delitem__"];
const OPERATORS: &[&str] = &[
    "__add__", "__iadd__", "__mul__", "__rmul__", "__imul__", "__eq__", "__ne__", "__lt__", "__le__",
    "__gt__", "__ge__",
];

/// Python's methods. Items are compared, and arguments that are iterables stepped through, with the list unlocked: both
/// may run a peer's code.
impl Live {
    fn change(&self, name: &str, args: &mut Args) -> Result<Value> {
        match name {
            "append" => {
                let item = only(args, "object")?;
                self.lock().push(item);
            }
            "extend" => {
                let more = items_of(&only(args, "iterable")?)?;
                self.lock().extend(more);
            }
            "insert" => {
                let (at, item) = (args.required::<i64>("index")?, args.required("object")?);
                args.finish()?;
                let mut items = self.lock();
                let len = items.len();
                let at = place(at, len).unwrap_or(if at < 0 { 0 } else { len });
                items.insert(at, item);
            }
            "pop" => {
                let at = args.optional::<i64>("index")?.unwrap_or(-1);
                args.finish()?;
                let mut items = self.lock();
                let out_of_range =
                    if items.is_empty() { "pop from empty list" } else { "pop index out of range" };
                let at = place(at, items.len()).ok_or_else(|| Error::raise("IndexError", out_of_range))?;
                return Ok(items.remove(at));
            }
            "remove" => {
                let at = self.find(&only(args, "value")?, 0..usize::MAX)?;
                let at = at.ok_or_else(|| Error::raise("ValueError", "list.remove(x): x not in list"))?;
                let mut items = self.lock();
                // The list may have changed while its items were compared.
                let removed = (at < items.len()).then(|| items.remove(at));
                drop(items);
                drop(removed);
            }
            "reverse" => {
                args.finish()?;
                self.lock().reverse();
            }
            "sort" => {
                let key = args.optional::<Option<Value>>("key")?.flatten();
                let reverse = args.optional::<Value>("reverse")?;
                args.finish()?;
                let reverse = !matches!(reverse, None | Some(Value::Bool(false) | Value::Int(0)));
                self.replace(sorted(self.snapshot(), key.as_ref(), reverse)?);
            }
            _ => {
                args.finish()?;
                bury(self.replace(Vec::new()));
            }
        }
        Ok(Value::None)
    }

    fn search(&self, name: &str, args: &mut Args) -> Result<Value> {
        match name {
            "index" => {
                let wanted = args.required("value")?;
                let (start, stop) = (args.optional("start")?, args.optional("stop")?);
                args.finish()?;
                let parts = [start.unwrap_or_default(), stop.unwrap_or_default(), Value::None];
                let span = Span::of(&parts, self.lock().len())?;
                let found = self.find(&wanted, span.start..span.start + span.count)?;
                let missing = || format!("{} is not in list", crate::repr::repr(&wanted));
                found.map(IntoValue::into_value).ok_or_else(|| Error::raise("ValueError", missing()))
            }
            "count" => {
                let wanted: Value = only(args, "value")?;
                let mut count = 0;
                for item in self.snapshot() {
                    count += i64::from(equal(&item, &wanted)?);
                }
                Ok(Value::Int(count))
            }
            "__contains__" => Ok(Value::Bool(self.find(&only(args, "key")?, 0..usize::MAX)?.is_some())),
            "copy" => args.finish().map(|()| List::of_items(self.snapshot()).into_value()),
            "__iter__" => args.finish().map(|()| self.iterator()),
            "__reversed__" => {
                args.finish()?;
                let len = self.lock().len();
                let steps = self.steps(move |nth| len.checked_sub(nth + 1));
                Ok(steps.map_or(Value::None, |steps| Value::Object(try_iterator(steps))))
            }
            _ => args.finish().map(|()| self.lock().len().into_value()),
        }
    }

    fn subscript(&self, name: &str, args: &mut Args) -> Result<Value> {
        let key = args.required("key")?;
        if name == "__setitem__" {
            let value = args.required("value")?;
            args.finish()?;
            return self.set_item(key, value).map(|()| Value::None);
        }
        args.finish()?;
        let key = Subscript::of(key)?;
        let mut items = self.lock();
        match (name, key) {
            ("__getitem__", Subscript::Index(at)) => {
                let at = place(at, items.len()).ok_or_else(|| out_of_range("list index"))?;
                Ok(items[at].clone())
            }
            ("__getitem__", Subscript::Slice(parts)) => {
                let span = Span::of(&parts, items.len())?;
                Ok(List::of_items(span.places().map(|at| items[at].clone()).collect()).into_value())
            }
            (_, Subscript::Index(at)) => {
                let at = place(at, items.len()).ok_or_else(|| out_of_range("list assignment index"))?;
                let removed = items.remove(at);
                drop(items);
                drop(removed);
                Ok(Value::None)
            }
            (_, Subscript::Slice(parts)) => {
                let span = Span::of(&parts, items.len())?;
                let mut is_removed = vec![false; items.len()];
                span.places().for_each(|at| is_removed[at] = true);
                let (mut kept, mut removed) = (Vec::new(), Vec::new());
                for (item, is_removed) in items.drain(..).zip(is_removed) {
                    if is_removed { removed.push(item) } else { kept.push(item) }
                }
                *items = kept;
                drop(items);
                bury(removed);
                Ok(Value::None)
            }
        }
    }

    fn set_item(&self, key: Value, value: Value) -> Result<()> {
        let parts = match Subscript::of(key)? {
            Subscript::Slice(parts) => parts,
            Subscript::Index(at) => {
                let mut items = self.lock();
                let at = place(at, items.len()).ok_or_else(|| out_of_range("list assignment index"))?;
                let replaced = std::mem::replace(&mut items[at], value);
                drop(items);
                drop(replaced);
                return Ok(());
            }
        };
        let new = items_of(&value)?;
        let mut items = self.lock();
        let span = Span::of(&parts, items.len())?;
        let replaced: Vec<_> = if span.step == 1 {
            items.splice(span.start..span.start + span.count, new).collect()
        } else if span.count == new.len() {
            span.places().zip(new).map(|(at, item)| std::mem::replace(&mut items[at], item)).collect()
        } else {
            let (new, count) = (new.len(), span.count);
            let message =
                format!("attempt to assign sequence of size {new} to extended slice of size {count}");
            return Err(Error::raise("ValueError", message));
        };
        drop(items);
        bury(replaced);
        Ok(())
    }

    fn operate(&self, name: &str, args: &mut Args) -> Result<Value> {
        let other: Value = only(args, "value")?;
        match name {
            "__iadd__" => {
                let more = items_of(&other)?;
                self.lock().extend(more);
                Ok(itself(&self.this))
            }
            "__add__" => {
                let wrong = || format!("can only concatenate list (not \"{}\") to list", short_name(&other));
                let more = list_items(&other)?.ok_or_else(|| Error::raise("TypeError", wrong()))?;
                let mut items = self.snapshot();
                items.extend(more);
                Ok(List::of_items(items).into_value())
            }
            "__mul__" | "__rmul__" | "__imul__" => {
                let repeated = repeat(&self.snapshot(), index(&other)?)?;
                if name == "__imul__" {
                    bury(self.replace(repeated));
                    return Ok(itself(&self.this));
                }
                Ok(List::of_items(repeated).into_value())
            }
            _ => {
                let Some(other) = list_items(&other)? else { return Ok(Value::NotImplemented) };
                let mine = self.snapshot();
                Ok(Value::Bool(match name {
                    "__eq__" => is_same(&mine, &other)?,
                    "__ne__" => !is_same(&mine, &other)?,
                    "__lt__" => all_less(&mine, &other)?,
                    "__le__" => !all_less(&other, &mine)?,
                    "__gt__" => all_less(&other, &mine)?,
                    "__ge__" => !all_less(&mine, &other)?,
                    _ => return Err(Error::no_attribute("list", name)),
                }))
            }
        }
    }

    /// Where in `range` an item equals `wanted`.
    fn find(&self, wanted: &Value, range: std::ops::Range<usize>) -> Result<Option<usize>> {
        let items = self.lock();
        let range = range.start.min(items.len())..range.end.min(items.len());
        let plain = items[range.clone()].iter().map(|item| plainly_equal(item, wanted));
        // Up to the first that only an object can answer for, there is no need to unlock.
        match plain.enumerate().find(|(_, equal)| *equal != Some(false)) {
            None => return Ok(None),
            Some((nth, Some(_))) => return Ok(Some(range.start + nth)),
            Some((_, None)) => {}
        }
        let snapshot = items[range.clone()].to_vec();
        drop(items);
        for (nth, item) in snapshot.iter().enumerate() {
            if equal(item, wanted)? {
                return Ok(Some(range.start + nth));
            }
        }
        Ok(None)
    }

    /// An iterator over the live list.
    fn iterator(&self) -> Value {
        let Some(steps) = self.steps(Some) else { return Value::None };
        Value::Object(container_iterator(self.this.clone(), steps, |live, from, most| {
            Some(live.lock().get(from..)?.iter().take(most).cloned().collect())
        }))
    }

    /// The items at the places that `place` makes of the numbers of steps, as they are by then.
    fn steps(
        &self,
        place: impl Fn(usize) -> Option<usize> + Send + 'static,
    ) -> Option<impl Iterator<Item = Result<Value>> + Send + 'static> {
        let this = self.this.upgrade()?;
        Some((0..).map_while(move |nth| this.lock().get(place(nth)?).cloned().map(Ok)))
    }

    fn snapshot(&self) -> Vec<Value> {
        self.lock().clone()
    }

    fn replace(&self, items: Vec<Value>) -> Vec<Value> {
        std::mem::replace(&mut *self.lock(), items)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        bury(self.replace(Vec::new()));
    }
}

/// All items of an iterable.
fn items_of(iterable: &Value) -> Result<Vec<Value>> {
    fetched(iterable)?.collect()
}

/// All items, if the value is a list of either side.
fn list_items(value: &Value) -> Result<Option<Vec<Value>>> {
    match value {
        Value::Remote(remote) if remote.class_name() == "builtins.list" => items_of(value).map(Some),
        value => Ok(List::of(value).map(|list| list.0.snapshot())),
    }
}

fn is_same(a: &[Value], b: &[Value]) -> Result<bool> {
    Ok(a.len() == b.len() && first_difference(a, b)?.is_none())
}

fn sorted(items: Vec<Value>, key: Option<&Value>, reverse: bool) -> Result<Vec<Value>> {
    let keyed = items.into_iter().map(|item| {
        let key = key.map_or_else(|| Ok(item.clone()), |key| key.call((item.clone(),)))?;
        Ok((key, item))
    });
    let keyed = sort(keyed.collect::<Result<Vec<_>>>()?, &|(a, _), (b, _)| {
        // Reversed, equal items still keep their order.
        if reverse { less(b, a) } else { less(a, b) }
    })?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn repeat(items: &[Value], times: i64) -> Result<Vec<Value>> {
    let times = usize::try_from(times).unwrap_or(0);
    match items.len().checked_mul(times) {
        Some(count) if count <= MAX_REPEATED => Ok(items.iter().cycle().take(count).cloned().collect()),
        _ => Err(Error::raise("MemoryError", format!("a repeated list has at most {MAX_REPEATED} items"))),
    }
}

fn out_of_range(what: &str) -> Error {
    Error::raise("IndexError", format!("{what} out of range"))
}
