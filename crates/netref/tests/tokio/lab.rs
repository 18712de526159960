//! The service that the tests use, in Rust. `stock.rs` has it in Python.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use netref::{Args, Class, Error, IntoValue, Object, Remote, Result, Service, Value};

pub(crate) struct Lab;

impl Object for Lab {
    fn class(&self) -> Arc<Class> {
        Class::new("lab.Lab")
            .method("add", "Adds.")
            .methods(&["echo", "fail", "shelf", "call", "relay"])
            .into()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "add" => Ok((args.required::<i64>("a")? + args.required::<i64>("b")?).into_value()),
            "echo" => args.required("x"),
            "fail" => Err(Error::raise("ValueError", args.required::<String>("message")?)),
            "shelf" => Ok(Arc::new(Shelf::default()).into_value()),
            "call" => args.required::<Remote>("function")?.call(args.rest()),
            "relay" => {
                let (function, depth): (Remote, i64) = (args.required("function")?, args.required("depth")?);
                if depth == 0 { Ok("bottom".into_value()) } else { function.call((depth - 1,)) }
            }
            _ => Err(Error::raise("AttributeError", name)),
        }
    }
}

impl Service for Lab {}

/// A mapping from str to int, with an attribute and a `with` block.
#[derive(Default)]
pub(crate) struct Shelf {
    items: Mutex<BTreeMap<String, i64>>,
    label: Mutex<Option<String>>,
}

impl Object for Shelf {
    fn class(&self) -> Arc<Class> {
        let methods = ["__len__", "__iter__", "__getitem__", "__setitem__", "__delitem__", "__contains__"];
        let class = Class::new("lab.Shelf").methods(&methods);
        class.methods(&["__eq__", "__lt__", "__hash__", "__enter__", "__exit__"]).into()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        let mut items = self.items.lock().unwrap();
        let missing = |key: &str| Error::raise("KeyError", key);
        Ok(match name {
            "__len__" => items.len().into_value(),
            "__iter__" => netref::iterator(items.keys().cloned().collect::<Vec<_>>()).into_value(),
            "__getitem__" => {
                let key: String = args.required("key")?;
                items.get(&key).copied().ok_or_else(|| missing(&key))?.into_value()
            }
            "__setitem__" => {
                items.insert(args.required("key")?, args.required("value")?);
                Value::None
            }
            "__delitem__" => {
                let key: String = args.required("key")?;
                items.remove(&key).ok_or_else(|| missing(&key))?;
                Value::None
            }
            "__contains__" => items.contains_key(&args.required::<String>("key")?).into_value(),
            "__eq__" => matches!(args.required("other")?, Value::Int(7)).into_value(),
            "__lt__" => Value::NotImplemented,
            "__hash__" => 42.into_value(),
            "__enter__" => "entered".into_value(),
            "__exit__" => {
                let has_failed = !matches!(args.required("type")?, Value::None);
                *self.label.lock().unwrap() = has_failed.then(|| "broken".to_owned());
                has_failed.into_value()
            }
            _ => return Err(Error::raise("AttributeError", name)),
        })
    }

    fn attributes(&self) -> Vec<String> {
        vec!["label".to_owned()]
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        let label = self.label.lock().unwrap().clone();
        label.map(IntoValue::into_value).ok_or_else(|| Error::raise("AttributeError", name))
    }

    fn set_attr(&self, _name: &str, value: Value) -> Result<()> {
        *self.label.lock().unwrap() = Some(value.extract()?);
        Ok(())
    }

    fn del_attr(&self, _name: &str) -> Result<()> {
        *self.label.lock().unwrap() = None;
        Ok(())
    }

    fn repr(&self) -> String {
        "<a shelf>".to_owned()
    }
}
