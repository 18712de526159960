//! Objects that cross by reference.

use std::sync::{Arc, LazyLock};

use netref::{Args, Class, Error, IntoValue, List, Object, ObjectRef, Result, Value};

/// What every object answers for a name that it has not.
pub(crate) fn no_attribute(name: &str) -> Error {
    Error::raise("AttributeError", name)
}

/// A file in memory.
pub(crate) struct File {
    lines: Arc<[String]>,
}

impl File {
    pub(crate) fn new(lines: Vec<String>) -> Self {
        Self { lines: lines.into() }
    }

    pub(crate) fn size(&self) -> usize {
        self.lines.iter().map(String::len).sum()
    }
}

impl Object for File {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> =
            LazyLock::new(|| Class::new("bench.File").methods(&["readlines"]).into());
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        args.finish()?;
        match name {
            "readlines" => Ok(self.lines.iter().cloned().collect::<List>().into_value()),
            _ => Err(no_attribute(name)),
        }
    }
}

/// What `new_item` returns: an ordinary class with a handful of methods.
pub(crate) struct Item {
    position: i64,
}

impl Item {
    pub(crate) fn make(position: i64) -> ObjectRef {
        Arc::new(Self { position })
    }
}

impl Object for Item {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> = LazyLock::new(|| {
            Class::new("bench.Item")
                .methods(&["position", "plus", "title", "__eq__", "__ne__", "__hash__"])
                .into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        let result = match name {
            "position" | "__hash__" => self.position.into_value(),
            "plus" => (self.position + args.required::<i64>("number")?).into_value(),
            "title" => format!("item {}", self.position).into_value(),
            "__eq__" | "__ne__" => {
                let other = args.required::<Value>("other")?.extract::<Arc<Self>>();
                let is_equal = other.is_ok_and(|other| other.position == self.position);
                (is_equal == (name == "__eq__")).into_value()
            }
            _ => return Err(no_attribute(name)),
        };
        args.finish()?;
        Ok(result)
    }

    fn repr(&self) -> String {
        format!("Item({})", self.position)
    }
}
