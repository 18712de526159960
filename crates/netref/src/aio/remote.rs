use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll};

use netref_core::refs::IdPack;
use netref_core::request::Request;

use super::RemoteIter;
use crate::args::IntoArgs;
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::raising::from_panic;
use crate::remote::Comparison;
use crate::value::Value;

/// An object of the other side, with operations to `await`.
///
/// Each operation is carried out there, and is one round trip unless said otherwise. None blocks. All of them fail with
///
/// - [`Error::Raised`] if the other side raised an exception (`AttributeError` also for what it does not expose),
/// - [`Error::TimedOut`] if there is no reply in time,
/// - [`Error::Closed`] if the connection has ended or ends,
/// - [`Error::Unsendable`] if an argument cannot be sent.
///
/// Requests are sent in the order in which the futures are first polled, and any number of them can be under way. While
/// more than 8 MiB wait to be written, further ones wait until there is room.
///
/// Cancel safety: dropping the future of an operation gives up waiting, no more. See
/// [cancellation](super#cancellation).
///
/// Clones are the same reference. Dropping the last one lets the other side release the object, without waiting. It
/// converts from and to the blocking [`netref::Remote`](crate::Remote), which is the same reference with another face. If
/// that is one of a connection that threads drive, each operation takes a thread of the runtime while it waits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    inner: crate::Remote,
}

impl Remote {
    // ---- attributes and calls

    /// `object.name`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn get_attr(&self, name: &str) -> Result<Value> {
        self.run(Operation::get_attr(&self.inner, name)).await
    }

    /// `object.name = value`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn set_attr(&self, name: &str, value: impl IntoValue) -> Result<()> {
        self.run(Operation::set_attr(&self.inner, name, value)).await
    }

    /// `del object.name`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn del_attr(&self, name: &str) -> Result<()> {
        self.run(Operation::del_attr(&self.inner, name)).await
    }

    /// `object(*args)`, with named arguments in an [`Args`](crate::Args).
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn call(&self, args: impl IntoArgs) -> Result<Value> {
        self.run(Operation::call(&self.inner, args)).await
    }

    /// `object.name(*args)` in one round trip, with named arguments in an [`Args`](crate::Args).
    ///
    /// ```no_run
    /// # async fn example(root: netref::aio::Remote) -> netref::Result<()> {
    /// // Both are under way at once.
    /// let (sum, product) = tokio::try_join!(root.call_method("add", (6, 7)), root.call_method("mul", (6, 7)))?;
    /// # let _ = (sum, product);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn call_method(&self, name: &str, args: impl IntoArgs) -> Result<Value> {
        self.run(Operation::call_method(&self.inner, name, args)).await
    }

    // ---- containers

    /// `iter(object)`, to be stepped through. One round trip here and one for each item; see [`RemoteIter::prefetched`] for
    /// fewer.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`]; `TypeError` from the other side if the object is not iterable.
    pub async fn iter(&self) -> Result<RemoteIter> {
        self.run(Operation::iter(&self.inner)).await.map(RemoteIter::new)
    }

    /// `len(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn len(&self) -> Result<usize> {
        self.run(Operation::len(&self.inner)).await
    }

    /// `len(object) == 0`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// `object[key]`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn get_item(&self, key: impl IntoValue) -> Result<Value> {
        self.run(Operation::get_item(&self.inner, key)).await
    }

    /// `object[key] = value`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn set_item(&self, key: impl IntoValue, value: impl IntoValue) -> Result<()> {
        self.run(Operation::set_item(&self.inner, key, value)).await
    }

    /// `del object[key]`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn del_item(&self, key: impl IntoValue) -> Result<()> {
        self.run(Operation::del_item(&self.inner, key)).await
    }

    /// `item in object`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn contains(&self, item: impl IntoValue) -> Result<bool> {
        self.run(Operation::contains(&self.inner, item)).await
    }

    // ---- what every object has

    /// `repr(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn repr(&self) -> Result<String> {
        self.run(Operation::repr(&self.inner)).await
    }

    /// `str(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn str(&self) -> Result<String> {
        self.run(Operation::str(&self.inner)).await
    }

    /// `hash(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn hash(&self) -> Result<i64> {
        self.run(Operation::hash(&self.inner)).await
    }

    /// `dir(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn dir(&self) -> Result<Vec<String>> {
        self.run(Operation::dir(&self.inner)).await
    }

    /// Compares with `==`, `<` and so on, as the object's class defines it. For whether two references are to the same
    /// object, compare the [`Remote`]s themselves: that needs no round trip.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`]; [`Error::Conversion`] if the objects cannot be compared so.
    pub async fn compare(&self, operator: Comparison, other: impl IntoValue) -> Result<bool> {
        self.run(Operation::compare(&self.inner, operator, other)).await
    }

    /// `with object as entered: body(entered)`. The object's `__exit__` is called however the body ends, with the error if
    /// there is one; if it returns true, the error is suppressed and the result is `None`. A panic is a `RuntimeError` to it,
    /// and goes on afterwards. Two round trips besides the body's own.
    ///
    /// Cancel safety: if the future is dropped, `__exit__` is not called.
    ///
    /// # Errors
    /// What the body returns, or as for every operation on a [`Remote`].
    pub async fn with<T, F>(&self, body: impl FnOnce(Value) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let entered = self.run(Operation::enter(&self.inner)).await?;
        let mut body = pin!(async { body(entered).await });
        let step = |context: &mut Context<'_>| {
            let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context)));
            polled.map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
        };
        match poll_fn(step).await {
            Ok(Ok(value)) => {
                self.exit(None).await?;
                Ok(Some(value))
            }
            Ok(Err(error)) => {
                if self.exit(Some(&error)).await? {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
            Err(panic) => {
                let _ = self.exit(Some(&from_panic(&*panic))).await;
                resume_unwind(panic)
            }
        }
    }

    /// `object.__exit__` for an error, or for none. True if the object wants the error suppressed.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn exit(&self, error: Option<&Error>) -> Result<bool> {
        self.run(Operation::exit(&self.inner, error)).await
    }

    /// Up to `count` next items of an iterator. Fewer may come; none means that it has ended.
    ///
    /// Cancel safety: if the future is dropped, items may be lost.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn next_items(&self, count: usize) -> Result<Vec<Value>> {
        self.run(Operation::next_items(&self.inner, count)).await
    }

    /// The object's methods, with their documentation. Not subject to attribute policies of stock peers.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn methods(&self) -> Result<Vec<(String, Option<String>)>> {
        Operation::checked(&self.inner, self.run(Operation::methods(&self.inner)).await?)
    }

    /// Sends any request with this object's connection and waits for the result: for tools and tests.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn request(&self, request: Request<Value>) -> Result<Value> {
        self.inner.peer().request_async(&request).await
    }

    // ---- without a round trip

    /// Name of the object's class, as the other side gave it: `module.Class`.
    #[must_use]
    pub fn class_name(&self) -> &str {
        self.inner.class_name()
    }

    /// What names the object on its connection.
    #[must_use]
    pub fn id_pack(&self) -> &IdPack {
        self.inner.id_pack()
    }

    async fn run<T>(&self, operation: Operation<T>) -> Result<T> {
        (operation.read)(self.inner.peer().request_async(&operation.request).await?)
    }
}

impl From<crate::Remote> for Remote {
    fn from(inner: crate::Remote) -> Self {
        Self { inner }
    }
}

impl From<Remote> for crate::Remote {
    fn from(remote: Remote) -> Self {
        remote.inner
    }
}

impl FromValue for Remote {
    fn from_value(value: Value) -> Result<Self> {
        value.extract().map(|inner| Self { inner })
    }
}

impl IntoValue for Remote {
    fn into_value(self) -> Value {
        Value::Remote(self.inner)
    }
}

impl IntoValue for &Remote {
    fn into_value(self) -> Value {
        Value::Remote(self.inner.clone())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
