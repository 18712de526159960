//! Objects with state, attributes and special methods.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use netref::{Args, Class, IntoValue, Object, ObjectRef, Result, Value};

use crate::errors::no_attribute;
use crate::policy::{Kind, Policy};

/// State behind a reference: a method with a default argument and a read-only attribute.
pub(crate) struct Counter {
    policy: Policy,
    value: AtomicI64,
}

impl Counter {
    pub(crate) fn make(policy: Policy) -> ObjectRef {
        Arc::new(Self { policy, value: AtomicI64::new(0) })
    }

    fn value(&self) -> i64 {
        self.value.load(Ordering::SeqCst)
    }
}

impl Object for Counter {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("interop.Counter", &["incr"], &[]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        if name != "incr" {
            return Err(no_attribute(name));
        }
        let by = args.optional("by")?.unwrap_or(1);
        args.finish()?;
        Ok((self.value.fetch_add(by, Ordering::SeqCst) + by).into_value())
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(["value"])
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        if name == "value" { Ok(self.value().into_value()) } else { Err(no_attribute(name)) }
    }

    fn repr(&self) -> String {
        format!("Counter({})", self.value())
    }
}

/// Attributes that the other side may set and delete.
pub(crate) struct Record {
    policy: Policy,
    attributes: Mutex<BTreeMap<String, Value>>,
}

impl Record {
    pub(crate) fn make(policy: Policy, colour: Value) -> ObjectRef {
        let attributes = BTreeMap::from([("colour".to_owned(), colour)]);
        Arc::new(Self { policy, attributes: Mutex::new(attributes) })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.attributes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Record {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("interop.Record", &[], &[]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(no_attribute(name))
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(self.lock().keys())
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        self.lock().get(name).cloned().ok_or_else(|| no_attribute(name))
    }

    fn set_attr(&self, name: &str, value: Value) -> Result<()> {
        let before = self.lock().insert(name.to_owned(), value);
        drop(before);
        Ok(())
    }

    fn del_attr(&self, name: &str) -> Result<()> {
        let before = self.lock().remove(name);
        before.map(drop).ok_or_else(|| no_attribute(name))
    }
}

/// Comparable and hashable by its number.
pub(crate) struct Version {
    policy: Policy,
    number: i64,
}

impl Version {
    pub(crate) fn make(policy: Policy, number: i64) -> ObjectRef {
        Arc::new(Self { policy, number })
    }
}

impl Object for Version {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| {
            let special = ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"];
            Kind::new("interop.Version", &[], &special)
        });
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        if name == "__hash__" {
            args.finish()?;
            return Ok((1000 + self.number).into_value());
        }
        let other: Value = args.required("other")?;
        args.finish()?;
        let Some(other) = number_of(other) else { return Ok(Value::NotImplemented) };
        let answer = match name {
            "__eq__" => self.number == other,
            "__ne__" => self.number != other,
            "__lt__" => self.number < other,
            "__le__" => self.number <= other,
            "__gt__" => self.number > other,
            "__ge__" => self.number >= other,
            _ => return Err(no_attribute(name)),
        };
        Ok(answer.into_value())
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(["number"])
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        if name == "number" { Ok(self.number.into_value()) } else { Err(no_attribute(name)) }
    }

    fn repr(&self) -> String {
        format!("Version({})", self.number)
    }

    fn str(&self) -> String {
        format!("v{}", self.number)
    }
}

/// The number of a version, whichever side it is on.
fn number_of(value: Value) -> Option<i64> {
    match value {
        Value::Remote(remote) if remote.class_name() == "interop.Version" => {
            remote.get_attr("number").ok()?.extract().ok()
        }
        value => value.extract::<Arc<Version>>().ok().map(|version| version.number),
    }
}

/// A context manager that remembers how it was left.
pub(crate) struct Context {
    policy: Policy,
    suppress: Value,
    events: Mutex<Vec<Value>>,
    this: Weak<Self>,
}

impl Context {
    pub(crate) fn make(policy: Policy, suppress: Value) -> ObjectRef {
        Arc::new_cyclic(|this| Self { policy, suppress, events: Mutex::default(), this: this.clone() })
    }

    fn events(&self) -> MutexGuard<'_, Vec<Value>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Context {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> =
            LazyLock::new(|| Kind::new("interop.Context", &[], &["__enter__", "__exit__"]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "__enter__" => {
                args.finish()?;
                self.events().push("enter".into_value());
                Ok(self.this.upgrade().into_value())
            }
            "__exit__" => {
                let kind: Value = args.required("kind")?;
                self.events().push(exception_name(&kind).into_value());
                Ok(self.suppress.clone())
            }
            _ => Err(no_attribute(name)),
        }
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(["events", "suppress"])
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        match name {
            "events" => Ok(Value::Tuple(self.events().clone())),
            "suppress" => Ok(self.suppress.clone()),
            _ => Err(no_attribute(name)),
        }
    }
}

/// The bare class name of what `__exit__` was given: an exception or its class. None if there was no exception.
fn exception_name(kind: &Value) -> Option<String> {
    let name = match kind {
        Value::Remote(remote) => remote.class_name().to_owned(),
        Value::Object(object) => object.class().name().to_owned(),
        _ => return None,
    };
    name.rsplit('.').next().map(str::to_owned)
}

/// Counts how many of its kind are alive, so that a test sees a reference being released.
pub(crate) struct Tracked {
    policy: Policy,
    tag: String,
}

static LIVE: LazyLock<Mutex<HashMap<String, i64>>> = LazyLock::new(Mutex::default);

/// How many tracked objects with a tag are alive in the process.
pub(crate) fn live(tag: &str) -> i64 {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).get(tag).copied().unwrap_or(0)
}

fn count(tag: &str, change: i64) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner).entry(tag.to_owned()).or_default() += change;
}

impl Tracked {
    pub(crate) fn make(policy: Policy, tag: String) -> ObjectRef {
        count(&tag, 1);
        Arc::new(Self { policy, tag })
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        count(&self.tag, -1);
    }
}

impl Object for Tracked {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("interop.Tracked", &[], &[]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(no_attribute(name))
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(["tag"])
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        if name == "tag" { Ok(self.tag.as_str().into_value()) } else { Err(no_attribute(name)) }
    }
}
