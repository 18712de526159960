use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use crate::args::Args;
use crate::compare::{Key, equal};
use crate::containers::{bury, itself, nested_repr, only};
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Exception, Result};
use crate::fetching::{fetched, fetched_pairs};
use crate::iter::container_iterator;
use crate::object::{Class, Object};
use crate::repr::repr;
use crate::value::Value;

/// A dict that lives on this side: a peer that gets it works on this very dict, with all that Python's dicts can do.
///
/// Clones are the same dict. Items keep the order in which they were inserted. Keys are what Python can hash: plain data,
/// and objects (but not lists and dicts) by identity. `keys()`, `values()` and `items()` give a Python peer tuples of how
/// things are at that moment, by value where they can be: one round trip for all.
///
/// ```
/// use netref::Dict;
///
/// let dict: Dict = [("gain", 2.5), ("offset", 0.0)].into_iter().collect();
/// dict.insert("channel", "A")?;
/// assert_eq!(dict.get("gain").unwrap().extract::<f64>()?, 2.5);
/// assert_eq!(format!("{dict:?}"), "{'gain': 2.5, 'offset': 0.0, 'channel': 'A'}");
/// # Ok::<(), netref::Error>(())
/// ```
///
/// A dict that contains itself, directly or through others, is never freed.
#[derive(Clone)]
pub struct Dict(Arc<Live>);

struct Live {
    items: Mutex<Items>,
    this: Weak<Self>,
}

/// Items in the order of insertion: each gets the next number, which its key finds.
#[derive(Clone, Default)]
struct Items {
    numbers: HashMap<Key, u64>,
    entries: BTreeMap<u64, (Value, Value)>,
    next: u64,
}

impl Dict {
    /// An empty dict.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new_cyclic(|this| Live { items: Mutex::default(), this: this.clone() }))
    }

    /// Sets the item at `key`, and returns what was there.
    ///
    /// # Errors
    /// `TypeError` if the key cannot be one.
    pub fn insert(&self, key: impl IntoValue, value: impl IntoValue) -> Result<Option<Value>> {
        self.0.insert(key.into_value(), value.into_value())
    }

    /// The item at `key`.
    #[must_use]
    pub fn get(&self, key: impl IntoValue) -> Option<Value> {
        let key = Key::of(&key.into_value()).ok()?;
        self.0.lock().get(&key).cloned()
    }

    /// Removes the item at `key`, and returns it.
    pub fn remove(&self, key: impl IntoValue) -> Option<Value> {
        let key = Key::of(&key.into_value()).ok()?;
        let removed = self.0.lock().remove(&key);
        removed.map(|(_, value)| value)
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// True if there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items as they are now; later changes do not show.
    pub fn iter(&self) -> impl Iterator<Item = (Value, Value)> + use<> {
        self.0.snapshot().into_iter()
    }

    /// Removes all items.
    pub fn clear(&self) {
        self.0.empty();
    }

    /// The dict of this side that a value is.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let Value::Object(object) = value else { return None };
        let any: Arc<dyn std::any::Any + Send + Sync> = object.clone();
        any.downcast().ok().map(Self)
    }
}

impl Default for Dict {
    fn default() -> Self {
        Self::new()
    }
}

/// Later items replace earlier ones of the same key.
impl<K: IntoValue + Eq, V: IntoValue> FromIterator<(K, V)> for Dict {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        let dict = Self::new();
        for (key, value) in items {
            let inserted = dict.insert(key, value);
            // Only lists, dicts and slices are no keys, and no type that is `Eq` becomes one of these.
            debug_assert!(inserted.is_ok(), "{inserted:?}");
        }
        dict
    }
}

impl<K: IntoValue + Eq, V: IntoValue> From<HashMap<K, V>> for Dict {
    fn from(map: HashMap<K, V>) -> Self {
        map.into_iter().collect()
    }
}

impl<K: IntoValue + Eq, V: IntoValue> From<BTreeMap<K, V>> for Dict {
    fn from(map: BTreeMap<K, V>) -> Self {
        map.into_iter().collect()
    }
}

impl IntoValue for Dict {
    fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl IntoValue for &Dict {
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl FromValue for Dict {
    fn from_value(value: Value) -> Result<Self> {
        Self::of(&value).ok_or_else(|| Error::conversion("a dict of this side", &value.type_name()))
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.repr())
    }
}

impl Object for Live {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> = LazyLock::new(|| {
            // Python's own name: a Python peer knows such objects without asking.
            Class::new("builtins.dict").methods(WHOLE).methods(KEYED).methods(OPERATORS).into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            name if WHOLE.contains(&name) => {
                args.finish()?;
                self.whole(name)
            }
            name if KEYED.contains(&name) => self.keyed(name, &mut args),
            "update" => self.update(args).map(|()| Value::None),
            name => self.operate(name, &mut args),
        }
    }

    fn repr(&self) -> String {
        let address = std::ptr::from_ref(self).addr();
        nested_repr(address, "{...}", || {
            let items = self.snapshot();
            let items = items.iter().map(|(key, value)| format!("{}: {}", repr(key), repr(value)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        })
    }
}

const WHOLE: &[&str] =
    &["keys", "values", "items", "copy", "clear", "popitem", "__len__", "__iter__", "__reversed__"];
const KEYED: &[&str] =
    &["get", "pop", "setdefault", "__getitem__", "__setitem__", "__delitem__", "__contains__"];
const OPERATORS: &[&str] = &["update", "__eq__", "__ne__", "__or__", "__ior__", "__ror__"];

/// Python's methods. Values are compared, and other mappings read, with the dict unlocked: both may run a peer's code.
impl Live {
    /// What takes no arguments.
    fn whole(&self, name: &str) -> Result<Value> {
        let items = || self.snapshot().into_iter();
        Ok(match name {
            "keys" => Value::Tuple(items().map(|(key, _)| key).collect()),
            "values" => Value::Tuple(items().map(|(_, value)| value).collect()),
            "items" => items().collect::<Vec<_>>().into_value(),
            "copy" => self.copied().into_value(),
            "clear" => {
                self.empty();
                Value::None
            }
            "popitem" => {
                let mut items = self.lock();
                let (_, (key, value)) = items
                    .entries
                    .pop_last()
                    .ok_or_else(|| missing("popitem(): dictionary is empty".into_value()))?;
                items.numbers.remove(&Key::of(&key)?);
                (key, value).into_value()
            }
            "__len__" => self.lock().entries.len().into_value(),
            "__reversed__" => crate::iter::iterator(items().map(|(key, _)| key).rev()).into_value(),
            _ => self.stepped(),
        })
    }

    /// What is about one key.
    fn keyed(&self, name: &str, args: &mut Args) -> Result<Value> {
        let key: Value = args.required("key")?;
        let mut second = || match name {
            "__setitem__" => args.required("value").map(Some),
            "get" | "pop" | "setdefault" => args.optional("default"),
            _ => Ok(None),
        };
        let second: Option<Value> = second()?;
        args.finish()?;
        if name == "__setitem__" {
            return self.insert(key, second.unwrap_or_default()).map(|_| Value::None);
        }
        let hashed = Key::of(&key)?;
        let mut items = self.lock();
        Ok(match name {
            "get" => items.get(&hashed).cloned().or(second).unwrap_or_default(),
            "__getitem__" => items.get(&hashed).cloned().ok_or_else(|| missing(key))?,
            "__contains__" => Value::Bool(items.get(&hashed).is_some()),
            "pop" => {
                let removed = items.remove(&hashed);
                drop(items);
                removed.map(|(_, value)| value).or(second).ok_or_else(|| missing(key))?
            }
            "setdefault" => match items.get(&hashed) {
                Some(value) => value.clone(),
                None => {
                    let value = second.unwrap_or_default();
                    items.insert(hashed, key, value.clone());
                    value
                }
            },
            _ => {
                let removed = items.remove(&hashed);
                drop(items);
                removed.map(|_| Value::None).ok_or_else(|| missing(key))?
            }
        })
    }

    fn operate(&self, name: &str, args: &mut Args) -> Result<Value> {
        let other: Value = only(args, "value")?;
        if name == "__ior__" {
            self.update(Args::new((other,)))?;
            return Ok(itself(&self.this));
        }
        let Some(others) = mapping_items(&other)? else { return Ok(Value::NotImplemented) };
        match name {
            "__eq__" => self.is_same(others).map(Value::Bool),
            "__ne__" => self.is_same(others).map(|same| Value::Bool(!same)),
            "__or__" => {
                let merged = self.copied();
                merged.0.insert_all(others).map(|()| merged.into_value())
            }
            "__ror__" => {
                let merged = Dict::new();
                merged.0.insert_all(others)?;
                merged.0.insert_all(self.snapshot()).map(|()| merged.into_value())
            }
            _ => Err(Error::no_attribute("dict", name)),
        }
    }

    /// `dict.update`: from a mapping, or from pairs, and from named arguments.
    fn update(&self, mut args: Args) -> Result<()> {
        let named = std::mem::take(&mut args.named);
        let other: Option<Value> = args.optional("other")?;
        args.finish()?;
        if let Some(other) = other {
            let items = match mapping_items(&other)? {
                Some(items) => items,
                None => fetched(&other)?.map(pair).collect::<Result<_>>()?,
            };
            self.insert_all(items)?;
        }
        self.insert_all(named.into_iter().map(|(name, value)| (Value::Str(name), value)).collect())
    }

    fn is_same(&self, others: Vec<(Value, Value)>) -> Result<bool> {
        let mine = self.lock().clone();
        if mine.entries.len() != others.len() {
            return Ok(false);
        }
        for (key, theirs) in others {
            let same = match mine.get(&Key::of(&key)?) {
                Some(value) => equal(value, &theirs)?,
                None => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An iterator over the keys of the live dict. As in Python, it fails if the dict grows or shrinks meanwhile.
    fn stepped(&self) -> Value {
        let Some(this) = self.this.upgrade() else { return Value::None };
        let len = this.lock().entries.len();
        let mut from = 0;
        let steps = std::iter::from_fn(move || {
            let items = this.lock();
            if items.entries.len() != len {
                return Some(Err(Error::raise("RuntimeError", "dictionary changed size during iteration")));
            }
            let (number, (key, _)) = items.entries.range(from..).next()?;
            from = number + 1;
            Some(Ok(key.clone()))
        });
        Value::Object(container_iterator(self.this.clone(), steps, move |live, from, most| {
            let entries = &live.lock().entries;
            let is_as_before = entries.len() == len && from <= len;
            is_as_before.then(|| entries.values().skip(from).take(most).map(|(key, _)| key.clone()).collect())
        }))
    }

    fn insert(&self, key: Value, value: Value) -> Result<Option<Value>> {
        let hashed = Key::of(&key)?;
        Ok(self.lock().insert(hashed, key, value))
    }

    fn insert_all(&self, items: Vec<(Value, Value)>) -> Result<()> {
        for (key, value) in items {
            self.insert(key, value)?;
        }
        Ok(())
    }

    fn copied(&self) -> Dict {
        let copy = Dict::new();
        *copy.0.lock() = self.lock().clone();
        copy
    }

    fn empty(&self) {
        let items = std::mem::take(&mut *self.lock());
        bury(items.entries.into_values().flat_map(|(key, value)| [key, value]).collect());
    }

    fn snapshot(&self) -> Vec<(Value, Value)> {
        self.lock().entries.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.empty();
    }
}

impl Items {
    fn get(&self, key: &Key) -> Option<&Value> {
        let number = self.numbers.get(key)?;
        self.entries.get(number).map(|(_, value)| value)
    }

    fn insert(&mut self, hashed: Key, key: Value, value: Value) -> Option<Value> {
        if let Some((_, slot)) = self.numbers.get(&hashed).and_then(|number| self.entries.get_mut(number)) {
            return Some(std::mem::replace(slot, value));
        }
        self.numbers.insert(hashed, self.next);
        self.entries.insert(self.next, (key, value));
        self.next += 1;
        None
    }

    fn remove(&mut self, key: &Key) -> Option<(Value, Value)> {
        let number = self.numbers.remove(key)?;
        self.entries.remove(&number)
    }
}

/// All items, if the value is a mapping of either side.
fn mapping_items(value: &Value) -> Result<Option<Vec<(Value, Value)>>> {
    match value {
        Value::Remote(remote) => {
            let is_mapping = remote.class_name() == "builtins.dict"
                || remote.methods()?.iter().any(|(name, _)| name == "keys");
            if is_mapping { fetched_pairs(remote).map(Some) } else { Ok(None) }
        }
        value => Ok(Dict::of(value).map(|dict| dict.0.snapshot())),
    }
}

fn pair(item: Result<Value>) -> Result<(Value, Value)> {
    let items: Vec<Value> = item?.extract()?;
    let found = items.len();
    <[Value; 2]>::try_from(items).map(Into::into).map_err(|_| {
        let message = format!("dictionary update sequence element has length {found}; 2 is required");
        Error::raise("ValueError", message)
    })
}

fn missing(key: Value) -> Error {
    Exception::new("KeyError").with_arg(key).into()
}
