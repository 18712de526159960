//! Python's `==`, `<` and `hash` over values.

use std::cell::Cell;
use std::cmp::Ordering;

use bytes::Bytes;

use crate::args::Args;
use crate::dict::Dict;
use crate::error::{Error, Result};
use crate::list::List;
use crate::remote::Comparison;
use crate::value::{BigInt, Value};

/// Containers inside one another that a comparison goes into, as Python has a recursion limit.
const MAX_DEPTH: u32 = 100;

/// A value as a key: equal for what Python holds to be equal and hashes alike (`1 == 1.0 == True`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    None,
    NotImplemented,
    Ellipsis,
    Int(i64),
    BigInt(String),
    Float(u64),
    Complex(u64, u64),
    Str(String),
    Bytes(Bytes),
    Tuple(Vec<Key>),
    FrozenSet(Vec<Key>),
    /// An object, by its address: the entry keeps the object itself alive.
    Object(usize),
}

impl Key {
    /// The key of a value.
    ///
    /// # Errors
    /// `TypeError` for what Python does not hash either: lists, dicts, slices.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        let all = |items: &[Value]| items.iter().map(Self::of).collect::<Result<Vec<_>>>();
        Ok(match value {
            Value::None => Self::None,
            Value::NotImplemented => Self::NotImplemented,
            Value::Ellipsis => Self::Ellipsis,
            Value::Bool(value) => Self::Int(i64::from(*value)),
            Value::Int(value) => Self::Int(*value),
            Value::BigInt(value) => Self::BigInt(value.to_string()),
            Value::Float(value) => Self::of_float(*value),
            Value::Complex(real, imag) if *imag == 0.0 => Self::of_float(*real),
            Value::Complex(real, imag) => Self::Complex(bits(*real), bits(*imag)),
            Value::Str(text) => Self::Str(text.clone()),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Value::Tuple(items) => Self::Tuple(all(items)?),
            Value::FrozenSet(items) => {
                let mut keys = all(items)?;
                keys.sort();
                keys.dedup();
                Self::FrozenSet(keys)
            }
            Value::Object(object) if List::of(value).is_none() && Dict::of(value).is_none() => {
                Self::Object(std::sync::Arc::as_ptr(object).cast::<()>().addr())
            }
            Value::Remote(remote) if !UNHASHABLE.contains(&remote.class_name()) => {
                Self::Object(std::sync::Arc::as_ptr(remote.inner()).addr())
            }
            Value::Slice(_) | Value::Object(_) | Value::Remote(_) => {
                return Err(Error::raise("TypeError", format!("unhashable type: '{}'", short_name(value))));
            }
        })
    }

    fn of_float(value: f64) -> Self {
        const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
        if value.fract() != 0.0 || !value.is_finite() {
            Self::Float(bits(value))
        } else if (-TWO_TO_63..TWO_TO_63).contains(&value) {
            Self::Int(value as i64)
        } else {
            // The exact digits: a float this large is an integer.
            Self::BigInt(format!("{value:.0}"))
        }
    }
}

/// Remote classes whose objects Python does not hash.
const UNHASHABLE: [&str; 4] = ["builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray"];

/// The bits of a float, the same for both zeros.
fn bits(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// `a == b`, if that can be told without asking an object.
pub(crate) fn plainly_equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Some(a == b),
        (Value::Int(a), Value::Int(b)) => Some(a == b),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a == b),
        (Value::Slice(a), Value::Slice(b)) => all_equal(&**a, &**b),
        (Value::Tuple(a), Value::Tuple(b)) => all_equal(a, b),
        (Value::Object(_) | Value::Remote(_), _) | (_, Value::Object(_) | Value::Remote(_)) => {
            (a == b).then_some(true)
        }
        (Value::Str(_) | Value::Bytes(_), _) | (_, Value::Str(_) | Value::Bytes(_)) => Some(false),
        _ => Some(matches!((Key::of(a), Key::of(b)), (Ok(a), Ok(b)) if a == b)),
    }
}

fn all_equal(a: &[Value], b: &[Value]) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    let mut all = Some(true);
    for (a, b) in a.iter().zip(b) {
        match plainly_equal(a, b) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

/// `a == b`. Asks objects that have a say in it, so this may be a round trip, and runs their code.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool> {
    if let Some(known) = plainly_equal(a, b) {
        return Ok(known);
    }
    deeper(|| match (a, b) {
        (Value::Tuple(a), Value::Tuple(b)) => Ok(first_difference(a, b)?.is_none() && a.len() == b.len()),
        _ => Ok(either(a, Comparison::Eq, b, Comparison::Eq)?.unwrap_or(false)),
    })
}

/// `a < b`. As [`equal`]; `TypeError` for what has no order.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool> {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(a.order(b) == Some(Ordering::Less));
    }
    let unordered = || {
        let (a, b) = (short_name(a), short_name(b));
        Error::raise("TypeError", format!("'<' not supported between instances of '{a}' and '{b}'"))
    };
    deeper(|| match (a, b) {
        (Value::Str(a), Value::Str(b)) => Ok(a < b),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(a < b),
        (Value::Tuple(a), Value::Tuple(b)) => all_less(a, b),
        _ => either(a, Comparison::Lt, b, Comparison::Gt)?.ok_or_else(unordered),
    })
}

/// `<` of two sequences: the first items that differ decide, then the length.
pub(crate) fn all_less(a: &[Value], b: &[Value]) -> Result<bool> {
    match first_difference(a, b)? {
        Some(index) => less(&a[index], &b[index]),
        None => Ok(a.len() < b.len()),
    }
}

/// Where two sequences differ first, as far as both go.
pub(crate) fn first_difference(a: &[Value], b: &[Value]) -> Result<Option<usize>> {
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        if !equal(a, b)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Sorts by `<`, keeping the order of equal items. The comparison may fail, or contradict itself.
pub(crate) fn sort<T>(items: Vec<T>, less: &impl Fn(&T, &T) -> Result<bool>) -> Result<Vec<T>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let (mut left, mut right) = (sort(left, less)?.into_iter(), sort(right, less)?.into_iter());
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    let (mut a, mut b) = (left.next(), right.next());
    loop {
        match (a, b) {
            (Some(first), Some(second)) => {
                if less(&second, &first)? {
                    sorted.push(second);
                    (a, b) = (Some(first), right.next());
                } else {
                    sorted.push(first);
                    (a, b) = (left.next(), Some(second));
                }
            }
            (rest, None) => {
                sorted.extend(rest.into_iter().chain(left));
                return Ok(sorted);
            }
            (None, rest) => {
                sorted.extend(rest.into_iter().chain(right));
                return Ok(sorted);
            }
        }
    }
}

/// Asks `a`, and `b` the other way round if `a` has nothing to say.
fn either(a: &Value, op: Comparison, b: &Value, reflected: Comparison) -> Result<Option<bool>> {
    match ask(a, op, b)? {
        Some(answer) => Ok(Some(answer)),
        None => ask(b, reflected, a),
    }
}

fn ask(object: &Value, op: Comparison, other: &Value) -> Result<Option<bool>> {
    match object {
        Value::Object(local) if local.class().has(op.method()) => {
            match local.call_method(op.method(), Args::new((other.clone(),)))? {
                Value::NotImplemented => Ok(None),
                answer => answer.extract().map(Some),
            }
        }
        Value::Remote(remote) => match remote.compare(op, other.clone()) {
            Ok(answer) => Ok(Some(answer)),
            // The remote class does not compare itself with such a thing.
            Err(Error::Conversion { .. }) => Ok(None),
            Err(error) => Err(error),
        },
        _ => Ok(None),
    }
}

enum Number<'v> {
    Int(i64),
    BigInt(&'v BigInt),
    Float(f64),
}

impl<'v> Number<'v> {
    fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Int(i64::from(*value))),
            Value::Int(value) => Some(Self::Int(*value)),
            Value::BigInt(value) => Some(Self::BigInt(value)),
            Value::Float(value) => Some(Self::Float(*value)),
            _ => None,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::BigInt(a), Self::BigInt(b)) => Some(order_digits(a.as_str(), b.as_str())),
            (Self::Int(a), Self::BigInt(b)) => Some(order_digits(&a.to_string(), b.as_str())),
            (Self::BigInt(a), Self::Int(b)) => Some(order_digits(a.as_str(), &b.to_string())),
            // Exact up to 2**53, as near as a float gets beyond.
            (a, b) => a.as_float().partial_cmp(&b.as_float()),
        }
    }

    fn as_float(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::BigInt(value) => value.as_str().parse().unwrap_or(f64::NAN),
            Self::Float(value) => *value,
        }
    }
}

/// Orders canonical decimal integers.
fn order_digits(a: &str, b: &str) -> Ordering {
    let magnitude = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => magnitude(a, b),
        (Some(a), Some(b)) => magnitude(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

/// The name of a value's type as Python's messages have it.
pub(crate) fn short_name(value: &Value) -> String {
    let name = value.type_name();
    name.strip_prefix("builtins.").unwrap_or(&name).to_owned()
}

/// Runs `compare` one level deeper.
fn deeper<T>(compare: impl FnOnce() -> Result<T>) -> Result<T> {
    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }
    struct Level;
    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    if DEPTH.get() >= MAX_DEPTH {
        return Err(Error::raise("RecursionError", "maximum recursion depth exceeded in comparison"));
    }
    DEPTH.set(DEPTH.get() + 1);
    let _level = Level;
    compare()
}
