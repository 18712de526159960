//! Copies by value of objects that are no plain data: lists, dictionaries, dates, arrays.
//!
//! A copy crosses as a tree in [brine](crate::brine). A scalar is itself; anything else is a tuple that begins with a small
//! number, one of those here, which says what the rest is. Who reads one builds plain objects, and imports and calls
//! nothing because the peer says so.
//!
//! Lists of dictionaries with the same keys are what most programs copy, so the keys travel once: a [`SHAPE`] is a
//! dictionary that gives its keys the next number, counted from 0 in each copy, and a [`RECORD`] is one with the keys
//! of that number.

/// `(0, item, …)`: a tuple.
pub const TUPLE: i64 = 0;
/// `(1, item, …)`: a list.
pub const LIST: i64 = 1;
/// `(2, key, value, …)`: a dictionary.
pub const DICT: i64 = 2;
/// `(3, item, …)`: a set.
pub const SET: i64 = 3;
/// `(4, item, …)`: a frozenset.
pub const FROZENSET: i64 = 4;
/// `(5, bytes)`: a bytearray.
pub const BYTEARRAY: i64 = 5;
/// `(6, start, stop, step)`: a slice.
pub const SLICE: i64 = 6;
/// `(7, (key, …), value, …)`: a dictionary whose keys are strings, and get a number.
pub const SHAPE: i64 = 7;
/// `(8, number, value, …)`: a dictionary with the keys of that number.
pub const RECORD: i64 = 8;
/// `(9, name, part, …)`: an object of the kind named, such as `"date"`.
pub const NAMED: i64 = 9;

/// Most numbers for keys in one copy.
pub const MAX_SHAPES: usize = 64;
/// Most keys that get a number.
pub const MAX_KEYS: usize = 64;
