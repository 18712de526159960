use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netref_core::refs::{IdPack, PackRef};
use netref_core::request::Request;

use crate::args::IntoArgs;
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
use crate::iter::RemoteIter;
use crate::operation::Operation;
use crate::peer::Peer;
use crate::raising::from_panic;
use crate::value::Value;

/// An object of the other side.
///
/// Each operation is carried out there, and is one round trip unless said otherwise. All of them block until the reply is
/// here, run callbacks of the peer meanwhile, and fail with
///
/// - [`Error::Raised`] if the other side raised an exception (`AttributeError` also for what it does not expose),
/// - [`Error::TimedOut`] if there is no reply in time,
/// - [`Error::Closed`] if the connection has ended or ends,
/// - [`Error::Unsendable`] if an argument cannot be sent,
/// - `Error::WouldBlock` in asynchronous code, on a connection of `netref::aio`, whose own `Remote` is the one to use there.
///
/// Clones are the same reference. Dropping the last one lets the other side release the object; that never blocks: it
/// is told with the next message, or within milliseconds if there is none.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

/// One reference as the other side counts it: how often it was received, to be given back when the last clone goes.
pub(crate) struct Inner {
    pack: IdPack,
    received: AtomicU64,
    peer: Peer,
}

impl Remote {
    // ---- attributes and calls

    /// `object.name`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn get_attr(&self, name: &str) -> Result<Value> {
        self.run(Operation::get_attr(self, name))
    }

    /// `object.name = value`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn set_attr(&self, name: &str, value: impl IntoValue) -> Result<()> {
        self.run(Operation::set_attr(self, name, value))
    }

    /// `del object.name`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn del_attr(&self, name: &str) -> Result<()> {
        self.run(Operation::del_attr(self, name))
    }

    /// `object(*args)`, with named arguments in an [`Args`](crate::Args).
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn call(&self, args: impl IntoArgs) -> Result<Value> {
        self.run(Operation::call(self, args))
    }

    /// `object.name(*args)` in one round trip, with named arguments in an [`Args`](crate::Args).
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn call_method(&self, name: &str, args: impl IntoArgs) -> Result<Value> {
        self.run(Operation::call_method(self, name, args))
    }

    // ---- containers

    /// `iter(object)`, to be stepped through as a Rust iterator. One round trip here and one for each item; see
    /// [`RemoteIter::prefetched`] for fewer.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`]; `TypeError` from the other side if the object is not iterable.
    pub fn iter(&self) -> Result<RemoteIter> {
        self.run(Operation::iter(self))
    }

    /// `len(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn len(&self) -> Result<usize> {
        self.run(Operation::len(self))
    }

    /// `len(object) == 0`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// `object[key]`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn get_item(&self, key: impl IntoValue) -> Result<Value> {
        self.run(Operation::get_item(self, key))
    }

    /// `object[key] = value`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn set_item(&self, key: impl IntoValue, value: impl IntoValue) -> Result<()> {
        self.run(Operation::set_item(self, key, value))
    }

    /// `del object[key]`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn del_item(&self, key: impl IntoValue) -> Result<()> {
        self.run(Operation::del_item(self, key))
    }

    /// `item in object`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn contains(&self, item: impl IntoValue) -> Result<bool> {
        self.run(Operation::contains(self, item))
    }

    // ---- what every object has

    /// `repr(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn repr(&self) -> Result<String> {
        self.run(Operation::repr(self))
    }

    /// `str(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn str(&self) -> Result<String> {
        self.run(Operation::str(self))
    }

    /// `hash(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn hash(&self) -> Result<i64> {
        self.run(Operation::hash(self))
    }

    /// `dir(object)`
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn dir(&self) -> Result<Vec<String>> {
        self.run(Operation::dir(self))
    }

    /// Compares with `==`, `<` and so on, as the object's class defines it. For whether two references are to the same
    /// object, compare the [`Remote`]s themselves: that needs no round trip.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`]; [`Error::Conversion`] if the objects cannot be compared so.
    pub fn compare(&self, operator: Comparison, other: impl IntoValue) -> Result<bool> {
        self.run(Operation::compare(self, operator, other))
    }

    /// `with object as entered: body(entered)`. The object's `__exit__` is called however the body ends, with the error if
    /// there is one; if it returns true, the error is suppressed and the result is `None`. A panic is a `RuntimeError` to it,
    /// and goes on afterwards. Two round trips besides the body's own.
    ///
    /// # Errors
    /// What the body returns, or as for every operation on a [`Remote`].
    pub fn with<T>(&self, body: impl FnOnce(Value) -> Result<T>) -> Result<Option<T>> {
        let entered = self.run(Operation::enter(self))?;
        match catch_unwind(AssertUnwindSafe(|| body(entered))) {
            Ok(Ok(value)) => {
                self.exit(None)?;
                Ok(Some(value))
            }
            Ok(Err(error)) => {
                if self.exit(Some(&error))? {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
            Err(panic) => {
                let _ = self.exit(Some(&from_panic(&*panic)));
                resume_unwind(panic)
            }
        }
    }

    /// `object.__exit__` for an error, or for none. True if the object wants the error suppressed.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn exit(&self, error: Option<&Error>) -> Result<bool> {
        self.run(Operation::exit(self, error))
    }

    /// Up to `count` next items of an iterator. Fewer may come; none means that it has ended.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn next_items(&self, count: usize) -> Result<Vec<Value>> {
        self.run(Operation::next_items(self, count))
    }

    /// The object's methods, with their documentation. Not subject to attribute policies of stock peers.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn methods(&self) -> Result<Vec<(String, Option<String>)>> {
        Operation::checked(self, self.run(Operation::methods(self))?)
    }

    // ---- without a round trip

    /// Name of the object's class, as the other side gave it: `module.Class`.
    #[must_use]
    pub fn class_name(&self) -> &str {
        &self.inner.pack.name
    }

    /// What names the object on its connection.
    #[must_use]
    pub fn id_pack(&self) -> &IdPack {
        &self.inner.pack
    }

    /// Sends any request with this object's connection and waits for the result: for tools and tests.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn request(&self, request: Request<Value>) -> Result<Value> {
        self.inner.peer.request(request)
    }

    fn run<T>(&self, operation: Operation<T>) -> Result<T> {
        (operation.read)(self.request(operation.request)?)
    }

    pub(crate) fn new(pack: PackRef<'_>, peer: Peer) -> Self {
        Self { inner: Arc::new(Inner { pack: pack.to_owned(), received: AtomicU64::new(1), peer }) }
    }

    /// The same object, received once more.
    pub(crate) fn received_again(inner: Arc<Inner>) -> Self {
        inner.received.fetch_add(1, Ordering::Relaxed);
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.inner.peer
    }
}

/// Equal if both are references to the same object. No round trip.
impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Remote {}

impl Hash for Remote {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.inner).hash(state);
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<remote {} {}>", self.inner.pack.name, self.inner.pack.instance)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.peer.release(&self.pack, self.received.load(Ordering::Relaxed));
    }
}

/// How two objects are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Comparison {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Eq => "__eq__",
            Self::Ne => "__ne__",
            Self::Lt => "__lt__",
            Self::Le => "__le__",
            Self::Gt => "__gt__",
            Self::Ge => "__ge__",
        }
    }
}

/// Converts each item as [`Value::extract`] does, for iterators of values.
pub trait ExtractAll: Iterator<Item = Result<Value>> + Sized {
    /// An iterator of `T`.
    fn extract_all<T: FromValue>(self) -> impl Iterator<Item = Result<T>> {
        self.map(|item| item?.extract())
    }
}

impl<I: Iterator<Item = Result<Value>>> ExtractAll for I {}
