//! Values used as what they are, without naming a type first.

use std::sync::Arc;

use crate::args::{Args, IntoArgs};
use crate::convert::IntoValue;
use crate::error::{Error, Result};
use crate::iter::RemoteIter;
use crate::object::{BoundMethod, ObjectRef};
use crate::remote::Remote;
use crate::value::Value;

/// A value used as an object, on whichever side that is: a remote one as a [`Remote`] is, one of this side (it may have
/// come home from the peer) directly and without a round trip. Plain data has no methods here: extract it first.
impl Value {
    /// `value.name`
    ///
    /// # Errors
    /// [`Error::Conversion`] for plain data, else as for every operation on a [`Remote`].
    pub fn get_attr(&self, name: &str) -> Result<Self> {
        match self {
            Self::Remote(remote) => remote.get_attr(name),
            Self::Object(object) if object.class().has(name) => {
                let method = BoundMethod { object: object.clone(), name: name.to_owned() };
                Ok(Self::Object(Arc::new(method)))
            }
            Self::Object(object) => object.get_attr(name),
            plain => Err(plain.is_no("an object with attributes")),
        }
    }

    /// `value.name = new`
    ///
    /// # Errors
    /// [`Error::Conversion`] for plain data, else as for every operation on a [`Remote`].
    pub fn set_attr(&self, name: &str, new: impl IntoValue) -> Result<()> {
        match self {
            Self::Remote(remote) => remote.set_attr(name, new),
            Self::Object(object) => object.set_attr(name, new.into_value()),
            plain => Err(plain.is_no("an object with attributes")),
        }
    }

    /// `value(*args)`, with named arguments in an [`Args`].
    ///
    /// # Errors
    /// [`Error::Conversion`] for plain data, else as for every operation on a [`Remote`].
    pub fn call(&self, args: impl IntoArgs) -> Result<Self> {
        match self {
            Self::Remote(remote) => remote.call(args),
            Self::Object(object) => object.call_method("__call__", args.into_args()),
            plain => Err(plain.is_no("an object to call")),
        }
    }

    /// `value.name(*args)`, with named arguments in an [`Args`].
    ///
    /// # Errors
    /// [`Error::Conversion`] for plain data, else as for every operation on a [`Remote`].
    pub fn call_method(&self, name: &str, args: impl IntoArgs) -> Result<Self> {
        match self {
            Self::Remote(remote) => remote.call_method(name, args),
            Self::Object(object) => object.call_method(name, args.into_args()),
            plain => Err(plain.is_no("an object with methods")),
        }
    }

    /// Steps through the items: of a tuple, a frozenset, a str (its characters) or bytes (ints) without a round trip, of an
    /// object as [`Remote::iter`] does.
    ///
    /// ```
    /// use netref::{IntoValue, List};
    ///
    /// let mut total = 0;
    /// for item in List::from(vec![1, 2, 3]).into_value().iter()? {
    ///     total += item?.extract::<i64>()?;
    /// }
    /// assert_eq!(total, 6);
    /// # Ok::<(), netref::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Conversion`] for plain data without items, else as for every operation on a [`Remote`].
    pub fn iter(&self) -> Result<ValueIter> {
        let items = match self {
            Self::Tuple(items) | Self::FrozenSet(items) => items.clone(),
            Self::Str(text) => text.chars().map(IntoValue::into_value).collect(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| byte.into_value()).collect(),
            Self::Remote(remote) => return Ok(ValueIter(Source::Remote(remote.iter()?))),
            Self::Object(object) => {
                let iterator = object.call_method("__iter__", Args::default())?;
                return Ok(ValueIter(match iterator {
                    Self::Remote(remote) => Source::Remote(RemoteIter::new(remote)),
                    other => Source::Object(other.extract()?),
                }));
            }
            plain => return Err(plain.is_no("something with items")),
        };
        Ok(ValueIter(Source::Items(items.into_iter())))
    }

    /// The remote object, if the value is one.
    #[must_use]
    pub fn as_remote(&self) -> Option<&Remote> {
        match self {
            Self::Remote(remote) => Some(remote),
            _ => None,
        }
    }

    fn is_no(&self, expected: &str) -> Error {
        Error::conversion(expected, &self.type_name())
    }
}

/// Steps through the items of a value. See [`Value::iter`].
#[derive(Debug)]
pub struct ValueIter(Source);

#[derive(Debug)]
enum Source {
    Items(std::vec::IntoIter<Value>),
    Remote(RemoteIter),
    Object(ObjectRef),
    Ended,
}

impl ValueIter {
    /// Fetches many items of a remote object in one round trip: see [`RemoteIter::prefetched`].
    #[must_use]
    pub fn prefetched(self) -> Box<dyn Iterator<Item = Result<Value>> + Send> {
        match self.0 {
            Source::Remote(remote) => Box::new(remote.prefetched()),
            source => Box::new(Self(source)),
        }
    }
}

impl Iterator for ValueIter {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        let object = match &mut self.0 {
            Source::Items(items) => return items.next().map(Ok),
            Source::Remote(items) => return items.next(),
            Source::Object(object) => object,
            Source::Ended => return None,
        };
        match object.call_method("__next__", Args::default()) {
            Ok(item) => Some(Ok(item)),
            Err(error) => {
                self.0 = Source::Ended;
                let is_end = error.exception().is_some_and(|exception| exception.is("StopIteration"));
                (!is_end).then_some(Err(error))
            }
        }
    }
}
