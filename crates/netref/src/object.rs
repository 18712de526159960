//! Rust things as objects that a peer can use.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::args::Args;
use crate::convert::IntoValue;
use crate::error::{Error, Result};
use crate::value::Value;

/// A shared object of this side.
pub type ObjectRef = Arc<dyn Object>;

/// Something of this side that a peer holds a reference to and uses as if it were local.
///
/// `#[netref::object]` and `#[netref::service]` write this for an `impl` block; [`function`](crate::function()),
/// [`iterator`](crate::iterator), [`File`](crate::File), [`List`](crate::List) and [`Dict`](crate::Dict) make such
/// objects. By hand it is one method for what the
/// object can do and one for what it is:
///
/// ```
/// use std::sync::Arc;
/// use netref::{Args, Class, Error, Object, Result, Value, IntoValue};
///
/// struct Dice;
///
/// impl Object for Dice {
///     fn class(&self) -> Arc<Class> {
///         Class::new("games.Dice").method("roll", "Rolls the dice.").into()
///     }
///     fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
///         match name {
///             "roll" => {
///                 args.finish()?;
///                 Ok(4.into_value())
///             }
///             _ => Err(Error::no_attribute("Dice", name)),
///         }
///     }
/// }
/// ```
///
/// A peer reaches only the methods that [`class`](Self::class) lists and the attributes in
/// [`attributes`](Self::attributes); Python's special methods (`__len__`, `__iter__`, …) are methods like any other.
/// Methods may be called from several threads at once. Those that take long should not hold locks that others need: the
/// peer may call back while it waits.
#[diagnostic::on_unimplemented(
    message = "peers cannot use a `{Self}`",
    note = "write `#[netref::object]` on its `impl` block"
)]
pub trait Object: Any + Send + Sync {
    /// What the object is. The peer learns each class once, which is kept from then on: those with equal descriptions are one.
    /// Cheapest is to return the same `Arc` each time.
    fn class(&self) -> Arc<Class>;

    /// Calls a method.
    ///
    /// # Errors
    /// Whatever the method raises; `AttributeError` for a name that is no method.
    fn call_method(&self, name: &str, args: Args) -> Result<Value>;

    /// Starts a method that is asynchronous, and gives the arguments of any other back, to be
    /// [called](Self::call_method) with. Only connections of `netref::aio` ask; it must not block.
    ///
    /// # Errors
    /// The arguments, untouched.
    fn start_method(self: Arc<Self>, name: &str, args: Args) -> Result<MethodFuture, Args> {
        let _ = name;
        Err(args)
    }

    /// Names of the attributes that are not methods.
    fn attributes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Reads an attribute that is not a method.
    ///
    /// # Errors
    /// `AttributeError` if there is none of that name.
    fn get_attr(&self, name: &str) -> Result<Value> {
        Err(Error::no_attribute(self.class().name(), name))
    }

    /// Assigns to an attribute.
    ///
    /// # Errors
    /// `AttributeError` if that is not possible.
    fn set_attr(&self, name: &str, value: Value) -> Result<()> {
        drop(value);
        Err(Error::read_only(self.class().name(), name))
    }

    /// Deletes an attribute.
    ///
    /// # Errors
    /// `AttributeError` if that is not possible.
    fn del_attr(&self, name: &str) -> Result<()> {
        Err(Error::raise("AttributeError", format!("attribute '{name}' cannot be deleted")))
    }

    /// Python's `repr`.
    fn repr(&self) -> String {
        format!("<{} object>", self.class().name())
    }

    /// Python's `str`.
    fn str(&self) -> String {
        self.repr()
    }

    /// The methods that a peer is told about, with their documentation.
    ///
    /// # Errors
    /// If they cannot be found out (an object of a third process).
    fn inspect(&self) -> Result<Vec<Method>> {
        Ok(self.class().methods.clone())
    }
}

/// An asynchronous method as it runs.
pub type MethodFuture = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

impl fmt::Debug for dyn Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}

/// What kind of object something is: its name and its methods, for the peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    name: String,
    methods: Vec<Method>,
}

/// A method, for the peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// Name.
    pub name: String,
    /// Documentation, if there is any.
    pub doc: Option<String>,
}

impl Class {
    /// A class with no methods yet. A Python peer shows `name` as `module.Class`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), methods: Vec::new() }
    }

    /// Adds a method.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>, doc: impl Into<String>) -> Self {
        let doc = Some(doc.into()).filter(|doc: &String| !doc.is_empty());
        self.methods.push(Method { name: name.into(), doc });
        self
    }

    /// Adds methods without documentation: Python's special ones explain themselves.
    #[must_use]
    pub fn methods(self, names: &[&str]) -> Self {
        names.iter().fold(self, |class, name| class.method(*name, ""))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if there is such a method.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.methods.iter().any(|method| method.name == name)
    }

    pub(crate) fn method_names(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| method.name.as_str())
    }
}

/// What `object.method` is before it is called.
pub(crate) struct BoundMethod {
    pub(crate) object: ObjectRef,
    pub(crate) name: String,
}

impl Object for BoundMethod {
    fn class(&self) -> Arc<Class> {
        crate::function::function_class()
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        match name {
            "__call__" => self.object.call_method(&self.name, args),
            _ => Err(Error::no_attribute("method", name)),
        }
    }

    fn start_method(self: Arc<Self>, name: &str, args: Args) -> Result<MethodFuture, Args> {
        match name {
            "__call__" => self.object.clone().start_method(&self.name, args),
            _ => Err(args),
        }
    }

    fn attributes(&self) -> Vec<String> {
        vec!["__name__".to_owned()]
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        match name {
            "__name__" => Ok(Value::Str(self.name.clone())),
            "__doc__" => {
                let class = self.object.class();
                let method = class.methods.iter().find(|method| method.name == self.name);
                Ok(method.and_then(|method| method.doc.clone()).into_value())
            }
            _ => Err(Error::no_attribute("method", name)),
        }
    }

    fn repr(&self) -> String {
        format!("<bound method {} of {}>", self.name, self.object.repr())
    }
}
