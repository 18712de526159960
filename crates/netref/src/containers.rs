//! What lists and dicts have in common.

use std::cell::{Cell, RefCell};
use std::sync::Weak;

use crate::args::Args;
use crate::error::{Error, Result};
use crate::object::Object;
use crate::value::Value;

/// Containers inside one another that a `repr` shows.
const MAX_SHOWN_DEPTH: usize = 100;

/// Takes the only argument.
pub(crate) fn only<T: crate::FromValue>(args: &mut Args, name: &str) -> Result<T> {
    let argument = args.required(name)?;
    args.finish()?;
    Ok(argument)
}

/// The object itself, for a method that returns it.
pub(crate) fn itself<T: Object>(this: &Weak<T>) -> Value {
    // Nobody calls a method on an object that is gone.
    this.upgrade().map_or(Value::None, |this| Value::Object(this))
}

/// Drops the items of a container that is gone. One at a time, however deep they nest: a peer may have put containers
/// into one another until dropping them recursively would exhaust the stack.
pub(crate) fn bury(items: Vec<Value>) {
    thread_local! {
        static GRAVE: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
        static DIGGING: Cell<bool> = const { Cell::new(false) };
    }
    // At the end of a thread the grave may be gone, and a drop is then as deep as it is.
    let Ok(()) = GRAVE.try_with(|grave| grave.borrow_mut().extend(items)) else { return };
    if DIGGING.replace(true) {
        return;
    }
    while let Some(item) = GRAVE.with_borrow_mut(Vec::pop) {
        drop(item);
    }
    DIGGING.set(false);
}

/// The text of a container at `address`, or `recursive` if the text is being made of what is inside it.
pub(crate) fn nested_repr(address: usize, recursive: &str, text: impl FnOnce() -> String) -> String {
    thread_local! {
        static SHOWN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }
    struct Shown;
    impl Drop for Shown {
        fn drop(&mut self) {
            SHOWN.with_borrow_mut(Vec::pop);
        }
    }
    let too_deep = SHOWN.with_borrow(|shown| shown.contains(&address) || shown.len() >= MAX_SHOWN_DEPTH);
    if too_deep {
        return recursive.to_owned();
    }
    SHOWN.with_borrow_mut(|shown| shown.push(address));
    let _shown = Shown;
    text()
}

/// What follows `[`: one index, or a slice of them.
pub(crate) enum Subscript {
    Index(i64),
    Slice(Box<[Value; 3]>),
}

impl Subscript {
    pub(crate) fn of(value: Value) -> Result<Self> {
        Ok(match value {
            Value::Slice(parts) => Self::Slice(parts),
            value => Self::Index(index(&value)?),
        })
    }
}

/// A number as an index.
pub(crate) fn index(value: &Value) -> Result<i64> {
    match value {
        Value::Int(index) => Ok(*index),
        Value::Bool(index) => Ok(i64::from(*index)),
        Value::BigInt(_) => Err(Error::raise("IndexError", "cannot fit 'int' into an index-sized integer")),
        other => {
            let name = crate::compare::short_name(other);
            Err(Error::raise("TypeError", format!("list indices must be integers or slices, not {name}")))
        }
    }
}

/// The place that an index means in a container of `len`, negative ones counted from the end.
pub(crate) fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add_unsigned(len as u64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

/// The places that a slice means in a container of some length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) count: usize,
    pub(crate) step: i64,
}

impl Span {
    pub(crate) fn of(parts: &[Value; 3], len: usize) -> Result<Self> {
        let step = slice_number(&parts[2])?.unwrap_or(1);
        if step == 0 {
            return Err(Error::raise("ValueError", "slice step cannot be zero"));
        }
        // Where the first place may lie; one further in the other direction for the end.
        let len = i128::try_from(len).unwrap_or(i128::MAX);
        let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
        let bound = |part: &Value, default: i128| -> Result<i128> {
            let Some(at) = slice_number(part)? else { return Ok(default) };
            let at = i128::from(at);
            Ok((if at < 0 { at + len } else { at }).clamp(lowest, highest))
        };
        let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
        let (start, stop) = (bound(&parts[0], first)?, bound(&parts[1], last)?);
        let wide_step = i128::from(step);
        let distance = if step > 0 { stop - start } else { start - stop };
        let count = if distance > 0 { (distance - 1) / wide_step.abs() + 1 } else { 0 };
        Ok(Self { start: start.max(0) as usize, count: count as usize, step })
    }

    /// Every place, in the slice's order.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |nth| {
            let offset = i128::from(self.step) * nth as i128;
            (self.start as i128 + offset) as usize
        })
    }
}

/// A part of a slice: a number beyond 64 bits means the end that it lies beyond.
fn slice_number(part: &Value) -> Result<Option<i64>> {
    match part {
        Value::None => Ok(None),
        Value::BigInt(number) if number.as_str().starts_with('-') => Ok(Some(i64::MIN)),
        Value::BigInt(_) => Ok(Some(i64::MAX)),
        Value::Int(number) => Ok(Some(*number)),
        Value::Bool(number) => Ok(Some(i64::from(*number))),
        _ => Err(Error::raise("TypeError", "slice indices must be integers or None")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_mean_what_python_means() {
        // From list(range(5))[…] of CPython.
        let cases: [([Option<i64>; 3], &[usize]); 11] = [
            ([None, None, None], &[0, 1, 2, 3, 4]),
            ([None, None, Some(-1)], &[4, 3, 2, 1, 0]),
            ([Some(1), Some(-1), None], &[1, 2, 3]),
            ([Some(-2), None, None], &[3, 4]),
            ([Some(4), Some(0), Some(-2)], &[4, 2]),
            ([Some(9), Some(2), None], &[]),
            ([Some(-9), Some(2), None], &[0, 1]),
            ([Some(9), None, Some(-3)], &[4, 1]),
            ([None, Some(-9), Some(-2)], &[4, 2, 0]),
            ([Some(3), Some(1), None], &[]),
            ([Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)], &[0]),
        ];
        for (parts, places) in cases {
            let parts = parts.map(crate::IntoValue::into_value);
            let found = Span::of(&parts, 5).map(|span| span.places().collect::<Vec<_>>());
            assert!(matches!(&found, Ok(found) if found == places), "{parts:?}: {found:?}");
        }
    }
}
