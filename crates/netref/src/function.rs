use std::sync::{Arc, LazyLock};

use crate::args::Args;
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
use crate::object::{Class, Object, ObjectRef};
use crate::value::Value;

/// A Rust closure as an object that a peer can call.
///
/// The closure takes up to six arguments of types that are [`FromValue`], and returns something that is [`IntoValue`], or
/// a [`Result`] of that. It may be called from any thread, and from several at once. It must be given as many arguments by
/// position as it has, `None` for an `Option` too; for named, optional or variable ones, see [`function_with_args`].
///
/// ```
/// let noisy = netref::function(|line: String| println!("Noisy: {line:?}"));
/// let divide = netref::function(|a: f64, b: f64| {
///     if b == 0.0 { Err(netref::Error::raise("ZeroDivisionError", "division by zero")) } else { Ok(a / b) }
/// });
/// # let _: [netref::ObjectRef; 2] = [noisy, divide];
/// ```
pub fn function<Signature>(closure: impl IntoFunction<Signature>) -> ObjectRef {
    closure.into_function()
}

/// A Rust closure that takes whatever arguments it is called with.
///
/// ```
/// let count = netref::function_with_args("count", |args| Ok((args.positional.len() + args.named.len()) as i64));
/// # let _: netref::ObjectRef = count;
/// ```
pub fn function_with_args<R: IntoValue>(
    name: &str,
    closure: impl Fn(Args) -> Result<R> + Send + Sync + 'static,
) -> ObjectRef {
    let call = move |args| closure(args).map(IntoValue::into_value);
    Arc::new(Function { name: name.to_owned(), call: Box::new(call) })
}

/// Closures that [`function`](function()) takes.
#[diagnostic::on_unimplemented(
    message = "a peer cannot be given this as a function",
    note = "it takes a closure that is `Fn`, `Send`, `Sync` and `'static`, of up to six arguments that are `FromValue` (`String` \
            rather than `&str`), which returns what is `IntoValue`, or a `Result` of that with an error that converts to \
            `netref::Error`; an asynchronous one goes into `netref::aio::function`"
)]
pub trait IntoFunction<Signature> {
    /// Makes the object.
    fn into_function(self) -> ObjectRef;
}

/// What a closure may return: a value, or a [`Result`] of one.
#[diagnostic::on_unimplemented(
    message = "a peer cannot be given a `{Self}`",
    note = "return what is `IntoValue`, or a `Result` of that with an error that converts to `netref::Error` (`impl \
            From<YourError> for netref::Error`); an object with methods is an `Arc` of a type with `#[netref::object]`, an \
            iterator goes into `netref::iterator`"
)]
pub trait IntoOutcome<Kind> {
    /// Converts.
    ///
    /// # Errors
    /// The closure's own.
    fn into_outcome(self) -> Result<Value>;
}

/// Tells closures that return plain values apart.
#[derive(Debug)]
pub struct Infallible;

/// Tells closures that return results apart.
#[derive(Debug)]
pub struct Fallible;

impl<T: IntoValue> IntoOutcome<Infallible> for T {
    fn into_outcome(self) -> Result<Value> {
        Ok(self.into_value())
    }
}

impl<T: IntoValue, E: Into<Error>> IntoOutcome<Fallible> for Result<T, E> {
    fn into_outcome(self) -> Result<Value> {
        self.map(IntoValue::into_value).map_err(Into::into)
    }
}

macro_rules! closures {
    ($($name:ident: $label:literal),*) => {
        impl<F, R, Kind $(, $name)*> IntoFunction<(Kind, $($name,)*)> for F
        where
            F: Fn($($name),*) -> R + Send + Sync + 'static,
            R: IntoOutcome<Kind>,
            $($name: FromValue,)*
        {
            fn into_function(self) -> ObjectRef {
                function_with_args("function", move |mut args| {
                    $(
                        #[expect(non_snake_case, reason = "each type parameter names its argument too")]
                        let $name: $name = args.required($label)?;
                    )*
                    args.finish()?;
                    self($($name),*).into_outcome()
                })
            }
        }
    };
}

closures!();
closures!(A: "1");
closures!(A: "1", B: "2");
closures!(A: "1", B: "2", C: "3");
closures!(A: "1", B: "2", C: "3", D: "4");
closures!(A: "1", B: "2", C: "3", D: "4", E: "5");
closures!(A: "1", B: "2", C: "3", D: "4", E: "5", G: "6");

/// What functions are to a peer: Python's own name, so that a Python peer needs no round trip to learn about them.
pub(crate) fn function_class() -> Arc<Class> {
    static CLASS: LazyLock<Arc<Class>> =
        LazyLock::new(|| Class::new("builtins.function").methods(&["__call__"]).into());
    CLASS.clone()
}

struct Function {
    name: String,
    call: Box<dyn Fn(Args) -> Result<Value> + Send + Sync>,
}

impl Object for Function {
    fn class(&self) -> Arc<Class> {
        function_class()
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        match name {
            "__call__" => (self.call)(args),
            _ => Err(Error::no_attribute("function", name)),
        }
    }

    fn attributes(&self) -> Vec<String> {
        vec!["__name__".to_owned()]
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        match name {
            "__name__" => Ok(Value::Str(self.name.clone())),
            _ => Err(Error::no_attribute("function", name)),
        }
    }

    fn repr(&self) -> String {
        format!("<function {}>", self.name)
    }
}
