//! Any value that a program can have is written, read again equal, and skipped to the same place; and so within a box.

use netref_core::World;
use netref_core::brine::{Reader, Writer, read, skip};
use netref_core::session::Options;

use value::{Side, Value};

#[allow(dead_code, reason = "shared with the tests of the core; each target needs a part of it")]
#[path = "../../crates/netref-core/tests/core/value.rs"]
mod value;

/// Runs the target on one input, from which a value is made; a panic is a finding.
pub fn run(input: &[u8]) {
    let world = Side::new(Options::default());
    let limits = netref_core::Limits::strict();
    let value = build(&mut input.iter().copied(), 0);
    let mut bytes = Vec::new();
    let written = world.write(&value, &mut Writer::new(&mut bytes, &limits));
    assert_eq!(written, Ok(true), "plain data, within the limits");
    let mut reader = Reader::new(&bytes, &limits);
    assert_eq!(read(&world, &mut reader), Ok(value));
    assert_eq!(reader.finish(), Ok(()));
    let mut skipping = Reader::new(&bytes, &limits);
    assert_eq!(skip(&mut skipping), Ok(()));
    assert_eq!(skipping.finish(), Ok(()));
}

/// A value chosen by the bytes: shallow, and no longer than they are.
fn build(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Value {
    let mut next = || bytes.next().unwrap_or_default();
    match next() % 10 {
        0 => Value::None,
        1 => Value::Bool(next() & 1 == 1),
        2 => Value::Int(i64::from_be_bytes([next(), next(), next(), next(), next(), next(), next(), next()])),
        3 => Value::Int(i64::from(next()) - 100),
        4 => Value::Float(f64::from(i32::from_be_bytes([next(), next(), next(), next()])) / 3.0),
        5 => {
            let count = next();
            Value::Bytes((0..count).map(|_| next()).collect())
        }
        6 => {
            let count = next();
            Value::Str((0..count).map(|_| char::from(next())).collect())
        }
        7 | 8 if depth < 20 => {
            let count = next() % 8;
            Value::Tuple((0..count).map(|_| build(bytes, depth + 1)).collect())
        }
        _ => Value::Big(format!("{}{}", 1 + next() % 9, "0123456789".repeat(2 + usize::from(next() % 90)))),
    }
}
