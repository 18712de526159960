//! Between Rust's types and values.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;

use crate::dict::Dict;
use crate::error::{Error, Result};
use crate::fetching::{fetched, fetched_pairs};
use crate::object::{Object, ObjectRef};
use crate::remote::Remote;
use crate::value::{BigInt, Value};

/// Types that a [`Value`] can be converted to.
///
/// | Rust | from |
/// |---|---|
/// | `bool` | bool |
/// | integers | int, if it fits; a remote number, such as one of numpy's, by **asking for its `__index__`** |
/// | [`BigInt`] | the same, of any size |
/// | `f64`, `f32` | float, int; a remote number by **asking for its `__float__`** |
/// | `(f64, f64)` | complex, a tuple of two numbers |
/// | `String`, `char` | str |
/// | `Option<T>` | None, or what `T` takes |
/// | `()` | None |
/// | tuples | a tuple of as many |
/// | `Vec<T>` | a tuple, a frozenset or bytes by value; a remote iterable by **fetching its items**, one round trip for many |
/// | `[T; N]` | the same, of `N` items |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | a remote mapping by **fetching its items**: a round trip for each key and more |
/// | [`Remote`] | an object of the other side |
/// | `Arc<T>` of an [`Object`], [`List`](crate::List), [`Dict`], [`File`](crate::File) | an object of this side coming home |
///
/// What one conversion fetches takes no more memory than the limit `max_decoded` says: a peer may have items without end.
#[diagnostic::on_unimplemented(
    message = "what a peer passes or returns cannot be converted to `{Self}`",
    note = "take a `Value`, a `Remote` for an object or a function of the peer's, an `Arc` for an object of this side that comes \
            home; or implement `FromValue` for the type"
)]
pub trait FromValue: Sized {
    /// Converts.
    ///
    /// # Errors
    /// [`Error::Conversion`] if the value is something else; whatever fetching items needs, where that is said above.
    fn from_value(value: Value) -> Result<Self>;
}

/// Types that can be made into a [`Value`].
///
/// | Rust | becomes |
/// |---|---|
/// | `bool`, integers and [`BigInt`], `f64` and `f32` | bool, int, float |
/// | `String`, `&str`, `char` | str |
/// | [`Bytes`] | bytes; a `Vec<u8>` is a tuple of numbers |
/// | `()`, `Option<T>` | None, or what `T` becomes |
/// | tuples, `Vec<T>`, arrays, slices | a tuple, which crosses by value if its items do; for a list that the peer can change, pass a [`List`](crate::List) |
/// | `HashMap`, `BTreeMap` | a [`Dict`], which crosses by reference: the protocol has no maps |
/// | `Arc<T>` of an [`Object`], [`List`](crate::List), [`Dict`], [`File`](crate::File) | a reference to the object |
/// | [`Remote`] | the object itself, where it is |
///
/// Closures become objects through [`function`](crate::function()), iterators through [`iterator`](crate::iterator).
#[diagnostic::on_unimplemented(
    message = "a peer cannot be given a `{Self}`",
    note = "what has a counterpart in Python can be given; an object with methods is an `Arc` of a type with \
            `#[netref::object]`, a closure goes into `netref::function`, an iterator into `netref::iterator`; or implement \
            `IntoValue` for the type"
)]
pub trait IntoValue {
    /// Converts.
    fn into_value(self) -> Value;
}

fn mismatch<T>(expected: &str, value: &Value) -> Result<T> {
    Err(Error::conversion(expected, &value.type_name()))
}

/// The plain number that `value` is worth, if it is a number of the peer's, which `method` tells; else `value`. Peers that compute
/// with numpy pass its scalars without knowing. What is Python's own and crosses by reference is no number.
fn worth(value: Value, method: &str) -> Result<Value> {
    let Value::Remote(remote) = &value else { return Ok(value) };
    if remote.class_name().starts_with("builtins.") {
        return Ok(value);
    }
    match remote.call_method(method, ()) {
        Ok(number) => Ok(number),
        Err(Error::Raised(_)) => Ok(value),
        Err(error) => Err(error),
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self> {
        Ok(value)
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl IntoValue for &Value {
    fn into_value(self) -> Value {
        self.clone()
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bool(value) => Ok(value),
            other => mismatch("a bool", &other),
        }
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
}

macro_rules! integers {
    ($($int:ident)+) => {$(
        impl FromValue for $int {
            fn from_value(value: Value) -> Result<Self> {
                let value = worth(value, "__index__")?;
                let converted = match &value {
                    Value::Int(int) => Self::try_from(*int).ok(),
                    Value::BigInt(int) => int.as_str().parse().ok(),
                    other => return mismatch("an int", other),
                };
                converted.ok_or_else(|| {
                    let found = crate::repr::repr(&value);
                    Error::conversion(concat!("an int that fits ", stringify!($int)), &found)
                })
            }
        }

        impl IntoValue for $int {
            fn into_value(self) -> Value {
                match i64::try_from(self) {
                    Ok(int) => Value::Int(int),
                    Err(_) => Value::BigInt(BigInt::from_canonical(&self.to_string())),
                }
            }
        }
    )+};
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl FromValue for BigInt {
    fn from_value(value: Value) -> Result<Self> {
        match worth(value, "__index__")? {
            Value::Int(int) => Ok(Self::from(i128::from(int))),
            Value::BigInt(int) => Ok(int),
            other => mismatch("an int", &other),
        }
    }
}

impl IntoValue for BigInt {
    fn into_value(self) -> Value {
        match self.as_str().parse() {
            Ok(int) => Value::Int(int),
            Err(_) => Value::BigInt(self),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self> {
        match worth(value, "__float__")? {
            Value::Float(value) => Ok(value),
            Value::Int(value) => Ok(value as Self),
            Value::BigInt(value) => {
                value.as_str().parse().map_err(|_| Error::conversion("a float", value.as_str()))
            }
            other => mismatch("a float", &other),
        }
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::Float(self)
    }
}

impl FromValue for f32 {
    fn from_value(value: Value) -> Result<Self> {
        f64::from_value(value).map(|value| value as Self)
    }
}

impl IntoValue for f32 {
    fn into_value(self) -> Value {
        Value::Float(self.into())
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Str(value) => Ok(value),
            other => mismatch("a str", &other),
        }
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::Str(self)
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::Str(self.to_owned())
    }
}

impl IntoValue for &String {
    fn into_value(self) -> Value {
        Value::Str(self.clone())
    }
}

impl FromValue for char {
    fn from_value(value: Value) -> Result<Self> {
        let text = String::from_value(value)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Error::conversion("a str of one character", &format!("{text:?}"))),
        }
    }
}

impl IntoValue for char {
    fn into_value(self) -> Value {
        Value::Str(self.to_string())
    }
}

impl FromValue for () {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::None => Ok(()),
            other => mismatch("None", &other),
        }
    }
}

impl IntoValue for () {
    fn into_value(self) -> Value {
        Value::None
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::None => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::None, T::into_value)
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Tuple(items) | Value::FrozenSet(items) => items.into_iter().map(T::from_value).collect(),
            Value::Bytes(bytes) => {
                bytes.into_iter().map(|byte| T::from_value(Value::Int(byte.into()))).collect()
            }
            Value::Remote(_) | Value::Object(_) => {
                fetched(&value)?.map(|item| T::from_value(item?)).collect()
            }
            other => mismatch("a tuple, a frozenset, bytes or an iterable object", &other),
        }
    }
}

impl<T: FromValue, const N: usize> FromValue for [T; N] {
    fn from_value(value: Value) -> Result<Self> {
        let items = Vec::from_value(value)?;
        items
            .try_into()
            .map_err(|items: Vec<T>| Error::conversion(&format!("{N} items"), &items.len().to_string()))
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        Value::Tuple(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: IntoValue, const N: usize> IntoValue for [T; N] {
    fn into_value(self) -> Value {
        Value::Tuple(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: IntoValue + Clone> IntoValue for &[T] {
    fn into_value(self) -> Value {
        self.to_vec().into_value()
    }
}

/// Python's `bytes`, where a plain `Vec<u8>` is a tuple of numbers. Large ones are neither copied into a message nor out of it.
///
/// ```
/// use netref::{Bytes, IntoValue, Value};
///
/// assert_eq!(Bytes::from(vec![1, 2]).into_value(), Value::Bytes(Bytes::from_static(&[1, 2])));
/// ```
impl IntoValue for Bytes {
    fn into_value(self) -> Value {
        Value::Bytes(self)
    }
}

impl FromValue for Bytes {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => mismatch("bytes", &other),
        }
    }
}

impl<K: FromValue + Eq + Hash, V: FromValue> FromValue for HashMap<K, V> {
    fn from_value(value: Value) -> Result<Self> {
        mapping(&value)?.collect()
    }
}

impl<K: IntoValue + Eq, V: IntoValue> IntoValue for HashMap<K, V> {
    fn into_value(self) -> Value {
        Dict::from(self).into_value()
    }
}

impl<K: FromValue + Ord, V: FromValue> FromValue for BTreeMap<K, V> {
    fn from_value(value: Value) -> Result<Self> {
        mapping(&value)?.collect()
    }
}

impl<K: IntoValue + Eq, V: IntoValue> IntoValue for BTreeMap<K, V> {
    fn into_value(self) -> Value {
        Dict::from(self).into_value()
    }
}

/// False for classes of which it is known: a list has items, too, but no keys.
fn may_be_mapping(class: &str) -> bool {
    class.strip_prefix("builtins.").is_none_or(|class| ["dict", "mappingproxy"].contains(&class))
}

fn mapping<K: FromValue, V: FromValue>(value: &Value) -> Result<impl Iterator<Item = Result<(K, V)>>> {
    let items = match (Dict::of(value), value) {
        (Some(dict), _) => dict.iter().collect(),
        (None, Value::Remote(remote)) if may_be_mapping(remote.class_name()) => fetched_pairs(remote)?,
        (None, other) => return mismatch("a dict or a remote mapping", other),
    };
    Ok(items.into_iter().map(|(key, value)| Ok((key.extract()?, value.extract()?))))
}

impl FromValue for Remote {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Remote(remote) => Ok(remote),
            other => mismatch("a remote object", &other),
        }
    }
}

impl IntoValue for Remote {
    fn into_value(self) -> Value {
        Value::Remote(self)
    }
}

impl IntoValue for &Remote {
    fn into_value(self) -> Value {
        Value::Remote(self.clone())
    }
}

impl FromValue for ObjectRef {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Object(object) => Ok(object),
            other => mismatch("an object of this side", &other),
        }
    }
}

impl IntoValue for ObjectRef {
    fn into_value(self) -> Value {
        Value::Object(self)
    }
}

impl<T: Object> IntoValue for Arc<T> {
    fn into_value(self) -> Value {
        Value::Object(self)
    }
}

impl<T: Object> FromValue for Arc<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Object(object) => {
                let any: Arc<dyn std::any::Any + Send + Sync> = object.clone();
                any.downcast().map_err(|_| {
                    let expected = std::any::type_name::<T>();
                    Error::conversion(expected, object.class().name())
                })
            }
            other => mismatch(std::any::type_name::<T>(), &other),
        }
    }
}

macro_rules! tuples {
    ($count:literal: $($name:ident)+) => {
        impl<$($name: FromValue),+> FromValue for ($($name,)+) {
            fn from_value(value: Value) -> Result<Self> {
                let value = match value {
                    Value::Complex(real, imag) if $count == 2 => (real, imag).into_value(),
                    value => value,
                };
                match value {
                    Value::Tuple(items) if items.len() == $count => {
                        let mut items = items.into_iter();
                        Ok(($($name::from_value(items.next().unwrap_or_default())?,)+))
                    }
                    Value::Tuple(items) => {
                        let found = format!("a tuple of {}", items.len());
                        Err(Error::conversion(concat!("a tuple of ", $count), &found))
                    }
                    other => mismatch(concat!("a tuple of ", $count), &other),
                }
            }
        }

        impl<$($name: IntoValue),+> IntoValue for ($($name,)+) {
            #[expect(non_snake_case, reason = "each type parameter names its field too")]
            fn into_value(self) -> Value {
                let ($($name,)+) = self;
                Value::Tuple(vec![$($name.into_value()),+])
            }
        }
    };
}

tuples!(1: A);
tuples!(2: A B);
tuples!(3: A B C);
tuples!(4: A B C D);
tuples!(5: A B C D E);
tuples!(6: A B C D E F);
