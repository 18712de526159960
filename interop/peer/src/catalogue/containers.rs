//! Lists, dicts and files, as Python has them.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use netref::{Args, Class, Error, Exception, IntoValue, Object, ObjectRef, Result, Value, iterator};

use crate::errors::{no_attribute, type_error};
use crate::policy::{Kind, Policy};

/// The special methods of lists and dicts. They have a hash method in order to refuse.
const SPECIAL: [&str; 7] =
    ["__len__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__hash__"];

type Items = Arc<Mutex<Vec<Value>>>;

fn lock<T>(items: &Mutex<T>) -> MutexGuard<'_, T> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A list.
pub(crate) struct List {
    policy: Policy,
    items: Items,
}

impl List {
    pub(crate) fn make(policy: Policy, items: Vec<Value>) -> ObjectRef {
        Arc::new(Self { policy, items: Arc::new(Mutex::new(items)) })
    }

    fn get(&self, key: Value) -> Result<Value> {
        match key {
            Value::Slice(parts) => {
                let items = lock(&self.items);
                let picked = indices(*parts, items.len())?.into_iter().map(|index| items[index].clone());
                Ok(Value::Object(Self::make(self.policy, picked.collect())))
            }
            key => {
                let items = lock(&self.items);
                Ok(items[position(&key, items.len())?].clone())
            }
        }
    }

    fn set(&self, key: &Value, value: Value) -> Result<Value> {
        let mut items = lock(&self.items);
        let position = position(key, items.len())?;
        let before = std::mem::replace(&mut items[position], value);
        drop(items);
        drop(before);
        Ok(Value::None)
    }

    fn delete(&self, key: &Value) -> Result<Value> {
        let mut items = lock(&self.items);
        let position = position(key, items.len())?;
        let before = items.remove(position);
        drop(items);
        drop(before);
        Ok(Value::None)
    }
}

impl Object for List {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("builtins.list", &["append"], &SPECIAL));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "__len__" => Ok(lock(&self.items).len().into_value()),
            "__getitem__" => self.get(args.required("key")?),
            "__setitem__" => self.set(&args.required("key")?, args.required("value")?),
            "__delitem__" => self.delete(&args.required("key")?),
            "__contains__" => Ok(lock(&self.items).contains(&args.required("item")?).into_value()),
            "__iter__" => Ok(Value::Object(iterate(self.items.clone()))),
            "__hash__" => Err(type_error("unhashable type: 'list'")),
            "append" => {
                lock(&self.items).push(args.required("item")?);
                Ok(Value::None)
            }
            _ => Err(no_attribute(name)),
        }
    }

    fn repr(&self) -> String {
        let items = lock(&self.items).clone();
        format!("[{}]", items.iter().map(Value::repr).collect::<Vec<_>>().join(", "))
    }
}

/// Steps through the items that are there when each step is made.
fn iterate(items: Items) -> ObjectRef {
    let mut positions = 0..;
    iterator(std::iter::from_fn(move || lock(&items).get(positions.next()?).cloned()))
}

/// The place that an index means, counted from the end if negative.
fn position(key: &Value, len: usize) -> Result<usize> {
    let &Value::Int(index) = key else {
        return Err(type_error(format!("list indices must be integers or slices, not {}", key.type_name())));
    };
    let from_start = if index < 0 { index + len as i64 } else { index };
    let position = usize::try_from(from_start).ok().filter(|&position| position < len);
    position.ok_or_else(|| Error::raise("IndexError", "list index out of range"))
}

/// The places that a slice means.
fn indices([start, stop, step]: [Value; 3], len: usize) -> Result<Vec<usize>> {
    let step = step.extract::<Option<i64>>()?.unwrap_or(1);
    if step == 0 {
        return Err(Error::raise("ValueError", "slice step cannot be zero"));
    }
    let len = len as i64;
    // Where a walk in this direction can start or stop.
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: Value, default: i64| -> Result<i64> {
        Ok(match bound.extract::<Option<i64>>()? {
            Some(index) if index < 0 => (index.saturating_add(len)).max(lowest),
            Some(index) => index.min(highest),
            None => default,
        })
    };
    let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (start, stop) = (place(start, first)?, place(stop, end)?);
    let places = std::iter::successors(Some(start), |place| place.checked_add(step));
    let inside = places.take_while(|&place| if step > 0 { place < stop } else { place > stop });
    Ok(inside.map(|place| place as usize).collect())
}

/// A dict, in order of insertion.
pub(crate) struct Dict {
    policy: Policy,
    pairs: Mutex<Vec<(Value, Value)>>,
}

impl Dict {
    pub(crate) fn make(policy: Policy, pairs: Vec<Value>) -> Result<ObjectRef> {
        let dict = Self { policy, pairs: Mutex::default() };
        for pair in pairs {
            let (key, value) = pair.extract()?;
            dict.set(key, value);
        }
        Ok(Arc::new(dict))
    }

    fn set(&self, key: Value, value: Value) {
        let mut pairs = lock(&self.pairs);
        match pairs.iter().position(|(known, _)| *known == key) {
            Some(position) => pairs[position].1 = value,
            None => pairs.push((key, value)),
        }
    }

    /// Does something with the entry of `key`, given its place.
    fn at<T>(&self, key: Value, work: impl FnOnce(&mut Vec<(Value, Value)>, usize) -> T) -> Result<T> {
        let mut pairs = lock(&self.pairs);
        match pairs.iter().position(|(known, _)| *known == key) {
            Some(position) => Ok(work(&mut pairs, position)),
            None => Err(Exception::new("KeyError").with_arg(key).into()),
        }
    }
}

impl Object for Dict {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("builtins.dict", &[], &SPECIAL));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "__len__" => Ok(lock(&self.pairs).len().into_value()),
            "__getitem__" => self.at(args.required("key")?, |pairs, position| pairs[position].1.clone()),
            "__setitem__" => {
                self.set(args.required("key")?, args.required("value")?);
                Ok(Value::None)
            }
            "__delitem__" => {
                let removed = self.at(args.required("key")?, Vec::remove)?;
                drop(removed);
                Ok(Value::None)
            }
            "__contains__" => {
                let key: Value = args.required("key")?;
                Ok(lock(&self.pairs).iter().any(|(known, _)| *known == key).into_value())
            }
            "__iter__" => {
                let keys: Vec<Value> = lock(&self.pairs).iter().map(|(key, _)| key.clone()).collect();
                Ok(Value::Object(iterator(keys)))
            }
            "__hash__" => Err(type_error("unhashable type: 'dict'")),
            _ => Err(no_attribute(name)),
        }
    }

    fn repr(&self) -> String {
        let pairs = lock(&self.pairs).clone();
        let entries = pairs.iter().map(|(key, value)| format!("{}: {}", key.repr(), value.repr()));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }
}

/// Lines to be read.
pub(crate) struct File {
    policy: Policy,
    lines: Vec<Value>,
}

impl File {
    pub(crate) fn make(policy: Policy, lines: Vec<Value>) -> ObjectRef {
        Arc::new(Self { policy, lines })
    }
}

impl Object for File {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("interop.File", &["readlines"], &[]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "readlines" => {
                args.finish()?;
                Ok(Value::Object(List::make(self.policy, self.lines.clone())))
            }
            _ => Err(no_attribute(name)),
        }
    }
}
