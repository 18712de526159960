use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::blocking::block_on;
use crate::args::Args;
use crate::convert::FromValue;
use crate::error::{Error, Result};
use crate::function::{IntoOutcome, function_class};
use crate::object::{Class, MethodFuture, Object, ObjectRef};
use crate::value::Value;

/// An asynchronous Rust closure as an object that a peer can call.
///
/// The closure takes up to six arguments of types that are [`FromValue`], and returns a future of something that is
/// [`IntoValue`](crate::IntoValue), or of a [`Result`] of that. Calls run as tasks, concurrently; the part before the first
/// `await` runs in the order of the calls, unless items of an argument are fetched first (a `Vec` from a remote list). Take remote
/// objects as [`aio::Remote`](super::Remote).
///
/// A connection that threads drive can call it too: one of its threads then waits for the future. What the future needs of
/// tokio, it finds in the runtime in which this was called.
///
/// ```
/// use netref::aio;
///
/// let double = aio::function(|n: i64| async move { 2 * n });
/// let apply = aio::function(|f: aio::Remote, n: i64| async move {
///     if n < 0 { return Err(netref::Error::raise("ValueError", "negative")) }
///     f.call((n,)).await
/// });
/// # let _: [netref::ObjectRef; 2] = [double, apply];
/// ```
pub fn function<Signature>(closure: impl IntoAsyncFunction<Signature>) -> ObjectRef {
    closure.into_async_function()
}

/// Closures that [`function`](function()) takes.
#[diagnostic::on_unimplemented(
    message = "a peer cannot be given this as an asynchronous function",
    note = "it takes a closure that is `Fn`, `Send`, `Sync` and `'static`, of up to six arguments that are `FromValue` (`String` \
            rather than `&str`), which returns a `Send` future of what is `IntoValue`, or of a `Result` of that with an error \
            that converts to `netref::Error`; one that is not asynchronous goes into `netref::function`"
)]
pub trait IntoAsyncFunction<Signature> {
    /// Makes the object.
    fn into_async_function(self) -> ObjectRef;
}

macro_rules! closures {
    ($($name:ident: $label:literal),*) => {
        impl<F, R, Kind $(, $name)*> IntoAsyncFunction<(Kind, $($name,)*)> for F
        where
            F: Fn($($name),*) -> R + Send + Sync + 'static,
            R: Future<Output: IntoOutcome<Kind>> + Send + 'static,
            $($name: FromValue + Send + 'static,)*
        {
            #[allow(non_snake_case, reason = "each type parameter names its argument too")]
            fn into_async_function(self) -> ObjectRef {
                let closure = Arc::new(self);
                let start = move |args: Args| -> MethodFuture {
                    let closure = closure.clone();
                    Box::pin(async move {
                        let ($($name,)*) = args.take_async(|args| {
                            $(let $name: $name = args.required($label)?;)*
                            args.finish()?;
                            Ok(($($name,)*))
                        }).await?;
                        closure($($name),*).await.into_outcome()
                    })
                };
                Arc::new(AsyncFunction { start: Box::new(start), runtime: Handle::try_current().ok() })
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

struct AsyncFunction {
    start: Box<Start>,
    runtime: Option<Handle>,
}

type Start = dyn Fn(Args) -> MethodFuture + Send + Sync;

impl Object for AsyncFunction {
    fn class(&self) -> Arc<Class> {
        function_class()
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        match name {
            "__call__" => {
                let _runtime = self.runtime.as_ref().map(Handle::enter);
                block_on((self.start)(args))
            }
            _ => Err(Error::no_attribute("function", name)),
        }
    }

    fn start_method(self: Arc<Self>, name: &str, args: Args) -> Result<MethodFuture, Args> {
        match name {
            "__call__" => Ok((self.start)(args)),
            _ => Err(args),
        }
    }
}
