use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::object::ObjectRef;
use crate::remote::Remote;

/// Anything that crosses a connection: plain data by value, everything else as a reference.
///
/// Most programs never name a variant: [`FromValue`](crate::FromValue) and [`IntoValue`](crate::IntoValue) convert from
/// and to Rust's own types, in arguments, results and [`Value::extract`].
///
/// ```
/// use netref::{IntoValue, Value};
///
/// let value = (1, "two", 3.0).into_value();
/// let (number, text): (i64, String) = Value::Tuple(vec![1.into_value(), "two".into_value()]).extract()?;
/// assert_eq!((number, text.as_str()), (1, "two"));
/// assert!(value.extract::<bool>().is_err());
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// Python's `None`.
    #[default]
    None,
    /// Python's `NotImplemented`.
    NotImplemented,
    /// Python's `Ellipsis`.
    Ellipsis,
    /// A bool.
    Bool(bool),
    /// An int that fits 64 bits.
    Int(i64),
    /// A larger int.
    BigInt(BigInt),
    /// A float.
    Float(f64),
    /// A complex number: real and imaginary part.
    Complex(f64, f64),
    /// A str.
    Str(String),
    /// Bytes.
    Bytes(Bytes),
    /// A tuple: by value if everything in it is.
    Tuple(Vec<Self>),
    /// A frozenset of plain data.
    FrozenSet(Vec<Self>),
    /// A slice: start, stop and step.
    Slice(Box<[Self; 3]>),
    /// An object of this side.
    Object(ObjectRef),
    /// An object of the other side.
    Remote(Remote),
}

impl Value {
    /// Converts to a Rust type.
    ///
    /// # Errors
    /// [`Error::Conversion`](crate::Error::Conversion), which names both types, if the value is something else.
    pub fn extract<T: crate::FromValue>(self) -> crate::Result<T> {
        T::from_value(self)
    }

    /// Python's `repr` of this value. An object of the other side is named by its class only: no round trip.
    #[must_use]
    pub fn repr(&self) -> String {
        crate::repr::repr(self)
    }

    /// What Python calls the type of this value.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::None => "NoneType",
            Self::NotImplemented => "NotImplementedType",
            Self::Ellipsis => "ellipsis",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Complex(..) => "complex",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::Tuple(_) => "tuple",
            Self::FrozenSet(_) => "frozenset",
            Self::Slice(_) => "slice",
            Self::Object(object) => return object.class().name().to_owned(),
            Self::Remote(remote) => return format!("remote {}", remote.class_name()),
        }
        .to_owned()
    }
}

/// Equal if both are the same plain data, or references to the same object.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None)
            | (Self::NotImplemented, Self::NotImplemented)
            | (Self::Ellipsis, Self::Ellipsis) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Complex(a, b), Self::Complex(c, d)) => a == c && b == d,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::FrozenSet(a), Self::FrozenSet(b)) => {
                a.len() == b.len() && a.iter().all(|item| b.contains(item))
            }
            (Self::Slice(a), Self::Slice(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => Arc::ptr_eq(a, b),
            (Self::Remote(a), Self::Remote(b)) => a == b,
            _ => false,
        }
    }
}

/// An int of any size, as canonical decimal text.
///
/// ```
/// use netref::BigInt;
///
/// assert_eq!(BigInt::from(1u128 << 100).to_string(), "1267650600228229401496703205376");
/// assert_eq!("-12345678901234567890123".parse::<BigInt>()?.to_string(), "-12345678901234567890123");
/// assert!("12a".parse::<BigInt>().is_err());
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

impl BigInt {
    /// The decimal text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Trusts that `text` is canonical.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for BigInt {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !valid {
            return Err(crate::Error::conversion("a decimal integer", &format!("{text:?}")));
        }
        let digits = digits.trim_start_matches('0');
        Ok(Self(match (digits, text.starts_with('-')) {
            ("", _) => "0".to_owned(),
            (digits, true) => format!("-{digits}"),
            (digits, false) => digits.to_owned(),
        }))
    }
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        Self(value.to_string())
    }
}

impl From<u128> for BigInt {
    fn from(value: u128) -> Self {
        Self(value.to_string())
    }
}
